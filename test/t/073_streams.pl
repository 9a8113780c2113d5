# What streams say in bytes, read by another implementation of the protocol;
# that opening one again tells the same; and what a keep-alive with the numbers
# of outputs does to them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(document new_filter);
use AtomixProto qw(delimited encode_message varint);
use AtomixTest qw(advance_clock await_state new_node);
use AtomixWire qw(counter_input election_input keep_alive_input map_input operation_result);
use Test::More;

my $node = new_node('streams', 'autovacuum = off');
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my ($session, $other) = map { $wire->open_session(86400) } 1 .. 2;
my %id;

sub run { return $node->safe_psql('postgres', $_[0]); }

for my $service ([ 'map', 'm' ], [ 'counter', 'c' ], [ 'election', 'e' ])
{
	my ($type, $name) = @$service;

	$id{$name} = $wire->create($session, $type, $name);
	$wire->create($other, $type, $name);
}

# Open a stream; returns the answer.
sub open_stream
{
	my ($type, $name, $number, $operation, %arguments) = @_;
	my %input = (map => \&map_input, counter => \&counter_input, election => \&election_input);

	return $wire->apply($input{$type}->($session, $id{$name}, $operation, \%arguments),
		number => $number);
}

sub opened_ok
{
	my ($what, $answer, $type, $operation) = @_;

	is($answer->{status}, 'OK', "$what: it is open");
	is($answer->{num}, 1, "$what: with its first output");
	is_deeply({ operation_result($type, $answer) }, { $operation => {} },
		"$what: which says nothing");
	return $answer;
}

