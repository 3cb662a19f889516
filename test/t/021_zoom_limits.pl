# Tokens, scopes, rates and quotas: what Zoom refuses, and what we make of it.
use TelehealthTest;

my $fake = FakeZoom->start(options => { host_daily => 100_000 });
my $t = TelehealthTest->node('limits',
	conf => { 'telehealth.request_timeout_ms' => 2000, 'telehealth.databases' => '*' });
$t->create_extension;
$t->sql(q{
	INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES
		('zoom', 'light_per_second', 1000), ('zoom', 'medium_per_second', 1000),
		('zoom', 'concurrent_requests', 20), ('zoom', 'host_writes_per_day', 20);
	INSERT INTO telehealth.provider (id, platform_user)
		SELECT n, format('host%s@clinic.example', n) FROM generate_series(1, 20) AS n;
});

sub drained
{
	return $t->poll('SELECT count(*) FROM telehealth_private.job', 0, $_[0] // 20);
}

sub token_calls { return $fake->state->{token_calls} }

sub status
{
	my ($column, $account) = @_;
	return $t->sql("SELECT $column FROM telehealth.platform_status WHERE account_id = $account");
}

sub visits
{
	my ($provider, $n) = @_;
	return map { $t->insert_visit(provider_id => $provider) } 1 .. $n;
}

# ---- tokens

my $account = $t->connect_zoom($fake);
my @ids = visits(1, 5);
$t->await($_) for @ids;
is(token_calls(), 1, 'Z5: five visits, one token');
my $pid = $t->dispatcher_pid('postgres');
$t->sql("SELECT pg_terminate_backend($pid)");
$t->wait_dispatcher('postgres', other => $pid);
$t->await($_) for visits(1, 2);
is(token_calls(), 1, 'Z5: a new dispatcher asks for no token');
$t->restart;
$t->wait_dispatcher('postgres');
$t->await($_) for visits(1, 1);
is(token_calls(), 1, 'Z5: a restarted server asks for no token');
is($t->sql('SELECT count(*) FROM telehealth_private.token_cache'), 1, 'the token is kept');
unlike($t->sql('SELECT encode(envelope, \'escape\') FROM telehealth_private.token_cache'), qr/eyJ/, 'S2: sealed');

my $skew = $t->sql("SELECT abs(extract(epoch FROM token_expires_at - (connected_at + interval '3600 s'))) < 30 FROM telehealth.account WHERE id = $account");
is($skew, 't', 'Z6: expiry is an instant, an hour from when the token was made');

$fake->revoke_tokens;
$t->await($_) for visits(2, 3);
is(token_calls(), 2, 'Z5: a refused token is renewed once for all');
$fake->revoke_tokens;
$t->await($_) for visits(2, 3);
is(token_calls(), 3, 'Z5: and once more');
$fake->revoke_tokens;
my ($stuck) = visits(2, 1);
ok($t->poll("SELECT count(*) FROM telehealth.job_status WHERE subject_id = $stuck AND waiting_for = 'token_refused'", 1, 10),
	'Z5: the third time within minutes it stops');
is(token_calls(), 3, 'Z5: without a further token');
is(status('status', $account), 'error', 'Z5: and the account says so');
like(status('last_error', $account), qr/another system/, 'Z5: with the likely reason');

$account = $t->connect_zoom($fake);
$t->await($stuck);
is(status('status', $account), 'connected', 'connecting again heals it');

# ---- clock and doctor

$fake->options(date_skew_s => 90);
$account = $t->connect_zoom($fake);
$t->await($_) for visits(3, 1);
my %check = map { $_->{check_name} => $_ } $t->rows("SELECT * FROM telehealth.check_platform($account)");
is($check{clock}{status}, 'warning', 'Z7: a clock that differs is told');
is($t->sql("SELECT extract(epoch FROM token_expires_at - connected_at) BETWEEN 3660 AND 3720 FROM telehealth.account WHERE id = $account"),
	't', 'Z6: expiry follows the Date header');
$fake->options(date_skew_s => 0);
$account = $t->connect_zoom($fake);
%check = map { $_->{check_name} => $_ } $t->rows("SELECT * FROM telehealth.check_platform($account)");
is($check{clock}{status}, 'ok', 'Z7: and one that does not');
is(scalar(grep { $_->{status} eq 'error' } values %check), 0, 'the doctor finds no error in a good account')
  or diag explain \%check;
is(scalar(grep { /^scope: / && $check{$_}{status} eq 'ok' } keys %check), 6, 'Z15: each operation has its scope');

# ---- scopes

$fake->options(scopes => [qw(meeting:write:meeting:admin meeting:read:meeting:admin
	meeting:read:list_meetings:admin meeting:delete:meeting:admin user:read:user:admin)]);
$fake->faults({ match => { method => 'PATCH' }, fault => { kind => 'scope_missing', scope => 'meeting:update:meeting:admin' } });
$account = $t->connect_zoom($fake);
%check = map { $_->{check_name} => $_ } $t->rows("SELECT * FROM telehealth.check_platform($account)");
my ($missing) = grep { $check{$_}{status} eq 'error' } keys %check;
is($missing, 'scope: reschedule meetings', 'Z15: the missing scope is told by feature')
  or diag explain \%check;
my ($moved) = visits(4, 1);
my $old = $t->await($moved);
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '20 days' WHERE id = $moved");
ok(drained(), 'Z4: a reschedule without the scope settles');
my $new = $t->await($moved);
isnt($new->{meeting_id}, $old->{meeting_id}, 'Z4: as another meeting');
my @live = map { $_->{id} } grep { $_->{host_email} eq 'host4@clinic.example' } $fake->live_meetings;
is("@live", $new->{meeting_id}, 'Z4: and the former one is gone');
like(status('missing_scope', $account), qr/meeting:update:meeting/, 'Z4: platform_status names the scope');
like($t->sql("SELECT string_agg(result, ' ') FROM telehealth.explain_appointment($moved)"), qr/scope/, 'Z4: the story tells why');

$fake->faults({ match => { method => 'POST', path_regex => '/meetings$' }, fault => { kind => 'scope_missing', scope => 'meeting:write:meeting:admin' } });
my ($never) = visits(4, 1);
ok($t->poll("SELECT count(*) FROM telehealth.job_status WHERE subject_id = $never AND waiting_for = 'scope_missing'", 1, 10),
	'Z15: a create without its scope waits for it');
$t->fails_ok("SELECT telehealth.await_meeting($never, '100 ms')", { sqlstate => '55000', detail => qr/scope/ }, 'and await_meeting says so');
$fake->faults;
$t->sql("SELECT telehealth.retry_job('meeting', $never)");
ok($t->await($never)->{join_url}, 'granted, it goes on');

# ---- credentials

my $bad = $t->connect_zoom($fake, clinic => 5, client_secret => 'wrong');
my $theirs = $t->insert_visit({ clinic => 5 }, starts_at => \"now() + interval '3 hours'");
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id = $theirs AND waiting_for = 'credentials_refused'", 1, 10),
	'wrong credentials make the work wait')
  or diag $t->sql('SELECT * FROM telehealth_private.job');
