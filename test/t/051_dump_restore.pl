# Dump and restore, in every form: the same rows, numbers that go on where they
# stood, and nothing sent from the copy.
use TelehealthTest;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('origin', conf => { max_worker_processes => 24, 'telehealth.batch_size' => 50 });
my $at = '-h ' . $t->host . ' -p ' . $t->port;
my @at = split / /, $at;
$t->create_extension;
$t->widen_limits;
$t->sql(q{INSERT INTO telehealth.provider (platform_user) SELECT format('host%s@clinic.example', n) FROM generate_series(1, 20) AS n});
$t->connect_zoom($fake);

# ---- something in every table that a dump carries

$t->sql(<<'SQL');
CREATE ROLE desk; CREATE ROLE analyst;
SELECT telehealth.grant_role('desk', 'app', 1), telehealth.grant_role('analyst', 'reader', 1);
INSERT INTO telehealth.clinic (name, timezone, platform) VALUES ('First', 'America/New_York', 'zoom'), ('Second', NULL, NULL);
INSERT INTO telehealth.patient (external_id, display_name, email, phone, state) VALUES (E'p\t1', E'Zoë "O''Brien"\n\\N', 'a@example.org', '+1 555', 'NY');
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('zoom', 'title', true);
INSERT INTO telehealth.appointment (patient_id, provider_id, type, status, starts_at, held_until) VALUES
	(1, 9, 'VIDEO', 'PENDING', now() + interval '9 days', now() + interval '1 day');
INSERT INTO telehealth.appointment (clinic_id, id, patient_id, provider_id, type, starts_at) VALUES
	(2, 900, 1, 1, 'IN_PERSON', now() + interval '5 days'), (2, 901, 1, 1, 'VIDEO', '2001-01-01');
-- where it is about noon: at midnight a series goes on by a day
INSERT INTO telehealth.appointment_series (patient_id, provider_id, type, rule, first_date, start_time, timezone)
SELECT 1, 70, 'IN_PERSON', 'FREQ=WEEKLY', current_date, '09:00', format('Etc/GMT%s%s', CASE WHEN h < 12 THEN '-' ELSE '+' END, abs(h - 12))
FROM (SELECT extract(hour FROM now() AT TIME ZONE 'UTC')::integer AS h) AS utc;
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, timezone) VALUES (9, 1, '09:00', '24:00', 'Europe/Berlin');
INSERT INTO telehealth.calendar_connection (provider_id, kind, calendar_id, status, settings) VALUES (9, 'google', 'carried@clinic.example', 'CONNECTED', '{"only_video": true}');
INSERT INTO telehealth_private.connection_secret (clinic_id, connection_id, name, envelope) SELECT clinic_id, id, 'refresh_token', '\x00' FROM telehealth.calendar_connection;
INSERT INTO telehealth.calendar_event (appointment_id, connection_id, external_id, uid) SELECT 999999, id, 'carried', 'u' FROM telehealth.calendar_connection;
INSERT INTO telehealth.calendar_change (connection_id, calendar_event_id, appointment_id, change, action, ours, theirs)
	SELECT connection_id, id, appointment_id, 'moved', 'flag', '{}', '{}' FROM telehealth.calendar_event;
SELECT telehealth.create_feed(9, 'Carried');
SELECT telehealth.register_oauth_client('google', '{"client_id": "carried", "client_secret": "x"}');
SELECT telehealth_private.put_push_channel(1, 'graph', 'carried', 'x');
INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, meeting_id, raw, business_key, processed_at, outcome) VALUES
	(0, 'zoom', 'meeting.started', '999', '{"event": "meeting.started"}', 'a', now(), 'unmatched');
INSERT INTO telehealth.participant (session_id, participant_id, name) VALUES (999999, 'p', 'Zoë');
INSERT INTO telehealth.waiting_room_entry (session_id, participant_id, questionnaire) VALUES (999999, 'p', '{"pain": 3}');
INSERT INTO telehealth.recording (session_id, file_id) VALUES (999999, 'f');
SELECT telehealth.import_csv(9, 'carried', E'start,minutes\n2031-06-02 09:00,60\nsoon,60', 'UTC', '2031-01-01Z', '2032-01-01Z');
SQL
my @ids = map { $t->insert_visit(provider_id => $_, title => "visit $_") } 1 .. 5;
push @ids, $t->insert_visit(provider_id => 1, starts_at => \q{now() + interval '20 days'});
push @ids, $t->insert_visit(provider_id => 1, starts_at => \q{now() + interval '20 days'}, is_overbooked => 't', overbook_reason => 'family')
  for 1 .. 2;
