/*
 * A parallel restore fills tables in any order: those that a dump carries have
 * no foreign keys to each other any more.
 */
ALTER TABLE telehealth_private.account_secret DROP CONSTRAINT account_secret_account_fk;
ALTER TABLE telehealth_private.session_secret DROP CONSTRAINT session_secret_session_fk;

/* A role of the name of one that was dropped does not inherit its grants. */
ALTER TABLE telehealth_private.role_grant ADD COLUMN grantee_oid oid;

UPDATE telehealth_private.role_grant AS g SET grantee_oid = r.oid
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = g.grantee;

DROP FUNCTION telehealth_private.run_grants(text[], regrole);

/* Fallback platforms. */
ALTER TABLE telehealth.account ADD COLUMN is_refused boolean NOT NULL DEFAULT false;

/* A component VEVENT. */
CREATE TYPE telehealth.vevent AS (
	uid text,
	starts_at timestamptz,
	ends_at timestamptz,
	summary text,
	description text,
	location text,
	url text,
	status text,
	sequence integer,
	timezone text,
	is_all_day boolean,
	stamped_at timestamptz,
	created_at timestamptz,
	updated_at timestamptz,
	conference text,
	organizer text,
	organizer_name text,
	attendees jsonb,
	class text,
	transparency text,
	categories text[],
	rrule text,
	exdates timestamptz[],
	rdates timestamptz[],
	recurrence_id timestamptz,
	alarms interval[],
	color text
);

/* Recurring visits. */
ALTER TABLE telehealth.appointment ADD COLUMN series_id bigint;
ALTER TABLE telehealth.appointment ADD COLUMN occurrence date;
ALTER TABLE telehealth.appointment ADD COLUMN is_exception boolean NOT NULL DEFAULT false;
ALTER TABLE telehealth.appointment ADD COLUMN series_revision integer;
ALTER TABLE telehealth.appointment ADD COLUMN local_start timestamp;

-- piece 27_series

-- piece 28_windows_zone

/* Feeds and busy times. */
ALTER TABLE telehealth.appointment ADD COLUMN cancelled_at timestamptz;

CREATE INDEX appointment_provider_id_idx ON telehealth.appointment (clinic_id, provider_id, starts_at, id);

-- piece 26_calendar

-- piece 29_installation

/* What calendars know already keeps its UID. */
UPDATE telehealth_private.installation
SET plain_until = (SELECT COALESCE(max(a.id), 0) FROM telehealth.appointment AS a);

INSERT INTO telehealth_private.builtin_disclosure_policy (target, fact, is_allowed) VALUES ('email', 'location', true);

/* What failed is kept longer than the rest, in partitions of its own. */
CREATE TABLE telehealth_private.job_history_before AS SELECT h.* FROM telehealth_private.job_history AS h;

DROP TABLE telehealth_private.job_history;

CREATE TABLE telehealth_private.job_history (
	at timestamptz NOT NULL,
	kind text NOT NULL,
	clinic_id bigint NOT NULL,
	subject_id bigint NOT NULL,
	claim_no bigint NOT NULL,
	platform text,
	action text NOT NULL,
	outcome text NOT NULL,
	http_status integer,
	code text,
	message text,
	host text,
	total_ms integer,
	retry_at timestamptz,
	CONSTRAINT job_history_action_check CHECK (
		action IN ('create', 'update', 'delete', 'read', 'find', 'token', 'host', 'look', 'hold', 'fallback',
			'list', 'discover', 'watch', 'renew', 'stop', 'revoke', 'refresh')
	),
	CONSTRAINT job_history_outcome_check CHECK (
		outcome IN ('ok', 'adopted', 'nothing', 'gone', 'retry', 'unknown', 'waiting', 'dead')
	),
	CONSTRAINT job_history_http_status_check CHECK (
		outcome NOT IN ('ok', 'adopted') OR COALESCE(http_status, 0) BETWEEN 200 AND 299 OR platform IS NOT DISTINCT FROM 'mock' OR action = 'hold'
	)
) PARTITION BY LIST (outcome);

CREATE TABLE telehealth_private.job_history_done PARTITION OF telehealth_private.job_history
	FOR VALUES IN ('ok', 'adopted', 'nothing', 'gone', 'waiting') PARTITION BY RANGE (at);
CREATE TABLE telehealth_private.job_history_default PARTITION OF telehealth_private.job_history_done DEFAULT;

/* What failed is kept longer. */
CREATE TABLE telehealth_private.job_failure PARTITION OF telehealth_private.job_history
	FOR VALUES IN ('retry', 'unknown', 'dead') PARTITION BY RANGE (at);
CREATE TABLE telehealth_private.job_failure_default PARTITION OF telehealth_private.job_failure DEFAULT;

INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, platform, action, outcome, http_status, code, message, host, total_ms, retry_at)
SELECT h.at, h.kind, h.clinic_id, h.subject_id, h.claim_no, h.platform, h.action, h.outcome, h.http_status, h.code, h.message, h.host, h.total_ms, h.retry_at
FROM telehealth_private.job_history_before AS h;

DROP TABLE telehealth_private.job_history_before;

CREATE INDEX job_history_subject_id_idx ON telehealth_private.job_history (clinic_id, subject_id, at);

DROP FUNCTION telehealth_private.keep_history(timestamptz, integer, integer);

/* While it has its row no history is dropped. */
CREATE TABLE telehealth_private.history_hold (
	is_only boolean NOT NULL DEFAULT true,
	reason text NOT NULL,
	held_at timestamptz NOT NULL DEFAULT now(),
	held_by name NOT NULL,
	CONSTRAINT history_hold_pkey PRIMARY KEY (is_only),
	CONSTRAINT history_hold_is_only_check CHECK (is_only)
);

/* Fewer index entries for each meeting that is made. */
ALTER TABLE telehealth.appointment SET (fillfactor = 40);
ALTER INDEX telehealth.session_pkey SET (fillfactor = 50);
ALTER INDEX telehealth_private.job_pkey SET (fillfactor = 50);

DROP INDEX telehealth.session_appointment_id_key;
DROP INDEX telehealth.session_appointment_id_idx;
DROP INDEX telehealth.session_meeting_id_idx;

CREATE UNIQUE INDEX session_appointment_id_key ON telehealth.session
	(clinic_id, appointment_id, (CASE WHEN retired_at IS NULL THEN true END)) WITH (fillfactor = 50);

CREATE INDEX session_meeting_id_idx ON telehealth.session (meeting_id, clinic_id)
	WHERE meeting_id IS NOT NULL;

/* Webhooks. */
ALTER TABLE telehealth.account ADD COLUMN vendor_key bytea;
ALTER TABLE telehealth.account ADD COLUMN challenged_at timestamptz;
ALTER TABLE telehealth_private.account_secret ADD COLUMN expires_at timestamptz;
CREATE INDEX account_vendor_key_idx ON telehealth.account (vendor_key) WHERE vendor_key IS NOT NULL;
ALTER TABLE telehealth_private.role_grant DROP CONSTRAINT role_grant_kind_check;
ALTER TABLE telehealth_private.role_grant ADD CONSTRAINT role_grant_kind_check CHECK (kind IN ('admin', 'app', 'reader', 'worker', 'webhook'));

-- piece 28_webhook

CREATE INDEX session_running_idx ON telehealth.session (scheduled_at)
	WHERE status IN ('WAITING', 'IN_PROGRESS') AND retired_at IS NULL;

CREATE INDEX session_scheduled_at_idx ON telehealth.session (scheduled_at)
	WHERE retired_at IS NULL;

CREATE INDEX webhook_event_deauthorized_idx ON telehealth.webhook_event (received_at)
	WHERE event_name = 'app_deauthorized' AND outcome = 'recorded';

CREATE INDEX webhook_event_new_idx ON telehealth.webhook_event (received_at)
	WHERE processed_at IS NULL AND session_id IS NOT NULL;

/* Grants that a user gives in a browser. */
ALTER TABLE telehealth.account ADD COLUMN is_user_level boolean NOT NULL DEFAULT false;

-- piece 29_oauth

-- piece 29_dashboard

/* Calendars of providers. */
-- piece 31_connection

/* When providers are free. */
ALTER TABLE telehealth.clinic ADD COLUMN calendar_stale_after interval NOT NULL DEFAULT '1 hour';
ALTER TABLE telehealth.clinic ADD COLUMN calendar_when_stale text NOT NULL DEFAULT 'flag';
ALTER TABLE telehealth.clinic ADD CONSTRAINT clinic_calendar_stale_after_check CHECK (calendar_stale_after > '0');
ALTER TABLE telehealth.clinic ADD CONSTRAINT clinic_calendar_when_stale_check CHECK (calendar_when_stale IN ('flag', 'close'));
ALTER TABLE telehealth.provider ADD COLUMN calendar_stale_after interval;
ALTER TABLE telehealth.provider ADD COLUMN calendar_when_stale text;
ALTER TABLE telehealth.provider ADD CONSTRAINT provider_calendar_stale_after_check CHECK (calendar_stale_after > '0');
ALTER TABLE telehealth.provider ADD CONSTRAINT provider_calendar_when_stale_check CHECK (calendar_when_stale IN ('flag', 'close'));

-- piece 30_availability
