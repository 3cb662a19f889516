# Corners of calendars: visits that come back, events that leave the window,
# keys that are missing, and calendars that several installations share.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use PostgreSQL::Test::Utils qw(slurp_file append_to_file);

my @users = map { { email => "user$_\@clinic.example" } } 1 .. 4;
my $google = FakeGoogle->start(options => { users => \@users });
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('corners', conf => { 'telehealth.request_timeout_ms' => 1000, 'telehealth.lease_seconds' => 5 });
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook);
$t->sql("UPDATE telehealth.provider SET timezone = 'Europe/Berlin'");

sub user { return "user$_[0]\@clinic.example" }
sub phone { return $t->insert_visit(type => 'PHONE', @_) }

# Nothing is left to be pushed
sub calm
{
	my ($name) = @_;

	return ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill')", 0, 30), $name // 'all is pushed')
	  || diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
}

# Everything is read that has changed since the last time
sub pull
{
	my ($connection) = @_;
	my $began = $t->sql('SELECT clock_timestamp()');

	$t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint], ARRAY[$connection\::bigint], 2), telehealth_private.wake()");
	$t->poll("SELECT last_sync_at > '$began' FROM telehealth.calendar_connection WHERE id = $connection", 't', 20)
	  or diag explain [ $t->rows("SELECT * FROM telehealth_private.job") ];
	return;
}

