# A restart of the server, clean or not, neither ends a session early nor lets
# one that nobody renews live on for ever.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state new_node
  open_session psql_sqlstate served session_state);
use Test::More;

my $node = new_node('restart', 'atomix.enabled = on');

# How far the clock was moved in all: a restart forgets it.
my $moved = 0;

# Stop as told and start.  What was committed is still there, and the clock
# goes on from where it was before the server takes over, unless it is to be
# set back.
sub restart
{
	my ($mode, $set_back) = @_;

	# An immediate stop loses what is not yet on disk; this makes it so.
	$node->safe_psql('postgres', "SELECT pg_logical_emit_message(true, '', '')");
	my $run = $node->safe_psql('postgres', 'SELECT start_id FROM atomix.authority');
	$node->stop($mode);
	$node->adjust_conf('postgresql.conf', 'atomix.enabled', 'off');
	$node->start;
	$moved = 0 if $set_back;
	advance_clock($node, "$moved s");
	$node->adjust_conf('postgresql.conf', 'atomix.enabled', 'on');
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT start_id <> $run FROM atomix.authority")
	  or die 'the server does not take over';
	return;
}

# The remaining time until a session's deadline, in seconds.
sub time_left
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT extract(epoch FROM deadline - clock_timestamp())
		 FROM atomix.sessions WHERE session_id = $id");
}

