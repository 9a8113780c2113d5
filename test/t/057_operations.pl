# The operations of counters and maps, as bytes: status, output, and the state
# after them.

use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8);
use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(encode_message);
use AtomixTest qw(advance_clock new_node);
use AtomixWire qw(counter_input map_input operation_result request_headers);
use Test::More;

my $v1 = 'atomix.multiraft.v1';
my $node = new_node('operations');
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my $session = $wire->open_session(86400);
my $greatest = 9223372036854775807;
my $least = -9223372036854775807 - 1;

sub newest_index { return $psql->query_safe('SELECT last_value FROM atomix.index_seq'); }

#
# Counters: operation, arguments, status, value in the output, value after it,
# message.
#

{
	my $counter = $wire->create($session, 'counter', 'c');
	my $value = 0;

	for my $case (
		[ 'get', {}, 'OK', 0, 0 ],
		[ 'set', { value => 5 }, 'OK', 5, 5 ],
		[ 'set', { value => 5 }, 'OK', 5, 5 ],
		[ 'get', {}, 'OK', 5, 5 ],
		[ 'increment', { delta => 3 }, 'OK', 8, 8 ],
		[ 'increment', {}, 'OK', 8, 8 ],
		[ 'increment', { delta => -10 }, 'OK', -2, -2 ],
		[ 'decrement', { delta => 3 }, 'OK', -5, -5 ],
		[ 'decrement', {}, 'OK', -5, -5 ],
		[ 'decrement', { delta => -5 }, 'OK', 0, 0 ],
		[ 'compare_and_set', { compare => 0, update => 9 }, 'OK', 9, 9 ],
		[ 'compare_and_set', { compare => 8, update => 1 }, 'CONFLICT', undef, 9, 'the value is 9, not 8' ],
		[ 'compare_and_set', { compare => 9, update => 9 }, 'OK', 9, 9 ],
		[ 'compare_and_set', { update => 1 }, 'CONFLICT', undef, 9, 'the value is 9, not 0' ],
		[ 'set', {}, 'OK', 0, 0 ],
		[ 'set', { value => $greatest }, 'OK', $greatest, $greatest ],
		[ 'increment', { delta => 1 }, 'INVALID', undef, $greatest, "counter is out of range: it is $greatest" ],
		[ 'decrement', { delta => -1 }, 'INVALID', undef, $greatest, "counter is out of range: it is $greatest" ],
		[ 'decrement', { delta => $greatest }, 'OK', 0, 0 ],
		[ 'decrement', { delta => $least }, 'INVALID', undef, 0, 'counter is out of range: it is 0' ],
		[ 'increment', { delta => $least }, 'OK', $least, $least ],
		[ 'decrement', { delta => 1 }, 'INVALID', undef, $least, "counter is out of range: it is $least" ],
		[ 'increment', { delta => -1 }, 'INVALID', undef, $least, "counter is out of range: it is $least" ],
		[ 'increment', { delta => $greatest }, 'OK', -1, -1 ])
	{
		my ($operation, $arguments, $status, $result, $after, $message) = @$case;
		my $name = "counter $operation(" . join(', ', map { "$_ $arguments->{$_}" } sort keys %$arguments)
		  . ") of $value";
		my $before = newest_index();
		my $answer = $wire->apply(counter_input($session, $counter, $operation, $arguments));
		my %output = operation_result('counter', $answer);

		is($answer->{status}, $status, "$name: $status");
		is($answer->{message}, $message // '', "$name: message");
		# A number that is zero is not sent.
		is_deeply(\%output, $status ne 'OK' ? {}
			: { $operation => $result == 0 ? {} : { value => $result } }, "$name: output");
		is($psql->query_safe("SELECT atomix.counter_get('c')"), $after, "$name: state");
		cmp_ok($answer->{index}, $after == $value ? '==' : '>', $before, "$name: index");
		$value = $after;
	}

	for my $operation ('set', 'compare_and_set', 'increment', 'decrement')
	{
		my $answer = $wire->evaluate(counter_input($session, $counter, $operation));

		is("$answer->{status}: $answer->{message}", 'INVALID: a query must not change anything',
			"$operation is no query");
	}
	is_deeply({ operation_result('counter', $wire->evaluate(counter_input($session, $counter, 'get'))) },
		{ get => { value => -1 } }, 'get is one');

	my $empty = counter_input($session, $counter, 'get');
	$empty->{session_input}{service_input}{payload} = '';
	for my $answer ($wire->apply($empty), $wire->evaluate($empty))
	{
		is("$answer->{status}: $answer->{message}",
			'NOT_SUPPORTED: a counter does not support this operation', 'an empty operation');
	}
}

#
# Maps.
#

my $map = $wire->create($session, 'map', 'm');

sub state_of_map
{
	return $psql->query_safe("SELECT coalesce(string_agg(key || '=' || encode(value, 'hex'), ' '
		ORDER BY key), '') FROM atomix.map_entries('m')");
}

