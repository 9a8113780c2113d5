# Typed and wire calls through PL/Proxy: two partition servers and a proxy that
# knows nothing but where they are.  Every function comes to the partition it
# is for, answers as there, and keep-alives are batched by partition.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixTest qw(await_worker new_node psql_sqlstate);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $share = `pg_config --sharedir`;
chomp $share;
plan skip_all => 'PL/Proxy is not installed (Debian package postgresql-15-plproxy, or that of another version)'
  if !-f "$share/extension/plproxy.control";

my $directory = "$FindBin::RealBin/../../plproxy";
my @partition = map { new_node("partition$_") } 1, 2;
my $proxy = PostgreSQL::Test::Cluster->new('proxy');
$proxy->init;
$proxy->start;

sub location
{
	my ($node) = @_;

	return 'host=' . $node->host . ' port=' . $node->port . ' dbname=postgres';
}

my @location = map { location($_) } @partition;
for my $n (0, 1)
{
	await_worker($partition[$n], 'postgres');
	$partition[$n]->safe_psql('postgres', "SELECT atomix.place_partitions($n + 1,
		ARRAY['" . join("','", @location) . "'])");
}

#
# The SQL file is what the catalog makes of it.
#

my ($generated, $said);
is($partition[0]->psql('postgres', slurp_file("$directory/generate.sql"), stdout => \$generated), 0,
	'the SQL file can be generated');
is($generated, slurp_file("$directory/atomix_proxy.sql") =~ s/\n$//r,
	'atomix_proxy.sql is up to date (generate.sql tells how to make it)');
$proxy->command_ok([ 'psql', '-qX', '-d', $proxy->connstr('postgres'), '-f', "$directory/atomix_proxy.sql" ],
	'it installs the proxy');
