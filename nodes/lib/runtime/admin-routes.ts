/**
 * How this package adds routes to Node-RED's admin API. Node-RED 4.1 without `adminAuth` lets a page of any origin
 * ask, so each route refuses such pages by itself, before it looks at what was asked.
 */
import type { Request, RequestHandler, Response } from 'express'
import type { NodeAPI } from 'node-red'

export interface AdminRoutes {
  get: Register
  /** Its handlers see no body that was not sent as `application/json`. */
  post: Register
  delete: Register
}

/** @param permissions that the user needs, all of them */
type Register = (path: string, permissions: string | readonly string[], ...handlers: RequestHandler[]) => void

/** What `settings.js` says in `redox: { … }`. */
interface RouteSettings {
  /** where the editor is opened, when a proxy in front changes the Host header, e.g. `http://nodered.example` */
  allowedOrigins?: unknown
  /** something in front of Node-RED asks who the user is */
  contentWithoutAdminAuth?: unknown
}

export function adminRoutes(RED: NodeAPI): AdminRoutes {
  const { httpAdmin, auth } = RED
  // Node-RED takes a list of permissions and asks for each; its types say otherwise.
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

/** No cache keeps an answer, no browser guesses its type, and no page of another origin embeds it. */
const withSafeHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
  })
  next()
}

/** A page can post other types without asking the browser first. */
const jsonOnly: RequestHandler = (request, _response, next) => {
  if (!request.is('application/json')) request.body = undefined
  next()
}

function refuse(response: Response, code: string, message: string): void {
  response.status(403).json({ code, message })
}

// ---- Pages of other origins -----------------------------------------------------------------------------

/** What a browser says of the editor's own page, and of an address that the user has typed. */
const OWN_SITES = ['same-origin', 'none']

function ownPagesOnly(RED: NodeAPI): RequestHandler {
  return ({ headers }, response, next) => {
    const { origin, host, 'sec-fetch-site': site } = headers
    // A browser tells it to https and to this machine only. A page can change none of these headers.
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
 * The proxy's X-Forwarded-Host does not count: a page may set it where Node-RED 4.1 answers the browser's question
 * for allowed headers. No origin at all comes from scripts, and from the editor's own page when it reads.
 */
function isOwnOrigin(origin: string | undefined, host: string | undefined, allowed: unknown[]): boolean {
  if (origin === undefined) return true
  // `null` of a sandboxed frame or a file is none.
  const known = originOf(origin)
  if (known === undefined) return false
  // The scheme is the proxy's: TLS may end there.
  return known === originOf(`${new URL(known).protocol}//${host}`) || allowed.includes(known)
}

function allowedOrigins(RED: NodeAPI): unknown[] {
  const { allowedOrigins: named } = settingsOf(RED)
  return Array.isArray(named) ? named.map(String).map(originOf) : []
}

/** As browsers write it, without the default port; undefined for what is no origin of a web page. */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { origin, protocol } = new URL(text)
  return /^https?:$/.test(protocol) ? origin : undefined
}

// ---- Contents of messages -------------------------------------------------------------------------------

/** Refuses patient data to visitors. Stands behind the check of the permission, which finds out who the user is. */
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

/** Tells visitors from those who have logged in, to Node-RED or to what is in front of it, and users of this machine. */
export function visitorsOf(RED: NodeAPI): (request: Request) => boolean {
  return (request) =>
    settingsOf(RED).contentWithoutAdminAuth !== true &&
    !hasLoggedIn(request) &&
    !isOfThisMachine(RED, request)
}

/** The default user of `adminAuth` is any visitor. */
function hasLoggedIn(request: Request): boolean {
  const { user } = request as { user?: { anonymous?: boolean } }
  return user !== undefined && user.anonymous !== true
}

/** What proxies add. */
const PASSED_ON = ['forwarded', 'x-forwarded-for', 'via']

/**
 * Node-RED listens to this machine only, and was asked by a name of it. Another name is that of a proxy that any
 * computer may use, or of a foreign page whose name leads here (DNS rebinding).
 */
function isOfThisMachine({ server }: NodeAPI, { headers }: Request): boolean {
  if (!isLoopbackServer(server) || PASSED_ON.some((name) => name in headers)) return false
  const asked = `http://${headers.host}`
  return URL.canParse(asked) && isLoopback(new URL(asked).hostname.replace(/^\[|\]$/g, ''))
}

/** No server is known within an application that listens by itself; behind a Unix socket there is a proxy. */
function isLoopbackServer(server: NodeAPI['server'] | null): boolean {
  const address = server?.address()
  return typeof address === 'object' && address !== null && isLoopback(address.address)
}

const isLoopback = (host: string): boolean => /^(::ffff:)?127(\.\d{1,3}){3}$|^::1$|^localhost$/.test(host)
