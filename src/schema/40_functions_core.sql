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

/*
 * What each kind of role may do; the lists are all there is. GRANT and REVOKE
 * take the same.
 */
CREATE FUNCTION telehealth_private.grants_of(kind text) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_webhook CONSTANT text[] := ARRAY[
		'USAGE ON SCHEMA telehealth',
		'USAGE ON TYPE telehealth.http_reply',
		'EXECUTE ON FUNCTION telehealth.receive_webhook(text, jsonb, bytea), telehealth.receive_webhook(text, jsonb, text),'
			' telehealth.receive_webhook(text, jsonb, json), telehealth.zoom_webhook(bytea), telehealth.zoom_webhook(text),'
			' telehealth.zoom_webhook(json),'
			' telehealth.twilio_webhook(bytea),'
			' telehealth.twilio_webhook(text),'
			' telehealth.twilio_webhook(json),'
			' telehealth.google_calendar_webhook(bytea),'
			' telehealth.google_calendar_webhook(text),'
			' telehealth.google_calendar_webhook(json),'
			' telehealth.graph_webhook(bytea),'
			' telehealth.graph_webhook(text),'
			' telehealth.graph_webhook(json),'
			' telehealth.provider_schedule_webhook(bytea),'
			' telehealth.provider_schedule_webhook(text),'
			' telehealth.provider_schedule_webhook(json)'
	];
	v_reader CONSTANT text[] := ARRAY[
		'USAGE ON SCHEMA telehealth',
		'SELECT ON telehealth.health, telehealth.platform_status, telehealth.calendar_status, telehealth.sync_metrics, telehealth.worker_status, telehealth.periodic_tasks,'
			' telehealth.job_status, telehealth.dead_jobs, telehealth.upcoming_sessions, telehealth.not_ready,'
			' telehealth.orphan_meetings, telehealth.duplicate_meetings, telehealth.series_conflict, telehealth.tz_drift,'
			' telehealth.webhook_metrics',
		'EXECUTE ON FUNCTION telehealth.current_clinic(), telehealth.may_see(bigint, name), telehealth.feed_qr(text),'
			' telehealth.parse_ics(text, timestamptz, timestamptz, text),'
			' telehealth_private.may_administer(bigint, name), telehealth_private.worker_slots(), telehealth_private.key_status(),'
			' telehealth_private.gateway_door(),'
			' telehealth_private.periodic_tasks(),'
			' telehealth_private.outbound_held(), telehealth_private.system_identifier(),'
			' telehealth_private.hint(text), telehealth_private.hint_reason(text),'
			' telehealth_private.instant_of(timestamp, text), telehealth_private.wall_of(timestamptz, text),'
			' telehealth_private.wants_meeting(telehealth.appointment_type, telehealth.appointment_status, boolean)',
		'USAGE ON TYPE telehealth.vevent',
		'EXECUTE ON FUNCTION telehealth.vcalendar(telehealth.vevent), telehealth.vcalendar(telehealth.vevent, jsonb),'
			' telehealth.vevent(text, timestamptz, timestamptz, text, text, text, text, text, integer, text, boolean, timestamptz,'
			' timestamptz, timestamptz, text, text, text, jsonb, text, text, text[], text, timestamptz[], timestamptz[],'
			' timestamptz, interval[], text),'
			' telehealth.ical_duration(interval), telehealth.vtimezone(text, timestamptz, timestamptz)'
	];
	v_app CONSTANT text[] := ARRAY[
		'USAGE ON TYPE telehealth.appointment_type, telehealth.appointment_status, telehealth.session_status',
		'SELECT, INSERT, UPDATE, DELETE ON telehealth.appointment, telehealth.appointment_series, telehealth.patient,'
			' telehealth.provider',
		'SELECT ON telehealth.session, telehealth.clinic, telehealth.account, telehealth.disclosure_policy,'
			' telehealth.vendor_limit, telehealth.feed',
		'SELECT, INSERT, UPDATE, DELETE ON telehealth.busy_time, telehealth.working_hours',
		'EXECUTE ON FUNCTION telehealth.is_free(bigint, timestamptz, integer, bigint),'
			' telehealth.free_slots(bigint, timestamptz, timestamptz, integer, integer, bigint)',
		'SELECT ON telehealth.import_problem, telehealth.webhook_event, telehealth.participant,'
			' telehealth.waiting_room_entry, telehealth.recording',
		'SELECT ON telehealth.calendar_connection, telehealth.calendar_event, telehealth.calendar_change',
		'EXECUTE ON FUNCTION telehealth.import_ics(bigint, text, text, timestamptz, timestamptz, boolean),'
			' telehealth.import_csv(bigint, text, text, text, timestamptz, timestamptz, boolean)',
		'EXECUTE ON FUNCTION telehealth_private.add_minutes(timestamptz, integer),'
			' telehealth_private.is_timezone(text), telehealth_private.is_rule(text)',
		'EXECUTE ON FUNCTION telehealth.refresh_series(bigint), telehealth.split_series(bigint, date, jsonb)',
		'EXECUTE ON FUNCTION telehealth.create_feed(bigint, text, boolean, boolean, integer, text),'
			' telehealth.rotate_feed(bigint), telehealth.revoke_feed(bigint), telehealth.feed_ics(text)',
		'EXECUTE ON FUNCTION telehealth.ensure_meeting(bigint), telehealth.cancel_meeting(bigint),'
			' telehealth.backfill_meetings(timestamptz), telehealth.await_meeting(bigint, interval),'
			' telehealth.host_start_url(bigint, interval), telehealth.appointment_ics(bigint, text),'
			' telehealth.explain_appointment(bigint)',
		'EXECUTE ON FUNCTION telehealth.complete_oauth(text, text), telehealth.connect_calendar(bigint, text, jsonb),'
			' telehealth.configure_calendar(bigint, jsonb), telehealth.disconnect_calendar(bigint, text, boolean),'
			' telehealth.purge_remote(bigint), telehealth.sync_calendar(bigint, interval, boolean)'
	];
	v_admin CONSTANT text[] := ARRAY[
		'INSERT, UPDATE, DELETE ON telehealth.clinic, telehealth.disclosure_policy, telehealth.vendor_limit',
		'SELECT ON telehealth.audit_log',
		'EXECUTE ON FUNCTION telehealth.connect_platform(text, jsonb, jsonb, bigint),'
			' telehealth.configure_platform(bigint, jsonb), telehealth.disconnect_platform(bigint),'
			' telehealth.check_platform(bigint), telehealth.retry_job(text, bigint), telehealth.retry_dead_jobs(bigint),'
			' telehealth.pause_outbound(text), telehealth.resume_outbound(), telehealth.rotate_keys(),'
			' telehealth.hold_history(text), telehealth.release_history(),'
			' telehealth.set_dashboard_token(), telehealth.drop_dashboard_token(),'
			' telehealth.adopt_environment(), telehealth.grant_role(regrole, text, bigint),'
			' telehealth.revoke_role(regrole, text, bigint)',
		'EXECUTE ON FUNCTION telehealth.register_oauth_client(text, jsonb, jsonb, bigint),'
			' telehealth.authorize_platform(text, bigint),'
			' telehealth.connect_schedule(jsonb, bigint), telehealth.disconnect_schedule(text, bigint)'
	];
	v_worker CONSTANT text[] := ARRAY[
		'USAGE ON SCHEMA telehealth, telehealth_private',
		'SELECT, INSERT, UPDATE ON telehealth.appointment',
		'SELECT, UPDATE ON telehealth.appointment_series',
		'SELECT, INSERT, UPDATE, DELETE ON telehealth.clinic, telehealth.provider, telehealth.patient,'
			' telehealth.session, telehealth.account, telehealth.vendor_limit, telehealth.disclosure_policy,'
			' telehealth.audit_log, telehealth.feed, telehealth.webhook_event, telehealth.participant,'
			' telehealth.waiting_room_entry, telehealth.recording',
		'SELECT, INSERT, UPDATE, DELETE ON telehealth_private.account_secret, telehealth_private.token_cache,'
			' telehealth_private.session_secret, telehealth_private.builtin_platform,'
			' telehealth_private.builtin_vendor_limit, telehealth_private.builtin_disclosure_policy,'
			' telehealth_private.windows_zone, telehealth_private.installation,'
			' telehealth_private.role_grant, telehealth_private.job, telehealth_private.job_history,'
			' telehealth_private.job_history_done, telehealth_private.job_history_default, telehealth_private.job_failure,'
			' telehealth_private.job_failure_default, telehealth_private.quota, telehealth_private.environment,'
			' telehealth_private.pause, telehealth_private.history_hold, telehealth_private.oauth_client,'
			' telehealth_private.oauth_client_secret, telehealth_private.oauth_state, telehealth_private.push_channel,'
			' telehealth_private.builtin_oauth',
		'SELECT, INSERT, UPDATE, DELETE ON telehealth.calendar_connection, telehealth.calendar_event, telehealth.calendar_change,'
			' telehealth.busy_time, telehealth.import_problem, telehealth_private.connection_secret,'
			' telehealth_private.connection_token, telehealth_private.calendar_cursor, telehealth_private.sync_count',
		'SELECT ON telehealth_private.builtin_calendar',
		'SELECT ON telehealth_private.dashboard_token',
		'USAGE, SELECT ON ALL SEQUENCES IN SCHEMA telehealth, telehealth_private',
		'EXECUTE ON FUNCTION telehealth.current_clinic(), telehealth.may_see(bigint, name),'
			' telehealth_private.may_administer(bigint, name), telehealth_private.add_minutes(timestamptz, integer), telehealth_private.is_timezone(text),'
			' telehealth_private.wants_meeting(telehealth.appointment_type, telehealth.appointment_status, boolean),'
			' telehealth_private.chain_audit(integer), telehealth_private.audit_text(telehealth.audit_log),'
			' telehealth_private.caller()',
		'EXECUTE ON FUNCTION telehealth_private.is_rule(text), telehealth_private.instant_of(timestamp, text),'
			' telehealth_private.wall_of(timestamptz, text),'
			' telehealth_private.series_days(text, date, time, text, date, date, integer),'
			' telehealth_private.series_due_at(telehealth.appointment_series, date),'
			' telehealth_private.expand_series(bigint, bigint, timestamptz, boolean),'
			' telehealth_private.extend_series(bigint[], bigint[], timestamptz)'
	];
