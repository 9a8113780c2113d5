# The client library under a program of its own (test/client/driver.c), which
# sleeps on its file descriptor only: numbered commands take effect once across
# broken connections and crashes, also when the answer is lost and the session
# with it; a session is resumed by another process; and many sessions are
# kept alive together.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(await_line connection exit_code lines start_proxy);
use AtomixTest qw(crash new_node session_state);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('library');
my $directory = PostgreSQL::Test::Utils::tempdir();
my $source = "$FindBin::RealBin/../..";
my $driver = "$directory/driver";

chomp(my ($include, $libraries) = (`pg_config --includedir`, `pg_config --libdir`));
system_or_bail('cc', '-g', '-O1', '-Wall', '-Werror', "-I$include", '-o', $driver,
	"$source/test/client/driver.c", "$source/client/libatomix.a", "-L$libraries", '-lpq');

sub start_driver
{
	my ($file, @args) = @_;
	my $pid = fork();

	die "could not fork: $!" if !defined $pid;
	return $pid if $pid;
	open STDOUT, '>', $file or die;
	exec $driver, @args or die;
}

# Commands while connections are cut and the server crashes.
my $file = "$directory/increments";
my $times = 400;
my $pid = start_driver($file, connection($node), 'increment', 'n', $times, 30000);
for my $at (50, 100, 150)
{
	await_line($file, qr/^$at /);
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'driver'");
}
await_line($file, qr/^200 /);
crash($node);
is(exit_code($pid), 0, 'the driver has come to its end');
my @lines = lines($file);
my ($session) = $lines[0] =~ /^session (\d+)/;
is_deeply([ @lines[ 1 .. $#lines ] ], [ (map { "$_ $_" } 1 .. $times), 'next ' . ($times + 1) ],
	'each command was executed once, and answered with what it did');
is($node->safe_psql('postgres', "SELECT atomix.counter_get('n')"), $times, 'the counter agrees');

# Another process goes on with the session; a number that was used is a replay.
is(exit_code(start_driver($file, connection($node), 'increment', 'n', 2, 0, $session, $times + 1)), 0,
	'the session is resumed');
is_deeply([ lines($file) ],
	[ "session $session", ($times + 1) . ' ' . ($times + 1), ($times + 2) . ' ' . ($times + 2), 'next ' . ($times + 3) ],
	'and its numbers go on');
$node->safe_psql('postgres', "SELECT atomix.end_session($session, 'a test')");

# The server executes a command, and nobody hears the answer; then the session
# ends.  Over another way in, the client finds out that it was done.
my ($where, $proxy) = start_proxy($node);
my ($port) = $where =~ /port=(\d+)/;
my $both = sprintf 'host=127.0.0.1,%s port=%s,%s dbname=postgres sslmode=disable gssencmode=disable', $node->host, $port,
  $node->port;
my $slow = $node->background_psql('postgres');
$slow->query_safe("BEGIN; SELECT atomix.counter_set('slow', 10)");
$pid = start_driver("$file.slow", $both, 'increment', 'slow', 1, 4000);
my ($second) = await_line("$file.slow", qr/^session/) =~ /(\d+)/;
$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity
	WHERE application_name = 'driver' AND query LIKE '%counter_increment%' AND wait_event_type = 'Lock'")
  or die 'the command does not wait';
kill 'USR2', $proxy;
# Whatever renews it goes the same way until the client notices.
$slow->query_safe('COMMIT');
$node->poll_query_until('postgres', "SELECT atomix.counter_get('slow') = 11")
  or die 'the command is not executed';
$node->safe_psql('postgres', "SELECT atomix.end_session($second, 'a test')");
is(exit_code($pid), 0, 'the driver has come to its end');
like(slurp_file("$file.slow"), qr/^1 done$/m, 'the command is known to be done');
is($node->safe_psql('postgres', "SELECT atomix.counter_get('slow')"), '11', 'once');
$slow->quit;
kill 'TERM', $proxy;
waitpid $proxy, 0;

# Many sessions: renewed together, in a statement for all of them.
$pid = start_driver("$file.many", connection($node), 'sessions', 300, 2000, 6);
is(exit_code($pid), 0, 'the driver has come to its end');
my ($alive, $used) = (lines("$file.many"))[0] =~ /^(\d+) ([\d.]+)$/;
is($alive, 300, 'all sessions lived three times their timeout');
note "processor time of 6 seconds: $used";
is($node->safe_psql('postgres', "SELECT count(*) FROM atomix.sessions WHERE state = 'opened'"), '0',
	'and were closed');

$node->stop;
done_testing();
