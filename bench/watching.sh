#!/bin/bash
#
# Watching: 32 writers on 1,000 services that 100 watchers read in streams, 10
# each, against the same that nobody watches and against the same with
# pg_notify in each transaction; how long after a change it is fetched; what a
# change costs with 1,000 watchers and with one; and what the events that might
# be written cost where nobody watches.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${SECONDS_EACH:-10}
rounds=${ROUNDS:-1000}

quantile()
{
	sort -g "$1" | awk -v q="$2" '{ v[NR] = $1 } END { i = int(NR * q + 0.999999); print v[i < 1 ? 1 : i] }'
}

for name in plain watched; do
	for ((n = 1; n <= 1000; n++)); do
		echo "SELECT atomix.counter_set('$name$n', 0);"
	done
done | sql > /dev/null

# The watchers: client c has services 10c + 1 to 10c + 10, as commands 1 to 10.
sql > /dev/null <<-'EOS'
	CREATE TABLE watcher AS SELECT g AS client, atomix.open_session('10 h') AS session_id
	FROM generate_series(0, 99) g;
	CREATE PROCEDURE open_streams() LANGUAGE plpgsql AS $$
	DECLARE w record;
	BEGIN
	  FOR w IN SELECT * FROM watcher LOOP
	    PERFORM atomix.command(w.session_id,
	      atomix.create_service(w.session_id, 'counter', 'watched' || w.client * 10 + n),
	      '\x4200', n) FROM generate_series(1, 10) n;
	    COMMIT;
	  END LOOP;
	END $$;
	CALL open_streams();
EOS
first=$(sql -c 'SELECT min(session_id) FROM watcher')
[ "$(sql -c 'SELECT max(session_id) - min(session_id) FROM watcher')" -eq 99 ]
writer()
{
	printf '\\set n random(1, 1000)\n'
	printf '%s\n' "$1"
}
writer "SELECT atomix.counter_increment('plain' || :n);" > "$scratch/plain.sql"
writer "SELECT atomix.counter_increment('watched' || :n);" > "$scratch/watched.sql"
writer "SELECT atomix.counter_increment('plain' || :n), pg_notify('c' || :n, '');" > "$scratch/notify.sql"

# A watcher takes what has come up to now, and looks again when there is more,
# but not before 50 ms, as who is told by a hint.  A position that a crash takes
# back is read once more, so it need not wait for the disk.
cat > "$scratch/watcher.sql" <<-'EOS'
	\set s :first + :client_id
	SELECT count(*) AS taken FROM atomix.take_outputs(:s, 10000) \gset
	\if :taken > 0
	\sleep 50 ms
	\else
	SELECT atomix.wait_events(:s, '1 s');
	\endif
EOS
# Writers are counted while all watchers are at it.
watched_writers()
{
	local watchers

	PGAPPNAME=watcher PGOPTIONS='-c synchronous_commit=off' \
		pgbench -n -M prepared -c 100 -j 1 -T 1000 -D first="$first" -f "$scratch/watcher.sql" > "$scratch/watchers" 2>&1 &
	watchers=$!
	until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity
		WHERE application_name = 'watcher' AND query LIKE '%atomix%'")" -eq 100 ]; do
		kill -0 $watchers
		sleep 0.1
	done
	tps 32 "$seconds" "$scratch/watched.sql"
	kill $watchers
	wait $watchers || [ $? -eq 143 ]
}

pair 'writers on watched services against the same on others' '>= 0.6' 5 \
	"tps 32 $seconds $scratch/plain.sql" watched_writers
pair 'writers on watched services against the same that notify' '>= 2.5' 5 \
	"tps 32 $seconds $scratch/notify.sql" watched_writers
# They have kept up, but for what came while they slept.
[ "$(sql -c 'SELECT count(*) FROM atomix.streams WHERE closed OR behind > 100')" -eq 0 ]
sql -c 'SELECT count(atomix.close_session(session_id)) FROM watcher' > /dev/null

# From just before a commit to the row that was made of the output.
sql > /dev/null <<-EOS
	CREATE TABLE written (index bigint PRIMARY KEY, at timestamptz);
	CREATE TABLE seen (index bigint PRIMARY KEY, at timestamptz);
	SELECT atomix.map_put_text('m', '', '');
	CREATE PROCEDURE change_all() LANGUAGE plpgsql AS \$\$
	DECLARE
	  began timestamptz;
	  i bigint;
	BEGIN
	  FOR n IN 1 .. $rounds LOOP
	    PERFORM pg_sleep(0.005 + random() * 0.01);
	    i := (atomix.map_put_text('m', n::text, clock_timestamp()::text)).index;
	    began := clock_timestamp();
	    COMMIT;
	    INSERT INTO written VALUES (i, began);
	    COMMIT;
	  END LOOP;
	END \$\$;
	CREATE PROCEDURE fetch_some(s bigint) LANGUAGE sql AS \$\$
	  WITH o AS (SELECT * FROM atomix.fetch_outputs(s, 1)), kept AS (
	    INSERT INTO seen SELECT o.index, clock_timestamp() FROM o WHERE o.kind = 'response')
	  SELECT atomix.ack(s, 1, max(o.output_num)) FROM o HAVING count(*) > 0
	\$\$;
	CREATE PROCEDURE fetch_all(s bigint) LANGUAGE plpgsql AS \$\$
	BEGIN
	  WHILE (SELECT count(*) FROM seen) < $rounds LOOP
	    PERFORM atomix.wait_events(s, '1 s');
	    CALL fetch_some(s);
	    COMMIT;
	  END LOOP;
	END \$\$;
