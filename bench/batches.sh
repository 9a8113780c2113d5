#!/bin/bash
#
# Batches of 50 numbered commands against single ones, 8 clients on 1,000
# counters: commands a second.

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${SECONDS_EACH:-10}

single()
{
	commands_prepare 8 1000
	command_script 1000 "$scratch/single.sql"
	tps 8 "$seconds" "$scratch/single.sql" -D n=0
}

batches()
{
	commands_prepare 8 1000
	command_script 1000 "$scratch/batch.sql" 50
	tps 8 "$seconds" "$scratch/batch.sql" -D n=0 | awk '{ print 50 * $1 }'
}

pair 'commands in batches of 50 against single ones' '>= 4' 5 single batches
record 'commands in batches of 50' commands/s "$(stats < "$scratch/ours")" '' '' '>= 80000' 5

sql -c 'DROP FUNCTION acknowledge, varint' \
	-c 'DROP EXTENSION atomix' -c 'CREATE EXTENSION atomix'
