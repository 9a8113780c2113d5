# Clients at work while the server is killed, stopped at once and failed over,
# again and again: every call takes effect once, every answer is given once,
# tokens are nobody else's, a stream tells of each change once, and no session is
# lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(crash kill_postmaster open_session);
use List::Util qw(min sum uniq);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use constant { CLIENTS => 4, SECONDS => $ENV{ATOMIX_TEST_SECONDS} // 200 };

my $seed = $ENV{ATOMIX_TEST_SEED} // CORE::time;
srand($seed);
note "ATOMIX_TEST_SEED=$seed";

my $dir = PostgreSQL::Test::Utils::tempdir();
my $parent = $$;
my $generation = 1;
my $promotions = 0;

sub new_primary
{
	my $node = PostgreSQL::Test::Cluster->new('server_1');

	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'atomix'
max_connections = 40
restart_after_crash = on
wal_receiver_status_interval = 1
wal_retrieve_retry_interval = '100ms'
});
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION atomix');
	return $node;
}

# A standby that has to confirm the commits of a primary from now on.
sub new_standby
{
	my ($primary) = @_;
	my $standby = PostgreSQL::Test::Cluster->new('server_' . ++$generation);

	$primary->backup("backup_$generation");
	$standby->init_from_backup($primary, "backup_$generation", has_streaming => 1);
	$standby->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	$standby->start;
	$primary->safe_psql('postgres',
		"ALTER SYSTEM SET synchronous_standby_names = '@{[$standby->name]}'");
	$primary->reload;
	$primary->poll_query_until('postgres', 'SELECT sync_state FROM pg_stat_replication', 'sync')
	  or die 'the standby does not confirm';
	return $standby;
}

my $primary = new_primary();
my $standby = new_standby($primary);

# Where clients find the servers; written anew as a whole.
sub tell_clients
{
	my @servers = ($primary, $standby);
	my $line = 'host=' . join(',', map { $_->host } @servers)
	  . ' port=' . join(',', map { $_->port } @servers)
	  . ' dbname=postgres target_session_attrs=read-write connect_timeout=10';

	append_to_file("$dir/servers.new", $line);
	rename("$dir/servers.new", "$dir/servers") or die "rename: $!";
	return;
}

#
# A client, in a process of its own.
#

