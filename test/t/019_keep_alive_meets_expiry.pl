# A keep-alive in memory meets the end of its session at each point of its
# way: called, waiting for its commit, in the midst of its commit; and the end
# is looking, has decided, is undone.  Each point is held by a lock for as
# long as the test wants.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_no_worker await_rest
  await_state await_waiting keep_alive_place new_node open_session
  psql_sqlstate query_error session_state start_query worker_pid);
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('meets', 'autovacuum = off', "deadlock_timeout = '10 min'",
	"atomix.max_wait = '60 s'");
my $launcher;

# A process we stopped must go on, or the server cannot be shut down.
END { kill('CONT', $launcher) if defined $launcher; }

# The keeper's commit empties its table after it has pinned what it renewed,
# and for that waits until nobody else holds the table.
my ($keeper, $keeper_pid) = connection();
$keeper->query_safe('CREATE TEMP TABLE mine () ON COMMIT DELETE ROWS');
my $mine = $keeper->query_safe('SELECT pg_my_temp_schema()::regnamespace') . '.mine';
my ($other, $other_pid) = connection();
my ($ender, $ender_pid) = connection();
my $holder = $node->background_psql('postgres');

# Deleting a lease, and raising its check, waits for the gate.
my $gatekeeper = $node->background_psql('postgres');
$node->safe_psql('postgres', q{
	CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_advisory_xact_lock_shared(1);
		RETURN COALESCE(NEW, OLD);
	END $$;
	CREATE TRIGGER decided BEFORE DELETE ON atomix.lease
		FOR EACH ROW EXECUTE FUNCTION gate();
	CREATE TRIGGER looking BEFORE UPDATE OF check_at ON atomix.lease
		FOR EACH ROW EXECUTE FUNCTION gate()});

# A connection, and the id of its process.
sub connection
{
	my $psql = $node->background_psql('postgres', on_error_stop => 0);

	return ($psql, $psql->query_safe("\\set VERBOSITY verbose\nSELECT pg_backend_pid()"));
}

# A session with its place in memory, due 900 s after its last renewal.
sub session_in_memory
{
	my $id = open_session($node, '800 s');

	keep_alive_place($node, $id) eq 'memory' or die 'a renewal does not go by memory';
	return $id;
}

