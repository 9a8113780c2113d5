# What any run of a feed must hold.  An event is [revision, type, key, value,
# prev_value, transaction], values as hex digits and undef for null; the
# transaction is 0 where it is not known.

package AtomixFeed;

use strict;
use warnings;

use Exporter 'import';

use AtomixWire;

our @EXPORT_OK = qw(check_feed check_resume outputs_as_events read_events
  rebuild_counter rebuild_map replay_map replay_counter replay_locks
  watch_from);

my $SEPARATOR = "\x1f";

# Events of a query's answer: fields separated by $SEPARATOR.
sub parse
{
	my ($text) = @_;

	return map {
		[ map { $_ eq '~' ? undef : $_ } split(/$SEPARATOR/, $_, -1) ]
	} split(/\n/, $text);
}

# Select events from a relation that has the columns of watch().
sub event_query
{
	my ($relation, $xid) = @_;

	return "SELECT concat_ws(E'\\x1f', w.revision, w.type, coalesce(w.key, '~'),
			coalesce(encode(w.value, 'hex'), '~'),
			coalesce(encode(w.prev_value, 'hex'), '~'), $xid)
		FROM $relation w";
}

# Events of a service after a revision; the function that runs a query is
# given.
sub watch_from
{
	my ($run, $name, $from, $rows) = @_;

	$rows //= 1000;
	return parse($run->(event_query("atomix.watch('$name', $from, max_rows => $rows)", 0)));
}

