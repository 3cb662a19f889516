# Lists that have always one page more: an end is made of them, in words, they
# are asked for ever more seldom, and what was known stays.
use TelehealthTest;
use ScriptedPeer;
use Mojo::JSON qw(encode_json);
use POSIX qw(strftime);

# What a pull reads at most: pages, events, and text that says where the next page begins
my ($PAGES, $EVENTS, $NEXT) = (2000, 100_000, 16 * 1024 * 1024);
my ($IN_PAGE, $NAMES, $LETTERS) = (1000, 1000, 400);

sub json { my ($answer) = @_; return [ 200, { 'Content-Type' => 'application/json' }, encode_json($answer) ] }
sub day { my ($n) = @_; return strftime('%Y-%m-%d', gmtime(time + 86_400 * $n)) }
sub multi { my (@parts) = @_; return [ 207, { 'Content-Type' => 'application/xml' }, join '', '<?xml version="1.0"?><multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">', @parts, '</multistatus>' ] }
sub found { my ($href, $prop) = @_; return "<response><href>$href</href><propstat><prop>$prop</prop><status>HTTP/1.1 200 OK</status></propstat></response>" }
my %event = (
	google => sub { my ($id) = @_; return { id => $id, etag => '"1"', status => 'confirmed', start => { dateTime => day(3) . 'T10:00:00Z' }, end => { dateTime => day(3) . 'T11:00:00Z' } } },
	graph => sub { my ($id) = @_; return { id => $id, '@odata.etag' => 'W/"1"', showAs => 'busy', start => { dateTime => day(3) . 'T10:00:00.0', timeZone => 'UTC' }, end => { dateTime => day(3) . 'T11:00:00.0', timeZone => 'UTC' } } });

