# The fake Zoom itself: does it behave as the real one, and does it notice a
# client that does not?
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use FakeZoom;
use HTTP::Tiny;
use IO::Socket::INET;
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json true false);
use Mojo::UserAgent;
use Mojo::Util qw(b64_encode);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $fake = FakeZoom->start;
my $http = HTTP::Tiny->new(timeout => 10, agent => 'telehealth-test/1');
my $token;

sub basic { return 'Basic ' . b64_encode(join(':', @_), '') }

sub ask_token
{
	my ($f, %o) = @_;
	my $r = $http->post(
		$f->token_url,
		{
			headers => {
				Authorization => basic($o{client} // 'client-1', $o{secret} // 'secret-1'),
				'Content-Type' => 'application/x-www-form-urlencoded'
			},
			content => 'grant_type=account_credentials&account_id='
			  . ($o{account} // 'acct-1')
		});
	$r->{json} = eval { decode_json($r->{content}) };
	return $r;
}

sub call
{
	my ($method, $path, $body, %o) = @_;
	my $f = $o{fake} // $fake;
	my %headers = (
		Authorization => "Bearer $token",
		defined $body ? ('Content-Type' => 'application/json') : (),
		%{ $o{headers} // {} });
	delete $headers{$_} for grep { !defined $headers{$_} } keys %headers;
	my $r = ($o{http} // $http)->request(
		$method,
		$f->api_url . $path,
		{
			headers => \%headers,
			defined $body ? (content => ref $body ? encode_json($body) : $body) : ()
		});
	$r->{json} = eval { decode_json($r->{content}) };
	return $r;
}

my $next_marker = 0;

sub visit
{
	my (%o) = @_;
	my $marker = sprintf 'th-%032x', ++$next_marker;
	my $settings = delete $o{settings};
	return {
		topic => 'Telehealth visit',
		type => 2,
		start_time => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 86400)),
		timezone => 'Europe/Berlin',
		duration => 30,
		agenda => "telehealth ref $marker\n",
		settings => {
			waiting_room => true,
			use_pmi => false,
			email_notification => false,
			registrants_email_notification => false,
			registrants_confirmation_email => false,
			alternative_hosts_email_notification => false,
			auto_start_meeting_summary => false,
			auto_start_ai_companion_questions => false,
			%{ $settings // {} }
		},
		%o
	};
}

sub create { my %o = @_; return call(POST => '/users/host1@clinic.example/meetings', visit(%o)) }

sub status_is
{
	my ($r, $status, $name) = @_;
	is($r->{status}, $status, $name) or diag $r->{content};
	return;
}

sub no_misuse
{
	my ($name) = @_;
	my @bad = map { "$_->{route}: $_->{what}" } $fake->misuse;
	is_deeply(\@bad, [], $name);
	return;
}

# ---- tokens

my $r = ask_token($fake);
status_is($r, 200, 'a token is given');
is($r->{json}{expires_in}, 3600, 'it lives an hour');
like($r->{json}{scope}, qr/meeting:write:meeting:admin/, 'it names its scopes');
$token = $r->{json}{access_token};
is(ask_token($fake, secret => 'no')->{json}{code}, 4702, 'a wrong secret is refused');
status_is(ask_token($fake, account => 'no'), 400, 'a wrong account is refused');
is($fake->state->{token_calls}, 3, 'token calls are counted');

# ---- meetings

$r = create();
status_is($r, 201, 'a meeting is created');
my $m = $r->{json};
ok($m->{id} > 9_999_999_999, 'its id has more than 10 digits');
like($m->{join_url}, qr/\?pwd=/, 'its link has a passcode');
ok(length $m->{password}, 'it has a passcode');
ok($m->{settings}{waiting_room}, 'settings are echoed');
my $again = call(GET => "/meetings/$m->{id}")->{json};
isnt($again->{start_url}, $m->{start_url}, 'each GET has a fresh start_url');
is($again->{uuid}, $m->{uuid}, 'the uuid stays');

status_is(call(PATCH => "/meetings/$m->{id}", { duration => 45, topic => 'New' }),
	204, 'it is updated');
$again = call(GET => "/meetings/$m->{id}")->{json};
is("$again->{duration} $again->{topic}", '45 New', 'the update is seen');
call(PATCH => "/meetings/$m->{id}", { start_time => '2001-01-01T00:00:00Z' });
is(call(GET => "/meetings/$m->{id}")->{json}{start_time},
	$m->{start_time}, 'a start in the past is ignored silently');

for my $case (
	[ '2040-07-01T10:00:00Z', 'Europe/Berlin', '2040-07-01T10:00:00Z' ],
	[ '2040-07-01T10:00:00', 'Europe/Berlin', '2040-07-01T08:00:00Z' ],
	[ '2040-01-01T10:00:00', 'America/New_York', '2040-01-01T15:00:00Z' ],
	[ '2040-01-01T10:00:00', 'UTC', '2040-01-01T10:00:00Z' ])
{
	is(create(start_time => $case->[0], timezone => $case->[1])->{json}{start_time},
		$case->[2], "start_time $case->[0] in $case->[1]");
}

status_is(call(DELETE => "/meetings/$m->{id}"), 204, 'it is deleted');
$r = call(DELETE => "/meetings/$m->{id}");
is("$r->{status} $r->{json}{code}", '404 3001', 'and then it is gone');
$r = call(GET => '/users/nobody@clinic.example');
is("$r->{status} $r->{json}{code}", '404 1001', 'an unknown user');
$r = call(GET => '/users/me');
is("$r->{status} $r->{json}{code}", '400 1001', 'me is refused');
$fake->options(allow_me => 1);
status_is(call(GET => '/users/me'), 200, 'me is allowed by an option');
is(call(GET => '/users/host-id-2')->{json}{email}, 'host2@clinic.example', 'a user by id');

# ---- listing and paging

call(POST => '/users/host2@clinic.example/meetings', visit(agenda => 'x' x 400)) for 1 .. 7;
$r = call(GET => '/users/host2@clinic.example/meetings?type=upcoming&page_size=300');
is(scalar @{ $r->{json}{meetings} }, 7, 'all meetings of a host are listed');
is(length $r->{json}{meetings}[0]{agenda}, 250, 'the agenda is cut in the list');
is($r->{json}{next_page_token}, '', 'one page');
my (%seen, $page);
do
{
	$r = call(GET => '/users/host2@clinic.example/meetings?type=scheduled&page_size=3'
		  . ($page ? "&next_page_token=$page" : ''));
	$seen{ $_->{id} }++ for @{ $r->{json}{meetings} };
	$page = $r->{json}{next_page_token};
} while ($page);
is(join(' ', values %seen), '1 1 1 1 1 1 1', 'paging shows each once');

# ---- behind our back, locks, state

($m) = grep { $_->{host_id} eq 'host-id-2' } $fake->live_meetings;
$fake->edit_meeting(id => $m->{id}, delete => true);
status_is(call(GET => "/meetings/$m->{id}"), 404, 'a meeting deleted behind our back');
my $foreign = $fake->edit_meeting(create => { host => 'host3@clinic.example', topic => 'Other' });
$fake->edit_meeting(id => $foreign->{id}, set => { topic => 'Changed' });
is(call(GET => "/meetings/$foreign->{id}")->{json}{topic}, 'Changed', 'and a changed one');
$fake->options(locks => { waiting_room => false });
ok(!create()->{json}{settings}{waiting_room}, 'a lock of the account wins');
$fake->options(locks => {});
is($fake->duplicates, 0, 'no marker twice');
my $twin = visit();
call(POST => '/users/host1@clinic.example/meetings', $twin) for 1 .. 2;
is($fake->duplicates, 1, 'a marker twice is seen');

# ---- scopes, revocation, expiry

$fake->options(scopes => ['meeting:read:meeting:admin']);
$token = ask_token($fake)->{json}{access_token};
$r = create();
is("$r->{status} $r->{json}{code}", '400 4711', 'a missing scope');
like($r->{json}{message}, qr/meeting:write:meeting:admin/, 'is named');
$fake->reset(options => 1);
$token = ask_token($fake)->{json}{access_token};
my $old = $token;
$fake->options(new_token_revokes => 1);
$token = ask_token($fake)->{json}{access_token};
status_is(call(GET => '/users/host-id-1'), 200, 'the new token works');
status_is(call(GET => '/users/host-id-1', undef, headers => { Authorization => "Bearer $old" }),
	401, 'a new token revoked the older one');
$fake->options(expires_in => 0);
$r = call(GET => '/users/host-id-1', undef,
	headers => { Authorization => 'Bearer ' . ask_token($fake)->{json}{access_token} });
is("$r->{status} $r->{json}{code}", '401 124', 'an expired token');
$fake->reset(options => 1);
$token = ask_token($fake)->{json}{access_token};

# ---- limits

$fake->options(rate => { LIGHT => 3 });
my @r = map { call(GET => '/users/host-id-1') } 1 .. 5;
is(join(' ', map { $_->{status} } @r), '200 200 200 429 429', 'a limit each second');
is("$r[0]{headers}{'x-ratelimit-limit'} $r[0]{headers}{'x-ratelimit-remaining'}",
	'3 2', 'headers on a good answer');
is("$r[4]{headers}{'x-ratelimit-type'} $r[4]{headers}{'x-ratelimit-category'}",
	'QPS Light', 'headers on a refusal');
like($r[4]{headers}{'x-ratelimit-reset'}, qr/^\d+$/, 'with a reset time');
$fake->options(rate => { LIGHT => 0 }, host_daily => 2);
@r = map { create() } 1 .. 3;
is(join(' ', map { $_->{status} } @r), '201 201 429', 'a daily limit of a host');
like($r[2]{headers}{'retry-after'}, qr/^\d{4}-\d\d-\d\dT00:00:00Z$/, 'until midnight');
is($r[2]{headers}{'x-ratelimit-type'}, 'Daily-limit', 'by its name');
status_is(call(DELETE => "/meetings/$r[0]{json}{id}"), 204, 'deletes are not counted');
$fake->options(host_daily => 0, date_skew_s => 3600);
my $date = Mojo::Date->new(call(GET => '/users/host-id-1')->{headers}{date})->epoch;
ok(abs($date - time - 3600) < 10, 'the Date header can be wrong');
$fake->options(date_skew_s => 0);
$fake->options(list_lag_ms => 60_000);
call(POST => '/users/host5@clinic.example/meetings', visit());
is(@{ call(GET => '/users/host5@clinic.example/meetings')->{json}{meetings} },
	0, 'a list can lag behind');
$fake->options(list_lag_ms => 0, auto_users => '@wards[.]example$');
status_is(call(POST => '/users/new@wards.example/meetings', visit()), 201, 'users on demand');
$fake->options(users => [ { id => 'x', email => 'x@clinic.example', status => 'inactive' } ]);
$r = call(POST => '/users/x/meetings', visit());
is("$r->{status} $r->{json}{code}", '400 3161', 'an inactive host');
no_misuse('nothing of this is misuse');
$fake->reset(options => 1);

# ---- faults

sub faulty
{
	my ($fault, %match) = @_;
	$fake->reset;
	$token = ask_token($fake)->{json}{access_token};
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1, %match },
			fault => $fault });
	return;
}
my $impatient = HTTP::Tiny->new(timeout => 0.3, agent => 'telehealth-test/1');

