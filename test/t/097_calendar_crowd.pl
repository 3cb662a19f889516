# One calendar that is throttled for long, and thousands that are due at once,
# some of which never answer: nobody waits for another.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use List::Util qw(max min);
use Time::HiRes qw(time);

my $LONG = $ENV{TELEHEALTH_LONG};
my ($THROTTLED_S, $VISITS, $CROWD) = $LONG ? (300, 20, 10_000) : (8, 20, 300);

# an hour, if somebody has it
$THROTTLED_S = $ENV{TELEHEALTH_THROTTLED_S} // $THROTTLED_S;

my $graph = FakeGraph->start(options => { log_limit => 1_000_000 });
my $google = FakeGoogle->start(options => { refresh_tokens_max => 100_000, log_limit => 1_000_000 });
my $t = TelehealthTest->node('crowd', conf => { 'telehealth.request_timeout_ms' => 2000, shared_buffers => '128MB' });
$t->create_extension;
$t->sql(q{INSERT INTO telehealth.vendor_limit (vendor, name, value)
	SELECT v, n, 1000000 FROM unnest('{google,outlook}'::text[]) AS v, unnest('{requests_per_minute,requests_per_minute_per_calendar}'::text[]) AS n});
$t->sql(sprintf "SELECT telehealth.register_oauth_client('%s', %s::jsonb, %s::jsonb)", @$_[ 0, 1, 2 ])
  for map { my ($kind, $fake, %app) = @$_; [ $kind, literal(\%app), literal({ map { ($_ => $fake->$_) } qw(api_url token_url auth_url) }) ] }
  [ 'google', $google, client_id => 'google-app-1', client_secret => 'google-secret-1' ], [ 'outlook', $graph, client_id => 'app-1', client_secret => 'app-secret-1' ];

sub user { return "user$_[0]\@clinic.example" }

# ---- O4: throttled for long

my %connection;
for my $p (1, 2)
{
	$connection{$p} = $t->sql(sprintf "SELECT telehealth.connect_calendar(%d, 'outlook', %s::jsonb) ->> 'connection_id'",
		$p, literal({ refresh_token => $graph->grant(user => user($p))->{refresh_token} }));
}
ok($t->poll(q{SELECT count(*) FROM telehealth.calendar_connection WHERE status = 'CONNECTED' AND last_sync_at IS NOT NULL}, 2, 30), 'two mailboxes are connected');

sub live { my ($p) = @_; return scalar $graph->live_events(user($p)) }
sub refused { return $graph->throttle(user => user(1), seconds => 0)->{refused} }

my $began = time;
$graph->throttle(user => user(1), seconds => $THROTTLED_S, retry_after => 1);
$t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT 1, p, 'PHONE', date_trunc('hour', now()) + interval '2 days' + n * interval '1 hour' FROM generate_series(1, 2) AS p, generate_series(1, $VISITS) AS n");
ok(patiently(sub { live(2) == $VISITS }, 30), 'W12: the other mailbox has its events');
cmp_ok(time - $began, '<', $THROTTLED_S, 'before the first is let in again');
is(live(1), 0, 'O4: which has none');
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'event'"), $VISITS, 'its work waits');
patiently(sub { time >= $began + $THROTTLED_S }, $THROTTLED_S + 10);
my $calls = refused();
note "$calls calls were refused in $THROTTLED_S s";
cmp_ok($calls, '<', $THROTTLED_S > 60 ? $THROTTLED_S / 10 : $VISITS * 2, 'O4: it was asked seldom, though a second was said each time');
# a pause grows to a quarter of an hour, and what waits comes within a quarter of that behind it
ok(patiently(sub { live(1) == $VISITS }, 1200), 'O4: alone it recovers');
note sprintf '%.1f s after it was let in', time - $began - $THROTTLED_S;
is(join(' ', $graph->duplicates), '', 'nothing is there twice');
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'event'", 0, 30), 'and nothing is left to do');

# ---- Y9, W12: a crowd, a tenth of which hangs

