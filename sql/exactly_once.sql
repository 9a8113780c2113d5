--
-- Proves that a numbered call takes effect once and is answered the same way
-- however often it is asked, that a number is used for one request, what
-- acknowledging forgets, and what can be known of a number afterwards.
--
SELECT atomix.open_session('1 day', 'subject') AS s \gset
SELECT atomix.create_service(:s, 'counter', 'c') AS c \gset

--
-- Typed calls: a replay returns exactly the first row, whatever happened since
--
CREATE TEMP TABLE first (n int, answer text);
-- ARGS stands for session and number, INDEX for the index of an entry.
CREATE TEMP TABLE calls (n int GENERATED ALWAYS AS IDENTITY, call text, later text);
INSERT INTO calls (call, later) VALUES
  ('SELECT atomix.counter_set(''t'', 5, '''', ARGS)', 'SELECT atomix.counter_set(''t'', 0)'),
  ('SELECT atomix.counter_increment(''t'', 10, '''', ARGS)', 'SELECT atomix.counter_set(''t'', 100)'),
  ('SELECT atomix.counter_decrement(''t'', 1, '''', ARGS)', 'SELECT atomix.counter_set(''t'', 7)'),
  ('SELECT atomix.counter_compare_and_set(''t'', 7, 8, '''', ARGS)', 'SELECT atomix.counter_set(''t'', 9)'),
  ('SELECT atomix.counter_compare_and_set(''t'', 7, 8, '''', ARGS)', 'SELECT atomix.counter_set(''t'', 7)'),
  ('SELECT atomix.counter_increment(''t'', 1, ''n'', ARGS)', 'SELECT atomix.delete_service(''t'', ''n'')'),
  ('SELECT r::text FROM atomix.map_put(''tm'', ''k'', ''v'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_remove(''tm'', ''k'')'),
  ('SELECT r::text FROM atomix.map_put(''tm'', ''k'', ''\x00ff'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_put(''tm'', ''k'', ''x'')'),
  ('SELECT r::text FROM atomix.map_put(''tm'', ''k'', ''\x00ff'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_clear(''tm'')'),
  ('SELECT r::text FROM atomix.map_put(''tm'', ''k'', ''v'', NULL, 1, '''', ARGS) AS r', 'SELECT atomix.map_put_text(''tm'', ''k'', ''text'')'),
  ('SELECT r::text FROM atomix.map_put_text(''tm'', ''k'', ''other'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_put_text(''tm'', ''k'', '''')'),
  ('SELECT r::text FROM atomix.map_put_text(''tm'', ''k'', ''é'', ''1 hour'', NULL, '''', ARGS) AS r', 'SELECT atomix.map_remove(''tm'', ''k'')'),
  ('SELECT atomix.map_insert(''tm'', ''k'', ''v'', NULL, '''', ARGS)', 'SELECT atomix.map_put(''tm'', ''k'', ''x'')'),
  ('SELECT coalesce(atomix.map_insert(''tm'', ''k'', ''v'', NULL, '''', ARGS)::text, ''refused'')', 'SELECT atomix.map_remove(''tm'', ''k'')'),
  ('SELECT atomix.map_insert_text(''tm'', ''k'', ''v'', ''1 hour'', '''', ARGS)', 'SELECT atomix.map_put(''tm'', ''k'', ''x'')'),
  ('SELECT r::text FROM atomix.map_update(''tm'', ''k'', ''v'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_clear(''tm'')'),
  ('SELECT r::text FROM atomix.map_update(''tm'', ''k'', ''v'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_put_text(''tm'', ''k'', ''y'')'),
  ('SELECT r::text FROM atomix.map_update_text(''tm'', ''k'', ''v'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_clear(''tm'')'),
  ('SELECT r::text FROM atomix.map_update_text(''tm'', ''k'', ''v'', NULL, NULL, '''', ARGS) AS r', 'SELECT atomix.map_put_text(''tm'', ''k'', ''y'')'),
  ('SELECT atomix.map_remove(''tm'', ''k'', NULL, '''', ARGS)', 'SELECT atomix.map_size(''tm'')'),
  ('SELECT atomix.map_remove(''tm'', ''k'', NULL, '''', ARGS)', 'SELECT atomix.map_put(''tm'', ''k'', ''x'')'),
  ('SELECT atomix.map_remove(''tm'', ''k'', 1, '''', ARGS)', 'SELECT atomix.map_put(''tm'', ''k'', ''y'')'),
  ('SELECT atomix.map_clear(''tm'', '''', ARGS)', 'SELECT atomix.map_put(''tm'', ''l'', ''x'')'),
  ('SELECT atomix.map_clear(''tm'', '''', ARGS)', 'SELECT atomix.delete_service(''tm'')');
CREATE FUNCTION pg_temp.twice(call text, later text, s bigint, number bigint, OUT first text, OUT same boolean, OUT once boolean)
LANGUAGE plpgsql AS $$
DECLARE
  before text;
BEGIN
  call := replace(call, 'ARGS', format('%s, %s', s, number));
  first := test.outcome(call);
  EXECUTE later;
  before := (SELECT string_agg(c::text, ' ') FROM atomix.counters AS c) ||
    coalesce((SELECT string_agg(e::text, ' ') FROM atomix.map_entries('tm') AS e), '');
  same := test.outcome(call) = first AND test.outcome(call) = first;
  once := before = (SELECT string_agg(c::text, ' ') FROM atomix.counters AS c) ||
    coalesce((SELECT string_agg(e::text, ' ') FROM atomix.map_entries('tm') AS e), '');
  first := regexp_replace(first, '\d{14,16}', '<index>', 'g');
END $$;
SELECT regexp_replace(call, '^SELECT | AS r$', '', 'g') AS call, t.* FROM calls, pg_temp.twice(call, later, :s, 100 + n) AS t ORDER BY n;
-- A typed command has a status in the protocol's numbering, too.
SELECT state, status, length(output) > 0 AS has_output, test.about(clock_timestamp() - at, '0') AS now
  FROM atomix.outcome(:s, 101);
SELECT DISTINCT operation, state, status FROM atomix.command WHERE session_id = :s;

--
-- Without a number, or without a session, each call counts
--
SELECT atomix.counter_set('each', 0);
SELECT atomix.counter_increment('each'), atomix.counter_increment('each', 1, '', NULL, 0),
    atomix.counter_increment('each', 1, '', :s), atomix.counter_increment('each', 1, '', :s, 0),
    atomix.counter_increment('each', 1, '', :s, 200), atomix.counter_increment('each', 1, '', :s, 200),
    atomix.counter_increment('each', 1, '', :s, 201);
SELECT count(*) FROM atomix.command WHERE session_id = :s AND sequence_num < 1;

--
-- A number belongs to one request
--
SELECT atomix.counter_increment('used', 1, '', :s, 300);
SELECT status FROM atomix.command(:s, :c, '\x22020801', 301);
SELECT atomix.once(:s, 302), atomix.once(:s, 303, ''), atomix.once(:s, 304, 'order 7');
SELECT statement, test.outcome(format(statement, :s, :c), :s) FROM (VALUES
  (1, 'SELECT atomix.counter_increment(''used'', 1, '''', %s, 300)'),
  (2, 'SELECT atomix.counter_increment(''used'', 2, '''', %s, 300)'),
  (3, 'SELECT atomix.counter_increment(''others'', 1, '''', %s, 300)'),
  (4, 'SELECT atomix.counter_increment(''used'', 1, ''n'', %s, 300)'),
  (5, 'SELECT atomix.counter_decrement(''used'', 1, '''', %s, 300)'),
  (6, 'SELECT atomix.counter_set(''used'', 1, '''', %s, 300)'),
  (7, 'SELECT atomix.map_put(''used'', ''k'', ''v'', NULL, NULL, '''', %s, 300)'),
  (8, 'SELECT status FROM atomix.command(%s, %s, ''\x22020801'', 300)'),
  (9, 'SELECT atomix.once(%s, 300)'),
  (10, 'SELECT status || '' '' || replayed FROM atomix.command(%s, %s, ''\x22020801'', 301)'),
  (11, 'SELECT status FROM atomix.command(%s, %s, ''\x22020802'', 301)'),
  (12, 'SELECT status FROM atomix.command(%s, %s + 1, ''\x22020801'', 301)'),
  (13, 'SELECT status FROM atomix.commands(%s, %s, ''{"\\x22020802"}'', 301)'),
  (14, 'SELECT status || '' '' || replayed FROM atomix.commands(%s, %s, ''{"\\x22020801"}'', 301)'),
  (15, 'SELECT status FROM atomix.commands(%s, %s, ''{"\\x22020801","\\x22020801"}'', 301)'),
  (16, 'SELECT status FROM atomix.commands(%s, %s, ''{"\\x22020801","\\x22020801"}'', 299)'),
  (17, 'SELECT atomix.counter_increment(''used'', 1, '''', %s, 301)'),
  (18, 'SELECT atomix.once(%s, 301)'),
  (19, 'SELECT atomix.once(%s, 302)'),
  (20, 'SELECT atomix.once(%s, 302, NULL)'),
  (21, 'SELECT atomix.once(%s, 302, '''')'),
  (22, 'SELECT atomix.once(%s, 302, ''order 7'')'),
  (23, 'SELECT atomix.once(%s, 303, '''')'),
  (24, 'SELECT atomix.once(%s, 303)'),
  (25, 'SELECT atomix.once(%s, 304, ''order 7'')'),
  (26, 'SELECT atomix.once(%s, 304, ''order 8'')'),
  (27, 'SELECT atomix.once(%s, 304)'),
  (28, 'SELECT status FROM atomix.command(%s, %s, ''\x22020801'', 304)')
) AS v (n, statement) ORDER BY n;
SELECT atomix.counter_get('used'), atomix.counter_get('others'), atomix.counter_get('used', 'n'), atomix.counter_get('c');
SELECT state, status, convert_from(output, 'UTF8') AS request FROM unnest(ARRAY[302, 303, 304]) AS n, atomix.outcome(:s, n);
SELECT statement, test.outcome(format(statement, :s), :s) FROM (VALUES
  (1, 'SELECT atomix.once(NULL, 1)'), (2, 'SELECT atomix.once(%s, NULL)'), (3, 'SELECT atomix.once(%s, 0)'),
  (4, 'SELECT atomix.once(%s, -1)'), (5, 'SELECT atomix.once(77, 1)'), (6, 'SELECT atomix.once(0, 0)'),
  (7, 'SELECT atomix.once(%s, 9223372036854775807, repeat(''x'', 100000))'),
  (8, 'SELECT atomix.once(%s, 9223372036854775807, repeat(''x'', 100000))'),
  (9, 'SELECT atomix.ack(NULL, 1)'), (10, 'SELECT atomix.ack(%s, NULL)'), (11, 'SELECT atomix.ack(%s, 0)'),
  (12, 'SELECT atomix.ack(%s, -1)'), (13, 'SELECT atomix.ack(%s, 1, -1)'), (14, 'SELECT atomix.ack(77, 1)'),
  (15, 'SELECT atomix.outcome(NULL, 1)'), (16, 'SELECT atomix.outcome(%s, NULL)'), (17, 'SELECT atomix.outcome(%s, 0)'),
  (18, 'SELECT atomix.outcome(%s, -1)'), (19, 'SELECT atomix.outcome(77, 1)'),
  (20, 'SELECT atomix.counter_increment(''used'', 1, '''', NULL, 400)')
) AS v (n, statement) ORDER BY n;

--
-- What is rolled back, or fails, leaves the number free
--
BEGIN;
SELECT atomix.once(:s, 500), atomix.once(:s, 500), atomix.counter_increment('undone', 1, '', :s, 501);
SELECT state FROM atomix.outcome(:s, 500);
SAVEPOINT half;
SELECT atomix.once(:s, 502);
ROLLBACK TO half;
SELECT atomix.once(:s, 502), atomix.once(:s, 502);
ROLLBACK;
SELECT n, state FROM generate_series(500, 502) AS n, atomix.outcome(:s, n) ORDER BY n;
SELECT atomix.once(:s, 500, 'another request'), atomix.counter_increment('undone', 7, '', :s, 501);
SELECT atomix.counter_set('full', 9223372036854775807);
SELECT test.outcome(format('SELECT atomix.counter_increment(''full'', 1, '''', %s, 510)', :s));
SELECT state FROM atomix.outcome(:s, 510);
SELECT atomix.counter_set('full', 1), atomix.counter_increment('full', 1, '', :s, 510);
SELECT test.outcome(format('SELECT atomix.counter_increment(''tm2'', 1, '''', %s, 511), 1 / 0', :s));
SELECT test.outcome(format('SELECT atomix.map_put(''full'', ''k'', ''v'', session_id => %s, sequence_num => 511)', :s));
SELECT test.outcome(format('SELECT atomix.map_put(''m'', repeat(''k'', 1025), ''v'', session_id => %s, sequence_num => 511)', :s));
SELECT state FROM atomix.outcome(:s, 511);
-- An operation that is refused keeps it, and is refused again.
SELECT atomix.counter_set('c', 0);
SELECT status, output, replayed FROM atomix.command(:s, :c, '\x120408051007', 520);
SELECT atomix.counter_set('c', 5);
SELECT status, output, replayed FROM atomix.command(:s, :c, '\x120408051007', 520);
SELECT status, output, replayed FROM atomix.command(:s, :c, '\x120408051007', 521);
SELECT status, output, replayed FROM atomix.command(:s, :c, '\x120408051007', 521);
SELECT status, output, replayed FROM atomix.command(:s, :c, '', 522);
SELECT status, output, replayed FROM atomix.command(:s, :c, '', 522);
SELECT status, output, replayed FROM atomix.command(:s, :c, '\x1a00', 523);
SELECT atomix.counter_set('c', 6);
SELECT status, output, replayed FROM atomix.command(:s, :c, '\x1a00', 523);
SELECT n, state, status, output FROM generate_series(520, 523) AS n, atomix.outcome(:s, n) ORDER BY n;
SELECT a.index = b.index AS same_index, a.output = b.output AS same_output, b.replayed
  FROM atomix.command(:s, :c, '\x22020801', 524) AS a, atomix.counter_increment('c') AS since,
    LATERAL (SELECT * FROM atomix.command(:s, :c, '\x22020801', 524) WHERE since > 0) AS b;
-- A batch that holds a number of another request does nothing.
SELECT test.outcome(format('SELECT count(*) FROM atomix.commands(%s, %s, array_fill(''\x22020801''::bytea, ARRAY[10]), 515)', :s, :c), :s);
SELECT n, state FROM generate_series(515, 519) AS n, atomix.outcome(:s, n) ORDER BY n;
-- One that was done in part goes on from there.
SELECT sequence_num, status, output, replayed FROM atomix.commands(:s, :c, '{"\\x22020801","\\x1a00"}', 530);
SELECT sequence_num, status, output, replayed FROM atomix.commands(:s, :c, '{"\\x22020801","\\x1a00","\\x22020801","\\x1a00"}', 530);
SELECT sequence_num, status, output, replayed FROM atomix.commands(:s, :c, '{"\\x1a00","\\x22020801","\\x1a00"}', 529);
-- The greatest number there is
SELECT status, replayed FROM atomix.command(:s, :c, '\x22020801', 9223372036854775806);
SELECT status, replayed FROM atomix.command(:s, :c, '\x22020801', 9223372036854775806);

--
-- Acknowledging
--
SELECT atomix.open_session('1 day', 'acknowledges') AS a \gset
SELECT atomix.create_service(:a, 'counter', 'c') = :c AS opened;
CREATE FUNCTION pg_temp.known(s bigint) RETURNS text LANGUAGE sql AS $$
  SELECT format('floor %s:', (SELECT ack_floor FROM atomix.lease WHERE session_id = s)) ||
    coalesce((SELECT string_agg(format(' %s %s', sequence_num, state), ',' ORDER BY sequence_num)
      FROM atomix.command WHERE session_id = s), ' none')
$$;
SELECT count(*) FROM atomix.commands(:a, :c, array_fill('\x22020801'::bytea, ARRAY[4]), 1);
SELECT count(*) FROM atomix.commands(:a, :c, array_fill('\x22020801'::bytea, ARRAY[2]), 6);
SELECT pg_temp.known(:a);
-- The floor rises over what follows it closely.
SELECT atomix.ack(:a, 2);
SELECT pg_temp.known(:a);
SELECT atomix.ack(:a, 1);
SELECT pg_temp.known(:a);
SELECT atomix.ack(:a, 3), atomix.ack(:a, 4), atomix.ack(:a, 6);
SELECT pg_temp.known(:a);
SELECT atomix.ack(:a, 4), atomix.ack(:a, 6);
SELECT pg_temp.known(:a);
SELECT n, state, status, output, at FROM generate_series(1, 8) AS n, atomix.outcome(:a, n) WHERE n <> 7 ORDER BY n;
SELECT state, status, output FROM atomix.outcome(:a, 7);
-- An acknowledged number is never executed again, in whatever way.
SELECT atomix.counter_set('c', 0);
SELECT statement, test.outcome(format(statement, :a, :c), :a) FROM (VALUES
  (1, 'SELECT atomix.command(%s, %s, ''\x22020801'', 1)'),
  (2, 'SELECT atomix.command(%s, %s, ''\x22020801'', 4)'),
  (3, 'SELECT atomix.command(%s, %s, ''\x22020801'', 6)'),
  (4, 'SELECT atomix.command(%s, %s, ''\x22020802'', 6)'),
  (5, 'SELECT atomix.commands(%s, %s, ''{"\\x22020801"}'', 1)'),
  (6, 'SELECT atomix.commands(%s, %s, ''{"\\x22020801"}'', 6)'),
  (7, 'SELECT atomix.commands(%s, %s, ''{"\\x22020801","\\x22020801"}'', 5)'),
  (8, 'SELECT atomix.once(%s, 1)'), (9, 'SELECT atomix.once(%s, 6)'),
  (10, 'SELECT atomix.counter_increment(''c'', 1, '''', %s, 1)'),
  (11, 'SELECT atomix.counter_increment(''c'', 1, '''', %s, 6)'),
  (12, 'SELECT atomix.map_put(''m'', ''k'', ''v'', NULL, NULL, '''', %s, 4)')
) AS v (n, statement) ORDER BY n;
SELECT atomix.counter_get('c'), pg_temp.known(:a);
-- One that was never executed will not be.
SELECT atomix.ack(:a, 10);
SELECT pg_temp.known(:a);
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x22020801'', 10)', :a, :c), :a);
SELECT state, status FROM atomix.outcome(:a, 10);
SELECT atomix.ack(:a, 5);
SELECT pg_temp.known(:a);
-- Outputs up to a number: a complete command keeps its only one.
SELECT atomix.ack(:a, 7, 0), atomix.ack(:a, 7, 1);
SELECT test.outcome(format('SELECT atomix.ack(%s, 7, 2)', :a), :a);
SELECT pg_temp.known(:a);
SELECT atomix.ack(:a, 7), atomix.ack(:a, 8), atomix.ack(:a, 9);
SELECT pg_temp.known(:a);
-- Undone
BEGIN;
SELECT atomix.ack(:a, 11), atomix.ack(:a, 12);
SELECT pg_temp.known(:a);
ROLLBACK;
SELECT pg_temp.known(:a);
SELECT status, replayed FROM atomix.command(:a, :c, '\x22020801', 11);

