#!/bin/bash
#
# Puts on distinct keys of one map against the same spread over 1,000 maps, 32
# clients.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${SECONDS_EACH:-10}

script()
{
	cat <<-EOS
		\\set key random(1, 1000000000)
		\\set map random(1, $1)
		SELECT index FROM atomix.map_put('m' || :map, :key::text, '\\x0123456789'::bytea);
	EOS
}

script 1000 > "$scratch/spread.sql"
script 1 > "$scratch/one.sql"
for ((n = 1; n <= 1000; n++)); do
	echo "SELECT atomix.map_put('m$n', '', '');"
done | sql > /dev/null

pair 'puts into one map against puts into 1,000' '>= 0.85' 5 \
	"tps 32 $seconds $scratch/spread.sql" "tps 32 $seconds $scratch/one.sql"

sql -c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
