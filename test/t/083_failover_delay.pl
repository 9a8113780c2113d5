# atomix.failover_delay: for so long after a promotion nothing is granted that
# looks free, because the last grants of the old primary may be missing here;
# what is held stays held, and then everybody who waits gets what is his.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_waiting new_node new_standby
  open_session psql_sqlstate start_query);
use PostgreSQL::Test::Cluster;
use Test::More;

my $old = new_node('old', 'wal_level = replica', 'max_wal_senders = 4',
	"atomix.failover_delay = '1 h'", "atomix.max_wait = '10 min'");

sub on { my ($node, $sql) = @_; return $node->safe_psql('postgres', $sql); }

# Whether somebody has got a lock.
sub tries
{
	my ($node, $session, $name) = @_;

	return on($node, "SELECT granted FROM atomix.lock_try($session, '$name')");
}

my ($ann, $bob) = map { open_session($old, '20 h') } 1 .. 2;

is(tries($old, $ann, 'free'), 't', 'the first to serve a database does not wait');
on($old, "SELECT atomix.lock_release($ann, 'free')");
my $token = on($old, "SELECT token FROM atomix.lock_try($ann, 'held')");
on($old, "SELECT ticket FROM atomix.lock_acquire($bob, 'held')");
on($old, "SELECT granted FROM atomix.lock_try($ann, 'shared', shared => true)");
on($old, "SELECT atomix.semaphore_resize('s', 3), atomix.semaphore_try($ann, 's', 1)");
on($old, "SELECT atomix.election_enter($ann, 'e', 'ann')");
on($old, "SELECT atomix.election_enter($bob, 'e', 'bob')");
on($old, "SELECT atomix.election_enter($bob, 'nobody', 'bob'), atomix.election_withdraw($bob, 'nobody')");
my $deleted = open_session($old, '20 h');
on($old, "SELECT atomix.lock_try($deleted, 'closed')");
await_beat($old);
$old->restart;
is(tries($old, $ann, 'free'), 't', 'a restart postpones nothing');
on($old, "SELECT atomix.lock_release($ann, 'free')");

await_beat($old);
my $new = new_standby($old, 'new');
$old->wait_for_catchup($new);
$old->stop('immediate');
$new->promote;
await_beat($new);

#
# Before the delay is over.
#

is(on($new, "SELECT granted, token FROM atomix.lock_try($ann, 'held')"), "t|$token",
	'what is held is held');
is(on($new, "BEGIN; SELECT atomix.assert_lock('held', $token); COMMIT"), '', 'and guarded');
is(tries($new, $ann, 'free'), 'f', 'what looks free is not granted');
is(tries($new, $ann, 'made anew'), 'f', 'nor what was not there');
is(on($new, "SELECT granted FROM atomix.lock_try($bob, 'shared', shared => true)"), 'f',
	'nor what could be shared');
is(on($new, "SELECT granted FROM atomix.semaphore_try($bob, 's')"), 'f', 'nor permits that are left');
my $free = on($new, "SELECT ticket FROM atomix.lock_acquire($bob, 'free')");
my $shared = on($new, "SELECT ticket FROM atomix.lock_acquire($bob, 'shared', shared => true)");
my $permit = on($new, "SELECT ticket FROM atomix.semaphore_acquire($bob, 's', 2)");
on($new, "SELECT ticket FROM atomix.lock_acquire($bob, 'free too', '10 min')");
is(on($new, "SELECT is_leader, leader FROM atomix.election_enter($ann, 'nobody', 'ann')"), 'f|',
	'nobody becomes leader');
is(on($new, "SELECT is_leader FROM atomix.election_enter($bob, 'nobody', 'bob')"), 'f', 'nor does a second');
is(on($new, "SELECT atomix.election_anoint('nobody', 'bob')"), 't', 'who is anointed');
is(on($new, "SELECT count(*) FROM atomix.election_leader('nobody')"), '0', 'does not lead yet');
is(on($new, "SELECT leader FROM atomix.election_leader('e')"), 'ann', 'who leads goes on');
is(on($new, "SELECT atomix.lock_release($ann, 'held', $token)"), 't', 'what is released');
is(on($new, "SELECT count(*) FROM atomix.locks WHERE name = 'held' AND token IS NOT NULL"), '0',
	'is not passed on');
on($new, "SELECT atomix.close_session($deleted)");
is(tries($new, $ann, 'closed'), 'f', 'nor is what a session leaves that ends');
is(psql_sqlstate($new, "SET lock_timeout = '10 ms'; SELECT atomix.hold('to hold')"), '55P03',
	'nothing is held for a transaction');
