# Calendars are connected: by a browser, with a grant brought along, renewed,
# refused, connected again, emptied and ended.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use Mojo::JSON qw(decode_json);

my %fake = (google => FakeGoogle->start(options => { allow_http_push => 1 }), outlook => FakeGraph->start(options => { allow_http_callbacks => 1 }));
my %app = (
	google => { client_id => 'google-app-1', client_secret => 'google-secret-1' },
	outlook => { client_id => 'app-1', client_secret => 'app-secret-1' });
my $t = TelehealthTest->node('main', conf => { 'telehealth.public_url' => 'https://clinic.example' });
$t->create_extension;

sub register
{
	my ($kind, %o) = @_;
	my $f = $fake{$kind};
	my %settings = (auth_url => $f->auth_url, token_url => $f->token_url, api_url => $f->api_url,
		$kind eq 'google' ? (revoke_url => $f->revoke_url) : ());

	return $t->sql(sprintf "SELECT telehealth.register_oauth_client(%s, %s::jsonb, %s::jsonb)",
		literal($kind), literal({ %{ $app{$kind} }, %o }), literal(\%settings));
}

sub connect_sql
{
	my ($provider, $kind, %o) = @_;
	return sprintf 'SELECT telehealth.connect_calendar(%s, %s, %s::jsonb)', $provider, literal($kind), literal(\%o);
}
sub connect_it { my ($provider, $kind, %o) = @_; return decode_json($t->sql(connect_sql($provider, $kind, %o))) }
sub complete { my ($b) = @_; return $t->sql(sprintf 'SELECT telehealth.complete_oauth(%s, %s)', literal($b->{state}), literal($b->{code})) }
sub status { my ($id, $column) = @_; $column //= 'status'; return $t->sql("SELECT $column FROM telehealth.calendar_status WHERE connection_id = $id") }
sub becomes { my ($id, $want, $name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return ok($t->poll("SELECT status FROM telehealth.calendar_status WHERE connection_id = $id", $want), $name) }

# By a browser, from the address to a connection
sub consent
{
	my ($provider, $kind, %o) = @_;
	my $answer = connect_it($provider, $kind, %o);

	return (complete($fake{$kind}->browse($answer->{auth_url})), $answer);
}

# ---- what is refused

$t->fails_ok(connect_sql(1, 'google'), { sqlstate => '55000', hint => qr/register_oauth_client/ }, 'nothing is connected without a client');
register($_) for qw(google outlook);
$t->fails_ok(connect_sql(1, 'yahoo'), { sqlstate => '22023', hint => qr/google, outlook, caldav and apple/ }, 'kinds are known');
$t->fails_ok(connect_sql(1, 'google', @$_), '22023', "not with $_->[0]")
  for [ sync_direction => 'sideways' ], [ api_url => 'https://evil.example' ], [ sync_frequency_minutes => 0 ], [ url => 'https://x.example' ],
  [ remote_change_policy => 'shrug' ], [ username => 'x' ], [ refresh_token => '' ];
$t->fails_ok(connect_sql(1, 'caldav', url => 'https://dav.example', username => 'x'), '22023', 'CalDAV needs a password');
$t->fails_ok(connect_sql(1, 'caldav', username => 'x', password => 'y'), { sqlstate => '22023', message => qr/missing option "url"/ }, 'and an address');
$t->fails_ok(connect_sql(1, 'google', colour => 'red'), { sqlstate => '22023', message => qr/^(?:ERROR: +)?unknown setting "colour" for calendars of "google"/ }, 'unknown options are named as what they are');
is($t->sql('SELECT count(*) FROM telehealth.calendar_connection'), 0, 'none of that left a row');
is($t->sql("SELECT count(*) FROM telehealth_private.environment"), 1, 'D7: registering has written which database this is');

# ---- by a browser

my ($first, $answer) = consent(1, 'google', sync_direction => 'push', only_video => \1);
my $address = $answer->{auth_url};
like($address, qr/^\Q@{[$fake{google}->auth_url]}\E\?response_type=code&client_id=google-app-1&redirect_uri=https%3A%2F%2Fclinic\.example%2Fapi%2Fcalendar-sync%2Fgoogle%2Fcallback&/,
	'the address leads to Google and back to the gateway');
like($address, qr/code_challenge=[A-Za-z0-9_-]{43}&code_challenge_method=S256/, 'with a PKCE challenge');
like($address, qr/access_type=offline&prompt=consent/, 'asks for what lasts, and for consent');
unlike($address, qr/secret|verifier/, 'and holds no secret');
is($first, $answer->{connection_id}, 'what comes back completes that connection');
is(status($first), 'CONNECTED', 'which is connected');
is(join(' ', $t->sql("SELECT is_connected, sync_enabled, sync_direction FROM telehealth.calendar_status WHERE connection_id = $first")), 't|t|push',
	'calendar_status says so');
is($t->sql("SELECT settings FROM telehealth.calendar_connection WHERE id = $first"), '{"only_video": true}', 'settings are kept');
is($t->sql("SELECT string_agg(name, ' ') FROM telehealth_private.connection_secret WHERE connection_id = $first"), 'refresh_token',
	'with what renews it, and nothing of the client');
is($t->sql("SELECT count(*) FROM telehealth_private.connection_secret WHERE position('1//'::bytea IN envelope) > 0"), 0, 'S1: sealed');
ok($t->sql("SELECT grant_expires_at > now() + interval '179 days' FROM telehealth.calendar_status WHERE connection_id = $first") eq 't',
	'O7: calendar_status forecasts when the grant ends');

my ($second) = consent(1, 'outlook', sync_direction => 'push');
is(status($second), 'CONNECTED', 'Outlook is connected beside it');
like($fake{outlook}->token_url, qr/common/, 'by the tenant that serves all');
my ($again) = consent(1, 'google');
is($again, $first, 'connecting again is the same connection');
is($t->sql("SELECT sync_direction || ' ' || settings FROM telehealth.calendar_connection WHERE id = $first"), 'push {"only_video": true}',
	'what is not named stays');

# A user who unticks what is needed
$fake{google}->options(granted_scopes => ['https://www.googleapis.com/auth/calendar.readonly']);
$answer = connect_it(2, 'google');
$t->fails_ok(sprintf('SELECT telehealth.complete_oauth(%s, %s)', map { literal($_) } @{ $fake{google}->browse($answer->{auth_url}) }{qw(state code)}),
	{ sqlstate => 'TH002', message => qr/did not grant what telehealth needs/ }, 'scopes that were not granted are seen');
is(status($answer->{connection_id}), 'PENDING', 'and nothing is connected');
$fake{google}->options(granted_scopes => undef);

# ---- a grant that is brought along

my $grant = $fake{google}->grant(user => 'user3@clinic.example');
my $third = connect_it(3, 'google', refresh_token => $grant->{refresh_token}, sync_direction => 'push')->{connection_id};
becomes($third, 'CONNECTED', 'an existing refresh token connects without a browser');
my $bad = connect_it(4, 'google', refresh_token => 'nonsense')->{connection_id};
becomes($bad, 'REAUTH_REQUIRED', 'one that Google refuses does not');
like(status($bad, 'hint'), qr/consent again/, 'and calendar_status says what to do');

# ---- O7: rotation, committed before the new token is used

$grant = $fake{outlook}->grant(user => 'user5@clinic.example');
$fake{outlook}->options(refresh_once => 1);
my $fifth = connect_it(5, 'outlook', refresh_token => $grant->{refresh_token}, sync_direction => 'push')->{connection_id};
becomes($fifth, 'CONNECTED', 'O7: a grant whose refresh tokens are good once');
my $envelope = "SELECT encode(sha256(envelope), 'hex') FROM telehealth_private.connection_secret WHERE connection_id = $fifth AND name = 'refresh_token'";
my $sealed = $t->sql($envelope);
for my $round (1 .. 3)
{
	$fake{outlook}->revoke_tokens;
	$t->sql("DELETE FROM telehealth_private.connection_token WHERE connection_id = $fifth;
		UPDATE telehealth.calendar_connection SET grant_used_at = now() - interval '31 days' WHERE id = $fifth;
		INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at) VALUES ('connection', 1, $fifth, 2, now())
		ON CONFLICT ON CONSTRAINT job_pkey DO UPDATE SET due_at = now()");
	$t->restart_dispatcher if $round == 2;
	ok($t->poll("SELECT grant_used_at > now() - interval '1 hour' FROM telehealth.calendar_connection WHERE id = $fifth", 't'),
		"O7: an idle grant is used once a month ($round)");
	isnt($t->sql($envelope), $sealed, 'and what it became is stored');
	$sealed = $t->sql($envelope);
}
is(status($fifth), 'CONNECTED', 'three lives later it is connected');

# While the row is held the new refresh token cannot be written, so that the
# access token that came with it stays unused
sub calls { return scalar grep { $_->{path} =~ m{^/v1\.0/} } $fake{outlook}->requests }
my (%was, $lock);

sub renew_held
{
	$lock = $t->background_psql('postgres');
	$fake{outlook}->revoke_tokens;
	$t->sql("DELETE FROM telehealth_private.connection_token WHERE connection_id = $fifth;
		UPDATE telehealth.calendar_connection SET grant_used_at = now() - interval '31 days' WHERE id = $fifth");
	$t->restart_dispatcher;
	%was = (tokens => $fake{outlook}->state->{token_calls}, calls => calls());
	$lock->query("BEGIN; SELECT 1 FROM telehealth.calendar_connection WHERE id = $fifth FOR UPDATE");
	$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'connection' AND subject_id = $fifth");
	return $fake{outlook}->wait_for(sub { $_[0]{token_calls} > $was{tokens} }, 20);
}
ok(renew_held(), 'O7: a grant is renewed while its row is held');
my $by_then = $t->sql("SELECT cycles FROM telehealth.worker_status");
ok($t->poll("SELECT cycles > $by_then + 3 FROM telehealth.worker_status", 't'), 'the dispatcher goes on');
is(calls(), $was{calls}, 'O7: what came with it is not used');
is($t->sql($envelope), $sealed, 'for it is not stored yet');
$lock->query('COMMIT');
$lock->quit;
ok($fake{outlook}->wait_for(sub { calls() > $was{calls} }, 20), 'O7: after that it is');
isnt($t->sql($envelope), $sealed, 'the new one is stored then');
is($fake{outlook}->state->{token_calls}, $was{tokens} + 1, 'single-flight: asked for once');

# Who holds it gives another grant: what the former one became does not take its place
ok(renew_held(), 'O7: a grant is renewed while another takes its place');
$t->poll("SELECT count(*) FROM telehealth.worker_status WHERE cycles > " . ($t->sql('SELECT cycles FROM telehealth.worker_status') + 3), 1);
my $other = $fake{outlook}->grant(user => 'user6@clinic.example')->{refresh_token};
$lock->query(connect_sql(5, 'outlook', refresh_token => $other, sync_direction => 'push'));
$fake{outlook}->revoke_grants(user => 'user5@clinic.example');
$lock->query('COMMIT');
$lock->quit;
ok($t->poll("SELECT status IN ('CONNECTED', 'REAUTH_REQUIRED') AND grant_used_at > now() - interval '1 hour' FROM telehealth.calendar_connection WHERE id = $fifth", 't', 30), 'that is looked at');
is(status($fifth), 'CONNECTED', 'O7: it is the other that is kept');
$fake{outlook}->options(refresh_once => 0);

# The same for the grants of video platforms
my $zoom = FakeZoom->start;
$t->sql(sprintf "SELECT telehealth.register_oauth_client('zoom', %s::jsonb, %s::jsonb)", literal({ client_id => 'app-1', client_secret => 'app-secret-1' }),
	literal({ auth_url => $zoom->auth_url, token_url => $zoom->token_url, api_url => $zoom->api_url }));
my $account = complete($zoom->browse($t->sql("SELECT telehealth.authorize_platform('zoom')")));
my $used = "SELECT obtained_at > now() - interval '1 day' FROM telehealth_private.token_cache WHERE account_id = $account";
is($t->sql($used), 't', 'a user of Zoom grants access');
$t->sql("UPDATE telehealth_private.token_cache SET obtained_at = now() - interval '31 days', expires_at = now() - interval '30 days' WHERE account_id = $account");
$t->restart_dispatcher;
ok($t->poll($used, 't'), 'O7: that grant too is used once a month, without any visit');

# ---- G6: a grant that is taken back

my $listener = $t->background_psql('postgres', on_error_stop => 0);
$listener->query('LISTEN telehealth_calendar');
$fake{google}->revoke_grants(user => 'user3@clinic.example');
$t->sql("INSERT INTO telehealth.provider (id) VALUES (3)");
my $calls = $fake{google}->state->{token_calls};
my @visits = map { $t->insert_visit(provider_id => 3) } 1 .. 3;
becomes($third, 'REAUTH_REQUIRED', 'G6: the first invalid_grant makes it so');
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'event' AND waiting_for = 'reauth_required'", 3), 'G6: its work is parked');
cmp_ok($fake{google}->state->{token_calls} - $calls, '<=', 3, 'G6: the vendor is not asked again and again');
my $told = $listener->query('SELECT 1');
$told .= $listener->query('SELECT 1') for 1 .. 3;
my @reauth = $told =~ /Asynchronous notification "telehealth_calendar" with payload "([^"]*reauth_required.*?)" received/g;
is(scalar(() = $told =~ /reauth_required/g), 1, 'G6: one notification') or diag $told;
unlike($told, qr/user3|@/, 'which has ids alone');
is($t->sql("SELECT status FROM telehealth.health WHERE check_name = 'calendars'"), 'warning', 'health knows it');
$calls = $fake{google}->state->{token_calls};
$t->restart_dispatcher;
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'event'");
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'event' AND waiting_for = 'reauth_required' AND due_at > now()", 3, 30), 'G6: it stays parked');
is($fake{google}->state->{token_calls}, $calls, 'G6: and nobody is asked, by a new dispatcher either');
my ($back) = do { $fake{google}->options(oauth_clients => [ { %{ $app{google} }, redirect_uris => ['https://clinic.example/api/calendar-sync/google/callback'], user => 'user3@clinic.example' } ]); consent(3, 'google') };
is($back, $third, 'the provider consents again');
ok($t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE connection_id = $third AND pushed_at IS NOT NULL AND retired_at IS NULL", 3),
	'G6: what was parked is done, nothing is lost');
$told = join '', map { $listener->query('SELECT 1') } 1 .. 3;
like($told, qr/"event": "connected", "clinic_id": 1, "connection_id": $third\}/, 'G6: and who listens hears that');
is(scalar(grep { $_->{id} } $fake{google}->live_events('user3@clinic.example')), 3, 'once each') or diag explain [ $fake{google}->live_events ];

