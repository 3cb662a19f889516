/* Busy times from calendars of others: import_csv(), import_ics(). */

INSERT INTO telehealth.clinic (id, timezone) VALUES (61, 'Europe/Berlin');
INSERT INTO telehealth.provider (clinic_id, id, timezone) VALUES (61, 6100, 'America/New_York');
SET telehealth.clinic_id = 61;
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE FUNCTION test.read_csv(text, provider bigint DEFAULT 6100, source text DEFAULT 'csv', is_sure boolean DEFAULT false)
	RETURNS text LANGUAGE sql
AS $$ SELECT format('%s created, %s updated, %s deleted, %s quarantined', c.created, c.updated, c.deleted, c.quarantined)
	FROM telehealth.import_csv($2, $3, $1, NULL, '2030-01-01Z', '2031-01-01Z', $4) AS c $$;
CREATE FUNCTION test.read_ics(text, provider bigint DEFAULT 6100, source text DEFAULT 'ics', is_sure boolean DEFAULT false)
	RETURNS text LANGUAGE sql
AS $$ SELECT format('%s created, %s updated, %s deleted, %s quarantined', c.created, c.updated, c.deleted, c.quarantined)
	FROM telehealth.import_ics($2, $3, 'BEGIN:VCALENDAR' || E'\nVERSION:2.0\nPRODID:-//test//\n' || $1 || E'\nEND:VCALENDAR\n',
		'2030-01-01Z', '2031-01-01Z', $4) AS c $$;
CREATE FUNCTION test.an_event(uid text, starts text, ends text, more text DEFAULT '') RETURNS text LANGUAGE sql
AS $$ SELECT E'BEGIN:VEVENT\nUID:' || uid || E'\nDTSTAMP:20290101T000000Z\nDTSTART' || starts || E'\nDTEND' || ends || E'\n'
	|| more || 'END:VEVENT' $$;

/* Where every row is and what wrote it: equal if nothing was written. */
CREATE VIEW test.busy_print AS SELECT md5(string_agg(b.ctid || '/' || b.xmin || '/' || b.xmax || '/' || b::text, ' ' ORDER BY b.ctid)) AS print
	FROM telehealth.busy_time AS b;
CREATE VIEW test.problem_print AS SELECT md5(string_agg(p.ctid || '/' || p.xmin || '/' || p.xmax || '/' || p::text, ' ' ORDER BY p.ctid)) AS print
	FROM telehealth.import_problem AS p;

/* Columns by name, times in the provider's zone, the row's, or with an offset */
SELECT test.read_csv(E'Subject,Start Date,Start Time,End Date,End Time,All Day Event,Time zone\r\n'
	'"Lunch, with ""friends""",03/04/2030,12:00 PM,03/04/2030,1:30 PM,False,\r\n'
	'"two\r\nlines",2030-03-05,09:00,2030-03-05,10:00,,Europe/Berlin\r\n'
	'Trip,12/24/2030,,12/26/2030,,True,\r\n'
	'Outlook,3/10/2030,12:00:00 AM,3/11/2030,12:00:00 AM,TRUE,Tokyo Standard Time\r\n'
	'Night,2030-04-01,23:00,,01:00,,UTC');
SELECT during, status, recurrence_id FROM telehealth.busy_time WHERE source = 'csv' ORDER BY during;
SELECT test.read_csv(E'\ufeffid;Start;Dauer;Duration;Transparency\na;2030-01-02T09:00:00+02:00;x;45;\nb;20300103T090000Z;;1:30;OPAQUE\n'
	'c;2030-01-04 09:00;;30;TRANSPARENT', source => 'semicolons');
