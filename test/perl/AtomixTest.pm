# Helpers that the TAP tests share.

package AtomixTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;

our @EXPORT_OK = qw(new_node psql_sqlstate);

# A running node with the extension loaded at start and created in the
# database "postgres".  Further arguments are lines for postgresql.conf.
sub new_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf',
		join("\n", "shared_preload_libraries = 'atomix'", @conf, ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION atomix');
	return $node;
}

# The SQLSTATE with which the first failing statement ends, 00000 if none
# does.
sub psql_sqlstate
{
	my ($node, $sql, $dbname) = @_;
	my ($stdout, $stderr);

	$node->psql(
		$dbname // 'postgres', "\\set VERBOSITY sqlstate\n$sql",
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 1);
	return $stderr =~ /ERROR:\s+([0-9A-Z]{5})/ ? $1 : '00000';
}

1;
