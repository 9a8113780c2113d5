--
-- Proves that a grant that was asserted is the caller's and valid, that the
-- trigger function lets pass only transactions that asserted or hold what it
-- names, and that what is held for a transaction excludes grants.
--
SELECT test.open('A', 'B', 'C');
SELECT session_id AS a FROM atomix.sessions WHERE name = 'A' AND state = 'opened' \gset
SELECT session_id AS b FROM atomix.sessions WHERE name = 'B' AND state = 'opened' \gset

--
-- assert_lock, assert_leader: each way not to be the holder
--
SELECT * FROM test.play('guarded',
  'assert_lock(L, 1)', 'lock_acquire(@A, L)', 'assert_lock(L, #A)', 'assert_lock(L, #A)', 'assert_lock(L, #A, '''')',
  'assert_lock(L, 1)', 'assert_lock(L, 0)', 'assert_lock(L, -1)', 'assert_lock(L, @A)', 'assert_lock(L, #A, ''elsewhere'')',
  'lock_acquire(@B, L)', 'assert_lock(L, %B)', 'assert_lock(''other'', #A)', 'assert_leader(L, #A)');
SELECT token AS t FROM atomix.locks WHERE name = 'guarded' AND session_id = :a \gset
SELECT test.outcome(format('SELECT atomix.assert_lock(%L, %s)', 'guarded', -:t), :t) AS minus_the_token,
  test.outcome(format('SELECT atomix.assert_lock(%L, %s)', 'guarded', :t + 1), :t + 1) AS next;
-- Released, also in the same transaction, and granted anew
SELECT * FROM test.play('guarded', 'lock_release(@A, L)', format('assert_lock(L, %s)', :t), 'assert_lock(L, #B)', 'lock_release(@B, L)', 'assert_lock(L, %B)',
  'lock_acquire(@A, L)', format('assert_lock(L, %s)', :t), 'assert_lock(L, #A)');
-- Taken away, passed on, its session closed
SELECT * FROM test.play('taken', 'lock_acquire(@A, L)', 'lock_acquire(@B, L)', 'lock_acquire(@C, L)');
SELECT token AS t FROM atomix.locks WHERE name = 'taken' AND session_id = :a \gset
SELECT * FROM test.play('taken', 'lock_force_release(L, #A, ''r'')', format('assert_lock(L, %s)', :t), 'lock_transfer(L, #B, %C, ''r'')', 'assert_lock(L, %B)',
  'assert_lock(L, #C)', 'close_session(@C)', 'assert_lock(L, %C)');
SELECT test.open('C');
-- Shared grants are each their own.
SELECT * FROM test.play('readers', 'lock_acquire(@A, L, shared => true)', 'lock_acquire(@B, L, shared => true)', 'assert_lock(L, #A)',
  'assert_lock(L, #B)', 'lock_release(@A, L)', 'assert_lock(L, %A)', 'assert_lock(L, #B)');
SELECT * FROM test.play('led', 'assert_leader(L, 1)', 'election_enter(@A, L, ''a'')', 'election_enter(@B, L, ''b'')', 'assert_leader(L, #A)', 'assert_leader(L, %B)',
  'assert_lock(L, #A)', 'election_anoint(L, ''b'')', 'assert_leader(L, %A)', 'assert_leader(L, #B)', 'election_evict(L, ''b'')',
  'assert_leader(L, %B)', 'assert_leader(L, #A)', 'election_withdraw(@A, L)', 'assert_leader(L, %A)');
SELECT atomix.semaphore_resize('some permits', 1), atomix.counter_set('a counter', 1);

-- An expired session's grant
SELECT atomix.open_session('1 min', 'S') AS s \gset
SELECT token AS t FROM atomix.lock_acquire(:s, 'expires') \gset
SELECT atomix.assert_lock('expires', :t);
SELECT atomix._advance_clock('68 s');
SELECT test.state(:s);
SELECT test.outcome(format('SELECT atomix.assert_lock(%L, %s)', 'expires', :t), :t);

-- Another role's
CREATE ROLE regress_atomix_guard;
CREATE ROLE regress_atomix_guard_member IN ROLE regress_atomix_guard;
CREATE ROLE regress_atomix_guard_other;
GRANT USAGE ON SCHEMA atomix TO regress_atomix_guard, regress_atomix_guard_other;
SET ROLE regress_atomix_guard;
SELECT atomix.open_session('8 min', 'G') AS g \gset
SELECT token AS t FROM atomix.lock_acquire(:g, 'of another') \gset
SELECT token AS led FROM atomix.election_enter(:g, 'led by another', 'g') \gset
SELECT atomix.assert_lock('of another', :t), atomix.assert_leader('led by another', :led);
SET ROLE regress_atomix_guard_member;
SELECT atomix.assert_lock('of another', :t), atomix.assert_leader('led by another', :led);
SET ROLE regress_atomix_guard_other;
SELECT test.outcome(format('SELECT atomix.assert_lock(%L, %s)', 'of another', :t), :t),
  test.outcome(format('SELECT atomix.assert_leader(%L, %s)', 'led by another', :led), :led);
RESET ROLE;

-- Wrong input
SELECT call, test.outcome('SELECT atomix.' || call) AS answer FROM (VALUES
  (1, 'assert_lock(NULL, 1)'), (2, 'assert_lock(''x'', NULL)'), (3, 'assert_lock(''x'', 1, NULL)'), (4, 'assert_lock('''', 1)'),
  (5, 'assert_lock(repeat(''x'', 513), 1)'), (6, 'assert_lock(''a counter'', 1)'), (7, 'assert_lock(''some permits'', 1)'),
  (8, 'assert_leader(NULL, 1)'), (9, 'assert_leader(''x'', NULL)'), (10, 'assert_leader(''x'', 1, NULL)'), (11, 'assert_leader('''', 1)'),
  (12, 'assert_leader(''guarded'', 1)'), (13, 'hold(NULL)'), (14, 'hold(''x'', NULL)'), (15, 'hold('''')'), (16, 'hold(repeat(''x'', 513))'),
  (17, 'hold(''led'')'), (18, 'hold(''a counter'')'), (19, 'hold(''some permits'')'), (20, 'fence()')
) AS v (n, call) ORDER BY n;
BEGIN READ ONLY;
SELECT call, test.outcome('SELECT atomix.' || call) AS answer FROM (VALUES
  (1, 'assert_lock(''x'', 1)'), (2, 'assert_leader(''x'', 1)'), (3, 'hold(''x'')')) AS v (n, call) ORDER BY n;
