# Calendars that are only pushed to, looked through once a day: events of ours
# that are there twice, are lost, or belong to nothing. And copies that people
# make of our events, wherever they are found.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use Radicale;

my $radicale = Radicale->is_here ? Radicale->start(users => { alice => 'pass word' }) : undef;
my $google = FakeGoogle->start;
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('compare',
	conf => { 'telehealth.request_timeout_ms' => 2000, 'telehealth.lease_seconds' => 5, 'telehealth.poll_interval_ms' => 100 });
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook caldav);
$t->sql("INSERT INTO telehealth.provider (id, timezone) VALUES (1, 'Europe/Berlin'), (2, 'Europe/Berlin'), (3, 'Europe/Berlin'), (4, 'Europe/Berlin')");

sub user { return "user$_[0]\@clinic.example" }
sub phone { my ($provider, %o) = @_; return $t->insert_visit(type => 'PHONE', provider_id => $provider, %o) }
sub policy { my ($id, $policy) = @_; return $t->sql("SELECT telehealth.configure_calendar($id, '{\"remote_change_policy\": \"$policy\"}')") }

sub calm
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('connection', 'calendars', 'event', 'backfill') AND due_at < now() + interval '1 hour'", 0, 30)
	  || do { fail('all is done'); diag explain [ $t->rows('SELECT * FROM telehealth_private.job LIMIT 5') ]; die "not calm\n" };
}

# The daily look, now
sub compare
{
	my ($id) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $was = $t->sql("SELECT COALESCE(sum(runs), 0) FROM telehealth_private.sync_count WHERE connection_id = $id AND direction = 'pull'");

	calm;
	$t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = now() - interval '2 days' WHERE connection_id = $id;
		UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $id; SELECT telehealth_private.wake()");
	$t->poll("SELECT sum(runs) > $was FROM telehealth_private.sync_count WHERE connection_id = $id AND direction = 'pull'", 't', 20)
	  or do { fail('it is looked through'); diag explain [ $t->rows("SELECT * FROM telehealth_private.job WHERE subject_id = $id") ] };
	return calm;
}

sub row { my ($visit) = @_; return $t->row("SELECT * FROM telehealth.calendar_event WHERE appointment_id = $visit AND retired_at IS NULL") }
sub busy { my ($provider) = @_; return $t->sql("SELECT count(*) FROM telehealth.busy_time WHERE provider_id = $provider") }
sub writes { my ($fake, $from) = @_; return join ' ', map { "$_->{method} $_->{path}" } grep { $_->{method} ne 'GET' && $_->{path} !~ /token$/ } $fake->requests(since => $from) }
sub total { return $_[0]->state->{requests_total} }

# ---- Google, pushed to alone

my $gid = $t->connect_google($google, options => { sync_direction => 'push' });
my @visits = map { phone(1, starts_at => "2031-01-0$_ 10:00Z") } 1 .. 4;
my $soon = phone(1, starts_at => \"date_trunc('hour', now()) + interval '5 days'");
calm;
compare($gid);
is($t->sql("SELECT due_at - now() BETWEEN '18 hours' AND '25 hours' FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $gid"), 't', 'it is looked through once a day');
isnt($t->sql("SELECT last_sync_at FROM telehealth.calendar_connection WHERE id = $gid"), '', '… and says when it was');

sub gevents { return grep { ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-$_[0]$/ } $google->live_events(user(1)) }
sub gcopy { my ($visit, %set) = @_; my ($e) = gevents($visit); return { (map { $_ => $e->{$_} } qw(summary start end extendedProperties visibility)), %set } }
sub gmake { my ($body) = @_; return $google->edit_event(calendar => user(1), create => $body)->{id} }

