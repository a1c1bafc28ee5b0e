import type { QueryResultRow } from 'pg'
import type { Criteria, DestinationState, MessageState, StoredMessage } from '../types'

/** Row of redox.message. The driver returns bigint columns as text. */
export interface PostgresRow extends QueryResultRow {
  id: string
  sequence: string
  lane: string
  ordered: boolean
  order_key: string | null
  owner: string
  accepted_at: string
  deadline: string
  files: string[]
  tags: string[]
  content: Buffer
  state: MessageState
  attempts: number
  due_at: string
  begun: boolean
  reason: string | null
  notes: Buffer | null
  told: boolean
  ended_at: string | null
}

/** Answer of redox.accept(). */
export interface PostgresAcceptance extends QueryResultRow {
  has_files: boolean
  equal_id: string | null
  equal_state: MessageState
}

export const storedMessageOf = (row: PostgresRow): StoredMessage => ({
  id: row.id,
  destination: row.lane,
  ordered: row.ordered,
  ...(row.order_key !== null && { orderKey: row.order_key }),
  owner: row.owner,
  acceptedAt: Number(row.accepted_at),
  deadline: Number(row.deadline),
  files: row.files,
  tags: row.tags,
  content: row.content,
  state: row.state,
  attempts: row.attempts,
  dueAt: Number(row.due_at),
  requestStarted: row.begun,
  announced: row.told,
  ...(row.reason !== null && { reason: row.reason }),
  ...(row.notes !== null && { notes: row.notes }),
  ...(row.ended_at !== null && { endedAt: Number(row.ended_at) }),
})

/**
 * Sorts rows returned by an UPDATE, whose order is arbitrary.
 * @param first primary sort key; rows with equal keys are sorted by the order of acceptance
 */
export function sortedMessages(
  rows: PostgresRow[],
  first: (row: PostgresRow) => number = () => 0,
): StoredMessage[] {
  const place = (row: PostgresRow): number => Number(row.sequence)
  return rows.sort((a, b) => first(a) - first(b) || place(a) - place(b)).map(storedMessageOf)
}

/** SQL condition with `?` in place of its value. If the value is undefined, the condition is left out. */
type SqlCondition = [text: string, value: unknown]

/** Position in the order of acceptance at which a search begins, and its direction. */
export interface SearchPosition {
  sequence: string | undefined
  newestFirst?: boolean
}

/**
 * Returns a query for the messages of the queue ($1) that meet all conditions, in no order, and the query's parameters
 * from $2 on.
 */
export function matchingQuery(
  columns: string,
  { destination, id, tag, code, since, till }: Criteria,
  ofState: SqlCondition,
  { sequence, newestFirst = false }: SearchPosition,
): { found: string; values: unknown[] } {
  const all: SqlCondition[] = [
    ofState,
    [`sequence ${newestFirst ? '<' : '>'} ?`, sequence],
    ['lane = ?', destination],
    ['id = ?', id],
    ['reason = ?', code],
    ['accepted_at >= ?', since],
    ['accepted_at <= ?', till],
    ['tags @> ARRAY[?]', tag],
  ]
  const given = all.filter(([, value]) => value !== undefined)
  const conditions = given.map(([text], index) => text.replace('?', `$${index + 2}`))
  // Few messages have the same tag, so the messages with the tag are selected first. Without `OFFSET 0`, the planner
  // might read all messages in the order of the result.
  const fence = tag === undefined ? '' : ' OFFSET 0'
  return {
    found: `SELECT ${columns} FROM (SELECT ${columns} FROM redox.message
      WHERE ${['queue = $1', ...conditions].join(' AND ')}${fence}) found`,
    values: given.map(([, value]) => value),
  }
}

export interface PostgresDestination extends QueryResultRow {
  lane: string
  open: string
  parked: string
  owners: string[] | null
  oldest: string | null
  paused: boolean
  blocked: string
  id: string | null
  reason: string | null
}

export const DESTINATIONS = `
  WITH of_owner AS (
    SELECT lane, owner, count(*) FILTER (WHERE state <> 'parked') AS open,
      count(*) FILTER (WHERE state = 'parked') AS parked, min(accepted_at) FILTER (WHERE state <> 'parked') AS oldest
    FROM redox.message WHERE queue = $1 AND state IN ('waiting', 'sending', 'parked') GROUP BY lane, owner
  ),
  used AS (
    SELECT lane, sum(open) AS open, sum(parked) AS parked, array_agg(owner ORDER BY owner) AS owners,
      min(oldest) AS oldest
    FROM of_owner GROUP BY lane
  ),
  blocking AS MATERIALIZED (
    SELECT lane, order_key, sequence, id, reason FROM redox.message WHERE queue = $1 AND ordered AND state = 'parked'
  ),
  of_key AS (
    SELECT lane, order_key, min(sequence) AS first FROM blocking WHERE order_key IS NOT NULL GROUP BY lane, order_key
  ),
  blocked AS (
    SELECT lane, count(*) AS blocked FROM of_key CROSS JOIN LATERAL (
      SELECT min(sequence) AS head, max(sequence) AS last FROM redox.message
      WHERE queue = $1 AND order_key = of_key.order_key AND state IN ('waiting', 'sending', 'parked')) line
    WHERE first = head AND first < last
    GROUP BY lane
  ),
  stopped AS (SELECT lane, true AS paused FROM redox.paused WHERE queue = $1)
  SELECT lane, coalesce(open, 0) AS open, coalesce(parked, 0) AS parked, owners, oldest, coalesce(paused, false) AS paused,
    blocker.id, blocker.reason, coalesce(blocked, 0) AS blocked
  FROM used FULL JOIN stopped USING (lane) LEFT JOIN blocked USING (lane)
  LEFT JOIN LATERAL (
    SELECT id, reason FROM blocking
    WHERE blocking.lane = used.lane AND (order_key IS NULL OR sequence < (
      SELECT sequence FROM redox.message behind
      WHERE behind.queue = $1 AND behind.lane >= used.lane AND behind.lane <= used.lane AND behind.order_key IS NULL
        AND behind.ordered AND behind.state IN ('waiting', 'sending')
      ORDER BY behind.lane DESC, behind.sequence DESC LIMIT 1))
    ORDER BY sequence LIMIT 1
  ) blocker ON true
  ORDER BY lane`

export const destinationStateOf = ({
  lane: destination,
  open,
  parked,
  owners,
  oldest,
  paused,
  blocked,
  id,
  reason,
}: PostgresDestination): DestinationState => ({
  destination,
  open: Number(open),
  parked: Number(parked),
  owners: owners ?? [],
  paused,
  ...(oldest !== null && { oldest: Number(oldest) }),
  ...(id !== null && { blockedBy: { id, reason: reason ?? '' } }),
  ...(Number(blocked) > 0 && { blockedPatients: Number(blocked) }),
})
