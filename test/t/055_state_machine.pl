# The state machine's own face: what each input comes to, as status, headers
# and output, and what is remembered of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(encode_message);
use AtomixTest qw(advance_clock await_waiting new_node psql_sqlstate start_query);
use AtomixWire qw(
	counter_input keep_alive_input map_input operation_result request_headers);
use Test::More;

my $v1 = 'atomix.multiraft.v1';
my $node = new_node('machine', "atomix.query_wait = '10 min'");
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my $unknown = 4_000_000_000_000_000;	# an id that nobody was given
my $nothing = { session_input => {} };

sub create_input
{
	my ($session, $type, $name, $namespace) = @_;
	my %input = (service => $type, name => $name);

	$input{namespace} = $namespace if defined $namespace;
	return { session_input => { session_id => $session, create_service => \%input } };
}

sub close_input
{
	my ($session, $service) = @_;

	return {
		session_input => {
			session_id => $session,
			close_service => defined $service ? { service_id => $service } : {}
		}
	};
}

# Status and message in one word for a table, or the error's SQLSTATE.
sub outcome
{
	my ($answer) = @_;

	return $answer->{error} if $answer->{error};
	return $answer->{status} . ($answer->{message} eq '' ? '' : ": $answer->{message}");
}

# Nothing but the partition output's outermost case.
sub case_of
{
	return join(' ', sort keys %{ $_[0]{output} });
}

sub newest_index { return $psql->query_safe('SELECT last_value FROM atomix.index_seq'); }

# What is remembered of a session's numbers.
sub remembered
{
	my ($session) = @_;

	return $psql->query_safe("SELECT string_agg(sequence_num || ' ' || operation || ' ' || status,
		', ' ORDER BY sequence_num) FROM atomix.command WHERE session_id = $session");
}

#
# Every input once, without numbers.
#

my $answer = $wire->apply({ open_session => { timeout => { seconds => 3600 } } });
my $session = $answer->{output}{open_session}{session_id};
is(outcome($answer), 'OK', 'open: done');
is($answer->{index}, $session, 'open: the index is the id');
is($answer->{num}, 1, 'open: one output');
is_deeply($answer->{output}, { open_session => { session_id => $session } }, 'open: the output');
is(
	$psql->query_safe("SELECT timeout, state FROM atomix.sessions WHERE session_id = $session"),
	'01:00:00|opened',
	'open: the session');

