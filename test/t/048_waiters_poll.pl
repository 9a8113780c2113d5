# Where nobody can wake a waiter it looks by itself once a second: without
# shared_preload_libraries, on a hot standby, and after a ring in a prepared
# transaction.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat new_node new_standby open_session psql_sqlstate
  query_error start_wait wait_answer);
use PostgreSQL::Test::Cluster;
use Test::More;

# A session that lives, one that was closed before, one that is closed while
# somebody waits for it, as a server sees them that does not wake.
sub polls_ok
{
	my ($name, $node, $primary) = @_;
	my $waiter = $node->background_psql('postgres', on_error_stop => 0);
	my $id = open_session($primary, '1 h');
	my $closed = open_session($primary, '1 h');

	$primary->safe_psql('postgres', "SELECT atomix.close_session($closed)");
	$primary->wait_for_catchup($node) if $node != $primary;

	my ($answer, $took) = split /\|/, $waiter->query_safe(qq{
		SELECT began AS t FROM clock_timestamp() AS began \\gset
		SELECT atomix.wait_events($id, '1.2 s'), extract(epoch FROM clock_timestamp() - :'t')});
	is($answer, 'f', "$name: false when the time is over");
	cmp_ok($took, '>=', 1.2, "$name: not sooner");
	cmp_ok($took, '<', 9, "$name: not much later");
	is($waiter->query_safe("SELECT atomix.wait_events($id, '0')"), 'f',
		"$name: nor without waiting");
	is($waiter->query_safe("SELECT atomix.wait_events($closed, '5 min')"), 't',
		"$name: true for a session that has ended");
	is(psql_sqlstate($node, "SELECT atomix.wait_events(1, '5 min')"), 'MX001',
		"$name: unknown sessions are refused");

	my $pid = start_wait($node, $waiter, $id, "'10 min'");
	$primary->safe_psql('postgres', "SELECT atomix.close_session($id)");
	is((wait_answer($waiter))[0], 't', "$name: a close is seen");

	my $next = open_session($primary, '1 h');
	$primary->wait_for_catchup($node) if $node != $primary;
	start_wait($node, $waiter, $next, "'10 min'");
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	like((wait_answer($waiter))[0], qr/canceling statement due to user request/,
		"$name: a wait can be cancelled");
	$waiter->query_safe("SET statement_timeout = '100 ms'");
	like(query_error($waiter, "SELECT atomix.wait_events($next, '10 min')"),
		qr/canceling statement due to statement timeout/, "$name: by a timeout as well");
	$waiter->quit;
	return;
}

#
# Without preload.
#

my $node = PostgreSQL::Test::Cluster->new('plain');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION atomix');
# The settings exist where the library has been loaded.
$node->append_conf('postgresql.conf',
	"session_preload_libraries = 'atomix'\natomix.max_wait = '10 min'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.max_wait') = '10min'");
polls_ok('without preload', $node, $node);
is($node->safe_psql('postgres', 'SELECT atomix._ring(1)'), '', 'rings go nowhere');
$node->stop;

#
# On a hot standby.
#

$node = new_node('primary', 'wal_level = replica', 'max_wal_senders = 4',
	"atomix.max_wait = '10 min'", 'max_prepared_transactions = 2');
open_session($node, '1 h');
await_beat($node);
# A waiter is a long query: it gives way to recovery like any other.
my $standby = new_standby($node, 'standby',
	"max_standby_streaming_delay = -1\nmax_standby_archive_delay = -1\nhot_standby_feedback = on\n");
polls_ok('on a standby', $standby, $node);

# Expiry as well, which the primary decides.
my $id = open_session($node, '10 s');
$node->wait_for_catchup($standby);
my $waiter = $standby->background_psql('postgres');
start_wait($standby, $waiter, $id, "'10 min'");
advance_clock($node, '12 s');
is((wait_answer($waiter))[0], 't', 'an expiry is seen on a standby');

# A waiter survives the promotion.
$id = open_session($node, '1 h');
$node->wait_for_catchup($standby);
start_wait($standby, $waiter, $id, "'10 min'");
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', "SELECT atomix.close_session($id)");
is((wait_answer($waiter))[0], 't', 'a waiter from before a promotion is told after it');
my $caller = $standby->background_psql('postgres');
$id = open_session($standby, '1 h');
start_wait($standby, $waiter, $id, "'10 min'");
$caller->query_safe("SELECT atomix._ring($id)");
is((wait_answer($waiter))[0], 't', 'and is woken from then on');

# A ring that was prepared is for nobody, and harms nobody.
start_wait($standby, $waiter, $id, "'10 min'");
$caller->query_safe("BEGIN; SELECT atomix._ring($id);
	PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'");
my $began = $caller->query_safe('SELECT extract(epoch FROM clock_timestamp())');
$caller->query_safe("SELECT atomix.close_session($id)");
my ($answer, $woke) = wait_answer($waiter);
is($answer, 't', 'a waiter is woken after a prepared ring');
cmp_ok($woke, '>', $began, 'and not by it');

$_->quit for $waiter, $caller;
$standby->stop;
done_testing();
