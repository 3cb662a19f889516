# What a request to Google must look like: fields, types, parameters, headers,
# and the rules a clinical client keeps on top of them.
package FakeGoogle::Rules;

use Mojo::Base -strict, -signatures;
use FakePeer::Rules qw(find_route check_value check_parameters check_secrets
  check_canaries is_text is_int is_bool local_instant zone_known);
use Mojo::JSON qw(decode_json);

my $A = 'https://www.googleapis.com/auth/';
my @WRITE = map { "$A$_" } qw(calendar calendar.events calendar.events.owned);
my @READ = map { "$A$_" } qw(calendar calendar.readonly calendar.events calendar.events.readonly);
my @LIST = map { "$A$_" } qw(calendar calendar.readonly calendar.calendarlist calendar.calendarlist.readonly);
my @META = map { "$A$_" } qw(calendar calendar.readonly calendar.calendars calendar.calendars.readonly);
my $C = qr{/calendar/v3/calendars/([^/]+)};

my @ROUTES = (
	[ 'GET /o/oauth2/v2/auth', 'GET', qr{^/o/oauth2/v2/auth$} ],
	[ 'POST /token', 'POST', qr{^/token$} ],
	[ 'POST /revoke', 'POST', qr{^/revoke$} ],
	[ 'insert', 'POST', qr{^$C/events$}, 'write', \@WRITE ],
	[ 'list', 'GET', qr{^$C/events$}, 'read', \@READ ],
	[ 'watch', 'POST', qr{^$C/events/watch$}, 'read', \@READ ],
	[ 'get', 'GET', qr{^$C/events/([^/]+)$}, 'read', \@READ ],
	[ 'update', 'PUT', qr{^$C/events/([^/]+)$}, 'write', \@WRITE ],
	[ 'patch', 'PATCH', qr{^$C/events/([^/]+)$}, 'write', \@WRITE ],
	[ 'delete', 'DELETE', qr{^$C/events/([^/]+)$}, 'write', \@WRITE ],
	[ 'stop', 'POST', qr{^/calendar/v3/channels/stop$}, 'read', \@READ ],
	[ 'calendarList', 'GET', qr{^/calendar/v3/users/me/calendarList$}, 'read', \@LIST ],
	[ 'calendarList.get', 'GET', qr{^/calendar/v3/users/me/calendarList/([^/]+)$}, 'read', \@LIST ],
	[ 'calendar', 'GET', qr{^$C$}, 'read', \@META ]);

my $INSTANT = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
my $BOOL = qr/^(?:true|false)$/;
my $PAGE = qr/^(?:[1-9]\d{0,2}|1\d{3}|2[0-4]\d\d|2500)$/;
my %ALWAYS = (fields => 'any', prettyPrint => $BOOL, alt => qr/^json$/, quotaUser => 'any');
my %WRITES = (
	sendUpdates => { map { $_ => 1 } qw(all externalOnly none) },
	conferenceDataVersion => qr/^0$/,
	maxAttendees => qr/^[1-9]\d*$/,
	supportsAttachments => $BOOL);
my %LISTS = (
	(map { $_ => 'any' } qw(iCalUID pageToken privateExtendedProperty sharedExtendedProperty q syncToken timeZone)),
	(map { $_ => $INSTANT } qw(timeMin timeMax updatedMin)),
	(map { $_ => $BOOL } qw(alwaysIncludeEmail showDeleted showHiddenInvitations singleEvents)),
	maxAttendees => qr/^[1-9]\d*$/,
	maxResults => $PAGE,
	orderBy => { startTime => 1, updated => 1 });

