# What webhooks tell of a visit becomes its session, whatever the order: who
# was there, who waited, what was recorded, and what the appointment follows.
use TelehealthTest;
use List::Util qw(shuffle);
use POSIX qw(strftime);

srand($ENV{TELEHEALTH_SEED} // 72);

my $fake = FakeZoom->start;
my $t = TelehealthTest->node('visits');
$t->create_extension;
$t->connect_zoom($fake);
$t->widen_limits;
$t->add_hosts(400);

# Visits began twenty minutes ago, on a whole minute
my $start = int(time / 60) * 60 - 1200;
my $host = { user_id => '16777216', participant_uuid => 'HOST-UUID', id => 'host-id-1', user_name => 'Dr Host', email => 'host1@clinic.example' };
my $patient = { user_id => '16778240', participant_uuid => 'PATIENT-UUID', registrant_id => 'reg-1', user_name => 'Pat Ient' };
my $serial = 0;
my $provider = 0;

sub iso { my ($epoch) = @_; return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $epoch) }

# Sessions of visits with a meeting each
sub visits
{
	my ($n, %o) = @_;
	my $from = $provider + 1;

	$provider += $n;
	$t->sql(sprintf q{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration)
		SELECT n, n, 'VIDEO', %s, 60 FROM generate_series(%d, %d) AS n}, $o{starts_at} // "to_timestamp($start)", $from, $provider);
	ok($t->poll("SELECT count(*) FROM telehealth.appointment WHERE provider_id BETWEEN $from AND $provider AND join_url IS NULL", 0), "meetings of $n visits");
	my @ids = split /\n/, $t->sql("SELECT s.id FROM telehealth.session AS s WHERE s.provider_id BETWEEN $from AND $provider ORDER BY s.provider_id");
	return @ids;
}

