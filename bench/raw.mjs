// undici without Node-RED: `raw` sends a body that was built beforehand, `lean` builds the leanest there is.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { readFileSync } from 'node:fs'
import path from 'node:path'

const EMBED_PIECE = 48 * 1024
const READ_PIECE = 480 * 1024
const TURN = 512 * 1024
const BOUNDARY = 'bench-boundary'
const MULTIPART = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="scan.pdf"\r\nContent-Type: application/pdf\r\n\r\n`

/** @returns one who sends the cell's file once */
export async function rawSender({ contestant, cell, url, file, path: filePath, tls }) {
  const ca = tls ? readFileSync(path.join(import.meta.dirname, '../test/fixtures/tls/ca.pem')) : undefined
  const dispatcher = new Agent({ connections: cell.inFlight, connect: { ca } })
  const isEmbed = cell.way === 'embed'
  const [head, tail] = isEmbed
    ? jsonParts()
    : [Buffer.from(MULTIPART), Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]
  const size = isEmbed ? Math.ceil(cell.size / 3) * 4 : cell.size
  const headers = {
    'content-type': isEmbed ? 'application/json' : `multipart/form-data; boundary=${BOUNDARY}`,
    'content-length': String(head.length + size + tail.length),
    authorization: 'Bearer bench',
  }
  const whole =
    contestant === 'raw'
      ? Buffer.concat([head, isEmbed ? Buffer.from(file.toString('base64')) : file, tail])
      : undefined
  const pieces =
    cell.from === 'disk' ? () => diskPieces(filePath, isEmbed) : () => bufferPieces(file, isEmbed)
  const body = () =>
    whole ??
    iterable(async function* () {
      yield head
      yield* pieces()
      yield tail
    })
  const target = `${url}${isEmbed ? '/endpoint' : '/upload'}`
  return async () => {
    const answer = await request(target, { dispatcher, method: 'POST', headers, body: body() })
    await answer.body.text()
  }
}

const iterable = (generate) => ({ [Symbol.asyncIterator]: generate })

function jsonParts() {
  const message = {
    Meta: {
      DataModel: 'Notes',
      EventType: 'New',
      EventDateTime: new Date().toISOString(),
      Test: true,
      Destinations: [{ ID: 'af394f14-b34a-464f-8d24-895f370af4c9' }],
    },
    Patient: { Identifiers: [{ ID: 'bench', IDType: 'MR' }] },
    Note: { DocumentType: 'Bench', DocumentID: 'bench-1', Provider: { ID: '1' }, FileContents: '|' },
  }
  return JSON.stringify(message)
    .split('|')
    .map((part) => Buffer.from(part))
}

// All of lean's bodies know the sha256 of the file, as ours have to.

async function* bufferPieces(file, isEmbed) {
  yield* isEmbed ? encoded([file]) : hashed(slices(file, READ_PIECE))
}

async function* diskPieces(filePath, isEmbed) {
  yield* isEmbed ? encoded(readPieces(filePath)) : hashed(readPieces(filePath))
}

function* slices(file, size) {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size)
}

// Two are in turns read into and sent.
const scratch = []

async function* readPieces(filePath) {
  const handle = await open(filePath)
  const buffers = scratch.pop() ?? [Buffer.allocUnsafeSlow(READ_PIECE), Buffer.allocUnsafeSlow(READ_PIECE)]
  try {
    for (let turn = 0; ; turn++) {
      const { bytesRead } = await handle.read(buffers[turn % 2], 0, READ_PIECE)
      if (bytesRead === 0) break
      yield buffers[turn % 2].subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
  scratch.push(buffers)
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
  for await (const piece of hashed(pieces)) {
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
