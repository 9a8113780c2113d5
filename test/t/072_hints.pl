# Whoever asked for it hears '<service id> <revision>' on atomix_service_<id>
# after a commit, at most once per atomix.hint_interval, and nothing of what
# was rolled back or is not watched; and the feeds of sessions and partitions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(decode_message encode_message);
use AtomixTest qw(advance_clock await_rest await_worker new_node notifications
  open_session psql_sqlstate);
use Test::More;

# Only the test's clock lets the longest interval pass.
my $node = new_node('hints', 'autovacuum = off', "atomix.hint_interval = '60 s'",
	"atomix.leader_name = 'foo'", 'wal_level = replica');
my $worker = await_worker($node, 'postgres');
my $listener = $node->background_psql('postgres');
my $caller = $node->background_psql('postgres');
# With a session there, the worker looks at the clock.
my $keeper = open_session($node, '1 d');

sub run { return $node->safe_psql('postgres', $_[0]); }

sub revision
{
	my ($name) = @_;

	return run("SELECT revision FROM atomix.service WHERE name = '$name'");
}

# What the worker says once the interval has passed; it has said all when it
# rests.
sub told
{
	advance_clock($node, '61 s');
	await_rest($node);
	return notifications($listener);
}

#
# listen_watch
#

run("SELECT atomix.counter_set('c', 1), atomix.counter_set('d', 1)");

my $id = run("SELECT service_id FROM atomix.service WHERE name = 'c'");
my ($channel, $position) =
  split /\|/, $listener->query_safe("SELECT channel, revision FROM atomix.listen_watch('c')");

is($channel, "atomix_service_$id", 'the channel is named after the service');
is($position, revision('c'), 'the position is the revision');
is($listener->query_safe('SELECT pg_listening_channels()'), $channel, 'the connection listens');
is(join(',', told()), '', 'watching is nothing to tell of');

