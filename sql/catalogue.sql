/* Rules that hold for every object there is and will be; each query finds what breaks one. */

CREATE VIEW test.relation AS
	SELECT c.oid, c.oid::regclass::text AS name, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
		EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'clinic_id' AND a.attnum > 0) AS is_tenant
	FROM pg_class AS c
	WHERE c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace);

/* Exempt from a rule, with the reason. */
CREATE TABLE test.exempt (name text, rule text, reason text);
INSERT INTO test.exempt VALUES
	('telehealth.clinic', 'key', 'its id is the clinic'),
	('telehealth.vendor_limit', 'tenant', 'limits of vendors are the same for all'),
	('telehealth.vendor_limit', 'key', 'no clinic'),
	('telehealth_private.builtin_platform', 'tenant', 'shipped'),
	('telehealth_private.builtin_vendor_limit', 'tenant', 'shipped'),
	('telehealth_private.builtin_disclosure_policy', 'tenant', 'shipped'),
	('telehealth_private.builtin_oauth', 'tenant', 'shipped'),
	('telehealth_private.builtin_calendar', 'tenant', 'shipped'),
	('telehealth_private.windows_zone', 'tenant', 'shipped'),
	('telehealth_private.windows_zone', 'dump', 'shipped'),
	('telehealth_private.environment', 'tenant', 'one row a database'),
	('telehealth_private.installation', 'tenant', 'one row a database'),
	('telehealth_private.pause', 'tenant', 'one row a database'),
	('telehealth_private.dashboard_token', 'tenant', 'one row a database'),
	('telehealth_private.history_hold', 'tenant', 'one row a database'),
	('telehealth_private.role_grant', 'key', 'keyed by the role'),
	('telehealth_private.role_grant', 'rls', 'may_see() itself reads it; the owner alone may'),
	('telehealth_private.job', 'key', 'each node has its own queue'),
	('telehealth_private.job', 'rls', 'the dispatcher alone may read it'),
	('telehealth_private.job_history', 'rls', 'the dispatcher alone may read it'),
	('telehealth_private.job_history_default', 'rls', 'the dispatcher alone may read it'),
	('telehealth_private.job_history_done', 'rls', 'the dispatcher alone may read it'),
	('telehealth_private.job_failure', 'rls', 'the dispatcher alone may read it'),
	('telehealth_private.job_failure_default', 'rls', 'the dispatcher alone may read it'),
	('telehealth_private.quota', 'rls', 'the dispatcher alone may read it'),
	('telehealth.health', 'view', 'one row a check of the database'),
	('telehealth.worker_status', 'view', 'one row a database'),
	('telehealth.periodic_tasks', 'view', 'one row a task of the database'),
	('telehealth_private.health_worker', 'view', 'part of health'),
	('telehealth_private.health_processes', 'view', 'part of health'),
	('telehealth_private.health_environment', 'view', 'part of health'),
	('telehealth_private.health_accounts', 'view', 'part of health'),
	('telehealth_private.health_visits', 'view', 'part of health'),
	('telehealth_private.health_roles', 'view', 'part of health'),
	('telehealth_private.health_gateway', 'view', 'part of health'),
	('telehealth_private.health_calendars', 'view', 'part of health'),
	('telehealth_private.token_cache', 'dump', 'asked for again'),
	('telehealth_private.job', 'dump', 'marked again by adopt_environment()'),
	('telehealth_private.job_history', 'dump', 'a log'),
	('telehealth_private.job_history_default', 'dump', 'a log'),
	('telehealth_private.job_history_done', 'dump', 'a log'),
	('telehealth_private.job_failure', 'dump', 'a log'),
	('telehealth_private.job_failure_default', 'dump', 'a log'),
	('telehealth_private.quota', 'dump', 'of one day'),
	('telehealth_private.oauth_state', 'dump', 'of ten minutes'),
	('telehealth_private.oauth_state_id_seq', 'dump', 'of ten minutes'),
	('telehealth_private.builtin_oauth', 'dump', 'shipped'),
	('telehealth_private.builtin_calendar', 'dump', 'shipped'),
	('telehealth_private.calendar_cursor', 'dump', 'everything is compared first'),
	('telehealth_private.connection_token', 'dump', 'asked for again'),
	('telehealth_private.sync_count', 'dump', 'a log'),
	('telehealth_private.builtin_platform', 'dump', 'shipped'),
	('telehealth_private.builtin_vendor_limit', 'dump', 'shipped'),
	('telehealth_private.builtin_disclosure_policy', 'dump', 'shipped');

