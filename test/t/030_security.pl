# Secrets, roles, what leaves and who may see it.
use TelehealthTest;
use PostgreSQL::Test::Utils qw(slurp_file);
use File::Find;

my $SECRET = 'k9Xq-canary-client-secret-77';
my @CANARIES = ('Canaryname', 'Canaryreason', '555-0199-canary', 'Canarytitle');

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, canaries => \@CANARIES,
		accounts => [ { account_id => 'acct-1', client_id => 'client-1', client_secret => $SECRET } ] });
my $t = TelehealthTest->node('security',
	conf => {
		'telehealth.request_timeout_ms' => 1500,
		log_statement => 'all',
		log_min_duration_statement => 0,
		log_min_messages => 'debug1',
		log_error_verbosity => 'verbose',
		log_parameter_max_length => -1,
		log_parameter_max_length_on_error => -1,
	});
$t->create_extension;
my $data = $t->data_dir;
my $key_file = "$data/telehealth.key";

# True if the bytes stand in any file below a folder
sub found_below
{
	my ($needle, $folder) = @_;
	my $found = '';

	find({ no_chdir => 1, wanted => sub {
		return if !-f $_ || -l $_;
		open my $h, '<:raw', $_ or return;
		local $/;
		my $bytes = <$h> // '';
		$found = $_ if index($bytes, $needle) >= 0;
	} }, $folder);
	return $found;
}

# ---- roles

$t->sql(q{
	CREATE ROLE admin LOGIN; CREATE ROLE app1 LOGIN; CREATE ROLE app2 LOGIN;
	CREATE ROLE bi LOGIN; CREATE ROLE nobody_at_all LOGIN;
	GRANT pg_read_server_files TO admin;
	SELECT telehealth.grant_role('admin', 'admin');
	SELECT telehealth.grant_role('app1', 'app', 1);
	SELECT telehealth.grant_role('app2', 'app', 2);
	SELECT telehealth.grant_role('bi', 'reader', 1);
});
$t->fails_ok(q{SELECT telehealth.grant_role('nobody_at_all', 'king')}, '22023', 'an unknown kind of grant');
$t->fails_ok(q{SELECT telehealth.grant_role('nobody_at_all', 'app')}, '42501', 'grants are the owner\'s', role => 'admin');

# ---- S1: a secret by reference is in no statement and no log

my $secret_file = $t->basedir . '/client_secret';
open my $h, '>', $secret_file or die;
print $h "$SECRET\n";
close $h;
chmod 0600, $secret_file;
my $account = $t->sql(sprintf(
	q{SELECT telehealth.connect_platform('zoom', '{"account_id": "acct-1", "client_id": "client-1", "client_secret": "file:%s"}',
		'{"api_url": "%s", "token_url": "%s", "default_user": "host1@clinic.example"}')},
	$secret_file, $fake->api_url, $fake->token_url), role => 'admin');
ok($account, 'D9: an admin who is no superuser connects a platform');
ok(-f $key_file && (stat $key_file)[2] % 01000 == 0600, 'the key file is made, for the server alone');
$t->fails_ok(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": "file:/etc/hostname"}', clinic_id => 1)},
	'42501', 'an app role connects nothing', role => 'app1');

my $visit = $t->sql(q{
	SELECT telehealth.current_clinic() \g /dev/null
	INSERT INTO telehealth.patient (id, display_name, phone, email) VALUES (5, 'Canaryname', '555-0199-canary', 'canaryname@example.org');
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, title, reason)
	VALUES (5, 1, 'VIDEO', now() + interval '3 hours', 'Canarytitle', 'Canaryreason') RETURNING id}, role => 'app1');
ok($t->await($visit, role => 'app1')->{join_url}, 'an app role books and awaits');
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 hour' WHERE id = $visit", role => 'app1');
ok($t->drained, 'and reschedules');
$fake->revoke_tokens;
$t->sql("UPDATE telehealth.appointment SET duration = 40 WHERE id = $visit", role => 'app1');
ok($t->drained, 'a token was refreshed');

