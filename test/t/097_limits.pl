# Limits: each is reached, one beyond it is refused with the limit and what is
# in use, and what makes room always works.  The counters behind them are right
# after rollbacks, crashes and deletions, and where there are none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(advance_clock await_worker crash new_node psql_sqlstate query_error);
use Test::More;

my $node = new_node('limits');

sub run { return $node->safe_psql('postgres', $_[0]); }

sub sqlstate { return psql_sqlstate($node, $_[0]); }

# What a statement complains of.
sub complaint
{
	my ($sql) = @_;
	my ($out, $error);

	$node->psql('postgres', $sql, stdout => \$out, stderr => \$error);
	return $error;
}

sub used { return run("SELECT used FROM atomix.limits WHERE name = '$_[0]' AND namespace IS NOT DISTINCT FROM $_[1]"); }

#
# Each limit: one that is there, and one beyond.
#

sub refused_ok
{
	my ($sql, $limit, $value, $used) = @_;
	my $error = complaint("\\set VERBOSITY verbose\n$sql");

	like($error, qr/ERROR:  53400: /, "$limit: one beyond is refused");
	like($error, qr/limit "$limit" is $value(, in use are $used,)?/, "$limit: and it is said what the limit is")
	  if defined $value;
	return;
}

run("SELECT atomix.set_limit('$_->[0]', $_->[1], 'small')")
  for [ 'services', 2 ], [ 'entries', 3 ], [ 'bytes', 40 ], [ 'value_size', 10 ], [ 'key_length', 5 ],
  [ 'name_length', 7 ], [ 'claims', 2 ];

is(sqlstate("SELECT atomix.counter_get('sevenis', 'small'), atomix.map_put('map', 'a', '0123456789', namespace => 'small')"),
	'00000', 'a value of just the size');
refused_ok("SELECT atomix.map_put('map', 'b', '0123456789x', namespace => 'small')", 'value_size', 10);
refused_ok("SELECT atomix.map_put('map', 'sixsix', '1', namespace => 'small')", 'key_length');
is(sqlstate("SELECT atomix.map_put('map', 'five5', '1', namespace => 'small')"), '00000', 'a key of just the length');
is(sqlstate("SELECT atomix.map_put('map', 'c', '1', namespace => 'small')"), '00000', 'a third entry');
refused_ok("SELECT atomix.map_put('map', 'd', '1', namespace => 'small')", 'entries', 3, 3);
is(used('entries', "'small'"), 3, 'they are seen in the view');
is(sqlstate("SELECT atomix.map_put('map', 'c', '2', namespace => 'small')"), '00000', 'one that is there can be replaced');
is(run("SELECT atomix.map_remove('map', 'c', namespace => 'small')"), 't', 'and removed');
is(sqlstate("SELECT atomix.map_put('map', 'c', '0123456789', namespace => 'small')"), '00000', 'which makes room');
is(used('bytes', "'small'"), 11 + 6 + 11, 'bytes are those of keys and values');
is(sqlstate("SELECT atomix.map_put('map', 'five5', '0123456789', namespace => 'small')"), '00000', 'more bytes');
is(used('bytes', "'small'"), 37, 'up to nearly all');
run("SELECT atomix.map_remove('map', 'c', namespace => 'small')");
refused_ok("SELECT atomix.map_put('map', 'four', '0123456789', namespace => 'small'); SELECT atomix.map_put('map', 'four', '01234567890', namespace => 'small')",
	'value_size', 10);
is(used('bytes', "'small'"), 40, 'all of them');
refused_ok("SELECT atomix.map_remove('map', 'four', namespace => 'small'); SELECT atomix.map_put('map', 'xfour', '0123456789', namespace => 'small')",
	'bytes', 40, 26);
refused_ok("SELECT atomix.counter_set('eightis8', 1, 'small')", 'name_length', 7);
is(sqlstate("SELECT atomix.counter_set('sevenis', 1, 'small')"), '00000', 'a second service');
refused_ok("SELECT atomix.counter_set('third', 1, 'small')", 'services', 2, 2);
is(sqlstate("SELECT atomix.counter_get('third', 'small')"), '00000', 'to look for one is no use of it');
is(sqlstate("SELECT atomix.counter_set('third', 1)"), '00000', 'other namespaces have their own');
is(run("SELECT atomix.delete_service('sevenis', 'small')"), 't', 'one is deleted');
is(sqlstate("SELECT atomix.counter_set('third', 1, 'small')"), '00000', 'and another made');
is(run("SELECT atomix.map_clear('map', 'small')"), 2, 'a map that is full is emptied');
is(sqlstate("SELECT atomix.map_put('map', 'a', '1', namespace => 'small'), atomix.map_put('map', 'b', '1', namespace => 'small'), atomix.map_put('map', 'c', '1', namespace => 'small')"),
	'00000', 'and filled again');
