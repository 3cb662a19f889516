# What the fake Graph does when it is asked, and the orders of users; options.
package FakeGraph::Store;

use Mojo::Base 'FakeGraph::Views', -signatures;
use FakeGraph::Rules qw(instant_of preferences);
use FakeGraph::Zones qw(zone_of);
use FakePeer::Answer qw(answer);
use FakePeer::Rules qw(iso_time local_instant local_text);
use POSIX ();
use Time::HiRes ();

has options => sub { default_options() };
has base => 'http://127.0.0.1';

my $INVALID = 'ErrorInvalidRequest';

sub default_options ()
{
	return {
		# the identity platform
		tenants => [qw(common organizations tenant-1)],
		oauth_clients => [
			{
				client_id => 'app-1',
				client_secret => 'app-secret-1',
				redirect_uris => ['https://clinic.example/api/calendar-sync/outlook/callback'],
				user => 'user1@clinic.example'
			}
		],
		oauth_user => '',
		oauth_code_s => 600,
		oauth_deny => 0,
		oauth_no_refresh => 0,
		oauth_deny_scopes => [],
		expires_in => 3600,
		refresh_life_s => 90 * 86400,
		refresh_once => 0,
		# answers
		transaction_repeat => 'original',
		transaction_of_deleted => 'conflict',
		conflict_status => 412,
		bare_occurrences => 0,
		delta_repeats => 0,
		delta_empty_page => 0,
		delta_forgets_removed => 0,
		outside_reason => 'deleted',
		sync_lost => 'not_found',
		link_base => '',
		strict_calendar_path => 0,
		latency_ms => 0,
		date_skew_s => 0,
		# limits; 0 = none
		mailbox_concurrency => 4,
		concurrency_retry_after => 1,
		rate => { requests => 0, seconds => 600 },
		subscription_max_minutes => 4230,
		# notifications
		callback_map => {},
		allow_http_callbacks => 0,
		notify_delay_ms => 20,
		notify_batch => 20,
		notify_together => 1,
		notify_lost => 0,
		notify_twice => 0,
		notify_retries => 3,
		notify_retry_ms => 200,
		# what is a misuse
		canaries => [],
		allow_attendees => 0,
		required_present => [qw(subject start end transactionId singleValueExtendedProperties)],
		log_limit => 50_000
	};
}

sub forget ($self)
{
	$self->mailboxes({})->events({})->by_regular({})->links({})->delta_dies_at(0);
	$self->tokens({})->codes({})->refresh_tokens({})->token_calls(0);
	delete $self->{throttled};
	return;
}

# ---- limits

# A refusal, if this mailbox may not be asked now; failed tries count too
sub throttle ($self, $box, $in_flight)
{
	my $o = $self->options;
	my $now = Time::HiRes::time();
	my $t = $self->{throttled}{ $box->{address} };
	my $rate = $o->{rate};
	my $times = $box->{times} //= [];

	if ($t && $now < $t->{until})
	{
		$t->{refused}++;
		return slow_down('Application is over its quota of requests.', $t->{retry_after});
	}
	return slow_down('Application is over its MailboxConcurrency limit.', $o->{concurrency_retry_after})
	  if $o->{mailbox_concurrency} && $in_flight > $o->{mailbox_concurrency};
	return undef if !$rate->{requests};
	shift @$times while @$times && $times->[0] <= $now - $rate->{seconds};
	push @$times, $now;
	return @$times > $rate->{requests}
	  ? slow_down('Application is over its quota of requests.', POSIX::ceil($times->[0] + $rate->{seconds} - $now))
	  : undef;
}

sub slow_down ($message, $seconds)
{
	return FakeGraph::Events::failure(429, 'ApplicationThrottled', $message,
		$seconds ? ('Retry-After' => $seconds) : ());
}