$proxy->safe_psql('postgres', "
	CREATE SERVER atomix FOREIGN DATA WRAPPER plproxy
		OPTIONS (modular_mapping '1', p0 '$location[0]', p1 '$location[1]')");
my $me = getpwuid($>);
$proxy->safe_psql('postgres', qq{CREATE USER MAPPING FOR PUBLIC SERVER atomix OPTIONS (user '$me')});

sub sql { return $proxy->safe_psql('postgres', $_[0]); }

sub at { return $partition[ $_[0] - 1 ]->safe_psql('postgres', $_[1]); }

#
# Names: proxy and partitions agree.
#

my $names = q{SELECT string_agg(format('%s', atomix.partition_of(ns, ns || n)), '' ORDER BY n, ns)
	FROM generate_series(1, 40) AS n, (VALUES (''), ('shop'), ('Köln')) AS v (ns)};
my $agreed = sql($names);
is(at(1, $names), $agreed, 'partition 1 agrees with the proxy on names');
is(at(2, $names), $agreed, 'and so does partition 2');
like($agreed, qr/1.*2/, 'both have some');
sql("SELECT atomix.counter_set('c' || n, n) FROM generate_series(1, 40) AS n");
is(join('+', map { at($_, 'SELECT count(*) > 5 FROM atomix.counters') } 1, 2), 't+t', 'counters are spread');
is(at(1, 'SELECT count(*) FROM atomix.counters') + at(2, 'SELECT count(*) FROM atomix.counters'), 40,
	'each is on one');
is(sql("SELECT sum(atomix.counter_get('c' || n)) FROM generate_series(1, 40) AS n"), 820, 'and found again');
is(sql("SELECT prev_value FROM atomix.map_put_text('m', 'k', 'v')") . sql("SELECT atomix.map_get_text('m', 'k')"), 'v',
	'maps');
is(sql("SELECT key, value FROM atomix.map_entries_text('m')"), 'k|v', 'and sets of rows');

#
# Sessions are of a partition, which each call names.
#

my @session = map { sql("SELECT atomix.open_session('10 min', partition_id => $_)") } 1, 2;
is(at($_, "SELECT count(*) FROM atomix.sessions WHERE session_id = $session[$_ - 1] AND partition_id = $_"), 1,
	"a session is opened on partition $_") for 1, 2;
is(sql("SELECT atomix.keep_alive($_, $session[$_ - 1])"), '00:10:00', "and renewed on partition $_") for 1, 2;
is(psql_sqlstate($proxy, "SELECT atomix.keep_alive(2, $session[0])"), 'MX001', 'it is unknown on the other');
is(psql_sqlstate($proxy, "SELECT atomix.keep_alive($_, 1)"), '22023', "partition $_ does not exist")
  for 0, 3, 'NULL';
my ($name) = grep { sql("SELECT atomix.partition_of('', '$_')") == 2 } map { "l$_" } 1 .. 20;
is(sql("SELECT granted FROM atomix.lock_try($session[1], '$name')"), 't', 'a lock on the partition of its name');
is(psql_sqlstate($proxy, "SELECT atomix.lock_try($session[0], '$name')"), 'MX001',
	'for which the session must be of that partition');
my $second = sql("SELECT atomix.open_session('10 min', partition_id => 2)");
my $ticket = sql("SELECT ticket FROM atomix.lock_acquire($second, '$name')");
is(sql("SELECT atomix.close_session(2, $session[1])"), 't', 'the session that has it is closed');
is(sql("SELECT granted FROM atomix.wait_ticket(2, $second, $ticket)"), 't', 'and the next one gets it');
my ($counter) = grep { sql("SELECT atomix.partition_of('', '$_')") == 2 } map { "n$_" } 1 .. 20;
is(sql("SELECT atomix.counter_increment('$counter', session_id => $second, sequence_num => 1)"), 1,
	'a numbered call') for 1, 2;

#
# Keep-alives: one call for each partition, however many sessions.
#

my @many = map { my $p = $_; map { [ $p, $_ ] } split /\n/,
	  at($p, "SELECT atomix.open_session('10 min', partition_id => $p) FROM generate_series(1, 50)") } 1, 2;
# In no order at all, and some that are on the other partition or nowhere.
@many = sort { reverse($a->[1]) <=> reverse($b->[1]) } @many;
my @offset = map { -s $_->logfile } @partition;
my $answer = sql('SELECT partition_id, state, count(DISTINCT session_id), min(time_left)
	FROM atomix.keep_alive_many(ARRAY[' . join(',', map { $_->[0] } @many) . ",1,2],
		ARRAY[" . join(',', map { $_->[1] } @many) . ",5,$session[0]])
	GROUP BY 1, 2 ORDER BY 1, 2");
is($answer, "1|opened|50|00:10:00\n1|unknown|1|\n2|opened|50|00:10:00\n2|unknown|1|",
	'sessions of both partitions are renewed');
for my $n (0, 1)
{
	my $calls = () = slurp_file($partition[$n]->logfile, $offset[$n]) =~ /execute .*atomix\.keep_alive_many/g;

	is($calls, 1, 'by one call on partition ' . ($n + 1));
}

#
# Every function answers through the proxy as on the partition.
#

my $here = (grep { sql("SELECT atomix.partition_of('', '$_')") == 1 } map { "x$_" } 1 .. 20)[0];
my @calls = split /\n/, at(1, qq{
	SELECT p.proname, p.proargnames[1:p.pronargs] && ARRAY['partition_id']
			OR p.proargnames[1:p.pronargs] @> ARRAY['name', 'namespace'] AS as_it_is,
		(SELECT string_agg(CASE WHEN p.proargnames[i] = 'name' THEN quote_literal('$here')
			WHEN p.proargnames[i] = 'namespace' THEN '''''' WHEN p.proargnames[i] = 'services' THEN '''[]'''
			ELSE CASE t::regtype::text WHEN 'interval' THEN '''0''' WHEN 'jsonb' THEN '''{}'''
				WHEN 'bytea[]' THEN '''{""}''' WHEN 'bigint[]' THEN '''{1}''' WHEN 'bytea' THEN ''''''
				WHEN 'boolean' THEN 'false' WHEN 'text' THEN '''x''' ELSE '1' END END, ', ' ORDER BY i)
		 FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, i))
	FROM pg_proc p WHERE p.pronamespace = 'atomix'::regnamespace AND p.proname !~ '^_'
	ORDER BY 1});
my %proxied = map { $_ => 1 } split /\n/,
  sql(q{SELECT p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'plproxy'});
my @different;
my $compared = 0;
for (@calls)
{
	my ($function, $as_it_is, $arguments) = split /\|/, $_, 3;

	next if !$proxied{$function} || $function eq 'keep_alive_many';
	my $direct = psql_sqlstate($partition[0], "SELECT * FROM atomix.$function($arguments)");
	my $through = psql_sqlstate($proxy, "SELECT * FROM atomix.$function("
		  . ($as_it_is eq 't' ? $arguments : join(', ', 1, grep { $_ ne '' } $arguments)) . ')');
	push @different, "$function: $through, not $direct" if $direct ne $through;
	$compared++;
}
is_deeply(\@different, [], 'functions answer as on the partition');
cmp_ok($compared, '>', 60, 'and there are many');
is(sql(q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'atomix'::regnamespace
		AND proname IN ('assert_lock', 'assert_leader', 'fence', 'hold', 'once', 'listen_watch')}), 0,
	'none that holds until the end of the transaction pretends to');

#
# A proxy that is mistaken, and a partition that is away.
#

$proxy->safe_psql('postgres', "ALTER SERVER atomix OPTIONS (SET p0 '$location[1]', SET p1 '$location[0]')");
is(psql_sqlstate($proxy, "SELECT atomix.counter_get('$counter')"), 'MX010',
	'a partition refuses what is for another');
$proxy->psql('postgres', "SELECT atomix.counter_get('$counter')", stderr => \$said);
like($said, qr/partition 2 is elsewhere: \Q$location[1]\E/, 'and says where that is');
$proxy->safe_psql('postgres', "ALTER SERVER atomix OPTIONS (SET p0 '$location[0]', SET p1 '$location[1]')");
is(sql("SELECT atomix.counter_get('$counter')"), 1, 'a proxy that was set right');
$partition[1]->stop;
isnt(psql_sqlstate($proxy, "SELECT atomix.counter_get('$counter')"), '00000', 'a partition that is away');
is(sql("SELECT atomix.keep_alive(1, $session[0])"), '00:10:00', 'does not matter to the other');
$partition[1]->start;
is(sql("SELECT atomix.keep_alive(2, $second)"), '00:10:00', 'and its sessions go on when it is back');

$_->stop for $proxy, @partition;
done_testing();
