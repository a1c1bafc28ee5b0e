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

let expected = ''
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
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  if (request.url !== '/v2/auth/token') verify(request, Buffer.concat(chunks))
  if (latency > 0) await sleep(latency)
  const body = JSON.stringify(answers[request.url]())
  response.writeHead(request.url === '/upload' ? 201 : 200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

/** The file's digest: of the base64 text where it is embedded, of the bytes where it is a part. */
function verify({ url, headers }, body) {
  seen.count++
  seen.bytes += body.length
  const file = url === '/endpoint' ? embedded(body) : part(body)
  const isWhole = Number(headers['content-length']) === body.length
  if (!isWhole || createHash('sha256').update(file).digest('hex') !== expected) seen.wrong++
}

const CONTENTS = Buffer.from('"FileContents":"')
function embedded(body) {
  const from = body.indexOf(CONTENTS) + CONTENTS.length
  return body.subarray(from, body.indexOf(0x22, from))
}

function part(body) {
  const from = body.indexOf('\r\n\r\n') + 4
  return body.subarray(from, body.lastIndexOf('\r\n--'))
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
    expected = message.expect
    seen = newSeen()
    process.send({ ready: true })
  } else process.send({ seen })
})