# A client that is wrong is no provider's fault
register('google', client_secret => 'wrong');
$fake{google}->revoke_tokens;
$t->sql("UPDATE telehealth.appointment SET duration = 40 WHERE id = $visits[0]");
ok($t->poll("SELECT status FROM telehealth.calendar_connection WHERE id = $third", 'ERROR'), 'a wrong client is an error of configuration, not of consent');
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE attempts > 0 OR kind = 'calendars'", 0), 'what waits for it is parked');
$fake{google}->faults({ match => { path_regex => 'token' }, fault => { kind => 'delay', ms => 1500 } });
$calls = $fake{google}->state->{token_calls};
register('google', client_secret => 'wrong too');
ok($fake{google}->wait_for(sub { $_[0]{token_calls} > $calls }), 'another one is tried at once');
register('google');
ok($t->poll("SELECT status FROM telehealth.calendar_status WHERE connection_id = $third", 'CONNECTED', 20), 'Y9: it is well again once that is mended, though the wrong one was on its way');
$fake{google}->faults;

# ---- D10: everything of ours is removed

my $foreign = $fake{google}->edit_event(calendar => 'user3@clinic.example', create => { summary => 'Dentist', start => { dateTime => '2040-01-05T10:00:00Z' }, end => { dateTime => '2040-01-05T11:00:00Z' } });
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('event', 'calendars')", 0), 'all is pushed');
$t->sql("DELETE FROM telehealth.calendar_event WHERE connection_id = $third");
$t->sql("INSERT INTO telehealth.calendar_event (clinic_id, appointment_id, connection_id, uid, intent, intent_at) VALUES (1, 999, $third, 'one under way', 'create', now())");
$t->sql("SELECT telehealth.purge_remote($third)");
ok($t->poll("SELECT waiting_for FROM telehealth_private.job WHERE kind = 'connection' AND subject_id = $third", 'outcome_unknown', 20), 'D10: what is being made is waited for');
$t->sql("UPDATE telehealth.calendar_event SET intent_at = now() - interval '1 hour' WHERE connection_id = $third");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'connection' AND subject_id = $third");
ok($t->poll("SELECT is_purging FROM telehealth.calendar_status WHERE connection_id = $third", 'f'), 'D10: a calendar is emptied');
is(join(' ', map { $_->{summary} } $fake{google}->live_events('user3@clinic.example')), 'Dentist', 'D10: by our tag, though no row knows, and of ours alone');
is(status($third, 'sync_enabled'), 'f', 'D10: nothing is pushed there any more');