# An order: this mailbox refuses for so many seconds
sub set_throttle ($self, $in)
{
	my $t = $self->{throttled}{ lc $in->{user} } //= { refused => 0 };

	@$t{qw(until retry_after)} = (Time::HiRes::time() + ($in->{seconds} // 0), $in->{retry_after});
	return $t;
}

# ---- operations

# user of the token, route, request, body; an answer
sub perform ($self, $box, $route, $req, $json)
{
	my ($who, $name, $id) = @{ $route->{args} };
	my $do = {
		'GET calendars' => 'list_calendars',
		'GET calendar' => 'get_calendar',
		'POST getSchedule' => 'get_schedule',
		'GET calendarView' => 'view',
		'GET calendarView/delta' => 'delta',
		'GET events' => 'list_events',
		'POST events' => 'create',
		'GET events/{id}' => 'get',
		'PATCH events/{id}' => 'update',
		'DELETE events/{id}' => 'delete'
	}->{ $route->{name} };
	my $calendar = FakeGraph::Events::calendar_of($box, $name);

	return FakeGraph::Events::failure(404, 'ErrorItemNotFound', 'The calendar does not exist.')
	  if !defined $calendar;
	return $self->$do($box, $calendar, $req, $json) if $route->{name} !~ /\{id\}/;
	my ($ev, $i) = $self->find($box, $id);
	return FakeGraph::Events::not_found()
	  if !$ev || ($self->options->{strict_calendar_path} && defined $name && $ev->{calendar} ne $calendar);
	return $self->$do($box, $ev, $i, $req, $json);
}

sub calendar_shape ($box, $id)
{
	return {
		id => $id,
		name => $box->{calendars}{$id},
		changeKey => "ck-$id",
		isDefaultCalendar => $id eq $box->{first} ? \1 : \0,
		canEdit => \1,
		owner => { name => 'Somebody', address => $box->{address} }
	};
}

sub list_calendars ($self, $box, $calendar, $req, $json)
{
	return answer(200, { value => [ map { calendar_shape($box, $_) } sort keys %{ $box->{calendars} } ] });
}

sub get_calendar ($self, $box, $calendar, $req, $json)
{
	my $select = $req->url->query->param('$select');

	return answer(200, FakeGraph::Views::selected(calendar_shape($box, $calendar), $select));
}

sub get_schedule ($self, $box, $calendar, $req, $json)
{
	my ($from, $to) = map { instant_of($json->{$_}) } qw(startTime endTime);
	my $want = preferences($req);
	my @value;

	for my $address (@{ $json->{schedules} })
	{
		my $other = $self->mailboxes->{ lc $address };
		my @busy = $other ? $self->in_window($other, $other->{first}, $from, $to) : ();

		push @value,
		  {
			scheduleId => $address,
			scheduleItems => [
				map {
					my $e = $self->shape($_, $want);
					{ status => $e->{showAs}, start => $e->{start}, end => $e->{end} }
				} @busy
			]
		  };
	}
	return answer(200, { value => \@value });
}

sub event_answer ($self, $status, $i, $req)
{
	my $q = $req->url->query->to_hash;
	my $e = $self->shape($i, FakeGraph::Views::want_of($req, $q));

	return answer($status, FakeGraph::Views::selected($e, $q->{'$select'}), ETag => $e->{'@odata.etag'});
}

# A transactionId that was there before: what happens is not documented
sub repeated ($self, $box, $json, $req)
{
	my $o = $self->options;
	my $before = $box->{transactions}{ $json->{transactionId} // '' } // return undef;
	my $how = $before->{deleted} ? $o->{transaction_of_deleted} : $o->{transaction_repeat};

	$box->{repeats}++;
	return undef if $how eq 'new';
	return $self->event_answer(201, FakeGraph::Events::self_of($before), $req) if $how eq 'original';
	return FakeGraph::Events::failure(409, 'ErrorDuplicateTransactionId', 'The transaction was carried out before.');
}

sub create ($self, $box, $calendar, $req, $json)
{
	my $before = $self->repeated($box, $json, $req);

	return $before if $before;
	my $ev = $self->add_event($box, $calendar, $json, 'app');
	$box->{transactions}{ $json->{transactionId} } = $ev if defined $json->{transactionId};
	return $self->event_answer(201, FakeGraph::Events::self_of($ev), $req);
}

sub get ($self, $box, $ev, $i, $req, $json)
{
	return $self->event_answer(200, $i // FakeGraph::Events::self_of($ev), $req);
}

# If-Match that does not
sub stale ($self, $ev, $req)
{
	my $match = $req->headers->header('If-Match') // '*';

	return undef if $match eq '*' || $match eq "W/\"$ev->{change_key}\"";
	return FakeGraph::Events::failure($self->options->{conflict_status},
		'ErrorIrresolvableConflict', 'The item has changed on the server; its change key is another.');
}

sub update ($self, $box, $ev, $i, $req, $json)
{
	my $stale = $self->stale($ev, $req);

	return $stale if $stale;
	return FakeGraph::Events::failure(400, $INVALID, 'Occurrences are not changed here.') if $i;
	$self->change($ev, 'updated', 'app', 0, sub { FakeGraph::Events::take($ev, $json) });
	return $self->event_answer(200, FakeGraph::Events::self_of($ev), $req);
}

sub delete ($self, $box, $ev, $i, $req, $json)
{
	my $stale = $self->stale($ev, $req);

	return $stale if $stale;
	$self->remove_event($ev, 'app');
	return answer(204);
}

# ---- orders of a user

# A time of an order: an instant with Z, or seconds; as Graph keeps it, in a zone
sub order_time ($text, $zone)
{
	my $epoch = $text =~ /T/ ? local_instant($text, zone_of($zone)) : $text;
	my ($wall) = local_text($epoch // die("no time: $text\n"), zone_of($zone));

	return { dateTime => $wall, timeZone => $zone };
}

# Fields of an order: start and end may be short, the rest as Graph has it, with
# organizer (somebody else), response and isCancelled
sub order_fields ($set)
{
	my %f = %$set;
	my $zone = delete $f{zone} // 'UTC';

	die "no such zone: $zone\n" if !defined zone_of($zone);
	for my $k (qw(start end))
	{
		$f{$k} = order_time($f{$k}, $zone) if defined $f{$k} && !ref $f{$k};
	}
	return \%f;
}

sub order_occurrence ($self, $ev, $in)
{
	my $x = $ev->{exceptions}{ $in->{occurrence} } //= {};
	my $f = order_fields($in->{set} // {});

	$x->{deleted} = 1 if $in->{delete};
	$x->{$_} = instant_of(delete $f->{$_}) for grep { $f->{$_} } qw(start end);
	$x->{fields} = { %{ $x->{fields} // {} }, %$f };
	return;
}

# By the user: {user, create => {...}, calendar}, {user, id => ...} or {user,
# value => that of an extended property} with set, delete, undelete, raw,
# move => calendar, occurrence => date; silent: nobody is told
sub edit ($self, $in)
{
	my $box = $self->mailbox($in->{user} // die("whose?\n"));
	my $ev;

	if ($in->{create})
	{
		my $calendar = FakeGraph::Events::calendar_of($box, $in->{calendar}) // die "no such calendar\n";

		$ev = $self->add_event($box, $calendar, order_fields($in->{create}), 'user', $in->{silent});
		$ev->{raw} = $in->{raw};
		return event_state($ev);
	}
	$ev = (
		grep {
			defined $in->{id}
			  ? $_->{id} eq $in->{id} || $_->{regular} eq $in->{id}
			  : grep { $_ eq $in->{value} } values %{ $_->{properties} }
		} grep { $in->{undelete} || !$_->{deleted} } @{ $box->{list} // [] })[0] // die "no such event\n";
	return event_state($self->remove_event($ev, 'user', $in->{silent})) if $in->{delete} && !$in->{occurrence};
	$self->change($ev, $in->{undelete} ? 'created' : 'updated', 'user', $in->{silent}, sub
	{
		delete $ev->{deleted} if $in->{undelete};
		if ($in->{occurrence}) { $self->order_occurrence($ev, $in) }
		else { FakeGraph::Events::take($ev, order_fields($in->{set} // {})) }
		$ev->{raw} = $in->{raw} if exists $in->{raw};
		if (defined $in->{move})
		{
			$ev->{calendar} = FakeGraph::Events::calendar_of($box, $in->{move}) // die "no such calendar\n";
			$self->rename_event($ev);
		}
	});
	return event_state($ev);
}

sub add_calendar ($self, $in)
{
	my $id = FakeGraph::Events::new_id('AQMkC');

	$self->mailbox($in->{user})->{calendars}{$id} = $in->{name};
	return { id => $id };
}

# All events, or those of a user; live => 1: without the deleted
sub events_of ($self, $q)
{
	my @boxes = defined $q->{user} ? lc $q->{user} : sort keys %{ $self->mailboxes };

	return [
		map { event_state($_) }
		grep { !$q->{live} || !$_->{deleted} }
		map { @{ ($self->mailboxes->{$_} // {})->{list} // [] } } @boxes
	];
}

# An event as tests see it
sub event_state ($ev)
{
	return {
		(
			map { $_ => $ev->{$_} }
			  qw(id regular mailbox calendar created_by by fields properties
			  start_zone end_zone transaction version change_key history ical_uid recurrence)
		),
		user => $ev->{mailbox},
		subject => $ev->{fields}{subject},
		deleted => $ev->{deleted} ? 1 : 0,
		start => iso_time($ev->{start}),
		end => iso_time($ev->{end}),
		start_epoch => $ev->{start},
		end_epoch => $ev->{end}
	};
}

1;
