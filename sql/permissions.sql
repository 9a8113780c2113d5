--
-- Proves who may do what: tables are nobody's, the schema's USAGE is the
-- gate, a session is used, ended and seen by members of its owner's role
-- only, and nothing a user puts in the way of our names is ever run.
--
SELECT current_database() AS home \gset
CREATE ROLE regress_atomix_owner;
CREATE ROLE regress_atomix_member IN ROLE regress_atomix_owner;
CREATE ROLE regress_atomix_noinherit NOINHERIT IN ROLE regress_atomix_owner;
CREATE ROLE regress_atomix_stranger;
CREATE ROLE regress_atomix_monitor IN ROLE pg_monitor;
CREATE ROLE regress_atomix_outside;
GRANT USAGE ON SCHEMA atomix TO regress_atomix_owner, regress_atomix_noinherit,
  regress_atomix_stranger, regress_atomix_monitor;

--
-- Without USAGE on the schema nothing is reached
--
SET ROLE regress_atomix_outside;
SELECT test.outcome('SELECT atomix.open_session()');
SELECT test.outcome('SELECT atomix.keep_alive(1)');
SELECT test.outcome('SELECT count(*) FROM atomix.sessions');
SELECT test.outcome('SELECT sql FROM atomix.extension_version()');
RESET ROLE;

--
-- Tables and sequences, whoever owns a session
--
SELECT atomix.open_session() AS admins \gset
SELECT relname AS relation FROM pg_class
  WHERE relnamespace = 'atomix'::regnamespace AND relkind IN ('r', 'p', 'S') ORDER BY relname;
SET ROLE regress_atomix_owner;
SELECT c.relname, string_agg(DISTINCT left(test.outcome(format(s.statement, c.relname)), 5), ' ') AS answers
  FROM pg_class c, (VALUES ('r', 'SELECT 1 FROM atomix.%I'), ('r', 'INSERT INTO atomix.%I DEFAULT VALUES'),
    ('r', 'DELETE FROM atomix.%I'), ('r', 'TRUNCATE atomix.%I'), ('r', 'LOCK atomix.%I IN ACCESS SHARE MODE'),
    ('r', 'SELECT 1 FROM atomix.%I FOR UPDATE'), ('r', 'CREATE TRIGGER t BEFORE INSERT ON atomix.%I EXECUTE FUNCTION f()'),
    ('S', 'SELECT nextval(''atomix.%I'')'), ('S', 'SELECT setval(''atomix.%I'', 1)'),
    ('S', 'SELECT currval(''atomix.%I'')'), ('S', 'SELECT last_value FROM atomix.%I'),
    ('v', 'DELETE FROM atomix.%I'), ('v', 'INSERT INTO atomix.%I DEFAULT VALUES')) AS s (kind, statement)
  WHERE c.relnamespace = 'atomix'::regnamespace AND c.relkind = s.kind::"char"
  GROUP BY c.relname ORDER BY c.relname;
RESET ROLE;

--
-- Administrators' functions
--
SET ROLE regress_atomix_owner;
SELECT statement, test.outcome(statement) FROM (VALUES
  (1, 'SELECT atomix.end_session(1, ''x'')'),
  (2, 'SELECT atomix.tick()'),
  (3, 'SELECT atomix._advance_clock(''0'')'),
  (4, 'SELECT atomix._recode(''x'', '''')'),
  (5, 'SELECT atomix._filter_contains('''', 1)'),
  (6, 'SET atomix._coalesce_renewals = off'),
  (7, 'SET atomix.enabled = off'),
  (8, 'SET atomix.session_timeout = ''1 s'''),
  (9, 'SET atomix.tombstone_retention = 0')
) AS v (n, statement) ORDER BY n;
RESET ROLE;
-- Moving the clock is for superusers, whoever was granted it.
GRANT EXECUTE ON FUNCTION atomix._advance_clock(interval, boolean) TO regress_atomix_stranger;
GRANT EXECUTE ON FUNCTION atomix.tick(), atomix.end_session(bigint, text) TO regress_atomix_stranger;
SET ROLE regress_atomix_stranger;
SELECT test.outcome('SELECT atomix._advance_clock(''0'')');
-- The others are for whoever was granted them, whosever the session is.
SELECT atomix.tick() >= 0 AS ticked;
SELECT atomix.end_session(:admins, 'by a delegate');
RESET ROLE;
SELECT state, reason FROM atomix.sessions WHERE session_id = :admins;
REVOKE EXECUTE ON FUNCTION atomix._advance_clock(interval, boolean), atomix.tick(),
  atomix.end_session(bigint, text) FROM regress_atomix_stranger;

