# Each committed change of a session's state gets one version, from the worker
# or a tick alone: null until then, unique, and greatest for the last state.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest await_state new_node
  notifications open_session);
use Test::More;

my $node = new_node('versions', 'max_connections = 40');

sub version
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT version FROM atomix.session WHERE session_id = $id");
}

# Every state was numbered.
sub await_numbered
{
	return $node->poll_query_until('postgres',
		'SELECT count(*) = 0 FROM atomix.session WHERE version IS NULL');
}

# The worker can number nothing while somebody works on one of its tables.
my $locker = $node->background_psql('postgres');

sub hold_worker
{
	await_rest($node);
	$locker->query_safe('BEGIN; LOCK TABLE atomix.clock_epoch IN SHARE MODE');
	return;
}

sub release_worker
{
	$locker->query_safe('COMMIT');
	return;
}

#
# Null until numbered, then increasing with each state.
#

my $id = open_session($node, '800 s');
ok(await_numbered(), 'the worker numbers a session that was opened');
my $opened = version($id);
cmp_ok($opened, '>', 0, 'from one');

hold_worker();
my $other = open_session($node, '800 s');
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");
is(version($other), '', 'no version before the worker has seen an opening');
is(version($id), '', 'nor a closing');
release_worker();
ok(await_numbered(), 'it numbers them when it can');
cmp_ok(version($id), '>', $opened, 'the version of the closed session has increased');
isnt(version($id), version($other), 'each has its own');
is($node->safe_psql('postgres',
		'SELECT session_version = (SELECT max(version) FROM atomix.session)
		 FROM atomix.authority'),
	't', 'the greatest is the one given last');

# A renewal is no change of state.
my $before = version($other);
$node->safe_psql('postgres', "SET atomix._coalesce_renewals = off;
	SELECT atomix.keep_alive($other)");
await_rest($node);
is(version($other), $before, 'a renewal has no version');

# Neither is what was rolled back.
$node->safe_psql('postgres', "BEGIN; SELECT atomix.close_session($other); ROLLBACK");
await_rest($node);
is(version($other), $before, 'nor has a change that was rolled back');

# A tick numbers as well.
hold_worker();
$id = open_session($node, '800 s');
$node->safe_psql('postgres', 'SELECT atomix.tick()');
cmp_ok(version($id), '>', $before, 'a tick numbers too');
release_worker();

# What is not committed is not numbered, and holds up nobody else.
my $user = $node->background_psql('postgres');
$user->query_safe("BEGIN; SELECT atomix.close_session($id)");
$other = open_session($node, '800 s');
ok($node->poll_query_until('postgres',
		"SELECT version IS NOT NULL FROM atomix.session WHERE session_id = $other"),
	'an uncommitted change does not hold up the numbers of others');
$user->query_safe('COMMIT');
$user->quit;
ok(await_numbered(), 'it gets its own when it is committed');
cmp_ok(version($id), '>', version($other), 'which is greater');

# The end by expiry, with the state in between.
$id = open_session($node, '1 s');
await_numbered();
await_beat($node);
$opened = version($id);
advance_clock($node, '2 s');
await_state($node, $id, 'expired');
ok(await_numbered(), 'an expired session is numbered');
cmp_ok(version($id), '>', $opened, 'with a greater version');

#
# Many at once, with rollbacks.  Whatever is told names a version once, and
# for each session the last told is the last committed.
#

$locker->query_safe('LISTEN atomix_sessions');
$node->safe_psql('postgres', q{
	CREATE TABLE outcome (session_id bigint, state text, at timestamptz);
	CREATE PROCEDURE churn(rounds int) LANGUAGE plpgsql AS $$
	DECLARE
		id bigint;
	BEGIN
		FOR i IN 1 .. rounds LOOP
			id := atomix.open_session('800 s');
			IF random() < 0.3 THEN
				ROLLBACK;
				CONTINUE;
			END IF;
			COMMIT;
			PERFORM atomix.close_session(id);
			IF random() < 0.5 THEN
				INSERT INTO outcome VALUES (id, 'closed');
				COMMIT;
			ELSE
				ROLLBACK;
				INSERT INTO outcome VALUES (id, 'opened');
				COMMIT;
			END IF;
		END LOOP;
	END $$});
$node->pgbench('--no-vacuum --client=6 --transactions=3', 0, [qr/processed: 18\/18/], [],
	'sessions are opened and closed concurrently', { '037_churn' => 'CALL churn(40)' });
ok(await_numbered(), 'all of them are numbered');
await_rest($node);
is($node->safe_psql('postgres',
		'SELECT count(*) FROM (SELECT version FROM atomix.session
		 GROUP BY version HAVING count(*) > 1) twice'),
	'0', 'no version is given twice');
is($node->safe_psql('postgres',
		'SELECT count(*) FROM outcome o JOIN atomix.session s USING (session_id)
		 WHERE o.state <> s.state'),
	'0', 'states are as committed');

my @told = notifications($locker);
my (%versions, %last);
for my $hint (@told)
{
	my ($session, $version) = split / /, $hint;

	$versions{$version}++;
	$last{$session} = $version if $version > ($last{$session} // 0);
}
cmp_ok(scalar(@told), '>', 0, 'the worker has told of them');
is(scalar(grep { $_ > 1 } values %versions), 0, 'and of no version twice');
my %final = map { split /\|/ } split /\n/, $node->safe_psql('postgres',
	'SELECT session_id, version FROM atomix.session
	 WHERE session_id IN (SELECT session_id FROM outcome)');
is_deeply({ map { $_ => $last{$_} } keys %final }, \%final,
	'the last committed state of each session has its greatest version');

$locker->quit;
$node->stop;
done_testing();
