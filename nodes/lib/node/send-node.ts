import type { Node, NodeAPI, NodeDef, NodeMessageInFlow } from 'node-red'
import { RedoxError } from '../../../src/errors'
import type * as Fingerprinting from '../../../src/file/fingerprint'
import type { EqualMessage } from '../../../src/queue/equal-message'
import type { DestinationState } from '../../../src/queue/types'
import { EventLoopBudget } from '../../../src/event-loop'
import { directMessagesOf } from '../../../src/redox/direct-messages'
import { unlessAborted } from '../../../src/abort'
import { closeWithinMs, HURRY_AFTER_MS, timer } from '../runtime/closing'
import { configNodeOf } from '../connection/config-node'
import type { Connection, ConnectionBacklog, Subscriber } from '../connection/connection'
import type { Table } from '../fields/types'
import { constantOf, Inputs, settingsOf, type NodeConfig, type Settings } from './inputs'
import type { Prepare } from './prepare-types'
import type * as SendOrQueue from './send-or-queue'
import { IntakeSlot } from './intake-slot'
import { migrated } from '../runtime/migrations'
import { countEnd } from './count-end'
import { completeMessage, withAnswer } from './complete-message'
import { Status } from './status'
import {
  leaveForHandover,
  followFlows,
  takeHandedOver,
  isDeploying,
  logUndelivered,
  registerNode,
} from './handover'
import type { JobResult } from '../queue/outbox'
import { forCatch } from './catch-error'
import {
  stoppedError,
  InFlightMessage,
  type MessageAnswer,
  type SendOutcome,
  type InFlightOutcome,
} from './in-flight-message'

type SendNodeDef = NodeDef & NodeConfig & { connection: string }

// Messages that are prepared per event-loop iteration: each takes less than a millisecond to build and check, but
// thousands may arrive at once.
const messages = new EventLoopBudget(8)

// Promise for the end of each node's latest message, by type and id of the node. Durable delivery accepts messages in
// the order of their arrival, also across deploys.
const lastMessageEnd = new Map<string, Promise<unknown>>()

function trackLastMessage(lasting: string, { ended }: InFlightMessage): void {
  lastMessageEnd.set(lasting, ended)
  void ended.then(() => {
    if (lastMessageEnd.get(lasting) === ended) lastMessageEnd.delete(lasting)
  })
}

interface SendNodeType {
  table: Table
  load: () => Promise<Prepare>
}

const sendNodeTypes = new Map<string, SendNodeType>()

/** Returns the fields of a node type and the function that prepares its messages, for the preview. */
export const sendNodeType = (type: string): SendNodeType | undefined => sendNodeTypes.get(type)

/**
 * Registers a node type that sends each message to Redox and emits the answer. All send nodes share this code:
 * connection, status, exactly one `done` call, errors for Catch nodes, deploys.
 * @param table fields of the node type
 * @param load called for the first node of this type in a flow: imports most of the package, so that the start of
 * Node-RED does not wait for the import
 */
export function registerSendNode(RED: NodeAPI, table: Table, load: () => Promise<Prepare>): void {
  const { type } = table
  followFlows(RED)

  function SendNode(this: Node, saved: SendNodeDef): void {
    RED.nodes.createNode(this, saved)
    const sender = new SendNodeState(RED, this, { table, load }, saved)
    const unsubscribe = configNodeOf(RED, saved.connection)?.subscribe(this, sender)
    this.on('input', (msg, send, done) => new Input(sender, msg, send, done).start())
    this.on('close', (_removed: boolean, done: () => void) => {
      unsubscribe?.()
      sender.close(done)
    })
    registerNode(this)
  }

  sendNodeTypes.set(type, { table, load })
  RED.nodes.registerType(type, SendNode as never)
}

/** Loads the modules that the first message needs, so that it does not wait for them. */
async function loadConnection(): Promise<void> {
  await import('../connection/connection.js')
  const { loadJose } = await import('../../../src/auth/credentials.js')
  await loadJose()
}

