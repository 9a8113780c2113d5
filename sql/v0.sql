--
-- Proves what the functions of the first generation answer to bytes made by
-- hand: outcomes are a status in the header, what does not decode is an error
-- and nothing else, they are a part of the caller's transaction, and another
-- role's sessions and streams are unknown.
--

-- A header: session, number, name, streams as they are in the bytes.
CREATE FUNCTION pg_temp.header(session numeric = NULL, number numeric = NULL, name text = NULL,
  streams bytea = NULL, partition numeric = NULL, index numeric = NULL, namespace text = NULL)
RETURNS bytea LANGUAGE sql AS $$
  SELECT CASE WHEN name IS NULL AND namespace IS NULL THEN '' ELSE test.bytes(1,
      test.bytes(1, convert_to(name, 'UTF8')) || test.bytes(2, convert_to(namespace, 'UTF8'))) END ||
    test.number(2, session) || test.number(3, number) || test.number(4, index) ||
    coalesce(streams, '') || test.number(6, partition)
$$;
CREATE FUNCTION pg_temp.stream(id numeric, response numeric = NULL) RETURNS bytea LANGUAGE sql AS $$
  SELECT test.bytes(5, test.number(1, id) || test.number(2, response))
$$;
-- What is in a response's header.
CREATE FUNCTION pg_temp.read(header bytea, OUT session_id numeric, OUT stream numeric, OUT response numeric,
  OUT index numeric, OUT status numeric, OUT type numeric, OUT message text)
LANGUAGE sql AS $$
  SELECT max(f.number) FILTER (WHERE field = 1), coalesce(max(f.number) FILTER (WHERE field = 2), 0),
    coalesce(max(f.number) FILTER (WHERE field = 3), 0), max(f.number) FILTER (WHERE field = 4),
    coalesce(max(f.number) FILTER (WHERE field = 6), 0), coalesce(max(f.number) FILTER (WHERE field = 7), 0),
    max(convert_from(f.bytes, 'UTF8')) FILTER (WHERE field = 8)
  FROM test.fields(header) f
$$;
-- Of a response, which has nothing but a header.
CREATE FUNCTION pg_temp.answer(response bytea, OUT session_id numeric, OUT index numeric, OUT status numeric,
  OUT message text)
LANGUAGE sql AS $$
  SELECT r.session_id, r.index, r.status, r.message FROM test.fields(response) f, pg_temp.read(f.bytes) r
$$;

SELECT pg_temp.header(5, 7, 'a'), pg_temp.header(streams => pg_temp.stream(3, 4), partition => 1);

--
-- Sessions
--
SELECT session_id AS id, index = session_id AS index_is_id, status, message
  FROM pg_temp.answer(atomix.session_open_session(test.bytes(2, test.number(1, 480)))) \gset
\echo :index_is_id :status :message
SELECT timeout, state, name, kind FROM atomix.sessions WHERE session_id = :id;
SELECT what, status, message FROM (VALUES
    (1, 'no bytes', ''::bytea),
    (2, 'an empty header', '\x0a00'),
    (3, 'partition 2', test.bytes(1, pg_temp.header(partition => 2))),
    (4, 'partition -1', test.bytes(1, pg_temp.header(partition => 18446744073709551615))),
    (5, 'no time', '\x1200'),
    (6, 'too long', test.bytes(2, test.number(1, 86401))),
    (7, 'a negative time', test.bytes(2, test.number(1, 18446744073709551615))),
    (8, 'an index of the future', test.bytes(1, pg_temp.header(index => 9000000000000000))),
    (9, 'above bigint', test.bytes(1, pg_temp.header(index => 9223372036854775808))),
    (10, 'also if it is not used', test.bytes(1, pg_temp.header(number => 9223372036854775808))),
    (11, 'or listed', test.bytes(1, pg_temp.header(streams => pg_temp.stream(9223372036854775808)))),
    (12, 'a namespace only', test.bytes(1, pg_temp.header(namespace => 'n'))),
    (13, 'a field from the future', test.bytes(1, test.number(99, 1)))
  ) AS v (n, what, request), pg_temp.answer(atomix.session_open_session(request)) ORDER BY n;

SELECT what, k.status, replace(k.message, :'id', '<id>') AS keep_alive, c.status, replace(c.message, :'id', '<id>') AS close
  FROM (VALUES (1, 'no session', 0), (2, 'unknown', 7), (3, 'above bigint', 9223372036854775808)) AS v (n, what, session),
    pg_temp.answer(atomix.session_keep_alive(test.bytes(1, pg_temp.header(session)))) AS k,
    pg_temp.answer(atomix.session_close_session(test.bytes(1, pg_temp.header(session)))) AS c ORDER BY n;

