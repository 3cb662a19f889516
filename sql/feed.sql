/* Feeds: making them, what they show, and who may. Times are relative to now and cut out of what is printed. */

SET telehealth.clinic_id = 70;
INSERT INTO telehealth.provider (id, timezone) VALUES (1, 'America/New_York'), (2, NULL);
INSERT INTO telehealth.patient (id, display_name) VALUES (1, 'Zoe Feedname');

/* A feed's bytes, with what differs from run to run cut out; NULL if the token is refused */
CREATE FUNCTION test.feed(token text) RETURNS text LANGUAGE sql
	RETURN replace(regexp_replace(telehealth.feed_ics(token), '[0-9]{8}T[0-9]{6}Z?', '(time)', 'g'), E'\r', '');
/* The properties of one kind in a feed */
CREATE FUNCTION test.lines(token text, name text) RETURNS SETOF text LANGUAGE sql
	RETURN regexp_replace((regexp_matches(replace(telehealth.feed_ics(token), E'\r\n ', ''), '(?:^|\n)(' || name || '[;:][^\r]*)', 'g'))[1], '[0-9]{8}T[0-9]{6}Z?', '(time)');

/* ---- making */

SELECT f.feed_id IS NOT NULL AS made, f.token ~ '^[0-9a-f]{64}$' AS is_token, f.feed_url, f.webcal_url
FROM telehealth.create_feed(1, 'Dr. One') AS f;
SET telehealth.public_url = 'https://clinic.example:8443/th/';
SELECT replace(f.feed_url, f.token, '(token)') AS feed_url, replace(f.webcal_url, f.token, '(token)') AS webcal_url
FROM telehealth.create_feed(1, 'Dr. One') AS f;
SELECT u.url, t.state, t.detail FROM unnest(ARRAY['', 'http://10.0.0.1', 'clinic.example', 'ftp://x', 'https://', 'https:///x', 'https://x/?y', 'https://a b', 'https://u@x', 'http://x/"y']) AS u (url),
	test.try(format('SET LOCAL telehealth.public_url = %L', u.url)) AS t;
SELECT t.state, t.message, t.hint FROM unnest(ARRAY[
	$$SELECT telehealth.create_feed(NULL, 'x')$$,
	$$SELECT telehealth.create_feed(1, NULL)$$,
	$$SELECT telehealth.create_feed(1, 'x', kind => NULL)$$,
	$$SELECT telehealth.create_feed(1, ' ')$$,
	$$SELECT telehealth.create_feed(1, repeat('x', 201))$$,
	$$SELECT telehealth.create_feed(1, 'x', sync_range_days => 0)$$,
	$$SELECT telehealth.create_feed(1, 'x', sync_range_days => 3661)$$,
	$$SELECT telehealth.create_feed(1, 'x', kind => 'public')$$,
	$$SELECT telehealth.create_feed(1, 'x', true, kind => 'shared')$$,
	$$SELECT telehealth.rotate_feed(999)$$,
	$$SELECT telehealth.revoke_feed(999)$$,
	$$SELECT telehealth.feed_ics('0000000000000000000000000000000000000000000000000000000000000000')$$,
	$$SELECT telehealth.feed_ics('')$$]) AS c,
	test.try(c) AS t;
SELECT name, kind, include_patient_names, include_meeting_links, sync_range_days, is_active, access_count, octet_length(token_hash) FROM telehealth.feed WHERE clinic_id = 70 ORDER BY id;
DELETE FROM telehealth.feed WHERE clinic_id = 70;

/* ---- what it shows */

INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, status, starts_at, title, reason, location, join_url) VALUES
	(1, 1, 1, 'VIDEO', 'SCHEDULED', now() + interval '1 day', 'Knee', 'pain', NULL, 'https://video.example/j/1'),
	(2, 1, 1, 'IN_PERSON', 'PENDING', now() + interval '2 days', NULL, NULL, 'Room 5; 2nd floor', NULL),
	(3, 1, 1, 'PHONE', 'NO_SHOW', now() - interval '3 days', NULL, NULL, NULL, NULL),
	(4, 1, 1, 'VIDEO', 'SCHEDULED', now() + interval '91 days', NULL, NULL, NULL, NULL),
	(5, 1, 1, 'VIDEO', 'COMPLETED', now() - interval '91 days', NULL, NULL, NULL, NULL),
	(6, 1, 2, 'VIDEO', 'SCHEDULED', now() + interval '4 days', 'another provider''s', NULL, NULL, NULL);
