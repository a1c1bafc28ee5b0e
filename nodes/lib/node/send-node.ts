import { types } from 'node:util'
import type { Node, NodeAPI, NodeDef, NodeMessageInFlow } from 'node-red'
import { NOTHING_SENT, notSent, RedoxError } from '../../../src/errors'
import type * as Fingerprinting from '../../../src/file/fingerprint'
import type { LaneState } from '../../../src/queue/types'
import { Turns } from '../../../src/event-loop'
import type { RedoxClient } from '../../../src/redox/client'
import { unlessAborted } from '../../../src/abort'
import { closeWithinMs, HURRY_AFTER_MS, timer } from '../runtime/closing'
import type { Connection, ConnectionBacklog, RedoxConfigNode } from '../connection/connection'
import type { Table } from '../fields/types'
import { constantOf, Inputs, settingsOf, type NodeConfig, type Settings } from './inputs'
import type { Prepare } from './prepare'
import { heldBytes } from './held-bytes'
import { migrated } from '../runtime/migrations'
import { conclude, withAnswer } from './passing'
import { Status } from './status'
import { bequeath, followFlows, inheritedWork, isDeploying, reportUntold, succeed } from './handover'
import type { Ended } from '../queue/outbox'
import { stopped, Work, type Done, type Outcome } from './in-flight'

type SendNodeDef = NodeDef & NodeConfig & { connection: string }

// Messages per event-loop iteration: each takes less than a millisecond to build and check, but thousands may arrive at
// once.
const messages = new Turns(8)

// End of the latest message of each node, by type and id. Durable delivery accepts messages in the order of their
// arrival, also across deploys.
const latest = new Map<string, Promise<unknown>>()

