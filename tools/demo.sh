#!/bin/bash
#
# Show the main job on a throw-away server: sessions that open, live, expire
# and are told of, and that outlive a crash of the server; a command that takes
# effect once although it is sent again after the crash.  What is printed is
# what was sent and what came back.  Exit status 0 only if every step held.

set -eu -o pipefail
# shellcheck source=tools/harness.sh
. "$(dirname "$0")/harness.sh"
harness_enter "$@"

say()
{
	printf '\n## %s\n\n' "$*"
}

# must DESCRIPTION COMMAND...: the demo stops at the first step that does not
# hold.
must()
{
	if ! "${@:2}"; then
		echo
		echo "The demo stops here. This did not hold: $1" >&2
		tail -n 30 "$work/log/server" >&2
		exit 1
	fi
}

ask()
{
	psql -X -A -t -q -v ON_ERROR_STOP=1 -c "$1"
}

# A statement as one would type it, and what psql shows for it.
sql()
{
	echo "atomix=# $1"
	psql -X -q -v ON_ERROR_STOP=1 -P footer=off -c "$1"
}

show_sessions()
{
	sql "SELECT session_id, name, state, reason, timeout, deadline FROM atomix.sessions ORDER BY session_id;"
}

state_of()
{
	ask "SELECT state FROM atomix.sessions WHERE session_id = $1"
}

message()
{
	protoc -Iproto "$1=atomix.multiraft.v1.$2" atomix/multiraft/v1/partition.proto
}

# wire FUNCTION MESSAGE TEXT: make MESSAGE's request from its text with protoc,
# call FUNCTION with the bytes, decode the reply with protoc into $reply.
wire()
{
	local request answer

	echo "\$ protoc --encode=atomix.multiraft.v1.$2Request <<< '$3'"
	request=$(message --encode "$2Request" <<< "$3" | od -An -v -tx1 | tr -d ' \n')
	echo "atomix=# SELECT atomix.$1('\\x$request');"
	answer=$(ask "SELECT atomix.$1('\\x$request')")
	echo "$answer"
	echo "\$ protoc --decode=atomix.multiraft.v1.$2Response"
	reply=$(perl -e 'print pack "H*", substr shift, 2' "$answer" |
		message --decode "$2Response")
	echo "$reply"
}

# Read what the listener prints until it tells of the session and the session
# has expired; $arrival is when the message that told came.
await_expiry()
{
	local id version state

	while read -r -t 20 -u "${listener[0]}" id version arrival; do
		state=$(state_of "$id")
		echo "NOTIFY atomix_sessions, payload '$id $version'; the view says: $state"
		if [ "$id" = "$1" ] && [ "$state" = expired ]; then
			return
		fi
	done
	return 1
}

echo "Building atomix and installing it into a copy of the server."
build
"$(pg_config --bindir)/postgres" --version

cluster_create <<-'EOS'
	log_min_messages = log
EOS
cluster_start
createdb atomix
export PGDATABASE=atomix PGTZ=UTC

say "The extension"
sql "CREATE EXTENSION atomix;"
sql "SELECT * FROM atomix.extension_version();"

say "A session, opened by the bytes of the protocol"
wire partition_open_session OpenSession \
	'headers { partition_id: 1 } input { timeout { seconds: 30 } }'
live=$(sed -n 's/^ *session_id: //p' <<< "$reply")
must "the reply names a session" [ -n "$live" ]
show_sessions
must "the session is open" [ "$(state_of "$live")" = opened ]

say "Kept alive, by a typed call and by the bytes of the protocol"
sql "SELECT atomix.keep_alive($live) AS time_left;"
wire partition_keep_alive KeepAlive \
	"headers { partition_id: 1 } input { session_id: $live }"
must "the reply says OK" grep -q 'status: OK' <<< "$reply"

say "A second session, whose client falls silent"
cc -o "$work/listen" -I"$(pg_config --includedir)" tools/listen.c -lpq
coproc listener { exec "$work/listen" atomix_sessions; }
# Bash forgets the variables of a coprocess when it ends.
# shellcheck disable=SC2154 # set by coproc
listener_pid=$listener_PID
harness_running[$listener_pid]=1
read -r -t 20 -u "${listener[0]}" word
must "a client listens" [ "$word" = listening ]
echo "(another client) atomix=# LISTEN atomix_sessions;"
sql "SELECT atomix.open_session(timeout => '2 s', name => 'silent') AS session_id;"
silent=$(ask "SELECT session_id FROM atomix.sessions WHERE name = 'silent'")
show_sessions
deadline=$(ask "SELECT round(extract(epoch FROM deadline) * 1000)
	FROM atomix.sessions WHERE session_id = $silent")

echo "Waiting for word of its end."
must "its end is told" await_expiry "$silent"
late=$((arrival - deadline))
echo
echo "Session $silent expired. The notification came $late ms after its deadline."
must "no session ends before its deadline" [ $late -ge 0 ]
echo
show_sessions
must "the first session is still open" [ "$(state_of "$live")" = opened ]
kill "$listener_pid"
wait "$listener_pid" || :
unset "harness_running[$listener_pid]"

say "A numbered command and an entry of a map, together with a row of one's own"
sql "CREATE TABLE orders (number bigint);"
sql "BEGIN;
  INSERT INTO orders SELECT atomix.counter_increment('orders', session_id => $live, sequence_num => 1);
  SELECT * FROM atomix.map_put_text('latest', 'customer', 'Ada');
COMMIT;"
must "it was executed" [ "$(ask "SELECT number FROM orders")" = 1 ]

say "A crash of the server"
sql "SELECT atomix.keep_alive($live) AS time_left;"
echo "\$ pg_ctl -m immediate stop"
cluster_stop immediate
echo "\$ pg_ctl start"
cluster_start
grep -h 'interrupted\|automatic recovery' "$work/log/server" | sed 's/^/server log: /'
echo
show_sessions
must "the live session outlived the crash" [ "$(state_of "$live")" = opened ]
must "the expired session stays expired" [ "$(state_of "$silent")" = expired ]
sql "SELECT atomix.keep_alive($live) AS time_left;"

say "The client has seen no reply, and sends its command again"
sql "SELECT atomix.counter_increment('orders', session_id => $live, sequence_num => 1);"
sql "SELECT state, status, at FROM atomix.outcome($live, 1);"
sql "SELECT namespace, name, value FROM atomix.counters;"
sql "SELECT * FROM atomix.map_entries_text('latest');"
must "it took effect once" [ "$(ask "SELECT atomix.counter_get('orders')")" = 1 ]

say "Closed, by the bytes of the protocol"
wire partition_close_session CloseSession \
	"headers { partition_id: 1 } input { session_id: $live }"
must "the reply says OK" grep -q 'status: OK' <<< "$reply"
show_sessions
must "the session is closed" [ "$(state_of "$live")" = closed ]
cluster_stop fast

say "Every step held. The server is stopped and its files are removed."