my $token = $google->grant(user => user(1))->{refresh_token};
$google->edit_calendar(create => { id => 'poison@clinic.example', owner => user(1) });
$google->edit_event(calendar => user(1), create => { summary => 'Own', start => { dateTime => '2031-01-01T09:00:00Z' }, end => { dateTime => '2031-01-01T10:00:00Z' } });
$began = time;
$t->sql(sprintf q{SELECT count(telehealth.connect_calendar(1000 + n, 'google', %s::jsonb || CASE WHEN n %% 10 = 0 THEN '{"calendar_id": "poison@clinic.example"}' ELSE '{}' END::jsonb))
	FROM generate_series(1, %d) AS n}, literal({ refresh_token => $token, sync_direction => 'pull' }), $CROWD);
ok($t->poll(q{SELECT count(*) FROM telehealth.calendar_connection WHERE kind = 'google' AND last_sync_at IS NULL}, 0, 120 + $CROWD / 20), "$CROWD calendars are connected and read");
note sprintf 'in %.1f s', time - $began;

# all of them due in the same instant
$google->faults({ match => { path_regex => 'poison' }, fault => { kind => 'hang' } });
my $google_rows = q{FROM telehealth.calendar_connection AS x WHERE x.kind = 'google'};
my $hung = "SELECT count(*) $google_rows AND x.calendar_id = 'poison\@clinic.example'";
my $since;

sub all_due
{
	$since = $t->sql('SELECT clock_timestamp()');
	$began = time;
	return $t->sql("SELECT telehealth_private.mark('pull', array_agg(x.clinic_id), array_agg(x.id), 3), telehealth_private.wake() $google_rows");
}

sub all_are_read
{
	my ($name, $look) = @_;
	my $late = "SELECT count(*) $google_rows AND x.calendar_id IS DISTINCT FROM 'poison\@clinic.example' AND x.last_sync_at < '$since'";

	ok(patiently(sub { $look->() if $look; return $t->sql($late) == 0 }, 60 + $CROWD / 20), $name)
	  or diag explain [ $t->rows('SELECT kind, count(*), max(failures) AS failures, max(waiting_for) AS waits, max(last_error) AS error FROM telehealth_private.job GROUP BY kind') ];
	return note sprintf 'in %.1f s', time - $began;
}

all_due();
all_are_read('Y9: every calendar that answers was read again');
is($t->sql("$hung AND x.last_sync_at >= '$since'"), 0, 'while those that hang were not');

# a visit meanwhile is not late
my $visit = $t->insert_visit(type => 'PHONE', provider_id => 2);
$began = time;
ok(patiently(sub { live(2) == $VISITS + 1 }, 20), 'W12: a visit comes into another calendar');
cmp_ok(time - $began, '<', 10, 'soon');

# each has hung once: from now on they share a quarter of the host's 16 places, and say nothing of the host
ok($t->poll("$hung AND NOT EXISTS (SELECT FROM telehealth_private.job AS j WHERE j.kind = 'pull' AND j.subject_id = x.id AND j.failures > 0)", 0, 60 + $CROWD / 20),
	'all that hang have been tried');
my ($most, $shunned, @last) = (0, 0);
all_due();
all_are_read('Y9: and again',
	sub {
		# one that has just been given up may still be counted
		push @last, $google->state->{hanging};
		$most = max($most, min(@last[ -3 .. -1 ])) if @last >= 3;
		$shunned += $t->sql("SELECT count(*) $google_rows AND x.calendar_id IS DISTINCT FROM 'poison\@clinic.example'
			AND EXISTS (SELECT FROM telehealth_private.job AS j WHERE j.kind = 'pull' AND j.subject_id = x.id AND j.failures = 0 AND j.waiting_for = 'calendar_unreachable')");
	});
cmp_ok($most, '<=', 4, 'W12: those that hang take a quarter of the places at most');
is($shunned, 0, 'W12: and nobody else was put off for them');
my $tries = () = $google->requests(path_regex => 'poison');
ok(patiently(sub { my $n = () = $google->requests(path_regex => 'poison'); return $n > $tries }, 60), 'though they are tried again');

$google->faults;
$google->release(cut => 1);
ok($t->poll("SELECT count(*) $google_rows AND x.last_sync_at < '$since'", 0, 180), 'Y9: in the end all were read');
is($t->sql('SELECT count(*) FROM telehealth_private.job WHERE dead_at IS NOT NULL'), 0, 'nothing is given up');

finish;
