# What an account may and may not do, what its settings make of a meeting, and
# answers that must not be believed.
use TelehealthTest;
use Mojo::JSON qw(decode_json false true);

my $fake = FakeZoom->start(options => { host_daily => 100_000, rate => { LIGHT => 0, MEDIUM => 0 } });
my $t = TelehealthTest->node('doctor',
	conf => { 'telehealth.request_timeout_ms' => 300, 'telehealth.connect_timeout_ms' => 300 });
$t->create_extension;
$t->sql(q{
	INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES
		('zoom', 'light_per_second', 2000), ('zoom', 'medium_per_second', 2000),
		('zoom', 'concurrent_requests', 20), ('zoom', 'host_writes_per_day', 100000);
	INSERT INTO telehealth.provider (id, platform_user)
		SELECT n, format('host%s@clinic.example', n) FROM generate_series(1, 20) AS n;
});

# Roomier than the server's own timeout, on purpose
my %PATIENT = (timeout_ms => 1500);

sub connect_again { return $t->connect_zoom($fake, webhook_secret => 'hook', settings => {%PATIENT}) }
my $account = connect_again();

sub drained
{
	return $t->poll('SELECT count(*) FROM telehealth_private.job', 0, $_[0] // 30);
}

sub session
{
	my ($id) = @_;
	return $t->row("SELECT * FROM telehealth.session WHERE appointment_id = $id AND retired_at IS NULL");
}

sub live_of
{
	my ($host) = @_;
	return grep { $_->{host_email} eq "host$host\@clinic.example" } $fake->live_meetings;
}

sub waiting
{
	my ($id, $word, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $id", $word), $name);
}

sub checks
{
	my ($id) = @_;
	return { map { $_->{check_name} => $_ } $t->rows("SELECT * FROM telehealth.check_platform($id)") };
}

sub configure
{
	my ($settings) = @_;
	$t->sql("SELECT telehealth.configure_platform($account, '$settings')");
	return drained();
}

# the next create answered by this
sub next_create
{
	my ($fault, %match) = @_;
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1, %match }, fault => $fault });
	return;
}

# ---- effects that come after we have given up (Z1)

# We wait 1500 ms, and as long again until "not there" is believed.  Two at a
# time: more would look like a host that is down, and be left alone for longer.
$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 2 },
	fault => { kind => 'delay', ms => 2600, effect => 'last' } });
my @late = map { $t->insert_visit(provider_id => $_, starts_at => '2031-05-05 10:00Z') } 1 .. 2;
ok(drained(), 'two answers are lost, and their effects come late');
is(scalar($fake->live_meetings), 2, 'Z1: each visit has one meeting');
is($t->sql(q{SELECT bool_and(n > 0) FROM (SELECT count(*) FILTER (WHERE action = 'find' AND outcome = 'ok') AS n
	FROM telehealth_private.job_history GROUP BY subject_id) AS q}), 't', 'Z1: which was not there at first');
is_deeply([ $fake->duplicates ], [], 'Z1: none is there twice');
is($t->sql(q{SELECT count(*) FROM telehealth_private.job_history WHERE outcome = 'adopted'}), 2, 'Z1: all were adopted');
is(scalar(grep { session($_)->{join_url} } @late), 2, 'Z1: and have their links');

$fake->options(list_lag_ms => 1500);
next_create({ kind => 'cut_after' });
$t->insert_visit(provider_id => 13);
ok(drained() && live_of(13) == 1, 'Z1: also when the list of meetings lags behind');
$fake->options(list_lag_ms => 0);

# Two of ours are found: what a former version, or a person, left behind
$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'cut_after' } },
	{ match => { method => 'GET', path_regex => '/users/.*/meetings$' }, fault => { kind => 'status', code => 500 } });
my $visit = $t->insert_visit(provider_id => 14);
ok($t->poll("SELECT failures > 0 FROM telehealth.job_status WHERE subject_id = $visit"), 'an outcome stays unknown');
$fake->edit_meeting(create => { host => 'host14@clinic.example', topic => 'twin', agenda => 'telehealth ref ' . session($visit)->{marker} });
is(scalar(live_of(14)), 2, 'two carry the marker');
$fake->faults;
$t->sql("SELECT telehealth.retry_job('meeting', $visit)");
ok(drained() && live_of(14) == 1 && (live_of(14))[0]{id} == session($visit)->{meeting_id}, 'Z1: one is adopted, the other removed');

