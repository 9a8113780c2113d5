#!/bin/bash
#
# Carry a database with the extension from one PostgreSQL version to the next
# by dump and restore: restores carried.sql if it is there, proves that what
# services held has come over and that life goes on, and leaves a dump of it as
# carried.sql for the next version.  check-matrix.sh calls it in each.

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
# shellcheck disable=SC2034 # read by the harness
harness_results=(carried.sql)
harness_enter "$@"

build
cluster_create < /dev/null
cluster_start

sql()
{
	psql -X -A -t -q -v ON_ERROR_STOP=1 "$@"
}

# equal WHAT EXPECTED SQL
equal()
{
	local found

	found=$(sql -c "$3")
	if [ "$found" != "$2" ]; then
		echo "$1: \"$found\" instead of \"$2\""
		exit 1
	fi
	echo "$1: $found"
}

if [ -f carried.sql ]; then
	# shellcheck disable=SC2154 # set by the harness
	limited 120 "$work/log/restore" \
		psql -X -q -v ON_ERROR_STOP=1 -f carried.sql ||
		{ cat "$work/log/restore"; exit 1; }
	generation=$(sql -c 'SELECT generation FROM carried')
	holders=0
	equal "the index is beyond all that was given" t \
		"SELECT atomix.open_session() > last_index FROM carried"
else
	sql <<-'EOS'
		CREATE EXTENSION atomix;
		CREATE TABLE carried AS SELECT 1 AS generation, 0::bigint AS last_index;
		SELECT atomix.open_session() AS session \gset
		SELECT atomix.counter_set('c', 1);
		SELECT atomix.map_put_text('m', 'for ever', 'first', namespace => 'n');
		SELECT atomix.map_put_text('m', 'for long', 'first', '10 days', namespace => 'n');
		SELECT atomix.lock_try(:session, 'l');
	EOS
	generation=1
	holders=1
fi
# Each version is another life.
equal "term" "$generation" "SELECT term FROM atomix.partitions"
equal "counter" "$generation" "SELECT atomix.counter_get('c')"
equal "map" "first first" \
	"SELECT string_agg(value, ' ') FROM atomix.map_entries_text('m', namespace => 'n')"
equal "time to live" t "SELECT expires_at - now() BETWEEN '9 days' AND '10 days'
	FROM atomix.map_get('m', 'for long', 'n')"
equal "lock has no holder of another life" $holders \
	"SELECT count(*) FROM atomix.locks WHERE granted"
equal "next count" $((generation + 1)) "SELECT atomix.counter_increment('c')"
sql -c "UPDATE carried SET generation = $((generation + 1)),
	last_index = (SELECT max(index) FROM atomix.map_put_text('m', 'last', 'x'))"
sql -c "SELECT atomix.map_remove('m', 'last')" > /dev/null
pg_dump -f carried.sql.new postgres
mv carried.sql.new carried.sql
cluster_stop fast
