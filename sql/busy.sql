/* G9: what takes somebody's time and what does not, by the rules of imported calendars; those of connected ones are in test/t. */

INSERT INTO telehealth.clinic (id, timezone) VALUES (64, 'UTC');
INSERT INTO telehealth.provider (clinic_id, id, timezone) VALUES (64, 6400, 'Europe/Berlin');
SET telehealth.clinic_id = 64;
SET timezone = 'UTC';
SET datestyle = 'ISO';

/* What is said of an event, each for an hour and for a whole day; "|" ends a line. */
CREATE TABLE test.busy_rule (place integer GENERATED ALWAYS AS IDENTITY, name text, lines text);
INSERT INTO test.busy_rule (name, lines) VALUES
	('nothing said', ''),
	('opaque', 'TRANSP:OPAQUE'),
	('transparent', 'TRANSP:TRANSPARENT'),
	('transparent in lower case', 'transp:transparent'),
	('a transparency of nobody', 'TRANSP:X-GLASS'),
	('confirmed', 'STATUS:CONFIRMED'),
	('tentative', 'STATUS:TENTATIVE'),
	('cancelled', 'STATUS:CANCELLED'),
	('a status of nobody', 'STATUS:X-MAYBE'),
	('tentative and transparent', 'STATUS:TENTATIVE|TRANSP:TRANSPARENT'),
	('cancelled and opaque', 'STATUS:CANCELLED|TRANSP:OPAQUE'),
	('Outlook: free', 'X-MICROSOFT-CDO-BUSYSTATUS:FREE'),
	('Outlook: busy', 'X-MICROSOFT-CDO-BUSYSTATUS:BUSY'),
	('Outlook: tentative', 'X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE'),
	('Outlook: tentative, confirmed', 'STATUS:CONFIRMED|X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE'),
	('Outlook: out of office', 'X-MICROSOFT-CDO-BUSYSTATUS:OOF'),
	('Outlook: working elsewhere', 'X-MICROSOFT-CDO-BUSYSTATUS:WORKINGELSEWHERE'),
	('Outlook: free, opaque', 'TRANSP:OPAQUE|X-MICROSOFT-CDO-BUSYSTATUS:FREE'),
	('Outlook: busy, transparent', 'TRANSP:TRANSPARENT|X-MICROSOFT-CDO-BUSYSTATUS:BUSY'),
	('private', 'CLASS:PRIVATE'),
	('an alarm', 'BEGIN:VALARM|ACTION:DISPLAY|TRIGGER:-PT15M|DESCRIPTION:x|END:VALARM'),
	('somebody has declined', 'ORGANIZER:mailto:a@example.com|ATTENDEE;PARTSTAT=DECLINED:mailto:b@example.com'),
	('nobody has answered', 'ORGANIZER:mailto:a@example.com|ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:b@example.com'),
	('priority and category', 'PRIORITY:9|CATEGORIES:Free,Lunch');
CREATE VIEW test.busy_case AS
	SELECT r.place, f.kind, 'rule-' || r.place || f.kind AS uid, r.name, r.lines, f.times, date '2030-06-01' + (2 * r.place + CASE f.kind WHEN 'day' THEN 60 ELSE 0 END)::integer AS day
	FROM test.busy_rule AS r CROSS JOIN (VALUES ('hour', 'DTSTART:%sT100000Z|DTEND:%1$sT110000Z'), ('day', 'DTSTART;VALUE=DATE:%s')) AS f (kind, times);
SELECT i.created, i.updated, i.deleted, i.quarantined FROM telehealth.import_ics(6400, 'rules', (
	SELECT E'BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//\n' || string_agg(replace(
		'BEGIN:VEVENT|UID:' || c.uid || '|DTSTAMP:20290101T000000Z|' || format(c.times, to_char(c.day, 'YYYYMMDD'))
		|| CASE c.lines WHEN '' THEN '' ELSE '|' || c.lines END || '|END:VEVENT', '|', E'\n'), E'\n' ORDER BY c.place) || E'\nEND:VCALENDAR\n'
	FROM test.busy_case AS c), '2030-01-01Z', '2031-01-01Z') AS i;
/* Only what is busy or tentative has a row; only what has a row takes time, and all of it. */
SELECT h.name, COALESCE(b.status, '-') AS an_hour, COALESCE(d.status, '-') AS a_day,
	(SELECT f.is_free FROM telehealth.is_free(6400, (h.day + time '10:00')::timestamptz) AS f) AS free_that_hour,
	(SELECT f.is_free FROM telehealth.is_free(6400, (g.day + time '10:00')::timestamptz) AS f) AS free_that_day,
	bool_and(COALESCE(d.during = tstzrange(g.day::timestamp AT TIME ZONE 'Europe/Berlin', (g.day + 1)::timestamp AT TIME ZONE 'Europe/Berlin'), true)) AS whole
	FROM test.busy_case AS h JOIN test.busy_case AS g ON g.place = h.place AND g.kind = 'day'
	LEFT JOIN telehealth.busy_time AS b ON b.provider_id = 6400 AND b.external_id = h.uid
	LEFT JOIN telehealth.busy_time AS d ON d.provider_id = 6400 AND d.external_id = g.uid
	WHERE h.kind = 'hour' GROUP BY h.place, h.name, h.day, g.day, b.status, d.status ORDER BY h.place;

