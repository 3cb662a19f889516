/* The reader of calendars: one row an occurrence, one row a problem. */
SET timezone = 'UTC';

/* A calendar around lines, and what is read of it in 2026 */
CREATE FUNCTION test.read(lines text, timezone text DEFAULT 'Europe/Berlin', year integer DEFAULT 2026)
	RETURNS TABLE (uid text, was timestamp, starts timestamp, ends timestamp, flags text, summary text, problem text)
	LANGUAGE sql STABLE AS $$
	SELECT p.uid, p.recurrence_id AT TIME ZONE 'UTC', p.starts_at AT TIME ZONE 'UTC', p.ends_at AT TIME ZONE 'UTC',
		concat_ws(' ', CASE WHEN p.is_all_day THEN 'day' END, CASE WHEN p.is_busy THEN 'busy' END, p.status,
			CASE WHEN p.truncated THEN 'truncated' END),
		p.summary, p.problem
	FROM telehealth.parse_ics(E'BEGIN:VCALENDAR\nVERSION:2.0\n' || lines || E'\nEND:VCALENDAR\n',
		make_timestamptz(year, 1, 1, 0, 0, 0), make_timestamptz(year + 1, 1, 1, 0, 0, 0), timezone) AS p
	ORDER BY p.uid, p.starts_at, p.problem $$;
CREATE FUNCTION test.event(lines text, uid text DEFAULT 'e') RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT E'BEGIN:VEVENT\nUID:' || uid || E'\n' || replace(lines, ' | ', E'\n') || E'\nEND:VEVENT' $$;

/* I10: all-day is midnight to midnight in the owner's zone, also on days of 23 and 25 hours; floating times likewise */
SELECT r.starts, r.ends, r.flags FROM unnest(ARRAY[
	'DTSTART;VALUE=DATE:20260329', 'DTSTART;VALUE=DATE:20261025 | DTEND;VALUE=DATE:20261026',
	'DTSTART:20260601 | DTEND:20260603', 'DTSTART;VALUE=DATE:20260601 | DTEND;VALUE=DATE:20260601',
	'DTSTART;VALUE=DATE:20260601 | DURATION:P2D', 'DTSTART:20260601T090000 | DTEND:20260601T100000',
	'DTSTART:20260601T090000Z | DURATION:PT90M', 'DTSTART:20260601T090000Z'
]) WITH ORDINALITY AS u (e, place), test.read(test.event(e)) AS r ORDER BY u.place, 1;

/* I3: the file's own zone first, then a name of the server's, then that of Windows; never UTC, never the server's own */
SELECT z.name, r.starts, r.problem FROM unnest(ARRAY['Europe/Berlin', '"Europe/Berlin"', 'W. Europe Standard Time', 'UTC-11',
	'UTC+12', '/freeassociation.sourceforge.net/Europe/Berlin', 'Customized Time Zone', '(UTC+01:00) Amsterdam, Berlin',
	'localtime', 'Foo-3', 'Etc/GMT+5', 'UTC', '']) WITH ORDINALITY AS z (name, place),
	test.read(test.event('DTSTART;TZID=' || CASE WHEN z.name ~ '[:,]' THEN '"' || z.name || '"' ELSE z.name END || ':20260601T120000')) AS r
ORDER BY z.place;
SELECT z.name, r.starts, r.problem FROM unnest(ARRAY['Customized Time Zone', 'Europe/Berlin', 'Nowhere']) AS z (name),
	test.read(E'BEGIN:VTIMEZONE\nTZID:' || z.name || E'\nBEGIN:STANDARD\nDTSTART:16010101T020000\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\n'
		'RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:-0500\n'
		'TZOFFSETTO:-0400\nRRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE' || E'\n'
		|| test.event('DTSTART;TZID=' || z.name || ':20260301T120000 | RRULE:FREQ=MONTHLY;COUNT=2')) AS r ORDER BY 1, 2;
SELECT count(*) AS names, count(*) FILTER (WHERE r.problem IS NOT NULL) AS unknown
FROM telehealth_private.windows_zone AS w, test.read(test.event('DTSTART;TZID=' || w.name || ':20260601T120000')) AS r;
SELECT DISTINCT cldr_version FROM telehealth_private.windows_zone;

/* T1: the same wall time over the change; what is skipped comes later, what is twice is the first */
SELECT r.starts, r.ends FROM unnest(ARRAY['20260322T090000', '20260322T023000', '20261018T023000']) WITH ORDINALITY AS u (start, place),
	test.read(test.event('DTSTART;TZID=Europe/Berlin:' || start || ' | DURATION:PT1H | RRULE:FREQ=WEEKLY;COUNT=2')) AS r ORDER BY place, 1;