# ---- personal rooms (Z11)

for my $case (
	[ 'settings.use_pmi' => true, 'use_pmi' ],
	[ type => 4, 'type 4' ])
{
	next_create({ kind => 'alter', set => { $case->[0] => $case->[1] } });
	$visit = $t->insert_visit(provider_id => 15);
	$t->await($visit);
	ok(drained() && live_of(15) == 1, "Z11: an answer with $case->[2] is removed, and made anew");
	like($t->sql("SELECT string_agg(result, ' ') FROM telehealth.explain_appointment($visit)"), qr/use_pmi|type=4/,
		'Z11: the story tells it');
	$t->sql("DELETE FROM telehealth.appointment WHERE id = $visit");
	drained();
}
next_create({ kind => 'alter', set => { id => 5000000016, pmi => 5000000016 } });
$visit = $t->insert_visit(provider_id => 16);
isnt($t->await($visit)->{meeting_id}, 5000000016, 'Z11: the number of the personal room is not handed out');

# The meeting of another clinic's visit is as bad as that of our own
my $theirs = $t->insert_visit({ clinic => 2 }, provider_id => 17);
my $taken = $t->await($theirs, clinic => 2)->{meeting_id};
next_create({ kind => 'alter', set => { id => 0 + $taken } });
my $ours = $t->insert_visit({ clinic => 3 }, provider_id => 18);
isnt($t->await($ours, clinic => 3)->{meeting_id}, $taken, 'Z11: nor the meeting of another clinic');
is($t->sql('SELECT count(*) FROM telehealth.duplicate_meetings'), 0, 'Z11: duplicate_meetings is empty');
ok((grep { $_->{id} == $taken } $fake->live_meetings), 'Z11: and that meeting was not touched');
$fake->faults;

# ---- instants in other words (Z12)

my %zone = (timezone => 'Europe/Berlin', provider_id => 19);
for my $case (
	[ '2031-10-26 00:30Z', '2031-10-26T02:30:00' ],
	[ '2031-10-26 01:30Z', '2031-10-26T02:30:00' ],
	[ '2031-03-30 01:00Z', '2031-03-30T03:00:00' ],
	[ '2031-03-30 00:59Z', '2031-03-30T01:59:00' ],
	[ '2031-07-01 10:00Z', '2031-07-01T15:45:00+05:45' ])
{
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
		fault => { kind => 'alter', set => { start_time => $case->[1], timezone => 'Europe/Berlin' } } });
	my $since = $fake->state->{requests_total};
	$visit = $t->insert_visit(%zone, starts_at => $case->[0], duration => 1);
	$t->await($visit);
	drained();
	is(scalar(grep { $_->{method} eq 'POST' } $fake->requests(since => $since)), 1, "Z12: $case->[1] is $case->[0]");
}
for my $case (
	[ '2031-07-01 08:00Z', '2031-07-01T08:00:00', 'UTC taken for local time' ],
	[ '2031-07-02 08:00Z', '2031-07-02T12:00:00Z', 'local time taken for UTC' ],
	[ '2031-10-27 01:30Z', '2031-10-27T01:30:00', 'an hour off' ],
	[ '2031-07-03 08:00Z', undef, 'no instant at all' ])
{
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
		fault => { kind => 'alter', set => { start_time => $case->[1], timezone => 'Europe/Berlin' } } });
	my $since = $fake->state->{requests_total};
	$visit = $t->insert_visit(%zone, starts_at => $case->[0]);
	$t->await($visit);
	drained();
	is(join(' ', map { $_->{method} } grep { $_->{method} ne 'GET' } $fake->requests(since => $since)),
		'POST DELETE POST', "Z12: $case->[2] is refused, removed and made anew");
}

$fake->faults;

# ---- what the settings make of the bytes

