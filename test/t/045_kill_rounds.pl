# The dispatcher or the server ends at a random step of random edits, again and
# again, while the vendor is quick or slow: nothing is lost, nothing is twice.
#
# TELEHEALTH_LONG=1 runs 200 rounds instead of 20; TELEHEALTH_SEED repeats those
# of another run.
use TelehealthTest;
use Survival;
use Time::HiRes qw(time);

my $LEASE_S = 2;
my $ROUNDS = $ENV{TELEHEALTH_LONG} ? 200 : 20;
my $SEED = $ENV{TELEHEALTH_SEED} // int rand 1_000_000;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('kill_rounds',
	conf => {
		'telehealth.request_timeout_ms' => 500,
		'telehealth.lease_seconds' => $LEASE_S,
	});
if (!$t->is_debug)
{
	plan skip_all => 'needs a build with TH_DEBUG=1';
}
$t->create_extension;
$t->widen_limits;
$t->add_hosts(20);
$t->connect_zoom($fake);

diag "random rounds: TELEHEALTH_SEED=$SEED" . ($ENV{TELEHEALTH_LONG} ? ' TELEHEALTH_LONG=1' : '');
srand $SEED;
edit_visits($t, 10, 0, 0);
settled_ok($t, $fake, 'visits to change are there');
for my $round (1 .. $ROUNDS)
{
	my @steps = (undef, steps());
	my @ends = ends();
	my $how = $ends[ rand @ends ];
	my $step = $steps[ rand @steps ];
	my @edits = map { int rand 4 } 1 .. 3;
	my $delay_s = rand 0.2;
	my $slow_ms = (0, 0, 20, 100)[ rand 4 ];

	$edits[0] ||= 1;
	my $what = sprintf 'round %d of %d: %s %s, %d+%d+%d edits, %d ms', $round, $SEED, $how,
	  $step ? "when $step->[2]" : sprintf('after %.3f s', $delay_s), @edits, $slow_ms;

	$fake->options(latency_ms => $slow_ms);
	stand_by($t) if !is_cutting($how);
	if ($step)
	{
		hold_at($t, $step, sub { edit_visits($t, @edits) }) or fail("held: $what");
	}
	else
	{
		my $began = time;

		edit_visits($t, @edits);
		patiently(sub { time - $began > $delay_s }, 5);
	}
	# a lease, what a doubtful create waits, and a turn
	end_ok($t, $fake, $how, $what, $LEASE_S + 4);
	go_away();
}
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'W2: no job is dead');
is($t->sql('SELECT count(*) FROM telehealth.session WHERE intent IS NOT NULL'), 0, 'W22: no doubt is left');

finish;
