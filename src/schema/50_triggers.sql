/*
 * Outward work. Statement level with transition tables; they read nothing
 * but their rows and write only job and the row's own clinic's audit_log.
 */
CREATE FUNCTION telehealth_private.appointment_mark() RETURNS trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'th_sql_appointment_mark';

CREATE TRIGGER appointment_mark_insert AFTER INSERT ON telehealth.appointment
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.appointment_mark();

CREATE TRIGGER appointment_mark_update AFTER UPDATE ON telehealth.appointment
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.appointment_mark();

CREATE TRIGGER appointment_mark_delete AFTER DELETE ON telehealth.appointment
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.appointment_mark();

/* There are no rows to read then: what has a meeting is found in session. */
CREATE TRIGGER appointment_mark_truncate AFTER TRUNCATE ON telehealth.appointment
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.appointment_mark();

/* Keeps updated_at and sequence true. */
CREATE FUNCTION telehealth_private.appointment_stamp() RETURNS trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'th_sql_appointment_stamp';

CREATE TRIGGER appointment_stamp BEFORE UPDATE ON telehealth.appointment
	FOR EACH ROW EXECUTE FUNCTION telehealth_private.appointment_stamp();

/*
 * What meetings follow beside their appointments. The arguments are what is
 * marked, and the columns that matter.
 */
CREATE FUNCTION telehealth_private.related_mark() RETURNS trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'th_sql_related_mark';

CREATE TRIGGER provider_mark_insert AFTER INSERT ON telehealth.provider
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('provider', 'platform_user', 'email', 'display_name', 'timezone');

CREATE TRIGGER provider_mark_update AFTER UPDATE ON telehealth.provider
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('provider', 'platform_user', 'email', 'display_name', 'timezone');

CREATE TRIGGER provider_mark_delete AFTER DELETE ON telehealth.provider
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('provider', 'platform_user', 'email', 'display_name', 'timezone');

CREATE TRIGGER provider_mark_truncate AFTER TRUNCATE ON telehealth.provider
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('provider', 'platform_user', 'email', 'display_name', 'timezone');

CREATE TRIGGER clinic_mark_insert AFTER INSERT ON telehealth.clinic
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'platform', 'fallback_platforms', 'is_active', 'timezone');

CREATE TRIGGER clinic_mark_update AFTER UPDATE ON telehealth.clinic
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'platform', 'fallback_platforms', 'is_active', 'timezone');

CREATE TRIGGER clinic_mark_delete AFTER DELETE ON telehealth.clinic
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'platform', 'fallback_platforms', 'is_active', 'timezone');

CREATE TRIGGER clinic_mark_truncate AFTER TRUNCATE ON telehealth.clinic
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'platform', 'fallback_platforms', 'is_active', 'timezone');

CREATE TRIGGER disclosure_policy_mark_insert AFTER INSERT ON telehealth.disclosure_policy
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'target', 'fact', 'is_allowed');

CREATE TRIGGER disclosure_policy_mark_update AFTER UPDATE ON telehealth.disclosure_policy
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'target', 'fact', 'is_allowed');

CREATE TRIGGER disclosure_policy_mark_delete AFTER DELETE ON telehealth.disclosure_policy
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'target', 'fact', 'is_allowed');

CREATE TRIGGER disclosure_policy_mark_truncate AFTER TRUNCATE ON telehealth.disclosure_policy
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('clinic', 'target', 'fact', 'is_allowed');

/* A calendar begins to take visits, or takes others: its provider's are marked. */
CREATE TRIGGER calendar_connection_mark_insert AFTER INSERT ON telehealth.calendar_connection
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('backfill', 'status');

CREATE TRIGGER calendar_connection_mark_update AFTER UPDATE ON telehealth.calendar_connection
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('backfill', 'provider_id', 'calendar_id', 'status', 'connected_at', 'sync_enabled', 'sync_direction', 'settings');

CREATE TRIGGER patient_mark_update AFTER UPDATE ON telehealth.patient
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('patient', 'display_name', 'email');

CREATE TRIGGER patient_mark_delete AFTER DELETE ON telehealth.patient
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('patient', 'display_name', 'email');

CREATE TRIGGER patient_mark_truncate AFTER TRUNCATE ON telehealth.patient
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.related_mark('patient', 'display_name', 'email');

/* The role of that name here and now, whatever a dump says. */
CREATE FUNCTION telehealth_private.role_grant_resolve() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.grantee_oid := (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = NEW.grantee);
	RETURN NEW;
END
$$;

CREATE TRIGGER role_grant_resolve BEFORE INSERT OR UPDATE OF grantee ON telehealth_private.role_grant
	FOR EACH ROW EXECUTE FUNCTION telehealth_private.role_grant_resolve();

/* Forgets what may_see() remembers, in every session. */
CREATE FUNCTION telehealth_private.role_grant_changed() RETURNS trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'th_sql_role_grant_changed';

CREATE TRIGGER role_grant_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON telehealth_private.role_grant
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.role_grant_changed();

/* Secrets go with what they belong to. */
CREATE FUNCTION telehealth_private.account_forget() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		DELETE FROM telehealth_private.account_secret;
	ELSE
		DELETE FROM telehealth_private.account_secret AS s
		USING old_rows AS o WHERE s.clinic_id = o.clinic_id AND s.account_id = o.id;
	END IF;
	RETURN NULL;
END
$$;

