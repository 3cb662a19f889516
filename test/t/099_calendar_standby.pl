# A standby of a database with calendars reads them and writes to none;
# promoted, it goes on where the primary stood: with its grants, cursors and
# channels, and what was under way is there once.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use CalendarSides;
use PostgreSQL::Test::Cluster;

my ($port, $other_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1, 2;
my $google = FakeGoogle->start(options => { %{ CalendarSides::google_options(2) }, push_via => "http://127.0.0.1:$port" });
my $graph = FakeGraph->start(options => { callback_map => { 'https://clinic.example' => "http://127.0.0.1:$port" } });
my @fakes = ($google, $graph);
my $primary = TelehealthTest->node('primary', streaming => 1,
	conf => {
		'telehealth.request_timeout_ms' => 2000,
		'telehealth.lease_seconds' => 5,
		'telehealth.http_port' => $port,
		'telehealth.public_url' => 'https://clinic.example'
	});
$primary->create_extension;
$primary->wait_gateway;
$primary->widen_calendar_limits($_) for qw(google outlook);
my $sides = CalendarSides->new($primary, google => $google, outlook => $graph);
my @ids = map { $sides->connect($_, 1) } qw(google outlook);
my @visits = map { $primary->insert_visit(type => 'PHONE') } 1 .. 4;
$sides->own($_, 1, 1001) for qw(google outlook);
ok($primary->poll('SELECT count(*) FROM telehealth_private.push_channel', 2, 30), 'the primary is told of changes');
$primary->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint, 1], ARRAY[$ids[0]\::bigint, $ids[1]], 2), telehealth_private.wake()");
$sides->equal_ok('the primary and its calendars are equal');
$primary->backup('base');
my $standby = TelehealthTest->node('standby', backup => [ $primary, 'base' ], standby => 1, start => 0, conf => { 'telehealth.http_port' => $other_port });
chmod 0600, $standby->data_dir . '/telehealth.key';
$standby->start;

# ---- it reads

$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my $slot = $primary->sql("SELECT starts_at FROM telehealth.appointment WHERE id = $visits[0]");
for my $query ("SELECT count(*) = 2 AND bool_and(is_connected) FROM telehealth.calendar_status", "SELECT NOT is_free FROM telehealth.is_free(1, '$slot')",
	"SELECT count(*) > 0 FROM telehealth.sync_metrics", "SELECT string_agg(what, ' ') ~ 'event' FROM telehealth.explain_appointment($visits[0])")
{
	is($standby->sql($query), 't', "D1: a standby answers $query");
}
$standby->fails_ok($_, '25006', "D1: a standby refuses $_")
  for ("SELECT telehealth.sync_calendar(1)", "SELECT telehealth.purge_remote($ids[0])", "SELECT telehealth.disconnect_calendar(1, 'google')");

# ---- it sends nothing, whatever is due

$_->faults({ match => { method => 'POST', path_regex => '/events$' }, fault => { kind => 'hang' } }) for @fakes;
$primary->insert_visit(type => 'PHONE');
ok($_->wait_for(sub { $_[0]{hanging} > 0 }, 15), 'a new event is under way at ' . $_->name) for @fakes;
my $KEPT = q{SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (SELECT c::text AS x FROM telehealth_private.push_channel AS c
	UNION ALL SELECT c::text FROM telehealth_private.calendar_cursor AS c UNION ALL SELECT c::text FROM telehealth_private.connection_secret AS c
	UNION ALL SELECT c::text FROM telehealth_private.connection_token AS c UNION ALL SELECT c::text FROM telehealth.calendar_connection AS c
	UNION ALL SELECT c::text FROM telehealth.calendar_event AS c) AS q};
$primary->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $visits[1]; DELETE FROM telehealth.appointment WHERE id = $visits[2]");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
my @seen = map { $_->state->{requests_total} } @fakes;
my $kept = $standby->sql($KEPT);
cmp_ok($standby->sql(q{SELECT count(*) FROM telehealth_private.job WHERE kind IN ('event', 'calendars')}), '>', 0, 'D1: something is due or under way');
$standby->poll(sprintf q{SELECT now() > '%s'::timestamptz + interval '3 seconds'}, $standby->sql('SELECT now()'));
is($standby->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'telehealth dispatcher'}), 0, 'D1: no dispatcher runs on a standby');
is(join(' ', map { $_->state->{requests_total} } @fakes), "@seen", 'D1: no vendor heard of it');
is($standby->sql($KEPT), $kept, 'D1: what it knows stays');

# ---- promotion

$google->options(push_via => "http://127.0.0.1:$other_port");
$graph->options(callback_map => { 'https://clinic.example' => "http://127.0.0.1:$other_port" });
$_->faults, $_->release(cut => 1) for @fakes;
$standby->promote;
ok($standby->wait_dispatcher, 'D1: promoted, it works without a restart');
$sides->{t} = $standby;
$sides->equal_ok('D1: what was under way at the failover is done, once');
my @after = map { my ($fake, $from) = ($fakes[$_], $seen[$_]); [ $fake->requests(since => $from) ] } 0, 1;
is(join(' ', map { "$_->{method} $_->{path}" } grep { $_->{path} =~ m{/token$} } map { @$_ } @after), '', 'D1: with the tokens that were known');
is(join(' ', map { scalar grep { $_->{method} eq 'POST' && $_->{path} =~ m{/events/watch$|/subscriptions$} } @$_ } @after), '0 0', 'D1: and the channels');

# told of a change there it reads only what has changed
$sides->own($_, 1, 1010) for qw(google outlook);
ok($standby->poll(q{SELECT count(*) FROM telehealth.busy_time}, 4, 30), 'D1: a change there is told to the promoted');
$sides->equal_ok('D1: and both sides are equal');
@after = map { my ($fake, $from) = ($fakes[$_], $seen[$_]); [ $fake->requests(since => $from, method => 'GET') ] } 0, 1;
is(scalar(grep { ($_->{query} // '') =~ /timeMin|startDateTime/ } map { @$_ } @after), 0, 'D1: from where the primary stood');
is(join(' ', $google->duplicates('telehealthKey'), $graph->duplicates), '', 'G7: nothing is there twice');

finish;
