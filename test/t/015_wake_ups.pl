# No wake-up of the worker is lost: neither that of a session opened while the
# last one ends, nor that of a change told of only after a rollback.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_notification await_worker new_node open_session);
use Test::More;
use Time::HiRes qw(time usleep);

# These are real times: moving the clock would wake the worker.
my $node = new_node('wake_ups', 'atomix.min_session_timeout = 100ms',
	'atomix.hint_interval = 20ms', 'autovacuum = off');
await_worker($node, 'postgres');

#
# The last session is closed, and another one opened, at about the same time.
#

my $closer = $node->background_psql('postgres');
my $opener = $node->background_psql('postgres');
my $watcher = $node->background_psql('postgres');

# How long one that nothing else keeps the worker awake for takes to expire.
sub longest_expiry
{
	my ($rounds) = @_;
	my $longest = 0;

	for my $round (1 .. $rounds)
	{
		my $long = $opener->query_safe("SELECT atomix.open_session('1 h')");
		my $began = time;

		# Both are sent before either is waited for.
		$closer->{stdin} .= sprintf(
			"SELECT pg_sleep(%f);\nSELECT atomix.close_session(%s);\n",
			rand(0.02), $long);
		$closer->{run}->pump_nb;
		my $id = $opener->query_safe(
			sprintf('SELECT pg_sleep(%f) \gset
				SELECT atomix.open_session(\'100 ms\')', rand(0.02)));
		$closer->query_safe('SELECT 1');

		while ($watcher->query_safe(
				"SELECT count(*) FROM atomix.lease WHERE session_id = $id") != 0)
		{
			return time - $began if time - $began > 40;
			usleep(5_000);
		}
		$longest = time - $began if time - $began > $longest;
	}
	return $longest;
}

cmp_ok(longest_expiry(100), '<', 30,
	'a session opened while the last one is closed ends on time');
$_->quit for $closer, $opener, $watcher;

#
# A change that a rolled-back transaction kept from being told.
#

$node->append_conf('postgresql.conf', 'atomix.hint_interval = 2s');
$node->reload;
$node->poll_query_until('postgres', 'SHOW atomix.hint_interval', '2s');

my $holder = $node->background_psql('postgres');
my $listener = $node->background_psql('postgres');

# Wait until a session's latest change is numbered.
sub await_version
{
	my ($id) = @_;

	return $node->poll_query_until('postgres',
		"SELECT version IS NOT NULL FROM atomix.session WHERE session_id = $id");
}

$listener->query_safe('LISTEN atomix_sessions');
for my $end ('ROLLBACK', 'ROLLBACK TO s; COMMIT')
{
	my ($hidden, $beside);

	for my $attempt (1 .. 10)
	{
		await_version(open_session($node, '1 h')) or die 'nothing is told';
		# Within hint_interval of that:
		$hidden = $holder->query_safe("SELECT atomix.open_session('1 h')");
		$holder->query_safe(
			"BEGIN; SAVEPOINT s; SELECT atomix.close_session($hidden)");
		$beside = $holder->query_safe(
			"SELECT coalesce((SELECT version FROM atomix.session s
			  WHERE session_id = $hidden), 0)");
		last if $node->safe_psql('postgres',
			"SELECT version IS NULL FROM atomix.session WHERE session_id = $hidden") eq 't';
		$holder->query_safe('ROLLBACK');
	}
	$beside = open_session($node, '1 h');
	await_version($beside) or die 'nothing is told';
	is($node->safe_psql('postgres',
			"SELECT version IS NULL FROM atomix.session WHERE session_id = $hidden"),
		't', 'a session that is being closed is not told of');
	$holder->query_safe($end);
	ok(await_version($hidden), "it is after $end, without another commit");
	ok(scalar(await_notification($listener, qr/^$hidden /)), 'listeners hear of it');
}

$_->quit for $holder, $listener;
$node->stop;
done_testing();