my $log = $t->log_text(0);
ok(index($log, $SECRET) < 0, 'S1: the secret is nowhere in the log');
unlike($log, qr/eyJ[A-Za-z0-9]{20}/, 'S1: nor a token');
is(found_below($SECRET, $data), '', 'S3: nor in any file of the data directory, WAL included');
is(found_below('eyJ', "$data/pg_wal"), '', 'S3: no token in the WAL');
my $passcode = ($fake->live_meetings)[0]{password};
like($passcode, qr/^\w{10}$/, 'the meeting has a passcode');
is(found_below($passcode, $data), '', 'S3: which is in no file either');
for my $table (map { $_->{r} } $t->rows(q{SELECT c.oid::regclass::text AS r FROM pg_class AS c
	WHERE c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND c.relkind IN ('r', 'v')}))
{
	unlike($t->sql("SELECT coalesce(string_agg(r::text, ' '), '') FROM $table AS r"), qr/\Q$SECRET\E|eyJ|\Q$passcode\E|zak=/,
		"S2: no secret, token, passcode or start link in $table");
}
my $dump = `pg_dump -h @{[ $t->host ]} -p @{[ $t->port ]} postgres`;
like($dump, qr/Canaryname/, 'a dump holds the rows');
ok(index($dump, $SECRET) < 0, 'S3: but the secret as ciphertext only');
unlike($dump, qr/COPY telehealth_private\.(?:job|token_cache|quota|job_history)\b/, 'jobs, tokens, counters are not dumped');

# ---- P1: what leaves

my $sent = join "\n", map { join ' ', $_->{path}, $_->{body} // '', %{ $_->{headers} // {} } } $fake->requests;
unlike($sent, qr/canary/i, 'P1: no name, phone, reason or title leaves by default');
unlike(join(' ', map { $_->{message} // '' } $t->rows('SELECT message FROM telehealth_private.job_history')), qr/canary/i, 'P1: nor stands in the history');
for my $view (map { $_->{v} } $t->rows(q{SELECT c.oid::regclass::text AS v FROM pg_class AS c
	WHERE c.relkind = 'v' AND c.relnamespace = 'telehealth'::regnamespace}))
{
	unlike($t->sql("SELECT coalesce(string_agg(v::text, ' '), '') FROM $view AS v"), qr/canary/i, "P1: nothing of it in $view");
}
$fake->options(canaries => []);
$t->sql(q{INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (1, 'zoom', 'title', true)}, role => 'admin');
$t->sql("SELECT telehealth.ensure_meeting($visit)", role => 'app1');
ok($t->drained, 'a policy row is followed');
my ($told) = $fake->live_meetings;
is($told->{topic}, 'Canarytitle', 'P1: a fact leaves when a policy row says so');

# ---- P9 and S2: every relation and every function, from the catalogue

for my $role (qw(bi nobody_at_all))
{
	my @readable = grep { $t->psql('postgres', "SET ROLE $role; SELECT count(*) FROM $_->{r}") == 0 }
	  $t->rows(q{SELECT c.oid::regclass::text AS r, c.relkind FROM pg_class AS c
		WHERE c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND c.relkind IN ('r', 'v', 'p', 'S')});
	my $tables = join ' ', map { $_->{r} } grep { $_->{relkind} ne 'v' } @readable;

	is($tables, '', "P9: $role reads no table");
	is(scalar(@readable), 0, 'S2: a role with nothing reads nothing at all') if $role eq 'nobody_at_all';
	cmp_ok(scalar(@readable), '>', 5, 'P9: a reader reads the views') if $role eq 'bi';
}
is($t->sql(q{SELECT count(*) FROM pg_proc AS p WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)
	AND has_function_privilege('nobody_at_all', p.oid, 'EXECUTE')}), 0, 'S5: PUBLIC may call no function');
is($t->sql(q{SELECT count(*) FROM pg_proc AS p WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)
	AND p.prosecdef AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))}), 0, 'S5: every definer function is pinned');
my @patient = $t->rows(q{SELECT attrelid::regclass::text || '.' || attname AS c FROM pg_attribute
	WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'telehealth'::regnamespace AND relkind = 'v')
	AND attname ~ 'patient|display_name|phone|email|title|join_url'});
is(join(' ', map { $_->{c} } @patient), '', 'P9: no view has a patient\'s identifier');

# ---- row security

my $foreign = $t->insert_visit({ clinic => 2 });
is($t->sql('SELECT count(*) FROM telehealth.appointment', role => 'app1'), 1, 'an app role sees its clinic alone');
is($t->sql('SET telehealth.clinic_id = 2; SELECT count(*) FROM telehealth.appointment', role => 'app1'), 1, 'whatever clinic it says it is in');
$t->fails_ok("INSERT INTO telehealth.appointment (clinic_id, patient_id, provider_id, type, starts_at) VALUES (2, 1, 77, 'VIDEO', '2032-01-01Z')",
	'42501', 'and writes no other', role => 'app1');
