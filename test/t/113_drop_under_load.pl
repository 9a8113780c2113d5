# DROP EXTENSION and CREATE EXTENSION again and again while clients are at
# work, also in two databases at once: whoever is met gets an error that says
# what is the matter, nothing crashes, no worker stays behind, and what is
# created anew works.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_no_worker await_state await_worker new_node open_session
  psql_sqlstate);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dropped', 'max_connections = 40', 'deadlock_timeout = 50ms');
my @databases = qw(postgres other);

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION atomix');

# What clients do all the time, and what they are answered.
for my $database (@databases)
{
	await_worker($node, $database);
	$node->safe_psql($database, q{
		CREATE UNLOGGED TABLE answer (code text, message text,
			at timestamptz DEFAULT clock_timestamp());
		CREATE PROCEDURE work(me int) LANGUAGE plpgsql AS $$
		DECLARE
			code text := '00000';
			said text;
			session bigint;
		BEGIN
			BEGIN
				session := atomix.open_session('10 min');
				PERFORM atomix.keep_alive(session);
				PERFORM atomix.counter_increment('c', session_id => session, sequence_num => 1);
				PERFORM atomix.lock_try(session, 'l' || me);
				PERFORM atomix.map_put_text('m', me::text, 'v', '1 s');
				PERFORM count(*) FROM atomix.sessions;
				PERFORM atomix.close_session(session);
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
			END;
			IF code <> '00000' THEN
				ROLLBACK;
			END IF;
			INSERT INTO answer (code, message) VALUES (code, said);
			COMMIT;
		END $$});
}

my $script = PostgreSQL::Test::Utils::tempdir() . '/load';
PostgreSQL::Test::Utils::append_to_file($script, "CALL work(:client_id);\n");
my (%load, %out);
for my $database (@databases)
{
	$out{$database} = '';
	$load{$database} = IPC::Run::start(
		[ 'pgbench', '--no-vacuum', '--client=3', '--time=120', '--file', $script,
			$node->connstr($database) ],
		'<', \undef, '>', \$out{$database}, '2>&1');
}

sub await_answers
{
	my ($database, $condition) = @_;

	my $now = $node->safe_psql($database, 'SELECT clock_timestamp()');

	return $node->poll_query_until($database,
		"SELECT count(*) >= 20 FROM answer WHERE $condition AND at > '$now'");
}

# A statement that may meet the clients in a deadlock is tried again.
sub run_until_done
{
	my ($database, $statement) = @_;

	for (1 .. 100)
	{
		my $state = psql_sqlstate($node, $statement, $database);

		return $state if $state ne '40P01';
	}
	return 'deadlocks';
}

my @failed;
for my $round (1 .. 4)
{
	for my $database (@databases)
	{
		await_answers($database, "code = '00000'")
		  or push @failed, "round $round: nobody works in $database";
		my $state = run_until_done($database, 'DROP EXTENSION atomix');
		push @failed, "round $round: DROP EXTENSION in $database: $state" if $state ne '00000';
		await_answers($database, "code <> '00000'")
		  or push @failed, "round $round: nobody misses the extension in $database";
	}
	# Both at the same time.
	my %creating = map { $_ => $node->background_psql($_) } @databases;
	$_->query_safe('BEGIN; CREATE EXTENSION atomix') for values %creating;
	$_->query_safe('COMMIT') for values %creating;
	$_->quit for values %creating;
}
is_deeply(\@failed, [], 'dropped under load and created anew, in both databases');

# All in one transaction.
is(run_until_done('postgres', 'BEGIN; DROP EXTENSION atomix; CREATE EXTENSION atomix; COMMIT'),
	'00000', 'dropped and created in one transaction');
is(run_until_done('postgres', 'BEGIN; DROP EXTENSION atomix; ROLLBACK'),
	'00000', 'a drop that is rolled back');

# What clients may have been told: there is no such schema, function, relation
# or extension; somebody else was first; not yet ready; the session has gone
# with the extension that knew it.
my %expected = map { $_ => 1 } qw(00000 3F000 42883 42P01 42704 55000 40P01 40001 57P03 MX001);
for my $database (@databases)
{
	ok(await_answers($database, "code = '00000'"), "$database: clients work again");
	$load{$database}->pump_nb;
	ok($load{$database}->pumpable && $out{$database} !~ /aborted/, "$database: none has lost its connection")
	  or diag($out{$database});
}
my @told = grep { !$expected{$_} } map { /^([0-9A-Z]{5})$/ }
  split /\n/, join "\n", map { $node->safe_psql($_, 'SELECT DISTINCT code FROM answer') } @databases;
is_deeply(\@told, [], 'and none was told anything strange')
  or diag(map { $node->safe_psql($_, "SELECT DISTINCT code || ' ' || message FROM answer") } @databases);
my @strange = grep { my ($code) = /ERROR:\s+([0-9A-Z]{5}):/; defined $code && !$expected{$code} }
  split /\n/, slurp_file($node->logfile);
is_deeply(\@strange, [], 'nor does the log know of anything');

for my $database (@databases)
{
	$load{$database}->signal('INT');
	$load{$database}->finish;
	await_worker($node, $database);
	my $id = open_session($node, '10 s', $database);
	advance_clock($node, '12 s');
	ok(await_state($node, $id, 'expired', $database), "$database: the worker ends sessions");
}
is($node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'atomix worker'}), '2',
	'each database has one worker');

# For good, with clients that still know it.
my $client = $node->background_psql('other', on_error_stop => 0);
my $id = $client->query_safe("SELECT atomix.open_session('10 min')");
$node->safe_psql('other', 'DROP EXTENSION atomix CASCADE');
ok(await_no_worker($node, 'other'), 'the worker goes with the extension');
$client->query("SELECT atomix.keep_alive($id)");
like($client->{stderr}, qr/ERROR: .*(does not exist|not installed)/, 'a client that lasted is told');
$client->{stderr} = '';
$client->quit;

ok(!$node->log_contains(qr/PANIC:|was terminated by signal|cache lookup failed|could not open relation/),
	'nothing crashed, and nobody stumbled over what was gone');
$node->stop;
done_testing();
