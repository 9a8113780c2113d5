# Renewals in memory answer as renewals in rows do: a random history of opens,
# keep-alives, rollbacks, savepoints, closes and steps of the clock runs on a
# server with the one and on a server with the other, and all answers agree.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_rest new_node open_session
  query_error);
use Test::More;

my $seed = $ENV{ATOMIX_TEST_SEED} // time;
my $rounds = $ENV{ATOMIX_TEST_ROUNDS} // 400;
note "seed $seed, ATOMIX_TEST_SEED repeats it";
srand($seed);

my %nodes = (
	memory => new_node('history_memory', 'autovacuum = off'),
	rows => new_node('history_rows', 'autovacuum = off',
		'atomix.shared_sessions = 0', 'atomix._coalesce_renewals = off'));
# Two connections on each, so that transactions overlap.
my %connections;
for my $name (keys %nodes)
{
	# A beat for the whole test, and the same time on both.
	$nodes{$name}->safe_psql('postgres', q{
		CREATE TABLE name_of (n int PRIMARY KEY, session_id bigint);
		CREATE FUNCTION id(int) RETURNS bigint LANGUAGE sql AS
		'SELECT coalesce((SELECT session_id FROM name_of WHERE n = $1), 4711)'});
	$nodes{$name}->safe_psql('postgres',
		"INSERT INTO name_of VALUES (0, atomix.open_session('24 h'))");
	await_beat($nodes{$name});
	$connections{$name} = [
		map { $nodes{$name}->background_psql('postgres', on_error_stop => 0) } 1 .. 2 ];
	$_->query_safe("\\set VERBOSITY sqlstate\nSET statement_timeout = '30 s'")
	  for @{ $connections{$name} };
}

# What both answer, and the error if any; ids do not appear.
sub both
{
	my ($who, $sql) = @_;
	my %answer;

	for my $name (keys %nodes)
	{
		my $psql = $connections{$name}[$who];

		$psql->{stderr} = '';
		my $out = $psql->query($sql);
		my ($error) = $psql->{stderr} =~ /ERROR:\s+(\w+)/;

		$psql->{stderr} = '';
		$answer{$name} = $out . ($error ? " $error" : '');
	}
	return \%answer;
}

# The sessions that are open, with the state each was found in.
my $final = 'SELECT n, state, cause FROM name_of JOIN atomix.session USING (session_id) ORDER BY n';

my $now = 0;	# seconds by the virtual clock
my $count = 0;	# sessions so far
my %renewed;	# by number: when, once committed
my %timeout;
my @pending;	# by connection: undef, or renewals and closes of its transaction
my @closed_in;	# by number: the connection whose transaction closes it
my @log;
my %kinds;
my $bad = 0;

# Run a statement on both and compare.
sub step
{
	my ($who, $kind, $sql) = @_;
	my $answer = both($who, $sql);

	push @log, "$now $who $sql -> $answer->{memory}";
	$kinds{"$kind " . ($answer->{memory} =~ /([0-9A-Z]{5})$/ ? $1 : 'done')}++;
	return if $answer->{memory} eq $answer->{rows};
	$bad++;
	diag "memory: $answer->{memory}, rows: $answer->{rows}\n"
	  . join("\n", @log > 40 ? @log[ -40 .. -1 ] : @log);
	return;
}

# Would a step of the clock leave any deadline within a second and a half?
sub is_clear
{
	my ($then) = @_;

	for my $n (keys %renewed)
	{
		for my $at (@{ $renewed{$n} })
		{
			# Until its timeout it lives, after the slack it is ended.
			return 0 if abs($at + $timeout{$n} * 9 / 8 - $then) < 3;
		}
	}
	return 1;
}

# Remember a time at which a session may have been renewed.
sub remember
{
	my ($n) = @_;

	push @{ $renewed{$n} }, $now if exists $timeout{$n};
	return;
}

# Another's open transaction holds on to the session, so that a call would
# wait for it, or come out one way here and another way there.
sub is_taken
{
	my ($n, $who) = @_;
	my $other = $pending[ 1 - $who ];

	return $other && $other->{$n};
}

sub some_session
{
	my $n = 1 + int(rand($count + 1));

	return $n <= $count && $count > 12 && rand() < 0.8 ? $count - int(rand(12)) : $n;
}

