# Who gets a lock, and when, after its holder is gone, stopped or silent: by the
# worker, by whoever wants it, by who waits for it; never beside a guarded
# write, never one whose time to wait is over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_no_worker await_rest await_state await_waiting
  await_worker new_node open_session psql_sqlstate session_state start_query start_wait
  wait_answer);
use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

my $node = new_node('takeover', 'restart_after_crash = on', "atomix.max_wait = '10 min'");
my $psql = $node->background_psql('postgres');
my $other = $node->background_psql('postgres', on_error_stop => 0);
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
my %stopped;

# Processes we stopped must go on, or the server cannot be shut down.
END { kill('CONT', keys %stopped) if %stopped; }

sub stop_process
{
	my ($pid) = @_;

	kill('STOP', $pid) == 1 or die "could not stop process $pid";
	$stopped{$pid} = 1;
	return;
}

sub continue_process
{
	my ($pid) = @_;

	kill('CONT', $pid);
	delete $stopped{$pid};
	return;
}

sub sql { return $psql->query_safe($_[0]); }

sub try_lock { return sql("SELECT granted FROM atomix.lock_try($_[0], '$_[1]')"); }

# The ticket of a session that now waits for a lock.
sub queue
{
	my ($session, $lock, $timeout) = @_;

	$timeout = $timeout ? "'$timeout'" : 'NULL';
	return sql("SELECT ticket FROM atomix.lock_acquire($session, '$lock', $timeout)");
}

sub release { return sql("SELECT atomix.lock_release($_[0], '$_[1]')"); }

sub wait_ticket
{
	my ($session, $ticket, $timeout) = @_;

	return sql("SELECT granted FROM atomix.wait_ticket($session, $ticket, '$timeout')");
}

# The session that has a lock, '' if none has.
sub holder
{
	return sql("SELECT session_id FROM atomix.locks WHERE name = '$_[0]' AND granted");
}

# A new session, which has a lock.
sub new_holder
{
	my ($timeout, $lock) = @_;
	my $session = open_session($node, $timeout);

	is(try_lock($session, $lock), 't', "$lock: it is granted");
	return $session;
}

#
# The holder's backend is stopped in the middle of a guarded transaction.
#

