# What a keep-alive acknowledges: which outcomes it makes the server forget,
# how far the session's floor rises, and what a late duplicate is told.  The
# filters are made, and the expectations come from, a second implementation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(contains document filter_of new_filter);
use AtomixProto qw(delimited encode_message varint);
use AtomixTest qw(advance_clock new_node psql_sqlstate);
use AtomixWire qw(counter_input keep_alive_input operation_result);
use Test::More;
use Time::HiRes qw(time);

srand(20260103);

my $node = new_node('acknowledgements');
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my $empty = '{"m":1,"k":9223372036854775808,"b":"AAAAAAAAAAA="}';
my $increment =
  unpack('H*', encode_message('atomix.multiraft.counter.v1.CounterInput', { increment => { delta => 1 } }));

# A session with a counter; commands with the numbers from 1 to that.
sub new_session
{
	my ($last, $seconds) = @_;
	my $session = $wire->open_session($seconds // 86400);
	my $counter = $wire->create($session, 'counter', "of $session");

	$psql->query_safe("SELECT count(*) FROM atomix.commands($session, $counter,
		array_fill('\\x$increment'::bytea, ARRAY[$last]), 1)")
	  if $last > 0;
	return ($session, $counter);
}

# The numbers of a session whose outcome is kept, and those of which only the
# number is.
sub kept
{
	my ($session, $state) = @_;

	return $psql->query_safe("SELECT coalesce(string_agg(sequence_num::text, ' ' ORDER BY sequence_num), '')
		FROM atomix.command WHERE session_id = $session AND state = '$state'");
}

sub ack_floor
{
	my ($session) = @_;

	return $psql->query_safe("SELECT ack_floor FROM atomix.lease WHERE session_id = $session");
}

sub outcome
{
	my ($answer) = @_;

	return $answer->{error} if $answer->{error};
	return $answer->{status} . ($answer->{message} eq '' ? '' : ": $answer->{message}");
}

sub increment
{
	my ($session, $counter, $number, $delta) = @_;

	return $wire->apply(counter_input($session, $counter, 'increment', { delta => $delta // 1 }),
		number => $number);
}

#
# Published filters: of 1 .. n unless numbers are given.
#

for my $case (
	[ 7, 'AAAAAAAAAAcAAAAAAAAAFQ==', 1 ],
	[ 13, 'AAAAAAAAAA0AAAAAAAAZFA==', 1 .. 2 ],
	[ 19, 'AAAAAAAAABMAAAAAAAYgtQ==', 1 .. 3 ],
	[ 32, 'AAAAAAAAACAAAAAApZLi-A==', 1 .. 5 ],
	[ 50, 'AAAAAAAAADIAAjQ_cat4Tw==', 1 .. 8 ],
	[ 63, 'AAAAAAAAAD9Wo9Km_1XHSQ==', 1 .. 10 ],
	[ 69, 'AAAAAAAAAEVL-8We9RwV0wAAAAAAAAAG', 1 .. 11 ],
	[ 7, 'AAAAAAAAAAcAAAAAAAAAcA==', 7 ],
	[ 7, 'AAAAAAAAAAcAAAAAAAAANg==', 42 ],
	[ 7, 'AAAAAAAAAAcAAAAAAAAALA==', 18446744073709551615 ],
	[ 13, 'AAAAAAAAAA0AAAAAAAAZlg==', 1, 1000000007 ])
{
	my ($m, $b, @numbers) = @$case;
	my $name = '{' . join(', ', @numbers) . '}';
	my $filter = filter_of(@numbers);
	my $text = qq({"m":$m,"k":5,"b":"$b"});
	my @contained = grep { contains($filter, $_) } 1 .. 300;
	my ($session) = new_session(300);

	is($text, document($filter), "$name: the filter");
	is(outcome($wire->apply(keep_alive_input($session, 300, $text))), 'OK', "$name: taken");
	is(kept($session, 'complete'), "@contained", "$name: what it contains is kept");
	is(ack_floor($session), 300, "$name: the floor rises over what is known");

	# A filter of another size has other accidents.
	my $other = new_filter(1009, 7, @numbers);
	$wire->apply(keep_alive_input($session, 300, document($other)));
	is(kept($session, 'complete'), join(' ', grep { contains($other, $_) } @contained),
		"$name: accidents end with another filter");

	# Where nothing is known yet, what it contains may still come.
	($session) = new_session(0);
	$wire->apply(keep_alive_input($session, 300, $text));
	is(ack_floor($session), ($contained[0] // 301) - 1, "$name: the floor stops before what may come");
}
{
	my ($session, $counter) = new_session(300);

	is(outcome($wire->apply(keep_alive_input($session, 200, $empty))), 'OK', 'empty: taken');
	is(kept($session, 'complete'), join(' ', 201 .. 300), 'empty: all up to last are forgotten');
	is(ack_floor($session), 200, 'empty: the floor');
	is(increment($session, $counter, 200)->{error}, 'MX004', 'empty: acknowledged');
	is({ operation_result('counter', increment($session, $counter, 201)) }->{increment}{value},
		201, 'the next is replayed');
	is(outcome($wire->apply(keep_alive_input($session, 250))), 'OK', 'none: taken');
	is(kept($session, 'complete'), join(' ', 251 .. 300), 'none: nothing is pending');
	is(outcome($wire->apply(keep_alive_input($session, 100, '{}'))), 'OK', 'a late one');
	is(ack_floor($session), 250, 'does not lower the floor');
}
{
	my ($session, $counter) = new_session(10);

	increment($session, $counter, 12);
	is(outcome($wire->apply(keep_alive_input($session, 12, '{}'))), 'OK', 'no fields: taken');
	is(kept($session, 'complete'), '1 2 3 4 5 6 7 8 9 10 12', 'no fields: everything is pending');
	is(ack_floor($session), 10, 'no fields: the floor stops before what may come');
	is(outcome(increment($session, $counter, 11)), 'OK', 'no fields: it comes');
}

#
# A client's life at random, beside a model of the server.
#

for my $round (1 .. 3)
{
	my ($session, $counter) = new_session(0);
	my ($floor, $next, $value) = (0, 1, 0);
	my (%known, %first, %open, @unsent, $problems);

	my $send = sub {
		my ($number) = @_;
		my $answer = increment($session, $counter, $number, $number);

		$value += $number;
		$problems .= " $number was not executed" if $answer->{status} ne 'OK';
		$problems .= " $number came to something else"
		  if ({ operation_result('counter', $answer) }->{increment}{value} // 0) != $value;
		$known{$number} = 'complete';
		$first{$number} = $answer->{headers_bytes} . $answer->{output_bytes};
	};
	my $keep_alive = sub {
		my ($last, @pending) = @_;
		my $filter = @pending == 0 ? undef
		  : rand() < 0.5 ? filter_of(@pending)
		  : new_filter(1 + int(rand(12 * @pending)), 1 + int(rand(8)), @pending);
		my $in = sub { return defined $filter && contains($filter, $_[0]); };
		my $answer = $wire->apply(
			keep_alive_input($session, $last, defined $filter ? document($filter) : $empty));

		$problems .= ' a keep-alive was refused' if $answer->{status} ne 'OK';
		$floor++ while $floor < $last && ($known{ $floor + 1 } || !$in->($floor + 1));
		for my $number (grep { $_ <= $last } keys %known)
		{
			next if $known{$number} eq 'complete' && $in->($number);
			if ($number <= $floor) { delete $known{$number}; }
			else { $known{$number} = 'acknowledged'; }
		}
	};

	for my $step (1 .. 25)
	{
		# New commands, some of which are late.
		for (1 .. 1 + int(rand(8)))
		{
			my $number = $next++;

			$open{$number} = 1;
			if (rand() < 0.2) { push @unsent, $number; }
			else { $send->($number); }
		}
		if (@unsent && rand() < 0.5)
		{
			$send->($_) for @unsent;
			@unsent = ();
		}

		# Some answers have arrived.
		my %unsent = map { $_ => 1 } @unsent;
		delete $open{$_} for grep { !$unsent{$_} && rand() < 0.5 } keys %open;

		# Now and then a keep-alive that left earlier.
		my $last = rand() < 0.2 ? int(rand($next)) : $next - 1;
		$keep_alive->($last, grep { $_ <= $last } keys %open);
		for my $state ('complete', 'acknowledged')
		{
			my $expected =
			  join(' ', sort { $a <=> $b } grep { $known{$_} eq $state } keys %known);
			my $found = kept($session, $state);

			$problems .= " step $step: $state are $found instead of $expected"
			  if $found ne $expected;
		}
		$problems .= " step $step: floor is " . ack_floor($session) . " instead of $floor"
		  if ack_floor($session) != $floor;

		# Duplicates, late or not.
		for (1 .. 5)
		{
			my $number = 1 + int(rand($next - 1));
			my $state = $known{$number} // ($number <= $floor ? 'acknowledged' : next);
			my $answer = increment($session, $counter, $number, $number);
			my $ok = $state eq 'complete'
			  ? ($answer->{headers_bytes} // '') . ($answer->{output_bytes} // '') eq $first{$number}
			  : ($answer->{error} // '') eq 'MX004';

			$problems .= " step $step: wrong answer to a duplicate of $number, $state" unless $ok;
		}
	}
	$send->($_) for @unsent;
	is($problems, undef, "life $round: kept, forgotten and replayed as the model says");
	is($psql->query_safe("SELECT atomix.counter_get('of $session')"), $value,
		"life $round: each took effect once");
	cmp_ok(scalar(keys %first), '>', 40, "life $round: many commands");
	$wire->apply(keep_alive_input($session, $next - 1, $empty));
	is(kept($session, 'complete') . kept($session, 'acknowledged'), '', "life $round: nothing remains");
	is(ack_floor($session), $next - 1, "life $round: the floor has risen over all");
}

#
# Malformed keep-alives: nothing is acknowledged, nothing is renewed.
#

{
	my ($session, $counter) = new_session(20, 3600);
	my $deadline = sub {
		return $psql->query_safe("SELECT deadline > clock_timestamp() + '55 min'
			FROM atomix.sessions WHERE session_id = $session");
	};
	my $b = 'AAAAAAAAAAcAAAAAAAAAFQ==';
	my $malformed = 'INVALID: pending_commands_filter is malformed: ';
	my $good = document(filter_of(1 .. 5));

	advance_clock($node, '20 min');
	for my $case (
		[ 'no b', '{"m":7,"k":5}', 'b is missing' ],
		[ 'm = 0', qq({"m":0,"k":5,"b":"$b"}), 'm is zero' ],
		[ 'm = 0, no bits', '{"m":0,"k":5,"b":"AAAAAAAAAAA="}', 'm is zero' ],
		[ 'huge length', '{"m":18446744073709551615,"k":5,"b":"__________8AAAAAAAAAFQ=="}', 'fewer bits' ],
		[ 'length without words', '{"m":4294967296,"k":5,"b":"AAAAAQAAAAA="}', 'fewer bits' ],
		[ 'length other than m', qq({"m":8,"k":5,"b":"$b"}), 'differs from m' ],
		[ 'garbage', "\x00\xff\x7b", 'UTF-8' ],
		[ 'words', 'not a document', 'JSON' ],
		[ 'text behind', "$good x", 'JSON' ],
		[ 'a second document', $good . $good, 'JSON' ],
		[ 'cut short', substr($good, 0, -1), 'JSON' ],
		[ 'no base64', '{"m":7,"k":5,"b":"!"}', 'base64' ],
		[ 'an array', '[]', 'object' ],
		[ 'null', 'null', 'object' ],
		[ 'deep', '[' x 100_000, 'brackets' ])
	{
		my ($name, $filter, $reason) = @$case;

		for my $last (20, 0)
		{
			like(outcome($wire->apply(keep_alive_input($session, $last, $filter))),
				qr/^\Q$malformed\E.*\Q$reason\E/, "$name, last $last");
		}
	}
	is(outcome($wire->apply(keep_alive_input($session, 9223372036854775808))),
		'INVALID: last_command_sequence_num is out of range', 'last above bigint');
	is(outcome($wire->apply(keep_alive_input($session, 20, undef, { 1 => 9223372036854775808 }))),
		'INVALID: output_stream_sequence_nums is out of range', 'output above bigint');
	is(outcome($wire->apply(keep_alive_input($session, 20, undef, { 9223372036854775808 => 1 }))),
		'INVALID: output_stream_sequence_nums is out of range', 'number of an output above bigint');
	is(outcome($wire->apply(keep_alive_input($session, 20), number => 21)),
		'INVALID: only inputs of a session have a sequence number', 'a numbered keep-alive');
	is(kept($session, 'complete'), join(' ', 1 .. 20), 'nothing is acknowledged');
	is(ack_floor($session), 0, 'nor has the floor risen');
	is($deadline->(), 'f', 'nor is the session renewed');

	# What may look malformed but is not.
	is(outcome($wire->apply(keep_alive_input($session, 20, "$good \n"))), 'OK', 'white space behind');
	is($deadline->(), 't', 'renewed');
	is(kept($session, 'complete'), join(' ', grep { contains(filter_of(1 .. 5), $_) } 1 .. 20),
		'acknowledged');
	is(
		outcome(
			$wire->apply(
				keep_alive_input($session, 20,
					'{"m":1,"k":9223372036854775808,"b":"AAAAAAAAAAEAAAAAAAAAAQ=="}'))),
		'OK',
		'2^63 positions, all set');
	is(kept($session, 'complete'), join(' ', grep { contains(filter_of(1 .. 5), $_) } 1 .. 20),
		'contains all');

	# Outputs of a command that has one and is complete.
	is(outcome($wire->apply(keep_alive_input($session, 20, $good, { 1 => 1, 7 => 5 }))), 'OK', 'outputs');
	is(outcome(increment($session, $counter, 1)), 'OK', 'do not end a command that is pending');
}

#
# The later layout: the filter in field 2, last in field 3.
#

{
	my ($session) = new_session(10);
	my $filter = document(filter_of(4));
	my $later = "\x08" . varint($session) . delimited(2, $filter) . "\x18" . varint(10);
	my @contained = grep { contains(filter_of(4), $_) } 1 .. 10;

	is(outcome($wire->apply_bytes('', delimited(2, $later))), 'OK', 'the later layout');
	is(kept($session, 'complete'), "@contained", 'is understood');
	is(ack_floor($session), 10, 'and its last number');
	is(
		outcome(
			$wire->apply_bytes('',
				delimited(2, "\x08" . varint($session) . delimited(2, 'x') . "\x18" . varint(10)))),
		'INVALID: pending_commands_filter is malformed: it is not valid JSON',
		'and its filter is looked at');
}

#
# However large the numbers, the work is bounded.
#

{
	my ($session, $counter) = new_session(3);
	my $began = time();

	is(outcome($wire->apply(keep_alive_input($session, 4611686018427387904))), 'OK', 'last = 2^62');
	is(ack_floor($session), 100_000, 'the floor rises by 100,000 numbers');
	$wire->apply(keep_alive_input($session, 9223372036854775807, $empty));
	is(ack_floor($session), 200_000, 'and again');
	cmp_ok(time() - $began, '<', 10, 'in bounded time');
	is(kept($session, 'complete'), '', 'what is covered is forgotten');
	is(increment($session, $counter, 200_000)->{error}, 'MX004', 'acknowledged');
	is(outcome(increment($session, $counter, 200_001)), 'OK', 'not acknowledged yet');
	# What is far above becomes a bare number.
	is(outcome(increment($session, $counter, 4611686018427387904)), 'OK', 'a number far above');
	$wire->apply(keep_alive_input($session, 4611686018427387904));
	is(kept($session, 'acknowledged'), '4611686018427387904', 'is kept bare');
	is(increment($session, $counter, 4611686018427387904)->{error}, 'MX004', 'and is not executed again');
}

#
# A keep-alive beside a command that has not committed.
#

{
	my ($session, $counter) = new_session(4);
	my $other = AtomixWire->new($node->background_psql('postgres', on_error_stop => 0));
	my $late = counter_input($session, $counter, 'increment', { delta => 1 });

	increment($session, $counter, 6);
	increment($session, $counter, 7);
	$other->psql->query_safe('BEGIN');
	is(outcome($other->apply($late, number => 5)), 'OK', 'a command in flight');
	$psql->query_safe("SET lock_timeout = '1s'");
	is(outcome($wire->apply(keep_alive_input($session, 7, document(new_filter(4001, 5, 5, 7))))),
		'OK', 'a keep-alive overtakes it');
	is(ack_floor($session), 4, 'the floor stops before it');
	is(kept($session, 'acknowledged'), '6', 'what is above is kept bare');
	is(kept($session, 'complete'), '7', 'unless it is pending too');
	$other->psql->query_safe('COMMIT');
	is(increment($session, $counter, 6)->{error}, 'MX004', 'and acknowledged');
	is({ operation_result('counter', increment($session, $counter, 5)) }->{increment}{value},
		7, 'it is replayed');
	$wire->apply(keep_alive_input($session, 7, document(new_filter(4001, 5, 7))));
	is(ack_floor($session), 7, 'then the floor rises over all');
	is(kept($session, 'complete') . kept($session, 'acknowledged'), '7', 'only the pending one is kept');

	# The client has given up the command in flight.
	$other->psql->query_safe('BEGIN');
	is(outcome($other->apply($late, number => 8)), 'OK', 'another in flight');
	is(outcome($wire->apply(keep_alive_input($session, 8, $empty))), 'OK', 'is given up');
	is(ack_floor($session), 8, 'the floor rises over it');
	$other->psql->query_safe('COMMIT');
	is(outcome($wire->apply(keep_alive_input($session, 8, $empty))), 'OK', 'the next keep-alive');
	is(kept($session, 'complete'), '', 'forgets what came of it');
	is(increment($session, $counter, 8)->{error}, 'MX004', 'and it is not executed again');
	is($psql->query_safe("SELECT atomix.counter_get('of $session')"), '8', 'each took effect once');
	$psql->query_safe('RESET lock_timeout');
	$other->psql->quit;
}

#
# After the end of a session.
#

{
	my ($session, $counter) = new_session(5);

	$wire->apply(keep_alive_input($session, 3, $empty));
	increment($session, $counter, 7);
	increment($session, $counter, 9);
	$wire->apply(keep_alive_input($session, 7, document(new_filter(4001, 5, 6, 5))));
	$wire->apply({ close_session => { session_id => $session } });
	is(outcome($wire->apply(keep_alive_input($session, 9, $empty))),
		"NOT_FOUND: session $session is closed", 'a keep-alive after the end');
	is($psql->query_safe("SELECT state FROM atomix.outcome($session, $_->[0])"),
		$_->[1], "outcome of $_->[0]: $_->[1]")
	  for [ 1, 'acknowledged' ], [ 4, 'acknowledged' ], [ 5, 'complete' ], [ 6, 'unknown' ],
	  [ 7, 'acknowledged' ], [ 8, 'unknown' ], [ 9, 'complete' ];
}

#
# Sessions that expire together: the floor of each stays its own.
#

{
	my %floor;

	for my $n (3, 1, 4, 2)
	{
		my ($session) = new_session(5, 5);

		$wire->apply(keep_alive_input($session, $n, $empty));
		$floor{$session} = $n;
	}
	my $sessions = join(',', sort { $a <=> $b } keys %floor);

	advance_clock($node, '60 s');
	$node->poll_query_until('postgres',
		"SELECT count(*) = 4 FROM atomix.sessions WHERE session_id IN ($sessions) AND state = 'expired'")
	  or die 'they do not expire';
	is( $psql->query_safe("SELECT string_agg(session_id || ' ' || ack_floor, ',' ORDER BY session_id)
		FROM atomix.session WHERE session_id IN ($sessions)"),
		join(',', map { "$_ $floor{$_}" } sort { $a <=> $b } keys %floor),
		'sessions that expire together keep each its floor');
}

#
# A session that never acknowledges.
#

{
	my ($session, $counter) = new_session(10_000);
	my $answer = increment($session, $counter, 10_001);

	is($answer->{error}, '53400', 'the 10,001st outstanding number');
	like($answer->{complaint}, qr/DETAIL:  The limit is 10000; all are in use\.\nHINT:  Acknowledge first/,
		'says what to do');
	is(
		$wire->apply(
			{
				session_input =>
				  { session_id => $session, create_service => { service => 'map', name => 'x' } }
			},
			number => 10_001)->{error},
		'53400',
		'also for a create');
	is({ operation_result('counter', increment($session, $counter, 10_000)) }->{increment}{value},
		10_000, 'replays work');
	is(outcome($wire->apply(counter_input($session, $counter, 'get'))), 'OK', 'unnumbered ones work');
	is(outcome($wire->apply(keep_alive_input($session))), 'OK', 'keep-alives work');
	is(outcome($wire->apply(keep_alive_input($session, 1, $empty))), 'OK', 'and acknowledge');
	is(outcome(increment($session, $counter, 10_001)), 'OK', 'then it is executed');
	is(increment($session, $counter, 10_002)->{error}, '53400', 'but no more than that');
	is($psql->query_safe("SELECT atomix.counter_get('of $session')"), '10001', 'each took effect once');
}

$psql->quit;
$node->stop;
done_testing();
