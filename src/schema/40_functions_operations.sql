/* ---- what views show of the processes ---- */

/* One row: the dispatcher of this database, whether there is one or not. */
CREATE FUNCTION telehealth_private.worker_slots(
	OUT state text,
	OUT pid integer,
	OUT started_at timestamptz,
	OUT retry_at timestamptz,
	OUT failures integer,
	OUT phase text,
	OUT held_reason text,
	OUT in_flight integer,
	OUT waiting integer,
	OUT claimed bigint,
	OUT settled bigint,
	OUT failed bigint,
	OUT cycles bigint,
	OUT wakes bigint,
	OUT last_cycle_at timestamptz,
	OUT last_error_at timestamptz,
	OUT last_sqlstate text,
	OUT shared_credentials integer,
	OUT launcher_pid integer
) RETURNS SETOF record
	LANGUAGE C VOLATILE ROWS 1
	AS 'MODULE_PATHNAME', 'th_sql_worker_slots';

/* One row a task of that dispatcher. */
CREATE FUNCTION telehealth_private.periodic_tasks(
	OUT task text,
	OUT every_ms integer,
	OUT last_success_at timestamptz,
	OUT next_due_at timestamptz,
	OUT is_overdue boolean
) RETURNS SETOF record
	LANGUAGE C VOLATILE ROWS 8
	AS 'MODULE_PATHNAME', 'th_sql_periodic_tasks';

/* ---- keys ---- */

CREATE FUNCTION telehealth_private.key_status(OUT source text, OUT state text, OUT is_in_data_directory boolean) RETURNS record
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_key_status';

CREATE FUNCTION telehealth_private.reseal(envelope bytea, place text) RETURNS bytea
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_reseal';

CREATE FUNCTION telehealth_private.forget_keys() RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_forget_keys';

/* The new envelope, NULL if it is sealed with the first key or cannot be opened. */
CREATE FUNCTION telehealth_private.try_reseal(envelope bytea, place text, OUT sealed bytea, OUT is_broken boolean) RETURNS record
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	is_broken := false;
	sealed := telehealth_private.reseal(envelope, place);
EXCEPTION WHEN data_corrupted OR SQLSTATE 'TH001' THEN
	is_broken := true;
END
$$;

CREATE FUNCTION telehealth.rotate_keys() RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.rotate_keys() RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_row record;
	v_new record;
	v_sealed bigint := 0;
	v_broken bigint := 0;