is($t->sql("WITH u AS (UPDATE telehealth.appointment SET reason = 'x' WHERE id = $foreign RETURNING 1) SELECT count(*) FROM u", role => 'app1'), 0, 'nor changes it');
for my $call ("ensure_meeting($foreign)", "cancel_meeting($foreign)", "await_meeting($foreign, '1 s')", "host_start_url($foreign)", "explain_appointment($foreign)")
{
	my $error = $t->sql_fails("SET telehealth.clinic_id = 2; SELECT telehealth.$call", role => 'app1');

	is($error && $error->{sqlstate}, '42501', "another clinic's $call is refused");
}
for my $call ("pause_outbound('x')", 'resume_outbound()', 'rotate_keys()', 'adopt_environment()', "configure_platform($account, '{}')",
	"disconnect_platform($account)", 'retry_dead_jobs()')
{
	my $error = $t->sql_fails("SELECT telehealth.$call", role => 'app1');

	is($error && $error->{sqlstate}, '42501', "an app role may not $call");
}

# shadowing tables and a hostile path move no elevated function
is($t->sql(q{
	CREATE TEMP TABLE appointment (id int); CREATE TEMP TABLE role_grant (grantee name, kind text, clinic_id bigint);
	INSERT INTO pg_temp.role_grant VALUES ('app1', 'admin', 0);
	CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT 1/0; SELECT NULL::timestamptz';
	SET search_path = pg_temp, telehealth, pg_catalog;
	SELECT telehealth.ensure_meeting(} . $visit . q{) \g /dev/null
	SELECT count(*) FROM telehealth.explain_appointment(} . $visit . q{) WHERE what IS NOT NULL}, role => 'app1') > 0 ? 1 : 0, 1,
	'S5: a hostile search_path and temp tables change nothing');
$t->fails_ok(q{CREATE TEMP TABLE role_grant (grantee name, kind text, clinic_id bigint);
	INSERT INTO pg_temp.role_grant VALUES ('app1', 'admin', 0); SET search_path = pg_temp, telehealth_private;
	SELECT telehealth.pause_outbound('x')}, '42501', 'S5: nor who may do what', role => 'app1');

# ---- D9: the admin's day

$t->sql("SELECT telehealth.pause_outbound('maintenance')", role => 'admin');
my $paused = $t->insert_visit;
$t->fails_ok("SELECT telehealth.await_meeting($paused, '300 ms')", { sqlstate => '55000', hint => qr/resume_outbound/ }, 'D9: paused, nothing is sent');
is($t->sql(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'outbound' AND status <> 'ok'}, role => 'admin'), 1, 'D9: health says so');
$t->sql('SELECT telehealth.resume_outbound()', role => 'admin');
ok($t->await($paused)->{join_url}, 'D9: resumed, it goes on');
$t->sql("SELECT telehealth.configure_platform($account, '{\"mute_upon_entry\": true}')", role => 'admin');
ok($t->drained, 'D9: configured by the admin');

# ---- keys

my $key = slurp_file($key_file);
like($key, qr/^[\w.-]+:[0-9a-f]{64}$/m, 'one key a line');
open $h, '>', $key_file or die;
print $h 'new:' . ('ab' x 32) . "\n$key";
close $h;
cmp_ok($t->sql('SELECT telehealth.rotate_keys()', role => 'admin'), '>', 0, 'rotate_keys() seals anew');
open $h, '>', $key_file or die;
print $h 'new:' . ('ab' x 32) . "\n";
close $h;
my $pid = $t->dispatcher_pid('postgres');
$t->sql("SELECT pg_terminate_backend($pid)");
$t->wait_dispatcher('postgres', other => $pid);
$fake->revoke_tokens;
ok($t->await($t->insert_visit)->{join_url}, 'and the old key is needed no more');

