/** Metrics and health: routes of the admin API, and the same paths on a port of their own. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { NodeAPI } from 'node-red'
import type { RuntimeEvent } from '../node/handover'
import { adminRoutes, SAFE_HEADERS, type MonitoringAnswer } from '../runtime/admin-routes'
import { hasToken, monitoringSettings } from '../runtime/monitoring-settings'

const PERMISSION = 'redox-metrics.read'

/** Registers the routes, and opens the port of `settings.js` while the flows run. */
export function registerMonitoring(RED: NodeAPI): void {
  const answers: Record<string, MonitoringAnswer> = {
    '/redox/metrics': answerWith(answerMetrics),
    '/redox/health': answerWith((response, isAllowed) => answerHealth(RED, response, isAllowed)),
  }
  const routes = adminRoutes(RED)
  for (const [path, answer] of Object.entries(answers)) routes.monitoring(path, PERMISSION, answer)
  const { problems } = monitoringSettings(RED)
  for (const problem of problems) RED.log.error(`settings.js, redox: ${problem}.`)
  followRuntime(RED, answers)
}

// ---- Answers -------------------------------------------------------------------------------------------

type Answer = (response: ServerResponse, isAllowed: boolean) => Promise<void>

const answerWith =
  (answer: Answer): MonitoringAnswer =>
  (response, isAllowed) => {
    // An unexpected error may contain any data, so the HTTP response contains no details.
    answer(response, isAllowed).catch(() => response.writeHead(500).end())
  }

async function answerMetrics(response: ServerResponse, isAllowed: boolean): Promise<void> {
  if (!isAllowed) return void response.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end('Unauthorized')
  // Loaded with the first request, so that Node-RED starts faster.
  const [{ metricsText }, { OPEN_METRICS }] = await Promise.all([
    import('./metrics.js'),
    import('./open-metrics.js'),
  ])
  const text = await metricsText()
  response.writeHead(200, { 'Content-Type': OPEN_METRICS }).end(text)
}

/** Requests without permission get the status only, because a probe often has no token. */
async function answerHealth(RED: NodeAPI, response: ServerResponse, isAllowed: boolean): Promise<void> {
  const { healthOf } = await import('./health.js')
  const health = await healthOf(RED)
  response
    .writeHead(health.status === 'ok' ? 200 : 503, { 'Content-Type': 'application/json; charset=utf-8' })
    .end(JSON.stringify(isAllowed ? health : { status: health.status }))
}

// ---- Port of its own -------------------------------------------------------------------------------------

let server: Server | undefined
// Node-RED can be started again in one process, with another `RED` object: then the earlier subscriptions must end.
let stopFollowing = (): void => undefined

/**
 * Opens the port when the flows have started, and closes it when they stop for another reason than a deploy: Node-RED
 * stops, or a user stops the flows.
 */
function followRuntime(RED: NodeAPI, answers: Record<string, MonitoringAnswer>): void {
  stopFollowing()
  const onStarted = (): void => openPort(RED, answers)
  const onRuntimeEvent = ({ id, payload }: RuntimeEvent): void => {
    if (id === 'runtime-state' && payload?.state === 'stop' && payload.deploy !== true) closePort()
  }
  RED.events.on('flows:started', onStarted)
  RED.events.on('runtime-event', onRuntimeEvent)
  stopFollowing = () => {
    RED.events.off('flows:started', onStarted)
    RED.events.off('runtime-event', onRuntimeEvent)
    closePort()
  }
}

function openPort(RED: NodeAPI, answers: Record<string, MonitoringAnswer>): void {
  const { port, host, token } = monitoringSettings(RED)
  if (port === undefined || server) return
  const opened = createServer(({ method = '', url = '', headers }, response) => {
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value)
    const [path = ''] = url.split('?')
    const answer = Object.hasOwn(answers, path) ? answers[path] : undefined
    if (!answer || !['GET', 'HEAD'].includes(method)) return void response.writeHead(404).end()
    answer(response, hasToken(headers.authorization, token))
  })
  server = opened
  opened.on('error', (error: NodeJS.ErrnoException) => {
    RED.log.error(
      `Port ${port} for metrics and health is not open (${error.code}): correct redox.metricsPort or ` +
        'redox.metricsHost in settings.js, or stop the program that uses the port. The port is tried again at the next deploy.',
    )
    if (server === opened) server = undefined
  })
  // The port does not keep a process alive that has nothing else to do.
  opened.listen(port, host).unref()
}

function closePort(): void {
  server?.close()
  server?.closeAllConnections()
  server = undefined
}
