# What the fake Google remembers: users, calendars, events; and the answer of
# every operation on one event.  Lists are in List.pm, channels in Channel.pm,
# tokens in Oauth.pm.
package FakeGoogle::Store;

use Mojo::Base 'FakeGoogle::Oauth', -signatures;
use FakeGoogle::Recur qw(starts_of);
use FakePeer::Answer qw(answer random_word);
use FakePeer::Rules qw(iso_time local_instant local_text);
use Mojo::JSON qw(true false);
use Mojo::Util qw(b64_encode url_escape);
use POSIX ();
use Time::HiRes ();

has options => sub { default_options() };
has base => 'http://127.0.0.1';
has calendars => sub { {} };
has on_change => sub { sub { } };
has last_etag => 0;

my $SCOPE = 'https://www.googleapis.com/auth/';

# What a body may set, and stays until it is set again
my @KEPT = qw(summary description location colorId start end recurrence
  visibility transparency guestsCanInviteOthers guestsCanModify
  guestsCanSeeOtherGuests anyoneCanAddSelf source reminders
  extendedProperties attendees);

sub default_options ()
{
	return {
		# others are known as soon as they have a grant
		users => [ map { { email => "user$_\@clinic.example", timeZone => 'America/New_York' } } 1 .. 20 ],
		default_zone => 'America/New_York',
		oauth_clients => [
			{
				client_id => 'google-app-1',
				client_secret => 'google-secret-1',
				redirect_uris => ['https://clinic.example/api/calendar-sync/google/callback'],
				user => 'user1@clinic.example'
			}
		],
		oauth_code_s => 300,
		oauth_deny => 0,
		oauth_no_refresh => 0,
		expires_in => 3599,
		scopes => [ map { "$SCOPE$_" } qw(calendar.events calendar.readonly) ],
		granted_scopes => undef,
		rotate_refresh => 0,
		rotate_grace => 0,
		refresh_expires_in => 0,
		refresh_tokens_max => 100,
		# limits in a sliding window; 0 = none
		rate => { user => 0, project => 0, calendar_writes => 0 },
		rate_status => 403,
		rate_window_s => 60,
		# lists
		page_size => 2500,
		empty_pages => 0,
		bare_tombstones => 1,
		window_sync_token => 1,
		sync_outside => 'as_is',
		sync_token_s => 0,
		list_lag_ms => 0,
		# writes
		revive => 1,
		# channels
		channel_ttl_s => 7 * 86400,
		allow_http_push => 0,
		push_via => '',
		push_delay_ms => 0,
		push_coalesce_ms => 50,
		push_drop => 0,
		push_repeat => 1,
		push_after_stop => 0,
		push_retries => 3,
		# answers
		latency_ms => 0,
		date_skew_s => 0,
		# what is a misuse
		canaries => [],
		allow_attendees => 0,
		require_if_match => 1,
		require_own_id => 1,
		require_send_updates => 1,
		required_visibility => '',
		log_limit => 50_000
	};
}

sub forget ($self)
{
	$self->calendars({})->tokens({})->codes({})->refresh_tokens({})->token_calls(0);
	delete @$self{qw(window consented sync pages)};
	return;
}

# ---- answers

my %SAYS = (
	authError => 'Invalid Credentials',
	conditionNotMet => 'Precondition Failed',
	deleted => 'Resource has been deleted',
	duplicate => 'The requested identifier already exists.',
	forbidden => 'Forbidden',
	fullSyncRequired => 'Sync token is no longer valid, a full sync is required.',
	insufficientPermissions => 'Request had insufficient authentication scopes.',
	notFound => 'Not Found',
	quotaExceeded => 'Calendar usage limits exceeded.',
	rateLimitExceeded => 'Rate Limit Exceeded',
	requiredAccessLevel => 'You need to have writer access to this calendar.',
	timeRangeEmpty => 'The specified time range is empty.',
	userRateLimitExceeded => 'User Rate Limit Exceeded');

