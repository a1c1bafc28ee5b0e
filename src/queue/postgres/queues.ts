import type { QueryResultRow } from 'pg'
import { Connection } from './connection'
import { hasTables, migrate } from './migrations'

/** What lies in a database under the id of one redox-config node. */
export interface QueueState {
  queue: string
  /** waiting, or being sent */
  waiting: number
  parked: number
  /** milliseconds since a process last took care of it; undefined: none has */
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

const queueState = ({ queue, waiting, parked, idle }: QueueRow): QueueState => ({
  ...{ queue, waiting: Number(waiting), parked: Number(parked) },
  ...(idle !== null && { idle: Number(idle) }),
})

/**
 * All that lies in a database, by the ids of the redox-config nodes. Makes nothing there.
 * @throws RedoxError
 */
export async function queuesIn(url: string): Promise<QueueState[]> {
  const connection = await Connection.to({ url, queue: '' })
  try {
    if (!(await hasTables(connection))) return []
    await migrate(connection)
    return (await connection.rows<QueueRow>(QUEUES, [])).map(queueState)
  } finally {
    await connection.close()
  }
}
