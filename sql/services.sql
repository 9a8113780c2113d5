--
-- Proves how sessions open, use and close services, that a service outlives
-- them until it is deleted, how a session with declared services opens, and
-- what commands and queries of a service's own encoding answer.
--
SELECT atomix.open_session('1 hour', 'one') AS one \gset
SELECT atomix.open_session('1 hour', 'two') AS two \gset

--
-- Opening is creating, and may be repeated
--
SELECT atomix.create_service(:one, 'counter', 'c') AS c \gset
SELECT atomix.create_service(:one, 'counter', 'c') = :c AS same,
    atomix.create_service(:two, 'counter', 'c') = :c AS shared,
    atomix.create_service(session_id => :two, type => 'map', name => 'm', namespace => 'n') AS m \gset
SELECT :'same', :'shared', :m > :c AS ids_rise;
SELECT type, namespace, name, sessions, entries FROM atomix.services ORDER BY service_id;
SELECT s.name AS session, a.type, a.namespace, a.name, a.deleted
  FROM atomix.attachments a JOIN atomix.sessions s USING (session_id) ORDER BY a.session_id, a.service_id;
-- What came into being with its first use is opened just so.
SELECT atomix.counter_set('first used', 5);
SELECT atomix.create_service(:one, 'counter', 'first used') AS used \gset
SELECT output FROM atomix.query(:one, :used, '\x1a00');
SELECT atomix.close_service(:one, :used), atomix.close_service(:one, :used);
SELECT atomix.counter_get('first used'), atomix.delete_service('first used');
-- It is a part of its transaction.
BEGIN;
SELECT atomix.create_service(:one, 'map', 'undone') AS undone \gset
SELECT status FROM atomix.command(:one, :undone, '\x1200');
ROLLBACK;
SELECT count(*) FROM atomix.services WHERE name = 'undone';
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x1200'')', :one, :undone), :one, :undone);

SELECT statement, test.outcome(format(statement, :one), :one, :c) FROM (VALUES
  (1, 'SELECT atomix.create_service(NULL, ''map'', ''x'')'),
  (2, 'SELECT atomix.create_service(%s, NULL, ''x'')'),
  (3, 'SELECT atomix.create_service(%s, ''map'', NULL)'),
  (4, 'SELECT atomix.create_service(%s, ''map'', ''x'', NULL)'),
  (5, 'SELECT atomix.create_service(%s, ''queue'', ''x'')'),
  (6, 'SELECT atomix.create_service(%s, ''Map'', ''x'')'),
  (7, 'SELECT atomix.create_service(%s, '''', ''x'')'),
  (8, 'SELECT atomix.create_service(%s, ''map'', '''')'),
  (9, 'SELECT atomix.create_service(%s, ''map'', repeat(''x'', 513))'),
  (10, 'SELECT atomix.create_service(%s, ''map'', ''x'', repeat(''x'', 513))'),
  (11, 'SELECT atomix.create_service(%s, ''map'', ''c'')'),
  (12, 'SELECT atomix.create_service(%s, ''counter'', ''m'', ''n'')'),
  (13, 'SELECT atomix.create_service(0, ''map'', ''x'')'),
  (14, 'SELECT atomix.create_service(-1, ''map'', ''x'')'),
  (15, 'SELECT atomix.close_service(NULL, 1)'),
  (16, 'SELECT atomix.close_service(%s, NULL)'),
  (17, 'SELECT atomix.close_service(%s, 0)'),
  (18, 'SELECT atomix.close_service(%s, -1)'),
  (19, 'SELECT atomix.close_service(%s, 9223372036854775807)'),
  (20, 'SELECT atomix.close_service(77, 1)'),
  (21, 'SELECT atomix.delete_service(NULL)'),
  (22, 'SELECT atomix.delete_service(''x'', NULL)'),
  (23, 'SELECT atomix.delete_service('''')'),
  (24, 'SELECT atomix.delete_service(repeat(''x'', 513))'),
  (25, 'SELECT atomix.delete_service(''x'', repeat(''x'', 513))'),
  (26, 'SELECT atomix.delete_service(''x'')'),
  (27, 'SELECT atomix.delete_service(''c'', ''n'')')
) AS v (n, statement) ORDER BY n;
SELECT count(*) FROM atomix.services WHERE name = 'x';

--
-- Commands and queries.  A counter's input: set 0a, compare_and_set 12, get
-- 1a, increment 22, decrement 2a.
--
SELECT what, r.status, r.output, r.replayed, r.index > :m AS has_index FROM (VALUES
    (1, 'set 5', '\x0a020805'::bytea), (2, 'compare 5, set 7', '\x120408051007'), (3, 'compare 5, set 7', '\x120408051007'),
    (4, 'get', '\x1a00'), (5, 'increment 3', '\x22020803'), (6, 'decrement 20', '\x2a020814'),
    (7, 'increment 2^63 - 1', '\x220a08ffffffffffffffff7f'), (8, 'again', '\x220a08ffffffffffffffff7f'),
    (9, 'decrement -2^63', '\x2a0b0880808080808080808001'), (10, 'set', '\x0a00'), (11, 'decrement -2^63', '\x2a0b0880808080808080808001'),
    (12, 'nothing', ''), (13, 'unknown operation', '\x3200'), (14, 'increment', '\x2200')
  ) AS v (n, what, payload), atomix.command(:one, :c, payload) AS r ORDER BY n;
SELECT payload, test.outcome(format('SELECT atomix.command(%s, %s, %L)', :one, :c, payload)) FROM (VALUES
  (1, '\xff'::bytea), (2, '\x0a'), (3, '\x0a0508'), (4, '\x08'), (5, '\x0a02')) AS v (n, payload) ORDER BY n;
SELECT what, test.outcome(format('SELECT status || coalesce('' '' || output::text, '''') FROM atomix.query(%s, %s, %L)', :one, :c, payload), :one, :c)
  FROM (VALUES (1, 'get', '\x1a00'), (2, 'set', '\x0a020805'), (3, 'nothing', ''), (4, 'unknown operation', '\x3200'),
    (5, 'malformed', '\xff')) AS v (n, what, payload) ORDER BY n;
