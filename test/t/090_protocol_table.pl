# docs/protocol.md has a row for each message, field and enum of the protocol's
# own pages, with a test that is there; the methods of the .proto files are those
# that can be called, and each of them answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";

# The schema, as protoc reads it: by file, what there is, with the values of an
# enum; and the methods.
my (%fields, @methods);

for my $line (split /\n/, scalar(run_python('schema')))
{
	my ($kind, $file, @rest) = split /\t/, $line;

	if ($kind eq 'rpc')
	{
		push @methods, [ @rest ];
		next;
	}
	# Operations of the services are described in words.
	next if $file =~ m{^atomix/multiraft/\w+/v1/};
	my $name = $rest[0];

	$name .= ".$rest[1]" if $kind eq 'field';
	push @{ $fields{$file}{$name} //= [] }, $kind eq 'value' ? "$rest[1] $rest[2]" : ();
}

sub run_python
{
	my ($stdout, $stderr) =
	  run_command([ '/usr/bin/python3', "$FindBin::RealBin/../python/google_messages.py", @_ ]);

	die $stderr if $stderr ne '';
	return $stdout;
}

cmp_ok(scalar(keys %fields), '==', 9, 'files of the pages and what they import');
cmp_ok(scalar(map { keys %$_ } values %fields), '>=', 170, 'their messages and fields');
cmp_ok(scalar(@methods), '>=', 9, 'methods');

#
# The tables.
#

my ($section) = slurp_file("$root/docs/protocol.md") =~ /^## Messages and fields\n(.*?)(?=^## |\z)/ms;
my %rows;

while ($section =~ /^### (\S+\.proto)\n(.*?)(?=^### |\z)/msg)
{
	my ($file, $table) = ($1, $2);
	my ($package) = slurp_file("$root/proto/$file") =~ /^package ([\w.]+);/m;

	while ($table =~ /^\| `([\w.]+)` \| (.+?) \| `(\S+)` \|$/mg)
	{
		my ($name, $what, $test) = ("$package.$1", $2, $3);

		ok(!$rows{$file}{$name}, "$name has one row") if $rows{$file}{$name};
		$rows{$file}{$name} = { what => $what, test => $test };
	}
	# Nothing that looks like a row is left unread.
	is(scalar(() = $table =~ /^\| `/mg), scalar(keys %{ $rows{$file} }), "every row of $file is read");
}

for my $file (sort keys %fields)
{
	is_deeply([ sort keys %{ $rows{$file} // {} } ], [ sort keys %{ $fields{$file} } ],
		"$file: a row for each message and field, and for no other");
}
is_deeply([ sort keys %rows ], [ sort keys %fields ], 'tables for these files');

for my $file (sort keys %rows)
{
	for my $name (sort keys %{ $rows{$file} })
	{
		my $row = $rows{$file}{$name};
		my @missing = grep { $row->{what} !~ /\b\Q$_\E\b/ } @{ $fields{$file}{$name} // [] };

		is("@missing", '', "$name: its values") if @{ $fields{$file}{$name} // [] };
		ok(-f "$root/$row->{test}", "$name: $row->{test} is there")
		  unless -f "$root/$row->{test}";
	}
}

#
# The methods.
#

my $node = new_node('table');
my %own = ('/atomix.election.' => '/atomix.session.');

# The first generation has a second name.
for my $method (grep { $_->[0] =~ m{^/atomix\.election\.} } @methods)
{
	push @methods, [ $method->[0] =~ s{^/atomix\.election\.}{/atomix.session.}r, @{$method}[ 1 .. 3 ] ];
}

is( $node->safe_psql('postgres', q{SELECT path, request, response,
		CASE WHEN server_streaming THEN 'stream' ELSE 'single' END
		FROM atomix.methods ORDER BY path COLLATE "C"}),
	join("\n", map { join('|', @$_) } sort { $a->[0] cmp $b->[0] } @methods),
	'the methods are those of the .proto files');

# A call with an empty request is answered by the response's message, or by the
# error that the function raises.
$node->safe_psql('postgres', q{
	SELECT atomix.close_session(atomix.open_session());
	CREATE FUNCTION answer(statement text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		result text;
	BEGIN
		EXECUTE statement INTO result;
		RETURN 'answer ' || coalesce(result, 'null');
	EXCEPTION WHEN OTHERS THEN
		RETURN 'error ' || sqlstate;
	END $$;
});
for my $method (@methods)
{
	my ($path, $request, $response) = @$method;
	my ($function) = $node->safe_psql('postgres', "SELECT function FROM atomix.methods WHERE path = '$path'");
	my $answer = "SELECT answer(\$\$SELECT jsonb_typeof(atomix.message_to_json('$response', c)) FROM";
	my $called = $node->safe_psql('postgres', "$answer atomix.call('$path', '') AS c\$\$)");

	is($called, $node->safe_psql('postgres', "$answer atomix.$function('') AS c\$\$)"),
		"$path answers as $function does");
	like($called, qr/^(answer object|error (02000|MX001|22023))$/, 'by its message or an announced error');
	is($node->safe_psql('postgres', "$answer atomix.call('$path', '\\xff') AS c\$\$)"),
		'error 22P03', 'and refuses what does not decode');
}

done_testing();
