# What an account may and may not do, what its settings make of a meeting, and
# what the doctor finds.
use TelehealthTest;
use Mojo::JSON qw(decode_json false true);

my $fake = FakeZoom->start(options => { host_daily => 100_000, rate => { LIGHT => 0, MEDIUM => 0 } });
my $t = TelehealthTest->node('doctor');
$t->create_extension;
$t->widen_limits;
$t->add_hosts;

sub connect_again { return $t->connect_zoom($fake, webhook_secret => 'hook') }
my $account = connect_again();

sub waiting
{
	my ($id, $word, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $id", $word), $name);
}

# creates answered by this
sub creates_get
{
	my ($fault, %match) = @_;
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', %match }, fault => $fault });
	return;
}

# ---- what the settings make of the bytes

my $visit = $t->insert_visit(provider_id => 1, duration => 20);
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
	my $id = $t->session($visit)->{meeting_id};

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
		# what a boolean is depends on the JSON modules at hand
		$got{$key} = $got{$key} ? 1 : 0 if ref $got{$key};
	}
	is_deeply(\%got, $want, "Settings: $settings");
}
# A lock of Zoom's account wins, and is not hidden
$fake->options(locks => { waiting_room => false });
my $locked = $t->insert_visit(provider_id => 2);
is($t->await($locked)->{deviation}, 'waiting_room=false', 'Settings: one that Zoom overrules is told');
$fake->options(locks => {});

# ---- the doctor

my $check = $t->checks($account);
is(join(' ', sort map { $_->{status} } grep { $_->{status} ne 'ok' } values %$check), '', 'a good account has no finding')
  or diag explain $check;
is(scalar(grep { /^scope: / } keys %$check), 7, 'Z15: each operation has its scope looked at');

my $users = $fake->control(GET => 'options')->{users};
$_->{type} = 1 for grep { $_->{id} eq 'host-id-1' } @$users;
$fake->options(users => $users);
$check = $t->checks($account)->{host};
is($check->{status}, 'warning', 'Z14: a host without licence is a finding');
like($check->{detail}, qr/40 minutes/, 'Z14: with what it means');

# other hosts, when their visits are longer than the plan
sub plans
{
	return join ' ', map { "$_->{status} $_->{detail}" } $t->rows(
		"SELECT status, detail FROM telehealth.check_platform($account) WHERE check_name = 'plan' ORDER BY detail");
}
my $long = $t->insert_visit(provider_id => 3, starts_at => \"now() + interval '9 days'", duration => 41);
my $short = $t->insert_visit(provider_id => 4, starts_at => \"now() + interval '9 days'", duration => 40);
$t->await($_) for $long, $short;
is(plans(), '', 'Z14: licensed hosts are no finding');
$_->{type} = 1 for grep { $_->{id} =~ /^host-id-[34]$/ } @$users;
$fake->options(users => $users);
like(plans(), qr/^warning host host3\S* has a basic licence: visits to come that are longer than 40 minutes: 1$/,
	'Z14: an appointment longer than its host\'s plan allows is flagged before the day');
$_->{type} = 2, $_->{status} = 'inactive' for grep { $_->{id} eq 'host-id-1' } @$users;
$fake->options(users => $users);
is($t->checks($account)->{host}{status}, 'warning', 'a host that is not active is a finding');
delete $_->{status} for @$users;
$fake->options(users => $users);
$t->sql(qq{SELECT telehealth.configure_platform($account, '{"default_user": "nobody\@clinic.example"}')});
like($t->checks($account)->{host}{detail}, qr/not a user of the account/, 'a host that is none is a finding');
$t->sql(qq{SELECT telehealth.configure_platform($account, '{"default_user": null}')});
like($t->checks($account)->{host}{detail}, qr/no default host/, 'so is none at all');
$t->sql(qq{SELECT telehealth.configure_platform($account, '{"default_user": "host1\@clinic.example"}')});

my @all = @{ $fake->control(GET => 'options')->{scopes} };
$fake->options(scopes => [ grep { !/delete:meeting|list_meetings|user:read/ } @all ]);
connect_again();
$check = $t->checks($account);
is_deeply(
	[ sort grep { $check->{$_}{status} eq 'error' && /^scope/ } keys %$check ],
	[ 'scope: cancel meetings', 'scope: find a meeting after a lost answer', 'scope: look at host users' ],
	'Z15: what is missing is told by feature') or diag explain $check;
like($check->{'scope: cancel meetings'}{detail}, qr/meeting:delete:meeting:admin/, 'Z15: with the name of the scope');
is($check->{host}{status}, 'warning', 'Z15: a call that is refused is told too');

# the scope to delete comes later: the visit's meeting is not forgotten
my $stays = $t->insert_visit(provider_id => 3);
$t->await($stays);
my $id = $t->session($stays)->{meeting_id};
$t->sql("DELETE FROM telehealth.appointment WHERE id = $stays");
waiting($stays, 'scope_missing', 'Z15: without the scope a removal waits');
is($t->sql("SELECT meeting_id FROM telehealth.orphan_meetings"), $id, 'Z2: orphan_meetings has it');
like($t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account"), qr/meeting:delete:meeting:admin/,
	'Z15: platform_status names the scope');

