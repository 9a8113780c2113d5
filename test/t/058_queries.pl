# partition_query: what a query waits for and how long, and that it works where
# nothing can be written: in read-only transactions and on a hot standby.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(encode_message);
use AtomixTest qw(await_beat await_waiting new_node new_standby psql_sqlstate);
use AtomixWire qw(
	counter_input keep_alive_input map_input operation_result request_headers);
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = new_node('primary', 'wal_level = replica', 'max_wal_senders = 4',
	"atomix.query_wait = '200ms'", "atomix.leader_name = 'primary.example'");
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my $session = $wire->open_session(86400);
my $counter = $wire->create($session, 'counter', 'c');
my $map = $wire->create($session, 'map', 'm');
my $get = counter_input($session, $counter, 'get');
my $increment = counter_input($session, $counter, 'increment', { delta => 1 });

sub outcome
{
	my ($answer) = @_;

	return $answer->{error} if $answer->{error};
	return $answer->{status} . ($answer->{message} eq '' ? '' : ": $answer->{message}");
}

sub value_of
{
	return { operation_result('counter', $_[0]) }->{get}{value} // 0;
}

sub set_query_wait
{
	my ($value) = @_;

	$node->append_conf('postgresql.conf', "atomix.query_wait = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('atomix.query_wait') = '$value'")
	  or die 'the setting is not read';
	return;
}

#
# What is no query.
#

for my $case (
	[ 'no input', {}, {}, 'INVALID: a query must not change anything' ],
	[ 'open', { open_session => {} }, {}, 'INVALID: a query must not change anything' ],
	[ 'keep-alive', keep_alive_input($session), {}, 'INVALID: a query must not change anything' ],
	[ 'close session', { close_session => { session_id => $session } }, {},
		'INVALID: a query must not change anything' ],
	[ 'create',
		{ session_input => { session_id => $session, create_service => { service => 'map', name => 'm' } } },
		{}, 'INVALID: a query must not change anything' ],
	[ 'close', { session_input => { session_id => $session, close_service => { service_id => $map } } },
		{}, 'INVALID: a query must not change anything' ],
	[ 'empty input of the session', { session_input => { session_id => $session } }, {},
		'INVALID: a query must not change anything' ],
	[ 'increment', $increment, {}, 'INVALID: a query must not change anything' ],
	[ 'partition 0', $get, { partition => 0 }, 'INVALID: the request names no partition' ],
	[ 'partition 2', $get, { partition => 2 }, 'INVALID: partition 2 does not exist' ],
	[ 'session differs', $get, { session => $session + 1 },
		'INVALID: session_id differs between headers and input' ],
	[ 'service differs', $get, { service => $map },
		'INVALID: service_id differs between headers and input' ],
	[ 'operation_id', $get, { operation => 256 }, 'INVALID: operation_id is out of range' ],
	[ 'number above bigint', $get, { number => 9223372036854775808 },
		'INVALID: sequence number is out of range' ],
	[ 'unknown session', counter_input(4_000_000_000_000_000, $counter, 'get'), {},
		'NOT_FOUND: session 4000000000000000 is unknown' ],
	[ 'service not open', counter_input($session, $session, 'get'), {},
		"FORBIDDEN: service $session is not open in session $session" ])
{
	my ($name, $input, $headers, $expected) = @$case;
	my $answer = $wire->evaluate($input, %$headers);

	is(outcome($answer), $expected, $name);
	is($answer->{output_bytes}, '', "$name: no output");
}
is($psql->query_safe("SELECT count(*) FROM atomix.attachments WHERE session_id = $session"),
	'2', 'none of them has done anything');

#
# A query in order.
#