--
-- Acknowledging by keep-alives: all numbers up to last that are not in the
-- filter are over; {"m":1,"k":2^63,"b":...} is that of no number.
--
CREATE FUNCTION pg_temp.keep_alive(s bigint, last numeric, filter text) RETURNS text LANGUAGE sql AS $$
  SELECT r.status || coalesce(' ' || replace(r.message, s::text, '<a>'), '')
  FROM test.read(atomix.partition_keep_alive(test.keep_alive_request(s, last, filter))) AS r
$$;
SELECT count(*) FROM atomix.commands(:a, :c, array_fill('\x22020801'::bytea, ARRAY[3]), 12);
-- Malformed: nothing is acknowledged.
SELECT pg_temp.keep_alive(:a, 14, '{"m":7,"k":5}'), pg_temp.keep_alive(:a, 14, '{"m":0,"k":5,"b":"AAAAAAAAAAA="}'),
    pg_temp.keep_alive(:a, 9223372036854775808, '{"m":1,"k":9223372036854775808,"b":"AAAAAAAAAAA="}');
SELECT pg_temp.known(:a);
-- {} contains everything: nothing is forgotten.
SELECT pg_temp.keep_alive(:a, 14, '{}');
SELECT pg_temp.known(:a);
SELECT pg_temp.keep_alive(:a, 12, '{"m":1,"k":9223372036854775808,"b":"AAAAAAAAAAA="}');
SELECT pg_temp.known(:a);
-- 42 is pending and not executed, and by chance the filter holds 19, too: the
-- floor stops before that, and what is above and not in it is over.
SELECT count(*) FROM atomix.commands(:a, :c, array_fill('\x22020801'::bytea, ARRAY[2]), 43);
SELECT pg_temp.keep_alive(:a, 44, '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAANg=="}');
SELECT pg_temp.known(:a);
SELECT status, replayed FROM atomix.command(:a, :c, '\x22020801', 42);
SELECT pg_temp.keep_alive(:a, 44, '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAANg=="}');
SELECT pg_temp.known(:a);
SELECT status, replayed FROM atomix.command(:a, :c, '\x22020801', 42);
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x22020801'', 18)', :a, :c), :a),
    test.outcome(format('SELECT atomix.command(%s, %s, ''\x22020801'', 43)', :a, :c), :a);