function endsLatest(lasting: string, { ended }: Work): void {
  latest.set(lasting, ended)
  void ended.then(() => {
    if (latest.get(lasting) === ended) latest.delete(lasting)
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
 * @param load called with the first node of this type in a flow: loads most of the package, so that the start of
 * Node-RED does not wait for it
 */
export function registerSendNode(RED: NodeAPI, table: Table, load: () => Promise<Prepare>): void {
  const { type } = table
  followFlows(RED)

  function SendNode(this: Node, saved: SendNodeDef): void {
    RED.nodes.createNode(this, saved)
    const status = new Status(RED, this, table)
    // The flow needs the reference that answers an upload, so uploads are sent directly and never queued.
    const isUpload = type === 'redox-upload'
    const works = new Set<Work>()
    const warned = new Set<string>()
    const loaded = Promise.all([load(), import('./deliver.js')])
    // A load error is reported with the first message.
    loaded.catch(() => undefined)

    const warn = (warnings: string[]): void => {
      warnings.filter((warning) => !warned.has(warning)).forEach((warning) => this.warn(warning))
      warnings.forEach((warning) => warned.add(warning))
    }

    // Settings are read once, and not before a message needs them: unusable settings are an error for Catch nodes.
    let known: Settings | undefined
    const ready = async (): Promise<{ settings: Settings; connection: Connection }> => ({
      settings: (known ??= settingsOf(table, migrated(type, saved))),
      connection: await connectionOf(RED, saved.connection),
    })

    const run = async (
      work: Work,
      before: Promise<unknown> | undefined,
      fingerprints: Fingerprinting.Fingerprints,
    ): Promise<Done> => {
      const began = performance.now()
      const [prepare, { accept, deliver }] = await loaded
      await messages.take(1)
      if (work.signal.aborted) throw stopped()
      const { settings, connection } = await unlessAborted(ready(), work.signal)
      const { environment, client, outbox } = connection
      work.begin(environment)
      const warnings: string[] = []
      const inputs = new Inputs(RED, this, settings, work.msg)
      const { signal } = work
      const place = new Place(outbox && !isUpload ? outbox : client, work, before)
      const { admitted } = place
      try {
        const prepared = await prepare({
          ...{ connection, inputs, signal, admitted, fingerprints },
          warn: (text) => warnings.push(text),
        })
        await admitted()
        if (outbox && prepared.kind === 'message') {
          if (work.signal.aborted) throw stopped()
          work.commit()
          const { id, destination } = await accept(prepared, { ...connection, outbox }, this.id, work)
          destinations.add(destination)
          return { accepted: { id, warnings } }
        }
        const { redox, ...done } = await deliver(prepared, client, work)
        const milliseconds = Math.round(performance.now() - began)
        const told = { environment, ...redox, milliseconds, ...(warnings.length > 0 && { warnings }) }
        return { answer: { ...done, redox: told, warnings } }
      } finally {
        place.leave()
      }
    }

    // Emits the answer to a queued message, which may have been accepted in an earlier run of Node-RED.
    const announce = async (ended: Ended): Promise<void> => {
      const [, { answerOfOutbox }] = await loaded
      const { parcel, outcome } = ended
      const msg = parcel.msg as unknown as NodeMessageInFlow
      const ticket = status.ticket()
      ticket.begin(parcel.environment)
      if ('error' in outcome) {
        ticket.failed(outcome.error)
        return this.error(forCatch(outcome.error, msg), msg)
      }
      const answer = { ...answerOfOutbox(ended, outcome.delivery), warnings: [] }
      ticket.sent(answer.statusCode, answer.redox.way, answer.id)
      this.send(withAnswer(RED, this, msg, answer))
    }
    // Known destinations of this node. Messages that wait for one of them concern the node, also if another node
    // accepted them.
    const destinations = new Set<string>()
    const named = namedDestination(RED, this, table, saved)
    const isMine = ({ lane, owners }: LaneState): boolean =>
      owners.includes(this.id) || destinations.has(lane) || destinationOf(lane) === named
    const onBacklog = (backlog: ConnectionBacklog): void => {
      const { environment, failing, code } = backlog
      const mine = backlog.destinations.filter(isMine)
      const [failure] = mine.flatMap(({ lane }) => failing.get(lane) ?? [])
      status.backlog({
        environment,
        waiting: mine.reduce((sum, { open }) => sum + open, 0),
        parked: mine.reduce((sum, { parked }) => sum + parked, 0),
        isStopped: mine.some(({ paused, blockedBy }) => paused || blockedBy !== undefined),
        ...(failure !== undefined && { failure }),
        ...(code !== undefined && { code }),
      })
    }
    const unsubscribe = configNodeOf(RED, saved.connection)?.subscribe(this, { onEnded: announce, onBacklog })

    const lasting = `${type} ${this.id}`
    this.on('input', (msg, send, done) => {
      const ticket = status.ticket()
      const fingerprints = fingerprintsOf(RED, saved, msg)
      const begin = (): Work => {
        const before = latest.get(lasting)
        return new Work(msg, (work) => run(work, before, fingerprints))
      }
      const follow = (work: Work): void => {
        endsLatest(lasting, work)
        work.showIn(ticket)
        works.add(work)
        // Other packages may hook into the way Node-RED passes on a message, and fail.
        void work.ended.then((outcome) => tell(work, outcome)).catch(() => reportUntold(RED, this, work))
      }
      const tell = (work: Work, outcome: Outcome): void => {
        // The node was closed meanwhile, and the message is left to the redeployed node.
        if (!works.delete(work)) return
        // The message was being sent during a deploy, and has to be retried.
        if (work.isLeft && work.isUnsent) return follow(begin())
        if ('error' in outcome) {
          ticket.failed(outcome.error)
          return conclude(RED, this, { msg, done }, forCatch(outcome.error, msg))
        }
        if ('accepted' in outcome) {
          warn(outcome.accepted.warnings)
          ticket.accepted(outcome.accepted.id)
          return conclude(RED, this, { msg, done })
        }
        const { answer } = outcome
        warn(answer.warnings)
        ticket.sent(answer.statusCode, answer.redox.way, answer.id)
        try {
          send(withAnswer(RED, this, msg, answer))
        } catch {
          reportUntold(RED, this, work)
        }
        conclude(RED, this, { msg, done })
      }
      follow(inheritedWork(msg) ?? begin())
    })

    this.on('close', (_removed: boolean, done: () => void) => {
      unsubscribe?.()
      const left = [...works]
      works.clear()
      status.close()
      left.forEach((work) => work.leave())
      bequeath(this, left)
      void (isDeploying() ? Promise.resolve() : untilEnded(left, closeWithinMs(RED))).then(done)
    })

    succeed(this)
  }

  sendNodeTypes.set(type, { table, load })
  RED.nodes.registerType(type, SendNode as never)
}

/**
 * Returns fingerprints of the bytes in the message property that the File field names. They are taken synchronously
 * when the message arrives, because other branches of the flow may change the same Buffer afterwards.
 */
function fingerprintsOf(
  RED: NodeAPI,
  { file, fileType }: NodeConfig,
  msg: NodeMessageInFlow,
): Fingerprinting.Fingerprints {
  // Loaded neither at the start of Node-RED nor asynchronously: the fingerprints must be taken before other branches
  // run.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { Fingerprints } = require('../../../src/file/fingerprint') as typeof Fingerprinting
  const fingerprints = new Fingerprints()
  if (fileType !== 'msg' || typeof file !== 'string') return fingerprints
  try {
    fingerprints.take(RED.util.getMessageProperty(msg, file))
  } catch {
    // The property does not exist. The error is reported when the field is evaluated.
  }
  return fingerprints
}

/** Slot of one message among the messages that are prepared, and sent or stored, at the same time. */
class Place {
  #admission: Promise<() => void> | undefined

  constructor(
    private readonly intake: Pick<RedoxClient, 'admit'>,
    private readonly work: Work,
    private readonly before: Promise<unknown> | undefined,
  ) {}

  readonly admitted = async (): Promise<void> => {
    await (this.#admission ??= this.#enter())
  }

  #enter(): Promise<() => void> {
    const { msg, signal, onProgress } = this.work
    const onWait = (): void => onProgress({ phase: 'wait', sent: 0, total: 0 })
    return this.intake.admit(signal, { bytes: heldBytes(msg), after: this.before, onWait })
  }

  leave(): void {
    this.#admission?.then(
      (leave) => leave(),
      () => undefined,
    )
  }
}

/**
 * Waits until all messages have ended. After HURRY_AFTER_MS, messages without a request on its way are stopped; shortly
 * before `withinMs` ms, all others.
 */
async function untilEnded(works: Work[], withinMs: number): Promise<void> {
  const all = Promise.all(works.map((work) => work.ended))
  const late = Symbol('late')
  void timer(HURRY_AFTER_MS, late).then(() => works.forEach((work) => work.hurry()))
  if ((await Promise.race([all, timer(0.9 * withinMs, late)])) !== late) return
  works.forEach((work) => work.stop())
  // Some messages cannot be stopped before sending, e.g. while a file on an unreachable share is read.
  await Promise.race([all, timer(0.1 * withinMs, late)])
}

/** Returns the destination in the node's own field if it does not depend on the message; otherwise undefined. */
function namedDestination(RED: NodeAPI, node: Node, table: Table, saved: SendNodeDef): string | undefined {
  try {
    return constantOf(RED, node, settingsOf(table, migrated(table.type, saved)), 'destination')
  } catch {
    // Unusable settings are reported with the first message.
    return undefined
  }
}

/** Returns a destination without its API: `a-slug` for `fhir a-slug`, and `ID` for `datamodel ID`. */
const destinationOf = (lane: string): string => lane.slice(lane.indexOf(' ') + 1)

function configNodeOf(RED: NodeAPI, id: string): RedoxConfigNode | undefined {
  const node = RED.nodes.getNode(id) as RedoxConfigNode | null
  return node && typeof node.connection === 'function' ? node : undefined
}

async function connectionOf(RED: NodeAPI, id: string): Promise<Connection> {
  const node = configNodeOf(RED, id)
  if (node) return node.connection()
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    'Connection is missing: none is chosen, or it is disabled. Choose one in the Connection field.',
  )
}

/**
 * Returns the error for Catch nodes. Sets `statusCode` of the message to the HTTP status for the caller of the flow,
 * and so replaces the status of an earlier answer.
 */
function forCatch(cause: unknown, msg: NodeMessageInFlow): Error {
  const error = cause instanceof RedoxError ? cause : internalError(cause)
  // Reflect.set() returns false for a message that cannot be changed. A setter may throw.
  try {
    Reflect.set(msg, 'statusCode', error.statusCode)
  } catch {
    // The Catch node gets the message unchanged.
  }
  return error.code === 'REDOX_CONFIGURATION' && !error.message.includes(NOTHING_SENT)
    ? notSent(error)
    : error
}

/**
 * Returns a RedoxError for an unexpected error of this package. The text may contain anything, so only the error's type
 * is kept.
 */
function internalError(error: unknown): RedoxError {
  // Not `instanceof`: a getter of a message may throw an error from the vm context of a Function node.
  const kind = types.isNativeError(error) ? kindOf(error) : typeof error
  const internal = new RedoxError(
    'REDOX_INTERNAL',
    `Internal error (${kind}) in these nodes. Please report it, with the stack of this error.`,
  )
  internal.stack = `${internal.name}: ${internal.message}\n${types.isNativeError(error) ? frames(error) : ''}`
  return internal
}

// The name of an error may contain any text.
const kindOf = ({ name }: Error): string => (/^[A-Z][a-z]{1,9}Error$/.test(name) ? name : 'Error')

const frames = ({ stack, message }: Error): string =>
  String(stack)
    .replace(message, () => '')
    .split('\n')
    .filter((line) => /^ +at .*:\d+:\d+\)?$/.test(line))
    .join('\n')
