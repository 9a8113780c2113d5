# The filter of a keep-alive: which numbers it contains, and what is malformed.
# Judged by published filters and by a second implementation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(contains document filter_of locations new_filter unsigned);
use AtomixTest qw(new_node psql_sqlstate);
use Test::More;

srand(20260102);

#
# The server, asked about many filters at once.
#

my $node = new_node('bloom');

$node->safe_psql('postgres', q{
	CREATE TABLE filters (id int PRIMARY KEY, filter bytea);
	CREATE TABLE numbers (number bigint);
	CREATE FUNCTION ask(filter bytea, number bigint) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		detail text;
	BEGIN
		RETURN atomix._filter_contains(filter, number);
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN SQLSTATE || ' ' || detail;
	END $$;
});

sub load_filters
{
	my @documents = @_;

	$node->safe_psql('postgres',
		"TRUNCATE filters;\nCOPY filters FROM stdin;\n"
		  . join('',
			map { "$_\t\\\\x" . unpack('H*', $documents[$_]) . "\n" }
			  0 .. $#documents)
		  . "\\.\n");
}

# For each document the numbers from 1 to "last" that its filter contains.
sub contained
{
	my ($last, @documents) = @_;

	load_filters(@documents);
	return split /\n/, $node->safe_psql('postgres', qq{
		SELECT id || ':' || coalesce(' ' ||
			(SELECT string_agg(n::text, ' ' ORDER BY n)
			 FROM generate_series(1, $last) n
			 WHERE atomix._filter_contains(filter, n)), '')
		FROM filters ORDER BY id});
}

# What is answered about one number, for each document.
sub answers
{
	my ($number, @documents) = @_;

	load_filters(@documents);
	return split /\n/, $node->safe_psql('postgres', qq{
		SET statement_timeout = '30s';
		SELECT ask(filter, $number) FROM filters ORDER BY id});
}

#
# Published filters: of 1 .. n, with the numbers up to 300 that they contain
# by accident.
#

my @published = (
	[ 1, 7, 'AAAAAAAAAAcAAAAAAAAAFQ==', '8 121 160 249 253 290' ],
	[ 2, 13, 'AAAAAAAAAA0AAAAAAAAZFA==', '168 254 280' ],
	[ 3, 19, 'AAAAAAAAABMAAAAAAAYgtQ==', '224' ],
	[ 5, 32, 'AAAAAAAAACAAAAAApZLi-A==',
		'14 26 43 63 73 92 108 123 143 191 258 272' ],
	[ 8, 50, 'AAAAAAAAADIAAjQ_cat4Tw==' ],
	[ 10, 63, 'AAAAAAAAAD9Wo9Km_1XHSQ==' ],
	[ 11, 69, 'AAAAAAAAAEVL-8We9RwV0wAAAAAAAAAG',
		'17 21 37 47 53 83 92 114 177 179 203 246 269' ]);

{
	my @documents = map { qq({"m":$_->[1],"k":5,"b":"$_->[2]"}) } @published;
	my @found = contained(300, @documents);

	for my $i (0 .. $#published)
	{
		my ($n, $m, $b, $accidents) = @{ $published[$i] };
		my $filter = filter_of(1 .. $n);

		is(document($filter), $documents[$i], "n = $n: filter rebuilt");
		$accidents //= join(' ', grep { contains($filter, $_) } $n + 1 .. 300);
		is($found[$i], join(' ', "$i:", 1 .. $n, $accidents ? $accidents : ()),
			"n = $n: contains its numbers and the known accidents");
	}
}

is(join(' ', map { sprintf '%016x', $_ } locations(1, 5)),
	'5752fae69d1653da 29767b311e458643 a89b1a09542a05b4'
	  . ' cb1627ff70aff665 0fad4b662fb15fee',
	'published positions of 1');
is(join(' ', map { sprintf '%016x', $_ } locations(42, 5)),
	'77accc464065739a ad71ba7a6b08a1a3 53b172797e58e4b2'
	  . ' 27441e43fa5496e6 acc86aca7e17b0ae',
	'published positions of 42');

{
	# The last number is 2^64 - 1 in the protocol and -1 as a bigint.
	my @single = (
		[ '{7}', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAcA=="}', 7 ],
		[ '{42}', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAANg=="}', 42 ],
		[ '{1, 1000000007}',
			'{"m":13,"k":5,"b":"AAAAAAAAAA0AAAAAAAAZlg=="}', 1, 1000000007 ],
		[ '{2^64 - 1}', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAALA=="}', -1 ]);

	for my $case (@single)
	{
		my ($name, $document, @numbers) = @$case;

		is(document(filter_of(map { unsigned($_) } @numbers)),
			$document, "$name: filter rebuilt");
		is((answers($_, $document))[0], 'true', "$name contains $_")
		  for @numbers;
	}
	is((answers(1, $single[0][1]))[0], 'false', '{7} does not contain 1');
}

#
# Random filters.
#

{
	my (@filters, @expected);

	for my $i (0 .. 299)
	{
		my $n = 1 + int(rand(60));
		my @numbers = map { 1 + int(rand(400)) } 1 .. $n;
		my $filter = $i % 3
		  ? filter_of(@numbers)
		  : new_filter(1 + int(rand(600)), 1 + int(rand(20)), @numbers);

		push @filters, $filter;
		push @expected,
		  join(' ', "$i:", grep { contains($filter, $_) } 1 .. 400);
	}
	is_deeply([ contained(400, map { document($_) } @filters) ],
		\@expected, 'random filters contain what they should');
}

{
	my @numbers = map { int(rand(2**31)) * 2**31 + int(rand(2**31)) } 1 .. 2000;
	my $document = document(filter_of(@numbers));

	load_filters($document);
	is(
		$node->safe_psql('postgres',
			"COPY numbers FROM stdin;\n"
			  . join('', map { "$_\n" } @numbers)
			  . "\\.\nSELECT count(*) FROM filters, numbers"
			  . ' WHERE atomix._filter_contains(filter, number)'),
		scalar(@numbers),
		'a large filter contains large numbers');
}

#
# Unusual but well-formed documents.
#

my $b = 'AAAAAAAAAAcAAAAAAAAAFQ==';	# {1}, m = 7
my $all = 'AAAAAAAAAAEAAAAAAAAAAQ==';	# one bit, set
my $none = 'AAAAAAAAAAA=';				# no bits

for my $case (
	[ 'empty filter', qq({"m":1,"k":9223372036854775808,"b":"$none"}), 'false' ],
	[ 'empty filter, other k', qq({"m":1,"k":1,"b":"$none"}), 'false' ],
	[ 'all bits set, endless k', qq({"m":1,"k":18446744073709551615,"b":"$all"}), 'true' ],
	[ 'k = 0 contains everything', qq({"m":7,"k":0,"b":"$b"}), 'true' ],
	[ 'no fields contain everything', '{}', 'true' ],
	[ 'nor do other fields', '{"x":[],"mm":7}', 'true' ],
	[ 'white space', qq( {\n"m" : 7,\t"k" : 5, "b" : "$b"\r}\n), 'true' ],
	[ 'other order', qq({"b":"$b","k":5,"m":7}), 'true' ],
	[ 'upper case', qq({"M":7,"K":5,"B":"$b"}), 'true' ],
	[ 'equal keys, last wins', qq({"m":9,"k":1,"b":"","K":5,"m":7,"B":"$b"}), 'true' ],
	[ 'unknown fields', qq({"x":[{"m":0,"b":null}],"m":7,"y":{"k":[]},"k":5,"b":"$b","mm":"k"}), 'true' ],
	[ 'escapes', qq({"\\u006d":7,"k":5,"b":"\\u0041AAAAAAAAAcAAAAAAAAAFQ=="}), 'true' ],
	[ 'bytes after the last word', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAFf8="}', 'true' ],
	[ 'words after the last word', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAFf__________"}', 'true' ])
{
	my ($name, $document, $answer) = @$case;
	is((answers(1, $document))[0], $answer, $name);
}

#
# Malformed documents.
#

my $rest = qq("k":5,"b":"$b"});
my @malformed = (
	[ 'nothing', '', 'JSON' ],
	[ 'null', 'null', 'not a JSON object' ],
	[ 'array', '[7]', 'not a JSON object' ],
	[ 'number', '7', 'not a JSON object' ],
	[ 'string', '"m"', 'not a JSON object' ],
	[ 'no b', '{"m":7,"k":5}', 'b is missing' ],
	[ 'b is null', '{"m":7,"k":5,"b":null}', 'b is not a string' ],
	[ 'b is a number', '{"m":7,"k":5,"b":7}', 'b is not a string' ],
	[ 'b is an object', '{"m":7,"k":5,"b":{}}', 'object or an array' ],
	[ 'b became an array', qq({"m":7,"k":5,"b":"$b","b":[]}), 'object or an array' ],
	[ 'no m', "{$rest", 'm or k is missing' ],
	[ 'no k', qq({"m":7,"b":"$b"}), 'm or k is missing' ],
	[ 'm is zero', qq({"m":0,"k":5,"b":"$none"}), 'm is zero' ],
	[ 'm and k are zero', qq({"m":0,"k":0,"b":"$none"}), 'm is zero' ],
	[ 'm is a string', qq({"m":"7",$rest), 'not a number' ],
	[ 'm is true', qq({"m":true,$rest), 'not a number' ],
	[ 'm is null', qq({"m":null,$rest), 'not a number' ],
	[ 'm is negative', qq({"m":-7,$rest), 'unsigned' ],
	[ 'm is a fraction', qq({"m":7.0,$rest), 'unsigned' ],
	[ 'm has an exponent', qq({"m":7e0,$rest), 'unsigned' ],
	[ 'm is 2^64', qq({"m":18446744073709551616,$rest), 'unsigned' ],
	[ 'm is huge', qq({"m":99999999999999999999999,$rest), 'unsigned' ],
	[ 'm has a leading zero', qq({"m":07,$rest), 'JSON' ],
	[ 'k is negative', qq({"m":7,"k":-1,"b":"$b"}), 'unsigned' ],
	[ 'k is an array', qq({"m":7,"k":[5],"b":"$b"}), 'object or an array' ],
	[ 'text after the document', qq({"m":7,$rest x), 'JSON' ],
	[ 'second document', qq({"m":7,$rest\{}), 'JSON' ],
	[ 'NUL after the document', qq({"m":7,$rest\0), 'UTF-8' ],
	[ 'not UTF-8', qq({"m":7,"\xff":1,$rest), 'UTF-8' ],
	[ 'cut short', qq({"m":7,"k":5,"b":"$b"), 'JSON' ],
	[ 'cut in a string', '{"m":7,"k":5,"b":"AAAA', 'JSON' ],
	[ 'no length', '{"m":7,"k":5,"b":""}', 'no bit length' ],
	[ 'half a length', '{"m":7,"k":5,"b":"AAAAAAA="}', 'no bit length' ],
	[ 'no padding', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAAAAAAFQ"}', 'base64' ],
	[ 'padding inside', '{"m":7,"k":5,"b":"AAAA==AAAAcAAAAAAAAAFQ=="}', 'base64' ],
	[ 'only padding', '{"m":7,"k":5,"b":"===="}', 'base64' ],
	[ 'standard alphabet', '{"m":32,"k":5,"b":"AAAAAAAAACAAAAAApZLi+A=="}', 'base64' ],
	[ 'line break in b', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAA\nAAAFQ=="}', 'base64' ],
	[ 'fewer bits than m', qq({"m":8,"k":5,"b":"$b"}), 'differs from m' ],
	[ 'more bits than m', qq({"m":6,"k":5,"b":"$b"}), 'differs from m' ],
	[ 'no bits for m', qq({"m":7,"k":5,"b":"$none"}), 'differs from m' ],
	[ 'no words', '{"m":7,"k":5,"b":"AAAAAAAAAAc="}', 'fewer bits' ],
	[ 'half a word', '{"m":7,"k":5,"b":"AAAAAAAAAAcAAAAA"}', 'fewer bits' ],
	[ 'one word of two', '{"m":69,"k":5,"b":"AAAAAAAAAEVL-8We9RwV0w=="}', 'fewer bits' ],
	[ 'length near 2^64', '{"m":18446744073709551615,"k":5,"b":"__________8AAAAAAAAAFQ=="}', 'fewer bits' ],
	[ 'very deep', '{"x":' . '[' x 50_000, 'brackets' ],
	[ 'very deep and closed', '[' x 20_000 . ']' x 20_000, 'brackets' ]);

{
	my @answers = answers(1, map { $_->[1] } @malformed);

	for my $i (0 .. $#malformed)
	{
		like($answers[$i], qr/^22P03 The filter is malformed: .*\Q$malformed[$i][2]\E/,
			$malformed[$i][0]);
	}
}

{
	my $document = document(filter_of(1 .. 11));
	my @cut = answers(1, map { substr($document, 0, $_) } 0 .. length($document) - 1);

	is(scalar(grep { /^22P03 / } @cut), length($document),
		'no filter cut short is accepted');
}

is(psql_sqlstate($node, 'SELECT atomix._filter_contains(NULL, 1)'),
	'22004', 'no filter');
is(psql_sqlstate($node, q{SELECT atomix._filter_contains('{}', NULL)}),
	'22004', 'no number');

# In another encoding escapes could name characters that do not exist there.
$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0
	ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
$node->safe_psql('latin', 'CREATE EXTENSION atomix');
is(
	psql_sqlstate($node,
		q{SELECT atomix._filter_contains('{"x":"\\\\u4e2d","m":7}', 1)}, 'latin'),
	'22P03', 'escapes in a database of another encoding');
is(
	$node->safe_psql('latin',
		qq{SELECT atomix._filter_contains('{"m":7,"k":5,"b":"$b"}', 1)}),
	't', 'a filter in a database of another encoding');

$node->stop;
done_testing();