BEGIN
	RETURN CASE kind
		WHEN 'reader' THEN v_reader
		WHEN 'app' THEN v_reader || v_webhook || v_app
		WHEN 'admin' THEN v_reader || v_webhook || v_app || v_admin
		WHEN 'worker' THEN v_worker
		WHEN 'webhook' THEN v_webhook
	END;
END
$$;

CREATE FUNCTION telehealth_private.apply_grants(grantee regrole, kind text) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_rights text;
BEGIN
	FOREACH v_rights IN ARRAY telehealth_private.grants_of(kind) LOOP
		EXECUTE format('GRANT %s TO %s', v_rights, grantee::text);
	END LOOP;
END
$$;

/* At the end of an update, and of the restore of an older dump: roles may do what their kinds may do by now. */
CREATE FUNCTION telehealth_private.renew_grants() RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_renew_grants';

/* What an administrator granted beside is left alone. */
CREATE FUNCTION telehealth_private.withdraw_grants(grantee regrole, kind text) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_rights text;
BEGIN
	FOREACH v_rights IN ARRAY telehealth_private.grants_of(kind) LOOP
		EXECUTE format('REVOKE %s FROM %s', v_rights, grantee::text);
	END LOOP;
END
$$;

/*
 * Rows follow their role to its new name, and go with it: the next role of
 * that name inherits nothing. What a restore brought for a role that was not
 * there stays until somebody decides; it gives nothing.
 */
