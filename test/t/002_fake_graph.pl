# The fake Graph and identity platform themselves: do they behave as the real
# ones, and do they notice a client that does not?
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Digest::SHA qw(sha256);
use FakeGraph;
use HTTP::Tiny;
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json true false);
use Mojo::Server::Daemon;
use Mojo::URL;
use Mojo::UserAgent;
use Mojo::Util qw(b64_encode url_escape);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $KEY = 'String {0c7d0e5b-6a0f-4d3c-9a59-3f0c1c1b7e42} Name testKey';
my $ALWAYS = 'IdType="ImmutableId", outlook.timezone="UTC"';
my $USER = 'user1@clinic.example';

my $fake = FakeGraph->start;
my $http = HTTP::Tiny->new(timeout => 20, agent => 'telehealth-test/1', max_redirect => 0);
my $token;

sub call
{
	my ($method, $path, $body, %o) = @_;
	my %headers = (
		Authorization => 'Bearer ' . ($o{token} // $token),
		Prefer => $ALWAYS,
		defined $body ? ('Content-Type' => 'application/json') : (),
		%{ $o{headers} // {} });
	delete $headers{$_} for grep { !defined $headers{$_} } keys %headers;
	my $r = $http->request(
		$method,
		$path =~ /^http/ ? $path : $fake->api_url . $path,
		{ headers => \%headers, defined $body ? (content => encode_json($body)) : () });
	$r->{json} = eval { decode_json($r->{content}) };
	return $r;
}

sub ask
{
	my (%form) = @_;
	my $tenant = delete $form{tenant};
	my $r = $http->post_form($fake->token_url($tenant), \%form);
	$r->{json} = eval { decode_json($r->{content}) };
	return $r;
}

my @APP = (client_id => 'app-1', client_secret => 'app-secret-1');
my $next = 0;

sub event
{
	my (%o) = @_;
	my $n = ++$next;
	return {
		subject => 'Telehealth appointment',
		body => { contentType => 'text', content => "A visit\nby video" },
		start => { dateTime => '2040-07-01T10:00:00', timeZone => 'Europe/Berlin' },
		end => { dateTime => '2040-07-01T10:30:00', timeZone => 'Europe/Berlin' },
		isOnlineMeeting => false,
		transactionId => "transaction-$n",
		singleValueExtendedProperties => [ { id => $KEY, value => "key-$n" } ],
		%o
	};
}

sub create { my %o = @_; return call(POST => '/me/calendar/events', event(%o)) }

sub at
{
	my ($start, $end, %o) = @_;
	my $zone = delete $o{zone} // 'UTC';
	return (
		start => { dateTime => $start, timeZone => $zone },
		end => { dateTime => $end, timeZone => $zone }, %o);
}

sub status_is
{
	my ($r, $status, $name) = @_;
	is($r->{status}, $status, $name) or diag $r->{content};
	return;
}

sub code_is
{
	my ($r, $status, $code, $name) = @_;
	is("$r->{status} " . ($r->{json}{error}{code} // ''), "$status $code", $name) or diag $r->{content};
	return;
}

sub no_misuse
{
	my ($name) = @_;
	my @bad = map { "$_->{route}: $_->{what}" } $fake->misuse;
	is_deeply(\@bad, [], $name);
	return;
}

# All pages of a list or a round: items, and the last link
sub pages
{
	my ($path, %o) = @_;
	my (@items, $r, $n);

	while (defined $path)
	{
		$r = call(GET => $path, undef, headers => { Prefer => "$ALWAYS, odata.maxpagesize=" . ($o{size} // 50) });
		return ($r, $n) if $r->{status} != 200;
		push @items, @{ $r->{json}{value} };
		$path = $r->{json}{'@odata.nextLink'};
		$n++;
	}
	return (\@items, $r->{json}{'@odata.deltaLink'}, $n);
}

my $WINDOW = 'startDateTime=2040-06-01T00:00:00Z&endDateTime=2040-08-01T00:00:00Z';
my $DELTA = "/me/calendar/calendarView/delta?$WINDOW";

# ---- grants

my $verifier = 'v' x 50;
my $challenge = b64_encode(sha256($verifier), '') =~ tr{+/=}{-_}dr;
my $callback = 'https://clinic.example/api/calendar-sync/outlook/callback';
my %page = (
	client_id => 'app-1',
	response_type => 'code',
	redirect_uri => $callback,
	response_mode => 'query',
	scope => 'offline_access https://graph.microsoft.com/Calendars.ReadWrite',
	state => 's' x 43,
	code_challenge => $challenge,
	code_challenge_method => 'S256',
	prompt => 'consent');

sub agree
{
	my (%o) = @_;
	return $fake->browse(Mojo::URL->new($fake->auth_url('tenant-1'))->query({ %page, %o })->to_string);
}

my $back = agree();
is($back->{to}, $callback, 'the browser is sent back');
is($back->{state}, 's' x 43, 'with the state');
my @exchange = (@APP, grant_type => 'authorization_code', redirect_uri => $callback, tenant => 'tenant-1');
is(ask(@exchange, code => $back->{code}, code_verifier => 'w' x 50)->{json}{error},
	'invalid_grant', 'a wrong verifier is refused');
my $r = ask(@exchange, code => agree()->{code}, code_verifier => $verifier);
status_is($r, 200, 'a code becomes tokens');
$token = $r->{json}{access_token};
my $refresh = $r->{json}{refresh_token};
like($r->{json}{scope}, qr{^https://graph.microsoft.com/Calendars.ReadWrite$}, 'scopes are named in full');
ok(!exists ask(@exchange, code => agree(scope => 'https://graph.microsoft.com/Calendars.ReadWrite')->{code},
	code_verifier => $verifier)->{json}{refresh_token},
	'without offline_access there is no refresh token');

my @refresh = (@APP, grant_type => 'refresh_token');
$r = ask(@refresh, refresh_token => $refresh);
isnt($r->{json}{refresh_token}, $refresh, 'O7: a refresh gives a new refresh token');
status_is(ask(@refresh, refresh_token => $refresh), 200, 'O7: the old one goes on working');
$fake->options(refresh_once => 1);
ask(@refresh, refresh_token => $refresh);
is(ask(@refresh, refresh_token => $refresh)->{json}{error}, 'invalid_grant', 'unless it is said to be for once');
$fake->options(refresh_once => 0);
my $other = $fake->grant(user => 'user2@clinic.example');
$fake->age_grants(days => 91);
is(ask(@refresh, refresh_token => $other->{refresh_token})->{json}{error_codes}[0], 700082, 'O7: 90 idle days end it');
$other = $fake->grant(user => 'user2@clinic.example');
$fake->revoke_grants(user => 'user2@clinic.example');
is(ask(@refresh, refresh_token => $other->{refresh_token})->{json}{error_codes}[0], 50173, 'a user takes back a grant');
code_is(call(GET => '/me/calendar', undef, token => $other->{access_token}), 401, 'InvalidAuthenticationToken',
	'and its access token');
$r = ask(client_id => 'app-1', client_secret => 'no', grant_type => 'refresh_token', refresh_token => 'x');
is("$r->{status} $r->{json}{error}", '401 invalid_client', 'a wrong secret is refused');
is(ask(@refresh, refresh_token => 'x', tenant => 'nobody')->{json}{error_codes}[0], 90002, 'a wrong tenant is refused');
$fake->options(oauth_deny => 1);
is(agree()->{error}, 'access_denied', 'a user may say no');
$fake->options(oauth_deny => 0);

# ---- events

$r = call(GET => '/me/calendar?%24select=id');
status_is($r, 200, 'the calendar is found');
ok(length $r->{json}{id} && !$r->{json}{name}, 'with what was selected');
my $calendar = url_escape $r->{json}{id};

$r = create();
status_is($r, 201, 'an event is created');
my $e = $r->{json};
my $path = '/me/calendar/events/' . url_escape $e->{id};
is("$e->{start}{dateTime} $e->{start}{timeZone}", '2040-07-01T08:00:00.0000000 UTC', 'its start is in the zone asked for');
is($e->{originalStartTimeZone}, 'Europe/Berlin', 'O8: its own zone is kept');
is($e->{bodyPreview}, "A visit\r\nby video", 'its body is shown in short');
like($e->{body}{content}, qr/<br>/, 'and comes back as a page');
ok(!exists $e->{singleValueExtendedProperties}, 'extended properties are not there unless asked for');
is($e->{responseStatus}{response}, 'organizer', 'it is its user\'s own');

my $expand = '%24expand=' . url_escape("singleValueExtendedProperties(\$filter=id eq '$KEY')");
is(call(GET => "$path?$expand")->{json}{singleValueExtendedProperties}[0]{value}, 'key-1', 'then they are');

sub found
{
	my ($condition) = @_;
	my $filter = url_escape "singleValueExtendedProperties/Any(ep: ep/id eq '$KEY' and ep/value $condition)";
	my ($items) = pages("/me/calendar/events?%24top=50&%24filter=$filter&$expand");
	return join ' ', map { $_->{singleValueExtendedProperties}[0]{value} } @$items;
}

is(found("eq 'KEY-1'"), 'key-1', 'an event is found by its property, in either case');
is(found("eq 'key-9'"), '', 'not by another');
is(found('ne null'), 'key-1', 'and all that have it');

status_is(call(POST => '/me/calendar/events', event(transactionId => 'transaction-1')), 201, 'O5: a repeated create is answered');
is(scalar $fake->live_events, 1, 'O5: and makes nothing');
is_deeply($fake->state->{mailboxes}{$USER}, { live => 1, deleted => 0, changes => 1 }, 'as the counts say');
is($fake->state->{transaction_repeats}{$USER}, 1, 'it is counted');
$fake->options(transaction_repeat => 'conflict');
status_is(create(transactionId => 'transaction-1'), 409, 'O5: or is refused');
$fake->options(transaction_repeat => 'new');
status_is(create(transactionId => 'transaction-1'), 201, 'or was forgotten');
is(join(' ', $fake->duplicates), "$USER transaction-1", 'then there are two, and it shows');
$fake->options(transaction_repeat => 'original');

my $etag = $e->{'@odata.etag'};
$r = call(PATCH => $path, { subject => 'Other' }, headers => { 'If-Match' => $etag });
is("$r->{status} $r->{json}{subject}", '200 Other', 'it is changed by its tag');
isnt($r->{json}{'@odata.etag'}, $etag, 'the tag is another then');
code_is(call(PATCH => $path, { subject => 'X' }, headers => { 'If-Match' => $etag }),
	412, 'ErrorIrresolvableConflict', 'the old one is refused');
$fake->edit_event(user => $USER, id => $e->{id}, set => { subject => 'By the user' });
code_is(call(DELETE => $path, undef, headers => { 'If-Match' => $r->{json}{'@odata.etag'} }),
	412, 'ErrorIrresolvableConflict', 'an edit by the user changes it, too');

my ($state) = grep { $_->{id} eq $e->{id} } $fake->events;
my $regular = $state->{regular};
$fake->add_calendar(user => $USER, name => 'Private');
$fake->edit_event(user => $USER, id => $e->{id}, move => 'Private');
status_is(call(GET => '/me/events/' . url_escape $regular), 404, 'O6: the usual id is another after a move');
status_is(call(GET => $path), 200, 'O6: the one that stays, stays');
$fake->options(strict_calendar_path => 1);
status_is(call(GET => "/me/calendars/$calendar/events/" . url_escape $e->{id}), 404, 'if said so, not under the former calendar');
$fake->options(strict_calendar_path => 0);

status_is(call(DELETE => $path), 204, 'it is deleted');
code_is(call(DELETE => $path), 404, 'ErrorItemNotFound', 'once');
code_is(call(PATCH => $path, { subject => 'X' }), 404, 'ErrorItemNotFound', 'and cannot be changed');

for my $case (
	[ 'Eastern Standard Time', '2040-01-01T10:00:00', '2040-01-01T15:00:00' ],
	[ 'W. Europe Standard Time', '2040-07-01T10:00:00', '2040-07-01T08:00:00' ],
	[ 'Asia/Kathmandu', '2040-01-01T10:00:00', '2040-01-01T04:15:00' ])
{
	$r = create(at($case->[1], $case->[1], zone => $case->[0]));
	is($r->{json}{start}{dateTime}, "$case->[2].0000000", "$case->[1] in $case->[0]");
}
$r = create(at('2040-07-03T00:00:00', '2040-07-04T00:00:00', zone => 'Asia/Tokyo', isAllDay => true));
is("$r->{json}{start}{dateTime} $r->{json}{start}{timeZone}", '2040-07-03T00:00:00.0000000 UTC', 'a whole day is at midnight everywhere');
no_misuse('a good client is not complained about');

# ---- delta

$fake->reset;
$token = $fake->grant->{access_token};
create(at("2040-07-0${_}T08:00:00", "2040-07-0${_}T09:00:00")) for 1 .. 7;
create(at('2041-01-01T08:00:00', '2041-01-01T09:00:00'));
my ($items, $link, $n) = pages($DELTA, size => 3);
is(scalar(@$items), 7, 'the first round has what is in the window');
is($n, 3, 'in pages');
($items, $link, $n) = pages($link);
is_deeply($items, [], 'nothing is new then');

my @ids = map { $_->{id} } sort { $a->{start} cmp $b->{start} } $fake->live_events($USER);
call(PATCH => '/me/calendar/events/' . url_escape($ids[0]), { subject => 'Changed' });
call(DELETE => '/me/calendar/events/' . url_escape($ids[1]));
$fake->edit_event(user => $USER, id => $ids[2], set => { start => '2042-01-01T00:00:00Z', end => '2042-01-01T01:00:00Z' });
$fake->edit_event(user => $USER, id => $ids[3], move => 'Private', silent => 1)
  if $fake->add_calendar(user => $USER, name => 'Private');
$fake->edit_event(user => $USER, id => $ids[7], set => { subject => 'Far away' });
$fake->edit_event(user => $USER, id => $ids[4], set => { subject => 'Unseen' }, silent => 1);
my $new = $fake->edit_event(user => $USER, create =>
	{ subject => 'Dentist', start => '2040-07-09T08:00:00', end => '2040-07-09T09:00:00', zone => 'Europe/Berlin' });
my $before = $link;
($items, $link) = pages($link);
my %got = map { $_->{id} => $_ } @$items;
is($got{ $ids[0] }{subject}, 'Changed', 'a change is told');
is($got{ $ids[1] }{'@removed'}{reason}, 'deleted', 'a deletion is told');
ok($got{ $ids[2] }{'@removed'}, 'what left the window is told as removed');
ok($got{ $ids[7] }{'@removed'}, 'O2: what changed outside of it, too');
ok(!$got{ $ids[4] } && !$got{ $ids[3] }, 'O2: and what was done in silence is not told');
is($got{ $new->{id} }{start}{dateTime}, '2040-07-09T06:00:00.0000000', 'a user\'s new event is told');
is(scalar(@$items), 5, 'nothing else');
($items) = pages($before);
is(scalar(@$items), 5, 'the former link still tells the same');
is(scalar @{ (pages($DELTA))[0] }, 5, 'a new round has what is there');
my ($view) = pages("/me/calendarView?$WINDOW");
is(scalar(@$view), 5, 'as the view has');

$fake->edit_event(user => $USER, id => $new->{id}, raw => { start => { dateTime => 'soon' }, end => undef });
($items) = pages($link);
ok(@$items == 1 && $items->[0]{start}{dateTime} eq 'soon' && !exists $items->[0]{end}, 'an item may be malformed');
$fake->edit_event(user => $USER, id => $new->{id}, raw => undef);

$fake->options(delta_repeats => 1, delta_empty_page => 1);
($items, $link, $n) = pages($DELTA, size => 2);
is(scalar(@$items), 7, 'items may repeat');
is($n, 4, 'and a page may be empty');
$fake->options(delta_repeats => 0, delta_empty_page => 0, delta_forgets_removed => 1);
call(DELETE => '/me/calendar/events/' . url_escape($ids[0]));
($items, $link) = pages($link);
is_deeply($items, [], 'O2: deletions may be missing');
$fake->options(delta_forgets_removed => 0);

$fake->expire_delta;
($r) = pages($link);
code_is($r, 410, 'SyncStateNotFound', 'O1: a link may die');
$fake->expire_delta(at_page => 2);
($r, $n) = pages($DELTA, size => 2);
code_is($r, 410, 'SyncStateNotFound', 'O1: amidst of the pages, too');
is($n, 1, 'after the first');
$fake->options(sync_lost => 'resync');
($r) = pages($link);
code_is($r, 410, 'resyncRequired', 'or with another word');
like($r->{headers}{location}, qr{/calendarView/delta$}, 'and where to begin anew');
$fake->options(sync_lost => 'not_found');

# ---- series

$fake->reset;
$token = $fake->grant->{access_token};
my $series = $fake->edit_event(user => $USER, create => {
	subject => 'Team',
	start => '2040-06-20T09:00:00',
	end => '2040-06-20T10:00:00',
	zone => 'Europe/Berlin',
	recurrence => {
		pattern => { type => 'weekly', interval => 1, daysOfWeek => ['wednesday'] },
		range => { type => 'numbered', startDate => '2040-06-20', numberOfOccurrences => 4 }
	} });
($items, $link) = pages($DELTA);
is(join(' ', map { substr $_->{start}{dateTime}, 5, 8 } @$items), '06-20T07 06-27T07 07-04T07 07-11T07', 'a series is its occurrences');
is($items->[0]{type}, 'occurrence', 'which say so');
$fake->edit_event(user => $USER, id => $series->{id}, occurrence => '2040-06-27', delete => 1);
$fake->edit_event(user => $USER, id => $series->{id}, occurrence => '2040-07-04',
	set => { start => '2040-07-05T09:00:00Z', end => '2040-07-05T10:00:00Z' });
($items, $link) = pages($link);
%got = map { $_->{id} => $_ } @$items;
is(scalar(grep { $_->{'@removed'} } @$items), 1, 'an occurrence that is gone is removed');
is(scalar(grep { ($_->{type} // '') eq 'exception' } @$items), 1, 'one that was moved is an exception');
$fake->options(bare_occurrences => 1);
($items, $link) = pages($DELTA);
my %type;
$type{ $_->{type} }++ for @$items;
is_deeply(\%type, { seriesMaster => 1, occurrence => 2, exception => 1 }, 'occurrences may be bare and have a master');
ok(!exists((grep { $_->{type} eq 'occurrence' } @$items)[0]{showAs}), 'which alone says how they count');
$fake->edit_event(user => $USER, id => $series->{id}, delete => 1);
($items) = pages($link);
is(scalar(grep { $_->{'@removed'} } @$items), 3, 'without the series they go');
$fake->options(bare_occurrences => 0);

# ---- limits

$fake->options(latency_ms => 300);
my $ua = Mojo::UserAgent->new;
$ua->transactor->name('telehealth-test/1');
my %status;
my $left = 6;
for (1 .. 6)
{
	$ua->get($fake->api_url . '/me/calendar' => { Authorization => "Bearer $token", Prefer => $ALWAYS } => sub
	{
		my ($u, $tx) = @_;
		$status{ $tx->res->code . ' ' . ($tx->res->headers->header('Retry-After') // '') }++;
		Mojo::IOLoop->stop if !--$left;
	});
}
Mojo::IOLoop->start;
$fake->options(latency_ms => 0);
is_deeply(\%status, { '200 ' => 4, '429 1' => 2 }, 'O4: four at a time in a mailbox');
is($fake->state->{mailbox_max}{$USER}, 6, 'O4: how many there were is told');
$fake->throttle(user => $USER, seconds => 3600);
$r = call(GET => '/me/calendar');
code_is($r, 429, 'ApplicationThrottled', 'a mailbox refuses for an hour');
ok(!defined $r->{headers}{'retry-after'}, 'and does not say how long');
is($fake->state->{throttled}{$USER}{refused}, 1, 'tries are counted');
$fake->throttle(user => $USER, seconds => 0);
$fake->options(rate => { requests => 2 });
call(GET => '/me/calendar') for 1 .. 2;
like(call(GET => '/me/calendar')->{headers}{'retry-after'}, qr/^\d{3}$/, 'so many in ten minutes');
$fake->options(rate => { requests => 0 });
no_misuse('still a good client');

# ---- subscriptions: a receiver in a process of its own

pipe(my $from, my $to) or die "pipe: $!";
my $receiver = fork // die "fork: $!";
if (!$receiver)
{
	# it answers 503 to what comes to /busy the first time
	my $daemon = Mojo::Server::Daemon->new(listen => ['http://127.0.0.1:0'], silent => 1);
	my $busy = 0;
	$daemon->unsubscribe('request');
	$daemon->on(request => sub
	{
		my ($d, $tx) = @_;
		my $asked = $tx->req->url->query->param('validationToken');
		my $path = $tx->req->url->path->to_string;
		$tx->res->code($path eq '/busy' && !defined $asked && !$busy++ ? 503 : 202);
		if (defined $asked)
		{
			$tx->res->code(200);
			$tx->res->headers->content_type('text/plain');
			$tx->res->body($path eq '/deaf' ? 'no' : $asked);
		}
		$tx->resume;
	});
	$daemon->start;
	syswrite $to, $daemon->ports->[0] . "\n";
	Mojo::IOLoop->start;
	POSIX::_exit(0);
}
my $port = <$from> + 0;
$fake->options(callback_map => { 'https://clinic.example' => "http://127.0.0.1:$port" });

sub later { return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 60 * $_[0])) }

sub subscribe
{
	my ($path, %o) = @_;
	return call(POST => '/subscriptions', {
		changeType => 'created,updated,deleted',
		notificationUrl => "https://clinic.example/$path",
		lifecycleNotificationUrl => "https://clinic.example/$path",
		resource => 'me/events',
		expirationDateTime => later(4000),
		clientState => 'c' x 32,
		%o
	});
}

code_is(subscribe('deaf'), 400, 'ValidationError', 'the address must answer');
code_is(subscribe('hook', expirationDateTime => later(5000)), 400, 'ExtensionError', 'O3: a subscription lives for three days at most');
$r = subscribe('hook');
status_is($r, 201, 'one is made');
my $id = $r->{json}{id};
my $second = subscribe('busy')->{json}{id};
my $third = subscribe('other', resource => "me/calendars/" . url_escape(call(GET => '/me/calendar')->{json}{id}) . '/events')->{json}{id};
ok(defined $third, 'one of a calendar');
code_is(subscribe('other', resource => 'me/calendars/none/events'), 404, 'ErrorItemNotFound', 'not of one that is not there');
is(scalar(grep { $_->{kind} eq 'validation' } $fake->deliveries), 8, 'both addresses were asked each time');
status_is(call(PATCH => "/subscriptions/$id", { expirationDateTime => later(4200) }), 200, 'it is renewed');
status_is(call(POST => "/subscriptions/$id/reauthorize"), 204, 'and authorized again');
code_is(call(PATCH => '/subscriptions/none', { expirationDateTime => later(1) }), 404, 'ResourceNotFound', 'one that is gone is not');

# long enough for both to be in one batch
$fake->options(notify_delay_ms => 2000);
$e = create()->{json};
$fake->edit_event(user => $USER, id => $e->{id}, set => { subject => 'Changed' });
my $good = $fake->wait_for(sub { my @d = grep { $_->{kind} eq 'change' && ($_->{status} // 0) == 202 } @{ $_[0]{deliveries} }; @d > 2 ? \@d : undef });
$fake->options(notify_delay_ms => 20);
my ($one) = map { decode_json($_->{body}) } grep { $_->{address} =~ /hook/ } @$good;
is(scalar(grep { $_->{address} =~ /other/ && $_->{kind} eq 'change' } $fake->deliveries), 1, 'those of the calendar, too');
is($fake->end_subscriptions(id => $third)->{ended}, 1, 'which ends');
is(join(' ', map { $_->{changeType} } @{ $one->{value} }), 'created updated', 'changes are told in batches');
is($one->{value}[0]{clientState}, 'c' x 32, 'with the client\'s word');
is($one->{value}[0]{resourceData}{id}, $e->{id}, 'and the id that stays');
is(join(' ', map { $_->{status} } grep { $_->{address} =~ /busy/ && $_->{kind} eq 'change' } $fake->deliveries), '503 202', 'a refused delivery is repeated');

$fake->options(notify_lost => 1);
my $count = $fake->deliveries;
create();
is($fake->state->{notifications_lost}, 2, 'deliveries may be lost');
$fake->options(notify_lost => 0);
$fake->lifecycle(id => $second, event => 'subscriptionRemoved');
$fake->wait_for(sub { grep { $_->{kind} eq 'lifecycle' && defined $_->{status} } @{ $_[0]{deliveries} } });
my ($life) = grep { $_->{kind} eq 'lifecycle' } $fake->deliveries;
is(decode_json($life->{body})->{value}[0]{lifecycleEvent}, 'subscriptionRemoved', 'lifecycle events are told');
is($fake->end_subscriptions(id => $id)->{ended}, 1, 'one ends in silence');
is(scalar $fake->subscriptions, 0, 'none is left');
$id = subscribe('hook')->{json}{id};
status_is(call(DELETE => "/subscriptions/$id"), 204, 'one is deleted');
kill 'TERM', $receiver;
waitpid $receiver, 0;

# ---- faults

$fake->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'cut_after' } });
my $lost = event();
status_is(call(POST => '/me/events', $lost), 599, 'an answer is lost');
status_is(call(POST => '/me/events', $lost), 201, 'its repeat is answered');
is(scalar(grep { ($_->{transaction} // '') eq $lost->{transactionId} } $fake->live_events), 1, 'O5: and there is one event');
$fake->faults({ match => { times => 1 }, fault => { kind => 'status', code => 503, headers => { 'Retry-After' => 7 } } });
is(call(GET => '/me/calendar')->{headers}{'retry-after'}, 7, 'any answer can be ordered');
$fake->revoke_tokens;
code_is(call(GET => '/me/calendar'), 401, 'InvalidAuthenticationToken', 'tokens can be revoked');
$token = $fake->grant(scope => 'offline_access https://graph.microsoft.com/Calendars.Read')->{access_token};
code_is(create(), 403, 'ErrorAccessDenied', 'a scope may be missing');
status_is(call(GET => '/me/calendar'), 200, 'reading goes on');
$token = $fake->grant->{access_token};
status_is(call(GET => '/users/user2@clinic.example/calendar'), 403, 'another mailbox is closed');
no_misuse('and a good client to the end');

# ---- misuse: each of these is noticed

$fake->misuse_expected;
$fake->options(canaries => ['Zebrafink']);
$e = create()->{json};
$path = '/me/events/' . url_escape $e->{id};
for my $case (
	[ 'attendees', 'attendees', POST => '/me/events', event(attendees => []) ],
	[ 'an online meeting', 'isOnlineMeeting must be false', POST => '/me/events', event(isOnlineMeeting => true) ],
	[ 'an offset in a time', 'dateTime has an offset', POST => '/me/events', event(at('2040-07-01T10:00:00Z', '2040-07-01T11:00:00Z')) ],
	[ 'an unknown zone', 'timeZone is not known', POST => '/me/events', event(at('2040-07-01T10:00:00', '2040-07-01T11:00:00', zone => 'Mars')) ],
	[ 'an end before the start', 'ends before', POST => '/me/events', event(at('2040-07-01T10:00:00', '2040-07-01T09:00:00')) ],
	[ 'half a day', 'begins and ends at midnight', POST => '/me/events', event(isAllDay => true) ],
	[ 'no transaction', 'transactionId is missing', POST => '/me/events', event(transactionId => undef) ],
	[ 'a changed transaction', 'cannot be changed', PATCH => $path, { transactionId => 'x' } ],
	[ 'a property without a number', 'has a wrong form', POST => '/me/events', event(singleValueExtendedProperties => [ { id => 'key', value => 'x' } ]) ],
	[ 'an unknown field', 'unknown field iCalUId', PATCH => $path, { iCalUId => 'x' } ],
	[ 'a wrong type', 'subject must be a string', PATCH => $path, { subject => 1 } ],
	[ 'a canary', 'canary found', PATCH => $path, { subject => 'Zebrafink' } ],
	[ 'no Prefer', 'ImmutableId', GET => $path, undef, headers => { Prefer => undef } ],
	[ 'a select in a delta', 'unknown query parameter $select', GET => "$DELTA&%24select=id" ],
	[ 'a delta without a window', 'startDateTime has a wrong form', GET => '/me/calendarView/delta' ],
	[ 'a strange filter', '$filter is not understood', GET => '/me/events?%24filter=' . url_escape('foo eq 1') ],
	[ 'a callback in clear', 'must be https', POST => '/subscriptions',
		{ changeType => 'created,updated,deleted', notificationUrl => 'http://x', lifecycleNotificationUrl => 'https://x',
			resource => 'me/events', expirationDateTime => later(5), clientState => 'c' x 32 } ],
	[ 'a body where none belongs', 'a body is not expected', DELETE => $path, {} ],
	[ 'a strange tag', 'entity tag', DELETE => $path, undef, headers => { 'If-Match' => 'abc' } ],
	[ 'an unknown route', 'unknown route', GET => '/me/messages' ])
{
	my ($name, $want, @call) = @$case;
	my $had = $fake->misuse;
	my $got = call(@call);
	my @new = ($fake->misuse)[ $had .. -1 + $fake->misuse ];
	ok($got->{status} == 400 && (grep { index($_->{what}, $want) >= 0 } @new), "noticed: $name")
	  or diag "$got->{status} ", join '; ', map { $_->{what} } @new;
}

done_testing;
