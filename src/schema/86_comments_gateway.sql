/* ---- the process ---- */

COMMENT ON FUNCTION telehealth_private.gateway_door() IS 'What this database has of the gateway, as shared memory tells; one row, also when it has none.';
COMMENT ON VIEW telehealth_private.health_gateway IS 'Part of telehealth.health: whether the gateway listens.';
COMMENT ON COLUMN telehealth_private.health_gateway.place IS 'Order in telehealth.health.';
COMMENT ON COLUMN telehealth_private.health_gateway.check_name IS 'What was checked.';
COMMENT ON COLUMN telehealth_private.health_gateway.status IS 'ok, warning or error.';
COMMENT ON COLUMN telehealth_private.health_gateway.detail IS 'What was found.';
COMMENT ON COLUMN telehealth_private.health_gateway.hint IS 'What to do.';

COMMENT ON TABLE telehealth_private.dashboard_token IS 'One row once a token opens the gateway''s page.';
COMMENT ON COLUMN telehealth_private.dashboard_token.is_only IS 'True: there is one row.';
COMMENT ON COLUMN telehealth_private.dashboard_token.token_hash IS 'SHA-256 of the token.';
COMMENT ON COLUMN telehealth_private.dashboard_token.created_at IS 'When it was made.';
COMMENT ON COLUMN telehealth_private.dashboard_token.created_by IS 'By whom.';
COMMENT ON FUNCTION telehealth.set_dashboard_token() IS 'Makes a token, without which nobody sees the gateway''s page from then on, and returns it this once; the former one is no more. Errors: 42501. For admins of clinic 0.';
COMMENT ON FUNCTION telehealth_private.set_dashboard_token() IS 'What telehealth.set_dashboard_token() does, as the owner.';
COMMENT ON FUNCTION telehealth.drop_dashboard_token() IS 'Ends the token of the gateway''s page; false if there was none. Errors: 42501. For admins of clinic 0.';
COMMENT ON FUNCTION telehealth_private.drop_dashboard_token() IS 'What telehealth.drop_dashboard_token() does, as the owner.';

/* ---- webhooks ---- */

COMMENT ON COLUMN telehealth.account.vendor_key IS 'SHA-256 of the account''s own number at the platform: finds the account that a delivery names.';
COMMENT ON COLUMN telehealth.account.challenged_at IS 'When the platform last asked the receiver of its events to prove that it knows the secret, and was answered.';
COMMENT ON COLUMN telehealth_private.account_secret.expires_at IS 'Until when a replaced secret is still good; null is for ever.';

COMMENT ON TABLE telehealth.webhook_event IS 'What platforms and others told us, verified: a row a happening, however often it was told. Those that belong to no session of ours are in clinic 0, for its admins alone, and move once there is one; without a session they go after telehealth.history_days.';
COMMENT ON COLUMN telehealth.webhook_event.clinic_id IS 'The clinic of the session; 0 while there is none.';
COMMENT ON COLUMN telehealth.webhook_event.id IS 'Number of the event, in the order of receipt.';
COMMENT ON COLUMN telehealth.webhook_event.source IS 'Who told: zoom, twilio, google-calendar, graph or provider-schedule.';
COMMENT ON COLUMN telehealth.webhook_event.event_name IS 'The source''s own name of the event.';
COMMENT ON COLUMN telehealth.webhook_event.event_at IS 'When it happened, as the source says.';
COMMENT ON COLUMN telehealth.webhook_event.account_ref IS 'The source''s number of the account.';
COMMENT ON COLUMN telehealth.webhook_event.account_clinic_id IS 'clinic_id of the account whose secret verified it.';
COMMENT ON COLUMN telehealth.webhook_event.account_id IS 'The account whose secret verified it.';
COMMENT ON COLUMN telehealth.webhook_event.signers IS 'The accounts that share this secret, each as clinic/account, as long as no session is found: the meeting may be that of any of them.';
COMMENT ON COLUMN telehealth.webhook_event.meeting_id IS 'The platform''s number of the meeting.';
COMMENT ON COLUMN telehealth.webhook_event.meeting_uuid IS 'The platform''s name of this run of the meeting.';
COMMENT ON COLUMN telehealth.webhook_event.session_id IS 'The session whose meeting it is.';
COMMENT ON COLUMN telehealth.webhook_event.participant_id IS 'The platform''s name of the person.';
COMMENT ON COLUMN telehealth.webhook_event.participant_name IS 'The name under which the person joined.';
COMMENT ON COLUMN telehealth.webhook_event.latency_ms IS 'Milliseconds of the participant''s connection, if the event says so.';
COMMENT ON COLUMN telehealth.webhook_event.interpreter_requested IS 'Whether an interpreter was asked for, if the event says so.';
COMMENT ON COLUMN telehealth.webhook_event.raw IS 'The body, without passwords and tokens.';
COMMENT ON COLUMN telehealth.webhook_event.business_key IS 'Identity of the happening: SHA-256 of the account, the run of the meeting, the person, the kind and the time.';
COMMENT ON COLUMN telehealth.webhook_event.received_at IS 'When it came.';
COMMENT ON COLUMN telehealth.webhook_event.processed_at IS 'When the dispatcher looked at it; null is not yet.';
COMMENT ON COLUMN telehealth.webhook_event.outcome IS 'unmatched: nobody''s meeting yet; recorded: kept, nothing follows from it; applied: part of the session''s state; ignored: says nothing of the session''s state; null: waits for the dispatcher.';
COMMENT ON SEQUENCE telehealth.webhook_event_id_seq IS 'Numbers of telehealth.webhook_event.';
COMMENT ON POLICY webhook_event_policy ON telehealth.webhook_event IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY webhook_event_unmatched_policy ON telehealth.webhook_event IS 'What is nobody''s yet is for those who administer all clinics.';

