# One visit, one meeting: what is sent, what is shown, how it follows the
# visit and goes with it, and whose account it is made with.
use TelehealthTest;
use Mojo::JSON qw(decode_json false true);

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('zoom',
	conf => { 'telehealth.request_timeout_ms' => 800, 'telehealth.lease_seconds' => 5 });
$t->create_extension;
$t->widen_limits;
$t->add_hosts;
my $account = $t->connect_zoom($fake);

sub visit
{
	my ($id) = @_;
	return $t->row("SELECT *, extract(epoch FROM starts_at)::bigint AS start FROM telehealth.appointment WHERE id = $id");
}

# The one live meeting of a visit at the fake, by its marker
sub meeting
{
	my ($id) = @_;
	my $marker = $t->session($id)->{marker};
	my @live = grep { ($_->{marker} // '') eq $marker } $fake->live_meetings;

	return @live == 1 ? $live[0] : undef;
}

# ---- what is sent, and what is shown

my $first = $t->insert_visit(patient_id => 11, provider_id => 2,
	title => 'Canary-Title', reason => 'Canary-Reason', starts_at => '2031-03-09 08:30:00Z', duration => 45);
$t->await_ok($first, 'an INSERT gets its link');
my $session = $t->session($first);
ok(meeting($first), 'from one meeting');
is(visit($first)->{join_url}, $session->{join_url}, 'the link is in the row');
like($session->{join_url}, qr{^https://}, 'a link over TLS');
my ($create) = map { decode_json($_->{body}) } $fake->requests(method => 'POST', path_regex => 'host2.*/meetings$');
my %settings = (
	waiting_room => true, auto_recording => 'none', encryption_type => 'enhanced_encryption',
	meeting_authentication => false, mute_upon_entry => false, approval_type => 2,
	use_pmi => false, join_before_host => false,
	email_notification => false, registrants_email_notification => false,
	registrants_confirmation_email => false, alternative_hosts_email_notification => false,
	auto_start_meeting_summary => false, auto_start_ai_companion_questions => false,
	continuous_meeting_chat => { enable => false });
is_deeply($create->{settings}, { %settings, push_change_to_calendar => false },
	'P1: a create says every setting: waiting room, no personal room, no mail, no recording, no AI')
  or diag explain $create->{settings};
like($create->{password}, qr/^[A-Za-z0-9]{10}$/, 'P1: a passcode of ours');
is($create->{default_password}, false, 'P1: and none of the account');
is($create->{topic}, 'Telehealth visit', 'P1: the topic tells nothing');
like($create->{agenda}, qr/^telehealth ref th-[0-9a-f]{32}$/, 'P1: nor does the agenda, which begins with our marker');
unlike(join('', map { $_->{body} // '' } $fake->requests), qr/Canary/, 'P1: no title, no reason leaves');

# ---- the start link is never kept (Z10)

my $start_url = $t->sql("SELECT telehealth.host_start_url($first)");
like($start_url, qr{^https://.*zak=}, 'Z10: the start link is fetched now');
isnt($t->sql("SELECT telehealth.host_start_url($first)"), $start_url, 'Z10: and anew each time');
is(scalar(grep { $_->{method} eq 'GET' } $fake->requests(path_regex => "/meetings/$session->{meeting_id}\$")), 2,
	'Z10: by a call each');
# an update is read back: that answer has a start link too
$t->sql("UPDATE telehealth.appointment SET duration = 40 WHERE id = $first");
ok($t->drained, 'an edit settles');
is($t->sql(q{SELECT count(*) FROM information_schema.columns
	WHERE table_schema LIKE 'telehealth%' AND column_name LIKE '%start_url%'}), 0,
	'Z10: no column is for it');
unlike($t->sql(q{SELECT string_agg(query_to_xml(format('SELECT * FROM %s', c.oid::regclass), true, false, '')::text, '')
		FROM pg_class AS c WHERE c.relnamespace::regnamespace::text LIKE 'telehealth%' AND c.relkind = 'r'}) . $t->log_text,
	qr/zak=/, 'Z10: and none has it, nor the log');

# ---- reschedule, cancel, delete, change of kind

my ($patch) = map { decode_json($_->{body}) } $fake->requests(method => 'PATCH');
is_deeply($patch->{settings}, \%settings, 'P1: an update says every setting too') or diag explain $patch->{settings};
is($patch->{agenda}, $create->{agenda}, 'P1: with the same agenda');
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '10 hours' WHERE id = $first");
ok($t->drained, 'a reschedule settles');
is(meeting($first)->{start_epoch}, visit($first)->{start}, 'Z3: the meeting follows the visit');
is($t->session($first)->{meeting_id}, $session->{meeting_id}, 'Z3: it is the same meeting');
is(visit($first)->{join_url}, $session->{join_url}, 'Z3: with the same link');

# What marks and what does not: more in sql/appointment.sql
my $calls = $fake->state->{requests_total};
$t->sql("UPDATE telehealth.appointment SET location = 'Room 2' WHERE id = $first");
is($t->sql('SELECT count(*) FROM telehealth_private.job'), 0, 'a room marks nothing');
is($fake->state->{requests_total}, $calls, 'and nothing is sent');

$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $first");
ok($t->drained, 'a cancellation settles');
is(scalar($fake->live_meetings), 0, 'Z2: cancelled, the meeting is gone');
is(visit($first)->{join_url}, undef, 'Z2: and the link with it');
is($t->session($first)->{status}, 'CANCELLED', 'the session says so');
$t->sql("UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE id = $first");
$t->await_ok($first, 'taken up again, it has a meeting again');
$t->sql("UPDATE telehealth.appointment SET type = 'IN_PERSON' WHERE id = $first");
ok($t->drained && !$fake->live_meetings, 'Z2: in person, the meeting is gone');
$t->sql("UPDATE telehealth.appointment SET type = 'VIDEO' WHERE id = $first");
$t->await($first);
$t->sql("DELETE FROM telehealth.appointment WHERE id = $first");
ok($t->drained && !$fake->live_meetings, 'Z2: deleted, the meeting is gone');
is($t->sql('SELECT count(*) FROM telehealth.session'), 0, 'Z2: and nothing of ours is left');

my $gone = $t->insert_visit(provider_id => 3);
$t->await($gone);
$fake->edit_meeting(id => $t->session($gone)->{meeting_id}, delete => 1);
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $gone");
ok($t->drained, 'Z2: 404 on a delete is done');
is($t->session($gone)->{meeting_id}, undef, 'Z2: and the meeting forgotten');

my $lost = $t->insert_visit(provider_id => 3);
my $old = $t->await($lost);
$fake->edit_meeting(id => $old->{meeting_id}, delete => 1);
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '40 days' WHERE id = $lost");
ok($t->drained, 'a change of a vanished meeting settles');
ok(meeting($lost) && meeting($lost)->{id} ne $old->{meeting_id}, 'Z3: it is made anew');
isnt(visit($lost)->{join_url}, $old->{join_url}, 'Z3: with another link');
is(visit($lost)->{join_url}, $t->session($lost)->{join_url}, 'Z3: which is announced');
is($t->sql('SELECT count(*) FROM telehealth.orphan_meetings'), 0, 'Z2: no orphan is left');

# Removals that fail are seen, and tried until they are done
$fake->faults({ match => { method => 'DELETE' }, fault => { kind => 'status', code => 503 } });
my @kept = map { $t->insert_visit(provider_id => $_) } 4 .. 6;
$t->await($_) for @kept;
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $kept[0];
	UPDATE telehealth.appointment SET type = 'PHONE' WHERE id = $kept[1]; DELETE FROM telehealth.appointment WHERE id = $kept[2]");
ok($t->poll('SELECT count(*) FROM telehealth.orphan_meetings WHERE last_error IS NOT NULL', 3, 20),
	'Z2: what could not be removed is in orphan_meetings');
$fake->faults;
$t->sql("SELECT telehealth.retry_job('meeting', $_)") for @kept;
ok($t->drained, 'Z2: it is tried again');
is($t->sql('SELECT count(*) FROM telehealth.orphan_meetings'), 0, 'Z2: until none is left');
is(scalar($fake->live_meetings), 1, 'Z2: at Zoom neither');

# ---- who the meeting belongs to

my $other = $t->insert_visit(patient_id => 21, provider_id => 7);
$old = $t->await($other);
$t->sql("UPDATE telehealth.appointment SET patient_id = 22 WHERE id = $other");
ok($t->drained, 'a change of patient settles');
isnt($t->session($other)->{meeting_id}, $old->{meeting_id}, 'another patient never gets the former link');
ok(!(grep { $_->{id} eq $old->{meeting_id} } $fake->live_meetings), 'the former meeting is gone');
$t->sql("UPDATE telehealth.appointment SET provider_id = 8, starts_at = starts_at + interval '50 days' WHERE id = $other");
ok($t->drained, 'a change of provider settles');
is(meeting($other)->{host_email}, 'host8@clinic.example', 'the meeting moves to the other host');

# ---- settings and accounts

$t->sql("SELECT telehealth.configure_platform($account, '{\"waiting_room\": false, \"mute_upon_entry\": true}')");
ok($t->drained, 'a change of settings settles');
my ($patched) = grep { $_->{id} eq $t->session($other)->{meeting_id} } $fake->live_meetings;
ok(!$patched->{settings}{waiting_room} && $patched->{settings}{mute_upon_entry}, 'settings reach the meetings that exist');
$t->sql("SELECT telehealth.configure_platform($account, '{\"waiting_room\": null}')");
ok($t->drained, 'and back');

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
$t->fails_ok("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT telehealth.await_meeting($other)", '55000', 'under snapshot isolation');
$t->fails_ok("SELECT telehealth.await_meeting($theirs)", 'P0002', 'the visit of another clinic');

finish;