SELECT external_id, during FROM telehealth.busy_time WHERE source = 'semicolons' ORDER BY 1;
SELECT test.read_csv(E'\ufeffsep=|\nuid|start|minutes\nmarked|2030-01-02 09:00Z|60', source => 'mark');
SELECT external_id FROM telehealth.busy_time WHERE source = 'mark';
SELECT test.read_csv(E'sep=|\nstart|end|status\n2030-01-02 09:00|10:00|tentative\n2030-01-02 11:00|2030-01-02 12:00|cancelled', source => 'sep');
SELECT during, status FROM telehealth.busy_time WHERE source = 'sep';

/* One date of a file tells how the others are written; both ways at once is not known */
SELECT test.read_csv(E'date,start time,end time\n03/04/2030,09:00,10:00\n25/04/2030,09:00,10:00\n1.2.2030,09:00,10:00', source => 'dates');
SELECT during FROM telehealth.busy_time WHERE source = 'dates' ORDER BY 1;
SELECT test.read_csv(E'date,start time,end time\n03/04/2030,09:00,10:00\n25/04/2030,09:00,10:00\n04/25/2030,11:00,12:00', source => 'both');
SELECT item, reason FROM telehealth.import_problem WHERE source = 'both' ORDER BY 1;

/* T1: a time that clocks skip, and one that they show twice */
SELECT test.read_csv(E'start,minutes,tz\n2030-03-31 02:30,10,Europe/Berlin\n2030-10-27 02:30,10,Europe/Berlin\n2030-03-31 09:00,10,Europe/Berlin', source => 'dst');
SELECT during FROM telehealth.busy_time WHERE source = 'dst' ORDER BY 1;
/* I10: whole days of the owner, also those of 23 and 25 hours */
SELECT test.read_csv(E'start\n2030-03-10\n2030-11-03', source => 'days');
SELECT during, upper(during) - lower(during) AS length FROM telehealth.busy_time WHERE source = 'days' ORDER BY 1;

/* Y7: a bad row is noted with its line, the rest is read */
SELECT test.read_csv(E'uid,start,end,tz\na,2030-01-02 09:00,2030-01-02 10:00,\nb,2030-02-30 09:00,2030-01-02 10:00,\nc,someday,,\n'
	'd,2030-01-02 09:00,2030-01-02 08:00,\ne,2030-01-02 09:00,,\nf,2030-01-02 25:00,2030-01-02 10:00,\n'
	'g,2030-01-02 09:00,2030-01-02 10:00,Mars/Olympus\n"h" x,2030-01-02 09:00,2030-01-02 10:00,\ni,2030-01-02 11:00,2030-01-02 12:00,', source => 'bad');
SELECT item, external_id, reason FROM telehealth.import_problem WHERE source = 'bad' ORDER BY item;
SELECT external_id, during FROM telehealth.busy_time WHERE source = 'bad' ORDER BY 1;
SELECT print AS before FROM test.problem_print \gset
SELECT test.read_csv(E'uid,start,end,tz\na,2030-01-02 09:00,2030-01-02 10:00,\nb,2030-02-30 09:00,2030-01-02 10:00,\nc,someday,,\n'
	'd,2030-01-02 09:00,2030-01-02 08:00,\ne,2030-01-02 09:00,,\nf,2030-01-02 25:00,2030-01-02 10:00,\n'
	'g,2030-01-02 09:00,2030-01-02 10:00,Mars/Olympus\n"h" x,2030-01-02 09:00,2030-01-02 10:00,\ni,2030-01-02 11:00,2030-01-02 12:00,', source => 'bad');
SELECT print = :'before' AS nothing_written FROM test.problem_print;
/* What was known of an event that cannot be read now stays */
SELECT test.read_csv(E'uid,start,end\na,2030-01-02 09:00,soon', source => 'bad');
SELECT external_id, during FROM telehealth.busy_time WHERE source = 'bad' ORDER BY 1;
SELECT item, external_id, reason FROM telehealth.import_problem WHERE source = 'bad' ORDER BY item;

