# What answers hold is gone from the dispatcher's memory once it was used, and
# what requests hold from the gateway's.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use HttpClient qw(connected http);
use ProcessMemory qw(copies);

plan skip_all => 'sanitizers and valgrind keep what was freed' if $ENV{TELEHEALTH_WATCHED};

my $fake = FakeZoom->start;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('wiped', conf => { 'telehealth.http_port' => $port });
$t->create_extension;
$t->connect_zoom($fake);

# What stands beside a secret in an answer is parsed and copied like it
my ($beside_token, $beside_meeting, $passcode, $link) = ('beside-the-token-7391', 'beside-the-meeting-7391', 'code7391', 'start-7391');
$fake->faults(
	{ match => { path_regex => '/oauth/token' }, fault => { kind => 'alter', set => { note => $beside_token } } },
	{ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'hang' } },
	{ match => { path_regex => '/meetings' }, fault => { kind => 'alter', set => { note => $beside_meeting, password => $passcode, start_url => "https://zoom.example/s/1?zak=$passcode$link" } } });
my $visit = $t->insert_visit;
$fake->wait_for(sub { ($_[0]{hanging} // 0) >= 1 }, 20);
my $pid = $t->dispatcher_pid;

SKIP:
{
	skip 'the memory of the dispatcher cannot be read here', 10 if !defined copies($pid, 'x');
	cmp_ok(copies($pid, 'secret-1'), '>', 0, 'secrets in use are there to be found');
	is(copies($pid, $beside_token), 0, 'S1: nothing is left of the answer with the token');
	$fake->release;
	$t->await($visit);
	ok($t->drained, 'the meeting is made');
	is(copies($pid, $beside_meeting), 0, 'S1: nothing is left of the answer with the meeting');
	is(copies($pid, $passcode), 0, 'S1: nor of its passcode');
	like($t->sql("SELECT telehealth.host_start_url($visit)"), qr/$link$/, 'a start link is handed out');
	is(copies($pid, $link, 's'), 0, 'S1: and nothing is left of it where processes share it');
	$fake->faults;
	$t->await($t->insert_visit);
	is(copies($pid, $passcode), 0, 'S1: nor of the start link');

	# a token that is used once, refused and replaced
	my $token = 'token-7391-that-is-refused';
	$fake->faults({ match => { path_regex => '/oauth/token', times => 1 }, fault => { kind => 'alter', set => { access_token => $token } } });
	$fake->revoke_tokens;
	$visit = $t->insert_visit;
	$t->await($visit);
	ok($t->drained, 'with another token the meeting is made');
	is(copies($pid, $token), 0, 'S1: nothing is left of a token that was replaced');
}

# ---- S1: grants of calendars

my %calendar = (google => FakeGoogle->start, outlook => FakeGraph->start);
for my $kind (sort keys %calendar)
{
	my $beside = "beside-the-grant-of-$kind-7391";
	my $connect = "connect_$kind";

	$calendar{$kind}->faults({ match => { path_regex => '/token$' }, fault => { kind => 'alter', set => { note => $beside } } });
	my $connection = $t->$connect($calendar{$kind});
	ok($t->poll("SELECT last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $connection", 't', 20), "$kind: a calendar was read with a new token");
	$pid = $t->dispatcher_pid;
  SKIP:
	{
		skip 'the memory of the dispatcher cannot be read here', 1 if !defined copies($pid, 'x');
		is(copies($pid, $beside), 0, "S1: nothing is left of the answer with the token ($kind)");
	}
}

# ---- S1: who was at the gateway has left nothing there

ok($t->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway'}, 'ok', 20), 'the gateway listens');
$pid = $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
SKIP:
{
	skip 'the memory of the gateway cannot be read here', 6 if !defined copies($pid, 'x');
	my $socket = connected($port);
	syswrite $socket, "POST /zoom_events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf-a-body-7391";
	ok(patiently(sub { copies($pid, 'half-a-body-7391') }, 10), 'what is being read is there to be found');
	close $socket;
	http($port, 'GET', '/api/calendar/ical/feed-token-7391', close => 1);
	http($port, 'GET', '/api/zoom/callback?state=vendor-state-7391&code=vendor-code-7391', close => 1);
	http($port, 'POST', '/zoom_events/events', close => 1, headers => [ 'x-zm-signature' => 'header-7391' ], body => '{"event": "body-7391"}');
	my %what = ('the half that was read of a body' => 'half-a-body-7391', 'a token' => 'feed-token-7391', "a vendor's code" => '-code-7391', 'a header' => 'header-7391', 'a body' => ' "body-7391');
	ok(patiently(sub { !copies($pid, $what{$_}) }, 20), "S1: nothing is left of $_") for sort keys %what;
}

finish;
