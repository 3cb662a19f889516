/* When providers are free: working_hours, is_free(), free_slots(). */

INSERT INTO telehealth.clinic (id, timezone) VALUES (81, 'Europe/Berlin');
INSERT INTO telehealth.provider (clinic_id, id, timezone) VALUES (81, 8100, 'America/New_York');
SET telehealth.clinic_id = 81;
SET timezone = 'UTC';
SET datestyle = 'ISO';

/* The slots in a few words: runs of starts that follow each other by the step. */
CREATE FUNCTION test.slots(provider bigint, window_start timestamptz, window_end timestamptz, duration integer DEFAULT 30, step integer DEFAULT 15, but bigint DEFAULT NULL)
	RETURNS TABLE (first text, last text, n bigint) LANGUAGE sql
AS $$ SELECT to_char(min(s.starts_at), 'Dy MM-DD HH24:MI'), to_char(max(s.starts_at), 'MM-DD HH24:MI'), count(*)
	FROM (SELECT f.starts_at, f.starts_at - row_number() OVER (ORDER BY f.starts_at) * make_interval(mins => $5) AS run
		FROM telehealth.free_slots($1, $2, $3, $4, $5, $6) AS f) AS s
	GROUP BY s.run ORDER BY min(s.starts_at) $$;
CREATE FUNCTION test.free(provider bigint, starts_at timestamptz, duration integer DEFAULT 30, but bigint DEFAULT NULL) RETURNS text LANGUAGE sql
AS $$ SELECT concat_ws(' ', CASE WHEN f.is_free THEN 'free' ELSE 'not free' END, f.reason) FROM telehealth.is_free($1, $2, $3, $4) AS f $$;

/* Without hours a provider is always open; starts are counted from midnight of the provider's zone */
SELECT * FROM test.slots(8100, '2030-01-07 00:00Z', '2030-01-09 00:00Z');
SELECT f.starts_at, f.ends_at, f.as_of = now() AS as_of_now, f.source, f.is_stale
FROM telehealth.free_slots(8100, '2030-01-07 00:05Z', '2030-01-07 01:15Z', step => 20) AS f;
SELECT * FROM test.slots(8199, '2030-01-07 00:00Z', '2030-01-07 01:20Z', 60, 7);
SELECT f.is_free, f.reason, f.as_of = now() AS as_of_now, f.source, f.is_stale FROM telehealth.is_free(8100, '2030-01-07 03:00Z') AS f;

/* Hours of the provider's zone, of the row's, of a while */
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time)
SELECT 8100, d, '09:00', '12:00' FROM generate_series(1, 5) AS d;
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, timezone, valid_from, valid_to)
VALUES (8100, 3, '05:00', '06:00', 'Asia/Kolkata', '2030-01-16', '2030-01-23');
SELECT * FROM test.slots(8100, '2030-01-07 00:00Z', '2030-01-28 00:00Z');
SELECT test.free(8100, '2030-01-07 14:00Z'), test.free(8100, '2030-01-07 13:45Z'), test.free(8100, '2030-01-07 16:30Z'),
	test.free(8100, '2030-01-07 16:31Z'), test.free(8100, '2030-01-07 14:00Z', 180), test.free(8100, '2030-01-07 14:00Z', 181),
	test.free(8100, '2030-01-05 14:00Z');
/* Starts are counted from where the hours begin, wherever the window does; a visit ends inside of both */
SELECT * FROM test.slots(8100, '2030-01-07 14:50Z', '2030-01-07 15:45Z', 20, 20);
SELECT * FROM test.slots(8100, '2030-01-07 15:00Z', '2030-01-07 15:00Z');
SELECT * FROM test.slots(8100, '2030-01-07 16:00Z', '2030-01-07 15:00Z');
/* Hours over midnight are two rows, and no gap; hours that overlap count once */
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, timezone)
VALUES (8101, 1, '22:00', '24:00', 'UTC'), (8101, 2, '00:00', '02:00', 'UTC'), (8101, 2, '01:00', '03:00', 'UTC');
SELECT * FROM test.slots(8101, '2030-01-07 00:00Z', '2030-01-14 00:00Z', 30, 30);
SELECT test.free(8101, '2030-01-07 23:45Z');
/* Rows that have ended do not open again */
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, valid_to) VALUES (8102, 1, '09:00', '17:00', '2029-12-31');
SELECT test.free(8102, '2030-01-07 15:00Z'), (SELECT count(*) FROM telehealth.free_slots(8102, '2030-01-01Z', '2031-01-01Z'));