my $kept = slurp_file($key_file);
for my $case ([ 'missing', sub { unlink $key_file } ], [ 'readable by others', sub { chmod 0644, $key_file } ],
	[ 'malformed', sub { open my $b, '>', $key_file; print $b "rubbish\n"; close $b } ])
{
	my ($name, $break) = @$case;

	$break->();
	my $bytes = -f $key_file ? slurp_file($key_file) : undef;
	$pid = $t->dispatcher_pid('postgres');
	$t->sql("SELECT pg_terminate_backend($pid)");
	$t->wait_dispatcher('postgres', other => $pid);
	my $id = $t->insert_visit;
	ok($t->poll("SELECT status FROM telehealth.account WHERE id = $account", 'key_missing', 15), "a key file $name: the account is key_missing");
	ok($t->poll("SELECT waiting_for FROM telehealth_private.job WHERE subject_id = $id", 'key_missing', 15), "a key file $name: the work waits");
	like($t->sql("SELECT detail FROM telehealth.health WHERE check_name = 'key_ring'"), qr/telehealth\.key|key file/, "a key file $name: health names it");
	is(-f $key_file ? slurp_file($key_file) : undef, $bytes, "a key file $name: nothing is overwritten");
	$t->fails_ok(sprintf(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": "file:%s"}', clinic_id => 9)}, $secret_file),
		{ detail => qr/telehealth\.key/ }, "a key file $name: a clear error names the file");
	open $h, '>', $key_file or die;
	print $h $kept;
	close $h;
	chmod 0600, $key_file;
	$t->sql('SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status');
	ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id", 't', 25), "a key file back: the work goes on")
	  or diag $t->sql('SELECT * FROM telehealth_private.job');
}

# ---- D7: a copy keeps quiet until somebody says otherwise

$t->sql('CREATE DATABASE copy');
$dump = $t->basedir . '/dump.sql';
$t->command_ok([ 'pg_dump', '-h', $t->host, '-p', $t->port, '-f', $dump, 'postgres' ], 'D2: pg_dump');
my $requests = $fake->state->{requests_total};
$t->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $t->host, '-p', $t->port, '-f', $dump, 'copy' ], 'D4: restores without an error');
$t->wait_dispatcher('copy');
my $count = 'SELECT count(*) FROM telehealth.appointment';
is($t->sql($count, db => 'copy'), $t->sql($count), 'D2: with every row');
my $copied = $t->insert_visit({ db => 'copy' });
ok($t->poll(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'environment' AND detail LIKE '%environment_unconfirmed%'}, 1, 10, db => 'copy'),
	'D7: health says environment_unconfirmed');
$t->fails_ok("SELECT telehealth.await_meeting($copied, '1 s')", { sqlstate => '55000', hint => qr/adopt_environment/ }, 'D7: nothing is made there', db => 'copy');
is($fake->state->{requests_total}, $requests, 'D7: and nothing was sent');
$t->fails_ok('SELECT telehealth.adopt_environment()', { sqlstate => '42501', hint => qr/owns the extension/ }, 'D7: not by an admin', db => 'copy', role => 'admin');
$t->sql('SELECT telehealth.adopt_environment()', db => 'copy');
ok($t->await($copied, db => 'copy')->{join_url}, 'D7: adopted, it works');
$t->sql("ALTER DATABASE copy SET telehealth.environment = 'staging'");
my $staged = $t->insert_visit({ db => 'copy' });
$t->fails_ok("SELECT telehealth.await_meeting($staged, '3 s')", { sqlstate => '55000', hint => qr/adopt_environment/ }, 'D7: another environment is another place', db => 'copy');

# a restore that has got as far as the accounts
$t->create_extension('half');
my $part = $t->basedir . '/part.sql';
$t->command_ok([ 'pg_dump', '-h', $t->host, '-p', $t->port, '-f', $part, '--data-only', '-t', 'telehealth.account',
	'-t', 'telehealth_private.account_secret', 'postgres' ], 'D7: the dump of the accounts');
$requests = $fake->state->{requests_total};
$t->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $t->host, '-p', $t->port, '-f', $part, 'half' ], 'D7: is restored');
is($t->sql('SELECT count(*) > 0 FROM telehealth_private.account_secret', db => 'half'), 't', 'D7: with its secrets');
my $early = $t->insert_visit({ db => 'half' });
$t->fails_ok("SELECT telehealth.await_meeting($early, '3 s')", { sqlstate => '55000', hint => qr/adopt_environment/ },
	'D7: nothing is made before it is known whose the accounts are', db => 'half');
is($fake->state->{requests_total}, $requests, 'D7: nor sent');

# ---- S6 and restoring

is($t->sql(q{SELECT count(*) FROM telehealth.check_platform(} . $account . q{) WHERE check_name = 'webhook_secret' AND status = 'warning'}), 1, 'S6: a missing webhook secret is told');
$t->sql(q{SET telehealth.restoring = on; INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 90, 'VIDEO', '2034-01-01Z')});
is($t->sql('SELECT count(*) FROM telehealth_private.job AS j JOIN telehealth.appointment AS a ON a.id = j.subject_id WHERE a.provider_id = 90'), 0, 'triggers stay silent while restoring');
$t->fails_ok('SET telehealth.restoring = on', '42501', 'which is the superuser\'s', role => 'admin');

# ---- S4: where requests may go

$t->set_conf('telehealth.allowed_hosts' => 'allowed.example') if $t->can('set_conf');
$t->reload_conf('telehealth.allowed_hosts' => 'allowed.example');
my $inside = $t->insert_visit;
ok($t->poll("SELECT dead_at IS NOT NULL OR last_error IS NOT NULL FROM telehealth_private.job WHERE subject_id = $inside", 't', 15), 'S4: a private address is refused');
$t->fails_ok(sprintf(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": "file:%s"}', '{"api_url": "http://example.org/v2"}', 9)}, $secret_file),
	'22023', 'S4: and a URL without TLS');

finish;
