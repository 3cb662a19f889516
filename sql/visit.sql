/* What was told of visits, for those who only read: counted, without names. */

CREATE ROLE visit_reader;
CREATE ROLE visit_desk;
SELECT telehealth.grant_role('visit_reader', 'reader', 90);
SELECT telehealth.grant_role('visit_desk', 'app', 91);

INSERT INTO telehealth.session (clinic_id, id, appointment_id, patient_id, provider_id, platform, marker)
VALUES (90, 1, 1, 1, 1, 'zoom', 'th-1'), (91, 2, 2, 2, 2, 'zoom', 'th-2');
INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, event_at, session_id, participant_name, raw, business_key, received_at, processed_at, outcome)
SELECT q.clinic_id, 'zoom', q.name, now() - interval '3 seconds', NULLIF(q.session_id, 0), 'Pat Ient', '{}', sha256(convert_to(q.n::text, 'UTF8')), q.at,
	q.at + interval '1 second', q.outcome
FROM (VALUES
	(1, 90, 'meeting.started', 1, now() - interval '1 second', 'applied'),
	(2, 90, 'meeting.started', 1, now() - interval '1 second', 'applied'),
	(3, 90, 'meeting.alert', 1, now() - interval '1 second', 'ignored'),
	(4, 90, 'meeting.ended', 1, now() - interval '8 days', 'applied'),
	(5, 91, 'meeting.ended', 2, now() - interval '1 second', 'applied'),
	(6, 0, 'meeting.ended', 0, now() - interval '1 second', 'unmatched')
) AS q (n, clinic_id, name, session_id, at, outcome);
UPDATE telehealth.webhook_event SET processed_at = NULL, outcome = NULL WHERE clinic_id = 91;
INSERT INTO telehealth.participant (clinic_id, session_id, participant_id, name) VALUES (90, 1, 'a', 'Pat Ient'), (91, 2, 'b', 'Other One');

SELECT clinic_id, source, event_name, events, applied, ignored, recorded, unmatched, waiting, oldest_waiting_at IS NOT NULL AS waits,
	average_delivery, average_processing, longest_processing
FROM telehealth.webhook_metrics ORDER BY 1, 2, 3;

SET ROLE visit_reader;
SELECT clinic_id, event_name, events FROM telehealth.webhook_metrics ORDER BY 1, 2;
SELECT state FROM test.try($$SELECT count(*) FROM telehealth.webhook_event$$);
SELECT state FROM test.try($$SELECT count(*) FROM telehealth.participant$$);
SELECT state FROM test.try($$SELECT count(*) FROM telehealth.waiting_room_entry$$);
SELECT state FROM test.try($$SELECT count(*) FROM telehealth.recording$$);
RESET ROLE;
SET ROLE visit_desk;
SELECT clinic_id, event_name, events FROM telehealth.webhook_metrics ORDER BY 1, 2;
SELECT clinic_id, event_name, participant_name FROM telehealth.webhook_event ORDER BY 1, 2;
SELECT clinic_id, name FROM telehealth.participant;
SELECT state FROM test.try($$UPDATE telehealth.participant SET name = 'x'$$);
RESET ROLE;

DELETE FROM telehealth.webhook_event WHERE clinic_id IN (0, 90, 91);
DELETE FROM telehealth.participant WHERE clinic_id IN (90, 91);
DELETE FROM telehealth.session WHERE clinic_id IN (90, 91);
SELECT telehealth.revoke_role('visit_reader', 'reader', 90), telehealth.revoke_role('visit_desk', 'app', 91);
DROP ROLE visit_reader;
DROP ROLE visit_desk;
