/* Who may do what: roles, row security, elevated functions. */

SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_th_admin, regress_th_app, regress_th_app2, regress_th_reader, regress_th_worker, regress_th_member,
	regress_th_mixed, regress_th_both, regress_th_stranger, regress_th_again, regress_th_renamed, regress_th_absent;
RESET client_min_messages;
CREATE ROLE regress_th_admin;
CREATE ROLE regress_th_app;
CREATE ROLE regress_th_app2;
CREATE ROLE regress_th_reader;
CREATE ROLE regress_th_worker;
CREATE ROLE regress_th_member;
CREATE ROLE regress_th_mixed;
CREATE ROLE regress_th_both;
CREATE ROLE regress_th_stranger;
GRANT regress_th_app TO regress_th_member;

/* S2: PUBLIC has nothing */
SELECT 'relation' AS what, c.oid::regclass::text AS name FROM pg_class AS c, aclexplode(c.relacl) AS a
WHERE c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND a.grantee = 0
UNION ALL
SELECT 'function', p.oid::regprocedure::text
FROM pg_proc AS p, aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND a.grantee = 0
UNION ALL
SELECT 'schema', n.nspname FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
WHERE n.nspname IN ('telehealth', 'telehealth_private') AND a.grantee = 0
UNION ALL
SELECT 'type', t.typname FROM pg_type AS t, aclexplode(COALESCE(t.typacl, acldefault('T', t.typowner))) AS a
WHERE t.typnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND t.typtype = 'e' AND a.grantee = 0;

/* S5: nothing is a definer function but what is pinned; bodies in plpgsql are pinned in any case */
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)
	AND (p.prosecdef OR l.lanname = 'plpgsql' OR (l.lanname = 'sql' AND p.prosqlbody IS NULL))
	AND NOT COALESCE(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'];

/* A role without a grant */
SET ROLE regress_th_stranger;
SELECT * FROM test.try('SELECT * FROM telehealth.appointment');
SELECT * FROM test.try('SELECT telehealth.current_clinic()');
SELECT * FROM test.try($$SELECT telehealth.grant_role('regress_th_stranger', 'admin')$$);
RESET ROLE;

/* Granting */
SELECT telehealth.grant_role('regress_th_admin', 'admin');
SELECT telehealth.grant_role('regress_th_app', 'app', 1);
SELECT telehealth.grant_role('regress_th_app', 'app', 1);
SELECT telehealth.grant_role('regress_th_app2', 'app', 2);
SELECT telehealth.grant_role('regress_th_reader', 'reader', 1);
SELECT telehealth.grant_role('regress_th_worker', 'worker');
SELECT telehealth.grant_role('regress_th_mixed', 'app', 1);
SELECT telehealth.grant_role('regress_th_mixed', 'reader', 2);
SELECT * FROM test.try($$SELECT telehealth.grant_role('regress_th_app', 'owner')$$);
SELECT * FROM test.try($$SELECT telehealth.grant_role('regress_th_app', NULL)$$);
SELECT * FROM test.try($$SELECT telehealth.grant_role('regress_th_app', 'app', NULL)$$);
SELECT * FROM test.try($$SELECT telehealth.grant_role('-', 'app')$$);
SELECT * FROM test.try($$SELECT telehealth.grant_role(NULL, 'app')$$);
SET ROLE regress_th_admin;
SELECT * FROM test.try($$SELECT telehealth.grant_role('regress_th_stranger', 'reader')$$);
SELECT * FROM test.try($$SELECT telehealth.revoke_role('regress_th_app', 'app', 1)$$);
SELECT * FROM test.try($$SELECT telehealth.adopt_environment()$$);
RESET ROLE;
SELECT grantee, kind, clinic_id FROM telehealth_private.role_grant ORDER BY grantee, kind;
SELECT CASE WHEN r <> current_user THEN r ELSE 'me' END AS r, telehealth.may_see(0, r) AS c0, telehealth.may_see(1, r) AS c1, telehealth.may_see(2, r) AS c2
FROM unnest(ARRAY['regress_th_admin', 'regress_th_app', 'regress_th_app2', 'regress_th_reader', 'regress_th_worker',
	'regress_th_member', 'regress_th_mixed', 'regress_th_stranger', 'no such role', current_user]::name[])
	WITH ORDINALITY AS u (r, place)
ORDER BY place;

/* Row security: a clinic sees itself, whatever it says in its settings */
SET ROLE regress_th_app;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (1, 1, 1, 'VIDEO', '2130-01-01');
INSERT INTO telehealth.patient (id, display_name) VALUES (1, 'Canary');
RESET ROLE;
SELECT * FROM test.jobs();
SET ROLE regress_th_app2;
SELECT * FROM test.try($$INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
	VALUES (2, 1, 1, 'VIDEO', '2130-01-01')$$);
SET telehealth.clinic_id = 2;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at) VALUES (2, 1, 1, 'VIDEO', '2130-01-01');
SET telehealth.clinic_id = 1;
SELECT clinic_id, id FROM telehealth.appointment;
UPDATE telehealth.appointment SET title = 'mine' RETURNING clinic_id, id;
DELETE FROM telehealth.patient WHERE clinic_id = 1;
SELECT * FROM test.try('UPDATE telehealth.appointment SET clinic_id = 1');
SELECT * FROM test.try('SELECT telehealth.ensure_meeting(1)');
SELECT * FROM test.try('SELECT telehealth.explain_appointment(1)');
SELECT * FROM test.try('SELECT telehealth.backfill_meetings(now())');
SELECT * FROM test.try('SELECT telehealth.appointment_ics(1)');
SELECT * FROM test.try('SELECT telehealth.await_meeting(1)');
SELECT * FROM test.try('SELECT telehealth.host_start_url(1)');
SET telehealth.clinic_id = 2;
SELECT * FROM test.try('SELECT telehealth.ensure_meeting(1)');
SELECT * FROM test.try('SELECT telehealth.await_meeting(1)');
SELECT telehealth.ensure_meeting(2);
SELECT clinic_id, kind, subject_id, state FROM telehealth.job_status;
SELECT DISTINCT clinic_id FROM telehealth.upcoming_sessions;
RESET telehealth.clinic_id;
RESET ROLE;

