/* Recurring visits: what a series makes, how it and its visits are changed. */

SET timezone = 'UTC';
DELETE FROM telehealth_private.job;

/* Days are far away, so that no clock matters: the horizon is moved there. */
CREATE FUNCTION test.unfold(series bigint, until date) RETURNS integer
	LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE telehealth.appointment_series AS s SET expanded_until = until WHERE s.id = series;
	RETURN telehealth.refresh_series(series);
END
$$;
CREATE VIEW test.visit AS
	SELECT a.series_id AS s, a.id, a.occurrence, a.starts_at, a.local_start, a.duration, a.provider_id AS provider, a.status,
		a.is_exception AS is_exc
	FROM telehealth.appointment AS a WHERE a.series_id IS NOT NULL;
SELECT setval('telehealth.appointment_id_seq', 5000);

/* Rules */
SELECT rule, telehealth_private.is_rule(rule) FROM unnest('{
	FREQ=WEEKLY, FREQ=DAILY;INTERVAL=2;COUNT=5, FREQ=MONTHLY;BYDAY=-1FR, FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29,
	FREQ=WEEKLY;UNTIL=21300201, FREQ=WEEKLY;UNTIL=21300201T100000Z, "", x, BYDAY=MO, FREQ=HOURLY, FREQ=SECONDLY,
	FREQ=DAILY;BYHOUR=1, FREQ=WEEKLY;COUNT=0, FREQ=WEEKLY;COUNT=-1, FREQ=WEEKLY;COUNT=2;UNTIL=21300201, FREQ=WEEKLY;INTERVAL=0,
	FREQ=WEEKLY;FOO=1, RSCALE=CHINESE;FREQ=YEARLY, freq=weekly, FREQ=WEEKLY;BYDAY=XX, FREQ=WEEKLY;UNTIL=x,
	FREQ=WEEKLY;BYMONTHDAY=1, FREQ=MONTHLY;BYYEARDAY=1, FREQ=MONTHLY;BYWEEKNO=1, FREQ=WEEKLY;BYDAY=1MO, FREQ=DAILY;BYSETPOS=1,
	FREQ=DAILY;FREQ=DAILY, FREQ=DAILY;, FREQ=DAILY;COUNT=+3, FREQ=DAILY;INTERVAL=1000001, FREQ=YEARLY;BYWEEKNO=20;BYSETPOS=-1}'::text[]) AS r (rule);
SELECT telehealth_private.is_rule('FREQ=DAILY;BYMONTHDAY=' || repeat('1,', 400) || '1');
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment_series (patient_id, provider_id, type, rule, first_date, start_time, timezone)
	VALUES (1, 50, 'VIDEO', 'FREQ=HOURLY', '2130-01-02', '09:00', 'UTC')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment_series (patient_id, provider_id, type, rule, first_date, start_time, timezone)
	VALUES (1, 50, 'VIDEO', 'FREQ=WEEKLY', '2130-01-02', '09:00', 'Mars/Base')$$);

/* Days of rules */
SELECT r.rule, array_agg(d.occurrence ORDER BY d.occurrence) FROM unnest('{
	FREQ=WEEKLY, FREQ=WEEKLY;COUNT=3, FREQ=WEEKLY;UNTIL=21300123, FREQ=WEEKLY;UNTIL=21300123T085959, FREQ=WEEKLY;UNTIL=21300123T080000Z,
	FREQ=WEEKLY;UNTIL=21300123T075959Z, "FREQ=WEEKLY;BYDAY=TU,TH;COUNT=3", FREQ=MONTHLY;BYDAY=-1FR, FREQ=MONTHLY;BYMONTHDAY=31,
	FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30}'::text[]) AS r (rule)
LEFT JOIN LATERAL telehealth_private.series_days(r.rule, '2130-01-02', '09:00', 'Europe/Berlin', '2130-01-01', '2130-06-01', 5) AS d ON true
GROUP BY r.rule ORDER BY r.rule COLLATE "C";
SELECT count(*) FROM telehealth_private.series_days('FREQ=DAILY', '2130-01-02', '09:00', 'UTC', '-infinity', 'infinity', 100000);