$visit = $t->insert_visit(provider_id => 1, duration => 20);
$t->await($visit);
my @cases = (
	[ '{"waiting_room": false}', { waiting_room => 0 } ],
	[ '{"hipaa": true, "recording": "cloud"}', { waiting_room => 1, auto_recording => 'none' } ],
	[ '{"hipaa": null}', { waiting_room => 0, auto_recording => 'none' } ],
	[ '{"hipaa": false}', { waiting_room => 0, auto_recording => 'cloud', encryption_type => 'enhanced_encryption' } ],
	[ '{"encryption": "e2ee"}', { auto_recording => 'none', encryption_type => 'e2ee' } ],
	[ '{"encryption": null, "recording": "local"}', { auto_recording => 'local' } ],
	[ '{"authentication": true, "mute_upon_entry": true}', { meeting_authentication => 1, mute_upon_entry => 1 } ],
	[ '{"waiting_room": null, "hipaa": null, "recording": null, "authentication": null, "mute_upon_entry": null}',
		{ waiting_room => 1, auto_recording => 'none', meeting_authentication => 0, mute_upon_entry => 0,
			encryption_type => 'enhanced_encryption' } ]);
for my $case (@cases)
{
	my ($settings, $want) = @$case;
	my $since = $fake->state->{requests_total};
	my $id = session($visit)->{meeting_id};

	$t->sql("SELECT telehealth.configure_platform($account, '$settings')");
	ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id = $visit", 0), "$settings settles");
	my ($patch) = grep { $_->{method} eq 'PATCH' } $fake->requests(since => $since, path_regex => "/$id\$");
	my $sent = $patch ? decode_json($patch->{body})->{settings} : {};
	my ($meeting) = grep { $_->{id} == $id } $fake->live_meetings;
	my %got;
	for my $key (keys %$want)
	{
		# at Zoom; and in what was sent, when anything was
		$got{$key} = $meeting->{settings}{$key};
		$got{$key} = 'not sent' if $patch && $sent->{$key} ne $got{$key};
	}
	is_deeply(\%got, $want, "Settings: $settings");
}
my ($create) = map { decode_json($_->{body}) } grep { $_->{method} eq 'POST' } $fake->requests(path_regex => 'host1%40.*/meetings$|host1@.*/meetings$');
ok($create && !$create->{settings}{$_}, "Settings: $_ is off by name")
  for qw(use_pmi join_before_host email_notification registrants_email_notification auto_start_meeting_summary);
ok(defined $create->{settings}{use_pmi} && $create->{settings}{waiting_room}, 'Z11: use_pmi is told to be off');

# A lock of Zoom's account wins, and is not hidden
$fake->options(locks => { waiting_room => false });
my $locked = $t->insert_visit(provider_id => 2);
like($t->await($locked)->{deviation}, qr/waiting_room=false/, 'a setting that Zoom overrules is told');
is($t->sql("SELECT deviation LIKE '%waiting_room%' FROM telehealth.upcoming_sessions WHERE appointment_id = $locked"), 't', 'also to readers');
$fake->options(locks => {});

# ---- the doctor

my $check = checks($account);
is(join(' ', sort map { $_->{status} } grep { $_->{status} ne 'ok' } values %$check), '', 'a good account has no finding')
  or diag explain $check;

my $users = $fake->control(GET => 'options')->{users};
$_->{type} = 1 for grep { $_->{id} eq 'host-id-1' } @$users;
$fake->options(users => $users);
$check = checks($account)->{host};
is($check->{status}, 'warning', 'Z14: a host without licence is a finding');
like($check->{detail}, qr/40 minutes/, 'Z14: with what it means');
$_->{type} = 2, $_->{status} = 'inactive' for grep { $_->{id} eq 'host-id-1' } @$users;
$fake->options(users => $users);
is(checks($account)->{host}{status}, 'warning', 'a host that is not active is a finding');
delete $_->{status} for @$users;
$fake->options(users => $users);
$t->sql(qq{SELECT telehealth.configure_platform($account, '{"default_user": "nobody\@clinic.example"}')});
like(checks($account)->{host}{detail}, qr/not a user of the account/, 'a host that is none is a finding');
$t->sql(qq{SELECT telehealth.configure_platform($account, '{"default_user": null}')});
like(checks($account)->{host}{detail}, qr/no default host/, 'so is none at all');
$t->sql(qq{SELECT telehealth.configure_platform($account, '{"default_user": "host1\@clinic.example"}')});