EOS
open_stream()
{
	session=$(sql -c "SELECT atomix.open_session('10 h')")
	sql -c "SELECT atomix.command($session, atomix.create_service($session, 'map', 'm'), '\\x4200', 1)" \
		-c "CALL fetch_some($session)" -c 'TRUNCATE written, seen' > /dev/null
}
record_delay()
{
	local consumer=$1

	sql -c 'CALL change_all()'
	wait "$consumer"
	sql -c 'SELECT extract(epoch FROM s.at - w.at) * 1000 FROM written w JOIN seen s USING (index)' > "$scratch/delay"
	[ "$(wc -l < "$scratch/delay")" -eq "$rounds" ]
	for q in 0.50 0.99; do
		record "$2, p${q#0.}" ms \
			"$(quantile "$scratch/delay" $q) $(quantile "$scratch/delay" 0) $(quantile "$scratch/delay" 1)" \
			'' '' "$([ $q = 0.99 ] && echo "$3")" "$rounds"
	done
}

open_stream
sql -c "CALL fetch_all($session)" &
record_delay $! 'change to fetch_outputs by wait_events' '< 20'

# psql tells of notifications after a statement, so it is given some to do.  At
# each hint it is told to fetch.
listen_and_fetch()
{
	local seen=0 line

	coproc listener { psql -X -A -t -q 2>&1; }
	echo "LISTEN \"atomix_session_$session\";" >&"${listener[1]}"
	while [ "$seen" -lt "$rounds" ]; do
		echo 'SELECT pg_sleep(0.002);' >&"${listener[1]}"
		IFS= read -r line <&"${listener[0]}"
		if [[ $line == Asynchronous* ]]; then
			echo "CALL fetch_some($session); SELECT 'seen ' || count(*) FROM seen;" >&"${listener[1]}"
		elif [[ $line == seen* ]]; then
			seen=${line#seen }
		fi
	done
	echo '\q' >&"${listener[1]}"
}
open_stream
listen_and_fetch &
record_delay $! 'change to fetch_outputs by LISTEN' '< 100'

# One service with a stream, and one with 1,000 of as many sessions.
sql > /dev/null <<-'EOS'
	SELECT atomix.counter_set('few', 0), atomix.counter_set('many', 0);
	CREATE PROCEDURE watch_both() LANGUAGE plpgsql AS $$
	DECLARE s bigint;
	BEGIN
	  FOR n IN 1 .. 1000 LOOP
	    s := atomix.open_session('10 h');
	    PERFORM atomix.command(s, atomix.create_service(s, 'counter', 'many'), '\x4200', 1);
	    IF n = 1 THEN
	      PERFORM atomix.command(s, atomix.create_service(s, 'counter', 'few'), '\x4200', 2);
	    END IF;
	    COMMIT;
	  END LOOP;
	END $$;
	CALL watch_both();
EOS
echo "SELECT atomix.counter_increment('few');" > "$scratch/few.sql"
echo "SELECT atomix.counter_increment('many');" > "$scratch/many.sql"
pair 'changes of a service with 1,000 watchers against one' '>= 0.8' 5 \
	"tps 8 $seconds $scratch/few.sql" "tps 8 $seconds $scratch/many.sql"

sql -c 'DROP TABLE watcher, written, seen' \
	-c 'DROP PROCEDURE open_streams, change_all, fetch_some, fetch_all, watch_both' \
	-c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'

# The library without what an event could need, beside the one with it.
libdir=$("$PG_CONFIG" --pkglibdir)
mkdir "$scratch/tree"
tar --exclude=./build --exclude='*.o' --exclude='*.d' --exclude='*.so' -cf - . | tar -C "$scratch/tree" -xf -
sed -i 's/^\tif (!call->service.watched)$/\tif (true)/' "$scratch/tree/src/services/feed.c"
sed -i 's/^\treturn service->watched && access == ATX_ACCESS_SHARED;$/\treturn false;/' "$scratch/tree/src/commands/services.c"
[ "$(cat "$scratch"/tree/src/services/feed.c "$scratch"/tree/src/commands/services.c | grep -cE 'if \(true\)|return false;$')" -ge 2 ]
make -s -C "$scratch/tree" with_llvm=no > "$scratch/make" 2>&1
cp "$libdir/atomix.so" "$scratch/with.so"
writer "SELECT atomix.map_put_text('m', :n::text, :n || ' ' || clock_timestamp());" > "$scratch/put.sql"
sql -c "SELECT atomix.map_put_text('m', '', '')" > /dev/null
with_library()
{
	cp "$1" "$libdir/atomix.next"
	mv "$libdir/atomix.next" "$libdir/atomix.so"
	restart
	tps 32 "$seconds" "$scratch/put.sql"
}
pair 'puts into an unwatched map against a build without events' '>= 0.95' 7 \
	"with_library $scratch/tree/atomix.so" "with_library $scratch/with.so"
sql -c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
