# The log of attempts: a partition a day, made ahead and dropped when old.
use TelehealthTest;

my $t = TelehealthTest->node('history', conf => { 'telehealth.mock' => 'on' });
$t->create_extension;

my $days = q{SELECT string_agg(right(c.relname, 8), ' ' ORDER BY c.relname) FROM pg_inherits AS i
	JOIN pg_class AS c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'telehealth_private.job_history_done'::regclass AND c.relname <> 'job_history_default'};
my $months = q{SELECT string_agg(right(c.relname, 6), ' ' ORDER BY c.relname) FROM pg_inherits AS i
	JOIN pg_class AS c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'telehealth_private.job_failure'::regclass AND c.relname <> 'job_failure_default'};
my $expected = $t->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') || ' ' || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD')});
ok($t->poll($days, $expected, 30), 'the dispatcher makes the partitions of today and tomorrow');
is($t->sql(q{SELECT count(*) FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid
	WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relname ~ '^job_history_[0-9]{8}$'}),
	2, 'which belong to the extension');
my $two_months = $t->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM') || ' ' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYYMM')});
ok($t->poll($months, $two_months, 30), 'and of this month and the next, for what failed');
my $id = $t->insert_visit;
$t->await($id);
is($t->sql(qq{SELECT string_agg(DISTINCT tableoid::regclass::text, ' ') FROM telehealth_private.job_history WHERE subject_id = $id}),
	'telehealth_private.job_history_' . (split ' ', $expected)[0], 'attempts go to their day');

# ---- old ones go

$t->sql(q{SELECT telehealth_private.keep_history(now() - interval '40 days', 30, 180, 100);
	INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, action, outcome)
	SELECT now() - a, 'meeting', 1, 1, 1, 'look', 'nothing'
	FROM unnest(ARRAY[interval '39 days', '39 days 1 hour', '35 days', '29 days']) AS a});
is(scalar(split ' ', $t->sql($days)), 4, 'partitions of a past day');
ok($t->poll($days, $expected, 30), 'W18: those older than history_days are dropped');
ok($t->poll(q{SELECT string_agg(extract(day FROM now() - at)::text, ' ') FROM telehealth_private.job_history WHERE subject_id = 1 AND kind = 'meeting'
	AND outcome = 'nothing' AND claim_no = 1 AND at < now() - interval '1 day'}, '29', 30),
	'W18: and so are such rows of the default partition');

# ---- what failed is kept longer

my $kept = q{SELECT string_agg(extract(day FROM now() - at)::text, ' ' ORDER BY at) FROM telehealth_private.job_history WHERE code = 'kept'};
my $add = q{INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, action, outcome, code)
	SELECT now() - a * interval '1 day', 'meeting', 1, 1, 1, 'create', o, 'kept'
	FROM unnest(ARRAY[181, 178, 40, 31, 29]) AS a, unnest(ARRAY['nothing', 'dead']) AS o
	WHERE o = 'dead' OR a < 32};
$t->sql(q{SELECT telehealth.hold_history('an investigation'); SELECT telehealth_private.keep_history(now() - interval '260 days', 30, 180, 100)});
$t->sql($add);
$t->sql('SELECT telehealth_private.keep_history(now(), 30, 180, 100)');
is($t->sql($kept), '181 178 40 31 31 29 29', 'W18: held history is kept, whatever its age');
my $long_ago = $t->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC' - interval '260 days', 'YYYYMM')});
like($t->sql($months), qr/$long_ago/, 'W18: with its partitions');
is($t->sql(q{SELECT status || ': ' || (detail ~ 'an investigation$') || ': ' || hint FROM telehealth.health WHERE check_name = 'history_hold'}),
	'warning: true: When the investigation is over call telehealth.release_history().', 'W18: health says so');
