# pg_upgrade, to the same version: what was there is there, nothing that ended
# comes back, and the new cluster begins a term with greater numbers than the
# old one ever gave out.  Our processes leave both clusters alone meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_state new_node open_session
  psql_sqlstate session_state);
use Cwd;
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_node('old', 'autovacuum = off', "atomix.tombstone_retention = '1 d'");

sub run
{
	my ($sql, $dbname) = @_;

	return $old->safe_psql($dbname // 'postgres', $sql);
}

# The numbers that the old cluster has given to anybody.
my @given;

sub give
{
	my ($sql, $dbname) = @_;

	push @given, run($sql, $dbname);
	return $given[-1];
}

run('CREATE DATABASE app');
run('CREATE EXTENSION atomix', 'app');
run('CREATE ROLE holder; GRANT USAGE ON SCHEMA atomix TO holder');

#
# What lives, and what has ended.
#

my ($ann, $bob, $eve, $late) = map { give("SELECT atomix.open_session('1 h', name => '$_')") } qw(ann bob eve late);
my $theirs = give("SET ROLE holder; SELECT atomix.open_session('1 h')");

my $token = give("SELECT token FROM atomix.lock_try($ann, 'kept')");
my $ticket = give("SELECT ticket FROM atomix.lock_acquire($bob, 'kept')");
give("SELECT token FROM atomix.lock_try($eve, 'closed')");
run("SELECT atomix.close_session($eve)");
give("SELECT token FROM atomix.lock_try($late, 'expired')");
run("SELECT atomix.keep_alive_many(ARRAY[$ann, $bob, $theirs])");
advance_clock($old, '50 min');
run("SELECT atomix.keep_alive_many(ARRAY[$ann, $bob, $theirs])");
advance_clock($old, '20 min');
await_state($old, $late, 'expired') or die 'nobody expires';
run("SELECT atomix.keep_alive_many(ARRAY[$ann, $bob, $theirs])");

my $other = give("SELECT atomix.open_session('1 h')", 'app');
my $other_token = give("SELECT token FROM atomix.lock_try($other, 'l')", 'app');
my $counted = run("SELECT atomix.counter_increment('c', 5, session_id => $ann, sequence_num => 1)");
my $map = run("SELECT atomix.create_service($ann, 'map', 'm')");
run("SELECT atomix.map_put_text('m', 'k', 'v'), atomix.map_put_text('m', 'brief', 'v', ttl => '10 h')");
run("SELECT atomix.command($ann, $map, '\\x42021001', 2)");
my $position = run("SELECT revision FROM atomix.listen_watch('m')");
give("SELECT index FROM atomix.map_put_text('m', 'k', 'w')");
my ($received) = run("SELECT output_num || ', ' || index FROM atomix.fetch_outputs($ann, 2)
	ORDER BY output_num DESC LIMIT 1");
run("CREATE TABLE guarded (n bigint); CREATE TRIGGER fence BEFORE INSERT ON guarded
	FOR EACH ROW EXECUTE FUNCTION atomix.fence('kept')");
my $version = run('SELECT max(version) FROM atomix.session_events()');
my $objects = "SELECT string_agg(o, E'\\n' ORDER BY o)
	FROM pg_depend, LATERAL (SELECT pg_describe_object(classid, objid, objsubid)) AS d (o)
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'atomix')";
my $had = run($objects);
my $config = "SELECT array_length(extconfig, 1), array_to_string(extcondition, ';')
	FROM pg_extension WHERE extname = 'atomix'";
my $configured = run($config);
$old->stop;

#
# The upgrade.
#

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', q{
shared_preload_libraries = 'atomix'
autovacuum = off
atomix.tombstone_retention = '1 d'
});

my $bindir = $old->config_data('--bindir');
my $here = getcwd();
my $work = PostgreSQL::Test::Utils::tempdir();