{
	$wire->apply($increment, number => 1);
	my $newest = $psql->query_safe('SELECT last_value FROM atomix.index_seq');
	my $answer = $wire->evaluate($get, number => 1);

	is(outcome($answer), 'OK', 'a query of what is executed');
	is(value_of($answer), 1, 'sees it');
	is($answer->{index}, $newest, 'at the newest index');
	is($psql->query_safe('SELECT last_value FROM atomix.index_seq'), $newest, 'and draws none');
	is(outcome($wire->evaluate($get)), 'OK', 'a query that waits for nothing');
	is(outcome($wire->evaluate(counter_input(0, 0, 'get'), session => $session, service => $counter)),
		'OK', 'ids in the headers only');
}

#
# Waiting.
#

is(outcome($wire->evaluate($get, number => 2)),
	"UNAVAILABLE: commands up to 2 of session $session have not been executed",
	'what is not executed in time');
is(psql_sqlstate($node, "SELECT atomix.query($session, $counter, '\\x1a00', 2)"), '57P03', 'typed');
$wire->apply($increment, number => 3);
is(outcome($wire->evaluate($get, number => 3)),
	"UNAVAILABLE: commands up to 3 of session $session have not been executed",
	'a number below it is missing');
is(outcome($wire->evaluate($get, number => 1)), 'OK', 'those up to 1 are not');
$wire->apply(keep_alive_input($session, 2));
is(outcome($wire->evaluate($get, number => 3)), 'OK', 'an acknowledged one is not missing');
is(outcome($wire->evaluate($get, number => 1_000_000)),
	"UNAVAILABLE: commands up to 1000000 of session $session have not been executed",
	'far above');