/* Not a table at all: nothing changes */
SELECT * FROM test.try($$SELECT test.read_csv('')$$);
SELECT * FROM test.try($$SELECT test.read_csv(E'one,two\n1,2')$$);
SELECT * FROM test.try($$SELECT test.read_csv(E'start,end\n2030-01-02 09:00,2030-01-02 10:00\n"2030-01-03 09:00,2030')$$);
SELECT count(*) FROM telehealth.busy_time WHERE source = 'csv';
SELECT * FROM test.try($$SELECT telehealth.import_csv(NULL, 'x', 'x')$$);
SELECT * FROM test.try($$SELECT telehealth.import_csv(1, NULL, 'x')$$);
SELECT * FROM test.try($$SELECT telehealth.import_ics(1, 'x', NULL)$$);
SELECT * FROM test.try($$SELECT telehealth.import_csv(1, ' ', 'x')$$);
SELECT * FROM test.try($$SELECT telehealth.import_csv(1, 'x', 'start', 'Mars/Olympus')$$);
SELECT * FROM test.try($$SELECT telehealth.import_csv(1, 'x', 'start', NULL, '2030-01-01Z', '2030-01-01Z')$$);
SELECT * FROM test.try($$SELECT telehealth.import_ics(1, 'x', 'x', '2030-01-01Z', 'infinity')$$);
SET telehealth.max_ics_kb = 1;
SELECT state, message, detail FROM test.try($$SELECT telehealth.import_csv(1, 'x', repeat(' ', 1025))$$);
SELECT state, message FROM test.try($$SELECT telehealth.import_csv(1, 'x', repeat(' ', 1024))$$);
RESET telehealth.max_ics_kb;
/* What it sets for itself is over with it */
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SELECT created FROM telehealth.import_csv(1, 'x', 'start');
SELECT current_setting('enable_nestloop') AS enable_nestloop, current_setting('search_path') AS search_path;
COMMIT;
/* Said as plainly on a standby */
BEGIN READ ONLY;
SELECT state, message FROM test.try($$SELECT telehealth.import_csv(1, 'x', 'start')$$);
SELECT state, message FROM test.try($$SELECT telehealth.import_ics(1, 'x', 'x')$$);
COMMIT;
/* A window that would end when there is no time any more, and one that does not quite */
SELECT state, message FROM test.try($$SELECT telehealth.import_csv(1, 'x', 'start', NULL, '294276-12-31Z')$$);
SELECT state, message FROM test.try($$SELECT telehealth.import_csv(1, 'x', 'start', NULL, '294274-12-31Z')$$);

/* A zone is whatever parse_ics() takes for one: no rule, not the machine's own; but one of Windows */
SELECT z.name, t.state, t.message, t.hint
FROM unnest(ARRAY['EST5EDT', 'europe/berlin', 'W. Europe Standard Time', 'localtime', 'posixrules', 'ABC+3', 'Etc/GMT+12', 'Etc/GMT+99', '']) AS z (name),
	test.try(format('SELECT telehealth.import_csv(1, %L, %L, %L)', 'x', 'start', z.name)) AS t;
SELECT z.name, t.state, t.message
FROM unnest(ARRAY['EST5EDT', 'W. Europe Standard Time', 'localtime', 'Etc/GMT+99']) AS z (name),
	test.try(format('SELECT telehealth.parse_ics(%L, %L, %L, %L)', '', '2030-01-01Z', '2031-01-01Z', z.name)) AS t;
SELECT test.read_csv(E'start,minutes,tz\n2030-01-02 09:00,60,EST5EDT\n2030-01-02 09:00,60,Etc/GMT+99\n2030-01-02 09:00,60,localtime', source => 'rule');
SELECT during FROM telehealth.busy_time WHERE source = 'rule';
/* Each name costs a look at files, so a text has at most so many of them */
SELECT test.read_csv(E'start,minutes,tz\n' || string_agg(format('2030-01-02 09:%s,1,%s', to_char(n % 60, 'FM00'),
	CASE WHEN n IN (1, 201, 203) THEN 'Europe/Paris' WHEN n = 202 THEN 'Europe/Rome' ELSE 'No/Where' || chr(65 + n / 26) || chr(65 + n % 26) END), E'\n' ORDER BY n), source => 'names')