# It writes logs where it stands.
chdir $work or die "chdir: $!";
command_ok([ 'pg_upgrade', '--no-sync', '--retain', '-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $bindir, '-s', $new->host, '-p', $old->port, '-P', $new->port ],
	'pg_upgrade succeeds');
chdir $here or die "chdir: $!";
my @logs = glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_server.log');
is(scalar(@logs), 1, 'the servers it starts have a log');
unlike(slurp_file($logs[0]), qr/atomix (launcher|worker|serves)/, 'none of our processes is in it');

$new->start;
$new->poll_query_until('postgres', 'SELECT term = 2 FROM atomix.partitions') or die 'nobody takes over';
$new->poll_query_until('app', 'SELECT term = 2 FROM atomix.partitions') or die 'nobody takes over';
await_beat($new);
like(slurp_file($new->logfile), qr/last served under another identity/, 'it is another cluster');

sub after
{
	my ($sql, $dbname) = @_;

	return $new->safe_psql($dbname // 'postgres', $sql);
}

# What the extension is made of.
is(after($objects), $had, 'all objects are the extension\'s');
is(after($config), $configured, 'and are dumped as before');

# Who lives, and who does not.
is(after("SELECT string_agg(state || ' ' || (deadline - clock_timestamp() > '59 min'), ', ')
	FROM atomix.sessions WHERE session_id IN ($ann, $bob, $theirs)"),
	'opened true, opened true, opened true', 'sessions live, and have their timeouts');
is(after("SELECT atomix.keep_alive($ann)"), '01:00:00', 'and are renewed');
is(after("SET ROLE holder; SELECT atomix.keep_alive($theirs)"), '01:00:00', 'by their owners');
is(session_state($new, $eve), 'closed', 'who has closed stays closed');
is(session_state($new, $late), 'expired', 'who has expired stays expired');
is(psql_sqlstate($new, "SELECT atomix.keep_alive($eve)"), 'MX003', 'and is told so');
is(psql_sqlstate($new, "SELECT atomix.keep_alive($late)"), 'MX002', 'too');
is(after("SELECT string_agg(name || ' ' || session_id || ' ' || token, ', ') FROM atomix.locks
	WHERE token IS NOT NULL"), "kept $ann $token", 'a lock is held by whom it was, others are free');
is(after("BEGIN; SELECT atomix.assert_lock('kept', $token); INSERT INTO guarded VALUES (1); COMMIT"), '',
	'by its token, also for triggers');
is(psql_sqlstate($new, 'INSERT INTO guarded VALUES (2)'), 'MX006', 'which refuse others');
is(after("SELECT session_id, token FROM atomix.locks", 'app'), "$other|$other_token",
	'so it is in another database');

# State and commands.
is(after("SELECT atomix.counter_increment('c', 5, session_id => $ann, sequence_num => 1)"), $counted,
	'a repeated call gets its first answer');
is(after("SELECT atomix.counter_get('c')"), $counted, 'and has taken effect once');
is(after("SELECT string_agg(key || '=' || value, ' ' ORDER BY key) FROM atomix.map_entries_text('m')"),
	'brief=v k=w', 'entries are there');
is(after("SELECT atomix.map_get_text('m', 'k')"), 'w', 'and found');

# Positions.
is(psql_sqlstate($new, "SELECT atomix.watch('m', $position)"), 'MX007', 'a position is of another history');
is(psql_sqlstate($new, "SELECT atomix.fetch_outputs($ann, 2)"), 'MX007', 'so is a stream');
is(psql_sqlstate($new, "SELECT atomix.resume_stream($ann, 2, $received)"), 'MX007', 'which cannot be resumed');
cmp_ok(after("SELECT revision FROM atomix.listen_watch('m')"), '>', $position, 'revisions go on above');
after("SELECT atomix.close_session($theirs)");
ok($new->poll_query_until('postgres', "SELECT session_id = $theirs FROM atomix.session_events($version)
	ORDER BY version DESC LIMIT 1"), 'versions of sessions go on above');

# Numbers.
my @new = (
	open_session($new, '1 h'),
	after("SELECT token FROM atomix.lock_try($ann, 'closed')"),
	after("SELECT token FROM atomix.lock_try($ann, 'fresh')"),
	after("SELECT atomix.lock_release($ann, 'kept'); SELECT token FROM atomix.wait_ticket($bob, $ticket)")
	  =~ /(\d+)$/,
	after("SELECT index FROM atomix.map_put_text('m', 'fresh', 'v')"),
	open_session($new, '1 h', 'app'));
is(scalar(grep { $_ > max(@given) } @new), 6, 'ids, tokens and indexes are above all that were given out');
is(after('SELECT term FROM atomix.partition_events(1)'), "1\n2", 'each cluster has its term');

# What an upgrade must not leave behind.
is(after("SELECT count(*) FROM atomix.workers WHERE last_error IS NOT NULL"), 0, 'the workers work');
after("DROP EXTENSION atomix CASCADE", 'app');
is(after("CREATE EXTENSION atomix; SELECT count(*) FROM atomix.sessions", 'app'), 0,
	'the extension can be dropped and created anew');

$new->stop;
done_testing();
