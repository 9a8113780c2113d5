# A consumer of a stream that does its work and acknowledges in one transaction
# does it once for each change, in order, without a hole, whatever writers,
# consumers, the worker and the server go through; or it is told that it fell
# behind.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixFeed qw(check_feed check_resume outputs_as_events read_events
  rebuild_counter rebuild_map);
use AtomixTest qw(advance_clock await_rest await_waiting await_worker
  new_node open_session start_query worker_pid);
use Test::More;

my $node = new_node('consumers', 'autovacuum = off', 'max_prepared_transactions = 4',
	"atomix.event_retention = '1 h'", 'wal_writer_delay = 10s');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $seed = $ENV{ATOMIX_TEST_SEED} // time;

srand($seed);
note "ATOMIX_TEST_SEED=$seed";
await_worker($node, 'postgres');

sub run { return $node->safe_psql('postgres', $_[0]); }

# Operations in bytes.
my %operation = (
	'map events' => '\x4200',
	'map replay' => '\x42021001',
	'map key' => '\x42060a026b311001',	# of k1, with replay
	'counter replay' => '\x42020801');

# The id of a session with a stream under number 1.
sub new_stream
{
	my ($type, $name, $operation, $session) = @_;

	$session //= open_session($node, '1 d');
	run("SELECT atomix.command($session, atomix.create_service($session, '$type', '$name'),
		'$operation{$operation}', 1)");
	return $session;
}

# Events out of rows of a relation that has the columns of fetch_outputs.
sub outputs
{
	my ($type, $relation, $writers) = @_;

	return outputs_as_events(
		$type,
		$writers // {},
		map { my @row = split /\|/, $_, -1; $row[2] = pack('H*', $row[2]); \@row } split /\n/,
		run("SELECT output_num, kind, encode(output, 'hex'), index FROM $relation ORDER BY output_num"));
}

