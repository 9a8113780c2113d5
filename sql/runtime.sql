--
-- Proves what the session service of the runtime shows: an object for each
-- service of a session, through all states, of the caller's roles only, and by
-- versions.
--

-- GetSession and ListSessions in JSON, without what differs from run to run.
CREATE FUNCTION pg_temp.shown(session jsonb) RETURNS jsonb LANGUAGE sql AS $$
  SELECT session #- '{meta,version}'
$$;
CREATE FUNCTION pg_temp.get(name text, service text = '') RETURNS jsonb LANGUAGE sql AS $$
  SELECT atomix.message_to_json('atomix.runtime.v1.GetSessionResponse', atomix.runtime_get_session(
    atomix.message_from_json('atomix.runtime.v1.GetSessionRequest',
      jsonb_build_object('sessionId', jsonb_build_object('name', name,
        'primitive', jsonb_build_object('id', service)))))) -> 'session'
$$;
CREATE FUNCTION pg_temp.list(kind text = '', after bigint = 0, watch boolean = false, max_wait interval = '0')
RETURNS SETOF jsonb LANGUAGE sql AS $$
  SELECT jsonb_array_elements(atomix.message_to_json('atomix.runtime.v1.ListSessionsResponse',
    atomix.runtime_list_sessions(atomix.message_from_json('atomix.runtime.v1.ListSessionsRequest',
      jsonb_build_object('type', kind, 'watch', watch)), after, max_wait)) -> 'sessions')
$$;
-- Name, service, kind and state of those whose name begins with rt.
CREATE VIEW pg_temp.rt AS
  SELECT s #>> '{meta,id,name}' AS name, s #>> '{meta,id,primitive,id}' AS service,
    s #>> '{spec,kind}' AS kind, s #>> '{status,state}' AS state, (s #>> '{meta,version}')::bigint AS version
  FROM pg_temp.list() AS s WHERE s #>> '{meta,id,name}' ~ '^rt';
