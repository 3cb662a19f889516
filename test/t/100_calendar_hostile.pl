# Answers that no honest calendar server gives, over the wire: each is refused
# as a whole, what was known stays, nothing of it leads elsewhere, and the
# dispatcher goes on.
use TelehealthTest;
use ScriptedPeer;
use Mojo::JSON qw(encode_json);
use Mojo::Util qw(url_unescape);
use POSIX qw(strftime);

my $MB = 1024 * 1024;
my $trap = ScriptedPeer->start(sub { return [ 200, {}, '{}' ] });
my $inside = $trap->url;

# ---- a server of all three kinds

sub json { my ($answer, %headers) = @_; return [ 200, { 'Content-Type' => 'application/json', %headers }, ref $answer ? encode_json($answer) : $answer ] }
sub day { my ($n) = @_; return strftime('%Y-%m-%d', gmtime(time + 86_400 * $n)) }
sub google_event { my ($id, $n, %o) = @_; return { id => $id, etag => '"1"', status => 'confirmed', start => { dateTime => day($n) . 'T10:00:00Z' }, end => { dateTime => day($n) . 'T11:00:00Z' }, %o } }
sub graph_event { my ($id, $n, %o) = @_; return { id => $id, '@odata.etag' => 'W/"1"', showAs => 'busy', start => { dateTime => day($n) . 'T10:00:00.0', timeZone => 'UTC' }, end => { dateTime => day($n) . 'T11:00:00.0', timeZone => 'UTC' }, %o } }
my $dav_head = '<?xml version="1.0"?><multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">';
sub multi { my (@parts) = @_; return [ 207, { 'Content-Type' => 'application/xml; charset=utf-8' }, join '', $dav_head, @parts, '</multistatus>' ] }
sub found { my ($href, $prop) = @_; return "<response><href>$href</href><propstat><prop>$prop</prop><status>HTTP/1.1 200 OK</status></propstat></response>" }
sub dav_data
{
	my ($name, $n) = @_;
	my $d = day($n) =~ s/-//gr;
	return found("/cal/$name", '<getetag>"1"</getetag><C:calendar-data>' . "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:$name\nDTSTART:${d}T100000Z\nDTEND:${d}T110000Z\nEND:VEVENT\nEND:VCALENDAR\n" . '</C:calendar-data>');
}

