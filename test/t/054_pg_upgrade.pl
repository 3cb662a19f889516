# pg_upgrade from an older server: every row, the key, and nothing is sent
# before the new server is adopted.  TELEHEALTH_OLDER names the folder of the
# older server, with telehealth in it (test/check makes one where it can).
use TelehealthTest;
use CatalogueFacts qw(facts same_facts_ok);
use CalendarSides;
use FakeGoogle;
use FakeGraph;
use File::Copy qw(copy);

my $older = $ENV{TELEHEALTH_OLDER}
  or plan skip_all => 'no older server beside this one';

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $google = FakeGoogle->start(options => CalendarSides::google_options(9));
my $graph = FakeGraph->start;
my %conf = ('telehealth.lease_seconds' => 2, 'telehealth.request_timeout_ms' => 500);
my $old = TelehealthTest->node('old', install_path => $older, conf => {%conf});

# ---- an older server at work

$old->create_extension;
$old->widen_limits;
$old->add_hosts;
$old->connect_zoom($fake);
$old->sql(q{CREATE ROLE desk; SELECT telehealth.grant_role('desk', 'app', 1)});
my @ids = map { $old->insert_visit(provider_id => $_) } 1 .. 3;
$old->await($_) for @ids;
ok($old->drained, 'the older server has its meetings');
$old->widen_calendar_limits($_) for qw(google outlook);
my $sides = CalendarSides->new($old, google => $google, outlook => $graph);
$sides->connect($_, 9) for qw(google outlook);
$old->insert_visit(type => 'PHONE', provider_id => 9) for 1 .. 3;
$sides->equal_ok('its calendars too');
$old->sql(q{SELECT telehealth_private.put_push_channel(1, 'graph', 'carried', 'x')});
$old->sql(q{SELECT telehealth.pause_outbound('upgrade')});
$old->insert_visit(type => 'PHONE', provider_id => 9);
my $waits = $old->insert_visit(provider_id => 4);
$old->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 hour' WHERE id = $ids[0]");
$old->sql("DELETE FROM telehealth.appointment WHERE id = $ids[1]");
ok($old->poll(q{SELECT count(*) FROM telehealth.audit_log WHERE chain_hash IS NULL}, 0, 30), 'its audit log is chained');
my $moved = $old->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $ids[0]");
my $links = $old->sql('SELECT id, meeting_id, join_url FROM telehealth.appointment ORDER BY id');

my $TABLES = q{SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY 1) FROM pg_extension AS x, unnest(x.extconfig) AS o
	JOIN pg_class AS c ON c.oid = o WHERE x.extname = 'telehealth' AND c.relkind = 'r'};
my $sums = join(' UNION ALL ', map {
	"SELECT ' $_ ' || count(*) || ' ' || coalesce(md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))), '-') FROM $_ AS x"
} split(/ /, $old->sql($TABLES)), qw(telehealth_private.connection_token telehealth_private.calendar_cursor telehealth_private.push_channel), '(SELECT kind, clinic_id, subject_id, generation FROM telehealth_private.job)') . ' ORDER BY 1';
my $want = $old->sql($sums);
$old->stop;
my @fakes = ($fake, $google, $graph);
sub heard { return join ' ', map { $_->state->{requests_total} } @fakes }
my $requests = heard();
my @created = ($google->count('insert'), $graph->count('POST events'));

# ---- pg_upgrade

my ($bin) = PostgreSQL::Test::Utils::run_command([ 'pg_config', '--bindir' ]);
my ($major) = PostgreSQL::Test::Utils::run_command([ 'pg_config', '--version' ]) =~ /(\d+)/;
my $new = TelehealthTest->node('new', start => 0, conf => {%conf},
	initdb => $major >= 18 ? ['--no-data-checksums'] : []);
chdir $new->basedir or die "cannot enter the server's folder: $!\n";
my ($out, $err) = ('', '');
my $is_done = IPC::Run::run(
	[
		'pg_upgrade', '--no-sync', '-s', $new->host,
		'-b', "$older/bin", '-B', $bin,
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-p', $old->port, '-P', $new->port
	],
	'>', \$out, '2>', \$err);
ok($is_done, 'D5: pg_upgrade carries the cluster over') or diag $out, $err;

# ---- without the key file nothing is made up

$new->start;
is($new->sql($sums), $want, 'D5: every row is there, the queue too');
is($new->row(q{SELECT status FROM telehealth.health WHERE check_name = 'key_ring'})->{status}, 'error', 'D5: health asks for the key file');
ok(!-e $new->data_dir . '/telehealth.key', 'D5: no second key was made');
$new->sql('SELECT telehealth.resume_outbound()');
ok($new->poll('SELECT held_reason FROM telehealth.worker_status', 'environment_unconfirmed', 30), 'D5: outward work is held');

# ---- with it, and adopted, the work goes on

copy($old->data_dir . '/telehealth.key', $new->data_dir . '/telehealth.key') or die "cannot copy the key: $!\n";
chmod 0600, $new->data_dir . '/telehealth.key';
$new->restart;
is($new->row(q{SELECT status FROM telehealth.health WHERE check_name = 'key_ring'})->{status}, 'ok', 'D5: the key file was carried over');
ok($new->poll('SELECT held_reason FROM telehealth.worker_status', 'environment_unconfirmed', 30), 'D5: still held');
is($new->sql('SELECT id, meeting_id, join_url FROM telehealth.appointment ORDER BY id'), $links, 'D5: the links are those of before');
is(heard(), $requests, 'D7: nothing was sent');

$new->sql('SELECT telehealth.adopt_environment()');
ok($new->await($waits)->{join_url}, 'D5: what waited is done');
ok($new->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'meeting'", 0, 30), 'D5: and the rest');
$sides->{t} = $new;
$sides->equal_ok('D5: calendars are as they should be');
is(join(' ', $google->count('insert') - $created[0], $graph->count('POST events') - $created[1]), '1 1', 'D5: with nothing made but what waited');
my %live = map { $_->{id} => $_ } $fake->live_meetings;
is(scalar(keys %live), 3, 'D5: a meeting for each visit that is left');
is($new->sql("SELECT meeting_id FROM telehealth.appointment WHERE id = $ids[0]"), $moved, 'D5: the one that was moved is the same meeting');

# ---- the catalogue is that of a fresh installation on the new server

# Views are carried as the older server printed them, conditions of triggers
# and constraints with its parentheses, functions of SQL with its aliases, 17 has one more right, and what only the owner may is
# not recorded as the script's.
$new->create_extension('fresh');
sub comparable
{
	my ($facts) = @_;
	return [
		grep { !/^(view |right of the script .*\| postgres=\w+\/postgres$)/ }
		map { /^(?:trigger|constraint) / ? s/[()]//gr : /^function / ? s/ AS "?\w+"?//gr : $_ }
		map { s/desk=\S+ //r =~ s/arwdDxtm/arwdDxt/gr } @$facts
	];
}
same_facts_ok(comparable(facts($new, 'postgres')), comparable(facts($new, 'fresh')), 'D5: the catalogue is that of a fresh installation');

finish;
