# Whoever listens on atomix_session_<id> hears '<id> <version>' from the worker
# after a commit that ended the session or rang for it, at most once per
# atomix.hint_interval; never from the transaction itself, nothing of what was
# rolled back, and nothing of another database.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_notification await_rest await_worker
  new_node notifications open_session);
use Test::More;

# Only the test's clock lets the longest interval pass.
my $node = new_node('channel', 'autovacuum = off', "atomix.hint_interval = '60 s'");
my $worker = await_worker($node, 'postgres');
my $listener = $node->background_psql('postgres');
my $caller = $node->background_psql('postgres');

sub listen_for
{
	my ($id, $psql) = @_;

	($psql // $listener)->query_safe(qq{LISTEN "atomix_session_$id"});
	return $id;
}

# What the worker says once the interval has passed; it has said all when it
# rests.
sub told
{
	advance_clock($node, '61 s');
	await_rest($node);
	return notifications($listener);
}

sub version_of
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT version FROM atomix.session WHERE session_id = $id");
}

# How often each session is told of.
sub times_told
{
	my %times;

	$times{$_}++ for map { /^(\d+) / } @_;
	return %times;
}

#
# What is told, and by whom.
#

my $id = listen_for(open_session($node, '1 d'));
my $silent = open_session($node, '1 d');
told();
is_deeply([ told() ], [], 'nothing is told while nothing happens');

$node->safe_psql('postgres', "SELECT atomix._ring($id)");
is_deeply([ told() ], [ "$id " . version_of($id) ], 'a ring: id and version');
$node->safe_psql('postgres', "SELECT atomix._ring($silent)");
is_deeply([ told() ], [], 'not that of another session');
$node->safe_psql('postgres', "SELECT atomix.keep_alive($id)");
is_deeply([ told() ], [], 'not a renewal');

# The listener's own ring.
my $out = $listener->query("SELECT atomix._ring($id)");
$out .= $listener->query('SELECT 1');
unlike($out, qr/payload/, 'a transaction does not notify of itself');
advance_clock($node, '61 s');
await_rest($node);
$out = $listener->query('SELECT 1');
like($out, qr/"atomix_session_$id" with payload "$id \d+" received from server process with PID $worker\b/,
	'the worker does');
unlike($out, qr/PID (?!$worker\b)/, 'and nobody else');

my %end = (
	'a close' => sub { $node->safe_psql('postgres', "SELECT atomix.close_session($_[0])") },
	"an administrator's end" =>
	  sub { $node->safe_psql('postgres', "SELECT atomix.end_session($_[0], 'test')") },
	'an expiry' => sub { advance_clock($node, '12 s') });
for my $what (sort keys %end)
{
	my $session = listen_for(open_session($node, '10 s'));

	# Its opening is not told: nobody could have listened.
	await_rest($node);
	$end{$what}->($session);
	$node->poll_query_until('postgres', qq{
		SELECT ended_at IS NOT NULL FROM atomix.session WHERE session_id = $session});
	is_deeply([ told() ], [ "$session " . version_of($session) ],
		"$what: id and version, once");
	cmp_ok(version_of($session), '>', 0, 'of what was numbered');
}

#
# Nothing of what was rolled back.
#

for my $sql (
	"BEGIN; SELECT atomix._ring($id); ROLLBACK",
	"BEGIN; SELECT atomix.close_session($id); ROLLBACK",
	"BEGIN; SAVEPOINT a; SELECT atomix._ring($id); ROLLBACK TO a; SELECT atomix._ring($silent); COMMIT")
{
	$caller->query_safe($sql);
	is_deeply([ told() ], [], "nothing: $sql");
}
$caller->query_safe("BEGIN; SELECT atomix._ring($id)");
is_deeply([ told() ], [], 'nor of what has not been committed');
$caller->query_safe('COMMIT');
is(scalar(@{ [ told() ] }), 1, 'but at the commit');

#
# The interval.
#