COMMIT;
SELECT count(*) FROM atomix.services WHERE name IN ('x', 'other', '');

--
-- The fence: writes need a guard in their own transaction
--
CREATE TABLE fenced (id int PRIMARY KEY, note text);
CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON fenced FOR EACH ROW EXECUTE FUNCTION atomix.fence('guarded');
CREATE TRIGGER fence_truncate BEFORE TRUNCATE ON fenced EXECUTE FUNCTION atomix.fence('guarded');
SELECT token AS t FROM atomix.locks WHERE name = 'guarded' AND granted \gset
INSERT INTO fenced VALUES (1, 'unguarded');
BEGIN;
SELECT atomix.assert_lock('guarded', :t);
INSERT INTO fenced VALUES (1, 'one'), (2, 'two'), (3, 'three');
UPDATE fenced SET note = upper(note) WHERE id < 3 RETURNING *;
DELETE FROM fenced WHERE id = 3 RETURNING id;
COMMIT;
TABLE fenced ORDER BY id;
-- The guard ends with its transaction.
UPDATE fenced SET note = 'x';
DELETE FROM fenced;
TRUNCATE fenced;
-- It protects nothing that is not written.
UPDATE fenced SET note = 'x' WHERE id = 77;
-- It does not outlive a rollback to a savepoint, nor the caller's own release.
BEGIN;
SAVEPOINT s;
SELECT atomix.assert_lock('guarded', :t);
ROLLBACK TO s;
UPDATE fenced SET note = 'x' WHERE id = 1;
ROLLBACK;
BEGIN;
SELECT atomix.assert_lock('guarded', :t);
SAVEPOINT s;
SELECT atomix.assert_lock('guarded', :t);
ROLLBACK TO s;
UPDATE fenced SET note = 'before the savepoint' WHERE id = 1;
SAVEPOINT s;
SELECT atomix.lock_release(:a, 'guarded');
SAVEPOINT t;
UPDATE fenced SET note = 'x' WHERE id = 2;
ROLLBACK TO t;
ROLLBACK TO s;
UPDATE fenced SET note = 'release undone' WHERE id = 2;
COMMIT;
TABLE fenced ORDER BY id;
-- Another lock, another namespace, asking for the lock alone: no guard
SELECT granted FROM atomix.lock_try(:a, 'guarded', 'ns');
BEGIN;
SELECT atomix.assert_lock('guarded', (SELECT token FROM atomix.locks WHERE name = 'guarded' AND namespace = 'ns'), 'ns');
SELECT granted FROM atomix.lock_try(:a, 'guarded');
SELECT test.outcome('DELETE FROM fenced');
SELECT test.outcome('TRUNCATE fenced');
ROLLBACK;

-- A namespace, the statement, the leader of an election
CREATE TABLE fenced_by_ns (id int);
CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON fenced_by_ns FOR EACH STATEMENT EXECUTE FUNCTION atomix.fence('guarded', 'ns');
CREATE TABLE fenced_by_leader (id int);
CREATE TRIGGER fence AFTER INSERT OR UPDATE OR DELETE ON fenced_by_leader FOR EACH ROW EXECUTE FUNCTION atomix.fence('led');
SELECT token AS led FROM atomix.election_enter(:a, 'led', 'a') \gset
SELECT test.outcome('INSERT INTO fenced_by_ns VALUES (1)'), test.outcome('INSERT INTO fenced_by_leader VALUES (1)');
SELECT test.outcome('UPDATE fenced_by_ns SET id = 1');
BEGIN;
SELECT atomix.assert_lock('guarded', :t);
SELECT test.outcome('INSERT INTO fenced_by_ns VALUES (1)');
SELECT atomix.assert_lock('guarded', (SELECT token FROM atomix.locks WHERE name = 'guarded' AND namespace = 'ns'), 'ns');
SELECT atomix.assert_leader('led', :led);
INSERT INTO fenced_by_ns VALUES (1), (2);
UPDATE fenced_by_ns SET id = id + 1;
INSERT INTO fenced_by_leader VALUES (1);
UPDATE fenced_by_leader SET id = 2;
COMMIT;
SELECT array_agg(id) FROM fenced_by_ns;
SELECT array_agg(id) FROM fenced_by_leader;
-- An election that passed to another protects no more.
BEGIN;
SELECT atomix.assert_leader('led', :led);
SELECT is_leader FROM atomix.election_enter(:b, 'led', 'b');
SELECT atomix.election_anoint('led', 'b');
SELECT test.outcome('INSERT INTO fenced_by_leader VALUES (3)');
ROLLBACK;

