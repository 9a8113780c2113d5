--
-- Proves what the protocol's functions answer to bytes, made and read here by
-- hand (with the helpers of init): the status, index, message and session id of each outcome, and that
-- what does not decode is an error and nothing else.
--

-- The helpers agree with bytes from a book.
SELECT test.varint(300), test.varint(18446744073709551615), test.open_request(),
  test.open_request(30), test.keep_alive_request(150, 1, 'x'), test.close_request(150);

--
-- OpenSession: status 1 is OK
--
CREATE TEMP TABLE plain AS
  SELECT * FROM test.read(atomix.partition_open_session('\x0a020801'));
SELECT status, index = session_id AS index_is_id, message, has_output FROM plain;
SELECT session_id AS plain FROM plain \gset
SELECT session_id AS id FROM test.read(atomix.partition_open_session(test.open_request(480))) \gset
SELECT session_id AS fraction FROM test.read(atomix.partition_open_session(test.open_request(90, 500001999))) \gset
SELECT timeout, state, name, kind, labels, reason FROM atomix.sessions
  WHERE session_id IN (:plain, :id, :fraction) ORDER BY session_id;
SELECT atomix.close_session(:plain), atomix.close_session(:fraction);

-- An empty input is no timeout; an empty duration is one of zero seconds.
SELECT status, message, session_id IS NOT NULL AS opened
  FROM test.read(atomix.partition_open_session('\x0a0208011200'));
SELECT status, message, has_output FROM test.read(atomix.partition_open_session('\x0a02080112020a00'));

-- INVALID is 9: no partition, one that does not exist, a timeout that is not
-- one or out of bounds.
SELECT what, status, message, has_output, session_id FROM (VALUES
    (1, 'no bytes', ''::bytea),
    (2, 'no headers', '\x1200'),
    (3, 'empty headers', '\x0a00'),
    (4, 'partition 0', '\x0a020800'),
    (5, 'partition 2', test.open_request(partition => 2)),
    (6, 'partition 4294967295', '\x0a0608ffffffff0f'),
    (7, 'no time', test.open_request(0)),
    (8, 'too short', test.open_request(0, 999999999)),
    (9, 'too long', test.open_request(86400, 1000)),
    (10, 'negative seconds', test.open_request(18446744073709551615)),
    (11, 'negative nanoseconds', test.open_request(30, 18446744073709551615)),
    (12, 'too many nanoseconds', test.open_request(30, 1000000000)),
    (13, 'ten thousand years', test.open_request(315576000000)),
    (14, 'for ever', test.open_request(9223372036854775807))
  ) AS v (n, what, request),
  test.read(atomix.partition_open_session(request)) ORDER BY n;

--
-- KeepAlive
--
SELECT atomix._advance_clock('4 min');
SELECT status, index >= :id AS has_index, session_id, message, has_output
  FROM test.read(atomix.partition_keep_alive(test.keep_alive_request(:id)));
SELECT test.about(clock_timestamp() - last_renewed_at, '0') AS renewed
  FROM atomix.sessions WHERE session_id = :id;

-- With what it acknowledges, in either layout.
SELECT what, status, message, has_output FROM (VALUES
    (1, 'last only', test.keep_alive_request(:id, 7)),
    (2, 'empty filter', test.keep_alive_request(:id, 7, '')),
    (3, 'filter of none', test.keep_alive_request(:id, 0, '{"m":1,"k":9223372036854775808,"b":"AAAAAAAAAAA="}')),
    (4, 'filter of 7', test.keep_alive_request(:id, 7, '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAcA=="}')),
    (5, 'filter alone', test.keep_alive_request(:id, NULL, '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAcA=="}')),
    (6, 'later layout', test.later_keep_alive_request(:id, 7, '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAcA=="}')),
    (7, 'later layout, last only', test.later_keep_alive_request(:id, 7, NULL)),
    (8, 'later layout, filter alone', test.later_keep_alive_request(:id, NULL, '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAcA=="}')),
    (9, 'outputs', '\x0a020801' || test.bytes(2, test.number(1, :id) ||
      test.bytes(4, test.number(1, 3) || test.number(2, 5)))),
    (10, 'a field from the future', test.keep_alive_request(:id) || test.number(99, 1))
  ) AS v (n, what, request),
  test.read(atomix.partition_keep_alive(request)) ORDER BY n;

-- What is malformed is INVALID, and nothing is renewed.
SELECT atomix._advance_clock('4 min');
SELECT what, status, message, has_output FROM (VALUES
    (1, 'no JSON', test.keep_alive_request(:id, 7, 'garbage')),
    (2, 'no b', test.keep_alive_request(:id, 7, '{"m":7,"k":5}')),
    (3, 'no bits', test.keep_alive_request(:id, 7, '{"m":0,"k":5,"b":"AAAAAAAAAAA="}')),
    (4, 'no base64', test.keep_alive_request(:id, 7, '{"m":7,"k":5,"b":"!"}')),
    (5, 'truncated', test.keep_alive_request(:id, 7, '{"m":7,"k":5,"b":"AAAAAAAAAAc')),
    (6, 'later layout', test.later_keep_alive_request(:id, 7, 'garbage')),
    (7, 'last above bigint', test.keep_alive_request(:id, 9223372036854775808)),
    (8, 'later layout', test.later_keep_alive_request(:id, 9223372036854775808, NULL)),
    (9, 'no headers', test.bytes(2, test.number(1, :id))),
    (10, 'partition 0', test.keep_alive_request(:id, partition => 0)),
    (11, 'partition 2', test.keep_alive_request(:id, partition => 2))
  ) AS v (n, what, request),
  test.read(atomix.partition_keep_alive(request)) ORDER BY n;
