import type { Node, NodeAPI, NodeMessageInFlow } from 'node-red'
import { RedoxError, type RedoxErrorDetail } from '../../../src/errors'
import { codeOf, type Work } from './in-flight'

/**
 * Handover of in-flight messages in a deploy: Node-RED closes a node and creates a new one with the same id. The new
 * node does not know the messages of the old node, and messages that a closed node emits are lost. Therefore a closing
 * node leaves its in-flight messages here. The redeployed node receives each message again, together with the work that
 * was already done for the message.
 */

interface Estate {
  /** key (`type id`) of the node that left the message, and of the redeployed node */
  heir: string
  work: Work
}

interface FlowsEvent {
  /** flow configuration that is running, or that a deploy starts next */
  config?: object
}
interface RuntimeEvent {
  id?: string
  payload?: { state?: string; deploy?: boolean }
}

const nodes = new Map<string, Node>()
const inherited = new WeakMap<object, Work>()
const estates: Estate[] = []
/** Handovers whose unsent message is being stopped. They are handed over when the message has ended. */
const ending = new Set<Estate>()
/** Handovers whose node was removed and whose message has not ended yet. The outcome is logged at the end. */
const untold = new Set<Estate>()
let isRunning = false
let isDeploy = false
let started: object | undefined
const watched = new WeakSet<object>()

/**
 * Returns the key that a node shares with its redeployed node: type and id. Both stay the same in deploys, also in
 * subflows.
 */
const lastingId = ({ type, id }: Node): string => `${type} ${id}`

/** Registers a node as receiver of the messages that the previous node with its type and id has left. */
export function succeed(node: Node): void {
  nodes.set(lastingId(node), node)
}

/**
 * Returns the in-flight message that the previous node left for a received message, once; undefined if there is none.
 */
export function inheritedWork(msg: NodeMessageInFlow): Work | undefined {
  const work = inherited.get(msg)
  inherited.delete(msg)
  return work
}

/** Returns true while nodes are closed for a deploy, and false while they are closed because the flows end. */
export const isDeploying = (): boolean => isDeploy

/** Leaves the in-flight messages of a closing node to its redeployed node. */
export function bequeath(node: Node, works: Iterable<Work>): void {
  const heir = lastingId(node)
  if (nodes.get(heir) === node) nodes.delete(heir)
  for (const work of works) estates.push({ heir, work })
}

/** Follows the start and the stop of the flows in a Node-RED runtime. */
export function followFlows(RED: NodeAPI): void {
  if (watched.has(RED.events)) return
  watched.add(RED.events)
  RED.events.on('flows:stopping', ({ config }: FlowsEvent) => {
    isRunning = false
    // In a deploy, the flows stop after the new configuration was set, so the event contains another configuration.
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
    // Node-RED may end now, before the messages of removed nodes have ended. Their outcome is logged now.
    for (const estate of untold) tell(RED, estate, GONE)
    untold.clear()
  })
}

async function handOver(RED: NodeAPI, estate: Estate): Promise<void> {
  const { work, heir } = estate
  // A message that was stopped before sending starts again, with the settings that are deployed now.
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

/** Logs the outcome of a message whose node was removed, because no node in the flows can emit the answer. */
async function report(RED: NodeAPI, estate: Estate): Promise<void> {
  untold.add(estate)
  await estate.work.ended
  if (untold.delete(estate)) tell(RED, estate, GONE)
}

const GONE = 'Its node was removed: nothing was emitted.'

function tell(RED: NodeAPI, { heir, work }: Estate, next: string): void {
  RED.log.warn(`${heir}: ${fate(work)}. ${next}`)
}

/** Logs the outcome of a message that Node-RED failed to pass on. */
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

/** Returns the id by which a message is found in the Redox dashboard, as part of a log text; empty if there is none. */
function ids({
  logIds = [],
  messageId,
  traceId,
}: Pick<RedoxErrorDetail, 'logIds' | 'messageId' | 'traceId'>): string {
  if (logIds.length > 0) return `, log ID ${logIds.join(', ')}`
  if (messageId !== undefined) return `, message ID ${messageId}`
  return traceId === undefined ? '' : `, trace ID ${traceId}`
}
