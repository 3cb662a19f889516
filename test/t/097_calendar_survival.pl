# Whatever ends the dispatcher or the server, at whatever step of the work on
# calendars: one event a visit and calendar, none left of what is gone, busy
# times and cursors as they are there. Pulls that meet pushes are in
# 097_calendar_meet.pl; the vendor having a request of every kind and no
# answer given, in 099_calendar_unanswered.pl.
use TelehealthTest;
use Survival;
use FakeGoogle;
use FakeGraph;
use CalendarSides;

my $google = FakeGoogle->start(options => CalendarSides::google_options(3));
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('calkill',
	conf => { 'telehealth.request_timeout_ms' => 500, 'telehealth.lease_seconds' => 2 });
plan skip_all => 'needs a build with TH_DEBUG=1' if !$t->is_debug;
$t->create_extension;
$t->widen_calendar_limits($_, page_size => 10) for qw(google outlook);

my $sides = CalendarSides->new($t, google => $google, outlook => $graph);
my @ids = map { $sides->connect($_, 1) } qw(google outlook);
$t->insert_visit(type => 'PHONE') for 1 .. 24;
$sides->equal_ok('both calendars have the visits');

# A visit is made, one is moved, one is cancelled, one is deleted; both users
# have one more event of their own, and both are asked for; no token is good
my $n = 0;
sub edit
{
	my $some = "SELECT id FROM telehealth.appointment WHERE status = 'SCHEDULED' ORDER BY md5(id || ' $n')";

	$n++;
	$sides->own($_, 1, 1000 + $n) for qw(google outlook);
	$_->revoke_tokens for $google, $graph;
	$t->sql("BEGIN;
		UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 year' WHERE id IN ($some LIMIT 1);
		UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id IN ($some LIMIT 1);
		DELETE FROM telehealth.appointment WHERE id IN ($some LIMIT 1);
		INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 1, 'PHONE', date_trunc('hour', now()) + interval '400 days $n hours');
		SELECT telehealth_private.mark('pull', ARRAY[1::bigint, 1], ARRAY[$ids[0]\::bigint, $ids[1]], 2), telehealth_private.wake();
		COMMIT");
	return;
}

# The server dies too, now and then; else the dispatcher alone, which the
# server takes for a crash
my @hows = ('kill -9 of the dispatcher', 'kill -9 of the postmaster');
for my $step (steps())
{
	my $how = $hows[ $n % 2 ];
	my $what = "$how when $step->[2]";
	my $created = $google->count('insert') + $graph->count('POST events');

	ok(hold_at($t, $step, \&edit), "held: $what");
	end_it($t, $how);
	ok($t->wait_dispatcher, "W6: $what: there is another dispatcher");
	$sides->equal_ok("W2, Z1, O5: $what: one event a visit and calendar, nothing left, nothing missed");
	cmp_ok($google->count('insert') + $graph->count('POST events') - $created, '<=', 4, "W22: $what: no create without a reason");
}

finish;
