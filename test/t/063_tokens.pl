# Fencing tokens: those of one object grow from grant to grant for ever, in
# whatever way the grant came about, and across crashes that lose commits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat new_node);
use Test::More;

my $rounds = 900;
my $node = new_node('tokens', 'synchronous_commit = off');
my $psql;
my @sessions;
my %greatest;				# token by object
my %token_of;				# by ticket, in its present life as a grant
my %count;
my @violations;
my $seed = $ENV{ATOMIX_TEST_SEED} // time;

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

# Each grant that is new has a greater token than any before it.  Whoever got
# the grant back has a new one.
sub check
{
	my ($operation) = @_;

	for my $row (split /\n/, $psql->query_safe('SELECT * FROM grants ORDER BY token'))
	{
		my ($object, $session, $ticket, $token) = split /\|/, $row;

		next if ($token_of{"$object $ticket"} // 0) == $token;
		if ($token <= ($greatest{$object} // 0))
		{
			push @violations, "$operation: token $token of the $object after $greatest{$object}";
		}
		$greatest{$object} = $token;
		$token_of{"$object $ticket"} = $token;
		$count{$object}++;
	}
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

# One of those there are; 1 is none.
sub any { return "COALESCE((SELECT $_[0] ORDER BY random() LIMIT 1), 1)"; }
sub token { return any("token FROM grants WHERE object = 'lock'"); }
sub waiting { return any('ticket FROM atomix.locks WHERE NOT granted'); }

my %operation = (
	lock_try => sub { 'atomix.lock_try(' . session() . ", 'L', shared => " . one_of('true', 'false') . ')' },
	lock_acquire => sub {
		'atomix.lock_acquire(' . session() . ", 'L', shared => " . one_of('true', 'false') . ')';
	},
	lock_release => sub { 'atomix.lock_release(' . session() . ", 'L')" },
	lock_force_release => sub { "atomix.lock_force_release('L', " . token() . ", 'test')" },
	lock_transfer => sub {
		"atomix.lock_transfer('L', " . token() . ', ' . waiting() . ", 'test')";
	},
	semaphore_acquire => sub {
		'atomix.semaphore_acquire(' . session() . ", 'S', " . one_of(1 .. 3) . ')';
	},
	semaphore_release => sub { 'atomix.semaphore_release(' . session() . ", 'S')" },
	semaphore_resize => sub { "atomix.semaphore_resize('S', " . one_of(1 .. 5) . ')' },
	election_enter => sub {
		'atomix.election_enter(' . session() . ", 'E', NULL, " . one_of(0 .. 3) . ')';
	},
	election_withdraw => sub { 'atomix.election_withdraw(' . session() . ", 'E')" },
	(
		map {
			my $change = $_;

			("election_$change" => sub { "atomix.election_$change('E', '" . candidate() . "')" })
		} qw(anoint promote demote evict)),
	hold => sub { "atomix.hold('L')" },
	close_session => sub {
		my $session = session();

		@sessions = map { ($_ // 0) == $session ? undef : $_ } @sessions;
		return "atomix.close_session($session)";
	});
my @operations = sort keys %operation;
my %done;

sub crash
{
	$psql->quit;
	$node->stop('immediate');
	$node->start;
	connect_again();
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
	check($name);
	expire() if $round % 50 == 0;
	crash() if $round % 300 == 150;
	check('the end of sessions, or a crash');
}
is(join("\n", @violations), '', 'tokens grow from grant to grant');
cmp_ok($count{$_}, '>', 5, "the $_ was granted often") for qw(lock semaphore election);
cmp_ok($done{$_} // 0, '>', 0, "$_ was done") for @operations;

$psql->quit;
$node->stop;
done_testing();
