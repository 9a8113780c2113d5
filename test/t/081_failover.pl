# A promotion ends no session and passes no lock on, executes nothing twice,
# and hands out no number that its predecessor may have handed out.  Streams go
# on without loss; where the standby lacks what their clients have received, they
# are told that history has changed.  One standby confirms commits, another lags behind: both are
# promoted after a crash of the primary, each for itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(decode_message);
use AtomixTest qw(advance_clock await_beat await_rest await_state await_waiting
  crash kill_postmaster open_session psql_sqlstate session_state start_query);
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('old');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', q{
shared_preload_libraries = 'atomix'
autovacuum = off
wal_sender_timeout = 0
wal_receiver_timeout = 0
});
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION atomix');

sub run { return $primary->safe_psql('postgres', $_[0]); }

# The numbers that the old primary has given to anybody.
my @given;

sub give
{
	my ($sql) = @_;
	my @values = split /\n/, run($sql);

	push @given, @values;
	return wantarray ? @values : $values[0];
}

my ($ann, $bob, $eve) = give("SELECT atomix.open_session('800 s') FROM generate_series(1, 3)");
my $counter = run("SELECT atomix.create_service($ann, 'counter', 'c')");
my $map = run("SELECT atomix.create_service($ann, 'map', 'm')");
my $increment = '\x22020801';

await_beat($primary);
$primary->backup('backup');

# "near" has what was confirmed, "far" what it happened to get.
my %standby;
for my $name ('near', 'far')
{
	$standby{$name} = PostgreSQL::Test::Cluster->new($name);
	$standby{$name}->init_from_backup($primary, 'backup', has_streaming => 1);
	$standby{$name}->start;
}
$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'near'");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT string_agg(sync_state, ' ' ORDER BY sync_state) FROM pg_stat_replication", 'async sync')
  or die 'the standbys do not stream';

# Whoever sends to a standby is stopped: from then on it gets nothing.
my %sender;

sub cut_off
{
	my ($name) = @_;

	$primary->wait_for_catchup($standby{$name});
	$sender{$name} = run("SELECT pid FROM pg_stat_replication WHERE application_name = '$name'");
	kill('STOP', $sender{$name}) or die "nobody sends to $name";
	return;
}

# Send a numbered command over a connection of its own; returns it when the
# command has committed and waits for the standby's confirmation.
sub send_command
{
	my ($number) = @_;
	my $psql = $primary->background_psql('postgres', on_error_stop => 0);
	my $pid = $psql->query_safe('SELECT pg_backend_pid()');

	start_query($psql, "SELECT output FROM atomix.command($ann, $counter, '$increment', $number)");
	await_waiting($primary, $pid, 'IPC SyncRep') or die 'nobody waits for the standby';
	return ($psql, $pid);
}

sub command
{
	my ($server, $number) = @_;

	return $server->safe_psql('postgres',
		"SELECT output, replayed FROM atomix.command($ann, $counter, '$increment', $number)");
}

