# A CalDAV server whose answers get lost on the way: nothing is made twice,
# nothing is forgotten, and half a listing is none.
use TelehealthTest;
use LossyProxy;
use Radicale;

plan skip_all => 'radicale is not installed' if !Radicale->is_here;

my $radicale = Radicale->start;
my $path = $radicale->make_calendar('work');
my $proxy = LossyProxy->start($radicale->port);
my $t = TelehealthTest->node('main');
$t->create_extension;

my $id = $t->sql("SELECT telehealth.connect_calendar(1, 'caldav', "
	  . literal({ url => $proxy->url($path), username => 'alice', password => 'pass word' }) . ") ->> 'connection_id'");
ok($t->poll("SELECT status FROM telehealth.calendar_connection WHERE id = $id", 'CONNECTED', 20), 'connected');

# All that was to be pushed is, and what it came to
sub settled
{
	ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event')", 0, 40), '… and all is settled')
	  or diag explain $t->rows('SELECT * FROM telehealth_private.job');
	return grep { /^th-/ } $radicale->names($path);
}
sub lost
{
	my ($method) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok(patiently(sub { $proxy->is_lost($method) }, 20), '… it was lost');
	return;
}

# A create, a change and a deletion; each loses its request, its answer, half of
# it, or is answered by something else.
for my $how ('before', 'after', 'half', 'etag', 500)
{
	$proxy->lose(PUT => $how);
	my $visit = $t->insert_visit;
	lost('PUT');
	my @names = settled();
	is(scalar @names, 1, "G7, O6: a create ($how) makes one event");
	is($t->sql("SELECT external_id FROM telehealth.calendar_event WHERE appointment_id = $visit"), $names[0] // 'none', '… which is known');

	$proxy->lose(PUT => $how);
	$t->sql("UPDATE telehealth.appointment SET starts_at = '2031-03-03 10:00Z' WHERE id = $visit");
	lost('PUT');
	settled();
	like($radicale->get($path . $names[0]), qr/^DTSTART(?:;[^:]*)?:20310303T/m, "a change ($how) is made");

	my $deletion = $how eq 'half' || $how eq 'etag' ? '' : $how;
	$proxy->lose(DELETE => $deletion) if $deletion;
	$t->sql("DELETE FROM telehealth.appointment WHERE id = $visit");
	lost('DELETE') if $deletion;
	is(scalar(my @none = settled()), 0, "Y10: a deletion ($deletion) is made");
	is($t->sql('SELECT count(*) FROM telehealth.calendar_event'), 0, '… and nothing of it is left');
}
is($t->sql("SELECT string_agg(c::text, E'\\n') FROM telehealth.calendar_change AS c"), '', 'none of it seems to be somebody else\'s doing');

# Pulls
sub pull
{
	my $since = $t->sql('SELECT clock_timestamp()');

	$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $id");
	return $t->poll("SELECT last_sync_at > '$since' FROM telehealth.calendar_connection WHERE id = $id", 't', 40);
}
my $busy = "SELECT string_agg(external_id, ' ' ORDER BY external_id) FROM telehealth.busy_time";
my $day = $t->sql("SELECT to_char(now() + interval '3 days', 'YYYYMMDD')");

$radicale->put("${path}e$_.ics", $radicale->event("e$_", "${day}T1${_}0000Z", "${day}T1${_}3000Z")) for 1 .. 3;
ok(pull(), 'a pull');
is($t->sql($busy), 'e1.ics e2.ics e3.ics', 'busy times are there');
for my $how ('before', 'half', 503, 403)
{
	my $gone = $t->sql("SELECT split_part(($busy), ' ', 1)");

	$radicale->delete($path . $gone);
	$radicale->put($path . $gone =~ s/\.ics/x.ics/r, $radicale->event("new $gone", "${day}T180000Z", "${day}T190000Z"));
	$proxy->lose(REPORT => $how);
	ok(pull(), "O2: a pull that loses its listing ($how) is made again");
	lost('REPORT');
	is($t->sql($busy), join(' ', sort grep { /^e/ } $radicale->names($path)), '… and ends with what is there');
}

finish();
