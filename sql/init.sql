--
-- Proves that the extension comes with CREATE EXTENSION and goes with its
-- rollback, that it leaves no row in a table that is dumped until first use,
-- and that the first call makes partition 1.  The other tests start from
-- what this one leaves.
--

-- Whoever creates the extension can use it before anybody else can see it.
BEGIN;
CREATE EXTENSION atomix;
SELECT atomix.open_session() AS own \gset
SELECT state, partition_id FROM atomix.sessions WHERE session_id = :own;
SELECT atomix.keep_alive(:own);
SELECT atomix.close_session(:own);
ROLLBACK;
SELECT to_regnamespace('atomix') IS NULL AS gone;

CREATE EXTENSION atomix;
SELECT sql = library AS same_version FROM atomix.extension_version();

-- Nothing was done yet, and the worker does nothing of its own accord: a
-- restore may be about to fill the tables.
SELECT count(*) FROM atomix.authority;
SELECT count(*) FROM atomix.clock_epoch;
SELECT count(*) FROM atomix.partition;
SELECT count(*) FROM atomix.partition_term;
SELECT is_called FROM atomix.index_seq;

SELECT atomix.open_session() AS first \gset
SELECT partition_id, term, leader <> '' AS has_leader, since <= clock_timestamp() AS has_begun
  FROM atomix.partitions;
SELECT partition_id, term FROM atomix.partition_term;
SELECT count(*) FROM atomix.authority;
SELECT count(*) FROM atomix.clock_epoch;

-- Ids are whole numbers for readers of JSON, too.
SELECT :first < 2::numeric ^ 53 AS below_2_53, length(:'first') BETWEEN 14 AND 16 AS digits;
SELECT atomix.close_session(:first);

--
-- Helpers of the other tests
--
CREATE SCHEMA test;
GRANT USAGE ON SCHEMA test TO PUBLIC;

-- What a statement answers, or with which error it fails.  Ids that vary
-- from run to run are shown as <1>, <2> and so on.
CREATE FUNCTION test.outcome(statement text, VARIADIC ids bigint[] DEFAULT '{}')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
  detail text;
  hint text;
BEGIN
  BEGIN
    EXECUTE statement INTO answer;
    answer := coalesce(answer, 'null');
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    answer := sqlstate || ': ' || sqlerrm ||
      coalesce('; ' || nullif(detail, ''), '') || coalesce('; ' || nullif(hint, ''), '');
  END;
  FOR i IN 1 .. cardinality(ids) LOOP
    answer := replace(answer, ids[i]::text, format('<%s>', i));
  END LOOP;
  RETURN answer;
END $$;

-- Whether an expression becomes true within a minute.
CREATE FUNCTION test.becomes_true(expression text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  give_up timestamptz := clock_timestamp() + interval '1 min';
  result boolean := false;
BEGIN
  LOOP
    EXECUTE 'SELECT ' || expression INTO result;
    IF result OR clock_timestamp() > give_up THEN
      RETURN coalesce(result, false);
    END IF;
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;

-- Whether two spans are the same but for the time a busy machine takes.
CREATE FUNCTION test.about(a interval, b interval)
RETURNS boolean LANGUAGE sql AS $$
  SELECT a - b BETWEEN interval '-20 s' AND interval '20 s'
$$;

-- The state the view shows, once no end of the session is due or pending.
CREATE FUNCTION test.state(id bigint)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM test.becomes_true(format('NOT EXISTS (SELECT FROM atomix.sessions
    WHERE session_id = %s AND (state = %L OR deadline < clock_timestamp()))',
    id, 'closing'));
  RETURN (SELECT state FROM atomix.sessions WHERE session_id = id);
END $$;

-- What a statement answers, with its effects undone.
CREATE FUNCTION test.undone(statement text, VARIADIC ids bigint[] DEFAULT '{}')
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = test.outcome(statement, VARIADIC ids);
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  RETURN sqlerrm;
END $$;

-- The smallest part of the wire format that it takes.
CREATE FUNCTION test.varint(value numeric) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
  bytes bytea := '';
BEGIN
  WHILE value > 127 LOOP
    bytes := bytes || set_byte('\x00', 0, (value % 128)::int + 128);
    value := div(value, 128);
  END LOOP;
  RETURN bytes || set_byte('\x00', 0, value::int);
END $$;

-- A varint field, nothing for null.
CREATE FUNCTION test.number(field int, value numeric) RETURNS bytea LANGUAGE sql AS $$
  SELECT coalesce(test.varint(field * 8) || test.varint(value), '')
$$;

-- A length-prefixed field, nothing for null.
CREATE FUNCTION test.bytes(field int, value bytea) RETURNS bytea LANGUAGE sql AS $$
  SELECT coalesce(test.varint(field * 8 + 2) || test.varint(length(value)) || value, '')
$$;

-- The fields of a message of which the server writes each at most once.
CREATE FUNCTION test.fields(message bytea)
RETURNS TABLE (field int, number numeric, bytes bytea) LANGUAGE plpgsql AS $$
DECLARE
  at int := 0;
  tag int;
  part int;
  factor numeric;
BEGIN
  WHILE at < length(message) LOOP
    tag := get_byte(message, at);
    at := at + 1;
    field := tag / 8;
    number := 0;
    bytes := NULL;
    factor := 1;
    LOOP
      part := get_byte(message, at);
      at := at + 1;
      number := number + part % 128 * factor;
      factor := factor * 128;
      EXIT WHEN part < 128;
    END LOOP;
    IF tag % 8 = 2 THEN
      bytes := substring(message FROM at + 1 FOR number::int);
      at := at + number::int;
      number := NULL;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