$t->await($_) for @ids;
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $ids[4]");
ok($t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind = 'meeting'}, 0, 30), 'the origin has its meetings');
ok($t->poll(q{SELECT count(*) FROM telehealth.audit_log WHERE chain_hash IS NULL}, 0, 30), 'and a chained audit log');
# held, so that nothing of the origin changes any more
$t->sql(q{SELECT telehealth.pause_outbound('dump'), telehealth.hold_history('dump'), telehealth.set_dashboard_token()});
my $waits = $t->insert_visit(provider_id => 6, starts_at => \q{now() + interval '30 days'});
ok($t->poll(q{SELECT count(*) FROM telehealth.audit_log WHERE chain_hash IS NULL}, 0, 30), 'all of it');

# ---- what must be equal

my $TABLES = q{SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY 1) FROM pg_extension AS x, unnest(x.extconfig) AS o
	JOIN pg_class AS c ON c.oid = o WHERE x.extname = 'telehealth' AND c.relkind = '%s'};
my @tables = split / /, $t->sql($TABLES =~ s/%s/r/r);
my @sequences = split / /, $t->sql($TABLES =~ s/%s/S/r);
cmp_ok(scalar(@tables), '>=', 14, 'there are tables to carry');
ok($t->sql("SELECT count(*) > 0 FROM $_") eq 't', "there is a row in $_") for @tables;

# a copy has a row of its own beside that which counts
my %counts = ('telehealth_private.installation' => '(SELECT * FROM telehealth_private.installation ORDER BY created_at LIMIT 1)');
my $sums = join ' UNION ALL ', map {
	"SELECT '$_' AS name, count(*) || ' ' || coalesce(md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))), '-') AS sum FROM " . ($counts{$_} // $_) . ' AS x' } @tables;
my $stands = join ' UNION ALL ', map { "SELECT '$_', last_value || ' ' || is_called FROM $_" } @sequences;
my $rights = q{SELECT r.rolname || ' ' || c.oid::regclass || ' ' || string_agg(a.privilege_type, ',' ORDER BY a.privilege_type)
	FROM pg_class AS c, aclexplode(c.relacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
	WHERE r.rolname IN ('desk', 'analyst') GROUP BY 1, c.oid, r.rolname ORDER BY 1} =~ s/GROUP BY 1, /GROUP BY /r;

# A restore with triggers leaves each series to the dispatcher of the copy, held or not: a
# claim that may draw its number before that of the origin arrives, or after.
sub await_series
{
	my ($db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind = 'series' AND claim_no > 0 AND attempts = 0 AND due_at > now()}, 1, 30, db => $db), $name);
}

# Numbers may have been drawn since; none is ever drawn again.
sub with_claims
{
	my ($db, $want) = @_;
	my ($drawn, $last) = split /\|/, $t->sql('SELECT (SELECT max(claim_no) FROM telehealth_private.job), last_value FROM telehealth_private.claim_no_seq', db => $db);
	return $want =~ s/^(telehealth_private\.claim_no_seq\|)(\d+)/$1 . ($last >= $2 && $last >= $drawn ? $last : $2)/emr;
}

sub checksums { my ($db) = @_; return $t->sql("$sums UNION ALL $stands ORDER BY 1", db => $db) }
# What programs know a visit by
sub uid { my ($db, $id) = @_; return $t->sql("SELECT substring(telehealth.appointment_ics($id) FROM 'UID:([^\r]*(\r\n [^\r]*)*)')", db => $db) }
sub rights { my ($db) = @_; return $t->sql($rights, db => $db) }

my ($want, $want_rights) = (checksums('postgres'), rights('postgres'));
ok($want_rights, 'there are rights to carry');
my $uid = uid('postgres', $ids[0]);
like($uid, qr/^appointment-$ids[0]\.clinic-1\@[0-9a-f]{32}\.telehealth$/, 'G8: a UID has the installation in it');
my $requests = $fake->state->{requests_total};

# A row into every table, each with a number of the table's own making
sub can_insert_ok
{
	my ($db, $name) = @_;
	my $e = $t->sql_fails(<<'SQL', db => $db);
BEGIN;
INSERT INTO telehealth.clinic (name) VALUES ('next');
INSERT INTO telehealth.provider (display_name) VALUES ('next');
INSERT INTO telehealth.patient (display_name) VALUES ('next');
INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 8, 'VIDEO', '2040-01-01Z');
INSERT INTO telehealth.session (appointment_id, patient_id, provider_id, platform, marker) VALUES (1000000, 1, 1, 'mock', 'th-0');
INSERT INTO telehealth.account (platform) VALUES ('custom');
INSERT INTO telehealth.audit_log (action, object) VALUES ('x', 'y');
INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'host_meetings_at_once', 1);
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('zoom', 'reason', false);
SELECT telehealth.grant_role('desk', 'reader', 2);
ROLLBACK;
SQL
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	diag $e->{stderr} if $e;
	return ok(!$e, $name);
}

