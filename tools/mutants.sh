#!/bin/bash
#
# Do the tests notice what they are for?  Each patch in test/mutants breaks a
# rule, and names the file in test/t that must fail then.  Prints one TAP line
# for each: ok if that file passes as the code is, and fails with the patch by
# the assertions that it makes.  Names of patches as arguments: only these.

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
harness_enter "$@"

number=0
status=0
pgxs=$(dirname "$(pg_config --pgxs)")/../..

# result WORD DESCRIPTION LOG
result()
{
	number=$((number + 1))
	echo "$1 $number - $2"
	if [ "$1" != ok ]; then
		status=1
		tail -n 50 "$3" | sed 's/^/# /'
	fi
}

# says FIELD PATCH: what is said above the patch.
says()
{
	sed -n "s/^$1: //p" "$2"
}

# run_test TREE NAME: run a test file there; its output is the log.
run_test()
{
	mkdir -p "$1/tmp_check/log"
	limited 300 "$work/log/test" env -C "$1" \
		-u PGHOST -u PGPORT -u PGUSER -u PGDATABASE \
		PG_REGRESS="$pgxs/src/test/regress/pg_regress" \
		PERL5LIB="$pgxs/src/test/perl:$1/test/perl" \
		TESTDIR="$1" TESTDATADIR="$1/tmp_check" \
		TESTLOGDIR="$1/tmp_check/log" PG_TEST_PORT_DIR="$work/ports" \
		prove -v "test/t/$2.pl"
}

# The tree with a patch, built and installed.
mutant()
{
	rm -rf "$work/mutant"
	cp -a "$work/tree" "$work/mutant"
	cd "$work/mutant"
	patch -s -p1 --fuzz=0 < "$1" &&
		make -s -j2 with_llvm=no install
}

if [ $# -eq 0 ]; then
	# shellcheck disable=SC2046 # one word per patch
	set -- $(basename -s .patch "$work"/tree/test/mutants/*.patch)
fi
patches=("${@/%/.patch}")
patches=("${patches[@]/#/$work/tree/test/mutants/}")

build
for name in $(for patch in "${patches[@]}"; do says Test "$patch"; done | sort -u); do
	if run_test "$work/tree" "$name"; then
		result ok "$name passes" -
	else
		result "not ok" "$name passes" "$work/log/test"
	fi
done

for patch in "${patches[@]}"; do
	mutation=$(basename "$patch" .patch)
	name=$(says Test "$patch")
	if ! (mutant "$patch") > "$work/log/mutant" 2>&1; then
		result "not ok" "$mutation is built" "$work/log/mutant"
	elif run_test "$work/mutant" "$name"; then
		result "not ok" "$name notices $mutation" "$work/log/test"
	elif grep -q '^not ok' "$work/log/test"; then
		result ok "$name notices $mutation" -
	else
		result "not ok" "$name fails by an assertion with $mutation" "$work/log/test"
	fi
done
echo "1..$number"
exit $status
