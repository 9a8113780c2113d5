--
-- Proves that whatever a function cannot work with is refused with the right
-- SQLSTATE and a message that says why, and that nothing comes of it.
--
SELECT atomix.open_session('1 hour', 'witness') AS id \gset
SELECT count(*) AS sessions FROM atomix.sessions WHERE state = 'opened' \gset

--
-- Nulls where a value is needed.  Null is the default of the others.
--
SELECT statement, test.outcome(statement) FROM (VALUES
  (1, 'SELECT atomix.open_session(labels => NULL)'),
  (2, 'SELECT atomix.open_session(services => NULL)'),
  (3, 'SELECT atomix.open_session(partition_id => NULL)'),
  (4, 'SELECT atomix.keep_alive(NULL)'),
  (5, 'SELECT atomix.close_session(NULL)'),
  (6, 'SELECT atomix.end_session(NULL, ''x'')'),
  (7, 'SELECT atomix.end_session(1, NULL)'),
  (8, 'SELECT atomix.partition_open_session(NULL)'),
  (9, 'SELECT atomix.partition_keep_alive(NULL)'),
  (10, 'SELECT atomix.partition_close_session(NULL)'),
  (11, 'SELECT atomix._advance_clock(NULL)'),
  (12, 'SELECT atomix._advance_clock(''0'', NULL)'),
  (13, 'SELECT atomix._recode(NULL, '''')'),
  (14, 'SELECT atomix._recode(''x'', NULL)'),
  (15, 'SELECT atomix._filter_contains(NULL, 1)'),
  (16, 'SELECT atomix._filter_contains('''', NULL)')
) AS v (n, statement) ORDER BY n;

--
-- Durations
--
SELECT timeout, test.outcome(format('SELECT atomix.open_session(%L)', timeout)) FROM (VALUES
  (1, '0'), (2, '-1 s'), (3, '-1 us'), (4, '1 us'), (5, '999.999 ms'), (6, '999999 us'),
  (7, '1 day 1 us'), (8, '25 hours'), (9, '-1 day 24 hours'), (10, '1 day -25 hours'),
  (11, '1 mon'), (12, '1 year'), (13, '-1 mon'), (14, '1 mon -30 days'), (15, '178000000 years'),
  (16, '2147483647 days'), (17, '-2147483648 days'), (18, '2562047788 hours'),
  (19, '-2562047788 hours'), (20, '106751991 days 4 hours'), (21, '106751991 days 5 hours'),
  (22, '2147483647 days 2562047788 hours'), (23, '')
) AS v (n, timeout) ORDER BY n;
SELECT span, test.outcome(format('SELECT atomix._advance_clock(%L)', span)) FROM (VALUES
  (1, '-1 us'), (2, '1 mon'), (3, '2147483647 days')
) AS v (n, span) ORDER BY n;

--
-- Labels and services
--
SELECT labels, test.outcome(format('SELECT atomix.open_session(labels => %L)', labels))
FROM (VALUES
  (1, '[]'), (2, 'null'), (3, '"a"'), (4, '1'), (5, '[{"a": "b"}]'), (6, '{"a": 1}'),
  (7, '{"a": null}'), (8, '{"a": true}'), (9, '{"a": {"b": "c"}}'), (10, '{"a": ["b"]}'),
  (11, '{"a": "b", "c": {}}'), (12, '{"a": "b", "c": []}'), (13, '{"a"}'), (14, '')
) AS v (n, labels) ORDER BY n;
SELECT services, test.outcome(format('SELECT atomix.open_session(services => %L)', services))
FROM (VALUES
  (1, '{}'), (2, 'null'), (3, '"map"'), (4, '[null]'), (5, '[[]]'),
  (6, '[{}]'), (7, '[{"type": "map"}]'), (8, '[{"name": "m"}]'), (9, '[{"type": 1, "name": "m"}]'),
  (10, '[{"type": "map", "name": null}]'), (11, '[{"type": "map", "name": ""}]'),
  (12, '[{"type": "map", "name": "m", "namespace": 7}]'), (13, '[{"type": "queue", "name": "m"}]'),
  (14, '[{"type": "MAP", "name": "m"}]'), (15, '[{"type": "", "name": "m"}]'),
  (16, '[{"type": "map", "name": "m"}, {"type": "counter"}]'), (17, '[{"type": "map", "name": "m"}')
) AS v (n, services) ORDER BY n;
-- Names of more than 512 bytes, and more services than a session can open
SELECT test.outcome(format('SELECT atomix.open_session(services => %L)',
  jsonb_build_array(jsonb_build_object('type', 'map', 'name', repeat('é', 257)))));
