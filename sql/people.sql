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
