# A rate that is lower than the vendor says is learned, and costs no visit.
use TelehealthTest;
use Time::HiRes ();

my $N = 200;
my $fake = FakeZoom->start(options => { host_daily => 0, rate => { LIGHT => 0, MEDIUM => 10 } });
my $t = TelehealthTest->node('rate');
$t->create_extension;
$t->sql(q{
	INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'host_writes_per_day', 100000);
});
$t->connect_zoom($fake);

my $start = Time::HiRes::time();
$t->sql(qq{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT n, n, 'VIDEO', '2031-01-01Z' FROM generate_series(1, $N) AS n});
ok($t->poll('SELECT count(*) FROM telehealth.appointment WHERE join_url IS NULL', 0, 120),
	"Z9: $N creates against ten a second all arrive");
my $seconds = Time::HiRes::time() - $start;
my $refused = $fake->state->{answers}{'POST /v2/users/{id}/meetings 429'} // 0;
note sprintf '%.1f s, %d refusals', $seconds, $refused;
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'Z9: none is given up');
is(scalar($fake->live_meetings), $N, 'Z9: each once');
ok($refused > 0, 'Z9: Zoom did refuse');
ok($refused < $N / 3, 'Z9: the rate is learned from few refusals') or diag $refused;
ok($seconds < $N / 10 * 3, 'Z9: and used') or diag $seconds;

# ---- a limit that the clinic sets is heeded without a restart

$fake->options(rate => { LIGHT => 0, MEDIUM => 0 });
$t->sql(q{INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'medium_per_second', 2)});
my $took = 0;
for (my $day = 2; $took < 1.5 && $day < 28; $day++)
{
	my $since = Time::HiRes::time();
	$t->sql(qq{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
		SELECT n, n, 'VIDEO', make_timestamptz(2031, 1, $day, 0, 0, 0, 'UTC') FROM generate_series(1, 6) AS n});
	$t->poll('SELECT count(*) FROM telehealth.appointment WHERE join_url IS NULL', 0, 30);
	$took = Time::HiRes::time() - $since;
}
ok($took >= 1.5, 'Z9: six creates at two a second take their time') or diag $took;

# ---- W13: a refusal puts a visit that starts soon behind no backlog

$t->sql(q{UPDATE telehealth.vendor_limit SET value = 10 WHERE name = 'medium_per_second'});
$t->sql(q{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT n, 1000 + n, 'VIDEO', '2031-03-01Z' FROM generate_series(1, 2000) AS n});
ok($t->poll(q{SELECT count(*) > 1500 FROM telehealth_private.job
	WHERE due_at > now() + interval '2 seconds'}, 't', 30), 'a backlog is spread over minutes');
$t->sql(q{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT n, 4000 + n, 'VIDEO', now() + interval '15 minutes 3 seconds' FROM generate_series(1, 8) AS n});
ok($t->poll('SELECT count(*) FROM telehealth.appointment WHERE provider_id > 4000 AND join_url IS NULL', 0, 45),
	'W13: what comes near does not stay behind a backlog');
ok($t->poll(q{SELECT count(*) > 500 FROM telehealth_private.job WHERE due_at > now() + interval '2 seconds'}, 't', 1), 'of which much is left');
$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
	fault => { kind => 'status', code => 429, headers => { 'Retry-After' => 5 },
		body => { code => 429, message => 'rate limit' } } });
ok($t->poll(q{SELECT count(*) > 0 FROM telehealth_private.job WHERE waiting_for = 'rate_limited'},
	't', 20), 'Zoom refuses for five seconds');
my $near = $t->insert_visit(provider_id => 900, starts_at => \"now() + interval '5 minutes'");
ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $near", 't', 20),
	'W13: the visit that starts soon gets its link right after them');

finish;
