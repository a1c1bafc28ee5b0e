-- The state 'sending' was called 'held'.
DROP INDEX redox.message_open, redox.message_in_order, redox.message_held;
UPDATE redox.message SET state = 'sending' WHERE state = 'held';
CREATE INDEX message_open ON redox.message (queue, lane, sequence) WHERE state IN ('waiting', 'sending', 'parked');
CREATE INDEX message_in_order ON redox.message (queue, lane, sequence)
  WHERE ordered AND state IN ('waiting', 'sending');
CREATE INDEX message_sending ON redox.message (queue, lane, sequence) WHERE state = 'sending';

-- See 0002 for the lists that both functions begin with, and for their settings.

-- One claim of a queue at a time: who comes next sees what was taken. Of each lane the first ones go first, so that
-- much in one does not hold up the others. What a person or a late holder changes just now is left out.
CREATE OR REPLACE FUNCTION redox.claim(_queue text, _holder text, _lease bigint, _limit int, _except text[])
RETURNS SETOF redox.message LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off SET enable_bitmapscan TO off AS $$
DECLARE
  _now bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(_queue, 7363620417));
  _now := redox.now(_queue);
  -- Held too long, and something before it was sent again by a person: that goes first.
  UPDATE redox.message late SET state = 'waiting', holder = NULL, held_until = NULL
  WHERE queue = _queue AND state = 'sending' AND ordered AND held_until <= _now AND EXISTS (
    SELECT FROM redox.message earlier WHERE earlier.queue = _queue AND earlier.lane = late.lane
      AND earlier.sequence < late.sequence AND earlier.state IN ('waiting', 'sending', 'parked'));
  RETURN QUERY
  WITH RECURSIVE step (lane) AS (
    (SELECT lane FROM redox.message WHERE queue = _queue AND state IN ('waiting', 'sending', 'parked')
     ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT m.lane FROM redox.message m WHERE m.queue = _queue AND m.lane > step.lane
              AND state IN ('waiting', 'sending', 'parked')
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
      SELECT * FROM redox.message m WHERE m.queue = _queue AND m.lane = usable.lane
        AND state IN ('waiting', 'sending', 'parked')
      ORDER BY m.sequence LIMIT 1
    ) first
  ),
  candidate AS (
    SELECT sequence, lane, CASE state WHEN 'sending' THEN held_until ELSE due_at END AS since
    FROM head
    WHERE ordered AND state <> 'parked' AND NOT EXISTS (
      SELECT FROM redox.message other WHERE other.queue = _queue AND other.lane = head.lane
        AND other.ordered AND other.state = 'sending' AND other.sequence <> head.sequence)
    UNION ALL
    SELECT free.* FROM usable CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = usable.lane AND NOT m.ordered AND m.state = 'waiting'
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) free
    UNION ALL
    SELECT m.sequence, m.lane, m.held_until FROM redox.message m JOIN usable USING (lane)
    WHERE m.queue = _queue AND NOT m.ordered AND m.state = 'sending'
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
  -- Last: what changes a message first and its queue then waits for none that does it the other way round.
  PERFORM redox.see_clock(_queue);
END $$;

-- When a claim would next get something.
CREATE OR REPLACE FUNCTION redox.next_due(_queue text, _except text[], _limit int DEFAULT 1)
RETURNS bigint LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off SET enable_bitmapscan TO off AS $$
BEGIN
  RETURN (WITH RECURSIVE step (lane) AS (
    (SELECT lane FROM redox.message WHERE queue = _queue AND state IN ('waiting', 'sending', 'parked')
     ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT m.lane FROM redox.message m WHERE m.queue = _queue AND m.lane > step.lane
              AND state IN ('waiting', 'sending', 'parked')
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
      SELECT * FROM redox.message m WHERE m.queue = _queue AND m.lane = usable.lane
        AND state IN ('waiting', 'sending', 'parked')
      ORDER BY m.sequence LIMIT 1
    ) first
  ),
  candidate AS (
    SELECT sequence, lane, CASE state WHEN 'sending' THEN held_until ELSE due_at END AS since
    FROM head
    WHERE ordered AND state <> 'parked' AND NOT EXISTS (
      SELECT FROM redox.message other WHERE other.queue = _queue AND other.lane = head.lane
        AND other.ordered AND other.state = 'sending' AND other.sequence <> head.sequence)
    UNION ALL
    SELECT free.* FROM usable CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = usable.lane AND NOT m.ordered AND m.state = 'waiting'
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) free
    UNION ALL
    SELECT m.sequence, m.lane, m.held_until FROM redox.message m JOIN usable USING (lane)
    WHERE m.queue = _queue AND NOT m.ordered AND m.state = 'sending'
  )
  SELECT min(since) FROM candidate);
END $$;
