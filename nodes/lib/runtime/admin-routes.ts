/**
 * Routes of this package in Node-RED's admin API. Node-RED 4.1 without `adminAuth` accepts requests from web pages of
 * any origin, so each route itself refuses requests from pages of other origins, before it reads the request body.
 */
import type { ServerResponse } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { hasToken, monitoringSettings } from './monitoring-settings'

export interface AdminRoutes {
  get: Register
  /** Registers a POST route. Its handlers get only bodies that were sent as `application/json`. */
  post: Register
  delete: Register
  /**
   * Registers a GET route for monitoring programs, which cannot log in: the token of `settings.js` replaces the login
   * and the permission. The handler also gets requests without any credentials, with `isAllowed` false.
   */
  monitoring: (path: string, permission: string, answer: MonitoringAnswer) => void
}

/**
 * Responds to a monitoring program.
 * @param isAllowed true if the request has the token, or a user has logged in and has the permission
 */
export type MonitoringAnswer = (response: ServerResponse, isAllowed: boolean) => void

/**
 * Registers a route.
 * @param permissions permission that the user needs, or list of permissions that are all required
 */
type Register = (path: string, permissions: string | readonly string[], ...handlers: RequestHandler[]) => void

/** Settings under `redox` in Node-RED's `settings.js`. */
interface RouteSettings {
  /** origins of the editor's address, if a proxy changes the Host header, e.g. `http://nodered.example` */
  allowedOrigins?: unknown
  /** true if a login outside Node-RED, e.g. in a proxy, protects the editor */
  contentWithoutAdminAuth?: unknown
  /** true if the permission `redox-outbox.read` is enough to see document and order IDs */
  identifiersForReaders?: unknown
}

export function adminRoutes(RED: NodeAPI): AdminRoutes {
  const { httpAdmin, auth } = RED
  // At runtime, Node-RED accepts a list of permissions and requires all of them, but its TypeScript types allow only
  // one.
  const before = (permissions: string | readonly string[]): RequestHandler[] => [
    withSafeHeaders,
    ownPagesOnly(RED),
    auth.needsPermission(permissions as string),
  ]
  return {
    get: (path, permissions, ...handlers) => httpAdmin.get(path, before(permissions), handlers),
    post: (path, permissions, ...handlers) => httpAdmin.post(path, before(permissions), jsonOnly, handlers),
    delete: (path, permissions, ...handlers) => httpAdmin.delete(path, before(permissions), handlers),
    monitoring: (path, permission, answer) =>
      httpAdmin.get(path, [withSafeHeaders, ownPagesOnly(RED), monitored(RED, permission, answer)]),
  }
}

const settingsOf = ({ settings }: NodeAPI): RouteSettings =>
  (settings as { redox?: RouteSettings | null }).redox ?? {}

/**
 * Without `adminAuth`, Node-RED's permission check lets every request pass, so a user must also have logged in.
 */
function monitored(RED: NodeAPI, permission: string, answer: MonitoringAnswer): RequestHandler {
  const { token } = monitoringSettings(RED)
  const checksPermission = RED.auth.needsPermission(permission)
  return (request, response, next) => {
    const { authorization } = request.headers
    if (authorization === undefined) return answer(response, false)
    if (hasToken(authorization, token)) return answer(response, true)
    checksPermission(request, response, (error?: unknown) =>
      error === undefined ? answer(response, hasLoggedIn(request)) : next(error),
    )
  }
}

/** Headers of every response, see {@link withSafeHeaders}. */
export const SAFE_HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
}

/**
 * Sets response headers so that no cache stores the response, no browser guesses its type, no page of another origin
 * embeds it, and a page that it links to does not learn its address, which may contain a reason.
 */
const withSafeHeaders: RequestHandler = (_request, response, next) => {
  response.set(SAFE_HEADERS)
  next()
}

/**
 * Removes a request body that is not JSON: a page of another origin can send other types without a preflight request.
 */
const jsonOnly: RequestHandler = (request, _response, next) => {
  if (!request.is('application/json')) request.body = undefined
  next()
}

function refuse(response: Response, code: string, message: string): void {
  response.status(403).json({ code, message })
}

// ---- Pages of other origins -----------------------------------------------------------------------------

/**
 * Values of the header `Sec-Fetch-Site` for requests from the editor's own page, and for an address that the user has
 * typed.
 */
const OWN_SITES = ['same-origin', 'none']