/* A5: one answer for whatever takes time */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, status, starts_at, duration, held_until, is_overbooked, overbook_reason) VALUES
	(81000001, 1, 8100, 'IN_PERSON', 'CONFIRMED', '2030-01-07 14:30Z', 30, NULL, false, NULL),
	(81000002, 1, 8100, 'VIDEO', 'PENDING', '2030-01-07 15:30Z', 15, '2030-01-01Z', false, NULL),
	(81000003, 1, 8100, 'PHONE', 'CANCELLED', '2030-01-07 16:00Z', 60, NULL, false, NULL),
	(81000004, 1, 8100, 'PHONE', 'SCHEDULED', '2030-01-08 14:30Z', 30, NULL, true, 'asked for'),
	(81000005, 1, 8100, 'PHONE', 'SCHEDULED', '2030-01-08 03:00Z', 1440, NULL, true, 'a long night'),
	(81000006, 1, 8100, 'VIDEO', 'NO_SHOW', '2030-01-09 14:00Z', 180, NULL, false, NULL),
	(81000007, 1, 8100, 'VIDEO', 'COMPLETED', '2030-01-09 14:00Z', 180, NULL, false, NULL);
INSERT INTO telehealth.busy_time (provider_id, source, external_id, during, status) VALUES
	(8100, 'roster', 'a', '[2030-01-10 15:00Z,2030-01-10 15:10Z)', 'BUSY'),
	(8100, 'roster', 'b', '[2030-01-11 14:00Z,2030-01-11 14:30Z]', 'TENTATIVE'),
	(8100, 'roster', 'c', '[2030-01-14 15:00Z,)', 'BUSY'),
	(8100, 'roster', 'd', '(,2029-12-31 15:00Z]', 'BUSY');
SELECT * FROM test.slots(8100, '2029-12-31 00:00Z', '2030-01-28 00:00Z');
SELECT test.free(8100, '2030-01-07 14:00Z'), test.free(8100, '2030-01-07 14:01Z'), test.free(8100, '2030-01-07 15:00Z'),
	test.free(8100, '2030-01-07 15:15Z'), test.free(8100, '2030-01-07 16:00Z'), test.free(8100, '2030-01-08 15:00Z'),
	test.free(8100, '2030-01-10 15:05Z'), test.free(8100, '2030-01-11 14:30Z'), test.free(8100, '2035-01-08 15:00Z');
/* To move a visit, it is as if it were not there */
SELECT test.free(8100, '2030-01-07 14:45Z'), test.free(8100, '2030-01-07 14:45Z', 30, 81000001), test.free(8100, '2030-01-07 14:45Z', 60, 81000001);
SELECT * FROM test.slots(8100, '2030-01-07 00:00Z', '2030-01-08 00:00Z', 60, 60, 81000001);
/* A slot is what the database lets be booked, and nothing that it lets pass otherwise */
SELECT count(*) AS slots, bool_and(f.is_free) AS all_free, bool_and(f.is_free = (s.n IS NOT NULL)) AS the_same
FROM generate_series(timestamptz '2030-01-06 00:00Z', '2030-01-13 00:00Z', '15 minutes') AS t (at)
CROSS JOIN LATERAL telehealth.is_free(8100, t.at) AS f
LEFT JOIN (SELECT 1 AS n, s.starts_at FROM telehealth.free_slots(8100, '2030-01-05Z', '2030-01-14Z') AS s) AS s ON s.starts_at = t.at
WHERE s.n IS NOT NULL OR f.is_free;
BEGIN;
INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration)
SELECT 1, 8100, 'VIDEO', s.starts_at, 15 FROM telehealth.free_slots(8100, '2030-01-05Z', '2030-02-14Z', 15, 15) AS s;
SELECT count(*) FROM telehealth.free_slots(8100, '2030-01-05Z', '2030-02-14Z', 1, 1);
ROLLBACK;