-- A response: headers (index, status, message) and output (session_id).
CREATE FUNCTION test.read(response bytea, OUT status int, OUT index numeric,
  OUT session_id numeric, OUT message text, OUT has_output boolean)
LANGUAGE sql AS $$
  SELECT (SELECT f.number FROM test.fields(h.bytes) f WHERE f.field = 2)::int,
    (SELECT f.number FROM test.fields(h.bytes) f WHERE f.field = 1),
    (SELECT f.number FROM test.fields(o.bytes) f WHERE f.field = 1),
    (SELECT convert_from(f.bytes, 'UTF8') FROM test.fields(h.bytes) f WHERE f.field = 3),
    o.bytes IS NOT NULL
  FROM (SELECT f.bytes FROM test.fields(response) f WHERE f.field = 1) AS h
    LEFT JOIN (SELECT f.bytes FROM test.fields(response) f WHERE f.field = 2) AS o ON true
$$;

-- Requests to partition 1.  A Duration is seconds and nanoseconds.
CREATE FUNCTION test.open_request(seconds numeric = NULL, nanos numeric = NULL, partition int = 1)
RETURNS bytea LANGUAGE sql AS $$
  SELECT test.bytes(1, test.number(1, partition)) ||
    test.bytes(2, test.bytes(1, test.number(1, seconds) || test.number(2, nanos)))
$$;
CREATE FUNCTION test.keep_alive_request(id numeric, last numeric = NULL, filter text = NULL, partition int = 1)
RETURNS bytea LANGUAGE sql AS $$
  SELECT test.bytes(1, test.number(1, partition)) || test.bytes(2, test.number(1, id) ||
    test.number(2, last) || test.bytes(3, convert_to(filter, 'UTF8')))
$$;
-- The later layout has fields 2 and 3 the other way round.
CREATE FUNCTION test.later_keep_alive_request(id numeric, last numeric, filter text)
RETURNS bytea LANGUAGE sql AS $$
  SELECT '\x0a020801' || test.bytes(2, test.number(1, id) ||
    test.bytes(2, convert_to(filter, 'UTF8')) || test.number(3, last))
$$;
CREATE FUNCTION test.close_request(id numeric, partition int = 1)
RETURNS bytea LANGUAGE sql AS $$
  SELECT test.bytes(1, test.number(1, partition)) || test.bytes(2, test.number(1, id))
$$;

--
-- Plays with locks, semaphores and elections.  Sessions are known by their
-- names, of one capital letter.
--

-- The claims on a service in order.  A*: granted to session A; B: B waits; a
-- small s: shared; a number: permits.  Candidates of an election are shown by
-- their own names, after the term.
CREATE FUNCTION test.claims(service text, ns text = '') RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', (SELECT DISTINCT term || ':' FROM atomix.elections WHERE name = service AND namespace = ns),
    (SELECT string_agg(c.who || CASE WHEN c.granted THEN '*' ELSE '' END, ' '
        ORDER BY c.granted DESC, c.place)
      FROM (SELECT granted, coalesce(token, ticket) AS place,
            CASE session_id WHEN 0 THEN 'delay' ELSE session_name END || CASE WHEN shared THEN 's' ELSE '' END AS who
          FROM atomix.locks WHERE name = service AND namespace = ns AND session_id IS NOT NULL
        UNION ALL
        SELECT granted, coalesce(token, ticket), session_name || permits
          FROM atomix.semaphores WHERE name = service AND namespace = ns AND session_id IS NOT NULL
        UNION ALL
        SELECT granted, coalesce(queue_position, 0), candidate
          FROM atomix.elections WHERE name = service AND namespace = ns AND session_id IS NOT NULL) AS c))
$$;

-- Calls one after another, with what each answers and the claims after it.
-- In a call L is the service's name, @A the id of session A, #A the token of
-- its latest grant on the service, %A its ticket.  Ids in answers are not
-- shown.
CREATE FUNCTION test.play(service text, VARIADIC calls text[])
RETURNS TABLE (call text, answer text, claims text) LANGUAGE plpgsql AS $$
DECLARE
  statement text;
  s record;
  seen bigint := 0;
  newest bigint;
BEGIN
  FOREACH call IN ARRAY calls LOOP
    statement := regexp_replace('SELECT atomix.' || call, '\mL\M', quote_literal(service), 'g');
    FOR s IN SELECT o.name, o.session_id, max(c.token) AS token, max(c.ticket) AS ticket
        FROM atomix.sessions o LEFT JOIN (SELECT session_id, token, ticket FROM atomix.locks WHERE name = service
          UNION ALL SELECT session_id, token, ticket FROM atomix.semaphores WHERE name = service
          UNION ALL SELECT session_id, token, ticket FROM atomix.elections WHERE name = service) AS c USING (session_id)
        WHERE o.name ~ '^[A-Z]$' AND o.session_id IN (SELECT max(n.session_id) FROM atomix.sessions n GROUP BY n.name)
        GROUP BY o.name, o.session_id LOOP
      statement := replace(statement, '@' || s.name, s.session_id::text);
      statement := replace(statement, '#' || s.name, coalesce(s.token, 1)::text);
      statement := replace(statement, '%' || s.name, coalesce(s.ticket, 1)::text);
    END LOOP;
    answer := regexp_replace(test.outcome(statement), '\d{14,16}', '<n>', 'g');
    claims := test.claims(service);
    call := regexp_replace(call, '\d{14,16}', '<n>', 'g');
    RETURN NEXT;
  END LOOP;
END $$;

-- New sessions with these names.
CREATE FUNCTION test.open(VARIADIC names text[]) RETURNS bigint LANGUAGE sql AS $$
  SELECT count(atomix.open_session('8 min', n)) FROM unnest(names) AS n
$$;
