/* ---- schemas and types ---- */

COMMENT ON SCHEMA telehealth IS 'Appointments that become video meetings: the tables, functions and views that applications use.';
COMMENT ON SCHEMA telehealth_private IS 'What telehealth keeps for itself: the queue, sealed secrets, grants. No application needs a privilege here.';
COMMENT ON TYPE telehealth.appointment_type IS 'How a visit takes place; VIDEO visits get a meeting.';
COMMENT ON TYPE telehealth.appointment_status IS 'PENDING is a hold until held_until. SCHEDULED, CONFIRMED, CHECKED_IN and IN_PROGRESS want a meeting.';
COMMENT ON TYPE telehealth.session_status IS 'How far a video visit has come.';
/* ---- telehealth.clinic ---- */

COMMENT ON TABLE telehealth.clinic IS 'A tenant. No row is needed: a clinic without one has the defaults.';
COMMENT ON COLUMN telehealth.clinic.id IS 'Number of the clinic, the clinic_id of everything else. 0 stands for every clinic and has no row.';
COMMENT ON COLUMN telehealth.clinic.name IS 'For people; never leaves the database.';
COMMENT ON COLUMN telehealth.clinic.timezone IS 'IANA time zone of visits whose appointment and provider name none.';
COMMENT ON COLUMN telehealth.clinic.platform IS 'Video platform of visits that name none; else telehealth.default_platform.';
COMMENT ON COLUMN telehealth.clinic.fallback_platforms IS 'Platforms for new meetings while the clinic''s own cannot be used, in this order: it has no account, or the account is refused.';
COMMENT ON COLUMN telehealth.clinic.place_of_service IS 'Default place of service code of billing.';
COMMENT ON COLUMN telehealth.clinic.is_active IS 'Whether meetings are made for the clinic.';

/* ---- telehealth.provider ---- */

COMMENT ON TABLE telehealth.provider IS 'A clinician. A row is needed for contact data, time zone and the host at the platform only.';
COMMENT ON COLUMN telehealth.provider.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.provider.id IS 'The application''s own number may be used.';
COMMENT ON COLUMN telehealth.provider.external_id IS 'The application''s own key, unique in the clinic.';
COMMENT ON COLUMN telehealth.provider.display_name IS 'Leaves the database only where the disclosure policy allows provider_name.';
COMMENT ON COLUMN telehealth.provider.email IS 'Also the host at the platform where platform_user is not set.';
COMMENT ON COLUMN telehealth.provider.phone IS 'Never leaves the database by default.';
COMMENT ON COLUMN telehealth.provider.timezone IS 'IANA time zone of visits that name none.';
COMMENT ON COLUMN telehealth.provider.platform_user IS 'The host of the meetings at the video platform: user id or e-mail there.';

/* ---- telehealth.patient ---- */

COMMENT ON TABLE telehealth.patient IS 'A patient. A row is needed for contact data only.';
COMMENT ON COLUMN telehealth.patient.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.patient.id IS 'The application''s own number may be used.';
COMMENT ON COLUMN telehealth.patient.external_id IS 'The application''s own key, unique in the clinic.';
COMMENT ON COLUMN telehealth.patient.display_name IS 'Leaves the database only where the disclosure policy allows patient_name.';
COMMENT ON COLUMN telehealth.patient.email IS 'Never leaves the database by default.';
COMMENT ON COLUMN telehealth.patient.phone IS 'Never leaves the database by default.';
COMMENT ON COLUMN telehealth.patient.timezone IS 'IANA time zone of the patient.';
COMMENT ON COLUMN telehealth.patient.state IS 'State of residence, for consent.';
COMMENT ON COLUMN telehealth.patient.sms_opt_out_at IS 'Since when no text message may be sent.';

/* ---- telehealth.appointment ---- */

COMMENT ON TABLE telehealth.appointment IS 'A visit. A VIDEO visit gets a meeting seconds after the commit, and the meeting follows every change.';
COMMENT ON COLUMN telehealth.appointment.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.appointment.id IS 'Number of the appointment, unique with clinic_id.';
COMMENT ON COLUMN telehealth.appointment.external_id IS 'The application''s own key, unique in the clinic.';
COMMENT ON COLUMN telehealth.appointment.patient_id IS 'Number of the patient; no row of patient is needed.';
COMMENT ON COLUMN telehealth.appointment.provider_id IS 'Number of the clinician; no row of provider is needed.';
COMMENT ON COLUMN telehealth.appointment.type IS 'How the visit takes place.';
COMMENT ON COLUMN telehealth.appointment.status IS 'Where the visit stands.';
COMMENT ON COLUMN telehealth.appointment.starts_at IS 'Finite.';
COMMENT ON COLUMN telehealth.appointment.duration IS 'Minutes, 1 to 1440.';
COMMENT ON COLUMN telehealth.appointment.ends_at IS 'starts_at plus duration, kept by the server.';
COMMENT ON COLUMN telehealth.appointment.timezone IS 'IANA time zone; else the provider''s, the clinic''s, UTC.';
COMMENT ON COLUMN telehealth.appointment.title IS 'Leaves the database only where the disclosure policy allows it.';
COMMENT ON COLUMN telehealth.appointment.reason IS 'Clinical text. Leaves the database only where the disclosure policy allows it.';
COMMENT ON COLUMN telehealth.appointment.location IS 'Where a visit in person takes place.';
COMMENT ON COLUMN telehealth.appointment.platform IS 'Video platform of this visit; else the clinic''s.';
COMMENT ON COLUMN telehealth.appointment.meeting_id IS 'The platform''s number of the meeting. Written by the dispatcher.';
COMMENT ON COLUMN telehealth.appointment.join_url IS 'The patient''s link. Written by the dispatcher.';
COMMENT ON COLUMN telehealth.appointment.sequence IS 'Number of changes a calendar shows, as in iCalendar.';
COMMENT ON COLUMN telehealth.appointment.is_overbooked IS 'Takes the row out of the check against double booking; needs overbook_reason and is audited.';
COMMENT ON COLUMN telehealth.appointment.overbook_reason IS 'Why the overlap is wanted.';
COMMENT ON COLUMN telehealth.appointment.held_until IS 'When a PENDING appointment is cancelled by itself.';
COMMENT ON COLUMN telehealth.appointment.is_meeting_wanted IS 'Turned off by cancel_meeting(), on by ensure_meeting().';
COMMENT ON COLUMN telehealth.appointment.created_at IS 'When the row was inserted.';
COMMENT ON COLUMN telehealth.appointment.updated_at IS 'When something other than meeting_id changed last.';

/* ---- telehealth.session ---- */