-- A map's input
CREATE FUNCTION pg_temp.map_input(operation text, key text = NULL, value text = NULL, index numeric = NULL,
  ttl numeric = NULL) RETURNS bytea LANGUAGE sql AS $$
  SELECT test.bytes(array_position(ARRAY['size', 'put', 'insert', 'update', 'get', 'remove', 'clear', 'events', 'entries'], operation),
    test.bytes(1, convert_to(key, 'UTF8')) ||
    CASE WHEN value IS NOT NULL OR ttl IS NOT NULL
      THEN test.bytes(2, test.bytes(1, convert_to(value, 'UTF8')) ||
        CASE WHEN ttl IS NULL THEN '' ELSE test.bytes(2, test.number(1, ttl)) END)
      ELSE '' END ||
    CASE operation WHEN 'remove' THEN test.number(2, index) ELSE test.number(3, index) END)
$$;
-- And its output: the entry's key, value, and whether it has a time to live;
-- or the size.
CREATE FUNCTION pg_temp.map_output(output bytea, OUT operation int, OUT entry text) LANGUAGE sql AS $$
  SELECT o.field, coalesce(
    (SELECT (SELECT convert_from(k.bytes, 'UTF8') FROM test.fields(e.bytes) AS k WHERE k.field = 1) || ' = ' ||
        coalesce((SELECT convert_from(b.bytes, 'UTF8') FROM test.fields(e.bytes) AS v, test.fields(v.bytes) AS b
          WHERE v.field = 2 AND b.field = 1), '') ||
        CASE WHEN EXISTS (SELECT FROM test.fields(e.bytes) AS v, test.fields(v.bytes) AS b
          WHERE v.field = 2 AND b.field = 2) THEN ' for a while' ELSE '' END
      FROM test.fields(o.bytes) AS e WHERE e.field = 1 AND e.bytes IS NOT NULL),
    (SELECT e.number::text FROM test.fields(o.bytes) AS e WHERE e.field = 1))
  FROM test.fields(output) AS o