for my $round (1 .. $rounds)
{
	my $dice = rand();
	my $who = int(rand(2));
	my $n = some_session();

	if ($count < 3 || ($dice < 0.12 && !$pending[$who]))
	{
		next if $pending[$who];
		$count++;
		$timeout{$count} = (40, 80, 160, 400)[ int(rand(4)) ];
		step($who, 'open', "INSERT INTO name_of
			VALUES ($count, atomix.open_session('$timeout{$count} s'))");
		remember($count);
	}
	elsif ($dice < 0.45)
	{
		next if is_taken($n, $who);
		$pending[$who]{$n} = 1 if $pending[$who];
		step($who, 'keep_alive', "SELECT atomix.keep_alive(id($n))");
		remember($n);
		# A failed transaction is over.
		if ($pending[$who] && $log[-1] =~ /-> .*\w{5}$/ && $log[-1] !~ /\d\d:\d\d:\d\d$/)
		{
			step($who, 'rollback', 'ROLLBACK');
			$pending[$who] = undef;
		}
	}
	elsif ($dice < 0.55)
	{
		my @batch = grep { !is_taken($_, $who) } map { some_session() } 1 .. 6;

		next if !@batch;
		$pending[$who] and $pending[$who]{$_} = 1 for @batch;
		step($who, 'batch', 'SELECT state, time_left FROM atomix.keep_alive_many(ARRAY['
			  . join(',', map { "id($_)" } @batch) . '])');
		remember($_) for @batch;
	}
	elsif ($dice < 0.62)
	{
		next if is_taken($n, $who);
		$pending[$who]{$n} = 1 if $pending[$who];
		step($who, 'close', "SELECT atomix.close_session(id($n))");
		if ($pending[$who] && $log[-1] =~ /MX001$/)
		{
			step($who, 'rollback', 'ROLLBACK');
			$pending[$who] = undef;
		}
	}
	elsif ($dice < 0.68)
	{
		next if is_taken($n, $who) || $pending[$who];
		step($who, 'savepoint', "BEGIN; SAVEPOINT s; SELECT 1 FROM atomix.keep_alive_many(ARRAY[id($n)]);
			ROLLBACK TO s; COMMIT");
	}
	elsif ($dice < 0.72)
	{
		next if is_taken($n, $who) || $pending[$who];
		step($who, 'close in savepoint', "BEGIN; SELECT state FROM atomix.keep_alive_many(ARRAY[id($n)]);
			SAVEPOINT s; SELECT atomix.close_session(session_id) FROM name_of WHERE n = $n;
			SELECT state FROM atomix.keep_alive_many(ARRAY[id($n)]);
			ROLLBACK TO s; SELECT state FROM atomix.keep_alive_many(ARRAY[id($n)]); COMMIT");
		remember($n);
	}
	elsif ($dice < 0.84)
	{
		if ($pending[$who])
		{
			my $end = rand() < 0.5 ? 'COMMIT' : 'ROLLBACK';

			step($who, lc $end, $end);
			$pending[$who] = undef;
		}
		else
		{
			step($who, 'begin', 'BEGIN');
			$pending[$who] = {};
		}
	}
	else
	{
		my $by = 1 + int(rand(rand() < 0.3 ? 90 : 20));

		# An open renewal holds off expiry in rows, but not in memory.
		for my $one (0, 1)
		{
			next if !$pending[$one];
			step($one, 'commit', 'COMMIT');
			$pending[$one] = undef;
		}
		$by++ until is_clear($now + $by);
		$now += $by;
		advance_clock($_, "$by s") for values %nodes;
		await_rest($_) for values %nodes;
		step(0, 'states', $final);
	}
	last if $bad;
}
for my $one (0, 1)
{
	step($one, 'commit', 'COMMIT') if $pending[$one];
}
await_rest($_) for values %nodes;
step(0, 'states', $final);
is($bad, 0, "$rounds steps with seed $seed are answered alike");
advance_clock($_, '500 s') for values %nodes;
await_rest($_) for values %nodes;
step(0, 'states', $final);
is($bad, 0, 'so they are at the end');
note join(', ', map { "$_: $kinds{$_}" } sort keys %kinds);
for my $seen ('keep_alive done', 'keep_alive MX002', 'keep_alive MX003', 'batch done',
	'close done', 'savepoint done', 'rollback done')
{
	ok($kinds{$seen}, "$seen occurs") if $rounds >= 400;
}

for my $name (keys %nodes)
{
	$_->quit for @{ $connections{$name} };
	$nodes{$name}->stop;
}
done_testing();
