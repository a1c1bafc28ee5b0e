import type { QueryResultRow } from 'pg'
import { DatabaseConnection } from './connection'
import { hasTables, migrate } from './migrations'

/** Summary of the messages of one redox-config node in a database. */
export interface QueueSummary {
  queue: string
  /** number of messages that are waiting or being sent */
  waiting: number
  parked: number
  /** milliseconds since a process last served the queue; undefined: no process ever did */
  idle?: number
}

interface QueueRow extends QueryResultRow {
  queue: string
  waiting: string
  parked: string
  idle: string | null
}

const QUEUES = `
  SELECT queue, redox.now(queue) - seen_at AS idle, count(m.id) FILTER (WHERE m.state <> 'parked') AS waiting,
    count(m.id) FILTER (WHERE m.state = 'parked') AS parked
  FROM redox.queue q LEFT JOIN redox.message m USING (queue)
  WHERE m.state IS NULL OR m.state IN ('waiting', 'sending', 'parked')
  GROUP BY queue, seen_at ORDER BY queue`

const queueState = ({ queue, waiting, parked, idle }: QueueRow): QueueSummary => ({
  ...{ queue, waiting: Number(waiting), parked: Number(parked) },
  ...(idle !== null && { idle: Number(idle) }),
})

/**
 * Returns the summaries of all queues in a schema of a database. A queue has the id of its redox-config node. Creates no
 * tables.
 * @throws RedoxError
 */
export async function queuesIn(url: string, schema: string): Promise<QueueSummary[]> {
  const connection = await DatabaseConnection.connect({ url, schema, queue: '' })
  try {
    if (!(await hasTables(connection))) return []
    await migrate(connection)
    return (await connection.rows<QueueRow>(QUEUES, [])).map(queueState)
  } finally {
    await connection.close()
  }
}