--
-- A session is its owner's, and those of the members of the owner's role
--
SET ROLE regress_atomix_owner;
SELECT atomix.open_session('8 min', 'owned') AS id \gset
SELECT atomix.open_session('8 min', 'ended') AS ended \gset
SELECT atomix.close_session(:ended);
RESET ROLE;
SELECT name, owner FROM atomix.sessions WHERE session_id IN (:id, :ended) ORDER BY session_id;

-- What a role is told about a session; the effects are undone.
CREATE FUNCTION test.answers(id bigint, OUT seen bigint, OUT keep_alive text,
  OUT close_session text, OUT wire_keep_alive text, OUT wire_close text)
LANGUAGE sql AS $$
  SELECT (SELECT count(*) FROM atomix.sessions WHERE session_id = id),
    test.undone(format('SELECT atomix.keep_alive(%s)', id), id),
    test.undone(format('SELECT atomix.close_session(%s)', id), id),
    test.undone(format('SELECT concat_ws('' '', status, message) FROM
      test.read(atomix.partition_keep_alive(test.keep_alive_request(%s)))', id), id),
    test.undone(format('SELECT concat_ws('' '', status, message) FROM
      test.read(atomix.partition_close_session(test.close_request(%s)))', id), id)
$$;

SET ROLE regress_atomix_owner;
SELECT what, a.* FROM (VALUES (1, 'live', :id), (2, 'ended', :ended)) AS v (n, what, id),
  test.answers(id) AS a ORDER BY n;
SET ROLE regress_atomix_member;
SELECT what, a.* FROM (VALUES (1, 'live', :id), (2, 'ended', :ended)) AS v (n, what, id),
  test.answers(id) AS a ORDER BY n;
-- To everybody else both are as unknown as one that never was.
SET ROLE regress_atomix_stranger;
SELECT what, a.* FROM (VALUES (1, 'live', :id), (2, 'ended', :ended), (3, 'unknown', 77)) AS v (n, what, id),
  test.answers(id) AS a ORDER BY n;
-- A member that does not inherit becomes its owner by SET ROLE.
SET ROLE regress_atomix_noinherit;
SELECT what, a.* FROM (VALUES (1, 'live', :id), (2, 'ended', :ended)) AS v (n, what, id),
  test.answers(id) AS a ORDER BY n;
-- A monitor sees, and does nothing.
SET ROLE regress_atomix_monitor;
SELECT what, a.* FROM (VALUES (1, 'live', :id), (2, 'ended', :ended)) AS v (n, what, id),
  test.answers(id) AS a ORDER BY n;
RESET ROLE;
-- Superusers are members of every role.
SELECT what, a.* FROM (VALUES (1, 'live', :id), (2, 'ended', :ended)) AS v (n, what, id),
  test.answers(id) AS a ORDER BY n;

-- SET ROLE is what counts, not who logged in.
SET SESSION AUTHORIZATION regress_atomix_noinherit;
SELECT test.outcome(format('SELECT atomix.keep_alive(%s)', :id), :id);
SET ROLE regress_atomix_owner;
SELECT test.outcome(format('SELECT atomix.keep_alive(%s)', :id), :id);
SELECT atomix.open_session('8 min', 'by set role') AS by_set_role \gset
RESET SESSION AUTHORIZATION;

-- Another role's sessions are not owned by whoever is a member of it.
SET ROLE regress_atomix_member;
SELECT atomix.open_session('8 min', 'members own') AS members \gset
SET ROLE regress_atomix_owner;
SELECT * FROM test.answers(:members);
RESET ROLE;

-- A SECURITY DEFINER function acts as its owner.
CREATE FUNCTION test.wrapped_keep_alive(id bigint) RETURNS interval
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  LANGUAGE sql AS 'SELECT atomix.keep_alive(id)';
CREATE FUNCTION test.wrapped_open() RETURNS bigint
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  LANGUAGE sql AS $$ SELECT atomix.open_session('8 min', 'wrapped') $$;
ALTER FUNCTION test.wrapped_keep_alive OWNER TO regress_atomix_owner;
ALTER FUNCTION test.wrapped_open OWNER TO regress_atomix_owner;
SET ROLE regress_atomix_stranger;
SELECT test.wrapped_keep_alive(:id);
SELECT test.wrapped_open() AS wrapped \gset
SELECT test.outcome(format('SELECT atomix.keep_alive(%s)', :wrapped), :wrapped);
SELECT test.wrapped_keep_alive(:wrapped);
RESET ROLE;
SELECT name, owner FROM atomix.sessions
  WHERE session_id IN (:by_set_role, :members, :wrapped) ORDER BY session_id;

--
-- Nor does another role use services, numbers and outcomes of a session.
-- Services themselves are everybody's.
--
SET ROLE regress_atomix_owner;
SELECT atomix.create_service(:id, 'counter', 'shared') AS service \gset
SELECT status FROM atomix.command(:id, :service, '\x22020801', 1);
RESET ROLE;
CREATE FUNCTION test.uses(id bigint, service bigint) RETURNS TABLE (call text, answer text) LANGUAGE sql AS $$
  SELECT regexp_replace(c, '\(.*', ''), test.undone(format('SELECT atomix.' || c, id, service), id, service)
  FROM unnest(ARRAY['create_service(%s, ''map'', ''x'')', 'close_service(%s, %s)',
    'command(%s, %s, ''\x22020801'', 2)', 'command(%s, %s, ''\x22020801'', 1)',
    'commands(%s, %s, ''{"\\x22020801"}'', 2)', 'query(%s, %s, ''\xff'')', 'query(%s, %s, ''\x1a00'', 1)',
    'outcome(%s, 1)', 'once(%s, 1)', 'once(%s, 2)', 'ack(%s, 1)', 'ack(%s, 1, 1)',
    'counter_set(''shared'', 1, '''', %s)', 'counter_increment(''shared'', 1, '''', %s, 1)',
    'counter_decrement(''shared'', 1, '''', %s, 3)', 'counter_compare_and_set(''shared'', 1, 1, '''', %s, 3)',
    'map_put(''m'', ''k'', ''v'', session_id => %s)', 'map_put_text(''m'', ''k'', ''v'', session_id => %s, sequence_num => 3)',
    'map_insert(''m'', ''k'', ''v'', session_id => %s)', 'map_insert_text(''m'', ''k'', ''v'', session_id => %s)',
    'map_update(''m'', ''k'', ''v'', session_id => %s)', 'map_update_text(''m'', ''k'', ''v'', session_id => %s)',
    'map_remove(''m'', ''k'', session_id => %s)', 'map_clear(''m'', '''', %s, 3)']) WITH ORDINALITY AS u (c, n)
  ORDER BY n
$$;
SET ROLE regress_atomix_stranger;
SELECT call, answer FROM test.uses(:id, :service);
SELECT DISTINCT answer FROM test.uses(:ended, :service);
SELECT test.outcome(format('SELECT atomix.query(%s, %s, ''\x1a00'', 9)', :id, :service), :id);
SET ROLE regress_atomix_monitor;
SELECT DISTINCT answer FROM test.uses(:id, :service);
SET ROLE regress_atomix_member;
SELECT call, regexp_replace(regexp_replace(answer, '\d{14,16}', '<index>'), '"[A-Z][a-z]{2} .*"', '<time>') AS answer FROM test.uses(:id, :service);
RESET ROLE;
-- Nothing of that was done, no lock was left, and nobody was kept waiting.
SELECT state FROM unnest(ARRAY[2, 3]) AS n, atomix.outcome(:id, n);
SET ROLE regress_atomix_stranger;
SELECT atomix.counter_get('shared'), atomix.counter_increment('shared');
SELECT name, value FROM atomix.counters;
SELECT type, name, sessions FROM atomix.services;
SELECT count(*) FROM atomix.attachments;
SET ROLE regress_atomix_member;
SELECT session_id = :id AS own, type, name FROM atomix.attachments;
SET ROLE regress_atomix_monitor;
SELECT count(*) FROM atomix.attachments;
SET ROLE regress_atomix_stranger;
SELECT atomix.delete_service('shared');
RESET ROLE;

--
-- Nor does another role claim anything for a session, or give up, wait for or
-- guard what it has; moving candidates by name is everybody's, taking a lock
-- from others administrators'.
--
SET ROLE regress_atomix_owner;
SELECT token AS t FROM atomix.lock_acquire(:id, 'a lock') \gset
SELECT token AS led FROM atomix.election_enter(:id, 'an election', 'own') \gset
SELECT granted FROM atomix.semaphore_acquire(:id, 'permits') \gset
RESET ROLE;
CREATE FUNCTION test.claims_of(id bigint, t bigint, led bigint) RETURNS TABLE (call text, answer text) LANGUAGE sql AS $$
  SELECT regexp_replace(c, '\(.*', ''),
    regexp_replace(test.undone(format('SELECT atomix.' || c, id, t, led), id, t, led), '\d{14,16}', '<n>', 'g')
  FROM unnest(ARRAY['lock_try(%s, ''another lock'')', 'lock_acquire(%s, ''another lock'')', 'lock_release(%s, ''a lock'')',
    'lock_release(%s, ''a lock'', %2$s)', 'lock_cancel(%s, ''a lock'', %2$s)', 'semaphore_try(%s, ''permits'')',
    'semaphore_acquire(%s, ''permits'')', 'semaphore_release(%s, ''permits'')', 'wait_ticket(%s, %2$s)',
    'election_enter(%s, ''an election'')', 'election_withdraw(%s, ''an election'')', 'assert_lock(''a lock'', %2$s)',
    'assert_leader(''an election'', %3$s)', 'lock_force_release(''a lock'', %2$s, ''r'')',
    'lock_transfer(''a lock'', %2$s, 1, ''r'')', 'set_lock_delay(''a lock'', ''0'')',
    'election_anoint(''an election'', ''own'')', 'election_promote(''an election'', ''own'')', 'election_demote(''an election'', ''own'')',
    'election_evict(''an election'', ''own'')', 'semaphore_resize(''permits'', 2)']) WITH ORDINALITY AS u (c, n)
  ORDER BY n
$$;
SET ROLE regress_atomix_stranger;
SELECT * FROM test.claims_of(:id, :t, :led);
SELECT count(*) FROM test.claims_of(:ended, :t, :led) WHERE answer LIKE 'MX001%';
SELECT leader, session_id = :id AS of_session, token = :led AS has_token FROM atomix.election_leader('an election');
SELECT name, granted, token = :t AS has_token, session_id = :id AS of_session, owner, session_name, application_name, client_addr
  FROM atomix.locks WHERE name = 'a lock';
SELECT name, capacity, granted, permits, owner, session_name, application_name, client_addr FROM atomix.semaphores;
SELECT name, candidate, granted, term, owner FROM atomix.elections;
-- A hold needs no session, and waits for what others have.
SELECT atomix.hold('free') > 0 AS held;
BEGIN;
SET LOCAL lock_timeout = '20 ms';
SELECT test.outcome('SELECT atomix.hold(''a lock'')');
COMMIT;
SET ROLE regress_atomix_monitor;
SELECT call, answer FROM test.claims_of(:id, :t, :led) WHERE call ~ '^(lock_try|assert_lock|lock_force_release)$';
SELECT name, owner, session_name FROM atomix.locks WHERE name = 'a lock';
SET ROLE regress_atomix_member;
SELECT * FROM test.claims_of(:id, :t, :led);
SELECT name, owner, session_name FROM atomix.locks WHERE name = 'a lock';
SELECT name, owner FROM atomix.elections;
RESET ROLE;
-- Administrators' functions are for whoever was granted them, and note who that was.
GRANT EXECUTE ON FUNCTION atomix.lock_force_release(text, bigint, text, text) TO regress_atomix_stranger;
SET ROLE regress_atomix_stranger;
SELECT atomix.lock_force_release('a lock', :t, 'by a delegate');
SELECT atomix.election_evict('an election', 'own');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION atomix.lock_force_release(text, bigint, text, text) FROM regress_atomix_stranger;
SELECT actor, action, name, session_id = :id AS of_session, token IN (:t, :led) AS granted, reason
  FROM atomix.intervention WHERE actor ~ 'regress' ORDER BY index;
SELECT count(atomix.delete_service(name)) FROM atomix.services WHERE name IN ('a lock', 'an election', 'permits', 'free');

--
-- Views show a role its own, and monitors all
--
SET ROLE regress_atomix_stranger;
SELECT atomix.open_session('8 min', 'strangers own') AS strangers \gset
SELECT name, owner, state FROM atomix.sessions ORDER BY session_id;
SELECT partition_id, term FROM atomix.partitions;
SELECT count(*) AS others FROM atomix.workers WHERE database <> current_database();
-- Nor does a function of one's own in the condition get to see more.
CREATE FUNCTION pg_temp.peek(name text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'seen: %', name;
  RETURN true;
END $$;
SELECT count(*) FROM atomix.sessions WHERE pg_temp.peek(name);
SET ROLE regress_atomix_member;
SELECT name, owner, state FROM atomix.sessions ORDER BY session_id;
SET ROLE regress_atomix_noinherit;
SELECT count(*) FROM atomix.sessions;
SET ROLE regress_atomix_monitor;
SELECT name, owner, state FROM atomix.sessions
  WHERE owner::text ~ 'regress' ORDER BY session_id;
RESET ROLE;

--
-- A user's settings and role are as they were after every call
--
SET ROLE regress_atomix_owner;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_seqscan = on;
SET jit = on;
SET jit_above_cost = 0;
SET search_path = pg_temp, test, public;
SET default_transaction_isolation = 'repeatable read';
SET row_security = off;
SET plan_cache_mode = force_custom_plan;
CREATE TEMP TABLE before AS SELECT name, setting FROM pg_settings;
CREATE FUNCTION pg_temp.changed() RETURNS TABLE (name text, setting text) LANGUAGE sql AS $$
  SELECT s.name, s.setting FROM pg_settings s EXCEPT SELECT b.name, b.setting FROM pg_temp.before b
$$;
SELECT atomix.open_session('8 min', 'settings') AS settings \gset
SELECT atomix.keep_alive(:settings);
SELECT test.outcome('SELECT atomix.keep_alive(1)');
SELECT test.outcome('SELECT atomix.open_session(''0'')');
SELECT test.outcome('SELECT atomix.partition_open_session(''\xff'')');
SELECT count(*) FROM test.answers(:settings);
SELECT state FROM atomix.sessions WHERE session_id = :settings;
SELECT * FROM pg_temp.changed();
SELECT current_user, session_user = current_user AS same, current_schemas(false)::text ~ 'pg_temp' AS path_is_mine;
-- Also after an error that nobody caught.
\set VERBOSITY sqlstate
SELECT atomix.keep_alive(1);
SELECT atomix.close_session(1);
BEGIN;
SELECT atomix.close_session(:settings);
SELECT atomix.partition_open_session('\xff');
ROLLBACK;
\set VERBOSITY default
SELECT * FROM pg_temp.changed();
SELECT current_user;
SELECT atomix.close_session(:settings);
RESET ALL;
RESET ROLE;

--
-- What hostile users put in the way of our names is never run
--
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.trap() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a hostile object was used by %', current_user;
END $$;
-- For every operator and every function of pg_catalog that our SQL could
-- mean, one of the same name and arguments in a schema that comes first.
DO $$
DECLARE
  o record;
BEGIN
  FOR o IN SELECT p.oprname, format_type(p.oprleft, NULL) AS l, format_type(p.oprright, NULL) AS r
      FROM pg_operator p
      WHERE p.oprnamespace = 'pg_catalog'::regnamespace AND p.oprkind = 'b'
        AND p.oprname IN ('=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/')
        AND p.oprleft IN ('bigint'::regtype, 'int'::regtype, 'text'::regtype, 'oid'::regtype,
          'float8'::regtype, 'numeric'::regtype, 'timestamptz'::regtype, 'boolean'::regtype)
        AND p.oprright IN ('bigint'::regtype, 'int'::regtype, 'text'::regtype, 'oid'::regtype,
          'float8'::regtype, 'numeric'::regtype, 'timestamptz'::regtype, 'boolean'::regtype) LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION hostile.trap(%s, %s) RETURNS boolean LANGUAGE sql AS %L',
      o.l, o.r, 'SELECT hostile.trap()');
    EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.trap, LEFTARG = %s, RIGHTARG = %s)',
      o.oprname, o.l, o.r);
  END LOOP;
  FOR o IN SELECT DISTINCT p.proname, oidvectortypes(p.proargtypes) AS arguments
      FROM pg_proc p
      WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
        AND p.proname IN ('unnest', 'nextval', 'setval', 'pg_has_role', 'clock_timestamp', 'now',
          'make_interval', 'oid', 'text', 'int8', 'int2', 'regrole', 'jsonb_out', 'interval',
          'jsonb_array_elements', 'jsonb_object_field_text')
        AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) AS t (oid)
          WHERE t.oid IN ('cstring'::regtype, 'internal'::regtype)) LOOP
    EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS boolean LANGUAGE sql AS %L',
      o.proname, o.arguments, 'SELECT hostile.trap()');
  END LOOP;
END $$;
CREATE DOMAIN hostile.oid AS pg_catalog.int8 CHECK (hostile.trap());
CREATE DOMAIN hostile.jsonb AS pg_catalog.text CHECK (hostile.trap());
CREATE DOMAIN hostile.float8 AS pg_catalog.text CHECK (hostile.trap());
CREATE DOMAIN hostile.text AS pg_catalog.int4 CHECK (hostile.trap());
CREATE DOMAIN hostile.regrole AS pg_catalog.text CHECK (hostile.trap());
CREATE FUNCTION hostile.keep_alive(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.trap()';
CREATE VIEW hostile.session AS SELECT hostile.trap() AS session_id;
CREATE VIEW hostile.lease AS SELECT hostile.trap() AS session_id;
CREATE VIEW hostile.authority AS SELECT hostile.trap() AS epoch;
CREATE VIEW hostile.service AS SELECT hostile.trap() AS service_id;
CREATE VIEW hostile.entry AS SELECT hostile.trap() AS service_id;
CREATE VIEW hostile.command AS SELECT hostile.trap() AS session_id;
SELECT count(*) > 50 AS set FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace;

-- The trap works, in a new connection that has no plan yet.
\c -
SET search_path = hostile, pg_catalog;
\set VERBOSITY terse
SELECT 1 = 1;
\set VERBOSITY default
SET search_path = hostile, pg_catalog, atomix;
CREATE TEMP TABLE session AS SELECT 1 AS session_id;
CREATE TEMP TABLE lease AS SELECT 1 AS session_id;
CREATE TEMP TABLE authority AS SELECT 1 AS epoch;
CREATE TEMP TABLE partition AS SELECT 1 AS partition_id;
CREATE TEMP TABLE index_seq AS SELECT 0 AS last_value;
SET search_path = pg_temp, hostile, pg_catalog, atomix;
SELECT atomix.open_session('8 min', labels => '{"a": "b"}') AS id \gset
SELECT atomix.keep_alive(:id);
SELECT state, labels, timeout FROM atomix.sessions
  WHERE session_id OPERATOR(pg_catalog.=) :id;
SELECT count(state) IS NOT NULL AS answered FROM atomix.workers;
SELECT term FROM atomix.partitions;
SELECT atomix.partition_open_session('\x0a0208011200') IS NOT NULL AS answered;
SELECT atomix.partition_keep_alive('\x0a020801') IS NOT NULL AS answered;
SELECT atomix.partition_close_session('\x0a020801') IS NOT NULL AS answered;
SELECT atomix.open_session('1 hour', services => '[{"type": "counter", "name": "c"}]') AS user \gset
SELECT atomix.create_service(:user, 'counter', 'c') AS service \gset
SELECT state FROM atomix.sessions WHERE session_id OPERATOR(pg_catalog.=) :user;
SELECT status FROM atomix.command(:user, :service, '\x22020801', 1);
SELECT status, replayed FROM atomix.commands(:user, :service, '{"\\x22020801","\\x22020801"}', 1);
SELECT status FROM atomix.query(:user, :service, '\x1a00', 2);
SELECT atomix.once(:user, 3);
SELECT state FROM atomix.outcome(:user, 3);
SELECT atomix.ack(:user, 3);
SELECT atomix.counter_increment('c', 1, '', :user, 4), atomix.counter_get('c'), atomix.counter_set('c', 7),
  atomix.counter_decrement('c'), atomix.counter_compare_and_set('c', 6, 1);
SELECT index IS NOT NULL AS put FROM atomix.map_put('m', 'k', 'v', '1 min');
SELECT prev_value FROM atomix.map_update_text('m', 'k', 'w', NULL, NULL, '', :user, 5);
SELECT value FROM atomix.map_entries_text('m', '');
SELECT atomix.map_size('m'), atomix.map_get_text('m', 'k'), atomix.map_insert('m', 'k', 'v'), atomix.map_remove('m', 'k'), atomix.map_clear('m');
SELECT name, sessions, entries FROM atomix.services;
SELECT name, value FROM atomix.counters;
SELECT name, entries FROM atomix.maps;
SELECT name, deleted FROM atomix.attachments;
SELECT atomix.close_service(:user, :service), atomix.delete_service('c'), atomix.delete_service('m');
SELECT atomix._advance_clock('9 min 1 s');
SELECT atomix.tick() IS NOT NULL AS ticked;
SELECT atomix.close_session(:id), atomix.close_session(:user);
SELECT atomix.end_session(:id, 'x');
SELECT atomix.extension_version() IS NOT NULL AS answered;
RESET search_path;
SELECT test.state(:id);

-- Nor does the trap change anything for whoever has made its plans before.
SELECT atomix.open_session('8 min') AS id \gset
SET search_path = pg_temp, hostile, pg_catalog;
SELECT atomix.keep_alive(:id);
SELECT atomix.close_session(:id);
RESET search_path;

--
-- The same in place before the extension is created, in a schema that the
-- path of whoever creates it has first
--
CREATE DATABASE regress_atomix_hostile TEMPLATE template0;
\c regress_atomix_hostile
CREATE FUNCTION public.trap() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a hostile object was used by %', current_user;
END $$;
CREATE FUNCTION public.trap(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
CREATE FUNCTION public.trap(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
CREATE FUNCTION public.trap(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
CREATE FUNCTION public.trap(bigint, float8) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
CREATE OPERATOR public.= (FUNCTION = public.trap, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR public.= (FUNCTION = public.trap, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR public.= (FUNCTION = public.trap, LEFTARG = oid, RIGHTARG = oid);
CREATE OPERATOR public./ (FUNCTION = public.trap, LEFTARG = bigint, RIGHTARG = float8);
CREATE FUNCTION public.pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
CREATE FUNCTION public.clock_timestamp() RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
CREATE FUNCTION public.pg_extension_config_dump(regclass, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
CREATE FUNCTION public.make_interval(int, int, int, int, int, int, secs float8) RETURNS boolean
  LANGUAGE sql AS 'SELECT public.trap()';
CREATE DOMAIN public.jsonb AS pg_catalog.text CHECK (public.trap());
CREATE DOMAIN public.regrole AS pg_catalog.text CHECK (public.trap());
CREATE DOMAIN public.inet AS pg_catalog.text CHECK (public.trap());
CREATE VIEW public.pg_database AS SELECT public.trap() AS oid;
SET search_path = public, pg_catalog;
CREATE EXTENSION atomix;
SELECT atomix.open_session('8 min', labels => '{"a": "b"}') AS id \gset
SELECT atomix.keep_alive(:id);
SELECT state, labels, timeout FROM atomix.sessions;
SELECT atomix.counter_increment('c', 1, '', :id, 1), atomix.map_insert('m', 'k', 'v') IS NOT NULL AS inserted;
SELECT name, entries FROM atomix.services;
SELECT atomix.close_session(:id);
\set VERBOSITY terse
SELECT :id = :id;
\set VERBOSITY default
RESET search_path;
-- Nothing of the extension refers to anything there.
SELECT d.classid::regclass, d.objid, d.refclassid::regclass, d.refobjid
  FROM pg_depend d
  WHERE (d.refclassid, d.refobjid) IN (
      SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oprnamespace = 'public'::regnamespace
      UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = 'public'::regnamespace
      UNION ALL SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    AND (d.classid, d.objid) IN (
      SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
      UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
        WHERE c.relnamespace = 'atomix'::regnamespace
      UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN pg_class c ON c.oid = a.adrelid
        WHERE c.relnamespace = 'atomix'::regnamespace
      UNION ALL SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relnamespace = 'atomix'::regnamespace);
\c :home
DROP DATABASE regress_atomix_hostile;

\set VERBOSITY terse
\set QUIET on
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
DROP OWNED BY regress_atomix_owner, regress_atomix_member, regress_atomix_noinherit,
  regress_atomix_stranger, regress_atomix_monitor, regress_atomix_outside;
DROP ROLE regress_atomix_owner, regress_atomix_member, regress_atomix_noinherit,
  regress_atomix_stranger, regress_atomix_monitor, regress_atomix_outside;