is($t->sql('SELECT telehealth.release_history()'), 't', 'W18: released');
$t->sql('SELECT telehealth_private.keep_history(now(), 30, 180, 100)');
is($t->sql($kept), '178 40 31 29 29', 'W18: failures stay for failure_history_days, the rest for history_days');
unlike($t->sql($months), qr/$long_ago/, 'W18: and months are dropped whole');
is($t->sql('SELECT telehealth.release_history()'), 'f', 'released once');
$t->fails_ok(q{SELECT telehealth.hold_history(' ')}, { sqlstate => '22023', message => qr/reason must not be empty/ }, 'not without a reason');

# ---- busy times that are over go too, those of every clinic

my $busy = q{SELECT string_agg(clinic_id || '/' || external_id, ' ' ORDER BY clinic_id, external_id) FROM telehealth.busy_time};
my $add_busy = q{INSERT INTO telehealth.busy_time (clinic_id, provider_id, source, external_id, during)
	SELECT c, 1, 'x', a.id, tstzrange(now() - interval '400 days', now() - a.ended) FROM generate_series(1, 2) AS c,
		(VALUES ('41', interval '41 days'), ('31', '31 days'), ('29', '29 days'), ('open', NULL), ('ahead', '-3 days')) AS a (id, ended)};
$t->sql("SELECT telehealth.hold_history('an investigation'); $add_busy; SELECT telehealth_private.keep_history(now(), 30, 180, 100)");
is($t->sql($busy), '1/29 1/31 1/41 1/ahead 1/open 2/29 2/31 2/41 2/ahead 2/open', 'W18: held history keeps busy times that are over');
my $holder = $t->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT 1 FROM telehealth.busy_time WHERE clinic_id = 2 AND external_id = '41' FOR UPDATE});
$t->sql(q{SELECT telehealth.release_history()});
ok($t->poll($busy, '1/29 1/ahead 1/open 2/29 2/41 2/ahead 2/open', 30), 'W18: the dispatcher removes them after history_days, but for one that is held, for which it does not wait');
$holder->quit;
ok($t->poll($busy, '1/29 1/ahead 1/open 2/29 2/ahead 2/open', 30), 'W18: that one later');
$t->sql(q{INSERT INTO telehealth.busy_time (provider_id, source, external_id, during)
	SELECT 1, 'many', n::text, tstzrange(now() - n * interval '1 hour', now() - (n - 1) * interval '1 hour') FROM generate_series(1, 20000) AS n; ANALYZE telehealth.busy_time});
like($t->sql(q{EXPLAIN SELECT FROM telehealth.busy_time WHERE upper(during) < now() - interval '800 days' ORDER BY upper(during) LIMIT 100}),
	qr/busy_time_over_idx/, 'and finds them by an index');
$t->sql(q{DELETE FROM telehealth.busy_time WHERE source = 'many'});

# ---- what is in the way

my $later = q{SELECT telehealth_private.keep_history(now() + interval '3 days', 30, 180, 100)};
my $session = $t->background_psql('postgres');
$session->query_safe('BEGIN; SELECT count(*) FROM telehealth_private.job_history_default');
$t->sql(q{SET statement_timeout = '} . 5 * ($ENV{TELEHEALTH_PATIENCE} // 1) . qq{s'; $later});
is($t->sql($days), $expected, 'W18: a reader is not waited for');
$session->quit;
$t->sql($later);
is(scalar(split ' ', $t->sql($days)), 4, 'the next turn makes up for it');
$t->sql(q{INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, action, outcome)
	VALUES (now() + interval '10 days', 'meeting', 1, 1, 1, 'look', 'nothing');
	SELECT telehealth_private.keep_history(now() + interval '10 days', 30, 180, 100)});
is(scalar(split ' ', $t->sql($days)), 5, 'a day that has begun without its partition stays in the default one');

unlike(scalar(`pg_dump -h @{[ $t->host ]} -p @{[ $t->port ]} postgres`), qr/job_(?:history|failure)_[0-9]/, 'none of them is in a dump');
$t->sql('DROP EXTENSION telehealth CASCADE');
is($t->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^job_(history|failure)'}), 0, 'DROP EXTENSION takes them along');

finish;
