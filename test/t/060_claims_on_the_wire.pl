# The operations of locks and elections, as bytes: status, output, who waits,
# and what becomes of a command that has to wait.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(document new_filter);
use AtomixTest qw(advance_clock new_node);
use AtomixWire qw(election_input keep_alive_input lock_input operation_result);
use Test::More;

my $node = new_node('claims');
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $wire = AtomixWire->new($psql);
my (%session, %number, %name_of);
# The filter of a client that waits for no answer.
my $nothing = document(new_filter(64, 5));
my $not_held = 'the session does not have the lock';

# Sessions are known by capital letters.
sub open_sessions
{
	for my $name (@_)
	{
		$session{$name} = $wire->open_session(86400);
		$name_of{ $session{$name} } = $name;
		$number{$name} = 0;
	}
}

# Each session has a service open, as each must that uses it.
sub create_for
{
	my ($type, $service, @names) = @_;
	my $id;

	$id = $wire->create($session{$_}, $type, $service) for @names;
	return $id;
}

# The claims on a lock in order, those that are granted with a star.
sub claims
{
	my ($service) = @_;
	my @rows = split /\n/, $psql->query_safe(
		"SELECT session_id, granted FROM atomix.locks
		 WHERE service_id = $service AND session_id IS NOT NULL
		 ORDER BY granted DESC, coalesce(token, ticket)");

	return join(' ', map { my ($id, $granted) = split /\|/; $name_of{$id} . ($granted eq 't' ? '*' : '') } @rows);
}

sub index_of
{
	my ($output) = @_;
	my ($fields) = values %$output;

	return $fields->{index} // 0;
}

open_sessions('A' .. 'D');

#
# Locks: who does what, status, message and the claims after it.  A command
# that waits answers nothing yet, which is status UNKNOWN.
#

{
	my $lock = create_for('lock', 'table', 'A' .. 'D');
	my $latest = 0;

	for my $case (
		[ 'A', 'get', {}, 'NOT_FOUND', 'nobody has the lock', '' ],
		[ 'A', 'release', {}, 'CONFLICT', $not_held, '' ],
		[ 'A', 'acquire', {}, 'OK', '', 'A*' ],
		[ 'B', 'get', {}, 'OK', '', 'A*' ],
		[ 'B', 'release', {}, 'CONFLICT', $not_held, 'A*' ],
		[ 'B', 'acquire', { timeout => { seconds => 0 } }, 'CONFLICT', 'lock already held', 'A*' ],
		[ 'A', 'acquire', { timeout => { seconds => 0 } }, 'CONFLICT', 'lock already held', 'A*' ],
		[ 'B', 'acquire', { timeout => { seconds => -1 } }, 'INVALID', 'timeout is not a positive duration', 'A*' ],
		[ 'B', 'acquire', { timeout => { nanos => -1 } }, 'INVALID', 'timeout is not a positive duration', 'A*' ],
		[ 'B', 'acquire', { timeout => { nanos => 1000000000 } }, 'INVALID', 'timeout is not a positive duration', 'A*' ],
		[ 'B', 'acquire', {}, 'running', '', 'A* B' ],
		[ 'C', 'acquire', { timeout => { seconds => 9223372036854775807 } }, 'running', '', 'A* B C' ],
		# It is not reentrant: who asks again waits for itself.
		[ 'A', 'acquire', {}, 'running', '', 'A* B C A' ],
		[ 'B', 'release', {}, 'CONFLICT', $not_held, 'A* B C A' ],
		[ 'A', 'release', {}, 'OK', '', 'B* C A' ],
		[ 'A', 'release', {}, 'CONFLICT', $not_held, 'B* C A' ],
		[ 'B', 'release', {}, 'OK', '', 'C* A' ],
		[ 'D', 'get', {}, 'OK', '', 'C* A' ],
		[ 'C', 'release', {}, 'OK', '', 'A*' ],
		[ 'A', 'release', {}, 'OK', '', '' ],
		[ 'A', 'release', {}, 'CONFLICT', $not_held, '' ],
		[ 'D', 'get', {}, 'NOT_FOUND', 'nobody has the lock', '' ])
	{
		my ($who, $operation, $arguments, $status, $message, $after) = @$case;
		my $name = "$who: $operation -> $status, $after";
		my $input = lock_input($session{$who}, $lock, $operation, $arguments);
		my $number = ++$number{$who};
		my $answer = $operation eq 'get' ? $wire->evaluate($input) : $wire->apply($input, number => $number);

		if ($status eq 'running')
		{
			is($answer->{status} . keys %{ $answer->{output} }, 'OK0', "$name: no output yet");
			is(state_of($who, $number), 'running', "$name: it waits");
			is(claims($lock), $after, "$name: claims");
			next;
		}
		my %output = operation_result('lock', $answer);

		is($answer->{status}, $status, "$name: status");
		is($answer->{message}, $message, "$name: message");
		is_deeply([ keys %output ], $status eq 'OK' ? [$operation] : [], "$name: output");
		cmp_ok(index_of(\%output), '>', $latest, "$name: a greater token") if $operation eq 'acquire' && $status eq 'OK';
		$latest = index_of(\%output) if index_of(\%output) > 0;
		is(claims($lock), $after, "$name: claims");
	}
}

# What the server knows of a command.
sub state_of
{
	my ($who, $number) = @_;
	return $psql->query_safe("SELECT state FROM atomix.outcome($session{$who}, $number)");
}

sub acquire
{
	my ($who, $lock, $arguments, $number) = @_;
	return $wire->apply(lock_input($session{$who}, $lock, 'acquire', $arguments), number => $number);
}

sub release
{
	my ($who, $lock) = @_;
	return $wire->apply(lock_input($session{$who}, $lock, 'release'))->{status};
}

#
# A command that waits: its answer comes with the grant and is repeated like
# any other.
#

open_sessions('A' .. 'D');
{
	my $lock = create_for('lock', 'waiting', 'A' .. 'D');
	my $first = acquire('A', $lock, {}, 1);
	my %first = operation_result('lock', $first);

	acquire('B', $lock, {}, 1);
	is(state_of('B', 1), 'running', 'it waits');
	acquire('B', $lock, {}, 1);
	is(claims($lock), 'A* B', 'repeated, it does not queue again');
	is(release('A', $lock), 'OK', 'a release');
	is(state_of('B', 1), 'complete', 'its command is complete');

	my $answer = acquire('B', $lock, {}, 1);
	my %output = operation_result('lock', $answer);
	my $again = acquire('B', $lock, {}, 1);

	is($answer->{status}, 'OK', 'and answers that it was granted');
	cmp_ok($output{acquire}{index}, '>', $first{acquire}{index}, 'with a greater token');
	is($answer->{index}, $output{acquire}{index}, 'which is the index of the answer');
	is($again->{output_bytes}, $answer->{output_bytes}, 'always the same');
	is(claims($lock), 'B*', 'it was granted once');
	is(acquire('B', $lock, { timeout => { seconds => 1 } }, 1)->{error}, 'MX005', 'another request under its number');

	# The guard knows it by that token.
	$psql->query_safe("SELECT atomix.assert_lock('waiting', $output{acquire}{index})");
	is($psql->query_safe("SELECT granted FROM atomix.wait_ticket($session{B},
		(SELECT ticket FROM atomix.locks WHERE service_id = $lock))"), 't', 'so does wait_ticket');

	# Time
	acquire('C', $lock, { timeout => { seconds => 60 } }, 1);
	acquire('D', $lock, { timeout => { seconds => 30 } }, 1);
	is(claims($lock), 'B* C D', 'two wait for a time');
	advance_clock($node, '31 s');
	$node->poll_query_until('postgres', "SELECT state = 'complete' FROM atomix.outcome($session{D}, 1)")
	  or die 'the command still waits';
	$answer = acquire('D', $lock, { timeout => { seconds => 30 } }, 1);
	is("$answer->{status}: $answer->{message}", 'CONFLICT: lock already held', 'time is over, behind another that waits');
	is(claims($lock), 'B* C', 'which still does');

	# A keep-alive whose filter lacks the number cancels it.
	acquire('D', $lock, {}, 2);
	is(claims($lock), 'B* C D', 'another waits');
	$answer = $wire->apply(keep_alive_input($session{D}, 2, $nothing));
	is($answer->{status}, 'OK', 'a keep-alive');
	is(claims($lock), 'B* C', 'cancels it');
	isnt(state_of('D', 2), 'running', 'and its command');
	is(release('B', $lock), 'OK', 'a release');
	is(claims($lock), 'C*', 'is for who waited longest');
	$wire->apply(keep_alive_input($session{C}, 1, $nothing));
	is(claims($lock), 'C*', 'what was granted is kept when it is acknowledged');

	# Without a number there is nothing that could wait.
	$answer = acquire('A', $lock, {}, 0);
	is("$answer->{status}: $answer->{message}", 'INVALID: a command that has to wait needs a sequence number',
		'an acquire without a number');
	is(claims($lock), 'C*', 'leaves nothing');
	is(release('C', $lock), 'OK', 'a release');
	is(acquire('A', $lock, {}, 0)->{status}, 'OK', 'it is fine if the lock is free');
	is(release('A', $lock), 'OK', 'and released');
}

#
# The end of sessions and services
#

open_sessions('A' .. 'D');
{
	my $lock = create_for('lock', 'ending', 'A' .. 'D');

	acquire($_, $lock, {}, 1) for 'A' .. 'D';
	is(release('A', $lock), 'OK', 'passed on');
	$wire->apply({ close_session => { session_id => $session{A} } });
	is(claims($lock), 'B* C D', 'the end of the former holder changes nothing');
	$wire->apply({ close_session => { session_id => $session{C} } });
	is(claims($lock), 'B* D', 'who waits leaves the queue');
	$wire->apply({ close_session => { session_id => $session{B} } });
	is(claims($lock), 'D*', 'what is held is passed on');
	is(state_of('D', 1), 'complete', 'and answered');
	open_sessions('E');
	create_for('lock', 'ending', 'E');
	acquire('E', $lock, {}, 1);
	$wire->apply({ session_input => { session_id => $session{E}, close_service => { service_id => $lock } } });
	is(claims($lock), 'D*', 'who closes the service leaves the queue, too');
	isnt(state_of('E', 1), 'running', 'and does not wait any more');
	create_for('lock', 'ending', 'E');
	acquire('E', $lock, {}, 2);
	$psql->query_safe("SELECT atomix.delete_service('ending')");
	isnt(state_of('E', 2), 'running', 'a service that is deleted keeps nobody waiting');
}

#
# Which operations are queries, which commands
#

open_sessions('A' .. 'B');
{
	my $lock = create_for('lock', 'kinds', 'A');
	my $election = create_for('election', 'kinds of election', 'A');

	for my $case ([ 'lock', 'acquire', $lock ], [ 'lock', 'release', $lock ],
		(map { [ 'election', $_, $election ] } qw(enter withdraw anoint promote demote evict)))
	{
		my ($type, $operation, $service) = @$case;
		my $input = AtomixWire::service_input($type, $session{A}, $service, $operation);
		my $answer = $wire->evaluate($input);

		is("$answer->{status}: $answer->{message}", 'INVALID: a query must not change anything',
			"$type $operation is no query");
	}
	is($wire->evaluate(election_input($session{A}, $election, 'watch'))->{status}, 'INVALID', 'watching is no query');
	is($wire->apply(election_input($session{A}, $election, 'watch'))->{status}, 'INVALID',
		'and needs a number');

	# Payloads that are no operation
	for my $service ($lock, $election)
	{
		my $input = AtomixWire::service_input('lock', $session{A}, $service, 'get');

		$input->{session_input}{service_input}{payload} = '';
		isnt($wire->apply($input)->{status}, 'OK', 'no operation at all');
		$input->{session_input}{service_input}{payload} = "\xff";
		is($wire->apply($input)->{error}, '22P03', 'bytes that do not decode');
	}
}

#
# Elections: who does what to which candidate, the status, and term, leader
# and candidates after it, in the answer and in a query.
#

open_sessions('A' .. 'D');
{
	my $election = create_for('election', 'table of terms', 'A' .. 'D');

	sub term_text
	{
		my ($output) = @_;
		my ($fields) = values %$output;
		my $term = $fields->{term} // return 'no term';

		return join(' ', ($term->{index} // 0) . ':', ($term->{leader} // '-') . '*', @{ $term->{candidates} // [] });
	}

	for my $case (
		[ 'A', 'get_term', undef, 'OK', '0: -*' ],
		[ 'A', 'withdraw', '', 'OK', '0: -*' ],
		[ 'A', 'anoint', 'a', 'OK', '0: -*' ],
		[ 'A', 'promote', 'a', 'OK', '0: -*' ],
		[ 'A', 'demote', 'a', 'OK', '0: -*' ],
		[ 'A', 'evict', 'a', 'OK', '0: -*' ],
		[ 'A', 'enter', 'a', 'OK', '1: a*' ],
		[ 'A', 'enter', 'a', 'OK', '1: a*' ],
		[ 'B', 'enter', 'b', 'OK', '1: a* b' ],
		[ 'B', 'enter', 'b', 'OK', '1: a* b' ],
		[ 'B', 'enter', 'a', 'ALREADY_EXISTS', '1: a* b', 'another session stands as candidate "a"' ],
		[ 'C', 'enter', 'b', 'ALREADY_EXISTS', '1: a* b', 'another session stands as candidate "b"' ],
		[ 'C', 'enter', 'c', 'OK', '1: a* b c' ],
		[ 'D', 'enter', 'd', 'OK', '1: a* b c d' ],
		[ 'D', 'enter', '', 'INVALID', '1: a* b c d', 'candidate must have 1 to 512 bytes' ],
		[ 'D', 'enter', 'x' x 513, 'INVALID', '1: a* b c d', 'candidate must have 1 to 512 bytes' ],
		# One that is not the last is the one that leads.
		[ 'D', 'anoint', 'c', 'OK', '2: c* a b d' ],
		[ 'D', 'anoint', 'd', 'OK', '3: d* c a b' ],
		[ 'A', 'anoint', 'd', 'OK', '3: d* c a b' ],
		[ 'A', 'anoint', 'nobody', 'OK', '3: d* c a b' ],
		[ 'A', 'promote', 'd', 'OK', '3: d* c a b' ],
		[ 'A', 'promote', 'b', 'OK', '3: d* c b a' ],
		[ 'A', 'promote', 'c', 'OK', '4: c* d b a' ],
		[ 'A', 'promote', 'nobody', 'OK', '4: c* d b a' ],
		[ 'A', 'demote', 'c', 'OK', '5: d* c b a' ],
		[ 'A', 'demote', 'c', 'OK', '5: d* b c a' ],
		[ 'A', 'demote', 'a', 'OK', '5: d* b c a' ],
		[ 'A', 'demote', 'nobody', 'OK', '5: d* b c a' ],
		# Only one's own is withdrawn, waiting or leading.
		[ 'A', 'withdraw', 'b', 'OK', '5: d* b c a' ],
		[ 'B', 'withdraw', 'b', 'OK', '5: d* c a' ],
		[ 'B', 'withdraw', 'b', 'OK', '5: d* c a' ],
		[ 'D', 'withdraw', 'x', 'OK', '5: d* c a' ],
		[ 'D', 'withdraw', '', 'OK', '6: c* a' ],
		[ 'D', 'evict', 'a', 'OK', '6: c*' ],
		[ 'A', 'enter', 'a', 'OK', '6: c* a' ],
		[ 'D', 'evict', 'c', 'OK', '7: a*' ],
		[ 'A', 'demote', 'a', 'OK', '7: a*' ],
		[ 'A', 'withdraw', 'a', 'OK', '7: -*' ],
		# One session under several names
		[ 'A', 'enter', 'a', 'OK', '8: a*' ],
		[ 'A', 'enter', 'a2', 'OK', '8: a* a2' ],
		[ 'B', 'enter', 'b', 'OK', '8: a* a2 b' ],
		[ 'A', 'withdraw', 'a', 'OK', '9: a2* b' ],
		[ 'A', 'enter', 'a', 'OK', '9: a2* b a' ],
		[ 'A', 'withdraw', '', 'OK', '10: b*' ],
		[ 'B', 'enter', "b\xc3\xa9", 'OK', "10: b* b\xc3\xa9" ])
	{
		my ($who, $operation, $candidate, $status, $after, $message) = @$case;
		my $name = "$who: $operation " . substr($candidate // '', 0, 8) . " -> $status, $after";
		my $input = election_input($session{$who}, $election, $operation,
			defined $candidate ? { candidate => $candidate } : {});
		my $answer = $operation eq 'get_term'
		  ? $wire->evaluate($input) : $wire->apply($input, number => ++$number{$who});
		my %output = operation_result('election', $answer);

		is($answer->{status}, $status, "$name: status");
		is($answer->{message}, $message // '', "$name: message");
		is_deeply([ keys %output ], $status eq 'OK' ? [$operation] : [], "$name: which output");
		is(term_text(\%output), $after, "$name: term") if $status eq 'OK';

		%output = operation_result('election', $wire->evaluate(election_input($session{A}, $election, 'get_term')));
		is(term_text(\%output), $after, "$name: term in a query");
	}

	# A candidate's session ends: the next leads, and a replay is the same.
	my $enter = election_input($session{C}, $election, 'enter', { candidate => 'c' });
	my $number = ++$number{C};
	my $answer = $wire->apply($enter, number => $number);

	$wire->apply({ close_session => { session_id => $session{B} } });
	my %output = operation_result('election', $wire->evaluate(election_input($session{A}, $election, 'get_term')));
	is(term_text(\%output), '11: c*', 'the leader and its other name are gone');
	is($wire->apply($enter, number => $number)->{output_bytes}, $answer->{output_bytes},
		'a repeated command answers as the first time');
	is($psql->query_safe("SELECT leader, term FROM atomix.election_leader('table of terms')"), 'c|11',
		'the typed function sees the same');
}

$psql->quit;
$node->stop;
done_testing();
