# A standby answers a protocol call by UNAVAILABLE and says who leads.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(protoc);
use AtomixTest qw(await_beat new_node new_standby open_session);
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = new_node('leader', 'wal_level = replica', 'max_wal_senders = 4',
	"atomix.leader_name = 'primary.example'");
my $id = open_session($node, '1 h');

await_beat($node);
my $standby = new_standby($node, 'follower', "atomix.leader_name = 'standby.example'");
$node->wait_for_catchup($standby);

# The answer of the standby to a request of three kinds, in text form.
for my $call (
	[ 'OpenSession', 'partition_open_session', 'input { timeout { seconds: 30 } }' ],
	[ 'KeepAlive', 'partition_keep_alive', "input { session_id: $id }" ],
	[ 'CloseSession', 'partition_close_session', "input { session_id: $id }" ])
{
	my ($message, $function, $input) = @$call;
	my $request = unpack('H*', protoc('encode', "atomix.multiraft.v1.${message}Request",
			'batch.proto', "headers { partition_id: 1 } $input"));
	my $bytes = $standby->safe_psql('postgres', "SELECT atomix.$function('\\x$request')");
	my $answer = protoc('decode', "atomix.multiraft.v1.${message}Response", 'batch.proto',
		pack('H*', substr($bytes, 2)));

	like($answer, qr/status: UNAVAILABLE/, "$message is not done on a standby");
	like($answer, qr/message: ".*primary\.example"/, 'the answer names the leader');
}

$standby->stop;
$node->stop;
done_testing();
