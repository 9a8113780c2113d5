#!/bin/bash
#
# What a command costs with 10, 10,000 and 1,000,000 sessions and entries in
# the tables: one client, alternating between three databases.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${SECONDS_EACH:-10}
sizes=(10 10000 "${MOST_ROWS:-1000000}")
runs=5

for size in "${sizes[@]}"; do
	PGDATABASE=postgres createdb "bench_$size"
	export PGDATABASE=bench_$size
	sql -c 'CREATE EXTENSION atomix'
	for ((done = 0; done < size; done += 10000)); do
		some=$((size - done < 10000 ? size - done : 10000))
		sql -c "SELECT count(atomix.open_session('1 day')) FROM generate_series(1, $some)" \
			-c "SELECT count(atomix.map_put('m', ($done + n)::text, '\\x01')) FROM generate_series(1, $some) AS n" > /dev/null
	done
	sql -c 'VACUUM ANALYZE'
	: > "$scratch/rates_$size"
done

# Increment a counter by a number and replace an entry, as a new session.
one_run()
{
	local size=$1 session service

	export PGDATABASE=bench_$size
	session=$(sql -c "SELECT atomix.open_session('1 day')")
	service=$(sql -c "SELECT atomix.create_service($session, 'counter', 'c')")
	cat > "$scratch/run.sql" <<-EOF
		\\set n :n + 1
		\\set key random(1, $size)
		BEGIN;
		SELECT output FROM atomix.command($session, $service, '\\x22020801'::bytea, :n);
		SELECT index FROM atomix.map_put('m', :key::text, int4send((:n)::int));
		SELECT atomix.ack($session, :n);
		COMMIT;
	EOF
	tps 1 "$seconds" "$scratch/run.sql" -D n=0
}

for ((run = 0; run < runs; run++)); do
	for size in "${sizes[@]}"; do
		one_run "$size" >> "$scratch/rates_$size"
	done
done

for size in "${sizes[@]:1}"; do
	paste "$scratch/rates_10" "$scratch/rates_$size" | awk '{ print $2 / $1 }' > "$scratch/ratio"
	record "commands with $size sessions and entries against 10" ratio \
		"$(stats < "$scratch/ratio")" "$(stats < "$scratch/rates_10" | cut -d ' ' -f 1)" \
		"$(stats < "$scratch/rates_$size" | cut -d ' ' -f 1)" '>= 0.8' "$runs"
done

for size in "${sizes[@]}"; do
	PGDATABASE=postgres dropdb "bench_$size"
done