# Have the keeper's transaction renew a session in memory.
sub note_renewal
{
	my ($id) = @_;

	$keeper->query_safe("SET atomix._coalesce_renewals = off; BEGIN;
		SELECT FROM mine; SELECT atomix.keep_alive($id)");
	$keeper->query_safe('SELECT pg_current_xact_id_if_assigned() IS NULL') eq 't'
	  or die 'a renewal does not go by memory';
	return;
}

# Let the keeper's commit pin what it renewed and then stop.
sub stop_in_commit
{
	$holder->query_safe("BEGIN; LOCK TABLE $mine IN ACCESS SHARE MODE");
	start_query($keeper, 'COMMIT');
	await_waiting($node, $keeper_pid, 'Lock relation') or die 'the commit does not wait';
	return;
}

# What the keeper's commit complains of when it may go on.
sub finish_commit
{
	$holder->query_safe('COMMIT');
	return later_error($keeper);
}

# What a query that was started complains of in the end.
sub later_error
{
	my ($psql) = @_;

	# One that was started has put what it says by now into stderr.
	$psql->query('SELECT 1');
	my $error = $psql->{stderr};
	$psql->{stderr} = '';
	return $error;
}

sub close_gate { $gatekeeper->query_safe('SELECT pg_advisory_lock(1)'); return; }
sub open_gate { $gatekeeper->query_safe('SELECT pg_advisory_unlock(1)'); return; }

# Start a pass over what is due, which stops at the gate.
sub start_tick
{
	close_gate();
	start_query($ender, 'SELECT atomix.tick()');
	await_waiting($node, $ender_pid, 'Lock advisory') or die 'the pass does not wait';
	return;
}

# Let it go on; returns how many sessions it ended.
sub finish_tick
{
	open_gate();
	my ($ended) = $ender->query('SELECT 1') =~ /^(\d+)$/m;
	return $ended;
}

# Have it fail.
sub cancel_tick
{
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($ender_pid)");
	like(later_error($ender), qr/57014/, 'the pass fails');
	open_gate();
	return;
}

# A whole pass.
sub tick
{
	return $node->safe_psql('postgres', "SET statement_timeout = '60 s'; SELECT atomix.tick()");
}


# What keep_alive_many says of sessions.
sub states
{
	return $node->safe_psql('postgres', "SET statement_timeout = '60 s';
		SELECT string_agg(state, ' ' ORDER BY n)
		FROM atomix.keep_alive_many('{" . join(',', @_) . "}')
		WITH ORDINALITY AS k (session_id, state, time_left, n)");
}

# Seconds until a session's deadline.
sub seconds_left
{
	my ($id) = @_;

	return $node->safe_psql('postgres', "SELECT extract(epoch FROM deadline - clock_timestamp())
		FROM atomix.sessions WHERE session_id = $id");
}

sub sqlstate_of { return psql_sqlstate($node, "SET statement_timeout = '60 s'; $_[0]"); }

sub set_max_wait
{
	my ($value) = @_;

	$node->adjust_conf('postgresql.conf', 'atomix.max_wait', "'$value'");
	$node->reload;
	return $node->poll_query_until('postgres',
		"SELECT current_setting('atomix.max_wait')::interval = '$value'::interval");
}

#
# The worker ends sessions.
#

my $id = session_in_memory();
await_rest($node);

# Called before the end was decided, committed after it.
note_renewal($id);
advance_clock($node, '910 s');
ok(await_state($node, $id, 'expired'), 'worker: a renewal that has not committed holds nobody alive');
like(query_error($keeper, 'COMMIT'), qr/40001: session $id has ended since it was renewed/,
	'worker: it fails at its commit');
is(session_state($node, $id), 'expired', 'worker: and resurrects nobody');
is(sqlstate_of("SELECT atomix.keep_alive($id)"), 'MX002', 'worker: as the next call learns');

# In its commit while the worker looks.
$id = session_in_memory();
my $control = session_in_memory();
await_rest($node);
advance_clock($node, '250 s');
note_renewal($id);
stop_in_commit();
advance_clock($node, '660 s');
ok(await_state($node, $control, 'expired'), 'worker: a session past its deadline ends');
await_rest($node);
is(session_state($node, $id), 'opened', 'worker: not one whose renewal is being committed');
is(finish_commit(), '', 'worker: the commit succeeds');
await_rest($node);
is(session_state($node, $id), 'opened', 'worker: the session lives on');
cmp_ok(seconds_left($id), '<', 241, 'worker: as of the call, not of the commit');
advance_clock($node, '250 s');
ok(await_state($node, $id, 'expired'), 'worker: until its new deadline');

#
# From here on there is no worker, and a stopped launcher starts none: who
# ends sessions is tick(), which the test can hold in the midst of it.
#

$launcher = $node->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'atomix launcher'");
await_rest($node);
kill('STOP', $launcher) == 1 or die 'could not stop the launcher';
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . worker_pid($node, 'postgres') . ')');
await_no_worker($node, 'postgres');

#
# A renewal that is called, and a pass.
#

$id = session_in_memory();
note_renewal($id);
advance_clock($node, '910 s');
is(tick(), 1, 'called: the pass ends the session');
like(query_error($keeper, 'COMMIT'), qr/40001: session $id /, 'called: the commit fails');
is(session_state($node, $id), 'expired', 'called: the session stays expired');

# The pass has decided, but not committed.
for my $end ('commits', 'fails')
{
	$id = session_in_memory();
	advance_clock($node, '250 s');
	note_renewal($id);
	advance_clock($node, '660 s');
	start_tick();
	like(query_error($keeper, 'COMMIT'), qr/40001: session $id /,
		"decided, the pass $end: the commit fails at once");
	is(states($id), 'ending', "decided, the pass $end: a batch is told so");
	start_query($other, "SELECT atomix.keep_alive($id)");
	ok(await_waiting($node, $other_pid, 'Lock userlock'),
		"decided, the pass $end: a call waits");
	if ($end eq 'commits')
	{
		is(finish_tick(), 1, 'the session ends');
		like(later_error($other), qr/MX002/, 'the call learns that it has expired');
		is(states($id), 'expired', 'so does a batch');
	}
	else
	{
		cancel_tick();
		is(later_error($other), '', 'the call renews after all');
		cmp_ok(seconds_left($id), '>', 800, 'the session');
		is(tick(), 0, 'which the next pass leaves alone');
		is(states($id), 'opened', 'and so a batch says');
		$node->safe_psql('postgres', "SELECT atomix.close_session($id)");
	}
}

# A renewal that outlives the failed pass and then commits, and another that
# comes just after it.
$id = session_in_memory();
my $late = session_in_memory();
advance_clock($node, '250 s');
note_renewal($id);
advance_clock($node, '660 s');
start_tick();
cancel_tick();
is(query_error($keeper, 'COMMIT'), '', 'undone: a renewal that was called before commits');
is(sqlstate_of("SELECT atomix.keep_alive($late)"), '00000', 'undone: one that is called then, too');
is(tick(), 0, 'undone: both live');
is(keep_alive_place($node, $late), 'memory', 'undone: in memory');
advance_clock($node, '250 s');
is(tick(), 1, 'undone: one until its deadline');
is("$id " . session_state($node, $id) . " $late " . session_state($node, $late),
	"$id expired $late opened", 'undone: the one renewed earlier');
$node->safe_psql('postgres', "SELECT atomix.close_session($late)");

#
# A renewal in its commit, and a pass.
#

for my $end ('commits', 'fails')
{
	$id = session_in_memory();
	advance_clock($node, '250 s');
	note_renewal($id);
	stop_in_commit();
	advance_clock($node, '660 s');
	is(tick(), 0, "in its commit: the pass leaves the session alone");
	is(session_state($node, $id), 'opened', 'in its commit: it lives');
	if ($end eq 'commits')
	{
		is(finish_commit(), '', 'the commit succeeds');
		is(tick(), 0, 'the session lives on');
		cmp_ok(seconds_left($id), '>', 200, 'as of the renewal');
		advance_clock($node, '250 s');
	}
	else
	{
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($keeper_pid)");
		like(finish_commit(), qr/57014/, 'the commit fails');
	}
	is(tick(), 1, "a commit that $end holds the session no longer");
	is(session_state($node, $id), 'expired', 'it ends');
}

#
# A renewal in its commit, and a close: that waits for the commit.
#

for my $call ('close_session(%s)', "end_session(%s, 'test')")
{
	my $sql = sprintf("SELECT atomix.$call", $id = session_in_memory());
	my ($name) = $call =~ /^(\w+)/;

	# The commit comes to its end.
	note_renewal($id);
	stop_in_commit();
	my $began = time;
	start_query($ender, $sql);
	ok(await_waiting($node, $ender_pid, 'Extension Extension'), "$name waits for the commit");
	is(states($id), 'ending', "$name: a batch is told so");
	$other->query_safe('BEGIN');
	start_query($other, "SELECT atomix.keep_alive($id)");
	ok(await_waiting($node, $other_pid, 'Lock userlock'), "$name: a call waits");
	is(session_state($node, $id), 'opened', "$name: nothing is decided");
	is(finish_commit(), '', "$name: the commit succeeds");
	like($ender->query('SELECT 1'), qr/^t$/m, "$name: so does the end after it");
	cmp_ok(time - $began, '<', 40, "$name: at once, not when the bound is reached");
	like(later_error($other), qr/MX003/, "$name: the call comes too late");
	$other->query('ROLLBACK');
	is(session_state($node, $id), 'closed', "$name: the session is closed");

	# Whoever waits gives up.
	$sql = sprintf("SELECT atomix.$call", $id = session_in_memory());
	note_renewal($id);
	stop_in_commit();
	start_query($ender, $sql);
	ok(await_waiting($node, $ender_pid, 'Extension Extension'), "$name waits again");
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($ender_pid)");
	like(later_error($ender), qr/57014/, "$name is cancelled");
	is(keep_alive_place($node, $id), 'memory', "$name cancelled: renewals succeed");
	is(finish_commit(), '', "$name cancelled: also the one in its commit");

	# The commit does not come to its end.
	set_max_wait('200 ms');
	advance_clock($node, '60 s');
	note_renewal($id);
	stop_in_commit();
	my $error;
	$began = time;
	$node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '30 s'; $sql",
		stderr => \$error);
	like($error, qr/40001: session $id is being renewed by a transaction that does not finish its commit/,
		"$name gives up");
	cmp_ok(time - $began, '>=', 0.2, "$name: not before the bound is reached");
	is(keep_alive_place($node, $id), 'memory', "$name gave up: renewals succeed");
	$sql =~ s/^SELECT/PERFORM/;
	is($node->safe_psql('postgres', qq{SET statement_timeout = '30 s';
		DO \$\$
		BEGIN
			$sql;
		EXCEPTION WHEN serialization_failure THEN
			PERFORM set_config('test.it', 'caught', false);
		END \$\$;
		SELECT current_setting('test.it', true), state
		FROM atomix.keep_alive_many('{$id}')}),
		'caught|opened', "$name gave up in a subtransaction: the same");
	is(finish_commit(), '', "$name gave up: the commit succeeds");
	is(session_state($node, $id), 'opened', "$name gave up: the session lives");
	$sql =~ s/^PERFORM/SELECT/;
	is($node->safe_psql('postgres', $sql), 't', "$name succeeds when nothing is in its way");
	set_max_wait('60 s');
}

#
# Renewals that commit while a pass has seen their sessions past their
# deadlines, but not decided: it is at another one, whose row says that it is
# alive.
#

my %due = map { $_ => open_session($node, '800 s') }
  ('by its row alone', 'by its row', 'in memory', 'in its commit', 'not');
my $alive = open_session($node, '800 s');

for my $how ('by its row', 'in memory', 'in its commit', 'not')
{
	keep_alive_place($node, $due{$how}) eq 'memory' or die 'a renewal does not go by memory';
}
advance_clock($node, '250 s');
$node->safe_psql('postgres', "SET atomix._renew_in_rows = on; SELECT atomix.keep_alive($alive)");
note_renewal($due{'in its commit'});
$other->query_safe("BEGIN; SELECT atomix.keep_alive($due{'in memory'})");
stop_in_commit();
advance_clock($node, '660 s');
start_tick();
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'userlock'"), 0,
	'looking: nothing is decided');
