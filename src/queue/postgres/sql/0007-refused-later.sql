-- Delivered messages that a destination refused later: few among many.
CREATE INDEX message_refused_later ON redox.message (queue, sequence)
  WHERE state = 'delivered' AND reason = 'REDOX_NOT_DELIVERED';

-- Deletes ended messages, with the files that no other message contains: those whose result was not announced, and those
-- that a destination refused later, only if they ended before times of their own. Replaces redox.forget, which processes
-- of earlier releases still call. File 0002 explains the settings.
CREATE FUNCTION redox.purge(_queue text, _before bigint, _untold_before bigint, _refused_before bigint, _limit int)
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
      AND (ended_at < _refused_before OR redox.eviction_kind(state, reason) <> 'refused')
    ORDER BY ended_at LIMIT _limit FOR UPDATE SKIP LOCKED
  ),
  gone AS (DELETE FROM redox.message m USING old WHERE m.sequence = old.sequence RETURNING m.files)
  SELECT (SELECT count(*) FROM gone), ARRAY(SELECT DISTINCT unnest(files) FROM gone) INTO _gone, _names;
  PERFORM redox.drop_unused(_queue, _names);
  RETURN _gone;
END $$;