# A list, and a search for events of ours: what is told decides if there is an end
sub list
{
	my ($kind, $request, $told) = @_;
	my $is_find = ($request->{query} // '') =~ /privateExtended|filter|find=/;
	my ($n) = ($request->{query} // '') =~ /(?:pageToken|page)=(\d+)/;
	my $is_endless = $told->{ $is_find ? 'search' : $kind };
	my $next = ($n // 0) + ($is_endless && $is_endless eq 'same' ? !defined $n : 1);
	my @events = $is_find ? () : map { $event{$kind}->($_) } !$is_endless || !$n ? 'first' : $kind eq 'google' ? "other-$n" : map { "other-$n-$_" } 1 .. $IN_PAGE;

	return json($is_endless ? { items => \@events, nextPageToken => "$next" } : { items => \@events, nextSyncToken => 'sync-1' }) if $kind eq 'google';
	return json($is_endless ? { value => \@events, '@odata.nextLink' => "http://$request->{headers}{host}/graph/me/calendar/events?page=$next" . ($is_find ? '&find=1' : '') }
		: { value => \@events, '@odata.deltaLink' => "http://$request->{headers}{host}/graph/me/calendarView/delta?t=1" });
}

sub dav
{
	my ($request, $told) = @_;
	my $body = $request->{body};

	return multi(found('/cal/', '<resourcetype><collection/><C:calendar/></resourcetype><current-user-privilege-set><privilege><write/></privilege></current-user-privilege-set>')) if $body =~ /current-user-privilege-set/;
	return multi(found('/cal/', '<sync-token>urn:1</sync-token>')) if $body =~ /getctag/;
	return multi(found('/cal/first.ics', '<getetag>"1"</getetag>')) if $body =~ /calendar-query/;
	if ($body =~ /sync-collection/)
	{
		my ($n) = $body =~ /urn:(\d+)/;
		return multi('<sync-token>urn:1</sync-token>') if !$told->{dav};
		$n++ if $told->{dav} ne 'same' || $n < 2;
		my @names = map { "<response><href>/cal/$n-$_-" . 'x' x $LETTERS . '.ics</href><propstat><prop><getetag>"1"</getetag></prop><status>HTTP/1.1 200 OK</status></propstat></response>' } 1 .. $NAMES;
		return multi($told->{dav} eq 'same' ? () : @names, '<response><href>/cal/</href><status>HTTP/1.1 507 Insufficient Storage</status></response>', "<sync-token>urn:$n</sync-token>");
	}
	my $d = day(3) =~ s/-//gr;
	return multi(found('/cal/first.ics', "<getetag>\"1\"</getetag><C:calendar-data>BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:first\nDTSTART:${d}T100000Z\nDTEND:${d}T110000Z\nEND:VEVENT\nEND:VCALENDAR\n</C:calendar-data>"));
}

my $peer = ScriptedPeer->start(sub {
	my ($request, $told) = @_;
	my ($method, $path) = @{$request}{qw(method path)};

	return json({ access_token => 'access', token_type => 'Bearer', expires_in => 3600, scope => 'https://www.googleapis.com/auth/calendar Calendars.ReadWrite offline_access' }) if $path =~ /token$/;
	return dav($request, $told) if $path =~ m{^/cal};
	return json({ id => 'c', timeZone => 'UTC' }) if $path =~ m{^/google/calendars/[^/]+/?$|^/graph/me/calendar$};
	return $told->{lost} ? undef : json($event{graph}->('made')) if $method eq 'POST' && $path =~ m{^/graph/.*/events$};
	return list($1, $request, $told) if $method eq 'GET' && $path =~ m{^/(google|graph)/.*/(?:events|delta)$};
	return [ 404, {}, '{}' ];
});
my $t = TelehealthTest->node('endless', conf => { 'telehealth.request_timeout_ms' => 5000 });
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook caldav);
my %connection = $t->connect_scripted($peer, google => { sync_direction => 'pull' }, dav => { sync_direction => 'pull' });
sub known
{
	my ($kind) = @_;
	return $t->sql("SELECT (SELECT md5(string_agg(b::text, '|' ORDER BY b.external_id)) FROM telehealth.busy_time AS b WHERE source = 'connection:$connection{$kind}') || ' ' || c.cursor || ' ' || c.pulled_at
		FROM telehealth_private.calendar_cursor AS c WHERE c.connection_id = $connection{$kind}");
}
for my $kind (sort keys %connection)
{
	ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE source = 'connection:$connection{$kind}'", 1, 30), "$kind: a calendar is connected and read")
	  or diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
	$t->poll("SELECT due_at > now() + interval '1 minute' FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $connection{$kind}", 't', 30);
}
my $first = $t->dispatcher_pid;
my %most = (google => $PAGES, graph => 2 + $EVENTS / $IN_PAGE, dav => 2 + $NEXT / $NAMES / $LETTERS);

# ---- pulls

for my $kind (sort keys %connection)
{
	my $job = "telehealth_private.job WHERE kind = 'pull' AND subject_id = $connection{$kind}";

	for my $how ('same', 'more')
	{
		my $was = known($kind);
		my ($before, $began) = ($peer->asked, time);

		$peer->tell($kind => $how);
		$t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = '2000-01-01Z' WHERE connection_id = $connection{$kind}") if $kind ne 'dav';
		$t->sql("UPDATE telehealth_private.job SET due_at = now(), failures = 5 WHERE kind = 'pull' AND subject_id = $connection{$kind}; SELECT telehealth_private.wake()");
		ok($t->poll("SELECT attempts = 0 AND (failures > 5 OR due_at > now() + interval '1 minute') FROM $job", 't', 120), "Y9: $kind: there is an end ($how page)")
		  or diag explain [ $t->rows("SELECT * FROM $job") ];
		my $asked = $peer->asked - $before;
		note "$asked requests in " . (time - $began) . ' s';
		if ($kind eq 'dav' && $how eq 'same')
		{
			is($t->sql("SELECT failures FROM $job"), 0, 'Y9: dav: a cut that gets nowhere is taken for the end');
			next;
		}
		is(known($kind), $was, "Y8: $kind: what was known is as it was, and the cursor");
		is($t->sql("SELECT last_error FROM telehealth.calendar_status WHERE connection_id = $connection{$kind}"), 'the calendar has more than is read', '… which is told');
		is($t->sql("SELECT failures = 6 AND due_at > now() AND dead_at IS NULL FROM $job"), 't', '… and it is tried again later');
		cmp_ok($asked, '<=', ($how eq 'same' ? 3 : $most{$kind}) + 5, '… having been asked no more');
		$peer->tell;
		$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $connection{$kind}; SELECT telehealth_private.wake()");
		ok($t->poll("SELECT failures = 0 AND due_at > now() + interval '1 minute' FROM $job", 't', 30), "Y9: $kind: with an end it is read");
		is($t->sql("SELECT last_error IS NULL FROM telehealth.calendar_status WHERE connection_id = $connection{$kind}"), 't', '… and nothing is left of it');
	}
}

# ---- a dispatcher that ends in the middle of it

my $pull = "telehealth_private.job WHERE kind = 'pull' AND subject_id = $connection{google}";
my ($was, $before) = (known('google'), $peer->asked);
sub lists { my ($since) = @_; return grep { ($_->{path} // '') =~ m{^/google/.*/events$} } $peer->requests(since => $since) }
$peer->tell(google => 'more');
$t->sql("UPDATE telehealth_private.job SET due_at = now(), failures = 5 WHERE kind = 'pull' AND subject_id = $connection{google}; SELECT telehealth_private.wake()");
ok(patiently(sub { $peer->asked > $before + 50 }, 30), 'a list without an end is being read');
is($t->dispatcher_pid, $first, 'by the first dispatcher');
my $pid = $t->restart_dispatcher;
my $between = $peer->asked;
ok($t->poll("SELECT attempts = 0 AND failures > 5 FROM $pull", 't', 120), 'Y9: the next dispatcher comes to an end, too')
  or diag explain [ $t->rows("SELECT * FROM $pull") ];
my @again = lists($before);
is(scalar(grep { $_->{query} !~ /pageToken/ } @again), 2, '… from the first page on');
cmp_ok(scalar(lists($between)), '<=', $PAGES, '… and reads no more than one pull may');
is(known('google'), $was, 'Y8: what was known is as it was');
is($t->sql("SELECT failures || ' ' || last_error FROM $pull"), '6 the calendar has more than is read', '… which is told');
$peer->tell;
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $connection{google}; SELECT telehealth_private.wake()");
ok($t->poll("SELECT failures = 0 AND attempts = 0 AND due_at > now() + interval '1 minute' FROM $pull", 't', 30), 'Y9: with an end it is read');

# ---- searches for events of ours

$peer->tell(lost => 1, search => 'more');
my $visit = $t->insert_visit(type => 'PHONE');
my $event = "telehealth_private.job WHERE kind = 'event'";
ok($t->poll("SELECT last_error FROM $event", 'the calendar has more than is read', 30), 'Y9: a search for an event that may be there has an end')
  or diag explain [ $t->rows("SELECT * FROM $event") ];
is($t->sql("SELECT due_at > now() AND dead_at IS NULL FROM $event"), 't', '… is tried again later');
is(scalar(() = grep { $_->{method} eq 'POST' && $_->{path} =~ /events$/ } $peer->requests), 1, 'G7: and the event is not made anew before');
$peer->tell;
$t->sql("SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status WHERE kind = 'event'");
ok($t->poll("SELECT external_id FROM telehealth.calendar_event WHERE appointment_id = $visit AND connection_id = $connection{graph} AND pushed_hash IS NOT NULL", 'made', 60), '… but once it ends');
$peer->tell(search => 'more');
$t->sql("SELECT telehealth.purge_remote($connection{graph})");
ok($t->poll("SELECT last_error FROM telehealth.calendar_status WHERE connection_id = $connection{graph}", 'the calendar has more than is read', 60), 'D10: what is to be emptied has an end');
is($t->sql("SELECT is_purging FROM telehealth.calendar_status WHERE connection_id = $connection{graph}"), 't', '… and is not taken for empty');
$peer->tell;
$t->sql("SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status WHERE kind = 'connection'");
ok($t->poll("SELECT is_purging FROM telehealth.calendar_status WHERE connection_id = $connection{graph}", 'f', 30), '… before it is');
is($t->dispatcher_pid, $pid, 'the dispatcher is the same');
finish;