# Let the server serve a span in which no session is renewed.  It does not
# beat, nor count, once none lives.
sub serve
{
	my ($seconds) = @_;
	my $goal = served($node) + $seconds * 1_000_000;

	$moved += $seconds;
	advance_clock($node, "$seconds s");
	$node->poll_query_until('postgres',
		"SELECT served >= $goal OR NOT EXISTS (SELECT FROM atomix.lease)
		 FROM atomix.authority")
	  or die 'no beat came';
	return;
}

#
# One restart.
#

for my $mode ('fast', 'immediate')
{
	my $renewed = open_session($node, '800 s');
	my $silent = open_session($node, '800 s');

	await_beat($node);
	serve(100);
	restart($mode);

	is(session_state($node, $renewed), 'opened', "$mode: a session survives");
	cmp_ok(time_left($silent), '<=', 900, "$mode: its deadline is no later than anew");
	cmp_ok(time_left($silent), '>', 870,
		"$mode: what it had left, at most a timeout, counts from the start");

	serve(850);
	is(session_state($node, $silent), 'opened', "$mode: it lives for as long");
	$node->safe_psql('postgres', "SELECT atomix.keep_alive($renewed)");
	serve(60);
	ok(await_state($node, $silent, 'expired'), "$mode: and not longer");
	serve(790);
	is(session_state($node, $renewed), 'opened',
		"$mode: a renewal after the restart counts from when it was made");
	serve(110);
	ok(await_state($node, $renewed, 'expired'), "$mode: until its deadline");
}

#
# Much of the timeout was served before: that is not given again.
#

my $id = open_session($node, '800 s');
await_beat($node);
serve(700);
restart('immediate');
cmp_ok(time_left($id), '<=', 400,
	'of a timeout nearly served, a quarter more than the rest is left');
cmp_ok(time_left($id), '>', 370, 'no less');
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");

# A renewal soon before counts in full, since it says how much was served.
$id = open_session($node, '800 s');
await_beat($node);
serve(700);
$node->safe_psql('postgres', "SELECT atomix.keep_alive($id)");
restart('immediate');
cmp_ok(time_left($id), '>', 870, 'a session renewed before the restart has its timeout');
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");

#
# A crash loop: the time served adds up.
#

$id = open_session($node, '800 s');
await_beat($node);
my $start = served($node);
my $crashes = 0;
while (session_state($node, $id) eq 'opened')
{
	serve(200);
	restart('immediate');
	last if ++$crashes == 10;
}
# The last run did not serve anything yet when the loop ended it.
serve(110);
ok(await_state($node, $id, 'expired'), 'a crash loop does not keep a session alive');
cmp_ok($crashes, '>=', 5, 'that had time to be renewed');
cmp_ok($crashes, '<=', 6, 'but not for ever');

# The limit is a quarter more than the timeout, and the slack.
$id = open_session($node, '800 s');
await_beat($node);
$start = served($node);
for (1 .. 5)
{
	serve(180);
	restart('immediate');
}
is(session_state($node, $id), 'opened', 'with 900 s served in five runs it is alive');
cmp_ok(time_left($id), '<=', 200,
	'it will have been for at most timeout * 5/4 + slack in all');
serve(210);
ok(await_state($node, $id, 'expired'), 'then it ends');
cmp_ok((served($node) - $start) / 1e6, '<', 1150, 'a little later');

# Renewed in each run, it lives on.
$id = open_session($node, '800 s');
await_beat($node);
for (1 .. 5)
{
	serve(400);
	$node->safe_psql('postgres', "SELECT atomix.keep_alive($id)");
	restart('immediate');
}
is(session_state($node, $id), 'opened', 'renewed in each of the runs, a session lives');
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");

#
# A renewal from the future, as seen when a virtual machine's clock was set
# back.
#

serve(1_000_000);
$id = open_session($node, '800 s');
await_beat($node);
restart('fast', 1);
is($node->safe_psql('postgres',
		"SELECT last_renewed_at <= clock_timestamp() + interval '5 s'
		 FROM atomix.sessions WHERE session_id = $id"),
	't', 'a renewal from the future counts as made now');
cmp_ok(time_left($id), '<=', 900, 'and so does its deadline');
cmp_ok(time_left($id), '>', 850, 'which is not in the past either');
serve(790);
is(session_state($node, $id), 'opened', 'it lives for its timeout');
serve(120);
ok(await_state($node, $id, 'expired'), 'and ends');

#
# The clock of another boot of the machine.
#

# Make it seem that the clock so far was that of another boot.
sub forget_clock
{
	$node->safe_psql('postgres', "UPDATE atomix.clock_epoch
		SET boot_id = 'another boot' WHERE last_beat IS NULL");
	return;
}

my $ended = open_session($node, '800 s');
my $silent = open_session($node, '800 s');
my $renewed = open_session($node, '800 s');
await_beat($node);
$node->safe_psql('postgres', "SELECT atomix.close_session($ended)");
await_rest($node);
serve(100);
is($node->safe_psql('postgres', 'SELECT count(*) FROM atomix.clock_epoch'), '1',
	'restarts go on with the clock');
forget_clock();
restart('fast');

is($node->safe_psql('postgres',
		'SELECT epoch, last_beat IS NULL, last_beat >= 100e6
		 FROM atomix.clock_epoch ORDER BY epoch'),
	"1|f|t\n2|t|", 'a new clock begins an epoch, and the last beat of the old one is kept');
is($node->safe_psql('postgres', 'SELECT epoch FROM atomix.authority'), '2',
	'which is the one in force');
is(session_state($node, $silent), 'opened', 'sessions survive it');
is(session_state($node, $ended), 'closed', 'so do those that had ended');
is($node->safe_psql('postgres',
		"SELECT last_renewed_at IS NULL FROM atomix.sessions WHERE session_id = $silent"),
	't', 'when a renewal was on another clock is not known');
cmp_ok(time_left($silent), '>', 870, 'the timeout counts from the start');
cmp_ok(time_left($silent), '<=', 900, 'and not from later');
$node->safe_psql('postgres', "SELECT atomix.keep_alive($renewed)");
cmp_ok($node->safe_psql('postgres',
		"SELECT epoch FROM atomix.lease WHERE session_id = $renewed"),
	'==', 2, 'a renewal soon after the start is written on the new clock');

serve(850);
is(session_state($node, $silent), 'opened', 'not ended early');
serve(60);
ok(await_state($node, $silent, 'expired'), 'but bounded');
is($node->safe_psql('postgres',
		"SELECT ended_epoch FROM atomix.session WHERE session_id = $ended"),
	'2', 'what ended on the old clock is counted on the new one');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($ended)"), 'MX003',
	'and is not forgotten earlier');

$node->stop;
done_testing();
