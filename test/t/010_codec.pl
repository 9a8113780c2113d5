# Protocol messages: what the codec accepts, refuses and sends back.  The
# independent judge is protoc; the messages are read from the .proto files, so
# that a message added there is tested from the start.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(message_names nesting random_message protoc run_protoc
  delimited encode_batch decode_batch decoded_as write_proto
  encode_message decode_message);
use AtomixTest qw(new_node psql_sqlstate);
use Test::More;

my $max_depth = 32;
my @names = message_names();

srand(20260101);

#
# The server, asked about many messages at once.
#

my $node = new_node('codec');

$node->safe_psql('postgres', q{
	CREATE TABLE cases (id int PRIMARY KEY, message text, bytes bytea);
	CREATE FUNCTION recode(message text, bytes bytea,
						   OUT state text, OUT result text, OUT detail text)
	LANGUAGE plpgsql AS $$
	BEGIN
		result := encode(atomix._recode(message, bytes), 'hex');
		state := '00000';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
			detail = PG_EXCEPTION_DETAIL;
		detail := SQLERRM || ': ' || coalesce(detail, '');
	END $$;
});

# Recode each [type, bytes]; returns [state, bytes or undef, detail].
sub recode
{
	my @cases = @_;
	my $copy = join('',
		map { "$_\t$cases[$_][0]\t\\\\x" . unpack('H*', $cases[$_][1]) . "\n" }
		  0 .. $#cases);
	my $output = $node->safe_psql('postgres',
		"TRUNCATE cases;\nCOPY cases FROM stdin;\n$copy\\.\n"
		  . q{SELECT state, result, detail
			  FROM cases, recode(message, bytes) ORDER BY id});
	my @results = map { [ split(/\|/, $_, 3) ] } split(/\n/, $output);

	die 'a result is missing' unless @results == @cases;
	for my $result (@results)
	{
		$result->[1] =
		  $result->[0] eq '00000' ? pack('H*', $result->[1]) : undef;
	}
	return @results;
}

#
# Every message type.
#

cmp_ok(scalar(@names), '>', 50, 'the .proto files have been read');
cmp_ok((sort { $b <=> $a } map { nesting($_, $max_depth) } @names)[0],
	'<=', $max_depth, 'no message nests deeper than the decoder goes');

{
	my @results = recode(map { [ $_, '' ] } @names);

	is(scalar(grep { $_->[0] eq '00000' && $_->[1] eq '' } @results),
		scalar(@names), 'no bytes are an empty message of every type');
}

my @samples =
  encode_batch(map { my $name = $_; map { [ $name, random_message($name) ] } 1 .. 20 }
	  @names);

{
	my @results = recode(@samples);
	my @again = map { [ $samples[$_][0], $results[$_][1] // '' ] }
	  0 .. $#samples;
	my ($before, $after) = (decode_batch(@samples), decode_batch(@again));

	is(scalar(@samples), 20 * @names, 'samples of every type');
	is(decoded_as($after, $_), decoded_as($before, $_), "$_ means the same")
	  for @names;
}

# The other tests' own codec, which the server has no part in.  It keeps one of
# equal keys of a map, so types with a map must only agree with themselves.
{
	my (@own, @other, %has_map);

	for my $sample (@samples)
	{
		my ($name, $bytes) = @$sample;
		my $message = decode_message($name, $bytes);
		my $again = encode_message($name, $message);

		push @own, [ $name, $again ];
		push @other, [ $name, encode_message($name, decode_message($name, $again)) ];
	}
	my ($before, $after) = (decode_batch(@samples), decode_batch(@own));
	for my $name (@names)
	{
		$has_map{$name} = decoded_as($before, $name) =~ /^ +(labels|output_stream_sequence_nums) \{/m;
	}
	is(join(' ', grep { !$has_map{$_} && decoded_as($after, $_) ne decoded_as($before, $_) } @names),
		'', 'the tests decode and encode as protoc does');
	is_deeply(\@other, \@own, 'and maps as they themselves do');
	cmp_ok(scalar(grep { $_ } values %has_map), '<', 10, 'few types have a map');
}

#
# Unknown fields.
#

{
	my $junk = "\xf8\x06\xac\x02" . "\xf9\x06" . 'a' x 8;

	$junk .= "\xfa\x06\x03xyz" . "\xfd\x06" . 'b' x 4 . "\xf8\xff\xff\xff\x0f\x01";
	$junk .= delimited(111, chr(10) x 20_000);
	my @dirty = map { [ $_->[0], $junk . $_->[1] . $junk ] } @samples;
	my $same = 0;
	my @clean = recode(@samples);
	my @results = recode(@dirty[ 0 .. 99 ]);

	$same += $results[$_][0] eq '00000' && $results[$_][1] eq $clean[$_][1]
	  for 0 .. 99;
	is($same, 100, 'unknown fields of every wire type are dropped');

	my $inner = delimited(1, "\x08\x07$junk") . "\x10\x05";
	my ($nested) = recode(
		[ 'atomix.multiraft.v1.SessionRequestHeaders', $inner ]);
	is(unpack('H*', $nested->[1]), '0a0208071005', 'also in inner messages');

	my ($repeated) = recode(
		[
			'atomix.headers.RequestHeader',
			delimited(5, "\x08\x01$junk") . delimited(5, "\x08\x02$junk")
		]);
	is(unpack('H*', $repeated->[1]), '2a0208012a020802', 'and in repeated ones');
}

#
# Both layouts of KeepAliveInput.
#

write_proto(
	'later.proto',
	'message KeepAliveInput {',
	'uint64 session_id = 1;',
	'bytes pending_commands_filter = 2;',
	'uint64 last_command_sequence_num = 3;',
	'map<uint64, uint64> output_stream_sequence_nums = 4;',
	'}',
	'message Wrapped { KeepAliveInput input = 2; }');

{
	my $ours = 'atomix.multiraft.v1';
	my $type = "$ours.KeepAliveInput";
	my @texts = map { random_message($type) } 1 .. 50;
	my @cases;

	for my $text (@texts)
	{
		my $bytes = protoc('encode', 'KeepAliveInput', 'later.proto', $text);

		push @cases,
		  [ $type, $bytes ],
		  [ "$ours.KeepAliveRequest", delimited(2, $bytes) ],
		  [ "$ours.PartitionInput", delimited(2, $bytes) ];
	}

	my @results = recode(@cases);
	my @later = map { [ $cases[$_][0], $results[$_][1] // '' ] } 0 .. $#cases;
	my @expected;

	for my $text (@texts)
	{
		my $bytes =
		  protoc('encode', $type, 'batch.proto', $text);

		push @expected,
		  [ $type, $bytes ],
		  [ "$ours.KeepAliveRequest", delimited(2, $bytes) ],
		  [ "$ours.PartitionInput", delimited(2, $bytes) ];
	}
	is(decode_batch(@later), decode_batch(@expected),
		'the later layout of KeepAliveInput is understood');

	# Tags that take more bytes than they need.
	my @long = recode(
		[ $type, "\x92\x00\x01f\x98\x80\x00\x05" ],
		[ $type, "\x9a\x80\x80\x80\x00\x01f\x90\x00\x05" ],
		[ $type, "\x10\x04\x12\x01f\x18\x05\x1a\x01g" ]);
	is(unpack('H*', $long[0][1]), '10051a0166', 'long tags, later layout');
	is(unpack('H*', $long[1][1]), '10051a0166', 'long tags, our layout');
	is(unpack('H*', $long[2][1]), '10051a0167', 'mixed layouts: last one wins');
}

#
# Malformed bytes.
#

{
	my $type = 'atomix.multiraft.v1.KeepAliveRequest';
	my $bytes = protoc('encode', $type, 'batch.proto',
		'headers { partition_id: 300 } input { session_id: 9007199254740991 '
		  . 'pending_commands_filter: "{}" last_command_sequence_num: 1000 '
		  . 'output_stream_sequence_nums { key: 1 value: 70000 } }');
	my @prefixes = map { substr($bytes, 0, $_) } 0 .. length($bytes) - 1;
	my @results = recode(map { [ $type, $_ ] } @prefixes);
	my @wrong;

	for my $len (0 .. $#prefixes)
	{
		my ($ok) =
		  run_protoc('decode', $type, 'batch.proto', $prefixes[$len]);

		push @wrong, $len if $results[$len][0] ne ($ok ? '00000' : '22P03');
	}
	is("@wrong", '', 'every truncation is refused where protoc refuses it');
}

my $request = 'atomix.multiraft.v1.OpenSessionRequest';
my @malformed = (
	[ 'length beyond the end', $request, '0a05', 'beyond the end' ],
	[ 'length beyond its message', $request, '0a027a056161616161', 'beyond the end' ],
	[ 'inner length beyond the end', $request, '12020a05', '"timeout" of' ],
	[ 'truncated tag', $request, '8a', 'ends inside a varint' ],
	[ 'truncated varint', 'google.protobuf.Duration', '0880', '"seconds" of' ],
	[ 'truncated fixed64', $request, '7901020304050607', 'fixed-size' ],
	[ 'truncated fixed32', $request, '7d010203', 'fixed-size' ],
	[ 'truncated unknown value', $request, '7a0461', 'Field number 15' ],
	[ 'varint of eleven bytes', 'google.protobuf.Duration',
		'08' . 'ff' x 10 . '01', 'varint that is too long' ],
	[ 'varint beyond 64 bits', 'google.protobuf.Duration',
		'08' . 'ff' x 9 . '02', 'varint that is too long' ],
	[ 'tag of six bytes', $request, '8a8080808000', 'varint that is too long' ],
	[ 'tag beyond 32 bits', $request, '8a8080807f00', 'more than 32 bits' ],
	[ 'length of six bytes', $request, '0a808080808000', 'too long' ],
	[ 'length beyond 2^31', $request, '0affffffff0f', 'beyond the end' ],
	[ 'field number 0', $request, '0000', 'number 0' ],
	[ 'field number 0, long', $request, '820000', 'number 0' ],
	[ 'group', $request, '0b0c', '"headers" of' ],
	[ 'unknown group', $request, '7b7c', 'group' ],
	[ 'end of a group', $request, '7c', 'group' ],
	[ 'wire type 6', $request, '0e', 'undefined wire type' ],
	[ 'wire type 7', $request, '7f', 'undefined wire type' ],
	[ 'message as varint', $request, '0801', 'wire type 0 instead of 2' ],
	[ 'varint as bytes', 'google.protobuf.Duration', '0a00', '2 instead of 0' ],
	[ 'varint as fixed64', 'google.protobuf.Duration',
		'09' . '00' x 8, '1 instead of 0' ],
	[ 'string as fixed32', 'atomix.primitive.Name', '0d00000000', '5 instead of 2' ],
	[ 'map entry as varint', 'atomix.multiraft.v1.KeepAliveInput',
		'2001', '0 instead of 2' ],
	[ 'filter as fixed64', 'atomix.multiraft.v1.KeepAliveInput',
		'19' . '00' x 8, '1 instead of 2' ],
	[ 'second occurrence of a message', $request, '0a000a00', 'more than once' ],
	[ 'NUL in a string', 'atomix.primitive.Name', '0a03610062', 'a NUL byte, at byte offset 3 of 5' ],
	[ 'Latin-1 in a string', 'atomix.primitive.Name', '0a0261e9', 'UTF-8, at byte offset 3 of 4' ],
	[ 'cut character', 'atomix.primitive.Name', '0a02e282', 'UTF-8' ],
	[ 'overlong character', 'atomix.primitive.Name', '0a02c0af', 'UTF-8' ],
	[ 'surrogate', 'atomix.primitive.Name', '0a03eda080', 'UTF-8' ],
	[ 'bad key of a map', 'atomix.runtime.v1.SessionMeta', '1a030a01ff', '"key" of' ]);

{
	my @results = recode(map { [ $_->[1], pack('H*', $_->[2]) ] } @malformed);

	for my $i (0 .. $#malformed)
	{
		my ($name, $type, undef, $detail) = @{ $malformed[$i] };
		my $text = "$results[$i][0]: " . ($results[$i][2] // '');

		like($text,
			qr/^22P03: could not decode message "\Q$type\E": .*\Q$detail\E/,
			$name);
	}
}

# Random damage.  What the server still takes must mean the same to protoc,
# but for unknown fields, which protoc shows by number.
sub known_part
{
	my ($text) = @_;
	my @kept;
	my $skip;

	for my $line (split /\n/, $text)
	{
		my ($indent) = $line =~ /^( *)/;

		if (defined $skip)
		{
			undef $skip if $line eq "$skip}";
			next;
		}
		if ($line =~ /^ *\d+(:| \{)/)
		{
			$skip = $indent if $line =~ /\{$/;
			next;
		}
		push @kept, $line;
	}
	return join("\n", @kept);
}

{
	my @damaged;

	# Not KeepAliveInput: damage can turn one layout into the other.
	for my $sample (
		grep { length $_->[1] && $_->[0] !~ /v1\.(KeepAlive|PartitionInput)/ }
		@samples, @samples, @samples)
	{
		my $bytes = $sample->[1];

		substr($bytes, int(rand(length $bytes)), int(rand(2))) =
		  chr(int(rand(256)))
		  for 0 .. int(rand(2));
		push @damaged, [ $sample->[0], $bytes ];
	}

	my @results = recode(@damaged);
	my @taken = grep { $results[$_][0] eq '00000' } 0 .. $#damaged;
	my $before = known_part(decode_batch(@damaged[@taken]));
	my $after = decode_batch(map { [ $damaged[$_][0], $results[$_][1] ] } @taken);

	is_deeply([ grep { $_->[0] !~ /^(00000|22P03)$/ } @results ],
		[], 'damage is accepted or 22P03');
	cmp_ok(scalar(@taken), '>', 100, 'some damage leaves a valid message');
	cmp_ok(@damaged - @taken, '>', 100, 'some does not');
	ok($before eq known_part($after), 'what remains means the same to protoc');
}

#
# Limits.
#

{
	my $list = 'atomix.runtime.v1.ListSessionsResponse';
	my $bytes = 'google.protobuf.Any';
	my $ask = sub {
		return $node->safe_psql('postgres',
			"SELECT state, length(result) / 2, detail FROM recode($_[0])");
	};

	like(
		$ask->(qq{'$bytes', decode(repeat('7a00', 524288), 'hex') || '\\x00'}),
		qr/^54000\|\|message "\Q$bytes\E" is too large: .*1048577 .*1048576/,
		'a message above the limit');
	is(
		$ask->(qq{'$bytes', '\\x12fbff3f' || decode(repeat('61', 1048571), 'hex')}),
		'00000|1048575|', 'a message at the limit');
	like(
		$ask->(qq{'$list', decode(repeat('0a00', 500000), 'hex')}),
		qr/^22P03\|\|.*would take too much memory/,
		'many tiny messages');
	like(
		$ask->(qq{'$list', decode(repeat('7800', 500000), 'hex')}),
		qr/^22P03\|\|.*would take too much memory/,
		'many tiny unknown fields');
	is($ask->(qq{'$list', decode(repeat('0a00', 80000), 'hex')}),
		'00000|160000|', 'not so many');

	$node->append_conf('postgresql.conf', "atomix.max_message_size = '64MB'");
	$node->reload;
	ok( $node->poll_query_until('postgres',
			q{SELECT current_setting('atomix.max_message_size') = '64MB'}),
		'the limit can be raised');
	is(
		$ask->(qq{'$bytes', '\\x1280808014' || decode(repeat('61', 41943040), 'hex')}),
		'00000|41943045|', 'a message below a higher limit');
}

#
# Arguments.
#

is(psql_sqlstate($node, q{SELECT atomix._recode(NULL, '')}),
	'22004', 'no message name');
is(psql_sqlstate($node, q{SELECT atomix._recode('atomix.primitive.Name', NULL)}),
	'22004', 'no bytes');
is(psql_sqlstate($node, q{SELECT atomix._recode('atomix.headers.Nothing', '')}),
	'42704', 'no such message');
{
	my $hint = sub {
		my $stderr;

		$node->psql('postgres', "SELECT atomix._recode('$_[0]', '')",
			stderr => \$stderr);
		return $stderr;
	};

	like($hint->('atomix.headers.RequstHeader'),
		qr/HINT:.*"atomix.headers.RequestHeader"/, 'a name mistyped');
	like($hint->('WatchPartitionRequest'),
		qr/HINT:.*"atomix.multiraft.v1.WatchPartitionRequest"/,
		'a name without its package');
	like($hint->('x' x 300), qr/HINT:.*with its package/, 'a long name');
}

#
# Other encodings, and memory.
#

$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0
	ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
$node->safe_psql('latin', 'CREATE EXTENSION atomix');
is(
	$node->safe_psql('latin',
		q{SELECT atomix._recode('atomix.primitive.Name', '\x0a03e282ac')}),
	'\x0a03e282ac', 'strings stay UTF-8 whatever the server\'s encoding');

{
	my $growth = $node->safe_psql('postgres', q{
		DO $$
		DECLARE
			before bigint;
			after bigint;
			failures int := 0;
		BEGIN
			FOR i IN 1 .. 22000 LOOP
				IF i = 2000 THEN
					SELECT sum(total_bytes) INTO before
					FROM pg_backend_memory_contexts
					WHERE name = 'TopMemoryContext';
				END IF;
				failures := failures + (state = '22P03')::int
					FROM recode('atomix.multiraft.v1.KeepAliveRequest',
						'\x0a0308ac02121112027b7d18e8072206080110f0a2047a02ff');
			END LOOP;
			SELECT sum(total_bytes) INTO after
			FROM pg_backend_memory_contexts WHERE name = 'TopMemoryContext';
			PERFORM set_config('test.growth',
				failures || ' ' || after - before, false);
		END $$;
		SELECT current_setting('test.growth');
	});

	my ($failures, $bytes) = split / /, $growth;

	is($failures, 22000, 'decoding has failed many times');
	cmp_ok($bytes, '<', 65536, 'failed decodes leave no memory behind');
}

$node->stop;
done_testing();
