/*
 * For reporting and monitoring: no names, titles, reasons, links or numbers
 * of patients. They run with the owner's rights; may_see() is their only
 * filter, and which clinic is meant is left to the caller. That the accounts
 * of clinic 0 are well, which serve every clinic, is for all to know.
 */

CREATE VIEW telehealth.worker_status WITH (security_barrier = true) AS
	SELECT w.state, w.pid, w.started_at, w.retry_at, w.failures, w.phase, w.held_reason, w.in_flight, w.waiting,
		w.claimed, w.settled, w.failed, w.cycles, w.wakes, w.last_cycle_at, w.last_error_at, w.last_sqlstate,
		w.shared_credentials, w.launcher_pid
	FROM telehealth_private.worker_slots() AS w;

CREATE VIEW telehealth.periodic_tasks WITH (security_barrier = true) AS
	SELECT t.task, t.every_ms * interval '1 millisecond' AS every_interval, t.last_success_at, t.next_due_at,
		t.is_overdue
	FROM telehealth_private.periodic_tasks() AS t;

CREATE VIEW telehealth.job_status WITH (security_barrier = true) AS
	SELECT j.clinic_id, j.kind, j.subject_id,
		CASE
			WHEN j.dead_at IS NOT NULL THEN 'dead'
			WHEN j.attempts > 0 THEN 'running'
			WHEN j.waiting_for IS NOT NULL OR j.failures > 0 THEN 'waiting'
			ELSE 'queued'
		END AS state,
		j.priority, j.due_at, j.attempts, j.failures, j.waiting_for, j.last_error, j.marked_at
	FROM telehealth_private.job AS j
	WHERE telehealth.may_see(j.clinic_id, current_user);

CREATE VIEW telehealth.dead_jobs WITH (security_barrier = true) AS
	SELECT j.clinic_id, j.kind, j.subject_id, j.dead_at, j.failures, j.last_error,
		telehealth_private.hint('dead') AS hint
	FROM telehealth_private.job AS j
	WHERE j.dead_at IS NOT NULL AND telehealth.may_see(j.clinic_id, current_user);

CREATE VIEW telehealth.platform_status WITH (security_barrier = true) AS
	SELECT x.clinic_id, x.id AS account_id, x.platform, x.status, x.connected_at, x.token_expires_at, x.missing_scope,
		x.last_error, x.last_error_at, x.clock_skew, q.quota_used, q.quota_until
	FROM telehealth.account AS x
	LEFT JOIN LATERAL (
		SELECT jsonb_object_agg(u.host, u.used ORDER BY u.host) AS quota_used, max(u.quota_until) AS quota_until
		FROM telehealth_private.quota AS u
		WHERE u.clinic_id = x.clinic_id AND u.account_id = x.id AND u.day = (now() AT TIME ZONE 'UTC')::date
	) AS q ON true
	WHERE telehealth.may_see(x.clinic_id, current_user);

CREATE VIEW telehealth.upcoming_sessions WITH (security_barrier = true) AS
	SELECT a.clinic_id, a.id AS appointment_id, a.provider_id, a.status, a.starts_at, a.ends_at,
		s.id AS session_id, s.platform, s.status AS session_status,
		s.join_url IS NOT NULL AND a.join_url IS NOT DISTINCT FROM s.join_url AS is_ready, s.deviation
	FROM telehealth.appointment AS a
	LEFT JOIN telehealth.session AS s
		ON s.clinic_id = a.clinic_id AND s.appointment_id = a.id AND s.retired_at IS NULL
	WHERE a.ends_at > now() AND telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)
		AND telehealth.may_see(a.clinic_id, current_user);

/*
 * Visits of the next seven days that begin while their host is in as many
 * meetings as the platform lets it run at once: a sweep over beginnings and
 * ends, an end before a beginning at the same instant.
 */
