/* Calendars from queries: vevent(), vcalendar(), ical_duration(), vtimezone(). */
SET timezone = 'America/Los_Angeles';

/* The text without its carriage returns and its first lines, which are of every calendar */
CREATE FUNCTION test.ics(ics text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT line FROM regexp_split_to_table(ics, E'\r\n') WITH ORDINALITY AS l (line, n)
	WHERE line !~ '^(VERSION|PRODID|CALSCALE):|^(BEGIN|END):VCALENDAR$|^$' ORDER BY n
$$;

/* Three arguments are enough */
SELECT telehealth.vcalendar(telehealth.vevent('a@x', '2026-01-05 09:00Z', '2026-01-05 09:30Z'))
	= E'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//telehealth//telehealth//EN\r\nCALSCALE:GREGORIAN\r\nBEGIN:VEVENT\r\n'
	|| E'UID:a@x\r\nDTSTAMP:19700101T000000Z\r\nDTSTART:20260105T090000Z\r\nDTEND:20260105T093000Z\r\nSEQUENCE:0\r\nTRANSP:OPAQUE\r\n'
	|| E'END:VEVENT\r\nEND:VCALENDAR\r\n' AS exact;

/* All of them */
SELECT test.ics(telehealth.vcalendar(telehealth.vevent(
	uid => 'b@x', starts_at => '2026-03-27 09:00+01', ends_at => '2026-03-27 10:00+01', summary => 'Sum; mary, with \ and' || E'\n' || 'two lines',
	description => 'Dés', location => 'Room 1', url => 'https://example.invalid/a b' || E'\n' || 'c', status => 'TENTATIVE', sequence => 7,
	timezone => 'Europe/Berlin', stamped_at => '2026-01-01Z', created_at => '2025-12-31Z', updated_at => '2026-01-02Z',
	conference => 'https://example.invalid/j/1', organizer => 'boss@example.invalid', organizer_name => E'The "Boss", M.D. ^ \n',
	attendees => '["a@example.invalid", {"address": "urn:uuid:1", "name": "Bé", "role": "OPT-PARTICIPANT", "status": "ACCEPTED", "type": "ROOM", "rsvp": true}]',
	class => 'PRIVATE', transparency => 'TRANSPARENT', categories => ARRAY['one,two', NULL, 'three'], rrule => 'FREQ=WEEKLY;BYDAY=FR',
	exdates => ARRAY['2026-04-03 09:00+02'::timestamptz], rdates => ARRAY['2026-04-04 12:00+02'::timestamptz], alarms => ARRAY['15 min', '1 day', '-5 min']::interval[],
	color => 'turquoise'), '{"name": "Näme, of it", "description": "D", "method": "PUBLISH", "refresh": "30 min", "color": "red", "url": "https://example.invalid/feed"}'));

/* The order is that within the call; null is none; no rows are an empty calendar */
SELECT string_agg(line, ' ') FROM test.ics((SELECT telehealth.vcalendar(telehealth.vevent(n || '@x', '2026-01-05Z', '2026-01-06Z') ORDER BY n DESC)
	FROM generate_series(1, 3) AS n)) AS line WHERE line ~ '^UID';
SELECT count(*) FROM test.ics((SELECT telehealth.vcalendar(e) FROM (VALUES (NULL::telehealth.vevent)) AS v (e)));
SELECT replace(telehealth.vcalendar(e), E'\r', '') FROM (SELECT NULL::telehealth.vevent WHERE false) AS v (e);
SELECT telehealth.vcalendar(e) FILTER (WHERE (e).uid = '1@x') = telehealth.vcalendar(e) FILTER (WHERE (e).uid = '1@x' AND (e).sequence = 0) AS same
FROM (SELECT telehealth.vevent(n || '@x', '2026-01-05Z', '2026-01-06Z') FROM generate_series(1, 3) AS n) AS v (e);
/* A window goes on after it has answered */
SELECT n, (SELECT count(*) FROM test.ics(w.ics) AS line WHERE line ~ '^UID') AS events FROM (
	SELECT n, telehealth.vcalendar(telehealth.vevent(n || '@x', '2026-06-05Z', '2026-06-06Z', timezone => 'Europe/Paris')) OVER (ORDER BY n) AS ics
	FROM generate_series(1, 3) AS n) AS w ORDER BY n;

/* I10: whole days are dates where the owner is; an end within a day is that day's */
SELECT test.ics(telehealth.vcalendar(telehealth.vevent('d' || n || '@x', s::timestamptz, e::timestamptz, timezone => z, is_all_day => true) ORDER BY n))
FROM (VALUES (1, '2026-03-29 00:00+01', '2026-03-30 00:00+02', 'Europe/Berlin'), (2, '2026-03-29 00:00+01', '2026-03-29 00:00+01', 'Europe/Berlin'),
	(3, '2026-11-01 00:00-07', '2026-11-02 12:00-08', 'America/Los_Angeles'), (4, '2026-01-05 00:00+14', '2026-01-06 00:00+14', 'Pacific/Kiritimati'),
	(5, '2026-01-05 00:00Z', '2026-01-07 00:00Z', NULL)) AS v (n, s, e, z);

/* I1, I2: one VTIMEZONE a zone, for the range that is used; what a clock shows twice is UTC; no offset has seconds */
SELECT test.ics(telehealth.vcalendar(telehealth.vevent(n || '@x', s::timestamptz, s::timestamptz + interval '10 min', timezone => z) ORDER BY n))
FROM (VALUES (0, '2026-10-26 12:00Z', 'Europe/Berlin'), (1, '2026-10-25 02:30+02', 'Europe/Berlin'), (2, '2026-10-25 02:30+01', 'Europe/Berlin'), (3, '2026-10-25 03:30+01', 'europe/berlin'),
	(4, '1890-01-01 12:00Z', 'Europe/Berlin'), (5, '2026-07-01 12:00Z', 'Asia/Kolkata'), (6, '2026-07-01 12:00Z', 'Etc/UTC'),
	(7, '2026-07-01 12:00Z', 'Asia/Kathmandu'), (8, '2026-10-25 00:59:59.9Z', 'Europe/Berlin')) AS v (n, s, z);
/* Ireland's data call the winter the time that is saved; calendars do not */
SELECT test.ics(telehealth.vtimezone('Europe/Dublin', '2026-01-15Z', '2026-12-15Z'));
SELECT test.ics(telehealth.vtimezone('America/St_Johns', '2026-01-15Z', '2027-12-15Z'));
/* Without an end: the rules of the zone, or what its data list */
SELECT test.ics(telehealth.vtimezone('Europe/Berlin', '2026-06-01Z', 'infinity'));
SELECT test.ics(telehealth.vtimezone('America/New_York', '2006-06-01Z', 'infinity'));
SELECT test.ics(telehealth.vtimezone('Asia/Tokyo', '2026-06-01Z', 'infinity'));
SELECT count(*) > 10 AS is_listed FROM test.ics(telehealth.vtimezone('Africa/Casablanca', '2019-06-01Z', 'infinity')) AS line WHERE line ~ '^DTSTART';
SELECT line FROM test.ics(telehealth.vtimezone('Asia/Jerusalem', '2026-01-01Z', 'infinity')) AS line WHERE line ~ '^RRULE';
/* A rule with an end uses the zone as long */
SELECT string_agg(line, ' ') FROM test.ics((SELECT telehealth.vcalendar(telehealth.vevent('u@x', '2026-01-05 09:00+01', '2026-01-05 10:00+01', timezone => 'Europe/Berlin',
	rrule => 'FREQ=WEEKLY;UNTIL=20260601T000000Z')))) AS line WHERE line ~ '^(BEGIN|DTSTART|RRULE)';
/* An occurrence of its own says which it was, in its series' own way */
SELECT line FROM test.ics((SELECT telehealth.vcalendar(telehealth.vevent('u@x', '2026-10-25 05:30+01', '2026-10-25 06:00+01', timezone => 'Europe/Berlin',
	recurrence_id => '2026-10-25 02:30+01')))) AS line WHERE line ~ '^(DTSTART|RECURRENCE)';
/* What recurs is by the wall, also from an hour on that clocks show twice; what does not is an instant there */
SELECT line FROM test.ics((SELECT telehealth.vcalendar(telehealth.vevent(n || '@x', '2026-10-25 02:30+02', '2026-10-25 02:45+02', timezone => 'Europe/Berlin', rrule => rule) ORDER BY n)
	FROM (VALUES (1, 'FREQ=WEEKLY'), (2, NULL)) AS v (n, rule))) AS line WHERE line ~ '^DT(START;|START:2026.*Z$|END)';

/* Free and busy */
SELECT test.ics(telehealth.vcalendar(telehealth.vevent(n || '@x', s::timestamptz, s::timestamptz + interval '30 min', 'Not shown', status => status,
	transparency => transp, updated_at => '2026-01-01Z'), '{"kind": "freebusy"}'))
FROM (VALUES (1, '2026-01-06 09:00Z', NULL, NULL), (2, '2026-01-05 09:00Z', 'TENTATIVE', NULL), (3, '2026-01-05 10:00Z', 'CANCELLED', NULL),
	(4, '2026-01-05 11:00Z', NULL, 'TRANSPARENT')) AS v (n, s, status, transp);

/* I4: folds at 75 octets, never within a character or an escape */
SELECT bool_and(octet_length(line) <= 75) AS short, bool_and(line !~ '\\$') AS whole, count(*) > 30 AS many,
	string_agg(CASE WHEN n > 1 THEN substr(line, 2) ELSE line END, '' ORDER BY n) = 'SUMMARY:' || repeat('aé\,漢😀', 250) AS same
FROM (SELECT line, row_number() OVER (ORDER BY n) AS n FROM regexp_split_to_table((SELECT telehealth.vcalendar(
	telehealth.vevent('f@x', '2026-01-05Z', '2026-01-06Z', repeat('aé,漢😀', 250)))), E'\r\n') WITH ORDINALITY AS l (line, n) WHERE line ~ '^(SUMMARY| )') AS f;
/* Wherever the escape stands, in a text and in a parameter */
SELECT bool_or(line ~ '[\\^]$') AS parted, max(octet_length(line)) AS longest, count(*) > 81 * 4 AS many
FROM (SELECT telehealth.vcalendar(telehealth.vevent('f@x', '2026-01-05Z', '2026-01-06Z', repeat('x', n) || repeat(',', 80),
	organizer => 'o@x', organizer_name => repeat('x', n) || repeat('"', 80))) AS ics FROM generate_series(0, 80) AS n) AS c,
	regexp_split_to_table(c.ics, E'\r\n') AS line WHERE line ~ '[,"]';
/* Nothing but what may stand in a line */
SELECT bool_and(v.ics !~ E'[\\x01-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\u0080-\u009f]|[^\r]\n|\r[^\n]') AS clean, count(*) FROM (
	SELECT telehealth.vcalendar(telehealth.vevent('c' || chr(c) || '@x', '2026-01-05Z', '2026-01-06Z', 'a' || chr(c) || 'b', chr(c), chr(c), 'https://x/' || chr(c),
		organizer => 'a' || chr(c), organizer_name => chr(c), attendees => jsonb_build_array(jsonb_build_object('address', chr(c), 'name', chr(c))),
		categories => ARRAY[chr(c)]), jsonb_build_object('name', chr(c), 'description', chr(c), 'url', chr(c))) AS ics
	FROM generate_series(1, 300) AS c GROUP BY c) AS v;
/* Lines cannot be smuggled in */
SELECT line FROM test.ics((SELECT telehealth.vcalendar(telehealth.vevent(E'u\r\nX-A:1', '2026-01-05Z', '2026-01-06Z', E's\nX-B:1', url => E'h:\r\nX-C:1',
	organizer => E'm\r\nX-E:1', organizer_name => E'm"\r\nX-F:1', attendees => '[{"address": "a\r\nX-G:1", "name": "\";X-I=1"}]'), '{"name": "n\nX-H:1"}'))) AS line
WHERE line !~ '^(DT|BEGIN|END|SEQ|TRANSP)';

/* I5: a cancellation is a CANCEL, of the same UID and a higher SEQUENCE; G8: the UID stays */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (60, 20, 60, 'VIDEO', '2130-08-01 10:00+00');
SELECT m, string_agg(line, ' ') FROM unnest(ARRAY['PUBLISH', 'REQUEST', 'CANCEL']) AS m, test.ics(telehealth.appointment_ics(60, m)) AS line
WHERE line ~ '^(METHOD|UID|STATUS|SEQUENCE)' GROUP BY m ORDER BY m DESC;
UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE clinic_id = 1 AND id = 60;
SELECT m, string_agg(line, ' ') FROM unnest(ARRAY['PUBLISH', 'REQUEST', 'CANCEL']) AS m, test.ics(telehealth.appointment_ics(60, m)) AS line
WHERE line ~ '^(METHOD|UID|STATUS|SEQUENCE)' GROUP BY m ORDER BY m DESC;
UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE clinic_id = 1 AND id = 60;

/* What is not confirmed is tentative; the link is where the policy for the target allows it, and in no cancellation */
UPDATE telehealth.appointment SET status = 'PENDING', join_url = 'https://video.example/j/60' WHERE clinic_id = 1 AND id = 60;
CREATE VIEW test.links AS
	SELECT m AS method, string_agg(line, ' ') FROM unnest(ARRAY['PUBLISH', 'REQUEST', 'CANCEL']) AS m, test.ics(telehealth.appointment_ics(60, m)) AS line
	WHERE line ~ '^(STATUS|CLASS|URL|CONFERENCE)' GROUP BY m ORDER BY m DESC;
SELECT * FROM test.links;
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('email', 'join_url', false);
SELECT * FROM test.links;
UPDATE telehealth.disclosure_policy SET target = 'feed' WHERE (clinic_id, target, fact) = (1, 'email', 'join_url');
SELECT * FROM test.links;
DELETE FROM telehealth.disclosure_policy WHERE clinic_id = 1;
DROP VIEW test.links;
UPDATE telehealth.appointment SET status = 'SCHEDULED', join_url = NULL WHERE clinic_id = 1 AND id = 60;

/* The same visit is the same bytes, whenever it is asked for */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, created_at, updated_at)
VALUES (61, 20, 60, 'VIDEO', '2130-08-02 10:00+00', '2020-01-01 12:00+00', '2020-01-02 12:00+00');
SELECT line FROM test.ics(telehealth.appointment_ics(61)) AS line WHERE line ~ '^(DTSTAMP|CREATED|LAST-MODIFIED)';
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id = 61;

