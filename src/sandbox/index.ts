/**
 * The sandbox: a real HTTP server on the loopback interface that plays Redox. It judges requests by the
 * published contract alone and keeps what it accepted, so flows and tests need no Redox account.
 */
import type { JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dataModelErrors, receiveDataModel } from './datamodel'
import { checkAddress, operationOutcome, receiveOperation } from './fhir'
import { Refusal } from './http'
import type { Answer, Call, Json } from './http'
import { Inbox, safeHeaders } from './inbox'
import type { ReceivedMessage } from './inbox'
import { createOAuthKey, oauthError, sourceOf, Tokens } from './tokens'
import type { Grant, LegacyKey, OAuthKey } from './tokens'
import { blobError, Uploads } from './uploads'

export type { DeliveredFile, ReceivedMessage } from './inbox'
export type { LegacyKey, OAuthKey } from './tokens'

const MAX_KEPT_REQUESTS = 1000
/** How long a client may go on sending a body that was already refused, in milliseconds. */
const DRAIN_TIME = 10_000
/**
 * How long an idle connection stays open, in milliseconds. Node's 5 s are too short in a busy process that
 * holds client and sandbox: the client would write to a socket that is being closed.
 */
const KEEP_ALIVE_TIME = 60_000

export interface SandboxOptions {
  /** 0, the default, takes a free one. The server is always bound to 127.0.0.1. */
  port?: number
  /** A free account may not upload in Development (facts 1). Default `paid`. */
  account?: 'paid' | 'free'
  /** Of access tokens of both kinds. Default 300 (facts 2.3). */
  tokenLifetimeSeconds?: number
  /** Default 100. */
  maxKeptMessages?: number
  /** File bytes of all kept messages together; the oldest messages go first. Default 64 000 000. */
  maxKeptBytes?: number
}

/** One HTTP request, in the order of arrival, also refused ones. */
export interface RequestRecord {
  /** ISO 8601, UTC. */
  at: string
  method: string
  /** Without the query. */
  path: string
  /** 0 until it is answered. */
  status: number
  contentType: string
  /** Bytes of the body received so far. */
  bytes: number
  /** Lower-case names; without authorization and cookies. */
  headers: IncomingHttpHeaders
}

export interface Sandbox {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** What to configure in a client. */
  readonly endpoints: { apiBase: string; blobUploadUrl: string; fhirBase: string; binaryUploadBase: string }
  /** A demo key, made at start. */
  readonly oauthKey: OAuthKey
  /** A demo key, made at start. */
  readonly legacyKey: LegacyKey
  /** Lets a further key in: RSA for RS384, P-384 for ES384. */
  registerOAuthKey(key: { clientId: string; keyId: string; publicKey: JsonWebKey }): void
  /** Accepted messages, newest last. */
  readonly received: readonly ReceivedMessage[]
  /** The last 1000, newest last. */
  readonly requests: readonly RequestRecord[]
  /** Tells of every accepted message, before its sender has the answer. Returns how to stop. */
  onReceived(listener: (message: ReceivedMessage) => void): () => void
  /** Forgets messages and requests; keys, tokens and uploaded files stay. */
  clear(): void
  /** Does not keep the process alive. */
  unref(): void
  /** Ends open connections too. */
  close(): Promise<void>
}

export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const demo = await createOAuthKey()
  const tokens = new Tokens(options.tokenLifetimeSeconds ?? 300)
  tokens.register(demo.key.clientId, demo.key.keyId, demo.publicKey)
  const inbox = new Inbox(options.maxKeptMessages ?? 100, options.maxKeptBytes ?? 64_000_000)
  const requests: RequestRecord[] = []

  const server = createServer()
  server.keepAliveTimeout = KEEP_ALIVE_TIME
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const origins = [`http://127.0.0.1:${port}`, `http://localhost:${port}`] as const
  const [url] = origins
  const uploads = new Uploads([...origins], options.account ?? 'paid')
  const routes = routesOf(tokens, uploads, inbox)

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url!.split('?')[0]!
    const record = recordOf(request, path)
    if (requests.push(record) > MAX_KEPT_REQUESTS) requests.shift()
    const origin = origins.find((candidate) => candidate === `http://${request.headers.host}`) ?? url
    void answer({ request, path, params: [], origin }, routes).then((result) => {
      // Nobody is left to answer when the client went away in the middle of its body.
      if (request.destroyed && !request.complete) return
      record.status = result.status
      send(result, response)
      drain(request)
    })
  })

  return {
    url,
    endpoints: {
      apiBase: url,
      blobUploadUrl: `${url}/upload`,
      fhirBase: `${url}/fhir/R4`,
      binaryUploadBase: `${url}/fhir/R4`,
    },
    oauthKey: demo.key,
    legacyKey: tokens.legacyKey,
    registerOAuthKey: ({ clientId, keyId, publicKey }) => tokens.register(clientId, keyId, publicKey),
    received: inbox.messages,
    requests,
    onReceived: (listener) => inbox.onReceived(listener),
    clear() {
      inbox.clear()
      requests.length = 0
    },
    ...lifeOf(server),
  }
}

