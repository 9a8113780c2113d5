# What wait_events answers: false when the time is over and true for a session
# that has ended; for how long it waits at most; what it refuses; and that it
# can be interrupted like any other call.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_state new_node open_session
  psql_sqlstate query_error start_wait wait_answer);
use Test::More;

my $node = new_node('answers', 'autovacuum = off');
my $waiter = $node->background_psql('postgres', on_error_stop => 0);

$node->safe_psql('postgres', q{
	CREATE ROLE owner LOGIN;
	CREATE ROLE member LOGIN IN ROLE owner;
	CREATE ROLE stranger LOGIN;
	GRANT USAGE ON SCHEMA atomix TO PUBLIC});
my $id = $node->safe_psql('postgres', q{SET ROLE owner; SELECT atomix.open_session('1 d')});
await_beat($node);

# The answer to a call and how many seconds it took.
sub answer
{
	my ($call) = @_;

	return split /\|/, $node->safe_psql('postgres', qq{
		SELECT began AS t FROM clock_timestamp() AS began \\gset
		SELECT $call, extract(epoch FROM clock_timestamp() - :'t')});
}

#
# Time.
#

is((answer("atomix.wait_events($id, '0')"))[0], 'f', 'no time: false');
for my $span ('1 microsecond', '300 ms', '1.2 s')
{
	my ($answer, $took) = answer("atomix.wait_events($id, '$span')");

	is($answer, 'f', "false after $span");
	ok($node->safe_psql('postgres',
			"SELECT $took >= extract(epoch FROM interval '$span') AND $took < 9") eq 't',
		'not sooner and not much later') or diag "it took $took s";
}

# The longest wait is the server's to say.
for my $timeout ("'20 s'", "'100000000 d'", 'NULL')
{
	start_wait($node, $waiter, $id, $timeout);
	advance_clock($node, '12 s');
	is((wait_answer($waiter))[0], 'f', "at most atomix.max_wait for $timeout");
}
$node->append_conf('postgresql.conf', "atomix.max_wait = '300 ms'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.max_wait') = '300ms'");
for my $call ("atomix.wait_events($id, '1 h')", "atomix.wait_events($id, NULL)",
	"atomix.wait_events($id)")
{
	my ($answer, $took) = answer($call);

	is($answer, 'f', "$call: false");
	cmp_ok($took, '>=', 0.3, 'after atomix.max_wait');
	cmp_ok($took, '<', 9, 'and no later');
}
$node->append_conf('postgresql.conf', 'atomix.max_wait = 0');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.max_wait') = '0'");
is((answer("atomix.wait_events($id, '1 h')"))[0], 'f', 'the longest wait may be none');
$node->append_conf('postgresql.conf', "atomix.max_wait = '10 min'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.max_wait') = '10min'");

# A longer one, of which most is over at once.
start_wait($node, $waiter, $id, "'1 h'");
advance_clock($node, '5 min');
my $began = $node->safe_psql('postgres', 'SELECT extract(epoch FROM clock_timestamp())');
advance_clock($node, '6 min');
my ($answer, $woke) = wait_answer($waiter);
is($answer, 'f', 'ten minutes');
cmp_ok($woke, '>', $began, 'and not five');

#
# Sessions that have ended: true at once, though there is plenty of time.
#

my %ended;
$ended{'a closed session'} = open_session($node, '10 s');
$node->safe_psql('postgres', "SELECT atomix.close_session($ended{'a closed session'})");
$ended{'a session that was ended'} = open_session($node, '10 s');
$node->safe_psql('postgres',
	"SELECT atomix.end_session($ended{'a session that was ended'}, 'test')");
$ended{'an expired session'} = open_session($node, '10 s');
advance_clock($node, '12 s');
await_state($node, $ended{'an expired session'}, 'expired');
for my $what (sort keys %ended)
{
	my ($said, $took) = answer("atomix.wait_events($ended{$what}, '5 min')");

	is($said, 't', "$what: true");
	cmp_ok($took, '<', 9, 'at once');
	is((answer("atomix.wait_events($ended{$what}, '0')"))[0], 't', 'without waiting as well');
}

