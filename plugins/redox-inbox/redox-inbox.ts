/**
 * The sandbox inbox: what the imaginary EHR behind the built-in sandbox received, for a sidebar tab of the
 * editor. Only ever looks at a sandbox that runs; looking does not start one.
 */
import type { Request, RequestHandler, Response } from 'express'
import type { NodeAPI } from 'node-red'
import { adminRoutes, visitorsOf } from '../../nodes/lib/runtime/admin-routes'
import { onSandboxChange, runningSandbox, type SandboxChange } from '../../nodes/lib/connection/sandbox-host'
import type { DeliveredFile, ReceivedMessage, RequestRecord, Sandbox } from '../../src/sandbox'
import type {
  InboxFile,
  InboxList,
  InboxMessage,
  InboxMessageDetails,
  InboxNews,
  SimulatedFault,
} from '../../src/shared/inbox-api'
import { UUID } from '../../src/shared/formats'
import { OCTET_STREAM } from '../../src/shared/values'
import { shownType } from './shown-type'

const TOPIC = 'redox/inbox'
/** At most so often, in milliseconds, the editors hear that something changed, however much is sent. */
const TELL_EVERY = 300
/** Of the faults that were played, the newest. */
const MAX_FAULTS = 50
const INDEX = /^\d{1,4}$/

// Node-RED can be started again in one process, with another RED: the earlier one must not go on telling.
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
      // Express would answer with the error's text and stack, which may quote anything.
      .catch(() => response.status(500).json({ code: 'unexpected' }))
  }

/** One that could not be started is none; who wanted it has the error. */
async function sandboxOrNone(): Promise<Sandbox | undefined> {
  return runningSandbox()?.catch(() => undefined)
}

/**
 * `{ running, messages, faults }`, newest first; what stands in a line of the list, without any bytes.
 * A visitor is shown what there is, for the sandbox is made for test data; `openToAll` has the tab say that others see it too.
 */
const listFor =
  (isVisitor: (request: Request) => boolean): Handler =>
  (request, response, sandbox) => {
    const messages = [...(sandbox?.received ?? [])].reverse().map(summary)
    const hit = (sandbox?.requests ?? []).filter(({ fault }) => fault !== undefined)
    const faults = hit.slice(-MAX_FAULTS).reverse().map(played)
    const list: InboxList = {
      running: sandbox !== undefined,
      messages,
      faults,
      ...(isVisitor(request) && { openToAll: true }),
    }
    response.json(list)
  }

/** No path and no header: what was asked for may name a patient. */
const played = ({ at, api, fault, accepted }: RequestRecord): SimulatedFault => ({ at, api, fault, accepted })

/** A message with all that is known of it, except the bytes of its files. */
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

/** The bytes of one file, with a type that can run nothing in the editor's origin. */
const content: Handler = (request, response, sandbox) => {
  const index = request.params['index'] as string
  const file = INDEX.test(index) ? messageOf(request, sandbox)?.files[Number(index)] : undefined
  if (!file) return notFound(response)
  const type = shownType(file)
  const name = safeName(file, Number(index))
  // Not res.send(): it would answer "not modified", and add a charset of its own.
  response.writeHead(200, {
    'Content-Type': type === 'text/plain' ? 'text/plain; charset=utf-8' : (type ?? OCTET_STREAM),
    'Content-Length': file.size,
    'Content-Disposition': `${type ? 'inline' : 'attachment'}; ${name}`,
    'Content-Security-Policy': policyOf(type),
  })
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
  const { patient, document, files, fault } = rest
  const line = { id, at, api, operation, environment, destinations, patient, document, fault }
  return { ...line, files: files.map(described) }
}

/** `shown`: the type it may be shown as, null when it is only to be downloaded. */
function described(file: DeliveredFile): InboxFile {
  const { bytes: _bytes, ...description } = file
  return { ...description, shown: shownType(file) ?? null }
}

// ---- Headers of a file --------------------------------------------------------------------------------

/** For those who open the address itself; Chromium shows no PDF in a sandbox. */
function policyOf(type: string | undefined): string {
  const nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
  return type === 'application/pdf' ? nothing : `${nothing}; sandbox`
}

/** File name parameters of a Content-Disposition (RFC 6266, RFC 5987): a base name that no header can break. */
function safeName({ name }: DeliveredFile, index: number): string {
  const base = Buffer.from(name ?? '')
    .toString()
    .replace(/^.*[/\\]/s, '')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
    .replace(/^[\s.]+/, '')
  const safe = [...base].slice(-150).join('') || `file-${index + 1}`
  const ascii = safe.replace(/[^\w. -]/g, '_')
  const encoded = encodeURIComponent(safe).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `filename="${ascii}"; filename*=UTF-8''${encoded}`
}

// ---- Live ---------------------------------------------------------------------------------------------

/**
 * Tells open editors that something changed: `{ count, news }`, how many messages there are and how many came since
 * it last told. Nothing else, for every logged-in user hears it, whatever the permissions. Returns how to stop.
 */
function tellEditors({ comms }: NodeAPI): () => void {
  let timer: NodeJS.Timeout | undefined
  let changed = false
  let news = 0

  const publish = async (): Promise<void> => {
    const newer = news
    changed = false
    news = 0
    const told: InboxNews = { count: (await sandboxOrNone())?.received.length ?? 0, news: newer }
    comms.publish(TOPIC, told, false)
  }
  const tick = (): void => {
    timer = undefined
    if (!changed) return
    timer = setTimeout(tick, TELL_EVERY).unref()
    // An unhandled rejection would end Node-RED.
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
