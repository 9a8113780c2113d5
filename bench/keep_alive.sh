#!/bin/bash
#
# keep_alive on the row path, every renewal writing, against a bare HOT UPDATE
# of a random row: 32 clients, durable commits.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sessions=100000

sql <<-EOS
	ALTER SYSTEM SET atomix._coalesce_renewals = off;
	ALTER SYSTEM SET atomix.shared_sessions = 0;
EOS
restart
sql > /dev/null <<-EOS
	CREATE TABLE hot (id bigint PRIMARY KEY, a bigint) WITH (fillfactor = 50);
	INSERT INTO hot SELECT g, 0 FROM generate_series(1, $sessions) g;
	SELECT count(atomix.open_session('1 day')) FROM generate_series(1, $sessions);
	VACUUM ANALYZE;
EOS
first=$(sql -c 'SELECT min(session_id) FROM atomix.lease')

cat > "$scratch/hot.sql" <<-EOS
	\\set id random(1, $sessions)
	UPDATE hot SET a = a + 1 WHERE id = :id;
EOS
cat > "$scratch/keep_alive.sql" <<-EOS
	\\set id random(0, $sessions - 1) + $first
	SELECT atomix.keep_alive(:id);
EOS

pair 'keep_alive against UPDATE' '>= 0.8' 5 \
	"tps 32 ${SECONDS_EACH:-10} $scratch/hot.sql" \
	"tps 32 ${SECONDS_EACH:-10} $scratch/keep_alive.sql"

written=$(sql -c "SELECT pg_stat_force_next_flush(), pg_sleep(0); SELECT n_tup_hot_upd * 100 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = 'lease'" | tail -n 1)
record 'renewals that were HOT' percent "$written $written $written" '' '' '> 95' 1

sql <<-EOS
	ALTER SYSTEM RESET atomix._coalesce_renewals;
	ALTER SYSTEM RESET atomix.shared_sessions;
	DROP TABLE hot;
	DROP EXTENSION atomix;
	CREATE EXTENSION atomix;
EOS
restart
