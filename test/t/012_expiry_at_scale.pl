# Many sessions end, are told of and are forgotten at a cost that grows with
# their number, also under plans that were made while the tables were small.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest await_state await_worker new_node
  open_session worker_pid);
use Test::More;

my $count = 50_000;
my $node = new_node('scale', "atomix.tombstone_retention = '100s'",
	'autovacuum = off', 'max_wal_size = 4GB', 'synchronous_commit = off');
my $pid = await_worker($node, 'postgres');

# Rows that statements have read from the tables since the latest reset.
sub rows_read
{
	return $node->safe_psql('postgres', q{
		SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint +
		  (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
		   WHERE schemaname = 'atomix')
		FROM pg_stat_user_tables WHERE schemaname = 'atomix'});
}

# What was read since the latest call is within a small number for each session.
sub cost_ok
{
	my ($name) = @_;

	await_rest($node);
	cmp_ok(rows_read(), '<', 40 * $count, $name);
	$node->safe_psql('postgres', 'SELECT pg_stat_reset()');
	return;
}

# Wait until a number of changes in all, from here on, were numbered.
my $before;

sub await_changes
{
	my ($changes) = @_;

	return $node->poll_query_until('postgres',
		"SELECT session_version >= $before + $changes FROM atomix.authority");
}

# Each of the worker's plans is made now: for ending, numbering, forgetting.
for my $round (1 .. 2)
{
	my $id = open_session($node, '1 s');
	advance_clock($node, '2 s');
	await_state($node, $id, 'expired');
	advance_clock($node, '200 s');
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM atomix.session')
	  or die 'the first sessions are not forgotten';
}
await_rest($node);
$before = $node->safe_psql('postgres', 'SELECT session_version FROM atomix.authority');
$node->safe_psql('postgres', 'SELECT pg_stat_reset()');

# One that lives on keeps the tables from being empty.
my $live = open_session($node, '1 h');
$node->safe_psql('postgres',
	"SELECT count(atomix.open_session('20 s')) FROM generate_series(1, $count)");
ok(await_changes($count + 1), "$count opened sessions are numbered");
is($node->safe_psql('postgres', 'SELECT count(DISTINCT version) FROM atomix.session'),
	$count + 1, 'no version is given twice');
cost_ok('at a few rows for each');

advance_clock($node, '30 s');
ok(await_changes(2 * $count + 1), 'they expire at once, and that is numbered');
is($node->safe_psql('postgres', 'SELECT count(*) FROM atomix.lease'),
	1, 'no lease is left but that of the living one');
is($node->safe_psql('postgres', "SELECT count(*) FROM atomix.session
		WHERE state = 'expired' AND version IS NOT NULL"), $count, 'all of them');
cost_ok('at a few rows for each');

advance_clock($node, '200 s');
ok( $node->poll_query_until(
		'postgres', 'SELECT count(*) FROM atomix.session', 1),
	'they are forgotten at once');
cost_ok('at a few rows for each');
is(worker_pid($node, 'postgres'), $pid, 'by the same worker');

$node->stop;
done_testing();
