# Through PgBouncer in transaction mode: locks, elections and watches work, by
# looking where they would be told otherwise, and leave nothing on the server's connections.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(await_line ctl ctl_ok exit_code lines start_ctl under_lock);
use AtomixPgBouncer qw(pgbouncer_program);
use AtomixTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'PgBouncer is not installed (Debian package pgbouncer)'
  if !defined pgbouncer_program();

my $node = new_node('bounced', "log_statement = 'all'");
my $pooler = AtomixPgBouncer->new($node, pool_size => 3);
my $directory = PostgreSQL::Test::Utils::tempdir();

# Locks
my $effects = "$directory/effects";
my @pids = map { start_ctl($pooler, "$directory/lock$_", 'lock', 'job', '--ttl', '5s', '--', under_lock($effects, 20, 2)) } 1 .. 4;
is(exit_code($_), 0, 'a command ran under the lock') foreach @pids;
my ($last, %seen) = (0);
foreach my $line (lines($effects))
{
	my ($token) = $line =~ /^(\d+)/;

	die 'overlap' if $token != $last && $seen{$token}++;
	$last = $token;
}
is(scalar keys %seen, 4, 'one after the other');

# What is taken away is noticed by looking.
my $pid = start_ctl($pooler, "$directory/forced", 'lock', 'forced', '--ttl', '60s', '--grace', '1s', '--',
	under_lock("$effects.forced", 100000, 5));
my ($token) = await_line("$effects.forced", qr/^\d+ \d+ 1 /) =~ /^(\d+)/;
is(ctl_ok($pooler, 'lock', 'force-release', 'forced', $token), 'yes', 'a lock is taken away');
is(exit_code($pid), 123, 'its command is ended');

# Watches
ctl_ok($pooler, 'counter', 'set', 'c', '0');
my $watch = start_ctl($pooler, "$directory/watch", 'watch', 'c', '--poll', '50ms');
my $n = 0;
until (lines("$directory/watch"))
{
	ctl_ok($pooler, 'counter', 'set', 'c', ++$n);
}
my ($first) = (lines("$directory/watch"))[0] =~ /^\d+\tset\t\t(\d+)/;
ctl_ok($pooler, 'counter', 'set', 'c', ++$n) for 1 .. 10;
await_line("$directory/watch", qr/\tset\t\t$n\t/);
is_deeply([ map { (split /\t/)[3] } lines("$directory/watch") ], [ $first .. $n ], 'all changes are seen, in order');
kill 'TERM', $watch;
is(exit_code($watch), 0, 'the watch ends');

# Elections
my $leader = start_ctl($pooler, "$directory/leader", 'elect', 'boss', '--candidate', 'a', '--', under_lock("$effects.lead", 100000, 5));
await_line("$effects.lead", qr/^\d+ \d+ 1 /);
is((split /\t/, ctl_ok($pooler, 'election', 'leader', 'boss'))[0], 'a', 'one leads');
kill 'TERM', $leader;
is(exit_code($leader), 143, 'until it is told to end');
is((ctl($pooler, 'election', 'leader', 'boss'))[0], 4, 'nobody leads');

unlike(slurp_file($node->logfile), qr/LISTEN/, 'nobody listens through the pooler');

$pooler->stop;
$node->stop;
done_testing();