# older apps have wider scopes with other names
$fake->options(scopes => [qw(meeting:write:admin meeting:read:admin user:read:admin)]);
connect_again();
$check = $t->checks($account);
is(scalar(grep { /^scope/ && $check->{$_}{status} ne 'ok' } keys %$check), 0, 'Z15: classic scopes are as good')
  or diag explain $check;
ok($t->poll("SELECT count(*) FROM telehealth.orphan_meetings", 0, 20), 'Z2: connected again, the removal is done');
is($t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account"), '', 'and the finding gone');
$fake->options(scopes => \@all);

# Changing is not allowed: a new meeting first, then the old one goes (Z4).
# Zoom's own word for it is 400, that of its gateway 403.
for my $code (400, 403)
{
	connect_again();
	my $moved = $t->insert_visit(provider_id => 4);
	my $old = $t->await($moved);
	$fake->faults({ match => { method => 'PATCH' }, fault => { kind => 'scope_missing', code => $code, scope => 'meeting:update:meeting:admin' } });
	my $since = $fake->state->{requests_total};
	$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '30 days' WHERE id = $moved");
	ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id = $moved", 0), 'a change that is not allowed settles');
	is(join(' ', map { $_->{method} } grep { $_->{method} ne 'GET' } $fake->requests(since => $since)), 'PATCH POST DELETE',
		"Z4: $code: create, then delete");
	my $new = $t->session($moved);
	isnt($new->{meeting_id}, $old->{meeting_id}, 'Z4: the visit has the new one');
	is($t->sql("SELECT join_url FROM telehealth.appointment WHERE id = $moved"), $new->{join_url}, 'Z4: and its link');
	like($t->sql("SELECT string_agg(result, ' ') FROM telehealth.explain_appointment($moved)"), qr/does not contain scopes.*meeting:update/,
		'Z4: explain_appointment says so');
	like($t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account"), qr/meeting:update:meeting:admin/,
		'Z4: platform_status names the scope');
}

# Making is not allowed: nothing can be done about it here
creates_get({ kind => 'scope_missing', code => 403, scope => 'meeting:write:meeting:admin' });
my $never = $t->insert_visit(provider_id => 4);
waiting($never, 'scope_missing', 'Z15: a create without its scope waits for it');
like($t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account"), qr/meeting:write:meeting:admin/,
	'Z15: platform_status names that scope');
$t->fails_ok("SELECT telehealth.await_meeting($never, '100 ms')", { sqlstate => '55000', detail => qr/scope/ }, 'Z15: await_meeting says so');
$fake->faults;
$t->sql("SELECT telehealth.retry_job('meeting', $never)");
$t->await_ok($never, 'Z15: granted, it goes on');

# ---- no account, no host, no hope

$fake->faults;
$visit = $t->insert_visit(provider_id => 5, starts_at => \"now() + interval '2 hours'");
$t->await($visit);
my $kept = $t->session($visit)->{meeting_id};
$t->sql("SELECT telehealth.disconnect_platform($account)");
is($t->sql("SELECT status FROM telehealth.platform_status WHERE account_id = $account"), 'disconnected', 'disconnected');
is($t->sql('SELECT count(*) FROM telehealth_private.account_secret') . $t->sql('SELECT count(*) FROM telehealth_private.token_cache'),
	'00', 'its secrets are gone');
my $since = $fake->state->{requests_total};
my $unmet = $t->insert_visit(provider_id => 6, starts_at => \"now() + interval '3 hours'");
waiting($unmet, 'no_account', 'a visit waits for an account');
is($t->sql("SELECT reason FROM telehealth.not_ready WHERE appointment_id = $unmet"), 'no_account', 'not_ready has it');
$t->fails_ok("SELECT telehealth.await_meeting($unmet, '100 ms')",
	{ sqlstate => '55000', detail => qr/^no_account/, hint => qr/connect_platform/ }, 'await_meeting tells what to do');
is($t->sql("SELECT join_url FROM telehealth.appointment WHERE id = $visit"), $t->session($visit)->{join_url}, 'links that were given stay');
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

creates_get({ kind => 'status', code => 400, body => { code => 300, message => 'The value that you entered is not valid.' } }, times => 1);
$visit = $t->insert_visit(provider_id => 8);
$t->fails_ok("SELECT telehealth.await_meeting($visit, '20 s')",
	{ sqlstate => 'TH002', message => qr/was given up/, detail => qr/not valid/, hint => qr/retry_dead_jobs/ },
	'await_meeting tells of a meeting that was given up, at once');
is($t->sql('SELECT telehealth.retry_dead_jobs()'), 1, 'one dead job is taken up again');
$t->await_ok($visit, 'and done');

$visit = $t->insert_visit(provider_id => 9, status => 'PENDING', held_until => \"now() + interval '1 hour'");
$t->fails_ok("SELECT telehealth.await_meeting($visit)", { sqlstate => '55000', message => qr/only held/ }, 'a hold has no meeting');
$t->sql("SELECT telehealth.pause_outbound('a test')");
$visit = $t->insert_visit(provider_id => 10);
$t->fails_ok("SELECT telehealth.await_meeting($visit, '100 ms')", { sqlstate => '55000', detail => qr/^paused/, hint => qr/resume_outbound/ },
	'await_meeting tells of a pause');
$t->fails_ok("SELECT telehealth.host_start_url($unmet)", 'TH003', 'and host_start_url');
$t->sql('SELECT telehealth.resume_outbound()');
$t->await($visit);

finish;