is(on($new, "SELECT granted FROM atomix.wait_ticket($bob, $free, '0')"), 'f', 'who waits, waits');
is(on($new, "SELECT atomix.counter_increment('c')"), '1', 'counters go on');
my $counter = on($new, "SELECT atomix.create_service($ann, 'counter', 'c')");
is(on($new, "SELECT status FROM atomix.command($ann, $counter, '\\x1a00', 1)"), 'OK', 'and commands');

# Half of it.
advance_clock($new, '30 min');
await_rest($new);
is(tries($new, $ann, 'made anew'), 'f', 'half of the delay is not enough');
is(on($new, "SELECT count(ticket) FROM atomix.locks WHERE name = 'free too'"), '0',
	'who wanted to wait less has gone');

# A crash does not begin it anew.
$new->stop('immediate');
$new->start;
await_beat($new);
is(tries($new, $ann, 'made anew'), 'f', 'nor does a crash end it');
advance_clock($new, '25 min');
await_rest($new);
is(tries($new, $ann, 'made anew'), 'f', 'nearly all of it is not enough');

#
# Afterwards.
#

my $waiter = $new->background_psql('postgres', on_error_stop => 0);
my $pid = $waiter->query_safe('SELECT pg_backend_pid()');
start_query($waiter, "SELECT granted FROM atomix.wait_ticket($bob, $free, '10 min')");
ok(await_waiting($new, $pid, 'Extension Extension'), 'somebody waits with a ticket');
my $holder = $new->background_psql('postgres', on_error_stop => 0);
my $holder_pid = $holder->query_safe('SELECT pg_backend_pid()');
start_query($holder, "SELECT atomix.hold('to hold') > $token");
ok(await_waiting($new, $holder_pid, 'Extension Extension'), 'and somebody to hold');
advance_clock($new, '6 min');
like($waiter->query(''), qr/^t$/m, 'who waits is granted it when it is over');
like($holder->query(''), qr/^t$/m, 'who is to hold holds');
for my $case (
	[ 'held', 'locks' ], [ 'shared', 'locks', 2 ], [ 's', 'semaphores', 2 ], [ 'nobody', 'elections' ])
{
	my ($name, $view, $count) = @$case;

	ok($new->poll_query_until('postgres',
			"SELECT count(*) = @{[$count // 1]} FROM atomix.$view WHERE name = '$name' AND token IS NOT NULL"),
		"$view: those who wait for '$name' are granted it, with nobody asking");
}
is(on($new, "SELECT leader FROM atomix.election_leader('nobody')"), 'bob',
	'the one who was anointed first');
is(tries($new, $ann, 'made anew'), 't', 'all is granted as ever');
is(on($new, "SELECT count(*) FROM atomix.locks WHERE token IS NOT NULL AND token <= $token"), '0',
	'by greater tokens than before');
$new->restart;
on($new, "SELECT atomix.lock_release($ann, 'made anew')");
is(tries($new, $bob, 'made anew'), 't', 'and after a restart');

# Raised and lowered again.
$new->append_conf('postgresql.conf', "atomix.failover_delay = '20 h'");
$new->reload;
$new->poll_query_until('postgres', "SELECT current_setting('atomix.failover_delay') = '20h'")
  or die 'the setting is not read';
on($new, "SELECT atomix.lock_release($bob, 'made anew')");
on($new, "SELECT ticket FROM atomix.lock_acquire($ann, 'made anew')");
await_rest($new);
is(on($new, "SELECT count(*) FROM atomix.locks WHERE name = 'made anew' AND token IS NOT NULL"), '0',
	'a longer delay counts from the same moment');
$new->append_conf('postgresql.conf', "atomix.failover_delay = 0");
$new->reload;
ok($new->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM atomix.locks WHERE name = 'made anew' AND token IS NOT NULL"),
	'who waits hears of a shorter one');

# Without a worker tick() does it.
$new->stop;
$new->append_conf('postgresql.conf', "shared_preload_libraries = ''\natomix.failover_delay = '20 h'");
$new->start;
on($new, "SELECT atomix.lock_release($bob, 'shared'), atomix.lock_acquire($bob, 'shared', shared => true)");
on($new, 'SELECT atomix.tick()');
is(on($new, "SELECT count(*) FROM atomix.locks WHERE name = 'shared' AND token IS NOT NULL"), '1',
	'without preload the delay is kept, too');
$new->append_conf('postgresql.conf', "atomix.failover_delay = '1s'");
$new->reload;
$new->poll_query_until('postgres', "SELECT current_setting('atomix.failover_delay') = '1s'")
  or die 'the setting is not read';
on($new, 'SELECT atomix.tick()');
is(on($new, "SELECT count(*) FROM atomix.locks WHERE name = 'shared' AND token IS NOT NULL"), '2',
	'tick() grants when it is over');

$_->quit for $waiter, $holder;
$new->stop;
done_testing();