/* What has no length takes no time; what has no zone has the provider's */
SELECT i.created, i.updated, i.deleted, i.quarantined FROM telehealth.import_ics(6400, 'lengths', E'BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//\n'
	'BEGIN:VEVENT\nUID:point\nDTSTAMP:20290101T000000Z\nDTSTART:20301201T100000Z\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:nothing\nDTSTAMP:20290101T000000Z\nDTSTART:20301202T100000Z\nDTEND:20301202T100000Z\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:duration\nDTSTAMP:20290101T000000Z\nDTSTART:20301203T100000Z\nDURATION:PT30M\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:local\nDTSTAMP:20290101T000000Z\nDTSTART:20301204T100000\nDTEND:20301204T110000\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:days\nDTSTAMP:20290101T000000Z\nDTSTART;VALUE=DATE:20301205\nDTEND;VALUE=DATE:20301208\nEND:VEVENT\n'
	'END:VCALENDAR\n', '2030-01-01Z', '2031-01-01Z') AS i;
SELECT external_id, status, during FROM telehealth.busy_time WHERE provider_id = 6400 AND source = 'lengths' ORDER BY during;

/* Times that a server of free and busy gives, by their types */
SELECT i.created, i.updated, i.deleted, i.quarantined FROM telehealth.import_ics(6400, 'times', E'BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//\nBEGIN:VFREEBUSY\nUID:x\n'
	'FREEBUSY:20300801T100000Z/PT1H\nFREEBUSY;FBTYPE=BUSY:20300802T100000Z/PT1H\nFREEBUSY;FBTYPE=FREE:20300803T100000Z/PT1H\n'
	'FREEBUSY;FBTYPE=BUSY-TENTATIVE:20300804T100000Z/PT1H\nFREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20300805T100000Z/PT1H\nFREEBUSY;FBTYPE=X-LUNCH:20300806T100000Z/PT1H\n'
	'END:VFREEBUSY\nBEGIN:VTODO\nUID:todo\nDTSTART:20300807T100000Z\nDUE:20300807T110000Z\nEND:VTODO\n'
	'BEGIN:VJOURNAL\nUID:journal\nDTSTART:20300808T100000Z\nEND:VJOURNAL\nEND:VCALENDAR\n', '2030-01-01Z', '2031-01-01Z') AS i;
SELECT status, during FROM telehealth.busy_time WHERE provider_id = 6400 AND source = 'times' ORDER BY during;

/* One occurrence is not what its series is */
SELECT i.created, i.updated, i.deleted, i.quarantined FROM telehealth.import_ics(6400, 'series', E'BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//\n'
	'BEGIN:VEVENT\nUID:s\nDTSTAMP:20290101T000000Z\nDTSTART:20300901T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=6\nEXDATE:20300906T100000Z\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:s\nDTSTAMP:20290101T000000Z\nRECURRENCE-ID:20300902T100000Z\nDTSTART:20300902T100000Z\nDURATION:PT1H\nTRANSP:TRANSPARENT\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:s\nDTSTAMP:20290101T000000Z\nRECURRENCE-ID:20300903T100000Z\nDTSTART:20300903T100000Z\nDURATION:PT1H\nSTATUS:CANCELLED\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:s\nDTSTAMP:20290101T000000Z\nRECURRENCE-ID:20300904T100000Z\nDTSTART:20300904T100000Z\nDURATION:PT1H\nSTATUS:TENTATIVE\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:f\nDTSTAMP:20290101T000000Z\nDTSTART:20301001T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nTRANSP:TRANSPARENT\nEND:VEVENT\n'
	'BEGIN:VEVENT\nUID:f\nDTSTAMP:20290101T000000Z\nRECURRENCE-ID:20301002T100000Z\nDTSTART:20301002T100000Z\nDURATION:PT1H\nTRANSP:OPAQUE\nEND:VEVENT\n'
	'END:VCALENDAR\n', '2030-01-01Z', '2031-01-01Z') AS i;
SELECT external_id, status, during FROM telehealth.busy_time WHERE provider_id = 6400 AND source = 'series' ORDER BY during;

/* A list says it in a word */
SELECT i.created, i.updated, i.deleted, i.quarantined FROM telehealth.import_csv(6400, 'list', E'start,end,status,uid\n2030-11-01 10:00,11:00,busy,1\n2030-11-02 10:00,11:00,free,2\n'
	'2030-11-03 10:00,11:00,tentative,3\n2030-11-04 10:00,11:00,cancelled,4\n2030-11-05 10:00,11:00,out of office,5\n2030-11-06 10:00,11:00,,6\n2030-11-07 10:00,11:00,whatever,7',
	'UTC', '2030-01-01Z', '2031-01-01Z') AS i;
SELECT external_id, status FROM telehealth.busy_time WHERE provider_id = 6400 AND source = 'list' ORDER BY 1;
DROP VIEW test.busy_case;
DROP TABLE test.busy_rule;
RESET telehealth.clinic_id;