/* The list itself names what exists, and once */
SELECT e.name, e.rule FROM test.exempt AS e GROUP BY e.name, e.rule HAVING count(*) > 1
UNION ALL
SELECT e.name, e.rule FROM test.exempt AS e LEFT JOIN test.relation AS r ON r.name = e.name WHERE r.oid IS NULL;

/* Rule 1: the connection's clinic stands in column defaults and nowhere else */
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend AS d
WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = 'telehealth.current_clinic()'::regprocedure
	AND d.classid <> 'pg_attrdef'::regclass AND d.deptype = 'n';
SELECT r.name FROM test.relation AS r WHERE r.relkind IN ('v', 'm') AND pg_get_viewdef(r.oid) ~ 'current_clinic|telehealth\.clinic_id''';
SELECT p.polname FROM pg_policy AS p JOIN test.relation AS r ON r.oid = p.polrelid
WHERE concat(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ~ 'current_clinic|current_setting';
SELECT i.indexrelid::regclass FROM pg_index AS i JOIN test.relation AS r ON r.oid = i.indrelid
WHERE pg_get_indexdef(i.indexrelid) ~ 'current_clinic|current_setting';
SELECT p.oid::regprocedure FROM pg_proc AS p
WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)
	AND regexp_replace(p.prosrc, '''[A-Z, ]+ ON [^'']*''', '', 'g') ~* '(where|having|on|using)\s[^;]*current_clinic\s*\(';

/* Every table belongs to clinics or says why not; the column is what it is everywhere */
SELECT r.name FROM test.relation AS r
WHERE r.relkind IN ('r', 'p') AND NOT r.is_tenant AND r.name <> 'telehealth.clinic'
	AND NOT EXISTS (SELECT FROM test.exempt AS e WHERE e.name = r.name AND e.rule = 'tenant');
SELECT r.name FROM test.relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attname = 'clinic_id'
LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p')
	AND (NOT a.attnotnull OR a.atttypid <> 'bigint'::regtype
		OR (r.name LIKE 'telehealth.%' AND pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM 'telehealth.current_clinic()')
		OR (r.name LIKE 'telehealth.%' AND a.attnum <> 1));

/* Rule 2: views carry the clinic and are filtered by may_see() alone, behind a barrier, with the owner's rights */
SELECT r.name FROM test.relation AS r
WHERE r.relkind IN ('v', 'm') AND (
	NOT COALESCE(r.reloptions, '{}') @> ARRAY['security_barrier=true']
	OR array_to_string(r.reloptions, ',') ~ 'security_invoker'
	OR (NOT EXISTS (SELECT FROM test.exempt AS e WHERE e.name = r.name AND e.rule = 'view')
		AND (NOT r.is_tenant OR pg_get_viewdef(r.oid) !~ 'telehealth\.may_see\((\w+\.)?clinic_id, CURRENT_USER\)')));
/* A part of health that reads rows of clinics filters them too */
SELECT r.name FROM test.relation AS r
WHERE r.relkind = 'v' AND r.relname IN ('health_worker', 'health_accounts', 'health_visits', 'health_roles')
	AND pg_get_viewdef(r.oid) !~ 'telehealth\.may_see\(';

