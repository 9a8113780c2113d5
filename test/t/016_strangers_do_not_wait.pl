# Whoever may not use a session does not wait for it either, and learns
# nothing of it, while its owner's end of it is not yet committed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixProto qw(protoc);
use AtomixTest qw(keep_alive_place new_node open_session psql_sqlstate);
use Test::More;

my $node = new_node('strangers');

# The bytes of a protocol request, as SQL shows them.
sub request
{
	my ($message, $text) = @_;

	return '\\x' . unpack('H*',
		protoc('encode', "atomix.multiraft.v1.${message}Request", 'batch.proto', $text));
}

# A response in text form.
sub answer
{
	my ($message, $role, $sql) = @_;
	my $bytes = $node->safe_psql('postgres',
		"SET ROLE $role; SET statement_timeout = '30s'; SELECT $sql");

	return protoc('decode', "atomix.multiraft.v1.${message}Response", 'batch.proto',
		pack('H*', substr($bytes, 2)));
}

# The SQLSTATE a role meets; 57014 if it waits.
sub sqlstate
{
	my ($role, $sql) = @_;

	return psql_sqlstate($node,
		"SET ROLE $role; SET statement_timeout = '30s'; SELECT $sql");
}

$node->safe_psql('postgres', q{
	CREATE ROLE owner;
	CREATE ROLE stranger;
	GRANT USAGE ON SCHEMA atomix TO owner, stranger;
});

for my $place ('row', 'memory')
{
	my $id = $node->safe_psql('postgres',
		"SET ROLE owner; SELECT atomix.open_session('1 h')");
	my $input = "headers { partition_id: 1 } input { session_id: $id }";
	my $keep_alive = request('KeepAlive', $input);
	my $close = request('CloseSession', $input);
	my $owner = $node->background_psql('postgres');

	# Its first renewal takes a session into memory.
	if ($place eq 'memory')
	{
		$node->safe_psql('postgres', "SET ROLE owner; SELECT atomix.keep_alive($id)");
		is(keep_alive_place($node, $id), 'memory', 'the session is renewed in memory');
	}
	$owner->query_safe("SET ROLE owner; BEGIN; SELECT atomix.close_session($id)");

	is(sqlstate('stranger', "atomix.keep_alive($id)"), 'MX001',
		"by $place: keep_alive does not wait");
	is(sqlstate('stranger', "atomix.close_session($id)"), 'MX001',
		"by $place: close_session does not wait");
	is($node->safe_psql('postgres', "SET ROLE stranger;
			SELECT state FROM atomix.keep_alive_many('{$id}')"),
		'unknown', "by $place: keep_alive_many does not know it");
	is($node->safe_psql('postgres', "SET ROLE owner;
			SELECT state FROM atomix.keep_alive_many('{$id}')"),
		'ending', "by $place: for its owner it is ending");
	like(answer('KeepAlive', 'stranger', "atomix.partition_keep_alive('$keep_alive')"),
		qr/NOT_FOUND/, "by $place: KeepAlive does not wait");
	like(answer('CloseSession', 'stranger', "atomix.partition_close_session('$close')"),
		qr/NOT_FOUND/, "by $place: CloseSession does not wait");

	# The owner does wait, and gets the session back.
	is(psql_sqlstate($node, "SET ROLE owner; SET lock_timeout = '10ms';
			SELECT atomix.keep_alive($id)"),
		'55P03', "by $place: the owner's keep_alive waits");
	$owner->query_safe('ROLLBACK');
	is(sqlstate('owner', "atomix.keep_alive($id)"), '00000',
		"by $place: it can be renewed after a rollback");
	is(sqlstate('stranger', "atomix.keep_alive($id)"), 'MX001',
		"by $place: not by a stranger");
	$owner->quit;
}

$node->stop;
done_testing();
