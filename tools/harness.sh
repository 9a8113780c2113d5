# shellcheck shell=bash
#
# What check.sh, demo.sh and bench.sh stand on: a private directory with a copy
# of the tree, a copy of the PostgreSQL installation to install into, and a
# throw-away cluster, all of an unprivileged user and all removed at the end.
# Nothing is written to the tree or to the system's PostgreSQL, so any number
# of runs go side by side and a production server next to them notices nothing.
#
# A script calls harness_enter first.  That runs the script a second time, in
# the copy and as the unprivileged user, where harness_enter returns.

# Processes that this shell waits for, so that a signal ends them too.
declare -A harness_running=()

harness_enter()
{
	if [ -n "${ATOMIX_HARNESS:-}" ]; then
		harness_inside
	else
		harness_outside "$@"
		exit $?
	fi
}

# Make the directory, run the script in it, remove the directory.
harness_outside()
{
	local script base status user=()

	cd "$(dirname "$0")/.." || return
	script=tools/$(basename "$0")
	tools/deps.sh

	# Socket paths are short by nature.
	base=${TMPDIR:-/tmp}
	[ ${#base} -le 40 ] || base=/tmp
	work=$(mktemp -d "$base/atomix.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'harness_signal' INT TERM HUP

	mkdir "$work/tree" "$work/socket" "$work/log" "$work/tmp"
	tar --exclude-vcs --exclude=./build --exclude=./results \
		--exclude='./tmp_check*' --exclude=./output_iso \
		--exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude='*.d' \
		--exclude='*.a' --exclude=./client/atomixctl \
		-cf - . | tar -C "$work/tree" -xf - --no-same-owner

	# A server refuses to run as root.
	if [ "$(id -u)" -eq 0 ]; then
		local name=nobody

		! id postgres > /dev/null 2>&1 || name=postgres
		chown -R "$name:" "$work"
		user=(setpriv "--reuid=$name" "--regid=$(id -g "$name")" --init-groups)
		if ! "${user[@]}" test -x "$work"; then
			echo "User $name cannot enter $work: set TMPDIR to a directory" \
				"open to all." >&2
			return 1
		fi
	fi

	# Variables of the calling make and of the user's own servers stay out.
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
	env ATOMIX_HARNESS="$work" HOME="$work" TMPDIR="$work/tmp" \
		ATOMIX_COMMIT="$(harness_commit)" \
		"${user[@]}" bash "$work/tree/$script" "$@" &
	harness_running[$!]=1
	status=0
	wait $! || status=$?
	harness_running=()

	# Files that the script leaves for the tree, by name.
	for file in "${harness_results[@]}"; do
		[ ! -e "$work/tree/$file" ] || cp "$work/tree/$file" "$file"
	done
	return $status
}

harness_results=()

harness_commit()
{
	git -c safe.directory='*' describe --always --dirty 2>/dev/null ||
		echo unknown
}

# End what was started here; each process of ours does the same for its own.
harness_signal()
{
	trap '' INT TERM HUP
	for pid in "${!harness_running[@]}"; do
		kill -TERM "$pid" 2>/dev/null || :
		wait "$pid" || :
	done
	exit 143
}

harness_inside()
{
	local variable

	work=$ATOMIX_HARNESS
	cd "$work/tree" || return
	trap 'harness_clean' EXIT
	trap 'harness_signal' INT TERM HUP

	harness_copy_server
	for variable in "${!PG@}"; do
		unset "$variable"
	done
	export LANG=C.UTF-8 LC_ALL=C.UTF-8
	export PATH=$work/server$bindir:$PATH
	export PG_CONFIG=$work/server$bindir/pg_config
	export PGHOST=$work/socket PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	pgdata=$work/data
}

# Stop every server that is left: that of cluster_start and, where a test file
# was cut short, those that it had started.
harness_clean()
{
	local pidfile

	find "$work" -name postmaster.pid -print0 2>/dev/null |
		while IFS= read -r -d '' pidfile; do
			pg_ctl -D "${pidfile%/*}" -m immediate -t 30 -w stop \
				> /dev/null 2>&1 || :
		done
}

# The directories of a server are found relative to its programs, so a copy is
# an installation of its own.
harness_copy_server()
{
	local config directory include

	config=${PG_CONFIG:-/usr/lib/postgresql/${PG_MAJOR:-15}/bin/pg_config}
	if [ ! -x "$(command -v "$config")" ]; then
		config=$(find /usr/lib/postgresql/*/bin -name pg_config | sort -V |
			tail -n 1)
	fi
	bindir=$("$config" --bindir)
	for directory in "$bindir" "$("$config" --pkglibdir)" \
		"$("$config" --sharedir)"; do
		mkdir -p "$work/server$directory"
		tar -C "$directory" --exclude=./bitcode -cf - . |
			tar -C "$work/server$directory" -xf -
	done
	include=$("$config" --includedir)
	mkdir -p "$work/server${include%/*}"
	ln -s "$include" "$work/server$include"
}

# limited SECONDS LOG COMMAND...: run the command, its output in the log.
limited()
{
	local status=0

	limited_start "$@"
	wait "$limited_pid" || status=$?
	unset "harness_running[$limited_pid]"
	return $status
}

limited_start()
{
	local limit=$1 log=$2

	shift 2
	timeout --kill-after=20 "$limit" "$@" > "$log" 2>&1 &
	limited_pid=$!
	harness_running[$limited_pid]=1
}

# Build and install into the copy of the server.
build()
{
	if ! limited 600 "$work/log/build" make -s -j2 with_llvm=no install; then
		cat "$work/log/build"
		return 1
	fi
}

# Settings of the cluster come from standard input.
cluster_create()
{
	limited 120 "$work/log/initdb" initdb -D "$pgdata" -U postgres \
		--auth-local=trust --auth-host=reject \
		--locale=C.UTF-8 --encoding=UTF8
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$work/socket'"
		echo "shared_preload_libraries = 'atomix'"
		cat
	} >> "$pgdata/postgresql.conf"
}

cluster_start()
{
	if ! limited 120 "$work/log/pg_ctl" \
		pg_ctl -D "$pgdata" -l "$work/log/server" -w start; then
		cat "$work/log/pg_ctl" "$work/log/server"
		return 1
	fi
}

cluster_stop()
{
	limited 120 "$work/log/pg_ctl" pg_ctl -D "$pgdata" -m "$1" -w stop
}
