/* Booking, what marks work, what stamps rows. No patient data in any message of ours. */

DELETE FROM telehealth_private.job;

/* Defaults */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
VALUES (1, 20, 10, 'VIDEO', '2130-01-01 10:00+00')
RETURNING clinic_id, status, duration, ends_at = starts_at + interval '30 minutes' AS ends_in_time, sequence, is_meeting_wanted;
SELECT * FROM test.jobs();

/* Checks */
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration)
	VALUES (20, 11, 'VIDEO', '2130-01-01', 0)$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration)
	VALUES (20, 11, 'VIDEO', '2130-01-01', 1441)$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (20, 11, 'VIDEO', 'infinity')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (20, 11, 'VIDEO', '294276-12-31 23:59:59 UTC')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, timezone)
	VALUES (20, 11, 'VIDEO', '2130-01-01', 'ABC+3')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, platform)
	VALUES (20, 11, 'VIDEO', '2130-01-01', 'skype')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (20, 11, 'HOLOGRAM', '2130-01-01')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, starts_at)
	VALUES (20, 11, '2130-01-01')$$);
SELECT * FROM test.jobs();

/* A1: double booking is impossible, adjacent visits are not double */
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (21, 10, 'PHONE', '2130-01-01 10:29+00')$$);
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
VALUES (2, 21, 10, 'PHONE', '2130-01-01 10:30+00'), (3, 22, 11, 'IN_PERSON', '2130-01-01 10:00+00');
INSERT INTO telehealth.appointment (clinic_id, id, patient_id, provider_id, type, starts_at)
VALUES (2, 1, 20, 10, 'IN_PERSON', '2130-01-01 10:00+00');
SELECT state, message FROM test.try($$UPDATE telehealth.appointment SET duration = 31 WHERE clinic_id = 1 AND id = 1$$);
SELECT * FROM test.jobs();

/* A2: a hold blocks, makes no meeting, and is confirmed by an update */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, status, starts_at, held_until)
VALUES (4, 20, 10, 'VIDEO', 'PENDING', '2130-01-02 10:00+00', '2129-01-01');
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (21, 10, 'VIDEO', '2130-01-02 10:00+00')$$);
SELECT * FROM test.jobs();
UPDATE telehealth.appointment SET held_until = '2129-02-01' WHERE clinic_id = 1 AND id = 4;
SELECT * FROM test.jobs();
UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE clinic_id = 1 AND id = 4 AND status = 'PENDING';
SELECT * FROM test.jobs();
UPDATE telehealth.appointment SET status = 'SCHEDULED' WHERE clinic_id = 1 AND id = 4 AND status = 'PENDING';

/* A3: an overlap needs a reason and is audited, for a superuser too */
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, is_overbooked)
	VALUES (23, 10, 'VIDEO', '2130-01-01 10:00+00', true)$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, is_overbooked, overbook_reason)
	VALUES (23, 10, 'VIDEO', '2130-01-01 10:00+00', true, ' ')$$);
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, is_overbooked, overbook_reason)
VALUES (5, 23, 10, 'IN_PERSON', '2130-01-01 10:00+00', true, 'clinical words that stay here');
UPDATE telehealth.appointment SET is_overbooked = true, overbook_reason = 'more of them' WHERE clinic_id = 1 AND id = 3;
UPDATE telehealth.appointment SET overbook_reason = 'other words' WHERE clinic_id = 1 AND id = 3;
SELECT clinic_id, actor = current_user AS is_me, action, object, object_id, detail FROM telehealth.audit_log
WHERE action = 'overbook' ORDER BY object_id;
SELECT state, message FROM test.try($$UPDATE telehealth.appointment SET is_overbooked = false WHERE clinic_id = 1 AND id = 5$$);
UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE clinic_id = 1 AND id = 1;
UPDATE telehealth.appointment SET is_overbooked = false WHERE clinic_id = 1 AND id = 5;
SELECT * FROM test.jobs();

/* What a change of each column marks */
DELETE FROM telehealth.appointment;
DELETE FROM telehealth_private.job;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
VALUES (10, 20, 10, 'VIDEO', '2130-01-01 10:00+00');
DELETE FROM telehealth_private.job;
CREATE FUNCTION test.change(assignment text) RETURNS text
	LANGUAGE plpgsql
AS $$
DECLARE
	v_before telehealth.appointment;
	v_after telehealth.appointment;
