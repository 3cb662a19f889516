# The day's writes of a host, and who goes first when they are short.
use TelehealthTest;

# The quotas are of UTC days: do not begin one in the middle.
if ((time % 86400) > 86400 - 120)
{
	plan skip_all => 'the UTC day ends within two minutes';
}

my $fake = FakeZoom->start(
	options => { host_daily => 3, daily_reset_s => 4, rate => { LIGHT => 0, MEDIUM => 0 } });
my $t = TelehealthTest->node('quota');
$t->create_extension;
$t->widen_limits(concurrent_requests => 1, host_writes_per_day => 20);
$t->add_hosts;
my $account = $t->connect_zoom($fake);

# n visits of a provider, the first "in" from now, each of five minutes
sub visits
{
	my ($provider, $n, $in) = @_;
	my $ids = $t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration)
		SELECT n, $provider, 'VIDEO', now() + interval '$in' + interval '5 minutes' * n, 5
		FROM generate_series(1, $n) AS n RETURNING id");
	return split /\n/, $ids;
}

sub waiting
{
	my ($word, $n, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($t->poll("SELECT count(*) FROM telehealth.job_status WHERE waiting_for = '$word'", $n), $name);
}

sub creates { return $fake->count('POST /v2/users/{id}/meetings') }

# ---- Zoom says that the day is over for a host

my @ids = visits(1, 5, '2 days');
waiting('quota_until', 2, 'Z8: at the limit of its host work waits');
is(scalar($fake->live_meetings), 3, 'Z8: what fitted in is there');
my $row = $t->row('SELECT due_at > now() AS is_later, due_at < now() + interval \'8 seconds\' AS is_soon
	FROM telehealth.job_status ORDER BY due_at LIMIT 1');
ok($row->{is_later} && $row->{is_soon}, 'Z8: until the instant that Zoom told');
is($t->sql("SELECT quota_until > now() FROM telehealth.platform_status WHERE account_id = $account"), 't',
	'Z8: platform_status knows it');
is($t->sql("SELECT status FROM telehealth.health WHERE check_name = 'quota'"), 'warning', 'Z8: health warns');
like($t->sql("SELECT string_agg(concat_ws(' ', result, next), E'\n') FROM telehealth.explain_appointment($_)"),
	qr/daily limit/, "Z8: explain_appointment tells it of $_")
  for $t->sql("SELECT min(subject_id) FROM telehealth.job_status WHERE waiting_for = 'quota_until'");
my @others = visits(2, 1, '2 days');
$t->await_ok($others[0], 'Z8: another host goes on');
ok($t->drained, 'Z8: when it is over the rest is made');
is(scalar($fake->live_meetings), 6, 'Z8: all of it, once');
ok($fake->state->{answers}{'POST /v2/users/{id}/meetings 429'} <= 2, 'Z8: one refusal is enough to know');
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'Z8: nothing died of it');
is($t->sql(q{SELECT count(*) FROM telehealth_private.job_history WHERE outcome NOT IN ('ok', 'waiting')}), 0,
	'Z8: and nothing was called a failure');

# ---- we know the limit before Zoom has to say it

$fake->options(host_daily => 0);
@ids = visits(3, 25, '3 days');
waiting('quota_until', 6, 'Z8: our own budget ends before the limit');
is($t->sql("SELECT quota_used ->> 'host3\@clinic.example' FROM telehealth.platform_status"), 19,
	'Z8: with a reserve');
is($t->sql(q{SELECT bool_and(due_at >= (((now() AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'))
	FROM telehealth.job_status WHERE waiting_for = 'quota_until'}), 't', 'Z8: the rest waits for the next UTC day');
my $sent = creates();
my @near = visits(3, 1, '2 minutes');
$t->await_ok($near[0], 'Z8: a near start has the reserve');
is(creates() - $sent, 1, 'Z8: and nobody else');
@near = visits(3, 1, '10 minutes');
waiting('quota_until', 7, 'Z8: the reserve ends too');
$t->fails_ok("SELECT telehealth.await_meeting($near[0], '100 ms')", { sqlstate => '55000', detail => qr/^quota_until/ },
	'Z8: await_meeting tells it');
is($t->sql("SELECT reason FROM telehealth.not_ready WHERE appointment_id = $near[0]"), 'quota_until', 'Z8: not_ready has it');
ok($t->restart_dispatcher, 'a new dispatcher');
$sent = creates();
$t->sql("SELECT telehealth.ensure_meeting($ids[24])");
@others = visits(4, 1, '3 days');
$t->await($others[0]);
waiting('quota_until', 7, 'Z8: has not forgotten the day');
is(creates() - $sent, 1, 'Z8: and sends nothing for that host');
$t->sql("DELETE FROM telehealth.appointment WHERE provider_id = 3");
ok($t->drained, 'Z8: removals are not counted');
is(scalar($fake->live_meetings(3)), 0, 'Z8: they all went through');

# ---- who goes first

# one after the other, so that the order in the fake's log is ours
my @moved = visits(5, 4, '5 days');
$t->await($_) for @moved;
$t->sql("SELECT telehealth.pause_outbound('for the order')");
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '20 days' WHERE provider_id = 5");
# the updates are due before the rest exists
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE due_at <= clock_timestamp()", 4), 'four updates are due');
my @made = visits(6, 4, '6 days');
@near = visits(7, 2, '2 minutes');
my $since = $fake->state->{requests_total};
$t->sql('SELECT telehealth.resume_outbound()');
ok($t->drained, 'they are done');
my $order = join ' ', map { $_->{method} eq 'POST' ? ($_->{path} =~ /host7/ ? 'near' : 'create') : 'update' }
  grep { $_->{method} =~ /^(?:POST|PATCH)$/ } $fake->requests(since => $since);
like($order, qr/^near near (?:create ){4}(?:update ?){4}$/, 'Z8: near starts, then creates, then updates') or diag $order;

# ---- ten edits

$since = $fake->state->{requests_total};
$t->sql(join ";\n", map { "UPDATE telehealth.appointment SET duration = 10 + $_, timezone = 'Europe/Berlin' WHERE id = $made[3]" } 1 .. 10);
ok($t->drained, 'ten edits settle');
my @patches = grep { $_->{method} eq 'PATCH' } $fake->requests(since => $since);
is(scalar(@patches), 1, 'Z8: ten edits are one PATCH');
like($patches[0]{body}, qr/"duration":\s*20\b/, 'Z8: with the last of them');

# Back and forth is nothing to send
$since = $fake->state->{requests_total};
$t->sql("UPDATE telehealth.appointment SET duration = 25 WHERE id = $made[3]; UPDATE telehealth.appointment SET duration = 20 WHERE id = $made[3]");
ok($t->drained, 'an edit and its reverse settle');
is(scalar(grep { $_->{method} eq 'PATCH' } $fake->requests(since => $since)), 0, 'Z8: and cost no write');

finish;
