--
-- Proves what the map functions answer: indexes and their conditions, times
-- to live, pages, bytes and text; that their calls are parts of the caller's
-- transaction; and that what cannot be done is refused and changes nothing.
--

-- Indexes vary from run to run: shown is how often an entry was changed.
CREATE TEMP TABLE seen (n int GENERATED ALWAYS AS IDENTITY, index bigint UNIQUE);
CREATE FUNCTION pg_temp.nth(i bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF i IS NULL THEN
    RETURN 'none';
  END IF;
  INSERT INTO pg_temp.seen (index) SELECT i WHERE NOT EXISTS (SELECT FROM pg_temp.seen WHERE index = i);
  RETURN format('<%s>', (SELECT n FROM pg_temp.seen WHERE index = i));
END $$;

--
-- A map is there from its first use, and empty before that
--
SELECT * FROM atomix.map_get('first', 'k');
SELECT atomix.map_get_text('first', 'k') IS NULL AS absent, atomix.map_size('first');
SELECT * FROM atomix.map_entries('first');
SELECT count(*) FROM atomix.maps WHERE name = 'first';
SELECT pg_temp.nth(index), prev_value FROM atomix.map_put('first', 'k', 'one');
SELECT pg_temp.nth(index), prev_value FROM atomix.map_put('first', 'k', 'two');
SELECT pg_temp.nth(index), value, expires_at FROM atomix.map_get('first', 'k');
SELECT entries FROM atomix.maps WHERE name = 'first';
SELECT type, namespace, revision, sessions, entries FROM atomix.services WHERE name = 'first';
SELECT pg_temp.nth(index), prev_value FROM atomix.map_put(name => 'first', key => 'k', value => 'three',
  ttl => NULL, prev_index => NULL, namespace => '', session_id => NULL, sequence_num => 0);
-- An equal value is no change.
SELECT pg_temp.nth(index), prev_value FROM atomix.map_put('first', 'k', 'three');
SELECT pg_temp.nth(atomix.map_insert('first', 'k', 'four')), atomix.map_get_text('first', 'k');
SELECT pg_temp.nth(atomix.map_insert('first', 'l', 'four')), atomix.map_get_text('first', 'l');
-- An update is one, also with an equal value.
SELECT pg_temp.nth(index), prev_value FROM atomix.map_update('first', 'l', 'four');
SELECT pg_temp.nth(index), prev_value FROM atomix.map_update('first', 'l', 'five');
SELECT pg_temp.nth(index), prev_value FROM atomix.map_update('first', 'm', 'five');
SELECT atomix.map_size('first'), atomix.map_remove('first', 'l'), atomix.map_remove('first', 'l'),
    atomix.map_remove('first', 'm'), atomix.map_size('first');
-- What is made anew has an index of its own.
SELECT pg_temp.nth(atomix.map_insert('first', 'l', 'five'));
SELECT bool_and(later.index > earlier.index) AS indexes_rise
  FROM seen AS earlier JOIN seen AS later ON later.n = earlier.n + 1;
SELECT atomix.map_clear('first'), atomix.map_clear('first'), atomix.map_size('first');
SELECT count(*) FROM atomix.maps WHERE name = 'first';
-- Clearing a map makes one, asking does not.
SELECT atomix.map_clear('cleared'), atomix.map_size('asked');
SELECT name FROM atomix.maps WHERE name IN ('cleared', 'asked');
SELECT atomix.delete_service('first'), atomix.map_size('first');

-- Namespaces are apart, and so are upper and lower case; any text is a key.
SELECT count(atomix.map_insert('apart', key, convert_to(key, 'UTF8'), NULL, namespace))
  FROM unnest(ARRAY['', ' ', 'a', 'A', 'a ', 'é', 'e', '''"\', E'\n', repeat('x', 1024)]) AS key,
    unnest(ARRAY['', 'n']) AS namespace;
SELECT atomix.map_size('apart'), atomix.map_clear('apart', 'n'), atomix.map_size('apart'),
    atomix.map_size('apart', 'n');
-- In the order of their bytes
SELECT left(key, 2) AS key, key = convert_from(value, 'UTF8') AS own FROM atomix.map_entries('apart');

--
-- prev_index: the index of the entry that is to be replaced or removed; 0
-- and null ask for none in particular
--
CREATE FUNCTION pg_temp.try(has text, call text, prev bigint, OUT answer text, OUT holds text)
LANGUAGE plpgsql AS $$
DECLARE
  old bigint;
BEGIN
  PERFORM atomix.map_clear('conditions');
  IF has IS NOT NULL THEN
    old := atomix.map_insert('conditions', 'k', 'old', has::interval);
  END IF;
  answer := test.outcome(format(
    CASE call WHEN 'remove' THEN 'SELECT atomix.map_remove(''conditions'', ''k'', %L)'
      ELSE 'SELECT CASE WHEN r.index IS NULL THEN ''refused'' WHEN r.index = %2$L::bigint THEN ''same index'' ELSE ''new index'' END
        || coalesce('', was '' || convert_from(r.prev_value, ''UTF8''), '''')
        FROM atomix.map_%3$s(''conditions'', ''k'', %4$L, NULL, %1$L) AS r' END,
    CASE WHEN prev = 1 THEN coalesce(old, 1) ELSE prev END, old, trim(call, '='),
    CASE WHEN call LIKE '%=' THEN 'old' ELSE 'new' END));
  holds := atomix.map_get_text('conditions', 'k');
END $$;
SELECT what, call, prev, t.* FROM
  (VALUES (1, 'absent', NULL), (2, 'present', '1 hour'), (3, 'expired', '0')) AS h (n, what, has),
  (VALUES (1, 'put'), (2, 'put='), (3, 'update'), (4, 'update='), (5, 'remove')) AS c (n, call),
  (VALUES (1, 'null', NULL), (2, '0', 0), (3, 'its own', 1), (4, 'another', 2), (5, 'greatest', 9223372036854775807), (6, 'negative', -1))
    AS p (n, prev, value), pg_temp.try(has, call, value) AS t
  ORDER BY h.n, c.n, p.n;

--
-- Times to live, by the lease clock
--
SELECT ttl, test.outcome(format('SELECT index IS NOT NULL FROM atomix.map_put(''ttl'', ''k'', ''v'', %L)', ttl)) AS put,
    test.outcome(format('SELECT atomix.map_insert(''ttl'', ''k'' || %s, ''v'', %L) IS NOT NULL', n, ttl)) AS insert,
    test.outcome(format('SELECT index IS NOT NULL FROM atomix.map_update(''ttl'', ''k'' || %s, ''v'', %L)', n, ttl)) AS update
  FROM (VALUES (1, '-1 us'), (2, '-1 day'), (3, '1 mon'), (4, '1 year'), (5, '1 mon -30 days'),
    (6, '2147483647 days'), (7, '')) AS v (n, ttl) ORDER BY n;
SELECT atomix.map_size('ttl');
-- Nothing lives for no time at all.
SELECT index IS NOT NULL AS put FROM atomix.map_put('ttl', 'nothing', 'v', '0');
SELECT count(*) FROM atomix.map_get('ttl', 'nothing');
-- More than 68 years count as that.
SELECT test.outcome(format('SELECT atomix.map_insert(''ttl'', %L, ''v'', %L) IS NOT NULL', ttl, ttl))
  FROM (VALUES (1, '24855 days 03:14:07'), (2, '30000 days'), (3, '106751991 days')) AS v (n, ttl) ORDER BY n;
SELECT key, test.about(expires_at - clock_timestamp(), '24855 days 03:14:07') AS years_68
  FROM atomix.map_entries('ttl');
SELECT atomix.map_clear('ttl');

-- An entry lives for its time and not longer, whoever looks.
SELECT atomix.map_insert('ttl', 'k' || n, 'v', ttl) IS NOT NULL AS inserted
  FROM (VALUES (1, interval '10 min'), (2, '20 min'), (3, NULL)) AS v (n, ttl) ORDER BY n;
SELECT key, test.about(expires_at - clock_timestamp(), '10 min') AS min_10,
    test.about(expires_at - clock_timestamp(), '20 min') AS min_20
  FROM atomix.map_entries('ttl');
SELECT test.about(expires_at - clock_timestamp(), '20 min') AS min_20 FROM atomix.map_get('ttl', 'k2');
SELECT atomix._advance_clock('9 min');
SELECT atomix.map_size('ttl'), atomix.map_get_text('ttl', 'k1');
SELECT atomix._advance_clock('1 min');
SELECT atomix.map_size('ttl'), atomix.map_get_text('ttl', 'k1'), atomix.map_get_text('ttl', 'k2');
SELECT count(*) FROM atomix.map_get('ttl', 'k1');
SELECT key FROM atomix.map_entries('ttl');
-- The worker removes it.
SELECT test.becomes_true($$(SELECT entries = 2 FROM atomix.maps WHERE name = 'ttl')$$);
-- A put says how long the entry lives from now on, also with an equal value.
SELECT atomix.map_clear('ttl');
SELECT index AS kept FROM atomix.map_put('ttl', 'k', 'v', '10 min') \gset
SELECT index = :kept AS same FROM atomix.map_put('ttl', 'k', 'v', '30 min');
SELECT test.about(expires_at - clock_timestamp(), '30 min') AS min_30, index = :kept AS same FROM atomix.map_get('ttl', 'k');
SELECT index = :kept AS same FROM atomix.map_put('ttl', 'k', 'v', '5 min', :kept);
SELECT test.about(expires_at - clock_timestamp(), '5 min') AS min_5, index = :kept AS same FROM atomix.map_get('ttl', 'k');
SELECT index = :kept AS same FROM atomix.map_put('ttl', 'k', 'v');
SELECT expires_at, index = :kept AS same FROM atomix.map_get('ttl', 'k');
SELECT index = :kept AS same FROM atomix.map_put('ttl', 'k', 'w', '10 min');
SELECT test.about(expires_at - clock_timestamp(), '10 min') AS min_10, index = :kept AS same FROM atomix.map_get('ttl', 'k');
SELECT index IS NOT NULL AS updated FROM atomix.map_update('ttl', 'k', 'w', '20 min');
SELECT test.about(expires_at - clock_timestamp(), '20 min') AS min_20 FROM atomix.map_get('ttl', 'k');
SELECT index IS NOT NULL AS updated FROM atomix.map_update('ttl', 'k', 'w');
SELECT expires_at FROM atomix.map_get('ttl', 'k');
-- What was refused leaves it as it was.
SELECT index IS NOT NULL AS put FROM atomix.map_put('ttl', 'k', 'w', '20 min', 1);
SELECT atomix.map_insert('ttl', 'k', 'w', '20 min') IS NOT NULL AS inserted;
SELECT expires_at FROM atomix.map_get('ttl', 'k');

-- An expired entry is none, while its row is still there and afterwards.
CREATE FUNCTION pg_temp.expired(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  i bigint;
BEGIN
  PERFORM atomix.map_clear('expired');
  i := atomix.map_insert('expired', 'k', 'v', '0');
  RETURN test.outcome(format(statement, i));
END $$;
SELECT statement, pg_temp.expired(statement) AS answer FROM (VALUES
  (1, 'SELECT atomix.map_insert(''expired'', ''k'', ''v'') > %s'),
  (2, 'SELECT index > %s AND prev_value IS NULL FROM atomix.map_put(''expired'', ''k'', ''v'')'),
  (3, 'SELECT index FROM atomix.map_update(''expired'', ''k'', ''v'')'),
  (4, 'SELECT index FROM atomix.map_put(''expired'', ''k'', ''v'', NULL, %s)'),
  (5, 'SELECT atomix.map_remove(''expired'', ''k'')'),
  (6, 'SELECT atomix.map_remove(''expired'', ''k'', %s)'),
  (7, 'SELECT atomix.map_size(''expired'')'),
  (8, 'SELECT atomix.map_get_text(''expired'', ''k'')'),
  (9, 'SELECT atomix.map_clear(''expired'')'),
  (10, 'SELECT count(*) FROM atomix.map_entries(''expired'')')
) AS v (n, statement) ORDER BY n;

--
-- Pages
--
SELECT count(atomix.map_insert('pages', to_char(n, 'FM0000'), '')) FROM generate_series(1, 2500) AS n;
SELECT atomix.map_size('pages');
SELECT max_rows, left(after, 5) AS after, count(key), min(key), max(key) FROM (VALUES
    (1, 0, NULL), (2, 1, NULL), (3, 999, NULL), (4, 1000, NULL), (5, 1001, NULL), (6, 2000, NULL),
    (7, 2499, NULL), (8, 2500, NULL), (9, 2501, NULL), (10, 2147483647, NULL),
    (11, 1000, '1499'), (12, 1000, '1500'), (13, 1000, '1501'), (14, 1000, '2499'), (15, 1000, '2500'),
    (16, 1, '0000'), (17, 1, '0001'), (18, 1, '0001x'), (19, 1, ''), (20, 1, 'z'), (21, 0, '0001'),
    (22, 1000, repeat('0', 2000))
  ) AS v (n, max_rows, after) LEFT JOIN LATERAL atomix.map_entries('pages', after, max_rows) AS e ON true
  GROUP BY n, max_rows, after ORDER BY n;
SELECT count(*), min(key), max(key) FROM atomix.map_entries('pages');
SELECT count(*), min(key), max(key) FROM atomix.map_entries_text('pages', '1499', 1002);
-- Every entry once, in pages of any size
CREATE FUNCTION pg_temp.walk(rows int, OUT pages int, OUT entries bigint, OUT ordered boolean)
LANGUAGE plpgsql AS $$
DECLARE
  after text;
  page text[];
  keys text[] := '{}';
BEGIN
  pages := 0;
  LOOP
    SELECT array_agg(e.key ORDER BY e.ordinality) INTO page
      FROM atomix.map_entries('pages', after, rows) WITH ORDINALITY AS e;
    EXIT WHEN page IS NULL;
    keys := keys || page;
    pages := pages + 1;
    after := page[cardinality(page)];
  END LOOP;
  entries := cardinality(keys);
  ordered := keys = (SELECT array_agg(DISTINCT k COLLATE "C") FROM unnest(keys) AS k);
END $$;
SELECT rows, w.* FROM unnest(ARRAY[7, 100, 499, 500, 625, 1000, 1250, 2499, 2500, 5000]) AS rows, pg_temp.walk(rows) AS w;
-- Pages are filled around expired entries.
SELECT count(index) FROM generate_series(1, 2500, 2) AS n, atomix.map_put('pages', to_char(n, 'FM0000'), '', '0');
SELECT count(*), min(key), max(key) FROM atomix.map_entries('pages', NULL, 1000);
SELECT count(*), min(key), max(key) FROM atomix.map_entries('pages', '2000', 1000);
SELECT atomix.map_size('pages'), atomix.map_clear('pages'), atomix.map_size('pages');

--
-- Bytes and text
--
SELECT n, length(v) AS bytes, prev_value IS NOT DISTINCT FROM lag(v) OVER (ORDER BY n) AS prev
  FROM (SELECT n, v, prev_value FROM (VALUES (1, ''::bytea), (2, '\x00'), (3, '\xff00fe'),
    (4, (SELECT string_agg(set_byte('\x00', 0, b), '' ORDER BY b) FROM generate_series(0, 255) AS b)),
    (5, convert_to(repeat('x', 100000), 'UTF8'))) AS v (n, v), atomix.map_put('bytes', 'k', v)) AS p ORDER BY n;
SELECT length(value) FROM atomix.map_get('bytes', 'k');
-- Text is kept in UTF-8.
SELECT atomix.map_insert_text('text', 'k', 'é') IS NOT NULL AS inserted;
SELECT value FROM atomix.map_get('text', 'k');
SELECT index IS NOT NULL AS put, prev_value FROM atomix.map_put_text('text', 'k', '', '1 hour');
SELECT atomix.map_get_text('text', 'k') = '' AS empty, value FROM atomix.map_get('text', 'k');
SELECT index IS NOT NULL AS updated, prev_value = '' AS was_empty FROM atomix.map_update_text('text', 'k', 'x');
SELECT atomix.map_insert_text('text', 'k', 'y') IS NOT NULL AS inserted,
    (SELECT index FROM atomix.map_update_text('text', 'l', 'y')) AS updated,
    (SELECT index FROM atomix.map_put_text('text', 'k', 'y', NULL, 1)) AS put;
SELECT key, value FROM atomix.map_entries_text('text');
-- Bytes that are no text are an error where text is asked for, and nothing
-- is done.
CREATE FUNCTION pg_temp.try_text(bytes bytea, OUT get text, OUT put text, OUT others text, OUT kept boolean)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM atomix.map_put('bytes', 'k', bytes);
  get := test.outcome('SELECT atomix.map_get_text(''bytes'', ''k'')');
  put := left(test.outcome('SELECT prev_value FROM atomix.map_put_text(''bytes'', ''k'', ''x'')'), 5);
  others := left(test.outcome('SELECT value FROM atomix.map_entries_text(''bytes'')'), 5) || ' ' ||
    left(test.outcome('SELECT prev_value FROM atomix.map_update_text(''bytes'', ''k'', ''x'')'), 5) || ' ' ||
    test.outcome('SELECT atomix.map_insert_text(''bytes'', ''k'', ''x'')');
  kept := (SELECT value = bytes FROM atomix.map_get('bytes', 'k'));
END $$;
SELECT v.bytes, t.* FROM (VALUES (1, '\xff'::bytea), (2, '\x00'), (3, '\x6100'), (4, '\xc3'), (5, '\xeda080'),
  (6, '\xc080'), (7, '\xf4908080')) AS v (n, bytes), pg_temp.try_text(v.bytes) AS t ORDER BY n;

--
-- Nulls, keys, names and types
--
SELECT call, test.outcome('SELECT atomix.map_' || call) FROM (VALUES
  (1, 'put(NULL, ''k'', ''v'')'), (2, 'put(''x'', NULL, ''v'')'), (3, 'put(''x'', ''k'', NULL)'),
  (4, 'put(''x'', ''k'', ''v'', namespace => NULL)'), (5, 'put(''x'', ''k'', ''v'', sequence_num => NULL)'),
  (6, 'put(''x'', ''k'', ''v'', sequence_num => 1)'), (7, 'put(''x'', ''k'', ''v'', sequence_num => -1)'),
  (8, 'put(''x'', ''k'', ''v'', session_id => 1)'),
  (9, 'put_text(NULL, ''k'', ''v'')'), (10, 'put_text(''x'', NULL, ''v'')'), (11, 'put_text(''x'', ''k'', NULL)'),
  (12, 'put_text(''x'', ''k'', ''v'', namespace => NULL)'), (13, 'put_text(''x'', ''k'', ''v'', sequence_num => NULL)'),
  (14, 'insert(NULL, ''k'', ''v'')'), (15, 'insert(''x'', NULL, ''v'')'), (16, 'insert(''x'', ''k'', NULL)'),
  (17, 'insert(''x'', ''k'', ''v'', namespace => NULL)'), (18, 'insert(''x'', ''k'', ''v'', sequence_num => NULL)'),
  (19, 'insert_text(NULL, ''k'', ''v'')'), (20, 'insert_text(''x'', NULL, ''v'')'), (21, 'insert_text(''x'', ''k'', NULL)'),
  (22, 'update(NULL, ''k'', ''v'')'), (23, 'update(''x'', NULL, ''v'')'), (24, 'update(''x'', ''k'', NULL)'),
  (25, 'update(''x'', ''k'', ''v'', namespace => NULL)'), (26, 'update(''x'', ''k'', ''v'', sequence_num => NULL)'),
  (27, 'update_text(NULL, ''k'', ''v'')'), (28, 'update_text(''x'', NULL, ''v'')'), (29, 'update_text(''x'', ''k'', NULL)'),
  (30, 'remove(NULL, ''k'')'), (31, 'remove(''x'', NULL)'), (32, 'remove(''x'', ''k'', namespace => NULL)'),
  (33, 'remove(''x'', ''k'', sequence_num => NULL)'), (34, 'remove(''x'', ''k'', sequence_num => 1)'),
  (35, 'get(NULL, ''k'')'), (36, 'get(''x'', NULL)'), (37, 'get(''x'', ''k'', NULL)'),
  (38, 'get_text(NULL, ''k'')'), (39, 'get_text(''x'', NULL)'), (40, 'get_text(''x'', ''k'', NULL)'),
  (41, 'size(NULL)'), (42, 'size(''x'', NULL)'), (43, 'clear(NULL)'), (44, 'clear(''x'', NULL)'),
  (45, 'clear(''x'', '''', NULL, NULL)'), (46, 'clear(''x'', '''', NULL, 1)'),
  (47, 'entries(NULL)'), (48, 'entries(''x'', NULL, NULL)'), (49, 'entries(''x'', NULL, 1, NULL)'),
  (50, 'entries(''x'', NULL, -1)'), (51, 'entries(''x'', NULL, -2147483648)'),
  (52, 'entries_text(NULL)'), (53, 'entries_text(''x'', NULL, NULL)'), (54, 'entries_text(''x'', NULL, -1)')
) AS v (n, call) ORDER BY n;
SELECT call, test.outcome('SELECT atomix.map_' || replace(call, 'KEY', 'repeat(''k'', 1025)')) FROM (VALUES
  (1, 'put(''x'', KEY, ''v'')'), (2, 'insert(''x'', KEY, ''v'')'), (3, 'update(''x'', KEY, ''v'')'),
  (4, 'remove(''x'', KEY)'), (5, 'put_text(''x'', repeat(''é'', 513), ''v'')'),
  -- There cannot be one, which is an answer.
  (6, 'get_text(''x'', KEY)'), (7, 'size(repeat(''x'', 513))'), (8, 'put(repeat(''x'', 513), ''k'', ''v'')'),
  (9, 'put(''x'', ''k'', ''v'', namespace => repeat(''x'', 513))'), (10, 'put('''', ''k'', ''v'')'), (11, 'get('''', ''k'')'),
  (12, 'entries('''')'), (13, 'clear('''')'), (14, 'remove('''', ''k'')')
) AS v (n, call) ORDER BY n;
SELECT count(*) FROM atomix.maps WHERE name IN ('x', '');
-- A counter is no map.
SELECT atomix.counter_set('a counter', 1);
SELECT call, test.outcome('SELECT atomix.map_' || call) FROM (VALUES
  (1, 'put(''a counter'', ''k'', ''v'')'), (2, 'put_text(''a counter'', ''k'', ''v'')'), (3, 'insert(''a counter'', ''k'', ''v'')'),
  (4, 'insert_text(''a counter'', ''k'', ''v'')'), (5, 'update(''a counter'', ''k'', ''v'')'),
  (6, 'update_text(''a counter'', ''k'', ''v'')'), (7, 'get(''a counter'', ''k'')'), (8, 'get_text(''a counter'', ''k'')'),
  (9, 'remove(''a counter'', ''k'')'), (10, 'size(''a counter'')'), (11, 'clear(''a counter'')'),
  (12, 'entries(''a counter'')'), (13, 'entries_text(''a counter'')')
) AS v (n, call) ORDER BY n;

--
-- Every call is a part of its transaction
--
SELECT index IS NOT NULL AS put FROM atomix.map_put_text('parts', 'k', 'before');
BEGIN;
SELECT prev_value FROM atomix.map_put_text('parts', 'k', 'in');
SAVEPOINT half;
SELECT prev_value FROM atomix.map_put_text('parts', 'k', 'half');
SELECT atomix.map_insert_text('parts', 'l', 'half') IS NOT NULL AS inserted, atomix.map_size('parts');
ROLLBACK TO half;
SELECT key, value FROM atomix.map_entries_text('parts');
SELECT atomix.map_clear('parts'), atomix.map_insert_text('parts', 'm', 'in') IS NOT NULL AS inserted;
SELECT key, value FROM atomix.map_entries_text('parts');
ROLLBACK;
SELECT key, value FROM atomix.map_entries_text('parts');
BEGIN;
SELECT atomix.delete_service('parts'), atomix.map_size('parts');
ROLLBACK;
SELECT atomix.map_size('parts');
-- Without a session it may be a part of a transaction that is prepared.
BEGIN;
SELECT index IS NOT NULL AS put FROM atomix.map_put_text('parts', 'prepared', 'x', '1 hour');
PREPARE TRANSACTION 'regress_map';
COMMIT PREPARED 'regress_map';
SELECT atomix.map_get_text('parts', 'prepared');
-- Read-only transactions may look.
SET default_transaction_read_only = on;
SELECT atomix.map_get_text('parts', 'k'), atomix.map_size('parts'), (SELECT value FROM atomix.map_get('parts', 'k'));
SELECT key FROM atomix.map_entries('parts');
SELECT call, test.outcome('SELECT atomix.map_' || call) FROM (VALUES
  (1, 'put(''parts'', ''k'', ''v'')'), (2, 'put_text(''parts'', ''k'', ''v'')'), (3, 'insert(''parts'', ''k'', ''v'')'),
  (4, 'insert_text(''parts'', ''k'', ''v'')'), (5, 'update(''parts'', ''k'', ''v'')'),
  (6, 'update_text(''parts'', ''k'', ''v'')'), (7, 'remove(''parts'', ''k'')'), (8, 'clear(''parts'')')
) AS v (n, call) ORDER BY n;
RESET default_transaction_read_only;

SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services;
SELECT count(*) FROM atomix.services;
SELECT count(*) FROM atomix.entry;
