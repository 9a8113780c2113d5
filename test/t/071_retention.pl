# Events are kept for atomix.event_retention and up to
# atomix.event_retention_count; who comes later is told so, exactly at the
# boundary, and so is who comes with a position of another history.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixFeed qw(check_feed read_events watch_from);
use AtomixTest qw(advance_clock await_waiting await_worker new_node psql_sqlstate start_query);
use Test::More;

my $node = new_node('retention', 'autovacuum = off', 'atomix.worker_limit = 4',
	'max_worker_processes = 16', "atomix.event_retention = '100 s'",
	"atomix.min_session_timeout = '100 ms'");
my $dir = PostgreSQL::Test::Utils::tempdir();

await_worker($node, 'postgres');

sub run { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

# Revision and oldest of a service.
sub bounds
{
	my ($name, $dbname) = @_;

	return split /\|/,
	  run("SELECT revision, oldest FROM atomix.service WHERE name = '$name'", $dbname);
}

# Wait for a position to be the oldest one of a service.
sub await_oldest
{
	my ($name, $oldest) = @_;

	$node->poll_query_until('postgres',
		"SELECT oldest = $oldest FROM atomix.service WHERE name = '$name'")
	  or die "$name: not $oldest but " . (bounds($name))[1];
	return;
}

sub add
{
	my ($name, $count) = @_;

	run("SELECT atomix.counter_increment('$name') FROM generate_series(1, $count)");
	return;
}

# The oldest position goes on without a hole, the one before is refused.
sub boundary_ok
{
	my ($name, $what, $dbname) = @_;
	my ($revision, $oldest) = bounds($name, $dbname);
	my $run = sub { return run($_[0], $dbname) };
	my $before = $oldest - 1;

	is(check_feed($oldest, $revision, watch_from($run, $name, $oldest)), '',
		"$what: the oldest position goes on");
	is(psql_sqlstate($node, "SELECT * FROM atomix.watch('$name', $before)", $dbname), 'MX007',
		"$what: the one before does not");
	is(run("SELECT min(revision) - $oldest FROM atomix.watch('$name')", $dbname) || '1', '1',
		"$what: without a position one gets all that is kept");
	my ($stdout, $stderr);
	$node->psql($dbname // 'postgres', "SELECT * FROM atomix.watch('$name', 0)", stderr => \$stderr);
	like($stderr, qr/oldest position to go on from is $oldest\./, "$what: which is told");
	is(psql_sqlstate($node, "SELECT * FROM atomix.watch('$name', $revision)", $dbname), '00000',
		"$what: the newest is fine");
	$revision++;
	is(psql_sqlstate($node, "SELECT * FROM atomix.watch('$name', $revision)", $dbname), '22023',
		"$what: what is not there yet is not");
	return;
}

#
# Age
#

run("SELECT atomix.counter_set('age', 1); SELECT atomix.watch('age')");
add('age', 3);
boundary_ok('age', 'a new feed');
my ($early, $oldest) = bounds('age');
advance_clock($node, '60 s');
run("SELECT revision FROM atomix.listen_watch('age')");
add('age', 2);
advance_clock($node, '60 s');
await_oldest('age', $early);
boundary_ok('age', 'by age');
is(scalar(read_events(\&run, 'age')), 2, 'what is older is gone');

#
# Count
#

$node->append_conf('postgresql.conf', 'atomix.event_retention_count = 5');
$node->reload;
run("SELECT atomix.counter_set('count', 1); SELECT atomix.watch('count')");
add('count', 12);
advance_clock($node, '10 s');
await_oldest('count', (bounds('count'))[0] - 5);
boundary_ok('count', 'by count');
is(scalar(read_events(\&run, 'count')), 5, 'five are kept');
is(run("SELECT count(*) FROM atomix.watch('count', max_rows => 2)"), '2',
	'of which one may read a part');

#
# Compaction and resume at the same time: no reader sees a hole.
#

my $reader = $node->background_psql('postgres', on_error_stop => 0);
my ($position) = bounds('count');

$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
add('count', 9);
my $user = $node->background_psql('postgres');
# While somebody uses the service the worker leaves it.
$user->query_safe("BEGIN; SELECT atomix.counter_increment('count')");
advance_clock($node, '10 s');
is(check_feed($position, undef, watch_from(\&run, 'count', $position)), '',
	'a reader beside a writer and the worker');
$user->query_safe('COMMIT');
advance_clock($node, '10 s');
await_oldest('count', (bounds('count'))[0] - 5);
boundary_ok('count', 'after that');
is($reader->query_safe("SELECT count(*) FROM atomix.watch('count', $position)"), '0',
	'a snapshot from before still stands at its newest');
$reader->query_safe('COMMIT');
is(psql_sqlstate($node, "SELECT * FROM atomix.watch('count', $position)"), 'MX007',
	'but cannot go on later');

# Readers that resume while the worker compacts again and again: each gets
# events without a hole or is told.
my $torn = 0;
my $compacted = 0;
($position) = bounds('count');
for my $n (1 .. 15)
{
	add('count', 4);
	advance_clock($node, '4 s');
	my ($stdout, $stderr);
	$node->psql('postgres', "SELECT revision FROM atomix.watch('count', $position)",
		stdout => \$stdout, stderr => \$stderr);
	if ($stderr =~ /no longer kept/)
	{
		$compacted++;
		($position) = bounds('count');
		next;
	}
	my @revisions = split /\n/, $stdout;
	$torn++ if check_feed($position, undef, map { [ $_, 'set', undef, '', '', 0 ] } @revisions);
	$position = $revisions[0] if @revisions;
}
is($torn, 0, 'no reader saw a hole');
note "$compacted readers were told that they came too late";

#
# A service that somebody uses at every moment: three have it in turn, so that
# two wait while one has it.  The worker waits its turn.
#

run('CREATE TABLE over ();
	CREATE PROCEDURE use_always() LANGUAGE plpgsql AS $$
	BEGIN
	  WHILE NOT EXISTS (SELECT FROM over LIMIT 1) LOOP
	    PERFORM atomix.counter_increment(\'count\'), pg_sleep(0.001);
	    COMMIT;
	  END LOOP;
	END $$');

my @users = map { $node->background_psql('postgres') } 1 .. 3;
my $before = (bounds('count'))[1];

start_query($_, 'CALL use_always()') for @users;
$node->poll_query_until('postgres',
	"SELECT revision > $before + 100 FROM atomix.service WHERE name = 'count'")
  or die 'the users do not come on';
advance_clock($node, '10 s');
ok($node->poll_query_until('postgres', "SELECT oldest > $before + 50 FROM atomix.service WHERE name = 'count'"),
	'a service that is never free does not keep its events for ever');
run('INSERT INTO over DEFAULT VALUES');
$_->query_safe('SELECT 1') for @users;
$_->quit for @users;

#
# A pass over much that is too old goes on in small steps, between which the
# worker tells of commits, and ends sessions.
#

my $left = "SELECT count(*) FROM atomix.event WHERE service_id IN
	(SELECT service_id FROM atomix.service WHERE name LIKE 'old%')";
my $listener = $node->background_psql('postgres');
my ($rows, $heard);

run("SELECT atomix.counter_set('old' || n, 1), atomix.watch('old' || n) FROM generate_series(1, 25) AS n");
$listener->query_safe("SELECT atomix.counter_set('told', 1)");
$listener->query_safe("SELECT revision FROM atomix.listen_watch('told')");
# Forgetting takes its time here, and what goes at once is written down.
run('CREATE TABLE forgotten (n serial, service_id bigint, events int);
	CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.forgotten (service_id, events) SELECT service_id, count(*) FROM gone GROUP BY 1;
		PERFORM pg_sleep(0.05);
		RETURN NULL;
	END $$;
	CREATE TRIGGER take_time AFTER DELETE ON atomix.event REFERENCING OLD TABLE AS gone
		EXECUTE FUNCTION take_time()');
run("BEGIN;
	INSERT INTO atomix.event (service_id, revision, index, tick, at, xid, epoch, durable, type)
	SELECT service_id, s.revision + n, 1, watched_until - 300000000, now(), '3', watched_epoch, true, 'set'
	FROM atomix.service s, generate_series(1, 12000) AS n WHERE name LIKE 'old%';
	UPDATE atomix.service SET revision = revision + 12000 WHERE name LIKE 'old%';
	COMMIT");
$node->poll_query_until('postgres', "SELECT ($left) < 300000") or die 'the pass does not begin';
my $session = run("SELECT atomix.open_session('250 ms')");
run("SELECT atomix.counter_set('told', 2)");
do
{
	($rows, $heard) = split /\n/, $listener->query($left), 2;
} until $heard || !$rows;
cmp_ok($rows, '>', 50000, 'commits are told of during a long pass');
my $over;
do
{
	($rows, $over) = split /\|/, run("SELECT ($left), state = 'expired' FROM atomix.sessions
		WHERE session_id = $session");
} until $over eq 't' || !$rows;
cmp_ok($rows, '>', 0, 'and sessions end');
$node->poll_query_until('postgres', "SELECT bool_and(revision = oldest) FROM atomix.service WHERE name LIKE 'old%'")
  or die 'the pass does not end';
is(run($left), 0, 'all is forgotten that is too old');
is(run("SELECT string_agg(DISTINCT events, '|') FROM (
		SELECT string_agg(events::text, ' ' ORDER BY n) FROM forgotten
		JOIN atomix.service USING (service_id) WHERE name LIKE 'old%' GROUP BY service_id) AS s (events)"),
	'5000 5000 2000', 'in parts');
is(run('SELECT count(*) FROM (SELECT service_id IS DISTINCT FROM lag(service_id) OVER (ORDER BY n) AS other
		FROM forgotten) AS f WHERE other'),
	run('SELECT count(DISTINCT service_id) FROM forgotten'), 'one service after the other, in one pass');
$listener->quit;
run("DROP FUNCTION take_time CASCADE; DROP TABLE forgotten; SELECT atomix.delete_service(name) FROM atomix.services WHERE name LIKE 'old%'");

#
# Deletion
#

my $id = run("SELECT service_id FROM atomix.service WHERE name = 'count'");
run("SELECT atomix.delete_service('count')");
is(run("SELECT count(*) FROM atomix.event WHERE service_id = $id"), '0',
	'events go with their service');
is(psql_sqlstate($node, "SELECT * FROM atomix.watch('count', $position)"), '42704',
	'which is not watched any more');

#
# Another clock: events are kept for as long again.
#

$node->append_conf('postgresql.conf', 'atomix.event_retention_count = 1000');
$node->reload;
run("SELECT revision FROM atomix.listen_watch('age')");
add('age', 3);
($early, $oldest) = bounds('age');
run("UPDATE atomix.clock_epoch SET boot_id = 'another'");
$node->restart;
await_worker($node, 'postgres');
$node->poll_query_until('postgres',
	"SELECT watched_epoch = (SELECT max(epoch) FROM atomix.clock_epoch)
	 FROM atomix.service WHERE name = 'age'")
  or die 'the epoch was not entered';
is_deeply([ bounds('age') ], [ $early, $oldest ], 'events of an earlier clock are kept');
boundary_ok('age', 'another clock');
advance_clock($node, '60 s');
run("SELECT revision FROM atomix.listen_watch('age')");
add('age', 2);
is((bounds('age'))[1], $oldest, 'for their time');
advance_clock($node, '60 s');
await_oldest('age', $early);
boundary_ok('age', 'then by age on the new clock');

#
# A dump has services and no events: every position from before is refused,
# whatever happens to the copy, also a position the dump does not know of.
#

run("SELECT atomix.map_put_text('quiet', 'k', 'v'); SELECT revision FROM atomix.listen_watch('age')");
add('age', 3);
my ($dumped) = bounds('age');
$node->command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/dump", 'postgres' ], 'dumped');
# The original goes on.
add('age', 20);
my ($later) = bounds('age');
run("SELECT atomix.watch('quiet'); SELECT atomix.map_put_text('quiet', 'k', 'later')");

for my $copy ('copy', 'again')
{
	run("CREATE DATABASE $copy TEMPLATE template0");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $copy, "$dir/dump" ],
		"restored as $copy");
	is(psql_sqlstate($node, "BEGIN READ ONLY; SELECT * FROM atomix.watch('age', $_)", $copy),
		'55000', "$copy: nobody watches there")
	  for $dumped;
	run("SELECT atomix.counter_increment('age')", $copy);
	for my $from ($dumped - 1, $dumped, $later)
	{
		is(psql_sqlstate($node, "SELECT * FROM atomix.watch('age', $from)", $copy), 'MX007',
			"$copy: position $from, $dumped was dumped, is refused");
	}
	run("SELECT revision FROM atomix.listen_watch('age');
		SELECT atomix.counter_increment('age') FROM generate_series(1, 30);
		SELECT atomix.watch('quiet');
		SELECT atomix.map_put_text('quiet', 'k', 'copied') FROM generate_series(1, 5)", $copy);
	is(psql_sqlstate($node, "SELECT * FROM atomix.watch('age', $_)", $copy), 'MX007',
		"$copy: also later on, position $_") for $dumped, $later;
	is(psql_sqlstate($node, "SELECT * FROM atomix.watch('quiet', $_)", $copy), 'MX007',
		"$copy: and of what nobody watched then, position $_") for 1, 2;
	boundary_ok('age', $copy, $copy);
	is(run("SELECT revision FROM atomix.service WHERE name = 'age'", $copy) -
		  run("SELECT oldest FROM atomix.service WHERE name = 'age'", $copy), 30, "$copy: goes on");
}
# The copies do not know each other, either.
my ($of_copy) = bounds('age', 'copy');
isnt((bounds('age', 'again'))[0], $of_copy, 'copies differ in their revisions');
is(psql_sqlstate($node, "SELECT * FROM atomix.watch('age', $of_copy)", 'again'), 'MX007',
	'positions of an earlier copy are refused');
# A copy of files takes the events along, but may not have the last of them.
$node->safe_psql('postgres', "SELECT atomix.tick()");
run('DROP DATABASE again', 'template1');
run('CREATE DATABASE again TEMPLATE copy', 'template1');
is(psql_sqlstate($node, "SELECT * FROM atomix.watch('age', $of_copy)", 'again'), 'MX007',
	'so are those of the template of a database');
ok($node->poll_query_until('again', 'SELECT count(*) = 0 FROM atomix.event'),
	'whose events go');
# The original has lost nothing.
is(check_feed($dumped, $later, watch_from(\&run, 'age', $dumped)), '', 'the original goes on');

$reader->quit;
$user->quit;
$node->stop;
done_testing();
