/**
 * Routes of this package in Node-RED's admin API. Node-RED 4.1 without `adminAuth` accepts requests from web pages of
 * any origin, so each route refuses requests of foreign pages itself, before it reads the request.
 */
import type { Request, RequestHandler, Response } from 'express'
import type { NodeAPI } from 'node-red'

export interface AdminRoutes {
  get: Register
  /** Registers a POST route. The handlers get only bodies that were sent as `application/json`. */
  post: Register
  delete: Register
}

/**
 * Registers a route.
 * @param permissions permissions of which the user needs all
 */
type Register = (path: string, permissions: string | readonly string[], ...handlers: RequestHandler[]) => void

/** Settings in `redox: { … }` of `settings.js`. */
interface RouteSettings {
  /** origins at which the editor is opened, if a proxy changes the Host header, e.g. `http://nodered.example` */
  allowedOrigins?: unknown
  /** true if a login in front of Node-RED, e.g. in a proxy, protects the editor */
  contentWithoutAdminAuth?: unknown
}

export function adminRoutes(RED: NodeAPI): AdminRoutes {
  const { httpAdmin, auth } = RED
  // Node-RED accepts a list of permissions and requires all of them, but its types allow only one.
  const before = (permissions: string | readonly string[]): RequestHandler[] => [
    withSafeHeaders,
    ownPagesOnly(RED),
    auth.needsPermission(permissions as string),
  ]
  return {
    get: (path, permissions, ...handlers) => httpAdmin.get(path, before(permissions), handlers),
    post: (path, permissions, ...handlers) => httpAdmin.post(path, before(permissions), jsonOnly, handlers),
    delete: (path, permissions, ...handlers) => httpAdmin.delete(path, before(permissions), handlers),
  }
}

const settingsOf = ({ settings }: NodeAPI): RouteSettings =>
  (settings as { redox?: RouteSettings | null }).redox ?? {}

/**
 * Sets headers so that no cache stores an answer, no browser guesses its type, and no page of another origin embeds it.
 */
const withSafeHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
  })
  next()
}

/** Removes a body that is not JSON: a foreign page can post other types without a preflight request. */
const jsonOnly: RequestHandler = (request, _response, next) => {
  if (!request.is('application/json')) request.body = undefined
  next()
}

function refuse(response: Response, code: string, message: string): void {
  response.status(403).json({ code, message })
}

// ---- Pages of other origins -----------------------------------------------------------------------------

/** Values of `Sec-Fetch-Site` for the editor's own page, and for an address that the user has typed. */
const OWN_SITES = ['same-origin', 'none']

function ownPagesOnly(RED: NodeAPI): RequestHandler {
  return ({ headers }, response, next) => {
    const { origin, host, 'sec-fetch-site': site } = headers
    // Browsers send this header only to https and to the local machine. A page can change none of these headers.
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
 * Returns true if a request comes from a page of this Node-RED or of an allowed origin, or has no origin.
 * The proxy's X-Forwarded-Host does not count: a page may set it where Node-RED 4.1 answers preflight requests. Scripts
 * send no origin, and neither does the editor's own page in GET requests.
 */
function isOwnOrigin(origin: string | undefined, host: string | undefined, allowed: unknown[]): boolean {
  if (origin === undefined) return true
  // The origin `null` of a sandboxed frame or a local file is refused.
  const known = originOf(origin)
  if (known === undefined) return false
  // The scheme is not compared, because a proxy may terminate TLS.
  return known === originOf(`${new URL(known).protocol}//${host}`) || allowed.includes(known)
}

function allowedOrigins(RED: NodeAPI): unknown[] {
  const { allowedOrigins: named } = settingsOf(RED)
  return Array.isArray(named) ? named.map(String).map(originOf) : []
}

/**
 * Returns an origin as browsers write it, without the default port; undefined for a text that is not the origin of a
 * web page.
 */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { origin, protocol } = new URL(text)
  return /^https?:$/.test(protocol) ? origin : undefined
}

// ---- Contents of messages -------------------------------------------------------------------------------

/**
 * Returns a handler that refuses patient data to visitors. It must follow the permission check, which sets the
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

/**
 * Returns a function that is true for visitors: requests without a login, neither to Node-RED nor to a proxy with a
 * login, and not from this machine.
 */
export function visitorsOf(RED: NodeAPI): (request: Request) => boolean {
  return (request) =>
    settingsOf(RED).contentWithoutAdminAuth !== true &&
    !hasLoggedIn(request) &&
    !isOfThisMachine(RED, request)
}

/** Returns true for a request of a user who has logged in. The default user of `adminAuth` can be any visitor. */
function hasLoggedIn(request: Request): boolean {
  const { user } = request as { user?: { anonymous?: boolean } }
  return user !== undefined && user.anonymous !== true
}

/** Headers that proxies add. */
const PASSED_ON = ['forwarded', 'x-forwarded-for', 'via']

/**
 * Returns true if Node-RED listens on a loopback address only, and the request came without a proxy and with a loopback
 * name in its Host header. Another host name belongs to a proxy that any computer may use, or to a foreign page whose
 * name resolves to this machine (DNS rebinding).
 */
function isOfThisMachine({ server }: NodeAPI, { headers }: Request): boolean {
  if (!isLoopbackServer(server) || PASSED_ON.some((name) => name in headers)) return false
  const asked = `http://${headers.host}`
  return URL.canParse(asked) && isLoopback(new URL(asked).hostname.replace(/^\[|\]$/g, ''))
}

/**
 * Returns true if Node-RED listens on a loopback address only. The server of an embedding application is unknown, and a
 * Unix socket is used with a proxy.
 */
function isLoopbackServer(server: NodeAPI['server'] | null): boolean {
  const address = server?.address()
  return typeof address === 'object' && address !== null && isLoopback(address.address)
}

const isLoopback = (host: string): boolean => /^(::ffff:)?127(\.\d{1,3}){3}$|^::1$|^localhost$/.test(host)
