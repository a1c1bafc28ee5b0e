import type { Node, NodeAPI, NodeDef, NodeMessageInFlow } from 'node-red'
import { badInput, RedoxError } from '../../src/errors'
import type { FileSource, MessageFile } from '../../src/file/file'
import { checked, type Draft } from '../../src/message/prepared'
import {
  referenceFor,
  type Delivery,
  type OnProgress,
  type RedoxClient,
  type UploadKind,
} from '../../src/redox/client'
import type { Connection, RedoxConfigNode } from './connection'
import { Inputs, type NodeConfig } from './evaluate'
import { migrated } from './migrations'
import { Status } from './status'

/** What one message gives a node's `prepare`. */
export interface Task {
  connection: Connection
  inputs: Inputs
  /** for `msg.redox.warnings`, and the first time for the debug sidebar; no patient data */
  warn(warning: string): void
}

/** What a message asks of Redox, before anything is sent. */
export type Prepared =
  | {
      kind: 'message'
      draft: Draft
      /** in the order of `draft.message.files` */
      files: MessageFile[]
      /** the message's text is the document: it has no file */
      isText: boolean
    }
  | { kind: 'upload'; file: FileSource; uploadKind: UploadKind }

/** Reads a node's inputs for one message and builds what is to be sent. No I/O but reading the file's head. */
export type Prepare = (task: Task) => Promise<Prepared>

/** What was done. */
interface Done {
  payload: unknown
  /** all but what the skeleton adds, plain data that anyone can log */
  redox: Record<string, unknown> & { way: string }
  statusCode: number
  /** log id, trace id or location: the end of the status line */
  id?: string
}

// Node-RED waits 15 s for a node to close (handbook A2).
const CLOSE_WITHIN_MS = 12_000

type SendNodeDef = NodeDef & NodeConfig & { connection: string }

const prepares = new Map<string, Prepare>()

/** How the nodes of a type prepare a message, for the preview. */
export const prepareOf = (type: string): Prepare | undefined => prepares.get(type)

/**
 * Registers a node that takes a message, does one piece of work at Redox and emits the answer. All that the
 * send nodes share is here: connection, status, `done` exactly once, errors for Catch, closing.
 */
export function registerSendNode(RED: NodeAPI, type: string, prepare: Prepare): void {
  function SendNode(this: Node, saved: SendNodeDef): void {
    RED.nodes.createNode(this, saved)
    const status = new Status(RED, this)
    const closing = new AbortController()
    const underWay = new Set<Promise<void>>()
    const warned = new Set<string>()

    const warn = (warnings: string[]): void => {
      warnings.filter((warning) => !warned.has(warning)).forEach((warning) => this.warn(warning))
      warnings.forEach((warning) => warned.add(warning))
    }

    // Once, and not before a message needs it: what cannot be used is an error for Catch.
    let config: NodeConfig | undefined
    const ready = async (): Promise<{ config: NodeConfig; connection: Connection }> => ({
      config: (config ??= migrated(type, saved)),
      connection: await connectionOf(RED, saved.connection),
    })

    const handle = async (msg: NodeMessageInFlow): Promise<NodeMessageInFlow> => {
      const began = Date.now()
      const { config, connection } = await ready().catch((error: unknown) => {
        status.refused(codeOf(error))
        throw error
      })
      const { environment } = connection
      const ticket = status.begin(environment)
      try {
        const warnings: string[] = []
        const inputs = new Inputs(RED, this, config, msg)
        const prepared = await prepare({ connection, inputs, warn: (text) => warnings.push(text) })
        const done = await deliver(prepared, connection.client, closing.signal, ticket.progress)
        warn(warnings)
        ticket.sent(done.statusCode, done.redox.way, done.id)
        return Object.assign(msg, {
          payload: done.payload,
          statusCode: done.statusCode,
          redox: {
            environment,
            ...done.redox,
            milliseconds: Date.now() - began,
            ...(warnings.length > 0 && { warnings }),
          },
        })
      } catch (error) {
        ticket.failed(codeOf(error))
        throw error
      }
    }

    this.on('input', (msg, send, done) => {
      const work = handle(msg)
        .then(send)
        .then(
          () => done(),
          (error: unknown) => done(forCatch(error)),
        )
      underWay.add(work)
      void work.finally(() => underWay.delete(work))
    })

    this.on('close', (_removed: boolean, done: () => void) => {
      closing.abort(new DOMException('closed', 'AbortError'))
      const settled = Promise.allSettled(underWay)
      void Promise.race([settled, timer(CLOSE_WITHIN_MS)]).then(() => {
        status.close()
        done()
      })
    })
  }

  prepares.set(type, prepare)
  RED.nodes.registerType(type, SendNode as never)
}

