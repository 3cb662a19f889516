# Calendars behind CalDAV: a real server (Radicale), with people's calendar
# programs at the other side.
use TelehealthTest;
use Radicale;

plan skip_all => 'radicale is not installed' if !Radicale->is_here;

my $radicale = Radicale->start(users => { alice => 'pass word', bob => 'secret:2' });
my $path = $radicale->make_calendar('work');
my $t = TelehealthTest->node('main');
$t->create_extension;

my $tables = 'telehealth.calendar_connection';

# Connects a provider's calendar; its id
sub begin
{
	my ($provider, $url, %o) = @_;
	my %options = (url => $url, username => 'alice', password => 'pass word', %o);

	return $t->sql("SELECT telehealth.connect_calendar($provider, 'caldav', " . literal(\%options) . ") ->> 'connection_id'");
}

sub status { my ($id) = @_; return $t->row("SELECT * FROM $tables WHERE id = $id") }

sub await_status
{
	my ($id, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = $t->poll("SELECT status FROM $tables WHERE id = $id", $want, 20);

	ok($ok, $name) or diag explain status($id);
	return;
}

# What is in a calendar once it has so many resources
sub await_names
{
	my ($folder, $n) = @_;
	my @names;

	patiently(sub { @names = $radicale->names($folder); return @names == $n }, 20);
	return @names;
}

# All that was to be pushed is
sub settled
{
	return $t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event')", 0, 20);
}

# ---- connecting

my $connection = begin(1, $radicale->url);
await_status($connection, 'CONNECTED', 'a server is enough to find the only calendar');
is(status($connection)->{calendar_id}, $radicale->url($path), '… which is that one');
like($t->sql("SELECT envelope::text FROM telehealth_private.connection_secret WHERE connection_id = $connection"),
	qr/^(\\x[0-9a-f]+\s*)+$/, 'the password is kept as an envelope');
for my $url ($radicale->url('/alice/'), $radicale->url($path))
{
	my $id = begin(1, $url);

	is($id, $connection, 'the same provider has one connection of a kind');
	await_status($id, 'CONNECTED', "$url is as good");
	is(status($id)->{calendar_id}, $radicale->url($path), '… and leads to the same calendar');
}

# ---- push

my $visit = $t->insert_visit;
my ($name) = await_names($path, 1);
like($name, qr/^th-[0-9a-f]{32}-\d+-$connection-$visit-0\.ics$/, 'a visit is in the calendar, under a name that says nothing of it');
my $text = $radicale->get($path . $name);
like($text, qr/^SUMMARY:Telehealth appointment\r?$/m, 'it says what the policy allows');
unlike($text, qr/ATTENDEE|ORGANIZER|METHOD/, 'and nobody is invited');
like($text, qr/^CLASS:PRIVATE\r?$/m, '… it is private');
settled();
is(scalar(my @one = $radicale->names($path)), 1, 'G7: one event a visit');

$t->sql("UPDATE telehealth.appointment SET starts_at = '2031-03-03 10:00Z' WHERE id = $visit");
ok(patiently(sub { $radicale->get($path . $name) =~ /^DTSTART(?:;TZID=[^:]+)?:20310303T\d{6}/m }, 20), 'a visit that moves moves there');
settled();
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $visit");
is(scalar(my @none = await_names($path, 0)), 0, 'one that is cancelled vanishes');
$t->sql("UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE id = $visit");
my ($again) = await_names($path, 1);
ok(defined $again, 'and one that is back is there again');

# A name of ours that an event of somebody's has
(my $taken = $again) =~ s/-$visit-\d+\.ics$/-9001-0.ics/;
$radicale->put($path . $taken, $radicale->event('theirs', '20310305T120000Z', '20310305T130000Z'));
$t->insert_visit(id => 9001);
(my $beside = $taken) =~ s/-0\.ics$/-1.ics/;
ok($t->poll('SELECT external_id FROM telehealth.calendar_event WHERE appointment_id = 9001 AND pushed_hash IS NOT NULL', $beside, 20), 'O6: a visit whose name is taken gets another')
  or diag explain [ $t->rows("SELECT * FROM telehealth_private.job WHERE kind = 'event'") ];
like($radicale->get($path . $taken), qr/^UID:theirs\r?$/m, '… and what is there is left alone');
$t->sql('DELETE FROM telehealth.appointment WHERE id = 9001');
await_names($path, 2);
settled();
$radicale->delete($path . $taken);

# What a person did there meanwhile is met by the etag.
settled();
$radicale->put($path . $again, $radicale->event("appointment-$visit", '20310303T120000Z', '20310303T130000Z')
	  =~ s/UID:[^\r]+/$radicale->get($path . $again) =~ m{^(UID:[^\r\n]+)}m ? $1 : 'UID:x'/er);
$t->sql("UPDATE telehealth.appointment SET starts_at = '2031-03-04 10:00Z' WHERE id = $visit");
ok(patiently(sub { $radicale->get($path . $again) =~ /^DTSTART(?:;TZID=[^:]+)?:20310304T\d{6}/m }, 20),
	'a change meets what somebody changed there, and is made');
settled();
$t->sql("DELETE FROM telehealth.appointment WHERE id = $visit");
is(scalar(@none = await_names($path, 0)), 0, 'Y10: a visit that is deleted takes its event along');
settled();
is($t->sql('SELECT count(*) FROM telehealth.calendar_event'), 0, '… and then nothing of it is left here');

# ---- a password that is refused

my $bob = begin(2, $radicale->url, username => 'bob', password => 'wrong');
await_status($bob, 'REAUTH_REQUIRED', 'G6: a wrong password asks for another');
$radicale->make_calendar('private', user => 'bob');
is(begin(2, $radicale->url, username => 'bob', password => 'secret:2'), $bob, 'which is given the same way');
await_status($bob, 'CONNECTED', '… and the connection stands');

# ---- several calendars

$radicale->make_calendar('family', user => 'bob', display => 'Family & friends');
begin(2, $radicale->url, username => 'bob', password => 'secret:2');
await_status($bob, 'CONNECTED', 'a calendar that was found stays the one');
is(status($bob)->{calendar_id}, $radicale->url('/bob/private/'), '… although there is another by now');
begin(2, $radicale->url, username => 'alice', password => 'pass word');
await_status($bob, 'CONNECTED', 'another user at the same address');
is(status($bob)->{calendar_id}, $radicale->url($path), '… has a calendar of her own');
begin(2, $radicale->url('/bob/private/'), username => 'bob', password => 'secret:2');
await_status($bob, 'CONNECTED', '… as has the first');
is(status($bob)->{calendar_id}, $radicale->url('/bob/private/'), '… who is back');
begin(3, $radicale->url, username => 'bob', password => 'secret:2');
ok($t->poll(q{SELECT last_error ~ '^there are several calendars, give the calendar_id of one: ("private", "Family & friends"|"Family & friends", "private")$'} . " FROM $tables WHERE provider_id = 3", 't', 20),
	'no visit is put into somebody\'s other calendar by guess');
my $third = begin(3, $radicale->url, username => 'bob', password => 'secret:2', calendar_id => 'Family & friends');
await_status($third, 'CONNECTED', '… but one can be named');
is(status($third)->{calendar_id}, $radicale->url('/bob/family/'), '… as people know it');

# ---- pull

# Pulls now and waits for it
sub pull
{
	my ($id) = @_;
	my $since = $t->sql('SELECT clock_timestamp()');

	$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $id");
	return $t->poll("SELECT last_sync_at > '$since' FROM $tables WHERE id = $id", 't', 20);
}

# What is busy by a connection, as text
sub busy
{
	my ($id) = @_;

	return join "\n", map { "$_->{external_id} $_->{status} $_->{during}" } $t->rows(
		"SELECT external_id, status, during::text AS during FROM telehealth.busy_time WHERE source = 'connection:$id' ORDER BY external_id, during");
}

# An instant so many days from today, as iCalendar has it, and as a range shows it
my $today = $t->sql("SELECT date_trunc('day', now() AT TIME ZONE 'UTC')::date");
sub day { my ($n, $format) = @_; return $t->sql("SELECT to_char('$today'::date + $n, '" . ($format // 'YYYYMMDD') . "')") }
sub zulu { my ($n, $time) = @_; return day($n) . "T${time}00Z" }
sub range { my ($n, $from, $to) = @_; my $d = day($n, 'YYYY-MM-DD'); return qq{["$d $from:00+00","$d $to:00+00")} }

$t->sql("ALTER SYSTEM SET timezone = 'UTC'");
$t->reload_conf;
$t->sql("INSERT INTO telehealth.provider (id, timezone) VALUES (1, 'Europe/Berlin') ON CONFLICT DO NOTHING");
ok(pull($connection), 'a pull of an empty calendar ends');
is(busy($connection), '', '… and nothing is busy');

$radicale->put("${path}dentist.ics", $radicale->event('dentist', zulu(3, '1000'), zulu(3, '1100')));
$radicale->put("${path}maybe.ics", $radicale->event('maybe', zulu(4, '1000'), zulu(4, '1100'), more => ['STATUS:TENTATIVE']));
$radicale->put("${path}free.ics", $radicale->event('free', zulu(4, '1200'), zulu(4, '1300'), more => ['TRANSP:TRANSPARENT']));
$radicale->put("${path}over.ics", $radicale->event('over', zulu(-200, '1200'), zulu(-200, '1300')));
$radicale->put("${path}with%20blank%2B.ics", $radicale->event('blank', zulu(5, '1000'), zulu(5, '1100')));
$radicale->put("${path}task.ics", $radicale->event('task', undef, undef, times => 'DUE:' . zulu(3, '1200')) =~ s/VEVENT/VTODO/gr);
pull($connection);
my @fixed = ('dentist.ics BUSY ' . range(3, '10:00', '11:00'), 'maybe.ics TENTATIVE ' . range(4, '10:00', '11:00'),
	'with%20blank%2B.ics BUSY ' . range(5, '10:00', '11:00'));
is(busy($connection), join("\n", @fixed), 'G9: what is there is busy, free time is not, nor what is past or no event');
like($t->sql("SELECT cursor FROM telehealth_private.calendar_cursor WHERE connection_id = $connection"), qr{^- sync http},
	'the cursor is the server\'s token');

my $before = $t->sql("SELECT xmin FROM telehealth.busy_time WHERE external_id = 'dentist.ics'");
pull($connection) for 1 .. 2;
is($t->sql("SELECT xmin FROM telehealth.busy_time WHERE external_id = 'dentist.ics'"), $before, 'pulls without a change write no row');

# Changes, by the token
$radicale->put("${path}dentist.ics", $radicale->event('dentist', zulu(6, '0800'), zulu(6, '0900')));
$radicale->delete("${path}maybe.ics");
$radicale->put("${path}series.ics", $radicale->event('series', undef, undef,
		times => 'DTSTART;TZID=Europe/Berlin:' . day(10) . "T090000\r\nDTEND;TZID=Europe/Berlin:" . day(10) . "T100000\r\nRRULE:FREQ=DAILY;COUNT=3\r\nEXDATE;TZID=Europe/Berlin:" . day(11) . 'T090000'));
$radicale->put("${path}day.ics", $radicale->event('day', undef, undef, times => 'DTSTART;VALUE=DATE:' . day(20) . "\r\nDTEND;VALUE=DATE:" . day(21)));
pull($connection);
my $sql = "SELECT string_agg(external_id || ' ' || to_char(lower(during) AT TIME ZONE 'Europe/Berlin', 'YYYYMMDD HH24:MI')"
  . " || '-' || to_char(upper(during) AT TIME ZONE 'Europe/Berlin', 'YYYYMMDD HH24:MI'), E'\\n' ORDER BY external_id, during)"
  . " FROM telehealth.busy_time WHERE source = 'connection:$connection' AND external_id IN ('series.ics', 'day.ics', 'maybe.ics')";
is($t->sql($sql), join("\n", 'day.ics ' . day(20) . ' 00:00-' . day(21) . ' 00:00',
		map { 'series.ics ' . day($_) . ' 09:00-' . day($_) . ' 10:00' } 10, 12),
	'T2: days and local times are the provider\'s, exceptions are heeded, what is gone is gone');
like(busy($connection), qr/^dentist\.ics BUSY \Q@{[range(6, '08:00', '09:00')]}\E$/m, 'what moved has moved');

# A series that changes is replaced
$radicale->put("${path}series.ics", $radicale->event('series', zulu(10, '1500'), zulu(10, '1600')));
$radicale->delete("${path}day.ics");
pull($connection);
is(scalar(grep { /^series/ } split /\n/, busy($connection)), 1, 'a series that is none any more leaves nothing behind');

# One bad item
$radicale->put("${path}series.ics", $radicale->event('series', undef, undef, times => 'DTSTART;TZID=Nowhere/Land:' . day(10) . "T090000\r\nDTEND;TZID=Nowhere/Land:" . day(10) . 'T100000'));
$radicale->put("${path}new.ics", $radicale->event('new', zulu(11, '1500'), zulu(11, '1600')));
pull($connection);
is($t->sql("SELECT reason FROM telehealth.import_problem WHERE source = 'connection:$connection'"), 'the time zone is not known', 'Y8: what cannot be read is set aside');
like(busy($connection), qr/^new\.ics.*\n(.*\n)*series\.ics/m, '… what was known of it stays, and all others are read');
$radicale->delete("$path$_.ics") for qw(series new);
pull($connection);
is($t->sql("SELECT count(*) FROM telehealth.import_problem WHERE source = 'connection:$connection'"), 0, '… until it is good, or gone');

# ---- our own events

$visit = $t->insert_visit;
($name) = grep { /^th-/ } await_names($path, 6);
settled();
pull($connection);
unlike(busy($connection), qr/th-/, 'Y1: an event of ours is never busy');
is($t->sql("SELECT remote_state FROM telehealth.calendar_event WHERE appointment_id = $visit"), 'unchanged', '… nor does it seem changed');

$radicale->delete($path . $name);
pull($connection);
my @theirs;
ok(patiently(sub { @theirs = grep { /^th-/ } $radicale->names($path); return @theirs == 1 }, 20), 'Y2: an event of ours that was deleted there is restored');
is($t->sql("SELECT change || ' ' || action FROM telehealth.calendar_change WHERE appointment_id = $visit"), 'deleted restore', '… which is told');
settled();

my $there = $radicale->get($path . $theirs[0]);
$radicale->put($path . $theirs[0], $there =~ s/^(DT(?:START|END)[^:]*:)\d{8}/$1 . day(30)/gemr);
pull($connection);
ok(patiently(sub { my $now = $radicale->get($path . $theirs[0]); return ($now =~ /^(DTSTART.*?)\r?$/m)[0] eq ($there =~ /^(DTSTART.*?)\r?$/m)[0] }, 20),
	'Y3: one that was moved there is put back');
is($t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE appointment_id = $visit AND change = 'moved'"), 1, '… and it is told where it was');
settled();

$t->sql("SELECT telehealth.configure_calendar($connection, '{\"remote_change_policy\": \"cancel\"}')");
pull($connection);
$radicale->delete($path . $theirs[0]);
pull($connection);
ok($t->poll("SELECT status FROM telehealth.appointment WHERE id = $visit", 'CANCELLED', 20), 'Y2: where the policy says so, a deletion cancels the visit');
settled();

# ---- a token that is no good, a server that is away

$t->sql("UPDATE telehealth_private.calendar_cursor SET cursor = '- sync http://radicale.org/ns/sync/0' WHERE connection_id = $connection");
$radicale->delete("${path}dentist.ics");
pull($connection);
is(busy($connection), $fixed[2], 'O2: after a token that the server does not know all is read anew, and what is gone goes');
$radicale->stop;
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $connection");
ok($t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $connection", 't', 20), 'a server that is away fails pulls');
is(busy($connection), $fixed[2], '… and takes nothing along');
$radicale->restart;
ok(pull($connection), '… until it is back');

# ---- two providers with one calendar

my $fourth = begin(4, $radicale->url($path));
await_status($fourth, 'CONNECTED', 'two providers may have one calendar');
my $moving = $t->insert_visit;
patiently(sub { grep { /^th-.*-$connection-$moving-/ } $radicale->names($path) }, 20);
settled();
$t->sql("UPDATE telehealth.appointment SET provider_id = 4 WHERE id = $moving");
ok(patiently(sub { join(' ', grep { /^th-/ } $radicale->names($path)) =~ /^\S+-$fourth-$moving-\d+\.ics$/ }, 40),
	'a visit that changes hands is there once, as the other\'s')
  or diag join ' ', $radicale->names($path);
settled();
$t->sql("DELETE FROM telehealth.appointment WHERE id = $moving");
ok(patiently(sub { !grep { /^th-/ } $radicale->names($path) }, 20), '… until it is over');
settled();

# ---- the end

$t->insert_visit;
my $others = $t->insert_visit(provider_id => 4);
my ($theirs) = grep { /^th-.*-$fourth-$others-/ } await_names($path, 6);
my $strange = 'th-' . '0' x 32 . "-0-$connection-$visit-0.ics";
$radicale->put($path . $strange, $radicale->event('appointment-1.clinic-0@' . '0' x 32 . '.telehealth', zulu(40, '1000'), zulu(40, '1100')));
settled();
$t->sql("SELECT telehealth.disconnect_calendar(1, 'caldav', true)");
ok(patiently(sub { 2 == grep { /^th-/ } $radicale->names($path) }, 20), 'D10: a purge takes what is ours');
is(join(' ', sort $radicale->names($path)), join(' ', sort 'free.ics', 'over.ics', 'task.ics', $strange, $theirs, 'with%20blank%2B.ics'),
	'… and nothing else, not even what another installation or provider put there');
ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $connection", 0, 20), '… then the password is forgotten');
is(busy($connection), '', '… and what it knew');

finish();
