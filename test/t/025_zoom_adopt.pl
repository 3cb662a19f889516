# A lost answer is not a second meeting (Z1): what may have been made is
# looked for by its marker, adopted, and only then made again.
use TelehealthTest;

my $fake = FakeZoom->start(options => { host_daily => 100_000 });
my $t = TelehealthTest->node('adopt',
	conf => { 'telehealth.request_timeout_ms' => 300, 'telehealth.connect_timeout_ms' => 300 });
$t->create_extension;
$t->widen_limits;
$t->add_hosts;

# Roomier than the server's own timeout, on purpose
my $account = $t->connect_zoom($fake, settings => { timeout_ms => 1500 });

sub outcomes
{
	my ($id, $outcome) = @_;
	return $t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE subject_id = $id AND outcome = '$outcome'");
}

sub creates { return $fake->count('POST /v2/users/{id}/meetings') }

# creates answered by this
sub next_create
{
	my ($fault, $times) = @_;
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => $times // 1 }, fault => $fault });
	return;
}

# Adopted, once, by one create, and with its link
sub is_adopted
{
	my ($host, $id, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $drained = $t->drained;
	my @live = $fake->live_meetings($host);

	return ok($drained && @live == 1 && $t->sql("SELECT count(join_url) FROM telehealth.appointment WHERE id = $id AND meeting_id = '$live[0]{id}'") == 1
		  && outcomes($id, 'adopted') == 1, $name)
	  || diag explain \@live, [ $t->rows("SELECT * FROM telehealth.explain_appointment($id)") ];
}

# ---- the answer is lost

my $n = creates() // 0;
next_create({ kind => 'cut_after' });
my $visit = $t->insert_visit(provider_id => 1);
is_adopted(1, $visit, 'Z1: a lost answer is not a second meeting');
is(creates() - $n, 1, 'Z1: nobody asked for another');
like($t->sql("SELECT string_agg(concat_ws(': ', what, result), E'\n') FROM telehealth.explain_appointment($visit)"),
	qr/look for a meeting made before.*found and adopted/, 'Z1: the story tells it');
next_create({ kind => 'wrong_body', variant => 'truncated' });
is_adopted(2, $t->insert_visit(provider_id => 2), 'Z1: nor is an answer that cannot be read');
next_create({ kind => 'status', code => 502, effect => 1 });
is_adopted(3, $t->insert_visit(provider_id => 3), 'Z1: nor one of somebody in between');

# what was certainly not made is not looked for
$n = creates();
next_create({ kind => 'status', code => 429, body => { code => 429, message => 'Too many requests' } });
$visit = $t->insert_visit(provider_id => 4);
ok($t->await($visit)->{join_url} && $t->drained, 'a create that was refused is made again');
is($t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE subject_id = $visit AND action = 'find'"), 0, 'Z1: without a search');
is(scalar($fake->live_meetings(4)), 1, 'Z1: once');

# ---- the list is long, late, or has only the beginning of an agenda

$fake->edit_meeting(create => { host => 'host6@clinic.example' }) for 1 .. 320;
next_create({ kind => 'cut_after' });
$visit = $t->insert_visit(provider_id => 6);
ok($t->drained && outcomes($visit, 'adopted') == 1, 'Z1: the marker is found on a later page');
is(scalar($fake->live_meetings(6)), 321, 'Z1: and once only');

$fake->options(list_lag_ms => 1500);
next_create({ kind => 'cut_after' });
is_adopted(7, $t->insert_visit(provider_id => 7), 'Z1: also when the list of meetings lags behind');
$fake->options(list_lag_ms => 0);

$t->sql(q{INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('zoom', 'reason', true)});
next_create({ kind => 'cut_after' });
is_adopted(8, $t->insert_visit(provider_id => 8, reason => 'a long reason ' x 100),
	'Z1: the marker is in the part of the agenda that a list shows');
ok(length(($fake->live_meetings(8))[0]{agenda}) > 1000, 'Z1: of a long agenda');
$t->sql('DELETE FROM telehealth.disclosure_policy');

# ---- the effect comes after we have given up

# We wait 1500 ms, and as long again until "not there" is believed.  Two at a
# time: more would look like a host that is down, and be left alone for longer.
next_create({ kind => 'delay', ms => 2600, effect => 'last' }, 2);
my @late = map { $t->insert_visit(provider_id => $_, starts_at => '2031-05-05 10:00Z') } 9 .. 10;
ok($t->poll("SELECT count(*) FROM telehealth.job_status WHERE failures > 0", 2), 'two answers are lost');
$t->sql("SELECT telehealth.retry_job('meeting', $_)") for @late;
ok($t->drained, 'and their effects come late');
for my $i (0, 1)
{
	is_adopted(9 + $i, $late[$i], "Z1: visit $i has one meeting");
	ok($t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE subject_id = $late[$i] AND action = 'find' AND outcome = 'ok'") > 0,
		'Z1: which was not there at first');
}

# it never came: after a while "not there" is believed
$n = creates();
next_create({ kind => 'cut_before' });
$visit = $t->insert_visit(provider_id => 11);
$t->await($visit);
ok($t->drained && $fake->live_meetings(11) == 1 && creates() - $n == 2, 'Z1: what was not made is made again');

# ---- two of ours are found: what a former version, or a person, left behind

$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'cut_after' } },
	{ match => { method => 'GET', path_regex => '/users/.*/meetings$' }, fault => { kind => 'status', code => 500 } });