BEGIN
	PERFORM telehealth_private.require_kind('admin', 0);
	PERFORM telehealth_private.forget_keys();
	FOR v_row IN
		SELECT 1 AS source, x.clinic_id, x.account_id AS id, x.name, x.envelope,
			format('telehealth_private.account_secret.envelope/%s/%s/%s', x.clinic_id, x.account_id, x.name) AS place
		FROM telehealth_private.account_secret AS x
		UNION ALL
		SELECT 2, x.clinic_id, x.account_id, NULL, x.envelope,
			format('telehealth_private.token_cache.envelope/%s/%s', x.clinic_id, x.account_id)
		FROM telehealth_private.token_cache AS x
		UNION ALL
		SELECT 3, x.clinic_id, x.session_id, x.name, x.envelope,
			format('telehealth_private.session_secret.envelope/%s/%s/%s', x.clinic_id, x.session_id, x.name)
		FROM telehealth_private.session_secret AS x
		UNION ALL
		SELECT 4, x.clinic_id, x.oauth_client_id, x.name, x.envelope,
			format('telehealth_private.oauth_client_secret.envelope/%s/%s/%s', x.clinic_id, x.oauth_client_id, x.name)
		FROM telehealth_private.oauth_client_secret AS x
		UNION ALL
		SELECT 5, x.clinic_id, x.id, NULL, x.envelope,
			format('telehealth_private.push_channel.envelope/%s/%s', x.clinic_id, x.id)
		FROM telehealth_private.push_channel AS x
		UNION ALL
		SELECT 6, x.clinic_id, x.connection_id, x.name, x.envelope,
			format('telehealth_private.connection_secret.envelope/%s/%s/%s', x.clinic_id, x.connection_id, x.name)
		FROM telehealth_private.connection_secret AS x
		UNION ALL
		SELECT 7, x.clinic_id, x.connection_id, NULL, x.envelope,
			format('telehealth_private.connection_token.envelope/%s/%s', x.clinic_id, x.connection_id)
		FROM telehealth_private.connection_token AS x
		UNION ALL
		SELECT 8, x.clinic_id, x.connection_id, NULL, x.former_envelope,
			format('telehealth_private.connection_token.envelope/%s/%s', x.clinic_id, x.connection_id)
		FROM telehealth_private.connection_token AS x
		WHERE x.former_envelope IS NOT NULL
	LOOP
		SELECT r.sealed, r.is_broken INTO v_new FROM telehealth_private.try_reseal(v_row.envelope, v_row.place) AS r;
		IF v_new.is_broken THEN
			v_broken := v_broken + 1;
		ELSIF v_new.sealed IS NOT NULL THEN
			UPDATE telehealth_private.account_secret AS x SET envelope = v_new.sealed
			WHERE v_row.source = 1 AND x.clinic_id = v_row.clinic_id AND x.account_id = v_row.id AND x.name = v_row.name
				AND x.envelope = v_row.envelope;
			UPDATE telehealth_private.token_cache AS x SET envelope = v_new.sealed
			WHERE v_row.source = 2 AND x.clinic_id = v_row.clinic_id AND x.account_id = v_row.id
				AND x.envelope = v_row.envelope;
			UPDATE telehealth_private.session_secret AS x SET envelope = v_new.sealed
			WHERE v_row.source = 3 AND x.clinic_id = v_row.clinic_id AND x.session_id = v_row.id AND x.name = v_row.name
				AND x.envelope = v_row.envelope;
			UPDATE telehealth_private.oauth_client_secret AS x SET envelope = v_new.sealed
			WHERE v_row.source = 4 AND x.clinic_id = v_row.clinic_id AND x.oauth_client_id = v_row.id AND x.name = v_row.name
				AND x.envelope = v_row.envelope;
			UPDATE telehealth_private.push_channel AS x SET envelope = v_new.sealed
			WHERE v_row.source = 5 AND x.clinic_id = v_row.clinic_id AND x.id = v_row.id
				AND x.envelope = v_row.envelope;
			UPDATE telehealth_private.connection_secret AS x SET envelope = v_new.sealed
			WHERE v_row.source = 6 AND x.clinic_id = v_row.clinic_id AND x.connection_id = v_row.id AND x.name = v_row.name
				AND x.envelope = v_row.envelope;
			UPDATE telehealth_private.connection_token AS x SET envelope = v_new.sealed
			WHERE v_row.source = 7 AND x.clinic_id = v_row.clinic_id AND x.connection_id = v_row.id
				AND x.envelope = v_row.envelope;
			UPDATE telehealth_private.connection_token AS x SET former_envelope = v_new.sealed
			WHERE v_row.source = 8 AND x.clinic_id = v_row.clinic_id AND x.connection_id = v_row.id
				AND x.former_envelope = v_row.envelope;
			v_sealed := v_sealed + 1;
		END IF;
	END LOOP;
	IF v_broken > 0 THEN
		RAISE WARNING USING MESSAGE = format('stored secrets that could not be opened: %s', v_broken),
			HINT = 'Restore their key, or connect their accounts again.';
	END IF;
	PERFORM telehealth_private.audit(0, 'rotate_keys', 'key_ring', NULL,
		jsonb_build_object('sealed', v_sealed, 'broken', v_broken));
	RETURN v_sealed;
END
$$;

/* ---- may this database send? ---- */

/* The first reason why outward work is held, or NULL. */
CREATE FUNCTION telehealth_private.outbound_held() RETURNS text
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_outbound_held';

CREATE FUNCTION telehealth_private.system_identifier() RETURNS text
	LANGUAGE C STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_system_identifier';

CREATE FUNCTION telehealth.pause_outbound(reason text) RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.pause_outbound(reason text) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM telehealth_private.require_kind('admin', 0);
	IF btrim(COALESCE(reason, '')) = '' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'reason must not be empty';
	END IF;
	INSERT INTO telehealth_private.pause AS p (reason, paused_by)
	VALUES (pause_outbound.reason, telehealth_private.caller())
	ON CONFLICT ON CONSTRAINT pause_pkey DO UPDATE
	SET reason = EXCLUDED.reason, paused_at = now(), paused_by = EXCLUDED.paused_by;
	PERFORM telehealth_private.audit(0, 'pause_outbound', 'environment', NULL);
