/* ---- acting with more rights than the caller has ---- */

/*
 * A function of telehealth that is declared th_sql_elevated runs its twin,
 * the function of telehealth_private with the same name and argument types,
 * as the owner of the extension. The twin checks what the caller may do.
 */
CREATE FUNCTION telehealth_private.caller() RETURNS name
	LANGUAGE C STABLE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'th_sql_caller';

CREATE FUNCTION telehealth_private.require_kind(kind text, clinic_id bigint) RETURNS void
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'th_sql_require_kind';

CREATE FUNCTION telehealth_private.require_owner(action text) RETURNS void
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'th_sql_require_owner';

/* ---- marking and waking ---- */

CREATE FUNCTION telehealth_private.mark(kind text, clinic_ids bigint[], subject_ids bigint[], priority integer) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_mark';

/* The dispatcher looks when this transaction commits. */
CREATE FUNCTION telehealth_private.wake() RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_wake';

CREATE FUNCTION telehealth_private.wake_launcher() RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_wake_launcher';

CREATE FUNCTION telehealth_private.wants_meeting(
	type telehealth.appointment_type,
	status telehealth.appointment_status,
	is_meeting_wanted boolean
) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN type = 'VIDEO' AND is_meeting_wanted
		AND status IN ('SCHEDULED', 'CONFIRMED', 'CHECKED_IN', 'IN_PROGRESS');

/* Class of the queue for a visit: what starts soon comes before everything. */
CREATE FUNCTION telehealth_private.priority_at(starts_at timestamptz, ends_at timestamptz, otherwise integer) RETURNS integer
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN ends_at > now() AND starts_at < now() + interval '15 minutes' THEN 0 ELSE otherwise END;

/* ---- words ---- */

CREATE FUNCTION telehealth_private.hint(word text) RETURNS text
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_hint';

CREATE FUNCTION telehealth_private.hint_reason(word text) RETURNS text
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_hint_reason';

/* ---- audit ---- */

