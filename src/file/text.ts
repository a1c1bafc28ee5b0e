import { yieldFor } from '../event-loop'

/**
 * Text that is processed in slices: a string, or bytes in a text encoding. A regular expression that searches a text of
 * 40 MB would block Node-RED's event loop.
 */
export interface Text {
  readonly length: number
  slice(from: number, to: number): string
}

/** Number of characters in a slice. */
const SLICE = 128 * 1024

/**
 * Yields the slices of a text, each as soon as the event-loop budget allows its length. A surrogate pair is never
 * split.
 */
export async function* slicesOf(text: Text): AsyncGenerator<string> {
  for (let at = 0; at < text.length;) {
    const slice = text.slice(at, at + SLICE)
    const isCut = at + slice.length < text.length && isHighSurrogate(slice.charCodeAt(slice.length - 1))
    const whole = isCut ? slice.slice(0, -1) : slice
    await yieldFor(whole.length)
    yield whole
    at += whole.length
  }
}

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff

/** Text that consists of bytes in a character encoding, and is decoded slice by slice. */
export const textIn = (bytes: Buffer, encoding: 'latin1' | 'utf16le' | 'utf16be'): Text => {
  const width = encoding === 'latin1' ? 1 : 2
  return {
    length: Math.floor(bytes.length / width),
    slice: (from, to) =>
      encoding === 'utf16be'
        ? Buffer.from(bytes.subarray(from * width, Math.min(to, Math.floor(bytes.length / width)) * width))
            .swap16()
            .toString('utf16le')
        : bytes.toString(encoding, from * width, to * width),
  }
}

export const subText = (text: Text, from: number, to: number): Text => ({
  length: to - from,
  slice: (first, last) => text.slice(from + first, Math.min(from + last, to)),
})

/** Text without the white space at its beginning and end. */
export async function trimmed(text: Text): Promise<Text> {
  let from = 0
  let to = text.length
  for await (const slice of slicesOf(text)) {
    const { length } = slice.trimStart()
    from += slice.length - length
    if (length > 0) break
  }
  while (to > from) {
    const slice = text.slice(Math.max(from, to - SLICE), to)
    await yieldFor(slice.length)
    const { length } = slice.trimEnd()
    to -= slice.length - length
    if (length > 0) break
  }
  return subText(text, from, to)
}

/** Concatenates buffers, and lets the event loop run between the copies. */
export async function concatenateText(pieces: Buffer[]): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    await yieldFor(piece.length)
    at += piece.copy(whole, at)
  }
  return whole
}

/** Encodes a text as UTF-8. */
export async function utf8Of(text: Text): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const slice of slicesOf(text)) pieces.push(Buffer.from(slice, 'utf8'))
  return concatenateText(pieces)
}
