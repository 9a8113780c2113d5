# The index never gives a value twice: it jumps at each start, survives a
# crash that loses commits, and notices that the sequence was set back.  Who
# has to wait for a jump waits no longer than atomix.max_wait.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(protoc);
use AtomixTest qw(await_rest new_node open_session psql_sqlstate);
use List::Util qw(max min uniq);
use Test::More;
use Time::HiRes qw(time);

use constant JUMP => 2**32;

my $node = new_node('index',
	"atomix.max_wait = '500ms'", "wal_writer_delay = '10s'",
	"wal_writer_flush_after = '1GB'");
my @given;    # every id given out in the database "postgres"

# Open sessions, each in its own transaction; returns their ids.
sub open_sessions
{
	my ($count, $settings) = @_;
	my $sql = ($settings // '') . ';'
	  . "SELECT atomix.open_session();\n" x $count;
	my @ids = split(/\n/, $node->safe_psql('postgres', $sql));

	die 'an id is missing' unless @ids == $count;
	return @ids;
}

# Open some and check that their ids are new, and greater than any before.
sub check_new_ids
{
	my ($what, $least_jump) = @_;
	my @ids = open_sessions(20);

	cmp_ok(min(@ids), '>', max(@given) + ($least_jump // 0), $what);
	push @given, @ids;
	is(scalar(uniq @given), scalar(@given), 'no id is given twice');
	return;
}

sub in_2026
{
	return CORE::time - 1767225600;
}

# What the server logged since its last start.
sub slurp_log
{
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);

	return substr($log, rindex($log, 'starting PostgreSQL'));
}

#
# First use.
#

my $before = in_2026();
push @given, open_sessions(20);
cmp_ok(min(@given), '>', $before * 2**20, 'the first index is that of the time');
cmp_ok(max(@given), '<=', (in_2026() + 1) * 2**20, 'and not more');
cmp_ok(max(@given), '<', 2**53, 'it is kept whole by readers of JSON');
like($given[0], qr/^\d{14,16}$/, 'it has 14 to 16 digits');
is_deeply([ sort { $a <=> $b } @given ], \@given, 'ids increase');
is($node->safe_psql('postgres',
		'SELECT bool_and(session_id > index_floor) FROM atomix.session, atomix.authority'),
	't', 'and are above the floor');

#
# Every start jumps.
#

for my $mode ('fast', 'immediate')
{
	$node->stop($mode);
	$node->start;
	check_new_ids("after a stop, $mode, the index has jumped", JUMP - 1);
}

#
# A crash loses what was not on disk, and ids that somebody knows.  The worker
# would flush it, so it is kept from work by a lock on a table that opening a
# session has no need of.
#

{
	my $locker = $node->background_psql('postgres');

	$locker->query_safe('BEGIN; LOCK TABLE atomix.clock_epoch');
	push @given, open_sessions(500, 'SET synchronous_commit = off');
	my $kept = max(@given);

	$node->stop('immediate');
	eval { $locker->quit };
	$node->start;
	cmp_ok($node->safe_psql('postgres',
			"SELECT count(*) FROM atomix.session
			 WHERE session_id BETWEEN $kept - 499 AND $kept"),
		'<', 500, 'a crash loses commits that were not to wait for the disk');
	check_new_ids('after a crash that lost commits the index has jumped', JUMP - 1000);
}

#
# The sequence is set back by hand, soon after and long after a jump.
#

for my $value ('1', '(SELECT index_floor - 5 FROM atomix.authority)',
	'(SELECT index_floor - 4294967297 FROM atomix.authority)')
{
	# The worker would notice at its next beat.
	my $locker = $node->background_psql('postgres');

	$locker->query_safe('BEGIN; LOCK TABLE atomix.clock_epoch');
	$node->safe_psql('postgres', "SELECT setval('atomix.index_seq', $value)");
	is(psql_sqlstate($node, 'SELECT atomix.open_session()'), '57P03',
		'a sequence set back is noticed');
	$locker->query_safe('COMMIT');
	$locker->quit;
	$node->poll_query_until('postgres',
		'SELECT last_value >= index_floor FROM atomix.index_seq, atomix.authority');
	check_new_ids('then the index jumps forward by itself');
}

# Without somebody who notices, the next start does.
$node->safe_psql('postgres', "SELECT setval('atomix.index_seq', 1)");
$node->restart;
check_new_ids('a sequence set back before a restart does no harm');

#
# The transaction that creates the extension can use it at once.
#

# The ids given in a new database by a script.
sub ids_in_new_database
{
	my ($name, $script) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	return grep { /^\d+$/ } split(/\n/, $node->safe_psql($name, $script));
}

my @ids = ids_in_new_database('at_once', q{
	BEGIN;
	CREATE EXTENSION atomix;
	SELECT atomix.open_session();
	SELECT atomix.open_session();
	COMMIT;
	SELECT atomix.open_session()});
is(scalar(@ids), 3, 'sessions are opened in the transaction that creates the extension');
ok($ids[0] < $ids[1] && $ids[1] < $ids[2], 'with increasing ids');
is($node->safe_psql('at_once', "SELECT count(*) FROM atomix.sessions WHERE state = 'opened'"),
	'3', 'and live');
is($node->safe_psql('at_once', 'SELECT term FROM atomix.partitions'), '1',
	'in the first term');

@ids = ids_in_new_database('after_rollback', q{
	BEGIN;
	CREATE EXTENSION atomix;
	SAVEPOINT s;
	SELECT atomix.open_session();
	ROLLBACK TO s;
	SELECT atomix.open_session();
	SAVEPOINT t;
	SELECT atomix.open_session();
	ROLLBACK TO t;
	SELECT atomix.open_session();
	COMMIT;
	SELECT atomix.open_session()});
is(scalar(@ids), 5, 'also after the jump was rolled back to a savepoint');
is_deeply([ sort { $a <=> $b } uniq @ids ], \@ids, 'without giving an id twice');
is($node->safe_psql('after_rollback', 'SELECT count(*) FROM atomix.sessions'), '3',
	'and those that were not rolled back live');

@ids = ids_in_new_database('created_twice', q{
	BEGIN;
	SAVEPOINT s;
	CREATE EXTENSION atomix;
	SELECT atomix.open_session();
	ROLLBACK TO s;
	CREATE EXTENSION atomix;
	SELECT atomix.open_session();
	COMMIT;
	SELECT atomix.open_session()});
is(scalar(@ids), 3, 'also after the creation was rolled back to a savepoint');
is($node->safe_psql('created_twice', 'SELECT count(*) FROM atomix.sessions'), '2',
	'what was not rolled back lives');
$node->safe_psql('postgres', "DROP DATABASE $_")
  for 'at_once', 'after_rollback', 'created_twice';

#
# Waiting for a jump.
#

my $open_request = unpack('H*',
	protoc('encode', 'atomix.multiraft.v1.OpenSessionRequest', 'batch.proto',
		'headers { partition_id: 1 } input { }'));

$node->safe_psql('postgres', 'CREATE DATABASE waiting TEMPLATE template0');
$node->safe_psql('waiting', 'CREATE EXTENSION atomix');
await_rest($node, 'waiting');
{
	# Whoever jumps must write there.
	my $locker = $node->background_psql('waiting');
	$locker->query_safe('BEGIN; LOCK TABLE atomix.authority IN SHARE MODE');

	my $start = time;
	is(psql_sqlstate($node, 'SELECT atomix.open_session()', 'waiting'), '57P03',
		'a call that has to wait for the jump gives up');
	cmp_ok(time - $start, '>=', 0.5, 'after atomix.max_wait');
	cmp_ok(time - $start, '<', 60, 'and not much later');

	my $response = $node->safe_psql('waiting',
		"SELECT encode(atomix.partition_open_session('\\x$open_request'), 'hex')");
	like(protoc('decode', 'atomix.multiraft.v1.OpenSessionResponse', 'batch.proto',
			pack('H*', $response)),
		qr/status: UNAVAILABLE/, 'a protocol call answers UNAVAILABLE');

	is($node->safe_psql('waiting', "SET statement_timeout = '60s';
			SELECT count(*) FROM atomix.sessions;
			SELECT count(*) FROM atomix.partitions;
			SELECT (atomix.extension_version()).sql"),
		"0\n0\n1.0", 'a call that only reads does not wait');
	is(psql_sqlstate($node,
			'BEGIN READ ONLY; SELECT atomix.open_session()', 'waiting'),
		'25006', 'nor does one that may not write');
	$locker->query_safe('COMMIT');
	$locker->quit;
}

# A transaction of a user that is under way holds nobody up.
$node->adjust_conf('postgresql.conf', 'atomix.max_wait', "'60s'");
$node->reload;
{
	my $user = $node->background_psql('waiting');

	$user->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE;
		SELECT count(*) FROM atomix.sessions;
		SELECT count(*) FROM atomix.partitions');
	my $id = open_session($node, '30 s', 'waiting');
	like($id, qr/^\d{14,16}$/, 'the first use beside a long transaction does not wait for it');

	my $mine = $user->query_safe('SELECT atomix.open_session()');
	$node->safe_psql('waiting', "SELECT setval('atomix.index_seq', 1)");
	# Perhaps the worker was first to notice.
	like(psql_sqlstate($node, 'SELECT atomix.open_session()', 'waiting'),
		qr/57P03|00000/, 'a sequence set back beside it');
	$node->poll_query_until('waiting',
		'SELECT last_value >= index_floor FROM atomix.index_seq, atomix.authority');
	cmp_ok(open_session($node, '30 s', 'waiting'), '>', max($id, $mine),
		'jumps beside it');
	$user->query_safe('COMMIT');
	$user->quit;
}

#
# Many at once, when a jump is due and no worker makes it: each starts one who
# does.  Whoever writes to the same table meanwhile is not in the way.
#

$node->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->start;
my $writer = $node->background_psql('postgres');
$writer->query_safe('BEGIN; LOCK TABLE atomix.authority IN ROW EXCLUSIVE MODE');
$node->pgbench(
	'--no-vacuum --client=4 --transactions=5', 0,
	[qr/processed: 20\/20/], [],
	'without preload, concurrent calls all find the index ready',
	{ '033_open' => 'SELECT atomix.open_session()' });
$writer->query_safe('COMMIT');
$writer->quit;
unlike(slurp_log(), qr/deadlock detected|canceling statement due to lock timeout/,
	'and those who jump do not stand in each other\'s way');
check_new_ids('ids increase without preload', JUMP - 1);

$node->stop;
done_testing();
