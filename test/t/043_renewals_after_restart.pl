# What renewals in memory promise holds after a restart, which forgets them:
# the row is never too far behind, and what it leaves is bounded.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state
  keep_alive_place new_node open_session served session_state worker_pid);
use Test::More;

my $node = new_node('after_restart', 'atomix.enabled = on', 'autovacuum = off',
	'shared_buffers = 2MB', 'fsync = off');

my $moved = 0;	# a restart forgets how far the clock was moved

sub move
{
	my ($seconds) = @_;

	$moved += $seconds;
	advance_clock($node, "$seconds s");
	return;
}

# Crash and start, the clock going on unless it is to be set back.
sub restart
{
	my ($set_back) = @_;

	$node->safe_psql('postgres', "SELECT pg_logical_emit_message(true, '', '')");
	my $run = $node->safe_psql('postgres', 'SELECT start_id FROM atomix.authority');
	$node->stop('immediate');
	$node->adjust_conf('postgresql.conf', 'atomix.enabled', 'off');
	$node->start;
	$moved = 0 if $set_back;
	advance_clock($node, "$moved s");
	$node->adjust_conf('postgresql.conf', 'atomix.enabled', 'on');
	$node->reload;
	$node->poll_query_until('postgres', "SELECT start_id <> $run FROM atomix.authority")
	  or die 'the server does not take over';
	return;
}

sub time_left
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT extract(epoch FROM deadline - clock_timestamp())
		 FROM atomix.sessions WHERE session_id = $id");
}

# How far the row of a session is behind, in seconds: another's is fresh.
sub behind
{
	my ($id) = @_;

	return $node->safe_psql('postgres', "BEGIN;
		SELECT atomix.open_session('800 s') AS fresh \\gset
		SELECT (f.renewed_at - l.renewed_at) / 1e6 FROM atomix.lease l, atomix.lease f
		WHERE l.session_id = $id AND f.session_id = :fresh;
		ROLLBACK");
}

#
# The worker brings the rows on.
#

my $id = open_session($node, '800 s');
await_beat($node);
my ($worst, $memory) = (0, 0);
for my $round (1 .. 40)
{
	move(10 + $round % 4 * 15);
	$memory++ if keep_alive_place($node, $id) eq 'memory';
	await_rest($node) if $round % 3 == 0;
	my $behind = behind($id);
	$worst = $behind if $behind > $worst;
}
cmp_ok($worst, '<=', 301, 'the row is never more than 3/8 of the timeout behind a renewal');
cmp_ok($worst, '>', 5, 'but behind it is');
cmp_ok($memory, '>=', 30, 'as renewals go to memory');
is($memory, 40, 'all of them, with the worker at work');

# Without it, the renewals themselves go to the row when it is too old.
my $worker = worker_pid($node, 'postgres');
await_rest($node);
keep_alive_place($node, $id);
$node->safe_psql('postgres', "SET atomix._renew_in_rows = on;
	SET atomix._coalesce_renewals = off; SELECT atomix.keep_alive($id)");
kill('STOP', $worker) or die 'no worker';
my @places = map { move(70); keep_alive_place($node, $id) . ' ' . int(behind($id) / 10) } 1 .. 6;
kill('CONT', $worker);
is_deeply(\@places, [ 'memory 7', 'memory 14', 'memory 21', 'memory 28', 'row 0', 'memory 7' ],
	'a renewal goes by the row when that is too far behind');
await_rest($node);
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");

#
# Restart, with the row fresh, old and in the future.
#

my $fresh = open_session($node, '800 s');
my $old = open_session($node, '800 s');
await_rest($node);
# The row of the second cannot be written by the worker.
my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_safe("BEGIN; SELECT FROM atomix.lease WHERE session_id = $old FOR UPDATE");
move(280);
is(keep_alive_place($node, $_), 'memory', 'a renewal in memory') for $fresh, $old;
$node->poll_query_until('postgres', "SELECT f.renewed_at - o.renewed_at > 270e6
	FROM atomix.lease f, atomix.lease o WHERE f.session_id = $fresh AND o.session_id = $old")
  or die 'the worker does not write the renewal';
restart();
$holder->quit;
for my $session ($fresh, $old)
{
	my $what = $session == $fresh ? 'fresh' : 'old';

	cmp_ok(time_left($session), '>=', 790, "$what row: a restart does not cut what was promised");
	cmp_ok(time_left($session), '<=', 900, "$what row: nor grant more than a timeout and the slack");
	is(keep_alive_place($node, $session), 'row',
		"$what row: the first renewal after it is written");
	is(keep_alive_place($node, $session), 'memory', "$what row: the next goes to memory");
}
move(790);
await_rest($node);
is(session_state($node, $_), 'opened', 'renewed after the restart, it lives on') for $fresh, $old;
move(120);
ok(await_state($node, $_, 'expired'), 'until its deadline') for $fresh, $old;

move(100_000);
$id = open_session($node, '800 s');
await_beat($node);
move(100);
keep_alive_place($node, $id);
restart(1);
cmp_ok(time_left($id), '<=', 900, 'a row in the future does not prolong');
cmp_ok(time_left($id), '>', 780, 'nor cut');
is(keep_alive_place($node, $id), 'memory', 'it can be renewed');
move(880);
await_rest($node);
is(session_state($node, $id), 'opened', 'and lives');
move(30);
ok(await_state($node, $id, 'expired'), 'and ends');

#
# A loop of crashes, each run shorter than the slack.
#

$id = open_session($node, '800 s');
await_beat($node);
my $start = served($node);
my $lived = 0;
for my $crash (1 .. 30)
{
	my $goal = served($node) + 40_000_000;

	move(40);
	$node->poll_query_until('postgres',
		"SELECT served >= $goal OR NOT EXISTS (SELECT FROM atomix.lease) FROM atomix.authority")
	  or die 'no beat came';
	last if session_state($node, $id) ne 'opened';
	$lived = served($node) - $start;
	restart();
}
cmp_ok($lived, '>=', 800e6, 'a session that nobody renews lives for its timeout');
cmp_ok($lived, '<=', 1110e6,
	'30 crashes prolong it by no more than a quarter of the timeout, and the slack');
ok(await_state($node, $id, 'expired'), 'then it ends');

$node->stop;
done_testing();
