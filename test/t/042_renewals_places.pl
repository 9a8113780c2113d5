# Places in shared memory: when they are all taken, sessions are renewed in
# their rows; they are given back by sessions that end, and with the extension
# or the database, whether or not a worker serves it.  Who may use a session is decided anew at each renewal.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest await_waiting await_worker
  keep_alive_place new_node open_session psql_sqlstate session_state start_query);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# The hash has a place in each of its 32 partitions at least.
my $node = new_node('places', 'atomix.shared_sessions = 3', 'autovacuum = off');
my $sessions = 50;

# Open sessions in a database; returns their ids.
sub open_many
{
	my ($dbname, $n) = @_;

	return split(/\n/, $node->safe_psql($dbname,
		"SELECT atomix.open_session('800 s') FROM generate_series(1, $n)"));
}

# Those of the sessions that are renewed in memory; all are renewed.
sub in_memory
{
	my ($dbname, @ids) = @_;

	return grep { keep_alive_place($node, $_, $dbname) eq 'memory' } @ids;
}

# Wait until that many sessions are renewed in memory.
sub await_in_memory
{
	my ($dbname, $n, @ids) = @_;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $until)
	{
		return 1 if in_memory($dbname, @ids) == $n;
		usleep(100_000);
	}
	return 0;
}

#
# Full.
#

my @ids = open_many('postgres', $sessions);
my @lucky = in_memory('postgres', @ids);
my $places = @lucky;
cmp_ok($places, '>=', 3, 'as many sessions as were set are renewed in memory');
cmp_ok($places, '<', $sessions, 'but not all');
is_deeply([ in_memory('postgres', @ids) ], \@lucky, 'the same ones again');
my $array = "'{" . join(',', @ids) . "}'";
for my $round (1 .. 3)
{
	advance_clock($node, '600 s');
	is($node->safe_psql('postgres',
			"SELECT state, count(*) FROM atomix.keep_alive_many($array) GROUP BY 1"),
		"opened|$sessions", 'all are kept alive');
}
await_rest($node);
is($node->safe_psql('postgres', "SELECT count(*) FROM atomix.sessions WHERE state = 'opened'"),
	$sessions, 'and live');

# Those that end make room.
my %lucky = map { $_ => 1 } @lucky;
my @others = grep { !$lucky{$_} } @ids;
$node->safe_psql('postgres', "SELECT atomix.close_session($_)") for @lucky[ 0 .. 2 ];
is(scalar(in_memory('postgres', @others)), 3, 'three that are closed make room for three');
$node->safe_psql('postgres', "BEGIN; SELECT atomix.close_session($lucky[3]); ROLLBACK");
is(keep_alive_place($node, $lucky[3]), 'memory', 'a close that is rolled back makes none');
advance_clock($node, '910 s');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM atomix.lease');
@ids = open_many('postgres', $sessions);
is(scalar(in_memory('postgres', @ids)), $places, 'nor do those that expire keep their places');

#
# Dropped with places taken.
#

$node->safe_psql('postgres', 'DROP EXTENSION atomix CASCADE; CREATE EXTENSION atomix');
await_worker($node, 'postgres');
@ids = open_many('postgres', $sessions);
ok(await_in_memory('postgres', $places, @ids), 'the places of a dropped extension are free again');
$node->safe_psql('postgres', 'SELECT count(atomix.close_session(session_id)) FROM atomix.sessions');

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION atomix');
await_worker($node, 'other');
is(scalar(in_memory('other', open_many('other', $sessions))), $places,
	'another database takes all');
@ids = open_many('postgres', $sessions);
is(scalar(in_memory('postgres', @ids)), 0, 'so there is none for this one');
$node->safe_psql('postgres', 'ALTER DATABASE other ALLOW_CONNECTIONS false');
$node->safe_psql('postgres', 'CREATE DATABASE another');
$node->safe_psql('another', 'CREATE EXTENSION atomix');
await_worker($node, 'another');
is(scalar(in_memory('postgres', @ids)), 0, 'not if that one refuses connections either');
$node->safe_psql('postgres', "DROP DATABASE $_ WITH (FORCE)") for 'another', 'other';
ok(await_in_memory('postgres', $places, @ids), 'the places of a dropped database are free again');

#
# Rights.
#

$node->safe_psql('postgres', q{
	SELECT count(atomix.close_session(session_id)) FROM atomix.sessions;
	GRANT USAGE ON SCHEMA atomix TO PUBLIC;
	CREATE ROLE app; CREATE ROLE member; GRANT app TO member});

