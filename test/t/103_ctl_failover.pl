# Under "lock" and "watch" a server may crash and come back, or a standby take
# over: who comes back in time has lost nothing, and what a watch cannot
# know it says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(await_line connection ctl ctl_ok exit_code lines start_ctl under_lock);
use AtomixTest qw(crash await_beat);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('first');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'atomix'\n"
	  . "wal_sender_timeout = 0\nwal_receiver_timeout = 0");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION atomix');
ctl_ok($node, 'map', 'put', 'prices', 'apple', '0');

# A crash: lock, elect and watch go on.
my $held = "$directory/held";
my $led = "$directory/led";
my $seen = "$directory/seen";
my $go = "$directory/go";
my @until_go = ($^X, '-MTime::HiRes=usleep', '-e',
	'open my $o, ">>", $ARGV[0]; syswrite $o, "$ENV{ATOMIX_TOKEN}\n"; usleep 10000 until -e $ARGV[1]; exit 17');
my $lock = start_ctl($node, "$held.log", 'lock', 'job', '--ttl', '20s', '--', @until_go, $held, $go);
my $elect = start_ctl($node, "$led.log", 'elect', 'boss', '--ttl', '20s', '--once', '--',
	@until_go, $led, $go);
my $watch = start_ctl($node, $seen, 'watch', 'prices', '--json');
await_line($held, qr/^\d+$/);
await_line($led, qr/^\d+$/);
# The watch has begun when a change is seen; those before it were not missed.
my $puts = 0;
until (grep { /"apple"/ } lines($seen))
{
	ctl_ok($node, 'map', 'put', 'prices', 'apple', ++$puts);
	Time::HiRes::usleep(50_000);
}
my ($first) = (lines($seen))[0] =~ /"value": "(\d+)"/;

my $token = (lines($held))[0];
crash($node);
ctl_ok($node, 'map', 'put', 'prices', 'apple', ++$puts) for 1 .. 5;
await_line($seen, qr/"value": "$puts"/);
is_deeply([ map { /"value": "(\d+)"/ } lines($seen) ], [ $first .. $puts ],
	'the watch has told every change once, in order, across the crash');
is(ctl_ok($node, 'lock', 'check', 'job', $token), 'yes', 'the lock is still held after the crash');
is(scalar(lines($held)), 1, 'its command was started once');

# A promotion, by a connection string with both.
await_beat($node);
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('second');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $both = sprintf "host=%s,%s port=%s,%s dbname=postgres target_session_attrs=read-write",
  $node->host, $standby->host, $node->port, $standby->port;
my $over = "$directory/over";
my $changes = "$directory/changes";
my $second = start_ctl($both, "$over.log", 'lock', 'moving', '--ttl', '30s', '--', @until_go, $over, $go);
my $watch2 = start_ctl($both, $changes, 'watch', 'prices');
await_line($over, qr/^\d+$/);
until (lines($changes))
{
	ctl_ok($node, 'map', 'put', 'prices', 'pear', ++$puts);
	Time::HiRes::usleep(50_000);
}
my $moving = (lines($over))[0];
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
$node->stop('immediate');
$standby->promote;

is(exit_code($watch2), 6, 'a watch says that its position means nothing any more');
like(slurp_file("$changes.err"), qr/no longer kept/, 'and why');
is(ctl_ok($both, 'lock', 'check', 'moving', $moving), 'yes', 'the lock is held on the new primary');
append_to_file($go, '');
is(exit_code($second), 17, 'the command ended by itself, and so did its lock');
is(ctl_ok($both, 'lock', 'moving', '--try', '--', 'echo', 'free'), 'free', 'which is free at once');

# Those that know of the old primary only.
is(exit_code($lock), 17, 'without a server the command still ends by itself');
like(slurp_file("$held.log.err"), qr/becomes free when the timeout is over/, 'and it is said what became of the lock');
is(exit_code($elect), 17, 'so does elect --once');
kill 'TERM', $watch;
is(exit_code($watch), 0, 'a watch ends when it is told to');
like((lines($seen))[-1], qr/^\{"position": \d+\}$/, 'with the position to go on from');

$standby->stop;
done_testing();
