# Meetings follow not only their appointments: a provider's host and name, a
# patient's name, what the clinic says, and what may be disclosed.
use TelehealthTest;
use Mojo::JSON qw(decode_json);

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('follow');
$t->create_extension;
$t->widen_limits;
$t->add_hosts;
$t->connect_zoom($fake);

# The meeting of a visit at the fake: its topic, zone and host
sub meeting
{
	my ($id, %o) = @_;
	my $at = $t->session($id, %o)->{meeting_id} // '';
	my ($meeting) = grep { $_->{id} eq $at } $fake->live_meetings;
	return $meeting // {};
}

my $requests = 0;
sub settled
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$requests = $fake->state->{requests_total};
	return ok($t->drained(60), $name);
}

# What a statement leads to: it settles, with requests or without
sub follows
{
	my ($statement, $wants_requests, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = $fake->state->{requests_total};

	$t->sql($statement);
	my $ok = $t->drained(60);
	my $n = $fake->state->{requests_total} - $before;
	return ok($ok && !!$n == !!$wants_requests, $name) || diag "$n requests";
}

# Were it not marked anew, it would not be looked at for long
sub put_off { my ($id) = @_; return $t->sql("UPDATE telehealth_private.job SET due_at = now() + interval '1 hour' WHERE subject_id = $id") }

my $visit = $t->insert_visit(provider_id => 1, title => 'Knee', timezone => undef);
my $begun = $t->insert_visit(provider_id => 2, starts_at => \"now() - interval '10 minutes'", duration => 60);
my $other = $t->insert_visit({ clinic => 2 }, provider_id => 1, title => 'Hip');
$t->await($_) for $visit, $begun;
$t->await($other, clinic => 2);
settled('three visits have meetings');

# ---- the link

# An application that writes whole rows back writes the link it once read: none.
for my $set (q{join_url = NULL}, q{meeting_id = NULL, join_url = NULL}, q{join_url = 'https://elsewhere.example/j/1'}, q{meeting_id = '1'})
{
	follows("UPDATE telehealth.appointment SET $set WHERE clinic_id = 1 AND id = $visit", 0, "$set: is looked at, without a request");
	is($t->sql("SELECT (a.meeting_id, a.join_url) IS NOT DISTINCT FROM (s.meeting_id, s.join_url) FROM telehealth.appointment AS a, telehealth.session AS s
		WHERE a.clinic_id = 1 AND a.id = $visit AND s.appointment_id = a.id AND s.retired_at IS NULL AND s.clinic_id = a.clinic_id"), 't',
		"$set: the link is put back");
}
$t->sql("UPDATE telehealth.appointment SET title = 'Knee', join_url = join_url WHERE clinic_id = 1 AND id = $visit");
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'meeting' AND clinic_id = 1 AND subject_id = $visit"), 0, 'a row written back as it is marks nothing');
my $claimed = $t->sql('SELECT claimed FROM telehealth.worker_status');
$t->await($t->insert_visit(provider_id => 4));
ok($t->drained(60), 'a new visit settles');
is($t->sql('SELECT claimed FROM telehealth.worker_status') - $claimed, 1, 'and was looked at once: the link that the dispatcher writes is no reason to look again');

# ---- the host

my $old = $t->session($visit);
follows(q{UPDATE telehealth.provider SET phone = '1' WHERE id = 1}, 0, 'a phone number is no matter');
follows(q{UPDATE telehealth.provider SET email = 'dr@clinic.example' WHERE id = 1}, 0, 'nor an address that is not the host');
is($t->session($visit)->{meeting_id}, $old->{meeting_id}, 'the meeting stays');
follows(q{UPDATE telehealth.provider SET platform_user = 'host9@clinic.example' WHERE id = 1}, 1, 'a new host is');
is(meeting($visit)->{host_email}, 'host9@clinic.example', 'the meeting is at the new host');
isnt($t->session($visit)->{meeting_id}, $old->{meeting_id}, 'it is a new one');
is(scalar(grep { $_->{id} eq $old->{meeting_id} } $fake->live_meetings), 0, 'the old one is removed');
is($t->sql("SELECT a.join_url = s.join_url FROM telehealth.appointment AS a, telehealth.session AS s
	WHERE a.id = $visit AND s.appointment_id = a.id AND s.retired_at IS NULL AND s.clinic_id = a.clinic_id"), 't', 'the link is the new one');
my $running = $t->session($begun)->{meeting_id};
follows(q{UPDATE telehealth.provider SET platform_user = 'host10@clinic.example' WHERE id = 2}, 0, 'a visit that has begun keeps its meeting');
is(meeting($begun)->{id}, $running, 'which is there');

# the e-mail decides where no user is named; no row at all: the account's default
follows(q{UPDATE telehealth.provider SET platform_user = NULL, email = 'host11@clinic.example' WHERE id = 1}, 1, 'the e-mail may be the host');
is(meeting($visit)->{host_email}, 'host11@clinic.example', 'and is');
follows('DELETE FROM telehealth.provider WHERE id = 1 AND clinic_id = 1', 1, 'a provider that is deleted has no host');
is(meeting($visit)->{host_email}, 'host1@clinic.example', 'but the account has');
follows(q{INSERT INTO telehealth.provider (id, display_name, platform_user) VALUES (1, 'Dr. New', 'host12@clinic.example')}, 1, 'a provider may come after its visits');
is(meeting($visit)->{host_email}, 'host12@clinic.example', 'with its host');

# ---- names and what may be disclosed

follows(q{UPDATE telehealth.provider SET display_name = 'Dr. Quiet' WHERE id = 1}, 0, 'a name that is not disclosed is no matter');
follows(q{INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('feed', 'title', true)}, 0, 'nor is what others may know');
follows(q{INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('zoom', 'provider_name', true)}, 1, 'what may be disclosed is');
is(meeting($visit)->{topic}, 'Dr. Quiet', 'the topic says it');
is(meeting($other)->{topic}, 'Telehealth visit', 'not that of another clinic');
follows(q{UPDATE telehealth.provider SET display_name = 'Dr. Loud' WHERE id = 1}, 1, 'then the name is');
is(meeting($visit)->{topic}, 'Dr. Loud', 'the topic follows');
follows(q{INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (0, 'zoom', 'title', true)}, 1, 'clinic 0 speaks for all');
is(meeting($other, clinic => 2)->{topic}, 'Hip', 'of every clinic');
is(meeting($visit)->{topic}, 'Knee; Dr. Loud', 'the topic follows');
follows(q{UPDATE telehealth.disclosure_policy SET is_allowed = false}, 1, 'P9: what may no more be disclosed goes');
is(meeting($_)->{topic}, 'Telehealth visit', 'P9: from the topic') for $visit, $other;
follows('DELETE FROM telehealth.disclosure_policy', 0, 'without a row it is the same');
follows(q{INSERT INTO telehealth.patient (id, display_name) VALUES (1, 'Zoe')}, 0, 'P9: a patient is nobody\'s business');
$t->sql(q{INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('zoom', 'patient_name', true)});
follows(q{UPDATE telehealth.patient SET display_name = 'Zoe II' WHERE id = 1}, 1, 'unless it is allowed');
is(meeting($visit)->{topic}, 'Zoe II', 'then the topic follows');
follows('DELETE FROM telehealth.patient WHERE id = 1', 1, 'P9: a patient who is deleted is forgotten');
is(meeting($visit)->{topic}, 'Telehealth visit', 'P9: by the topic too');
follows(q{INSERT INTO telehealth.patient (id, display_name) VALUES (1, 'Zoe III'); UPDATE telehealth.patient SET display_name = 'Zoe IV'}, 1, 'P9: and known again');
follows('TRUNCATE telehealth.patient', 1, 'P9: or forgotten with all others');
is(meeting($visit)->{topic}, 'Telehealth visit', 'P9: the topic forgets');
follows(q{INSERT INTO telehealth.patient (id, display_name) VALUES (1, 'Zoe V'); UPDATE telehealth.patient SET display_name = 'Zoe VI'}, 1, 'P9: known for the last time');
follows('TRUNCATE telehealth.disclosure_policy', 1, 'P9: so it does when all rows go');
is(meeting($visit)->{topic}, 'Telehealth visit', 'P9: the topic tells nothing');

# ---- the clinic

follows(q{INSERT INTO telehealth.clinic (id, timezone) VALUES (1, 'America/New_York')}, 1, 'a clinic has a zone');
is(meeting($visit)->{timezone}, 'America/New_York', 'the meeting follows');
follows(q{UPDATE telehealth.clinic SET name = 'Harbour'}, 0, 'its name is no matter');
$t->sql('UPDATE telehealth.clinic SET is_active = false');
my $closed = $t->insert_visit(provider_id => 3);
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE kind = 'meeting' AND subject_id = $closed", 'clinic_inactive'), 'a clinic that is closed makes none');
put_off($closed);
$t->sql('UPDATE telehealth.clinic SET is_active = true');
$t->await_ok($closed, 'open again, it does at once');
settled('all is done');

# a fallback that comes while visits wait
my @scopes = @{ $fake->control(GET => 'options')->{scopes} };
$fake->options(scopes => [ grep { !/^meeting:write/ } @scopes ]);
$fake->revoke_tokens;
my $waits = $t->insert_visit(provider_id => 4);
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $waits", 'scope_missing'), 'a visit waits for Zoom');
put_off($waits);
$t->sql(q{UPDATE telehealth.clinic SET fallback_platforms = '{mock}'});
is($t->await($waits)->{platform}, 'mock', '4711: a fallback platform is taken as soon as there is one');
$fake->options(scopes => \@scopes);
$t->connect_zoom($fake);
settled('Zoom is back');

# another platform: the meetings move
my $at_zoom = $t->session($visit)->{meeting_id};
follows(q{UPDATE telehealth.clinic SET platform = 'mock', fallback_platforms = '{zoom}'}, 0, 'a platform that is still one of the clinic\'s keeps its meetings');
is($t->session($visit)->{platform}, 'zoom', 'where they are');
follows(q{UPDATE telehealth.clinic SET fallback_platforms = '{}'}, 1, 'one that is none of them does not');
is($t->session($visit)->{platform}, 'mock', 'they move');
is(scalar(grep { $_->{id} eq $at_zoom } $fake->live_meetings), 0, 'and are removed there');
is($t->session($begun)->{platform}, 'zoom', 'but for the visit that has begun');
is(meeting($other, clinic => 2)->{topic}, 'Telehealth visit', 'and those of other clinics');

# ---- many: in pieces, with everybody's way free

$t->sql(q{INSERT INTO telehealth.clinic (id, platform) VALUES (3, 'mock')});
$t->sql(q{INSERT INTO telehealth.appointment (clinic_id, patient_id, provider_id, type, starts_at)
	SELECT 3, 1, n, 'VIDEO', date_trunc('day', now()) + interval '30 days' + (n % 7) * interval '1 day' FROM generate_series(1, 4100) AS n});
ok($t->drained(120), 'a clinic with many visits');
my $hashes = q{SELECT count(*), count(DISTINCT wish_hash) FROM telehealth.session WHERE clinic_id = 3 AND wish_hash ~ '^[0-9a-f]+$'};
is($t->sql($hashes), '4100|7', 'all have a meeting');
$t->sql('CREATE TABLE public.before AS SELECT id, wish_hash FROM telehealth.session WHERE clinic_id = 3');

# what is read for somebody of one clinic does not grow with the visits of others
$t->sql('ANALYZE telehealth.appointment');
my $reads = q{SELECT sum(idx_scan) AS idx_scan, sum(idx_tup_read) AS idx_tup_read FROM pg_stat_user_indexes
	WHERE indexrelname IN ('appointment_starts_at_idx', 'appointment_provider_id_idx')};
my $before = $t->row($reads);
$t->sql(q{INSERT INTO telehealth.provider (clinic_id, id, display_name) SELECT 2, n, 'Dr. ' || n FROM generate_series(1000, 1019) AS n});
ok($t->poll("SELECT idx_scan > $before->{idx_scan} FROM ($reads) AS r", 't', 30), 'people of a small clinic are looked for');
cmp_ok($t->row($reads)->{idx_tup_read} - $before->{idx_tup_read}, '<', 1000, 'W12: the visits of a large clinic are not read for them');

# an application marks one of them, and takes its time
my $one = $t->sql('SELECT max(id) FROM telehealth.appointment WHERE clinic_id = 3');
my $open = $t->background_psql('postgres');
$open->query_safe("BEGIN; SELECT telehealth_private.mark('meeting', ARRAY[3::bigint], ARRAY[$one\::bigint], 2)");
$t->sql(q{UPDATE telehealth.clinic SET timezone = 'Europe/Berlin' WHERE id = 3});
my $left = q{SELECT count(*) FROM telehealth.session AS s JOIN public.before AS b ON b.id = s.id AND b.wish_hash = s.wish_hash WHERE s.clinic_id = 3};
ok($t->poll($left, 1, 60), 'all follow but one that an application holds');
$t->await_ok($t->insert_visit(provider_id => 15), 'nobody else waits');
is($t->sql(q{SELECT failures > 0 FROM telehealth.job_status WHERE kind = 'clinic' AND subject_id = 3}), 't', 'the clinic is not done yet');
$open->query_safe('ROLLBACK');
$open->quit;
ok($t->poll($left, 0, 60), 'let go, it follows too');
ok($t->drained(60), 'and all is done');

# clinic 0 speaks while one is half done: what was done of it is done again
if ($t->is_debug)
{
	my $size = $t->log_size;
	$t->sql(q{DELETE FROM telehealth.appointment WHERE clinic_id = 3 AND id IN (SELECT id FROM telehealth.appointment WHERE clinic_id = 3 ORDER BY id LIMIT 1600)});
	ok($t->drained(60), 'a clinic of two pieces');
	$t->sql('TRUNCATE public.before; INSERT INTO public.before SELECT id, wish_hash FROM telehealth.session WHERE clinic_id = 3');
	$t->reload_conf('telehealth.debug_waitpoint' => 'claimed');
	$t->poll('SHOW telehealth.debug_waitpoint', 'claimed');
	$t->sql(q{UPDATE telehealth.clinic SET timezone = 'Asia/Tokyo' WHERE id = 3});
	my $job = q{SELECT %s FROM telehealth_private.job WHERE kind = 'clinic' AND subject_id = 3};
	ok($t->poll(sprintf($job, 'attempts > 0'), 't', 30), 'it is taken');
	$t->sql(q{SELECT telehealth.pause_outbound('test')});
	$t->reload_conf('telehealth.debug_waitpoint' => '');
	ok($t->poll(sprintf($job, 'attempts'), 0, 30), 'its first piece is marked');
	is($t->sql(q{DELETE FROM telehealth_private.job WHERE kind = 'meeting' AND clinic_id = 3; SELECT count(*) FROM telehealth_private.job WHERE kind = 'clinic'}), 1, 'as good as looked at');
	$t->sql(q{INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (0, 'mock', 'title', true)});
	$t->sql('SELECT telehealth.resume_outbound()');
	ok($t->drained(60), 'both go on');
	is($t->sql($left), 0, 'P9: what clinic 0 says reaches the visits that were looked at before');
}
is($t->sql(q{SELECT telehealth.retry_dead_jobs()}), 0, 'nothing was given up');

finish;
