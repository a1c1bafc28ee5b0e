import { isObject, type JsonObject } from '../message/json'

export const HIDDEN = '[…]'
const REPEATS = `${HIDDEN} (the reason repeats the message)`

/** More of a text is not looked at, and not told. */
const MAX_TEXT = 1000

/**
 * Texts of an answer without anything that stood in the message: an answer may repeat a name or an id, and error
 * texts end in logs. What says nothing about a person (Meta, codes of the models) stays readable.
 *
 * The few short texts are looked up, never the message: it may have a million values and a note of megabytes.
 * @param secrets what must never be repeated, wherever it stands
 */
export function masked(texts: string[], sent: JsonObject | undefined, secrets: string[] = []): string[] {
  const given = texts.map((text) => text.slice(0, MAX_TEXT))
  const cut = given.map(unescaped)
  const pieces = new Pieces(cut)
  const repeated = new Set<string>()
  for (const secret of secrets.flatMap(secretSpellings)) if (pieces.mayHold(secret)) repeated.add(secret)
  const long: string[] = []
  if (sent !== undefined) collectRepeated(sent, { pieces, repeated, long })
  // The longest first: what contains another goes as a whole.
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

/** A text without those secrets, spelled as they are; the rest stays as it is, whatever its length. */
export const withoutSecrets = (text: string, secrets: string[]): string =>
  secrets.filter((secret) => secret !== '').reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text)

const secretSpellings = (secret: string): string[] =>
  secret === '' ? [] : [secret, Buffer.from(secret).toString('base64')]

// ---- Values ---------------------------------------------------------------------------------------------

const PIECE = 8

/** All pieces of some texts, up to a length: tells at once that a value is in none of them. */
class Pieces {
  readonly #all = new Set<string>()

  constructor(texts: string[]) {
    for (const text of texts) {
      const lower = text.toLowerCase()
      for (let from = 0; from < lower.length; from++)
        for (let to = from + 1; to <= from + PIECE && to <= lower.length; to++)
          this.#all.add(lower.slice(from, to))
    }
  }