refused_ok("SELECT atomix.map_put('map', 'd', '1', namespace => 'small')", 'entries', 3, 3);

# Claims.
run("SELECT atomix.delete_service('third', 'small')");
my @session = map { run("SELECT atomix.open_session('1 h')") } 1 .. 4;
is(run("SELECT granted FROM atomix.lock_acquire($session[0], 'l', namespace => 'small')"), 't', 'a lock');
run("SELECT atomix.lock_acquire($session[1], 'l', namespace => 'small')");
refused_ok("SELECT atomix.lock_acquire($session[2], 'l', namespace => 'small')", 'claims', 2, 2);
is(sqlstate("SELECT atomix.lock_acquire($session[1], 'l', namespace => 'small')"), '00000', 'who waits may ask again');
is(run("SELECT atomix.lock_release($session[0], 'l', namespace => 'small')"), 't', 'the holder releases');
is(sqlstate("SELECT atomix.lock_acquire($session[2], 'l', namespace => 'small')"), '00000', 'which makes room');

# Of sessions.
run("SELECT atomix.set_limit('session_claims', 2)");
run("SELECT atomix.lock_try($session[3], 'one'); SELECT atomix.lock_try($session[3], 'two')");
refused_ok("SELECT atomix.lock_try($session[3], 'three')", 'session_claims', 2, 2);
is(run("SELECT atomix.lock_release($session[3], 'two')"), 't', 'one is released');
is(run("SELECT granted FROM atomix.lock_try($session[3], 'three')"), 't', 'and another taken');
run("SELECT atomix.set_limit('session_services', 2)");
run("SELECT atomix.create_service($session[3], 'map', n) FROM unnest(ARRAY['m', 'n']) AS n");
is(sqlstate("SELECT atomix.create_service($session[3], 'map', 'o')"), '53400', 'services of a session');
my $map = run("SELECT service_id FROM atomix.services WHERE name = 'm'");
run("SELECT atomix.set_limit('session_streams', 1)");
run("SELECT atomix.command($session[3], $map, '\\x4200', 1)");
refused_ok("SELECT atomix.command($session[3], $map, '\\x4200', 2)", 'session_streams', 1, 1);
run("SELECT atomix.ack($session[3], 1)");
is(sqlstate("SELECT atomix.command($session[3], $map, '\\x4200', 2)"), '00000', 'one that is acknowledged makes room');
run("SELECT atomix.set_limit('session_commands', 3)");
run("SELECT atomix.once($session[3], n) FROM generate_series(3, 4) AS n");
is(sqlstate("SELECT atomix.once($session[3], 5)"), '53400', 'commands that are not acknowledged');
run("SELECT atomix.ack($session[3], 2)");
is(sqlstate("SELECT atomix.once($session[3], 5)"), '00000', 'one that is makes room');
run("SELECT atomix.set_limit('session_commands', NULL), atomix.set_limit('session_output', 5000)");
run("SELECT atomix.map_put('m', 'k', decode(repeat('00', 2000), 'hex'))");
run("SELECT atomix.map_put('m', 'k', '', session_id => $session[3], sequence_num => 6);
	SELECT atomix.map_put('m', 'k', decode(repeat('00', 3200), 'hex'))");
refused_ok("SELECT atomix.map_put('m', 'k', '', session_id => $session[3], sequence_num => 7)", 'session_output', 5000, '\d+');
run("SELECT atomix.ack($session[3], 6)");
is(sqlstate("SELECT atomix.map_put('m', 'k', '', session_id => $session[3], sequence_num => 7)"), '00000',
	'what is acknowledged makes room for outputs');
run("SELECT atomix.set_limit('labels_size', 20)");
refused_ok("SELECT atomix.open_session(labels => '{\"a\": \"0123456789012345678901234\"}')", 'labels_size', 20);
is(sqlstate("SELECT atomix.open_session(labels => '{}')"), '00000', 'no labels are none');

# Sessions, of a role and of all.
run("CREATE ROLE user1; CREATE ROLE user2; GRANT USAGE ON SCHEMA atomix TO user1, user2");
run("SELECT atomix.set_limit('role_sessions', 6)");
my @mine = map { run("SET ROLE user1; SELECT atomix.open_session('1 h')") } 1 .. 6;
refused_ok('SET ROLE user1; SELECT atomix.open_session()', 'role_sessions', 6, 6);
is(sqlstate('SET ROLE user2; SELECT atomix.open_session()'), '00000', 'another role has its own');
is(run("SET ROLE user1; SELECT used FROM atomix.limits WHERE name = 'role_sessions'"), 6, 'the view shows that of the role');
is(sqlstate("SET ROLE user1; SELECT atomix.keep_alive($mine[0]); SELECT atomix.close_session($mine[0])"), '00000',
	'sessions are kept and closed');
is(sqlstate('SET ROLE user1; SELECT atomix.open_session()'), '00000', 'and one opened at once');
run("SELECT atomix.set_limit('sessions', 13)");
my $all = used('sessions', 'NULL');
run("SELECT atomix.open_session('1 h') FROM generate_series($all + 1, 13)");
refused_ok('SELECT atomix.open_session()', 'sessions', 13, 13);
advance_clock($node, '35 s');
$node->poll_query_until('postgres', "SELECT used < 13 FROM atomix.limits WHERE name = 'sessions'")
  or die 'no session expires';
is(sqlstate('SELECT atomix.open_session()'), '00000', 'expired sessions make room');
run("SELECT atomix.set_limit('sessions', NULL), atomix.set_limit('role_sessions', NULL)");

#
# Counters and transactions.
#

run("SELECT atomix.set_limit('entries', 5, 'counted')");
run("SELECT atomix.map_put('m', n::text, '', namespace => 'counted') FROM generate_series(1, 4) AS n");
my $one = $node->background_psql('postgres', on_error_stop => 0);
my $two = $node->background_psql('postgres', on_error_stop => 0);
$one->query_safe("BEGIN; SELECT atomix.map_put('m', '5', '', namespace => 'counted')");
like(query_error($two, "SELECT atomix.map_put('m', '6', '', namespace => 'counted')"), qr/in use are 5/,
	'what another transaction is about to write is taken');
$one->query_safe('ROLLBACK');
$two->query_safe("SELECT atomix.map_put('m', '6', '', namespace => 'counted')");
like(query_error($one, "SELECT atomix.map_put('m', '7', '', namespace => 'counted')"), qr/in use are 5/,
	'and free when it rolls back, once');
$one->query_safe("BEGIN; SELECT atomix.map_remove('m', '6', namespace => 'counted')");
like(query_error($two, "SELECT atomix.map_put('m', '7', '', namespace => 'counted')"), qr/in use are 5/,
	'what another is about to remove is there');
$one->query_safe('COMMIT');
$two->query_safe("BEGIN; SAVEPOINT s; SELECT atomix.map_put('m', '7', '', namespace => 'counted'); ROLLBACK TO s");
$two->query_safe("SELECT atomix.map_put('m', '8', '', namespace => 'counted'); COMMIT");
like(query_error($one, "SELECT atomix.map_put('m', '9', '', namespace => 'counted')"), qr/in use are 5/,
	'a rollback to a savepoint gives back');
$one->query_safe("BEGIN; SAVEPOINT s; SELECT atomix.map_remove('m', '8', namespace => 'counted'); RELEASE s; COMMIT");
is(query_error($one, "SELECT atomix.map_put('m', '9', '', namespace => 'counted')"), '', 'a released one frees');

# Entries whose time is over are removed by the worker, which frees them, too.
$one->query_safe("SELECT atomix.map_clear('m', 'counted')");
$one->query_safe("SELECT atomix.map_put('m', n::text, '', '5 s', namespace => 'counted') FROM generate_series(1, 5) AS n");
like(query_error($one, "SELECT atomix.map_put('m', '9', '', namespace => 'counted')"), qr/in use are 5/, 'full for a while');
advance_clock($node, '6 s');
$node->poll_query_until('postgres', "SELECT used = 0 FROM atomix.limits WHERE name = 'entries' AND namespace = 'counted'")
  or die 'entries are not removed';
is(query_error($one, "SELECT atomix.map_put('m', n::text, '', namespace => 'counted') FROM generate_series(1, 5) AS n"), '',
	'then there is room for all again');

# A limit that is set on what is there counts that.
$one->query_safe("SELECT atomix.map_put('m', n::text, '', namespace => 'late') FROM generate_series(1, 5) AS n");
run("SELECT atomix.set_limit('entries', 5, 'late')");
like(query_error($one, "SELECT atomix.map_put('m', '9', '', namespace => 'late')"), qr/in use are 5/, 'a limit that is set later');
run("SELECT atomix.set_limit('entries', 3, 'late')");
like(query_error($one, "SELECT atomix.map_put('m', '9', '', namespace => 'late')"), qr/is 3, in use are 5/, 'or is lowered');
is(run("SELECT atomix.map_remove('m', '1', namespace => 'late')"), 't', 'still lets go');
run("SELECT atomix.set_limit('entries', NULL, 'late')");
is(query_error($one, "SELECT atomix.map_put('m', '9', '', namespace => 'late')"), '', 'and is taken back');
run("SELECT atomix.set_limit('entries', 4)");
like(query_error($one, "SELECT atomix.map_put('m', '10', '', namespace => 'late')"), qr/is 4, in use are 5/,
	'what is set for all counts where nothing else is');
is(run("SELECT value FROM atomix.limits WHERE name = 'entries' AND namespace = 'counted'"), 5, 'not where it is');
run("SELECT atomix.set_limit('entries', NULL)");

# At the same time: no more than there may be.
run("SELECT atomix.set_limit('entries', 50, 'busy')");
$node->pgbench('--no-vacuum --client=4 --transactions=20', 2, [], [qr/53400|too many entries/],
	'four clients want more than there may be',
	{ '097_busy' => q{\set key random(1, 1000000000)
		SELECT atomix.map_put('m', :key::text || ':' || :client_id::text, '', namespace => 'busy');} });
is(run("SELECT atomix.map_size('m', 'busy')"), 50, 'and get all there may be, no more');

#
# After a crash, and without shared memory.
#

$_->quit for $one, $two;
crash($node);
await_worker($node, 'postgres');
is(sqlstate("SELECT atomix.map_put('m', 'more', '', namespace => 'busy')"), '53400', 'after a crash what is there is counted');
run("SELECT atomix.map_remove('m', key, namespace => 'busy') FROM atomix.map_entries('m', max_rows => 1, namespace => 'busy')");
is(sqlstate("SELECT atomix.map_put('m', 'more', '', namespace => 'busy')"), '00000', 'and deleting makes room');

# Wrong counters: rows that went behind its back are found before anybody is refused.
run("DELETE FROM atomix.entry WHERE key = 'more'");
advance_clock($node, '2 s');
is(sqlstate("SELECT atomix.map_put('m', 'again', '', namespace => 'busy')"), '00000',
	'nobody is refused before the tables were asked');
# And rows that came are found by the worker.
run("DELETE FROM atomix.entry WHERE key = 'again'");
advance_clock($node, '2 s');
run("SELECT atomix.map_put('m', 'again', '', namespace => 'busy')");
run("INSERT INTO atomix.entry (service_id, index, key, value) SELECT service_id, 1, 'smuggled' || n, '' FROM atomix.services, generate_series(1, 5) AS n WHERE namespace = 'busy'");
run("SELECT atomix.map_remove('m', key, namespace => 'busy') FROM atomix.map_entries('m', max_rows => 3, namespace => 'busy') WHERE key !~ 'smuggled'");
advance_clock($node, '2 min');
$node->poll_query_until('postgres', "SELECT atomix.tick() >= 0");
is(sqlstate("SELECT atomix.map_put('m', 'one more', '', namespace => 'busy')"), '53400', 'a count that is too low is corrected');

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(sqlstate("SELECT atomix.map_put('m', 'one more', '', namespace => 'busy')"), '53400', 'without preload the tables are asked');
run("SELECT atomix.map_clear('m', 'busy')");
is(sqlstate("SELECT atomix.map_put('m', 'one more', '', namespace => 'busy')"), '00000', 'each time');

#
# Who may set them, and to what.
#

for my $wrong (
	[ "'nothing', 1", '42704' ], [ "'entries', -1", '22023' ], [ "'name_length', 513", '22023' ],
	[ "'sessions', 1, 'small'", '22023' ], [ 'NULL, 1', '22004' ])
{
	is(sqlstate("SELECT atomix.set_limit($wrong->[0])"), $wrong->[1], "set_limit($wrong->[0])");
}
is(sqlstate("SET ROLE user1; SELECT atomix.set_limit('entries', 1)"), '42501', 'not everybody may execute it');
run("GRANT EXECUTE ON FUNCTION atomix.set_limit TO user1; SELECT atomix.grant_namespace('small', 'user1', 'admin')");
is(sqlstate("SET ROLE user1; SELECT atomix.set_limit('entries', 1, 'small')"), '42501', 'nor who administers a namespace');
run("SELECT atomix.grant_namespace('', 'user1', 'admin', true)");
is(sqlstate("SET ROLE user1; SELECT atomix.set_limit('entries', 1, 'small')"), '00000', 'who administers all may');

$node->stop;
done_testing();
