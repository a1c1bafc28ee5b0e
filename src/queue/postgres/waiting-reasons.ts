import type { QueryResultRow } from 'pg'
import type { WaitingReason } from '../../shared/outbox-api'

/** Waiting message, and the message that it follows. */
export interface PostgresWaiting extends QueryResultRow {
  id: string
  paused: boolean
  ahead: string | null
  blocked: string | null
}

// First message before `m` that meets the condition of an index, in the order of that index. File 0008 explains why the
// column has two limits.
const first = (column: 'lane' | 'order_key', condition: string): string =>
  `(SELECT id, state, reason, sequence FROM redox.message b
      WHERE b.queue = $1 AND b.${column} >= m.${column} AND b.${column} <= m.${column} AND b.sequence < m.sequence
        AND ${condition}
      ORDER BY b.${column}, b.sequence LIMIT 1)`
const IN_LINE = `(b.state IN ('waiting', 'sending') OR b.ordered AND b.state = 'parked')`

/**
 * Query for the waiting messages of the queue ($1) with these ids ($2). `ahead` is the first parked message that one
 * follows, or the first one if none is parked. `blocker`: the first parked messages of a lane, with an order key and
 * without; parked messages are few.
 */
export const WAITING = `
  WITH blocker AS MATERIALIZED (
    SELECT DISTINCT ON (lane, order_key IS NULL) lane, order_key IS NULL AS blocks_all, id, state, reason, sequence
    FROM redox.message WHERE queue = $1 AND ordered AND state = 'parked'
    ORDER BY lane, order_key IS NULL, sequence
  )
  SELECT m.id, ahead.id AS ahead, CASE ahead.state WHEN 'parked' THEN ahead.reason END AS blocked,
    EXISTS (SELECT FROM redox.paused p WHERE p.queue = $1 AND p.lane = m.lane) AS paused
  FROM redox.message m LEFT JOIN LATERAL (
    SELECT * FROM (
      SELECT id, state, reason, sequence FROM blocker b
      WHERE b.lane = m.lane AND b.sequence < m.sequence AND (b.blocks_all OR m.order_key IS NULL)
      UNION ALL ${first('order_key', `b.ordered AND b.state = 'parked'`)}
      UNION ALL ${first('order_key', `b.state IN ('waiting', 'sending', 'parked')`)}
      UNION ALL ${first('lane', `b.order_key IS NULL AND ${IN_LINE}`)}
      UNION ALL ${first('lane', `m.order_key IS NULL AND ${IN_LINE}`)}
    ) one WHERE m.ordered ORDER BY state = 'parked' DESC, sequence LIMIT 1
  ) ahead ON true
  WHERE m.queue = $1 AND m.id = ANY ($2) AND m.state = 'waiting'`

/** Returns the reasons for which messages are not sent, by their ids, see `AdminStore.waitingReasons`. */
export const waitingReasonsOf = (rows: PostgresWaiting[]): Map<string, WaitingReason> =>
  new Map(
    rows
      .filter(({ paused, ahead }) => paused || ahead !== null)
      .map(({ id, paused, ahead, blocked }) => [
        id,
        {
          ...(paused && { paused: true }),
          ...(ahead !== null && { waitsBehind: ahead }),
          ...(blocked !== null && { blockedReason: blocked }),
        },
      ]),
  )
