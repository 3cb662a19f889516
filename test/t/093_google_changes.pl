# What people do to visits in their Google calendars, and what Google's
# channels tell of it.
use TelehealthTest;
use FakeGoogle;
use Mojo::JSON qw(true);
use PostgreSQL::Test::Cluster;

my $USER = 'user1@clinic.example';
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $fake = FakeGoogle->start(options => {
		users => [ map { { email => "user$_\@clinic.example", timeZone => 'America/New_York' } } 1 .. 3 ],
		rate => { user => 0, project => 0, calendar_writes => 0 },
		push_via => "http://127.0.0.1:$port"
	});
my $t = TelehealthTest->node('google',
	conf => {
		'telehealth.request_timeout_ms' => 2000,
		'telehealth.lease_seconds' => 5,
		'telehealth.http_port' => $port,
		'telehealth.public_url' => 'https://clinic.example/'
	});
$t->create_extension;
$t->wait_gateway;
$t->add_hosts;
$t->widen_calendar_limits('google');
$t->sql("INSERT INTO telehealth.provider (id, display_name, timezone) VALUES (1, 'One', 'America/New_York') ON CONFLICT DO NOTHING");
my $id = $t->connect_google($fake);

sub phone { return $t->insert_visit(type => 'PHONE', starts_at => \"date_trunc('hour', now()) + interval '10 days'", @_) }
sub sync { $t->sql("SELECT telehealth.sync_calendar(1, '20 s')"); return }

sub calm
{
	return $t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill', 'provider', 'clinic')", 0, 30)
	  || diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
}

