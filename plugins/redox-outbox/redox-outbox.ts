/**
 * The outbox: what the durable connections have accepted, for a sidebar tab of the editor and for scripts. Looking
 * opens no store; what the routes answer is made in `answers.ts`.
 */
import type { Request, RequestHandler, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { PARKED_EVENT } from '../../nodes/lib/delivery'
import type { Answer, Question } from './answers'

type Answers = typeof import('./answers')

const TOPIC = 'redox/outbox'

// Node-RED can be started again in one process, with another RED: the earlier one must not go on telling.
let stopTelling = (): void => undefined

export = function register(RED: NodeAPI): void {
  addRoutes(RED)
  stopTelling()
  stopTelling = tellEditors(RED)
  RED.plugins.registerPlugin('redox-outbox', { type: 'redox-outbox', ...{ onremove: () => stopTelling() } })
}

/**
 * Tells open editors that a message needs a person: `{ news }`. Nothing else, for every logged-in user hears it,
 * whatever the permissions. Returns how to stop.
 */
function tellEditors({ comms, events }: NodeAPI): () => void {
  const tell = (): void => comms.publish(TOPIC, { news: true }, false)
  events.on(PARKED_EVENT, tell)
  return () => events.off(PARKED_EVENT, tell)
}

function addRoutes({ httpAdmin, auth }: NodeAPI): void {
  const mayRead = [neverStored, auth.needsPermission('redox-outbox.read')]
  const mayDecide = [neverStored, auth.needsPermission('redox-outbox.write')]
  const maySeeContent = [neverStored, auth.needsPermission('redox-outbox.content')]
  httpAdmin.get('/redox/outbox', mayRead, answered('overview'))
  httpAdmin.get('/redox/outbox/:connection/messages', mayRead, answered('messages'))
  httpAdmin.get('/redox/outbox/:connection/messages/:id', mayRead, answered('message'))
  httpAdmin.get('/redox/outbox/:connection/messages/:id/content', maySeeContent, answered('content'))
  httpAdmin.post('/redox/outbox/:connection/messages/:id', mayDecide, answered('decide'))
  httpAdmin.post('/redox/outbox/:connection/lanes', mayDecide, answered('pause'))
  httpAdmin.post('/redox/outbox/:connection/store', mayDecide, answered('store'))
  httpAdmin.get('/redox/outbox/:connection/audit', mayRead, answered('audit'))
}

const neverStored: RequestHandler = (_request, response, next) => {
  response.set('Cache-Control', 'no-store')
  next()
}

const answered =
  (name: keyof Answers['ANSWERS']): RequestHandler =>
  (request, response) => {
    reply(name, request, response).catch(() =>
      // What went wrong inside may quote anything: only that it did is told.
      response
        .status(500)
        .json({ code: 'unexpected', message: 'The outbox failed in a way that it should not.' }),
    )
  }

async function reply(name: keyof Answers['ANSWERS'], request: Request, response: Response): Promise<void> {
  // Loaded when somebody asks.
  const { ANSWERS, refusalOf } = await import('./answers.js')
  const { status, body }: Answer = await ANSWERS[name](questionOf(request)).catch(refusalOf)
  if (body === undefined) response.status(status).end()
  else response.status(status).json(body)
}

function questionOf(request: Request): Question {
  const { params, query } = request
  const { username } = (request as { user?: { username?: unknown } }).user ?? {}
  return {
    connection: params['connection'] as string,
    id: params['id'] as string,
    query,
    // Other types are what a page of a stranger can post without asking the browser first.
    body: request.is('application/json') ? (request.body as unknown) : undefined,
    who: typeof username === 'string' ? username : 'anonymous',
  }
}
