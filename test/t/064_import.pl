# Busy times from calendars of others: two imports at once, large and hostile
# files, what the log keeps, and that nothing is written for nothing.
use TelehealthTest;
use IPC::Run ();
use Time::HiRes qw(time);

my $t = TelehealthTest->node('import', preload => 0, conf => { max_connections => 40, track_counts => 'on' });
$t->create_extension;
$t->sql(q{INSERT INTO telehealth.provider (id, timezone) VALUES (1, 'Europe/Berlin')});

my $WINDOW = q{window_start => '2030-01-01Z', window_end => '2031-01-01Z'};
my $COUNTS = q{created || ' ' || updated || ' ' || deleted || ' ' || quarantined};

sub ics_of { return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//\r\n" . join('', @_) . "END:VCALENDAR\r\n" }

sub event
{
	my ($uid, $start, $minutes, @more) = @_;

	return join '', map { "$_\r\n" } 'BEGIN:VEVENT', "UID:$uid", 'DTSTAMP:20290101T000000Z', "DTSTART:$start",
	  "DURATION:PT${minutes}M", @more, 'END:VEVENT';
}

# Seconds of processor that the session has had: what a busy machine does not stretch
my $CPU = q{(SELECT (f[14]::numeric + f[15]::numeric) / 100 FROM string_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', 'pid name '), ' ') AS f)};
my $cpu;

# Through a file: a command line takes no megabytes
sub import_file
{
	my ($kind, $source, $text, %o) = @_;
	my $file = $t->basedir . "/$source.$kind";

	open my $h, '>:raw', $file or die;
	print $h $text;
	close $h;
	my ($before, $counts, $after) = split /\n/, $t->sql(sprintf("SELECT $CPU; SELECT $COUNTS FROM telehealth.import_$kind(1, %s, pg_read_file(%s), $WINDOW%s); SELECT $CPU",
		literal($source), literal($file), $o{more} // ''));
	$cpu = $after - $before;
	return $counts;
}

# ---- large, and again: nothing is written

my $n = 20_000;
my @many = map { event("e$_\@far", sprintf('2030%02d%02dT%02d%02d00Z', 1 + $_ % 12, 1 + $_ / 12 % 28, $_ / 336 % 24, $_ / 8064 % 60), 5) } 0 .. $n - 1;
my $large = ics_of(@many);
is(import_file(ics => 'large', $large), "$n 0 0 0", "$n events are imported");
note "in $cpu s of processor";

my $WRITTEN = q{SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relid = 'telehealth.busy_time'::regclass};
my $PRINT = q{SELECT md5(string_agg(ctid || '/' || xmin || '/' || xmax, ' ' ORDER BY ctid)) FROM telehealth.busy_time};
my $print = $t->sql($PRINT);
is(import_file(ics => 'large', $large), '0 0 0 0', 'the same file again changes nothing');
is($t->sql($PRINT), $print, 'and no row is touched, nor locked');
(my $other = $large) =~ s/^UID:e(\d+)/'UID:' . ($1 * 7919 % 100_003) . '-renamed'/gme;
is(import_file(ics => 'large', $other), '0 0 0 0', 'Y8: other UIDs for the same times change nothing');
is($t->sql($PRINT), $print, 'Y8: and no row is touched');
ok($t->poll($WRITTEN, $n, 20), 'Y8: the server counts no row written but the first ones');

# In one session the plan is made once and kept: it must not have been made for few rows, each compared with each
my $file = $t->basedir . '/large.ics';
my (undef, undef, $plans) = $t->psql($t->db, q{LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
	SET auto_explain.log_level = 'notice';} . join ';', map { "SELECT $COUNTS FROM telehealth.import_ics(1, 'large', pg_read_file('$file'), $WINDOW)" } 1 .. 7);
my @plans = grep { /^Query Text: WITH given AS/m } split /^.*NOTICE:  duration: /m, $plans;
is(scalar(@plans), 7, 'seven imports of a session');
is(scalar(grep { /Nested Loop/ } @plans), 0, '... compare no row with each other one');
like($plans[-1], qr/clinic_id = \$1\b/, '... also by the plan that is kept');

# ---- Y4: a source that returns nothing

$t->fails_ok("SELECT telehealth.import_ics(1, 'large', " . literal(ics_of()) . ", $WINDOW)",
	{ sqlstate => 'TH004', message => qr/^suspicious_pull: .* $n of $n/, hint => qr/confirm_deletions/ }, 'Y4: an empty calendar is not believed');
is($t->sql($PRINT), $print, 'Y4: and changes nothing');
is(import_file(ics => 'large', ics_of(@many[0 .. $n * 0.9]), more => ''), '0 0 1999 0', 'Y4: a fifth may go');
is(import_file(ics => 'large', ics_of(), more => ', confirm_deletions => true'), "0 0 18001 0", 'Y4: all of it if that is meant');

# ---- whole or nothing

$t->fails_ok("SELECT telehealth.import_ics(1, 'cut', " . literal($_->[1]) . ", $WINDOW)", $_->[2], "a text that is $_->[0] is refused")
  for [ 'cut off', substr(ics_of(event('a', '20300101T100000Z', 60), event('b', '20300101T120000Z', 60)), 0, -30), '22P02' ],
  [ 'a page for signing in', '<!DOCTYPE html><html>Sign in</html>', '22P02' ], [ 'empty', '', '22P02' ];
is($t->sql(q{SELECT count(*) FROM telehealth.busy_time WHERE source = 'cut'}), 0, 'and leaves nothing');

# ---- two at once: one after the other, and the second finds the work done

my $calendar = ics_of(map { event("x$_", sprintf('2030%02d01T100000Z', $_), 60) } 1 .. 12);
my $held = $t->background_psql('postgres');
$held->query_safe("BEGIN; SELECT telehealth.import_ics(1, 'both', " . literal($calendar) . ", $WINDOW)");
my ($out, $err) = ('', '');
my $second = IPC::Run::start([ 'psql', '-XAtq', '-d', $t->connstr('postgres'), '-c',
	"SELECT $COUNTS FROM telehealth.import_ics(1, 'both', " . literal($calendar) . ", $WINDOW)" ], '<', \'', '>', \$out, '2>', \$err);
ok($t->poll(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'import_ics'}, 1, 20), 'a second import of the same source waits');
is($t->sql("SELECT $COUNTS FROM telehealth.import_ics(1, 'apart', " . literal($calendar) . ", $WINDOW)"), '12 0 0 0', 'that of another does not');
$held->query_safe('COMMIT');
$held->quit;
$second->finish;
is($out . $err, "0 0 0 0\n", 'it then finds everything done');

# ---- I9: rules that cost much

my $is_valgrind = ($ENV{TELEHEALTH_WATCHED} // '') eq 'valgrind'; # which needs time and memory itself

my @hostile = (
	'FREQ=SECONDLY', 'FREQ=SECONDLY;BYSECOND=59;BYMINUTE=59;BYHOUR=23;BYMONTH=2;BYMONTHDAY=30',
	'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30', 'FREQ=DAILY;COUNT=2147483647', 'FREQ=YEARLY;INTERVAL=2147483647',
	'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=' . join(',', 0 .. 23) . ';BYMINUTE=' . join(',', 0 .. 59) . ';BYSECOND=' . join(',', 0 .. 59),
	'FREQ=MINUTELY;BYSETPOS=-1', 'FREQ=WEEKLY;BYDAY=' . join(',', map { 'MO' } 1 .. 5000), 'FREQ=', 'FREQ=NEVER;;;;', 'Q' x 10_000);
my $counts = import_file(ics => 'hostile', ics_of(event('good', '20300601T100000Z', 60),
	map { event("h$_", '19700101T000000Z', 1, "RRULE:$hostile[$_]") } 0 .. $#hostile));
cmp_ok($cpu, '<', $is_valgrind ? 400 : 10, 'I9: a file of hostile rules is imported in time');
note "$counts in $cpu s of processor";
is($t->sql(q{SELECT count(*) FROM telehealth.busy_time WHERE source = 'hostile' AND external_id = 'good'}), 1, 'I9: and what is good in it counts');
cmp_ok($t->sql(q{SELECT count(*) FROM telehealth.import_problem WHERE source = 'hostile'}), '>', 2, 'Y7: the rest is noted');
is($t->sql(q{SELECT count(*) FROM telehealth.import_problem WHERE reason ~ 'FREQ|QQQ'}), 0, 'Y7: without what it says');

# ---- CSV of the same size; a statement can be cancelled

my $csv = "uid,start,minutes\n" . join '', map { sprintf "c%d,2030-%02d-%02d %02d:%02dZ,5\n", $_, 1 + $_ % 12, 1 + $_ / 12 % 28, $_ / 336 % 24, $_ / 8064 % 60 } 0 .. $n - 1;
is(import_file(csv => 'table', $csv), "$n 0 0 0", "$n lines are imported");
note "in $cpu s of processor";
is(import_file(csv => 'table', $csv), '0 0 0 0', 'and again nothing is written');
# What costs most of a table is read in time and with little memory, or refused
sub hostile_csv
{
	my ($name, $csv) = @_;
	my $file = $t->basedir . "/$name.csv";
	open my $h, '>:raw', $file or die;
	print $h substr $csv, 0, 10_000_000;
	close $h;
	my $hwm = q{(regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s*(\d+)'))[1]::integer};
	return $t->sql(qq{
		CREATE TEMPORARY TABLE answer (answer text, kb integer, cpu numeric);
		INSERT INTO answer SELECT length(pg_read_file('$file'))::text, $hwm, $CPU;
		DO \$\$ DECLARE v text; k integer := (SELECT kb FROM answer); c numeric := (SELECT cpu FROM answer);
		BEGIN
			BEGIN
				SELECT $COUNTS INTO v FROM telehealth.import_csv(1, '$name', pg_read_file('$file'), $WINDOW);
			EXCEPTION WHEN invalid_text_representation THEN
				v := SQLERRM;
			END;
			INSERT INTO answer SELECT v, $hwm - k, $CPU - c;
		END \$\$;
		SELECT answer || '|' || kb / 1024 || '|' || cpu FROM answer OFFSET 1}) =~ /(.*)\|(.*)\|(.*)/s;
}

for my $case (
	[ wrong => "start,end\n" . "x\n" x 5_000_000, qr/^the text cannot be read as a calendar$/ ],
	[ quotes => "start,end\n" . qq{""x,\n} x 2_000_000, qr/^the text cannot be read as a calendar$/ ],
	[ open => qq{start,end\n"} . "x\n" x 5_000_000, qr/^invalid CSV text at line 2$/ ],
	[ fields => "start,end\n" . ',' x 10_000_000, qr/^0 0 0 1$/ ],
	[ names => "start,minutes,tz\n" . join('', map { "2030-01-01 10:00,5,No/Where" . chr(65 + $_ % 26) . chr(65 + $_ / 26 % 26) . chr(65 + $_ / 676 % 26) . "\n" } 1 .. 49_999),
		qr/^0 0 0 49999$/ ],
	[ long => "start,minutes,uid\n2030-01-01 10:00,5," . 'u' x 9_900_000 . "\n", qr/^1 0 0 0$/ ])
{
	my ($what, $csv, $answer) = @$case;
	my ($made, $mb, $took) = hostile_csv($what, $csv);
	like($made, $answer, "I9: a table of $what is read, or refused");
	cmp_ok($mb, '<', $ENV{TELEHEALTH_WATCHED} ? 320 : 64, 'I9: with little memory') or diag $made;
	cmp_ok($took, '<', $is_valgrind ? 400 : 10, 'I9: in time');
	note "$what: $mb MiB, $took s of processor";
}

my $endless = "start,end\n" . join '', map { sprintf "2030-%02d-%02d %02d:%02d,2030-12-31 23:59\n", 1 + $_ % 12, 1 + $_ / 12 % 28, $_ / 336 % 24, $_ / 8064 % 60 } 1 .. 290_000;
open my $h, '>:raw', $t->basedir . '/endless.csv' or die;
print $h $endless;
close $h;
for my $ms (50, 400)
{
	my $begun = time;
	$t->fails_ok("SET statement_timeout = $ms; SELECT telehealth.import_csv(1, 'endless', pg_read_file('" . $t->basedir . "/endless.csv'), $WINDOW)",
		'57014', 'an import can be cancelled');
	note(sprintf 'after %.2f s', time - $begun);
}

# ---- a snapshot that is older than another's import

$t->sql("SELECT telehealth.import_csv(1, 'old', E'uid,start,minutes\\na,2030-01-01 10:00,5', $WINDOW)");
my $older = $t->background_psql('postgres', on_error_stop => 0);
$older->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM telehealth.busy_time');
$t->sql("SELECT telehealth.import_csv(1, 'old', E'uid,start,minutes\\na,2030-01-01 10:00,5\\nb,2030-01-02 10:00,5', $WINDOW)");
my (undef, $failed) = $older->query("\\set VERBOSITY verbose\nSELECT telehealth.import_csv(1, 'old', E'uid,start,minutes\\na,2030-01-01 10:00,5\\nb,2030-01-02 10:00,9', $WINDOW)");
like($older->{stderr}, qr/ERROR:  40001/, 'is one that has to be tried again');
$older->query('ROLLBACK');
$older->quit;

# ---- what a source had before is not read again

$t->sql(q{INSERT INTO telehealth.busy_time (provider_id, source, external_id, during)
	SELECT 2, 'long', 'o' || n, tstzrange(at, at + interval '5 min')
	FROM generate_series(1, 30000) AS n, LATERAL (SELECT '2029-12-01Z'::timestamptz - n * interval '1 hour') AS l (at);
	ANALYZE telehealth.busy_time});
for my $call (
	[ '50 1 0 0', map({ event("n$_", sprintf('20300301T%02d%02d00Z', $_ / 60, $_ % 60), 1) } 1 .. 50), event('o7', '20300401T090000Z', 30) ],
	[ '0 1 10 0', map({ event("n$_", sprintf('20300301T%02d%02d00Z', $_ / 60, $_ % 60), $_ == 1 ? 2 : 1) } 1 .. 40), event('o7', '20300401T090000Z', 30) ])
{
	my ($want, @events) = @$call;
	my $file = $t->basedir . '/long.ics';

	open my $h, '>:raw', $file or die;
	print $h ics_of(@events);
	close $h;
	my ($counts, $read) = split /\n/, $t->sql(sprintf(q{BEGIN; SELECT %s FROM telehealth.import_ics(2, 'long', pg_read_file(%s), %s);
		SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'telehealth.busy_time'::regclass; COMMIT}, $COUNTS, literal($file), $WINDOW));
	is($counts, $want, 'Y4: a short calendar of a source with a long past');
	cmp_ok($read, '<', 1000, 'reads what is in its window');
}
is($t->sql(q{SELECT count(*) FROM telehealth.busy_time WHERE provider_id = 2}), 30_040, 'and removes nothing beyond it');

# ---- the log keeps no calendar

my $size = $t->log_size;
$t->fails_ok("SELECT telehealth.import_csv(1, 'log', E'start,subject\\n\"2030-01-01,Mrs Canary Byrd')", '22P02', 'a text that is refused');
$t->fails_ok("SELECT telehealth.import_ics(1, 'log', 'Mrs Canary Byrd')", '22P02', 'and another');
unlike($t->log_text($size), qr/Canary/, 'P1: is not in the log');

# ---- a dump carries it

my $dump = $t->basedir . '/dump.sql';
$t->command_ok([ 'pg_dump', '-Fp', '-f', $dump, $t->connstr('postgres') ], 'a dump');
$t->sql('CREATE DATABASE again');
$t->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $t->connstr('again') ], 'its restore');
my $ROWS = q{SELECT md5(string_agg(x::text, ' ' ORDER BY x::text)) FROM (SELECT b::text FROM telehealth.busy_time AS b UNION ALL SELECT p::text FROM telehealth.import_problem AS p) AS q (x)};
is($t->sql($ROWS, db => 'again'), $t->sql($ROWS), 'D4: carries busy times and problems');

finish();