async function connectionOf(RED: NodeAPI, id: string): Promise<Connection> {
  const node = RED.nodes.getNode(id) as RedoxConfigNode | null
  if (node && typeof node.connection === 'function') return node.connection()
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    'The node has no connection (or it is disabled). Choose a redox-config node in its Connection field.',
  )
}

const codeOf = (error: unknown): string => (error instanceof RedoxError ? error.code : 'REDOX_INTERNAL')

/**
 * What Catch gets. A fault of our own gets a code too; its text may hold anything, so only its kind is told.
 */
function forCatch(error: unknown): Error {
  if (error instanceof RedoxError) return error
  const kind = error instanceof Error ? error.name : typeof error
  const internal = new RedoxError(
    'REDOX_INTERNAL',
    `The node failed in a way that should not happen (${kind}). Please report it, with the stack of this error.`,
  )
  if (error instanceof Error && error.stack) internal.stack = frames(error.stack)
  return internal
}

const frames = (stack: string): string =>
  stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n')

const timer = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, milliseconds).unref())

/** Does what was prepared. */
function deliver(
  prepared: Prepared,
  client: RedoxClient,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<Done> {
  return prepared.kind === 'upload'
    ? upload(prepared, client, signal, onProgress)
    : send(prepared, client, signal, onProgress)
}

async function upload(
  { file, uploadKind }: Extract<Prepared, { kind: 'upload' }>,
  client: RedoxClient,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<Done> {
  const uploaded = await client.upload(file, uploadKind, signal, onProgress)
  const { status, headers, sha256, url, attempts } = uploaded
  return {
    payload: referenceFor(file, uploaded, uploadKind),
    statusCode: status,
    id: sha256,
    redox: {
      operation: 'upload',
      way: 'upload',
      files: [{ way: 'upload', size: file.size, sha256, url }],
      headers,
      attempts,
    },
  }
}

async function send(
  { draft, files, isText }: Extract<Prepared, { kind: 'message' }>,
  client: RedoxClient,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<Done> {
  const message = checked(draft)
  const delivery = await client.deliver(message, files, signal, onProgress)
  return answerOf(message.operation, delivery, isText)
}

function answerOf(operation: string, delivery: Delivery, isText: boolean): Done {
  const { status, headers, body, facts, files, attempts } = delivery
  const id = facts.logIds[0] ?? mainId(operation, facts.locations) ?? facts.traceId
  return {
    payload: body,
    statusCode: status,
    ...(id !== undefined && { id }),
    redox: {
      operation,
      way: isText ? 'text' : wayOf(files.map(({ way }) => way)),
      files,
      logIds: facts.logIds,
      locations: facts.locations,
      ...(facts.traceId !== undefined && { traceId: facts.traceId }),
      headers,
      attempts,
    },
  }
}

const wayOf = (ways: string[]): string =>
  ways.length === 0 ? 'none' : new Set(ways).size > 1 ? 'mixed' : ways[0]!

/** The id in `…/DiagnosticReport/0b9f/_history/1`, of the resource that the operation is about and no other. */
function mainId(operation: string, locations: string[]): string | undefined {
  const [type] = operation.split('/')
  const found = locations.map((location) => new RegExp(`/${type}/([^/]+)`).exec(location)?.[1])
  return found.find((id) => id !== undefined)
}

/** The choice of a setting, checked: a flow may have been made by hand. */
export function oneOf<T extends string>(inputs: Inputs, name: string, values: readonly [T, ...T[]]): T {
  const value = inputs.setting(name) || values[0]
  const found = values.find((one) => one === value)
  if (found === undefined)
    throw badInput(`The setting "${name}" of the node is none of ${values.join(', ')}.`)
  return found
}
