--
-- Proves that call() is a call of the function that serves the method: by its
-- path in every spelling, with the same results, rights and errors, and in
-- the caller's transaction.
--
SELECT * FROM atomix.methods ORDER BY path;

-- One session, by paths only.
SELECT r.session_id AS id, r.status, r.has_output
  FROM atomix.call('/atomix.multiraft.v1.Partition/OpenSession', test.open_request(30)) AS c,
    test.read(c) AS r \gset
SELECT :status AS status, :'has_output' AS has_output, timeout, state FROM atomix.sessions WHERE session_id = :id;
SELECT status, message, has_output FROM atomix.call('atomix.multiraft.v1.Partition/KeepAlive', test.keep_alive_request(:id)) AS c, test.read(c);
SELECT status, message, has_output FROM atomix.call('/atomix.multiraft.v1.Partition/CloseSession', test.close_request(:id)) AS c, test.read(c);
SELECT state FROM atomix.sessions WHERE session_id = :id;
SELECT status, replace(message, :'id', 'ID') AS message, has_output
  FROM atomix.call('/atomix.multiraft.v1.Partition/KeepAlive', test.keep_alive_request(:id)) AS c, test.read(c);

-- A method that streams returns a set, also of none.
SELECT count(*), count(*) FILTER (WHERE c = w) AS same
  FROM atomix.call('/atomix.multiraft.v1.Partition/Watch', '\x0801') AS c, atomix.partition_watch('\x0801') AS w;
-- Wherever a set may stand.
SELECT atomix.call('/atomix.multiraft.v1.Partition/Watch', '') = atomix.partition_watch('') AS same;
SELECT count(*) FROM generate_series(1, 1000) AS n,
  LATERAL atomix.call('/atomix.multiraft.v1.Partition/' || CASE n % 2 WHEN 0 THEN 'Watch' ELSE 'KeepAlive' END,
    CASE n % 2 WHEN 0 THEN '\x0801'::bytea ELSE test.keep_alive_request(1) END) AS c;
SELECT count(*) FROM (SELECT atomix.call('/atomix.multiraft.v1.Partition/Watch', '') FROM generate_series(1, 3) LIMIT 2) AS c;

-- In the caller's transaction.
BEGIN;
SELECT r.session_id AS gone FROM atomix.call('/atomix.multiraft.v1.Partition/OpenSession', test.open_request(30)) AS c,
  test.read(c) AS r \gset
SELECT state FROM atomix.sessions WHERE session_id = :gone;
ROLLBACK;
SELECT count(*) FROM atomix.sessions WHERE session_id = :gone;

--
-- Every method answers no bytes as its function does, by either slash
--
CREATE FUNCTION pg_temp.shown(message text, bytes bytea) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace(regexp_replace(regexp_replace(atomix.message_to_json(message, bytes)::text,
    '"(leader|timestamp)": "[^"]*"', '"\1": "..."', 'g'), '\d{12,}', 'ID', 'g'),
    -- Those that other tests have left.
    '^{"sessions": \[.*\]}$', '{"sessions": ["..."]}')
$$;
CREATE FUNCTION pg_temp.answers(call text, path text, request bytea) RETURNS text LANGUAGE sql AS $$
  SELECT test.undone(format('SELECT string_agg(pg_temp.shown(%L, c), '' '') FROM atomix.%s(%s%L) AS c',
    response, CASE call WHEN '' THEN function ELSE 'call' END,
    CASE call WHEN '' THEN '' ELSE quote_literal(call) || ', ' END, answers.request))
  FROM atomix.methods m WHERE m.path = answers.path
$$;
SELECT path, pg_temp.answers(path, path, '') AS answer,
  pg_temp.answers(path, path, '') = pg_temp.answers('', path, '') AS as_function,
  pg_temp.answers(ltrim(path, '/'), path, '\xff') = pg_temp.answers('', path, '\xff') AS error_as_function
  FROM atomix.methods ORDER BY path;

-- A gateway in JSON knows no message either.
CREATE FUNCTION pg_temp.gateway(path text, document jsonb) RETURNS SETOF jsonb LANGUAGE sql AS $$
  SELECT atomix.message_to_json(m.response, c)
    FROM atomix.methods m, atomix.call(m.path, atomix.message_from_json(m.request, document)) AS c
    WHERE m.path = gateway.path
