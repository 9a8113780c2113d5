--
-- Proves what the session functions answer and what the views show, that
-- every call is a part of its transaction, that a session lives at least its
-- timeout and at most nine eighths of it, and that closed, expired and
-- unknown are three answers.
--
SET application_name = 'regression';

--
-- What was asked for is what the view shows
--
SELECT atomix.open_session() AS plain \gset
SELECT atomix.open_session(
  timeout => '8 min', name => 'one', kind => 'worker',
  labels => '{"zone": "a", "rack": ""}', config => '\x0a07742f7468696e671202ff00',
  services => '[]', partition_id => 1) AS full \gset
SELECT atomix.open_session('1 day', NULL, NULL, '{}', NULL, '[]', 1) AS longest \gset
SELECT :plain < :full AND :full < :longest AS ids_rise;

SELECT partition_id, name, kind, labels, timeout, state, reason,
    owner = current_user::regrole AS mine, application_name,
    client_addr IS NOT DISTINCT FROM inet_client_addr() AS my_address
  FROM atomix.sessions WHERE session_id IN (:plain, :full, :longest)
  ORDER BY session_id;
SELECT config FROM atomix.session WHERE session_id = :full;

-- A session may be ended an eighth of its timeout after the timeout.
SELECT test.about(clock_timestamp() - opened_at, '0') AS opened_now,
    test.about(clock_timestamp() - last_renewed_at, '0') AS renewed_now,
    test.about(deadline - last_renewed_at, '9 min') AS nine_eighths
  FROM atomix.sessions WHERE session_id = :full;
SELECT test.about(deadline - last_renewed_at, '27 hours') AS nine_eighths
  FROM atomix.sessions WHERE session_id = :longest;

-- What is left after a keep_alive is the timeout.
SELECT atomix.keep_alive(:plain), atomix.keep_alive(session_id => :full),
    atomix.keep_alive(:longest);
SELECT atomix.close_session(:plain), atomix.close_session(session_id => :longest);

--
-- Renewals
--

-- One that comes less than an eighth of the timeout after another is
-- answered, and not written: the deadline stays where it was.
SELECT atomix._advance_clock('30 s');
SELECT atomix.keep_alive(:full);
SELECT test.about(clock_timestamp() - last_renewed_at, '30 s') AS older,
    test.about(deadline - clock_timestamp(), '8 min 30 s') AS earlier
  FROM atomix.sessions WHERE session_id = :full;
SELECT atomix._advance_clock('1 min');
SELECT atomix.keep_alive(:full);
SELECT test.about(clock_timestamp() - last_renewed_at, '0') AS renewed,
    test.about(deadline - clock_timestamp(), '9 min') AS deadline
  FROM atomix.sessions WHERE session_id = :full;
SELECT atomix._advance_clock('30 s');
SET atomix._coalesce_renewals = off;
SELECT atomix.keep_alive(:full);
RESET atomix._coalesce_renewals;
SELECT test.about(clock_timestamp() - last_renewed_at, '0') AS renewed
  FROM atomix.sessions WHERE session_id = :full;

-- Past its timeout and within the slack it lives, and a late keep_alive
-- gives it its whole timeout again.
SELECT atomix._advance_clock('8 min 30 s');
SELECT atomix.tick() >= 0 AS ticked;
SELECT state FROM atomix.sessions WHERE session_id = :full;
SELECT atomix.keep_alive(:full);
SELECT atomix._advance_clock('8 min 30 s');
SELECT atomix.tick() >= 0 AS ticked;
SELECT state FROM atomix.sessions WHERE session_id = :full;

--
-- The ways to end: closed, ended by an administrator, expired
--
SELECT atomix.open_session('8 min', 'to close') AS closed \gset
SELECT atomix.open_session('8 min', 'to end') AS ended \gset
SELECT atomix.open_session('8 min', 'to expire') AS expired \gset
SELECT atomix.open_session('24 min', 'to live') AS live \gset
SELECT atomix.close_session(:closed), atomix.end_session(:ended, 'maintenance of node 7');
SELECT atomix._advance_clock('9 min 30 s');
SELECT atomix.tick() >= 0 AS ticked;
SELECT test.state(:full), test.state(:expired), test.state(:live);
SELECT name, state, reason, deadline IS NULL AS no_deadline, last_renewed_at IS NULL AS no_lease
  FROM atomix.sessions WHERE session_id IN (:closed, :ended, :expired, :live)
  ORDER BY session_id;

-- An id that was drawn and given back with its transaction is unknown.
BEGIN;
SELECT atomix.open_session() AS unknown \gset
ROLLBACK;

SELECT what,
    test.outcome(format('SELECT atomix.keep_alive(%s)', id), id) AS keep_alive
  FROM (VALUES (1, 'closed', :closed), (2, 'ended', :ended),
    (3, 'expired', :expired), (4, 'unknown', :unknown)) AS v (n, what, id) ORDER BY n;
SELECT what,
    test.outcome(format('SELECT atomix.close_session(%s)', id), id) AS close_session,
    test.outcome(format('SELECT atomix.end_session(%s, %L)', id, 'again'), id) AS end_session
  FROM (VALUES (1, 'closed', :closed), (2, 'ended', :ended),
    (3, 'expired', :expired), (4, 'unknown', :unknown)) AS v (n, what, id) ORDER BY n;

-- A second end changes nothing of the first.
SELECT name, state, reason FROM atomix.sessions
  WHERE session_id IN (:closed, :ended, :expired) ORDER BY session_id;

