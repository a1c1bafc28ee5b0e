/**
 * Outbox: admin routes for the messages of durable connections, used by a sidebar tab of the editor and by scripts. The
 * routes never open a store; `handlers.ts` handles the requests.
 */
import type { Request, RequestHandler, Response } from 'express'
import type { NodeAPI } from 'node-red'
import {
  adminRoutes,
  contentReadersOnly,
  showsIdentifiersToReaders,
  visitorsOf,
} from '../../nodes/lib/runtime/admin-routes'
import { PARKED_EVENT, REFUSED_LATER_EVENT } from '../../nodes/lib/connection/outbox-events'
import type { ContentAccess, OutboxRequest } from './handlers'

type Handlers = (typeof import('./handlers'))['HANDLERS']

const TOPIC = 'redox/outbox'

// Node-RED can be started again in one process, with another `RED` object: then the earlier event subscription must
// end.
let stopTelling = (): void => undefined

export = function register(RED: NodeAPI): void {
  addRoutes(RED)
  stopTelling()
  stopTelling = tellEditors(RED)
  RED.plugins.registerPlugin('redox-outbox-tab', {
    type: 'redox-outbox-tab',
    ...{ onremove: () => stopTelling() },
  })
}

/**
 * Publishes `{ news }` to open editors when a message was parked or refused later. Contains no other data, because all
 * logged-in users get the event, whatever their permissions. Returns a function that stops the events.
 */
function tellEditors({ comms, events }: NodeAPI): () => void {
  const tell = (): void => comms.publish(TOPIC, { news: true }, false)
  const told = [PARKED_EVENT, REFUSED_LATER_EVENT]
  for (const name of told) events.on(name, tell)
  return () => told.forEach((name) => events.off(name, tell))
}

function addRoutes(RED: NodeAPI): void {
  const routes = adminRoutes(RED)
  const isVisitor = visitorsOf(RED)
  const identifiersForReaders = showsIdentifiersToReaders(RED)
  const answered =
    (name: keyof Handlers): RequestHandler =>
    (request, response) => {
      reply(name, request, response, { isVisitor: isVisitor(request), identifiersForReaders }).catch(() =>
        // An unexpected error may contain any data, so the HTTP response contains no details.
        response
          .status(500)
          .json({ code: 'unexpected', message: 'Internal error in the outbox. Please report this.' }),
      )
    }
  const read = 'redox-outbox.read'
  const write = 'redox-outbox.write'
  const content = 'redox-outbox.content'
  const closedToVisitors = contentReadersOnly(RED)
  const one = '/redox/outbox/:connection/messages/:id'
  routes.get('/redox/outbox', read, answered('overview'))
  routes.get('/redox/outbox/:connection/direct', read, answered('direct'))
  routes.post('/redox/outbox/:connection/direct/:id', write, answered('decide-direct'))
  routes.get('/redox/outbox/:connection/messages', read, answered('messages'))
  routes.get('/redox/outbox/:connection/count', read, answered('count'))
  routes.get(one, read, answered('message'))
  const mayIdentify = identifiersForReaders ? read : content
  routes.get(`${one}/identifiers`, mayIdentify, closedToVisitors, answered('identifiers'))
  routes.get(`${one}/content`, content, closedToVisitors, answered('content'))
  routes.get(`${one}/files/:index`, content, closedToVisitors, answered('file'))
  routes.post(one, write, answered('decide'))
  routes.post(`${one}/look-up`, write, answered('look-up'))
  routes.post('/redox/outbox/:connection/decisions', write, answered('decisions'))
  routes.post('/redox/outbox/:connection/destinations', write, answered('destinations'))
  routes.post('/redox/outbox/stranded/:id', write, answered('stranded'))
  routes.post('/redox/outbox/:connection/store', write, answered('store'))
  routes.get('/redox/outbox/:connection/audit', read, answered('audit'))
}

async function reply(
  name: keyof Handlers,
  request: Request,
  response: Response,
  access: ContentAccess,
): Promise<void> {
  // Loaded with the first request, so that Node-RED starts faster.
  const [{ HANDLERS }, { FileResponse }, { errorResponse }] = await Promise.all([
    import('./handlers.js'),
    import('./files.js'),
    import('./refusal.js'),
  ])
  try {
    const body: object | void = await HANDLERS[name](outboxRequest(request, response, access))
    if (body === undefined) response.status(204).end()
    else if (body instanceof FileResponse) await body.send(response)
    else response.status(200).json(body)
  } catch (error) {
    const { status, body } = errorResponse(error)
    response.status(status).json(body)
  }
}

function outboxRequest(request: Request, response: Response, access: ContentAccess): OutboxRequest {
  const { params, query } = request
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const { username } = (request as { user?: { username?: unknown } }).user ?? {}
  return {
    connection: params['connection'] as string,
    id: params['id'] as string,
    index: params['index'] as string | undefined,
    query,
    body: request.body as unknown,
    who: typeof username === 'string' ? username : 'anonymous',
    ...access,
    signal: gone.signal,
  }
}
