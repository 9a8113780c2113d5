-- Proves the catalog contract: every object of the extension is documented,
-- the functions have the signatures of the interface, keep its rules on
-- names, nulls and rights, and only what shall outlive a dump is dumped.
-- What is checked is read from the catalog, so that nothing new is left out.
--
-- To be run where extensions pgtap and atomix are installed.
\set ON_ERROR_STOP on
\set QUIET on
BEGIN;
SELECT no_plan();

--
-- What there is: the members of the extension
--
CREATE TEMP TABLE functions AS
  SELECT p.*, p.oid::regprocedure AS signature, p.proname LIKE '\_%' AS is_private
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
  WHERE d.deptype = 'e' AND e.extname = 'atomix';
CREATE TEMP TABLE relations AS
  SELECT c.*, c.oid::regclass AS relation
  FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
  WHERE d.deptype = 'e' AND e.extname = 'atomix';

-- The signatures of the interface: name, arguments with their defaults,
-- result, volatility, parallel safety, and whether it is for administrators.
CREATE TEMP TABLE contract (name text, arguments text, result text,
  volatility "char", parallel "char", restricted boolean);
INSERT INTO contract VALUES
  ('open_session',
    'timeout interval DEFAULT NULL::interval, name text DEFAULT NULL::text, kind text DEFAULT NULL::text, labels jsonb DEFAULT ''{}''::jsonb, config bytea DEFAULT NULL::bytea, services jsonb DEFAULT ''[]''::jsonb, partition_id integer DEFAULT 1',
    'bigint', 'v', 'u', false),
  ('keep_alive', 'session_id bigint', 'interval', 'v', 'u', false),
  ('keep_alive_many', 'session_ids bigint[]',
    'TABLE(session_id bigint, state text, time_left interval)', 'v', 'u', false),
  ('wait_events', 'session_id bigint, timeout interval DEFAULT ''00:00:10''::interval',
    'boolean', 'v', 'u', false),
  ('_ring', 'session_id bigint', 'void', 'v', 'u', true),
  ('close_session', 'session_id bigint', 'boolean', 'v', 'u', false),
  ('end_session', 'session_id bigint, reason text', 'boolean', 'v', 'u', true),
  ('session_open_session', 'request bytea', 'bytea', 'v', 'u', false),
  ('session_keep_alive', 'request bytea', 'bytea', 'v', 'u', false),
  ('session_close_session', 'request bytea', 'bytea', 'v', 'u', false),
  ('session_command',
    'header bytea, payload bytea, service_type text DEFAULT NULL::text, OUT header bytea, OUT payload bytea',
    'record', 'v', 'u', false),
  ('session_fetch', 'header bytea, max_rows integer DEFAULT 1000',
    'TABLE(header bytea, payload bytea)', 'v', 'u', false),
  ('runtime_get_session', 'request bytea', 'bytea', 'v', 'u', false),
  ('runtime_list_sessions',
    'request bytea, after_version bigint DEFAULT 0, max_wait interval DEFAULT ''00:00:00''::interval',
    'bytea', 'v', 'u', false),
  ('partition_open_session', 'request bytea', 'bytea', 'v', 'u', false),
  ('partition_keep_alive', 'request bytea', 'bytea', 'v', 'u', false),
  ('partition_close_session', 'request bytea', 'bytea', 'v', 'u', false),
  ('create_service',
    'session_id bigint, type text, name text, namespace text DEFAULT ''''::text',
    'bigint', 'v', 'u', false),
  ('close_service',
    'session_id bigint, service_id bigint',
    'boolean', 'v', 'u', false),
  ('delete_service',
    'name text, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('command',
    'session_id bigint, service_id bigint, payload bytea, sequence_num bigint DEFAULT 0, OUT status text, OUT output bytea, OUT replayed boolean, OUT index bigint',
    'record', 'v', 'u', false),
  ('commands',
    'session_id bigint, service_id bigint, payloads bytea[], first_sequence_num bigint',
    'TABLE(sequence_num bigint, status text, output bytea, replayed boolean)', 'v', 'u', false),
  ('query',
    'session_id bigint, service_id bigint, payload bytea, last_sequence_num bigint DEFAULT 0, OUT status text, OUT output bytea, OUT index bigint',
    'record', 'v', 'u', false),
  ('outcome',
    'session_id bigint, sequence_num bigint, OUT state text, OUT status text, OUT output bytea, OUT at timestamp with time zone',
    'record', 'v', 'u', false),
  ('once',
    'session_id bigint, sequence_num bigint, request text DEFAULT NULL::text',
    'boolean', 'v', 'u', false),
  ('ack',
    'session_id bigint, sequence_num bigint, output_num bigint DEFAULT NULL::bigint',
    'void', 'v', 'u', false),
  ('watch',
    'name text, from_revision bigint DEFAULT NULL::bigint, key text DEFAULT NULL::text, max_rows integer DEFAULT 1000, namespace text DEFAULT ''''::text',
    'TABLE(revision bigint, type text, key text, value bytea, prev_value bytea, index bigint, at timestamp with time zone)', 'v', 'u', false),
  ('listen_watch',
    'name text, namespace text DEFAULT ''''::text, OUT channel text, OUT revision bigint',
    'record', 'v', 'u', false),
  ('fetch_outputs', 'session_id bigint, sequence_num bigint, max_rows integer DEFAULT 1000',
    'TABLE(output_num bigint, kind text, output bytea, index bigint)', 'v', 'u', false),
  ('fetch_outputs_many', 'session_id bigint, max_rows integer DEFAULT 1000',
    'TABLE(sequence_num bigint, output_num bigint, kind text, output bytea, index bigint)', 'v', 'u', false),
  ('take_outputs', 'session_id bigint, max_rows integer DEFAULT 1000',
    'TABLE(sequence_num bigint, output_num bigint, kind text, output bytea, index bigint)', 'v', 'u', false),
  ('ack_many', 'session_id bigint, sequence_nums bigint[], output_nums bigint[]',
    'void', 'v', 'u', false),
  ('resume_stream',
    'session_id bigint, sequence_num bigint, output_num bigint DEFAULT NULL::bigint, index bigint DEFAULT NULL::bigint',
    'void', 'v', 'u', false),
  ('session_events', 'after_version bigint DEFAULT 0, max_rows integer DEFAULT 1000',
    'TABLE(version bigint, session_id bigint, state text, reason text, at timestamp with time zone)', 'v', 'u', false),
  ('partition_events', 'partition_id integer, after_term bigint DEFAULT 0',
    'TABLE(term bigint, leader text, at timestamp with time zone)', 'v', 'u', false),
  ('partition_watch', 'request bytea', 'SETOF bytea', 'v', 'u', false),
  ('call', 'method text, request bytea', 'SETOF bytea', 'v', 'u', false),
  ('message_to_json', 'message text, bytes bytea', 'jsonb', 'i', 's', false),
  ('message_from_json', 'message text, document jsonb', 'bytea', 'i', 's', false),
  ('partition_command',
    'request_headers bytea, input bytea, OUT headers bytea, OUT output bytea',
    'record', 'v', 'u', false),
  ('partition_query',
    'request_headers bytea, input bytea, OUT headers bytea, OUT output bytea',
    'record', 'v', 'u', false),
  ('partition_commands',
    'request_headers bytea[], inputs bytea[]',
    'TABLE(n integer, headers bytea, output bytea)', 'v', 'u', false),
  ('counter_get',
    'name text, namespace text DEFAULT ''''::text',
    'bigint', 'v', 'u', false),
  ('counter_set',
    'name text, value bigint, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0',
    'bigint', 'v', 'u', false),
  ('counter_increment',
    'name text, delta bigint DEFAULT 1, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0',
    'bigint', 'v', 'u', false),
  ('counter_decrement',
    'name text, delta bigint DEFAULT 1, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0',
    'bigint', 'v', 'u', false),
  ('counter_compare_and_set',
    'name text, expected bigint, value bigint, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0',
    'boolean', 'v', 'u', false),
  ('map_put',
    'name text, key text, value bytea, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value bytea',
    'record', 'v', 'u', false),
  ('map_insert',
    'name text, key text, value bytea, ttl interval DEFAULT NULL::interval, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint',
    'bigint', 'v', 'u', false),
  ('map_update',
    'name text, key text, value bytea, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value bytea',
    'record', 'v', 'u', false),
  ('map_entries',
    'name text, after_key text DEFAULT NULL::text, max_rows integer DEFAULT 1000, namespace text DEFAULT ''''::text',
    'TABLE(key text, value bytea, index bigint, expires_at timestamp with time zone)', 'v', 'u', false),
  ('map_put_text',
    'name text, key text, value text, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value text',
    'record', 'v', 'u', false),
  ('map_insert_text',
    'name text, key text, value text, ttl interval DEFAULT NULL::interval, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint',
    'bigint', 'v', 'u', false),
  ('map_update_text',
    'name text, key text, value text, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value text',
    'record', 'v', 'u', false),
  ('map_entries_text',
    'name text, after_key text DEFAULT NULL::text, max_rows integer DEFAULT 1000, namespace text DEFAULT ''''::text',
    'TABLE(key text, value text, index bigint, expires_at timestamp with time zone)', 'v', 'u', false),
  ('map_get',
    'name text, key text, namespace text DEFAULT ''''::text',
    'TABLE(value bytea, index bigint, expires_at timestamp with time zone)', 'v', 'u', false),
  ('map_get_text',
    'name text, key text, namespace text DEFAULT ''''::text',
    'text', 'v', 'u', false),
  ('map_remove',
    'name text, key text, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0',
    'boolean', 'v', 'u', false),
  ('map_size',
    'name text, namespace text DEFAULT ''''::text',
    'bigint', 'v', 'u', false),
  ('map_clear',
    'name text, namespace text DEFAULT ''''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0',
    'bigint', 'v', 'u', false),
  ('lock_try', 'session_id bigint, name text, namespace text DEFAULT ''''::text, shared boolean DEFAULT false, OUT granted boolean, OUT token bigint',
    'record', 'v', 'u', false),
  ('lock_acquire', 'session_id bigint, name text, timeout interval DEFAULT NULL::interval, namespace text DEFAULT ''''::text, shared boolean DEFAULT false, OUT granted boolean, OUT token bigint, OUT ticket bigint',
    'record', 'v', 'u', false),
  ('lock_release', 'session_id bigint, name text, token bigint DEFAULT NULL::bigint, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('lock_cancel', 'session_id bigint, name text, ticket bigint, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('semaphore_try', 'session_id bigint, name text, permits integer DEFAULT 1, namespace text DEFAULT ''''::text, OUT granted boolean, OUT token bigint',
    'record', 'v', 'u', false),
  ('semaphore_acquire', 'session_id bigint, name text, permits integer DEFAULT 1, timeout interval DEFAULT NULL::interval, namespace text DEFAULT ''''::text, OUT granted boolean, OUT token bigint, OUT ticket bigint',
    'record', 'v', 'u', false),
  ('semaphore_release', 'session_id bigint, name text, token bigint DEFAULT NULL::bigint, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('semaphore_resize', 'name text, permits integer, namespace text DEFAULT ''''::text',
    'integer', 'v', 'u', false),
  ('wait_ticket', 'session_id bigint, ticket bigint, timeout interval DEFAULT ''00:00:10''::interval, OUT granted boolean, OUT token bigint',
    'record', 'v', 'u', false),
  ('election_enter', 'session_id bigint, name text, candidate text DEFAULT NULL::text, priority integer DEFAULT 0, namespace text DEFAULT ''''::text, OUT is_leader boolean, OUT token bigint, OUT term bigint, OUT leader text, OUT ticket bigint',
    'record', 'v', 'u', false),
  ('election_withdraw', 'session_id bigint, name text, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('election_anoint', 'name text, candidate text, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('election_promote', 'name text, candidate text, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('election_demote', 'name text, candidate text, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('election_evict', 'name text, candidate text, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', false),
  ('election_leader', 'name text, namespace text DEFAULT ''''::text',
    'TABLE(leader text, session_id bigint, token bigint, term bigint, since timestamp with time zone)', 'v', 'u', false),
  ('assert_lock', 'name text, token bigint, namespace text DEFAULT ''''::text',
    'void', 'v', 'u', false),
  ('assert_leader', 'name text, token bigint, namespace text DEFAULT ''''::text',
    'void', 'v', 'u', false),
  ('hold', 'name text, namespace text DEFAULT ''''::text',
    'bigint', 'v', 'u', false),
  ('fence', '',
    'trigger', 'v', 'u', false),
  ('lock_force_release', 'name text, token bigint, reason text, namespace text DEFAULT ''''::text',
    'boolean', 'v', 'u', true),
  ('lock_transfer', 'name text, token bigint, ticket bigint, reason text, namespace text DEFAULT ''''::text',
    'bigint', 'v', 'u', true),
  ('set_lock_delay', 'name text, delay interval, namespace text DEFAULT ''''::text',
    'void', 'v', 'u', true),
  ('grant_namespace', 'namespace text, role text, privileges text, prefix boolean DEFAULT false',
    'void', 'v', 'u', true),
  ('revoke_namespace', 'namespace text, role text, prefix boolean DEFAULT false',
    'boolean', 'v', 'u', true),
  ('partition_of', 'namespace text, name text', 'integer', 's', 'u', false),
  ('place_partitions', 'here integer, locations text[]', 'void', 'v', 'u', true),
  ('set_limit', 'name text, value bigint DEFAULT NULL::bigint, namespace text DEFAULT NULL::text',
    'void', 'v', 'u', true),
  ('tick', '', 'bigint', 'v', 'u', true),
  ('after_restore', '', 'bigint', 'v', 'u', true),
  ('extension_version', 'OUT sql text, OUT library text', 'record', 's', 's', false),
  ('_advance_clock', 'by interval, stalled boolean DEFAULT false', 'void', 'v', 'u', true),
  ('_recode', 'message text, bytes bytea', 'bytea', 'i', 's', true),
  ('_filter_contains', 'filter bytea, sequence_num bigint', 'boolean', 'i', 's', true),
  -- The views call these with the reader's rights.
  ('_methods', 'OUT path text, OUT request text, OUT response text, OUT function text',
    'SETOF record', 'i', 's', false),
  ('_limit', 'name text, namespace text DEFAULT NULL::text', 'bigint', 'v', 'u', false),
  ('_may', 'namespace text, privileges text', 'boolean', 'v', 'u', false),
  ('_namespace_grants', 'OUT namespace text, OUT is_prefix boolean, OUT role text, OUT privileges text',
    'SETOF record', 'v', 'u', false),
  ('_lease_times',
    'session_id bigint, epoch integer, renewed_at bigint, served bigint, timeout bigint, OUT last_renewed_at timestamp with time zone, OUT deadline timestamp with time zone',
    'record', 'v', 'u', false),
  ('_workers',
    'OUT database oid, OUT pid integer, OUT state text, OUT last_cycle timestamp with time zone, OUT lag interval, OUT last_error text, OUT library text, OUT sql text',
    'SETOF record', 'v', 'u', false);

SELECT set_eq('SELECT proname::text FROM functions', 'SELECT name FROM contract',
  'the functions are those of the interface');
SELECT is(pg_get_function_arguments(f.oid), c.arguments, c.name || ': arguments')
  FROM contract c LEFT JOIN functions f ON f.proname = c.name ORDER BY c.name;
SELECT is(pg_get_function_result(f.oid), c.result, c.name || ': result')
  FROM contract c LEFT JOIN functions f ON f.proname = c.name ORDER BY c.name;
SELECT is(f.provolatile, c.volatility, c.name || ': volatility')
  FROM contract c LEFT JOIN functions f ON f.proname = c.name ORDER BY c.name;
SELECT is(f.proparallel, c.parallel, c.name || ': parallel safety')
  FROM contract c LEFT JOIN functions f ON f.proname = c.name ORDER BY c.name;

-- Views, whose columns are added to at the end only
SELECT set_eq($$SELECT relname::text FROM relations WHERE relkind = 'v'$$,
  ARRAY['sessions', 'partitions', 'workers', 'services', 'attachments', 'counters', 'maps',
    'locks', 'semaphores', 'elections', 'streams', 'methods', 'namespace_grants', 'limits'],
  'the views are those of the interface');
SELECT is((SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = ('atomix.' || v.name)::regclass AND attnum > 0 AND NOT attisdropped),
  v.columns, v.name || ': columns')
  FROM (VALUES
    ('attachments', 'session_id bigint, service_id bigint, type text, namespace text, name text, deleted boolean'),
    ('counters', 'namespace text, name text, value bigint, service_id bigint'),
    ('elections', 'service_id bigint, namespace text, name text, term bigint, session_id bigint, candidate text, granted boolean, token bigint, ticket bigint, priority integer, queue_position bigint, since timestamp with time zone, owner regrole'),
    ('locks', 'service_id bigint, namespace text, name text, session_id bigint, granted boolean, token bigint, ticket bigint, shared boolean, since timestamp with time zone, owner regrole, session_name text, application_name text, client_addr inet'),
    ('semaphores', 'service_id bigint, namespace text, name text, capacity bigint, session_id bigint, granted boolean, token bigint, ticket bigint, permits integer, since timestamp with time zone, owner regrole, session_name text, application_name text, client_addr inet'),
    ('streams', 'session_id bigint, sequence_num bigint, service_id bigint, type text, namespace text, name text, kind text, key text, acked_output bigint, acked_revision bigint, behind bigint, closed boolean, reason text'),
    ('maps', 'namespace text, name text, entries bigint, service_id bigint'),
    ('methods', 'path text, request text, response text, function text, server_streaming boolean'),
    ('limits', 'name text, namespace text, value bigint, used bigint'),
    ('namespace_grants', 'namespace text, is_prefix boolean, role text, privileges text'),
    ('partitions', 'partition_id integer, term bigint, leader text, since timestamp with time zone, location text'),
    ('sessions', 'session_id bigint, partition_id integer, name text, kind text, labels jsonb, owner regrole, application_name text, client_addr inet, opened_at timestamp with time zone, last_renewed_at timestamp with time zone, deadline timestamp with time zone, timeout interval, state text, reason text'),
    ('services', 'service_id bigint, partition_id integer, type text, namespace text, name text, revision bigint, sessions bigint, entries bigint'),
    ('workers', 'database name, pid integer, state text, last_cycle timestamp with time zone, lag interval, last_error text, library text, sql text')
  ) AS v (name, columns) ORDER BY v.name;
SELECT ok('security_barrier=true' = ANY (reloptions) OR 'security_barrier' = ANY (reloptions),
    relation || ': is a security barrier')
  FROM relations WHERE relkind = 'v' ORDER BY relname;

--
-- Documentation: a comment on every object, in sentences
--
SELECT matches(obj_description(oid, 'pg_proc'), '^[A-Za-z].*\.$', signature || ': comment')
  FROM functions ORDER BY proname;
SELECT matches(obj_description(oid, 'pg_class'), '^[A-Z].*\.$', relation || ': comment')
  FROM relations WHERE relkind IN ('r', 'p', 'v', 'S') ORDER BY relname;
-- The errors a function has of its own are named in its comment.
SELECT matches(obj_description(oid, 'pg_proc'), 'Errors: |\(\d{5}\)', signature || ': comment tells of errors')
  FROM functions f JOIN contract c ON c.name = f.proname
  WHERE f.pronargs > 0 AND f.proname <> '_lease_times' ORDER BY f.proname;
-- Nothing but functions, relations, their types, rules and indexes came along.
SELECT is_empty($$SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'atomix')
    AND classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass)$$,
  'there are no objects of other kinds');
SELECT is_empty($$SELECT pg_describe_object('pg_type'::regclass, t.oid, 0) FROM pg_type t
  WHERE t.typnamespace = 'atomix'::regnamespace AND t.typrelid = 0 AND t.typcategory <> 'A'$$,
  'there are no types but those of the relations');
SELECT is_empty($$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'atomix'::regnamespace
  AND relkind NOT IN ('i', 'c') EXCEPT SELECT relation FROM relations$$,
  'every relation in the schema belongs to the extension');
SELECT is_empty($$SELECT oid FROM pg_proc WHERE pronamespace = 'atomix'::regnamespace
  EXCEPT SELECT oid FROM functions$$, 'so does every function');
SELECT is_empty($$SELECT signature::text FROM functions WHERE pronamespace <> 'atomix'::regnamespace
  UNION ALL SELECT relation::text FROM relations WHERE relnamespace <> 'atomix'::regnamespace$$,
  'and nothing of it lies elsewhere');

--
-- Rule 1: one name, one signature, a name of its own
--
SELECT is_empty('SELECT proname FROM functions GROUP BY proname HAVING count(*) > 1',
  'no function is overloaded');
SELECT is_empty($$SELECT f.proname FROM functions f JOIN pg_proc p USING (proname)
  WHERE p.pronamespace = 'pg_catalog'::regnamespace$$, 'none is named as one of pg_catalog');
SELECT is_empty($$SELECT f.proname FROM functions f JOIN pg_get_keywords() k ON k.word = f.proname
  WHERE k.catcode <> 'U'$$, 'none is named by a reserved word');
SELECT is_empty($$SELECT signature FROM functions WHERE prokind <> 'f' OR provariadic <> 0$$,
  'all are plain functions');
SELECT is_empty($$SELECT f.signature FROM functions f, unnest(f.proargtypes::oid[]) AS t
  JOIN pg_type p ON p.oid = t WHERE p.typtype = 'p'$$, 'no argument is of a pseudo-type');
SELECT is_empty($$SELECT signature FROM functions WHERE proargnames IS NULL AND pronargs > 0
  OR '' = ANY (proargnames)$$, 'every argument has a name');

-- A driver sends parameters without types.
CREATE TEMP TABLE calls AS
  SELECT f.proname AS name,
    format('%I(%s)', f.proname, (SELECT string_agg('$' || n, ', ') FROM generate_series(1, pronargs) AS n)) AS call
  FROM functions f WHERE f.prorettype <> 'trigger'::regtype;
SELECT lives_ok(format('PREPARE %I AS SELECT * FROM atomix.%s', 'q_' || name, call),
    name || ': is prepared with untyped parameters')
  FROM calls ORDER BY name;
SELECT is(array_to_string(p.parameter_types::oid[], ' '), f.proargtypes::text, f.proname || ': parameters get the argument types')
  FROM functions f LEFT JOIN pg_prepared_statements p ON p.name = 'q_' || f.proname
  WHERE f.prorettype <> 'trigger'::regtype
  ORDER BY f.proname;
SET LOCAL search_path = public, atomix;
SELECT lives_ok(format('PREPARE %I AS SELECT * FROM %s', 'u_' || name, call),
    name || ': and by its bare name with the schema in the path')
  FROM calls ORDER BY name;
RESET search_path;
-- Fewer arguments, where there are defaults
SELECT lives_ok(format('PREPARE %I AS SELECT * FROM atomix.%I(%s)', f.proname || n, f.proname,
      (SELECT string_agg('$' || i, ', ') FROM generate_series(1, n) AS i)),
    format('%s: is prepared with %s of %s parameters', f.proname, n, f.pronargs))
  FROM functions f, generate_series(f.pronargs - f.pronargdefaults, f.pronargs - 1) AS n
  ORDER BY f.proname, n;

--
-- Rule 3: nothing is STRICT, and a null where a value is needed is an error
--
SELECT is_empty('SELECT signature FROM functions WHERE proisstrict', 'no function is strict');
CREATE TEMP TABLE required AS
  SELECT f.proname, f.proargnames[n] AS argument,
    -- Whatever else the call needs is given a value that is not null.
    (SELECT string_agg(format('%I => %s', f.proargnames[i],
        CASE WHEN i = n THEN 'NULL'
          ELSE CASE format_type(f.proargtypes[i - 1], NULL) WHEN 'text' THEN '''x''' WHEN 'bytea' THEN '''x'''
            WHEN 'interval' THEN '''0''' WHEN 'boolean' THEN 'false' WHEN 'jsonb' THEN '''{}'''
            WHEN 'bytea[]' THEN '''{}''' WHEN 'bigint[]' THEN '''{}''' WHEN 'text[]' THEN '''{}''' ELSE '1' END END), ', ')
      FROM generate_series(1, f.pronargs) AS i
      WHERE i = n OR i <= f.pronargs - f.pronargdefaults) AS arguments
  FROM functions f, generate_series(1, f.pronargs) AS n
  WHERE pg_get_function_arg_default(f.oid, n) IS DISTINCT FROM
      'NULL::' || format_type(f.proargtypes[n - 1], NULL)
    -- It shows what there is to show, and nulls of the outer join.
    AND f.proname <> '_lease_times'
    -- A null there means as long as may be.
    AND NOT (f.proname IN ('wait_events', 'wait_ticket') AND f.proargnames[n] = 'timeout')
    AND NOT (f.proname = 'runtime_list_sessions' AND f.proargnames[n] = 'max_wait');
SELECT cmp_ok((SELECT count(*) FROM required), '>=', 180::bigint, 'there are arguments that must not be null');
SELECT throws_ok(format('SELECT atomix.%I(%s)', proname, arguments), '22004', NULL,
    format('%s: a null as %s is an error', proname, argument))
  FROM required ORDER BY proname, argument;

--
-- Rule 7: who may do what
--
SELECT is(has_function_privilege('public', f.oid, 'EXECUTE'), NOT c.restricted,
    f.signature || CASE WHEN c.restricted THEN ': is for administrators' ELSE ': is for everybody' END)
  FROM functions f JOIN contract c ON c.name = f.proname ORDER BY f.proname;
SELECT is_empty($$SELECT relation, a.grantee::regrole, a.privilege_type
    FROM relations, aclexplode(coalesce(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner))) AS a
    WHERE relkind IN ('r', 'p', 'S') AND a.grantee <> relowner$$,
  'nobody but the owner has a right on a table or sequence');
SELECT is_empty($$SELECT relation, attname FROM relations JOIN pg_attribute ON attrelid = relations.oid
    WHERE attacl IS NOT NULL$$, 'there are no rights on columns');
SELECT set_eq($$SELECT relname::text, string_agg(privilege_type, ',')
    FROM relations, aclexplode(relacl) AS a
    WHERE relkind = 'v' AND a.grantee = 0 GROUP BY relname ORDER BY relname$$,
  $$VALUES ('attachments', 'SELECT'), ('counters', 'SELECT'), ('elections', 'SELECT'),
    ('locks', 'SELECT'), ('maps', 'SELECT'), ('methods', 'SELECT'), ('namespace_grants', 'SELECT'), ('limits', 'SELECT'), ('semaphores', 'SELECT'), ('partitions', 'SELECT'),
    ('services', 'SELECT'), ('sessions', 'SELECT'), ('streams', 'SELECT'), ('workers', 'SELECT')$$,
  'everybody may read the views and no more');
SELECT is_empty($$SELECT nspname, a.grantee FROM pg_namespace, aclexplode(nspacl) AS a
    WHERE nspname = 'atomix' AND a.grantee <> nspowner$$, 'the schema is for those who are given it');
SELECT is_empty($$SELECT p.signature FROM functions p WHERE prosecdef
    AND NOT coalesce(EXISTS (SELECT FROM unnest(proconfig) AS s WHERE s LIKE 'search_path=%'), false)$$,
  'no function is SECURITY DEFINER without a search path of its own');
SELECT is_empty('SELECT signature FROM functions WHERE proleakproof', 'no function claims to be leak-proof');

--
-- Tables
--
SELECT set_eq($$SELECT c.oid::regclass::text FROM pg_extension e, unnest(e.extconfig) AS o
    JOIN pg_class c ON c.oid = o WHERE e.extname = 'atomix'$$,
  ARRAY['atomix.index_seq', 'atomix.authority', 'atomix.clock_epoch', 'atomix.partition', 'atomix.partition_term', 'atomix.placement',
    'atomix.service', 'atomix.entry', 'atomix.intervention', 'atomix.namespace_grant', 'atomix.namespace_limit'],
  'what outlives the server is dumped, and nothing else');
SELECT is((SELECT array_agg(DISTINCT c) FROM pg_extension e, unnest(e.extcondition) AS c WHERE e.extname = 'atomix'),
  ARRAY[''], 'all of it');
SELECT is_empty($$SELECT relation, attname, atttypid::regtype FROM relations
    JOIN pg_attribute ON attrelid = relations.oid
    WHERE attnum > 0 AND relkind IN ('r', 'p') AND atttypid IN ('regclass'::regtype, 'regcollation'::regtype,
      'regconfig'::regtype, 'regdictionary'::regtype, 'regnamespace'::regtype, 'regoper'::regtype,
      'regoperator'::regtype, 'regproc'::regtype, 'regprocedure'::regtype, 'regtype'::regtype)$$,
  'no column would stand in the way of pg_upgrade');
SELECT is_empty($$SELECT conrelid::regclass, conname FROM pg_constraint
    WHERE contype = 'f' AND (conrelid IN (SELECT oid FROM relations) OR confrelid IN (SELECT oid FROM relations))$$,
  'there are no foreign keys');
SELECT is_empty($$SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relations)$$,
  'nor triggers');
SELECT is_empty($$SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
    WHERE i.indrelid = 'atomix.lease'::regclass AND a.attname IN ('renewed_at', 'served', 'epoch')
      AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))$$,
  'no index is on what a renewal changes');
SELECT is_empty($$SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
    WHERE i.indrelid = 'atomix.service'::regclass AND a.attname IN ('value', 'revision')
      AND a.attnum = ANY (i.indkey)$$, 'nor on what an operation changes of a service');
SELECT ok(NOT EXISTS (SELECT FROM pg_extension, unnest(extconfig) AS o WHERE o = 'atomix.event'::regclass),
  'events are not dumped: where they go, nobody may take up a position from here');
SELECT is_empty($$SELECT r.relation FROM relations r WHERE r.relkind = 'r' AND NOT EXISTS
    (SELECT FROM pg_constraint c WHERE c.conrelid = r.oid AND c.contype = 'p')$$,
  'every table has a primary key');
SELECT is_empty($$SELECT relation FROM relations WHERE relkind IN ('r', 'S') AND relpersistence <> 'p'$$,
  'everything survives a crash');
SELECT set_eq($$SELECT seqstart, seqmin, seqincrement, seqcache, seqcycle, seqtypid::regtype::text
    FROM pg_sequence WHERE seqrelid = 'atomix.index_seq'::regclass$$,
  $$VALUES (1::bigint, 1::bigint, 1::bigint, 1::bigint, false, 'bigint')$$,
  'the index is drawn one by one and never again');
SELECT is((SELECT extversion FROM pg_extension WHERE extname = 'atomix'), (SELECT sql FROM atomix.extension_version()),
  'the version is the one that the library sees');
SELECT ok(NOT extrelocatable, 'the schema is fixed') FROM pg_extension WHERE extname = 'atomix';

SELECT * FROM finish();
ROLLBACK;
