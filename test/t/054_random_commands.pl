# A few thousand random commands of several sessions over several connections,
# with retries, duplicates, batches, lost replies, acknowledgements and a crash
# of the server in the middle.  The client is a program of its own in Python,
# with Debian's protobuf and a filter and a model of its own.

use strict;
use warnings;

use File::Find;
use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node);
use IPC::Run qw(start pump finish timeout);
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{ATOMIX_TEST_SEED} // int(rand(1e9));
my $commands = 6000;
my $seconds = 25;
my $node = new_node('random_commands', 'deadlock_timeout = 100ms');
my $proto_dir = "$FindBin::RealBin/../../proto";
my $python_dir = PostgreSQL::Test::Utils::tempdir();
my @proto_files;

note "seed $seed";
find(sub { push @proto_files, $File::Find::name if /\.proto$/ },
	"$proto_dir/atomix/multiraft");
system_or_bail('protoc', "-I$proto_dir", "--python_out=$python_dir", @proto_files);

my ($in, $out, $errors) = ('', '', '');
my $client = start(
	[
		'/usr/bin/python3', "$FindBin::RealBin/../python/random_commands.py",
		$python_dir, $node->host . '/.s.PGSQL.' . $node->port,
		scalar(getpwuid($<)), $seed, $commands, $seconds
	],
	'<', \$in, '>', \$out, '2>', \$errors, timeout(120));

pump $client until $out =~ /^restart$/m || !$client->pumpable;
if ($out =~ /^restart$/m)
{
	$node->stop('immediate');
	$node->start;
	$in .= "restarted\n";
}
finish $client;

my ($done) = $out =~ /^done: (.*)$/m;

ok(defined $done, "all answers and the final state are those of the model, seed $seed")
  or diag("$out$errors");
note $done if defined $done;

# The load was what it is meant to be.
my %count = reverse(($done // '') =~ /(\d+) ([\w-]+)/g);

cmp_ok($count{commands} // 0, '>=', $commands, 'so many commands');
cmp_ok($count{$_} // 0, '>', 10, "with $_")
  for qw(lost duplicates late reused keep-alives batches);

my $log = slurp_file($node->logfile);

unlike($log, qr/deadlock detected/, 'no deadlock');
unlike($log, qr/PANIC|TRAP|signal 11/, 'no crash of its own');

$node->stop;
done_testing();
