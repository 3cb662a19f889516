# Many visits, a vendor that lies and breaks, a worker that is killed: in the
# end the outside world is exactly what the tables say.
use TelehealthTest;

my $VISITS = 500;
my $KILLS  = 5;

# Each of them halves the rate of calls.
my $TOO_FAST_TIMES = 8;
srand 20261121;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('storm',
	conf => {
		'telehealth.request_timeout_ms' => 3000,
		'telehealth.max_attempts' => 20,
		'telehealth.lease_seconds' => 10,
	});
$t->create_extension;
$t->widen_limits(concurrent_requests => 50);
$t->add_hosts(50);
$t->connect_zoom($fake);

my %TOO_FAST = (
	code => 429,
	headers => { 'X-RateLimit-Type' => 'QPS', 'Retry-After' => 1 },
	body => '{"code":429,"message":"You have reached the maximum per-second rate limit for this API."}');

# 15 % slow answers, 20 % lost ones, 10 % errors of several kinds, the whole
# second refused now and then; tokens are revoked in between.
sub storm
{
	$fake->faults(
		(map { { match => { path_regex => '/meetings', probability => 0.03, seed => 10 + $_ },
			fault => { kind => 'delay', ms => 100 * $_ } } } 1 .. 5),
		{ match => { path_regex => '/meetings', probability => 0.02, seed => 6, times => $TOO_FAST_TIMES },
			fault => { kind => 'status', %TOO_FAST } },
		{ match => { path_regex => '/meetings', probability => 0.20, seed => 1 },
			fault => { kind => 'cut_after' } },
		{ match => { path_regex => '/meetings', probability => 0.04, seed => 2 },
			fault => { kind => 'status', code => 500, body => '{"code":500,"message":"x"}' } },
		{ match => { path_regex => '/meetings', probability => 0.03, seed => 3 },
			fault => { kind => 'status', code => 503, body => '' } },
		{ match => { path_regex => '/meetings', probability => 0.02, seed => 4 },
			fault => { kind => 'cut_before' } },
		{ match => { path_regex => '/meetings', probability => 0.01, seed => 5 },
			fault => { kind => 'wrong_body', variant => 'truncated' } });
}

# The storm goes on; what waits long is tried again as an operator would.
sub quiet
{
	my ($name, $seconds) = @_;

	ok(patiently(sub {
		$t->sql(q{SELECT telehealth.retry_job(kind, subject_id)
			FROM telehealth.job_status WHERE due_at > now() + interval '1 second' AND failures > 2});
		return $t->sql('SELECT count(*) FROM telehealth_private.job') == 0;
	}, $seconds), $name)
	  or diag $t->sql('SELECT * FROM telehealth_private.job LIMIT 10');
}

# Each kind of fault was met.
sub weathered
{
	my ($name) = @_;
	my @unmet = map { $_->{kind} } grep { !$_->{fired} } @{ $fake->state->{rules} };

	is("@unmet", '', "$name: slow answers, lost ones, errors and refusals all came");
}

# The fake's live meetings by id.
sub remote
{
	return { map { ($_->{id} => $_) } $fake->live_meetings };
}

# Every live meeting is one visit's, every wanted visit has one, at its time.
sub compare
{
	my ($name) = @_;
	my $live = remote();
	my @rows = $t->rows(q{
		SELECT a.id, a.meeting_id, extract(epoch FROM a.starts_at)::bigint AS start, a.join_url
		FROM telehealth.appointment AS a
		WHERE a.type = 'VIDEO' AND a.status = 'SCHEDULED' ORDER BY a.id});
	my (@missing, @wrong);

	for my $row (@rows)
	{
		my ($id, $meeting, $start, $url) = @$row{qw(id meeting_id start join_url)};
		my $remote = delete $live->{ $meeting // '' };

		if (!$remote) { push @missing, $id; next }
		push @wrong, $id
		  if $remote->{start_epoch} != $start || $url !~ m{/j/$meeting\?};
	}
	is("@missing", '', "$name: every visit has its live meeting");
	is("@wrong", '', "$name: at its time, with its link");
	is(join(' ', sort keys %$live), '', "$name: no live meeting without a visit");
	is(join(' ', $fake->duplicates), '', "$name: no marker lives twice");
}

storm();
$t->sql(qq{
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT n, n % 50 + 1, 'VIDEO',
		date_trunc('day', now()) + interval '2 days' + n / 50 * interval '1 hour'
	FROM generate_series(1, $VISITS) AS n});
for my $kill (1 .. $KILLS)
{
	my $made = int($VISITS * $kill / ($KILLS + 2));

	$fake->wait_for(sub { grep({ !$_->{deleted} } @{ $_[0]{meetings} }) >= $made }, 30);
	$fake->revoke_tokens if $kill % 2;
	$t->kill9_and_wait_recovery('dispatcher');
}
quiet('storm: the queue drains', 90);
weathered('storm');
compare('Z1, W2, W22: 500 visits, 20 % lost answers, 10 % errors, 5 kills');
is($t->sql('SELECT count(*) FROM telehealth_private.job WHERE dead_at IS NOT NULL'),
	0, 'W3: nothing is given up');
is($t->sql(q{SELECT count(*) FROM telehealth.session WHERE intent IS NOT NULL
	OR retired_at IS NOT NULL}), 0, 'no doubt and no tombstone is left');

# The same weather over random edits.
my @ids = map { $_->{id} } $t->rows('SELECT id FROM telehealth.appointment ORDER BY id');
for my $n (1 .. 100)
{
	my $id = $ids[ rand @ids ];
	my @edit = (
		"UPDATE telehealth.appointment SET starts_at = starts_at + interval '60 days' * (1 + random() * 8)::int WHERE id = $id",
		"UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $id",
		"UPDATE telehealth.appointment SET status = 'SCHEDULED', starts_at = '2030-01-01Z'::timestamptz + $n * interval '1 day' WHERE id = $id",
		"UPDATE telehealth.appointment SET type = 'IN_PERSON' WHERE id = $id",
		"UPDATE telehealth.appointment SET type = 'VIDEO', starts_at = '2031-01-01Z'::timestamptz + $n * interval '1 day' WHERE id = $id",
		"UPDATE telehealth.appointment SET patient_id = patient_id + 1000 WHERE id = $id",
		"UPDATE telehealth.appointment SET provider_id = provider_id % 50 + 1, starts_at = '2032-01-01Z'::timestamptz + $n * interval '1 day' WHERE id = $id",
		"DELETE FROM telehealth.appointment WHERE id = $id",
	);

	$t->sql("DO \$\$ BEGIN $edit[rand @edit]; EXCEPTION WHEN exclusion_violation THEN NULL; END \$\$");
	$t->kill9_and_wait_recovery('dispatcher') if $n == 50;
}
quiet('edits: the queue drains', 90);
weathered('edits');
compare('Z2, Z3: 100 random edits in the same weather, one kill');
is($t->sql('SELECT count(*) FROM telehealth.orphan_meetings'), 0, 'Z2: no orphan is left');

finish;
