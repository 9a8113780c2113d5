#!/bin/bash
#
# Clients at work while a real high availability manager, Patroni with etcd,
# switches over and fails over between two throw-away servers.  Prints what
# must hold and whether it did, and how long nobody was answered.  Takes about
# four minutes; not part of "make check".

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
[ -n "${ATOMIX_HARNESS:-}" ] || "$(dirname "$0")/deps.sh" ha
harness_enter "$@"

build
mkdir "$work/ha"
# Debian's Patroni has its modules where Debian's Python looks.
python=$(command -v /usr/bin/python3 || command -v python3)
echo "# $(patroni --version), $(etcd --version | head -n 1), commit ${ATOMIX_COMMIT:-unknown}," \
	"$(date -u '+%F %H:%M UTC')"
timeout --kill-after=120 900 "$python" -B test/ha/failover.py "$work/ha" \
	"$("$PG_CONFIG" --bindir)" &
harness_running[$!]=1
status=0
wait $! || status=$?
if [ $status -ne 0 ]; then
	tail -n 60 "$work"/ha/*.log
fi
exit $status
