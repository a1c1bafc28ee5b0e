// The HTTP server to which all contestants send, in a separate process. It only verifies the files (the sandbox checks
// more, and would be too slow), and responds as Redox does, see answers.mjs.
import { createHash } from 'node:crypto'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { portOf, sendToParent } from '../scripts/lib/process.mjs'
import { binaryUpload, blobUpload, dataModelMessage, fhirMessage, token } from './answers.mjs'

/** @typedef {import('node:http').IncomingMessage} Request */
/** @typedef {import('node:http').ServerResponse} Response */
/**
 * @typedef {{ way: string, content: Buffer, sha256: string }} Expected file that a request must contain; `way`: `embed`
 *   or `upload`, `content`: bytes of the file as they occur in the request body
 */
/**
 * Counts of the server; `firstWrong`: what was wrong in the first wrong request.
 * @typedef {{ messages: number, uploads: number, wrong: number, connections: number, firstWrong?: string }} Seen
 */
/**
 * @typedef {{ mark: string, answer: (request: Request) => import('./answers.mjs').UploadAnswer }} Upload `mark`: string
 *   that precedes the file in the request body
 */

/** @type {{ tls: boolean, latency: number }} */
const { tls, latency } = JSON.parse(process.argv[2] ?? '')
const TLS = path.join(import.meta.dirname, '../test/fixtures/tls')

/** @type {Expected} */
let expected = { way: '', content: Buffer.alloc(0), sha256: '' }
let seen = newSeen()
/**
 * URIs of uploaded files to which no message has referred yet.
 * @type {Set<string>}
 */
let uploaded = new Set()

/** @returns {Seen} */
function newSeen() {
  return { messages: 0, uploads: 0, wrong: 0, connections: 0 }
}

const BINARY = '/fhir/R4/redox/Development/Binary'
/** @param {string} what what is wrong in a request */
function countWrong(what) {
  seen.wrong++
  seen.firstWrong ??= what
}

const OPERATION = /^\/fhir\/R4\/[\w-]+\/Development\/(\w+)\/\$[\w-]+$/

/** @type {Record<string, Upload>} */
const UPLOADS = {
  '/upload': { mark: '\r\n\r\n', answer: () => blobUpload(seen.uploads) },
  [BINARY]: {
    mark: '',
    answer: ({ headers }) =>
      binaryUpload(seen.uploads, `${tls ? 'https' : 'http'}://${headers.host}${BINARY}`),
  },
}

/**
 * @param {Request} request
 * @param {Response} response
 */
async function handle(request, response) {
  const { status, headers, body } = await answerTo(request)
  if (latency > 0) await sleep(latency)
  response.writeHead(status, headers)
  response.end(body)
}

/** @param {Request} request */
async function answerTo(request) {
  if (request.url === '/v2/auth/token') return (await textOf(request), token())
  const upload = UPLOADS[request.url ?? '']
  if (upload !== undefined) return takeUpload(request, upload)
  const type = request.url === '/endpoint' ? undefined : operationOf(request)
  const meta = await takeMessage(request, type === undefined ? '"FileContents":"' : '"data":"')
  const number = seen.messages++
  return type === undefined ? dataModelMessage(number, meta) : fhirMessage(number, type)
}

/**
 * Returns the resource type in the path of a FHIR operation.
 * @param {Request} request
 * @throws if the path is no FHIR operation
 */
function operationOf({ url = '' }) {
  const type = OPERATION.exec(url)?.[1]
  if (type === undefined) throw new Error(`No such path: ${url}`)
  return type
}

/**
 * @param {Request} request
 * @param {Upload} upload
 */
async function takeUpload(request, { mark, answer }) {
  await takeFile(request, mark)
  const { uri, ...answered } = answer(request)
  seen.uploads++
  uploaded.add(uri)
  return answered
}

/**
 * Verifies a message, and returns the values of the message that the response repeats.
 * @param {Request} request
 * @param {string} mark string that precedes an embedded file
 */
async function takeMessage(request, mark) {
  if (expected.way === 'embed') return metaOf((await takeFile(request, mark)).start)
  const text = await textOf(request)
  const uri = [...text.matchAll(/"(https?:[^"]+)"/g)]
    .map(([, one = '']) => one)
    .find((one) => uploaded.has(one))
  if (uri === undefined) countWrong('the message refers to no uploaded file')
  else if (Buffer.byteLength(text) !== Number(request.headers['content-length']))
    countWrong('the message is not as long as its Content-Length')
  else uploaded.delete(uri)
  return metaOf(text)
}