BEGIN
	DELETE FROM telehealth_private.job;
	UPDATE telehealth.appointment SET updated_at = '2001-01-01' WHERE clinic_id = 1 AND id = 10 RETURNING * INTO v_before;
	EXECUTE format('UPDATE telehealth.appointment SET %s WHERE clinic_id = 1 AND id = 10', assignment);
	SELECT * INTO v_after FROM telehealth.appointment WHERE clinic_id = 1 AND id = 10;
	RETURN format('%s: %s; updated_at %s, sequence +%s', assignment,
		COALESCE((SELECT string_agg(format('%s, priority %s, %s', split_part(j.job, ' ', 1), j.priority, j.due), ' + ')
			FROM test.jobs() AS j), 'nothing'),
		CASE WHEN v_after.updated_at = v_before.updated_at THEN 'kept' ELSE 'set' END,
		v_after.sequence - v_before.sequence);
END
$$;
SELECT test.change(a) FROM unnest(ARRAY[
	$$starts_at = '2130-01-01 11:00+00'$$,
	$$duration = 45$$,
	$$timezone = 'Asia/Tokyo'$$,
	$$title = 'Follow-up'$$,
	$$platform = 'mock'$$,
	$$patient_id = 21$$,
	$$provider_id = 11$$,
	$$is_meeting_wanted = false$$,
	$$is_meeting_wanted = true$$,
	$$status = 'CONFIRMED'$$,
	$$status = 'CHECKED_IN'$$,
	$$status = 'IN_PROGRESS'$$,
	$$status = 'COMPLETED'$$,
	$$status = 'SCHEDULED'$$,
	$$status = 'NO_SHOW'$$,
	$$status = 'CANCELLED'$$,
	$$status = 'PENDING'$$,
	$$status = 'SCHEDULED'$$,
	$$type = 'IN_PERSON'$$,
	$$starts_at = '2130-01-01 12:00+00'$$,
	$$type = 'VIDEO'$$,
	$$reason = 'clinical words'$$,
	$$location = 'Room 1'$$,
	$$external_id = 'x-1'$$,
	$$meeting_id = '123'$$,
	$$join_url = 'https://example.invalid/j/123'$$,
	$$type = 'PHONE'$$,
	$$starts_at = '2130-01-01 13:00+00'$$,
	$$type = 'VIDEO'$$,
	$$starts_at = starts_at$$,
	$$updated_at = '2002-01-01'$$,
	$$sequence = 100, title = 'Other'$$,
	$$starts_at = now() + interval '10 minutes'$$,
	$$starts_at = now() + interval '20 minutes'$$,
	$$starts_at = now() - interval '20 minutes'$$,
	$$starts_at = now() - interval '20 days'$$
]) AS a;

/* Priority of new visits */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, status, is_meeting_wanted) VALUES
	(11, 20, 31, 'VIDEO', now() + interval '14 minutes', 'SCHEDULED', true),
	(12, 20, 32, 'VIDEO', now() + interval '16 minutes', 'CONFIRMED', true),
	(13, 20, 33, 'VIDEO', now() - interval '10 minutes', 'IN_PROGRESS', true),
	(14, 20, 34, 'VIDEO', now() - interval '10 days', 'SCHEDULED', true),
	(15, 20, 35, 'VIDEO', now() + interval '1 day', 'CANCELLED', true),
	(16, 20, 36, 'VIDEO', now() + interval '1 day', 'SCHEDULED', false),
	(17, 20, 37, 'PHONE', now() + interval '1 day', 'SCHEDULED', true),
	(18, 20, 38, 'VIDEO', now() + interval '1 day', 'PENDING', true);
SELECT * FROM test.jobs();

/* Many rows, keys that move, conflicts, deletes */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
SELECT 1000 + g, g, 1000 + g, CASE g % 2 WHEN 0 THEN 'VIDEO' ELSE 'PHONE' END::telehealth.appointment_type, '2130-05-01'
FROM generate_series(1, 25000) AS g;
SELECT count(*), min(priority), max(priority), min(due), max(due) FROM test.jobs();
UPDATE telehealth.appointment SET duration = 31 WHERE clinic_id = 1 AND id > 1000;
SELECT count(*), min(priority), max(priority), bool_and(due <> 'later') AS is_soon FROM test.jobs();
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id > 1000;
SELECT count(*), min(priority), max(priority), min(due), max(due) FROM test.jobs();
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
VALUES (12, 20, 32, 'VIDEO', '2130-06-01'), (19, 20, 39, 'VIDEO', '2130-06-01')
ON CONFLICT ON CONSTRAINT appointment_pkey DO UPDATE SET starts_at = EXCLUDED.starts_at;
SELECT * FROM test.jobs();
UPDATE telehealth.appointment SET clinic_id = 2, id = 190 WHERE clinic_id = 1 AND id = 19;
SELECT * FROM test.jobs();
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id IN (12, 15, 17);
SELECT * FROM test.jobs();

