# A client of the later generation, from opening a session to closing it:
# services, commands and their duplicates, streams, keep-alives with a filter,
# and a server that is stopped in the middle.  Each rpc and each case of the
# state machine's inputs and outputs is used, and no answer is without a status.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(document filter_of);
use AtomixProto qw(decode_message encode_message enum_name);
use AtomixTest qw(new_node psql_sqlstate);
use AtomixWire qw(counter_input keep_alive_input lock_input map_input operation_result);
use PostgreSQL::Test::Utils;
use Test::More;

my $v1 = 'atomix.multiraft.v1';
my $node = new_node('v1', "atomix.leader_name = 'primary.example'", "atomix.node_id = '7'");
my ($psql, $wire);
my (%inputs, %outputs, %statuses, %rpcs);

sub connect_anew
{
	$psql = $node->background_psql('postgres', on_error_stop => 0);
	$wire = AtomixWire->new($psql);
	return;
}

sub run { return $node->safe_psql('postgres', $_[0]); }

# Take down which cases a message has, down to those of a session.
sub note_cases
{
	my ($seen, $message, @inner) = @_;

	for my $case (keys %$message)
	{
		$seen->{$case}++;
		$seen->{"$case.$_"}++
		  for grep { ref $message->{$case}{$_} } keys %{ ref $message->{$case} ? $message->{$case} : {} };
	}
	return;
}

sub apply
{
	my ($input, %headers) = @_;
	my $answer = $wire->apply($input, %headers);

	note_cases(\%inputs, $input);
	note_cases(\%outputs, $answer->{output}) if $answer->{output};
	$statuses{ $answer->{status} }++ if defined $answer->{status};
	return $answer;
}

