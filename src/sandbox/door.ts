/** A listening port of the sandbox. Behind each is the same Redox; each has a fault plan of its own. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { present } from './present'
import type { Api, FaultPlan } from './faults'
import { notPlayed, Refusal } from './http'
import type { Answer, Call, Json } from './http'
import { safeHeaders } from './inbox'
import { play, wire } from './play'

/** How long a client may go on sending a body that was already refused, in milliseconds. */
const DRAIN_TIME = 10_000
/**
 * How long an idle connection stays open, in milliseconds. Node's 5 s are too short in a busy process that
 * holds client and sandbox: the client would write to a socket that is being closed.
 */
const KEEP_ALIVE_TIME = 60_000
/** Before a port that another process took meanwhile is tried again, in seconds. */
const LISTEN_AGAIN = 0.5

/** One HTTP request, in the order of arrival, also refused ones. */
export interface RequestRecord {
  /** ISO 8601, UTC. */
  at: string
  method: string
  /** Without the query. */
  path: string
  api: Api
  /** 0 until it is answered. */
  status: number
  contentType: string
  /** Bytes of the body received so far. */
  bytes: number
  /** Lower-case names; without authorization and cookies. */
  headers: IncomingHttpHeaders
  /** The fault that was played on it, as the plan names it. */
  fault?: string
  /** Whether the API took it, whatever its sender was told: a message, a file, credentials. */
  accepted: boolean
}

export interface Route {
  api: Api
  path: RegExp
  handle: (call: Call) => Promise<Answer>
  /** The body of its failures. */
  failure: (refusal: Refusal) => Json | string
  /**
   * Whether this goes for a 401 too, which is plain text for all but OAuth (docs/redox-api.md#legacy-api-key,
   * #oauth-api-key, #error-bodies).
   */
  words401?: boolean
}

/** What is behind all doors. */
export interface House {
  routes: Route[]
  /** Every `http://host:port` that means this sandbox. */
  origins: Set<string>
  arrived(record: RequestRecord): void
  /** A request that a fault hit was taken or not; its sender may still wait. */
  played(record: RequestRecord): void
}

export interface Door {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** What to configure in a client. */
  readonly endpoints: { apiBase: string; blobUploadUrl: string; fhirBase: string; binaryUploadBase: string }
  /** Does not keep the process alive. */
  unref(): void
  /** Ends open connections too. */
  close(): Promise<void>
}

/** What is played on those who come by one door. */
export interface Play {
  plan: FaultPlan
  /** Ids of the Data Model destinations that have a subscription; all when there is none here. */
  subscribed?: readonly string[] | undefined
}

/** @param port 0 takes a free one; always on 127.0.0.1 */
export async function openDoor(port: number, { plan, subscribed = [] }: Play, house: House): Promise<Door> {
  const server = createServer()
  const ids = new Set(subscribed.map((id) => id.toLowerCase()))
  server.keepAliveTimeout = KEEP_ALIVE_TIME
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: taken } = server.address() as AddressInfo
  const origins = [`http://127.0.0.1:${taken}`, `http://localhost:${taken}`] as const
  const [url] = origins
  for (const origin of origins) house.origins.add(origin)
  const life = lifeOf(server, taken)

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const route = present(
      house.routes.find((candidate) => candidate.path.test(path)),
      'a route',
    )
    const record = recordOf(request, path, route.api)
    house.arrived(record)
    const origin = origins.find((candidate) => candidate === `http://${request.headers.host}`) ?? url
    const call = { request, path, params: [], origin, subscribed: ids.size > 0 ? ids : undefined }
    void respond(call, response, { route, record, plan, house, refuse: life.refuse }).then((result) => {
      // No response can be sent when the client went away, or a fault has ended the exchange.
      if (!result || response.destroyed || (request.destroyed && !request.complete)) return
      record.status = result.status
      if (!server.listening) response.setHeader('connection', 'close')
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
    unref: life.unref,
    close() {
      for (const origin of origins) house.origins.delete(origin)
      return life.close()
    },
  }
}

// ---- Requests -----------------------------------------------------------------------------------------

interface Visit {
  route: Route
  record: RequestRecord
  plan: FaultPlan
  house: House
  refuse: (seconds: number) => void
}

/** @returns the answer to send; nothing when a fault has done something else with the connection */
async function respond(
  call: Call,
  response: ServerResponse,
  { route, record, plan, house, refuse }: Visit,
): Promise<Answer | undefined> {
  const handle = async (): Promise<Answer> => {
    const result = await handleCall(call, route)
    record.accepted = result.status < 300
    return result
  }
  const fault = plan.next(route.api, call.path)
  if (!fault) return handle()
  call.fault = record.fault = fault.name
  const { request, path } = call
  const judged = (): void => house.played(record)
  return play(
    { fault, api: route.api, request, response, path, failure: route.failure, refuse, judged },
    handle,
  )
}

async function handleCall(call: Call, route: Route): Promise<Answer> {
  const params = (route.path.exec(call.path) ?? []).slice(1)
  try {
    if (call.request.method !== 'POST') throw wrongMethod(route.api)
    return await route.handle({ ...call, params })
  } catch (error) {
    if (!(error instanceof Refusal)) return { status: 500, body: 'Internal Server Error' }
    const isPlain = error.status === 401 && !route.words401
    return { status: error.status, body: isPlain ? error.text : route.failure(error) }
  }
}

/** By FHIR others read and search; what only takes a POST refuses another verb (docs/redox-api.md#status-codes). */
const wrongMethod = (api: Api): Refusal =>
  ['token', 'blob', 'endpoint'].includes(api)
    ? new Refusal(403, [{ text: 'Forbidden', code: 'forbidden' }])
    : notPlayed('This request is')

function recordOf(request: IncomingMessage, path: string, api: Api): RequestRecord {
  const record = {
    at: new Date().toISOString(),
    method: request.method ?? '',
    path,
    api,
    status: 0,
    contentType: request.headers['content-type'] ?? '',
    bytes: 0,
    headers: safeHeaders(request),
    accepted: false,
  }
  // Paused first: counting must not start the flow before a handler listens.
  request.pause()
  request.on('data', (chunk: Buffer) => (record.bytes += chunk.length))
  return record
}

function send(answer: Answer, response: ServerResponse): void {
  const { status, headers, payload } = wire(answer)
  response.writeHead(status, headers)
  response.end(payload)
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

// ---- The server ---------------------------------------------------------------------------------------

function lifeOf(server: Server, port: number) {
  let holdsProcess = true
  let closed: Promise<void> | undefined
  let pause: NodeJS.Timeout | undefined
  server.on('connection', (socket) => {
    if (!holdsProcess) socket.unref()
  })
  const listenIn = (seconds: number): void => {
    pause = setTimeout(() => server.listen(port, '127.0.0.1'), seconds * 1000).unref()
  }
  server.on('error', () => {
    if (!closed) listenIn(LISTEN_AGAIN)
  })
  return {
    unref: () => {
      holdsProcess = false
      server.unref()
    },
    /** A connection to a port without a listener is refused; requests that are under way end as they would. */
    refuse: (seconds: number) => {
      if (!server.listening || closed) return
      server.close()
      listenIn(seconds)
    },
    close: () =>
      (closed ??= new Promise((resolve) => {
        clearTimeout(pause)
        server.close(() => resolve())
        server.closeAllConnections()
      })),
  }
}
