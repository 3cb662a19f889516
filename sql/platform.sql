/* Accounts: connecting, settings, secrets, keys; holding and adopting. */

DELETE FROM telehealth_private.job;

/* What a person typed: the names that would be right are in the hint */
SELECT t.state, t.message, t.hint FROM unnest(ARRAY[
	$$SELECT telehealth.connect_platform('skype', '{}')$$,
	$$SELECT telehealth.connect_platform(NULL, '{}')$$,
	$$SELECT telehealth.connect_platform('zoom', NULL)$$,
	$$SELECT telehealth.connect_platform('zoom', '{}', NULL)$$,
	$$SELECT telehealth.connect_platform('zoom', '{}', '{}', NULL)$$,
	$$SELECT telehealth.connect_platform('zoom', '[]')$$,
	$$SELECT telehealth.connect_platform('zoom', '{}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": null}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": "c", "color": "red"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": 5, "client_id": "b", "client_secret": "c"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": {"x": 1}, "client_id": "b", "client_secret": "c"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "", "client_id": "b", "client_secret": "c"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "a\n", "client_id": "b", "client_secret": "c"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": "file:relative"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": "file:/no/such/file"}')$$,
	$$SELECT telehealth.connect_platform('zoom', '{"account_id": "a", "client_id": "b", "client_secret": "env:NO_SUCH_VARIABLE"}')$$,
	$$SELECT telehealth.connect_platform('mock', '{"account_id": "a"}')$$
]) WITH ORDINALITY AS u (c, place), test.try(c) AS t
ORDER BY u.place;

SELECT t.state, t.message, t.hint FROM unnest(ARRAY[
	'[]', '{"colour": "red"}', '{"api_url": 5}', '{"api_url": "zoom.us"}', '{"api_url": "http://api.zoom.us/v2"}',
	'{"api_url": "https://me@api.zoom.us/v2"}', '{"api_url": "https://api.zoom.us/v2?x=1"}', '{"token_url": "ftp://zoom.us"}',
	'{"waiting_room": "yes"}', '{"recording": "always"}', '{"hipaa": 1}', '{"encryption": "rot13"}', '{"timeout_ms": 99}',
	'{"timeout_ms": 120001}', '{"timeout_ms": 1000.5}', '{"default_user": ""}', '{"default_user": {"a": 1}}',
	'{"hipaa": null}'
]) WITH ORDINALITY AS u (s, place), test.try(format('SELECT telehealth.connect_platform(''mock'', ''{}'', %L)', s)) AS t
ORDER BY u.place;

/* Nothing was half done */
SELECT (SELECT count(*) FROM telehealth.account) AS accounts, (SELECT count(*) FROM telehealth_private.account_secret) AS secrets,
	(SELECT count(*) FROM telehealth_private.environment) AS environments,
	(SELECT count(*) FROM telehealth.audit_log WHERE action = 'connect_platform') AS audits;

/* Who may; who may read the server's files */
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_th_admin, regress_th_admin1;
RESET client_min_messages;
CREATE ROLE regress_th_admin;
CREATE ROLE regress_th_admin1;
SELECT telehealth.grant_role('regress_th_admin', 'admin'), telehealth.grant_role('regress_th_admin1', 'admin', 1);
SET ROLE regress_th_admin1;
SELECT * FROM test.try($$SELECT telehealth.connect_platform('mock', '{}')$$);
SELECT * FROM test.try($$SELECT telehealth.connect_platform('zoom',
	'{"account_id": "a", "client_id": "b", "client_secret": "file:/etc/passwd"}', clinic_id => 1)$$);
SELECT * FROM test.try($$SELECT telehealth.connect_platform('zoom',
	'{"account_id": "a", "client_id": "b", "client_secret": "env:PATH"}', clinic_id => 1)$$);
RESET ROLE;

