--
-- Proves what the functions of locks answer: who is granted a lock, in which
-- order, what a repeated call finds, how claims end, what administrators can
-- do, and that tokens grow whatever happens.
--
SELECT test.open('A', 'B', 'C', 'D', 'E');

--
-- Exclusive: one at a time, first come, first served
--
SELECT * FROM test.play('plain',
  'lock_try(@A, L)', 'lock_try(@B, L)', 'lock_acquire(@B, L)', 'lock_acquire(@C, L, ''1 min'')',
  'lock_acquire(@D, L, ''0'')', 'lock_try(@D, L)', 'lock_acquire(@D, L, NULL)',
  'lock_release(@A, L)', 'lock_release(@A, L)', 'lock_release(@B, L, #B)', 'lock_try(@A, L)',
  'lock_release(@C, L)', 'lock_release(@D, L)', 'lock_release(@D, L)', 'lock_try(@A, L)');

-- One that nobody claims is there, too.
SELECT atomix.set_lock_delay('free', '0');
SELECT name, session_id, granted, token, ticket, shared, since, owner, session_name, application_name, client_addr
  FROM atomix.locks WHERE name = 'free';
SELECT session_name, granted, token = ticket AS at_once, shared, test.about(clock_timestamp() - since, '0') AS since_now,
    owner = current_user::regrole AS mine, application_name = current_setting('application_name') AS same_application,
    client_addr IS NOT DISTINCT FROM inet_client_addr() AS my_address, namespace, name
  FROM atomix.locks WHERE name = 'plain';

--
-- Asking again, after a reply was lost, finds the claim there is
--
SELECT session_id AS a FROM atomix.sessions WHERE name = 'A' AND state = 'opened' \gset
SELECT session_id AS b FROM atomix.sessions WHERE name = 'B' AND state = 'opened' \gset
SELECT session_id AS c FROM atomix.sessions WHERE name = 'C' AND state = 'opened' \gset
SELECT token AS first FROM atomix.lock_acquire(:a, 'again') \gset
SELECT granted, token = :first AS same, ticket = :first AS same_ticket FROM atomix.lock_acquire(:a, 'again');
SELECT granted, token = :first AS same FROM atomix.lock_try(:a, 'again');
SELECT granted, token = :first AS same FROM atomix.lock_acquire(:a, 'again', '0');
SELECT ticket FROM atomix.lock_acquire(:b, 'again') \gset
SELECT granted, token IS NULL AS no_token, ticket = :ticket AS same FROM atomix.lock_acquire(:b, 'again', '1 min');
SELECT granted, token IS NULL AS no_token FROM atomix.lock_try(:b, 'again');
SELECT atomix.lock_release(:a, 'again');
SELECT granted, token > :first AS newer, ticket = :ticket AS same FROM atomix.lock_acquire(:b, 'again');
-- The other mode is another claim: it waits behind one's own.
SELECT * FROM test.play('modes',
  'lock_acquire(@A, L)', 'lock_acquire(@A, L, shared => true)', 'lock_acquire(@A, L)',
  'lock_release(@A, L, #A)', 'lock_acquire(@A, L, shared => true)',
  'lock_acquire(@A, L)', 'lock_release(@A, L)', 'lock_release(@A, L)');
-- Without a token all grants end: here two at once.
SELECT * FROM test.play('both',
  'lock_try(@A, L, shared => true)', 'lock_acquire(@B, L, shared => true)', 'lock_acquire(@A, L)',
  'lock_release(@B, L)', 'lock_release(@A, L, 1)', 'lock_release(@A, L)', 'lock_release(@A, L)');