/* G8: what version 0.1 gave keeps its UID */
UPDATE telehealth_private.installation SET plain_until = 60;
SELECT line FROM test.ics(telehealth.appointment_ics(60)) AS line WHERE line ~ '^UID';
UPDATE telehealth_private.installation SET plain_until = 59;
SELECT line FROM test.ics(telehealth.appointment_ics(60)) AS line WHERE line ~ '^UID';
UPDATE telehealth_private.installation SET plain_until = NULL;

/* Who invites whom: somebody always, addresses and names as the policy for target email allows, and never for PUBLISH */
CREATE VIEW test.people AS
	SELECT m AS method, line FROM unnest(ARRAY['PUBLISH', 'REQUEST', 'CANCEL']) WITH ORDINALITY AS u (m, n), regexp_split_to_table(replace(telehealth.appointment_ics(60, m), E'\r\n ', ''), E'\r\n') AS line
	WHERE line ~ '^(ORGANIZER|ATTENDEE|LOCATION|SUMMARY)' ORDER BY n;
SELECT * FROM test.people;
INSERT INTO telehealth.patient (id, display_name, email) VALUES (60, 'Zoe "Z" Person', 'zoe@mail.example');
INSERT INTO telehealth.provider (id, display_name, email) VALUES (60, 'Dr. Person', 'person@clinic.example');
UPDATE telehealth.appointment SET patient_id = 60, provider_id = 60, location = 'Room 6', title = 'Knee' WHERE clinic_id = 1 AND id = 60;
SELECT * FROM test.people;
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('email', 'email', true);
SELECT * FROM test.people;
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('email', 'patient_name', true), ('email', 'title', true), ('email', 'location', false);
SELECT * FROM test.people;
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('email', 'provider_name', true);
UPDATE telehealth.disclosure_policy SET is_allowed = false WHERE (target, fact) = ('email', 'email');
SELECT * FROM test.people WHERE line ~ '^(ORG|ATT)';
/* what feeds may show says nothing of mail, and the other way round */
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) SELECT 'feed', fact, true FROM unnest(ARRAY['email', 'patient_name', 'provider_name']) AS fact;
SELECT * FROM test.people WHERE method = 'PUBLISH';
DELETE FROM telehealth.disclosure_policy WHERE clinic_id = 1;
DROP VIEW test.people;
DELETE FROM telehealth.patient WHERE id = 60;
DELETE FROM telehealth.provider WHERE id = 60;
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id = 60;
DELETE FROM telehealth_private.job;