# The entry in an output, "key=value in hex", and its parts.
sub entry
{
	my ($answer) = @_;
	my (undef, $output) = operation_result('map', $answer);
	my $entry = $output->{entry} // {};

	return ($entry->{key} // '') . '=' . unpack('H*', $entry->{value}{value} // ''), $entry->{index} // 0,
	  $entry->{value}{ttl};
}

# Operation, arguments, status, entry in the output, state after it, which
# index the entry has: 'new', or that of the key remembered here; message.
my %index_of;

for my $case (
	[ 'put', { key => 'a', value => { value => 'x' } }, 'OK', 'a=78', 'a=78', 'new' ],
	[ 'put', { key => 'a', value => { value => 'x' } }, 'OK', 'a=78', 'a=78', 'a' ],
	[ 'put', { key => 'a', value => { value => 'y' } }, 'OK', 'a=79', 'a=79', 'new' ],
	[ 'get', { key => 'a' }, 'OK', 'a=79', 'a=79', 'a' ],
	[ 'put', { key => 'a', value => { value => 'z' }, index => 1 }, 'CONFLICT', undef, 'a=79', undef,
		qr/^key "a" was last changed at index \d+$/ ],
	[ 'put', { key => 'a', value => { value => 'y' }, index => 1 }, 'CONFLICT', undef, 'a=79', undef,
		qr/^key "a" was last changed at index \d+$/ ],
	[ 'put', { key => 'a', value => { value => 'z' }, index => 'a' }, 'OK', 'a=7a', 'a=7a', 'new' ],
	[ 'put', { key => 'a', value => { value => 'z' }, index => 'a' }, 'OK', 'a=7a', 'a=7a', 'a' ],
	[ 'put', { key => 'b', value => { value => 'z' }, index => 7 }, 'CONFLICT', undef, 'a=7a', undef,
		qr/^key "b" does not exist$/ ],
	[ 'put', { key => 'b', value => { value => 'z' }, index => 9223372036854775808 }, 'INVALID', undef,
		'a=7a', undef, qr/^index is out of range$/ ],
	[ 'insert', { key => 'a', value => { value => 'q' } }, 'ALREADY_EXISTS', undef, 'a=7a', undef,
		qr/^key "a" exists already$/ ],
	[ 'insert', { key => 'b', value => { value => 'q' } }, 'OK', 'b=71', 'a=7a b=71', 'new' ],
	[ 'update', { key => 'b', value => { value => 'r' } }, 'OK', 'b=72', 'a=7a b=72', 'new' ],
	[ 'update', { key => 'b', value => { value => 'r' } }, 'OK', 'b=72', 'a=7a b=72', 'new' ],
	[ 'update', { key => 'b', value => { value => 's' }, index => 'b' }, 'OK', 'b=73', 'a=7a b=73', 'new' ],
	[ 'update', { key => 'b', value => { value => 't' }, index => 3 }, 'CONFLICT', undef, 'a=7a b=73', undef,
		qr/^key "b" was last changed at index \d+$/ ],
	[ 'update', { key => 'c', value => { value => 't' } }, 'NOT_FOUND', undef, 'a=7a b=73', undef,
		qr/^key "c" does not exist$/ ],
	[ 'update', { key => 'c', value => { value => 't' }, index => 3 }, 'NOT_FOUND', undef, 'a=7a b=73', undef,
		qr/^key "c" does not exist$/ ],
	[ 'get', { key => 'c' }, 'NOT_FOUND', undef, 'a=7a b=73', undef, qr/^key "c" does not exist$/ ],
	[ 'remove', { key => 'c' }, 'NOT_FOUND', undef, 'a=7a b=73', undef, qr/^key "c" does not exist$/ ],
	[ 'remove', { key => 'b', index => 3 }, 'CONFLICT', undef, 'a=7a b=73', undef,
		qr/^key "b" was last changed at index \d+$/ ],
	[ 'remove', { key => 'b', index => 'b' }, 'OK', 'b=73', 'a=7a', 'b' ],
	[ 'remove', { key => 'a' }, 'OK', 'a=7a', '', 'a' ],
	# Values and keys of all kinds.
	[ 'put', { key => 'a' }, 'OK', 'a=', 'a=', 'new' ],
	[ 'put', { key => 'a', value => {} }, 'OK', 'a=', 'a=', 'a' ],
	[ 'put', { key => 'a', value => { value => "\0\xff\0" } }, 'OK', 'a=00ff00', 'a=00ff00', 'new' ],
	[ 'put', { key => 'a', value => { value => "\0\xff" } }, 'OK', 'a=00ff', 'a=00ff', 'new' ],
	[ 'insert', { key => '', value => { value => '1' } }, 'OK', '=31', '=31 a=00ff', 'new' ],
	[ 'remove', { key => '' }, 'OK', '=31', 'a=00ff', '' ],
	[ 'put', { key => encode_utf8('ключ 😀'), value => { value => '1' } }, 'OK', encode_utf8('ключ 😀') . '=31',
		'a=00ff ' . encode_utf8('ключ 😀=31'), 'new' ],
	[ 'get', { key => encode_utf8('ключ 😀') }, 'OK', encode_utf8('ключ 😀') . '=31',
		'a=00ff ' . encode_utf8('ключ 😀=31'), encode_utf8('ключ 😀') ],
	[ 'remove', { key => encode_utf8('ключ 😀') }, 'OK', encode_utf8('ключ 😀') . '=31', 'a=00ff',
		encode_utf8('ключ 😀') ],
	[ 'put', { key => "it's \"\\ %s", value => { value => "'" } }, 'OK', "it's \"\\ %s=27",
		"a=00ff it's \"\\ %s=27", 'new' ],
	[ 'insert', { key => "it's \"\\ %s" }, 'ALREADY_EXISTS', undef, "a=00ff it's \"\\ %s=27", undef,
		qr/^key "it's "\\ %s" exists already$/ ],
	[ 'remove', { key => "it's \"\\ %s" }, 'OK', "it's \"\\ %s=27", 'a=00ff', "it's \"\\ %s" ],
	# Times to live that are none.
	[ 'put', { key => 'a', value => { ttl => { seconds => -1 } } }, 'INVALID', undef, 'a=00ff', undef,
		qr/^ttl is negative or malformed$/ ],
	[ 'insert', { key => 'n', value => { ttl => { nanos => -1 } } }, 'INVALID', undef, 'a=00ff', undef,
		qr/^ttl is negative or malformed$/ ],
	[ 'update', { key => 'a', value => { ttl => { nanos => 1000000000 } } }, 'INVALID', undef, 'a=00ff', undef,
		qr/^ttl is negative or malformed$/ ],
	# A stream is told apart by its number.
	[ 'events', { key => '', replay => 1 }, 'INVALID', undef, 'a=00ff', undef,
		qr/^a stream needs a sequence number$/ ],
	[ 'entries', {}, 'INVALID', undef, 'a=00ff', undef, qr/^a stream needs a sequence number$/ ])
{
	my ($operation, $given, $status, $result, $after, $index, $message) = @$case;
	my %arguments = %$given;
	my $name = "map $operation(" . join(', ', map { "$_ $arguments{$_}" } sort keys %arguments) . ')';

	$name =~ s/HASH\(\w+\)/unpack('H*', $given->{value}{value} \/\/ '')/e;
	$arguments{index} = $index_of{ $arguments{index} }
	  if defined $arguments{index} && $arguments{index} !~ /^\d/;

	my $before = newest_index();
	my $answer = $wire->apply(map_input($session, $map, $operation, \%arguments));

	is($answer->{status}, $status, "$name: $status");
	like($answer->{message}, $message // qr/^$/, "$name: message");
	is(state_of_map(), $after, "$name: state");
	if ($status ne 'OK')
	{
		is($answer->{output_bytes}, '', "$name: no output");
		is($answer->{index}, $before, "$name: no index of its own");
		next;
	}

	my ($case_of_output) = operation_result('map', $answer);
	my ($entry, $entry_index, $ttl) = entry($answer);

	is($case_of_output, $operation, "$name: output");
	is($entry, $result, "$name: entry");
	is($ttl, undef, "$name: no time to live");
	if ($index eq 'new')
	{
		cmp_ok($entry_index, '>', $before, "$name: a new index");
		is($answer->{index}, $entry_index, "$name: which is that of the answer");
		$index_of{ $arguments{key} } = $entry_index;
	}
	else
	{
		is($entry_index, $index_of{$index}, "$name: the index of the last change");
		cmp_ok($answer->{index}, $operation eq 'remove' ? '>' : '==', $before, "$name: index of the answer");
	}
}

# Size and clear.
for my $count (0, 3)
{
	$wire->apply(map_input($session, $map, 'clear'));
	$wire->apply(map_input($session, $map, 'put', { key => "k$_" })) for 1 .. $count;

	for my $answer (
		$wire->apply(map_input($session, $map, 'size')),
		$wire->evaluate(map_input($session, $map, 'size')))
	{
		is_deeply({ operation_result('map', $answer) }, { size => $count ? { size => $count } : {} },
			"size $count");
	}
}
{
	my $before = newest_index();
	my $answer = $wire->apply(map_input($session, $map, 'clear'));

	is_deeply({ operation_result('map', $answer) }, { clear => {} }, 'clear: output');
	cmp_ok($answer->{index}, '>', $before, 'clear: a new index');
	is(state_of_map(), '', 'clear: state');
	is($wire->apply(map_input($session, $map, 'clear'))->{index}, $answer->{index},
		'clear of an empty map changes nothing');
}

for my $operation ('put', 'insert', 'update', 'remove', 'clear', 'events', 'entries')
{
	my $answer = $wire->evaluate(map_input($session, $map, $operation));

	is("$answer->{status}: $answer->{message}", 'INVALID: a query must not change anything',
		"$operation is no query");
}
is($wire->evaluate(map_input($session, $map, 'get', { key => 'absent' }))->{status},
	'NOT_FOUND', 'a query for an absent key');
is(state_of_map(), '', 'queries have changed nothing');

#
# Time to live: the remaining time in outputs; gone when it is over.
#

sub apply_map
{
	my ($operation, $key, $value, %more) = @_;
	my %arguments = (key => $key, %more);

	$arguments{value} = $value if defined $value;
	return $wire->apply(map_input($session, $map, $operation, \%arguments));
}

# The seconds that an entry has left, rounded up.
sub seconds_left
{
	my (undef, undef, $ttl) = entry($_[0]);

	return undef unless defined $ttl;
	return ($ttl->{seconds} // 0) + (($ttl->{nanos} // 0) > 0 ? 1 : 0);
}

{
	my $value = { value => 'v', ttl => { seconds => 1000 } };
	my $answer = apply_map('put', 'a', $value);
	my (undef, $index) = entry($answer);

	is(seconds_left($answer), 1000, 'put: all its time');
	advance_clock($node, '300 s');
	$answer = apply_map('get', 'a');
	cmp_ok(seconds_left($answer), '<=', 700, 'get: what is left of it');
	cmp_ok(seconds_left($answer), '>', 690, 'get: but not less');
	cmp_ok(seconds_left($wire->evaluate(map_input($session, $map, 'get', { key => 'a' }))),
		'<=', 700, 'get as a query: the same');
	# The same bytes with a time to live begin it anew, at the same index.
	$answer = apply_map('put', 'a', $value);
	is(seconds_left($answer), 1000, 'an equal put: all its time again');
	is((entry($answer))[1], $index, 'at the same index');
	advance_clock($node, '800 s');
	is(apply_map('get', 'a')->{status}, 'OK', 'so it lives');
	advance_clock($node, '201 s');
	is(apply_map('get', 'a')->{status}, 'NOT_FOUND', 'and then no more');
	is(apply_map('update', 'a', $value)->{status}, 'NOT_FOUND', 'not to be updated');
	is(apply_map('remove', 'a')->{status}, 'NOT_FOUND', 'nor removed');
	is(apply_map('put', 'a', $value, index => $index)->{status}, 'CONFLICT', 'nor put at its index');
	is_deeply({ operation_result('map', $wire->apply(map_input($session, $map, 'size'))) },
		{ size => {} }, 'nor counted');

	$answer = apply_map('insert', 'a', $value);
	is($answer->{status}, 'OK', 'but to be inserted');
	cmp_ok((entry($answer))[1], '>', $index, 'at a new index');

	# A write without a time to live ends it.
	is(seconds_left(apply_map('put', 'a', { value => 'v' })), undef, 'put without one: for ever');
	advance_clock($node, '2000 s');
	is(apply_map('get', 'a')->{status}, 'OK', 'it lives');
	is(seconds_left(apply_map('update', 'a', $value)), 1000, 'an update sets one');
	is(seconds_left(apply_map('update', 'a', { value => 'v' })), undef, 'and ends one');
	is(seconds_left(apply_map('update', 'a', { value => 'w', ttl => { nanos => 500_000_000 } })), 1,
		'half a second');
	advance_clock($node, '1 s');
	is(apply_map('remove', 'a')->{status}, 'NOT_FOUND', 'is soon over');

	# None at all, and far more than anybody lives.
	$answer = apply_map('put', 'zero', { value => 'v', ttl => {} });
	is($answer->{status}, 'OK', 'no time to live');
	is_deeply((entry($answer))[2], {}, 'is what is left');
	is(apply_map('get', 'zero')->{status}, 'NOT_FOUND', 'gone at once');
	$answer = apply_map('put', 'long', { value => 'v', ttl => { seconds => 315_576_000_000 } });
	is($answer->{status}, 'OK', 'ten thousand years');
	is(apply_map('get', 'long')->{status}, 'OK', 'are not over yet');

	# What is removed says what it had left; replayed, the same.
	apply_map('put', 'r', $value);
	advance_clock($node, '100 s');
	my $remove = map_input($session, $map, 'remove', { key => 'r' });
	$answer = $wire->apply($remove, number => 1);
	cmp_ok(seconds_left($answer), '<=', 900, 'remove: what was left');
	advance_clock($node, '1000 s');
	is($wire->apply($remove, number => 1)->{output_bytes}, $answer->{output_bytes}, 'replayed: the same');

	# Rows of entries that are gone are removed, be it by nobody but the worker.
	apply_map('put', "w$_", { ttl => { seconds => 60 } }) for 1 .. 5;
	advance_clock($node, '61 s');
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM atomix.entry WHERE key LIKE 'w%'"),
		'the worker removes what is gone');
	advance_clock($node, '1 s');
	my $read = apply_map('get', 'long');
	cmp_ok($_->{seconds} // 0, '>', 0, 'what is left is never negative') for (entry($read))[2];
}

#
# Sizes.
#

{
	my $limit = 1024 * 1024;
	my $bytes_of = sub {
		return encode_message("$v1.PartitionInput",
			map_input($session, $map, 'put', { key => 'large', value => { value => 'x' x $_[0] } }));
	};
	my $overhead = length($bytes_of->($limit - 1000)) - ($limit - 1000);
	my $largest = $limit - $overhead;

	is(length $bytes_of->($largest), $limit, 'a message of 1 MB');
	is($wire->apply_bytes('', $bytes_of->($largest))->{status}, 'OK', 'is taken');
	my $answer = $wire->evaluate(map_input($session, $map, 'get', { key => 'large' }));
	my (undef, $output) = operation_result('map', $answer);
	is(length($output->{entry}{value}{value}), $largest, 'and comes back');
	is($wire->apply_bytes('', $bytes_of->($largest + 1))->{error}, '54000', 'a larger one is not');
	is($wire->apply_bytes('', $bytes_of->($largest))->{index}, (entry($answer))[1], 'equal: no change');
	my $numbered = $bytes_of->(500_000);
	my $headers = request_headers('Command', number => 2);
	my $first = $wire->apply_bytes($headers, $numbered);
	is($first->{status}, 'OK', 'half a megabyte, numbered');
	ok($wire->apply_bytes($headers, $numbered)->{output_bytes} eq $first->{output_bytes}, 'and replayed');

	my $longest = 'k' x 1024;
	is(apply_map('put', $longest, { value => 'v' })->{status}, 'OK', 'the longest key');
	is(apply_map('get', $longest)->{status}, 'OK', 'is found');
	for my $operation ('put', 'insert', 'update', 'remove')
	{
		my $answer = apply_map($operation, 'k' x 1025);

		is($answer->{error}, '53400', "$operation: a longer one");
		like($answer->{complaint}, qr/DETAIL:  It has 1025 bytes; the limit is 1024\./, 'says so');
	}
	is($wire->apply(map_input($session, $map, 'put', { key => 'k' x 1025 }), number => 3)->{error},
		'53400', 'with a number as well');
	is($wire->apply(map_input($session, $map, 'size'), number => 3)->{status}, 'OK', 'which stays free');
	is(apply_map('get', 'k' x 1025)->{status}, 'NOT_FOUND', 'nor is it there');
}

$psql->quit;
$node->stop;
done_testing();
