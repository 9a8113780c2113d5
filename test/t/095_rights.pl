# Who may do what in a namespace: every function of the interface, typed and
# wire, for a stranger, a reader, a writer and an administrator.  Which
# functions there are is read from the catalog: one that is new fails until it
# is said here who may call it.  Then the views, and what changes rights.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(encode_message);
use AtomixTest qw(new_node psql_sqlstate query_error);
use AtomixWire qw(counter_input election_input map_input request_headers);
use Test::More;

my $node = new_node('rights');
my $v1 = 'atomix.multiraft.v1';
my @roles = qw(stranger reader writer administrator);
my %level = (stranger => 0, reader => 1, writer => 2, administrator => 3);
my %privilege = (read => 1, write => 2, admin => 3);

sub run { return $node->safe_psql('postgres', $_[0]); }

# What a call answers to a role, undone in any case.
run(q{
	CREATE FUNCTION attempt(who text, call text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		state text;
		message text;
		detail text;
	BEGIN
		PERFORM set_config('role', who, true);
		EXECUTE call;
		RAISE EXCEPTION USING ERRCODE = 'RB000';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
			detail = PG_EXCEPTION_DETAIL;
		RETURN CASE state WHEN 'RB000' THEN '00000' ELSE concat_ws(' ', state, message, detail) END;
	END $$});

# All in one connection, which is quick, and has remembered the rights of others.
my $asking = $node->background_psql('postgres');

sub attempt
{
	my ($who, $call) = @_;

	$call =~ s/'/''/g;
	return $asking->query_safe("SELECT attempt('$who', '$call')");
}

#
# One of everything in namespace team.  All are administrators there while
# they open what they use; then each gets the rights it is to have.
#

my (%session, %service, %token);

run("CREATE ROLE $_; GRANT USAGE ON SCHEMA atomix TO $_;
	GRANT EXECUTE ON FUNCTION atomix.lock_force_release, atomix.lock_transfer, atomix.set_lock_delay,
	atomix.grant_namespace, atomix.revoke_namespace TO $_;
	SELECT atomix.grant_namespace('team', '$_', 'admin')") for @roles;
run("CREATE ROLE monitor; GRANT USAGE ON SCHEMA atomix TO monitor; GRANT pg_monitor TO monitor");

for my $role (@roles)
{
	$session{$role} = run("SET ROLE $role; SELECT atomix.open_session('1 h')");
	$service{$_} = run("SET ROLE $role; SELECT atomix.create_service($session{$role}, '$_', '$_', 'team')")
	  for qw(counter map lock election);
	# A stream, a command that waits to be acknowledged, a claim that waits.
	run("SET ROLE $role; SELECT atomix.command($session{$role}, $service{map}, '\\x4200', 1)");
	run("SET ROLE $role; SELECT atomix.once($session{$role}, 2)");
	$token{$role} = run("SET ROLE $role; SELECT ticket FROM atomix.lock_acquire($session{$role}, 'lock', namespace => 'team')");
	run("SET ROLE $role; SELECT atomix.election_enter($session{$role}, 'election', '$role', namespace => 'team')");
}
run("SELECT atomix.map_put_text('map', 'k', 'v', namespace => 'team'), atomix.semaphore_resize('semaphore', 3, 'team'),
	atomix.counter_set('counter', 7, 'team'), atomix.watch('map', namespace => 'team')");
run("SELECT atomix.revoke_namespace('team', 'stranger'), atomix.grant_namespace('team', 'reader', 'read'),
	atomix.grant_namespace('team', 'writer', 'write')");
my $token = run("SELECT token FROM atomix.locks WHERE name = 'lock' AND granted");

#
# The functions.
#

sub bytes { return q('\x) . unpack('H*', $_[0]) . q('::bytea); }

sub request { return bytes(encode_message("$v1.$_[0]", $_[1])); }

# Headers and an input, as the arguments of partition_command or _query.
sub input
{
	my ($kind, $input) = @_;

	return bytes(request_headers($kind, partition => 1)) . ', ' . request('PartitionInput', $input);
}

# The arguments of session_command: header, payload, perhaps a type.
sub named
{
	my ($session, $name, $payload, @type) = @_;

	return join(', ', bytes(encode_message('atomix.headers.RequestHeader',
			{ session_id => $session, name => { name => $name, namespace => 'team' } })),
		bytes(pack('H*', $payload)), @type);
}

# Arguments may depend on the session.
sub create_input
{
	return { session_input => { session_id => $_[0],
			create_service => { service => 'map', name => $_[1], namespace => 'team' } } };
}

# What each call takes: a privilege in the namespace, none if it is about no
# namespace, or the right to execute it.  NAME is a service of the right type,
# or one that does not exist; SESSION the caller's own.  The last is what is
# answered to whoever may, if that is an error.
my @calls = (
	[ _advance_clock => "'0'", 'execute' ],
	[ _filter_contains => "'', 1", 'execute' ],
	[ _lease_times => 'SESSION, 1, 1, 1, 1', 'none' ],
	[ _limit => "'entries', 'team'", 'none' ],
	[ _methods => '', 'none' ],
	[ _may => "'team', 'read'", 'none' ],
	[ _namespace_grants => '', 'none' ],
	[ _recode => "'atomix.multiraft.v1.PartitionInput', ''", 'execute' ],
	[ _ring => 'SESSION', 'execute' ],
	[ _workers => '', 'none' ],
	[ ack => 'SESSION, 2', 'none' ],
	[ ack_many => "SESSION, '{1}', '{1}'", 'none' ],
	[ after_restore => '', 'execute' ],
	[ assert_leader => "'NAME', 1, 'team'", 'write', 'MX006', 'election' ],
	[ assert_lock => "'NAME', 1, 'team'", 'write', 'MX006', 'lock' ],
	[ call => q('atomix.multiraft.v1.Partition/Watch', '\x0801'), 'none' ],
	[ close_service => "SESSION, $service{counter}", 'none' ],
	[ close_session => 'SESSION', 'none' ],
	[ command => "SESSION, $service{counter}, '\\x22020801'", 'write' ],
	[ command => "SESSION, $service{counter}, '\\x22020801', 9", 'write' ],
	[ command => "SESSION, $service{counter}, '\\x1a00'", 'read' ],
	[ commands => "SESSION, $service{counter}, ARRAY['\\x22020801', '\\x22020801']::bytea[], 9", 'write' ],
	[ commands => "SESSION, $service{counter}, ARRAY['\\x1a00', '\\x22020801']::bytea[], 9", 'write' ],
	[ commands => "SESSION, $service{counter}, ARRAY['\\x1a00']::bytea[], 9", 'read' ],
	[ counter_compare_and_set => "'NAME', 7, 8, 'team'", 'write', undef, 'counter' ],
	[ counter_decrement => "'NAME', 1, 'team'", 'write', undef, 'counter' ],
	[ counter_get => "'NAME', 'team'", 'read', undef, 'counter' ],
	[ counter_increment => "'NAME', 1, 'team'", 'write', undef, 'counter' ],
	[ counter_increment => "'NAME', 1, 'team', SESSION, 9", 'write', undef, 'counter' ],
	[ counter_set => "'NAME', 1, 'team'", 'write', undef, 'counter' ],
	[ create_service => "SESSION, 'map', 'map', 'team'", 'read' ],
	[ create_service => "SESSION, 'map', 'a new one', 'team'", 'write' ],
	[ delete_service => "'NAME', 'team'", 'admin', undef, 'map' ],
	[ election_anoint => "'NAME', 'writer', 'team'", 'admin', undef, 'election' ],
	[ election_demote => "'NAME', 'writer', 'team'", 'admin', undef, 'election' ],
	[ election_enter => "SESSION, 'NAME', namespace => 'team'", 'write', undef, 'election' ],
	[ election_evict => "'NAME', 'writer', 'team'", 'admin', undef, 'election' ],
	[ election_leader => "'NAME', 'team'", 'read', undef, 'election' ],
	[ election_promote => "'NAME', 'writer', 'team'", 'admin', undef, 'election' ],
	[ election_withdraw => "SESSION, 'NAME', 'team'", 'write', undef, 'election' ],
	[ end_session => "SESSION, 'test'", 'execute' ],
	[ extension_version => '', 'none' ],
	[ fetch_outputs => 'SESSION, 1', 'read' ],
	[ fetch_outputs => 'SESSION, 2', 'none' ],
	[ fetch_outputs_many => 'SESSION', 'read' ],
	[ grant_namespace => "'team', 'monitor', 'read'", 'admin' ],
	[ hold => "'NAME', 'team'", 'write', undef, 'free' ],
	[ keep_alive => 'SESSION', 'none' ],
	[ keep_alive_many => 'ARRAY[SESSION]', 'none' ],
	[ listen_watch => "'NAME', 'team'", 'read', undef, 'map', '42704' ],
	[ lock_acquire => "SESSION, 'NAME', '0', 'team'", 'write', undef, 'lock' ],
	[ lock_cancel => "SESSION, 'NAME', 1, 'team'", 'write', undef, 'lock' ],
	[ lock_force_release => "'NAME', $token, 'test', 'team'", 'admin', undef, 'lock' ],
	[ lock_release => "SESSION, 'NAME', namespace => 'team'", 'write', undef, 'lock' ],
	[ lock_transfer => "'NAME', $token, 1, 'test', 'team'", 'admin', undef, 'lock' ],
	[ lock_try => "SESSION, 'NAME', 'team'", 'write', undef, 'lock' ],
	[ map_clear => "'NAME', 'team'", 'write', undef, 'map' ],
	[ map_entries => "'NAME', namespace => 'team'", 'read', undef, 'map' ],
	[ map_entries_text => "'NAME', namespace => 'team'", 'read', undef, 'map' ],
	[ map_get => "'NAME', 'k', 'team'", 'read', undef, 'map' ],
	[ map_get_text => "'NAME', 'k', 'team'", 'read', undef, 'map' ],
	[ map_insert => "'NAME', 'l', 'v', namespace => 'team'", 'write', undef, 'map' ],
	[ map_insert_text => "'NAME', 'l', 'v', namespace => 'team'", 'write', undef, 'map' ],
	[ map_put => "'NAME', 'k', 'v', namespace => 'team'", 'write', undef, 'map' ],
	[ map_put_text => "'NAME', 'k', 'v', namespace => 'team'", 'write', undef, 'map' ],
	[ map_remove => "'NAME', 'k', namespace => 'team'", 'write', undef, 'map' ],
	[ map_size => "'NAME', 'team'", 'read', undef, 'map' ],
	[ map_update => "'NAME', 'k', 'v', namespace => 'team'", 'write', undef, 'map' ],
	[ map_update_text => "'NAME', 'k', 'v', namespace => 'team'", 'write', undef, 'map' ],
	[ message_from_json => "'atomix.multiraft.v1.PartitionInput', '{}'", 'none' ],
	[ message_to_json => "'atomix.multiraft.v1.PartitionInput', ''", 'none' ],
	[ once => 'SESSION, 9', 'none' ],
	[ open_session => '', 'none' ],
	[ outcome => 'SESSION, 1', 'none' ],
	[ partition_close_session => request('CloseSessionRequest', {}), 'none' ],
	[ partition_command => sub { input('Command', counter_input($_[0], $service{counter}, 'increment', { delta => 1 })) },
		'write' ],
	[ partition_command => sub { input('Command', counter_input($_[0], $service{counter}, 'get')) }, 'read' ],
	[ partition_command => sub { input('Command', map_input($_[0], $service{map}, 'events')) }, 'read' ],
	[ partition_command => sub { input('Command', election_input($_[0], $service{election}, 'evict', { candidate => 'x' })) },
		'admin' ],
	[ partition_command => sub { input('Command', create_input($_[0], 'map')) }, 'read' ],
	[ partition_command => sub { input('Command', create_input($_[0], 'another new one')) }, 'write' ],
	[ partition_commands => sub {
			my ($headers, $input) = split /, /, input('Command', map_input($_[0], $service{map}, 'clear'));
			return "ARRAY[$headers], ARRAY[$input]";
		}, 'write' ],
	[ partition_commands => sub {
			my ($headers, $input) = split /, /, input('Command', create_input($_[0], 'another new one'));
			return "ARRAY[$headers], ARRAY[$input]";
		}, 'write' ],
	[ partition_events => '1', 'none' ],
	[ place_partitions => "1, '{here}'", 'execute' ],
	[ partition_of => "'team', 'n'", 'none' ],
	[ partition_keep_alive => request('KeepAliveRequest', {}), 'none' ],
	[ partition_open_session => request('OpenSessionRequest', {}), 'none' ],
	[ partition_query => sub { input('Query', counter_input($_[0], $service{counter}, 'get')) }, 'read' ],
	[ partition_watch => request('WatchPartitionRequest', { partition_id => 1 }), 'none' ],
	[ query => "SESSION, $service{counter}, '\\x1a00'", 'read' ],
	[ resume_stream => 'SESSION, 1', 'read' ],
	[ revoke_namespace => "'team', 'monitor'", 'admin' ],
	[ runtime_get_session => q('\x'), 'none', 'MX001' ],
	[ runtime_list_sessions => q('\x'), 'none' ],
	[ semaphore_acquire => "SESSION, 'NAME', timeout => '0', namespace => 'team'", 'write', undef, 'semaphore' ],
	[ semaphore_release => "SESSION, 'NAME', namespace => 'team'", 'write', undef, 'semaphore' ],
	[ semaphore_resize => "'NAME', 2, 'team'", 'admin', undef, 'semaphore' ],
	[ semaphore_try => "SESSION, 'NAME', namespace => 'team'", 'write', undef, 'semaphore' ],
	[ session_close_session => bytes(encode_message('atomix.election.CloseSessionRequest', {})), 'none' ],
	[ session_close_session => sub { bytes(encode_message('atomix.election.CloseSessionRequest', { delete => 1,
			header => { session_id => $_[0], name => { name => 'map', namespace => 'team' } } })) }, 'admin' ],
	[ session_command => sub { named($_[0], 'counter', '22020801') }, 'write' ],
	[ session_command => sub { named($_[0], 'counter', '1a00') }, 'read' ],
	[ session_command => sub { named($_[0], 'map', '', "'map'") }, 'read' ],
	[ session_command => sub { named($_[0], 'one more', '', "'map'") }, 'write' ],
	[ session_command => sub { named($_[0], 'one more', '22020801', "'counter'") }, 'write' ],
	[ session_events => '', 'none' ],
	[ session_fetch => sub { bytes(encode_message('atomix.headers.RequestHeader',
			{ session_id => $_[0], request_id => 1 })) }, 'read' ],
	[ session_keep_alive => bytes(encode_message('atomix.election.KeepAliveRequest', {})), 'none' ],
	[ session_open_session => bytes(encode_message('atomix.election.OpenSessionRequest', {})), 'none' ],
	# Also where the name is of no further use.
	(map {
		my ($function, $message) = @$_;

		[ $function => sub { bytes(encode_message("atomix.election.$message",
				{ header => { session_id => $_[0], name => { name => 'map', namespace => 'team' } } })) }, 'read' ]
	} [ session_close_session => 'CloseSessionRequest' ], [ session_keep_alive => 'KeepAliveRequest' ],
		[ session_open_session => 'OpenSessionRequest' ]),
	[ session_fetch => sub { bytes(encode_message('atomix.headers.RequestHeader',
			{ session_id => $_[0], name => { name => 'map', namespace => 'team' } })) }, 'read' ],
	[ set_limit => "'entries', 1, 'team'", 'execute' ],
	[ set_lock_delay => "'NAME', '1 s', 'team'", 'admin', undef, 'lock' ],
	[ take_outputs => 'SESSION', 'read' ],
	[ tick => '', 'execute' ],
	[ wait_events => "SESSION, '0'", 'none' ],
	[ wait_ticket => "SESSION, 1, '0'", 'none' ],
	[ watch => "'NAME', namespace => 'team'", 'read', undef, 'map', '42704' ]);

my %is_said = map { $_->[0] => 1 } @calls;
my @functions = split /\n/, run("SELECT p.proname FROM pg_proc p
	JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE d.deptype = 'e' AND e.extname = 'atomix' AND p.prorettype <> 'trigger'::regtype ORDER BY 1");

is_deeply([ grep { !$is_said{$_} } @functions ], [], 'it is said of each function who may call it');

sub call_of
{
	my ($function, $arguments, $role, $name) = @_;

	$arguments = $arguments->($session{$role}) if ref $arguments;
	$arguments =~ s/SESSION/$session{$role}/g;
	$arguments =~ s/NAME/$name/g;
	return "SELECT * FROM atomix.$function($arguments)";
}

for my $call (@calls)
{
	my ($function, $arguments, $takes, $state, $name) = @$call;

	for my $role (@roles)
	{
		my $answer = attempt($role, call_of($function, $arguments, $role, $name // ''));

		if ($takes eq 'execute')
		{
			like($answer, qr/^42501 permission denied for function $function/, "$function: no $role may execute it");
		}
		elsif ($takes eq 'none' || $level{$role} >= $privilege{$takes})
		{
			my $expected = $state // '00000';

			like($answer, qr/^$expected/, "$function: a $role may");
		}
		else
		{
			like($answer, qr/^42501 permission denied for namespace "team" This takes privilege "\w+".$/,
				"$function: a $role may not");
			is(attempt($role, call_of($function, $arguments, $role, 'is not there')), $answer,
				"$function: and does not learn what there is") if defined $name;
		}
	}
}

# By its id a stranger cannot tell a service of others from none.
my $foreign = run("SELECT atomix.counter_set('foreign', 1, 'team'); SELECT service_id FROM atomix.counters WHERE name = 'foreign'");
$foreign =~ s/^.*\n//s;
for my $call (
	"command(SESSION, ID, '\\x22020801')", "command(SESSION, ID, '\\xff')",
	"commands(SESSION, ID, ARRAY['\\xff']::bytea[], 9)", "query(SESSION, ID, '\\x1a00')",
	"query(SESSION, ID, '\\xff')", 'close_service(SESSION, ID)')
{
	my @answers = map {
		my $answer = attempt('stranger', "SELECT * FROM atomix.$call" =~ s/SESSION/$session{stranger}/r =~ s/ID/$_/r);

		$answer =~ s/$_/ID/g;
		$answer
	} $foreign, $foreign + 1;

	is($answers[0], $answers[1], "$call: the same whether there is such a service");
	isnt($answers[0], '', $answers[0]);
}
# Nor does it wait for one that is in use.
my $holder = $node->background_psql('postgres');
$holder->query_safe("BEGIN; SELECT atomix.counter_increment('foreign', 1, 'team')");
for my $call ("command($session{stranger}, $foreign, '\\x22020801')", "close_service($session{stranger}, $foreign)",
	"counter_increment('foreign', 1, 'team')")
{
	isnt(psql_sqlstate($node, "SET ROLE stranger; SET statement_timeout = '30s'; SELECT * FROM atomix.$call"), '57014',
		"$call: nobody is waited for");
}
$holder->query_safe('ROLLBACK');

#
# The views.
#

for my $view (split /\n/, run("SELECT attrelid::regclass FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'atomix'::regnamespace AND relkind = 'v' AND attname = 'namespace' ORDER BY 1"))
{
	my %count = map { $_ => run("SET ROLE $_; SELECT count(*) FROM $view WHERE namespace = 'team'") } @roles, 'monitor';

	is($count{stranger}, 0, "$view: nothing of it for a stranger");
	cmp_ok($count{$_}, '>', 0, "$view: a $_ sees it") for qw(reader writer administrator monitor);
}
is(run("SET ROLE monitor; SELECT count(*), count(value) FROM atomix.counters"), '2|0', 'a monitor sees no values');
is(run("SET ROLE reader; SELECT count(*), count(value) FROM atomix.counters"), '2|2', 'a reader does');
is(run("SET ROLE stranger; SELECT count(*), count(service_id), count(name) FROM atomix.attachments"), '4|4|0',
	'what a session has open is shown without its name to who may not read it');
is(run("SET ROLE stranger; SELECT role, privileges FROM atomix.namespace_grants"), '', 'no grants of others');
is(run("SET ROLE reader; SELECT role, privileges FROM atomix.namespace_grants"), 'reader|read', 'those of its own');
is(run("SET ROLE administrator; SELECT role, privileges FROM atomix.namespace_grants ORDER BY 1"),
	"administrator|admin\nreader|read\nwriter|write", 'all of what it administers');

#
# What a session holds outlives the right to it; it can be closed.
#

is(run("SELECT granted FROM atomix.locks WHERE session_id = $session{stranger}"), 't',
	'who lost the right to a lock has it still');
like(attempt('stranger', "SELECT atomix.assert_lock('lock', $token, 'team')"), qr/^42501/, 'but cannot assert it');
is(run("SET ROLE stranger; SELECT atomix.close_service($session{stranger}, $service{lock})"), 't',
	'closing the service needs no right');
is(run("SELECT session_id = $session{reader} FROM atomix.locks WHERE name = 'lock' AND granted"), 't',
	'and ends the claim: the next one is granted, though it lost its right, too');

#
# Namespaces and roles.
#

sub grant { return run("SELECT atomix.grant_namespace($_[0])"); }

sub revoke { return run("SELECT atomix.revoke_namespace($_[0])"); }

sub gets { return attempt($_[0], "SELECT atomix.counter_get('counter', '$_[1]')") =~ s/ .*//r; }

run("CREATE ROLE staff; CREATE ROLE member IN ROLE staff; CREATE ROLE outsider NOINHERIT IN ROLE staff;
	GRANT USAGE ON SCHEMA atomix TO staff, member, outsider");
grant("'area/', 'staff', 'read', true");
is(gets('staff', 'area/x'), '00000', 'a prefix');
is(gets('staff', 'area/'), '00000', 'which is of itself one');
is(gets('staff', 'area'), '42501', 'not what is shorter');
is(gets('staff', ' area/x'), '42501', 'nor what has it inside');
is(gets('member', 'area/x'), '00000', 'by membership');
is(gets('outsider', 'area/x'), '42501', 'not where that is not inherited');
is(revoke("'area/', 'staff'"), 'f', 'the name alone was not granted');
is(revoke("'area/', 'staff', true"), 't', 'it is revoked as it was granted');
is(gets('member', 'area/x'), '42501', 'and then gone');
grant("'100%', 'staff', 'read', true");
is(gets('staff', '100%x'), '00000', 'no character is special: a percent sign');
is(gets('staff', '100xx'), '42501', 'stands for itself');
grant("'star*', 'staff', 'read'");
is(gets('staff', 'star*'), '00000', 'and so does a star');
is(gets('staff', 'starx'), '42501', 'at the end');
grant("'free', 'public', 'write'");
is(attempt('outsider', "SELECT atomix.counter_increment('counter', 1, 'free')"), '00000', 'public is every role');
grant("'free', 'public', 'read'");
like(attempt('outsider', "SELECT atomix.counter_increment('counter', 1, 'free')"), qr/^42501/,
	'a grant replaces the one before');
is(revoke("'free', 'public'"), 't', 'and is taken back as a whole');
is(gets('outsider', 'free'), '42501', 'then nobody may');
is(gets('outsider', ''), '00000', 'but in namespace \'\'');

for my $wrong (
	[ "'team', 'nobody', 'read'", '42704' ], [ "'team', 'staff', 'everything'", '22023' ],
	[ "'team', 'staff', 'none'", '22023' ], [ "'" . 'x' x 513 . "', 'staff', 'read'", '53400' ],
	[ "'team', NULL, 'read'", '22004' ])
{
	is(psql_sqlstate($node, "SELECT atomix.grant_namespace($wrong->[0])"), $wrong->[1], "grant: $wrong->[1]");
}

# Who administers a namespace grants no more than that.
run("SELECT atomix.grant_namespace('team/', 'administrator', 'admin', true)");
for my $mine ("'team', 'staff', 'admin'", "'team/x', 'staff', 'read'", "'team/x/', 'staff', 'read', true",
	"'team/', 'staff', 'read', true")
{
	is(attempt('administrator', "SELECT atomix.grant_namespace($mine)"), '00000', "an administrator grants $mine");
}
for my $other ("'team', 'staff', 'read', true", "'te', 'staff', 'read', true", "'', 'staff', 'read', true",
	"'', 'staff', 'admin'", "'other', 'staff', 'read'")
{
	like(attempt('administrator', "SELECT atomix.grant_namespace($other)"), qr/^42501/, "but not $other");
}

#
# Roles come and go.
#

run("CREATE ROLE leaver; CREATE ROLE heir; GRANT USAGE ON SCHEMA atomix TO heir");
grant("'team', 'leaver', 'read'");
grant("'team', 'heir', 'read'");
run('ALTER ROLE heir RENAME TO renamed');
is(gets('renamed', 'team'), '00000', 'a new name changes nothing');
run('DROP ROLE leaver; CREATE ROLE leaver; GRANT USAGE ON SCHEMA atomix TO leaver');
is(gets('leaver', 'team'), '42501', 'a new role of an old name inherits nothing');
is(run("SELECT count(*) FROM atomix.namespace_grants WHERE role = 'leaver'"), 0, 'nor is it shown');
grant("'team', 'staff', 'read'");
is(run("SELECT count(*) FROM atomix.namespace_grant WHERE role NOT IN (SELECT oid FROM pg_roles)"), 0,
	'what was granted to a dropped role is swept away');
is(run("SELECT role_name FROM atomix.namespace_grant WHERE role = 'renamed'::regrole"), 'renamed', 'names follow');

# A dump brings rows to another server, where ids mean others.
run("UPDATE atomix.namespace_grant SET server = 1, role = 'leaver'::regrole WHERE role = 'reader'::regrole");
is(gets('reader', 'team'), '00000', 'there the name counts');
is(gets('leaver', 'team'), '42501', 'not the id');
run("SELECT atomix.revoke_namespace('team', 'heir')") if run("SELECT count(*) FROM pg_roles WHERE rolname = 'heir'");
grant("'team', 'staff', 'read'");
is(run("SELECT count(*), min(privileges) FROM atomix.namespace_grant WHERE role = 'reader'::regrole"), '1|read',
	'the row is made one of this server');
is(gets('reader', 'team'), '00000', 'and goes on');

#
# In open transactions.
#

for my $level ('read committed', 'repeatable read')
{
	my $reader = $node->background_psql('postgres', on_error_stop => 0);

	$reader->query_safe("SET ROLE reader; BEGIN ISOLATION LEVEL $level");
	is($reader->query_safe("SELECT atomix.counter_get('counter', 'team')"), 7, "$level: may read");
	revoke("'team', 'reader'");
	like(query_error($reader, "SELECT atomix.counter_get('counter', 'team')"), qr/permission denied for namespace/,
		"$level: the next call after a revocation may not");
	$reader->query('ROLLBACK');
	grant("'team', 'reader', 'read'");
	is($reader->query_safe("SELECT atomix.counter_get('counter', 'team')"), 7, "$level: a grant counts at once");
	$reader->quit;
}
my $undone = $node->background_psql('postgres', on_error_stop => 0);
$undone->query_safe("BEGIN; SAVEPOINT s; SELECT atomix.grant_namespace('team', 'stranger', 'admin'); SET LOCAL ROLE stranger");
is($undone->query_safe("SELECT atomix.counter_get('counter', 'team')"), 7, 'a grant counts in its own transaction');
$undone->query_safe('ROLLBACK TO s; SET LOCAL ROLE stranger');
like(query_error($undone, "SELECT atomix.counter_get('counter', 'team')"), qr/permission denied/, 'until it is undone');
$undone->query('ROLLBACK');
$undone->quit;

# Membership and superuser, of a process that has asked before.
my $psql = $node->background_psql('postgres', on_error_stop => 0);
$psql->query_safe('SET ROLE outsider');
like(query_error($psql, "SELECT atomix.counter_get('counter', 'team')"), qr/permission denied/, 'no member');
run('ALTER ROLE outsider INHERIT');
run('GRANT reader TO outsider');
is($psql->query_safe("SELECT atomix.counter_get('counter', 'team')"), 7, 'a member at once');
run('REVOKE reader FROM outsider; REVOKE staff FROM outsider');
like(query_error($psql, "SELECT atomix.counter_get('counter', 'team')"), qr/permission denied/, 'no member any more');
$psql->quit;

#
# Without shared memory.
#

$_->quit for $holder, $asking;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$asking = $node->background_psql('postgres');
is(gets('reader', 'team'), '00000', 'without preload: a reader');
like(attempt('reader', "SELECT atomix.counter_increment('counter', 1, 'team')"), qr/^42501/, 'may not write');
my $late = $node->background_psql('postgres', on_error_stop => 0);
$late->query_safe('SET ROLE reader');
is($late->query_safe("SELECT atomix.counter_get('counter', 'team')"), 7, 'may read');
revoke("'team', 'reader'");
like(query_error($late, "SELECT atomix.counter_get('counter', 'team')"), qr/permission denied/, 'until that is revoked');
$_->quit for $late, $asking;

$node->stop;
done_testing();