# What was seen before does not matter.
my $seen = open_session($node, '1 d');
my $reader = $node->background_psql('postgres', on_error_stop => 0);
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM atomix.sessions');
is($reader->query_safe("SELECT atomix.wait_events($seen, '0')"), 'f',
	'a session that lives, in REPEATABLE READ');
$node->safe_psql('postgres', "SELECT atomix.close_session($seen)");
is($reader->query_safe("SELECT atomix.wait_events($seen, '5 min')"), 't',
	'and has ended since the snapshot');
$reader->query_safe('COMMIT');

# One's own session, not committed, and one's own close of it.
is($reader->query_safe(q{
		BEGIN;
		SELECT atomix.open_session('1 h') AS own \gset
		SELECT atomix.wait_events(:own, '10 ms');
		SELECT atomix.close_session(:own) AS closed \gset
		SELECT atomix.wait_events(:own, '5 min');
		ROLLBACK}),
	"f\nt", 'a session of the same transaction');
$reader->quit;

#
# Refused.
#

my %refused = (
	"1, '0'" => 'MX001',
	"1, '5 min'" => 'MX001',
	"0, '0'" => 'MX001',
	"-1, '0'" => 'MX001',
	"NULL, '0'" => '22004',
	'NULL, NULL' => '22004',
	"$id, '-1 microsecond'" => '22023',
	"$id, '1 mon'" => '22023',
	"$id, '1 year'" => '22023',
	"$id, '1 mon -30 days'" => '22023',
	"$id, '2000000000 days'" => '22023');
for my $arguments (sort keys %refused)
{
	is(psql_sqlstate($node, "SELECT atomix.wait_events($arguments)"),
		$refused{$arguments}, "wait_events($arguments)");
}

my %role = (owner => '00000', member => '00000', stranger => 'MX001');
for my $role (sort keys %role)
{
	is(psql_sqlstate($node, "SET ROLE $role; SELECT atomix.wait_events($id, '0')"),
		$role{$role}, "called by $role");
}
is(psql_sqlstate($node, "SET ROLE stranger; SELECT atomix.wait_events($ended{'a closed session'}, '0')"),
	'MX001', 'strangers do not learn of the end either');
is(psql_sqlstate($node, "SET ROLE stranger; SELECT atomix._ring($id)"), '42501',
	'the doorbell is not for everybody');
is(psql_sqlstate($node, 'SELECT atomix._ring(NULL)'), '22004', 'nor for nobody');

#
# Interrupted.
#

my $pid = start_wait($node, $waiter, $id, "'10 min'");
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
like((wait_answer($waiter))[0], qr/canceling statement due to user request/,
	'a wait can be cancelled');
$waiter->query_safe("SET statement_timeout = '100 ms'");
like(query_error($waiter, "SELECT atomix.wait_events($id, '10 min')"),
	qr/canceling statement due to statement timeout/, 'by a timeout as well');
$waiter->query_safe('RESET statement_timeout');

# In a block that goes on, and waits again.  The name of the first wait is
# gone with it.
$waiter->query_safe(q{
	CREATE FUNCTION wait_twice(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			PERFORM set_config('application_name', 'first', false);
			PERFORM atomix.wait_events(id, '10 min');
			RETURN false;
		EXCEPTION WHEN query_canceled THEN
			RETURN atomix.wait_events(id, '10 min');
		END;
	END $$});
$pid = $waiter->query_safe('SELECT pg_backend_pid()');
$waiter->query_until(qr/started/, qq{\\echo started
SELECT wait_twice($id), extract(epoch FROM clock_timestamp());\n});
$node->poll_query_until('postgres', qq{
	SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = $pid});
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$node->poll_query_until('postgres', qq{
	SELECT count(*) = 1 FROM pg_stat_activity
	WHERE pid = $pid AND wait_event = 'Extension' AND application_name <> 'first'});
$node->safe_psql('postgres', "SELECT atomix._ring($id)");
is((wait_answer($waiter))[0], 't', 'a wait after one that was cancelled is woken');
is($waiter->query_safe("SELECT atomix.wait_events($id, '10 ms')"), 'f', 'and others work');

# The server need not wait for those who wait.
start_wait($node, $waiter, $id, "'10 min'");
$node->stop('fast');
pass('it stops');
eval { $waiter->quit };

done_testing();
