import type { Node, NodeAPI, NodeDef, NodeMessageInFlow } from 'node-red'
import { badInput, RedoxError } from '../../src/errors'
import type { Delivery } from '../../src/redox/client'
import type { Connection, RedoxConfigNode } from './connection'
import { Inputs, type NodeConfig } from './evaluate'
import { Status } from './status'

/** What one message gives a node's `run`. */
export interface Task {
  connection: Connection
  inputs: Inputs
  /** ends when the node is closed */
  signal: AbortSignal
  /** for `msg.redox.warnings`, and the first time for the debug sidebar; no patient data */
  warn(warning: string): void
}

/** What `run` did. */
export interface Done {
  payload: unknown
  /** all but what the skeleton adds, plain data that anyone can log */
  redox: Record<string, unknown>
  statusCode: number
  /** log id, trace id or location: the end of the status line */
  id?: string
}

// Node-RED waits 15 s for a node to close (handbook A2).
const CLOSE_WITHIN_MS = 12_000

type SendNodeDef = NodeDef & NodeConfig & { connection: string }

/**
 * Registers a node that takes a message, does one piece of work at Redox and emits the answer. All that the
 * send nodes share is here: connection, status, `done` exactly once, errors for Catch, closing.
 */
export function registerSendNode(RED: NodeAPI, type: string, run: (task: Task) => Promise<Done>): void {
  function SendNode(this: Node, config: SendNodeDef): void {
    RED.nodes.createNode(this, config)
    const status = new Status(RED, this)
    const closing = new AbortController()
    const underWay = new Set<Promise<void>>()
    const warned = new Set<string>()

    const handle = async (msg: NodeMessageInFlow): Promise<NodeMessageInFlow> => {
      const began = Date.now()
      let environment = ''
      const connection = await connectionOf(RED, config.connection).catch((error: unknown) => {
        status.refused(environment, codeOf(error))
        throw error
      })
      environment = connection.environment
      status.sending(environment)
      try {
        const warnings: string[] = []
        const done = await run({
          connection,
          inputs: new Inputs(RED, this, config, msg),
          signal: closing.signal,
          warn: (warning) => warnings.push(warning),
        })
        warnings.filter((warning) => !warned.has(warning)).forEach((warning) => this.warn(warning))
        warnings.forEach((warning) => warned.add(warning))
        status.sent(environment, done.statusCode, done.id)
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
        status.failed(environment, codeOf(error))
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

/** The part of `msg.redox` and `msg.statusCode` that a delivered message has. */
export function answerOf(operation: string, delivery: Delivery): Done {
  const { status, headers, body, facts, files, attempts } = delivery
  const id = facts.logIds[0] ?? mainId(operation, facts.locations) ?? facts.traceId
  return {
    payload: body,
    statusCode: status,
    ...(id !== undefined && { id }),
    redox: {
      operation,
      way: wayOf(files.map(({ way }) => way)),
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