SELECT test.outcome(format('SELECT atomix.open_session(services => %L)',
  (SELECT jsonb_agg(jsonb_build_object('type', 'map', 'name', 'm' || n)) FROM generate_series(1, 10001) AS n)));

--
-- Partitions and ids that do not exist
--
SELECT id, test.outcome(format('SELECT atomix.open_session(partition_id => %L)', id))
  FROM (VALUES (0), (2), (-1), (2147483647), (-2147483648)) AS v (id);
SELECT test.outcome('SELECT atomix.open_session(partition_id => ''2147483648'')');
SELECT id, test.outcome(format('SELECT atomix.keep_alive(%L)', id)) AS keep_alive,
    test.outcome(format('SELECT atomix.close_session(%L)', id)) AS close_session
  FROM (VALUES (0), (-1), (1), (9223372036854775807), (-9223372036854775808)) AS v (id);
SELECT test.outcome('SELECT atomix.end_session(0, ''why not'')');
-- Above bigint there is nothing to ask about.
SELECT test.outcome('SELECT atomix.keep_alive(''9223372036854775808'')');
-- An id that is yet to be given out is unknown until then.
SELECT test.outcome(format('SELECT atomix.keep_alive(%s)', id), id),
    test.outcome(format('SELECT atomix.close_session(%s)', id), id)
  FROM (SELECT :id::bigint + 1000000 AS id) AS later;

--
-- Read-only transactions: nothing is changed, and the views can be read
--
SET default_transaction_read_only = on;
SELECT statement, test.outcome(format(statement, :id), :id) FROM (VALUES
  (1, 'SELECT atomix.open_session()'),
  (2, 'SELECT atomix.keep_alive(%s)'),
  (3, 'SELECT atomix.close_session(%s)'),
  (4, 'SELECT atomix.end_session(%s, ''x'')'),
  (5, 'SELECT atomix.tick()'),
  (6, 'SELECT atomix.partition_open_session(''\x0a020801'')'),
  (7, 'SELECT atomix.partition_keep_alive(''\x0a020801'')'),
  (8, 'SELECT atomix.partition_close_session(''\x0a020801'')'),
  (9, 'SELECT state FROM atomix.sessions WHERE session_id = %s'),
  (10, 'SELECT partition_id FROM atomix.partitions'),
  (11, 'SELECT count(*) FROM atomix.workers WHERE database = current_database()'),
  (12, 'SELECT sql FROM atomix.extension_version()')
) AS v (n, statement) ORDER BY n;
RESET default_transaction_read_only;

--
-- More sessions than one transaction can use
--
CREATE TEMP TABLE many AS SELECT atomix.open_session('1 hour') AS id FROM generate_series(1, 513);
SELECT test.outcome('SELECT count(atomix.keep_alive(id)) FROM many');
SELECT test.outcome('SELECT count(atomix.close_session(id)) FROM many');
-- What failed gave its locks back, and one more call on a session takes none.
SELECT count(atomix.keep_alive(id)), count(atomix.keep_alive(id))
  FROM (SELECT id FROM many LIMIT 512) AS used;
SELECT count(atomix.close_session(id)) FROM (SELECT id FROM many LIMIT 512) AS used;
SELECT count(atomix.close_session(id)) FROM (SELECT id FROM many OFFSET 512) AS unused;

--
-- Names and types
--
SELECT test.outcome('SELECT atomix._recode(''atomix.multiraft.v1.Nothing'', '''')');
SELECT test.outcome('SELECT atomix._filter_contains(''x'', 1)');
SELECT test.outcome('SELECT atomix.keep_alive(''0'')');
SELECT test.outcome('SELECT atomix.keep_alive(''abc'')');

-- All of that made nothing, and the session is as it was.
SELECT count(*) - :sessions AS made FROM atomix.sessions WHERE state = 'opened';
SELECT state FROM atomix.sessions WHERE session_id = :id;
SELECT atomix.close_session(:id);