/* Examples of RFC 5545, 3.8.5.3, in one year */
CREATE FUNCTION test.rule(rule text, start text DEFAULT '20260105T090000', year integer DEFAULT 2026) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT string_agg(COALESCE(to_char(r.starts, 'MMDD'), '') || CASE WHEN r.starts::time <> '09:00' THEN to_char(r.starts, '"T"HH24MISS') ELSE '' END
		|| COALESCE(r.problem, ''), ' ' ORDER BY r.starts)
	FROM test.read(test.event('DTSTART:' || start || ' | RRULE:' || rule), 'UTC', year) AS r $$;
SELECT u.rule, test.rule(u.rule) FROM unnest(ARRAY[
	'FREQ=DAILY;COUNT=5', 'FREQ=DAILY;INTERVAL=10;COUNT=3', 'FREQ=DAILY;UNTIL=20260108T090000Z', 'FREQ=DAILY;UNTIL=20260107',
	'FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH', 'FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO',
	'FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU', 'FREQ=MONTHLY;COUNT=4;BYDAY=1FR', 'FREQ=MONTHLY;COUNT=4;BYDAY=-2MO',
	'FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=3', 'FREQ=MONTHLY;BYMONTHDAY=31', 'FREQ=MONTHLY;COUNT=4;BYMONTHDAY=1,-1',
	'FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3;COUNT=3', 'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=4',
	'FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13', 'FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13;COUNT=3',
	'FREQ=YEARLY;BYMONTH=6,7', 'FREQ=YEARLY;BYYEARDAY=1,100,200,-1', 'FREQ=YEARLY;BYDAY=20MO', 'FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO',
	'FREQ=YEARLY;BYWEEKNO=20', 'FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO', 'FREQ=YEARLY;BYMONTH=3;BYDAY=TH', 'FREQ=YEARLY;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8',
	'FREQ=HOURLY;INTERVAL=3;UNTIL=20260105T170000Z', 'FREQ=MINUTELY;INTERVAL=15;COUNT=3', 'FREQ=MINUTELY;INTERVAL=90;COUNT=3',
	'FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,30;COUNT=5', 'FREQ=MINUTELY;INTERVAL=20;BYHOUR=9;COUNT=4', 'FREQ=SECONDLY;BYSECOND=5;BYMINUTE=7;COUNT=2',
	'FREQ=DAILY;BYSETPOS=-1;BYHOUR=8,20;COUNT=2', 'freq=weekly; count=2', 'FREQ=WEEKLY;COUNT=2;X-THING=1',
	'FREQ=FORTNIGHTLY', 'COUNT=3', 'FREQ=DAILY;INTERVAL=0', 'FREQ=DAILY;COUNT=-1', 'FREQ=DAILY;BYDAY=1MO', 'FREQ=DAILY;BYMONTH=13',
	'FREQ=YEARLY;BYMONTHDAY=0', 'FREQ=DAILY;UNTIL=tomorrow', 'RSCALE=HEBREW;FREQ=YEARLY', 'FREQ', ''
]) WITH ORDINALITY AS u (rule, place) ORDER BY u.place;
/* Week 1 and the last may have days of another year; a year that has a 29th of February */
SELECT test.rule('FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO', '20240101T090000', 2024) AS week_1, test.rule('FREQ=YEARLY;BYWEEKNO=53,-1;BYDAY=SU', '20200101T090000', 2021) AS last_week,
	test.rule('FREQ=MONTHLY;BYMONTHDAY=29', '20240101T090000', 2028) AS leap, test.rule('FREQ=MONTHLY;BYMONTHDAY=-1;BYMONTH=2', '20240101T090000', 2028) AS last_day;
/* From long before the window, with and without a count */
SELECT test.rule('FREQ=YEARLY', '20000229T090000', 2028), test.rule('FREQ=WEEKLY;INTERVAL=26;COUNT=60', '20010101T090000'),
	test.rule('FREQ=DAILY;COUNT=9132', '20010101T090000'), test.rule('FREQ=DAILY;COUNT=9131', '20010101T090000', 2025) LIKE '%1231';

