#!/bin/bash
#
# Fuzz the parsers: each program of test/fuzz for as many seconds as the first
# argument says, two at a time, from its corpus and new seeds.  An input that
# is a defect is printed, to be put into test/fuzz/regressions; without one, what
# was found to be worth keeping becomes the corpus.  Exit status 0 if there was
# no defect.

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
cd "$(dirname "$0")/.."
# shellcheck disable=SC2034 # harness.sh brings them back into the tree
mapfile -t harness_results < <(
	find test/fuzz -name 'fuzz_*.c' |
		sed 's!.*/fuzz_\(.*\)\.c!test/fuzz/corpus/\1.hex!')
cd - > /dev/null
harness_enter "$@"

seconds=${1:-60}
seed=$((RANDOM * 32768 + RANDOM))
status=0

corpus()
{
	/usr/bin/python3 test/fuzz/corpus.py "$@"
}

# Inputs to start from, and a place for those found.
prepare()
{
	mkdir "$work/seeds.$1" "$work/found.$1" "$work/defects.$1"
	if [ -e "test/fuzz/corpus/$1.hex" ]; then
		corpus unpack "test/fuzz/corpus/$1.hex" "$work/seeds.$1"
	fi
	corpus seeds "$1" build/fuzz/descriptors $seed "$work/seeds.$1"
}

start()
{
	limited_start $((seconds + 120)) "$work/log/$1" nice build/fuzz/"$1" \
		-max_total_time="$seconds" -max_len=4096 -rss_limit_mb=1024 \
		-seed=$seed -artifact_prefix="$work/defects.$1/" -print_final_stats=1 \
		"$work/found.$1" "$work/seeds.$1"
	name_of[$limited_pid]=$1
}

show_defects()
{
	local file

	tail -n 60 "$work/log/$1"
	for file in "$work/defects.$1"/*; do
		if [ -s "$file" ]; then
			echo "--- input: $(od -An -v -tx1 "$file" | tr -d ' \n')"
		fi
	done
}

# What covers as much as all inputs do becomes the corpus.
keep()
{
	mkdir "$work/kept.$1"
	limited 600 "$work/log/merge.$1" build/fuzz/"$1" -set_cover_merge=1 \
		"$work/kept.$1" "$work/seeds.$1" "$work/found.$1"
	corpus pack "$work/kept.$1" "test/fuzz/corpus/$1.hex"
}

# Wait for one of those that run.
finish_one()
{
	local pid target result=0

	wait -n -p pid "${!name_of[@]}" || result=$?
	target=${name_of[$pid]}
	unset "name_of[$pid]" "harness_running[$pid]"
	if [ $result -ne 0 ]; then
		status=1
		show_defects "$target"
	else
		keep "$target"
	fi
	echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log/$target")" \
		"inputs tried, exit status $result; $(wc -l < "test/fuzz/corpus/$target.hex") in the corpus"
}

declare -A name_of=()
limited 600 "$work/log/build" make -s -j2 with_llvm=no fuzzers ||
	{ cat "$work/log/build"; exit 1; }
echo "seed $seed, $seconds s for each target"
for source in test/fuzz/fuzz_*.c; do
	target=$(basename "$source" .c)
	prepare "${target#fuzz_}"
	[ ${#name_of[@]} -lt 2 ] || finish_one
	start "${target#fuzz_}"
done
while [ ${#name_of[@]} -gt 0 ]; do
	finish_one
done
exit $status