/* Visits wait for an account, and are marked when it comes */
INSERT INTO telehealth.appointment (clinic_id, id, patient_id, provider_id, type, starts_at, platform) VALUES
	(1, 1, 1, 1, 'VIDEO', '2130-01-01', 'zoom'),
	(1, 2, 1, 2, 'VIDEO', '2130-01-01', 'mock'),
	(1, 3, 1, 3, 'PHONE', '2130-01-01', NULL),
	(1, 4, 1, 4, 'VIDEO', '2030-01-01', NULL),
	(2, 5, 1, 5, 'VIDEO', '2130-01-01', 'zoom'),
	(2, 6, 1, 6, 'VIDEO', now() + interval '10 minutes', 'zoom');
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id = 4;
DELETE FROM telehealth_private.job;

/* S1: a secret in the statement is warned of, once */
SET ROLE regress_th_admin1;
SELECT telehealth.connect_platform('zoom', '{"account_id": "acc", "client_id": "cid", "client_secret": "canary-one", "webhook_secret": "canary-two"}',
	'{"hipaa": true, "default_user": "host@example.invalid"}', 1) AS zoom_of_1 \gset
RESET ROLE;
SELECT * FROM test.jobs();
SET ROLE regress_th_admin;
SELECT telehealth.connect_platform('zoom', '{"account_id": "acc", "client_id": "cid", "client_secret": "canary-three"}') AS zoom_of_0 \gset
SELECT telehealth.connect_platform('mock', '{}') AS mock_of_0 \gset
RESET ROLE;
SELECT * FROM test.jobs();
SELECT clinic_id, platform, status, settings FROM telehealth.account ORDER BY clinic_id, platform;
SELECT s.clinic_id, x.platform, s.name, length(s.envelope) > 40 AS is_sealed
FROM telehealth_private.account_secret AS s JOIN telehealth.account AS x ON x.clinic_id = s.clinic_id AND x.id = s.account_id
ORDER BY s.clinic_id, x.platform, s.name;

/* S3: no secret in clear anywhere in the tables */
SELECT (SELECT count(*) FROM telehealth_private.account_secret AS s WHERE position('canary'::bytea IN s.envelope) > 0)
	+ (SELECT count(*) FROM telehealth.account AS x WHERE x::text LIKE '%canary%')
	+ (SELECT count(*) FROM telehealth.audit_log AS l WHERE l::text LIKE '%canary%') AS found;
SELECT count(*) AS environments, bool_and(adopted_by = 'regress_th_admin1') AS by_the_first FROM telehealth_private.environment;
SELECT clinic_id, actor, action, object, detail FROM telehealth.audit_log
WHERE action IN ('connect_platform', 'configure_platform', 'disconnect_platform') ORDER BY id;

/* What is sealed with the first key is left alone */
SELECT bool_and(telehealth_private.reseal(s.envelope,
	format('telehealth_private.account_secret.envelope/%s/%s/%s', s.clinic_id, s.account_id, s.name)) IS NULL) AS is_current
FROM telehealth_private.account_secret AS s;
SELECT telehealth.rotate_keys();

/* Connecting again replaces */
SET client_min_messages = error;
SELECT telehealth.connect_platform('zoom', '{"account_id": "acc", "client_id": "cid", "client_secret": "canary-four"}', '{}', 1) = :zoom_of_1 AS same_account;
RESET client_min_messages;
SELECT name FROM telehealth_private.account_secret WHERE clinic_id = 1 ORDER BY name;
SELECT settings FROM telehealth.account WHERE clinic_id = 1;
DELETE FROM telehealth_private.job;

