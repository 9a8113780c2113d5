--
-- Proves what elections do, in every order: who leads, who is next, how the
-- term counts changes of leadership, and who may be moved or removed.
--
SELECT test.open('A', 'B', 'C', 'D');

--
-- The first to enter leads, the others follow in order
--
SELECT * FROM test.play('enter',
  'election_enter(@A, L, ''a'')', 'election_enter(@B, L, ''b'')', 'election_enter(@C, L, ''c'')',
  'election_enter(@A, L, ''a'')', 'election_enter(@B, L, ''b'')',
  'election_enter(@A, L, ''b'')', 'election_enter(@D, L, ''a'')', 'election_enter(@D, L, ''c'')', 'election_enter(@D, L, ''d'')');
SELECT * FROM test.play('withdraw',
  'election_withdraw(@A, L)', 'election_enter(@A, L, ''a'')', 'election_withdraw(@B, L)', 'election_enter(@B, L, ''b'')', 'election_enter(@C, L, ''c'')',
  'election_withdraw(@B, L)', 'election_enter(@B, L, ''b'')', 'election_withdraw(@A, L)', 'election_withdraw(@A, L)',
  'election_enter(@A, L, ''a'')', 'election_withdraw(@A, L)', 'election_withdraw(@C, L)', 'election_withdraw(@B, L)',
  'election_withdraw(@B, L)', 'election_enter(@D, L, ''d'')');

--
-- Each operation on each candidate of a b c, of whom a leads
--
CREATE FUNCTION test.on_abc(operation text) RETURNS TABLE (candidate text, answer text, claims text) LANGUAGE plpgsql AS $$
BEGIN
  FOREACH candidate IN ARRAY ARRAY['a', 'b', 'c', 'd', 'nobody', '', repeat('x', 600)] LOOP
    PERFORM test.play('of ' || operation || left(candidate, 6), 'election_enter(@A, L, ''a'')', 'election_enter(@B, L, ''b'')',
      'election_enter(@C, L, ''c'')', 'election_enter(@D, L, ''d'')');
    SELECT p.answer, p.claims INTO answer, claims
      FROM test.play('of ' || operation || left(candidate, 6), format('election_%s(L, %L)', operation, candidate)) AS p;
    candidate := left(candidate, 6);
    RETURN NEXT;
  END LOOP;
END $$;
SELECT * FROM test.on_abc('anoint');
SELECT * FROM test.on_abc('promote');
SELECT * FROM test.on_abc('demote');
SELECT * FROM test.on_abc('evict');

-- One after another; a new leader has a new token, a former one none.
SELECT * FROM test.play('moves',
  'election_enter(@A, L, ''a'')', 'election_anoint(L, ''a'')', 'election_promote(L, ''a'')', 'election_demote(L, ''a'')',
  'election_enter(@B, L, ''b'')', 'election_demote(L, ''a'')', 'election_promote(L, ''a'')',
  'election_enter(@C, L, ''c'')', 'election_promote(L, ''c'')', 'election_promote(L, ''c'')', 'election_promote(L, ''c'')',
  'election_demote(L, ''a'')', 'election_demote(L, ''a'')', 'election_demote(L, ''c'')',
  'election_anoint(L, ''a'')', 'election_enter(@A, L)', 'election_enter(@B, L)', 'election_evict(L, ''a'')', 'election_enter(@A, L, ''a'')',
  'election_evict(L, ''b'')', 'election_evict(L, ''c'')', 'election_evict(L, ''a'')', 'election_evict(L, ''a'')',
  'election_enter(@A, L, ''a'')');

-- Tokens grow with each change, whoever leads.
SELECT session_id AS a FROM atomix.sessions WHERE name = 'A' AND state = 'opened' \gset
SELECT session_id AS b FROM atomix.sessions WHERE name = 'B' AND state = 'opened' \gset
SELECT token AS t1 FROM atomix.election_enter(:a, 'tokens', 'a') \gset
SELECT ticket AS b_ticket FROM atomix.election_enter(:b, 'tokens', 'b') \gset
SELECT atomix.election_anoint('tokens', 'b');
SELECT token AS t2 FROM atomix.election_leader('tokens') \gset
SELECT granted, token = :t2 AS leads FROM atomix.wait_ticket(:b, :b_ticket);
SELECT atomix.election_demote('tokens', 'b');
SELECT token AS t3 FROM atomix.election_leader('tokens') \gset
SELECT is_leader, token = :t3 AS latest, term, leader, ticket = :t1 AS ticket_stays FROM atomix.election_enter(:a, 'tokens', 'a');
SELECT atomix.election_withdraw(:a, 'tokens');
SELECT token AS t4 FROM atomix.election_leader('tokens') \gset
SELECT :t1 < :t2 AND :t2 < :t3 AND :t3 < :t4 AS grow;