run("SELECT atomix.counter_set('c', 2)");
$position++;
is(join(',', told()), "$id $position", 'a change is told, by id and revision');
run("SELECT atomix.counter_set('c', n) FROM generate_series(3, 12) AS n") for 1 .. 2;
$position = revision('c');
is(join(',', told()), "$id $position", 'many are told together');
run("BEGIN; SELECT atomix.counter_set('c', 99); ROLLBACK;
	BEGIN; SAVEPOINT s; SELECT atomix.counter_set('c', 99); ROLLBACK TO s; COMMIT");
is(join(',', told()), '', 'nothing of what was rolled back');
$caller->query_safe("BEGIN; SELECT atomix.counter_set('c', 99)");
is(join(',', told()), '', 'nothing before the commit');
is($listener->query_safe("SELECT count(*) FROM atomix.watch('c', $position)"), '0',
	'nor can it be read');
my $out = $caller->query('COMMIT');
$position++;
is(join(',', told()), "$id $position", 'but after it');
is($listener->query_safe("SELECT revision FROM atomix.watch('c', $position - 1)"), $position,
	'when it can be read');
is(join(',', told()), '', 'once');

# Notifications are of the worker, whoever changes.
$listener->query_safe("SELECT atomix.counter_set('c', 5)");
advance_clock($node, '61 s');
await_rest($node);
like($listener->query('SELECT 1'), qr/server process with PID $worker\./,
	'the worker tells, not the transaction');

# Who does not watch is not told of; nobody listens but by listen_watch.
$listener->query_safe(
	'LISTEN atomix_service_' . run("SELECT service_id FROM atomix.service WHERE name = 'd'"));
run("SELECT atomix.counter_set('d', 2)");
is(join(',', told()), '', 'a service that nobody watches is not told of');
run("SELECT atomix.watch('d'); SELECT atomix.counter_set('d', 3)");
is(scalar(told()), 1, 'one that is watched is');
$caller->query_safe("SELECT atomix.watch('c'), atomix.watch('d')");
$caller->query_safe('SELECT atomix.session_events(), atomix.partition_events(1)');
$caller->query_safe("SELECT atomix.partition_watch('')");
is($caller->query_safe('SELECT count(*) FROM pg_listening_channels()'), '0',
	'no other function listens');
$caller->query_safe("BEGIN; SELECT atomix.listen_watch('c'); ROLLBACK");
is($caller->query_safe('SELECT count(*) FROM pg_listening_channels()'), '0',
	'nor one that is rolled back');
is(psql_sqlstate($node, "BEGIN READ ONLY; SELECT atomix.listen_watch('c')"), '25006',
	'a read-only transaction cannot');

# An expiry and the end of a session are changes as any.
my $session = open_session($node, '1 d');
$listener->query_safe("SELECT atomix.lock_try($session, 'l')");
my ($lock) = $listener->query_safe("SELECT channel FROM atomix.listen_watch('l')") =~ /(\d+)$/;
told();
run("SELECT atomix.close_session($session)");
is(join(',', told()), "$lock " . revision('l'), 'the end of a session is told');
$listener->query_safe("SELECT atomix.map_put_text('m', 'k', 'x', '5 s')");
my ($map) = $listener->query_safe("SELECT channel FROM atomix.listen_watch('m')") =~ /(\d+)$/;
is(join(',', told(), told()), "$map " . revision('m'), 'so is that of an entry');

#
# session_events
#

run('CREATE ROLE alice; CREATE ROLE bob; CREATE ROLE watcher IN ROLE pg_monitor;
	CREATE ROLE joint IN ROLE alice, bob;
	GRANT USAGE ON SCHEMA atomix TO PUBLIC');

my $alice = run("SET ROLE alice; SELECT atomix.open_session('1 d')");
my $bob = run("SET ROLE bob; SELECT atomix.open_session('1 d')");
await_rest($node);
told();

# What a role gets: sessions with their states.
sub session_changes
{
	my ($role, $after, $rows) = @_;

	$after //= run("SELECT version FROM atomix.session WHERE session_id = $keeper");
	$rows //= 1000;
	return join(' ', split /\n/,
		run("SET ROLE $role; SELECT session_id || '=' || state
			FROM atomix.session_events($after, $rows)"));
}

is(session_changes('alice'), "$alice=opened", 'a role sees its sessions');
is(session_changes('bob'), "$bob=opened", 'each its own');
is(session_changes('joint'), "$alice=opened $bob=opened", 'a member those of its roles');
is(session_changes('watcher'), "$session=closed $alice=opened $bob=opened", 'a monitor all');
run("SELECT atomix.end_session($alice, 'because')");
told();
is(session_changes('watcher'), "$session=closed $bob=opened $alice=closed",
	'the latest change of each counts, in its place');
is(run("SELECT reason, at > now() - interval '1 min' FROM atomix.session_events()
		WHERE session_id = $alice"), 'because|t', 'with reason and time');
my $first = run("SELECT version FROM atomix.session_events() WHERE session_id = $session");
is(session_changes('watcher', $first), "$bob=opened $alice=closed", 'what comes after a version');
is(session_changes('watcher', $first, 1), "$bob=opened", 'page by page');
is(session_changes('alice', 0, 1), "$alice=closed", 'pages are of what one may see');
is(session_changes('watcher', 0, 0), '', 'no rows if none are wanted');
is(run("SELECT count(*) FROM atomix.session_events(9000000000000000000)"), '0',
	'nothing comes after what is not there yet');

#
# partition_events and partition_watch
#

my $term = run('SELECT term FROM atomix.partitions');
is(run('SELECT term, leader FROM atomix.partition_events(1)'), "$term|foo", 'the first term');
is(run("SELECT count(*) FROM atomix.partition_events(1, $term)"), '0', 'nothing after it');

my $request = 'atomix.multiraft.v1.WatchPartitionRequest';
my $response = 'atomix.multiraft.v1.WatchPartitionResponse';

# What Watch answers for a partition's number, in hex digits.
sub watch_partition
{
	my ($number) = @_;
	my $bytes = unpack('H*', defined $number
		? encode_message($request, { partition_id => $number }) : '');

	return run("SELECT encode(w, 'hex') FROM atomix.partition_watch('\\x$bytes') AS w");
}

my $answer = watch_partition(1);
my $message = decode_message($response, pack('H*', $answer));
my $leader = $message->{leader_updated}{leader};

is($leader->{leader}, 0xa9f37ed7, 'the leader is a hash of its name');
is($leader->{term}, $term, 'with its term');
is($leader->{partition}{partition_id}, 1, 'of its partition');
is(run("SELECT abs(extract(epoch FROM since) - "
		  . ($message->{timestamp}{seconds} + ($message->{timestamp}{nanos} // 0) / 1e9)
		  . ') < 0.001 FROM atomix.partitions'), 't', 'since when');
is(watch_partition(1), $answer, 'the same on every read');
is(watch_partition(0), $answer, 'partition 0 is partition 1');
is(watch_partition(undef), $answer, 'so is none');
is(psql_sqlstate($node, "SELECT atomix.partition_watch('\\x0802')"), '22023', 'there is no other');
is(psql_sqlstate($node, "SELECT atomix.partition_watch('\\x08ffffffff0f')"), '22023',
	'nor one with a great number');
is(psql_sqlstate($node, 'SELECT * FROM atomix.partition_events(2)'), '22023', 'in neither function');
is(psql_sqlstate($node, "SELECT atomix.partition_watch('\\x0a')"), '22P03', 'what does not decode');

# The number of a node is what the settings say.
for my $case ([ '7', 7 ], [ '18446744073709551615', '18446744073709551615' ], [ '', 0xa9f37ed7 ])
{
	my ($setting, $expected) = @$case;

	$node->append_conf('postgresql.conf', "atomix.node_id = '$setting'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('atomix.node_id') = '$setting'");
	$message = decode_message($response, pack('H*', watch_partition(1)));
	is($message->{leader_updated}{leader}{leader}, $expected, "node_id '$setting'");
}
for my $bad ('x', '-1', '18446744073709551616', '7 ', '0x10')
{
	my ($stdout, $stderr);

	$node->psql('postgres', "ALTER SYSTEM SET atomix.node_id = '$bad'", stderr => \$stderr);
	like($stderr, qr/invalid value for parameter "atomix.node_id"/, "node_id '$bad' is refused");
}

# A standby that takes over begins a term.
$node->stop;
$node->backup_fs_cold('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 0);
$standby->append_conf('postgresql.conf', "atomix.leader_name = 'counter'");
$standby->set_standby_mode;
$standby->start;
is($standby->safe_psql('postgres', "SELECT count(*) FROM atomix.watch('c', $position - 1)") > 0, 1,
	'a standby can be read');
$standby->promote;
$standby->poll_query_until('postgres', "SELECT leader = 'counter' FROM atomix.partitions")
  or die 'no new term';
is($standby->safe_psql('postgres', 'SELECT term, leader FROM atomix.partition_events(1)'),
	"$term|foo\n" . ($term + 1) . '|counter', 'the terms in order');
$message = decode_message($response, pack('H*', $standby->safe_psql('postgres',
			"SELECT encode(w, 'hex') FROM atomix.partition_watch('') AS w")));
is($message->{leader_updated}{leader}{leader}, 0x9cacde23, 'the leader is another');
is($message->{leader_updated}{leader}{term}, $term + 1, 'in the next term');
is(psql_sqlstate($standby, "SELECT atomix.watch('c', $position)"), 'MX007',
	'positions from before may be of what was lost');

$standby->stop;
done_testing();