my %QUERY = (
	'GET /o/oauth2/v2/auth' => {
		map { $_ => 'any' }
		  qw(client_id redirect_uri response_type scope state access_type prompt
		  include_granted_scopes login_hint code_challenge code_challenge_method)
	},
	insert => \%WRITES,
	update => { %WRITES, alwaysIncludeEmail => $BOOL },
	patch => { %WRITES, alwaysIncludeEmail => $BOOL },
	delete => { sendUpdates => $WRITES{sendUpdates} },
	get => { maxAttendees => qr/^[1-9]\d*$/, timeZone => 'any', alwaysIncludeEmail => $BOOL },
	list => \%LISTS,
	watch => \%LISTS,
	calendarList => {
		maxResults => $PAGE,
		minAccessRole => { map { $_ => 1 } qw(freeBusyReader owner reader writer) },
		(map { $_ => $BOOL } qw(showDeleted showHidden)),
		(map { $_ => 'any' } qw(pageToken syncToken))
	});

# What may not stand beside a syncToken
my @NOT_WITH_SYNC = qw(iCalUID orderBy privateExtendedProperty q
  sharedExtendedProperty timeMin timeMax updatedMin);

my %TIME = (fields => { dateTime => 'text', date => { match => qr/^\d{4}-\d\d-\d\d$/ }, timeZone => 'text' });
my %PROPERTIES = (map => sub ($k, $v) { length $k <= 44 && length $v <= 1024 });

