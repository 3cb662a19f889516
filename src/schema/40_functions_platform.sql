CREATE FUNCTION telehealth.connect_platform(
	platform text,
	credentials jsonb,
	settings jsonb DEFAULT '{}',
	clinic_id bigint DEFAULT 0
) RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_connect_platform';

CREATE FUNCTION telehealth.configure_platform(account_id bigint, settings jsonb) RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_configure_platform';

/* The clinic an account belongs to: the present one, else 0; P0002 if there is none. */
CREATE FUNCTION telehealth_private.account_clinic(account_id bigint) RETURNS bigint
	LANGUAGE C STABLE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_account_clinic';

/* Platforms that may have a meeting: the appointment's own, else its clinic's and the fallbacks. */
CREATE FUNCTION telehealth_private.platforms_of(platform text, clinic_platform text, fallback_platforms text[]) RETURNS text[]
	LANGUAGE sql STABLE
	RETURN CASE WHEN platform IS NOT NULL THEN ARRAY[platform]
		ELSE COALESCE(clinic_platform, current_setting('telehealth.default_platform')) || COALESCE(fallback_platforms, '{}') END;

/*
 * Marks the visits to come that a new account may serve, and what waits in
 * their clinics. For clinic 0 these are the clinics without an own account.
 */
CREATE FUNCTION telehealth_private.mark_unmet(platform text, clinic_id bigint) RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_marked bigint := 0;
	v_class record;
BEGIN
	FOR v_class IN
		SELECT q.priority, array_agg(q.clinic_id) AS clinics, array_agg(q.id) AS ids
		FROM (
			SELECT a.clinic_id, a.id, telehealth_private.priority_at(a.starts_at, a.ends_at, 1) AS priority
			FROM telehealth.appointment AS a
			LEFT JOIN telehealth.clinic AS c ON c.id = a.clinic_id
			LEFT JOIN telehealth.session AS s
				ON s.clinic_id = a.clinic_id AND s.appointment_id = a.id AND s.retired_at IS NULL
			WHERE a.ends_at > now()
				AND telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)
				AND (s.join_url IS NULL OR a.join_url IS NULL)
				AND mark_unmet.platform = ANY (telehealth_private.platforms_of(a.platform, c.platform, c.fallback_platforms))
				AND (a.clinic_id = mark_unmet.clinic_id OR mark_unmet.clinic_id = 0)
			UNION
			SELECT j.clinic_id, j.subject_id, j.priority
			FROM telehealth_private.job AS j
			WHERE j.kind = 'meeting' AND j.dead_at IS NULL AND j.waiting_for IS NOT NULL
				AND (j.clinic_id = mark_unmet.clinic_id OR mark_unmet.clinic_id = 0)
		) AS q
		WHERE mark_unmet.clinic_id <> 0 OR q.clinic_id NOT IN (
			SELECT x.clinic_id FROM telehealth.account AS x
			WHERE x.clinic_id <> 0 AND x.platform = mark_unmet.platform AND x.status <> 'disconnected')
		GROUP BY q.priority
	LOOP
		PERFORM telehealth_private.mark('meeting', v_class.clinics, v_class.ids, v_class.priority);
		v_marked := v_marked + cardinality(v_class.ids);
	END LOOP;
	RETURN v_marked;
END
$$;

/* Marks the meetings that an account has, so that new settings reach them. */
CREATE FUNCTION telehealth_private.mark_account(clinic_id bigint, account_id bigint) RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinics bigint[];
	v_ids bigint[];
BEGIN
	SELECT COALESCE(array_agg(s.clinic_id), '{}'), COALESCE(array_agg(s.appointment_id), '{}')
	INTO v_clinics, v_ids
	FROM telehealth.session AS s
	JOIN telehealth.appointment AS a ON a.clinic_id = s.clinic_id AND a.id = s.appointment_id
	WHERE s.account_clinic_id = mark_account.clinic_id AND s.account_id = mark_account.account_id
		AND s.retired_at IS NULL AND a.ends_at > now();
	PERFORM telehealth_private.mark('meeting', v_clinics, v_ids, 3);
	RETURN cardinality(v_ids);
