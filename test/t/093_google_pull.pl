# What is in a provider's Google calendar blocks booking: pulled as a whole or
# not at all, whatever the network, the sync tokens and people there do.
use TelehealthTest;
use FakeGoogle;
use Mojo::JSON qw(false true);

my $USER = 'user1@clinic.example';
my $fake = FakeGoogle->start(options => {
		users => [ map { { email => "user$_\@clinic.example", timeZone => 'America/New_York' } } 1 .. 3 ],
		rate => { user => 0, project => 0, calendar_writes => 0 }
	});
my $t = TelehealthTest->node('google',
	conf => { 'telehealth.request_timeout_ms' => 1000, 'telehealth.lease_seconds' => 5 });
$t->create_extension;
$t->add_hosts;
$t->widen_calendar_limits('google', page_size => 3);

my $id = $t->connect_google($fake);
my $source = "connection:$id";

# ---- what the tests say

sub day { my ($n) = @_; return $t->sql("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '$n days', 'YYYY-MM-DD')") }

# An event of the user's on day n from today: times of day in UTC, or start and
# end as Google has them
sub event
{
	my ($n, $from, $to, %o) = @_;
	my $day = day($n);
	my %time = ref $from ? (start => $from, end => $to)
	  : (start => { dateTime => "${day}T$from:00Z" }, end => { dateTime => "${day}T$to:00Z" });

	return $fake->edit_event(calendar => $USER, create => { summary => 'dentist', %time, %o })->{id};
}