# What a client may write; the rest is Google's, or mail to others
my %EVENT = (
	id => { match => qr/^[a-v0-9]{5,1024}$/ },
	iCalUID => 'text',
	status => { word => [qw(confirmed tentative cancelled)] },
	summary => { text => 1024 },
	description => { text => 8192 },
	location => { text => 1024 },
	colorId => 'text',
	start => \%TIME,
	end => \%TIME,
	recurrence => { list => { match => qr/^(?:RRULE|EXRULE|RDATE|EXDATE)[:;]/ } },
	visibility => { word => [qw(default public private confidential)] },
	transparency => { word => [qw(opaque transparent)] },
	eventType => { word => [qw(default)] },
	sequence => 'int',
	(map { $_ => 'bool' } qw(guestsCanInviteOthers guestsCanModify guestsCanSeeOtherGuests anyoneCanAddSelf)),
	source => { fields => { title => 'text', url => { match => qr{^https?://} } } },
	reminders => {
		fields => {
			useDefault => 'bool',
			overrides => {
				list => {
					fields => {
						method => { word => [qw(email popup)] },
						minutes => { int => [ 0 .. 40320 ] }
					}
				}
			}
		}
	},
	attendees => { list => { fields => { (map { $_ => 'text' } qw(email displayName comment responseStatus)), optional => 'bool', additionalGuests => 'int' } } },
	extendedProperties => { fields => { private => \%PROPERTIES, shared => \%PROPERTIES } });

my %CHANNEL = (
	id => { match => qr{^[A-Za-z0-9\-_+/=]{1,64}$} },
	type => { word => ['web_hook'] },
	address => 'text',
	token => { text => 256 },
	expiration => { match => qr/^\d+$/ },
	params => { map => undef },
	payload => 'bool');

sub route_of ($method, $path)
{
	return find_route(\@ROUTES, $method, $path);
}

# A copy without what is null: a patch may say null of anything
sub without_nulls ($v)
{
	return [ map { without_nulls($_) } @$v ] if ref $v eq 'ARRAY';
	return $v if ref $v ne 'HASH';
	return { map { $_ => without_nulls($v->{$_}) } grep { defined $v->{$_} } keys %$v };
}

# One end of an event
sub check_time ($name, $t, $is_recurring, $bad)
{
	my $zone = $t->{timeZone};

	push @$bad, "$name has date and dateTime" if defined $t->{date} && defined $t->{dateTime};
	push @$bad, "$name.timeZone is not known" if defined $zone && is_text($zone) && !zone_known($zone);
	push @$bad, "$name.timeZone is missing" if $is_recurring && !defined $zone;
	return if !is_text($t->{dateTime});
	push @$bad, "$name.dateTime has a wrong form" if !defined local_instant($t->{dateTime}, 'UTC');
	push @$bad, "$name has neither an offset nor a zone" if $t->{dateTime} !~ $INSTANT && !defined $zone;
	return;
}

sub check_event ($route, $json, $options, $bad)
{
	my $is_patch = $route->{name} eq 'patch';
	my $e = $is_patch ? without_nulls($json) : $json;

	my %never = map { $_ => 1 } qw(conferenceData attachments hangoutLink), $options->{allow_attendees} ? () : 'attendees';

	push @$bad, map { "$_ must never be sent" } grep { $never{$_} } sort keys %$json;
	check_value('', { fields => \%EVENT }, { map { $_ => $e->{$_} } grep { !$never{$_} } keys %$e }, $bad);
	for my $side (qw(start end))
	{
		my $t = $e->{$side};

		if (ref $t eq 'HASH') { check_time($side, $t, !!$e->{recurrence}, $bad) }
		elsif (!$is_patch) { push @$bad, "$side is missing" }
		push @$bad, "$side has no time" if ref $t eq 'HASH' && !$is_patch && !defined($t->{date} // $t->{dateTime});
	}
	push @$bad, 'id and iCalUID together' if $route->{name} eq 'insert' && defined $e->{id} && defined $e->{iCalUID};
	push @$bad, 'id is missing' if $route->{name} eq 'insert' && $options->{require_own_id} && !defined $e->{id};
	push @$bad, 'id is not that of the path'
	  if $route->{name} ne 'insert' && defined $e->{id} && $e->{id} ne $route->{args}[1];
	push @$bad, 'more than 5 reminders' if ref $e->{reminders} eq 'HASH' && @{ $e->{reminders}{overrides} // [] } > 5;
	push @$bad, "visibility must be $options->{required_visibility}"
	  if length $options->{required_visibility} && !$is_patch && ($e->{visibility} // '') ne $options->{required_visibility};
	return;
}

sub check_channel ($json, $options, $bad)
{
	check_value('', { fields => \%CHANNEL }, $json, $bad);
	push @$bad, map { "$_ is missing" } grep { !defined $json->{$_} } qw(id type address token);
	push @$bad, 'address must be https'
	  if defined $json->{address} && $json->{address} !~ ($options->{allow_http_push} ? qr{^https?://} : qr{^https://});
	return;
}

# The fields of a form, all needed; client_id and client_secret may stand in a header
sub check_form ($req, $route, $bad)
{
	my $form = $req->body_params->to_hash;
	my %fields = (
		authorization_code => [qw(code redirect_uri code_verifier)],
		refresh_token => [qw(refresh_token)]);
	my @needed = $route->{name} eq 'POST /revoke' ? 'token' : ('grant_type', @{ $fields{ $form->{grant_type} // '' } // [] });
	my %known = map { $_ => 1 } @needed;

	@known{qw(client_id client_secret)} = (1, 1) if $route->{name} eq 'POST /token';
	push @needed, qw(client_id client_secret)
	  if $route->{name} eq 'POST /token' && ($req->headers->authorization // '') !~ m{^Basic [A-Za-z0-9+/]+=*$};
	push @$bad, map { "unknown form field $_" } grep { !$known{$_} } sort keys %$form;
	push @$bad, map { "$_ is missing" } grep { !length($form->{$_} // '') } @needed;
	push @$bad, 'Content-Type must be application/x-www-form-urlencoded'
	  if ($req->headers->content_type // '') !~ m{^application/x-www-form-urlencoded\b};
	push @$bad, 'a form in the address' if length $req->url->query->to_string;
	return;
}

sub check_headers ($req, $route, $options, $bad)
{
	my $h = $req->headers;

	push @$bad, 'User-Agent is missing' if !length($h->user_agent // '');
	return if $route->{name} =~ m{/};
	push @$bad, 'Authorization must be Bearer' if ($h->authorization // '') !~ m{^Bearer [\x21-\x7e]+$};
	if ($req->method =~ /^(?:POST|PUT|PATCH)$/)
	{
		push @$bad, 'Content-Type must be application/json'
		  if ($h->content_type // '') !~ m{^application/json(?:\s*;\s*charset=utf-8)?$}i;
	}
	elsif (length $req->body) { push @$bad, 'a body is not expected' }
	if (defined(my $match = $h->header('If-Match')))
	{
		push @$bad, 'If-Match must be a quoted etag' if $match !~ /^(?:\*|"[^"]*")$/;
		push @$bad, 'If-Match has no meaning here' if $route->{name} !~ /^(?:update|patch|delete)$/;
	}
	elsif ($options->{require_if_match} && $route->{name} =~ /^(?:update|patch)$/) { push @$bad, 'If-Match is missing' }
	return;
}

sub check_query ($req, $route, $options, $bad)
{
	my $q = $req->url->query->to_hash;
	my $known = $QUERY{ $route->{name} } // {};

	check_secrets($req, { map { $_ => 1 } qw(syncToken pageToken) }, $bad);
	check_parameters($req, $route->{name} =~ m{/} ? $known : { %ALWAYS, %$known },
		{ privateExtendedProperty => 1, sharedExtendedProperty => 1 }, $bad);
	push @$bad, 'sendUpdates=none is missing'
	  if $options->{require_send_updates} && $route->{label} eq 'write' && !defined $q->{sendUpdates};
	push @$bad, 'sendUpdates must be none' if !$options->{allow_attendees} && ($q->{sendUpdates} // 'none') ne 'none';
	if ($route->{name} =~ /^(?:list|watch)$/)
	{
		push @$bad, map { "$_ together with syncToken" } grep { defined $q->{syncToken} && defined $q->{$_} } @NOT_WITH_SYNC;
		push @$bad, 'showDeleted=false together with syncToken' if defined $q->{syncToken} && ($q->{showDeleted} // '') eq 'false';
		push @$bad, 'orderBy=startTime without singleEvents' if ($q->{orderBy} // '') eq 'startTime' && ($q->{singleEvents} // '') ne 'true';
		push @$bad, 'timeZone is not known' if defined $q->{timeZone} && !zone_known($q->{timeZone});
		push @$bad, grep { !/=/ } map { "a property without a value: $_" }
		  map { ref $_ ? @$_ : $_ } grep { defined } @$q{qw(privateExtendedProperty sharedExtendedProperty)};
		push @$bad, 'timeMax is not after timeMin'
		  if defined $q->{timeMin} && defined $q->{timeMax}
		  && (local_instant($q->{timeMin}, 'UTC') // 0) >= (local_instant($q->{timeMax}, 'UTC') // 0);
	}
	return;
}

# A browser's request: without these no refresh token comes
sub check_page ($req, $bad)
{
	my $q = $req->url->query->to_hash;

	push @$bad, 'access_type must be offline' if ($q->{access_type} // '') ne 'offline';
	push @$bad, 'prompt must be consent' if ($q->{prompt} // '') !~ /\bconsent\b/;
	push @$bad, 'scope is missing' if !length($q->{scope} // '');
	return;
}

# All violations of a request, and its decoded body
sub check_request ($req, $route, $options)
{
	my @bad;
	my $json;

	push @bad, 'unknown route ' . $req->method . ' ' . $req->url->path if $route->{name} =~ /unknown/;
	check_canaries($req, $options->{canaries}, \@bad);
	check_query($req, $route, $options, \@bad);
	return ([ @bad, do { check_page($req, \my @more); @more } ], undef) if $route->{name} eq 'GET /o/oauth2/v2/auth';
	check_headers($req, $route, $options, \@bad);
	check_form($req, $route, \@bad) if $route->{name} =~ m{^POST /};
	if ($route->{name} =~ /^(?:insert|update|patch|watch|stop)$/)
	{
		$json = eval { decode_json($req->body) };
		if (ref $json ne 'HASH')
		{
			push @bad, 'body is not a JSON object';
			$json = {};
		}
		elsif ($route->{name} eq 'watch') { check_channel($json, $options, \@bad) }
		elsif ($route->{name} eq 'stop')
		{
			check_value('', { fields => { id => 'text', resourceId => 'text' } }, $json, \@bad);
			push @bad, map { "$_ is missing" } grep { !defined $json->{$_} } qw(id resourceId);
		}
		else { check_event($route, $json, $options, \@bad) }
	}
	return (\@bad, $json);
}

1;