/** State of a send node: its settings, its status line and its in-flight messages. */
class SendNodeState implements Subscriber {
  readonly status: Status
  readonly inFlight = new Set<InFlightMessage>()
  readonly #warned = new Set<string>()
  readonly #loaded: Promise<[Prepare, typeof SendOrQueue]>
  // Destinations to which this node has sent. Messages that wait for one of them delay this node, even if another node
  // sent them.
  readonly #destinations = new Set<string>()
  readonly #named: string | undefined
  #settings: Settings | undefined

  constructor(
    readonly RED: NodeAPI,
    readonly node: Node,
    readonly type: SendNodeType,
    readonly saved: SendNodeDef,
  ) {
    const { table, load } = type
    this.status = new Status(RED, node, table)
    this.#loaded = Promise.all([load(), import('./send-or-queue.js')])
    // An error while loading is reported with the first message.
    this.#loaded.then(loadConnection).catch(() => undefined)
    this.#named = namedDestination(RED, node, table, saved)
  }

  /** type and id of the node, which stay the same in a deploy */
  get nodeKey(): string {
    return `${this.type.table.type} ${this.node.id}`
  }

  warn(warnings: string[]): void {
    warnings.filter((warning) => !this.#warned.has(warning)).forEach((warning) => this.node.warn(warning))
    warnings.forEach((warning) => this.#warned.add(warning))
  }

  // Settings are parsed once, and only when the first message arrives, so that Catch nodes get the error for invalid
  // settings.
  async #ready(): Promise<{ settings: Settings; connection: Connection }> {
    const { table } = this.type
    return {
      settings: (this.#settings ??= settingsOf(table, migrated(table.type, this.saved))),
      connection: await connectionOf(this.RED, this.saved.connection),
    }
  }

  /** Lists a message of direct delivery in the outbox until it has ended. */
  #listDirect(work: InFlightMessage, isUpload: boolean): void {
    const configNode = configNodeOf(this.RED, this.saved.connection)
    if (!configNode) return
    const destination = isUpload ? 'upload' : destinationIn(this.type.table.type, this.#named)
    work.listIn(directMessagesOf(configNode), this.node.id, destination)
  }

  async run(
    work: InFlightMessage,
    before: Promise<unknown> | undefined,
    fingerprints: Fingerprinting.Fingerprints,
  ): Promise<SendOutcome> {
    const began = performance.now()
    const [prepare, { queueMessage, sendNow }] = await this.#loaded
    await messages.reserve(1)
    if (work.signal.aborted) throw stoppedError()
    const { settings, connection } = await unlessAborted(this.#ready(), work.signal)
    const { environment, client, outbox } = connection
    work.begin(environment)
    const warnings: string[] = []
    const inputs = new Inputs(this.RED, this.node, settings, work.msg)
    const { signal } = work
    // The flow needs the reference in the response to an upload, so uploads are sent directly and never queued.
    const isUpload = this.type.table.type === 'redox-upload'
    if (!outbox || isUpload) this.#listDirect(work, isUpload)
    const answered = ({ redox, ...done }: Omit<MessageAnswer, 'warnings'>): SendOutcome => {
      const milliseconds = Math.round(performance.now() - began)
      const facts = { environment, ...redox, milliseconds, ...(warnings.length > 0 && { warnings }) }
      return { answer: { ...done, redox: facts, warnings } }
    }
    const place = new IntakeSlot(outbox && !isUpload ? outbox : client, work, before)
    const { admitted } = place
    try {
      const prepared = await prepare({
        ...{ connection, inputs, signal, admitted, fingerprints },
        warn: (text) => warnings.push(text),
      })
      await admitted()
      if (outbox && prepared.kind === 'message') {
        if (work.signal.aborted) throw stoppedError()
        work.commit()
        const queued = await queueMessage(prepared, { ...connection, outbox }, this.node.id, work)
        this.#destinations.add(queued.destination)
        if ('accepted' in queued) return { accepted: { ...queued.accepted, warnings } }
        return answered(queued.answer)
      }
      return answered(await sendNow(prepared, client, work))
    } finally {
      place.leave()
    }
  }

  /** Emits the answer to a queued message, which may have been accepted in an earlier run of Node-RED. */
  readonly onEnded = async (ended: JobResult): Promise<void> => {
    const [, { answerOfJob: answerOfOutbox }] = await this.#loaded
    const { job, outcome } = ended
    const msg = job.msg as unknown as NodeMessageInFlow
    const entry = this.status.newEntry()
    entry.begin(job.environment)
    if ('error' in outcome) {
      entry.failed(outcome.error)
      return this.node.error(forCatch(outcome.error, msg), msg)
    }
    const answer = { ...answerOfOutbox(ended, outcome.delivery), warnings: [] }
    entry.sent(answer.statusCode, answer.redox.way, answer.id)
    this.node.send(withAnswer(this.RED, this.node, msg, answer))
  }

  readonly onBacklog = (backlog: ConnectionBacklog): void => {
    const { environment, failing, code } = backlog
    const mine = backlog.destinations.filter((state) => this.#isMine(state))
    const [failure] = mine.flatMap(({ destination }) => failing.get(destination) ?? [])
    this.status.backlog({
      environment,
      waiting: mine.reduce((sum, { open }) => sum + open, 0),
      parked: mine.reduce((sum, { parked }) => sum + parked, 0),
      isStopped: mine.some(({ paused, blockedBy }) => paused || blockedBy !== undefined),
      ...(failure !== undefined && { failure }),
      ...(code !== undefined && { code }),
    })
  }

  #isMine({ destination, owners }: DestinationState): boolean {
    const isKnown = owners.includes(this.node.id) || this.#destinations.has(destination)
    return isKnown || destinationOf(destination) === this.#named
  }

  close(done: () => void): void {
    const left = [...this.inFlight]
    this.inFlight.clear()
    this.status.close()
    left.forEach((work) => work.detach())
    leaveForHandover(this.node, left)
    void (isDeploying() ? Promise.resolve() : untilEnded(left, closeWithinMs(this.RED))).then(done)
  }
}

/** One input message of a send node, until Node-RED's `done` callback is called for it. */
class Input {
  readonly #entry: ReturnType<Status['newEntry']>
  readonly #fingerprints: Fingerprinting.Fingerprints

  constructor(
    private readonly sender: SendNodeState,
    private readonly msg: NodeMessageInFlow,
    private readonly send: (msg: NodeMessageInFlow) => void,
    private readonly done: (error?: Error) => void,
  ) {
    this.#entry = sender.status.newEntry()
    this.#fingerprints = fingerprintsOf(sender.RED, sender.saved, msg)
  }

  start(): void {
    this.#follow(takeHandedOver(this.msg) ?? this.#begin())
  }

  #begin(): InFlightMessage {
    const before = lastMessageEnd.get(this.sender.nodeKey)
    const { RED, saved, type } = this.sender
    const message = new InFlightMessage(this.msg, (work) => this.sender.run(work, before, this.#fingerprints))
    countEnd(message, configNodeOf(RED, saved.connection), type.table.type === 'redox-upload')
    return message
  }

  #follow(work: InFlightMessage): void {
    const { RED, node, inFlight, nodeKey } = this.sender
    trackLastMessage(nodeKey, work)
    work.showIn(this.#entry)
    inFlight.add(work)
    // The code with which Node-RED passes on a message may fail, e.g. in a hook of another package.
    void work.ended.then((outcome) => this.#tell(work, outcome)).catch(() => logUndelivered(RED, node, work))
  }

  #tell(work: InFlightMessage, outcome: InFlightOutcome): void {
    const { sender, msg } = this
    // The node was closed meanwhile: the redeployed node reports the outcome of this message.
    if (!sender.inFlight.delete(work)) return
    // The message was being sent during a deploy, failed, and has to be retried with the new settings.
    if (work.isDetached && work.isUnsent) return this.#follow(this.#begin())
    if ('error' in outcome) {
      this.#entry.failed(outcome.error)
      return this.#conclude(forCatch(outcome.error, msg))
    }
    if ('accepted' in outcome) {
      const { equal, warnings } = outcome.accepted
      sender.warn(warnings)
      // Each duplicate has its own warning, unlike the warnings about the node's messages in general.
      if (equal) sender.node.warn(duplicateWarning(equal))
      this.#entry.accepted(outcome.accepted.id)
      return this.#conclude()
    }
    const { answer } = outcome
    sender.warn(answer.warnings)
    this.#entry.sent(answer.statusCode, answer.redox.way, answer.id)
    try {
      this.send(withAnswer(sender.RED, sender.node, msg, answer))
    } catch {
      logUndelivered(sender.RED, sender.node, work)
    }
    this.#conclude()
  }

  #conclude(error?: Error): void {
    const { RED, node } = this.sender
    completeMessage(RED, node, { msg: this.msg, done: this.done }, error)
  }
}

const duplicateWarning = ({ id, state }: EqualMessage): string =>
  `Duplicate: the outbox has the same document for the same destination, ${state} (${id}). This message is sent as well.`

let fingerprinting: typeof Fingerprinting | undefined

/**
 * Returns fingerprints of the bytes in the message property that the File field names. The fingerprints are taken
 * synchronously when the message arrives, because other branches of the flow may change the same Buffer afterwards.
 */
function fingerprintsOf(
  RED: NodeAPI,
  { file, fileType }: NodeConfig,
  msg: NodeMessageInFlow,
): Fingerprinting.Fingerprints {
  // Required here, so that the start of Node-RED does not load this module; not imported asynchronously, because the
  // fingerprints must be taken before other branches of the flow run. Kept, because `require` resolves the path anew for
  // each message.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  fingerprinting ??= require('../../../src/file/fingerprint') as typeof Fingerprinting
  const fingerprints = new fingerprinting.Fingerprints()
  if (fileType !== 'msg' || typeof file !== 'string') return fingerprints
  try {
    fingerprints.take(RED.util.getMessageProperty(msg, file))
  } catch {
    // The property does not exist. The error is reported when the field is evaluated.
  }
  return fingerprints
}

/**
 * Waits until all messages have ended. After HURRY_AFTER_MS, messages without a request in progress are stopped;
 * shortly before `withinMs` milliseconds, all other messages.
 */
async function untilEnded(works: InFlightMessage[], withinMs: number): Promise<void> {
  const all = Promise.all(works.map((work) => work.ended))
  const late = Symbol('late')
  void timer(HURRY_AFTER_MS, late).then(() => works.forEach((work) => work.stopUnsent()))
  if ((await Promise.race([all, timer(0.9 * withinMs, late)])) !== late) return
  works.forEach((work) => work.stop())
  // Some messages end late after a stop, e.g. while a file on an unreachable share is read.
  await Promise.race([all, timer(0.1 * withinMs, late)])
}

/** Returns the destination in the node's Destination field if the message cannot change it; otherwise undefined. */
function namedDestination(RED: NodeAPI, node: Node, table: Table, saved: SendNodeDef): string | undefined {
  try {
    return constantOf(RED, node, settingsOf(table, migrated(table.type, saved)), 'destination')
  } catch {
    // Invalid settings are reported with the first message.
    return undefined
  }
}

/** Returns the destination in the node's Destination field, in the format of `destinationOf` in src/queue/jobs.ts. */
const destinationIn = (type: string, named: string | undefined): string | undefined =>
  named && `${type.startsWith('redox-fhir') ? 'fhir' : 'datamodel'} ${named}`

/** Returns a destination without the prefix for its API: `a-slug` for `fhir a-slug`, and `ID` for `datamodel ID`. */
const destinationOf = (destination: string): string => destination.slice(destination.indexOf(' ') + 1)

async function connectionOf(RED: NodeAPI, id: string): Promise<Connection> {
  const node = configNodeOf(RED, id)
  if (node) return node.connection()
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    'Connection is missing: none is chosen, or it is disabled. Choose one in the Connection field.',
  )
}