CREATE TEMP TABLE feed AS
	SELECT u.name, f.feed_id, f.token FROM (VALUES
		('plain', false, true, 90, 'owner'), ('names', true, true, 90, 'owner'), ('no links', false, false, 90, 'owner'),
		('long', false, true, 100, 'owner'), ('shared', false, true, 90, 'shared')) AS u (name, names, links, days, kind),
		telehealth.create_feed(1, u.name, u.names, u.links, u.days, u.kind) AS f;
CREATE FUNCTION test.token(name text) RETURNS text LANGUAGE sql RETURN (SELECT f.token FROM feed AS f WHERE f.name = token.name);

SELECT bool_and(s.token_hash = sha256(convert_to(f.token, 'UTF8'))) AS is_digest FROM feed AS f JOIN telehealth.feed AS s ON s.clinic_id = 70 AND s.id = f.feed_id;
SELECT f.name, test.lines(f.token, 'UID') FROM feed AS f WHERE f.name IN ('plain', 'long', 'shared');
SELECT f.name, test.lines(f.token, 'SUMMARY') FROM feed AS f;
SELECT f.name, test.lines(f.token, '(?:URL|CONFERENCE|LOCATION|DESCRIPTION)') FROM feed AS f;
SELECT f.name, test.lines(f.token, '(?:STATUS|TRANSP|CLASS)') FROM feed AS f WHERE f.name IN ('plain', 'shared');
SELECT test.lines(test.token('plain'), '(?:METHOD|NAME|X-WR-CALNAME|REFRESH-INTERVAL|X-PUBLISHED-TTL)');
SELECT DISTINCT test.lines(test.token('plain'), 'DTSTART');
/* Without a zone of its provider or clinic it is in UTC */
SELECT test.lines(f.token, '(?:DTSTART|TZID)') FROM telehealth.create_feed(2, 'UTC') AS f;
INSERT INTO telehealth.clinic (id, timezone) VALUES (70, 'Asia/Tokyo');
SELECT test.lines(f.token, '(?:DTSTART|TZID)') FROM telehealth.create_feed(2, 'Tokyo') AS f;

/* The provider's goes before the clinic's */
SELECT DISTINCT test.lines(test.token('plain'), 'DTSTART') ORDER BY 1;

/* The feed of whoever, whatever the connection's clinic is */
SET telehealth.clinic_id = 1;
SELECT count(*) FROM test.lines(test.token('plain'), 'UID');
SET telehealth.clinic_id = 70;

/* Names: the feed says so and the policy allows it, both */
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('feed', 'patient_name', true);
SELECT f.name, test.lines(f.token, 'SUMMARY') FROM feed AS f WHERE f.name IN ('plain', 'names', 'shared');
SELECT count(*) FROM feed AS f WHERE f.name <> 'names' AND telehealth.feed_ics(f.token) ~ 'Zoe|Feedname';
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('feed', 'title', true), ('feed', 'reason', true), ('feed', 'join_url', false), ('feed', 'location', false);
SELECT f.name, test.lines(f.token, '(?:SUMMARY|URL|LOCATION|DESCRIPTION)') FROM feed AS f WHERE f.name IN ('plain', 'shared');
DELETE FROM telehealth.disclosure_policy WHERE clinic_id = 70;

/* ---- the same content is the same bytes; a change is a change */

CREATE TEMP TABLE seen AS SELECT f.name, telehealth.feed_ics(f.token) AS ics FROM feed AS f;
SELECT bool_and(s.ics = telehealth.feed_ics(f.token)) AS same FROM feed AS f JOIN seen AS s USING (name);
UPDATE telehealth.appointment SET title = title, duration = duration WHERE clinic_id = 70;
SELECT bool_and(s.ics = telehealth.feed_ics(f.token)) AS same FROM feed AS f JOIN seen AS s USING (name);
UPDATE telehealth.appointment SET duration = 45 WHERE clinic_id = 70 AND id = 1;
SELECT bool_or(s.ics = telehealth.feed_ics(f.token)) AS same FROM feed AS f JOIN seen AS s USING (name);
SELECT test.lines(test.token('plain'), '(?:SEQUENCE|UID)');