/* Privileges of a role it is a member of, and only with them inherited */
SET ROLE regress_th_member;
SELECT clinic_id, id FROM telehealth.appointment;
RESET ROLE;
REVOKE regress_th_app FROM regress_th_member;
SET ROLE regress_th_member;
SELECT * FROM test.try('SELECT clinic_id, id FROM telehealth.appointment');
RESET ROLE;
SELECT telehealth.may_see(1, 'regress_th_member');

/* A reader grant shows an application no base rows */
SET ROLE regress_th_mixed;
SELECT clinic_id, id FROM telehealth.appointment;
RESET ROLE;

/* D9: an admin without a superuser's rights operates everything */
SET ROLE regress_th_admin;
SELECT telehealth.pause_outbound('maintenance');
SELECT split_part(detail, ':', 1) ~ '^(paused|outbound_off)' AS says_so FROM telehealth.health WHERE check_name = 'outbound';
SELECT telehealth.resume_outbound(), telehealth.resume_outbound() AS again;
SELECT * FROM test.try($$SELECT telehealth.pause_outbound(' ')$$);
SELECT telehealth.rotate_keys() >= 0 AS rotates;
SELECT telehealth.retry_dead_jobs(), telehealth.retry_dead_jobs(2) AS of_clinic_2, telehealth.retry_job('meeting', 77);
INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'light_per_second', 5);
DELETE FROM telehealth.vendor_limit;
SELECT count(*) > 0 AS reads_audit FROM telehealth.audit_log;
SELECT * FROM test.try($$UPDATE telehealth.audit_log SET actor = 'me'$$);
RESET ROLE;
SELECT * FROM test.try($$UPDATE telehealth.audit_log SET actor = 'me'$$);
SELECT * FROM test.try($$DELETE FROM telehealth.audit_log$$);
SELECT * FROM test.try($$TRUNCATE telehealth.audit_log$$);
SELECT clinic_id, actor, action, object, object_id FROM telehealth.audit_log
WHERE actor LIKE 'regress_th%' ORDER BY actor, action, object_id;

