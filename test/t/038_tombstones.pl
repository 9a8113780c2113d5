# What remains of a session: one that ended is known for
# atomix.tombstone_retention and unknown afterwards; one whose owner was
# dropped lives on until its deadline and belongs to nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_beat await_notification await_rest
  await_state new_node open_session psql_sqlstate session_state);
use Test::More;

my $node = new_node('tombstones', "atomix.tombstone_retention = '6000s'");

# The SQLSTATE a renewal of the session meets.
sub renewal
{
	my ($id, $role) = @_;

	return psql_sqlstate($node,
		($role ? "SET ROLE $role;" : '') . "SELECT atomix.keep_alive($id)");
}

sub await_unknown
{
	my ($id) = @_;

	return $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM atomix.sessions WHERE session_id = $id");
}

#
# Ended sessions are forgotten in time.
#

my $closed = open_session($node, '800 s');
my $expired = open_session($node, '80 s');
my $live = open_session($node, '10 h');
await_beat($node);
$node->safe_psql('postgres', "SELECT atomix.close_session($closed)");
advance_clock($node, '100 s');
await_state($node, $expired, 'expired');

advance_clock($node, '5800 s');
await_rest($node);
is(renewal($closed), 'MX003', 'closed within the retention');
is(renewal($expired), 'MX002', 'expired within the retention');
is($node->safe_psql('postgres', "SELECT atomix.close_session($closed)"), 'f',
	'closing it again is answered by false');

advance_clock($node, '150 s');
ok(await_unknown($closed), 'forgotten after the retention');
is(renewal($closed), 'MX001', 'it is unknown then');
is(psql_sqlstate($node, "SELECT atomix.close_session($closed)"), 'MX001',
	'also to close_session');
await_rest($node);
is(renewal($expired), 'MX002', 'the one that ended later is known for longer');
advance_clock($node, '100 s');
ok(await_unknown($expired), 'and then forgotten');
is(renewal($live), '00000', 'the living one is not');

# A longer retention counts from the end, too.
$closed = open_session($node, '800 s');
$node->safe_psql('postgres', "SELECT atomix.close_session($closed)");
await_rest($node);
$node->adjust_conf('postgresql.conf', 'atomix.tombstone_retention', "'12000s'");
$node->reload;
$node->poll_query_until('postgres', 'SHOW atomix.tombstone_retention', '200min');
await_rest($node);
advance_clock($node, '11000 s');
await_rest($node);
is(renewal($closed), 'MX003', 'a longer retention holds for what has ended');

# No retention: forgotten as soon as its end was told.
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN atomix_sessions');
$node->adjust_conf('postgresql.conf', 'atomix.tombstone_retention', "'0'");
$node->reload;
ok(await_unknown($closed), 'without retention what has ended is forgotten');
my $id = open_session($node, '800 s');
await_rest($node);
$node->safe_psql('postgres', "SELECT atomix.close_session($id)");
ok(await_unknown($id), 'and what ends is at once');
is(renewal($id), 'MX001', 'unknown');
my @told = grep { /^$id / } await_notification($listener, qr/^$id /);
cmp_ok(scalar(@told), '>=', 1, 'but not before it was told');
$listener->quit;
is(renewal($live), '00000', 'what lives is kept');
is($node->safe_psql('postgres', 'SELECT count(*) FROM atomix.session'), '1',
	'and nothing else');
$node->adjust_conf('postgresql.conf', 'atomix.tombstone_retention', "'600s'");
$node->reload;

#
# The owner is dropped.
#

$node->safe_psql('postgres', 'CREATE ROLE owner; CREATE ROLE other;
	GRANT USAGE ON SCHEMA atomix TO owner, other');
my ($silent, $ended) = map {
	$node->safe_psql('postgres', "SET ROLE owner; SELECT atomix.open_session('800 s')")
} 1 .. 2;
await_beat($node);
is(renewal($silent, 'owner'), '00000', 'the owner can renew its session');
is(renewal($silent, 'other'), 'MX001', 'another role cannot');
$node->safe_psql('postgres', 'DROP OWNED BY owner; DROP ROLE owner');

is($node->safe_psql('postgres',
		"SELECT state FROM atomix.sessions WHERE session_id IN ($silent, $ended)"),
	"opened\nopened", 'sessions of a dropped role are still shown');
is($node->safe_psql('postgres', 'SET ROLE other; SELECT count(*) FROM atomix.sessions'),
	'0', 'but not to others');
is(psql_sqlstate($node, 'SELECT * FROM atomix.sessions'), '00000',
	'in every column');

$node->safe_psql('postgres', 'CREATE ROLE owner; GRANT USAGE ON SCHEMA atomix TO owner');
is(renewal($silent, 'owner'), 'MX001', 'a role of the same name does not get them');
is($node->safe_psql('postgres', 'SET ROLE owner; SELECT count(*) FROM atomix.sessions'),
	'0', 'nor does it see them');
is(psql_sqlstate($node, "SET ROLE owner; SELECT atomix.close_session($silent)"),
	'MX001', 'nor can it close them');

is($node->safe_psql('postgres',
		"SELECT atomix.end_session($ended, 'its owner was dropped')"),
	't', 'a superuser can end one');
is($node->safe_psql('postgres',
		"SELECT state, reason FROM atomix.sessions WHERE session_id = $ended"),
	'closed|its owner was dropped', 'and say why');
advance_clock($node, '880 s');
await_rest($node);
is(session_state($node, $silent), 'opened', 'the other lives until its deadline');
advance_clock($node, '30 s');
ok(await_state($node, $silent, 'expired'), 'and ends then');

$node->stop;
done_testing();
