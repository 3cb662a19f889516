CREATE FUNCTION telehealth.ensure_meeting(appointment_id bigint) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

/*
 * Sets whether a meeting is wanted, and marks the appointment either way. The
 * appointment is locked before its job, as by its triggers: the dispatcher
 * passes over what is locked so, but would wait for a job.
 */
CREATE FUNCTION telehealth_private.want_meeting(clinic_id bigint, appointment_id bigint, is_wanted boolean, priority integer)
	RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_priority integer;
BEGIN
	SELECT telehealth_private.priority_at(a.starts_at, a.ends_at, want_meeting.priority) INTO v_priority
	FROM telehealth.appointment AS a
	WHERE a.clinic_id = want_meeting.clinic_id AND a.id = want_meeting.appointment_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'no_data_found',
			MESSAGE = format('appointment %s does not exist', appointment_id);
	END IF;
	UPDATE telehealth.appointment AS a SET is_meeting_wanted = want_meeting.is_wanted
	WHERE a.clinic_id = want_meeting.clinic_id AND a.id = want_meeting.appointment_id
		AND a.is_meeting_wanted <> want_meeting.is_wanted;
	PERFORM telehealth_private.mark('meeting', ARRAY[clinic_id], ARRAY[appointment_id], v_priority);
END
$$;

CREATE FUNCTION telehealth_private.ensure_meeting(appointment_id bigint) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	PERFORM telehealth_private.want_meeting(v_clinic, appointment_id, true, 1);
END
$$;

CREATE FUNCTION telehealth.cancel_meeting(appointment_id bigint) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.cancel_meeting(appointment_id bigint) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	PERFORM telehealth_private.want_meeting(v_clinic, appointment_id, false, 2);
END
$$;

CREATE FUNCTION telehealth.backfill_meetings(since timestamptz) RETURNS bigint
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.backfill_meetings(since timestamptz) RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
	v_class record;
	v_marked bigint := 0;
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	FOR v_class IN
		SELECT q.priority, array_agg(v_clinic) AS clinics, array_agg(q.id) AS ids
		FROM (
			SELECT a.id, telehealth_private.priority_at(a.starts_at, a.ends_at, 3) AS priority
			FROM telehealth.appointment AS a
			LEFT JOIN telehealth.session AS s
				ON s.clinic_id = a.clinic_id AND s.appointment_id = a.id AND s.retired_at IS NULL
			WHERE a.clinic_id = v_clinic AND a.starts_at >= since AND a.ends_at > now()
				AND telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)
				AND (s.join_url IS NULL OR a.join_url IS NULL)
		) AS q
		GROUP BY q.priority
	LOOP
		PERFORM telehealth_private.mark('meeting', v_class.clinics, v_class.ids, v_class.priority);
		v_marked := v_marked + cardinality(v_class.ids);
	END LOOP;
	RETURN v_marked;
END
$$;

CREATE FUNCTION telehealth.await_meeting(appointment_id bigint, timeout interval DEFAULT '30 s') RETURNS telehealth.session
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_await_meeting';

CREATE FUNCTION telehealth.host_start_url(appointment_id bigint, timeout interval DEFAULT '10 s') RETURNS text
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_host_start_url';

CREATE FUNCTION telehealth.appointment_ics(appointment_id bigint, method text DEFAULT 'PUBLISH') RETURNS text
	LANGUAGE C STABLE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_appointment_ics';

/* ---- the story of an appointment ---- */

