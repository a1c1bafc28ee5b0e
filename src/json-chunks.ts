import { present } from './shared/present'
import { yieldFor } from './event-loop'

// `JSON.stringify` and `JSON.parse` process a value in one call: 40 MB block the event loop for more than 100 ms. They
// are used for values up to this length (characters or bytes). Longer values are processed in chunks.
const CHUNK_SIZE = 64 * 1024
/**
 * Estimated length, in characters of JSON, of a value that is not a string. It also stands for the cost of visiting the
 * value.
 */
const SIZE_OF_A_VALUE = 8

/** Yields the output of `JSON.stringify` for plain data in chunks, so that the event loop runs between them. */
export async function* stringifyInChunks(value: unknown): AsyncGenerator<string> {
  for (const piece of jsonPieces(value)) {
    await yieldFor(piece.length)
    yield piece
  }
}

/**
 * Returns true if `JSON.stringify` may serialize a value in one call. The check stops as soon as the value is known to
 * be too large.
 */
const fitsInOneCall = (value: unknown): boolean => remainingSize(value, CHUNK_SIZE) >= 0

function remainingSize(value: unknown, room: number): number {
  if (typeof value === 'string') return room - value.length
  let left = room - SIZE_OF_A_VALUE
  if (typeof value !== 'object' || value === null) return left
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length && left >= 0; at++) left = remainingSize(value[at], left)
    return left
  }
  for (const key in value) {
    if (left < 0) return left
    left = remainingSize((value as Record<string, unknown>)[key], left - key.length)
  }
  return left
}

/** Joins short strings of JSON and cuts long ones, so that all chunks have about the same length. */
function* jsonPieces(value: unknown): Generator<string> {
  let piece = ''
  for (const part of jsonParts(value)) {
    piece += part
    if (piece.length < CHUNK_SIZE) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

function* jsonParts(value: unknown): Generator<string> {
  if (fitsInOneCall(value)) yield JSON.stringify(value)
  else if (typeof value === 'string') yield* textParts(value)
  else if (Array.isArray(value)) yield* listParts(value)
  else yield* objectParts(value as Record<string, unknown>)
}

function* listParts(list: unknown[]): Generator<string> {
  yield '['
  for (const [at, item] of list.entries()) {
    if (at > 0) yield ','
    yield* jsonParts(item ?? null)
  }
  yield ']'
}

function* objectParts(object: Record<string, unknown>): Generator<string> {
  yield '{'
  let comma = ''
  for (const key in object) {
    const item = object[key]
    if (item === undefined) continue
    yield `${comma}${JSON.stringify(key)}:`
    yield* jsonParts(item)
    comma = ','
  }
  yield '}'
}

function* textParts(text: string): Generator<string> {
  yield '"'
  for (let at = 0; at < text.length;) {
    const end = cutBefore(text, at + CHUNK_SIZE)
    yield JSON.stringify(text.slice(at, end)).slice(1, -1)
    at = end
  }
  yield '"'
}

/** Moves the position of a cut out of the middle of a surrogate pair, because JSON.stringify would escape each half. */
const cutBefore = (text: string, end: number): number =>
  /[\ud800-\udbff]/.test(text.charAt(end - 1)) ? end - 1 : end

const [QUOTE, BACKSLASH, UNICODE, COMMA, COLON, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] =
  Buffer.from('"\\u,:[]{}')

interface OpenContainer {
  value: unknown[] | Record<string, unknown>
  /** key of the next value, if `value` is an object */
  key?: string | undefined
}

/**
 * Parses JSON text from `JSON.stringify` or {@link stringifyInChunks}, in chunks, so that the event loop runs between them.
 * The text must be valid and have no white space outside strings.
 */
export async function parseInChunks(json: Buffer): Promise<unknown> {
  if (json.length <= CHUNK_SIZE) return JSON.parse(json.toString('utf8'))
  const root: unknown[] = []
  const stack: OpenContainer[] = [{ value: root }]
  const put = (value: unknown): void => {
    const open = present(stack.at(-1), 'an open value')
    if (Array.isArray(open.value)) open.value.push(value)
    else setOwn(open.value, present(open.key, 'a key'), value)
    open.key = undefined
  }
  let paid = 0
  for (let at = 0; at < json.length;) {
    if (at - paid >= CHUNK_SIZE) {
      await yieldFor(at - paid)
      paid = at
    }
    const byte = json[at]
    if (byte === COMMA || byte === COLON) at++
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      const value = byte === OPEN_LIST ? [] : {}
      put(value)
      stack.push({ value })
      at++
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      stack.pop()
      at++
    } else if (byte === QUOTE) {
      let end = endOfPiece(json, at + 1)
      let text = textAt(json, at + 1, end)
      while (json[end] !== QUOTE) {
        await yieldFor(CHUNK_SIZE)
        paid = end
        const next = endOfPiece(json, end)
        text += textAt(json, end, next)
        end = next
      }
      const open = present(stack.at(-1), 'an open value')
      if (Array.isArray(open.value) || open.key !== undefined) put(text)
      else open.key = text
      at = end + 1
    } else {
      const end = endOfLiteral(json, at)
      put(JSON.parse(json.toString('latin1', at, end)))
      at = end
    }
  }
  return root[0]
}

/** Sets an own property, also for the key `__proto__`, which is an ordinary key in JSON. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

/**
 * Returns the end of a string, or a position about {@link CHUNK_SIZE} bytes later that is neither inside an escape sequence
 * nor inside a character.
 */
function endOfPiece(json: Buffer, begin: number): number {
  let end = begin
  for (const most = begin + CHUNK_SIZE; json[end] !== QUOTE && end < most;) {
    if (json[end] !== BACKSLASH) end++
    else end += json[end + 1] === UNICODE ? 6 : 2
  }
  // In UTF-8 all bytes of a character except the first have the form 10xxxxxx.
  while (((json[end] ?? 0) & 0xc0) === 0x80) end++
  return end
}

const textAt = (json: Buffer, begin: number, end: number): string =>
  JSON.parse(`"${json.toString('utf8', begin, end)}"`) as string

function endOfLiteral(json: Buffer, begin: number): number {
  let end = begin
  while (end < json.length && json[end] !== COMMA && json[end] !== CLOSE_LIST && json[end] !== CLOSE_OBJECT)
    end++
  return end
}