/* Durations */
SELECT i, telehealth.ical_duration(i::interval) FROM unnest(ARRAY['0', '30 min', '1 hour', '1 hour 5 sec', '1 day 02:03:04', '14 days', '-15 min', '-1 day -00:00:01',
	'1 day -1 hour', '-1 day 1 hour', '1.9 sec', '100000 hours', '2147483647 days']) AS i;

/* What is refused */
SELECT * FROM test.try($$SELECT telehealth.ical_duration('1 month')$$);
SELECT * FROM test.try($$SELECT telehealth.vtimezone('Nowhere/City', '2026-01-01Z', '2026-01-02Z')$$);
SELECT * FROM test.try($$SELECT telehealth.vtimezone('UTC', '2026-01-03Z', '2026-01-02Z')$$);
SELECT w.start, w.until, t.state, t.message, t.hint FROM (VALUES ('-infinity', '2026-01-02Z'), ('infinity', 'infinity'), ('-infinity', 'infinity'), ('2026-01-02Z', '-infinity')) AS w (start, until),
	test.try(format('SELECT telehealth.vtimezone(%L, %L, %L)', 'UTC', w.start, w.until)) AS t;
/* No rule of POSIX is a zone, and not the machine's own; names are those that rows may have */
SELECT z.name, t.state, v.state AS in_event FROM unnest('{EST5EDT,Etc/GMT+5,ABC+3,UTC-11,EST5EDT4,localtime,posix/UTC}'::text[]) AS z (name),
	test.try(format('SELECT telehealth.vtimezone(%L, %L, %L)', z.name, '2026-01-02Z', '2026-01-03Z')) AS t,
	test.try(format('SELECT telehealth.vcalendar(telehealth.vevent(%L, %L, %L, timezone => %L))', 'u', '2026-01-05Z', '2026-01-06Z', z.name)) AS v;
