# Partitions on several servers: a name belongs to one of them by the hash of
# the protocol, and whoever asks the wrong server is told where to ask.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(decode_message encode_message);
use AtomixTest qw(await_worker new_node open_session psql_sqlstate query_error session_state);
use AtomixWire qw(counter_input);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('placed', 'atomix.worker_limit = 6');
await_worker($node, 'postgres');

sub sql
{
	my ($statement, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres', $statement);
}

# SQLSTATE, message and detail of the error of a statement.
sub complaint
{
	my ($statement, $dbname) = @_;
	my ($out, $err);

	$node->psql($dbname // 'postgres', "\\set VERBOSITY verbose\n$statement",
		stdout => \$out, stderr => \$err);
	return join ' | ', $err =~ /ERROR:  (\w{5}): (.*)/, $err =~ /DETAIL:  (.*)/;
}

#
# Without placement there is one partition, and it is here.
#

sql('SELECT atomix.close_session(atomix.open_session())');
is(sql("SELECT DISTINCT atomix.partition_of('', n::text) FROM generate_series(1, 100) AS n"), '1',
	'one partition has all names');
is(sql('SELECT partition_id, term, leader, location FROM atomix.partitions'), '1|1|placed|', 'and is here');
is(psql_sqlstate($node, "SELECT atomix.$_"), '22004', "$_ is refused")
  for "partition_of(NULL, 'x')", "partition_of('', NULL)", "place_partitions(NULL, '{}')",
  'place_partitions(1, NULL)', "place_partitions(1, '{a,NULL}')";
is(psql_sqlstate($node, "SELECT atomix.$_"), '22023', "$_ is refused")
  for "partition_of('', '')", "place_partitions(0, '{a,b}')", "place_partitions(3, '{a,b}')",
  "place_partitions(2, '{}')", "place_partitions(1, '{a,\"\"}')";
is(complaint('SELECT atomix.open_session(partition_id => 2)'), '22023 | partition 2 does not exist',
	'there is no other');

#
# Vectors of the hash: the protocol's for the empty namespace.  With 2^31 - 1
# partitions nobody could live, so hashes are read from several numbers.
#

my %vectors = (
	a => 0xe40c292c, foo => 0xa9f37ed7, counter => 0x9cacde23,
	'my-counter' => 0x2b7a548a, 'test-map' => 0x76bd918e);

sub fnv
{
	my ($bytes) = @_;
	my $hash = 0x811c9dc5;

	$hash = ($hash ^ ord $_) * 0x01000193 & 0xffffffff for split //, $bytes;
	return $hash;
}

is(fnv($_), $vectors{$_}, "vector $_") for sort keys %vectors;
for my $count (1, 2, 3, 7, 64, 1000)
{
	sql("SELECT atomix.place_partitions(1, array_agg('p' || n ORDER BY n))
		FROM generate_series(1, $count) AS n");
	is_deeply({ map { $_ => sql("SELECT atomix.partition_of('', '$_')") } keys %vectors },
		{ map { $_ => $vectors{$_} % $count + 1 } keys %vectors }, "$count partitions: names");
	is(sql("SELECT atomix.partition_of('shop', 'counter'), atomix.partition_of('sho', 'pcounter'),
			atomix.partition_of('Köln', 'Straße')"),
		join('|', map { fnv($_) % $count + 1 } "shop\0counter", "sho\0pcounter", "K\xc3\xb6ln\0Stra\xc3\x9fe"),
		"$count partitions: names in namespaces, in UTF-8");
}
is(sql('SELECT count(*), count(term) FROM atomix.partitions'), '1000|1', 'the view has all, of which one is here');

# Whatever the encoding of the database, clients come to the same.
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
sql('CREATE EXTENSION atomix', 'latin');
sql("SELECT atomix.place_partitions(1, array_agg('p' || n ORDER BY n)) FROM generate_series(1, 1000) AS n", 'latin');
is(sql("SET client_encoding = 'UTF8'; SELECT atomix.partition_of('Köln', 'Straße')", 'latin'),
	fnv("K\xc3\xb6ln\0Stra\xc3\x9fe") % 1000 + 1, 'a database in LATIN1 agrees');
is(psql_sqlstate($node, 'CREATE ROLE plain; GRANT USAGE ON SCHEMA atomix TO plain; SET ROLE plain;
	SELECT atomix.place_partitions(1, ARRAY[$$here$$])'), '42501', 'not everybody places partitions');

#
# This database is partition 2 of 3.
#

sql(q{SELECT atomix.place_partitions(2, ARRAY['host=a', 'host=b', 'host=c'])});
is(sql('SELECT partition_id, term, leader, location FROM atomix.partitions ORDER BY 1'),
	"1|||host=a\n2|1|placed|host=b\n3|||host=c", 'the view shows which is here and where the others are');
is(complaint('SELECT atomix.open_session()'), 'MX010 | partition 1 is elsewhere: host=a | host=a',
	'who asks for another is told where it is');
is(complaint('SELECT atomix.open_session(partition_id => 3)'),
	'MX010 | partition 3 is elsewhere: host=c | host=c', 'whichever it is');
is(complaint('SELECT atomix.open_session(partition_id => 4)'), '22023 | partition 4 does not exist',
	'unless there is none');
is(complaint('SELECT * FROM atomix.partition_events(1)'),
	'MX010 | partition 1 is elsewhere: host=a | host=a', 'also of its events');
is(sql('SELECT term, leader FROM atomix.partition_events(2)'), '1|placed', 'those of its own it has');
my $session = sql("SELECT atomix.open_session('10 min', partition_id => 2)");
is(sql("SELECT partition_id FROM atomix.sessions WHERE session_id = $session"), '2',
	'a session of the own partition');
is(sql("SELECT atomix.keep_alive($session)"), '00:10:00', 'is renewed');

# Every function that has a name: here if it is ours, else not.
my ($ours, $other) = map { my $wanted = $_; grep { fnv($_) % 3 + 1 == $wanted } map { "n$_" } 1 .. 50 } 2, 3;
($ours, $other) = map { my $wanted = $_; (grep { fnv($_) % 3 + 1 == $wanted } map { "n$_" } 1 .. 50)[0] } 2, 3;
my @calls = (
	"counter_get('%s')", "counter_set('%s', 1)", "counter_increment('%s')", "counter_decrement('%s')",
	"counter_compare_and_set('%s', 1, 1)", "watch('%s')", "listen_watch('%s')", "delete_service('%s')",
	"map_put('%s', 'k', 'v')", "map_get('%s', 'k')", "map_size('%s')", "map_entries('%s')",
	"map_clear('%s')", "map_remove('%s', 'k')", "delete_service('%s')",
	"lock_try($session, '%s')", "lock_acquire($session, '%s')", "lock_release($session, '%s')",
	"lock_cancel($session, '%s', 1)", "set_lock_delay('%s', '0')", "lock_force_release('%s', 1, 'test')",
	"lock_transfer('%s', 1, 1, 'test')", "delete_service('%s')",
	"hold('%s')", "delete_service('%s')",
	"semaphore_resize('%s', 2)", "semaphore_try($session, '%s')", "semaphore_acquire($session, '%s')",
	"semaphore_release($session, '%s')", "delete_service('%s')",
	"election_enter($session, '%s', 'c')", "election_leader('%s')", "election_promote('%s', 'c')",
	"election_demote('%s', 'c')", "election_anoint('%s', 'c')", "election_evict('%s', 'c')",
	"election_withdraw($session, '%s')", "assert_lock('%s', 1)", "assert_leader('%s', 1)");
my @wrong = map { my $call = sprintf $_, $ours; my $state = psql_sqlstate($node, "SELECT atomix.$call");
	$state eq 'MX010' ? "$call: $state" : () } @calls;
is_deeply(\@wrong, [], 'names of the own partition are served');
@wrong = map { my $call = sprintf $_, $other; my $said = complaint("SELECT atomix.$call");
	$said eq 'MX010 | partition 3 is elsewhere: host=c | host=c' ? () : "$call: $said" } @calls;
is_deeply(\@wrong, [], 'for names of others the place is told');
is(sql("SELECT count(*) FROM atomix.services WHERE name = '$other'"), 0, 'and nothing comes into being');
sql("SELECT atomix.delete_service('$ours'), atomix.counter_set('$ours', 5)");
is(sql("SELECT partition_id FROM atomix.services WHERE name = '$ours'"), '2', 'services are of the own partition');

#
# The protocol: the partition is named by the headers; names are the client's
# business, which spreads the keys of a map over services of one name.
#

my $client = AtomixWire->new($node->background_psql('postgres', on_error_stop => 0));
my $answer = $client->apply({ open_session => {} }, partition => 3);
is("$answer->{status} $answer->{message}", 'UNAVAILABLE partition 3 is elsewhere: host=c',
	'another partition is unavailable, and the message says where it is');
$answer = $client->apply({ open_session => {} }, partition => 5);
is($answer->{status}, 'INVALID', 'one that does not exist is invalid');
$answer = $client->apply({ open_session => {} }, partition => 2);
is($answer->{status}, 'OK', 'the own is there');
my $wire = $answer->{output}{open_session}{session_id};
$answer = $client->apply({ session_input => { session_id => $wire,
	create_service => { service => 'counter', name => $other } } }, partition => 2);
is($answer->{status}, 'OK', 'a service of any name can be opened in it');
my $request = encode_message('atomix.multiraft.v1.OpenSessionRequest',
	{ headers => { partition_id => 1 }, input => {} });
my $response = decode_message('atomix.multiraft.v1.OpenSessionResponse', pack 'H*',
	sql("SELECT encode(atomix.partition_open_session('\\x" . unpack('H*', $request) . "'), 'hex')"));
is($response->{headers}{message}, 'partition 1 is elsewhere: host=a', 'the service of partitions says so, too');

#
# Changes of the placement.
#

my $long = $node->background_psql('postgres', on_error_stop => 0);
like(query_error($long, 'SELECT atomix.open_session()'), qr/host=a/, 'a connection knows the placement');
is(complaint("SELECT atomix.place_partitions(2, ARRAY['host=a', 'host=b'])"),
	'55000 | partitions cannot be divided anew while there are services or sessions | '
	  . 'This database is partition 2 of 3.', 'partitions in use are not divided anew');
is(psql_sqlstate($node, "SELECT atomix.place_partitions(1, ARRAY['host=a', 'host=b', 'host=c'])"), '55000',
	'nor made others');
sql(q{SELECT atomix.place_partitions(2, ARRAY['host=d', 'host=e', 'host=c'])});
like(query_error($long, 'SELECT atomix.open_session()'), qr/host=d/,
	'they can be moved, and connections hear of it');
sql(q{BEGIN; SELECT atomix.place_partitions(2, ARRAY['host=x', 'host=y', 'host=z']); ROLLBACK});
like(query_error($long, 'SELECT atomix.open_session()'), qr/host=d/, 'a rollback moves nothing');

# A crash, a copy: the placement is part of the database.
$node->stop('immediate');
$node->start;
await_worker($node, 'postgres');
is(sql('SELECT count(*), count(term) FROM atomix.partitions'), '3|1', 'the placement survives a crash');
is(session_state($node, $session), 'opened', 'and so does the session');
my $term = sql('SELECT term FROM atomix.partitions WHERE term IS NOT NULL');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'dumped');
$node->safe_psql('template1', 'CREATE DATABASE moved');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'moved' ], 'and restored');
# The worker gives a restore a minute to go on; who uses the copy does not wait.
sql('SELECT atomix.tick()', 'moved');
is(sql('SELECT term FROM atomix.partitions WHERE term IS NOT NULL', 'moved'), $term + 1,
	'a copy begins a term');
is(sql('SELECT partition_id, location FROM atomix.partitions ORDER BY 1', 'moved'),
	"1|host=d\n2|host=e\n3|host=c", 'and is the same partition');
is(sql("SELECT atomix.counter_get('$ours')", 'moved'), '5', 'with what it holds');

$_->quit for $long, $client->psql;
$node->stop;
done_testing();
