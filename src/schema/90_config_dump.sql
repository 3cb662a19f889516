/*
 * What a dump carries: the user's rows and where their numbers stand. Never
 * jobs, history, quota counters, token caches and the rows we ship. One
 * command each: every call changes the same catalogue row.
 */
SELECT pg_catalog.pg_extension_config_dump('telehealth.clinic', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.provider', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.patient', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.appointment', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.session', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.account', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.vendor_limit', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.disclosure_policy', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.account_secret', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.session_secret', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.role_grant', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.environment', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.pause', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.clinic_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.provider_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.patient_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.appointment_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.session_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.account_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth.audit_log_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telehealth_private.claim_no_seq', '');