-- Past its deadline and not yet ended: it is still its owner's to close.
BEGIN;
SELECT atomix.keep_alive(:live);
SELECT atomix._advance_clock('28 min');
SELECT deadline < clock_timestamp() AS overdue, state
  FROM atomix.sessions WHERE session_id = :live;
SELECT atomix.close_session(:live);
SELECT state, reason FROM atomix.sessions WHERE session_id = :live;
COMMIT;
SELECT state, reason FROM atomix.sessions WHERE session_id = :live;

-- After atomix.tombstone_retention an ended session is as unknown as one
-- that never was.
SELECT atomix._advance_clock('2 hours');
SELECT test.becomes_true(format(
  'NOT EXISTS (SELECT FROM atomix.sessions WHERE session_id = %s)', :closed));
SELECT test.outcome(format('SELECT atomix.keep_alive(%s)', :closed), :closed);
SELECT test.outcome(format('SELECT atomix.close_session(%s)', :expired), :expired);

--
-- Every call is a part of its transaction
--

-- A session that was opened and rolled back never was.
BEGIN;
SELECT atomix.open_session('8 min') AS id \gset
SELECT atomix.keep_alive(:id);
SELECT state FROM atomix.sessions WHERE session_id = :id;
ROLLBACK;
SELECT count(*) FROM atomix.sessions WHERE session_id = :id;
SELECT test.outcome(format('SELECT atomix.keep_alive(%s)', :id), :id);
SELECT atomix.open_session('8 min') AS next \gset
SELECT :next > :id AS not_drawn_again;

-- One that is opened and closed in one transaction was both.
BEGIN;
SELECT atomix.open_session('8 min') AS id \gset
SELECT atomix.close_session(:id);
SELECT atomix.close_session(:id);
SELECT test.outcome(format('SELECT atomix.keep_alive(%s)', :id), :id);
COMMIT;
SELECT state FROM atomix.sessions WHERE session_id = :id;

-- A close that is rolled back did not happen.
SELECT atomix.open_session('8 min') AS id \gset
BEGIN;
SELECT atomix.close_session(:id);
SELECT state FROM atomix.sessions WHERE session_id = :id;
ROLLBACK;
SELECT state, deadline IS NOT NULL AS has_lease FROM atomix.sessions WHERE session_id = :id;
SELECT atomix.keep_alive(:id);

-- Nor did one that was rolled back to a savepoint, but what was before it.
BEGIN;
SELECT atomix.open_session('8 min') AS other \gset
SAVEPOINT before_close;
SELECT atomix.close_session(:id), atomix.close_session(:other);
SELECT atomix.end_session(:next, 'by mistake');
SELECT atomix.open_session('8 min') AS undone \gset
ROLLBACK TO before_close;
SELECT atomix.keep_alive(:id), atomix.keep_alive(:other), atomix.keep_alive(:next);
COMMIT;
SELECT test.state(:id), test.state(:other), test.state(:next), test.state(:undone);

-- An error undoes what its transaction did.
\set VERBOSITY sqlstate
BEGIN;
SELECT atomix.close_session(:id);
SELECT atomix.close_session(:undone);
COMMIT;
\set VERBOSITY default
SELECT test.state(:id);

-- A keep_alive that is rolled back did not renew.
SELECT atomix._advance_clock('4 min');
BEGIN;
SELECT atomix.keep_alive(:id), atomix.keep_alive(:other);
SELECT test.about(clock_timestamp() - last_renewed_at, '0') AS renewed
  FROM atomix.sessions WHERE session_id = :id;
ROLLBACK;
SELECT atomix.keep_alive(:other);
SELECT session_id = :id AS rolled_back,
    test.about(clock_timestamp() - last_renewed_at, '4 min') AS older
  FROM atomix.sessions WHERE session_id IN (:id, :other) ORDER BY session_id;
SELECT atomix._advance_clock('5 min 30 s');
SELECT atomix.tick() >= 0 AS ticked;
SELECT test.state(:id), test.state(:other);

-- tick() takes over for everybody, so it has no place in a transaction that
-- may go on for long.
BEGIN;
SELECT atomix.tick();
ROLLBACK;
SELECT test.outcome('SELECT atomix.tick()');

-- Nothing is left of the deadline of a session with the least timeout after
-- one and an eighth of a second.
SELECT atomix.open_session('1 s') AS shortest \gset
SELECT atomix._advance_clock('1.125001 s');
SELECT test.state(:shortest);

--
-- The other views
--
SELECT partition_id, term, leader <> '' AS has_leader, since < clock_timestamp() AS has_begun
  FROM atomix.partitions;
SELECT test.becomes_true($$EXISTS (SELECT FROM atomix.workers
  WHERE database = current_database() AND state = 'running' AND pid IS NOT NULL
    AND last_cycle <= clock_timestamp())$$) AS works;
-- Where all is slow it may have given up a lock, and come again.
SELECT count(*) AS workers, bool_and(library = sql) AS same_version,
    bool_and(lag >= '0') AS has_lag,
    count(last_error) FILTER (WHERE last_error NOT LIKE '%lock timeout%') AS errors
  FROM atomix.workers WHERE database = current_database();

-- Every change was numbered once.
SELECT test.becomes_true('NOT EXISTS (SELECT FROM atomix.session WHERE version IS NULL)');
SELECT count(*) = count(DISTINCT version) AS one_each,
    max(version) <= (SELECT session_version FROM atomix.authority) AS up_to_the_greatest
  FROM atomix.session;