--
-- Releasing and canceling: only what is one's own, only what it was
--
SELECT * FROM test.play('wrong',
  'lock_release(@A, L)', 'lock_acquire(@A, L)', 'lock_acquire(@B, L)', 'lock_acquire(@C, L)',
  'lock_release(@A, L, 1)', 'lock_release(@A, L, 0)', 'lock_release(@A, L, -1)', 'lock_release(@A, L, %B)',
  'lock_release(@B, L, #A)', 'lock_release(@B, L, %B)', 'lock_release(@B, L)',
  'lock_cancel(@A, L, %A)', 'lock_cancel(@A, L, %B)', 'lock_cancel(@B, L, 1)', 'lock_cancel(@B, L, -1)',
  'lock_cancel(@B, L, 0)', 'lock_cancel(@B, ''other'', %B)', 'lock_cancel(@B, L, %B)', 'lock_cancel(@B, L, %B)',
  'lock_release(@A, L, #A, ''elsewhere'')', 'lock_release(@A, L, #A)', 'lock_cancel(@C, L, %C)', 'lock_release(@C, L)');
-- An old token does not release a new grant.
SELECT token AS old FROM atomix.lock_try(:a, 'stale') \gset
SELECT atomix.lock_release(:a, 'stale', :old);
SELECT token AS new FROM atomix.lock_try(:a, 'stale') \gset
SELECT :new > :old AS newer, atomix.lock_release(:a, 'stale', :old) AS by_old, atomix.lock_release(:a, 'stale', :new) AS by_new;
-- Namespaces are apart.
SELECT granted FROM atomix.lock_try(:a, 'apart', 'one');
SELECT granted FROM atomix.lock_try(:b, 'apart', namespace => 'two');
SELECT granted FROM atomix.lock_try(:b, 'apart', 'one');
SELECT test.claims('apart'), test.claims('apart', 'one'), test.claims('apart', 'two');
-- Asking for nothing makes nothing.
SELECT atomix.lock_release(:a, 'never'), atomix.lock_cancel(:a, 'never', 1),
  atomix.lock_force_release('never', 1, 'none'), atomix.lock_transfer('never', 1, 1, 'none');
SELECT count(*) FROM atomix.services WHERE name = 'never';

--
-- Shared: many readers, and none overtakes a writer that waits
--
SELECT * FROM test.play('shared',
  'lock_try(@A, L, shared => true)', 'lock_try(@B, L, shared => true)', 'lock_try(@C, L)',
  'lock_acquire(@C, L)', 'lock_try(@D, L, shared => true)', 'lock_acquire(@D, L, shared => true)',
  'lock_acquire(@E, L, shared => true)', 'lock_acquire(@A, L, shared => true)',
  'lock_release(@A, L)', 'lock_release(@B, L)', 'lock_acquire(@A, L)',
  'lock_release(@C, L)', 'lock_acquire(@B, L, shared => true)', 'lock_release(@D, L)', 'lock_release(@E, L)',
  'lock_release(@A, L)', 'lock_release(@B, L)');
-- A writer that gives up lets the readers behind it pass.
SELECT * FROM test.play('give up',
  'lock_try(@A, L, shared => true)', 'lock_acquire(@B, L)', 'lock_acquire(@C, L, shared => true)',
  'lock_acquire(@D, L, shared => true)', 'lock_acquire(@E, L)', 'lock_cancel(@B, L, %B)', 'lock_cancel(@E, L, %E)');
-- Readers granted at once have a token each.
SELECT count(DISTINCT token) FROM atomix.locks WHERE name = 'give up';

--
-- Time: who waited long enough is never granted it
--
SELECT token AS held FROM atomix.lock_acquire(:a, 'timed') \gset
SELECT ticket AS short FROM atomix.lock_acquire(:b, 'timed', '1 min') \gset
SELECT ticket AS long FROM atomix.lock_acquire(:c, 'timed', '3 min') \gset
BEGIN;
SELECT atomix._advance_clock('2 min');
SELECT atomix.lock_release(:a, 'timed', :held);
SELECT test.claims('timed');
COMMIT;
SELECT granted FROM atomix.wait_ticket(:b, :short, '0');
SELECT granted, token > :held AS newer FROM atomix.wait_ticket(:c, :long, '0');
-- In the middle of the queue, too: it does not wait to come to the head.
SELECT atomix.keep_alive(session_id) IS NOT NULL AS renewed FROM atomix.sessions WHERE name ~ '^[A-E]$' AND state = 'opened';
SELECT granted FROM atomix.lock_acquire(:a, 'timed') \gset
SELECT ticket AS short FROM atomix.lock_acquire(:b, 'timed', '1 min') \gset
BEGIN;
SELECT atomix._advance_clock('61 s');
SELECT test.claims('timed'), t.ticket <> :short AS anew
  FROM atomix.lock_acquire(:b, 'timed', '2 min') AS t;
