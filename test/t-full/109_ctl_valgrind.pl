# valgrind finds nothing to complain of in atomixctl and the client library:
# commands of each kind, errors, a lock that is held, waited for and lost, a
# watch, a server that goes away.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(connection ctl_ok await_line exit_code);
use AtomixTest qw(crash new_node);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'valgrind is not installed'
  if system('command -v valgrind > /dev/null') != 0;

my $node = new_node('valgrind');
my $directory = PostgreSQL::Test::Utils::tempdir();
my ($atomixctl) = grep { -x $_ } map { "$_/atomixctl" } split /:/, $ENV{PATH};
my $count = 0;

# Start it under valgrind: the process id, and the file of its output; what
# valgrind complains of is in the same with ".valgrind".
sub start
{
	my @args = @_;
	my $file = "$directory/run" . ++$count;
	my $pid = fork();

	die "could not fork: $!" if !defined $pid;
	return ($pid, $file) if $pid;
	open STDIN, '<', '/dev/null' or die;
	open STDOUT, '>', $file or die;
	open STDERR, '>', "$file.err" or die;
	exec 'valgrind', '-q', '--leak-check=full', '--errors-for-leak-kinds=definite,indirect,possible',
	  '--error-exitcode=99', '--trace-children=no', '--child-silent-after-fork=yes',
	  "--log-file=$file.valgrind", $atomixctl, '-d', connection($node), @args
	  or die "could not execute valgrind: $!";
}

# Wait for its end, and see what valgrind says.
sub ends
{
	my ($pid, $file, $expected, $what) = @_;

	is(exit_code($pid), $expected, $what);
	is(slurp_file("$file.valgrind"), '', 'valgrind has nothing to say');
	return;
}

sub runs { my ($expected, @args) = @_; ends(start(@args), $expected, "@args"); return; }

runs(0, 'help', 'lock');
runs(2, 'frob', '--json');
runs(0, 'complete', 'map', 'p');
runs(0, 'counter', 'increment', 'c', '5');
runs(1, 'counter', 'set', 'c', 'five', '--json');
runs(0, 'map', 'put', 'm', 'k', 'value', '--ttl', '1h');
runs(0, 'map', 'entries', 'm', '--json');
runs(4, 'map', 'get', 'm', 'nothing');
runs(0, 'status');
runs(0, 'session', 'list');
runs(17, 'lock', 'l', '--', 'sh', '-c', 'exit 17');
runs(127, 'lock', 'l', '--', 'no-such-command');
runs(0, 'elect', 'e', '--once', '--', 'true');

# Held by another one: not acquired, waited for, interrupted.
my $session = ctl_ok($node, 'session', 'open', '--ttl', '1h');
my (undef, $token) = split /\t/, ctl_ok($node, 'lock', 'try', $session, 'held');
runs(124, 'lock', 'held', '--try', '--', 'true');
runs(124, 'lock', 'held', '--timeout', '1s', '--', 'true');
my ($pid, $file) = start('lock', 'held', '--', 'true');
$node->poll_query_until('postgres', "SELECT count(*) = 2 FROM atomix.locks WHERE name = 'held'") or die;
ctl_ok($node, 'lock', 'release', $session, 'held');
ends($pid, $file, 0, 'waited for');

# Lost, with a crash before it.
($pid, $file) = start('lock', 'lost', '--ttl', '60s', '--', 'sh', '-c', 'echo $ATOMIX_TOKEN; exec sleep 1000');
($token) = await_line($file, qr/^\d+$/);
crash($node);
ctl_ok($node, 'lock', 'force-release', 'lost', $token);
ends($pid, $file, 123, 'lost');

# A watch, with a crash in the middle.
($pid, $file) = start('watch', 'm', '--count', '40');
my $n = 0;
until (-s $file)
{
	ctl_ok($node, 'map', 'put', 'm', 'k', ++$n);
}
crash($node);
for (1 .. 40)
{
	ctl_ok($node, 'map', 'put', 'm', 'k', ++$n);
}
ends($pid, $file, 0, 'a watch');

$node->stop('immediate');
runs(3, 'counter', 'get', 'c');
runs(125, 'lock', 'l', '--', 'true');

done_testing();
