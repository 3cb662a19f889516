# Pulls while events of ours are being made or removed, looks at what is as it
# should be, and a calendar that is emptied meanwhile. Ends of the dispatcher
# at every step of that work: 097_calendar_survival.pl.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use CalendarSides;

my $google = FakeGoogle->start(options => CalendarSides::google_options(3));
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('calmeet', conf => { 'telehealth.request_timeout_ms' => 500, 'telehealth.lease_seconds' => 2 });
$t->create_extension;
$t->widen_calendar_limits($_, page_size => 10) for qw(google outlook);

my $sides = CalendarSides->new($t, google => $google, outlook => $graph);
my @ids = map { $sides->connect($_, 1) } qw(google outlook);
$t->insert_visit(type => 'PHONE') for 1 .. 6;
$sides->own($_, 1, 1001, 1002) for qw(google outlook);
$t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint, 1], ARRAY[$ids[0]\::bigint, $ids[1]], 2), telehealth_private.wake()");
$sides->equal_ok('both calendars have the visits');

# ---- pulls that see events of ours of which no row knows, or not any more

sub rule { my ($rule, %match) = @_; return { match => { %match, times => 1 }, fault => $rule } }
sub pull { return $t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint], ARRAY[$_[0]\::bigint], 2), telehealth_private.wake()") }
sub visit { return $t->insert_visit(type => 'PHONE', starts_at => \"date_trunc('hour', now()) + interval '20 days $_[0] hours'") }

sub patience { my ($s) = @_; $t->reload_conf('telehealth.request_timeout_ms' => $s * 1000); return $t->poll('SHOW telehealth.request_timeout_ms', "${s}s") }

my $outlook = $ids[1];
patience(3);
my $deletes = $graph->count('DELETE events/{id}');
my $gone = visit(1);
$sides->equal_ok('a visit that will go');
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $gone");
$t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event')", 0, 10);
$graph->faults(rule({ kind => 'delay', ms => 2500 }, method => 'GET', path_regex => 'calendarView'));
pull($outlook);
ok($graph->wait_for(sub { $_[0]{in_flight} > 0 }, 10), 'a pull has seen it');
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $gone");
ok($graph->wait_for(sub { ($_[0]{counters}{'DELETE events/{id}'} // 0) > $deletes }, 10), 'and it goes while the pull is under way');
$sides->equal_ok('Y1: a pull under way while an event of ours goes leaves no busy time');

$graph->faults(rule({ kind => 'cut_after' }, method => 'POST', path_regex => '/events$'),
	rule({ kind => 'delay', ms => 2500 }, method => 'GET', query_regex => 'filter'));
my $made = $graph->count('POST events');
my $lost = visit(2);
$graph->wait_for(sub { ($_[0]{counters}{'POST events'} // 0) > $made }, 10);
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $lost");
pull($outlook);
$sides->equal_ok('Y1: a pull that sees an event whose making was not answered, of a visit that has changed since, leaves none');
$graph->faults;

# ---- a pull that has seen what is changed here before it is written

patience(30);
for my $kind (qw(google outlook))
{
	my ($fake, $id, $change) = $kind eq 'google' ? ($google, $ids[0], 'patch') : ($graph, $ids[1], 'PATCH events/{id}');
	my $changed = visit($kind eq 'google' ? 3 : 5);

	$sides->equal_ok("$kind: a visit that will change");
	my $changes = $fake->count($change);
	$fake->faults(rule({ kind => 'hang', effect => 1 }, method => 'GET', path_regex => $kind eq 'google' ? '/events$' : 'calendarView'));
	pull($id);
	ok($fake->wait_for(sub { ($_[0]{hanging} // 0) == 1 }, 30), "$kind: a pull has seen it");
	$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $changed");
	ok($fake->wait_for(sub { ($_[0]{counters}{$change} // 0) > $changes && $_[0]{hanging} == 1 }, 30), "$kind: and it is changed while the pull is under way");
	$t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event')}, 0, 30);
	$fake->release;
	$fake->faults;
	$sides->equal_ok("Y1: $kind: both sides are equal");
	is($t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE appointment_id = $changed"), 0, "Y1: $kind: our own change is not somebody's");
	is($fake->count($change) - $changes, 1, "Y1: $kind: and is written once");
}
patience(3);

# ---- nothing to do is nothing to write

my %before = map { ($_ => writes($_)) } $google, $graph;
sub writes { my ($fake) = @_; return scalar grep { $_->{method} ne 'GET' && $_->{path} !~ /token/ } $fake->requests }
for (1 .. 3)
{
	$t->sql("SELECT telehealth_private.mark('backfill', ARRAY[1::bigint, 1], ARRAY[$ids[0]\::bigint, $ids[1]], 3),
		telehealth_private.mark('pull', ARRAY[1::bigint, 1], ARRAY[$ids[0]\::bigint, $ids[1]], 2), telehealth_private.wake()");
	$sides->calm;
}
is(writes($_) - $before{$_}, 0, 'Y1: looking at all of it again writes nothing at ' . $_->name) for $google, $graph;
$sides->equal_ok('and both sides stay equal');

# ---- a calendar is emptied while an event is being made in it

for my $kind (qw(google outlook))
{
	my $fake = $kind eq 'google' ? $google : $graph;
	my $id = $sides->connect($kind, 2);

	$sides->equal_ok("$kind: another calendar");
	$sides->forget($id);
	$made = $fake->count($kind eq 'google' ? 'insert' : 'POST events');
	$fake->faults(rule({ kind => 'delay', ms => 1500, effect => 'last' }, method => 'POST', path_regex => '/events$'));
	$t->insert_visit(type => 'PHONE', provider_id => 2);
	$fake->wait_for(sub { $_[0]{in_flight} > 0 }, 10);
	$t->sql("SELECT telehealth.purge_remote($id)");
	ok($t->poll("SELECT is_purging FROM telehealth.calendar_status WHERE connection_id = $id", 'f', 20), "D10: $kind: emptied");
	ok($fake->wait_for(sub { !$_[0]{in_flight} }, 10), 'and nothing is under way');
	is(join(' ', keys %{ ($sides->remote({ kind => $kind, provider => 2 }))[0] }), '', "D10: $kind: what was being made is gone too");
	$fake->faults;
}

finish;
