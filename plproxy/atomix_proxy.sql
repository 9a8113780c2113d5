-- The interface of the atomix extension on a PL/Proxy server: calls go to the
-- partitions they are for. Made by generate.sql; docs/scaling.md tells how to
-- use it. Run it by psql in a database that does not have the extension itself.
\set ON_ERROR_STOP on
BEGIN;
CREATE EXTENSION IF NOT EXISTS plproxy;
CREATE SCHEMA atomix;

CREATE FUNCTION atomix.partition_count() RETURNS integer LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*)::int FROM pg_foreign_server, unnest(srvoptions) AS option
  WHERE srvname = 'atomix' AND option ~ '^p[0-9]+='
$$;
COMMENT ON FUNCTION atomix.partition_count() IS 'How many partitions foreign server atomix names: p0 is partition 1.';

CREATE FUNCTION atomix.partition_of(namespace text, name text) RETURNS integer LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bytes bytea := convert_to(name, 'UTF8');
  hash bigint := 2166136261;
BEGIN
  IF namespace <> '' THEN
    bytes := convert_to(namespace, 'UTF8') || '\x00' || bytes;
  END IF;
  FOR i IN 0 .. length(bytes) - 1 LOOP
    hash := (hash # get_byte(bytes, i)) * 16777619 & 4294967295;
  END LOOP;
  RETURN hash % atomix.partition_count() + 1;
END $$;
COMMENT ON FUNCTION atomix.partition_of(text, text) IS 'The partition that services of that name belong to, as each partition itself computes it.';

CREATE FUNCTION atomix._route(partition_id integer) RETURNS integer LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF partition_id IS NULL OR partition_id NOT BETWEEN 1 AND atomix.partition_count() THEN
    RAISE 'partition % does not exist', partition_id USING ERRCODE = '22023';
  END IF;
  RETURN partition_id - 1;
END $$;
COMMENT ON FUNCTION atomix._route(integer) IS 'The place of a partition in foreign server atomix.';

CREATE FUNCTION atomix._route_name(namespace text, name text) RETURNS integer LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF name IS NULL OR namespace IS NULL THEN
    RAISE 'argument "%" must not be null', CASE WHEN name IS NULL THEN 'name' ELSE 'namespace' END
      USING ERRCODE = '22004';
  END IF;
  RETURN atomix.partition_of(namespace, name) - 1;
END $$;
COMMENT ON FUNCTION atomix._route_name(text, text) IS 'The place of the partition of a name in foreign server atomix.';

CREATE FUNCTION atomix.keep_alive_many(partition_ids integer[], session_ids bigint[])
RETURNS TABLE (partition_id integer, session_id bigint, state text, time_left interval)
LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  SPLIT partition_ids, session_ids;
  RUN ON atomix._route(partition_ids);
  SELECT ($1)[1] AS partition_id, k.session_id AS session_id, k.state AS state, k.time_left AS time_left
    FROM atomix.keep_alive_many($2) AS k;
$$;
COMMENT ON FUNCTION atomix.keep_alive_many(integer[], bigint[]) IS 'Renews the sessions that the two arrays name, in one call for each partition, at the same time.';

CREATE FUNCTION atomix.ack(partition_id integer, session_id bigint, sequence_num bigint, output_num bigint DEFAULT NULL::bigint)
RETURNS void LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.ack($2, $3, $4);
$$;

CREATE FUNCTION atomix.ack_many(partition_id integer, session_id bigint, sequence_nums bigint[], output_nums bigint[])
RETURNS void LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.ack_many($2, $3, $4);
$$;

CREATE FUNCTION atomix.call(partition_id integer, method text, request bytea)
RETURNS SETOF bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.call($2, $3);
$$;

CREATE FUNCTION atomix.close_service(partition_id integer, session_id bigint, service_id bigint)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.close_service($2, $3);
$$;

CREATE FUNCTION atomix.close_session(partition_id integer, session_id bigint)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.close_session($2);
$$;

CREATE FUNCTION atomix.command(partition_id integer, session_id bigint, service_id bigint, payload bytea, sequence_num bigint DEFAULT 0, OUT status text, OUT output bytea, OUT replayed boolean, OUT index bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.command($2, $3, $4, $5);
$$;

CREATE FUNCTION atomix.commands(partition_id integer, session_id bigint, service_id bigint, payloads bytea[], first_sequence_num bigint)
RETURNS TABLE(sequence_num bigint, status text, output bytea, replayed boolean) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.commands($2, $3, $4, $5);
$$;

CREATE FUNCTION atomix.counter_compare_and_set(name text, expected bigint, value bigint, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.counter_decrement(name text, delta bigint DEFAULT 1, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.counter_get(name text, namespace text DEFAULT ''::text)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.counter_increment(name text, delta bigint DEFAULT 1, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.counter_set(name text, value bigint, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.create_service(session_id bigint, type text, name text, namespace text DEFAULT ''::text)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.delete_service(name text, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.election_anoint(name text, candidate text, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.election_demote(name text, candidate text, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.election_enter(session_id bigint, name text, candidate text DEFAULT NULL::text, priority integer DEFAULT 0, namespace text DEFAULT ''::text, OUT is_leader boolean, OUT token bigint, OUT term bigint, OUT leader text, OUT ticket bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.election_evict(name text, candidate text, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.election_leader(name text, namespace text DEFAULT ''::text)
RETURNS TABLE(leader text, session_id bigint, token bigint, term bigint, since timestamp with time zone) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.election_promote(name text, candidate text, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.election_withdraw(session_id bigint, name text, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.fetch_outputs(partition_id integer, session_id bigint, sequence_num bigint, max_rows integer DEFAULT 1000)
RETURNS TABLE(output_num bigint, kind text, output bytea, index bigint) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.fetch_outputs($2, $3, $4);
$$;

CREATE FUNCTION atomix.fetch_outputs_many(partition_id integer, session_id bigint, max_rows integer DEFAULT 1000)
RETURNS TABLE(sequence_num bigint, output_num bigint, kind text, output bytea, index bigint) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.fetch_outputs_many($2, $3);
$$;

CREATE FUNCTION atomix.keep_alive(partition_id integer, session_id bigint)
RETURNS interval LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.keep_alive($2);
$$;

CREATE FUNCTION atomix.lock_acquire(session_id bigint, name text, timeout interval DEFAULT NULL::interval, namespace text DEFAULT ''::text, shared boolean DEFAULT false, OUT granted boolean, OUT token bigint, OUT ticket bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.lock_cancel(session_id bigint, name text, ticket bigint, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.lock_release(session_id bigint, name text, token bigint DEFAULT NULL::bigint, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.lock_try(session_id bigint, name text, namespace text DEFAULT ''::text, shared boolean DEFAULT false, OUT granted boolean, OUT token bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_clear(name text, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_entries(name text, after_key text DEFAULT NULL::text, max_rows integer DEFAULT 1000, namespace text DEFAULT ''::text)
RETURNS TABLE(key text, value bytea, index bigint, expires_at timestamp with time zone) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_entries_text(name text, after_key text DEFAULT NULL::text, max_rows integer DEFAULT 1000, namespace text DEFAULT ''::text)
RETURNS TABLE(key text, value text, index bigint, expires_at timestamp with time zone) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_get(name text, key text, namespace text DEFAULT ''::text)
RETURNS TABLE(value bytea, index bigint, expires_at timestamp with time zone) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_get_text(name text, key text, namespace text DEFAULT ''::text)
RETURNS text LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_insert(name text, key text, value bytea, ttl interval DEFAULT NULL::interval, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_insert_text(name text, key text, value text, ttl interval DEFAULT NULL::interval, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_put(name text, key text, value bytea, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value bytea)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_put_text(name text, key text, value text, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value text)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_remove(name text, key text, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_size(name text, namespace text DEFAULT ''::text)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_update(name text, key text, value bytea, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value bytea)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.map_update_text(name text, key text, value text, ttl interval DEFAULT NULL::interval, prev_index bigint DEFAULT NULL::bigint, namespace text DEFAULT ''::text, session_id bigint DEFAULT NULL::bigint, sequence_num bigint DEFAULT 0, OUT index bigint, OUT prev_value text)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.open_session(timeout interval DEFAULT NULL::interval, name text DEFAULT NULL::text, kind text DEFAULT NULL::text, labels jsonb DEFAULT '{}'::jsonb, config bytea DEFAULT NULL::bytea, services jsonb DEFAULT '[]'::jsonb, partition_id integer DEFAULT 1)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route(partition_id);
$$;

CREATE FUNCTION atomix.outcome(partition_id integer, session_id bigint, sequence_num bigint, OUT state text, OUT status text, OUT output bytea, OUT at timestamp with time zone)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.outcome($2, $3);
$$;

CREATE FUNCTION atomix.partition_close_session(partition_id integer, request bytea)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.partition_close_session($2);
$$;

CREATE FUNCTION atomix.partition_command(partition_id integer, request_headers bytea, input bytea, OUT headers bytea, OUT output bytea)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.partition_command($2, $3);
$$;

CREATE FUNCTION atomix.partition_commands(partition_id integer, request_headers bytea[], inputs bytea[])
RETURNS TABLE(n integer, headers bytea, output bytea) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.partition_commands($2, $3);
$$;

CREATE FUNCTION atomix.partition_events(partition_id integer, after_term bigint DEFAULT 0)
RETURNS TABLE(term bigint, leader text, at timestamp with time zone) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route(partition_id);
$$;

CREATE FUNCTION atomix.partition_keep_alive(partition_id integer, request bytea)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.partition_keep_alive($2);
$$;

CREATE FUNCTION atomix.partition_open_session(partition_id integer, request bytea)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.partition_open_session($2);
$$;

CREATE FUNCTION atomix.partition_query(partition_id integer, request_headers bytea, input bytea, OUT headers bytea, OUT output bytea)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.partition_query($2, $3);
$$;

CREATE FUNCTION atomix.partition_watch(partition_id integer, request bytea)
RETURNS SETOF bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.partition_watch($2);
$$;

CREATE FUNCTION atomix.query(partition_id integer, session_id bigint, service_id bigint, payload bytea, last_sequence_num bigint DEFAULT 0, OUT status text, OUT output bytea, OUT index bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.query($2, $3, $4, $5);
$$;

CREATE FUNCTION atomix.resume_stream(partition_id integer, session_id bigint, sequence_num bigint, output_num bigint DEFAULT NULL::bigint, index bigint DEFAULT NULL::bigint)
RETURNS void LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.resume_stream($2, $3, $4, $5);
$$;

CREATE FUNCTION atomix.runtime_get_session(partition_id integer, request bytea)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.runtime_get_session($2);
$$;

CREATE FUNCTION atomix.runtime_list_sessions(partition_id integer, request bytea, after_version bigint DEFAULT 0, max_wait interval DEFAULT '00:00:00'::interval)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.runtime_list_sessions($2, $3, $4);
$$;

CREATE FUNCTION atomix.semaphore_acquire(session_id bigint, name text, permits integer DEFAULT 1, timeout interval DEFAULT NULL::interval, namespace text DEFAULT ''::text, OUT granted boolean, OUT token bigint, OUT ticket bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.semaphore_release(session_id bigint, name text, token bigint DEFAULT NULL::bigint, namespace text DEFAULT ''::text)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.semaphore_resize(name text, permits integer, namespace text DEFAULT ''::text)
RETURNS integer LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.semaphore_try(session_id bigint, name text, permits integer DEFAULT 1, namespace text DEFAULT ''::text, OUT granted boolean, OUT token bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

CREATE FUNCTION atomix.session_close_session(partition_id integer, request bytea)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.session_close_session($2);
$$;

CREATE FUNCTION atomix.session_command(partition_id integer, header bytea, payload bytea, service_type text DEFAULT NULL::text, OUT header bytea, OUT payload bytea)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.session_command($2, $3, $4);
$$;

CREATE FUNCTION atomix.session_events(partition_id integer, after_version bigint DEFAULT 0, max_rows integer DEFAULT 1000)
RETURNS TABLE(version bigint, session_id bigint, state text, reason text, at timestamp with time zone) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.session_events($2, $3);
$$;

CREATE FUNCTION atomix.session_fetch(partition_id integer, header bytea, max_rows integer DEFAULT 1000)
RETURNS TABLE(header bytea, payload bytea) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.session_fetch($2, $3);
$$;

CREATE FUNCTION atomix.session_keep_alive(partition_id integer, request bytea)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.session_keep_alive($2);
$$;

CREATE FUNCTION atomix.session_open_session(partition_id integer, request bytea)
RETURNS bytea LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.session_open_session($2);
$$;

CREATE FUNCTION atomix.wait_events(partition_id integer, session_id bigint, timeout interval DEFAULT '00:00:10'::interval)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.wait_events($2, $3);
$$;

CREATE FUNCTION atomix.wait_ticket(partition_id integer, session_id bigint, ticket bigint, timeout interval DEFAULT '00:00:10'::interval, OUT granted boolean, OUT token bigint)
RETURNS record LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route($1);
  SELECT * FROM atomix.wait_ticket($2, $3, $4);
$$;

CREATE FUNCTION atomix.watch(name text, from_revision bigint DEFAULT NULL::bigint, key text DEFAULT NULL::text, max_rows integer DEFAULT 1000, namespace text DEFAULT ''::text)
RETURNS TABLE(revision bigint, type text, key text, value bytea, prev_value bytea, index bigint, at timestamp with time zone) LANGUAGE plproxy AS $$
  CLUSTER 'atomix';
  RUN ON atomix._route_name(namespace, name);
$$;

COMMIT;