$$;
SELECT g #>> '{output,sessionId}' AS json FROM pg_temp.gateway('/atomix.multiraft.v1.Partition/OpenSession',
  '{"headers": {"partitionId": 1}, "input": {"timeout": "30s"}}') AS g \gset
SELECT g #>> '{headers,status}' AS status FROM pg_temp.gateway('/atomix.multiraft.v1.Partition/KeepAlive',
  jsonb_build_object('headers', '{"partitionId": 1}'::jsonb, 'input', jsonb_build_object('sessionId', :json))) AS g;
SELECT g #>> '{session,status,state}' AS state FROM pg_temp.gateway('/atomix.runtime.v1.SessionService/GetSession',
  jsonb_build_object('sessionId', jsonb_build_object('name', :'json'))) AS g;
SELECT g #>> '{header,sessionId}' = :'json' AS same, g #>> '{header,status}' AS status
  FROM pg_temp.gateway('/atomix.session.SessionService/CloseSession',
    jsonb_build_object('header', jsonb_build_object('sessionId', :'json'))) AS g;
SELECT test.state(:json);
SELECT test.outcome($q$SELECT pg_temp.gateway('/atomix.multiraft.v1.Partition/KeepAlive', '{"input": {"session": 1}}')$q$);

--
-- Errors
--
SELECT left(path, 50) AS path, left(test.outcome(format('SELECT atomix.call(%L, '''')', path)), 180) AS outcome FROM (VALUES
  (1, ''), (2, '/'), (3, 'KeepAlive'), (4, '/atomix.multiraft.v1.Partition/OpenSesion'),
  (5, '//atomix.multiraft.v1.Partition/OpenSession'), (6, '/atomix.multiraft.v1.Partition/OpenSession/'),
  (7, '/atomix.multiraft.v1.Partition/opensession'), (8, '/atomix.multiraft.v1.Partition/'),
  (9, '/atomix.multiraft.v1.Partition.OpenSession'), (10, 'partition_open_session'),
  (11, '/atomix.session.SessionServices/KeepAlive'), (12, repeat('x', 300))
) AS v (n, path) ORDER BY n;
SELECT statement, test.outcome('SELECT atomix.' || statement) FROM (VALUES
  (1, 'call(NULL, '''')'), (2, 'call(''/atomix.multiraft.v1.Partition/KeepAlive'', NULL)'), (3, 'call(''x'', NULL)'),
  (4, 'call(''/atomix.multiraft.v1.Partition/OpenSession'', ''\x0a'')'),
  (5, 'call(''/atomix.multiraft.v1.Partition/Watch'', ''\x0802'')')
) AS v (n, statement) ORDER BY n;
BEGIN READ ONLY;
SELECT test.outcome($$SELECT atomix.call('/atomix.multiraft.v1.Partition/OpenSession', '\x0a020801')$$);
ROLLBACK;

--
-- Rights: those of the function
--
CREATE ROLE regress_atomix_caller;
GRANT USAGE ON SCHEMA atomix TO regress_atomix_caller;
REVOKE EXECUTE ON FUNCTION atomix.partition_watch(bytea) FROM PUBLIC;
SET ROLE regress_atomix_caller;
SELECT test.outcome($$SELECT atomix.call('/atomix.multiraft.v1.Partition/Watch', '')$$);
SELECT test.outcome($$SELECT count(*) FROM atomix.call('/atomix.multiraft.v1.Partition/KeepAlive', '')$$);
SELECT count(*) > 0 AS shown FROM atomix.methods;
RESET ROLE;
GRANT EXECUTE ON FUNCTION atomix.partition_watch(bytea) TO PUBLIC;
SET ROLE regress_atomix_caller;
SELECT test.outcome($$SELECT count(*) FROM atomix.call('/atomix.multiraft.v1.Partition/Watch', '')$$);
-- The session is the caller's.
SELECT r.session_id AS own FROM atomix.call('/atomix.multiraft.v1.Partition/OpenSession', test.open_request(30)) AS c,
  test.read(c) AS r \gset
SELECT owner FROM atomix.sessions WHERE session_id = :own;
SELECT atomix.close_session(:own);
RESET ROLE;
REVOKE USAGE ON SCHEMA atomix FROM regress_atomix_caller;
SELECT test.becomes_true(format('NOT EXISTS (SELECT FROM atomix.sessions WHERE session_id = %s AND state <> %L)', :own, 'closed'));
DROP ROLE regress_atomix_caller;
