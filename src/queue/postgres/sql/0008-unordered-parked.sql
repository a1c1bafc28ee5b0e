-- An unordered message that is parked does not stop the ordered messages after it: it was accepted before the setting for
-- the order was changed. Until now, it stopped those that follow their whole destination.

-- Messages that ordered ones after them follow. New indexes first: other processes can read while they are built.
CREATE INDEX message_line ON redox.message (queue, lane, sequence)
  WHERE state IN ('waiting', 'sending') OR ordered AND state = 'parked';
CREATE INDEX message_first ON redox.message (queue, lane, sequence)
  WHERE order_key IS NULL AND (state IN ('waiting', 'sending') OR ordered AND state = 'parked');
CREATE INDEX message_blocking ON redox.message (queue, lane, sequence) WHERE ordered AND state = 'parked';
DROP INDEX redox.message_open, redox.message_without_key, redox.message_parked;
ALTER INDEX redox.message_first RENAME TO message_without_key;

-- The functions are those of file 0005; file 0002 explains their settings, and the lists at the beginning of both. `head`
-- and `barrier` now leave out unordered messages that are parked, and `usable` leaves out destinations that have no
-- others. Where the first message of a destination is searched for, the lane has two limits instead of `=`, and the
-- order begins with it: only the index of the destination has this order. For `lane = x ORDER BY sequence LIMIT 1`, the
-- planner may read all messages in the order of the sequence, in the hope that one of the first is of this destination.

-- Claims messages. Only one claim of a queue runs at a time, so that the next one sees what was claimed. The first
-- messages of each destination are claimed first, so that a long queue of one destination does not delay others. Rows
-- that another transaction is changing are skipped.
CREATE OR REPLACE FUNCTION redox.claim(_queue text, _holder text, _lease bigint, _limit int, _except text[])
RETURNS SETOF redox.message LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off SET enable_bitmapscan TO off AS $$
DECLARE
  _now bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(_queue, 7363620417));
  _now := redox.now(_queue);
  -- The lease has ended, and a person has resent an earlier message, which has to be sent first.
  UPDATE redox.message late SET state = 'waiting', holder = NULL, held_until = NULL
  WHERE queue = _queue AND state = 'sending' AND ordered AND held_until <= _now AND EXISTS (
    SELECT FROM redox.message earlier WHERE earlier.queue = _queue AND earlier.lane = late.lane
      AND earlier.sequence < late.sequence
      AND (earlier.state IN ('waiting', 'sending') OR earlier.ordered AND earlier.state = 'parked')
      AND (earlier.order_key IS NULL OR late.order_key IS NULL OR earlier.order_key = late.order_key));
  RETURN QUERY
  WITH RECURSIVE step (lane) AS (
    (SELECT lane FROM redox.message
     WHERE queue = _queue AND (state IN ('waiting', 'sending') OR ordered AND state = 'parked')
     ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT m.lane FROM redox.message m WHERE m.queue = _queue AND m.lane > step.lane
              AND (state IN ('waiting', 'sending') OR ordered AND state = 'parked')
            ORDER BY m.lane LIMIT 1)
    FROM step WHERE step.lane IS NOT NULL
  ),
  usable AS (
    SELECT lane FROM step
    WHERE lane IS NOT NULL AND lane <> ALL (_except)
      AND NOT EXISTS (SELECT FROM redox.paused p WHERE p.queue = _queue AND p.lane = step.lane)
  ),
  head AS (
    SELECT first.* FROM usable CROSS JOIN LATERAL (
      SELECT * FROM redox.message m
      WHERE m.queue = _queue AND m.lane >= usable.lane AND m.lane <= usable.lane
        AND (state IN ('waiting', 'sending') OR ordered AND state = 'parked')
      ORDER BY m.lane, m.sequence LIMIT 1
    ) first
  ),
  barrier AS (
    SELECT lane, coalesce((
        SELECT m.sequence FROM redox.message m
        WHERE m.queue = _queue AND m.lane >= usable.lane AND m.lane <= usable.lane AND m.order_key IS NULL
          AND (m.state IN ('waiting', 'sending') OR m.ordered AND m.state = 'parked')
        ORDER BY m.lane, m.sequence LIMIT 1), 9223372036854775807) AS sequence,
      EXISTS (
        SELECT FROM redox.message m WHERE m.queue = _queue AND m.lane = usable.lane AND m.state = 'sending'
          AND m.ordered AND m.order_key IS NULL) AS is_busy
    FROM usable
  ),
  keyed AS (
    SELECT turn.* FROM barrier CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = barrier.lane AND m.order_key IS NOT NULL AND m.state = 'waiting'
        AND NOT barrier.is_busy AND m.sequence < barrier.sequence
        AND NOT EXISTS (
          SELECT FROM redox.message other WHERE other.queue = _queue AND other.order_key = m.order_key
            AND other.state IN ('waiting', 'sending', 'parked') AND other.sequence < m.sequence)
        AND NOT EXISTS (
          SELECT FROM redox.message other WHERE other.queue = _queue AND other.order_key = m.order_key
            AND other.state = 'sending')
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) turn
  ),
  candidate AS (
    SELECT sequence, lane, CASE state WHEN 'sending' THEN held_until ELSE due_at END AS since
    FROM head
    WHERE ordered AND order_key IS NULL AND state <> 'parked' AND NOT EXISTS (
      SELECT FROM redox.message other WHERE other.queue = _queue AND other.lane = head.lane
        AND other.ordered AND other.state = 'sending' AND other.sequence <> head.sequence)
    UNION ALL
    SELECT * FROM keyed
    UNION ALL
    SELECT free.* FROM usable CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = usable.lane AND NOT m.ordered AND m.state = 'waiting'
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) free
    UNION ALL
    SELECT m.sequence, m.lane, m.held_until FROM redox.message m JOIN usable USING (lane)
    WHERE m.queue = _queue AND (NOT m.ordered OR m.order_key IS NOT NULL) AND m.state = 'sending'
  ),
  ranked AS (
    SELECT sequence, since, row_number() OVER (PARTITION BY lane ORDER BY since, sequence) AS place
    FROM candidate WHERE since <= _now
  ),
  taken AS (
    SELECT sequence FROM redox.message
    WHERE sequence = ANY (ARRAY(SELECT sequence FROM ranked ORDER BY place, since, sequence LIMIT _limit))
      AND (state = 'waiting' AND due_at <= _now OR state = 'sending' AND held_until <= _now)
    FOR UPDATE SKIP LOCKED
  )
  UPDATE redox.message m SET state = 'sending', holder = _holder, held_until = _now + _lease
  FROM taken WHERE m.sequence = taken.sequence
  RETURNING m.*;
  -- Last statement, because it locks the queue's row: other transactions lock a message first and then its queue, and
  -- the same order prevents deadlocks.
  PERFORM redox.see_clock(_queue);
