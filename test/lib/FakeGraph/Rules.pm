# What Microsoft Graph and the identity platform ask of a request, and what we
# have promised beyond that.
package FakeGraph::Rules;

use Mojo::Base -strict, -signatures;
use Exporter 'import';
use FakeGraph::Zones qw(zone_of);
use FakePeer::Rules qw(find_route check_value check_parameters check_secrets
  check_canaries is_text local_instant);

our @EXPORT_OK = qw(route_of check_request preferences parse_filter property_id instant_of);

my $WHO = qr{/v1\.0/(?:me|users/([^/]+))};
my $CALENDAR = qr{$WHO(?:/calendar|/calendars/([^/]+))?};
my @READ = qw(Calendars.Read Calendars.ReadWrite);
my @WRITE = qw(Calendars.ReadWrite);

# name, method, path, label (mailbox: a call on somebody's mailbox), scopes of
# which one must be there; arguments: user, calendar, event
my @ROUTES = (
	[ 'GET authorize', 'GET', qr{^/([^/]+)/oauth2/v2\.0/authorize$} ],
	[ 'POST token', 'POST', qr{^/([^/]+)/oauth2/v2\.0/token$} ],
	[ 'GET calendars', 'GET', qr{^$WHO/calendars$}, 'mailbox', \@READ ],
	[ 'GET calendar', 'GET', qr{^$WHO/(?:calendar|calendars/([^/]+))$}, 'mailbox', \@READ ],
	[ 'POST getSchedule', 'POST', qr{^$WHO/calendar/getSchedule$}, 'mailbox', \@READ ],
	[ 'GET calendarView', 'GET', qr{^$CALENDAR/calendarView$}, 'mailbox', \@READ ],
	[ 'GET calendarView/delta', 'GET', qr{^$CALENDAR/calendarView/delta(?:\(\))?$}, 'mailbox', \@READ ],
	[ 'GET events', 'GET', qr{^$CALENDAR/events$}, 'mailbox', \@READ ],
	[ 'POST events', 'POST', qr{^$CALENDAR/events$}, 'mailbox', \@WRITE ],
	[ 'GET events/{id}', 'GET', qr{^$CALENDAR/events/([^/]+)$}, 'mailbox', \@READ ],
	[ 'PATCH events/{id}', 'PATCH', qr{^$CALENDAR/events/([^/]+)$}, 'mailbox', \@WRITE ],
	[ 'DELETE events/{id}', 'DELETE', qr{^$CALENDAR/events/([^/]+)$}, 'mailbox', \@WRITE ],
	[ 'POST subscriptions', 'POST', qr{^/v1\.0/subscriptions$}, '', \@READ ],
	[ 'GET subscriptions', 'GET', qr{^/v1\.0/subscriptions$}, '', \@READ ],
	[ 'GET subscriptions/{id}', 'GET', qr{^/v1\.0/subscriptions/([^/]+)$}, '', \@READ ],
	[ 'PATCH subscriptions/{id}', 'PATCH', qr{^/v1\.0/subscriptions/([^/]+)$}, '', \@READ ],
	[ 'DELETE subscriptions/{id}', 'DELETE', qr{^/v1\.0/subscriptions/([^/]+)$}, '', \@READ ],
	[
		'POST subscriptions/{id}/reauthorize', 'POST',
		qr{^/v1\.0/subscriptions/([^/]+)/reauthorize$}, '', \@READ
	],
);

my %LIST = (
	'$top' => qr/^(?:[1-9]\d{0,2}|1000)$/,
	'$skip' => qr/^\d{1,9}$/,
	'$filter' => 'any',
	'$select' => qr/^\w+(?:,\w+)*$/,
	'$expand' => 'any',
	'$orderby' => qr{^start/dateTime(?: asc)?$}
);

my %QUERY = (
	'GET authorize' => {
		map { $_ => 'any' }
		  qw(response_type response_mode client_id redirect_uri state scope prompt
		  login_hint domain_hint code_challenge code_challenge_method)
	},
	'GET calendars' => { %LIST{qw($top $skip $select)} },
	'GET calendar' => { %LIST{'$select'} },
	'GET events' => \%LIST,
	'GET events/{id}' => { %LIST{qw($select $expand)} },
	'GET calendarView' => { %LIST, startDateTime => 'any', endDateTime => 'any' },
	'GET calendarView/delta' =>
	  { map { $_ => 'any' } qw(startDateTime endDateTime $deltatoken $skiptoken) },
);

my %DATE = (fields => { dateTime => 'text', timeZone => 'text' });

