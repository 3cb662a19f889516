# Answers that must not be believed: the meeting that Zoom says it made is
# compared with the one that was asked for.
use TelehealthTest;
use Mojo::JSON qw(decode_json false true);

my $fake = FakeZoom->start(options => { host_daily => 100_000 });
my $t = TelehealthTest->node('answer');
$t->create_extension;
$t->widen_limits;
$t->add_hosts;
my $account = $t->connect_zoom($fake);

sub story { return $t->sql("SELECT string_agg(result, ' ') FROM telehealth.explain_appointment($_[0])") }

# the next create is answered with these fields changed
sub next_answer
{
	my (%set) = @_;
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
		fault => { kind => 'alter', set => \%set } });
	return;
}

# A visit; the writes that it took, and its id
sub writes_of
{
	my (@columns) = @_;
	my $since = $fake->state->{requests_total};
	my $id = $t->insert_visit(@columns);

	$t->await($id);
	$t->drained;
	return (join(' ', map { $_->{method} } grep { $_->{method} ne 'GET' } $fake->requests(since => $since, path_regex => '/meetings')), $id);
}

# ---- rooms that are not the visit's own (Z11)

my $visit = $t->insert_visit(provider_id => 14);
$t->await_ok($visit, 'a visit gets its link');
my ($create) = map { decode_json($_->{body})->{settings} } $fake->requests(method => 'POST', path_regex => 'host14.*/meetings$');
ok(defined $create->{use_pmi} && !$create->{use_pmi}, 'Z11: a create says that it is not for the personal room');
for my $case (
	[ 'settings.use_pmi' => true, 'use_pmi' ],
	[ type => 4, 'type' ],
	[ join_url => 'http://zoom.example/j/1', 'join_url' ])
{
	next_answer($case->[0] => $case->[1]);
	my ($writes, $id) = writes_of(provider_id => 15);
	is($writes, 'POST DELETE POST', "Z11: an answer with a bad $case->[2] is removed, and made anew");
	like(story($id), qr/\b$case->[2]=/, 'Z11: the story tells it');
	is(join(' ', map { $_->{id} } $fake->live_meetings(15)), $t->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $id"), 'Z11: which is shown');
	$t->sql("DELETE FROM telehealth.appointment WHERE id = $id");
	$t->drained;
}
next_answer(id => 5000000016, pmi => 5000000016);
$visit = $t->insert_visit(provider_id => 16);
isnt($t->await($visit)->{meeting_id}, 5000000016, 'Z11: the number of the personal room is not handed out');

# The meeting of another clinic's visit is as bad as that of our own
my $theirs = $t->insert_visit({ clinic => 2 }, provider_id => 17);
my $taken = $t->await($theirs, clinic => 2)->{meeting_id};
for my $clinic (2, 3)
{
	next_answer(id => 0 + $taken);
	my $ours = $t->insert_visit({ clinic => $clinic }, provider_id => 18);
	isnt($t->await($ours, clinic => $clinic)->{meeting_id}, $taken, "Z11: the meeting of another visit is not handed out in clinic $clinic");
	like($t->sql("SELECT string_agg(result, E'\n') FROM telehealth.explain_appointment($ours)", clinic => $clinic),
		qr/it did not work: the platform answered with the meeting of another visit/, "Z11: the story tells it in clinic $clinic");
}
is($t->sql('SELECT count(*) FROM telehealth.duplicate_meetings'), 0, 'Z11: duplicate_meetings is empty');
ok((grep { $_->{id} == $taken } $fake->live_meetings), 'Z11: and that meeting was not touched');

# What looks like a token in a vendor's words is not shown, in part neither; addresses are
$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'status', code => 400,
	body => { code => 300, message => 'Bad keys QWxhZGRpbjpvcG+VuIHNlc2Ft/ZQ7Pqw== and kid=abcdef+/ghijkl+/mnopqr: see https://docs.example/errors/of/keys/that/are/bad' } } });
