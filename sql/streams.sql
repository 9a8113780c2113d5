--
-- Proves what streams answer: their outputs and numbers, what begins and ends
-- them, what is acknowledged, and how wrong input is answered.  What the
-- outputs say in bytes is for test/t/073_streams.pl.
--

-- Operations in bytes.
\set map_events '\'\\x4200\''
\set map_replay '\'\\x42021001\''
\set map_key_k '\'\\x42050a016b1001\''
\set map_entries '\'\\x4a00\''
\set map_entries_watch '\'\\x4a020801\''
\set counter_events '\'\\x42020801\''
\set election_watch '\'\\x3a00\''

-- The outputs of a command, those of entries by their key and value.
CREATE FUNCTION pg_temp.outputs(s bigint, n bigint, max_rows int = 1000)
RETURNS TABLE (num bigint, kind text, says text, has_index boolean) LANGUAGE sql AS $$
  SELECT o.output_num, o.kind,
    CASE WHEN o.kind = 'close' THEN convert_from(o.output, 'UTF8')
      ELSE regexp_replace(encode(o.output, 'hex'), '18([89a-f][0-9a-f]){6}[0-9a-f]{2}', ' <index>') END,
    o.index > 0
  FROM atomix.fetch_outputs(s, n, max_rows) AS o
$$;

SELECT atomix.open_session('1 h', 'a') AS a \gset
SELECT atomix.open_session('1 h', 'b') AS b \gset
SELECT atomix.create_service(:a, 'map', 'streamed') AS m \gset
SELECT count(atomix.map_put_text('streamed', k, '1')) FROM unnest(ARRAY['j', 'k', 'l']) AS k;

--
-- Opening and replay
--
SELECT status, output, replayed FROM atomix.command(:a, :m, :map_events, 1);
SELECT status, output, replayed FROM atomix.command(:a, :m, :map_events, 1);
SELECT status, output FROM atomix.command(:a, :m, :map_replay, 2);
SELECT status, output FROM atomix.command(:a, :m, :map_key_k, 3);
SELECT status, output FROM atomix.command(:a, :m, :map_entries, 4);
SELECT status, output FROM atomix.command(:a, :m, :map_entries_watch, 5);
SELECT sequence_num, status FROM atomix.commands(:a, :m, ARRAY[:map_events, :map_events]::bytea[], 6);
SELECT count(atomix.map_put_text('streamed', 'k', '2')), bool_and(atomix.map_remove('streamed', 'j'));
SELECT n, o.* FROM generate_series(1, 7) AS n, pg_temp.outputs(:a, n) AS o;
SELECT num, kind FROM pg_temp.outputs(:a, 2, 2);
SELECT count(*) FROM pg_temp.outputs(:a, 2, 0);
SELECT sequence_num, kind, key, acked_output, behind, closed, reason FROM atomix.streams WHERE session_id = :a ORDER BY 1;
SELECT state, status FROM atomix.outcome(:a, 1);
SELECT state, status FROM atomix.outcome(:a, 4);

--
-- Acknowledging
--
SELECT atomix.ack(:a, 2, 0), atomix.ack(:a, 2, 3);
SELECT num, kind FROM pg_temp.outputs(:a, 2);
-- What is behind does not come back.
SELECT atomix.ack(:a, 2, 1);
SELECT num, kind FROM pg_temp.outputs(:a, 2);
SELECT atomix.ack(:a, 2, 6);
SELECT * FROM pg_temp.outputs(:a, 2);
BEGIN;
SELECT count(atomix.map_put_text('streamed', 'own', 'x'));
SELECT atomix.ack(:a, 2, 7);
SELECT count(*) FROM pg_temp.outputs(:a, 2);
ROLLBACK;
SELECT count(*) FROM pg_temp.outputs(:a, 2);
-- Several at once
SELECT sequence_num, count(*), min(output_num), max(output_num) FROM atomix.fetch_outputs_many(:a) GROUP BY 1 ORDER BY 1;
SELECT sequence_num, output_num, kind FROM atomix.fetch_outputs_many(:a, 1) ORDER BY 1, 2;
SELECT bool_and(f.output_num = m.output_num AND f.kind = m.kind AND f.index = m.index AND f.output IS NOT DISTINCT FROM m.output)
  FROM atomix.fetch_outputs_many(:a) AS m
  JOIN LATERAL atomix.fetch_outputs(:a, m.sequence_num) AS f ON f.output_num = m.output_num;
