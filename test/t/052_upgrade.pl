# From every version there was to the present one: the same catalogue as a
# fresh installation, every row, and until then everything waits.
use TelehealthTest;
use CatalogueFacts qw(facts same_facts_ok);

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('upgrade', conf => { max_worker_processes => 24 });
my @at = ('-h', $t->host, '-p', $t->port);

# each release's own script, beside the present one
my $now = $t->sql(q{SELECT default_version FROM pg_available_extensions WHERE name = 'telehealth'});
my @releases = split /\n/,
  $t->sql("SELECT version FROM pg_available_extension_versions WHERE name = 'telehealth' AND version <> '$now' ORDER BY version");
ok(@releases > 0, "there are versions before $now: @releases");

my $TABLES = q{SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY 1) FROM pg_extension AS x, unnest(x.extconfig) AS o
	JOIN pg_class AS c ON c.oid = o WHERE x.extname = 'telehealth' AND c.relkind = 'r'};

# Content of the tables that a dump carries and of the queue; columns added by
# an update do not count
sub rows_of
{
	my ($db, @tables) = @_;
	my %added = ('telehealth.account' => 'is_refused', 'telehealth_private.role_grant' => 'grantee_oid');
	return $t->sql(join(' UNION ALL ', map {
		"SELECT '$_' || ' ' || count(*) || ' ' || coalesce(md5(string_agg(y.hash, '' ORDER BY y.hash)), '-') FROM $_ AS x, md5((to_jsonb(x) - '" . ($added{$_} // '') . "')::text) AS y (hash)" } @tables)
		  . ' ORDER BY 1', db => $db);
}

$t->create_extension('fresh');
my $fresh = facts($t, 'fresh');
cmp_ok(scalar(@$fresh), '>', 1000, 'a fresh installation has a fingerprint');
$t->sql('CREATE ROLE desk; CREATE ROLE boss; CREATE ROLE analyst');

for my $from (@releases)
{
	my $db = 'from_' . $from =~ tr/./_/r;
	my $size = $t->log_size;

	$t->sql("CREATE DATABASE $db");
	$t->sql("CREATE EXTENSION telehealth VERSION '$from' CASCADE", db => $db);

	# ---- D6: until it is updated, everything waits and says so
	ok($t->poll(q{SELECT state FROM telehealth.worker_status}, 'version_mismatch', 20, db => $db), "D6: $from: the worker waits");
	my $account = $t->connect_zoom($fake, db => $db);
	$t->widen_limits({ db => $db });
	$t->add_hosts(20, db => $db);
	my @ids = map { $t->insert_visit({ db => $db }, provider_id => $_) } 1 .. 5;
	$t->sql("UPDATE telehealth.appointment SET duration = 45 WHERE id = $ids[0]", db => $db);
	is($t->sql('SELECT count(*) FROM telehealth_private.job', db => $db), 5, "D6: $from: applications go on, and the intent is kept");
	$t->fails_ok($_, { sqlstate => '55000', message => qr/paused: the installed extension is of another version/, hint => qr/ALTER EXTENSION telehealth UPDATE/ },
		"D6: $from: $_ says what to do", db => $db) for "SELECT telehealth.await_meeting($ids[0], '20 s')";
	my $health = $t->row(q{SELECT status, detail FROM telehealth.health WHERE check_name = 'worker'}, db => $db);
	is($health->{status}, 'error', "D6: $from: health is red");
	like($health->{detail}, qr/version_mismatch.*5 jobs wait/, "D6: $from: and says why");
	my $checks = $t->checks($account, db => $db);
	is($checks->{worker}{status}, 'error', "D6: $from: so does the doctor");
	is($t->sql('SELECT 1; SELECT extversion FROM pg_extension WHERE extname = \'telehealth\'', db => $db), "1\n$from", "D6: $from: other queries are untouched");
	my $told = () = $t->log_text($size) =~ /WARNING:  telehealth worker is paused: the installed extension is of another version/g;
	is($told, 1, "D6: $from: the log says it once");
	is($fake->state->{requests_total}, 0, "D6: $from: nothing is sent") if $from eq $releases[0];

	# ---- rows of every kind, as that version wrote them
	$t->sql(<<'SQL', db => $db);
SELECT telehealth.grant_role('desk', 'app', 1), telehealth.grant_role('analyst', 'reader', 0), telehealth.grant_role('boss', 'admin', 1);
INSERT INTO telehealth.clinic (name, timezone, platform) VALUES ('First', 'America/New_York', 'zoom');
INSERT INTO telehealth.patient (external_id, display_name) VALUES ('p1', 'Zoe');
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('zoom', 'title', true);
INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, is_overbooked, overbook_reason) VALUES (1, 7, 'PHONE', now() + interval '3 days', true, 'family');
INSERT INTO telehealth.session (appointment_id, patient_id, provider_id, platform, marker, meeting_id, retired_at) VALUES (5000, 1, 1, 'mock', 'th-0', '1', now());
INSERT INTO telehealth_private.session_secret SELECT clinic_id, id, 'passcode', '\x00' FROM telehealth.session;
SELECT telehealth.pause_outbound('update');
SQL
	my @tables = (split(/ /, $t->sql($TABLES, db => $db)), 'telehealth_private.job');
	ok($t->sql("SELECT count(*) > 0 FROM $_", db => $db) eq 't', "$from: there is a row in $_") for @tables;
	my $rows = rows_of($db, @tables);
	my $dump = $t->basedir . "/$db.dump";
	$t->command_ok([ 'pg_dump', @at, '-Fc', '-f', $dump, $db ], "D2: $from: a dump of before");

	# ---- D5: the update
	$t->sql('ALTER EXTENSION telehealth UPDATE', db => $db);
	is($t->sql(q{SELECT extversion FROM pg_extension WHERE extname = 'telehealth'}, db => $db), $now, "D5: $from: ALTER EXTENSION UPDATE");
	is(rows_of($db, @tables), $rows, "D5: $from: every row is as it was");
	is($t->sql('SELECT count(*) FROM telehealth_private.role_grant AS g JOIN pg_roles AS r ON (r.oid, r.rolname) = (g.grantee_oid, g.grantee)', db => $db),
		3, "D5: $from: grants know their roles");
	ok($t->poll(q{SELECT state FROM telehealth.worker_status}, 'running', 10, db => $db), "D6: $from: the worker goes on by itself");

	is($t->sql("SET ROLE $_; SELECT count(*) > 5 FROM telehealth.health; SELECT count(*) FROM telehealth.periodic_tasks", db => $db), "t\n6",
		"D5: $from: $_ may see what is new in views") for qw(desk boss analyst);

	# what roles were granted is no fact of the script: compared on its own
	my $rights = q{SELECT string_agg(a.rolname || c.oid::regclass || (x).privilege_type, ' ' ORDER BY a.rolname, c.oid::regclass::text, (x).privilege_type)
		FROM pg_class AS c, aclexplode(c.relacl) AS x JOIN pg_roles AS a ON a.oid = x.grantee WHERE a.rolname IN ('desk', 'boss', 'analyst')
		AND c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)};
	my $granted = $t->sql($rights, db => $db);
	my $carried = "after_$db";
	$t->sql("CREATE DATABASE $carried");
	$t->command_ok([ 'pg_dump', @at, '-Fc', '-f', "$dump.after", $db ], "D2: $from: a dump of after");
	{
		local $ENV{PGOPTIONS} = '-c telehealth.restoring=on';
		$t->command_ok([ 'pg_restore', @at, '--exit-on-error', '-d', $carried, "$dump.after" ], "D4: $from: it is restored");
	}
	is(rows_of($carried, grep { !/\.job$/ } @tables), rows_of($db, grep { !/\.job$/ } @tables), "D2: $from: with every row");
	is($t->sql($rights, db => $carried), $granted, "D2: $from: and the rights of roles");
	like($granted, qr/analyst.*boss.*desk/, "$from: there were some");
	is($t->sql('SELECT status FROM telehealth.health WHERE check_name = \'role_grants\'', db => $carried), 'ok', "D4: $from: a restore finds the roles");

	$t->sql("SELECT telehealth.revoke_role(r::regrole, k, c) FROM (VALUES ('desk', 'app', 1), ('analyst', 'reader', 0), ('boss', 'admin', 1)) AS v (r, k, c)", db => $db);
	same_facts_ok(facts($t, $db), $fresh, "D5: $from: the catalogue is that of a fresh installation");

	# ---- and it works
	$t->sql('SELECT telehealth.resume_outbound()', db => $db);
	$t->await($_, db => $db) for @ids;
	pass("D6: $from: what waited is done");
	$t->sql('DELETE FROM telehealth.session WHERE appointment_id = 5000', db => $db);
	is($t->sql(q{SELECT count(*) FROM telehealth_private.session_secret WHERE envelope = '\x00'}, db => $db), 0, "$from: secrets go with their session");
	$t->sql('ALTER EXTENSION telehealth UPDATE', db => $db);
	pass("D5: $from: a second update does nothing");

	# ---- a dump of before, into the present version
	my $copy = "copy_$db";
	$t->sql("CREATE DATABASE $copy");
	{
		local $ENV{PGOPTIONS} = '-c telehealth.restoring=on';
		$t->command_ok([ 'pg_restore', @at, '--exit-on-error', '-d', $copy, $dump ], "D4: $from: its dump is restored into $now");
	}
	is($t->sql('SELECT count(*) FROM telehealth.appointment', db => $copy), 6, "D2: $from: with its rows");
	$t->sql('SELECT telehealth.adopt_environment()', db => $copy);
	is($t->sql('SET ROLE analyst; SELECT count(*) > 5 FROM telehealth.health', db => $copy), 't', "D4: $from: and its roles may see what is new");
	same_facts_ok([ grep { !/(desk|boss|analyst)=/ } @{ facts($t, $copy) } ], [ grep { !/(desk|boss|analyst)=/ } @{ facts($t, $carried) } ],
		"D5: $from: and the present catalogue");
	$t->sql("DROP DATABASE $_") for $copy, $carried;
}

# ---- D6: a library that is older than the extension waits as well

$t->db('fresh');
$t->sql('ALTER DATABASE fresh SET telehealth.mock = on');
my $made = $t->insert_visit;
$t->await($made);
my $size = $t->log_size;
# asked before the worker can have seen it
$t->fails_ok(qq{UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'telehealth'; SELECT telehealth.host_start_url($made)},
	{ sqlstate => '55000', message => qr/paused: the installed extension is of another version/, hint => qr/ALTER EXTENSION telehealth UPDATE/ },
	'D6: a question is answered with the reason');
ok($t->poll(q{SELECT state FROM telehealth.worker_status}, 'version_mismatch', 20), 'D6: of a later version it waits as well');
my $id = $t->insert_visit;
my $health = $t->row(q{SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'worker'});
is($health->{status}, 'error', 'D6: health is red');
like($health->{hint}, qr/ALTER EXTENSION telehealth UPDATE, or restart the server with the matching library/, 'D6: and says what to do');
$t->sql(qq{UPDATE pg_extension SET extversion = '$now' WHERE extname = 'telehealth'});
is($t->await($id)->{platform}, 'mock', 'D6: it goes on');
my $told = () = $t->log_text($size) =~ /WARNING:  telehealth worker is paused/g;
is($told, 1, 'D6: said once');

finish;