is(status('status', $bad), 'error', 'and show at the account');
is($t->sql("SELECT reason FROM telehealth.not_ready WHERE appointment_id = $theirs"), 'credentials_refused', 'M6: not_ready names the visit and the reason');
$t->connect_zoom($fake, clinic => 5);
ok($t->await($theirs, clinic => 5)->{join_url}, 'right ones end the wait');

# ---- the day's quota of a host

$account = $t->connect_zoom($fake);
$fake->options(host_daily => 12);
$fake->reset;
my @many = visits(9, 15);
ok($t->poll(q{SELECT count(*) FROM telehealth.job_status WHERE waiting_for = 'quota_until'}, 3, 20), 'Z8: at the limit the rest waits');
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'Z8: and nothing is dead');
is($t->sql(q{SELECT bool_and(due_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 day')
	FROM telehealth.job_status WHERE waiting_for = 'quota_until'}), 't', 'Z8: until the next UTC day');
my $elsewhere = $t->insert_visit(provider_id => 10);
ok($t->await($elsewhere)->{join_url}, 'Z8: another host is not held up');
isnt(status('quota_until', $account), '', 'Z8: platform_status shows it');
$fake->options(host_daily => 100_000);

# ---- the order of waiting work

is($t->sql(q{WITH x AS (SELECT telehealth_private.priority_at(now() + interval '10 minutes', now() + interval '40 minutes', 2) AS near)
	SELECT near FROM x}), 0, 'Z8: a near start outranks all');
is($t->sql(q{SELECT string_agg(DISTINCT priority::text, ',') FROM telehealth_private.job WHERE waiting_for = 'quota_until'}), 1, 'Z8: creates come before changes');

# ---- the learned rate

my $slow = FakeZoom->start(options => { host_daily => 100_000, rate => { LIGHT => 0, MEDIUM => 10 } });
$t->sql("UPDATE telehealth.vendor_limit SET value = 100000 WHERE name = 'host_writes_per_day'");
$pid = $t->dispatcher_pid('postgres');
$t->sql(q{UPDATE telehealth.vendor_limit SET value = 40 WHERE name = 'medium_per_second'});
$t->sql("SELECT pg_terminate_backend($pid)");
$t->wait_dispatcher('postgres', other => $pid);
$t->connect_zoom($slow, clinic => 6, settings => { default_user => 'host1@clinic.example' });
$t->sql(q{INSERT INTO telehealth.appointment (clinic_id, patient_id, provider_id, type, starts_at)
	SELECT 6, n, n, 'VIDEO', '2031-01-01Z' FROM generate_series(1, 150) AS n});
ok($t->poll('SELECT count(*) FROM telehealth.appointment WHERE clinic_id = 6 AND join_url IS NULL', 0, 60),
	'Z9: 150 creates against ten a second all arrive');
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs WHERE clinic_id = 6'), 0, 'Z9: with none given up');

# ---- two databases, one credential

$t->sql('CREATE DATABASE other');
$t->create_extension('other');
$t->connect_zoom($fake, db => 'other');
my $there = $t->insert_visit({ db => 'other' });
$t->await($there, db => 'other');
ok($t->poll(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'credentials' AND status = 'warning'}, 1, 10),
	'Z5: two databases with one credential are warned');

finish;
