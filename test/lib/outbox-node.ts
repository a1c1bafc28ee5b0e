/** Flows with durable delivery and a redox-outbox node, both outputs of which are collected. */
import assert from 'node:assert/strict'
import type { Node } from 'node-red'
import helper from 'node-red-node-test-helper'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { forgetActivity } from '../../src/redox/activity'
import { KEY, server } from './durable'
import { eventually } from './eventually'
import { defaultsOf, type Flow, type Message, type Settings } from './flow'
import { NOTE, startTo } from './send-nodes'

const TOPIC = /^redox\/outbox\//

let starts = 0
/** Id of the redox-outbox node of the flow that was started last. */
export const outboxNodeId = (): string => `outbox-${starts}`

/**
 * Starts a flow with a send node and a redox-outbox node. The latter has a new id, so that it remembers nothing of
 * earlier starts, as in a new process.
 */
export function startWithOutboxNode(settings: Settings = {}, config: Settings = {}): Promise<Flow> {
  starts++
  // The state of the access token is kept over deploys, also that of the test before.
  forgetActivity('config')
  return startTo(
    server,
    NOTE,
    {},
    { delivery: 'durable', name: 'Hospital', ...config },
    { secrets: { storeKey: KEY }, others: [outboxNode(settings)] },
  )
}

export const outboxNode = (settings: Settings = {}): Settings & { id: string; type: string } => ({
  ...{ ...defaultsOf('redox-outbox'), id: outboxNodeId(), type: 'redox-outbox', z: 'tab' },
  ...{ connection: 'config', name: 'alerts', wires: [['emitted'], ['emitted']], ...settings },
})

/** Deploys the redox-outbox node with other settings. */
export const redeployOutboxNode = (
  flow: Flow,
  settings: Settings,
  type: 'full' | 'flows' | 'nodes' = 'nodes',
): Promise<void> => flow.redeploy(type, { [outboxNodeId()]: settings })

/** Open outbox of the flow's connection. */
export const outbox = (): Outbox => durableConnections.get('config')!.outbox!

/** Payloads of the messages about troubles and of the audit log. */
export const told = ({ emitted }: Flow): Message[] =>
  emitted.filter(({ topic }) => TOPIC.test(String(topic))).map(({ payload }) => payload as Message)

/** `event state` of each message about a trouble. */
export const troubles = (flow: Flow): string[] =>
  told(flow)
    .filter(({ event }) => event !== 'audit')
    .map(({ event, state }) => `${event} ${state}`)

export const untilTold = (flow: Flow, ...wanted: string[]): Promise<void> =>
  eventually(
    () => `${wanted.join()} expected: ${troubles(flow).join()}`,
    () => wanted.every((one) => troubles(flow).includes(one)),
  )

let commands = 0

/** Passes a command to the redox-outbox node and returns `msg.payload` of the result, or the error. */
export async function command(flow: Flow, payload: unknown): Promise<Message> {
  const _msgid = `command-${++commands}`
  const isThis = (msg: Message): boolean => msg['_msgid'] === _msgid
  const node: Node = helper.getNode(outboxNodeId())
  node.receive({ payload, _msgid, topic: 'mine' })
  await eventually('the command has ended', () => [...flow.emitted, ...flow.caught].some(isThis))
  const failed = flow.caught.find(isThis)
  if (failed) return failed['error'] as Message
  const { topic, payload: result } = flow.emitted.find(isThis)!
  assert.equal(topic, 'mine')
  return result as Message
}
