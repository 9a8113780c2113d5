# Running atomixctl against a node.

package AtomixCtl;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use POSIX ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

our @EXPORT_OK = qw(await_line connection ctl ctl_ok exit_code lines now_boot
  start_ctl start_proxy under_lock);

# Processes that run, unless somebody else has waited for them.
my %started;

# The connection string of a node's database "postgres".
sub connection
{
	my ($node) = @_;

	return $node->connstr('postgres');
}

# Run it to its end: exit code, standard output and standard error.  The first
# argument is a node, or a connection string.  A hash as the last one: input.
sub ctl
{
	my ($where, @args) = @_;
	my $input = ref $args[-1] ? ${ pop @args } : '';
	my ($out, $err) = ('', '');
	my @command = ('atomixctl', '-d', ref $where ? connection($where) : $where, @args);

	IPC::Run::run(\@command, '<', \$input, '>', \$out, '2>', \$err,
		IPC::Run::timeout(120));
	my $status = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;

	return ($status, $out, $err);
}

# The output of one that has to succeed, without the last newline.
sub ctl_ok
{
	my ($where, @args) = @_;
	my ($status, $out, $err) = ctl($where, @args);

	die "atomixctl @args: exit code $status: $err" if $status ne '0';
	chomp $out;
	return $out;
}

# Start it, with its output and errors in files; returns its process id.
sub start_ctl
{
	my ($where, $file, @args) = @_;
	my @command = ('atomixctl', '-d', ref $where ? connection($where) : $where, @args);
	my $pid = fork();

	die "could not fork: $!" if !defined $pid;
	$started{$pid} = 1 if $pid;
	return $pid if $pid;
	open STDIN, '<', '/dev/null' or die;
	open STDOUT, '>>', $file or die;
	open STDERR, '>>', "$file.err" or die;
	exec @command or die "could not execute atomixctl: $!";
}

# Wait for the end of a process: its exit code, or which signal it was.
sub exit_code
{
	my ($pid) = @_;

	waitpid $pid, 0;
	delete $started{$pid};
	return $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
}

# A proxy to a node, on the loopback interface: the connection string by which
# it is reached, and its process id.  After SIGUSR1 it is silent: it keeps all
# connections, and takes new ones, but passes nothing on.  After SIGUSR2 it
# passes on what clients send, but no answers.
sub start_proxy
{
	my ($node) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 20,
		ReuseAddr => 1) or die "could not listen: $!";
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $pid = fork();

	die "could not fork: $!" if !defined $pid;
	if ($pid)
	{
		my $port = $listener->sockport;

		close $listener;
		return ("host=127.0.0.1 port=$port dbname=postgres sslmode=disable gssencmode=disable"
			  . ' user=' . getpwuid($>), $pid);
	}

	my $silent = 0;
	my $mute = 0;
	my $parent = getppid();
	my $select = IO::Select->new($listener);
	my (%peer, @kept);

	my %is_server;
	# From PostgreSQL 17 on tests stop their servers when they are told to end.
	$SIG{TERM} = $SIG{INT} = 'DEFAULT';
	$SIG{USR1} = sub { $silent = 1 };
	$SIG{USR2} = sub { $mute = 1 };
	# Not longer than the test.
	while (getppid() == $parent)
	{
		foreach my $ready ($select->can_read(0.2))
		{
			if ($ready == $listener)
			{
				my $client = $listener->accept or next;

				push @kept, $client;
				next if $silent;
				my $server = IO::Socket::UNIX->new(Peer => $path) or next;
				@peer{ $client, $server } = ($server, $client);
				$is_server{$server} = 1;
				$select->add($client, $server);
			}
			elsif ($silent)
			{
				$select->remove($ready);
			}
			else
			{
				my $peer = $peer{$ready};

				if (sysread $ready, my $bytes, 65536)
				{
					syswrite $peer, $bytes if !$mute || !$is_server{$ready};
				}
				else
				{
					$select->remove($ready, $peer);
					close $ready;
					close $peer;
				}
			}
		}
	}
	POSIX::_exit(0);
}

sub lines
{
	my ($file) = @_;

	return -e $file ? split /\n/, slurp_file($file) : ();
}

# Wait for a line in a file that matches; returns it.
sub await_line
{
	my ($file, $regexp) = @_;

	for (1 .. 100 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my @found = grep { $_ =~ $regexp } lines($file);

		return $found[0] if @found;
		usleep(10_000);
	}
	die "no line matches $regexp in $file: " . join("\n", lines($file));
}

# CLOCK_BOOTTIME in seconds.
sub now_boot
{
	return Time::HiRes::clock_gettime(7);
}

# A command that writes lines "<token> <its process id> <n> <boot time>" to a
# file, so many and so far apart in milliseconds, whether it is told to end or
# not.
sub under_lock
{
	my ($file, $count, $ms, $stubborn) = @_;

	return ($^X, '-MTime::HiRes=usleep,clock_gettime', '-e', q{
		my ($file, $count, $ms, $stubborn) = @ARGV;
		$SIG{TERM} = 'IGNORE' if $stubborn;
		open my $out, '>>', $file or die;
		for my $n (1 .. $count) {
			syswrite $out, sprintf("%s %d %d %.6f\n", $ENV{ATOMIX_TOKEN}, $$, $n, clock_gettime(7));
			usleep($ms * 1000);
		}
	}, $file, $count, $ms, $stubborn // 0);
}

# Also where a test dies.
END
{
	my $status = $?;

	foreach my $pid (keys %started)
	{
		next if waitpid($pid, POSIX::WNOHANG()) != 0;
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	$? = $status;
}

1;
