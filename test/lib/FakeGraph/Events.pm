# Mailboxes, calendars, events and their occurrences; and an event as Graph
# writes it.  Every change gets a number in its mailbox, which delta queries
# count by.
package FakeGraph::Events;

use Mojo::Base 'FakeGraph::Oauth', -signatures;
use FakeGraph::Rules qw(instant_of property_id);
use FakeGraph::Zones qw(zone_of);
use FakePeer::Answer qw(answer random_text random_word);
use FakePeer::Rules qw(iso_time local_instant local_text);
use Mojo::JSON qw(true false);
use Mojo::Util qw(xml_escape);
use POSIX ();
use Time::HiRes ();

has mailboxes => sub { {} };
has events => sub { {} };       # by the id that stays
has by_regular => sub { {} };   # the other id => the one that stays
has on_change => sub { sub { } };

my $DAY = 86400;
my $FAR = 30 * 365 * $DAY;
my @WEEKDAYS = qw(sunday monday tuesday wednesday thursday friday saturday);

sub failure ($status, $code, $message, %headers)
{
	return answer(
		$status,
		{
			error => {
				code => $code,
				message => $message,
				innerError => {
					date => iso_time(time) =~ s/Z$//r,
					'request-id' => random_word(12),
					'client-request-id' => random_word(12)
				}
			}
		},
		%headers);
}

sub not_found () { return failure(404, 'ErrorItemNotFound', 'The specified object was not found in the store.') }

# ---- mailboxes

# Opaque, with characters that an address has to escape
sub new_id ($prefix)
{
	return $prefix . (random_text(36) =~ tr{+/}{-_}r) . '=';
}

sub mailbox ($self, $address)
{
	$address = lc $address;
	return $self->mailboxes->{$address} //= do
	{
		my $first = new_id('AQMkC');
		{
			address => $address,
			seq => 0,
			gone => [],
			transactions => {},
			first => $first,
			calendars => { $first => 'Calendar' }
		};
	};
}

# The id of a calendar by its id or name (the first if undefined), or undefined
sub calendar_of ($box, $name)
{
	return $box->{first} if !defined $name;
	return $name if $box->{calendars}{$name};
	return (grep { $box->{calendars}{$_} eq $name } sort keys %{ $box->{calendars} })[0];
}

# ---- occurrences