/** @param {string} text request body of a message, or the beginning of the body */
const metaOf = (text) => ({
  DataModel: /"DataModel":"(\w+)"/.exec(text)?.[1],
  EventType: /"EventType":"(\w+)"/.exec(text)?.[1],
})

/** @param {Request} request */
async function textOf(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/**
 * @param {Request} request
 * @param {string} mark string that precedes the file
 */
async function takeFile(request, mark) {
  const file = new FileInBody(mark)
  for await (const chunk of request) file.add(chunk)
  const length = Number(request.headers['content-length'])
  if (!file.isAsExpected(length)) countWrong(`${file.found()}, Content-Length ${length}`)
  return file
}

// The bytes of every message are compared, which takes a tenth of the time of SHA-256: with SHA-256 for each, the
// server would be the bottleneck. SHA-256 is only checked for one in SHA256_EVERY messages.
const SHA256_EVERY = 10

/**
 * Compares the file in a request body while the body is received: as base64 text if the file is embedded, otherwise as
 * bytes.
 */
class FileInBody {
  bodyLength = 0
  /** part of the body before the file */
  start = ''
  #mark
  /** @type {Buffer} */
  #head = Buffer.alloc(0)
  /**
   * bytes of the file that were compared; undefined before its beginning
   * @type {number | undefined}
   */
  #position
  /**
   * position of the first chunk that differs
   * @type {number | undefined}
   */
  #differsAt
  #hash = (seen.messages + seen.uploads) % SHA256_EVERY === 0 ? createHash('sha256') : undefined

  /** @param {string} mark string that precedes the file */
  constructor(mark) {
    this.#mark = mark
  }

  /** @param {Buffer} chunk */
  add(chunk) {
    this.bodyLength += chunk.length
    if (this.#position !== undefined) return this.#compare(chunk, this.#position)
    this.#head = Buffer.concat([this.#head, chunk])
    const at = this.#head.indexOf(this.#mark)
    if (at < 0) return
    this.start = this.#head.toString('latin1', 0, at)
    this.#compare(this.#head.subarray(at + this.#mark.length), 0)
  }

  /**
   * @param {Buffer} chunk
   * @param {number} position position of the chunk in the file
   */
  #compare(chunk, position) {
    const { content } = expected
    const part = chunk.subarray(0, content.length - position)
    if (this.#differsAt === undefined && !part.equals(content.subarray(position, position + part.length)))
      this.#differsAt = position
    this.#position = position + part.length
    this.#hash?.update(part)
  }

  /** Says what was received. */
  found() {
    const differs = this.#differsAt === undefined ? 'no chunk' : `the chunk at ${this.#differsAt}`
    return `${differs} of the file differs, ${this.#position} bytes of it in a body of ${this.bodyLength}`
  }

  /** @param {number} contentLength Content-Length of the request, in bytes */
  isAsExpected(contentLength) {
    const isWhole = contentLength === this.bodyLength && this.#position === expected.content.length
    return (
      isWhole &&
      this.#differsAt === undefined &&
      (this.#hash?.digest('hex') ?? expected.sha256) === expected.sha256
    )
  }
}

/**
 * @param {import('./bench.mjs').Expectation} expectation
 * @returns {Expected}
 */
function expectedOf({ way, path: file }) {
  const bytes = readFileSync(file)
  const content = way === 'embed' ? Buffer.from(bytes.toString('base64')) : bytes
  return { way, content, sha256: createHash('sha256').update(content).digest('hex') }
}

/** @param {string} file */
const pem = (file) => readFileSync(path.join(TLS, file))
const listener = (/** @type {Request} */ request, /** @type {Response} */ response) =>
  void handle(request, response)
const server = tls
  ? createHttps({ key: pem('key.pem'), cert: pem('server.pem') }, listener)
  : createHttp(listener)
server.keepAliveTimeout = 60_000
server.on(tls ? 'secureConnection' : 'connection', () => seen.connections++)
server.listen(0, '127.0.0.1', () => sendToParent({ port: portOf(server) }))

process.on('message', (/** @type {import('./bench.mjs').ToServer} */ message) => {
  if ('expect' in message) {
    expected = expectedOf(message.expect)
    seen = newSeen()
    uploaded = new Set()
    sendToParent({ ready: true })
  } else sendToParent({ seen: { ...seen, unused: uploaded.size } })
})

process.on('disconnect', () => process.exit())
