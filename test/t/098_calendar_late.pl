# Answers of calendars that come too late: the job is somebody else's by then,
# or the calendar is disconnected, or another account took its place. Nothing
# of them is written.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;

my $graph = FakeGraph->start;
my $google = FakeGoogle->start;
my %fake = (outlook => $graph, google => $google);
my $t = TelehealthTest->node('late', conf => { 'telehealth.request_timeout_ms' => 60_000 });
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook);

sub user { return "user$_[0]\@clinic.example" }
sub calm { return $t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill') OR kind = 'connection' AND due_at < now() + interval '1 minute'}, 0, 60) || diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ] }
sub row { my ($visit) = @_; return $t->sql("SELECT coalesce(external_id, '-') || ' ' || coalesce(intent, '-') || ' ' || (pushed_hash IS NOT NULL) FROM telehealth.calendar_event WHERE appointment_id = $visit AND retired_at IS NULL") }
sub live { my ($n, $visit) = @_; return grep { grep { defined && /^th-.*-$visit$/ } values %{ $_->{properties} } } $graph->live_events(user($n)) }
sub busy { my ($id) = @_; return $t->sql("SELECT count(*) FROM telehealth.busy_time WHERE source = 'connection:$id'") }
sub cursor_of { my ($id) = @_; return $t->sql("SELECT coalesce((SELECT cursor FROM telehealth_private.calendar_cursor WHERE connection_id = $id), '-')") }
sub pull { my ($id) = @_; return $t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint], ARRAY[$id\::bigint], 2), telehealth_private.wake()") }

