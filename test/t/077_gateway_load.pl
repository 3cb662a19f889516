# Everything at once while the gateway is killed again and again: webhooks by
# python's http.client and by curl, rubbish, slow clients, questions.  What
# was accepted is there, once, and in the end has had its effect; also when
# the server's commits are not durable by default.
#
# TELEHEALTH_LONG=1 takes ten minutes instead of 20 s.
use TelehealthTest;
use HttpClient qw(http);
use Time::HiRes qw(time);

my $SECONDS = $ENV{TELEHEALTH_SECONDS} // ($ENV{TELEHEALTH_LONG} ? 600 : 20);
my $SESSIONS = 100 * $SECONDS;
my $MANY = $ENV{TELEHEALTH_WATCHED} ? 2 : 5;
my $SEED = $ENV{TELEHEALTH_SEED} // int rand 1_000_000;

plan skip_all => "needs $_" for grep { my $program = $_; !grep { -x "$_/$program" } split /:/, $ENV{PATH} } qw(python3 curl);
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('gateway_load', conf => {
	'telehealth.http_port' => $port, 'telehealth.mock' => 'on', 'telehealth.http_workers' => 2, synchronous_commit => 'off',
	# so many deaths are no job's fault
	'telehealth.max_attempts' => 100, 'telehealth.lease_seconds' => 2 });
$t->create_extension;
$t->sql(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "acct-1", "client_id": "c", "client_secret": "s", "webhook_secret": "hush"}')});
$t->sql(qq{INSERT INTO telehealth.session (appointment_id, patient_id, provider_id, platform, account_clinic_id, account_id, meeting_id, marker)
	SELECT n, n, 1, 'zoom', 0, (SELECT id FROM telehealth.account), 80000000000 + n, 'th-' || n FROM generate_series(1, $SESSIONS) AS n; ANALYZE});
my $listens = "listens at 127.0.0.1, port $port; processes: 2 of 2";
ok($t->poll(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'}, $listens, 30), 'it listens');

diag "random deaths: TELEHEALTH_SEED=$SEED" . ($ENV{TELEHEALTH_LONG} ? ' TELEHEALTH_LONG=1' : '');
srand $SEED;
$t->sql('INSERT INTO telehealth.provider (id) VALUES (1)');
my $feed = $t->row('SELECT * FROM telehealth.create_feed(1, $$Dr. One$$)')->{token};
$t->sql('CHECKPOINT');
my $folder = PostgreSQL::Test::Utils::tempdir;
my $lib = $INC{'TelehealthTest.pm'} =~ s{/[^/]*$}{}r;
my $clients = fork // die "cannot fork: $!";
if (!$clients)
{
	exec 'python3', "$lib/gateway_load.py", $port, $SECONDS, 'hush', $SESSIONS, $folder, "/api/calendar/ical/$feed" or die "no python3: $!";
}

# kill -9 of a gateway process ends every process of the server; SIGTERM, one time in four, only it
my (%ends, $status);
my $ended = sub { waitpid($clients, POSIX::WNOHANG()) != 0 && defined($status = $?) };
# any moment is as good as another
until (patiently($ended, 0.1 + rand 1.2))
{
	my ($rc, $out) = $t->_try_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway' ORDER BY random() LIMIT 1});
	my $signal = rand 4 < 1 ? 'TERM' : 'KILL';

	$ends{$signal}++ if $rc == 0 && $out && kill $signal, $out;
}
is($status, 0, 'the clients say what they saw');
$t->wait_ready;
ok($t->poll(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'}, $listens, 30), 'the gateway is back');
note join ', ', map { "$_: $ends{$_}" } sort keys %ends;
cmp_ok($ends{KILL} // 0, '>=', $MANY, '... from many deaths');

my %said;
for my $line (split /\n/, PostgreSQL::Test::Utils::slurp_file("$folder/said"))
{
	my ($who, $answer, $n) = split ' ', $line;

	$said{$who}{$answer} = $n;
	note $line;
}
my %may = (sender => 'broken|200|202|503', curl => 'broken|200|202|503', health => 'broken|200|503', feed => 'broken|200|304|503',
	rubbish => 'broken|closed|400|401|404|408|411|413|414|431|501|503|505');
for my $who (sort keys %said)
{
	is(join(' ', grep { !/^(?:$may{$who})$/ } sort keys %{ $said{$who} }), '', "$who: no other answer than there should be");
}
cmp_ok(($said{$_}{202} // 0) + ($said{$_}{200} // 0), '>', $MANY * 10, "$_: most was answered") for qw(sender curl health feed);

# ---- nothing is lost, nothing is there twice

$t->sql(qq{CREATE TABLE accepted (name text); CREATE TABLE doubtful (name text);
	COPY accepted FROM '$folder/accepted'; COPY doubtful FROM '$folder/doubtful'});
note $t->sql('SELECT count(*) || $$ accepted, $$ || count(DISTINCT name) || $$ of them different$$ FROM accepted');
is($t->sql(q{SELECT count(DISTINCT a.name) FROM accepted AS a WHERE NOT EXISTS (SELECT FROM telehealth.webhook_event AS e WHERE e.participant_id = a.name)}),
	0, 'W2: what was accepted is there');
is($t->sql(q{SELECT count(*) FROM (SELECT FROM telehealth.webhook_event GROUP BY participant_id HAVING count(*) > 1) AS q}), 0, 'H5: nothing is there twice');
is($t->sql(q{SELECT count(*) FROM telehealth.webhook_event AS e WHERE NOT EXISTS (SELECT FROM accepted AS a WHERE a.name = e.participant_id)
	AND NOT EXISTS (SELECT FROM doubtful AS d WHERE d.name = e.participant_id)}), 0, 'H3: nothing is there that nobody sent');
ok($t->poll(q{SELECT count(*) FROM telehealth.webhook_event WHERE processed_at IS NULL OR outcome <> 'applied'}, 0, 60 + $SECONDS), 'H6: all of it is put together')
  or diag $t->sql('SELECT outcome, processed_at IS NULL, count(*) FROM telehealth.webhook_event GROUP BY 1, 2');
is($t->sql(q{SELECT count(*) FROM telehealth.webhook_event AS e FULL JOIN telehealth.participant AS p USING (clinic_id, session_id, participant_id)
	WHERE p.join_count IS DISTINCT FROM 1 OR e.id IS NULL}), 0, 'H6: ... and each person came once');
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'no job is dead');

finish;