/* A dispatcher that is no superuser chains the log, but books and removes nothing */
SET ROLE regress_th_worker;
BEGIN;
LOCK TABLE telehealth.audit_log IN EXCLUSIVE MODE;
INSERT INTO telehealth.audit_log (clinic_id, action, object) VALUES (1, 'test', 'test');
SELECT telehealth_private.chain_audit(1000000) > 0 AS chained;
ROLLBACK;
UPDATE telehealth.appointment SET meeting_id = 'm', join_url = 'https://example.invalid/j/m' WHERE clinic_id = 1 RETURNING sequence;
SELECT state, message FROM test.try('DELETE FROM telehealth.appointment');
RESET ROLE;
SELECT * FROM test.jobs();

/* What admins may, applications may not */
SET ROLE regress_th_app;
SELECT c, t.state, t.message FROM unnest(ARRAY[
	$$SELECT telehealth.connect_platform('mock', '{}')$$,
	$$SELECT telehealth.configure_platform(1, '{}')$$,
	$$SELECT telehealth.disconnect_platform(1)$$,
	$$SELECT telehealth.check_platform(1)$$,
	$$SELECT telehealth.register_oauth_client('zoom', '{}')$$,
	$$SELECT telehealth.authorize_platform('zoom')$$,
	$$SELECT telehealth.connect_schedule('{}')$$,
	$$SELECT telehealth.disconnect_schedule('x')$$,
	$$SELECT telehealth.retry_job('meeting', 1)$$,
	$$SELECT telehealth.retry_dead_jobs()$$,
	$$SELECT telehealth.pause_outbound('x')$$,
	$$SELECT telehealth.resume_outbound()$$,
	$$SELECT telehealth.rotate_keys()$$,
	$$SELECT telehealth.adopt_environment()$$,
	$$SELECT * FROM telehealth.audit_log$$,
	$$INSERT INTO telehealth.session (appointment_id, patient_id, provider_id, platform, marker) VALUES (1, 1, 1, 'zoom', 'x')$$,
	$$INSERT INTO telehealth.clinic (id) VALUES (5)$$,
	$$SELECT * FROM telehealth_private.account_secret$$,
	$$SELECT telehealth_private.mark('meeting', '{2}', '{2}', 0)$$,
	$$SELECT telehealth_private.rotate_keys()$$
]) AS c, test.try(c) AS t;
RESET ROLE;

/* Who administers one clinic and works in another does not administer the other */
SELECT telehealth.grant_role('regress_th_both', 'app', 71), telehealth.grant_role('regress_th_both', 'admin', 72);
INSERT INTO telehealth.clinic (id, name) VALUES (71, 'first'), (72, 'second');
INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (71, 'zoom', 'title', false), (72, 'zoom', 'title', false);
INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'light_per_second', 5);
SET ROLE regress_th_both;
UPDATE telehealth.clinic SET name = 'mine' RETURNING id;
DELETE FROM telehealth.clinic WHERE id = 71 RETURNING id;
SELECT * FROM test.try($$INSERT INTO telehealth.clinic (id) VALUES (71) ON CONFLICT ON CONSTRAINT clinic_pkey DO UPDATE SET name = 'mine'$$);
SELECT id, name FROM telehealth.clinic ORDER BY id;
UPDATE telehealth.disclosure_policy SET is_allowed = true RETURNING clinic_id;
DELETE FROM telehealth.disclosure_policy RETURNING clinic_id;
SELECT * FROM test.try($$INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (71, 'zoom', 'reason', true)$$);
SELECT clinic_id, is_allowed FROM telehealth.disclosure_policy;
SELECT DISTINCT clinic_id FROM telehealth.audit_log WHERE clinic_id <> 0 ORDER BY clinic_id;
UPDATE telehealth.vendor_limit SET value = 1 RETURNING value;
DELETE FROM telehealth.vendor_limit RETURNING value;
SELECT * FROM test.try($$INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'medium_per_second', 1)$$);
SELECT value FROM telehealth.vendor_limit;
RESET ROLE;
DELETE FROM telehealth.vendor_limit;
DELETE FROM telehealth.disclosure_policy;
DELETE FROM telehealth.clinic WHERE id IN (71, 72);

