# What a role that means ill can put in the way of functions that act with the
# rights of the tables' owner: roles, settings, row security, event triggers,
# and objects that are there before the extension.  Search paths, operators,
# types and temporary tables are in sql/permissions.sql.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_state await_worker new_node psql_sqlstate query_error worker_pid);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('tricks');

sub run { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

run(q{
	CREATE ROLE mallory;
	CREATE ROLE victim;
	GRANT USAGE ON SCHEMA atomix TO mallory, victim;
	GRANT CREATE ON SCHEMA public TO mallory, victim;
	GRANT CREATE ON DATABASE postgres TO mallory;
	SELECT atomix.grant_namespace('secret', 'victim', 'admin');
	SET ROLE victim;
	SELECT atomix.counter_set('c', 42, 'secret')});

#
# Whose rights count: those of the role that runs the call, no other's.
#

# A function of the victim acts for the victim, wherever it is called from.
run(q{
	SET ROLE victim;
	CREATE FUNCTION public.get() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp AS $$ SELECT atomix.counter_get('c', 'secret') $$;
	SET ROLE mallory;
	CREATE FUNCTION public.mine() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$ SELECT atomix.counter_get('c', 'secret') $$});
is(run('SET ROLE mallory; SELECT public.get()'), 42, 'what the victim offers can be called');
is(psql_sqlstate($node, 'SET ROLE victim; SELECT public.mine()'), '42501',
	'a definer without the right has none, whoever calls it');
is(psql_sqlstate($node, 'SELECT public.mine()'), '42501', 'be it a superuser');
is(psql_sqlstate($node, "SET ROLE victim; SET ROLE mallory; SELECT atomix.counter_get('c', 'secret')"), '42501',
	'the role that was set counts');
is(psql_sqlstate($node, "SET SESSION AUTHORIZATION mallory; RESET ROLE; SELECT atomix.counter_get('c', 'secret')"),
	'42501', 'a session that became another has nothing left of it');

# What a superuser runs for mallory while it maintains her table.
run(q{
	SET ROLE mallory;
	CREATE FUNCTION public.seize(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		RAISE NOTICE 'got % as %', atomix.counter_get('c', 'secret'), current_user;
		RETURN atomix.counter_set('c', 0, 'secret');
	EXCEPTION WHEN insufficient_privilege THEN
		RAISE NOTICE 'refused to %', current_user;
		RETURN -1;
	END $$;
	CREATE TABLE public.bait (i int);
	INSERT INTO public.bait VALUES (1);
	CREATE INDEX ON public.bait (public.seize(i))});
my ($out, $notices);
for my $upkeep ('REINDEX TABLE public.bait', 'ANALYZE public.bait', 'VACUUM FULL public.bait',
	'CLUSTER public.bait USING bait_seize_idx')
{
	$node->psql('postgres', $upkeep, stdout => \$out, stderr => \$notices);
	unlike($notices, qr/got/, "$upkeep by a superuser gets mallory nothing");
	like($notices, qr/refused to mallory/, 'it acts for her') if $upkeep !~ /ANALYZE/;
}
is(run("SELECT atomix.counter_get('c', 'secret')"), 42, 'and changed nothing');

# A cursor and a portal that outlive SET ROLE.
my $psql = $node->background_psql('postgres', on_error_stop => 0);
$psql->query_safe(q{SET ROLE mallory; BEGIN; DECLARE later CURSOR FOR
	SELECT atomix.counter_get('c', 'secret') FROM generate_series(1, 2)});
like(query_error($psql, 'FETCH 1 FROM later'), qr/permission denied/, 'a cursor of mallory');
$psql->query('ROLLBACK');
$psql->query_safe("RESET ROLE; PREPARE q AS SELECT atomix.counter_get('c', 'secret')");
is($psql->query_safe('EXECUTE q'), 42, 'a statement that a superuser prepared');
like(query_error($psql, 'SET ROLE mallory; EXECUTE q'), qr/permission denied/, 'is not allowed to mallory for that');
$psql->query('RESET ROLE');

# After an error in the middle of a call the caller is who he was.
$psql->query_safe('SET ROLE mallory');
like(query_error($psql, "SELECT atomix.command(1, 1, '\\xff')"), qr/unknown/, 'a call that fails');
is($psql->query_safe('SELECT current_user'), 'mallory', 'leaves the role');
like(query_error($psql, 'SELECT * FROM atomix.lease'), qr/permission denied for table/, 'and its rights');
$psql->quit;

# Nothing of ours can be changed, or hung upon.
for my $try (
	'CREATE TRIGGER t BEFORE INSERT ON atomix.session FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE RULE r AS ON INSERT TO atomix.session DO INSTEAD NOTHING',
	'CREATE POLICY p ON atomix.session', 'ALTER TABLE atomix.session ENABLE ROW LEVEL SECURITY',
	'CREATE TABLE public.child () INHERITS (atomix.session)',
	'CREATE INDEX ON atomix.session (name)', 'COMMENT ON TABLE atomix.session IS NULL',
	'CREATE FUNCTION atomix.keep_alive(text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
	'CREATE OR REPLACE FUNCTION atomix.keep_alive(session_id bigint) RETURNS interval LANGUAGE sql AS $$ SELECT NULL::interval $$',
	'CREATE VIEW atomix.mine AS SELECT 1', 'ALTER EXTENSION atomix ADD TABLE public.bait', 'DROP EXTENSION atomix',
	'BEGIN; LOCK TABLE atomix.session', 'ALTER FUNCTION atomix.keep_alive(bigint) SET search_path = public',
	'CREATE STATISTICS public.s ON session_id, owner FROM atomix.session')
{
	is(psql_sqlstate($node, "SET ROLE mallory; $try"), '42501', "mallory cannot: $try");
}

#
# Settings that change how statements are read or run.
#

my $scenario = q{
	SELECT atomix.open_session('1 h', labels => '{"a": "b"}') AS id \gset
	SELECT atomix.create_service(:id, 'map', 'm') AS map \gset
	SELECT status FROM atomix.command(:id, :map, decode('4200', 'hex'), 1);
	SELECT prev_value FROM atomix.map_put_text('m', 'k', 'v', '1 h');
	SELECT atomix.map_get_text('m', 'k'), atomix.map_size('m');
	SELECT atomix.counter_increment('n', 1, '', :id, 2) - atomix.counter_increment('n', 1, '', :id, 2);
	SELECT granted FROM atomix.lock_try(:id, 'l');
	SELECT count(*) FROM atomix.session_events(atomix.open_session());
	SELECT atomix.close_session(:id), atomix.delete_service('m') , atomix.delete_service('n'), atomix.delete_service('l');
};
my $expected = run($scenario);

like($expected, qr/^RUNNING\n\nv\|1\n0\nt\n0\nt\|t\|t\|t$/, 'a scenario');
my $in_parallel = $node->pg_version < 16 ? 'force_parallel_mode' : 'debug_parallel_query';
for my $setting (
	'transform_null_equals = on', 'standard_conforming_strings = off', "DateStyle = 'SQL, DMY'",
	"IntervalStyle = 'sql_standard'", "bytea_output = 'escape'", 'array_nulls = off', 'enable_indexscan = off',
	'enable_indexonlyscan = off', 'enable_bitmapscan = off', 'plan_cache_mode = force_custom_plan', 'row_security = off',
	'default_transaction_isolation = serializable', 'quote_all_identifiers = on', 'jit_above_cost = 0',
	"search_path = ''", 'search_path = pg_temp', "TimeZone = 'Asia/Kathmandu'", 'work_mem = 64', 'escape_string_warning = off',
	'default_transaction_deferrable = on', 'check_function_bodies = off', 'extra_float_digits = -15',
	"$in_parallel = on", 'session_replication_role = replica', "client_encoding = 'LATIN1'", 'exit_on_error = off',
	"default_table_access_method = 'heap'", "lc_messages = 'C'", 'backslash_quote = off', 'join_collapse_limit = 1')
{
	my $answer = run("\\set QUIET on\nSET $setting;\n$scenario");

	is($answer, $expected, "as ever with $setting");
}

# Row security, forced on every table: it is not for who acts as the owner.
my $forced = join ';', map { "ALTER TABLE $_ ENABLE ROW LEVEL SECURITY; ALTER TABLE $_ FORCE ROW LEVEL SECURITY;
	CREATE POLICY nothing ON $_ USING (false)" } split /\n/, run("SELECT oid::regclass FROM pg_class
	WHERE relnamespace = 'atomix'::regnamespace AND relkind = 'r'");
run($forced);
is(run($scenario), $expected, 'row security does not hide anything from the functions');
is(run("SET ROLE victim; SELECT atomix.counter_get('c', 'secret')"), 42, 'nor the grants');

run($forced =~ s/CREATE POLICY nothing ON (\S+) USING \(false\)/DROP POLICY nothing ON $1/gr
	  =~ s/ENABLE/DISABLE/gr =~ s/FORCE/NO FORCE/gr);

# An event trigger that lets no statement of definition pass: calls make none.
run(q{
	CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
	CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION public.no()});
is(run($scenario), $expected, 'nor does an event trigger meet any of them');
run('DROP EVENT TRIGGER no');

#
# The worker: whom it works as, and that no setting makes it another.
#

# A trigger on the leases tells.
run(q{
	CREATE TABLE worked_as (session name, working name, super text);
	GRANT INSERT ON worked_as TO PUBLIC;
	CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.worked_as VALUES (session_user, current_user, current_setting('is_superuser'));
		RETURN OLD;
	END $$;
	CREATE TRIGGER tell BEFORE DELETE ON atomix.lease FOR EACH ROW EXECUTE FUNCTION tell()});

sub works_as_ok
{
	my ($whom, $what) = @_;
	my $pid = worker_pid($node, 'postgres');

	run('TRUNCATE worked_as; SELECT pg_terminate_backend(' . $pid . ')');
	await_worker($node, 'postgres', $pid);
	my $id = run("SELECT atomix.open_session('10 s')");
	advance_clock($node, '12 s');
	await_state($node, $id, 'expired');
	is(run('SELECT DISTINCT * FROM worked_as'), $whom, $what);
	return;
}

my $superuser = run('SELECT current_user');

run('ALTER DATABASE postgres SET role = mallory; ALTER DATABASE postgres SET session_replication_role = replica');
{
	# Our own connections are to be what they were.
	local $ENV{PGOPTIONS} = '-c role=none -c session_replication_role=origin';
	works_as_ok("$superuser|$superuser|on", 'the worker is the owner, not who ALTER DATABASE says');
	run('ALTER DATABASE postgres RESET ALL');
}

# Give all to a role that is no superuser.
run("CREATE ROLE keeper NOLOGIN; ALTER SCHEMA atomix OWNER TO keeper;"
	  . run("SELECT string_agg(format('ALTER %s %s OWNER TO keeper', CASE relkind WHEN 'v' THEN 'VIEW'
		WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass), ';') FROM pg_class
		WHERE relnamespace = 'atomix'::regnamespace AND relkind IN ('r', 'v', 'S')"));
is(run($scenario), $expected, 'the functions work with the rights of a role that is no superuser');
is(run("SET ROLE victim; SELECT atomix.counter_get('c', 'secret')"), 42, 'and so do rights');
is(psql_sqlstate($node, "SET ROLE mallory; SELECT atomix.counter_get('c', 'secret')"), '42501', 'and their absence');
is(run("SET ROLE keeper; SELECT atomix.counter_get('c', 'secret')"), 42, 'the owner may all');
works_as_ok('keeper|keeper|off', 'and the worker is that role, and no superuser');
$node->restart;
await_worker($node, 'postgres');
works_as_ok('keeper|keeper|off', 'also after it has taken over');

#
# Objects that are there before the extension.
#

my $databases = 0;

# A database of mallory's, with what she makes in schema atomix, which is hers.
sub prepared
{
	my ($made) = @_;
	my $name = 'prepared' . ++$databases;

	run("CREATE DATABASE $name OWNER mallory");
	run("SET ROLE mallory; CREATE SCHEMA atomix; $made", $name);
	return $name;
}

sub create_extension { return psql_sqlstate($node, 'CREATE EXTENSION atomix', $_[0]); }

for my $hijack (
	[ 'CREATE TABLE atomix.lease (session_id bigint)', '42P07' ],
	[ 'CREATE VIEW atomix.session AS SELECT 1 AS session_id', '42P07' ],
	[ 'CREATE SEQUENCE atomix.index_seq', '42P07' ],
	[ 'CREATE TYPE atomix.claim AS (i int)', '42710' ],
	[ 'CREATE FUNCTION atomix.counter_get(name text, namespace text DEFAULT \'\') RETURNS bigint LANGUAGE sql AS $$ SELECT 0::bigint $$',
		'42723' ])
{
	my $database = prepared($hijack->[0]);

	like(create_extension($database), qr/^42/, "refused: $hijack->[0]");
	is(run("SELECT count(*) FROM pg_extension WHERE extname = 'atomix'", $database), 0, 'and nothing is there');
}

my $trapped = prepared(q{
	CREATE FUNCTION atomix.trap() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		RAISE EXCEPTION 'a hostile object was used by %', current_user USING ERRCODE = 'TRAP0';
	END $$;
	CREATE FUNCTION atomix.trap(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT atomix.trap()';
	CREATE FUNCTION atomix.trap(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT atomix.trap()';
	CREATE FUNCTION atomix.starts_with(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT atomix.trap()';
	CREATE FUNCTION atomix.pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT atomix.trap()';
	CREATE OPERATOR atomix.= (FUNCTION = atomix.trap, LEFTARG = bigint, RIGHTARG = bigint);
	CREATE OPERATOR atomix.< (FUNCTION = atomix.trap, LEFTARG = bigint, RIGHTARG = bigint);
	CREATE OPERATOR atomix.= (FUNCTION = atomix.trap, LEFTARG = text, RIGHTARG = text);
	CREATE DOMAIN atomix.text AS pg_catalog.int4 CHECK (atomix.trap());
	CREATE DOMAIN atomix.regrole AS pg_catalog.text CHECK (atomix.trap());
	CREATE DOMAIN atomix.bytea AS pg_catalog.text CHECK (atomix.trap());
	CREATE FUNCTION atomix.keep_alive(pg_catalog.text) RETURNS boolean LANGUAGE sql AS 'SELECT atomix.trap()'});
is(create_extension($trapped), '00000', 'other objects do not stand in the way');
for my $call ('open_session()', "counter_get('c')", 'tick()', "grant_namespace('n', 'victim', 'read')", '_may(\'n\', \'read\')')
{
	is(psql_sqlstate($node, "SELECT atomix.$call", $trapped), '55000', "$call is refused while the schema is mallory's");
}
run('ALTER SCHEMA atomix OWNER TO CURRENT_USER', $trapped);
is(run("SET search_path = atomix, pg_catalog; $scenario", $trapped), $expected,
	'in our hands it works, and never by what she has made');
is(run('SELECT count(*) FROM atomix.sessions; SELECT count(*) FROM atomix.services', $trapped), "2\n0", 'nor do views');
is(run(q{SELECT count(*) FROM pg_depend d JOIN pg_depend e ON (e.classid, e.objid) = (d.classid, d.objid)
	WHERE e.refclassid = 'pg_extension'::regclass AND e.deptype = 'e'
		AND (d.refclassid, d.refobjid) IN (
			SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE proowner = 'mallory'::regrole
			UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oprowner = 'mallory'::regrole
			UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typowner = 'mallory'::regrole)}, $trapped),
	0, 'nothing of the extension refers to anything of hers');

$node->stop;
done_testing();
