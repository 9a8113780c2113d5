# The term rises by one when the database is served under another identity -
# a copy, a clone, a promoted standby - and not otherwise; sessions live on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(protoc);
use AtomixTest qw(advance_clock await_beat await_rest await_state
  open_session psql_sqlstate session_state);
use Sys::Hostname;
use Test::More;

# The terms a database has had, with who led.
sub terms
{
	my ($server, $dbname) = @_;

	return $server->safe_psql($dbname // 'postgres',
		'SELECT term, leader FROM atomix.partition_term ORDER BY term');
}

# Wait until the present term is this, and is the one the view shows.
sub await_term
{
	my ($server, $term, $dbname) = @_;

	return $server->poll_query_until($dbname // 'postgres',
		'SELECT p.term, (p.leader, p.since) = (t.leader, t.since)
		 FROM atomix.partitions p JOIN atomix.partition_term t USING (partition_id, term)',
		"$term|t");
}

# The status in the response to a protocol call.
sub wire_status
{
	my ($server, $function, $message, $request) = @_;
	my $bytes = unpack('H*',
		protoc('encode', "atomix.multiraft.v1.${message}Request", 'batch.proto', $request));
	my $response = $server->safe_psql('postgres',
		"SELECT encode(atomix.partition_$function('\\x$bytes'), 'hex')");

	return protoc('decode', "atomix.multiraft.v1.${message}Response", 'batch.proto',
		pack('H*', $response)) =~ /status: (\w+)/ ? $1 : '';
}

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'atomix'
max_connections = 30");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION atomix');

#
# One identity, one term, whatever it was started as.
#

is(terms($node), '', 'no term before the first use');
my $id = open_session($node, '800 s');
is(terms($node), '1|primary', 'the first use begins the first term; cluster_name leads');
await_beat($node);
$node->restart;
await_beat($node);
$node->stop('immediate');
$node->start;
my $greatest = open_session($node, '800 s');
is(terms($node), '1|primary', 'a restart keeps it');

#
# A copy inside the server, led by the name that is set.
#

$node->append_conf('postgresql.conf', "atomix.leader_name = 'Ann''s server'");
$node->reload;
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
ok(await_term($node, 2, 'copy'), 'a copied database begins a term');
is(terms($node, 'copy'), "1|primary\n2|Ann's server",
	'led by atomix.leader_name if that is set');
is(session_state($node, $id, 'copy'), 'opened', 'the sessions are copied');
is($node->safe_psql('copy', "SELECT atomix.keep_alive($id)"), '00:13:20',
	'and live');
cmp_ok(open_session($node, '30 s', 'copy'), '>', $greatest, 'ids are greater');
is(terms($node), '1|primary', 'the original keeps its term');
$node->safe_psql('postgres', 'DROP DATABASE copy');
$node->adjust_conf('postgresql.conf', 'atomix.leader_name', "''");
$node->reload;

#
# Standbys.
#

my $closed = open_session($node, '800 s');
$node->safe_psql('postgres', "SELECT atomix.close_session($closed)");
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $late = open_session($node, '800 s');
await_beat($node);
$node->wait_for_catchup($standby);

is(session_state($standby, $id), 'opened', 'a standby shows the sessions');
is($standby->safe_psql('postgres', "SELECT deadline IS NULL, state
		FROM atomix.sessions WHERE session_id IN ($late, $closed) ORDER BY 1, 2"),
	"t|closed\nt|opened", 'without deadlines');
is($standby->safe_psql('postgres', 'SELECT term, leader FROM atomix.partitions'),
	'1|primary', 'and who leads');
for my $call ('open_session()', "keep_alive($id)", "close_session($id)",
	"end_session($id, 'test')", 'tick()')
{
	is(psql_sqlstate($standby, "SELECT atomix.$call"), '25006',
		"a standby refuses $call");
}
my $headers = 'headers { partition_id: 1 }';
is(wire_status($standby, 'open_session', 'OpenSession', "$headers input { }"),
	'UNAVAILABLE', 'the protocol call OpenSession is UNAVAILABLE there');
is(wire_status($standby, 'keep_alive', 'KeepAlive', "$headers input { session_id: $id }"),
	'UNAVAILABLE', 'so is KeepAlive');
is(wire_status($standby, 'close_session', 'CloseSession', "$headers input { session_id: $id }"),
	'UNAVAILABLE', 'so is CloseSession');

# The primary is lost.
$greatest = $late;
$node->stop('immediate');
$standby->promote;

ok(await_term($standby, 2), 'a promoted standby begins a term');
is(terms($standby), "1|primary\n2|standby", 'and leads it');
is($standby->safe_psql('postgres',
		"SELECT deadline - clock_timestamp() >= interval '800 s'
		 FROM atomix.sessions WHERE session_id = $late"),
	't', 'the timeout counts from the promotion');
is($standby->safe_psql('postgres', "SELECT atomix.keep_alive($id)"), '00:13:20',
	'sessions can be renewed');
is(psql_sqlstate($standby, "SELECT atomix.keep_alive($closed)"), 'MX003',
	'closed ones stay closed');
cmp_ok(open_session($standby, '30 s'), '>', $greatest, 'ids are greater');
await_beat($standby);
advance_clock($standby, '790 s');
await_rest($standby);
is($standby->safe_psql('postgres',
		"SELECT count(*) FROM atomix.sessions
		 WHERE session_id IN ($id, $late) AND state = 'opened'"),
	'2', 'sessions live for their timeout');
$standby->safe_psql('postgres', "SELECT atomix.keep_alive($id)");
advance_clock($standby, '120 s');
ok(await_state($standby, $late, 'expired'), 'one that is not renewed ends');
is(session_state($standby, $id), 'opened', 'one that is does not');
$standby->restart;
await_beat($standby);
is(terms($standby), "1|primary\n2|standby", 'a restart keeps the new term');

#
# A clone that was promoted at once; nobody has set a cluster_name for it.
#

my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($node, 'backup', has_restoring => 0);
$clone->set_standby_mode;
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-w', '-D', $clone->data_dir,
	'-l', $clone->logfile, 'start');
$clone->_update_pid(1);
$clone->promote;
ok(await_term($clone, 2), 'a clone begins a term');
like(terms($clone), qr/^1\|primary\n2\|\Q@{[hostname()]}\E:@{[$clone->port]}$/,
	'led by host and port if nothing else is set');
is(session_state($clone, $id), 'opened', 'the sessions are cloned');
cmp_ok(open_session($clone, '30 s'), '>', $closed, 'ids are greater');

$clone->stop;
$standby->stop;
done_testing();
