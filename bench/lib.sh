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