# All that is kept of a service, with the transactions that wrote it.
sub read_events
{
	my ($run, $name) = @_;

	return parse($run->(event_query("(SELECT e.* FROM atomix.event e
		JOIN atomix.service s USING (service_id) WHERE s.name = '$name'
		ORDER BY e.revision)", 'w.xid')));
}

# What is wrong with events that were read one after the other from a
# position on, up to the newest revision if that is given: '' if nothing.
sub check_feed
{
	my ($from, $newest, @events) = @_;
	my %closed;
	my $writer = '';

	for my $event (@events)
	{
		my $revision = $event->[0];

		return "revision $revision is there twice, or out of order"
		  if $revision <= $from;
		return "revision $revision follows $from" if $revision != $from + 1;
		$from = $revision;

		my $xid = $event->[5];
		next if !$xid || $xid eq $writer;
		return "transaction $xid is torn apart at revision $revision"
		  if $closed{$xid};
		$closed{$writer} = 1 if $writer ne '';
		$writer = $xid;
	}
	return "the feed ends at $from, not at $newest"
	  if defined $newest && $from != $newest;
	return '';
}

sub event_text
{
	my ($event) = @_;

	return join('|', map { $_ // '~' } @$event[ 0 .. 4 ]);
}

# Reading again from any position gives the rest of what was read: '' if so.
# Positions are [from, events of the second reading].
sub check_resume
{
	my ($events, @again) = @_;

	for my $resumed (@again)
	{
		my ($from, @rest) = @$resumed;
		my @suffix = grep { $_->[0] > $from } @$events;

		# The second reading may have come further or been cut short.
		splice(@rest, scalar(@suffix)) if @rest > @suffix;
		for my $n (0 .. $#rest)
		{
			return "resumed from $from: " . event_text($rest[$n]) . ', not ' . event_text($suffix[$n])
			  if event_text($rest[$n]) ne event_text($suffix[$n]);
		}
	}
	return '';
}

# A map as its events tell it, from what it was at the beginning: keys and
# values.  Dies where an event does not fit what was before.
sub replay_map
{
	my ($map, @events) = @_;

	for (@events)
	{
		my ($revision, $type, $key, $value, $before) = @$_;

		die "revision $revision: $type of $key, which is "
		  . ($map->{$key} // 'absent') . ' and not ' . ($before // 'absent')
		  if ($map->{$key} // 'absent') ne ($before // 'absent');
		if ($type eq 'inserted' || $type eq 'updated')
		{
			$map->{$key} = $value;
		}
		elsif ($type eq 'removed' || $type eq 'expired')
		{
			delete $map->{$key};
		}
		else
		{
			die "revision $revision: a map knows no $type";
		}
	}
	return $map;
}

# The value of a counter.
sub replay_counter
{
	my ($number, @events) = @_;

	for (@events)
	{
		my ($revision, $type, undef, $value, $before) = @$_;

		die "revision $revision: a counter knows no $type" if $type ne 'set';
		die "revision $revision: the counter was $number, not " . pack('H*', $before)
		  if pack('H*', $before) != $number;
		$number = pack('H*', $value);
	}
	return $number;
}

# Who has claims of a lock: granted or queued by session.  At most one is
# granted, and tokens rise.
sub replay_locks
{
	my ($claims, @events) = @_;
	my $token = 0;

	for (@events)
	{
		my ($revision, $type, $key, $value) = @$_;
		my $was = $claims->{$key} // 'none';

		if ($type eq 'queued')
		{
			die "revision $revision: $key was $was" if $was ne 'none';
			$claims->{$key} = 'queued';
		}
		elsif ($type eq 'granted')
		{
			die "revision $revision: granted to $key, which was $was" if $was eq 'granted';
			die "revision $revision: granted twice"
			  if grep { $_ eq 'granted' } values %$claims;
			die "revision $revision: an old token" if pack('H*', $value) <= $token;
			$token = pack('H*', $value);
			$claims->{$key} = 'granted';
		}
		elsif ($type eq 'released' || $type eq 'withdrawn')
		{
			my $expected = $type eq 'released' ? 'granted' : 'queued';

			die "revision $revision: $type by $key, which was $was" if $was ne $expected;
			delete $claims->{$key};
		}
		else
		{
			die "revision $revision: a lock knows no $type";
		}
	}
	return $claims;
}

#
# Streams.  Their outputs are events, too, with their number for a revision:
# dense from 1 on, so that check_feed and check_resume hold of them.
#

my %event_type = (
	INSERT => 'inserted',
	UPDATE => 'updated',
	REMOVE => 'removed',
	REPLAY => 'replay');

# Outputs of a stream of map or counter events, [number, kind, bytes, index],
# as events.  What opens or closes it has its kind for a type.  The last column
# is the transaction, by index, as far as it is given.
sub outputs_as_events
{
	my ($type, $writers, @outputs) = @_;

	return map {
		my ($num, $kind, $bytes, $index) = @$_;
		my $change = $kind eq 'response' ? AtomixWire::change($type, $bytes) : {};
		my $entry = $change->{entry} // {};
		my @values = $type eq 'map' ? ($entry->{value}{value} // '') :
		  map { $change->{$_} // 0 } 'value', 'prev_value';

		%$change
		  ? [ $num, $event_type{ $change->{type} }, $entry->{key},
			(map { unpack('H*', $_) } @values)[ 0, 1 ], $writers->{$index} // 0 ]
		  : [ $num, $kind, undef, undef, undef, 0 ];
	} @outputs;
}

# A map as a stream tells it that began with what there was.  Dies where an
# output does not fit what was before.
sub rebuild_map
{
	my (@events) = @_;
	my %map;
	my $replayed = 0;

	for (@events)
	{
		my ($num, $type, $key, $value) = @$_;
		my $was = defined $key ? $map{$key} : undef;

		next if $type eq 'open';
		die "output $num: replay after a change" if $type eq 'replay' && $replayed;
		$replayed = 1 if $type ne 'replay';
		die "output $num: $type of $key, which is " . ($was // 'absent')
		  if $type =~ /^(replay|inserted)$/ ? defined $was : !defined $was;
		die "output $num: removed $value, not $was" if $type eq 'removed' && $was ne $value;
		$map{$key} = $value;
		delete $map{$key} if $type eq 'removed';
	}
	return \%map;
}

# The value of a counter, likewise.
sub rebuild_counter
{
	my (@events) = @_;
	my $number;

	for (@events)
	{
		my ($num, $type, undef, $value, $before) = @$_;

		next if $type eq 'open';
		die "output $num: replay after a change" if $type eq 'replay' && defined $number;
		die "output $num: the counter was $number, not " . pack('H*', $before)
		  if $type ne 'replay' && pack('H*', $before) != $number;
		$number = pack('H*', $value);
	}
	return $number;
}

1;
