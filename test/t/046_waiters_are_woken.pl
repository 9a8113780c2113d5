# A commit that ends a session or rings for it wakes those who wait for events
# of that session, at once and without the worker's help, and nobody else.
# What is rolled back wakes nobody; no number of rings loses a wake-up.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_no_worker await_notification
  await_worker new_node open_session query_error start_wait wait_answer);
use Test::More;

# What memory still remembers of a bucket.
my $remembered = 8;

my $node = new_node('woken', 'autovacuum = off', 'atomix.max_wait = 10min',
	'restart_after_crash = on');
my $worker = await_worker($node, 'postgres');
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
my $other = $node->background_psql('postgres', on_error_stop => 0);
my $caller = $node->background_psql('postgres', on_error_stop => 0);
my $id;

# The database's time in seconds; the caller has been connected for long, so
# that it passes quickly.
sub now
{
	return $caller->query_safe('SELECT extract(epoch FROM clock_timestamp())');
}

# A waiter is answered in time much shorter than a second, at which it would
# look by itself, in most of several rounds.
sub woken_ok
{
	my ($change, $name) = @_;
	my @took;

	for my $round (1 .. 7)
	{
		my $session = open_session($node, '10 s');

		start_wait($node, $waiter, $session, "'10 min'");
		my $began = now();
		$change->($session);
		my ($answer, $woke) = wait_answer($waiter);
		die "$name: $answer" unless $answer eq 't';
		push @took, $woke - $began;
	}
	@took = sort { $a <=> $b } @took;
	cmp_ok($took[3], '<', 0.5, "$name: the waiter is woken");
	note "$name: @took";
	return;
}

# A backend has not answered yet.
sub still_waits_ok
{
	my ($pid, $name) = @_;

	is($node->safe_psql('postgres', "SELECT state FROM pg_stat_activity WHERE pid = $pid"),
		'active', "$name: the waiter goes on waiting");
	return;
}

# What happens before does not wake the waiter, and what happens after does.
sub not_woken_ok
{
	my ($before, $after, $name) = @_;

	my $pid = start_wait($node, $waiter, $id, "'10 min'");
	$caller->query_safe($before);
	still_waits_ok($pid, $name);
	my $ringing = now();
	$caller->query_safe($after);
	my ($answer, $woke) = wait_answer($waiter);
	is($answer, 't', "$name: answered in the end");
	cmp_ok($woke, '>', $ringing, "$name: but not before");
	return;
}

#
# What wakes.
#

woken_ok(sub { $caller->query_safe("SELECT atomix.close_session($_[0])") }, 'a close');
woken_ok(sub { $caller->query_safe("SELECT atomix.end_session($_[0], 'test')") },
	"an administrator's end");
woken_ok(sub { $caller->query_safe("SELECT atomix._advance_clock('12 s')") }, 'an expiry');
woken_ok(sub { $caller->query_safe("SELECT atomix._ring($_[0])") }, 'a ring');

