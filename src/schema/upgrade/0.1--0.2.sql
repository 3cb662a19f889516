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
ALTER TABLE telehealth_private.job_history DROP CONSTRAINT job_history_action_check;
ALTER TABLE telehealth_private.job_history ADD CONSTRAINT job_history_action_check CHECK (
	action IN ('create', 'update', 'delete', 'read', 'find', 'token', 'host', 'look', 'hold', 'fallback')
);
