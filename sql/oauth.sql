/* Grants that a user gives in a browser, as far as they go without a network */
\set VERBOSITY terse
SET client_min_messages = error;
SET telehealth.outbound = on;
CREATE ROLE regress_th_oauth_app;
CREATE ROLE regress_th_oauth_admin;
SELECT telehealth.grant_role('regress_th_oauth_app', 'app', 5), telehealth.grant_role('regress_th_oauth_admin', 'admin', 5);

/* What is registered is checked */
SELECT telehealth.register_oauth_client('icq', '{"client_id": "a", "client_secret": "b"}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a"}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": ""}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b", "account_id": "c"}');
SELECT telehealth.register_oauth_client('google', '{"client_id": "a", "client_secret": "b", "webhook_secret": "c"}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}', '{"waiting_room": true}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}', '{}', -1);
SELECT telehealth.register_oauth_client('zoom', NULL);

/* Where secrets go is an https address, or a host that the administrator listed */
SELECT name, t.state, t.message FROM unnest(ARRAY['auth_url', 'token_url', 'api_url', 'redirect_uri']) AS name,
	test.try(format($$SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}', '{"%s": "http://169.254.169.254/"}')$$, name)) AS t;
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}', '{"token_url": "http://localhost/token"}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}', '{"token_url": "https://user:secret@vendor.example/"}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}', '{"token_url": "https://vendor.example/?x"}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}', '{"token_url": "file:///etc/passwd"}');

/* A registration is replaced, and is of one clinic */
SELECT telehealth.authorize_platform('zoom', 5);
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a b", "client_secret": "planted secret"}') AS client \gset
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a b", "client_secret": "planted secret"}') = :client AS is_same;
SET ROLE regress_th_oauth_admin;
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "a", "client_secret": "b"}');
SELECT telehealth.register_oauth_client('zoom', '{"client_id": "own", "client_secret": "b"}', '{"redirect_uri": "https://app.example/back", "scopes": "one two"}', 5) IS NOT NULL AS is_own;
SELECT regexp_replace(telehealth.authorize_platform('zoom', 5), '(state|code_challenge)=[0-9A-Za-z_-]+', '\1=…', 'g');
SELECT telehealth.authorize_platform('zoom', 0);
SELECT telehealth.authorize_platform('twilio', 5);
SELECT telehealth.authorize_platform('google', 5);
SELECT telehealth.authorize_platform('zoom', NULL);
RESET ROLE;
SELECT x.clinic_id, x.kind, s.name, position('planted'::bytea IN s.envelope) AS planted
FROM telehealth_private.oauth_client AS x
JOIN telehealth_private.oauth_client_secret AS s ON s.clinic_id = x.clinic_id AND s.oauth_client_id = x.id
ORDER BY 1, 2, 3;

/* Without an address to return to there is none to go to */
SELECT telehealth.authorize_platform('zoom');
SET telehealth.public_url = 'https://clinic.example/base/';
SELECT regexp_replace(telehealth.authorize_platform('zoom'), '(state|code_challenge)=[0-9A-Za-z_-]+', '\1=…', 'g');

/* What the vendors differ in */
SELECT telehealth.register_oauth_client('google', '{"client_id": "g", "client_secret": "b"}') IS NOT NULL AS google,
	telehealth.register_oauth_client('outlook', '{"client_id": "o", "client_secret": "b", "tenant": "a/../b"}') IS NOT NULL AS outlook;
SELECT kind, callback, scopes, parameters FROM telehealth_private.builtin_oauth ORDER BY kind;

/* A state that is not known, or another clinic's, and what is no code */
SELECT telehealth.complete_oauth('x', 'y');
SELECT telehealth.complete_oauth(repeat('0', 64), 'y');
SELECT telehealth.complete_oauth(NULL, 'y') IS NULL AS is_null;
SELECT substring(telehealth.authorize_platform('zoom') FROM 'state=([0-9a-f]+)') AS state \gset
SELECT telehealth.complete_oauth(:'state', '');
SELECT telehealth.complete_oauth(:'state', 'a b');
SELECT telehealth.complete_oauth(:'state', repeat('x', 4096));
SET ROLE regress_th_oauth_app;
SELECT telehealth.complete_oauth(:'state', 'y');
RESET ROLE;
SELECT telehealth.complete_oauth(:'state', 'y');
SELECT count(*) AS states, count(used_at) AS used FROM telehealth_private.oauth_state WHERE clinic_id = 0;

/* Old ones go with the next of their clinic */
UPDATE telehealth_private.oauth_state SET expires_at = now() - interval '25 hours';
SELECT telehealth.authorize_platform('zoom') IS NOT NULL AS address;
SELECT clinic_id, count(*) FROM telehealth_private.oauth_state GROUP BY clinic_id ORDER BY clinic_id;

/* Held work: nothing leaves, and nothing is prepared to */
SELECT telehealth.pause_outbound('test');
SELECT telehealth.authorize_platform('zoom');
SELECT telehealth.resume_outbound();

/* Keys */
SELECT telehealth.rotate_keys() >= 0 AS rotated;

/* Who may deliver */
SELECT telehealth_private.put_push_channel(5, 'graph', 'subscription', 'planted secret') AS channel \gset
SELECT telehealth_private.put_push_channel(5, 'graph', 'subscription', 'another') = :channel AS is_same;
SELECT telehealth_private.put_push_channel(5, 'graph', 'x', '');
SELECT telehealth_private.put_push_channel(5, 'nobody', 'x', 'y');
SELECT clinic_id, source, channel_id, position('another'::bytea IN envelope) AS planted FROM telehealth_private.push_channel;
SELECT action, object, count(*) FROM telehealth.audit_log WHERE action LIKE '%oauth%' OR action = 'authorize_platform' GROUP BY action, object ORDER BY action;

DELETE FROM telehealth_private.push_channel;
DELETE FROM telehealth_private.oauth_state;
DELETE FROM telehealth_private.oauth_client_secret;
DELETE FROM telehealth_private.oauth_client;
SELECT telehealth.revoke_role('regress_th_oauth_app', 'app', 5), telehealth.revoke_role('regress_th_oauth_admin', 'admin', 5);
DROP ROLE regress_th_oauth_app, regress_th_oauth_admin;