  mayHold(value: string): boolean {
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

interface Found {
  pieces: Pieces
  repeated: Set<string>
  /** texts of which a part says enough */
  long: string[]
}

function collectRepeated(value: unknown, found: Found, key = ''): void {
  if (typeof value === 'string' || typeof value === 'number') collectValue(String(value), found, key)
  else if (Array.isArray(value)) value.forEach((item) => collectRepeated(item, found, key))
  else if (isObject(value)) {
    // The name of a code says nothing about a person; as a whole it is masked all the same.
    const isCode = 'code' in value || 'coding' in value
    for (const [name, item] of Object.entries(value))
      if (!PUBLIC_KEYS.has(name)) collectRepeated(item, found, isCode && TEXT_KEYS.has(name) ? '' : name)
  }
}

function collectValue(whole: string, { pieces, repeated, long }: Found, key: string): void {
  if (whole.length > LONG_TEXT || (whole.length >= QUOTE_LENGTH && isContent(whole))) long.push(whole)
  if (whole.length > LONG_TEXT) return
  for (const text of spellings(whole, key))
    if (isWorthMasking(text) && pieces.mayHold(text)) repeated.add(text)
}

// Words, or base64; not an address, of which others begin alike.
const isContent = (text: string): boolean => text.includes(' ') || !/[:-]/.test(text)

const isWorthMasking = (text: string): boolean =>
  text.length >= MIN_MASKED_LENGTH && !PUBLIC_WORDS.has(text.toLowerCase())

/** Each word of a name tells who is meant. */
const NAME_KEYS = new Set(['FirstName', 'MiddleName', 'LastName', 'family', 'given'])
/** Likewise the longer words of an address or of a whole name. */
const TEXT_KEYS = new Set(['StreetAddress', 'City', 'line', 'city', 'text', 'display'])
const MIN_TEXT_WORD = 4
const FILE_NAME_KEYS = new Set(['name', 'FileName', 'title'])
const words = (text: string): string[] => text.split(/[^\p{L}\p{N}]+/u)

/** How an answer may repeat a value. */
function spellings(text: string, key: string): string[] {
  const found = [text]
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})/.exec(text) ?? []
  if (year !== undefined && month !== undefined && day !== undefined)
    found.push(...dateSpellings(year, month, day))
  if (FILE_NAME_KEYS.has(key)) found.push(text.replace(/\.\w{1,5}$/, ''))
  if (NAME_KEYS.has(key)) found.push(...words(text))
  if (TEXT_KEYS.has(key)) found.push(...words(text).filter(({ length }) => length >= MIN_TEXT_WORD))
  // Phone numbers and ids come back without their hyphens.
  if (/^[\d\s()+./-]{7,}$/.test(text)) found.push(text.replace(/\D/g, ''))
  return found
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

// Shorter ones stand in other words by chance.
const MASKED_ANYWHERE_LENGTH = 6
/** Before a word: no letter or digit, or one that belongs to an escape (`\n`). */
const BEGINS = '(?:(?<![A-Za-z0-9])|(?<=\\\\[nrt]))'

function replaceAllNoCase(text: string, value: string): string {
  const pattern = value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const isWord = value.length < MASKED_ANYWHERE_LENGTH
  return text.replace(new RegExp(isWord ? `${BEGINS}${pattern}(?![A-Za-z0-9])` : pattern, 'gi'), HIDDEN)
}

// ---- Quotes of long texts -------------------------------------------------------------------------------

const QUOTE_LENGTH = 16
// Every quote of that length has a block that begins at a multiple of the step.
const STEP = 8
const BLOCK = QUOTE_LENGTH - STEP + 1
// Blocks that are compared in full; texts that repeat themselves would have billions.
const MAX_COMPARED = 100_000

interface Place {
  index: number
  at: number
}

/** Which of the texts have a piece of one of the long ones, by their indexes. */
function quotingTexts(texts: string[], long: string[]): Set<number> {
  const quoting = new Set<number>()
  const lower = texts.map(fold)
  const { places, hashes } = blocksOf(lower)
  let compared = 0
  for (const source of places.size === 0 ? [] : long) {
    for (let at = 0; at + BLOCK <= source.length; at += STEP) {
      if (hashes[hashAt(source, at)] === 0) continue
      for (const place of places.get(fold(source.slice(at, at + BLOCK))) ?? []) {
        // Given up on: then none of them is told.
        if (++compared > MAX_COMPARED) return new Set(texts.keys())
        const { index } = place
        if (quoting.has(index) || sharedLength(lower[index] ?? '', place.at, source, at) < QUOTE_LENGTH)
          continue
        quoting.add(index)
        // What is known is not compared again.
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

function blocksOf(texts: string[]): { places: Map<string, Place[]>; hashes: Uint8Array } {
  const places = new Map<string, Place[]>()
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

// Most places of a long text are passed over by this alone; in it ASCII letters are of one case.
const hashAt = (text: string, at: number): number =>
  ((text.charCodeAt(at) | 32) ^
    ((text.charCodeAt(at + 1) | 32) << 4) ^
    ((text.charCodeAt(at + 2) | 32) << 8) ^
    ((text.charCodeAt(at + 3) | 32) << 11)) &
  0xffff

/** In lower case, unless that changes the places of the letters. */
function fold(text: string): string {
  const lower = text.toLowerCase()
  return lower.length === text.length ? lower : text
}

/** How long the run is that both share around these places, as far as it matters. */
function sharedLength(lower: string, at: number, source: string, from: number): number {
  const isSame = (offset: number): boolean =>
    at + offset >= 0 && lower[at + offset] === fold(source[from + offset] ?? '')
  let [begin, end] = [0, BLOCK]
  while (begin > -QUOTE_LENGTH && isSame(begin - 1)) begin--
  while (end < 2 * QUOTE_LENGTH && isSame(end)) end++
  return end - begin
}