/* Settings merge; null removes; live meetings are looked at again */
INSERT INTO telehealth.session (clinic_id, id, appointment_id, patient_id, provider_id, platform, account_clinic_id, account_id, marker)
VALUES (1, 1, 1, 1, 1, 'zoom', 1, :zoom_of_1, 'th-1');
SELECT telehealth.configure_platform(:zoom_of_1, '{"hipaa": true, "timeout_ms": 5000}');
SELECT telehealth.configure_platform(:zoom_of_1, '{"hipaa": null, "recording": "none"}');
SELECT settings FROM telehealth.account WHERE clinic_id = 1;
SELECT * FROM test.jobs();
SELECT t.state, t.message, t.hint FROM unnest(ARRAY[
	format('SELECT telehealth.configure_platform(%s, %L)', :zoom_of_1, '{"colour": "red"}'),
	format('SELECT telehealth.configure_platform(%s, %L)', :zoom_of_1, '{"hipaa": "x"}'),
	'SELECT telehealth.configure_platform(999, ''{}'')',
	'SELECT telehealth.configure_platform(NULL, ''{}'')',
	'SELECT telehealth.disconnect_platform(999)',
	'SELECT telehealth.check_platform(999)'
]) WITH ORDINALITY AS u (c, place), test.try(c) AS t
ORDER BY u.place;

/* An account of another clinic is not there; that of clinic 0 is, but not to change */
SET ROLE regress_th_admin1;
SET telehealth.clinic_id = 2;
SELECT state, message FROM test.try(format('SELECT telehealth.disconnect_platform(%s)', :zoom_of_1));
SET telehealth.clinic_id = 1;
SELECT state, message FROM test.try(format('SELECT telehealth.disconnect_platform(%s)', :zoom_of_0));
SELECT clinic_id, platform FROM telehealth.account ORDER BY clinic_id, platform;
RESET telehealth.clinic_id;
RESET ROLE;
/* Health tells a clinic without an account of its own that it is served */
BEGIN;
UPDATE telehealth_private.role_grant SET clinic_id = 3 WHERE grantee = 'regress_th_admin1';
SET LOCAL ROLE regress_th_admin1;
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'accounts';
SELECT count(*) FROM telehealth.platform_status;
ROLLBACK;

/* What can be checked without a dispatcher */
SELECT check_name, status, detail, hint FROM telehealth_private.check_account_here(1, :zoom_of_1);

/* D7: a copy elsewhere is held until it is adopted */
UPDATE telehealth_private.environment SET system_identifier = '1';
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'environment';
SET telehealth.outbound = on;
SELECT telehealth_private.outbound_held();
SET telehealth.outbound = off;
SELECT telehealth_private.outbound_held();
UPDATE telehealth.session SET meeting_id = 'm-1', join_url = 'https://example.invalid/j/1', scheduled_at = '2130-01-01', duration = 30,
	host = 'me'
WHERE clinic_id = 1 AND id = 1;
UPDATE telehealth.appointment SET join_url = 'https://example.invalid/j/1', meeting_id = 'm-1' WHERE clinic_id = 1 AND id = 1;
INSERT INTO telehealth.session (clinic_id, id, appointment_id, patient_id, provider_id, platform, meeting_id, marker, retired_at)
VALUES (2, 2, 77, 1, 1, 'zoom', 'm-2', 'th-2', now());
INSERT INTO telehealth.appointment (clinic_id, id, patient_id, provider_id, type, status, starts_at, held_until)
VALUES (1, 8, 1, 8, 'VIDEO', 'PENDING', '2130-01-01', '2129-01-01');
DELETE FROM telehealth_private.job;
BEGIN;
SELECT telehealth.adopt_environment();
SELECT job, priority, due FROM test.jobs();
UPDATE telehealth.session SET host = 'other@example.invalid' WHERE clinic_id = 1 AND id = 1;
SELECT telehealth.adopt_environment() AS with_one_at_another_host;
DELETE FROM telehealth_private.job;
COMMIT;
SELECT status, detail FROM telehealth.health WHERE check_name = 'environment';
/* also while a restore has brought the accounts, but not yet whose they are */
BEGIN;
DELETE FROM telehealth_private.environment;
SET LOCAL telehealth.outbound = on;
SELECT telehealth_private.outbound_held();
SELECT status, detail FROM telehealth.health WHERE check_name = 'environment';
DELETE FROM telehealth.account;
SELECT telehealth_private.outbound_held() IS NULL AS is_free;
SELECT status, detail FROM telehealth.health WHERE check_name = 'environment';
ROLLBACK;
SELECT clinic_id, session_id, appointment_id, meeting_id FROM telehealth.orphan_meetings;