/* RDATE, EXDATE, EXRULE; overrides, also moved into and out of the window; this and future */
SELECT r.* FROM test.read(test.event('DTSTART;TZID=Europe/Berlin:20260105T090000 | DURATION:PT1H | RRULE:FREQ=WEEKLY;COUNT=8 | SUMMARY:each\, week '
	'| EXDATE;TZID=Europe/Berlin:20260112T090000 | EXDATE;VALUE=DATE:20260119 | RDATE:20260113T080000Z,20260105T080000Z '
	'| RDATE;VALUE=PERIOD:20260114T080000Z/PT3H | BEGIN:VALARM | DTSTART:19990101T000000Z | END:VALARM') || E'\n'
	|| test.event('RECURRENCE-ID;TZID=Europe/Berlin:20260126T090000 | DTSTART:20260126T120000Z | DURATION:PT2H | SUMMARY:moved') || E'\n'
	|| test.event('RECURRENCE-ID:20260202T080000Z | DTSTART:20270202T120000Z | SUMMARY:moved away') || E'\n'
	|| test.event('RECURRENCE-ID:20260216T080000Z | DTSTART:20260216T080000Z | STATUS:CANCELLED') || E'\n'
	|| test.event('RECURRENCE-ID;RANGE=THISANDFUTURE:20260209T080000Z | DTSTART;TZID=Europe/Berlin:20260210T100000 | DURATION:PT30M | SUMMARY:from now')) AS r;
SELECT r.starts, r.flags FROM test.read(test.event('DTSTART;VALUE=DATE:20260101 | RRULE:FREQ=DAILY;COUNT=10 | EXRULE:FREQ=DAILY;INTERVAL=2'
	' | EXDATE;VALUE=DATE:20260102 | EXDATE:20260104T000000Z') || E'\n'
	|| test.event('RECURRENCE-ID;VALUE=DATE:20260106 | DTSTART:20260106T100000Z')) AS r;
/* This and future, moved into the window from far before it, and from far behind */
SELECT r.was, r.starts FROM unnest(ARRAY['20250601T100000Z', '20241203T100000Z']) WITH ORDINALITY AS u (start, place),
	test.read(test.event('DTSTART:20240105T090000Z | RRULE:FREQ=YEARLY;COUNT=5') || E'\n'
		|| test.event('RECURRENCE-ID;RANGE=THISANDFUTURE:' || CASE place WHEN 1 THEN '20240105' ELSE '20260105' END || 'T090000Z | DTSTART:' || start)) AS r ORDER BY u.place, 1;
/* UNTIL in UTC is an instant; what stands in an alarm is the alarm's */
SELECT r.starts, r.ends, r.flags, r.summary FROM unnest(ARRAY['DTSTART;TZID=Europe/Berlin:20260105T090000 | RRULE:FREQ=DAILY;UNTIL=20260106T083000Z',
	'DTSTART;TZID=America/New_York:20260105T090000 | RRULE:FREQ=DAILY;UNTIL=20260106T133000Z', 'DTSTART:20260105T090000Z | DURATION:PT1H | SUMMARY:own | BEGIN:VALARM | '
	'DURATION:PT5M | SUMMARY:alarm | STATUS:CANCELLED | TRANSP:TRANSPARENT | RRULE:FREQ=DAILY | END:VALARM']) WITH ORDINALITY AS u (e, place), test.read(test.event(e)) AS r ORDER BY u.place, 1;
/* Two states of one event, two overrides of one recurrence; an override alone */
SELECT r.uid, r.starts, r.summary FROM test.read(
	test.event('DTSTART:20260105T090000Z | SEQUENCE:1 | SUMMARY:old') || E'\n' || test.event('DTSTART:20260106T090000Z | SEQUENCE:2 | SUMMARY:new') || E'\n'
	|| test.event('DTSTART:20260105T090000Z | RRULE:FREQ=DAILY;COUNT=2', 'f') || E'\n'
	|| test.event('RECURRENCE-ID:20260106T090000Z | DTSTART:20260106T110000Z | SEQUENCE:3 | SUMMARY:newer', 'f') || E'\n'
	|| test.event('RECURRENCE-ID:20260106T090000Z | DTSTART:20260106T100000Z | SEQUENCE:2 | SUMMARY:older', 'f') || E'\n'
	|| test.event('RECURRENCE-ID:20260106T090000Z | DTSTART:20260106T110000Z', 'g')) AS r;

/* Who is busy */
SELECT u.e, r.flags FROM unnest(ARRAY['', 'TRANSP:OPAQUE', 'TRANSP:TRANSPARENT', 'STATUS:CANCELLED', 'STATUS:TENTATIVE', 'status:confirmed',
	'X-MICROSOFT-CDO-BUSYSTATUS:FREE', 'TRANSP:OPAQUE | X-MICROSOFT-CDO-BUSYSTATUS:FREE']) WITH ORDINALITY AS u (e, place),
	test.read(test.event('DTSTART:20260601T090000Z | ' || e)) AS r ORDER BY place;
