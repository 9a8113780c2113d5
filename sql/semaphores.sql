--
-- Proves what the functions of semaphores answer: permits are granted up to
-- the capacity, in the order in which they were asked for, and resizing
-- grants what fits and takes nothing away.
--
SELECT test.open('A', 'B', 'C', 'D', 'E');

-- One permit until it is resized
SELECT * FROM test.play('plain',
  'semaphore_try(@A, L)', 'semaphore_try(@B, L)', 'semaphore_acquire(@B, L)', 'semaphore_acquire(@C, L, timeout => ''0'')',
  'semaphore_try(@C, L, 2)', 'semaphore_release(@C, L)', 'semaphore_release(@B, L)', 'semaphore_release(@A, L, 1)',
  'semaphore_release(@A, L, 0)', 'semaphore_release(@A, L, %B)', 'semaphore_release(@A, L, #A)',
  'semaphore_release(@A, L)', 'semaphore_release(@B, L)');

-- Up to the capacity
SELECT * FROM test.play('many',
  'semaphore_resize(L, 3)', 'semaphore_try(@A, L)', 'semaphore_try(@B, L, 2)', 'semaphore_try(@C, L)',
  'semaphore_release(@A, L)', 'semaphore_try(@C, L, 2)', 'semaphore_try(@C, L, 1)', 'semaphore_release(@B, L)',
  'semaphore_release(@C, L)', 'semaphore_try(@A, L, 4)', 'semaphore_try(@A, L, 3)', 'semaphore_release(@A, L)');

-- The first in the queue is not overtaken by those who ask for less.
SELECT * FROM test.play('queue',
  'semaphore_resize(L, 3)', 'semaphore_acquire(@A, L, 2)', 'semaphore_acquire(@B, L, 2)', 'semaphore_acquire(@C, L, 1)',
  'semaphore_try(@D, L)', 'semaphore_acquire(@D, L, 3, ''1 min'')', 'semaphore_acquire(@E, L)',
  'semaphore_release(@A, L)', 'semaphore_release(@C, L)', 'semaphore_release(@B, L)', 'close_session(@D)');

-- Resizing: up grants who waits, down takes nothing away.
SELECT test.open('D');
SELECT * FROM test.play('resized',
  'semaphore_acquire(@A, L)', 'semaphore_acquire(@B, L, 2)', 'semaphore_acquire(@C, L)', 'semaphore_acquire(@D, L, 4)',
  'semaphore_resize(L, 2)', 'semaphore_resize(L, 4)', 'semaphore_resize(L, 1)', 'semaphore_release(@A, L)',
  'semaphore_release(@B, L)', 'semaphore_release(@C, L)', 'semaphore_resize(L, 0)', 'semaphore_try(@A, L)',
  'semaphore_resize(L, 4)', 'semaphore_resize(L, 2147483647)', 'semaphore_try(@A, L, 2147483643)', 'semaphore_try(@B, L)');
-- Asking for more than there is waits until there is.
SELECT * FROM test.play('greedy',
  'semaphore_acquire(@A, L, 5)', 'semaphore_try(@B, L)', 'semaphore_acquire(@B, L)', 'semaphore_resize(L, 4)',
  'semaphore_resize(L, 6)');

-- Asking again finds the claim of as many permits; others are another claim.
SELECT * FROM test.play('again',
  'semaphore_resize(L, 3)', 'semaphore_acquire(@A, L)', 'semaphore_acquire(@A, L)', 'semaphore_try(@A, L)',
  'semaphore_acquire(@A, L, 2)', 'semaphore_acquire(@A, L, 2)', 'semaphore_acquire(@A, L, 3)', 'semaphore_acquire(@A, L, 3)',
  'semaphore_release(@A, L, %A)', 'semaphore_release(@A, L)', 'semaphore_release(@A, L)', 'semaphore_release(@A, L)');
SELECT session_id AS a FROM atomix.sessions WHERE name = 'A' AND state = 'opened' \gset
SELECT session_id AS b FROM atomix.sessions WHERE name = 'B' AND state = 'opened' \gset
SELECT token AS t FROM atomix.semaphore_acquire(:a, 'lost') \gset
SELECT granted, token = :t AS same, ticket = :t AS same_ticket FROM atomix.semaphore_acquire(:a, 'lost');
SELECT ticket FROM atomix.semaphore_acquire(:b, 'lost') \gset
SELECT atomix.semaphore_release(:a, 'lost', :t);
SELECT granted, token > :t AS newer FROM atomix.wait_ticket(:b, :ticket);
SELECT granted, token > :t AS newer, ticket = :ticket AS same FROM atomix.semaphore_acquire(:b, 'lost');

