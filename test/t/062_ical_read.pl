# The reader of calendars: hostile input is cut and cancelled; 066_ical_peers.pl
# compares it with others.
use TelehealthTest;
use File::Temp qw(tempdir);
use POSIX qw(sysconf _SC_CLK_TCK);
use Time::HiRes qw(time);

my $t = TelehealthTest->node('ical_read', preload => 0);
$t->create_extension;
my $year = q{'2026-01-01', '2027-01-01'};

sub kilobytes
{
	my ($pid, $what) = @_;
	open(my $in, '<', "/proc/$pid/status") or return 0;
	my ($value) = map { /^$what:\s+(\d+)/ ? $1 : () } <$in>;
	return $value // 0;
}

# Of the processor, so that other load does not count
sub seconds
{
	my ($pid) = @_;
	my @of = split / /, PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr;
	return ($of[11] + $of[12]) / sysconf(_SC_CLK_TCK);
}

# ---- I9: hostile calendars

$t->sql(q{
	CREATE TABLE hostile (id integer GENERATED ALWAYS AS IDENTITY, name text, is_cut boolean, ics text);
	CREATE FUNCTION calendar(lines text) RETURNS text LANGUAGE sql IMMUTABLE AS
		$$ SELECT E'BEGIN:VCALENDAR\n' || lines || E'\nEND:VCALENDAR\n' $$;
	CREATE FUNCTION event(lines text, uid text DEFAULT 'e') RETURNS text LANGUAGE sql IMMUTABLE AS
		$$ SELECT E'BEGIN:VEVENT\nUID:' || uid || E'\nDTSTART:20000101T000000Z\n' || lines || E'\nEND:VEVENT\n' $$;
	CREATE FUNCTION numbers(first integer, last integer) RETURNS text LANGUAGE sql IMMUTABLE AS
		$$ SELECT string_agg(n::text, ',') FROM generate_series(first, last) AS n $$;
	CREATE TABLE rule AS SELECT r FROM unnest(ARRAY['FREQ=SECONDLY', 'FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30', 'FREQ=SECONDLY;COUNT=1000000000;BYMINUTE=0',
		'FREQ=MINUTELY;BYDAY=MO;BYYEARDAY=366;BYMONTH=1', 'FREQ=HOURLY;BYMONTHDAY=31;BYMONTH=4', 'FREQ=YEARLY;BYWEEKNO=53;BYYEARDAY=200',
		'FREQ=YEARLY;BYSETPOS=366;BYHOUR=' || numbers(0, 23) || ';BYMINUTE=' || numbers(0, 59) || ';BYSECOND=' || numbers(0, 59),
		'FREQ=DAILY;COUNT=1000000000;BYMONTH=2;BYMONTHDAY=30', 'FREQ=SECONDLY;BYSETPOS=2', 'FREQ=SECONDLY;INTERVAL=1000000;COUNT=1000000000',
		'FREQ=YEARLY;INTERVAL=1000000', 'FREQ=WEEKLY;BYHOUR=' || numbers(0, 23) || ';BYMINUTE=' || numbers(0, 59) || ';BYSECOND=' || numbers(0, 60),
		'FREQ=MONTHLY;BYSETPOS=-366,366;BYMINUTE=' || numbers(0, 59) || ';BYSECOND=' || numbers(0, 59)]) AS r;
	INSERT INTO hostile (name, is_cut, ics)
	SELECT 'the rule ' || left(r, 40), NULL, calendar(event('RRULE:' || r)) FROM rule
	UNION ALL SELECT 'all of them, from the year 1', true, calendar(string_agg(replace(event('RRULE:' || r, r), 'DTSTART:2000', 'DTSTART:0001'), '')) FROM rule
	UNION ALL SELECT 'the worst of them 2000 times', true, calendar(string_agg(event('RRULE:FREQ=SECONDLY;BYMINUTE=59;BYSETPOS=2', 'u' || n), '')) FROM generate_series(1, 2000) AS n
	UNION ALL SELECT 'many rules in one event', NULL, calendar(event(repeat(E'RRULE:FREQ=YEARLY;COUNT=9\n', 100000)))
	UNION ALL SELECT 'many exceptions', NULL, calendar(event(E'RRULE:FREQ=DAILY\n' || repeat(E'EXDATE:20260101T000000Z\n', 200000)))
	UNION ALL SELECT 'many dates', true, calendar(event('RDATE:' || repeat('20260101T000000Z,', 500000)))
	UNION ALL SELECT 'empty events', true, calendar(repeat(E'BEGIN:VEVENT\nEND:VEVENT\n', 400000))
	UNION ALL SELECT 'nesting', NULL, calendar(event(repeat(E'BEGIN:X\n', 1000000)))
	UNION ALL SELECT 'events never closed', true, E'BEGIN:VCALENDAR\n' || repeat(E'BEGIN:VEVENT\n', 700000)
	UNION ALL SELECT 'calendars never closed', true, repeat(E'BEGIN:VCALENDAR\n', 600000)
	UNION ALL SELECT 'one long line', NULL, calendar(event('SUMMARY:' || repeat('x', 10000000)))
	UNION ALL SELECT 'folds only', true, repeat(E'\n ', 5000000)
	UNION ALL SELECT 'parameters', NULL, calendar(event('DTEND' || repeat(';A=B', 2500000) || ':20000101T010000Z'))
	UNION ALL SELECT 'quotes', NULL, calendar(event('DTEND;TZID=' || repeat('":', 5000000)))
	UNION ALL SELECT 'names of zones', NULL, calendar(string_agg(replace(event('', 'u' || n), 'DTSTART:20000101T000000Z',
		'DTSTART;TZID=Zone' || n || ':20260101T000000'), '')) FROM generate_series(1, 45000) AS n
	UNION ALL SELECT 'zones', NULL, calendar(string_agg(format(E'BEGIN:VTIMEZONE\nTZID:Z%s\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0000\n'
		'TZOFFSETTO:+0100\nRRULE:FREQ=SECONDLY;BYMINUTE=5\nEND:STANDARD\nEND:VTIMEZONE\n', n) || replace(event('', 'u' || n),
		'DTSTART:20000101T000000Z', 'DTSTART;TZID=Z' || n || ':20260101T000000'), '')) FROM generate_series(1, 300) AS n
	UNION ALL SELECT 'overrides of this and future', NULL, calendar(event('RRULE:FREQ=HOURLY') || string_agg(event('RECURRENCE-ID;RANGE=THISANDFUTURE:'
		|| to_char('2026-01-01'::timestamp + n * interval '1 minute', 'YYYYMMDD"T"HH24MISS"Z"')), '')) FROM generate_series(1, 40000) AS n
	UNION ALL SELECT 'one UID', NULL, calendar(string_agg(event('RRULE:FREQ=YEARLY;COUNT=3') || event('RECURRENCE-ID:20010101T000000Z'), '')) FROM generate_series(1, 20000) AS n
	UNION ALL SELECT 'long summaries of many occurrences', NULL, calendar(event('RRULE:FREQ=HOURLY' || E'\nSUMMARY:' || repeat('x', 100000)))});