SELECT ticket AS short FROM atomix.locks WHERE name = 'timed' AND session_id = :b \gset
COMMIT;
SELECT atomix._advance_clock('121 s');
SELECT test.becomes_true('test.claims(''timed'') = ''C* A''') AS timed_out;
SELECT granted FROM atomix.wait_ticket(:b, :short, '0');
SELECT atomix.keep_alive(session_id) IS NOT NULL AS renewed FROM atomix.sessions WHERE name ~ '^[A-E]$' AND state = 'opened';
-- The longest wait there is
SELECT granted, ticket IS NOT NULL AS waits FROM atomix.lock_acquire(:b, 'timed', '106751991 days');
SELECT atomix.tick() >= 0 AS ticked;
SELECT test.claims('timed');

--
-- The end of a session: its grants go to the next, its waiting claims go
--
SELECT * FROM test.play('ends',
  'lock_acquire(@A, L)', 'lock_acquire(@B, L)', 'lock_acquire(@C, L)', 'lock_acquire(@D, L, shared => true)',
  'close_session(@A)', 'close_session(@C)', 'lock_release(@A, L)', 'close_session(@B)', 'close_session(@D)');
SELECT test.open('A', 'B', 'C', 'D');
SELECT max(session_id) AS a FROM atomix.sessions WHERE name = 'A' \gset
SELECT max(session_id) AS b FROM atomix.sessions WHERE name = 'B' \gset
SELECT max(session_id) AS c FROM atomix.sessions WHERE name = 'C' \gset
-- Once it was passed on, the end of its former holder does not touch it.
SELECT * FROM test.play('passed on',
  'lock_acquire(@A, L)', 'lock_acquire(@B, L)', 'lock_acquire(@C, L)', 'lock_release(@A, L)', 'close_session(@A)',
  'lock_release(@B, L)');
-- Expiry: whoever comes next ends it, if the worker has not.
SELECT test.open('A');
SELECT max(session_id) AS a FROM atomix.sessions WHERE name = 'A' \gset
SELECT atomix.open_session('1 min', 'S') AS s \gset
SELECT atomix.open_session('1 min', 'T') AS t \gset
SELECT token AS of_s FROM atomix.lock_acquire(:s, 'expires') \gset
SELECT granted FROM atomix.lock_acquire(:t, 'expires');
SELECT granted FROM atomix.lock_acquire(:b, 'expires');
BEGIN;
SELECT atomix._advance_clock('68 s');
SELECT count(*) FROM atomix.lock_try(:b, 'expires');
COMMIT;
SELECT test.state(:s), test.state(:t);
SELECT test.becomes_true('test.claims(''expires'') = ''B*''') AS passed_on;
-- Sessions that end while they wait behind others leave nothing behind.
SELECT atomix.open_session('1 min', 'S') AS s \gset
SELECT granted FROM atomix.lock_acquire(:c, 'expires');
SELECT granted FROM atomix.lock_acquire(:s, 'expires');
SELECT atomix._advance_clock('68 s');
SELECT test.state(:s), test.claims('expires');

