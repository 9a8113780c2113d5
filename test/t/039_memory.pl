# Neither a backend that makes many calls nor the worker over many cycles
# keeps memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(protoc);
use AtomixTest qw(await_rest new_node open_session worker_pid);
use Test::More;

my $node = new_node('memory', "synchronous_commit = 'off'",
	'log_statement = none', 'log_min_messages = log');

# The bytes of a protocol request, as SQL shows them.
sub request
{
	my ($message, $text) = @_;

	return '\\x' . unpack('H*',
		protoc('encode', "atomix.multiraft.v1.${message}Request", 'batch.proto', $text));
}

my $id = open_session($node, '1 h');
my $open = request('OpenSession',
	'headers { partition_id: 1 } input { timeout { seconds: 30 } }');
my $renew = request('KeepAlive',
	"headers { partition_id: 1 } input { session_id: $id last_command_sequence_num: 3 }");
my $close = request('CloseSession',
	'headers { partition_id: 1 } input { session_id: 123456789 }');

# Each round is a dozen calls, among them refused ones.
$node->safe_psql('postgres', qq{
	CREATE PROCEDURE rounds(times int) LANGUAGE plpgsql AS \$\$
	DECLARE
		id bigint;
	BEGIN
		FOR i IN 1 .. times LOOP
			id := atomix.open_session('30 s', 'name', 'kind', '{"a": "b"}', '\\x0a0178');
			PERFORM atomix.keep_alive(id);
			PERFORM atomix.close_session(id);
			PERFORM atomix.close_session(id);
			PERFORM atomix.keep_alive($id);
			PERFORM atomix.partition_open_session('$open');
			PERFORM atomix.partition_keep_alive('$renew');
			PERFORM atomix.partition_close_session('$close');
			PERFORM atomix.message_to_json('atomix.multiraft.v1.KeepAliveResponse', c)
				FROM atomix.call('/atomix.multiraft.v1.Partition/KeepAlive',
					atomix.message_from_json('atomix.multiraft.v1.KeepAliveRequest',
						jsonb_build_object('headers', jsonb_build_object('partitionId', 1),
							'input', jsonb_build_object('sessionId', id)))) AS c;
			BEGIN
				PERFORM atomix.message_from_json('atomix.multiraft.v1.KeepAliveRequest', '{"x": 1}');
			EXCEPTION WHEN sqlstate '22P02' THEN
			END;
			BEGIN
				PERFORM atomix.keep_alive(id);
			EXCEPTION WHEN sqlstate 'MX003' THEN
			END;
			BEGIN
				PERFORM atomix.partition_open_session('\\xff');
			EXCEPTION WHEN sqlstate '22P03' THEN
			END;
			COMMIT;
		END LOOP;
	END \$\$});

#
# A backend.
#

{
	my $backend = $node->background_psql('postgres');

	my $measure = q{SELECT total_bytes - free_bytes FROM pg_backend_memory_contexts
		WHERE name = 'TopMemoryContext'};
	my $all = 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts';

	$backend->query_safe($_) for $measure, $all, 'CALL rounds(200)';
	my ($top, $total) = map { $backend->query_safe($_) } $measure, $all;

	$backend->query_safe('CALL rounds(2000)');
	cmp_ok($backend->query_safe($measure) - $top, '<=', 64 * 1024,
		'20,000 calls leave next to nothing in TopMemoryContext');
	cmp_ok($backend->query_safe($all) - $total, '<=', 256 * 1024,
		'nor elsewhere');
	$backend->quit;
}

#
# The worker.
#

# How much the worker has allocated in all.
sub worker_memory
{
	my $offset = -s $node->logfile;
	my $pid = worker_pid($node, 'postgres');

	await_rest($node);
	$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($pid)");
	$node->wait_for_log(qr/\[$pid\].*Grand total: \d+ bytes/, $offset);
	my ($bytes) = substr(PostgreSQL::Test::Utils::slurp_file($node->logfile), $offset)
	  =~ /\[$pid\].*Grand total: (\d+) bytes/;
	return $bytes;
}

$node->safe_psql('postgres', q{
	CREATE PROCEDURE expire(times int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. times LOOP
			PERFORM atomix.open_session('1 s');
			COMMIT;
			PERFORM atomix._advance_clock('2 s');
			-- It tells changes at most once per hint_interval.
			WHILE EXISTS (SELECT FROM atomix.lease WHERE timeout = 1000000) LOOP
				PERFORM pg_sleep(0.001);
				COMMIT;
			END LOOP;
		END LOOP;
	END $$});
$node->safe_psql('postgres', 'CALL expire(100)');
my $before = worker_memory();
my $cycles = $node->safe_psql('postgres', 'SELECT max(version) FROM atomix.session');
$node->safe_psql('postgres', 'CALL expire(1000)');
cmp_ok(worker_memory() - $before, '<=', 128 * 1024,
	'1,000 batches leave next to nothing in the worker');
cmp_ok($node->safe_psql('postgres', 'SELECT max(version) FROM atomix.session') - $cycles,
	'>=', 1000, 'it has worked meanwhile');

$node->stop;
done_testing();