END
$$;

CREATE FUNCTION telehealth.resume_outbound() RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.resume_outbound() RETURNS boolean
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM telehealth_private.require_kind('admin', 0);
	DELETE FROM telehealth_private.pause;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM telehealth_private.audit(0, 'resume_outbound', 'environment', NULL);
	PERFORM telehealth_private.wake();
	RETURN true;
END
$$;

/* ---- history under investigation ---- */

CREATE FUNCTION telehealth.hold_history(reason text) RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.hold_history(reason text) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM telehealth_private.require_kind('admin', 0);
	IF btrim(COALESCE(reason, '')) = '' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'reason must not be empty';
	END IF;
	INSERT INTO telehealth_private.history_hold AS h (reason, held_by)
	VALUES (hold_history.reason, telehealth_private.caller())
	ON CONFLICT ON CONSTRAINT history_hold_pkey DO UPDATE
	SET reason = EXCLUDED.reason, held_at = now(), held_by = EXCLUDED.held_by;
	PERFORM telehealth_private.audit(0, 'hold_history', 'environment', NULL);
END
$$;

CREATE FUNCTION telehealth.release_history() RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.release_history() RETURNS boolean
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM telehealth_private.require_kind('admin', 0);
	DELETE FROM telehealth_private.history_hold;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM telehealth_private.audit(0, 'release_history', 'environment', NULL);
	RETURN true;
END
$$;

/* Marks every subject whose wanted state differs from what was last confirmed. */
CREATE FUNCTION telehealth_private.mark_differing() RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_class record;
	v_marked bigint := 0;
BEGIN
	FOR v_class IN
		WITH wanted AS (
			SELECT a.*, telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted) AND a.ends_at > now() AS wants,
				CASE WHEN current_setting('telehealth.mock')::boolean THEN ARRAY['mock']
					ELSE telehealth_private.platforms_of(a.platform, c.platform, c.fallback_platforms) END AS targets,
				NULLIF(COALESCE(p.platform_user, p.email), '') AS host
			FROM telehealth.appointment AS a
			LEFT JOIN telehealth.clinic AS c ON c.id = a.clinic_id
			LEFT JOIN telehealth.provider AS p ON p.clinic_id = a.clinic_id AND p.id = a.provider_id
		), differing AS (
			SELECT w.clinic_id, w.id, telehealth_private.priority_at(w.starts_at, w.ends_at, 3) AS priority
			FROM wanted AS w
			LEFT JOIN telehealth.session AS s
				ON s.clinic_id = w.clinic_id AND s.appointment_id = w.id AND s.retired_at IS NULL
			LEFT JOIN telehealth.account AS x ON x.clinic_id = s.account_clinic_id AND x.id = s.account_id
			WHERE CASE WHEN w.wants THEN s.join_url IS NULL OR w.join_url IS DISTINCT FROM s.join_url OR s.intent IS NOT NULL
					OR (s.scheduled_at, s.duration, s.provider_id, s.patient_id)
						IS DISTINCT FROM (w.starts_at, w.duration, w.provider_id, w.patient_id)
					OR s.platform <> ALL (w.targets)
					OR (s.platform <> 'mock' AND s.host IS DISTINCT FROM CASE WHEN x.is_user_level THEN 'me'
						ELSE COALESCE(w.host, x.settings ->> 'default_user', 'me') END)
				WHEN w.type = 'VIDEO' AND w.is_meeting_wanted AND w.status IN ('COMPLETED', 'NO_SHOW') THEN false
				WHEN w.ends_at <= now() AND telehealth_private.wants_meeting(w.type, w.status, w.is_meeting_wanted) THEN false
				ELSE s.meeting_id IS NOT NULL OR s.intent IS NOT NULL OR w.meeting_id IS NOT NULL OR w.join_url IS NOT NULL END
			UNION
			SELECT s.clinic_id, s.appointment_id, 3
			FROM telehealth.session AS s
			LEFT JOIN telehealth.appointment AS a ON a.clinic_id = s.clinic_id AND a.id = s.appointment_id
			WHERE (s.retired_at IS NOT NULL OR a.id IS NULL) AND (s.meeting_id IS NOT NULL OR s.intent IS NOT NULL)
		)
		SELECT q.priority, array_agg(q.clinic_id) AS clinics, array_agg(q.id) AS ids
		FROM (SELECT d.clinic_id, d.id, min(d.priority) AS priority FROM differing AS d GROUP BY d.clinic_id, d.id) AS q
		GROUP BY q.priority
	LOOP
		PERFORM telehealth_private.mark('meeting', v_class.clinics, v_class.ids, v_class.priority);
		v_marked := v_marked + cardinality(v_class.ids);
	END LOOP;

	/* Holds: the dispatcher puts off those whose time has not come. */
	FOR v_class IN
		SELECT array_agg(a.clinic_id) AS clinics, array_agg(a.id) AS ids
		FROM telehealth.appointment AS a
		WHERE a.status = 'PENDING' AND a.held_until IS NOT NULL
		HAVING count(*) > 0
	LOOP
		PERFORM telehealth_private.mark('hold', v_class.clinics, v_class.ids, 1);
	END LOOP;
	RETURN v_marked;