SELECT atomix.ack_many(:a, ARRAY[1, 5]::bigint[], ARRAY[1, 2]::bigint[]);
SELECT sequence_num, min(output_num) FROM atomix.fetch_outputs_many(:a) GROUP BY 1 ORDER BY 1;
SELECT test.outcome(format('SELECT atomix.ack_many(%s, ''{1,5}'', ''{2,99}'')', :a), :a);
SELECT sequence_num, min(output_num) FROM atomix.fetch_outputs_many(:a) WHERE sequence_num = 1 GROUP BY 1;
SELECT atomix.ack_many(:a, '{}', '{}');
-- Taking is reading and acknowledging, of all of them.
BEGIN;
SELECT sequence_num, min(output_num), max(output_num), count(*) FROM atomix.fetch_outputs_many(:a, 2) GROUP BY 1 ORDER BY 1;
SELECT sequence_num, min(output_num), max(output_num), count(*) FROM atomix.take_outputs(:a, 2) GROUP BY 1 ORDER BY 1;
SELECT count(atomix.map_put_text('streamed', 'own', 'y'));
SAVEPOINT s;
SELECT bool_and(f IS NOT DISTINCT FROM t), count(t), count(*)
  FROM atomix.fetch_outputs_many(:a) AS f
  FULL JOIN atomix.take_outputs(:a) AS t USING (sequence_num, output_num);
SELECT count(*) FROM atomix.take_outputs(:a);
SELECT atomix.wait_events(:a, '0');
SELECT sequence_num, acked_output, behind FROM atomix.streams WHERE session_id = :a ORDER BY 1;
SELECT count(*) FROM atomix.replay;
ROLLBACK TO s;
SELECT sequence_num, min(output_num), max(output_num) FROM atomix.take_outputs(:a) GROUP BY 1 ORDER BY 1;
ROLLBACK;
SELECT sequence_num, min(output_num), max(output_num), count(*) FROM atomix.take_outputs(:a, 0) GROUP BY 1 ORDER BY 1;
SELECT sequence_num, min(output_num), max(output_num), count(*) FROM atomix.fetch_outputs_many(:a, 2) GROUP BY 1 ORDER BY 1;
-- In pages of which the first ends where more follow
BEGIN;
SELECT count(*) FROM atomix.take_outputs(:a);
SELECT count(atomix.map_put_text('streamed', 'own', n::text)) FROM generate_series(1, 5) AS n;
SELECT sequence_num, min(output_num), max(output_num) FROM atomix.take_outputs(:a, 1) WHERE sequence_num = 2 GROUP BY 1;
SELECT sequence_num, min(output_num), max(output_num) FROM atomix.take_outputs(:a, 2) WHERE sequence_num = 2 GROUP BY 1;
SELECT sequence_num, min(output_num), max(output_num) FROM atomix.take_outputs(:a, 2) WHERE sequence_num = 2 GROUP BY 1;
SELECT count(*) FROM atomix.take_outputs(:a, 2);
ROLLBACK;
-- One that matches little keeps up.
SELECT atomix.ack(:a, 3, 3);
SELECT sequence_num, acked_output, behind FROM atomix.streams WHERE session_id = :a AND sequence_num IN (2, 3) ORDER BY 1;
SELECT atomix.wait_events(:a, '0'), atomix.wait_events(:b, '0');
SELECT count(atomix.ack(:a, n)) FROM generate_series(4, 7) AS n;
SELECT atomix.ack(:a, 1, 3);
-- All is acknowledged: nothing to wait for.
SELECT atomix.wait_events(:a, '0');
SELECT sequence_num, kind FROM atomix.streams WHERE session_id = :a ORDER BY 1;
SELECT count(*) FROM atomix.replay;

