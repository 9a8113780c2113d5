# On a terminal: tables are aligned, who waits is told for whom, the command has
# the terminal, and a key that interrupts goes to it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(connection ctl_ok);
use AtomixTest qw(new_node);
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'script (Debian package bsdutils) is not installed'
  if system('command -v script > /dev/null') != 0;

my $node = new_node('terminal');
my $where = connection($node);

# Run a command line in a terminal; what is typed once something is seen.
sub in_terminal
{
	my ($line, $seen, $typed) = @_;
	my ($in, $out) = ('', '');
	my $terminal = IPC::Run::start([ 'script', '-qec', $line, '/dev/null' ], '<', \$in, '>', \$out, '2>&1',
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	if (defined $seen)
	{
		$terminal->pump until $out =~ $seen;
		$in = $typed;
		$terminal->pump while length $in;
	}
	$terminal->finish;
	$out =~ s/\r\n/\n/g;
	return ($terminal->result(0), $out);
}

ctl_ok($node, 'counter', 'set', 'short', '1');
ctl_ok($node, 'counter', 'set', 'a longer name', '12345');
my ($status, $out) = in_terminal("atomixctl -d '$where' counter list");
is($status, 0, 'a list');
like($out, qr/^namespace  name           value +service_id\n +a longer name  12345  \d+\n +short  +1  \d+\n/,
	'is aligned, under a heading');
($status, $out) = in_terminal("atomixctl -d '$where' counter show short");
like($out, qr/^namespace   \nname        short\nvalue       1\n/, 'a single row has a line for each column');

my $session = ctl_ok($node, 'session', 'open', '--ttl', '1h', '--name', 'somebody');
ctl_ok($node, 'lock', 'try', $session, 'nightly');
($status, $out) = in_terminal("atomixctl -d '$where' lock nightly -- echo never",
	qr/waiting for 'nightly', held by somebody since \d+ s, 0 ahead/, "\cC");
is($status, 130, 'who waits is told for whom, and can be interrupted');
unlike($out, qr/never/, 'the command was not started');

($status, $out) = in_terminal("atomixctl -d '$where' lock free -- sh -c 'echo who; read who; echo hello \$who'",
	qr/who/, "world\n");
is($status, 0, 'the command has ended');
like($out, qr/^hello world$/m, 'it can read from the terminal');
($status) = in_terminal("atomixctl -d '$where' lock free -- sh -c 'trap \"exit 9\" INT; echo go; while :; do sleep 0.1; done'",
	qr/go/, "\cC");
is($status, 9, 'a key that interrupts goes to the command');
($status, $out) = in_terminal("atomixctl -d '$where' lock free -- sh -c 'echo go; read x; echo on'", qr/go/, "\cZ\n");
is($status, 0, 'and cannot be suspended by one');
like($out, qr/^on$/m, 'it goes on');

# A password is asked for, unless that is forbidden.
$node->safe_psql('postgres', "CREATE ROLE asked LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA atomix TO asked");
my $hba = $node->data_dir . '/pg_hba.conf';
my $rules = slurp_file($hba);
unlink $hba;
append_to_file($hba, "local all asked scram-sha-256\n$rules");
$node->reload;
($status, $out) = in_terminal("atomixctl -d '$where user=asked' counter get short", qr/Password: /, "secret\n");
is($status, 0, 'a password is asked for');
like($out, qr/^1$/m, 'and is the right one');
unlike($out, qr/secret/, 'nobody sees it');
($status, $out) = in_terminal("atomixctl -d '$where user=asked' lock free -- echo held", qr/Password: /, "secret\n");
like($out, qr/^held$/m, 'lock asks for it, too');
($status) = in_terminal("atomixctl -w -d '$where user=asked' counter get short");
is($status, 3, 'not with --no-password');

$node->stop;
done_testing();