# Number and index of the last output that a client can receive.
sub received
{
	return [ split /\|/, run("SELECT output_num, index FROM atomix.fetch_outputs($ann, 100)
		ORDER BY output_num DESC LIMIT 1") ];
}

# Who has a lock, and by which token.
sub holder
{
	my ($server, $name) = @_;

	return $server->safe_psql('postgres', "SELECT l.session_id, l.token FROM atomix.locks l
		WHERE l.name = '$name' AND l.token IS NOT NULL");
}

#
# What both standbys have.
#

my $token = give("SELECT token FROM atomix.lock_try($ann, 'kept')");
my $ticket = give("SELECT ticket FROM atomix.lock_acquire($bob, 'kept')");
my $moved = give("SELECT token FROM atomix.lock_try($ann, 'moved')");
my $leader = give("SELECT token FROM atomix.election_enter($eve, 'e', 'eve')");
run("SELECT status FROM atomix.command($ann, $map, '\\x42021001', 100)");
run("SELECT revision FROM atomix.listen_watch('m')");
run("SELECT atomix.map_put_text('m', 'k', '1')");
my $received_by_all = received();

# The reply of a command that has committed gets lost with the connection.
{
	cut_off('near');
	my ($psql, $pid) = send_command(1);

	# Without the standby nobody but the terminated knows.
	run("SELECT pg_terminate_backend($pid)");
	eval { $psql->query('SELECT 1') };
	eval { $psql->quit };
	kill('CONT', $sender{near});
	$primary->wait_for_catchup($standby{near});
}
my @first = split /\|/, command($primary, 1);
is($first[1], 't', 'the command whose reply was lost was executed');
$primary->wait_for_catchup($standby{$_}) for 'near', 'far';

#
# What only the near one has.
#

cut_off('far');
my @third = split /\|/, command($primary, 3);
give("SELECT atomix.open_session('800 s') FROM generate_series(1, 50)");
run("SELECT atomix.lock_release($ann, 'moved')");
my $moved_on = give("SELECT token FROM atomix.lock_try($bob, 'moved')");
run("SELECT atomix.map_put_text('m', 'k', '2')");
my $position = run("SELECT max(revision) FROM atomix.watch('m')");
my $received_by_near = received();
run("SELECT atomix.close_session($eve)");
$primary->poll_query_until('postgres',
	"SELECT version IS NOT NULL FROM atomix.session WHERE session_id = $eve")
  or die 'the end of a session is not told';
my $version = run('SELECT max(version) FROM atomix.session_events()');

#
# What nobody has but the primary.
#

cut_off('near');
my ($lost_psql) = send_command(2);
give("SET synchronous_commit = local;
	SELECT atomix.open_session('800 s') FROM generate_series(1, 50)");
give("SET synchronous_commit = local;
	SELECT token FROM generate_series(1, 50) AS n, atomix.lock_try($ann, 'lost' || n)");
give("SET synchronous_commit = off;
	SELECT atomix.open_session('800 s') FROM generate_series(1, 50)");
run("SET synchronous_commit = local; SELECT atomix.map_put_text('m', 'k', '3')");
my $lost_position = run("SELECT revision FROM atomix.services WHERE name = 'm'");
my $received_by_nobody = received();

kill_postmaster($primary);
kill('KILL', $sender{$_}) for 'near', 'far';
eval { $lost_psql->quit };

#
# Each of them takes over.
#

# A client that knows both servers finds the one that can be written to.
my $hosts = 'host=' . join(',', $primary->host, map { $_->host } $standby{near})
  . ' port=' . join(',', $primary->port, $standby{near}->port)
  . ' dbname=postgres target_session_attrs=read-write';

sub keep_alive_anywhere
{
	my ($out, $err) = run_command([ 'psql', '-XAtq', '-d', $hosts,
			'-c', "SELECT current_setting('cluster_name'), atomix.keep_alive($ann)" ]);

	return $out ne '' ? $out : $err;
}

like(keep_alive_anywhere(), qr/session is read-only/, 'nobody can be written to before the promotion');

for my $name ('near', 'far')
{
	my $new = $standby{$name};
	my $sql = sub { return $new->safe_psql('postgres', $_[0]) };

	$new->promote;
	$new->poll_query_until('postgres',
		'SELECT term = 2 AND last_beat IS NOT NULL FROM atomix.partitions, atomix.authority')
	  or die "$name does not take over";

	# Who leads.
	is($sql->('SELECT term, leader FROM atomix.partition_events(1)'), "1|old\n2|$name",
		"$name: the term is up by one");
	is($sql->('SELECT term, leader FROM atomix.partition_events(1, 1)'), "2|$name",
		"$name: whoever knew the last one is told");
	my $told = decode_message('atomix.multiraft.v1.WatchPartitionResponse',
		pack('H*', $sql->("SELECT encode(w, 'hex') FROM atomix.partition_watch('') AS w")));
	is($told->{leader_updated}{leader}{term}, 2, "$name: also in the protocol");

	# Sessions.
	is($sql->("SELECT count(*), min(deadline) - clock_timestamp() >= interval '790 s'
			FROM atomix.sessions WHERE session_id IN ($ann, $bob) AND state = 'opened'"),
		'2|t', "$name: sessions live, and have their timeouts");
	is(keep_alive_anywhere(), 'near|00:13:20', "$name: the keep-alive goes where it can")
	  if $name eq 'near';
	is($sql->("SELECT atomix.keep_alive($bob)"), '00:13:20', "$name: sessions are renewed");
	is(session_state($new, $eve), $name eq 'near' ? 'closed' : 'opened',
		"$name: one that was closed last");

	# Locks.
	is(holder($new, 'kept'), "$ann|$token", "$name: a lock is held as before");
	is($sql->("BEGIN; SELECT atomix.assert_lock('kept', $token); COMMIT"), '', "$name: by its token");
	is($sql->("SELECT granted, ticket FROM atomix.lock_acquire($bob, 'kept')"), "f|$ticket",
		"$name: who waits keeps the place");
	is(holder($new, 'moved'), $name eq 'near' ? "$bob|$moved_on" : "$ann|$moved",
		"$name: one that was passed on last");
	is($sql->('SELECT count(*) FROM atomix.election_leader(\'e\')'), $name eq 'near' ? 0 : 1,
		"$name: an election");

	# Retries of commands.
	is(command($new, 1), "$first[0]|t", "$name: the reply that was lost is given again");
	is(command($new, 3), $third[0] . ($name eq 'near' ? '|t' : '|f'),
		"$name: " . ($name eq 'near' ? 'one that was confirmed is not executed again'
			: 'one that it never got is executed'));
	like(command($new, 2), qr/\|f$/, "$name: nor did it get one that was not confirmed");
	is($sql->("SELECT atomix.counter_get('c')"), 3, "$name: each has taken effect once");
	is(command($new, 1), "$first[0]|t", "$name: and goes on being known");

	# Numbers.
	my @new = (
		open_session($new, '800 s'),
		$sql->("SELECT token FROM atomix.lock_try($ann, 'fresh')"),
		$sql->("SELECT atomix.lock_release($ann, 'kept');
			SELECT token FROM atomix.wait_ticket($bob, $ticket)") =~ /(\d+)$/,
		$sql->("SELECT index FROM atomix.map_put_text('m', 'fresh', '1')"));
	is(scalar(grep { $_ > max(@given) } @new), 4,
		"$name: ids, tokens and indexes are above all that were given out");
	is(holder($new, 'kept'), "$bob|$new[2]", "$name: the next in the queue has the lock");

	# Feeds.
	for my $from ($position, $lost_position)
	{
		is(psql_sqlstate($new, "SELECT atomix.watch('m', $from)"), 'MX007',
			"$name: position $from is of another history");
	}
	my $resume = sub { return psql_sqlstate($new,
		"SELECT atomix.resume_stream($ann, 100, $_[0][0], $_[0][1])"); };
	is(psql_sqlstate($new, "SELECT atomix.fetch_outputs($ann, 100)"), 'MX007',
		"$name: a stream does not go on by itself");
	is($resume->($received_by_nobody), 'MX007', "$name: nor if what was received is lost");
	is($resume->($received_by_near), $name eq 'near' ? '00000' : 'MX007',
		"$name: but if what was received is there") or die;
	$resume->($received_by_all);
	$sql->("SELECT atomix.map_put_text('m', 'k', '4')");
	my @next = split /\|/, $sql->("SELECT output_num, index, encode(output, 'escape') LIKE '%4%'
		FROM atomix.fetch_outputs($ann, 100) ORDER BY output_num DESC LIMIT 1");
	# Two events have come here, the first while nobody had resumed the stream.
	is("$next[0] $next[2]", $received_by_all->[0] + ($name eq 'near' ? 3 : 2) . ' t',
		"$name: then it tells of what has come, without gap");
	is($resume->($received_by_nobody), 'MX007',
		"$name: the number of what is lost is now another's, its index is not");
	is($resume->([ @next[0, 1] ]), '00000', "$name: resuming may be repeated");
	my $again = $sql->("SELECT revision FROM atomix.listen_watch('m')");
	cmp_ok($again, '>', $lost_position, "$name: watching begins anew");
	$sql->("SELECT atomix.map_put_text('m', 'l', '1')");
	is($sql->("SELECT revision, type, key FROM atomix.watch('m', $again)"),
		($again + 1) . '|inserted|l', "$name: and tells of what comes");
	$sql->("SELECT status FROM atomix.command($ann, $map, '\\x42021001', 101)");
	is($sql->("SELECT string_agg(kind, ' ' ORDER BY output_num) FROM atomix.fetch_outputs($ann, 101)"),
		'open response response response', "$name: a new stream replays");
	$sql->("SELECT atomix.close_session($bob)");
	await_state($new, $bob, 'closed');
	ok($new->poll_query_until('postgres', "SELECT count(*) = 1
			FROM atomix.session_events($version) WHERE session_id = $bob AND state = 'closed'"),
		"$name: who knew the sessions' last version is told of what follows");
	is(session_state($new, $ann), 'opened', "$name: another goes on");
}

# What is not renewed lives its timeout after the promotion, and no longer.
{
	my $new = $standby{far};

	advance_clock($new, '780 s');
	await_rest($new);
	is(session_state($new, $eve), 'opened', 'nobody is ended early');
	$new->safe_psql('postgres', "SELECT atomix.keep_alive($ann)");
	advance_clock($new, '130 s');
	ok(await_state($new, $eve, 'expired'), 'who is gone expires');
	is(session_state($new, $ann), 'opened', 'who is there does not');
}

# A crash of the new primary is none of the identity.
{
	my $new = $standby{near};
	my $held = holder($new, 'fresh');
	my $greatest = open_session($new, '800 s');

	crash($new);
	cmp_ok(open_session($new, '800 s'), '>', $greatest, 'after a crash ids go on');
	is($new->safe_psql('postgres', 'SELECT term, leader FROM atomix.partitions'), '2|near',
		'in the same term');
	is(holder($new, 'fresh'), $held, 'with the same holders');
	is(command($new, 1), "$first[0]|t", 'and the same answers');
}

# A promotion on another machine, whose clock has nothing to do with this one's.
{
	my $new = $standby{near};
	my $sql = sub { return $new->safe_psql('postgres', $_[0]) };
	my $silent = open_session($new, '800 s');

	await_beat($new);
	advance_clock($new, '100 s');
	$sql->("SELECT atomix.keep_alive($ann)");
	$sql->("UPDATE atomix.clock_epoch SET boot_id = 'another machine' WHERE last_beat IS NULL");
	$new->stop;
	$new->set_standby_mode;
	$new->start;
	$new->promote;
	$new->poll_query_until('postgres', 'SELECT term = 3 FROM atomix.partitions')
	  or die 'nobody takes over';
	is($sql->('SELECT count(*) FROM atomix.clock_epoch'), 2, 'another clock is another epoch');
	is($sql->("SELECT count(*) FROM atomix.sessions WHERE session_id IN ($ann, $silent)
			AND deadline - clock_timestamp() BETWEEN '790 s' AND '900 s'"), 2,
		'there, too, sessions have their timeouts');
	is($sql->("SELECT atomix.keep_alive($ann)"), '00:13:20', 'and are renewed');
	await_beat($new);
	advance_clock($new, '780 s');
	await_rest($new);
	is(session_state($new, $silent), 'opened', 'nobody is ended early');
	$sql->("SELECT atomix.keep_alive($ann)");
	advance_clock($new, '130 s');
	ok(await_state($new, $silent, 'expired'), 'who is gone expires');
	is(session_state($new, $ann), 'opened', 'who is there does not');
	is(holder($new, 'fresh'), "$ann|" . ($sql->("SELECT token FROM atomix.lock_try($ann, 'fresh')") =~ /(\d+)/)[0],
		'and has its lock');
}

$standby{$_}->stop for 'near', 'far';
done_testing();
