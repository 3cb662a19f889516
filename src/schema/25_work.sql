/*
 * The queue. due_at is also the lease: attempts counts claims that were never
 * settled, so a row with attempts above zero is being worked on. Keyed by
 * kind first: each node of a distributed cluster has its own queue. A dead
 * job is due at infinity. A claim adds the row to the key once more: half of
 * each page is left to that. One check only: the server reads every check's
 * expression anew for each INSERT, and this one happens for every booking.
 */
CREATE TABLE telehealth_private.job (
	kind text NOT NULL,
	clinic_id bigint NOT NULL,
	subject_id bigint NOT NULL,
	priority smallint NOT NULL,
	due_at timestamptz NOT NULL,
	claim_no bigint NOT NULL DEFAULT 0,
	generation bigint NOT NULL DEFAULT 1,
	attempts smallint NOT NULL DEFAULT 0,
	max_attempts smallint NOT NULL DEFAULT 5,
	failures integer NOT NULL DEFAULT 0,
	marked_at timestamptz NOT NULL DEFAULT now(),
	waiting_for text,
	last_error text,
	dead_at timestamptz,
	CONSTRAINT job_pkey PRIMARY KEY (kind, clinic_id, subject_id) WITH (fillfactor = 50),
	CONSTRAINT job_attempts_check CHECK (attempts <= max_attempts)
) WITH (
	autovacuum_vacuum_scale_factor = 0,
	autovacuum_vacuum_threshold = 10000,
	autovacuum_vacuum_cost_delay = 0,
	autovacuum_analyze_scale_factor = 0,
	autovacuum_analyze_threshold = 100000
);

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

/* Calls that count against a host's daily limit. */
CREATE TABLE telehealth_private.quota (
	clinic_id bigint NOT NULL,
	account_id bigint NOT NULL,
	host text NOT NULL,
	day date NOT NULL,
	used integer NOT NULL DEFAULT 0,
	quota_until timestamptz,
	CONSTRAINT quota_pkey PRIMARY KEY (clinic_id, account_id, host, day)
);

/* Which database this is; a copy elsewhere sends nothing until adopted. */
CREATE TABLE telehealth_private.environment (
	is_only boolean NOT NULL DEFAULT true,
	system_identifier text NOT NULL,
	database_oid bigint NOT NULL,
	environment text NOT NULL,
	adopted_at timestamptz NOT NULL DEFAULT now(),
	adopted_by name NOT NULL,
	CONSTRAINT environment_pkey PRIMARY KEY (is_only),
	CONSTRAINT environment_is_only_check CHECK (is_only)
);

CREATE TABLE telehealth_private.pause (
	is_only boolean NOT NULL DEFAULT true,
	reason text NOT NULL,
	paused_at timestamptz NOT NULL DEFAULT now(),
	paused_by name NOT NULL,
	CONSTRAINT pause_pkey PRIMARY KEY (is_only),
	CONSTRAINT pause_is_only_check CHECK (is_only)
);

/* While it has its row no history is dropped. */
CREATE TABLE telehealth_private.history_hold (
	is_only boolean NOT NULL DEFAULT true,
	reason text NOT NULL,
	held_at timestamptz NOT NULL DEFAULT now(),
	held_by name NOT NULL,
	CONSTRAINT history_hold_pkey PRIMARY KEY (is_only),
	CONSTRAINT history_hold_is_only_check CHECK (is_only)
);

/* Fencing tokens: every claim draws one, so that they only ever rise. */
CREATE SEQUENCE telehealth_private.claim_no_seq;
