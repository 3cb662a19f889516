# The log of attempts: a partition a day, made ahead and dropped when old.
use TelehealthTest;

my $t = TelehealthTest->node('history', conf => { 'telehealth.mock' => 'on' });
$t->create_extension;

my $days = q{SELECT string_agg(right(c.relname, 8), ' ' ORDER BY c.relname) FROM pg_inherits AS i
	JOIN pg_class AS c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'telehealth_private.job_history'::regclass AND c.relname <> 'job_history_default'};
my $expected = $t->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') || ' ' || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD')});
ok($t->poll($days, $expected, 30), 'the dispatcher makes the partitions of today and tomorrow');
is($t->sql(q{SELECT count(*) FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid
	WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relname ~ '^job_history_[0-9]{8}$'}),
	2, 'which belong to the extension');
my $id = $t->insert_visit;
$t->await($id);
is($t->sql(qq{SELECT string_agg(DISTINCT tableoid::regclass::text, ' ') FROM telehealth_private.job_history WHERE subject_id = $id}),
	'telehealth_private.job_history_' . (split ' ', $expected)[0], 'attempts go to their day');

# ---- old ones go

$t->sql(q{SELECT telehealth_private.keep_history(now() - interval '40 days', 30, 100);
	INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, action, outcome)
	SELECT now() - a, 'meeting', 1, 1, 1, 'look', 'nothing'
	FROM unnest(ARRAY[interval '39 days', '39 days 1 hour', '35 days', '29 days']) AS a});
is(scalar(split ' ', $t->sql($days)), 4, 'partitions of a past day');
ok($t->poll($days, $expected, 30), 'W18: those older than history_days are dropped');
ok($t->poll(q{SELECT string_agg(extract(day FROM now() - at)::text, ' ') FROM telehealth_private.job_history WHERE subject_id = 1 AND kind = 'meeting'
	AND outcome = 'nothing' AND claim_no = 1 AND at < now() - interval '1 day'}, '29', 30),
	'W18: and so are such rows of the default partition');

# ---- what is in the way

my $later = q{SELECT telehealth_private.keep_history(now() + interval '3 days', 30, 100)};
my $session = $t->background_psql('postgres');
$session->query_safe('BEGIN; SELECT count(*) FROM telehealth_private.job_history_default');
$t->sql(qq{SET statement_timeout = '5s'; $later});
is($t->sql($days), $expected, 'W18: a reader is not waited for');
$session->quit;
$t->sql($later);
is(scalar(split ' ', $t->sql($days)), 4, 'the next turn makes up for it');
$t->sql(q{INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, action, outcome)
	VALUES (now() + interval '10 days', 'meeting', 1, 1, 1, 'look', 'nothing');
	SELECT telehealth_private.keep_history(now() + interval '10 days', 30, 100)});
is(scalar(split ' ', $t->sql($days)), 5, 'a day that has begun without its partition stays in the default one');

unlike(scalar(`pg_dump -h @{[ $t->host ]} -p @{[ $t->port ]} postgres`), qr/job_history_[0-9]/, 'none of them is in a dump');
$t->sql('DROP EXTENSION telehealth CASCADE');
is($t->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^job_history'}), 0, 'DROP EXTENSION takes them along');

finish;
