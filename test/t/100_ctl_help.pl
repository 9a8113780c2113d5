# What atomixctl says of itself: help for each command, the manual and the
# completion agree with the table of commands; bad command lines are refused
# in clear words; each exit code; and --json is JSON.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixCtl qw(connection ctl ctl_ok);
use AtomixTest qw(new_node);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('help');

# Help
my ($status, $general) = ctl('', '--help');
is($status, 0, '--help succeeds');
my ($list) = $general =~ /^Commands:\n(.*?)\n\n/ms;
my @commands = map { /^  (\S+(?: \S+)?)  / ? $1 : die "bad line: $_" } split /\n/, $list;
cmp_ok(scalar @commands, '>', 60, 'there are many commands');
is((ctl('', '-V'))[1], "atomixctl (atomix) 1.0.0\n", '--version tells the version');

my $manual = slurp_file("$FindBin::RealBin/../../client/atomixctl.1");
$manual =~ s/\\-/-/g;
my (@without_help, @without_manual, %options);
foreach my $command (@commands)
{
	my ($code, $text) = ctl('', 'help', split / /, $command);

	push @without_help, $command
	  if $code ne '0' || $text !~ /^Usage:\n  atomixctl \Q$command\E \[OPTION\]/m
	  || $text !~ /^Example:\n  atomixctl \Q$command\E/m;
	my ($own) = $text =~ /^Options:\n(.*?)\n\n/ms;
	my @own = ($own // '') =~ /(--[a-z-]+)/g;
	@own = grep { $_ ne '--number' || $own =~ /--number=/ } @own;
	my ($section) = $manual =~ /^\.SS \Q$command\E\n(.*?)(?=^\.S[SH] )/ms;

	push @without_manual, $command
	  if !defined $section
	  || grep { $section !~ /^\.BR .*\Q$_\E( |$)/m } map { /^(--[a-z-]+)=?/ } grep { $own =~ /^ .*\Q$_\E/m } @own;
	$options{$command} = { map { $_ => 1 } @own };
}
is_deeply(\@without_help, [], 'each command has usage and an example');
is_deeply(\@without_manual, [], 'the manual has each command with its options');
my @sections = $manual =~ /^\.SS (.*)$/mg;
is_deeply([ sort @sections ], [ sort @commands ], 'and no others');
is((ctl('', 'counter', 'set', '--help'))[1], (ctl('', 'help', 'counter', 'set'))[1],
	'--help behind a command is the same');
like((ctl('', 'help', 'map'))[1], qr/^  map put /m, 'help for a noun lists its commands');

# Completion
sub completed { return split /\n/, (ctl('', 'complete', @_))[1]; }
is_deeply([ completed('lo') ], ['lock'], 'a command is completed');
is_deeply([ sort(completed('counter', '')) ],
	[ sort(map { /^counter (.*)/ } @commands) ], 'a command of two words is');
is_deeply([ completed('map', 'put', 'm', '--prev') ], ['--prev-index'], 'an option is');
is_deeply([ completed('lock', 'x', '--', '') ], [], 'the command that is run is not ours to complete');
my $script = PostgreSQL::Test::Utils::tempdir() . "/completion";
append_to_file($script, (ctl('', 'completion'))[1]);
is(`bash -c '. $script; COMP_WORDS=(atomixctl election pro); COMP_CWORD=2; _atomixctl; echo "\${COMPREPLY[*]}"'`,
	"promote\n", 'bash completes by the script');

# Bad command lines: the exit code, and what is said.
foreach my $case (
	[ 2, qr/no command given/ ],
	[ 2, qr/unknown command "frob"/, 'frob' ],
	[ 2, qr/unknown command "counter frob"/, 'counter', 'frob' ],
	[ 2, qr/unknown option "--frob"/, 'counter', 'get', 'x', '--frob' ],
	[ 2, qr/unknown option "-x"/, 'counter', 'get', 'x', '-x' ],
	[ 2, qr/"counter get" has no option --ttl/, 'counter', 'get', 'x', '--ttl', '3s' ],
	[ 2, qr/option "--session" needs a value/, 'counter', 'set', 'x', '1', '--session' ],
	[ 2, qr/--session takes a whole number, not "me"/, 'counter', 'set', 'x', '1', '--session', 'me' ],
	[ 2, qr/--number needs --session/, 'counter', 'set', 'x', '1', '--number', '1' ],
	[ 2, qr/--ttl takes a time such as .*, not "3 weeks"/, 'map', 'put', 'm', 'k', 'v', '--ttl', '3 weeks' ],
	[ 2, qr/"weekly" is not a time/, 'lock', 'delay', 'x', 'weekly' ],
	[ 2, qr/option "--json=yes" takes no value/, 'status', '--json=yes' ],
	[ 2, qr/"counter set" needs more: NAME VALUE/, 'counter', 'set', 'x' ],
	[ 2, qr/too much for "counter get": "y"/, 'counter', 'get', 'x', 'y' ],
	[ 2, qr/"status" runs no command/, 'status', '--', 'true' ],
	[ 2, qr/there is no command "frob"/, 'help', 'frob' ],
	[ 125, qr/"lock" needs a command behind "--"/, 'lock', 'x' ],
	[ 125, qr/--try and --timeout exclude/, 'lock', 'x', '--try', '--timeout', '1s', '--', 'true' ],
	[ 125, qr/--shared and --permits exclude/, 'lock', 'x', '--shared', '--permits', '2', '--', 'true' ],
	[ 125, qr/"elect" has no option --try/, 'elect', 'x', '--try', '--', 'true' ])
{
	my ($expected, $regexp, @args) = @$case;
	my ($code, $out, $err) = ctl($node, @args);

	is($code, $expected, "exit code of \"@args\"");
	like($err, $regexp, 'it says why');
	is($out, '', 'standard output is empty');
}

# Exit codes
sub code { return (ctl($node, @_))[0]; }
is(code('counter', 'set', 'c', '5'), 0, '0: done');
is(code('counter', 'set', 'c', 'five'), 1, '1: refused by the server');
is((ctl('host=/nonexistent', 'counter', 'get', 'c'))[0], 3, '3: no connection');
is(code('counter', 'compare-and-set', 'c', '1', '2'), 4, '4: the answer is no');
is(code('map', 'get', 'm', 'nothing'), 4, '4: there is no such entry');
is(code('watch', 'c', '--from', '0', '--count', '1'), 6, '6: the events are gone');
is(code('lock', 'l', '--try', '--', 'sh', '-c', 'exit 42'), 42, 'that of the command');
is(code('lock', 'l', '--', 'sh', '-c', 'kill -USR1 $$'), 128 + 10, '128 and the signal that ended it');
is(code('lock', 'l', '--ttl', '1us', '--', 'true'), 125, '125: refused by the server');
is((ctl('host=/nonexistent', 'lock', 'l', '--', 'true'))[0], 125, '125: no connection');
is(code('lock', 'l', '--', '/'), 126, '126: not executable');
is(code('lock', 'l', '--', 'no-such-command'), 127, '127: not there');
my $session = ctl_ok($node, 'session', 'open', '--ttl', '1h', '--name', 'holder');
is(code('lock', 'try', $session, 'l'), 0, 'a session takes the lock');
is(code('lock', 'l', '--try', '--', 'true'), 124, '124: not acquired');
my $before = AtomixCtl::now_boot();
is(code('lock', 'l', '--timeout', '300ms', '--', 'true'), 124, '124: not acquired in time');
cmp_ok(AtomixCtl::now_boot() - $before, '>', 0.3, 'but after that time');
is(code('lock', 'try', ctl_ok($node, 'session', 'open'), 'l'), 4, '4: not granted');
like((ctl($node->connstr('template1'), 'counter', 'get', 'c'))[2], qr/HINT:  CREATE EXTENSION atomix/,
	'without the extension there is a hint');

# JSON: a command of each shape, those with a list with rows in it.
ctl_ok($node, 'map', 'put', 'm', 'k', "a \"b\"\n\x{1}");
ctl_ok($node, 'map', 'put', 'm', 'bytes', 'ff00', '--hex');
ctl_ok($node, 'election', 'enter', $session, 'e', '--candidate', 'me');
ctl_ok($node, 'semaphore', 'try', $session, 's');
foreach my $case (
	(map { ["$_ list", '[]'] } qw(lock semaphore election counter map session service)),
	[ 'lock show l', '[]' ], [ 'election show e', '[]' ], [ 'semaphore show s', '[]' ],
	[ 'map entries m', '[]' ], [ 'session events', '[]' ],
	[ 'status', '{}' ], [ 'counter show c', '{}' ], [ 'map show m', '{}' ], [ 'service show m', '{}' ],
	[ "session show $session", '{}' ], [ 'election leader e', '{}' ], [ 'map get m k', '{}' ],
	[ 'map get m bytes', '{}' ], [ 'counter increment c', '{}' ], [ "session keep-alive $session", '{}' ])
{
	my ($args, $shape) = @$case;
	my $data = eval { decode_json(ctl_ok($node, split(/ /, $args), '--json')) };

	is(ref $data, $shape eq '[]' ? 'ARRAY' : 'HASH', "--json of \"$args\"") or diag $@;
	cmp_ok(scalar @$data, '>', 0, 'with something in it') if ref $data eq 'ARRAY';
}
my $entry = decode_json(ctl_ok($node, 'map', 'get', 'm', 'k', '--json'));
is($entry->{value}, "a \"b\"\n\x{1}", 'text is text in JSON');
is(decode_json(ctl_ok($node, 'map', 'get', 'm', 'bytes', '--json'))->{value_hex}, 'ff00', 'other bytes are digits');
is(decode_json(ctl_ok($node, 'counter', 'get', 'c', '--json'))->{value}, 6, 'numbers are numbers');
my ($code, undef, $err) = ctl($node, 'counter', 'set', 'c', 'five', '--json');
is(decode_json($err)->{error}{sqlstate}, '22P02', 'an error is JSON, too');
(undef, undef, $err) = ctl($node, 'lock', 'free', '--json', '--', 'true');
is_deeply([ map { decode_json($_)->{event} } split /\n/, $err ], [ 'held', 'ended' ],
	'lock --json tells events on standard error');

# Values
ctl_ok($node, 'map', 'put', 'm', 'in', '-', \"from\nstdin");
is(decode_json(ctl_ok($node, 'map', 'get', 'm', 'in', '--json'))->{value}, "from\nstdin",
	'a value is read from standard input');
is((ctl($node, 'map', 'entries', 'm'))[1] =~ /^in\tfrom\\nstdin\t/m, 1, 'a line break does not break the line');
is(ctl_ok($node, 'counter', 'increment', 'n', '3', '--session', $session, '--number', '1')
	  . ctl_ok($node, 'counter', 'increment', 'n', '3', '--session', $session, '--number', '1'), '33',
	'with a number it takes effect once');

$node->stop;
done_testing();