END
$$;

CREATE FUNCTION telehealth.disconnect_platform(account_id bigint) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.disconnect_platform(account_id bigint) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := telehealth_private.account_clinic(account_id);
	v_platform text;
BEGIN
	PERFORM telehealth_private.require_kind('admin', v_clinic);
	UPDATE telehealth.account AS x
	SET status = 'disconnected', token_expires_at = NULL, last_error = NULL, last_error_at = NULL, missing_scope = NULL,
		is_refused = false
	WHERE x.clinic_id = v_clinic AND x.id = disconnect_platform.account_id
	RETURNING x.platform INTO v_platform;
	DELETE FROM telehealth_private.account_secret AS x
	WHERE x.clinic_id = v_clinic AND x.account_id = disconnect_platform.account_id;
	DELETE FROM telehealth_private.token_cache AS x
	WHERE x.clinic_id = v_clinic AND x.account_id = disconnect_platform.account_id;
	PERFORM telehealth_private.mark_unmet(v_platform, v_clinic);
	PERFORM telehealth_private.audit(v_clinic, 'disconnect_platform', 'account', account_id);
END
$$;

/* ---- the doctor ---- */

/* Asks the dispatcher, which asks the platform: [{"check", "status", "detail", "hint"}]. */
CREATE FUNCTION telehealth_private.ask_check_account(clinic_id bigint, account_id bigint) RETURNS jsonb
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_ask_check_account';

/* What can be seen without the network. */
CREATE FUNCTION telehealth_private.check_account_here(clinic_id bigint, account_id bigint)
	RETURNS TABLE (check_name text, status text, detail text, hint text)
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_account telehealth.account;
	v_names text[];
	v_needed text[];
	v_keys text;
	v_held text := CASE WHEN NOT current_setting('telehealth.mock')::boolean THEN telehealth_private.outbound_held() END;
	v_hostless bigint;
