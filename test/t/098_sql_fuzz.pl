# Hostile arguments for every function, of the wire, typed, and for
# administrators, from roles without rights of their own: the client is a
# program in Python.  Nothing may crash, leak, be done to what belongs to others,
# or be refused with an internal error.  ATOMIX_FUZZ_CALLS makes it longer,
# ATOMIX_TEST_SEED repeats a run.

use strict;
use warnings;

use File::Find;
use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid);
use IPC::Run qw(run timeout);
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{ATOMIX_TEST_SEED} // int(rand(1e9));
my $calls = $ENV{ATOMIX_FUZZ_CALLS} // 4000;
my $node = new_node(
	'sql_fuzz',
	"atomix.max_wait = '10ms'",
	"atomix.query_wait = '10ms'",
	'atomix.worker_limit = 1',
	'log_min_error_statement = panic',
	'log_min_messages = log');
my $proto_dir = "$FindBin::RealBin/../../proto";
my $descriptors = PostgreSQL::Test::Utils::tempdir() . '/descriptors';
my @proto_files;

find(sub { push @proto_files, $File::Find::name if /\.proto$/ }, $proto_dir);
system_or_bail('protoc', "-I$proto_dir", '--include_imports',
	"--descriptor_set_out=$descriptors", sort @proto_files);

my $start = $node->safe_psql('postgres',
	q{SELECT pg_postmaster_start_time() || ' ' || pid FROM pg_stat_activity
	  WHERE backend_type = 'checkpointer'});
my ($out, $errors) = ('', '');

run(
	[
		'/usr/bin/python3', '-B', "$FindBin::RealBin/../python/sql_fuzz.py",
		$descriptors, $node->host . '/.s.PGSQL.' . $node->port,
		scalar(getpwuid($<)), $seed, $calls
	],
	'<', \undef, '>', \$out, '2>', \$errors, timeout(100 + $calls / 20));

note $out;
like($out, qr/^done$/m, "every answer was one that is announced, seed $seed")
  or diag("$out$errors");
for my $face (qw(wire typed administrators undone))
{
	my ($tried, $refused) = $out =~ /^$face: (\d+) calls, (\d+) refused/m;

	cmp_ok($tried // 0, '>=', $face eq 'undone' ? $calls / 5 : $calls, "$face: so many calls");
	cmp_ok($refused // 0, '>', $calls / 50, '... of which many were refused');
	cmp_ok(($tried // 0) - ($refused // 0), '>', $calls / 50, '... and many were not');
}

# The checkpointer is started anew after a crash of any process.
is(
	$node->safe_psql('postgres',
		q{SELECT pg_postmaster_start_time() || ' ' || pid FROM pg_stat_activity
		  WHERE backend_type = 'checkpointer'}),
	$start, 'no process of the server has crashed');

# Numbers of many decimals in a small document.
my $grown = $node->safe_psql('postgres', q{
	CREATE FUNCTION pg_temp.peak() RETURNS bigint LANGUAGE sql AS
		$$SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')::bigint$$;
	CREATE TEMP TABLE documents AS SELECT jsonb_build_object('outputStreamSequenceNums',
		jsonb_object_agg(i::text, '0e-16383'::numeric)) AS document FROM generate_series(1, 5000) i;
	SELECT pg_temp.peak() AS before \gset
	SELECT length(atomix.message_from_json('atomix.multiraft.v1.KeepAliveInput', document)) AS len
		FROM documents \gset
	SELECT pg_temp.peak() - :before});

cmp_ok($grown, '<', 20 * 1024, 'a document of 5,000 long zeros takes no 80 MB');

my $log = slurp_file($node->logfile);

unlike($log, qr/PANIC|TRAP|terminated by signal|atomix worker.*exited/,
	'nothing in the log tells of a crash');
is(join("\n", $log =~ /^.*atomix worker.*(?:ERROR|FATAL).*$/mg), '', 'nor of errors of the worker');

$node->stop;
done_testing();
