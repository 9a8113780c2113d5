#!/bin/bash
#
# Build with every warning an error, then run every test; with --full, also
# the long ones in test/t-full, and whether tests notice the mutants in
# test/mutants.  The last line is "N passed, N failed": the single tests of
# pg_regress and the isolation tester, the assertions of pgTAP and TAP files,
# the checks of lint, files of inputs, mutants.  A step that breaks in any other way counts as
# one failure.

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
harness_enter "$@"

passed=0
failed=0

# tally NAME LOG STATUS: count and say what a step gave; show the log of one
# that failed.
tally()
{
	local ok bad

	ok=$(grep -cE '^ok [0-9]|\.\.\. ok( |$)' "$2" || :)
	bad=$(grep -E '^not ok [0-9]|\.\.\. FAILED' "$2" | grep -cv '# TODO' || :)
	if [ "$3" -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	printf '%4d s  %-40s %4d passed, %d failed\n' $SECONDS "$1" "$ok" "$bad"
	if [ "$bad" -ne 0 ]; then
		show "$2"
	fi
	if [ "$3" -eq 124 ]; then
		echo "--- out of time"
	fi
}

show()
{
	local file

	for file in "$@"; do
		if [ -s "$file" ]; then
			echo "--- ${file#"$work"/}"
			tail -n 500 "$file"
		fi
	done
}

# step NAME LIMIT COMMAND...: false if it failed.
step()
{
	local status=0 log

	log="$work/log/${1// /_}"
	limited "$2" "$log" "${@:3}" || status=$?
	tally "$1" "$log" $status
	return $status
}

finish()
{
	printf '%d passed, %d failed\n' $passed $failed
	[ $failed -eq 0 ]
	exit
}

# The TAP files named, two at a time; each starts and stops servers of its own.
tap_files()
{
	local -A name_of=()
	local file pid status log

	for file in "$@" ''; do
		while [ ${#name_of[@]} -ge 2 ] ||
			{ [ -z "$file" ] && [ ${#name_of[@]} -gt 0 ]; }; do
			status=0
			wait -n -p pid "${!name_of[@]}" || status=$?
			unset "harness_running[$pid]"
			log=$(basename "${name_of[$pid]}" .pl)
			tally "${name_of[$pid]}" "$work/log/$log" $status
			if [ $status -ne 0 ]; then
				show tmp_check/log/regress_log_"$log" tmp_check/log/"$log"_*.log
			fi
			unset "name_of[$pid]"
		done
		if [ -n "$file" ]; then
			limited_start 400 "$work/log/$(basename "$file" .pl)" prove -v "$file"
			name_of[$limited_pid]=$file
		fi
	done
}

shopt -s nullglob
installcheck=(make -s with_llvm=no installcheck)
pgxs=$(dirname "$(pg_config --pgxs)")/../..

# Tests of a library that did not build would say nothing.
step build 600 make -s -j2 with_llvm=no COPT=-Werror install || finish
step lint 120 make -s with_llvm=no lint || :
step tidy 400 make -s with_llvm=no tidy || :
step "fuzz corpus" 300 make -s -j2 with_llvm=no COPT=-Werror fuzz-corpus || :

# Nothing here outlives the run, so nothing needs to reach the disk.
cluster_create <<-'EOS'
	fsync = off
	max_prepared_transactions = 10
	max_worker_processes = 16
	atomix.worker_limit = 8
EOS
cluster_start || { failed=$((failed + 1)); finish; }

files=(sql/*.sql)
if [ ${#files[@]} -gt 0 ]; then
	step pg_regress 300 "${installcheck[@]}" ISOLATION= TAP_TESTS= ||
		show regression.diffs
fi

files=(test/isolation/specs/*.spec)
if [ ${#files[@]} -gt 0 ]; then
	step isolation 300 "${installcheck[@]}" REGRESS= TAP_TESTS= ||
		show output_iso/regression.diffs
fi

files=(test/pgtap/*.sql)
if [ ${#files[@]} -gt 0 ]; then
	createdb pgtap
	psql -X -q -d pgtap -v ON_ERROR_STOP=1 \
		-c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION atomix' || :
	step pgtap 300 prove -v \
		-e 'psql -X -A -t -q -v ON_ERROR_STOP=1 -d pgtap -f' "${files[@]}" || :
fi

# A server that went down under the tests above fails here.
if ! cluster_stop fast; then
	echo "the server was not there to be stopped"
	failed=$((failed + 1))
	show "$work/log/server"
fi

# What PGXS sets for its prove.
export PG_REGRESS=$pgxs/src/test/regress/pg_regress
export PERL5LIB=$pgxs/src/test/perl:$work/tree/test/perl
export TESTDIR=$work/tree TESTDATADIR=$work/tree/tmp_check
export TESTLOGDIR=$work/tree/tmp_check/log PG_TEST_PORT_DIR=$work/ports
mkdir -p "$TESTLOGDIR"
unset PGHOST PGPORT PGUSER PGDATABASE

files=(test/t/*.pl)
if [ "${1:-}" = --full ]; then
	files+=(test/t-full/*.pl)
fi
tap_files "${files[@]}"

if [ "${1:-}" = --full ]; then
	step mutants 1800 env -u ATOMIX_HARNESS tools/mutants.sh || :
fi

finish