sub occurrence ($ev, $date, $start, $end)
{
	my $x = $ev->{exceptions}{$date} // {};

	return {
		ev => $ev,
		date => $date,
		original => $start,
		id => $ev->{id} =~ s/=$/_$date=/r,
		regular => $ev->{regular} =~ s/=$/_$date=/r,
		type => %$x ? 'exception' : 'occurrence',
		start => $x->{start} // $start,
		end => $x->{end} // $end,
		fields => { %{ $ev->{fields} }, %{ $x->{fields} // {} } }
	};
}

# Dates of a daily or weekly series, from its range
sub dates_of ($ev, $until)
{
	my ($pattern, $range) = @{ $ev->{recurrence} }{qw(pattern range)};
	my %on = map { $_ => 1 } @{ $pattern->{daysOfWeek} // [] };
	my $first = local_instant("$range->{startDate}T12:00:00", 'UTC');
	my $last = ($range->{type} // '') eq 'endDate' ? local_instant("$range->{endDate}T12:00:00", 'UTC') : $until;
	my $limit = ($range->{type} // '') eq 'numbered' ? $range->{numberOfOccurrences} : 1000;
	my $every = $pattern->{interval} // 1;
	my $week = $first - (gmtime $first)[6] * $DAY;
	my @dates;

	$last = $until if $last > $until;
	for (my $at = $first; $at <= $last && @dates < $limit; $at += $DAY)
	{
		next if $pattern->{type} eq 'daily' && (($at - $first) / $DAY) % $every;
		next if $pattern->{type} eq 'weekly'
		  && (int(($at - $week) / (7 * $DAY)) % $every || !$on{ $WEEKDAYS[ (gmtime $at)[6] ] });
		push @dates, POSIX::strftime('%Y-%m-%d', gmtime $at);
	}
	return @dates;
}

# What an event is in a calendar: itself, or its occurrences
sub instances ($ev, $until)
{
	my @all;

	return () if $ev->{deleted};
	return $ev->{instance} //= {
		ev => $ev,
		id => $ev->{id},
		regular => $ev->{regular},
		type => 'singleInstance',
		start => $ev->{start},
		end => $ev->{end},
		fields => $ev->{fields}
	  }
	  if !$ev->{recurrence};

	my $zone = zone_of($ev->{start_zone});
	my ($wall) = local_text($ev->{start}, $zone);
	for my $date (dates_of($ev, $until))
	{
		my $start = local_instant($date . 'T' . ($wall =~ s/^.*T//r), $zone);
		my $length = $ev->{end} - $ev->{start};

		next if $ev->{exceptions}{$date} && $ev->{exceptions}{$date}{deleted};
		push @all, occurrence($ev, $date, $start, $start + $length);
	}
	return @all;
}

sub is_in ($i, $from, $to)
{
	return $i->{start} < $to && ($i->{end} > $from || $i->{start} >= $from);
}

# The event of an id (either sort, also of an occurrence) in a mailbox, and the
# occurrence
sub find ($self, $box, $id)
{
	my ($plain, $date) = $id =~ /^(.+)_(\d{4}-\d\d-\d\d)=$/ ? ("$1=", $2) : ($id, undef);
	my $ev = $self->events->{$plain} // $self->events->{ $self->by_regular->{$plain} // '' };

	return (undef, undef) if !$ev || $ev->{deleted} || $ev->{mailbox} ne $box->{address};
	return ($ev, undef) if !defined $date;
	my ($i) = grep { $_->{date} eq $date } instances($ev, time + $FAR);
	return $i ? ($ev, $i) : (undef, undef);
}

# ---- an event as Graph writes it

sub time_value ($epoch, $zone)
{
	my ($wall) = local_text($epoch, zone_of($zone) // 'UTC');

	return { dateTime => "$wall.0000000", timeZone => $zone };
}

# A whole day has no zone: midnights, whatever zone is asked for
sub day_value ($ev, $epoch, $zone)
{
	my ($wall) = local_text($epoch, zone_of($ev->{start_zone}));

	return { dateTime => "$wall.0000000", timeZone => $zone };
}

sub plain_text ($body)
{
	my $text = $body->{contentType} eq 'html' ? $body->{content} =~ s/<[^>]*>//gr : $body->{content};

	return substr $text =~ s/\r?\n/\r\n/gr, 0, 255;
}

# With what an order has put in its place
sub shape ($self, $i, $want)
{
	my $raw = $i->{ev}{raw} // return $self->true_shape($i, $want);
	my %e = (%{ $self->true_shape($i, $want) }, %$raw);

	delete @e{ grep { !defined $raw->{$_} } keys %$raw };
	return \%e;
}

# want: immutable, zone, expand (the comparable id of a property), bare
sub true_shape ($self, $i, $want)
{
	my $ev = $i->{ev};
	my $f = $i->{fields};
	my @when = map { $f->{isAllDay} ? day_value($ev, $_, $want->{zone}) : time_value($_, $want->{zone}) }
	  @$i{qw(start end)};
	my %master = $i->{date}
	  ? (
		seriesMasterId => $want->{immutable} ? $ev->{id} : $ev->{regular},
		originalStart => iso_time($i->{original}))
	  : ();
	my %e = (
		'@odata.etag' => "W/\"$ev->{change_key}\"",
		id => $want->{immutable} ? $i->{id} : $i->{regular},
		type => $i->{type},
		start => $when[0],
		end => $when[1]);

	return { %e, %master } if $want->{bare} && $i->{type} eq 'occurrence';
	my $body = $f->{body} // { contentType => 'html', content => '' };
	return {
		%e, %master,
		changeKey => $ev->{change_key},
		createdDateTime => iso_time($ev->{created}),
		lastModifiedDateTime => iso_time($ev->{modified}),
		iCalUId => $ev->{ical_uid} . ($i->{date} // ''),
		transactionId => $ev->{transaction},
		subject => $f->{subject} // '',
		bodyPreview => plain_text($body),
		body => $body->{contentType} eq 'html' ? $body : html_of($body),
		location => { locationType => 'default', displayName => '', %{ $f->{location} // {} } },
		originalStartTimeZone => $ev->{start_zone},
		originalEndTimeZone => $ev->{end_zone},
		isAllDay => $f->{isAllDay} ? true : false,
		isCancelled => $f->{isCancelled} ? true : false,
		isOrganizer => $f->{organizer} ? false : true,
		isOnlineMeeting => $f->{isOnlineMeeting} ? true : false,
		isReminderOn => $f->{isReminderOn} // true,
		isDraft => false,
		responseRequested => $f->{responseRequested} // true,
		responseStatus => {
			response => $f->{response} // ($f->{organizer} ? 'notResponded' : 'organizer'),
			time => '0001-01-01T00:00:00Z'
		},
		organizer => { emailAddress => { address => $f->{organizer} // $ev->{mailbox}, name => 'Somebody' } },
		attendees => $f->{attendees} // [],
		categories => $f->{categories} // [],
		importance => $f->{importance} // 'normal',
		sensitivity => $f->{sensitivity} // 'normal',
		showAs => $f->{showAs} // 'busy',
		recurrence => $i->{type} eq 'seriesMaster' ? $ev->{recurrence} : undef,
		onlineMeeting => undef,
		webLink => "https://outlook.example/owa/?itemid=$ev->{regular}",
		defined $want->{expand} && defined $ev->{properties}{ $want->{expand} }
		? (
			singleValueExtendedProperties =>
			  [ { id => $want->{expand}, value => $ev->{properties}{ $want->{expand} } } ])
		: ()
	};
}

# Graph keeps text, but gives it back as a page
sub html_of ($body)
{
	my $text = xml_escape($body->{content}) =~ s/\r?\n/<br>\r\n/gr;

	return {
		contentType => 'html',
		content => "<html><head></head><body><div class=\"PlainText\">$text</div></body></html>"
	};
}

# The event itself, also a series
sub self_of ($ev)
{
	return {
		ev => $ev,
		id => $ev->{id},
		regular => $ev->{regular},
		type => $ev->{recurrence} ? 'seriesMaster' : 'singleInstance',
		start => $ev->{start},
		end => $ev->{end},
		fields => $ev->{fields}
	};
}

# ---- changes

# What was there and is no more, for delta queries
sub note_gone ($self, $box, $calendar, @before)
{
	push @{ $box->{gone} }, { seq => $box->{seq}, calendar => $calendar, id => $_->{id}, regular => $_->{regular} }
	  for @before;
	return;
}

# Change an event by code; how: created, updated or deleted, by: app or user,
# silent: neither notifications nor delta queries know of it
sub change ($self, $ev, $how, $by, $silent, $code)
{
	my $box = $self->mailbox($ev->{mailbox});
	my $until = time + $FAR;
	my $calendar = $ev->{calendar};
	my @before = $ev->{version} ? instances($ev, $until) : ();

	$code->();
	delete $ev->{instance};
	$ev->{version}++;
	$ev->{change_key} = random_text(18);
	$ev->{modified} = Time::HiRes::time();
	$ev->{by} = $by;
	push @{ $ev->{history} }, { at => $ev->{modified}, what => $how, by => $by };
	return $ev if $silent;
	$ev->{seq} = ++$box->{seq};
	my %after = map { $_->{id} => 1 } $ev->{calendar} eq $calendar ? instances($ev, $until) : ();
	$self->note_gone($box, $calendar, grep { !$after{ $_->{id} } } @before);
	$self->on_change->($box, $ev, $how);
	return $ev;
}

# Put the fields of a body into an event
sub take ($ev, $json)
{
	my %own = map { $_ => 1 } qw(start end transactionId singleValueExtendedProperties recurrence);

	for my $k (qw(start end))
	{
		next if !$json->{$k};
		$ev->{$k} = instant_of($json->{$k});
		$ev->{"${k}_zone"} = $json->{$k}{timeZone};
	}
	$ev->{recurrence} = $json->{recurrence} if exists $json->{recurrence};
	$ev->{properties}{ property_id($_->{id}) } = $_->{value}
	  for @{ $json->{singleValueExtendedProperties} // [] };
	$ev->{fields} = { %{ $ev->{fields} }, map { $_ => $json->{$_} } grep { !$own{$_} } keys %$json };
	return;
}

sub add_event ($self, $box, $calendar, $json, $by, $silent = 0)
{
	my $ev = {
		id => new_id('AAkALg'),
		mailbox => $box->{address},
		calendar => $calendar,
		created => Time::HiRes::time(),
		created_by => $by,
		ical_uid => '040000008200E00074C5B7101A82E008' . uc unpack('H*', random_word(16)),
		transaction => $json->{transactionId},
		fields => {},
		properties => {},
		exceptions => {},
		history => [],
		seq => 0,
		version => 0
	};

	$self->change($ev, 'created', $by, $silent, sub
	{
		take($ev, $json);
		$self->rename_event($ev);
		$self->events->{ $ev->{id} } = $ev;
		push @{ $box->{list} }, $ev;
	});
	return $ev;
}

# The other id: new with every move
sub rename_event ($self, $ev)
{
	delete $self->by_regular->{ $ev->{regular} } if defined $ev->{regular};
	$ev->{regular} = new_id('AAMkAG');
	$self->by_regular->{ $ev->{regular} } = $ev->{id};
	return;
}

sub remove_event ($self, $ev, $by, $silent = 0)
{
	return $self->change($ev, 'deleted', $by, $silent, sub { $ev->{deleted} = Time::HiRes::time() });
}

1;