CREATE VIEW telehealth_private.crowded_visit WITH (security_barrier = true) AS
	WITH visit AS MATERIALIZED (
		SELECT a.clinic_id, a.id, a.provider_id, a.starts_at, a.ends_at, s.platform, s.account_clinic_id, s.account_id, s.host,
			COALESCE(l.value, b.value) AS most
		FROM telehealth.appointment AS a
		JOIN telehealth.session AS s
			ON s.clinic_id = a.clinic_id AND s.appointment_id = a.id AND s.retired_at IS NULL
		JOIN telehealth_private.builtin_vendor_limit AS b ON b.vendor = s.platform AND b.name = 'host_meetings_at_once'
		LEFT JOIN telehealth.vendor_limit AS l ON l.vendor = b.vendor AND l.name = b.name
		WHERE a.ends_at > now() AND a.starts_at < now() + interval '7 days' AND s.host IS NOT NULL
			AND telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)
	)
	SELECT q.clinic_id, q.id AS appointment_id, q.provider_id, q.starts_at, q.host, q.at_once
	FROM (
		SELECT v.*, e.step, sum(e.step) OVER (
			PARTITION BY v.platform, v.account_clinic_id, v.account_id, v.host ORDER BY e.at, e.step, v.clinic_id, v.id
		) AS at_once
		FROM visit AS v
		CROSS JOIN LATERAL (VALUES (v.starts_at, 1), (v.ends_at, -1)) AS e (at, step)
	) AS q
	WHERE q.step = 1 AND q.at_once > q.most AND telehealth.may_see(q.clinic_id, current_user);

/*
 * Visits of the next 24 hours whose link is not there, or is of another
 * instant; and those whose host is busy elsewhere. A UNION ALL is no barrier
 * as the outermost of a view: the planner hands conditions to its branches.
 */
CREATE VIEW telehealth.not_ready WITH (security_barrier = true) AS
	SELECT q.clinic_id, q.appointment_id, q.provider_id, q.starts_at, q.starts_in, q.reason, q.detail, q.hint
	FROM (
		SELECT a.clinic_id, a.id AS appointment_id, a.provider_id, a.starts_at, a.starts_at - now() AS starts_in,
			r.reason,
			CASE WHEN r.reason = 'changing' THEN NULL
				ELSE COALESCE(telehealth_private.hint_reason(r.reason), r.reason) END AS detail,
			telehealth_private.hint(r.reason) AS hint
		FROM telehealth.appointment AS a
		LEFT JOIN telehealth.session AS s
			ON s.clinic_id = a.clinic_id AND s.appointment_id = a.id AND s.retired_at IS NULL
		LEFT JOIN telehealth_private.job AS j
			ON j.kind = 'meeting' AND j.clinic_id = a.clinic_id AND j.subject_id = a.id
		CROSS JOIN (
			SELECT CASE WHEN COALESCE(current_setting('telehealth.mock', true), 'off')::boolean THEN NULL
				ELSE telehealth_private.outbound_held() END,
				w.state NOT IN ('running', 'starting')
			FROM telehealth_private.worker_slots() AS w
		) AS h (held, is_down)
		CROSS JOIN LATERAL (SELECT CASE
			WHEN j.subject_id IS NULL THEN 'not_marked'
			WHEN j.dead_at IS NOT NULL THEN 'dead'
			WHEN h.is_down THEN 'worker_down'
			WHEN h.held IS NOT NULL THEN h.held
			WHEN j.waiting_for IS NOT NULL THEN j.waiting_for
			WHEN j.failures > 0 THEN 'failing'
			WHEN s.join_url IS NOT NULL THEN 'changing'
			ELSE 'queued' END) AS r (reason)
		WHERE a.ends_at > now() AND a.starts_at < now() + interval '24 hours'
			AND telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)
			AND (s.join_url IS NULL OR a.join_url IS DISTINCT FROM s.join_url
				OR (s.scheduled_at, s.duration) IS DISTINCT FROM (a.starts_at, a.duration))
			AND telehealth.may_see(a.clinic_id, current_user)
		UNION ALL
		SELECT v.clinic_id, v.appointment_id, v.provider_id, v.starts_at, v.starts_at - now(), 'no_host_capacity',
			telehealth_private.hint_reason('no_host_capacity'), telehealth_private.hint('no_host_capacity')
		FROM telehealth_private.crowded_visit AS v
		WHERE v.starts_at < now() + interval '24 hours'
	) AS q;

