# While the SQL objects are of another version than the library, every call
# is refused with a hint and the worker idles without filling the log; both
# go on by themselves once the versions agree.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_rest open_session
  await_state session_state advance_clock psql_sqlstate);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('versions');
my $pid = await_worker($node, 'postgres');
my $id = open_session($node, '10 s');
await_rest($node);
my $version = $node->safe_psql('postgres',
	'SELECT sql FROM atomix.extension_version()');

# An update script changes the version and replaces a function, and ALTER
# EXTENSION tells the worker.
sub update_extension
{
	my ($to) = @_;
	my $change = $to eq $version ? 'DROP' : 'ADD';

	$node->safe_psql('postgres', qq{
		BEGIN;
		CREATE OR REPLACE FUNCTION public.newcomer() RETURNS int
		LANGUAGE sql AS 'SELECT 1';
		ALTER EXTENSION atomix $change FUNCTION public.newcomer();
		UPDATE pg_catalog.pg_extension SET extversion = '$to'
		WHERE extname = 'atomix';
		COMMIT});
	return;
}

is($node->safe_psql('postgres', q{
	SELECT sql = library FROM atomix.extension_version()}),
	't', 'the versions agree at first');

my $connected = $node->background_psql('postgres', on_error_stop => 0);
$connected->query("SELECT atomix.keep_alive($id)");

foreach my $other ('0.1', '99.0')
{
	update_extension($other);
	ok( $node->poll_query_until(
			'postgres', q{
			SELECT state = 'idle' FROM atomix.workers
			WHERE database = current_database()}),
		"version $other: the worker idles");
	my $offset = -s $node->logfile;
	is($node->safe_psql('postgres', q{
		SELECT sql, library FROM atomix.workers
		WHERE database = current_database()}),
		"$other|$version", 'the view shows both versions');
	is( $node->safe_psql('postgres',
			'SELECT sql, library FROM atomix.extension_version()'),
		"$other|$version", 'as does extension_version()');

	is(psql_sqlstate($node, "SELECT $_"), '55000', "$_ is refused")
	  foreach ('atomix.open_session()', "atomix.keep_alive($id)",
		"atomix.close_session($id)", "atomix.end_session($id, '')",
		'atomix.tick()', q{atomix.partition_open_session('\x12020a00')},
		q{atomix.partition_keep_alive('\x1200')},
		q{atomix.partition_close_session('\x1200')});
	my ($stdout, $stderr);
	$node->psql('postgres', 'SELECT atomix.open_session()',
		stdout => \$stdout, stderr => \$stderr);
	like($stderr, qr/DETAIL: .*$other.*$version.*HINT:  Run ALTER EXTENSION/s,
		'a hint tells what to do');
	$connected->{stderr} = '';
	$connected->query("SELECT atomix.keep_alive($id)");
	like($connected->{stderr}, qr/different versions/,
		'a connection that knew the old version is refused, too');

	# Nothing is done meanwhile, and nothing is complained about.
	for (1 .. 3)
	{
		advance_clock($node, '1 s');
		await_rest($node);
	}
	advance_clock($node, '20 s', 1);
	await_rest($node);
	is($node->safe_psql('postgres',
		"SELECT state FROM atomix.session WHERE session_id = $id"),
		'opened', 'nothing expires');
	my @lines = grep { /\b(ERROR|WARNING|LOG):/ && /atomix worker|\[$pid\]/ }
	  split /\n/, slurp_file($node->logfile, $offset);
	is(scalar(@lines), 0, 'the worker logs nothing');
	is(worker_pid($node, 'postgres'), $pid, 'it lives on');

	update_extension($version);
	ok( $node->poll_query_until(
			'postgres', q{
			SELECT state = 'running' FROM atomix.workers
			WHERE database = current_database()}),
		'it goes on when the versions agree');
	is($connected->query("SELECT atomix.keep_alive($id)"),
		'00:00:10', 'and so do the calls: nobody was ended for not renewing');
	await_rest($node);
}

advance_clock($node, '12 s');
ok(await_state($node, $id, 'expired'), 'sessions expire again');
$connected->quit;

# A worker that is started meanwhile idles as well.
update_extension('99.0');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok(await_worker($node, 'postgres', $pid), 'a new worker starts and idles');
update_extension($version);
$id = open_session($node, '10 s');
advance_clock($node, '12 s');
ok(await_state($node, $id, 'expired'), 'and goes on like the other');

$node->stop;
done_testing();