CREATE FUNCTION telehealth_private.tidy_grants() RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_renamed telehealth_private.role_grant[];
	v_gone telehealth_private.role_grant;
BEGIN
	v_renamed := ARRAY (
		SELECT g FROM telehealth_private.role_grant AS g
		JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee_oid
		WHERE r.rolname <> g.grantee);
	FOR v_gone IN
		DELETE FROM telehealth_private.role_grant AS g
		WHERE g.grantee_oid IS NOT NULL
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = g.grantee_oid AND r.rolname = g.grantee)
		RETURNING *
	LOOP
		CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = v_gone.grantee_oid);
		PERFORM telehealth_private.audit(v_gone.clinic_id, 'revoke_role', 'role', NULL,
			jsonb_build_object('role', v_gone.grantee, 'kind', v_gone.kind, 'dropped', true));
	END LOOP;
	INSERT INTO telehealth_private.role_grant (grantee, kind, clinic_id, granted_at)
	SELECT r.rolname, g.kind, g.clinic_id, g.granted_at
	FROM unnest(v_renamed) AS g
	JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee_oid
	ON CONFLICT ON CONSTRAINT role_grant_pkey DO UPDATE SET grantee_oid = EXCLUDED.grantee_oid;
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
	IF clinic_id < 0 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'clinic_id must not be negative';
	END IF;
	IF kind NOT IN ('admin', 'app', 'reader', 'worker', 'webhook') THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown kind "%s"', kind),
			HINT = 'Kinds are admin, app, reader, worker and webhook.';
	END IF;
	SELECT r.rolname INTO v_name FROM pg_catalog.pg_roles AS r WHERE r.oid = role::oid;
	IF v_name IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = 'role does not exist';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_extension AS x WHERE x.extname = 'telehealth' AND x.extowner = role::oid) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_grant_operation',
			MESSAGE = format('role "%s" owns the extension', v_name),
			HINT = 'It may do everything without a grant.';
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
	PERFORM telehealth_private.tidy_grants();
	INSERT INTO telehealth_private.role_grant AS g (grantee, kind, clinic_id)
	VALUES (v_name, grant_role.kind, grant_role.clinic_id)
	ON CONFLICT ON CONSTRAINT role_grant_pkey DO UPDATE SET grantee_oid = EXCLUDED.grantee_oid
	WHERE g.grantee_oid IS DISTINCT FROM EXCLUDED.grantee_oid;
	PERFORM telehealth_private.apply_grants(role, kind);
	PERFORM telehealth_private.audit(clinic_id, 'grant_role', 'role', NULL,
		jsonb_build_object('role', v_name, 'kind', kind));
END
$$;

CREATE FUNCTION telehealth.revoke_role(role regrole, kind text, clinic_id bigint DEFAULT 0) RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

/* Takes away what this kind of grant gave, then gives again what the role's other grants say. */
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
	PERFORM telehealth_private.tidy_grants();
	DELETE FROM telehealth_private.role_grant AS g
	WHERE g.grantee = v_name AND g.kind = revoke_role.kind AND g.clinic_id = revoke_role.clinic_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM telehealth_private.withdraw_grants(role, kind);
	FOR v_kind IN SELECT DISTINCT g.kind FROM telehealth_private.role_grant AS g WHERE g.grantee_oid = role::oid LOOP
		PERFORM telehealth_private.apply_grants(role, v_kind);
	END LOOP;
	PERFORM telehealth_private.audit(clinic_id, 'revoke_role', 'role', NULL,
		jsonb_build_object('role', v_name, 'kind', kind));
	RETURN true;
END
$$;
