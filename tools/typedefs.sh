#!/bin/bash
#
# Write typedefs.list for tools/indent.sh: the typedefs that our sources name,
# from the debugging information of a build ("make" first).

set -eu -o pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The build leaves out the programs of tools and tests.
for program in tools/*.c test/fuzz/*.c test/client/*.c; do
	cc -g -c -w -Isrc -Ibuild/proto \
		-I"$("${PG_CONFIG:-pg_config}" --includedir-server)" \
		-I"$("${PG_CONFIG:-pg_config}" --includedir)" \
		-o "$scratch/$(basename "$program" .c).o" "$program"
done
mapfile -t objects < <(find src client "$scratch" -name '*.o')
mapfile -t sources < <(find src client tools test -name '*.[ch]')

# pgindent leaves these out: they are names of other things more often.
excluded='^(ANY|FD_SET|U|abs|allocfunc|boolean|date|digit|ilist|interval|iterator|other|pointer|printfunc|reference|string|timestamp|type|wrap)$'

objdump -Wi "${objects[@]}" |
	awk '/DW_TAG_/ { typedef = /DW_TAG_typedef/ }
		typedef && /DW_AT_name/ { print $NF; typedef = 0 }' |
	grep -Ev "$excluded" | LC_ALL=C sort -u |
	grep -Fxf <(grep -ohE '[A-Za-z_][A-Za-z_0-9]*' "${sources[@]}" | sort -u) \
		> "$scratch/typedefs.list"
cp "$scratch/typedefs.list" typedefs.list