/* T1: what clocks skip is read with the offset before; of what they show twice the first is meant */
SELECT z.zone, w.wall, telehealth_private.instant_of(w.wall::timestamp, z.zone) FROM (VALUES
	('Europe/Berlin', '2026-03-29 02:30'), ('Europe/Berlin', '2026-10-25 02:30'), ('Europe/Berlin', '2026-10-25 03:00'),
	('America/New_York', '2026-03-08 02:30'), ('America/New_York', '2026-11-01 01:30'), ('America/New_York', '2026-11-01 02:00'),
	('Australia/Lord_Howe', '2026-04-05 01:45'), ('Australia/Lord_Howe', '2026-10-04 02:15'),
	('Pacific/Apia', '2011-12-30 10:00'), ('Asia/Kolkata', '2026-10-25 02:30')) AS v (zone, wall),
	LATERAL (SELECT v.zone) AS z, LATERAL (SELECT v.wall) AS w;
SELECT state, message FROM test.try($$SELECT telehealth_private.instant_of('infinity', 'UTC')$$);
SELECT state, message FROM test.try($$SELECT telehealth_private.instant_of('2026-01-01', 'Mars/Base')$$);

/* A series beyond its horizon has no visits yet, and is looked at when the horizon reaches it */
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone, title)
VALUES (1, 20, 50, 'VIDEO', 'FREQ=WEEKLY;COUNT=6', '2130-03-06', '09:00', 'America/New_York', 'therapy')
RETURNING clinic_id, duration, horizon_days, revision, exceptions, conflicts;
SELECT count(*) FROM test.visit;
SELECT kind, subject_id, due_at FROM telehealth_private.job;

/* T1: weekly 09:00 stays 09:00 */
SELECT test.unfold(1, '2130-12-31');
SELECT * FROM test.visit WHERE s = 1 ORDER BY occurrence;
SELECT count(*) FROM telehealth_private.job WHERE kind = 'meeting';
SELECT * FROM telehealth.tz_drift;
SELECT test.unfold(1, '2130-12-31');
SELECT sequence, count(*) FROM telehealth.appointment WHERE series_id = 1 GROUP BY sequence;

/* One visit: moved it is an exception, cancelled too; renamed after a link came it is not */
UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 hour' WHERE series_id = 1 AND occurrence = '2130-03-13';
UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE series_id = 1 AND occurrence = '2130-03-20';
UPDATE telehealth.appointment SET join_url = 'https://example.org/j/1', status = 'CONFIRMED' WHERE series_id = 1 AND occurrence = '2130-03-27';
SELECT * FROM test.visit WHERE s = 1 ORDER BY occurrence;

/* Deleted it is an exception date */
DELETE FROM telehealth.appointment WHERE series_id = 1 AND occurrence = '2130-04-03';
SELECT exceptions FROM telehealth.appointment_series WHERE id = 1;

/* All: what was not changed by itself follows and keeps its number */
UPDATE telehealth.appointment_series SET start_time = '10:30', duration = 45 WHERE id = 1;
SELECT * FROM test.visit WHERE s = 1 ORDER BY occurrence;
UPDATE telehealth.appointment_series SET rule = 'FREQ=WEEKLY;BYDAY=MO,TU;COUNT=6' WHERE id = 1;
SELECT * FROM test.visit WHERE s = 1 ORDER BY occurrence;
SELECT exceptions FROM telehealth.appointment_series WHERE id = 1;
UPDATE telehealth.appointment_series SET exceptions = exceptions || '{2130-03-07}' WHERE id = 1;
SELECT * FROM test.visit WHERE s = 1 ORDER BY occurrence;

/* Conflicts are left out and listed, and made when there is room */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES
	(4001, 30, 51, 'PHONE', '2130-01-09 09:10+00'), (4002, 30, 51, 'PHONE', '2130-01-23 10:10+00');
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone)
VALUES (2, 20, 51, 'IN_PERSON', 'FREQ=WEEKLY', '2130-01-02', '09:00', 'UTC');
SELECT test.unfold(2, '2130-02-01');
SELECT * FROM test.visit WHERE s = 2 ORDER BY occurrence;
SELECT * FROM telehealth.series_conflict;
UPDATE telehealth.appointment_series SET start_time = '10:00' WHERE id = 2;
SELECT * FROM test.visit WHERE s = 2 ORDER BY occurrence;
SELECT * FROM telehealth.series_conflict;
DELETE FROM telehealth.appointment WHERE id = 4002;
SELECT telehealth.refresh_series(2);
SELECT * FROM telehealth.series_conflict;

