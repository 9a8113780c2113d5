# Fencing tokens: those of one object grow from grant to grant for ever, in
# whatever way the grant came about, and across crashes that lose commits.
#
# What a crash loses is taken back: grants that had been passed on are there
# again, with the tokens they had.  That is no new grant; what is granted from
# then on is newer than anything seen before, lost or not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest new_node worker_pid);
use Test::More;

my $rounds = 900;
# So that crashes lose commits: they are written when they fill a page of WAL,
# not after some time, and before each crash the worker, whose own commits are
# flushed, is stopped.
my $node = new_node('tokens', 'synchronous_commit = off', "wal_writer_delay = '10s'");
my $stopped;
my $psql;
my @sessions;
my %greatest;				# token by object
my %granted;				# rows of the view as last seen
my %count;
my $losses = 0;
my @violations;
my $seed = $ENV{ATOMIX_TEST_SEED} // time;

END { kill('CONT', $stopped) if defined $stopped; }

note "seed $seed";
srand($seed);

$node->safe_psql('postgres', q{
	CREATE FUNCTION ask(query text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		answer text;
	BEGIN
		EXECUTE query INTO answer;
		RETURN COALESCE(answer, 'null');
	EXCEPTION WHEN OTHERS THEN
		RETURN sqlstate;
	END $$;
	CREATE VIEW grants AS
		SELECT 'lock' AS object, session_id, ticket, token FROM atomix.locks
			WHERE granted AND session_id <> 0
		UNION ALL SELECT 'semaphore', session_id, ticket, token FROM atomix.semaphores
			WHERE granted AND session_id <> 0
		UNION ALL SELECT 'election', session_id, ticket, token FROM atomix.elections
			WHERE granted});

sub connect_again
{
	$psql = $node->background_psql('postgres');
	return;
}

sub ask { return $psql->query_safe("SELECT ask(\$query\$ SELECT $_[0] \$query\$)"); }

sub grants { return split /\n/, $psql->query_safe('SELECT * FROM grants ORDER BY token'); }

# Each grant that was not there at the last look has a greater token than any
# before it.  Whoever got the grant back has a new one.
sub check
{
	my ($operation) = @_;
	my @rows = grants();

	for my $row (grep { !$granted{$_} } @rows)
	{
		my ($object, $session, $ticket, $token) = split /\|/, $row;

		if ($token <= ($greatest{$object} // 0))
		{
			push @violations, "$operation: token $token of the $object after $greatest{$object}";
		}
		$greatest{$object} = $token;
		$count{$object}++;
	}
	%granted = map { $_ => 1 } @rows;
	return;
}

sub one_of { return $_[ rand @_ ]; }

sub session
{
	my $i = int rand 6;

	if (!$sessions[$i])
	{
		$sessions[$i] = ask("atomix.open_session('"
			  . one_of('10 s', '1 h') . "', 's$i')");
	}
	return $sessions[$i];
}

sub candidate { return one_of(map { "s$_" } 0 .. 5); }

# One of those there are, else another; 1 is none.
sub any { return "COALESCE((SELECT $_[0] ORDER BY random() LIMIT 1), " . ($_[1] // 1) . ')'; }
sub token { return any("token FROM grants WHERE object = 'lock'"); }
sub holder { return one_of(session(), any("session_id FROM grants WHERE object = '$_[0]'", session())); }
sub standing { return any('candidate FROM atomix.elections WHERE candidate IS NOT NULL', "'s0'"); }
sub waiting { return any('ticket FROM atomix.locks WHERE NOT granted'); }

my %operation = (
	lock_try => sub { 'atomix.lock_try(' . session() . ", 'L', shared => " . one_of('true', 'false') . ')' },
	lock_acquire => sub {
		'atomix.lock_acquire(' . session() . ", 'L', shared => " . one_of('true', 'false') . ')';
	},
	lock_release => sub { 'atomix.lock_release(' . holder('lock') . ", 'L')" },
	lock_force_release => sub { "atomix.lock_force_release('L', " . token() . ", 'test')" },
	lock_transfer => sub {
		"atomix.lock_transfer('L', " . token() . ', ' . waiting() . ", 'test')";
	},
	semaphore_acquire => sub {
		'atomix.semaphore_acquire(' . session() . ", 'S', " . one_of(1 .. 3) . ')';
	},
	semaphore_release => sub { 'atomix.semaphore_release(' . holder('semaphore') . ", 'S')" },
	semaphore_resize => sub { "atomix.semaphore_resize('S', " . one_of(1 .. 5) . ')' },
	election_enter => sub {
		'atomix.election_enter(' . session() . ", 'E', NULL, " . one_of(0 .. 3) . ')';
	},
	election_withdraw => sub { 'atomix.election_withdraw(' . session() . ", 'E')" },
	(
		map {
			my $change = $_;

			("election_$change" => sub { "atomix.election_$change('E', " . standing() . ')' })
		} qw(anoint promote demote)),
	election_evict => sub { "atomix.election_evict('E', '" . candidate() . "')" },
	hold => sub { "atomix.hold('L')" },
	close_session => sub {
		my $session = session();

		@sessions = map { ($_ // 0) == $session ? undef : $_ } @sessions;
		return "atomix.close_session($session)";
	});
my @operations = sort keys %operation;
my %done;

# Look at what a crash has left.  Grants up to the floor of the index were made
# before it, even if nobody had looked since; all others are above the floor.
sub check_after_crash
{
	my $token = ask("atomix.hold('another')");	# waits for the floor
	my $floor = ask('index_floor FROM atomix.authority');

	for my $object (sort keys %greatest)
	{
		next if $floor > $greatest{$object} && $token > $floor;
		push @violations,
		  "after a crash: token $token, floor $floor, after $greatest{$object} of the $object";
	}
	%granted = map { $_ => 1 } grep { (split /\|/)[3] <= $floor } grants();
	%greatest = map { $_ => $floor } keys %greatest;
	return;
}

# Some that were closed may be open again, and some that were opened, gone.
sub find_sessions_again
{
	for my $i (0 .. 5)
	{
		my $id = ask("session_id FROM atomix.sessions
			WHERE name = 's$i' AND state = 'opened' ORDER BY session_id DESC");

		$sessions[$i] = $id eq 'null' ? undef : $id;
	}
	return;
}

sub stop_worker
{
	await_rest($node);
	$stopped = worker_pid($node, 'postgres');
	kill('STOP', $stopped) == 1 or die 'no worker';
	return;
}

sub crash
{
	my $end = $psql->query_safe('SELECT pg_current_wal_insert_lsn()');

	$psql->quit;
	# The server goes down by itself, perhaps before it is told to.
	kill('KILL', $stopped) == 1 or die 'no worker';
	$stopped = undef;
	$node->stop('immediate', fail_ok => 1);
	$node->start;
	connect_again();
	# The checkpoint after recovery begins where the WAL ended.
	$losses++ if ask("redo_lsn < '$end' FROM pg_control_checkpoint()") eq 'true';
	check_after_crash();
	find_sessions_again();
	return;
}

sub expire
{
	advance_clock($node, '12 s');
	for my $session (grep { $_ } @sessions)
	{
		$session = undef if ask("state FROM atomix.sessions WHERE session_id = $session") ne 'opened';
	}
	return;
}

connect_again();
await_beat($node) if session();
for my $round (1 .. $rounds)
{
	my $name = $operations[ rand @operations ];
	# Waiting for others would be waiting for ever: there is nobody else.
	my $answer = ask("CASE WHEN set_config('lock_timeout', '1ms', false) IS NOT NULL THEN ("
		  . 'SELECT x::text FROM (SELECT ' . $operation{$name}->() . ') x) END');

	$done{$name}++ unless $answer =~ /^\w{5}$/ || $answer =~ /^\((f|,)/;
	if ($answer =~ /^MX00[123]/)
	{
		expire();
	}
	elsif ($answer =~ /^(?!55P03|40001)\w{5}$/)
	{
		push @violations, "round $round: $name: $answer";
	}
	if ($name eq 'hold' && $answer =~ /^\((\d{8,})\)$/)
	{
		if ($1 <= ($greatest{lock} // 0))
		{
			push @violations, "hold: token $1 after $greatest{lock}";
		}
		$greatest{lock} = $1;
	}
	check("round $round: $name");
	expire() if $round % 50 == 0;
	stop_worker() if $round % 100 == 30;
	crash() if $round % 100 == 50;
	check("round $round: the end of sessions");
}
note join(', ', map { "$_ $done{$_}" } sort { $done{$a} <=> $done{$b} } keys %done);
is(join("\n", @violations), '', 'tokens grow from grant to grant');
cmp_ok($losses, '>', 0, 'crashes lost commits');
cmp_ok($count{$_}, '>', 5, "the $_ was granted often") for qw(lock semaphore election);
cmp_ok($done{$_} // 0, '>', 0, "$_ was done") for @operations;

$psql->quit;
$node->stop;
done_testing();