is($node->safe_psql('postgres', "SET atomix._renew_in_rows = on;
	SELECT atomix.keep_alive($due{'by its row alone'})"), '00:13:20',
	'looking: a call renews past the deadline');
is(keep_alive_place($node, $due{'by its row'}), 'row', 'looking: so does one with a place in memory');
is(query_error($other, 'COMMIT'), '', 'looking: a renewal called before commits');
is(finish_tick(), 1, 'the pass ends what was not renewed');
for my $how (sort keys %due)
{
	is(session_state($node, $due{$how}), $how eq 'not' ? 'expired' : 'opened',
		"looking: renewed $how");
}
is(finish_commit(), '', 'looking: the commit succeeds');
is(tick(), 0, 'looking: they live on');
delete $due{'not'};
$node->safe_psql('postgres', "SELECT atomix.close_session($_)") for $alive, values %due;

# By its row, not committed.
for my $end ('COMMIT', 'ROLLBACK')
{
	$id = session_in_memory();
	advance_clock($node, '910 s');
	$other->query_safe("BEGIN; SELECT atomix.keep_alive($id)");
	is(tick(), 0, "late, $end: the pass leaves a session alone that is being renewed");
	$other->query_safe($end);
	is(tick(), $end eq 'COMMIT' ? 0 : 1, "late, $end: the next one does by what became of it");
	is(session_state($node, $id), $end eq 'COMMIT' ? 'opened' : 'expired', "late, $end: it is so");
	$node->safe_psql('postgres', "SELECT atomix.close_session($id)");
}

#
# Savepoints.
#

# Each with whether the commit fails after the session has ended at the mark.
my @cases = (
	[ 'rolled back', 0, 'SAVEPOINT s; %s;', 'ROLLBACK TO s' ],
	[ 'released', 1, 'SAVEPOINT s; %s;', 'RELEASE s' ],
	[ 'rolled back, renewed before it', 1, '%1$s; SAVEPOINT s; %1$s;', 'ROLLBACK TO s' ],
	[ 'released in one rolled back', 0, 'SAVEPOINT s; SAVEPOINT t; %s; RELEASE t;', 'ROLLBACK TO s' ],
	[ 'before the end', 0, 'SAVEPOINT s; %s; ROLLBACK TO s;', 'SELECT 1' ]);
my %session = map { $_->[0] => session_in_memory() } @cases;
my %connection = map { $_->[0] => $node->background_psql('postgres', on_error_stop => 0) } @cases;

for my $case (@cases)
{
	my ($what, $fails, $sql) = @$case;

	$connection{$what}->query_safe("\\set VERBOSITY verbose\nBEGIN; "
		  . sprintf($sql, "SELECT atomix.keep_alive($session{$what})"));
}
advance_clock($node, '910 s');
is(tick(), scalar(@cases), 'savepoints: renewals hold nobody alive');
for my $case (@cases)
{
	my ($what, $fails, $sql, $end) = @$case;
	my $psql = $connection{$what};

	is(query_error($psql, $end), '', "savepoint $what: no error yet");
	like(query_error($psql, 'COMMIT'), $fails ? qr/40001: session $session{$what} / : qr/^$/,
		"savepoint $what: the commit " . ($fails ? 'fails' : 'succeeds'));
	is(session_state($node, $session{$what}), 'expired', "savepoint $what: the session stays expired");
	$psql->quit;
}

#
# A call that has found its session alive, and then it ends.  The call holds
# where it asks for the memberships of its role.
#

$node->safe_psql('postgres', 'CREATE ROLE app; CREATE ROLE member IN ROLE app;
	GRANT USAGE ON SCHEMA atomix TO PUBLIC');
for my $many (0, 1)
{
	$id = $node->safe_psql('postgres', "SET ROLE app; SELECT atomix.open_session('800 s')");
	keep_alive_place($node, $id) eq 'memory' or die 'a renewal does not go by memory';
	my ($member, $member_pid) = connection();
	$member->query_safe('SET ROLE member');
	$holder->query_safe('BEGIN; LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE');
	start_query($member, $many ? "SELECT state FROM atomix.keep_alive_many('{$id}')" :
		"SELECT atomix.keep_alive($id)");
	ok(await_waiting($node, $member_pid, 'Lock relation'), 'found: the call has found the session');
	advance_clock($node, '910 s');
	is(tick(), 1, 'found: it ends');
	$holder->query_safe('COMMIT');
	my $answer = $member->query('SELECT 1');
	like($answer . $member->{stderr}, $many ? qr/^expired$/m : qr/MX002/,
		'found: the call learns of it' . ($many ? ' in a batch' : ''));
	$member->quit;
}

kill('CONT', $launcher);
undef $launcher;
$_->quit for $keeper, $other, $ender, $holder, $gatekeeper;
$node->stop;
done_testing();
