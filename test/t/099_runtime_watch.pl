# A watch of sessions as objects: it waits for a change, hears of each that
# commits, and of none that does not, and ends in bounded time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(decode_message encode_message enum_name);
use AtomixTest qw(await_waiting new_node open_session start_query);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('runtime', "atomix.max_wait = '10min'");
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $psql->query_safe('SELECT pg_backend_pid()');
my $user = $node->background_psql('postgres', on_error_stop => 0);
my $v1 = 'atomix.runtime.v1';
my $position = 0;

sub run { return $node->safe_psql('postgres', $_[0]); }

sub request
{
	my (%fields) = @_;

	return "'\\x" . unpack('H*', encode_message("$v1.ListSessionsRequest", \%fields)) . "'";
}

# Objects in an answer, in words; the position is moved on.
sub told
{
	my ($hex) = @_;
	my @words;

	for my $object (@{ decode_message("$v1.ListSessionsResponse", pack('H*', $hex))->{sessions} // [] })
	{
		my ($meta, $state) = ($object->{meta}, $object->{status}{state} // 0);

		$position = $meta->{version} if ($meta->{version} // 0) > $position;
		push @words,
		  "$meta->{id}{name}/" . ($meta->{id}{primitive}{id} // '') . ' '
		  . enum_name("$v1.SessionStatus.State", $state);
	}
	return join(', ', @words);
}

sub list
{
	my ($wait, %fields) = @_;

	return told(run("SELECT encode(atomix.runtime_list_sessions(" . request(%fields)
			  . ", $position, $wait), 'hex')"));
}

# Begin to wait for what comes after the position.
sub start_watch
{
	my (%fields) = @_;

	start_query($psql, "SELECT encode(atomix.runtime_list_sessions("
		  . request(watch => 1, %fields) . ", $position, NULL), 'hex')");
	return await_waiting($node, $pid, 'Extension Extension');
}

sub heard { return told($psql->query('') =~ s/.*\n//r); }

is(list("'0'"), '', 'no sessions');
ok(start_watch(), 'a watch waits');
my $id = run("SELECT atomix.open_session('1 h', 'ann')");
is(heard(), 'ann/ OPENED', 'until a session is opened');
ok($position > 0, 'with its version');

ok(start_watch(), 'it waits');
$user->query_safe("BEGIN; SELECT atomix.create_service($id, 'counter', 'c')");
$user->query_safe('ROLLBACK');
$user->query_safe("BEGIN; SELECT atomix.create_service($id, 'map', 'm')");

# Others are numbered meanwhile.
my $other = run("SELECT atomix.open_session('1 h', 'bob', 'kept')");
is(heard(), 'bob/ OPENED', 'another session is told of');
my $before = $position;
ok(start_watch(), 'it waits');
$user->query_safe('COMMIT');
is(heard(), 'ann/m OPENED', 'a service is told of once it is committed');
ok($position > $before, 'by a later version');

ok(start_watch(type => 'kept'), 'it waits for a kind');
run("SELECT atomix.close_service($id, service_id) FROM atomix.services WHERE name = 'm'");
run("SELECT atomix.close_session($other)");
is(heard(), 'bob/ CLOSED', 'and hears of no other');
$position = $before;
is(join(', ', sort split /, /, list("'0'", watch => 1)), 'ann/ OPENED, bob/ CLOSED',
	'which can be asked for');

# Many changes of many sessions: from position to position nothing is missed.
my %last;
run("SELECT atomix.create_service($id, 'lock', 'l' || n) FROM generate_series(1, 3) AS n");
run("SELECT atomix.open_session('1 h', 's' || n) FROM generate_series(1, 200) AS n");
run("SELECT atomix.close_session(session_id) FROM atomix.sessions WHERE name LIKE 's%' AND session_id % 2 = 0");
my $closed = run("SELECT count(*) FROM atomix.sessions WHERE name LIKE 's%' AND state = 'closed'");
while (keys(%last) < 203 || (grep { $_ eq 'CLOSED' } values %last) < $closed)
{
	my $told = list("'1 min'", watch => 1);

	die 'nothing more comes' if $told eq '';
	$last{ (split / /, $_)[0] } = (split / /, $_)[1] for split /, /, $told;
}
is(scalar(grep { $_ eq 'CLOSED' } values %last), $closed, 'each session is told of in its last state');
is(join(' ', sort grep { /^ann/ } keys %last), 'ann/l1 ann/l2 ann/l3', 'and each service');

# In bounded time.
my $start = time;
is(list("'200 ms'", watch => 1), '', 'a watch in vain');
cmp_ok(time - $start, '>=', 0.2, 'waits as long as it was told');
$node->append_conf('postgresql.conf', "atomix.max_wait = '100ms'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('atomix.max_wait') = '100ms'")
  or die 'the setting is not read';
is(list("'1 h'", watch => 1), '', 'and no longer than it may');
is(list("'1 h'"), '', 'without watch not at all');

# After a crash versions go on.
$_->quit for $psql, $user;
$node->stop('immediate');
$node->start;
run("SELECT atomix.close_session($id)");
$before = $position;
my $found = '';
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if ($found = list("'100 ms'", watch => 1)) ne '';
}
is($found, 'ann/l1 CLOSED, ann/l2 CLOSED, ann/l3 CLOSED', 'a close is told of with the services');
ok($position > $before, 'after a crash, too');

$node->stop;
done_testing();