sub event
{
	my ($visit) = @_;
	my @live = grep { ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-$visit$/ } $fake->live_events($USER);

	return @live == 1 ? $live[0] : undef;
}
sub edit { my ($visit, %o) = @_; return $fake->edit_event(calendar => $USER, id => event($visit)->{id}, %o) }
sub starts { return $t->sql("SELECT to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM telehealth.appointment WHERE id = $_[0]") }
sub writes { my $s = $fake->state->{counters}; return join ' ', map { $s->{$_} // 0 } qw(insert patch delete) }
sub last_change { return $t->sql("SELECT change || ' ' || action FROM telehealth.calendar_change WHERE appointment_id = $_[0] ORDER BY id DESC LIMIT 1") }
sub policy { $t->sql("SELECT telehealth.configure_calendar($id, '{\"remote_change_policy\": \"$_[0]\"}')"); return }
my %other = (start => { dateTime => '2040-01-05T10:00:00Z' }, end => { dateTime => '2040-01-05T11:00:00Z' });

# ---- our own events

my @visits = (phone(), phone(starts_at => \"date_trunc('hour', now()) + interval '11 days'"));
calm;
sync;
is($t->sql('SELECT count(*) FROM telehealth.busy_time'), 0, 'Y1: our own events are no busy time');
my $before = writes();
for (1 .. 10)
{
	$t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = compared_at - interval '2 days'") if $_ % 2;
	sync;
}
calm;
is(writes(), $before, 'Y1: ten pulls without a change write nothing');
is($t->sql('SELECT count(*) FROM telehealth.calendar_change'), 0, 'Y1: and nothing is said to have changed');

# ---- restore

my ($visit) = @visits;
edit($visit, set => {%other});
sync;
calm;
is(event($visit)->{start}{dateTime}, starts($visit), 'Y3: a visit that somebody moved is put back (restore)');
is(last_change($visit), 'moved restore', 'Y3: which is noted');
is($t->sql("SELECT (theirs ->> 'starts_at')::timestamptz = '2040-01-05 10:00Z' AND (ours ->> 'starts_at')::timestamptz = starts_at FROM telehealth.calendar_change JOIN telehealth.appointment AS a ON a.id = appointment_id WHERE appointment_id = $visit"),
	't', 'Y3: with the losing values');
like($t->sql("SELECT string_agg(e::text, ' ') FROM telehealth.explain_appointment($visit) AS e"), qr/moved/, 'Y3: in the story of the visit');
edit($visit, set => { summary => 'lunch' });
sync;
calm;
is(event($visit)->{summary}, 'Phone appointment', 'Y3: its title is ours');
is(last_change($visit), 'edited restore', 'Y3: which is noted');
$before = $t->sql('SELECT count(*) FROM telehealth.calendar_change');
my $written = writes();
edit($visit, set => { colorId => '7', reminders => { useDefault => true } });
sync;
calm;
is($t->sql('SELECT count(*) FROM telehealth.calendar_change') . ' ' . writes(), "$before $written", 'Y3: its colour is theirs');
$fake->faults({ match => { method => 'PATCH' }, fault => { kind => 'status', code => 503 } });
edit($visit, set => { colorId => '8' });
$t->sql("UPDATE telehealth.appointment SET duration = 35 WHERE id = $visit");
$t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE kind = 'event'", 't', 20);
sync;
is($t->sql('SELECT count(*) FROM telehealth.calendar_change'), $before, 'Y1: what a pull finds as we wrote it nobody has moved, though the visit has changed since');
$fake->faults;
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'event'; SELECT telehealth_private.wake()");
calm;
is(event($visit)->{end_epoch}, $t->sql("SELECT extract(epoch FROM ends_at)::bigint FROM telehealth.appointment WHERE id = $visit"), '… and then the change is shown');
edit($visit, delete => 1);
sync;
calm;
ok(event($visit), 'Y2: a visit that somebody deleted is back (restore)');
is(last_change($visit), 'deleted restore', 'Y2: which is noted');
sync;
calm;
is($t->sql('SELECT count(*) FROM telehealth.calendar_change'), $before + 1, 'Y2: once');

# Both sides change at once
edit($visit, set => {%other});
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $visit");
sync;
calm;
sync;
calm;
is(event($visit)->{start}{dateTime}, starts($visit), 'Y3: both sides changed: ours wins');
is($t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE appointment_id = $visit AND change = 'moved'"), 2, 'Y3: and theirs is kept, once');

# ---- flag

policy('flag');
calm;
edit($visit, set => {%other});
sync;
calm;
is(event($visit)->{start}{dateTime}, '2040-01-05T10:00:00Z', 'Y3: flag leaves it');
is(last_change($visit), 'moved flag', 'Y3: and notes it');
my $listener = $t->background_psql('postgres');
$listener->query_safe('LISTEN telehealth_calendar');
edit($visit, delete => 1);
sync;
calm;
ok(!event($visit), 'Y2: flag leaves it');
is(last_change($visit), 'deleted flag', 'Y2: and notes it');
like($listener->query('SELECT 1'), qr/remote_change/, 'Y2: and tells');
is($t->sql("SELECT status FROM telehealth.appointment WHERE id = $visit"), 'SCHEDULED', 'Y2: the visit is as it was');

# ---- cancel

policy('cancel');
calm;
my ($moved, $gone, $missed) = map { phone(starts_at => \"date_trunc('hour', now()) + interval '@{[ 20 + $_ ]} days'") } 1 .. 3;
calm;
sync;
edit($moved, set => {%other});
sync;
calm;
is($t->sql("SELECT status FROM telehealth.appointment WHERE id = $moved") . ' ' . event($moved)->{start}{dateTime}, 'SCHEDULED ' . starts($moved),
	'Y3: cancel: a visit that was moved is put back');
edit($gone, delete => 1);
sync;
calm;
is($t->sql("SELECT status FROM telehealth.appointment WHERE id = $gone") . ' ' . last_change($gone), 'CANCELLED deleted cancel', 'Y2: cancel: one that was deleted is cancelled');
my $busy = phone(starts_at => \"date_trunc('hour', now()) + interval '27 days'");
calm;
edit($busy, delete => 1);
my $holder = $t->background_psql('postgres');
$holder->query("BEGIN; SELECT FROM telehealth.appointment WHERE id = $busy FOR UPDATE");
my ($cycles, $logged) = ($t->sql('SELECT cycles FROM telehealth.worker_status'), $t->log_size);
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull'");
ok($t->poll("SELECT cycles > $cycles + 10 FROM telehealth.worker_status", 't', 30), 'W12: one that somebody holds is not waited for');
unlike($t->log_text($logged), qr/lock timeout/, 'W12: nor in vain');
$holder->query('COMMIT');
$holder->quit;
ok($t->poll("SELECT status FROM telehealth.appointment WHERE id = $busy", 'CANCELLED', 20), 'Y2: and cancelled then');
$fake->options(push_drop => 1);
my $both = phone(starts_at => \"date_trunc('hour', now()) + interval '28 days'");
calm;
edit($both, delete => 1);
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $both");
ok($t->poll("SELECT status FROM telehealth.appointment WHERE id = $both", 'CANCELLED', 30), 'Y2: one that was deleted there and changed here is, as soon as that is seen');
$fake->options(push_drop => 0);
my $here = phone(starts_at => \"date_trunc('hour', now()) + interval '26 days'");
calm;
sync;
$t->sql("UPDATE telehealth.appointment SET status = 'CHECKED_IN' WHERE id = $here");
edit($here, delete => 1);
sync;
calm;
is($t->sql("SELECT status FROM telehealth.appointment WHERE id = $here") . ' ' . last_change($here), 'CHECKED_IN deleted flag',
	'Y2: one whose patient is there already is not, and is not said to be');
edit($missed, drop => 1);
$fake->expire_sync(calendar => $USER);
sync;
calm;
is($t->sql("SELECT status FROM telehealth.appointment WHERE id = $missed") . ' ' . last_change($missed), 'SCHEDULED deleted flag',
	'Y2: one that is only missing, and nobody said so, is not');
is($t->sql("SELECT count(*) FROM telehealth.appointment"), 8, 'Y5: no visit is deleted');
policy('restore');

# Somebody empties the calendar
my @all = map { phone(starts_at => \"date_trunc('hour', now()) + interval '@{[ 30 + $_ ]} days'") } 1 .. 14;
calm;
sync;
$written = writes();
edit($_, drop => 1) for @all;
$fake->expire_sync(calendar => $USER);
sync;
calm;
is(writes(), $written, 'Y4: where all events of ours are gone at once, none is made anew');
like($t->sql("SELECT suspicious_count FROM telehealth.calendar_status WHERE connection_id = $id"), qr/^1[4-7]$/, 'Y4: until somebody says so');
$t->sql("SELECT telehealth.sync_calendar(1, '20 s', confirm_deletions => true)");
calm;
is(scalar(grep { event($_) } @all), 14, 'Y4: then they are');

# ---- channels

sub live { return grep { !$_->{stopped} && $_->{expires} > time } $fake->channels }
ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id", 1), 'a connection asks for notifications');
is(scalar(live()), 1, 'by one channel');
my ($first) = live();
is($first->{address}, 'https://clinic.example/api/webhooks/google-calendar', 'which calls the gateway');
$t->wait_ready;

# due in a while: only a notification hastens it
sub rest { return $t->poll("SELECT due_at > now() + interval '5 minutes' FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $id", 't') }
sub runs { return $t->sql("SELECT sum(runs) FROM telehealth.sync_metrics WHERE connection_id = $id AND direction = 'pull'") }
rest;
my $lunch = $fake->edit_event(calendar => $USER, create => { summary => 'lunch', start => { dateTime => '2031-01-01T10:00:00Z' }, end => { dateTime => '2031-01-01T11:00:00Z' } });
rest;
my $tomorrow = $t->sql("SELECT to_char(now() + interval '1 day', 'YYYY-MM-DD')");
my $runs = runs();
$fake->edit_event(calendar => $USER, id => $lunch->{id}, set => { summary => "lunch $_", start => { dateTime => "${tomorrow}T10:00:00Z" }, end => { dateTime => "${tomorrow}T11:00:00Z" } }) for 1 .. 20;
ok($t->poll("SELECT count(*) FROM telehealth.busy_time", 1, 10), 'a change is pulled as soon as Google tells of it');
rest;
cmp_ok(runs() - $runs, '<=', 4, 'W16: twenty changes are a few pulls');
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'pull'"), 1, 'W16: with one job');

# strays
my $due = "SELECT due_at FROM telehealth_private.job WHERE kind = 'pull'";
my $was_due = $t->sql($due);
my $seen = $t->sql('SELECT count(*) FROM telehealth.webhook_event');
$fake->push(channel => $first->{id}, id => 'somebody-else');
$fake->push(channel => $first->{id}, resource_id => 'another', number => 999);
ok($t->poll('SELECT count(*) FROM telehealth.webhook_event', $seen + 1), 'G4: strays are answered');
is((grep { ($_->{status} // 0) != 200 } $fake->deliveries) + 0, 0, 'G4: with 200');
is($t->sql($due), $was_due, 'G4: and nothing comes of them');

# what a vendor has put off is not hastened by its notifications
$t->sql("UPDATE telehealth_private.job SET failures = 2, waiting_for = 'rate_limited', due_at = now() + interval '10 minutes' WHERE kind = 'pull'");
$was_due = $t->sql($due);
$fake->push(channel => $first->{id});
ok($t->poll('SELECT count(*) FROM telehealth.webhook_event', $seen + 2), 'O4: what is told while pulls wait');
is($t->sql($due), $was_due, 'O4: does not end the waiting');
$t->sql("UPDATE telehealth_private.job SET failures = 0, waiting_for = NULL WHERE kind = 'pull'");

# before its end a channel gets a successor
$t->sql("UPDATE telehealth_private.push_channel SET renew_at = now()");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
ok($t->poll("SELECT count(*) = 1 AND bool_and(channel_id <> '$first->{id}') FROM telehealth_private.push_channel WHERE connection_id = $id", 't', 10), 'G3: a channel is replaced before it ends');
my ($second) = live();
my ($old) = grep { $_->{id} eq $first->{id} } $fake->channels;
ok($old->{stopped} && $second->{created} < $old->{stopped}, 'G3: the replacement is there before the old one is stopped');
is($t->sql("SELECT c.expires_at - c.renew_at > interval '1 day' AND j.due_at = c.renew_at FROM telehealth_private.push_channel AS c, telehealth_private.job AS j WHERE j.kind = 'channel'"), 't',
	'G3: and is renewed in time');
my $made = $fake->count('watch');
for my $round (1 .. 3)
{
	my ($former) = live();
	$t->sql("UPDATE telehealth_private.push_channel SET renew_at = now()");
	$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
	$t->poll("SELECT count(*) = 1 AND bool_and(channel_id <> '$former->{id}') FROM telehealth_private.push_channel WHERE connection_id = $id", 't', 10);
	is(join(' ', map { $_->{id} eq $former->{id} ? 'the former' : 'another' } live()), 'another', "G3: and again ($round)");
}
is($fake->count('watch') - $made, 3, 'G3: by one call each');
($second) = live();

# nobody tells: the next poll does
$fake->options(push_drop => 1);
$fake->edit_event(calendar => $USER, id => $lunch->{id}, delete => 1);
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull'");
ok($t->poll('SELECT count(*) FROM telehealth.busy_time', 0, 10), 'G3: what nobody tells, the next pull finds');

# a vendor that gives no channels
$fake->faults({ match => { method => 'POST', path_regex => '/watch$' }, fault => { kind => 'status', code => 403 } });
$t->sql("UPDATE telehealth_private.push_channel SET renew_at = now(), expires_at = now()");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
sub refused
{
	my ($failures, $minutes) = @_;
	return $t->poll("SELECT waiting_for = 'no_channel' AND failures = $failures AND due_at > now() + interval '$minutes minutes' FROM telehealth_private.job WHERE kind = 'channel'", 't', 10);
}
ok(refused(1, 3), 'without channels: it is asked later');
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
ok(refused(2, 7), '… and later');
sync;
is($t->sql("SELECT status FROM telehealth.calendar_connection WHERE id = $id"), 'CONNECTED', 'pulls go on');
rest;
$fake->edit_event(calendar => $USER, create => { summary => 'lunch', start => { dateTime => "${tomorrow}T12:00:00Z" }, end => { dateTime => "${tomorrow}T13:00:00Z" } });
$fake->faults;
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id AND expires_at > now()", 1, 10), 'and they come back');
ok($t->poll('SELECT count(*) FROM telehealth.busy_time', 1, 10), 'O3: what nobody told meanwhile is pulled then');

# no vendor calls an address without TLS
my $watches = $fake->count('watch');
$t->reload_conf('telehealth.public_url' => 'http://clinic.example/');
$t->sql("SELECT telehealth.configure_calendar($id, '{}')");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id", 0, 10), 'a channel to an address without TLS is none');
is($fake->count('watch'), $watches, '… and nobody is asked for one');
$t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'channel'", 0, 10);
sub daily { $t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = now() - interval '2 days'"); sync; return }
daily;
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'channel'"), 0, '… not by the daily pass either');
$t->reload_conf('telehealth.public_url' => 'https://clinic.example/');
$t->poll('SHOW telehealth.public_url', 'https://clinic.example/');
sync;
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'channel'"), 0, '… nor by a pull of what has changed');
daily;
ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id", 1, 10), 'G3: … until it has: then the daily pass asks for one');
$t->poll("SELECT attempts = 0 AND due_at > now() + interval '1 day' FROM telehealth_private.job WHERE kind = 'channel'", 't', 10);
my $settled = $t->sql("SELECT generation || ' ' || due_at FROM telehealth_private.job WHERE kind = 'channel'");
daily;
is($t->sql("SELECT generation || ' ' || due_at FROM telehealth_private.job WHERE kind = 'channel'"), $settled, 'G3: … once');
is($fake->count('watch'), $watches + 1, 'G3: … by one call');

# a grant is given up after the channels that it made
$fake->faults({ match => { method => 'POST', path_regex => '/channels/stop$' }, fault => { kind => 'status', code => 503 } });
$t->sql("SELECT telehealth.disconnect_calendar(1, 'google')");
ok($t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE kind = 'channel'", 't', 10), 'a channel that cannot be stopped');
$fake->faults;
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id", 0, 10), 'a connection that ends stops its channels');
is(scalar(grep { $_->{id} ne $second->{id} } live()), 0, 'all that it knew of');
done_testing();
