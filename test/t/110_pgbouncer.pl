# The whole interface through PgBouncer in transaction mode: every function of
# the catalog does its work while the transactions of its client hop from one
# server connection to another, whatever protocol the client speaks, while it
# reconnects, and while server connections are replaced.  Nothing of a client
# is left on a server connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixPgBouncer qw(pgbouncer_program pgbouncer_version);
use AtomixScenario qw(play_scenario prepare_scenario scenario_is_complete_ok);
use AtomixTest qw(await_state await_worker new_node open_session psql_sqlstate
  start_query);
use Test::More;

plan skip_all => 'PgBouncer is not installed (Debian package pgbouncer)'
  if !defined pgbouncer_program();

my $node = new_node('pooled', 'atomix.min_session_timeout = 1s', 'max_connections = 60');
await_worker($node, 'postgres');

prepare_scenario($node);
scenario_is_complete_ok($node);

#
# Modes.
#

my %modes = (simple => {}, extended => {});
# Older versions know nothing of statements prepared in the protocol.
$modes{prepared} = { max_prepared_statements => 200 } if pgbouncer_version() >= 1.021;

# What a server connection might have of its clients: settings that differ from
# those of a fresh one, locks, listening, temporary objects, statements.
my $leftovers = q{
	SELECT pg_backend_pid(),
		(SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
		 WHERE source IN ('session', 'override') AND name NOT IN ('client_encoding', 'application_name',
			'is_superuser', 'session_authorization', 'role', 'transaction_isolation', 'transaction_read_only',
			'transaction_deferrable', 'DateStyle', 'TimeZone', 'standard_conforming_strings')) AS settings,
		(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
			AND locktype IN ('advisory', 'userlock', 'object')) AS locks,
		(SELECT count(*) FROM pg_listening_channels()) AS channels,
		pg_my_temp_schema() AS temporary,
		(SELECT count(*) FROM pg_cursors WHERE name <> '') AS cursors};

for my $mode (sort keys %modes)
{
	my $pooled = AtomixPgBouncer->new($node, %{ $modes{$mode} });
	my %clean;

	play_scenario($pooled, $mode, "$mode: every function", '--transactions=2');
	play_scenario($pooled, $mode, "$mode: a connection for each scenario", '--transactions=2', '--connect');
	my ($fresh) = $node->safe_psql('postgres', $leftovers) =~ /^\d+(\|.*)$/;
	for (1 .. 8)
	{
		my ($pid, $state) = $pooled->safe_psql('postgres', $leftovers) =~ /^(\d+)(\|.*)$/;

		$clean{$pid} = $state;
	}
	cmp_ok(scalar(keys %clean), '>', 1, "$mode: transactions have met several server connections");
	is_deeply([ values %clean ], [ map { $fresh } values %clean ], "$mode: nothing is left on any of them");
	$pooled->stop;
}

#
# Server connections that go: after each transaction, and under their clients.
#

# A server connection lasts a second, then another one takes its place.
my $pooled = AtomixPgBouncer->new($node, server_lifetime => 1);
my %before = map { $pooled->safe_psql('postgres', 'SELECT pg_backend_pid()') => 1 } 1 .. 4;
play_scenario($pooled, 'extended', 'every function while server connections are replaced', '--time=3');
my %after = map { $pooled->safe_psql('postgres', 'SELECT pg_backend_pid()') => 1 } 1 .. 4;
is(scalar(grep { $before{$_} } keys %after), 0, 'which none of the first has survived');
$pooled->stop;

$pooled = AtomixPgBouncer->new($node, users => ['someone'],
	databases => { renewals => 'dbname=postgres pool_size=1 min_pool_size=1' });

# The outcome of a call whose connection was ended is unknown; asked again under
# its number, it has been done once.
my $session = open_session($pooled, '10 min');
my $kill = 'SELECT pg_terminate_backend(pg_backend_pid())';
my $done = 0;
for my $number (1 .. 16)
{
	my $call = "SELECT atomix.counter_increment('killed', session_id => $session, sequence_num => $number)";
	my ($first) = (
		"$call; $kill", "$kill; $call", "BEGIN; $call; $kill; COMMIT", "BEGIN; $call; COMMIT; $kill"
	)[ $number % 4 ];

	# The client loses its connection at its end in each case.
	is($pooled->psql('postgres', $first, on_error_stop => 0), 2, "call $number: the connection is lost");
	$done++ if $pooled->safe_psql('postgres', $call) == $number;
}
is($done, 16, 'numbered calls are executed once, however often a connection is lost');
is($node->safe_psql('postgres', "SELECT atomix.counter_get('killed')"), 16, 'all of them');

#
# Roles that share server connections by SET LOCAL ROLE.
#

$node->safe_psql('postgres', q{
	CREATE ROLE ann; CREATE ROLE bob; CREATE ROLE someone LOGIN;
	GRANT ann, bob TO someone; GRANT USAGE ON SCHEMA atomix TO PUBLIC});
my $own = $pooled->safe_psql('postgres', q{
	BEGIN; SET LOCAL ROLE ann; SELECT atomix.open_session('10 min'); COMMIT});
for my $round (1 .. 4)
{
	is(psql_sqlstate($pooled, "BEGIN; SET LOCAL ROLE bob; SELECT atomix.keep_alive($own); COMMIT"),
		'MX001', "round $round: the session of another role is unknown");
	is(psql_sqlstate($pooled, "BEGIN; SET LOCAL ROLE ann; SELECT atomix.keep_alive($own); COMMIT"),
		'00000', "round $round: and renewed by its own");
}

#
# Waiting takes a server connection; renewals have a pool of their own.
#

my $holder = open_session($pooled, '10 min');
$node->safe_psql('postgres', "SELECT atomix.lock_try($holder, 'busy')");
my (@waiters, @waiting);
for my $number (1 .. 4)
{
	my $id = open_session($pooled, '10 min');
	my $ticket = $pooled->safe_psql('postgres', "SELECT ticket FROM atomix.lock_acquire($id, 'busy')");
	my $client = $pooled->background_psql('postgres', on_error_stop => 0);

	start_query($client, "SELECT granted FROM atomix.wait_ticket($id, $ticket, '10 s')");
	push @waiters, $client;
	push @waiting, $id;
}
ok($node->poll_query_until('postgres', q{
		SELECT count(*) = 4 FROM pg_stat_activity
		WHERE query LIKE '%wait_ticket%' AND wait_event = 'Extension'}),
	'four clients wait on the four server connections');
is($pooled->safe_psql('renewals', "SELECT atomix.keep_alive($holder)"), '00:10:00',
	'meanwhile sessions are renewed through their own pool');
$node->safe_psql('postgres', "SELECT atomix.close_session($holder)");
is($waiters[0]->query('') =~ /t/ ? 't' : '', 't', 'who waits hears of its turn');
$node->safe_psql('postgres', "SELECT atomix.close_session($_)") for @waiting;
$_->quit for @waiters;

# Expiry needs no connection of the client's.
my $short = open_session($pooled, '1 s');
$pooled->stop;
ok(await_state($node, $short, 'expired'), 'sessions expire when the pooler is gone');

ok(!$node->log_contains(qr/PANIC:|server process .* was terminated by signal/), 'nothing crashed');
$node->stop;
done_testing();