# A rpc of service Partition: the status, by name, and the response.
sub rpc
{
	my ($name, $request) = @_;
	my $function = 'partition_' . lc($name =~ s/(?<=[a-z])([A-Z])/_$1/r);
	my $bytes = unpack('H*', encode_message("$v1.${name}Request", $request));
	my $response = decode_message("$v1.${name}Response",
		pack('H*', run("SELECT encode(atomix.$function('\\x$bytes'), 'hex')")));
	my $status = enum_name("$v1.PartitionResponseHeaders.Status", $response->{headers}{status} // 0);

	$rpcs{$name}++;
	$statuses{$status}++;
	return ($status, $response);
}

sub watch
{
	my ($request) = @_;
	my $bytes = unpack('H*', encode_message("$v1.WatchPartitionRequest", $request));

	$rpcs{Watch}++;
	return decode_message("$v1.WatchPartitionResponse",
		pack('H*', run("SELECT encode(partition_watch, 'hex') FROM atomix.partition_watch('\\x$bytes')")));
}

connect_anew();

#
# The rpcs of a partition
#

my $first = { headers => { partition_id => 1 } };
my ($status, $response) =
  rpc('OpenSession', { %$first, input => { timeout => { seconds => 3600 } } });
my $session = $response->{output}{session_id};
is($status, 'OK', 'OpenSession');
is($response->{headers}{index}, $session, 'has the index of the session');
for my $partition ([ 'no headers', {} ], [ 'partition 0', { headers => {} } ],
	[ 'partition 2', { headers => { partition_id => 2 } } ])
{
	my ($name, $headers) = @$partition;

	for my $call ([ 'OpenSession', {} ], [ 'KeepAlive', { session_id => $session } ],
		[ 'CloseSession', { session_id => $session } ])
	{
		my ($rpc, $input) = @$call;

		($status, $response) = rpc($rpc, { %$headers, input => $input });
		is($status, 'INVALID', "$rpc: $name");
		is($response->{output}, undef, 'without an output');
	}
}
($status, $response) = rpc('KeepAlive', { %$first, input => { session_id => $session } });
is($status, 'OK', 'KeepAlive');
is_deeply($response->{output}, {}, 'has an output');
is((rpc('KeepAlive', { %$first, input => { session_id => 7 } }))[0], 'NOT_FOUND', 'of an unknown session');

my $watched = watch({ partition_id => 1 });
is_deeply($watched->{leader_updated},
	{ leader => { partition => { partition_id => 1 }, term => 1, leader => 7 } }, 'Watch');
is_deeply(watch({}), $watched, 'partition 0 is the first');
is(psql_sqlstate($node, "SELECT * FROM atomix.partition_watch('\\x0802')"), '22023',
	'one that does not exist');

#
# Services and commands
#

sub create
{
	my ($type, $name, %headers) = @_;

	return apply(
		{
			session_input => {
				session_id => $session,
				create_service => { service => $type, name => $name }
			}
		},
		%headers);
}

my $created = create('counter', 'c', number => 1);
my $counter = $created->{output}{session_output}{create_service}{service_id};
is($created->{status}, 'OK', 'a service is created');
my $map = create('map', 'm', number => 2)->{output}{session_output}{create_service}{service_id};
my $lock = create('lock', 'l', number => 3)->{output}{session_output}{create_service}{service_id};

sub increment { return counter_input($session, $counter, 'increment', { delta => 1 }); }

my $done = apply(increment(), number => 4);
is_deeply({ operation_result('counter', $done) }, { increment => { value => 1 } }, 'a command');
my $again = apply(increment(), number => 4);
is("$again->{headers_bytes}$again->{output_bytes}", "$done->{headers_bytes}$done->{output_bytes}",
	'its duplicate is the same, byte for byte');
$again = create('counter', 'c', number => 1);
is("$again->{headers_bytes}$again->{output_bytes}", "$created->{headers_bytes}$created->{output_bytes}",
	'so is that of a create');
is(apply(counter_input($session, $counter, 'set', { value => 9 }), number => 4)->{error}, 'MX005',
	'another command under its number');

# Numbers may come in any order.
is(apply(increment(), number => 6)->{status}, 'OK', 'a number ahead');
is(apply(increment(), number => 5)->{status}, 'OK', 'and the one before it');
is(run("SELECT atomix.counter_get('c')"), 3, 'each once');
is(apply(counter_input($session, $counter, 'compare_and_set', { compare => 9, update => 1 }), number => 7)
	  ->{status}, 'CONFLICT', 'a refused command');
is(apply(map_input($session, $map, 'remove', { key => 'none' }), number => 8)->{status}, 'NOT_FOUND',
	'and another');

#
# Streams and keep-alives
#

my $stream = apply(map_input($session, $map, 'events'), number => 9);
is("$stream->{status} $stream->{num}", 'OK 1', 'a stream is open');
apply(map_input($session, $map, 'put', { key => $_, value => { value => $_ } })) for 'a' .. 'c';
my $other = apply(map_input($session, $map, 'events', { key => 'b' }), number => 10);
is($wire->told('map', $session, 9),
	'1 open events: nothing, 2: INSERT a=a, 3: INSERT b=b, 4: INSERT c=c', 'its outputs');

sub keep_alive
{
	my ($last, $pending, %outs) = @_;

	return apply(keep_alive_input($session, $last, document(filter_of(@$pending)), \%outs));
}

is(keep_alive(10, [ 9, 10 ], 9 => 3)->{status}, 'OK', 'a keep-alive for two streams');
is($wire->told('map', $session, 9), '4: INSERT c=c', 'what is acknowledged does not come again');
is(apply(increment(), number => 4)->{error}, 'MX004', 'nor is a command executed again');
is(keep_alive(10, [9], 9 => 99)->{status}, 'INVALID', 'an output that does not exist');
is(apply(keep_alive_input($session, 10, 'garbage'))->{status}, 'INVALID', 'a filter that is none');
is(keep_alive(10, [9], 9 => 3)->{status}, 'OK', 'a stream is cancelled by a filter without it');
is(run("SELECT string_agg(sequence_num::text, ' ') FROM atomix.streams"), '9', 'the other one goes on');

# A lock that has to be waited for.
my $rival = $wire->open_session(3600);
my $rivals = $wire->create($rival, 'lock', 'l');
is($wire->apply(lock_input($rival, $rivals, 'acquire'), number => 1)->{num}, 1, 'a lock is taken');
my $waiting = apply(lock_input($session, $lock, 'acquire'), number => 11);
is("$waiting->{status} $waiting->{num}", 'OK 0', 'another one waits');
is(keep_alive(11, [ 9, 11 ])->{status}, 'OK', 'it is pending');

#
# The server is stopped
#

$psql->quit;
$node->stop('immediate');
$node->start;
connect_anew();

$wire->apply(lock_input($rival, $rivals, 'release'), number => 2);
my $granted = apply(lock_input($session, $lock, 'acquire'), number => 11);
is("$granted->{status} $granted->{num}", 'OK 1', 'who waited before has the lock');
ok((operation_result('lock', $granted))[1]->{index} > $waiting->{index}, 'with a token');
apply(map_input($session, $map, 'put', { key => 'd', value => { value => 'd' } }), number => 12);
is($wire->told('map', $session, 9), '4: INSERT c=c, 5: INSERT d=d', 'the stream goes on');
is(apply(increment(), number => 4)->{error}, 'MX004', 'what was acknowledged is');
is(apply(increment(), number => 13)->{status}, 'OK', 'commands go on');
is(keep_alive(13, [9], 9 => 5)->{status}, 'OK', 'keep-alives, too');
is($wire->told('map', $session, 9), '', 'all is acknowledged');

#
# The end
#

sub close_service
{
	my ($service) = @_;

	return apply({ session_input => { session_id => $session, close_service => { service_id => $service } } });
}

is(close_service($map)->{status}, 'OK', 'a service is closed');
is($wire->told('map', $session, 9), '6 close: the service was closed', 'and its stream');
is(close_service($map)->{status}, 'OK', 'closed again');
is(apply(map_input($session, $map, 'size'), number => 14)->{status}, 'FORBIDDEN', 'it is not used any more');
is(apply({ session_input => { session_id => $session } })->{status}, 'INVALID', 'no input at all');
is(apply({})->{status}, 'INVALID', 'not even a session');
my $opened = apply({ open_session => {} })->{output}{open_session}{session_id};
is(apply({ close_session => { session_id => $opened } })->{status}, 'OK', 'a session by the state machine');
($status) = rpc('CloseSession', { %$first, input => { session_id => $session } });
is($status, 'OK', 'CloseSession');
is((rpc('CloseSession', { %$first, input => { session_id => $session } }))[0], 'OK', 'again');
is((rpc('CloseSession', { %$first, input => { session_id => 7 } }))[0], 'NOT_FOUND', 'one that never was');
is(apply(increment(), number => 15)->{status}, 'NOT_FOUND', 'no commands in a closed session');
is(run("SELECT count(*) FROM atomix.locks WHERE session_id = $session"), 0, 'it has no lock');

#
# Nothing is left out.
#

my $proto = "$FindBin::RealBin/../../proto/atomix/multiraft/v1";

# The cases of a message, by their names.
sub cases_of
{
	my ($message) = @_;
	my ($body) = slurp_file("$proto/fsm.proto") =~ /^message \Q$message\E \{\n(.*?)^\}/ms;
	my ($oneof) = $body =~ /oneof \w+ \{(.*?)\}/s;

	return $oneof =~ /\w+ (\w+) = \d+;/g;
}

ok($inputs{$_}, "PartitionInput: $_") for cases_of('PartitionInput');
ok($inputs{"session_input.$_"}, "SessionInput: $_") for cases_of('SessionInput');
ok($outputs{$_}, "PartitionOutput: $_") for cases_of('PartitionOutput');
ok($outputs{"session_output.$_"}, "SessionOutput: $_") for cases_of('SessionOutput');
my ($service) = slurp_file("$proto/partition.proto") =~ /^service Partition \{(.*?)^\}/ms;
ok($rpcs{$_}, "rpc $_") for $service =~ /rpc (\w+)\(/g;
ok(!$statuses{UNKNOWN}, 'no answer is without a status');
is_deeply([ sort keys %statuses ], [qw(CONFLICT FORBIDDEN INVALID NOT_FOUND OK)], 'those there are');

$psql->quit;
$node->stop;
done_testing();
