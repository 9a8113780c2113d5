# A dump carries the index, the terms, the clocks and the services with their
# entries, but no session and nothing of its commands; restored anywhere, also
# beside a running worker, it goes on with greater ids in the next term.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state new_node
  open_session psql_sqlstate session_state);
use Test::More;

my $node = new_node('dump', 'max_connections = 30', 'atomix.worker_limit = 6',
	'max_worker_processes = 16');
my $dir = PostgreSQL::Test::Utils::tempdir();

# What the services hold: values, keys, and minutes left to live, which
# _advance_clock of this server does not change in another.
sub contents
{
	my ($server, $dbname) = @_;

	return $server->safe_psql($dbname, q{
		SELECT type, namespace, name, CASE type WHEN 'counter'
			THEN atomix.counter_get(name, namespace)
			ELSE atomix.map_size(name, namespace) END
		FROM atomix.services ORDER BY 2, 3}) . "\n"
	  . $server->safe_psql($dbname, q{
		SELECT key, value, round(extract(epoch FROM expires_at - clock_timestamp()) / 600) * 10
		FROM atomix.map_entries_text('prices', namespace => 'shop')}) . "\n"
	  . $server->safe_psql($dbname, q{
		SELECT namespace, is_prefix, role, privileges FROM atomix.namespace_grants
		UNION ALL
		SELECT namespace, NULL, name, value::text FROM atomix.limits WHERE name = 'entries' AND namespace = 'shop'
		ORDER BY 3});
}

# Dump a database of the node to a file.
sub dump_to
{
	my ($file, @options) = @_;

	$node->command_ok(
		[ 'pg_dump', '--no-sync', '-f', "$dir/$file", @options ],
		"pg_dump @options");
	return "$dir/$file";
}

sub privileges
{
	my ($server, $dbname) = @_;

	return $server->safe_psql($dbname, q{
		SELECT relname, relacl FROM pg_class
		WHERE relnamespace = 'atomix'::regnamespace AND relkind <> 'i'
		UNION ALL
		SELECT proname, proacl FROM pg_proc
		WHERE pronamespace = 'atomix'::regnamespace
		UNION ALL
		SELECT nspname, nspacl FROM pg_namespace WHERE nspname = 'atomix'
		ORDER BY 1});
}

sub clone
{
	my ($server, $name) = @_;

	$server->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	return;
}

# Nothing came along but what is to go on; the next id is greater and the term
# one higher.
sub check_restored
{
	my ($server, $name, $what, $greatest, $term) = @_;

	is($server->safe_psql($name, 'SELECT count(*) FROM atomix.session'), '0',
		"$what: no session came along");
	is($server->safe_psql($name, 'SELECT count(*) FROM atomix.lease'), '0',
		"$what: nor did a lease");
	is($server->safe_psql($name,
			'SELECT (SELECT count(*) FROM atomix.command),
				(SELECT count(*) FROM atomix.attachment)'),
		'0|0', "$what: nor a command or who has which service open");
	my $id = open_session($server, '30 s', $name);
	cmp_ok($id, '>', $greatest, "$what: the next index is greater than any before");
	is($server->safe_psql($name,
			'SELECT partition_id, term, leader FROM atomix.partitions'),
		"1|$term|" . $server->name, "$what: the partition is there, one term on");
	is($server->safe_psql($name,
			'SELECT string_agg(term::text, \',\' ORDER BY term) FROM atomix.partition_term'),
		join(',', 1 .. $term), "$what: and its earlier terms");
	is($server->safe_psql($name, 'SELECT count(*) FROM atomix.clock_epoch'), '1',
		"$what: and the clock");
	await_beat($server, $name);
	is($server->safe_psql($name,
			"SELECT state FROM atomix.workers WHERE database = '$name'"),
		'running', "$what: it is served");
	return $id;
}

#
# A dump of an extension that was never used.
#

my $unused = dump_to('unused.sql', 'postgres');
clone($node, 'unused');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $unused, 'unused' ],
	'a dump of the unused extension is restored');
like(open_session($node, '30 s', 'unused'), qr/^\d{14,16}$/, 'and used');
is($node->safe_psql('unused', 'SELECT term FROM atomix.partitions'), '1',
	'in the first term');
$node->safe_psql('postgres', 'DROP DATABASE unused');

#
# A dump with live and ended sessions.
#

my $live = open_session($node, '800 s');
my $closed = open_session($node, '800 s');
my $expired = open_session($node, '1 s');
await_beat($node);
$node->safe_psql('postgres', "SELECT atomix.close_session($closed)");
advance_clock($node, '2 s');
await_state($node, $expired, 'expired');
my $service = $node->safe_psql('postgres', qq{
	SELECT atomix.create_service($live, 'counter', 'orders')});
$node->safe_psql('postgres', qq{
	SELECT atomix.command($live, $service, '\\x22020807', 1);
	SELECT atomix.map_put_text('prices', 'apple', '1.20', namespace => 'shop');
	SELECT atomix.map_put_text('prices', 'plum', '2.40', '50 min', namespace => 'shop');
	SELECT atomix.map_put_text('prices', 'cherry', '9.90', '5 min', namespace => 'shop');
	CREATE ROLE shopper;
	SELECT atomix.grant_namespace('sh', 'shopper', 'write', true);
	SELECT atomix.set_limit('entries', 100, 'shop')});
my $beat = $node->safe_psql('postgres', 'SELECT last_beat FROM atomix.authority');
advance_clock($node, '10 min');
$node->poll_query_until('postgres',
	"SELECT last_beat - $beat >= 600 * 1000000::bigint FROM atomix.authority")
  or die 'the clock was not moved';