COMMENT ON TABLE telehealth.session IS 'The video visit of an appointment, made by the dispatcher. One is live; a replaced or orphaned one stays as a tombstone until its meeting is removed.';
COMMENT ON COLUMN telehealth.session.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.session.id IS 'Number of the session, unique with clinic_id.';
COMMENT ON COLUMN telehealth.session.appointment_id IS 'The appointment, which may be deleted by now.';
COMMENT ON COLUMN telehealth.session.patient_id IS 'As in the appointment when the meeting was made.';
COMMENT ON COLUMN telehealth.session.provider_id IS 'As in the appointment when the meeting was made.';
COMMENT ON COLUMN telehealth.session.platform IS 'Where the meeting is.';
COMMENT ON COLUMN telehealth.session.account_clinic_id IS 'clinic_id of the account that made the meeting; 0 for the default account.';
COMMENT ON COLUMN telehealth.session.account_id IS 'The account that made the meeting.';
COMMENT ON COLUMN telehealth.session.meeting_id IS 'The platform''s number of the meeting; null while none is known.';
COMMENT ON COLUMN telehealth.session.meeting_uuid IS 'The platform''s number of this run of the meeting.';
COMMENT ON COLUMN telehealth.session.join_url IS 'The patient''s link. Start links are never stored.';
COMMENT ON COLUMN telehealth.session.topic IS 'What was sent as the topic.';
COMMENT ON COLUMN telehealth.session.scheduled_at IS 'The start that was asked for when the meeting was begun, and from its confirmation on the one last confirmed.';
COMMENT ON COLUMN telehealth.session.started_at IS 'When the meeting began.';
COMMENT ON COLUMN telehealth.session.ended_at IS 'When it ended.';
COMMENT ON COLUMN telehealth.session.duration IS 'Minutes: as asked for when the meeting was begun, and from its confirmation on as last confirmed.';
COMMENT ON COLUMN telehealth.session.actual_duration IS 'Minutes from start to end.';
COMMENT ON COLUMN telehealth.session.status IS 'How far the visit has come.';
COMMENT ON COLUMN telehealth.session.host_joined_at IS 'When the clinician first joined.';
COMMENT ON COLUMN telehealth.session.patient_joined_at IS 'When the patient first joined.';
COMMENT ON COLUMN telehealth.session.waiting_room_entered_at IS 'When the patient first waited.';
COMMENT ON COLUMN telehealth.session.waiting_room_admitted_at IS 'When the patient was let in.';
COMMENT ON COLUMN telehealth.session.recording_url IS 'Where the recording is.';
COMMENT ON COLUMN telehealth.session.connection_quality IS 'Of the connection, as the platform tells.';
COMMENT ON COLUMN telehealth.session.audio_quality IS 'Of the sound.';
COMMENT ON COLUMN telehealth.session.video_quality IS 'Of the picture.';
COMMENT ON COLUMN telehealth.session.place_of_service IS 'Code for billing.';
COMMENT ON COLUMN telehealth.session.modifiers IS 'Codes for billing.';
COMMENT ON COLUMN telehealth.session.patient_location IS 'Where the patient was.';
COMMENT ON COLUMN telehealth.session.provider_location IS 'Where the clinician was.';
COMMENT ON COLUMN telehealth.session.rating IS 'The patient''s, 1 to 5.';
COMMENT ON COLUMN telehealth.session.retired_at IS 'Since when no appointment wants this meeting; null while live.';
COMMENT ON COLUMN telehealth.session.host IS 'The host of the meeting at the platform.';
COMMENT ON COLUMN telehealth.session.marker IS 'Opaque tag by which the meeting is found again after a lost answer.';
COMMENT ON COLUMN telehealth.session.intent IS 'create: a request to create may be under way, and its outcome is not known.';
COMMENT ON COLUMN telehealth.session.intent_no IS 'Fencing token of the claim that wrote the intent.';
COMMENT ON COLUMN telehealth.session.intent_at IS 'When the intent was written.';
COMMENT ON COLUMN telehealth.session.wish_hash IS 'Hash of what was last confirmed at the platform, with sent: in front while it is sent but not read back; a different one means there is something to change.';
COMMENT ON COLUMN telehealth.session.confirmed_at IS 'When the platform last answered about this meeting.';
COMMENT ON COLUMN telehealth.session.deviation IS 'What the platform made different from what was asked.';
COMMENT ON COLUMN telehealth.session.created_at IS 'When the row was made.';

/* ---- telehealth.account ---- */

COMMENT ON TABLE telehealth.account IS 'A clinic''s account at a platform, made by connect_platform(). Its secrets are sealed in account_secret.';
COMMENT ON COLUMN telehealth.account.clinic_id IS '0: the default account of every clinic without its own.';
COMMENT ON COLUMN telehealth.account.id IS 'Number of the account, unique with clinic_id.';
COMMENT ON COLUMN telehealth.account.platform IS 'One account a clinic and platform.';
COMMENT ON COLUMN telehealth.account.status IS 'connected, disconnected, error or key_missing.';
COMMENT ON COLUMN telehealth.account.settings IS 'As given to connect_platform() and configure_platform().';
COMMENT ON COLUMN telehealth.account.connected_at IS 'When the credentials were stored; a new value means new ones.';
COMMENT ON COLUMN telehealth.account.token_expires_at IS 'Until when the present access token is good.';
COMMENT ON COLUMN telehealth.account.last_error IS 'Why the account does not work, redacted.';
COMMENT ON COLUMN telehealth.account.last_error_at IS 'When it was last seen, to the minute.';
COMMENT ON COLUMN telehealth.account.missing_scope IS 'The permission that the account''s app lacks.';
COMMENT ON COLUMN telehealth.account.clock_skew IS 'The platform''s clock less ours, at the last token.';
COMMENT ON COLUMN telehealth.account.is_refused IS 'With a status other than connected: no meeting can be made, since its credentials are refused or its app may not create any.';

/* ---- telehealth.vendor_limit ---- */

COMMENT ON TABLE telehealth.vendor_limit IS 'Your own values for limits of vendors; they override those shipped.';
COMMENT ON COLUMN telehealth.vendor_limit.vendor IS 'Name of the platform whose limit it is: zoom.';
COMMENT ON COLUMN telehealth.vendor_limit.name IS 'host_writes_per_day, light_per_second, medium_per_second, concurrent_requests, host_meetings_at_once or basic_host_minutes; another changes nothing.';
COMMENT ON COLUMN telehealth.vendor_limit.value IS 'Requests, meetings or minutes, as the name says; above zero.';
COMMENT ON COLUMN telehealth.vendor_limit.checked_on IS 'When somebody last made sure.';

/* ---- telehealth.disclosure_policy ---- */

COMMENT ON TABLE telehealth.disclosure_policy IS 'Which facts may leave to whom. A clinic''s row overrides that of clinic 0, which overrides what is shipped; what no row allows stays here.';
COMMENT ON COLUMN telehealth.disclosure_policy.clinic_id IS '0: every clinic without its own row.';
COMMENT ON COLUMN telehealth.disclosure_policy.target IS 'Who would get it: a platform, calendar, feed or channel.';
COMMENT ON COLUMN telehealth.disclosure_policy.fact IS 'What: patient_name, provider_name, reason, title, location, join_url, passcode, phone, email.';
COMMENT ON COLUMN telehealth.disclosure_policy.is_allowed IS 'Whether it may leave.';

/* ---- telehealth.audit_log ---- */

COMMENT ON TABLE telehealth.audit_log IS 'Who did what. It can only be appended to; the dispatcher chains the rows of a clinic by hash.';
COMMENT ON COLUMN telehealth.audit_log.clinic_id IS 'The clinic the row belongs to. 0: the whole database.';
COMMENT ON COLUMN telehealth.audit_log.id IS 'Ordered within a session, not between them.';
COMMENT ON COLUMN telehealth.audit_log.at IS 'When it was done.';
COMMENT ON COLUMN telehealth.audit_log.actor IS 'The role that did it.';
COMMENT ON COLUMN telehealth.audit_log.action IS 'What was done, mostly the name of a function.';
COMMENT ON COLUMN telehealth.audit_log.object IS 'What it was done to.';
COMMENT ON COLUMN telehealth.audit_log.object_id IS 'Its number.';
COMMENT ON COLUMN telehealth.audit_log.detail IS 'Further facts; no patient data, no secrets.';
COMMENT ON COLUMN telehealth.audit_log.chain_no IS 'Place in the clinic''s chain, from 1; null until chained.';
COMMENT ON COLUMN telehealth.audit_log.chain_hash IS 'SHA-256 over the hash before and this row.';

/* ---- telehealth_private.account_secret ---- */

COMMENT ON TABLE telehealth_private.account_secret IS 'Credentials of accounts, sealed with the key ring and bound to their row.';
COMMENT ON COLUMN telehealth_private.account_secret.clinic_id IS 'Of the account.';
COMMENT ON COLUMN telehealth_private.account_secret.account_id IS 'The account.';
COMMENT ON COLUMN telehealth_private.account_secret.name IS 'client_secret, webhook_secret and so on.';
COMMENT ON COLUMN telehealth_private.account_secret.envelope IS 'AES-256-GCM envelope; the key is not in the database.';

/* ---- telehealth_private.token_cache ---- */

COMMENT ON TABLE telehealth_private.token_cache IS 'Access tokens, sealed, so that a restart does not ask for new ones. Never dumped.';
COMMENT ON COLUMN telehealth_private.token_cache.clinic_id IS 'Of the account.';
COMMENT ON COLUMN telehealth_private.token_cache.account_id IS 'The account.';
COMMENT ON COLUMN telehealth_private.token_cache.envelope IS 'AES-256-GCM envelope.';
COMMENT ON COLUMN telehealth_private.token_cache.scopes IS 'What the token is good for, as the platform told.';
COMMENT ON COLUMN telehealth_private.token_cache.expires_at IS 'Until when it is good.';
COMMENT ON COLUMN telehealth_private.token_cache.obtained_at IS 'When it was given out.';

/* ---- telehealth_private.session_secret ---- */

COMMENT ON TABLE telehealth_private.session_secret IS 'Passcodes of meetings, sealed.';
COMMENT ON COLUMN telehealth_private.session_secret.clinic_id IS 'Of the session.';
COMMENT ON COLUMN telehealth_private.session_secret.session_id IS 'The session.';
COMMENT ON COLUMN telehealth_private.session_secret.name IS 'passcode';
COMMENT ON COLUMN telehealth_private.session_secret.envelope IS 'AES-256-GCM envelope.';