CREATE FUNCTION telehealth_private.history_what(action text, platform text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE action
		WHEN 'fallback' THEN 'take a fallback platform instead of'
		WHEN 'create' THEN 'create meeting'
		WHEN 'update' THEN 'change meeting'
		WHEN 'delete' THEN 'remove meeting'
		WHEN 'read' THEN 'look at meeting'
		WHEN 'find' THEN 'look for a meeting made before'
		WHEN 'token' THEN 'get an access token'
		WHEN 'host' THEN 'look at the host'
		WHEN 'hold' THEN 'look at the hold'
		ELSE 'look at the appointment'
	END || COALESCE(CASE action WHEN 'fallback' THEN ' ' ELSE ' at ' END || platform, '');

CREATE FUNCTION telehealth_private.history_result(
	action text,
	outcome text,
	http_status integer,
	total_ms integer,
	code text,
	message text
) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN concat_ws(': ',
		NULLIF(concat_ws(' in ', COALESCE(http_status::text, CASE WHEN total_ms IS NOT NULL THEN 'no answer' END),
			total_ms || ' ms'), ''),
		CASE outcome
			WHEN 'ok' THEN CASE WHEN http_status IS NULL THEN 'done' END
			WHEN 'adopted' THEN 'found and adopted'
			WHEN 'nothing' THEN CASE WHEN action <> 'fallback' THEN 'nothing to do' END
			WHEN 'gone' THEN CASE WHEN action = 'delete' THEN 'it was gone already' ELSE 'it is gone' END
			WHEN 'retry' THEN 'it did not work'
			WHEN 'unknown' THEN 'the outcome is not known'
			WHEN 'waiting' THEN 'it has to wait'
			WHEN 'dead' THEN 'given up'
		END,
		code,
		message);

CREATE FUNCTION telehealth_private.history_next(outcome text, retry_at timestamptz) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE
		WHEN outcome = 'dead' THEN telehealth_private.hint('dead')
		WHEN outcome = 'unknown' THEN telehealth_private.hint('outcome_unknown')
		WHEN retry_at IS NOT NULL THEN 'again at ' || retry_at
	END;

/* What stands in the appointment, its session and the log. */
CREATE FUNCTION telehealth_private.story_of_rows(clinic_id bigint, appointment_id bigint)
	RETURNS TABLE (at timestamptz, what text, result text, next text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.created_at, 'appointment booked', lower(a.type::text) || ' visit at ' || a.starts_at,
		CASE WHEN telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted) AND a.join_url IS NULL
			THEN 'a meeting is made' END
	FROM telehealth.appointment AS a
	WHERE a.clinic_id = $1 AND a.id = $2
	UNION ALL
	SELECT s.intent_at, 'decided to create a meeting at ' || s.platform, 'noted before asking, as ' || s.marker, NULL
	FROM telehealth.session AS s
	WHERE s.clinic_id = $1 AND s.appointment_id = $2 AND s.intent_at IS NOT NULL
	UNION ALL
	SELECT s.confirmed_at, 'link put into the appointment', 'meeting ' || s.meeting_id || COALESCE(', but ' || s.deviation, ''), NULL
	FROM telehealth.session AS s
	JOIN telehealth.appointment AS a ON a.clinic_id = s.clinic_id AND a.id = s.appointment_id
	WHERE s.clinic_id = $1 AND s.appointment_id = $2 AND s.retired_at IS NULL AND s.join_url = a.join_url
	UNION ALL
	SELECT s.retired_at, 'meeting no longer wanted', COALESCE('meeting ' || s.meeting_id, 'no meeting was made'),
		CASE WHEN s.meeting_id IS NOT NULL THEN 'it is removed at ' || s.platform END
	FROM telehealth.session AS s
	WHERE s.clinic_id = $1 AND s.appointment_id = $2 AND s.retired_at IS NOT NULL
	UNION ALL
	SELECT l.at, replace(l.action, '_', ' '), 'by ' || l.actor, NULL
	FROM telehealth.audit_log AS l
	WHERE l.clinic_id = $1 AND (
		(l.object = 'appointment' AND l.object_id = $2)
		OR (l.object = 'session' AND l.object_id IN (
			SELECT s.id FROM telehealth.session AS s WHERE s.clinic_id = $1 AND s.appointment_id = $2)))
$$;

/* What was asked and answered, and what waits. */
CREATE FUNCTION telehealth_private.story_of_work(clinic_id bigint, appointment_id bigint)
	RETURNS TABLE (at timestamptz, what text, result text, next text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT h.at, telehealth_private.history_what(h.action, h.platform),
		telehealth_private.history_result(h.action, h.outcome, h.http_status, h.total_ms, h.code, h.message),
		telehealth_private.history_next(h.outcome, h.retry_at)
	FROM telehealth_private.job_history AS h
	WHERE h.kind IN ('meeting', 'hold') AND h.clinic_id = $1 AND h.subject_id = $2
	UNION ALL
	SELECT j.marked_at, CASE j.kind WHEN 'hold' THEN 'end of the hold marked' ELSE 'meeting marked' END,
		CASE WHEN j.dead_at IS NOT NULL THEN 'given up' || COALESCE(': ' || j.last_error, '')
			WHEN j.waiting_for IS NOT NULL THEN 'waits: ' || telehealth_private.hint_reason(j.waiting_for)
			WHEN j.last_error IS NOT NULL THEN 'failed ' || j.failures || ' times: ' || j.last_error
			WHEN j.attempts > 0 THEN 'in work'
			ELSE 'queued' END,
		CASE WHEN j.dead_at IS NOT NULL THEN telehealth_private.hint('dead')
			ELSE concat_ws(' ', 'due at ' || j.due_at || '.', telehealth_private.hint(j.waiting_for)) END
	FROM telehealth_private.job AS j
	WHERE j.kind IN ('meeting', 'hold') AND j.clinic_id = $1 AND j.subject_id = $2
$$;

/* What was told of the visit, and asked. */
CREATE FUNCTION telehealth_private.story_of_visit(clinic_id bigint, appointment_id bigint)
	RETURNS TABLE (at timestamptz, what text, result text, next text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT e.received_at, e.source || ' told: ' || left(e.event_name, 100),
		CASE WHEN e.outcome IS NULL THEN 'waits for the worker'
			WHEN e.outcome = 'applied' THEN 'part of how the session stands'
			ELSE 'says nothing of how the session stands' END, NULL
	FROM telehealth.session AS s
	JOIN telehealth.webhook_event AS e ON e.clinic_id = s.clinic_id AND e.session_id = s.id
	WHERE s.clinic_id = $1 AND s.appointment_id = $2
	UNION ALL
	SELECT h.at, 'asked ' || h.platform || ' whether the visit has ended',
		CASE h.outcome WHEN 'ok' THEN 'it has' WHEN 'nothing' THEN 'not that it knows'
			ELSE telehealth_private.history_result(h.action, h.outcome, h.http_status, h.total_ms, h.code, h.message) END,
		telehealth_private.history_next(h.outcome, h.retry_at)
	FROM telehealth.session AS s
	JOIN telehealth_private.job_history AS h ON h.clinic_id = s.clinic_id AND h.subject_id = s.id AND h.kind = 'session'
	WHERE s.clinic_id = $1 AND s.appointment_id = $2
$$;

/* How it stands now: the last line. */
CREATE FUNCTION telehealth_private.story_now(clinic_id bigint, appointment_id bigint)
	RETURNS TABLE (at timestamptz, what text, result text, next text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT clock_timestamp(), 'now',
		CASE WHEN a.id IS NULL THEN 'the appointment was deleted'
			ELSE a.status::text || CASE WHEN s.join_url IS NOT NULL AND a.join_url = s.join_url THEN ', the meeting is ready'
				WHEN telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)
					THEN CASE WHEN a.ends_at > now() THEN ', the meeting is not ready' ELSE ', there was no meeting' END
				ELSE ', no meeting is wanted' END
		END,
		CASE WHEN j.subject_id IS NULL THEN 'nothing is left to do'
			WHEN h.held IS NOT NULL THEN telehealth_private.hint_reason(h.held) || '. ' || telehealth_private.hint(h.held)
			WHEN j.dead_at IS NOT NULL THEN telehealth_private.hint('dead')
			WHEN w.state <> 'running' THEN telehealth_private.hint_reason('worker_down') || '. ' || telehealth_private.hint('worker_down')
			WHEN j.waiting_for IS NOT NULL
				THEN telehealth_private.hint_reason(j.waiting_for) || '. ' || COALESCE(telehealth_private.hint(j.waiting_for), '')
			ELSE 'the next step is due at ' || j.due_at END
	FROM (VALUES ($1, $2)) AS u (clinic_id, id)
	LEFT JOIN telehealth.appointment AS a ON a.clinic_id = u.clinic_id AND a.id = u.id
	LEFT JOIN telehealth.session AS s
		ON s.clinic_id = u.clinic_id AND s.appointment_id = u.id AND s.retired_at IS NULL
	LEFT JOIN telehealth_private.job AS j ON j.kind = 'meeting' AND j.clinic_id = u.clinic_id AND j.subject_id = u.id
	CROSS JOIN telehealth_private.worker_slots() AS w
	CROSS JOIN (SELECT CASE WHEN current_setting('telehealth.mock')::boolean THEN NULL
		ELSE telehealth_private.outbound_held() END) AS h (held)
$$;

CREATE FUNCTION telehealth.explain_appointment(appointment_id bigint)
	RETURNS TABLE (at timestamptz, what text, result text, next text)
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.explain_appointment(appointment_id bigint)
	RETURNS TABLE (at timestamptz, what text, result text, next text)
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_clinic bigint := telehealth.current_clinic();
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	RETURN QUERY
		SELECT q.at, q.what, q.result, q.next
		FROM (
			SELECT r.*, 1 AS place FROM telehealth_private.story_of_rows(v_clinic, explain_appointment.appointment_id) AS r
			UNION ALL
			SELECT w.*, 2 FROM telehealth_private.story_of_work(v_clinic, explain_appointment.appointment_id) AS w
			UNION ALL
			SELECT v.*, 3 FROM telehealth_private.story_of_visit(v_clinic, explain_appointment.appointment_id) AS v
			UNION ALL
			SELECT c.*, 4 FROM telehealth_private.story_of_events(v_clinic, explain_appointment.appointment_id) AS c
		) AS q
		ORDER BY q.at, q.place;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'no_data_found',
			MESSAGE = format('appointment %s does not exist', explain_appointment.appointment_id);
	END IF;
	RETURN QUERY SELECT n.* FROM telehealth_private.story_now(v_clinic, explain_appointment.appointment_id) AS n;
END
$$;
