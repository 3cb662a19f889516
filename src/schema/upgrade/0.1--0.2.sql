/*
 * A parallel restore fills tables in any order: those that a dump carries have
 * no foreign keys to each other any more.
 */
ALTER TABLE telehealth_private.account_secret DROP CONSTRAINT account_secret_account_fk;
ALTER TABLE telehealth_private.session_secret DROP CONSTRAINT session_secret_session_fk;
