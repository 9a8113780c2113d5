#!/bin/bash
#
# 100,000 sessions that live and do nothing: the worker's processor time over
# 60 seconds.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sql -c "SELECT count(atomix.open_session('1 h')) FROM generate_series(1, 100000)" > /dev/null
sql -c 'VACUUM ANALYZE'
until [ "$(sql -c 'SELECT count(*) FROM atomix.session WHERE version IS NULL')" -eq 0 ]; do
	sql -c 'SELECT pg_sleep(0.1)' > /dev/null
done
pid=$(sql -c 'SELECT pid FROM atomix.workers WHERE database = current_database()')

# Processor time of the worker in clock ticks.
ticks()
{
	awk '{ print $14 + $15 }' "/proc/$pid/stat"
}

for _ in 1 2 3; do
	before=$(ticks)
	sql -c 'SELECT pg_sleep(60)' > /dev/null
	awk -v t=$(($(ticks) - before)) -v hz="$(getconf CLK_TCK)" \
		'BEGIN { print t / hz / 60 * 100 }' >> "$scratch/cpu"
done
record 'worker with 100,000 idle sessions' 'percent of a core' \
	"$(stats < "$scratch/cpu")" '' '' '< 2' 3

sql -c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