COMMENT ON TABLE telehealth.participant IS 'Who was in a session: a row a person, however often they came back.';
COMMENT ON COLUMN telehealth.participant.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.participant.session_id IS 'The session.';
COMMENT ON COLUMN telehealth.participant.participant_id IS 'The platform''s name of the person.';
COMMENT ON COLUMN telehealth.participant.name IS 'The name under which the person joined.';
COMMENT ON COLUMN telehealth.participant.role IS 'host, interpreter or patient.';
COMMENT ON COLUMN telehealth.participant.joined_at IS 'When the person first joined.';
COMMENT ON COLUMN telehealth.participant.left_at IS 'When the person last left; null while present.';
COMMENT ON COLUMN telehealth.participant.duration IS 'Seconds in the meeting, in all.';
COMMENT ON COLUMN telehealth.participant.device IS 'The device, if the platform says so.';
COMMENT ON COLUMN telehealth.participant.latency_ms IS 'Milliseconds of the connection, if the platform says so.';
COMMENT ON COLUMN telehealth.participant.join_count IS 'How often the person joined.';
COMMENT ON POLICY participant_policy ON telehealth.participant IS 'Rows of clinics that the user has a grant for.';

COMMENT ON TABLE telehealth.waiting_room_entry IS 'Who waited before a session.';
COMMENT ON COLUMN telehealth.waiting_room_entry.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.waiting_room_entry.id IS 'Number of the entry.';
COMMENT ON COLUMN telehealth.waiting_room_entry.session_id IS 'The session.';
COMMENT ON COLUMN telehealth.waiting_room_entry.participant_id IS 'The platform''s name of the person, if the platform''s waiting room it was.';
COMMENT ON COLUMN telehealth.waiting_room_entry.patient_id IS 'The patient.';
COMMENT ON COLUMN telehealth.waiting_room_entry.status IS 'WAITING, ADMITTED, LEFT or TIMED_OUT.';
COMMENT ON COLUMN telehealth.waiting_room_entry.joined_at IS 'When the person began to wait.';
COMMENT ON COLUMN telehealth.waiting_room_entry.admitted_at IS 'When the person was let in.';
COMMENT ON COLUMN telehealth.waiting_room_entry.left_at IS 'When the person left without being let in.';
COMMENT ON COLUMN telehealth.waiting_room_entry.camera_ok IS 'Whether the camera passed its test.';
COMMENT ON COLUMN telehealth.waiting_room_entry.microphone_ok IS 'Whether the microphone passed its test.';
COMMENT ON COLUMN telehealth.waiting_room_entry.connection_ok IS 'Whether the connection passed its test.';
COMMENT ON COLUMN telehealth.waiting_room_entry.questionnaire IS 'What the person answered before the visit.';
COMMENT ON COLUMN telehealth.waiting_room_entry.device IS 'The device.';
COMMENT ON COLUMN telehealth.waiting_room_entry.browser IS 'The browser.';
COMMENT ON SEQUENCE telehealth.waiting_room_entry_id_seq IS 'Numbers of telehealth.waiting_room_entry.';
COMMENT ON POLICY waiting_room_entry_policy ON telehealth.waiting_room_entry IS 'Rows of clinics that the user has a grant for.';

