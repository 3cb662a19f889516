CREATE INDEX appointment_starts_at_idx ON telehealth.appointment (clinic_id, starts_at);

CREATE UNIQUE INDEX session_appointment_id_key ON telehealth.session (clinic_id, appointment_id)
	WHERE retired_at IS NULL;

CREATE INDEX session_appointment_id_idx ON telehealth.session (clinic_id, appointment_id);

CREATE INDEX session_meeting_id_idx ON telehealth.session (meeting_id, clinic_id);

CREATE INDEX job_due_at_idx ON telehealth_private.job (priority, due_at);

CREATE INDEX job_history_subject_id_idx ON telehealth_private.job_history (clinic_id, subject_id, at);

CREATE INDEX audit_log_object_id_idx ON telehealth.audit_log (clinic_id, object, object_id);

CREATE INDEX audit_log_unchained_idx ON telehealth.audit_log (clinic_id, id) WHERE chain_hash IS NULL;
