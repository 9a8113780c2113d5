# Whoever waits for events of a session hears of its streams: at once while
# outputs are not acknowledged, and when a transaction commits changes of a
# service that the session streams, with the worker or without, however many
# rings there are, and after waits that were cut short.  Listeners of the
# session are told by the worker.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_no_worker await_rest await_state
  await_waiting await_worker new_node notifications open_session query_error start_query
  start_wait wait_answer);
use AtomixWire qw(counter_input election_input map_input);
use Test::More;

# Only the test's clock lets the longest interval pass.
my $node = new_node('wakes', 'autovacuum = off', 'atomix.max_wait = 10min',
	"atomix.hint_interval = '60 s'", 'max_prepared_transactions = 2');
my $worker = await_worker($node, 'postgres');
my ($waiter, $caller, $other, $listener) =
  map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 4;
my $wire = AtomixWire->new($node->background_psql('postgres', on_error_stop => 0));
my $session = $wire->open_session(86400);
my $silent = $wire->open_session(86400);

sub run { return $node->safe_psql('postgres', $_[0]); }

# The database's time in seconds.
sub now { return $caller->query_safe('SELECT extract(epoch FROM clock_timestamp())'); }

# Acknowledge all that there is.
sub acknowledge
{
	run("SELECT atomix.ack(s.session_id, s.sequence_num, max(o.output_num))
		FROM atomix.streams s, LATERAL atomix.fetch_outputs(s.session_id, s.sequence_num) o
		GROUP BY s.session_id, s.sequence_num");
	return;
}

my ($map, $counter, $election) =
  map { $wire->create($session, $_, $_) } 'map', 'counter', 'election';
$wire->create($session, 'map', 'not streamed');

my $number = 0;

for my $input (
	map_input($session, $map, 'events', { key => 'k' }),
	counter_input($session, $counter, 'events'),
	election_input($session, $election, 'watch'))
{
	is($wire->apply($input, number => ++$number)->{status}, 'OK', "stream $number");
}

#
# What there is already
#

my $answers = 'SELECT ' . join(', ', map { "atomix.wait_events($session, '$_')" } '0', '10 min', '10 min');

is(run($answers), 't|t|t', 'true while outputs are not acknowledged, again and again');
acknowledge();
is(run("SELECT atomix.wait_events($session, '0')"), 'f', 'false when all are');
run("SELECT atomix.map_put_text('map', 'k', '1')");
is(run($answers), 't|t|t', 'true for an event of before');
is(run("SELECT atomix.wait_events($silent, '100 ms')"), 'f', 'not for another session');
$caller->query_safe("BEGIN; SELECT atomix.ack($session, 1, 2)");
is($caller->query_safe("SELECT atomix.wait_events($session, '0')"), 'f',
	'who acknowledges has nothing more');
is(run("SELECT atomix.wait_events($session, '0')"), 't', 'others have');
$caller->query_safe('ROLLBACK');
is(run("SELECT atomix.wait_events($session, '0')"), 't', 'so have all after a rollback');
acknowledge();

#
# What comes
#

# A waiter is answered in time much shorter than a second, at which it would
# look by itself, in most of several rounds.
sub woken_ok
{
	my ($change, $name) = @_;
	my @took;

	for my $round (1 .. 5)
	{
		start_wait($node, $waiter, $session, "'10 min'");
		my $began = now();
		$caller->query_safe($change);
		my ($answer, $woke) = wait_answer($waiter);
		die "$name: $answer" unless $answer eq 't';
		push @took, $woke - $began;
		acknowledge();
	}
	@took = sort { $a <=> $b } @took;
	cmp_ok($took[2], '<', 0.5, "$name: the waiter is woken");
	note "$name: @took";
	return;
}

my $put = "SELECT atomix.map_put_text('map', 'k', clock_timestamp()::text)";

sub all_wake
{
	my ($name) = @_;

	woken_ok($put, "map$name");
	woken_ok("SELECT atomix.counter_increment('counter')", "counter$name");
	woken_ok("SELECT atomix.election_enter($silent, 'election', 'x'),
		atomix.election_withdraw($silent, 'election')", "election$name");
	return;
}

all_wake('');

# Other services, other keys, what is rolled back
my $pid = start_wait($node, $waiter, $session, "'10 min'");
for my $change (
	"SELECT atomix.map_put_text('not streamed', 'k', '1')",
	"SELECT atomix.map_put_text('map', 'l', clock_timestamp()::text)",
	"BEGIN; $put; SELECT atomix.counter_increment('counter'); ROLLBACK",
	"BEGIN; SAVEPOINT s; $put; ROLLBACK TO s; COMMIT")
{
	$caller->query_safe($change);
	is(run("SELECT state FROM pg_stat_activity WHERE pid = $pid"), 'active', "not woken by $change");
}
my $began = now();
$caller->query_safe($put);
my ($answer, $woke) = wait_answer($waiter);
is($answer, 't', 'woken in the end');
cmp_ok($woke, '>', $began, 'but not before');
acknowledge();
start_wait($node, $waiter, $session, "'500 ms'");
$caller->query_safe("SELECT atomix.map_put_text('not streamed', 'k', '2'),
	atomix.map_put_text('map', 'l', clock_timestamp()::text)");
is((wait_answer($waiter))[0], 'f', 'false when the time is over');

# What is not heard of is found by looking: the answer is not in time, but long
# before the time is over.
sub found_ok
{
	my ($change, $name) = @_;
	my $pid = start_wait($node, $waiter, $session, "'20 s'");
	my $began = now();

	$change->($pid);
	my ($answer, $woke) = wait_answer($waiter);
	is($answer, 't', "$name: true");
	cmp_ok($woke - $began, '<', 15, "$name: before the time is over");
	acknowledge();
	return;
}

# Of a stream the waiter does not know, and of the commit of a prepared
# transaction, nobody rings.
found_ok(sub { $wire->apply(counter_input($session, $counter, 'events'), number => ++$number) },
	'a stream that is opened meanwhile');
run("BEGIN; $put; PREPARE TRANSACTION 'p'");
found_ok(sub { run("COMMIT PREPARED 'p'") }, 'the commit of a prepared transaction');
found_ok(sub { run("SELECT atomix.delete_service('election')") }, 'the end of a stream');
$election = $wire->create($session, 'election', 'election');
$wire->apply(election_input($session, $election, 'watch'), number => ++$number);
acknowledge();

#
# Waits that are cut short leave nothing behind: a process that does not wait
# any more is not woken from its sleep.
#

# Times that a process has gone to sleep.
sub sleeps
{
	my ($pid) = @_;

	open my $status, '<', "/proc/$pid/status" or return 0;
	my ($count) = map { /^voluntary_ctxt_switches:\s+(\d+)/ } <$status>;
	close $status;
	return $count;
}

# What the backend that has ceased to wait does while others ring.
sub undisturbed_ok
{
	my ($pid, $name) = @_;
	my $before = sleeps($pid);

	for my $n (1 .. 30)
	{
		$caller->query_safe("SELECT atomix._ring($session)");
		$caller->query_safe("SELECT atomix.counter_increment('counter')");
	}
	cmp_ok(sleeps($pid) - $before, '<', 15, "$name: it is left alone");
	acknowledge();
	return;
}

sub cancel
{
	my ($pid) = @_;

	run("SELECT pg_cancel_backend($pid)");
	$waiter->query('');
	$waiter->{stderr} = '';
	return;
}

# It is woken while it waits.
$pid = start_wait($node, $waiter, $silent, "'10 min'");
run("SELECT pg_cancel_backend($pid)");
like((wait_answer($waiter))[0], qr/canceling statement due to user request/, 'a wait is cancelled');
undisturbed_ok($pid, 'cancelled');
woken_ok($put, 'after that');
start_wait($node, $waiter, $session, "'1 s'");
is((wait_answer($waiter))[0], 'f', 'a wait ends');
undisturbed_ok($pid, 'ended');

# In a block that catches it, in a transaction that goes on
$waiter->query_safe(qq{BEGIN;
	CREATE FUNCTION pg_temp.try_wait(s bigint) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		RETURN atomix.wait_events(s, '10 min');
	EXCEPTION WHEN query_canceled THEN
		RETURN 'canceled';
	END \$\$});
start_query($waiter, "SELECT pg_temp.try_wait($session)");
await_waiting($node, $pid, 'Extension Extension') or die 'nobody waits';
run("SELECT pg_cancel_backend($pid)");
like($waiter->query(''), qr/canceled/, 'the cancellation of a wait is caught');
undisturbed_ok($pid, 'caught');
start_query($waiter, "SELECT pg_temp.try_wait($session)");
await_waiting($node, $pid, 'Extension Extension') or die 'nobody waits';
$caller->query_safe($put);
like($waiter->query(''), qr/true/, 'it can wait again');
$waiter->query_safe('COMMIT');
acknowledge();
$waiter->query_safe("SET statement_timeout = '100 ms'");
like(query_error($waiter, "SELECT atomix.wait_events($session, '10 min')"),
	qr/canceling statement due to statement timeout/, 'a wait times out');
$waiter->query_safe('RESET statement_timeout');
undisturbed_ok($pid, 'timed out');
woken_ok($put, 'after that, too');

#
# More rings than are remembered, or fit into the queue, while the waiter is
# kept from looking.
#

sub overflow
{
	my ($pid) = @_;

	kill('STOP', $pid) or die "could not stop the waiter: $!";
	$caller->query_safe("BEGIN; $put; SELECT count(atomix._ring(n)) FROM generate_series(1, 50000) AS n; COMMIT");
	kill('CONT', $pid) or die "could not continue the waiter: $!";
	return;
}

found_ok(\&overflow, '50000 rings');

#
# Nobody keeps what was read while waiting.
#

# Bytes that a backend uses, as it says itself.
sub bytes_used
{
	my ($pid) = @_;
	my $from = -s $node->logfile;

	run("SELECT pg_log_backend_memory_contexts($pid)");
	$node->wait_for_log(qr/\[$pid\].*Grand total/, $from);
	PostgreSQL::Test::Utils::slurp_file($node->logfile, $from) =~
	  /\[$pid\].*Grand total: .*; (\d+) used/;
	return $1;
}

$pid = start_wait($node, $waiter, $session, "'10 min'");
my $used = bytes_used($pid);
$caller->query_safe("SET synchronous_commit = off;
	DO \$\$ BEGIN FOR n IN 1 .. 2000 LOOP
		PERFORM atomix.map_put_text('map', 'l', n::text); COMMIT;
	END LOOP; END \$\$;
	RESET synchronous_commit");
cmp_ok(bytes_used($pid) - $used, '<', 500_000, 'a wait beside a busy service');
$caller->query_safe($put);
is((wait_answer($waiter))[0], 't', 'which ends');
acknowledge();

#
# Listeners
#

# What the worker says once the interval has passed; it has said all when it
# rests.
sub told
{
	advance_clock($node, '61 s');
	await_rest($node);
	return join(',', sort { $a cmp $b } notifications($listener));
}

$listener->query_safe(qq{LISTEN "atomix_session_$_"}) for $session, $silent;
advance_clock($node, '61 s');
told();

my $version = run("SELECT version FROM atomix.session WHERE session_id = $session");

is(told(), '', 'nothing is told while nothing happens');
$caller->query_safe($put);
is(told(), "$session $version", 'a session with a stream is told of a change');
$caller->query_safe("$put; SELECT atomix.counter_increment('counter')") for 1 .. 3;
is(told(), "$session $version", 'once of many');
acknowledge();
is(told(), '', 'nothing of an acknowledgement');
$caller->query_safe("SELECT atomix.map_put_text('not streamed', 'k', '3')");
is(told(), '', 'nor of what nobody streams or watches');
$caller->query_safe("BEGIN; $put; ROLLBACK");
is(told(), '', 'nor of what is rolled back');
run("SELECT atomix.ack($session, n) FROM generate_series(1, $number) AS n");
told();
$caller->query_safe($put);
is(told(), '', 'nor when its streams have ended');

# Where a lock is granted after a delay, the one who waits is told anyway, and
# those who stream or watch the lock are, too.
my ($late, $next) = map { open_session($node, $_) } '50 s', '1 d';
run("SELECT atomix.set_lock_delay('l', '50 s'), atomix.lock_try($late, 'l'), atomix.lock_acquire($next, 'l')");
my ($lock) = $listener->query_safe("SELECT channel FROM atomix.listen_watch('l')") =~ /(\d+)$/;
told();
await_state($node, $late, 'expired') or die 'no expiry';
my $revision = 1 + run("SELECT revision FROM atomix.services WHERE name = 'l'");
like(join(',', told(), told()), qr/^$lock $revision,?$/, 'a grant after a delay is told');

#
# Without a worker, and without anybody who would start one
#

run("SELECT atomix.ack($session, 100)");
$number = 101;
$wire->apply(map_input($session, $map, 'events'), number => $number++);
$wire->apply(counter_input($session, $counter, 'events'), number => $number++);
$wire->apply(election_input($session, $election, 'watch'), number => $number++);
acknowledge();

my $launcher = run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'atomix launcher'");

kill('STOP', $launcher) or die "could not stop the launcher: $!";
run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'atomix worker'");
await_no_worker($node, 'postgres');
all_wake(' without a worker');
found_ok(\&overflow, '50000 rings without a worker');
kill('CONT', $launcher) or die "could not continue the launcher: $!";

$_->quit for $waiter, $caller, $other, $listener, $wire->psql;
$node->stop;
done_testing();