my @all = @{ $fake->control(GET => 'options')->{scopes} };
$fake->options(scopes => [ grep { !/delete:meeting|list_meetings|user:read/ } @all ]);
connect_again();
$check = checks($account);
is_deeply(
	[ sort grep { $check->{$_}{status} eq 'error' && /^scope/ } keys %$check ],
	[ 'scope: cancel meetings', 'scope: find a meeting after a lost answer', 'scope: look at host users' ],
	'Z15: what is missing is told by feature') or diag explain $check;
like($check->{'scope: cancel meetings'}{detail}, qr/meeting:delete:meeting:admin/, 'Z15: with the name of the scope');
is($check->{host}{status}, 'warning', 'Z15: a call that is refused is told too');

# the scope to delete comes later: the visit's meeting is not forgotten
my $stays = $t->insert_visit(provider_id => 3);
$t->await($stays);
my $id = session($stays)->{meeting_id};
$t->sql("DELETE FROM telehealth.appointment WHERE id = $stays");
waiting($stays, 'scope_missing', 'Z15: without the scope a removal waits');
is($t->sql("SELECT meeting_id FROM telehealth.orphan_meetings"), $id, 'Z2: orphan_meetings has it');
like($t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account"), qr/meeting:delete:meeting:admin/,
	'Z15: platform_status names the scope');

# older apps have wider scopes with other names
$fake->options(scopes => [qw(meeting:write:admin meeting:read:admin user:read:admin)]);
connect_again();
$check = checks($account);
is(scalar(grep { /^scope/ && $check->{$_}{status} ne 'ok' } keys %$check), 0, 'Z15: classic scopes are as good')
  or diag explain $check;
ok($t->poll("SELECT count(*) FROM telehealth.orphan_meetings", 0, 20), 'Z2: connected again, the removal is done');
is($t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account"), '', 'and the finding gone');
$fake->options(scopes => \@all);

# Changing is not allowed: a new meeting first, then the old one goes (Z4)
connect_again();
my $moved = $t->insert_visit(provider_id => 4);
my $old = $t->await($moved);
$fake->faults({ match => { method => 'PATCH' }, fault => { kind => 'scope_missing', code => 403, scope => 'meeting:update:meeting:admin' } });
my $since = $fake->state->{requests_total};
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '30 days' WHERE id = $moved");
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id = $moved", 0), 'a change that is not allowed settles');
is(join(' ', map { $_->{method} } grep { $_->{method} ne 'GET' } $fake->requests(since => $since)), 'PATCH POST DELETE',
	'Z4: create, then delete');
isnt(session($moved)->{meeting_id}, $old->{meeting_id}, 'Z4: the visit has the new one');
is($t->sql("SELECT join_url FROM telehealth.appointment WHERE id = $moved"), session($moved)->{join_url}, 'Z4: and its link');
like($t->sql("SELECT string_agg(result, ' ') FROM telehealth.explain_appointment($moved)"), qr/does not contain scopes.*meeting:update/,
	'Z4: explain_appointment says so');
like($t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account"), qr/meeting:update:meeting:admin/,
	'Z4: platform_status names the scope');

# ---- no account, no host, no hope

$fake->faults;
$visit = $t->insert_visit(provider_id => 5, starts_at => \"now() + interval '2 hours'");
$t->await($visit);
my $kept = session($visit)->{meeting_id};
$t->sql("SELECT telehealth.disconnect_platform($account)");
is($t->sql("SELECT status FROM telehealth.platform_status WHERE account_id = $account"), 'disconnected', 'disconnected');
is($t->sql('SELECT count(*) FROM telehealth_private.account_secret') . $t->sql('SELECT count(*) FROM telehealth_private.token_cache'),
	'00', 'its secrets are gone');
$since = $fake->state->{requests_total};
my $unmet = $t->insert_visit(provider_id => 6, starts_at => \"now() + interval '3 hours'");
waiting($unmet, 'no_account', 'a visit waits for an account');
is($t->sql("SELECT reason FROM telehealth.not_ready WHERE appointment_id = $unmet"), 'no_account', 'not_ready has it');
$t->fails_ok("SELECT telehealth.await_meeting($unmet, '100 ms')",
	{ sqlstate => '55000', detail => qr/^no_account/, hint => qr/connect_platform/ }, 'await_meeting tells what to do');
is($t->sql("SELECT join_url FROM telehealth.appointment WHERE id = $visit"), session($visit)->{join_url}, 'links that were given stay');
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $visit");
ok($t->poll("SELECT waiting_for IS NOT NULL OR failures > 0 FROM telehealth.job_status WHERE subject_id = $visit", 't', 20), 'a removal waits');
is($fake->state->{requests_total}, $since, 'nothing is sent for a disconnected account');
is($t->sql("SELECT count(*) FROM telehealth.orphan_meetings WHERE meeting_id = '$kept'"), 1, 'Z2: the meeting is not forgotten');
connect_again();
$t->await($unmet);
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id IN ($visit, $unmet)", 0)
	  && !grep({ $_->{id} == $kept } $fake->live_meetings), 'connected again, both are done');