--
-- Priority: before those that wait with less, never before the leader
--
SELECT * FROM test.play('priority',
  'election_enter(@A, L, ''a'', -5)', 'election_enter(@B, L, ''b'', 1)', 'election_enter(@C, L, ''c'', 2)', 'election_enter(@D, L, ''d'', 1)',
  'election_withdraw(@B, L)', 'election_enter(@B, L, ''b'', 3)', 'election_withdraw(@C, L)', 'election_enter(@C, L, ''c'', 1)',
  'election_promote(L, ''c'')', 'election_enter(@C, L, ''c'', 9)', 'election_withdraw(@A, L)', 'election_enter(@A, L, ''a'', 2147483647)',
  'election_withdraw(@A, L)', 'election_enter(@A, L, ''a'', -2147483648)');
SELECT candidate, granted, token IS NOT NULL AS token, ticket IS NOT NULL AS ticket, priority, queue_position IS NOT NULL AS queued,
    term, owner = current_user::regrole AS mine, test.about(clock_timestamp() - since, '0') AS since_now, namespace, name
  FROM atomix.elections WHERE name = 'priority' ORDER BY granted DESC, queue_position;

--
-- The leader, and nobody
--
SELECT * FROM atomix.election_leader('none');
SELECT count(*) FROM atomix.services WHERE name = 'none';
SELECT leader, session_id = :b AS session, term, test.about(clock_timestamp() - since, '0') AS since_now FROM atomix.election_leader('tokens');
SELECT atomix.election_withdraw(:b, 'tokens');
SELECT * FROM atomix.election_leader('tokens');
SELECT term, session_id, candidate, granted, token, ticket, priority, queue_position, since, owner FROM atomix.elections WHERE name = 'tokens';
-- The term goes on where it was.
SELECT is_leader, term FROM atomix.election_enter(:b, 'tokens', 'b');
SELECT leader, term FROM atomix.election_leader('tokens', '');
SELECT * FROM atomix.election_leader('tokens', 'elsewhere');
SELECT is_leader, term, leader FROM atomix.election_enter(:b, 'tokens', 'b', 0, 'elsewhere');

--
-- Who stands if that is not said
--
SET application_name = 'an app';
SELECT atomix.open_session('8 min', 'by name') AS named \gset
SELECT atomix.open_session('8 min') AS unnamed \gset
SELECT atomix.open_session('8 min') AS twin \gset
SELECT atomix.open_session('8 min', repeat('é', 200)) AS long \gset
SELECT leader FROM atomix.election_enter(:named, 'default 1');
SELECT leader = 'an app@' || coalesce(host(inet_client_addr()), 'local') AS application_and_address FROM atomix.election_enter(:unnamed, 'default 2');
-- It is taken, if another stands under it.
SELECT is_leader, token, term, ticket FROM atomix.election_enter(:twin, 'default 2');
SELECT leader = repeat('é', 200) AS whole FROM atomix.election_enter(:long, 'default 3');
SET application_name = '';

--
-- The end of sessions
--
SELECT * FROM test.play('ends',
  'election_enter(@A, L, ''a'')', 'election_enter(@B, L, ''b'')', 'election_enter(@C, L, ''c'')', 'election_enter(@D, L, ''d'')',
  'close_session(@C)', 'close_session(@A)', 'close_session(@B)', 'close_session(@D)');
SELECT test.open('A', 'B', 'C', 'D');
SELECT max(session_id) AS a FROM atomix.sessions WHERE name = 'A' \gset
SELECT atomix.open_session('1 min', 'S') AS s \gset
SELECT atomix.open_session('1 min', 'T') AS t \gset
SELECT * FROM test.play('expires', 'election_enter(@S, L, ''s'')', 'election_enter(@A, L, ''a'')', 'election_enter(@T, L, ''t'')');
SELECT atomix._advance_clock('68 s');
SELECT test.state(:s), test.state(:t), test.claims('expires');
-- Of a session whose end is decided but not yet finished, which is so where it
-- has claims on more services than can be released at once, nobody is moved up
-- or made the leader, and its name is free.
SELECT atomix.open_session('8 min', 'Z') AS z \gset
SELECT count(atomix.election_enter(:a, 'e' || n, 'a')) FROM generate_series(1, 66) AS n;
SELECT count(atomix.election_enter(:z, 'e' || n, 'z')) FROM generate_series(1, 66) AS n;
BEGIN;
SELECT atomix.close_session(:z);
SELECT state FROM atomix.sessions WHERE session_id = :z;
SELECT test.claims('e61'), test.claims('e66');
SELECT * FROM test.play('e61', 'election_anoint(L, ''z'')');
SELECT * FROM test.play('e62', 'election_promote(L, ''z'')');
SELECT * FROM test.play('e63', 'election_demote(L, ''a'')');
SELECT * FROM test.play('e64', 'election_evict(L, ''z'')');
SELECT * FROM test.play('e65', 'election_enter(@B, L, ''z'')');
COMMIT;
SELECT test.state(:z), test.claims('e66');

