# Rows that a superuser has edited to something absurd, or tables that cannot
# be read, harm neither other sessions nor the server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_rest await_state await_worker new_node
  open_session psql_sqlstate session_state worker_pid);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('edited', 'autovacuum = off');
$node->safe_psql('postgres', 'CREATE DATABASE edited');
$node->safe_psql('edited', 'CREATE EXTENSION atomix');
my $pid = await_worker($node, 'edited');

# Wait for a number of beats that are written to the row.
sub await_beats
{
	my ($dbname, $number) = @_;

	for (1 .. $number)
	{
		my $last = $node->safe_psql($dbname, 'SELECT last_beat FROM atomix.authority');

		$node->poll_query_until($dbname,
			"SELECT last_beat > $last FROM atomix.authority")
		  or die 'the worker does not beat';
	}
	return;
}

#
# Leases whose deadline is out of range.
#

my $max = '9223372036854775807';
my $offset = -s $node->logfile;
my @absurd;
for my $edit ("timeout = $max", "timeout = -$max - 1", "renewed_at = $max",
	"renewed_at = -$max - 1", "served = $max, epoch = -1",
	"served = -$max - 1, epoch = -1",
	"timeout = $max, served = $max, renewed_at = 0")
{
	push @absurd, open_session($node, '1 h', 'edited');
	$node->safe_psql('edited', "UPDATE atomix.lease SET $edit, check_at = 1
		WHERE session_id = $absurd[-1]");
}
my @others = map { open_session($node, '20 s', 'edited') } 1 .. 3;
advance_clock($node, '30 s');
ok(await_state($node, $_, 'expired', 'edited'),
	"session $_ does not wait for those with an absurd lease") for @others;
await_rest($node, 'edited');
unlike(slurp_file($node->logfile, $offset), qr/ERROR:/, 'without an error');
is($node->safe_psql('edited', 'SELECT count(*) >= 10 FROM atomix.sessions'),
	't', 'the view shows all');
like(psql_sqlstate($node, "SELECT atomix.close_session($_)", 'edited'),
	qr/^00000$/, "session $_ can be closed") for @absurd;

#
# Leases that cannot be looked at.
#

my $id = open_session($node, '20 s', 'edited');
await_rest($node, 'edited');
$node->safe_psql('edited', 'ALTER TABLE atomix.lease RENAME COLUMN served TO severed');
$offset = -s $node->logfile;
my $started = time;
advance_clock($node, '30 s');
$node->wait_for_log(qr/ERROR:  column l\.served does not exist/, $offset);
await_beats('edited', 5);
my $errors = () = slurp_file($node->logfile, $offset) =~ /ERROR:  column l\.served/g;
# One in looking for what is due and one in writing renewals.
cmp_ok($errors, '<=', 2 * (time - $started) + 4, 'an error in looking is not repeated at once');
is($node->safe_psql('edited', q{
	SELECT last_error FROM atomix.workers WHERE database = current_database()}),
	'column l.served does not exist', 'the view shows the error');
is(worker_pid($node, 'edited'), $pid, 'the worker lives on');
is(psql_sqlstate($node, 'ALTER DATABASE edited RENAME TO renamed'), '00000',
	'the database can be renamed meanwhile');
await_worker($node, 'renamed');
$node->safe_psql('renamed', 'ALTER TABLE atomix.lease RENAME COLUMN severed TO served');
advance_clock($node, '30 s');
ok(await_state($node, $id, 'expired', 'renamed'), 'it goes on when it can');

#
# An ended session without a cause.
#

my $closed = open_session($node, '20 s');
$node->safe_psql('postgres', "SELECT atomix.close_session($closed)");
$node->safe_psql('postgres',
	"UPDATE atomix.session SET cause = NULL, reason = NULL WHERE session_id = $closed");
my $postmaster = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
$offset = -s $node->logfile;
is(psql_sqlstate($node, "SELECT atomix.keep_alive($closed)"), 'MX003',
	'a session that ended for no known cause counts as closed');
is($node->safe_psql('postgres', "SELECT state FROM atomix.keep_alive_many('{$closed}')"),
	'closed', 'also in a batch');
is($node->safe_psql('postgres', "SELECT atomix.close_session($closed)"), 'f',
	'and to close_session');
unlike(slurp_file($node->logfile, $offset), qr/was terminated by signal/,
	'no process has crashed');

$node->stop;
done_testing();