/* Visits do not stand in each other's way when they move */
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone, duration)
VALUES (3, 20, 52, 'IN_PERSON', 'FREQ=DAILY;COUNT=4', '2130-01-02', '00:00', 'UTC', 1440);
SELECT test.unfold(3, '2130-02-01');
SELECT array_agg(id ORDER BY id) AS before FROM test.visit WHERE s = 3 \gset
UPDATE telehealth.appointment_series SET start_time = '12:00' WHERE id = 3;
SELECT array_agg(id ORDER BY id) = :'before' AS kept FROM test.visit WHERE s = 3;
SELECT * FROM telehealth.series_conflict;
UPDATE telehealth.appointment_series SET start_time = '06:00' WHERE id = 3;
SELECT array_agg(id ORDER BY id) = :'before' AS kept FROM test.visit WHERE s = 3;
SELECT * FROM test.visit WHERE s = 3 ORDER BY occurrence;

/* This and following */
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone, exceptions)
VALUES (4, 20, 53, 'VIDEO', 'FREQ=WEEKLY;COUNT=5', '2130-01-02', '09:00', 'Europe/Paris', '{2130-01-23}');
SELECT test.unfold(4, '2130-12-31');
SELECT array_agg(id ORDER BY id) AS before FROM test.visit WHERE s = 4 \gset
SELECT setval('telehealth.appointment_series_id_seq', 100);
SELECT telehealth.split_series(4, '2130-01-12', '{"start_time": "14:00", "provider_id": 54, "title": "later"}');
SELECT id, rule, first_date, start_time, provider_id, exceptions, title FROM telehealth.appointment_series WHERE id IN (4, 101) ORDER BY id;
SELECT * FROM test.visit WHERE s IN (4, 101) ORDER BY occurrence;
SELECT array_agg(id ORDER BY id) = :'before' AS kept FROM test.visit WHERE s IN (4, 101);
SELECT telehealth.split_series(101, '2130-01-20', '{"rule": "FREQ=WEEKLY;BYDAY=FR;COUNT=2"}');
SELECT * FROM test.visit WHERE s IN (4, 101, 102) ORDER BY occurrence;
SELECT state, message FROM test.try($$SELECT telehealth.split_series(4, '2131-01-01')$$);
SELECT state, message, hint FROM test.try($$SELECT telehealth.split_series(4, '2130-01-02')$$);
SELECT state, message, hint FROM test.try($$SELECT telehealth.split_series(4, '1999-01-01', '{"duration": 10}')$$);
SELECT state, message FROM test.try($$SELECT telehealth.split_series(9999, '2131-01-01')$$);
SELECT state, message FROM test.try($$SELECT telehealth.split_series(4, '2130-01-02', '{"clinic_id": 2}')$$);
SELECT state, message FROM test.try($$SELECT telehealth.split_series(4, '2130-01-02', '[]')$$);
SELECT state, message FROM test.try($$SELECT telehealth.refresh_series(9999)$$);
SELECT d.day, t.state, t.message FROM unnest('{infinity,5874897-12-31,10000-01-01}'::date[]) AS d (day),
	test.try(format('SELECT telehealth.split_series(4, %L)', d.day)) AS t;
/* Nothing of the row in what is said of it */
SELECT c.changes, t.state, t.message, t.detail FROM unnest('{"{\"duration\": 0}","{\"rule\": \"FREQ=HOURLY\"}","{\"patient_id\": null}","{\"first_date\": \"1066-10-14\"}"}'::text[]) AS c (changes),
	test.try(format('SELECT telehealth.split_series(4, %L, %L)', '2130-01-05', c.changes)) AS t;
/* What an application writes there must not stop the dispatcher later */
SELECT c.name, t.state, t.message FROM (VALUES ('expanded_until', 'infinity'), ('expanded_until', '5874897-12-31'), ('expanded_until', '-infinity'),
	('conflicts', '{NULL}'), ('conflicts', array_fill('2130-01-01'::date, ARRAY[2001])::text)) AS c (name, value),
	test.try(format('INSERT INTO telehealth.appointment_series (patient_id, provider_id, type, rule, first_date, start_time, timezone, %I)
		VALUES (20, 59, %L, %L, %L, %L, %L, %L)', c.name, 'PHONE', 'FREQ=DAILY', '2130-01-01', '09:00', 'UTC', c.value)) AS t;

/* A series goes with its visits to come; what a dump brings is not made again */
DELETE FROM telehealth.appointment_series WHERE id = 2;
SELECT count(*) FROM test.visit WHERE s = 2;
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone, expanded_until)
VALUES (5, 20, 55, 'VIDEO', 'FREQ=DAILY', current_date, '09:00', 'UTC', current_date + 90);
SELECT count(*) FROM test.visit WHERE s = 5;
SET telehealth.restoring = on;
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone)
VALUES (6, 20, 55, 'VIDEO', 'FREQ=DAILY', current_date, '09:00', 'UTC');
SELECT count(*) FROM test.visit WHERE s = 6;
RESET telehealth.restoring;