my $session = $t->background_psql('postgres');
my $pid = $session->query('SELECT pg_backend_pid()');
$session->query_safe(qq{SELECT count(*) FROM telehealth.parse_ics('', $year)});
my $limit = ($ENV{TELEHEALTH_WATCHED} // '') eq 'valgrind' ? 90 : $ENV{TELEHEALTH_WATCHED} ? 5 : 2;
for my $row ($t->rows('SELECT id, name, is_cut::text FROM hostile ORDER BY id'))
{
	my ($id, $name, $is_cut) = @$row{qw(id name is_cut)};
	if (open(my $reset, '>', "/proc/$pid/clear_refs")) { print $reset "5\n"; close($reset) }
	my $before = kilobytes($pid, 'VmRSS');
	my $start = seconds($pid);
	my $was_cut = $session->query_safe(qq{SELECT coalesce(bool_or(p.truncated), false)::text FROM hostile AS h, telehealth.parse_ics(h.ics, $year) AS p WHERE h.id = $id});
	my $took = seconds($pid) - $start;
	my $grew = kilobytes($pid, 'VmHWM') - $before;
	ok($took < $limit && $grew < 64 * 1024 && (!defined $is_cut || $was_cut eq $is_cut),
		"I9: $name: within $limit s of processor and 64 MiB")
	  or diag(sprintf('%.2f s, %d kB, truncated "%s"', $took, $grew, $was_cut));
}
$session->quit;

# ---- interrupts are honoured inside the loop

$t->fails_ok(qq{SET statement_timeout = '50 ms';
	SELECT count(*) FROM hostile AS h, generate_series(1, 100) AS n, telehealth.parse_ics(h.ics, $year) AS p WHERE h.name ~ '^the worst'},
	{ sqlstate => '57014' }, 'I9: a statement is cancelled while a rule runs');

# Of one call, by what the processor had to do: all of it, and until it was cancelled
my $work = q{SELECT u[1]::int + u[2]::int FROM regexp_match(pg_read_file('/proc/self/stat'), '\) (?:\S+ ){11}(\d+) (\d+)') AS u};
my $call = "SELECT count(*) FROM telehealth.parse_ics((SELECT h.ics FROM hostile AS h WHERE h.name ~ '^the worst'), $year);";
my (undef, $said) = $t->psql($t->db, "$work; $call $work; SET statement_timeout = '10 ms'; $call SET statement_timeout = 0; $work", on_error_stop => 0);
my ($before, undef, $between, $after) = split /\n/, $said;
cmp_ok($after - $between, '<', ($between - $before) / 2, 'I9: at once') or diag $said;
note 'in ticks: ', $said =~ s/\n/ /gr;

# ---- alone, with whatever comes

SKIP:
{
	skip 'what is fuzzed does not run on the watched server', 3 if $ENV{TELEHEALTH_WATCHED};
	skip 'clang has no libFuzzer here', 3
	  if system(q{echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }' | clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null}) != 0;
	my $folder = tempdir(CLEANUP => 1);
	my $seconds = $ENV{TELEHEALTH_LONG} ? 60 : 4;
	for my $target (qw(ical_read ical_text csv))
	{
		my $said = `test/fuzz/run $seconds $folder $target 2>&1`;
		is($?, 0, "$target: the fuzzer finds nothing in $seconds s") or diag(substr($said, -3000));
	}
}

finish;