# A session that was rung for still lives: whoever only looks sees nothing.
$id = open_session($node, '1 h');
for my $ring (
	[ 'a ring', "SELECT atomix._ring($id)" ],
	[ 'a ring in a released savepoint',
		"BEGIN; SAVEPOINT a; SELECT atomix._ring($id); RELEASE a; COMMIT" ],
	[ 'a ring before a savepoint that was rolled back to',
		"BEGIN; SELECT atomix._ring($id); SAVEPOINT a; SELECT atomix._ring($id);
		 SELECT atomix._ring($id + 1); ROLLBACK TO a; COMMIT" ],
	[ 'a ring in a released savepoint, before another',
		"BEGIN; SAVEPOINT a; SAVEPOINT b; SELECT atomix._ring($id); RELEASE b; RELEASE a;
		 SAVEPOINT c; SELECT atomix._ring($id); ROLLBACK TO c; COMMIT" ],
	[ 'a ring by a procedure that commits',
		"DO 'BEGIN PERFORM atomix._ring($id); COMMIT; END'" ])
{
	my ($name, $sql) = @$ring;

	start_wait($node, $waiter, $id, "'10 min'");
	$caller->query_safe($sql);
	is((wait_answer($waiter))[0], 't', "$name wakes");
}

# All who wait for it, each time.
for my $round (1 .. 2)
{
	start_wait($node, $_, $id, "'10 min'") for $waiter, $other;
	$caller->query_safe("SELECT atomix._ring($id)");
	is(join('', map { (wait_answer($_))[0] } $waiter, $other), 'tt', 'all who wait are woken');
}

#
# What does not.
#

for my $nothing (
	[ 'a rollback', "BEGIN; SELECT atomix._ring($id); ROLLBACK" ],
	[ 'a rolled back close', "BEGIN; SELECT atomix.close_session($id); ROLLBACK" ],
	[ 'a savepoint that was rolled back to',
		"BEGIN; SAVEPOINT a; SELECT atomix._ring($id); ROLLBACK TO a; COMMIT" ],
	[ 'a released savepoint inside one that was rolled back to',
		"BEGIN; SAVEPOINT a; SAVEPOINT b; SELECT atomix._ring($id); RELEASE b;
		 ROLLBACK TO a; COMMIT" ],
	[ 'a block that failed',
		"DO 'BEGIN PERFORM atomix._ring($id); PERFORM 1 / 0;
			 EXCEPTION WHEN division_by_zero THEN NULL; END'" ],
	[ 'a transaction that has not committed', "BEGIN; SELECT atomix._ring($id)", 'COMMIT' ],
	[ 'a renewal', "SELECT atomix.keep_alive($id)" ],
	[ 'another session', "SELECT atomix._ring($id + 1)" ])
{
	my ($name, $before, $after) = @$nothing;

	not_woken_ok($before, $after // "SELECT atomix._ring($id)", $name);
}

# A transaction that failed.
start_wait($node, $waiter, $id, "'10 min'");
like(query_error($caller, "BEGIN; SELECT atomix._ring($id); SELECT 1 / 0; COMMIT"),
	qr/division by zero/, 'a transaction fails');
my $ringing = now();
$caller->query_safe("SELECT atomix._ring($id)");
cmp_ok((wait_answer($waiter))[1], '>', $ringing, 'a failed transaction wakes nobody');

#
# Only those meant, whatever shares memory with them.
#

# The bucket a session falls into: the hash is that of its eight bytes.
my $native = unpack('C', pack('q', 1)) == 1 ? 'reversed' : 'plain';
$node->safe_psql('postgres', qq{
	CREATE FUNCTION bucket(id bigint, dbname text) RETURNS bigint LANGUAGE sql AS \$\$
		SELECT hashmacaddr8extended((
			SELECT string_agg(lpad(to_hex(get_byte(int8send(id), i)), 2, '0'), ''
				ORDER BY CASE '$native' WHEN 'reversed' THEN 7 - i ELSE i END)
			FROM generate_series(0, 7) i)::macaddr8, d.oid::bigint) & 127
		FROM pg_database d WHERE d.datname = dbname \$\$;
	CREATE TABLE crowd AS
		SELECT id, bucket(id, 'postgres') AS bucket
		FROM (SELECT atomix.open_session('1 h', 'crowd') AS id
			FROM generate_series(1, 1500) OFFSET 0) s;
	ANALYZE crowd});
my @bucket = split /\n/, $node->safe_psql('postgres', q{
	SELECT id FROM crowd WHERE bucket = (
		SELECT bucket FROM crowd GROUP BY bucket ORDER BY count(*) DESC LIMIT 1)
	ORDER BY id});
cmp_ok(scalar(@bucket), '>', $remembered + 2, 'sessions share a bucket');
$id = shift @bucket;

not_woken_ok("SELECT atomix._ring($bucket[0])", "SELECT atomix._ring($id)",
	'a ring in the same bucket');
not_woken_ok("BEGIN; SELECT atomix._ring(s) FROM unnest(ARRAY["
	  . join(',', @bucket[ 0 .. $remembered - 2 ])
	  . "]) s; COMMIT", "SELECT atomix._ring($id)", 'several rings in the same bucket');
not_woken_ok("SELECT count(atomix._ring(id)) FROM crowd
	WHERE bucket <> bucket($id, 'postgres')", "SELECT atomix._ring($id)",
	'a ring for everybody else');

# Two that wait in one bucket: each gets its own.
start_wait($node, $waiter, $id, "'10 min'");
start_wait($node, $other, $bucket[0], "'10 min'");
$caller->query_safe("SELECT atomix._ring($bucket[0])");
is((wait_answer($other))[0], 't', 'one of two in a bucket is woken');
$ringing = now();
$caller->query_safe("SELECT atomix._ring($id)");
cmp_ok((wait_answer($waiter))[1], '>', $ringing, 'the other one later');

# More rings than the bucket remembers, the one that is meant first.  Were the
# memory of it to be relied upon, the waiter would often miss it.
for my $round (1 .. 5)
{
	start_wait($node, $waiter, $id, "'10 min'");
	$caller->query_safe("SELECT atomix._ring(s) FROM unnest(ARRAY["
		  . join(',', $id, @bucket[ 0 .. $remembered + 1 ]) . "]) s");
	is((wait_answer($waiter))[0], 't', 'rings that were forgotten lose no wake-up');
}

#
# More rings than the queue to the worker takes.
#

sub overflow_ok
{
	my ($name) = @_;

	start_wait($node, $waiter, $id, "'10 min'");
	start_wait($node, $other, $bucket[0], "'10 min'");
	is($caller->query_safe("BEGIN; SELECT atomix._ring($id);
			SELECT count(atomix._ring(g)) FROM generate_series(1, 5000) g;
			SELECT atomix._ring($bucket[0]); COMMIT"),
		"\n5000\n", "$name: a transaction rings 5000 times");
	is(join('', map { (wait_answer($_))[0] } $waiter, $other), 'tt',
		"$name: the first and the last are woken");
	return;
}

overflow_ok('with a worker');

#
# Another database, and its sessions in the same bucket.
#

$node->safe_psql('postgres', 'CREATE DATABASE neighbour');
$node->safe_psql('neighbour', 'CREATE EXTENSION atomix');
my ($both) = $node->safe_psql('postgres', q{
	SELECT id FROM crowd WHERE bucket = bucket(id, 'neighbour') LIMIT 1});
$both ||= $id;
my $neighbour = $node->background_psql('neighbour');
my $pid = start_wait($node, $waiter, $both, "'10 min'");
$neighbour->query_safe("SELECT atomix._ring($both)");
still_waits_ok($pid, 'a ring in another database');
$ringing = now();
$caller->query_safe("SELECT atomix._ring($both)");
cmp_ok((wait_answer($waiter))[1], '>', $ringing, 'another database wakes nobody here');
$neighbour->quit;

#
# Waiters that go away.
#

for my $end ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $gone = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = start_wait($node, $gone, $id, "'10 min'");

	start_wait($node, $waiter, $id, "'10 min'");
	$caller->query_safe("SELECT $end($pid)");
	$node->poll_query_until('postgres', qq{
		SELECT count(*) = 0 FROM pg_stat_activity
		WHERE pid = $pid AND state = 'active'});
	$caller->query_safe("SELECT atomix._ring($id)");
	is((wait_answer($waiter))[0], 't', "$end of one waiter does not harm another");
	eval { $gone->quit };
}

#
# Without a worker, and without anybody who would start one.
#

$worker = await_worker($node, 'postgres');
my $launcher = $node->safe_psql('postgres', q{
	SELECT pid FROM pg_stat_activity WHERE backend_type = 'atomix launcher'});
kill('STOP', $launcher) or die "could not stop the launcher: $!";
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
await_no_worker($node, 'postgres');

overflow_ok('without a worker') for 1 .. 2;
woken_ok(sub { $caller->query_safe("SELECT atomix.close_session($_[0])") },
	'a close without a worker');

# The worker, when it is back, tells of what the queue still holds.
my $listener = $node->background_psql('postgres');
$listener->query_safe(qq{LISTEN "atomix_session_$bucket[0]"});
$caller->query_safe("SELECT atomix._ring($bucket[0])");
kill('CONT', $launcher) or die "could not continue the launcher: $!";
$worker = await_worker($node, 'postgres', $worker);
like((await_notification($listener, qr/./))[0], qr/^$bucket[0] \d+$/,
	'the next worker tells of the latest rings');
$listener->quit;

#
# A crash.
#

$pid = start_wait($node, $waiter, $id, "'10 min'");
start_wait($node, $other, $bucket[0], "'10 min'");
kill('KILL', $pid) or die "could not kill the waiter: $!";
foreach my $psql ($waiter, $other, $caller)
{
	eval { $psql->quit };
}
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
await_worker($node, 'postgres', $worker);
$waiter = $node->background_psql('postgres');
$caller = $node->background_psql('postgres');
start_wait($node, $waiter, $id, "'10 min'");
$caller->query_safe("SELECT atomix._ring($id)");
is((wait_answer($waiter))[0], 't', 'it works after a crash');
start_wait($node, $waiter, $id, "'10 min'");
$caller->query_safe("SELECT atomix.close_session($id)");
is((wait_answer($waiter))[0], 't', 'for ends as well');

$waiter->quit;
$caller->quit;
$node->stop;
done_testing();