my %EVENT = (
	subject => { text => 255 },
	body => { fields => { contentType => { word => [qw(text html)] }, content => 'text' } },
	start => {%DATE},
	end => {%DATE},
	location => {
		fields => {
			(map { $_ => 'text' } qw(displayName locationUri uniqueId)),
			locationType => { word => ['default'] },
			address => 'object'
		}
	},
	(map { $_ => 'bool' } qw(isAllDay isReminderOn isOnlineMeeting allowNewTimeProposals responseRequested hideAttendees)),
	showAs => { word => [qw(free tentative busy oof workingElsewhere unknown)] },
	sensitivity => { word => [qw(normal personal private confidential)] },
	importance => { word => [qw(low normal high)] },
	reminderMinutesBeforeStart => 'int',
	recurrence => 'object',
	(map { $_ => 'list' } qw(attendees categories singleValueExtendedProperties)),
	transactionId => { text => 255 },
	onlineMeetingProvider => { word => [qw(unknown teamsForBusiness)] },
);

my %SUBSCRIPTION = (
	(
		map { $_ => 'text' }
		  qw(changeType notificationUrl lifecycleNotificationUrl resource expirationDateTime
		  latestSupportedTlsVersion)
	),
	clientState => { text => 128 },
	includeResourceData => 'bool',
);

my %BODY = (
	'POST events' => \%EVENT,
	'PATCH events/{id}' => \%EVENT,
	'POST subscriptions' => \%SUBSCRIPTION,
	'PATCH subscriptions/{id}' => { expirationDateTime => 'text' },
	'POST getSchedule' => {
		schedules => 'list',
		startTime => {%DATE},
		endTime => {%DATE},
		availabilityViewInterval => 'int'
	},
);

my %FORM = (
	authorization_code => [qw(code redirect_uri code_verifier)],
	refresh_token => [qw(refresh_token)]);

sub route_of ($method, $path)
{
	return find_route(\@ROUTES, $method, $path);
}

# ---- what a request says

# Prefer: a hash of immutable, zone, page_size, and all of it
sub preferences ($req)
{
	my $text = join ', ', @{ $req->headers->every_header('Prefer') };
	my ($zone) = $text =~ /\boutlook\.timezone\s*=\s*"([^"]*)"/i;
	my ($size) = $text =~ /\bodata\.maxpagesize\s*=\s*"?(\d+)/i;

	return {
		text => $text,
		immutable => $text =~ /\bIdType\s*=\s*"ImmutableId"/i ? 1 : 0,
		zone => $zone // 'UTC',
		page_size => $size
	};
}