FROM generate_series(1, 203) AS n;
SELECT during FROM telehealth.busy_time WHERE source = 'names' ORDER BY 1;

/* Yes and no */
SELECT test.read_csv(E'uid,start,minutes,busy\na,2030-01-02 09:00,60,0\nb,2030-01-02 09:00,60,1\nc,2030-01-02 09:00,60,no\nd,2030-01-02 09:00,60,TRUE', source => 'yes');
SELECT external_id, status FROM telehealth.busy_time WHERE source = 'yes' ORDER BY 1;

/* A text of wrong items is not one with wrong items */
SELECT * FROM test.try($$SELECT test.read_csv(E'start,end\n' || repeat(E'x\n', 50000), source => 'wrong')$$);
SELECT * FROM test.try($$SELECT test.read_csv(E'start,end\n' || repeat(E'x\n', 50001), source => 'wrong')$$);
SELECT count(*), max(item) FROM telehealth.import_problem WHERE source = 'wrong';
SELECT test.read_csv('start', source => 'wrong');
SELECT count(*) FROM telehealth.import_problem WHERE source = 'wrong';

/* An iCalendar text: each occurrence a row, what is free or cancelled none */
SELECT string_agg(e, E'\n') AS calendar FROM unnest(ARRAY[
	test.an_event('one', ':20300102T090000Z', ':20300102T100000Z'),
	test.an_event('weekly', ';TZID=Europe/Berlin:20300321T090000', ';TZID=Europe/Berlin:20300321T093000', E'RRULE:FREQ=WEEKLY;COUNT=3\n'),
	test.an_event('day', ';VALUE=DATE:20300704', ';VALUE=DATE:20300705', E'TRANSP:OPAQUE\n'),
	test.an_event('free', ':20300105T090000Z', ':20300105T100000Z', E'TRANSP:TRANSPARENT\n'),
	test.an_event('off', ':20300106T090000Z', ':20300106T100000Z', E'STATUS:CANCELLED\n'),
	test.an_event('maybe', ':20300107T090000Z', ':20300107T100000Z', E'STATUS:TENTATIVE\n'),
	test.an_event('past', ':20290107T090000Z', ':20290107T100000Z'),
	test.an_event('point', ':20300108T090000Z', ':20300108T090000Z')]) AS e \gset
SELECT test.read_ics(:'calendar');
SELECT external_id, recurrence_id, during, status FROM telehealth.busy_time WHERE source = 'ics' ORDER BY 1, 2;
/* The same again writes nothing, however often */
SELECT print AS before FROM test.busy_print \gset
SELECT test.read_ics(:'calendar');
SELECT test.read_ics(:'calendar');
SELECT print = :'before' AS nothing_written FROM test.busy_print;
/* Y8: other UIDs for the same times neither */
SELECT test.read_ics(replace(replace(:'calendar', 'UID:', 'UID:new-'), E'\nBEGIN', E'\nBEGIN'));
SELECT print = :'before' AS nothing_written FROM test.busy_print;
/* One moved, one gone, one new */
SELECT test.read_ics(test.an_event('one', ':20300102T110000Z', ':20300102T120000Z')
	|| E'\n' || test.an_event('weekly', ';TZID=Europe/Berlin:20300321T090000', ';TZID=Europe/Berlin:20300321T093000', E'RRULE:FREQ=WEEKLY;COUNT=2\n')
	|| E'\n' || test.an_event('day', ';VALUE=DATE:20300704', ';VALUE=DATE:20300705')
	|| E'\n' || test.an_event('maybe', ':20300107T090000Z', ':20300107T100000Z')
	|| E'\n' || test.an_event('fresh', ':20300109T090000Z', ':20300109T100000Z'));