my $contents = join("\n", 'counter||orders|7', 'map|shop|prices|2', 'apple|1.20|', 'plum|2.40|40',
	'shop||entries|100', 'sh|t|shopper|write');
is(contents($node, 'postgres'), $contents, 'what the services hold');
my $index = $node->safe_psql('postgres',
	"SELECT index FROM atomix.map_get('prices', 'plum', 'shop')");
my $greatest = $node->safe_psql('postgres', 'SELECT last_value FROM atomix.index_seq');

my $plain = dump_to('plain.sql', 'postgres');
my $custom = dump_to('custom.dump', '-Fc', 'postgres');
my $clean = dump_to('clean.sql', '--clean', '--if-exists', 'postgres');

unlike(PostgreSQL::Test::Utils::slurp_file($plain), qr/COPY atomix\.(session|lease|command|attachment) /,
	'the dump has no session');

clone($node, 'plain');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $plain, 'plain' ],
	'restored by psql');
check_restored($node, 'plain', 'psql', $greatest, 2);
is(contents($node, 'plain'), $contents, 'services hold what they held');
is($node->safe_psql('plain', "SELECT index FROM atomix.map_get('prices', 'plum', 'shop')"),
	$index, 'also the indexes of their entries');
is($node->safe_psql('plain', "SELECT atomix.counter_increment('orders')"), '8',
	'and go on');
is($node->safe_psql('plain', "SELECT index > $greatest FROM
		atomix.map_put_text('prices', 'plum', '2.60', '40 min', $index, 'shop')"),
	't', 'with greater indexes');
is(psql_sqlstate($node, "SELECT atomix.command($live, $service, '', 1)", 'plain'),
	'MX001', 'the session is unknown there');
is(privileges($node, 'plain'), privileges($node, 'postgres'),
	'privileges are as in a fresh installation');

clone($node, 'custom');
$node->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', 'custom', $custom ],
	'restored by pg_restore, in parallel');
my $id = check_restored($node, 'custom', 'pg_restore', $greatest, 2);
is(contents($node, 'custom'), $contents, 'pg_restore: services hold what they held');

is(session_state($node, $live), 'opened', 'what was dumped goes on');
is($node->safe_psql('postgres', 'SELECT term FROM atomix.partitions'), '1',
	'in its term');

# The copy of a copy.
my $second = dump_to('second.sql', 'custom');
clone($node, 'second');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $second, 'second' ],
	'a dump of what was restored is restored');
check_restored($node, 'second', 'second', $id, 3);
is(contents($node, 'second'), $contents, 'second: services hold what they held');
$node->safe_psql('postgres', "DROP DATABASE $_") for 'plain', 'custom', 'second';

# Over what is there: the extension is dropped and made anew.
$id = open_session($node, '800 s');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $clean, 'postgres' ],
	'restored over what was there');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"), 'MX001',
	'sessions from before the restore are gone');
check_restored($node, 'postgres', 'over', $id, 2);
is(contents($node, 'postgres'), $contents, 'over: services hold what they held');

#
# The worker looks again and again while the restore is under way, in the
# order that is worst for it.
#

# The parts of the plain dump: each COPY and setval of ours.
my $text = PostgreSQL::Test::Utils::slurp_file($plain);
my @parts = $text =~ /^(COPY atomix\.\w+ .*?^\\\.$|SELECT pg_catalog\.setval\(.*?;$)/msg;
is(scalar(@parts), 11, 'the dump has ten tables and the sequence');

for my $n (0 .. $#parts)
{
	my @order = (@parts[ $n .. $#parts ], @parts[ 0 .. $n - 1 ]);
	my $name = "part$n";

	clone($node, $name);
	$node->safe_psql($name, 'CREATE EXTENSION atomix');
	for my $part (@order)
	{
		await_rest($node, $name);
		$node->safe_psql($name, "$part\n");
	}
	await_rest($node, $name);
	$id = open_session($node, '30 s', $name);
	cmp_ok($id, '>', $greatest, "in order $n: restored beside the worker");
	is($node->safe_psql($name, 'SELECT term FROM atomix.partitions'), '2',
		"in order $n: the term is one higher");
	is(contents($node, $name), $contents, "in order $n: services hold what they held");
	$node->safe_psql('postgres', "DROP DATABASE $name");
}

#
# Another server.
#

my $other = new_node('other');
# There the role has another number, and that of ours is another's.
$other->safe_psql('postgres', 'DROP EXTENSION atomix; DROP SCHEMA atomix;
	CREATE ROLE one; CREATE ROLE two; CREATE ROLE shopper');
$other->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', 'postgres', $custom ],
	'restored into another server');
check_restored($other, 'postgres', 'other server', $greatest, 2);

#
# Another machine: its clock says nothing of ours, so entries keep what they
# had left at the last beat before the dump.
#

my $boot = $node->safe_psql('postgres',
	'SELECT boot_id FROM atomix.clock_epoch ORDER BY epoch DESC LIMIT 1');
$text =~ s/\Q$boot\E/another-boot/g or die 'no clock in the dump';
PostgreSQL::Test::Utils::append_to_file("$dir/moved.sql", $text);
clone($other, 'moved');
$other->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/moved.sql", 'moved' ],
	'restored on another machine');
$id = open_session($other, '30 s', 'moved');
cmp_ok($id, '>', $greatest, 'other machine: the next index is greater');
is(contents($other, 'moved'), $contents, 'other machine: services hold what they held');
is($other->safe_psql('moved', 'SELECT count(*) FROM atomix.clock_epoch'), '2',
	'by a clock of its own');

$node->stop;
$other->stop;
done_testing();
