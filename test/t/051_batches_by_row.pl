# A batch renews any number of sessions by their rows, as after a restart, at
# once and without waiting: it holds the rows it has written and no locks of
# the sessions, so the worker passes these rows over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state await_waiting
  keep_alive_place new_node open_session psql_sqlstate query_error
  session_state start_query);
use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

my $count = 10_000;
my $node = new_node('batches', 'autovacuum = off', 'fsync = off',
	'max_prepared_transactions = 2', 'deadlock_timeout = 10min',
	'shared_buffers = 16MB');
my $a = $node->background_psql('postgres', on_error_stop => 0);
my $b = $node->background_psql('postgres', on_error_stop => 0);

# Connect anew: a restart ends connections.
sub connect_both
{
	$_->quit for $a, $b;
	$_ = $node->background_psql('postgres', on_error_stop => 0) for $a, $b;
	$_->query_safe('\set VERBOSITY verbose') for $a, $b;
	return;
}

sub restart
{
	$node->restart;
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM atomix.workers
		WHERE state = 'running' AND last_cycle IS NOT NULL") or die 'no worker';
	await_beat($node);
	connect_both();
	return;
}

# The states of a batch in its order, as a psql sees them.
sub states_by
{
	my ($psql, @ids) = @_;

	return $psql->query("SELECT string_agg(state, ' ' ORDER BY n)
		FROM atomix.keep_alive_many('{" . join(',', @ids) . "}')
		WITH ORDINALITY AS k (session_id, state, time_left, n)");
}

sub states
{
	return states_by($b, @_);
}

sub written_at
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT renewed_at FROM atomix.lease WHERE session_id = $id");
}

#
# Many, right after a restart.
#

$node->safe_psql('postgres', "SELECT count(atomix.open_session('800 s'))
	FROM generate_series(1, $count)");
restart();
my $summary = 'SELECT state, count(*), min(time_left), max(time_left)
	FROM atomix.keep_alive_many((SELECT array_agg(session_id) FROM atomix.lease)) GROUP BY 1';
$a->query_safe('BEGIN');
my $began = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
is($a->query($summary), "opened|$count|00:13:20|00:13:20",
	"$count sessions are renewed by one call after a restart");
my $took = $a->query("SELECT round(extract(epoch FROM clock_timestamp() - '$began') * 1000)");
note "it took $took ms";
cmp_ok($took, '<', 5000, 'which does not take long');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks
	JOIN pg_stat_activity USING (pid)
	WHERE locktype = 'userlock' AND backend_type = 'client backend'"), 0,
	'and keeps no locks of sessions');
