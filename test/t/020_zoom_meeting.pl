# One visit, one meeting: made, kept true, removed, whatever Zoom does.
use TelehealthTest;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('zoom',
	conf => { 'telehealth.request_timeout_ms' => 800, 'telehealth.lease_seconds' => 5 });
$t->create_extension;
$t->sql(q{
	INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES
		('zoom', 'light_per_second', 2000), ('zoom', 'medium_per_second', 2000),
		('zoom', 'concurrent_requests', 20), ('zoom', 'host_writes_per_day', 100000);
	INSERT INTO telehealth.provider (id, platform_user)
		SELECT n, format('host%s@clinic.example', n) FROM generate_series(1, 20) AS n;
});
my $account = $t->connect_zoom($fake);

sub drained
{
	return $t->poll('SELECT count(*) FROM telehealth_private.job', 0, $_[0] // 20);
}

sub session
{
	my ($id) = @_;
	return $t->row("SELECT * FROM telehealth.session WHERE appointment_id = $id AND retired_at IS NULL");
}

sub visit
{
	my ($id) = @_;
	return $t->row("SELECT *, extract(epoch FROM starts_at)::bigint AS start FROM telehealth.appointment WHERE id = $id");
}

# The one live meeting of a visit at the fake, by its marker
sub meeting
{
	my ($id) = @_;
	my $marker = session($id)->{marker};
	my @live = grep { ($_->{marker} // '') eq $marker } $fake->live_meetings;

	return @live == 1 ? $live[0] : undef;
}

sub story { return $t->sql("SELECT string_agg(what || ': ' || coalesce(result, ''), E'\n') FROM telehealth.explain_appointment($_[0])") }

# ---- what is sent, and what is shown

my $first = $t->insert_visit(patient_id => 11, provider_id => 2,
	title => 'Canary-Title', reason => 'Canary-Reason', starts_at => '2031-03-09 08:30:00Z', duration => 45);
my $session = $t->await($first);
my $meeting = meeting($first);
ok($meeting, 'an INSERT becomes one meeting');
is(visit($first)->{join_url}, $session->{join_url}, 'the link is in the row');
like($session->{join_url}, qr{^https://}, 'a link over TLS');
is($meeting->{start_epoch}, visit($first)->{start}, 'Z12: at the instant of the visit');
is($meeting->{topic}, 'Telehealth visit', 'P1: the topic tells nothing');
my ($create) = $fake->requests(method => 'POST', path_regex => 'host2.*/meetings$');
like($create->{body}, qr/"use_pmi":\s*false/, 'Z11: never the personal room');
like($create->{body}, qr/"waiting_room":\s*true/, 'the waiting room is on');
like($create->{body}, qr/"auto_recording":\s*"none"/, 'nothing is recorded without consent');
like($create->{body}, qr/"auto_start_meeting_summary":\s*false/, 'no AI summary');
like($create->{body}, qr/"email_notification":\s*false/, 'no mail by the vendor');
like($create->{body}, qr/"password":\s*"[A-Za-z0-9]{10}"/, 'a passcode of ours');
unlike(join('', map { $_->{body} // '' } $fake->requests), qr/Canary/, 'P1: no title, no reason leaves');
is($t->sql(q{SELECT count(*) FROM information_schema.columns
	WHERE table_schema LIKE 'telehealth%' AND column_name LIKE '%start_url%'}), 0,
	'Z10: no column holds a start link');
my $start_url = $t->sql("SELECT telehealth.host_start_url($first)");
like($start_url, qr{^https://.*zak=}, 'Z10: the start link is fetched now');
isnt($t->sql("SELECT telehealth.host_start_url($first)"), $start_url, 'Z10: and anew each time');

# ---- reschedule, cancel, delete, change of kind

my $before = $fake->count('PATCH /v2/meetings/{id}');
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 hour' * $_ WHERE id = $first") for 1 .. 10;
ok(drained(), 'ten edits settle');
is($fake->count('PATCH /v2/meetings/{id}') - $before, 1, 'Z8: ten edits are one PATCH');
is(meeting($first)->{start_epoch}, visit($first)->{start}, 'Z3: the meeting follows the visit');
is(session($first)->{meeting_id}, $session->{meeting_id}, 'Z3: it is the same meeting');
is(session($first)->{join_url}, $session->{join_url}, 'Z3: with the same link');

$before = $t->sql("SELECT updated_at FROM telehealth.appointment WHERE id = $first");
my $calls = $fake->state->{requests_total};
$t->sql("UPDATE telehealth.appointment SET reason = 'other' WHERE id = $first");
is($t->sql('SELECT count(*) FROM telehealth_private.job'), 0, 'a note marks nothing');
is($fake->state->{requests_total}, $calls, 'and nothing is sent');

$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $first");
ok(drained(), 'a cancellation settles');
is(scalar($fake->live_meetings), 0, 'Z2: cancelled, the meeting is gone');
is(visit($first)->{join_url}, undef, 'Z2: and the link with it');
is(session($first)->{status}, 'CANCELLED', 'the session says so');
$t->sql("UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE id = $first");
ok($t->await($first)->{join_url}, 'taken up again, it has a meeting again');
$t->sql("UPDATE telehealth.appointment SET type = 'IN_PERSON' WHERE id = $first");
ok(drained() && !$fake->live_meetings, 'Z2: in person, the meeting is gone');
$t->sql("UPDATE telehealth.appointment SET type = 'VIDEO' WHERE id = $first");
$t->await($first);
$t->sql("DELETE FROM telehealth.appointment WHERE id = $first");
ok(drained() && !$fake->live_meetings, 'Z2: deleted, the meeting is gone');
is($t->sql('SELECT count(*) FROM telehealth.session'), 0, 'and nothing of ours is left');

my $gone = $t->insert_visit(provider_id => 3);
$t->await($gone);
$fake->edit_meeting(id => session($gone)->{meeting_id}, delete => 1);
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $gone");
ok(drained(), 'Z2: 404 on a delete is done');

my $lost = $t->insert_visit(provider_id => 3);
my $old = $t->await($lost);
$fake->edit_meeting(id => $old->{meeting_id}, delete => 1);
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '40 days' WHERE id = $lost");
ok(drained(), 'a change of a vanished meeting settles');
ok(meeting($lost) && meeting($lost)->{id} ne $old->{meeting_id}, 'Z3: it is made anew');
is(visit($lost)->{join_url}, session($lost)->{join_url}, 'Z3: and its link announced');
is($t->sql('SELECT count(*) FROM telehealth.orphan_meetings'), 0, 'Z2: no orphan is left');

# ---- lost answers

$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'cut_after' } });
my $cut = $t->insert_visit(provider_id => 4);
$t->await($cut);
ok(drained() && meeting($cut), 'Z1: a lost answer is not a second meeting');
like(story($cut), qr/find|look for/i, 'the story tells that it was looked for');

# the effect comes after we have given up waiting
$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
	fault => { kind => 'delay', ms => 1200, effect => 'last' } });
my $late = $t->insert_visit(provider_id => 5);
$t->await($late);
ok(drained() && meeting($late), 'Z1: an effect after our timeout is not a second meeting');
$fake->faults;

# found on a later page
{
	my @others = map { $t->insert_visit(provider_id => 6) } 1 .. 3;
	$t->await($_) for @others;
	$fake->edit_meeting(create => { host => 'host6@clinic.example' }) for 1 .. 320;
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'cut_after' } });
	my $paged = $t->insert_visit(provider_id => 6);
	$t->await($paged);
	ok(drained() && meeting($paged), 'Z1: the marker is found on a later page');
	$fake->faults;
}

# ---- who the meeting belongs to

my $other = $t->insert_visit(patient_id => 21, provider_id => 7);
$old = $t->await($other);
$t->sql("UPDATE telehealth.appointment SET patient_id = 22 WHERE id = $other");
ok(drained(), 'a change of patient settles');
isnt(session($other)->{meeting_id}, $old->{meeting_id}, 'another patient never gets the former link');
ok(!(grep { $_->{id} eq $old->{meeting_id} } $fake->live_meetings), 'the former meeting is gone');
$old = session($other);
$t->sql("UPDATE telehealth.appointment SET provider_id = 8, starts_at = starts_at + interval '50 days' WHERE id = $other");
ok(drained(), 'a change of provider settles');
is(meeting($other)->{host_email}, 'host8@clinic.example', 'the meeting moves to the other host');

# ---- answers that must not be used

$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
	fault => { kind => 'alter', set => { start_time => '2031-01-01T00:00:00Z' } } });