/* Meetings that exist at a platform although no appointment wants them. */
CREATE VIEW telehealth.orphan_meetings WITH (security_barrier = true) AS
	SELECT s.clinic_id, s.id AS session_id, s.appointment_id, s.provider_id, s.platform, s.meeting_id, s.scheduled_at,
		s.retired_at, j.due_at, j.waiting_for, j.last_error
	FROM telehealth.session AS s
	LEFT JOIN telehealth.appointment AS a ON a.clinic_id = s.clinic_id AND a.id = s.appointment_id
	LEFT JOIN telehealth_private.job AS j
		ON j.kind = 'meeting' AND j.clinic_id = s.clinic_id AND j.subject_id = s.appointment_id
	WHERE s.meeting_id IS NOT NULL
		AND (s.retired_at IS NOT NULL OR a.id IS NULL OR a.type <> 'VIDEO' OR a.status = 'CANCELLED'
			OR NOT a.is_meeting_wanted)
		AND telehealth.may_see(s.clinic_id, current_user);

/* One remote meeting in two live sessions: patients would meet each other. */
CREATE VIEW telehealth.duplicate_meetings WITH (security_barrier = true) AS
	SELECT s.clinic_id, s.id AS session_id, s.appointment_id, s.platform, s.meeting_id
	FROM telehealth.session AS s
	WHERE s.retired_at IS NULL AND s.meeting_id IS NOT NULL
		AND EXISTS (
			SELECT FROM telehealth.session AS o
			WHERE o.platform = s.platform AND o.meeting_id = s.meeting_id AND o.retired_at IS NULL
				AND (o.clinic_id, o.id) <> (s.clinic_id, s.id))
		AND telehealth.may_see(s.clinic_id, current_user);

/* ---- health: one row a check ---- */

CREATE VIEW telehealth_private.health_worker WITH (security_barrier = true) AS
	SELECT w.state, w.state IN ('running', 'starting') AS is_up, w.failures, w.retry_at, w.last_sqlstate,
		w.shared_credentials, q.due, q.dead, q.oldest
	FROM telehealth_private.worker_slots() AS w
	CROSS JOIN (
		SELECT count(*) FILTER (WHERE j.due_at <= clock_timestamp()) AS due,
			count(*) FILTER (WHERE j.dead_at IS NOT NULL) AS dead,
			date_trunc('second', clock_timestamp() - min(j.due_at) FILTER (WHERE j.due_at <= clock_timestamp())) AS oldest
		FROM telehealth_private.job AS j
		WHERE telehealth.may_see(j.clinic_id, current_user)
	) AS q;