SELECT c, t.* FROM unnest(ARRAY[$$NULL, '2026-01-05Z', '2026-01-06Z'$$, $$'u', NULL, '2026-01-06Z'$$, $$'u', '2026-01-05Z', NULL$$,
	$$'u', '2026-01-05Z', '2026-01-04Z'$$, $$'u', '2026-01-05Z', 'infinity'$$, $$'u', '2026-01-05Z', '2026-01-06Z', status => 'confirmed'$$,
	$$'u', '2026-01-05Z', '2026-01-06Z', class => 'x'$$, $$'u', '2026-01-05Z', '2026-01-06Z', transparency => 'x'$$,
	$$'u', '2026-01-05Z', '2026-01-06Z', timezone => 'Europe/Berlin;X=1'$$, $$'u', '2026-01-05Z', '2026-01-06Z', rrule => 'FREQ=DAILY;COUNT'$$,
	$$'u', '2026-01-05Z', '2026-01-06Z', rrule => E'FREQ=DAILY\r\nX:1'$$, $$'u', '2026-01-05Z', '2026-01-06Z', rrule => 'COUNT=1'$$,
	$$'u', '2026-01-05Z', '2026-01-06Z', attendees => '{"a": 1}'$$, $$'u', '2026-01-05Z', '2026-01-06Z', attendees => '[{"name": "x"}]'$$,
	$$'u', '2026-01-05Z', '2026-01-06Z', attendees => '[{"address": "x", "role": "A;CN=q"}]'$$,
	$$'u', '2026-01-05Z', '2026-01-06Z', color => E'red\r\nX:1'$$, $$'u', '2026-01-05Z', '2026-01-06Z', color => ''$$,
	$$'u', '2026-01-05Z', '2026-01-06Z', alarms => '{1 month}'$$, $$'u', '2026-01-05Z', '2026-01-06Z', exdates => '{infinity}'$$]) AS c,
	LATERAL test.try('SELECT telehealth.vcalendar(telehealth.vevent(' || c || '))') AS t;
