# A session lives for its timeout after its last committed renewal and is
# ended an eighth of the timeout later, not before; renewals are cheap.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state new_node
  open_session psql_sqlstate session_state);
use Test::More;

# Renewals go by the rows.
my $node = new_node('deadline', 'atomix.shared_sessions = 0',
	"atomix.session_timeout = '800s'");

# What a lease holds: when it was renewed, when it is looked at, where it is.
sub lease
{
	my ($id) = @_;

	return split(/\|/, $node->safe_psql('postgres',
			"SELECT renewed_at, check_at, ctid FROM atomix.lease
			 WHERE session_id = $id"));
}

# The remaining time until a session's deadline, in seconds.
sub time_left
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT extract(epoch FROM deadline - clock_timestamp())
		 FROM atomix.sessions WHERE session_id = $id");
}

sub keep_alive
{
	my ($id) = @_;

	return $node->safe_psql('postgres', "SELECT atomix.keep_alive($id)");
}

#
# Neither early nor never.  Timeouts are so long that the time the test takes
# does not count.
#

my $id = open_session($node, '800 s');
my $renewed = open_session($node, '800 s');
await_beat($node);

cmp_ok(time_left($id), '<=', 900, 'the deadline is timeout * 9/8 after the opening');
cmp_ok(time_left($id), '>', 850, 'and not earlier');

advance_clock($node, '780 s');
await_rest($node);
is(session_state($node, $id), 'opened', 'alive within its timeout');
is(keep_alive($renewed), '00:13:20', 'a renewal promises the timeout');

advance_clock($node, '70 s');
await_rest($node);
is(session_state($node, $id), 'opened',
	'alive after its timeout and before the deadline');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($renewed)"), '00000',
	'the other one is as well');

advance_clock($node, '50 s');
ok(await_state($node, $id, 'expired'), 'ended after the deadline');
is(session_state($node, $renewed), 'opened', 'a renewed one is not');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"), 'MX002',
	'an ended one is not renewed');
is($node->safe_psql('postgres',
		"SELECT reason FROM atomix.sessions WHERE session_id = $id"),
	'expired', 'the reason is kept');

advance_clock($node, '770 s');
await_rest($node);
is(session_state($node, $renewed), 'opened',
	'a renewed one lives for its timeout after the renewal');
advance_clock($node, '130 s');
ok(await_state($node, $renewed, 'expired'), 'and ends after that');

#
# Not decided yet: a late renewal counts.
#

$id = open_session($node, '800 s');
my $forgotten = open_session($node, '800 s');
await_beat($node);
{
	# Whoever uses the session keeps it from being ended, for atomix.max_hold,
	# 60 s; no worker waits.
	my $user = $node->background_psql('postgres');

	$user->query_safe("BEGIN; SELECT atomix.keep_alive($id)");
	advance_clock($node, '905 s');
	ok(await_state($node, $forgotten, 'expired'), 'one that nobody uses is ended');
	is(session_state($node, $id), 'opened', 'one past its deadline but in use is not');
	is(keep_alive($id), '00:13:20', 'and can be renewed by others');
	$user->query_safe('ROLLBACK');
	$user->quit;
}
await_rest($node);
is(session_state($node, $id), 'opened', 'the late renewal counts');
cmp_ok(time_left($id), '>', 700, 'for a full timeout');

#
# What is rolled back did not happen.
#

my $whole = open_session($node, '800 s');
my $part = open_session($node, '800 s');
my $kept = open_session($node, '800 s');
await_beat($node);
advance_clock($node, '700 s');
$node->safe_psql('postgres', "BEGIN; SELECT atomix.keep_alive($whole); ROLLBACK");
$node->safe_psql('postgres', "BEGIN;
	SELECT atomix.keep_alive($kept);
	SAVEPOINT s; SELECT atomix.keep_alive($part); ROLLBACK TO s;
	COMMIT");
advance_clock($node, '150 s');
await_rest($node);
is(session_state($node, $whole), 'opened', 'still within the first deadline');
advance_clock($node, '60 s');
ok(await_state($node, $whole, 'expired'), 'a renewal rolled back does not count');
ok(await_state($node, $part, 'expired'),
	'nor one rolled back to a savepoint');
is(session_state($node, $kept), 'opened', 'one that was committed does');

#
# Renewals shortly after another are not written, and the promise holds.
#

$id = open_session($node, '8000 s');
await_beat($node);
advance_clock($node, '100 s');
keep_alive($id);
my @before = lease($id);
advance_clock($node, '800 s');
is(keep_alive($id), '02:13:20', 'a renewal within an eighth promises as much');
is_deeply([ lease($id) ], \@before, 'and writes nothing');
advance_clock($node, '250 s');
is(keep_alive($id), '02:13:20', 'a later one too') for 1 .. 2;
my @after = lease($id);
cmp_ok($after[0] - $before[0], '>', 1000e6, 'and writes the time of the renewal');
is($after[1], $before[1], 'not the time of the next look');

# The promise of the renewal that was not written.
advance_clock($node, '100 s');
@before = lease($id);
advance_clock($node, '850 s');
keep_alive($id);
is_deeply([ lease($id) ], \@before, 'a renewal is not written');
advance_clock($node, '7800 s');
await_rest($node);
is(session_state($node, $id), 'opened',
	'what it promised holds nevertheless');
# That was later than the first look, so the bound is raised now.
@after = lease($id);
cmp_ok($after[1] - $after[0], '>=', 9000e6 - 1, 'reached, the next look is at the deadline');
cmp_ok($after[1] - $after[0], '<', 9001e6, 'and not later');
advance_clock($node, '300 s');
ok(await_state($node, $id, 'expired'), 'then it ends');

#
# Each renewal that is written is a HOT update.
#

$node->safe_psql('postgres', q{
	CREATE PROCEDURE renew(session_id bigint, times int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. times LOOP
			PERFORM atomix.keep_alive(session_id);
			COMMIT;
		END LOOP;
	END $$});

# Updates of leases, and how many of them were HOT.
sub lease_updates
{
	return $node->safe_psql('postgres',
		"SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
		 WHERE relid = 'atomix.lease'::regclass");
}

$id = open_session($node, '800 s');
await_rest($node);
$node->safe_psql('postgres', "SELECT pg_stat_reset()");
$node->safe_psql('postgres',
	"SET atomix._coalesce_renewals = off; CALL renew($id, 500)");
$node->poll_query_until('postgres',
	"SELECT n_tup_upd >= 500 FROM pg_stat_user_tables
	 WHERE relid = 'atomix.lease'::regclass");
# Others' updates from before may be counted late; they are not HOT.
cmp_ok((split /\|/, lease_updates())[1], '>=', 500, 'renewals are HOT updates');

# The row itself tells: counts of others' updates may still be coming in.
my $row = "SELECT ctid, xmin FROM atomix.lease WHERE session_id = $id";
my $before = $node->safe_psql('postgres', $row);
$node->safe_psql('postgres', "CALL renew($id, 500)");
is($node->safe_psql('postgres', $row), $before,
	'coalesced, 500 renewals update nothing');

$node->stop;
done_testing();