SELECT r.starts, r.ends, r.flags FROM test.read(E'BEGIN:VFREEBUSY\nUID:x\nFREEBUSY:20260601T090000Z/PT1H,20260602T090000Z/20260602T100000Z\n'
	'FREEBUSY;FBTYPE=FREE:20260603T090000Z/PT1H\nFREEBUSY;FBTYPE=BUSY-TENTATIVE:20260604T090000Z/PT1H\nEND:VFREEBUSY') AS r;

/* Every column */
SELECT p.* FROM telehealth.parse_ics(E'BEGIN:VCALENDAR\n' || test.event('DTSTART:20260601T090000Z | DTEND:20260601T093000Z | SUMMARY:all | STATUS:TENTATIVE | TRANSP:TRANSPARENT | SEQUENCE:7 | RRULE:FREQ=DAILY;COUNT=1')
	|| E'\n' || test.event('DTSTART;VALUE=DATE:20260602', 'few') || E'\n' || test.event('SEQUENCE:3', 'bad') || E'\n', '2026-01-01', '2027-01-01') AS p ORDER BY 1;

/* Y7: what is bad is a row, the rest is read */
SELECT r.problem, r.starts FROM unnest(ARRAY['SUMMARY:no start', 'DTSTART:20260231T000000', 'DTSTART:2026-01-01', 'DTSTART:20260601T250000Z',
	'DTSTART:20260601T090000Z | DTEND:20260601T080000Z', 'DTSTART:20260601T090000Z | DTEND;VALUE=DATE:20260602', 'DTSTART:20260601T090000Z | DURATION:-PT1H',
	'DTSTART:20260601T090000Z | DURATION:P99999999999W', 'DTSTART:20260601T090000Z | RDATE:x,20260602T090000Z', 'DTSTART;VALUE=DATE:20260601 | RRULE:FREQ=HOURLY'
	]) WITH ORDINALITY AS u (e, place),
	test.read(test.event(e) || E'\n' || test.event('DTSTART:20260701T090000Z', 'good')) AS r WHERE r.uid = 'e' ORDER BY place, 2;
SELECT r.uid, r.problem FROM test.read(test.event('DTSTART:20260601T090000Z', repeat('x', 1001)) || E'\nBEGIN:VEVENT\nUID:open\nDTSTART:20260601T090000Z\n'
	|| test.event('DTSTART:20260601T090000Z') || E'\nBEGIN:VTODO\nBEGIN:VALARM\nEND:VALARM\nEND:VTODO\n' || test.event('DTSTART:20260601T090000Z', 'after')) AS r;
SELECT p.uid, p.truncated, p.problem FROM unnest(ARRAY['', 'x', 'BEGIN:VCALENDAR', E'BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20260601T090000Z',
	E'BEGIN:VCALENDAR\nEND:VCALENDAR']) WITH ORDINALITY AS u (ics, place), telehealth.parse_ics(ics, '2026-01-01', '2027-01-01') AS p ORDER BY u.place, 1;

/* I4: folds inside characters' escapes, without a blank, with any line end */
SELECT r.uid, r.summary, r.starts FROM unnest(ARRAY[E'\r\n', E'\n', E'\r']) WITH ORDINALITY AS u (eol, place),
	test.read(replace(E'BEGIN:VEV\n ENT\nUID:a\n b\nSUMMARY:first\\\n n second \\,\n\t\\; \\\\ caf\n é\nDTSTART;TZI\n D="Europe/B\n erlin":2026\n 0601T090000\nRRULE:FREQ=DAILY;COU\nNT=1\nEND:VEVENT', E'\n', eol)) AS r ORDER BY place;

/* A byte order mark is none of the text */
SELECT p.uid, p.problem FROM telehealth.parse_ics(E'\ufeffBEGIN:VCALENDAR\n' || test.event('DTSTART:20260601T090000Z') || E'\nEND:VCALENDAR\n', '2026-01-01', '2027-01-01') AS p;

/* What the window takes: what touches [start, end); a point at its start */
SELECT count(*) FROM unnest(ARRAY['20251231T230000Z | DURATION:PT1H', '20251231T230000Z | DURATION:PT1H1S', '20260101T000000Z', '20270101T000000Z',
	'20261231T235959Z', '20200101T000000Z | DTEND:20300101T000000Z']) AS e, test.read(test.event('DTSTART:' || e)) AS r;