/* ---- telehealth_private.builtin_platform ---- */

COMMENT ON TABLE telehealth_private.builtin_platform IS 'Addresses of vendors as shipped; settings of an account override them.';
COMMENT ON COLUMN telehealth_private.builtin_platform.platform IS 'Name of the platform.';
COMMENT ON COLUMN telehealth_private.builtin_platform.api_url IS 'Base of its API.';
COMMENT ON COLUMN telehealth_private.builtin_platform.token_url IS 'Where tokens are given out.';

/* ---- telehealth_private.builtin_vendor_limit ---- */

COMMENT ON TABLE telehealth_private.builtin_vendor_limit IS 'Limits of vendors as shipped; telehealth.vendor_limit overrides them.';
COMMENT ON COLUMN telehealth_private.builtin_vendor_limit.vendor IS 'Whose limit.';
COMMENT ON COLUMN telehealth_private.builtin_vendor_limit.name IS 'What is limited, and of what: requests a day, requests a second, meetings at once, minutes.';
COMMENT ON COLUMN telehealth_private.builtin_vendor_limit.value IS 'Requests, meetings or minutes, as the name says.';
COMMENT ON COLUMN telehealth_private.builtin_vendor_limit.checked_on IS 'When the vendor last said so.';

/* ---- telehealth_private.builtin_disclosure_policy ---- */

COMMENT ON TABLE telehealth_private.builtin_disclosure_policy IS 'What may leave by default; telehealth.disclosure_policy overrides it.';
COMMENT ON COLUMN telehealth_private.builtin_disclosure_policy.target IS 'Who would get it.';
COMMENT ON COLUMN telehealth_private.builtin_disclosure_policy.fact IS 'What.';
COMMENT ON COLUMN telehealth_private.builtin_disclosure_policy.is_allowed IS 'Whether it may leave.';

/* ---- telehealth_private.role_grant ---- */

COMMENT ON TABLE telehealth_private.role_grant IS 'What grant_role() granted; may_see() reads it.';
COMMENT ON COLUMN telehealth_private.role_grant.grantee IS 'Name of the role.';
COMMENT ON COLUMN telehealth_private.role_grant.kind IS 'admin, app, reader, worker or webhook.';
COMMENT ON COLUMN telehealth_private.role_grant.clinic_id IS '0: every clinic.';
COMMENT ON COLUMN telehealth_private.role_grant.granted_at IS 'Since when.';
COMMENT ON COLUMN telehealth_private.role_grant.grantee_oid IS 'The role itself; null if there was none of that name at a restore: the grant gives nothing then.';

/* ---- telehealth_private.job ---- */

COMMENT ON TABLE telehealth_private.job IS 'The queue: subjects whose outside differs from the tables, or may. A row is deleted when nothing is left to do. Never dumped.';
COMMENT ON COLUMN telehealth_private.job.kind IS 'meeting or hold: the subject is an appointment. provider, patient or clinic (0: all): their visits to come are marked in turn.';
COMMENT ON COLUMN telehealth_private.job.clinic_id IS 'Of the subject.';
COMMENT ON COLUMN telehealth_private.job.subject_id IS 'Number of the subject.';
COMMENT ON COLUMN telehealth_private.job.priority IS '0 starts soon, 1 create, 2 change, 3 background.';
COMMENT ON COLUMN telehealth_private.job.due_at IS 'When it is looked at next; while in work, the end of the lease; infinity when dead.';
COMMENT ON COLUMN telehealth_private.job.claim_no IS 'Fencing token of the last claim.';
COMMENT ON COLUMN telehealth_private.job.generation IS 'Raised by every mark; a settle that finds another one looks again.';
COMMENT ON COLUMN telehealth_private.job.attempts IS 'Claims since the last settle; above 0 the job is in work.';
COMMENT ON COLUMN telehealth_private.job.max_attempts IS 'telehealth.max_attempts at the last claim.';
COMMENT ON COLUMN telehealth_private.job.failures IS 'Consecutive failures; a new mark resets them.';
COMMENT ON COLUMN telehealth_private.job.marked_at IS 'When it was last marked.';
COMMENT ON COLUMN telehealth_private.job.waiting_for IS 'Why it waits, one word.';
COMMENT ON COLUMN telehealth_private.job.last_error IS 'What went wrong last, redacted.';
COMMENT ON COLUMN telehealth_private.job.dead_at IS 'Since when it is given up.';

/* ---- telehealth_private.job_history ---- */

COMMENT ON TABLE telehealth_private.job_history IS 'What was tried and how it ended: job_history_done for telehealth.history_days, job_failure for telehealth.failure_history_days. Never dumped.';
COMMENT ON COLUMN telehealth_private.job_history.at IS 'When it ended.';
COMMENT ON COLUMN telehealth_private.job_history.kind IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history.clinic_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history.subject_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history.claim_no IS 'The claim it was done under.';
COMMENT ON COLUMN telehealth_private.job_history.platform IS 'Where; null if nowhere.';
COMMENT ON COLUMN telehealth_private.job_history.action IS 'What was tried.';
COMMENT ON COLUMN telehealth_private.job_history.outcome IS 'How it ended.';
COMMENT ON COLUMN telehealth_private.job_history.http_status IS 'The platform''s answer.';
COMMENT ON COLUMN telehealth_private.job_history.code IS 'The platform''s own code.';
COMMENT ON COLUMN telehealth_private.job_history.message IS 'Its message, redacted.';
COMMENT ON COLUMN telehealth_private.job_history.host IS 'Network host that was asked.';
COMMENT ON COLUMN telehealth_private.job_history.total_ms IS 'Milliseconds it took.';
COMMENT ON COLUMN telehealth_private.job_history.retry_at IS 'When it is tried again.';
COMMENT ON TABLE telehealth_private.job_history_done IS 'What ended well, or came to nothing, in a partition a day (UTC).';
COMMENT ON COLUMN telehealth_private.job_history_done.at IS 'When it ended.';
COMMENT ON COLUMN telehealth_private.job_history_done.kind IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history_done.clinic_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history_done.subject_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history_done.claim_no IS 'The claim it was done under.';
COMMENT ON COLUMN telehealth_private.job_history_done.platform IS 'Where; null if nowhere.';
COMMENT ON COLUMN telehealth_private.job_history_done.action IS 'What was tried.';
COMMENT ON COLUMN telehealth_private.job_history_done.outcome IS 'How it ended.';
COMMENT ON COLUMN telehealth_private.job_history_done.http_status IS 'The platform''s answer.';
COMMENT ON COLUMN telehealth_private.job_history_done.code IS 'The platform''s own code.';
COMMENT ON COLUMN telehealth_private.job_history_done.message IS 'Its message, redacted.';
COMMENT ON COLUMN telehealth_private.job_history_done.host IS 'Network host that was asked.';
COMMENT ON COLUMN telehealth_private.job_history_done.total_ms IS 'Milliseconds it took.';
COMMENT ON COLUMN telehealth_private.job_history_done.retry_at IS 'When it is tried again.';
COMMENT ON TABLE telehealth_private.job_history_default IS 'Holds what no dated partition does.';
COMMENT ON COLUMN telehealth_private.job_history_default.at IS 'When it ended.';
COMMENT ON COLUMN telehealth_private.job_history_default.kind IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history_default.clinic_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history_default.subject_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_history_default.claim_no IS 'The claim it was done under.';
COMMENT ON COLUMN telehealth_private.job_history_default.platform IS 'Where; null if nowhere.';
COMMENT ON COLUMN telehealth_private.job_history_default.action IS 'What was tried.';
COMMENT ON COLUMN telehealth_private.job_history_default.outcome IS 'How it ended.';
COMMENT ON COLUMN telehealth_private.job_history_default.http_status IS 'The platform''s answer.';
COMMENT ON COLUMN telehealth_private.job_history_default.code IS 'The platform''s own code.';
COMMENT ON COLUMN telehealth_private.job_history_default.message IS 'Its message, redacted.';
COMMENT ON COLUMN telehealth_private.job_history_default.host IS 'Network host that was asked.';
COMMENT ON COLUMN telehealth_private.job_history_default.total_ms IS 'Milliseconds it took.';
COMMENT ON COLUMN telehealth_private.job_history_default.retry_at IS 'When it is tried again.';
COMMENT ON TABLE telehealth_private.job_failure IS 'What failed, for the time being or for good, in a partition a month (UTC).';
COMMENT ON COLUMN telehealth_private.job_failure.at IS 'When it ended.';
COMMENT ON COLUMN telehealth_private.job_failure.kind IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_failure.clinic_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_failure.subject_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_failure.claim_no IS 'The claim it was done under.';
COMMENT ON COLUMN telehealth_private.job_failure.platform IS 'Where; null if nowhere.';
COMMENT ON COLUMN telehealth_private.job_failure.action IS 'What was tried.';
COMMENT ON COLUMN telehealth_private.job_failure.outcome IS 'How it ended.';
COMMENT ON COLUMN telehealth_private.job_failure.http_status IS 'The platform''s answer.';
COMMENT ON COLUMN telehealth_private.job_failure.code IS 'The platform''s own code.';
COMMENT ON COLUMN telehealth_private.job_failure.message IS 'Its message, redacted.';
COMMENT ON COLUMN telehealth_private.job_failure.host IS 'Network host that was asked.';
COMMENT ON COLUMN telehealth_private.job_failure.total_ms IS 'Milliseconds it took.';
COMMENT ON COLUMN telehealth_private.job_failure.retry_at IS 'When it is tried again.';
COMMENT ON TABLE telehealth_private.job_failure_default IS 'Holds what no dated partition does.';
COMMENT ON COLUMN telehealth_private.job_failure_default.at IS 'When it ended.';
COMMENT ON COLUMN telehealth_private.job_failure_default.kind IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_failure_default.clinic_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_failure_default.subject_id IS 'Of the job.';
COMMENT ON COLUMN telehealth_private.job_failure_default.claim_no IS 'The claim it was done under.';
COMMENT ON COLUMN telehealth_private.job_failure_default.platform IS 'Where; null if nowhere.';
COMMENT ON COLUMN telehealth_private.job_failure_default.action IS 'What was tried.';
COMMENT ON COLUMN telehealth_private.job_failure_default.outcome IS 'How it ended.';
COMMENT ON COLUMN telehealth_private.job_failure_default.http_status IS 'The platform''s answer.';
COMMENT ON COLUMN telehealth_private.job_failure_default.code IS 'The platform''s own code.';
COMMENT ON COLUMN telehealth_private.job_failure_default.message IS 'Its message, redacted.';
COMMENT ON COLUMN telehealth_private.job_failure_default.host IS 'Network host that was asked.';
COMMENT ON COLUMN telehealth_private.job_failure_default.total_ms IS 'Milliseconds it took.';
COMMENT ON COLUMN telehealth_private.job_failure_default.retry_at IS 'When it is tried again.';

