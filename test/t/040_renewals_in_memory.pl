# A renewal in shared memory writes nothing, counts from the commit of its
# transaction, and does not count if that does not commit.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state
  keep_alive_place new_node open_session psql_sqlstate query_error
  session_state);
use Test::More;

my $node = new_node('memory', 'autovacuum = off', 'full_page_writes = off',
	'max_prepared_transactions = 2');

# The place and the content of a session's row.
sub row
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT ctid, xmin, l FROM atomix.lease l WHERE session_id = $id");
}

#
# It writes nothing.
#

my $id = open_session($node, '800 s');
await_rest($node);
my $before = row($id);
is(keep_alive_place($node, $id), 'memory', 'the first renewal takes no transaction id')
  for 1 .. 2;

my $plan = $node->safe_psql('postgres', "SET atomix._coalesce_renewals = off;
	EXPLAIN (ANALYZE, WAL) SELECT atomix.keep_alive($id)");
like($plan, qr/actual time/, 'a renewal is carried out');
unlike($plan, qr/WAL:/, 'without WAL');
$plan = $node->safe_psql('postgres', "SET atomix._coalesce_renewals = off;
	SET atomix._renew_in_rows = on;
	EXPLAIN (ANALYZE, WAL) SELECT atomix.keep_alive($id)");
like($plan, qr/WAL:/, 'which one in the row would have needed');
isnt(row($id), $before, 'as would the row have changed');

$node->safe_psql('postgres', q{
	CREATE PROCEDURE renew(session_id bigint, times int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. times LOOP
			PERFORM atomix.keep_alive(session_id);
			COMMIT;
		END LOOP;
	END $$});

# Transaction ids and bytes of WAL that n transactions with a renewal take.
sub price
{
	my ($setting, $n) = @_;

	return split(/\|/, $node->safe_psql('postgres', "
		SET atomix._coalesce_renewals = off;
		SET atomix._renew_in_rows = $setting;
		SELECT pg_snapshot_xmax(pg_current_snapshot()) AS xid,
			pg_current_wal_insert_lsn() AS lsn \\gset
		CALL renew($id, $n);
		SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - :'xid'::bigint,
			pg_current_wal_insert_lsn() - :'lsn'"));
}

$before = row($id);
my ($xids, $bytes) = price('off', 3000);
# The worker's beats, one a second, are in the sums.
cmp_ok($xids, '<', 1000, '3000 renewals take no transaction ids');
cmp_ok($bytes, '<', 300_000, 'and no WAL');
is(row($id), $before, 'and change no row');
($xids, $bytes) = price('on', 3000);
cmp_ok($xids, '>=', 3000, 'in rows they would take one each');
cmp_ok($bytes, '>', 300_000, 'and WAL');

#
# It counts.  The row is locked, so that it cannot learn of the renewal.
#

# Hold the row of a session as it is.
sub freeze_row
{
	my ($session_id) = @_;
	my $holder = $node->background_psql('postgres');

	$holder->query_safe("BEGIN; SELECT FROM atomix.lease
		WHERE session_id = $session_id FOR UPDATE");
	return $holder;
}

$id = open_session($node, '800 s');
await_rest($node);
my $holder = freeze_row($id);
$before = row($id);
advance_clock($node, '90 s');
is($node->safe_psql('postgres', "SELECT atomix.keep_alive($id)"), '00:13:20',
	'a renewal promises the timeout');
advance_clock($node, '825 s');
await_rest($node);
is(session_state($node, $id), 'opened',
	'a session renewed in memory lives on beyond the deadline of its row');
is(row($id), $before, 'which does not know of it');
is($node->safe_psql('postgres', "SELECT clock_timestamp() - last_renewed_at < interval '850 s',
		deadline > clock_timestamp() FROM atomix.sessions WHERE session_id = $id"),
	't|t', 'the view does');
advance_clock($node, '60 s');
await_rest($node);
is(session_state($node, $id), 'opened', 'until its deadline');
$holder->query_safe('COMMIT');
advance_clock($node, '40 s');
ok(await_state($node, $id, 'expired'), 'then it ends');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"), 'MX002', 'and is expired');

#
# What does not commit does not count.
#

# Was a session of 800 s, with its slack of 100 s, renewed lately?
sub is_renewed
{
	my ($session_id) = @_;

	return $node->safe_psql('postgres',
		"SELECT deadline > clock_timestamp() + interval '870 s'
		 FROM atomix.sessions WHERE session_id = $session_id");
}

# Each with whether the session is renewed by it; %s is the call.
my @cases = (
	[ 'committed', 1, 'BEGIN; %s; COMMIT' ],
	[ 'alone', 1, '%s' ],
	[ 'rolled back', 0, 'BEGIN; %s; ROLLBACK' ],
	[ 'rolled back to a savepoint', 0, 'BEGIN; SAVEPOINT s; %s; ROLLBACK TO s; COMMIT' ],
	[ 'in a released savepoint', 1, 'BEGIN; SAVEPOINT s; %s; RELEASE s; COMMIT' ],
	[ 'in a released savepoint inside one rolled back to', 0,
		'BEGIN; SAVEPOINT s; SAVEPOINT t; %s; RELEASE t; ROLLBACK TO s; COMMIT' ],
	[ 'before a savepoint rolled back to', 1,
		'BEGIN; %s; SAVEPOINT s; SELECT 1; ROLLBACK TO s; COMMIT' ],
	[ 'twice, the second rolled back to a savepoint', 1,
		'BEGIN; %1$s; SAVEPOINT s; %1$s; ROLLBACK TO s; COMMIT' ],
	[ 'after a savepoint rolled back to', 1,
		'BEGIN; SAVEPOINT s; %1$s; ROLLBACK TO s; %1$s; COMMIT' ],
	[ 'before an error', 0, 'BEGIN; %s; SELECT 1/0; COMMIT' ],
	[ 'before an error in the statement', 0, 'SELECT 1 / length(left(k::text, 0)) FROM (%s AS k OFFSET 0) t' ],
	[ 'before an error that was caught', 0,
		q{DO 'BEGIN PERFORM k FROM (%s AS k) t; PERFORM 1/0; EXCEPTION WHEN OTHERS THEN NULL; END'} ],
	[ 'before an error at commit', 0, 'BEGIN; INSERT INTO strict VALUES (1); %s; COMMIT' ],
	[ 'before it was terminated', 0, 'BEGIN; %s; SELECT pg_terminate_backend(pg_backend_pid()); COMMIT' ],
	[ 'prepared', 0, q{BEGIN; %s; PREPARE TRANSACTION 'p'} ]);

$node->safe_psql('postgres', 'CREATE TABLE strict (a int
	UNIQUE,
	b int DEFAULT 2 REFERENCES strict (a) DEFERRABLE INITIALLY DEFERRED)');
my %session;
$session{ $_->[0] } = open_session($node, '800 s') for @cases;
my $killed = open_session($node, '800 s');
await_rest($node);
# So that all have a place in memory.
$node->safe_psql('postgres',
	"SELECT atomix.keep_alive_many(array_agg(session_id)) FROM atomix.lease");
advance_clock($node, '60 s');
for my $case (@cases)
{
	my ($what, $renewed, $sql) = @$case;
	my $call = "SELECT atomix.keep_alive($session{$what})";

	$node->psql('postgres', sprintf($sql, $call, $call));
}
is(psql_sqlstate($node, "BEGIN; SELECT atomix.keep_alive($session{prepared});
		PREPARE TRANSACTION 'p'"), '0A000', 'PREPARE TRANSACTION is refused');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 0,
	'and nothing is prepared');

# A backend that is terminated by another while its transaction is open.
my $idle = $node->background_psql('postgres', on_error_stop => 0);
my $idle_pid = $idle->query_safe('SELECT pg_backend_pid()');
$idle->query_safe("BEGIN; SELECT atomix.keep_alive($killed)");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($idle_pid)");
$node->poll_query_until('postgres',
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $idle_pid");
is(is_renewed($killed), 'f',
	'a backend that was terminated before its commit renewed nothing');
$idle->{run}->kill_kill;
$idle->{run}->finish;

for my $case (@cases)
{
	my ($what, $renewed) = @$case;

	is(is_renewed($session{$what}), $renewed ? 't' : 'f', "$what: " . ($renewed ? 'renewed' : 'not renewed'));
}

# Those not renewed at 60 s are past their deadline at 922 s.
advance_clock($node, '862 s');
for my $case (@cases)
{
	my ($what, $renewed) = @$case;

	if ($renewed)
	{
		is(session_state($node, $session{$what}), 'opened', "$what: it lives");
	}
	else
	{
		ok(await_state($node, $session{$what}, 'expired'), "$what: it ended");
	}
}

# Nothing of a failed transaction is left to the next one of its connection.
$id = open_session($node, '800 s');
my $psql = $node->background_psql('postgres', on_error_stop => 0);
for my $end ('ROLLBACK', 'SELECT 1/0; COMMIT')
{
	advance_clock($node, '40 s');
	query_error($psql, "BEGIN; SELECT atomix.keep_alive($id); $end");
	is(query_error($psql, 'BEGIN; SELECT 1; COMMIT'), '', "the connection goes on after $end");
}
is(is_renewed($id), 'f', 'renewed by none of them');
$psql->quit;

$node->stop;
done_testing();