SELECT c, t.* FROM unnest(ARRAY['{"method": "publish"}', '{"nmae": "x"}', '{"kind": "x"}', '{"refresh": "1 month"}', '{"name": 1}', '{"color": "#fff"}', '[]', '{"refresh": "soon"}']) AS c,
	LATERAL test.try(format('SELECT telehealth.vcalendar(telehealth.vevent(%L, %L, %L), %L)', 'u', '2026-01-05Z', '2026-01-06Z', c)) AS t;

/* The ends of time */
SELECT line FROM test.ics((SELECT telehealth.vcalendar(telehealth.vevent(n || '@x', s::timestamptz, s::timestamptz, timezone => z, is_all_day => d) ORDER BY n)
FROM (VALUES (1, '4000-01-01 BC', 'Europe/Berlin', false), (2, '0001-01-01 00:00Z', 'Asia/Tokyo', true), (3, '9999-12-31 23:59Z', 'Asia/Tokyo', false),
	(4, '290000-01-01', 'Europe/Berlin', true)) AS v (n, s, z, d))) AS line WHERE line ~ '^(DT[SE][TN]|TZID)';
/* Many rows, in parallel where the server likes to: the same bytes */
CREATE TABLE test.event (n integer, e telehealth.vevent);
INSERT INTO test.event SELECT n, telehealth.vevent(n || '@x', '2026-01-01Z'::timestamptz + n * interval '1 hour', '2026-01-01Z'::timestamptz + n * interval '1 hour',
	repeat('x', n % 100), timezone => (ARRAY['Europe/Berlin', 'America/New_York', NULL])[n % 3 + 1]) FROM generate_series(1, 5000) AS n;
ANALYZE test.event;
SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
SELECT md5(telehealth.vcalendar(e ORDER BY n)) AS hash FROM test.event \gset
SET max_parallel_workers_per_gather = 0;
SELECT md5(telehealth.vcalendar(e ORDER BY n)) = :'hash' AS same FROM test.event;
RESET max_parallel_workers_per_gather; RESET min_parallel_table_scan_size; RESET parallel_setup_cost; RESET parallel_tuple_cost;
DROP TABLE test.event;
RESET timezone;