--
-- Counter and election
--
SELECT atomix.create_service(:a, 'counter', 'streamed counter') AS c \gset
SELECT atomix.create_service(:a, 'election', 'streamed election') AS e \gset
SELECT status, output FROM atomix.command(:a, :c, :counter_events, 10);
SELECT atomix.counter_increment('streamed counter', 5), atomix.counter_set('streamed counter', 5),
  atomix.counter_set('streamed counter', -1);
SELECT * FROM pg_temp.outputs(:a, 10);
SELECT status, output FROM atomix.command(:a, :e, :election_watch, 11);
SELECT is_leader FROM atomix.election_enter(:a, 'streamed election', 'x');
SELECT is_leader FROM atomix.election_enter(:b, 'streamed election', 'y');
SELECT atomix.election_anoint('streamed election', 'y');
SELECT status, output FROM atomix.command(:a, :e, :election_watch, 12);
SELECT atomix.close_session(:b);
SELECT n, o.num, o.kind, o.says FROM generate_series(11, 12) AS n, pg_temp.outputs(:a, n) AS o;

--
-- The end: the service is closed, is deleted, and the session ends
--
SELECT count(atomix.map_put_text('streamed', 'k', '3'));
SELECT atomix.close_service(:a, :m);
SELECT n, o.num, o.kind, o.says FROM generate_series(1, 3) AS n, pg_temp.outputs(:a, n) AS o;
SELECT status, replayed FROM atomix.command(:a, :m, :map_events, 1);
SELECT atomix.ack(:a, 1, 4);
SELECT * FROM pg_temp.outputs(:a, 1);
-- Taken up to the end, and the end.
BEGIN;
SELECT sequence_num, min(output_num), max(output_num), string_agg(convert_from(output, 'UTF8'), ' ') FILTER (WHERE kind = 'close') AS reason
  FROM atomix.take_outputs(:a) GROUP BY 1 ORDER BY 1;
SELECT sequence_num, acked_output, behind, closed FROM atomix.streams WHERE session_id = :a ORDER BY 1;
SELECT count(*) FROM atomix.take_outputs(:a);
ROLLBACK;
SELECT atomix.delete_service('streamed counter');
SELECT num, kind, says FROM pg_temp.outputs(:a, 10);
SELECT state, status FROM atomix.outcome(:a, 10);
SELECT sequence_num, name, acked_output, behind, closed, reason FROM atomix.streams WHERE session_id = :a ORDER BY 1;
SELECT atomix.close_session(:a);
SELECT test.outcome(format('SELECT * FROM atomix.fetch_outputs(%s, 12)', :a), :a);
SELECT state, status FROM atomix.outcome(:a, 12);
SELECT count(*) FROM atomix.replay;

-- A service made anew begins where no position of the old one reaches.
SELECT count(*) FROM atomix.watch('streamed');
SELECT revision AS position FROM atomix.services WHERE name = 'streamed' \gset
SELECT atomix.delete_service('streamed');
SELECT count(atomix.map_put_text('streamed', 'k', '1'));
SELECT count(*) FROM atomix.watch('streamed');
SELECT revision > :position AS beyond FROM atomix.services WHERE name = 'streamed';
SELECT left(test.outcome(format('SELECT * FROM atomix.watch(''streamed'', %s)', :position)), 5) AS old_position;

--
-- Commands that are no streams
--
SELECT atomix.open_session('1 h', 'c') AS c \gset
SELECT atomix.create_service(:c, 'lock', 'streamed lock') AS l \gset
SELECT atomix.create_service(:c, 'map', 'streamed') AS m \gset
SELECT status FROM atomix.command(:c, :l, '\x0a00', 1);
SELECT status FROM atomix.command(:c, :l, '\x0a00', 2);
SELECT status FROM atomix.command(:c, :m, '\x32030a0178', 3);
SELECT n, o.num, o.kind, o.says LIKE '0a%' AS granted, CASE o.kind WHEN 'close' THEN o.says END AS reason
  FROM generate_series(1, 4) AS n, pg_temp.outputs(:c, n) AS o;
SELECT atomix.ack(:c, 1, 1), atomix.ack(:c, 3);

