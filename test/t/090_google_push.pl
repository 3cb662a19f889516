# Visits in Google's calendars: what is shown, how it follows the visit and
# goes with it, and that nothing is there twice, whatever gets lost.
use TelehealthTest;
use FakeGoogle;
use Mojo::JSON qw(decode_json);

my @users = map { { email => "user$_\@clinic.example" } } 1 .. 4;
my $zoom = FakeZoom->start(options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $fake = FakeGoogle->start(options => { users => \@users, required_visibility => 'private', canaries => [ 'Canary' ],
		rate => { user => 100_000, project => 100_000, calendar_writes => 100_000 } });
my $t = TelehealthTest->node('google',
	conf => { 'telehealth.request_timeout_ms' => 500, 'telehealth.lease_seconds' => 5, 'telehealth.poll_interval_ms' => 100 });
$t->create_extension;
$t->widen_limits;
$t->add_hosts;
$t->connect_zoom($zoom);
$t->widen_calendar_limits('google');
$t->sql("UPDATE telehealth.provider SET timezone = 'America/New_York' WHERE id = 1");

sub calendar { return "user$_[0]\@clinic.example" }

# Nothing that has to do with calendars or meetings is left to do
sub calm
{
	my ($name) = @_;

	return ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('meeting', 'calendars', 'event', 'backfill', 'provider', 'clinic', 'patient')",
			0, 30), $name // 'all is done')
	  || do { diag explain [ $t->rows('SELECT * FROM telehealth_private.job LIMIT 5') ]; die "not calm\n" };
}

