/** Simple HTTP client for ports of the sandbox that have a fault plan. */
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { SandboxListener } from '../../src/sandbox'
import type { Json } from './support'
import { assertion, bearer, bundle, form, notes, PDF, sandbox, token } from './support'

/** Milliseconds in which a response must have arrived. */
const PATIENCE = 10_000

export interface Seen {
  status?: number
  headers: IncomingHttpHeaders
  body: Buffer
  /** error code of the connection, or `silence` if no response arrived in time */
  error?: string
  /** name of the failed system call; undefined if the connection ended without an error */
  syscall?: string | undefined
  milliseconds: number
}
export interface Post {
  path: string
  type: string
  body: Buffer
  headers?: Record<string, string>
}

export const OPERATION = 'DiagnosticReport/$diagnosticreport-create'
export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
export const boundary = 'XYZ'
export const part = Buffer.concat([
  Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n`),
  Buffer.from('Content-Type: application/pdf\r\n\r\n'),
  PDF,
  Buffer.from(`\r\n--${boundary}--\r\n`),
])

/** By API: function that returns a valid request. */
export const POSTS: Record<string, (url: string) => Promise<Post>> = {
  token: async (url) => ({
    path: '/v2/auth/token',
    type: 'application/x-www-form-urlencoded',
    body: Buffer.from(
      new URLSearchParams(form(await assertion({ claims: { aud: `${url}/v2/auth/token` } }))).toString(),
    ),
  }),
  legacy: async () => ({
    path: '/auth/authenticate',
    type: 'application/json',
    body: json(sandbox().legacyKey),
  }),
  blob: async () => ({ path: '/upload', type: `multipart/form-data; boundary=${boundary}`, body: part }),
  Binary: async () => ({ path: '/fhir/R4/redox/Development/Binary', type: 'application/pdf', body: PDF }),
  endpoint: async () => ({
    path: '/endpoint',
    type: 'application/json',
    body: json(notes(PDF.toString('base64'))),
  }),
  fhir: async () => ({
    path: `/fhir/R4/redox-fhir-sandbox/Development/${OPERATION}`,
    type: 'application/fhir+json',
    body: json(bundle()),
  }),
}
export const APIS = Object.keys(POSTS)
export const SENDS = ['endpoint', 'fhir']
export const FIRST_STATUS: Record<string, number> = { blob: 201, Binary: 201 }
export const usualStatus = (api: string): number => FIRST_STATUS[api] ?? 200

export const listeners: SandboxListener[] = []
export async function open(plan: string): Promise<SandboxListener> {
  const listener = await sandbox().openListener(plan)
  listeners.push(listener)
  return listener
}

/** Sends a request on a new connection. The returned body contains the received bytes, e.g. still compressed. */
export async function send(
  url: string,
  { path, type, body, headers }: Post,
  patience = PATIENCE,
): Promise<Seen> {
  const start = performance.now()
  const seen: Seen = { headers: {}, body: Buffer.alloc(0), milliseconds: 0 }
  const request = httpRequest(url + path, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': type, 'content-length': body.length, ...headers },
  })
  const timer = setTimeout(() => {
    seen.error = 'silence'
    request.destroy()
  }, patience)
  await new Promise<void>((resolve) => {
    request.on('error', (error: NodeJS.ErrnoException) => {
      seen.error ??= error.code ?? error.message
      seen.syscall = error.syscall
    })
    request.on('close', resolve)
    request.on('response', (response) => {
      Object.assign(seen, { status: response.statusCode, headers: response.headers })
      response.on('data', (chunk: Buffer) => (seen.body = Buffer.concat([seen.body, chunk])))
      response.on('error', (error: NodeJS.ErrnoException) => (seen.error ??= error.code ?? error.message))
    })
    request.end(body)
  })
  clearTimeout(timer)
  return { ...seen, milliseconds: performance.now() - start }
}

/** Sends a valid request for this API, with a token from the sandbox's main port, which has no faults. */
export async function ask(listener: SandboxListener, api: string, patience?: number): Promise<Seen> {
  const post = await POSTS[api]!(listener.url)
  const isToken = api === 'token' || api === 'legacy'
  const headers = isToken ? {} : bearer(await token())
  sandbox().clear()
  return send(listener.url, { ...post, headers }, patience)
}

export const bodyOf = ({ body }: Seen): Json => JSON.parse(body.toString()) as Json
export const isJson = ({ body }: Seen): boolean => {
  try {
    JSON.parse(body.toString())
    return true
  } catch {
    return false
  }
}
