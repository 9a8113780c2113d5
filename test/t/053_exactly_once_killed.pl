# The connection is lost between the commit and its reply: the client cannot
# know what became of its command, retries it, and nothing is done twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_waiting new_node open_session start_query);
use Test::More;

my $node = new_node('exactly_once_killed');
my $id = open_session($node, '800 s');
my $counter =
  $node->safe_psql('postgres', "SELECT atomix.create_service($id, 'counter', 'c')");

$node->safe_psql('postgres', q{
	CREATE TABLE work (number bigint);

	-- A client's own work, guarded by a number.
	CREATE FUNCTION work(session_id bigint, number bigint) RETURNS text
	LANGUAGE plpgsql AS $$
	BEGIN
		IF atomix.once(session_id, number, 'work') THEN
			INSERT INTO work VALUES (number);
			RETURN 'done';
		END IF;
		RETURN 'was done';
	END $$;});

# Run a statement, lose the connection after its commit, and return what the
# client saw of it.
#
# Several statements in one message are answered at the end of the last one,
# which waits for a lock: until then the reply of the first, which a COMMIT
# follows, is in the server, and dies with its process.
sub lose_reply
{
	my ($sql) = @_;
	my $psql = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $psql->query_safe('SELECT pg_backend_pid()');
	my $lock = $node->background_psql('postgres');

	# A warning would send what there is of the reply.
	$psql->query_safe('SET client_min_messages = error');
	$lock->query_safe('SELECT pg_advisory_lock(1)');
	start_query($psql, "$sql\\; COMMIT\\; SELECT pg_advisory_lock(1)");
	await_waiting($node, $pid, 'Lock advisory') or die 'it does not wait';
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
	$lock->quit;

	my $seen = $psql->{stdout} . ($psql->{stderr} =~ /FATAL/ ? '' : $psql->{stderr});

	eval { $psql->{run}->finish };
	return $seen;
}

# Run a statement in a transaction and kill the server process before it
# commits.
sub lose_command
{
	my ($sql) = @_;
	my $psql = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $psql->query_safe('SELECT pg_backend_pid()');

	$psql->query_safe("BEGIN; $sql");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
	eval { $psql->{run}->finish };
	return;
}

# What it is, its number, the statement, what a retry is answered, and a
# statement that counts its effects, with what it is to say.
my @cases = (
	[
		'work guarded by once()', 1, "SELECT work($id, 1)", 'was done',
		'SELECT count(*) FROM work', 1
	],
	[
		'a command', 2,
		"SELECT output, replayed FROM atomix.command($id, $counter, '\\x22020801', 2)",
		'\x22020801|t', "SELECT atomix.counter_get('c')", 1
	],
	[
		'a counter with a number', 3,
		"SELECT atomix.counter_increment('d', 1, '', $id, 3)", '1',
		"SELECT atomix.counter_get('d')", 1
	],
	[
		'a batch', 4,
		"SELECT string_agg(output::text || ' ' || replayed, ', ')
		 FROM atomix.commands($id, $counter, '{\"\\\\x22020801\",\"\\\\x22020801\"}', 4)",
		'\x22020802 true, \x22020803 true', "SELECT atomix.counter_get('c')", 3
	],
	[
		'a map with a number', 6,
		"SELECT atomix.map_insert_text('m', 'k', 'v', session_id => $id, sequence_num => 6) > 0",
		't', "SELECT atomix.map_size('m')", 1
	]);

for my $case (@cases)
{
	my ($what, $number, $sql, $again, $effects, $count) = @$case;
	my $outcome = "SELECT state FROM atomix.outcome($id, $number)";

	lose_command($sql);
	is($node->safe_psql('postgres', $outcome), 'unknown',
		"$what: killed before the commit it has not happened");
	is(lose_reply($sql), '', "$what: the client saw no reply");
	is($node->safe_psql('postgres', $outcome), 'complete', "$what: it has happened");
	is($node->safe_psql('postgres', $sql), $again, "$what: the retry is answered");
	is($node->safe_psql('postgres', $effects), $count, "$what: and it happened once");
}

# Also over a crash of the whole server.
$node->stop('immediate');
$node->start;
for my $case (@cases)
{
	my ($what, undef, $sql, $again) = @$case;

	is($node->safe_psql('postgres', $sql), $again, "$what: also after a crash");
}

# What was never committed is executed by the retry.
$node->safe_psql('postgres', 'TRUNCATE work');
$id = open_session($node, '800 s');
lose_command("SELECT work($id, 1)");
is($node->safe_psql('postgres', "SELECT work($id, 1)"), 'done',
	'what was lost with its transaction is done by the retry');
is($node->safe_psql('postgres', 'SELECT count(*) FROM work'), '1', 'once');

$node->stop;
done_testing();