# Where the grant is refused, it is tried for a month
$t->sql("INSERT INTO telehealth.provider (id) VALUES (13)");
my $thirteenth = connect_it(13, 'google', refresh_token => $fake{google}->grant(user => 'user13@clinic.example')->{refresh_token}, sync_direction => 'push')->{connection_id};
becomes($thirteenth, 'CONNECTED', 'a calendar is connected');
like(join('', map { $listener->query('SELECT 1') } 1 .. 3), qr/"event": "connected", "clinic_id": 1, "connection_id": $thirteenth\}/, 'which who listens hears');
$listener->quit;
$fake{google}->revoke_grants(user => 'user13@clinic.example');
$t->sql("DELETE FROM telehealth_private.connection_token WHERE connection_id = $thirteenth");
$t->sql("SELECT telehealth.disconnect_calendar(13, 'google', purge => true)");
$t->sql("UPDATE telehealth.calendar_connection SET disconnected_at = now() - interval '31 days' WHERE id = $thirteenth");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'connection' AND subject_id = $thirteenth");
ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $thirteenth", 0, 20), 'D10: what cannot be emptied for a month is given up');

# Somebody is told, and may give up earlier
$t->sql("INSERT INTO telehealth.provider (id) VALUES (12)");
my $twelfth = connect_it(12, 'google', refresh_token => $fake{google}->grant(user => 'user12@clinic.example')->{refresh_token}, sync_direction => 'push')->{connection_id};
$t->insert_visit(provider_id => 12);
ok($t->poll("SELECT events FROM telehealth.calendar_status WHERE connection_id = $twelfth AND events_waiting = 0", 1), 'a visit is shown');
$fake{google}->revoke_grants(user => 'user12@clinic.example');
is($t->sql("SELECT telehealth.disconnect_calendar(12, 'google', purge => true)"), 't', 'D10: a calendar is to be emptied whose grant is gone');
ok($t->poll("SELECT hint ~ '^It cannot be emptied' AND is_purging FROM telehealth.calendar_status WHERE connection_id = $twelfth", 't'), 'D10: calendar_status says that it cannot be');
like($t->sql("SELECT detail FROM telehealth.health WHERE check_name = 'calendars' AND status <> 'ok'"), qr/that cannot be emptied: 1$/, 'D10: health knows it');
is($t->sql("SELECT telehealth.disconnect_calendar(12, 'google', purge => true)"), 'f', 'it is ended already');
is($t->sql("SELECT telehealth.disconnect_calendar(12, 'google')"), 't', 'D10: that is given up');
ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $twelfth", 0), 'D10: and the connection ends');
is($t->sql("SELECT is_purging OR hint IS NOT NULL FROM telehealth.calendar_status WHERE connection_id = $twelfth"), 'f', 'D10: nobody is asked for anything more');
is(scalar(grep { $_->{id} } $fake{google}->live_events('user12@clinic.example')), 1, 'what was shown stays');

