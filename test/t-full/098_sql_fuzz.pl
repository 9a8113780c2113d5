# The long form of the test of the same name: 100,000 calls of each face.

use strict;
use warnings;

use FindBin;

$ENV{ATOMIX_FUZZ_CALLS} //= 100_000;
exec $^X, (map { "-I$_" } @INC), "$FindBin::RealBin/../t/098_sql_fuzz.pl"
  or die "cannot run the short form: $!";