-- A timeout lets those behind pass, a session's end too.
SELECT granted FROM atomix.semaphore_acquire(:a, 'ends') \gset
SELECT ticket FROM atomix.semaphore_acquire(:b, 'ends', 1, '1 min') \gset
SELECT atomix._advance_clock('61 s');
SELECT test.becomes_true('test.claims(''ends'') = ''A1*''') AS timed_out;
SELECT granted FROM atomix.wait_ticket(:b, :ticket, '0');
SELECT * FROM test.play('ends', 'semaphore_acquire(@B, L)', 'semaphore_acquire(@C, L)', 'close_session(@A)', 'close_session(@B)');

-- The view
SELECT * FROM test.play('viewed', 'semaphore_resize(L, 2)', 'semaphore_acquire(@C, L, 2)', 'semaphore_acquire(@D, L)');
SELECT namespace, name, capacity, session_name, granted, token IS NOT NULL AS token, ticket IS NOT NULL AS ticket, permits,
    test.about(clock_timestamp() - since, '0') AS since_now, owner = current_user::regrole AS mine,
    application_name = current_setting('application_name') AS same_application
  FROM atomix.semaphores WHERE name IN ('viewed') ORDER BY ticket;
SELECT atomix.semaphore_resize('empty', 7, 'ns');
SELECT namespace, name, capacity, session_id, granted, token, ticket, permits, since, owner, session_name
  FROM atomix.semaphores WHERE name = 'empty';

-- Wrong input
SELECT atomix.set_lock_delay('free', '0');
SELECT max(session_id) AS c FROM atomix.sessions WHERE name = 'C' \gset
SELECT call, test.outcome(format('SELECT atomix.' || call, :c), :c) AS answer FROM (VALUES
  (1, 'semaphore_try(%s, ''i'', 0)'), (2, 'semaphore_try(%s, ''i'', -1)'), (3, 'semaphore_acquire(%s, ''i'', 0)'),
  (4, 'semaphore_acquire(%s, ''i'', -2147483648)'), (5, 'semaphore_acquire(%s, ''i'', 1, ''-1 s'')'),
  (6, 'semaphore_acquire(%s, ''i'', 1, ''1 month'')'), (7, 'semaphore_resize(''i'', -1)'),
  (8, 'semaphore_try(%s, '''')'), (9, 'semaphore_acquire(%s, '''')'), (10, 'semaphore_release(%s, '''')'), (11, 'semaphore_resize('''', 1)'),
  (12, 'semaphore_try(%s, repeat(''x'', 513))'), (13, 'semaphore_resize(repeat(''x'', 513), 1)'),
  (14, 'semaphore_try(%s, ''free'')'), (15, 'semaphore_acquire(%s, ''free'')'), (16, 'semaphore_release(%s, ''free'')'),
  (17, 'semaphore_resize(''free'', 1)'), (18, 'lock_try(%s, ''viewed'')'), (19, 'election_enter(%s, ''viewed'')'),
  (20, 'lock_cancel(%s, ''viewed'', 1)'), (21, 'lock_force_release(''viewed'', 1, ''r'')'), (22, 'set_lock_delay(''viewed'', ''0'')'),
  (23, 'semaphore_try(0, ''i'')'), (24, 'semaphore_acquire(77, ''i'')'), (25, 'semaphore_release(-1, ''i'')'), (26, 'semaphore_release(0, ''i'')'),
  (27, 'semaphore_try(NULL, ''n'')'), (28, 'semaphore_try(1, NULL)'), (29, 'semaphore_try(1, ''n'', NULL)'),
  (30, 'semaphore_try(1, ''n'', 1, NULL)'), (31, 'semaphore_acquire(NULL, ''n'')'), (32, 'semaphore_acquire(1, NULL)'),
  (33, 'semaphore_acquire(1, ''n'', NULL)'), (34, 'semaphore_acquire(1, ''n'', 1, NULL, NULL)'), (35, 'semaphore_release(NULL, ''n'')'),
  (36, 'semaphore_release(1, NULL)'), (37, 'semaphore_release(1, ''n'', NULL, NULL)'), (38, 'semaphore_resize(NULL, 1)'),
  (39, 'semaphore_resize(''n'', NULL)'), (40, 'semaphore_resize(''n'', 1, NULL)')
) AS v (n, call) ORDER BY n;
SELECT count(*) FROM atomix.services WHERE name IN ('i', 'n', '');
SELECT count(atomix.close_session(session_id)) > 0 AS closed FROM atomix.sessions WHERE name ~ '^[A-Z]$' AND state = 'opened';
SELECT count(*) FROM atomix.claim;
SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services
  WHERE type IN ('lock', 'semaphore', 'election');
