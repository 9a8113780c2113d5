# "atomixctl status" says what is wrong, to every role, and nothing that is not:
# library not preloaded, no worker, switched off, a standby.  Administration is
# for administrators.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(connection ctl ctl_ok);
use AtomixTest qw(await_beat await_worker new_node open_session);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('status');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'atomix'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION atomix; CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA atomix TO plain');
my $plain = connection($node) . ' user=plain';

sub status { return decode_json(ctl_ok($_[0], 'status', '--json')); }

# The warnings, but for one that is true of all servers of tests.
sub warnings { return [ grep { !/^fsync is off/ } @{ status($_[0])->{warnings} } ]; }

open_session($node, '1 h');
await_worker($node, 'postgres');
is_deeply(warnings($node), [], 'nothing to warn of');
is_deeply(warnings($plain), [], 'nor for a role without privileges');
my $status = status($plain);
is($status->{role}, 'primary', 'the role of the server');
is($status->{term}, 1, 'the term');
like($status->{worker_pid}, qr/^\d+$/, 'the worker');
is((ctl($node, 'status', '--check'))[0], 4, '--check: fsync is off');

# Administration
my $lock = "SELECT token FROM atomix.lock_try(atomix.open_session('1 h'), 'l')";
my $token = $node->safe_psql('postgres', $lock);
my (undef, undef, $error) = ctl($plain, 'lock', 'force-release', 'l', $token);
like($error, qr/permission denied/, 'a lock is taken away by administrators only');
is(ctl_ok($node, 'lock', 'force-release', 'l', $token, '--reason', 'it has to go'), 'yes', 'by one it is');
is($node->safe_psql('postgres', "SELECT reason FROM atomix.intervention WHERE reason = 'it has to go'"),
	'it has to go', 'and the reason is kept');
my $session = ctl_ok($node, 'session', 'open', '--labels', '{"rack": "7"}', '--ttl', '90s');
is(decode_json(ctl_ok($node, 'session', 'show', $session, '--json'))->{labels}{rack}, 7, 'labels are shown');
is((ctl($plain, 'session', 'show', $session))[0], 4, 'but not to others');
is((ctl($plain, 'session', 'end', $session))[0], 1, 'who may not end it');
is(ctl_ok($node, 'session', 'end', $session, '--reason', 'over'), 'yes', 'an administrator may');
like(ctl_ok($node, 'session', 'show', $session), qr/\tclosed\t/, 'then it has ended');

# A standby
await_beat($node);
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is(status($standby)->{role}, 'standby', 'a standby says so');
is_deeply(warnings($standby), ['the server is a standby: it answers queries only'], 'that is all that there is to say');
is((ctl($standby, 'counter', 'get', 'none'))[0], 0, 'queries are answered there');
is((ctl($standby, 'counter', 'set', 'c', '1'))[0], 3, 'changes find no server');
is((ctl($standby, 'lock', 'l', '--', 'true'))[0], 125, 'nor do locks');
$standby->stop;

# Switched off
$node->append_conf('postgresql.conf', 'atomix.enabled = off');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.enabled') = 'off'") or die;
like(join("\n", @{ warnings($node) }), qr/^atomix.enabled is off/m, 'switched off');
$node->append_conf('postgresql.conf', 'atomix.enabled = on');

# Not preloaded
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is_deeply(warnings($plain), ['not preloaded: sessions end late, see shared_preload_libraries'], 'not preloaded');
is((ctl($node, 'lock', 'l', '--try', '--', 'true'))[0], 0, 'locks work nevertheless');

$node->stop;
done_testing();
