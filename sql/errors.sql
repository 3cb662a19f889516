/* What is refused, with its SQLSTATE, message, detail and hint. */

INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, status, starts_at, held_until, is_meeting_wanted, platform) VALUES
	(1, 1, 1, 'VIDEO', 'SCHEDULED', '2130-01-01', NULL, true, 'zoom'),
	(2, 1, 2, 'PHONE', 'SCHEDULED', '2130-01-01', NULL, true, NULL),
	(3, 1, 3, 'VIDEO', 'CANCELLED', '2130-01-01', NULL, true, NULL),
	(4, 1, 4, 'VIDEO', 'PENDING', '2130-01-01', '2129-01-01', true, NULL),
	(5, 1, 5, 'VIDEO', 'SCHEDULED', '2130-01-01', NULL, false, NULL),
	(6, 1, 6, 'VIDEO', 'SCHEDULED', '2020-01-01', NULL, true, NULL),
	(7, 1, 7, 'VIDEO', 'SCHEDULED', '2130-01-01', NULL, true, NULL);
UPDATE telehealth_private.job SET due_at = 'infinity', dead_at = now(), last_error = 'the platform said no' WHERE subject_id = 7;

/* Waiting for what cannot come is refused at once */
SELECT t.* FROM unnest(ARRAY[2, 3, 4, 5, 6, 7, 99]) WITH ORDINALITY AS u (id, place),
	test.try(format('SELECT telehealth.await_meeting(%s)', u.id)) AS t
ORDER BY u.place;
SELECT * FROM test.try('SELECT telehealth.await_meeting(NULL)');
SELECT * FROM test.try('SELECT telehealth.await_meeting(1, NULL)');
SELECT * FROM test.try('UPDATE telehealth.appointment SET duration = 31 WHERE clinic_id = 1 AND id = 1; SELECT telehealth.await_meeting(1)');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM test.try('SELECT telehealth.await_meeting(1)');
ROLLBACK;

/* The host's link */
SELECT t.* FROM unnest(ARRAY[1, 6, 7, 99]) WITH ORDINALITY AS u (id, place),
	test.try(format('SELECT telehealth.host_start_url(%s)', u.id)) AS t
ORDER BY u.place;
SELECT * FROM test.try('SELECT telehealth.host_start_url(NULL)');

/* Unknown appointments */
SELECT c, t.state, t.message FROM unnest(ARRAY['ensure_meeting', 'cancel_meeting', 'explain_appointment', 'appointment_ics']) AS c,
	test.try(format('SELECT telehealth.%s(99)', c)) AS t;
SELECT * FROM test.try($$SELECT telehealth.appointment_ics(1, 'publish')$$);

/* Why a visit is not ready: the words an operator reads */
UPDATE telehealth.appointment SET starts_at = now() + interval '1 hour' WHERE clinic_id = 1 AND id = 1;
UPDATE telehealth.appointment SET starts_at = now() + interval '2 hours' WHERE clinic_id = 1 AND id = 7;
UPDATE telehealth_private.job SET due_at = 'infinity', dead_at = now(), last_error = 'the platform said no' WHERE subject_id = 7;
SELECT appointment_id, reason, detail, hint FROM telehealth.not_ready WHERE reason NOT IN ('worker_down', 'outbound_off');
SELECT clinic_id, kind, subject_id, last_error, hint FROM telehealth.dead_jobs;
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'dead_jobs';

/* Dead jobs start again, one or all */
SELECT telehealth.retry_job('meeting', 7), telehealth.retry_job('hold', 7) AS none, telehealth.retry_job('nonsense', 7) AS no_kind;
SELECT kind, subject_id, state, failures, last_error FROM telehealth.job_status WHERE subject_id = 7;
UPDATE telehealth_private.job SET due_at = 'infinity', dead_at = now();
SELECT telehealth.retry_dead_jobs(2), telehealth.retry_dead_jobs() AS here, telehealth.retry_dead_jobs() AS again;
INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at, dead_at) VALUES ('meeting', 2, 70, 2, 'infinity', now());
UPDATE telehealth_private.job SET due_at = 'infinity', dead_at = now() WHERE clinic_id = 1 AND subject_id = 7;
SELECT telehealth.retry_dead_jobs(0) AS everywhere;
DELETE FROM telehealth_private.job WHERE clinic_id = 2;
SELECT count(*) FROM telehealth.dead_jobs;

/* The story of an appointment, as far as it went here */
INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, platform, action, outcome, http_status, code, message, total_ms, retry_at) VALUES
	(now() + interval '1 minute', 'meeting', 1, 1, 1, 'zoom', 'token', 'ok', 200, NULL, NULL, 40, NULL),
	(now() + interval '2 minutes', 'meeting', 1, 1, 1, 'zoom', 'create', 'retry', 429, '429', 'slow down', 12, '2130-01-01'),
	(now() + interval '3 minutes', 'meeting', 1, 1, 2, 'zoom', 'create', 'unknown', NULL, NULL, 'connection lost', 300, NULL),
	(now() + interval '4 minutes', 'meeting', 1, 1, 3, 'zoom', 'find', 'adopted', 200, NULL, NULL, 33, NULL),
	(now() + interval '5 minutes', 'meeting', 1, 1, 4, 'zoom', 'delete', 'gone', 404, '3001', NULL, 21, NULL),
	(now() + interval '6 minutes', 'meeting', 1, 1, 5, 'zoom', 'update', 'dead', 400, '300', 'invalid field', 21, NULL);
SELECT what, regexp_replace(result, ' at .*', ' at ...') AS result, regexp_replace(next, 'at .*', 'at ...') AS next
FROM telehealth.explain_appointment(1) WHERE what <> 'now';

DELETE FROM telehealth_private.job_history;
DELETE FROM telehealth.appointment;
DELETE FROM telehealth_private.job;

/* What can only be a slip of the pen */
SELECT t.* FROM unnest(ARRAY[
	$$SELECT telehealth.connect_platform('mock', '{}', '{}', -3)$$,
	$$SELECT telehealth.grant_role('pg_monitor', 'app', -1)$$,
	$$SELECT set_config('telehealth.default_platform', 'skype', false)$$,
	$$SELECT set_config('telehealth.default_platform', '', false)$$
]) WITH ORDINALITY AS u (command, place), test.try(u.command) AS t
ORDER BY u.place;
ALTER SYSTEM SET telehealth.databases = 'a,,b';
INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'medium_per_second', 60);
SELECT count(*) FROM telehealth.health WHERE check_name = 'vendor_limits';
INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'medium_per_secnd', 60), ('doom', 'light_per_second', 1);
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'vendor_limits';
DELETE FROM telehealth.vendor_limit;

/* What waits for somebody is told before it is late */
SELECT count(*) FROM telehealth.health WHERE check_name = 'jobs_held_up';
INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at, waiting_for) VALUES ('meeting', 1, 901, 2, now(), 'no_account');
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'jobs_held_up';
INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at, waiting_for) VALUES ('meeting', 1, 902, 2, now(), 'no_host'),
	('meeting', 1, 903, 2, now(), 'no_account'), ('meeting', 1, 904, 2, now(), 'rate_limited');
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'jobs_held_up';
DELETE FROM telehealth_private.job WHERE clinic_id = 1 AND subject_id > 900;
