// undici without Node-RED: `raw` sends a body that was built beforehand, `lean` builds the body with the least possible
// work, and `lean + sha256` also computes the SHA-256 of the file, as our nodes have to. `lean + sha256` is thus the
// limit that our nodes can reach.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { MESSAGES, MULTIPART } from './messages.mjs'

/** @typedef {import('./bench.mjs').SenderSpec} SenderSpec */
/** @typedef {Iterable<Buffer> | AsyncIterable<Buffer>} Pieces of a body or a file */
/**
 * Buffers of a message, allocated when a file is read: one is read into while the other is sent.
 * @typedef {{ reading?: Buffer | undefined, sending?: Buffer | undefined }} Buffers
 */

const EMBED_PIECE = 48 * 1024
const READ_PIECE = 480 * 1024
const TURN = 512 * 1024
const CONTENTS = '|'

/**
 * Returns a function that sends the cell's file once.
 * @param {SenderSpec} spec
 * @returns {Promise<import('./measure.mjs').SendOne>}
 */
export async function rawSender(spec) {
  const { cell, url, tls } = spec
  const ca = tls ? readFileSync(path.join(import.meta.dirname, '../test/fixtures/tls/ca.pem')) : undefined
  const dispatcher = new Agent({ connections: cell.inFlight, connect: { ca } })
  const message = MESSAGES[cell.kind]
  const field = cell.way === 'embed' ? 'data' : 'url'
  const parts = JSON.stringify(message.build(CONTENTS, field, message.type)).split(CONTENTS)
  /**
   * @param {string} to path
   * @param {string} contentType
   * @param {string | Buffer | AsyncIterable<Buffer>} body
   * @param {number} [length] length in bytes, where undici does not know it
   */
  const post = async (to, contentType, body, length) => {
    const headers = {
      ...{ 'content-type': contentType, authorization: 'Bearer bench' },
      ...(length !== undefined && { 'content-length': String(length) }),
    }
    // undici also accepts async iterables, but its TypeScript types do not.
    const content = /** @type {string | Buffer} */ (body)
    const answer = await request(`${url}${to}`, { dispatcher, method: 'POST', headers, body: content })
    return { headers: answer.headers, text: await answer.body.text() }
  }
  if (cell.way === 'embed') {
    const { length, body } = bodyWith(spec, parts)
    return withBuffers(
      async (buffers) => void (await post(message.path, message.contentType, body(buffers), length)),
    )
  }
  const around = message.isFhir ? ['', ''] : [MULTIPART.head, MULTIPART.tail]
  const { length, body } = bodyWith(spec, around)
  return withBuffers(async (buffers) => {
    const type = message.isFhir ? 'application/pdf' : MULTIPART.type
    const answer = await post(message.upload, type, body(buffers), length)
    const uri = message.isFhir ? answer.headers.location : JSON.parse(answer.text).URI
    await post(message.path, message.contentType, parts.join(uri))
  })
}

/**
 * Returns a function that sends one message with a pair of buffers that no other message uses before the HTTP response:
 * undici does not say when a short piece has left its buffer.
 * @param {(buffers: Buffers) => Promise<void>} send
 * @returns {import('./measure.mjs').SendOne}
 */
function withBuffers(send) {
  /** @type {Buffers[]} */
  const free = []
  return async () => {
    const buffers = free.pop() ?? {}
    await send(buffers)
    free.push(buffers)
  }
}

/**
 * Returns a request body that consists of a string, the file and another string: in one piece, or in pieces that are
 * created while the body is sent.
 * @param {SenderSpec} spec
 * @param {string[]} around the two strings before and after the file
 * @returns {{ length: number, body: (buffers: Buffers) => Buffer | AsyncIterable<Buffer> }}
 */
function bodyWith({ contestant, cell, file, path: filePath }, [before = '', after = '']) {
  const [head, tail] = [Buffer.from(before), Buffer.from(after)]
  const isEmbed = cell.way === 'embed'
  const length = head.length + (isEmbed ? Math.ceil(cell.size / 3) * 4 : cell.size) + tail.length
  if (contestant === 'raw') {
    const content = inMemory(file)
    const whole = Buffer.concat([head, isEmbed ? Buffer.from(content.toString('base64')) : content, tail])
    return { length, body: () => whole }
  }
  /** @type {(pieces: Pieces) => Pieces} */
  const through = contestant === 'lean' ? (pieces) => pieces : hashed
  const pieces =
    cell.from === 'disk'
      ? (/** @type {Buffers} */ buffers) => readPieces(filePath, cell.size, buffers)
      : () => (isEmbed ? [inMemory(file)] : slices(inMemory(file), READ_PIECE))
  /** @param {Buffers} buffers */
  const body = (buffers) =>
    iterable(async function* () {
      const whole = through(pieces(buffers))
      if (head.length > 0) yield head
      if (isEmbed) yield* encoded(whole)
      else yield* tail.length > 0 ? whole : endingSmall(whole, cell.size)
      if (tail.length > 0) yield tail
    })
  return { length, body }
}

/**
 * @param {Buffer | undefined} file
 * @throws if this contestant was given no bytes
 */
function inMemory(file) {
  if (file === undefined) throw new Error('The file of this cell is on the disk only')
  return file
}

/** @param {() => AsyncGenerator<Buffer>} generate */
const iterable = (generate) => ({ [Symbol.asyncIterator]: generate })

/**
 * @param {Buffer} file
 * @param {number} size size of a slice in bytes
 */
function* slices(file, size) {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size)
}

// The file is closed before its last piece is sent: if the HTTP response comes before the body has ended, undici closes
// the connection.
/**
 * @param {string} filePath
 * @param {number} size size of the file in bytes
 * @param {Buffers} buffers
 */
async function* readPieces(filePath, size, buffers) {
  const handle = await open(filePath)
  for (let at = 0; at < size;) {
    const { reading = Buffer.allocUnsafeSlow(READ_PIECE) } = buffers
    buffers.reading = buffers.sending
    buffers.sending = reading
    const { bytesRead } = await handle.read(reading, 0, READ_PIECE)
    if (bytesRead === 0) throw new Error(`${filePath} is shorter than ${size}`)
    at += bytesRead
    if (at === size) await handle.close()
    yield reading.subarray(0, bytesRead)
  }
}

// The last piece of a request body is a single byte: over TLS, a large last piece takes so long that the HTTP response
// may come before undici regards the body as sent, and undici then closes the connection.
/**
 * @param {Pieces} pieces
 * @param {number} size size of all pieces in bytes
 */
async function* endingSmall(pieces, size) {
  let at = 0
  for await (const piece of pieces) {
    at += piece.length
    if (at < size) yield piece
    else {
      yield piece.subarray(0, -1)
      yield piece.subarray(-1)
    }
  }
}

/** @param {Pieces} pieces */
async function* hashed(pieces) {
  const hash = createHash('sha256')
  for await (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
  hash.digest('hex')
}

/** @param {Pieces} pieces */
async function* encoded(pieces) {
  let since = 0
  const text = Buffer.allocUnsafe(EMBED_PIECE * (4 / 3))
  for await (const piece of pieces) {
    for (const slice of slices(piece, EMBED_PIECE)) {
      const length = text.write(slice.toString('base64'), 0, 'latin1')
      yield length < text.length ? Buffer.from(text.subarray(0, length)) : text
      if ((since += slice.length) >= TURN) {
        since = 0
        await nextTurn()
      }
    }
  }
}
