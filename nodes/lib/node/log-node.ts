import { setMaxListeners } from 'node:events'
import type { Node, NodeAPI, NodeDef, NodeMessageInFlow } from 'node-red'
import { RedoxError } from '../../../src/errors'
import { configNodeOf } from '../connection/config-node'
import type { Table } from '../fields/types'
import { migrated } from '../runtime/migrations'
import { forCatchOfReader } from './catch-error'
import { completeMessage, withProperties } from './complete-message'
import { FollowedMessage, followFlows, leaveForHandover, registerNode } from './handover'
import { Inputs, settingsOf, type NodeConfig } from './inputs'
import { Status } from './status'

type LogNodeDef = NodeDef & NodeConfig & { connection: string }
type FlowMessage = NodeMessageInFlow & { redox?: unknown }

/** Maximum number of messages that a node follows at once. */
const MAX_FOLLOWED = 1000
const DEFAULT_MINUTES = 60
/** Arrival of each followed message, in ms of the monotonic clock. A deploy does not change it. */
const arrivals = new WeakMap<NodeMessageInFlow, number>()

/**
 * Registers the node type that follows the logs of messages until each delivery is final.
 * @param table fields of the node type
 */
export function registerLogNode(RED: NodeAPI, table: Table): void {
  followFlows(RED)

  function LogNode(this: Node, saved: LogNodeDef): void {
    RED.nodes.createNode(this, saved)
    const follower = new LogFollower(RED, this, table, saved)
    this.on('input', (msg, send, done) => void follower.follow({ msg, send, done }))
    this.on('close', () => follower.close())
    registerNode(this)
  }

  RED.nodes.registerType(table.type, LogNode as never)
}

interface LogInput {
  msg: FlowMessage
  send: (msg: NodeMessageInFlow) => void
  done: (error?: Error) => void
}

class LogFollower {
  readonly #status: Status
  readonly #followed = new Set<NodeMessageInFlow>()
  readonly #closing = new AbortController()

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly table: Table,
    private readonly saved: LogNodeDef,
  ) {
    this.#status = new Status(RED, node, table)
    // Each followed log adds a listener, so Node.js must not warn about their number.
    setMaxListeners(0, this.#closing.signal)
  }

  async follow({ msg, send, done }: LogInput): Promise<void> {
    const entry = this.#status.newEntry()
    const { signal } = this.#closing
    let failure: Error | undefined
    this.#followed.add(msg)
    try {
      if (this.#followed.size > MAX_FOLLOWED) throw tooMany()
      const deliveries = await this.#deliveries(msg, entry.begin)
      if (signal.aborted) return
      const redox = { ...(typeof msg.redox === 'object' ? msg.redox : {}), deliveries }
      entry.delivered(deliveries[0]?.logId ?? '')
      send(withProperties(this.RED, this.node, msg, { redox }))
    } catch (error) {
      // The redeployed node follows the message again.
      if (signal.aborted) return
      entry.failed(error)
      failure = forCatchOfReader(error, msg)
    } finally {
      this.#followed.delete(msg)
    }
    completeMessage(this.RED, this.node, { msg, done }, failure)
  }

  async #deliveries(msg: FlowMessage, begin: (environment: string) => void) {
    const { RED, node, table, saved } = this
    const { signal } = this.#closing
    const settings = settingsOf(table, migrated(table.type, saved))
    const ids = logIdsIn(await new Inputs(RED, node, settings, msg).value('logIds'))
    const since = arrivals.get(msg) ?? performance.now()
    arrivals.set(msg, since)
    const until = since + 60_000 * minutesIn(settings.values.get('followMinutes')?.value)
    const configNode = configNodeOf(RED, saved.connection)
    if (!configNode) throw missingConnection()
    const { environment, platform } = await configNode.connection()
    begin(environment)
    const client = await platform.client()
    const { deliveriesOf, followLog } = await import('../../../src/platform/follow.js')
    const logs = await Promise.all(ids.map((id) => followLog(client, id, { signal, until })))
    return deliveriesOf(logs, msg)
  }

  close(): void {
    const left = [...this.#followed].map((msg) => new FollowedMessage(msg))
    this.#status.close()
    leaveForHandover(this.node, left)
    this.#closing.abort(new DOMException('closed', 'AbortError'))
  }
}

/** Maximum number of log ids of a message: one for each destination. */
const MAX_IDS = 100
const LOG_ID = /^[\w-]{1,100}$/

/**
 * Returns the log ids in the value of the field.
 * @throws RedoxError REDOX_BAD_INPUT
 */
function logIdsIn(value: unknown): string[] {
  const given = typeof value === 'string' ? value.split(/[\s,;]+/).filter((id) => id !== '') : value
  if (!Array.isArray(given) || given.length === 0) throw noIds()
  const ids = [...new Set(given.map(String))]
  if (ids.length <= MAX_IDS && ids.every((id) => LOG_ID.test(id))) return ids
  throw new RedoxError(
    'REDOX_BAD_INPUT',
    `Log IDs are not valid: the field must have up to ${MAX_IDS} IDs of letters, digits and hyphens.`,
  )
}

function minutesIn(value = ''): number {
  const minutes = value.trim() === '' ? DEFAULT_MINUTES : Number(value)
  if (Number.isFinite(minutes) && minutes > 0) return minutes
  throw new RedoxError('REDOX_BAD_INPUT', 'Follow for (min) is not a number above 0. Correct it in the node.')
}

const noIds = (): RedoxError =>
  new RedoxError(
    'REDOX_BAD_INPUT',
    'Log IDs are missing: the message has none, so its delivery cannot be followed. Answers to Data Model messages have ' +
      'log IDs; most answers of the FHIR API have none: look such a message up in the Redox dashboard.',
  )

const tooMany = (): RedoxError =>
  new RedoxError(
    'REDOX_NOT_CONFIRMED',
    `Not confirmed: this node already follows ${MAX_FOLLOWED} messages. Look at the log in the Redox dashboard.`,
  )

const missingConnection = (): RedoxError =>
  new RedoxError(
    'REDOX_CONFIGURATION',
    'Connection is missing: none is chosen, or it is disabled. Choose one in the Connection field.',
  )