CREATE FUNCTION telehealth_private.audit(
	clinic_id bigint,
	action text,
	object text,
	object_id bigint,
	detail jsonb DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO telehealth.audit_log (clinic_id, actor, action, object, object_id, detail)
	VALUES (audit.clinic_id, telehealth_private.caller(), audit.action, audit.object, audit.object_id, audit.detail);
END
$$;

/* ---- roles ---- */

CREATE FUNCTION telehealth_private.run_grants(statements text[], grantee regrole) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_statement text;
BEGIN
	FOREACH v_statement IN ARRAY statements LOOP
		EXECUTE format(v_statement, grantee::text);
	END LOOP;
END
$$;

/* What each kind of role may do; the lists are all there is. */
CREATE FUNCTION telehealth_private.apply_grants(grantee regrole, kind text) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_reader CONSTANT text[] := ARRAY[
		'GRANT USAGE ON SCHEMA telehealth TO %s',
		'GRANT SELECT ON telehealth.health, telehealth.platform_status, telehealth.worker_status,'
			' telehealth.job_status, telehealth.dead_jobs, telehealth.upcoming_sessions, telehealth.not_ready,'
			' telehealth.orphan_meetings, telehealth.duplicate_meetings TO %s',
		'GRANT EXECUTE ON FUNCTION telehealth.current_clinic(), telehealth.may_see(bigint, name),'
			' telehealth_private.may_administer(bigint, name), telehealth_private.worker_slots(), telehealth_private.key_status(),'
			' telehealth_private.outbound_held(), telehealth_private.system_identifier(),'
			' telehealth_private.hint(text), telehealth_private.hint_reason(text),'
			' telehealth_private.wants_meeting(telehealth.appointment_type, telehealth.appointment_status, boolean)'
			' TO %s'
	];
	v_app CONSTANT text[] := ARRAY[
		'GRANT USAGE ON TYPE telehealth.appointment_type, telehealth.appointment_status, telehealth.session_status TO %s',
		'GRANT SELECT, INSERT, UPDATE, DELETE ON telehealth.appointment, telehealth.patient, telehealth.provider TO %s',
		'GRANT SELECT ON telehealth.session, telehealth.clinic, telehealth.account, telehealth.disclosure_policy,'
			' telehealth.vendor_limit TO %s',
		'GRANT EXECUTE ON FUNCTION telehealth_private.add_minutes(timestamptz, integer),'
			' telehealth_private.is_timezone(text) TO %s',
		'GRANT EXECUTE ON FUNCTION telehealth.ensure_meeting(bigint), telehealth.cancel_meeting(bigint),'
			' telehealth.backfill_meetings(timestamptz), telehealth.await_meeting(bigint, interval),'
			' telehealth.host_start_url(bigint, interval), telehealth.appointment_ics(bigint, text),'
			' telehealth.explain_appointment(bigint) TO %s'
	];
	v_admin CONSTANT text[] := ARRAY[
		'GRANT INSERT, UPDATE, DELETE ON telehealth.clinic, telehealth.disclosure_policy, telehealth.vendor_limit TO %s',
		'GRANT SELECT ON telehealth.audit_log TO %s',
		'GRANT EXECUTE ON FUNCTION telehealth.connect_platform(text, jsonb, jsonb, bigint),'
			' telehealth.configure_platform(bigint, jsonb), telehealth.disconnect_platform(bigint),'
			' telehealth.check_platform(bigint), telehealth.retry_job(text, bigint), telehealth.retry_dead_jobs(bigint),'
			' telehealth.pause_outbound(text), telehealth.resume_outbound(), telehealth.rotate_keys(),'
			' telehealth.adopt_environment(), telehealth.grant_role(regrole, text, bigint),'
			' telehealth.revoke_role(regrole, text, bigint) TO %s'
	];
	v_worker CONSTANT text[] := ARRAY[
		'GRANT USAGE ON SCHEMA telehealth, telehealth_private TO %s',
		'GRANT SELECT, UPDATE ON telehealth.appointment TO %s',
		'GRANT SELECT, INSERT, UPDATE, DELETE ON telehealth.clinic, telehealth.provider, telehealth.patient,'
			' telehealth.session, telehealth.account, telehealth.vendor_limit, telehealth.disclosure_policy,'
			' telehealth.audit_log TO %s',
		'GRANT SELECT, INSERT, UPDATE, DELETE ON telehealth_private.account_secret, telehealth_private.token_cache,'
			' telehealth_private.session_secret, telehealth_private.builtin_platform,'
			' telehealth_private.builtin_vendor_limit, telehealth_private.builtin_disclosure_policy,'
			' telehealth_private.role_grant, telehealth_private.job, telehealth_private.job_history,'
			' telehealth_private.job_history_default, telehealth_private.quota, telehealth_private.environment,'
			' telehealth_private.pause TO %s',
		'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA telehealth, telehealth_private TO %s',
		'GRANT EXECUTE ON FUNCTION telehealth.current_clinic(), telehealth.may_see(bigint, name),'
			' telehealth_private.may_administer(bigint, name), telehealth_private.add_minutes(timestamptz, integer), telehealth_private.is_timezone(text),'
			' telehealth_private.wants_meeting(telehealth.appointment_type, telehealth.appointment_status, boolean),'
			' telehealth_private.chain_audit(integer), telehealth_private.audit_text(telehealth.audit_log),'
			' telehealth_private.caller() TO %s'
	];
BEGIN
	IF kind = 'worker' THEN
		PERFORM telehealth_private.run_grants(v_worker, grantee);
		RETURN;
	END IF;
	PERFORM telehealth_private.run_grants(v_reader, grantee);
	IF kind IN ('app', 'admin') THEN
		PERFORM telehealth_private.run_grants(v_app, grantee);
	END IF;
	IF kind = 'admin' THEN
		PERFORM telehealth_private.run_grants(v_admin, grantee);
	END IF;
END
$$;

/* The name of a role that may be granted something, or an error. */
CREATE FUNCTION telehealth_private.check_grant(role regrole, kind text, clinic_id bigint) RETURNS name
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_name name;
BEGIN
	IF kind IS NULL OR clinic_id IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
			MESSAGE = CASE WHEN kind IS NULL THEN 'kind' ELSE 'clinic_id' END || ' must not be null';
	END IF;
	IF kind NOT IN ('admin', 'app', 'reader', 'worker') THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown kind "%s"', kind),
			HINT = 'Kinds are admin, app, reader and worker.';
	END IF;
	SELECT r.rolname INTO v_name FROM pg_catalog.pg_roles AS r WHERE r.oid = role::oid;
	IF v_name IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = 'role does not exist';
	END IF;
	RETURN v_name;
END
$$;

CREATE FUNCTION telehealth.grant_role(role regrole, kind text, clinic_id bigint DEFAULT 0) RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.grant_role(role regrole, kind text, clinic_id bigint) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_name name;
BEGIN
	PERFORM telehealth_private.require_owner('grant roles');
	v_name := telehealth_private.check_grant(role, kind, clinic_id);
	INSERT INTO telehealth_private.role_grant AS g (grantee, kind, clinic_id)
	VALUES (v_name, grant_role.kind, grant_role.clinic_id)
	ON CONFLICT ON CONSTRAINT role_grant_pkey DO NOTHING;
	PERFORM telehealth_private.apply_grants(role, kind);
	PERFORM telehealth_private.audit(clinic_id, 'grant_role', 'role', NULL,
		jsonb_build_object('role', v_name, 'kind', kind));
END
$$;

CREATE FUNCTION telehealth.revoke_role(role regrole, kind text, clinic_id bigint DEFAULT 0) RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

/* Takes everything away, then gives again what the role's other grants say. */
CREATE FUNCTION telehealth_private.revoke_role(role regrole, kind text, clinic_id bigint) RETURNS boolean
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_name name;
	v_kind text;
BEGIN
	PERFORM telehealth_private.require_owner('revoke roles');
	v_name := telehealth_private.check_grant(role, kind, clinic_id);
	DELETE FROM telehealth_private.role_grant AS g
	WHERE g.grantee = v_name AND g.kind = revoke_role.kind AND g.clinic_id = revoke_role.clinic_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM telehealth_private.run_grants(ARRAY[
		'REVOKE ALL ON ALL TABLES IN SCHEMA telehealth, telehealth_private FROM %s',
		'REVOKE ALL ON ALL SEQUENCES IN SCHEMA telehealth, telehealth_private FROM %s',
		'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA telehealth, telehealth_private FROM %s',
		'REVOKE ALL ON TYPE telehealth.appointment_type, telehealth.appointment_status, telehealth.session_status FROM %s',
		'REVOKE ALL ON SCHEMA telehealth, telehealth_private FROM %s'
	], role);
	FOR v_kind IN SELECT DISTINCT g.kind FROM telehealth_private.role_grant AS g WHERE g.grantee = v_name LOOP
		PERFORM telehealth_private.apply_grants(role, v_kind);
	END LOOP;
	PERFORM telehealth_private.audit(clinic_id, 'revoke_role', 'role', NULL,
		jsonb_build_object('role', v_name, 'kind', kind));
	RETURN true;
END
$$;
