import { present } from './shared/present'
import { turn } from './event-loop'

// `JSON.stringify` and `JSON.parse` work on a value as a whole: 40 MB hold the event loop for a tenth of a second and
// more. Up to this length they are used, and what is longer is worked on in pieces.
const PIECE = 64 * 1024
/** Of a value that is no text: what it takes as JSON, and to walk to it. */
const SIZE_OF_A_VALUE = 8

/**
 * The text that `JSON.stringify` makes of plain data, in pieces.
 */
export async function* jsonInTurns(value: unknown): AsyncGenerator<string> {
  for (const piece of jsonPieces(value)) {
    await turn(piece.length)
    yield piece
  }
}

/** Whether a value is short enough to be written at once. Looks at no more than that takes. */
const isShort = (value: unknown): boolean => roomAfter(value, PIECE) >= 0

function roomAfter(value: unknown, room: number): number {
  if (typeof value === 'string') return room - value.length
  let left = room - SIZE_OF_A_VALUE
  if (typeof value !== 'object' || value === null) return left
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length && left >= 0; at++) left = roomAfter(value[at], left)
    return left
  }
  for (const key in value) {
    if (left < 0) return left
    left = roomAfter((value as Record<string, unknown>)[key], left - key.length)
  }
  return left
}

/** Pieces of about the same length: what is short is joined, and what is long is cut. */
function* jsonPieces(value: unknown): Generator<string> {
  let piece = ''
  for (const part of jsonParts(value)) {
    piece += part
    if (piece.length < PIECE) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

function* jsonParts(value: unknown): Generator<string> {
  if (isShort(value)) yield JSON.stringify(value)
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
    const end = cutBefore(text, at + PIECE)
    yield JSON.stringify(text.slice(at, end)).slice(1, -1)
    at = end
  }
  yield '"'
}

/** Not between the two halves of a character: each by itself would be escaped. */
const cutBefore = (text: string, end: number): number =>
  /[\ud800-\udbff]/.test(text.charAt(end - 1)) ? end - 1 : end

const [QUOTE, BACKSLASH, UNICODE, COMMA, COLON, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] =
  Buffer.from('"\\u,:[]{}')

interface Open {
  value: unknown[] | Record<string, unknown>
  /** of the value that comes next in an object */
  key?: string | undefined
}

/**
 * The value of a JSON text that `JSON.stringify` or {@link jsonInTurns} made: it has no white space, and no mistakes.
 */
export async function parseInTurns(json: Buffer): Promise<unknown> {
  if (json.length <= PIECE) return JSON.parse(json.toString('utf8'))
  const root: unknown[] = []
  const stack: Open[] = [{ value: root }]
  const put = (value: unknown): void => {
    const open = present(stack.at(-1), 'an open value')
    if (Array.isArray(open.value)) open.value.push(value)
    else setOwn(open.value, present(open.key, 'a key'), value)
    open.key = undefined
  }
  let paid = 0
  for (let at = 0; at < json.length;) {
    if (at - paid >= PIECE) {
      await turn(at - paid)
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
        await turn(PIECE)
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
      const end = endOfWord(json, at)
      put(JSON.parse(json.toString('latin1', at, end)))
      at = end
    }
  }
  return root[0]
}

/** Also `__proto__`, which is a key like another in JSON. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

/** The end of a text, or a place after about {@link PIECE} bytes of it: neither inside an escape nor of a character. */
function endOfPiece(json: Buffer, begin: number): number {
  let end = begin
  for (const most = begin + PIECE; json[end] !== QUOTE && end < most;) {
    if (json[end] !== BACKSLASH) end++
    else end += json[end + 1] === UNICODE ? 6 : 2
  }
  // Of UTF-8 all bytes of a character but the first are of this kind.
  while (((json[end] ?? 0) & 0xc0) === 0x80) end++
  return end
}

const textAt = (json: Buffer, begin: number, end: number): string =>
  JSON.parse(`"${json.toString('utf8', begin, end)}"`) as string

function endOfWord(json: Buffer, begin: number): number {
  let end = begin
  while (end < json.length && json[end] !== COMMA && json[end] !== CLOSE_LIST && json[end] !== CLOSE_OBJECT)
    end++
  return end
}
