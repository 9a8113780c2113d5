# A client of the state machine's own face: it talks bytes to
# partition_command and its siblings through a connection it keeps.
#
# An answer is a hash: "status" by name, "message", "index", "num" (of the
# output), "output" (the PartitionOutput, decoded) and the bytes of both parts,
# "headers_bytes" and "output_bytes".  Where the call fails there is only
# "error", its SQLSTATE, and "complaint".

package AtomixWire;

use strict;
use warnings;

use AtomixProto qw(decode_message encode_message enum_name);
use Exporter 'import';

our @EXPORT_OK = qw(
	counter_input election_input keep_alive_input lock_input map_input
	operation_result request_headers);

my $v1 = 'atomix.multiraft.v1';
my %service_type = (
	counter => 'Counter',
	election => 'LeaderElection',
	lock => 'Lock',
	map => 'Map');

sub hex_of { return "'\\x" . unpack('H*', $_[0]) . "'"; }

# The nested headers of a request.  A level that says nothing is left out.
sub request_headers
{
	my ($kind, %given) = @_;
	my $headers;

	$headers = { partition_id => $given{partition} } if defined $given{partition};
	for my $level ([ 'partition', 'session_id', 'session' ],
		[ 'session', 'service_id', 'service' ],
		[ 'session', 'operation_id', 'operation' ])
	{
		my ($inner, $field, $name) = @$level;
		my %message;

		$message{$inner} = $headers if defined $headers;
		$message{$field} = $given{$name} if defined $given{$name};
		$headers = \%message if %message;
	}

	my %message;
	$message{operation} = $headers if defined $headers;
	$message{ $kind eq 'Query' ? 'last_command_sequence_num' : 'command_sequence_num' } =
	  $given{number}
	  if defined $given{number};
	return encode_message("$v1.${kind}RequestHeaders", \%message);
}

# A client over a background psql that goes on after errors.
sub new
{
	my ($class, $psql) = @_;
	my $self = bless { psql => $psql }, $class;

	$psql->query_safe('\set VERBOSITY verbose');
	return $self;
}

sub psql { return $_[0]{psql}; }