/* ---- telehealth_private.quota ---- */

COMMENT ON TABLE telehealth_private.quota IS 'Requests that count against a host''s daily limit. Never dumped.';
COMMENT ON COLUMN telehealth_private.quota.clinic_id IS 'Of the account.';
COMMENT ON COLUMN telehealth_private.quota.account_id IS 'The account.';
COMMENT ON COLUMN telehealth_private.quota.host IS 'The host at the platform.';
COMMENT ON COLUMN telehealth_private.quota.day IS 'UTC.';
COMMENT ON COLUMN telehealth_private.quota.used IS 'Requests of that day.';
COMMENT ON COLUMN telehealth_private.quota.quota_until IS 'Until when the platform refuses more.';

/* ---- telehealth_private.environment ---- */

COMMENT ON TABLE telehealth_private.environment IS 'Which database this is: one row. A copy elsewhere sends nothing until adopt_environment().';
COMMENT ON COLUMN telehealth_private.environment.is_only IS 'True: there is one row.';
COMMENT ON COLUMN telehealth_private.environment.system_identifier IS 'Of the server.';
COMMENT ON COLUMN telehealth_private.environment.database_oid IS 'Of the database.';
COMMENT ON COLUMN telehealth_private.environment.environment IS 'telehealth.environment at that time.';
COMMENT ON COLUMN telehealth_private.environment.adopted_at IS 'When.';
COMMENT ON COLUMN telehealth_private.environment.adopted_by IS 'Who.';

/* ---- telehealth_private.pause ---- */

COMMENT ON TABLE telehealth_private.pause IS 'One row while outward work is paused.';
COMMENT ON COLUMN telehealth_private.pause.is_only IS 'True: there is one row.';
COMMENT ON COLUMN telehealth_private.pause.reason IS 'Why.';
COMMENT ON COLUMN telehealth_private.pause.paused_at IS 'Since when.';
COMMENT ON COLUMN telehealth_private.pause.paused_by IS 'By whom.';

/* ---- telehealth_private.history_hold ---- */

COMMENT ON TABLE telehealth_private.history_hold IS 'One row while no history is dropped.';
COMMENT ON COLUMN telehealth_private.history_hold.is_only IS 'True: there is one row.';
COMMENT ON COLUMN telehealth_private.history_hold.reason IS 'Why.';
COMMENT ON COLUMN telehealth_private.history_hold.held_at IS 'Since when.';
COMMENT ON COLUMN telehealth_private.history_hold.held_by IS 'By whom.';

/* ---- sequences ---- */

COMMENT ON SEQUENCE telehealth.clinic_id_seq IS 'Numbers of telehealth.clinic.';
COMMENT ON SEQUENCE telehealth.provider_id_seq IS 'Numbers of telehealth.provider.';
COMMENT ON SEQUENCE telehealth.patient_id_seq IS 'Numbers of telehealth.patient.';
COMMENT ON SEQUENCE telehealth.appointment_id_seq IS 'Numbers of telehealth.appointment.';
COMMENT ON SEQUENCE telehealth.session_id_seq IS 'Numbers of telehealth.session.';
COMMENT ON SEQUENCE telehealth.account_id_seq IS 'Numbers of telehealth.account.';
COMMENT ON SEQUENCE telehealth.audit_log_id_seq IS 'Numbers of telehealth.audit_log.';
COMMENT ON SEQUENCE telehealth_private.claim_no_seq IS 'Fencing tokens: every claim draws one, so that they only ever rise.';

/* ---- functions of the API ---- */

