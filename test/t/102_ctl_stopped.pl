# A client that is stopped, killed or cut off: its command has ended before the
# server hands the lock on, and its token is refused from then on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(await_line ctl exit_code lines start_ctl start_proxy under_lock);
use AtomixTest qw(new_node psql_sqlstate);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('stopped');
my $directory = PostgreSQL::Test::Utils::tempdir();
my $count = 0;

# Have one hold the lock and another one wait for it, do something to the
# first, and see when each worked.  Returns the exit codes of both, and how long nobody worked.
sub scene
{
	my ($what, $where, $stubborn, $happen) = @_;
	my $first = "$directory/first" . ++$count;
	my $second = "$directory/second$count";
	my $holder = start_ctl($where, "$first.log", 'lock', "job $count", '--ttl', '2s', '--',
		under_lock($first, 4000, 5, $stubborn));
	await_line($first, qr/^\d+ \d+ 1 /);
	my $waiter = start_ctl($node, "$second.log", 'lock', "job $count", '--ttl', '5s', '--',
		under_lock($second, 3, 1));
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM atomix.locks WHERE name = 'job $count' AND NOT granted")
	  or die 'nobody waits';

	my $pid = $happen->($holder);
	my $waited = exit_code($waiter);
	my ($token, $last) = (lines($first))[-1] =~ /^(\d+) \d+ \d+ ([\d.]+)/;
	my ($next) = (lines($second))[0] =~ /^\d+ \d+ \d+ ([\d.]+)/;

	is($waited, 0, "$what: the next one had the lock");
	cmp_ok($next - $last, '>', 0, "$what: nobody worked beside it");
	note sprintf('%s: %.0f ms between the last effect and the next', $what, ($next - $last) * 1000);
	is(psql_sqlstate($node, "SELECT atomix.assert_lock('job $count', $token)"), 'MX006',
		"$what: its token is refused");
	kill 'CONT', $holder;
	return (exit_code($holder), "$first.log.err");
}

my ($status, $errors) = scene('stopped', $node, 0, sub { kill 'STOP', $_[0] });
is($status, 123, 'the stopped one says that the lock was lost');

# The command does not mind SIGTERM.
($status) = scene('stopped with a stubborn command', $node, 1, sub { kill 'STOP', $_[0] });
is($status, 123, 'it says that the lock was lost');

($status) = scene('killed', $node, 1, sub { kill 'KILL', $_[0] });
is($status, 'signal 9', 'it was killed');

# A network that passes nothing on, and does not say so.
my ($where, $proxy) = start_proxy($node);
($status, $errors) = scene('cut off', $where, 1, sub { kill 'USR1', $proxy });
is($status, 123, 'the one that is cut off says that the lock was lost');
like(slurp_file($errors), qr/lease ends in .* s: .*\n(.*\n)*.*could not be renewed/,
	'it told of the silence, then of the end');
kill 'TERM', $proxy;
waitpid $proxy, 0;

# The guardian is nobody that the rest depends on.
my $file = "$directory/unguarded";
my $holder = start_ctl($node, "$file.log", 'lock', 'unguarded', '--ttl', '2s', '--',
	under_lock($file, 500, 5));
await_line($file, qr/^\d+ \d+ 1 /);
my @guardians = grep { (eval { slurp_file($_) } // '') =~ /^\d+ \(atomixctl-guard\) \S+ $holder / } glob '/proc/[0-9]*/stat';
is(scalar @guardians, 1, 'there is a guardian');
kill 'KILL', $guardians[0] =~ /(\d+)/;
is(exit_code($holder), 0, 'without it the command still comes to its end');
is(scalar lines($file), 500, 'and has not been disturbed');

$node->stop;
done_testing();
