# A database with calendars is copied, adopted and dropped: nothing leaves a
# copy before somebody says so, then its first look at calendars that are as
# they should be writes nothing; grants leave in no dump, log or WAL.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use CalendarSides;
use PostgreSQL::Test::Utils qw(slurp_file);

my $google = FakeGoogle->start(options => CalendarSides::google_options(3));
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('calcopy',
	conf => { 'telehealth.request_timeout_ms' => 2000, 'telehealth.lease_seconds' => 5, log_min_messages => 'debug1', log_error_verbosity => 'verbose' });
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook);
my $sides = CalendarSides->new($t, google => $google, outlook => $graph);
my @ids = map { $sides->connect($_, 1) } qw(google outlook);
$t->insert_visit(type => 'PHONE') for 1 .. 6;
$sides->own($_, 1, 1001, 1002) for qw(google outlook);
$t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint, 1], ARRAY[$ids[0]\::bigint, $ids[1]], 2), telehealth_private.wake()");
$sides->equal_ok('the origin and its calendars');

sub seen { return [ map { { fake => $_, from => $_->state->{requests_total} } } $google, $graph ] }
sub calls { my ($seen) = @_; return join ' ', map { my $s = $_; map { "$_->{method} $_->{path}" } $s->{fake}->requests(since => $s->{from}) } @$seen }
sub writes { my ($seen) = @_; return join ' ', map { my $s = $_; map { "$_->{method} $_->{path}" } grep { $_->{method} ne 'GET' && $_->{path} !~ /token$/ } $s->{fake}->requests(since => $s->{from}) } @$seen }

# ---- nothing leaves the copy

my $at = '-h ' . $t->host . ' -p ' . $t->port;
my $dump = $t->basedir . '/dump.sql';
$t->sql(q{SELECT telehealth.pause_outbound('copied')});
is(system("pg_dump $at -f $dump postgres"), 0, 'D2: a dump');
$t->sql('CREATE DATABASE copy');
is(system("psql $at -XqAt -v ON_ERROR_STOP=1 -f $dump -d copy >/dev/null"), 0, 'D4: is restored');
my $equal = q{SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (SELECT c::text AS x FROM telehealth.calendar_connection AS c
	UNION ALL SELECT e::text FROM telehealth.calendar_event AS e UNION ALL SELECT s::text FROM telehealth_private.connection_secret AS s) AS q};
is($t->sql($equal, db => 'copy'), $t->sql($equal), 'D2: connections, events and grants are there as they were');
my $seen = seen();
$t->wait_dispatcher('copy');
$t->sql('SELECT telehealth.resume_outbound()', db => 'copy');
my $new = $t->insert_visit({ db => 'copy' }, type => 'PHONE');
$t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint, 1], ARRAY[$ids[0]\::bigint, $ids[1]], 2), telehealth_private.mark('connection', ARRAY[1::bigint], ARRAY[$ids[0]\::bigint], 2),
	telehealth_private.wake()", db => 'copy');
ok($t->poll('SELECT held_reason FROM telehealth.worker_status', 'environment_unconfirmed', 15, db => 'copy'), 'D7: the copy is held');
is($t->sql("SELECT count(*) FROM telehealth_private.job_history", db => 'copy'), 0, 'D7: it has tried nothing');
is(calls($seen), '', 'D7: and the vendors heard nothing of it');

# ---- adopted, it writes what is to be written

$t->db('copy');
$t->sql("DELETE FROM telehealth.appointment WHERE id = $new");
$seen = seen();
$t->sql('SELECT telehealth.adopt_environment()');
ok($t->poll('SELECT count(*) FROM telehealth_private.calendar_cursor', 2, 30), 'adopted, it looks at its calendars');
$sides->equal_ok('D7: the copy and the calendars are equal');
is(writes($seen), '', 'D7: where both sides are equal the first look writes nothing');
$t->insert_visit(type => 'PHONE');
$sides->equal_ok('and it goes on');

# ---- DROP EXTENSION while vendors have not answered

for my $fake ($google, $graph)
{
	$fake->faults({ match => { method => 'POST', path_regex => '/events$', times => 1 }, fault => { kind => 'hang' } });
}
my $pid = $t->dispatcher_pid;
$t->insert_visit(type => 'PHONE');
ok($_->wait_for(sub { $_[0]{hanging} == 1 }, 15), 'a request is under way at ' . $_->name) for $google, $graph;
my $from = $t->log_size;
$t->sql('DROP EXTENSION telehealth CASCADE');
ok(patiently(sub { !$t->is_alive($pid) }, 20), 'W6: DROP EXTENSION waits for nobody, and the dispatcher leaves');
unlike($t->log_text($from), qr/ \[$pid\] (?:ERROR|FATAL|PANIC)|exited with exit code [1-9]|terminated by signal/, 'without an error');
$_->faults, $_->release for $google, $graph;

# ---- secrets

my $grant = $google->grant(user => 'user3@clinic.example');
my %never = ('an access token' => qr/ya29\.\w{20}|eyJ0\w{20}/, 'a refresh token' => qr{1//\w{20}|0\.A\w{40}}, 'a secret of the client' => qr/google-secret-1|app-secret-1/);
ok($grant->{access_token} =~ $never{'an access token'} && $grant->{refresh_token} =~ $never{'a refresh token'}, 'this is what secrets look like');
$t->sql('CHECKPOINT', db => 'postgres');
my %text = (log => $t->log_text, dump => slurp_file($dump), WAL => join('', map { slurp_file($_) } glob($t->data_dir . '/pg_wal/0*')));
for my $where (sort keys %text)
{
	is(join(', ', grep { $text{$where} =~ $never{$_} } sort keys %never), '', "S1, S2, S3: no secret in the $where");
}

finish;