// ---- Routes -------------------------------------------------------------------------------------------

interface Route {
  path: RegExp
  handle: (call: Call) => Promise<Answer>
  /** The body of its failures. */
  failure: (refusal: Refusal) => Json | string
}

const plainText = (refusal: Refusal): string => refusal.text

function routesOf(tokens: Tokens, uploads: Uploads, inbox: Inbox): Route[] {
  const granted = (handle: (call: Call, grant: Grant) => Promise<Answer>) => async (call: Call) =>
    handle(call, tokens.grantOf(call.request))
  return [
    { path: /^\/v2\/auth\/token$/, handle: (call) => tokens.oauthToken(call), failure: oauthError },
    { path: /^\/auth\/authenticate$/, handle: (call) => tokens.authenticate(call), failure: plainText },
    { path: /^\/auth\/refreshToken$/, handle: (call) => tokens.refresh(call), failure: plainText },
    {
      path: /^\/endpoint$/,
      handle: granted((call, grant) => receiveDataModel(call, grant, uploads, inbox)),
      failure: dataModelErrors,
    },
    {
      path: /^\/upload$/,
      handle: granted((call, grant) => uploads.receiveBlob(call, sourceOf(grant, call.request))),
      failure: blobError,
    },
    {
      path: /^\/fhir\/R4\/([^/]+)\/([^/]+)\/Binary$/,
      handle: granted(async (call, grant) => {
        const [slug, environment] = call.params as [string, string]
        checkAddress(slug, environment, true)
        return uploads.receiveBinary(call, environment, sourceOf(grant, call.request))
      }),
      failure: operationOutcome,
    },
    {
      path: /^\/fhir\/R4\/([^/]+)\/([^/]+)\/([^/]+\/\$[^/]+)$/,
      handle: granted((call, grant) => receiveOperation(call, grant, uploads, inbox)),
      failure: operationOutcome,
    },
    { path: /^\/fhir\/R4\//, handle: granted(nothingHere), failure: operationOutcome },
    { path: /^/, handle: granted(nothingHere), failure: plainText },
  ]
}

async function nothingHere(): Promise<never> {
  throw new Refusal(404, [{ text: 'Not Found', code: 'not-found' }])
}

async function answer(call: Call, routes: Route[]): Promise<Answer> {
  const route = routes.find(({ path }) => path.test(call.path))!
  const params = route.path.exec(call.path)!.slice(1)
  try {
    if (call.request.method !== 'POST') throw new Refusal(403, [{ text: 'Forbidden', code: 'forbidden' }])
    return await route.handle({ ...call, params })
  } catch (error) {
    if (!(error instanceof Refusal)) return { status: 500, body: 'Internal Server Error' }
    // Whatever the API, who is not let in gets plain text (facts 2.2, 6.4); only OAuth has its own shape.
    const isPlain = error.status === 401 && route.failure !== oauthError
    return { status: error.status, body: isPlain ? error.text : route.failure(error) }
  }
}

// ---- HTTP ---------------------------------------------------------------------------------------------

function recordOf(request: IncomingMessage, path: string): RequestRecord {
  const record = {
    at: new Date().toISOString(),
    method: request.method!,
    path,
    status: 0,
    contentType: request.headers['content-type'] ?? '',
    bytes: 0,
    headers: safeHeaders(request),
  }
  // Paused first: counting must not start the flow before a handler listens.
  request.pause()
  request.on('data', (chunk: Buffer) => (record.bytes += chunk.length))
  return record
}

function send({ status, body, headers }: Answer, response: ServerResponse): void {
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, {
    'content-type': contentTypeOf(body),
    'content-length': Buffer.byteLength(payload),
    'cache-control': 'private, no-cache, no-store, must-revalidate',
    ...headers,
  })
  response.end(payload)
}

function contentTypeOf(body: Answer['body']): string {
  if (typeof body === 'string') return 'text/html; charset=utf-8'
  return `application/${'resourceType' in body ? 'fhir+json' : 'json'}; charset=utf-8`
}

/**
 * Reads what is left of a refused body. Closing at once would reset the connection, and a client that is
 * still sending would never see the answer.
 */
function drain(request: IncomingMessage): void {
  if (request.complete) return
  request.resume()
  const timer = setTimeout(() => request.socket.destroy(), DRAIN_TIME).unref()
  request.once('close', () => clearTimeout(timer))
}

function lifeOf(server: Server): Pick<Sandbox, 'unref' | 'close'> {
  let holdsProcess = true
  let closed: Promise<void> | undefined
  server.on('connection', (socket) => {
    if (!holdsProcess) socket.unref()
  })
  return {
    unref() {
      holdsProcess = false
      server.unref()
    },
    close: () =>
      (closed ??= new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })),
  }
}
