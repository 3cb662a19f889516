/* Calendars of providers; the rest of health is in 60_views. */

/* The names applications ask for; forecast_at is when somebody has to act if nothing else happens. */
CREATE VIEW telehealth.calendar_status WITH (security_barrier = true) AS
	SELECT x.clinic_id, x.id AS connection_id, x.provider_id, x.kind, x.status,
		x.status = 'CONNECTED' AS is_connected, x.sync_enabled, x.sync_direction, x.remote_change_policy,
		x.connected_at, x.last_sync_at, x.next_sync_at, j.due_at AS next_due_at,
		COALESCE(e.n_live, 0) AS events, COALESCE(e.n_waiting, 0) AS events_waiting,
		x.token_expires_at, x.grant_used_at, x.grant_expires_at, x.reauth_required_at, x.suspicious_at, x.suspicious_count,
		x.purge_requested_at IS NOT NULL AND k.kind IS NOT NULL AS is_purging,
		c.expires_at AS channel_expires_at,
		CASE
			WHEN x.last_error IS NOT NULL THEN x.last_error
			WHEN x.suspicious_at IS NOT NULL
				THEN format('a pull would have removed %s busy times and was stopped', x.suspicious_count)
			ELSE j.last_error
		END AS last_error,
		x.last_error_at,
		CASE
			WHEN x.status = 'PENDING' AND x.connected_at IS NULL THEN 'The provider has to open the auth_url of connect_calendar().'
			WHEN x.purge_requested_at IS NOT NULL AND k.waiting_for = 'reauth_required'
				THEN 'It cannot be emptied: the grant was refused, and our events stay in the calendar. '
					|| 'Connect it again, see connect_calendar(), and disconnect it with purge; or give up with disconnect_calendar() without purge.'
			WHEN x.status = 'CONNECTED' AND NOT x.is_known AND x.last_error IS NOT NULL
				THEN 'The calendar was not found: connect it again, with a calendar_id that there is, see connect_calendar().'
			WHEN x.status = 'PENDING' AND x.last_error IS NOT NULL THEN 'If last_error does not pass by itself, mend what it names and call connect_calendar() again.'
			WHEN x.status = 'REAUTH_REQUIRED' THEN 'The provider has to consent again, see connect_calendar(); nothing is lost until then.'
			WHEN x.status = 'ERROR' THEN 'Look at last_error, and at the client that register_oauth_client() stored.'
			WHEN x.suspicious_at IS NOT NULL THEN 'Look at the calendar, then accept the change or wait for it to be undone, see sync_calendar().'
		END AS hint
	FROM telehealth.calendar_connection AS x
	LEFT JOIN telehealth_private.job AS j ON j.kind = 'pull' AND j.clinic_id = x.clinic_id AND j.subject_id = x.id
	LEFT JOIN telehealth_private.job AS k ON k.kind = 'connection' AND k.clinic_id = x.clinic_id AND k.subject_id = x.id
	LEFT JOIN LATERAL (
		SELECT count(v.external_id) AS n_live, count(q.subject_id) AS n_waiting
		FROM telehealth.calendar_event AS v
		LEFT JOIN telehealth_private.job AS q ON q.kind = 'event' AND q.clinic_id = v.clinic_id AND q.subject_id = v.id
		WHERE v.clinic_id = x.clinic_id AND v.connection_id = x.id
	) AS e ON true
	LEFT JOIN LATERAL (
		SELECT max(p.expires_at) AS expires_at
		FROM telehealth_private.push_channel AS p
		WHERE p.clinic_id = x.clinic_id AND p.connection_id = x.id AND p.retired_at IS NULL
	) AS c ON true
	WHERE telehealth.may_see(x.clinic_id, current_user);

/* What pushes and pulls have changed: there, and here. */
CREATE VIEW telehealth.sync_metrics WITH (security_barrier = true) AS
	SELECT c.clinic_id, c.connection_id, x.provider_id, x.kind, c.day, c.direction,
		c.created, c.updated, c.deleted, c.errors, c.runs
	FROM telehealth_private.sync_count AS c
	LEFT JOIN telehealth.calendar_connection AS x ON x.clinic_id = c.clinic_id AND x.id = c.connection_id
	WHERE telehealth.may_see(c.clinic_id, current_user);

CREATE VIEW telehealth_private.health_calendars WITH (security_barrier = true) AS
	SELECT 12 AS place, 'calendars' AS check_name,
		CASE WHEN count(*) FILTER (WHERE t.trouble = 'error') > 0 THEN 'error'
			WHEN count(*) FILTER (WHERE t.trouble IS NOT NULL) > 0 THEN 'warning'
			ELSE 'ok' END AS status,
		CASE WHEN count(t.trouble) = 0 THEN format('connections: %s, none in trouble', count(*))
			ELSE format('connections: %s; to be consented again: %s, with an error: %s, suspicious: %s, behind: %s, grants that end soon: %s, that cannot be emptied: %s',
				count(*), count(*) FILTER (WHERE t.word = 'reauth'), count(*) FILTER (WHERE t.word = 'error'),
				count(*) FILTER (WHERE t.word = 'suspicious'), count(*) FILTER (WHERE t.word = 'behind'),
				count(*) FILTER (WHERE t.word = 'grant'), count(*) FILTER (WHERE t.word = 'purge')) END AS detail,
		CASE WHEN count(t.trouble) > 0 THEN 'telehealth.calendar_status tells which, and what to do.' END AS hint
	FROM (
		SELECT w.word, CASE w.word WHEN 'error' THEN 'error' ELSE w.word END AS trouble
		FROM (
			SELECT CASE
				WHEN x.purge_requested_at IS NOT NULL AND k.waiting_for = 'reauth_required' THEN 'purge'
				WHEN x.status = 'REAUTH_REQUIRED' THEN 'reauth'
				WHEN x.status = 'ERROR' THEN 'error'
				WHEN x.suspicious_at IS NOT NULL THEN 'suspicious'
				WHEN x.status = 'CONNECTED' AND x.sync_enabled AND x.sync_direction <> 'push'
					AND COALESCE(x.last_sync_at, x.connected_at)
						< clock_timestamp() - GREATEST(4 * x.sync_frequency_minutes, 60) * interval '1 minute' THEN 'behind'
				WHEN x.status = 'CONNECTED' AND x.grant_expires_at < clock_timestamp() + interval '7 days' THEN 'grant'
			END AS word
			FROM telehealth.calendar_connection AS x
			LEFT JOIN telehealth_private.job AS k ON k.kind = 'connection' AND k.clinic_id = x.clinic_id AND k.subject_id = x.id
			WHERE (x.status <> 'DISCONNECTED' OR (x.purge_requested_at IS NOT NULL AND k.kind IS NOT NULL))
				AND telehealth.may_see(x.clinic_id, current_user)
		) AS w
	) AS t
	HAVING count(*) > 0;