# Renew as a role; returns the SQLSTATE, and whether it went by memory.
sub renew_as
{
	my ($role, $id) = @_;
	my ($out, $err);

	$node->psql('postgres', "\\set VERBOSITY sqlstate
		SET atomix._coalesce_renewals = off; SET ROLE $role; BEGIN;
		DO 'BEGIN PERFORM atomix.keep_alive($id); END';
		SELECT CASE WHEN pg_current_xact_id_if_assigned() IS NULL
			THEN 'memory' ELSE 'row' END;
		COMMIT", stdout => \$out, stderr => \$err);
	return $err =~ /ERROR:\s+(\w+)/ ? $1 : $out;
}

my $id = $node->safe_psql('postgres', "SET ROLE app; SELECT atomix.open_session('800 s')");
is(renew_as('app', $id), 'memory', 'the owner renews in memory');
is(renew_as('member', $id), 'memory', 'so does a member of the role');
$node->safe_psql('postgres', 'REVOKE app FROM member');
is(renew_as('member', $id), 'MX001', 'not any more when it is a member no longer');
$node->safe_psql('postgres', 'ALTER ROLE member NOINHERIT; GRANT app TO member');
is(renew_as('member', $id), 'MX001', 'nor without the privileges of the role');
$node->safe_psql('postgres', 'ALTER ROLE app RENAME TO renamed');
is(renew_as('renamed', $id), 'memory', 'the owner may have another name');
$node->safe_psql('postgres', 'DROP ROLE renamed; CREATE ROLE renamed');
is(renew_as('renamed', $id), 'MX001', 'a role made anew under the name of a dropped owner is another');
is(renew_as('postgres', $id), 'memory', 'a superuser renews a session whose owner is dropped');
is(session_state($node, $id), 'opened', 'which lives');

#
# Dropped where no worker serves.
#

# Commits wait for a standby only where they are told to.
$node->append_conf('postgresql.conf', "atomix.worker_limit = 1
	wal_level = replica
	max_wal_senders = 2
	synchronous_commit = local");
$node->restart;
await_worker($node, 'postgres');
$node->safe_psql('postgres', 'CREATE DATABASE unserved');

# Have the sessions of the other database take all places.
sub take_all
{
	$node->safe_psql('postgres',
		'SELECT count(atomix.close_session(session_id)) FROM atomix.sessions');
	my @theirs = open_many('unserved', $sessions);
	my @in_memory = in_memory('unserved', @theirs);

	is(scalar(@in_memory), $places, 'a database without a worker takes all places');
	@ids = open_many('postgres', $sessions);
	is(scalar(in_memory('postgres', @ids)), 0, 'so there is none for this one');
	return $in_memory[0];
}

my $begin = 'CREATE EXTENSION atomix; SELECT atomix.tick()';
$node->safe_psql('unserved', $begin);
take_all();
$node->safe_psql('unserved', 'BEGIN; DROP EXTENSION atomix CASCADE; ROLLBACK;
	BEGIN; SAVEPOINT s; DROP EXTENSION atomix CASCADE; ROLLBACK TO s; COMMIT');
is(scalar(in_memory('postgres', @ids)), 0, 'a drop that is rolled back gives none back');
$node->safe_psql('unserved', 'DROP EXTENSION atomix CASCADE');
is(scalar(in_memory('postgres', @ids)), $places, 'one that is committed does so at once');

# One place is in use: its renewal is waiting for a standby to commit.
$node->safe_psql('unserved', $begin);
$id = take_all();
my $waiter = $node->background_psql('unserved');
my $pid = $waiter->query_safe('SET synchronous_commit = on; SELECT pg_backend_pid()');
$waiter->query_safe("BEGIN; SELECT atomix.keep_alive($id);
	SELECT pg_logical_emit_message(true, '', '')");
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = 'nobody'");
start_query($waiter, 'COMMIT');
ok(await_waiting($node, $pid, 'IPC SyncRep'), 'a commit waits');
$node->safe_psql('unserved', 'DROP EXTENSION atomix CASCADE');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
$waiter->query_safe('SELECT 1');
$waiter->quit;
$node->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = ''");
is(scalar(in_memory('postgres', @ids)), $places, 'then its place is free as well');

$node->safe_psql('unserved', $begin);
take_all();
$node->safe_psql('postgres', 'DROP DATABASE unserved');
ok(await_in_memory('postgres', $places, @ids), 'as all are with the database');

$node->stop;
done_testing();