# The next such request has its effect, and no answer before answer() is called
sub hang
{
	my ($kind, %match) = @_;
	return $fake{$kind}->faults({ match => { %match, times => 1 }, fault => { kind => 'hang', effect => 1 } });
}
sub is_hanging { my ($kind) = @_; return $fake{$kind}->wait_for(sub { ($_[0]{hanging} // 0) == 1 }, 30) }

# The answer is given, and the dispatcher has done with it
sub answer
{
	my ($kind, $job, $action) = @_;
	my $count = "SELECT count(*) FROM telehealth_private.job_history WHERE kind = '$job' AND action = '$action' AND outcome = 'ok'";
	my $before = $t->sql($count);

	$fake{$kind}->release;
	$fake{$kind}->faults;
	return $t->poll("SELECT ($count) > $before", 't', 30);
}

# Somebody else has the job, and for long
sub take_away { my ($job, $id) = @_; return $t->sql("UPDATE telehealth_private.job SET claim_no = nextval('telehealth_private.claim_no_seq'), due_at = now() + interval '10 minutes' WHERE kind = '$job' AND subject_id = $id RETURNING claim_no") }
sub give_back { my ($job, $id) = @_; return $t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = '$job' AND subject_id = $id; SELECT telehealth_private.wake()") }

# ---- the lease went to another

my $outlook = $t->connect_outlook($graph, provider => 1);
calm();
hang('outlook', method => 'POST', path_regex => '/events$');
my $visit = $t->insert_visit(type => 'PHONE');
ok(is_hanging('outlook'), 'a create is not answered');
my $event = $t->sql("SELECT id FROM telehealth.calendar_event WHERE appointment_id = $visit");
my $claim = take_away('event', $event);
answer('outlook', 'event', 'create');
is(row($visit), '- create false', 'O5: its answer is nothing for whoever lost the lease');
is($t->sql("SELECT claim_no = $claim FROM telehealth_private.job WHERE kind = 'event' AND subject_id = $event"), 't', '… nor is the job of the other one done');
give_back('event', $event);
calm();
like(row($visit), qr/^[^-]\S* - true$/, 'G7: the next look finds the event');
is(scalar(live(1, $visit)), 1, 'G7: which is there once');

# ---- an intent of a newer claim than ours

my $creates = $graph->count('POST events');
$graph->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'status', code => 429 } });
$visit = $t->insert_visit(type => 'PHONE');
ok($t->poll("SELECT count(*) FROM telehealth.calendar_event AS e JOIN telehealth_private.job AS j ON j.kind = 'event' AND j.subject_id = e.id WHERE e.appointment_id = $visit AND e.intent_no > 0 AND e.intent IS NULL AND j.attempts = 0", 1, 30), 'a create that was refused');
$event = $t->sql("UPDATE telehealth.calendar_event SET intent_no = intent_no + 1000000 WHERE appointment_id = $visit RETURNING id");
$claim = $t->sql("SELECT claim_no FROM telehealth_private.job WHERE kind = 'event' AND subject_id = $event");
give_back('event', $event);
ok($t->poll("SELECT claim_no > $claim + 2 FROM telehealth_private.job WHERE kind = 'event' AND subject_id = $event", 't', 30), '… is looked at again and again');
is($graph->count('POST events'), $creates + 1, 'O5: … and not made while somebody with a newer claim has begun to');
$t->sql("UPDATE telehealth.calendar_event SET intent_no = intent_no - 1000000 WHERE id = $event");
calm();
is(scalar(live(1, $visit)), 1, '… but when that is gone');

my $calendar = $t->connect_google($google, provider => 2);
$t->poll("SELECT last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $calendar", 't', 30);
my $start = $t->sql(q{SELECT to_char((now() + interval '3 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')});
my $end = $t->sql(qq{SELECT to_char((timestamptz '$start' + interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')});
sub own { my ($n) = @_; return $google->edit_event(calendar => user($n), create => { summary => 'Own', start => { dateTime => $start }, end => { dateTime => $end } }) }
sub rest { return $t->poll("SELECT due_at > now() + interval '1 minute' AND attempts = 0 FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $calendar", 't', 30) }
rest();
own(1);
my $before = cursor_of($calendar);
hang('google', method => 'GET', path_regex => '/events$');
pull($calendar);
ok(is_hanging('google'), 'a pull is not answered');
$claim = take_away('pull', $calendar);
answer('google', 'pull', 'list');
is(busy($calendar) . ' ' . (cursor_of($calendar) eq $before ? 'same' : 'new'), '0 same', 'O1: what it tells is not written by whoever lost the lease, nor where to go on');
is($t->sql("SELECT claim_no = $claim FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $calendar"), 't', '… nor is the job of the other one done');
give_back('pull', $calendar);
ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE source = 'connection:$calendar'", 1, 30), 'the next pull writes it');

# ---- the calendar was disconnected

rest();
own(1);
hang('google', method => 'GET', path_regex => '/events$');
pull($calendar);
ok(is_hanging('google'), 'another pull is not answered');
$t->sql("SELECT telehealth.disconnect_calendar(2, 'google')");
answer('google', 'pull', 'list');
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $calendar", 0, 30), 'the pull is done with');
is(busy($calendar) . ' ' . cursor_of($calendar), '0 -', 'D10: nothing is written of a calendar that was disconnected meanwhile');
hang('outlook', method => 'PATCH', path_regex => '/events/');
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $visit");
ok(is_hanging('outlook'), 'a change is not answered');
my $row = row($visit);
$t->sql("SELECT telehealth.disconnect_calendar(1, 'outlook')");
answer('outlook', 'event', 'update');
calm();
is(row($visit), $row, 'D10: an event of a calendar that was disconnected meanwhile stays known');
is($t->sql("SELECT status || ' ' || (SELECT count(*) FROM telehealth_private.connection_secret AS s WHERE s.connection_id = x.id) FROM telehealth.calendar_connection AS x WHERE id = $outlook"), 'DISCONNECTED 0', '… and the calendar disconnected');

# ---- another account took its place

sub connect_as
{
	my ($kind, $provider, $n) = @_;
	$t->sql(sprintf "SELECT telehealth.connect_calendar(%d, '%s', %s::jsonb)", $provider, $kind, literal({ refresh_token => $fake{$kind}->grant(user => user($n))->{refresh_token} }));
	return $t->poll("SELECT status = 'CONNECTED' AND is_known FROM telehealth.calendar_connection WHERE provider_id = $provider AND kind = '$kind'", 't', 30);
}
connect_as('outlook', 1, 1);
calm();
hang('outlook', method => 'POST', path_regex => '/events$');
my $moved = $t->insert_visit(type => 'PHONE');
ok(is_hanging('outlook'), 'a create at the first account is not answered');
ok(connect_as('outlook', 1, 2), 'another account is connected');
answer('outlook', 'event', 'create');
calm();
my @there = live(2, $moved);
is(scalar(@there), 1, 'G7: the other account shows the visit');
is(row($moved) =~ s/ .*//r, $there[0]{id}, '… by its own name, not the one that came late');
connect_as('google', 2, 1);
rest();
own(1);
hang('google', method => 'GET', path_regex => '/events$');
pull($calendar);
ok(is_hanging('google'), 'a pull of the first account is not answered');
ok(connect_as('google', 2, 2), 'another account is connected');
answer('google', 'pull', 'list');
rest();
is(busy($calendar), 0, 'O1: what is in the first account\'s calendar takes no time of who has the other one');
finish;