my ($event) = gevents($soon);
my $key = $event->{extendedProperties}{private}{telehealthKey};
(my $nobody = $key) =~ s/\d+$/999999/;
gmake({ summary => 'Dentist', start => $event->{start}, end => $event->{end} });
my $double = gmake(gcopy($soon, id => 'th' . 'ab' x 20, summary => 'An older wish'));
my $orphan = gmake(gcopy($soon, id => 'th' . 'cd' x 20, extendedProperties => { private => { telehealth => '1', telehealthKey => $nobody } }));
my $same = gmake(gcopy($soon));
my $mine = gmake(gcopy($soon, summary => 'My own notes'));
my $later = gmake(gcopy($soon, end => { dateTime => $t->sql("SELECT to_char(ends_at + interval '2 hours', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM telehealth.appointment WHERE id = $soon"), timeZone => 'UTC' }));
my $of_nobody = gmake(gcopy($soon, extendedProperties => { private => { telehealth => '1', telehealthKey => $nobody } }));
compare($gid);
my %live = map { $_->{id} => 1 } $google->live_events(user(1));
is(join(',', map { $live{$_} // 0 } $event->{id}, $double, $orphan, $same), '1,0,0,0', 'G7, Y10: what we made twice, or for nobody, goes, and so does a copy that says the same');
is(join(',', map { $live{$_} // 0 } $mine, $later, $of_nobody), '1,1,1', 'what somebody has made of a copy is left alone');
is(busy(1), 0, 'nothing is taken from a calendar that is only pushed to');
my $from = total($google);
compare($gid);
is(writes($google, $from), '', 'Y1: and the next look writes nothing');

my $elsewhere = phone(1, starts_at => \"date_trunc('hour', now()) + interval '5 days 3 hours'");
calm;
gmake(gcopy($elsewhere, map { ($_ => (gevents($soon))[0]{$_}) } qw(start end)));
my $looks = "SELECT count(*) FROM telehealth_private.job_history WHERE kind = 'event' AND subject_id = " . row($elsewhere)->{id};
my $looked = $t->sql($looks);
compare($gid);
is($t->sql($looks), $looked, 'Y1: a copy that somebody has put elsewhere is not even looked for');

$google->edit_event(calendar => user(1), id => $event->{id}, delete => 1);
compare($gid);
ok((grep { !$live{ $_->{id} } } gevents($soon)), 'Y2: what somebody deleted is there again (restore)');
is($t->sql("SELECT change || ' ' || action FROM telehealth.calendar_change WHERE appointment_id = $soon"), 'deleted restore', 'Y2: and that is noted');
my ($now) = grep { $_->{id} =~ /^th/ } gevents($soon);
$google->edit_event(calendar => user(1), id => $now->{id}, set => { summary => 'Changed' });
compare($gid);
is((grep { $_->{id} eq $now->{id} } gevents($soon))[0]{summary}, 'Phone appointment', 'Y3: what somebody changed is as it was');

# a visit nobody told of
$t->sql("SET session_replication_role = replica; DELETE FROM telehealth.calendar_event WHERE appointment_id = $visits[1]");
$google->edit_event(calendar => user(1), id => (gevents($visits[1]))[0]{id}, drop => 1);
compare($gid);
is(scalar(my @made = gevents($visits[1])), 1, 'a visit that was forgotten is shown');

policy($gid, 'cancel');
my @far = map { phone(1, starts_at => \"date_trunc('hour', now()) + interval '$_ days'") } 6, 7;
calm;
$google->edit_event(calendar => user(1), id => (gevents($far[0]))[0]{id}, set => { start => { dateTime => '2034-01-01T10:00:00Z' }, end => { dateTime => '2034-01-01T11:00:00Z' } });
$google->edit_event(calendar => user(1), id => (gevents($far[1]))[0]{id}, delete => 1);
compare($gid);
is($t->sql("SELECT string_agg(status::text, ' ' ORDER BY id) FROM telehealth.appointment WHERE id IN ($far[0], $far[1])"), 'SCHEDULED CANCELLED',
	'Y2: one that was deleted cancels the visit, one that was moved far away does not');
policy($gid, 'restore');

# ---- the mass guard

my @mass = map { phone(1, starts_at => \"date_trunc('hour', now()) + interval '8 days' + interval '1 hour' * $_") } 1 .. 15;
calm;
$google->edit_event(calendar => user(1), id => (gevents($_))[0]{id}, delete => 1) for @mass;
compare($gid);
is($t->sql("SELECT suspicious_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $gid"), 't', 'Y4: if most of it is gone nothing is done');
is(scalar(map { gevents($_) } @mass), 0, '… yet');
$t->sql('SELECT telehealth.sync_calendar(1, NULL, true)');
ok($t->poll("SELECT suspicious_at IS NULL FROM telehealth.calendar_connection WHERE id = $gid", 't', 20), 'Y4: until somebody says so');
calm;
is(scalar(map { gevents($_) } @mass), 15, '… and then all are there again');

# ---- what was pulled before

$t->connect_google($google, provider => 2, user => user(2));
my $both = $t->sql("SELECT id FROM telehealth.calendar_connection WHERE provider_id = 2");
$google->edit_event(calendar => user(2), create => { summary => 'Dentist', start => $event->{start}, end => $event->{end} });
compare($both);
is(busy(2), 1, 'a calendar that is pulled is');
$t->sql("SELECT telehealth.configure_calendar($both, '{\"sync_direction\": \"push\"}')");
compare($both);
is(busy(2), 0, 'nothing of it stays once it is only pushed to');

# a copy in a calendar that is pulled
$t->sql("SELECT telehealth.configure_calendar($both, '{\"sync_direction\": \"both\"}')");
my $second = phone(2, starts_at => \"date_trunc('hour', now()) + interval '9 days'");
compare($both);
is(busy(2), 1, 'Y1: our own events are not busy');
my ($e2) = grep { ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-$second$/ } $google->live_events(user(2));
my %copy = map { $_ => $e2->{$_} } qw(summary start end extendedProperties visibility);
$google->edit_event(calendar => user(2), create => { %copy, summary => 'Mine' });
$google->edit_event(calendar => user(2), create => \%copy);
compare($both);
compare($both);
is(busy(2), 2, 'Y1: what somebody made of a copy is an event like any other');
is(scalar(grep { ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-$second$/ } $google->live_events(user(2))), 2, 'G7: a plain copy goes');

# ---- Graph, pulled too: its lists do not tell whose events are

my $oid = $t->connect_outlook($graph, provider => 3, user => user(3));
my $third = phone(3, starts_at => \"date_trunc('hour', now()) + interval '5 days'");
calm;
my $prefix = 'String {0c7d0e5b-6a0f-4d3c-9a59-3f0c1c1b7e42} Name telehealthKey';
sub oevents { my ($visit, $user) = @_; return grep { my $e = $_; grep { /-$visit$/ } values %{ $e->{properties} } } $graph->live_events($user) }
sub omake { my ($user, $visit, $key, %set) = @_; my ($e) = oevents($visit, $user);
	return $graph->edit_event(user => $user, create => { subject => $e->{subject}, start => $e->{start}, end => $e->{end}, singleValueExtendedProperties => [ { id => $prefix, value => $key } ], %set })->{id} }
sub olook
{
	my ($id, $provider, $visit, $name) = @_;
	my $user = user($provider);
	my ($e) = oevents($visit, $user);
	my ($ours) = grep { /^th-/ } values %{ $e->{properties} };
	(my $none = $ours) =~ s/\d+$/999999/;
	my @goes = (omake($user, $visit, $ours, transactionId => 'ab' x 16, subject => 'An older wish'), omake($user, $visit, $none, transactionId => 'cd' x 16), omake($user, $visit, $ours));
	my @stays = (omake($user, $visit, $ours, subject => 'Mine'), omake($user, $visit, $none, transactionId => 'localevent:1'));

	compare($id);
	my %there = map { $_->{id} => 1 } $graph->live_events($user);
	is(join(',', map { $there{$_} // 0 } $e->{id}, @goes), '1,0,0,0', "O5, G7: $name: what we made twice, or for nobody, goes, and a plain copy");
	is(join(',', map { $there{$_} // 0 } @stays), '1,1', "$name: what somebody made of a copy stays");
	compare($id);
	my $seen = total($graph);
	compare($id);
	is(writes($graph, $seen), '', "Y1: $name: and then nothing is written");
	return;
}
olook($oid, 3, $third, 'Graph');
is(busy(3), 2, 'Y1: Graph: what somebody made of a copy is busy, our own is not');
my $pid = $t->connect_outlook($graph, provider => 4, user => user(4), options => { sync_direction => 'push' });
my $fourth = phone(4, starts_at => \"date_trunc('hour', now()) + interval '5 days'");
calm;
olook($pid, 4, $fourth, 'Graph, only pushed to');
is(busy(4), 0, 'Graph: nothing is taken from it');
$graph->edit_event(user => user(4), id => row($fourth)->{external_id}, delete => 1);
compare($pid);
is(scalar(grep { $_->{subject} ne 'Mine' } oevents($fourth, user(4))), 1, 'Y2: Graph: what was deleted is there again');

# ---- CalDAV

SKIP:
{
	skip 'radicale is not installed', 6 if !$radicale;
	my $path = $radicale->make_calendar('work');
	$t->sql("SELECT telehealth.connect_calendar(5, 'caldav', " . literal({ url => $radicale->url($path), username => 'alice', password => 'pass word', sync_direction => 'push' }) . ')');
	my $cid = $t->sql('SELECT id FROM telehealth.calendar_connection WHERE provider_id = 5');
	ok($t->poll("SELECT status FROM telehealth.calendar_connection WHERE id = $cid", 'CONNECTED', 20), 'CalDAV: connected') or diag explain $t->row('SELECT * FROM telehealth.calendar_connection WHERE provider_id = 5');
	my @ids = map { phone(5, starts_at => \"date_trunc('hour', now()) + interval '$_ days'") } 5, 6;
	calm;
	my ($first, $last) = map { row($_)->{external_id} } @ids;
	my $text = $radicale->get($path . $first);
	(my $other = $first) =~ s/-0\.ics$/-7.ics/;
	(my $lost_name = $first) =~ s/-\d+-0\.ics$/-999999-0.ics/;
	my $number = 0;
	for my $name ($other, $lost_name, 'mine.ics')
	{
		$number++;
		(my $body = $text) =~ s/^UID:.*?\r?$/UID:telehealth-copy-$number/m;
		$radicale->put($path . $name, $body);
	}
	$radicale->delete($path . $last);
	compare($cid);
	my %names = map { $_ => 1 } $radicale->names($path);
	is(join(',', map { $names{$_} // 0 } $first, $other, $lost_name, 'mine.ics'), '1,0,0,1', 'G7, Y10: CalDAV: what we named twice, or for nobody, goes; a copy stays');
	ok($names{ row($ids[1])->{external_id} }, 'Y2: CalDAV: what was deleted is there again');
	is(busy(5), 0, 'CalDAV: nothing is taken from it');
	my $puts = $t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE kind = 'event'");
	compare($cid);
	is($t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE kind = 'event'") - $puts, 0, 'Y1: CalDAV: the next look leads to nothing');
	is(scalar(my @left = $radicale->names($path)), 3, '… and nothing has changed');
}

finish;