$$;
SELECT i.operation, key, value, i.index, ttl, r.status, o.operation AS answers, o.entry FROM (VALUES
    (1, 'size', NULL, NULL, NULL, NULL), (2, 'put', 'k', 'v', NULL, NULL), (3, 'insert', 'k', 'v', NULL, NULL),
    (4, 'insert', 'l', 'v', NULL, 60), (5, 'update', 'k', 'w', NULL, NULL), (6, 'update', 'm', 'w', NULL, NULL),
    (7, 'get', 'k', NULL, NULL, NULL), (8, 'get', 'l', NULL, NULL, NULL), (9, 'get', 'm', NULL, NULL, NULL),
    (10, 'put', 'k', 'x', 1, NULL), (11, 'update', 'k', 'x', 1, NULL), (12, 'put', 'm', 'x', 1, NULL),
    (13, 'update', 'm', 'x', 1, NULL), (14, 'put', 'k', 'x', 18446744073709551615, NULL),
    (15, 'put', 'k', 'x', NULL, 18446744073709551615), (16, 'put', 'k', 'x', NULL, 9223372036854775807),
    (17, 'insert', 'm', '', NULL, 0), (18, 'get', 'm', NULL, NULL, NULL),
    (19, 'remove', 'k', NULL, 1, NULL), (20, 'remove', 'm', NULL, NULL, NULL), (21, 'remove', 'k', NULL, NULL, NULL),
    (22, 'remove', 'k', NULL, NULL, NULL), (23, 'size', NULL, NULL, NULL, NULL), (24, 'put', NULL, NULL, NULL, NULL),
    (25, 'get', NULL, NULL, NULL, NULL), (26, 'clear', NULL, NULL, NULL, NULL), (27, 'size', NULL, NULL, NULL, NULL),
    (28, 'events', NULL, NULL, NULL, NULL), (29, 'entries', NULL, NULL, NULL, NULL)
  ) AS i (n, operation, key, value, index, ttl),
  atomix.command(:two, :m, pg_temp.map_input(i.operation, key, value, i.index, ttl)) AS r
  LEFT JOIN LATERAL pg_temp.map_output(r.output) AS o ON true ORDER BY n;
SELECT test.outcome(format('SELECT atomix.command(%s, %s, %L)', :two, :m, pg_temp.map_input('put', repeat('k', 1025), 'v')));
-- What came over the wire and what comes by SQL are one map.
SELECT status FROM atomix.command(:two, :m, pg_temp.map_input('put', 'k', 'é'));
SELECT atomix.map_get_text('m', 'k', 'n'), atomix.map_insert_text('m', 'l', 'by SQL', namespace => 'n') IS NOT NULL AS inserted;
SELECT status, o.entry FROM atomix.query(:two, :m, pg_temp.map_input('get', 'l')), pg_temp.map_output(output) AS o;
SELECT index = (SELECT index FROM atomix.map_get('m', 'k', 'n')) AS same_index
  FROM atomix.command(:two, :m, pg_temp.map_input('update', 'k', 'w'));

