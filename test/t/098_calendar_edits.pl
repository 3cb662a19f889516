# What somebody does to an event of ours is undone, whatever they made of it;
# and a patient is invited only where both the calendar and the policy say so.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use Mojo::JSON qw(decode_json);

my $USER = 'user1@clinic.example';
my $google = FakeGoogle->start(options => { users => [ { email => $USER, timeZone => 'Europe/Berlin' } ] });
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('edits', conf => { 'telehealth.request_timeout_ms' => 2000, 'telehealth.lease_seconds' => 5 });
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook);
$t->sql("INSERT INTO telehealth.provider (id, timezone) VALUES (1, 'Europe/Berlin'), (2, 'Europe/Berlin');
	INSERT INTO telehealth.patient (id, display_name, email) VALUES (1, 'Zoe', 'zoe\@patient.example'), (2, 'Ann', 'ann\@patient.example'), (3, 'Bob', NULL)");
my @ids = ($t->connect_google($google, provider => 1), $t->connect_outlook($graph, provider => 2));

sub calm
{
	my ($name) = @_;

	return ok($t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill', 'patient', 'clinic', 'provider')}, 0, 30), $name // 'all is pushed')
	  || diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
}

# Everything is read that has changed since the last time, and answered
sub pull
{
	for my $id (@ids)
	{
		my $began = $t->sql('SELECT clock_timestamp()');

		$t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint], ARRAY[$id\::bigint], 2), telehealth_private.wake()");
		$t->poll("SELECT last_sync_at > '$began' FROM telehealth.calendar_connection WHERE id = $id", 't', 20);
	}
	return calm();
}

sub visit { my (%o) = @_; return $t->insert_visit(type => 'PHONE', %o) }

# The one event of a visit
sub at_google
{
	my ($visit) = @_;
	my @e = grep { ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-$visit$/ } $google->live_events($USER);
	return @e == 1 ? $e[0] : undef;
}
sub at_graph
{
	my ($visit) = @_;
	my @e = grep { grep { defined && /^th-.*-$visit$/ } values %{ $_->{properties} } } $graph->live_events($USER);
	return @e == 1 ? $e[0] : undef;
}
sub start_of { my ($visit) = @_; return $t->sql("SELECT extract(epoch FROM starts_at)::bigint FROM telehealth.appointment WHERE id = $visit") }

# What was sent last
sub sent
{
	my ($fake, $method) = @_;
	my @all = $fake->requests(method => $method, path_regex => '/events');
	return decode_json($all[-1]{body});
}

# ---- somebody makes a whole day of it

my @visits = map { visit(provider_id => $_) } 1, 2;
calm();
my $day = $t->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC' + interval '4 days', 'YYYY-MM-DD')});
my $next = $t->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC' + interval '5 days', 'YYYY-MM-DD')});
$google->edit_event(calendar => $USER, id => at_google($visits[0])->{id},
	set => { start => { date => $day, dateTime => undef, timeZone => undef }, end => { date => $next, dateTime => undef, timeZone => undef } });
