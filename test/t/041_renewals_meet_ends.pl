# A renewal in memory and the end of its session: whichever commits first
# wins, the other learns of it, and nobody is resurrected.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest await_state await_waiting
  keep_alive_place new_node open_session psql_sqlstate query_error
  session_state start_query);
use Test::More;

my $node = new_node('ends', 'autovacuum = off', 'deadlock_timeout = 10min');
$node->safe_psql('postgres', 'CREATE ROLE stranger; CREATE ROLE app;
	GRANT USAGE ON SCHEMA atomix TO PUBLIC');

my $a = $node->background_psql('postgres', on_error_stop => 0);
my $b = $node->background_psql('postgres', on_error_stop => 0);
my $b_pid = $b->query_safe("\\set VERBOSITY verbose\nSELECT pg_backend_pid()");
$a->query_safe('\set VERBOSITY verbose');

# A session that has its place in memory.
sub session_in_memory
{
	my ($timeout) = @_;
	my $id = open_session($node, $timeout // '800 s');

	is(keep_alive_place($node, $id), 'memory', 'a session is in memory');
	return $id;
}

# What keep_alive_many says of sessions, as role if one is given.
sub states
{
	my ($ids, $role) = @_;
	my $sql = "SELECT string_agg(state, ' ' ORDER BY n)
		FROM atomix.keep_alive_many('{" . join(',', @$ids) . "}')
		WITH ORDINALITY AS k (session_id, state, time_left, n)";

	return $node->safe_psql('postgres',
		(defined $role ? "SET ROLE $role; " : '') . $sql);
}

#
# An open renewal, and the session ends meanwhile.
#

my %endings = (
	'close_session' => sub { $node->safe_psql('postgres', "SELECT atomix.close_session($_[0])"); },
	'end_session' => sub { $node->safe_psql('postgres', "SELECT atomix.end_session($_[0], 'test')"); },
	'expiry' => sub { advance_clock($node, '910 s'); await_state($node, $_[0], 'expired'); });

for my $how (sort keys %endings)
{
	my $id = session_in_memory();

	$a->query_safe("BEGIN; SELECT atomix.keep_alive($id)");
	$endings{$how}->($id);
	like(query_error($a, 'COMMIT'),
		qr/ERROR:  40001: session $id has ended since it was renewed/,
		"$how: the commit fails and names the session");
	is($a->query('SELECT 1'), '1', 'the connection goes on');
	is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"),
		$how eq 'expiry' ? 'MX002' : 'MX003', 'the session is not resurrected');
	is($node->safe_psql('postgres', "SELECT count(*) FROM atomix.lease WHERE session_id = $id"),
		0, 'and has no lease');

	# One of many: the others are not renewed either.
	my $other = session_in_memory();
	$id = session_in_memory();
	advance_clock($node, '60 s') if $how ne 'expiry';
	$a->query_safe("BEGIN; SELECT FROM atomix.keep_alive_many('{$other,$id}')");
	$endings{$how}->($id) if $how ne 'expiry';
	advance_clock($node, '1 s');
	like(query_error($a, 'COMMIT'), $how eq 'expiry' ? qr/^$/ : qr/40001: session $id /,
		'a batch of which one ended fails as one');
	is($node->safe_psql('postgres', "SELECT deadline < clock_timestamp() + interval '870 s'
		FROM atomix.sessions WHERE session_id = $other"), 't', 'and renews nobody')
	  if $how ne 'expiry';
	$node->safe_psql('postgres', "SELECT atomix.close_session($_)") for $other, $id;
}

# The renewal was rolled back to a savepoint: nothing to fail for.
my $id = session_in_memory();
$a->query_safe("BEGIN; SAVEPOINT s; SELECT atomix.keep_alive($id); ROLLBACK TO s");
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");
is(query_error($a, 'COMMIT'), '', 'a renewal that was rolled back to a savepoint does not count');

# The end was rolled back.
$id = session_in_memory();
$a->query_safe("BEGIN; SELECT atomix.keep_alive($id)");
$b->query_safe("BEGIN; SELECT atomix.close_session($id); ROLLBACK");
is(query_error($a, 'COMMIT'), '', 'nor does an end that was rolled back');
is(keep_alive_place($node, $id), 'memory', 'and the session is in memory still');
$b->query_safe("BEGIN; SAVEPOINT s; SELECT atomix.close_session($id); ROLLBACK TO s");
is(psql_sqlstate($node, "SET lock_timeout = '60 s'; SELECT atomix.keep_alive($id)"), '00000',
	'so it is after an end that was rolled back to a savepoint');
$b->query_safe('COMMIT');
is(keep_alive_place($node, $id), 'memory', 'and committed');

# An end that is not committed when the renewal commits.
$b->query_safe("BEGIN; SELECT 1");
$a->query_safe("BEGIN; SELECT atomix.keep_alive($id)");
$b->query_safe("SELECT atomix.close_session($id)");
like(query_error($a, 'COMMIT'), qr/40001: session $id/,
	'an end that is not committed yet fails the commit as well');
$b->query_safe('ROLLBACK');

# One transaction does both.
is(psql_sqlstate($node, "BEGIN; SELECT atomix.keep_alive($id);
	SELECT atomix.close_session($id); ROLLBACK"), '00000', 'a session may be renewed and then closed');
is(psql_sqlstate($node, "SET statement_timeout = '60 s'; BEGIN;
	SELECT atomix.close_session($id); SELECT atomix.keep_alive($id)"), 'MX003',
	'the transaction that closed a session finds it closed');
is($node->safe_psql('postgres', "BEGIN; SELECT FROM atomix.close_session($id);
	SELECT state FROM atomix.keep_alive_many('{$id}'); ROLLBACK"), 'closed', 'in a batch, too');
is(keep_alive_place($node, $id), 'memory', 'all that was rolled back');
$node->safe_psql('postgres', "BEGIN; SELECT atomix.keep_alive($id);
	SELECT atomix.close_session($id); COMMIT");
is(session_state($node, $id), 'closed', 'renewed and closed: closed');

#
# A renewal meets an end that is not committed.
#

for my $end ('COMMIT', 'ROLLBACK')
{
	my $other = session_in_memory();

	$id = session_in_memory();
	$a->query_safe("BEGIN; SELECT atomix.close_session($id)");
	is(states([ $other, $id ]), 'opened ending', 'a batch does not wait');
	is(psql_sqlstate($node, "SET statement_timeout = '60 s'; SET ROLE stranger;
		SELECT atomix.keep_alive($id)"), 'MX001', 'nor does a stranger');
	is(states([$id], 'stranger'), 'unknown', 'who does not learn of it by a batch either');
	start_query($b, "SELECT atomix.keep_alive($id)");
	ok(await_waiting($node, $b_pid, 'Lock %'), 'a call waits');
	$a->query_safe($end);
	my $answer = $b->query('SELECT 1');
	if ($end eq 'COMMIT')
	{
		like($b->{stderr}, qr/MX003/, 'and learns that the session is closed');
		is(states([$id]), 'closed', 'so does a batch then');
	}
	else
	{
		like($answer, qr/^00:13:20$/m, 'and renews it after the rollback');
		is(states([$id]), 'opened', 'so does a batch then');
	}
	is(query_error($b, 'SELECT 1'), '', 'the connection goes on');
}

#
# The states of a batch.
#

my $opened = session_in_memory();
my $in_row = open_session($node, '800 s');
my $closed = session_in_memory();
my $expired = session_in_memory('10 s');
my $foreign = $node->safe_psql('postgres', 'SET ROLE app; SELECT atomix.open_session()');
my $foreign_closed = $node->safe_psql('postgres', 'SET ROLE app; SELECT atomix.open_session()');

$node->safe_psql('postgres', "SET ROLE app; SELECT atomix.keep_alive_many('{$foreign,$foreign_closed}')");
$node->safe_psql('postgres', "SELECT atomix.close_session(k) FROM unnest(ARRAY[$closed, $foreign_closed]) k");
advance_clock($node, '13 s');
ok(await_state($node, $expired, 'expired'), 'one expires');
is(states([ $opened, $in_row, $closed, $expired, 4711, -1, 0, $opened, $closed ]),
	'opened opened closed expired unknown unknown unknown opened closed',
	'each member has a row with its state, in order, repeated ones too');
is(states([ $foreign, $opened, $foreign_closed, $expired ], 'stranger'),
	'unknown unknown unknown unknown', 'sessions of others are unknown');
is(states([ $foreign, $opened, $foreign_closed ], 'app'), 'opened unknown closed',
	'ones own are not');
is(states([]), '', 'an empty batch has no rows');
is($node->safe_psql('postgres', "SELECT session_id, time_left
		FROM atomix.keep_alive_many('{$opened,$closed,4711}')"),
	"$opened|00:13:20\n$closed|\n4711|", 'the time left is that of those opened');
is(psql_sqlstate($node, "SELECT atomix.keep_alive_many('{$opened,NULL}')"), '22004',
	'a null member is refused');
is(psql_sqlstate($node, 'SELECT atomix.keep_alive_many(NULL)'), '22004', 'so is a null');
is($node->safe_psql('postgres', "SELECT string_agg(state, ' ')
		FROM atomix.keep_alive_many('{{$opened,$in_row},{$closed,7}}')"),
	'opened opened closed unknown', 'dimensions do not matter');

# Closing: decided, but not finished.  The worker goes on with that at once,
# so it is made by hand, in the transaction that looks.
my $closing = session_in_memory('100 s');
$node->safe_psql('postgres', "SELECT atomix.end_session($closing, 'test')");
await_rest($node);
is($node->safe_psql('postgres', "BEGIN; UPDATE atomix.session
	SET cause = 'expired', state = 'closing' WHERE session_id = $closing;
	SELECT string_agg(state, ' ' ORDER BY n)
	FROM atomix.keep_alive_many('{$closing,$opened}') WITH ORDINALITY AS k (s, state, t, n);
	COMMIT"), 'closing opened', 'one whose end is decided is closing');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($closing)"), 'MX002', 'for a call it has ended');

# Many in one call, all but one in memory, in one transaction.
my $ids = $node->safe_psql('postgres',
	"SELECT array_agg(atomix.open_session('800 s')) FROM generate_series(1, 1000)");
is($node->safe_psql('postgres', "SET atomix._coalesce_renewals = off; BEGIN;
	SELECT state, count(*) FROM atomix.keep_alive_many('$ids') GROUP BY 1;
	SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT"),
	"opened|1000\nt", '1000 sessions in one call, with no transaction id');
$a->query_safe("BEGIN; SELECT count(*) FROM atomix.keep_alive_many('$ids')");
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks
	JOIN pg_stat_activity USING (pid)
	WHERE locktype = 'userlock' AND backend_type = 'client backend'"), 0, 'nor locks');
is(query_error($a, 'COMMIT'), '', 'twice');
$node->safe_psql('postgres', "SELECT count(atomix.close_session(k)) FROM unnest(('$ids'::bigint[])[1:400]) k");
is($node->safe_psql('postgres', "SELECT state, count(*) FROM
		atomix.keep_alive_many('$ids') GROUP BY 1 ORDER BY 1"),
	"closed|400\nopened|600", 'of which 400 are closed then');

#
# Renewals that fill the memory race with closes: once a close is committed,
# no renewal succeeds any more.
#

$node->safe_psql('postgres', q{
	CREATE TABLE target (n int PRIMARY KEY, session_id bigint, closed boolean);
	INSERT INTO target SELECT n, atomix.open_session('800 s'), false
	FROM generate_series(1, 300) n;
	CREATE TABLE violation (session_id bigint, what text);

	-- Renew while it succeeds; whatever succeeds must have begun before the
	-- close was committed.
	CREATE PROCEDURE renew(start int) LANGUAGE plpgsql AS $$
	DECLARE
		t record;
		was_closed boolean;
	BEGIN
		FOR t IN SELECT * FROM target WHERE n >= start AND n < start + 300 ORDER BY n LOOP
			FOR i IN 1 .. 50 LOOP
				SELECT closed INTO was_closed FROM target WHERE n = t.n;
				COMMIT;
				BEGIN
					PERFORM atomix.keep_alive(t.session_id);
					IF was_closed THEN
						INSERT INTO violation VALUES (t.session_id, 'renewed');
					END IF;
				EXCEPTION WHEN SQLSTATE 'MX003' THEN
					EXIT;
				END;
			END LOOP;
		END LOOP;
	END $$;

	CREATE PROCEDURE close() LANGUAGE plpgsql AS $$
	DECLARE
		t record;
	BEGIN
		FOR t IN SELECT * FROM target ORDER BY n LOOP
			PERFORM atomix.close_session(t.session_id);
			UPDATE target SET closed = true WHERE n = t.n;
			COMMIT;
		END LOOP;
	END $$});

# The renewer gives up with 40001 when its commit meets the end, and starts
# again after the sessions that are closed.
$node->safe_psql('postgres', q{
	CREATE FUNCTION first_open() RETURNS int LANGUAGE sql AS
	'SELECT coalesce(min(n), 1000) FROM target WHERE NOT closed'});
my $closer = $node->background_psql('postgres', on_error_stop => 0);
start_query($closer, 'CALL close()');
my $result;
for (1 .. 200)
{
	my ($out, $err);

	$node->psql('postgres', q{
		SELECT first_open() AS start \gset
		CALL renew(:start);}, stdout => \$out, stderr => \$err);
	note $err if $err ne '' && $err !~ /has ended since it was renewed/;
	last if $node->safe_psql('postgres', 'SELECT first_open()') == 1000;
}
$closer->query_safe('SELECT 1');
$closer->quit;
is($node->safe_psql('postgres', 'SELECT count(*) FROM violation'), 0,
	'no renewal that began after a committed close succeeded');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT k.state), min(k.state)
	FROM target t, atomix.keep_alive_many(ARRAY[t.session_id]) k"),
	'300|1|closed', 'all are closed, for good');
is($node->safe_psql('postgres', 'SELECT count(*) FROM atomix.lease
	JOIN target USING (session_id)'), 0, 'and have no lease');

$a->quit;
$b->quit;
$node->stop;
done_testing();