-- The delay after an expiry; a clean release has none.
SELECT atomix.set_lock_delay('delayed', '1 min');
SELECT atomix.open_session('1 min', 'S') AS s \gset
SELECT token AS of_s FROM atomix.lock_acquire(:s, 'delayed') \gset
SELECT atomix.lock_release(:s, 'delayed');
SELECT * FROM test.play('delayed', 'lock_try(@A, L)', 'lock_release(@A, L)');
SELECT token AS of_s FROM atomix.lock_acquire(:s, 'delayed') \gset
SELECT atomix._advance_clock('68 s');
SELECT test.state(:s);
SELECT * FROM test.play('delayed', 'lock_try(@A, L)', 'lock_acquire(@A, L)');
SELECT session_id, granted, shared, owner, session_name FROM atomix.locks WHERE name = 'delayed' AND session_id = 0;
SELECT atomix._advance_clock('61 s');
SELECT test.becomes_true('test.claims(''delayed'') = ''A*''') AS delay_is_over;
SELECT token > :of_s AS newer FROM atomix.locks WHERE name = 'delayed';
-- The longest delay there is
SELECT atomix.set_lock_delay('delayed', '106751991 days');
SELECT atomix.lock_release(:a, 'delayed');
SELECT atomix.open_session('1 min', 'S') AS s \gset
SELECT granted FROM atomix.lock_acquire(:s, 'delayed');
SELECT atomix._advance_clock('68 s');
SELECT test.state(:s);
SELECT granted FROM atomix.lock_try(:a, 'delayed');
SELECT test.claims('delayed');
SELECT atomix.set_lock_delay('delayed', '0');

--
-- A part of the transaction
--
BEGIN;
SELECT granted FROM atomix.lock_try(:a, 'undone');
SAVEPOINT s;
SELECT granted FROM atomix.lock_try(:a, 'undone too');
ROLLBACK TO s;
COMMIT;
BEGIN;
SELECT atomix.lock_release(:b, 'expires');
SELECT test.claims('expires');
ROLLBACK;
SELECT test.claims('undone'), test.claims('undone too'), test.claims('expires');

--
-- Waiting
--
SELECT token AS held FROM atomix.lock_acquire(:b, 'waited') \gset
SELECT ticket FROM atomix.lock_acquire(:c, 'waited') \gset
SELECT granted, token FROM atomix.wait_ticket(:c, :ticket, '0');
SELECT granted, token FROM atomix.wait_ticket(:c, :ticket, '10 ms');
SELECT granted, token = :held AS same FROM atomix.wait_ticket(:b, :held);
-- Another's ticket, or none, is gone.
SELECT granted, token FROM atomix.wait_ticket(:b, :ticket);
SELECT granted, token FROM atomix.wait_ticket(:b, 1);
-- No longer than atomix.max_wait, whatever is asked for
ALTER SYSTEM SET atomix.max_wait = '20 ms';
SELECT pg_reload_conf();
\c -
SHOW atomix.max_wait;
SELECT granted FROM atomix.wait_ticket(:c, :ticket, '1 day');
SELECT granted FROM atomix.wait_ticket(:c, :ticket, NULL);
ALTER SYSTEM RESET atomix.max_wait;
SELECT pg_reload_conf();
\c -
BEGIN READ ONLY;
SELECT granted FROM atomix.wait_ticket(:c, :ticket, '10 ms');
COMMIT;
BEGIN;
SELECT granted FROM atomix.lock_acquire(:a, 'waited');
SELECT * FROM test.play('waited', 'wait_ticket(@A, %A)', 'wait_ticket(@A, %A, ''0'')', 'wait_ticket(@C, %C, ''0'')',
  'lock_release(@B, L)', 'wait_ticket(@C, %C)', 'lock_release(@C, L)', 'wait_ticket(@A, %A)');
ROLLBACK;
SELECT atomix.lock_release(:b, 'waited');
SELECT granted, token > :held AS newer FROM atomix.wait_ticket(:c, :ticket);
SELECT granted FROM atomix.lock_acquire(:b, 'waited') \gset
SELECT atomix.lock_cancel(:b, 'waited', (SELECT ticket FROM atomix.locks WHERE name = 'waited' AND session_id = :b));

--
-- Administrators
--
SELECT count(*) AS before FROM atomix.intervention \gset
SELECT * FROM test.play('taken',
  'lock_acquire(@A, L)', 'lock_acquire(@B, L)', 'lock_acquire(@C, L)',
  'lock_force_release(L, 1, ''no such'')', 'lock_force_release(L, -1, ''no such'')', 'lock_force_release(L, 0, ''no such'')',
  'lock_transfer(L, 1, %C, ''no such'')', 'lock_transfer(L, #A, 1, ''no such'')', 'lock_transfer(L, #A, %A, ''granted'')',
  'lock_force_release(L, #A, ''stuck'')', 'lock_release(@A, L)', 'lock_acquire(@A, L)',
  'lock_transfer(L, #B, %A, ''urgent'')', 'lock_release(@B, L)', 'lock_release(@A, L)');
