import type { NodeAPI } from 'node-red'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import { activities } from '../../../src/redox/activity'
import type { RedoxConfigNode } from '../connection/connection'
import { durableConnections } from '../connection/durable-connection'
import { outboxFigures } from './outbox-figures'

/**
 * Problem of a connection. `configuration` and `store` make the health answer a 503: no message can be accepted. All
 * others are reported in a 200, because a restart would not help.
 */
type HealthProblem =
  | 'configuration'
  | 'store'
  | 'opening'
  | 'full'
  | 'stopped'
  | 'parked'
  | 'refused-later'
  | 'unreachable'
  | 'token'

export interface HealthLine {
  /** id and name of the redox-config node */
  connection: string
  name: string
  problem: HealthProblem
  code?: RedoxErrorCode
  /** number of stopped destinations, or of parked or refused messages */
  count?: number
  /** time since which the token fails, ISO 8601 */
  since?: string
}

export interface Health {
  status: 'ok' | 'failing'
  lines: HealthLine[]
}

const FAILING: readonly HealthProblem[] = ['configuration', 'store']
/** Codes of requests that got no answer from Redox, or only that it is not available. */
const UNREACHABLE: readonly string[] = ['REDOX_NETWORK', 'REDOX_TIMEOUT', 'REDOX_TLS', 'REDOX_UNAVAILABLE']

/**
 * Returns the health of all deployed connections. A direct connection that is not open yet is opened, as its first
 * message would do, because only then its settings are checked.
 */
export async function healthOf(RED: NodeAPI): Promise<Health> {
  const nodes: RedoxConfigNode[] = []
  RED.nodes.eachNode(({ id, type }) => {
    const node = type === 'redox-config' ? (RED.nodes.getNode(id) as RedoxConfigNode | null) : null
    if (node) nodes.push(node)
  })
  const lines = (await Promise.all(nodes.map(linesOf))).flat()
  return { status: lines.some(({ problem }) => FAILING.includes(problem)) ? 'failing' : 'ok', lines }
}

async function linesOf(node: RedoxConfigNode): Promise<HealthLine[]> {
  const { id, name = '' } = node
  const found = [...(await ownLines(node)), ...activityLines(id)]
  return found.map((line) => ({ connection: id, name, ...line }))
}

type LineFacts = Omit<HealthLine, 'connection' | 'name'>

async function ownLines(node: RedoxConfigNode): Promise<LineFacts[]> {
  const durable = durableConnections.get(node.id)
  if (!durable) return directLines(node)
  const {
    counts,
    refusedLater = 0,
    stopped = 0,
    code,
    isAccepting,
    isFull = false,
  } = await outboxFigures(durable)
  if (code !== undefined)
    return [{ problem: code.startsWith('REDOX_STORE_') ? 'store' : 'configuration', code }]
  if (!isAccepting) return [{ problem: 'opening' }]
  const parked = counts?.parked ?? 0
  return [
    ...(isFull ? [{ problem: 'full' as const, code: 'REDOX_STORE_FULL' as const }] : []),
    ...(stopped > 0 ? [{ problem: 'stopped' as const, count: stopped }] : []),
    ...(parked > 0 ? [{ problem: 'parked' as const, count: parked }] : []),
    ...(refusedLater > 0 ? [{ problem: 'refused-later' as const, count: refusedLater }] : []),
  ]
}

async function directLines(node: RedoxConfigNode): Promise<LineFacts[]> {
  try {
    await node.connection()
    return []
  } catch (error) {
    return [{ problem: 'configuration', code: error instanceof RedoxError ? error.code : 'REDOX_INTERNAL' }]
  }
}

function activityLines(id: string): LineFacts[] {
  const { lastRequest, token } = activities.get(id) ?? {}
  const lines: LineFacts[] = []
  if (lastRequest !== undefined && lastRequest !== 'ok' && UNREACHABLE.includes(lastRequest))
    lines.push({ problem: 'unreachable', code: lastRequest })
  if (token?.state === 'failing')
    lines.push({ problem: 'token', code: token.code, since: new Date(token.since).toISOString() })
  return lines
}