/* T1: 09:00 on the wall is 09:00 in every zone on every day of two years, whatever the clocks do */
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, timezone)
SELECT 1000000 + dense_rank() OVER (ORDER BY z.name), d, '09:00', '17:00', z.name
FROM pg_timezone_names AS z, generate_series(1, 7) AS d
WHERE telehealth_private.is_timezone(z.name);
SELECT count(*) > 300 AS zones, bool_and(n >= 729) AS all_days, bool_and(is_right) AS all_right
FROM (SELECT w.timezone, count(*) AS n, bool_and(telehealth_private.wall_of(h.opens_at, w.timezone)::time = '09:00'
		AND telehealth_private.wall_of(h.closes_at, w.timezone)::time = '17:00') AS is_right
	FROM telehealth.working_hours AS w
	CROSS JOIN LATERAL telehealth_private.open_hours(81, w.provider_id, '2026-01-01Z', '2028-01-01Z', 'UTC') AS h
	WHERE w.provider_id > 1000000 AND w.weekday = 1 GROUP BY w.timezone) AS z;
DELETE FROM telehealth.working_hours WHERE provider_id > 1000000;
/* and what clocks skip or show twice: 02:00 becomes 03:00 on March 31, 03:00 becomes 02:00 on October 27 */
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, timezone) VALUES
	(8103, 7, '02:30', '04:00', 'Europe/Berlin'), (8104, 7, '01:00', '02:30', 'Europe/Berlin'),
	(8105, 7, '02:30', '03:00', 'Europe/Berlin'), (8106, 7, '00:00', '24:00', 'Europe/Berlin');
SELECT h.provider_id, h.from_time, h.to_time, telehealth_private.wall_of(o.opens_at, 'Europe/Berlin') AS local_opens,
	telehealth_private.wall_of(o.closes_at, 'Europe/Berlin') AS local_closes, o.closes_at - o.opens_at AS length
FROM telehealth.working_hours AS h
CROSS JOIN (VALUES (timestamptz '2030-03-31 01:00Z'), ('2030-10-27 01:00Z')) AS v (at)
LEFT JOIN LATERAL telehealth_private.open_hours(81, h.provider_id, v.at, v.at, 'UTC') AS o ON true
WHERE h.provider_id BETWEEN 8103 AND 8106 ORDER BY 1, v.at;
SELECT * FROM test.slots(8106, '2030-03-30 00:00Z', '2030-04-01 12:00Z', 60, 60);
/* A zone whose day has no midnight */
INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, timezone) VALUES
	(8107, 7, '00:00', '02:00', 'Africa/Cairo'), (8107, 5, '00:00', '02:00', 'Africa/Cairo');
SELECT telehealth_private.wall_of(s.starts_at, 'Africa/Cairo') AS local_start FROM telehealth.free_slots(8107, '2026-04-23 12:00Z', '2026-04-24 12:00Z', 30, 30) AS s;

/* A4: whose calendars were read long ago, never, or not that far is told, or closed by setting */
SELECT test.free(8100, now() + interval '1 day') IS NOT NULL AS any, f.source, f.as_of = now() AS is_now, f.is_stale FROM telehealth.is_free(8110, now()) AS f;
CREATE FUNCTION test.told(provider bigint, at timestamptz DEFAULT date_trunc('hour', now() + interval '1 day'))
	RETURNS TABLE (is_free boolean, reason text, age interval, source text, is_stale boolean, slots bigint, stale_slots bigint) LANGUAGE sql
AS $$ SELECT f.is_free, f.reason, date_trunc('minute', now() - f.as_of), f.source, f.is_stale, count(s.*), count(*) FILTER (WHERE s.is_stale)
	FROM telehealth.is_free($1, $2) AS f LEFT JOIN LATERAL telehealth.free_slots($1, $2 - interval '2 hours', $2 + interval '2 hours', 30, 60) AS s ON (s.source, s.as_of) IS NOT DISTINCT FROM (f.source, f.as_of)
	GROUP BY 1, 2, 3, 4, 5 $$;
