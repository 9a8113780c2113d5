#!/bin/bash
#
# Run every program bench/*.sh against a throw-away server with durable
# commits and room for many clients.  Each finds the server by PGHOST, PGPORT
# and PGDATABASE and the state of the tree in ATOMIX_COMMIT.

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
# shellcheck disable=SC2034 # harness.sh brings it back into the tree
harness_results=(bench/results.csv)
harness_enter "$@"

build
cluster_create <<-'EOS'
	shared_buffers = 1GB
	max_connections = 200
	max_wal_size = 8GB
	checkpoint_timeout = 30min
	max_worker_processes = 16
	max_prepared_transactions = 10
EOS
cluster_start
createdb bench
export PGDATABASE=bench PGDATA_DIR=$pgdata
psql -X -q -c 'CREATE EXTENSION atomix'

status=0
for program in bench/*.sh; do
	if [ -x "$program" ]; then
		echo "== $program"
		"$program" || status=$?
	fi
done
cluster_stop fast
exit $status
