# ALTER EXTENSION UPDATE under load, with the worker running: the new library
# first, as the documentation has it, and the new SQL objects first.  While the
# two are of different versions every function refuses with a hint; once they
# agree everything goes on where it was, over the same connections, and nothing
# is lost or done twice.
#
# The next version is this one with another number and a script that changes
# tables, functions and views; it is there only for this test, in a copy of the
# PostgreSQL installation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest await_state await_worker open_session psql_sqlstate
  session_state worker_pid);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $root = PostgreSQL::Test::Utils::tempdir();

sub config
{
	my ($what) = @_;
	my $value = `pg_config --$what`;

	chomp $value;
	return $value;
}

my @objects = grep { !/\.bc$/ } glob("$top/src/*.o $top/src/*/*.o $top/build/proto/*/*.o"
	  . " $top/build/proto/*/*/*.o $top/build/proto/*/*/*/*.o $top/build/proto/*/*/*/*/*.o");
plan skip_all => 'needs the object files of a build in the tree' if !-f "$top/src/atomix.o";

#
# A copy of the installation: a server finds its files relative to its programs.
#

my ($bin, $lib, $share) = map { config($_) } qw(bindir pkglibdir sharedir);
for my $directory ($bin, $lib, $share)
{
	system_or_bail('mkdir', '-p', "$root$directory");
	system_or_bail('cp', '-r', $directory eq $bin ? '--dereference' : '--symbolic-link',
		"$directory/.", "$root$directory");
}
my $library = "$root$lib/atomix.so";
my ($series) = slurp_file("$top/atomix.control") =~ /^default_version = '(.*)'/m;

