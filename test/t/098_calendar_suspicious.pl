# Somebody has emptied a calendar, and a pull waits for whoever decides what
# that means: what changes here meanwhile neither makes the events anew nor
# decides about the visits.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use CalendarSides;

my $VISITS = 14;
my %fake = (google => FakeGoogle->start(options => CalendarSides::google_options(3)), outlook => FakeGraph->start);
my $t = TelehealthTest->node('suspicious', conf => { 'telehealth.request_timeout_ms' => 5000 });
$t->create_extension;
$t->widen_calendar_limits($_) for sort keys %fake;
my $sides = CalendarSides->new($t, %fake);
my %provider = (google => 1, outlook => 2);

sub pull { my ($id) = @_; return $t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint], ARRAY[$id\::bigint], 2), telehealth_private.wake()") }
sub calm { return $t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill')}, 0, 30) || diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ] }
sub rested { my ($id) = @_; return $t->poll("SELECT attempts = 0 AND due_at > now() + interval '1 minute' FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $id", 't', 30) }
sub made { my ($kind) = @_; return scalar(() = grep { $_->{path} =~ m{/events$} } $fake{$kind}->requests(method => 'POST')) }

for my $kind (sort keys %fake)
{
	my $p = $provider{$kind};
	my $id = $sides->connect($kind, $p, options => { remote_change_policy => 'cancel' });
	my @visits = map { $t->insert_visit(type => 'PHONE', provider_id => $p) } 1 .. $VISITS;

	calm();
	pull($id);
	rested($id);
	my @events = $fake{$kind}->live_events(CalendarSides::user($p));
	is(scalar(@events), $VISITS, "$kind: a calendar has the visits");
	$fake{$kind}->edit_event(($kind eq 'google' ? 'calendar' : 'user') => CalendarSides::user($p), id => $_->{id}, delete => 1) for @events;
	pull($id);
	ok($t->poll("SELECT suspicious_count FROM telehealth.calendar_status WHERE connection_id = $id", $VISITS, 30), "Y4: $kind: that it is emptied is not believed");
	rested($id);

	my $before = made($kind);
	my $pulls = $t->sql("SELECT generation || ' ' || claim_no FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $id");
	$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $visits[0]");
	ok($t->poll("SELECT waiting_for || ' ' || failures FROM telehealth_private.job WHERE kind = 'event'", 'suspicious_pull 0', 30), "Y4: $kind: a visit that changes meanwhile waits for whoever decides")
	  or diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
	is($t->sql("SELECT due_at > now() + interval '10 minutes' FROM telehealth_private.job WHERE kind = 'event'"), 't', '… for long');
	is(made($kind), $before, '… and its event is not made anew');
	is($t->sql("SELECT generation || ' ' || claim_no FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $id"), $pulls, '… nor is another pull asked to say what became of it');
	is($t->sql("SELECT string_agg(DISTINCT status::text, ' ') FROM telehealth.appointment WHERE provider_id = $p"), 'SCHEDULED', 'Y2: no visit is cancelled');
	is($t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE connection_id = $id AND external_id IS NOT NULL"), $VISITS, '… and every event is still known');

	$t->sql("SELECT telehealth.sync_calendar($p, '30 s', confirm_deletions => true)");
	ok($t->poll("SELECT string_agg(DISTINCT status::text, ' ') FROM telehealth.appointment WHERE provider_id = $p", 'CANCELLED', 30), "Y4: $kind: confirmed, the visits are cancelled");
	calm();
	is(made($kind) . ' ' . $fake{$kind}->live_events(CalendarSides::user($p)), "$before 0", '… that which waited too, and none is there again');
	is($t->sql("SELECT suspicious_count IS NULL FROM telehealth.calendar_status WHERE connection_id = $id"), 't', 'nothing is left to be decided');
}

finish;