# ---- the forms of a dump

my $folder = $t->basedir;
my %forms = (
	plain => [ [ "pg_dump $at -f $folder/plain.sql postgres", "psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/plain.sql -d %s" ] ],
	inserts => [ [ "pg_dump $at --inserts -f $folder/inserts.sql postgres", "psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/inserts.sql -d %s" ] ],
	custom => [ [ "pg_dump $at -Fc -f $folder/custom postgres", "pg_restore $at --exit-on-error -d %s $folder/custom" ] ],
	parallel => [ [ "pg_dump $at -Fd -j2 -f $folder/directory postgres", "pg_restore $at --exit-on-error -j2 -d %s $folder/directory" ] ],
	halves => [
		[ "pg_dump $at --schema-only -f $folder/schema.sql postgres", "psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/schema.sql -d %s" ],
		[ "pg_dump $at --data-only -f $folder/data.sql postgres", "psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/data.sql -d %s" ] ]);

sub run_ok
{
	my ($command, $name) = @_;
	my ($out, $err) = ('', '');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $done = IPC::Run::run([ split / /, $command ], '>', \$out, '2>', \$err);
	my $ok = ok($done && $err !~ /error|warning/i, $name);
	diag $err if !$ok;
	return;
}

for my $form (sort keys %forms)
{
	run_ok($_->[0], "D2: dump, $form") for @{ $forms{$form} };
	for my $restoring (qw(on off))
	{
		my $db = "copy_${form}_$restoring";
		my $how = "$form, restoring $restoring";
		$t->sql("CREATE DATABASE $db");
		local $ENV{PGOPTIONS} = "-c telehealth.restoring=$restoring";
		run_ok(sprintf($_->[1], $db), "D4: $how: restored without an error") for @{ $forms{$form} };
		delete $ENV{PGOPTIONS};
		await_series($db, "D2: $how: the series goes on") if $restoring eq 'off';
		is(checksums($db), $restoring eq 'off' ? with_claims($db, $want) : $want, "D2: $how: equal rows in every table, and numbers where they stood");
		is(rights($db), $want_rights, "D2: $how: equal rights");
		is(uid($db, $ids[0]), $uid, "G8: $how: the UID is the same");
		can_insert_ok($db, "D3: $how: the next row of every table gets its number");
		is($t->sql('SELECT count(*) FROM telehealth_private.job_history', db => $db), 0, "D7: $how: the copy has tried nothing");
		is($t->sql('SELECT count(*) FROM telehealth_private.job', db => $db), 0, "D2: $how: triggers were silent") if $restoring eq 'on';
		$t->wait_dispatcher($db);
	}
}

# ---- nothing leaves a copy before it is adopted

my @copies = map { ("copy_${_}_on", "copy_${_}_off") } sort keys %forms;
for my $db (@copies)
{
	$t->sql('SELECT telehealth.resume_outbound()', db => $db);
	$t->insert_visit({ db => $db }, provider_id => 8);
}
for my $db (@copies)
{
	ok($t->poll(q{SELECT held_reason FROM telehealth.worker_status}, 'environment_unconfirmed', 15, db => $db), "D7: $db is held")
	  or diag $t->sql('SELECT held_reason, phase FROM telehealth.worker_status', db => $db);
}
is($fake->state->{requests_total}, $requests, 'D7: and none of them sent anything');

# ---- a restore that commits its accounts while a dispatcher takes up work