/* What has begun stays as it was, whatever becomes of its series */
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone)
VALUES (10, 20, 61, 'IN_PERSON', 'FREQ=WEEKLY;COUNT=4', '2130-01-02', '09:00', 'UTC');
SELECT test.unfold(10, '2130-12-31');
SET telehealth.restoring = on;
UPDATE telehealth.appointment_series SET start_time = '18:00', revision = revision + 1 WHERE id = 10;
RESET telehealth.restoring;
SELECT telehealth_private.expand_series(1, 10, '2130-01-09 12:00+00', true);
SELECT occurrence, starts_at, is_exc FROM test.visit WHERE s = 10 ORDER BY occurrence;
SET telehealth.restoring = on;
UPDATE telehealth.appointment_series SET rule = 'FREQ=WEEKLY;BYDAY=FR;COUNT=4', revision = revision + 1 WHERE id = 10;
RESET telehealth.restoring;
SELECT telehealth_private.expand_series(1, 10, '2130-01-09 12:00+00', true);
SELECT occurrence, starts_at, is_exc FROM test.visit WHERE s = 10 ORDER BY occurrence;
SELECT telehealth_private.drop_series(1, 10, '2130-01-09 12:00+00');
SELECT occurrence, starts_at, is_exc FROM test.visit WHERE s = 10 ORDER BY occurrence;
DELETE FROM telehealth.appointment_series WHERE id = 10;

/* A conflict is tried again whenever the horizon moves */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (4010, 30, 62, 'PHONE', '2130-01-09 09:10+00');
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone)
VALUES (11, 20, 62, 'IN_PERSON', 'FREQ=WEEKLY;COUNT=3', '2130-01-02', '09:00', 'UTC');
SELECT test.unfold(11, '2130-12-31');
SELECT problem FROM telehealth_private.extend_series('{1}', '{11}', '2130-01-01');
SELECT conflicts FROM telehealth.appointment_series WHERE id = 11;
DELETE FROM telehealth.appointment WHERE id = 4010;
SELECT problem FROM telehealth_private.extend_series('{1}', '{11}', '2130-01-01');
SELECT conflicts FROM telehealth.appointment_series WHERE id = 11;
SELECT occurrence FROM test.visit WHERE s = 11 ORDER BY occurrence;
DELETE FROM telehealth.appointment_series WHERE id = 11;

/* The horizon */
DELETE FROM telehealth_private.job;
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone, horizon_days)
VALUES (7, 20, 56, 'IN_PERSON', 'FREQ=DAILY', current_date - 1000, '09:00', 'UTC', 10);
SELECT count(*) IN (10, 11) AS is_full, max(occurrence) - current_date AS ahead, min(starts_at) > now() AS none_is_past FROM test.visit WHERE s = 7;
SELECT due_at = current_date + 1 AS tomorrow FROM telehealth_private.job WHERE kind = 'series' AND subject_id = 7;
SELECT place, due_at = current_date + 31 AS is_next, problem FROM telehealth_private.extend_series('{1}', '{7}', now() + interval '30 days');
SELECT max(occurrence) - current_date AS ahead FROM test.visit WHERE s = 7;
SELECT place, due_at, problem FROM telehealth_private.extend_series('{1}', '{9999}', now());

/* Who clears away what is over makes no exceptions, of which there are at most 1000 */
INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, series_id, occurrence)
SELECT 20, 56, 'IN_PERSON', current_date - n + time '09:00', 7, current_date - n FROM generate_series(1, 1100) AS n;
DELETE FROM telehealth.appointment WHERE series_id = 7 AND occurrence < current_date;
SELECT exceptions FROM telehealth.appointment_series WHERE id = 7;

/* Days that are past make room for those to come, which have their limit too */
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone, horizon_days, exceptions)
SELECT 9, 20, 60, 'IN_PERSON', 'FREQ=DAILY', current_date - 1000, '09:00', 'UTC', 10, array_agg(current_date - n) FROM generate_series(1, 1000) AS n;
DELETE FROM telehealth.appointment WHERE series_id = 9 AND occurrence = current_date + 3;
SELECT exceptions <@ ARRAY[current_date - 1, current_date + 3], exceptions @> ARRAY[current_date + 3] FROM telehealth.appointment_series WHERE id = 9;
UPDATE telehealth.appointment_series SET exceptions = ARRAY (SELECT current_date + 100 + n FROM generate_series(1, 1000) AS n) WHERE id = 9;
SELECT state, message, hint FROM test.try(format('DELETE FROM telehealth.appointment WHERE series_id = 9 AND occurrence = %L', current_date + 4));
DELETE FROM telehealth.appointment_series WHERE id = 9;

