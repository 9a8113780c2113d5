# Copies of a database that begin a life of their own: a clone from a base
# backup, a restore to an earlier time, a copy within the server.  None hands
# out a number that the original may have handed out, also after the copy was
# made; a new identity begins a term; and after_restore() makes an end of the
# sessions and locks of another time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_beat await_state keep_alive_place open_session
  psql_sqlstate query_error session_state);
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use Test::More;

my $original = PostgreSQL::Test::Cluster->new('original');
$original->init(allows_streaming => 1, has_archiving => 1);
$original->append_conf('postgresql.conf', q{
shared_preload_libraries = 'atomix'
autovacuum = off
max_connections = 30
atomix.worker_limit = 6
});
$original->start;
$original->safe_psql('postgres', 'CREATE EXTENSION atomix');

sub on
{
	my ($server, $sql, $dbname) = @_;

	return $server->safe_psql($dbname // 'postgres', $sql);
}

# The numbers that the original has given to anybody.
my @given;
my $bob;

sub give
{
	my ($sql) = @_;

	push @given, on($original, $sql);
	return $given[-1];
}

sub term
{
	my ($server, $dbname) = @_;

	return on($server, 'SELECT term, leader FROM atomix.partitions', $dbname);
}

sub await_term
{
	my ($server, $term, $dbname) = @_;

	return $server->poll_query_until($dbname // 'postgres', 'SELECT term FROM atomix.partitions', $term);
}

# Whoever has the lock, and by which token.
sub holder
{
	my ($server, $dbname) = @_;

	return on($server, "SELECT session_id, token FROM atomix.locks
		WHERE name = 'l' AND token IS NOT NULL", $dbname);
}

# Number and index of the last output that bob can receive.
sub received
{
	return on($original, "SELECT output_num || ', ' || index FROM atomix.fetch_outputs($bob, 1)
		ORDER BY output_num DESC LIMIT 1");
}

# A new session's id and a token for it are above all that the original gave.
sub check_numbers
{
	my ($server, $what, $dbname) = @_;
	my $session = open_session($server, '800 s', $dbname);
	my $token = on($server, "SELECT token FROM atomix.lock_try($session, 'fresh')", $dbname);

	cmp_ok($session, '>', max(@given), "$what: ids are above those of the original");
	cmp_ok($token, '>', max(@given, $session), "$what: and so are tokens");
	on($server, "SELECT atomix.close_session($session)", $dbname);
	return;
}

#
# The original, and its life after the copies.
#

my $ann = give("SELECT atomix.open_session('800 s', 'ann')");
$bob = give("SELECT atomix.open_session('800 s', 'bob')");
my $token = give("SELECT token FROM atomix.lock_try($ann, 'l')");
my $ticket = give("SELECT ticket FROM atomix.lock_acquire($bob, 'l')");
on($original, "SELECT atomix.counter_increment('c', session_id => $ann, sequence_num => 1)");
on($original, "SELECT o.status FROM atomix.create_service($bob, 'counter', 'c') AS id,
	atomix.command($bob, id, '\\x4200', 1) AS o");
on($original, "SELECT atomix.counter_increment('c')");
my $received = received();
my $position = on($original, "SELECT revision FROM atomix.services WHERE name = 'c'");
await_beat($original);
$original->backup('backup');
on($original, "SELECT pg_create_restore_point('earlier')");
on($original, "SELECT atomix.counter_increment('c')");
my $received_later = received();

on($original, "SELECT atomix.close_session($ann), atomix.close_session($bob)");
my $eve = give("SELECT atomix.open_session('800 s', 'eve')");
give("SELECT token FROM atomix.lock_try($eve, 'l')");
on($original, 'SELECT pg_switch_wal()');
# Each start jumps, further than the clock goes on meanwhile.
for (1 .. 3)
{
	await_beat($original);
	$original->restart;
	give("SELECT atomix.open_session('800 s')");
	give("SELECT token FROM atomix.lock_try($eve, 'l$_')");
}
is(term($original), '1|original', 'the original keeps its term');

#
# A restore to an earlier time.
#

my $earlier = PostgreSQL::Test::Cluster->new('earlier');
$earlier->init_from_backup($original, 'backup', has_restoring => 1, standby => 0);
$earlier->append_conf('postgresql.conf', "recovery_target_name = 'earlier'
recovery_target_action = 'promote'
archive_mode = off
");
$earlier->start;
ok(await_term($earlier, 2), 'restore: another time line is another term');
is(term($earlier), '2|earlier', 'restore: and another leader');
check_numbers($earlier, 'restore');
is(holder($earlier), "$ann|$token", 'restore: what had not ended by then is as it was');
is(session_state($earlier, $eve), '', 'restore: what came later is not known');
is(psql_sqlstate($earlier, "SELECT atomix.watch('c', $position)"), 'MX007',
	'restore: positions are of another history');
is(psql_sqlstate($earlier, "SELECT atomix.fetch_outputs($bob, 1)"), 'MX007',
	'restore: streams do not go on by themselves');
is(psql_sqlstate($earlier, "SELECT atomix.resume_stream($bob, 1, $received_later)"), 'MX007',
	'restore: nor for who has received what came later');
is(psql_sqlstate($earlier, "SELECT atomix.resume_stream($bob, 1, $received)"), '00000',
	'restore: but for who has not');
is(on($earlier, 'SELECT atomix.after_restore()'), 2, 'after_restore() ends the sessions');
ok(await_state($earlier, $_, 'closed'), 'restore: none is left') for $ann, $bob;
is(holder($earlier), '', 'restore: nor does a lock');
is(term($earlier), '3|earlier', 'and begins a term');
check_numbers($earlier, 'after_restore()');
$earlier->stop;

#
# A clone that does not know that it is one.
#

my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($original, 'backup');
$clone->append_conf('postgresql.conf', "archive_mode = off");
$clone->start;
await_beat($clone);
is(term($clone), '1|original', 'clone: its identity is that of the original');
is(holder($clone), "$ann|$token", 'clone: a lock is held as it was');
is(on($clone, "SELECT atomix.keep_alive($bob)"), '00:13:20', 'clone: sessions can be renewed');

# What after_restore() is refused for.
is(psql_sqlstate($clone, 'BEGIN; SELECT atomix.after_restore()'), '25001', 'not in a transaction block');
is(psql_sqlstate($clone, 'SET default_transaction_read_only = on; SELECT atomix.after_restore()'),
	'25006', 'not read-only');
is(psql_sqlstate($clone, 'CREATE ROLE app; GRANT USAGE ON SCHEMA atomix TO app; SET ROLE app;
	SELECT atomix.after_restore()'), '42501', 'not by anybody');
my $client = $clone->background_psql('postgres', on_error_stop => 0);
$client->query_safe("SELECT atomix.open_session('800 s')");
$client->query_safe("BEGIN;
	SELECT atomix.counter_increment('c', session_id => $ann, sequence_num => 2)");
is(psql_sqlstate($clone, "SET lock_timeout = '10 ms'; SELECT atomix.after_restore()"), '55P03',
	'it waits for who uses a session');
is(session_state($clone, $ann), 'opened', 'and has done nothing if it gives up');
$client->query_safe('COMMIT');
is(on($clone, "SELECT atomix.keep_alive($ann)"), '00:13:20', 'which lives');
is(term($clone), '1|original', 'in its term');

# Known to memory, and to connections that last.
is(keep_alive_place($clone, $ann), 'memory', 'a session is renewed in memory');
$client->query_safe("SELECT atomix.keep_alive($bob)");
is(on($clone, 'SELECT atomix.after_restore()'), 3, 'after_restore() ends them all');
for my $session ($ann, $bob)
{
	like(query_error($client, "\\set VERBOSITY sqlstate\nSELECT atomix.keep_alive($session)"), qr/MX003/,
		'none can be renewed');
}
ok(await_state($clone, $_, 'closed'), 'each is closed') for $ann, $bob;
is(on($clone, "SELECT string_agg(DISTINCT reason, ' ') FROM atomix.sessions"), 'restored',
	'and why is told');
is(on($clone, "SELECT state, status FROM atomix.outcome($ann, 1)"), 'complete|OK',
	'what they did is still known');
is(holder($clone), '', 'nobody has a lock');
is(on($clone, "SELECT count(*) FROM atomix.locks WHERE session_id IS NOT NULL"), '0', 'or waits for one');
is(term($clone), '2|clone', 'a term begins');
is(query_error($client, "SELECT atomix.watch('c', $position)") =~ /MX007/, 1, 'and a history');
my $fresh = $client->query_safe("SELECT atomix.open_session('800 s')");
cmp_ok($fresh, '>', max(@given), 'a connection that lasted knows of it');
check_numbers($clone, 'clone');
is(on($clone, "SELECT atomix.keep_alive($fresh)"), '00:13:20', 'later sessions live');
is(on($clone, 'SELECT count(*) FROM atomix.lease'), '1', 'and are leased');
$client->quit;

#
# A copy within the server.
#

on($clone, "SELECT atomix.lock_try($fresh, 'l')");
my $held = holder($clone);
push @given, $fresh, (split /\|/, $held)[1];
on($clone, 'CREATE DATABASE copy TEMPLATE postgres', 'template1');
ok(await_term($clone, 3, 'copy'), 'copy: a term begins');
is(holder($clone, 'copy'), $held, 'copy: a lock is held in it, too');
check_numbers($clone, 'copy', 'copy');
is(on($clone, 'SELECT atomix.after_restore()', 'copy'), 1, 'copy: after_restore() ends the session there');
is(holder($clone), $held, 'copy: and not in the original');
is(term($clone), '2|clone', 'copy: whose term goes on');

# Where nothing may act it does not, and where nothing ever was it does no harm.
on($clone, 'CREATE DATABASE empty TEMPLATE template0', 'template1');
on($clone, 'CREATE EXTENSION atomix', 'empty');
is(on($clone, 'SELECT atomix.after_restore()', 'empty'), 0, 'an empty database has no sessions');
like(open_session($clone, '30 s', 'empty'), qr/^\d{14,16}$/, 'and can be used');
$clone->append_conf('postgresql.conf', 'atomix.enabled = off');
$clone->reload;
$clone->poll_query_until('postgres', "SELECT current_setting('atomix.enabled') = 'off'")
  or die 'the setting is not read';
is(psql_sqlstate($clone, 'SELECT atomix.after_restore()'), '57P03', 'not where atomix is disabled');

# Without preload nothing is in memory.
$clone->append_conf('postgresql.conf', "atomix.enabled = on\nshared_preload_libraries = ''");
$clone->restart;
on($clone, "SELECT atomix.keep_alive($fresh)");
is(on($clone, 'SELECT atomix.after_restore()'), 1, 'it works without preload');
is(psql_sqlstate($clone, "SELECT atomix.keep_alive($fresh)"), 'MX003', 'the same way');
my $next = open_session($clone, '30 s');
is(on($clone, "SELECT granted FROM atomix.lock_try($next, 'l')"), 't', 'and locks are free');

$clone->stop;
$original->stop;
done_testing();
