# What becomes of streams whose consumers are slow, hold their transaction
# open, have nothing to read, leave or come back; what a crash leaves of what
# they were shown; and the order of transactions that were prepared.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixFeed qw(check_feed);
use AtomixTest qw(advance_clock await_rest await_worker new_node open_session
  psql_sqlstate query_error);
use Test::More;

my $node = new_node('slow', 'autovacuum = off', 'max_prepared_transactions = 4',
	'wal_writer_delay = 10s', 'wal_level = replica', "atomix.event_retention = '1 h'");
my %number;

await_worker($node, 'postgres');

sub run { return $node->safe_psql('postgres', $_[0]); }

# Operations in bytes.
my %operation = (
	'map events' => '\x4200',
	'map replay' => '\x42021001',
	'map key' => '\x42030a016b',		# of k
	'counter events' => '\x4200');

# The id of a session; and its next stream, of a service by its name.
sub new_stream
{
	my ($name, $operation, $session) = @_;
	my ($type) = $operation =~ /^(\w+)/;

	$session //= open_session($node, '1 d');
	$number{$session}++;
	is(run("SELECT o.status FROM atomix.create_service($session, '$type', '$name') AS id,
			atomix.command($session, id, '$operation{$operation}', $number{$session}) AS o"),
		'RUNNING', "$name: a stream is open");
	return $session;
}

# What a session's stream has to tell, by its numbers.
sub outputs
{
	my ($session, $number) = @_;

	return run("SELECT string_agg(output_num || CASE kind WHEN 'response' THEN '' ELSE ' ' || kind END,
			', ' ORDER BY output_num) FROM atomix.fetch_outputs($session, " . ($number // 1) . ')');
}

sub ack
{
	my ($session, $output) = @_;

	return run("SELECT atomix.ack($session, $number{$session}, $output)");
}

# Changes of a service, by one.
sub add
{
	my ($name, $count, $type) = @_;

	run($type && $type eq 'map'
		? "SELECT count(atomix.map_put_text('$name', 'other', clock_timestamp()::text || n)) FROM generate_series(1, $count) AS n"
		: "SELECT count(atomix.counter_increment('$name')) FROM generate_series(1, $count)");
	return;
}

# The revisions of a service, its newest and the oldest to go on from.
sub bounds
{
	return split /\|/, run("SELECT revision, oldest FROM atomix.service WHERE name = '$_[0]'");
}

# Have the worker look at all feeds.
sub retire
{
	advance_clock($node, '20 min');
	await_rest($node);
	return;
}

sub position
{
	return run("SELECT acked_revision FROM atomix.streams WHERE session_id = $_[0]");
}

#
# A crash does not take back what was shown.
#

my $reader = new_stream('durable', 'map events');
for my $round (1 .. 4)
{
	my $put = "SELECT atomix.map_put_text('durable', 'k', '$round')";

	# Others would have the log written.
	my $pids = run("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE backend_type LIKE 'atomix %'");

	kill('STOP', split / /, $pids);
	# The last changes its mind between the change and the commit.
	run($round < 4 ? "SET synchronous_commit = off; $put" :
		"BEGIN; $put; SET LOCAL synchronous_commit = off; COMMIT");
	my $shown = outputs($reader);
	kill('CONT', split / /, $pids);
	$node->stop('immediate');
	$node->start;
	is(outputs($reader), $shown, "round $round: what was shown is there after a crash");
	is(run("SELECT atomix.map_get_text('durable', 'k')"), $round, 'and so is what it told of');
}
await_worker($node, 'postgres');

#
# Prepared transactions without a session: their changes come when they commit,
# in their place.
#

my $prepared = new_stream('prepared', 'counter events');
my $of_map = new_stream('prepared map', 'map events');
run("BEGIN; SELECT atomix.counter_set('prepared', 10);
	SELECT atomix.map_put_text('prepared map', 'k', '1'), atomix.map_put_text('prepared map', 'l', '1');
	PREPARE TRANSACTION 'p'");
is(outputs($prepared) . '; ' . outputs($of_map), '1 open; 1 open', 'what is prepared is not told');
is(psql_sqlstate($node, "SET lock_timeout = '100 ms'; SELECT atomix.counter_increment('prepared')"),
	'55P03', 'others wait for it');
run("COMMIT PREPARED 'p'; SELECT atomix.counter_increment('prepared')");
is(outputs($prepared) . '; ' . outputs($of_map), '1 open, 2, 3; 1 open, 2, 3', 'its commit is told, before them');
like(run("SELECT string_agg(encode(output, 'hex'), ' ' ORDER BY output_num) FROM atomix.fetch_outputs($prepared, 1)"),
	qr/^4200 42060a040801100a 42080a060801100b180a$/, 'in that order');
is(psql_sqlstate($node, "BEGIN; SELECT atomix.ack($prepared, 1, 2); PREPARE TRANSACTION 'p'"), '0A000',
	'an acknowledgement cannot be prepared');

#
# The last consumer leaves, and another comes.
#

my $first = new_stream('left', 'map replay');
add('left', 2, 'map');
is(outputs($first), '1 open, 2, 3', 'one consumer');
run("SELECT atomix.ack($first, 1)");
add('left', 1, 'map');
is(psql_sqlstate($node, "SELECT * FROM atomix.fetch_outputs($first, 1)"), 'MX004', 'leaves');
advance_clock($node, '2 h');
await_rest($node);
is(run("SELECT watched_until IS NULL FROM atomix.service WHERE name = 'left'"), 't', 'nobody watches');
add('left', 1, 'map');
my $second = new_stream('left', 'map replay');
is(outputs($second), '1 open, 2', 'another begins with what there is');
add('left', 1, 'map');
is(outputs($second), '1 open, 2, 3', 'and then changes');
new_stream('left', 'map events', $first);
add('left', 1, 'map');
is(outputs($first, 2), '1 open, 2', 'the first comes back with a stream of its own');
# As long as there are streams, events are written, whatever the time.
advance_clock($node, '2 h');
await_rest($node);
is(run("SELECT watched_until IS NULL FROM atomix.service WHERE name = 'left'"), 'f',
	'while there are streams the service is watched');

#
# Falling behind
#

$node->append_conf('postgresql.conf', 'atomix.event_retention_count = 5');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.event_retention_count') = '5'");

my ($slow, $quick, $late) = map { new_stream('behind', 'map replay') } 1 .. 3;
my $filtered = new_stream('behind', 'map key');
add('behind', 3, 'map');
ack($slow, 2);
ack($_, 4) for $quick, $late;
# Five are kept, those that two of them have not acknowledged.
add('behind', 5, 'map');
retire();
is(outputs($slow), '10 close', 'who reads too slowly is told, behind all numbers it can have seen');
is(outputs($late), '5, 6, 7, 8, 9', 'who has as many to read as are kept does not lose them');
is(run("SELECT closed, reason FROM atomix.streams WHERE session_id = $slow"),
	't|events were not acknowledged for as long as they are kept', 'with the reason');
is(run("SELECT convert_from(output, 'UTF8') FROM atomix.fetch_outputs($slow, 1)"),
	'events were not acknowledged for as long as they are kept', 'in the output');
is(run("SELECT state || ' ' || status FROM atomix.outcome($slow, 1)"), 'complete CONFLICT', 'and the outcome');
is(run("SELECT atomix.wait_events($slow, '0')"), 't', 'it is not waited in vain');
add('behind', 8, 'map');
is(outputs($slow), '10 close', 'nothing comes after it');
ack($slow, 10);
is(outputs($slow), '', 'acknowledged');
is(run("SELECT atomix.wait_events($slow, '0')"), 'f', 'there is nothing to wait for');
ack($quick, 17);
retire();

my ($newest, $oldest) = bounds('behind');
is($newest - $oldest, 5, 'five are kept');
is(outputs($late), '18 close', 'another falls behind');
is(run("SELECT closed FROM atomix.streams WHERE session_id = $quick"), 'f', 'who has read all does not');
is(outputs($filtered), '1 open', 'nor who had nothing to read');
is(position($filtered), $newest, 'whose position moves on');
is(run("SELECT atomix.wait_events($slow, '0'), atomix.wait_events($quick, '0')"), 'f|f',
	'nobody else is disturbed');
run("SELECT atomix.map_put_text('behind', 'k', 'x')");
is(outputs($filtered), '1 open, 2', 'its numbers have no hole');
is(outputs($quick), '18', 'nor have others');
new_stream('behind', 'map replay', $slow);
is(outputs($slow, 2), '1 open, 2, 3', 'who fell behind begins anew');

# By time
$node->append_conf('postgresql.conf', 'atomix.event_retention_count = 10000');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.event_retention_count') = '10000'");
ack($quick, 18);
add('behind', 2, 'map');
advance_clock($node, '50 min');
add('behind', 1, 'map');
ack($quick, 20);
retire();
is(outputs($quick), '21', 'old events go, which it has read');
is(outputs($filtered), '3 close', 'who has not read one is told');
is(outputs($slow, 2), '7 close', 'and so is who has read nothing');

#
# A transaction that acknowledges and stays open keeps its events, and nothing
# else.
#

$node->append_conf('postgresql.conf', 'atomix.event_retention_count = 5');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.event_retention_count') = '5'");

my $consumer = $node->background_psql('postgres', on_error_stop => 0);

for my $end ('COMMIT', 'ROLLBACK')
{
	my $name = "held $end";
	my ($holder, $beside) = map { new_stream($name, 'counter events') } 1 .. 2;
	my $free = new_stream("free $end", 'counter events');
	my (undef, $from) = bounds($name);

	add($name, 8);
	add("free $end", 8);
	ack($holder, 3);
	$consumer->query_safe("BEGIN; SELECT atomix.ack($holder, 1, 9)");
	retire();
	is((bounds($name))[1], $from + 2, "$end: events from its position on are kept");
	is(outputs($holder), '4, 5, 6, 7, 8, 9', "$end: as it is still");
	is(outputs($beside), '10 close', "$end: others fall behind");
	my ($free_newest, $free_oldest) = bounds("free $end");
	is($free_newest - $free_oldest, 5, "$end: those of other services go");
	is(outputs($free), '10 close', "$end: and their consumers are told");
	add($name, 1);
	$consumer->query_safe($end);
	retire();
	($newest, $oldest) = bounds($name);
	is($newest - $oldest, 5, "$end: after it they go");
	is(outputs($holder), $end eq 'COMMIT' ? '10' : '11 close', "$end: what it had acknowledged counts");
}

#
# Retention while a consumer comes back again and again: it gets what follows,
# or is told.
#

my $racing = new_stream('racing', 'counter events');
my $current = $number{$racing};
my $position = 0;
my ($torn, $told) = ('', 0);

for my $n (1 .. 25)
{
	add('racing', 1 + $n % 6);
	# The worker is woken, and not waited for.
	advance_clock($node, '20 min');
	my @outputs = map { [ split /\|/ ] }
	  split /\n/, run("SELECT output_num, kind FROM atomix.fetch_outputs($racing, $current)");

	if (@outputs == 1 && $outputs[0][1] eq 'close')
	{
		$told++;
		$torn .= "closed at $outputs[0][0], not above $position" if $outputs[0][0] <= $position;
		new_stream('racing', 'counter events', $racing);
		$current = $number{$racing};
		$position = 0;
		next;
	}
	$torn .= check_feed($position, undef, @outputs);
	next if $n % 3 == 0;
	$position = $outputs[-1][0] if @outputs;
	run("SELECT atomix.ack($racing, $current, $position)");
}
is($torn, '', 'nobody sees a hole');
note "$told streams were closed";

#
# A standby that takes over may lack events that were sent: streams do not go
# on there, and are not mistaken for others.
#

my $moved = new_stream('moved', 'counter events');
add('moved', 3);
ack($moved, 2);
$consumer->quit;
$node->stop;
$node->backup_fs_cold('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 0);
$standby->set_standby_mode;
$standby->start;
$node = $standby;
is(outputs($moved), '3, 4', 'a standby shows outputs');
is(psql_sqlstate($node, "SELECT atomix.ack($moved, 1, 3)"), '25006', 'and takes no acknowledgement');
$standby->promote;
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM atomix.partition_events(1)') or die 'no new term';
is(psql_sqlstate($node, "SELECT * FROM atomix.fetch_outputs($moved, 1)"), 'MX007',
	'after a promotion the stream does not go on');
is(run("SELECT atomix.wait_events($moved, '0')"), 't', 'which is an event');
add('moved', 4);
is(psql_sqlstate($node, "SELECT * FROM atomix.fetch_outputs($moved, 1)"), 'MX007', 'whatever comes');
new_stream('moved', 'counter events', $moved);
add('moved', 1);
is(outputs($moved, 2), '1 open, 2', 'another one begins');
is(psql_sqlstate($node, "SELECT * FROM atomix.fetch_outputs($moved, 1)"), 'MX007', 'and the old one stays as it is');
run("SELECT atomix.ack($moved, 1)");
is(run("SELECT atomix.ack($moved, 2, 2), atomix.wait_events($moved, '0')"), '|f', 'it is given up');
add('moved', 7);
retire();
is(outputs($moved, 2), '10 close', 'retention is as before');

$node->stop;
done_testing();
