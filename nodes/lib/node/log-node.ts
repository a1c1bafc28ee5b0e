import { setMaxListeners } from 'node:events'
import type { Node, NodeAPI, NodeDef, NodeMessageInFlow } from 'node-red'
import { RedoxError } from '../../../src/errors'
import { configNodeOf } from '../connection/config-node'
import { isObject } from '../../../src/message/json'
import type { FollowedLog } from '../../../src/platform/log-watch'
import { asRedoxError } from '../../../src/queue/as-redox-error'
import { UUID } from '../../../src/shared/formats'
import type { Connection } from '../connection/connection'
import { durableConnections, type DurableConnection } from '../connection/durable-connection'
import type { Table } from '../fields/types'
import { migrated } from '../runtime/migrations'
import { forCatchOfFollower } from './catch-error'
import { completeMessage, withProperties } from './complete-message'
import { DecisionWatch } from './decision-watch'
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
  /** messages that are followed, with their log ids as soon as these are known */
  readonly #followed = new Map<NodeMessageInFlow, string[]>()
  readonly #closing = new AbortController()
  readonly #decisions = new DecisionWatch((id) => this.#status.decided(id))
  #isRecordFailureLogged = false

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly table: Table,
    private readonly saved: LogNodeDef,
  ) {
    this.#status = new Status(RED, node, table)
    // Each followed message adds a listener, so Node.js must not warn about their number.
    setMaxListeners(0, this.#closing.signal)
  }

  async follow({ msg, send, done }: LogInput): Promise<void> {
    const entry = this.#status.newEntry(outboxIdOf(msg))
    const { signal } = this.#closing
    const isFull = this.#followed.size >= MAX_FOLLOWED
    const since = arrivals.get(msg) ?? performance.now()
    arrivals.set(msg, since)
    let failure: Error | undefined
    this.#followed.set(msg, [])
    try {
      const { ids, minutes } = await this.#inputs(msg)
      this.#followed.set(msg, ids)
      if (isFull) {
        this.#record(msg, idsOnly(ids))
        throw tooMany(ids)
      }
      const { environment, platform } = await this.#connection()
      entry.follow(environment)
      const watch = await platform.watch()
      const logs = await watch.follow(ids, { since, until: since + 60_000 * minutes, signal })
      const { deliveriesOf } = await import('../../../src/platform/deliveries.js')
      if (signal.aborted) return
      this.#record(msg, logs)
      const deliveries = deliveriesOf(logs, msg)
      const redox = { ...(typeof msg.redox === 'object' ? msg.redox : {}), deliveries }
      entry.delivered(deliveries[0]?.logId ?? '')
      send(withProperties(this.RED, this.node, msg, { redox }))
    } catch (error) {
      // The redeployed node follows the message again.
      if (signal.aborted) return
      entry.unconfirmed(error)
      failure = forCatchOfFollower(error, msg)
    } finally {
      this.#followed.delete(msg)
    }
    arrivals.delete(msg)
    completeMessage(this.RED, this.node, { msg, done }, failure)
  }

  async #inputs(msg: FlowMessage): Promise<{ ids: string[]; minutes: number }> {
    const { RED, node, table, saved } = this
    const settings = settingsOf(table, migrated(table.type, saved))
    const ids = logIdsIn(await new Inputs(RED, node, settings, msg).value('logIds'))
    return { ids, minutes: minutesIn(settings.values.get('followMinutes')?.value) }
  }

  async #connection(): Promise<Connection> {
    const configNode = configNodeOf(this.RED, this.saved.connection)
    if (!configNode) throw missingConnection()
    return configNode.connection()
  }

  /**
   * Records in the outbox what the logs say of a message. The message does not wait for it, and does not fail with it:
   * the flow has to be told of a refused message also if the store cannot be written. The first failure in a row is
   * logged.
   */
  #record(msg: FlowMessage, logs: FollowedLog[]): void {
    const id = outboxIdOf(msg)
    if (id === undefined) return
    const recorded = this.#recordInOutbox(id, logs)
    recorded.then(
      () => (this.#isRecordFailureLogged = false),
      (error: unknown) => {
        if (!this.#isRecordFailureLogged) this.node.warn(notRecorded(id, error))
        this.#isRecordFailureLogged = true
      },
    )
  }

  async #recordInOutbox(id: string, logs: FollowedLog[]): Promise<void> {
    const connection = await connectionWith(id, this.saved.connection)
    if (!connection?.outbox) return
    await connection.outbox.recordVerdict(id, logs)
    // A node that was closed meanwhile would watch the connection for ever.
    if (!this.#closing.signal.aborted && this.#status.isRefused(id)) this.#decisions.add(connection, id)
  }

  close(): void {
    this.#decisions.close()
    const left = [...this.#followed].map(([msg, logIds]) => new FollowedMessage(msg, logIds))
    this.#status.close()
    leaveForHandover(this.node, left)
    this.#closing.abort(new DOMException('closed', 'AbortError'))
  }
}

/**
 * Returns the durable connection whose outbox has the message: the node's own, or another one, because the user-level
 * key of one connection can read the logs of all. If none has it, returns the node's own, if that is durable.
 * @param ownId id of the node's own connection
 * @throws RedoxError REDOX_STORE_… if no outbox has it, and one of them could not be asked
 */
async function connectionWith(id: string, ownId: string): Promise<DurableConnection | undefined> {
  const own = durableConnections.get(ownId)
  let failure: RedoxError | undefined
  for (const connection of new Set([own, ...durableConnections.values()])) {
    // After a start or a deploy, a store may still be opening.
    await connection?.opened
    const { outbox, code } = connection ?? {}
    if (outbox === undefined && code !== undefined) failure ??= new RedoxError(code, 'Store is not open.')
    try {
      if (outbox && (await outbox.store.ids({ id }, ['delivered'])).length > 0) return connection
    } catch (error) {
      failure ??= asRedoxError(error)
    }
  }
  if (failure !== undefined) throw failure
  return own
}

/** Returns the id of a message in the outbox. A flow may have put any other text there, which must not get into the log. */
function outboxIdOf({ redox }: FlowMessage): string | undefined {
  const { outbox } = isObject(redox) ? redox : {}
  const { id } = isObject(outbox) ? outbox : {}
  return typeof id === 'string' && UUID.test(id) ? id : undefined
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

const idsOnly = (ids: string[]): FollowedLog[] => ids.map((id) => ({ id }))

const notRecorded = (id: string, error: unknown): string =>
  `The outbox does not show what the destination did with the message ${id}, because that could not be recorded ` +
  `(${asRedoxError(error).code}).`

const tooMany = (logIds: string[]): RedoxError =>
  new RedoxError(
    'REDOX_NOT_CONFIRMED',
    `Not confirmed: this node already follows ${MAX_FOLLOWED} messages. Look at the log in the Redox dashboard, or pass ` +
      'the message to the node again later.',
    { logIds },
  )

const missingConnection = (): RedoxError =>
  new RedoxError(
    'REDOX_CONFIGURATION',
    'Connection is missing: none is chosen, or it is disabled. Choose one in the Connection field.',
  )
