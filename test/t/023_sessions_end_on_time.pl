# Sessions end on time without anybody asking: the worker sleeps until the
# next deadline, holds nothing meanwhile, and nothing that one session meets
# with delays the others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_rest open_session
  await_state session_state advance_clock psql_sqlstate await_notification);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# The beats come once a second, far enough apart to tell them from deadlines.
# Renewals go by the rows, whose locks this is about.
my $node = new_node('time', 'atomix.shared_sessions = 0', 'atomix.min_session_timeout = 16s',
	'autovacuum = off');
my $pid = await_worker($node, 'postgres');

#
# Asleep.
#

my $started = time;
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN atomix_sessions');
my $id = open_session($node, '1 h');
await_notification($listener, qr/^$id /);
cmp_ok(time - $started, '<', 30,
	'a commit wakes a worker that would have slept for a minute');
$listener->quit;

await_rest($node);
is($node->safe_psql('postgres', qq{
	SELECT state, xact_start IS NULL, backend_xid IS NULL,
	  backend_xmin IS NULL, wait_event, application_name
	FROM pg_stat_activity WHERE pid = $pid}),
	'idle|t|t|t|Extension|atomix worker',
	'the sleeping worker holds no transaction and no snapshot');
is($node->safe_psql('postgres',
	"SELECT count(*) FROM pg_locks WHERE pid = $pid"),
	0, 'and no lock');

# A deadline half a second ahead and half a second before the next beat: one
# that slept until the beat would be late every time.
my $least_lag;
for my $round (1 .. 5)
{
	$id = open_session($node, '16 s');
	advance_clock($node, '17.5 s');
	await_state($node, $id, 'expired');
	my $lag = $node->safe_psql('postgres', q{
		SELECT extract(epoch FROM lag) FROM atomix.workers
		WHERE database = current_database()});
	$least_lag = $lag if !defined $least_lag || $lag < $least_lag;
	last if $least_lag < 0.2;
}
cmp_ok($least_lag, '<', 0.4, 'it wakes up at the deadline, not at its next beat');

# A shorter deadline than the one slept for.
my $long = open_session($node, '2 h');
my $short = open_session($node, '16 s');
advance_clock($node, '18.1 s');
ok(await_state($node, $short, 'expired'), 'a shorter timeout is not overslept');
is(session_state($node, $long), 'opened', 'the longer one lives on');

#
# Many at once.
#

my $offset = -s $node->logfile;
$node->safe_psql('postgres', q{
	SELECT count(atomix.open_session('20 s', 'crowd'))
	FROM generate_series(1, 2000)});
advance_clock($node, '30 s');
ok( $node->poll_query_until(
		'postgres', q{
		SELECT count(*) = 2000 FROM atomix.sessions
		WHERE name = 'crowd' AND state = 'expired'}),
	'2,000 sessions expire at once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM atomix.lease'),
	2, 'their leases are gone');
$node->wait_for_log(qr/atomix ended \d+ expired sessions/, $offset);
my $ended = 0;
$ended += $_ for slurp_file($node->logfile, $offset) =~
  /LOG:  atomix ended (\d+) expired sessions/g;
is($ended, 2000, 'the log counts each of them once');

#
# A session that a transaction has locked.
#

my $held = open_session($node, '20 s');
my @others = map { open_session($node, '20 s') } 1 .. 3;
my $holder = $node->background_psql('postgres');
$holder->query_safe("BEGIN; SELECT atomix.keep_alive($held)");
advance_clock($node, '30 s');
ok(await_state($node, $_, 'expired'), "session $_ does not wait for a locked one")
  for @others;
await_rest($node);
is(session_state($node, $held), 'opened', 'the locked one is not ended');
$holder->query_safe('ROLLBACK');
ok(await_state($node, $held, 'expired'),
	'it is ended when the transaction is rolled back');

$held = open_session($node, '20 s');
$holder->query_safe("BEGIN; SELECT atomix.keep_alive($held)");
advance_clock($node, '30 s');
await_rest($node);
$holder->query_safe('COMMIT');
ok(await_state($node, $held, 'expired'),
	'and after a renewal that commits longer than the timeout after its call');

