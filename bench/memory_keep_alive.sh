#!/bin/bash
#
# keep_alive in shared memory against SELECT 1 on the same number of
# connections; a thousand sessions in one call; what a million renewals cost
# in transaction ids and WAL; memory per session.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sessions=1000

sql -c "SELECT count(atomix.open_session('1 h')) FROM generate_series(1, $sessions)" > /dev/null
first=$(sql -c 'SELECT min(session_id) FROM atomix.lease')
sql -c "SELECT count(*) FROM atomix.keep_alive_many((SELECT array_agg(session_id) FROM atomix.lease WHERE session_id < $first + 500))" > /dev/null
sql -c "SELECT count(*) FROM atomix.keep_alive_many((SELECT array_agg(session_id) FROM atomix.lease WHERE session_id >= $first + 500))" > /dev/null

cat > "$scratch/one.sql" <<-EOS
	\\set id random(0, $sessions - 1) + $first
	SELECT 1;
EOS
cat > "$scratch/keep_alive.sql" <<-EOS
	\\set id random(0, $sessions - 1) + $first
	SELECT atomix.keep_alive(:id);
EOS
cat > "$scratch/many.sql" <<-EOS
	SELECT count(*) FROM atomix.keep_alive_many(
	  (SELECT array_agg(g) FROM generate_series($first, $first + $sessions - 1) g));
EOS

pair 'keep_alive in memory against SELECT 1' '>= 0.6' 5 \
	"tps 32 ${SECONDS_EACH:-10} $scratch/one.sql" \
	"tps 32 ${SECONDS_EACH:-10} $scratch/keep_alive.sql"

for _ in 1 2 3 4 5; do
	tps 2 "${SECONDS_EACH:-10}" "$scratch/many.sql" |
		awk -v n=$sessions '{ printf "%d\n", $1 * n }' >> "$scratch/many"
done
record 'renewals by keep_alive_many, 2 clients' '1/s' "$(stats < "$scratch/many")" '' '' '>= 2000000' 5

position()
{
	sql -c "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint || ' ' || pg_current_wal_lsn() - '0/0'::pg_lsn"
}

read -r xid wal <<< "$(position)"
pgbench -n -M prepared -c 2 -j 2 -t 500 -f "$scratch/many.sql" > /dev/null 2>&1
read -r xid_after wal_after <<< "$(position)"
record 'transaction ids of a million renewals' '' "$((xid_after - xid)) $((xid_after - xid)) $((xid_after - xid))" '' '' 'near 0' 1
record 'WAL of a million renewals' bytes "$((wal_after - wal)) $((wal_after - wal)) $((wal_after - wal))" '' '' 'near 0' 1

# The elements of a hash have no name of their own in the view.
allocated()
{
	sql -c "ALTER SYSTEM SET atomix.shared_sessions = $1"
	restart
	sql -c 'SELECT sum(allocated_size) FROM pg_shmem_allocations WHERE name IS NOT NULL'
}
without=$(allocated 0)
with=$(allocated 100000)
bytes=$(((with - without) / 100000))
record 'memory per session' bytes "$bytes $bytes $bytes" '' '' '' 1

sql -c 'ALTER SYSTEM RESET atomix.shared_sessions' -c 'DROP EXTENSION atomix' \
	-c 'CREATE EXTENSION atomix'
restart
