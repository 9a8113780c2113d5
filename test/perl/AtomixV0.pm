# A client of the protocol's first generation: it talks bytes to the session_*
# functions through a connection it keeps.
#
# An answer is a hash: the fields of the ResponseHeader, "status" and "type" by
# name, all of them there; "header_bytes" and, of operations, "payload". Where
# the call fails there is only "error", its SQLSTATE, and "complaint".

package AtomixV0;

use strict;
use warnings;

use AtomixProto qw(decode_message encode_message enum_name);

sub hex_of { return "'\\x" . unpack('H*', $_[0]) . "'"; }

# A client over a background psql that goes on after errors.
sub new
{
	my ($class, $psql) = @_;
	my $self = bless { psql => $psql }, $class;

	$psql->query_safe('\set VERBOSITY verbose');
	return $self;
}

# A request's header: name (or [name, namespace]), session, number, index,
# partition, and streams as a hash of response ids by stream.
sub request_header
{
	my (%given) = @_;
	my %header;

	if (defined $given{name})
	{
		my ($name, $namespace) = ref $given{name} ? @{ $given{name} } : ($given{name});

		$header{name} = { name => $name, namespace => $namespace // '' };
	}
	$header{session_id} = $given{session} if defined $given{session};
	$header{request_id} = $given{number} if defined $given{number};
	$header{index} = $given{index} if defined $given{index};
	$header{partition} = $given{partition} if defined $given{partition};
	$header{streams} = [
		map { { stream_id => $_, response_id => $given{streams}{$_} } }
		sort { $a <=> $b } keys %{ $given{streams} }
	  ]
	  if defined $given{streams};
	return \%header;
}

sub read_header
{
	my ($bytes) = @_;
	my $header = decode_message('atomix.headers.ResponseHeader', $bytes);

	return {
		(map { $_ => $header->{$_} // 0 } qw(session_id stream_id response_id index)),
		leader => $header->{leader} // '',
		message => $header->{message} // '',
		status => enum_name('atomix.headers.ResponseStatus', $header->{status} // 0),
		type => enum_name('atomix.headers.ResponseType', $header->{type} // 0),
		header_bytes => $bytes
	};
}

# The rows of a query, or an answer that says why there are none.
sub ask
{
	my ($self, $sql) = @_;
	my $psql = $self->{psql};
	my $rows = $psql->query($sql);
	my $errors = $psql->{stderr};

	$psql->{stderr} = '';
	return { error => $1, complaint => $errors } if $errors =~ /ERROR:\s+([0-9A-Z]{5}):/;
	die "unexpected: $errors" if $errors ne '';
	return [ split /\n/, $rows ];
}

# A rpc of sessions: which, what is in the request beside the header, and the
# header.
sub call
{
	my ($self, $rpc, $fields, %header) = @_;
	my $function = 'session_' . lc($rpc =~ s/(?<=[a-z])([A-Z])/_$1/r);
	my $bytes = encode_message("atomix.election.${rpc}Request",
		{ header => request_header(%header), %$fields });
	my $rows = $self->ask("SELECT encode(atomix.$function(" . hex_of($bytes) . "), 'hex')");

	return $rows if ref $rows eq 'HASH';

	# The response is its header, as field 1.
	my $response = pack('H*', $rows->[0]);
	my $inner = decode_message("atomix.election.${rpc}Response", $response);
	return read_header(encode_message('atomix.headers.ResponseHeader', $inner->{header}));
}

sub open_session
{
	my ($self, $seconds, %header) = @_;

	return $self->call('OpenSession', defined $seconds ? { timeout => { seconds => $seconds } } : {},
		%header);
}

# Renew, acknowledge up to "number" and go on with "streams".
sub keep_alive { my ($self, %header) = @_; return $self->call('KeepAlive', {}, %header); }

sub close_session { my ($self, %header) = @_; return $self->call('CloseSession', {}, %header); }

sub close_and_delete
{
	my ($self, %header) = @_;

	return $self->call('CloseSession', { delete => 1 }, %header);
}

sub read_message
{
	my ($header, $payload) = split /\|/, $_[0], 2;
	my $answer = read_header(pack('H*', $header));

	$answer->{payload} = pack('H*', $payload);
	return $answer;
}

# Apply bytes; "type" opens the service.
sub command
{
	my ($self, $payload, %header) = @_;
	my $type = delete $header{type};
	my $rows = $self->ask(
		"SELECT encode(header, 'hex'), encode(payload, 'hex') FROM atomix.session_command("
		  . hex_of(encode_message('atomix.headers.RequestHeader', request_header(%header))) . ', '
		  . hex_of($payload)
		  . (defined $type ? ", '$type'" : '')
		  . ')');

	return ref $rows eq 'HASH' ? $rows : read_message($rows->[0]);
}

# The messages of streams; where the call fails, its answer.
sub fetch
{
	my ($self, %header) = @_;
	my $rows = delete $header{rows} // 1000;
	my $found = $self->ask(
		"SELECT encode(header, 'hex'), encode(payload, 'hex') FROM atomix.session_fetch("
		  . hex_of(encode_message('atomix.headers.RequestHeader', request_header(%header)))
		  . ", $rows)");

	return ref $found eq 'HASH' ? $found : map { read_message($_) } @$found;
}

1;
