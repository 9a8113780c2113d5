# A renewal by the row that stays uncommitted keeps neither the worker busy
# nor what waits behind it from counting from when it went on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest await_state await_waiting await_worker
  new_node open_session session_state start_query worker_pid);
use Test::More;
use Time::HiRes qw(usleep);

# Beats come once a second; nothing else wakes the worker.
my $node = new_node('uncommitted', 'atomix.shared_sessions = 0',
	'atomix.min_session_timeout = 16s', 'autovacuum = off');
my $pid = await_worker($node, 'postgres');
my $holder = $node->background_psql('postgres');
my $waiter = $node->background_psql('postgres');
my $observer = $node->background_psql('template1');

$_->query_safe('SET atomix._coalesce_renewals = off') for $holder, $waiter;

# The transactions that the database has seen.
sub transactions
{
	return $observer->query_safe(
		"SELECT xact_commit + xact_rollback FROM pg_stat_database
		 WHERE datname = 'postgres'");
}

# How many transactions the worker makes during a number of its beats.
sub worker_transactions
{
	my ($beats) = @_;
	my $sql = 'SELECT last_beat FROM atomix.authority';
	my $before = transactions();
	my $last = $waiter->query_safe($sql);
	my $queries = 1;

	while ($beats > 0)
	{
		my $now = $waiter->query_safe($sql);

		$queries++;
		$beats-- if $now != $last;
		$last = $now;
		usleep(100_000);
	}
	return transactions() - $before - $queries;
}

#
# The lease has come to its check, is not past its deadline, and is locked.
#

my $id = open_session($node, '800 s');
advance_clock($node, '700 s');
$node->safe_psql('postgres',
	"SET atomix._coalesce_renewals = off; SELECT atomix.keep_alive($id)");
$holder->query_safe("BEGIN; SELECT atomix.keep_alive($id)");
advance_clock($node, '300 s');
cmp_ok(worker_transactions(5), '<', 250,
	'the worker does not try a locked lease again and again');
is( $node->safe_psql('postgres', "SELECT check_at < renewed_at + timeout
		FROM atomix.lease WHERE session_id = $id"),
	't', 'its check could not be raised');
$holder->query_safe('COMMIT');
ok( $node->poll_query_until('postgres', "SELECT check_at >= renewed_at + timeout
		FROM atomix.lease WHERE session_id = $id"),
	'it is raised after the commit');
is(session_state($node, $id), 'opened', 'the session lives');

#
# A renewal that waited for another one of the session.
#

for my $end ('COMMIT', 'ROLLBACK')
{
	my $waited = open_session($node, '800 s');

	await_rest($node);
	my $waiter_pid = $waiter->query_safe('SELECT pg_backend_pid()');
	$holder->query_safe("BEGIN; SELECT atomix.keep_alive($waited)");
	start_query($waiter, "SELECT atomix.keep_alive($waited)");
	ok(await_waiting($node, $waiter_pid, 'Lock %'), 'a renewal waits for another');
	advance_clock($node, '400 s');
	my $marker = open_session($node, '800 s');
	$holder->query_safe($end);
	$waiter->query_safe('SELECT 1');
	is( $node->safe_psql('postgres', "
			SELECT a.renewed_at >= b.renewed_at FROM atomix.lease a, atomix.lease b
			WHERE a.session_id = $waited AND b.session_id = $marker"),
		't', "it counts from when it went on after the other's $end");
}

$_->quit for $holder, $waiter, $observer;
$node->stop;
done_testing();