/* Rule 5: the clinic leads every key, also foreign ones and exclusions */
SELECT i.indexrelid::regclass FROM pg_index AS i
JOIN test.relation AS r ON r.oid = i.indrelid AND r.is_tenant
LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE (i.indisunique OR i.indisexclusion) AND a.attname IS DISTINCT FROM 'clinic_id'
	AND NOT EXISTS (SELECT FROM test.exempt AS e WHERE e.name = r.name AND e.rule = 'key');
SELECT c.conname FROM pg_constraint AS c
JOIN test.relation AS r ON r.oid = c.conrelid
JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_attribute AS f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
WHERE c.contype = 'f' AND (a.attname <> 'clinic_id' OR f.attname <> 'clinic_id');

/* Row security, enabled and forced, by may_see(); further policies only take away */
SELECT r.name FROM test.relation AS r
WHERE r.relkind IN ('r', 'p') AND (r.is_tenant OR r.name = 'telehealth.clinic')
	AND NOT (r.relrowsecurity AND r.relforcerowsecurity AND EXISTS (
		SELECT FROM pg_policy AS p WHERE p.polrelid = r.oid AND p.polcmd = '*'
			AND pg_get_expr(p.polqual, p.polrelid) IN (
				'telehealth.may_see(clinic_id, CURRENT_USER)', 'telehealth.may_see(id, CURRENT_USER)')))
	AND NOT EXISTS (SELECT FROM test.exempt AS e WHERE e.name = r.name AND e.rule = 'rls');
SELECT p.polname, p.polcmd, pg_get_expr(p.polqual, p.polrelid) FROM pg_policy AS p
JOIN test.relation AS r ON r.oid = p.polrelid
WHERE p.polroles <> '{0}' OR NOT CASE
	WHEN p.polpermissive THEN p.polwithcheck IS NULL
		AND (pg_get_expr(p.polqual, p.polrelid) ~ '^telehealth\.may_see\((clinic_id|id), CURRENT_USER\)$'
			OR (NOT r.is_tenant AND pg_get_expr(p.polqual, p.polrelid) = 'true'))
	ELSE COALESCE(pg_get_expr(p.polqual, p.polrelid), '') || COALESCE(pg_get_expr(p.polwithcheck, p.polrelid), '')
		~ '^(\(\(clinic_id <> 0\) OR )?telehealth_private\.may_administer\((clinic_id|id|\(0\)::bigint), CURRENT_USER\)\)?$' END;

/* Elevated functions have a twin that checks its caller, and that nobody else may call */
SELECT p.oid::regprocedure AS function, w.oid::regprocedure AS twin
FROM pg_proc AS p
LEFT JOIN pg_proc AS w ON w.proname = p.proname AND w.proargtypes = p.proargtypes
	AND w.pronamespace = 'telehealth_private'::regnamespace
WHERE p.prosrc = 'th_sql_elevated'
	AND (w.oid IS NULL OR p.pronamespace <> 'telehealth'::regnamespace OR w.prosrc !~ 'PERFORM telehealth_private\.require_(kind|owner)\('
		OR w.prorettype <> p.prorettype OR w.proretset <> p.proretset
		OR EXISTS (SELECT FROM aclexplode(COALESCE(w.proacl, acldefault('f', w.proowner))) AS a WHERE a.grantee <> w.proowner));
SELECT count(*) > 10 AS there_are_some FROM pg_proc WHERE prosrc = 'th_sql_elevated';
SELECT p.oid::regprocedure FROM pg_proc AS p
WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND p.prosecdef;

/* Every constraint, index, trigger and policy has a name that says what it is of */
SELECT c.conname FROM pg_constraint AS c JOIN test.relation AS r ON r.oid = c.conrelid
WHERE c.contype <> 'n' AND c.conparentid = 0 AND c.conislocal AND c.conname !~ ('^' || r.relname || '_(\w+_)?' || CASE c.contype
	WHEN 'p' THEN 'pkey' WHEN 'u' THEN 'key' WHEN 'f' THEN 'fk' WHEN 'c' THEN 'check' WHEN 'x' THEN 'excl' END || '$');
