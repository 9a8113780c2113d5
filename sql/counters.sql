--
-- Proves what the counter functions answer, that a counter never wraps, that
-- its calls are parts of the caller's transaction, and that what cannot be
-- done is refused and changes nothing.
--

--
-- A counter is there from its first use, and 0 before that
--
SELECT atomix.counter_get('first'), atomix.counter_get('first', 'elsewhere');
SELECT count(*) FROM atomix.counters WHERE name = 'first';
SELECT atomix.counter_increment('first');
SELECT atomix.counter_increment('first', 10);
SELECT atomix.counter_decrement('first');
SELECT atomix.counter_decrement('first', 5);
SELECT atomix.counter_set('first', 42);
SELECT atomix.counter_compare_and_set('first', 41, 1), atomix.counter_get('first');
SELECT atomix.counter_compare_and_set('first', 42, 43), atomix.counter_get('first');
SELECT atomix.counter_increment('first', 0), atomix.counter_decrement('first', 0);
SELECT atomix.counter_increment('first', -3), atomix.counter_decrement('first', -3);
-- By name, with every argument
SELECT atomix.counter_set(name => 'first', value => 7, namespace => '', session_id => NULL, sequence_num => 0);

-- Namespaces are apart, and so are upper and lower case; any text is a name.
SELECT namespace, name, atomix.counter_set(name, n, namespace) FROM (VALUES
  (1, '', 'apart'), (2, 'a', 'apart'), (3, 'A', 'apart'), (4, 'a', 'Apart'), (5, ' ', ' '),
  (6, 'a', 'a/b'), (7, 'a/b', 'a'), (8, 'é', 'ü''"\')) AS v (n, namespace, name) ORDER BY n;
SELECT namespace, name, value FROM atomix.counters
  WHERE (namespace, name) NOT IN (('', 'first')) ORDER BY value;

-- Setting, comparing and deleting make one, too; asking does not.
SELECT atomix.counter_compare_and_set('compared', 1, 2), atomix.counter_compare_and_set('compared', 0, 2);
SELECT atomix.counter_get('asked');
SELECT count(*) FROM atomix.counters WHERE name IN ('compared', 'asked');
SELECT atomix.delete_service('compared'), atomix.delete_service('compared'), atomix.delete_service('asked');
SELECT atomix.counter_get('compared'), atomix.counter_increment('compared');

--
-- The whole range of bigint, and never beyond
--
CREATE FUNCTION pg_temp.try(call text, before bigint, by text, OUT answer text, OUT after bigint)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM atomix.counter_set('range', before);
  answer := test.outcome(format('SELECT atomix.counter_%s(''range'', %s)', call, by));
  after := atomix.counter_get('range');
END $$;
SELECT call, before, by, t.*
  FROM (VALUES
    (1, 'increment', 9223372036854775807, '1'), (2, 'increment', 9223372036854775806, '1'),
    (3, 'increment', 1, '9223372036854775807'), (4, 'increment', 0, '9223372036854775807'),
    (5, 'increment', -1, '''-9223372036854775808'''), (6, 'increment', 0, '''-9223372036854775808'''),
    (7, 'increment', '-9223372036854775808', '-1'), (8, 'increment', '-9223372036854775808', '9223372036854775807'),
    (9, 'decrement', '-9223372036854775808', '1'), (10, 'decrement', '-9223372036854775807', '1'),
    (11, 'decrement', 0, '''-9223372036854775808'''), (12, 'decrement', -1, '''-9223372036854775808'''),
    (13, 'decrement', 9223372036854775807, '-1'), (14, 'decrement', 9223372036854775807, '9223372036854775807'),
    (15, 'set', 0, '9223372036854775807'), (16, 'set', 0, '''-9223372036854775808'''),
    (17, 'increment', 0, '''9223372036854775808''')
  ) AS v (n, call, before, by), pg_temp.try(call, before, by) AS t ORDER BY n;
SELECT atomix.counter_compare_and_set('range', '-9223372036854775808', 9223372036854775807),
    atomix.counter_get('range');

--
-- Nulls, names and types
--
SELECT statement, test.outcome(statement) FROM (VALUES
  (1, 'SELECT atomix.counter_get(NULL)'),
  (2, 'SELECT atomix.counter_get(''x'', NULL)'),
  (3, 'SELECT atomix.counter_set(NULL, 1)'),
  (4, 'SELECT atomix.counter_set(''x'', NULL)'),
  (5, 'SELECT atomix.counter_set(''x'', 1, NULL)'),
  (6, 'SELECT atomix.counter_set(''x'', 1, '''', NULL, NULL)'),
  (7, 'SELECT atomix.counter_increment(NULL)'),
  (8, 'SELECT atomix.counter_increment(''x'', NULL)'),
  (9, 'SELECT atomix.counter_increment(''x'', 1, NULL)'),
  (10, 'SELECT atomix.counter_increment(''x'', 1, '''', NULL, NULL)'),
  (11, 'SELECT atomix.counter_decrement(NULL)'),
  (12, 'SELECT atomix.counter_decrement(''x'', NULL)'),
  (13, 'SELECT atomix.counter_decrement(''x'', 1, NULL)'),
  (14, 'SELECT atomix.counter_decrement(''x'', 1, '''', NULL, NULL)'),
  (15, 'SELECT atomix.counter_compare_and_set(NULL, 0, 1)'),
  (16, 'SELECT atomix.counter_compare_and_set(''x'', NULL, 1)'),
  (17, 'SELECT atomix.counter_compare_and_set(''x'', 0, NULL)'),
  (18, 'SELECT atomix.counter_compare_and_set(''x'', 0, 1, NULL)'),
  (19, 'SELECT atomix.counter_compare_and_set(''x'', 0, 1, '''', NULL, NULL)'),
  (20, 'SELECT atomix.counter_increment(''x'', 1, '''', NULL, 1)'),
  (21, 'SELECT atomix.counter_increment(''x'', 1, '''', NULL, -1)'),
  (22, 'SELECT atomix.counter_increment(''x'', 1, '''', 1, 0)'),
  (23, 'SELECT atomix.counter_increment(''x'', 1, '''', -1, 0)'),
  (24, 'SELECT atomix.counter_get('''')'),
  (25, 'SELECT atomix.counter_set('''', 1)'),
  (26, 'SELECT atomix.counter_get(repeat(''x'', 512))'),
  (27, 'SELECT atomix.counter_get(repeat(''x'', 513))'),
  (28, 'SELECT atomix.counter_get(''x'', repeat(''x'', 513))'),
  (29, 'SELECT atomix.counter_increment(repeat(''x'', 513))'),
  (30, 'SELECT atomix.counter_increment(''x'', 1, repeat(''x'', 513))'),
  (31, 'SELECT atomix.counter_increment(repeat(''é'', 257))')
) AS v (n, statement) ORDER BY n;
SELECT count(*) FROM atomix.counters WHERE name = 'x';
-- The longest names there are
SELECT atomix.counter_increment(repeat('x', 512), 1, repeat('y', 512));
SELECT atomix.counter_get(repeat('x', 512), repeat('y', 512));

-- A map is no counter.
SELECT index IS NOT NULL AS put FROM atomix.map_put('a map', 'k', '');
SELECT call, test.outcome(format('SELECT atomix.counter_%s', call)) FROM (VALUES
  (1, 'get(''a map'')'), (2, 'set(''a map'', 1)'), (3, 'increment(''a map'')'), (4, 'decrement(''a map'')'),
  (5, 'compare_and_set(''a map'', 0, 1)')) AS v (n, call) ORDER BY n;
SELECT index IS NOT NULL AS put FROM atomix.map_put('a map', 'k', '', namespace => 'n');
SELECT test.outcome('SELECT atomix.counter_get(''a map'', ''n'')');

--
-- Every call is a part of its transaction
--
SELECT atomix.counter_set('parts', 1);
BEGIN;
SELECT atomix.counter_increment('parts');
SAVEPOINT half;
SELECT atomix.counter_increment('parts', 10), atomix.counter_increment('made in vain');
ROLLBACK TO half;
SELECT atomix.counter_get('parts'), atomix.counter_increment('parts', 100);
ROLLBACK;
SELECT atomix.counter_get('parts');
SELECT count(*) FROM atomix.counters WHERE name = 'made in vain';
BEGIN;
SELECT atomix.counter_increment('parts');
SAVEPOINT half;
SELECT atomix.counter_increment('parts', 10);
ROLLBACK TO half;
COMMIT;
SELECT atomix.counter_get('parts');
-- An error undoes what its statement did.
SELECT test.outcome('SELECT atomix.counter_increment(''parts''), 1 / 0');
SELECT atomix.counter_get('parts');
-- Each row of a statement counts.
SELECT sum(atomix.counter_increment('parts')) FROM generate_series(1, 10);
SELECT atomix.counter_get('parts');
-- Deleted and made anew in one transaction, and that undone
BEGIN;
SELECT atomix.delete_service('parts'), atomix.counter_get('parts'), atomix.counter_increment('parts');
ROLLBACK;
SELECT atomix.counter_get('parts');

-- The revision counts changes; what changes nothing is none.
SELECT atomix.counter_set('revised', 1), atomix.counter_set('revised', 1),
    atomix.counter_increment('revised', 0), atomix.counter_compare_and_set('revised', 5, 6),
    atomix.counter_increment('revised');
SELECT type, revision, sessions, entries FROM atomix.services WHERE name = 'revised';

-- Without a session it may be a part of a transaction that is prepared.
BEGIN;
SELECT atomix.counter_increment('prepared');
PREPARE TRANSACTION 'regress_counter';
COMMIT PREPARED 'regress_counter';
SELECT atomix.counter_get('prepared');

-- Read-only transactions may look.
SET default_transaction_read_only = on;
SELECT atomix.counter_get('parts');
SELECT call, test.outcome(format('SELECT atomix.counter_%s', call)) FROM (VALUES
  (1, 'set(''parts'', 1)'), (2, 'increment(''parts'')'), (3, 'decrement(''parts'')'),
  (4, 'compare_and_set(''parts'', 0, 1)')) AS v (n, call) ORDER BY n;
RESET default_transaction_read_only;

-- More counters than one transaction can use
BEGIN;
SELECT test.outcome('SELECT count(atomix.counter_increment(''many'' || n)) FROM generate_series(1, 513) AS n');
SELECT count(*) FROM atomix.counters WHERE name LIKE 'many%';
COMMIT;
SELECT count(atomix.counter_get('many' || n)) FROM generate_series(1, 513) AS n;

SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services;
SELECT count(*) FROM atomix.services;
