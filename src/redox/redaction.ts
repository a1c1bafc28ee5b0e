import { isObject, type JsonObject } from '../message/json'

export const REDACTED = '[…]'
const REPEATS = `${REDACTED} (the reason repeats the message)`

/** Maximum length of an error text from a response, in characters. The rest is cut off before the text is redacted. */
const MAX_TEXT = 1000

/**
 * Redacts all values of the sent message in strings from a response. A response may repeat a patient's name or id, and
 * error texts end up in logs. Values that do not identify a person (`Meta`, codes of the Data Models) stay readable.
 *
 * The few short strings of the response are indexed and searched for the message's values, because the message may
 * contain a million values, and strings of several megabytes.
 * @param secrets values that are always redacted, also as base64
 */
export function redactMessageValues(
  texts: string[],
  sent: JsonObject | undefined,
  secrets: string[] = [],
): string[] {
  const given = texts.map((text) => text.slice(0, MAX_TEXT))
  const cut = given.map(unescaped)
  const pieces = new SubstringIndex(cut)
  const repeated = new Set<string>()
  for (const secret of secrets.flatMap(secretSpellings)) if (pieces.mayContain(secret)) repeated.add(secret)
  const long: string[] = []
  if (sent !== undefined) collectRepeated(sent, { pieces, repeated, long })
  // Values are replaced in order of length, longest first, so that a value that contains another value is redacted as a
  // whole.
  const values = [...repeated].sort((a, b) => b.length - a.length)
  const short = cut.map((text) => values.reduce(replaceAllNoCase, text))
  const quoting = quotingTexts(short, long)
  return short.map((text, index) => {
    if (quoting.has(index)) return REPEATS
    return text === cut[index] ? (given[index] ?? text) : text
  })
}

const unescaped = (text: string): string =>
  text.replace(/(%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes)
    } catch {
      return escapes
    }
  })

/** Redacts secrets in a string of any length. Only exact occurrences are replaced. */
export const redactSecretsInText = (text: string, secrets: string[]): string =>
  secrets.filter((secret) => secret !== '').reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text)

const secretSpellings = (secret: string): string[] =>
  secret === '' ? [] : [secret, Buffer.from(secret).toString('base64')]

// ---- Values ---------------------------------------------------------------------------------------------

const PIECE = 8

/**
 * Index of all substrings of some strings, up to a maximum length, for a quick check that a value occurs in none of the
 * strings.
 */
class SubstringIndex {
  readonly #all = new Set<string>()

  constructor(texts: string[]) {
    for (const text of texts) {
      const lower = text.toLowerCase()
      for (let from = 0; from < lower.length; from++)
        for (let to = from + 1; to <= from + PIECE && to <= lower.length; to++)
          this.#all.add(lower.slice(from, to))
    }
  }

  mayContain(value: string): boolean {
    const [first, last] = [value.slice(0, PIECE), value.slice(-PIECE)]
    return this.#all.has(first.toLowerCase()) && this.#all.has(last.toLowerCase())
  }
}

const PUBLIC_KEYS = new Set([
  'Meta',
  'resourceType',
  'eventUri',
  'fullUrl',
  'ContentType',
  'ValueType',
  'contentType',
  'system',
])
const PUBLIC_WORDS = new Set(['message', 'patient', 'final', 'resulted', 'available', 'unknown', 'other'])
const MIN_MASKED_LENGTH = 2
const LONG_TEXT = 200

interface FoundTexts {
  pieces: SubstringIndex
  repeated: Set<string>
  /** long strings of the message, of which a response may quote a part */
  long: string[]
}

function collectRepeated(value: unknown, found: FoundTexts, key = ''): void {
  if (typeof value === 'string' || typeof value === 'number') collectValue(String(value), found, key)
  else if (Array.isArray(value)) value.forEach((item) => collectRepeated(item, found, key))
  else if (isObject(value)) {
    // The words in the display name of a code do not identify a person, so only the whole name is redacted, not each
    // word.
    const isCode = 'code' in value || 'coding' in value
    for (const [name, item] of Object.entries(value))
      if (!PUBLIC_KEYS.has(name)) collectRepeated(item, found, isCode && TEXT_KEYS.has(name) ? '' : name)
  }
}

