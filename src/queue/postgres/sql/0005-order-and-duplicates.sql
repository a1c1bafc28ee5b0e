-- Adds order keys: an ordered message with an order key follows the messages with the same key, and those of its
-- destination without one. Null: the message follows all messages of its destination.
ALTER TABLE redox.message ADD COLUMN order_key text;
CREATE INDEX message_turn ON redox.message (queue, order_key, sequence)
  WHERE order_key IS NOT NULL AND state IN ('waiting', 'sending', 'parked');
CREATE INDEX message_keyed ON redox.message (queue, lane, due_at, sequence)
  WHERE order_key IS NOT NULL AND state = 'waiting';
CREATE INDEX message_without_key ON redox.message (queue, lane, sequence)
  WHERE order_key IS NULL AND state IN ('waiting', 'sending', 'parked');

-- File 0002 explains the settings of the functions, and the lists at the beginning of claim and next_due. They have two
-- more lists:
-- - barrier (lane, sequence, is_busy): first message without an order key of each usable destination that others wait
--   for (2^63 - 1: none). Later messages with an order key are not sent. is_busy: an ordered one is being sent.
-- - keyed: messages with an order key that are the first with that key, as far as another one is not being sent.

-- Accepts a message. has_files is false if one of its files is missing. Acceptances of ordered messages with the same
-- order key, and those without one in a destination, run one after the other: otherwise a message with a lower number
-- could be committed after a process has claimed the next one. The message's files are locked until the message is
-- committed.
-- _tag is that of the message's document (null: it has none). equal_id and equal_state are those of an earlier message
-- with this tag that is open, parked, or was delivered since _delivered_since; then the message is stored only if
-- _accepts_equal. Acceptances with the same tag run one after the other, so that the second sees the first.
-- Processes of earlier releases call the earlier version of this function, without order key and tag.
CREATE FUNCTION redox.accept(_queue text, _id text, _lane text, _ordered boolean, _order_key text, _owner text,
  _accepted_at bigint, _deadline bigint, _files text[], _tags text[], _content bytea, _tag text,
  _delivered_since bigint, _accepts_equal boolean, OUT has_files boolean, OUT equal_id text, OUT equal_state text)
LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
BEGIN
  has_files := true;
  IF _tag IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(_queue || ' ' || _tag, 7363620417));
  END IF;
  IF _order_key IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(_queue || ' ' || _lane, 7363620417));
    PERFORM pg_advisory_xact_lock(hashtextextended(_queue || ' ' || _order_key, 7363620417));
  ELSIF _ordered THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(_queue || ' ' || _lane, 7363620417));
  END IF;
  IF EXISTS (SELECT FROM redox.message WHERE queue = _queue AND id = _id) THEN RETURN; END IF;
  IF _tag IS NOT NULL THEN
    SELECT m.id, m.state INTO equal_id, equal_state FROM redox.message m
    WHERE m.queue = _queue AND m.tags @> ARRAY[_tag] AND (m.state IN ('waiting', 'sending', 'parked')
      OR m.state = 'delivered' AND m.ended_at >= _delivered_since)
    ORDER BY m.state = 'delivered' DESC, m.sequence LIMIT 1;
    IF equal_id IS NOT NULL AND NOT _accepts_equal THEN RETURN; END IF;
  END IF;
  PERFORM FROM redox.file WHERE queue = _queue AND name = ANY (_files) AND chunks IS NOT NULL
    ORDER BY name FOR KEY SHARE;
  IF EXISTS (
    SELECT FROM unnest(_files) wanted WHERE NOT EXISTS (
      SELECT FROM redox.file WHERE queue = _queue AND name = wanted AND chunks IS NOT NULL)
  ) THEN
    has_files := false;
    RETURN;
  END IF;
  INSERT INTO redox.message (queue, id, sequence, lane, ordered, order_key, owner, accepted_at, deadline, patience,
    files, tags, content, due_at)
  VALUES (_queue, _id, nextval('redox.acceptance'), _lane, _ordered, _order_key, _owner, _accepted_at, _deadline,
    _deadline - _accepted_at, _files, _tags, _content, _accepted_at)
  ON CONFLICT (queue, id) DO NOTHING;
END $$;

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
      AND earlier.sequence < late.sequence AND earlier.state IN ('waiting', 'sending', 'parked')
      AND (earlier.order_key IS NULL OR late.order_key IS NULL OR earlier.order_key = late.order_key));
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
  barrier AS (
    SELECT lane, coalesce((
        SELECT m.sequence FROM redox.message m WHERE m.queue = _queue AND m.lane = usable.lane AND m.order_key IS NULL
          AND m.state IN ('waiting', 'sending', 'parked') AND (m.ordered OR m.state <> 'parked')
        ORDER BY m.sequence LIMIT 1), 9223372036854775807) AS sequence,
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
  barrier AS (
    SELECT lane, coalesce((
        SELECT m.sequence FROM redox.message m WHERE m.queue = _queue AND m.lane = usable.lane AND m.order_key IS NULL
          AND m.state IN ('waiting', 'sending', 'parked') AND (m.ordered OR m.state <> 'parked')
        ORDER BY m.sequence LIMIT 1), 9223372036854775807) AS sequence,
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
