# PgBouncer before a node: in transaction mode, on a socket of its own, ended
# by its process id.
#
# What new() returns can be used like the node for whatever connects to it
# (safe_psql, background_psql, pgbench ...).  Server connections are handed out
# in turn, so each transaction of a client meets another one as soon as there
# are several.

package AtomixPgBouncer;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @ISA = qw(PostgreSQL::Test::Cluster);
our @EXPORT_OK = qw(pgbouncer_program pgbouncer_version);

# Those that run, by the process that started them.
my %running;

# The program, or undef where there is none.  Debian has it in a directory
# that is not on everybody's path.
sub pgbouncer_program
{
	my ($found) = grep { -x $_ } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';

	return $found;
}

# The version, as 1.018.
sub pgbouncer_version
{
	my $program = pgbouncer_program();

	return 0 if !defined $program;
	return `$program --version` =~ /PgBouncer (\d+)\.(\d+)/ ? sprintf('%d.%03d', $1, $2) : 0;
}

# A pooler before the node.  May be given: databases => { alias => what follows
# host and port in its line }, users => [roles that may connect, besides one's
# own], pool_size => server connections of a role to a database, and further
# settings of PgBouncer by name.
sub new
{
	my ($class, $node, %given) = @_;
	my $databases = delete $given{databases} // {};
	my $users = delete $given{users} // [];
	my $pool_size = delete $given{pool_size} // 4;
	my $directory = PostgreSQL::Test::Utils::tempdir_short();
	my $user = getpwuid($>);
	my $self = bless {%$node}, $class;
	my $server = 'host=' . $node->host . ' port=' . $node->port;

	$self->{_host} = $directory;
	$self->{_port} = PostgreSQL::Test::Cluster::get_free_port();
	$self->{pgbouncer_directory} = $directory;
	my %settings = (
		listen_port => $self->{_port},
		unix_socket_dir => $directory,
		auth_type => 'trust',
		auth_file => "$directory/users",
		admin_users => $user,
		pool_mode => 'transaction',
		default_pool_size => $pool_size,
		min_pool_size => $pool_size,
		server_round_robin => 1,
		max_client_conn => 200,
		logfile => "$directory/log",
		ignore_startup_parameters => 'extra_float_digits,options',
		%given);
	PostgreSQL::Test::Utils::append_to_file("$directory/users",
		join('', map { qq{"$_" ""\n} } $user, @$users));
	PostgreSQL::Test::Utils::append_to_file("$directory/ini", join("\n",
		'[databases]',
		(map { "$_ = $server $databases->{$_}" } sort keys %$databases),
		"* = $server",
		'[pgbouncer]',
		(map { "$_ = $settings{$_}" } sort keys %settings),
		''));
	my ($out, $err) = ('', '');
	$self->{pgbouncer} = start [ pgbouncer_program(), "$directory/ini" ],
	  '<', \undef, '>', \$out, '2>', \$err;
	$running{"$self->{pgbouncer}"} = [ $$, $self->{pgbouncer} ];
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return $self if -S "$directory/.s.PGSQL.$self->{_port}" &&
		  $self->psql('pgbouncer', 'SHOW VERSION') == 0;
		last if !$self->{pgbouncer}->pumpable;
		usleep(100_000);
	}
	die 'PgBouncer does not start: ' . slurp_file("$directory/log");
}

# A command of its console.
sub console
{
	my ($self, $command) = @_;

	return $self->safe_psql('pgbouncer', $command);
}

# What it has logged.
sub bouncer_log
{
	my ($self) = @_;

	return slurp_file("$self->{pgbouncer_directory}/log");
}

sub stop
{
	my ($self) = @_;
	my $harness = delete $self->{pgbouncer};

	return if !defined $harness;
	delete $running{"$harness"};
	$harness->kill_kill(grace => 10);
	return;
}

# Also where a test dies.
END
{
	my $status = $?;

	$_->[1]->kill_kill(grace => 10) for grep { $_->[0] == $$ } values %running;
	$? = $status;
}

1;