sql("CREATE TABLE report (n int);
	CREATE TRIGGER fenced BEFORE INSERT ON report
	FOR EACH ROW EXECUTE FUNCTION atomix.fence('report')");

# A connection that has written under a guard, and its process.
sub start_guarded
{
	my ($lock) = @_;
	my $guarded = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $guarded->query_safe('SELECT pg_backend_pid()');

	$guarded->query_safe("BEGIN; SELECT atomix.assert_lock('$lock', token)
		FROM atomix.locks WHERE name = '$lock' AND granted; INSERT INTO report VALUES (1)");
	return ($guarded, $pid);
}

my $one = new_holder('10 s', 'report');
my $two = open_session($node, '1 h');
my $three = open_session($node, '1 h');
my $bystander = open_session($node, '10 s');
my $ticket = queue($two, 'report');
my ($guarded, $guardian) = start_guarded('report');

stop_process($guardian);
advance_clock($node, '20 s');
ok(await_state($node, $one, 'closing'), 'the end of a stopped holder is decided');
ok(await_state($node, $bystander, 'expired'), 'and others end as ever');
is(try_lock($three, 'report'), 'f', 'nobody else is granted what is guarded');
is(wait_ticket($two, $ticket, '200 ms'), 'f', 'nor the next one');
is(holder('report'), $one, 'its grant is still there');
is(sql('SELECT count(*) FROM report'), '0', 'and the write is not');
start_query($waiter, "SELECT granted FROM atomix.wait_ticket($two, $ticket, '10 min');
	SELECT count(*) FROM report");
continue_process($guardian);
$guarded->query_safe('COMMIT');
like($waiter->query(''), qr/^t\n1$/m, 'it is granted after the write');
is(session_state($node, $one), 'expired', 'the old holder has expired');
is(psql_sqlstate($node, "SELECT atomix.lock_release($one, 'report')"), 'MX002',
	'and cannot release any more');
is(holder('report'), $two, 'the new one has it');
$guarded->quit;

#
# A session expires, and the worker passes its lock on.
#

my @took;
for my $round (1 .. 5)
{
	my $old = open_session($node, '10 s');
	my $new = open_session($node, '1 h');

	try_lock($old, "expiring $round");
	my $ticket = queue($new, "expiring $round");
	my $pid = $waiter->query_safe('SELECT pg_backend_pid()');
	start_query($waiter, "SELECT granted, extract(epoch FROM clock_timestamp())
		FROM atomix.wait_ticket($new, $ticket, '10 min')");
	await_waiting($node, $pid, 'Extension Extension');
	my $began = sql("SELECT atomix._advance_clock('12 s');
		SELECT extract(epoch FROM clock_timestamp())");
	$waiter->query('') =~ /^t\|([\d.]+)$/m or die 'not granted';
	push @took, $1 - ($began =~ /([\d.]+)\s*$/)[0];
}
@took = sort { $a <=> $b } @took;
cmp_ok($took[2], '<', 0.5, 'the worker passes a lock on before a waiter polls');
note "took @took";

#
# A delay after an expiry.
#

sql("SELECT atomix.set_lock_delay('delayed', '100 s')");
$one = new_holder('10 s', 'delayed');
$ticket = queue($two, 'delayed');
advance_clock($node, '20 s');
ok(await_state($node, $one, 'expired'), 'the holder has expired');
is(try_lock($three, 'delayed'), 'f', 'the lock is not free at once');
is(holder('delayed'), '0', 'no session has it');
advance_clock($node, '90 s');
await_rest($node);
is(wait_ticket($two, $ticket, '0'), 'f', 'nor before the delay is over');
advance_clock($node, '11 s');
is(wait_ticket($two, $ticket, '1 min'), 't', 'then it is granted');
$ticket = queue($three, 'delayed');
release($two, 'delayed');
is(wait_ticket($three, $ticket, '0'), 't', 'after a release there is no delay');
sql("SELECT atomix.close_session(" . queue_behind($three, 'delayed') . ')');

# A further session that has queued, after which the holder's is closed.
sub queue_behind
{
	my ($holder, $lock) = @_;
	my $next = open_session($node, '1 h');
	my $ticket = queue($next, $lock);

	sql("SELECT atomix.end_session($holder, 'test')");
	is(wait_ticket($next, $ticket, '0'), 't', 'nor after an end that was no expiry');
	return $next;
}

#
# Who has waited long enough is never granted.
#

$one = new_holder('1 h', 'timed');
$three = open_session($node, '1 h');
my $four = open_session($node, '1 h');
my $first = queue($two, 'timed', '5 s');
my $second = queue($three, 'timed');
my $third = queue($four, 'timed', '5 s');
advance_clock($node, '6 s');
await_rest($node);
is(sql("SELECT string_agg(session_id::text, ' ' ORDER BY ticket) FROM atomix.locks
		WHERE name = 'timed'"),
	"$one $three", 'who timed out is gone from the queue, wherever it stood');
release($one, 'timed');
is(wait_ticket($two, $first, '0'), 'f', 'and is not granted');
is(wait_ticket($three, $second, '0'), 't', 'but the next one who waits');
release($three, 'timed');
is(wait_ticket($four, $third, '0'), 'f', 'the last one neither');
is(holder('timed'), '', 'nobody has it');

# So is one whose session ended in the middle of the queue.
$one = new_holder('1 h', 'middle');
queue($two, 'middle');
$four = open_session($node, '10 s');
queue($four, 'middle');
advance_clock($node, '20 s');
ok(await_state($node, $four, 'expired'), 'a session that waits does not keep closing');

#
# A thousand waiters.
#

sql(q{
	CREATE TABLE crowd AS SELECT n, atomix.open_session('1 h', 'crowd') AS id
		FROM (SELECT generate_series(1, 1000) AS n OFFSET 0) s;
	DO $$
	DECLARE s bigint;
	BEGIN
		FOR s IN SELECT id FROM crowd ORDER BY n LOOP
			PERFORM atomix.lock_acquire(s, 'crowded');
			COMMIT;
		END LOOP;
	END $$});
my @crowd = split /\n/, sql('SELECT id FROM crowd ORDER BY n LIMIT 10');
my ($next_pid) = start_wait($node, $waiter, $crowd[1], "'10 min'");
my ($other_pid) = start_wait($node, $other, $crowd[2], "'10 min'");
release($crowd[0], 'crowded');
is((wait_answer($waiter))[0], 't', 'the next one is woken');
is(sql("SELECT state FROM pg_stat_activity WHERE pid = $other_pid"), 'active',
	'the one after it is not');
release($crowd[1], 'crowded');
is((wait_answer($other))[0], 't', 'until it is the next one');

is(sql(q{
	CREATE TABLE granted (n int, holders bigint, token bigint);
	DO $$
	DECLARE s record;
	BEGIN
		FOR s IN SELECT * FROM crowd WHERE n > 2 ORDER BY n LOOP
			INSERT INTO granted SELECT c.n, (SELECT count(*) FROM atomix.locks
					WHERE name = 'crowded' AND granted), l.token
				FROM crowd c JOIN atomix.locks l ON l.session_id = c.id AND l.granted
				WHERE c.n = s.n;
			PERFORM atomix.lock_release(s.id, 'crowded');
			COMMIT;
		END LOOP;
	END $$;
	SELECT count(*), bool_and(holders = 1),
		bool_and(token > COALESCE((SELECT max(token) FROM granted b WHERE b.n < g.n), 0))
	FROM granted g}) =~ /(998\|t\|t)/ ? $1 : '', '998|t|t',
	'each is granted once, alone and in order');
is(holder('crowded'), '', 'and then the lock is free');

#
# More dead holders of one lock than one transaction could take it from.
#

sql(q{
	TRUNCATE crowd;
	INSERT INTO crowd SELECT n, atomix.open_session('10 s', 'readers')
		FROM (SELECT generate_series(1, 600) AS n OFFSET 0) s;
	DO $$
	DECLARE s bigint;
	BEGIN
		FOR s IN SELECT id FROM crowd LOOP
			PERFORM atomix.lock_try(s, 'read', shared => true);
			COMMIT;
		END LOOP;
	END $$});
$ticket = queue($two, 'read');
advance_clock($node, '20 s');
is(wait_ticket($two, $ticket, '1 min'), 't', '600 dead readers are removed');

#
# A session with claims on hundreds of services.
#

# A session that has so many locks, the first of which others may guard.
sub new_collector
{
	my ($count, $name) = @_;
	my $session = open_session($node, '1 h');

	sql(qq{
		DO \$\$
		BEGIN
			FOR i IN 1 .. $count LOOP
				PERFORM atomix.lock_try($session, '$name ' || i);
				COMMIT;
			END LOOP;
		END \$\$});
	return $session;
}

sub count_locks
{
	return sql("SELECT count(*) FROM atomix.locks WHERE session_id = $_[0]");
}

$one = new_collector(300, 'many');
is(count_locks($one), 300, 'a session has 300 locks');
is(sql("SELECT atomix.close_session($one)"), 't', 'it is closed');
ok(await_state($node, $one, 'closed'), 'and the worker finishes that');
is(count_locks($one), 0, 'all locks are free');

$one = new_collector(300, 'guarded');
$guarded = $node->background_psql('postgres', on_error_stop => 0);
$guarded->query_safe("BEGIN; SELECT count(atomix.assert_lock(name, token))
	FROM (SELECT * FROM atomix.locks WHERE session_id = $one ORDER BY service_id LIMIT 200) l");
sql("SELECT atomix.close_session($one)");
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 200 FROM atomix.locks WHERE session_id = $one"),
	'guarded locks are not in the way of the others');
is(session_state($node, $one), 'closing', 'the session is closing so long');
$guarded->query_safe('COMMIT');
ok(await_state($node, $one, 'closed'), 'and closed when the guard is over');
is(count_locks($one), 0, 'and all locks are free');

#
# hold() waits for a grant, and is waited for.
#

$one = new_holder('1 h', 'held');
my $token = sql("SELECT token FROM atomix.locks WHERE name = 'held'");
my $hold_pid = $waiter->query_safe('SELECT pg_backend_pid()');
$waiter->query_safe('BEGIN');
start_query($waiter, "SELECT atomix.hold('held') > $token");
ok(await_waiting($node, $hold_pid, 'Extension Extension'), 'hold waits for the holder');
$ticket = queue($two, 'held');
sql("SELECT atomix.lock_cancel($two, 'held', $ticket)");
pass('meanwhile others queue and go');
release($one, 'held');
like($waiter->query(''), qr/^t$/m, 'hold has it after the release, with a newer token');
$ticket = queue($two, 'held');
is(wait_ticket($two, $ticket, '0'), 'f', 'nobody is granted what is held');
$waiter->query_safe('ROLLBACK');
is(wait_ticket($two, $ticket, '1 min'), 't', 'until the hold is over');
release($two, 'held');

# A hold that only began to wait leaves nobody behind.
$one = new_holder('10 s', 'held');
$waiter->query_safe('BEGIN');
start_query($waiter, "SELECT atomix.hold('held') > $token");
await_waiting($node, $hold_pid, 'Extension Extension');
advance_clock($node, '20 s');
like($waiter->query(''), qr/^t$/m, 'hold has it after the holder expired');

$waiter->query_safe('COMMIT');

# It does not take part in passing the lock on: then it would have to wait for
# its own transaction.
$one = new_holder('10 s', 'held');
$ticket = queue($two, 'held');
$waiter->query_safe('BEGIN');
start_query($waiter, "SELECT atomix.hold('held') > $token");
await_waiting($node, $hold_pid, 'Extension Extension');
advance_clock($node, '20 s');
is(wait_ticket($two, $ticket, '1 min'), 't', 'a hold that waits is not before who queued');
release($two, 'held');
like($waiter->query(''), qr/^t$/m, 'but after');
$waiter->query_safe('COMMIT');

is( psql_sqlstate($node, "SELECT atomix.lock_try($two, 'held');
	SET lock_timeout = '100 ms'; SELECT atomix.hold('held')"),
	'55P03', 'it honours lock_timeout');
release($two, 'held');

#
# Nobody may idle for longer than max_hold with a guard or a hold.
#

$one = new_holder('1 h', 'idle');
for my $call ("atomix.assert_lock('idle', (SELECT token FROM atomix.locks WHERE name = 'idle'))",
	"atomix.hold('free')")
{
	my ($name) = $call =~ /(\w+)\(/;

	is(sql("BEGIN; SELECT FROM (SELECT $call) x; SHOW idle_in_transaction_session_timeout")
		  =~ s/\s//gr, '1min', "$name sets a limit to idling");
	sql('COMMIT');
	is(sql('SHOW idle_in_transaction_session_timeout'), '0', 'for that transaction only');
	is( sql("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '7 s';
			SELECT FROM (SELECT $call) x; SHOW idle_in_transaction_session_timeout")
		  =~ s/\s//gr, '7s', 'a lower one stays');
	sql('COMMIT');
}
$node->safe_psql('postgres', "ALTER SYSTEM SET atomix.max_hold = '300 ms'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.max_hold') = '300ms'");
$guarded = $node->background_psql('postgres', on_error_stop => 0);
$guardian = $guarded->query_safe('SELECT pg_backend_pid()');
$guarded->query("SHOW atomix.max_hold");
$guarded->query_safe("BEGIN; SELECT atomix.assert_lock('idle', token)
	FROM atomix.locks WHERE name = 'idle'");
is(release($one, 'idle'), 't', 'a guard that idles keeps nobody for longer');
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $guardian"),
	'its connection is terminated');
eval { $guarded->quit };
$node->safe_psql('postgres', 'ALTER SYSTEM RESET atomix.max_hold');
$node->reload;

#
# Without a worker, and without anybody who would start one.
#

my $launcher = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'atomix launcher'");
my $worker = await_worker($node, 'postgres');
stop_process($launcher);
sql("SELECT pg_terminate_backend($worker)");
await_no_worker($node, 'postgres');
$two = open_session($node, '1 h');
$three = open_session($node, '1 h');

$one = new_holder('10 s', 'alone');
advance_clock($node, '20 s', 1);
is(session_state($node, $one), 'opened', 'nobody ends the session');
is(try_lock($two, 'alone'), 't', 'but who wants its lock, and gets it');
is(holder('alone'), $two, 'alone');

$one = new_holder('10 s', 'helped');
$ticket = queue($two, 'helped');
advance_clock($node, '20 s', 1);
is(wait_ticket($two, $ticket, '1 min'), 't', 'and so does who waits for it');

$one = new_holder('1 h', 'late');
$first = queue($two, 'late', '5 s');
$second = queue($three, 'late');
advance_clock($node, '6 s', 1);
release($one, 'late');
is(holder('late'), $three, 'a release passes over who timed out');

$one = new_collector(200, 'left');
sql("SELECT atomix.close_session($one)");
is(session_state($node, $one), 'closing', 'a close leaves many locks to the worker');
is(try_lock($two, 'left 7'), 't', 'they are free for who wants them');
sql('SELECT atomix.tick()') for 1 .. 3;
is(session_state($node, $one), 'closed', 'tick() does the rest');
is(count_locks($one), 0, 'all locks are free');
continue_process($launcher);
await_worker($node, 'postgres', $worker);

my @errors = slurp_file($node->logfile) =~ /(?:ERROR|WARNING):  (.*)/g;
is_deeply([ grep { $_ !~ /could not hold|has expired/ } @errors ], [], 'nothing failed so far');

#
# The holder's backend is killed: its write is undone, and then the next one is
# granted.
#

$one = new_holder('10 s', 'crash');
sql("CREATE TRIGGER crash BEFORE INSERT ON report
	FOR EACH ROW EXECUTE FUNCTION atomix.fence('crash'); DROP TRIGGER fenced ON report");
$ticket = queue($two, 'crash');
($guarded, $guardian) = start_guarded('crash');
stop_process($guardian);
advance_clock($node, '20 s');
ok(await_state($node, $one, 'closing'), 'the end of a stopped holder is decided once more');
is(holder('crash'), $one, 'its grant is still there');
delete $stopped{$guardian};
kill('KILL', $guardian);
eval { $_->quit } for $psql, $other, $waiter, $guarded;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
$psql = $node->background_psql('postgres');
is(wait_ticket($two, $ticket, '1 min'), 't', 'after its death the next one has the lock');
is(sql('SELECT count(*) FROM report'), '1', 'and the write is undone');
$psql->quit;

$node->stop;
done_testing();
