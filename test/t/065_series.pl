# Recurring visits: their meetings, the horizon that the dispatcher moves, what
# stands in its way, and clocks that are set twice a year.
use TelehealthTest;
use File::Basename qw(dirname);

# ---- a server whose wall clock the test can step

my $folder = PostgreSQL::Test::Utils::tempdir;
my ($library, $step_file) = ("$folder/clock_step.so", "$folder/step");
my $source = dirname($INC{'TelehealthTest.pm'}) . '/clock_step.c';
PostgreSQL::Test::Utils::run_log([ $ENV{CC} // 'cc', '-O2', '-shared', '-fPIC', '-o', $library, $source, '-ldl' ])
  or BAIL_OUT('cannot compile clock_step.c');

my $stepped = 0;

sub step_days
{
	my ($days) = @_;
	$stepped += $days * 86400;
	open my $file, '+<', $step_file or die;
	syswrite $file, pack('l!', $stepped);
	return;
}

open my $new, '>', $step_file or die;
print $new pack('l!', 0);
close $new;

my $t = TelehealthTest->node('series', start => 0, conf => { 'telehealth.mock' => 'on' });
{
	local $ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, $library;
	local $ENV{CLOCK_STEP_FILE} = $step_file;
	$t->start;
}
$t->create_extension;

sub insert_series
{
	my (%o) = @_;
	my %row = (patient_id => 1, provider_id => 1, type => 'VIDEO', rule => 'FREQ=WEEKLY',
		start_time => '09:00', timezone => 'America/New_York', horizon_days => 30, %o);

	# tomorrow, where it is
	$row{first_date} //= \"(now() AT TIME ZONE '$row{timezone}')::date + 1";
	my @names = sort keys %row;
	return $t->sql(sprintf 'INSERT INTO telehealth.appointment_series (%s) VALUES (%s) RETURNING id', join(', ', @names),
		join(', ', map { ref $row{$_} ? ${ $row{$_} } : literal($row{$_}) } @names));
}

sub count_of { my ($id, $more) = @_; return $t->sql("SELECT count(*) FROM telehealth.appointment WHERE series_id = $id" . ($more ? " AND $more" : '')) }

# Days of the next so many that have no visit although the rule names them
sub missing
{
	my ($id, $days) = @_;
	return qq{SELECT count(*) FROM telehealth.appointment_series AS s, telehealth_private.series_days(s.rule, s.first_date, s.start_time,
		s.timezone, (now() AT TIME ZONE s.timezone)::date + 1, (now() AT TIME ZONE s.timezone)::date + $days, 1000) AS d
		WHERE s.id = $id AND d.occurrence <> ALL (s.exceptions)
			AND NOT EXISTS (SELECT FROM telehealth.appointment AS a WHERE a.series_id = s.id AND a.occurrence = d.occurrence)};
}

# ---- visits and their meetings

my $video = insert_series();
my $daily = insert_series(provider_id => 2, type => 'IN_PERSON', rule => 'FREQ=DAILY', timezone => 'Europe/Berlin');
my $ended = insert_series(provider_id => 3, type => 'IN_PERSON', rule => 'FREQ=DAILY;COUNT=3');
cmp_ok(count_of($video), '>=', 4, 'visits of four weeks are made at once');
is(count_of($daily), 30, 'and of thirty days');
is(count_of($ended), 3, 'or of all there are');
ok($t->poll("SELECT count(*) FROM telehealth.appointment WHERE series_id = $video AND join_url IS NULL", 0, 20), 'each VIDEO visit gets a meeting');
is($t->sql("SELECT count(DISTINCT s.meeting_id) FROM telehealth.session AS s JOIN telehealth.appointment AS a ON a.id = s.appointment_id
	WHERE a.series_id = $video AND s.retired_at IS NULL"), count_of($video), 'one of its own');
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'series' AND subject_id = $ended"), 0, 'a series that has ended is not looked at again');
is($t->sql("SELECT count(*) FROM telehealth.job_status WHERE kind = 'series' AND state = 'queued'"), 2, 'the others wait for their horizon');

my $kept = $t->sql("SELECT string_agg(id || join_url, ' ' ORDER BY id) FROM telehealth.appointment WHERE series_id = $video");
$t->sql("UPDATE telehealth.appointment_series SET start_time = '11:00' WHERE id = $video");
is($t->sql("SELECT string_agg(id || join_url, ' ' ORDER BY id) FROM telehealth.appointment WHERE series_id = $video"), $kept,
	'a series that moves keeps its visits and their links');
ok($t->poll("SELECT count(*) FROM telehealth.session AS s JOIN telehealth.appointment AS a ON a.id = s.appointment_id
	WHERE a.series_id = $video AND s.scheduled_at <> a.starts_at", 0, 20), 'whose meetings follow');

# ---- the horizon moves

step_days(20);
ok($t->poll(missing($daily, 30), 0, 20), 'twenty days later the dispatcher has made twenty more');
ok($t->poll(missing($video, 30), 0, 20), 'of the weekly one as well');
ok($t->poll("SELECT count(*) FROM telehealth.appointment WHERE series_id = $video AND starts_at > now() AND join_url IS NULL", 0, 20), 'with their meetings');
is(count_of($daily), 50, 'and no day twice');
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'series' AND due_at > now()"), 2, 'it looks again when the next day comes');

# outward work is held: the horizon moves nevertheless
$t->sql(q{SELECT telehealth.pause_outbound('x')});
step_days(3);
ok($t->poll(missing($daily, 30), 0, 20), 'a pause of outward work does not stop it');
$t->sql(q{SELECT telehealth.resume_outbound()});

# the dispatcher dies before it looks
$t->restart_dispatcher;
step_days(2);
ok($t->poll(missing($daily, 30), 0, 20), 'a new dispatcher goes on');

# ---- what stands in the way

# in the present zone of Berlin; the day that comes into the horizon next
my $day = $t->sql("SELECT expanded_until + 1 FROM telehealth.appointment_series WHERE id = $daily");
$t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (9, 2, 'PHONE', ('$day 09:15'::timestamp AT TIME ZONE 'Europe/Berlin'))");
my $application = $t->background_psql('postgres');
$application->query_safe(qq{BEGIN; INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (9, 2, 'PHONE', (('$day'::date + 1 + time '09:15') AT TIME ZONE 'Europe/Berlin'))});
step_days(3);
ok($t->poll(missing($video, 30), 0, 20), 'an application that holds a place of one series does not delay another');
is(count_of($daily, "occurrence >= '$day'"), 0, 'that one waits');
ok($t->poll("SELECT last_error FROM telehealth_private.job WHERE kind = 'series' AND subject_id = $daily", 'locked', 10), 'and says why');
my $visit = $t->insert_visit(provider_id => 77);
ok($t->await($visit), 'meanwhile a visit gets its meeting');
$application->query_safe('ROLLBACK');
ok($t->poll(missing($daily, 30), 1, 30), 'when it is over all but one day are made');
is($t->sql("SELECT string_agg(occurrence::text, ' ') FROM telehealth.series_conflict WHERE series_id = $daily"), $day, 'which is listed');
$t->sql('DELETE FROM telehealth.appointment WHERE provider_id = 2 AND series_id IS NULL');
is($t->sql("SELECT telehealth.refresh_series($daily)"), 0, 'and made when there is room');
$application->quit;

# what is held costs a moment each: after five of these the rest is left for later
$t->sql(q{INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone)
	SELECT 900 + n, 1, 900 + n, 'IN_PERSON', 'FREQ=DAILY;COUNT=1', current_date + 1, '09:00', 'UTC' FROM generate_series(1, 7) AS n});
my $EXTEND = q{SELECT string_agg(place || COALESCE(problem, '-'), ' ') FROM telehealth_private.extend_series('{1,1,1,1,1,1,1}', '{901,902,903,904,905,906,907}', now())};
for my $case ([ 4, '1locked 2locked 3locked 4locked 5- 6- 7-' ], [ 5, '1locked 2locked 3locked 4locked 5locked 6locked 7locked' ])
{
	my ($n, $answer) = @$case;
	my $holder = $t->background_psql('postgres');
	$holder->query_safe("BEGIN; SELECT id FROM telehealth.appointment_series WHERE id BETWEEN 901 AND 900 + $n ORDER BY id FOR UPDATE");
	is($t->sql($EXTEND), $answer, "with $n of seven series held");
	$holder->query_safe('ROLLBACK');
	$holder->quit;
}
$t->sql('DELETE FROM telehealth.appointment_series WHERE id BETWEEN 901 AND 907');

# one that cannot go on delays no other
$t->sql("ALTER TABLE telehealth.appointment_series DROP CONSTRAINT appointment_series_timezone_check");
my $broken = insert_series(provider_id => 4, type => 'IN_PERSON', rule => 'FREQ=DAILY', timezone => 'UTC');
$t->sql("SET session_replication_role = replica; UPDATE telehealth.appointment_series SET timezone = 'Mars/Base' WHERE id = $broken");
step_days(2);
ok($t->poll(missing($daily, 30), 0, 20), 'a series in trouble delays no other');
ok($t->poll("SELECT last_error FROM telehealth.job_status WHERE kind = 'series' AND subject_id = $broken",
	'the series cannot be continued: SQLSTATE 22023', 10), 'and says why');
$t->sql("DELETE FROM telehealth.appointment_series WHERE id = $broken");
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'series' AND subject_id = $broken", 0, 90), 'gone, its job goes');
is(count_of($broken, 'starts_at > now()'), 0, 'and so do its visits to come');

# ---- T1: clocks that are set

is($t->sql(q{SELECT coalesce(string_agg(z.name || ' ' || d.occurrence, ', '), '')
	FROM pg_timezone_names AS z, telehealth_private.series_days('FREQ=WEEKLY', '2026-01-05', '09:00', z.name, '2026-01-01', '2028-12-31', 1000) AS d
	WHERE telehealth_private.is_timezone(z.name) AND telehealth_private.wall_of(d.starts_at, z.name) <> d.occurrence + time '09:00'}), '',
	'T1: weekly 09:00 stays 09:00 in every zone for three years');

SKIP:
{
	my @zones = qw(Europe/Berlin America/New_York Australia/Lord_Howe America/Santiago Africa/Casablanca Europe/Dublin Asia/Gaza);
	my $python = <<'PY';
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
for name in sys.argv[1:]:
    zone, at = ZoneInfo(name), datetime(2026, 1, 1, tzinfo=timezone.utc)
    while at.year < 2028:
        then = at + timedelta(hours=1)
        if at.astimezone(zone).utcoffset() != then.astimezone(zone).utcoffset():
            wall = at.astimezone(zone).replace(tzinfo=None)
            for minutes in range(-150, 240, 15):
                w = wall + timedelta(minutes=minutes)
                print(name, w.isoformat(), w.replace(tzinfo=zone, fold=0).astimezone(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ'))
        at = then
PY
	my ($out, $err);
	my $ran = eval { IPC::Run::run([ 'python3', '-c', $python, @zones ], '>', \$out, '2>', \$err) };
	skip 'no python3 with zone data', 2 if !$ran;
	my @cases = map { [ split / / ] } split /\n/, $out;
	cmp_ok(scalar(@cases), '>', 500, 'T1: gaps and overlaps of seven zones, as Python sees them');
	is($t->sql('SELECT count(*) FROM (VALUES ' . join(', ', map { sprintf q{('%s', '%s'::timestamp, '%s'::timestamptz)}, @$_ } @cases)
		. ') AS v (zone, wall, instant) WHERE telehealth_private.instant_of(wall, zone) <> instant'), 0, 'T1: after a gap, the first of an overlap');
}

# ---- whatever is done to series and visits, visits are what their series say

$t->sql(q{
	CREATE FUNCTION check_series() RETURNS TABLE (series bigint, wrong text) LANGUAGE sql AS $$
		SELECT s.id, 'a day has neither visit nor conflict, or both: ' || d.occurrence
		FROM telehealth.appointment_series AS s
		CROSS JOIN LATERAL telehealth_private.series_days(s.rule, s.first_date, s.start_time, s.timezone, current_date, s.expanded_until, 1000) AS d
		LEFT JOIN telehealth.appointment AS a ON a.series_id = s.id AND a.occurrence = d.occurrence
		WHERE d.starts_at > now() + interval '1 hour' AND d.occurrence <> ALL (s.exceptions)
			AND (a.id IS NULL) <> (d.occurrence = ANY (s.conflicts))
		UNION ALL
		SELECT s.id, 'a visit is not what its series says: ' || a.id
		FROM telehealth.appointment_series AS s
		JOIN telehealth.appointment AS a ON a.series_id = s.id
		LEFT JOIN telehealth_private.series_days(s.rule, s.first_date, s.start_time, s.timezone, s.first_date, s.expanded_until, 10000) AS d
			ON d.occurrence = a.occurrence
		WHERE NOT a.is_exception AND a.starts_at > now() + interval '1 hour' AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED')
			AND ((a.starts_at, a.duration, a.provider_id, a.local_start) IS DISTINCT FROM (d.starts_at, s.duration, s.provider_id, d.occurrence + s.start_time)
				OR d.occurrence = ANY (s.exceptions))
	$$;
	CREATE FUNCTION any_of(choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT choices[1 + floor(random() * cardinality(choices))::integer] $$;
	CREATE FUNCTION any_rule() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT any_of('{FREQ=WEEKLY,FREQ=DAILY,FREQ=DAILY;INTERVAL=3,
		FREQ=WEEKLY;COUNT=5,"FREQ=WEEKLY;BYDAY=MO,WE,FR",FREQ=MONTHLY;BYMONTHDAY=-1,"FREQ=MONTHLY;BYDAY=1TU,3TU",FREQ=DAILY;COUNT=40,FREQ=WEEKLY;INTERVAL=2;BYDAY=TH}') $$;
	CREATE FUNCTION do_something(what text) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		v_series bigint := (SELECT s.id FROM telehealth.appointment_series AS s ORDER BY random() LIMIT 1);
		v_visit bigint := (SELECT a.id FROM telehealth.appointment AS a WHERE a.series_id IS NOT NULL AND a.starts_at > now() ORDER BY random() LIMIT 1);
	BEGIN
		CASE what
			WHEN 'book' THEN INSERT INTO telehealth.appointment_series (patient_id, provider_id, type, rule, first_date, start_time, timezone, duration)
				VALUES (1, 100 + random() * 2, 'PHONE', any_rule(), current_date + (random() * 20)::integer, make_time((8 + random() * 4)::integer, 0, 0),
					any_of('{Europe/Berlin,America/New_York,UTC,Asia/Kolkata,Pacific/Auckland}'), any_of('{15,60,1440}')::integer);
			WHEN 'time' THEN UPDATE telehealth.appointment_series SET start_time = make_time((8 + random() * 4)::integer, 30, 0) WHERE id = v_series;
			WHEN 'length' THEN UPDATE telehealth.appointment_series SET duration = any_of('{15,60,1440}')::integer WHERE id = v_series;
			WHEN 'rule' THEN UPDATE telehealth.appointment_series SET rule = any_rule(), horizon_days = 20 + random() * 100 WHERE id = v_series;
			WHEN 'provider' THEN UPDATE telehealth.appointment_series SET provider_id = 100 + random() * 2 WHERE id = v_series;
			WHEN 'move' THEN UPDATE telehealth.appointment SET starts_at = starts_at + interval '35 minutes' WHERE id = v_visit;
			WHEN 'cancel' THEN UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = v_visit;
			WHEN 'delete' THEN DELETE FROM telehealth.appointment WHERE id = v_visit;
			WHEN 'split' THEN PERFORM telehealth.split_series(v_series, current_date + (random() * 40)::integer,
				any_of('{"{}","{\"duration\": 30}","{\"start_time\": \"15:00\"}","{\"provider_id\": 101}"}')::jsonb);
			WHEN 'drop' THEN DELETE FROM telehealth.appointment_series WHERE id = v_series;
			WHEN 'refresh' THEN PERFORM telehealth.refresh_series(v_series);
			WHEN 'single' THEN INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
				VALUES (2, 100 + random() * 2, 'PHONE', now() + random() * interval '60 days');
		END CASE;
	EXCEPTION
		/* a visit or a split that cannot be, and says so */
		WHEN exclusion_violation THEN
			IF what NOT IN ('move', 'single') THEN
				RAISE;
			END IF;
		WHEN invalid_parameter_value OR no_data_found THEN
			IF what NOT IN ('split', 'refresh') THEN
				RAISE;
			END IF;
	END $$;
	SELECT setval('telehealth.appointment_series_id_seq', 10000);
	DELETE FROM telehealth.appointment_series;
	DELETE FROM telehealth.appointment});
{
	my $seed = $ENV{TELEHEALTH_SEED} // int(rand(1_000_000));
	my $rounds = $ENV{TELEHEALTH_LONG} ? 40 : 6;
	my $wrong = '';
	my $most = 0;

	$t->sql("SELECT setseed($seed / 1000000.0); SELECT do_something('book') FROM generate_series(1, 6)");
	for my $round (1 .. $rounds)
	{
		my $one = ($seed + $round * 7919) % 1_000_000;
		$t->sql("SELECT setseed($one / 1000000.0); SELECT do_something(any_of('{book,time,length,rule,provider,move,cancel,delete,split,drop,refresh,single}')) FROM generate_series(1, 25)");
		# what a vanished visit has left free is seen by a refresh
		$t->sql('UPDATE telehealth.appointment_series SET revision = revision + 1');
		$wrong = $t->sql('SELECT string_agg(series || \': \' || wrong, \', \') FROM check_series()');
		my $n = $t->sql('SELECT count(*) FROM telehealth.appointment WHERE series_id IS NOT NULL');
		$most = $n if $n > $most;
		last if $wrong ne '';
	}
	is($wrong, '', "visits are what their series say after $rounds rounds of changes") or diag "TELEHEALTH_SEED=$seed";
	cmp_ok($most, '>', 20, 'there were some');
}

is($t->sql('SELECT count(*) FROM telehealth.tz_drift'), 0, 'T2: nothing has drifted');
is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE kind = 'series' AND dead_at IS NOT NULL"), 0, 'no job of a series is dead');
finish;
