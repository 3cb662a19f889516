# A backlog beyond what an account may be asked for: spread without being
# claimed, and nobody else waits behind it.
use TelehealthTest;

my $N = 4000;
my $fake = FakeZoom->start(options => { host_daily => 0, rate => { LIGHT => 0, MEDIUM => 0 } });
my $t = TelehealthTest->node('backlog');
$t->create_extension;
$t->widen_limits(medium_per_second => 10, concurrent_requests => 2);
$t->connect_zoom($fake);
my $own = $t->connect_zoom($fake, clinic => 2);
$t->sql(q{INSERT INTO telehealth.clinic (id, name, platform, fallback_platforms) VALUES (3, 'Third', 'zoom', '{mock}'), (4, 'Fourth', 'mock', '{}')});
$t->insert_visit(provider_id => 1);
ok($t->drained(20), 'the account is known');

# ---- spread

$t->sql(qq{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT n, 100 + n, 'VIDEO', '2031-03-01Z' FROM generate_series(1, $N) AS n});
ok($t->poll(qq{SELECT count(*) > $N - 200 FROM telehealth_private.job WHERE waiting_for = 'waiting_for_place'}, 't', 30), 'W13: a backlog is sent back');
ok($t->sql(q{SELECT count(*) FROM telehealth_private.job WHERE claim_no = 0 AND waiting_for = 'waiting_for_place'}) > $N / 2,
	'W13: most of it without a claim');
# one that is in work has an attempt
is($t->sql(q{SELECT count(*) FROM telehealth_private.job WHERE waiting_for = 'waiting_for_place' AND (failures > 0 OR attempts > 1 OR last_error IS NOT NULL)}),
	0, 'W13: which is no failure');
ok($t->sql(qq{SELECT max(due_at) - min(due_at) > interval '$N seconds' / 10 * 0.8 FROM telehealth_private.job WHERE waiting_for = 'waiting_for_place'}) eq 't',
	'Z9: along the rate');

# ---- nobody else waits

my $other = $t->insert_visit({ clinic => 2 }, provider_id => 1);
my $fallback = $t->insert_visit({ clinic => 3 }, provider_id => 1);
my $mock = $t->insert_visit({ clinic => 4 }, provider_id => 1);
my $near = $t->insert_visit(provider_id => 2, starts_at => \"now() + interval '5 minutes'");
for my $visit ([ $other, 'of another account' ], [ $mock, 'of another platform' ], [ $near, 'that starts soon' ])
{
	ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $visit->[0]", 't', 10),
		"W12: a visit $visit->[1] gets its link beside the backlog");
}

# ---- what is put off keeps its place in the world

my $moved = $t->sql(q{SELECT max(subject_id) FROM telehealth_private.job WHERE waiting_for = 'waiting_for_place'});
$t->sql("UPDATE telehealth.appointment SET starts_at = now() + interval '5 minutes' WHERE id = $moved");
ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $moved", 't', 10), 'W13: moved to soon, it is made at once');
my $soon = $t->insert_visit(provider_id => 3, starts_at => \"now() + interval '15 minutes 3 seconds'");
ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $soon", 't', 20), 'W13: what comes near leaves the line');
$t->sql("DELETE FROM telehealth.appointment WHERE starts_at = '2031-03-01Z' AND join_url IS NULL AND id % 50 <> 0");
ok($t->poll(q{SELECT count(*) < 200 FROM telehealth_private.job}, 't', 30), 'W13: visits that go leave it too');
$t->sql("UPDATE telehealth.vendor_limit SET value = 2000 WHERE name = 'medium_per_second'");
$t->restart_dispatcher;
$t->sql(q{UPDATE telehealth_private.job SET due_at = now() WHERE due_at < 'infinity'});
ok($t->drained(40), 'W13: and in the end there is no line');
is($t->sql('SELECT count(*) FROM telehealth.appointment WHERE join_url IS NULL'), 0, 'Z1: every visit has its meeting');
is(scalar($fake->live_meetings), $t->sql(q{SELECT count(*) FROM telehealth.session WHERE platform = 'zoom' AND retired_at IS NULL}), 'Z1: one each');

finish;
