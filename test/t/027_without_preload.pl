# Without shared_preload_libraries everything but timely expiry works: a
# notice says so once per connection, and tick() does the worker's job.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(psql_sqlstate session_state notifications);
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plain');

$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION atomix;
	CREATE ROLE plain});

my ($stdout, $stderr);
$node->psql('postgres', q{
	SELECT atomix.open_session('1 h', 'first');
	SELECT atomix.open_session('1 h', 'second')},
	stdout => \$stdout, stderr => \$stderr);
my ($id, $second) = split /\n/, $stdout;
my @notices = $stderr =~ /NOTICE:  (.*)/g;
is_deeply(\@notices, ['sessions expire only when atomix.tick() is called'],
	'the notice comes once per connection');
like($stderr, qr/HINT:  Add atomix to shared_preload_libraries/,
	'and tells what to do');

is($node->safe_psql('postgres', "SELECT atomix.keep_alive($id)"),
	'01:00:00', 'a session can be renewed');
is($node->safe_psql('postgres', "SELECT atomix.close_session($second)"),
	't', 'and closed');
is(psql_sqlstate($node, "SELECT atomix.keep_alive($second)"),
	'MX003', 'then it is closed');

is(psql_sqlstate($node, "SELECT atomix._advance_clock('1 s')"),
	'55000', 'the clock cannot be moved');
is($node->safe_psql('postgres', 'SELECT count(*) FROM atomix.workers'),
	0, 'there is no worker to see');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_stat_activity
		WHERE backend_type LIKE 'atomix%'}),
	0, 'and none runs');
is(psql_sqlstate($node, 'SHOW atomix.worker_limit'),
	'42704', 'nor is there a setting for workers');

#
# tick().
#

is(psql_sqlstate($node, 'BEGIN; SELECT atomix.tick()'),
	'25001', 'tick() is not allowed in a transaction block');
is(psql_sqlstate($node, 'SET ROLE plain; SELECT atomix.tick()'),
	'42501', 'nor to everybody');

my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN atomix_sessions');
is($node->safe_psql('postgres', 'SELECT atomix.tick()'),
	0, 'tick() ends nobody before time');
my @heard = notifications($listener);
is_deeply([ sort map { /^(\d+) \d+$/ } @heard ], [ $id, $second ],
	'it tells of the changes');
is($node->safe_psql('postgres', q{
	SELECT count(DISTINCT version) FROM atomix.session WHERE version > 0}),
	2, 'which it has numbered');

# The clock runs by itself here; the shortest session takes 1.125 s.
my $short = $node->safe_psql('postgres', q{SELECT atomix.open_session('1 s')});
my $single = $node->background_psql('postgres');
$single->query_safe(qq{LISTEN "atomix_session_$_"}) for $id, $second, $short;
$node->poll_query_until('postgres', qq{
	SELECT deadline < clock_timestamp() FROM atomix.sessions
	WHERE session_id = $short});
is(session_state($node, $short), 'opened', 'nobody ends a session by itself');
is($node->safe_psql('postgres', 'SELECT atomix.tick()'), 1, 'tick() does');
is(session_state($node, $short), 'expired', 'when its time is over');
is(session_state($node, $id), 'opened', 'and only then');
@heard = notifications($listener);
is(scalar(@heard), 1, 'which is told as well');
like($heard[0], qr/^$short /, 'once, with the outcome');
is_deeply([ notifications($single) ], \@heard, "also on the session's own channel");
$_->quit for $listener, $single;

# Ids grow over a restart, which nobody but the stored start tells.
$node->stop('immediate');
$node->start;
my $later = $node->safe_psql('postgres', q{SELECT atomix.open_session('1 h')});
cmp_ok($later, '>', $short + 2**31, 'ids jump after a crash');
is(session_state($node, $id), 'opened', 'sessions survive it');

# The settings exist where the library has been loaded.
is(psql_sqlstate($node, q{LOAD 'atomix'; SET atomix.enabled = off}),
	'55P02', 'settings are there, for administrators');

$node->stop;
done_testing();