# A piece so often, without a length
sub stream { my ($piece, $times, $head, $tail) = @_; return sub { my ($write) = @_; $write->($head // ''); for (1 .. $times) { $write->($piece) or return } $write->($tail // '') } }

# What a pull gets, by its name; the server's own address is $_[0]
my %as = (
	google => sub { my ($events, %o) = @_; return json({ items => $events, nextSyncToken => 'sync-1', %o }) },
	graph => sub { my ($events, %o) = @_; return json({ value => $events, '@odata.deltaLink' => 'SELF/graph/me/calendars/c/calendarView/delta?t=1', %o }) });
my %event = (google => \&google_event, graph => \&graph_event);
my $plain = 'telehealth';    # what repeats
my %wrong = (
	'100 MB that are announced' => sub { return [ 200, { 'Content-Length' => 100 * $MB }, stream('x' x $MB, 100) ] },
	'100 MB that are not' => sub { return [ 200, {}, stream('x' x $MB, 100) ] },
	'100 MB of blanks before a good one' => sub { return [ 200, {}, stream(' ' x $MB, 100, '', '{"items": [], "value": []}') ] },
	'a million items' => sub { my ($k) = @_; return [ 200, {}, stream('{},' x 10_000, 100, $k eq 'google' ? '{"nextSyncToken": "x", "items": [' : '{"@odata.deltaLink": "SELF/x", "value": [', '{}]}') ] },
	'a list of lists of lists' => sub { return json('{"items": ' . '[' x 100_000 . ']' x 100_000 . ', "value": 1}') },
	'objects in objects' => sub { return json('{"items":' x 50_000 . '1' . '}' x 50_000) },
	'half an answer' => sub { return json('{"items": [{"id": "x", "sta') },
	'a page of a web site' => sub { return [ 200, { 'Content-Type' => 'text/html' }, '<html><body>Please log in</body></html>' ] },
	'nothing' => sub { return [ 200, {}, '' ] },
	'a text' => sub { return json('"items"') },
	'a list' => sub { return json('[{"items": [], "value": []}]') },
	'a NUL' => sub { return json("{\"items\": [], \"value\": [], \"nextSyncToken\": \"a\0b\"}") },
	'a NUL behind the end' => sub { return json("{\"items\": [], \"value\": []}\0") },
	'bytes that are no text' => sub { return json("{\"items\": [{\"id\": \"\xff\xfe\xc0\x80\"}], \"value\": [{\"id\": \"\xed\xa0\x80\"}]}") },
	'an archive' => sub { return [ 200, { 'Content-Encoding' => 'gzip' }, "\x1f\x8b\x08" . "\0" x 1000 ] },
	'an answer for another' => sub { return json('{"kind": "calendar#acl", "entries": []}') },
	'a redirect inside' => sub { return [ 302, { Location => "$inside/latest/meta-data" }, '' ] },
	'a redirect that keeps the method' => sub { return [ 307, { Location => "$inside/latest/meta-data" }, '' ] },
	'a redirect to a file' => sub { return [ 301, { Location => 'file:///etc/passwd' }, '' ] });

# Only where a list has these
my %link = (
	'another host' => "$inside/next",
	'a user name' => 'http://127.0.0.1:PORT@localhost:' . $trap->port . '/next',
	'another port' => 'http://127.0.0.1:' . $trap->port . '/graph/next',
	'no address' => 'javascript:alert(1)',
	'a relative one' => '//127.0.0.1:' . $trap->port . '/next',
	'a file' => 'file:///etc/passwd');
my %dav = (
	'100 MB' => sub { return [ 207, {}, stream('<x>' x 100_000, 350, $dav_head) ] },
	'10,000 elements and no end' => sub { return [ 207, {}, stream('<response><href>/cal/x.ics</href></response>' x 100, 100, $dav_head, '') ] },
	'elements without an end' => sub { return [ 207, {}, $dav_head . '<x>' x 100_000 ] },
	'a million laughs' => sub { return [ 207, {}, '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "' . 'ha' x 100 . '">' . join('', map { my ($d, $e) = (chr(96 + $_), chr(97 + $_)); "<!ENTITY $e \"" . "&$d;" x 20 . '">' } 1 .. 9) . ']><multistatus xmlns="DAV:"><response><href>&j;</href></response></multistatus>' ] },
	'a file of the server' => sub { return [ 207, {}, '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]><multistatus xmlns="DAV:"><response><href>&a;</href></response></multistatus>' ] },
	'an entity of another server' => sub { return [ 207, {}, "<?xml version=\"1.0\"?><!DOCTYPE m [<!ENTITY a SYSTEM \"$inside/entity\">]><multistatus xmlns=\"DAV:\"><response><href>&a;</href></response></multistatus>" ] },
	'a type of another server' => sub { return [ 207, {}, "<?xml version=\"1.0\"?><!DOCTYPE m PUBLIC \"x\" \"$inside/type.dtd\"><multistatus xmlns=\"DAV:\"/>" ] },
	'an inclusion' => sub { return [ 207, {}, "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"$inside/include\"/>" ] },
	'JSON' => sub { return json('{"items": []}') },
	'a NUL' => sub { return [ 207, {}, $dav_head . "<response><href>/c\0al/</href></response></multistatus>" ] },
	'bytes that are no text' => sub { return [ 207, {}, $dav_head . "<response><href>/cal/\xff\xfe</href></response></multistatus>" ] },
	'a redirect inside' => sub { return [ 302, { Location => "$inside/cal/" }, '' ] },
	'a redirect that keeps the method' => sub { return [ 308, { Location => "$inside/cal/" }, '' ] });

# Items among good ones: the good are taken, of these what can be
my %odd = (
	'no id' => { id => undef }, 'an empty id' => { id => '' }, 'an object as id' => { id => { a => 1 } }, 'a path up' => { id => '..' }, 'a long path up' => { id => '../../../users' },
	'half a character' => { id => 'HALF' }, 'a NUL in a title' => { id => 'nul', summary => 'NUL' },
	'a line end in the id' => { id => "a\r\nX-Evil: 1" }, '100 kB of id' => { id => 'x' x 100_000 }, 'a year too late' => { start => { dateTime => '99999-01-01T00:00:00Z' } },
	'infinity' => { start => { dateTime => '-infinity' }, end => { dateTime => 'infinity' } }, 'words' => { start => { dateTime => 'now' }, end => { dateTime => 'tomorrow' } },
	'a zone of nobody' => { start => { dateTime => '2031-01-01T10:00:00', timeZone => "../../etc/passwd" }, end => { dateTime => '2031-01-01T11:00:00', timeZone => 'x' x 10_000 } },
	'the end before the start' => { start => { dateTime => '2031-01-02T10:00:00Z' }, end => { dateTime => '2031-01-01T10:00:00Z' } }, 'no times' => { start => undef, end => 7 },
	'a list for a time' => { start => ['2031'], end => { dateTime => { a => 1 } } }, 'line ends in an etag' => { etag => "\"1\r\nX-Evil: 1\"", '@odata.etag' => "W/\"1\"\r\nX-Evil: 1" },
	'10,000 guests' => { attendees => [ map { { email => "x$_\@y", self => Mojo::JSON->true } } 1 .. 2000 ] }, 'a key of ours that is none' => { extendedProperties => { private => { telehealthKey => 'th-' . '9' x 5000 } } });

sub list
{
	my ($kind, $told, $request) = @_;
	my $name = $told->{$kind} // 'good';
	my @events = map { $event{$kind}->($_, 3) } @{ $told->{events} // ['first'] };

	return $as{$kind}->(\@events) if $name eq 'good';
	return $wrong{$1}->($kind) if $name =~ /^wrong (.*)/;
	if ($name eq 'odd')
	{
		my $answer = $as{$kind}->([ @events, map { $event{$kind}->("odd-$_", 4, %{ $odd{$_} }) } sort keys %odd ]);

		$answer->[2] =~ s/HALF/\\ud800/;
		$answer->[2] =~ s/NUL/\\u0000/;
		return $answer;
	}
	if ($name =~ /^link (.*)/)
	{
		return json({ value => \@events, '@odata.nextLink' => $link{$1} }) if $kind eq 'graph';
		return json({ items => \@events, nextPageToken => $link{$1} }) if ($request->{query} // '') !~ /pageToken/;
		return json({ items => [], nextSyncToken => "\r\nX-Evil: 1 " . $link{$1} });
	}
	die "no answer $name";
}

sub dav
{
	my ($told, $request) = @_;
	my ($name, $body) = ($told->{dav} // 'good', $request->{body});

	return multi(found('/cal/', '<resourcetype><collection/><C:calendar/></resourcetype><current-user-privilege-set><privilege><write/></privilege></current-user-privilege-set>')) if $body =~ /current-user-privilege-set/;
	my $step = $body =~ /getctag/ ? 'look' : $body =~ /calendar-query|sync-collection/ ? 'names' : 'data';
	return $dav{$1}->() if $name =~ /^$step (.*)/;
	return multi(found('/cal/', '<sync-token>' . ($name eq 'token' ? "x&#10;0000000000000000../../other&#10;" . 'y' x 5000 : 'urn:1') . '</sync-token>')) if $body =~ /getctag/;
	return [ 403, {}, '<error xmlns="DAV:"><valid-sync-token/></error>' ] if $body =~ /sync-collection/;
	return multi(map { found("/cal/$_", '<getetag>"1"</getetag>') } 'first.ics', $name eq 'names' ? ('../up.ics', '%2e%2e/up.ics', '..', "a%0d%0aX-Evil:1.ics", 'x' x 5000, '%00.ics', $inside . '/cal/x.ics') : ()) if $body =~ /calendar-query/;
	return multi(map { dav_data($_, 3) } $body =~ m{/cal/([^<]*)</D:href>}g);
}

# Ids that a create is answered with, by the day that it is for
my %made;
@made{ 40 .. 47 } = ('..', '.', '', '../../other', "a\r\nX-Evil: 1", 'a?b#c', "\x{e4}", 'x' x 3000);
my %made_on = map { (day($_) => $made{$_}) } keys %made;
my %bad_tag = (etag => "\"1\"\r\nX-Evil: 1", '@odata.etag' => "W/\"1\"\r\nX-Evil: 1");
sub made { my ($request) = @_; return $request->{body} =~ /"(\d{4}-\d\d-\d\d)T12:00/ && $made_on{$1} }

# Whatever key is looked for, it is somebody's
sub claimed
{
	my ($query) = @_;
	my ($key) = url_unescape($query) =~ /(th-[-0-9a-f]+)/ or return { items => [], value => [] };
	my ($property) = url_unescape($query) =~ /id eq '([^']*)'/;
	my @ids = map { { id => $_ } } '..', '', '/';

	return {
		items => [ map { { %$_, extendedProperties => { private => { telehealthKey => $key } } } } @ids ],
		value => [ map { { %$_, transactionId => 'ab' x 16, singleValueExtendedProperties => [ { id => $property, value => $key } ] } } @ids ] };
}
my $peer = ScriptedPeer->start(sub {
	my ($request, $told) = @_;
	my ($method, $path) = @{$request}{qw(method path)};
	my $answer = $path =~ /token$/ ? json({ access_token => "access-$$", token_type => 'Bearer', expires_in => 3600, scope => 'https://www.googleapis.com/auth/calendar Calendars.ReadWrite offline_access' })
	  : $path =~ m{^/cal(?:/|$)} && $method =~ /PROPFIND|REPORT/ ? dav($told, $request)
	  : $path =~ m{^/google/calendars/[^/]+/?$} ? json({ id => 'c', timeZone => 'UTC' })
	  : $path =~ m{^/graph/me/calendar$} ? json({ id => 'c' })
	  : $method eq 'POST' && $path =~ m{^/(google|graph)/.*/events$} ? json($event{$1}->(made($request), 5, %bad_tag))
	  : $method eq 'GET' && $path =~ m{/events$} && ($request->{query} // '') =~ /privateExtended|filter/ ? json(claimed($request->{query}))
	  : $method eq 'PATCH' && $path =~ m{^/(google|graph)/} ? json($event{$1}->('..', 5, %bad_tag))
	  : $method eq 'PUT' ? [ 201, { ETag => '"a"b\\"' }, '' ]
	  : $method eq 'GET' && $path =~ m{^/(google|graph)/.*/(?:events|delta)$} ? list($1, $told, $request)
	  : [ 404, {}, '{}' ];
	my ($own) = $request->{headers}{host} =~ /:(\d+)/;

	$answer->[2] =~ s/SELF/http:\/\/127.0.0.1:$own/g, $answer->[2] =~ s/PORT/$own/g if !ref $answer->[2];
	return $answer;
});

# ---- three calendars

my $t = TelehealthTest->node('hostile', conf => { 'telehealth.request_timeout_ms' => 2000 });
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook caldav);
my %connection = $t->connect_scripted($peer);

sub known
{
	my ($kind) = @_;
	return $t->sql("SELECT (SELECT md5(string_agg(b::text, '|' ORDER BY b.external_id)) FROM telehealth.busy_time AS b WHERE source = 'connection:$connection{$kind}') || c.cursor || c.pulled_at
		FROM telehealth_private.calendar_cursor AS c WHERE c.connection_id = $connection{$kind}");
}

# One pull under that answer: what its job then says, '' if it was good
sub pull
{
	my ($kind, %tell) = @_;
	my $job = "kind = 'pull' AND subject_id = $connection{$kind}";
	my $before = $t->sql("SELECT count(*) FROM telehealth_private.job_history WHERE $job");

	$peer->tell(%tell);
	$t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = '2000-01-01Z' WHERE connection_id = $connection{$kind}") if $tell{full};
	$t->sql("UPDATE telehealth_private.job SET due_at = now(), attempts = 0, failures = 0, last_error = NULL WHERE $job; SELECT telehealth_private.wake()");
	$t->poll("SELECT due_at > now() + interval '100 ms' AND (failures > 0 OR attempts = 0) FROM telehealth_private.job WHERE $job", 't', 30)
	  or return 'it does not end: ' . $t->sql("SELECT j::text FROM telehealth_private.job AS j WHERE $job");
	return $t->sql("SELECT coalesce(last_error, '') FROM telehealth_private.job WHERE $job");
}
for my $kind (sort keys %connection)
{
	ok($t->poll("SELECT status FROM telehealth.calendar_connection WHERE id = $connection{$kind}", 'CONNECTED', 20), "$kind is connected")
	  or diag explain [ $t->rows("SELECT * FROM telehealth.calendar_connection") ];
	ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE source = 'connection:$connection{$kind}'", 1, 20), '… and read');
}
my $pid = $t->dispatcher_pid;
my $from = $t->log_size;

# ---- pulls

sub events { my ($kind) = @_; return $t->sql("SELECT string_agg(external_id, ' ' ORDER BY external_id) FROM telehealth.busy_time WHERE source = 'connection:$connection{$kind}'") }
for my $kind (qw(google graph))
{
	my $was = known($kind);

	isnt(pull($kind, $kind => "wrong $_", full => 1), '', "$kind: $_ is refused") for sort keys %wrong;
	is(known($kind), $was, "$kind, Y8: what was known is as it was");
	if ($kind eq 'graph')
	{
		isnt(pull($kind, $kind => "link $_", full => 1), '', "S4: a next page at $_ is refused") for sort keys %link;
		is(known($kind), $was, 'Y8: what was known is as it was');
	}
	else
	{
		is(pull($kind, $kind => "link $_", full => 1), '', "S4: a token with $_ is a token") for sort keys %link;
		is(pull($kind), '', '… now and later');
	}
	is(pull($kind, $kind => 'odd', events => [qw(first second)], full => 1), '', "$kind: among items that are none");
	like(events($kind), qr/first .*second/, '… Y8: the others are taken');
	cmp_ok($t->sql("SELECT count(*) FROM telehealth.import_problem WHERE source = 'connection:$connection{$kind}'"), '>', 5, '… and they are told');
	is(pull($kind, events => ['third'], full => 1), '', "$kind: a good answer is taken");
	is(events($kind), 'third', '… as a whole');
}
for my $step (qw(look names data))
{
	for my $name (sort keys %dav)
	{
		my $error = pull('dav', dav => "$step $name", full => 1);

		# what cannot be read of one event is a problem of that event
		isnt($error, '', "dav: $name is refused ($step)") if $step ne 'data';
	}
	is(events('dav'), 'first.ics', "dav, Y8: what was known is as it was ($step)");
}
is(pull('dav', dav => 'names', full => 1), '', 'dav: names that lead elsewhere');
is(pull('dav', dav => 'token', full => 1), '', 'dav: a token with line ends');
is(events('dav'), 'first.ics', '… are not followed');
is($t->dispatcher_pid, $pid, 'the dispatcher is the same');
unlike($t->log_text($from), qr/ (?:ERROR|FATAL|PANIC): (?!.*canceling)/, '… and had no error') or diag join "\n", grep { / (ERROR|FATAL|PANIC):/ } split /\n/, $t->log_text($from);
is_deeply([ $trap->requests ], [], 'S4: nothing arrived where answers led to');
is(join(' ', sort { $a cmp $b } keys %{ { map { $_->{path} => 1 } grep { $_->{path} =~ /cal/ && $_->{path} !~ m{^/(?:google|graph)/} } $peer->requests } }), '/cal /cal/', 'S4: and nothing beside the collection');

# ---- ids and tags of events of ours

# A create is answered with the id of the day that it is for
my @visits = map { $t->insert_visit(type => 'PHONE', starts_at => day($_) . ' 12:00Z') } sort { $a <=> $b } keys %made;
sub tried
{
	my ($more) = @_;
	return ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('event', 'calendars') AND (failures = 0 OR attempts > 0) AND dead_at IS NULL", 0, 30), $more)
	  || diag explain [ $t->rows("SELECT * FROM telehealth_private.job WHERE kind IN ('event', 'calendars')") ];
}
sub again { return $t->sql("UPDATE telehealth_private.job SET due_at = now(), dead_at = NULL, failures = 0 WHERE kind IN ('event', 'calendars'); SELECT telehealth_private.wake()") }
$peer->tell(create => 1);
again();
tried('events are made');
$t->sql('UPDATE telehealth.appointment SET duration = 50');
again();
tried('… changed');
$t->sql('DELETE FROM telehealth.appointment');
again();
tried('… and removed');
my %call = map { ("$_->{method} $_->{path}" => 1) } grep { $_->{method} =~ /PATCH|PUT|DELETE/ } $peer->requests;
ok($call{$_}, "what an id says is one part of an address: $_")
  for 'DELETE /google/calendars/primary/events/..%2F..%2Fother', 'DELETE /google/calendars/primary/events/a%3Fb%23c', 'DELETE /graph/me/calendar/events/%2F';
is(join(' ', grep { !m{ /(?:google/calendars/primary|graph/me/calendar)/events/[^/]+$} && !m{^\S+ /cal/th-[-0-9a-f]+\.ics$} } sort keys %call), '', 'S4: and never the way to something else');
unlike(join(' ', map { join ' ', %{ $_->{headers} } } $peer->requests), qr/x-evil/i, 'S4: no answer makes a header');
is_deeply([ $trap->requests ], [], 'S4: and nothing arrived elsewhere');
is($t->dispatcher_pid, $pid, 'the dispatcher is the same');
unlike($t->log_text($from), qr/ (?:ERROR|FATAL|PANIC): /, '… and had no error');

finish;
