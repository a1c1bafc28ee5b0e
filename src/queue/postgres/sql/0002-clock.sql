-- Adds a clock to each queue, which never goes back, and the time when a process last served the queue.
ALTER TABLE redox.queue
  ADD COLUMN ahead bigint NOT NULL DEFAULT 0,
  ADD COLUMN seen bigint NOT NULL DEFAULT 0,
  -- Time when a process last served the queue.
  ADD COLUMN seen_at bigint;

-- The earlier version of claim() took the time as a parameter.
DROP FUNCTION IF EXISTS redox.claim(text, text, bigint, bigint, int, text[]);

-- Statements that read and then write are in functions: each statement in a function sees all that was committed before
-- it, also while it waited for a lock.
--
-- Settings of the functions: lock_timeout is LOCK_MS. A function would keep query plans from the time when its tables
-- were empty, and later scan whole tables. So each plan is made anew, with indexes, and without bitmap scans where they
-- would have to sort many rows.
--
-- claim and next_due both begin with the same three lists:
-- - usable (lane): destinations from which messages may be claimed. The query steps from one destination to the next in
--   the index, so that its cost does not depend on the number of waiting messages.
-- - head: the first open or parked message of each of these destinations.
-- - candidate (sequence, lane, since): messages that could be sent, and the time from which they are due. Of ordered
--   messages only the first of its destination, unless a later one is being sent (the first one was resent by a person
--   in the meantime). At most _limit for each destination.

