# Accounts that share a secret, as those connected through one application do,
# and whose numbers are not known.
use TelehealthTest;
use HttpClient qw(connected http read_reply);
use ZoomHook qw(hook_headers hook_event hook_status hook_prepare);
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $fake = FakeZoom->start;
my $t = TelehealthTest->node('webhook_shared', conf => { 'telehealth.http_port' => $port, 'telehealth.http_workers' => 1 });
$t->create_extension;
$t->widen_limits;
hook_prepare($t);
ok($t->poll(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'}, "listens at 127.0.0.1, port $port; processes: 1 of 1", 20), 'listens');

# ---- H5: which clinic's an event is shows the meeting, now or later

my %id;
$id{$_} = $t->connect_zoom($fake, clinic => $_, account_id => $_ == 1 ? "acct-9" : "acct-1", webhook_secret => 'shared') for 1, 2;
$t->sql('UPDATE telehealth.account SET vendor_key = NULL');
sub made { return $t->await($t->insert_visit(clinic_id => 2), clinic => 2) // {} }
my $first = made();
my $second = made();
my $next = 2 * $second->{meeting_id} - $first->{meeting_id};
is(hook_status($t, 'shared', hook_event('meeting.created', meeting => "$next", account => 'acct-1')), 200, 'taken');
my $third = made();
is($third->{meeting_id}, $next, 'a visit gets that meeting');
my $session = $t->row("SELECT id FROM telehealth.session WHERE meeting_id = '$next'");
ok($t->poll(qq{SELECT clinic_id || ' ' || coalesce(session_id, 0) || ' ' || account_clinic_id || ' ' || account_id || ' ' || coalesce(signers::text, '-') FROM telehealth.webhook_event WHERE meeting_id = '$next'}, "2 $session->{id} 2 $id{2} -", 8), 'H5: matched later')
 or diag $t->sql(qq{SELECT clinic_id, account_clinic_id, account_id, outcome FROM telehealth.webhook_event WHERE meeting_id = '$next'});
is(hook_status($t, 'shared', hook_event('meeting.started', meeting => "$next", account => 'acct-1')), 200, 'another event');
is($t->sql(qq{SELECT clinic_id || ' ' || session_id FROM telehealth.webhook_event WHERE meeting_id = '$next' AND event_name = 'meeting.started'}), "2 $session->{id}", 'H5: matched at once');

# ---- what speaks of no meeting is of none of them, and takes access from none

sub deauthorized { my ($account) = @_; return qq({"event": "app_deauthorized", "payload": {"account_id": "$account", "deauthorization_time": "2026-01-05T10:00:06Z"}}) }
$id{3} = $t->connect_zoom($fake, clinic => 3, account_id => 'acct-3', webhook_secret => 'shared');
is(hook_status($t, 'shared', deauthorized($_)), 200, "the app was removed at $_") for qw(acct-1 acct-3);
my $states = q{SELECT string_agg(clinic_id || ' ' || is_refused, ', ' ORDER BY clinic_id) FROM telehealth.account};
ok($t->poll($states, '1 false, 2 false, 3 true', 10), 'H3: the account whose number is known is without access, no other is') or diag $t->sql($states);
is($t->sql(q{SELECT string_agg(account_ref || ' ' || clinic_id || ' ' || coalesce(account_id::text, '-'), ', ' ORDER BY account_ref) FROM telehealth.webhook_event WHERE event_name = 'app_deauthorized'}),
	"acct-1 0 -, acct-3 3 $id{3}", '... and no clinic sees what may be of another one');

# ... but one account that two clinics have connected is without access in both

$id{$_} = $t->connect_zoom($fake, clinic => $_, account_id => 'acct-4', webhook_secret => $_ == 6 ? 'own' : 'shared') for 4 .. 6;
is(hook_status($t, 'shared', deauthorized('acct-4')), 200, 'the app was removed at an account of two clinics') for 1, 2;
ok($t->poll($states, '1 false, 2 false, 3 true, 4 true, 5 true, 6 false', 10), 'H3: both are without access, and nobody whose secret did not sign') or diag $t->sql($states);
is($t->sql(q{SELECT string_agg(clinic_id || ' ' || account_id, ', ' ORDER BY clinic_id) FROM telehealth.webhook_event WHERE account_ref = 'acct-4'}),
	"4 $id{4}, 5 $id{5}", '... of which each has one row of its own');

# ---- H3: who asks for proof of every secret takes none from an event of the same batch

$t->sql(q{SELECT telehealth.connect_platform('zoom', jsonb_build_object('account_id', 'many-' || c, 'client_id', 'c', 'client_secret', 's', 'webhook_secret', 'many-secret-' || c), clinic_id => c) FROM generate_series(1000, 2100) AS c});
sub req { my ($body, $secret) = @_; my $h = hook_headers($secret, $body); return "POST /zoom_events/events HTTP/1.1\r\nHost: x\r\n" . join('', map { "$_: $h->{$_}\r\n" } keys %$h) . 'Content-Length: ' . length($body) . "\r\n\r\n$body" }
my $pid = $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
my @s = map { connected($port) } 1, 2;
read_reply($_) for map { syswrite $_, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"; $_ } @s;
kill STOP => $pid;
syswrite $s[0], req('{"event":"endpoint.url_validation","payload":{"plainToken":"a"}}', 'nobody');
syswrite $s[1], req(hook_event('meeting.started', meeting => '9911', account => 'acct-1'), 'shared');
kill CONT => $pid;
is(join(' ', map { read_reply($_, limit => 10)->{status} } @s), '401 202', 'H3: a challenge beside it does not cut off a genuine one');

# ---- H3: nor makes it an event of an account that is not known be taken from whatever clinic

$t->sql(q{UPDATE telehealth.account SET vendor_key = decode(md5(clinic_id::text), 'hex') WHERE vendor_key IS NULL});
my $stray = hook_event('meeting.started', meeting => '9912', account => 'acct-0');
is(hook_status($t, 'many-secret-1500', $stray), 401, "an event of nobody's account");
kill STOP => $pid;
syswrite $s[0], req('{"event":"endpoint.url_validation","payload":{"plainToken":"a"}}', 'many-secret-1400');
syswrite $s[1], req($stray, 'many-secret-1500');
kill CONT => $pid;
is(join(' ', map { read_reply($_, limit => 10)->{status} } @s), '200 401', 'H3: ... also beside a challenge, for which all secrets are looked up');
finish();
