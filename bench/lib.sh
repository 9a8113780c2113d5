# shellcheck shell=bash
#
# What the benchmarks share.  A benchmark compares two loads in one run, in
# alternating order, because one machine differs from itself over the minutes
# more than the loads differ from each other.
#
# Rows of results.csv: benchmark, figure, unit, median, least, greatest, the
# absolutes of both sides where it is a ratio (medians), what it should be,
# runs, commit, machine.

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

results=bench/results.csv
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

machine=$(printf '%s x %s, %s GB' "$(nproc)" \
	"$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)" \
	"$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)")

sql()
{
	psql -X -A -t -q -v ON_ERROR_STOP=1 "$@"
}

# Restart the server, for settings that need it.
restart()
{
	pg_ctl -D "$PGDATA_DIR" -w -m fast -l "$PGDATA_DIR/../log/server" restart > "$scratch/restart"
}

# median|least|greatest of the numbers on standard input.
stats()
{
	sort -g | awk '{ v[NR] = $1 }
		END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
			printf "%.6g %.6g %.6g\n", m, v[1], v[NR] }'
}

# record FIGURE UNIT "MEDIAN LEAST GREATEST" BASE OURS TARGET RUNS
record()
{
	local median least greatest

	read -r median least greatest <<< "$3"
	[ -e "$results" ] ||
		echo 'benchmark,figure,unit,median,least,greatest,base,ours,target,runs,commit,machine' > "$results"
	printf '%s,"%s",%s,%s,%s,%s,%s,%s,%s,%s,%s,"%s"\n' "$(basename "$0" .sh)" \
		"$1" "$2" "$median" "$least" "$greatest" "$4" "$5" "$6" "$7" \
		"${ATOMIX_COMMIT:-unknown}" "$machine" >> "$results"
	echo "$1: $median $2 ($least to $greatest), wanted: $6"
}

# tps CLIENTS SECONDS SCRIPT [pgbench options]: transactions per second.
tps()
{
	local clients=$1 seconds=$2 script=$3

	shift 3
	pgbench -n -M prepared -c "$clients" -j 2 -T "$seconds" -f "$script" "$@" 2>&1 |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}

# pair FIGURE TARGET RUNS BASE OURS: two commands that print a rate; records
# the ratio of ours to base.
pair()
{
	local figure=$1 target=$2 runs=$3 base=$4 ours=$5 b o

	: > "$scratch/base"
	: > "$scratch/ours"
	: > "$scratch/ratio"
	for ((i = 0; i < runs; i++)); do
		if ((i % 2)); then
			o=$($ours)
			b=$($base)
		else
			b=$($base)
			o=$($ours)
		fi
		echo "$b" >> "$scratch/base"
		echo "$o" >> "$scratch/ours"
		awk -v b="$b" -v o="$o" 'BEGIN { print o / b }' >> "$scratch/ratio"
	done
	record "$figure" ratio "$(stats < "$scratch/ratio")" \
		"$(stats < "$scratch/base" | cut -d ' ' -f 1)" \
		"$(stats < "$scratch/ours" | cut -d ' ' -f 1)" "$target" "$runs"
}

# What numbered commands need: sessions, an array of counters that they have
# open, and a client's keep-alive.  Numbers begin anew with each call.
#
# commands_prepare CLIENTS SERVICES: sets first_session and first_service, from
# which ids count up.
commands_prepare()
{
	sql <<-'EOF'
		CREATE OR REPLACE FUNCTION varint(v bigint) RETURNS bytea
		LANGUAGE plpgsql IMMUTABLE AS $$
		DECLARE
			bytes bytea := '';
		BEGIN
			WHILE v > 127 LOOP
				bytes := bytes || set_byte('\x00', 0, (v & 127)::int | 128);
				v := v >> 7;
			END LOOP;
			RETURN bytes || set_byte('\x00', 0, v::int);
		END $$;

		-- Acknowledge all commands up to a number, as a client does by a
		-- keep-alive with an empty filter.
		CREATE OR REPLACE FUNCTION acknowledge(session_id bigint, last bigint) RETURNS bytea
		LANGUAGE sql AS $$
			SELECT atomix.partition_keep_alive('\x0a020801'::bytea || '\x12'
				|| varint(length(input)) || input)
			FROM (SELECT '\x08'::bytea || varint(session_id) || '\x10' || varint(last)
				|| '\x1a' || varint(length(filter)) || filter AS input
				FROM convert_to('{"m":1,"k":1,"b":"AAAAAAAAAAA="}', 'UTF8') AS filter) AS i
		$$;
	EOF
	sql > /dev/null <<-EOF
		SELECT count(atomix.end_session(session_id, 'over')) FROM atomix.sessions
		WHERE state = 'opened';
		SELECT count(atomix.open_session('1 day')) FROM generate_series(1, $1);
	EOF
	for ((n = 1; n <= $2; n++)); do
		echo "SELECT atomix.counter_set('c$n', 0);"
	done | sql > /dev/null
	first_session=$(sql -c "SELECT min(session_id) FROM atomix.sessions WHERE state = 'opened'")
	first_service=$(sql -c 'SELECT min(service_id) FROM atomix.services')
	[ "$(sql -c "SELECT max(session_id) - min(session_id) FROM atomix.sessions WHERE state = 'opened'")" -eq $(($1 - 1)) ]
	[ "$(sql -c 'SELECT max(service_id) - min(service_id) FROM atomix.services')" -eq $(($2 - 1)) ]

	# In many transactions, each of which may lock but so many services.
	for ((n = 1; n <= $2; n++)); do
		echo "SELECT count(atomix.create_service($first_session + n, 'counter', 'c$n'))
			FROM generate_series(0, $1 - 1) AS n;"
	done | sql > /dev/null
}

# command_script SERVICES FILE [BATCH]: a pgbench script that increments a
# random counter by a numbered command, or by a batch of them, as client
# :client_id, and acknowledges now and then.  Starts with n = 0.
command_script()
{
	local batch=${3:-1}

	{
		echo "\\set session $first_session + :client_id"
		echo "\\set service $first_service + random(0, $1 - 1)"
		if [ "$batch" -eq 1 ]; then
			echo '\set n :n + 1'
			printf '%s\n' "SELECT output FROM atomix.command(:session, :service, '\x22020801'::bytea, :n);"
		else
			printf '%s\n' "SELECT count(*) FROM atomix.commands(:session, :service, array_fill('\x22020801'::bytea, ARRAY[$batch]), :n + 1);"
			echo "\\set n :n + $batch"
		fi
		printf '\\if :n %% %d = 0\nSELECT length(acknowledge(:session, :n));\n\\endif\n' \
			$((batch * 100))
	} > "$2"
}