sub impatiently
{
	return call(POST => '/users/host1@clinic.example/meetings', visit(), http => $impatient);
}

faulty({ kind => 'delay', ms => 200 });
my $t0 = time;
status_is(create(), 201, 'fault delay');
ok(time - $t0 >= 0.2, '… takes its time');
faulty({ kind => 'hang' });
status_is(impatiently(), 599, 'fault hang');
is($fake->live_meetings, 0, '… has no effect');
faulty({ kind => 'hang', effect => 1 });
status_is(impatiently(), 599, 'fault hang with effect');
is($fake->live_meetings, 1, '… has one');
faulty({ kind => 'cut_before' });
status_is(create(), 599, 'fault cut_before');
is($fake->live_meetings, 0, '… has no effect');
for my $rst (0, 1)
{
	faulty({ kind => 'cut_after', rst => $rst });
	status_is(create(), 599, "fault cut_after (rst $rst)");
	is($fake->live_meetings, 1, '… has an effect');
	is($fake->state->{answers}{'POST /v2/users/{id}/meetings cut_after'}, 1, '… is counted');
}
faulty({ kind => 'status', code => 503, headers => { 'Retry-After' => 7 }, body => { code => 9 } });
$r = create();
is("$r->{status} $r->{headers}{'retry-after'} $r->{json}{code}", '503 7 9', 'fault status');
is($fake->live_meetings, 0, '… has no effect');
status_is(create(), 201, '… happens once');
for my $variant (qw(html truncated empty wrong_type no_id))
{
	faulty({ kind => 'wrong_body', variant => $variant });
	$r = create();
	ok($r->{status} == 201 && !eval { $r->{json}{id} }, "fault wrong_body $variant");
}
faulty({ kind => 'huge_body', bytes => 3_000_000 });
ok(length create()->{content} >= 3_000_000, 'fault huge_body');
faulty({ kind => 'slow_body', interval_ms => 100 });
$r = Mojo::UserAgent->new(request_timeout => 0.8)->post(
	$fake->api_url . '/users/host-id-1/meetings',
	{ Authorization => "Bearer $token" },
	json => visit())->res;
