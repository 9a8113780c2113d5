# An acquire that has to wait is a running command: what completes it, how its
# output is kept, replayed and acknowledged, and what cancels it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(document filter_of);
use AtomixProto qw(decode_message encode_message);
use AtomixTest qw(advance_clock await_rest await_state new_node);
use AtomixWire qw(keep_alive_input);
use Test::More;

my $lock_v1 = 'atomix.multiraft.lock.v1';
my $node = new_node('waiting');
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my $locks = 0;
my $moved = 0;

sub move
{
	$moved += $_[0];
	advance_clock($node, "$_[0] s");
	return;
}

sub lock_input
{
	my ($client, $operation, $arguments) = @_;
	my $payload = encode_message("$lock_v1.LockInput", { $operation => $arguments // {} });

	return {
		session_input => {
			session_id => $client->{session},
			service_input => { service_id => $client->{service}, payload => $payload }
		}
	};
}

# Clients with a session each, all of which have opened a new lock.
sub new_clients
{
	my ($count, $seconds) = @_;

	$locks++;
	return map {
		my $session = $wire->open_session($seconds // 86400);

		{
			session => $session,
			service => $wire->create($session, 'lock', "lock $locks"),
			number => 0
		}
	} 1 .. $count;
}

# Have a client acquire the lock, as its next command.
sub acquire
{
	my ($client, $seconds) = @_;

	$client->{arguments} = defined $seconds ? { timeout => { seconds => $seconds } } : {};
	$client->{number}++;
	return again($client);
}

# The latest acquire once more.
sub again
{
	my ($client) = @_;

	return $wire->apply(lock_input($client, 'acquire', $client->{arguments}),
		number => $client->{acquired} = $client->{number});
}

sub release
{
	my ($client) = @_;

	return outcome($wire->apply(lock_input($client, 'release')));
}

# RUNNING while there is no output, else status and message.
sub outcome
{
	my ($answer) = @_;

	return $answer->{error} if $answer->{error};
	return 'RUNNING' if $answer->{num} == 0 && $answer->{status} eq 'OK';
	return $answer->{status} . ($answer->{message} eq '' ? '' : ": $answer->{message}");
}

# The token in the output of an acquire.
sub token
{
	my ($answer) = @_;
	my $payload = $answer->{output}{session_output}{service_output}{payload} // return 'none';

	return decode_message("$lock_v1.LockOutput", $payload)->{acquire}{index};
}

# Who has a lock and who waits for it, as numbers of clients.
sub claims
{
	my (@clients) = @_;
	my %number = map { $clients[$_]{session} => $_ } 0 .. $#clients;

	return join ' ', map { /^(\d+)(.*)/ ? ($number{$1} // '?') . $2 : () } split /\n/,
	  $psql->query_safe("SELECT session_id || CASE WHEN granted THEN '!' ELSE '' END
		FROM atomix.locks WHERE name = 'lock $locks' AND session_id IS NOT NULL
		ORDER BY granted DESC, ticket");
}

# What a keep-alive of a client says who has begun all its commands and waits
# for those numbers.
sub keep_alive
{
	my ($client, @pending) = @_;

	return outcome($wire->apply(keep_alive_input($client->{session}, $client->{number},
				@pending ? document(filter_of(@pending)) : undef)));
}

sub state_of
{
	my ($client) = @_;

	return $psql->query_safe("SELECT state FROM atomix.outcome($client->{session}, $client->{number})");
}

#
# A grant completes it.
#

my ($a, $b, $c) = new_clients(3);
my $answer = acquire($a);
is(outcome($answer), 'OK', 'a free lock is acquired at once');
is(token($answer), $answer->{index}, 'the output is the index');
my $greatest = token($answer);
is(outcome(acquire($b)), 'RUNNING', 'one that is not free is waited for');
is(outcome(again($b)), 'RUNNING', 'asked again, it still is');
is(outcome(acquire($c)), 'RUNNING', 'by another one as well');
is(claims($a, $b, $c), '0! 1 2', 'each waits once');
is(keep_alive($b, 1), 'OK', 'a keep-alive that knows of it');
is(claims($a, $b, $c), '0! 1 2', 'leaves it waiting');
is(release($a), 'OK', 'the lock is released');
is(claims($a, $b, $c), '1! 2', 'and granted to the next one');
$answer = again($b);
is(outcome($answer), 'OK', 'whose command is complete');
is($answer->{num}, 1, 'with one output');
is($answer->{index}, token($answer), 'of the same index');
cmp_ok(token($answer), '>', $greatest, 'which is the new token');
is(again($b)->{output_bytes}, $answer->{output_bytes}, 'it is replayed byte for byte');
is(outcome(again($c)), 'RUNNING', 'the one after it waits on');
is(keep_alive($b, 1), 'OK', 'a keep-alive that waits for the output');
is(outcome(again($b)), 'OK', 'keeps it');
is(keep_alive($b), 'OK', 'one that does not');
is(outcome(again($b)), 'MX004', 'acknowledges it');
is(claims($a, $b, $c), '1! 2', 'which does not release the lock');
is(release($a), 'CONFLICT: the session does not have the lock', 'who has released has it no more');

#
# A keep-alive that does not know of it cancels it.
#

($a, $b, $c) = new_clients(3);
acquire($a);
acquire($b);
acquire($c);
is(keep_alive($b), 'OK', 'a keep-alive gives a waiting command up');
is(claims($a, $b, $c), '0! 2', 'it does not wait any more');
is(outcome(again($b)), 'MX004', 'and is acknowledged');
release($a);
is(claims($a, $b, $c), '2!', 'the lock goes to the one after it');
is(keep_alive($a), 'OK', 'what is complete');
is(claims($a, $b, $c), '2!', 'is not undone by a keep-alive');

# Of several by one session, only those that are given up.
($a, $b) = new_clients(2);
acquire($a);
acquire($b) for 1 .. 3;
is(claims($a, $b), '0! 1 1 1', 'a session waits three times');
is(keep_alive($b, 2), 'OK', 'and gives up two');
is(claims($a, $b), '0! 1', 'one stays');
release($a);
is( $psql->query_safe("SELECT string_agg(sequence_num || ' ' || state, ', ' ORDER BY sequence_num)
		FROM atomix.command WHERE session_id = $b->{session} AND state <> 'acknowledged'"),
	'2 complete', 'and is granted');

#
# Time.
#

($a, $b, $c) = new_clients(3);
acquire($a);
is(outcome(acquire($b, 5)), 'RUNNING', 'an acquire may wait for a time');
acquire($c);
is(outcome(acquire($b, 0)), 'CONFLICT: lock already held', 'none is over at once');
$b->{number}--;
$b->{arguments} = { timeout => { seconds => 5 } };
move(6);
$node->poll_query_until('postgres', "SELECT state = 'complete'
	FROM atomix.outcome($b->{session}, $b->{number})");
$answer = again($b);
is(outcome($answer), 'CONFLICT: lock already held', 'the worker ends it in time');
is($answer->{num}, 1, 'which completes it');
is(claims($a, $b, $c), '0! 2', 'it is out of the queue');
release($a);
is(claims($a, $b, $c), '2!', 'and is not granted later');

is(outcome($wire->apply(lock_input($a, 'acquire'))),
	'INVALID: a command that has to wait needs a sequence number',
	'who has no number cannot wait');
is(claims($a, $b, $c), '2!', 'and does not');
release($c);
is(outcome($wire->apply(lock_input($a, 'acquire'))), 'OK', 'but need not for a free lock');

#
# The session, or its use of the service, ends.
#

($a, $b, $c) = new_clients(3);
acquire($a);
acquire($b);
acquire($c);
$psql->query_safe("SELECT atomix.close_session($b->{session})");
is(state_of($b), 'canceled', 'a close cancels what waits');
is(claims($a, $b, $c), '0! 2', 'and takes it from the queue');
is(outcome(again($b)), "NOT_FOUND: session $b->{session} is closed", 'a retry is answered');
my $closing = { session_input => { session_id => $c->{session},
		close_service => { service_id => $c->{service} } } };
is(outcome($wire->apply($closing)), 'OK', 'the service is closed');
is(state_of($c), 'canceled', 'that cancels what waits for it, too');
is(outcome(again($c)), 'CANCELED: the claim was withdrawn', 'a retry completes with that');
is(again($c)->{num}, 1, 'as its output');

acquire($a);
$closing->{session_input} = { session_id => $a->{session},
	close_service => { service_id => $a->{service} } };
is(claims($a), '0! 0', 'a session that has the lock waits for it');
is(outcome($wire->apply($closing)), 'OK', 'and closes the service');
is(claims($a), '', 'neither is left');

($a, $b) = new_clients(2, 20);
acquire($a);
my $long = { %$a, session => $wire->open_session(86400), number => 0 };
$wire->create($long->{session}, 'lock', "lock $locks");
acquire($b);
acquire($long);
move(25);
ok(await_state($node, $_->{session}, 'expired'), 'a session expires') for $a, $b;
is(state_of($b), 'canceled', 'the worker cancels what waits');
is(outcome(again($long)), 'OK', 'and grants what is left');

($a, $b) = new_clients(2);
acquire($a);
acquire($b);
$psql->query_safe("SELECT atomix.delete_service('lock $locks')");
is(outcome(again($b)), 'CANCELED: the service was deleted', 'so does deleting the service');

#
# Batches.
#

($a) = new_clients(1);
my @answers = $wire->apply_all(
	[ lock_input($a, 'acquire'), number => 1 ],
	[ lock_input($a, 'acquire'), number => 2 ],
	[ lock_input($a, 'release'), number => 3 ]);
is(join(', ', map { outcome($_) } @answers), 'OK, RUNNING, OK', 'acquire, acquire and release at once');
is(claims($a), '0!', 'the second has the lock');
$a->{number} = 2;
$a->{arguments} = {};
is(outcome(again($a)), 'OK', 'and is complete');
cmp_ok(token(again($a)), '>', token($answers[0]), 'with a newer token');

#
# A restart: what is left of the time to wait stays, be it on the same clock, or
# on that of another boot.
#

# Crash and start again.  The clock is moved to where it was before anybody
# serves, unless it is another one.
sub crash
{
	my ($other_boot) = @_;

	$psql->query_safe("UPDATE atomix.clock_epoch SET boot_id = 'another boot'
		WHERE last_beat IS NULL")
	  if $other_boot;
	# What an immediate stop would lose
	$psql->query_safe("SELECT pg_logical_emit_message(true, '', '')");
	my $run = $psql->query_safe('SELECT start_id FROM atomix.authority');
	$psql->quit;
	$node->stop('immediate');
	$node->adjust_conf('postgresql.conf', 'atomix.enabled', 'off');
	$node->start;
	advance_clock($node, "$moved s") unless $other_boot;
	$moved = 0 if $other_boot;
	$node->adjust_conf('postgresql.conf', 'atomix.enabled', 'on');
	$node->reload;
	$node->poll_query_until('postgres', "SELECT start_id <> $run FROM atomix.authority")
	  or die 'the server does not take over';
	$psql = $node->background_psql('postgres', on_error_stop => 0);
	$wire = AtomixWire->new($psql);
	return;
}

for my $other_boot (0, 1)
{
	my $name = $other_boot ? 'another boot' : 'a crash';

	($a, $b, $c) = new_clients(3);
	acquire($a);
	acquire($b, 1000);
	acquire($c);
	my $beat = $psql->query_safe('SELECT last_beat FROM atomix.authority');
	move(600);
	$node->poll_query_until('postgres',
		"SELECT last_beat > $beat + 599000000 FROM atomix.authority");
	crash($other_boot);
	is(claims($a, $b, $c), '0! 1 2', "who waits goes on waiting after $name");
	is(outcome(again($b)), 'RUNNING', 'and its command is running');
	move(300);
	await_rest($node);
	is(outcome(again($b)), 'RUNNING', 'for what is left of the time');
	move(150);
	ok($node->poll_query_until('postgres', "SELECT state = 'complete'
			FROM atomix.outcome($b->{session}, $b->{number})"), 'and no longer');
	is(outcome(again($b)), 'CONFLICT: lock already held', 'than that');
	release($a);
	is(outcome(again($c)), 'OK', 'the next one is granted');
}

$psql->quit;
$node->stop;
done_testing();
