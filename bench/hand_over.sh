#!/bin/bash
#
# From a release to the next waiter's return from wait_ticket, with durable
# commits; and from a holder's last sign of life to the grant of its lock to the
# next, if it is never heard of again.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

# quantile FILE Q: of the numbers in a file.
quantile()
{
	sort -g "$1" |
		awk -v q="$2" '{ v[NR] = $1 } END { i = int(NR * q + 0.999999); print v[i < 1 ? 1 : i] }'
}

rounds=${ROUNDS:-1000}
sql -c "CREATE TABLE pairs (n int PRIMARY KEY, holder bigint, waiter bigint, ticket bigint,
		rung timestamptz, woke timestamptz)" \
	-c "INSERT INTO pairs SELECT g, atomix.open_session('10 h'), atomix.open_session('10 h')
		FROM generate_series(1, $rounds) g"
sql > /dev/null <<-'EOS'
	CREATE PROCEDURE queue_all() LANGUAGE plpgsql AS $$
	DECLARE p record;
	BEGIN
	  FOR p IN SELECT * FROM pairs ORDER BY n LOOP
	    PERFORM atomix.lock_acquire(p.holder, 'lock ' || p.n);
	    UPDATE pairs SET ticket = a.ticket
	    FROM atomix.lock_acquire(p.waiter, 'lock ' || p.n) a WHERE n = p.n;
	    COMMIT;
	  END LOOP;
	END $$;
	CREATE PROCEDURE release_all() LANGUAGE plpgsql AS $$
	DECLARE p record; began timestamptz;
	BEGIN
	  FOR p IN SELECT * FROM pairs ORDER BY n LOOP
	    -- Not before the waiter waits for it.
	    WHILE NOT EXISTS (SELECT FROM pg_stat_activity a
	        WHERE a.query LIKE '%wait_ticket(' || p.waiter || ',%'
	          AND a.wait_event = 'Extension' AND a.pid <> pg_backend_pid()) LOOP
	      PERFORM pg_stat_clear_snapshot();
	    END LOOP;
	    began := clock_timestamp();
	    PERFORM atomix.lock_release(p.holder, 'lock ' || p.n);
	    COMMIT;
	    UPDATE pairs SET rung = began WHERE n = p.n;
	    COMMIT;
	  END LOOP;
	END $$;
	CALL queue_all();
EOS
{
	for n in $(seq "$rounds"); do
		printf '\\set n %d\n' "$n"
		cat <<-'EOS'
			SELECT waiter AS s, ticket AS t FROM pairs WHERE n = :n \gset
			SELECT granted, clock_timestamp() AS woke FROM atomix.wait_ticket(:s, :t) \gset
			UPDATE pairs SET woke = :'woke' WHERE n = :n AND :'granted';
		EOS
	done
} > "$scratch/waiters.sql"
sql -f "$scratch/waiters.sql" > /dev/null &
waiter=$!
sql -c 'CALL release_all()' > /dev/null
wait $waiter
[ "$(sql -c 'SELECT count(*) FROM pairs WHERE woke IS NULL')" -eq 0 ]
sql -c 'SELECT extract(epoch FROM woke - rung) * 1000 FROM pairs' > "$scratch/woke"
for q in 0.50 0.99; do
	record "release to waiter, p${q#0.}" ms \
		"$(quantile "$scratch/woke" $q) $(quantile "$scratch/woke" 0) $(quantile "$scratch/woke" 1)" \
		'' '' "$([ $q = 0.99 ] && echo '< 10')" "$rounds"
done

# Holders that fall silent, one after the other over as long as a timeout lasts.
# since is when the grant was written; who waits sees it a commit later.
timeout=${TIMEOUT_SECONDS:-4}
sql > /dev/null <<-EOS
	CREATE TABLE silent (n int PRIMARY KEY, last_sign timestamptz);
	CREATE PROCEDURE fall_silent() LANGUAGE plpgsql AS \$\$
	DECLARE
	  holder bigint;
	  waiter bigint := atomix.open_session('10 h');
	BEGIN
	  COMMIT;
	  FOR i IN 1 .. 500 LOOP
	    holder := atomix.open_session('$timeout s');
	    PERFORM atomix.lock_acquire(holder, 'silent ' || i);
	    INSERT INTO silent VALUES (i, clock_timestamp());
	    COMMIT;
	    PERFORM atomix.lock_acquire(waiter, 'silent ' || i);
	    COMMIT;
	    PERFORM pg_sleep($timeout / 500.0);
	    COMMIT;
	  END LOOP;
	END \$\$;
	CALL fall_silent();
EOS
until [ "$(sql -c "SELECT count(*) FROM atomix.sessions WHERE state = 'expired'")" -ge 500 ]; do
	sleep 0.5
done
sql -c "SELECT extract(epoch FROM l.since - s.last_sign - interval '$timeout s' * 9 / 8
		- interval '100 ms') * 1000
	FROM silent s JOIN atomix.locks l ON l.name = 'silent ' || s.n
	WHERE l.granted" > "$scratch/taken"
[ "$(wc -l < "$scratch/taken")" -eq 500 ]
record 'takeover after a crash beyond the upper bound, p99' ms \
	"$(quantile "$scratch/taken" 0.99) $(quantile "$scratch/taken" 0) $(quantile "$scratch/taken" 1)" \
	'' '' '< 0' 500

sql -c 'DROP TABLE pairs, silent' -c 'DROP PROCEDURE queue_all, release_all, fall_silent' \
	-c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
