# Counters and maps without a session may be part of a prepared transaction,
# which survives a crash; whatever a session does may not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_rest await_waiting new_node open_session psql_sqlstate start_query);
use Test::More;

my $node = new_node('two_phase_services', 'max_prepared_transactions = 4');
my $id = open_session($node, '800 s');
my $counter =
  $node->safe_psql('postgres', "SELECT atomix.create_service($id, 'counter', 'c')");
my $map =
  $node->safe_psql('postgres', "SELECT atomix.create_service($id, 'map', 'm')");

$node->safe_psql('postgres', "SELECT atomix.counter_set('c', 1), atomix.map_put_text('m', 'old', 'x')");

#
# Anything of a session is refused, and leaves nothing.
#

my %refused = (
	'create_service' => "SELECT atomix.create_service($id, 'counter', 'd')",
	'close_service' => "SELECT atomix.close_service($id, $counter)",
	'command' => "SELECT atomix.command($id, $counter, '\\x22020801', 1)",
	'command without a number' => "SELECT atomix.command($id, $counter, '\\x22020801')",
	'commands' => "SELECT atomix.commands($id, $counter, '{\"\\\\x22020801\"}', 1)",
	'once' => "SELECT atomix.once($id, 1)",
	'ack' => "SELECT atomix.ack($id, 1)",
	'a counter with a number' => "SELECT atomix.counter_increment('c', 1, '', $id, 1)",
	'a counter with a session' => "SELECT atomix.counter_increment('c', 1, '', $id)",
	'a map with a number' =>
	  "SELECT atomix.map_put_text('m', 'k', 'v', session_id => $id, sequence_num => 1)",
	'a command in a released savepoint' =>
	  "SAVEPOINT s; SELECT atomix.once($id, 1); RELEASE s");

for my $what (sort keys %refused)
{
	is(psql_sqlstate($node, "BEGIN; $refused{$what}; PREPARE TRANSACTION 'p'"),
		'0A000', "refused after $what");
}
is($node->safe_psql('postgres', "
	SELECT (SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM atomix.command),
		atomix.counter_get('c'), atomix.map_size('m')"),
	'0|0|1|1', 'nothing of it happened');

#
# Without a session it is allowed, and nothing is seen of it before its commit.
#

# All that can be done, to services that were there and to new ones.
$node->safe_psql('postgres', "
	BEGIN;
	SELECT atomix.counter_increment('c', 4), atomix.counter_set('new', 7);
	SELECT atomix.map_put_text('m', 'k', 'v'), atomix.map_remove('m', 'old'),
		atomix.map_put_text('new map', 'k', 'v', ttl => '1 h');
	SAVEPOINT s; SELECT atomix.once($id, 1); ROLLBACK TO s;
	PREPARE TRANSACTION 'kept';
	BEGIN;
	SELECT atomix.counter_set('undone', 1);
	PREPARE TRANSACTION 'undone'");

my $state = "SELECT atomix.counter_get('c'), atomix.counter_get('new'), atomix.counter_get('undone'),
	(SELECT string_agg(key || '=' || value, ' ') FROM atomix.map_entries_text('m')),
	atomix.map_get_text('new map', 'k')";

is($node->safe_psql('postgres', $state), '1|0|0|old=x|', 'nothing is seen yet');

# It keeps its locks, also over a crash.
for my $when ('before', 'after')
{
	if ($when eq 'after')
	{
		$node->stop('immediate');
		$node->start;
		is($node->safe_psql('postgres', $state), '1|0|0|old=x|',
			'nothing is seen after a crash');
	}
	for my $call ("counter_increment('c')", "counter_increment('new')",
		"map_clear('m')", "map_remove('m', 'old')", "delete_service('c')")
	{
		is(psql_sqlstate($node, "SET lock_timeout = '50ms'; SELECT atomix.$call"),
			'55P03', "$call waits $when a crash");
	}
}
is($node->safe_psql('postgres', "SELECT atomix.counter_increment('free'),
		index > 0 FROM atomix.map_put_text('m', 'other', 'y')"),
	'1|t', 'others need not wait');

# Who waits goes on from what was prepared.
my $waiter = $node->background_psql('postgres');
my $pid = $waiter->query_safe('SELECT pg_backend_pid()');

start_query($waiter, "SELECT atomix.counter_increment('c') + 100");
await_waiting($node, $pid, 'Lock %') or die 'nobody waits';
$node->safe_psql('postgres', "COMMIT PREPARED 'kept'; ROLLBACK PREPARED 'undone'");
like($waiter->query(''), qr/^106$/m, 'who waited sees what was prepared');
$waiter->quit;
is($node->safe_psql('postgres', $state), '6|7|0|k=v other=y|v', 'so does everybody');
is($node->safe_psql('postgres', "SELECT atomix.once($id, 1)"), 't',
	'a number rolled back to a savepoint is free');

# The session hears of a service that was deleted so, though no worker is woken.
$node->safe_psql('postgres', "SELECT atomix.create_service($id, 'counter', 'doomed')");
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM atomix.session_change')
  or die 'the change is not taken';
await_rest($node);
my $version = $node->safe_psql('postgres', "SELECT version FROM atomix.session WHERE session_id = $id");
$node->safe_psql('postgres', "BEGIN; SELECT atomix.delete_service('doomed'); PREPARE TRANSACTION 'doomed'");
await_rest($node);
$node->safe_psql('postgres', "COMMIT PREPARED 'doomed'");
ok($node->poll_query_until('postgres',
		"SELECT version > $version FROM atomix.session WHERE session_id = $id"),
	'a deletion that was prepared is a change of the session, too');

$node->stop;
done_testing();