SELECT external_id, recurrence_id, during, status FROM telehealth.busy_time WHERE source = 'ics' ORDER BY 1, 2;
/* Sources and providers do not touch each other */
SELECT test.read_ics(test.an_event('one', ':20300102T110000Z', ':20300102T120000Z'), source => 'other');
SELECT test.read_ics(test.an_event('one', ':20300102T110000Z', ':20300102T120000Z'), provider => 6101);
SELECT provider_id, source, count(*) FROM telehealth.busy_time WHERE source IN ('ics', 'other') GROUP BY 1, 2 ORDER BY 1, 2;
/* Y1: our own events are never busy, neither plain nor as Outlook keeps them; those of another clinic or installation are */
CREATE FUNCTION test.tag() RETURNS text LANGUAGE sql RETURN (SELECT tag FROM telehealth_private.installation);
SELECT test.read_ics(test.an_event(format('appointment-7.clinic-61@%s.telehealth', test.tag()), ':20300202T110000Z', ':20300202T120000Z')
	|| E'\n' || test.an_event('040000008200E00074C5B7101A82E00800000000000000000000000000000000000000002F0000007643616C2D55696401000000'
		|| encode(convert_to(format('appointment-8.clinic-61@%s.telehealth', test.tag()), 'UTF8'), 'hex') || '00', ':20300203T110000Z', ':20300203T120000Z')
	|| E'\n' || test.an_event(format('appointment-7.clinic-62@%s.telehealth', test.tag()), ':20300204T110000Z', ':20300204T120000Z')
	|| E'\n' || test.an_event(format('appointment-7.clinic-61@%s.telehealth', reverse(test.tag())), ':20300205T110000Z', ':20300205T120000Z')
	|| E'\n' || test.an_event('appointment-7.clinic-61@telehealth', ':20300206T110000Z', ':20300206T120000Z'), source => 'echo');
SELECT external_id FROM telehealth.busy_time WHERE source = 'echo' ORDER BY external_id;
/* Y1: after an update from version 0.1 its UIDs are our own as well */
UPDATE telehealth_private.installation SET plain_until = 7;
SELECT test.read_ics(test.an_event('appointment-7.clinic-61@telehealth', ':20300206T110000Z', ':20300206T120000Z')
	|| E'\n' || test.an_event(format('appointment-8.clinic-61@%s.telehealth', test.tag()), ':20300207T110000Z', ':20300207T120000Z'), source => 'echo again');
SELECT external_id FROM telehealth.busy_time WHERE source = 'echo again';
UPDATE telehealth_private.installation SET plain_until = NULL;
/* A long UID is stored as its digest, and found again */
SELECT test.read_ics(test.an_event(repeat('u', 600), ':20300202T110000Z', ':20300202T120000Z'), source => 'long');
SELECT test.read_ics(test.an_event(repeat('u', 600), ':20300202T110000Z', ':20300202T130000Z'), source => 'long');
SELECT external_id ~ '^sha256:[0-9a-f]{64}$' AS is_digest, during FROM telehealth.busy_time WHERE source = 'long';
/* I3, Y7: an unknown zone is noted, never UTC */
SELECT test.read_ics(test.an_event('good', ':20300102T110000Z', ':20300102T120000Z')
	|| E'\n' || test.an_event('odd', ';TZID=Nowhere Time:20300103T110000', ';TZID=Nowhere Time:20300103T120000'), source => 'zones');