/* T2: the zone's rules change: wall time, zone and instant are there to compare */
UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 hour', local_start = local_start, series_revision = 99
WHERE series_id = 4 AND occurrence = '2130-01-02';
SELECT count(*) FROM telehealth.tz_drift;
ALTER TABLE telehealth.appointment DISABLE TRIGGER appointment_detach;
UPDATE telehealth.appointment SET starts_at = '2130-01-02 09:00+00', local_start = '2130-01-02 09:00' WHERE series_id = 4 AND occurrence = '2130-01-02';
ALTER TABLE telehealth.appointment ENABLE TRIGGER appointment_detach;
SELECT clinic_id, series_id, provider_id, timezone, local_start, starts_at, wanted_at FROM telehealth.tz_drift;
UPDATE telehealth.appointment SET is_exception = false WHERE series_id = 4;
SELECT telehealth.refresh_series(4);
SELECT count(*) FROM telehealth.tz_drift;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, timezone, local_start)
VALUES (4003, 30, 57, 'PHONE', '2130-07-01 09:00+00', 'Europe/Paris', '2130-07-01 09:00');
SELECT appointment_id, local_start, starts_at, wanted_at FROM telehealth.tz_drift;
UPDATE telehealth.appointment SET starts_at = '2130-07-01 07:00+00' WHERE id = 4003 RETURNING local_start;
SELECT count(*) FROM telehealth.tz_drift;
/* The second of what clocks show twice, and what they skip, is no drift */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, timezone, local_start) VALUES
	(4006, 30, 57, 'PHONE', '2130-10-29 01:30+00', 'Europe/Paris', '2130-10-29 02:30'),
	(4007, 30, 57, 'PHONE', '2130-03-26 01:30+00', 'Europe/Paris', '2130-03-26 02:30');
SELECT count(*) FROM telehealth.tz_drift;
DELETE FROM telehealth.appointment WHERE id IN (4006, 4007);
/* One visit that no calendar can have does not hide the others */
UPDATE telehealth.appointment SET local_start = '2130-07-01 10:00' WHERE id = 4003;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, timezone, local_start) VALUES
	(4004, 30, 58, 'PHONE', '294276-12-31 22:00Z', 'Asia/Tokyo', '294276-12-31 22:00'),
	(4005, 30, 58, 'PHONE', '2130-07-01 09:00Z', 'Asia/Tokyo', 'infinity'),
	(4006, 30, 58, 'PHONE', '2130-07-02 09:00Z', 'Asia/Tokyo', '4713-01-01 00:00 BC');
SELECT appointment_id FROM telehealth.tz_drift;
DELETE FROM telehealth.appointment WHERE id BETWEEN 4004 AND 4006;

/* An application of its own clinic */
CREATE ROLE regress_th_series;
SELECT telehealth.grant_role('regress_th_series', 'app', 1);
SET ROLE regress_th_series;
INSERT INTO telehealth.appointment_series (id, patient_id, provider_id, type, rule, first_date, start_time, timezone, horizon_days)
VALUES (8, 20, 58, 'VIDEO', 'FREQ=DAILY', current_date + 1, '09:00', 'UTC', 10);
SELECT count(*) FROM telehealth.appointment WHERE series_id = 8;
DELETE FROM telehealth.appointment WHERE series_id = 8 AND occurrence = current_date + 3;
SELECT telehealth.split_series(8, current_date + 5, '{"duration": 10}') > 0 AS split, telehealth.refresh_series(8);
SELECT count(*) FROM telehealth.series_conflict;
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment_series (clinic_id, patient_id, provider_id, type, rule, first_date, start_time, timezone)
	VALUES (2, 20, 58, 'VIDEO', 'FREQ=DAILY', current_date + 1, '09:00', 'UTC')$$);
DELETE FROM telehealth.appointment_series WHERE id = 8;
RESET ROLE;
SELECT telehealth.revoke_role('regress_th_series', 'app', 1);
DROP ROLE regress_th_series;
DELETE FROM telehealth.appointment_series;
DELETE FROM telehealth.appointment WHERE id > 4000;
DELETE FROM telehealth_private.job;
