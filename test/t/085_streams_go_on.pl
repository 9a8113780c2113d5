# After a promotion streams go on for clients that say what they have received,
# without gap and with nothing twice, also over what was changed before they
# came back; for others they do not.  Standbys that lack events are in t/081.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AtomixBloom qw(document new_filter);
use AtomixTest qw(advance_clock await_rest new_node open_session psql_sqlstate);
use AtomixV0;
use AtomixWire qw(keep_alive_input);
use Test::More;

my $node = new_node('server', 'autovacuum = off', 'max_prepared_transactions = 4',
	'wal_level = replica', "atomix.event_retention = '1 h'", 'atomix.event_retention_count = 1000');
my $terms = 1;
my %number;

sub run { return $node->safe_psql('postgres', $_[0]); }

sub sqlstate { return psql_sqlstate($node, $_[0]); }

# The next stream of a session, of a service by its name; returns its number.
sub new_stream
{
	my ($session, $type, $name, $operation) = @_;

	$number{$session}++;
	is(run("SELECT o.status = CASE WHEN '$operation' LIKE '\\\\x4a%' THEN 'OK' ELSE 'RUNNING' END
			FROM atomix.create_service($session, '$type', '$name') AS id,
			atomix.command($session, id, '$operation', $number{$session}) AS o"),
		't', "$name: a stream");
	return $number{$session};
}

# What a stream has to tell: [number, index] of each output.
sub outputs
{
	my ($session, $number) = @_;

	return map { [ split /\|/ ] } split /\n/, run("SELECT output_num, index
		FROM atomix.fetch_outputs($session, $number) ORDER BY output_num");
}

sub numbers { return join(' ', map { $_->[0] } outputs(@_)); }

sub resume
{
	my ($session, $number, $received) = @_;
	my $arguments = join(', ', $session, $number, $received ? @$received : ());

	return sqlstate("SELECT atomix.resume_stream($arguments)");
}

sub put
{
	my ($name, $key, $count) = @_;

	run("SELECT count(atomix.map_put_text('$name', '$key', clock_timestamp()::text || n))
		FROM generate_series(1, $count) AS n");
	return;
}

sub add
{
	my ($name, $count) = @_;

	run("SELECT count(atomix.counter_increment('$name')) FROM generate_series(1, $count)");
	return;
}

# The server comes back as one that was a standby and was promoted.
sub promote
{
	$node->stop;
	$node->set_standby_mode;
	$node->start;
	$node->promote;
	$terms++;
	$node->poll_query_until('postgres', "SELECT term = $terms FROM atomix.partitions")
	  or die 'nobody takes over';
	return;
}

my $session = open_session($node, '1 d');

put('m', 'k', 2);
my $all = new_stream($session, 'map', 'm', '\x4200');
my $of_key = new_stream($session, 'map', 'm', '\x42030a016b');
my $replay = new_stream($session, 'map', 'm', '\x42021001');
my $listed = new_stream($session, 'map', 'm', '\x4a00');
my $quiet = new_stream($session, 'counter', 'q', '\x4200');
my $count = new_stream($session, 'counter', 'c', '\x4200');
my $prepared = new_stream($session, 'map', 'p', '\x4200');
put('m', 'k', 2);
put('m', 'other', 3);
add('c', 5);
run("SELECT atomix.ack($session, $all, 2), atomix.ack($session, $of_key, 3),
	atomix.ack($session, $quiet, 1)");
my @before = outputs($session, $all);
my @replayed = outputs($session, $replay);
my @listing = outputs($session, $listed);
my $position = run("SELECT max(revision) FROM atomix.watch('m')");
run("BEGIN; SELECT atomix.map_put_text('p', 'k', '1'); PREPARE TRANSACTION 'open'");

promote();

#
# What is changed before the client is there again.
#

put('m', 'k', 2);
is(sqlstate("SELECT atomix.fetch_outputs($session, $_)"), 'MX007', "stream $_ waits to be resumed")
  for $all, $of_key, $replay, $quiet, $count, $prepared;
is(sqlstate("SELECT atomix.fetch_outputs_many($session)"), 'MX007', 'so it is for all at once');
is(run("SELECT atomix.wait_events($session, '0')"), 't', 'which is to be told');
is(numbers($session, $listed), join(' ', map { $_->[0] } @listing), 'one that had ended needs nothing');

{
	my $psql = $node->background_psql('postgres', on_error_stop => 0);
	my @messages = AtomixV0->new($psql)->fetch(session => $session);

	is_deeply([ map { "$_->{stream_id} $_->{type} " . ($_->{message} =~ /^([A-Z]+):/ ? $1 : $_->{status}) }
			grep { $_->{type} eq 'CLOSE_STREAM' } @messages ],
		[ map { "$_ CLOSE_STREAM " . ($_ == $listed ? 'OK' : 'CONFLICT') }
			$all, $of_key, $replay, $listed, $quiet, $count, $prepared ],
		'a client of the first generation hears of each stream');
	is(scalar(grep { $_->{stream_id} == $listed } @messages), scalar(@listing), 'and has what one tells');
	$psql->quit;
}

is(sqlstate("SELECT atomix.ack($session, $all, 3)"), 'MX007', 'nothing is acknowledged meanwhile');
is(sqlstate("SELECT atomix.ack_many($session, '{$all}', '{3}')"), 'MX007', 'nor at once');
is(sqlstate("SELECT atomix.ack($session, $all, 2)"), '00000', 'what was, is');
{
	my $wire = AtomixWire->new($node->background_psql('postgres', on_error_stop => 0));
	my $pending = document(new_filter(10007, 7, 1 .. $prepared));

	is($wire->apply(keep_alive_input($session, $prepared, $pending, { $all => 3 }))->{status},
		'OK', 'a keep-alive is taken');
	is(run("SELECT acked FROM atomix.stream WHERE session_id = $session AND sequence_num = $all"),
		2, 'and acknowledges none of it');
	$wire->psql->quit;
}
ok(run("SELECT atomix.keep_alive($session)"), 'and the session is alive');

#
# Who may go on.
#

my ($last, $index) = @{ $before[-1] };
is(resume($session, $all, [ $last, $index - 1 ]), 'MX007', 'an index that is not its own');
is(resume($session, $all, [ $last + 3, $index ]), 'MX007', 'a number that there is not');
is(resume($session, $all, [ $last - 1, $index ]), 'MX007', 'or is another\'s');
is(resume($session, 99), 'MX007', 'a stream that there is not');
is(resume($session, $all, [ $last, 'NULL' ]), '22004', 'no index');
is(resume($session, 0), '22023', 'no number');
is(resume($session, $all, [ -1, 1 ]), '22023', 'a negative number');
is(resume(7, 1), 'MX001', 'no session');
is(sqlstate("SELECT atomix.fetch_outputs($session, $all)"), 'MX007', 'none of these resumes it');

is(resume($session, $all, [ $last, $index ]), '00000', 'what was received is there');
my @after = outputs($session, $all);
is_deeply([ @after[ 0 .. $#before ] ], \@before, 'so is all that was to be told');
is(join(' ', map { $_->[0] } @after), join(' ', 3 .. $last + 2),
	'and what was changed since, without gap');
cmp_ok($after[$#before + 1][1], '>', $index, 'with greater indexes');
run("SELECT atomix.ack($session, $all, $last + 1)");
is(numbers($session, $all), $last + 2, 'it is acknowledged as before');
is(resume($session, $all, $after[-1]), '00000', 'resuming it once more does no harm');
is(resume($session, $all, [ $last + 2, $index ]), 'MX007', 'but tells what is lost');

is(resume($session, $of_key), '00000', 'a client that knows what is acknowledged, and no more');
is(numbers($session, $of_key), '4 5', 'gets what follows');

is(resume($session, $replay, [ $replayed[1][0], $replayed[1][1] + 1 ]), 'MX007',
	'a replay of something else');
is(resume($session, $replay, $replayed[0]), '00000', 'a client that got no further than the beginning');
is(join(' ', map { "@$_" } (outputs($session, $replay))[ 0 .. $#replayed ]),
	join(' ', map { "@$_" } @replayed), 'gets the same');

is(resume($session, $quiet), '00000', 'a stream without news');
is(numbers($session, $quiet), '', 'has none');

#
# Watchers by revision begin anew.
#

is(sqlstate("SELECT atomix.watch('m', $position)"), 'MX007', 'a position of before');
is(run("SELECT count(*) FROM atomix.watch('m')"), 2, 'only what is of this history is shown');
is(run("SELECT count(*) FROM atomix.watch('m', (SELECT min(revision) FROM atomix.watch('m')))"), 1,
	'and gone on from');

#
# A prepared transaction holds its service, not the server; its stream ends.
#

is(resume($session, $prepared), 'MX007', 'a service that nobody could look after');
run("COMMIT PREPARED 'open'");
is(resume($session, $prepared), 'MX007', 'has lost its feed');
is(run("SELECT atomix.map_get_text('p', 'k')"), 1, 'though no change');
run("SELECT atomix.ack($session, $prepared)");

#
# Retention counts events, not the revisions between two histories.
#

sub retire
{
	advance_clock($node, '20 min');
	await_rest($node);
	return;
}

add('c', 3);
$node->append_conf('postgresql.conf', 'atomix.event_retention_count = 8');
$node->reload;
retire();
is(resume($session, $count), '00000', 'as many as are kept');
is(numbers($session, $count), '1 2 3 4 5 6 7 8 9', 'are kept');
add('c', 1);
retire();
is(numbers($session, $count), '11', 'one more is too many: the end has the number that follows');

#
# A second promotion.
#

add('q', 1);
my @news = outputs($session, $quiet);
promote();
is(sqlstate("SELECT atomix.fetch_outputs($session, $quiet)"), 'MX007', 'is one more to be resumed after');
is(resume($session, $quiet, $news[-1]), '00000', 'which goes on as before');
run("SELECT atomix.ack($session, $quiet, 2)");
$number{$session} = $prepared;
my $other = open_session($node, '1 d');
my $waiting = new_stream($other, 'counter', 'q', '\x4200');
run("SELECT atomix.ack($other, $waiting, 1)");
is(run("SELECT atomix.wait_events($other, '0')"), 'f', 'who has read all waits');
add('q', 1);
is(numbers($session, $quiet), 3, 'the next has the next number');

promote();
is(resume($other, $waiting), '00000', 'who has not read all');
is(run("SELECT atomix.wait_events($other, '0')"), 't', 'need not wait');
run("SELECT atomix.ack($other, $waiting, 2)");
promote();
is(run("SELECT atomix.wait_events($other, '0')"), 't', 'nor who is to resume');
is(resume($other, $waiting), '00000', 'who then has read all');
is(run("SELECT atomix.wait_events($other, '0')"), 'f', 'waits');

$node->stop;
done_testing();
