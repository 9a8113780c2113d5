# atomix.max_hold: a transaction that keeps others waiting for a lock of ours is
# ended, and the next one proceeds.  Those that only wait themselves are left
# alone; a prepared transaction is only told of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest await_state await_waiting await_worker new_node
  open_session query_error session_state start_query);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('holding', 'atomix.max_hold = 500ms',
	'max_prepared_transactions = 2');
my $id = open_session($node, '1 h');
my $service =
  $node->safe_psql('postgres', "SELECT atomix.create_service($id, 'counter', 'c')");
my $increment = "SELECT status FROM atomix.command($id, $service, '\\x22020801')";

# More than the numbers that are locked one by one.
my $large = "SELECT count(*) FROM atomix.commands($id, $service,
	array_fill('\\x1a00'::bytea, ARRAY[65]), 1)";

$node->safe_psql('postgres', "SELECT atomix.map_put_text('m', 'k', 'old')");
await_worker($node, 'postgres');

# A psql in a transaction that has done something and now idles, and its pid.
sub idle_after
{
	my ($sql) = @_;
	my $psql = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $psql->query_safe('SELECT pg_backend_pid()');

	$psql->query_safe("BEGIN; $sql");
	return ($psql, $pid);
}

sub is_alive
{
	my ($pid) = @_;

	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE pid = $pid");
}

# End what is left of a psql.
sub dismiss
{
	my ($psql) = @_;

	$psql->{run}->finish if eval { $psql->{stdin} .= "\\q\n"; 1 };
	return;
}

# For how long the worker has let others wait, by the log after an offset.
sub waited
{
	my ($pid, $offset) = @_;
	my $log = slurp_file($node->logfile, $offset);

	return $log =~ /terminating process $pid, for whose atomix locks others have waited (\S+)/
	  ? $1 : undef;
}

#
# Each kind of lock: who idles on it is ended, who waits for it proceeds.
#

my @cases = (
	[
		'a session held alone', $large, "SELECT atomix.once($id, 100)", 't'
	],
	[ 'a number', "SELECT atomix.once($id, 101)", "SELECT atomix.once($id, 101)", 't' ],
	[ 'a service', $increment, $increment, 'OK' ],
	[
		'the name of a service being created',
		"SELECT atomix.counter_increment('new')",
		"SELECT atomix.counter_increment('new')", '1'
	],
	[
		'an entry', "SELECT atomix.map_put_text('m', 'k', 'idle')",
		"SELECT prev_value FROM atomix.map_put_text('m', 'k', 'next')", 'old'
	],
	[
		"a session's lease", "SELECT atomix.ack($id, 200)",
		"SELECT atomix.ack($id, 201)", ''
	],
	[
		'a session being used, by who ends it', "SELECT atomix.once($id, 102)",
		"SELECT atomix.end_session($id, 'test')", 't'
	]);

for my $case (@cases)
{
	my ($what, $hold, $wait, $answer) = @$case;
	my $offset = -s $node->logfile;
	my ($psql, $pid) = idle_after($hold);
	my $got = $node->safe_psql('postgres', $wait);

	is($got, $answer, "$what: the next one proceeds");
	is(is_alive($pid), '0', "$what: the idle one has been ended");
	ok(defined waited($pid, $offset), "$what: the log tells of it");
	dismiss($psql);
}

#
# Innocent waiters: in the queue behind another, and in a chain.
#

$id = open_session($node, '1 h');
{
	my ($idle, $idle_pid) = idle_after("SELECT atomix.counter_increment('c')");
	my @waiters = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 3;
	my @pids = map { $_->query_safe('SELECT pg_backend_pid()') } @waiters;

	start_query($_, "SELECT atomix.counter_increment('c')") for @waiters;
	is(scalar(grep { $_->query('') =~ /^\d+$/m } @waiters), 3, 'all in the queue proceed');
	is_deeply([ map { is_alive($_) } $idle_pid, @pids ], [ 0, 1, 1, 1 ],
		'and only who held the lock was ended');
	dismiss($_) for $idle, @waiters;
}
{
	my ($root, $root_pid) = idle_after("SELECT atomix.counter_increment('root')");
	my ($middle, $middle_pid) = idle_after("SELECT atomix.counter_increment('middle')");
	my $last = $node->background_psql('postgres', on_error_stop => 0);

	# The last one waits for the middle one, which itself only waits.
	start_query($middle, "SELECT atomix.counter_increment('root') + 100; COMMIT");
	start_query($last, "SELECT atomix.counter_increment('middle') + 200");
	like($middle->query(''), qr/^101$/m, 'one in the middle of a chain proceeds');
	like($last->query(''), qr/^202$/m, 'and so does the last one');
	is(is_alive($root_pid), '0', 'after the end of that at the root');
	is(is_alive($middle_pid), '1', 'which alone was ended');
	dismiss($_) for $root, $middle, $last;
}

