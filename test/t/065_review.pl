# Claims in bad company: claims that die in the middle of a queue, more holders
# than one transaction can have locks, a lock that is deleted while somebody
# holds it or waits to, and grants that nobody but the worker can make up for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_state await_waiting await_worker new_node
  open_session psql_sqlstate start_query);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('review');

sub sql
{
	my ($query) = @_;

	return $node->safe_psql('postgres', $query);
}

sub holders
{
	my ($name) = @_;

	return sql("SELECT string_agg(session_id::text, ' ' ORDER BY token)
		FROM atomix.locks WHERE name = '$name' AND granted");
}

my ($one, $two, $three) = map { open_session($node, '1 h') } 1 .. 3;

await_worker($node, 'postgres');

#
# Session 0 is nobody's: a claim of it would stay for ever.
#

foreach my $call (
	"lock_try(0, 'zero')", "lock_acquire(0, 'zero')",
	"lock_release(0, 'zero')", "lock_cancel(0, 'zero', 1)",
	"semaphore_try(0, 'zero')", "election_enter(0, 'zero')",
	"election_withdraw(0, 'zero')", "wait_ticket(0, 1)")
{
	is(psql_sqlstate($node, "SELECT atomix.$call"), 'MX001', "$call: unknown session");
}

# Nor is token 0 any token.
sql("SELECT atomix.lock_try($one, 'token')");
is(sql("SELECT atomix.lock_release($one, 'token', 0)"), 'f', 'token 0 releases nothing');
is(sql("SELECT atomix.lock_release($one, 'token')"), 't', '... and no token everything');

#
# A grant that is transferred must leave room for those who share the lock.
#

my ($first, $second) =
  map { sql("SELECT token FROM atomix.lock_try($_, 'shared', '', true)") } $one, $two;
my $ticket = sql("SELECT ticket FROM atomix.lock_acquire($three, 'shared')");

is(sql("SELECT atomix.lock_transfer('shared', $first, $ticket, 'test')"), '', 'an exclusive claim does not take the place of a shared one beside others');
is(holders('shared'), "$one $two", '... and nothing has changed');

# A guard of one who shares the lock does not keep another from losing it.
my $guard = $node->background_psql('postgres');

$guard->query_safe("BEGIN; SELECT atomix.assert_lock('shared', $first)");
is( sql("SET lock_timeout = '10s'; SELECT atomix.lock_force_release('shared', $second, 'test')"),
	't', 'taking a shared grant away does not wait for guards of others');
$guard->query_safe('COMMIT');
isnt(sql("SELECT atomix.lock_transfer('shared', $first, $ticket, 'test')"),
	'', 'the last shared grant is transferred');
is(holders('shared'), $three, '... to the exclusive claim');

#
# Who waits in the middle of a queue ends on time, too.
#

my $mortal = open_session($node, '10 s');

sql("SELECT atomix.lock_try($one, 'queue')");
sql("SELECT atomix.lock_acquire($two, 'queue')");
sql("SELECT atomix.lock_acquire($mortal, 'queue')");
$ticket = sql("SELECT ticket FROM atomix.lock_acquire($three, 'queue', '300 ms')");
ok( $node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM atomix.locks WHERE ticket = $ticket)"),
	'a claim that has waited long enough ends though it is not the first');
sql("SELECT atomix.election_enter($one, 'leads', 'a')");
sql("SELECT atomix.election_enter($two, 'leads', 'b')");
sql("SELECT atomix.election_enter($mortal, 'leads', 'c')");
advance_clock($node, '12 s');
ok(await_state($node, $mortal, 'expired'),
	'so does the session of one that is not the first');
is(sql("SELECT ticket IS NOT NULL FROM atomix.election_enter($three, 'leads', 'c')"),
	't', '... and another one stands under its name');
is(holders('queue'), $one, 'the holder has not changed');

# Nor does a time come that is too far away to be told.
my $ages = "'106751991 days'";
my $brief = open_session($node, '10 s');

$ticket = sql("SELECT ticket FROM atomix.lock_acquire($three, 'queue', $ages)");
sql("SELECT atomix.set_lock_delay('delayed', $ages)");
sql("SELECT atomix.lock_try($brief, 'delayed')");
advance_clock($node, '12 s');
ok(await_state($node, $brief, 'expired'), 'a session ends that had a lock with a long delay');
is(holders('delayed'), 0, '... and the delay is there');
is(sql("SELECT granted FROM atomix.locks WHERE ticket = $ticket"),
	'f', 'a claim that may wait for ages waits');