SELECT test.about(clock_timestamp() - last_renewed_at, '4 min') AS not_renewed
  FROM atomix.sessions WHERE session_id = :id;

--
-- Closed, expired and unknown sessions: NOT_FOUND is 4, and the message
-- tells which it is.
--
SELECT atomix.open_session('8 min') AS closed \gset
SELECT atomix.open_session('8 min') AS expired \gset
SELECT status, index >= :closed AS has_index, session_id, message, has_output
  FROM test.read(atomix.partition_close_session(test.close_request(:closed)));
SELECT state, reason FROM atomix.sessions WHERE session_id = :closed;
SELECT status FROM test.read(atomix.partition_keep_alive(test.keep_alive_request(:id)));
SELECT atomix._advance_clock('8 min 30 s');
SELECT status FROM test.read(atomix.partition_keep_alive(test.keep_alive_request(:id)));
SELECT atomix._advance_clock('1 min');
SELECT atomix.tick() >= 0 AS ticked;
SELECT test.state(:id), test.state(:expired);
BEGIN;
SELECT session_id AS unknown FROM test.read(atomix.partition_open_session('\x0a020801')) \gset
ROLLBACK;

SELECT what, k.status AS keep_alive, replace(k.message, id::text, '<id>') AS message, k.has_output,
    c.status AS close, replace(c.message, id::text, '<id>') AS message, c.has_output
  FROM (VALUES
    (1, 'closed', :closed::numeric), (2, 'expired', :expired), (3, 'unknown', :unknown), (4, 'zero', 0),
    (5, 'greatest bigint', 9223372036854775807), (6, 'above bigint', 9223372036854775808),
    (7, 'greatest', 18446744073709551615)
  ) AS v (n, what, id),
  test.read(atomix.partition_keep_alive(test.keep_alive_request(id))) AS k,
  test.read(atomix.partition_close_session(test.close_request(id))) AS c ORDER BY n;
SELECT 'no input' AS what, k.status, k.message, c.status, c.message
  FROM test.read(atomix.partition_keep_alive('\x0a020801')) AS k,
    test.read(atomix.partition_close_session('\x0a020801')) AS c;

SELECT what, status, message, has_output FROM (VALUES
    (1, 'no bytes', ''::bytea),
    (2, 'no headers', test.bytes(2, test.number(1, :id))),
    (3, 'partition 0', test.close_request(:id, 0)),
    (4, 'partition 2', test.close_request(:id, 2))
  ) AS v (n, what, request),
  test.read(atomix.partition_close_session(request)) ORDER BY n;
SELECT state FROM atomix.sessions WHERE session_id = :id;

--
-- A part of the caller's transaction, as the typed functions are
--
BEGIN;
SELECT status FROM test.read(atomix.partition_close_session(test.close_request(:id)));
SELECT status, replace(message, :'id', '<id>') AS message
  FROM test.read(atomix.partition_keep_alive(test.keep_alive_request(:id)));
SELECT state FROM atomix.sessions WHERE session_id = :id;
ROLLBACK;
SELECT status FROM test.read(atomix.partition_keep_alive(test.keep_alive_request(:id)));

-- An answer that changed nothing draws no index.
SELECT last_value AS before FROM atomix.index_seq \gset
SELECT status, index = :before AS newest
  FROM test.read(atomix.partition_keep_alive(test.keep_alive_request(:id)));
SELECT status, index = :before AS newest
  FROM test.read(atomix.partition_open_session(test.open_request(0)));
SELECT last_value = :before AS unchanged FROM atomix.index_seq;

--
-- Bytes that are no message: an error that names the message and the fault
--
SELECT function, request, test.outcome(format('SELECT atomix.%I(%L)', function, request::bytea))
FROM (VALUES
    (1, 'partition_open_session', '\xff'),
    (2, 'partition_open_session', '\x0a'),
    (3, 'partition_open_session', '\x0a05'),
    (4, 'partition_open_session', '\x0a0208'),
    (5, 'partition_open_session', '\x0801'),
    (6, 'partition_open_session', '\x0a0208010a020801'),
    (7, 'partition_open_session', '\x0a02080112040a020aff'),
    (8, 'partition_open_session', '\x0b'),
    (9, 'partition_open_session', '\x0f'),
    (10, 'partition_open_session', '\x00'),
    (11, 'partition_keep_alive', '\x0a0b08ffffffffffffffffff7f'),
    (12, 'partition_keep_alive', '\x0a0208011203080118'),
    (13, 'partition_keep_alive', '\x0a02080112021a05'),
    (14, 'partition_keep_alive', '\x0a02080112050a03616263'),
    (15, 'partition_keep_alive', '\x0a02080112022207'),
    (16, 'partition_close_session', '\x0a020801120908'),
    (17, 'partition_close_session', '\x0a0208011205080dffff'),
    (18, 'partition_close_session', '\x0a020801120a0d01000000'),
    (19, 'partition_close_session', '\x7465787420616e64206e6f74206279746573')
  ) AS v (n, function, request) ORDER BY n;

-- Every truncation of a whole request either decodes to something smaller or
-- is refused as undecodable; none is anything else.
SELECT count(*) AS prefixes, array_agg(DISTINCT left(outcome, 5)) FILTER (WHERE outcome !~ '^\\x') AS errors
  FROM (SELECT test.outcome(format('SELECT atomix.partition_keep_alive(%L)', substring(request FOR n))) AS outcome
          FROM test.keep_alive_request(:id, 7, '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAcA=="}') AS request,
            generate_series(0, length(request)) AS n) AS o;

-- A null is an error, not a null.
SELECT function, test.outcome(format('SELECT atomix.%I(NULL)', function)) FROM (VALUES
    ('partition_open_session'), ('partition_keep_alive'), ('partition_close_session')) AS v (function);

SELECT atomix.close_session(:id);
