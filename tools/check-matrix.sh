#!/bin/bash
#
# Build and run every test on each PostgreSQL that Debian has: 15 of Debian 12,
# 17 of Debian 13, 18 of testing, each in a system of its own, made by
# debootstrap and kept for the next time.  Then carry a database with the
# extension from version to version by dump and restore.  Wants to be root; the
# mirror is the one apt uses here.  Ends with a table for docs/versions.md.
#
#	check-matrix.sh [--cache DIRECTORY] [--renew] [--full] [--stale] [MAJOR...]
#
# --renew makes the systems anew, --full runs the long tests, too, --stale takes
# a mirror that has not been updated for so long that its files have expired.
# About ten minutes for each version the first time.

set -eu -o pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/atomix-matrix
goal=check
renew=
stale=
majors=()
while [ $# -gt 0 ]; do
	case $1 in
		--cache) cache=$2; shift ;;
		--cache=*) cache=${1#*=} ;;
		--renew) renew=1 ;;
		--full) goal=check-full ;;
		--stale) stale=1 ;;
		1[0-9]) majors+=("$1") ;;
		*) sed -n '3,16s/^#//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
[ ${#majors[@]} -gt 0 ] || majors=(15 17 18)
# A database is carried upwards.
mapfile -t majors < <(printf '%s\n' "${majors[@]}" | sort -nu)

# The release of Debian that has a major version.
declare -A suite_of=([15]=bookworm [17]=trixie [18]=testing)

fail()
{
	echo "check-matrix: $*" >&2
	exit 1
}

[ "$(id -u)" -eq 0 ] || fail "systems can be made by root only"
for command in debootstrap unshare apt-get; do
	command -v $command > /dev/null ||
		fail "$command is missing: apt-get install debootstrap util-linux"
done
for major in "${majors[@]}"; do
	[ -n "${suite_of[$major]:-}" ] || fail "no release is known with PostgreSQL $major"
done
mkdir -p "$cache/log"
cache=$(cd "$cache" && pwd)

# The mirror from which apt installs Debian's own packages here.
# shellcheck disable=SC2016 # for apt-get
mirror=$(apt-get indextargets --format \
	'$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^Debian Debian main //p' | head -n 1)
[ -n "$mirror" ] || fail "apt knows no mirror of Debian; run apt-get update"

# make_system SUITE: made beside its place and moved there when it is whole.
make_system()
{
	local root=$cache/$1

	[ -z "$renew" ] || rm -rf --one-file-system "$root"
	if [ -x "$root/usr/bin/make" ]; then
		return
	fi
	echo "making a system of $1 in $root"
	rm -rf --one-file-system "$root.new" "$root"
	debootstrap --variant=minbase --include=make,ca-certificates,util-linux "$1" \
		"$root.new" "$mirror" > "$cache/log/debootstrap.$1" 2>&1 ||
		{ tail -n 20 "$cache/log/debootstrap.$1" >&2; fail "debootstrap of $1 failed"; }
	mv "$root.new" "$root"
}

# inside SUITE COMMAND...: run in the system, in the copy of the tree; whatever
# was started there ends with the command, and no mount outlives it.
inside()
{
	local root=$cache/$1

	shift
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	apt-config dump | grep -E '^Acquire::https?::[Pp]roxy' \
		> "$root/etc/apt/apt.conf.d/99matrix" || :
	[ -z "$stale" ] || echo 'Acquire::Check-Valid-Until "false";' \
		>> "$root/etc/apt/apt.conf.d/99matrix"
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --pid --fork --kill-child bash -c '
		root=$1
		shift
		mount --make-rprivate /
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		exec nice -n 10 chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			bash -c "cd /srv/atomix && exec \"\$@\"" inside "$@"' outside "$root" "$@"
}

# A copy of the tree as it is here, without what was built.
copy_tree()
{
	local tree=$cache/$1/srv/atomix

	rm -rf "$tree"
	mkdir -p "$tree"
	tar --exclude-vcs --exclude=./build --exclude=./results --exclude='./tmp_check*' \
		--exclude=./output_iso --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
		--exclude='*.d' -cf - . | tar -C "$tree" -xf - --no-same-owner
}

server_version()
{
	inside "$1" sh -c "/usr/lib/postgresql/$2/bin/postgres --version" |
		sed 's/^postgres (PostgreSQL) \([0-9.]*\).*/\1/'
}

commit=$(git -c safe.directory='*' describe --always --dirty 2>/dev/null || echo unknown)
table=$cache/table
{
	echo "Commit $commit, $(date -u +%F)."
	echo
	echo "| PostgreSQL | Debian | \`make $goal\` | restored from |"
	echo "|---|---|---|---|"
} > "$table"
failures=0
before=
for major in "${majors[@]}"; do
	suite=${suite_of[$major]}
	log=$cache/log/$major
	make_system "$suite"
	copy_tree "$suite"
	echo "PostgreSQL $major: make $goal, log in $log"
	inside "$suite" env PG_MAJOR="$major" make "$goal" > "$log" 2>&1 || :
	result=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1 || :)
	[[ $result == *", 0 failed" ]] || failures=$((failures + 1))
	echo "PostgreSQL $major: ${result:-broke off}"

	# The database of the version before.
	carried='-'
	[ -z "$before" ] || cp "$cache/${suite_of[$before]}/srv/atomix/carried.sql" \
		"$cache/$suite/srv/atomix/"
	if inside "$suite" env PG_MAJOR="$major" tools/carry.sh > "$log.carry" 2>&1; then
		[ -z "$before" ] || carried="$before: yes"
		before=$major
	else
		failures=$((failures + 1))
		carried="${before:-new}: failed"
		tail -n 20 "$log.carry"
		before=
	fi
	echo "| $(server_version "$suite" "$major") | $suite | ${result:-broke off} | $carried |" \
		>> "$table"
done

cat "$table"
[ $failures -eq 0 ]
