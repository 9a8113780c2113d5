# What ALTER DATABASE and ALTER ROLE set for users does not reach the worker.
# A trigger on the table of leases tells with which settings it works.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_notification);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('settings');
my $pid = await_worker($node, 'postgres');

my @names = qw(search_path statement_timeout lock_timeout
  idle_in_transaction_session_timeout transaction_isolation
  transaction_read_only row_security session_replication_role
  synchronous_commit);
my $list = join(', ', map { "'$_'" } @names);

# A schema in which everything the worker could pick up by mistake fails.
$node->safe_psql('postgres', qq{
	CREATE TABLE worked_with (name text, setting text);
	CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN
		INSERT INTO public.worked_with
		SELECT n, current_setting(n) FROM unnest(ARRAY[$list]) AS n;
		RETURN OLD;
	END \$\$;
	CREATE TRIGGER tell BEFORE DELETE ON atomix.lease
	FOR EACH ROW EXECUTE FUNCTION tell();

	CREATE SCHEMA hostile;
	CREATE TABLE hostile.session (session_id bigint);
	CREATE TABLE hostile.lease (session_id bigint);
	CREATE TABLE hostile.authority (session_version text);
	CREATE FUNCTION hostile.fail(bigint, bigint) RETURNS boolean
	LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'hostile'; END \$\$;
	CREATE FUNCTION hostile.unnest(bigint[]) RETURNS bigint
	LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'hostile'; END \$\$;
	CREATE OPERATOR hostile.= (FUNCTION = hostile.fail, LEFTARG = bigint, RIGHTARG = bigint);
	CREATE OPERATOR hostile.< (FUNCTION = hostile.fail, LEFTARG = bigint, RIGHTARG = bigint);
	CREATE OPERATOR hostile.+ (FUNCTION = hostile.fail, LEFTARG = bigint, RIGHTARG = bigint)});

my %hostile = (
	search_path => 'hostile, pg_catalog, public',
	statement_timeout => '1ms',
	lock_timeout => '1ms',
	idle_in_transaction_session_timeout => '1ms',
	default_transaction_isolation => 'serializable',
	default_transaction_read_only => 'on',
	default_transaction_deferrable => 'on',
	row_security => 'off',
	session_replication_role => 'replica',
	synchronous_commit => 'off');
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# Our own connections are not to be hit.
local $ENV{PGOPTIONS} = join(' ',
	'-c search_path=public -c statement_timeout=0 -c lock_timeout=0',
	'-c idle_in_transaction_session_timeout=0',
	'-c default_transaction_isolation=read\\ committed',
	'-c default_transaction_read_only=off',
	'-c session_replication_role=origin');

# With those settings for whom a new worker works as it should.
sub works_ok
{
	my ($whom) = @_;
	my $listener = $node->background_psql('postgres');
	my $offset = -s $node->logfile;

	$node->safe_psql('postgres',
		join('', map { "ALTER $whom SET $_ = "
			  . ($_ eq 'search_path' ? $hostile{$_} : "'$hostile{$_}'") . ';' }
			  keys %hostile)
		. "TRUNCATE worked_with; SELECT pg_terminate_backend($pid)");
	$pid = await_worker($node, 'postgres', $pid);

	$listener->query_safe('LISTEN atomix_sessions');
	my $id = $node->safe_psql('postgres', q{SELECT atomix.open_session('10 s')});
	await_notification($listener, qr/^$id /);
	$node->safe_psql('postgres', q{SELECT atomix._advance_clock('12 s')});
	await_notification($listener, qr/^$id /);
	is($node->safe_psql('postgres',
		"SELECT state FROM atomix.sessions WHERE session_id = $id"),
		'expired', "a session expires whatever $whom SET says");
	is($node->safe_psql('postgres',
		"SELECT string_agg(setting, '|' ORDER BY array_position(ARRAY[$list], name)) FROM worked_with"),
		'pg_catalog, pg_temp|0|500ms|0|read committed|off|off|origin|on',
		'the worker has its own settings');
	unlike(slurp_file($node->logfile, $offset), qr/ERROR:/, 'without an error');
	$node->safe_psql('postgres', "ALTER $whom RESET ALL");
	$listener->quit;
	return;
}

works_ok('DATABASE postgres');
works_ok("ROLE $superuser");
works_ok("ROLE $superuser IN DATABASE postgres");
works_ok('ROLE ALL');

# Nor does a reload undo them.
$node->append_conf('postgresql.conf', "statement_timeout = 1ms\nlock_timeout = 1ms");
$node->reload;
works_ok('DATABASE postgres');

$node->stop;
done_testing();