/* Times of the row, never of the clock */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, created_at, updated_at)
VALUES (9, 1, 1, 'PHONE', now() + interval '9 days', '2020-01-01 12:00+00', '2020-01-02 12:00+00');
SELECT m[1] FROM regexp_matches(telehealth.feed_ics(test.token('plain')), '((?:DTSTAMP|CREATED|LAST-MODIFIED):2020[^\r]*)', 'g') AS m;
UPDATE telehealth.appointment SET title = title, duration = duration WHERE clinic_id = 70 AND id = 9;
SELECT count(*) FROM regexp_matches(telehealth.feed_ics(test.token('plain')), '(?:DTSTAMP|LAST-MODIFIED):20200102T', 'g') AS still_so;
DELETE FROM telehealth.appointment WHERE clinic_id = 70 AND id = 9;

/* ---- cancelled: for 30 days, counted from the cancellation; in hours, since days differ where clocks change */

UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE clinic_id = 70 AND id = 1;
SELECT cancelled_at = updated_at AS kept FROM telehealth.appointment WHERE clinic_id = 70 AND id = 1;
SELECT f.name, test.lines(f.token, '(?:SUMMARY|STATUS|URL|SEQUENCE|TRANSP)') FROM feed AS f WHERE f.name IN ('plain', 'shared');
UPDATE telehealth.appointment SET reason = 'late' WHERE clinic_id = 70 AND id = 1;
SELECT cancelled_at IS NOT NULL AS kept FROM telehealth.appointment WHERE clinic_id = 70 AND id = 1;
UPDATE telehealth.appointment SET cancelled_at = now() - interval '719 hours' WHERE clinic_id = 70 AND id = 1;
SELECT test.lines(test.token('plain'), 'UID') LIKE '%-1.%' AS is_first;
UPDATE telehealth.appointment SET cancelled_at = now() - interval '720 hours 1 second' WHERE clinic_id = 70 AND id = 1;
SELECT test.lines(test.token('plain'), 'UID') LIKE '%-1.%' AS is_first;
UPDATE telehealth.appointment SET status = 'CONFIRMED' WHERE clinic_id = 70 AND id = 1;
SELECT cancelled_at FROM telehealth.appointment WHERE clinic_id = 70 AND id = 1;
SELECT test.lines(test.token('plain'), 'UID') LIKE '%-1.%' AS is_first;
/* Inserted as cancelled */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, status, starts_at, created_at) VALUES
	(7, 1, 1, 'PHONE', 'CANCELLED', now() + interval '5 days', now()),
	(8, 1, 1, 'PHONE', 'CANCELLED', now() + interval '6 days', now() - interval '31 days');
SELECT test.lines(test.token('plain'), 'UID');
DELETE FROM telehealth.appointment WHERE clinic_id = 70 AND id IN (7, 8);

/* The range begins within a visit, or just after one; another provider's and another clinic's are not in it */
INSERT INTO telehealth.appointment (clinic_id, id, patient_id, provider_id, type, status, starts_at) VALUES
	(70, 9, 1, 1, 'PHONE', 'COMPLETED', now() - interval '2160 hours 5 minutes'),
	(70, 10, 1, 1, 'PHONE', 'COMPLETED', now() - interval '2160 hours 40 minutes'),
	(70, 11, 1, 1, 'PHONE', 'SCHEDULED', now() + interval '2159 hours 55 minutes'),
	(70, 12, 1, 1, 'PHONE', 'SCHEDULED', now() + interval '2160 hours 40 minutes'),
	(71, 13, 1, 1, 'PHONE', 'SCHEDULED', now() + interval '10 hours');
SELECT f.name, string_agg(u.id::text, ' ' ORDER BY u.id) FROM feed AS f, LATERAL (SELECT substring(l.line FROM 'appointment-([0-9]+)')::integer AS id
	FROM test.lines(f.token, 'UID') AS l (line)) AS u WHERE f.name IN ('plain', 'long') AND u.id > 8 GROUP BY f.name ORDER BY f.name;
DELETE FROM telehealth.appointment WHERE clinic_id IN (70, 71) AND id BETWEEN 9 AND 13;

/* ---- another token, none */

