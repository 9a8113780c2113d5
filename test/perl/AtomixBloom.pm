# The filter of a keep-alive, implemented a second time: it follows the
# definition of the hash byte by byte.

package AtomixBloom;

use strict;
use warnings;
no warnings 'portable';	# numbers of 64 bits are what this is about

use Exporter 'import';
use MIME::Base64 qw(encode_base64);
use POSIX qw(ceil);

our @EXPORT_OK = qw(contains document filter_of locations new_filter unsigned);

sub multiply { use integer; return $_[0] * $_[1]; }

sub add { use integer; return $_[0] + $_[1]; }

# As an unsigned number again, after wrapping arithmetic.
sub unsigned { return $_[0] & 0xffffffffffffffff; }

sub rotate
{
	my ($value, $bits) = @_;

	$value = unsigned($value);
	return ($value << $bits) | ($value >> (64 - $bits));
}

sub mix
{
	my ($h) = @_;

	$h = unsigned($h);
	$h ^= $h >> 33;
	$h = unsigned(multiply($h, 0xff51afd7ed558ccd));
	$h ^= $h >> 33;
	$h = unsigned(multiply($h, 0xc4ceb9fe1a85ec53));
	return $h ^ ($h >> 33);
}

# MurmurHash3, x64, 128 bits, seed 0, of a key shorter than a block.
sub murmur3
{
	my ($key) = @_;
	my ($c1, $c2) = (0x87c37b91114253d5, 0x4cf5ad432745937f);
	my ($k1, $k2) = unpack('Q<Q<', $key . "\0" x (16 - length $key));
	my $h1 = multiply(rotate(multiply($k1, $c1), 31), $c2);
	my $h2 = multiply(rotate(multiply($k2, $c2), 33), $c1);

	$h1 = unsigned($h1) ^ length $key;
	$h2 = unsigned($h2) ^ length $key;
	$h1 = add($h1, $h2);
	$h2 = add($h2, $h1);
	$h1 = mix($h1);
	$h2 = mix($h2);
	$h1 = add($h1, $h2);
	$h2 = add($h2, $h1);
	return (unsigned($h1), unsigned($h2));
}

sub locations
{
	my ($number, $k) = @_;
	my $key = pack('Q>', $number);
	my @h = (murmur3($key), murmur3("$key\1"));

	return map {
		my $step = $h[ 2 + int((($_ + $_ % 2) % 4) / 2) ];
		unsigned(add($h[ $_ % 2 ], multiply($_, $step)))
	} 0 .. $k - 1;
}

sub new_filter
{
	my ($m, $k, @numbers) = @_;
	my $bits = "\0" x (8 * int(($m + 63) / 64));

	for my $location (map { locations($_, $k) } @numbers)
	{
		vec($bits, $location % $m, 1) = 1;
	}
	return { m => $m, k => $k, bits => $bits };
}

# The size a client chooses for n numbers.
sub filter_of
{
	my @numbers = @_;
	my $m = ceil(@numbers * -log(0.05) / log(2)**2);

	return new_filter($m, 5, @numbers);
}

sub contains
{
	my ($filter, $number) = @_;

	for my $location (locations($number, $filter->{k}))
	{
		return 0 unless vec($filter->{bits}, $location % $filter->{m}, 1);
	}
	return 1;
}

sub document
{
	my ($filter) = @_;
	my @words = unpack('Q<*', $filter->{bits});
	my $b = encode_base64(pack('Q>*', $filter->{m}, @words), '');

	$b =~ tr{+/}{-_};
	return qq({"m":$filter->{m},"k":$filter->{k},"b":"$b"});
}

1;