COMMENT ON FUNCTION telehealth.current_clinic() IS 'The clinic of this connection, from telehealth.clinic_id: a default, never a proof of anything.';
COMMENT ON FUNCTION telehealth_private.may_administer(bigint, name) IS 'True if the role has an admin''s or the worker''s grant for the clinic, itself or through a role whose privileges it has; 0 asks for all clinics.';
COMMENT ON FUNCTION telehealth.may_see(bigint, name) IS 'True if the role has a grant for the clinic, itself or through a role whose privileges it has. A reader grant counts only for a role that is nothing more in any clinic.';
COMMENT ON FUNCTION telehealth.connect_platform(text, jsonb, jsonb, bigint) IS 'Stores credentials of a video platform, sealed, and returns the number of the account. A value may be file:/path or env:NAME, read on the server. Connecting again replaces. Errors: 22023 for what is missing, unknown or wrong; 42501. For admins.';
COMMENT ON FUNCTION telehealth.configure_platform(bigint, jsonb) IS 'Merges settings into those of an account; null removes one. Its meetings are looked at again. Errors: P0002, 22023, 42501. For admins.';
COMMENT ON FUNCTION telehealth.disconnect_platform(bigint) IS 'Deletes the secrets and tokens of an account. Its meetings stay where they are; those not made yet go to the clinic''s fallback platform, if there is one. Errors: P0002, 42501. For admins.';
COMMENT ON FUNCTION telehealth.check_platform(bigint) IS 'The doctor: one row per check of an account, with status ok, warning or error and a hint. Asks the platform through the dispatcher. Errors: P0002, 42501. For admins.';
COMMENT ON FUNCTION telehealth.ensure_meeting(bigint) IS 'Wants a meeting for the appointment and marks it, also if it was given up. Errors: P0002, 42501. For apps.';
COMMENT ON FUNCTION telehealth.cancel_meeting(bigint) IS 'Wants no meeting for the appointment any more; a meeting that exists is removed. Errors: P0002, 42501. For apps.';
COMMENT ON FUNCTION telehealth.backfill_meetings(timestamptz) IS 'Marks visits from that instant on that want a meeting and have none; returns their number. Errors: 42501. For apps.';
COMMENT ON FUNCTION telehealth.await_meeting(bigint, interval) IS 'Waits until the meeting of an appointment has its link, and returns the session. Errors: 55000 with the reason, at once where waiting cannot help; TH002 if the platform refused; P0002; 42501. For apps.';
COMMENT ON FUNCTION telehealth.host_start_url(bigint, interval) IS 'The link that starts the meeting as its host, fetched from the platform now and stored nowhere. Audited. Errors: 55000, 08006, P0002, 42501. For apps.';
COMMENT ON FUNCTION telehealth.appointment_ics(bigint, text) IS 'The appointment as iCalendar text; method PUBLISH, REQUEST or CANCEL; a REQUEST for a cancelled visit becomes a CANCEL. Title, location and link only as the policy for target feed allows, in REQUEST and CANCEL that for email, as well as the names and addresses of organizer (the provider) and attendee (the patient); an address that stays here is invalid:nomail. Errors: 22023, P0002. For apps.';
COMMENT ON FUNCTION telehealth.explain_appointment(bigint) IS 'What happened to an appointment, in order: when, what, with what result, what is next. Errors: P0002, 42501. For apps.';
COMMENT ON FUNCTION telehealth.retry_job(text, bigint) IS 'Looks at a job of this clinic again, at once; false if there is none. Errors: 42501. For admins.';
COMMENT ON FUNCTION telehealth.retry_dead_jobs(bigint) IS 'Looks again at all jobs of the clinic (this one if null, every clinic if 0) that were given up; returns their number. Errors: 42501. For admins.';
COMMENT ON FUNCTION telehealth.pause_outbound(text) IS 'Holds all outward work of this database until resume_outbound(). Errors: 22023 without a reason, 42501. For admins of clinic 0.';
COMMENT ON FUNCTION telehealth.resume_outbound() IS 'Ends a pause; false if there was none. Errors: 42501. For admins of clinic 0.';
COMMENT ON FUNCTION telehealth.hold_history(text) IS 'Keeps all history of work, whatever its age, until release_history(): for an investigation. Errors: 22023 without a reason, 42501. For admins of clinic 0.';
COMMENT ON FUNCTION telehealth.release_history() IS 'Ends hold_history(); false if there was none. Errors: 42501. For admins of clinic 0.';
COMMENT ON FUNCTION telehealth.adopt_environment() IS 'Makes this database the one that may send, and marks every meeting that differs from what the tables want; returns their number. Errors: 42501. For members of the role that owns the extension.';
COMMENT ON FUNCTION telehealth.rotate_keys() IS 'Seals with the first key of the ring what is sealed with another; returns how many secrets. Errors: TH001, 42501. For admins of clinic 0.';
COMMENT ON FUNCTION telehealth.grant_role(regrole, text, bigint) IS 'Lets a role be admin, app, reader, worker or webhook of a clinic (0: every clinic), and makes the GRANTs that go with it. Errors: 22023, 42501. For members of the role that owns the extension.';
COMMENT ON FUNCTION telehealth.revoke_role(regrole, text, bigint) IS 'Takes back what grant_role() granted; false if there was no such grant. Errors: 22023, 42501. For members of the role that owns the extension.';

/* ---- functions of our own ---- */