$visit = $t->insert_visit(provider_id => 19);
ok($t->poll("SELECT last_error IS NOT NULL FROM telehealth.job_status WHERE subject_id = $visit"), 'a visit is refused');
like($t->sql("SELECT last_error FROM telehealth.job_status WHERE subject_id = $visit"),
	qr{Bad keys \*\*\* and kid=\*\*\*: see https://docs\.example/errors/of/keys/that/are/bad}, 'S1: what looks like base64 is hidden to its end');
$t->sql("DELETE FROM telehealth.appointment WHERE id = $visit");

# ---- instants (Z12)

# as sent and as read back, at the edges of daylight saving time
for my $zone ('America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/St_Johns')
{
	for my $instant ('2031-03-09 06:59:00Z', '2031-03-09 07:01:00Z', '2031-03-30 01:00:00Z', '2031-10-26 00:30:00Z',
		'2031-10-26 01:30:00Z', '2031-11-02 05:30:00Z', '2031-11-02 06:30:00Z', '2031-04-05 15:00:00Z')
	{
		$t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, timezone, is_overbooked, overbook_reason)
			VALUES (1, 10, 'VIDEO', '$instant', '$zone', true, 'a test of zones')");
	}
}
ok($t->drained(40), 'Z12: visits at the edges of DST in five zones are made');
my $of_ten = 'SELECT meeting_id, extract(epoch FROM starts_at)::bigint AS start FROM telehealth.appointment WHERE provider_id = 10';
my %start = map { $_->{id} => $_->{start_epoch} } $fake->live_meetings;
my @ten = $t->rows($of_ten);
is(scalar(grep { defined $_->{meeting_id} && $start{ $_->{meeting_id} } == $_->{start} } @ten), 40, 'Z12: each at its instant');
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '2 years 1 hour' WHERE provider_id = 10");
ok($t->drained(40), 'Z12: and moved');
%start = map { $_->{id} => $_->{start_epoch} } $fake->live_meetings;
is(scalar(grep { $start{ $_->{meeting_id} } == $_->{start} } $t->rows($of_ten)), 40, 'Z12: each to its new instant');

my %zone = (timezone => 'Europe/Berlin', provider_id => 19);
for my $case (
	[ '2031-10-26 00:30Z', '2031-10-26T02:30:00' ],
	[ '2031-10-26 01:30Z', '2031-10-26T02:30:00' ],
	[ '2031-03-30 01:00Z', '2031-03-30T03:00:00' ],
	[ '2031-03-30 00:59Z', '2031-03-30T01:59:00' ],
	[ '2031-07-01 10:00Z', '2031-07-01T15:45:00+05:45' ])
{
	next_answer(start_time => $case->[1], timezone => 'Europe/Berlin');
	my ($writes) = writes_of(%zone, starts_at => $case->[0], duration => 1);
	is($writes, 'POST', "Z12: $case->[1] is $case->[0]");
}
for my $case (
	[ '2031-07-01 08:00Z', '2031-07-01T08:00:00', 'UTC taken for local time' ],
	[ '2031-07-02 08:00Z', '2031-07-02T12:00:00Z', 'local time taken for UTC' ],
	[ '2031-10-27 01:30Z', '2031-10-27T01:30:00', 'an hour off' ],
	[ '2031-07-03 08:00Z', undef, 'no instant at all' ])
{
	next_answer(start_time => $case->[1], timezone => 'Europe/Berlin');
	my ($writes, $id) = writes_of(%zone, starts_at => $case->[0]);
	is($writes, 'POST DELETE POST', "Z12: $case->[2] is refused, removed and made anew");
	like(story($id), qr/start_time=/, 'Z12: the story names what was wrong');
}

# an update that Zoom takes otherwise
$visit = $t->insert_visit(provider_id => 13, starts_at => '2031-09-01 10:00Z');
my $first = $t->await($visit)->{meeting_id};
$fake->faults({ match => { method => 'GET', path_regex => "/meetings/$first\$", times => 1 },
	fault => { kind => 'alter', set => { start_time => '2031-09-02T12:00:00Z' } } });
$t->sql("UPDATE telehealth.appointment SET starts_at = '2031-09-02 10:00Z' WHERE id = $visit");
ok($t->drained && $t->session($visit)->{meeting_id} ne $first && $fake->live_meetings(13) == 1, 'Z12: a wrong instant after an update is not kept');

# the answer that is wrong every time
$fake->faults({ match => { method => 'POST', path_regex => '/users/host20.*/meetings$' },
	fault => { kind => 'alter', set => { start_time => '2031-01-01T00:00:00Z' } } });
my $again = $t->insert_visit(provider_id => 20);
ok($t->poll("SELECT count(*) FROM telehealth.dead_jobs WHERE subject_id = $again", 1, 40), 'Z12: a wrong instant every time fails the job');
like($t->sql("SELECT last_error FROM telehealth.dead_jobs WHERE subject_id = $again"), qr/start_time=2031-01-01T00:00:00Z/, 'Z12: with the instant');
is($t->sql("SELECT coalesce(join_url, 'none') FROM telehealth.appointment WHERE id = $again"), 'none', 'Z12: no link was handed out');
is(scalar($fake->live_meetings(20)), 0, 'Z12: and nothing is left there');
$t->sql("DELETE FROM telehealth.appointment WHERE id = $again");
$fake->faults;

# ---- what differs and may be used is told

for my $case (
	[ 'settings.waiting_room' => false, 'waiting_room=false' ],
	[ 'settings.auto_recording' => 'cloud', 'auto_recording=cloud' ],
	[ 'settings.encryption_type' => 'e2ee', 'encryption_type=e2ee' ],
	[ 'settings.meeting_authentication' => true, 'meeting_authentication=true' ],
	[ 'settings.join_before_host' => true, 'join_before_host=true' ],
	[ 'settings.auto_start_meeting_summary' => true, 'auto_start_meeting_summary=true' ],
	[ duration => 99, 'duration=99' ],
	[ type => 8, 'type=8' ])
{
	next_answer($case->[0] => $case->[1]);
	$visit = $t->insert_visit(provider_id => 12);
	is($t->await($visit)->{deviation}, $case->[2], "P1: an answer with $case->[2] is told");
}
is($t->sql("SELECT deviation FROM telehealth.upcoming_sessions WHERE appointment_id = $visit"), 'type=8', 'also to readers');
next_answer();
is($t->await($t->insert_visit(provider_id => 12))->{deviation}, undef, 'one as asked is not');

finish;