sub failure ($status, $reason, $message = undef, %headers)
{
	my $says = $message // $SAYS{$reason} // $reason;
	my $domain =
	    $reason =~ /Exceeded$/ ? 'usageLimits'
	  : $reason =~ /^(?:timeRangeEmpty|requiredAccessLevel|fullSyncRequired)$/ ? 'calendar'
	  : 'global';

	return answer(
		$status,
		{
			error => {
				code => 0 + $status,
				message => $says,
				errors => [ { domain => $domain, reason => $reason, message => $says } ]
			}
		},
		%headers);
}

sub invalid ($bad)
{
	return failure(400, 'invalid', join '; ', @$bad);
}

# ---- users and calendars

sub zone_of_user ($self, $email)
{
	my ($u) = grep { $_->{email} eq $email } @{ $self->options->{users} };

	return $u && $u->{timeZone} ? $u->{timeZone} : $self->options->{default_zone};
}

sub add_calendar ($self, %c)
{
	return $self->calendars->{ $c{id} } = {
		summary => $c{id},
		timeZone => $self->zone_of_user($c{owner}),
		access => {},
		events => {},
		change => 0,
		%c
	};
}

# A primary calendar is there as soon as somebody asks
sub calendar ($self, $id)
{
	my $c = $self->calendars->{$id};

	return $c // $self->add_calendar(id => $id, owner => $id, primary => 1)
	  if $c || (grep { $_->{email} eq $id } @{ $self->options->{users} })
	  || (grep { $_->{user} eq $id } values %{ $self->tokens }, values %{ $self->refresh_tokens });
	return undef;
}

sub role_of ($c, $user)
{
	return $c->{owner} eq $user ? 'owner' : $c->{access}{$user};
}

# The calendar of a request, or a refusal
sub find_calendar ($self, $user, $name, $is_write)
{
	my $c = $self->calendar($name eq 'primary' ? $user : $name);
	my $role = $c && !$c->{deleted} ? role_of($c, $user) : undef;

	return (undef, failure(404, 'notFound')) if !defined $role;
	return (undef, failure(403, 'requiredAccessLevel')) if $is_write && $role !~ /^(?:owner|writer)$/;
	return ($c, undef);
}

sub shown_calendar ($c, $user)
{
	return {
		kind => 'calendar#calendarListEntry',
		etag => '"1"',
		id => $c->{id},
		summary => $c->{summary},
		timeZone => $c->{timeZone},
		accessRole => role_of($c, $user),
		selected => true,
		$c->{primary} && $c->{owner} eq $user ? (primary => true) : ()
	};
}

sub calendars_of ($self, $user)
{
	$self->calendar($user);
	return map { shown_calendar($_, $user) }
	  grep { !$_->{deleted} && defined role_of($_, $user) }
	  sort { $a->{id} cmp $b->{id} } values %{ $self->calendars };
}

# ---- times

