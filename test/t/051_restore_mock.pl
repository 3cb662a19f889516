# A copy in which the mock answers: it is for what is booked there. What came
# with the copy stays as it is, while it comes and afterwards.
use TelehealthTest;

my $fake = FakeZoom->start(options => { host_daily => 100_000 });
my $t = TelehealthTest->node('mocked');
my $at = '-h ' . $t->host . ' -p ' . $t->port;
my $folder = $t->basedir;

$t->create_extension;
$t->widen_limits;
$t->add_hosts;
$t->connect_zoom($fake);
my @ids = map { $t->insert_visit(provider_id => $_) } 1 .. 5;
$t->await($_) for @ids;
ok($t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind = 'meeting'}, 0, 30), 'visits have their meetings');
my $SUM = q{SELECT md5(string_agg(a.id || a.meeting_id || a.join_url || s.id || s.platform || s.meeting_id || coalesce(s.retired_at::text, '-'), '' ORDER BY s.id))
	FROM telehealth.session AS s LEFT JOIN telehealth.appointment AS a ON a.id = s.appointment_id};
my $want = $t->sql($SUM);
my $requests = $fake->state->{requests_total};

sub run_ok
{
	my ($command, $name) = @_;
	my ($out, $err) = ('', '');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $done = IPC::Run::run([ split / /, $command ], '>', \$out, '2>', \$err);

	return ok($done && $err !~ /error|warning/i, $name) || diag $err;
}

# Some cycles of the worker later
sub later
{
	my ($db) = @_;
	my $cycles = $t->sql('SELECT cycles FROM telehealth.worker_status', db => $db);

	return $t->poll("SELECT cycles > $cycles + 3 FROM telehealth.worker_status", 't', 30, db => $db);
}

# ---- with triggers, table by table

$t->create_extension('copy');
$t->sql('ALTER DATABASE copy SET telehealth.mock = on');
ok($t->poll(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'mock'}, 1, 20, db => 'copy'), 'the mock is on');
my $pid = $t->wait_dispatcher('copy');
later('copy');
my @first = map { "-t telehealth.$_" } qw(account appointment clinic);
run_ok("pg_dump $at --data-only @first -f $folder/first.sql postgres", 'D4: a dump of the visits');
run_ok("pg_dump $at --data-only @{[ map { s/-t/-T/r } @first ]} -f $folder/rest.sql postgres", 'D4: and one of the rest');
run_ok("psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/first.sql -d copy", 'D4: the visits have arrived');
later('copy');
is($t->sql('SELECT count(*) FROM telehealth.session', db => 'copy'), 0, 'D4: while a restore is under way the mock makes no meeting');
run_ok("psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/rest.sql -d copy", 'D4: so that the rest finds its place');
later('copy');
is($t->sql($SUM, db => 'copy'), $want, 'D2: what came with the copy is as it was');
ok($t->poll(q{SELECT DISTINCT coalesce(waiting_for, '-') FROM telehealth_private.job WHERE kind = 'meeting'}, 'environment_unconfirmed', 30, db => 'copy'), 'D7: and waits until it is adopted');
is($t->sql($SUM, db => 'copy'), $want, '… as it was');

# ---- what is booked there

my $new = $t->insert_visit({ db => 'copy' }, provider_id => 6);
is($t->await($new, db => 'copy')->{platform}, 'mock', 'a visit that is booked there has a meeting of the mock');
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $new", db => 'copy');
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'meeting' AND subject_id = $new", 0, 30, db => 'copy'), '… and follows changes');
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $ids[0]", db => 'copy');
ok($t->poll("SELECT waiting_for FROM telehealth_private.job WHERE kind = 'meeting' AND subject_id = $ids[0]", 'environment_unconfirmed', 30, db => 'copy'), 'one that came with the copy does not');
is($t->sql("SELECT platform FROM telehealth.session WHERE appointment_id = $ids[0]", db => 'copy'), 'zoom', '… and keeps its meeting');

# ---- without the mock, and adopted

$t->sql('ALTER DATABASE copy RESET telehealth.mock');
ok($t->poll(q{SELECT held_reason FROM telehealth.worker_status}, 'environment_unconfirmed', 30, db => 'copy'), 'D7: without the mock all is held');
is($fake->state->{requests_total}, $requests, 'D7: and nothing was sent at any time');
$t->sql('ALTER DATABASE copy SET telehealth.mock = on');
$t->sql('SELECT telehealth.adopt_environment()', db => 'copy');
ok($t->poll("SELECT platform FROM telehealth.session WHERE appointment_id = $ids[0] AND retired_at IS NULL", 'mock', 60, db => 'copy'), 'D7: adopted, the mock answers for these too');

# Of the copies' meetings at the vendor nothing is asked while the mock answers
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $ids[1]; DELETE FROM telehealth.appointment WHERE id = $ids[2]", db => 'copy');
ok($t->poll(q{SELECT count(*) FILTER (WHERE waiting_for = 'mock') || ' of ' || count(*) FROM telehealth_private.job WHERE kind = 'meeting'}, '5 of 5', 60, db => 'copy'),
	'what the vendor would be asked waits for the end of the mock');
is($fake->state->{requests_total}, $requests, 'without a network');
is($t->sql($SUM), $want, 'D2: the origin is as it was');
finish;
