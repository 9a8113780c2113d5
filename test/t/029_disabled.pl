# atomix.enabled = off makes the server inert: calls are refused, nothing
# expires, and the worker idles.  When it is on again, sessions have the
# chance to renew that they could not take meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_rest open_session
  await_state session_state advance_clock psql_sqlstate);
use Test::More;

my $node = new_node('disabled');
my $pid = await_worker($node, 'postgres');

sub set_enabled
{
	my ($value) = @_;

	$node->append_conf('postgresql.conf', "atomix.enabled = $value");
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('atomix.enabled') = '$value'");
	$node->poll_query_until('postgres', sprintf(q{
		SELECT state = '%s' FROM atomix.workers
		WHERE database = current_database()},
		$value eq 'on' ? 'running' : 'idle'))
	  or die "the worker did not notice that atomix.enabled is $value";
	return;
}

sub refused_ok
{
	my ($id) = @_;

	is(psql_sqlstate($node, "SELECT $_"), '57P03', "$_ is refused")
	  foreach ('atomix.open_session()', "atomix.keep_alive($id)",
		"atomix.close_session($id)", "atomix.end_session($id, '')",
		'atomix.tick()');
	return;
}

my $id = open_session($node, '10 s');
await_rest($node);

is(psql_sqlstate($node, 'SET atomix.enabled = off'),
	'55P02', 'it cannot be turned off for one connection');
set_enabled('off');
refused_ok($id);
advance_clock($node, '1 min', 1);
await_rest($node);
is(session_state($node, $id), 'opened', 'nothing expires');
is(worker_pid($node, 'postgres'), $pid, 'the worker is the same');
is( $node->safe_psql('postgres', q{
		SELECT sql = library FROM atomix.extension_version()}),
	't', 'views and extension_version() answer');

set_enabled('on');
await_rest($node);
is(session_state($node, $id), 'opened', 'a session is not ended at once');
is($node->safe_psql('postgres', "SELECT atomix.keep_alive($id)"),
	'00:00:10', 'it can be renewed');
advance_clock($node, '12 s');
ok(await_state($node, $id, 'expired'), 'and expires after its timeout');

# The same over the end of the worker.
$id = open_session($node, '10 s');
await_rest($node);
set_enabled('off');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$pid = await_worker($node, 'postgres', $pid);
advance_clock($node, '1 min', 1);
set_enabled('on');
await_rest($node);
is(session_state($node, $id), 'opened', 'a new worker gives the chance, too');
advance_clock($node, '12 s');
ok(await_state($node, $id, 'expired'), 'once');

# A server that starts disabled, as a staging copy does.
$id = open_session($node, '10 s');
my $term = $node->safe_psql('postgres', 'SELECT term FROM atomix.partitions');
my $before = $node->safe_psql('postgres',
	'SELECT a::text FROM atomix.authority AS a');
$node->append_conf('postgresql.conf', 'atomix.enabled = off');
$node->stop('immediate');
$node->start;
await_worker($node, 'postgres');
refused_ok($id);
is( $node->safe_psql('postgres',
		'SELECT start_id FROM atomix.authority'),
	($before =~ /^\([^,]*,([^,]*),/)[0],
	'a server that starts disabled does not take over');
set_enabled('on');
is($node->safe_psql('postgres', "SELECT atomix.keep_alive($id)"),
	'00:00:10', 'it does when it is enabled');

$node->stop;
done_testing();
