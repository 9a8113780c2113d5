# A primary that has to ask a standby does not go on confirming leases in
# memory once the standby has stopped to answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_beat await_waiting keep_alive_place new_node new_standby
  open_session session_state start_query);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# The least timeout of 8 s: a beat every half second, confirmed in the last
# second.
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', q{
shared_preload_libraries = 'atomix'
atomix.min_session_timeout = 8s
autovacuum = off
});
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION atomix');
my $id = open_session($primary, '800 s');
my $other = open_session($primary, '800 s');
is(keep_alive_place($primary, $_), 'memory', 'without standbys memory serves') for $id, $other;

my $standby = new_standby($primary, 'standby');
$primary->wait_for_catchup($standby);

# Wait until a renewal goes by memory again.
sub await_memory
{
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $until)
	{
		return 1 if keep_alive_place($primary, $id) eq 'memory';
		usleep(50_000);
	}
	return 0;
}

$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT sync_state FROM pg_stat_replication", 'sync');
ok(await_memory(), 'memory serves while the standby confirms the beats');

# A connection that knows its plans; a renewal in memory does not wait.
my $psql = $primary->background_psql('postgres', on_error_stop => 0);
my $pid = $psql->query_safe("SET atomix._coalesce_renewals = off; SELECT pg_backend_pid()");

for my $round ('stopped', 'gone')
{
	# The standby does not answer any more.
	my $receiver = $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
	if ($round eq 'stopped')
	{
		kill('STOP', $receiver) or die 'no walreceiver';
	}
	else
	{
		$standby->stop('immediate');
	}
	my $silent_since = time;

	# Renewals are answered at once as long as memory serves; the first that
	# takes the row waits.
	my ($n, $waits, $last_served) = (0, 0, $silent_since);
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;
	while (!$waits && time < $until)
	{
		my $begun = time;

		$n++;
		$psql->{stdout} = '';
		$psql->{stdin} .= "SELECT atomix.keep_alive($id) IS NOT NULL;\n\\echo answered $n\n";
		while (time < $until)
		{
			$psql->{run}->pump_nb;
			last if $psql->{stdout} =~ /^answered $n$/m;
			$waits = $primary->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity
				WHERE pid = $pid AND wait_event = 'SyncRep'");
			last if $waits;
			usleep(10_000);
		}
		$last_served = $begun if !$waits;
		usleep(20_000);
	}
	ok($waits, "$round: a renewal waits for the standby");
	note "it did after $n renewals";

	# No beat that began since is confirmed, and an eighth of the least
	# timeout is a second.
	cmp_ok($last_served - $silent_since, '<', 1.25,
		"$round: memory confirmed none that began later than it may");

	# It stays so.
	my $second = $primary->background_psql('postgres', on_error_stop => 0);
	my $second_pid = $second->query_safe('SELECT pg_backend_pid()');
	start_query($second, "SET atomix._coalesce_renewals = off;
		SELECT atomix.keep_alive($other) IS NOT NULL");
	ok(await_waiting($primary, $second_pid, 'IPC SyncRep'),
		"$round: renewals of other connections wait, too");
	is(session_state($primary, $id), 'opened', "$round: the session lives");

	# Back again.
	if ($round eq 'stopped')
	{
		kill('CONT', $receiver);
	}
	else
	{
		$standby->start;
	}
	like($psql->query('SELECT 1'), qr/^t$/m, "$round: it is answered when the standby returns");
	like($second->query('SELECT 1'), qr/^t$/m, "$round: the other as well");
	$second->quit;
	ok(await_memory(), "$round: then memory serves again");
}

$psql->quit;
$standby->stop;
$primary->stop('immediate');
done_testing();
