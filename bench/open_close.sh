#!/bin/bash
#
# open_session and close_session in two transactions against a bare INSERT and
# DELETE of one row in two transactions: 32 clients, durable commits.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

sql -c 'CREATE TABLE bare (id bigint PRIMARY KEY, a bigint, t text)'

cat > "$scratch/bare.sql" <<-'EOS'
	\set id random(1, 9000000000000000)
	INSERT INTO bare VALUES (:id, 1, 'x');
	DELETE FROM bare WHERE id = :id;
EOS
cat > "$scratch/session.sql" <<-'EOS'
	SELECT atomix.open_session() AS id \gset
	SELECT atomix.close_session(:id);
EOS

pair 'open and close against INSERT and DELETE' '>= 0.6' 5 \
	"tps 32 ${SECONDS_EACH:-10} $scratch/bare.sql" \
	"tps 32 ${SECONDS_EACH:-10} $scratch/session.sql"

sql -c 'DROP TABLE bare' -c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
