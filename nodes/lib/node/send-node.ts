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

// Building and checking one takes a part of a millisecond; thousands may come at once.
const messages = new Turns(8)

// Durable delivery accepts in the order in which messages come, over deploys too.
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

/** The fields of the nodes of a type, and how they prepare a message: for the preview. */
export const sendNodeType = (type: string): SendNodeType | undefined => sendNodeTypes.get(type)

/**
 * Registers a node that takes a message, does one piece of work at Redox and emits the answer. All that the
 * send nodes share is here: connection, status, `done` exactly once, errors for Catch, deploys.
 * @param table its fields
 * @param load is called with the first node in a flow: it loads most of the package, and the start of Node-RED need not
 *   wait for that
 */
export function registerSendNode(RED: NodeAPI, table: Table, load: () => Promise<Prepare>): void {
  const { type } = table
  followFlows(RED)

  function SendNode(this: Node, saved: SendNodeDef): void {
    RED.nodes.createNode(this, saved)
    const status = new Status(RED, this, table)
    // What is uploaded is answered with a reference, which the flow needs: it is not stored.
    const isUpload = type === 'redox-upload'
    const works = new Set<Work>()
    const warned = new Set<string>()
    const loaded = Promise.all([load(), import('./deliver.js')])
    // Told to the first message.
    loaded.catch(() => undefined)

    const warn = (warnings: string[]): void => {
      warnings.filter((warning) => !warned.has(warning)).forEach((warning) => this.warn(warning))
      warnings.forEach((warning) => warned.add(warning))
    }

    // Once, and not before a message needs it: what cannot be used is an error for Catch.
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

    // An answer out of the outbox, maybe to a message of another run of Node-RED.
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
    // Where its messages go, as far as it is known: what waits there concerns the node, also what others have accepted.
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
        // The nodes of others may hook into what Node-RED does with a message, and fail.
        void work.ended.then((outcome) => tell(work, outcome)).catch(() => reportUntold(RED, this, work))
      }
      const tell = (work: Work, outcome: Outcome): void => {
        // Left to the successor when the node was closed meanwhile.
        if (!works.delete(work)) return
        // It was under way in a deploy, and has to be tried again.
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
 * Of the bytes in the message property that the File field names. In the turn in which the message comes: afterwards the
 * other branches that have got the same Buffer run.
 */
function fingerprintsOf(
  RED: NodeAPI,
  { file, fileType }: NodeConfig,
  msg: NodeMessageInFlow,
): Fingerprinting.Fingerprints {
  // Not with Node-RED, and not later: a message must not wait for it.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { Fingerprints } = require('../../../src/file/fingerprint') as typeof Fingerprinting
  const fingerprints = new Fingerprints()
  if (fileType !== 'msg' || typeof file !== 'string') return fingerprints
  try {
    fingerprints.take(RED.util.getMessageProperty(msg, file))
  } catch {
    // No property of that name, which is told when the field is evaluated.
  }
  return fingerprints
}

/** One message's place among those that are prepared and sent, or stored, at once. */
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

/** Resolves when all has ended; what has not by then is stopped, and before that what is not on its way to Redox. */
async function untilEnded(works: Work[], withinMs: number): Promise<void> {
  const all = Promise.all(works.map((work) => work.ended))
  const late = Symbol('late')
  void timer(HURRY_AFTER_MS, late).then(() => works.forEach((work) => work.hurry()))
  if ((await Promise.race([all, timer(0.9 * withinMs, late)])) !== late) return
  works.forEach((work) => work.stop())
  // What hangs before it is sent, such as a file on a share that is gone, cannot be stopped.
  await Promise.race([all, timer(0.1 * withinMs, late)])
}

/** The destination that the node's own field names, whatever the message is. */
function namedDestination(RED: NodeAPI, node: Node, table: Table, saved: SendNodeDef): string | undefined {
  try {
    return constantOf(RED, node, settingsOf(table, migrated(table.type, saved)), 'destination')
  } catch {
    // What cannot be used is told to the first message.
    return undefined
  }
}

/** `fhir a-slug` and `datamodel ID`: without the API. */
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
 * What Catch gets: the error, and in its message the status that an HTTP caller is to be answered with, in place of one
 * that an earlier answer left there.
 */
function forCatch(cause: unknown, msg: NodeMessageInFlow): Error {
  const error = cause instanceof RedoxError ? cause : internalError(cause)
  // False for a message that cannot be changed; a setter may throw.
  try {
    Reflect.set(msg, 'statusCode', error.statusCode)
  } catch {
    // Then Catch gets the message as it is.
  }
  return error.code === 'REDOX_CONFIGURATION' && !error.message.includes(NOTHING_SENT)
    ? notSent(error)
    : error
}

/** A fault of our own gets a code too; its text may hold anything, so only its kind is told. */
function internalError(error: unknown): RedoxError {
  // Not `instanceof`: a getter of a message may throw an error of a Function node's realm.
  const kind = types.isNativeError(error) ? kindOf(error) : typeof error
  const internal = new RedoxError(
    'REDOX_INTERNAL',
    `Internal error (${kind}) in these nodes. Please report it, with the stack of this error.`,
  )
  internal.stack = `${internal.name}: ${internal.message}\n${types.isNativeError(error) ? frames(error) : ''}`
  return internal
}

// The name of an error may be anything.
const kindOf = ({ name }: Error): string => (/^[A-Z][a-z]{1,9}Error$/.test(name) ? name : 'Error')

const frames = ({ stack, message }: Error): string =>
  String(stack)
    .replace(message, () => '')
    .split('\n')
    .filter((line) => /^ +at .*:\d+:\d+\)?$/.test(line))
    .join('\n')