SELECT external_id FROM telehealth.busy_time WHERE source = 'zones';
SELECT item, external_id, reason FROM telehealth.import_problem WHERE source = 'zones';
/* Of an event that recurs too often nobody knows all, so nothing goes */
SELECT test.read_ics(test.an_event('known', ':20300102T110000Z', ':20300102T120000Z'), source => 'often');
SELECT test.read_ics(test.an_event('often', ':20300101T000000Z', ':20300101T000000Z', E'RRULE:FREQ=MINUTELY\n'), source => 'often');
SELECT external_id, reason FROM telehealth.import_problem WHERE source = 'often';
SELECT external_id FROM telehealth.busy_time WHERE source = 'often';
/* Half a calendar changes nothing */
SELECT state, message FROM test.try($$SELECT telehealth.import_ics(6100, 'ics', E'BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:x\n', '2030-01-01Z', '2031-01-01Z')$$);
SELECT state, message FROM test.try($$SELECT telehealth.import_ics(6100, 'ics', '<html>Sign in</html>', '2030-01-01Z', '2031-01-01Z')$$);
SELECT count(*) FROM telehealth.busy_time WHERE source = 'ics';

/* Y4: a text that would remove much is not believed */
SELECT string_agg(format('u%s,2030-05-%s 09:00,60', n, n), E'\n' ORDER BY n) AS rows FROM generate_series(1, 31) AS n \gset
SELECT test.read_csv(E'uid,start,minutes\n' || :'rows', source => 'many');
SELECT print AS before FROM test.busy_print \gset
SELECT * FROM test.try($$SELECT test.read_csv('uid,start,minutes', source => 'many')$$);
SELECT state, message FROM test.try($$SELECT test.read_csv(E'uid,start,minutes\nu1,2030-05-1 09:00,60\nu2,2030-05-2 09:00,30', source => 'many')$$);
SELECT state, message FROM test.try($$SELECT test.read_ics('', source => 'many')$$);
SELECT print = :'before' AS nothing_written FROM test.busy_print;
SELECT test.read_csv(E'uid,start,minutes\n' || string_agg(r, E'\n'), source => 'many') FROM (SELECT r FROM regexp_split_to_table(:'rows', E'\n') AS r LIMIT 21) AS x;
SELECT state, message FROM test.try($$SELECT test.read_csv(E'uid,start,minutes\nu1,2030-05-1 09:00,60\nu2,2030-05-2 09:00,60\nu3,2030-05-3 09:00,60\nu4,2030-05-4 09:00,60\nu5,2030-05-5 09:00,60\nu6,2030-05-6 09:00,60\nu7,2030-05-7 09:00,60\nu8,2030-05-8 09:00,60\nu9,2030-05-9 09:00,60\nu10,2030-05-10 09:00,60', source => 'many')$$);
SELECT test.read_csv('uid,start,minutes', source => 'many', is_sure => true);
/* A fifth may go, and not one more */
SELECT string_agg(format('u%s,2030-05-%s %s:00,60', n, 1 + n % 28, 8 + n / 28), E'\n' ORDER BY n) AS sixty FROM generate_series(1, 60) AS n \gset
SELECT test.read_csv(E'uid,start,minutes\n' || :'sixty', source => 'sixty');
SELECT (SELECT state FROM test.try(format('SELECT test.read_csv(%L, source => %L)', E'uid,start,minutes\n' || string_agg(r, E'\n'), 'sixty')))
FROM (SELECT r FROM regexp_split_to_table(:'sixty', E'\n') AS r LIMIT 47) AS x;
SELECT test.read_csv(E'uid,start,minutes\n' || string_agg(r, E'\n'), source => 'sixty') FROM (SELECT r FROM regexp_split_to_table(:'sixty', E'\n') AS r LIMIT 48) AS x;
/* Y8: of two at the same time, one is one */
SELECT test.read_csv(E'uid,start,minutes\na,2030-05-01 09:00,60\nb,2030-05-01 09:00,60', source => 'twins');
SELECT test.read_csv(E'uid,start,minutes\nc,2030-05-01 09:00,60\nd,2030-05-01 09:00,60', source => 'twins');
SELECT test.read_csv(E'uid,start,minutes\ne,2030-05-01 09:00,60', source => 'twins');
SELECT test.read_csv(E'uid,start,minutes\nf,2030-05-01 09:00,60\ng,2030-05-01 09:00,60', source => 'twins');
SELECT count(*) FROM telehealth.busy_time WHERE source = 'twins';
SELECT test.read_csv(E'uid,start,minutes,show as\nh,2030-05-01 09:00,60,tentative\ni,2030-05-01 09:00,60,busy', source => 'twins');
SELECT status FROM telehealth.busy_time WHERE source = 'twins' ORDER BY 1;
/* Ten may always go */
SELECT test.read_csv(E'uid,start,minutes\n' || string_agg(r, E'\n'), source => 'few') FROM (SELECT r FROM regexp_split_to_table(:'rows', E'\n') AS r LIMIT 10) AS x;
SELECT test.read_csv('uid,start,minutes', source => 'few');

