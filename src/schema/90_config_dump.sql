/*
 * What a dump carries: the user's rows and where their numbers stand. Never
 * jobs, history, quota counters, token caches and the rows we ship. One
 * command each: every call changes the same catalogue row.
 */
SELECT pg_catalog.pg_extension_config_dump('telehealth.clinic', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.provider', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.patient', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.appointment', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.appointment_series', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.session', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.account', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.vendor_limit', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.disclosure_policy', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.feed', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.busy_time', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.import_problem', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.working_hours', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.webhook_event', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.participant', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.waiting_room_entry', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.recording', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.account_secret', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.session_secret', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.oauth_client', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.oauth_client_secret', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.push_channel', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.calendar_connection', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.calendar_event', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.calendar_change', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.connection_secret', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.role_grant', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.environment', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.installation',
	'WHERE tag = (SELECT i.tag FROM telehealth_private.installation AS i ORDER BY i.created_at, i.tag LIMIT 1)');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.pause', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.dashboard_token', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.history_hold', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.clinic_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.provider_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.patient_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.appointment_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.appointment_series_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.session_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.account_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.audit_log_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.feed_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.working_hours_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.webhook_event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.waiting_room_entry_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.oauth_client_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.push_channel_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.calendar_connection_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.calendar_event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.calendar_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.claim_no_seq', '');
