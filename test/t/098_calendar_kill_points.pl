# The dispatcher dies at every named point of an event's create, change and
# removal. Afterwards each calendar has exactly what the tables ask for, made
# by exactly one call that acted.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use Survival;

my $google = FakeGoogle->start(options => { users => [ { email => 'user1@clinic.example' } ] });
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('calendar_kill',
	conf => {
		'telehealth.request_timeout_ms' => 500,
		'telehealth.lease_seconds' => 2,
		'telehealth.poll_interval_ms' => 100,
	});
$t->create_extension;
plan skip_all => 'needs a build with TH_DEBUG=1' if !$t->is_debug;
$t->widen_calendar_limits($_) for qw(google outlook);
my %rare = (sync_frequency_minutes => 1440);
$t->connect_google($google, provider => 1, options => \%rare);
$t->connect_outlook($graph, provider => 2, options => \%rare);

my $CALM = "SELECT count(*) FROM telehealth_private.job WHERE kind NOT IN ('pull', 'connection', 'channel')";
$t->poll("$CALM OR due_at < now() + interval '1 minute'", 0, 30);

# Soon, so that nothing is waited for
sub visit
{
	my ($provider) = @_;
	return $t->insert_visit(type => 'PHONE', provider_id => $provider, is_overbooked => 'true', overbook_reason => 'test',
		starts_at => \"now() + interval '10 minutes'");
}

sub is_settled
{
	my ($name) = @_;
	my (%live, @bad);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$t->poll($CALM, 0, 30) or diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
	for my $e ($google->live_events)
	{
		$live{ $e->{extendedProperties}{private}{telehealthKey} =~ s/.*-//r } .= "$e->{start}{dateTime} $e->{end}{dateTime};";
	}
	for my $e ($graph->live_events)
	{
		my ($key) = grep { /^th-[0-9a-f]{32}-/ } values %{ $e->{properties} };
		$live{ $key =~ s/.*-//r } .= "$e->{start} $e->{end};";
	}
	for my $v ($t->rows(q{SELECT id, status, to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' '
		|| to_char(ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ';' AS wanted FROM telehealth.appointment}))
	{
		my $there = delete $live{ $v->{id} } // '';
		my $wanted = $v->{status} eq 'CANCELLED' ? '' : $v->{wanted};

		push @bad, "visit $v->{id}: $there instead of $wanted" if $there ne $wanted;
	}
	push @bad, map { "left: $_" } sort keys %live;
	return is(join("\n", @bad), '', $name);
}

my @steps = (
	[ undef, 'before_send', 'the call is built' ],
	[ undef, 'sent', 'the call is handed over' ],
	[ undef, 'answered', 'the answer is there' ],
	[ 'answered', 'before_settle', 'the answer was read' ],
	[ 'answered', 'held_known', 'the settling is open' ],
	[ 'answered', 'claimed', 'the result is committed' ],
	[ 'before_send', 'sent', 'the intent is committed' ]);

for my $vendor ([ 1, 'Google' ], [ 2, 'Graph' ])
{
	my ($provider, $name) = @$vendor;

	for my $step (@steps)
	{
		my ($hold, $at, $when) = @$step;
		my $id;

		ok(die_at($t, $hold, $at, sub { $id = visit($provider) }), "died: create at $name, $when");
		$id //= $t->sql('SELECT max(id) FROM telehealth.appointment');
		is_settled("W2, O5, W22: create at $name, killed when $when: one event");
		ok(die_at($t, $hold, $at, sub { $t->sql("UPDATE telehealth.appointment SET duration = duration + 5 WHERE id = $id") }), "died: change");
		is_settled("W2: change at $name, killed when $when: changed");
		is($t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE appointment_id = $id"), 0, 'and nobody is said to have done it');
		ok(die_at($t, $hold, $at, sub { $t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $id") }), "died: removal");
		is_settled("W2, Y10: removal at $name, killed when $when: gone");
	}
}
is(scalar(grep { $_->{n} > 1 } values %{ { map { $_->{id} => { n => scalar grep { $_->{what} =~ /insert|create/ } @{ $_->{history} } } } $google->events } }), 0,
	'W22: each event was made once');
is(join(' ', $google->duplicates('telehealthKey'), $graph->duplicates), '', 'G7: nothing was there twice');
finish;
