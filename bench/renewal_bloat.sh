#!/bin/bash
#
# 3.6 million written renewals of 1,000 sessions with autovacuum as it is by
# default: the greatest size of all relations of the extension.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sql <<-'EOS'
	ALTER SYSTEM SET atomix._coalesce_renewals = off;
	ALTER SYSTEM SET atomix.shared_sessions = 0;
EOS
restart
sql > /dev/null <<-EOS
	SELECT count(atomix.open_session('1 day')) FROM generate_series(1, 1000);
EOS
first=$(sql -c 'SELECT min(session_id) FROM atomix.lease')
cat > "$scratch/keep_alive.sql" <<-EOS
	\\set id random(0, 999) + $first
	SELECT atomix.keep_alive(:id);
EOS

size()
{
	sql -c "SELECT round(sum(pg_total_relation_size(oid)) / 1048576.0, 2) FROM pg_class
		WHERE relnamespace = 'atomix'::regnamespace AND relkind = 'r'"
}

for _ in $(seq 36); do
	pgbench -n -M prepared -c 20 -j 2 -t 5000 -f "$scratch/keep_alive.sql" > /dev/null 2>&1
	size >> "$scratch/sizes"
done
written=$(sql -c "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'lease'")
echo "renewals written: $written"
largest=$(sort -g "$scratch/sizes" | tail -n 1)
record 'all relations after 3.6 million renewals' MB "$largest $largest $largest" '' '' '< 20' 1

sql <<-'EOS'
	ALTER SYSTEM RESET atomix._coalesce_renewals;
	ALTER SYSTEM RESET atomix.shared_sessions;
	DROP EXTENSION atomix;
	CREATE EXTENSION atomix;
EOS
restart