CREATE TRIGGER account_forget AFTER DELETE ON telehealth.account
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.account_forget();

CREATE TRIGGER account_forget_truncate AFTER TRUNCATE ON telehealth.account
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.account_forget();

CREATE FUNCTION telehealth_private.connection_forget() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		DELETE FROM telehealth_private.connection_secret;
		DELETE FROM telehealth_private.connection_token;
		DELETE FROM telehealth_private.calendar_cursor;
	ELSE
		DELETE FROM telehealth_private.connection_secret AS s
		USING old_rows AS o WHERE s.clinic_id = o.clinic_id AND s.connection_id = o.id;
		DELETE FROM telehealth_private.connection_token AS s
		USING old_rows AS o WHERE s.clinic_id = o.clinic_id AND s.connection_id = o.id;
		DELETE FROM telehealth_private.calendar_cursor AS s
		USING old_rows AS o WHERE s.clinic_id = o.clinic_id AND s.connection_id = o.id;
	END IF;
	RETURN NULL;
END
$$;

CREATE TRIGGER connection_forget AFTER DELETE ON telehealth.calendar_connection
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.connection_forget();

CREATE TRIGGER connection_forget_truncate AFTER TRUNCATE ON telehealth.calendar_connection
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.connection_forget();

CREATE FUNCTION telehealth_private.session_forget() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		DELETE FROM telehealth_private.session_secret;
	ELSE
		DELETE FROM telehealth_private.session_secret AS s
		USING old_rows AS o WHERE s.clinic_id = o.clinic_id AND s.session_id = o.id;
	END IF;
	RETURN NULL;
END
$$;

CREATE TRIGGER session_forget AFTER DELETE ON telehealth.session
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.session_forget();

CREATE TRIGGER session_forget_truncate AFTER TRUNCATE ON telehealth.session
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.session_forget();

/* The log only grows: rows may be chained once, never changed or removed. */
CREATE FUNCTION telehealth_private.audit_log_protect() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND OLD.chain_hash IS NULL AND OLD.chain_no IS NULL
		AND ROW (OLD.clinic_id, OLD.id, OLD.at, OLD.actor, OLD.action, OLD.object, OLD.object_id, OLD.detail)
			IS NOT DISTINCT FROM ROW (NEW.clinic_id, NEW.id, NEW.at, NEW.actor, NEW.action, NEW.object, NEW.object_id, NEW.detail) THEN
		RETURN NEW;
	END IF;
	RAISE EXCEPTION 'the audit log can only be appended to' USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

CREATE TRIGGER audit_log_protect BEFORE UPDATE OR DELETE ON telehealth.audit_log
	FOR EACH ROW EXECUTE FUNCTION telehealth_private.audit_log_protect();

CREATE TRIGGER audit_log_protect_truncate BEFORE TRUNCATE ON telehealth.audit_log
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.audit_log_protect();

/* ---- recurring visits ---- */

CREATE TRIGGER appointment_detach BEFORE UPDATE ON telehealth.appointment
	FOR EACH ROW WHEN ((NEW.series_id IS NOT NULL OR NEW.local_start IS NOT NULL)
		AND ((OLD.patient_id, OLD.provider_id, OLD.type, OLD.starts_at, OLD.duration, OLD.timezone, OLD.title, OLD.reason, OLD.location, OLD.platform, OLD.local_start)
			IS DISTINCT FROM (NEW.patient_id, NEW.provider_id, NEW.type, NEW.starts_at, NEW.duration, NEW.timezone, NEW.title, NEW.reason, NEW.location, NEW.platform, NEW.local_start)
		OR (NEW.status = 'CANCELLED' AND OLD.status <> 'CANCELLED')))
	EXECUTE FUNCTION telehealth_private.appointment_detach();

CREATE TRIGGER appointment_except AFTER DELETE ON telehealth.appointment
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION telehealth_private.appointment_except();

CREATE TRIGGER appointment_series_stamp BEFORE UPDATE ON telehealth.appointment_series
	FOR EACH ROW WHEN ((OLD.patient_id, OLD.provider_id, OLD.type, OLD.rule, OLD.first_date, OLD.start_time, OLD.timezone, OLD.duration, OLD.exceptions, OLD.horizon_days, OLD.title, OLD.reason, OLD.location, OLD.platform)
		IS DISTINCT FROM (NEW.patient_id, NEW.provider_id, NEW.type, NEW.rule, NEW.first_date, NEW.start_time, NEW.timezone, NEW.duration, NEW.exceptions, NEW.horizon_days, NEW.title, NEW.reason, NEW.location, NEW.platform))
	EXECUTE FUNCTION telehealth_private.appointment_series_stamp();

CREATE TRIGGER appointment_series_follow_insert AFTER INSERT ON telehealth.appointment_series
	FOR EACH ROW EXECUTE FUNCTION telehealth_private.appointment_series_follow();

CREATE TRIGGER appointment_series_follow_update AFTER UPDATE ON telehealth.appointment_series
	FOR EACH ROW WHEN ((OLD.clinic_id, OLD.id, OLD.revision) IS DISTINCT FROM (NEW.clinic_id, NEW.id, NEW.revision))
	EXECUTE FUNCTION telehealth_private.appointment_series_follow();

CREATE TRIGGER appointment_series_follow_delete AFTER DELETE ON telehealth.appointment_series
	FOR EACH ROW EXECUTE FUNCTION telehealth_private.appointment_series_follow();