BEGIN
	SELECT x.* INTO v_account FROM telehealth.account AS x
	WHERE x.clinic_id = check_account_here.clinic_id AND x.id = check_account_here.account_id;
	RETURN QUERY SELECT 'account',
		CASE WHEN v_account.status = 'connected' THEN 'ok' ELSE 'error' END,
		v_account.platform || ': ' || v_account.status || COALESCE(', ' || v_account.last_error, ''),
		CASE WHEN v_account.status <> 'connected' THEN 'Connect it again with telehealth.connect_platform().' END;

	SELECT COALESCE(array_agg(x.name ORDER BY x.name), '{}') INTO v_names FROM telehealth_private.account_secret AS x
	WHERE x.clinic_id = check_account_here.clinic_id AND x.account_id = check_account_here.account_id
		AND x.name <> 'former_webhook_secret';
	v_needed := CASE WHEN v_account.platform <> 'zoom' THEN '{}'
		WHEN 'refresh_token' = ANY (v_names) THEN ARRAY['client_id', 'client_secret']
		ELSE ARRAY['account_id', 'client_id', 'client_secret'] END;
	RETURN QUERY SELECT 'credentials',
		CASE WHEN v_needed <@ v_names THEN 'ok' ELSE 'error' END,
		'stored: ' || COALESCE(NULLIF(array_to_string(v_names, ', '), ''), 'none'),
		CASE WHEN NOT v_needed <@ v_names THEN 'Connect the account again with telehealth.connect_platform().' END;
	IF cardinality(v_names) > 0 THEN
		v_keys := (SELECT k.state FROM telehealth_private.key_status() AS k);
		RETURN QUERY SELECT 'key_ring', CASE WHEN v_keys = 'ok' THEN 'ok' ELSE 'error' END, v_keys,
			CASE WHEN v_keys <> 'ok' THEN 'Restore the file that telehealth.key_file names, with mode 0600.' END;
	END IF;
	IF v_account.platform = 'zoom' THEN
		RETURN QUERY SELECT 'webhook_secret',
			CASE WHEN 'webhook_secret' = ANY (v_names) THEN 'ok' ELSE 'warning' END,
			CASE WHEN 'webhook_secret' = ANY (v_names) THEN 'stored' ELSE 'no webhook secret: every delivery is refused' END,
			CASE WHEN NOT 'webhook_secret' = ANY (v_names) THEN 'Connect again with the webhook_secret of the app.' END;
	END IF;
	IF current_setting('telehealth.mock')::boolean AND v_account.platform <> 'mock' THEN
		RETURN QUERY SELECT 'mock', 'warning', 'meetings are made by the built-in mock, not here',
			'Turn telehealth.mock off for real meetings.';
	END IF;
	RETURN QUERY SELECT 'environment', CASE WHEN v_held IS NULL THEN 'ok' ELSE 'error' END,
		COALESCE(v_held || ': ' || telehealth_private.hint_reason(v_held), 'outward work is allowed'),
		telehealth_private.hint(v_held);

	SELECT count(DISTINCT a.provider_id) INTO v_hostless
	FROM telehealth.appointment AS a
	LEFT JOIN telehealth.clinic AS c ON c.id = a.clinic_id
	LEFT JOIN telehealth.provider AS p ON p.clinic_id = a.clinic_id AND p.id = a.provider_id
	WHERE a.ends_at > now() AND COALESCE(a.platform, c.platform, current_setting('telehealth.default_platform')) = v_account.platform
		AND telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)
		AND (a.clinic_id = check_account_here.clinic_id OR check_account_here.clinic_id = 0)
		AND NOT v_account.is_user_level
		AND COALESCE(p.platform_user, p.email, v_account.settings ->> 'default_user') IS NULL;
	RETURN QUERY SELECT 'hosts', CASE WHEN v_hostless = 0 THEN 'ok' ELSE 'warning' END,
		CASE WHEN v_hostless = 0 THEN 'every provider with a visit to come has a host'
			ELSE 'providers with a visit to come, but no platform_user or email: ' || v_hostless END,
		CASE WHEN v_hostless > 0 THEN telehealth_private.hint('no_host') END;
END
$$;

CREATE FUNCTION telehealth.check_platform(account_id bigint)
	RETURNS TABLE (check_name text, status text, detail text, hint text)
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.check_platform(account_id bigint)
	RETURNS TABLE (check_name text, status text, detail text, hint text)
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_clinic bigint := telehealth_private.account_clinic(account_id);
	v_answer jsonb;
	v_message text;
	v_hint text;
BEGIN
	PERFORM telehealth_private.require_kind('admin', v_clinic);
	RETURN QUERY SELECT h.* FROM telehealth_private.check_account_here(v_clinic, check_platform.account_id) AS h;

	IF (SELECT w.state FROM telehealth_private.worker_slots() AS w) NOT IN ('running', 'starting') THEN
		RETURN QUERY SELECT 'worker', 'error', 'no telehealth worker runs in this database',
			CASE (SELECT w.state FROM telehealth_private.worker_slots() AS w)
				WHEN 'not_preloaded' THEN 'Add telehealth to shared_preload_libraries and restart the server.'
				WHEN 'version_mismatch' THEN telehealth_private.hint('version_mismatch')
				ELSE telehealth_private.hint('worker_down') END;
		RETURN;
	END IF;
	RETURN QUERY SELECT 'worker', 'ok', 'it runs', NULL::text;

	BEGIN
		v_answer := telehealth_private.ask_check_account(v_clinic, check_platform.account_id);
	EXCEPTION WHEN query_canceled OR admin_shutdown THEN
		RAISE;
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_hint = PG_EXCEPTION_HINT;
		RETURN QUERY SELECT 'platform', 'error', v_message, NULLIF(v_hint, '');
		RETURN;
	END;
	RETURN QUERY
		SELECT e.item ->> 'check', e.item ->> 'status', e.item ->> 'detail', e.item ->> 'hint'
		FROM jsonb_array_elements(v_answer) WITH ORDINALITY AS e (item, place)
		ORDER BY e.place;
END
$$;
