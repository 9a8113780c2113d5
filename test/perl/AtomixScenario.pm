# Every function of the extension at work, as a script for pgbench.
#
# Statements that are not between BEGIN and COMMIT are transactions of their
# own, so that the script can be played over connections that change, by every
# protocol, on servers with and without preload.  Each client has sessions and
# services of its own.

package AtomixScenario;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT_OK = qw(play_scenario prepare_scenario scenario_is_complete_ok);

# Helpers of the scenario: yes() fails unless it is told so, the others encode
# and read messages of the protocol.
my $helpers = q{
	CREATE SCHEMA test;
	CREATE FUNCTION test.yes(is_so boolean) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		IF is_so IS NOT TRUE THEN
			RAISE 'this is not so';
		END IF;
		RETURN 1;
	END $$;
	-- Does a statement end with that SQLSTATE?
	CREATE FUNCTION test.fails(statement text, code text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE statement;
		RETURN false;
	EXCEPTION WHEN OTHERS THEN
		RETURN sqlstate = code;
	END $$;
	CREATE FUNCTION test.varint(value bigint) RETURNS bytea LANGUAGE plpgsql AS $$
	DECLARE
		bytes bytea := '';
	BEGIN
		LOOP
			bytes := bytes || set_byte('\x00', 0,
				((value & 127) | CASE WHEN value > 127 THEN 128 ELSE 0 END)::int);
			value := value >> 7;
			EXIT WHEN value = 0;
		END LOOP;
		RETURN bytes;
	END $$;
	CREATE FUNCTION test.number(field int, value bigint) RETURNS bytea LANGUAGE sql AS
		'SELECT test.varint(field << 3) || test.varint(value)';
	CREATE FUNCTION test.part(field int, bytes bytea) RETURNS bytea LANGUAGE sql AS
		'SELECT test.varint((field << 3) | 2) || test.varint(length(bytes)) || bytes';
	-- The field of a message: as bytes, or a number as its varint.
	CREATE FUNCTION test.field(message bytea, wanted int) RETURNS bytea LANGUAGE plpgsql AS $$
	DECLARE
		at int := 0;
		key int;
		size int;
		length_of int;
	BEGIN
		WHILE at < length(message) LOOP
			key := get_byte(message, at);
			size := 1;
			WHILE get_byte(message, at + size) > 127 LOOP
				size := size + 1;
			END LOOP;
			IF key & 7 = 2 THEN
				length_of := test.value(substr(message, at + 2, size));
				at := at + 1 + size;
				size := length_of;
			ELSE
				at := at + 1;
			END IF;
			IF key >> 3 = wanted THEN
				RETURN substr(message, at + 1, size);
			END IF;
			at := at + size;
		END LOOP;
		RETURN NULL;
	END $$;
	CREATE FUNCTION test.value(varint bytea) RETURNS bigint LANGUAGE sql AS
		'SELECT sum((get_byte(varint, n) & 127)::bigint << 7 * n)::bigint
		 FROM generate_series(0, length(varint) - 1) AS n';
	-- Headers of a command or query, of a session and with a number.
	CREATE FUNCTION test.headers(session bigint, number bigint) RETURNS bytea LANGUAGE sql AS $$
		SELECT test.part(1, test.part(1, test.part(1,
			test.part(1, test.number(1, 1)) || test.number(2, session))))
			|| test.number(2, number) $$;
	CREATE FUNCTION test.status(headers bytea) RETURNS bigint LANGUAGE sql AS $$
		SELECT test.value(test.field(test.field(test.field(test.field(test.field(
			headers, 1), 1), 1), 1), 2)) $$;
	CREATE TABLE test.fenced (session bigint);
	CREATE FUNCTION test.write(session bigint, token bigint) RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM atomix.assert_lock('fenced', token);
		INSERT INTO test.fenced VALUES (session);
		RETURN session;
	END $$;
	CREATE TRIGGER fence BEFORE INSERT ON test.fenced
		FOR EACH STATEMENT EXECUTE FUNCTION atomix.fence('fenced');
};

# The steps: the function that is proved, and statements for pgbench.  :session
# is the client's own session, what begins with $n a name of its own.
my $n = q{('n' || :session || '-')};
my @steps = (
	[ 'open_session', q{SELECT atomix.open_session('10 min', 'pooled') AS session \gset} ],
	[ 'keep_alive', q{SELECT test.yes(atomix.keep_alive(:session) = '10 min')} ],
	[ 'keep_alive_many',
		q{SELECT test.yes(state = 'opened') FROM atomix.keep_alive_many(ARRAY[:session]::bigint[])} ],
	[ 'create_service', qq{SELECT atomix.create_service(:session, 'counter', $n || 'c') AS counter \\gset
		SELECT atomix.create_service(:session, 'map', $n || 'm') AS map \\gset} ],
	[ 'command', q{SELECT test.yes(status = 'OK' AND NOT replayed AND output = '\x22020805')
		FROM atomix.command(:session, :counter, '\x22020805', 1)
		SELECT test.yes(replayed AND output = '\x22020805')
		FROM atomix.command(:session, :counter, '\x22020805', 1)} ],
	[ 'commands', q{SELECT test.yes(count(*) = 2 AND bool_and(status = 'OK'))
		FROM atomix.commands(:session, :counter, ARRAY['\x22020801', '\x22020801']::bytea[], 2)} ],
	[ 'query', q{SELECT test.yes(output = '\x1a020807')
		FROM atomix.query(:session, :counter, '\x1a00', 3)} ],
	[ 'outcome', q{SELECT test.yes(state = 'complete') FROM atomix.outcome(:session, 3)} ],
	[ 'ack', q{SELECT atomix.ack(:session, 3)
		SELECT test.yes(state = 'acknowledged') FROM atomix.outcome(:session, 3)} ],
	[ 'once', q{SELECT test.yes(atomix.once(:session, 4, 'this'))
		SELECT test.yes(NOT atomix.once(:session, 4, 'this'))
		SELECT test.yes(test.fails('SELECT atomix.once(' || :session || ', 4, ''that'')', 'MX005'))} ],

	[ 'counter_set', qq{SELECT test.yes(atomix.counter_set($n || 'd', 3) = 3)} ],
	[ 'counter_increment', qq{SELECT test.yes(atomix.counter_increment($n || 'd', session_id => :session, sequence_num => 5) = 4)
		SELECT test.yes(atomix.counter_increment($n || 'd', session_id => :session, sequence_num => 5) = 4)} ],
	[ 'counter_decrement', qq{SELECT test.yes(atomix.counter_decrement($n || 'd', 2) = 2)} ],
	[ 'counter_compare_and_set', qq{SELECT test.yes(atomix.counter_compare_and_set($n || 'd', 2, 9))} ],
	[ 'counter_get', qq{SELECT test.yes(atomix.counter_get($n || 'd') = 9)} ],

	[ 'map_put', qq{SELECT test.yes(prev_value IS NULL) FROM atomix.map_put($n || 'm', 'a', '\\x01')} ],
	[ 'map_insert', qq{SELECT test.yes(index IS NULL) FROM atomix.map_insert($n || 'm', 'a', '\\x02') AS index} ],
	[ 'map_update', qq{SELECT test.yes(prev_value = '\\x01') FROM atomix.map_update($n || 'm', 'a', '\\x03')} ],
	[ 'map_get', qq{SELECT test.yes(value = '\\x03') FROM atomix.map_get($n || 'm', 'a')} ],
	[ 'map_put_text', qq{SELECT test.yes(prev_value IS NULL) FROM atomix.map_put_text($n || 'm', 'b', 'x', '1 hour')} ],
	[ 'map_insert_text', qq{SELECT test.yes(index IS NOT NULL) FROM atomix.map_insert_text($n || 'm', 'c', 'y') AS index} ],
	[ 'map_update_text', qq{SELECT test.yes(prev_value = 'y') FROM atomix.map_update_text($n || 'm', 'c', 'z')} ],
	[ 'map_get_text', qq{SELECT test.yes(atomix.map_get_text($n || 'm', 'c') = 'z')} ],
	[ 'map_size', qq{SELECT test.yes(atomix.map_size($n || 'm') = 3)} ],
	[ 'map_entries', qq{SELECT test.yes(count(*) = 3) FROM atomix.map_entries($n || 'm')} ],
	[ 'map_entries_text', qq{SELECT test.yes(string_agg(value, ' ') = 'x z') FROM atomix.map_entries_text($n || 'm', 'a')} ],
	[ 'map_remove', qq{SELECT test.yes(atomix.map_remove($n || 'm', 'c'))} ],
	[ 'map_clear', qq{SELECT test.yes(atomix.map_clear($n || 'm') = 2)} ],

	# Queues, over transactions on several connections.
	[ 'lock_try', qq{SELECT token AS token FROM atomix.lock_try(:session, $n || 'l') \\gset
		SELECT atomix.open_session('10 min') AS second \\gset} ],
	[ 'lock_acquire', qq{SELECT test.yes(NOT granted) AS no, ticket AS ticket
		FROM atomix.lock_acquire(:second, $n || 'l') \\gset
		SELECT test.yes(ticket = :ticket) FROM atomix.lock_acquire(:second, $n || 'l')} ],
	[ 'assert_lock', qq{BEGIN
		SELECT atomix.assert_lock($n || 'l', :token)
		SELECT test.yes(current_setting('idle_in_transaction_session_timeout') = '1min')
		COMMIT
		SELECT test.yes(current_setting('idle_in_transaction_session_timeout') = '0')} ],
	[ 'lock_release', qq{SELECT test.yes(atomix.lock_release(:session, $n || 'l', :token))} ],
	[ 'wait_ticket', q{SELECT test.yes(granted) AS yes, token AS token FROM atomix.wait_ticket(:second, :ticket) \gset} ],
	[ 'lock_cancel', qq{SELECT ticket AS ticket FROM atomix.lock_acquire(:session, $n || 'l') \\gset
		SELECT test.yes(atomix.lock_cancel(:session, $n || 'l', :ticket))} ],
	[ 'lock_transfer', qq{SELECT ticket AS ticket FROM atomix.lock_acquire(:session, $n || 'l') \\gset
		SELECT atomix.lock_transfer($n || 'l', :token, :ticket, 'test') AS token \\gset
		SELECT test.yes(granted) FROM atomix.wait_ticket(:session, :ticket)} ],
	[ 'lock_force_release', qq{SELECT test.yes(atomix.lock_force_release($n || 'l', :token, 'test'))} ],
	[ 'set_lock_delay', qq{SELECT atomix.set_lock_delay($n || 'l', '1 s')} ],
	[ 'hold', qq{BEGIN
		SELECT atomix.hold($n || 'l')
		COMMIT
		SELECT test.yes(granted) FROM atomix.lock_try(:second, $n || 'l')} ],
	[ 'fence', qq{SELECT test.yes(test.fails('INSERT INTO test.fenced VALUES (1)', 'MX006'))
		SELECT ticket AS ticket FROM atomix.lock_acquire(:session, 'fenced') \\gset
		SELECT token AS token FROM atomix.wait_ticket(:session, :ticket) \\gset
		SELECT test.yes(test.write(:session, :token) = :session)
		SELECT test.yes(test.fails('INSERT INTO test.fenced VALUES (2)', 'MX006'))
		SELECT test.yes(atomix.lock_release(:session, 'fenced', :token))} ],

	[ 'semaphore_resize', qq{SELECT test.yes(atomix.semaphore_resize($n || 's', 3) = 3)} ],
	[ 'semaphore_try', qq{SELECT test.yes(granted) AS yes, token AS token FROM atomix.semaphore_try(:session, $n || 's', 2) \\gset} ],
	[ 'semaphore_acquire', qq{SELECT test.yes(NOT granted) FROM atomix.semaphore_acquire(:second, $n || 's', 2)} ],
	[ 'semaphore_release', qq{SELECT test.yes(atomix.semaphore_release(:session, $n || 's', :token))} ],

	[ 'election_enter', qq{SELECT test.yes(is_leader) AS yes, token AS token
		FROM atomix.election_enter(:session, $n || 'e', 'one') \\gset
		SELECT test.yes(NOT is_leader) FROM atomix.election_enter(:second, $n || 'e', 'two')} ],
	[ 'assert_leader', qq{BEGIN
		SELECT atomix.assert_leader($n || 'e', :token)
		COMMIT} ],
	[ 'election_promote', qq{SELECT test.yes(atomix.election_promote($n || 'e', 'two'))} ],
	[ 'election_leader', qq{SELECT test.yes(leader = 'two') FROM atomix.election_leader($n || 'e')} ],
	[ 'election_demote', qq{SELECT test.yes(atomix.election_demote($n || 'e', 'two'))} ],
	[ 'election_anoint', qq{SELECT test.yes(atomix.election_anoint($n || 'e', 'two'))} ],
	[ 'election_evict', qq{SELECT test.yes(atomix.election_evict($n || 'e', 'two'))} ],
	[ 'election_withdraw', qq{SELECT test.yes(atomix.election_withdraw(:session, $n || 'e'))} ],

	# Feeds and streams, read by revision.
	[ 'watch', qq{SELECT count(*) FROM atomix.watch($n || 'd')
		SELECT revision AS revision FROM atomix.services WHERE name = $n || 'd' \\gset
		SELECT atomix.counter_increment($n || 'd')
		SELECT test.yes(count(*) = 1) FROM atomix.watch($n || 'd', :revision)} ],
	[ 'fetch_outputs', q{SELECT test.yes(status = 'RUNNING')
		FROM atomix.command(:session, :map, '\x42021001', 6)} . qq{
		SELECT index AS index FROM atomix.map_put_text($n || 'm', 'k', 'v') \\gset
		SELECT test.yes(count(*) >= 1) AS yes, max(output_num) AS output
		FROM atomix.fetch_outputs(:session, 6) \\gset} ],
	[ 'wait_events', q{SELECT test.yes(atomix.wait_events(:session, '10 s'))} ],
	[ 'fetch_outputs_many', q{SELECT test.yes(max(output_num) = :output) FROM atomix.fetch_outputs_many(:session)} ],
	[ 'ack_many', q{SELECT atomix.ack_many(:session, ARRAY[6]::bigint[], ARRAY[:output]::bigint[])
		SELECT test.yes(count(*) = 0) FROM atomix.fetch_outputs_many(:session)} ],
	[ 'take_outputs', qq{SELECT count(*) FROM atomix.map_put_text($n || 'm', 'k', 'w')
		SELECT test.yes(max(output_num) = :output + 1) FROM atomix.take_outputs(:session)
		SELECT test.yes(count(*) = 0) FROM atomix.take_outputs(:session)} ],
	[ 'resume_stream', q{SELECT atomix.resume_stream(:session, 6)} ],
	[ 'session_events', q{SELECT test.yes(count(*) >= 0) FROM atomix.session_events()} ],
	[ 'partition_events', q{SELECT test.yes(max(term) = 1) FROM atomix.partition_events(1)} ],

	# The protocol's own functions.
	[ 'partition_open_session', q{SELECT test.value(test.field(test.field(atomix.partition_open_session(
			test.part(1, test.number(1, 1)) || test.part(2, '')), 2), 1)) AS wire \gset} ],
	[ 'partition_keep_alive', q{SELECT test.yes(test.value(test.field(test.field(atomix.partition_keep_alive(
			test.part(1, test.number(1, 1)) || test.part(2, test.number(1, :wire))), 1), 2)) = 1)} ],
	[ 'partition_command', qq{SELECT test.yes(test.status(headers) = 1) AS yes,
			test.value(test.field(test.field(test.field(output, 4), 1), 1)) AS counter
		FROM atomix.partition_command(test.headers(:wire, 1), test.part(4, test.number(1, :wire)
			|| test.part(2, test.part(1, 'counter') || test.part(3, convert_to($n || 'w', 'UTF8'))))) \\gset} ],
	[ 'partition_commands', q{SELECT test.yes(count(*) = 2 AND bool_and(test.status(headers) = 1))
		FROM atomix.partition_commands(
			ARRAY[test.headers(:wire, 2), test.headers(:wire, 3)],
			array_fill(test.part(4, test.number(1, :wire) || test.part(4,
				test.number(1, :counter) || test.part(2, '\x22020801'))), ARRAY[2]))} ],
	[ 'partition_query', q{SELECT test.yes(test.status(headers) = 1 AND right(encode(output, 'hex'), 2) = '02')
		FROM atomix.partition_query(test.headers(:wire, 3), test.part(4, test.number(1, :wire)
			|| test.part(4, test.number(1, :counter) || test.part(2, '\x1a00'))))} ],
	[ 'partition_watch', q{SELECT test.yes(count(*) = 1) FROM atomix.partition_watch(test.number(1, 1))} ],
	[ 'partition_close_session', q{SELECT test.yes(test.value(test.field(test.field(atomix.partition_close_session(
			test.part(1, test.number(1, 1)) || test.part(2, test.number(1, :wire))), 1), 2)) = 1)} ],

	[ 'call', q{SELECT test.yes(count(*) = 1) FROM atomix.call('/atomix.multiraft.v1.Partition/Watch', test.number(1, 1))} ],
	[ 'session_open_session', q{SELECT test.value(test.field(test.field(atomix.session_open_session(
			test.part(1, test.number(6, 1))), 1), 1)) AS old \gset} ],
	[ 'session_keep_alive', q{SELECT test.yes(test.field(test.field(atomix.session_keep_alive(
			test.part(1, test.number(2, :old))), 1), 6) IS NULL)} ],
	[ 'runtime_get_session', q{SELECT test.yes(atomix.message_to_json('atomix.runtime.v1.GetSessionResponse',
			atomix.runtime_get_session(test.part(1, test.part(1, convert_to(CAST(:old AS text), 'UTF8')))))
			#>> '{session,status,state}' = 'OPENED')} ],
	[ 'runtime_list_sessions', q{SELECT test.yes(atomix.message_to_json('atomix.runtime.v1.ListSessionsResponse',
			atomix.runtime_list_sessions('')) -> 'sessions' IS NOT NULL)} ],
	[ 'session_command', qq{SELECT test.yes(test.field(header, 6) IS NULL)
		FROM atomix.session_command(test.part(1, test.part(1, convert_to($n || 'o', 'UTF8')))
			|| test.number(2, :old) || test.number(3, 1), '', 'counter')} ],
	[ 'session_fetch', q{SELECT test.yes(count(*) = 0) FROM atomix.session_fetch(test.number(2, :old))} ],
	[ 'session_close_session', q{SELECT test.yes(test.field(test.field(atomix.session_close_session(
			test.part(1, test.number(2, :old))), 1), 6) IS NULL)} ],
	[ 'message_to_json', q{SELECT test.yes(atomix.message_to_json('atomix.multiraft.v1.PartitionRequestHeaders',
			test.number(1, 7)) = '{"partitionId": 7}')} ],
	[ 'message_from_json', q{SELECT test.yes(atomix.message_from_json('atomix.multiraft.v1.PartitionRequestHeaders',
			'{"partitionId": 7}') = test.number(1, 7))} ],

	[ 'grant_namespace', qq{SELECT atomix.grant_namespace($n || 'n', 'public', 'read')
		SELECT test.yes(count(*) = 1) FROM atomix.namespace_grants WHERE namespace = $n || 'n'} ],
	[ 'revoke_namespace', qq{SELECT test.yes(atomix.revoke_namespace($n || 'n', 'public'))} ],

	[ 'partition_of', q{SELECT test.yes(atomix.partition_of('', 'counter') = 1)} ],
	[ 'set_limit', qq{SELECT atomix.set_limit('entries', 100, $n || 'n')
		SELECT test.yes(value = 100) FROM atomix.limits WHERE name = 'entries' AND namespace = $n || 'n'
		SELECT atomix.set_limit('entries', NULL, $n || 'n')} ],

	[ 'tick', q{SELECT test.yes(atomix.tick() >= 0)} ],
	[ 'extension_version', q{SELECT test.yes(sql = library) FROM atomix.extension_version()} ],
	[ 'close_service', q{SELECT test.yes(atomix.close_service(:session, :map))} ],
	[ 'delete_service', qq{SELECT test.yes(atomix.delete_service($n || 'm'))} ],
	[ 'end_session', q{SELECT test.yes(atomix.end_session(:second, 'test'))} ],
	[ 'close_session', q{SELECT test.yes(atomix.close_session(:session))
		SELECT test.yes(test.fails('SELECT atomix.keep_alive(' || :session || ')', 'MX003'))} ],
);

# Left out: listen_watch LISTENs on its connection, which may be another
# client's a moment later; after_restore() ends every session of the database,
# and place_partitions() wants that there are none.
my %left_out = map { $_ => 1 } qw(listen_watch after_restore place_partitions);

# Does the scenario have every function that the node has?
sub scenario_is_complete_ok
{
	my ($node) = @_;
	my @functions = split /\n/, $node->safe_psql('postgres', q{
		SELECT DISTINCT p.proname FROM pg_proc p JOIN pg_depend d
			ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
		WHERE d.refclassid = 'pg_extension'::regclass AND p.proname !~ '^_'
		  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'atomix')
		ORDER BY 1});

	return is_deeply([ sort map { $_->[0] } @steps ], [ grep { !$left_out{$_} } @functions ],
		'the scenario has every function of the extension');
}

# The file with the script.
my $file;

sub script_file
{
	my @statements;

	return $file if defined $file;
	for my $step (@steps)
	{
		# SELECT at the beginning of a line begins a statement.
		for my $statement (split /\n(?=\s*(?:SELECT|BEGIN|COMMIT))/, $step->[1])
		{
			$statement =~ s/\s+/ /g;
			$statement =~ s/^ | $//g;
			push @statements, $statement =~ /\\gset$/ ? $statement : "$statement;";
		}
	}
	$file = PostgreSQL::Test::Utils::tempdir() . '/scenario';
	PostgreSQL::Test::Utils::append_to_file($file, join("\n", @statements, ''));
	return $file;
}

# Install the helpers in the database "postgres" of a node.
sub prepare_scenario
{
	my ($node) = @_;

	$node->safe_psql('postgres', $helpers);
	return;
}

# Play it with three clients at once, by a protocol that pgbench knows and with
# further options of it; a test that each statement does what it should.
sub play_scenario
{
	my ($node, $protocol, $name, @options) = @_;
	my $out = '';
	my $fine = IPC::Run::run(
		# Who is told to try again does.
		[ 'pgbench', '--no-vacuum', '--client=3', '--max-tries=10', "--protocol=$protocol", @options,
			'--file', script_file(), $node->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>&1',
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($fine && $out =~ /number of failed transactions: 0/, $name) || diag($out);
}

1;