/* P9: a reader tries every relation: views of its clinic, no base table */
SET ROLE regress_th_reader;
SELECT c.oid::regclass AS relation, t.state
FROM pg_class AS c, test.try(format('SELECT * FROM %s', c.oid::regclass)) AS t
WHERE c.relnamespace IN (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname IN ('telehealth', 'telehealth_private'))
	AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY t.state, c.oid::regclass::text COLLATE "C";
SELECT c.oid::regclass AS view, a.attname
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relkind = 'v' AND c.relnamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = 'telehealth')
	AND a.attname ~ 'patient|title|^reason$|phone|email|join_url|start_url|display_name|external_id|topic|overbook';
SELECT DISTINCT clinic_id FROM telehealth.upcoming_sessions;
SELECT count(*) FROM telehealth.job_status WHERE clinic_id <> 1;
SELECT * FROM test.try('SELECT telehealth.ensure_meeting(1)');
RESET ROLE;

/* An elevated function is not fooled by the caller's search_path and temporary tables */
CREATE SCHEMA regress_th_evil AUTHORIZATION regress_th_app;
SET ROLE regress_th_app;
CREATE TEMPORARY TABLE appointment (clinic_id bigint, id bigint);
CREATE TEMPORARY TABLE pg_roles (rolname name, oid oid);
CREATE FUNCTION regress_th_evil.differs(boolean, boolean) RETURNS boolean
	LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'run as %', current_user; END$$;
CREATE OPERATOR regress_th_evil.<> (FUNCTION = regress_th_evil.differs, LEFTARG = boolean, RIGHTARG = boolean);
SET search_path = pg_temp, regress_th_evil, telehealth, pg_catalog;
SELECT * FROM test.try('SELECT true <> false');
SELECT telehealth.cancel_meeting(1);
SELECT * FROM test.try('SELECT telehealth.cancel_meeting(99)');
SELECT current_user;
RESET search_path;
RESET ROLE;
SELECT id, is_meeting_wanted FROM telehealth.appointment WHERE clinic_id = 1;

/* An error inside leaves the caller who it was */
SET ROLE regress_th_app;
BEGIN;
SAVEPOINT s;
\set VERBOSITY terse
SELECT telehealth.ensure_meeting(99);
\set VERBOSITY default
ROLLBACK TO s;
SELECT current_user;
SELECT count(*) FROM telehealth.appointment;
ROLLBACK;
RESET ROLE;

/* A grant made in this transaction counts at once, and goes with it */
BEGIN;
SELECT telehealth.grant_role('regress_th_stranger', 'app', 2);
SET LOCAL ROLE regress_th_stranger;
SELECT clinic_id, id FROM telehealth.appointment;
ROLLBACK;
SELECT telehealth.may_see(2, 'regress_th_stranger');

/* Revoking leaves what other grants say */
SELECT telehealth.grant_role('regress_th_app', 'reader', 1);
SELECT telehealth.revoke_role('regress_th_app', 'app', 1), telehealth.revoke_role('regress_th_app', 'app', 1) AS again;
SET ROLE regress_th_app;
SELECT state FROM test.try('SELECT * FROM telehealth.appointment');
SELECT count(*) FROM telehealth.upcoming_sessions;
RESET ROLE;
SELECT telehealth.revoke_role('regress_th_app', 'reader', 1);
SET ROLE regress_th_app;
SELECT state FROM test.try('SELECT * FROM telehealth.upcoming_sessions');
RESET ROLE;

/* and what an administrator granted beside */
GRANT SELECT ON telehealth.audit_log TO regress_th_app;
SELECT telehealth.grant_role('regress_th_app', 'reader', 1), telehealth.revoke_role('regress_th_app', 'reader', 1);
SELECT has_table_privilege('regress_th_app', 'telehealth.audit_log', 'SELECT') AS kept,
	has_table_privilege('regress_th_app', 'telehealth.health', 'SELECT') AS taken;

