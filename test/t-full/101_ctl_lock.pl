# The long form of test/t/101_ctl_lock.pl.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

$ENV{ATOMIX_ROUNDS} = 200;
$FindBin::RealBin =~ s/t-full$/t/;
do "$FindBin::RealBin/101_ctl_lock.pl" or die $@ || $!;