--
-- Who intervened
--
SELECT action, s.name AS session_name, i.reason, actor = current_user AS by_me, token IS NOT NULL AS led, ticket IS NOT NULL AS ticket,
    count(*)
  FROM atomix.intervention i LEFT JOIN atomix.sessions s USING (session_id)
  WHERE i.name = 'moves' GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6;

--
-- Wrong input
--
SELECT max(session_id) AS b FROM atomix.sessions WHERE name = 'B' \gset
SELECT atomix.set_lock_delay('a lock', '0');
SELECT call, test.outcome(format('SELECT atomix.' || call, :b), :b) AS answer FROM (VALUES
  (1, 'election_enter(%s, ''i'', '''')'), (2, 'election_enter(%s, ''i'', repeat(''x'', 513))'), (3, 'election_enter(%s, '''')'),
  (4, 'election_enter(%s, repeat(''x'', 513))'), (5, 'election_enter(%s, ''i'', ''x'', 0, repeat(''x'', 513))'), (6, 'election_withdraw(%s, '''')'),
  (7, 'election_anoint('''', ''x'')'), (8, 'election_promote('''', ''x'')'), (9, 'election_demote('''', ''x'')'), (10, 'election_evict('''', ''x'')'),
  (11, 'election_leader('''')'), (12, 'election_enter(%s, ''a lock'')'), (13, 'election_withdraw(%s, ''a lock'')'), (14, 'election_anoint(''a lock'', ''x'')'),
  (15, 'election_promote(''a lock'', ''x'')'), (16, 'election_demote(''a lock'', ''x'')'), (17, 'election_evict(''a lock'', ''x'')'),
  (18, 'election_leader(''a lock'')'), (19, 'lock_try(%s, ''moves'')'), (20, 'semaphore_try(%s, ''moves'')'),
  (21, 'election_enter(0, ''i'')'), (22, 'election_enter(77, ''i'')'), (23, 'election_withdraw(0, ''i'')'), (24, 'election_withdraw(77, ''i'')'),
  (25, 'election_enter(NULL, ''n'')'), (26, 'election_enter(1, NULL)'), (27, 'election_enter(1, ''n'', ''x'', NULL)'),
  (28, 'election_enter(1, ''n'', ''x'', 0, NULL)'), (29, 'election_withdraw(NULL, ''n'')'), (30, 'election_withdraw(1, NULL)'),
  (31, 'election_withdraw(1, ''n'', NULL)'), (32, 'election_anoint(NULL, ''x'')'), (33, 'election_anoint(''n'', NULL)'), (34, 'election_anoint(''n'', ''x'', NULL)'),
  (35, 'election_promote(NULL, ''x'')'), (36, 'election_promote(''n'', NULL)'), (37, 'election_promote(''n'', ''x'', NULL)'),
  (38, 'election_demote(NULL, ''x'')'), (39, 'election_demote(''n'', NULL)'), (40, 'election_demote(''n'', ''x'', NULL)'),
  (41, 'election_evict(NULL, ''x'')'), (42, 'election_evict(''n'', NULL)'), (43, 'election_evict(''n'', ''x'', NULL)'),
  (44, 'election_leader(NULL)'), (45, 'election_leader(''n'', NULL)'), (46, 'election_anoint(''n'', ''x'')'), (47, 'election_withdraw(%s, ''n'')')
) AS v (n, call) ORDER BY n;
SELECT count(*) FROM atomix.services WHERE name IN ('i', 'n', '');
SELECT count(atomix.close_session(session_id)) > 0 AS closed FROM atomix.sessions WHERE state = 'opened';
SELECT test.becomes_true('NOT EXISTS (SELECT FROM atomix.claim)') AS all_gone;
SELECT count(atomix.delete_service(name, namespace)) > 0 AS deleted FROM atomix.services
  WHERE type IN ('lock', 'semaphore', 'election');