# An event as Zoom would send it, $at seconds after the beginning of the visit
sub event
{
	my ($name, $at, %o) = @_;
	my $run = $o{run} // 'RUN-1';
	my %object = (uuid => $run, host_id => 'host-id-1', topic => 'Telehealth visit', type => 2, timezone => 'UTC',
		duration => 60, start_time => iso($start + ($o{begun} // 0)), %{ $o{object} // {} });
	my %person = %{ $o{who} // {} };

	$object{start_time} = iso($start + $at) if $name eq 'meeting.started';
	$object{end_time} = iso($start + $at) if $name eq 'meeting.ended';
	if (%person)
	{
		my $time = $name =~ /_joined$/ ? 'join_time' : $name =~ /_left$/ ? 'leave_time' : 'date_time';
		$object{participant} = { %person, ($name =~ /jbh/ ? () : ($time => iso($start + $at))) };
	}
	return { name => $name, at => $start + $at, run => $run, told => { event => $name, event_ts => 1000 * ($start + $at) + ($o{ms} // 0),
		payload => { account_id => 'acct-1', object => \%object } } };
}

# SQL that files events of a session, in this order, and marks it
sub told
{
	my ($session, @events) = @_;
	my @rows;

	for my $e (@events)
	{
		my %told = %{ $e->{told} };
		push @rows, sprintf q{(%d, %s, to_timestamp(%d), %s, %s::jsonb, sha256('%d'::bytea))}, $session, literal($e->{name}), $e->{at},
		  literal($e->{run}), literal(\%told), ++$serial;
	}
	return sprintf(q{INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, event_at, meeting_id, meeting_uuid, session_id, raw, business_key)
		SELECT s.clinic_id, 'zoom', v.name, v.at, s.meeting_id, v.run, s.id, v.raw, v.key
		FROM (VALUES %s) AS v (session_id, name, at, run, raw, key) JOIN telehealth.session AS s ON s.id = v.session_id;
		SELECT telehealth_private.mark('session', array[s.clinic_id], array[s.id], 0) FROM telehealth.session AS s WHERE s.id = %d;},
		join(', ', @rows), $session);
}

sub file_events { my ($session, @events) = @_; return $t->sql(told($session, @events)) }
sub folded { return $t->poll(q{SELECT count(*) FROM telehealth.webhook_event WHERE processed_at IS NULL}, 0) }

# Everything a session shows, with its own numbers left out
my $shown = q{SELECT s.id, concat_ws(' | ', s.status, s.started_at, s.ended_at, s.actual_duration, s.host_joined_at, s.patient_joined_at,
		s.waiting_room_entered_at, s.waiting_room_admitted_at, s.meeting_uuid, s.recording_url, a.status) AS session,
	(SELECT string_agg(concat_ws(' ', p.participant_id, p.name, p.role, p.joined_at, p.left_at, p.duration, p.join_count, p.device, p.latency_ms), ' / '
		ORDER BY p.participant_id) FROM telehealth.participant AS p WHERE p.clinic_id = s.clinic_id AND p.session_id = s.id) AS people,
	(SELECT string_agg(concat_ws(' ', w.participant_id, w.status, w.joined_at, w.admitted_at, w.left_at), ' / '
		ORDER BY w.participant_id) FROM telehealth.waiting_room_entry AS w WHERE w.clinic_id = s.clinic_id AND w.session_id = s.id) AS waited,
	(SELECT string_agg(concat_ws(' ', r.file_id, r.type, r.url, r.size, r.duration, r.status, r.deleted_at), ' / '
		ORDER BY r.file_id) FROM telehealth.recording AS r WHERE r.clinic_id = s.clinic_id AND r.session_id = s.id) AS recorded
	FROM telehealth.session AS s JOIN telehealth.appointment AS a ON a.clinic_id = s.clinic_id AND a.id = s.appointment_id};

sub different
{
	my (@ids) = @_;
	return $t->sql("SELECT count(DISTINCT (q.session, q.people, q.waited, q.recorded)) FROM ($shown) AS q WHERE q.id IN (" . join(', ', @ids) . ')');
}

sub shown_of { my ($id) = @_; return $t->row("$shown WHERE s.id = $id") }
sub status_of { my ($id) = @_; return $t->sql("SELECT s.status || ' ' || a.status FROM telehealth.session AS s
	JOIN telehealth.appointment AS a ON (a.clinic_id, a.id) = (s.clinic_id, s.appointment_id) WHERE s.id = $id") }

sub permutations
{
	my (@list) = @_;
	return [] if !@list;
	return map { my @rest = @list; my ($one) = splice @rest, $_, 1; map { [ $one, @$_ ] } permutations(@rest) } 0 .. $#list;
}

# ---- four events in each order

my @four = (event('meeting.started', 0), event('meeting.participant_joined', 65, who => $patient),
	event('meeting.participant_left', 1000, who => $patient), event('meeting.ended', 1030));
my @orders = permutations(@four);
is(scalar @orders, 24, 'four events have 24 orders');

my @at_once = visits(24);
$t->sql(join '', map { told($at_once[$_], @{ $orders[$_] }) } 0 .. 23);
ok(folded, 'H6: each order, told at once');
is(different(@at_once), 1, 'H6: 24 orders give one row');
my $four = shown_of($at_once[0]);
my $joined = $t->sql("SELECT to_timestamp($start + 65)");
is($four->{session}, $t->sql("SELECT concat_ws(' | ', 'COMPLETED', to_timestamp($start), to_timestamp($start + 1030), 17, to_timestamp($start + 65), 'RUN-1', 'COMPLETED')"),
	'H6: which is what happened');
is($four->{people}, $t->sql("SELECT concat_ws(' ', 'reg-1', 'Pat Ient', 'patient', to_timestamp($start + 65), to_timestamp($start + 1000), 935, 1)"), 'and who was there');

# ---- one at a time, each folded before the next, and told again

my @singly = visits(24);
for my $step (0 .. 3)
{
	$t->sql(told($singly[$_], $orders[$_][$step])) for 0 .. 23;
	folded;
	# what was told before comes again
	$t->sql(told($singly[$_], $orders[$_][ int rand($step + 1) ])) for 0 .. 23;
	ok(folded, "H6: event $step, and one before it again");
}
is(different(@at_once, @singly), 1, 'H6: cut anywhere and told twice they give the same row');

# ---- a richer visit, in random orders and pieces

my $guest = { user_id => '16779264', participant_uuid => 'GUEST-UUID', user_name => 'Guest' };
my $phone = { %$patient, user_id => '16780000', participant_uuid => 'PHONE-UUID', user_name => 'Pat on the phone', device => 'iOS', latency_ms => 80 };
my $interpreter = { user_id => '16781111', participant_uuid => 'INT-UUID', customer_key => 'interpreter-es', user_name => 'Inter Preter' };
my @files = (
	{ id => 'file-1', recording_type => 'shared_screen_with_speaker_view', file_type => 'MP4', file_size => 1000,
		recording_start => iso($start + 100), recording_end => iso($start + 900), play_url => 'https://zoom.example/play/1', status => 'completed' },
	{ id => 'file-2', recording_type => 'audio_only', file_type => 'M4A', file_size => 10,
		recording_start => iso($start + 100), recording_end => iso($start + 900), download_url => 'https://zoom.example/download/2', status => 'completed' });
my $recorded = { share_url => 'https://zoom.example/share', recording_files => \@files };
my @rich = (
	event('meeting.started', 0),
	event('meeting.participant_joined_waiting_room', -120, who => $patient),
	event('meeting.participant_joined', 1, who => $host),
	event('meeting.participant_admitted', 20, who => $patient),
	event('meeting.participant_left_waiting_room', 20, who => $patient, ms => 5),
	event('meeting.participant_joined', 22, who => $patient),
	event('meeting.participant_joined', 30, who => $phone),
	event('meeting.participant_joined', 40, who => $interpreter),
	event('meeting.participant_left', 200, who => $patient),
	event('meeting.participant_left', 210, who => $phone),
	event('meeting.participant_put_in_waiting_room', 210, who => { %$phone }, ms => 500),
	event('meeting.participant_admitted', 230, who => $patient),
	event('meeting.participant_joined', 240, who => $patient),
	event('meeting.participant_joined_waiting_room', 300, who => $guest),
	event('meeting.participant_left_waiting_room', 330, who => $guest),
	event('meeting.participant_left', 500, who => $interpreter),
	event('meeting.participant_left', 600, who => $patient),
	event('meeting.participant_left', 600, who => $host),
	event('meeting.ended', 600),
	# the meeting is begun again
	event('meeting.started', 660, run => 'RUN/2', begun => 660),
	event('meeting.participant_joined', 661, who => { %$host, participant_uuid => 'HOST-UUID-2' }, run => 'RUN/2'),
	event('meeting.participant_joined', 670, who => { %$patient, participant_uuid => 'PATIENT-UUID-2' }, run => 'RUN/2'),
	event('meeting.ended', 900, run => 'RUN/2', begun => 660),
	event('meeting.participant_left', 900, who => { %$host, participant_uuid => 'HOST-UUID-2' }, run => 'RUN/2'),
	event('recording.completed', 950, object => $recorded),
	event('recording.trashed', 960, object => { recording_files => [ $files[1] ] }),
	event('recording.recovered', 970, object => { recording_files => [ $files[1] ] }),
	event('recording.deleted', 980, object => { recording_files => [ $files[0] ] }),
	event('meeting.alert', 400), event('something.unknown', 410));
my @random = visits(30);
my %left = map { $_ => [ shuffle(@rich, @rich[ map { int rand @rich } 1 .. 8 ]) ] } @random;
while (grep { @$_ } values %left)
{
	$t->sql(join '', map { my $n = 1 + int rand 15; my @some = splice @{ $left{$_} }, 0, $n; @some ? told($_, @some) : () } @random);
	folded if rand() < 0.7;
}
ok(folded, 'H6: 30 random orders, in pieces, with repetitions');
is(different(@random), 1, 'H6: give one row');
my $rich = shown_of($random[0]);
my $at = sub { return $t->sql("SELECT to_timestamp($start + $_[0])") };
is($rich->{session}, join(' | ', 'COMPLETED', $at->(0), $at->(900), 14, $at->(1), $at->(22), $at->(-120), $at->(20), 'RUN/2', 'https://zoom.example/share', 'COMPLETED'),
	'of a visit with two runs');
is($rich->{people}, join(' / ',
	"host-id-1 Dr Host host " . $at->(1) . ' ' . $at->(900) . ' 838 2',
	"interpreter-es Inter Preter interpreter " . $at->(40) . ' ' . $at->(500) . ' 460 1',
	"reg-1 Pat Ient patient " . $at->(22) . ' ' . $at->(900) . ' 778 3 iOS 80'),
	'its participants, each once, two devices at a time counted once');
is($rich->{waited}, join(' / ', 'GUEST-UUID LEFT ' . $at->(300) . ' ' . $at->(330), 'reg-1 ADMITTED ' . $at->(-120) . ' ' . $at->(20) . ' ' . $at->(20)),
	'who waited');
is($rich->{recorded}, join(' / ', 'file-1 shared_screen_with_speaker_view https://zoom.example/play/1 1000 800 DELETED ' . $at->(980),
	'file-2 audio_only https://zoom.example/download/2 10 800 COMPLETED'), 'what was recorded');
is($t->sql("SELECT string_agg(DISTINCT outcome || ' ' || event_name, ', ' ORDER BY outcome || ' ' || event_name) FROM telehealth.webhook_event
	WHERE session_id = $random[0] AND outcome <> 'applied'"), 'ignored meeting.alert, ignored something.unknown', 'what says nothing is ignored');

# ---- recordings

my ($twelve) = visits(1);
file_events($twelve, event('recording.completed', 950 + $_, object => $recorded)) for 1 .. 12;
folded;
is($t->sql("SELECT count(*) || ' ' || count(DISTINCT file_id) FROM telehealth.recording WHERE session_id = $twelve"), '2 2', 'H10: twelve announcements, one row a file');
is(status_of($twelve), 'SCHEDULED SCHEDULED', 'a recording says nothing of the visit\'s state');

# ---- step by step, with listeners

my ($steps, $cancelled, $no_show, $confirmed) = visits(4);
my $calls = $fake->state->{requests_total};
my $jobs = $t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE kind = 'meeting'");
my @seen;
for my $e (
	event('meeting.participant_joined_waiting_room', 0, who => $patient), event('meeting.started', 10),
	event('meeting.participant_left', 1000, who => $patient), event('meeting.ended', 1030))
{
	file_events($steps, $e);
	folded;
	push @seen, status_of($steps);
}
is(join(', ', @seen), 'WAITING CHECKED_IN, IN_PROGRESS IN_PROGRESS, IN_PROGRESS IN_PROGRESS, COMPLETED COMPLETED', 'a session, and its appointment, go from state to state');
ok($t->drained, 'nothing is left to do');
is($fake->state->{requests_total}, $calls, 'nothing was asked of Zoom');
is($t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE kind = 'meeting'"), $jobs, 'and no meeting was looked at');

$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = (SELECT appointment_id FROM telehealth.session WHERE id = $cancelled)");
$t->sql("UPDATE telehealth.appointment SET status = 'NO_SHOW' WHERE id = (SELECT appointment_id FROM telehealth.session WHERE id = $no_show);
	UPDATE telehealth.session SET status = 'NO_SHOW' WHERE id = $no_show");
ok($t->poll("SELECT status FROM telehealth.session WHERE id = $cancelled", 'CANCELLED'), 'one visit is cancelled');
file_events($_, @four) for $cancelled, $no_show;
folded;
is(status_of($cancelled), 'CANCELLED CANCELLED', 'what was cancelled is not completed');
is(status_of($no_show), 'NO_SHOW NO_SHOW', 'nor what was decided to be missed');
isnt($t->sql("SELECT started_at FROM telehealth.session WHERE id = $no_show"), '', 'but it shows what happened');

$t->sql("UPDATE telehealth.appointment SET status = 'CONFIRMED' WHERE id = (SELECT appointment_id FROM telehealth.session WHERE id = $confirmed)");
file_events($confirmed, $four[0], $four[1]);
folded;
is(status_of($confirmed), 'IN_PROGRESS IN_PROGRESS', 'a confirmed visit begins');
$t->sql("UPDATE telehealth.appointment SET status = 'COMPLETED' WHERE id = (SELECT appointment_id FROM telehealth.session WHERE id = $confirmed)");
file_events($confirmed, event('meeting.participant_joined', 70, who => $host));
folded;
is(status_of($confirmed), 'IN_PROGRESS COMPLETED', 'an appointment never goes back');
for my $decided (qw(COMPLETED NO_SHOW))
{
	my ($id) = visits(1);
	$t->sql("UPDATE telehealth.appointment SET status = '$decided' WHERE id = (SELECT appointment_id FROM telehealth.session WHERE id = $id);" . told($id, @four[0, 1]));
	folded;
	is(status_of($id), "IN_PROGRESS $decided", "nor is $decided overruled");
}
my ($unseen) = visits(1);
file_events($unseen, $four[0], event('meeting.participant_joined', 10, who => $patient), event('meeting.participant_joined', 300, who => $patient), @four[2, 3]);
folded;
is($t->sql("SELECT concat_ws(' ', joined_at, duration, join_count) FROM telehealth.participant WHERE session_id = $unseen"), $at->(10) . ' 990 1',
	'somebody who comes twice without going was there all the time');

my $notified = $t->sql("LISTEN telehealth_session;\n" . told($steps, event('meeting.participant_joined', 12, who => $patient)) . q{
	DO $$ DECLARE v_end timestamptz := clock_timestamp() + interval '20 s'; BEGIN LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM telehealth.webhook_event WHERE processed_at IS NULL) OR clock_timestamp() > v_end;
		COMMIT; END LOOP; END $$;
	SELECT 'end';});
my $appointment = $t->sql("SELECT appointment_id FROM telehealth.session WHERE id = $steps");
like($notified, qr/"telehealth_session" with payload "\{"clinic_id" : 1, "session_id" : $steps, "appointment_id" : $appointment, "status" : "COMPLETED"\}"/,
	'who listens hears of each change, numbers and state only');
unlike($t->sql("LISTEN telehealth_session;\n" . told($steps, event('meeting.participant_joined', 12, who => $patient)) . q{
	DO $$ DECLARE v_end timestamptz := clock_timestamp() + interval '20 s'; BEGIN LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM telehealth.webhook_event WHERE processed_at IS NULL) OR clock_timestamp() > v_end;
		COMMIT; END LOOP; END $$;
	SELECT 'end';}), qr/payload/, 'but not of what changes nothing');

# ---- trying the link before

my ($tried) = visits(1, starts_at => q{date_trunc('minute', now()) + interval '5 hours'});
file_events($tried, event('meeting.started', 0), event('meeting.participant_joined', 1, who => $host), event('meeting.ended', 60));
folded;
is(status_of($tried), 'SCHEDULED SCHEDULED', 'a host who tries the link hours before has held no visit');
is($t->sql("SELECT count(*) FROM telehealth.participant WHERE session_id = $tried"), 0, 'and was not there');
file_events($tried, event('meeting.participant_joined', 30, who => $patient));
folded;
is(status_of($tried), 'COMPLETED COMPLETED', 'with a patient it was one');

# ---- the meeting is removed at Zoom

my ($removed) = visits(1, starts_at => q{date_trunc('minute', now()) + interval '7 hours'});
my $before = $t->row("SELECT meeting_id, join_url FROM telehealth.session WHERE id = $removed");
$fake->edit_meeting(id => $before->{meeting_id}, delete => 1);
file_events($removed, event('meeting.deleted', 100, object => { id => 0 + $before->{meeting_id} }));
ok($t->poll("SELECT s.meeting_id <> '$before->{meeting_id}' AND s.join_url = a.join_url FROM telehealth.session AS s
	JOIN telehealth.appointment AS a ON a.id = s.appointment_id WHERE s.id = $removed"), 'a meeting that somebody removed at Zoom is made again');
is(scalar($fake->duplicates), 0, 'once');
my $kept = $t->sql("SELECT meeting_id FROM telehealth.session WHERE id = $tried");
file_events($tried, event('meeting.deleted', 100, object => { id => 0 + $kept }), event('meeting.recovered', 110, object => { id => 0 + $kept }));
folded;
ok($t->drained, 'nothing is done');
is($t->sql("SELECT meeting_id FROM telehealth.session WHERE id = $tried"), $kept, 'for one that is back');

# ---- the end is never told

my ($endless, $runs_on) = visits(2);
for my $id ($endless, $runs_on)
{
	my $run = $id == $endless ? '/AB//C+D==' : 'RUN-ON==';
	my $meeting = $t->sql("SELECT meeting_id FROM telehealth.session WHERE id = $id");
	# it should have been over long ago
	$t->sql("UPDATE telehealth.session SET scheduled_at = to_timestamp($start - 7200) WHERE id = $id");
	$fake->edit_meeting(id => $meeting, run => { uuid => $run, start => $start - 7200, $id == $endless ? (end => $start - 60) : () });
	file_events($id, event('meeting.started', -7200, run => $run), event('meeting.participant_joined', -7100, run => $run, who => $patient));
}
ok($t->poll("SELECT status FROM telehealth.session WHERE id = $endless", 'COMPLETED', 30), 'H9: past its end Zoom is asked, and the visit ends');
is($t->sql("SELECT concat_ws(' ', ended_at, actual_duration) FROM telehealth.session WHERE id = $endless"), $at->(-60) . ' 119', 'H9: when Zoom says it did');
is($t->sql("SELECT left_at FROM telehealth.participant WHERE session_id = $endless"), $at->(-60), 'H9: for everybody');
ok($t->poll("SELECT count(*) FROM telehealth_private.job_history WHERE kind = 'session' AND subject_id = $runs_on AND outcome = 'nothing'", 1), 'H9: one that runs on is asked about too');
is(status_of($runs_on), 'IN_PROGRESS IN_PROGRESS', 'H9: and runs');
ok($t->sql("SELECT due_at > now() + interval '1 minute' FROM telehealth_private.job WHERE kind = 'session' AND subject_id = $runs_on") eq 't', 'H9: it is asked about again later');
is($t->sql("SELECT count(*) FROM telehealth.appointment AS a JOIN telehealth.session AS s ON s.appointment_id = a.id WHERE s.id = $runs_on AND a.join_url IS NOT NULL"), 1,
	'H9: its link stays');
file_events($endless, event('meeting.ended', -60, run => '/AB//C+D==', begun => -7200));
folded;
is($t->sql("SELECT concat_ws(' ', status, ended_at, actual_duration) FROM telehealth.session WHERE id = $endless"), 'COMPLETED ' . $at->(-60) . ' 119', 'H9: the event that comes late after all changes nothing');

# Nobody marked it: a restored dump, say
$t->sql("DELETE FROM telehealth_private.job WHERE kind = 'session'");
my $meeting = $t->sql("SELECT meeting_id FROM telehealth.session WHERE id = $runs_on");
$fake->edit_meeting(id => $meeting, run => { uuid => 'RUN-ON==', start => $start - 7200, end => $start });
ok($t->poll("SELECT status FROM telehealth.session WHERE id = $runs_on", 'COMPLETED', 30), 'H9: one sweep finds what nobody marked');

# ---- many other events

my ($one, $other) = visits(2);
$t->sql(qq{INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, event_at, session_id, raw, business_key, processed_at, outcome)
	SELECT 1, 'zoom', 'meeting.alert', now(), 1000000 + n / 20, '{}', sha256(('x' || n)::bytea), now(), 'ignored' FROM generate_series(1, 100000) AS n});
my $read = q{SELECT coalesce(sum(idx_tup_read), 0) + (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname = 'webhook_event')
	FROM pg_stat_user_indexes WHERE relname = 'webhook_event'};
ok($t->poll(q{SELECT n_tup_ins > 100000 FROM pg_stat_user_tables WHERE relname = 'webhook_event'}), '100,000 events of others');
my $had = $t->sql($read);
file_events($one, @four);
ok($t->poll("SELECT status FROM telehealth.session WHERE id = $one", 'COMPLETED'), 'beside them a visit is put together');
file_events($other, @four);
ok($t->poll("SELECT status FROM telehealth.session WHERE id = $other", 'COMPLETED'), 'and another');
cmp_ok($t->sql("SELECT pg_stat_clear_snapshot(); $read") =~ s/^\n//r, '<', $had + 20_000, 'without a look at them');

like($t->sql("SELECT string_agg(what || ' -> ' || result, E'\n' ORDER BY at, what) FROM telehealth.explain_appointment((SELECT appointment_id FROM telehealth.session
	WHERE id = $endless))"), qr/zoom told: meeting.participant_joined -> part of how.*asked zoom whether the visit has ended -> it has/s, 'the story of a visit tells all that');

# ---- the app is removed at Zoom

my $account = $t->sql('SELECT id FROM telehealth.account');
sub deauthorized
{
	my ($received_at) = @_;
	return sprintf q{INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, event_at, account_clinic_id, account_id, raw, business_key, received_at,
		processed_at, outcome) VALUES (0, 'zoom', 'app_deauthorized', now(), 0, %d, '{}', sha256('%d'::bytea), %s, now(), 'recorded')},
		$account, ++$serial, $received_at;
}
my $seen = q{SELECT count(*) FROM telehealth.webhook_event WHERE event_name = 'app_deauthorized' AND outcome = 'recorded'};
$t->sql(deauthorized(q{now() - interval '1 day'}));
ok($t->poll($seen, 0, 30), 'what was told of an account before it was connected is of the past');
is($t->sql('SELECT status FROM telehealth.account'), 'connected', 'and changes nothing');
$t->sql(deauthorized('now()'));
ok($t->poll($seen, 0, 30), 'an app that is removed at Zoom');
is($t->sql(q{SELECT concat_ws(' ', status, is_refused, last_error) FROM telehealth.account}), 'error t the app was removed at the platform', 'is an error of its account');

is($t->sql(q{SELECT count(*) FROM telehealth_private.job WHERE dead_at IS NOT NULL}), 0, 'nothing was given up');
my $metrics = $t->row(q{SELECT sum(events) AS events, sum(applied) AS applied, sum(waiting) AS waiting FROM telehealth.webhook_metrics
	WHERE event_name = 'meeting.ended'});
is($metrics->{events}, $metrics->{applied}, 'webhook_metrics counts what was told');
is($metrics->{waiting}, 0, 'and what waits');

finish;