# The library as it says to be of a version.
sub build_library
{
	my ($version, $target) = @_;
	my $source = "$root/source";
	my @rebuilt;
	my $header = slurp_file("$top/src/atomix.h");

	mkdir $source;
	$header =~ s/(#define ATX_LIBRARY_VERSION\s+)".*?"/$1"$version"/ or die 'no version in atomix.h';
	unlink "$source/atomix.h";
	PostgreSQL::Test::Utils::append_to_file("$source/atomix.h", $header);
	for my $file (map { s/\n//r } `grep -rl ATX_LIBRARY_VERSION $top/src --include=*.c`)
	{
		my $object = "$source/" . basename($file, '.c') . '.o';

		system_or_bail('sh', '-c', 'gcc ' . config('cflags') . ' -w -fPIC -D_GNU_SOURCE'
			  . " -I$source -I$top/src -I$top/build/proto -I" . config('includedir-server')
			  . " -c $file -o $object");
		@objects = grep { $_ ne $file =~ s/\.c$/.o/r } @objects;
		push @rebuilt, $object;
	}
	system_or_bail('gcc', '-shared', '-o', $target, @objects, @rebuilt, '-lprotobuf-c');
	return;
}

# A package that is installed puts its files in the place of the old ones.
sub install_library
{
	my ($file) = @_;

	rename($file, $library) or die "could not rename $file: $!";
	return;
}

build_library('next', "$root/next.so");
system_or_bail('cp', "$lib/atomix.so", "$root/first.so");

my $extensions = "$root$share/extension";
PostgreSQL::Test::Utils::append_to_file("$extensions/atomix--$series--next.sql", q{
ALTER TABLE atomix.partition ADD COLUMN remark text;
CREATE VIEW atomix.remarks WITH (security_barrier) AS
  SELECT partition_id, remark FROM atomix.partition;
ALTER TABLE atomix.session ADD CONSTRAINT session_newer CHECK (timeout > 0);
ALTER TABLE atomix.lease ADD CONSTRAINT lease_newer CHECK (timeout > 0);
ALTER TABLE atomix.service ADD CONSTRAINT service_newer CHECK (name <> '');
CREATE INDEX command_newer ON atomix.command (session_id) WHERE state = 'none';
CREATE OR REPLACE FUNCTION atomix.counter_get(name text, namespace text DEFAULT '') RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_counter_get' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 2;
CREATE FUNCTION atomix.newer() RETURNS text LANGUAGE sql AS $$ SELECT 'next' $$;
});
PostgreSQL::Test::Utils::append_to_file("$extensions/atomix--next--$series.sql", q{
DROP FUNCTION atomix.newer();
DROP INDEX atomix.command_newer;
ALTER TABLE atomix.service DROP CONSTRAINT service_newer;
ALTER TABLE atomix.lease DROP CONSTRAINT lease_newer;
ALTER TABLE atomix.session DROP CONSTRAINT session_newer;
DROP VIEW atomix.remarks;
ALTER TABLE atomix.partition DROP COLUMN remark;
});

my $node = PostgreSQL::Test::Cluster->new('update', install_path => dirname("$root$bin/x") =~ s{/bin$}{}r);
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'atomix'
max_connections = 30
deadlock_timeout = 50ms
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION atomix');
await_worker($node, 'postgres');

sub sql
{
	my ($statement) = @_;

	return $node->safe_psql('postgres', $statement);
}

#
# The load: each client works off numbers of its session, writes down what it
# has done in the same transaction, and tries again what was refused.
#

my $clients = 4;
sql(q{
	CREATE TABLE client (n int PRIMARY KEY, session bigint, last bigint NOT NULL DEFAULT 0);
	CREATE TABLE done (client int, number bigint, PRIMARY KEY (client, number));
	CREATE UNLOGGED TABLE refused (code text, message text, at timestamptz);
	CREATE PROCEDURE work(me int) LANGUAGE plpgsql AS $$
	DECLARE
		its client%ROWTYPE;
		code text;
		said text;
	BEGIN
		SELECT * INTO its FROM client WHERE n = me;
		BEGIN
			PERFORM atomix.keep_alive(its.session);
			PERFORM atomix.counter_increment('all', session_id => its.session,
				sequence_num => its.last + 1);
			PERFORM atomix.map_put_text('m' || me, 'k', its.last::text);
			PERFORM atomix.lock_try(its.session, 'l' || me);
			PERFORM atomix.ack(its.session, its.last) WHERE its.last > 0;
			INSERT INTO done VALUES (me, its.last + 1);
			UPDATE client SET last = last + 1 WHERE n = me;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
		END;
		IF code IS NOT NULL THEN
			ROLLBACK;
			INSERT INTO refused VALUES (code, said, clock_timestamp());
			PERFORM pg_sleep(0.01);
		END IF;
	END $$;
});
sql("INSERT INTO client (n, session)
	SELECT n, atomix.open_session('10 min') FROM generate_series(0, $clients - 1) AS n");

my $script = PostgreSQL::Test::Utils::tempdir() . '/load';
PostgreSQL::Test::Utils::append_to_file($script, "CALL work(:client_id);\n");
my ($load, $out);

sub start_load
{
	$out = '';
	$load = IPC::Run::start(
		[ 'pgbench', '--no-vacuum', "--client=$clients", '--time=120', '--file', $script,
			$node->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>&1');
	return;
}

# It must still be running: no client has met what work() does not catch.
sub stop_load
{
	my ($name) = @_;

	$load->pump_nb;
	ok($load->pumpable && $out !~ /error|aborted/, "$name: no client has failed") or diag($out);
	$load->signal('INT');
	$load->finish;
	# Their servers may be at it still.
	$node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'")
	  or die 'the clients do not end';
	return;
}

# Wait until each client has done something more.
sub await_work
{
	my $before = sql('SELECT sum(last) FROM client');

	sql('CREATE TABLE seen AS SELECT n, last FROM client');
	my $moved = $node->poll_query_until('postgres',
		'SELECT bool_and(c.last > s.last) FROM client c JOIN seen s USING (n)');
	sql('DROP TABLE seen');
	return $moved;
}

# The update locks tables that the load uses; who meets it in a deadlock tries
# again, and so does it.
sub alter
{
	my ($version) = @_;

	for (1 .. 50)
	{
		my $state = psql_sqlstate($node, "ALTER EXTENSION atomix UPDATE TO '$version'");

		return $state if $state ne '40P01';
	}
	return 'deadlocks';
}

# Whatever is called is refused.
my %speaks = map { $_ => 1 } qw(extension_version fence newer message_to_json message_from_json);

sub all_refused_ok
{
	my ($name) = @_;
	my @calls = split /\n/, sql(q{
		SELECT p.proname || '=' || format('SELECT atomix.%I(%s)', p.proname,
			(SELECT string_agg(CASE t::regtype::text
				WHEN 'interval' THEN '''1 s''' WHEN 'jsonb' THEN CASE WHEN p.proargnames[i] = 'services' THEN '''[]''' ELSE '''{}''' END
				WHEN 'bytea[]' THEN '''{""}''' WHEN 'bigint[]' THEN '''{1}''' WHEN 'text[]' THEN '''{x}'''
				WHEN 'bytea' THEN '''''' WHEN 'boolean' THEN 'false' WHEN 'text' THEN CASE p.proargnames[i] WHEN 'privileges' THEN '''read''' WHEN 'role' THEN '''public''' ELSE '''x''' END ELSE '1' END, ', ' ORDER BY i)
			 FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, i)))
		FROM pg_proc p WHERE p.pronamespace = 'atomix'::regnamespace AND p.proname !~ '^_'
		ORDER BY 1});
	my %answers = map { my ($function, $call) = split /=/, $_, 2; ($function => psql_sqlstate($node, $call)) }
	  grep { !$speaks{ (split /=/)[0] } } @calls;

	# Some refuse a word they do not know before they look further.
	is_deeply([ map { "$_ $answers{$_}" } grep { $answers{$_} !~ /^(55000|42704|22023)$/ } sort keys %answers ], [],
		"$name: every function refuses");
	cmp_ok(scalar(grep { $_ eq '55000' } values %answers), '>', 70, "$name: nearly all because of the versions");
	# Some tell what functions know.
	like(psql_sqlstate($node, "SELECT * FROM atomix.$_"), qr/^(00000|55000)$/, "$name: view $_")
	  for split /\n/, sql(q{SELECT relname FROM pg_class
		WHERE relnamespace = 'atomix'::regnamespace AND relkind = 'v' ORDER BY 1});
	my ($stdout, $stderr);
	$node->psql('postgres', 'SELECT atomix.open_session()', stdout => \$stdout, stderr => \$stderr);
	like($stderr, qr/HINT:  Run ALTER EXTENSION atomix UPDATE, or restart the server/,
		"$name: and says what to do");
	return;
}

sub versions { return sql('SELECT * FROM atomix.extension_version()'); }

# Nothing was lost, done twice, or refused for any other reason.
sub sound_ok
{
	my ($name) = @_;

	is(sql(q{SELECT atomix.counter_get('all') = (SELECT count(*) FROM done)
			AND (SELECT sum(last) FROM client) = (SELECT count(*) FROM done)}), 't',
		"$name: each number took effect once");
	is(sql(q{SELECT count(*) FROM atomix.sessions s JOIN client c ON c.session = s.session_id
			WHERE state = 'opened'}), $clients, "$name: the sessions live");
	is(sql('SELECT count(*) FROM atomix.locks WHERE granted'), $clients, "$name: and hold what they held");
	is(sql(q{SELECT string_agg(DISTINCT code || ' ' || message, ', ') FROM refused
			WHERE code NOT IN ('40001', '40P01')
			AND message <> 'extension "atomix" and its library are of different versions'}), '',
		"$name: nothing else was refused");
	sql('TRUNCATE refused');
	return;
}

#
# The new library first.
#

start_load();
ok(await_work(), 'the load is under way');
install_library("$root/next.so");
ok(await_work(), 'a library that is replaced does not matter before the restart');
stop_load('library replaced');
sound_ok('library replaced');

$node->restart;
is(versions(), "$series|next", 'the library is newer than the SQL objects');
ok( $node->poll_query_until('postgres',
		q{SELECT state FROM atomix.workers WHERE database = current_database()}, 'idle'),
	'the worker idles');
all_refused_ok('library newer');
start_load();
ok( $node->poll_query_until('postgres',
		"SELECT count(*) >= $clients FROM refused WHERE code = '55000'"),
	'clients are refused');
my $pid = worker_pid($node, 'postgres');
is(alter('next'), '00000', 'ALTER EXTENSION UPDATE under load');
is(versions(), 'next|next', 'to the version of the library');
ok(await_work(), 'clients go on over the same connections');
is(sql('SELECT atomix.newer()'), 'next', 'what is new is there');
await_worker($node, 'postgres');
is(worker_pid($node, 'postgres'), $pid, 'with the worker that was there');
my $short = open_session($node, '10 s');
advance_clock($node, '12 s');
ok(await_state($node, $short, 'expired'), 'which ends sessions');
stop_load('library first');
sound_ok('library first');

#
# The new SQL objects first; and a way back.
#

start_load();
ok(await_work(), 'the load is under way');
is(alter($series), '00000', 'ALTER EXTENSION UPDATE under load, the library stays behind');
is(versions(), "$series|next", 'another version than the library');
ok( $node->poll_query_until('postgres',
		"SELECT count(*) >= $clients FROM refused WHERE code = '55000'"),
	'clients that were at work are refused');
is(alter('next'), '00000', 'and back');
ok(await_work(), 'clients go on');
stop_load('there and back');
sound_ok('there and back');

is(alter($series), '00000', 'back to the first version');
install_library("$root/first.so");
$node->restart;
is(versions(), "$series|$series", 'with its library');
is(alter('next'), '00000', 'the SQL objects are newer than the library');
all_refused_ok('library older');
is(alter($series), '00000', 'and as old again');
start_load();
ok(await_work(), 'everything goes on');
stop_load('the end');
sound_ok('the end');

ok(!$node->log_contains(qr/PANIC:|was terminated by signal/), 'nothing crashed');
$node->stop;
done_testing();
