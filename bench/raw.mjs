// undici without Node-RED: `raw` sends a body that was built beforehand, `lean` builds the leanest there is.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { readFileSync } from 'node:fs'
import path from 'node:path'

const EMBED_PIECE = 48 * 1024
const READ_PIECE = 512 * 1024
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
    cell.from === 'disk' ? () => diskPieces(filePath, isEmbed) : () => bufferPieces(file, isEmbed, tls)
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

async function* bufferPieces(file, isEmbed, tls) {
  if (isEmbed) yield* encoded([file])
  else if (!tls) yield file
  else for (let at = 0; at < file.length; at += READ_PIECE) yield file.subarray(at, at + READ_PIECE)
}

async function* diskPieces(filePath, isEmbed) {
  const read = readPieces(filePath, isEmbed ? EMBED_PIECE * 10 : READ_PIECE)
  if (isEmbed) yield* encoded(read)
  else yield* read
}

async function* readPieces(filePath, size) {
  const handle = await open(filePath)
  try {
    const buffers = [Buffer.allocUnsafe(size), Buffer.allocUnsafe(size)]
    for (let turn = 0; ; turn++) {
      const { bytesRead } = await handle.read(buffers[turn % 2], 0, size)
      if (bytesRead === 0) return
      yield buffers[turn % 2].subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

async function* encoded(files) {
  const hash = createHash('sha256')
  let since = 0
  for await (const file of files) {
    for (let at = 0; at < file.length; at += EMBED_PIECE) {
      const piece = file.subarray(at, at + EMBED_PIECE)
      hash.update(piece)
      yield Buffer.from(piece.toString('base64'), 'latin1')
      if ((since += piece.length) >= TURN) {
        since = 0
        await nextTurn()
      }
    }
  }
  hash.digest('hex')
}