-- Time of the database server, and clock of a queue. The queue's clock is ahead of the server's by the time that the
-- server's clock was set back, so that it never goes back itself. It is never earlier than its last stored reading.
CREATE OR REPLACE FUNCTION redox.now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
$$;
CREATE OR REPLACE FUNCTION redox.now(_queue text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT greatest(seen, redox.now() + ahead) FROM redox.queue WHERE queue = _queue;
$$;
CREATE OR REPLACE FUNCTION redox.see_clock(_queue text) RETURNS void LANGUAGE sql AS $$
  UPDATE redox.queue SET ahead = greatest(ahead, seen - wall), seen = greatest(seen, wall + ahead)
  FROM (SELECT redox.now() AS wall OFFSET 0) clock
  WHERE queue = _queue AND wall + ahead NOT BETWEEN seen AND seen + 1000;
$$;

-- Accepts a message. Returns false if one of its files is missing. Acceptances of ordered messages of a destination run
-- one after the other: otherwise a message with a lower number could be committed after a process has claimed the next
-- one. The message's files are locked until the message is committed.
CREATE OR REPLACE FUNCTION redox.accept(_queue text, _id text, _lane text, _ordered boolean, _owner text,
  _accepted_at bigint, _deadline bigint, _files text[], _tags text[], _content bytea)
RETURNS boolean LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
BEGIN
  IF _ordered THEN PERFORM pg_advisory_xact_lock(hashtextextended(_queue || ' ' || _lane, 7363620417)); END IF;
  IF EXISTS (SELECT FROM redox.message WHERE queue = _queue AND id = _id) THEN RETURN true; END IF;
  PERFORM FROM redox.file WHERE queue = _queue AND name = ANY (_files) AND chunks IS NOT NULL
    ORDER BY name FOR KEY SHARE;
  IF EXISTS (
    SELECT FROM unnest(_files) wanted WHERE NOT EXISTS (
      SELECT FROM redox.file WHERE queue = _queue AND name = wanted AND chunks IS NOT NULL)
  ) THEN RETURN false; END IF;
  INSERT INTO redox.message (queue, id, sequence, lane, ordered, owner, accepted_at, deadline, patience, files, tags,
    content, due_at)
  VALUES (_queue, _id, nextval('redox.acceptance'), _lane, _ordered, _owner, _accepted_at, _deadline,
    _deadline - _accepted_at, _files, _tags, _content, _accepted_at)
  ON CONFLICT (queue, id) DO NOTHING;
  RETURN true;
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
  WHERE queue = _queue AND state = 'held' AND ordered AND held_until <= _now AND EXISTS (
    SELECT FROM redox.message earlier WHERE earlier.queue = _queue AND earlier.lane = late.lane
      AND earlier.sequence < late.sequence AND earlier.state IN ('waiting', 'held', 'parked'));
  RETURN QUERY
  WITH RECURSIVE step (lane) AS (
    (SELECT lane FROM redox.message WHERE queue = _queue AND state IN ('waiting', 'held', 'parked')
     ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT m.lane FROM redox.message m WHERE m.queue = _queue AND m.lane > step.lane
              AND state IN ('waiting', 'held', 'parked')
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
        AND state IN ('waiting', 'held', 'parked')
      ORDER BY m.sequence LIMIT 1
    ) first
  ),
  candidate AS (
    SELECT sequence, lane, CASE state WHEN 'held' THEN held_until ELSE due_at END AS since
    FROM head
    WHERE ordered AND state <> 'parked' AND NOT EXISTS (
      SELECT FROM redox.message other WHERE other.queue = _queue AND other.lane = head.lane
        AND other.ordered AND other.state = 'held' AND other.sequence <> head.sequence)
    UNION ALL
    SELECT free.* FROM usable CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = usable.lane AND NOT m.ordered AND m.state = 'waiting'
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) free
    UNION ALL
    SELECT m.sequence, m.lane, m.held_until FROM redox.message m JOIN usable USING (lane)
    WHERE m.queue = _queue AND NOT m.ordered AND m.state = 'held'
  ),
  ranked AS (
    SELECT sequence, since, row_number() OVER (PARTITION BY lane ORDER BY since, sequence) AS place
    FROM candidate WHERE since <= _now
  ),
  taken AS (
    SELECT sequence FROM redox.message
    WHERE sequence = ANY (ARRAY(SELECT sequence FROM ranked ORDER BY place, since, sequence LIMIT _limit))
      AND (state = 'waiting' AND due_at <= _now OR state = 'held' AND held_until <= _now)
    FOR UPDATE SKIP LOCKED
  )
  UPDATE redox.message m SET state = 'held', holder = _holder, held_until = _now + _lease
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
    (SELECT lane FROM redox.message WHERE queue = _queue AND state IN ('waiting', 'held', 'parked')
     ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT m.lane FROM redox.message m WHERE m.queue = _queue AND m.lane > step.lane
              AND state IN ('waiting', 'held', 'parked')
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
        AND state IN ('waiting', 'held', 'parked')
      ORDER BY m.sequence LIMIT 1
    ) first
  ),
  candidate AS (
    SELECT sequence, lane, CASE state WHEN 'held' THEN held_until ELSE due_at END AS since
    FROM head
    WHERE ordered AND state <> 'parked' AND NOT EXISTS (
      SELECT FROM redox.message other WHERE other.queue = _queue AND other.lane = head.lane
        AND other.ordered AND other.state = 'held' AND other.sequence <> head.sequence)
    UNION ALL
    SELECT free.* FROM usable CROSS JOIN LATERAL (
      SELECT m.sequence, m.lane, m.due_at FROM redox.message m
      WHERE m.queue = _queue AND m.lane = usable.lane AND NOT m.ordered AND m.state = 'waiting'
      ORDER BY m.due_at, m.sequence LIMIT _limit
    ) free
    UNION ALL
    SELECT m.sequence, m.lane, m.held_until FROM redox.message m JOIN usable USING (lane)
    WHERE m.queue = _queue AND NOT m.ordered AND m.state = 'held'
  )
  SELECT min(since) FROM candidate);
END $$;

-- Writes a line of the audit log. Numbers have no gaps, so that a reader that continues after a number cannot miss a
-- line that was committed later.
CREATE OR REPLACE FUNCTION redox.write_line(_queue text, _at bigint, _who text, _action text, _subject text,
  _reason text)
