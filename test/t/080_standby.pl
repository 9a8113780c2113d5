# On a hot standby each function of the interface either works or says that it
# cannot be done there, every view can be read, and what waits does so within
# its bounds and sees what is replayed meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(document new_filter);
use AtomixProto qw(protoc);
use AtomixTest qw(await_beat await_waiting new_node new_standby open_session psql_sqlstate
  query_error start_query);
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = new_node('primary', 'wal_level = replica', 'max_wal_senders = 4',
	"atomix.leader_name = 'primary.example'", "atomix.max_wait = '10min'");

sub run { return $primary->safe_psql('postgres', $_[0]); }

#
# One of everything.
#

my $session = open_session($primary, '1 h');
my $other = open_session($primary, '1 h');
my $closed = open_session($primary, '1 h');
my $counter = run("SELECT atomix.create_service($session, 'counter', 'c')");
my $map = run("SELECT atomix.create_service($session, 'map', 'm')");

run("SELECT atomix.map_put_text('m', 'k', 'v', ttl => '1 h')");
run("SELECT atomix.command($session, $counter, '\\x22020807', 1)");
run("SELECT atomix.command($session, $map, '\\x4200', 2)");
run("SELECT atomix.once($session, 3)");
run("SELECT atomix.ack($session, 3)");
run("SELECT atomix.watch('m')");
run("SELECT atomix.grant_namespace('team', 'public', 'read')");
my $token = run("SELECT token FROM atomix.lock_acquire($session, 'l')");
my $ticket = run("SELECT ticket FROM atomix.lock_acquire($other, 'l')");
run("SELECT atomix.semaphore_acquire($session, 's')");
my $led = run("SELECT token FROM atomix.election_enter($session, 'e', 'ann')");
run("SELECT atomix.map_put_text('m', 'l', 'w')");
run("SELECT atomix.close_session($closed)");
$primary->poll_query_until('postgres',
	'SELECT count(*) = 3 FROM atomix.session WHERE version IS NOT NULL')
  or die 'changes are not numbered';
my $revision = run("SELECT revision FROM atomix.services WHERE name = 'm'");
# A standby's answers carry the newest index that can be seen there.
$primary->poll_query_until('postgres',
	'SELECT safe_index = (SELECT last_value FROM atomix.index_seq) FROM atomix.authority')
  or die 'the index is not known to be safe';
await_beat($primary);