CREATE FUNCTION pg_temp.numbered(id bigint) RETURNS boolean LANGUAGE sql AS $$
  SELECT test.becomes_true(format('(SELECT version IS NOT NULL FROM atomix.session WHERE session_id = %s)
    AND NOT EXISTS (SELECT FROM atomix.session_change WHERE session_id = %1$s)', id))
$$;

--
-- A session alone
--
SELECT atomix.open_session('8 min', 'rt one', 'worker', '{"zone": "a", "": "b", "é": ""}',
  '\x0a07742f7468696e671202ff00') AS one \gset
SELECT pg_temp.numbered(:one);
SELECT jsonb_pretty(pg_temp.shown(pg_temp.get('rt one')));
SELECT name, service, kind, state, version > 0 AS numbered FROM pg_temp.rt;
SELECT pg_temp.get('rt one') #>> '{meta,version}' = (SELECT version::text FROM atomix.session WHERE session_id = :one) AS same;
SELECT pg_temp.get('rt one', 'nothing') #> '{status}' AS never_opened;
SELECT test.outcome('SELECT atomix.open_session(config => ''\x00ff'')');

-- One without a name goes by its id.
SELECT atomix.open_session('8 min') AS unnamed \gset
SELECT (pg_temp.get(:'unnamed') #>> '{meta,id,name}')::bigint = :unnamed AS found,
  pg_temp.get(:'unnamed') -> 'spec' AS spec;
SELECT test.outcome(format('SELECT pg_temp.get(%L)', name), :unnamed) FROM unnest(ARRAY['', 'rt none', '7', '0' || :unnamed, '-1',
  '99999999999999999999']) WITH ORDINALITY AS n (name, i) ORDER BY i;
-- Not so one that has a name.
SELECT test.outcome(format('SELECT pg_temp.get(%L)', :one), :one);
SELECT atomix.close_session(:unnamed);

--
-- Services
--
SELECT atomix.create_service(:one, 'counter', 'rt c') AS c \gset
SELECT atomix.create_service(:one, 'map', 'rt m', 'ns') AS m \gset
SELECT * FROM (SELECT name, service, kind, state FROM pg_temp.rt) AS r ORDER BY service;
SELECT pg_temp.get('rt one', 'rt c') #> '{meta,id}' AS c, pg_temp.get('rt one', 'ns/rt m') #> '{meta,id}' AS m,
  pg_temp.get('rt one') #> '{meta,id}' AS alone;
-- The kind is that of the session, else that of the service.
SELECT atomix.open_session('8 min', 'rt two') AS two \gset
SELECT atomix.create_service(:two, 'counter', 'rt c') > 0 AS opened;
SELECT name, service, kind FROM pg_temp.rt ORDER BY 1, 2;
SELECT kind, count(*) FROM unnest('{worker,counter,map,none}'::text[]) WITH ORDINALITY AS k (kind, i)
  LEFT JOIN LATERAL pg_temp.list(kind) AS s ON s #>> '{meta,id,name}' ~ '^rt'
  WHERE s IS NOT NULL GROUP BY kind, i ORDER BY i;

--
-- States
--
SELECT atomix.open_session('8 min', 'rt states', services => '[{"type": "counter", "name": "rt a"},
  {"type": "map", "name": "rt b", "namespace": "ns"}]') AS states \gset
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt states' ORDER BY 1;
SELECT atomix.create_service(:states, 'counter', 'rt a') AS a \gset
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt states' ORDER BY 1;
SELECT pg_temp.get('rt states', 'rt c') #> '{status}' AS none;
SELECT atomix.create_service(:states, 'map', 'rt b', 'ns') > 0 AS opened;
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt states' ORDER BY 1;
SELECT atomix.close_service(:states, :a);
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt states' ORDER BY 1;
BEGIN;
SELECT atomix.close_session(:states);
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt states' ORDER BY 1;
ROLLBACK;
-- Decided to end, with claims on more services than a close releases itself.
SELECT count(atomix.lock_try(:states, 'rt ' || n)) FROM generate_series(1, 70) AS n;
BEGIN;
SELECT atomix.close_session(:states);
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt states' ORDER BY 1;
COMMIT;
SELECT test.state(:states);
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt states' ORDER BY 1;
-- One that expires is closed in the end, too.
SELECT atomix.open_session('1 min', 'rt late') AS late \gset
SELECT atomix.create_service(:late, 'counter', 'rt c') > 0 AS opened;
SELECT atomix._advance_clock('2 min');
SELECT test.state(:late);
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt late';

-- Of several of a name the newest that is open, else the newest.
SELECT atomix.open_session('8 min', 'rt same') AS first \gset
SELECT atomix.open_session('8 min', 'rt same', 'second') AS second \gset
SELECT pg_temp.get('rt same') #>> '{spec,kind}' AS newest;
SELECT atomix.close_session(:second);
SELECT pg_temp.get('rt same') #> '{status}' AS open;
SELECT atomix.close_session(:first);
SELECT pg_temp.get('rt same') #>> '{spec,kind}' AS newest, pg_temp.get('rt same') #> '{status}' AS closed;

--
-- Versions
--
SELECT pg_temp.numbered(id) FROM unnest(ARRAY[:one, :two, :late, :first, :second]::bigint[]) AS id;
SELECT max(version) AS position FROM pg_temp.rt \gset
SELECT count(*) FROM pg_temp.list(after => :position);
SELECT atomix.create_service(:two, 'map', 'rt more') AS more \gset
SELECT pg_temp.numbered(:two);
SELECT s #>> '{meta,id,name}' AS name, s #>> '{meta,id,primitive,id}' AS service, (s #>> '{meta,version}')::bigint > :position AS later
  FROM pg_temp.list(after => :position) AS s ORDER BY 2;
SELECT max(version) AS position FROM pg_temp.rt \gset
SELECT atomix.delete_service('rt c');
SELECT pg_temp.numbered(id) FROM unnest(ARRAY[:one, :two]::bigint[]) AS id;
SELECT s #>> '{meta,id,name}' AS name, s #>> '{meta,id,primitive,id}' AS service
  FROM pg_temp.list(after => :position) AS s ORDER BY 1, 2;
-- Nothing waits that need not.
SELECT count(*) FROM pg_temp.list(after => 9223372036854775807, max_wait => '1 h');
SELECT count(*) FROM pg_temp.list(after => 9223372036854775807, watch => true);
SELECT count(*) > 0 AS some FROM pg_temp.list(watch => true, max_wait => '1 h');

--
-- Rights: as in view sessions
--
CREATE ROLE regress_atomix_rt;
CREATE ROLE regress_atomix_rt_monitor IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA atomix TO regress_atomix_rt, regress_atomix_rt_monitor;
GRANT SELECT ON pg_temp.rt TO PUBLIC;
SET ROLE regress_atomix_rt;
SELECT count(*) FROM pg_temp.list();
SELECT test.outcome('SELECT pg_temp.get(''rt one'')');
SELECT atomix.open_session('8 min', 'rt one', 'other') AS other \gset
SELECT pg_temp.get('rt one') #>> '{spec,kind}' AS own;
SELECT count(*) FROM pg_temp.list();
-- Services in a namespace that it may not read (any more) are left out.
RESET ROLE;
SELECT atomix.grant_namespace('rt ns', 'regress_atomix_rt', 'write');
SET ROLE regress_atomix_rt;
SELECT atomix.open_session('8 min', 'rt hidden') AS hidden \gset
SELECT atomix.create_service(:hidden, 'map', 'rt m', 'rt ns') > 0 AS opened;
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt hidden';
RESET ROLE;
SELECT atomix.revoke_namespace('rt ns', 'regress_atomix_rt');
SET ROLE regress_atomix_rt;
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt hidden';
SELECT pg_temp.get('rt hidden', 'rt ns/rt m') -> 'status' AS hidden;
SELECT atomix.create_service(:hidden, 'map', 'rt n') > 0 AS opened;
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt hidden';
SET ROLE regress_atomix_rt_monitor;
SELECT service, kind, state FROM pg_temp.rt WHERE name = 'rt hidden';
SELECT pg_temp.get('rt one') #>> '{spec,kind}' AS newest, pg_temp.get('rt two') #>> '{meta,id,name}' AS other;
RESET ROLE;
SELECT atomix.close_session(:other), atomix.close_session(:hidden);
REVOKE ALL ON SCHEMA atomix FROM regress_atomix_rt, regress_atomix_rt_monitor;
DROP ROLE regress_atomix_rt, regress_atomix_rt_monitor;

--
-- Errors
--
SELECT test.outcome(statement) FROM (VALUES
    (1, 'SELECT atomix.runtime_get_session(NULL)'),
    (2, 'SELECT atomix.runtime_get_session('''')'),
    (3, 'SELECT atomix.runtime_get_session(''\x0a'')'),
    (4, 'SELECT atomix.runtime_list_sessions(NULL)'),
    (5, 'SELECT atomix.runtime_list_sessions(''\x0801'')'),
    (6, 'SELECT atomix.runtime_list_sessions('''', NULL)'),
    (7, 'SELECT atomix.runtime_list_sessions('''', -1)'),
    (8, 'SELECT atomix.runtime_list_sessions('''', 0, ''-1 s'')'),
    (9, 'SELECT atomix.runtime_list_sessions('''', 0, ''1 month'')')
  ) AS v (n, statement) ORDER BY n;

SELECT atomix.close_session(id) FROM unnest(ARRAY[:one, :two]::bigint[]) AS id;
SELECT count(atomix.delete_service(name, namespace)) FROM atomix.services WHERE name LIKE 'rt %';