function ownPagesOnly(RED: NodeAPI): RequestHandler {
  return ({ headers }, response, next) => {
    const { origin, host, 'sec-fetch-site': site } = headers
    // Browsers send `Sec-Fetch-Site` only to https addresses and to the local machine. Pages cannot change this header
    // or `Origin`.
    const isOwn =
      site === undefined ? isOwnOrigin(origin, host, allowedOrigins(RED)) : OWN_SITES.includes(String(site))
    if (isOwn) return next()
    refuse(
      response,
      'REDOX_FOREIGN_ORIGIN',
      'This request came from a web page that is not the editor. If the editor is behind a proxy that changes the Host ' +
        'header, let the proxy keep that header, or add the address of the editor to settings.js, e.g. ' +
        "redox: { allowedOrigins: ['http://nodered.example:1880'] }, and restart Node-RED.",
    )
  }
}

/**
 * Returns true if a request comes from a page of this Node-RED or of an allowed origin, or has no `Origin` header.
 * The header X-Forwarded-Host of a proxy is ignored: where Node-RED 4.1 responds to preflight requests, a page may set
 * this header. Scripts send no origin, and neither does the editor's own page in GET requests.
 */
function isOwnOrigin(origin: string | undefined, host: string | undefined, allowed: unknown[]): boolean {
  if (origin === undefined) return true
  // A sandboxed frame or a local file has the origin `null`, which is refused.
  const known = originOf(origin)
  if (known === undefined) return false
  // The scheme of the origin is not compared, because a proxy may terminate TLS.
  return known === originOf(`${new URL(known).protocol}//${host}`) || allowed.includes(known)
}

function allowedOrigins(RED: NodeAPI): unknown[] {
  const { allowedOrigins: named } = settingsOf(RED)
  return Array.isArray(named) ? named.map(String).map(originOf) : []
}

/**
 * Returns an origin in the form that browsers send, without the default port; undefined for a string that is not the
 * origin of a web page.
 */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { origin, protocol } = new URL(text)
  return /^https?:$/.test(protocol) ? origin : undefined
}

// ---- Contents of messages -------------------------------------------------------------------------------

/**
 * Returns a handler that refuses visitors access to patient data. Must run after the permission check, which sets the
 * request's user.
 */
export function contentReadersOnly(RED: NodeAPI): RequestHandler {
  const isVisitor = visitorsOf(RED)
  return (request, response, next) => {
    if (!isVisitor(request)) return next()
    refuse(
      response,
      'REDOX_CONTENT_CLOSED',
      'Messages contain patient data, and every computer that reaches this Node-RED could read them without a login. ' +
        'Set adminAuth in settings.js. Or set uiHost to 127.0.0.1, and open the editor on this machine as ' +
        'http://127.0.0.1 or http://localhost. Or, if a login in front of Node-RED protects it, set ' +
        'redox: { contentWithoutAdminAuth: true }. Then restart Node-RED.',
    )
  }
}

/** Returns true if all users who may read the outbox, except visitors, may see document and order IDs. */
export const showsIdentifiersToReaders = (RED: NodeAPI): boolean =>
  settingsOf(RED).identifiersForReaders === true

/**
 * Returns a function that is true for requests of visitors: there is no login to Node-RED or to a proxy in front of it,
 * and the request does not come from this machine.
 */
export function visitorsOf(RED: NodeAPI): (request: Request) => boolean {
  return (request) =>
    settingsOf(RED).contentWithoutAdminAuth !== true &&
    !hasLoggedIn(request) &&
    !isOfThisMachine(RED, request)
}

/**
 * Returns true for a request of a user who has logged in. The default user of `adminAuth` does not count, because any
 * visitor may be this user.
 */
function hasLoggedIn(request: Request): boolean {
  const { user } = request as { user?: { anonymous?: boolean } }
  return user !== undefined && user.anonymous !== true
}

/** Request headers that proxies add. */
const PASSED_ON = ['forwarded', 'x-forwarded-for', 'via']

/**
 * Returns true if Node-RED listens on a loopback address only, and the request came without a proxy and with a loopback
 * name in its Host header. Another host name would belong to a proxy that other computers may use, or to a foreign web
 * page whose name resolves to this machine (DNS rebinding).
 */
function isOfThisMachine({ server }: NodeAPI, { headers }: Request): boolean {
  if (!isLoopbackServer(server) || PASSED_ON.some((name) => name in headers)) return false
  const asked = `http://${headers.host}`
  return URL.canParse(asked) && isLoopback(new URL(asked).hostname.replace(/^\[|\]$/g, ''))
}

/**
 * Returns true if Node-RED listens on a loopback address only. False if Node-RED is embedded in an application, whose
 * HTTP server is unknown, or listens on a Unix socket, which is used with a proxy.
 */
function isLoopbackServer(server: NodeAPI['server'] | null): boolean {
  const address = server?.address()
  return typeof address === 'object' && address !== null && isLoopback(address.address)
}

const isLoopback = (host: string): boolean => /^(::ffff:)?127(\.\d{1,3}){3}$|^::1$|^localhost$/.test(host)
