# The feed of a service is its history: ordered, without duplicates or holes,
# each transaction's events together, the same on every reading, and what it
# tells adds up to the final state; whatever writers, watchers, the worker and
# the server go through.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixFeed qw(check_feed check_resume read_events replay_counter
  replay_locks replay_map watch_from);
use AtomixTest qw(advance_clock await_rest await_state await_waiting
  await_worker new_node open_session psql_sqlstate query_error start_query
  worker_pid);
use Test::More;

my $node = new_node('feeds', 'autovacuum = off', 'max_prepared_transactions = 4', 'deadlock_timeout = 20ms',
	"atomix.event_retention = '1 h'");
my $dir = PostgreSQL::Test::Utils::tempdir();
my $seed = $ENV{ATOMIX_TEST_SEED} // time;

srand($seed);
note "ATOMIX_TEST_SEED=$seed";
await_worker($node, 'postgres');

sub run { return $node->safe_psql('postgres', $_[0]); }

sub revision
{
	my ($name) = @_;

	return run("SELECT revision FROM atomix.service WHERE name = '$name'");
}

# The entries of a map, expired or not, as replay_map shows them.
sub map_state
{
	my ($name) = @_;

	return {
		map { split /=/, $_, 2 } split /\n/,
		run("SELECT key || '=' || encode(e.value, 'hex') FROM atomix.entry e
			JOIN atomix.service USING (service_id) WHERE name = '$name'")
	};
}

# The kept events of a service from a position on are sound.
sub feed_ok
{
	my ($name, $from, $what) = @_;
	my @events = read_events(\&run, $name);

	is(check_feed($from, revision($name), @events), '', "$what: a whole feed");
	return @events;
}

#
# The checker finds what it looks for.
#

my @sound = map { [ $_, 'set', undef, '3' . $_, '3' . ($_ - 1), int($_ / 2) ] } 1 .. 4;

is(check_feed(0, 4, @sound), '', 'a sound feed passes');
like(check_feed(0, 4, @sound[ 0, 2, 3 ]), qr/3 follows 1/, 'a hole is found');
like(check_feed(0, 4, @sound[ 0, 0, 1 ]), qr/1 is there twice/, 'a duplicate is found');
like(check_feed(0, 4, @sound[ 1, 0 ]), qr/2 follows 0/, 'disorder is found');
like(check_feed(0, 5, @sound), qr/ends at 4/, 'a missing end is found');
like(check_feed(1, 4, @sound), qr/1 is there twice/, 'what was seen before is found');
like(check_feed(0, undef, [ 1, 'set', undef, '', '', 7 ], [ 2, 'set', undef, '', '', 8 ],
		[ 3, 'set', undef, '', '', 7 ]),
	qr/torn apart/, 'a transaction in two parts is found');
like(check_resume(\@sound, [ 2, $sound[3] ]), qr/resumed from 2/, 'another suffix is found');
is(check_resume(\@sound, [ 2, @sound[ 2, 3 ] ]), '', 'the same is not');
ok(!eval { replay_counter(1, @sound); 1 }, 'a counter that does not add up is found');
is(replay_counter(0, @sound), 4, 'one that does is not');

#
# Registration races with writers: what commits before is state, what commits
# after is an event.
#

run("SELECT atomix.map_put_text('race', 'before', 'x')");

my $writer = $node->background_psql('postgres', on_error_stop => 0);
my $watcher = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $watcher->query_safe('SELECT pg_backend_pid()');

$writer->query_safe("BEGIN; SELECT atomix.map_put_text('race', 'open', 'x')");
start_query($watcher, "SELECT revision FROM atomix.listen_watch('race')");
await_waiting($node, $pid, 'Lock %') or die 'watch does not wait';
$writer->query_safe("SELECT atomix.map_put_text('race', 'later', 'x'); COMMIT");

my ($registered) = $watcher->query('') =~ /^(\d+)$/m;

is($registered, revision('race'), 'it comes behind the writer whose transaction is open');
my $known = map_state('race');
is(join(' ', sort keys %$known), 'before later open', 'whose changes are state by then');

# Now it is watched, but not committed: writers wait.
run("SELECT atomix.map_put_text('race2', 'before', 'x')");
my $writer_pid = $writer->query_safe('SELECT pg_backend_pid()');
$watcher->query_safe("BEGIN; SELECT * FROM atomix.watch('race2')");
start_query($writer, "SELECT atomix.map_put_text('race2', 'late', 'x')");
await_waiting($node, $writer_pid, 'Lock %') or die 'the writer does not wait';
$watcher->query_safe('COMMIT');
$writer->query_safe('SELECT 1');
is(join(' ', map { "$_->[1] $_->[2]" } feed_ok('race2', 1, 'behind a registration')),
	'inserted late', 'a writer that waits for it is told of');
# A registration that is undone lets them go on.
run("SELECT atomix.map_put_text('race3', 'k', 'x');
	BEGIN; SELECT * FROM atomix.watch('race3'); ROLLBACK;
	SELECT atomix.map_put_text('race3', 'k', 'y')");
is(run("SELECT count(*) FROM atomix.event JOIN atomix.service USING (service_id)
		WHERE name = 'race3'"), '0', 'nobody is told where the registration was undone');

#
# One snapshot: a transaction that sees an old state gets no newer position.
#

my $own = open_session($node, '1 h');

for my $case (
	[ 'old', "map_put_text('old', 'k', 'x')", "map_put_text('old', 'k', 'y')" ],
	[ 'old lock', "lock_acquire($own, 'old lock')", "lock_release($own, 'old lock')" ],
	[ 'old counter', "counter_set('old counter', 1)", "counter_set('old counter', 2)" ])
{
	my ($name, $before, $after) = @$case;

	run("SELECT atomix.$before");
	$watcher->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	run("SELECT atomix.$after");
	like(query_error($watcher, "\\set VERBOSITY sqlstate\nSELECT * FROM atomix.listen_watch('$name')"),
		qr/40001/, "$name: it cannot register after a change it does not see");
	$watcher->query('ROLLBACK;');
	$watcher->query_safe(
		"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM atomix.watch('$name'); COMMIT");
}
# Watched by another meanwhile: its position is that of its snapshot, or none.
run("SELECT atomix.map_put_text('old2', 'k', 'x')");
$watcher->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
run("SELECT atomix.watch('old2'); SELECT atomix.map_put_text('old2', 'k', 'y')");
like(query_error($watcher, "SELECT * FROM atomix.watch('old2')"), qr/40001/,
	'nor after another did');
$watcher->query('ROLLBACK;');
$watcher->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
my $position = revision('old2');
run("SELECT atomix.map_put_text('old2', 'k', 'z')");
is($watcher->query_safe("SELECT revision, atomix.map_get_text('old2', 'k')
	FROM atomix.listen_watch('old2')"), "$position|y", 'position and state are of one snapshot');
is($watcher->query_safe("SELECT count(*) FROM atomix.watch('old2', $position)"), '0',
	'which knows no later event');
like(query_error($watcher, "SELECT atomix.map_put_text('old2', 'l', 'x')"), qr/40001/,
	'and must not write behind others');
$watcher->query('ROLLBACK;');
is(run("SELECT string_agg(convert_from(value, 'UTF8'), ' ') FROM atomix.watch('old2', $position)"),
	'z', 'a later one reads on');

#
# Writers that roll back, at random; watchers that come back at random; the
# worker killed and the server restarted at once in the middle.
#

my $session = open_session($node, '1 h');

run("SELECT atomix.map_put_text('m', 'k1', 'first'), atomix.counter_set('c', 5)");
run("SELECT atomix.lock_release($session, 'l') FROM atomix.lock_try($session, 'l')");
run('SELECT revision FROM ' . "atomix.listen_watch('$_')") for 'm', 'c', 'l';

my %start = map { $_ => revision($_) } 'm', 'c', 'l';
my $map_before = map_state('m');

# A file of transactions for one writer.
sub script
{
	my ($n) = @_;
	my $own = open_session($node, '1 h');
	my $sql = '';

	for (1 .. 150)
	{
		$sql .= rand() < 0.1 ? "BEGIN ISOLATION LEVEL REPEATABLE READ;\n" : "BEGIN;\n";
		for (1 .. 1 + int(rand(3)))
		{
			my $key = 'k' . int(rand(6));
			my @choices = (
				"SELECT atomix.map_put_text('m', '$key', 'w$n-$_-" . int(rand(1000)) . "');\n",
				"SELECT atomix.map_remove('m', '$key');\n",
				"SELECT atomix.map_insert_text('m', '$key', 'i$n');\n",
				"SELECT atomix.counter_increment('c', 1 + $n);\n",
				"SELECT atomix.lock_acquire($own, 'l');\n",
				"SELECT atomix.lock_release($own, 'l'), atomix.lock_cancel($own, 'l', ticket)
					FROM atomix.lock_acquire($own, 'l');\n");
			my $one = $choices[ int(rand(@choices)) ];

			$one = "SAVEPOINT s;\n$one" . (rand() < 0.5 ? "ROLLBACK TO s;\n" : "RELEASE s;\n")
			  if rand() < 0.4;
			$sql .= $one;
		}
		$sql .= "SELECT atomix.map_clear('m');\n" if rand() < 0.03;
		$sql .= rand() < 0.25 ? "ROLLBACK;\n" : "COMMIT;\n";
	}
	PostgreSQL::Test::Utils::append_to_file("$dir/writer$n.sql", $sql);
	return "$dir/writer$n.sql";
}

# Writers of the scripts, as processes.
sub start_writers
{
	my (@scripts) = @_;

	return map {
		IPC::Run::start([ 'psql', '-qXAt', '-d', $node->connstr('postgres'), '-f', $_ ],
			'>', "$_.out", '2>', "$_.err")
	} @scripts;
}

my %read = map { $_ => [] } keys %start;
my %again = map { $_ => [] } keys %start;

# A watcher comes, at its position or at any it had before, reads some, and
# is gone.
sub look
{
	for my $name (keys %start)
	{
		my $events = $read{$name};
		my $from = @$events ? $events->[-1][0] : $start{$name};

		push @$events, watch_from(\&run, $name, $from, 1 + int(rand(40)));
		next unless @$events && rand() < 0.5;
		$from = $events->[ int(rand(@$events)) ][0] - 1;
		push @{ $again{$name} }, [ $from, watch_from(\&run, $name, $from, 30) ];
	}
	return;
}

my $round = 0;

for my $interruption ('worker', 'server', 'none')
{
	my @running = start_writers(map { script($round++) } 1 .. 2);
	my $looks = 0;

	while (grep { $_->pumpable } @running)
	{
		look();
		next unless $looks++ == 0;
		if ($interruption eq 'worker')
		{
			run('SELECT pg_terminate_backend(' . worker_pid($node, 'postgres') . ')');
		}
		elsif ($interruption eq 'server')
		{
			$node->stop('immediate');
			$node->start;
		}
	}
	$_->finish for @running;
	pass("writers and watchers, interrupted: $interruption");
}
for my $name (sort keys %start)
{
	my $newest = revision($name);

	while ((@{ $read{$name} } ? $read{$name}[-1][0] : $start{$name}) < $newest)
	{
		my @more = watch_from(\&run, $name,
			@{ $read{$name} } ? $read{$name}[-1][0] : $start{$name});

		last if !@more;
		push @{ $read{$name} }, @more;
	}
	cmp_ok(scalar(@{ $read{$name} }), '>', 20, "$name: much has happened");
	is(check_feed($start{$name}, $newest, @{ $read{$name} }), '',
		"$name: ordered, whole, without duplicates");
	is(check_resume([ feed_ok($name, $start{$name}, $name) ], [ $start{$name}, @{ $read{$name} } ]),
		'', "$name: what was read is what is kept, each transaction in one piece");
	is(check_resume($read{$name}, @{ $again{$name} }), '',
		"$name: what was read again is the same");
}
is_deeply(replay_map($map_before, @{ $read{m} }), map_state('m'),
	'the events of the map add up to its state');
is(replay_counter(5, @{ $read{c} }), run("SELECT atomix.counter_get('c')"),
	'those of the counter to its value');
is_deeply(
	replay_locks({}, @{ $read{l} }),
	{
		map { split /=/ } split /\n/,
		run("SELECT session_id || '=' || CASE WHEN position < 0 THEN 'granted' ELSE 'queued' END
			FROM atomix.claim JOIN atomix.service USING (service_id) WHERE name = 'l'")
	},
	'those of the lock to its claims');

#
# What nobody calls for: expiry, clear, the end of a session, and a prepared
# transaction's commit.
#

# Types and keys of the events after a position.
sub news
{
	my ($name, $from) = @_;

	return join(' ', map { $_->[1] . '(' . ($_->[2] // '') . ')' }
		  watch_from(\&run, $name, $from));
}

run("SELECT atomix.watch('t') FROM atomix.map_put_text('t', 'short', 'x', '5 s')");
$position = revision('t');
my $t_state = map_state('t');
advance_clock($node, '6 s');
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM atomix.watch('t', $position)")
  or die 'the worker removes nothing';
is(news('t', $position), 'expired(short)', 'an expiry is an event');
run("SELECT atomix.map_put_text('t', k, 'x', '5 s') FROM unnest('{a,b}'::text[]) AS k");
# The service is in use, so that the worker leaves it.
$writer = $node->background_psql('postgres');
$writer->query_safe("BEGIN; SELECT atomix.map_put_text('t', 'c', 'x')");
advance_clock($node, '6 s');
$writer->query_safe("SELECT atomix.map_put_text('t', 'a', 'y'); SELECT atomix.map_clear('t'); COMMIT");
is(news('t', $position),
	'expired(short) inserted(a) inserted(b) inserted(c) expired(a) inserted(a) expired(b) removed(a) removed(c)',
	'so is that of an entry that is written or cleared before the worker came');
is_deeply(replay_map($t_state, feed_ok('t', $position, 'a map that expires')), map_state('t'),
	'and they add up');

# Where nobody watches, the worker removes beside writers.
run("SELECT atomix.map_put_text('busy', 'short', 'x', '5 s')");
$writer->query_safe("BEGIN; SELECT atomix.map_put_text('busy', 'k', 'x')");
advance_clock($node, '6 s');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM atomix.entry WHERE key = 'short'"),
	'entries of a map that is in use expire');
$writer->query_safe('COMMIT');

my ($first, $second) = map { open_session($node, $_) } '1 h', '10 min';
run("SELECT atomix.lock_try($first, 'own'), atomix.watch('own')");
$position = revision('own');
run("SELECT atomix.lock_acquire($second, 'own')");
run("SELECT atomix.close_session($first)");
is(news('own', $position), "queued($second) released($first) granted($second)",
	'the end of a session is told, and who comes next');
advance_clock($node, '11 min');
# By tick, for a worker that nobody woke looks now and then only.
$node->poll_query_until('postgres', "SELECT state = 'expired' FROM atomix.sessions, atomix.tick()
	WHERE session_id = $second") or die 'it does not expire';
is(news('own', $position), "queued($second) released($first) granted($second) released($second)",
	'so is its expiry');
feed_ok('own', $position, 'locks of sessions that ended');

run("SELECT atomix.map_put_text('p', 'k', 'x'); SELECT * FROM atomix.watch('p')");
$position = revision('p');
run("BEGIN; SELECT atomix.map_put_text('p', 'k', 'y'); PREPARE TRANSACTION 'p'");
is(news('p', $position), '', 'a prepared transaction is not told');
$node->stop('immediate');
$node->start;
is(news('p', $position), '', 'nor after a restart');
is(psql_sqlstate($node, "SET lock_timeout = '100ms'; SELECT atomix.map_put_text('p', 'l', 'x')"),
	'55P03', 'others wait for it, by which it keeps its place');
run("COMMIT PREPARED 'p'; SELECT atomix.map_put_text('p', 'l', 'x')");
is(news('p', $position), 'updated(k) inserted(l)', 'its commit is');
run("BEGIN; SELECT atomix.map_remove('p', 'k'); PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p'");
feed_ok('p', $position, 'prepared transactions');

#
# Nobody watches any more, and then somebody does.
#

$position = revision('p');
advance_clock($node, '2 h');
await_worker($node, 'postgres');
$node->poll_query_until('postgres',
	"SELECT watched_until IS NULL FROM atomix.service WHERE name = 'p'")
  or die 'the feed does not end';
is(run('SELECT count(*) FROM atomix.event JOIN atomix.service USING (service_id)' . " WHERE name = 'p'"),
	'0', 'events go when nobody watches');
run("SELECT atomix.map_put_text('p', 'k', 'unseen')");
is(psql_sqlstate($node, "SELECT * FROM atomix.watch('p', $position)"), 'MX007',
	'the position from before has a hole behind it');
run("SELECT revision FROM atomix.listen_watch('p')");
is(revision('p'), $position + 1, 'watching anew is a revision');
is(news('p', $position + 1), '', 'from which one can go on');
run("SELECT atomix.map_put_text('p', 'k', 'seen')");
is(psql_sqlstate($node, "SELECT * FROM atomix.watch('p', $position)"), 'MX007',
	'for good');
is(news('p', $position + 1), 'updated(k)', 'without a loss');

$writer->quit;
$watcher->quit;
$node->stop;
done_testing();
