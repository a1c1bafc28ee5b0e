-- Kind of an ended message, see `eviction.ts`.
CREATE FUNCTION redox.eviction_kind(_state text, _reason text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN _state <> 'delivered' THEN 'finished'
    WHEN _reason = 'REDOX_NOT_DELIVERED' THEN 'refused'
    WHEN _reason IS NULL OR _reason = 'REDOX_NOT_CONFIRMED' THEN 'unconfirmed'
    ELSE 'finished'
  END
$$;

-- Deletes the oldest ended messages of a kind, with the files that no other message contains. Messages whose result was
-- not announced are deleted only if they ended before a time. File 0002 explains the settings.
CREATE FUNCTION redox.evict(_queue text, _kind text, _untold_before bigint, _limit int)
RETURNS int LANGUAGE plpgsql
  SET lock_timeout TO 30000 SET plan_cache_mode TO force_custom_plan
  SET enable_seqscan TO off AS $$
DECLARE
  _gone int;
  _names text[];
BEGIN
  WITH old AS (
    SELECT sequence FROM redox.message
    WHERE queue = _queue AND state IN ('delivered', 'discarded') AND (told OR ended_at < _untold_before)
      AND redox.eviction_kind(state, reason) = _kind
    ORDER BY ended_at LIMIT _limit FOR UPDATE SKIP LOCKED
  ),
  gone AS (DELETE FROM redox.message m USING old WHERE m.sequence = old.sequence RETURNING m.files)
  SELECT (SELECT count(*) FROM gone), ARRAY(SELECT DISTINCT unnest(files) FROM gone) INTO _gone, _names;
  PERFORM redox.drop_unused(_queue, _names);
  RETURN _gone;
END $$;
