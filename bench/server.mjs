// What all contestants send to: a process of its own, that takes everything and verifies it, and does nothing else.
// Not the sandbox, which checks too much to be fast. It answers as Redox does: see answers.mjs.
import { createHash } from 'node:crypto'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { binaryUpload, blobUpload, dataModelMessage, fhirMessage, token } from './answers.mjs'

const { tls, latency } = JSON.parse(process.argv[2])
const TLS = path.join(import.meta.dirname, '../test/fixtures/tls')

let expected = { way: '', content: Buffer.alloc(0), sha256: '' }
let seen = newSeen()
/** What was uploaded and is in no message yet. */
let uploaded = new Set()
function newSeen() {
  return { messages: 0, uploads: 0, wrong: 0, connections: 0 }
}

const BINARY = '/fhir/R4/redox/Development/Binary'
const OPERATION = /^\/fhir\/R4\/[\w-]+\/Development\/(\w+)\/\$[\w-]+$/

const UPLOADS = {
  '/upload': { mark: '\r\n\r\n', answer: () => blobUpload(seen.uploads) },
  [BINARY]: {
    mark: '',
    answer: ({ headers }) =>
      binaryUpload(seen.uploads, `${tls ? 'https' : 'http'}://${headers.host}${BINARY}`),
  },
}

async function handle(request, response) {
  const { status, headers, body } = await answerTo(request)
  if (latency > 0) await sleep(latency)
  response.writeHead(status, headers)
  response.end(body)
}

async function answerTo(request) {
  if (request.url === '/v2/auth/token') return (await textOf(request), token())
  const upload = UPLOADS[request.url]
  if (upload !== undefined) return takeUpload(request, upload)
  const type = request.url === '/endpoint' ? undefined : OPERATION.exec(request.url)[1]
  const meta = await takeMessage(request, type === undefined ? '"FileContents":"' : '"data":"')
  const number = seen.messages++
  return type === undefined ? dataModelMessage(number, meta) : fhirMessage(number, type)
}

async function takeUpload(request, { mark, answer }) {
  await takeFile(request, mark)
  const { uri, ...answered } = answer(request)
  seen.uploads++
  uploaded.add(uri)
  return answered
}

/** @returns what the answer repeats of the message */
async function takeMessage(request, mark) {
  if (expected.way === 'embed') return metaOf((await takeFile(request, mark)).start)
  const text = await textOf(request)
  const uri = [...text.matchAll(/"(https?:[^"]+)"/g)].find(([, one]) => uploaded.has(one))?.[1]
  if (uri === undefined || Buffer.byteLength(text) !== Number(request.headers['content-length'])) seen.wrong++
  else uploaded.delete(uri)
  return metaOf(text)
}

const metaOf = (text) => ({
  DataModel: /"DataModel":"(\w+)"/.exec(text)?.[1],
  EventType: /"EventType":"(\w+)"/.exec(text)?.[1],
})

async function textOf(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function takeFile(request, mark) {
  const file = new FileInBody(mark)
  for await (const chunk of request) file.add(chunk)
  if (!file.isAsExpected(Number(request.headers['content-length']))) seen.wrong++
  return file
}

// Bytes are compared in each message, which takes a tenth of the time that sha256 takes: else the server would be what
// is measured. Every so often sha256 has to agree.
const SHA256_EVERY = 10

/** The file in a body, judged while it comes: the base64 text where it is embedded, the bytes otherwise. */
class FileInBody {
  bodyLength = 0
  /** what stands before the file */
  start = ''
  #mark
  #head = Buffer.alloc(0)
  /** of the file */
  #position
  #isSame = true
  #hash = (seen.messages + seen.uploads) % SHA256_EVERY === 0 ? createHash('sha256') : undefined

  /** @param mark what stands before the file */
  constructor(mark) {
    this.#mark = mark
  }

  add(chunk) {
    this.bodyLength += chunk.length
    if (this.#position !== undefined) return this.#compare(chunk)
    this.#head = Buffer.concat([this.#head, chunk])
    const at = this.#head.indexOf(this.#mark)
    if (at < 0) return
    this.#position = 0
    this.start = this.#head.latin1Slice(0, at)
    this.#compare(this.#head.subarray(at + this.#mark.length))
  }

  #compare(chunk) {
    const { content } = expected
    const part = chunk.subarray(0, content.length - this.#position)
    this.#isSame &&= part.equals(content.subarray(this.#position, this.#position + part.length))
    this.#position += part.length
    this.#hash?.update(part)
  }

  isAsExpected(contentLength) {
    const isWhole = contentLength === this.bodyLength && this.#position === expected.content.length
    return isWhole && this.#isSame && (this.#hash?.digest('hex') ?? expected.sha256) === expected.sha256
  }
}

function expectedOf({ way, path: file }) {
  const bytes = readFileSync(file)
  const content = way === 'embed' ? Buffer.from(bytes.toString('base64')) : bytes
  return { way, content, sha256: createHash('sha256').update(content).digest('hex') }
}

const pem = (file) => readFileSync(path.join(TLS, file))
const server = tls
  ? createHttps({ key: pem('key.pem'), cert: pem('server.pem') }, handle)
  : createHttp(handle)
server.keepAliveTimeout = 60_000
server.on(tls ? 'secureConnection' : 'connection', () => seen.connections++)
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))

process.on('message', (message) => {
  if (message.expect !== undefined) {
    expected = expectedOf(message.expect)
    seen = newSeen()
    uploaded = new Set()
    process.send({ ready: true })
  } else process.send({ seen: { ...seen, unused: uploaded.size } })
})

process.on('disconnect', () => process.exit())