# Visits that live in a calendar of Google's; or at Outlook
sub at_google
{
	my ($visit, $calendar) = @_;
	return grep { ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-$visit$/ } $google->live_events($calendar // user(1));
}

sub at_outlook
{
	my ($visit) = @_;
	return grep { grep { defined && /^th-.*-$visit$/ } values %{ $_->{properties} } } $graph->live_events;
}

sub status_of { return $t->sql("SELECT status FROM telehealth.appointment WHERE id = $_[0]") }

# ---- there and back before anything was removed

my $first = $t->connect_google($google, provider => 1, options => { remote_change_policy => 'cancel' });
my $second = $t->connect_google($google, provider => 2, user => user(2));
my $visit = phone();
calm;
$google->faults({ match => { method => 'DELETE', times => 4 }, fault => { kind => 'status', code => 503 } });
$t->sql("UPDATE telehealth.appointment SET provider_id = 2 WHERE id = $visit");
$t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $visit AND retired_at IS NOT NULL", 1, 10);
$t->poll("SELECT pushed_hash IS NOT NULL FROM telehealth.calendar_event WHERE appointment_id = $visit AND retired_at IS NULL", 't', 10);
$t->sql("UPDATE telehealth.appointment SET provider_id = 1, duration = 20 WHERE id = $visit");
$t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $visit AND connection_id = $first AND retired_at IS NULL AND pushed_hash IS NOT NULL", 1, 10);
calm;
is($t->sql("SELECT string_agg(events || ' ' || events_waiting, ', ' ORDER BY connection_id) FROM telehealth.calendar_status"), '1 0, 0 0', 'calendar_status counts what is there');
$google->faults;
my @there = at_google($visit);
is(scalar(@there), 1, 'G7: a visit that is back before its event was removed is there once');
like($there[0]{end}{dateTime} // '', qr/:20:00Z/, 'as it is now');
is(scalar(at_google($visit, user(2))), 0, 'and not where it was meanwhile');
pull($_) for $first, $second;
calm;
is(status_of($visit), 'SCHEDULED', 'Y2: no pull takes our own removal for somebody else\'s');
is(scalar(at_google($visit)), 1, 'and it is still there');

# ---- of another installation

my $start = $t->sql("SELECT to_char(date_trunc('hour', now() + interval '3 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
my $end = $t->sql("SELECT to_char((timestamptz '$start' + interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
$google->edit_event(calendar => user(1), create => { summary => 'Elsewhere', start => { dateTime => $start }, end => { dateTime => $end },
		extendedProperties => { private => { telehealth => '1', telehealthKey => 'th-' . '0' x 32 . '-1-1-1' } } });
pull($first);
is($t->sql("SELECT is_free || ' ' || reason FROM telehealth.is_free(1, '$start')"), 'false busy_time', 'Y1: a visit that another installation has put there takes the time');

# ---- outside of the window

my $outlook = $t->connect_outlook($graph, provider => 3, options => { remote_change_policy => 'cancel' });
my $far = phone(provider_id => 3, starts_at => \"now() + interval '300 days'");
my $near = phone(provider_id => 3, starts_at => \"now() + interval '5 days'");
calm;
pull($outlook) for 1 .. 2;
calm;
my $writes = $graph->count('PATCH events/{id}') // 0;
$t->sql("UPDATE telehealth.appointment SET duration = 25 WHERE id IN ($far, $near)");
calm;
for (1 .. 3)
{
	pull($outlook);
	calm;
}
is(($graph->count('PATCH events/{id}') // 0) - $writes, 2, 'Y1: what changes outside of the window, and is told as removed, is written once');
is(status_of($far) . ' ' . status_of($near), 'SCHEDULED SCHEDULED', 'Y2: and cancels nothing');
my ($event) = at_outlook($near);
$graph->edit_event(user => user(1), id => $event->{id}, set => {
		start => $t->sql("SELECT to_char((now() + interval '320 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:00\"Z\"')"),
		end => $t->sql("SELECT to_char((now() + interval '320 days 1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:00\"Z\"')") });
pull($outlook);
calm;
is(status_of($near), 'SCHEDULED', 'Y2: what somebody moves out of the window is not deleted');
($event) = at_outlook($near);
is($event->{start_epoch}, $t->sql("SELECT extract(epoch FROM date_trunc('second', starts_at))::bigint FROM telehealth.appointment WHERE id = $near"), 'Y3: but put back');
$graph->edit_event(user => user(1), id => $event->{id}, delete => 1);
pull($outlook);
calm;
ok($t->poll("SELECT status FROM telehealth.appointment WHERE id = $near", 'CANCELLED', 10), 'Y2: what is deleted is cancelled');
is(scalar(at_outlook($near)), 0, 'and is not made again');

# ---- another calendar of the same person

$google->edit_calendar(create => { id => 'work@clinic.example', owner => user(4) });
my $moving = $t->connect_google($google, provider => 4, user => user(4));
my $moved = phone(provider_id => 4);
$google->edit_event(calendar => user(4), create => { summary => 'Former', start => { dateTime => $start }, end => { dateTime => $end } });
calm;
pull($moving);
is($t->sql("SELECT is_free FROM telehealth.is_free(4, '$start')"), 'f', 'a calendar takes time');
$t->fails_ok("SELECT telehealth.configure_calendar($moving, '{\"calendar_id\": \"work\@clinic.example\"}')", { sqlstate => '22023', hint => qr/purge/ }, 'G7: nobody changes the calendar by the way');
$t->connect_google($google, provider => 4, user => user(4), options => { calendar_id => 'work@clinic.example' });
$t->poll("SELECT pushed_hash IS NOT NULL FROM telehealth.calendar_event WHERE appointment_id = $moved", 't', 15);
calm;
is(scalar(at_google($moved, 'work@clinic.example')), 1, 'G7: another calendar shows the visits to come');
pull($moving);
calm;
is($t->sql("SELECT is_free FROM telehealth.is_free(4, '$start')"), 't', 'and only what is in it takes time');
is(status_of($moved) . ' ' . at_google($moved, 'work@clinic.example'), 'SCHEDULED 1', 'and nothing counts as deleted');

# ---- without the key

my $key_file = $t->data_dir . '/telehealth.key';
my $kept = slurp_file($key_file);
my $pid = $t->dispatcher_pid('postgres');
unlink $key_file;
$t->sql("SELECT pg_terminate_backend($pid)");
$t->wait_dispatcher('postgres', other => $pid);
$pid = $t->dispatcher_pid('postgres');
$t->sql("SELECT telehealth.disconnect_calendar(2, 'google')");
ok($t->poll("SELECT waiting_for FROM telehealth_private.job WHERE kind = 'connection' AND subject_id = $second", 'key_missing', 15),
	'S3: a grant that cannot be read is revoked when it can');
is($t->dispatcher_pid('postgres'), $pid, 'and the dispatcher lives on');
$t->sql("SELECT telehealth.disconnect_calendar(4, 'google')");
$t->poll("SELECT waiting_for FROM telehealth_private.job WHERE kind = 'connection' AND subject_id = $moving", 'key_missing', 15);
$t->sql("UPDATE telehealth.calendar_connection SET disconnected_at = now() - interval '25 hours' WHERE id = $moving");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'connection' AND subject_id = $moving");
ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $moving", 0, 15), 'S3: and is forgotten if that is not within a day');
append_to_file($key_file, $kept);
chmod 0600, $key_file;
$t->sql("SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status WHERE kind = 'connection'");
ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $second", 0, 25), 'it is gone then');
is($google->count('POST /revoke'), 1, 'and revoked');

finish;
