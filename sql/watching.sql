--
-- Proves what the functions for watching answer: the events of every type of
-- service, pages and keys; and that wrong input, unknown services and
-- read-only transactions are answered as told.
--

-- The events of a service in words: its own revisions count from 0.
CREATE FUNCTION pg_temp.news(name text, key text = NULL, max_rows int = 1000)
RETURNS TABLE (n bigint, type text, key text, value text, prev_value text) LANGUAGE sql AS $$
  SELECT w.revision - s.oldest, w.type, w.key, convert_from(w.value, 'UTF8'), convert_from(w.prev_value, 'UTF8')
  FROM atomix.watch(news.name, NULL, news.key, news.max_rows) AS w, atomix.service AS s WHERE s.name = news.name
$$;
-- Sessions by their names, tokens as such.
CREATE FUNCTION pg_temp.claims(name text) RETURNS TABLE (type text, who text, has_token boolean) LANGUAGE sql AS $$
  SELECT w.type, coalesce(s.name, w.key), w.value IS NOT NULL
  FROM atomix.watch(claims.name) AS w LEFT JOIN atomix.session AS s ON s.session_id::text = w.key ORDER BY w.revision
$$;

--
-- Counter and map
--
SELECT atomix.counter_set('fed counter', 5);
SELECT count(*) FROM atomix.watch('fed counter');
SELECT atomix.counter_set('fed counter', 6), atomix.counter_set('fed counter', 6),
  atomix.counter_increment('fed counter', -10), atomix.counter_compare_and_set('fed counter', 0, 1);
SELECT * FROM pg_temp.news('fed counter');

SELECT count(atomix.map_put_text('fed map', 'before', 'x'));
-- What it would hear, and when, is for test/t/072_hints.pl.
BEGIN;
SELECT revision AS base FROM atomix.listen_watch('fed map') \gset
UNLISTEN *;
COMMIT;
SELECT count(atomix.map_put_text('fed map', 'a', v)) FROM unnest('{one,two,two}'::text[]) AS v;
SELECT count(atomix.map_update_text('fed map', 'a', 'two')), atomix.map_insert_text('fed map', 'a', 'refused') IS NULL AS refused;
SELECT count(atomix.map_put_text('fed map', 'b', 'x', '1 h')), count(atomix.map_put_text('fed map', 'b', 'x', '2 h'));
SELECT atomix.map_remove('fed map', 'before'), atomix.map_remove('fed map', 'before');
SELECT atomix.map_clear('fed map'), atomix.map_clear('fed map');
SELECT * FROM pg_temp.news('fed map');
-- A key, pages, and none
SELECT * FROM pg_temp.news('fed map', 'b');
SELECT * FROM pg_temp.news('fed map', 'nobody''s');
SELECT * FROM pg_temp.news('fed map', 'a', 2);
SELECT * FROM pg_temp.news('fed map', max_rows => 0);
SELECT revision - :base AS n, type FROM atomix.watch('fed map', :base + 2, max_rows => 2);
-- Times and indexes: those of one transaction are its own.
SELECT bool_and(w.at BETWEEN now() - interval '1 min' AND clock_timestamp()) AS at_their_time,
    count(DISTINCT index) BETWEEN 1 AND count(*) AS have_indexes,
    bool_and(index > 0) AS positive FROM atomix.watch('fed map') AS w;
SELECT count(atomix.map_put_text('fed map', 'c', 'x'));
SELECT w.index = g.index AS same_index FROM atomix.map_get('fed map', 'c') AS g,
  atomix.watch('fed map', key => 'c') AS w;
-- Undone is not told, and leaves no hole.
BEGIN;
SELECT count(atomix.map_put_text('fed map', 'd', 'x'));
SAVEPOINT s;
SELECT count(atomix.map_put_text('fed map', 'e', 'x'));
ROLLBACK TO s;
SELECT count(atomix.map_put_text('fed map', 'f', 'x'));
SELECT type, key FROM atomix.watch('fed map', (SELECT revision - 2 FROM atomix.services WHERE name = 'fed map'));
ROLLBACK;
SELECT max(revision) - :base AS newest FROM atomix.watch('fed map');

--
-- Lock, semaphore, election
--
SELECT atomix.open_session('1 h', 'first') AS first, atomix.open_session('1 h', 'second') AS second \gset
SELECT granted FROM atomix.lock_try(:first, 'fed lock');
SELECT count(*) FROM atomix.watch('fed lock');
SELECT granted FROM atomix.lock_acquire(:second, 'fed lock');
SELECT atomix.lock_release(:first, 'fed lock');
SELECT granted, ticket AS ticket FROM atomix.lock_acquire(:first, 'fed lock') \gset own_
SELECT atomix.lock_cancel(:first, 'fed lock', :own_ticket);
SELECT atomix.close_session(:second);
SELECT * FROM pg_temp.claims('fed lock');