# Instant of one end; a date begins at midnight of the calendar
sub epoch_of ($c, $t)
{
	return local_instant("$t->{date}T00:00:00", $c->{timeZone}) if defined $t->{date};
	return local_instant($t->{dateTime} // '', $t->{timeZone} // $c->{timeZone});
}

sub shown_time ($epoch, $t, $zone)
{
	return { date => $t->{date} } if defined $t->{date};
	my ($wall, $offset) = local_text($epoch, $zone);

	return { dateTime => $wall . ($offset eq '+00:00' ? 'Z' : $offset), timeZone => $t->{timeZone} // $zone };
}

sub stamp ($at)
{
	return POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime $at) . sprintf('.%03dZ', 1000 * ($at - int $at));
}

# ---- events

sub new_etag ($self)
{
	my $n = int(2_000_000 * Time::HiRes::time());

	$n = $self->last_etag + 2 if $n <= $self->last_etag;
	$self->last_etag($n);
	return "\"$n\"";
}

# Something has happened to an event: a new etag, a line of history, notices
sub touch ($self, $c, $e, $what, $seq, $body = undef)
{
	my $now = Time::HiRes::time();

	$e->{change} = ++$c->{change};
	$e->{updated} = $now;
	$e->{etag} = $self->new_etag;
	push @{ $e->{history} }, { at => $now, what => $what, request => $seq, defined $body ? (body => $body) : () };
	$self->on_change->($c);
	return $e;
}

sub merged ($old, $new)
{
	return $new if ref $new ne 'HASH';
	my %all = ref $old eq 'HASH' ? %$old : ();

	for my $k (keys %$new)
	{
		if (!defined $new->{$k}) { delete $all{$k} }
		else { $all{$k} = merged($all{$k}, $new->{$k}) }
	}
	return \%all;
}

# Take a body into an event; undefined, or what is wrong with it
sub take ($self, $c, $e, $json, $is_merge)
{
	my %body = $is_merge
	  ? %{ merged({ map { $_ => $e->{$_} } grep { exists $e->{$_} } @KEPT }, { map { $_ => $json->{$_} } grep { exists $json->{$_} } @KEPT }) }
	  : map { $_ => $json->{$_} } grep { defined $json->{$_} } @KEPT;
	my ($start, $end) = map { ref $_ eq 'HASH' ? epoch_of($c, $_) : undef } @body{qw(start end)};

	return failure(400, 'invalid', 'Invalid start or end time.')
	  if !defined $start || !defined $end || (grep { defined $_->{date} && defined $_->{dateTime} } @body{qw(start end)})
	  || defined $body{start}{date} != defined $body{end}{date};
	return failure(400, 'timeRangeEmpty') if $end < $start;
	return failure(400, 'invalid', 'Invalid sequence value. The specified sequence number is below the current sequence number of the resource.')
	  if defined $json->{sequence} && $json->{sequence} < ($e->{sequence} // 0);
	$e->{sequence} = $json->{sequence} if defined $json->{sequence};
	$e->{sequence}++ if defined $e->{start_epoch} && ($e->{start_epoch} != $start || $e->{end_epoch} != $end);
	delete @$e{@KEPT};
	@$e{ keys %body } = values %body;
	@$e{qw(start_epoch end_epoch)} = ($start, $end);
	$e->{status} = $json->{status} // ($is_merge ? $e->{status} : 'confirmed');
	$e->{deleted} = $e->{status} eq 'cancelled' ? ($e->{deleted} || Time::HiRes::time()) : 0;
	return undef;
}

# What a request sees
sub shown ($self, $c, $e, $zone = undef)
{
	my $at = $zone // $c->{timeZone};
	my %shown = (
		(map { $_ => $e->{$_} } grep { defined $e->{$_} } @KEPT, qw(recurringEventId originalStartTime)),
		kind => 'calendar#event',
		etag => $e->{etag},
		id => $e->{id},
		status => $e->{status},
		htmlLink => 'https://www.google.com/calendar/event?eid=' . url_escape(b64_encode("$e->{id} $c->{id}", '')),
		created => stamp($e->{created}),
		updated => stamp($e->{updated}),
		creator => { email => $e->{organizer}, $e->{organizer} eq $c->{id} ? (self => true) : () },
		organizer => { email => $e->{organizer}, $e->{organizer} eq $c->{id} ? (self => true) : () },
		start => shown_time($e->{start_epoch}, $e->{start}, $at),
		end => shown_time($e->{end_epoch}, $e->{end}, $at),
		iCalUID => $e->{iCalUID},
		sequence => 0 + $e->{sequence},
		reminders => $e->{reminders} // { useDefault => true },
		eventType => $e->{eventType});

	# defaults are not said
	delete $shown{visibility} if ($shown{visibility} // '') eq 'default';
	delete $shown{transparency} if ($shown{transparency} // '') eq 'opaque';
	return $e->{raw} ? merged(\%shown, $e->{raw}) : \%shown;
}

sub new_event ($self, $c, $id, %o)
{
	return {
		id => $id,
		calendar => $c->{id},
		iCalUID => $o{iCalUID} // "$id\@google.com",
		organizer => $o{organizer} // $c->{id},
		eventType => $o{eventType} // 'default',
		created => Time::HiRes::time(),
		sequence => 0,
		deleted => 0,
		history => []
	};
}

# One occurrence of a recurring event
sub occurrence ($self, $c, $master, $at)
{
	my $length = $master->{end_epoch} - $master->{start_epoch};
	my $stamp = iso_time($at) =~ tr/:-//dr;
	my %e = %$master;

	delete @e{qw(recurrence raw)};
	$e{history} = [];
	if (defined $master->{start}{date})
	{
		my ($from) = local_text($at, $c->{timeZone});
		my ($to) = local_text($at + $length + 7200, $c->{timeZone});

		@e{qw(start end)} = map { { date => substr $_, 0, 10 } } $from, $to;
		$e{originalStartTime} = { date => substr $from, 0, 10 };
		$stamp = substr($from, 0, 10) =~ tr/-//dr;
	}
	else { $e{originalStartTime} = shown_time($at, $master->{start}, $c->{timeZone}) }
	@e{qw(id recurringEventId start_epoch end_epoch original)} = ("$master->{id}_$stamp", $master->{id}, $at, $at + $length, $at);
	return \%e;
}

# Occurrences that begin before a limit, but for those that are events of their
# own by now
sub occurrences ($self, $c, $master, $limit)
{
	my %own = map { $_->{original} => 1 } grep { ($_->{recurringEventId} // '') eq $master->{id} } values %{ $c->{events} };

	return map { $self->occurrence($c, $master, $_) }
	  grep { !$own{$_} } starts_of($master->{start_epoch}, $master->{start}{timeZone} // $c->{timeZone}, $master->{recurrence}, $limit);
}

# An event, or an occurrence that becomes one of its own when it is changed
sub find_event ($self, $c, $id)
{
	my $e = $c->{events}{$id} and return $c->{events}{$id};
	my ($of, $day) = $id =~ /^(.+)_(\d{8})(?:T\d{6}Z)?$/ or return undef;
	my $master = $c->{events}{$of};

	return undef if !$master || !$master->{recurrence};
	my $limit = local_instant(join('-', $day =~ /(\d{4})(\d\d)(\d\d)/) . 'T00:00:00Z', 'UTC') + 3 * 86400;

	return (grep { $_->{id} eq $id } $self->occurrences($c, $master, $limit))[0];
}

sub insert ($self, $c, $json, $seq)
{
	my $id = $json->{id} // lc(random_word(20)) =~ tr/w-z/0-3/r;
	my $e = $self->new_event($c, $id, iCalUID => $json->{iCalUID});

	return failure(409, 'duplicate') if $c->{events}{$id};
	my $flaw = $self->take($c, $e, $json, 0);
	return $flaw if $flaw;
	$c->{events}{$id} = $self->touch($c, $e, 'insert', $seq, $json);
	return answer(200, $self->shown($c, $e));
}

# Undefined, or the refusal of a condition
sub refused ($req, $e)
{
	my $match = $req->headers->header('If-Match');

	return defined $match && $match ne '*' && $match ne $e->{etag} ? failure(412, 'conditionNotMet', undef) : undef;
}

sub change ($self, $c, $id, $req, $json, $is_merge, $seq)
{
	my $e = $self->find_event($c, $id) or return failure(404, 'notFound');
	my $refusal = refused($req, $e);
	my $was = $e->{deleted};

	return $refusal if $refusal;
	return failure(403, 'forbidden') if $was && (!$self->options->{revive} || ($json->{status} // 'cancelled') eq 'cancelled');
	return failure(403, 'forbiddenForNonOrganizer', 'Shared properties can only be changed by the organizer of the event.')
	  if $e->{organizer} ne $c->{id} && ($json->{start} || $json->{end} || $json->{summary});
	my $flaw = $self->take($c, $e, $json, $is_merge);
	return $flaw if $flaw;
	$c->{events}{ $e->{id} } = $e;
	$self->touch($c, $e, $was ? 'revive' : $is_merge ? 'patch' : 'update', $seq, $json);
	return answer(200, $self->shown($c, $e));
}

# An event ends, and with it the occurrences that stand alone
sub bury ($self, $c, $e, $what, $seq)
{
	@$e{qw(status deleted)} = ('cancelled', Time::HiRes::time());
	$c->{events}{ $e->{id} } = $e;
	for my $own (grep { ($_->{recurringEventId} // '') eq $e->{id} && !$_->{deleted} } values %{ $c->{events} })
	{
		$self->bury($c, $own, $what, $seq);
	}
	return $self->touch($c, $e, $what, $seq);
}

sub remove ($self, $c, $id, $req, $seq)
{
	my $e = $self->find_event($c, $id) or return failure(404, 'notFound');
	my $refusal = $e->{deleted} ? failure(410, 'deleted') : refused($req, $e);

	return $refusal if $refusal;
	$self->bury($c, $e, 'delete', $seq);
	return answer(204);
}

# ---- the user's own hand.  calendar => id (default: the first user's); then
# create => { an event as Google shows it, also organizer, attendees, eventType }
# (or a list of them), or id => ... and: set => { fields, merged in }, respond =>
# declined | tentative | accepted, delete => 1, undelete => 1, drop => 1 (away
# without a trace), move => another calendar, raw => { what the event shows
# instead, null for nothing }.
sub edit ($self, $in)
{
	my $c = $self->calendar($in->{calendar} // $self->options->{users}[0]{email}) or die "no such calendar\n";

	return [ map { $self->edit({ %$in, create => $_ }) } @{ $in->{create} } ] if ref $in->{create} eq 'ARRAY';
	return $self->edit_new($c, $in) if $in->{create};
	my $e = $self->find_event($c, $in->{id} // '') or die "no such event\n";
	my $set = $in->{set};

	if ($in->{drop}) { delete $c->{events}{ $e->{id} } }
	if ($in->{delete}) { $self->bury($c, $e, 'control delete', 0) }
	if ($in->{undelete}) { $set = { %{ $set // {} }, status => 'confirmed' } }
	if (defined $in->{respond})
	{
		my @others = grep { $_->{email} ne $c->{id} } @{ $e->{attendees} // [] };

		$set = { %{ $set // {} }, attendees => [ @others, { email => $c->{id}, self => true, responseStatus => $in->{respond} } ] };
	}
	$e->{raw} = $in->{raw} if $in->{raw};
	if ($set || $in->{raw})
	{
		my $flaw = $self->take($c, $e, $set // {}, 1);

		die "$flaw->{body}\n" if $flaw;
		$c->{events}{ $e->{id} } = $self->touch($c, $e, 'control set', 0, $set);
	}
	if (defined $in->{move})
	{
		my $to = $self->calendar($in->{move}) or die "no such calendar\n";
		my $copy = { %$e, calendar => $to->{id}, organizer => $to->{id}, history => [ @{ $e->{history} } ] };

		$self->bury($c, $e, 'control move', 0);
		$to->{events}{ $e->{id} } = $self->touch($to, $copy, 'control move', 0);
	}
	return $self->shown($c, $e);
}

sub edit_new ($self, $c, $in)
{
	my $body = $in->{create};
	my $id = $body->{id} // lc(random_word(20)) =~ tr/w-z/0-3/r;
	my $e = $self->new_event($c, $id, iCalUID => $body->{iCalUID}, eventType => $body->{eventType}, organizer => $body->{organizer}{email});
	my $flaw = $self->take($c, $e, $body, 0);

	die "$flaw->{body}\n" if $flaw;
	$e->{raw} = $in->{raw} if $in->{raw};
	$c->{events}{$id} = $self->touch($c, $e, 'control create', 0, $body);
	return $self->shown($c, $e);
}

sub edit_calendar ($self, $in)
{
	return shown_calendar($self->add_calendar(%{ $in->{create} }), $in->{create}{owner}) if $in->{create};
	my $c = $self->calendar($in->{id} // '') or die "no such calendar\n";

	$c->{deleted} = 1 if $in->{delete};
	@$c{ keys %{ $in->{set} } } = values %{ $in->{set} } if $in->{set};
	$self->on_change->($c);
	return shown_calendar($c, $c->{owner});
}

1;
