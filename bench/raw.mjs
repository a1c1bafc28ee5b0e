// undici without Node-RED: `raw` sends a body that was built beforehand, `lean` builds the leanest there is, and
// `lean + sha256` computes the file's sha256 with it, as ours has to: the limit.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { MESSAGES, MULTIPART } from './messages.mjs'

const EMBED_PIECE = 48 * 1024
const READ_PIECE = 480 * 1024
const TURN = 512 * 1024
const CONTENTS = '|'

/** @returns one who sends the cell's file once */
export async function rawSender(spec) {
  const { cell, url, tls } = spec
  const ca = tls ? readFileSync(path.join(import.meta.dirname, '../test/fixtures/tls/ca.pem')) : undefined
  const dispatcher = new Agent({ connections: cell.inFlight, connect: { ca } })
  const message = MESSAGES[cell.kind]
  const field = cell.way === 'embed' ? 'data' : 'url'
  const parts = JSON.stringify(message.build(CONTENTS, field, message.type)).split(CONTENTS)
  const post = async (to, contentType, length, body) => {
    const headers = { 'content-type': contentType, authorization: 'Bearer bench' }
    if (length !== undefined) headers['content-length'] = String(length)
    const answer = await request(`${url}${to}`, { dispatcher, method: 'POST', headers, body })
    return { headers: answer.headers, text: await answer.body.text() }
  }
  if (cell.way === 'embed') {
    const { length, body } = bodyWith(spec, ...parts.map((part) => Buffer.from(part)))
    return () => post(message.path, message.contentType, length, body())
  }
  const around = message.isFhir ? ['', ''] : [MULTIPART.head, MULTIPART.tail]
  const { length, body } = bodyWith(spec, ...around.map((part) => Buffer.from(part)))
  return async () => {
    const type = message.isFhir ? 'application/pdf' : MULTIPART.type
    const answer = await post(message.upload, type, length, body())
    const uri = message.isFhir ? answer.headers.location : JSON.parse(answer.text).URI
    await post(message.path, message.contentType, undefined, parts.join(uri))
  }
}

/** The file with what stands around it: in one piece, or in pieces that are made while they are sent. */
function bodyWith({ contestant, cell, file, path: filePath }, head, tail) {
  const isEmbed = cell.way === 'embed'
  const length = head.length + (isEmbed ? Math.ceil(cell.size / 3) * 4 : cell.size) + tail.length
  if (contestant === 'raw') {
    const whole = Buffer.concat([head, isEmbed ? Buffer.from(file.toString('base64')) : file, tail])
    return { length, body: () => whole }
  }
  const through = contestant === 'lean' ? (pieces) => pieces : hashed
  const pieces =
    cell.from === 'disk'
      ? () => readPieces(filePath, cell.size)
      : () => (isEmbed ? [file] : slices(file, READ_PIECE))
  const body = () =>
    iterable(async function* () {
      if (head.length > 0) yield head
      if (isEmbed) yield* encoded(through(pieces()))
      else yield* tail.length > 0 ? through(pieces()) : endingSmall(through(pieces()), cell.size)
      if (tail.length > 0) yield tail
    })
  return { length, body }
}

const iterable = (generate) => ({ [Symbol.asyncIterator]: generate })

function* slices(file, size) {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size)
}

// Two are in turns read into and sent.
const scratch = []

// The file is closed before its last piece is sent: an answer that comes while a body is not at its end costs undici the
// connection.
async function* readPieces(filePath, size) {
  const handle = await open(filePath)
  const buffers = scratch.pop() ?? [Buffer.allocUnsafeSlow(READ_PIECE), Buffer.allocUnsafeSlow(READ_PIECE)]
  for (let at = 0, turn = 0; at < size; turn++) {
    const { bytesRead } = await handle.read(buffers[turn % 2], 0, READ_PIECE)
    if (bytesRead === 0) throw new Error(`${filePath} is shorter than ${size}`)
    at += bytesRead
    if (at === size) await handle.close()
    yield buffers[turn % 2].subarray(0, bytesRead)
  }
  scratch.push(buffers)
}

// The last piece has to be small for the same reason: over TLS, undici waits until a large one has gone.
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

async function* hashed(pieces) {
  const hash = createHash('sha256')
  for await (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
  hash.digest('hex')
}

async function* encoded(pieces) {
  let since = 0
  const text = Buffer.allocUnsafe(EMBED_PIECE * (4 / 3))
  for await (const piece of pieces) {
    for (const slice of slices(piece, EMBED_PIECE)) {
      const length = text.latin1Write(slice.base64Slice(), 0)
      yield length < text.length ? Buffer.from(text.subarray(0, length)) : text
      if ((since += slice.length) >= TURN) {
        since = 0
        await nextTurn()
      }
    }
  }
}
