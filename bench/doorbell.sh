#!/bin/bash
#
# The doorbell: from a commit to the waiter it wakes; and 32 writers whose
# commits ring against the same writers that do not, and against the same
# writers with pg_notify in each transaction.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sql -c 'CREATE TABLE written (id bigint PRIMARY KEY, a bigint) WITH (fillfactor = 50)' \
	-c 'INSERT INTO written SELECT g, 0 FROM generate_series(1, 100000) g'
session=$(sql -c "SELECT atomix.open_session('1 h')")

# One statement a transaction, so that only the ringing differs.
writer()
{
	printf '\\set id random(1, 100000)\nUPDATE written SET a = a + 1 WHERE id = :id RETURNING %s;\n' "$1"
}
writer 1 > "$scratch/plain.sql"
writer "atomix._ring($session)" > "$scratch/ring.sql"
writer "pg_notify('bench', 'x')" > "$scratch/notify.sql"

pair 'writers that ring against writers that do not' '>= 0.9' 5 \
	"tps 32 ${SECONDS_EACH:-10} $scratch/plain.sql" \
	"tps 32 ${SECONDS_EACH:-10} $scratch/ring.sql"
pair 'writers that ring against writers that notify' '>= 3' 5 \
	"tps 32 ${SECONDS_EACH:-10} $scratch/notify.sql" \
	"tps 32 ${SECONDS_EACH:-10} $scratch/ring.sql"

# A waiter notes when it woke up, a closer when its commit began; it does not
# wait for the disk, whose time is not the doorbell's.
cat > "$scratch/waiter.sql" <<-'EOS'
	SELECT session_id AS s FROM pairs WHERE n = :n \gset
	SELECT atomix.wait_events(:s, '10 s') AS w, clock_timestamp() AS woke \gset
	UPDATE pairs SET woke = :'woke' WHERE n = :n;
EOS
sql -c 'CREATE TABLE pairs (n int PRIMARY KEY, session_id bigint, rung timestamptz, woke timestamptz)' \
	-c "INSERT INTO pairs SELECT g, atomix.open_session('1 h') FROM generate_series(1, 1000) g"
{
	for n in $(seq 1000); do
		printf '\\set n %d\n' "$n"
		cat "$scratch/waiter.sql"
	done
} > "$scratch/waiters.sql"
sql -f "$scratch/waiters.sql" > /dev/null &
waiter=$!
sql > /dev/null <<-'EOS'
	CREATE PROCEDURE ring_all() LANGUAGE plpgsql AS $$
	DECLARE p record; committed timestamptz;
	BEGIN
	  SET synchronous_commit = off;
	  FOR p IN SELECT * FROM pairs ORDER BY n LOOP
	    -- Not before the waiter waits for it.
	    WHILE NOT EXISTS (SELECT FROM pg_stat_activity a JOIN pairs w ON w.n = p.n
	        WHERE a.query LIKE '%wait_events(' || p.session_id || ',%'
	          AND a.wait_event = 'Extension' AND a.pid <> pg_backend_pid()) LOOP
	      PERFORM pg_stat_clear_snapshot();
	    END LOOP;
	    PERFORM atomix.close_session(p.session_id);
	    committed := clock_timestamp();
	    COMMIT;
	    UPDATE pairs SET rung = committed WHERE n = p.n;
	    COMMIT;
	  END LOOP;
	END $$;
	CALL ring_all();
EOS
wait $waiter
sql -c 'SELECT extract(epoch FROM woke - rung) * 1000 FROM pairs' > "$scratch/woke"
quantile()
{
	sort -g "$scratch/woke" | awk -v q="$1" '{ v[NR] = $1 } END { i = int(NR * q + 0.999999); print v[i < 1 ? 1 : i] }'
}
record 'commit to waiter, p50' ms "$(quantile 0.5) $(quantile 0) $(quantile 1)" '' '' '< 0.5' 1000
record 'commit to waiter, p99' ms "$(quantile 0.99) $(quantile 0) $(quantile 1)" '' '' '< 5' 1000

sql -c 'DROP TABLE written, pairs' -c 'DROP PROCEDURE ring_all' \
	-c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
