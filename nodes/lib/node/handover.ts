import type { Node, NodeAPI, NodeMessageInFlow } from 'node-red'
import { RedoxError, type RedoxErrorDetail } from '../../../src/errors'
import { codeOf, type Work } from './in-flight'

/**
 * What a deploy makes of work that has not ended: Node-RED closes a node and makes a new one with the same id,
 * which knows nothing of the old one's messages; and what the old one emits goes nowhere. So the work is left here,
 * and the successor receives the messages once more, with what became of them.
 */

interface Estate {
  /** `type id` of the node that left it, and of its successor */
  heir: string
  work: Work
}

interface FlowsEvent {
  /** the configuration that runs, or that will */
  config?: object
}
interface RuntimeEvent {
  id?: string
  payload?: { state?: string; deploy?: boolean }
}

const nodes = new Map<string, Node>()
const inherited = new WeakMap<object, Work>()
const estates: Estate[] = []
/** that are being stopped, to be handed over then */
const ending = new Set<Estate>()
/** without a successor, and not ended yet */
const untold = new Set<Estate>()
let isRunning = false
let isDeploy = false
let started: object | undefined
const watched = new WeakSet<object>()

/** What a node and its successor have in common: type and id last over deploys, inside subflows too. */
const lastingId = ({ type, id }: Node): string => `${type} ${id}`

/** The node is there to receive what its predecessor left. */
export function succeed(node: Node): void {
  nodes.set(lastingId(node), node)
}

/** What a predecessor has begun for this message, when it is one that it left. */
export function inheritedWork(msg: NodeMessageInFlow): Work | undefined {
  const work = inherited.get(msg)
  inherited.delete(msg)
  return work
}

/** Whether nodes are closed for new ones to follow, and not because the flows end. */
export const isDeploying = (): boolean => isDeploy

/** Leaves the work of a node that closes to its successor. */
export function bequeath(node: Node, works: Iterable<Work>): void {
  const heir = lastingId(node)
  if (nodes.get(heir) === node) nodes.delete(heir)
  for (const work of works) estates.push({ heir, work })
}

/** Follows the flows of a runtime as they stop and start. */
export function followFlows(RED: NodeAPI): void {
  if (watched.has(RED.events)) return
  watched.add(RED.events)
  RED.events.on('flows:stopping', ({ config }: FlowsEvent) => {
    isRunning = false
    // A deploy stops the flows when it has the new configuration already.
    isDeploy = started !== undefined && config !== started
  })
  RED.events.on('flows:started', ({ config }: FlowsEvent) => {
    isRunning = true
    started = config
    for (const estate of estates.splice(0)) void handOver(RED, estate)
  })
  RED.events.on('runtime-event', ({ id, payload }: RuntimeEvent) => {
    const staysStopped = id === 'runtime-state' && payload?.state === 'stop' && payload.deploy !== true
    if (!staysStopped) return
    for (const estate of [...estates, ...ending])
      tell(RED, estate, 'It continues when the flows start again, unless Node-RED stops.')
    // Node-RED may end now, and who has no successor would be told of later.
    for (const estate of untold) tell(RED, estate, GONE)
    untold.clear()
  })
}

async function handOver(RED: NodeAPI, estate: Estate): Promise<void> {
  const { work, heir } = estate
  // What was stopped before it was sent begins anew, with the settings that are deployed now.
  ending.add(estate)
  if (!work.isUnderWay) await work.ended
  ending.delete(estate)
  if (!isRunning) {
    estates.push(estate)
    return
  }
  const node = nodes.get(heir)
  if (node === undefined) return report(RED, estate)
  if (!work.isUnsent) inherited.set(work.msg, work)
  node.receive(work.msg)
}

/** No node in the flows can emit it: it goes to the runtime's log. */
async function report(RED: NodeAPI, estate: Estate): Promise<void> {
  untold.add(estate)
  await estate.work.ended
  if (untold.delete(estate)) tell(RED, estate, GONE)
}

const GONE = 'Its node was removed: nothing was emitted.'

function tell(RED: NodeAPI, { heir, work }: Estate, next: string): void {
  RED.log.warn(`${heir}: ${fate(work)}. ${next}`)
}

/** For a message that Node-RED could not pass on. */
export function reportUntold(RED: NodeAPI, { type, id }: Node, work: Work): void {
  RED.log.error(`${type} ${id}: ${fate(work)}. Node-RED failed to pass the message on.`)
}

function fate({ msg, outcome, isUnsent, isUnderWay }: Work): string {
  const message = `the message ${msg._msgid}`
  if (isUnsent || (!outcome && !isUnderWay)) return `${message} was not sent yet (REDOX_ABORTED)`
  if (!outcome) return `${message} is still being sent and may be delivered (REDOX_OUTCOME_UNKNOWN)`
  if ('answer' in outcome) {
    const { statusCode, redox } = outcome.answer
    return `${message} was delivered (HTTP ${statusCode}${ids(redox)})`
  }
  if ('accepted' in outcome) return `${message} was accepted as ${outcome.accepted.id}`
  const { error } = outcome
  return `${message} ended with ${codeOf(error)}${error instanceof RedoxError ? ids(error.cause) : ''}`
}

/** What finds a message in the Redox dashboard. */
function ids({
  logIds = [],
  messageId,
  traceId,
}: Pick<RedoxErrorDetail, 'logIds' | 'messageId' | 'traceId'>): string {
  if (logIds.length > 0) return `, log ID ${logIds.join(', ')}`
  if (messageId !== undefined) return `, message ID ${messageId}`
  return traceId === undefined ? '' : `, trace ID ${traceId}`
}