function collectValue(whole: string, { pieces, repeated, long }: FoundTexts, key: string): void {
  if (whole.length > LONG_TEXT || (whole.length >= QUOTE_LENGTH && isContent(whole))) long.push(whole)
  if (whole.length > LONG_TEXT) return
  for (const text of spellings(whole, key))
    if (isWorthMasking(text) && pieces.mayContain(text)) repeated.add(text)
}

// Returns true for prose or base64; false for a URL or an id, because many URLs and ids have the same beginning.
const isContent = (text: string): boolean => text.includes(' ') || !/[:-]/.test(text)

const isWorthMasking = (text: string): boolean =>
  text.length >= MIN_MASKED_LENGTH && !PUBLIC_WORDS.has(text.toLowerCase())

/** Properties of a person's name: each word of the value may identify the person. */
const NAME_KEYS = new Set(['FirstName', 'MiddleName', 'LastName', 'family', 'given'])
/** Properties of an address or a whole name: each word of at least MIN_TEXT_WORD characters may identify the person. */
const TEXT_KEYS = new Set(['StreetAddress', 'City', 'line', 'city', 'text', 'display'])
const MIN_TEXT_WORD = 4
const FILE_NAME_KEYS = new Set(['name', 'FileName', 'title', 'filename'])
const isPath = (text: string): boolean => /^(\.{0,2}[\\/]|[A-Za-z]:[\\/])/.test(text)
const words = (text: string): string[] => text.split(/[^\p{L}\p{N}]+/u)

/** Spellings in which a response may repeat a value. */
function spellings(text: string, key: string): string[] {
  const found = [text]
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})/.exec(text) ?? []
  if (year !== undefined && month !== undefined && day !== undefined)
    found.push(...dateSpellings(year, month, day))
  if (FILE_NAME_KEYS.has(key) || isPath(text)) found.push(...fileNameSpellings(text))
  if (NAME_KEYS.has(key)) found.push(...words(text))
  if (TEXT_KEYS.has(key)) found.push(...words(text).filter(({ length }) => length >= MIN_TEXT_WORD))
  // Servers may repeat phone numbers and ids without hyphens.
  if (/^[\d\s()+./-]{7,}$/.test(text)) found.push(text.replace(/\D/g, ''))
  return found
}

/** A response repeats the name of a file with or without its folders and its extension. */
function fileNameSpellings(text: string): string[] {
  const name = text.split(/[\\/]/).at(-1) ?? text
  const bare = name.replace(/\.\w{1,5}$/, '')
  return bare === name ? [] : [name, bare]
}

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July'].concat(
  'August',
  'September',
  'October',
  'November',
  'December',
)

function dateSpellings(year: string, month: string, day: string): string[] {
  const name = MONTHS[Number(month) - 1] ?? month
  const [m, d] = [String(Number(month)), String(Number(day))]
  const numbers = ['-', '/', '.', ' ', ''].flatMap((between) =>
    [
      [year, month, day],
      [day, month, year],
      [month, day, year],
    ].map((parts) => parts.join(between)),
  )
  const unpadded = ['-', '/', '.'].flatMap((between) =>
    [
      [year, m, d],
      [d, m, year],
      [m, d, year],
    ].map((parts) => parts.join(between)),
  )
  const named = [name, name.slice(0, 3)].flatMap((called) =>
    [day, d].flatMap((of) => [
      ...[`${of} ${called} ${year}`, `${of}-${called}-${year}`, `${of}. ${called} ${year}`],
      ...[`${called} ${of}, ${year}`, `${called} ${of} ${year}`],
    ]),
  )
  return [...numbers, ...unpadded, ...named]
}

