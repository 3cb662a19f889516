# The fake Google itself: does it behave as the real one, and does it notice a
# client that does not?
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Digest::SHA qw(sha256);
use FakeGoogle;
use HTTP::Tiny;
use Mojo::JSON qw(decode_json encode_json true false);
use Mojo::URL;
use Mojo::Util qw(b64_encode);
use Test::More;
use Time::HiRes qw(time);

my $fake = FakeGoogle->start;
my $http = HTTP::Tiny->new(timeout => 10, agent => 'telehealth-test/1');
my $token;

sub call
{
	my ($method, $path, $body, %o) = @_;
	my $query = Mojo::Parameters->new(
		$o{bare} || $method eq 'GET' || $path =~ /watch$|stop$/ ? () : (sendUpdates => 'none'), %{ $o{query} // {} })->to_string;
	my %headers = (
		Authorization => "Bearer " . ($o{token} // $token),
		defined $body ? ('Content-Type' => 'application/json') : (),
		$method =~ /^P(?:UT|ATCH)$/ ? ('If-Match' => $o{etag} // '*') : (),
		%{ $o{headers} // {} });
	delete $headers{$_} for grep { !defined $headers{$_} } keys %headers;
	my $r = ($o{http} // $http)->request(
		$method,
		$fake->api_url . $path . (length $query ? "?$query" : ''),
		{ headers => \%headers, defined $body ? (content => ref $body ? encode_json($body) : $body) : () });
	$r->{json} = eval { decode_json($r->{content}) };
	$r->{reason} = eval { $r->{json}{error}{errors}[0]{reason} };
	return $r;
}

sub form
{
	my ($url, %form) = @_;
	my $r = $http->post_form($url, \%form);
	$r->{json} = eval { decode_json($r->{content}) };
	return $r;
}
my %app = (client_id => 'google-app-1', client_secret => 'google-secret-1');

sub refresh { my ($with) = @_; return form($fake->token_url, grant_type => 'refresh_token', refresh_token => $with, %app) }

my $next = 0;

sub visit
{
	my (%o) = @_;
	return {
		id => sprintf('%032x', ++$next),
		summary => 'Telehealth appointment',
		start => { dateTime => '2040-01-05T10:00:00Z', timeZone => 'America/New_York' },
		end => { dateTime => '2040-01-05T10:30:00Z', timeZone => 'America/New_York' },
		visibility => 'private',
		extendedProperties => { private => { telehealth => "tag-$next" } },
		%o
	};
}
my $events = '/calendars/primary/events';

sub create { my %o = @_; return call(POST => $events, visit(%o)) }

sub is_status
{
	my ($r, $status, $name) = @_;
	return is(join(' ', $r->{status}, $r->{status} < 300 ? () : $r->{reason} // ()), $status, $name) || diag $r->{content};
}

# All pages of a list: items, the sync token, the number of pages; or the
# refusal
sub pull
{
	my (%q) = @_;
	my ($n, @items, $r) = (0);

	do
	{
		$r = call(GET => $events, undef, query => { %q, $r ? (pageToken => $r->{json}{nextPageToken}) : () });
		return { refused => $r } if $r->{status} != 200;
		push @items, @{ $r->{json}{items} };
		$n++;
	} while (defined $r->{json}{nextPageToken});
	return { items => \@items, pages => $n, token => $r->{json}{nextSyncToken} };
}

sub ids { my ($list) = @_; return join ' ', map { $_->{status} eq 'cancelled' ? "-$_->{id}" : $_->{id} } @{ $list->{items} } }

sub no_misuse
{
	my ($name) = @_;
	is(join("\n", map { "$_->{route}: $_->{what}" } $fake->misuse), '', $name);
	return;
}

# ---- grants

sub page
{
	my (%o) = @_;
	my $verifier = $o{verifier} // 'v' x 50;
	return Mojo::URL->new($fake->auth_url)->query({
			response_type => 'code',
			client_id => 'google-app-1',
			redirect_uri => 'https://clinic.example/api/calendar-sync/google/callback',
			scope => 'https://www.googleapis.com/auth/calendar.events https://www.googleapis.com/auth/calendar.readonly',
			state => 's' x 43,
			access_type => 'offline',
			prompt => 'consent',
			code_challenge => b64_encode(sha256($verifier), '') =~ tr{+/=}{-_}dr,
			code_challenge_method => 'S256',
			%{ $o{query} // {} } })->to_string;
}

sub exchange
{
	my ($code, %o) = @_;
	return form(
		$fake->token_url,
		grant_type => 'authorization_code',
		code => $code,
		redirect_uri => 'https://clinic.example/api/calendar-sync/google/callback',
		code_verifier => 'v' x 50,
		%app, %o);
}
my $back = $fake->browse(page());
is($back->{state}, 's' x 43, 'the state comes back');
is($back->{to}, 'https://clinic.example/api/calendar-sync/google/callback', 'to where it was sent');
is(exchange($back->{code}, code_verifier => 'w' x 50)->{json}{error}, 'invalid_grant', 'a wrong verifier');
$back = $fake->browse(page());
my $r = exchange($back->{code});
is($r->{status}, 200, 'a code gives tokens');
my $refresh = $r->{json}{refresh_token};
like("$refresh $r->{json}{expires_in}", qr{^1//\S+ 3599$}, 'with a refresh token');
like($r->{json}{scope}, qr/calendar.events .*calendar.readonly/, 'and scopes');
is(exchange($back->{code})->{json}{error}, 'invalid_grant', 'a code works once');
$r = refresh($refresh);
ok($r->{status} == 200 && !exists $r->{json}{refresh_token}, 'a refresh keeps the refresh token');
$token = $r->{json}{access_token};
is(form($fake->token_url, grant_type => 'refresh_token', refresh_token => $refresh, %app, client_secret => 'no')->{status}, 401, 'a wrong secret');
is(refresh('1//none')->{json}{error}, 'invalid_grant', 'an unknown token');
$fake->options(rotate_refresh => 1);
my $rotated = refresh($refresh)->{json}{refresh_token};
is(refresh($refresh)->{json}{error_description}, 'Token has been expired or revoked.', 'rotated on demand: the former is dead');
ok(defined($refresh = refresh($rotated)->{json}{refresh_token}), '… the new one works');
$fake->options(rotate_refresh => 0, granted_scopes => ['https://www.googleapis.com/auth/calendar.readonly']);
$r = exchange($fake->browse(page())->{code});
is($r->{json}{scope}, 'https://www.googleapis.com/auth/calendar.readonly', 'the user may grant less');
is_status(call(POST => $events, visit(), token => $r->{json}{access_token}), '403 insufficientPermissions', '… and it is told so');
$fake->options(granted_scopes => undef, oauth_deny => 1);
is($fake->browse(page())->{error}, 'access_denied', 'the user may deny');
$fake->options(oauth_deny => 0);
my $grant = $fake->grant(user => 'user2@clinic.example');
is(refresh($grant->{refresh_token})->{status}, 200, 'a grant without a browser');
is($http->post_form($fake->revoke_url, { token => $grant->{refresh_token} })->{status}, 200, 'it is revoked');
is($http->post_form($fake->revoke_url, { token => $grant->{refresh_token} })->{status}, 400, '… once');
is_status(call(GET => $events, undef, token => $grant->{access_token}), '401 authError', '… with its access token');
$fake->revoke_grants(user => 'user1@clinic.example');
is(refresh($refresh)->{json}{error}, 'invalid_grant', 'the user takes a grant back');
$fake->options(refresh_tokens_max => 2);
my @many = map { $fake->grant(user => 'user3@clinic.example')->{refresh_token} } 1 .. 3;
is(join(' ', map { refresh($_)->{status} } @many), '400 200 200', 'the oldest of too many dies');
$fake->options(expires_in => 0);
is_status(call(GET => $events, undef, token => $fake->grant->{access_token}), '401 authError', 'an access token expires');
$fake->reset(options => 1);
$token = $fake->grant->{access_token};

# ---- events

$r = create();
is_status($r, 200, 'an event is made');
my $e = $r->{json};
is($e->{start}{dateTime}, '2040-01-05T05:00:00-05:00', 'its times are told in the zone of the calendar');
like($e->{etag}, qr/^"\d+"$/, 'it has an etag');
is($e->{iCalUID}, "$e->{id}\@google.com", 'and a UID');
is_status(create(id => $e->{id}), '409 duplicate', 'an id is taken');
$r = call(PATCH => "$events/$e->{id}", { summary => 'Other' }, etag => $e->{etag});
is("$r->{status} $r->{json}{summary} $r->{json}{visibility}", '200 Other private', 'a patch merges');
is_status(call(PATCH => "$events/$e->{id}", { summary => 'x' }, etag => $e->{etag}), '412 conditionNotMet', 'an old etag');
$r = call(PUT => "$events/$e->{id}", { map { $_ => $e->{$_} } qw(start end) }, etag => $r->{json}{etag});
ok($r->{status} == 200 && !exists $r->{json}{summary}, 'a put clears what it does not say');
is($r->{json}{sequence}, 0, 'the sequence stays');
$r = call(PATCH => "$events/$e->{id}", { start => { dateTime => '2040-01-05T10:10:00Z' } });
is("$r->{json}{sequence} $r->{json}{start}{timeZone}", '1 America/New_York', 'and rises with another time');
is_status(call(PATCH => "$events/$e->{id}", { sequence => 0 }), '400 invalid', 'never back');
is_status(create(end => { dateTime => '2040-01-05T09:00:00Z' }), '400 timeRangeEmpty', 'an end before the start');
is_status(call(DELETE => "$events/$e->{id}", undef, headers => { 'If-Match' => $e->{etag} }), '412 conditionNotMet', 'a delete with an old etag');
is_status(call(DELETE => "$events/$e->{id}"), 204, 'a delete');
is_status(call(DELETE => "$events/$e->{id}"), '410 deleted', '… once');
is_status(call(DELETE => "$events/none0"), '404 notFound', '… of nothing');
is(call(GET => "$events/$e->{id}")->{json}{status}, 'cancelled', 'a deleted event can be read');
is_status(create(id => $e->{id}), '409 duplicate', 'G5: its id stays taken');
is_status(call(PATCH => "$events/$e->{id}", { summary => 'x' }), '403 forbidden', '… a change is refused');
$fake->options(revive => 0);
is_status(call(PATCH => "$events/$e->{id}", { status => 'confirmed' }), '403 forbidden', '… so is a revival, by option');
$fake->options(revive => 1);
is(call(PATCH => "$events/$e->{id}", { status => 'confirmed' })->{json}{status}, 'confirmed', '… else it revives');
$r = call(GET => $events, undef, query => { privateExtendedProperty => 'telehealth=tag-1' });
is(ids({ items => $r->{json}{items} }), '', 'a put has cleared the tag');
my $twin = create(extendedProperties => { private => { telehealth => 'twin' } })->{json};
create(extendedProperties => { private => { telehealth => 'twin' } });
is(@{ call(GET => $events, undef, query => { privateExtendedProperty => 'telehealth=twin' })->{json}{items} }, 2, 'events are found by their property');
is(join(' ', $fake->duplicates('telehealth')), 'telehealth=twin', 'and a tag on two is seen');
$r = call(GET => $events, undef, query => { fields => 'items(id,start/dateTime),nextSyncToken' });
is(join(' ', sort keys %{ $r->{json}{items}[0] }), 'id start', 'a part of an answer');
ok(defined $r->{json}{nextSyncToken} && !defined $r->{json}{kind}, '… of all of it');
is_status(call(GET => '/calendars/user2%40clinic.example/events'), '404 notFound', 'a calendar of another');
$fake->edit_calendar(create => { id => 'team@group.example', owner => 'user2@clinic.example', access => { 'user1@clinic.example' => 'reader' } });
is_status(call(GET => '/calendars/team%40group.example/events'), 200, '… shared to read');
is_status(call(POST => '/calendars/team%40group.example/events', visit()), '403 requiredAccessLevel', '… not to write');
is(join(' ', map { $_->{id} . ($_->{primary} ? '!' : '') } @{ call(GET => '/users/me/calendarList')->{json}{items} }),
	'team@group.example user1@clinic.example!', 'the list of calendars');
is(call(GET => '/calendars/primary')->{json}{timeZone}, 'America/New_York', 'one calendar');

# ---- lists and syncs

$fake->reset;
$token = $fake->grant->{access_token};
my @made = map { create(start => { dateTime => "2040-01-0${_}T10:00:00Z" }, end => { dateTime => "2040-01-0${_}T11:00:00Z" })->{json} } 1 .. 7;
my $all = pull(maxResults => 3);
is("$all->{pages} " . @{ $all->{items} }, '3 7', 'a list in pages');
$fake->options(empty_pages => 1);
$all = pull(maxResults => 3, showDeleted => 'true');
is("$all->{pages} " . @{ $all->{items} }, '7 7', 'some of them empty');
ok(defined $all->{token}, 'and a sync token with the last');
$fake->options(empty_pages => 0, page_size => 2);
is(pull()->{pages}, 4, 'or shorter than asked');
my $some = pull(timeMin => '2040-01-03T11:00:00Z', timeMax => '2040-01-06T10:00:00Z');
is(ids($some), join(' ', map { $made[$_]{id} } 3, 4), 'a window ends before its end and begins with what ends after');
is(ids(pull(syncToken => $all->{token})), '', 'nothing new');
call(DELETE => "$events/$made[0]{id}");
call(PATCH => "$events/$made[1]{id}", { location => 'here' });
my $user = $fake->edit_event(create => { summary => 'Dentist', start => { date => '2040-01-03' }, end => { date => '2040-01-04' } });
my $new = pull(syncToken => $all->{token});
is(ids($new), "-$made[0]{id} $made[1]{id} $user->{id}", 'G1: a sync tells what was deleted, changed and made');
is(join(' ', sort keys %{ $new->{items}[0] }), 'etag id kind status', '… of the deleted only the id');
is(ids(pull(syncToken => $new->{token})), '', '… and once');
is(ids(pull(syncToken => $all->{token})), "-$made[0]{id} $made[1]{id} $user->{id}", '… but again with the former token');
unlike(ids(pull()), qr/-/, 'a list leaves the deleted out');
like(ids(pull(showDeleted => 'true')), qr/-$made[0]{id}/, '… unless asked');
$fake->edit_event(id => $made[2]{id}, set => { start => { dateTime => '2041-01-01T00:00:00Z' }, end => { dateTime => '2041-01-01T01:00:00Z' } });
is(ids(pull(syncToken => $some->{token})), "-$made[0]{id} $made[1]{id} $user->{id} $made[2]{id}", 'a sync tells of changes outside its window too');
$fake->options(sync_outside => 'omit');
is(ids(pull(syncToken => $some->{token})), "-$made[0]{id} -$made[1]{id} $user->{id} -$made[2]{id}", '… by option as deletions');
$fake->options(window_sync_token => 0);
is(pull(timeMin => '2040-01-03T11:00:00Z')->{token}, undef, '… or a window gives no token');
is(pull(orderBy => 'updated')->{token}, undef, 'an order gives none');
$fake->options(sync_outside => 'as_is', window_sync_token => 1);
$fake->edit_event(id => $made[3]{id}, drop => 1);
is(ids(pull(syncToken => $new->{token})), $made[2]{id}, 'what is dropped leaves no trace');
unlike(ids(pull()), qr/$made[3]{id}/, '… and is away');
my $first = call(GET => $events, undef, query => { maxResults => 1 })->{json};
is($fake->expire_sync->{expired} > 0, 1, 'sync tokens end by order');
is_status(pull(syncToken => $new->{token})->{refused}, '410 fullSyncRequired', 'G1: 410');
is_status(call(GET => $events, undef, query => { maxResults => 1, pageToken => $first->{nextPageToken} }), 200, '… pages go on');
$fake->expire_sync(pages => 1);
is_status(call(GET => $events, undef, query => { maxResults => 1, pageToken => $first->{nextPageToken} }), '410 fullSyncRequired', '… or end too');
$fake->options(sync_token_s => -1);
$new = pull();
is_status(pull(syncToken => $new->{token})->{refused}, '410 fullSyncRequired', '… or by their age');
$fake->options(sync_token_s => 0, list_lag_ms => 60_000);
$new = pull();
is(ids($new), '', 'a list can lag behind');
$fake->options(list_lag_ms => 0);
is(scalar @{ pull(syncToken => $new->{token})->{items} }, 6 + 1, '… and nothing is lost by it');
$fake->edit_event(id => $made[4]{id}, raw => { start => undef, end => { dateTime => 'soon' } });
my ($bad) = grep { $_->{id} eq $made[4]{id} } @{ pull()->{items} };
ok(!exists $bad->{start} && $bad->{end}{dateTime} eq 'soon', 'Y7: an item can be malformed');

# ---- what users do

$fake->reset;
$token = $fake->grant->{access_token};
my $dinner = $fake->edit_event(
	create => {
		summary => 'Invitation',
		start => { dateTime => '2040-02-01T18:00:00', timeZone => 'Europe/Berlin' },
		end => { dateTime => '2040-02-01T20:00:00', timeZone => 'Europe/Berlin' },
		organizer => { email => 'boss@other.example' },
		attendees => [ { email => 'user1@clinic.example', self => true, responseStatus => 'needsAction' } ] });
is($dinner->{start}{dateTime}, '2040-02-01T12:00:00-05:00', 'a local time');
$fake->edit_event(id => $dinner->{id}, respond => 'declined');
is(call(GET => "$events/$dinner->{id}")->{json}{attendees}[0]{responseStatus}, 'declined', 'a user declines');
my %others = (attendees => [ { email => 'a@other.example', responseStatus => 'accepted' }, { email => 'user1@clinic.example', self => true, responseStatus => 'tentative' } ]);
$fake->edit_event(id => $dinner->{id}, set => \%others);
($r) = @{ pull(maxAttendees => 1)->{items} };
is(join(' ', map { $_->{responseStatus} } @{ $r->{attendees} }), 'tentative', 'of many guests only the own answer');
$fake->edit_event(id => $dinner->{id}, set => { start => { dateTime => undef, date => '2040-02-01' }, end => { dateTime => undef, date => '2040-02-02' } });
is(call(GET => "$events/$dinner->{id}")->{json}{end}{date}, '2040-02-02', 'it becomes a whole day');
is_status(call(PATCH => "$events/$dinner->{id}", { summary => 'Mine' }), '403 forbiddenForNonOrganizer', 'an event of others');
my $own = create()->{json};
$fake->edit_event(id => $own->{id}, delete => 1);
is(call(GET => "$events/$own->{id}")->{json}{status}, 'cancelled', 'Y2: a user deletes ours');
$fake->edit_event(id => $own->{id}, undelete => 1);
$fake->edit_event(id => $own->{id}, move => 'user2@clinic.example');
is(join(' ', map { "$_->{calendar} $_->{status}" } grep { $_->{id} eq $own->{id} } $fake->events),
	'user1@clinic.example cancelled user2@clinic.example confirmed', 'and moves it');
$own = create()->{json};
$fake->edit_event(id => $own->{id}, set => { start => { dateTime => undef, date => '2040-02-01' }, end => { dateTime => undef, date => '2040-02-02' } });
my %back = map { $_ => { dateTime => '2040-02-01T10:00:00Z' } } qw(start end);
is_status(call(PATCH => "$events/$own->{id}", \%back), '400 invalid', 'a patch alone does not make a whole day a time');
$_->{date} = undef for values %back;
is_status(call(PATCH => "$events/$own->{id}", \%back), 200, '… unless it takes the date away');
$fake->options(allow_attendees => 1);
is_status(call(POST => $events, visit(attendees => [ { email => 'pat@mail.example' } ]), bare => 1, query => { sendUpdates => 'all' }), 200, 'guests by option');
$fake->options(allow_attendees => 0);
my $series = $fake->edit_event(
	create => {
		id => 'series0',
		summary => 'Round',
		start => { dateTime => '2040-03-05T09:00:00', timeZone => 'America/New_York' },
		end => { dateTime => '2040-03-05T10:00:00', timeZone => 'America/New_York' },
		recurrence => [ 'RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=5', 'EXDATE;TZID=America/New_York:20400307T090000' ] });
my %single = (singleEvents => 'true', timeMin => '2040-03-01T00:00:00Z', timeMax => '2040-04-01T00:00:00Z');
$all = pull(%single);
is(join(' ', map { $_->{start}{dateTime} } @{ $all->{items} }),
	'2040-03-05T09:00:00-05:00 2040-03-12T09:00:00-04:00 2040-03-14T09:00:00-04:00 2040-03-19T09:00:00-04:00',
	'a series keeps its wall clock');
is($all->{items}[1]{id}, 'series0_20400312T130000Z', '… each with an id');
is(scalar @{ pull(timeMin => '2040-03-01T00:00:00Z')->{items} }, 1, '… or is one event');
$fake->edit_event(id => 'series0_20400312T130000Z', set => { start => { dateTime => '2040-03-12T15:00:00Z' }, end => { dateTime => '2040-03-12T16:00:00Z' } });
$fake->edit_event(id => 'series0_20400314T130000Z', delete => 1);
$new = pull(syncToken => $all->{token}, singleEvents => 'true');
is(ids($new), 'series0_20400312T130000Z -series0_20400314T130000Z', 'one of a series moved, one deleted');
is($new->{items}[1]{recurringEventId}, 'series0', '… it says of which');
is(scalar @{ pull(%single)->{items} }, 3, '… and the list agrees');
$fake->edit_event(id => 'series0', delete => 1);
is(ids(pull(syncToken => $new->{token}, singleEvents => 'true')),
	'-series0_20400312T130000Z -series0_20400305T140000Z -series0_20400319T130000Z', "a deleted series, told $_") for 'once', 'and again to who asks again';
for my $case (
	[ 'FREQ=DAILY;INTERVAL=2;COUNT=3', '03-10 03-12 03-14' ],
	[ 'FREQ=MONTHLY;UNTIL=20400601T000000Z', '03-10 04-10 05-10' ],
	[ 'FREQ=YEARLY;COUNT=1', '03-10' ])
{
	my $id = $fake->edit_event(
		create => {
			start => { dateTime => '2040-03-10T09:00:00', timeZone => 'Europe/Berlin' },
			end => { dateTime => '2040-03-10T09:30:00', timeZone => 'Europe/Berlin' },
			recurrence => ["RRULE:$case->[0]"] })->{id};
	is(join(' ', map { substr $_->{start}{dateTime}, 5, 5 } grep { $_->{id} =~ /^$id/ } @{ pull(%single, timeMax => '2040-12-01T00:00:00Z')->{items} }),
		$case->[1], $case->[0]);
}
my $day = $fake->edit_event(create => { start => { date => '2040-03-09' }, end => { date => '2040-03-10' }, recurrence => ['RRULE:FREQ=DAILY;COUNT=4'] })->{id};
is(join(' ', map { "$_->{start}{date}/$_->{end}{date}" } grep { $_->{id} =~ /^$day/ } @{ pull(%single)->{items} }),
	'2040-03-09/2040-03-10 2040-03-10/2040-03-11 2040-03-11/2040-03-12 2040-03-12/2040-03-13', 'days over a change of clocks');

# ---- channels: another fake is the receiver, which takes anything

my $receiver = FakeGoogle->start(misuse_expected => 1);
$receiver->faults({ match => {}, fault => { kind => 'status', code => 204 } });
$fake->options(push_via => $receiver->url);

sub watch
{
	my (%o) = @_;
	return call(POST => "$events/watch",
		{ id => 'channel-1', type => 'web_hook', address => 'https://clinic.example/hook/1', token => 'word', params => { ttl => '3600' }, %o });
}

sub notices
{
	my ($n) = @_;
	$receiver->wait_for(sub { $_[0]{requests_total} >= $n }, 10);
	return map { $_->{headers} } $receiver->requests;
}
$r = watch();
is("$r->{status} $r->{json}{kind}", '200 api#channel', 'a channel');
my $channel = $r->{json};
ok(abs($channel->{expiration} / 1000 - time - 3600) < 10, '… as long as asked');
my ($sync) = notices(1);
is("$sync->{'x-goog-resource-state'} $sync->{'x-goog-message-number'} $sync->{'x-goog-channel-token'}", 'sync 1 word', 'the first message');
is(($receiver->requests)[0]{path}, '/hook/1', '… goes where it was told to');
is_status(watch(), '400 channelIdNotUnique', 'an id is used once');
create();
my (undef, $exists) = notices(2);
is("$exists->{'x-goog-resource-state'} $exists->{'x-goog-resource-id'}", "exists $channel->{resourceId}", 'a change is told');
ok($exists->{'x-goog-message-number'} > 1, '… with a rising number');
create() for 1 .. 5;
notices(3);
is($fake->wait_for(sub { $_[0]{deliveries} }) < 8, 1, 'some changes make one message');
$fake->push(channel => 'channel-1', token => 'wrong');
ok($receiver->wait_for(sub { grep { $_->{headers}{'x-goog-channel-token'} eq 'wrong' } $receiver->requests }), 'G4: a message by order');
$fake->wait_for(sub { !grep { !defined $_->{status} } $fake->deliveries });
is_status(call(POST => '/channels/stop', { id => 'channel-1', resourceId => 'other' }), '404 notFound', 'a stop of another resource');
is_status(call(POST => '/channels/stop', { id => 'channel-1', resourceId => $channel->{resourceId} }), 204, 'a stop');
is($fake->state->{channels_live}, 0, '… ends it');
my $before = $receiver->state->{requests_total};
$fake->options(push_after_stop => 1);
create();
ok($receiver->wait_for(sub { $_[0]{requests_total} > $before }), 'G4: a stopped channel can go on');
$fake->options(push_after_stop => 0, push_drop => 1);
watch(id => 'channel-2');
create();
is($fake->wait_for(sub { $_[0]{pushes_lost} >= 2 && $_[0]{pushes_lost} }), 2, 'G3: all messages can be lost');
is((grep { $_->{headers}{'X-Goog-Channel-ID'} eq 'channel-2' } $fake->deliveries), 0, '… and none was sent');
$fake->options(push_drop => 0);
$receiver->faults({ match => { times => 1 }, fault => { kind => 'status', code => 503 } }, { match => {}, fault => { kind => 'status', code => 200 } });
watch(id => 'channel-3');
ok($fake->wait_for(sub { 2 <= grep { $_->{headers}{'X-Goog-Channel-ID'} eq 'channel-3' } $fake->deliveries }), '503 is tried again');
$fake->options(channel_ttl_s => 1);
ok(watch(id => 'channel-4')->{json}{expiration} < 1000 * (time + 2), 'a channel lives no longer than Google wants');
$receiver->stop;

# ---- limits and faults

$fake->reset(options => 1);
$token = $fake->grant->{access_token};
$fake->options(rate => { user => 3 });
is(join(' ', map { my $x = call(GET => $events); "$x->{status} " . ($x->{reason} // '') } 1 .. 4), '200  200  200  403 userRateLimitExceeded', 'a limit of the user');
$fake->options(rate_status => 429);
is_status(call(GET => $events), '429 rateLimitExceeded', '… by another code');
$fake->options(rate => { user => 0, calendar_writes => 2 }, rate_status => 403);
is(join(' ', map { create()->{status} } 1 .. 3), '200 200 403', 'a limit of writes');
is_status(call(GET => $events), 200, '… not of reads');
$fake->reset(options => 1);
$token = $fake->grant->{access_token};
$fake->faults({ match => { query_regex => 'pageToken', times => 1 }, fault => { kind => 'refuse', code => 410, reason => 'fullSyncRequired' } });
create() for 1 .. 3;
is_status(pull(maxResults => 1)->{refused}, '410 fullSyncRequired', 'fault refuse, in the middle');
is(scalar @{ pull(maxResults => 1)->{items} }, 3, '… once');
$fake->faults({ match => { method => 'POST', times => 1 }, fault => { kind => 'refuse', code => 503, reason => 'backendError', headers => { 'Retry-After' => 2 } } });
$r = create();
is("$r->{status} $r->{headers}{'retry-after'} $r->{reason}", '503 2 backendError', 'fault refuse');
$fake->faults({ match => { path_regex => '^/token$', times => 1 }, fault => { kind => 'invalid_grant' } });
$grant = $fake->grant;
is(refresh($grant->{refresh_token})->{json}{error}, 'invalid_grant', 'fault invalid_grant');
is(refresh($grant->{refresh_token})->{status}, 200, '… once');
$new = pull();
$fake->faults({ match => { times => 1 }, fault => { kind => 'expire_sync' } });
is_status(pull(syncToken => $new->{token})->{refused}, '410 fullSyncRequired', 'fault expire_sync');
$fake->faults({ match => { method => 'POST', times => 1 }, fault => { kind => 'cut_after' } });
is(create()->{status}, 599, 'fault cut_after');
is(scalar $fake->live_events, 4, '… has an effect');
$fake->faults({ match => { method => 'GET', times => 1 }, fault => { kind => 'alter', set => { items => [] } } });
is(scalar @{ pull()->{items} }, 0, 'Y4: a list can be emptied');
$fake->faults;
no_misuse('no misuse until here');

# ---- misuse

$fake->misuse_expected;
$fake->reset(misuse => 1, options => 1);
$fake->options(canaries => ['Grace Hopper']);
$token = $fake->grant->{access_token};

sub misused
{
	my ($name, $pattern, @call) = @_;
	my $seen = $fake->misuse;
	my $got = call(@call);
	my @new = ($fake->misuse)[ $seen .. $fake->misuse - 1 ];
	ok($got->{status} == 400 && (grep { $_->{what} =~ $pattern } @new), "misuse: $name")
	  or diag "$got->{status} $got->{content} " . encode_json(\@new);
	return;
}
misused('attendees', qr/attendees must never/, POST => $events, visit(attendees => [ { email => 'pat@mail.example' } ]));
misused('no attendees, but said', qr/attendees must never/, POST => $events, visit(attendees => []));
misused('a conference', qr/conferenceData must never/, POST => $events, visit(conferenceData => {}));
misused('conferenceDataVersion', qr/conferenceDataVersion has a wrong/, POST => $events, visit(), query => { conferenceDataVersion => 1 });
misused('mail', qr/sendUpdates must be none/, POST => $events, visit(), bare => 1, query => { sendUpdates => 'all' });
misused('no word on mail', qr/sendUpdates=none is missing/, DELETE => "$events/x0000", undef, bare => 1);
misused('no id', qr/id is missing/, POST => $events, do { my $v = visit(); delete $v->{id}; $v });
misused('an id of wrong letters', qr/id has a wrong form/, POST => $events, visit(id => 'wxyz0'));
misused('id and UID', qr/id and iCalUID/, POST => $events, visit(iCalUID => 'a@b'));
misused('unknown field', qr/unknown field colour/, POST => $events, visit(colour => 1));
misused('a field that is Google\'s', qr/unknown field etag/, POST => $events, visit(etag => '"1"'));
misused('no start', qr/start is missing/, POST => $events, do { my $v = visit(); delete $v->{start}; $v });
misused('a time of nowhere', qr/neither an offset nor a zone/, POST => $events, visit(start => { dateTime => '2040-01-05T10:00:00' }));
misused('an unknown zone', qr/timeZone is not known/, POST => $events, visit(start => { dateTime => '2040-01-05T10:00:00', timeZone => 'Mars/Base' }));
misused('date and dateTime', qr/date and dateTime/, POST => $events, visit(start => { dateTime => '2040-01-05T10:00:00Z', date => '2040-01-05' }));
misused('a series without a zone', qr/start.timeZone is missing/, POST => $events,
	visit(start => { dateTime => '2040-01-05T10:00:00Z' }, recurrence => ['RRULE:FREQ=DAILY']));
misused('text for a number', qr/sequence must be an int/, POST => $events, visit(sequence => '1'));
misused('a wrong word', qr/visibility must be one of/, POST => $events, visit(visibility => 'secret'));
misused('a property that is no text', qr/private.n must be a string/, POST => $events, visit(extendedProperties => { private => { n => 1 } }));
misused('a property too long', qr/private.n is too long/, POST => $events, visit(extendedProperties => { private => { n => 'x' x 1025 } }));
misused('no etag on a change', qr/If-Match is missing/, PATCH => "$events/x0000", { summary => 'x' }, headers => { 'If-Match' => undef });
misused('a bare etag', qr/must be a quoted etag/, PATCH => "$events/x0000", { summary => 'x' }, etag => '123');
misused('timeMin with a sync', qr/timeMin together with syncToken/, GET => $events, undef, query => { syncToken => 'x', timeMin => '2040-01-01T00:00:00Z' });
misused('the deleted hidden in a sync', qr/showDeleted=false/, GET => $events, undef, query => { syncToken => 'x', showDeleted => 'false' });
misused('a time without offset', qr/timeMin has a wrong/, GET => $events, undef, query => { timeMin => '2040-01-01T00:00:00' });
misused('a page too large', qr/maxResults has a wrong/, GET => $events, undef, query => { maxResults => 2501 });
misused('orderBy alone', qr/without singleEvents/, GET => $events, undef, query => { orderBy => 'startTime' });
misused('unknown parameter', qr/unknown query parameter/, GET => $events, undef, query => { expand => 1 });
misused('a token in the address', qr/secret in the query/, GET => $events, undef, query => { access_token => 'x' });
misused('no user agent', qr/User-Agent/, GET => $events, undef, http => HTTP::Tiny->new(agent => ''));
misused('a channel without a token', qr/token is missing/, POST => "$events/watch", { id => 'c', type => 'web_hook', address => 'https://clinic.example/' });
misused('a channel in clear', qr/must be https/, POST => "$events/watch", { id => 'c', type => 'web_hook', token => 't', address => 'http://clinic.example/' });
misused('a canary', qr/canary found/, POST => $events, visit(description => 'for Grace Hopper'));
misused('unknown route', qr/unknown route/, GET => '/colors');
misused('a body on a read', qr/a body is not expected/, GET => $events, { a => 1 });
is(scalar $fake->live_events, 0, 'no misuse has an effect');
is(form($fake->token_url, grant_type => 'refresh_token', refresh_token => 'x')->{status}, 400, 'misuse: an unknown app');
is($http->get(page(query => { access_type => 'online' }))->{status}, 400, 'misuse: a page that gives no refresh token');
my $seen = $fake->misuse;
$all = pull(singleEvents => 'true');
pull(syncToken => $all->{token});
like(($fake->misuse)[-1]{what}, qr/not those of the first sync/, 'misuse: a sync with other parameters');
is(scalar($fake->misuse), $seen + 1, '… once');
$fake->reset(misuse => 1, options => 1);
$fake->misuse_expected(0);
$fake->stop;
done_testing();