/* Backfill: what has no link, from an instant on */
SELECT telehealth.backfill_meetings('2130-01-01');
SELECT job, priority, due FROM test.jobs();
SELECT telehealth.backfill_meetings('2130-01-02');

/* Disconnected: no secrets are left */
SELECT telehealth.disconnect_platform(:zoom_of_1);
SELECT x.clinic_id, x.platform, x.status, count(s.name) AS secrets FROM telehealth.account AS x
LEFT JOIN telehealth_private.account_secret AS s ON s.clinic_id = x.clinic_id AND s.account_id = x.id
GROUP BY x.clinic_id, x.platform, x.status ORDER BY x.clinic_id, x.platform;

/* S6: a missing webhook secret shows */
SELECT status, regexp_replace(detail, 'account \d+', 'account N') AS detail, hint FROM telehealth.health WHERE check_name = 'webhook_secret';

/* The audit log is a chain */
BEGIN;
LOCK TABLE telehealth.audit_log IN EXCLUSIVE MODE;
SELECT telehealth_private.chain_audit(1000000) > 0 AS chained;
SELECT telehealth_private.chain_audit(1000000) AS again;
SELECT count(*) AS unchained FROM telehealth.audit_log WHERE chain_hash IS NULL;
SELECT count(*) AS broken
FROM (
	SELECT l.*, lag(l.chain_hash, 1, ''::bytea) OVER (PARTITION BY l.clinic_id ORDER BY l.chain_no) AS before,
		row_number() OVER (PARTITION BY l.clinic_id ORDER BY l.chain_no) AS place
	FROM telehealth.audit_log AS l
) AS q
JOIN telehealth.audit_log AS l ON l.clinic_id = q.clinic_id AND l.id = q.id
WHERE q.place <> q.chain_no OR q.chain_hash <> sha256(q.before || convert_to(telehealth_private.audit_text(l), 'UTF8'));
COMMIT;

DELETE FROM telehealth.session;
DELETE FROM telehealth.appointment;
DELETE FROM telehealth.account;
DELETE FROM telehealth_private.environment;
DELETE FROM telehealth_private.role_grant;
DELETE FROM telehealth_private.job;
DROP OWNED BY regress_th_admin, regress_th_admin1;
DROP ROLE regress_th_admin, regress_th_admin1;

/* Z13: a host is in one meeting at a time; where it is not, the booking shows it */
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
SELECT 400 + g, 1, 400 + g, 'VIDEO', now() + interval '1 hour' + (g / 2) * interval '15 minutes' FROM generate_series(0, 5) AS g;
INSERT INTO telehealth.session (appointment_id, patient_id, provider_id, platform, marker, account_clinic_id, account_id, host)
SELECT 400 + g, 1, 400 + g, 'zoom', 'th-' || g, 0, 1, CASE WHEN g < 5 THEN 'shared@clinic.example' ELSE 'own@clinic.example' END
FROM generate_series(0, 5) AS g;
SELECT appointment_id, reason, detail FROM telehealth.not_ready WHERE appointment_id BETWEEN 400 AND 405 AND reason = 'no_host_capacity' ORDER BY appointment_id;
SELECT appointment_id, at_once FROM telehealth_private.crowded_visit ORDER BY appointment_id;
SELECT status, detail, hint FROM telehealth.health WHERE check_name = 'host_capacity';
INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'host_meetings_at_once', 3);
SELECT appointment_id, at_once FROM telehealth_private.crowded_visit ORDER BY appointment_id;
UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE clinic_id = 1 AND id = 403;
SELECT status FROM telehealth.health WHERE check_name = 'host_capacity';
DELETE FROM telehealth.vendor_limit;
DELETE FROM telehealth.session WHERE clinic_id = 1 AND appointment_id BETWEEN 400 AND 405;
DELETE FROM telehealth.appointment WHERE clinic_id = 1 AND id BETWEEN 400 AND 405;
DELETE FROM telehealth_private.job;