CREATE TEMP TABLE rotated AS SELECT f.feed_id, f.token AS old, n.* FROM feed AS f, telehealth.rotate_feed(f.feed_id) AS n WHERE f.name = 'plain';
SELECT old <> token AS differs, feed_url = format('https://clinic.example:8443/th/api/calendar/ical/%s.ics', token) AS is_linked FROM rotated;
SELECT t.state, t.message FROM rotated AS r, test.try(format('SELECT telehealth.feed_ics(%L)', r.old)) AS t;
SELECT telehealth.feed_ics(token) ~ '^BEGIN:VCALENDAR' AS is_read FROM rotated;
SELECT telehealth.revoke_feed(feed_id), telehealth.revoke_feed(feed_id) FROM rotated;
SELECT t.state, t.message, t.detail, t.hint FROM rotated AS r, test.try(format('SELECT telehealth.feed_ics(%L)', r.token)) AS t;
SELECT t.state, regexp_replace(t.message, '[0-9]+', '(id)'), t.hint FROM rotated AS r, test.try(format('SELECT telehealth.rotate_feed(%s)', r.feed_id)) AS t;
SELECT is_active FROM telehealth.feed AS f JOIN rotated AS r ON r.feed_id = f.id WHERE f.clinic_id = 70;
SELECT action, object, detail FROM telehealth.audit_log WHERE clinic_id = 70 AND object = 'feed' ORDER BY id DESC LIMIT 3;

/* ---- who may: the clinic's own applications */

CREATE ROLE feed_app;
CREATE ROLE feed_other;
CREATE ROLE feed_reader;
SELECT telehealth.grant_role('feed_app', 'app', 70), telehealth.grant_role('feed_other', 'app', 1), telehealth.grant_role('feed_reader', 'reader', 70);
CREATE TEMP TABLE token AS SELECT f.token FROM feed AS f WHERE f.name = 'names';
GRANT SELECT ON token TO PUBLIC;
GRANT USAGE ON SCHEMA test TO PUBLIC;
SET ROLE feed_app;
SELECT telehealth.feed_ics(token) ~ 'BEGIN:VEVENT' AS is_read FROM token;
SELECT count(*) > 0 AS sees, count(*) FILTER (WHERE clinic_id <> 70) AS others FROM telehealth.feed;
SELECT state FROM test.try('UPDATE telehealth.feed SET is_active = true');
SET telehealth.clinic_id = 1;
SELECT telehealth.feed_ics(token) ~ 'BEGIN:VEVENT' AS is_read FROM token;
SELECT state FROM test.try($$SELECT telehealth.create_feed(1, 'x')$$);
RESET ROLE;
SET ROLE feed_other;
SELECT t.state, t.message FROM token, test.try(format('SELECT telehealth.feed_ics(%L)', token)) AS t;
RESET ROLE;
SET ROLE feed_reader;
SELECT t.state FROM token, test.try(format('SELECT telehealth.feed_ics(%L)', token)) AS t;
SELECT telehealth.feed_qr('https://clinic.example') LIKE '<svg %' AS is_drawn;
RESET ROLE;
SET telehealth.clinic_id = 70;

/* In a transaction that may not write */
BEGIN TRANSACTION READ ONLY;
SELECT telehealth.feed_ics(token) ~ 'BEGIN:VEVENT' AS is_read FROM token;
COMMIT;

/* ---- the code: version 1 has 21 modules a side, 8 more for the margin */

SELECT telehealth.feed_qr('https://x.example') AS svg;
SELECT state, message FROM test.try($$SELECT telehealth.feed_qr('')$$);
SELECT state, message FROM test.try($$SELECT telehealth.feed_qr(repeat('x', 3000))$$);
SELECT state, message FROM test.try($$SELECT telehealth.feed_qr(repeat('x', 2400))$$);
SELECT length(telehealth.feed_qr(repeat('x', 2300))) > 10000 AS is_drawn;
SELECT telehealth.feed_qr(NULL) IS NULL AS none, telehealth.feed_ics(NULL) IS NULL AS nothing;

SELECT telehealth.revoke_role('feed_app', 'app', 70), telehealth.revoke_role('feed_other', 'app', 1), telehealth.revoke_role('feed_reader', 'reader', 70);
DROP ROLE feed_app;
DROP ROLE feed_other;
DROP ROLE feed_reader;
RESET telehealth.clinic_id;
RESET telehealth.public_url;
