/**
 * Listening port of the sandbox. All ports share one simulated Redox (keys, uploads, inbox); each has its own fault
 * plan.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { present } from './present'
import type { DeliveryPlan } from './delivery-plan'
import type { Api, FaultPlan } from './faults'
import { notSimulated, Refusal } from './http'
import type { SandboxAnswer, SandboxRequest, JsonRecord } from './http'
import { safeHeaders } from './inbox'
import type { Profile } from './profiles'
import { injectFault, serializedAnswer } from './inject-fault'

/** Maximum time for which a client may continue to send a body that was already refused, in milliseconds. */
const DRAIN_TIME = 10_000
/**
 * Keep-alive time of idle connections, in milliseconds. Node's default of 5 s is too short in a busy process that
 * contains both the client and the sandbox: the client would write to a socket that is being closed.
 */
const KEEP_ALIVE_TIME = 60_000
/** Pause, in seconds, before the next attempt to listen on a port that another process has taken. */
const LISTEN_AGAIN = 0.5

/** Record of one HTTP request; refused requests have a record, too. Records are in the order of arrival. */
export interface RequestRecord {
  /** Time of arrival, ISO 8601, UTC. */
  at: string
  method: string
  /** Path of the request, without the query. */
  path: string
  api: Api
  /** HTTP status of the response; 0 until it is sent. */
  status: number
  contentType: string
  /** Number of bytes of the body received so far. */
  bytes: number
  /** Request headers: lower-case names, without authorization and cookies. */
  headers: IncomingHttpHeaders
  /** Name of the fault that was simulated for the request, as written in the fault plan. */
  fault?: string
  /** True if the API accepted the message, file or credentials, even if a fault hid this from the client. */
  accepted: boolean
}

export interface Route {
  api: Api
  path: RegExp
  /** Default `POST`. */
  method?: 'GET'
  handle: (call: SandboxRequest) => Promise<SandboxAnswer>
  /** Builds the body of a refusal in the form of this API. */
  failure: (refusal: Refusal) => JsonRecord | string
  /**
   * True if responses with status 401 also have the body built by `failure`; false if their body is plain text. True
   * for OAuth only (docs/redox-api.md#legacy-api-key, #oauth-api-key, #error-bodies).
   */
  unauthorizedText?: boolean
}

/** State that all listening ports of one sandbox share. */
export interface ListenerContext {
  routes: Route[]
  profile: Profile
  /** Origins of this sandbox: the `http://host:port` of all its listening ports. */
  origins: Set<string>
  /** Records a request that just arrived. */
  onArrival(record: RequestRecord): void
  /**
   * Reports a request with a simulated fault as soon as it was accepted or refused. The response may still have to be
   * sent.
   */
  onFault(record: RequestRecord): void
}

export interface SandboxListener {
  /** Origin of this listening port: `http://127.0.0.1:PORT`. */
  readonly url: string
  /** URLs to configure in a client. */
  readonly endpoints: { apiBase: string; blobUploadUrl: string; fhirBase: string; binaryUploadBase: string }
  /** Lets the process exit while the port is open. */
  unref(): void
  /** Closes the port and all open connections. */
  close(): Promise<void>
}

/** Faults and subscriptions that one listening port simulates. */
export interface SimulationOptions {
  plan: FaultPlan
  deliveries: DeliveryPlan
  /** Ids of the Data Model destinations that have a subscription. Empty or undefined: all have one. */
  subscribed?: readonly string[] | undefined
  /** Host of Redox that the port stands for; undefined: all hosts. */
  host?: 'api' | 'blob'
}

/**
 * Opens a listening port on 127.0.0.1.
 * @param port 0 takes a free port
 */