CREATE VIEW telehealth_private.health_processes WITH (security_barrier = true) AS
	SELECT 1 AS place, 'worker' AS check_name,
		CASE WHEN h.is_up OR pg_is_in_recovery() THEN 'ok' ELSE 'error' END AS status,
		CASE WHEN pg_is_in_recovery() THEN 'a standby sends nothing'
			WHEN h.is_up THEN h.state
			ELSE 'worker_down (' || h.state || '): '
				|| CASE WHEN h.due > 0 THEN h.due || ' jobs wait, the oldest for ' || h.oldest ELSE 'nothing waits' END
		END AS detail,
		CASE WHEN h.is_up OR pg_is_in_recovery() THEN NULL
			WHEN h.state = 'not_preloaded' THEN 'Add telehealth to shared_preload_libraries and restart the server.'
			WHEN h.state = 'version_mismatch' THEN telehealth_private.hint(h.state)
			WHEN h.state = 'failed' THEN 'The server log says why; the next start is at ' || h.retry_at || '.'
			ELSE 'See telehealth.databases, max_worker_processes and the server log.' END AS hint
	FROM telehealth_private.health_worker AS h
	UNION ALL
	SELECT 2, 'queue', CASE WHEN h.oldest > interval '1 minute' THEN 'warning' ELSE 'ok' END,
		CASE WHEN h.due > 0 THEN 'jobs due: ' || h.due || ', the oldest for ' || h.oldest ELSE 'nothing is due' END,
		CASE WHEN h.oldest > interval '1 minute' THEN 'See telehealth.job_status.' END
	FROM telehealth_private.health_worker AS h
	UNION ALL
	SELECT 3, 'dead_jobs', CASE WHEN h.dead > 0 THEN 'error' ELSE 'ok' END, 'jobs given up: ' || h.dead,
		CASE WHEN h.dead > 0 THEN telehealth_private.hint('dead') END
	FROM telehealth_private.health_worker AS h
	UNION ALL
	SELECT 8, 'credentials', CASE WHEN h.shared_credentials > 0 THEN 'warning' ELSE 'ok' END,
		CASE WHEN h.shared_credentials > 0 THEN 'other databases that use the same credentials: ' || h.shared_credentials
			ELSE 'used by this database alone' END,
		CASE WHEN h.shared_credentials > 0 THEN 'Give each database an app of its own: their tokens and limits interfere.' END
	FROM telehealth_private.health_worker AS h
	UNION ALL
	SELECT 17, 'housekeeping', CASE WHEN k.trouble IS NULL THEN 'ok' ELSE 'error' END,
		CASE WHEN k.trouble IS NOT NULL THEN k.trouble
			WHEN k.is_up THEN 'every task is done in time'
			ELSE 'the worker has not been up for half a minute' END,
		CASE WHEN k.trouble IS NOT NULL THEN 'The server log says why; see telehealth.periodic_tasks.' END
	FROM (
		SELECT u.is_up, NULLIF(concat_ws('; ',
			CASE WHEN u.is_running THEN (
				SELECT 'overdue: ' || string_agg(t.task, ', ' ORDER BY t.task)
				FROM telehealth.periodic_tasks AS t
				WHERE t.is_overdue) END,
			/* the worker has the first hour of a day for it; the day itself may have none */
			CASE WHEN u.is_up AND (clock_timestamp() AT TIME ZONE 'UTC')::time >= '01:00' AND NOT EXISTS (
				SELECT FROM pg_catalog.pg_class AS c
				JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
				WHERE n.nspname = 'telehealth_private' AND c.relname = 'job_history_'
					|| to_char((clock_timestamp() AT TIME ZONE 'UTC') + interval '1 day', 'YYYYMMDD'))
				THEN 'the log of attempts has no partition for tomorrow' END,
			CASE WHEN u.is_up AND EXISTS (
				SELECT FROM telehealth.audit_log AS l
				WHERE l.chain_hash IS NULL AND l.at < clock_timestamp() - interval '30 seconds')
				THEN 'rows of the audit log are not chained' END), '') AS trouble
		FROM (
			SELECT w.state = 'running' AS is_running,
				w.state = 'running' AND w.started_at < clock_timestamp() - interval '30 seconds' AS is_up
			FROM telehealth_private.worker_slots() AS w
		) AS u
	) AS k;

CREATE VIEW telehealth_private.health_environment WITH (security_barrier = true) AS
	SELECT 4 AS place, 'environment' AS check_name,
		CASE WHEN e.is_other THEN 'error' ELSE 'ok' END AS status,
		CASE WHEN e.is_other THEN 'environment_unconfirmed: ' || telehealth_private.hint_reason('environment_unconfirmed')
			WHEN e.is_other IS NULL THEN 'none is recorded yet'
			ELSE 'confirmed' END AS detail,
		CASE WHEN e.is_other THEN telehealth_private.hint('environment_unconfirmed') END AS hint
	FROM (
		SELECT COALESCE((
			SELECT (e.system_identifier, e.database_oid, e.environment) IS DISTINCT FROM
				(telehealth_private.system_identifier(),
					(SELECT d.oid::bigint FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()),
					COALESCE(current_setting('telehealth.environment', true), ''))
			FROM telehealth_private.environment AS e
		), NULLIF(EXISTS (SELECT FROM telehealth.account) OR EXISTS (SELECT FROM telehealth.calendar_connection), false))
	) AS e (is_other)
	UNION ALL
	SELECT 5, 'outbound', CASE WHEN o.word IS NULL THEN 'ok' ELSE 'warning' END,
		CASE WHEN o.word = 'paused' THEN 'paused since ' || p.paused_at || ' by ' || p.paused_by || ': ' || p.reason
			WHEN o.word IS NOT NULL THEN o.word || ': ' || telehealth_private.hint_reason(o.word)
			ELSE 'allowed' END,
		telehealth_private.hint(o.word)
	FROM (SELECT) AS one
	LEFT JOIN telehealth_private.pause AS p ON true
	CROSS JOIN LATERAL (SELECT CASE
		WHEN NOT COALESCE(current_setting('telehealth.outbound', true), 'on')::boolean THEN 'outbound_off'
		WHEN p.is_only THEN 'paused' END) AS o (word)
	UNION ALL
	SELECT 6, 'mock', 'warning', 'every video platform is answered by the built-in mock', 'Turn telehealth.mock off for real meetings.'
	WHERE COALESCE(current_setting('telehealth.mock', true), 'off')::boolean
	UNION ALL
	SELECT 6, 'history_hold', 'warning', 'no history is dropped since ' || h.held_at || ' by ' || h.held_by || ': ' || h.reason,
		'When the investigation is over call telehealth.release_history().'
	FROM telehealth_private.history_hold AS h;

