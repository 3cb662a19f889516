/*
 * Who may use tables in one clinic and administer another holds the
 * privileges of both on every table: what only an administrator may is
 * restricted row by row.
 */
ALTER TABLE telehealth.clinic ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic_policy ON telehealth.clinic
	USING (telehealth.may_see(id, current_user));
CREATE POLICY clinic_insert_policy ON telehealth.clinic AS RESTRICTIVE FOR INSERT
	WITH CHECK (telehealth_private.may_administer(id, current_user));
CREATE POLICY clinic_update_policy ON telehealth.clinic AS RESTRICTIVE FOR UPDATE
	USING (telehealth_private.may_administer(id, current_user));
CREATE POLICY clinic_delete_policy ON telehealth.clinic AS RESTRICTIVE FOR DELETE
	USING (telehealth_private.may_administer(id, current_user));

ALTER TABLE telehealth.provider ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY provider_policy ON telehealth.provider
	USING (telehealth.may_see(clinic_id, current_user));

ALTER TABLE telehealth.patient ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY patient_policy ON telehealth.patient
	USING (telehealth.may_see(clinic_id, current_user));

ALTER TABLE telehealth.appointment ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY appointment_policy ON telehealth.appointment
	USING (telehealth.may_see(clinic_id, current_user));

ALTER TABLE telehealth.session ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY session_policy ON telehealth.session
	USING (telehealth.may_see(clinic_id, current_user));

/* Every clinic may use the accounts of clinic 0. */
ALTER TABLE telehealth.account ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY account_policy ON telehealth.account
	USING (telehealth.may_see(clinic_id, current_user));
CREATE POLICY account_shared_policy ON telehealth.account FOR SELECT
	USING (clinic_id = 0);

ALTER TABLE telehealth.disclosure_policy ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY disclosure_policy_policy ON telehealth.disclosure_policy
	USING (telehealth.may_see(clinic_id, current_user));
CREATE POLICY disclosure_policy_insert_policy ON telehealth.disclosure_policy AS RESTRICTIVE FOR INSERT
	WITH CHECK (telehealth_private.may_administer(clinic_id, current_user));
CREATE POLICY disclosure_policy_update_policy ON telehealth.disclosure_policy AS RESTRICTIVE FOR UPDATE
	USING (telehealth_private.may_administer(clinic_id, current_user));
CREATE POLICY disclosure_policy_delete_policy ON telehealth.disclosure_policy AS RESTRICTIVE FOR DELETE
	USING (telehealth_private.may_administer(clinic_id, current_user));

ALTER TABLE telehealth.audit_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_log_policy ON telehealth.audit_log
	USING (telehealth.may_see(clinic_id, current_user));
CREATE POLICY audit_log_admin_policy ON telehealth.audit_log AS RESTRICTIVE
	USING (telehealth_private.may_administer(clinic_id, current_user));

/* The same for all clinics: changed by who administers all. */
ALTER TABLE telehealth.vendor_limit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY vendor_limit_policy ON telehealth.vendor_limit
	USING (true);
CREATE POLICY vendor_limit_insert_policy ON telehealth.vendor_limit AS RESTRICTIVE FOR INSERT
	WITH CHECK (telehealth_private.may_administer(0, current_user));
CREATE POLICY vendor_limit_update_policy ON telehealth.vendor_limit AS RESTRICTIVE FOR UPDATE
	USING (telehealth_private.may_administer(0, current_user));
CREATE POLICY vendor_limit_delete_policy ON telehealth.vendor_limit AS RESTRICTIVE FOR DELETE
	USING (telehealth_private.may_administer(0, current_user));

ALTER TABLE telehealth_private.account_secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY account_secret_policy ON telehealth_private.account_secret
	USING (telehealth.may_see(clinic_id, current_user));

ALTER TABLE telehealth_private.token_cache ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY token_cache_policy ON telehealth_private.token_cache
	USING (telehealth.may_see(clinic_id, current_user));

ALTER TABLE telehealth_private.session_secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY session_secret_policy ON telehealth_private.session_secret
	USING (telehealth.may_see(clinic_id, current_user));
