# The dispatcher dies at every named point of a create, an update and a
# cancellation, and while the vendor has the call and has not answered.
# Afterwards there is exactly the meeting the tables ask for, made by exactly
# one call that acted.
use TelehealthTest;
use Survival;

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

# Runs an edit with a process that dies; returns true once there is another.
sub dies_at
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
		wait_held($t, $hold, $offset);
	}

	# the crash may cut this session too, after its commit: that woke the process
	eval { $edit->(); 1 } or note 'the server went down under the edit';
	if (defined $hold)
	{
		wait_held($t, $hold, $offset);
		$t->reload_conf('telehealth.debug_waitpoint' => '',
			'telehealth.debug_crash_at' => $point);
	}
	my $died = patiently(sub { !$t->is_alive($old) }, 20);
	$t->reload_conf('telehealth.debug_waitpoint' => '', 'telehealth.debug_crash_at' => '');
	return $died && $t->wait_ready && $t->wait_dispatcher(undef, other => $old);
}

sub is_settled { local $Test::Builder::Level = $Test::Builder::Level + 1; return settled_ok($t, $fake, @_) }

# before_settle, without a job before it, is the turn that claims the job
for my $point (steps())
{
	my ($hold, $at, $when) = @$point;
	my $where = ($hold // 'any') . " > $at";
	my $made = $fake->count($CREATES);
	my $id;

	ok(dies_at($hold, $at, sub { $id = $t->insert_visit }), "died at $where: create");
	$id //= $t->sql('SELECT max(id) FROM telehealth.appointment');
	is_settled("W2, Z1: create, killed when $when ($where): one meeting");
	is($fake->count($CREATES) - $made, 1, "W22: made by one call ($where)");

	my $before = $t->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $id");

	ok(dies_at($hold, $at, sub {
		$t->sql("UPDATE telehealth.appointment
			SET starts_at = starts_at + interval '100 days' WHERE id = $id") }),
		"died at $where: update");
	is_settled("Z3: update, killed when $when ($where): moved");
	is($t->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $id"), $before,
		"Z3: the same meeting ($where)");

	ok(dies_at($hold, $at, sub {
		$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $id") }),
		"died at $where: cancel");
	is_settled("Z2: cancel, killed when $when ($where): gone");
	is($fake->count($CREATES) - $made, 1, "no second one was made meanwhile ($where)");
}
# ---- the vendor has the call, and the process dies before the answer

# Kills it then; the call has acted or not: so many meetings there were then.
my $live_then;
sub die_unanswered
{
	my ($acts, $method, $edit) = @_;
	my $old = $t->wait_dispatcher;
	my $path = $method eq 'POST' ? '/meetings$' : '/meetings/\d+';

	# patient, so that the end of its patience is not what is seen
	$t->reload_conf('telehealth.request_timeout_ms' => 30_000);
	$t->poll('SHOW telehealth.request_timeout_ms', '30s');
	$fake->faults({ match => { method => $method, path_regex => $path, times => 1 },
		fault => { kind => 'hang', effect => $acts } });
	$edit->();
	my $hangs = $fake->wait_for(sub { $_[0]{hanging} == 1 }, 20);
	my $is_same = $t->is_alive($old);
	$live_then = $fake->live_meetings;

	# for the next process; the call under way has its own
	$t->reload_conf('telehealth.request_timeout_ms' => 500);
	$t->poll('SHOW telehealth.request_timeout_ms', '500ms');
	$t->kill9_and_wait_recovery($old);
	return $hangs && $is_same && !$t->is_alive($old) && $fake->wait_for(sub { !$_[0]{hanging} }, 20);
}

# What calls about meetings arrived since, and what became of the visit's.
sub methods_since
{
	my ($since) = @_;
	return join ' ', map { $_->{method} } $fake->requests(since => $since, path_regex => '/meetings');
}

sub outcomes_of
{
	my ($id, $since) = @_;
	return $t->sql("SELECT string_agg(action || ' ' || outcome, ', ' ORDER BY at, claim_no)
		FROM telehealth_private.job_history WHERE subject_id = $id AND at > '$since'");
}

for my $acts (1, 0)
{
	my $how = $acts ? 'that acts' : 'that does not act';
	my $seq = $fake->state->{requests_total};
	my $since = $t->sql('SELECT clock_timestamp()');
	my $live = $fake->live_meetings;
	my $id;

	ok(die_unanswered($acts, 'POST', sub { $id = $t->insert_visit }),
		"the vendor has a create $how when the dispatcher dies");
	is($live_then, $live + $acts, 'and this is what it made of it');
	is_settled("W2, W22: a create $how, killed before its answer: one meeting");
	if ($acts)
	{
		like(outcomes_of($id, $since), qr/^find adopted(, read ok)?$/, 'W22: the meeting of the dead call is adopted');
		like(methods_since($seq), qr/^POST( GET)+$/, 'W22: by a look, without another create');
	}
	else
	{
		like(methods_since($seq), qr/^POST (GET )+POST$/, 'W22: the other create came after a look');
	}

	my $meeting = $t->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $id");

	ok(die_unanswered($acts, 'PATCH', sub {
		$t->sql("UPDATE telehealth.appointment
			SET starts_at = starts_at + interval '100 days' WHERE id = $id") }),
		"the vendor has a change $how when the dispatcher dies");
	is_settled("Z3: a change $how, killed before its answer: moved");
	is($t->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $id"), $meeting,
		"Z3: the same meeting (a change $how)");

	ok(die_unanswered($acts, 'DELETE', sub {
		$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $id") }),
		"the vendor has a cancellation $how when the dispatcher dies");
	is_settled("Z2: a cancellation $how, killed before its answer: gone");
	is($fake->live_meetings, $live, "Z2: none is left of it (a cancellation $how)");
}
# ---- SIGTERM, and the answer comes within a moment: it is written down, and
# nobody has to look what became of the call.  A machine that is too slow for
# the moment has more than one try.
my @tries;
for my $try (1 .. 8)
{
	my $old = $t->wait_dispatcher;
	my $seq = $fake->state->{requests_total};

	$t->reload_conf('telehealth.request_timeout_ms' => 30_000);
	$t->poll('SHOW telehealth.request_timeout_ms', '30s');
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'hang' } });
	my $id = $t->insert_visit;
	$fake->wait_for(sub { $_[0]{hanging} == 1 }, 20) or last;
	$t->reload_conf('telehealth.request_timeout_ms' => 500);
	$t->poll('SHOW telehealth.request_timeout_ms', '500ms');
	kill 'TERM', $old;
	$fake->release;
	$t->wait_dispatcher(undef, other => $old);
	is_settled('W2, W22: a create, and SIGTERM just before its answer: one meeting');
	push @tries, methods_since($seq);
	last if $tries[-1] eq 'POST';
}
is($tries[-1], 'POST', 'W6: what is answered within a moment of SIGTERM is settled by the process that leaves')
  or diag join ', ', @tries;

is($t->sql('SELECT count(*) FROM telehealth.orphan_meetings'), 0, 'Z2: no orphan is left');
is($t->sql('SELECT count(*) FROM telehealth.session WHERE intent IS NOT NULL'), 0,
	'W22: no doubt is left');

finish;
