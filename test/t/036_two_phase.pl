# COMMIT PREPARED tells nobody, so a transaction that opened, renewed or ended
# a session cannot be prepared; one that did not can.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node open_session psql_sqlstate session_state);
use Test::More;

my $node = new_node('two_phase', 'max_prepared_transactions = 2');
my $id = open_session($node, '800 s');
my $closed = open_session($node, '800 s');
$node->safe_psql('postgres', "CREATE TABLE t (a int); SELECT atomix.close_session($closed)");

# The SQLSTATE with which a transaction of these statements is prepared; it is
# committed if it can be.
sub prepare
{
	my ($sql) = @_;
	my $state = psql_sqlstate($node, "BEGIN; $sql; PREPARE TRANSACTION 'p'");
	my $prepared = $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'p'");

	$node->safe_psql('postgres', "COMMIT PREPARED 'p'") if $prepared;
	return $state . ($prepared ? ' prepared' : '');
}

#
# Refused.
#

my %refused = (
	'open_session' => 'SELECT atomix.open_session()',
	'keep_alive' => "SELECT atomix.keep_alive($id)",
	'a keep_alive that wrote nothing' =>
	  "SELECT atomix.keep_alive($id); SELECT atomix.keep_alive($id)",
	'close_session' => "SELECT atomix.close_session($id)",
	'end_session' => "SELECT atomix.end_session($id, 'test')",
	'the protocol call' =>
	  "SELECT atomix.partition_open_session('\\x0a0208011200')",
	'a call in a released savepoint' =>
	  "SAVEPOINT s; SELECT atomix.keep_alive($id); RELEASE s",
	'a call in a savepoint inside one that was released' =>
	  "SAVEPOINT s; SAVEPOINT t; SELECT atomix.keep_alive($id); RELEASE t; RELEASE s",
	'a call in a released savepoint before one that was rolled back to' =>
	  "SAVEPOINT s; SELECT atomix.keep_alive($id); RELEASE s;
	   SAVEPOINT t; SELECT 1; ROLLBACK TO t",
	'a call before a savepoint that was rolled back to' =>
	  "SELECT atomix.keep_alive($id); SAVEPOINT s; SELECT 1; ROLLBACK TO s",
	'a call before a savepoint in which there was another' =>
	  "SELECT atomix.keep_alive($id); SAVEPOINT s; SELECT atomix.keep_alive($id); ROLLBACK TO s",
	'a call after a savepoint that was rolled back to' =>
	  "SAVEPOINT s; SELECT atomix.keep_alive($id); ROLLBACK TO s; SELECT atomix.keep_alive($id)",
	'a call between two savepoints, the second rolled back to' =>
	  "SAVEPOINT s; SELECT atomix.keep_alive($id); SAVEPOINT t; SELECT atomix.keep_alive($id); ROLLBACK TO t");

for my $what (sort keys %refused)
{
	is(prepare($refused{$what}), '0A000', "refused after $what");
}
is(session_state($node, $id), 'opened', 'nothing of it happened');

#
# Allowed.
#

my %allowed = (
	'nothing of ours' => 'INSERT INTO t VALUES (1)',
	'the views' => 'SELECT count(*) FROM atomix.sessions, atomix.partitions;
		INSERT INTO t VALUES (1)',
	'a call that was rolled back to a savepoint' =>
	  "INSERT INTO t VALUES (1); SAVEPOINT s; SELECT atomix.keep_alive($id); ROLLBACK TO s",
	'a session opened and rolled back to a savepoint' =>
	  'INSERT INTO t VALUES (1); SAVEPOINT s; SELECT atomix.open_session(); ROLLBACK TO s',
	'a session closed and rolled back to a savepoint' =>
	  "INSERT INTO t VALUES (1); SAVEPOINT s; SELECT atomix.close_session($id); ROLLBACK TO s",
	'a call in a released savepoint inside one that was rolled back to' =>
	  "INSERT INTO t VALUES (1); SAVEPOINT s; SAVEPOINT t; SELECT atomix.keep_alive($id);
	   RELEASE t; ROLLBACK TO s",
	'a close that found the session ended' =>
	  "INSERT INTO t VALUES (1); SELECT atomix.close_session($closed)");

for my $what (sort keys %allowed)
{
	is(prepare($allowed{$what}), '00000 prepared', "allowed after $what");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), scalar(keys %allowed),
	'all of it happened');
is(session_state($node, $id), 'opened', 'what was rolled back did not');

# What a transaction did does not stick to the connection.
for my $end ('COMMIT', 'ROLLBACK')
{
	is(psql_sqlstate($node, "BEGIN; SELECT atomix.keep_alive($id); $end;
			BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'p';
			ROLLBACK PREPARED 'p'"),
		'00000', "allowed in the transaction after one with a call and $end");
}

$node->stop;
done_testing();
