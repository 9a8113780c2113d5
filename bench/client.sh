#!/bin/bash
#
# The client: from its start to a lock held, against psql and SELECT 1; the
# processor time of keeping 1,000 sessions alive; and from a release by one
# "atomixctl lock" to the start of the next one's command.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

# Times are microseconds of EPOCHREALTIME; the command under the lock tells when
# it was held.
# shellcheck disable=SC2016 # for the inner shell
now=(bash -c 'echo "${EPOCHREALTIME/./}"')

rounds=${ROUNDS:-100}
for ((i = 0; i < rounds; i++)); do
	began=${EPOCHREALTIME/./}
	psql -X -c 'SELECT 1' > "$scratch/answer"
	answered=${EPOCHREALTIME/./}
	atomixctl lock 'bench start' -- "${now[@]}" > "$scratch/held"
	read -r held < "$scratch/held"
	awk -v p=$((answered - began)) -v l=$((held - answered)) -v to="$scratch" 'BEGIN {
		print p / 1000 >> (to "/psql")
		print l / 1000 >> (to "/lock")
		print l / p >> (to "/ratio") }'
done
record 'start to lock held against psql with SELECT 1' ratio "$(stats < "$scratch/ratio")" \
	"$(stats < "$scratch/psql" | cut -d ' ' -f 1)" \
	"$(stats < "$scratch/lock" | cut -d ' ' -f 1)" '<= 3' "$rounds"

# 1,000 sessions with the default timeout of 30 s, over a minute.
cc -O2 -I"$(pg_config --includedir)" -o "$scratch/driver" test/client/driver.c \
	client/libatomix.a -L"$(pg_config --libdir)" -lpq
seconds=${SESSION_SECONDS:-60}
"$scratch/driver" "" sessions 1000 30000 "$seconds" > "$scratch/sessions"
read -r alive used < "$scratch/sessions"
[ "$alive" -eq 1000 ]
percent=$(awk -v u="$used" -v s="$seconds" 'BEGIN { printf "%.4f", 100 * u / s }')
record 'processor time of a client with 1,000 sessions' '% of a core' \
	"$percent $percent $percent" '' '' '< 1' 1

# Two at a time; each line is token, when it began and when it was about to
# end.  The next one's start is counted from there: release, grant, wake-up and
# start of the command.
pass()
{
	# shellcheck disable=SC2016 # for the inner shell
	for ((n = 0; n < passes; n++)); do
		atomixctl lock 'bench pass' -- bash -c \
			'b=${EPOCHREALTIME/./}; read -rt 0.1 <> <(:); echo "$ATOMIX_TOKEN $b ${EPOCHREALTIME/./}"' \
			>> "$scratch/pass"
	done
}
passes=${PASSES:-200}
pass &
first=$!
pass
wait "$first"
sort -n "$scratch/pass" | awk 'NR > 1 && $2 > last { print ($2 - last) / 1000 } { last = $3 }' |
	sort -g > "$scratch/handed"
for q in 0.50 0.99; do
	record "hand-over between two atomixctl lock, p${q#0.}" ms \
		"$(awk -v q=$q '{ v[NR] = $1 } END { i = int(NR * q + 0.999999); print v[i < 1 ? 1 : i] }' "$scratch/handed") $(head -n 1 "$scratch/handed") $(tail -n 1 "$scratch/handed")" \
		'' '' "$([ $q = 0.99 ] && echo '< 30')" "$(wc -l < "$scratch/handed")"
done

sql -c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