$caller->query_safe("SELECT atomix._ring($id)") for 1 .. 200;
advance_clock($node, '30 s');
await_rest($node);
is_deeply([ notifications($listener) ], [], 'nothing is told before the interval has passed');
is(scalar(@{ [ told() ] }), 1, 'then 200 rings are told once');

# Also if they are about as many as the queue holds, and for two in turn, by
# one transaction and by many.
my $second = listen_for(open_session($node, '1 d'));
my %times = ($id => 1, $second => 1);
$caller->query_safe(q{
	CREATE PROCEDURE ring_for(ids bigint[], rounds int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. rounds LOOP
			PERFORM atomix._ring(ids[1 + i % cardinality(ids)]);
			COMMIT;
		END LOOP;
	END $$});
told();
$caller->query_safe(qq{
	SELECT count(atomix._ring(CASE g % 2 WHEN 0 THEN $id ELSE $second END))
	FROM generate_series(1, 5000) g});
is_deeply({ times_told(told()) }, \%times, '5000 rings of a transaction are told once each');
$caller->query_safe("CALL ring_for(ARRAY[$id, $second], 4000)");
is_deeply({ times_told(told()) }, \%times, 'those of 4000 transactions as well');

# More than it holds: the oldest are lost, the latest is told.
$caller->query_safe("SELECT count(atomix._ring(g)) FROM generate_series(1, 5000) g;
	SELECT atomix._ring($second)");
is_deeply({ times_told(told()) }, { $second => 1 }, 'the latest of too many is told');

#
# Many sessions in one transaction, each by its own channel.
#

my @crowd = split /\n/, $node->safe_psql('postgres', q{
	SELECT atomix.open_session('1 d', 'crowd') FROM generate_series(1, 300)});
listen_for($_) for @crowd;
told();
$caller->query_safe('SELECT atomix._ring(s) FROM unnest(ARRAY[' . join(',', @crowd) . ']) s');
is_deeply([ sort map { /^(\d+) / } told() ], [ sort @crowd ], 'each of 300 is told');

#
# Another database.
#

$node->safe_psql('postgres', 'CREATE DATABASE neighbour');
$node->safe_psql('neighbour', 'CREATE EXTENSION atomix');
await_worker($node, 'neighbour');
my $theirs = open_session($node, '1 d', 'neighbour');
my $neighbour = $node->background_psql('neighbour');
listen_for($_, $neighbour) for $id, $theirs;
listen_for($theirs);
advance_clock($node, '61 s');
await_rest($node, 'neighbour');
told();
$neighbour->query_safe("SELECT atomix._ring($id); SELECT atomix._ring($theirs)");
advance_clock($node, '61 s');
await_rest($node, 'neighbour');
is_deeply([ map { /^(\d+) / } notifications($neighbour) ], [$theirs],
	'a database hears of its own sessions');
is_deeply([ told() ], [], 'and no other one does');
$caller->query_safe("SELECT atomix._ring($id); SELECT atomix._ring($theirs)");
is_deeply([ map { /^(\d+) / } told() ], [$id], 'the other way round');
await_rest($node, 'neighbour');
is_deeply([ notifications($neighbour) ], [], 'as well');
$neighbour->quit;

#
# By default it does not take a minute.
#

$node->adjust_conf('postgresql.conf', 'atomix.hint_interval', "'50 ms'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.hint_interval') = '50ms'");
told();
for my $round (1 .. 5)
{
	$caller->query_safe("SELECT atomix._ring($id)");
	await_notification($listener, qr/^$id /);
}
pass('without the clock being moved');

# Rings that follow one another.
my $took = $caller->query_safe(qq{
	SELECT began AS t FROM clock_timestamp() AS began \\gset
	CALL ring_for(ARRAY[$id], 2000);
	SELECT extract(epoch FROM clock_timestamp() - :'t')});
$caller->query_safe("SELECT atomix._ring($second)");
my %heard = times_told(await_notification($listener, qr/^$second /));
cmp_ok($heard{$id}, '>=', 1, 'rings in a row are told');
cmp_ok($heard{$id}, '<=', 3 + $took / 0.05, 'once per interval');

$_->quit for $listener, $caller;
$node->stop;
done_testing();
