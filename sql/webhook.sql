/* Webhooks: who signed, what is answered, what is kept. Signatures are made here, without the extension. */

SET telehealth.clinic_id = 80;
DELETE FROM telehealth_private.job;

/* HMAC-SHA-256 by its definition (RFC 2104) */
CREATE FUNCTION test.hmac(key bytea, message bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	v_inner bytea := ''; v_outer bytea := ''; v_byte int;
BEGIN
	IF length(key) > 64 THEN key := sha256(key); END IF;
	FOR i IN 0..63 LOOP
		v_byte := CASE WHEN i < length(key) THEN get_byte(key, i) ELSE 0 END;
		v_inner := v_inner || set_byte('\x00', 0, v_byte # 54);
		v_outer := v_outer || set_byte('\x00', 0, v_byte # 92);
	END LOOP;
	RETURN sha256(v_outer || sha256(v_inner || message));
END $$;
SELECT encode(test.hmac('Jefe', 'what do ya want for nothing?'), 'hex') AS rfc_4231_case_2;

CREATE FUNCTION test.headers(secret text, body bytea, age interval DEFAULT '0') RETURNS jsonb LANGUAGE sql
	RETURN (SELECT jsonb_build_object('X-Zm-Request-Timestamp', t.stamp, 'x-zm-signature',
		'v0=' || encode(test.hmac(convert_to(secret, 'UTF8'), convert_to('v0:' || t.stamp || ':', 'UTF8') || body), 'hex'))
	FROM (SELECT extract(epoch FROM clock_timestamp() - age)::bigint::text AS stamp) AS t);

/* A body, signed with a secret and delivered: the answer */
CREATE FUNCTION test.deliver(body text, secret text DEFAULT 'first secret', age interval DEFAULT '0') RETURNS telehealth.http_reply LANGUAGE sql VOLATILE
	RETURN telehealth.receive_webhook('zoom', test.headers(secret, convert_to(body, 'UTF8'), age), convert_to(body, 'UTF8'));

CREATE FUNCTION test.event(name text, meeting text, object jsonb DEFAULT '{}', account text DEFAULT 'zoom-a', made_at bigint DEFAULT 1767607200000) RETURNS text LANGUAGE sql
	RETURN jsonb_build_object('event', name, 'event_ts', made_at, 'payload', jsonb_build_object('account_id', account,
		'object', jsonb_build_object('id', meeting, 'uuid', 'u' || meeting || '==') || object))::text;

/* ---- H1, H2: no account, no secret; then one */

SELECT * FROM test.deliver(test.event('meeting.started', '1'));
SELECT * FROM test.deliver('{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}');
SELECT telehealth.connect_platform('zoom', '{"account_id": "zoom-a", "client_id": "b", "client_secret": "c"}', clinic_id => 80) AS account \gset
SELECT * FROM test.deliver(test.event('meeting.started', '1'));
SELECT check_name, status, regexp_replace(detail, '[0-9]+ of', 'N of') AS detail, hint FROM telehealth.health WHERE check_name ~ '^webhook';
SELECT telehealth.connect_platform('zoom', '{"account_id": "zoom-a", "client_id": "b", "client_secret": "c", "webhook_secret": "first secret"}', clinic_id => 80) = :account AS same;
SELECT * FROM test.deliver('{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}');
SELECT body::json ->> 'encryptedToken' = encode(test.hmac('first secret', 'abc'), 'hex') AS proves FROM test.deliver('{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}');
SELECT status, body FROM unnest(ARRAY['{"event": "endpoint.url_validation"}', '{"event": "endpoint.url_validation", "payload": {"plainToken": ""}}',
	'{"event": "endpoint.url_validation", "payload": {"plainToken": 5}}', '{"event": "endpoint.url_validation", "payload": {"plainToken": "\"\\é"}}']) AS b, test.deliver(b);
SELECT challenged_at IS NOT NULL AS is_noted FROM telehealth.account WHERE id = :account;
SELECT check_name, status, detail, hint FROM telehealth.health WHERE check_name ~ '^webhook';
UPDATE telehealth.account SET challenged_at = now() - interval '80 h';
SELECT check_name, status, detail, hint FROM telehealth.health WHERE check_name ~ '^webhook';
SELECT count(*) AS events FROM telehealth.webhook_event;

/* ---- H3: what is refused. H5: late, early */

SELECT c.what, r.status, r.body FROM (VALUES
	('genuine', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}')),
	('another secret', test.headers('second secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}')),
	('another body', test.headers('first secret', '{"event": "y", "payload": {"account_id": "zoom-a"}}')),
	('another time', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}') || jsonb_build_object('X-Zm-Request-Timestamp', extract(epoch FROM clock_timestamp() + interval '2 s')::bigint::text)),
	('94 minutes ago', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}', '94 min')),
	('96 minutes ago', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}', '96 min')),
	('14 minutes ahead', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}', '-14 min')),
	('16 minutes ahead', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}', '-16 min')),
	('no signature', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}') - 'x-zm-signature'),
	('no time', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}') - 'X-Zm-Request-Timestamp'),
	('none', '{}'), ('an account nobody has', test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-b"}}')),
	('upper case', (SELECT jsonb_object_agg(key, CASE WHEN key = 'x-zm-signature' THEN 'v0=' || upper(substr(value, 4)) ELSE value END) FROM jsonb_each_text(test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}')))),
	('version 1', (SELECT jsonb_object_agg(key, CASE WHEN key = 'x-zm-signature' THEN 'v1=' || substr(value, 4) ELSE value END) FROM jsonb_each_text(test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}')))),
	('cut', (SELECT jsonb_object_agg(key, CASE WHEN key = 'x-zm-signature' THEN left(value, 66) ELSE value END) FROM jsonb_each_text(test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}')))),
	('twice', (SELECT jsonb_object_agg(key, CASE WHEN key = 'x-zm-signature' THEN jsonb_build_array(value, value) ELSE value END) FROM jsonb_each(test.headers('first secret', '{"event": "x", "payload": {"account_id": "zoom-a"}}')))),
	('the token of old', '{"authorization": "first secret", "x-zm-request-timestamp": "1767607200"}')
) AS c (what, headers), telehealth.receive_webhook('zoom', c.headers, '{"event": "x", "payload": {"account_id": "zoom-a"}}'::bytea) AS r;

/* ---- H4: as bytes, text and json, whatever the spacing */

SELECT test.headers('first secret', convert_to(b, 'UTF8')) AS headers, b AS body FROM (VALUES (E'  {"payload":\t{"object": {"uuid" :"odd==",  "id": 77}, "account_id":"zoom-a"},\r\n "event"\n: "meeting.\\u0073tarted" ,"event_ts":1767607200001,"zoë":"李"} \n')) AS v (b) \gset odd_
SELECT (telehealth.receive_webhook('zoom', :'odd_headers', convert_to(:'odd_body', 'UTF8'))).status AS bytea;
SELECT (telehealth.receive_webhook('zoom', :'odd_headers', :'odd_body'::text)).status AS text;
SELECT (telehealth.receive_webhook('zoom', :'odd_headers', :'odd_body'::json)).status AS json;
SELECT (telehealth.receive_webhook('zoom', :'odd_headers', :'odd_body'::jsonb::text)).status AS jsonb;
SELECT source, event_name, meeting_id, meeting_uuid, event_at AT TIME ZONE 'UTC' AS event_at, clinic_id, outcome FROM telehealth.webhook_event WHERE meeting_id = '77';

/* as PostgREST calls */
BEGIN;
SELECT set_config('request.headers', :'odd_headers', true) IS NOT NULL AS set;
SELECT telehealth.zoom_webhook(:'odd_body'::json), current_setting('response.status') AS status;
SELECT telehealth.zoom_webhook(:'odd_body'::text), current_setting('response.status') AS status;
SELECT telehealth.zoom_webhook(convert_to(:'odd_body', 'UTF8')), current_setting('response.status') AS status;
SELECT telehealth.zoom_webhook('{"event": "x"}'), current_setting('response.status') AS status;
SELECT (telehealth.receive_webhook('zoom', NULL, :'odd_body'::text)).status;
SELECT set_config('request.headers', 'nonsense', true) AS set;
SELECT telehealth.zoom_webhook(:'odd_body'::json), current_setting('response.status') AS status;
COMMIT;
SELECT telehealth.zoom_webhook(:'odd_body'::json);
SELECT * FROM test.try($$SELECT telehealth.receive_webhook('skype', '{}', '{}'::text)$$);
SELECT * FROM test.try($$SELECT telehealth.receive_webhook(NULL, '{}', '{}'::text)$$);
SELECT * FROM test.try($$SELECT telehealth.receive_webhook('zoom', '[]', '{}'::text)$$);
SELECT * FROM test.try($$SELECT telehealth.receive_webhook('zoom', '{"a": {"b": 1}}', '{}'::text)$$);
SELECT status FROM telehealth.receive_webhook('zoom', '{}', NULL::bytea);

/* ---- bodies that make no sense, though they are signed */

SELECT b.what, r.status, r.body FROM (VALUES
	('empty', ''::bytea), ('no JSON', '{"event"'), ('text', '"event"'), ('number', '5'), ('array', '["event"]'), ('null', 'null'), ('no event', '{}'),
	('event is no text', '{"event": 5}'), ('event is empty', '{"event": ""}'), ('a zero byte', '{"event": "x"}\000'), ('no UTF-8', '{"event": "\377"}'),
	('too deep', convert_to('{"event": "x", "payload": {"account_id": "zoom-a"}, "a": ' || repeat('[', 40) || repeat(']', 40) || '}', 'UTF8')),
	('deep', convert_to('{"event": "deep", "payload": {"account_id": "zoom-a"}, "a": ' || repeat('[', 30) || repeat(']', 30) || '}', 'UTF8')),
	('what text cannot hold', '{"event": "held", "payload": {"account_id": "zoom-a"}, "a": "\\u0000 \\ud800 \\udc00 \\ud83d\\ude00"}')
) AS b (what, body), telehealth.receive_webhook('zoom', test.headers('first secret', b.body), b.body) AS r;
SELECT event_name, raw ->> 'a' AS a FROM telehealth.webhook_event WHERE event_name IN ('deep', 'held') ORDER BY 1;

/* ---- what is kept is what the server's own parser makes of it, however it is written */

CREATE TEMP TABLE written AS SELECT b.n, '{"event": "kept' || b.n || '", "payload": {"account_id": "zoom-a"}, "it":' || b.value || '}' AS body FROM (VALUES
	(1, '{}'), (2, '[]'), (3, '[[], {}, [1, [2]], "", {"": ""}]'), (4, '{"b": 1, "aa": 2, "b": 3, "a": {"c": 1, "c": null}}'),
	(5, '0'), (6, '-0'), (7, '-17'), (8, '999999999999999999'), (9, '-999999999999999999'), (10, '1000000000000000000'), (11, '123456789012345678901234567890'),
	(12, '1.50'), (13, '-0.0'), (14, '1e2'), (15, '1E-3'), (16, 'true'), (17, 'false'), (18, 'null'), (19, '[true,false,null,1,"x"]'),
	(20, '"\u00e9 \/ \n \" \\"'), (21, '"é 漢 😀"'), (22, E' [ 1 ,\t{ "a"\r:\n"b" } ] '), (23, repeat('[', 14) || '7' || repeat(']', 14)),
	(24, repeat('[', 20) || '7' || repeat(']', 20)), (25, '"' || repeat('long', 5000) || '"')
) AS b (n, value);
SELECT r.status, count(*) FROM written AS w, LATERAL test.deliver(w.body) AS r GROUP BY 1;
SELECT w.n, w.body, e.raw FROM written AS w LEFT JOIN telehealth.webhook_event AS e ON e.event_name = 'kept' || w.n WHERE e.raw::text IS DISTINCT FROM w.body::jsonb::text;
SELECT b.n, r.status FROM (VALUES
	(1, '01'), (2, '-'), (3, '--1'), (4, '+1'), (5, '1x'), (6, '1.'), (7, '.5'), (8, 'tru'), (9, 'truex'), (10, 'nul'), (11, 'TRUE'), (12, '[1,]'), (13, '[,1]'), (14, '[1 2]'),
	(15, '{"a"}'), (16, '{"a":}'), (17, '{"a":1,}'), (18, '{a:1}'), (19, E'"\t"'), (20, E'"\n"'), (21, '"x'), (22, '1}'), (23, '{"a":1'), (24, '[1'), (25, ''), (26, 'NaN'), (27, '"\x"'), (28, E'\u00a01')
) AS b (n, value), LATERAL test.deliver('{"event": "bad", "payload": {"account_id": "zoom-a"}, "it":' || b.value || '}') AS r
WHERE r.status <> 400;

/* ---- H7: once, by what happened; H11: kept for later */

DELETE FROM telehealth.webhook_event;
CREATE FUNCTION test.person(kind text, at text DEFAULT '2026-01-05T10:00:05Z', id text DEFAULT 'p1') RETURNS jsonb LANGUAGE sql
	RETURN jsonb_build_object('participant', jsonb_build_object('id', id, 'user_name', 'Jo Canary', kind, at));
SELECT count(*) FILTER (WHERE (test.deliver(b)).status = 200) AS answered FROM unnest(ARRAY[
	test.event('meeting.participant_joined', '5', test.person('join_time')),
	test.event('meeting.participant_joined', '5', test.person('join_time'), made_at => 1767607209999),
	test.event('meeting.participant_joined', '5', test.person('join_time', '2026-01-05T10:00:06Z')),
	test.event('meeting.participant_joined', '5', test.person('join_time', id => 'p2')),
	test.event('meeting.participant_left', '5', test.person('leave_time')),
	test.event('meeting.participant_left', '6', test.person('leave_time')),
	test.event('meeting.alert', '5'), test.event('meeting.alert', '5'), test.event('meeting.alert', '5', made_at => 1767607209999),
	test.event('recording.completed', '5', '{"recording_files": [{"id": "f1"}]}'),
	test.event('recording.completed', '5', '{"recording_files": [{"id": "f1"}]}', made_at => 1767607209999),
	test.event('recording.completed', '5', '{"recording_files": [{"id": "f1"}, {"id": "f2"}]}', made_at => 1767607209999),
	test.event('recording.trashed', '5', '{"recording_files": [{"id": "f1"}]}'),
	test.event('recording.trashed', '5', '{"recording_files": [{"id": "f1"}]}', made_at => 1767607209999),
	'{"event": "user.updated", "event_ts": 1767607200000, "payload": {"account_id": "zoom-a", "object": {"id": "u1", "email": "a@example.org"}}}',
	'{"event": "app_deauthorized", "payload": {"account_id": "zoom-a", "deauthorization_time": "2026-01-05T10:00:06Z"}}',
	test.event('nobody.knows', '5')]) AS b;
SELECT clinic_id, outcome, event_name, meeting_id, participant_id, participant_name, processed_at IS NOT NULL AS done, count(*)
FROM telehealth.webhook_event GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 3, 4, 5;
SELECT count(*) AS keys FROM telehealth.webhook_event WHERE octet_length(business_key) = 32 AND account_id = :account AND account_clinic_id = 80;

/* A session of that account gets what comes, whatever clinic its account is of; one of another does not */
INSERT INTO telehealth.session (clinic_id, id, appointment_id, patient_id, provider_id, platform, account_clinic_id, account_id, meeting_id, marker) VALUES
	(80, 8001, 1, 1, 1, 'zoom', 80, :account, '7', 'th-1'), (81, 8002, 2, 1, 1, 'zoom', 81, :account, '8', 'th-2'),
	(82, 8003, 3, 1, 1, 'zoom', 80, :account, '9', 'th-3');
SELECT (test.deliver(test.event('meeting.started', m))).status FROM unnest('{7,8,9}'::text[]) AS m;
SELECT clinic_id, session_id, meeting_id, outcome, processed_at FROM telehealth.webhook_event WHERE meeting_id IN ('7', '8', '9') ORDER BY meeting_id;
SELECT kind, clinic_id, subject_id FROM telehealth_private.job WHERE kind = 'session' ORDER BY 2;

/* ---- secrets leave the body */

SELECT (test.deliver(test.event('recording.completed', '7', '{"password": "canary", "recording_files": [{"id": "f", "download_token": {"deep": "canary"}, "play_url": "https://x.example/"}],
	"settings": {"recording_play_passcode": "canary", "join_before_host": true}}'))).status;
SELECT raw #>> '{payload,object}' AS object, raw::text ~ 'canary' AS has_canary FROM telehealth.webhook_event WHERE meeting_id = '7' AND event_name = 'recording.completed';

/* ---- H2: another secret; the former one is good for a day */

SELECT telehealth.connect_platform('zoom', '{"account_id": "zoom-a", "client_id": "b", "client_secret": "c", "webhook_secret": "second secret"}', clinic_id => 80) = :account AS same;
SELECT s, (test.deliver(test.event('x', '7'), s)).status, (test.deliver('{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}', s)).body::json ->> 'encryptedToken' = encode(test.hmac(s::bytea, 'abc'), 'hex') AS proves
FROM unnest('{first secret,second secret,third secret}'::text[]) AS s;
SELECT name, expires_at - now() BETWEEN '23 h' AND '24 h' AS for_a_day FROM telehealth_private.account_secret WHERE clinic_id = 80 AND name ~ 'webhook' ORDER BY name;
/* the same again takes nothing away; a third takes the place of the second */
SELECT telehealth.connect_platform('zoom', '{"account_id": "zoom-a", "client_id": "b", "client_secret": "d", "webhook_secret": "second secret"}', clinic_id => 80) = :account AS same;
SELECT s, (test.deliver(test.event('x', '7'), s)).status FROM unnest('{first secret,second secret}'::text[]) AS s;
SELECT detail FROM telehealth.check_platform(:account) WHERE check_name IN ('credentials', 'webhook_secret') ORDER BY check_name;
SELECT telehealth.rotate_keys() >= 0 AS rotated;
SELECT telehealth.connect_platform('zoom', '{"account_id": "zoom-a", "client_id": "b", "client_secret": "d", "webhook_secret": "third secret"}', clinic_id => 80) = :account AS same;
SELECT s, (test.deliver(test.event('x', '7'), s)).status FROM unnest('{first secret,second secret,third secret}'::text[]) AS s;
UPDATE telehealth_private.account_secret SET expires_at = now() - interval '1 s' WHERE name = 'former_webhook_secret';
SELECT s, (test.deliver(test.event('x', '7'), s)).status FROM unnest('{second secret,third secret}'::text[]) AS s;
/* the account it names; else the default one */
SELECT telehealth.connect_platform('zoom', '{"account_id": "zoom-0", "client_id": "b", "client_secret": "c", "webhook_secret": "default secret"}', clinic_id => 0) IS NOT NULL AS default_account;
SELECT a.account, s.secret, (test.deliver(test.event('which', '7', account => a.account), s.secret)).status
FROM unnest('{zoom-a,zoom-0,zoom-x}'::text[]) AS a (account), unnest('{third secret,default secret}'::text[]) AS s (secret);
SELECT clinic_id, account_ref, account_clinic_id, outcome FROM telehealth.webhook_event WHERE event_name = 'which' ORDER BY account_ref;

/* ---- who may */

SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_th_hook, regress_th_app, regress_th_stranger;
RESET client_min_messages;
CREATE ROLE regress_th_hook; CREATE ROLE regress_th_app; CREATE ROLE regress_th_stranger;
GRANT USAGE ON SCHEMA test TO regress_th_hook, regress_th_app, regress_th_stranger;
SELECT telehealth.grant_role('regress_th_hook', 'webhook'), telehealth.grant_role('regress_th_app', 'app', 80);
SELECT telehealth.may_see(80, 'regress_th_hook') AS sees, telehealth_private.may_administer(80, 'regress_th_hook') AS administers;
SET ROLE regress_th_hook;
SELECT (test.deliver(test.event('by role', '7'), 'third secret')).status;
SELECT state FROM unnest(ARRAY['SELECT * FROM telehealth.webhook_event', 'SELECT * FROM telehealth.health', 'SELECT telehealth.current_clinic()',
	'SELECT * FROM telehealth_private.account_secret']) AS c, test.try(c);
RESET ROLE;
SET ROLE regress_th_app;
SELECT (test.deliver(test.event('by app', '7'), 'third secret')).status;
SELECT clinic_id, event_name FROM telehealth.webhook_event WHERE event_name LIKE 'by %' ORDER BY 2;
SELECT count(*) FROM telehealth.webhook_event WHERE clinic_id <> 80;
SELECT state FROM test.try('DELETE FROM telehealth.webhook_event');
RESET ROLE;
SET ROLE regress_th_stranger;
SELECT state FROM test.try($$SELECT telehealth.receive_webhook('zoom', '{}', '{}'::text)$$);
RESET ROLE;
SELECT telehealth.revoke_role('regress_th_hook', 'webhook');
SET ROLE regress_th_hook;
SELECT state FROM test.try($$SELECT telehealth.receive_webhook('zoom', '{}', '{}'::text)$$);
RESET ROLE;
/* Unmatched events are for those who administer all clinics */
SELECT telehealth.grant_role('regress_th_app', 'app', 0);
SET ROLE regress_th_app;
SELECT DISTINCT clinic_id FROM telehealth.webhook_event ORDER BY 1;
RESET ROLE;

DROP OWNED BY regress_th_hook, regress_th_app, regress_th_stranger;
DROP ROLE regress_th_hook, regress_th_app, regress_th_stranger;
DELETE FROM telehealth_private.role_grant;
DELETE FROM telehealth.webhook_event;
DELETE FROM telehealth.session WHERE clinic_id IN (80, 81, 82);
DELETE FROM telehealth.account;
DELETE FROM telehealth_private.environment;
DELETE FROM telehealth_private.job;
RESET telehealth.clinic_id;
