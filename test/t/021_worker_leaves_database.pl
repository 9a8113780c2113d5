# Statements that need a database for themselves are not kept waiting by its
# worker: it goes for them, and returns if they fail or leave the database
# there.  A role that may not carry such a statement out does not disturb it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(new_node worker_pid await_worker await_no_worker
  open_session await_state advance_clock psql_sqlstate);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('leaves');
my $tablespace = PostgreSQL::Test::Utils::tempdir();

# A database with the extension, served.
sub create_served
{
	my ($dbname, $options) = @_;

	$node->safe_psql('postgres',
		"CREATE DATABASE $dbname " . ($options // ''));
	$node->safe_psql($dbname, 'CREATE EXTENSION atomix');
	return await_worker($node, $dbname);
}

# A session in the database ends by itself.
sub expires_ok
{
	my ($dbname, $name) = @_;
	my $id = open_session($node, '10 s', $dbname);

	advance_clock($node, '12 s');
	ok(await_state($node, $id, 'expired', $dbname), $name);
	return;
}

my $pid = await_worker($node, 'postgres');

#
# Databases that have nothing to do with the worker.
#

$node->safe_psql('postgres', 'CREATE DATABASE unrelated');
$node->safe_psql('postgres', 'DROP DATABASE unrelated');
pass('another database can be created and dropped');
is(worker_pid($node, 'postgres'), $pid, 'the worker did not mind');

#
# DROP DATABASE.
#

create_served('gone');
$node->safe_psql('postgres', 'DROP DATABASE gone');
pass('the served database can be dropped');
ok( $node->poll_query_until(
		'postgres', 'SELECT count(*) = 1 FROM atomix._workers()'),
	'its slot is free');

create_served('gone');
my $guest = $node->background_psql('gone', on_error_stop => 0);
$node->safe_psql('postgres', 'DROP DATABASE gone WITH (FORCE)');
pass('it can be dropped with FORCE while somebody is connected');
$guest->{run}->finish;

# Refused: somebody is connected.
$pid = create_served('shop');
$guest = $node->background_psql('shop');
is(psql_sqlstate($node, 'DROP DATABASE shop'),
	'55006', 'DROP DATABASE is refused while somebody is connected');
my $returned = await_worker($node, 'shop', $pid);
ok($returned, 'the worker returns');
$guest->quit;
expires_ok('shop', 'and serves as before');

# Refused: in a transaction block.
is(psql_sqlstate($node, 'BEGIN; DROP DATABASE shop'),
	'25001', 'DROP DATABASE is refused in a transaction block');
$returned = await_worker($node, 'shop', $returned);
ok($returned, 'the worker returns from that, too');

# Refused: not the owner.
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN CREATEDB');
for my $statement ('DROP DATABASE shop', 'ALTER DATABASE shop RENAME TO x',
	'CREATE DATABASE x TEMPLATE shop',
	'ALTER DATABASE shop SET TABLESPACE pg_default')
{
	is(psql_sqlstate($node, "SET ROLE stranger; $statement"),
		'42501', "$statement is refused to a stranger");
}
is(worker_pid($node, 'shop'), $returned, 'which does not disturb the worker');

# An owner who is not a superuser sends it away like one.
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN CREATEDB');
create_served('kept', 'OWNER keeper');
is(psql_sqlstate($node, 'SET ROLE keeper; DROP DATABASE kept'),
	'00000', 'the owner can drop the served database');

#
# CREATE DATABASE ... TEMPLATE.
#

my $term = 'SELECT term FROM atomix.partitions';

open_session($node, '1 h', 'shop');
$pid = worker_pid($node, 'shop');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE shop');
pass('the served database can be copied');
ok(await_worker($node, 'shop', $pid), 'its worker returns');
ok(await_worker($node, 'copy'), 'the copy gets a worker of its own');
$node->poll_query_until('copy',
	'SELECT count(*) = 2 FROM atomix.partition_term');
is($node->safe_psql('shop', $term), 1, 'the term of the original stays');
is($node->safe_psql('copy', $term), 2, 'the copy begins a new one');
my $original = open_session($node, '1 h', 'shop');
ok(open_session($node, '1 h', 'copy') - $original > 2**31,
	'its ids are far from those of the original');
expires_ok('copy', 'sessions of the copy expire');
expires_ok('shop', 'and those of the original');

$guest = $node->background_psql('shop');
$pid = worker_pid($node, 'shop');
is(psql_sqlstate($node, 'CREATE DATABASE x TEMPLATE shop'),
	'55006', 'a database in use cannot be copied');
ok(await_worker($node, 'shop', $pid), 'its worker returns');
$guest->quit;
$node->safe_psql('postgres', 'DROP DATABASE copy');

# The default template is served if it is no longer marked as one.
$node->safe_psql('postgres', 'ALTER DATABASE template1 IS_TEMPLATE false');
$node->safe_psql('template1', 'CREATE EXTENSION atomix');
await_worker($node, 'template1');
is(psql_sqlstate($node, 'CREATE DATABASE copy'),
	'00000', 'template1 can be copied while it is served');
ok(await_worker($node, 'copy'), 'that copy, too, gets a worker');
$node->safe_psql('template1', 'DROP EXTENSION atomix');
await_no_worker($node, 'template1');
$node->safe_psql('postgres', 'ALTER DATABASE template1 IS_TEMPLATE true');
$node->safe_psql('postgres', 'DROP DATABASE copy');

#
# RENAME and SET TABLESPACE.
#

$pid = worker_pid($node, 'shop');
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO store');
$returned = await_worker($node, 'store', $pid);
ok($returned, 'the worker returns to the renamed database');
is($node->safe_psql('store', $term), 1, 'a new name is no new term');
expires_ok('store', 'sessions of the renamed database expire');

$node->safe_psql('postgres', q{
	BEGIN;
	ALTER DATABASE store RENAME TO shop;
	ROLLBACK});
$returned = await_worker($node, 'store', $returned);
ok($returned, 'it returns after a RENAME that was rolled back');

# Two databases change places.
create_served('next');
is( psql_sqlstate($node, q{
	BEGIN;
	ALTER DATABASE store RENAME TO old;
	ALTER DATABASE next RENAME TO store;
	COMMIT}), '00000', 'two served databases are renamed in one transaction');
expires_ok('old', 'the first is served');
expires_ok('store', 'and the second');
$node->safe_psql('postgres', 'DROP DATABASE store');

$node->safe_psql('postgres',
	"CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
$pid = worker_pid($node, 'old');
$node->safe_psql('postgres', 'ALTER DATABASE old SET TABLESPACE elsewhere');
ok(await_worker($node, 'old', $pid), 'it returns after SET TABLESPACE');
expires_ok('old', 'sessions of the moved database expire');

#
# Databases that must not be served.
#

$node->safe_psql('postgres', q{
	ALTER DATABASE old IS_TEMPLATE true;
	CREATE DATABASE shut TEMPLATE old;
	ALTER DATABASE shut ALLOW_CONNECTIONS false});
$node->restart;
my $offset = -s $node->logfile;
await_worker($node, 'postgres');
$node->safe_psql('postgres', 'CREATE DATABASE later TEMPLATE old');
ok(await_worker($node, 'later'), 'a database created from a template is found');
expires_ok('later', 'and served');
is(worker_pid($node, $_), '', "$_ has no worker") for qw(old shut);
ok(!$node->log_contains(qr/FATAL:/, $offset), 'nobody tried to connect to it');

$node->stop;
done_testing();
