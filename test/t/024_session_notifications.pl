# Every committed change of a session's state is told once, by the worker, as
# '<session id> <version>' on atomix_sessions, with growing versions; what it
# tells of can be read when it arrives.  User transactions never notify.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_rest open_session
  advance_clock notifications await_notification);
use Test::More;

my $node = new_node('notify', 'autovacuum = off');
my $pid = await_worker($node, 'postgres');
my $listener = $node->background_psql('postgres');
my $version = 0;
my $stopped;

END { kill('CONT', $stopped) if defined $stopped; }

$listener->query_safe('LISTEN atomix_sessions');

# The next notification is of the session, with a greater version than all
# before, and its state as of that version can be read.
sub tells_ok
{
	my ($id, $state, $name) = @_;
	my @heard = await_notification($listener, qr/^$id /);
	my $seen = $listener->query(qq{
		SELECT state || ' ' || version FROM atomix.session
		WHERE session_id = $id});

	is(scalar(@heard), 1, "$name is told once");
	like($heard[0], qr/^$id [0-9]+$/, 'by id and version');
	my ($told) = $heard[0] =~ / ([0-9]+)$/;
	cmp_ok($told, '>', $version, 'a greater version');
	is($seen, "$state $told", 'the state can be read');
	$version = $told;
	return;
}

my $id = open_session($node, '10 s');
tells_ok($id, 'opened', 'an open');
$node->safe_psql('postgres', "SELECT atomix.keep_alive($id)");
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");
tells_ok($id, 'closed', 'a close, and no renewal,');
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");

$id = open_session($node, '10 s');
tells_ok($id, 'opened', 'another open, and no repeated close,');
advance_clock($node, '12 s');
tells_ok($id, 'expired', 'an expiry');

$id = open_session($node, '10 s');
tells_ok($id, 'opened', 'a third open');
$node->safe_psql('postgres', "SELECT atomix.end_session($id, 'because')");
tells_ok($id, 'closed', "an administrator's end");

# Opened and closed in one transaction: one change, its outcome.
$id = $node->safe_psql('postgres', q{
	BEGIN;
	SELECT atomix.open_session('10 s', 'short') AS id \gset
	SELECT atomix.close_session(:id) \gset
	COMMIT;
	SELECT :id});
tells_ok($id, 'closed', 'a session that was opened and closed in a transaction');

# What was rolled back is not told; what follows proves that it will not be.
my @gone = split /\n/, $node->safe_psql('postgres', q{
	BEGIN;
	SELECT atomix.open_session('10 s');
	ROLLBACK;
	BEGIN;
	SAVEPOINT a;
	SELECT atomix.open_session('10 s');
	ROLLBACK TO a;
	COMMIT});
is(scalar(@gone), 2, 'sessions were opened and rolled back');
$id = open_session($node, '1 h');
tells_ok($id, 'opened', 'only what was committed');

$node->safe_psql('postgres', qq{
	BEGIN;
	SELECT atomix.close_session($id);
	ROLLBACK});
my $next = open_session($node, '1 h');
tells_ok($next, 'opened', 'not a close that was rolled back');

# Nothing is told before the commit, nor by the transaction itself.
my $user = $node->background_psql('postgres');
$user->query_safe("BEGIN; SELECT atomix.close_session($id)");
advance_clock($node, '1 s');
await_rest($node);
is(join('', notifications($listener)), '', 'nothing is told before the commit');
$user->query_safe('COMMIT');
my $out = '';
$out = $listener->query('SELECT 1') until $out =~ /with payload/;
like($out, qr/received from server process with PID $pid\b/,
	'the worker tells, not the transaction');
($version) = $out =~ /with payload "$id (\d+)"/;

# A listener's own change does not come to it at its commit, either.
$out = $listener->query("SELECT atomix.close_session($next)");
$out .= $listener->query('SELECT 1') until $out =~ /with payload "$next \d+"/;
unlike($out, qr/PID (?!$pid\b)\d/, 'and hears of it from the worker');
($version) = $out =~ /with payload "$next (\d+)"/;

#
# Many: each once, in order, whatever plans the server makes.
#

# Those that came until all of them are there.
sub hear_crowd
{
	my ($count) = @_;
	my @heard;

	for (1 .. 20 * $PostgreSQL::Test::Utils::timeout_default)
	{
		push @heard, notifications($listener);
		last if @heard >= $count;
		await_rest($node);
	}
	return @heard;
}

sub crowd_ok
{
	my ($count, $name) = @_;
	my @versions;
	my %ids;

	foreach (hear_crowd($count))
	{
		my ($session_id, $told) = /^(\d+) (\d+)$/;

		$ids{$session_id} = 1;
		push @versions, $told;
	}
	is(scalar(@versions), $count, "$name: each is told once");
	is(scalar(keys %ids), $count, 'one of each session');
	my $disorder = grep { $versions[$_] <= ($_ ? $versions[ $_ - 1 ] : $version) }
	  0 .. $#versions;
	is($disorder, 0, 'versions grow in the order of telling');
	$version = $versions[-1];
	return;
}

$node->safe_psql('postgres', q{
	SELECT count(atomix.open_session('10 s', 'crowd'))
	FROM generate_series(1, 2500)});
crowd_ok(2500, 'opened together');
advance_clock($node, '12 s');
crowd_ok(2500, 'expired together');
is($node->safe_psql('postgres', q{
	SELECT DISTINCT state FROM atomix.sessions WHERE name = 'crowd'}),
	'expired', 'all have their final state');

$node->safe_psql('postgres', q{
	ALTER DATABASE postgres SET enable_nestloop = off;
	ALTER DATABASE postgres SET enable_indexscan = off;
	SELECT pg_terminate_backend(pid) FROM atomix.workers
	WHERE database = current_database()});
await_worker($node, 'postgres', $pid);
$node->safe_psql('postgres', q{
	SELECT count(atomix.open_session('10 s', 'crowd'))
	FROM generate_series(1, 1500)});
crowd_ok(1500, 'with other plans');
advance_clock($node, '12 s');
crowd_ok(1500, 'expired with other plans');

# One that was opening, when the last service is open that it declared.
$id = $node->safe_psql('postgres', q{
	SELECT atomix.open_session('1 h', services => '[{"type": "counter", "name": "declared"}]')});
tells_ok($id, 'opening', 'a session that declares a service');
await_rest($node);
$node->safe_psql('postgres', "SELECT atomix.create_service($id, 'counter', 'declared')");
tells_ok($id, 'opened', 'the same with its service');

# A session that somebody has to himself when the worker looks is told of later,
# though nobody tells when that is: here a batch of many numbers ends.
await_rest($node);
$pid = worker_pid($node, 'postgres');
kill('STOP', $pid) == 1 or die "could not stop process $pid";
$stopped = $pid;
$id = open_session($node, '1 h');
my $counter = $node->safe_psql('postgres', "SELECT atomix.create_service($id, 'counter', 'c')");
$user->query_safe(qq{BEGIN; SELECT count(*) FROM atomix.commands($id, $counter,
	array_fill('\\x22020801'::bytea, ARRAY[100]), 1)});
kill('CONT', $pid);
$stopped = undef;
my $other = open_session($node, '1 h');
tells_ok($other, 'opened', 'another session');
$user->query_safe('COMMIT');
tells_ok($id, 'opened', 'the session with the batch');

$listener->quit;
$user->quit;
$node->stop;
done_testing();
