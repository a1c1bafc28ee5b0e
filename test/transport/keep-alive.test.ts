import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Connection } from '../../nodes/lib/connection/connection'
import { takeMemory } from '../../src/file/file'
import { uploadDirect } from '../../src/redox/direct-delivery'
import { sizedFile } from '../lib/fixtures'
import { CA, certified } from '../lib/proxy'
import { connectTo, never, TEST_KEY } from '../lib/redox'

// Server in a separate thread, so that a response can arrive while the main thread is still waiting for its socket.
const SERVER = `
  const { parentPort, workerData } = require('node:worker_threads')
  let connections = 0
  const server = require('node:https').createServer(workerData, async (request, response) => {
    for await (const _ of request);
    const token = { access_token: 'token', expires_in: 300 }
    response.writeHead(201, { location: 'https://127.0.0.1/file', 'content-type': 'application/json' })
    response.end(JSON.stringify(token))
  })
  server.on('secureConnection', () => connections++)
  parentPort.on('message', () => parentPort.postMessage(connections))
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`
const AT_ONCE = 8

describe('uploads over TLS', function () {
  this.timeout(60_000)
  let server: Worker
  let connection: Connection

  beforeEach(async () => {
    server = new Worker(SERVER, { eval: true, workerData: certified('server') })
    const [port] = (await once(server, 'message')) as [number]
    const network = { tls: { ca: CA } }
    connection = connectTo(
      `https://127.0.0.1:${port}`,
      { binaryForm: 'raw' },
      { privateKey: TEST_KEY },
      network,
    )
  })
  afterEach(async () => {
    await connection.client.close()
    await server.terminate()
  })

  for (const kind of ['binary', 'blob'] as const)
    it(`reuse each connection: ${kind}`, async () => {
      const hints = { where: 'x', filename: 'x.bin', contentType: 'application/octet-stream' }
      const { file } = takeMemory(sizedFile(1_000_000), hints)
      let left = 200
      const uploadInTurn = async (): Promise<void> => {
        while (left-- > 0) await uploadDirect(connection.client, file, { kind, signal: never() })
      }
      await Promise.all(Array.from({ length: AT_ONCE }, uploadInTurn))
      server.postMessage('count')
      const [connections] = (await once(server, 'message')) as [number]
      assert.ok(connections <= AT_ONCE, `${connections} connections`)
    })
})