-- Without a filter nothing is pending.
SELECT pg_temp.keep_alive(:a, 44, NULL);
SELECT pg_temp.known(:a);
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x22020801'', 42)', :a, :c), :a);
-- A smaller last is of an older keep-alive, and lowers nothing.
SELECT pg_temp.keep_alive(:a, 5, NULL), pg_temp.keep_alive(:a, 0, NULL);
SELECT pg_temp.known(:a);
-- At most 100,000 numbers a call
SELECT pg_temp.keep_alive(:a, 250000, NULL);
SELECT pg_temp.known(:a);
SELECT pg_temp.keep_alive(:a, 250000, NULL), pg_temp.keep_alive(:a, 250000, NULL);
SELECT pg_temp.known(:a);

--
-- Not more than 10,000 numbers outstanding
--
SELECT atomix.open_session('1 day', 'piles up') AS p \gset
SELECT atomix.create_service(:p, 'counter', 'pile') AS pile \gset
SELECT count(*) FROM atomix.commands(:p, :pile, array_fill('\x22020801'::bytea, ARRAY[9999]), 2);
-- Not all of these fit; nothing is done.
SELECT test.outcome(format('SELECT count(*) FROM atomix.commands(%s, %s, array_fill(''\x22020801''::bytea, ARRAY[2]), 10001)', :p, :pile), :p);
SELECT status FROM atomix.command(:p, :pile, '\x22020801', 10001);
SELECT statement, test.outcome(format(statement, :p, :pile), :p) FROM (VALUES
  (1, 'SELECT atomix.command(%s, %s, ''\x22020801'', 10002)'),
  (2, 'SELECT atomix.command(%s, %s, ''\x22020801'', 9223372036854775807)'),
  (3, 'SELECT atomix.commands(%s, %s, ''{"\\x22020801"}'', 10002)'),
  (4, 'SELECT atomix.once(%s, 10002)'),
  (5, 'SELECT atomix.counter_increment(''pile'', 1, '''', %s, 10002)'),
  (6, 'SELECT atomix.ack(%s, 10002)')
) AS v (n, statement) ORDER BY n;
SELECT atomix.counter_get('pile');
-- What is not numbered, was executed before, or acknowledges goes on.
SELECT status, replayed FROM atomix.command(:p, :pile, '\x22020800');
SELECT status, replayed FROM atomix.command(:p, :pile, '\x22020801', 10001);
SELECT count(*) FILTER (WHERE replayed) FROM atomix.commands(:p, :pile, array_fill('\x22020801'::bytea, ARRAY[10000]), 2);
SELECT atomix.keep_alive(:p);
SELECT atomix.ack(:p, 10001);
-- What was acknowledged above the floor is still remembered: only raising
-- the floor makes room.
SELECT left(test.outcome(format('SELECT atomix.once(%s, 10002)', :p), :p), 5);
SELECT atomix.once(:p, 1);
SELECT atomix.ack(:p, 1), atomix.ack(:p, 2);
SELECT atomix.once(:p, 10002), (SELECT ack_floor FROM atomix.lease WHERE session_id = :p);
SELECT pg_temp.keep_alive(:p, 10002, NULL);
SELECT pg_temp.known(:p);
-- A batch of more than all that may be outstanding
SELECT left(test.outcome(format('SELECT count(*) FROM atomix.commands(%s, %s, array_fill(''\x22020801''::bytea, ARRAY[10001]), 20001)', :p, :pile)), 5);
SELECT pg_temp.known(:p);
SELECT atomix.close_session(:p);

--
-- Queries after commands
--
SELECT atomix.open_session('1 day', 'asks') AS q \gset
SELECT atomix.create_service(:q, 'counter', 'c') = :c AS opened;
SELECT count(*) FROM atomix.commands(:q, :c, array_fill('\x22020801'::bytea, ARRAY[3]), 1);
SELECT n, test.outcome(format('SELECT status FROM atomix.query(%s, %s, ''\x1a00'', %s)', :q, :c, n), :q) FROM unnest(ARRAY[0, 1, 3]) AS n;
ALTER SYSTEM SET atomix.query_wait = 10;
SELECT pg_reload_conf();
-- A reload is seen between two statements.
\set ECHO none
\o /dev/null
SELECT $$SELECT pg_sleep(CASE current_setting('atomix.query_wait') WHEN '10ms' THEN 0 ELSE 0.01 END)$$
  FROM generate_series(1, 1000) \gexec
\o
\set ECHO all
SHOW atomix.query_wait;
SELECT n, test.outcome(format('SELECT status FROM atomix.query(%s, %s, ''\x1a00'', %s)', :q, :c, n), :q) FROM unnest(ARRAY[3, 4, 9223372036854775807]) AS n;
SELECT status FROM atomix.command(:q, :c, '\x22020801', 5);
SELECT left(test.outcome(format('SELECT status FROM atomix.query(%s, %s, ''\x1a00'', 5)', :q, :c)), 5);
-- Acknowledged counts as executed: it will not be any more.
SELECT atomix.ack(:q, 4), atomix.ack(:q, 1);
SELECT status FROM atomix.query(:q, :c, '\x1a00', 5);
ALTER SYSTEM RESET atomix.query_wait;
SELECT pg_reload_conf();

--
-- What became of a number, also after the session's end
--
SELECT atomix.once(:q, 6, 'the last one');
SELECT atomix.close_session(:q);
SELECT n, state, status, output, at IS NOT NULL AS has_time FROM generate_series(1, 7) AS n, atomix.outcome(:q, n) ORDER BY n;
SELECT statement, test.outcome(format(statement, :q, :c), :q) FROM (VALUES
  (1, 'SELECT atomix.once(%s, 6, ''the last one'')'), (2, 'SELECT atomix.once(%s, 8)'), (3, 'SELECT atomix.ack(%s, 6)'),
  (4, 'SELECT atomix.command(%s, %s, ''\x22020801'', 5)'), (5, 'SELECT atomix.counter_increment(''c'', 1, '''', %s, 8)')
) AS v (n, statement) ORDER BY n;
SELECT atomix.open_session('8 min', 'expires') AS e \gset
SELECT atomix.once(:e, 2);
SELECT atomix._advance_clock('10 min');
SELECT test.state(:e);
SELECT n, state, status FROM generate_series(1, 2) AS n, atomix.outcome(:e, n) ORDER BY n;
SELECT test.outcome(format('SELECT atomix.once(%s, 2)', :e), :e);
-- After atomix.outcome_retention nobody knows any more.
ALTER SYSTEM SET atomix.outcome_retention = '30min';
SELECT pg_reload_conf();
\set ECHO none
\o /dev/null
SELECT $$SELECT pg_sleep(CASE current_setting('atomix.outcome_retention') WHEN '30min' THEN 0 ELSE 0.01 END)$$
  FROM generate_series(1, 1000) \gexec