ok($r->code == 201 && $r->error && length $r->body >= 2 && length $r->body <= 9,
	'fault slow_body drips');
faulty({ kind => 'close_midway' });
$r = create();
status_is($r, 599, 'fault close_midway');
is($fake->live_meetings, 1, '… has an effect');
faulty({ kind => 'revoke_tokens' });
status_is(create(), 401, 'fault revoke_tokens');
$token = ask_token($fake)->{json}{access_token};
status_is(create(), 201, '… ends with a new token');
faulty({ kind => 'scope_missing', scope => 'meeting:write:meeting', code => 403 });
$r = create();
is("$r->{status} $r->{json}{code}", '403 4711', 'fault scope_missing');
faulty({ kind => 'daily', until => 0.4 }, times => undef);
$r = create();
is("$r->{status} $r->{headers}{'x-ratelimit-type'}", '429 Daily-limit', 'fault daily');
like($r->{headers}{'retry-after'}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, '… until an instant');
my $end = time + 10;
do { $r = create() } while ($r->{status} == 429 && time < $end);
status_is($r, 201, '… and no longer');
faulty({ kind => 'alter', set => { id => 5, 'settings.waiting_room' => false } });
$r = create();
ok($r->{json}{id} == 5 && !$r->{json}{settings}{waiting_room}, 'fault alter');

