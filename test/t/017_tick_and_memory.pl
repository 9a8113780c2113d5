# tick() ends what is due, 512 at once, and is not stopped by more sessions
# than a transaction may lock that are due by their rows but not by memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_worker keep_alive_place new_node open_session
  worker_pid);
use Test::More;

# The only worker is that of another database, so tick() has all the work.
my $node = new_node('tick', 'atomix.worker_limit = 1', 'autovacuum = off');
await_worker($node, 'postgres');
$node->safe_psql('postgres', 'CREATE DATABASE ticked');
$node->safe_psql('ticked', 'CREATE EXTENSION atomix; SELECT atomix.tick()');

my $states = "SELECT state, count(*) FROM atomix.sessions GROUP BY state ORDER BY state";
my $count = 700;

# Renew all of them, by batches below the limit of a transaction.
sub renew_all
{
	my $ids = $node->safe_psql('ticked', 'SELECT session_id FROM atomix.lease');
	my @ids = split(/\n/, $ids);

	while (my @batch = splice(@ids, 0, 350))
	{
		my $list = join(',', @batch);

		is( $node->safe_psql('ticked', "SELECT DISTINCT state FROM
				atomix.keep_alive_many('{$list}')"),
			'opened', 'a batch is renewed');
	}
	return;
}

$node->safe_psql('ticked',
	"SELECT count(atomix.open_session('800 s')) FROM generate_series(1, $count)");
renew_all();
advance_clock($node, '200 s');
is(keep_alive_place($node,
		$node->safe_psql('ticked', 'SELECT min(session_id) FROM atomix.lease'), 'ticked'),
	'memory', 'sessions are renewed in memory');
renew_all();
advance_clock($node, '750 s');
is(worker_pid($node, 'ticked'), '', 'no worker serves the database');
is( $node->safe_psql('ticked', q{
		SELECT count(*) FROM atomix.lease
		WHERE renewed_at + timeout * 9 / 8 < (SELECT max(renewed_at) + 950000000
			FROM atomix.lease)}),
	$count, 'all are past the deadline that their rows tell');

is($node->safe_psql('ticked', 'SELECT atomix.tick()'), 0,
	'tick() ends none of those that memory knows to live');
is($node->safe_psql('ticked', $states), "opened|$count", 'all are open');
is($node->safe_psql('ticked', 'SELECT atomix.tick()'), 0, 'it can be repeated');

advance_clock($node, '200 s');
is($node->safe_psql('ticked', 'SELECT atomix.tick()'), 512,
	'then it ends as many as it may lock');
is($node->safe_psql('ticked', 'SELECT atomix.tick()'), $count - 512,
	'and the others with the next call');
is($node->safe_psql('ticked', $states), "expired|$count", 'none is left');

$node->stop;
done_testing();
