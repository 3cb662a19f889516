# A CalDAV server that refuses the same thing each time, or says of a name that
# it is taken and has nothing there: it is asked ever more seldom, the reason is
# told, and once it takes the event there is one.
use TelehealthTest;
use ScriptedPeer;

sub multi { my (@parts) = @_; return [ 207, { 'Content-Type' => 'application/xml' }, join '', '<?xml version="1.0"?><multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">', @parts, '</multistatus>' ] }
sub found { my ($href, $prop) = @_; return "<response><href>$href</href><propstat><prop>$prop</prop><status>HTTP/1.1 200 OK</status></propstat></response>" }
my $theirs = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:x\r\nDTSTART:20310101T100000Z\r\nDTEND:20310101T110000Z\r\nSUMMARY:Theirs\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

# told: put, get => status; taken => what the end of a taken name is; conflict => the name that is said to have our UID
my $peer = ScriptedPeer->start(sub {
	my ($request, $told) = @_;
	my ($method, $body) = @{$request}{qw(method body)};

	return [ $told->{get} // 404, { ETag => '"' . time . '"' }, $theirs ] if $method eq 'GET';
	return [ 204, {}, '' ] if $method eq 'DELETE';
	if ($method eq 'PUT')
	{
		return [ 409, {}, "<error xmlns=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"><C:no-uid-conflict><href>$told->{conflict}</href></C:no-uid-conflict></error>" ] if $told->{conflict};
		return [ 412, {}, '' ] if $told->{taken} && $request->{path} =~ /\Q$told->{taken}\E$/;
		return [ $told->{put} // 201, { ETag => '"1"' }, '' ];
	}
	return multi(found('/cal/', '<resourcetype><collection/><C:calendar/></resourcetype><current-user-privilege-set><privilege><write/></privilege></current-user-privilege-set>')) if $body =~ /current-user-privilege-set/;
	return multi($method eq 'PROPFIND' ? found('/cal/', '<resourcetype><collection/></resourcetype>') : ());
});
my $t = TelehealthTest->node('refused', conf => { 'telehealth.request_timeout_ms' => 1000, 'telehealth.poll_interval_ms' => 100 });
$t->create_extension;
$t->widen_calendar_limits('caldav');
my $id = $t->sql("SELECT telehealth.connect_calendar(1, 'caldav', " . literal({ url => $peer->url('/cal/'), username => 'u', password => 'word-1', sync_direction => 'push' }) . ") ->> 'connection_id'");
ok($t->poll("SELECT status FROM telehealth.calendar_connection WHERE id = $id", 'CONNECTED', 20), 'connected');

my $job = "telehealth_private.job WHERE kind = 'event'";
sub writes { my ($since) = @_; return scalar grep { ($_->{method} // '') eq 'PUT' } $peer->requests(since => $since) }

# It is refused three times and more; in a look at most so many requests write
sub refused_ok
{
	my ($name, $most, $error, $since) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($t->poll("SELECT failures >= 4 AND attempts = 0 FROM $job", 't', 60), "$name: it is asked ever more seldom") or diag explain [ $t->rows("SELECT * FROM $job") ];
	is($t->sql("SELECT dead_at IS NULL AND last_error ~ '$error' FROM $job"), 't', '… and says why') or diag explain [ $t->rows("SELECT * FROM $job") ];
	my $failures = $t->sql("SELECT failures FROM $job");
	cmp_ok(writes($since), '<=', $most * ($failures + 1), '… without more requests');
	$peer->tell;
	$t->sql("SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status WHERE kind = 'event'");
	ok($t->poll("SELECT count(*) FROM $job", 0, 30), '… until it is taken') or diag explain [ $t->rows("SELECT * FROM $job") ];
	return;
}

my $visit = $t->insert_visit(type => 'PHONE');
ok($t->poll("SELECT pushed_hash IS NOT NULL FROM telehealth.calendar_event WHERE appointment_id = $visit", 't', 20), 'an event is made');
$t->poll("SELECT count(*) FROM $job", 0, 20);
my $since = $peer->asked;
$peer->tell(put => 412, get => 200);
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $visit");
refused_ok('O6: a change that meets another\'s each time', 4, 'changes again and again', $since);

for my $case ([ 'a name that is taken and leads nowhere', { put => 412 }, 'name is taken' ], [ 'a UID that is said to be elsewhere, and is not', { conflict => '/cal/theirs.ics' }, 'name is taken' ],
	[ 'a create that fails each time', { put => 500 }, 'HTTP status 500' ])
{
	my ($name, $told, $error) = @$case;

	$since = $peer->asked;
	$peer->tell(%$told);
	$visit = $t->insert_visit(type => 'PHONE');
	$t->poll("SELECT count(*) FROM $job", 1, 20);
	refused_ok("O6: $name", 2, $error, $since);
	is($t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE appointment_id = $visit AND pushed_hash IS NOT NULL"), 1, '… as one event');
}

$peer->tell(taken => '-0.ics');
$visit = $t->insert_visit(type => 'PHONE');
ok($t->poll("SELECT external_id ~ '-1[.]ics\$' AND pushed_hash IS NOT NULL FROM telehealth.calendar_event WHERE appointment_id = $visit", 't', 30), 'O6: such a name is given up for another')
  or diag explain [ $t->rows("SELECT * FROM $job") ];

finish;