// Minimum length of a value that is also replaced inside words. Shorter values occur inside other words by chance, so
// they are replaced as whole words only.
const MASKED_ANYWHERE_LENGTH = 6
/** Start of a word: not after a letter or digit, unless that letter belongs to an escape (`\n`). */
const BEGINS = '(?:(?<![A-Za-z0-9])|(?<=\\\\[nrt]))'

function replaceAllNoCase(text: string, value: string): string {
  const pattern = value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const isWord = value.length < MASKED_ANYWHERE_LENGTH
  return text.replace(new RegExp(isWord ? `${BEGINS}${pattern}(?![A-Za-z0-9])` : pattern, 'gi'), REDACTED)
}

// ---- Quotes of long texts -------------------------------------------------------------------------------

const QUOTE_LENGTH = 16
// Any substring of QUOTE_LENGTH characters contains a block of BLOCK characters that begins at a multiple of STEP.
const STEP = 8
const BLOCK = QUOTE_LENGTH - STEP + 1
// Maximum number of full comparisons. Repetitive strings would need far more.
const MAX_COMPARED = 100_000

interface TextPosition {
  index: number
  at: number
}

/** Indexes of the strings that quote a part of one of the message's long strings. */
function quotingTexts(texts: string[], long: string[]): Set<number> {
  const quoting = new Set<number>()
  const lower = texts.map(fold)
  const { places, hashes } = blocksOf(lower)
  let compared = 0
  for (const source of places.size === 0 ? [] : long) {
    for (let at = 0; at + BLOCK <= source.length; at += STEP) {
      if (hashes[hashAt(source, at)] === 0) continue
      for (const place of places.get(fold(source.slice(at, at + BLOCK))) ?? []) {
        // If the maximum number of comparisons is exceeded, all strings are treated as quotes of the message.
        if (++compared > MAX_COMPARED) return new Set(texts.keys())
        const { index } = place
        if (quoting.has(index) || sharedLength(lower[index] ?? '', place.at, source, at) < QUOTE_LENGTH)
          continue
        quoting.add(index)
        // A string that is known to contain a quote need not be compared again.
        places.forEach((all, block) =>
          places.set(
            block,
            all.filter((other) => other.index !== index),
          ),
        )
      }
    }
  }
  return quoting
}

function blocksOf(texts: string[]): { places: Map<string, TextPosition[]>; hashes: Uint8Array } {
  const places = new Map<string, TextPosition[]>()
  const hashes = new Uint8Array(0x10000)
  texts.forEach((text, index) => {
    const upper = text.toUpperCase()
    for (let at = 0; at + BLOCK <= text.length; at++) {
      const block = text.slice(at, at + BLOCK)
      const known = places.get(block)
      if (known) known.push({ index, at })
      else places.set(block, [{ index, at }])
      hashes[hashAt(text, at)] = 1
      hashes[hashAt(upper, at)] = 1
    }
  })
  return { places, hashes }
}

// Hash of four characters, the same for upper and lower case of ASCII letters. The search looks up a position of a long
// string only if the hash of its four characters is that of a searched value; most positions are skipped.
const hashAt = (text: string, at: number): number =>
  ((text.charCodeAt(at) | 32) ^
    ((text.charCodeAt(at + 1) | 32) << 4) ^
    ((text.charCodeAt(at + 2) | 32) << 8) ^
    ((text.charCodeAt(at + 3) | 32) << 11)) &
  0xffff

/**
 * Converts a string to lower case; returns it unchanged if the conversion would shift the positions of its characters.
 */
function fold(text: string): string {
  const lower = text.toLowerCase()
  return lower.length === text.length ? lower : text
}

/** Length of the common substring of two strings around two positions, at most a little more than QUOTE_LENGTH. */
function sharedLength(lower: string, at: number, source: string, from: number): number {
  const isSame = (offset: number): boolean =>
    at + offset >= 0 && lower[at + offset] === fold(source[from + offset] ?? '')
  let [begin, end] = [0, BLOCK]
  while (begin > -QUOTE_LENGTH && isSame(begin - 1)) begin--
  while (end < 2 * QUOTE_LENGTH && isSame(end)) end++
  return end - begin
}
