# The worker follows the extension: it comes when CREATE EXTENSION commits and
# goes when DROP EXTENSION does, in every database by itself, and a rollback
# changes nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_no_worker
  open_session await_state advance_clock psql_sqlstate);
use Test::More;

my $node = new_node('follows', 'log_min_messages = debug1');
my $pid = await_worker($node, 'postgres');

ok($pid, 'a worker comes when CREATE EXTENSION commits');

# Has a worker been started in the database since the offset of the log?
sub worker_started
{
	my ($dbname, $offset) = @_;
	my $oid = $node->safe_psql('postgres',
		"SELECT oid FROM pg_database WHERE datname = '$dbname'");

	return $node->log_contains(
		qr/starting background worker process "atomix worker for database $oid"/,
		$offset);
}

#
# CREATE EXTENSION rolled back.  The worker of another database, asked for
# afterwards, proves that the launcher has dealt with it.
#

$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(one two);

# A new database is visited once.
$node->poll_query_until('postgres', q{
	SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type LIKE 'atomix%' AND datname IN ('one', 'two')});
$node->wait_for_log(
	qr/starting background worker process "atomix worker for database $_"/)
  for split /\n/, $node->safe_psql('postgres',
	"SELECT oid FROM pg_database WHERE datname IN ('one', 'two')");
await_no_worker($node, $_) for qw(one two);

my $offset = -s $node->logfile;
$node->safe_psql('one', 'BEGIN; CREATE EXTENSION atomix; ROLLBACK');
$node->safe_psql('two', 'CREATE EXTENSION atomix');
await_worker($node, 'two');
ok(!worker_started('one', $offset),
	'no worker is started when CREATE EXTENSION is rolled back');
ok(worker_started('two', $offset), 'while another database gets its own');

$node->safe_psql('one', 'CREATE EXTENSION atomix');
ok(await_worker($node, 'one'), 'the next attempt gets a worker');

is($node->safe_psql('postgres', q{
	SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity
	WHERE backend_type = 'atomix worker'}),
	'one postgres two', 'each database has one worker');

# Each ends the sessions of its own database.
my %id = map { $_ => open_session($node, '10 s', $_) } qw(one two);
advance_clock($node, '12 s');
ok(await_state($node, $id{$_}, 'expired', $_), "session in $_ expires")
  for qw(one two);

#
# DROP EXTENSION.
#

$pid = worker_pid($node, 'one');
$node->safe_psql('one', 'BEGIN; DROP EXTENSION atomix; ROLLBACK');
$id{one} = open_session($node, '10 s', 'one');
advance_clock($node, '12 s');
ok(await_state($node, $id{one}, 'expired', 'one'),
	'sessions expire after DROP EXTENSION was rolled back');
is(worker_pid($node, 'one'), $pid, 'the worker is still the same');

$node->safe_psql('one', 'DROP EXTENSION atomix');
ok(await_no_worker($node, 'one'), 'the worker goes when DROP EXTENSION commits');
is($node->safe_psql('two',
	"SELECT count(*) FROM atomix.workers WHERE database = 'one'"),
	0, 'its slot is free');
$node->safe_psql('one', 'CREATE EXTENSION atomix');
ok(await_worker($node, 'one'), 'it returns with the extension');

# In one transaction: the new extension knows nothing of the old sessions.
$id{one} = open_session($node, '10 s', 'one');
$node->safe_psql('one', q{
	BEGIN;
	DROP EXTENSION atomix;
	CREATE EXTENSION atomix;
	COMMIT});
my $again = open_session($node, '10 s', 'one');
is($node->safe_psql('one', 'SELECT count(*) FROM atomix.sessions'),
	1, 'old sessions are gone');
advance_clock($node, '12 s');
ok(await_state($node, $again, 'expired', 'one'),
	'the worker serves what DROP and CREATE in one transaction left');

# Rapidly one after the other: a worker that is just leaving must not be
# taken for one that stays.
for my $round (1 .. 15)
{
	$node->safe_psql('one', 'DROP EXTENSION atomix');
	$node->safe_psql('one', 'CREATE EXTENSION atomix');
}
ok(await_worker($node, 'one'), 'a worker serves after rapid DROP and CREATE');

$node->safe_psql('one', 'DROP SCHEMA atomix CASCADE');
ok(await_no_worker($node, 'one'), 'the worker goes with DROP SCHEMA CASCADE');

#
# Two databases at once.
#

$node->safe_psql('two', 'DROP EXTENSION atomix');
await_no_worker($node, 'two');
my %creating = map { $_ => $node->background_psql($_) } qw(one two);
$_->query_safe('BEGIN; CREATE EXTENSION atomix') for values %creating;
$_->query_safe('COMMIT') for values %creating;
$_->quit for values %creating;
ok(await_worker($node, $_), "worker in $_, created at the same time")
  for qw(one two);

# Opened in the very transaction that creates the extension.
$node->safe_psql('two', 'DROP EXTENSION atomix');
await_no_worker($node, 'two');
$node->safe_psql('two', q{
	BEGIN;
	CREATE EXTENSION atomix;
	SELECT atomix.open_session('10 s', 'early');
	COMMIT});
await_worker($node, 'two');
advance_clock($node, '12 s');
ok( $node->poll_query_until(
		'two', q{SELECT state FROM atomix.sessions WHERE name = 'early'},
		'expired'),
	'a session opened in the transaction that created the extension expires');

ok(!$node->log_contains(qr/(ERROR|PANIC):.*atomix|exited with exit code [2-9]/),
	'the log shows no error');

#
# Whoever made the schema beforehand still owns it, and could put tables of
# his own in the place of ours.
#

$node->safe_psql('postgres', "CREATE ROLE before_us;\nCREATE DATABASE prepared;");
$node->safe_psql('prepared',
	'CREATE SCHEMA atomix AUTHORIZATION before_us; CREATE EXTENSION atomix');
is(psql_sqlstate($node, 'SELECT atomix.open_session()', 'prepared'),
	'55000', 'a schema in foreign hands is refused');
$node->safe_psql('prepared', 'ALTER SCHEMA atomix OWNER TO CURRENT_USER');
is(psql_sqlstate($node, 'SELECT atomix.open_session()', 'prepared'),
	'00000', 'and served when it is in ours');

$node->stop;
done_testing();
