# What is in a provider's Outlook calendar blocks booking: windows that roll
# on, deltas that forget, and subscriptions that tell of changes.
use TelehealthTest;
use FakeGraph;
use PostgreSQL::Test::Cluster;

my $USER = 'user1@clinic.example';
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $fake = FakeGraph->start(options => { callback_map => { 'https://clinic.example' => "http://127.0.0.1:$port" } });
my $t = TelehealthTest->node('graph',
	conf => {
		'telehealth.request_timeout_ms' => 2000,
		'telehealth.lease_seconds' => 5,
		'telehealth.http_port' => $port,
		'telehealth.public_url' => 'https://clinic.example'
	});
$t->create_extension;
$t->wait_gateway;
$t->widen_calendar_limits('outlook', page_size => 4);
$t->sql("INSERT INTO telehealth.provider (id, timezone) VALUES (1, 'Europe/Berlin')");
my $id = $t->connect_outlook($fake);
my $source = "connection:$id";

# ---- what the tests say

sub day { my ($n) = @_; return $t->sql("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '$n days', 'YYYY-MM-DD')") }

sub event
{
	my ($n, $from, $to, %o) = @_;
	my $day = day($n);

	my %raw = exists $o{raw} ? (raw => delete $o{raw}) : ();

	return $fake->edit_event(user => $USER, %raw, create => { subject => 'dentist', start => "${day}T$from:00Z", end => "${day}T$to:00Z", %o })->{id};
}