CREATE VIEW telehealth_private.health_accounts WITH (security_barrier = true) AS
	SELECT 7 AS place, 'key_ring' AS check_name,
		CASE WHEN NOT s.has_secrets THEN 'ok' WHEN k.state <> 'ok' THEN 'error' ELSE 'ok' END AS status,
		CASE WHEN NOT s.has_secrets THEN 'no secret is stored yet' ELSE k.state || COALESCE(' (' || k.source || ')', '') END AS detail,
		CASE WHEN s.has_secrets AND k.state <> 'ok' THEN 'key_missing: restore the file that telehealth.key_file names, with mode 0600.'
			WHEN s.has_secrets AND k.is_in_data_directory
				THEN 'Keep a copy of the key file, and move it out of the data directory with telehealth.key_file.' END AS hint
	FROM (SELECT EXISTS (SELECT FROM telehealth_private.account_secret)
		OR EXISTS (SELECT FROM telehealth_private.session_secret)
		OR EXISTS (SELECT FROM telehealth_private.connection_secret)) AS s (has_secrets)
	LEFT JOIN LATERAL telehealth_private.key_status() AS k ON s.has_secrets
	UNION ALL
	SELECT 9, 'accounts',
		CASE WHEN count(*) FILTER (WHERE x.status IN ('error', 'key_missing')) > 0 THEN 'error'
			ELSE 'ok' END,
		COALESCE(string_agg(format('account %s of clinic %s (%s): %s', x.id, x.clinic_id, x.platform, x.status)
				|| COALESCE(', missing scope ' || x.missing_scope, ''), '; '
			ORDER BY x.clinic_id, x.id) FILTER (WHERE x.status IN ('error', 'key_missing')),
			CASE WHEN count(*) = 0 THEN 'none is connected' ELSE 'accounts: ' || count(*) || ', none in trouble' END),
		CASE WHEN count(*) FILTER (WHERE x.status IN ('error', 'key_missing')) > 0
				THEN 'See telehealth.platform_status and telehealth.check_platform().'
			WHEN count(*) = 0 THEN telehealth_private.hint('no_account') END
	FROM telehealth.account AS x
	WHERE x.clinic_id = 0 OR telehealth.may_see(x.clinic_id, current_user)
	UNION ALL
	SELECT 9, 'jobs_held_up', 'warning', 'jobs that wait for somebody: ' || string_agg(format('%s %s', w.waiting_for, w.jobs), ', '),
		'telehealth.job_status tells which.' || CASE WHEN count(*) = 1 THEN ' ' || telehealth_private.hint(min(w.waiting_for)) ELSE '' END
	FROM (
		SELECT j.waiting_for, count(*) AS jobs
		FROM telehealth_private.job AS j
		WHERE j.waiting_for IN ('no_account', 'no_host', 'credentials_refused', 'token_refused', 'scope_missing', 'key_missing')
			AND j.dead_at IS NULL AND telehealth.may_see(j.clinic_id, current_user)
		GROUP BY j.waiting_for
		ORDER BY j.waiting_for
	) AS w
	HAVING count(*) > 0
	UNION ALL
	SELECT 10, 'webhook_secret', 'warning',
		format('account %s of clinic %s has no webhook secret: every delivery is refused', x.id, x.clinic_id),
		'Connect again with the webhook_secret of the app.'
	FROM telehealth.account AS x
	WHERE x.platform = 'zoom' AND x.status <> 'disconnected' AND telehealth.may_see(x.clinic_id, current_user)
		AND NOT EXISTS (
			SELECT FROM telehealth_private.account_secret AS s
			WHERE s.clinic_id = x.clinic_id AND s.account_id = x.id AND s.name = 'webhook_secret')
	UNION ALL
	/* Zoom asks every 72 hours, and sends nothing any more to who does not answer. */
	SELECT 10, 'webhook_challenge', CASE WHEN c.oldest < clock_timestamp() - interval '73 hours' THEN 'warning' ELSE 'ok' END,
		CASE WHEN c.oldest IS NULL THEN 'no platform has asked for proof of the secret yet'
			ELSE 'a platform last asked for proof of the secret '
				|| round(extract(epoch FROM clock_timestamp() - c.latest) / 3600, 1) || ' hours ago'
				|| CASE WHEN c.oldest < c.latest
					THEN ', for another account ' || round(extract(epoch FROM clock_timestamp() - c.oldest) / 3600, 1) || ' hours ago'
					ELSE '' END END,
		CASE WHEN c.oldest < clock_timestamp() - interval '73 hours'
			THEN 'Zoom asks every 72 hours, and stops sending if it is not answered: validate the endpoint of the app''s event subscription again.' END
	FROM (
		SELECT count(*) AS accounts, min(x.challenged_at) AS oldest, max(x.challenged_at) AS latest
		FROM telehealth.account AS x
		JOIN telehealth_private.account_secret AS s
			ON s.clinic_id = x.clinic_id AND s.account_id = x.id AND s.name = 'webhook_secret'
		WHERE x.platform = 'zoom' AND x.status <> 'disconnected' AND telehealth.may_see(x.clinic_id, current_user)
	) AS c
	WHERE c.accounts > 0
	UNION ALL
	SELECT 11, 'vendor_limits', 'warning',
		'limits that are not known and change nothing: ' || string_agg(format('%s %s', l.vendor, l.name), ', ' ORDER BY l.vendor, l.name),
		'Known are: ' || COALESCE(
			(SELECT string_agg(format('%s %s', b.vendor, b.name), ', ' ORDER BY b.vendor, b.name)
			FROM telehealth_private.builtin_vendor_limit AS b
			WHERE b.vendor IN (SELECT v.vendor FROM telehealth.vendor_limit AS v)),
			(SELECT 'limits of ' || string_agg(DISTINCT b.vendor, ', ') FROM telehealth_private.builtin_vendor_limit AS b)) || '.'
	FROM telehealth.vendor_limit AS l
	WHERE NOT EXISTS (
			SELECT FROM telehealth_private.builtin_vendor_limit AS b
			WHERE b.vendor = l.vendor AND b.name = l.name)
	HAVING count(*) > 0
	UNION ALL
	SELECT 11, 'quota', CASE WHEN count(*) > 0 THEN 'warning' ELSE 'ok' END,
		CASE WHEN count(*) > 0 THEN 'hosts that used up a daily limit: ' || count(*) || ', until ' || max(q.quota_until)
			ELSE 'no daily limit is used up' END,
		CASE WHEN count(*) > 0 THEN telehealth_private.hint('quota_until') END
	FROM telehealth_private.quota AS q
	WHERE q.quota_until > now() AND telehealth.may_see(q.clinic_id, current_user);

