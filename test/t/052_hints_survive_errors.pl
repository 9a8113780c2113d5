# A hint that could not be sent, since the transaction that was to send it
# failed, is sent later.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_notification await_rest await_waiting new_node
  open_session start_query);
use Test::More;

# Commits wait for a standby only where they are told to.
my $node = new_node('hints', 'autovacuum = off', 'wal_level = replica',
	'max_wal_senders = 2', 'synchronous_commit = local');
my $listener = $node->background_psql('postgres');
my $blocker = $node->background_psql('postgres');
my $id = open_session($node, '1 d');

await_rest($node);
$listener->query_safe(qq{LISTEN "atomix_session_$id"});
$node->safe_psql('postgres', "SELECT atomix._ring($id)");
await_notification($listener, qr/^$id /);
pass('a ring is told');

# Whoever notifies keeps all others from doing so until he has committed.
sub block
{
	my $pid = $blocker->query_safe('SET synchronous_commit = on; SELECT pg_backend_pid()');

	$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('synchronous_standby_names') = 'nobody'");
	$blocker->query_safe("BEGIN; NOTIFY somebody; SELECT pg_logical_emit_message(true, '', '')");
	start_query($blocker, 'COMMIT');
	ok(await_waiting($node, $pid, 'IPC SyncRep'), 'a commit with a notification waits');
	return;
}

sub unblock
{
	$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	$node->reload;
	$blocker->query_safe('SELECT 1');
	$node->poll_query_until('postgres',
		"SELECT current_setting('synchronous_standby_names') = ''");
	return;
}

block();
my $log = -s $node->logfile;
$node->safe_psql('postgres', "SELECT atomix._ring($id)");
ok($node->wait_for_log(qr/canceling statement due to lock timeout/, $log),
	'the worker cannot tell a ring');
unblock();
await_notification($listener, qr/^$id /);
pass('it tells it later');

$_->quit for $listener, $blocker;
$node->stop;
done_testing();
