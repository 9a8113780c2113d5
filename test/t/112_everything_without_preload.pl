# Without shared_preload_libraries every function does its work, by each
# protocol; only expiry waits for tick(), and one notice per connection says so.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixScenario qw(play_scenario prepare_scenario scenario_is_complete_ok);
use AtomixTest qw(session_state);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('bare');
$node->init;
$node->append_conf('postgresql.conf', q{
log_min_messages = notice
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION atomix');
prepare_scenario($node);
scenario_is_complete_ok($node);
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'nothing is preloaded');

for my $protocol (qw(simple extended prepared))
{
	my $offset = -s $node->logfile;

	play_scenario($node, $protocol, "$protocol: every function works without preload",
		'--transactions=2');
	my $log = slurp_file($node->logfile, $offset);
	my $notices = () = $log =~ /NOTICE:  sessions expire only when atomix\.tick\(\) is called/g;

	is($notices, 3, "$protocol: each of the three clients had one notice");
}

# Sessions that nobody keeps alive are there until a tick, and what they held is
# passed on by it.
my ($first, $second) = map { $node->safe_psql('postgres', "SELECT atomix.open_session('$_')") } '1 s', '10 min';
$node->safe_psql('postgres', "SELECT atomix.lock_try($first, 'l')");
my $ticket = $node->safe_psql('postgres', "SELECT ticket FROM atomix.lock_acquire($second, 'l')");
$node->poll_query_until('postgres',
	"SELECT deadline < clock_timestamp() FROM atomix.sessions WHERE session_id = $first");
is(session_state($node, $first), 'opened', 'a session is there after its deadline');
is($node->safe_psql('postgres', 'SELECT atomix.tick()'), 1, 'until tick()');
is(session_state($node, $first), 'expired', 'which ends it');
is($node->safe_psql('postgres', "SELECT granted FROM atomix.wait_ticket($second, $ticket, '0')"), 't',
	'and passes on what it held');

# Who needs what it holds need not wait for a tick.
$first = $node->safe_psql('postgres', "SELECT atomix.open_session('1 s')");
$node->safe_psql('postgres', "SELECT atomix.lock_try($first, 'm')");
$node->poll_query_until('postgres',
	"SELECT deadline < clock_timestamp() FROM atomix.sessions WHERE session_id = $first");
is($node->safe_psql('postgres', "SELECT granted FROM atomix.lock_try($second, 'm')"), 't',
	'who asks for the lock of a dead session gets it without a tick');

$node->stop;
done_testing();
