# A client of the first generation: sessions with headers, commands in the order
# of their numbers, streams, their acknowledgement and cancellation, a close
# that deletes; what each field of the headers is, by the tables in
# docs/protocol.md; and a server that is stopped in the middle.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(decode_message encode_message);
use AtomixTest qw(advance_clock await_state await_waiting new_node start_query);
use AtomixV0;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('v0', "atomix.leader_name = 'primary.example'", "atomix.query_wait = '200ms'");
my ($psql, $v0, $other_psql, $other);

sub connect_anew
{
	$psql = $node->background_psql('postgres', on_error_stop => 0);
	$other_psql = $node->background_psql('postgres', on_error_stop => 0);
	$v0 = AtomixV0->new($psql);
	$other = AtomixV0->new($other_psql);
	return;
}

sub run { return $node->safe_psql('postgres', $_[0]); }

sub newest { return run('SELECT last_value FROM atomix.index_seq'); }

sub input
{
	my ($type, $operation, $fields) = @_;
	my %name = (counter => 'Counter', map => 'Map', lock => 'Lock', election => 'LeaderElection');

	return encode_message("atomix.multiraft.$type.v1.$name{$type}Input",
		{ $operation => $fields // {} });
}

sub output
{
	my ($type, $answer) = @_;
	my %name = (counter => 'Counter', map => 'Map', lock => 'Lock', election => 'LeaderElection');

	return decode_message("atomix.multiraft.$type.v1.$name{$type}Output", $answer->{payload});
}

# Status and message in a word, or the SQLSTATE of an error.
sub outcome
{
	my ($answer) = @_;

	return $answer->{error} if $answer->{error};
	return $answer->{status} eq 'OK' ? 'OK' : "$answer->{status} $answer->{message}";
}

sub count { return run("SELECT atomix.counter_get('$_[0]')") }

sub increment { return input('counter', 'increment', { delta => $_[0] }); }

# A session that has its services open, commands 1 to n.
sub client_session
{
	my ($client, %services) = @_;
	my $id = $client->open_session(3600)->{session_id};
	my $number = 0;

	$client->command('', session => $id, number => ++$number, name => $_, type => $services{$_})
	  for sort keys %services;
	return $id;
}

# Messages in one line: type and number, with the key of a map's event, or the
# message of an end.
sub told
{
	return join(
		', ',
		map {
			my $said = '';

			if ($_->{error})
			{
				$_->{error};
			}
			else
			{
				$said = ' ' . $_->{message} if $_->{message} ne '';
				$said = ' ' . (output('map', $_)->{events}{event}{entry}{key} // '?')
				  if $_->{payload} ne '' && $_->{type} eq 'RESPONSE';
				"$_->{stream_id}/$_->{response_id} $_->{type}$said";
			}
		} @_);
}

connect_anew();

#
# Opening
#

my $opened = $v0->open_session(3600);
my $session = $opened->{session_id};
is(outcome($opened), 'OK', 'a session is opened');
is(run("SELECT timeout FROM atomix.sessions WHERE session_id = $session"), '01:00:00',
	'with its timeout');
is(outcome($v0->open_session(undef)), 'OK', 'a timeout need not be given');
is(outcome($v0->open_session(3600, partition => 1)), 'OK', 'partition 1');
is(outcome($v0->open_session(3600, partition => 2)), 'ERROR INVALID: partition 2 does not exist',
	'a partition that does not exist');
is(outcome($v0->open_session(3600, partition => -1)), 'ERROR INVALID: partition -1 does not exist',
	'nor does a negative one');
like(outcome($v0->open_session(0)), qr/^ERROR INVALID: session timeout must be between/,
	'a timeout out of bounds');
is(run('SELECT count(*) FROM atomix.sessions'), 3, 'what is refused opens nothing');

#
# Commands
#

my @at = (session => $session, name => 'c');
is(outcome($v0->command(increment(5), @at)),
	"ERROR FORBIDDEN: service \"c\" is not open in session $session", 'a service that is not open');
my $created = $v0->command('', @at, number => 1, type => 'counter');
is(outcome($created), 'OK', 'a service is opened by its type');
is($created->{payload}, '', 'which has no output');
my $first = $v0->command(increment(5), @at, number => 2);
is_deeply(output('counter', $first), { increment => { value => 5 } }, 'a command');
is_deeply($v0->command(increment(5), @at, number => 2), $first, 'a duplicate gets the same answer');
is_deeply($v0->command('', @at, number => 1, type => 'counter'), $created, 'also of opening');
is(count('c'), 5, 'and is not executed');
is(outcome($v0->command(increment(6), @at, number => 2)), 'MX005', 'another command under the number');
is_deeply(
	output('counter', $v0->command(increment(1), @at)), { increment => { value => 6 } },
	'without a number it is executed');
is_deeply(
	output('counter', $v0->command(increment(1), @at)), { increment => { value => 7 } },
	'each time');

# A refused one has its number, too.
my $conflict = $v0->command(
	input('counter', 'compare_and_set', { compare => 99, update => 1 }), @at, number => 3);
like(outcome($conflict), qr/^ERROR CONFLICT: ./, 'a refused command');
run("SELECT atomix.counter_set('c', 99)");
is_deeply(
	$v0->command(input('counter', 'compare_and_set', { compare => 99, update => 1 }), @at, number => 3),
	$conflict, 'is replayed, though it would succeed now');
is(outcome($v0->command(input('map', 'size'), @at, number => 4, type => 'map')),
	'ERROR FORBIDDEN: service "c" is of another type', 'a service of another type');
is(outcome($v0->command('', @at, number => 5, type => 'heap')),
	'ERROR FORBIDDEN: service type "heap" does not exist', 'an unknown type');
is(outcome($v0->command("\xff", @at, number => 6)), '22P03', 'bytes that do not decode');
is(outcome($v0->command(increment(1), session => $session, number => 6)),
	'ERROR INVALID: the request names no service', 'no name');
is(outcome($v0->command(increment(1), @at, number => 6)), 'OK', 'these leave the number free');
is(count('c'), 100, 'once');

# Opened by the first command that says its type, in one.
is_deeply(
	output('counter', $v0->command(increment(2), @at, name => 'd', number => 7, type => 'counter')),
	{ increment => { value => 2 } }, 'opened and used by one command');
is_deeply(
	output('counter', $v0->command(increment(2), @at, name => 'd', number => 8, type => 'counter')),
	{ increment => { value => 4 } }, 'the type may be said again');

# Dots are letters.
$v0->command(increment(1), session => $session, name => [ 'c', 'a.b' ], type => 'counter');
$v0->command(increment(2), session => $session, name => [ 'b.c', 'a' ], type => 'counter');
$v0->command(increment(4), session => $session, name => 'a.b.c', type => 'counter');
is(run("SELECT atomix.counter_get('c', 'a.b'), atomix.counter_get('b.c', 'a'), atomix.counter_get('a.b.c')"),
	'1|2|4', 'names with dots are not split');

#
# Gaps
#

my $gap = $v0->command(increment(1), @at, number => 11);
is(outcome($gap),
	"ERROR UNAVAILABLE: commands up to 10 of session $session have not been executed",
	'a command with a gap before it');
is(run("SELECT max(sequence_num) FROM atomix.command WHERE session_id = $session"), 8,
	'it is not kept');
is(count('c'), 100, 'nor executed');
is(outcome($v0->command(increment(1), @at, number => 9)), 'OK', 'the missing ones');
is(outcome($v0->command('', @at, name => 'd', number => 10, type => 'counter')), 'OK', 'come');
is(count('c'), 101, 'nothing was parked');
is(outcome($v0->command(increment(1), @at, number => 11)), 'OK', 'and it follows');

$node->append_conf('postgresql.conf', "atomix.query_wait = '10min'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.query_wait') = '10min'")
  or die 'the setting is not read';
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $waiter->query_safe('SELECT pg_backend_pid()');
my $header = unpack('H*', encode_message('atomix.headers.RequestHeader',
		AtomixV0::request_header(@at, number => 13)));
my $payload = unpack('H*', increment(10));
start_query($waiter, "SELECT encode(payload, 'hex') FROM atomix.session_command('\\x$header', '\\x$payload')");
ok(await_waiting($node, $pid, 'Extension Extension'), 'a command waits for the one before it');
is_deeply(output('counter', $v0->command(increment(1), @at, number => 12)),
	{ increment => { value => 103 } }, 'this comes');
is($waiter->query(''), unpack('H*', encode_message('atomix.multiraft.counter.v1.CounterOutput',
			{ increment => { value => 113 } })), 'and is followed at once');
$waiter->quit;

$node->append_conf('postgresql.conf', "atomix.query_wait = '100ms'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.query_wait') = '100ms'")
  or die 'the setting is not read';

# What was undone has not been executed, whoever has seen it.
$psql->query_safe('BEGIN; SAVEPOINT a');
is(outcome($v0->command(increment(1), @at, number => $_)), 'OK', "number $_ in a transaction") for 14, 15;
$psql->query_safe('ROLLBACK TO a');
like(outcome($v0->command(increment(1), @at, number => 15)), qr/^ERROR UNAVAILABLE: commands up to 14 /,
	'the first is missing after a rollback to a savepoint');
is(outcome($v0->command(increment(1), @at, number => $_)), 'OK', "number $_ again") for 14, 15;
$psql->query_safe('ROLLBACK');
like(outcome($v0->command(increment(1), @at, number => 15)), qr/^ERROR UNAVAILABLE: commands up to 14 /,
	'so after a rollback');

#
# Queries
#

my $get = input('counter', 'get');
is_deeply(output('counter', $v0->command($get, @at, number => 13)), { get => { value => 113 } },
	'a query');
is(run("SELECT max(sequence_num) FROM atomix.command WHERE session_id = $session"), 13,
	'has no number');
like(outcome($v0->command($get, @at, number => 14)), qr/^ERROR UNAVAILABLE: commands up to 14 /,
	'but sees those up to one');
is(outcome($v0->command($get, @at, name => 'nowhere')),
	"ERROR FORBIDDEN: service \"nowhere\" is not open in session $session",
	'of a service that does not exist');
is_deeply(output('counter', $v0->command($get, @at, name => 'anew', type => 'counter')), { get => {} },
	'it is opened where the type is said');

#
# Acknowledging: the greatest number with an answer need not be the last of
# those that have one.
#

is(outcome($v0->keep_alive(session => $session, number => 3)), 'OK', 'commands are acknowledged');
is(outcome($v0->command(increment(5), @at, number => 2)), 'MX004', 'they are not answered again');
is(outcome($v0->command(increment(1), @at, number => 9)), 'OK', 'others are');
is(outcome($v0->keep_alive(session => $session, number => 20)), 'OK',
	'more is acknowledged than was executed');
is(outcome($v0->command(increment(1), @at, number => 13)), 'MX004', 'what was is over');
is_deeply(output('counter', $v0->command(increment(1), @at, number => 14)),
	{ increment => { value => 114 } }, 'what was not is still to come');
is(outcome($v0->keep_alive(session => $session)), 'OK', 'a renewal alone');
is(outcome($v0->command(increment(1), @at, number => 14)), 'OK', 'acknowledges nothing');
is(outcome($v0->keep_alive(session => 4_000_000_000_000_000)),
	'ERROR NOT_FOUND: session 4000000000000000 is unknown', 'an unknown session is an answer');
is(outcome($v0->command(increment(1), @at, session => 0)), 'ERROR NOT_FOUND: session 0 is unknown',
	'so is none');

#
# Streams
#

my $reader = client_session($v0, m => 'map');
my @of = (session => $reader, name => 'm');
my $events = input('map', 'events');
my $stream = $v0->command($events, @of, number => 2);
is($stream->{type}, 'OPEN_STREAM', 'a stream is opened');
is_deeply($v0->command($events, @of, number => 2), $stream, 'again: the same');
is(outcome($v0->command($events, @of)), 'ERROR INVALID: a stream needs a sequence number',
	'without a number there is none');
$v0->command($events, @of, number => 3);
run("SELECT atomix.map_put_text('m', k, '1') FROM unnest('{a,b,c}'::text[]) AS k");
is(told($v0->fetch(session => $reader, number => 2)),
	'2/1 OPEN_STREAM, 2/2 RESPONSE a, 2/3 RESPONSE b, 2/4 RESPONSE c', 'its messages');
is(told($v0->fetch(session => $reader, number => 2, rows => 2)),
	'2/1 OPEN_STREAM, 2/2 RESPONSE a', 'some of them');
is(told($v0->fetch(session => $reader, streams => { 2 => 2, 3 => 3 }, rows => 3)),
	'2/3 RESPONSE b, 2/4 RESPONSE c, 3/4 RESPONSE c', 'those that come after what the client has');
is(told($v0->fetch(session => $reader, streams => { 2 => 4 })), '', 'none');
is(told($v0->fetch(session => $reader, rows => 1)), '2/1 OPEN_STREAM', 'of all streams, up to a number');
is(told($v0->fetch(session => $reader)),
	'2/1 OPEN_STREAM, 2/2 RESPONSE a, 2/3 RESPONSE b, 2/4 RESPONSE c, '
	  . '3/1 OPEN_STREAM, 3/2 RESPONSE a, 3/3 RESPONSE b, 3/4 RESPONSE c', 'of all streams');
is(outcome($v0->keep_alive(session => $reader, number => 3, streams => { 2 => 3, 3 => 9 })),
	"ERROR INVALID: command 3 of session $reader has no output 9", 'a message that does not exist');
is(outcome($v0->keep_alive(session => $reader, number => 3, streams => { 2 => 3, 3 => 1 })), 'OK',
	'messages are acknowledged');
is(told($v0->fetch(session => $reader)),
	'2/4 RESPONSE c, 3/2 RESPONSE a, 3/3 RESPONSE b, 3/4 RESPONSE c', 'and do not come again');
is(outcome($v0->keep_alive(session => $reader, number => 1)), 'OK',
	'a keep-alive that has not come to the streams');
is(run("SELECT count(*) FROM atomix.streams WHERE session_id = $reader"), 2, 'leaves them alone');
is(outcome($v0->keep_alive(session => $reader, number => 3, streams => { 2 => 4 })), 'OK',
	'a stream is given up by not listing it');
is(run("SELECT string_agg(sequence_num::text, ' ') FROM atomix.streams WHERE session_id = $reader"),
	'2', 'the other one goes on');
is(told($v0->fetch(session => $reader, number => 3)), 'MX004', 'nothing is left of it');

# All entries, which is a stream that ends by itself.
is($v0->command(input('map', 'entries'), @of, number => 4)->{type}, 'OPEN_STREAM', 'all entries');
my @entries = $v0->fetch(session => $reader, number => 4);
is_deeply([ map { $_->{type} } @entries ],
	[ 'OPEN_STREAM', ('RESPONSE') x 3, 'CLOSE_STREAM' ], 'from beginning to end');
is(outcome($entries[4]), 'OK', 'a good end');

# It ends with its service.
my $owner = client_session($other, m => 'map');
run("SELECT atomix.delete_service('m')");
is(told($v0->fetch(session => $reader, number => 2)),
	'2/5 CLOSE_STREAM NOT_FOUND: the service was deleted', 'a stream of a service that was deleted');

#
# A lock that has to be waited for is a stream to its client, who does not list
# it.
#

my $holder = client_session($v0, l => 'lock');
my $waiting = client_session($other, l => 'lock');
my $acquire = input('lock', 'acquire');
my $token = output('lock', $v0->command($acquire, session => $holder, name => 'l', number => 2))
  ->{acquire}{index};
ok($token > 0, 'a lock');
my $wait = $other->command($acquire, session => $waiting, name => 'l', number => 2);
is($wait->{type}, 'OPEN_STREAM', 'who has to wait');
is(told($other->fetch(session => $waiting, number => 2)), '', 'hears nothing yet');
is(outcome($other->command(increment(1), session => $waiting, name => 'c', number => 3, type => 'counter')),
	'OK', 'does something else');
is(outcome($other->keep_alive(session => $waiting, number => 3)), 'OK', 'and acknowledges that');
is(run("SELECT count(*) FROM atomix.locks WHERE session_id = $waiting AND NOT granted"), 1,
	'it goes on waiting');
$v0->command(input('lock', 'release'), session => $holder, name => 'l', number => 3);
is(outcome($other->keep_alive(session => $waiting, number => 3)), 'OK', 'acknowledged once more');
my $granted = $other->command($acquire, session => $waiting, name => 'l', number => 2);
is($granted->{type}, 'RESPONSE', 'asked again');
ok(output('lock', $granted)->{acquire}{index} > $token, 'it gets the token');
my @frames = $other->fetch(session => $waiting, number => 2);
is_deeply([ map { "$_->{type} $_->{response_id}" } @frames ],
	[ 'OPEN_STREAM 1', 'RESPONSE 2', 'CLOSE_STREAM 3' ], 'or reads it as a stream');
is($frames[1]{payload}, $granted->{payload}, 'of the same');
is(outcome($other->command(input('lock', 'release'), session => $waiting, name => 'l', number => 4)),
	'OK', 'once it is released');
is(outcome($other->keep_alive(session => $waiting, number => 4)), 'OK', 'it can be acknowledged');
is(told($other->fetch(session => $waiting, number => 2)), 'MX004', 'and is over');

# One that waits in vain.
$v0->command($acquire, session => $holder, name => 'l', number => 4);
$other->command(input('lock', 'acquire', { timeout => { seconds => 60 } }),
	session => $waiting, name => 'l', number => 5);
advance_clock($node, '61 s');
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM atomix.locks WHERE NOT granted")
  or die 'it goes on waiting';
like(told($other->fetch(session => $waiting, number => 5)),
	qr{^5/1 OPEN_STREAM, 5/2 CLOSE_STREAM CONFLICT: .}, 'a lock that was not granted');

#
# The server is stopped in the middle.
#

my $map = client_session($v0, m => 'map');
@of = (session => $map, name => 'm');
$v0->command($events, @of, number => 2);
my $put = input('map', 'put', { key => 'k', value => { value => 'v' } });
my $before = $v0->command($put, @of, number => 3);
is(outcome($v0->keep_alive(session => $map, number => 2, streams => { 2 => 1 })), 'OK', 'before a stop');
$_->quit for $psql, $other_psql;
$node->stop('immediate');
$node->start;
connect_anew();
is_deeply($v0->command($put, @of, number => 3), $before, 'a command of before is replayed');
is(told($v0->fetch(session => $map, number => 2)), '2/2 RESPONSE k', 'the stream goes on');
is(outcome($v0->command($put, @of, number => 5)),
	"ERROR UNAVAILABLE: commands up to 4 of session $map have not been executed", 'so does the order');
is(outcome($v0->command($put, @of, number => 4)), 'OK', 'of commands');
is(outcome($v0->command(input('map', 'remove', { key => 'k' }), @of, number => 5)), 'OK', 'and their effects');
is(told($v0->fetch(session => $map, number => 2)), '2/2 RESPONSE k, 2/3 RESPONSE k',
	'are told: the equal put is no change');
is(outcome($v0->keep_alive(session => $map, number => 5, streams => { 2 => 3 })), 'OK', 'acknowledged');
is(outcome($v0->command($put, @of, number => 3)), 'MX004', 'is acknowledged');

#
# Each field of the headers, by the tables of the documentation
#

# The rows of the table whose first column is so called, as hashes.
sub table
{
	my ($first) = @_;
	my @lines = split /\n/, slurp_file("$FindBin::RealBin/../../docs/protocol.md");
	my (@columns, @rows);

	for my $line (@lines)
	{
		my @cells = map { s/^[\s`]+|[\s`]+$//gr } split /\|/, $line =~ s/^\|//r;

		if (!@columns)
		{
			@columns = @cells if $line =~ /^\| \Q$first\E \|/ && $line =~ /session|Session/;
			next;
		}
		last if $line !~ /^\|/;
		next if $line =~ /^\|---/;
		push @rows, { map { $columns[$_] => $cells[$_] } 0 .. $#columns };
	}
	die "no table of $first" unless @rows;
	return @rows;
}

# A session of its own, with a stream and an end of one.
my $asked = client_session($v0, n => 'map');
my @on = (session => $asked, name => 'n');
$v0->command($events, @on, number => 2);
my $change = $v0->command($put, @on, number => 3);
my %answers = (
	OpenSession => [ 0, $v0->open_session(3600) ],
	KeepAlive => [ 0, $v0->keep_alive(session => $asked) ],
	command => [ 3, $change ],
	query => [ 3, $v0->command(input('map', 'size'), @on, number => 3) ],
	'opened stream' => [ 2, $v0->command($events, @on, number => 2) ],
	'output of a stream' => [ 2, $v0->fetch(session => $asked, streams => { 2 => 1 }) ],
	'refused operation' => [ 4, $v0->command(input('map', 'get', {}) , @on, name => 'nothing', number => 3) ],
	'refused request' => [ 0, $v0->keep_alive(session => $asked, partition => 7) ]);
$answers{'refused operation'} = [ 4, $v0->command(input('map', 'remove', { key => 'none' }), @on, number => 4) ];
my $at_change = $answers{command}[1]{index};
my $at_open = $answers{'opened stream'}[1]{index};
$other->close_and_delete(session => client_session($other), name => 'n');
$answers{'end of a stream'} = [ 2, $v0->fetch(session => $asked, streams => { 2 => 2 }) ];
$answers{CloseSession} = [ 0, $v0->close_session(session => $asked) ];

for my $row (table('response'))
{
	my $what = $row->{response};

	# Test 094 looks at that.
	next if $what eq 'standby';

	my ($number, $answer) = @{ delete $answers{$what} // die "no answer of $what" };
	my $newest = newest();
	my %is = (
		'0' => sub { $_[0] eq '0' },
		'1' => sub { $_[0] eq '1' },
		asked => sub { $_[0] eq $asked },
		opened => sub { run("SELECT count(*) FROM atomix.sessions WHERE session_id = $_[0]") },
		number => sub { $_[0] eq $number },
		next => sub { $_[0] == ($what eq 'end of a stream' ? 3 : 2) },
		own => sub { $_[0] == ($number == 3 ? $at_change : $what =~ /output/ ? $at_change : $at_open) },
		newest => sub { $_[0] > $at_open && $_[0] <= $newest },
		leader => sub { $_[0] eq 'primary.example' },
		empty => sub { $_[0] eq '' },
		reason => sub { $_[0] =~ /^[A-Z_]+: ./ });

	for my $field (grep { $_ ne 'response' } keys %$row)
	{
		my $word = $row->{$field};
		my $check = $is{$word} // sub { $_[0] eq $word };

		ok($check->($answer->{$field}), "$what: $field is $word")
		  or diag("it is $answer->{$field}");
	}
}
is_deeply([ keys %answers ], [], 'the table has a row for each answer');

# Of requests: what is ignored changes nothing, the rest is checked.
my $checked = client_session($v0, c => 'counter');
my %ask = (
	OpenSession => sub { $v0->open_session(3600, @_) },
	KeepAlive => sub { $v0->keep_alive(session => $checked, @_) },
	CloseSession => sub { $v0->close_session(session => client_session($v0), @_) },
	command => sub { $v0->command(increment(1), session => $checked, name => 'c', @_) },
	query => sub { $v0->command($get, session => $checked, name => 'c', @_) },
	fetch => sub { ($v0->fetch(session => $checked, @_), { status => 'OK', message => '' })[0] });
my $long = 'n' x 513;
my %bad = (
	name => [ [ name => $long ], qr/^53400$/ ],
	session_id => [ [ session => 1 ], qr/^ERROR NOT_FOUND: session 1 is unknown/ ],
	index => [ [ index => 9_000_000_000_000_000 ], qr/^ERROR INVALID: index 9000000000000000 has not been given out/ ],
	partition => [ [ partition => 7 ], qr/^ERROR INVALID: partition 7 does not exist/ ],
	streams => [ [ streams => { 2 => 7 }, number => 1 ], qr/^OK$/ ]);
for my $row (table('field'))
{
	my $field = $row->{field};

	for my $rpc (grep { $_ ne 'field' } keys %$row)
	{
		if ($row->{$rpc} =~ /^ignored/)
		{
			my %odd = (session_id => [ session => 7 ], request_id => [ number => 7 ],
				streams => [ streams => { 7 => 7 } ]);

			is(outcome($ask{$rpc}->(@{ $odd{$field} // die "$field of $rpc" })), 'OK',
				"$rpc: $field is ignored");
		}
		elsif ($field !~ /request_id|streams/)
		{
			my ($given, $expected) = @{ $bad{$field} // die "$field of $rpc" };

			like(outcome($ask{$rpc}->(@$given)), $expected, "$rpc: $field is checked");
		}
	}
}
is(outcome($ask{OpenSession}->(index => newest())), 'OK', 'the newest index can be seen');

#
# Closing, with the service
#

my $closing = client_session($v0, gone => 'counter');
my $witness = client_session($other, gone => 'counter');
run("SELECT atomix.counter_set('gone', 7)");
is(outcome($v0->close_and_delete(session => $closing)),
	'ERROR INVALID: the request names no service to delete', 'delete without a name');
is(run("SELECT state FROM atomix.sessions WHERE session_id = $closing"), 'opened', 'closes nothing');
is(outcome($v0->close_session(session => $closing, name => 'gone')), 'OK', 'close');
is(count('gone'), 7, 'without delete leaves the service');
is(outcome($v0->close_session(session => $closing)), 'OK', 'closed again');
is(outcome($v0->close_and_delete(session => $closing, name => 'gone')), 'OK', 'also with delete');
is(count('gone'), 7, 'which deletes nothing any more');
$closing = client_session($v0, gone => 'counter');
is(outcome($v0->close_and_delete(session => $closing, name => 'gone')), 'OK', 'close with delete');
is(run("SELECT count(*) FROM atomix.services WHERE name = 'gone'"), 0, 'deletes it');
is(outcome($other->command(increment(1), session => $witness, name => 'gone', number => 2)),
	"ERROR FORBIDDEN: service \"gone\" is not open in session $witness", 'for all');
$closing = client_session($v0);
is(outcome($v0->close_and_delete(session => $closing, name => 'never')), 'OK',
	'a service that does not exist');
my $expired = $v0->open_session(60)->{session_id};
advance_clock($node, '2 min');
await_state($node, $expired, 'expired') or die 'it does not expire';
is(outcome($v0->close_session(session => $expired)), 'OK', 'closing one that has expired');
is(outcome($v0->close_and_delete(session => $expired, name => 'c')),
	"ERROR NOT_FOUND: session $expired has expired", 'with delete it is told');
ok(count('c') > 0, 'and nothing is deleted');
is(outcome($v0->keep_alive(session => $expired)), "ERROR NOT_FOUND: session $expired has expired",
	'nor is it renewed');
is(outcome($v0->close_session(session => 7)), 'ERROR NOT_FOUND: session 7 is unknown',
	'closing one that never was');

$_->quit for $psql, $other_psql;
$node->stop;
done_testing();