my $wrong = $t->insert_visit(provider_id => 9);
$t->await($wrong);
ok(drained() && meeting($wrong), 'Z12: an answer with another instant is refused and made anew');
is(meeting($wrong)->{start_epoch}, visit($wrong)->{start}, 'Z12: until it is right');
like(story($wrong), qr/start_time/, 'Z12: the story names what was wrong');

my $twin = session($wrong)->{meeting_id};
$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
	fault => { kind => 'alter', set => { id => 0 + $twin } } });
my $shared = $t->insert_visit(provider_id => 9);
isnt($t->await($shared)->{meeting_id}, $twin, 'Z11: the meeting of another visit is never handed out');
$fake->faults;

for my $zone ('America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/St_Johns')
{
	for my $instant ('2031-03-09 06:59:00Z', '2031-03-09 07:01:00Z', '2031-03-30 01:00:00Z', '2031-10-26 00:30:00Z',
		'2031-10-26 01:30:00Z', '2031-11-02 05:30:00Z', '2031-11-02 06:30:00Z', '2031-04-05 15:00:00Z')
	{
		$t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, timezone, is_overbooked, overbook_reason)
			VALUES (1, 10, 'VIDEO', '$instant', '$zone', true, 'a test of zones')");
	}
}
ok(drained(40), 'Z12: visits at the edges of DST in five zones are made');
is($t->sql(q{SELECT count(*) FROM telehealth.appointment WHERE provider_id = 10 AND join_url IS NULL}), 0, 'Z12: all of them');
my %start = map { $_->{id} => $_->{start_epoch} } $fake->live_meetings;
is(scalar(grep { $start{ $_->{meeting_id} } != $_->{start} }
		$t->rows('SELECT meeting_id, extract(epoch FROM starts_at)::bigint AS start FROM telehealth.appointment WHERE provider_id = 10')),
	0, 'Z12: each at its instant');

