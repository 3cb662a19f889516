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
$t->sql(q{SELECT telehealth.pause_outbound('dump')});
my $waits = $t->insert_visit(provider_id => 6, starts_at => \q{now() + interval '30 days'});
ok($t->poll(q{SELECT count(*) FROM telehealth.audit_log WHERE chain_hash IS NULL}, 0, 30), 'all of it');

# ---- what must be equal

my $TABLES = q{SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY 1) FROM pg_extension AS x, unnest(x.extconfig) AS o
	JOIN pg_class AS c ON c.oid = o WHERE x.extname = 'telehealth' AND c.relkind = '%s'};
my @tables = split / /, $t->sql($TABLES =~ s/%s/r/r);
my @sequences = split / /, $t->sql($TABLES =~ s/%s/S/r);
cmp_ok(scalar(@tables), '>=', 14, 'there are tables to carry');
ok($t->sql("SELECT count(*) > 0 FROM $_") eq 't', "there is a row in $_") for @tables;

my $sums = join ' UNION ALL ', map {
	"SELECT '$_' AS name, count(*) || ' ' || coalesce(md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))), '-') AS sum FROM $_ AS x" } @tables;
my $stands = join ' UNION ALL ', map { "SELECT '$_', last_value || ' ' || is_called FROM $_" } @sequences;
my $rights = q{SELECT r.rolname || ' ' || c.oid::regclass || ' ' || string_agg(a.privilege_type, ',' ORDER BY a.privilege_type)
	FROM pg_class AS c, aclexplode(c.relacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
	WHERE r.rolname IN ('desk', 'analyst') GROUP BY 1, c.oid, r.rolname ORDER BY 1} =~ s/GROUP BY 1, /GROUP BY /r;

sub checksums { my ($db) = @_; return $t->sql("$sums UNION ALL $stands ORDER BY 1", db => $db) }
sub rights { my ($db) = @_; return $t->sql($rights, db => $db) }

my ($want, $want_rights) = (checksums('postgres'), rights('postgres'));
ok($want_rights, 'there are rights to carry');
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
		is(checksums($db), $want, "D2: $how: equal rows in every table, and numbers where they stood");
		is(rights($db), $want_rights, "D2: $how: equal rights");
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
	skip 'needs a build with TH_DEBUG=1', 6
	  if !defined $t->row(q{SELECT current_setting('telehealth.debug_waitpoint', true) AS it})->{it};
	$t->create_extension('race');
	my $from = $t->log_size;

	# due before the dispatcher looks, committed after it has
	my $session = $t->background_psql('race');
	$session->query_safe(q{BEGIN; INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
		VALUES (1, 1, 1, 'VIDEO', now() + interval '1 day')});
	$t->reload_conf('telehealth.debug_waitpoint' => 'held_known');
	my $pid = $t->dispatcher_pid('race');
	ok(patiently(sub { $t->log_text($from) =~ /\[$pid\].*waitpoint "held_known" reached/ }, 20), 'D7: a dispatcher knows that nothing is held');
	run_ok("pg_dump $at --data-only -t telehealth.account -t telehealth_private.account_secret -f $folder/part.sql postgres", 'D7: accounts');
	run_ok("psql $at -XqAt -v ON_ERROR_STOP=1 -f $folder/part.sql -d race", 'D7: are restored');
	$session->query_safe('COMMIT');
	$session->quit;
	$t->reload_conf('telehealth.debug_waitpoint' => '');
	ok($t->poll(q{SELECT waiting_for FROM telehealth_private.job}, 'environment_unconfirmed', 20, db => 'race'), 'D7: it looks again before it begins');
	is($t->sql('SELECT count(*) FROM telehealth.session', db => 'race'), 0, 'D7: no meeting was meant');
	is($fake->state->{requests_total}, $requests, 'D7: and nothing was sent');
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

finish;
