# What the CalDAV adapter makes of answers, good and hostile: alone, without a
# network.
use TelehealthTest;
use File::Basename qw(dirname);
use Mojo::JSON qw(decode_json);
use Mojo::Util qw(xml_escape);

my $source = dirname(__FILE__) . '/../..';
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
my $dir = File::Temp->newdir('caldav_' . 'X' x 8, TMPDIR => 1);
my $t = TelehealthTest->node('main', preload => 0, fast => 0, conf => { 'telehealth.allowed_hosts' => undef });
my $build = join ' ', 'cc -shared -fPIC -std=gnu11 -w', "-isystem \$($pg_config --includedir-server) -I$source/src",
  "$source/test/lib/caldav_adapter.c", (map { "$source/src/$_/*.o" } qw(base json crypto http ical calendar)),
  '$(pkg-config --libs libcurl libcrypto libqrencode libxml-2.0)', "-o $dir/caldav_adapter.so";

chmod 0755, "$dir";
is(system("$build 2>$dir/errors"), 0, 'the adapter is built') or diag `cat $dir/errors`;
$t->sql("CREATE FUNCTION caldav_build(jsonb) RETURNS text LANGUAGE c STRICT AS '$dir/caldav_adapter.so';
	CREATE FUNCTION caldav_read(jsonb, jsonb, bytea) RETURNS text LANGUAGE c STRICT AS '$dir/caldav_adapter.so'");

my %account = (
	api_url => 'https://dav.example',
	username => 'alice',
	password => "p\x{e4}ss",
	timezone => 'Europe/Berlin',
	window_start => '2026-01-01Z',
	window_end => '2026-07-01Z',
	page_size => 4);
my %wish = (
	uid => 'appointment-7.clinic-1@0.telehealth',
	key => 'th-0-1-2-7',
	starts_at => '2026-03-03 10:00Z',
	ends_at => '2026-03-03 10:30Z',
	updated_at => '2026-01-01Z',
	timezone => 'Europe/Berlin',
	summary => 'Telehealth appointment');
my $home = 'https://dav.example/cal/';

sub call { my ($op, %o) = @_; return { %account, op => $op, ($op eq 'discover' ? () : (calendar_id => $home)), %o } }
sub built { my ($call) = @_; return decode_json($t->sql('SELECT caldav_build(' . literal($call) . ')')) }

# The answer to an answer: status, body and how => {...}
sub answer
{
	my ($call, $status, $body, %how) = @_;
	utf8::encode($body) if utf8::is_utf8($body);

	return decode_json($t->sql('SELECT caldav_read(' . literal($call) . ', ' . literal({ status => $status, %how })
			  . ", '\\x" . unpack('H*', $body) . "')"));
}

sub verdict { my $a = answer(@_); return $a->{verdict} . ($a->{code} ? " $a->{code}" : '') }

my $spaces = 'xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:S="http://calendarserver.org/ns/"';
sub multi { my (@parts) = @_; return qq{<?xml version="1.0"?><multistatus $spaces>} . join('', @parts) . '</multistatus>' }
sub failure { my ($condition) = @_; return qq{<?xml version="1.0"?><error $spaces>$condition</error>} }

# A response: href, properties found
sub found
{
	my ($href, $prop) = @_;
	return "<response><href>$href</href><propstat><prop>$prop</prop><status>HTTP/1.1 200 OK</status></propstat></response>";
}
sub etag { my ($href, $etag) = @_; return found($href, "<getetag>$etag</getetag>") }
sub gone { my ($href, $status) = @_; return "<response><href>$href</href><status>HTTP/1.1 " . ($status // 404) . ' x</status></response>' }
sub data { my ($href, $ics) = @_; return found($href, '<getetag>"1"</getetag><C:calendar-data>' . xml_escape($ics) . '</C:calendar-data>') }
sub ics
{
	my (@lines) = @_;
	return join "\r\n", 'BEGIN:VCALENDAR', 'VERSION:2.0', 'BEGIN:VEVENT', 'UID:u', @lines, 'END:VEVENT', 'END:VCALENDAR', '';
}
my $plain = ics('DTSTART:20260203T100000Z', 'DTEND:20260203T110000Z');

# Where a pull stands after answers: the last one, and all events before
sub after
{
	my ($call, @answers) = @_;
	my (@events, $a);

	for my $one (@answers)
	{
		$a = answer($call, ref $one eq 'ARRAY' ? @$one : (207, $one));
		push @events, @{ $a->{events} };
		$call = { %$call, next => $a->{next} };
	}
	return { %$a, events => \@events, call => $call };
}
sub names { my ($a) = @_; return join ' ', map { $_->{external_id} . ($_->{deleted} ? '-' : '') . ($_->{problem} ? '!' : '') } @{ $a->{events} } }
sub asked { my ($a) = @_; my $body = built($a->{call})->{body} // ''; return join ' ', $body =~ m{<D:href>([^<]*)</D:href>}g }

# ---- one event

my $request = built(call('create', wish => \%wish));
is($request->{url}, $home . 'th-0-1-2-7-0.ics', 'a create has the name of its event');
is_deeply($request->{headers}, { 'If-None-Match' => '*' }, 'G7: … and may only be the first');
is($request->{authorization}, 'Basic YWxpY2U6cMOkc3M=', 'passwords are sent in UTF-8');
$request = built(call('update', wish => \%wish, external_id => 'x.ics', etag => '"7"'));
is_deeply([ $request->{url}, $request->{headers} ], [ $home . 'x.ics', { 'If-Match' => '"7"' } ], 'a change knows what it changes');
is_deeply(built(call('delete', external_id => 'x.ics'))->{headers}, {}, 'a deletion takes whatever there is, if told so');

my $create = call('create', wish => \%wish);
my $update = call('update', wish => \%wish, external_id => 'x.ics', etag => '"7"');
is(answer($create, 201, '', etag => '"1"')->{events}[0]{etag}, '"1"', 'an etag is kept');
is(answer($create, 201, '')->{events}[0]{etag}, undef, '… none is none');
is(answer($create, 201, '', etag => 'W/"1"')->{events}[0]{etag}, undef, '… and a weak one compares nothing');
is(verdict($create, 412, ''), 'exists', 'a name that is taken is looked at');
is(verdict($update, 412, ''), 'changed', 'a change that came too late, too');
is(verdict($update, 404, ''), 'gone', 'what is gone is gone');
is(verdict($create, 404, ''), 'permanent', '… but a calendar that is not there is an error');
is(verdict($create, 409, ''), 'permanent', '… so is a folder that is not');
is(verdict(call('delete', external_id => 'x.ics'), 410, ''), 'gone', 'a deletion of what is gone');
is(verdict($create, 401, ''), 'credentials', 'G6: a password that is refused');
is(verdict($create, 423, ''), 'retry', 'locked is later');
is(verdict($create, 507, ''), 'permanent', 'no room is not');
is(verdict($create, 500, ''), 'unknown', 'O6: a create that failed may have happened');
is(verdict($update, 500, ''), 'retry', '… a change is repeated');
is(verdict($create, 503, '', retry_after => '30'), 'rate_limited', 'O4: later, and when');
is(verdict($create, 429, ''), 'rate_limited', '… or not when');
is(verdict($create, 0, '', end => 5, maybe_sent => \1), 'unknown', 'O6: so may one without an answer');
is(verdict($create, 0, '', end => 3), 'retry', '… but not one that was never sent');
is(verdict($create, 0, '', end => 1), 'permanent', 'S4: what policy refuses is no outage');

my $conflict = failure('<C:no-uid-conflict><href>/cal/their%20name.ics</href></C:no-uid-conflict>');
my $a = answer($create, 409, $conflict);
is("$a->{verdict} " . names($a), 'exists their%20name.ics', 'our UID under a name of somebody else\'s is adopted');
is(verdict($create, 403, failure('<C:no-uid-conflict><href>/cal/th-0-1-9-7-0.ics</href></C:no-uid-conflict>')), 'retry no-uid-conflict',
	'… that of another connection of ours has to go first');
is(verdict($create, 409, failure('<C:no-uid-conflict/>')), 'retry no-uid-conflict', '… and one without a name waits');

my $read = answer(call('read', external_id => 'th-0-1-2-7-0.ics'), 200, ics('DTSTART:20400203T100000Z', 'DTEND:20400203T110000Z', 'SUMMARY:A\, b', 'DESCRIPTION:c\nd'), etag => '"2"');
is_deeply([ @{ $read->{events}[0] }{qw(key etag starts_at summary description)} ],
	[ 'th-0-1-2-7', '"2"', '2040-02-03 10:00:00+00', 'A, b', "c\nd" ], 'an event of ours is read wherever it is');
is(answer(call('read', external_id => 'th-0-1-2-7-0.ics'), 200, 'nonsense')->{events}[0]{problem} ne '', 1, 'nonsense in its place is told');
is(verdict(call('read', external_id => 'th-0-1-2-7-0.ics'), 200, "\xff\xfe"), 'retry', 'bytes that are no text are not read');

# ---- documents

my $list = call('list');
my %hostile = (
	'a million laughs' => '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "' . 'ha' x 100 . '">'
	  . join('', map { my $e = chr(97 + $_); my $d = chr(96 + $_); "<!ENTITY $e \"" . "&$d;" x 20 . '">' } 1 .. 9)
	  . "]><multistatus xmlns=\"DAV:\"><response><href>&j;</href></response></multistatus>",
	'a file of the server' => '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]><multistatus xmlns="DAV:"><response><href>&a;</href></response></multistatus>',
	'a document type elsewhere' => '<?xml version="1.0"?><!DOCTYPE m SYSTEM "http://127.0.0.1:1/x.dtd"><multistatus xmlns="DAV:"/>',
	'an attribute from a type' => '<?xml version="1.0"?><!DOCTYPE m [<!ATTLIST m a CDATA "x">]><multistatus xmlns="DAV:"/>',
	'an entity of nobody' => '<multistatus xmlns="DAV:">&who;</multistatus>',
	'another document' => '<html><body>Please log in</body></html>',
	'no document' => 'Service unavailable',
	'nothing' => '',
	'half a document' => substr(multi(found('/cal/', '<sync-token>x</sync-token>')), 0, 150),
	'a well without a bottom' => '<multistatus xmlns="DAV:">' . '<x>' x 5000 . '</x>' x 5000 . '</multistatus>',
	'another language' => qq{<?xml version="1.0" encoding="UTF-16"?><multistatus xmlns="DAV:"/>\xff},
	'the right words elsewhere' => '<multistatus xmlns="urn:x"><response><href>/cal/</href></response></multistatus>');
is(verdict($list, 207, $hostile{$_}), 'retry', "$_ is not read") for sort keys %hostile;
is(verdict($list, 200, multi(found('/cal/', '<sync-token>x</sync-token>'))), 'retry', 'what is no multistatus by its status, neither');
is(verdict($list, 207, multi()), 'retry', 'nor what says nothing');

# ---- pulls

my $look = multi(found($home, '<sync-token>urn:1?a=b&amp;c</sync-token>'));
like(built($list)->{body}, qr/propfind.*sync-token/s, 'a pull first asks for a token');
is(built($list)->{headers}{Depth}, 0, '… of the calendar alone');
$a = after($list, $look);
like(built($a->{call})->{body}, qr/time-range start="20260101T000000Z" end="20260701T000000Z"/, 'Y2: then for what is in the window');
my @odd = (
	etag('/cal/a.ics', '"1"'), etag('https://inside.example:8443/cal/b%2Eics', '"1"'), etag('c.ics', '"1"'),
	etag('/cal/d%20e%c3%a4%2b&amp;.ics', '"1"'), etag('/cal/', '"1"'), etag('/cal/sub/f.ics', '"1"'), etag('/other/g.ics', '"1"'),
	etag('/cal/../cal/h.ics', '"1"'), etag('/cal/%2e%2e/i.ics', '"1"'), etag('/cal/%2e%2E', '"1"'), etag('rr://?', '"1"'), etag('', '"1"'), etag('/cal/' . 'j' x 600, '"1"'),
	etag('/CAL/k.ics', '"1"'), etag('/cal/a.ics', '"2"'), etag('http://[::1/l.ics', '"1"'), gone('/cal/m.ics', 403),
	found('/cal/n/', '<resourcetype><collection/></resourcetype>'));
$a = after($list, $look, multi(@odd));
is(asked($a), '/cal/a.ics /cal/b.ics /cal/c.ics /cal/d%20e%C3%A4%2B%26.ics', 'S4: only members of the calendar are fetched, once each');
$a = after($list, $look, multi(@odd), multi(data('/cal/h.ics', $plain), data('/cal/a.ics', $plain), data('https://evil.example/cal/b.ics', $plain),
		gone('/cal/c.ics'), data('/cal/unasked.ics', $plain)));
is(names($a), 'a.ics b.ics c.ics- d%20e%C3%A4%2B%26.ics!', 'what was not asked for is not taken, what was not given is told');
is(asked($a), '/cal/h.ics', '… and the rest follows');
$a = after($a->{call}, multi(data('/cal/h.ics', $plain)));
is_deeply([ @$a{qw(verdict next cursor complete)} ], [ 'ok', undef, '- sync urn:1?a=b&c', 't' ], 'at last there is a cursor');

my $sync = call('list', cursor => 'a@b.c sync urn:1?a=b&c');
like(built($sync)->{body}, qr{<D:sync-token>urn:1\?a=b&amp;c</D:sync-token>}, 'O2: later pulls ask what changed since');
my $token = '<sync-token>2</sync-token>';
$a = after($sync, multi(gone('/cal/x.ics'), gone('/cal/y.ics', 410), etag('/cal/', '"1"'), $token));
is_deeply([ names($a), @$a{qw(next cursor complete)} ], [ 'x.ics- y.ics-', undef, 'a@b.c sync 2', undef ], 'what is gone needs no more calls');
my $cut = gone('/cal/', 507);
$a = after($sync, multi(etag('/cal/a.ics', '"1"'), gone('/cal/b.ics'), $cut, $token));
like(built($a->{call})->{body}, qr{<D:sync-token>2<}, 'a listing that is cut goes on with its token');
$a = after($a->{call}, multi(etag('/cal/b.ics', '"1"'), gone('/cal/a.ics'), '<sync-token>3</sync-token>'));
is(asked($a), '/cal/a.ics /cal/b.ics', '… and what it contradicts itself about is looked at');
is(after($a->{call}, multi(gone('/cal/a.ics'), data('/cal/b.ics', $plain)))->{cursor}, 'a@b.c sync 3', '… up to the last token');
$a = after($sync, multi($cut, '<sync-token>urn:1?a=b&amp;c</sync-token>'));
is($a->{next}, undef, 'one that is cut and gets nowhere ends');
is(verdict($sync, 207, multi(etag('/cal/a.ics', '"1"'))), 'reset', 'one without a token is no good');
for my $status (403, 409, 412, 400, 410, 415)
{
	is(answer($sync, $status, failure('<valid-sync-token/>'))->{verdict}, 'reset', "O2: a token that is refused ($status) begins anew");
}
is(verdict($sync, 401, ''), 'credentials', '… but not without a password');
is(verdict($sync, 404, ''), 'permanent', '… nor without a calendar');
is(verdict($sync, 503, ''), 'retry', '… nor without a server');

# too large
my $large = [ 0, '', end => 7 ];
$a = after($list, $look, $large);
like(built($a->{call})->{body}, qr/start="20260101T000000Z" end="20260401T120000Z"/, 'a listing that is too large is asked by halves');
$a = after($a->{call}, multi(etag('/cal/a.ics', '"1"')));
like(built($a->{call})->{body}, qr/start="20260401T120000Z" end="20260701T000000Z"/, '… one after the other');
$a = after($a->{call}, multi(map { etag("/cal/$_.ics", '"1"') } qw(b a c)));
is(asked($a), '/cal/a.ics /cal/b.ics /cal/c.ics', '… and fetched as one');
$a = after($a->{call}, $large);
is(asked($a), '/cal/a.ics /cal/b.ics', 'so are events');
$a = after($a->{call}, $large, $large);
is(names($a), 'a.ics!', 'Y8: one that is too large alone is set aside');
is(asked($a), '/cal/b.ics', '… and the others are not');

# without tokens
my $ctag = multi(found('/cal/', '<S:getctag>tag-1</S:getctag>'));
my $two = multi(map { etag("/cal/$_.ics", qq{"$_"}) } qw(a b));
$a = after($list, $ctag, $two, multi(map { data("/cal/$_.ics", $plain) } qw(a b)));
like($a->{cursor}, qr/^- ctag tag-1 /, 'a server without tokens has tags');
my $old = call('list', cursor => $a->{cursor});
$a = after($old, $ctag);
is_deeply([ names($a), @$a{qw(next cursor complete)} ], [ '', undef, $old->{cursor}, undef ], '… and while they are the same, nothing is asked');
my $tag2 = multi(found('/cal/', '<S:getctag>tag-2</S:getctag>'));
$a = after($old, $tag2, multi(etag('/cal/b.ics', '"new"'), etag('/cal/c.ics', '"c"')));
is(asked($a), '/cal/b.ics /cal/c.ics', '… else what has another etag is fetched');
is(names($a), 'a.ics-', '… and what has no name any more is gone');
$a = after($old, $tag2, $two);
is_deeply([ names($a), @$a{qw(next complete)} ], [ '', undef, undef ], 'tags may change for nothing');
$a = after($list, multi(found('/cal/', '')), $two);
is(asked($a), '/cal/a.ics /cal/b.ics', 'a server with neither is read all the same');
$a = after($old, multi(found('/cal/', '')), multi(etag('/cal/a.ics', '"a"'), found('/cal/b.ics', '')));
is(asked($a), '/cal/b.ics', 'what has no etag is always fetched');

# ---- nothing at all

my $itself = found('/cal/', '<resourcetype><collection/></resourcetype>');
$a = after($list, $look, multi());
is(join(' ', built($a->{call})->{method}, $a->{complete} // ''), 'PROPFIND ', 'Y4: that no event is there is not believed at once');
is(after($a->{call}, multi())->{verdict}, 'retry', 'Y4: not of a server that says nothing of the calendar itself either');
is(after($a->{call}, multi(etag('/elsewhere/', '"1"')))->{verdict}, 'retry', 'Y4: nor of another calendar');
is(after($a->{call}, [ 404, '' ])->{verdict}, 'permanent', 'Y4: nor of none');
$a = after($a->{call}, multi($itself));
is_deeply([ names($a), @$a{qw(verdict next complete)} ], [ '', 'ok', undef, 't' ], 'Y4: of a calendar that says it has nothing it is');
$a = after($list, $look, multi(), multi($itself, map { etag("/cal/$_.ics", '"1"') } qw(a b)));
is(asked($a), '/cal/a.ics /cal/b.ics', 'Y4: what it has but did not name is looked into');
$a = after($a->{call}, multi(data('/cal/a.ics', $plain), data('/cal/b.ics', ics('DTSTART:20200203T100000Z'))));
is_deeply([ names($a), $a->{complete} ], [ 'a.ics b.ics-', 't' ], '… and counts, if it is in the window');
is(asked(after($list, $look, multi(), multi($itself, map { etag("/cal/$_.ics", '"1"') } 1 .. 1000))), '', 'unless there is very much of it');
is_deeply([ @{ after($sync, multi('<sync-token>t-2</sync-token>')) }{qw(verdict cursor)} ], [ 'ok', 'a@b.c sync t-2' ], 'that nothing has changed is told with a token');

# ---- what is in the events

# Times of what one resource says
sub expanded
{
	my ($ics, %o) = @_;
	my $a = after({ %$list, %o }, $look, multi(etag('/cal/a.ics', '"1"')), multi(data('/cal/a.ics', $ics)));

	return join ' ', map { $_->{problem} // ($_->{deleted} ? 'none' : "$_->{starts_at}" =~ s/^2026-|:00\+00$//gr . ($_->{show} eq 'busy' ? '' : " $_->{show}")) } @{ $a->{events} };
}
is(expanded($plain), '02-03 10:00', 'an event is read');
is(expanded(ics('DTSTART:20250203T100000Z')), 'none', '… outside of the window there is nothing');
is(expanded("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), 'none', '… nor in an empty calendar');
is(expanded(ics('DTSTART;VALUE=DATE:20260203')), '02-02 23:00', 'T2: a day is the owner\'s');
is(expanded(ics('DTSTART:20260203T100000')), '02-03 09:00', '… so is a time without a zone');
is(expanded(ics('DTSTART;TZID=America/New_York:20260203T100000')), '02-03 15:00', 'T3: a zone without rules is the server\'s');
is(expanded(ics('DTSTART:20260203T100000Z', 'TRANSP:TRANSPARENT')), '02-03 10:00 free', 'G9: free');
is(expanded(ics('DTSTART:20260203T100000Z', 'STATUS:TENTATIVE')), '02-03 10:00 tentative', 'G9: tentative');
is(expanded(ics('DTSTART;TZID=Nowhere:20260203T100000')), 'the time zone is not known', 'Y8: a zone of nowhere');
my $start = time;
is((split / /, expanded(ics('DTSTART:20260103T100000Z', 'RRULE:FREQ=MINUTELY')), 2)[0], '01-03', 'what recurs each minute …');
like(expanded(ics('DTSTART:20260103T100000Z', 'RRULE:FREQ=MINUTELY')), qr/recurs too often$/, '… recurs too often');
expanded(ics('DTSTART:00010101T000000Z', "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"));
cmp_ok(time - $start, '<', 15, '… and rules that never end do');
unlike(join(' ', map { $_ // '' } map { @$_{qw(summary description location)} } @{ after($list, $look, multi(etag('/cal/a.ics', '"1"')), multi(data('/cal/a.ics', ics('DTSTART:20260203T100000Z', 'SUMMARY:Secret', 'LOCATION:Secret'))))->{events} }),
	qr/Secret/, 'D1: what others wrote into their events is not kept');


# invitations
my $look_who = multi(found($home, '<sync-token>1</sync-token><current-user-principal><href>/me/</href></current-user-principal>'));
$a = after($list, $look_who);
is(built($a->{call})->{url}, 'https://dav.example/me/', 'G9: a full pass asks who the owner is');
my $who = multi(found('/me/', '<C:calendar-user-address-set><href>mailto:Alice@Clinic.example</href><href>/me/</href><href>mailto:al@clinic.example</href></C:calendar-user-address-set>'));
for my $one ([ 'alice@clinic.example', 'DECLINED', 'declined' ], [ 'AL@clinic.example', 'TENTATIVE', 'tentative' ], [ 'al@clinic.example', 'NEEDS-ACTION', 'open' ],
	[ 'bob@clinic.example', 'DECLINED', 'none' ], [ 'ice@clinic.example', 'DECLINED', 'none' ], [ 'alice@clinic.example', 'ACCEPTED', 'accepted' ])
{
	my ($address, $status, $want) = @$one;
	$a = after($list, $look_who, $who, multi(etag('/cal/a.ics', '"1"')),
		multi(data('/cal/a.ics', ics('DTSTART:20260203T100000Z', 'ATTENDEE;PARTSTAT=ACCEPTED:mailto:zoe@clinic.example', "ATTENDEE;CN=X;PARTSTAT=$status:mailto:$address"))));
	is($a->{events}[0]{reply}, $want, "G9: $status by $address");
}
is($a->{cursor}, 'Alice@Clinic.example,al@clinic.example sync 1', '… which the cursor keeps');
is(after($list, $look_who, [ 403, '' ], multi(), multi($itself))->{cursor}, '- sync 1', 'a server that does not tell is read all the same');
like(built(after($list, multi(found($home, '<sync-token>1</sync-token><current-user-principal><href>https://evil.example/me/</href></current-user-principal>')))->{call})->{body},
	qr/calendar-query/, 'S4: … and nobody else is asked');

# ---- ours among others

my $find = call('find', key => 'th-0-1-2-7');
my $ours = multi(map { etag("/cal/$_.ics", '"1"') } qw(th-0-1-2-7-0 th-0-1-2-7-3 th-0-1-2-70-0 other th-x th--1 th-0-1-2-7-));
is(names(after($find, $ours)), 'th-0-1-2-7-0.ics th-0-1-2-7-3.ics', 'events of ours are known by their names');
is(join(' ', map { $_->{external_id} } grep { $_->{key} } @{ after(call('find'), $ours)->{events} }), 'th-0-1-2-7-0.ics th-0-1-2-7-3.ics th-0-1-2-70-0.ics', '… all of them, if all are asked for');
is(scalar(@{ after(call('find'), $ours)->{events} }), 7, '… with those that somebody has named otherwise');
$a = after($find, multi());
is(built($a->{call})->{method}, 'PROPFIND', 'Y4: a server that finds none lists, too');
is(after($a->{call}, multi())->{verdict}, 'retry', 'Y4: … itself first');
is(after($a->{call}, multi($itself))->{verdict}, 'ok', 'Y4: … then there is none');
$a = after($find, [ 501, '' ]);
is(built($a->{call})->{method}, 'PROPFIND', 'a server that cannot search lists');
is(after($a->{call}, [ 501, '' ])->{verdict}, 'permanent', '… or that is that');

# ---- discovery

my $discover = call('discover');
my $privileges = '<current-user-privilege-set><privilege><write/></privilege></current-user-privilege-set>';
sub calendar { my ($href, $more) = @_; return found($href, '<resourcetype><collection/><C:calendar/></resourcetype>' . ($more // $privileges)) }
my $principal = multi(found('/', '<current-user-principal><href>/me/</href></current-user-principal>'));
my $where = multi(found('/me/', '<C:calendar-home-set><href>/me/home/</href></C:calendar-home-set>'
		. '<C:calendar-user-address-set><href>/me/</href><href>mailto:alice@clinic.example</href></C:calendar-user-address-set>'));
sub urls { my ($call, @answers) = @_; my $a = after($call, @answers); return $a->{next} ? built($a->{call})->{url} : "$a->{verdict}: " . ($a->{calendar_id} // $a->{message}) }

is(urls($discover, multi(calendar('/x/'))), 'ok: https://dav.example/x/', 'O9: the address may be the calendar');
is(urls($discover, $principal), 'https://dav.example/me/', '… or a server');
is(urls($discover, $where), 'https://dav.example/me/home/', '… or a principal');
is(built(after($discover, $where)->{call})->{headers}{Depth}, 1, '… then the calendars are listed');
$a = after($discover, $principal, $where, multi(calendar('/me/home/one/', "$privileges<C:calendar-timezone>BEGIN:VTIMEZONE\nTZID:Europe/Paris\nEND:VTIMEZONE</C:calendar-timezone>")));
is_deeply([ @$a{qw(verdict calendar_id account timezone)} ], [ 'ok', 'https://dav.example/me/home/one/', 'alice@clinic.example', 'Europe/Paris' ], '… and the only one is it');
for my $status (403, 404, 405, 301)
{
	is(urls($discover, [ $status, '' ]), 'https://dav.example/.well-known/caldav', "what does not help ($status) leads on");
}
is(urls($discover, [ 404, '' ], [ 404, '' ]), 'https://dav.example/', '… to the root');
like(urls($discover, [ 404, '' ], [ 404, '' ], [ 404, '' ]), qr/^permanent: there is no calendar server/, '… and no farther');
is(urls($discover, [ 401, '' ]), 'credentials: HTTP status 401', 'a wrong password is told at once');
is(urls($discover, [ 503, '' ]), 'retry: HTTP status 503', '… so is a server that is away');

my @elsewhere = (301, '', location => 'https://evil.example/dav/');
is(urls($discover, [ 404, '' ], [ 307, '', location => '/dav/' ]), 'https://dav.example/dav/', 'redirects on the server are followed');
is(urls($discover, [@elsewhere]), 'https://dav.example/.well-known/caldav', 'S4: those of its web site to another are not');
is(urls($discover, [ 404, '' ], [@elsewhere]), 'permanent: the server leads to another one: connect to https://evil.example', '… nor any other: no password goes there');
is(urls($discover, multi(found('/', '<current-user-principal><href>https://evil.example/me/</href></current-user-principal>'))),
	'permanent: the server leads to another one: connect to https://evil.example',
	'… nor that of a principal');
like(urls($discover, $principal, multi(found('/me/', '<C:calendar-home-set><href>http://dav.example/me/</href></C:calendar-home-set>'))), qr/^permanent: the server leads to another one/, '… nor to the same one in the clear');
is(urls({ %$discover, api_url => 'http://dav.example' }, [ 301, '', location => 'https://dav.example/x' ]), 'https://dav.example/x', 'to the same one under a cover');
my $cloud = { %$discover, api_url => 'https://caldav.icloud.com' };
is(urls($cloud, multi(found('/1/principal/', '<C:calendar-home-set><href>https://p34-caldav.icloud.com:443/1/calendars/</href></C:calendar-home-set>'))),
	'https://p34-caldav.icloud.com:443/1/calendars/', 'iCloud has its calendars elsewhere');
like(urls($cloud, [ 404, '' ], [ 301, '', location => "https://$_/x" ]), qr/^permanent/, "… but not at $_")
  for qw(p34-caldav.icloud.com.evil.example evil.example p-caldav.icloud.com p1-caldav.icloud.com:444);
$a = { call => $discover };
$a = after($a->{call}, [ 301, '', location => '/round' ]) for 1 .. 14;
$a = after($a->{call}, [ 301, '', location => '/round' ]);
is($a->{message}, 'the server leads in circles', 'circles end');

my $named = { %$discover, calendar_id => 'Visits' };
my @many = (calendar('/me/a/', "$privileges<displayname>Home</displayname>"), calendar('/me/b/', "$privileges<displayname>Visits</displayname>"));
like(urls($discover, $where, multi(@many)), qr/^permanent: there are several calendars, give the calendar_id of one: "Home", "Visits"$/, 'of several none is guessed');
is(urls($named, $where, multi(@many)), 'ok: https://dav.example/me/b/', '… one is named');
is(urls({ %$discover, calendar_id => 'https://dav.example/me/a' }, $where, multi(@many)), 'ok: https://dav.example/me/a/', '… or given');
is(urls({ %$discover, calendar_id => 'Holidays' }, $where, multi(@many)), 'permanent: there is no calendar with this calendar_id', '… but not made up');
is(urls($discover, $where, multi(@many, calendar('/me/personal/'))), 'ok: https://dav.example/me/personal/', '… unless one is everybody\'s');
is(urls($discover, $where, multi(
			calendar('/me/read/', '<current-user-privilege-set><privilege><read/></privilege></current-user-privilege-set>'),
			calendar('/me/tasks/', "$privileges<C:supported-calendar-component-set><C:comp name=\"VTODO\"/></C:supported-calendar-component-set>"),
			found('/me/inbox/', '<resourcetype><collection/></resourcetype>'),
			calendar('/me/it/', "$privileges<C:supported-calendar-component-set><C:comp name=\"VTODO\"/><C:comp name=\"VEVENT\"/></C:supported-calendar-component-set>"))),
	'ok: https://dav.example/me/it/', 'what cannot hold visits does not count');
is(urls($discover, $where, multi()), 'permanent: there is no calendar that can be written', 'none is none');

# ---- documents and addresses alone, with whatever comes

SKIP:
{
	skip 'what is fuzzed does not run on the watched server', 1 if $ENV{TELEHEALTH_WATCHED};
	skip 'clang has no libFuzzer here', 1
	  if system(q{echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }' | clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null}) != 0;
	my $seconds = $ENV{TELEHEALTH_LONG} ? 60 : 4;
	my $said = `$source/test/fuzz/run $seconds $dir dav 2>&1`;

	is($?, 0, "the fuzzer finds nothing in $seconds s") or diag(substr($said, -3000));
}

finish();
