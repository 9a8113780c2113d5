#!/bin/bash
#
# Numbered increments of counters against bare single-row UPDATEs at the same
# durability, 32 clients: on random ones of 1,000, and all on one.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${SECONDS_EACH:-10}
rows=1000

sql <<-EOS
	CREATE TABLE bare (id int PRIMARY KEY, v bigint NOT NULL);
	INSERT INTO bare SELECT n, 0 FROM generate_series(1, $rows) AS n;
EOS
printf '\\set id random(1, %d)\nUPDATE bare SET v = v + 1 WHERE id = :id;\n' "$rows" > "$scratch/bare.sql"
echo 'UPDATE bare SET v = v + 1 WHERE id = 1;' > "$scratch/hot.sql"
echo "SELECT atomix.counter_increment('c1');" > "$scratch/plain.sql"

# Each run has sessions of its own, whose numbers begin at 1.
numbered()
{
	commands_prepare 32 "$1"
	command_script "$1" "$scratch/command.sql"
	tps 32 "$seconds" "$scratch/command.sql" -D n=0
}

pair 'numbered increments of random counters against UPDATEs' '>= 0.6' 5 \
	"tps 32 $seconds $scratch/bare.sql" "numbered $rows"

sql -c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
pair 'numbered increments of one counter against UPDATEs of one row' '>= 1.25' 5 \
	"tps 32 $seconds $scratch/hot.sql" 'numbered 1'
pair 'plain increments of one counter against UPDATEs of one row' '>= 1.25' 5 \
	"tps 32 $seconds $scratch/hot.sql" "tps 32 $seconds $scratch/plain.sql"

sql -c 'DROP TABLE bare' -c 'DROP FUNCTION acknowledge, varint' \
	-c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
