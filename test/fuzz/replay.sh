#!/bin/bash
#
# Try what is in test/fuzz/corpus, and the inputs in test/fuzz/regressions that
# were defects once, on the programs that "make fuzzers" builds.  Prints a TAP
# line for each file.

set -u
cd "$(dirname "$0")/../.." || exit

number=0
status=0
log=build/fuzz/replay.log

# replay TARGET FILE: every input is tried, and none is a defect.
replay()
{
	local inputs=build/fuzz/inputs count

	rm -rf $inputs
	mkdir -p $inputs
	/usr/bin/python3 test/fuzz/corpus.py unpack "$2" $inputs
	count=$(find $inputs -type f | wc -l)
	number=$((number + 1))
	if [ "$count" -gt 0 ] &&
		ATOMIX_FUZZ_EVERY=1 build/fuzz/"$1" -runs=0 -max_len=1000000 \
			-artifact_prefix=build/fuzz/ $inputs > $log 2>&1 &&
		grep -q "seed corpus: files: $count " $log; then
		echo "ok $number - $1: $count inputs of $2"
	else
		tail -n 50 $log | sed 's/^/# /'
		echo "not ok $number - $1: $count inputs of $2"
		status=1
	fi
}

for source in test/fuzz/fuzz_*.c; do
	target=$(basename "$source" .c)
	target=${target#fuzz_}
	replay "$target" "test/fuzz/corpus/$target.hex"
	if [ -e "test/fuzz/regressions/$target.hex" ]; then
		replay "$target" "test/fuzz/regressions/$target.hex"
	fi
done
echo "1..$number"
exit $status
