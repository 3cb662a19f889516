/*
 * PUBLIC has nothing; grants are made by telehealth.grant_role() alone.
 */
REVOKE ALL ON SCHEMA telehealth, telehealth_private FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA telehealth, telehealth_private FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA telehealth, telehealth_private FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA telehealth, telehealth_private FROM PUBLIC;
REVOKE ALL ON TYPE telehealth.appointment_type, telehealth.appointment_status, telehealth.session_status FROM PUBLIC;