is(at_google($visits[0])->{start}{date}, $day, 'an event of ours is a whole day in Google\'s calendar');
$graph->edit_event(user => $USER, id => at_graph($visits[1])->{id}, set => { isAllDay => \1, start => "${day}T00:00:00Z", end => "${next}T00:00:00Z" });
pull();
my $event = at_google($visits[0]);
is(join(' ', $event->{start}{date} // 'timed', $event->{start_epoch} // ''), 'timed ' . start_of($visits[0]), 'Y3: there it is a time again, its own');
is(at_graph($visits[1])->{start_epoch}, start_of($visits[1]), 'Y3: so it is in Outlook\'s');
is(sent($graph, 'PATCH')->{isAllDay}, 0, 'Y3: as no whole day');
is($t->sql(q{SELECT string_agg(c.change || ' ' || c.action, ', ') FROM telehealth.calendar_change AS c}), 'moved restore, moved restore', 'Y3: and told');
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'nothing was refused');

# ---- nobody is invited unless two say so

my $everybody = sub { map { $_->{email} // $_->{emailAddress}{address} } @{ $_[0]{attendees} // [] } };
my $mailing = sub { scalar grep { ($_->{query} // '') =~ /sendUpdates=all/ } $google->requests(path_regex => '/events') };
$_->options(allow_attendees => 1) for $google, $graph;
$t->sql("SELECT telehealth.configure_calendar($_, '{\"invite_patient\": true}')") for @ids;
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id IN ($visits[0], $visits[1])");
calm();
is(join(' ', map { $everybody->($_) } sent($google, 'PATCH'), sent($graph, 'PATCH')), '', 'Y6: a calendar that may invite does not where the policy keeps the address');
is($mailing->(), 0, 'Y6: and nobody was mailed');
$t->sql("INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('google', 'email', true), ('outlook', 'email', true)");
calm();
is(join(' ', map { $everybody->($_) } sent($google, 'PATCH'), sent($graph, 'PATCH')), 'zoe@patient.example zoe@patient.example', 'Y6: where both say so the patient is');
cmp_ok($mailing->(), '>', 0, 'and the vendor is asked to mail');

# ---- a patient's address is another one

my ($google_calls, $graph_calls) = map { scalar $_->requests(method => 'PATCH') } $google, $graph;
$t->sql(q{UPDATE telehealth.patient SET email = 'new@patient.example' WHERE id = 1});
calm();
is(join(' ', map { $everybody->($_) } sent($google, 'PATCH'), sent($graph, 'PATCH')), 'new@patient.example new@patient.example', 'Y6: an address that changed is followed');
is(join(' ', map { scalar $_->requests(method => 'PATCH') } $google, $graph), join(' ', $google_calls + 1, $graph_calls + 1), 'G7: by one call each');

# ---- the setting is taken back, and given again

my $invite = sub { $t->sql("SELECT telehealth.configure_calendar($_, '{\"invite_patient\": $_[0]}')") for @ids };
my @seen = map { $_->state->{requests_total} } $google, $graph;
# Who is named by changes since, and to how many was nothing said
my $named = sub { my ($fake, $from) = @_; return map { $_->{attendees} ? join(',', '', $everybody->($_)) : () } map { decode_json($_->{body}) } $fake->requests(method => 'PATCH', path_regex => '/events', since => $from) };
my $times = sub { @seen = map { $_->state->{requests_total} } $google, $graph if $_[1]; $t->sql("UPDATE telehealth.appointment SET duration = $_[0] WHERE id IN ($visits[0], $visits[1])"); return calm() };
$invite->('false');
my $mailed = $mailing->();
$times->(25);
is(join(' | ', map { join ' ', $named->(($google, $graph)[$_], $seen[$_]) } 0, 1), ' | ', 'Y6: once patients are not to be invited, who was goes with the next change');
is(join(' ', map { scalar(my @once = $named->(($google, $graph)[$_], $seen[$_])) } 0, 1), '1 1', '… once');
is($mailing->(), $mailed, 'Y6: and Google is not asked to mail');
$times->(30, 1);
is(join(' ', map { scalar(my @none = $named->(($google, $graph)[$_], $seen[$_])) } 0, 1), '0 0', 'Y6: after that guests are their owner\'s again');
$invite->('true');
$times->(20);
is(join(' ', map { $everybody->($_) } sent($google, 'PATCH'), sent($graph, 'PATCH')), 'new@patient.example new@patient.example', 'Y6: and the patient is invited again');

# ---- the visit is another patient's, who has no address; then nobody's

$t->sql("UPDATE telehealth.appointment SET patient_id = 3 WHERE id IN ($visits[0], $visits[1])");
calm();
is(join(' ', map { join ',', exists $_->{attendees} ? 'nobody' : 'as before', $everybody->($_) } sent($google, 'PATCH'), sent($graph, 'PATCH')), 'nobody nobody',
	'Y6: who is not the patient any more is not invited any more');
$t->sql("UPDATE telehealth.appointment SET patient_id = 2 WHERE id IN ($visits[0], $visits[1])");
calm();
is(join(' ', map { $everybody->($_) } sent($google, 'PATCH'), sent($graph, 'PATCH')), 'ann@patient.example ann@patient.example', 'Y6: the next one is');
$t->sql('DELETE FROM telehealth.patient WHERE id = 2');
calm();
is(join(' ', map { $everybody->($_) } sent($google, 'PATCH'), sent($graph, 'PATCH')), '', 'D10: nor is one who was deleted');

finish;