-- An answer that changed nothing draws no index.
SELECT last_value AS before FROM atomix.index_seq \gset
SELECT status, index = :before AS newest FROM pg_temp.answer(atomix.session_keep_alive(test.bytes(1, pg_temp.header(:id))));
SELECT last_value = :before AS unchanged FROM atomix.index_seq;

--
-- A part of the caller's transaction
--
BEGIN;
SELECT status, response, payload FROM atomix.session_command(pg_temp.header(:id, 1, 'v0 c'), '\x22020805', 'counter') AS c, pg_temp.read(c.header);
SELECT atomix.counter_get('v0 c');
ROLLBACK;
SELECT count(*) FROM atomix.services WHERE name = 'v0 c';
SELECT status, response, payload FROM atomix.session_command(pg_temp.header(:id, 1, 'v0 c'), '\x22020805', service_type => 'counter') AS c, pg_temp.read(c.header);
SELECT atomix.counter_get('v0 c');
BEGIN;
SELECT status FROM pg_temp.answer(atomix.session_close_session(test.bytes(1, pg_temp.header(:id, name => 'v0 c')) || test.number(2, 1)));
SELECT atomix.counter_get('v0 c');
ROLLBACK;
SELECT atomix.counter_get('v0 c');

-- Who reads only may ask.
BEGIN READ ONLY;
SELECT status, payload FROM atomix.session_command(pg_temp.header(:id, 1, 'v0 c'), '\x1a00') AS c, pg_temp.read(c.header);
SELECT test.outcome(format('SELECT atomix.session_command(%L, %L)', pg_temp.header(:id, 2, 'v0 c'), '\x22020805'::bytea));
ROLLBACK;

--
-- Errors
--
SELECT function, test.outcome(format('SELECT atomix.%I(%s)', function, arguments)) FROM (VALUES
    (1, 'session_open_session', 'NULL'), (2, 'session_keep_alive', 'NULL'), (3, 'session_close_session', 'NULL'),
    (4, 'session_command', 'NULL, '''''), (5, 'session_command', ''''', NULL'), (6, 'session_fetch', 'NULL'),
    (7, 'session_fetch', ''''', NULL'), (8, 'session_fetch', ''''', -1'),
    (9, 'session_open_session', '''\x0a'''), (10, 'session_keep_alive', '''\x0a0210'''),
    (11, 'session_close_session', '''\x12'''), (12, 'session_command', '''\x0a01ff'', '''''),
    (13, 'session_fetch', '''\x2a01''')
  ) AS v (n, function, arguments) ORDER BY n;
SELECT test.outcome(format('SELECT atomix.session_command(%L, %L)', pg_temp.header(:id, 2, 'v0 c'), '\x2202'::bytea));
SELECT test.outcome(format('SELECT atomix.session_command(%L, %L)', pg_temp.header(:id, 2, repeat('n', 513)), '\x22020805'::bytea));
-- Who has had more messages than there can be gets none.
SELECT count(*) FROM atomix.session_fetch(pg_temp.header(:id, streams => pg_temp.stream(1, 9223372036854775807)));
-- Of a request none is left behind.
SELECT count(*) FROM atomix.command WHERE session_id = :id;

--
-- Another role
--
CREATE ROLE regress_atomix_v0;
GRANT USAGE ON SCHEMA atomix TO regress_atomix_v0;
SELECT pg_temp.header(:id) AS own, test.bytes(1, pg_temp.header(:id)) AS request,
  pg_temp.header(:id, 2, 'v0 c') AS command \gset
SET ROLE regress_atomix_v0;
SELECT atomix.session_keep_alive(:'request') AS keep_alive, atomix.session_close_session(:'request') AS close,
  (atomix.session_command(:'command', '\x22020805')).header AS command,
  (SELECT string_agg(encode(header, 'hex'), ' ') FROM atomix.session_fetch(:'own')) AS fetch \gset
RESET ROLE;
SELECT status, replace(message, :'id', '<id>') FROM (VALUES
    (1, :'keep_alive'::bytea), (2, :'close')) AS v (n, response), pg_temp.answer(response) ORDER BY n;
SELECT status, replace(message, :'id', '<id>') FROM (VALUES
    (1, :'command'::bytea), (2, decode(:'fetch', 'hex'))) AS v (n, header), pg_temp.read(header) ORDER BY n;
REVOKE ALL ON SCHEMA atomix FROM regress_atomix_v0;
DROP ROLE regress_atomix_v0;

SELECT status FROM pg_temp.answer(atomix.session_close_session(test.bytes(1, pg_temp.header(:id, name => 'v0 c')) || test.number(2, 1)));
SELECT count(*) FROM atomix.services WHERE name = 'v0 c';