sub edit { my ($event, %o) = @_; return $fake->edit_event(user => $USER, id => $event, %o) }
sub counts { return join ' ', map { $_ // '' } @{ $_[0] }{qw(created updated deleted errors)} }
sub sync { return counts($t->row("SELECT * FROM telehealth.sync_calendar(1, '20 s')")) }

sub full
{
	$t->sql("UPDATE telehealth_private.calendar_cursor SET compared_at = compared_at - interval '2 days'");
	return sync();
}

sub busy
{
	my ($n) = @_;

	return $t->sql("SELECT COALESCE(string_agg(to_char(lower(during) AT TIME ZONE 'UTC', 'HH24:MI') || '-'"
		  . " || to_char(upper(during) AT TIME ZONE 'UTC', 'HH24:MI') || CASE status WHEN 'BUSY' THEN '' ELSE '?' END, ', ' ORDER BY during), '')"
		  . " FROM telehealth.busy_time WHERE source = '$source' AND lower(during) >= date_trunc('day', now(), 'UTC') + interval '$n days'"
		  . " AND lower(during) < date_trunc('day', now(), 'UTC') + interval '@{[ $n + 1 ]} days'");
}
sub total { return $t->sql("SELECT count(*) FROM telehealth.busy_time WHERE source = '$source'") }

sub calm
{
	return $t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill', 'provider', 'clinic')", 0, 30)
	  || diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
}

# Nothing is to be pulled soon, nor under way
sub rest { return $t->poll("SELECT due_at > now() + interval '5 minutes' FROM telehealth_private.job WHERE kind = 'pull'", 't') }

# ---- pages and deltas

ok($t->poll("SELECT last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $id", 't'), 'a new connection is pulled at once');

# what is told of, and the pull once it is told, would take part of what the next ones count
ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id", 1, 30), 'and told of changes');
$fake->options(notify_lost => 1);
rest;
my @many = map { event($_, '10:00', '11:00') } 1 .. 9;
sync();
is(total() . ' ' . busy(3), '9 10:00-11:00', 'events are busy times, page after page');
is(sync(), '0 0 0 0', 'nothing is nothing');
$fake->options(delta_repeats => 1);
edit($many[2], set => { start => day(3) . 'T12:00:00Z', end => day(3) . 'T13:00:00Z' });
is(sync() . ' ' . busy(3), '0 1 0 0 12:00-13:00', 'what is told twice is done once');
$fake->options(delta_repeats => 0);
edit($many[3], delete => 1);
edit($many[4], set => { start => day(400) . 'T12:00:00Z', end => day(400) . 'T13:00:00Z' });
is(sync() . ' ' . total(), '0 0 2 0 7', 'what is deleted goes, and what leaves the window');
edit($many[4], set => { start => day(5) . 'T12:00:00Z', end => day(5) . 'T13:00:00Z' });
is(sync() . ' ' . busy(5), '1 0 0 0 12:00-13:00', 'what comes back into it comes');
for my $how (qw(not_found resync bad_request))
{
	$fake->options(sync_lost => $how);
	$fake->expire_delta;
	edit($many[5], silent => 1, set => { start => day(6) . "T0@{[ length($how) % 8 ]}:00:00Z", end => day(6) . 'T11:00:00Z' });
	is(sync(), '0 1 0 0', "O1: $how: all is read anew");
}
my $in_pages = event(7, '15:00', '16:00');
$fake->expire_delta(page => 2);
is(sync() . ' ' . total(), '1 0 0 0 9', 'O1: in the middle of the pages too');
edit($many[0], delete => 1, silent => 1);
is(sync() . ' ' . total(), '0 0 0 0 9', 'O2: a deletion that the delta forgets');
is(full() . ' ' . total(), '0 0 1 0 8', 'O2: is found by the daily compare');

# ---- a window that rolls on

$t->sql("UPDATE telehealth_private.calendar_cursor SET window_start = window_start - interval '40 days', window_end = window_end - interval '40 days', compared_at = compared_at - interval '1 minute'");
event(179, '10:00', '11:00');
is(sync() . ' ' . busy(179), '1 0 0 0 10:00-11:00', 'O2: the window of a new pass is that of today');
edit($_, delete => 1) for @many[ 1, 2, 4 .. 8 ], $in_pages;
sync();

# ---- what is busy

my @rule = (
	[ 'busy', '10:00-11:00', showAs => 'busy' ],
	[ 'free', '', showAs => 'free' ],
	[ 'tentative', '10:00-11:00?', showAs => 'tentative' ],
	[ 'out of office', '10:00-11:00', showAs => 'oof' ],
	[ 'working elsewhere', '', showAs => 'workingElsewhere' ],
	[ 'unknown', '10:00-11:00', showAs => 'unknown' ],
	[ 'cancelled', '', isCancelled => \1 ],
	[ 'declined', '', raw => { responseStatus => { response => 'declined' } } ],
	[ 'not answered', '10:00-11:00?', raw => { responseStatus => { response => 'notResponded' } } ],
	[ 'private', '10:00-11:00', sensitivity => 'private' ]);
my @events = map { my ($name, $busy, %o) = @{ $rule[$_] }; event(40 + $_, '10:00', '11:00', %o) } 0 .. $#rule;
my $free_day = event(60, '00:00', '00:00', end => day(61) . 'T00:00:00Z', isAllDay => \1, showAs => 'free');
my $day = event(61, '00:00', '00:00', end => day(62) . 'T00:00:00Z', isAllDay => \1);
sync();
is(busy(40 + $_), $rule[$_][1], "G9: $rule[$_][0]") for 0 .. $#rule;
is($t->sql("SELECT string_agg(to_char(lower(during) AT TIME ZONE 'Europe/Berlin', 'HH24:MI') || '-' || to_char(upper(during) AT TIME ZONE 'Europe/Berlin', 'HH24:MI'), ' ') FROM telehealth.busy_time WHERE external_id IN ('$day', '$free_day')"),
	'00:00-00:00', 'G9: a whole day is one of the clinician, a free one is not');
$fake->options(bare_occurrences => 1);
my @series = map { event(70 + $_, '09:00', '10:00', showAs => $_ ? 'free' : 'busy', recurrence => {
			pattern => { type => 'weekly', interval => 1, daysOfWeek => [ $t->sql("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '@{[ 70 + $_ ]} days', 'FMday')") ] },
			range => { type => 'numbered', startDate => day(70 + $_), numberOfOccurrences => 4 } }) } 0, 1;
is(sync() . ' ' . busy(77) . busy(78), '4 0 0 0 09:00-10:00', 'G9: occurrences that tell nothing but their times are like their series');
edit($_, delete => 1) for @series;
is(full(), '0 0 4 0', 'the series goes');
edit($_, delete => 1) for @events, $day, $free_day;
is(full(), '0 0 7 0', 'and the rest');
$fake->options(bare_occurrences => 0);

# ---- visits of ours that people change there

sub visit { return $t->insert_visit(type => 'PHONE', starts_at => \"date_trunc('hour', now()) + interval '$_[0] days'") }
sub ours { my ($v) = @_; return (grep { my $e = $_; grep { /-$v$/ } values %{ $e->{properties} } } $fake->live_events($USER))[0] }
sub touch { my ($v, %o) = @_; return edit(ours($v)->{id}, %o) }
sub last_change { return $t->sql("SELECT change || ' ' || action FROM telehealth.calendar_change WHERE appointment_id = $_[0] ORDER BY id DESC LIMIT 1") }
sub writes { return scalar $fake->requests(path_regex => '/events') - scalar $fake->requests(method => 'GET', path_regex => '/events') }

my ($near, $far) = (visit(10), visit(300));
calm;
my $before = $t->sql("SELECT count(*) FROM telehealth.busy_time");
sync();
is($t->sql("SELECT count(*) FROM telehealth.busy_time"), $before, 'Y1: our own events are no busy time');
my $written = writes();
$_ % 2 ? full() : sync() for 1 .. 6;
calm;
is(writes() . ' ' . $t->sql('SELECT count(*) FROM telehealth.calendar_change'), "$written 0", 'Y1: pulls without a change write nothing');
touch($far, set => { categories => ['Blue'] });
sync();
calm;
is($t->sql('SELECT count(*) FROM telehealth.calendar_change'), 0, 'O2: a visit outside of the window is said to be removed, and is not');
touch($near, set => { start => day(12) . 'T10:00:00Z', end => day(12) . 'T10:30:00Z' });
sync();
calm;
is(last_change($near) . ' ' . $t->sql("SELECT extract(epoch FROM starts_at) = @{[ ours($near)->{start} =~ /^[\d.]+$/ ? ours($near)->{start} : qq(extract(epoch FROM timestamptz '@{[ ours($near)->{start} ]}')) ]} FROM telehealth.appointment WHERE id = $near"),
	'moved restore t', 'Y3: a visit that was moved is put back');
touch($near, delete => 1);
sync();
calm;
ok(ours($near), 'Y2: one that was deleted is there again');
$t->sql("SELECT telehealth.configure_calendar($id, '{\"remote_change_policy\": \"flag\"}')");
calm;
touch($near, set => { start => day(400) . 'T12:00:00Z', end => day(400) . 'T12:30:00Z' });
sync();
calm;
is(last_change($near), 'moved flag', 'Y3: flag: one that was moved out of the window is not said to be deleted');
$t->sql("SELECT telehealth.configure_calendar($id, '{\"remote_change_policy\": \"cancel\"}')");
calm;
touch($near, set => { start => day(400) . 'T10:00:00Z', end => day(400) . 'T10:30:00Z' });
sync();
calm;
is($t->sql("SELECT status FROM telehealth.appointment WHERE id = $near") . ' ' . last_change($near), 'SCHEDULED moved restore',
	'Y2: cancel: one that was moved out of the window was not deleted');
touch($near, delete => 1);
sync();
calm;
is($t->sql("SELECT status FROM telehealth.appointment WHERE id = $near") . ' ' . last_change($near), 'CANCELLED deleted cancel', 'Y2: cancel: one that was deleted is cancelled');

# ---- subscriptions

ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id", 1), 'a subscription is made, whose handshake the gateway answers meanwhile');
my ($sub) = $fake->subscriptions;
like($t->sql("SELECT expires_at - now() FROM telehealth_private.push_channel"), qr/^2 days/, 'O3: for less than three days');
ok($t->sql("SELECT renew_at < now() + (expires_at - now()) / 2 + interval '1 minute' FROM telehealth_private.push_channel") eq 't', 'G3: and renewed half way');
rest;
$fake->options(notify_lost => 0);
my $told = event(8, '10:00', '11:00');
ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE external_id = '$told'", 1, 10), 'a change is pulled as soon as Graph tells of it');

$t->sql("UPDATE telehealth_private.push_channel SET renew_at = now()");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
ok($t->poll("SELECT renew_at > now() + interval '1 day' FROM telehealth_private.push_channel", 't', 10), 'G3: it is renewed');
is(join(' ', map { $_->{id} } $fake->subscriptions), $sub->{id}, 'G3: and is the same');

rest;
$fake->options(notify_lost => 1);
my $untold = event(9, '10:00', '11:00');
$fake->options(notify_lost => 0);
$fake->lifecycle(event => 'missed', user => $USER);
ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE external_id = '$untold'", 1, 10), 'O3: missed: is pulled');
$t->sql("UPDATE telehealth_private.push_channel SET renew_at = expires_at - interval '1 hour'");
$fake->lifecycle(event => 'reauthorizationRequired', user => $USER);
ok($t->poll("SELECT renew_at < expires_at - interval '2 hours' FROM telehealth_private.push_channel", 't', 10), 'O3: reauthorizationRequired: is renewed');
rest;
$fake->options(notify_lost => 1);
my $lapsed = event(9, '12:00', '13:00');
$fake->options(notify_lost => 0);
$fake->lifecycle(event => 'subscriptionRemoved', user => $USER);
ok($t->poll("SELECT count(*) = 1 AND bool_and(channel_id <> '$sub->{id}') FROM telehealth_private.push_channel", 't', 10), 'O3: subscriptionRemoved: another is made');
ok($t->poll("SELECT count(*) FROM telehealth.busy_time WHERE external_id = '$lapsed'", 1, 10), 'O3: and what was missed meanwhile is pulled');

# ---- one that vanishes without a word

$fake->end_subscriptions(silent => 1);
$t->sql("UPDATE telehealth_private.push_channel SET renew_at = now()");
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'channel'");
ok($t->poll("SELECT count(*) = 1 AND bool_and(renew_at > now()) FROM telehealth_private.push_channel", 't', 10), 'O3: one that is not there any more is made anew');
is(scalar($fake->subscriptions), 1, 'O3: there');
$t->sql("SELECT telehealth.disconnect_calendar(1, 'outlook')");
ok($t->poll("SELECT count(*) FROM telehealth_private.push_channel", 0, 10), 'a connection that ends stops its subscription');
is(scalar($fake->subscriptions), 0, 'there');
done_testing();
