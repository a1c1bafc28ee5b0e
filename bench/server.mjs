// What all contestants send to: a process of its own, that takes everything and verifies it, and does nothing else.
// Not the sandbox, which checks too much to be fast.
import { createHash } from 'node:crypto'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const { tls, latency } = JSON.parse(process.argv[2])
const TLS = path.join(import.meta.dirname, '../test/fixtures/tls')

let expected = { content: Buffer.alloc(0), sha256: '' }
let seen = newSeen()
function newSeen() {
  return { count: 0, wrong: 0, bytes: 0, connections: 0 }
}

const answers = {
  '/v2/auth/token': () => ({ access_token: 'bench', token_type: 'Bearer', expires_in: 3600 }),
  '/upload': () => ({ URI: `https://blob.example/${seen.count}` }),
  '/endpoint': () => ({ Meta: { Logs: [{ ID: '3f8a1f6e-2e34-4c53-9f3f-2a3a7a3a9f10' }] } }),
}

async function handle(request, response) {
  const file = new FileInBody(request.url === '/endpoint' ? '"FileContents":"' : '\r\n\r\n')
  for await (const chunk of request) file.add(chunk)
  if (request.url !== '/v2/auth/token') {
    seen.count++
    seen.bytes += file.bodyLength
    if (!file.isAsExpected(Number(request.headers['content-length']))) seen.wrong++
  }
  if (latency > 0) await sleep(latency)
  const body = JSON.stringify(answers[request.url]())
  response.writeHead(request.url === '/upload' ? 201 : 200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

// Bytes are compared in each message, which takes a tenth of the time that sha256 takes: else the server would be what
// is measured. Every so often sha256 has to agree.
const SHA256_EVERY = 10

/** The file in a body, judged while it comes: the base64 text where it is embedded, the bytes otherwise. */
class FileInBody {
  bodyLength = 0
  #mark
  #head = Buffer.alloc(0)
  /** of the file */
  #position
  #isSame = true
  #hash = seen.count % SHA256_EVERY === 0 ? createHash('sha256') : undefined

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
  return { content, sha256: createHash('sha256').update(content).digest('hex') }
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
    process.send({ ready: true })
  } else process.send({ seen })
})

process.on('disconnect', () => process.exit())