#
# More holders than a transaction can have locks, all dead at once.
#

sql("SELECT atomix.semaphore_resize('crowd', 1000)");
sql('CREATE TABLE crowd (session_id bigint)');
foreach (1 .. 3)
{
	sql("INSERT INTO crowd SELECT atomix.open_session('10 s') FROM generate_series(1, 200)");
}
foreach my $part (0 .. 2)
{
	sql("SELECT count((atomix.semaphore_try(session_id, 'crowd')).granted) FROM
		(SELECT session_id FROM crowd ORDER BY 1 LIMIT 200 OFFSET 200 * $part) c");
}
is(sql("SELECT count(session_id) FROM atomix.semaphores WHERE name = 'crowd'"),
	600, 'many sessions have permits');
advance_clock($node, '12 s');
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 600 FROM atomix.sessions s JOIN crowd USING (session_id)
		WHERE s.state = 'expired'"),
	'all of them end');
is(sql("SELECT count(session_id) FROM atomix.semaphores WHERE name = 'crowd'"),
	0, '... and their permits are free');

# One that has more claims than close_session ends is finished by the worker.
my $greedy = open_session($node, '1 h');

sql("SELECT count((atomix.semaphore_try($greedy, 'greedy' || n)).granted)
	FROM generate_series(1, 65) n");
is(sql("SELECT atomix.close_session($greedy)"), 't', 'a session with many claims is closed');
ok(await_state($node, $greedy, 'closed'), '... by the worker in the end');

#
# hold() holds the name, not what had the name when it was called.
#

my $holder = $node->background_psql('postgres');

sql("SELECT atomix.lock_try($one, 'gone')");
$holder->query_safe('BEGIN');
my $pid = $holder->query_safe('SELECT pg_backend_pid()');
start_query($holder, "SELECT atomix.hold('gone')");
await_waiting($node, $pid, 'Extension Extension');
sql("BEGIN; SELECT atomix.delete_service('gone'); SELECT atomix.lock_try($two, 'gone'); COMMIT");
sleep 1;
ok(await_waiting($node, $pid, 'Extension Extension'),
	'hold() waits for the lock made anew under the name of the deleted one');
is(sql("SELECT atomix.lock_release($two, 'gone')"), 't', '... until that is released');
like($holder->query(''), qr/\d{14}/, '... and returns in the end');
is(sql("SELECT granted FROM atomix.lock_try($two, 'gone')"),
	'f', 'what is held is not granted');
is(psql_sqlstate($node, "SELECT atomix.delete_service('gone')"),
	'40001', 'a lock that is held is not deleted');

#
# While it was held somebody queued, and when that ends another one is in the
# way of the worker: then it tries again.
#

sql("SELECT atomix.lock_acquire($three, 'gone')");
my $visitor = $node->background_psql('postgres');

$visitor->query_safe("BEGIN; SELECT atomix.lock_try($two, 'gone')");
$holder->query_safe('COMMIT');
sleep 1;
is(holders('gone'), '', 'nobody is granted a lock while somebody is at it');
$visitor->query_safe('COMMIT');
ok( $node->poll_query_until('postgres',
		"SELECT granted FROM atomix.locks WHERE name = 'gone' AND session_id = $three"),
	'... but then who waits for it is, unasked');

#
# An index may be replaced by another one while connections know the old one.
#

my $session = open_session($node, '1 h');
my $numbered = $node->background_psql('postgres');

is($numbered->query_safe("SELECT atomix.counter_increment('n', 1, '', $session, 1)"),
	1, 'a numbered call');
sql("REINDEX TABLE CONCURRENTLY atomix.$_")
  foreach qw(command lease service attachment claim entry);
is($numbered->query_safe("SELECT atomix.counter_increment('n', 1, '', $session, 2)"),
	2, '... the next one after all tables were indexed anew');
is($numbered->query_safe("SELECT atomix.counter_increment('n', 1, '', $session, 1)"),
	1, '... and the first one once more');
$numbered->query_safe("SELECT atomix.lock_try($session, 'after')");

# Such an index is left by an attempt that was cut short.
sql("UPDATE pg_index SET indisready = false, indisvalid = false
	WHERE indexrelid = 'atomix.claim_due'::regclass");
is($numbered->query_safe("SELECT atomix.lock_release($session, 'after')"),
	't', 'an index that is not ready is in nobody\'s way');
sql('REINDEX INDEX atomix.claim_due');

$numbered->quit;
$_->quit foreach $guard, $holder, $visitor;
$node->stop;

done_testing();
