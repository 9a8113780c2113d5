#!/bin/bash
#
# Install the Debian packages that building, testing and the demo need: says
# which are missing, then installs them as root, by sudo, or not at all, with
# the one command to run.  Does nothing where nothing is missing.  With "ha"
# also what tools/check-ha.sh needs.

set -eu

# The major version to build against.  A distribution without it gets the
# newest one that it has.
major=${PG_MAJOR:-15}
wanted=${1:-}

packages_for()
{
	echo gcc libc6-dev make patch perl libipc-run-perl python3-protobuf \
		protobuf-compiler libprotobuf-dev \
		protobuf-c-compiler libprotobuf-c-dev pgbouncer valgrind \
		clang clang-tidy libclang-rt-dev

	# Whoever names a pg_config has a server of their own.
	if [ -z "${PG_CONFIG:-}" ]; then
		echo "postgresql-$1" "postgresql-server-dev-$1" \
			"postgresql-$1-pgtap" "postgresql-$1-plproxy"
	fi

	if [ "$wanted" = ha ]; then
		echo patroni etcd-server python3-etcd python3-psycopg2
	fi

	# Each major version's code style asks for one version of the formatter.
	if [ "$1" = 15 ]; then
		echo pg-bsd-indent
	fi
}

missing_of()
{
	local package

	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
			grep -qx installed || echo "$package"
	done
}

find_missing()
{
	# shellcheck disable=SC2046 # one word per package
	mapfile -t missing < <(missing_of $(packages_for "$major"))
}

# Major versions that are installed with what building takes, or offered.
known_majors()
{
	{
		find /usr/lib/postgresql -path '*/lib/pgxs' 2>/dev/null |
			cut -d / -f 5
		apt-cache search --names-only '^postgresql-[0-9]+$' |
			sed -n 's/^postgresql-\([0-9]*\) .*/\1/p'
	} | sort -nu
}

choose_major()
{
	local newest

	newest=$(known_majors | tail -n 1)
	if [ -n "$newest" ] && ! known_majors | grep -qx "$major"; then
		echo "PostgreSQL $major is not to be had here; taking $newest."
		major=$newest
	fi
}

if ! command -v dpkg-query > /dev/null; then
	for command in gcc clang protoc protoc-c prove "${PG_CONFIG:-pg_config}" \
		${wanted:+patroni etcd}; do
		if ! command -v "$command" > /dev/null; then
			echo "$command is missing, and this is not a Debian system" \
				"whose packages could be installed." >&2
			exit 1
		fi
	done
	exit 0
fi

choose_major
find_missing
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi
echo "Missing Debian packages: ${missing[*]}"

if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo > /dev/null &&
		{ sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		exec sudo env PG_MAJOR="$major" PG_CONFIG="${PG_CONFIG:-}" "$0" "$@"
	fi
	echo "Install them by running, as root:" >&2
	echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# The server package would set up and start a cluster of its own, and those of
# PgBouncer and etcd a service, which nothing here needs.  Said in files of
# ours, there only while this runs.
policy=/usr/sbin/policy-rc.d
ours=
if [ ! -e $policy ]; then
	ours=$policy
	printf '#!/bin/sh\nexit 101\n' > $policy
	chmod +x $policy
fi
override=/etc/postgresql-common/createcluster.d
made=
if [ ! -d $override ]; then
	made=$override
	mkdir -p $override
fi
forget_override()
{
	rm -f $override/atomix-deps.conf ${ours:+"$ours"}
	[ -z "$made" ] || rmdir --ignore-fail-on-non-empty "$made"
}
trap forget_override EXIT
echo 'create_main_cluster = false' > $override/atomix-deps.conf

# Pages of output that matter only when something goes wrong.
apt()
{
	local output

	if ! output=$(DEBIAN_FRONTEND=noninteractive apt-get -q "$@" 2>&1); then
		printf '%s\n' "$output" >&2
		return 1
	fi
}

apt update
choose_major
find_missing
echo "Installing: ${missing[*]}"
apt install -y --no-install-recommends "${missing[@]}"