END $$;

-- Returns the time at which claim() would next return a message.
CREATE OR REPLACE FUNCTION redox.next_due(_queue text, _except text[], _limit int DEFAULT 1)
RETURNS bigint LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off SET enable_bitmapscan TO off AS $$
BEGIN
  RETURN (WITH RECURSIVE step (lane) AS (
    (SELECT lane FROM redox.message
     WHERE queue = _queue AND (state IN ('waiting', 'sending') OR ordered AND state = 'parked')
     ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT m.lane FROM redox.message m WHERE m.queue = _queue AND m.lane > step.lane
              AND (state IN ('waiting', 'sending') OR ordered AND state = 'parked')
            ORDER BY m.lane LIMIT 1)
    FROM step WHERE step.lane IS NOT NULL
  ),
  usable AS (
    SELECT lane FROM step
    WHERE lane IS NOT NULL AND lane <> ALL (_except)
      AND NOT EXISTS (SELECT FROM redox.paused p WHERE p.queue = _queue AND p.lane = step.lane)
  ),
  head AS (
    SELECT first.* FROM usable CROSS JOIN LATERAL (
      SELECT * FROM redox.message m
      WHERE m.queue = _queue AND m.lane >= usable.lane AND m.lane <= usable.lane
        AND (state IN ('waiting', 'sending') OR ordered AND state = 'parked')
      ORDER BY m.lane, m.sequence LIMIT 1
    ) first
  ),
  barrier AS (
    SELECT lane, coalesce((
        SELECT m.sequence FROM redox.message m
        WHERE m.queue = _queue AND m.lane >= usable.lane AND m.lane <= usable.lane AND m.order_key IS NULL
          AND (m.state IN ('waiting', 'sending') OR m.ordered AND m.state = 'parked')
        ORDER BY m.lane, m.sequence LIMIT 1), 9223372036854775807) AS sequence,
      EXISTS (
        SELECT FROM redox.message m WHERE m.queue = _queue AND m.lane = usable.lane AND m.state = 'sending'
          AND m.ordered AND m.order_key IS NULL) AS is_busy
    FROM usable
  ),
  keyed AS (
    SELECT turn.* FROM barrier CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = barrier.lane AND m.order_key IS NOT NULL AND m.state = 'waiting'
        AND NOT barrier.is_busy AND m.sequence < barrier.sequence
        AND NOT EXISTS (
          SELECT FROM redox.message other WHERE other.queue = _queue AND other.order_key = m.order_key
            AND other.state IN ('waiting', 'sending', 'parked') AND other.sequence < m.sequence)
        AND NOT EXISTS (
          SELECT FROM redox.message other WHERE other.queue = _queue AND other.order_key = m.order_key
            AND other.state = 'sending')
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) turn
  ),
  candidate AS (
    SELECT sequence, lane, CASE state WHEN 'sending' THEN held_until ELSE due_at END AS since
    FROM head
    WHERE ordered AND order_key IS NULL AND state <> 'parked' AND NOT EXISTS (
      SELECT FROM redox.message other WHERE other.queue = _queue AND other.lane = head.lane
        AND other.ordered AND other.state = 'sending' AND other.sequence <> head.sequence)
    UNION ALL
    SELECT * FROM keyed
    UNION ALL
    SELECT free.* FROM usable CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = usable.lane AND NOT m.ordered AND m.state = 'waiting'
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) free
    UNION ALL
    SELECT m.sequence, m.lane, m.held_until FROM redox.message m JOIN usable USING (lane)
    WHERE m.queue = _queue AND (NOT m.ordered OR m.order_key IS NOT NULL) AND m.state = 'sending'
  )
  SELECT min(since) FROM candidate);
END $$;