/* I9: cut, and said so */
SELECT u.rule, count(*), max(r.flags), max(r.problem) FROM unnest(ARRAY['FREQ=SECONDLY', 'FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30',
	'FREQ=SECONDLY;COUNT=1000000000', 'FREQ=YEARLY;BYSETPOS=366;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15;BYMINUTE=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15;BYSECOND=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20;BYDAY=MO,TU,WE,TH,FR'
	]) WITH ORDINALITY AS u (rule, place) LEFT JOIN LATERAL test.read(test.event('DTSTART:00010101T000000Z | RRULE:' || rule)) AS r ON true GROUP BY u.place, u.rule ORDER BY u.place;
/* I9: each limit by itself: what is beyond it is missing, what is before it is there */
SELECT u.name, count(*) FILTER (WHERE p.problem IS NULL) AS occurrences, count(*) FILTER (WHERE p.problem IS NOT NULL) AS problems,
	string_agg(DISTINCT p.problem || CASE WHEN p.truncated THEN ' (truncated)' ELSE '' END, ', ') AS said
FROM (SELECT 'components' AS name, repeat(E'BEGIN:VFREEBUSY\nEND:VFREEBUSY\n', 50000) || test.event('DTSTART:20260101T090000Z') AS lines
	UNION ALL SELECT 'components that fit', repeat(E'BEGIN:VFREEBUSY\nEND:VFREEBUSY\n', 49999) || test.event('DTSTART:20260101T090000Z')
	UNION ALL SELECT 'occurrences', string_agg(test.event('DTSTART:20260101T000000Z | RRULE:FREQ=MINUTELY;COUNT=20000', 'u' || n), E'\n') FROM generate_series(1, 26) AS n
	UNION ALL SELECT 'steps', string_agg(test.event('DTSTART:20260101T000000Z | RRULE:FREQ=SECONDLY;BYSETPOS=2', 'u' || n), E'\n') FROM generate_series(1, 15) AS n
	UNION ALL SELECT 'zones', string_agg(test.event('DTSTART;TZID=' || CASE WHEN n = 201 THEN 'Europe/Berlin' ELSE 'Zone' || n END || ':20260101T090000', CASE WHEN n = 201 THEN 'z' ELSE 'u' || n END), E'\n')
		FROM generate_series(1, 201) AS n
	UNION ALL SELECT 'a zone of ' || r.name, E'BEGIN:VTIMEZONE\nTZID:Own\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0000\nTZOFFSETTO:+0100\nRRULE:' || r.rule
		|| E'\nEND:STANDARD\nEND:VTIMEZONE\n' || test.event('DTSTART;TZID=Own:20260101T090000') || E'\n' || test.event('DTSTART:20260101T090000Z', 'z')
		FROM (VALUES ('transitions', 'FREQ=DAILY'), ('steps', 'FREQ=SECONDLY;BYSETPOS=2'), ('some of both', 'FREQ=WEEKLY;COUNT=1900')) AS r (name, rule)) AS u,
	telehealth.parse_ics(E'BEGIN:VCALENDAR\n' || u.lines || E'\nEND:VCALENDAR\n', '2026-01-01', '2027-01-01') AS p GROUP BY u.name ORDER BY u.name COLLATE "C";
SELECT t.state, t.message, t.detail FROM unnest(ARRAY[
	$$SELECT telehealth.parse_ics('', '2026-01-01', 'infinity')$$,
	$$SELECT telehealth.parse_ics('', '2026-01-02', '2026-01-01')$$,
	$$SELECT telehealth.parse_ics('', '2026-01-01', '2027-01-01', 'Nowhere')$$,
	$$SET LOCAL telehealth.max_ics_kb = 1; SELECT telehealth.parse_ics(repeat('x', 1025), '2026-01-01', '2027-01-01')$$
]) WITH ORDINALITY AS u (c, place), test.try(c) AS t ORDER BY u.place;
SELECT count(*) FROM telehealth.parse_ics(NULL, now(), now());

/* A user lowers the limit, and does not raise it above what was given */
CREATE ROLE ics_user;
SET ROLE ics_user;
SET telehealth.max_ics_kb = 100;
SET telehealth.max_ics_kb = 10240;
SET telehealth.max_ics_kb = 10241;
RESET ROLE;
DROP ROLE ics_user;
SET telehealth.max_ics_kb = 20000;
RESET telehealth.max_ics_kb;
DROP FUNCTION test.rule, test.read, test.event;
