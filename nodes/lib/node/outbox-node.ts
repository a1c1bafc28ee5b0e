import type { Node, NodeAPI, NodeDef, NodeMessageInFlow } from 'node-red'
import { RedoxError } from '../../../src/errors'
import type { DeliveryStore } from '../../../src/queue/types'
import type { TokenState } from '../../../src/redox/activity'
import { configNodeOf } from '../connection/config-node'
import type { ConnectionReport } from '../connection/connection-report'
import type { Table } from '../fields/types'
import { closeWithinMs, timer } from '../runtime/closing'
import { migrated } from '../runtime/migrations'
import { forCatch } from './catch-error'
import { completeMessage } from './complete-message'
import { areFlowsRunning, followFlows } from './handover'
import type { CommandPermissions, CommandResult } from './outbox-commands'
import { TROUBLES, Troubles, type TroubleKind, type TroubleNews } from './outbox-troubles'

/** Saved properties of a redox-outbox node. */
interface OutboxNodeConfig {
  connection: string
  emitParked: boolean
  emitLate: boolean
  emitStopped: boolean
  emitStore: boolean
  emitToken: boolean
  emitAudit: boolean
  mayDiscard: boolean
  mayMarkDelivered: boolean
  mayDecideUnknown: boolean
}

/** Knowledge of a node that is kept over a deploy, so that nothing is told twice or skipped. */
interface OutboxNodeMemory {
  /** id of the redox-config node */
  connection: string
  troubles: Troubles
  /** lines of the audit log that the node has read, and the id of their store */
  audit?: { identity: string; read: number }
}

/** Memories of closed nodes, by the id of the node. */
const memories = new Map<string, OutboxNodeMemory>()

const TOPIC = 'redox/outbox'
/** Maximum number of lines of the audit log that are read at once. */
const MAX_LINES = 100
const LONGEST_NAME = 200

/**
 * Registers the node type that tells of troubles of a connection, and runs commands for its outbox.
 * @param table fields of the node type
 */
export function registerOutboxNode(RED: NodeAPI, { type }: Table): void {
  followFlows(RED)

  function OutboxNode(this: Node, saved: NodeDef & OutboxNodeConfig): void {
    RED.nodes.createNode(this, saved)
    const teller = new OutboxTeller(RED, this, { type, saved })
    const commands = new OutboxCommands(RED, this, { type, saved })
    this.on('input', (msg, send, done) => commands.add({ msg, send, done }))
    this.on('close', (removed: boolean, done: () => void) => {
      teller.close(removed)
      void commands.close().then(done)
    })
  }

  RED.nodes.registerType(type, OutboxNode as never)
}

interface SavedOutboxNode {
  type: string
  saved: NodeDef & OutboxNodeConfig
}

/** Emits a message for each trouble of the connection, and for each new line of the audit log. */
class OutboxTeller {
  readonly #memory: OutboxNodeMemory
  readonly #emitted: ReadonlySet<TroubleKind> = new Set()
  readonly #emitsAudit: boolean = false
  readonly #unwatch: (() => void)[] = []
  #shownStatus = ''
  #isReadingAudit = false
  #isClosed = false
  /** name of the redox-config node */
  #name = ''

  constructor(
    RED: NodeAPI,
    private readonly node: Node,
    { type, saved }: SavedOutboxNode,
  ) {
    const { connection } = saved
    const known = memories.get(node.id)
    memories.delete(node.id)
    this.#memory = known?.connection === connection ? known : { connection, troubles: new Troubles() }
    try {
      const config = migrated(type, saved)
      this.#emitted = new Set(TROUBLES.filter((kind) => config[BOXES[kind]]))
      this.#emitsAudit = config.emitAudit
    } catch {
      // Settings of a newer release: the error is reported with the first command.
      return
    }
    const configNode = configNodeOf(RED, connection)
    if (!configNode) return
    this.#name = configNode.name ?? ''
    this.#unwatch.push(configNode.watch(this.#onReport))
    void this.#watchToken(RED, connection)
  }

