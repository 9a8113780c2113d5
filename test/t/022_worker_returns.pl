# A worker or launcher that was ended comes back by itself, after an orderly
# end, a crash and a restart, and sessions go on expiring.  It does not delay
# the server's stop, and it takes up changed settings.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker open_session await_state
  session_state advance_clock psql_sqlstate);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('returns', 'log_min_messages = debug1');
my $pid = await_worker($node, 'postgres');

sub launcher_pid
{
	return $node->safe_psql('postgres', q{
		SELECT pid FROM pg_stat_activity WHERE backend_type = 'atomix launcher'});
}

# A session ends by itself.
sub expires_ok
{
	my ($name) = @_;
	my $id = open_session($node, '10 s');

	advance_clock($node, '12 s');
	ok(await_state($node, $id, 'expired'), $name);
	return;
}

#
# Orderly ends.
#

my $id = open_session($node, '10 s');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
my $returned = await_worker($node, 'postgres', $pid);
ok($returned, 'a terminated worker returns');
advance_clock($node, '12 s');
ok(await_state($node, $id, 'expired'),
	'a session from before expires after its return');

# Without a worker a session stays, past its deadline, until one comes.
$id = open_session($node, '10 s');
$node->safe_psql('postgres', qq{
	SELECT pg_terminate_backend($returned);
	SELECT atomix._advance_clock('12 s')});
ok(await_state($node, $id, 'expired'), 'so does one that came due meanwhile');
$pid = await_worker($node, 'postgres', $returned);

# The back-off: a worker that cannot even connect is not tried again and again.
$node->safe_psql('postgres', 'CREATE DATABASE flaky');
$node->safe_psql('flaky', 'CREATE EXTENSION atomix');
my $flaky = await_worker($node, 'flaky');
my $file = $node->data_dir . '/base/' . $node->safe_psql('postgres',
	"SELECT oid FROM pg_database WHERE datname = 'flaky'") . '/PG_VERSION';
my $offset = -s $node->logfile;
rename($file, "$file.away") or die "could not rename $file: $!";
$node->safe_psql('postgres', "SELECT pg_terminate_backend($flaky)");
my $tried = $node->wait_for_log(qr/FATAL: .*is not a valid data directory/, $offset);
$tried = $node->wait_for_log(qr/FATAL: .*is not a valid data directory/, $tried);
my @starts = slurp_file($node->logfile, $offset) =~
  /^(\S+ \S+) .*starting background worker process "atomix worker/mg;
cmp_ok(scalar(@starts), '<=', 3, 'a worker that fails at once is not started in a loop');
is( $node->safe_psql('postgres',
		"SELECT state FROM atomix.workers WHERE database = 'flaky'"),
	'waiting', 'the view shows that it waits to be started');
expires_ok('the other database does not suffer');
rename("$file.away", $file) or die "could not rename $file: $!";
ok(await_worker($node, 'flaky', $flaky), 'it returns when it can');
$node->safe_psql('postgres', 'DROP DATABASE flaky');

my $launcher = launcher_pid();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
$node->poll_query_until('postgres', qq{
	SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'atomix launcher' AND pid <> $launcher});
pass('a terminated launcher returns');
is(worker_pid($node, 'postgres'), $pid, 'the worker went on meanwhile');
expires_ok('and works');
$node->safe_psql('postgres', 'CREATE DATABASE more');
$node->safe_psql('more', 'CREATE EXTENSION atomix');
ok(await_worker($node, 'more'), 'the new launcher starts workers');

# Both at once: nobody is left who knows of the worker.
$launcher = launcher_pid();
$node->safe_psql('postgres', qq{
	SELECT pg_terminate_backend(p) FROM unnest(ARRAY[$launcher, $pid]) AS p});
$returned = await_worker($node, 'postgres', $pid);
ok($returned, 'the worker returns when both were terminated');
expires_ok('and works');

#
# A crash.
#

$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
$id = open_session($node, '10 s');
kill 'KILL', $returned;
$node->poll_query_until('postgres',
	'SELECT pg_postmaster_start_time() IS NOT NULL');
$pid = await_worker($node, 'postgres', $returned);
ok($pid, 'the worker returns after the crash of the server');
ok(await_worker($node, 'more'), 'that of the other database, too');
is(session_state($node, $id), 'opened', 'a live session survived the crash');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"),
	'00000', 'and can be renewed');
ok(open_session($node, '1 h') > $id + 2**31, 'the index has jumped');
advance_clock($node, '12 s');
ok(await_state($node, $id, 'expired'), 'it expires');

# The launcher's crash.
kill 'KILL', launcher_pid();
ok(await_worker($node, 'postgres', $pid), 'the same if the launcher is killed');
expires_ok('sessions expire after it');

#
# Stop.
#

$node->safe_psql('postgres', q{
	SELECT count(atomix.open_session('1 h')) FROM generate_series(1, 100)});
$offset = -s $node->logfile;
my $stopped = $node->stop('fast', fail_ok => 1);
ok($stopped, 'a fast stop is not held up');
unlike(slurp_file($node->logfile, $offset),
	qr/(WARNING|ERROR|PANIC):/, 'it is without complaints');
$offset = -s $node->logfile;
$node->start;
ok(await_worker($node, 'postgres'), 'the worker is there after a restart');
expires_ok('and works');

#
# Changed settings.
#

$id = open_session($node, '10 s');
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");
$node->append_conf('postgresql.conf', 'atomix.tombstone_retention = 1min');
$node->reload;
$node->poll_query_until('postgres',
	q{SELECT current_setting('atomix.tombstone_retention') = '1min'});
advance_clock($node, '59 s');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"),
	'MX003', 'an ended session is remembered for a while');
advance_clock($node, '30 s');
ok( $node->poll_query_until(
		'postgres',
		"SELECT count(*) = 0 FROM atomix.sessions WHERE session_id = $id"),
	'the worker forgets it by the new tombstone_retention');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"),
	'MX001', 'then it is unknown');

$offset = -s $node->logfile;
$node->append_conf('postgresql.conf', 'atomix.log_sessions = on');
$node->reload;
$node->poll_query_until('postgres',
	q{SELECT current_setting('atomix.log_sessions') = 'on'});
$id = open_session($node, '10 s');
$node->wait_for_log(qr/atomix session $id is opened/, $offset);
advance_clock($node, '12 s');
$node->wait_for_log(qr/atomix session $id is expired/, $offset);
pass('the worker logs sessions once it is told to');

$node->stop;
done_testing();