SELECT i.indexrelid::regclass FROM pg_index AS i JOIN test.relation AS r ON r.oid = i.indrelid
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relname !~ ('^' || r.relname || '_.*(pkey|key|excl|idx)$') AND c.relname !~ '^job_(history|failure)_(default|done|clinic_id)_' AND c.relname !~ '^audit_log_unchained_idx$';

/* Instants have a time zone, but for what clocks show; identifiers are bigint */
SELECT r.name, a.attname FROM test.relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0
WHERE r.relkind IN ('r', 'p', 'v')
	AND ((a.atttypid = 'timestamp'::regtype AND a.attname !~ '^local_')
		OR a.atttypid IN ('json'::regtype, 'character'::regtype, 'character varying'::regtype, 'money'::regtype)
		OR (a.attname ~ '_at$' AND a.atttypid <> 'timestamptz'::regtype)
		OR (a.attname ~ '^(id|appointment_id|session_id|patient_id|provider_id|account_id|subject_id)$' AND a.atttypid <> 'bigint'::regtype));

/* Everything belongs to the extension, and dumps carry what the user wrote */
SELECT r.name FROM test.relation AS r
WHERE r.relkind IN ('r', 'p', 'v', 'S') AND NOT EXISTS (
	SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e');
SELECT r.name FROM test.relation AS r, pg_extension AS x
WHERE x.extname = 'telehealth' AND r.relkind IN ('r', 'p', 'S') AND NOT r.oid = ANY (x.extconfig)
	AND NOT EXISTS (SELECT FROM test.exempt AS e WHERE e.name = r.name AND e.rule = 'dump');
SELECT r.name FROM test.relation AS r, pg_extension AS x
WHERE x.extname = 'telehealth' AND r.oid = ANY (x.extconfig)
	AND EXISTS (SELECT FROM test.exempt AS e WHERE e.name = r.name AND e.rule = 'dump');

/* Everything says what it is */
SELECT r.name FROM test.relation AS r
WHERE r.relkind IN ('r', 'p', 'v', 'S') AND obj_description(r.oid, 'pg_class') IS NULL
UNION ALL
SELECT r.name || '.' || a.attname FROM test.relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0
WHERE r.relkind IN ('r', 'p', 'v') AND NOT a.attisdropped AND col_description(r.oid, a.attnum) IS NULL
UNION ALL
SELECT p.oid::regprocedure::text FROM pg_proc AS p
WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND obj_description(p.oid, 'pg_proc') IS NULL
UNION ALL
SELECT t.oid::regtype::text FROM pg_type AS t
WHERE t.typnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) AND t.typtype = 'e' AND obj_description(t.oid, 'pg_type') IS NULL
UNION ALL
SELECT n.nspname FROM pg_namespace AS n
WHERE n.nspname IN ('telehealth', 'telehealth_private') AND obj_description(n.oid, 'pg_namespace') IS NULL
UNION ALL
SELECT t.tgname FROM pg_trigger AS t JOIN test.relation AS r ON r.oid = t.tgrelid
WHERE NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL
UNION ALL
SELECT p.polname FROM pg_policy AS p JOIN test.relation AS r ON r.oid = p.polrelid
WHERE obj_description(p.oid, 'pg_policy') IS NULL;

/* It goes without a trace, and comes again */
SET client_min_messages = warning;
DROP EXTENSION telehealth CASCADE;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'telehealth%';
CREATE EXTENSION telehealth;
RESET client_min_messages;
INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at, is_overbooked, overbook_reason)
VALUES (1, 1, 1, 'VIDEO', '2130-01-01', true, 'again');
SELECT clinic_id, kind, subject_id, state FROM telehealth.job_status;
UPDATE telehealth.appointment SET title = 'again' RETURNING sequence;
SELECT telehealth.may_see(1, current_user);
CREATE SCHEMA telehealth_other;
DROP EXTENSION telehealth CASCADE;
DROP SCHEMA telehealth_other;