faulty({ kind => 'status', code => 500 }, times => undef, nth => 2);
is(join(' ', map { create()->{status} } 1 .. 3), '201 500 201', 'the nth request only');
my @runs;
for (1 .. 2)
{
	faulty({ kind => 'status', code => 500 }, times => undef, probability => 0.3, seed => 42);
	push @runs, join ' ', map { create()->{status} } 1 .. 30;
}
is($runs[0], $runs[1], 'a seed repeats a run');
my $n = () = $runs[0] =~ /500/g;
ok($n > 2 && $n < 18, "… with about the wanted share ($n of 30)");
eval { $fake->faults({ fault => { kind => 'nonsense' } }) };
like($@, qr/unknown fault kind/, 'an unknown fault is refused');

# hang until released
faulty({ kind => 'hang' });
my $ua = Mojo::UserAgent->new;
my $body = visit();
my $done;
$ua->post($fake->api_url . '/users/host-id-1/meetings',
	{ Authorization => "Bearer $token" }, json => $body, sub { $done = $_[1]->res->code });
my $released = Mojo::IOLoop->recurring(
	0.02 => sub { $fake->release if $fake->state->{hanging} });
Mojo::IOLoop->one_tick while !$done;
Mojo::IOLoop->remove($released);
is($done, 201, 'a hanging request is answered on release');

# ---- misuse

$fake->reset(options => 1);
$fake->options(canaries => [ 'Grace Hopper', "Zo\x{eb}" ]);
no_misuse('no misuse until here');
$fake->misuse_expected;
$token = ask_token($fake)->{json}{access_token};

sub misused
{
	my ($name, $pattern, @call) = @_;
	my $before = $fake->misuse;
	my $got = call(@call);
	my @new = ($fake->misuse)[ $before .. $fake->misuse - 1 ];
	ok($got->{status} == 400 && (grep { $_->{what} =~ $pattern } @new), "misuse: $name")
	  or diag "$got->{status} $got->{content} " . encode_json(\@new);
	return;
}
my $post = '/users/host-id-1/meetings';
misused('topic too long', qr/topic is longer/, POST => $post, visit(topic => 'x' x 201));
misused('agenda too long', qr/agenda is longer/, POST => $post, visit(agenda => 'x' x 2001));
misused('password too long', qr/password is longer/, POST => $post, visit(password => '12345678901'));
misused('duration as text', qr/duration must be an int/, POST => $post, visit(duration => '30'));
misused('duration with a point', qr/duration must be an int/, POST => $post, visit(duration => 30.5));
misused('instant meeting', qr/type must be/, POST => $post, visit(type => 1));
misused('unknown field', qr/unknown field colour/, POST => $post, visit(colour => 'red'));
misused('unknown setting', qr/unknown field settings.colour/, POST => $post,
	visit(settings => { colour => 1 }));
misused('text for a boolean', qr/waiting_room must be a bool/, POST => $post,
	visit(settings => { waiting_room => 'true' }));
misused('wrong word', qr/audio must be one of/, POST => $post, visit(settings => { audio => 'loud' }));
misused('wrong number', qr/jbh_time must be one of/, POST => $post, visit(settings => { jbh_time => 7 }));
misused('personal room', qr/use_pmi must be false/, POST => $post,
	visit(settings => { use_pmi => true }));
misused('vendor mail', qr/email_notification must be false/, POST => $post,
	visit(settings => { email_notification => true }));
