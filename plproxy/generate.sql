-- Writes atomix_proxy.sql from the catalog of a database with the extension:
--	psql -X -A -t -q -f plproxy/generate.sql DATABASE > plproxy/atomix_proxy.sql
SELECT $proxy$-- The interface of the atomix extension on a PL/Proxy server: calls go to the
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
$proxy$;

-- Left out: what holds until the caller's transaction ends, since a call
-- through the proxy is a transaction of its own on the partition; what belongs
-- to a connection; what needs no partition; and what is for administrators.
WITH f AS (
  SELECT p.oid, p.proname::text AS name, p.pronargs, p.proargnames, p.proretset,
    pg_get_function_arguments(p.oid) AS arguments, pg_get_function_identity_arguments(p.oid) AS identity,
    pg_get_function_result(p.oid) AS result,
    coalesce(p.proargnames[1 : p.pronargs] @> ARRAY['partition_id'], false) AS by_partition,
    coalesce(p.proargnames[1 : p.pronargs] @> ARRAY['name', 'namespace'], false) AS by_name
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
  WHERE e.extname = 'atomix' AND p.proname !~ '^_' AND has_function_privilege('public', p.oid, 'EXECUTE')
    AND p.proname <> ALL (ARRAY['assert_lock', 'assert_leader', 'fence', 'hold', 'once', 'take_outputs', 'listen_watch',
      'keep_alive_many', 'partition_of', 'extension_version', 'message_to_json', 'message_from_json'])
)
SELECT format(E'CREATE FUNCTION atomix.%I(%s)\nRETURNS %s LANGUAGE plproxy AS $$\n  CLUSTER ''atomix'';\n  RUN ON %s;\n%s$$;\n',
  name,
  CASE WHEN by_partition OR by_name THEN arguments
    ELSE concat_ws(', ', 'partition_id integer', nullif(arguments, '')) END,
  result,
  CASE WHEN by_partition THEN 'atomix._route(partition_id)'
    WHEN by_name THEN 'atomix._route_name(namespace, name)' ELSE 'atomix._route($1)' END,
  CASE WHEN by_partition OR by_name THEN ''
    ELSE format(E'  SELECT * FROM atomix.%I(%s);\n', name,
      (SELECT string_agg('$' || i + 1, ', ' ORDER BY i) FROM generate_series(1, pronargs) AS i)) END)
FROM f ORDER BY name;
SELECT 'COMMIT;';