END
$$;

CREATE FUNCTION telehealth.adopt_environment() RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.adopt_environment() RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_marked bigint;
BEGIN
	PERFORM telehealth_private.require_owner('adopt this environment');
	/* of a dump of version 0.1, that which was adopted is older than what CREATE EXTENSION wrote: its visits keep their UIDs */
	DELETE FROM telehealth_private.installation AS i
	USING telehealth_private.installation AS o
	WHERE (o.created_at, o.tag) < (i.created_at, i.tag);
	UPDATE telehealth_private.installation AS i
	SET plain_until = (SELECT COALESCE(max(a.id), 0) FROM telehealth.appointment AS a)
	WHERE i.plain_until IS NULL
		AND EXISTS (SELECT FROM telehealth_private.environment AS e WHERE e.adopted_at < i.created_at);
	INSERT INTO telehealth_private.environment AS e (system_identifier, database_oid, environment, adopted_by)
	SELECT telehealth_private.system_identifier(), d.oid::bigint, COALESCE(current_setting('telehealth.environment', true), ''),
		telehealth_private.caller()
	FROM pg_catalog.pg_database AS d
	WHERE d.datname = current_database()
	ON CONFLICT ON CONSTRAINT environment_pkey DO UPDATE
	SET system_identifier = EXCLUDED.system_identifier, database_oid = EXCLUDED.database_oid,
		environment = EXCLUDED.environment, adopted_at = now(), adopted_by = EXCLUDED.adopted_by;
	/* the dump may be of an earlier version */
	PERFORM telehealth_private.renew_grants();
	v_marked := telehealth_private.mark_differing();
	PERFORM telehealth_private.mark('series', array_agg(s.clinic_id), array_agg(s.id), 3)
	FROM telehealth.appointment_series AS s
	HAVING count(*) > 0;
	PERFORM telehealth_private.mark('backfill', array_agg(x.clinic_id), array_agg(x.id), 3)
	FROM telehealth.calendar_connection AS x
	HAVING count(*) > 0;
	PERFORM telehealth_private.mark(k.kind, array_agg(x.clinic_id), array_agg(x.id), 3)
	FROM telehealth.calendar_connection AS x
	CROSS JOIN unnest('{pull,channel,connection}'::text[]) AS k (kind)
	GROUP BY k.kind;
	PERFORM telehealth_private.mark('session', array_agg(e.clinic_id), array_agg(e.session_id), 3)
	FROM (
		SELECT DISTINCT w.clinic_id, w.session_id FROM telehealth.webhook_event AS w
		WHERE w.session_id IS NOT NULL AND w.processed_at IS NULL
	) AS e
	HAVING count(*) > 0;
	PERFORM telehealth_private.audit(0, 'adopt_environment', 'environment', NULL, jsonb_build_object('marked', v_marked));
	PERFORM telehealth_private.wake();
	RETURN v_marked;
END
$$;