/* An id that comes back while its job waits, one row and many; a table somebody has changed */
DELETE FROM telehealth_private.job;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, status, held_until)
VALUES (60, 20, 60, 'VIDEO', '2130-06-01', 'SCHEDULED', NULL), (61, 20, 61, 'VIDEO', '2130-06-01', 'PENDING', '2130-05-01');
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id IN (60, 61);
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (60, 20, 60, 'VIDEO', '2130-06-02');
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
SELECT g, 20, g, 'VIDEO', '2130-06-03' FROM generate_series(61, 64) AS g;
SELECT kind, subject_id, priority, claim_no, generation, attempts, max_attempts, failures, marked_at <= clock_timestamp() AS marked,
	num_nulls(waiting_for, last_error, dead_at) AS nulls
FROM telehealth_private.job ORDER BY kind, subject_id;
SET enable_seqscan = off;
SELECT count(*) FROM telehealth_private.job WHERE priority BETWEEN 0 AND 3 AND due_at < 'infinity';
RESET enable_seqscan;
BEGIN;
CREATE INDEX own_idx ON telehealth_private.job ((subject_id + 1)) WHERE kind = 'meeting';
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (65, 20, 65, 'VIDEO', '2130-06-02');
SELECT subject_id FROM telehealth_private.job WHERE subject_id + 1 = 66 AND kind = 'meeting';
ROLLBACK;

/* All at once */
INSERT INTO telehealth.session (appointment_id, patient_id, provider_id, platform, marker, meeting_id, intent)
VALUES (62, 20, 62, 'mock', 'th-a', '62', NULL), (63, 20, 63, 'mock', 'th-b', NULL, 'create'), (64, 20, 64, 'mock', 'th-c', NULL, NULL);
BEGIN;
DELETE FROM telehealth_private.job;
TRUNCATE telehealth.appointment;
SELECT kind, subject_id, priority, due_at <= clock_timestamp() AS due FROM telehealth_private.job ORDER BY subject_id;
ROLLBACK;
DELETE FROM telehealth.session WHERE clinic_id = 1 AND appointment_id BETWEEN 62 AND 64;
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id BETWEEN 60 AND 64;
DELETE FROM telehealth_private.job WHERE clinic_id = 1 AND subject_id BETWEEN 60 AND 64;

/* Marking again raises the generation; the more urgent values stay */
UPDATE telehealth.appointment SET duration = 10 WHERE clinic_id = 1 AND id = 16;
UPDATE telehealth.appointment SET is_meeting_wanted = true WHERE clinic_id = 1 AND id = 16;
UPDATE telehealth.appointment SET duration = 12 WHERE clinic_id = 1 AND id = 16;
SELECT * FROM test.jobs();

/* A statement that is rolled back marks nothing */
BEGIN;
UPDATE telehealth.appointment SET duration = 13 WHERE clinic_id = 1 AND id = 16;
ROLLBACK;
SELECT * FROM test.jobs();

/* D5: silent while a dump is restored */
SET telehealth.restoring = on;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, updated_at, is_overbooked, overbook_reason)
VALUES (40, 20, 40, 'VIDEO', '2130-07-01', '2001-01-01', true, 'words');
UPDATE telehealth.appointment SET duration = 40 WHERE clinic_id = 1 AND id = 40 RETURNING sequence, extract(year FROM updated_at) AS year;
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id = 40;
RESET telehealth.restoring;
SELECT * FROM test.jobs();
SELECT count(*) FROM telehealth.audit_log WHERE action = 'overbook' AND object_id = 40;

/* W15: attempts never exceed max_attempts */
SELECT state, message FROM test.try($$INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at, attempts)
	VALUES ('meeting', 1, 1, 1, now(), 6)$$);

/* iCalendar: the same content gives the same bytes */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, title, reason, location, join_url, created_at, updated_at)
VALUES (50, 20, 50, 'VIDEO', '2130-07-01 10:00+00', 'Secret title', 'Secret reason', 'Room 1', 'https://example.invalid/j/1',
	'2026-01-02 03:04:05+00', '2026-02-03 04:05:06+00');
SELECT replace(regexp_replace(telehealth.appointment_ics(50), 'PRODID:[^\r]*', 'PRODID:'), E'\r', '<CR>') AS ics;
SELECT telehealth.appointment_ics(50) = telehealth.appointment_ics(50, 'PUBLISH') AS same;
SELECT line FROM regexp_split_to_table(telehealth.appointment_ics(50, 'CANCEL'), E'\r\n') AS line WHERE line ~ '^(METHOD|STATUS|URL|UID)';
INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('email', 'title', true), ('email', 'join_url', false);
SELECT line FROM regexp_split_to_table(telehealth.appointment_ics(50, 'REQUEST'), E'\r\n') AS line
WHERE line ~ '^(METHOD|SUMMARY|URL|LOCATION|DESCRIPTION)';
DELETE FROM telehealth.disclosure_policy;
DELETE FROM telehealth.appointment;
DELETE FROM telehealth_private.job;
