#!/bin/bash
#
# Format the C code as pgindent does: its options and its corrections around
# pg_bsd_indent.  With --check, change nothing, show what would change and
# fail if anything would.  Files may be named; otherwise all of ours.

set -eu
cd "$(dirname "$0")/.."

options=(-bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4
	-l79 -lp -lpl -nip -npro -sac -tpg -ts4)

check=no
if [ "${1:-}" = --check ]; then
	check=yes
	shift
fi

if [ $# -eq 0 ]; then
	mapfile -t files < <(find src client tools test -name '*.[ch]' | LC_ALL=C sort)
	set -- "${files[@]}"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# "bool" is a macro where <stdbool.h> is used, so no list made from debugging
# information has it.
{
	cat typedefs.list
	echo bool
} > "$scratch/typedefs"

status=0
for file in "$@"; do
	perl -pe 's![ \t]+$!!; s!^([ \t]*)//(.*)$!$1/* $2 */!; s!/\* +---!/*---X_X!g' \
		"$file" > "$scratch/file.c"
	if ! message=$(cd "$scratch" &&
		pg_bsd_indent "${options[@]}" -Utypedefs file.c 2>&1) ||
		[ -n "$message" ]; then
		echo "$file: $message" >&2
		status=1
		continue
	fi
	perl -0777 -i -pe 's!/\*---X_X!/* ---!g; s!\*/(/\*.*\*/)$!*/\t$1!gm;
		s!^([A-Za-z_]\S*)[ \t]+\*$!$1 *!gm' "$scratch/file.c"
	if [ $check = yes ]; then
		diff -u --label "$file" --label "$file, indented" \
			"$file" "$scratch/file.c" || status=1
	elif ! cmp -s "$file" "$scratch/file.c"; then
		cat "$scratch/file.c" > "$file"
		echo "indented $file"
	fi
done
exit $status