# Nobody waits: anybody may idle.  A wait for others' locks is none of ours.
{
	$node->safe_psql('postgres', 'CREATE TABLE t (a int); INSERT INTO t VALUES (1)');

	my ($idle, $idle_pid) = idle_after("SELECT atomix.counter_increment('c'); UPDATE t SET a = 2");
	my $offset = -s $node->logfile;
	my $other = $node->background_psql('postgres', on_error_stop => 0);
	my $other_pid = $other->query_safe('SELECT pg_backend_pid()');

	start_query($other, 'UPDATE t SET a = 3');
	await_waiting($node, $other_pid, 'Lock %');
	# A case of our own is found later, so this one was looked at before.
	my ($judged, $judged_pid) = idle_after("SELECT atomix.counter_increment('judged')");
	$node->safe_psql('postgres', "SELECT atomix.counter_increment('judged')");
	is(is_alive($judged_pid), '0', 'another one is ended meanwhile');
	is(is_alive($idle_pid), '1', "a wait for the user's own row ends nobody");
	is(waited($idle_pid, $offset), undef, 'nor is it logged');
	$idle->query_safe('ROLLBACK');
	dismiss($_) for $idle, $other, $judged;
}

#
# A session past its deadline that an idle transaction keeps from ending
#

{
	$id = open_session($node, '2 s');
	my ($idle, $idle_pid) = idle_after("SELECT atomix.once($id, 1)");

	advance_clock($node, '1 min');
	ok(await_state($node, $id, 'expired'), 'a session that is held past its deadline expires');
	is(is_alive($idle_pid), '0', 'after the end of who held it');
	dismiss($idle);

	# Its deadline was long ago when it came: it may have come to renew it.
	$node->safe_psql('postgres', "ALTER SYSTEM SET atomix.max_hold = '1 h'; SELECT pg_reload_conf()");
	$id = open_session($node, '2 s');
	($idle, $idle_pid) = idle_after("SELECT atomix.once($id, 1)");
	advance_clock($node, '3 h');
	await_rest($node);
	is(is_alive($idle_pid), '1', 'a transaction is not older than it is');
	$idle->query_safe('ROLLBACK');
	dismiss($idle);
	$node->safe_psql('postgres', "ALTER SYSTEM RESET atomix.max_hold; SELECT pg_reload_conf()");
}

#
# Who deletes a service keeps the sessions that have it open, and no others.
#

{
	$node->safe_psql('postgres', "ALTER SYSTEM SET atomix.max_hold = '1 h'; SELECT pg_reload_conf()");
	my $offset = -s $node->logfile;
	my $attached = open_session($node, '2 s');
	my $other = open_session($node, '2 s');

	$node->safe_psql('postgres', "SELECT atomix.create_service($attached, 'counter', 'doomed')");
	await_rest($node);
	my ($idle, $idle_pid) = idle_after("SELECT atomix.delete_service('doomed')");

	advance_clock($node, '1 min');
	ok(await_state($node, $other, 'expired'), 'a session beside one whose service is being deleted expires');
	is(session_state($node, $attached), 'opened', 'that one does not');
	unlike(slurp_file($node->logfile, $offset), qr/could not end atomix session|lock timeout/,
		'and nobody waits for it');
	$node->safe_psql('postgres', "ALTER SYSTEM RESET atomix.max_hold; SELECT pg_reload_conf()");
	ok(await_state($node, $attached, 'expired'), 'until its time is over for atomix.max_hold');
	is(is_alive($idle_pid), '0', 'and who deletes is ended');
	dismiss($idle);
}

#
# A prepared transaction is told of, and stays.
#

{
	my $offset = -s $node->logfile;
	my $waiter = $node->background_psql('postgres', on_error_stop => 0);

	$node->safe_psql('postgres', "BEGIN; SELECT atomix.counter_set('p', 7); PREPARE TRANSACTION 'p'");
	start_query($waiter, "SELECT atomix.counter_increment('p')");
	ok($node->poll_query_until('postgres',
			"SELECT last_error LIKE '%prepared transaction%' FROM atomix.workers
			 WHERE database = current_database()"),
		'the view workers tells of a prepared transaction');
	like(slurp_file($node->logfile, $offset),
		qr/a prepared transaction has kept others waiting/, 'and so does the log');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), '1',
		'it stays prepared');
	$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
	like($waiter->query(''), qr/^8$/m, 'and once it is committed the next one proceeds');
	dismiss($waiter);
}

$node->stop;
done_testing();