sub told { return $wire->told($_[0], $session, @_[ 1 .. $#_ ]); }

#
# Map
#

run("SELECT atomix.map_put_text('m', k, '1') FROM unnest('{b,a}'::text[]) AS k");
opened_ok('events', open_stream('map', 'm', 1, 'events'), 'map', 'events');
opened_ok('events with replay', open_stream('map', 'm', 2, 'events', replay => 1), 'map', 'events');
opened_ok('events of a key', open_stream('map', 'm', 3, 'events', key => 'a'), 'map', 'events');
opened_ok('events of a key with replay',
	open_stream('map', 'm', 4, 'events', key => 'a', replay => 1), 'map', 'events');
opened_ok('entries', open_stream('map', 'm', 5, 'entries'), 'map', 'entries');
my $first =
  opened_ok('entries and changes', open_stream('map', 'm', 6, 'entries', watch => 1), 'map', 'entries');

run("SELECT atomix.map_put_text('m', 'a', '2'), atomix.map_put('m', 'c', '')");
run("BEGIN; SELECT atomix.map_put_text('m', 'a', 'x'); ROLLBACK");
$wire->apply(map_input($other, $id{m}, 'insert', { key => 'd', value => { value => '4' } }), number => 1);
run("SELECT atomix.map_remove('m', 'b')");
run("SELECT atomix.map_put_text('m', 't', '5', '5 s')");
advance_clock($node, '6 s');
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM atomix.entry WHERE key = 't'")
  or die 'no expiry';
run("SELECT atomix.map_clear('m')");

my @changes = (
	'UPDATE a=2', 'INSERT c=', 'INSERT d=4', 'REMOVE b=1', 'INSERT t=5', 'REMOVE t=5',
	'REMOVE a=2', 'REMOVE c=', 'REMOVE d=4');

# Texts with their numbers, from that one on.
sub numbered
{
	my ($num, @texts) = @_;

	return join(', ', map { $num++ . ": $_" } @texts);
}

is(told('map', 1), '1 open events: nothing, ' . numbered(2, @changes), 'changes of a map');
is(told('map', 2), '1 open events: nothing, ' . numbered(2, 'REPLAY a=1', 'REPLAY b=1', @changes),
	'entries, then changes');
is(told('map', 3), '1 open events: nothing, ' . numbered(2, 'UPDATE a=2', 'REMOVE a=2'),
	'changes of a key');
is(told('map', 4), '1 open events: nothing, ' . numbered(2, 'REPLAY a=1', 'UPDATE a=2', 'REMOVE a=2'),
	'a key with its changes');
is(told('map', 5), '1 open entries: nothing, 2: a=1, 3: b=1, 4 close: ', 'entries, which end');
is( told('map', 6),
	'1 open entries: nothing, '
	  . numbered(2, 'a=1', 'b=1', 'a=2', 'c=', 'd=4', 'b', 't=5', 't', 'a', 'c', 'd'),
	'entries and their changes, without a value where they are removed');
is(told('map', 1, 2), '1 open events: nothing, 2: UPDATE a=2', 'no more than are asked for');
is(told('map', 1, 2147483647), told('map', 1), 'however many may be asked for');

# Indexes grow, are those of the entries, and the same for all.
my @outputs = $wire->fetch('map', $session, 2);
my @indexes = map { $_->[3] } @outputs[ 1 .. $#outputs ];

is_deeply([ map { $_->[2]{events}{event}{entry}{index} } @outputs[ 1 .. $#outputs ] ],
	\@indexes, 'the index of an output is that of its entry');
is_deeply([ @indexes[ 2 .. 10 ] ], [ map { $_->[3] } ($wire->fetch('map', $session, 1))[ 1 .. 9 ] ],
	'the same in each stream');
is_deeply([ @indexes[ 2 .. 8 ] ], [ sort { $a <=> $b } @indexes[ 2 .. 8 ] ], 'in order');
is_deeply([ sort { $a <=> $b } grep { $_ < $indexes[2] } @indexes ], [ sort { $a <=> $b } @indexes[ 0, 1 ] ],
	'what there was came before');

#
# Counter
#

run("SELECT atomix.counter_set('c', 5)");
opened_ok('changes of a counter', open_stream('counter', 'c', 10, 'events'), 'counter', 'events');
opened_ok('with its value', open_stream('counter', 'c', 11, 'events', replay => 1), 'counter', 'events');
run("SELECT atomix.counter_increment('c', 2), atomix.counter_set('c', 7),
	atomix.counter_set('c', -9223372036854775808), atomix.counter_set('c', 0)");
@changes = ('UPDATE 5->7', 'UPDATE 7->-9223372036854775808', 'UPDATE -9223372036854775808->0');
is(told('counter', 10), '1 open events: nothing, ' . numbered(2, @changes), 'changes of a counter');
is(told('counter', 11), '1 open events: nothing, ' . numbered(2, 'REPLAY 0->5', @changes),
	'its value, then changes');

#
# Election
#

my ($y, $z) = map {
	my $candidate = $wire->open_session($_);
	$wire->create($candidate, 'election', 'e');
	$candidate
} 86400, 60;

# One of a session's operations; the number of the outputs until then is kept.
my $terms = 0;
my @terms;

sub elect
{
	my ($by, $operation, $candidate) = @_;
	my $answer = $wire->apply(
		election_input($by, $id{e}, $operation, $candidate ? { candidate => $candidate } : {}),
		number => 100 + ++$terms);

	die $answer->{message} if $answer->{status} ne 'OK';
	return;
}

opened_ok('a watch', open_stream('election', 'e', 20, 'watch'), 'election', 'watch');
for my $step (
	[ $other, 'enter', 'x', '1 x' ],
	[ $y, 'enter', 'y', '1 x y' ],
	[ $z, 'enter', 'z', '1 x y z' ],
	[ $y, 'promote', 'z', '1 x z y' ],
	[ $y, 'demote', 'z', '1 x y z' ],
	[ $y, 'anoint', 'z', '2 z x y' ],
	[ $y, 'demote', 'z', '3 x z y' ],
	[ $y, 'withdraw', 'y', '3 x z' ],
	[ $y, 'enter', 'y', '3 x z y' ],
	[ $y, 'get_term', undef ],
	[ $y, 'evict', 'x', '4 z y' ])
{
	my ($by, $operation, $candidate, $term) = @$step;

	elect($by, $operation, $candidate);
	push @terms, $term if defined $term;
	is(told('election', 20), '1 open watch: nothing, ' . numbered(2, @terms),
		"$operation " . ($candidate // ''));
}
opened_ok('a later watch', open_stream('election', 'e', 21, 'watch'), 'election', 'watch');
advance_clock($node, '70 s');
await_state($node, $z, 'expired') or die 'no expiry';
is(told('election', 20), '1 open watch: nothing, ' . numbered(2, @terms, '5 y'), 'an expiry');
run("SELECT atomix.close_session($y)");
is(told('election', 20), '1 open watch: nothing, ' . numbered(2, @terms, '5 y', '5 -'), 'a close');
is(told('election', 21), '1 open watch: nothing, 2: 4 z y, 3: 5 y, 4: 5 -', 'begins with the term there was');

#
# Opening again
#

my $again = open_stream('map', 'm', 6, 'entries', watch => 1);
is($again->{headers_bytes} . $again->{output_bytes}, $first->{headers_bytes} . $first->{output_bytes},
	'a repeated open is answered with the same bytes');
is(open_stream('map', 'm', 6, 'entries')->{error}, 'MX005', 'another request with its number is not');
$again = $wire->apply(map_input($session, $id{m}, 'events'));
is($again->{status}, 'INVALID', 'a stream needs a number');
is(run("SELECT count(*) FROM atomix.streams WHERE session_id = $session"), '10', 'there are no more of them');

#
# Keep-alives
#

# Without accidents for our numbers.
sub filter { return document(new_filter(10007, 7, @_)); }

my @open = (1 .. 6, 10, 11, 20, 21);

sub keep_alive
{
	my ($last, $pending, %outs) = @_;

	return $wire->apply(keep_alive_input($session, $last, filter(@$pending), \%outs))->{status};
}

# The first output that each stream still has.
sub firsts
{
	return join(' ', map { $_ . ':' . (run("SELECT min(output_num) FROM atomix.fetch_outputs($session, $_)") || '-') }
		  grep { $_ <= 6 } @open);
}

is(keep_alive(21, [@open], 1 => 1, 2 => 4, 4 => 2), 'OK', 'outputs are acknowledged');
is(firsts(), '1:2 2:5 3:1 4:3 5:1 6:1', 'and gone');
is(run("SELECT count(*) FROM atomix.replay WHERE session_id = $session AND sequence_num = 2"), '0',
	'also those of what there was');
is(keep_alive(21, [@open], 1 => 1, 2 => 3), 'OK', 'again, and those from before');
is(firsts(), '1:2 2:5 3:1 4:3 5:1 6:1', 'stay gone');
is(keep_alive(21, [@open], 1 => 5, 3 => 4, 6 => 3), 'INVALID', 'of an output that is not there');
is(firsts(), '1:2 2:5 3:1 4:3 5:1 6:1', 'nothing is acknowledged, of none');
is(keep_alive(21, [@open], 1 => 11), 'INVALID', 'nor one beyond the last event');
is(keep_alive(4, [@open], 1 => 3, 6 => 99), 'OK', 'those above last are not looked at');
is(firsts(), '1:4 2:5 3:1 4:3 5:1 6:1', 'nor touched');
is(keep_alive(21, [@open], 1 => 10, 5 => 4), 'OK', 'all');
is(firsts(), '1:- 2:5 3:1 4:3 5:- 6:1', 'there are no more');
run("SELECT atomix.map_put_text('m', 'n', '1')");
is(told('map', 1), '11: INSERT n=1', 'the numbers go on');

# A map on the wire may have a key twice.
my $twice = encode_message('atomix.multiraft.v1.KeepAliveInput',
	keep_alive_input($session, 21, filter(@open), { 6 => 5 })->{keep_alive});
$twice .= delimited(4, varint(8) . varint(6) . varint(16) . varint(3));
is($wire->apply_bytes('', delimited(2, $twice))->{status}, 'OK', 'two numbers for one');
is(firsts(), '1:11 2:5 3:1 4:3 5:- 6:6', 'the greater one counts');

# What is not pending any more ends.
my @kept = grep { $_ != 2 && $_ != 5 && $_ != 11 } @open;
is(keep_alive(21, [@kept], 1 => 11, 2 => 99, 99 => 1), 'OK',
	'of one that is not listed, it does not matter how much was received');
is(run("SELECT string_agg(sequence_num::text, ' ' ORDER BY sequence_num) FROM atomix.streams
		WHERE session_id = $session"), "@kept", 'it ends');
is(run("SELECT string_agg(DISTINCT sequence_num::text, ' ') FROM atomix.replay
		WHERE session_id = $session AND sequence_num IN (2, 5, 11)"), '', 'with what there was');
is(run("SELECT count(*) FROM atomix.command WHERE session_id = $session AND sequence_num IN (2, 11)"),
	'0', 'and what it came of');
is(told('map', 2), 'MX004', 'and is not read');
is(open_stream('map', 'm', 2, 'events', replay => 1)->{error}, 'MX004', 'nor opened again');
is(told('map', 1), '', 'others go on');

for my $n (12, 13)
{
	run("SELECT atomix.map_put_text('m', 'n', '$n')");
	is(told('map', 1), "$n: UPDATE n=$n", "output $n alone");
	is(keep_alive(21, [@kept], 1 => $n), 'OK', 'acknowledged');
}
# Without a filter nothing is pending.
is($wire->apply(keep_alive_input($session, 21, undef, { 1 => 13 }))->{status}, 'OK', 'no filter');
is(run("SELECT count(*) FROM atomix.stream WHERE session_id = $session")
	  . run("SELECT count(*) FROM atomix.replay WHERE session_id = $session"), '00', 'all end');

$psql->quit;
$node->stop;
done_testing();