# ---- the end

is($t->sql("SELECT telehealth.disconnect_calendar(1, 'google')"), 't', 'a calendar is disconnected');
ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $first", 0), 'its secrets are gone');
is($fake{google}->count('POST /revoke'), 2, 'its grant is revoked') or diag explain $fake{google}->state->{counters};
is(status($first), 'DISCONNECTED', 'the connection is ended');
is($t->sql("SELECT telehealth.disconnect_calendar(1, 'google')"), 'f', 'once');
is($t->sql("SELECT telehealth.disconnect_calendar(1, 'outlook')"), 't', 'Outlook has no address for that');
ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $second", 0), 'and is forgotten');
my ($anew) = consent(1, 'google');
is("$anew " . status($anew), "$first CONNECTED", 'what was ended begins again');
$t->fails_ok('SELECT telehealth.purge_remote(4711)', 'P0002', 'no connection, no purge');
$t->fails_ok("SELECT telehealth.purge_remote($second)", '55000', 'nor without a grant');

# ---- Apple needs a feed alone

my $apple = connect_it(1, 'apple');
like($apple->{feed_url}, qr{^https://clinic\.example/}, 'apple: an address');
like($apple->{webcal_url}, qr{^webcal://clinic\.example/}, 'one that a device subscribes to');
like($apple->{qr}, qr/<svg/, 'as a picture');
like($apple->{instructions}, qr/Subscri/, 'and what to do with it');
is($t->sql("SELECT count(*) FROM telehealth.feed WHERE name = 'Apple Calendar' AND is_active"), 1, 'it is a feed');
connect_it(1, 'apple');
is($t->sql("SELECT count(*) FROM telehealth.feed WHERE name = 'Apple Calendar' AND is_active"), 1, 'another takes its place');
is($t->sql("SELECT telehealth.disconnect_calendar(1, 'apple')"), 't', 'and ends');
is($t->sql("SELECT count(*) FROM telehealth.feed WHERE is_active"), 0, 'with its feed');

# ---- roles and rows

$t->sql("CREATE ROLE mine LOGIN; CREATE ROLE other LOGIN; CREATE ROLE looker LOGIN;
	SELECT telehealth.grant_role('mine', 'app', 1); SELECT telehealth.grant_role('other', 'admin', 2); SELECT telehealth.grant_role('looker', 'reader', 1)");
ok(decode_json($t->sql(connect_sql(8, 'google'), role => 'mine'))->{auth_url}, 'an application connects its clinic\'s calendars');
$t->fails_ok(connect_sql(8, 'google'), '42501', 'another clinic\'s admin does not', role => 'other');
$t->fails_ok(connect_sql(8, 'google'), '42501', 'nor a reader', role => 'looker');
$t->fails_ok("SELECT telehealth.purge_remote($first)", '42501', 'nor empties one', role => 'other');
$t->fails_ok($_, '42501', "no role may: $_", role => 'mine')
  for "UPDATE telehealth.calendar_connection SET settings = '{\"api_url\": \"https://evil.example\"}'", 'SELECT * FROM telehealth_private.connection_secret',
  'DELETE FROM telehealth.calendar_event';
is($t->sql('SELECT count(*) FROM telehealth.calendar_status', role => 'other'), 0, 'status is seen by its clinic alone');
cmp_ok($t->sql('SELECT count(*) FROM telehealth.calendar_status', role => 'looker'), '>', 3, 'readers of it too');
$t->sql("SELECT telehealth.configure_calendar($first, '{\"sync_frequency_minutes\": 60, \"only_video\": null}')", role => 'mine');
is($t->sql("SELECT sync_frequency_minutes || ' ' || settings FROM telehealth.calendar_connection WHERE id = $first"), '60 {}', 'options are changed, null removes one');
$t->fails_ok("SELECT telehealth.configure_calendar($first, '{\"refresh_token\": \"x\"}')", '22023', 'but no grant');
$t->sql("DELETE FROM telehealth.calendar_connection WHERE id = $bad");
is($t->sql("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $bad"), 0, 'secrets go with a row that is deleted');

# ---- W12: what an application holds makes nobody else wait

$t->sql("INSERT INTO telehealth.provider (id) VALUES (10), (11)");
my ($held, $free) = map { connect_it($_, 'google', refresh_token => $fake{google}->grant(user => "user$_\@clinic.example")->{refresh_token}, sync_direction => 'push')->{connection_id} } 10, 11;
becomes($_, 'CONNECTED', 'connected') for $held, $free;
my $app = $t->background_psql('postgres');
$app->query("BEGIN; SELECT telehealth.configure_calendar($held, '{\"only_video\": true}')");
$fake{google}->revoke_tokens;
my $log = $t->log_size;
$t->insert_visit(provider_id => 10);
$t->insert_visit(provider_id => 11);
my $pushed = "SELECT count(*) FROM telehealth.calendar_event WHERE connection_id = %d AND pushed_at IS NOT NULL";
ok($t->poll(sprintf($pushed, $free), 1), 'W12: beside a row that an application holds, others go on');
unlike($t->log_text($log), qr/lock timeout/, 'W12: nobody waits for it');
$app->query('COMMIT');
ok($t->poll(sprintf($pushed, $held), 1), 'W12: what waited for it follows');
$app->quit;

# ---- D7: a copy sends nothing

$t->sql("UPDATE telehealth_private.environment SET system_identifier = '1'");
$t->fails_ok(connect_sql(9, 'google'), 'TH003', 'D7: no browser is sent from a copy');
my $before = $fake{google}->state->{requests_total};
$grant = $fake{google}->grant(user => 'user9@clinic.example');
my $ninth = connect_it(9, 'google', refresh_token => $grant->{refresh_token})->{connection_id};
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'connection' AND subject_id = $ninth", 1), 'D7: a grant that is brought along waits');
is(status($ninth), 'PENDING', 'D7: and is not used');
$t->sql('SELECT telehealth.adopt_environment()');
becomes($ninth, 'CONNECTED', 'D7: before somebody says that this is the real one');

# ---- keys

is($t->sql('SELECT telehealth.rotate_keys()') >= 0 ? 1 : 0, 1, 'keys are rotated over all secrets');
is(join(' ', map { $_->{n} } $t->rows("SELECT count(*) AS n FROM telehealth.audit_log WHERE action IN ('connect_calendar', 'disconnect_calendar', 'purge_remote', 'complete_oauth')")) > 8 ? 1 : 0, 1,
	'all of it is in the audit log');
unlike($t->log_text, qr/1\/\/[A-Za-z0-9]{20}|google-secret-1|ya29\./, 'S2: no secret is in the log');

finish;