CREATE VIEW telehealth_private.health_visits WITH (security_barrier = true) AS
	SELECT 12 AS place, 'holds' AS check_name, CASE WHEN count(*) > 0 THEN 'warning' ELSE 'ok' END AS status,
		CASE WHEN count(*) > 0 THEN 'holds that ran out and still block their time: ' || count(*) ELSE 'none is overdue' END AS detail,
		CASE WHEN count(*) > 0 THEN 'The dispatcher cancels them; see the check "worker".' END AS hint
	FROM telehealth.appointment AS a
	WHERE a.status = 'PENDING' AND a.held_until < now() - interval '1 minute'
		AND telehealth.may_see(a.clinic_id, current_user)
	UNION ALL
	SELECT 13, 'host_capacity', CASE WHEN count(*) > 0 THEN 'warning' ELSE 'ok' END,
		'visits that begin while their host is in another: ' || count(*),
		CASE WHEN count(*) > 0 THEN telehealth_private.hint('no_host_capacity') END
	FROM telehealth_private.crowded_visit AS v
	UNION ALL
	SELECT 14, 'orphan_meetings', CASE WHEN count(*) FILTER (WHERE o.due_at IS NULL) > 0 THEN 'warning' ELSE 'ok' END,
		CASE WHEN count(*) > 0 THEN 'meetings to be removed: ' || count(*) ELSE 'none' END,
		CASE WHEN count(*) FILTER (WHERE o.due_at IS NULL) > 0
			THEN 'Nothing is marked for them: run telehealth.cancel_meeting(), or remove them at the platform.' END
	FROM telehealth.orphan_meetings AS o
	UNION ALL
	SELECT 15, 'duplicate_meetings', CASE WHEN count(*) > 0 THEN 'error' ELSE 'ok' END,
		'live sessions that share a meeting: ' || count(*),
		CASE WHEN count(*) > 0 THEN 'See telehealth.duplicate_meetings: patients would meet each other.' END
	FROM telehealth.duplicate_meetings AS d;

