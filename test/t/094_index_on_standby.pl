# Who has seen an index sees at least as much from then on: a standby asked
# under it waits until it has come so far, at most atomix.query_wait, and then
# names the leader. What a standby shows is never ahead of it, and never of a
# transaction that is not over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(decode_message encode_message);
use AtomixTest qw(await_beat await_waiting new_node new_standby open_session start_query);
use AtomixV0;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', 'wal_level = replica', 'max_wal_senders = 4',
	"atomix.leader_name = 'primary.example'", "atomix.query_wait = '200ms'");
my $leader = AtomixV0->new($primary->background_psql('postgres', on_error_stop => 0));
my $session = $leader->open_session(3600)->{session_id};

sub input
{
	return encode_message('atomix.multiraft.counter.v1.CounterInput', { $_[0] => $_[1] // {} });
}

sub increment
{
	my ($number, $client, $client_session) = @_;

	return ($client // $leader)->command(input('increment', { delta => 1 }),
		session => $client_session // $session, name => 'c', number => $number, type => 'counter');
}

sub value_of
{
	my ($answer) = @_;

	return decode_message('atomix.multiraft.counter.v1.CounterOutput', $answer->{payload})
	  ->{get}{value};
}

sub safe_index { return $_[0]->safe_psql('postgres', 'SELECT safe_index FROM atomix.authority'); }

sub safe_index_reaches
{
	my ($index) = @_;

	return $primary->poll_query_until('postgres', "SELECT safe_index >= $index FROM atomix.authority");
}

increment(1);
await_beat($primary);
my $standby = new_standby($primary, 'standby', "hot_standby_feedback = on
max_standby_streaming_delay = -1
atomix.query_wait = '10min'
");

my $psql = $standby->background_psql('postgres', on_error_stop => 0);
my $follower = AtomixV0->new($psql);
my $pid = $psql->query_safe('SELECT pg_backend_pid()');

sub read_at
{
	my ($index, @more) = @_;

	return $follower->command(input('get'), session => $session, name => 'c', index => $index, @more);
}

#
# Waiting for what is not replayed yet
#

# Execute command 2 while replay is paused; the answer to who asks the standby
# for what it came to, and the index of that.
sub wait_for_replay
{
	my ($client, $client_session, $waiter, $waiter_pid) = @_;

	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
	$standby->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'")
	  or die 'replay is not paused';
	my $index = increment(2, $client, $client_session)->{index};
	my $header = unpack('H*', encode_message('atomix.headers.RequestHeader',
			AtomixV0::request_header(session => $client_session, name => 'c', index => $index)));
	my $get = unpack('H*', input('get'));
	start_query($waiter, "SELECT encode(header, 'hex'), encode(payload, 'hex')
		FROM atomix.session_command('\\x$header', '\\x$get')");
	ok(await_waiting($standby, $waiter_pid, 'Extension Extension'), 'who has seen more waits');
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
	return (AtomixV0::read_message($waiter->query('') =~ s/.*\n//r), $index);
}

my ($answer, $index) = wait_for_replay($leader, $session, $psql, $pid);
is(value_of($answer), 2, 'until it can be seen');
is($answer->{status}, 'OK', 'the answer is whole');
cmp_ok($answer->{index}, '>=', $index, 'its index is one that can be seen there');

# No answer of a standby has an index that the primary has not given out.
is($leader->command(input('get'), session => $session, name => 'c', index => $answer->{index})->{status},
	'OK', 'the primary takes an index from a standby');
increment(3);
cmp_ok(read_at(0)->{index}, '<=',
	$primary->safe_psql('postgres', 'SELECT last_value FROM atomix.index_seq'),
	'though its sequence is ahead');

# The same where what the request says is in another encoding.
$primary->safe_psql('postgres',
	"CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$primary->safe_psql('latin', 'CREATE EXTENSION atomix');
{
	my $client = AtomixV0->new($primary->background_psql('latin', on_error_stop => 0));
	my $client_session = $client->open_session(3600)->{session_id};

	increment(1, $client, $client_session);
	await_beat($primary, 'latin');
	$primary->wait_for_catchup($standby);
	my $waiter = $standby->background_psql('latin', on_error_stop => 0);
	my ($seen) = wait_for_replay($client, $client_session, $waiter,
		$waiter->query_safe('SELECT pg_backend_pid()'));
	is("$seen->{status} $seen->{message}", 'OK ', 'so in a database with an encoding of its own');
	is($seen->{status} eq 'OK' ? value_of($seen) : 'none', 2, 'where it can be seen');
	$_->quit for $waiter, $client->{psql};
}

#
# What is not over is not safe
#

my $open = $primary->background_psql('postgres', on_error_stop => 0);
$open->query_safe("BEGIN; SELECT atomix.map_put_text('open', 'k', gen_random_uuid()::text)");
my $started = $primary->safe_psql('postgres', 'SELECT last_value FROM atomix.index_seq');
my $later = increment(4)->{index};
cmp_ok($later, '>', $started, 'while a transaction is open another one ends');

# Several looks of the worker: each makes its beat known.
for (1 .. 2)
{
	my $beat = $primary->safe_psql('postgres', 'SELECT last_beat FROM atomix.authority');

	$primary->poll_query_until('postgres', "SELECT last_beat > $beat FROM atomix.authority")
	  or die 'no beat';
}
cmp_ok(safe_index($primary), '<', $started, 'nothing above is safe');
$open->query_safe('COMMIT');
ok(safe_index_reaches($later), 'until it is over');
is(value_of(read_at($later)), 4, 'then all can be seen');

# The same for tick(), which has no memory of its own.
$open->query_safe("BEGIN; SELECT atomix.map_put_text('open', 'k', gen_random_uuid()::text)");
$started = $primary->safe_psql('postgres', 'SELECT last_value FROM atomix.index_seq');
$primary->safe_psql('postgres', 'SELECT atomix.tick(); SELECT atomix.tick()');
cmp_ok(safe_index($primary), '<', $started, 'tick() does not think it safe either');
$open->query_safe('ROLLBACK');
$primary->safe_psql('postgres', 'SELECT atomix.tick()');
cmp_ok(safe_index($primary), '>=', $started, 'and does once it is over');
$open->quit;

#
# Bounded
#

$standby->append_conf('postgresql.conf', "atomix.query_wait = '200ms'");
$standby->reload;
$standby->poll_query_until('postgres', "SELECT current_setting('atomix.query_wait') = '200ms'")
  or die 'the setting is not read';
my $never = 9_000_000_000_000_000;
$answer = read_at($never);
is("$answer->{status} $answer->{leader}", 'NOT_LEADER primary.example',
	'an index that does not come is for the leader to judge');
is($answer->{message}, "UNAVAILABLE: this standby has not come to index $never", 'it says why');
is($leader->command(input('get'), session => $session, name => 'c', index => $never)->{message},
	"INVALID: index $never has not been given out", 'who does');
my ($fetched) = $follower->fetch(session => $session, index => $never);
is("$fetched->{status} $fetched->{leader}", 'NOT_LEADER primary.example', 'the same of streams');
is(scalar(() = $follower->fetch(session => $session, index => $later)), 0, 'which are none');

# The row of the documentation about standbys.
my ($row) = grep { /^\| standby \|/ }
  split(/\n/, slurp_file("$FindBin::RealBin/../../docs/protocol.md"));
my (undef, undef, @words) = map { s/^\s+|\s+$//gr } split /\|/, $row;
my %is = (
	asked => sub { $_[0] eq $session },
	newest => sub { $_[0] == safe_index($standby) },
	leader => sub { $_[0] eq 'primary.example' },
	reason => sub { $_[0] =~ /^UNAVAILABLE: this server is a standby; the leader is primary\.example$/ });
$answer = $follower->keep_alive(session => $session, number => 4, index => $never);
for my $field (qw(session_id stream_id response_id index leader status type message))
{
	my $word = shift @words;
	my $check = $is{$word} // sub { $_[0] eq $word };

	ok($check->($answer->{$field}), "standby: $field is $word") or diag("it is $answer->{$field}");
}
is($leader->command(input('increment', { delta => 1 }), session => $session, name => 'c',
		number => 4, type => 'counter')->{status}, 'OK', 'nothing was acknowledged there');
for my $call (
	$follower->open_session(3600), $follower->close_session(session => $session),
	$follower->close_and_delete(session => $session, name => 'c'),
	$follower->command('', session => $session, name => 'd', number => 5, type => 'counter'),
	$follower->command(input('get'), session => $session, name => 'd', type => 'counter'))
{
	is("$call->{status} $call->{leader}", 'NOT_LEADER primary.example', 'what changes something is for the leader');
}

# Without sessions the index moves, too.
$leader->close_session(session => $session);
$primary->safe_psql('postgres', "SELECT atomix.map_put_text('m', 'k', 'v')");
ok(safe_index_reaches($primary->safe_psql('postgres', 'SELECT last_value FROM atomix.index_seq')),
	'the worker notes it where no session lives');

$_->{psql}->quit for $leader, $follower;
$standby->stop;
$primary->stop;
done_testing();
