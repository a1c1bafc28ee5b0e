/** Marker values for all data that must not leak, and a search for these values in several encodings. */
import assert from 'node:assert/strict'

/** Markers for every patient field that a message can have. */
export const PERSON = {
  id: 'Wq55-8812-Kx',
  ssn: '987-65-4329',
  first: 'Zebedina',
  middle: 'Ottoline',
  last: "O'Quuxworth-Pfnür",
  dob: '1931-07-19',
  phone: '+1-555-867-5309',
  email: 'zeb@pfnuer.example',
  street: '4762 Vexillum Crescent',
  city: 'Gnarlsbury',
  zip: '90817-4471',
  visit: 'VX-3391-Lw',
  description: 'Letter about the gingival mass of Zebedina',
  fileName: 'befund-xylotomy.txt',
}
export const DOCUMENT =
  'Findings: the squamous thing near Bramblewick has grown again since spring. Advice: come back in autumn. '
export const NOTE_TEXT =
  DOCUMENT + 'She keeps a parrot named Vercingetorix, and walks to Llanfairpwll. '.repeat(4)

/** Strings that no output may contain: words from the patient's fields, and other formats of these values. */
const PATIENT_MARKERS = [
  ...['Wq55-8812-Kx', '987-65-4329', '987654329', 'Zebedina', 'Ottoline', 'Quuxworth', 'Pfnür'],
  ...['1931-07-19', '19310719', '07/19/1931', '7/19/1931', '19.07.1931', '19/07/1931', '1931/07/19'],
  ...['19 Jul 1931', 'July 19, 1931', '19-JUL-1931', '19.7.1931'],
  ...[
    '+1-555-867-5309',
    '15558675309',
    'zeb@pfnuer.example',
    'Vexillum',
    'Gnarlsbury',
    '90817-4471',
    'VX-3391-Lw',
  ],
  'befund-xylotomy',
]
/** Excerpts of the long values. Redaction does not remove repeated parts of fewer than 16 characters. */
const PIECES = ['the gingival mass', 'squamous thin', 'Bramblewick has grown', 'parrot named Vercinge']

export const SECRETS = {
  apiKey: 'Zq7apikeycanary',
  secret: 'Zq7+secret/canary==',
  token: 'Zq7-token-canary',
  refreshToken: 'Zq7-refresh-canary',
  proxyPassword: 'Zq7 proxy canary',
  passphrase: 'Zq7-passphrase-canary',
}

const inBase64 = (text: string): string[] =>
  [0, 1, 2].map((offset) => {
    const encoded = Buffer.from('\0'.repeat(offset) + text).toString('base64')
    // The first and the last base64 characters also depend on the bytes around the value, so they are dropped.
    return encoded.slice(offset === 0 ? 0 : 4, -4)
  })

/**
 * Search for marker values in the output of a test.
 * @param keys private keys in PEM format; a part of each PEM line is a marker value
 */
export class Canaries {
  readonly #raw: string[]
  readonly #encoded: string[]
  /** number of characters searched, so that a test can assert that there was output */
  searched = 0

  constructor(keys: string[] = []) {
    const lines = keys.flatMap((key) => key.split('\n').filter((line) => /^[\w+/=]{20,}$/.test(line)))
    this.#raw = [
      ...PATIENT_MARKERS,
      ...PIECES,
      ...Object.values(SECRETS),
      ...lines.map((line) => line.slice(0, 20)),
    ]
    this.#encoded = this.#raw.flatMap(inBase64).filter(({ length }) => length >= 8)
  }

  found(text: string): string[] {
    const spelled = [text, decoded(text), JSON.stringify(text)].map((one) => one.toLowerCase())
    return [
      ...this.#raw.filter((marker) => spelled.some((one) => one.includes(marker.toLowerCase()))),
      ...this.#encoded.filter((marker) => text.includes(marker)),
    ]
  }

  assertNone(value: unknown, where: string): void {
    const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
    this.searched += text.length
    const found = this.found(text)
    assert.deepEqual(found, [], `${where}: ${text.slice(0, 3000)}`)
  }
}

const decoded = (text: string): string =>
  text.replace(/(%[0-9a-f]{2})+/gi, (escaped) => {
    try {
      return decodeURIComponent(escaped)
    } catch {
      return escaped
    }
  })

const escaped = (text: string): string[] => [
  text,
  encodeURIComponent(`"${text}"`),
  `field\\n${text} is bad`,
  JSON.stringify({ value: text }),
]

/** Strings with which a server may repeat the data of a message, an upload or a token request in its response. */
const SAID_OF_FILES = [
  ...escaped(PERSON.fileName),
  ...['befund-xylotomy', DOCUMENT, NOTE_TEXT.toUpperCase(), DOCUMENT.slice(20, 60)],
  ...[Buffer.from(DOCUMENT).toString('base64'), Buffer.from(DOCUMENT).toString('base64').slice(0, 38)],
]
const SAID_OF_TOKENS = [SECRETS.token, encodeURIComponent(SECRETS.token), `Bearer ${SECRETS.token}`]
export const SAID = {
  send: [
    ...PATIENT_MARKERS.flatMap(escaped),
    ...Object.values(PERSON).flatMap(escaped),
    ...[NOTE_TEXT.slice(150), PERSON.description.slice(4)],
    ...SAID_OF_FILES,
    ...SAID_OF_TOKENS,
  ],
  upload: [...SAID_OF_FILES, ...SAID_OF_TOKENS],
  token: [SECRETS.apiKey, SECRETS.secret, SECRETS.refreshToken, SECRETS.token].flatMap(escaped),
}