SELECT action, i.name, namespace, i.reason, actor = current_user AS by_me, i.session_id IS NOT NULL AS session,
    s.name AS session_name, token IS NOT NULL AS token, ticket IS NOT NULL AS ticket,
    test.about(clock_timestamp() - at, '0') AS now
  FROM atomix.intervention i LEFT JOIN atomix.sessions s USING (session_id) ORDER BY index OFFSET :before;
-- What one of many shares is not another's alone.
SELECT * FROM test.play('transfer',
  'lock_acquire(@A, L, shared => true)', 'lock_acquire(@B, L, shared => true)', 'lock_acquire(@C, L)',
  'lock_acquire(@D, L, shared => true)', 'lock_transfer(L, #A, %C, ''exclusive'')', 'lock_transfer(L, #A, %D, ''shared'')',
  'lock_force_release(L, #B, ''first'')', 'lock_transfer(L, #D, %C, ''exclusive'')');
-- Nor does one get it that waited long enough, or whose session has ended.
SELECT granted FROM atomix.lock_acquire(:a, 'dead') \gset
SELECT granted FROM atomix.lock_acquire(:b, 'dead') \gset
SELECT ticket AS short FROM atomix.lock_acquire(:c, 'dead', '1 min') \gset
BEGIN;
SELECT atomix._advance_clock('61 s');
SELECT * FROM test.play('dead', format('lock_transfer(L, #A, %s, ''late'')', :short), 'lock_release(@A, L)');
COMMIT;
-- Tokens grow whatever is done.
SELECT atomix.lock_force_release('dead', token, 'end') FROM atomix.locks WHERE name = 'dead';
SELECT token AS last FROM atomix.locks WHERE name = 'transfer' \gset
SELECT max(token) < :last AS greatest FROM atomix.intervention WHERE name = 'transfer' AND action <> 'transfer_to';

--
-- Deleting a lock ends all claims on it
--
SELECT * FROM test.play('deleted', 'lock_acquire(@A, L)', 'lock_acquire(@B, L)', 'delete_service(L)',
  'wait_ticket(@B, %B)', 'lock_release(@A, L)', 'lock_acquire(@B, L)');

--
-- Wrong input
--
SELECT atomix.open_session('8 min', 'X') AS closed \gset
SELECT atomix.close_session(:closed);
SELECT atomix.open_session('1 min', 'Y') AS expired \gset
SELECT atomix._advance_clock('68 s');
SELECT test.state(:expired);
SELECT atomix.counter_set('a counter', 1);
SELECT f.call AS function, test.outcome(format('SELECT atomix.' || f.call, s.id, 'wrong input'), greatest(s.id, 100)) AS answer
  FROM (VALUES (1, 'lock_try(%s, %L)'), (2, 'lock_acquire(%s, %L)'), (3, 'lock_release(%s, %L)'),
      (4, 'lock_cancel(%s, %L, 1)'), (5, 'wait_ticket(%s, 1)')) AS f (n, call),
    (VALUES (1, 77::bigint), (2, 0), (3, -1), (4, :closed), (5, :expired)) AS s (n, id)
  ORDER BY f.n, s.n;
SELECT f.call AS function, v.name, test.outcome(format('SELECT atomix.' || f.call, :a, v.value), :a) AS answer
  FROM (VALUES (1, 'lock_try(%s, %L)'), (2, 'lock_acquire(%s, %L)'), (3, 'lock_release(%s, %L)'), (4, 'lock_cancel(%s, %L, 1)'),
      (5, 'lock_force_release(%2$L, 1, ''r'')'), (6, 'lock_transfer(%2$L, 1, 1, ''r'')'), (7, 'set_lock_delay(%2$L, ''1 s'')'),
      (8, 'lock_try(%s, ''x'', %L || repeat(''x'', 1100))')) AS f (n, call),
    (VALUES (1, 'empty', ''), (2, 'too long', repeat('x', 1025)), (3, 'a counter', 'a counter')) AS v (n, name, value)
  WHERE f.n < 8 OR v.n = 1 ORDER BY f.n, v.n;