# The instant of a dateTimeTimeZone, or undefined
sub instant_of ($v)
{
	return undef if ref $v ne 'HASH' || !defined $v->{dateTime};
	return undef if $v->{dateTime} !~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?$/;
	my $zone = zone_of($v->{timeZone} // 'UTC') // return undef;
	return local_instant($v->{dateTime}, $zone);
}

# The id of an extended property, comparable: the type and the number in either
# case, the name as it is; undefined when it has another form
sub property_id ($text)
{
	my ($type, $guid, $name) = ($text // '') =~
	  /^(\w+) \{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}? Name (\S(?:.*\S)?)$/
	  or return undef;

	return lc("$type {$guid}") . " Name $name";
}

# One condition of a $filter: code that asks an event, or undefined
sub condition ($text)
{
	if ($text =~ m{^singleValueExtendedProperties/any\(\s*(\w+)\s*:\s*(.+)\)$}i)
	{
		my ($v, $in) = ($1, $2);
		my ($id, $what) = $in =~ m{^$v/id eq '([^']+)' and (.+)$}i or return undef;

		$id = property_id($id) // return undef;
		return sub ($e) { defined $e->{properties}{$id} }
		  if $what =~ m{^$v/value ne null$}i;
		if ($what =~ m{^$v/value eq '((?:[^']|'')*)'$}i)
		{
			my $want = lc($1 =~ s/''/'/gr);
			return sub ($e) { lc($e->{properties}{$id} // '') eq $want };
		}
		if ($what =~ m{^startswith\(\s*$v/value\s*,\s*'([^']*)'\s*\)$}i)
		{
			my $want = lc $1;
			return sub ($e) { index(lc($e->{properties}{$id} // ''), $want) == 0 };
		}
		return undef;
	}
	if ($text =~ /^iCalUId eq '([^']+)'$/)
	{
		my $want = $1;
		return sub ($e) { $e->{ical_uid} eq $want };
	}
	if ($text =~ m{^(start|end)/dateTime (lt|le|gt|ge) '([^']+)'$})
	{
		my ($k, $op) = ($1, $2);
		my $want = local_instant($3 =~ s/Z$//r, 'UTC') // return undef;
		return {
			lt => sub ($e) { $e->{$k} < $want },
			le => sub ($e) { $e->{$k} <= $want },
			gt => sub ($e) { $e->{$k} > $want },
			ge => sub ($e) { $e->{$k} >= $want }
		}->{$op};
	}
	return undef;
}

# Conditions joined by "and": code that asks an event, or undefined
sub parse_filter ($text)
{
	my @parts = split /\s+and\s+(?![^(]*\))/, $text;
	my @all = map { condition($_) // return undef } @parts;

	return sub ($e) { !grep { !$_->($e) } @all };
}

# ---- what is wrong with it

sub check_headers ($req, $route, $bad)
{
	my $h = $req->headers;
	my $type = $h->content_type // '';

	return if $route->{name} eq 'GET authorize';    # a browser
	push @$bad, 'User-Agent is missing' if !length($h->user_agent // '');
	if ($route->{name} eq 'POST token')
	{
		push @$bad, 'Content-Type must be application/x-www-form-urlencoded'
		  if $type !~ m{^application/x-www-form-urlencoded\b};
		return;
	}
	push @$bad, 'Authorization must be Bearer'
	  if ($h->authorization // '') !~ m{^Bearer [\x21-\x7e]+$};
	push @$bad, 'Prefer: IdType="ImmutableId" is missing' if !preferences($req)->{immutable};
	if ($route->{name} =~ /^(?:POST|PATCH)/ && $BODY{ $route->{name} })
	{
		push @$bad, 'Content-Type must be application/json'
		  if $type !~ m{^application/json(?:\s*;\s*charset=utf-8)?$}i;
	}
	elsif (length $req->body) { push @$bad, 'a body is not expected' }
	if (defined(my $match = $h->header('If-Match')))
	{
		push @$bad, 'If-Match has no place here' if $route->{name} !~ m{^(?:PATCH|DELETE) events/};
		push @$bad, 'If-Match must be an entity tag' if $match !~ m{^(?:\*|(?:W/)?"[^"]+")$};
	}
	return;
}

sub check_token_form ($req, $bad)
{
	my %form = %{ $req->body_params->to_hash };
	my %known = map { $_ => 1 } qw(grant_type client_id client_secret scope),
	  @{ $FORM{ $form{grant_type} // '' } // [] };
	my $is_basic = ($req->headers->authorization // '') =~ /^Basic /;

	push @$bad, map { "unknown form field $_" } grep { !$known{$_} } sort keys %form;
	push @$bad, map { "$_ is missing" }
	  grep { !defined $form{$_} } 'grant_type', @{ $FORM{ $form{grant_type} // '' } // [] },
	  $is_basic ? () : qw(client_id client_secret);
	push @$bad, 'the secret is sent twice' if $is_basic && defined $form{client_secret};
	push @$bad, 'a parameter of the query' if length $req->url->query->to_string;
	return;
}

sub check_lists ($req, $route, $bad)
{
	my $q = $req->url->query->to_hash;

	if (defined $q->{'$filter'} && !ref $q->{'$filter'})
	{
		push @$bad, '$filter is not understood' if !parse_filter($q->{'$filter'});
	}
	if (defined $q->{'$expand'} && !ref $q->{'$expand'})
	{
		my ($id) = $q->{'$expand'} =~ /^singleValueExtendedProperties\(\$filter=id eq '([^']+)'(?: or id eq '[^']+')*\)$/;
		push @$bad, '$expand is not understood' if !defined property_id($id);
	}
	if ($route->{name} =~ /calendarView/)
	{
		my $has_token = defined($q->{'$deltatoken'} // $q->{'$skiptoken'});

		for my $k (qw(startDateTime endDateTime))
		{
			push @$bad, "$k has a wrong form"
			  if defined $q->{$k} ? ref $q->{$k} || !defined local_instant($q->{$k}, 'UTC') : !$has_token;
		}
	}
	return;
}

sub check_date ($name, $v, $bad)
{
	return if ref $v ne 'HASH' || !is_text($v->{dateTime});
	push @$bad, "$name.dateTime has an offset" if $v->{dateTime} =~ /(?:Z|[+-]\d\d:?\d\d)$/i;
	push @$bad, "$name.dateTime has a wrong form"
	  if $v->{dateTime} !~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?(?:Z|[+-]\d\d:?\d\d)?$/i;
	push @$bad, "$name.timeZone is missing" if !defined $v->{timeZone};
	push @$bad, "$name.timeZone is not known"
	  if is_text($v->{timeZone}) && !defined zone_of($v->{timeZone});
	return;
}

sub check_properties ($list, $bad)
{
	return if ref $list ne 'ARRAY';
	for my $p (@$list)
	{
		push @$bad, 'an extended property must be id and value'
		  if ref $p ne 'HASH' || join(' ', sort keys %$p) ne 'id value' || !is_text($p->{value});
		push @$bad, 'the id of an extended property has a wrong form'
		  if ref $p eq 'HASH' && !defined property_id($p->{id});
	}
	return;
}

# What an event of ours must be, and what Graph refuses
sub check_event ($route, $json, $options, $bad)
{
	my $is_create = $route->{name} =~ /^POST/;
	my ($start, $end);

	check_date($_, $json->{$_}, $bad) for qw(start end);
	check_properties($json->{singleValueExtendedProperties}, $bad);
	push @$bad, 'attendees are named: Graph would mail them'
	  if exists $json->{attendees} && !$options->{allow_attendees};
	push @$bad, 'isOnlineMeeting must be false'
	  if $json->{isOnlineMeeting} || ($is_create && !exists $json->{isOnlineMeeting});
	push @$bad, 'transactionId cannot be changed' if !$is_create && exists $json->{transactionId};
	push @$bad, 'start and end go together' if exists $json->{start} != exists $json->{end};
	if ($is_create)
	{
		push @$bad, map { "$_ is missing" } grep { !defined $json->{$_} } @{ $options->{required_present} };
	}
	return if @$bad || !exists $json->{start};
	($start, $end) = map { instant_of($json->{$_}) } qw(start end);
	push @$bad, 'start or end is no time of that zone' if !defined $start || !defined $end;
	push @$bad, 'it ends before it starts' if defined $start && defined $end && $end < $start;
	push @$bad, 'a whole day begins and ends at midnight'
	  if $json->{isAllDay} && grep { $json->{$_}{dateTime} !~ /T00:00:00/ } qw(start end);
	return;
}

sub check_subscription ($route, $json, $options, $bad)
{
	push @$bad, 'expirationDateTime must be a time in UTC'
	  if !is_text($json->{expirationDateTime})
	  || $json->{expirationDateTime} !~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;
	return if $route->{name} =~ /^PATCH/;
	push @$bad, 'clientState must be long' if length($json->{clientState} // '') < 16;
	push @$bad, 'changeType is not all of created,updated,deleted'
	  if join(',', sort split /\s*,\s*/, $json->{changeType} // '') ne 'created,deleted,updated';
	push @$bad, 'resource is not somebody\'s events'
	  if ($json->{resource} // '') !~ m{^/?(?:me|users/[^/]+)(?:/calendars?(?:/[^/]+)?)?/events$};
	for my $k (qw(notificationUrl lifecycleNotificationUrl))
	{
		push @$bad, "$k is missing" if !defined $json->{$k};
		push @$bad, "$k must be https"
		  if defined $json->{$k} && $json->{$k} !~ m{^https://} && !$options->{allow_http_callbacks};
	}
	return;
}

# All violations of a request, and its decoded body
sub check_request ($req, $route, $options)
{
	my @bad;
	my $json;
	my $fields = $BODY{ $route->{name} };

	push @bad, 'unknown route ' . $req->method . ' ' . $req->url->path
	  if $route->{name} =~ /unknown/;
	check_canaries($req, $options->{canaries}, \@bad);
	check_secrets($req, { '$deltatoken' => 1, '$skiptoken' => 1 }, \@bad);
	check_parameters($req, $QUERY{ $route->{name} } // {}, {}, \@bad);
	check_headers($req, $route, \@bad);
	check_token_form($req, \@bad) if $route->{name} eq 'POST token';
	check_lists($req, $route, \@bad);
	if ($fields)
	{
		$json = eval { Mojo::JSON::decode_json($req->body) };
		if (ref $json ne 'HASH')
		{
			push @bad, 'body is not a JSON object';
			return (\@bad, {});
		}
		check_value('', { fields => $fields }, $json, \@bad);
		check_event($route, $json, $options, \@bad) if $fields == \%EVENT;
		check_subscription($route, $json, $options, \@bad) if $route->{name} =~ m{subscriptions};
	}
	return (\@bad, $json);
}

1;