export async function openListener(
  port: number,
  { plan, deliveries, subscribed = [], host }: SimulationOptions,
  context: ListenerContext,
): Promise<SandboxListener> {
  const server = createServer()
  const ids = new Set(subscribed.map((id) => id.toLowerCase()))
  const simulated = { profile: context.profile, host, subscribed: ids.size > 0 ? ids : undefined }
  server.keepAliveTimeout = KEEP_ALIVE_TIME
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: taken } = server.address() as AddressInfo
  const origins = [`http://127.0.0.1:${taken}`, `http://localhost:${taken}`] as const
  const [url] = origins
  for (const origin of origins) context.origins.add(origin)
  const life = lifecycleOf(server, taken)

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const route = present(
      context.routes.find((candidate) => candidate.path.test(path)),
      'a route',
    )
    const record = recordOf(request, path, route.api)
    context.onArrival(record)
    const origin = origins.find((candidate) => candidate === `http://${request.headers.host}`) ?? url
    const terms = { plan: deliveries, isRefused: false }
    const call = { ...simulated, request, path, params: [], origin, terms }
    void respond(call, response, {
      route,
      record,
      plan,
      house: context,
      refuseConnections: life.refuse,
    }).then((result) => {
      // No response can be sent if the client disconnected, or if a fault has ended the exchange.
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
      for (const origin of origins) context.origins.delete(origin)
      return life.close()
    },
  }
}

// ---- Requests -----------------------------------------------------------------------------------------

interface RequestContext {
  route: Route
  record: RequestRecord
  plan: FaultPlan
  house: ListenerContext
  refuseConnections: (seconds: number) => void
}

/**
 * Handles a request, with the fault that the fault plan selects.
 * @returns the response to send; undefined if a fault has already closed or blocked the connection
 */
async function respond(
  call: SandboxRequest,
  response: ServerResponse,
  { route, record, plan, house: context, refuseConnections }: RequestContext,
): Promise<SandboxAnswer | undefined> {
  const handle = async (): Promise<SandboxAnswer> => {
    const result = await handleCall(call, route)
    record.accepted = result.status < 300
    return result
  }
  const fault = plan.next(route.api, call.path)
  if (!fault) return handle()
  call.fault = record.fault = fault.name
  call.terms.isRefused = fault.kind === 'failed-later'
  const { request, path } = call
  const onProcessed = (): void => context.onFault(record)
  return injectFault(
    {
      fault,
      api: route.api,
      request,
      response,
      path,
      failure: route.failure,
      refuse: refuseConnections,
      onProcessed,
    },
    handle,
  )
}

async function handleCall(call: SandboxRequest, route: Route): Promise<SandboxAnswer> {
  const params = (route.path.exec(call.path) ?? []).slice(1)
  try {
    if (call.request.method !== (route.method ?? 'POST')) throw wrongMethod(route.api)
    return await route.handle({ ...call, params })
  } catch (error) {
    if (!(error instanceof Refusal)) return { status: 500, body: 'Internal Server Error' }
    const isPlain = error.status === 401 && !route.unauthorizedText
    return { status: error.status, body: isPlain ? error.text : route.failure(error) }
  }
}

/**
 * Returns the refusal of a request with another method, mostly not a POST: 403 for an API that only supports POST
 * (docs/redox-api.md#status-codes). The FHIR API of Redox also supports GET, which the sandbox does not simulate.
 */
const wrongMethod = (api: Api): Refusal =>
  ['token', 'blob', 'endpoint'].includes(api)
    ? new Refusal(403, [{ text: 'Forbidden', code: 'forbidden' }])
    : notSimulated('This request is')

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
  // The request is paused first: the `data` event listener below would otherwise start the flow of data before a
  // handler is attached.
  request.pause()
  request.on('data', (chunk: Buffer) => (record.bytes += chunk.length))
  return record
}

function send(answer: SandboxAnswer, response: ServerResponse): void {
  const { status, headers, payload } = serializedAnswer(answer)
  response.writeHead(status, headers)
  response.end(payload)
}

/**
 * Reads the rest of a refused body. If the connection were closed at once, it would be reset, and a client that is
 * still sending would never see the response.
 */
function drain(request: IncomingMessage): void {
  if (request.complete) return
  request.resume()
  const timer = setTimeout(() => request.socket.destroy(), DRAIN_TIME).unref()
  request.once('close', () => clearTimeout(timer))
}

// ---- The server ---------------------------------------------------------------------------------------

function lifecycleOf(server: Server, port: number) {
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
    /** Closes the port for some seconds, so that new connections are refused. Requests in progress continue. */
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
