# The view workers: a row for each database served.  A role sees that of its
# own database and no errors; members of pg_monitor see all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node await_worker await_rest open_session await_state
  advance_clock);
use Test::More;

my $node = new_node('view');
my $pid = await_worker($node, 'postgres');

$node->safe_psql('postgres', q{
	CREATE DATABASE other;
	CREATE ROLE plain;
	CREATE ROLE watcher IN ROLE pg_monitor;
	GRANT USAGE ON SCHEMA atomix TO PUBLIC});
$node->safe_psql('other', 'CREATE EXTENSION atomix');
my $other = await_worker($node, 'other');

is($node->safe_psql('postgres', q{
	SELECT string_agg(attname || ' ' || format_type(atttypid, NULL), ', '
	  ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = 'atomix.workers'::regclass
	  AND attnum > 0 AND NOT attisdropped}),
	'database name, pid integer, state text,'
	  . ' last_cycle timestamp with time zone, lag interval,'
	  . ' last_error text, library text, sql text', 'columns');

# Something to see: a lag and an error.
my $id = open_session($node, '10 s');
$node->safe_psql('postgres', q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'secret of a role'; END $$;
	CREATE TRIGGER refuse BEFORE DELETE ON atomix.lease
	FOR EACH ROW EXECUTE FUNCTION refuse()});
advance_clock($node, '12 s');
$node->poll_query_until('postgres',
	q{SELECT last_error = 'secret of a role' FROM atomix.workers
	  WHERE database = 'postgres'});
$node->safe_psql('postgres', 'DROP TRIGGER refuse ON atomix.lease');
advance_clock($node, '61 s');
await_state($node, $id, 'expired');

is($node->safe_psql('postgres', q{
	SET ROLE plain;
	SELECT database, pid, last_error IS NULL FROM atomix.workers}),
	"postgres|$pid|t", 'a role sees the worker of its database, no error');
is($node->safe_psql('other', q{
	GRANT USAGE ON SCHEMA atomix TO PUBLIC;
	SET ROLE plain;
	SELECT database, pid FROM atomix.workers}),
	"other|$other", 'in the other database that of the other');
is($node->safe_psql('other', q{
	SET ROLE watcher;
	SELECT database, pid, last_error FROM atomix.workers ORDER BY database}),
	"other|$other|\npostgres|$pid|secret of a role",
	'a member of pg_monitor sees all');

# The lag of the latest end stays, however many cycles follow.
await_rest($node);
is($node->safe_psql('postgres', q{
	SELECT state, last_cycle BETWEEN clock_timestamp() - interval '5 min'
	  AND clock_timestamp() + interval '1 s', lag > '0', library = sql
	FROM atomix.workers WHERE database = 'postgres'}),
	'running|t|t|t', 'state, last cycle, lag and versions');
is($node->safe_psql('other',
	q{SELECT state FROM atomix.workers WHERE database = 'other'}),
	'idle', 'a worker that has nothing to serve yet is idle');

$node->safe_psql('postgres', 'DROP DATABASE other');
$node->poll_query_until('postgres',
	'SELECT count(*) = 1 FROM atomix.workers');
pass('a dropped database has no row');

$node->stop;
done_testing();