SELECT call, test.outcome(format('SELECT atomix.' || call, :a), :a) AS answer FROM (VALUES
  (1, 'lock_acquire(%s, ''i'', ''-1 s'')'), (2, 'lock_acquire(%s, ''i'', ''1 month'')'), (3, 'lock_acquire(%s, ''i'', ''-1 day 1 hour'')'),
  (4, 'lock_acquire(%s, ''i'', ''2000000000 days'')'), (5, 'wait_ticket(%s, 1, ''-1 us'')'), (6, 'wait_ticket(%s, 1, ''1 year'')'),
  (7, 'set_lock_delay(''i'', ''-1 s'')'), (8, 'set_lock_delay(''i'', ''1 month'')'), (9, 'wait_ticket(%s, -1)'),
  (10, 'lock_try(%s, ''one too many'', '''', false, 1)')
) AS v (n, call) ORDER BY n;
-- A null where a value is needed
SELECT call, test.outcome('SELECT atomix.' || call) AS answer FROM (VALUES
  (1, 'lock_try(NULL, ''n'')'), (2, 'lock_try(1, NULL)'), (3, 'lock_try(1, ''n'', NULL)'), (4, 'lock_try(1, ''n'', '''', NULL)'),
  (5, 'lock_acquire(NULL, ''n'')'), (6, 'lock_acquire(1, NULL)'), (7, 'lock_acquire(1, ''n'', NULL, NULL)'),
  (8, 'lock_acquire(1, ''n'', NULL, '''', NULL)'), (9, 'lock_release(NULL, ''n'')'), (10, 'lock_release(1, NULL)'),
  (11, 'lock_release(1, ''n'', NULL, NULL)'), (12, 'lock_cancel(NULL, ''n'', 1)'), (13, 'lock_cancel(1, NULL, 1)'),
  (14, 'lock_cancel(1, ''n'', NULL)'), (15, 'lock_cancel(1, ''n'', 1, NULL)'), (16, 'wait_ticket(NULL, 1)'),
  (17, 'wait_ticket(1, NULL)'), (18, 'lock_force_release(NULL, 1, '''')'), (19, 'lock_force_release(''n'', NULL, '''')'),
  (20, 'lock_force_release(''n'', 1, NULL)'), (21, 'lock_force_release(''n'', 1, '''', NULL)'), (22, 'lock_transfer(NULL, 1, 1, '''')'),
  (23, 'lock_transfer(''n'', NULL, 1, '''')'), (24, 'lock_transfer(''n'', 1, NULL, '''')'), (25, 'lock_transfer(''n'', 1, 1, NULL)'),
  (26, 'lock_transfer(''n'', 1, 1, '''', NULL)'), (27, 'set_lock_delay(NULL, ''0'')'), (28, 'set_lock_delay(''n'', NULL)'),
  (29, 'set_lock_delay(''n'', ''0'', NULL)')
) AS v (n, call) ORDER BY n;
SELECT count(*) FROM atomix.services WHERE name IN ('wrong input', 'n', 'i', '');
-- In a transaction that only reads
BEGIN READ ONLY;
SELECT call, test.outcome('SELECT atomix.' || call) AS answer FROM (VALUES
  (1, 'lock_try(1, ''n'')'), (2, 'lock_acquire(1, ''n'')'), (3, 'lock_release(1, ''n'')'), (4, 'lock_cancel(1, ''n'', 1)'),
  (5, 'lock_force_release(''n'', 1, '''')'), (6, 'lock_transfer(''n'', 1, 1, '''')'), (7, 'set_lock_delay(''n'', ''0'')')
) AS v (n, call) ORDER BY n;
COMMIT;
SELECT count(atomix.close_session(session_id)) > 0 AS closed FROM atomix.sessions WHERE name ~ '^[A-Z]$' AND state = 'opened';
SELECT count(*) FROM atomix.claim;
SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services
  WHERE type IN ('lock', 'semaphore', 'election');
SELECT atomix.delete_service('a counter');