/* Outside of the window nothing is touched; an event moved into it is found */
SELECT created, updated, deleted FROM telehealth.import_csv(6100, 'window', E'uid,start,minutes\na,2030-06-01 09:00Z,60\nb,2030-07-01 09:00Z,60', NULL, '2030-06-01Z', '2030-08-01Z');
SELECT created, updated, deleted FROM telehealth.import_csv(6100, 'window', 'uid,start,minutes', NULL, '2030-06-01Z', '2030-06-30Z');
SELECT created, updated, deleted FROM telehealth.import_csv(6100, 'window', E'uid,start,minutes\nb,2030-06-02 09:00Z,60', NULL, '2030-06-01Z', '2030-06-30Z');
SELECT external_id, during FROM telehealth.busy_time WHERE source = 'window';
/* Without a window: yesterday and a year */
SELECT created FROM telehealth.import_csv(6100, 'now', format(E'start,minutes\n%s,60\n%s,60\n%s,60\n%s,60', now(), now() + interval '365 days', now() - interval '3 days', now() + interval '370 days'));

/* Roles: the clinic's own, and rows of the application's own source */
CREATE ROLE regress_import_app;
CREATE ROLE regress_import_reader;
SELECT telehealth.grant_role('regress_import_app', 'app', 61), telehealth.grant_role('regress_import_reader', 'reader', 61);
SET ROLE regress_import_app;
SELECT test.read_csv(E'start,end\n2030-01-02 09:00,2030-01-02 10:00', source => 'app');
INSERT INTO telehealth.busy_time (provider_id, source, external_id, during) VALUES (6100, 'holidays', '2030', '[2030-08-01,2030-08-15)');
SELECT source, during FROM telehealth.busy_time WHERE source IN ('app', 'holidays') ORDER BY 1;
SELECT count(*) > 0 AS sees FROM telehealth.import_problem;
SELECT state, message FROM test.try('DELETE FROM telehealth.import_problem');
SET telehealth.clinic_id = 62;
SELECT state, message FROM test.try($$SELECT telehealth.import_csv(1, 'x', 'start')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.busy_time (provider_id, source, external_id, during) VALUES (1, 'x', 'x', '[2030-08-01,2030-08-15)')$$);
SET telehealth.clinic_id = 61;
SET ROLE regress_import_reader;
SELECT state, message FROM test.try($$SELECT telehealth.import_csv(1, 'x', 'start')$$);
SELECT state, message FROM test.try('SELECT FROM telehealth.busy_time');
RESET ROLE;
SELECT telehealth.revoke_role('regress_import_app', 'app', 61), telehealth.revoke_role('regress_import_reader', 'reader', 61);
DROP ROLE regress_import_app, regress_import_reader;

DELETE FROM telehealth.busy_time;
DELETE FROM telehealth.import_problem;
DELETE FROM telehealth.provider WHERE clinic_id = 61;
DELETE FROM telehealth.clinic WHERE id = 61;
RESET timezone;
RESET datestyle;
RESET telehealth.clinic_id;