INSERT INTO telehealth.calendar_connection (id, provider_id, kind, status, last_sync_at) VALUES
	(8101, 8110, 'google', 'CONNECTED', now() - interval '10 minutes'), (8102, 8110, 'caldav', 'PENDING', NULL),
	(8103, 8111, 'google', 'CONNECTED', now() - interval '10 minutes'), (8104, 8111, 'outlook', 'REAUTH_REQUIRED', now() - interval '61 minutes'),
	(8105, 8112, 'outlook', 'CONNECTED', NULL), (8106, 8112, 'google', 'CONNECTED', now()), (8107, 8113, 'google', 'DISCONNECTED', now() - interval '1 year');
SELECT v.provider, t.* FROM generate_series(8110, 8113) AS v (provider) CROSS JOIN LATERAL test.told(v.provider) AS t ORDER BY 1;
UPDATE telehealth.calendar_connection SET sync_direction = 'push' WHERE id = 8104;
SELECT * FROM test.told(8111);
UPDATE telehealth.calendar_connection SET sync_direction = 'pull', sync_enabled = false WHERE id = 8104;
SELECT * FROM test.told(8111);
INSERT INTO telehealth.provider (clinic_id, id, calendar_stale_after) VALUES (81, 8111, '2 hours');
SELECT * FROM test.told(8111);
UPDATE telehealth.clinic SET calendar_when_stale = 'close', calendar_stale_after = '20 minutes' WHERE id = 81;
SELECT v.provider, t.* FROM generate_series(8110, 8113) AS v (provider) CROSS JOIN LATERAL test.told(v.provider) AS t ORDER BY 1;
UPDATE telehealth.provider SET calendar_when_stale = 'flag', calendar_stale_after = NULL WHERE id = 8111;
SELECT * FROM test.told(8111);
/* beyond what was read, slot by slot */
SELECT v.days, t.* FROM (VALUES (179), (181)) AS v (days) CROSS JOIN LATERAL test.told(8110, date_trunc('hour', now() + v.days * interval '24 hours')) AS t ORDER BY 1;
INSERT INTO telehealth_private.calendar_cursor (clinic_id, connection_id, window_start, window_end, pulled_at, compared_at)
VALUES (81, 8101, now() - interval '1 day', date_trunc('hour', now() + interval '1 day') + interval '30 minutes', now(), now());
SELECT * FROM test.told(8110);
UPDATE telehealth.clinic SET calendar_when_stale = 'flag' WHERE id = 81;
SELECT * FROM test.told(8110);
/* one that is read every two hours is not old after three */
INSERT INTO telehealth.calendar_connection (id, provider_id, kind, status, last_sync_at, sync_frequency_minutes) VALUES
	(8108, 8114, 'google', 'CONNECTED', now() - interval '3 hours', 120), (8109, 8114, 'outlook', 'CONNECTED', now(), 1);
SELECT * FROM test.told(8114);
UPDATE telehealth.calendar_connection SET last_sync_at = now() - interval '241 minutes' WHERE id = 8108;
SELECT * FROM test.told(8114);
UPDATE telehealth.calendar_connection SET last_sync_at = now() - interval '15 minutes', sync_frequency_minutes = 1 WHERE id = 8108;
SELECT * FROM test.told(8114);

/* What may not be asked */
SELECT * FROM test.try('SELECT telehealth.free_slots(NULL, now(), now())');
SELECT * FROM test.try('SELECT telehealth.free_slots(1, now(), NULL)');
SELECT * FROM test.try('SELECT telehealth.free_slots(1, now(), ''infinity'')');
SELECT * FROM test.try('SELECT telehealth.free_slots(1, now(), now() + interval ''401 days'')');
SELECT * FROM test.try('SELECT telehealth.free_slots(1, now(), now(), 0)');
SELECT * FROM test.try('SELECT telehealth.free_slots(1, now(), now(), 30, 0)');
SELECT * FROM test.try('SELECT telehealth.is_free(1, ''-infinity'')');
SELECT * FROM test.try('SELECT telehealth.is_free(1, now(), 1441)');
SELECT * FROM test.try('SELECT telehealth.is_free(1, NULL)');
SELECT v.state, v.message FROM (VALUES
	('1, ''09:00'', ''09:00'', NULL, NULL, NULL'), ('0, ''09:00'', ''10:00'', NULL, NULL, NULL'), ('1, ''09:00'', ''10:00'', ''Mars/Olympus'', NULL, NULL'),
	('1, ''09:00'', ''10:00'', NULL, ''2030-01-02'', ''2030-01-01''')) AS c (columns)