set_query_wait('10min');
for my $end ('COMMIT', 'ROLLBACK')
{
	my $number = $end eq 'COMMIT' ? 4 : 5;
	my $other = AtomixWire->new($node->background_psql('postgres', on_error_stop => 0));
	my $waiter = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $waiter->query_safe('SELECT pg_backend_pid()');
	my $headers = unpack('H*', request_headers('Query', number => $number));
	my $input = unpack('H*', encode_message('atomix.multiraft.v1.PartitionInput', $get));

	$other->psql->query_safe('BEGIN');
	is(outcome($other->apply($increment, number => $number)), 'OK', "$end: a command in flight");
	$waiter->query_until(qr/started/, "\\echo started
		SELECT encode(output, 'hex') FROM atomix.partition_query('\\x$headers', '\\x$input');\n");
	ok(await_waiting($node, $pid, 'Extension Extension'), "$end: a query waits for it");
	$other->psql->query_safe($end);
	if ($end eq 'ROLLBACK')
	{
		# Nothing has come of it; the retry will be seen.
		ok(await_waiting($node, $pid, 'Extension Extension'), 'rolled back: it waits on');
		is(outcome($wire->apply($increment, number => $number)), 'OK', 'rolled back: the retry');
	}
	my ($bytes) = $waiter->query('') =~ /^([0-9a-f]+)$/m;
	my $expected = { get => { value => $number - 1 } };
	my $payload = encode_message('atomix.multiraft.counter.v1.CounterOutput', $expected);
	my $output = encode_message('atomix.multiraft.v1.PartitionOutput',
		{ session_output => { service_output => { payload => $payload } } });

	is($bytes, unpack('H*', $output), "$end: the query sees it");
	$_->quit for $other->psql, $waiter;
}

# Waiting ends with the session.
{
	my $doomed = $wire->open_session(86400);
	my $service = $wire->create($doomed, 'counter', 'c');
	my $waiter = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $waiter->query_safe('SELECT pg_backend_pid()');

	$waiter->query_until(qr/started/, "\\echo started
		SELECT atomix.query($doomed, $service, '\\x1a00', 1);\n");
	ok(await_waiting($node, $pid, 'Extension Extension'), 'a query of a session that will end');
	$wire->apply({ close_session => { session_id => $doomed } });
	$waiter->query('');
	like($waiter->{stderr}, qr/session $doomed is closed/, 'hears of that');
	$waiter->quit;
}

#
# In a read-only transaction.
#

$psql->query_safe('BEGIN READ ONLY');
is(value_of($wire->evaluate($get, number => 5)), 4, 'read-only: a query');
is($psql->query_safe("SELECT atomix.counter_get('c'), (SELECT count(*) FROM atomix.counters)"),
	'4|1', 'read-only: typed functions and views');
is($wire->apply($increment)->{error}, '25006', 'read-only: a command');
$psql->query_safe('ROLLBACK; BEGIN READ ONLY');
is(($wire->apply_all([$increment]))[0]{error}, '25006', 'read-only: commands');
$psql->query_safe('ROLLBACK');

#
# On a hot standby.
#

set_query_wait('200ms');
$wire->apply(map_input($session, $map, 'put', { key => 'k', value => { value => 'v', ttl => { seconds => 3600 } } }));
await_beat($node);
my $standby = new_standby($node, 'standby',
	"max_standby_streaming_delay = -1\nmax_standby_archive_delay = -1\nhot_standby_feedback = on\n");
$node->wait_for_catchup($standby);

{
	my $reader = AtomixWire->new($standby->background_psql('postgres', on_error_stop => 0));
	my $answer = $reader->evaluate($get, number => 5);
	my $not_here = qr/^UNAVAILABLE: .*primary\.example/;

	is(outcome($answer), 'OK', 'standby: a query');
	is(value_of($answer), 4, 'standby: sees what was executed');
	is({ operation_result('map', $reader->evaluate(map_input($session, $map, 'get', { key => 'k' }))) }
		->{get}{entry}{value}{value}, 'v', 'standby: also of an entry with a time to live');
	is(outcome($reader->evaluate($get, number => 6)),
		"UNAVAILABLE: commands up to 6 of session $session have not been executed",
		'standby: what has not been executed');
	is(outcome($reader->evaluate($increment)), 'INVALID: a query must not change anything',
		'standby: what is no query');
	is($reader->psql->query_safe("SELECT status, encode(output, 'hex') FROM atomix.query($session, $counter, '\\x1a00', 5)"),
		'OK|1a020804', 'standby: a typed query');
	is($reader->psql->query_safe("SELECT atomix.counter_get('c'), atomix.map_get_text('m', 'k'), atomix.map_size('m')"),
		'4|v|1', 'standby: typed functions');
	is($reader->psql->query_safe("SELECT count(*) FROM atomix.$_->[0]"), $_->[1], "standby: view $_->[0]")
	  for [ 'counters', 1 ], [ 'maps', 1 ], [ 'services', 2 ], [ 'sessions', 2 ], [ 'attachments', 2 ];

	for my $case (
		[ 'a command', $increment, number => 6 ],
		[ 'a command that reads', $get ],
		[ 'a replay', $increment, number => 5 ],
		[ 'open', { open_session => {} } ],
		[ 'keep-alive', keep_alive_input($session, 5) ],
		[ 'close session', { close_session => { session_id => $session } } ],
		[ 'create',
			{ session_input => { session_id => $session, create_service => { service => 'map', name => 'm' } } } ])
	{
		my ($name, $input, %headers) = @$case;
		my $answer = $reader->apply($input, %headers);

		like(outcome($answer), $not_here, "standby: $name is not for it");
		is($answer->{output_bytes}, '', "standby: $name has no output");
	}
	my @answers = $reader->apply_all([ $increment, number => 6 ], [$get]);
	is(scalar(grep { outcome($_) =~ $not_here } @answers), 2, 'standby: commands are not for it');
	is($reader->apply_bytes("\x0a", '')->{error}, '22P03', 'standby: bytes that do not decode');
	is(psql_sqlstate($standby, "SELECT atomix.$_"), '25006', "standby: $_")
	  for "command($session, $counter, '\\x1a00', 6)", "commands($session, $counter, ARRAY['\\x1a00'::bytea], 6)",
	  "counter_increment('c')", "map_put_text('m', 'k', 'w')", "once($session, 6)", "ack($session, 5)",
	  "create_service($session, 'map', 'n')";
	$reader->psql->quit;
}

$psql->quit;
$standby->stop;
$node->stop;
done_testing();