$held = open_session($node, '20 s');
advance_clock($node, '15 s');
$holder->query_safe("BEGIN; SELECT atomix.keep_alive($held)");
advance_clock($node, '15 s');
await_rest($node);
$holder->query_safe('COMMIT');
advance_clock($node, '3 s');
await_rest($node);
is(session_state($node, $held), 'opened', 'while one in time renews');
$holder->quit;

#
# A session whose end fails.
#

my $poisoned = open_session($node, '20 s');
@others = map { open_session($node, '20 s') } 1 .. 3;
$node->safe_psql('postgres', qq{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN
		IF OLD.session_id = $poisoned THEN
			RAISE EXCEPTION 'poisoned';
		END IF;
		RETURN OLD;
	END \$\$;
	CREATE TRIGGER refuse BEFORE DELETE ON atomix.lease
	FOR EACH ROW EXECUTE FUNCTION refuse()});
$offset = -s $node->logfile;
advance_clock($node, '30 s');
ok(await_state($node, $_, 'expired'), "session $_ does not wait for a poisoned one")
  for @others;
$node->wait_for_log(
	qr/WARNING:  could not end atomix session $poisoned/, $offset);
pass('the log tells of it');
is(session_state($node, $poisoned), 'opened', 'it stays open');
is( $node->safe_psql('postgres', q{
		SELECT last_error FROM atomix.workers
		WHERE database = current_database()}),
	'poisoned', 'the view shows the error');
is(worker_pid($node, 'postgres'), $pid, 'the worker lives on');

# Passed over meanwhile, it is not reported again with every beat.
my $id2 = open_session($node, '20 s');
advance_clock($node, '30 s');
ok(await_state($node, $id2, 'expired'), 'later sessions are not delayed either');
await_rest($node);
my @warnings = slurp_file($node->logfile, $offset) =~ /could not end atomix session/g;
is(scalar(@warnings), 1, 'it was reported once');

$node->safe_psql('postgres', 'DROP TRIGGER refuse ON atomix.lease');
await_rest($node);
is(session_state($node, $poisoned), 'opened', 'it is not tried again at once');
advance_clock($node, '61 s');
ok(await_state($node, $poisoned, 'expired'),
	'it is ended in the next attempt, a minute later');

# An error in telling of sessions does not fill the log, and delays no end.
$node->safe_psql('postgres', q{
	CREATE FUNCTION mute() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'muted'; END $$;
	CREATE TRIGGER mute BEFORE UPDATE ON atomix.session
	FOR EACH ROW WHEN (NEW.version IS NOT NULL) EXECUTE FUNCTION mute()});
$offset = -s $node->logfile;
$started = time;
$id = open_session($node, '20 s');
$node->wait_for_log(qr/ERROR:  muted/, $offset);
$node->wait_for_log(qr/ERROR:  muted.*ERROR:  muted/s, $offset);
my $errors = () = slurp_file($node->logfile, $offset) =~ /ERROR:  muted/g;
cmp_ok($errors, '<=', time - $started + 2, 'it is tried again once a second');
advance_clock($node, '30 s');
ok(await_state($node, $id, 'expired'), 'sessions end all the same');
$node->safe_psql('postgres', 'DROP TRIGGER mute ON atomix.session');
advance_clock($node, '1 s');
ok( $node->poll_query_until(
		'postgres', 'SELECT count(*) = 0 FROM atomix.session WHERE version IS NULL'),
	'telling goes on when it can');

#
# Tables that somebody has locked.
#

$id = open_session($node, '20 s');
$holder = $node->background_psql('postgres');
for my $table (qw(lease session authority))
{
	$id = open_session($node, '20 s');
	$offset = -s $node->logfile;
	$holder->query_safe("BEGIN; LOCK TABLE atomix.$table");
	advance_clock($node, '30 s');
	await_rest($node);
	is( $node->safe_psql('postgres', qq{
			SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted}),
		0, "the worker does not wait for table $table");
	$holder->query_safe('COMMIT');
	ok(await_state($node, $id, 'expired'), 'it goes on after the release');
	is(worker_pid($node, 'postgres'), $pid, 'the same worker');
	unlike(slurp_file($node->logfile, $offset), qr/ERROR:/, 'without an error');
}
$holder->quit;

$node->stop;
done_testing();