\o
\set ECHO all
SHOW atomix.outcome_retention;
SELECT atomix._advance_clock('35 min');
SELECT test.becomes_true(format('NOT EXISTS (SELECT FROM atomix.command WHERE session_id IN (%s, %s))', :q, :e));
SELECT n, state, status, output, at FROM generate_series(1, 7) AS n, atomix.outcome(:q, n) ORDER BY n;
SELECT state FROM atomix.sessions WHERE session_id IN (:q, :e) ORDER BY session_id;
-- After atomix.tombstone_retention the session is unknown.
SELECT atomix._advance_clock('30 min');
SELECT test.becomes_true(format('NOT EXISTS (SELECT FROM atomix.sessions WHERE session_id IN (%s, %s))', :q, :e));
SELECT test.outcome(format('SELECT atomix.outcome(%s, 1)', :q), :q);
ALTER SYSTEM RESET atomix.outcome_retention;
SELECT pg_reload_conf();
-- Those of a session that lives are kept for as long as it does.
SELECT count(*) > 40 AS kept FROM atomix.command WHERE session_id = :s;

-- Nothing of a session can be prepared.
BEGIN;
SELECT atomix.once(:s, 600);
\set VERBOSITY sqlstate
PREPARE TRANSACTION 'regress_once';
\set VERBOSITY default
SELECT state FROM atomix.outcome(:s, 600);

SELECT atomix.close_session(:s), atomix.close_session(:a);
SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services;
SELECT count(*) FROM atomix.services;
