# "atomixctl elect": its command runs while it leads and at no other time; it
# stays a candidate when another one is made leader, when it steps down after its
# command has ended, and ends when it is told to.  And what
# administrators take away is given up.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(await_line ctl ctl_ok exit_code lines start_ctl under_lock);
use AtomixTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('elect');
my $directory = PostgreSQL::Test::Utils::tempdir();

sub leader
{
	my ($name) = @_;

	return $node->poll_query_until('postgres',
		"SELECT leader = '$name' FROM atomix.election_leader('boss')");
}

my %pid = map { $_ => start_ctl($node, "$directory/$_.log", 'elect', 'boss', '--candidate', $_, '--ttl', '10s',
		'--', under_lock("$directory/effects", 100000, 5)) } 'a';
ok(leader('a'), 'the first candidate leads');
my ($token) = await_line("$directory/effects", qr/^\d+ \d+ 1 /) =~ /^(\d+)/;
$pid{b} = start_ctl($node, "$directory/b.log", 'elect', 'boss', '--candidate', 'b', '--ttl', '10s',
	'--', under_lock("$directory/effects", 100000, 5));
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM atomix.elections')
  or die 'there is no second candidate';

# Another one is made leader: at once, not with the next renewal.
my $before = AtomixCtl::now_boot();
is(ctl_ok($node, 'election', 'anoint', 'boss', 'b'), 'yes', 'b is made leader');
ok(leader('b'), 'b leads');
my ($token_b) = await_line("$directory/effects", qr/^(?!$token)\d+ \d+ 1 /) =~ /^(\d+)/;
cmp_ok($token_b, '>', $token, 'its token is greater');
await_line("$directory/a.log.err", qr/"boss" is lost: it was taken away/);
cmp_ok(AtomixCtl::now_boot() - $before, '<', 2, 'the former leader heard of it before its next renewal');
is((ctl($node, 'election', 'check', 'boss', $token))[0], 1, 'its token is refused');
$node->poll_query_until('postgres', "SELECT NOT granted FROM atomix.elections WHERE candidate = 'a'")
  or die 'a is no candidate any more';
pass('it stays a candidate');

# The leader goes: the other one leads again, and its command is started again.
kill 'TERM', $pid{b};
is(exit_code($pid{b}), 143, 'the leader ends with its command when it is told to');
ok(leader('a'), 'the former leader leads again');
my ($again) = await_line("$directory/effects", qr/^(?!$token|$token_b)\d+ \d+ 1 /) =~ /^(\d+)/;
cmp_ok($again, '>', $token_b, 'with a token of its own');

# Evicted it stands again.
is(ctl_ok($node, 'election', 'evict', 'boss', 'a'), 'yes', 'the leader is removed');
my ($anew) = await_line("$directory/effects", qr/^(?!$token|$token_b|$again)\d+ \d+ 1 /) =~ /^(\d+)/;
cmp_ok($anew, '>', $again, 'and leads again as nobody else stands');
kill 'TERM', $pid{a};
is(exit_code($pid{a}), 143, 'it ends, too');

# Who leads has a term, and steps down when its command has ended.
my $short = start_ctl($node, "$directory/short.log", 'elect', 'terms', '--candidate', 'c', '--',
	'sh', '-c', 'echo $ATOMIX_ELECTION $ATOMIX_TERM $ATOMIX_TOKEN; exit 3');
await_line("$directory/short.log", qr/^terms 1 \d+$/);
await_line("$directory/short.log", qr/^terms [2-9] \d+$/);
pass('the command is started again in another term');
like(slurp_file("$directory/short.log.err"), qr/ended with 3: stepping down, standing again in/, 'it says so');
kill 'INT', $short;
like(exit_code($short), qr/^(signal 2|130)$/, 'and can be interrupted');
is(ctl_ok($node, 'elect', 'terms', '--once', '--', 'sh', '-c', 'echo done'), 'done', '--once ends with the command');

# A lock that is taken away by force, and permits.
foreach my $case ([ 'job', [] ], [ 'sharing', ['--shared'] ])
{
	my ($name, $options) = @$case;
	my $file = "$directory/$name";
	my $pid = start_ctl($node, "$file.log", 'lock', $name, @$options, '--ttl', '60s', '--grace', '500ms', '--',
		under_lock($file, 100000, 5, 1));
	my ($held) = await_line($file, qr/^\d+ \d+ 1 /) =~ /^(\d+)/;
	my $since = AtomixCtl::now_boot();

	is(ctl_ok($node, 'lock', 'force-release', $name, $held, '--reason', 'a test'), 'yes', "$name is taken away");
	is(exit_code($pid), 123, 'its command is ended, though it does not mind SIGTERM');
	cmp_ok(AtomixCtl::now_boot() - $since, '<', 10, 'long before the next renewal');
}
is(ctl_ok($node, 'semaphore', 'resize', 'slots', 2), '2', 'two permits');
my @holders = map { start_ctl($node, "$directory/slot$_.log", 'lock', 'slots', '--permits', '1', '--',
		under_lock("$directory/slot$_", 100000, 5)) } 1 .. 3;
$node->poll_query_until('postgres', "SELECT count(*) FILTER (WHERE granted) = 2 AND count(*) = 3 FROM atomix.semaphores")
  or die 'not two of three';
pass('two of three have permits');
$node->safe_psql('postgres', "SELECT atomix.end_session(session_id, 'a test') FROM atomix.semaphores WHERE granted ORDER BY token LIMIT 1");
my $lost = wait();
is($? >> 8, 123, 'one whose session is ended gives up');
$node->poll_query_until('postgres', "SELECT count(*) FILTER (WHERE granted) = 2 AND count(*) = 2 FROM atomix.semaphores")
  or die 'the third has none';
pass('the third has its permit');
my @left = grep { $_ != $lost } @holders;
kill 'INT', @left;
is(exit_code($_), 130, 'a signal is passed on') foreach @left;

# Signals while waiting: no command has been started.
my $session = ctl_ok($node, 'session', 'open', '--ttl', '1h');
ctl_ok($node, 'lock', 'try', $session, 'taken');
my $waiter = start_ctl($node, "$directory/waiter.log", 'lock', 'taken', '--', 'touch', "$directory/started");
$node->poll_query_until('postgres', "SELECT count(*) = 2 FROM atomix.locks WHERE name = 'taken'")
  or die 'nobody waits';
kill 'TERM', $waiter;
is(exit_code($waiter), 'signal 15', 'who waits ends by the signal');
is($node->safe_psql('postgres', "SELECT count(*) FROM atomix.locks WHERE name = 'taken'"), '1', 'and has left the queue');
ok(!-e "$directory/started", 'without having started the command');
is(slurp_file("$directory/waiter.log.err"), '', 'and without a word about waiting');

$node->stop;
done_testing();