CROSS JOIN LATERAL test.try('INSERT INTO telehealth.working_hours (provider_id, weekday, from_time, to_time, timezone, valid_from, valid_to) VALUES (1, ' || c.columns || ')') AS v;
SELECT state, message FROM test.try('UPDATE telehealth.clinic SET calendar_stale_after = ''0'' WHERE id = 81');
SELECT state, message FROM test.try('UPDATE telehealth.provider SET calendar_when_stale = ''guess'' WHERE clinic_id = 81');

/* Who may ask: applications, of their own clinic */
CREATE ROLE regress_th_booker;
CREATE ROLE regress_th_looker;
SELECT telehealth.grant_role('regress_th_booker', 'app', 81), telehealth.grant_role('regress_th_looker', 'reader', 81);
SET ROLE regress_th_booker;
SELECT test.free(8100, '2030-01-07 14:00Z'), test.free(8100, '2030-01-07 14:30Z');
SELECT count(*) FROM telehealth.free_slots(8100, '2030-01-07 00:00Z', '2030-01-08 00:00Z');
SET telehealth.clinic_id = 82;
SELECT * FROM test.try('SELECT telehealth.is_free(8100, ''2030-01-07 14:30Z'')');
SELECT * FROM test.try('SELECT telehealth.free_slots(8100, ''2030-01-07 00:00Z'', ''2030-01-08 00:00Z'')');
SELECT * FROM test.try('INSERT INTO telehealth.working_hours (clinic_id, provider_id, weekday, from_time, to_time) VALUES (82, 1, 1, ''09:00'', ''10:00'')');
SET telehealth.clinic_id = 81;
RESET ROLE;
SET ROLE regress_th_looker;
SELECT * FROM test.try('SELECT telehealth.is_free(8100, ''2030-01-07 14:30Z'')');
SELECT * FROM test.try('SELECT telehealth_private.taken(81, 8100, now(), now(), NULL)');
RESET ROLE;

/* A database that refuses visits over busy times */
CREATE FUNCTION test.book(id bigint, provider bigint, starts_at timestamptz, more text DEFAULT '', more_values text DEFAULT '') RETURNS text LANGUAGE sql
AS $$ SELECT concat_ws(' ', t.state, t.message) FROM test.try(format('INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at%s) VALUES (%s, 1, %s, ''VIDEO'', %L%s)',
	more, id, provider, starts_at, more_values)) AS t $$;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (81000019, 1, 8100, 'VIDEO', '2030-01-11 14:15Z');
SET telehealth.busy_time_blocks = on;
SELECT * FROM test.try('INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (81000020, 1, 8100, ''VIDEO'', ''2030-01-10 14:45Z'')');
SELECT test.book(81000020, 8100, '2030-01-10 14:30Z'), test.book(81000021, 8100, '2030-01-10 15:10Z'), test.book(81000022, 8101, '2030-01-10 15:00Z');
SELECT test.book(81000023, 8100, '2030-01-10 15:00Z', ', is_overbooked, overbook_reason', ', true, ''asked for''');
SELECT test.book(81000024, 8100, '2030-01-15 15:00Z', ', status', ', ''CANCELLED''');
SELECT test.book(81000025, 8100, '2030-01-15 15:00Z', ', status', ', ''PENDING''');
SELECT test.book(81000026, 8100, '2000-01-01 00:00Z');
DO $$
DECLARE
	v_constraint text;
