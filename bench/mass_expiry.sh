#!/bin/bash
#
# 10,000 sessions expire over 10 seconds while others are kept alive: how long
# after the published upper bound each is ended and told of, and how long
# keep_alive takes for the others meanwhile.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sessions=10000

sql <<-'EOS'
	ALTER SYSTEM SET track_commit_timestamp = on;
EOS
restart
sql -c "SELECT count(atomix.open_session('1 h')) FROM generate_series(1, 1000)" > /dev/null
first=$(sql -c 'SELECT min(session_id) FROM atomix.lease')
cat > "$scratch/keep_alive.sql" <<-EOS
	\\set id random(0, 999) + $first
	SELECT atomix.keep_alive(:id);
EOS

for run in 1 2 3 4 5; do
	sql -v sessions=$sessions <<-'EOS'
		CREATE TABLE dying AS
		  SELECT atomix.open_session(interval '6 s' + interval '1 s' * (8.889 * g / :sessions)) AS session_id
		  FROM generate_series(1, :sessions) g;
		ALTER TABLE dying ADD deadline timestamptz;
		UPDATE dying d SET deadline = s.deadline FROM atomix.sessions s WHERE s.session_id = d.session_id;
	EOS
	(cd "$scratch" && pgbench -n -M prepared -c 8 -j 2 -R 2000 -T 20 -l \
		--log-prefix="run$run" -f keep_alive.sql > /dev/null 2>&1)
	# Told: the commit that numbered the final state.
	sql -c "SELECT extract(epoch FROM pg_xact_commit_timestamp(s.xmin) - d.deadline) * 1000 - 100
		FROM dying d JOIN atomix.session s USING (session_id)
		WHERE s.state = 'expired' AND s.version IS NOT NULL" > "$scratch/late"
	ended=$(wc -l < "$scratch/late")
	if [ "$ended" -ne $sessions ]; then
		echo "only $ended of $sessions sessions have expired" >&2
		exit 1
	fi
	sort -g "$scratch/late" | awk '{ v[NR] = $1 } END { print v[int(NR * 0.99)] }' >> "$scratch/late99"
	# Latency from the scheduled start, in microseconds.
	cat "$scratch/run$run".* | awk '{ print $3 }' | sort -g |
		awk '{ v[NR] = $1 } END { print v[int(NR * 0.99)] / 1000 }' >> "$scratch/calls99"
	sql -c 'DROP TABLE dying'
done

record 'expiry beyond the upper bound, p99' ms "$(stats < "$scratch/late99")" '' '' '< 50' 5
record 'keep_alive of others meanwhile, p99' ms "$(stats < "$scratch/calls99")" '' '' '< 100' 5

sql -c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