/* A role that was dropped and made again has another number: it inherits nothing. */
CREATE VIEW telehealth_private.health_roles WITH (security_barrier = true) AS
	SELECT 16 AS place, 'role_grants' AS check_name, CASE WHEN count(*) > 0 THEN 'warning' ELSE 'ok' END AS status,
		CASE WHEN count(*) > 0 THEN 'granted to roles that are gone or renamed: ' || string_agg(DISTINCT g.grantee::text, ', ' ORDER BY g.grantee::text)
			ELSE 'every role is there' END AS detail,
		CASE WHEN count(*) > 0 THEN 'Run telehealth.grant_role() for those that shall have it, and delete other rows from telehealth_private.role_grant.' END AS hint
	FROM telehealth_private.role_grant AS g
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee_oid
	WHERE r.rolname IS DISTINCT FROM g.grantee AND telehealth.may_see(g.clinic_id, current_user);

/* Whether it listens where the settings say; that it is off is a choice. */
CREATE VIEW telehealth_private.health_gateway WITH (security_barrier = true) AS
	SELECT 18 AS place, 'gateway' AS check_name,
		CASE
			WHEN q.is_off THEN 'ok'
			WHEN q.state = 'open' AND q.running >= q.workers THEN 'ok'
			WHEN q.state IN ('open', 'starting') THEN 'warning'
			ELSE 'error'
		END AS status,
		CASE
			WHEN q.is_standby THEN 'a standby does not listen'
			WHEN q.is_off THEN 'off'
			WHEN q.state = 'open' THEN 'listens at ' || q.listen || ', port ' || q.port || '; processes: ' || q.running
				|| ' of ' || q.workers
			WHEN q.state = 'starting' THEN 'starts'
			WHEN q.state = 'in_use' THEN 'http_port_in_use: ' || q.listen || ', port ' || q.port || ' belongs to '
				|| COALESCE('database ' || q.holder, 'another program')
			WHEN q.state = 'failed' THEN 'gateway_down: ' || COALESCE(q.trouble, 'its process does not start, or ends early')
			ELSE 'gateway_down'
		END AS detail,
		CASE
			WHEN q.is_off OR q.state = 'starting' THEN NULL
			WHEN q.state = 'open' THEN CASE WHEN q.running < q.workers THEN 'See max_worker_processes and the server log.' END
			WHEN q.state = 'in_use' THEN 'Give this database an address of its own: telehealth.http_port, telehealth.http_listen.'
			WHEN q.state = 'failed' THEN 'See the server log, telehealth.http_listen and max_worker_processes; the next try is at '
				|| q.retry_at || '.'
			WHEN q.state = 'not_preloaded' THEN 'Add telehealth to shared_preload_libraries and restart the server.'
			ELSE 'The worker of this database starts it: see the check worker, and max_worker_processes.'
		END AS hint
	FROM (
		SELECT d.state, d.listen, d.port, d.workers, d.running, d.retry_at, d.holder, d.trouble,
			pg_is_in_recovery() AS is_standby,
			pg_is_in_recovery()
				OR (COALESCE(current_setting('telehealth.http_port', true), '0') = '0' AND d.state = 'off') AS is_off
		FROM telehealth_private.gateway_door() AS d
	) AS q;