# What a statement answers, and its error; undef if the connection failed.
sub ask
{
	my ($sql) = @_;
	my ($out, $err);
	my @psql = ('psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1',
		'-d', slurp_file("$dir/servers"), '-c', $sql);
	my $ok = IPC::Run::run(\@psql, '>', \$out, '2>', \$err);

	return ($out =~ s/\n\z//r, '') if $ok;
	return (undef, $1) if $err =~ /ERROR:\s+(MX\w{3}|22\w{3}|55000|XX\w{3})/;
	return (undef, '');
}

# Ask until there is an answer: after a lost reply the same again.
sub insist
{
	my ($log, $sql) = @_;

	for (;;)
	{
		my ($answer, $error) = ask($sql);

		return $answer if defined $answer;
		if ($error ne '')
		{
			print $log "error $error: $sql\n";
			POSIX::_exit(1);
		}
		# Nobody is left who waits for answers.
		POSIX::_exit(1) if getppid() != $parent;
		usleep(20_000);
	}
	return;
}

sub client
{
	my ($name, $session) = @_;

	open(my $log, '>', "$dir/$name") or POSIX::_exit(1);
	$log->autoflush(1);
	for (my $n = 1; !-e "$dir/stop" && getppid() == $parent; $n++)
	{
		my $value = insist($log,
			"SELECT atomix.counter_increment('c', session_id => $session, sequence_num => $n)");
		my $token;

		print $log "value $value\n";
		insist($log, "SELECT atomix.ack($session, $n)") if $n % 3 == 0;
		$token = insist($log, "SELECT token FROM atomix.lock_try($session, 'l')");
		next if $token eq '';
		print $log "token $token\n";
		insist($log, "SELECT atomix.lock_release($session, 'l', $token)");
	}
	close($log);
	POSIX::_exit(0);
}

# Read a stream to its end, going on after each failover; all is read when
# nobody adds to it any more.
sub consumer
{
	my ($name, $session) = @_;
	my ($last, $index) = (0, 0);

	open(my $log, '>', "$dir/$name") or POSIX::_exit(1);
	$log->autoflush(1);
	while (getppid() == $parent)
	{
		my $ends = -e "$dir/no_more";
		# What was received last may not have been acknowledged yet.
		my ($rows, $error) = ask("SELECT atomix.ack($session, 1, $last);
			SELECT output_num, index FROM atomix.fetch_outputs($session, 1)");

		if (!defined $rows)
		{
			if ($error eq 'MX007')
			{
				insist($log, "SELECT atomix.resume_stream($session, 1, $last, $index)");
				print $log "resumed $last\n";
			}
			elsif ($error ne '')
			{
				print $log "error $error\n";
				last;
			}
			usleep(20_000);
			next;
		}
		$rows =~ s/^\n//;
		last if $rows eq '' && $ends;
		for my $row (split /\n/, $rows)
		{
			my ($number, $of) = split /\|/, $row;

			next if $number <= $last;
			print $log "error output $number, $of follows $last, $index\n"
			  if $number != $last + 1 || $of <= $index;
			($last, $index) = ($number, $of);
		}
		usleep(50_000);
	}
	print $log "value $last\n";
	close($log);
	POSIX::_exit(0);
}

tell_clients();
my %name_of;
my $stream = open_session($primary, '10 min');
$primary->safe_psql('postgres', "SELECT o.status FROM atomix.create_service($stream, 'counter', 'c') AS id,
	atomix.command($stream, id, '\\x4200', 1) AS o");
my $consumer = fork() // die "fork: $!";
consumer('consumer', $stream) if $consumer == 0;
for my $n (1 .. CLIENTS)
{
	my $session = open_session($primary, '10 min');
	my $pid = fork() // die "fork: $!";

	client("client_$n", $session) if $pid == 0;
	$name_of{$pid} = "client_$n";
}

sub lines_of
{
	my ($name, $kind) = @_;

	return -e "$dir/$name" ? slurp_file("$dir/$name") =~ /^$kind (\S+)$/mg : ();
}

sub answers_of
{
	my @values = lines_of($_[0], 'value');

	return scalar(@values);
}

# Wait until each client has got some answers since.
sub await_progress
{
	my %before = map { $_ => answers_of($_) } values %name_of;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $until)
	{
		return 1 if min(map { answers_of($_) - $before{$_} } keys %before) > 2;
		usleep(100_000);
	}
	return 0;
}

# A crash of a backend restarts all others.
sub await_server
{
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $until)
	{
		return if eval { $primary->psql('postgres', 'SELECT 1') == 0 };
		usleep(100_000);
	}
	die 'the server does not come back';
}

#
# Faults.
#

my %fault = (
	'kill -9' => sub { crash($primary); },
	'immediate stop' => sub {
		$primary->stop('immediate');
		$primary->start;
	},
	'crash of a backend' => sub {
		my $pid = $primary->safe_psql('postgres',
			"SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'atomix%' ORDER BY random() LIMIT 1");

		kill('KILL', $pid) if $pid ne '';
		await_server();
	},
	'failover' => sub {
		my $old = $primary;

		kill_postmaster($old);
		$standby->promote;
		$primary = $standby;
		$promotions++;
		$standby = new_standby($primary);
		tell_clients();
		$old->clean_node;
	});

my $end = time + SECONDS;
my $rounds = 0;
my $progress = await_progress();
while ($progress && time < $end)
{
	my @names = sort keys %fault;
	# Each once, then as it comes.
	my $name = $rounds < @names ? $names[$rounds] : $names[ int(rand(@names)) ];

	note "round $rounds: $name";
	$fault{$name}->();
	$rounds++;
	$progress = await_progress();
}
ok($progress, "clients go on after each of $rounds faults, $promotions of them failovers");

append_to_file("$dir/stop", '');
for my $pid (keys %name_of)
{
	waitpid($pid, 0);
	is($?, 0, "$name_of{$pid} has got all its answers") or note slurp_file("$dir/$name_of{$pid}") =~ /(error .*)/;
}
append_to_file("$dir/no_more", '');
waitpid($consumer, 0);
is($?, 0, 'the consumer has got all its answers');

#
# What was answered.
#

my @values = sort { $a <=> $b } map { lines_of($_, 'value') } values %name_of;
my $count = @values;

is($primary->safe_psql('postgres', "SELECT atomix.counter_get('c')"), $count,
	"$count calls took effect, each once");
is(scalar(uniq @values), $count, 'and each was told another value');
is($values[-1], $count, 'of those there are');

my $told = slurp_file("$dir/consumer");
unlike($told, qr/error/, 'a stream has told of them in order');
# The first output opens it.
like($told, qr/^value @{[$count + 1]}$/m, 'of all of them');
my @resumed = $told =~ /^resumed/mg;
is(scalar(@resumed), $promotions, 'and went on after each failover');

my %owner;
my $twice = 0;
for my $name (values %name_of)
{
	my $last = 0;

	for my $token (lines_of($name, 'token'))
	{
		$twice++ if $token <= $last || ($owner{$token} // $name) ne $name;
		$owner{$token} = $name;
		$last = $token;
	}
}
is($twice, 0, scalar(keys %owner) . ' tokens, none of them given twice');
is($primary->safe_psql('postgres', 'SELECT count(*), max(term) FROM atomix.partition_events(1)'),
	join('|', ($promotions + 1) x 2), 'a term for each promotion');
is($primary->safe_psql('postgres', "SELECT count(*) FROM atomix.sessions WHERE state = 'opened'"),
	CLIENTS + 1, 'no session was lost');

$standby->stop;
$primary->stop;
done_testing();
