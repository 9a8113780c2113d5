# Two "atomixctl lock" never run their commands at the same time, whichever of
# atomixctl and its command is killed, and how.  Tokens grow from one to the
# next.  test/t-full/101 is the long form.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(ctl lines start_ctl under_lock);
use AtomixTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = $ENV{ATOMIX_ROUNDS} || 20;
my $node = new_node('lock');
my $effects = PostgreSQL::Test::Utils::tempdir() . "/effects";

# The process that works under the lock now, 0 if it cannot be told.
sub worker
{
	my @lines = lines($effects);

	return @lines && $lines[-1] =~ /^\d+ (\d+) / ? $1 : 0;
}

# Who is killed in a round: most of the time nobody.
my %victims = (3 => 'KILL supervisor', 5 => 'KILL command', 8 => 'TERM supervisor',
	11 => 'STOP command', 14 => 'KILL supervisor');
my (%running, %ended);
my $started = 0;

while ($started < $rounds || %running)
{
	while ($started < $rounds && keys %running < 2)
	{
		$running{ start_ctl($node, "$effects.out", 'lock', 'job', '--ttl', '1s',
				'--', under_lock($effects, 10, 5)) } = ++$started;
	}
	my $victim = $victims{ $started % 16 } // '';
	if ($victim)
	{
		my ($signal, $who) = split / /, $victim;
		my $worker = worker();
		my ($supervisor) = sort { $running{$a} <=> $running{$b} } keys %running;

		kill $signal, $who eq 'supervisor' ? $supervisor : $worker
		  if $who eq 'supervisor' || $worker;
		kill 'CONT', $worker if $signal eq 'STOP' && $worker;
	}
	my $pid = wait();
	my $how = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
	$ended{$how}++;
	delete $running{$pid};
}
note "$_: $ended{$_}" foreach sort keys %ended;
cmp_ok($ended{0} // 0, '>=', $rounds / 2, 'most commands ended by themselves');
cmp_ok($ended{'signal 9'} // 0, '>', 0, 'some were killed');

my ($last, $overlaps, $backwards, %seen) = (0, 0, 0);
foreach my $line (lines($effects))
{
	my ($token) = $line =~ /^(\d+) \d+ \d+ [\d.]+$/ or die "bad line: $line";

	next if $token == $last;
	$overlaps++ if $seen{$token}++;
	$backwards++ if $token < $last;
	$last = $token;
}
is($overlaps, 0, 'nobody worked while another one did');
is($backwards, 0, 'tokens grew');
cmp_ok(scalar keys %seen, '>=', $rounds / 2, 'many have worked');

# A place in the queue of one who was killed is in the way until it expires.
is((ctl($node, 'lock', 'job', '--timeout', '30s', '--', 'true'))[0], 0, 'it can be had in the end');

$node->stop;
done_testing();
