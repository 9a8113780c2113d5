# Where there is no room for a worker, the log says so once with the setting
# to raise, the server works, and tick() does the worker's job.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_no_worker
  open_session await_state session_state advance_clock psql_sqlstate);
use PostgreSQL::Test::Utils;
use Test::More;

# How often the log matches since the offset.
sub count_log
{
	my ($node, $regexp, $offset) = @_;
	my $count = () = slurp_file($node->logfile, $offset // 0) =~ /$regexp/g;

	return $count;
}

#
# max_worker_processes leaves room for the launcher only.
#

my $node = new_node('crowded', 'max_worker_processes = 1',
	'max_logical_replication_workers = 0', 'atomix.max_wait = 2s');
my $warning =
  qr/WARNING:  no background worker slot is free for the atomix worker/;
my $offset = $node->wait_for_log($warning);

$node->wait_for_log(qr/HINT:  Raise max_worker_processes/);
is( $node->safe_psql('postgres', q{
		SELECT state FROM atomix.workers WHERE database = current_database()}),
	'waiting', 'the view shows a worker that waits to be started');

my ($stdout, $stderr);
$node->psql('postgres', "\\set VERBOSITY verbose\nSELECT atomix.open_session()",
	stdout => \$stdout, stderr => \$stderr);
like($stderr, qr/ERROR:  57P03: atomix has not yet taken over/,
	'nobody can take over at first');
like($stderr, qr/HINT: .*max_worker_processes.*atomix\.tick\(\)/,
	'the hint names the setting and tick()');

is($node->safe_psql('postgres', 'SELECT atomix.tick()'), 0, 'tick() takes over');
my $id = open_session($node, '10 s');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"), '00000',
	'sessions can be opened and renewed');
advance_clock($node, '12 s');
is(session_state($node, $id), 'opened', 'nobody ends them');
is($node->safe_psql('postgres', 'SELECT atomix.tick()'), 1, 'tick() does');
is(session_state($node, $id), 'expired', 'for good');
is(count_log($node, $warning, 0), 1, 'the log has one warning');

# With a free slot it goes on by itself.
$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
$node->restart;
ok(await_worker($node, 'postgres'), 'a worker comes once there is room');
$node->stop;

#
# More databases than atomix.worker_limit.
#

$node = new_node('limited', 'atomix.worker_limit = 2');
await_worker($node, 'postgres');
foreach my $dbname (qw(one two three))
{
	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
}
$node->safe_psql('one', 'CREATE EXTENSION atomix');
await_worker($node, 'one');
ok(!$node->log_contains(qr/atomix serves no further databases/),
	'no warning before the limit is reached');
$node->safe_psql('two', 'CREATE EXTENSION atomix');
$node->wait_for_log(qr/WARNING:  atomix serves no further databases/);
$node->wait_for_log(qr/HINT:  Raise atomix\.worker_limit/);
pass('the log tells that the limit is reached');
is(worker_pid($node, 'two'), '', 'the database beyond has no worker');

$id = open_session($node, '10 s', 'two');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)", 'two'), '00000',
	'sessions can be opened and renewed there');
advance_clock($node, '12 s');
is($node->safe_psql('two', 'SELECT atomix.tick()'), 1, 'tick() ends them');
is(session_state($node, $id, 'two'), 'expired', 'for good');
$node->safe_psql('three', 'CREATE EXTENSION atomix');
is(psql_sqlstate($node, 'SELECT atomix.open_session()', 'three'), '00000',
	'a session can be opened before any tick()');
is(count_log($node, qr/atomix serves no further databases/), 1,
	'the log has one warning');

foreach my $dbname (qw(postgres one))
{
	$id = open_session($node, '10 s', $dbname);
	advance_clock($node, '12 s');
	ok(await_state($node, $id, 'expired', $dbname),
		"$dbname is served as before");
}

# A slot that becomes free is used.
$node->safe_psql('one', 'DROP EXTENSION atomix');
$node->safe_psql('three', 'DROP EXTENSION atomix');
ok(await_worker($node, 'two'), 'a slot given back serves the next database');

$node->stop;
done_testing();
