# What a rolled-back subtransaction did leaves nothing in memory, neither in
# that of the server nor in that of the process; and no call keeps more memory
# than it needs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest keep_alive_place new_node
  open_session psql_sqlstate);
use Test::More;

my $node = new_node('undone', 'autovacuum = off', 'max_prepared_transactions = 2');

# A session that was opened and renewed in a subtransaction, by its number.
$node->safe_psql('postgres', q{
	CREATE FUNCTION open_and_renew() RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE
		id bigint;
	BEGIN
		BEGIN
			id := atomix.open_session('800 s');
			PERFORM atomix.keep_alive(id);
			PERFORM FROM atomix.keep_alive_many(ARRAY[id]);
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			RETURN id;
		END;
	END $$});

#
# A session that never was.
#

my $id = $node->safe_psql('postgres', 'SELECT open_and_renew()');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($id)"), 'MX001',
	'a session is unknown whose opening was rolled back with its subtransaction');
is($node->safe_psql('postgres', "SELECT state FROM atomix.keep_alive_many('{$id}')"),
	'unknown', 'in a batch as well');

$id = $node->safe_psql('postgres', "BEGIN; SAVEPOINT s;
	SELECT atomix.open_session('800 s') AS id \\gset
	SELECT FROM atomix.keep_alive(:id);
	RELEASE s; SELECT FROM atomix.keep_alive(:id);
	SELECT :id; COMMIT");
is(keep_alive_place($node, $id), 'memory', 'one that was opened in a subtransaction goes on in memory');

#
# A transaction that renewed nothing in the end is prepared.
#

is($node->safe_psql('postgres', "
	BEGIN; SAVEPOINT s; SELECT FROM atomix.keep_alive($id); ROLLBACK TO s;
	PREPARE TRANSACTION 'nothing';
	BEGIN; SAVEPOINT a; SAVEPOINT b; SAVEPOINT c; SAVEPOINT d;
	SELECT FROM generate_series(1, 16), atomix.keep_alive($id);
	RELEASE d; RELEASE c; ROLLBACK TO a; COMMIT;
	COMMIT PREPARED 'nothing';
	SELECT 'goes on'"), 'goes on', 'a connection goes on after a PREPARE TRANSACTION');

#
# Memory of the process.
#

# The most it has had so far, in kB.
my $most = "substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s*(\\d+)')::int";

is($node->safe_psql('postgres', "
	SELECT count(*) FROM atomix.keep_alive_many('{1,2,3}');
	SELECT $most AS before \\gset
	SELECT DISTINCT state FROM atomix.keep_alive_many(
		(SELECT array_agg(n) FROM generate_series(1, 10000) AS n));
	SELECT $most - :before < 50000"), "3\nunknown\nt",
	'a long batch of unknown sessions takes little memory');

cmp_ok($node->safe_psql('postgres', "BEGIN;
	DO 'BEGIN FOR i IN 1 .. 30000 LOOP PERFORM atomix.keep_alive($id); END LOOP; END';
	SELECT total_bytes FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext';
	COMMIT"), '<', 100_000, 'so does one session renewed again and again in one transaction');

#
# The worker does not set a row back that knows a later renewal than memory.
#

is(keep_alive_place($node, $id), 'memory', 'memory knows a renewal');
my $later = $node->safe_psql('postgres', "UPDATE atomix.lease
	SET renewed_at = renewed_at + 150 * 1000000::bigint
	WHERE session_id = $id RETURNING renewed_at");
advance_clock($node, '200 s');
await_rest($node);
is($node->safe_psql('postgres', "SELECT renewed_at FROM atomix.lease WHERE session_id = $id"),
	$later, 'a row with a later one is left as it is');

done_testing();
