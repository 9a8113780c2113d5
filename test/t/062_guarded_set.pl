# Clients build a set by reading it in one transaction and writing it in the
# next, under a lock, while sessions expire in between.  Without the guard a
# client that is late overwrites what others have written meanwhile: that they
# lose something proves the test.  With it nothing is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock new_node);
use Test::More;

my $clients = 4;
my $steps = 800;
my $node = new_node('set', 'max_connections = 30');
my $seed = $ENV{ATOMIX_TEST_SEED} // time;
my %outcomes;

note "seed $seed";
srand($seed);

# What a query answers, or the SQLSTATE.
$node->safe_psql('postgres', q{
	CREATE FUNCTION ask(query text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		answer text;
	BEGIN
		EXECUTE query INTO answer;
		RETURN answer;
	EXCEPTION WHEN OTHERS THEN
		RETURN sqlstate;
	END $$;
	CREATE TABLE fenced (items int[] NOT NULL);
	CREATE TABLE bare (items int[] NOT NULL);
	CREATE TRIGGER fence BEFORE UPDATE ON fenced
		FOR EACH ROW EXECUTE FUNCTION atomix.fence('set fenced')});

sub ask
{
	my ($client, $query) = @_;

	return $client->{psql}->query_safe("SELECT ask(\$query\$ $query \$query\$)");
}

# The steps of a client; each leads to another one, or to the same.
my %step = (
	queue => sub {
		my ($client) = @_;

		$client->{session} = ask($client, "SELECT atomix.open_session('10 s')");
		$client->{ticket} = ask($client, "SELECT ticket
			FROM atomix.lock_acquire($client->{session}, 'set $client->{table}')");
		return 'wait';
	},
	wait => sub {
		my ($client) = @_;
		my $token = ask($client,
			"SELECT token FROM atomix.wait_ticket($client->{session}, $client->{ticket}, '0')");

		return 'queue' if $token =~ /^MX/;
		$client->{token} = $token;
		return $token eq '' ? 'wait' : 'read';
	},
	read => sub {
		my ($client) = @_;

		$client->{items} = ask($client, "SELECT items FROM $client->{table}");
		return 'write';
	},
	write => sub {
		my ($client) = @_;
		my $guarded = $client->{table} eq 'fenced';
		my $item = ++$client->{counter}{$client->{table}};
		my $items = $client->{items} =~ s/(\d?)\}/$1 . ($1 eq '' ? '' : ',') . "$item}"/er;

		$client->{item} = $item;
		if ($guarded)
		{
			$client->{psql}->query_safe('BEGIN');
			if (ask($client, "SELECT atomix.assert_lock('set fenced', $client->{token})") eq 'MX006')
			{
				$client->{psql}->query_safe('ROLLBACK');
				$outcomes{refused}++;
				return 'queue';
			}
		}
		$client->{psql}->query_safe("UPDATE $client->{table} SET items = '$items'");
		return $guarded ? 'commit' : 'done';
	},
	commit => sub {
		my ($client) = @_;

		$client->{psql}->query_safe('COMMIT');
		return 'done';
	},
	done => sub {
		my ($client) = @_;

		push @{ $client->{written}{$client->{table}} }, $client->{item};
		ask($client, "SELECT atomix.lock_release($client->{session}, 'set $client->{table}')");
		return 'queue';
	});

# How many of the items that were written are not there in the end, and how
# many there should be.
sub build
{
	my ($table) = @_;
	my %counter = ($table => 0);
	my %written = ($table => []);
	my @clients = map {
		{
			psql => $node->background_psql('postgres'),
			table => $table,
			next => 'queue',
			counter => \%counter,
			written => \%written
		}
	} 1 .. $clients;

	%outcomes = (refused => 0);
	$node->safe_psql('postgres', "INSERT INTO $table VALUES ('{}')");
	for (1 .. $steps)
	{
		my $client = $clients[ rand @clients ];

		$client->{next} = $step{ $client->{next} }->($client);
		advance_clock($node, '12 s') if rand() < 0.05;
	}
	# Whoever is in the middle of writing comes to an end.
	for my $client (grep { $_->{next} =~ /commit|done/ } @clients)
	{
		$client->{next} = $step{ $client->{next} }->($client) while $client->{next} ne 'queue';
	}
	$_->{psql}->quit for @clients;

	my %there = map { $_ => 1 } split /\n/,
	  $node->safe_psql('postgres', "SELECT unnest(items) FROM $table");
	my $lost = grep { !$there{$_} } @{ $written{$table} };
	note "$table: " . scalar(@{ $written{$table} }) . " written, $lost lost, $outcomes{refused} refused";
	return ($lost, scalar @{ $written{$table} });
}

my ($lost, $written) = build('bare');
cmp_ok($lost, '>', 0, 'without the guard something is lost');

($lost, $written) = build('fenced');
is($lost, 0, 'with the guard nothing is lost');
cmp_ok($written, '>', 5, 'of much that was written');
cmp_ok($outcomes{refused}, '>', 0, 'since those that came too late were refused');

$node->stop;
done_testing();