--
-- A session uses what it has open
--
SELECT statement, test.outcome(format(statement, :one, :m), :one, :m) FROM (VALUES
  (1, 'SELECT atomix.command(%s, %s, ''\x0a00'')'),
  (2, 'SELECT atomix.command(%s, %s, ''\x0a00'', 1)'),
  (3, 'SELECT atomix.commands(%s, %s, ''{"\\x0a00"}'', 0)'),
  (4, 'SELECT atomix.commands(%s, %s, ''{"\\x0a00"}'', 1)'),
  (5, 'SELECT atomix.query(%s, %s, ''\x0a00'')'),
  (6, 'SELECT atomix.command(%s, 0, ''\x0a00'')'),
  (7, 'SELECT atomix.command(%s, -1, ''\x0a00'')'),
  (8, 'SELECT atomix.command(%s, 77, ''\x0a00'')'),
  (9, 'SELECT atomix.query(%s, 77, ''\x0a00'')'),
  (10, 'SELECT atomix.command(77, %2$s, ''\x0a00'')'),
  (11, 'SELECT atomix.query(77, %2$s, ''\x0a00'')'),
  (12, 'SELECT atomix.command(NULL, 1, '''')'), (13, 'SELECT atomix.command(1, NULL, '''')'),
  (14, 'SELECT atomix.command(1, 1, NULL)'), (15, 'SELECT atomix.command(1, 1, '''', NULL)'),
  (16, 'SELECT atomix.command(1, 1, '''', -1)'),
  (17, 'SELECT atomix.commands(NULL, 1, ''{}'', 0)'), (18, 'SELECT atomix.commands(1, NULL, ''{}'', 0)'),
  (19, 'SELECT atomix.commands(1, 1, NULL, 0)'), (20, 'SELECT atomix.commands(1, 1, ''{}'', NULL)'),
  (21, 'SELECT atomix.commands(1, 1, ''{}'', -1)'), (22, 'SELECT atomix.commands(1, 1, ''{NULL}'', 0)'),
  (23, 'SELECT atomix.commands(1, 1, ''{"",NULL}'', 1)'), (24, 'SELECT atomix.commands(1, 1, ''{"",""}'', 9223372036854775807)'),
  (25, 'SELECT atomix.query(NULL, 1, '''')'), (26, 'SELECT atomix.query(1, NULL, '''')'),
  (27, 'SELECT atomix.query(1, 1, NULL)'), (28, 'SELECT atomix.query(1, 1, '''', NULL)'), (29, 'SELECT atomix.query(1, 1, '''', -1)')
) AS v (n, statement) ORDER BY n;
-- Refused like that, the number is free.
SELECT test.outcome(format('SELECT state FROM atomix.outcome(%s, 1)', :one));
-- A command renews its session, a query does not.
SELECT atomix.open_session('8 min') AS id \gset
SELECT atomix.create_service(:id, 'counter', 'c') = :c AS opened;
SELECT atomix._advance_clock('6 min');
SELECT status FROM atomix.query(:id, :c, '\x1a00');
SELECT test.about(deadline - clock_timestamp(), '3 min') AS min_3 FROM atomix.sessions WHERE session_id = :id;
SELECT status FROM atomix.command(:id, :c, '\x22020801');
SELECT test.about(deadline - clock_timestamp(), '9 min') AS min_9 FROM atomix.sessions WHERE session_id = :id;
SELECT atomix._advance_clock('6 min');
SELECT atomix.counter_increment('c', 1, '', :id) > 0 AS incremented;
SELECT test.about(deadline - clock_timestamp(), '9 min') AS min_9 FROM atomix.sessions WHERE session_id = :id;
SELECT atomix._advance_clock('10 min');
SELECT test.state(:id);
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x1a00'')', :id, :c), :id),
    test.outcome(format('SELECT atomix.query(%s, %s, ''\x1a00'')', :id, :c), :id),
    test.outcome(format('SELECT atomix.create_service(%s, ''counter'', ''c'')', :id), :id),
    test.outcome(format('SELECT atomix.close_service(%s, %s)', :id, :c), :id),
    test.outcome(format('SELECT atomix.counter_set(''c'', 0, '''', %s)', :id), :id);
-- Its end detached it.
SELECT sessions FROM atomix.services WHERE service_id = :c;
SELECT count(*) FROM atomix.attachments WHERE session_id = :id;
SELECT count(*) FROM atomix.attachment WHERE session_id = :id;

--
-- Batches: one that is refused does not stop the others
--
SELECT atomix.counter_set('c', 0);
SELECT count(*) FROM atomix.commands(:one, :c, '{}', 0);
SELECT count(*) FROM atomix.commands(:one, :c, '{}', 1);
SELECT * FROM atomix.commands(:one, :c,
  ARRAY['\x22020801', '\x120408051007', '\x', '\x220a08ffffffffffffffff7f', '\x22020801', '\x1a00']::bytea[], 0);
SELECT * FROM atomix.commands(:one, :c,
  ARRAY['\x22020801', '\x120408051007', '\x', '\x220a08ffffffffffffffff7f', '\x22020801', '\x1a00']::bytea[], 1);
SELECT atomix.counter_get('c');
-- One that does not decode stops all.
SELECT left(test.outcome(format('SELECT atomix.commands(%s, %s, ''{"\\x22020801","\\xff"}'', 0)', :one, :c)), 40);
SELECT atomix.counter_get('c');
-- Each payload of one batch sees what those before it did.
SELECT n, r.status FROM atomix.commands(:two, :m, ARRAY[pg_temp.map_input('insert', 'b', '1'),
  pg_temp.map_input('insert', 'b', '2'), pg_temp.map_input('remove', 'b'), pg_temp.map_input('remove', 'b'),
  pg_temp.map_input('insert', 'b', '3'), pg_temp.map_input('clear'), pg_temp.map_input('insert', 'b', '4')], 0)
  WITH ORDINALITY AS r (number, status, output, replayed, n);
SELECT key, value FROM atomix.map_entries_text('m', namespace => 'n');
-- Of any size
SELECT size, (SELECT count(*) FILTER (WHERE status = 'OK' AND NOT replayed) FROM atomix.commands(:one, :c, array_fill('\x22020801'::bytea, ARRAY[size]), 0)) AS done,
    (SELECT count(*) FILTER (WHERE status = 'OK' AND NOT replayed) FROM atomix.commands(:one, :c, array_fill('\x22020801'::bytea, ARRAY[size]), first)) AS numbered,
    (SELECT count(*) FILTER (WHERE status = 'OK' AND replayed) FROM atomix.commands(:one, :c, array_fill('\x22020801'::bytea, ARRAY[size]), first)) AS replayed,
    atomix.counter_get('c')
  FROM (VALUES (1, 1001), (63, 1101), (64, 1201), (65, 1301), (1000, 2001)) AS v (size, first) ORDER BY size;

--
-- Deleting
--
SELECT atomix.create_service(:one, 'map', 'gone', 'n') AS gone \gset
SELECT atomix.create_service(:two, 'map', 'gone', 'n') = :gone AS shared;
SELECT status FROM atomix.command(:one, :gone, pg_temp.map_input('put', 'k', 'v'), 101);
SELECT atomix.delete_service('gone', 'n'), atomix.delete_service('gone', 'n');
SELECT count(*) FROM atomix.services WHERE service_id = :gone;
SELECT count(*) FROM atomix.entry WHERE service_id = :gone;
SELECT session_id = :one AS one, type, namespace, name, deleted FROM atomix.attachments WHERE service_id = :gone ORDER BY session_id;
SELECT what, test.outcome(format(statement, :one, :gone), :one, :gone) FROM (VALUES
  (1, 'command', 'SELECT atomix.command(%s, %s, ''\x0a00'')'),
  (2, 'numbered', 'SELECT atomix.command(%s, %s, ''\x0a00'', 102)'),
  (3, 'commands', 'SELECT atomix.commands(%s, %s, ''{"\\x0a00"}'', 0)'),
  (4, 'query', 'SELECT atomix.query(%s, %s, ''\x0a00'')'),
  (5, 'close', 'SELECT atomix.close_service(%s, %s)'),
  (6, 'nothing to be done with it', 'SELECT atomix.command(%s, %s, ''\xff'')'),
  (7, 'outcome', 'SELECT state || '' '' || status FROM atomix.outcome(%s, 101)')
) AS v (n, what, statement) ORDER BY n;
-- What was answered is answered again.
SELECT status, replayed FROM atomix.command(:one, :gone, pg_temp.map_input('put', 'k', 'v'), 101);
-- Under its name there may be another one, of any type.
SELECT atomix.create_service(:one, 'counter', 'gone', 'n') > :gone AS another;
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x0a00'')', :one, :gone), :one, :gone);
SELECT type, deleted FROM atomix.attachments WHERE session_id = :one AND (service_id = :gone OR name = 'gone') ORDER BY service_id;
-- Deleting that is undone
BEGIN;
SELECT atomix.delete_service('m', 'n');
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x0a00'')', :two, :m), :two, :m);
ROLLBACK;
SELECT status FROM atomix.command(:two, :m, '\x0a00');
-- Read-only
SET default_transaction_read_only = on;
SELECT statement, test.outcome(format(statement, :two, :m), :two, :m) FROM (VALUES
  (1, 'SELECT atomix.create_service(%s, ''map'', ''x'')'), (2, 'SELECT atomix.close_service(%s, %s)'),
  (3, 'SELECT atomix.delete_service(''m'', ''n'')'), (4, 'SELECT atomix.command(%s, %s, ''\x0a00'')'),
  (5, 'SELECT atomix.commands(%s, %s, ''{}'', 0)'), (6, 'SELECT status FROM atomix.query(%s, %s, ''\x0a00'')'),
  (7, 'SELECT atomix.once(%s, 1)'), (8, 'SELECT atomix.ack(%s, 1)'), (9, 'SELECT state FROM atomix.outcome(%s, 5)'),
  (10, 'SELECT count(*) > 0 FROM atomix.services'), (11, 'SELECT count(*) > 0 FROM atomix.attachments')
) AS v (n, statement) ORDER BY n;
RESET default_transaction_read_only;

--
-- A session that declares what it is going to open is opening until it has
--
SELECT atomix.open_session('1 hour', 'declaring', services => '[
  {"type": "map", "name": "d", "namespace": "n"}, {"type": "counter", "name": "d"},
  {"type": "counter", "name": "d"}, {"type": "map", "name": "d2", "namespace": "", "more": [1]}]') AS d \gset
SELECT state FROM atomix.sessions WHERE session_id = :d;
-- Declared is not created.
SELECT count(*) FROM atomix.services WHERE name LIKE 'd%';
SELECT atomix.keep_alive(:d);
SELECT state, time_left FROM atomix.keep_alive_many(ARRAY[:d]);
SELECT atomix.create_service(:d, 'counter', 'd') AS dc \gset
SELECT state FROM atomix.sessions WHERE session_id = :d;
SELECT status FROM atomix.command(:d, :dc, '\x22020801', 1);
-- Others than those declared do not count, nor does what was closed again.
SELECT atomix.create_service(:d, 'map', 'other') > 0 AS created, atomix.create_service(:d, 'counter', 'd') = :dc AS repeated;
SELECT state FROM atomix.sessions WHERE session_id = :d;
SELECT atomix.create_service(:d, 'map', 'd2') > 0 AS created;
SELECT atomix.close_service(:d, :dc);
SELECT atomix.create_service(:d, 'map', 'd', 'n') > 0 AS created;
SELECT state FROM atomix.sessions WHERE session_id = :d;
BEGIN;
SELECT atomix.create_service(:d, 'counter', 'd') = :dc AS created;
SELECT state FROM atomix.sessions WHERE session_id = :d;
ROLLBACK;
SELECT state FROM atomix.sessions WHERE session_id = :d;
SELECT atomix.create_service(:d, 'counter', 'd') = :dc AS created;
SELECT state FROM atomix.sessions WHERE session_id = :d;
-- Once opened it stays so.
SELECT atomix.close_service(:d, :dc);
SELECT state FROM atomix.sessions WHERE session_id = :d;
SELECT test.becomes_true(format('(SELECT version IS NOT NULL FROM atomix.session WHERE session_id = %s)', :d));
-- One that is opening can end as any other.
SELECT atomix.open_session('8 min', services => '[{"type": "map", "name": "never"}]') AS never \gset
SELECT atomix.open_session('8 min', services => '[{"type": "map", "name": "never"}]') AS silent \gset
SELECT atomix.close_session(:never);
SELECT test.state(:never);
SELECT atomix._advance_clock('10 min');
SELECT test.state(:silent);

--
-- Sessions end, services stay
--
SELECT atomix.close_session(:one), atomix.close_session(:two), atomix.close_session(:d);
SELECT count(*) FROM atomix.attachment;
SELECT type, namespace, name, sessions FROM atomix.services ORDER BY service_id;
SELECT test.outcome(format('SELECT atomix.command(%s, %s, ''\x1a00'')', :one, :c), :one),
    test.outcome(format('SELECT atomix.query(%s, %s, ''\x1a00'')', :one, :c), :one),
    test.outcome(format('SELECT atomix.create_service(%s, ''counter'', ''c'')', :one), :one),
    test.outcome(format('SELECT atomix.close_service(%s, %s)', :one, :c), :one);
SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services;
SELECT count(*) FROM atomix.services;