advance_clock($node, '30 min');
$answer = $wire->apply(keep_alive_input($session));
is(outcome($answer), 'OK', 'keep-alive: done');
is_deeply($answer->{output}, { keep_alive => {} }, 'keep-alive: the output');
is($answer->{index}, newest_index(), 'keep-alive: the newest index');
is(
	$psql->query_safe("SELECT deadline - clock_timestamp() > '59 min' FROM atomix.sessions
		WHERE session_id = $session"),
	't',
	'keep-alive: renewed');

$answer = $wire->apply(create_input($session, 'counter', 'first'));
my $counter = $answer->{output}{session_output}{create_service}{service_id};
is(outcome($answer), 'OK', 'create: done');
is(
	$psql->query_safe("SELECT type, namespace, name, sessions FROM atomix.services
		WHERE service_id = $counter"),
	'counter||first|1',
	'create: the service');
is_deeply($answer->{output}, { session_output => { create_service => { service_id => $counter } } },
	'create: the output');
is($wire->create($session, 'counter', 'first'), $counter, 'create again: the same');
isnt($wire->apply(create_input($session, 'counter', 'first', 'other'))
	  ->{output}{session_output}{create_service}{service_id},
	$counter, 'create in another namespace: another');

my $before = newest_index();
$answer = $wire->apply(counter_input($session, $counter, 'increment', { delta => 5 }));
is(outcome($answer), 'OK', 'operation: done');
is_deeply({ operation_result('counter', $answer) }, { increment => { value => 5 } },
	'operation: the output');
cmp_ok($answer->{index}, '>', $before, 'operation: an index of its own');
is($answer->{num}, 1, 'operation: one output');
$answer = $wire->apply(counter_input($session, $counter, 'get'));
is($answer->{index}, newest_index(), 'operation that reads: the newest index');

$answer = $wire->apply(close_input($session, $counter));
is(outcome($answer), 'OK', 'close: done');
is_deeply($answer->{output}, { session_output => { close_service => {} } }, 'close: the output');
is(
	$psql->query_safe("SELECT sessions FROM atomix.services WHERE service_id = $counter"),
	'0', 'close: detached');
is(outcome($wire->apply(close_input($session, $counter))), 'OK', 'close again: done');

my $short = $wire->open_session(60);
$answer = $wire->apply({ close_session => { session_id => $short } });
is(outcome($answer), 'OK', 'close session: done');
is_deeply($answer->{output}, { close_session => {} }, 'close session: the output');
is($psql->query_safe("SELECT reason FROM atomix.sessions WHERE session_id = $short"),
	'closed', 'close session: it is');
is(outcome($wire->apply({ close_session => { session_id => $short } })),
	'OK', 'close session again: done');

is(remembered($session), '', 'nothing unnumbered is remembered');
$counter = $wire->create($session, 'counter', 'first');
my $map = $wire->create($session, 'map', 'pairs');

#
# What is not in order.  A third element says what the headers hold.
#

my $far = 9223372036854775808;
my $elsewhere = $wire->open_session(3600);
my $expiring = $wire->open_session(60);
my $foreign = do
{
	my $stranger = $node->background_psql('postgres', on_error_stop => 0);

	$stranger->query_safe('CREATE ROLE stranger; GRANT USAGE ON SCHEMA atomix TO stranger;
		SET ROLE stranger');
	my $id = $stranger->query_safe("SELECT atomix.open_session('1 day')");
	$stranger->quit;
	$id;
};
$node->safe_psql('postgres', 'CREATE ROLE plain; GRANT USAGE ON SCHEMA atomix TO plain');
my $deleted = $wire->create($session, 'map', 'deleted');
$psql->query_safe("SELECT atomix.delete_service('deleted')");
advance_clock($node, '50 min');
$wire->apply(keep_alive_input($_)) for $session, $elsewhere;
$node->safe_psql('postgres', 'SELECT atomix.tick()');

my $increment = counter_input($session, $counter, 'increment', { delta => 1 });
my $bare = { session_input => { service_input => $increment->{session_input}{service_input} } };
my $close_bare = { close_session => {} };

for my $case (
	[ 'no input', {}, {}, 'INVALID: the input is empty' ],
	[ 'no input of the session', { session_input => { session_id => $session } }, {},
		"INVALID: the session's input is empty" ],
	[ 'nothing at all of the session', $nothing, {}, "INVALID: the session's input is empty" ],
	[ 'partition 1', $increment, { partition => 1 }, 'OK' ],
	[ 'partition 0', $increment, { partition => 0 }, 'INVALID: the request names no partition' ],
	[ 'partition 2', $increment, { partition => 2 }, 'INVALID: partition 2 does not exist' ],
	[ 'greatest partition', { open_session => {} }, { partition => 4294967295 },
		'INVALID: partition 4294967295 does not exist' ],
	[ 'both ids in headers too', $increment, { session => $session, service => $counter }, 'OK' ],
	[ 'other session in headers', $increment, { session => $elsewhere },
		'INVALID: session_id differs between headers and input' ],
	[ 'other service in headers', $increment, { service => $map },
		'INVALID: service_id differs between headers and input' ],
	[ 'session in headers only', $bare, { session => $session }, 'OK' ],
	[ 'no session', $bare, {}, 'NOT_FOUND: session 0 is unknown' ],
	[ 'keep-alive, session in headers only', { keep_alive => {} }, { session => $session }, 'OK' ],
	[ 'keep-alive, other session in headers', keep_alive_input($session), { session => $elsewhere },
		'INVALID: session_id differs between headers and input' ],
	[ 'keep-alive, no session', { keep_alive => {} }, {}, 'NOT_FOUND: session 0 is unknown' ],
	[ 'close session, other in headers', { close_session => { session_id => $elsewhere } },
		{ session => $session }, 'INVALID: session_id differs between headers and input' ],
	[ 'service in headers only',
		counter_input($session, 0, 'get'), { service => $counter }, 'OK' ],
	[ 'create with the session in headers only', create_input(0, 'counter', 'first'),
		{ session => $session }, 'OK' ],
	[ 'close service, in headers only', close_input($session), { service => $unknown }, 'OK' ],
	[ 'close service, no service', close_input($session), {}, 'INVALID: the request names no service' ],
	[ 'close service, other in headers', close_input($session, $map), { service => $counter },
		'INVALID: service_id differs between headers and input' ],
	[ 'session above bigint', counter_input($far, $counter, 'get'), {},
		'INVALID: session_id is out of range' ],
	[ 'service above bigint', counter_input($session, $far, 'get'), {},
		'INVALID: service_id is out of range' ],
	[ 'number above bigint', $increment, { number => $far }, 'INVALID: sequence number is out of range' ],
	[ 'number of an open', { open_session => {} }, { number => 1 },
		'INVALID: only inputs of a session have a sequence number' ],
	[ 'number of a keep-alive', keep_alive_input($session), { number => 1 },
		'INVALID: only inputs of a session have a sequence number' ],
	[ 'number of a close', { close_session => { session_id => $session } }, { number => 1 },
		'INVALID: only inputs of a session have a sequence number' ],
	[ 'greatest operation_id', $increment, { operation => 255 }, 'OK' ],
	[ 'operation_id above', $increment, { operation => 256 }, 'INVALID: operation_id is out of range' ],
	[ 'timeout too short', { open_session => { timeout => { nanos => 1 } } }, {},
		'INVALID: session timeout must be between 1 s and 86400 s' ],
	[ 'timeout negative', { open_session => { timeout => { seconds => -1 } } }, {},
		'INVALID: the timeout is not a positive duration' ],
	[ 'unknown session', counter_input($unknown, $counter, 'get'), {},
		"NOT_FOUND: session $unknown is unknown" ],
	[ 'foreign session', counter_input($foreign, $counter, 'get'), {}, undef ],
	[ 'closed session', counter_input($short, $counter, 'get'), {}, "NOT_FOUND: session $short is closed" ],
	[ 'expired session', counter_input($expiring, $counter, 'get'), {},
		"NOT_FOUND: session $expiring has expired" ],
	[ 'closed session, keep-alive', keep_alive_input($short), {}, "NOT_FOUND: session $short is closed" ],
	[ 'expired session, keep-alive', keep_alive_input($expiring, 5), {},
		"NOT_FOUND: session $expiring has expired" ],
	[ 'unknown session, create', create_input($unknown, 'map', 'x'), {},
		"NOT_FOUND: session $unknown is unknown" ],
	[ 'closed session, close service', close_input($short, $map), {},
		"NOT_FOUND: session $short is closed" ],
	[ 'unknown session, close', { close_session => { session_id => $unknown } }, {},
		"NOT_FOUND: session $unknown is unknown" ],
	[ 'service not open', counter_input($elsewhere, $counter, 'get'), {},
		"FORBIDDEN: service $counter is not open in session $elsewhere" ],
	[ 'unknown service', counter_input($session, $unknown, 'get'), {},
		"FORBIDDEN: service $unknown is not open in session $session" ],
	[ 'service 0', counter_input($session, 0, 'get'), {},
		"FORBIDDEN: service 0 is not open in session $session" ],
	[ 'deleted service', map_input($session, $deleted, 'size'), {},
		"NOT_FOUND: service $deleted was deleted" ],
	[ 'create of another type', create_input($session, 'map', 'first'), {},
		'FORBIDDEN: service "first" is of another type' ],
	[ 'create of an unknown type', create_input($session, 'Counter', 'x'), {},
		'FORBIDDEN: service type "Counter" does not exist' ],
	[ 'create without a type', create_input($session, '', 'x'), {},
		'FORBIDDEN: service type "" does not exist' ],
	[ 'create without a name', create_input($session, 'map', ''), {},
		'INVALID: name of a service must not be empty' ],
	[ 'create with a long name', create_input($session, 'map', 'x' x 10000), {}, '53400' ])
{
	my ($name, $input, $headers, $expected) = @$case;
	my $index = newest_index();

	# A role that is no superuser, so that what is foreign is foreign.
	$psql->query_safe('SET ROLE plain') unless defined $expected;
	my $answer = $wire->apply($input, %$headers);
	$psql->query_safe('RESET ROLE');
	$expected //= "NOT_FOUND: session $foreign is unknown";
	is(outcome($answer), $expected, $name);
	next if $answer->{error} || $answer->{status} eq 'OK';
	is("$answer->{output_bytes} $answer->{num} $answer->{index}", " 1 $index",
		"$name: no output, no index of its own");
}
is(remembered($session), '', 'none of that is remembered');

# Empty headers at all depths.
is(outcome($wire->apply_bytes('', encode_message("$v1.PartitionInput", $increment))),
	'OK', 'no headers');
is(outcome($wire->apply_bytes("\x0a\x00", encode_message("$v1.PartitionInput", $increment))),
	'OK', 'empty operation headers');
is(
	outcome(
		$wire->apply_bytes("\x0a\x04\x0a\x02\x0a\x00",
			encode_message("$v1.PartitionInput", $increment))),
	'OK',
	'headers down to the session');
is(
	outcome(
		$wire->apply_bytes("\x0a\x06\x0a\x04\x0a\x02\x0a\x00",
			encode_message("$v1.PartitionInput", $increment))),
	'INVALID: the request names no partition',
	'headers of partition 0');

#
# Bytes that do not decode, and nulls: an error, and nothing happens.
#

my $value = $psql->query_safe("SELECT atomix.counter_get('first')");
for my $case (
	[ 'headers', "\x0a", '' ],
	[ 'input', '', "\x22\x05" ],
	[ 'input of another wire type', '', "\x20\x01" ],
	[ 'operation of a service', request_headers('Command', number => 70),
		encode_message("$v1.PartitionInput", {
			session_input => {
				session_id => $session,
				service_input => { service_id => $counter, payload => "\x22\xff" } } }) ],
	[ 'operation of another type', request_headers('Command', number => 71),
		encode_message("$v1.PartitionInput", {
			session_input => {
				session_id => $session,
				service_input => { service_id => $map, payload => "\x10\x01" } } }) ])
{
	my ($name, $headers, $input) = @$case;

	is($wire->apply_bytes($headers, $input)->{error}, '22P03', "bytes that do not decode: $name");
}
is(remembered($session), '', 'undecodable: nothing is remembered');
is($psql->query_safe("SELECT atomix.counter_get('first')"), $value, 'undecodable: nothing is changed');
is(psql_sqlstate($node, "SELECT atomix.$_"), '22004', "$_")
  for "partition_command(NULL, '')", "partition_command('', NULL)", "partition_query(NULL, '')",
  "partition_query('', NULL)", "partition_commands(NULL, '{}')", "partition_commands('{}', NULL)",
  "partition_commands(ARRAY[NULL::bytea], ARRAY[''::bytea])",
  "partition_commands(ARRAY[''::bytea], ARRAY[NULL::bytea])";

#
# Numbers: the same bytes as often as they are asked for, whatever came out.
#

my $s = $wire->open_session(86400);
my $c = $wire->create($s, 'counter', 'counted');
my $m = $wire->create($s, 'map', 'mapped');
my $number = 0;
my @told;

for my $case (
	[ 'increment', 'OK', counter_input($s, $c, 'increment', { delta => 7 }) ],
	[ 'compare_and_set', 'CONFLICT', counter_input($s, $c, 'compare_and_set', { compare => 1, update => 2 }) ],
	[ 'overflow', 'INVALID', counter_input($s, $c, 'increment', { delta => 9223372036854775807 }) ],
	[ 'put', 'OK', map_input($s, $m, 'put', { key => 'k', value => { value => "\0\xff", ttl => { seconds => 40 } } }) ],
	[ 'insert', 'ALREADY_EXISTS', map_input($s, $m, 'insert', { key => 'k' }) ],
	[ 'remove', 'NOT_FOUND', map_input($s, $m, 'remove', { key => 'absent' }) ],
	[ 'no operation', 'NOT_SUPPORTED', AtomixWire::service_input('map', $s, $m, undef) ],
	[ 'get', 'OK', counter_input($s, $c, 'get') ],
	[ 'create', 'OK', create_input($s, 'map', 'another') ],
	[ 'create, wrong type', 'FORBIDDEN', create_input($s, 'map', 'counted') ],
	[ 'create, unknown type', 'FORBIDDEN', create_input($s, 'lock?', 'x') ],
	[ 'create, no name', 'INVALID', create_input($s, 'map', '') ],
	[ 'not open', 'FORBIDDEN', map_input($s, $map, 'size') ],
	[ 'deleted', 'FORBIDDEN', map_input($s, $deleted, 'size') ],
	[ 'close', 'OK', close_input($s, $m) ],
	[ 'close, not open', 'OK', close_input($s, $m) ])
{
	my ($name, $status, $input) = @$case;
	my $answer = $wire->apply($input, number => ++$number);

	is($answer->{status}, $status, "$number, $name: $status");
	push @told, [ $name, $input, $answer ];
}
# Everything that the outcomes came from changes.
$psql->query_safe("SELECT atomix.counter_set('counted', 1), atomix.delete_service('another'),
	atomix.map_clear('mapped'), atomix.delete_service('mapped')");
$wire->create($s, 'map', 'pairs');
advance_clock($node, '1 min');
for my $i (1 .. @told)
{
	my ($name, $input, $before) = @{ $told[ $i - 1 ] };
	my $again = $wire->apply($input, number => $i);

	is(unpack('H*', $again->{headers_bytes} . $again->{output_bytes}),
		unpack('H*', $before->{headers_bytes} . $before->{output_bytes}),
		"$i, $name: replayed byte for byte");
}
is($psql->query_safe("SELECT atomix.counter_get('counted')"), '1', 'and nothing happened');
is($psql->query_safe("SELECT atomix.map_size('another')"), '0', 'nor was anything created');
is(scalar(split /, /, remembered($s)), 16, 'each is remembered once');

# The same number for anything else.
$wire->create($s, 'counter', 'first');
for my $case (
	[ 'other delta', counter_input($s, $c, 'increment', { delta => 8 }), number => 1 ],
	[ 'other operation', counter_input($s, $c, 'decrement', { delta => 7 }), number => 1 ],
	[ 'other operation_id', $told[0][1], number => 1, operation => 1 ],
	[ 'other service', counter_input($s, $counter, 'increment', { delta => 7 }), number => 1 ],
	[ 'create for it', create_input($s, 'map', 'y'), number => 1 ],
	[ 'close for it', close_input($s, $c), number => 1 ],
	[ 'other create', create_input($s, 'map', 'z'), number => 9 ],
	[ 'other namespace', create_input($s, 'map', 'another', 'n'), number => 9 ],
	[ 'other close', close_input($s, $c), number => 15 ],
	[ 'refused, other', map_input($s, $m, 'insert', { key => 'l' }), number => 5 ])
{
	my ($name, $input, %headers) = @$case;

	is($wire->apply($input, %headers)->{error}, 'MX005', "number used for another request: $name");
}
is($psql->query_safe("SELECT atomix.counter_get('counted')"), '1', 'and nothing happened');

# That a service was deleted is a refusal like others.
{
	my $input = map_input($session, $deleted, 'size');
	my $answer = $wire->apply($input, number => 1);

	is(outcome($answer), "NOT_FOUND: service $deleted was deleted", 'deleted, numbered');
	is($wire->apply(close_input($session, $deleted))->{status}, 'OK', 'closed');
	is($wire->apply($input, number => 1)->{headers_bytes}, $answer->{headers_bytes}, 'is replayed');
}

# An INVALID of the request itself leaves the number free.
is($wire->apply($nothing, session => $s, number => 50)->{status}, 'INVALID', 'an empty input');
is($wire->apply(close_input($s), number => 50)->{status}, 'INVALID', 'a close of nothing');
is($wire->apply(counter_input($s, $c, 'get'), number => 50)->{status}, 'OK', 'leave the number free');

# Acknowledged.
is(outcome($wire->apply(keep_alive_input($s, 20))), 'OK', 'acknowledged');
for my $i (1, 5, 9, 15, 20)
{
	my $input = $i <= @told ? $told[ $i - 1 ][1] : $told[0][1];

	is($wire->apply($input, number => $i)->{error}, 'MX004', "$i: acknowledged");
}
is($psql->query_safe("SELECT atomix.counter_get('counted')"), '1', 'and not executed again');

# Without a number it is executed each time.
$wire->apply(counter_input($s, $c, 'increment', { delta => 1 })) for 1 .. 3;
$wire->apply(counter_input($s, $c, 'increment', { delta => 1 }), number => 0);
is($psql->query_safe("SELECT atomix.counter_get('counted')"), '5', 'unnumbered: each time');

# A rolled-back command leaves nothing.
$psql->query_safe('BEGIN');
$wire->apply(counter_input($s, $c, 'increment', { delta => 10 }), number => 30);
$psql->query_safe('ROLLBACK');
is({ operation_result('counter', $wire->apply(counter_input($s, $c, 'increment', { delta => 20 }),
	number => 30)) }->{increment}{value}, 25, 'rolled back: as if it had not been');

#
# The typed functions share the numbers.
#

{
	my $payload = encode_message('atomix.multiraft.counter.v1.CounterInput',
		{ increment => { delta => 100 } });
	my $hex = unpack('H*', $payload);
	my $typed = sub {
		return $psql->query_safe("SELECT status, encode(output, 'hex'), replayed, index
			FROM atomix.command($s, $c, '\\x$hex', $_[0])");
	};
	my $input = counter_input($s, $c, 'increment', { delta => 100 });
	my ($status, $output, $replayed, $index) = split /\|/, $typed->(31);
	my $answer = $wire->apply($input, number => 31);

	is("$status $replayed", 'OK f', 'command() executes');
	is(unpack('H*', $answer->{output}{session_output}{service_output}{payload}),
		$output, 'and the wire replays its output');
	is($answer->{index}, $index, 'with its index');

	$answer = $wire->apply($input, number => 32);
	($status, $output, $replayed, $index) = split /\|/, $typed->(32);
	is("$status $replayed", 'OK t', 'command() replays what the wire executed');
	is($output, unpack('H*', $answer->{output}{session_output}{service_output}{payload}),
		'its output');
	is($index, $answer->{index}, 'with its index');

	my $refused = counter_input($s, $c, 'compare_and_set', { compare => -1, update => 0 });
	my $bytes = unpack('H*', $refused->{session_input}{service_input}{payload});
	is($wire->apply($refused, number => 33)->{status}, 'CONFLICT', 'refused on the wire');
	like($psql->query_safe("SELECT * FROM atomix.command($s, $c, '\\x$bytes', 33)"),
		qr/^CONFLICT\|\|t\|/, 'and replayed as that by command()');

	$psql->query_safe("SELECT atomix.counter_increment('counted', 100, '', $s, 34)");
	is($wire->apply($input, number => 34)->{error}, 'MX005', 'a typed call\'s number on the wire');
	$wire->apply($input, number => 35);
	is(psql_sqlstate($node, "SELECT atomix.counter_increment('counted', 100, '', $s, 35)"),
		'MX005', 'a number of the wire in a typed call');
	is(psql_sqlstate($node, "SELECT atomix.once($s, 35)"), 'MX005', 'and in once()');
	is($psql->query_safe("SELECT atomix.counter_get('counted')"), '425', 'four increments');
	like($psql->query_safe("SELECT * FROM atomix.outcome($s, 33)"),
		qr/^complete\|CONFLICT\|\|/, 'outcome() tells of a refusal');
}

# What is remembered outlives its session, for outcome(); the wire says why it
# cannot be used.
$wire->apply({ close_session => { session_id => $s } });
is(outcome($wire->apply($told[0][1], number => 31)), "NOT_FOUND: session $s is closed",
	'a command of a closed session');
like($psql->query_safe("SELECT * FROM atomix.outcome($s, 31)"), qr/^complete\|OK\|\\x/,
	'its outcomes are known');
is($psql->query_safe("SELECT state FROM atomix.outcome($s, $_->[0])"), $_->[1],
	"and that $_->[0] was $_->[1]")
  for [ 3, 'acknowledged' ], [ 21, 'unknown' ], [ 34, 'complete' ];

#
# Nobody waits for a stranger's transaction that names his service.
#

{
	my $mine = $wire->open_session(3600);
	my $own = $wire->create($mine, 'counter', 'mine');
	my $theirs = $wire->open_session(3600);
	my $stranger = $node->background_psql('postgres', on_error_stop => 0);
	my $caller = AtomixWire->new($stranger);
	my $operation = counter_input($theirs, $own, 'increment', { delta => 1 });

	$psql->query_safe("SET lock_timeout = '1ms'");
	for my $case (
		[ 'command', sub { $caller->apply($operation, number => 1) }, 'FORBIDDEN' ],
		[ 'replay', sub { $caller->apply($operation, number => 1) }, 'FORBIDDEN' ],
		[ 'close', sub { $caller->apply(close_input($theirs, $own), number => 2) }, 'OK' ],
		[ 'batch', sub { ($caller->apply_all([$operation], [ close_input($theirs, $own) ]))[0] }, 'FORBIDDEN' ])
	{
		my ($name, $call, $status) = @$case;

		$stranger->query_safe('BEGIN');
		is($call->()->{status}, $status, "$name by a session that has not open");
		is(outcome($wire->apply(counter_input($mine, $own, 'increment', { delta => 1 }))),
			'OK', "$name: the service is free");
		$stranger->query_safe($name eq 'command' ? 'COMMIT' : 'ROLLBACK');
	}
	# The one who works on it is waited for.
	$stranger->query_safe('BEGIN');
	is($caller->apply(counter_input($mine, $own, 'increment', { delta => 1 }))->{status}, 'OK', 'in use');
	is($wire->apply(counter_input($mine, $own, 'increment', { delta => 1 }))->{error},
		'55P03', 'and waited for');
	$stranger->query_safe('ROLLBACK');
	$psql->query_safe('RESET lock_timeout');
	$stranger->quit;
}

$psql->quit;
$node->stop;
done_testing();
