# Calendars that hang for the first time: nobody knows it yet, and still a
# visit's event is not late, at that host or at another.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use CalendarSides;

my ($HUNG, $PLACES) = (40, 6);
my $google = FakeGoogle->start(options => { %{ CalendarSides::google_options(4) }, refresh_tokens_max => 1000 });
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('kept',
	conf => { 'telehealth.max_connections_per_host' => $PLACES, 'telehealth.batch_size' => 10, 'telehealth.request_timeout_ms' => 60_000 });
$t->create_extension;
$t->widen_calendar_limits($_, concurrent_requests => 100, concurrent_requests_per_calendar => 2) for qw(google outlook);
my $own = $t->connect_google($google, provider => 1);
$t->connect_outlook($graph, provider => 2);
my $token = $google->grant(user => CalendarSides::user(3))->{refresh_token};
$t->sql("SELECT count(telehealth.connect_calendar(100 + n, 'google', " . literal({ refresh_token => $token, sync_direction => 'pull' }) . ")) FROM generate_series(1, $HUNG) AS n");
ok($t->poll(q{SELECT count(*) FROM telehealth.calendar_connection WHERE status = 'CONNECTED' AND last_sync_at IS NOT NULL}, $HUNG + 2, 60), 'calendars are connected and read');
ok($t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE attempts > 0 OR due_at < now()}, 0, 30), 'nothing is under way');

sub timeouts { return $t->sql(q{SELECT count(*) FROM telehealth_private.job_history WHERE message LIKE 'timeout%'}) }
sub live { my ($n) = @_; return scalar($n == 1 ? $google->live_events(CalendarSides::user(1)) : $graph->live_events) }

# All pulls of Google's at once, in that class of the queue
sub pull_all
{
	my ($priority) = @_;
	return $t->sql("SELECT telehealth_private.mark('pull', array_agg(clinic_id), array_agg(id), $priority), telehealth_private.wake() FROM telehealth.calendar_connection WHERE kind = 'google'");
}

my $timeouts = timeouts();
for my $case ([ 'in the background', 3 ], [ 'that vendors told of', 2 ])
{
	my ($how, $priority) = @$case;
	my @before = map { live($_) } 1, 2;

	$google->faults({ match => { method => 'GET', path_regex => '/events$' }, fault => { kind => 'hang' } });
	pull_all($priority);
	ok($google->wait_for(sub { ($_[0]{hanging} // 0) >= $PLACES - 2 }, 30), "pulls $how hang");
	$t->insert_visit(type => 'PHONE', provider_id => $_) for 1, 2;
	ok(patiently(sub { live(2) == $before[1] + 1 }, 30), "W12: a visit's event comes to another host meanwhile ($how)");
	ok(patiently(sub { live(1) == $before[0] + 1 }, 30), "W12: and to that host ($how)");
	is($google->state->{hanging}, $PLACES - 2, 'W12: they leave two places of the host to events');
	is(timeouts(), $timeouts, '… and none has timed out');
	$google->faults;
	$google->release;
	ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'pull' AND (attempts > 0 OR due_at < now() + interval '1 minute')", 0, 60), 'Y9: then all are read');
}

# ---- the places of all hosts together

$t->sql(q{INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('caldav', 'concurrent_requests', 100)});
$t->reload_conf('telehealth.max_connections_per_host' => 100, 'telehealth.batch_size' => 100);
$t->set_conf('telehealth.max_connections' => 8);
$t->restart;
$t->wait_dispatcher;
$google->faults({ match => { method => 'GET', path_regex => '/events$' }, fault => { kind => 'hang' } });
pull_all(3);
ok($google->wait_for(sub { ($_[0]{hanging} // 0) >= 6 }, 30), 'pulls take what the dispatcher has of places');
my $live = live(2);
$t->insert_visit(type => 'PHONE', provider_id => 2);
ok(patiently(sub { live(2) == $live + 1 }, 30), 'W12: but for two, so that a visit\'s event comes');
is($google->state->{hanging}, 6, '… while they hang');
is(timeouts(), $timeouts, '… and none has timed out');
$google->faults;
$google->release;
finish;
