#!/bin/bash
#
# Run the regression and isolation tests on a server in which tools look for
# errors of memory and undefined behaviour.
#
# "ubsan": the extension is built with the undefined behaviour sanitizer, signed
# overflow included, which PostgreSQL's own flags define.
# "valgrind": the server runs under memcheck, which takes long; what is the
# server's own is in test/valgrind.supp.
#
# PostgreSQL is the distribution's, which does not tell memcheck of palloc: of
# memory it sees whole blocks, not what is allocated in them.  The address
# sanitizer cannot be loaded into that server; the programs in test/fuzz have it.
#
# Ends with "N passed, N failed"; each report of the tool is a failure.

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
harness_enter "$@"

tool=$1
passed=0
failed=0
reports=$work/reports
mkdir "$reports"

# step NAME LIMIT COMMAND...: run tests, and count them.
step()
{
	local status=0 log="$work/log/$1" ok bad

	limited "$2" "$log" "${@:3}" || status=$?
	ok=$(grep -cE '^ok [0-9]|\.\.\. ok( |$)' "$log" || :)
	bad=$(grep -cE '^not ok [0-9]|\.\.\. FAILED' "$log" || :)
	if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	printf '%4d s  %-20s %4d passed, %d failed\n' $SECONDS "$1" "$ok" "$bad"
	if [ "$bad" -ne 0 ]; then
		tail -n 100 "$log"
	fi
	[ "$bad" -eq 0 ]
}

# Have valgrind in every process of the server.
wrap_postgres()
{
	local bin=$work/server$bindir

	mv "$bin/postgres" "$bin/postgres.plain"
	cat > "$bin/postgres" <<-EOS
		#!/bin/bash
		exec valgrind --quiet --leak-check=no --error-limit=no --num-callers=30 \\
			--suppressions=$work/tree/test/valgrind.supp --gen-suppressions=all \\
			--log-file=$reports/valgrind.%p "$bin/postgres.plain" "\$@"
	EOS
	chmod +x "$bin/postgres"
}

case $tool in
	ubsan)
		flags='-O1 -fno-omit-frame-pointer -fno-wrapv -fsanitize=undefined'
		factor=1
		;;
	valgrind)
		flags=-O1
		factor=10
		;;
esac
limited 600 "$work/log/build" make -s -j2 with_llvm=no COPT="$flags" install ||
	{ cat "$work/log/build"; exit 1; }
# The worker waits for no lock as long as deadlock_timeout: where all is slow
# it is to be longer, so that the worker does not give up.
cluster_create <<-EOS
	fsync = off
	max_prepared_transactions = 10
	autovacuum = off
	deadlock_timeout = ${factor}s
EOS
if [ "$tool" = valgrind ]; then
	wrap_postgres
fi
cluster_start
step pg_regress $((600 * factor)) make -s with_llvm=no installcheck ISOLATION= TAP_TESTS= ||
	cat regression.diffs
step isolation $((300 * factor)) make -s with_llvm=no installcheck REGRESS= TAP_TESTS= ||
	cat output_iso/regression.diffs
cluster_stop fast

# The sanitizer reports in the server's log.
grep 'runtime error:' "$work/log/server" | sort | uniq -c > "$reports/ubsan" || :
for report in "$reports"/*; do
	if [ -s "$report" ]; then
		failed=$((failed + 1))
		echo "--- ${report#"$work"/}"
		head -n 200 "$report"
	fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
