/**
 * Sandbox inbox: routes for a sidebar tab with the messages that the built-in sandbox received. The plugin only reads a
 * running sandbox and never starts one.
 */
import type { Request, RequestHandler, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { adminRoutes, visitorsOf } from '../../nodes/lib/runtime/admin-routes'
import { fileHeaders, shownType } from '../../nodes/lib/runtime/shown-file'
import { onSandboxChange, runningSandbox, type SandboxChange } from '../../nodes/lib/connection/sandbox-host'
import type { DeliveredFile, Delivery, ReceivedMessage, RequestRecord, Sandbox } from '../../src/sandbox'
import type {
  InboxDelivery,
  InboxFile,
  InboxList,
  InboxMessage,
  InboxMessageDetails,
  InboxNews,
  SimulatedFault,
} from '../../src/shared/inbox-api'
import { UUID } from '../../src/shared/formats'

const TOPIC = 'redox/inbox'
/** Minimum interval in milliseconds between two events for the editors, however many messages the sandbox receives. */
const TELL_EVERY = 300
/** Maximum number of simulated faults in the list. The newest faults are shown. */
const MAX_FAULTS = 50
const INDEX = /^\d{1,4}$/

// Node-RED can be started again in one process, with another `RED` object: then the earlier event subscription must
// end.
let stopTelling = (): void => undefined

export = function register(RED: NodeAPI): void {
  addRoutes(RED)
  stopTelling()
  stopTelling = tellEditors(RED)
  RED.plugins.registerPlugin('redox-inbox', { type: 'redox-inbox', ...{ onremove: () => stopTelling() } })
}

// ---- Routes -------------------------------------------------------------------------------------------

type Handler = (request: Request, response: Response, sandbox: Sandbox | undefined) => void

function addRoutes(RED: NodeAPI): void {
  const routes = adminRoutes(RED)
  const read = 'redox-inbox.read'
  routes.get('/redox/inbox', read, withSandbox(listFor(visitorsOf(RED))))
  routes.get('/redox/inbox/:id', read, withSandbox(one))
  routes.get('/redox/inbox/:id/files/:index', read, withSandbox(content))
  const clear: Handler = (_request, response, sandbox) => {
    sandbox?.clear()
    RED.comms.publish(TOPIC, { count: 0, news: 0 }, false)
    response.status(204).end()
  }
  routes.delete('/redox/inbox', 'redox-inbox.write', withSandbox(clear))
}

const withSandbox =
  (handle: Handler): RequestHandler =>
  (request, response) => {
    sandboxOrNone()
      .then((sandbox) => handle(request, response, sandbox))
      // Without this handler, Express would send the text and the stack of the error, which may contain any data.
      .catch(() => response.status(500).json({ code: 'unexpected' }))
  }

/**
 * Returns the running sandbox; undefined if no sandbox runs, or if its start failed (already reported by the connection
 * that started it).
 */
async function sandboxOrNone(): Promise<Sandbox | undefined> {
  return runningSandbox()?.catch(() => undefined)
}

/**
 * Returns the handler for the list `{ running, messages, faults }`, newest first, without the bytes of files. Visitors
 * may see the list, because the sandbox is made for test data; with `openToAll`, the tab warns that other people can
 * see the list.
 */
const listFor =
  (isVisitor: (request: Request) => boolean): Handler =>
  (request, response, sandbox) => {
    const messages = [...(sandbox?.received ?? [])].reverse().map(summary)
    const hit = (sandbox?.requests ?? []).filter(({ fault }) => fault !== undefined)
    const faults = hit.slice(-MAX_FAULTS).reverse().map(simulatedFault)
    const list: InboxList = {
      running: sandbox !== undefined,
      messages,
      faults,
      ...(isVisitor(request) && { openToAll: true }),
    }
    response.json(list)
  }

/** Returns a simulated fault without the path and the headers of its request, which may contain patient data. */
const simulatedFault = ({ at, api, fault, accepted }: RequestRecord): SimulatedFault => ({
  at,
  api,
  fault,
  accepted,
})

/** Handler for all data of one message, except for the bytes of its files. */
const one: Handler = (request, response, sandbox) => {
  const message = messageOf(request, sandbox)
  if (!message) return notFound(response)
  const { source, logIds, locations, request: sent, delivered } = message
  const details: InboxMessageDetails = {
    ...{ ...summary(message), source, logIds, locations },
    ...{ request: sent, delivered },
  }
  response.json(details)
}

/** Handler for the bytes of one file. The response has a MIME type with which no code runs in the editor's origin. */
const content: Handler = (request, response, sandbox) => {
  const index = request.params['index'] as string
  const file = INDEX.test(index) ? messageOf(request, sandbox)?.files[Number(index)] : undefined
  if (!file) return notFound(response)
  const headers = fileHeaders(file.name, Number(index), shownType(file, file.bytes))
  // Not `res.send()`, which could send status 304 (not modified) and would add a charset.
  response.writeHead(200, { ...headers, 'Content-Length': file.size })
  response.end(file.bytes)
}

function messageOf({ params }: Request, sandbox: Sandbox | undefined): ReceivedMessage | undefined {
  const id = params['id'] as string
  return UUID.test(id) ? sandbox?.received.find((message) => message.id === id) : undefined
}

function notFound(response: Response): void {
  response.status(404).json({ code: 'not_found' })
}

function summary({
  id,
  at,
  api,
  operation,
  environment,
  destinations,
  ...rest
}: ReceivedMessage): InboxMessage {
  const { patient, document, files, fault, deliveries } = rest
  const line = { id, at, api, operation, environment, destinations, patient, document, fault }
  return { ...line, files: files.map(described), deliveries: deliveries.map(shownDelivery) }
}

const shownDelivery = ({ destination, logId, status, attempts, problem }: Delivery): InboxDelivery => ({
  ...{ destination, logId, status, attempts },
  ...(problem !== undefined && { problem }),
})

/**
 * Returns the description of a file. `shown` is the MIME type for display, or null if the file can only be downloaded.
 */
function described(file: DeliveredFile): InboxFile {
  const { bytes: _bytes, ...description } = file
  return { ...description, shown: shownType(file, file.bytes) ?? null }
}

// ---- Live updates -------------------------------------------------------------------------------------

/**
 * Publishes changes to open editors as `{ count, news }`: the number of messages, and the number of new messages since
 * the last event. Contains no other data, because all logged-in users get the event, whatever their permissions.
 * Returns a function that stops the events.
 */
function tellEditors({ comms }: NodeAPI): () => void {
  let timer: NodeJS.Timeout | undefined
  let changed = false
  let news = 0

  const publish = async (): Promise<void> => {
    const newer = news
    changed = false
    news = 0
    const change: InboxNews = { count: (await sandboxOrNone())?.received.length ?? 0, news: newer }
    comms.publish(TOPIC, change, false)
  }
  const tick = (): void => {
    timer = undefined
    if (!changed) return
    timer = setTimeout(tick, TELL_EVERY).unref()
    // An unhandled rejection would end the Node-RED process.
    publish().catch(() => undefined)
  }
  const stop = onSandboxChange((change: SandboxChange) => {
    changed = true
    if (change === 'received') news++
    if (timer === undefined) tick()
  })
  return () => {
    stop()
    clearTimeout(timer)
  }
}
