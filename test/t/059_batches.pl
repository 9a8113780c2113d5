# partition_commands: several inputs in one call and one transaction, each with
# its own headers and outcome.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_waiting new_node psql_sqlstate start_query);
use AtomixWire qw(counter_input keep_alive_input map_input operation_result);
use Test::More;

my $node = new_node('batches');
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my $session = $wire->open_session(86400);
my $counter = $wire->create($session, 'counter', 'c');
my $map = $wire->create($session, 'map', 'm');

sub increment
{
	my ($delta) = @_;

	return counter_input($session, $counter, 'increment', { delta => $delta // 1 });
}

sub value_of
{
	my (undef, $output) = operation_result('counter', $_[0]);

	return $output->{value} // 0;
}

sub counter_now { return $psql->query_safe("SELECT atomix.counter_get('c')"); }

sub numbers_of
{
	return $psql->query_safe("SELECT count(*) FROM atomix.command WHERE session_id = $_[0]");
}

#
# Order, and outcomes of their own.
#

my @answers = $wire->apply_all(
	[ increment(1), number => 1 ],
	[ counter_input($session, $counter, 'set', { value => 50 }), number => 2 ],
	[ counter_input($session, $counter, 'compare_and_set', { compare => 1, update => 2 }), number => 3 ],
	[ increment(1) ],
	[ map_input($session, $map, 'put', { key => 'k', value => { value => 'v' } }), number => 4 ],
	[ map_input($session, $map, 'get', { key => 'k' }) ],
	[ increment(9223372036854775807), number => 5 ],
	[ counter_input($session, 7, 'get'), number => 6 ],
	[ {} ],
	[ increment(1), partition => 0 ],
	[ increment(1), session => $session + 1 ],
	[ keep_alive_input($session) ],
	[ keep_alive_input(7) ],
	[ keep_alive_input($session, 1, 'x') ],
	[ { open_session => { timeout => { seconds => 60 } } } ],
	[ { session_input => { session_id => $session, create_service => { service => 'map', name => 'new' } } }, number => 7 ],
	[ { session_input => { session_id => $session, close_service => { service_id => $map } } }, number => 8 ],
	[ map_input($session, $map, 'size'), number => 9 ],
	[ increment(1), number => 1 ],
	[ counter_input($session, $counter, 'get'), number => 10 ]);
is(join(' ', map { $_->{status} } @answers),
	'OK OK CONFLICT OK OK OK INVALID FORBIDDEN INVALID INVALID INVALID'
	  . ' OK NOT_FOUND INVALID OK OK OK FORBIDDEN OK OK',
	'each has its own outcome, in order');
is(value_of($answers[0]), 1, 'the first is applied first');
is(value_of($answers[3]), 51, 'and the others to what it left');
is($answers[2]{message}, 'the value is 50, not 1', 'messages are their own');
is({ operation_result('map', $answers[5]) }->{get}{entry}{value}{value}, 'v', 'they see each other');
cmp_ok($answers[1]{index}, '>', $answers[0]{index}, 'indexes rise');
cmp_ok($answers[4]{index}, '>', $answers[1]{index}, 'from change to change');
is($answers[18]{headers_bytes} . $answers[18]{output_bytes},
	$answers[0]{headers_bytes} . $answers[0]{output_bytes}, 'a number again in the batch is replayed');
is(value_of($answers[19]), 51, 'and not executed');
is(numbers_of($session), 10, 'what is numbered is remembered, refused or not');
is($psql->query_safe("SELECT state FROM atomix.sessions WHERE session_id = "
		. $answers[14]{output}{open_session}{session_id}), 'opened', 'a session is opened');
is_deeply([ $wire->apply_all() ], [], 'nothing in, nothing out');

# The same bytes again, one by one or all at once.
{
	my $input = counter_input($session, $counter, 'compare_and_set', { compare => 1, update => 2 });
	my @again = $wire->apply_all([ increment(1), number => 1 ], [ $input, number => 3 ]);

	is($again[0]{output_bytes}, $answers[0]{output_bytes}, 'a batch is replayed');
	is($again[1]{headers_bytes}, $answers[2]{headers_bytes}, 'refusals as well');
	is($wire->apply($input, number => 3)->{headers_bytes}, $answers[2]{headers_bytes}, 'or one of it alone');
	is(counter_now(), 51, 'nothing is executed again');
}

#
# What stops all: nothing of the batch is done.
#

$wire->apply(keep_alive_input($session, 10));
$wire->apply(increment(1), number => 11);
for my $case (
	[ 'acknowledged', 'MX004', [ increment(1), number => 3 ] ],
	[ 'used for another request', 'MX005', [ increment(2), number => 11 ] ],
	[ 'used by another member', 'MX005', [ increment(2), number => 100 ] ],
	[ 'too long a key', '53400', [ map_input($session, $map, 'put', { key => 'k' x 2000 }), number => 101 ] ])
{
	my ($name, $state, $member) = @$case;

	$wire->create($session, 'map', 'm');
	my $before = counter_now();
	my $remembered = numbers_of($session);
	my ($answer) = $wire->apply_all([ increment(1), number => 100 ], [ increment(1) ], $member,
		[ increment(1), number => 102 ]);

	is($answer->{error}, $state, "$name: $state");
	like($answer->{complaint}, qr/ $member->[2] of session $session/, "$name: names the number")
	  if $state =~ /^MX/;
	is(counter_now(), $before, "$name: nothing is done");
	is(numbers_of($session), $remembered, "$name: nothing is remembered");
}
is($psql->query("SELECT count(*) FROM atomix.partition_commands(ARRAY['','']::bytea[], ARRAY['','\\x22ff']::bytea[])"),
	'', 'bytes that do not decode');
like($psql->{stderr}, qr/ 22P03:/, 'stop all');
$psql->{stderr} = '';

for my $case (
	[ 'one header, no input', "ARRAY['']::bytea[], '{}'", '22023' ],
	[ 'no header, one input', "'{}', ARRAY['']::bytea[]", '22023' ],
	[ 'two headers, three inputs', "ARRAY['','']::bytea[], ARRAY['','','']::bytea[]", '22023' ],
	[ 'a null header', "ARRAY['',NULL]::bytea[], ARRAY['','']::bytea[]", '22004' ],
	[ 'a null input', "ARRAY['','']::bytea[], ARRAY[NULL,'']::bytea[]", '22004' ],
	[ 'no headers', "NULL, ARRAY['']::bytea[]", '22004' ],
	[ 'no inputs', "ARRAY['']::bytea[], NULL", '22004' ],
	[ 'empty arrays', "'{}', '{}'", '00000' ])
{
	my ($name, $arguments, $state) = @$case;

	is(psql_sqlstate($node, "SELECT * FROM atomix.partition_commands($arguments)"), $state, $name);
}

#
# Several sessions, and more numbers of one than are locked one by one.
#

{
	my @sessions = map { $wire->open_session(86400) } 1 .. 3;
	my $before = counter_now();

	$wire->create($_, 'counter', 'c') for @sessions;
	my @members = map {
		my $number = $_;
		map { [ counter_input($_, $counter, 'increment', { delta => 1 }), number => $number ] } @sessions
	} 1 .. 100;
	my @found = $wire->apply_all(@members);

	is(scalar(@found), 300, 'a hundred commands of each of three sessions');
	is(join(' ', map { value_of($_) } @found), join(' ', map { $before + $_ } 1 .. 300), 'in order');
	is(numbers_of($_), 100, 'each has its own numbers') for @sessions;
	@found = $wire->apply_all(@members);
	is(join(' ', map { value_of($_) } @found), join(' ', map { $before + $_ } 1 .. 300), 'replayed');
	is(counter_now(), $before + 300, 'executed once');

	# A session that ended does not stop the others.
	$wire->apply({ close_session => { session_id => $sessions[1] } });
	@found = $wire->apply_all(
		map { [ counter_input($_, $counter, 'increment', { delta => 1 }), number => 101 ] } @sessions);
	is(join(' ', map { $_->{status} } @found), 'OK NOT_FOUND OK', 'one session has ended');
	is($found[1]{message}, "session $sessions[1] is closed", 'and is said to');

	# Closing within a batch: what comes after finds it closed.
	@found = $wire->apply_all(
		[ counter_input($sessions[2], $counter, 'increment', { delta => 1 }), number => 102 ],
		[ { close_session => { session_id => $sessions[2] } } ],
		[ counter_input($sessions[2], $counter, 'increment', { delta => 1 }), number => 103 ]);
	is(join(' ', map { $_->{status} } @found), 'OK OK NOT_FOUND', 'closed by a member of the batch');
	is(counter_now(), $before + 303, 'executed until then');
}

#
# Two batches over the same sessions and services in opposite order wait for
# each other instead of deadlocking; a duplicate of a whole batch waits and is
# replayed.
#

{
	my @sessions = map { $wire->open_session(86400) } 1 .. 2;
	my @counters = map { $wire->create($sessions[0], 'counter', "x$_") } 1 .. 2;
	my $blocker = AtomixWire->new($node->background_psql('postgres', on_error_stop => 0));
	my (@others, @pids);
	my $batch = sub {
		my ($number, @order) = @_;

		return map {
			[ counter_input($sessions[$_], $counters[$_], 'increment', { delta => 1 }), number => $number ]
		} @order;
	};

	$wire->create($sessions[1], 'counter', "x$_") for 1 .. 2;
	# Somebody has one of the services: both batches are on their way then.
	$blocker->psql->query_safe('BEGIN');
	is(($blocker->apply_all($batch->(1, 0)))[0]{status}, 'OK', 'a service in use');
	for my $i (0 .. 2)
	{
		my $other = $node->background_psql('postgres', on_error_stop => 0);
		my @members = $i == 0 ? $batch->(2, 0, 1) : $i == 1 ? $batch->(3, 1, 0) : $batch->(2, 0, 1);
		my $from = AtomixWire::batch_call(@members);

		push @pids, $other->query_safe('SELECT pg_backend_pid()');
		push @others, $other;
		start_query($other, "SELECT count(*), encode(string_agg(headers || output, ''::bytea ORDER BY n), 'hex') FROM $from");
		ok(await_waiting($node, $pids[-1], 'Lock %'), "batch $i waits");
	}
	$blocker->psql->query_safe('COMMIT');
	my @results = map { scalar $_->query('') } @others;
	is($_->{stderr}, '', 'no deadlock') for @others;
	like($results[0], qr/^2\|[0-9a-f]+$/m, 'a batch goes on');
	is($results[2], $results[0], 'its duplicate gets the same');
	is($psql->query_safe("SELECT atomix.counter_get('x1'), atomix.counter_get('x2')"), '3|2',
		'and each took effect once');
	$_->quit for $blocker->psql, @others;
}

$psql->quit;
$node->stop;
done_testing();