  async #watchToken(RED: NodeAPI, connection: string): Promise<void> {
    // Not imported above, so that the start of Node-RED does not load this module.
    const { activityOf, watchTokens } = await import('../../../src/redox/activity.js')
    if (this.#isClosed) return
    // A token may fail while the flows start, e.g. for a message that waited in the store.
    const tellToken = (): void => this.#onToken(activityOf(connection).token)
    this.#unwatch.push(
      watchTokens((change) => {
        if (change.connection === connection) this.#onToken(change)
      }),
      () => RED.events.off('flows:started', tellToken),
    )
    if (areFlowsRunning()) tellToken()
    else RED.events.once('flows:started', tellToken)
  }

  #onToken(token: TokenState): void {
    if (!areFlowsRunning() || token.state === 'none') return
    const code = token.state === 'failing' ? token.code : undefined
    this.#tell(this.#memory.troubles.newsOfToken(code, this.#name))
  }

  readonly #onReport = (report: ConnectionReport): void => {
    // Messages that are emitted while the flows start are lost.
    if (!areFlowsRunning()) return
    this.#showStatus(report)
    this.#tell(this.#memory.troubles.news(report))
    if (this.#emitsAudit && report.store) void this.#emitAudit(report.store)
  }

  #tell(news: TroubleNews[]): void {
    for (const one of news) if (this.#emitted.has(one.event)) this.#emit(one.event, one)
  }

  #emit(event: string, payload: TroubleNews | object): void {
    const connection = { id: this.#memory.connection, name: this.#name }
    this.node.send([{ topic: `${TOPIC}/${event}`, payload: { ...payload, connection } }, null])
  }

  async #emitAudit(store: DeliveryStore): Promise<void> {
    if (this.#isReadingAudit) return
    this.#isReadingAudit = true
    try {
      const memory = this.#memory
      const { identity } = store
      const length = await store.auditLength()
      memory.audit = memory.audit?.identity === identity ? memory.audit : { identity, read: length }
      const { read } = memory.audit
      if (length <= read) return
      const lines = await store.audit({ skip: read, limit: MAX_LINES })
      // The node may have been closed meanwhile: then the redeployed node reads the same lines.
      if (this.#isClosed) return
      memory.audit.read = read + lines.length
      for (const { at, ...line } of lines)
        this.#emit('audit', { event: 'audit', at: new Date(at).toISOString(), ...line })
    } catch (error) {
      // A store that cannot be read is a trouble, which is told by itself. The lines are read later.
      if (!(error instanceof RedoxError)) this.node.error(forCatch(error, {} as NodeMessageInFlow))
    } finally {
      this.#isReadingAudit = false
    }
  }

  #showStatus({ status }: ConnectionReport): void {
    const shown = JSON.stringify(status)
    if (shown === this.#shownStatus) return
    this.#shownStatus = shown
    this.node.status(status)
  }

  close(isRemoved: boolean): void {
    this.#isClosed = true
    this.#unwatch.forEach((stop) => stop())
    if (!isRemoved) memories.set(this.node.id, this.#memory)
  }
}

/** Boxes that choose the troubles to emit. */
const BOXES = {
  parked: 'emitParked',
  late: 'emitLate',
  stopped: 'emitStopped',
  store: 'emitStore',
  token: 'emitToken',
} as const satisfies Record<TroubleKind, keyof OutboxNodeConfig>

interface CommandInput {
  msg: NodeMessageInFlow
  send: (msg: (NodeMessageInFlow | null)[]) => void
  done: (error?: Error) => void
}

/** Runs the commands that arrive at a node, one after the other. */
class OutboxCommands {
  readonly #closing = new AbortController()
  #last: Promise<void> = Promise.resolve()

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly saved: SavedOutboxNode,
  ) {}

  add(input: CommandInput): void {
    this.#last = this.#last.then(() => this.#run(input))
  }

  async #run({ msg, send, done }: CommandInput): Promise<void> {
    let failure: Error | undefined
    try {
      const payload = await this.#result(msg.payload)
      send([null, Object.assign(msg, { payload })])
    } catch (error) {
      failure = forCatch(error, msg)
    }
    completeMessage(this.RED, this.node, { msg, done }, failure)
  }

  async #result(command: unknown): Promise<CommandResult> {
    if (this.#closing.signal.aborted) throw stopped()
    const { type, saved } = this.saved
    const config = migrated(type, saved)
    // Loaded with the first command, so that Node-RED starts faster.
    const { runCommand } = await import('./outbox-commands.js')
    const permissions: CommandPermissions = {
      discard: config.mayDiscard,
      markDelivered: config.mayMarkDelivered,
      decideUnknown: config.mayDecideUnknown,
    }
    const context = { connection: config.connection, who: this.#who, permissions }
    return runCommand(command, { ...context, signal: this.#closing.signal })
  }

  /** Name in the audit log. A user of the editor may have the same name as a node, so it says that it is a node. */
  get #who(): string {
    const name = (this.node.name ?? '').replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim()
    return `node ${name.slice(0, LONGEST_NAME) || this.node.id}`
  }

  /** Stops a command about many messages after its current message. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.race([this.#last, timer(closeWithinMs(this.RED), undefined)])
  }
}

const stopped = (): RedoxError =>
  new RedoxError(
    'REDOX_ABORTED',
    'Stopped: the node was closed before the command was run. Nothing was changed.',
  )