RETURNS void LANGUAGE sql AS $$
  WITH line AS (UPDATE redox.queue SET lines = lines + 1 WHERE queue = _queue RETURNING lines)
  INSERT INTO redox.audit SELECT _queue, lines, _at, _who, _action, _subject, _reason FROM line;
$$;

-- Marks a file as complete. If the same file was stored several times at once, one copy is kept. Returns false if the
-- file's row was deleted.
CREATE OR REPLACE FUNCTION redox.complete(_queue text, _file bigint, _chunks int)
RETURNS boolean LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
BEGIN
  UPDATE redox.file SET chunks = _chunks WHERE queue = _queue AND file = _file;
  RETURN FOUND;
EXCEPTION WHEN unique_violation THEN
  DELETE FROM redox.file WHERE queue = _queue AND file = _file;
  RETURN true;
END $$;

-- Deletes files that no message has. The rows are locked first, so that messages accepted in the meantime are seen.
CREATE OR REPLACE FUNCTION redox.drop_unused(_queue text, _names text[])
RETURNS void LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
BEGIN
  PERFORM FROM redox.file WHERE queue = _queue AND name = ANY (_names) AND chunks IS NOT NULL
    ORDER BY name FOR UPDATE;
  DELETE FROM redox.file f WHERE queue = _queue AND name = ANY (_names) AND chunks IS NOT NULL
    AND NOT EXISTS (SELECT FROM redox.message m WHERE m.queue = _queue AND m.files @> ARRAY[f.name]);
END $$;

-- Deletes some messages that ended before a time, and returns their number. Unannounced results have their own, earlier
-- limit.
CREATE OR REPLACE FUNCTION redox.forget(_queue text, _before bigint, _untold_before bigint, _limit int)
RETURNS int LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
DECLARE
  _gone int;
  _names text[];
BEGIN
  WITH old AS (
    SELECT sequence FROM redox.message
    WHERE queue = _queue AND state IN ('delivered', 'discarded') AND ended_at < _before
      AND (told OR ended_at < _untold_before)
    ORDER BY ended_at LIMIT _limit FOR UPDATE SKIP LOCKED
  ),
  gone AS (DELETE FROM redox.message m USING old WHERE m.sequence = old.sequence RETURNING m.files)
  SELECT (SELECT count(*) FROM gone), ARRAY(SELECT DISTINCT unnest(files) FROM gone) INTO _gone, _names;
  PERFORM redox.drop_unused(_queue, _names);
  RETURN _gone;
END $$;

-- Deletes files without a message that were stored before a time, and unfinished files.
CREATE OR REPLACE FUNCTION redox.forget_files(_queue text, _before bigint)
RETURNS void LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
BEGIN
  DELETE FROM redox.file WHERE queue = _queue AND chunks IS NULL AND stored_at <= _before;
  PERFORM redox.drop_unused(_queue, ARRAY(
    SELECT name FROM redox.file f WHERE queue = _queue AND chunks IS NOT NULL AND stored_at <= _before
      AND NOT EXISTS (SELECT FROM redox.message m WHERE m.queue = _queue AND m.files @> ARRAY[f.name])));
END $$;

-- Counts a request and returns 0, or returns the milliseconds until a request may be made. The queue's row is locked
-- first, so that two requests are not counted as one.
CREATE OR REPLACE FUNCTION redox.turn(_queue text, _per_window int, _window bigint)
RETURNS bigint LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
DECLARE
  _now bigint;
  _wait bigint;
BEGIN
  SELECT paused_until INTO _wait FROM redox.queue WHERE queue = _queue FOR UPDATE;
  _now := redox.now(_queue);
  _wait := greatest(0, _wait - _now, (
    SELECT at + _window - _now FROM redox.request WHERE queue = _queue ORDER BY at DESC OFFSET _per_window - 1 LIMIT 1));
  IF _wait > 0 THEN RETURN _wait; END IF;
  DELETE FROM redox.request WHERE queue = _queue AND at <= _now - _window;
  INSERT INTO redox.request VALUES (_queue, _now);
  RETURN 0;
END $$;