-- Triggers that name nothing, or too much; a name nobody used
CREATE TABLE fenced_wrong (id int);
CREATE TRIGGER fence BEFORE INSERT ON fenced_wrong FOR EACH ROW EXECUTE FUNCTION atomix.fence();
CREATE TRIGGER too_much BEFORE UPDATE ON fenced_by_leader FOR EACH ROW EXECUTE FUNCTION atomix.fence('a', 'b', 'c');
CREATE TRIGGER unused BEFORE DELETE ON fenced_wrong FOR EACH STATEMENT EXECUTE FUNCTION atomix.fence('never used');
SELECT test.outcome('INSERT INTO fenced_wrong VALUES (1)');
SELECT test.outcome('DELETE FROM fenced_wrong');
SELECT test.outcome('UPDATE fenced_by_leader SET id = 1');
-- Whoever writes needs no right on the schema: the trigger's owner had it.
GRANT ALL ON fenced TO PUBLIC;
SET ROLE regress_atomix_guard_member;
SELECT test.outcome('DELETE FROM fenced');
RESET ROLE;

--
-- hold: a lock for one transaction
--
BEGIN;
SELECT atomix.hold('held') AS h1 \gset
SELECT atomix.hold('held') AS h2 \gset
SELECT :h2 > :h1 AS grows, test.claims('held') = '' AS no_claim;
COMMIT;
SELECT token > :h2 AS newer FROM atomix.lock_try(:a, 'held');
-- What is granted is waited for, as long as lock_timeout allows.
SET lock_timeout = '50 ms';
SELECT test.outcome('SELECT atomix.hold(''held'')');
RESET lock_timeout;
BEGIN;
SELECT granted FROM atomix.lock_try(:a, 'granted here');
SELECT test.outcome('SELECT atomix.hold(''granted here'')');
ROLLBACK;
-- Released in the same transaction it can be held.
SELECT atomix.lock_release(:a, 'held');
BEGIN;
SELECT granted FROM atomix.lock_try(:a, 'held');
SELECT atomix.lock_release(:a, 'held');
SELECT atomix.hold('held') > :h2 AS held;
COMMIT;
-- It opens the fence, until it is rolled back.
SELECT atomix.lock_release(:a, 'guarded');
BEGIN;
SAVEPOINT s;
SELECT atomix.hold('guarded') > 0 AS held;
INSERT INTO fenced VALUES (4, 'held');
SELECT test.outcome('INSERT INTO fenced_by_ns VALUES (1)');
ROLLBACK TO s;
SELECT test.outcome('INSERT INTO fenced VALUES (4, ''not held'')');
SELECT atomix.hold('guarded') > 0 AS held;
INSERT INTO fenced VALUES (4, 'held');
COMMIT;
INSERT INTO fenced VALUES (5, 'not held');
-- Nothing is left of it.
SELECT test.claims('guarded'), test.claims('held');

-- Neither can be prepared.
BEGIN;
SELECT atomix.hold('held') > 0 AS held;
PREPARE TRANSACTION 'held';
SELECT token AS t FROM atomix.lock_try(:a, 'guarded') \gset
BEGIN;
SELECT atomix.assert_lock('guarded', :t);
PREPARE TRANSACTION 'guarded';

-- A transaction that keeps others waiting must not idle for ever.
SHOW idle_in_transaction_session_timeout;
BEGIN;
SELECT atomix.assert_lock('guarded', :t);
SHOW idle_in_transaction_session_timeout;
COMMIT;
SHOW idle_in_transaction_session_timeout;
SET idle_in_transaction_session_timeout = '30 s';
BEGIN;
SELECT atomix.hold('held') > 0 AS held;
SHOW idle_in_transaction_session_timeout;
COMMIT;
RESET idle_in_transaction_session_timeout;

DROP TABLE fenced, fenced_by_ns, fenced_by_leader, fenced_wrong;
SELECT count(atomix.close_session(session_id)) > 0 AS closed FROM atomix.sessions WHERE state = 'opened';
SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services;
DROP OWNED BY regress_atomix_guard, regress_atomix_guard_member, regress_atomix_guard_other;
DROP ROLE regress_atomix_guard, regress_atomix_guard_member, regress_atomix_guard_other;
