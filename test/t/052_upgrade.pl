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
sub query_of
{
	my (@tables) = @_;
	my %added = ('telehealth.account' => 'is_refused,vendor_key,challenged_at,is_user_level', 'telehealth_private.account_secret' => 'expires_at', 'telehealth_private.role_grant' => 'grantee_oid',
		'telehealth.clinic' => 'calendar_stale_after,calendar_when_stale', 'telehealth.provider' => 'calendar_stale_after,calendar_when_stale',
		'telehealth.appointment' => 'series_id,occurrence,is_exception,series_revision,local_start,cancelled_at');
	return join(' UNION ALL ', map {
		"SELECT '$_' || ' ' || count(*) || ' ' || coalesce(md5(string_agg(y.hash, '' ORDER BY y.hash)), '-') FROM $_ AS x, md5((to_jsonb(x) - '{" . ($added{$_} // '') . "}'::text[])::text) AS y (hash)" } @tables)
	  . ' ORDER BY 1';
}
sub rows_of { my ($db, @tables) = @_; return $t->sql(query_of(@tables), db => $db) }

# What programs know a visit by
sub uid { my ($db, $id) = @_; return $t->sql("SELECT substring(telehealth.appointment_ics($id) FROM 'UID:([^\r]*(\r\n [^\r]*)*)')", db => $db) }

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
	my $uid = uid($db, $ids[0]);
	is($uid, "appointment-$ids[0].clinic-1\@telehealth", "D6: $from: a calendar file is to be had") if $from eq '0.1';
	my $dump = $t->basedir . "/$db.dump";
	$t->command_ok([ 'pg_dump', @at, '-Fc', '-f', $dump, $db ], "D2: $from: a dump of before");

	# ---- D5: the update
	# looked at before the worker sees it, which then chains the audit log
	is($t->sql('BEGIN; ALTER EXTENSION telehealth UPDATE; ' . query_of(@tables) . '; COMMIT', db => $db), $rows, "D5: $from: every row is as it was");
	is($t->sql(q{SELECT extversion FROM pg_extension WHERE extname = 'telehealth'}, db => $db), $now, "D5: $from: ALTER EXTENSION UPDATE");
	is($t->sql('SELECT count(*) FROM telehealth_private.role_grant AS g JOIN pg_roles AS r ON (r.oid, r.rolname) = (g.grantee_oid, g.grantee)', db => $db),
		3, "D5: $from: grants know their roles");
	ok($t->poll(q{SELECT state FROM telehealth.worker_status}, 'running', 10, db => $db), "D6: $from: the worker goes on by itself");
	is(uid($db, $ids[0]), $uid, "G8: $from: what calendars know keeps its UID");
	my $new = $t->insert_visit({ db => $db }, provider_id => 6, type => 'PHONE');
	my $new_uid = uid($db, $new);
	like($new_uid, qr/^appointment-$new\.clinic-1\@[0-9a-f]{32}\.telehealth$/, "G8: $from: what is new has one of its own");

	is($t->sql("SET ROLE $_; SELECT count(*) > 5 FROM telehealth.health; SELECT count(*) FROM telehealth.periodic_tasks", db => $db), "t\n9",
		"D5: $from: $_ may see what is new in views") for qw(desk boss analyst);
	my $calendars = q{SELECT telehealth.vcalendar(telehealth.vevent('u', now(), now())) ~ 'BEGIN:VEVENT', telehealth.ical_duration('1 hour'), telehealth.vtimezone('UTC', now(), now()) ~ 'VTIMEZONE',
		(SELECT count(*) FROM telehealth.parse_ics('', now(), now())), (SELECT count(*) FROM telehealth.tz_drift), (SELECT count(*) FROM telehealth.series_conflict)};
	my $own = q{SELECT token FROM telehealth.create_feed(1, 'x') \gset
		SELECT length(telehealth.feed_ics(:'token')) > 0, (SELECT created FROM telehealth.import_csv(1, 's', E'start,minutes\n2031-06-02 09:00,60', 'UTC', '2031-01-01Z', '2032-01-01Z')),
		(SELECT count(*) FROM telehealth.busy_time), (SELECT count(*) FROM telehealth.import_problem), (SELECT count(*) FROM telehealth.appointment_series)};
	like($t->sql("SET ROLE $_; $calendars", db => $db), qr/^t\|PT1H\|t\|\d+\|0\|0$/, "D5: $from: $_ may make and read calendars") for qw(desk boss analyst);
	is($t->sql("SET ROLE desk; BEGIN; $own; ROLLBACK", db => $db), 't|1|0|0|0', "D5: $from: desk may make feeds and import");
	is($t->sql_fails("SET ROLE analyst; $own", db => $db)->{sqlstate}, '42501', "D5: $from: analyst may not");

	# what roles were granted is no fact of the script: compared on its own
	my $rights = q{SELECT string_agg(a.rolname || c.oid::regclass || (x).privilege_type, ' ' ORDER BY a.rolname, c.oid::regclass::text, (x).privilege_type)
		FROM pg_class AS c, aclexplode(c.relacl) AS x JOIN pg_roles AS a ON a.oid = x.grantee WHERE a.rolname IN ('desk', 'boss', 'analyst')
		AND c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)};
	my $granted = $t->sql($rights, db => $db);
	my $carried = "after_$db";
	$t->sql("CREATE DATABASE $carried");
	ok($t->poll('SELECT count(*) FROM telehealth.audit_log WHERE chain_hash IS NULL', 0, 30, db => $db), "$from: the audit log is chained");
	$t->command_ok([ 'pg_dump', @at, '-Fc', '-f', "$dump.after", $db ], "D2: $from: a dump of after");
	{
		local $ENV{PGOPTIONS} = '-c telehealth.restoring=on';
		$t->command_ok([ 'pg_restore', @at, '--exit-on-error', '-d', $carried, "$dump.after" ], "D4: $from: it is restored");
	}
	is(rows_of($carried, grep { !/\.job$/ } @tables), rows_of($db, grep { !/\.job$/ } @tables), "D2: $from: with every row");
	is(uid($carried, $ids[0]) . uid($carried, $new), $uid . $new_uid, "G8: $from: and every UID");
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
	is(uid($copy, $ids[0]), $uid, "G8: $from: what calendars know keeps its UID there too");
	$t->sql('SELECT telehealth.adopt_environment()', db => $copy);
	like(uid($copy, $t->insert_visit({ db => $copy }, provider_id => 6, type => 'PHONE')), qr/\@[0-9a-f]{32}\.telehealth$/, "G8: $from: and what is new has one of its own");
	is($t->sql('SET ROLE analyst; SELECT count(*) > 5 FROM telehealth.health', db => $copy), 't', "D4: $from: and its roles may see what is new");
	is($t->sql("SET ROLE desk; BEGIN; $own; ROLLBACK", db => $copy), 't|1|0|0|0', "D4: $from: also make feeds and import");
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