CREATE VIEW telehealth.health WITH (security_barrier = true) AS
	SELECT q.check_name, q.status, q.detail, q.hint
	FROM (
		SELECT p.place, p.check_name, p.status, p.detail, p.hint FROM telehealth_private.health_processes AS p
		UNION ALL
		SELECT e.place, e.check_name, e.status, e.detail, e.hint FROM telehealth_private.health_environment AS e
		UNION ALL
		SELECT a.place, a.check_name, a.status, a.detail, a.hint FROM telehealth_private.health_accounts AS a
		UNION ALL
		SELECT v.place, v.check_name, v.status, v.detail, v.hint FROM telehealth_private.health_visits AS v
		UNION ALL
		SELECT r.place, r.check_name, r.status, r.detail, r.hint FROM telehealth_private.health_roles AS r
		UNION ALL
		SELECT g.place, g.check_name, g.status, g.detail, g.hint FROM telehealth_private.health_gateway AS g
		UNION ALL
		SELECT c.place, c.check_name, c.status, c.detail, c.hint FROM telehealth_private.health_calendars AS c
	) AS q
	ORDER BY q.place, q.detail;

/* ---- recurring visits ---- */

/* Days on which a series has no visit, since its provider has no time then. */
CREATE VIEW telehealth.series_conflict WITH (security_barrier = true) AS
	SELECT s.clinic_id, s.id AS series_id, s.provider_id, d.day AS occurrence,
		telehealth_private.instant_of(d.day + s.start_time, s.timezone) AS starts_at
	FROM telehealth.appointment_series AS s
	CROSS JOIN LATERAL unnest(s.conflicts) AS d (day)
	WHERE telehealth_private.instant_of(d.day + s.start_time, s.timezone) > now()
		AND telehealth.may_see(s.clinic_id, current_user);

/*
 * Visits to come at whose instant the clocks do not show what was agreed: the
 * rules of their zone have changed since.
 */
CREATE VIEW telehealth.tz_drift WITH (security_barrier = true) AS
	SELECT a.clinic_id, a.id AS appointment_id, a.series_id, a.provider_id, a.timezone, a.local_start, a.starts_at,
		telehealth_private.instant_of(a.local_start, a.timezone) AS wanted_at
	FROM telehealth.appointment AS a
	WHERE a.starts_at > now() - interval '1 day' AND a.local_start IS NOT NULL AND a.timezone IS NOT NULL
		AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED')
		AND telehealth_private.wall_of(a.starts_at, a.timezone) <> a.local_start
		AND telehealth_private.instant_of(a.local_start, a.timezone) <> a.starts_at
		AND telehealth.may_see(a.clinic_id, current_user);

/* ---- webhooks ---- */

/* What was told in the last seven days, and what came of it. */
CREATE VIEW telehealth.webhook_metrics WITH (security_barrier = true) AS
	SELECT e.clinic_id, e.source, e.event_name, count(*) AS events,
		count(*) FILTER (WHERE e.outcome = 'applied') AS applied,
		count(*) FILTER (WHERE e.outcome = 'ignored') AS ignored,
		count(*) FILTER (WHERE e.outcome = 'recorded') AS recorded,
		count(*) FILTER (WHERE e.outcome = 'unmatched') AS unmatched,
		count(*) FILTER (WHERE e.outcome IS NULL) AS waiting,
		min(e.received_at) FILTER (WHERE e.outcome IS NULL) AS oldest_waiting_at,
		max(e.received_at) AS last_received_at,
		avg(e.received_at - e.event_at) AS average_delivery,
		avg(e.processed_at - e.received_at) AS average_processing,
		max(e.processed_at - e.received_at) AS longest_processing
	FROM telehealth.webhook_event AS e
	WHERE e.received_at > now() - interval '7 days' AND telehealth.may_see(e.clinic_id, current_user)
	GROUP BY e.clinic_id, e.source, e.event_name;