$t->sql("INSERT INTO telehealth.provider (id, platform_user) VALUES (50, 'stranger\@clinic.example')");
$visit = $t->insert_visit(provider_id => 50);
waiting($visit, 'no_host', 'a host that Zoom does not know makes the visit wait');
$t->fails_ok("SELECT telehealth.await_meeting($visit, '100 ms')", { sqlstate => '55000', detail => qr/^no_host/, hint => qr/platform_user/ },
	'await_meeting tells what to do');
$t->sql("UPDATE telehealth.provider SET platform_user = 'host7\@clinic.example' WHERE id = 50");
$t->sql("SELECT telehealth.retry_job('meeting', $visit)");
is($t->await($visit)->{status}, 'SCHEDULED', 'mended, it goes on');

next_create({ kind => 'status', code => 400, body => { code => 300, message => 'The value that you entered is not valid.' } });
$visit = $t->insert_visit(provider_id => 8);
$t->fails_ok("SELECT telehealth.await_meeting($visit, '20 s')",
	{ sqlstate => 'TH002', message => qr/was given up/, detail => qr/not valid/, hint => qr/retry_dead_jobs/ },
	'await_meeting tells of a meeting that was given up, at once');
is($t->sql('SELECT telehealth.retry_dead_jobs()'), 1, 'one dead job is taken up again');
ok($t->await($visit)->{join_url}, 'and done');

$visit = $t->insert_visit(provider_id => 9, status => 'PENDING', held_until => \"now() + interval '1 hour'");
$t->fails_ok("SELECT telehealth.await_meeting($visit)", { sqlstate => '55000', message => qr/only held/ }, 'a hold has no meeting');
$t->sql("SELECT telehealth.pause_outbound('a test')");
$visit = $t->insert_visit(provider_id => 10);
$t->fails_ok("SELECT telehealth.await_meeting($visit, '100 ms')", { sqlstate => '55000', detail => qr/^paused/, hint => qr/resume_outbound/ },
	'await_meeting tells of a pause');
$t->fails_ok("SELECT telehealth.host_start_url($unmet)", 'TH003', 'and host_start_url');
$t->sql('SELECT telehealth.resume_outbound()');
$t->await($visit);

# ---- the answer that was wrong every time

$fake->faults({ match => { method => 'POST', path_regex => '/users/host20.*/meetings$' },
	fault => { kind => 'alter', set => { start_time => '2031-01-01T00:00:00Z' } } });
my $again = $t->insert_visit(provider_id => 20);
ok($t->poll("SELECT count(*) FROM telehealth.dead_jobs WHERE subject_id = $again", 1, 40), 'Z12: a wrong instant every time fails the job');
like($t->sql("SELECT last_error FROM telehealth.dead_jobs WHERE subject_id = $again"), qr/start_time=2031-01-01T00:00:00Z/, 'Z12: with the instant');
is($t->sql("SELECT coalesce(join_url, 'none') FROM telehealth.appointment WHERE id = $again"), 'none', 'Z12: no link was handed out');
is(scalar(grep { $_->{start_epoch} == $t->sql("SELECT extract(epoch FROM starts_at)::bigint FROM telehealth.appointment WHERE id = $again") }
		live_of(20)), 0, 'Z12: and nothing is left there');

finish;