sub fetched
{
	my ($session, $rows) = @_;

	return outputs('map', "atomix.fetch_outputs($session, 1, " . ($rows // 1000) . ')');
}

#
# The checker finds what it looks for.
#

my @sound = (
	[ 1, 'open' ], [ 2, 'replay', 'k', '31' ], [ 3, 'updated', 'k', '32' ],
	[ 4, 'removed', 'k', '32' ], [ 5, 'inserted', 'k', '33' ]);

is_deeply(rebuild_map(@sound), { k => '33' }, 'a sound stream adds up');
for my $case (
	[ 'a lost insert', @sound[ 0, 2 ] ],
	[ 'a lost update', @sound[ 0, 1, 3 ] ],
	[ 'a lost removal', @sound[ 0 .. 2, 4 ] ],
	[ 'a change before replay', @sound[ 0, 4, 1 ] ])
{
	my ($what, @outputs) = @$case;

	ok(!eval { rebuild_map(@outputs); 1 }, "$what is found");
}
ok( !eval { rebuild_counter([ 2, 'replay', undef, '35', '30' ], [ 3, 'updated', undef, '36', '34' ]); 1 },
	'a lost number is found');

#
# Pages: the order is that of the changes, also of those with one index.
#

run("SELECT atomix.map_put_text('clear', 'k' || n, 'x') FROM generate_series(1, 50) AS n");
my $clear = new_stream('map', 'clear', 'map replay');
run("SELECT atomix.map_clear('clear')");

my @paged;
while (my @page = fetched($clear, 7))
{
	push @paged, @page;
	run("SELECT atomix.ack($clear, 1, $page[-1][0])");
}
is(check_feed(0, 101, @paged), '', 'page by page: whole');
is_deeply(rebuild_map(@paged), {}, 'and each removal once');
is(join(' ', map { $_->[2] } @paged[ 51 .. 100 ]), join(' ', map { $_->[2] } read_events(\&run, 'clear')),
	'in the order of the changes');

#
# Writers that wait for each other: the order is that of their commits, and a
# transaction is in one piece, whoever came first.
#

my $order = new_stream('map', 'order', 'map events');
my ($one, $two) = map { $node->background_psql('postgres') } 1 .. 2;
my $pid = $two->query_safe('SELECT pg_backend_pid()');

$one->query_safe("BEGIN; SELECT atomix.map_put_text('order', 'a', '1')");
start_query($two, "SELECT atomix.map_put_text('order', 'b', '2')");
await_waiting($node, $pid, 'Lock %') or die 'the second writer does not wait';
$one->query_safe("SELECT atomix.map_put_text('order', 'c', '1'); COMMIT");
$two->query('');
is(join(' ', map { $_->[2] // $_->[1] } fetched($order)), 'open a c b', 'in the order of commits');
# What is acknowledged stands or falls with the transaction, or a part of it,
# also for the process that did it.
my $left = "SELECT string_agg(output_num::text, ' ' ORDER BY output_num) FROM atomix.fetch_outputs($order, 1)";

for my $case (
	[ "BEGIN; SELECT atomix.ack($order, 1, 3); ROLLBACK", '1 2 3 4' ],
	[ "BEGIN; SAVEPOINT s; SELECT atomix.ack($order, 1, 3); ROLLBACK TO s; COMMIT", '1 2 3 4' ],
	[ "BEGIN; SELECT atomix.ack($order, 1, 2); SAVEPOINT s; SELECT atomix.ack($order, 1, 4);
		ROLLBACK TO s; COMMIT", '3 4' ],
	[ "BEGIN; SAVEPOINT s; SELECT atomix.ack($order, 1, 3); RELEASE s; COMMIT", '4' ])
{
	my ($transaction, $expected) = @$case;

	$one->query_safe($transaction);
	is($one->query_safe($left), $expected, "$expected are left");
	is(run($left), $expected, 'for others, too');
}
$_->quit for $one, $two;

#
# Consumers at random.  Each applies what it gets to a table and acknowledges
# it in one transaction, rolls back, or loses its connection between the two.
# Two share a session, of which each takes what it can.
#

run(q{
	CREATE TABLE applied (session_id bigint, output_num bigint, kind text, output bytea, index bigint,
		consumer text DEFAULT current_setting('application_name'),
		PRIMARY KEY (session_id, output_num));
	CREATE TABLE rounds (n int);
	INSERT INTO rounds VALUES (0);
	CREATE FUNCTION fetch_some(s bigint) RETURNS bigint LANGUAGE sql AS $$
		WITH new AS (INSERT INTO applied SELECT s, o.* FROM
				atomix.fetch_outputs(s, 1, 1 + (random() * 30)::int) AS o RETURNING output_num)
			SELECT max(output_num) FROM new
	$$;
	CREATE FUNCTION take_some(s bigint) RETURNS bigint LANGUAGE sql AS $$
		WITH new AS (INSERT INTO applied SELECT s, o.output_num, o.kind, o.output, o.index FROM
				atomix.take_outputs(s, 1 + (random() * 30)::int) AS o RETURNING output_num)
			SELECT max(output_num) FROM new
	$$;
	CREATE PROCEDURE consume(s bigint, takes boolean, until int) LANGUAGE plpgsql AS $$
	DECLARE
		fetched bigint;
	BEGIN
		LOOP
			fetched := CASE WHEN takes THEN take_some(s) ELSE fetch_some(s) END;
			IF random() < 0.05 THEN
				PERFORM pg_terminate_backend(pg_backend_pid());
			END IF;
			IF fetched IS NOT NULL AND NOT takes THEN
				PERFORM atomix.ack(s, 1, fetched);
			END IF;
			IF random() < 0.05 THEN
				PERFORM pg_terminate_backend(pg_backend_pid());
			ELSIF random() < 0.15 THEN
				ROLLBACK;
				CONTINUE;
			END IF;
			COMMIT;
			IF fetched IS NULL THEN
				EXIT WHEN (SELECT n >= until FROM rounds);
				PERFORM atomix.wait_events(s, '300 ms');
				COMMIT;
			END IF;
		END LOOP;
	END $$});

run("SELECT atomix.map_put_text('m', 'k1', 'first'), atomix.map_put_text('m', 'k2', 'first'), atomix.counter_set('c', 5)");

my $plain = new_stream('map', 'm', 'map replay');
my $repeatable = new_stream('map', 'm', 'map replay');
my $filtered = new_stream('map', 'm', 'map key');
my $counting = new_stream('counter', 'c', 'counter replay');
my $shared = new_stream('map', 'm', 'map replay');
my @consumers = ($plain, $repeatable, $filtered, $counting, "$shared by one", "$shared by another");
# One that is read from here, and so remembers what it saw.
my $observer = new_stream('map', 'm', 'map replay');
my (@seen, @again);

# A psql that runs statements from a file; gone when the server or its
# connection is.
sub start_psql
{
	my ($name, $sql, @options) = @_;
	my $file = "$dir/$name.sql";

	unlink $file;
	PostgreSQL::Test::Utils::append_to_file($file, $sql);
	return IPC::Run::start([ 'psql', '-qXAt', @options, '-d', $node->connstr('postgres'), '-f', $file ],
		'>', "$file.out", '2>>', "$file.err");
}

sub start_consumer
{
	my ($consumer, $until) = @_;
	my ($session, $takes) = $consumer =~ /^(\d+)( by)?/;
	my $level = $session == $repeatable ? 'repeatable read' : 'read committed';

	return start_psql("consumer $consumer", "SET default_transaction_isolation = '$level';
		SET application_name = '$consumer';
		CALL consume($session, " . ($takes ? 'true' : 'false') . ", $until)", '-v', 'ON_ERROR_STOP=1');
}

# What consumers complain of, besides that they have to try again.
sub complaints
{
	return join('', grep { /ERROR/ && !/could not serialize/ }
		  map { split /^/, PostgreSQL::Test::Utils::slurp_file("$dir/consumer $_.sql.err") } @consumers);
}

# A file of transactions for one writer.
sub script
{
	my ($n, $durable) = @_;
	my $sql = "SET synchronous_commit = $durable;\n";

	for my $transaction (1 .. 120)
	{
		my $prepared = rand() < 0.06;

		$sql .= rand() < 0.15 ? "BEGIN ISOLATION LEVEL REPEATABLE READ;\n" : "BEGIN;\n";
		for (1 .. 1 + int(rand(3)))
		{
			my $key = 'k' . int(rand(6));
			my @choices = (
				"SELECT atomix.map_put_text('m', '$key', 'w$n-$transaction-" . int(rand(1000)) . "');\n",
				"SELECT atomix.map_put_text('m', '$key', 't$n-$transaction', '10 s');\n",
				"SELECT atomix.map_remove('m', '$key');\n",
				"SELECT atomix.map_insert_text('m', '$key', 'i$n');\n",
				"SELECT atomix.counter_increment('c', 1 + $n);\n");
			my $one = $choices[ int(rand(@choices)) ];

			$one = "SAVEPOINT s;\n$one" . (rand() < 0.5 ? "ROLLBACK TO s;\n" : "RELEASE s;\n")
			  if rand() < 0.4;
			$sql .= $one;
		}
		$sql .= "SELECT atomix.map_clear('m');\n" if rand() < 0.03;
		$sql .=
			$prepared ? "PREPARE TRANSACTION 'w$n-$transaction';\n"
		  . (rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED 'w$n-$transaction';\n"
		  : rand() < 0.25 ? "ROLLBACK;\n"
		  : "COMMIT;\n";
	}
	return $sql;
}

# Look at the observer's stream: what was there before is there still.
sub look
{
	my @outputs = fetched($observer);
	my $last = @seen ? $seen[-1][0] : 0;

	return if !@outputs;
	push @again, [ $outputs[0][0] - 1, @outputs ];
	push @seen, grep { $_->[0] > $last } @outputs;
	run("SELECT atomix.ack($observer, 1, " . $outputs[ int(rand(@outputs)) ][0] . ')') if rand() < 0.3;
	return;
}

my $writers = 0;

for my $round ([ 'worker', 'on' ], [ 'server', 'on' ], [ 'server', 'off' ], [ 'nobody', 'on' ])
{
	my ($interruption, $durable) = @$round;
	my $looks = 0;
	my %running;

	$writers += 2;
	my @writing = map { start_psql("writer$_", script($_, $durable)) } $writers - 1, $writers;
	run("UPDATE rounds SET n = n + 1");
	my $until = 1 + run('SELECT n FROM rounds');

	while (@writing || %running)
	{
		# Consumers come again until they have all that was written.
		for my $consumer (@consumers)
		{
			$running{$consumer} //= start_consumer($consumer, $until) if @writing;
		}
		look();
		advance_clock($node, '3 s');
		if ($looks++ == 2 && $interruption eq 'worker')
		{
			run('SELECT pg_terminate_backend(' . worker_pid($node, 'postgres') . ')');
		}
		elsif ($looks == 3 && $interruption eq 'server')
		{
			$node->stop('immediate');
			$node->start;
			look();
		}
		if (@writing && !grep { $_->pumpable } @writing)
		{
			$_->finish for @writing;
			@writing = ();
			# Nobody ends what a crash has left prepared.
			run("ROLLBACK PREPARED '$_'") for split /\n/, run('SELECT gid FROM pg_prepared_xacts');
			run('UPDATE rounds SET n = n + 1');
		}
		for my $consumer (grep { !$running{$_}->pumpable } keys %running)
		{
			my $done = delete($running{$consumer})->finish;

			$running{$consumer} = start_consumer($consumer, $until) if !$done && !@writing;
		}
		die 'consumers do not come to an end: ' . complaints() if $looks > 1000;
	}
	is(complaints(), '', "interrupted: $interruption, synchronous_commit $durable");
}
advance_clock($node, '1 min');
await_rest($node);
look();

my %truth = map { $_ => [ read_events(\&run, $_) ] } 'm', 'c';
my %writer_of = map { split /\|/ } split /\n/, run('SELECT DISTINCT index, xid FROM atomix.event');

# Outputs of a session's stream: those that were applied, then those that are
# left.
sub all_of
{
	my ($type, $session) = @_;

	return outputs($type, "(SELECT output_num, kind, output, index FROM applied WHERE session_id = $session
		UNION ALL SELECT * FROM atomix.fetch_outputs($session, 1, 100000)) AS o", \%writer_of);
}

# What changed, as both events and outputs say it.
sub change_text
{
	my ($event) = @_;
	my ($type, $key, $value, $before) = @$event[ 1 .. 4 ];

	return ($key // '') . (defined $value ? "=$value" : '') if $type =~ /^(updated|inserted|set)$/;
	return "$key removed, was " . ($type eq 'removed' && defined $value ? $value : $before);
}

sub consumed_ok
{
	my ($name, $changes, @outputs) = @_;
	my $last = $outputs[-1][0];

	is(check_feed(0, $last, @outputs), '', "$name: dense, ordered, each transaction in one piece");
	is_deeply(
		[ map { change_text($_) } grep { $_->[1] !~ /^(open|replay)$/ } @outputs ],
		[ map { change_text($_) } @$changes ],
		"$name: all changes in their order, $last outputs");
	return;
}

my %map = map { split /=/, $_, 2 } split /\n/,
  run("SELECT key || '=' || encode(e.value, 'hex') FROM atomix.entry e
	JOIN atomix.service USING (service_id) WHERE name = 'm'");

for my $case (
	[ 'a consumer', $plain ], [ 'one in REPEATABLE READ', $repeatable ], [ 'two that take', $shared ])
{
	my ($name, $session) = @$case;
	my @outputs = all_of('map', $session);

	consumed_ok($name, $truth{m}, @outputs);
	is_deeply(rebuild_map(@outputs), \%map, "$name: they add up");
}
my @of_key = all_of('map', $filtered);
consumed_ok('of a key', [ grep { $_->[2] eq 'k1' } @{ $truth{m} } ], @of_key);
is_deeply(rebuild_map(@of_key), { exists $map{k1} ? (k1 => $map{k1}) : () }, 'of a key: they add up');
my @of_counter = all_of('counter', $counting);
consumed_ok('of a counter', $truth{c}, @of_counter);
is(rebuild_counter(@of_counter), run("SELECT atomix.counter_get('c')"), 'of a counter: they add up');
is(run("SELECT count(DISTINCT consumer) FROM applied WHERE session_id = $shared"),
	2, 'two that take: both did');
consumed_ok('an observer', $truth{m}, @seen);
is(check_resume(\@seen, @again), '', 'what was shown once is shown again, also after a crash');
cmp_ok(scalar(@again), '>', 20, 'after many looks');
cmp_ok(scalar(@seen), '>', 100, 'of much that happened');
$node->stop;
done_testing();