is(query_error($a, 'COMMIT'), '', 'and commits');
is($node->safe_psql('postgres', 'SELECT count(*) FROM atomix.lease l, atomix.authority a
	WHERE l.renewed_at < a.grace_from'), 0, 'all rows are written');
$a->query_safe('BEGIN');
is($a->query($summary), "opened|$count|00:13:20|00:13:20", 'they are renewed again');
is($a->query('SELECT pg_current_xact_id_if_assigned() IS NULL'), 't', 'in memory');
$a->query_safe('COMMIT');
advance_clock($node, '1000 s');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM atomix.lease')
  or die 'they do not expire';

#
# What is answered, in the order of the batch, repeated ones too.
#

$node->safe_psql('postgres', 'CREATE ROLE app; CREATE ROLE stranger;
	GRANT USAGE ON SCHEMA atomix TO PUBLIC');
my @ids = map { open_session($node, '800 s') } 1 .. 6;
my $foreign = $node->safe_psql('postgres', "SET ROLE app; SELECT atomix.open_session('800 s')");
my $expired = open_session($node, '10 s');
$node->safe_psql('postgres', "SELECT atomix.close_session($ids[5])");
advance_clock($node, '13 s');
ok(await_state($node, $expired, 'expired'), 'one expires');
restart();
$a->query_safe("BEGIN; SELECT atomix.close_session($ids[4])");
is(states($ids[3], 4711, $ids[5], $ids[3], $expired, $foreign, $ids[4], $ids[3]),
	'opened unknown closed opened expired opened ending opened',
	'each member is answered, in order, after a restart');
is($node->safe_psql('postgres', "SET ROLE stranger; SELECT string_agg(DISTINCT state, ' ')
	FROM atomix.keep_alive_many('{$foreign,$ids[0],$ids[4],$ids[5]}')"),
	'unknown', 'to a stranger all are unknown');
is($node->safe_psql('postgres', "SET ROLE app; SELECT string_agg(state, ' ')
	FROM atomix.keep_alive_many('{$foreign,$ids[0]}')"), 'opened unknown',
	'a role has its own renewed only');
$a->query_safe('ROLLBACK');

# One that another transaction is renewing: no wait, and what it has anyway.
restart();
advance_clock($node, '300 s');
$a->query_safe("BEGIN; SELECT count(*) FROM atomix.keep_alive_many('{$ids[0],$ids[1]}')");
my ($state, $left) = split /\|/, $b->query("SET statement_timeout = '60 s';
	SELECT state, extract(epoch FROM time_left)::int FROM atomix.keep_alive_many('{$ids[0]}')");
is($state, 'opened', 'a session whose row another renewal has locked is not ending');
cmp_ok($left, '>', 400, 'it has time left');
cmp_ok($left, '<=', 650, 'but is not promised what the other may not commit');
is(states($ids[2], $ids[0], $ids[1]), 'opened opened opened', 'nor is any other');
$a->query_safe('ROLLBACK');
is($node->safe_psql('postgres', "SELECT time_left FROM atomix.keep_alive_many('{$ids[0]}')"),
	'00:13:20', 'afterwards it is renewed');

#
# A batch that is not committed, and the end of its sessions.
#

# The worker does not wait, ends others meanwhile and goes by the outcome.
my $renewed = open_session($node, '100 s');
my $dead = open_session($node, '100 s');
my $log = -s $node->logfile;
for my $end ('ROLLBACK', 'COMMIT')
{
	my $other = open_session($node, '50 s');

	restart();
	$log = -s $node->logfile;
	advance_clock($node, '80 s');
	$a->query_safe("BEGIN; SELECT count(*) FROM atomix.keep_alive_many('{$renewed}')");
	ok(await_state($node, $other, 'expired'), "$end: the worker ends another session");
	advance_clock($node, $end eq 'COMMIT' ? '90 s' : '10 s');
	await_rest($node);
	is(session_state($node, $renewed), 'opened', "$end: not one that a batch renews");
	is(session_state($node, $dead), $end eq 'COMMIT' ? 'expired' : 'opened',
		"$end: but one that it does not");
	is(query_error($a, $end), '', "$end: the batch ends");
	is(states($renewed), 'opened', "$end: the session lives") if $end eq 'ROLLBACK';
	unlike(slurp_file($node->logfile, $log), qr/lock timeout|could not end/,
		"$end: the worker has not waited");
}
# It was renewed 90 s ago.
await_rest($node);
is(session_state($node, $renewed), 'opened', 'a renewal that was committed late counts');
advance_clock($node, '30 s');
ok(await_state($node, $renewed, 'expired'), 'until its deadline');

# Beyond its deadline, the worker leaves it alone in memory, too.
my $id = open_session($node, '100 s');
restart();
is(states($id), 'opened', 'a session is in memory');
is(keep_alive_place($node, $id), 'memory', 'indeed');
$a->query_safe("SET atomix._renew_in_rows = on; SET atomix._coalesce_renewals = off;
	BEGIN; SELECT count(*) FROM atomix.keep_alive_many('{$id}')");
advance_clock($node, '200 s');
await_rest($node);
is(session_state($node, $id), 'opened', 'its row is locked beyond its deadline');
is(query_error($a, 'COMMIT'), '', 'its renewal is committed');
ok(await_state($node, $id, 'expired'), 'which came too late to help');

# A close waits for the row, and wins.
$id = $ids[0];
restart();
$a->query_safe("BEGIN; SELECT count(*) FROM atomix.keep_alive_many('{$id}')");
my $b_pid = $b->query_safe('SELECT pg_backend_pid()');
start_query($b, "SELECT atomix.close_session($id)");
ok(await_waiting($node, $b_pid, 'Lock %'), 'a close waits for a batch');
is(states_by($a, $id), 'ending', 'for which the session is ending now');
is(query_error($a, 'COMMIT'), '', 'and which commits');
like($b->query('SELECT 1'), qr/^t$/m, 'then the session is closed');
is(session_state($node, $id), 'closed', 'for good');
is(states($id), 'closed', 'and not resurrected');

# Renewed by a batch and then closed by the same transaction.
$id = $ids[1];
restart();
$a->query_safe("BEGIN; SELECT count(*) FROM atomix.keep_alive_many('{$id}');
	SELECT atomix.close_session($id)");
is(query_error($a, 'COMMIT'), '', 'a batch may renew what the transaction then closes');
is(session_state($node, $id), 'closed', 'it is closed');

#
# Savepoints and two-phase commit.
#

restart();
my $before = written_at($ids[2]);
$a->query_safe("BEGIN; SAVEPOINT s; SELECT count(*) FROM atomix.keep_alive_many('{$ids[2]}');
	ROLLBACK TO s; COMMIT");
is(written_at($ids[2]), $before, 'a batch that is rolled back to a savepoint writes nothing');
is(psql_sqlstate($node, "BEGIN; SELECT count(*) FROM atomix.keep_alive_many('{$ids[2]}');
	PREPARE TRANSACTION 'batch'"), '0A000', 'a transaction with a batch cannot be prepared');

# As a part of a transaction that has its 512 sessions already.
is(psql_sqlstate($node, "BEGIN; CREATE TEMP TABLE many AS SELECT atomix.open_session('1 h') AS id
		FROM generate_series(1, 512);
	SET LOCAL atomix._renew_in_rows = on;
	SELECT count(atomix.keep_alive(id)) FROM many;
	SELECT count(*) FROM atomix.keep_alive_many('{$ids[2],$ids[3]}'); COMMIT"), '00000',
	'a batch needs none of the locks that a transaction may hold');

$_->quit for $a, $b;
$node->stop;
done_testing();
