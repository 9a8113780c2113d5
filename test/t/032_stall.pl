# A stall of the machine or of the worker ends nobody: clients get a full
# timeout afterwards.  It is not mistaken for a time without a worker, and not
# counted as served.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state new_node
  open_session served session_state);
use Test::More;

my $node = new_node('stall');
my %stopped;

# Processes we stopped must go on, or the server cannot be shut down.
END { kill('CONT', keys %stopped) if %stopped; }

sub stop_process
{
	my ($pid) = @_;

	kill('STOP', $pid) == 1 or die "could not stop process $pid";
	$stopped{$pid} = 1;
	return;
}

sub continue_process
{
	my ($pid) = @_;

	kill('CONT', $pid);
	delete $stopped{$pid};
	return;
}

sub pid_of
{
	my ($type) = @_;

	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'
		 AND datname IS NOT DISTINCT FROM
			 CASE WHEN '$type' = 'atomix worker' THEN 'postgres' END");
}

#
# The machine was suspended.
#

my $id = open_session($node, '800 s');
await_beat($node);
advance_clock($node, '100 s');
await_rest($node);
my $before = served($node);
advance_clock($node, '1 h', 1);
await_rest($node);
is(session_state($node, $id), 'opened', 'a session survives a stall');
cmp_ok(served($node) - $before, '<', 60e6, 'which is not counted as served');

advance_clock($node, '850 s');
await_rest($node);
is(session_state($node, $id), 'opened', 'and lives for its timeout after it');
advance_clock($node, '60 s');
ok(await_state($node, $id, 'expired'), 'but not longer');

#
# Stall after stall: what is served in between adds up.
#

$id = open_session($node, '800 s');
await_beat($node);
for my $i (1 .. 8)
{
	advance_clock($node, '180 s');
	await_rest($node);
	last if session_state($node, $id) ne 'opened';
	advance_clock($node, '1 h', 1);
	await_rest($node);
	is(session_state($node, $id), 'opened', "alive after stall $i") if $i <= 5;
}
is(session_state($node, $id), 'expired', 'stalls do not keep a session alive for ever');

#
# Only the worker stalls, or so slow is it.  Whoever looks first notices.
#

$id = open_session($node, '800 s');
await_rest($node);
my $worker = pid_of('atomix worker');
stop_process($worker);
advance_clock($node, '1 h', 1);
is($node->safe_psql('postgres', 'SELECT atomix.tick()'), '0',
	'a tick ends nobody after a stall of the worker');
is($node->safe_psql('postgres',
		"SELECT deadline > clock_timestamp() + interval '700 s'
		 FROM atomix.sessions WHERE session_id = $id"),
	't', 'and the view knows');
continue_process($worker);
await_rest($node);
is(session_state($node, $id), 'opened', 'nor does the worker when it goes on');
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");

#
# No session lives, so no beat comes: that is no stall.
#

await_rest($node);
$before = served($node);
advance_clock($node, '1 h', 1);
$id = open_session($node, '800 s');
$node->poll_query_until('postgres',
	"SELECT served > $before FROM atomix.authority");
cmp_ok(served($node) - $before, '>=', 3600e6,
	'without sessions no beat is expected');

#
# The worker was terminated, and none follows: sessions end as by their
# deadline.  A stopped launcher starts none.
#

my $launcher = pid_of('atomix launcher');
await_rest($node);
$worker = pid_of('atomix worker');
stop_process($launcher);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
$node->poll_query_until('postgres',
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $worker");
advance_clock($node, '850 s', 1);
is($node->safe_psql('postgres', 'SELECT atomix.tick()'), '0',
	'without a worker a session lives for its timeout');
advance_clock($node, '100 s', 1);
is($node->safe_psql('postgres', 'SELECT atomix.tick()'), '1',
	'and no beat is expected');
is(session_state($node, $id), 'expired', 'it has ended');
continue_process($launcher);
$node->poll_query_until('postgres',
	"SELECT pid IS NOT NULL FROM atomix.workers WHERE database = 'postgres'");
ok(pid_of('atomix worker'), 'another worker follows when the launcher goes on');

$node->stop;
done_testing();
