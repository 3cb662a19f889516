/* ---- calendars in the story of an appointment ---- */

CREATE FUNCTION telehealth_private.event_what(action text, kind text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE action
		WHEN 'create' THEN 'create event'
		WHEN 'update' THEN 'change event'
		WHEN 'delete' THEN 'remove event'
		WHEN 'read' THEN 'look at event'
		WHEN 'find' THEN 'look for an event made before'
		WHEN 'token' THEN 'get an access token'
		ELSE 'look at the event'
	END || COALESCE(' at ' || kind, '');

CREATE FUNCTION telehealth_private.story_of_events(clinic_id bigint, appointment_id bigint)
	RETURNS TABLE (at timestamptz, what text, result text, next text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT e.pushed_at, 'event shown in the ' || x.kind || ' calendar', 'as wanted',
		CASE e.remote_state WHEN 'unchanged' THEN NULL ELSE 'somebody ' || e.remote_state || ' it there' END
	FROM telehealth.calendar_event AS e
	JOIN telehealth.calendar_connection AS x ON x.clinic_id = e.clinic_id AND x.id = e.connection_id
	WHERE e.clinic_id = $1 AND e.appointment_id = $2 AND e.pushed_hash IS NOT NULL
	UNION ALL
	SELECT e.retired_at, 'event no longer wanted', CASE WHEN e.external_id IS NULL THEN 'none was made' ELSE 'event ' || e.external_id END,
		'it is removed from the ' || x.kind || ' calendar'
	FROM telehealth.calendar_event AS e
	JOIN telehealth.calendar_connection AS x ON x.clinic_id = e.clinic_id AND x.id = e.connection_id
	WHERE e.clinic_id = $1 AND e.appointment_id = $2 AND e.retired_at IS NOT NULL
	UNION ALL
	SELECT c.seen_at, 'event ' || c.change || ' in the ' || x.kind || ' calendar by somebody',
		CASE WHEN c.theirs ->> 'starts_at' IS NULL THEN 'it was gone'
			ELSE 'to ' || (c.theirs ->> 'starts_at')::timestamptz || ' until ' || (c.theirs ->> 'ends_at')::timestamptz END,
		CASE c.action WHEN 'restore' THEN 'it is put back' WHEN 'cancel' THEN 'the visit is cancelled' ELSE 'it is left so' END
	FROM telehealth.calendar_change AS c
	JOIN telehealth.calendar_connection AS x ON x.clinic_id = c.clinic_id AND x.id = c.connection_id
	WHERE c.clinic_id = $1 AND c.appointment_id = $2
	UNION ALL
	SELECT h.at, telehealth_private.event_what(h.action, h.platform),
		telehealth_private.history_result(h.action, h.outcome, h.http_status, h.total_ms, h.code, h.message),
		telehealth_private.history_next(h.outcome, h.retry_at)
	FROM telehealth.calendar_event AS e
	JOIN telehealth_private.job_history AS h ON h.kind = 'event' AND h.clinic_id = e.clinic_id AND h.subject_id = e.id
	WHERE e.clinic_id = $1 AND e.appointment_id = $2
	UNION ALL
	SELECT j.marked_at, 'event marked',
		CASE WHEN j.dead_at IS NOT NULL THEN 'given up' || COALESCE(': ' || j.last_error, '')
			WHEN j.waiting_for IS NOT NULL THEN 'waits: ' || telehealth_private.hint_reason(j.waiting_for)
			WHEN j.last_error IS NOT NULL THEN 'failed ' || j.failures || ' times: ' || j.last_error
			WHEN j.attempts > 0 THEN 'in work'
			ELSE 'queued' END,
		CASE WHEN j.dead_at IS NOT NULL THEN telehealth_private.hint('dead')
			ELSE concat_ws(' ', 'due at ' || j.due_at || '.', telehealth_private.hint(j.waiting_for)) END
	FROM telehealth.calendar_event AS e
	JOIN telehealth_private.job AS j ON j.kind = 'event' AND j.clinic_id = e.clinic_id AND j.subject_id = e.id
	WHERE e.clinic_id = $1 AND e.appointment_id = $2
	UNION ALL
	SELECT j.marked_at, 'calendars marked', CASE WHEN j.attempts > 0 THEN 'in work' ELSE 'queued' END, 'due at ' || j.due_at || '.'
	FROM telehealth_private.job AS j
	WHERE j.kind = 'calendars' AND j.clinic_id = $1 AND j.subject_id = $2
$$;