/* The owner needs no grant, and could lose its own rights by one */
SELECT c, t.state, t.hint FROM unnest(ARRAY['grant_role', 'revoke_role']) AS c,
	test.try(format('SELECT telehealth.%s((SELECT extowner::regrole FROM pg_extension WHERE extname = ''telehealth''), ''app'')', c)) AS t;

/* A role that has the name of one that was dropped inherits nothing */
CREATE ROLE regress_th_again;
SELECT telehealth.grant_role('regress_th_again', 'admin', 1), telehealth.grant_role('regress_th_again', 'reader', 2);
SELECT telehealth_private.may_administer(1, 'regress_th_again');
DROP OWNED BY regress_th_again;
DROP ROLE regress_th_again;
CREATE ROLE regress_th_again;
SELECT telehealth_private.may_administer(1, 'regress_th_again'), telehealth.may_see(2, 'regress_th_again');
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'role_grants';
SELECT telehealth.grant_role('regress_th_again', 'reader', 2);
SELECT telehealth_private.may_administer(1, 'regress_th_again'), telehealth.may_see(2, 'regress_th_again');
SELECT grantee, kind, clinic_id FROM telehealth_private.role_grant WHERE grantee = 'regress_th_again';
SELECT clinic_id, action, detail FROM telehealth.audit_log WHERE detail ? 'dropped' ORDER BY clinic_id;

/* one that is renamed keeps its own, also beside a new one of its former name */
ALTER ROLE regress_th_again RENAME TO regress_th_renamed;
SELECT telehealth.may_see(2, 'regress_th_renamed');
SELECT status, detail FROM telehealth.health WHERE check_name = 'role_grants';
CREATE ROLE regress_th_again;
SELECT telehealth.may_see(2, 'regress_th_again');
SELECT telehealth.grant_role('regress_th_again', 'reader', 2);
SELECT telehealth.may_see(2, 'regress_th_again') AS again, telehealth.may_see(2, 'regress_th_renamed') AS renamed;
SELECT grantee, kind, clinic_id FROM telehealth_private.role_grant WHERE grantee ~ 'again|renamed' ORDER BY grantee;
SELECT status FROM telehealth.health WHERE check_name = 'role_grants';

/* A dump knows names alone: a role that is there has its rights, one that is not has to be granted again */
INSERT INTO telehealth_private.role_grant (grantee, kind, clinic_id, grantee_oid)
VALUES ('regress_th_again', 'app', 1, 10), ('regress_th_absent', 'admin', 0, (SELECT oid FROM pg_roles WHERE rolname = 'regress_th_again'));
SELECT telehealth.may_see(1, 'regress_th_again') AS app, telehealth_private.may_administer(1, 'regress_th_again') AS admin;
CREATE ROLE regress_th_absent;
SELECT telehealth_private.may_administer(1, 'regress_th_absent');
SELECT status, detail FROM telehealth.health WHERE check_name = 'role_grants';
SELECT telehealth.grant_role('regress_th_absent', 'admin');
SELECT telehealth_private.may_administer(1, 'regress_th_absent');
DROP OWNED BY regress_th_again, regress_th_renamed, regress_th_absent;
DROP ROLE regress_th_again, regress_th_renamed, regress_th_absent;

DROP TABLE pg_temp.appointment, pg_temp.pg_roles;
SET client_min_messages = warning;
DROP SCHEMA regress_th_evil CASCADE;
RESET client_min_messages;
DELETE FROM telehealth_private.role_grant;
DELETE FROM telehealth.appointment;
DELETE FROM telehealth.patient;
DELETE FROM telehealth_private.job;
DROP OWNED BY regress_th_admin, regress_th_app, regress_th_app2, regress_th_reader, regress_th_worker, regress_th_member,
	regress_th_mixed, regress_th_both, regress_th_stranger;
DROP ROLE regress_th_admin, regress_th_app, regress_th_app2, regress_th_reader, regress_th_worker, regress_th_member,
	regress_th_mixed, regress_th_both, regress_th_stranger;
