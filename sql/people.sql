/* Clinics, providers, patients. */

INSERT INTO telehealth.clinic (id, name, timezone, platform) VALUES (1, 'Harbour', 'Europe/Berlin', 'mock');
INSERT INTO telehealth.clinic (id) VALUES (2) RETURNING timezone, platform, fallback_platforms, is_active;
SELECT state, message FROM test.try($$INSERT INTO telehealth.clinic (id, timezone) VALUES (3, 'Berlin')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.clinic (id, platform) VALUES (3, 'skype')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.clinic (id, fallback_platforms) VALUES (3, '{zoom,skype}')$$);

/* A single-clinic user never types clinic_id */
INSERT INTO telehealth.provider (id, external_id, display_name) VALUES (10, 'dr-a', 'Dr. A') RETURNING clinic_id, id;
INSERT INTO telehealth.patient (id, external_id, display_name) VALUES (20, 'p-a', 'P. A') RETURNING clinic_id, id;

/* Keys are per clinic */
SELECT state, message FROM test.try($$INSERT INTO telehealth.provider (external_id) VALUES ('dr-a')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.patient (external_id) VALUES ('p-a')$$);
SET telehealth.clinic_id = 2;
INSERT INTO telehealth.provider (id, external_id) VALUES (10, 'dr-a') RETURNING clinic_id, id, external_id;
INSERT INTO telehealth.patient (id, external_id) VALUES (20, 'p-a') RETURNING clinic_id, id, external_id;
RESET telehealth.clinic_id;
SELECT state, message FROM test.try($$INSERT INTO telehealth.provider (clinic_id) VALUES (NULL)$$);

/* Bad zones */
SELECT state, message FROM test.try($$INSERT INTO telehealth.provider (timezone) VALUES ('EST5EDT4')$$);
SELECT state, message FROM test.try($$INSERT INTO telehealth.patient (timezone) VALUES ('Mars/Olympus')$$);

/* What meetings follow is marked, once */
SELECT * FROM test.jobs();
UPDATE telehealth.provider SET phone = '1', external_id = external_id || 'x';
UPDATE telehealth.patient SET phone = '1';
UPDATE telehealth.clinic SET name = name || 'x', place_of_service = '10';
SELECT * FROM test.jobs();
UPDATE telehealth.provider SET email = 'dr@example.invalid' WHERE clinic_id = 1;
UPDATE telehealth.provider SET platform_user = 'host@example.invalid' WHERE clinic_id = 1;
UPDATE telehealth.provider SET id = 11 WHERE clinic_id = 2;
UPDATE telehealth.provider SET email = 'dr@example.invalid' WHERE clinic_id = 1;
UPDATE telehealth.patient SET display_name = 'P. B' WHERE clinic_id = 1;
UPDATE telehealth.patient SET email = 'p@example.invalid' WHERE clinic_id = 1;
SELECT job, generation FROM test.jobs();
UPDATE telehealth.clinic SET fallback_platforms = '{zoom}' WHERE id = 1;
UPDATE telehealth.clinic SET is_active = false WHERE id = 2;
INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (0, 'zoom', 'title', true), (3, 'mock', 'title', true), (4, 'feed', 'title', true);
SELECT job, generation FROM test.jobs();
UPDATE telehealth.disclosure_policy SET clinic_id = 5 WHERE clinic_id = 3;
UPDATE telehealth.disclosure_policy SET target = 'zoom' WHERE clinic_id = 4;
UPDATE telehealth.disclosure_policy SET is_allowed = is_allowed WHERE clinic_id = 0;
SELECT job FROM test.jobs();
DELETE FROM telehealth.disclosure_policy WHERE clinic_id IN (0, 5);
DELETE FROM telehealth.provider WHERE clinic_id = 2;
SELECT job FROM test.jobs();
BEGIN;
TRUNCATE telehealth.disclosure_policy;
SELECT job FROM test.jobs();
ROLLBACK;
BEGIN;
SET LOCAL telehealth.restoring = on;
UPDATE telehealth.clinic SET is_active = NOT is_active;
SELECT job FROM test.jobs();
ROLLBACK;
DELETE FROM telehealth.disclosure_policy;
UPDATE telehealth.clinic SET fallback_platforms = '{}', is_active = true;
DELETE FROM telehealth_private.job;
