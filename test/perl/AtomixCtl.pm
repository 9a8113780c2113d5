# Running atomixctl against a node.

package AtomixCtl;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

our @EXPORT_OK = qw(await_line connection ctl ctl_ok lines now_boot start_ctl
  under_lock);

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
	return $pid if $pid;
	open STDIN, '<', '/dev/null' or die;
	open STDOUT, '>>', $file or die;
	open STDERR, '>>', "$file.err" or die;
	exec @command or die "could not execute atomixctl: $!";
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

1;
