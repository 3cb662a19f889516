# Visits in Outlook's calendars by Microsoft Graph: what is shown, how it
# follows, and that a mailbox that throttles loses nothing.
use TelehealthTest;
use FakeGraph;
use Mojo::JSON qw(decode_json);

my $fake = FakeGraph->start(options => { canaries => ['Canary'] });
my $t = TelehealthTest->node('graph',
	conf => { 'telehealth.request_timeout_ms' => 500, 'telehealth.lease_seconds' => 5, 'telehealth.poll_interval_ms' => 100 });
$t->create_extension;
$t->widen_calendar_limits('outlook');
$t->sql("INSERT INTO telehealth.provider (id, timezone) VALUES (1, 'Europe/Berlin'), (2, 'America/New_York'), (3, 'Asia/Kolkata')");

sub mailbox { return "user$_[0]\@clinic.example" }

sub calm
{
	my ($name) = @_;

	return ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill', 'provider', 'clinic', 'patient')",
			0, 60), $name // 'all is done')
	  || do { diag explain [ $t->rows('SELECT * FROM telehealth_private.job LIMIT 5') ]; die "not calm\n" };
}

# The one live event of a visit in a mailbox
sub event
{
	my ($visit, $user) = @_;
	my @live = grep { my $e = $_; grep { /^th-[0-9a-f]{32}-1-\d+-$visit$/ } values %{ $e->{properties} } }
	  $fake->live_events($user // mailbox(1));

	return @live == 1 ? $live[0] : undef;
}

sub phone { return $t->insert_visit(type => 'PHONE', @_) }
sub calls { my (%q) = @_; return scalar $fake->requests(%q) }
sub creates { return calls(method => 'POST', path_regex => '/events$') }
my $connection = $t->connect_outlook($fake);

# ---- what is shown

my $visit = phone(title => 'Canary title', reason => 'Canary reason', location => 'Canary room', starts_at => '2031-03-10 13:30:00Z', duration => 45);
calm;
my $event = event($visit);
ok($event, 'a visit is in the calendar') or diag explain [ $fake->events ];
my ($create) = map { decode_json($_->{body}) } $fake->requests(method => 'POST', path_regex => '/events$');
is("$create->{subject}: $create->{start}{dateTime} $create->{start}{timeZone}", 'Phone appointment: 2031-03-10T14:30:00 Europe/Berlin',
	'O8: in the clinician\'s zone, by its name and without an offset');
is("$create->{sensitivity} $create->{showAs}", 'private busy', 'P1: for nobody else');
ok(!$create->{attendees} && !$create->{isOnlineMeeting}, 'O9, Y6: nobody is invited, no online meeting begun');
like($create->{transactionId}, qr/^[0-9a-f]{32}$/, 'O5: with a transaction of ours');
is(scalar(grep { ($_->{headers}{prefer} // $_->{headers}{Prefer} // '') !~ /IdType="ImmutableId"/ } $fake->requests(path_regex => '^/v1.0/')), 0,
	'O6: immutable ids are asked for on every call');

# ---- the clock

$t->connect_outlook($fake, provider => $_, user => mailbox($_)) for 2, 3;
my @clock;
for my $provider (1 .. 3)
{
	for my $at ('2031-03-30 00:30Z', '2031-03-30 01:30Z', '2031-10-26 00:30Z', '2031-10-26 01:30Z', '2031-03-09 06:30Z', '2031-03-09 07:30Z',
		'2031-11-02 05:30Z', '2031-11-02 06:30Z')
	{
		push @clock, [ phone(provider_id => $provider, starts_at => $at), $provider, $at ];
	}
}
calm;
is(scalar(grep { my ($id, $p, $at) = @$_; my $e = event($id, mailbox($p));
		$e && $t->sql("SELECT timestamptz '$at' = timestamptz '$e->{start}' AND timestamptz '$at' + interval '30 min' = timestamptz '$e->{end}'") eq 't' } @clock),
	scalar @clock, 'T1: around every change of clocks the instant is right');

# ---- it follows

my $before = calls(method => 'PATCH');
$t->sql(join ";", "BEGIN", (map { "UPDATE telehealth.appointment SET duration = $_ WHERE id = $visit" } 20 .. 29), "COMMIT");
calm;
is(calls(method => 'PATCH') - $before, 1, 'Z8: ten edits are one call');
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $visit");
calm;
ok(!event($visit), 'a cancelled visit goes');
$t->sql("UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE id = $visit");
calm;
ok(event($visit), 'and comes back');
$t->sql("UPDATE telehealth.appointment SET provider_id = 2 WHERE id = $visit");
calm;
ok(!event($visit) && event($visit, mailbox(2)), 'and moves to the mailbox of whom it is with');
$t->sql("DELETE FROM telehealth.appointment WHERE id = $visit");
calm;
ok(!event($visit, mailbox(2)), 'Y10: and goes with its row');
is($t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $visit"), 0, 'Y10: leaving nothing');

# ---- lost answers

for my $repeat (qw(original conflict new))
{
	$fake->options(transaction_repeat => $repeat);
	$fake->faults(map { { match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => $_ } } } qw(cut_after cut_before hang));
	my @lost = map { phone() } 1 .. 3;
	calm;
	$fake->release(cut => 1);
	is(scalar(grep { event($_) } @lost), 3, "O5, W22: answers of creates lost, repeats answered with $repeat: one event each");
}
$fake->options(transaction_repeat => 'original');
$fake->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'cut_after' } });
my $lost = phone();
$t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $lost AND intent IS NOT NULL", 1, 10);
$t->sql("DELETE FROM telehealth.appointment WHERE id = $lost");
calm;
ok(!event($lost), 'Y10: what may have been made of a visit that is gone is looked for, and goes');
for my $fault (qw(cut_after hang))
{
	my $changed = phone();
	calm;
	$fake->faults({ match => { method => 'PATCH', times => 1 }, fault => { kind => $fault } });
	$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $changed");
	calm;
	$fake->release(cut => 1);
	is($t->sql("SELECT timestamptz '" . event($changed)->{end} . "' = ends_at FROM telehealth.appointment WHERE id = $changed"), 't', "$fault of a change: changed");
	is($t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE appointment_id = $changed"), 0, 'and nobody is said to have done it');
}
$fake->faults;

# ---- others change it too

my $shared = phone();
calm;
$event = event($shared);
$fake->edit_event(user => mailbox(1), id => $event->{id}, set => { subject => 'Mine' });
$t->sql("UPDATE telehealth.appointment SET duration = 40 WHERE id = $shared");
calm;
is(event($shared)->{subject}, 'Phone appointment', 'Y3: what we say is ours (412, read, changed)');
is($t->sql("SELECT change FROM telehealth.calendar_change WHERE appointment_id = $shared"), 'edited', 'Y3: the losing values are kept');
my $creates = creates();
$fake->edit_event(user => mailbox(1), id => $event->{id}, delete => 1);
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $shared");
calm;
ok(event($shared), 'Y2: deleted there and changed here: it is there again');
ok(calls(method => 'GET', query_regex => 'telehealthKey.*eq%20%27th-|telehealthKey.*eq') > 0, 'O6: after a look for our key');

# ---- what is refused for one event

my %denied = (error => { code => 'ErrorAccessDenied', message => 'Access is denied.' });
$fake->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'status', code => 403, body => \%denied } });
my $denied = phone();
ok($t->poll("SELECT count(*) FROM telehealth.dead_jobs WHERE kind = 'event' AND last_error LIKE 'Access is denied%'", 1, 20), 'what is denied is given up, and says why');
is($t->sql("SELECT status FROM telehealth.calendar_connection WHERE id = $connection"), 'CONNECTED', 'G6: one refusal is not the end of the grant');
$fake->faults;
my $later = phone();
ok($t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $later AND pushed_hash IS NOT NULL", 1, 20), 'other visits go on');
$t->sql('SELECT telehealth.retry_dead_jobs()');
calm;
ok(event($denied), 'and it is there once somebody had it tried again');

# ---- a create that was given up may still be on its way

$t->sql("SELECT telehealth.configure_calendar($connection, '{\"timeout_ms\": 60000}')");
calm;
$fake->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'cut_before' } });
my $doubt = phone();
ok($t->poll("SELECT waiting_for FROM telehealth_private.job WHERE kind = 'event'", 'outcome_unknown', 30), 'O5: what may still come is waited for');
$t->sql("UPDATE telehealth.calendar_event SET intent_at = now() - interval '5 minutes' WHERE appointment_id = $doubt;
	UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'event'");
calm;
ok(event($doubt), 'O5: and made when it has not');
$t->sql("SELECT telehealth.configure_calendar($connection, '{\"timeout_ms\": null}')");

# ---- limits of a mailbox

$fake->options(latency_ms => 100);
my @many = split /\n/, $t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT n, 1, 'PHONE', date_trunc('hour', now()) + interval '40 days' + n * interval '1 hour' FROM generate_series(1, 40) AS n RETURNING id");
calm;
is(scalar(grep { event($_) } @many), 40, 'forty visits are there');
is($fake->state->{mailbox_max}{ mailbox(1) }, 3, 'O4: never more than three calls at a time in a mailbox');
$fake->options(latency_ms => 0);
$fake->throttle(user => mailbox(1), seconds => 12, retry_after => 1);
my @slow = map { phone() } 1 .. 6;
my $other = phone(provider_id => 2);
ok($t->poll("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $other AND pushed_hash IS NOT NULL", 1, 20), 'W12: a mailbox that throttles delays no other');
is(scalar(grep { event($_) } @slow), 0, 'O4: which has none yet');
my $asked = calls(path_regex => 'events');
calm;
is(scalar(grep { event($_) } @slow), 6, 'O4: nothing is dropped');
cmp_ok($fake->state->{throttled}{ mailbox(1) }{refused} // 0, '<', 9, 'O4: the pause grows even when the header says 1');
is(join(' ', $fake->duplicates), '', 'G7: nothing was there twice');
finish;