COMMENT ON TABLE telehealth.recording IS 'Recordings of sessions: a row a file.';
COMMENT ON COLUMN telehealth.recording.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.recording.session_id IS 'The session.';
COMMENT ON COLUMN telehealth.recording.file_id IS 'The platform''s name of the file.';
COMMENT ON COLUMN telehealth.recording.type IS 'What it shows, in the platform''s word.';
COMMENT ON COLUMN telehealth.recording.url IS 'Where it can be fetched, with rights at the platform.';
COMMENT ON COLUMN telehealth.recording.size IS 'Bytes.';
COMMENT ON COLUMN telehealth.recording.duration IS 'Seconds.';
COMMENT ON COLUMN telehealth.recording.started_at IS 'When it begins.';
COMMENT ON COLUMN telehealth.recording.ended_at IS 'When it ends.';
COMMENT ON COLUMN telehealth.recording.status IS 'The platform''s word.';
COMMENT ON COLUMN telehealth.recording.delete_after IS 'When it is to be deleted.';
COMMENT ON COLUMN telehealth.recording.deleted_at IS 'When it was.';
COMMENT ON COLUMN telehealth.recording.legal_hold IS 'Whether it must not be deleted.';
COMMENT ON POLICY recording_policy ON telehealth.recording IS 'Rows of clinics that the user has a grant for.';

COMMENT ON TYPE telehealth.http_reply IS 'What somebody who asked by HTTP is to be answered.';
COMMENT ON COLUMN telehealth.http_reply.status IS 'The status of the answer.';
COMMENT ON COLUMN telehealth.http_reply.headers IS 'Its headers.';
COMMENT ON COLUMN telehealth.http_reply.body IS 'Its body; null is none.';
COMMENT ON FUNCTION telehealth.receive_webhook(text, jsonb, bytea) IS 'Takes what a source told: verified by its signature over the very bytes, stored once, answered as the sender expects. Without headers those of the setting request.headers count. What is refused is a status, no error; errors are those of the database alone, and the sender should be told 503. Errors: 22023 for an unknown source and headers that are none. For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.receive_webhook(text, jsonb, text) IS 'Takes what a source told: verified by its signature over the very bytes, stored once, answered as the sender expects. Without headers those of the setting request.headers count. What is refused is a status, no error; errors are those of the database alone, and the sender should be told 503. Errors: 22023 for an unknown source and headers that are none. For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.receive_webhook(text, jsonb, json) IS 'Takes what a source told: verified by its signature over the very bytes, stored once, answered as the sender expects. Without headers those of the setting request.headers count. What is refused is a status, no error; errors are those of the database alone, and the sender should be told 503. Errors: 22023 for an unknown source and headers that are none. For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.zoom_webhook(bytea) IS 'receive_webhook() for Zoom as PostgREST calls it: headers from request.headers, the status into response.status, the body as result. For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.zoom_webhook(text) IS 'receive_webhook() for Zoom as PostgREST calls it: headers from request.headers, the status into response.status, the body as result. For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.zoom_webhook(json) IS 'receive_webhook() for Zoom as PostgREST calls it: headers from request.headers, the status into response.status, the body as result. For apps and the kind webhook.';

COMMENT ON VIEW telehealth.webhook_metrics IS 'What platforms and others told in the last seven days, counted by kind, and what came of it.';
COMMENT ON COLUMN telehealth.webhook_metrics.clinic_id IS 'The clinic; 0 is what belongs to no session.';
COMMENT ON COLUMN telehealth.webhook_metrics.source IS 'Who told.';
COMMENT ON COLUMN telehealth.webhook_metrics.event_name IS 'The source''s own name of the event.';
COMMENT ON COLUMN telehealth.webhook_metrics.events IS 'How many came.';
COMMENT ON COLUMN telehealth.webhook_metrics.applied IS 'Those that are part of a session''s state.';
COMMENT ON COLUMN telehealth.webhook_metrics.ignored IS 'Those that say nothing of a session''s state.';
COMMENT ON COLUMN telehealth.webhook_metrics.recorded IS 'Those from which nothing follows.';
COMMENT ON COLUMN telehealth.webhook_metrics.unmatched IS 'Those of nobody''s meeting.';
COMMENT ON COLUMN telehealth.webhook_metrics.waiting IS 'Those that the dispatcher has not looked at yet.';
COMMENT ON COLUMN telehealth.webhook_metrics.oldest_waiting_at IS 'Since when the oldest of these waits.';
COMMENT ON COLUMN telehealth.webhook_metrics.last_received_at IS 'When the latest came.';
COMMENT ON COLUMN telehealth.webhook_metrics.average_delivery IS 'From the happening to its receipt.';
COMMENT ON COLUMN telehealth.webhook_metrics.average_processing IS 'From the receipt to the dispatcher''s look.';
COMMENT ON COLUMN telehealth.webhook_metrics.longest_processing IS 'The longest of these.';