my $bare = visit();
delete $bare->{settings}{$_} for qw(waiting_room registrants_email_notification);
misused('no waiting room flag', qr/waiting_room is missing/, POST => $post, $bare);
misused('no mail flag', qr/registrants_email_notification is missing/, POST => $post, $bare);
$bare = visit();
delete $bare->{start_time};
misused('no start', qr/start_time is missing/, POST => $post, $bare);
misused('a start with an offset', qr/start_time has a wrong form/, POST => $post,
	visit(start_time => '2040-01-01T10:00:00+01:00'));
misused('unknown zone', qr/timezone is not known/, POST => $post, visit(timezone => 'Mars/Base'));
misused('no JSON', qr/not a JSON object/, POST => $post, '{"topic":');
misused('wrong content type', qr/Content-Type/, POST => $post, visit(),
	headers => { 'Content-Type' => 'text/plain' });
misused('no user agent', qr/User-Agent/, GET => '/users/host-id-1', undef,
	http => HTTP::Tiny->new(agent => ''));
misused('no authorization', qr/Authorization/, GET => '/users/host-id-1', undef,
	headers => { Authorization => undef });
misused('token in the URL', qr/secret in the query/, GET => '/users/host-id-1?access_token=abc');
misused('unknown parameter', qr/unknown query parameter/, GET => '/meetings/81000000001?full=1');
misused('page size', qr/page_size has a wrong value/, GET => "$post?page_size=301");
misused('mail on delete', qr/reminder has a wrong/,
	DELETE => '/meetings/81000000001?cancel_meeting_reminder=true');
misused('unknown route', qr/unknown route/, GET => '/users');
misused('canary', qr/canary found: Grace/, POST => $post, visit(agenda => 'for grace hopper'));
misused('canary in UTF-8', qr/canary found: Zo/, POST => $post, visit(agenda => "for Zo\x{eb}"));
misused('canary in escapes', qr/canary found in escapes/, PATCH => '/meetings/81000000001',
	'{"agenda":"Zo\u00eb"}');
misused('canary in the path', qr/canary found/, GET => '/users/Grace%20Hopper');
is($fake->live_meetings, 0, 'no misuse has an effect');
$fake->reset(misuse => 1, options => 1);
$fake->misuse_expected(0);

# ---- many at once

$token = ask_token($fake)->{json}{access_token};
$fake->options(host_daily => 0, latency_ms => 2000);
$ua = Mojo::UserAgent->new(max_connections => 300);
my ($left, %codes) = (200);
for (1 .. 200)
{
	$ua->post($fake->api_url . $post, { Authorization => "Bearer $token" },
		json => visit(),
		sub { $codes{ $_[1]->res->code // 0 }++; Mojo::IOLoop->stop if !--$left });
}
Mojo::IOLoop->start;
is($codes{201}, 200, '200 at once are answered');
cmp_ok($fake->state->{max_concurrent}, '>', 50, '… and were together');
is($fake->live_meetings, 200, '… with effect');
my ($entry) = $fake->requests(method => 'POST', path_regex => '/meetings$');
ok($entry->{body} =~ /topic/ && !exists $entry->{headers}{authorization},
	'the log has bodies and no authorization');
no_misuse('no misuse');

# ---- TLS

for my $kind (qw(good expired wronghost selfsigned))
{
	my $f = FakeZoom->start(tls => $kind);
	my $strict = HTTP::Tiny->new(
		agent => 'x',
		timeout => 10,
		verify_SSL => 1,
		SSL_options => { SSL_ca_file => $f->ca_file });
	my $got = $strict->get($f->api_url . '/users/host-id-1');
	is($got->{status}, $kind eq 'good' ? 400 : 599, "certificate $kind");
	$f->misuse_expected;
	$f->stop;
}

# ---- below HTTP

for my $raw (qw(silent drip tls_hang))
{
	my $f = FakeZoom->start(raw => $raw);
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $f->port, Timeout => 5);
	my ($vec, $got) = ('', '');

	print $s "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	$s->flush;
	ok($f->wait_for(sub { $_[0]{bytes} > 0 }, 10), "raw $raw has read the request");
	vec($vec, fileno $s, 1) = 1;
	sysread $s, $got, 100 if select $vec, undef, undef, $raw eq 'silent' ? 0.3 : 5;
	is(length $got, { silent => 0, drip => 1, tls_hang => 4 }->{$raw}, '… and answers so much');
	$f->stop;
}
is(scalar(grep { $_->is_running } FakeZoom->all), 1, 'fakes end when told');
$fake->stop;
done_testing();