$visit = $t->insert_visit(provider_id => 14);
ok($t->poll("SELECT failures > 0 FROM telehealth.job_status WHERE subject_id = $visit"), 'an outcome stays unknown');
$fake->edit_meeting(create => { host => 'host14@clinic.example', topic => 'twin', agenda => 'telehealth ref ' . $t->session($visit)->{marker} });
is(scalar($fake->live_meetings(14)), 2, 'two carry the marker');
$fake->faults;
$t->sql("SELECT telehealth.retry_job('meeting', $visit)");
is_adopted(14, $visit, 'Z1: one is adopted, the other removed');
is(join(' ', $fake->duplicates), '', 'Z1: no marker lives twice');

# ---- a page of a list has 300 entries; up to 1000 are read, not one more

$n = creates();
$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'cut_after' } },
	{ match => { method => 'GET', path_regex => '/users/.*/meetings$' }, fault => { kind => 'status', code => 500 } });
$visit = $t->insert_visit(provider_id => 15);
ok($t->poll("SELECT failures > 0 FROM telehealth.job_status WHERE subject_id = $visit"), 'an outcome stays unknown again');
my ($ours) = $fake->live_meetings(15);

# the list of the host has so many entries, ours is the last
sub list_of
{
	my ($entries) = @_;
	my @list = map { +{ id => 7_000_000_000 + $_, agenda => 'another' } } 2 .. $entries;

	push @list, { id => $ours->{id}, agenda => 'telehealth ref ' . $t->session($visit)->{marker} };
	$fake->faults({ match => { method => 'GET', path_regex => '/users/.*/meetings$' }, fault => { kind => 'alter', set => { meetings => \@list } } });
	return;
}

my $lists = $t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE subject_id = $visit AND action = 'find'");
list_of(1001);
$t->sql("SELECT telehealth.retry_job('meeting', $visit)");
ok($t->poll("SELECT count(*) > $lists FROM telehealth_private.job_history WHERE subject_id = $visit AND action = 'find'"), 'Z1: a list of 1001 entries comes');
is(outcomes($visit, 'adopted'), 0, 'Z1: and is not read');
like($t->sql("SELECT outcome FROM telehealth_private.job_history WHERE subject_id = $visit ORDER BY at DESC LIMIT 1"), qr/^(?:retry|unknown)$/, 'Z1: which is called a failure');
list_of(1000);
$t->sql("SELECT telehealth.retry_job('meeting', $visit)");
is_adopted(15, $visit, 'Z1: one of 1000 entries is read to its end');
is(creates() - $n, 1, 'Z1: neither led to another meeting');

# ---- an intent of a newer claim than ours

{
	my $began = creates();
	next_create({ kind => 'status', code => 429, body => { code => 429, message => 'Too many requests' } });
	my $id = $t->insert_visit(provider_id => 9);
	my $job = "FROM telehealth_private.job WHERE kind = 'meeting' AND subject_id = $id";
	ok($t->poll("SELECT count(*) FROM telehealth.session AS s WHERE appointment_id = $id AND intent IS NULL AND EXISTS (SELECT $job AND attempts = 0)", 1, 20), 'a create that was refused');
	$t->sql("UPDATE telehealth.session SET intent_no = intent_no + 1000000 WHERE appointment_id = $id");
	my $claim = $t->sql("SELECT claim_no $job");
	$t->sql("SELECT telehealth.retry_job('meeting', $id)");
	ok($t->poll("SELECT claim_no > $claim + 2 $job", 't', 20), '... is looked at again and again');
	is(creates() - $began, 1, 'Z1: ... and not made while somebody with a newer claim has begun to');
	$t->sql("UPDATE telehealth.session SET intent_no = intent_no - 1000000 WHERE appointment_id = $id");
	$t->await_ok($id, '... but when that is gone');
}

finish;
