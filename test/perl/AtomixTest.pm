# Helpers that the TAP tests share.

package AtomixTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(
	advance_clock await_beat await_no_worker await_notification await_rest
	await_state await_waiting await_worker crash keep_alive_place
	kill_postmaster new_node new_standby notifications open_session psql_sqlstate
	query_error served session_state start_query start_wait wait_answer
	worker_pid);

# A running node with the extension loaded at start and created in the
# database "postgres".  Further arguments are lines for postgresql.conf.
sub new_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf',
		join("\n", "shared_preload_libraries = 'atomix'", @conf, ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION atomix');
	return $node;
}

# A standby of a node, with further settings, which is started.
sub new_standby
{
	my ($primary, $name, $conf) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup('backup');
	$standby->init_from_backup($primary, 'backup', has_streaming => 1);
	$standby->append_conf('postgresql.conf', $conf) if defined $conf;
	$standby->start;
	return $standby;
}

# Kill the postmaster of a node with signal 9; returns when it is gone.
sub kill_postmaster
{
	my ($node) = @_;
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	$node->kill9;
	for (1 .. 100 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if !kill(0, $pid);
		usleep(10_000);
	}
	die "postmaster $pid is still there";
}

# The same, and start it anew as soon as its children are gone, too.
sub crash
{
	my ($node) = @_;

	kill_postmaster($node);
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if $node->start(fail_ok => 1);
		usleep(100_000);
	}
	die 'the server does not start';
}

# The SQLSTATE with which the first failing statement ends, 00000 if none does,
# 08006 if the connection is lost on the way.
sub psql_sqlstate
{
	my ($node, $sql, $dbname) = @_;
	my ($stdout, $stderr);

	my $status = $node->psql(
		$dbname // 'postgres', "\\set VERBOSITY sqlstate\n$sql",
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 1);
	return $1 if $stderr =~ /ERROR:\s+([0-9A-Z]{5})/;
	return $status == 2 ? '08006' : '00000';
}

# What a query in a background psql complains of, '' if nothing.
sub query_error
{
	my ($psql, $sql) = @_;
	my $error;

	$psql->{stderr} = '';
	$psql->query($sql);
	$error = $psql->{stderr};
	$psql->{stderr} = '';
	return $error;
}

# Start a query in a background psql without waiting for its end.
sub start_query
{
	my ($psql, $sql) = @_;

	$psql->{stderr} = '';
	$psql->query_until(qr/started/, "\\echo started\n$sql;\n");
	return;
}