SELECT atomix.open_session('1 h', 'third') AS third \gset
SELECT granted FROM atomix.semaphore_try(:first, 'fed semaphore');
SELECT atomix.semaphore_resize('fed semaphore', 2);
SELECT count(*) FROM atomix.watch('fed semaphore');
SELECT granted FROM atomix.semaphore_acquire(:third, 'fed semaphore', 2);
SELECT atomix.semaphore_release(:first, 'fed semaphore');
SELECT * FROM pg_temp.claims('fed semaphore');

SELECT is_leader FROM atomix.election_enter(:first, 'fed election', 'a');
SELECT count(*) FROM atomix.watch('fed election');
SELECT is_leader FROM atomix.election_enter(:third, 'fed election', 'b');
SELECT count(*) FROM (SELECT atomix.election_anoint('fed election', 'b')) AS a;
SELECT count(*) FROM (SELECT atomix.election_withdraw(:third, 'fed election')) AS w;
SELECT * FROM pg_temp.claims('fed election');
SELECT atomix.close_session(:first), atomix.close_session(:third);

--
-- Wrong positions
--
SELECT test.outcome('SELECT * FROM atomix.watch(''fed counter'', -1)');
SELECT left(test.outcome('SELECT * FROM atomix.watch(''fed counter'', 0)'), 5) AS too_old;
SELECT test.outcome('SELECT * FROM atomix.watch(''fed counter'', 9223372036854775807)');
SELECT test.outcome('SELECT * FROM atomix.watch(''fed counter'', 1, max_rows => -1)');
SELECT test.outcome('SELECT * FROM atomix.watch(''fed counter'', 1, max_rows => NULL)');
SELECT test.outcome('SELECT * FROM atomix.watch(NULL)');
SELECT test.outcome('SELECT * FROM atomix.watch(''fed counter'', namespace => NULL)');
SELECT test.outcome('SELECT * FROM atomix.watch('''')');
SELECT test.outcome('SELECT * FROM atomix.watch(repeat(''x'', 513))');
SELECT test.outcome('SELECT * FROM atomix.watch(''absent'')');
SELECT test.outcome('SELECT * FROM atomix.watch(''fed counter'', namespace => ''elsewhere'')');
SELECT test.outcome('SELECT * FROM atomix.listen_watch(''absent'')');
SELECT test.outcome('SELECT * FROM atomix.listen_watch(NULL)');
SELECT test.outcome('SELECT * FROM atomix.listen_watch(''fed counter'', NULL)');
SELECT name FROM atomix.services WHERE name = 'absent';
SELECT test.outcome('SELECT * FROM atomix.session_events(-1)');
SELECT test.outcome('SELECT * FROM atomix.session_events(NULL)');
SELECT test.outcome('SELECT * FROM atomix.session_events(0, -1)');
SELECT test.outcome('SELECT * FROM atomix.session_events(0, NULL)');
SELECT test.outcome('SELECT * FROM atomix.partition_events(NULL)');
SELECT test.outcome('SELECT * FROM atomix.partition_events(1, NULL)');
SELECT test.outcome('SELECT * FROM atomix.partition_events(1, -1)');
SELECT test.outcome('SELECT * FROM atomix.partition_events(2)');
SELECT test.outcome('SELECT * FROM atomix.partition_watch(NULL)');
SELECT test.outcome('SELECT * FROM atomix.partition_watch(''\x0802'')');
SELECT test.outcome('SELECT * FROM atomix.partition_watch(''\xff'')');
SELECT count(*) FROM atomix.partition_watch('');

--
-- A read-only transaction reads what somebody has watched
--
SELECT atomix.counter_set('unwatched', 1);
BEGIN READ ONLY;
SELECT count(*) FROM atomix.watch('fed counter');
SAVEPOINT s;
SELECT atomix.watch('unwatched');
ROLLBACK TO s;
SELECT atomix.listen_watch('fed counter');
ROLLBACK TO s;
SELECT count(*) > 0 AS terms FROM atomix.partition_events(1);
SELECT count(*) >= 0 AS sessions FROM atomix.session_events();
COMMIT;

--
-- Rights: whoever may use the schema may watch, nobody reads the table
--
CREATE ROLE regress_watcher;
GRANT USAGE ON SCHEMA atomix TO regress_watcher;
SET ROLE regress_watcher;
SELECT count(*) FROM atomix.watch('fed counter');
SELECT count(*) FROM atomix.watch('unwatched');
BEGIN;
SELECT revision > 0 AS listens FROM atomix.listen_watch('fed map');
UNLISTEN *;
COMMIT;
SELECT count(*) FROM atomix.session_events();
SELECT count(*) FROM atomix.event;
RESET ROLE;
REVOKE USAGE ON SCHEMA atomix FROM regress_watcher;
DROP ROLE regress_watcher;

-- Deleted, it takes its events along.
SELECT count(*) FROM atomix.delete_service('fed map');
SELECT count(*) FROM (VALUES ('fed counter'), ('fed lock'), ('fed semaphore'), ('fed election'), ('unwatched')) AS s (name)
  WHERE atomix.delete_service(name);
SELECT count(*) FROM atomix.event;
