#!/bin/bash
#
# Rules of the code that a script can see.  Wants a build ("make lint" makes
# one); prints one TAP line per rule, with what breaks it above.
#
# shellcheck disable=SC2317 # the functions are called by name, through "rule"

set -u
cd "$(dirname "$0")/.." || exit

number=0
status=0

# rule DESCRIPTION COMMAND...: kept if the command prints nothing.
rule()
{
	local found

	found=$("${@:2}" 2>&1)
	number=$((number + 1))
	if [ -z "$found" ]; then
		echo "ok $number - $1"
	else
		printf '%s\n' "$found" | sed 's/^/# /'
		echo "not ok $number - $1"
		status=1
	fi
}

# only_in FILES PATTERN: uses of the pattern in any other file of src.
only_in()
{
	grep -rnE --include='*.[ch]' "$2" src | grep -vE "^($1):"
}

# The same of client.
only_in_client()
{
	grep -rnE --include='*.[ch]' "$2" client | grep -vE "^($1):" | grep -v ':[[:space:]]*\*'
}

# The pattern in more than one file.
one_file_only()
{
	local files

	files=$(grep -rlE --include='*.[ch]' "$1" src)
	if [ "$(printf '%s' "$files" | grep -c .)" -gt 1 ]; then
		printf '%s\n' "$files"
	fi
}

long_files()
{
	find src client -name '*.[ch]' -exec wc -l {} \; | awk '$1 > 800'
}

exported()
{
	diff --label exports.txt --label atomix.so -U 0 \
		<(awk '/^[^#]/ { print $1 }' exports.txt | LC_ALL=C sort) \
		<(nm -D --defined-only atomix.so | awk '{ print $3 }' | LC_ALL=C sort)
}

# Of version 1.0.2: series 1.0 in the control file and the script's name.
versions()
{
	local series release

	series=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" atomix.control)
	release=$(meta '{version}')
	if [ "${release%.*}" != "$series" ]; then
		echo "META.json has $release, atomix.control $series"
	fi
	if [ "$(meta '{provides}{atomix}{version}')" != "$release" ]; then
		echo "META.json has two versions of atomix"
	fi
	if [ "$(meta '{provides}{atomix}{file}')" != "atomix--$series.sql" ] ||
		[ ! -f "atomix--$series.sql" ]; then
		echo "META.json and the files do not agree on atomix--$series.sql"
	fi
	if [[ $(grep -m 1 '^## ' CHANGELOG.md) != "## $release"* ]]; then
		echo "CHANGELOG.md does not begin with $release"
	fi
}

meta()
{
	perl -MJSON::PP -0777 -ne "print decode_json(\$_)->$1" META.json
}

# Other versions of the formatter lay out some lines otherwise.
if pg_bsd_indent --version 2>&1 | grep -q '2\.1\.1'; then
	rule "C code is indented" tools/indent.sh --check
fi
rule "exported symbols are those of exports.txt" exported
rule "control file, META.json and CHANGELOG.md agree" versions
rule "no source file is over 800 lines" long_files
rule "PG_VERSION_NUM only in compat.h" \
	only_in 'src/compat\.h' 'PG_VERSION_NUM'
rule "SPI only through spi.c" \
	only_in 'src/base/spi\.[ch]' '\bSPI_[a-z]+ *\('
rule "time is read only in clock.c" \
	only_in 'src/base/clock\.c' '\b(clock_gettime|gettimeofday|GetCurrentTimestamp|time) *\('
rule "the client reads time only in clock.c" only_in_client \
	'client/clock\.c' '\b(clock_gettime|gettimeofday|time) *\('
rule "the library makes connections only in link.c" only_in_client \
	'client/(link\.c|ctl/.*)' '\bPQ(connect[A-Za-z]*|finish|send[A-Za-z]*|getResult|exec[A-Za-z]*) *\('
rule "NOTIFY is sent from one file" one_file_only '\bAsync_Notify *\('

echo "1..$number"
exit $status
