# Rows that bookings and the dispatcher write without a statement: that they are,
# and that it is as if one had written them, whatever somebody makes of a table.
use TelehealthTest;

my $fake = FakeZoom->start;
my $t = TelehealthTest->node('direct', conf => { 'telehealth.poll_interval_ms' => 200,
	shared_preload_libraries => 'telehealth, pg_stat_statements', 'pg_stat_statements.track' => 'all' });
$t->create_extension;
$t->sql('CREATE EXTENSION pg_stat_statements');
$t->connect_zoom($fake);

# What stands in for the direct way
my %STATEMENTS = (
	mark => 'INSERT INTO telehealth_private.job AS j%',
	claim => 'WITH due AS MATERIALIZED %UPDATE telehealth_private.job%',
	lock => 'SELECT u.place, j.generation FROM%',
	remove => 'DELETE FROM telehealth_private.job AS j%',
	settle => 'UPDATE telehealth_private.job AS j SET attempts%',
	session => 'WITH written AS (UPDATE telehealth.session%',
);

# As a test: a visit gets its link, and these are the statements it takes. Its
# job is put off first, where that takes one.
sub visit_ok
{
	my ($name, $expected, $is_put_off) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$t->drained;
	$t->sql('SELECT pg_stat_statements_reset()');
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'status', code => 503 } }) if $is_put_off;
	my $id = $t->insert_visit;
	$t->await_ok($id, "$name: a visit gets its link");
	ok($t->drained, '... and its job is done');
	my @taken = grep { $t->sql('SELECT count(*) FROM pg_stat_statements WHERE query LIKE ' . literal($STATEMENTS{$_})) } sort keys %STATEMENTS;
	is("@taken", $expected, '... with these statements: ' . ($expected || 'none'));
	return $id;
}

# The same while a table is so
sub while_ok
{
	my ($name, $expected, $do, $undo) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$t->sql($do);
	visit_ok($name, $expected, $expected =~ /settle/);
	$t->sql($undo);
	return;
}

# ---- as installed

my $counted = q{SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE relid = 'telehealth_private.job'::regclass};
$t->await($t->insert_visit);
$t->drained;
my $before = join ', ', map { $t->row($counted)->{$_} } qw(n_tup_ins n_tup_upd n_tup_del);
visit_ok('as installed', '', 1);
ok($t->poll("SELECT n_tup_ins > b.i AND n_tup_upd > b.u AND n_tup_del > b.d FROM ($counted) AS w, (VALUES ($before)) AS b (i, u, d)", 't', 20),
	'... whose rows the statistics count');

# ---- what is kept without a statement

while_ok('an index under another name', '', 'ALTER INDEX telehealth_private.job_due_at_idx RENAME TO other_idx',
	'ALTER INDEX telehealth_private.other_idx RENAME TO job_due_at_idx');
$t->sql(q{CREATE INDEX session_extra ON telehealth.session (upper(join_url)) WHERE status = 'SCHEDULED'});
my $id = visit_ok('an index on an expression of some rows', '');
my $upper = q{SELECT count(*) FROM telehealth.session WHERE upper(join_url) = (SELECT upper(join_url) FROM telehealth.appointment WHERE id = %s) AND status = 'SCHEDULED'};
is($t->sql("SET enable_seqscan = off; " . sprintf $upper, $id), 1, '... and is in it');
like($t->sql("SET enable_seqscan = off; EXPLAIN " . sprintf $upper, $id), qr/session_extra/, '... where it was looked for');
$t->sql('DROP INDEX telehealth.session_extra');

# ---- what only a statement does

my $jobs = 'claim lock mark remove settle';

while_ok('an index that is not whole', 'claim', q{UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'telehealth_private.job_due_at_idx'::regclass},
	q{UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'telehealth_private.job_due_at_idx'::regclass});
while_ok('a column of another type', $jobs, 'ALTER TABLE telehealth_private.job ALTER COLUMN max_attempts TYPE integer',
	'ALTER TABLE telehealth_private.job ALTER COLUMN max_attempts TYPE smallint');
while_ok('a check of jobs', 'mark', q{ALTER TABLE telehealth_private.job ADD CONSTRAINT test_check CHECK (priority < 100)},
	'ALTER TABLE telehealth_private.job DROP CONSTRAINT test_check');
$t->sql(q{ALTER TABLE telehealth_private.job ADD CONSTRAINT test_check CHECK (kind <> 'meeting')});
my $failed = eval { $t->insert_visit; 1 } ? 'it was booked' : $@;
like($failed, qr/test_check/, '... and is kept');
$t->sql('ALTER TABLE telehealth_private.job DROP CONSTRAINT test_check');
while_ok('an index of blocks', 'mark', 'CREATE INDEX job_brin ON telehealth_private.job USING brin (marked_at)', 'DROP INDEX telehealth_private.job_brin');
while_ok('an exclusion of jobs', 'mark', 'ALTER TABLE telehealth_private.job ADD CONSTRAINT test_exclude EXCLUDE USING btree (clinic_id WITH =, kind WITH =, subject_id WITH =)',
	'ALTER TABLE telehealth_private.job DROP CONSTRAINT test_exclude');
while_ok('an inherited table', $jobs, 'CREATE TABLE job_child () INHERITS (telehealth_private.job)', 'DROP TABLE job_child');
$t->sql('VACUUM ANALYZE telehealth_private.job');

$t->sql(q{CREATE TABLE test_seen (what text);
	CREATE FUNCTION test_see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.test_seen VALUES (TG_OP || ' ' || TG_TABLE_NAME); RETURN NULL; END $$;
	GRANT ALL ON test_seen TO PUBLIC});
my $seen = q{SELECT COALESCE(string_agg(DISTINCT what, ', ' ORDER BY what), 'none') FROM test_seen};
while_ok('a trigger on removals of jobs', 'mark remove', 'CREATE TRIGGER test_see AFTER DELETE ON telehealth_private.job FOR EACH ROW EXECUTE FUNCTION test_see()',
	'DROP TRIGGER test_see ON telehealth_private.job');
is($t->sql($seen), 'DELETE job', '... is run');
while_ok('a trigger on changes of jobs', $jobs, 'TRUNCATE test_seen; CREATE TRIGGER test_see AFTER UPDATE ON telehealth_private.job FOR EACH STATEMENT EXECUTE FUNCTION test_see()',
	'DROP TRIGGER test_see ON telehealth_private.job');
is($t->sql($seen), 'UPDATE job', '... is run');
while_ok('an application that refers to sessions', 'session',
	'CREATE TABLE note (clinic_id bigint, session_id bigint, FOREIGN KEY (clinic_id, session_id) REFERENCES telehealth.session ON DELETE CASCADE)', 'DROP TABLE note');

# ---- what a statement refuses

$t->sql('ALTER TABLE telehealth_private.job REPLICA IDENTITY NOTHING; CREATE PUBLICATION test_all FOR TABLE telehealth_private.job');
my $from = $t->log_size;
$id = $t->insert_visit;
ok(patiently(sub { $t->log_text($from) =~ /cannot update table "job" because it does not have a replica identity/ }, 20), 'a change that a publication could not pass on is refused');
$t->sql('DROP PUBLICATION test_all; ALTER TABLE telehealth_private.job REPLICA IDENTITY DEFAULT');
$t->await_ok($id, '... until it could');

# ---- more columns than we know, for good

while_ok('a column more of jobs', $jobs, 'ALTER TABLE telehealth_private.job ADD COLUMN note text', '');
while_ok('a column more of sessions', 'claim lock mark remove session settle', 'ALTER TABLE telehealth.session ADD COLUMN note text', '');

finish;