COMMENT ON FUNCTION telehealth_private.add_minutes(timestamptz, integer) IS 'The instant that many minutes later. Errors: 22008.';
COMMENT ON FUNCTION telehealth_private.is_timezone(text) IS 'True for an IANA time zone name that this server knows, as the tz database spells it; not for POSIX rules.';
COMMENT ON FUNCTION telehealth_private.caller() IS 'The user of the present statement, or of the elevated function that runs.';
COMMENT ON FUNCTION telehealth_private.require_kind(text, bigint) IS 'Errors with 42501 unless the caller has that kind of grant for the clinic.';
COMMENT ON FUNCTION telehealth_private.require_owner(text) IS 'Errors with 42501 unless the caller is a member of the role that owns the extension.';
COMMENT ON FUNCTION telehealth_private.mark(text, bigint[], bigint[], integer) IS 'Marks subjects: the dispatcher looks at them after the commit.';
COMMENT ON FUNCTION telehealth_private.wake() IS 'Wakes the dispatcher at commit.';
COMMENT ON FUNCTION telehealth_private.wake_launcher() IS 'Lets the launcher look for this database at commit.';
COMMENT ON FUNCTION telehealth_private.wants_meeting(telehealth.appointment_type, telehealth.appointment_status, boolean) IS 'True if an appointment like this wants a meeting, whenever it is.';
COMMENT ON FUNCTION telehealth_private.priority_at(timestamptz, timestamptz, integer) IS 'Class of the queue: 0 for a visit that starts within 15 minutes, else the one given.';
COMMENT ON FUNCTION telehealth_private.hint(text) IS 'What to do about a reason for waiting.';
COMMENT ON FUNCTION telehealth_private.hint_reason(text) IS 'A reason for waiting, in words.';
COMMENT ON FUNCTION telehealth_private.audit(bigint, text, text, bigint, jsonb) IS 'Writes a row of the audit log for the caller.';
COMMENT ON FUNCTION telehealth_private.grants_of(text) IS 'What one kind of role may do, as GRANT and REVOKE take it.';
COMMENT ON FUNCTION telehealth_private.apply_grants(regrole, text) IS 'Makes the GRANTs of one kind of role.';
COMMENT ON FUNCTION telehealth_private.renew_grants() IS 'Makes the GRANTs of every role that has a grant anew, in a way that dumps keep. For updates and restores.';
COMMENT ON FUNCTION telehealth_private.withdraw_grants(regrole, text) IS 'Takes the GRANTs of one kind of role away.';
COMMENT ON FUNCTION telehealth_private.tidy_grants() IS 'Removes the grants of dropped roles, and renames those of renamed ones.';
COMMENT ON FUNCTION telehealth_private.check_grant(regrole, text, bigint) IS 'The name of a role that may be granted something. Errors: 22004, 22023, 42704, 0LP01.';
COMMENT ON FUNCTION telehealth_private.account_clinic(bigint) IS 'The clinic an account belongs to: the present one, else 0. Errors: P0002.';
COMMENT ON FUNCTION telehealth_private.mark_unmet(text, bigint) IS 'Marks the visits that a newly connected account may serve; returns their number.';
COMMENT ON FUNCTION telehealth_private.platforms_of(text, text, text[]) IS 'Platforms that may have the meeting of an appointment, by its own, its clinic''s and the fallbacks.';
COMMENT ON FUNCTION telehealth_private.mark_account(bigint, bigint) IS 'Marks the meetings that an account has; returns their number.';
COMMENT ON FUNCTION telehealth_private.ask_check_account(bigint, bigint) IS 'Lets the dispatcher check an account at its platform; an array of check, status, detail, hint. Errors: 55000, 08006.';
COMMENT ON FUNCTION telehealth_private.check_account_here(bigint, bigint) IS 'The checks of an account that need no network.';
COMMENT ON FUNCTION telehealth_private.want_meeting(bigint, bigint, boolean, integer) IS 'Sets is_meeting_wanted and marks the appointment. Errors: P0002.';
COMMENT ON FUNCTION telehealth_private.history_what(text, text) IS 'An action of the history, in words.';
COMMENT ON FUNCTION telehealth_private.history_result(text, text, integer, integer, text, text) IS 'An outcome of the history, in words.';
COMMENT ON FUNCTION telehealth_private.history_next(text, timestamptz) IS 'What follows an outcome of the history.';
COMMENT ON FUNCTION telehealth_private.story_of_rows(bigint, bigint) IS 'Part of explain_appointment(): the appointment, its sessions, the audit log.';
COMMENT ON FUNCTION telehealth_private.story_of_work(bigint, bigint) IS 'Part of explain_appointment(): history and queue.';
COMMENT ON FUNCTION telehealth_private.story_of_visit(bigint, bigint) IS 'Part of explain_appointment(): what platforms told, and what they were asked.';
COMMENT ON FUNCTION telehealth_private.story_now(bigint, bigint) IS 'Part of explain_appointment(): how it stands.';
COMMENT ON FUNCTION telehealth_private.audit_text(telehealth.audit_log) IS 'What the hash of an audit row covers.';
COMMENT ON FUNCTION telehealth_private.keep_history(timestamptz, integer, integer, integer) IS 'Keeps the partitions of job_history: what ended well for so many days, what failed for so many; while history is held none is dropped. Nor are busy times that are over, which otherwise go after the same days. For the dispatcher, as the owner.';
COMMENT ON FUNCTION telehealth_private.trim_busy_time(timestamptz, integer) IS 'Removes at most so many busy times of all clinics that ended before an instant, the oldest first, but for those that somebody holds. For the dispatcher, as the owner.';
COMMENT ON FUNCTION telehealth_private.keep_partitions(text, text, text, timestamptz, integer, integer) IS 'Makes the partition of this day or month and of the next, drops those older than so many days, and removes at most so many such rows of the default one. A parent, the prefix of the names of its partitions, day or month.';
COMMENT ON FUNCTION telehealth_private.chain_audit(integer) IS 'Chains at most so many audit rows by hash; returns their number. For the dispatcher.';
COMMENT ON FUNCTION telehealth_private.worker_slots() IS 'The dispatcher of this database as shared memory tells; one row, also when there is none.';
COMMENT ON FUNCTION telehealth_private.periodic_tasks() IS 'The periodic tasks of that dispatcher as shared memory tells.';
COMMENT ON FUNCTION telehealth_private.key_status() IS 'Where the keys come from (for those who may read all settings) and whether they can be read.';
COMMENT ON FUNCTION telehealth_private.reseal(bytea, text) IS 'An envelope sealed anew with the first key; null if it is already. Errors: TH001, XX001.';
COMMENT ON FUNCTION telehealth_private.forget_keys() IS 'Lets this session read the key ring again.';
COMMENT ON FUNCTION telehealth_private.try_reseal(bytea, text) IS 'reseal() that tells instead of failing when an envelope cannot be opened.';
COMMENT ON FUNCTION telehealth_private.outbound_held() IS 'Why outward work is held here: outbound_off, paused, environment_unconfirmed, or null.';
COMMENT ON FUNCTION telehealth_private.system_identifier() IS 'The system identifier of this server.';
COMMENT ON FUNCTION telehealth_private.mark_differing() IS 'Marks every subject whose wanted state differs from the confirmed one; returns the number of meetings.';
COMMENT ON FUNCTION telehealth_private.related_mark() IS 'Trigger: marks the providers, patients and clinics whose change meetings follow.';
COMMENT ON FUNCTION telehealth_private.appointment_mark() IS 'Trigger: marks what a statement on appointments changed for the outside.';
COMMENT ON FUNCTION telehealth_private.appointment_stamp() IS 'Trigger: keeps updated_at and sequence.';
COMMENT ON FUNCTION telehealth_private.role_grant_resolve() IS 'Trigger: finds the role of a grant by its name.';
COMMENT ON FUNCTION telehealth_private.role_grant_changed() IS 'Trigger: lets every session read the grants again.';
COMMENT ON FUNCTION telehealth_private.account_forget() IS 'Trigger: removes the secrets of accounts that go.';
COMMENT ON FUNCTION telehealth_private.session_forget() IS 'Trigger: removes the secrets of sessions that go.';
COMMENT ON FUNCTION telehealth_private.audit_log_protect() IS 'Trigger: refuses changes of the audit log. Errors: 55000.';
COMMENT ON FUNCTION telehealth_private.disconnect_platform(bigint) IS 'What telehealth.disconnect_platform(bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.check_platform(bigint) IS 'What telehealth.check_platform(bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.ensure_meeting(bigint) IS 'What telehealth.ensure_meeting(bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.cancel_meeting(bigint) IS 'What telehealth.cancel_meeting(bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.backfill_meetings(timestamptz) IS 'What telehealth.backfill_meetings(timestamptz) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.explain_appointment(bigint) IS 'What telehealth.explain_appointment(bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.retry_job(text, bigint) IS 'What telehealth.retry_job(text, bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.retry_dead_jobs(bigint) IS 'What telehealth.retry_dead_jobs(bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.hold_history(text) IS 'What telehealth.hold_history(text) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.release_history() IS 'What telehealth.release_history() does, as the owner.';
COMMENT ON FUNCTION telehealth_private.pause_outbound(text) IS 'What telehealth.pause_outbound(text) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.resume_outbound() IS 'What telehealth.resume_outbound() does, as the owner.';
COMMENT ON FUNCTION telehealth_private.adopt_environment() IS 'What telehealth.adopt_environment() does, as the owner.';
COMMENT ON FUNCTION telehealth_private.rotate_keys() IS 'What telehealth.rotate_keys() does, as the owner.';
COMMENT ON FUNCTION telehealth_private.grant_role(regrole, text, bigint) IS 'What telehealth.grant_role(regrole, text, bigint) does, as the owner.';
COMMENT ON FUNCTION telehealth_private.revoke_role(regrole, text, bigint) IS 'What telehealth.revoke_role(regrole, text, bigint) does, as the owner.';

/* ---- telehealth.health ---- */

COMMENT ON VIEW telehealth.health IS 'One row a check of this database; an error needs somebody.';
COMMENT ON COLUMN telehealth.health.check_name IS 'What was checked.';
COMMENT ON COLUMN telehealth.health.status IS 'ok, warning or error.';
COMMENT ON COLUMN telehealth.health.detail IS 'What was found.';
COMMENT ON COLUMN telehealth.health.hint IS 'What to do.';

/* ---- telehealth.worker_status ---- */

COMMENT ON VIEW telehealth.worker_status IS 'The dispatcher of this database: one row, also when there is none.';
COMMENT ON COLUMN telehealth.worker_status.state IS 'running, starting, parked, failed, absent, none, not_preloaded, version_mismatch.';
COMMENT ON COLUMN telehealth.worker_status.pid IS 'Its process.';
COMMENT ON COLUMN telehealth.worker_status.started_at IS 'Since when it runs.';
COMMENT ON COLUMN telehealth.worker_status.retry_at IS 'When it is started again after a failure.';
COMMENT ON COLUMN telehealth.worker_status.failures IS 'Consecutive failed starts.';
COMMENT ON COLUMN telehealth.worker_status.phase IS 'What it is doing.';
COMMENT ON COLUMN telehealth.worker_status.held_reason IS 'Why it sends nothing.';
COMMENT ON COLUMN telehealth.worker_status.in_flight IS 'Requests under way.';
COMMENT ON COLUMN telehealth.worker_status.waiting IS 'Claimed jobs that wait for a place or a token.';
COMMENT ON COLUMN telehealth.worker_status.claimed IS 'Jobs claimed since its start.';
COMMENT ON COLUMN telehealth.worker_status.settled IS 'Jobs settled since its start.';
COMMENT ON COLUMN telehealth.worker_status.failed IS 'Failures since its start.';
COMMENT ON COLUMN telehealth.worker_status.cycles IS 'Turns of its loop.';
COMMENT ON COLUMN telehealth.worker_status.wakes IS 'How often it was woken.';
COMMENT ON COLUMN telehealth.worker_status.last_cycle_at IS 'Its last turn.';
COMMENT ON COLUMN telehealth.worker_status.last_error_at IS 'Its last error.';
COMMENT ON COLUMN telehealth.worker_status.last_sqlstate IS 'SQLSTATE of that.';
COMMENT ON COLUMN telehealth.worker_status.shared_credentials IS 'Other databases of this server that use one of its credentials.';
COMMENT ON COLUMN telehealth.worker_status.launcher_pid IS 'Process of the launcher.';

/* ---- telehealth.periodic_tasks ---- */

COMMENT ON VIEW telehealth.periodic_tasks IS 'What the dispatcher of this database does now and then: one row a task, also when there is no dispatcher.';
COMMENT ON COLUMN telehealth.periodic_tasks.task IS 'claim, full_scan, history, audit_chain, vendor_limits, feeds, events, connections.';
COMMENT ON COLUMN telehealth.periodic_tasks.every_interval IS 'How often it is done.';
COMMENT ON COLUMN telehealth.periodic_tasks.last_success_at IS 'When it last succeeded, since the database has a dispatcher.';
COMMENT ON COLUMN telehealth.periodic_tasks.next_due_at IS 'When it is due by that.';
COMMENT ON COLUMN telehealth.periodic_tasks.is_overdue IS 'True if it is late by two intervals: health says so while the worker runs.';

/* ---- telehealth.job_status ---- */

COMMENT ON VIEW telehealth.job_status IS 'The queue.';
COMMENT ON COLUMN telehealth.job_status.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.job_status.kind IS 'meeting or hold.';
COMMENT ON COLUMN telehealth.job_status.subject_id IS 'Number of the appointment.';
COMMENT ON COLUMN telehealth.job_status.state IS 'queued, running, waiting or dead.';
COMMENT ON COLUMN telehealth.job_status.priority IS '0 starts soon, 1 create, 2 change, 3 background.';
COMMENT ON COLUMN telehealth.job_status.due_at IS 'When it is looked at next.';
COMMENT ON COLUMN telehealth.job_status.attempts IS 'Claims since the last settle.';
COMMENT ON COLUMN telehealth.job_status.failures IS 'Consecutive failures.';
COMMENT ON COLUMN telehealth.job_status.waiting_for IS 'Why it waits, one word.';
COMMENT ON COLUMN telehealth.job_status.last_error IS 'What went wrong last, redacted.';
COMMENT ON COLUMN telehealth.job_status.marked_at IS 'When it was last marked.';

/* ---- telehealth.dead_jobs ---- */

COMMENT ON VIEW telehealth.dead_jobs IS 'Jobs that were given up.';
COMMENT ON COLUMN telehealth.dead_jobs.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.dead_jobs.kind IS 'meeting or hold.';
COMMENT ON COLUMN telehealth.dead_jobs.subject_id IS 'Number of the appointment.';
COMMENT ON COLUMN telehealth.dead_jobs.dead_at IS 'Since when.';
COMMENT ON COLUMN telehealth.dead_jobs.failures IS 'Consecutive failures.';
COMMENT ON COLUMN telehealth.dead_jobs.last_error IS 'Why, redacted.';
COMMENT ON COLUMN telehealth.dead_jobs.hint IS 'What to do.';

/* ---- telehealth.platform_status ---- */

COMMENT ON VIEW telehealth.platform_status IS 'The accounts at video platforms.';
COMMENT ON COLUMN telehealth.platform_status.clinic_id IS '0: the default account.';
COMMENT ON COLUMN telehealth.platform_status.account_id IS 'Number of the account.';
COMMENT ON COLUMN telehealth.platform_status.platform IS 'Where.';
COMMENT ON COLUMN telehealth.platform_status.status IS 'connected, disconnected, error or key_missing.';
COMMENT ON COLUMN telehealth.platform_status.connected_at IS 'When the credentials were stored.';
COMMENT ON COLUMN telehealth.platform_status.token_expires_at IS 'Until when the access token is good.';
COMMENT ON COLUMN telehealth.platform_status.missing_scope IS 'Permission that the account''s app lacks.';
COMMENT ON COLUMN telehealth.platform_status.last_error IS 'Why it does not work, redacted.';
COMMENT ON COLUMN telehealth.platform_status.last_error_at IS 'Since when.';
COMMENT ON COLUMN telehealth.platform_status.clock_skew IS 'The platform''s clock less ours.';
COMMENT ON COLUMN telehealth.platform_status.quota_used IS 'Today''s (UTC) counted requests by host.';
COMMENT ON COLUMN telehealth.platform_status.quota_until IS 'Until when the platform refuses more.';

/* ---- telehealth.upcoming_sessions ---- */

COMMENT ON VIEW telehealth.upcoming_sessions IS 'Video visits to come.';
COMMENT ON COLUMN telehealth.upcoming_sessions.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.upcoming_sessions.appointment_id IS 'The appointment.';
COMMENT ON COLUMN telehealth.upcoming_sessions.provider_id IS 'The clinician.';
COMMENT ON COLUMN telehealth.upcoming_sessions.status IS 'Of the appointment.';
COMMENT ON COLUMN telehealth.upcoming_sessions.starts_at IS 'When.';
COMMENT ON COLUMN telehealth.upcoming_sessions.ends_at IS 'Until when.';
COMMENT ON COLUMN telehealth.upcoming_sessions.session_id IS 'The live session, if there is one.';
COMMENT ON COLUMN telehealth.upcoming_sessions.platform IS 'Where the meeting is.';
COMMENT ON COLUMN telehealth.upcoming_sessions.session_status IS 'Of the session.';
COMMENT ON COLUMN telehealth.upcoming_sessions.is_ready IS 'Whether the link is in the appointment.';
COMMENT ON COLUMN telehealth.upcoming_sessions.deviation IS 'What the platform made different.';

/* ---- telehealth_private.crowded_visit ---- */

COMMENT ON VIEW telehealth_private.crowded_visit IS 'Visits of the next seven days that begin while their host is in as many meetings as it can run.';
COMMENT ON COLUMN telehealth_private.crowded_visit.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth_private.crowded_visit.appointment_id IS 'The appointment.';
COMMENT ON COLUMN telehealth_private.crowded_visit.provider_id IS 'The clinician.';
COMMENT ON COLUMN telehealth_private.crowded_visit.starts_at IS 'When.';
COMMENT ON COLUMN telehealth_private.crowded_visit.host IS 'The user of the platform.';
COMMENT ON COLUMN telehealth_private.crowded_visit.at_once IS 'Meetings of the host then, this one included.';

/* ---- telehealth.not_ready ---- */

COMMENT ON VIEW telehealth.not_ready IS 'Video visits of the next 24 hours whose meeting is not as the appointment wants it, or whose host is in another.';
COMMENT ON COLUMN telehealth.not_ready.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.not_ready.appointment_id IS 'The appointment.';
COMMENT ON COLUMN telehealth.not_ready.provider_id IS 'The clinician.';
COMMENT ON COLUMN telehealth.not_ready.starts_at IS 'When.';
COMMENT ON COLUMN telehealth.not_ready.starts_in IS 'From now; negative when it has begun.';
COMMENT ON COLUMN telehealth.not_ready.reason IS 'Why, one word.';
COMMENT ON COLUMN telehealth.not_ready.detail IS 'Why, in words.';
COMMENT ON COLUMN telehealth.not_ready.hint IS 'What to do.';

/* ---- telehealth.orphan_meetings ---- */

COMMENT ON VIEW telehealth.orphan_meetings IS 'Meetings that exist at a platform although no appointment wants them.';
COMMENT ON COLUMN telehealth.orphan_meetings.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.orphan_meetings.session_id IS 'The session.';
COMMENT ON COLUMN telehealth.orphan_meetings.appointment_id IS 'The appointment it was for.';
COMMENT ON COLUMN telehealth.orphan_meetings.provider_id IS 'The clinician.';
COMMENT ON COLUMN telehealth.orphan_meetings.platform IS 'Where.';
COMMENT ON COLUMN telehealth.orphan_meetings.meeting_id IS 'The platform''s number.';
COMMENT ON COLUMN telehealth.orphan_meetings.scheduled_at IS 'When it was to be.';
COMMENT ON COLUMN telehealth.orphan_meetings.retired_at IS 'Since when it is not wanted.';
COMMENT ON COLUMN telehealth.orphan_meetings.due_at IS 'When its removal is tried next.';
COMMENT ON COLUMN telehealth.orphan_meetings.waiting_for IS 'Why that waits.';
COMMENT ON COLUMN telehealth.orphan_meetings.last_error IS 'What went wrong last.';

/* ---- telehealth.duplicate_meetings ---- */

COMMENT ON VIEW telehealth.duplicate_meetings IS 'Live sessions that share a remote meeting; there should be none.';
COMMENT ON COLUMN telehealth.duplicate_meetings.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.duplicate_meetings.session_id IS 'The session.';
COMMENT ON COLUMN telehealth.duplicate_meetings.appointment_id IS 'Its appointment.';
COMMENT ON COLUMN telehealth.duplicate_meetings.platform IS 'Where.';
COMMENT ON COLUMN telehealth.duplicate_meetings.meeting_id IS 'The platform''s number.';

/* ---- telehealth_private.health_worker ---- */

COMMENT ON VIEW telehealth_private.health_worker IS 'What the checks of the processes need, once.';
COMMENT ON COLUMN telehealth_private.health_worker.state IS 'Of the dispatcher.';
COMMENT ON COLUMN telehealth_private.health_worker.is_up IS 'Whether it runs.';
COMMENT ON COLUMN telehealth_private.health_worker.failures IS 'Consecutive failed starts.';
COMMENT ON COLUMN telehealth_private.health_worker.retry_at IS 'Next start.';
COMMENT ON COLUMN telehealth_private.health_worker.last_sqlstate IS 'Of its last error.';
COMMENT ON COLUMN telehealth_private.health_worker.shared_credentials IS 'Other databases with one of its credentials.';
COMMENT ON COLUMN telehealth_private.health_worker.due IS 'Jobs that are due.';
COMMENT ON COLUMN telehealth_private.health_worker.dead IS 'Jobs that were given up.';
COMMENT ON COLUMN telehealth_private.health_worker.oldest IS 'Age of the oldest job that is due.';

/* ---- telehealth_private.health_processes ---- */

COMMENT ON VIEW telehealth_private.health_processes IS 'Part of telehealth.health: the dispatcher and its queue.';
COMMENT ON COLUMN telehealth_private.health_processes.place IS 'Order in telehealth.health.';
COMMENT ON COLUMN telehealth_private.health_processes.check_name IS 'What was checked.';
COMMENT ON COLUMN telehealth_private.health_processes.status IS 'ok, warning or error.';
COMMENT ON COLUMN telehealth_private.health_processes.detail IS 'What was found.';
COMMENT ON COLUMN telehealth_private.health_processes.hint IS 'What to do.';

/* ---- telehealth_private.health_environment ---- */

COMMENT ON VIEW telehealth_private.health_environment IS 'Part of telehealth.health: whether this database may send.';
COMMENT ON COLUMN telehealth_private.health_environment.place IS 'Order in telehealth.health.';
COMMENT ON COLUMN telehealth_private.health_environment.check_name IS 'What was checked.';
COMMENT ON COLUMN telehealth_private.health_environment.status IS 'ok, warning or error.';
COMMENT ON COLUMN telehealth_private.health_environment.detail IS 'What was found.';
COMMENT ON COLUMN telehealth_private.health_environment.hint IS 'What to do.';

/* ---- telehealth_private.health_accounts ---- */

COMMENT ON VIEW telehealth_private.health_accounts IS 'Part of telehealth.health: keys and accounts.';
COMMENT ON COLUMN telehealth_private.health_accounts.place IS 'Order in telehealth.health.';
COMMENT ON COLUMN telehealth_private.health_accounts.check_name IS 'What was checked.';
COMMENT ON COLUMN telehealth_private.health_accounts.status IS 'ok, warning or error.';
COMMENT ON COLUMN telehealth_private.health_accounts.detail IS 'What was found.';
COMMENT ON COLUMN telehealth_private.health_accounts.hint IS 'What to do.';

/* ---- telehealth_private.health_visits ---- */

COMMENT ON VIEW telehealth_private.health_visits IS 'Part of telehealth.health: holds and meetings.';
COMMENT ON COLUMN telehealth_private.health_visits.place IS 'Order in telehealth.health.';
COMMENT ON COLUMN telehealth_private.health_visits.check_name IS 'What was checked.';
COMMENT ON COLUMN telehealth_private.health_visits.status IS 'ok, warning or error.';
COMMENT ON COLUMN telehealth_private.health_visits.detail IS 'What was found.';
COMMENT ON COLUMN telehealth_private.health_visits.hint IS 'What to do.';

/* ---- telehealth_private.health_roles ---- */

COMMENT ON VIEW telehealth_private.health_roles IS 'Part of telehealth.health: what was granted to roles that are not there.';
COMMENT ON COLUMN telehealth_private.health_roles.place IS 'Order in telehealth.health.';
COMMENT ON COLUMN telehealth_private.health_roles.check_name IS 'What was checked.';
COMMENT ON COLUMN telehealth_private.health_roles.status IS 'ok, warning or error.';
COMMENT ON COLUMN telehealth_private.health_roles.detail IS 'What was found.';
COMMENT ON COLUMN telehealth_private.health_roles.hint IS 'What to do.';

/* ---- triggers and policies ---- */

COMMENT ON TRIGGER appointment_mark_insert ON telehealth.appointment IS 'Marks new visits.';
COMMENT ON TRIGGER appointment_mark_update ON telehealth.appointment IS 'Marks changed visits.';
COMMENT ON TRIGGER appointment_mark_delete ON telehealth.appointment IS 'Marks deleted visits.';
COMMENT ON TRIGGER appointment_mark_truncate ON telehealth.appointment IS 'Marks the meetings that lose their visits, to be removed.';
COMMENT ON TRIGGER appointment_stamp ON telehealth.appointment IS 'Keeps updated_at and sequence.';
COMMENT ON TRIGGER provider_mark_insert ON telehealth.provider IS 'Marks the provider of a new row: its visits to come are looked at again.';
COMMENT ON TRIGGER provider_mark_update ON telehealth.provider IS 'Marks the provider of a changed row, if meetings follow the change.';
COMMENT ON TRIGGER provider_mark_delete ON telehealth.provider IS 'Marks the provider of a deleted row.';
COMMENT ON TRIGGER provider_mark_truncate ON telehealth.provider IS 'Marks every clinic.';
COMMENT ON TRIGGER clinic_mark_insert ON telehealth.clinic IS 'Marks the clinic of a new row: its visits to come are looked at again.';
COMMENT ON TRIGGER clinic_mark_update ON telehealth.clinic IS 'Marks the clinic of a changed row, if meetings follow the change.';
COMMENT ON TRIGGER clinic_mark_delete ON telehealth.clinic IS 'Marks the clinic of a deleted row.';
COMMENT ON TRIGGER clinic_mark_truncate ON telehealth.clinic IS 'Marks every clinic.';
COMMENT ON TRIGGER disclosure_policy_mark_insert ON telehealth.disclosure_policy IS 'Marks the clinic of a new row: its visits to come are looked at again.';
COMMENT ON TRIGGER disclosure_policy_mark_update ON telehealth.disclosure_policy IS 'Marks the clinic of a changed row, if meetings follow the change.';
COMMENT ON TRIGGER disclosure_policy_mark_delete ON telehealth.disclosure_policy IS 'Marks the clinic of a deleted row.';
COMMENT ON TRIGGER disclosure_policy_mark_truncate ON telehealth.disclosure_policy IS 'Marks every clinic.';
COMMENT ON TRIGGER patient_mark_update ON telehealth.patient IS 'Marks patients whose name changed, which may be in topics, or whose address, which may be invited.';
COMMENT ON TRIGGER patient_mark_delete ON telehealth.patient IS 'Marks patients who are deleted: their names go from topics, their addresses from events.';
COMMENT ON TRIGGER patient_mark_truncate ON telehealth.patient IS 'Marks every clinic.';
COMMENT ON TRIGGER role_grant_resolve ON telehealth_private.role_grant IS 'The role of that name here.';
COMMENT ON TRIGGER role_grant_changed ON telehealth_private.role_grant IS 'Lets every session read the grants again.';
COMMENT ON TRIGGER account_forget ON telehealth.account IS 'Secrets go with their account.';
COMMENT ON TRIGGER account_forget_truncate ON telehealth.account IS 'And with all of them.';
COMMENT ON TRIGGER session_forget ON telehealth.session IS 'Secrets go with their session.';
COMMENT ON TRIGGER session_forget_truncate ON telehealth.session IS 'And with all of them.';
COMMENT ON TRIGGER audit_log_protect ON telehealth.audit_log IS 'Rows may be chained once, never changed or removed.';
COMMENT ON TRIGGER audit_log_protect_truncate ON telehealth.audit_log IS 'Nor may the log be emptied.';
COMMENT ON POLICY clinic_insert_policy ON telehealth.clinic IS 'Administrators of the clinic alone may insert rows.';
COMMENT ON POLICY clinic_update_policy ON telehealth.clinic IS 'Administrators of the clinic alone may update rows.';
COMMENT ON POLICY clinic_delete_policy ON telehealth.clinic IS 'Administrators of the clinic alone may delete rows.';
COMMENT ON POLICY disclosure_policy_insert_policy ON telehealth.disclosure_policy IS 'Administrators of the clinic alone may insert rows.';
COMMENT ON POLICY disclosure_policy_update_policy ON telehealth.disclosure_policy IS 'Administrators of the clinic alone may update rows.';
COMMENT ON POLICY disclosure_policy_delete_policy ON telehealth.disclosure_policy IS 'Administrators of the clinic alone may delete rows.';
COMMENT ON POLICY vendor_limit_insert_policy ON telehealth.vendor_limit IS 'An administrator of all clinics alone may insert rows.';
COMMENT ON POLICY vendor_limit_update_policy ON telehealth.vendor_limit IS 'An administrator of all clinics alone may update rows.';
COMMENT ON POLICY vendor_limit_delete_policy ON telehealth.vendor_limit IS 'An administrator of all clinics alone may delete rows.';
COMMENT ON POLICY vendor_limit_policy ON telehealth.vendor_limit IS 'The same for all clinics.';
COMMENT ON POLICY audit_log_admin_policy ON telehealth.audit_log IS 'Administrators of the clinic alone.';
COMMENT ON POLICY clinic_policy ON telehealth.clinic IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY provider_policy ON telehealth.provider IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY patient_policy ON telehealth.patient IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY appointment_policy ON telehealth.appointment IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY session_policy ON telehealth.session IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY account_policy ON telehealth.account IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY disclosure_policy_policy ON telehealth.disclosure_policy IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY audit_log_policy ON telehealth.audit_log IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY account_secret_policy ON telehealth_private.account_secret IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY token_cache_policy ON telehealth_private.token_cache IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY session_secret_policy ON telehealth_private.session_secret IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY account_shared_policy ON telehealth.account IS 'Every clinic may use the accounts of clinic 0.';
