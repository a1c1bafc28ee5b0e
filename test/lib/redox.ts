/**
 * HTTP servers on loopback for the contract and unit tests: a scripted server, and a recording proxy to the sandbox.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { request as forward } from 'undici'
import {
  environmentOf,
  openConnection,
  type Connection,
  type ConnectionConfig,
} from '../../nodes/lib/connection/connection'
import type { Network } from '../../nodes/lib/connection/network'
import { RedoxError, type RedoxErrorCode } from '../../src/errors'
import type { Sandbox } from '../../src/sandbox'

/**
 * Host name without an address. A label of a name has at most 63 characters, so the resolver refuses this name without
 * asking a DNS server. A slow DNS server would delay the end of a Node.js process: it waits for its look-ups.
 */
export const UNKNOWN_HOST = `${'redox'.repeat(13)}.invalid`

/** Received request with its exact bytes. */
export interface Recorded {
  path: string
  headers: IncomingHttpHeaders
  body: Buffer
  /** over TLS: the server name (SNI) that the client requested; false: none */
  servername?: string | false
  client?: string
}

/** HTTP response that a test defines (a body object is sent as JSON), or a function that writes the response itself. */
export type Reply =
  | { status?: number; headers?: Record<string, string>; body?: unknown }
  | ((response: ServerResponse, request: IncomingMessage) => void | Promise<void>)

export interface Server {
  url: string
  /** requests in the order of arrival */
  requests: Recorded[]
  /** requests for this path */
  to(path: string): Recorded[]
  /** number of connections that clients have opened so far */
  connections(): number
  close(): Promise<void>
}

/**
 * Starts a server that records its requests.
 * @param tls certificate and other TLS settings of the server
 * @param read function that reads a request body; the default reads as fast as possible. If the function throws, the
 * server closes the connection.
 */
export async function serve(
  reply: (request: Recorded) => Reply | Promise<Reply>,
  tls?: ServerOptions,
  read: (request: IncomingMessage) => Promise<Buffer> = bytesOf,
  port = 0,
): Promise<Server> {
  const requests: Recorded[] = []
  let connections = 0
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    void (async () => {
      const { url, headers: given } = request
      const recorded = { path: url!, headers: given, body: await read(request), ...tlsFacts(request, tls) }
      requests.push(recorded)
      const answer = await reply(recorded)
      if (typeof answer === 'function') return answer(response, request)
      const { status = 200, headers = {}, body = '' } = answer
      response.writeHead(status, headers)
      response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
    })().catch(() => response.destroy())
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  server.keepAliveTimeout = 60_000
  server.on('connection', () => connections++)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${(server.address() as AddressInfo).port}`,
    requests,
    to: (path) => requests.filter((request) => request.path === path),
    connections: () => connections,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function tlsFacts({ socket }: IncomingMessage, tls: ServerOptions | undefined): Partial<Recorded> {
  if (tls === undefined) return {}
  const secure = socket as TLSSocket & { servername: string | false }
  const name = secure.getPeerCertificate().subject?.CN
  return { servername: secure.servername, ...(typeof name === 'string' && { client: name }) }
}

const NOT_FORWARDED = new Set(['host', 'connection', 'content-length', 'keep-alive', 'transfer-encoding'])

/**
 * Starts a proxy that records complete requests and forwards them to the sandbox, which keeps shortened bodies only.
 * In upload responses, the proxy replaces the sandbox's address by Redox's public hosts, so that messages look as in
 * production. In requests to the sandbox, the proxy restores the sandbox's address.
 */
export async function wireTo(sandbox: Sandbox): Promise<Server> {
  const local = new Map<string, string>()
  const publish = (url: string, host: string): string => {
    const open = url.replace(sandbox.url, host)
    local.set(open, url)
    return open
  }
  return serve(async ({ path, headers, body }) => {
    let forwarded = body
    // A body above this size is forwarded unchanged: it contains its files and no references to uploaded files.
    for (const [open, url] of body.length > 10_000_000 ? [] : local) {
      if (forwarded.includes(open))
        forwarded = Buffer.from(forwarded.toString('latin1').replaceAll(open, url), 'latin1')
    }
    const kept = Object.entries(headers).filter(([name]) => !NOT_FORWARDED.has(name))
    // Each request uses a new connection: a kept-alive connection can expire while a large file keeps the process busy.
    const answer = await forward(sandbox.url + path, {
      method: 'POST',
      headers: Object.fromEntries(kept) as Record<string, string>,
      body: forwarded,
      reset: true,
    })
    const status = answer.statusCode
    const text = await answer.body.text()
    const given = Object.entries(answer.headers).filter(([name]) => !NOT_FORWARDED.has(name))
    const plain = Object.fromEntries(given) as Record<string, string>
    if (status !== 201) return { status, headers: plain, body: text }
    const { URI, ...rest } = JSON.parse(text) as { URI?: string }
    if (plain.location) plain.location = publish(plain.location, 'https://api.redoxengine.com')
    const reference = URI === undefined ? {} : { URI: publish(URI, 'https://blob.redoxengine.com') }
    return { status, headers: plain, body: { ...rest, ...reference } }
  })
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const TEST_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

/** Connection as a redox-config node opens it, with this URL in place of all hosts of Redox. */
export function connectTo(
  url: string,
  config: ConnectionConfig = {},
  secrets: { privateKey?: string; apiKey?: string; secret?: string } = { privateKey: TEST_KEY },
  network: Network = {},
): Connection {
  const hosts = { apiBase: url, fhirBase: `${url}/fhir/R4`, blobUploadUrl: `${url}/upload` }
  // By default one attempt per message; tests of retries set the number of attempts.
  const filled = {
    ...{ auth: 'oauth', clientId: 'client-1', keyId: 'key-1', attempts: 1 },
    ...hosts,
    ...config,
  }
  const target = environmentOf(config.environment ?? 'Development')
  return openConnection(filled, secrets, target, { sandbox: undefined, userDir: process.cwd(), network })
}

/** Connection to a recording proxy, with the sandbox's own key. */
export const connectBy = (wire: Server, sandbox: Sandbox, config: ConnectionConfig = {}): Connection =>
  connectTo(
    wire.url,
    { ...sandbox.oauthKey, audience: `${sandbox.url}/v2/auth/token`, ...config },
    sandbox.oauthKey,
  )

export const TOKEN_PATH = '/v2/auth/token'
export const isToken = ({ path }: Recorded): boolean => path === TOKEN_PATH

/** Request handler that responds to token requests with a valid token, and to other requests as `reply` does. */
export const withToken =
  (reply: (request: Recorded) => Reply | Promise<Reply>) =>
  (request: Recorded): Reply | Promise<Reply> =>
    isToken(request) ? { body: { access_token: 'token', expires_in: 300 } } : reply(request)

export const never = (): AbortSignal => new AbortController().signal

/** Returns the RedoxError of a call, and fails unless the call rejects with this code. */
export async function failing(
  code: RedoxErrorCode,
  call: () => unknown,
  text: RegExp = /./,
): Promise<RedoxError> {
  try {
    await call()
  } catch (error) {
    assert.ok(error instanceof RedoxError, `not an error of ours: ${String((error as Error).stack)}`)
    assert.equal(error.code, code, error.message)
    assert.match(error.message, text)
    return error
  }
  assert.fail(`${code} was expected, but nothing failed`)
}

export async function bytesOf(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(Buffer.from(piece))
  return Buffer.concat(all)
}
