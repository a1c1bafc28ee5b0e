import type { Node, NodeAPI, NodeMessageInFlow } from 'node-red'
import { RedoxError, type RedoxErrorDetail } from '../../../src/errors'
import { errorCodeOf, InFlightMessage } from './in-flight-message'

/**
 * Handover of in-flight messages in a deploy. Node-RED closes a node and creates a new node with the same id. The new
 * node does not know the messages of the old node, and messages that a closed node emits are lost. Therefore a closing
 * node leaves its in-flight messages in this module. The redeployed node receives each message again and, if sending
 * has begun, takes over its {@link InFlightMessage}.
 */

interface Handover {
  /** key (`type id`) of the closed node, and of the redeployed node */
  nodeKey: string
  message: InFlightMessage | FollowedMessage
}

/** Message whose delivery was followed when its node was closed: the redeployed node follows it again. */
export class FollowedMessage {
  readonly ended = Promise.resolve()
  readonly isSending = false

  constructor(
    readonly msg: NodeMessageInFlow,
    readonly logIds: string[],
  ) {}
}

interface FlowsEvent {
  /** flow configuration that is running, or that the deploy in progress will start */
  config?: object
}
export interface RuntimeEvent {
  id?: string
  payload?: { state?: string; deploy?: boolean }
}

const nodes = new Map<string, Node>()
const handedOver = new WeakMap<object, InFlightMessage>()
const handovers: Handover[] = []
/**
 * Handovers whose message is being stopped before it was sent. Passed to the redeployed node when the message has
 * ended.
 */
const stopping = new Set<Handover>()
/**
 * Handovers whose node was removed while the message was being sent. The outcome is logged when the message has ended.
 */
const unclaimed = new Set<Handover>()
let isRunning = false
let isDeploy = false
let started: object | undefined
const watched = new WeakSet<object>()

/**
 * Returns the key that a node and its redeployed node have in common: type and id. Both stay the same in deploys, also
 * in subflows.
 */
const nodeKeyOf = ({ type, id }: Node): string => `${type} ${id}`

/** Registers a node, so that it receives the messages that the closed node with the same type and id has left. */
export function registerNode(node: Node): void {
  nodes.set(nodeKeyOf(node), node)
}

/**
 * Returns the in-flight message that the closed node left for a received message; undefined if there is none, and for
 * each further call.
 */
export function takeHandedOver(msg: NodeMessageInFlow): InFlightMessage | undefined {
  const message = handedOver.get(msg)
  handedOver.delete(msg)
  return message
}

/**
 * Returns true while the flows stop for a deploy; false while they stop because Node-RED or the flows are shut down.
 */
export const isDeploying = (): boolean => isDeploy

/** Returns true while the flows run: messages that a node emits earlier, or while the flows stop, are lost. */
export const areFlowsRunning = (): boolean => isRunning

/** Leaves the in-flight messages of a closing node to its redeployed node. */
export function leaveForHandover(node: Node, works: Iterable<Handover['message']>): void {
  const nodeKey = nodeKeyOf(node)
  if (nodes.get(nodeKey) === node) nodes.delete(nodeKey)
  for (const message of works) handovers.push({ nodeKey, message })
}

/** Subscribes to the start and the stop of the flows of a Node-RED runtime. */
export function followFlows(RED: NodeAPI): void {
  if (watched.has(RED.events)) return
  watched.add(RED.events)
  RED.events.on('flows:stopping', ({ config }: FlowsEvent) => {
    isRunning = false
    // In a deploy, the flows stop after the new configuration was set, so the event contains a configuration that
    // differs from the running one.
    isDeploy = started !== undefined && config !== started
  })
  RED.events.on('flows:started', ({ config }: FlowsEvent) => {
    isRunning = true
    started = config
    for (const handover of handovers.splice(0)) void deliverHandover(RED, handover)
  })
  RED.events.on('runtime-event', ({ id, payload }: RuntimeEvent) => {
    const staysStopped = id === 'runtime-state' && payload?.state === 'stop' && payload.deploy !== true
    if (!staysStopped) return
    for (const handover of [...handovers, ...stopping])
      logOutcome(RED, handover, 'It continues when the flows start again, unless Node-RED stops.')
    // Node-RED may exit now, before messages of removed nodes have ended, so their current outcome is logged now.
    for (const handover of unclaimed) logOutcome(RED, handover, GONE)
    unclaimed.clear()
  })
}

async function deliverHandover(RED: NodeAPI, handover: Handover): Promise<void> {
  const { message, nodeKey } = handover
  // A message that was stopped before it was sent starts again, with the settings that are deployed now.
  stopping.add(handover)
  if (!message.isSending) await message.ended
  stopping.delete(handover)
  if (!isRunning) {
    handovers.push(handover)
    return
  }
  const node = nodes.get(nodeKey)
  if (node === undefined) return logWhenEnded(RED, handover)
  if (message instanceof InFlightMessage && !message.isUnsent) handedOver.set(message.msg, message)
  node.receive(message.msg)
}

/** Logs the outcome of a message whose node was removed, because no node in the flows can emit the answer. */
async function logWhenEnded(RED: NodeAPI, handover: Handover): Promise<void> {
  unclaimed.add(handover)
  await handover.message.ended
  if (unclaimed.delete(handover)) logOutcome(RED, handover, GONE)
}

const GONE = 'Its node was removed: nothing was emitted.'

function logOutcome(RED: NodeAPI, { nodeKey, message }: Handover, next: string): void {
  RED.log.warn(`${nodeKey}: ${outcomeSentence(message)}. ${next}`)
}

/** Logs the outcome of a message that Node-RED failed to pass on to the next nodes. */
export function logUndelivered(RED: NodeAPI, { type, id }: Node, message: InFlightMessage): void {
  RED.log.error(`${type} ${id}: ${outcomeSentence(message)}. Node-RED failed to pass the message on.`)
}

function outcomeSentence(left: Handover['message']): string {
  if (left instanceof FollowedMessage)
    return `the delivery of the message ${left.msg._msgid} is not confirmed (REDOX_NOT_CONFIRMED${ids(left)})`
  const { msg, outcome, isUnsent, isSending } = left
  const message = `the message ${msg._msgid}`
  if (isUnsent || (!outcome && !isSending)) return `${message} was not sent yet (REDOX_ABORTED)`
  if (!outcome) return `${message} is still being sent and may be delivered (REDOX_OUTCOME_UNKNOWN)`
  if ('answer' in outcome) {
    const { statusCode, redox } = outcome.answer
    return `${message} was delivered (HTTP ${statusCode}${ids(redox)})`
  }
  if ('accepted' in outcome) return `${message} was accepted as ${outcome.accepted.id}`
  const { error } = outcome
  return `${message} ended with ${errorCodeOf(error)}${error instanceof RedoxError ? ids(error.cause) : ''}`
}

/** Returns a part of a log text with the id by which the Redox dashboard finds the message; '' if there is no id. */
function ids({
  logIds = [],
  messageId,
  traceId,
}: Pick<RedoxErrorDetail, 'logIds' | 'messageId' | 'traceId'>): string {
  if (logIds.length > 0) return `, log ID ${logIds.join(', ')}`
  if (messageId !== undefined) return `, message ID ${messageId}`
  return traceId === undefined ? '' : `, trace ID ${traceId}`
}
