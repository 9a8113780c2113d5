# The protocol's messages for tests: their fields as the .proto files say,
# random messages in text form, and protoc as an independent codec.
#
# protoc is asked about many messages at once: a Batch has a repeated field
# for each message type.  Where one message depends on the answer to another,
# encode_message and decode_message do without it.

package AtomixProto;

use strict;
use warnings;

use Exporter 'import';
use File::Find;
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;

our @EXPORT_OK = qw(message_names nesting random_message protoc run_protoc
  varint delimited encode_batch decode_batch decoded_as write_proto
  encode_message decode_message enum_name);

my $proto_dir = "$FindBin::RealBin/../../proto";
my $scratch;

#
# The schema, as far as the files say it.
#

my %messages = (
	'google.protobuf.Any' => [
		{ name => 'type_url', type => 'string', number => 1 },
		{ name => 'value', type => 'bytes', number => 2 }
	],
	map {
		$_ => [
			{ name => 'seconds', type => 'int64', number => 1 },
			{ name => 'nanos', type => 'int32', number => 2 }
		]
	} qw(google.protobuf.Duration google.protobuf.Timestamp));
my %enums;
my %enum_names;
my @proto_files;

sub read_proto
{
	my ($file) = @_;
	my $text = slurp_file("$proto_dir/$file");
	my ($package, @scope, $oneof);

	$text =~ s{//[^\n]*}{}g;
	($package) = $text =~ /^package\s+([\w.]+);/m;

	for my $statement ($text =~ /[^;{}]*[;{}]/g)
	{
		$statement =~ s/^\s+|\s+$//g;
		my $here = join('.', $package, map { $_->[1] } @scope);

		if ($statement =~ /^(message|enum|oneof|service)\s+(\w+)\s*\{$/)
		{
			push @scope, [ $1, $2 ] unless $1 eq 'oneof';
			$oneof = $2 if $1 eq 'oneof';
			$messages{"$here.$2"} = [] if $1 eq 'message';
			$enums{"$here.$2"} = [] if $1 eq 'enum';
		}
		elsif ($statement eq '}')
		{
			defined $oneof ? undef $oneof : pop @scope;
		}
		elsif (!@scope || $scope[-1][0] eq 'service')
		{
			next;
		}
		elsif ($scope[-1][0] eq 'enum')
		{
			$statement =~ /^(\w+)\s*=\s*(\d+);$/ or die "$file: $statement";
			push @{ $enums{$here} }, $1;
			$enum_names{$here}{$2} = $1;
		}
		elsif ($statement =~
			/^(repeated\s+)?(map<(\w+),\s*([\w.]+)>|[\w.]+)\s+(\w+)\s*=\s*(\d+);$/)
		{
			push @{ $messages{$here} },
			  {
				name => $5,
				number => $6,
				scope => $here,
				oneof => $oneof,
				repeated => defined $1 || defined $3,
				map => defined $3 ? [ $3, $4 ] : undef,
				type => $2
			  };
		}
		else
		{
			die "$file: cannot read: $statement";
		}
	}
}

# The full name that a type's name means inside a message.
sub resolve
{
	my ($type, $scope) = @_;

	while (1)
	{
		my $name = $scope eq '' ? $type : "$scope.$type";

		return $name if exists $messages{$name} || exists $enums{$name};
		return undef if $scope eq '';
		$scope =~ s/\.?\w+$//;
	}
}

# How many levels a message can have, the given one being the first; stops
# counting above "limit".
sub nesting
{
	my ($name, $limit, $level) = @_;
	my $deepest = $level //= 1;

	return $level if $level > $limit;
	for my $field (@{ $messages{$name} })
	{
		my $type = $field->{map} ? $field->{map}[1] : $field->{type};
		my $inner = resolve($type, $field->{scope} // '') // '';

		next unless $messages{$inner};

		my $depth = nesting($inner, $limit,
			$level + 1 + ($field->{map} ? 1 : 0));

		$deepest = $depth if $depth > $deepest;
	}
	return $deepest;
}

find(
	{
		no_chdir => 1,
		wanted => sub {
			push @proto_files, $1 if m{^\Q$proto_dir\E/(.*\.proto)$};
		}
	},
	$proto_dir);
@proto_files = sort @proto_files;
read_proto($_) for @proto_files;
my @names = sort keys %messages;
my %number_of = map { $names[$_] => $_ + 1 } 0 .. $#names;

sub message_names { return @names; }

#
# Random messages in text form.
#

sub pick { return $_[ int(rand(@_)) ]; }

my %integers = (
	uint64 => [ 0, 1, 127, 128, 4294967296, '9223372036854775808',
		'18446744073709551615' ],
	int64 => [ 0, 1, -1, 300, '9223372036854775807', '-9223372036854775808' ],
	uint32 => [ 0, 1, 128, 65536, 4294967295 ],
	int32 => [ 0, 1, -1, 2147483647, -2147483648 ]);

sub random_string
{
	my ($is_bytes) = @_;
	my @alphabet = (
		'a', 'Z', '0', ' ', '\n', '\"', '\\\\', '\303\251', '\342\202\254',
		'\360\237\230\200');

	push @alphabet, '\000', '\377', '\200' if $is_bytes;
	return '"' . join('', map { pick(@alphabet) } 1 .. int(rand(12))) . '"';
}

sub random_value
{
	my ($type, $scope) = @_;

	return pick(@{ $integers{$type} }) if $integers{$type};
	return pick('true', 'false') if $type eq 'bool';
	return random_string($type eq 'bytes') if $type =~ /^(string|bytes)$/;

	my $name = resolve($type, $scope) // die "unknown type $type";
	return $messages{$name}
	  ? '{ ' . random_message($name) . ' }'
	  : pick(@{ $enums{$name} }, 77);
}

sub random_message
{
	my ($name) = @_;
	my (%chosen, @text);

	for my $field (@{ $messages{$name} })
	{
		my $oneof = $field->{oneof};
		my @rivals = grep { ($_->{oneof} // '') eq ($oneof // '-') }
		  @{ $messages{$name} };
		my $count = $field->{repeated} ? int(rand(4)) : int(rand(4)) > 0;

		if (defined $oneof)
		{
			$chosen{$oneof} //= pick(@rivals, undef) // {};
			$count = $chosen{$oneof} == $field ? 1 : 0;
		}
		for (1 .. $count)
		{
			my $value =
			  $field->{map}
			  ? '{ key: '
			  . random_value($field->{map}[0], $field->{scope})
			  . ' value: '
			  . random_value($field->{map}[1], $field->{scope}) . ' }'
			  : random_value($field->{type}, $field->{scope} // '');
			push @text, "$field->{name}: $value";
		}
	}
	return join(' ', @text);
}

#
# protoc, and as much of the wire format as it takes to split a Batch.
#

# A directory with the definition of Batch in it.  Made when first asked for,
# because the test's directories do not exist while modules load.
sub scratch
{
	return $scratch if defined $scratch;
	$scratch = PostgreSQL::Test::Utils::tempdir();
	write_proto(
		'batch.proto',
		(map { qq{import "$_";} } @proto_files,
			map { "google/protobuf/$_.proto" } qw(any duration timestamp)),
		'message Batch {',
		(map { "repeated .$_ f$number_of{$_} = $number_of{$_};" } @names),
		'}');
	return $scratch;
}

# Run protoc with --encode or --decode.  Returns success, output, errors.
sub run_protoc
{
	my ($mode, $message, $file, $input) = @_;
	my ($output, $errors) = ('', '');
	my $dir = scratch();

	# Not through a pipe, which breaks when protoc gives up early.
	open my $handle, '>:raw', "$dir/input" or die "$dir/input: $!";
	print $handle $input;
	close $handle;

	my $ok = IPC::Run::run(
		[
			'protoc', "-I$dir", "-I$proto_dir", "--$mode=$message",
			"$dir/$file"
		],
		'<', "$dir/input", '>', \$output, '2>', \$errors);

	return ($ok, $output, $errors);
}

# As run_protoc, for what has to succeed.  Returns the output.
sub protoc
{
	my ($ok, $output, $errors) = run_protoc(@_);

	die "protoc: $errors" unless $ok;
	return $output;
}

sub varint
{
	my ($value) = @_;
	my $bytes = '';

	# A negative number is as long as numbers can be.
	$value = unpack('Q', pack('q', $value)) if $value < 0;
	while ($value > 127)
	{
		$bytes .= chr(($value & 127) | 128);
		$value >>= 7;
	}
	return $bytes . chr($value);
}

sub delimited
{
	my ($number, $bytes) = @_;
	return varint($number << 3 | 2) . varint(length $bytes) . $bytes;
}

sub read_varint
{
	my ($bytes, $position) = @_;
	my ($value, $shift) = (0, 0);

	while (1)
	{
		my $byte = ord(substr($bytes, $$position++, 1));

		$value |= ($byte & 127) << $shift;
		return $value if $byte < 128;
		$shift += 7;
	}
}

# The messages in an encoded Batch, as [type, bytes].
sub split_batch
{
	my ($bytes) = @_;
	my ($position, @cases) = (0);

	while ($position < length $bytes)
	{
		my $number = read_varint($bytes, \$position) >> 3;
		my $len = read_varint($bytes, \$position);

		push @cases, [ $names[ $number - 1 ], substr($bytes, $position, $len) ];
		$position += $len;
	}
	return @cases;
}

# Encode messages, given as [type, text]; returns [type, bytes] for each.
sub encode_batch
{
	my $text =
	  join("\n", map { "f$number_of{ $_->[0] } { $_->[1] }" } @_);

	return split_batch(protoc('encode', 'Batch', 'batch.proto', $text));
}

# Decode messages, given as [type, bytes], to one text.
sub decode_batch
{
	my $bytes =
	  join('', map { delimited($number_of{ $_->[0] }, $_->[1]) } @_);

	return protoc('decode', 'Batch', 'batch.proto', $bytes);
}

# The part of a decoded Batch that belongs to a type.
sub decoded_as
{
	my ($text, $name) = @_;
	return join('', $text =~ /^f$number_of{$name} \{\n.*?^\}\n/msg);
}

#
# Messages as hashes: fields by name, inner messages as hashes, repeated ones
# as arrays, maps as hashes, enums as numbers.
#

# The type of a field's values as it is on the wire: a message's name, or
# what "varint" or "bytes" stands for.
sub wire_type
{
	my ($type, $scope) = @_;

	return 'bytes' if $type =~ /^(string|bytes)$/;
	return 'varint' if $integers{$type} || $type eq 'bool';

	my $name = resolve($type, $scope // '') // die "unknown type $type";
	return $messages{$name} ? $name : 'varint';
}

sub encode_field
{
	my ($number, $type, $scope, $value) = @_;
	my $wire = wire_type($type, $scope);

	return varint($number << 3) . varint($value) if $wire eq 'varint';
	return delimited($number,
		$wire eq 'bytes' ? $value : encode_message($wire, $value));
}

# A value that is not sent, because its absence means the same.
sub is_default
{
	my ($field, $value) = @_;
	my $wire = wire_type($field->{type}, $field->{scope});

	return 0 if defined $field->{oneof};
	return $value == 0 if $wire eq 'varint';
	return $wire eq 'bytes' && $value eq '';
}

sub encode_message
{
	my ($name, $message) = @_;
	my %fields = map { $_->{name} => $_ } @{ $messages{$name} // die $name };
	my $bytes = '';

	for my $field (keys %$message)
	{
		die "$name has no field $field" unless $fields{$field};
	}
	for my $field (sort { $a->{number} <=> $b->{number} } values %fields)
	{
		my ($number, $type, $scope) = @$field{qw(number type scope)};
		my $value = $message->{ $field->{name} } // next;

		if ($field->{map})
		{
			$bytes .= delimited($number,
				encode_field(1, $field->{map}[0], $scope, $_)
				  . encode_field(2, $field->{map}[1], $scope, $value->{$_}))
			  for sort keys %$value;
		}
		elsif ($field->{repeated})
		{
			$bytes .= encode_field($number, $type, $scope, $_) for @$value;
		}
		elsif (!is_default($field, $value))
		{
			$bytes .= encode_field($number, $type, $scope, $value);
		}
	}
	return $bytes;
}

sub decode_value
{
	my ($type, $scope, $value) = @_;
	my $wire = wire_type($type, $scope);

	return decode_message($wire, $value) if $wire =~ /\./;
	return unpack('q', pack('Q', $value)) if $type =~ /^int/;
	return $value;
}

# The two fields of a map's entry.
sub decode_entry
{
	my ($field, $bytes) = @_;
	my ($position, %entry) = (0);

	while ($position < length $bytes)
	{
		my $tag = read_varint($bytes, \$position);
		my $value = read_varint($bytes, \$position);

		if (($tag & 7) == 2)
		{
			$position += $value;
			$value = substr($bytes, $position - $value, $value);
		}
		$entry{ $tag >> 3 } =
		  decode_value($field->{map}[ ($tag >> 3) - 1 ], $field->{scope}, $value);
	}
	return ($entry{1} // 0, $entry{2} // 0);
}

# The fields that are there; dies of those that should not be.
sub decode_message
{
	my ($name, $bytes) = @_;
	my %fields = map { $_->{number} => $_ } @{ $messages{$name} // die $name };
	my ($position, %message) = (0);

	while ($position < length $bytes)
	{
		my $tag = read_varint($bytes, \$position);
		my $field = $fields{ $tag >> 3 } // die "$name has no field with tag $tag";
		my $value = read_varint($bytes, \$position);
		my $type = $field->{map} ? 'bytes' : $field->{type};
		my $expected = wire_type($type, $field->{scope}) eq 'varint' ? 0 : 2;

		die "$name.$field->{name} has wire type " . ($tag & 7)
		  if ($tag & 7) != $expected;
		if ($expected == 2)
		{
			$position += $value;
			die "$name is cut short" if $position > length $bytes;
			$value = substr($bytes, $position - $value, $value);
		}
		if ($field->{map})
		{
			my ($key, $inner) = decode_entry($field, $value);

			$message{ $field->{name} }{$key} = $inner;
			next;
		}
		$value = decode_value($field->{type}, $field->{scope}, $value);
		push @{ $message{ $field->{name} } }, $value if $field->{repeated};
		$message{ $field->{name} } = $value unless $field->{repeated};
	}
	return \%message;
}

# The name of an enum's value.
sub enum_name
{
	my ($enum, $number) = @_;
	return $enum_names{$enum}{$number} // $number;
}

# Write a .proto file for protoc to find under this name.
sub write_proto
{
	my ($file, @lines) = @_;

	open my $handle, '>', scratch() . "/$file" or die "$file: $!";
	print $handle join("\n", 'syntax = "proto3";', @lines, '');
	close $handle;
}

1;