# The one live event of a visit in a calendar; undefined if there is none, or
# are several
sub event
{
	my ($visit, $calendar) = @_;
	my @live = grep { ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-$visit$/ }
	  $fake->live_events($calendar // calendar(1));

	return @live == 1 ? $live[0] : undef;
}

sub phone { return $t->insert_visit(type => 'PHONE', @_) }
sub count { return $fake->count($_[0]) // 0 }
my $early = $t->background_psql('postgres');
$early->query_safe('BEGIN');
my $unseen = $early->query_safe("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 1, 'PHONE', now() + interval '100 days') RETURNING id");
my $connection = $t->connect_google($fake, provider => 1);

ok($t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE kind = 'backfill'", 't', 20), 'a new calendar is filled again while somebody may be booking');
$early->query_safe('COMMIT');
$early->quit;
calm;
ok(event($unseen), 'Y6: a visit booked meanwhile is there');
my %first = map { $_ => count($_) // 0 } qw(insert patch);

# ---- what is shown

my $visit = $t->insert_visit(title => 'Canary title', reason => 'Canary reason', location => 'Canary room',
	starts_at => '2031-03-10 13:30:00Z', duration => 45);
calm;
my $event = event($visit);
ok($event, 'a visit is in the calendar') or diag explain [ $fake->events ];
is($event->{summary}, 'Telehealth appointment', 'P1: it says what it is');
my $link = $t->sql("SELECT join_url FROM telehealth.appointment WHERE id = $visit");
is($event->{location}, $link, 'and where');
is($event->{description}, "Join: $link", 'and how to get there');
is($event->{start}{timeZone}, 'America/New_York', 'O8: in the clinician\'s zone');
is($event->{visibility}, 'private', 'P1: for nobody else');
ok(!$event->{attendees}, 'Y6: nobody is invited');
is($t->sql("SELECT extract(epoch FROM timestamptz '$event->{start}{dateTime}') || ' ' || extract(epoch FROM timestamptz '$event->{end}{dateTime}')"),
	$t->sql("SELECT extract(epoch FROM starts_at) || ' ' || extract(epoch FROM ends_at) FROM telehealth.appointment WHERE id = $visit"), 'at the right time');
like($event->{id}, qr/^th[0-9a-f]{40}$/, 'under a name of ours');
like($t->sql("SELECT telehealth.appointment_ics($visit)"), qr/UID:\Q$event->{extendedProperties}{private}{telehealthUid}\E/, 'G8: with the UID of mail and feed');
is(join(' ', map { count($_) - $first{$_} } qw(insert patch)), '1 0', 'by one call, with the link');
my ($row) = $t->rows("SELECT * FROM telehealth.calendar_event WHERE appointment_id = $visit");
is($row->{external_id} . $row->{etag}, $event->{id} . $event->{etag}, 'and the row says where');

# ---- it follows

my $patches = count('patch');
$t->sql(join ";", "BEGIN", (map { "UPDATE telehealth.appointment SET duration = $_ WHERE id = $visit" } 20 .. 29), "COMMIT");
calm;
is(count('patch') - $patches, 1, 'Z8: ten edits are one call');
is($t->sql("SELECT extract(epoch FROM timestamptz '" . event($visit)->{end}{dateTime} . "' - starts_at) / 60 FROM telehealth.appointment WHERE id = $visit")
	  + 0, 29, 'with the last of them');
$t->sql("UPDATE telehealth.appointment SET status = 'CONFIRMED' WHERE id = $visit");
calm;
is(count('patch') - $patches, 1, 'what is not shown is no call');

$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $visit");
calm;
ok(!event($visit), 'a cancelled visit goes');
$t->sql("UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE id = $visit");
calm;
ok(event($visit), 'G5: and comes back');
is(scalar(grep { $_->{id} eq $event->{id} } $fake->live_events), 0, 'G5: under a new name, since the old one stays taken');

my ($room, $call) = ($t->insert_visit(type => 'IN_PERSON'), phone());
calm;
is(event($room)->{summary} . ', ' . event($call)->{summary}, 'Appointment, Phone appointment', 'visits of every kind are in the day');
my $hold = phone(status => 'PENDING', held_until => \"now() + interval '1 hour'");
my $past = phone(starts_at => \"now() - interval '2 days'");
calm;
ok(!event($hold) && !event($past), 'a hold is not, nor is what is over');
$t->sql("UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE id = $hold");
calm;
ok(event($hold), 'until it is confirmed');

# ---- from one clinician to another

my $other = $t->connect_google($fake, provider => 2, user => calendar(2));
$t->sql("UPDATE telehealth.appointment SET provider_id = 2 WHERE id = $call");
calm;
ok(!event($call) && event($call, calendar(2)), 'a visit moves to the calendar of whom it is with');
is($t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $call"), 1, 'and nothing is left of where it was');
$t->sql("UPDATE telehealth.appointment SET provider_id = 1 WHERE id = $call");
calm;
ok(event($call) && !event($call, calendar(2)), 'and back');
$t->sql("UPDATE telehealth.appointment SET provider_id = 3 WHERE id = $call");
calm;
ok(!event($call), 'and out of every calendar, with one who has none');

# ---- deleted rows

$fake->faults({ match => { method => 'DELETE', times => 2 }, fault => { kind => 'status', code => 503 } });
my $id = event($room)->{id};
$t->sql("DELETE FROM telehealth.appointment WHERE id = $room");
calm;
ok(!event($room), 'Y10: the event of a deleted row goes, however often that fails');
is($t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $room"), 0, 'Y10: and then its tombstone');
ok((grep { $_->{id} eq $id && $_->{deleted} } $fake->events), 'Y10: confirmed by Google');

# ---- lost answers

sub lose
{
	my ($method, $path) = @_;

	return $fake->faults(map { { match => { method => $method, path_regex => $path, times => 1 }, fault => { kind => $_ } } }
		qw(cut_after cut_before hang));
}
lose(POST => '/events$');
my @lost = map { phone() } 1 .. 3;
calm;
$fake->release(cut => 1);
is(scalar(grep { event($_) } @lost), 3, 'O5, W22: lost answers of creates: one event each');
is($t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id IN (" . join(',', @lost) . ") AND intent IS NULL AND external_id IS NOT NULL AND pushed_hash IS NOT NULL"),
	3, 'which is known');
lose(PATCH => '');
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id IN (" . join(',', @lost) . ")");
calm;
$fake->release(cut => 1);
is(scalar(grep { event($_)->{end}{dateTime} =~ /:20:00Z$/ } @lost), 3, 'of changes: changed');
lose(DELETE => '');
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id IN (" . join(',', @lost) . ")");
calm;
$fake->release(cut => 1);
is(scalar(grep { event($_) } @lost), 0, 'of removals: gone');
$fake->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'cut_after' } });
my $lost = phone();
$t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $lost AND intent IS NOT NULL", 1, 10);
$t->sql("DELETE FROM telehealth.appointment WHERE id = $lost");
calm;
ok(!event($lost), 'Y10: what may have been made of a visit that is gone is looked for, and goes');
$fake->faults;

# ---- others change it too

my $tinted = phone();
calm;
$fake->edit_event(calendar => calendar(1), id => event($tinted)->{id}, set => { colorId => '7' });
$t->sql("UPDATE telehealth.appointment SET duration = 45 WHERE id = $tinted");
calm;
is(event($tinted)->{colorId} . ' ' . $t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE appointment_id = $tinted"), '7 0',
	'Y3: a colour of somebody\'s is kept, and is no change of what we wrote');
$t->sql("DELETE FROM telehealth.appointment WHERE id = $tinted");
calm;

my $shared = phone();
calm;
$fake->edit_event(calendar => calendar(1), id => event($shared)->{id}, set => { colorId => '5', summary => 'Mine' });
$t->sql("UPDATE telehealth.appointment SET duration = 40 WHERE id = $shared");
calm;
$event = event($shared);
is("$event->{summary} $event->{colorId}", 'Phone appointment 5', 'Y3: what we do not say stays, what we say is ours (412, read, changed)');
is($t->sql("SELECT change || ' ' || action FROM telehealth.calendar_change WHERE appointment_id = $shared"), 'edited restore', 'Y3: the losing values are kept');
$fake->edit_event(calendar => calendar(1), id => $event->{id}, delete => 1);
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $shared");
calm;
ok(event($shared), 'Y2: deleted there and changed here: it is there again (restore)');
is($t->sql("SELECT string_agg(change, ' ' ORDER BY id) FROM telehealth.calendar_change WHERE appointment_id = $shared"), 'edited deleted', 'Y2: which is noted');

# ---- copies, and what nobody here knows

sub pull
{
	$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $connection; SELECT telehealth_private.wake()");
	return $t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $connection AND due_at > now() + interval '1 minute' AND attempts = 0", 1, 20);
}
pull();
$event = event($shared);
my %copy = map { $_ => $event->{$_} } qw(summary start end extendedProperties visibility);
my $live = $fake->live_events(calendar(1));
$fake->edit_event(calendar => calendar(1), create => \%copy);
ok(!event($shared), 'somebody copies an event of ours, tag and all');
pull();
calm;
is(event($shared)->{id} // '', $event->{id}, 'G7: the copy goes, what we know stays');
$t->sql("UPDATE telehealth.calendar_event SET pushed_hash = pushed_hash WHERE appointment_id = $shared");
$t->sql("DELETE FROM telehealth.calendar_event WHERE appointment_id = $shared");
$fake->edit_event(calendar => calendar(1), id => $event->{id}, set => { colorId => '6' });
pull();
calm;
is(event($shared)->{id} // '', $event->{id}, 'G7: an event of ours that nobody knew any more is taken up');
is($t->sql("SELECT external_id FROM telehealth.calendar_event WHERE appointment_id = $shared"), $event->{id}, 'as it was');
(my $gone = $copy{extendedProperties}{private}{telehealthKey}) =~ s/\d+$/999999/;
$fake->edit_event(calendar => calendar(1), create => { %copy, id => 'th' . 'ab' x 20, extendedProperties => { private => { telehealthKey => $gone } } });
pull();
calm;
is(scalar($fake->live_events(calendar(1))), $live, 'Y10: and one whose visit nobody knows goes');
(my $theirs = $gone) =~ s/^th-[0-9a-f]{8}/th-00000000/;
$fake->edit_event(calendar => calendar(1), create => { %copy, extendedProperties => { private => { telehealthKey => $theirs } } });
pull();
calm;
is(scalar($fake->live_events(calendar(1))), $live + 1, 'that of another installation is left alone');
is($t->sql("SELECT count(*) FROM telehealth.busy_time WHERE provider_id = 1"), 1, 'and is somebody\'s time');

# ---- asked to slow down

$fake->faults(
	{ match => { method => 'POST', path_regex => '/events$', times => 2 }, fault => { kind => 'refuse', code => 403, reason => 'rateLimitExceeded' } },
	{ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'refuse', code => 429, reason => 'rateLimitExceeded', headers => { 'Retry-After' => 1 } } });
my @many = map { phone() } 1 .. 5;
calm;
is(scalar(grep { event($_) } @many), 5, 'O4: a 403 that means a rate loses nothing');
$fake->faults;

# ---- refused for good

$fake->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'refuse', code => 403, reason => 'forbidden' } });
my $refused = phone();
ok($t->poll("SELECT count(*) FROM telehealth.dead_jobs WHERE kind = 'event'", 1, 20), 'what is refused for good is given up');
like($t->sql("SELECT last_error FROM telehealth.calendar_connection WHERE id = $connection"), qr/\S/, 'which the calendar\'s row tells');
is($t->sql("SELECT intent IS NULL FROM telehealth.calendar_event WHERE appointment_id = $refused"), 't', 'O5: and leaves no doubt');
$fake->faults;
my $holder = $t->background_psql('postgres');
$holder->query(q{BEGIN; SELECT FROM telehealth_private.job WHERE kind = 'event' AND dead_at IS NOT NULL FOR UPDATE});
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $refused");
ok($t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE kind = 'calendars' AND subject_id = $refused", 't', 20), 'W12: what somebody holds is marked later');
$holder->query('ROLLBACK');
$holder->quit;
calm;
ok(event($refused), 'and is there once the visit has changed');

# ---- a new calendar fills

$t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)"
	  . " SELECT 1, 4, 'PHONE', now() + n * interval '1 hour' FROM generate_series(1, 150) AS n");