# ---- settings and accounts

$t->sql("SELECT telehealth.configure_platform($account, '{\"waiting_room\": false, \"mute_upon_entry\": true}')");
ok(drained(40), 'a change of settings settles');
my ($patched) = grep { $_->{id} eq session($wrong)->{meeting_id} } $fake->live_meetings;
ok(!$patched->{settings}{waiting_room} && $patched->{settings}{mute_upon_entry}, 'settings reach the meetings that exist');
$t->sql("SELECT telehealth.configure_platform($account, '{\"waiting_room\": null}')");
ok(drained(40), 'and back');

$fake->options(accounts => [
	{ account_id => 'acct-1', client_id => 'client-1', client_secret => 'secret-1' },
	{ account_id => 'acct-2', client_id => 'client-2', client_secret => 'secret-2' } ],
	users => [
		(map { { id => "host-id-$_", email => "host$_\@clinic.example", pmi => 5_000_000_000 + $_ } } 1 .. 20),
		{ id => 'own-id', email => 'own@clinic.example', account_id => 'acct-2' } ]);
my $own = $t->connect_zoom($fake, clinic => 2, account_id => 'acct-2', client_id => 'client-2', client_secret => 'secret-2',
	settings => { default_user => 'own@clinic.example' });
isnt($own, $account, 'a clinic may have an account of its own');
my $theirs = $t->insert_visit({ clinic => 2 });
$t->await($theirs, clinic => 2);
is($t->sql("SELECT account_id FROM telehealth.session WHERE appointment_id = $theirs"), $own, 'which beats the default');
my $ours = $t->insert_visit({ clinic => 3 });
$t->await($ours, clinic => 3);
is($t->sql("SELECT account_id FROM telehealth.session WHERE appointment_id = $ours"), $account, 'others use the default');

# ---- await_meeting tells why not

$t->fails_ok('SELECT telehealth.await_meeting(999999)', 'P0002', 'an unknown appointment');
my $person = $t->insert_visit(type => 'IN_PERSON', provider_id => 11);
$t->fails_ok("SELECT telehealth.await_meeting($person)", '55000', 'no video visit');
$t->fails_ok(q{BEGIN; INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (1, 12, 'VIDEO', '2033-01-01Z'); SELECT telehealth.await_meeting(max(id)) FROM telehealth.appointment}, '55000',
	'in the transaction that wrote the row');
$t->fails_ok("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT telehealth.await_meeting($cut)", '55000', 'under snapshot isolation');
$t->fails_ok("SELECT telehealth.await_meeting($theirs)", 'P0002', 'the visit of another clinic');

finish;