# Wait until a backend waits for an event of a kind, as pg_stat_activity
# names them.
sub await_waiting
{
	my ($node, $pid, $kind) = @_;

	return $node->poll_query_until('postgres',
		"SELECT wait_event_type || ' ' || wait_event LIKE '$kind'
		 FROM pg_stat_activity WHERE pid = $pid");
}

# Have a background psql wait for events of a session, by a literal timeout or
# NULL; returns when it waits.
sub start_wait
{
	my ($node, $psql, $id, $timeout) = @_;
	my $pid = $psql->query_safe('SELECT pg_backend_pid()');

	start_query($psql, "SELECT atomix.wait_events($id, $timeout),
		extract(epoch FROM clock_timestamp())");
	await_waiting($node, $pid, 'Extension Extension')
	  or die "nobody waits for session $id";
	return $pid;
}

# What that wait answers, 't' or 'f', and when, in seconds; without an answer
# what it complains of.
sub wait_answer
{
	my ($psql) = @_;
	my $answer = $psql->query('');
	my $error = $psql->{stderr};

	$psql->{stderr} = '';
	return $answer =~ /^([tf])\|([\d.]+)$/m ? ($1, $2) : $error;
}

# Renew a session; tells whether that went by 'memory' or by the 'row'.
sub keep_alive_place
{
	my ($node, $id, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres', "
		SET atomix._coalesce_renewals = off;
		BEGIN;
		DO 'BEGIN PERFORM atomix.keep_alive($id); END';
		SELECT CASE WHEN pg_current_xact_id_if_assigned() IS NULL
			THEN 'memory' ELSE 'row' END;
		COMMIT");
}

# Move the lease clock by an interval; stalled: as if the machine had been
# suspended.
sub advance_clock
{
	my ($node, $by, $stalled) = @_;
	my $flag = $stalled ? 'true' : 'false';

	$node->safe_psql('postgres', "SELECT atomix._advance_clock('$by', $flag)");
	return;
}

# The id of a new session; further arguments are those of open_session.
sub open_session
{
	my ($node, $timeout, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres',
		"SELECT atomix.open_session('$timeout')");
}

# The state of a session as the view shows it, '' if it shows none.
sub session_state
{
	my ($node, $id, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres',
		"SELECT state FROM atomix.sessions WHERE session_id = $id");
}

# Wait until a session is in a state.
sub await_state
{
	my ($node, $id, $state, $dbname) = @_;

	return $node->poll_query_until($dbname // 'postgres',
		"SELECT state FROM atomix.sessions WHERE session_id = $id", $state);
}

# Wait until the worker has beaten since the server's start.
sub await_beat
{
	my ($node, $dbname) = @_;

	$node->poll_query_until($dbname // 'postgres',
		'SELECT last_beat IS NOT NULL FROM atomix.authority')
	  or die 'the worker does not beat';
	return;
}

# The microseconds served in all until the last beat.
sub served
{
	my ($node, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres',
		'SELECT served FROM atomix.authority');
}

# Wait until the worker has done all that is to be done now: it goes to sleep
# after a cycle that began after the call.
sub await_rest
{
	my ($node, $dbname) = @_;

	$dbname //= 'postgres';
	# The first sleep may follow a cycle that had begun before.
	for my $round (1 .. 2)
	{
		my $now = $node->safe_psql('postgres', 'SELECT clock_timestamp()');

		$node->safe_psql('postgres', "SELECT atomix._advance_clock('0')");
		$node->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM pg_stat_activity
			 WHERE backend_type = 'atomix worker' AND datname = '$dbname'
			   AND state = 'idle' AND wait_event = 'Extension'
			   AND state_change > '$now'")
		  or die 'the worker does not come to rest';
	}
	return;
}

# The process id of the worker connected to a database, '' if there is none.
sub worker_pid
{
	my ($node, $dbname) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'atomix worker' AND datname = '$dbname'});
}

# Wait until a worker, but not the one with the given process id, has looked
# at the database; returns its process id.
sub await_worker
{
	my ($node, $dbname, $other_than) = @_;

	$other_than ||= 0;
	$node->poll_query_until(
		$dbname, qq{
		SELECT count(*) = 1 FROM atomix.workers
		JOIN pg_stat_activity a USING (pid)
		WHERE database = current_database() AND pid <> $other_than
		AND workers.state IN ('running', 'idle')
		AND last_cycle >= a.backend_start}) or die "no worker in $dbname";
	return worker_pid($node, $dbname);
}

# Wait until no worker is connected to a database.
sub await_no_worker
{
	my ($node, $dbname) = @_;

	return $node->poll_query_until(
		'postgres', qq{
		SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type = 'atomix worker' AND datname = '$dbname'});
}

# The payloads that a background psql which listens has received by now.
sub notifications
{
	my ($listener) = @_;

	return $listener->query('SELECT 1') =~ /with payload "([^"]*)"/g;
}

# Wait for a notification that matches; returns the payloads up to it and
# those that came with it.
sub await_notification
{
	my ($listener, $regexp) = @_;
	my @heard;

	for (1 .. 20 * $PostgreSQL::Test::Utils::timeout_default)
	{
		push @heard, notifications($listener);
		return @heard if grep { $_ =~ $regexp } @heard;
		usleep(50_000);
	}
	die "no notification matches $regexp, only: @heard";
}

1;