my $standby = new_standby($primary, 'standby', "hot_standby_feedback = on
max_standby_streaming_delay = -1
atomix.query_wait = '200ms'
");
$primary->wait_for_catchup($standby);

#
# Views.
#

for my $view (split /\n/, run("SELECT relname FROM pg_class
	WHERE relnamespace = 'atomix'::regnamespace AND relkind = 'v' ORDER BY 1"))
{
	my $rows = "SELECT count(*) FROM atomix.$view";
	my $count = $standby->safe_psql('postgres', $rows);

	# No worker runs before the promotion.
	is($count, $view eq 'workers' ? 0 : run($rows), "view $view has the rows of the primary");
	cmp_ok($count, '>', 0, "view $view is not empty") if $view ne 'workers';
}

#
# Functions.
#

# A message in the protocol's encoding, as a literal.
sub message
{
	my ($message, $text) = @_;

	return q('\x) . unpack('H*', protoc('encode', $message, 'batch.proto', $text)) . q('::bytea);
}

sub request
{
	my ($message, $text) = @_;

	return message("atomix.multiraft.v1.$message", $text);
}

my $headers = request('CommandRequestHeaders', "command_sequence_num: 9
	operation { session { session { partition { partition_id: 1 } } } }");
my $query_headers = request('QueryRequestHeaders',
	'operation { session { session { partition { partition_id: 1 } } } }');
my $input = request('PartitionInput',
	qq(session_input { session_id: $session service_input { service_id: $counter payload: "\\032\\000" } }));
my $partition = 'headers { partition_id: 1 }';

# A call of each function, by what comes of it: a result, 25006, or an answer
# of the protocol that names the leader: a later one or one of the first
# generation.
my %works = (
	_filter_contains => q('\x) . unpack('H*', document(new_filter(64, 2, 1))) . q(', 1),
	_methods => '',
	_lease_times => "$session, 1, 1, 1, 1",
	_recode => "'atomix.multiraft.v1.PartitionInput', $input",
	_limit => "'entries', NULL",
	_may => "'', 'read'",
	_namespace_grants => '',
	_ring => "$session",
	_workers => '',
	_advance_clock => "'0'",
	call => q('atomix.multiraft.v1.Partition/Watch', '\x0801'),
	counter_get => "'c'",
	election_leader => "'e'",
	extension_version => '',
	fetch_outputs => "$session, 2",
	fetch_outputs_many => $session,
	map_entries => "'m'",
	map_entries_text => "'m'",
	map_get => "'m', 'k'",
	map_get_text => "'m', 'k'",
	map_size => "'m'",
	message_from_json => q('atomix.multiraft.v1.PartitionInput', '{}'),
	message_to_json => "'atomix.multiraft.v1.PartitionInput', $input",
	outcome => "$session, 1",
	partition_events => '1',
	partition_of => "'', 'c'",
	partition_query => "$query_headers, $input",
	partition_watch => request('WatchPartitionRequest', 'partition_id: 1'),
	query => "$session, $counter, '\\x1a00', 1",
	runtime_get_session =>
	  message('atomix.runtime.v1.GetSessionRequest', "session_id { name: '$session' }"),
	runtime_list_sessions => message('atomix.runtime.v1.ListSessionsRequest', ''),
	session_events => '',
	session_fetch => message('atomix.headers.RequestHeader', "session_id: $session request_id: 2"),
	wait_events => "$session, '0'",
	wait_ticket => "$other, $ticket, '0'",
	watch => "'m', $revision - 1");
my %refused = (
	ack => "$session, 1",
	ack_many => "$session, '{2}', '{1}'",
	assert_leader => "'e', $led",
	assert_lock => "'l', $token",
	close_service => "$session, $counter",
	close_session => $session,
	command => "$session, $counter, '\\x1a00', 9",
	commands => "$session, $counter, ARRAY['\\x1a00']::bytea[], 9",
	counter_compare_and_set => "'c', 7, 7",
	counter_decrement => "'c'",
	counter_increment => "'c'",
	counter_set => "'c', 7",
	create_service => "$session, 'map', 'm'",
	delete_service => "'m'",
	election_anoint => "'e', 'ann'",
	election_demote => "'e', 'ann'",
	election_enter => "$session, 'e', 'ann'",
	election_evict => "'e', 'nobody'",
	election_promote => "'e', 'ann'",
	election_withdraw => "$other, 'e'",
	end_session => "$session, 'test'",
	grant_namespace => "'n', 'public', 'read'",
	hold => "'h'",
	keep_alive => $session,
	keep_alive_many => "ARRAY[$session]",
	listen_watch => "'m'",
	lock_acquire => "$session, 'l'",
	lock_cancel => "$other, 'l', $ticket",
	lock_force_release => "'l', $token, 'test'",
	lock_release => "$session, 'l'",
	lock_transfer => "'l', $token, $ticket, 'test'",
	lock_try => "$session, 'l'",
	map_clear => "'nothing'",
	map_insert => "'m', 'k', 'v'",
	map_insert_text => "'m', 'k', 'v'",
	map_put => "'m', 'k', 'v'",
	map_put_text => "'m', 'k', 'v'",
	map_remove => "'m', 'nothing'",
	map_update => "'m', 'nothing', 'v'",
	map_update_text => "'m', 'nothing', 'v'",
	once => "$session, 1",
	place_partitions => "1, '{here}'",
	open_session => '',
	resume_stream => "$session, 2",
	semaphore_acquire => "$session, 's'",
	semaphore_release => "$session, 's'",
	semaphore_resize => "'s', 1",
	semaphore_try => "$session, 's'",
	revoke_namespace => "'n', 'public'",
	set_limit => "'entries', 1",
	set_lock_delay => "'l', '1 s'",
	after_restore => '',
	take_outputs => $session,
	tick => '');
my %unavailable = (
	partition_close_session => [
		'CloseSessionResponse', request('CloseSessionRequest', "$partition input { session_id: $session }") ],
	partition_command => [ 'CommandResponseHeaders', "$headers, $input" ],
	partition_commands => [ 'CommandResponseHeaders', "ARRAY[$headers], ARRAY[$input]" ],
	partition_keep_alive => [
		'KeepAliveResponse', request('KeepAliveRequest', "$partition input { session_id: $session }") ],
	partition_open_session => [
		'OpenSessionResponse', request('OpenSessionRequest', "$partition input { }") ]);

my $session_header = "session_id: $session name { name: 'c' }";
my %not_leader = (
	session_close_session => [
		'atomix.election.CloseSessionResponse',
		message('atomix.election.CloseSessionRequest', "header { $session_header } delete: true") ],
	session_command => [
		'atomix.headers.ResponseHeader',
		message('atomix.headers.RequestHeader', $session_header) . ", '\\x22020801'" ],
	session_keep_alive => [
		'atomix.election.KeepAliveResponse',
		message('atomix.election.KeepAliveRequest', "header { $session_header }") ],
	session_open_session =>
	  [ 'atomix.election.OpenSessionResponse', message('atomix.election.OpenSessionRequest', '') ]);

for my $function (split /\n/, run("SELECT proname FROM pg_proc
	WHERE pronamespace = 'atomix'::regnamespace AND prorettype <> 'trigger'::regtype ORDER BY 1"))
{
	# Whoever adds a function says what it does on a standby.
	if (exists $works{$function})
	{
		is(psql_sqlstate($standby, "SELECT * FROM atomix.$function($works{$function})"),
			'00000', "$function works");
	}
	elsif (exists $unavailable{$function})
	{
		my ($message, $arguments) = @{ $unavailable{$function} };
		my $column = $function =~ /command/ ? 'headers' : $function;
		my $bytes = $standby->safe_psql('postgres',
			"SELECT encode($column, 'hex') FROM atomix.$function($arguments)");

		like(protoc('decode', "atomix.multiraft.v1.$message", 'batch.proto', pack('H*', $bytes)),
			qr/status: UNAVAILABLE\s+message: ".*primary\.example"/, "$function names the leader");
	}
	elsif (exists $not_leader{$function})
	{
		my ($message, $arguments) = @{ $not_leader{$function} };
		my $column = $function =~ /command/ ? 'header' : $function;
		my $bytes = $standby->safe_psql('postgres',
			"SELECT encode($column, 'hex') FROM atomix.$function($arguments)");

		like(protoc('decode', $message, 'batch.proto', pack('H*', $bytes)),
			qr/leader: "primary\.example"\s+status: NOT_LEADER/, "$function names the leader");
	}
	elsif (exists $refused{$function})
	{
		is(psql_sqlstate($standby, "SELECT * FROM atomix.$function($refused{$function})"),
			'25006', "$function is refused");
	}
	else
	{
		fail("$function: it is not said what it does on a standby");
	}
}

#
# What they answer.
#

for my $query (
	"SELECT atomix.counter_get('c'), atomix.map_size('m'), atomix.map_get_text('m', 'k')",
	"SELECT leader, session_id, token, term FROM atomix.election_leader('e')",
	"SELECT output_num, kind, output FROM atomix.fetch_outputs($session, 2)",
	"SELECT atomix.outcome($session, n) FROM generate_series(1, 4) AS n",
	'SELECT * FROM atomix.partition_events(1)',
	'SELECT * FROM atomix.session_events()',
	"SELECT atomix.runtime_list_sessions('')",
	"SELECT encode(partition_watch, 'hex') FROM atomix.partition_watch('')",
	"SELECT * FROM atomix.query($session, $counter, '\\x1a00', 1)",
	"SELECT revision, type, key FROM atomix.watch('m', $revision - 1)",
	"SELECT revision, type, key FROM atomix.watch('m')",
	'SELECT session_id, state, timeout FROM atomix.sessions ORDER BY 1')
{
	is($standby->safe_psql('postgres', $query), run($query), "as on the primary: $query");
}
is(psql_sqlstate($standby, "SELECT atomix.watch('c')"), '55000',
	'nobody begins to watch on a standby');
is(psql_sqlstate($standby, "SELECT atomix.watch('m', $revision + 1)"), '22023',
	'a revision that is not reached');
is(psql_sqlstate($standby, "SELECT atomix.wait_events($closed, '0')"), '00000',
	'a session that has ended');
is(psql_sqlstate($standby, 'SELECT atomix.query(1, 1, NULL)'), '22004', 'null');

# A guard would hold nobody up there, and the trigger has nothing to fire for.
is(psql_sqlstate($standby, "BEGIN; SELECT atomix.assert_lock('l', 1); COMMIT"), '25006',
	'no guard on a standby');

#
# Waiting.
#

is(psql_sqlstate($standby, "SELECT atomix.query($session, $counter, '\\x1a00', 4)"), '57P03',
	'a query waits no longer than query_wait for what is not executed');

$standby->append_conf('postgresql.conf', "atomix.query_wait = '10min'");
$standby->reload;
$standby->poll_query_until('postgres', "SELECT current_setting('atomix.query_wait') = '10min'")
  or die 'the setting is not read';

my $reader = $standby->background_psql('postgres', on_error_stop => 0);
my $pid = $reader->query_safe('SELECT pg_backend_pid()');

start_query($reader, "SELECT encode(output, 'hex') FROM atomix.query($session, $counter, '\\x1a00', 4)");
ok(await_waiting($standby, $pid, 'Extension Extension'), 'a query waits for a command');
run("SELECT atomix.command($session, $counter, '\\x22020801', 4)");
like($reader->query(''), qr/^1a020808$/m, 'and sees it once it is replayed');

start_query($reader, "SELECT granted, token FROM atomix.wait_ticket($other, $ticket, '10 min')");
ok(await_waiting($standby, $pid, 'Extension Extension'), 'who waits with a ticket');
run("SELECT atomix.lock_release($session, 'l')");
my $granted = run("SELECT token FROM atomix.locks WHERE name = 'l'");
like($reader->query(''), qr/^t\|$granted$/m, 'sees the grant');

start_query($reader, "SELECT atomix.wait_events($other, '10 min')");
ok(await_waiting($standby, $pid, 'Extension Extension'), 'who waits for events');
run("SELECT atomix.close_session($other)");
like($reader->query(''), qr/^t$/m, 'sees the end of the session');

# A batch of the future, seen as a whole.
start_query($reader, "SELECT encode(output, 'hex') FROM atomix.query($session, $counter, '\\x1a00', 6)");
ok(await_waiting($standby, $pid, 'Extension Extension'), 'a query waits for two commands');
run("SELECT atomix.command($session, $counter, '\\x22020801', 6)");
run("SELECT atomix.command($session, $counter, '\\x22020801', 5)");
like($reader->query(''), qr/^1a02080a$/m, 'executed out of order');

#
# Promotion under a connection.
#

$reader->query_safe('BEGIN; SELECT 1');
my $waiter = $standby->background_psql('postgres', on_error_stop => 0);
my $waiter_pid = $waiter->query_safe('SELECT pg_backend_pid()');
start_query($waiter, "SELECT encode(output, 'hex') FROM atomix.query($session, $counter, '\\x1a00', 7)");
ok(await_waiting($standby, $waiter_pid, 'Extension Extension'), 'a query waits when the standby is promoted');
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT max(term) = 2 FROM atomix.partitions')
  or die 'no new term';
like(query_error($reader, "\\set VERBOSITY sqlstate\nSELECT atomix.keep_alive($session)"), qr/25006/,
	'a transaction of before goes on reading');
$reader->query('ROLLBACK;');
is($reader->query_safe("SELECT atomix.keep_alive($session)"), '01:00:00', 'the next one writes');
is($reader->query_safe("SELECT status FROM atomix.command($session, $counter, '\\x22020801', 7)"),
	'OK', 'and commands are executed');
like($waiter->query(''), qr/^1a02080b$/m, 'the query that waits sees it');

$_->quit for $reader, $waiter;
$standby->stop;
done_testing();
