CREATE INDEX appointment_starts_at_idx ON telehealth.appointment (clinic_id, starts_at);

CREATE INDEX appointment_provider_id_idx ON telehealth.appointment (clinic_id, provider_id, starts_at, id);

/*
 * One live session an appointment, as many retired ones as there are: nulls
 * are distinct. One index instead of two, since every meeting writes it twice;
 * half of each page is left to the second time, as in the primary key.
 */
CREATE UNIQUE INDEX session_appointment_id_key ON telehealth.session
	(clinic_id, appointment_id, (CASE WHEN retired_at IS NULL THEN true END)) WITH (fillfactor = 50);

/* Few: visits that are under way, and what the dispatcher has not looked at. */
CREATE INDEX session_running_idx ON telehealth.session (scheduled_at)
	WHERE status IN ('WAITING', 'IN_PROGRESS') AND retired_at IS NULL;

CREATE INDEX webhook_event_deauthorized_idx ON telehealth.webhook_event (received_at)
	WHERE event_name = 'app_deauthorized' AND outcome = 'recorded';

CREATE INDEX webhook_event_new_idx ON telehealth.webhook_event (received_at)
	WHERE processed_at IS NULL AND session_id IS NOT NULL;

/* What /metrics counts: sessions of a day and the next, of every clinic. */
CREATE INDEX session_scheduled_at_idx ON telehealth.session (scheduled_at)
	WHERE retired_at IS NULL;

CREATE INDEX session_meeting_id_idx ON telehealth.session (meeting_id, clinic_id)
	WHERE meeting_id IS NOT NULL;

CREATE INDEX account_vendor_key_idx ON telehealth.account (vendor_key) WHERE vendor_key IS NOT NULL;

CREATE INDEX job_due_at_idx ON telehealth_private.job (priority, due_at);

CREATE INDEX job_history_subject_id_idx ON telehealth_private.job_history (clinic_id, subject_id, at);

CREATE INDEX audit_log_object_id_idx ON telehealth.audit_log (clinic_id, object, object_id);

CREATE INDEX audit_log_unchained_idx ON telehealth.audit_log (clinic_id, id) WHERE chain_hash IS NULL;
