# Messages in bytes and in JSON, as Google's implementation of protobuf has
# them: random messages of every type, in both directions, with fields that are
# not known, in either layout of KeepAliveInput, in other spellings, and
# documents with junk in them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node psql_sqlstate);
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{ATOMIX_TEST_SEED} // int(rand(1e9));
my $rounds = $ENV{ATOMIX_TEST_ROUNDS} // 6;
my $node = new_node('google');
my $scratch = PostgreSQL::Test::Utils::tempdir();

note "seed $seed";

# Google's side; returns what it prints.
sub google
{
	my ($arguments, $input) = @_;
	my ($out, $errors) = ('', '');

	IPC::Run::run([ '/usr/bin/python3', "$FindBin::RealBin/../python/google_messages.py", @$arguments ],
		'<', \($input // ''), '>', \$out, '2>', \$errors)
	  or die "google_messages.py: $errors";
	return $out;
}

sub run { return $node->safe_psql('postgres', $_[0]); }

my $cases = google([ 'cases', $seed, $rounds ]);
my ($types) = scalar(grep { /^message/ } split(/\n/, google(['schema'])));

append_to_file("$scratch/cases", $cases);
$node->safe_psql('postgres', qq{
	CREATE TABLE cases (id serial PRIMARY KEY, kind text, name text, bytes text, meaning text, document text);
	CREATE FUNCTION text_of(hex text) RETURNS text LANGUAGE sql AS
	  \$\$ SELECT convert_from(decode(hex, 'hex'), 'UTF8') \$\$;
	CREATE FUNCTION read(name text, document text, OUT state text, OUT bytes text) LANGUAGE plpgsql AS \$\$
	BEGIN
		bytes := encode(atomix.message_from_json(name, document::jsonb), 'hex');
		state := '00000';
	EXCEPTION WHEN OTHERS THEN
		state := sqlstate;
	END \$\$;
	\\copy cases (kind, name, bytes, meaning, document) FROM '$scratch/cases'
});
$node->safe_psql('postgres', q{
	CREATE TABLE written AS SELECT id, name, text_of(document)::jsonb AS expected,
	  atomix.message_to_json(name, decode(bytes, 'hex')) AS document,
	  encode(atomix._recode(name, decode(bytes, 'hex')), 'hex') AS recoded
	FROM cases WHERE kind = 'plain';
	CREATE TABLE read AS SELECT id, r.* FROM cases, read(name, text_of(document)) AS r;
});

# Of pairs of bytes of a type, those that do not mean the same.
sub differences
{
	my ($rows) = @_;

	return google(['compare'], run("COPY ($rows) TO STDOUT") . "\n");
}

is(run('SELECT count(DISTINCT name) FROM cases'), $types + 3, 'messages of every type, with seed ' . $seed);
cmp_ok(run("SELECT count(*) FROM cases WHERE kind = '$_'"), '>=', 100 * $rounds, "cases of kind $_")
  for qw(plain accept hostile);

#
# Bytes to JSON, and to bytes.
#

is(run('SELECT name, expected, document FROM written WHERE document IS DISTINCT FROM expected LIMIT 5'),
	'', 'messages in JSON are what Google makes of them');
is(differences('SELECT id, c.name, meaning, recoded FROM written JOIN cases c USING (id)'),
	'', 'messages recoded mean the same');

#
# JSON to bytes.
#

is(run("SELECT name, text_of(document), state FROM cases JOIN read USING (id)
	WHERE kind <> 'hostile' AND state <> '00000' LIMIT 5"),
	'', 'documents are understood in every spelling');
is(differences("SELECT id, name, meaning, r.bytes FROM cases JOIN read r USING (id) WHERE state = '00000' AND meaning <> '-'"),
	'', 'and mean what they mean to Google');

# Google's reader takes more than the mapping says: "1_000" and " 1" as
# numbers, base64 with other characters in it.
is(run("SELECT name, text_of(document) FROM cases JOIN read USING (id)
	WHERE meaning = '-' AND state = '00000' LIMIT 5"),
	'', 'what Google does not understand is refused');
is(run("SELECT DISTINCT state FROM read WHERE state <> '00000'"), '22P02', 'with one error');
cmp_ok(run("SELECT count(*) FILTER (WHERE state = '00000') FROM cases JOIN read USING (id) WHERE kind = 'hostile'"),
	'>', 0, 'some of the junk has a meaning');
cmp_ok(run("SELECT count(*) FILTER (WHERE meaning <> '-' AND state <> '00000') * 10 FROM cases JOIN read USING (id) WHERE kind = 'hostile'"),
	'<', run("SELECT count(*) FROM cases WHERE kind = 'hostile'"), 'and few of what Google takes is refused');

#
# Statuses as numbers: each generation has its own, and success is never what
# the other one calls unknown.
#

sub status_of
{
	my ($package, $call, $request) = @_;
	my $answer = run("SELECT '$package.${call}Response', encode(c, 'hex') FROM atomix.message_from_json(
			'$package.${call}Request', '$request') AS r,
		LATERAL atomix.call((SELECT path FROM atomix.methods
			WHERE request = '$package.${call}Request' ORDER BY path LIMIT 1), r) AS c");
	my ($status) = google(['show'], ($answer =~ s/\|/\t/r) . "\n") =~ /"status": (\d+)/;

	return $status;
}

my $v0 = 'atomix.election';
my $multiraft = 'atomix.multiraft.v1';
my $first = run("SELECT atomix.open_session()");
my $second = run("SELECT atomix.open_session()");
my $partition = '"headers": {"partitionId": 1}';

is(status_of($v0, 'OpenSession', '{}'), 0, 'first generation: OK is 0');
is(status_of($v0, 'KeepAlive', qq({"header": {"sessionId": $first}})), 0, 'of a keep-alive, too');
is(status_of($v0, 'CloseSession', qq({"header": {"sessionId": $first}})), 0, 'and of a close');
is(status_of($v0, 'KeepAlive', qq({"header": {"sessionId": $first}})), 1, 'whatever went wrong is ERROR, 1');
is(status_of($v0, 'OpenSession', '{"timeout": "0s"}'), 1, 'also in a request');
is(status_of($multiraft, 'OpenSession', "{$partition}"), 1, 'multiraft: OK is 1');
is(status_of($multiraft, 'KeepAlive', qq({$partition, "input": {"sessionId": $second}})), 1, 'of a keep-alive, too');
is(status_of($multiraft, 'CloseSession', qq({$partition, "input": {"sessionId": $second}})), 1, 'and of a close');
is(status_of($multiraft, 'KeepAlive', qq({$partition, "input": {"sessionId": $second}})), 4, 'NOT_FOUND is 4');
is(status_of($multiraft, 'OpenSession', '{}'), 9, 'INVALID is 9');

#
# Databases of other encodings: messages are UTF-8 there, too.
#

$node->safe_psql('postgres', qq{
	CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
	CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;});
for my $database (qw(latin ascii))
{
	$node->safe_psql($database, 'CREATE EXTENSION atomix');
}

sub name_in
{
	my ($database, $statement) = @_;

	return $node->safe_psql($database, "SET client_encoding = " . ($database eq 'latin' ? 'LATIN1' : 'SQL_ASCII') . "; $statement");
}

my $e = q(convert_from('\xe9', 'LATIN1'));

is(name_in('latin', "SELECT encode(atomix.message_from_json('atomix.primitive.Name', jsonb_build_object('name', $e)), 'hex')"),
	'0a02c3a9', 'a letter of LATIN1 goes out as UTF-8');
is(name_in('latin', "SELECT atomix.message_to_json('atomix.primitive.Name', '\\x0a02c3a9') ->> 'name' = $e"),
	't', 'and comes back');
is(psql_sqlstate($node, q(SELECT atomix.message_to_json('atomix.primitive.Name', '\x0a03e4b8ad')), 'latin'),
	'22P05', 'one that LATIN1 lacks does not');
is(name_in('ascii', q(SELECT encode(atomix.message_from_json('atomix.primitive.Name',
		jsonb_build_object('name', convert_from('\xc3a9', 'SQL_ASCII'))), 'hex'))),
	'0a02c3a9', 'bytes without an encoding are taken for UTF-8');
is(psql_sqlstate($node, q(SELECT atomix.message_from_json('atomix.primitive.Name',
		jsonb_build_object('name', convert_from('\xff', 'SQL_ASCII')))), 'ascii'),
	'22021', 'and refused if they are not');

done_testing();
