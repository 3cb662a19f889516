/* The extension, its settings, and what column defaults and checks call. */

/* A server may have a dispatcher: it leaves this database's work alone. */
SELECT format('ALTER DATABASE %I SET telehealth.outbound = off', current_database()) \gexec
\c -

SET client_min_messages = warning;
CREATE EXTENSION telehealth CASCADE;
RESET client_min_messages;

CREATE EXTENSION telehealth;

/* What makes UIDs its own is random; here it is to be known */
SELECT count(*), count(*) FILTER (WHERE tag ~ '^[0-9a-f]{32}$' AND tag <> replace(gen_random_uuid()::text, '-', '') AND plain_until IS NULL) AS fit
FROM telehealth_private.installation;
UPDATE telehealth_private.installation SET tag = repeat('5e', 16);

CREATE SCHEMA test;
GRANT USAGE ON SCHEMA test TO PUBLIC;

/* What a command raises. */
CREATE FUNCTION test.try(command text) RETURNS TABLE (state text, message text, detail text, hint text)
	LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE command;
	state := '00000';
	RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN NEXT;
END
$$;

/* The queue, without the clock; empties it. */
CREATE FUNCTION test.jobs() RETURNS TABLE (job text, priority smallint, due text, generation bigint)
	LANGUAGE sql
AS $$
	WITH gone AS (DELETE FROM telehealth_private.job AS j RETURNING j.*)
	SELECT format('%s %s/%s', g.kind, g.clinic_id, g.subject_id), g.priority,
		CASE WHEN g.due_at <= g.marked_at THEN 'now'
			WHEN g.due_at <= g.marked_at + interval '1 second' THEN 'within a second'
			ELSE 'later' END,
		g.generation
	FROM gone AS g
	ORDER BY g.kind DESC, g.clinic_id, g.subject_id
$$;

/* Settings */
SHOW telehealth.clinic_id;
SELECT telehealth.current_clinic();
SET telehealth.clinic_id = 7;
SELECT telehealth.current_clinic();
SET telehealth.clinic_id = '-1';
SET telehealth.clinic_id = 'one';
SET telehealth.clinic_id = '9223372036854775808';
SET telehealth.clinic_id = '9223372036854775807';
SELECT telehealth.current_clinic();
RESET telehealth.clinic_id;
SET telehealth.no_such_setting = 1;
SELECT name, setting, context FROM pg_settings
WHERE name LIKE 'telehealth.%' AND name NOT LIKE '%debug%' AND context NOT IN ('sighup', 'postmaster')
ORDER BY name;

/* Minutes */
SELECT telehealth_private.add_minutes('2026-03-08 01:30-08', 60);
SELECT telehealth_private.add_minutes('2026-03-08 01:30-08', -1);
SELECT telehealth_private.add_minutes('infinity', 60), telehealth_private.add_minutes('-infinity', 60);
SELECT telehealth_private.add_minutes(NULL, 60) IS NULL AS is_null;
SELECT * FROM test.try($$SELECT telehealth_private.add_minutes('294276-12-31 23:59:59 UTC', 1)$$);
SELECT * FROM test.try($$SELECT telehealth_private.add_minutes('294276-12-31 23:59:59 UTC', 2147483647)$$);

/* Time zones: names of the tz database as it spells them, and nothing else */
SELECT z, telehealth_private.is_timezone(z)
FROM unnest(ARRAY['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'America/Port-au-Prince', 'Etc/GMT', 'Etc/GMT+5',
	'Etc/GMT-14', 'Etc/GMT0', 'EST5EDT', 'PST8PDT']) AS z;
SELECT left(z, 16) AS z, telehealth_private.is_timezone(z)
FROM unnest(ARRAY['', 'ABC+3', 'EST5EDT4', 'Foo/Bar3', 'Foo/Bar', 'est5edt', 'Etc/GMT+13', 'Etc/GMT-15', 'Etc/GMT+05', 'europe/berlin',
	'posix/UTC', 'right/UTC', 'localtime', '+01:00', '<+03>-3', '../UTC', 'UTC; DROP', repeat('A', 300)]) AS z;