--
-- Wrong input
--
SELECT statement, test.outcome(format(statement, :c, :m), :c, :m) FROM (VALUES
  ('SELECT * FROM atomix.fetch_outputs(NULL, 1)'),
  ('SELECT * FROM atomix.fetch_outputs(%1$s, NULL)'),
  ('SELECT * FROM atomix.fetch_outputs(%1$s, 0)'),
  ('SELECT * FROM atomix.fetch_outputs(%1$s, -1)'),
  ('SELECT * FROM atomix.fetch_outputs(%1$s, 1, -1)'),
  ('SELECT * FROM atomix.fetch_outputs(%1$s, 1, NULL)'),
  ('SELECT * FROM atomix.fetch_outputs(7, 1)'),
  ('SELECT * FROM atomix.fetch_outputs(%1$s, 3)'),
  ('SELECT * FROM atomix.fetch_outputs_many(NULL)'),
  ('SELECT * FROM atomix.fetch_outputs_many(7)'),
  ('SELECT * FROM atomix.fetch_outputs_many(%1$s, -1)'),
  ('SELECT * FROM atomix.take_outputs(NULL)'),
  ('SELECT * FROM atomix.take_outputs(7)'),
  ('SELECT * FROM atomix.take_outputs(%1$s, -1)'),
  ('SELECT * FROM atomix.take_outputs(%1$s, NULL)'),
  ('SELECT atomix.ack_many(%1$s, ''{1}'', ''{}'')'),
  ('SELECT atomix.ack_many(%1$s, ''{1}'', ''{NULL}'')'),
  ('SELECT atomix.ack_many(%1$s, ''{0}'', ''{1}'')'),
  ('SELECT atomix.ack_many(%1$s, ''{1}'', ''{-1}'')'),
  ('SELECT atomix.ack_many(%1$s, NULL, ''{1}'')'),
  ('SELECT atomix.ack_many(7, ''{1}'', ''{1}'')'),
  ('SELECT atomix.resume_stream(NULL, 1)'),
  ('SELECT atomix.resume_stream(%1$s, NULL)'),
  ('SELECT atomix.resume_stream(%1$s, 1, -1, 1)'),
  ('SELECT atomix.resume_stream(%1$s, 1, 1)'),
  ('SELECT atomix.resume_stream(%1$s, 1, 1, 1)'),
  ('SELECT atomix.resume_stream(%1$s, 3)'),
  ('SELECT atomix.resume_stream(7, 1)'),
  ('SELECT atomix.ack(%1$s, 1, -1)'),
  ('SELECT atomix.ack(%1$s, 1, 2)'),
  ('SELECT atomix.ack(%1$s, 2, 1)'),
  ('SELECT status FROM atomix.command(%1$s, %2$s, ''\x4200'')'),
  ('SELECT status FROM atomix.command(%1$s, %2$s, ''\x4a00'')'),
  ('SELECT status FROM atomix.query(%1$s, %2$s, ''\x4a00'')')) AS t (statement);
-- Numbers that never were have no outputs, and acknowledging some is no error.
SELECT count(*) FROM atomix.fetch_outputs(:c, 99);
SELECT atomix.ack(:c, 99, 5);
-- Streams are those of the session's owner.
CREATE ROLE regress_atomix_streams;
GRANT USAGE ON SCHEMA atomix, test TO regress_atomix_streams;
SET ROLE regress_atomix_streams;
SELECT test.outcome(format('SELECT * FROM atomix.fetch_outputs(%s, 1)', :c), :c);
SELECT test.outcome(format('SELECT * FROM atomix.take_outputs(%s)', :c), :c);
SELECT test.outcome(format('SELECT atomix.resume_stream(%s, 1)', :c), :c);
SELECT count(*) FROM atomix.streams;
RESET ROLE;
REVOKE USAGE ON SCHEMA atomix, test FROM regress_atomix_streams;
DROP ROLE regress_atomix_streams;
-- In a transaction that reads only, too.
BEGIN READ ONLY;
SELECT count(*) FROM atomix.fetch_outputs(:c, 1);
SELECT test.outcome(format('SELECT * FROM atomix.take_outputs(%s)', :c), :c);
COMMIT;
SELECT atomix.close_session(:c);

SELECT count(*) FROM (VALUES ('streamed'), ('streamed election'), ('streamed lock')) AS s (name)
  WHERE atomix.delete_service(name);