sub read_answer
{
	my ($kind, $headers, $output) = @_;
	my $message = decode_message("$v1.${kind}ResponseHeaders", $headers);
	my $partition =
	  $message->{operation}{session}{session}{partition} // die 'headers are not complete';

	return {
		status => enum_name("$v1.PartitionResponseHeaders.Status", $partition->{status} // 0),
		message => $partition->{message} // '',
		index => $partition->{index} // 0,
		num => $message->{output_sequence_num} // 0,
		output => decode_message("$v1.PartitionOutput", $output),
		headers_bytes => $headers,
		output_bytes => $output
	};
}

# What a call answers whose result is headers and output, perhaps more than
# once.
sub ask
{
	my ($self, $kind, $from) = @_;
	my $psql = $self->{psql};
	my $rows =
	  $psql->query("SELECT encode(headers, 'hex'), encode(output, 'hex') FROM $from");
	my $errors = $psql->{stderr};

	$psql->{stderr} = '';
	return { error => $1, complaint => $errors } if $errors =~ /ERROR:\s+([0-9A-Z]{5}):/;
	die "unexpected: $errors" if $errors ne '';
	return map {
		my ($headers, $output) = split /\|/, $_, 2;
		read_answer($kind, pack('H*', $headers), pack('H*', $output))
	} split /\n/, $rows;
}

# Apply bytes, whatever they are.
sub apply_bytes
{
	my ($self, $headers, $input) = @_;
	my ($answer) = $self->ask('Command',
		'atomix.partition_command(' . hex_of($headers) . ', ' . hex_of($input) . ')');

	return $answer;
}

# Apply a PartitionInput; the rest says what is in the headers: partition,
# session, service, operation, number.
sub apply
{
	my ($self, $input, %headers) = @_;

	return $self->apply_bytes(request_headers('Command', %headers),
		encode_message("$v1.PartitionInput", $input));
}

# Evaluate a PartitionInput that only reads.
sub evaluate
{
	my ($self, $input, %headers) = @_;
	my ($answer) = $self->ask(
		'Query',
		'atomix.partition_query('
		  . hex_of(request_headers('Query', %headers)) . ', '
		  . hex_of(encode_message("$v1.PartitionInput", $input)) . ')');

	return $answer;
}

# The call that applies several, each given as [input, headers ...], as part of
# a statement.
sub batch_call
{
	my (@members) = @_;
	my (@headers, @inputs);

	for my $member (@members)
	{
		my ($input, %headers) = @$member;

		push @headers, hex_of(request_headers('Command', %headers));
		push @inputs, hex_of(encode_message("$v1.PartitionInput", $input));
	}
	return 'atomix.partition_commands('
	  . 'ARRAY[' . join(',', @headers) . ']::bytea[], '
	  . 'ARRAY[' . join(',', @inputs) . ']::bytea[])';
}

# Apply several; returns their answers.
sub apply_all
{
	my ($self, @members) = @_;

	return $self->ask('Command',
		'(SELECT * FROM ' . batch_call(@members) . ' ORDER BY n) AS members');
}

#
# Inputs.
#

sub service_input
{
	my ($type, $session, $service, $operation, $arguments) = @_;
	my $name = "atomix.multiraft.$type.v1.$service_type{$type}Input";
	my $payload = encode_message($name, defined $operation ? { $operation => $arguments // {} } : {});

	return {
		session_input => {
			session_id => $session,
			service_input => { service_id => $service, payload => $payload }
		}
	};
}

sub counter_input { return service_input('counter', @_); }

sub map_input { return service_input('map', @_); }

sub lock_input { return service_input('lock', @_); }

sub election_input { return service_input('election', @_); }

sub keep_alive_input
{
	my ($session, $last, $filter, $outs) = @_;
	my %input = (session_id => $session);

	$input{last_command_sequence_num} = $last if defined $last;
	$input{pending_commands_filter} = $filter if defined $filter;
	$input{output_stream_sequence_nums} = $outs if defined $outs;
	return { keep_alive => \%input };
}

# The output of a service's operation in an answer: which, and its fields.
sub operation_result
{
	my ($type, $answer) = @_;
	my $payload = $answer->{output}{session_output}{service_output}{payload} // return;
	my $output =
	  decode_message("atomix.multiraft.$type.v1.$service_type{$type}Output", $payload);

	return %$output;
}

# The outputs of a stream of a service of that type that are not acknowledged:
# [number, kind, output, index], the output of a close being its reason; the
# SQLSTATE where the call fails.
sub fetch
{
	my ($self, $type, $session, $number, $rows) = @_;
	my $psql = $self->{psql};
	my $found = $psql->query("SELECT output_num, kind, encode(output, 'hex'), index
		FROM atomix.fetch_outputs($session, $number, " . ($rows // 1000) . ')');
	my $errors = $psql->{stderr};

	$psql->{stderr} = '';
	return $1 if $errors =~ /ERROR:\s+([0-9A-Z]{5}):/;
	die "unexpected: $errors" if $errors ne '';
	return map {
		my ($num, $kind, $bytes, $index) = split /\|/, $_;

		$bytes = pack('H*', $bytes);
		$bytes = decode_message("atomix.multiraft.$type.v1.$service_type{$type}Output", $bytes)
		  if $kind ne 'close';
		[ $num, $kind, $bytes, $index ]
	} split /\n/, $found;
}

# The event in an output of a stream of a map's or a counter's events, its type
# by name.
sub change
{
	my ($type, $bytes) = @_;
	my $output = decode_message("atomix.multiraft.$type.v1.$service_type{$type}Output", $bytes);
	my $event = $output->{events}{event};

	return { %$event, type => enum_name("atomix.multiraft.$type.v1.Event.Type", $event->{type}) };
}

# What fetch gives in one line, as people would say it.
sub told
{
	my ($self, $type, @rest) = @_;

	return join(', ', map { ref $_ ? output_text($type, $_) : $_ } $self->fetch($type, @rest));
}

sub entry_text
{
	my ($entry) = @_;

	return $entry->{key} . (exists $entry->{value} ? '=' . ($entry->{value}{value} // '') : '');
}

sub output_text
{
	my ($type, $output) = @_;
	my ($num, $kind, $message) = @$output;

	return "$num $kind: $message" if $kind eq 'close';

	my ($operation, @others) = keys %$message;
	my $fields = $message->{$operation};
	my $event = $fields->{event};
	my $says = 'nothing';

	die "more than one result: $operation @others" if @others;
	if ($operation eq 'entries')
	{
		$says = entry_text($fields->{entry}) if $fields->{entry};
	}
	elsif ($operation eq 'watch')
	{
		my $term = $fields->{term};

		$says = join(' ', $term->{index} // 0, $term->{leader} // '-', @{ $term->{candidates} // [] })
		  if $term;
	}
	elsif ($event)
	{
		$says = enum_name("atomix.multiraft.$type.v1.Event.Type", $event->{type}) . ' '
		  . ( $type eq 'map'
			? entry_text($event->{entry})
			: ($event->{prev_value} // 0) . '->' . ($event->{value} // 0));
	}
	return ($kind eq 'open' ? "$num open $operation" : $num) . ": $says";
}

# The id of a new session, of that many seconds.
sub open_session
{
	my ($self, $seconds) = @_;
	my $answer = $self->apply({ open_session => { timeout => { seconds => $seconds } } });

	return $answer->{output}{open_session}{session_id} // die $answer->{message};
}

# The id of a service that the session now has open.
sub create
{
	my ($self, $session, $type, $name, %headers) = @_;
	my $answer = $self->apply(
		{
			session_input => {
				session_id => $session,
				create_service => { service => $type, name => $name }
			}
		},
		%headers);

	return $answer->{output}{session_output}{create_service}{service_id}
	  // die $answer->{message} // $answer->{complaint};
}

1;