SKIP:
{
	skip 'needs a build with TH_DEBUG=1', 15
	  if !defined $t->row(q{SELECT current_setting('telehealth.debug_waitpoint', true) AS it})->{it};
	$t->create_extension('race');
	my $from = $t->log_size;

	# due before the dispatcher looks, committed after it has
	my $session = $t->background_psql('race');
	$session->query_safe(qq{BEGIN; INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, meeting_id, join_url)
		VALUES (900, 1, 1, 'VIDEO', now() + interval '1 day', NULL, NULL), ($ids[1], 1, 2, 'VIDEO', now() + interval '2 days', '1', 'https://kept.example/')});
	$t->reload_conf('telehealth.debug_waitpoint' => 'held_known');
	my $pid = $t->dispatcher_pid('race');
	ok(patiently(sub { $t->log_text($from) =~ /\[$pid\].*waitpoint "held_known" reached/ }, 20), 'D7: a dispatcher knows that nothing is held');
	run_ok("pg_dump $at --data-only -t telehealth.account -t telehealth_private.account_secret -t telehealth.session -f $folder/part.sql postgres", 'D7: accounts');
	run_ok("psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/part.sql -d race", 'D7: are restored');
	$session->query_safe('COMMIT');
	$session->quit;
	$t->reload_conf('telehealth.debug_waitpoint' => '');
	ok($t->poll(q{SELECT held_reason FROM telehealth.worker_status}, 'environment_unconfirmed', 20, db => 'race'), 'D7: it looks again before it begins');
	is($t->sql('SELECT count(*) FROM telehealth.session WHERE appointment_id = 900', db => 'race'), 0, 'D7: no meeting was meant');
	# the host has not arrived: the meeting seems to be another's
	is($t->sql("SELECT join_url FROM telehealth.appointment WHERE id = $ids[1]", db => 'race'), 'https://kept.example/', 'D7: no link was taken away');
	is($t->sql("SELECT count(*) FROM telehealth.session WHERE appointment_id = $ids[1] AND retired_at IS NULL", db => 'race'), 1, 'D7: and no meeting given up');
	is($fake->state->{requests_total}, $requests, 'D7: and nothing was sent');

	# of calendars one connection has arrived, and one event of another
	$t->create_extension('half');
	$from = $t->log_size;
	$session = $t->background_psql('half');
	$session->query_safe(q{BEGIN;
		INSERT INTO telehealth.calendar_connection (id, provider_id, kind, calendar_id, status) VALUES (71, 5, 'google', 'a@clinic.example', 'CONNECTED');
		INSERT INTO telehealth.calendar_event (id, appointment_id, connection_id, external_id, uid) VALUES (2, 901, 72, 'kept', 'u');
		INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES
			(901, 1, 6, 'PHONE', now() + interval '5 minutes'), (902, 1, 5, 'PHONE', now() + interval '5 minutes')});
	$t->reload_conf('telehealth.debug_waitpoint' => 'held_known');
	$pid = $t->dispatcher_pid('half');
	ok(patiently(sub { $t->log_text($from) =~ /\[$pid\].*waitpoint "held_known" reached/ }, 20), 'D7: a dispatcher knows that nothing is held');
	$session->query_safe('COMMIT');
	$session->quit;
	$t->reload_conf('telehealth.debug_waitpoint' => '');
	ok($t->poll(q{SELECT held_reason FROM telehealth.worker_status}, 'environment_unconfirmed', 20, db => 'half'), 'D7: calendars alone are enough to hold it');
	my $hold = $t->insert_visit({ db => 'half' }, provider_id => 7, status => 'PENDING', held_until => \q{now() + interval '1 second'});
	ok($t->poll("SELECT status FROM telehealth.appointment WHERE id = $hold", 'CANCELLED', 20, db => 'half'), 'D7: it did since what may be done');
	is($t->sql('SELECT id, external_id, retired_at FROM telehealth.calendar_event', db => 'half'), '2|kept|', 'D7: no event was given up, none meant');
	is($t->sql('SELECT count(*) FROM telehealth_private.job_history', db => 'half'), 0, 'D7: and nothing was tried');
	ok(!$t->sql_fails(q{INSERT INTO telehealth.calendar_event (id, appointment_id, connection_id, external_id, uid) VALUES (1, 902, 71, 'other', 'v')}, db => 'half'),
		'D4: what comes later finds its place');
}

# ---- adopted, it goes on: what waited in the origin is found without its job

my ($db) = grep { /parallel_on/ } @copies;
my $live = () = $fake->live_meetings;
$t->sql('SELECT telehealth.adopt_environment()', db => $db);
ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $waits", 't', 30, db => $db),
	'D7: adopted, the work begins, also that whose job was not in the dump');
ok($t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind = 'meeting'}, 0, 30, db => $db), 'D7: all of it is done');
is((() = $fake->live_meetings) - $live, 2, 'D7: with one meeting for each visit that had none');
is($t->sql('SELECT count(*) FROM telehealth_private.job WHERE kind = \'hold\'', db => $db), 1, 'D7: the hold will run out');
is(checksums('postgres'), $want, 'D2: the origin is as it was');
is(uid($db, $ids[0]), $uid, 'G8: adopted, its UIDs are those of its origin');
is($t->sql('SELECT count(*), count(plain_until) FROM telehealth_private.installation', db => $db), '1|0', 'G8: and it has one row for them');
$t->create_extension('other');
isnt(uid('other', $t->sql("INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES ($ids[0], 1, 1, 'PHONE', now()) RETURNING id", db => 'other')),
	$uid, 'G8: the same visit of another installation has another');

finish;