my $inserts = count('insert');
my $filled = $t->connect_google($fake, provider => 4, user => calendar(4));
$t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE connection_id = $filled AND pushed_hash IS NOT NULL", 150, 60);
calm;
is(scalar($fake->live_events(calendar(4))), 150, 'Y6: a new calendar gets the visits to come');
is(count('insert') - $inserts, 150, 'each once');
is(scalar(grep { $_->{query} !~ /sendUpdates=none/ } $fake->requests(method => 'POST', path_regex => '/events$')), 0, 'Y6: and nobody is mailed');

# ---- nothing to do is nothing to call

my %before = map { $_ => count($_) } qw(insert patch delete get list);
for (1 .. 10)
{
	$t->sql("SELECT telehealth_private.mark('backfill', ARRAY[1::bigint, 1], ARRAY[$connection\::bigint, $filled], 3), telehealth_private.wake()");
	$t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('backfill', 'calendars', 'event')", 0, 30);
}
is(join(' ', map { count($_) - $before{$_} } qw(insert patch delete)), '0 0 0', 'Y1: looking again and again writes nothing');

# ---- policy and settings

$t->sql("UPDATE telehealth.appointment SET title = 'Knee' WHERE id = $visit");
$t->sql("INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('google', 'title', true), ('google', 'join_url', false)");
calm;
$event = event($visit);
is($event->{summary} . ($event->{location} // '') . ($event->{description} // ''), 'Knee', 'P1: a policy lets a title out and the link in');
$t->sql('DELETE FROM telehealth.disclosure_policy');
calm;
is(event($visit)->{summary}, 'Telehealth appointment', 'P1: and takes it back');
$t->sql("SELECT telehealth.configure_calendar($connection, '{\"only_video\": true, \"summary\": \"Visit\"}')");
calm;
ok(event($visit)->{summary} eq 'Visit' && !event($shared), 'settings: a word of one\'s own, and video visits alone');
$t->sql("SELECT telehealth.configure_calendar($connection, '{\"only_video\": false, \"summary\": null}')");
calm;
ok(event($shared), 'and all of them again');
$t->sql("UPDATE telehealth.calendar_connection SET sync_direction = 'pull' WHERE id = $connection");
my $quiet = phone();
calm;
ok(!event($quiet) && event($shared), 'a calendar that only gives takes nothing, and keeps what it has');
$t->sql("UPDATE telehealth.calendar_connection SET sync_direction = 'both' WHERE id = $connection");
calm;
ok(event($quiet), 'until it takes again');
$t->sql("INSERT INTO telehealth.clinic (id, name, is_active) VALUES (1, 'Closed', false) ON CONFLICT (id) DO UPDATE SET is_active = false");
my $closed = phone();
$t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind <> 'meeting' AND due_at < now() + interval '1 minute'", 0, 20);
ok(!event($closed) && event($shared), 'a clinic that is not active shows no new visits, and keeps what is there');
$t->sql('UPDATE telehealth.clinic SET is_active = true');
ok($t->poll("SELECT pushed_at IS NOT NULL FROM telehealth.calendar_event WHERE appointment_id = $closed", 't', 20), 'until it is');
calm;

# ---- a create that was given up may still be on its way

$t->sql("SELECT telehealth.configure_calendar($connection, '{\"timeout_ms\": 60000}')");
calm;
$fake->faults(
	{ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'cut_before' } },
	{ match => { method => 'GET', path_regex => '/events/th' }, fault => { kind => 'status', code => 503 } });
my $doubt = phone();
ok($t->poll("SELECT failures > 1 FROM telehealth_private.job WHERE kind = 'event'", 't', 30), 'whether a visit is shown is not known');
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $doubt");
$fake->faults;
ok($t->poll("SELECT waiting_for FROM telehealth_private.job WHERE kind = 'event'", 'outcome_unknown', 30), 'Y10: what may still come of one that is cancelled is waited for');
$t->sql("UPDATE telehealth.calendar_event SET intent_at = now() - interval '5 minutes' WHERE appointment_id = $doubt;
	UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'event'");
calm;
is($t->sql("SELECT intent IS NULL AND external_id IS NULL FROM telehealth.calendar_event WHERE appointment_id = $doubt"), 't', 'Y10: until it cannot');
$t->sql("SELECT telehealth.configure_calendar($connection, '{\"timeout_ms\": null}')");
calm;

# ---- a create whose answer was lost, of a visit that has changed since

$t->sql("SELECT telehealth.configure_calendar($connection, '{\"timeout_ms\": 60000}')");
calm;
for my $seen (1, 0)
{
	$fake->faults(
		{ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'cut_after' } },
		{ match => { method => 'GET', path_regex => '/events/th' }, fault => { kind => 'status', code => 503 } });
	my $stale = phone();
	ok($t->poll("SELECT failures > 1 FROM telehealth_private.job WHERE kind = 'event'", 't', 30), 'an event whose making was not answered');
	$t->sql("UPDATE telehealth.appointment SET duration = 47 WHERE id = $stale");
	$fake->faults($seen ? () : { match => { method => 'GET', path_regex => '/events/th', times => 1 }, fault => { kind => 'status', code => 404 } });
	$t->sql(q{UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'event'; SELECT telehealth_private.wake()});
	calm;
	is(event($stale)->{end_epoch}, $t->sql("SELECT extract(epoch FROM ends_at)::bigint FROM telehealth.appointment WHERE id = $stale"),
		'G7: is adopted, and as the visit is by now' . ($seen ? '' : ', although it was not seen at first'));
	$fake->faults;
}
$t->sql("SELECT telehealth.configure_calendar($connection, '{\"timeout_ms\": null}')");
calm;

# ---- while the mock stands in for the outside

$t->reload_conf('telehealth.mock' => 'on');
$t->poll(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'mock'}, 1, 20);
my $mocked = $t->insert_visit(provider_id => 1);
my $place = $t->await($mocked);
is($place->{platform}, 'mock', 'the mock answers for video platforms');
calm;
is(event($mocked)->{location}, $place->{join_url}, '… and calendars show its meetings');
$t->reload_conf('telehealth.mock' => 'off');
$t->poll(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'mock'}, 0, 20);
calm;

# ---- the story

like($t->sql("SELECT string_agg(what || ': ' || result, E'\\n' ORDER BY at) FROM telehealth.explain_appointment($shared)"),
	qr/event edited in the google calendar by somebody: to .*event deleted in the google calendar by somebody: .*create event at google: 200 .*event shown in the google calendar: as wanted/s, 'explain_appointment() tells of calendars');

# ---- all visits at once

$t->sql('TRUNCATE telehealth.appointment');
calm;
is(scalar(grep { ($_->{extendedProperties}{private}{telehealthKey} // '') ne $theirs } $fake->live_events), 0, 'Y10: no event outlives all visits');
is($t->sql('SELECT count(*) FROM telehealth.calendar_event'), 0, 'Y10: nor does a row');
is(join(' ', $fake->duplicates('telehealthKey')), '', 'G7: nothing was there twice');
finish;
