#!/bin/bash
#
# Locks: acquire and release of free ones by 32 clients against a bare INSERT
# and DELETE of one row, each in two transactions; one lock that 8 clients pass
# on to each other against 8 that update one row; and what the length of the
# queue costs.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sql -c 'CREATE TABLE bare (id bigint PRIMARY KEY, a bigint, t text)' \
	-c 'CREATE TABLE hot (id bigint PRIMARY KEY, a bigint) WITH (fillfactor = 10)' \
	-c 'INSERT INTO hot VALUES (1, 0)'

# Sessions with ids in a row, so that a client knows its own.
sql -c "CREATE TABLE crowd AS SELECT atomix.open_session('10 h') AS id FROM generate_series(1, 1100)"
first=$(sql -c 'SELECT min(id) FROM crowd')
[ "$(sql -c 'SELECT max(id) - min(id) FROM crowd')" -eq 1099 ]

cat > "$scratch/bare.sql" <<-'EOS'
	\set id random(1, 9000000000000000)
	INSERT INTO bare VALUES (:id, 1, 'x');
	DELETE FROM bare WHERE id = :id;
EOS
cat > "$scratch/free.sql" <<-'EOS'
	\set session :first + :client_id
	SELECT granted FROM atomix.lock_acquire(:session, 'free ' || (:client_id)::text);
	SELECT atomix.lock_release(:session, 'free ' || (:client_id)::text);
EOS
pair 'acquire and release of free locks against INSERT and DELETE' '>= 0.7' 5 \
	"tps 32 ${SECONDS_EACH:-10} $scratch/bare.sql" \
	"tps 32 ${SECONDS_EACH:-10} $scratch/free.sql -D first=$first"

echo 'UPDATE hot SET a = a + 1 WHERE id = 1;' > "$scratch/hot.sql"
cat > "$scratch/passed.sql" <<-'EOS'
	\set session :first + :client_id
	SELECT ticket FROM atomix.lock_acquire(:session, 'passed') \gset
	SELECT granted FROM atomix.wait_ticket(:session, :ticket);
	SELECT atomix.lock_release(:session, 'passed');
EOS
pair 'hand-overs between 8 waiters against UPDATE of one row by 8' '>= 0.45' 5 \
	"tps 8 ${SECONDS_EACH:-10} $scratch/hot.sql" \
	"tps 8 ${SECONDS_EACH:-10} $scratch/passed.sql -D first=$first"

# The holder releases and queues again: turns a second, without the disk, whose
# time does not depend on the queue.
sql > /dev/null <<-'EOS'
	CREATE PROCEDURE take_turns(name text, n int, seconds float8, INOUT turns float8)
	LANGUAGE plpgsql AS $$
	DECLARE
	  started timestamptz := clock_timestamp();
	  sessions bigint[] := ARRAY(SELECT id FROM crowd ORDER BY id LIMIT n);
	BEGIN
	  SET synchronous_commit = off;
	  turns := 0;
	  WHILE clock_timestamp() < started + make_interval(secs => seconds) OR turns::int % n <> 0 LOOP
	    PERFORM atomix.lock_release(sessions[turns::int % n + 1], name);
	    PERFORM atomix.lock_acquire(sessions[turns::int % n + 1], name);
	    COMMIT;
	    turns := turns + 1;
	  END LOOP;
	  turns := turns / extract(epoch FROM clock_timestamp() - started);
	END $$;
EOS

# queue NAME WAITERS: make a queue; one more has the lock.
queue()
{
	sql -c "SELECT format('SELECT FROM atomix.lock_acquire(%s, %L)', id, '$1')
		FROM crowd ORDER BY id LIMIT $2 + 1" | sed 's/$/;/' | sql -f - > /dev/null
}

# turns NAME WAITERS
turns()
{
	sql -c "CALL take_turns('$1', $2 + 1, ${SECONDS_EACH:-10}, NULL)"
}

queue short 10
queue long 1000
pair 'release and acquire with 1,000 waiters against 10' '>= 0.8' 5 \
	'turns short 10' 'turns long 1000'

sql -c 'DROP TABLE bare, hot, crowd' -c 'DROP PROCEDURE take_turns' \
	-c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
