# The dispatcher dies at every named point of a create, an update and a
# cancellation.  Afterwards there is exactly the meeting the tables ask for,
# made by exactly one call.
use TelehealthTest;

my $CREATES = 'POST /v2/users/{id}/meetings';

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('kill_points',
	conf => {
		'telehealth.request_timeout_ms' => 500,
		'telehealth.lease_seconds' => 2,
	});
$t->create_extension;
$t->widen_limits;
$t->connect_zoom($fake);

if (!$t->is_debug)
{
	plan skip_all => 'needs a build with TH_DEBUG=1';
}

# Where the process is held while the crash is prepared, and where it dies.
# "before_settle" as the holder is the turn that claims the job; "answered" is
# the turn that writes the answer down.
my @points = (
	[ undef, 'before_send', 'the call is built' ],
	[ undef, 'sent', 'the call is under way' ],
	[ undef, 'answered', 'the answer is there' ],
	[ 'answered', 'before_settle', 'the answer was read' ],
	[ 'answered', 'claimed', 'the result is committed' ],
	[ 'answered', 'settled', 'the result is forgotten' ],
	[ 'before_settle', 'claimed', 'the intent is committed' ],
	[ 'before_settle', 'settled', 'the claim is at work' ]);

# Runs an edit with a process that dies; returns true once there is another.
sub die_at
{
	my ($hold, $point, $edit) = @_;
	my $old = $t->wait_dispatcher;
	my $offset = $t->log_size;

	if (!defined $hold)
	{
		$t->reload_conf('telehealth.debug_crash_at' => $point);
		$t->poll('SHOW telehealth.debug_crash_at', $point);
	}
	elsif ($hold eq 'answered')
	{
		$t->reload_conf('telehealth.debug_waitpoint' => $hold);
		$t->poll('SHOW telehealth.debug_waitpoint', $hold);
	}
	else
	{
		$t->reload_conf('telehealth.debug_waitpoint' => $hold);
		wait_held($hold, $offset);
	}

	# the crash may cut this session too, after its commit: that woke the process
	eval { $edit->(); 1 } or note 'the server went down under the edit';
	if (defined $hold)
	{
		wait_held($hold, $offset);
		$t->reload_conf('telehealth.debug_waitpoint' => '',
			'telehealth.debug_crash_at' => $point);
	}
	my $died = patiently(sub { !$t->is_alive($old) }, 20);
	$t->reload_conf('telehealth.debug_waitpoint' => '', 'telehealth.debug_crash_at' => '');
	return $died && $t->wait_ready && $t->wait_dispatcher(undef, other => $old);
}

sub wait_held
{
	my ($hold, $offset) = @_;
	return patiently(sub { $t->log_text($offset) =~ /waitpoint "$hold" reached/ }, 20);
}

# Nothing is queued, and the vendor has what the tables want.
sub is_settled
{
	my ($name) = @_;
	my (%live, @bad);

	$t->poll('SELECT count(*) FROM telehealth_private.job', 0, 30)
	  or diag explain($t->rows('SELECT * FROM telehealth_private.job'));
	$live{ $_->{id} } = $_ for $fake->live_meetings;
	for my $visit ($t->rows(q{
		SELECT id, meeting_id, join_url, extract(epoch FROM starts_at)::bigint AS start
		FROM telehealth.appointment WHERE status = 'SCHEDULED'}))
	{
		my $meeting = delete $live{ $visit->{meeting_id} // '' };

		push @bad, "visit $visit->{id}"
		  if !$meeting || $meeting->{start_epoch} != $visit->{start}
		  || $visit->{join_url} !~ m{/j/$visit->{meeting_id}\?};
	}
	push @bad, map { "meeting $_" } sort keys %live;
	push @bad, map { "twice $_" } $fake->duplicates;
	return is("@bad", '', $name);
}

for my $point (@points)
{
	my ($hold, $at, $when) = @$point;
	my $where = ($hold // 'any') . " > $at";
	my $made = $fake->count($CREATES);
	my $id;

	ok(die_at($hold, $at, sub { $id = $t->insert_visit }), "died at $where: create");
	$id //= $t->sql('SELECT max(id) FROM telehealth.appointment');
	is_settled("W2, Z1: create, killed when $when ($where): one meeting");
	is($fake->count($CREATES) - $made, 1, "W22: made by one call ($where)");

	my $before = $t->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $id");

	ok(die_at($hold, $at, sub {
		$t->sql("UPDATE telehealth.appointment
			SET starts_at = starts_at + interval '100 days' WHERE id = $id") }),
		"died at $where: update");
	is_settled("Z3: update, killed when $when ($where): moved");
	is($t->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $id"), $before,
		"Z3: the same meeting ($where)");

	ok(die_at($hold, $at, sub {
		$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $id") }),
		"died at $where: cancel");
	is_settled("Z2: cancel, killed when $when ($where): gone");
	is($fake->count($CREATES) - $made, 1, "no second one was made meanwhile ($where)");
}
is($t->sql('SELECT count(*) FROM telehealth.orphan_meetings'), 0, 'Z2: no orphan is left');
is($t->sql('SELECT count(*) FROM telehealth.session WHERE intent IS NOT NULL'), 0,
	'W22: no doubt is left');

finish;