sub edit { my ($event, %o) = @_; return $fake->edit_event(calendar => $USER, id => $event, %o) }
sub counts { return join ' ', map { $_ // '' } @{ $_[0] }{qw(created updated deleted errors)} }
sub sync { return counts($t->row("SELECT * FROM telehealth.sync_calendar(1, '20 s')")) }

sub full
{
	$t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = compared_at - interval '2 days'");
	return sync();
}

# Busy times of a day, "10:00-11:00"; a question mark behind what is tentative
sub busy
{
	my ($n) = @_;

	return $t->sql("SELECT COALESCE(string_agg(to_char(lower(during) AT TIME ZONE 'UTC', 'HH24:MI') || '-'"
		  . " || to_char(upper(during) AT TIME ZONE 'UTC', 'HH24:MI') || CASE status WHEN 'BUSY' THEN '' ELSE '?' END, ', ' ORDER BY during), '')"
		  . " FROM telehealth.busy_time WHERE source = '$source' AND lower(during) >= date_trunc('day', now(), 'UTC') + interval '$n days'"
		  . " AND lower(during) < date_trunc('day', now(), 'UTC') + interval '@{[ $n + 1 ]} days'");
}

# Changes the job of the pull, while none is under way
sub between_pulls
{
	my ($set) = @_;
	return patiently(sub { $t->sql("UPDATE telehealth_private.job SET $set WHERE kind = 'pull' AND attempts = 0 RETURNING 1") }, 20);
}

sub total { return $t->sql("SELECT count(*) FROM telehealth.busy_time WHERE source = '$source'") }

# ---- the first pull, and what follows

ok($t->poll("SELECT last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $id", 't'), 'a new connection is pulled at once');
my $dentist = event(3, '10:00', '11:00');
is(sync(), '1 0 0 0', 'sync_calendar() waits, and tells');
is(busy(3), '10:00-11:00', 'an event is busy time');
is($t->sql("SELECT is_free || ' ' || reason FROM telehealth.is_free(1, '@{[ day(3) ]} 10:30Z')"), 'false busy_time', 'A5: which is not free');
edit($dentist, set => { start => { dateTime => day(3) . 'T12:00:00Z' }, end => { dateTime => day(3) . 'T12:30:00Z' } });
is(sync() . ' ' . busy(3), '0 1 0 0 12:00-12:30', 'a moved event moves');
is(sync(), '0 0 0 0', 'nothing is nothing');
my @far = map { event($_, '09:00', '10:00') } -25, 20, 170, 400;
is(sync() . ' ' . total(), '3 0 0 0 4', 'what is outside of the window is not taken');
edit($_, delete => 1) for $dentist, @far;
is(sync() . ' ' . total(), '0 0 4 0 0', 'deleted events go, by tombstones with nothing but an id');
my $weekly = event(1, { dateTime => day(1) . 'T08:00:00', timeZone => 'America/New_York' }, { dateTime => day(1) . 'T09:00:00', timeZone => 'America/New_York' },
	recurrence => ['RRULE:FREQ=WEEKLY;COUNT=10']);
is(sync(), '10 0 0 0', 'a series is its occurrences, page after page');
is($t->sql("SELECT count(DISTINCT to_char(lower(during) AT TIME ZONE 'America/New_York', 'HH24:MI')) FROM telehealth.busy_time WHERE source = '$source'"),
	1, 'T1: at the same time of the day, over a change of the clocks too');
edit($weekly, delete => 1);
is(sync() . ' ' . total(), '0 0 10 0 0', 'and goes as a whole');

# ---- what is busy

my @rule = (
	[ 'an event', '10:00-11:00' ],
	[ 'a transparent one', '', transparency => 'transparent' ],
	[ 'a tentative one', '10:00-11:00?', status => 'tentative' ],
	[ 'out of office', '10:00-11:00', eventType => 'outOfOffice' ],
	[ 'a working location', '', eventType => 'workingLocation' ],
	[ 'focus time', '10:00-11:00', eventType => 'focusTime' ],
	(map {
		my ($reply, $busy) = @$_;
		[ "an invitation, $reply", $busy, attendees => [ { email => $USER, self => true, responseStatus => $reply } ] ];
	} [ accepted => '10:00-11:00' ], [ tentative => '10:00-11:00?' ], [ needsAction => '10:00-11:00?' ], [ declined => '' ]),
	[ 'a private event', '10:00-11:00', visibility => 'private' ]);
my @events = map { my ($name, $busy, %o) = @{ $rule[$_] }; event(40 + $_, '10:00', '11:00', %o) } 0 .. $#rule;
sync();
is(busy(40 + $_), $rule[$_][1], "G9: $rule[$_][0]") for 0 .. $#rule;
edit($_, delete => 1) for @events;
my ($from, $to) = (day(60), day(61));
my @days = (event(60, { date => $from }, { date => $to }), event(60, { date => $from }, { date => $to }, transparency => 'transparent'));
sync();
like(busy(60), qr/^0[45]:00-0[45]:00$/, 'G9: a whole day is busy from midnight to midnight there, a transparent one is not');
edit($_, delete => 1) for @days;
sync();
is(total(), 0, 'all is free again');

# ---- the whole window or nothing

my @many = map { event($_, '10:00', '11:00') } 1 .. 9;
$fake->faults({ match => { method => 'GET', path_regex => '/events$', query_regex => 'pageToken' }, fault => { kind => 'status', code => 503 } });
like(sync(), qr/^0 0 0 [1-9]$/, 'a page that fails is an error');
is(total(), 0, 'G2: and nothing of the others is taken');
between_pulls("due_at = now() + interval '10 minutes'");
$fake->faults;
is(sync() . ' ' . total(), '9 0 0 0 9', 'G2: the next pull begins where the last complete one stood');
$fake->faults({ match => { method => 'GET', path_regex => '/events$', query_regex => 'pageToken', times => 1 }, fault => { kind => 'hang' } });
edit($_, set => { summary => 'other', start => { dateTime => day(5) . 'T15:00:00Z' }, end => { dateTime => day(5) . 'T15:30:00Z' } }) for @many;
$t->sql("SELECT telehealth.sync_calendar(1)");
$fake->wait_for(sub { $_[0]{hanging} // 1 });
kill KILL => $t->dispatcher_pid;
$t->wait_ready;
$t->wait_dispatcher;
$fake->release(cut => 1);
$fake->faults;
is(sync() =~ s/^0 \d+ 0 \d+$/x/r . ' ' . busy(5), 'x ' . join(', ', ('15:00-15:30') x 9), 'G2: a dispatcher that dies between two pages skips nothing');

# ---- pages that are too large to be read

$t->reload_conf('telehealth.max_response_kb' => 9);
$t->sql("UPDATE telehealth.vendor_limit SET value = 2500 WHERE vendor = 'google' AND name = 'page_size'");
my @crowd = map { event(80 + $_, '10:00', '11:00', summary => 'x' x 100) } 1 .. 25;
$t->restart_dispatcher;
is(full() . ' ' . total(), '25 0 0 0 34', 'Y9: pages too large to be read get smaller until they are');
edit($_, delete => 1) for splice @crowd, 0, 8;
sync();
edit($_, delete => 1) for splice @crowd, 0, 5;
sync();
edit($_, delete => 1) for @crowd[ 0 .. 3 ];
sync();
edit($_, delete => 1) for @crowd[ 4 .. 11 ];
is(sync() . ' ' . total(), '0 0 8 0 9', 'they go again');
$t->reload_conf('telehealth.max_response_kb' => 1024);

# ---- sync tokens that expire, deletions that nobody tells of

edit($_, drop => 1) for @many[ 0, 1 ];
$fake->expire_sync(calendar => $USER);
is(sync() . ' ' . total(), '0 0 2 0 7', 'G1: after 410 the mirror equals the calendar, though no tombstone came');
$fake->expire_sync(calendar => $USER, pages => 1);
my $late = event(6, '08:00', '09:00');
is(sync() . ' ' . total(), '1 0 0 0 8', 'G1: whatever the page');
edit($many[2], drop => 1);
is(sync() . ' ' . total(), '0 0 0 0 8', 'O2: a deletion that is not told is not seen');
is(full() . ' ' . total(), '0 0 1 0 7', 'O2: but by the daily compare');
edit($many[3], drop => 1);
$t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = now() + interval '2 days'");
is(sync() . ' ' . total(), '0 0 1 0 6', 'D8: which a clock that was ahead does not put off');
for my $behind ("window_start = window_start + interval '3 days'", "window_end = window_end - interval '3 days'")
{
	$t->sql("UPDATE telehealth_private.calendar_cursor SET $behind");
	sync();
	is($t->sql("SELECT window_start < now() - interval '29 days' AND window_end > now() + interval '181 days' FROM telehealth_private.calendar_cursor"),
		't', 'O2: a window that has fallen behind is read anew');
}
$t->sql("UPDATE telehealth_private.calendar_cursor SET window_end = window_end - interval '1 day'");
my ($reach, $compared) = map { $t->sql("SELECT $_ FROM telehealth_private.calendar_cursor") } qw(window_end compared_at);
sync();
is($t->sql('SELECT compared_at FROM telehealth_private.calendar_cursor'), $compared, 'O2: a pull of changes is no compare');
is($t->sql('SELECT window_end FROM telehealth_private.calendar_cursor'), $reach, 'A4: no more is said to be known than the sync token tells');
edit($_, delete => 1) for @many[ 4 .. 8 ], $late;
is(sync() . ' ' . total(), '0 0 6 0 0', 'a few at once are no mass change');

# ---- too much at once

my @mass = map { event($_, '10:00', '11:00') } 1 .. 15;
sync();
edit($_, delete => 1) for @mass[ 0 .. 11 ];
my $listener = $t->background_psql('postgres');
$listener->query_safe('LISTEN telehealth_calendar');
is(sync() . ' ' . total(), '0 0 0 1 15', 'Y4: a pull that would remove 12 of 15 changes nothing');
is($t->sql("SELECT suspicious_count FROM telehealth.calendar_status WHERE connection_id = $id"), 12, 'Y4: it is on the row');
like($t->sql("SELECT detail FROM telehealth.health WHERE check_name = 'calendars'"), qr/suspicious: 1/, 'Y4: and in health');
is(sync() . ' ' . total(), '0 0 0 1 15', 'Y4: again');
like($listener->query("SELECT 1"), qr/suspicious_pull/, 'Y4: it is told');
is(counts($t->row("SELECT * FROM telehealth.sync_calendar(1, '20 s', confirm_deletions => true)")) . ' ' . total(), '0 0 12 0 3', 'Y4: until somebody confirms');
is($t->sql("SELECT suspicious_at IS NULL AND deletions_confirmed_at IS NULL FROM telehealth.calendar_connection WHERE id = $id"), 't', 'Y4: once');
edit($_, delete => 1) for @mass[ 12 .. 14 ];
is(sync() . ' ' . total(), '0 0 3 0 0', 'three of three are a few');

# ---- a bad item

my $bad = event(4, '10:00', '11:00');
my $good = event(4, '13:00', '14:00');
sync();
edit($bad, raw => { start => { dateTime => 'soon' } });
edit($good, delete => 1);
is(sync() . ' ' . busy(4), '0 0 1 0 10:00-11:00', 'Y7: a bad item leaves what was known of it, the rest is taken');
is($t->sql("SELECT external_id || ' ' || reason FROM telehealth.import_problem WHERE source = '$source'"), "$bad its start or end is not readable", 'Y7: and says why');
sync();
is(full() . ' ' . busy(4), '0 0 0 0 10:00-11:00', 'Y7: in a full pass too');
is($t->sql("SELECT count(*) FROM telehealth.import_problem WHERE source = '$source'"), 1, 'Y7: noted once');
edit($bad, raw => {}, set => { start => { dateTime => day(4) . 'T16:00:00Z' }, end => { dateTime => day(4) . 'T17:00:00Z' } });
is(sync() . ' ' . busy(4), '0 1 0 0 16:00-17:00', 'Y7: and is mended');
is($t->sql("SELECT count(*) FROM telehealth.import_problem WHERE source = '$source'"), 0, 'Y7: the problem is gone');
edit($bad, delete => 1);
sync();

# ---- an endpoint that fails, and comes back

$fake->faults({ match => { method => 'GET', path_regex => '/events$' }, fault => { kind => 'status', code => 500 } });
like(sync(), qr/^0 0 0 [1-9]$/, 'Y9: a failing endpoint is an error');
is($t->sql("SELECT dead_at IS NULL AND failures > 0 FROM telehealth_private.job WHERE kind = 'pull'"), 't', 'Y9: which is tried again');
between_pulls('failures = 8, due_at = now()');
ok($t->poll("SELECT failures = 9 AND due_at > now() + interval '20 seconds' FROM telehealth_private.job WHERE kind = 'pull'", 't', 15), 'Y9: later and later');
$fake->faults({ match => { method => 'GET', path_regex => '/events$' }, fault => { kind => 'status', code => 410 } });
my $asked = $fake->count('list') + scalar $fake->requests(path_regex => '/events$');
between_pulls('failures = 1, due_at = now()');
ok($t->poll("SELECT failures = 2 AND attempts = 0 FROM telehealth_private.job WHERE kind = 'pull'", 't', 15), 'Y9: who knows no sync token, and never does, is asked later too');
cmp_ok($fake->count('list') + scalar($fake->requests(path_regex => '/events$')) - $asked, '<=', 12, '… not on and on');
$fake->faults;
between_pulls('due_at = now()');
ok($t->poll("SELECT last_error IS NULL AND failures = 0 AND due_at > now() + interval '5 minutes' FROM telehealth_private.job WHERE kind = 'pull'", 't'),
	'Y9: and recovers by itself');
is($t->sql("SELECT last_error IS NULL FROM telehealth.calendar_connection WHERE id = $id"), 't', 'Y9: nothing is left of it');
is($t->sql("SELECT due_at <= c.last_sync_at + interval '15 minutes' FROM telehealth_private.job, telehealth.calendar_connection AS c WHERE job.kind = 'pull'"),
	't', 'the next pull is within the quarter of an hour');
isnt($t->sql("SELECT due_at - c.last_sync_at FROM telehealth_private.job, telehealth.calendar_connection AS c WHERE job.kind = 'pull'"),
	'00:15:00', '… not for all calendars at the same moment');

is($t->sql("SELECT sum(created) > 0 AND sum(errors) > 3 AND sum(runs) > 20 FROM telehealth.sync_metrics WHERE direction = 'pull' AND provider_id = 1"), 't',
	'sync_metrics tells what pulls did');
$t->fails_ok("SELECT telehealth.sync_calendar(2)", 'P0002', 'nothing is pulled of a provider without calendars');
event(4, '10:00', '11:00');
sync();
is(total(), 1, 'a calendar that is pulled takes time');
$t->sql("SELECT telehealth.configure_calendar($id, '{\"sync_direction\": \"push\"}')");
ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE source = '$source'", 0, 15), '… and none when it is not');

# A pull that is under way when the grant changes, or ends, is nobody's
sub pull_hangs
{
	my (@after) = @_;

	$fake->faults({ match => { method => 'GET', path_regex => '/events$', times => 1 }, fault => { kind => 'hang' } }, @after);
	between_pulls('failures = 0, due_at = now()');
	return $fake->wait_for(sub { $_[0]{hanging} > 0 }, 20);
}
$t->sql("SELECT telehealth.configure_calendar($id, '{\"sync_direction\": \"both\", \"timeout_ms\": 60000}')");
ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE source = '$source'", 1, 15), 'it is pulled again');
event(4, '12:00', '13:00');
ok(pull_hangs({ match => { method => 'GET', path_regex => '/events$' }, fault => { kind => 'status', code => 503 } }), 'a pull is under way');
$t->connect_google($fake, user => 'user2@clinic.example');
$fake->release;
ok($t->poll("SELECT last_error IS NOT NULL FROM telehealth.calendar_connection WHERE id = $id", 't', 15), 'and another grant given meanwhile');
is($t->sql("SELECT count(*) FROM telehealth.busy_time WHERE (lower(during) AT TIME ZONE 'UTC')::time = '12:00'"), 0, 'what the former led to is not written');
is($t->sql('SELECT count(*) FROM telehealth_private.calendar_cursor'), 0, '… nor where it stood');
$fake->faults;
between_pulls('failures = 0, due_at = now()');
ok($t->poll("SELECT last_error IS NULL AND last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $id", 't', 15), '… but what the other leads to is');
is(total(), 0, 'which has nothing');
$fake->edit_event(calendar => 'user2@clinic.example', create => { summary => 'Own', start => { dateTime => day(4) . 'T10:00:00Z' }, end => { dateTime => day(4) . 'T11:00:00Z' } });
ok(pull_hangs({ match => { path_regex => '/revoke$' }, fault => { kind => 'status', code => 503 } }), 'a pull is under way');
$t->sql("SELECT telehealth.disconnect_calendar(1, 'google')");
$fake->release;
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'pull'", 0, 15), 'and the connection ends');
is(total(), 0, 'nothing of it is written');
is($t->sql("SELECT count(*) FROM telehealth_private.calendar_cursor"), 0, 'nothing is kept of a connection that ended');
done_testing();
