#!/bin/bash
#
# Static analysis of our sources by clang-tidy, as .clang-tidy says; "make tidy"
# builds first, for the generated headers.  Files may be named; otherwise all.
# Prints one TAP line, with what was found above.

set -u -o pipefail
cd "$(dirname "$0")/.." || exit

printf '%s\n' "-I$PWD/src" "-I$PWD/build/proto" -D_GNU_SOURCE -isystem \
	"$("${PG_CONFIG:-pg_config}" --includedir-server)" > build/compile_flags.txt
if [ $# -eq 0 ]; then
	mapfile -t files < <(find src -name '*.c' | LC_ALL=C sort)
	set -- "${files[@]}"
fi
if found=$(printf '%s\0' "$@" |
	xargs -0 -P "$(nproc)" -n 4 clang-tidy --quiet -p build 2> build/tidy.log); then
	echo "ok 1 - clang-tidy finds nothing in $# files"
	echo 1..1
else
	{
		printf '%s\n' "$found"
		tail -n 5 build/tidy.log
	} | sed 's/^/# /'
	echo "not ok 1 - clang-tidy finds nothing"
	echo 1..1
	exit 1
fi