BEGIN
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 8100, 'VIDEO', '2030-01-20Z');
EXCEPTION WHEN exclusion_violation THEN
	GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
	RAISE NOTICE '%', v_constraint;
END $$;
/* whatever makes a visit take that time */
SELECT v.state, v.message FROM (VALUES (81000024, 'status = ''SCHEDULED'''), (81000021, 'starts_at = starts_at - interval ''1 minute'''), (81000020, 'duration = 31'),
	(81000022, 'provider_id = 8100, starts_at = ''2030-01-16 15:00Z'''), (81000022, 'starts_at = starts_at + interval ''1 minute''')) AS c (id, change)
CROSS JOIN LATERAL test.try(format('UPDATE telehealth.appointment SET %s WHERE id = %s', c.change, c.id)) AS v;
UPDATE telehealth.appointment SET starts_at = '2030-01-17 15:00Z' WHERE id = 81000023;
SELECT v.state, v.message FROM test.try('UPDATE telehealth.appointment SET is_overbooked = false WHERE id = 81000023') AS v;
/* One that was there before stays, and may change in what takes no time */
SELECT v.state, v.message FROM (VALUES ('title = ''x'', status = ''CONFIRMED'''), ('duration = 31')) AS c (change)
CROSS JOIN LATERAL test.try(format('UPDATE telehealth.appointment SET %s WHERE id = 81000019', c.change)) AS v;
/* Of many rows all or none; of a series the days that are taken are its conflicts */
SELECT * FROM test.try('INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT 1, 8108, ''PHONE'', timestamptz ''2030-01-01Z'' + n * interval ''1 hour'' FROM generate_series(1, 3000) AS n');
INSERT INTO telehealth.busy_time (provider_id, source, external_id, during) VALUES (8109, 'roster', 'x', '[2030-05-04 06:10Z,2030-05-04 06:20Z)');
SELECT * FROM test.try('INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
	SELECT 82000000 + n, 1, 8109, ''PHONE'', timestamptz ''2030-01-01Z'' + n * interval ''1 hour'' FROM generate_series(1, 3000) AS n');
SELECT count(*) FROM telehealth.appointment WHERE provider_id = 8109;
INSERT INTO telehealth.busy_time (provider_id, source, external_id, during) VALUES (8110, 'roster', 'y', tstzrange(current_date + 3, current_date + 4));
INSERT INTO telehealth.appointment_series (provider_id, patient_id, type, rule, first_date, start_time, timezone)
VALUES (8110, 1, 'VIDEO', 'FREQ=DAILY;COUNT=3', current_date + 2, '12:00', 'UTC');
SELECT a.starts_at - current_date::timestamptz AS made FROM telehealth.appointment AS a WHERE a.provider_id = 8110 ORDER BY 1;
SELECT s.conflicts = ARRAY[current_date + 3] AS told FROM telehealth.appointment_series AS s WHERE s.provider_id = 8110;
/* Nobody but a superuser lifts it */
SET ROLE regress_th_booker;
SELECT * FROM test.try('SET telehealth.busy_time_blocks = off');
SELECT test.book(81000030, 8100, '2030-01-15 15:00Z');
RESET ROLE;
RESET telehealth.busy_time_blocks;

DELETE FROM telehealth.appointment_series WHERE clinic_id = 81;
DELETE FROM telehealth.appointment WHERE clinic_id = 81;
DELETE FROM telehealth.busy_time WHERE clinic_id = 81;
DELETE FROM telehealth.working_hours WHERE clinic_id = 81;
DELETE FROM telehealth.calendar_connection WHERE clinic_id = 81;
DELETE FROM telehealth_private.calendar_cursor WHERE clinic_id = 81;
DELETE FROM telehealth.provider WHERE clinic_id = 81;
DELETE FROM telehealth.clinic WHERE id = 81;
SELECT telehealth.revoke_role('regress_th_booker', 'app', 81), telehealth.revoke_role('regress_th_looker', 'reader', 81);
DROP ROLE regress_th_booker, regress_th_looker;
SELECT count(*) >= 0 AS emptied FROM test.jobs();
RESET telehealth.clinic_id;
RESET timezone;
RESET datestyle;
