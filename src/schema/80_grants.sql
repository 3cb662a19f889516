/*
 * PUBLIC has nothing; grants are made by telehealth.grant_role() alone. Only
 * what PUBLIC has is taken away: in an upgrade the server would else record
 * the grants of roles as the script's own, and leave them out of dumps.
 */
DO $$
DECLARE
	v_object text;
BEGIN
	FOR v_object IN
		WITH schema AS (
			SELECT n.oid, n.nspacl FROM pg_catalog.pg_namespace AS n WHERE n.nspname IN ('telehealth', 'telehealth_private')
		), object AS (
			SELECT 'SCHEMA ' || s.oid::regnamespace AS name, s.nspacl AS acl FROM schema AS s
			UNION ALL
			SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass, c.relacl
			FROM pg_catalog.pg_class AS c JOIN schema AS s ON s.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p', 'v', 'S')
			UNION ALL
			SELECT 'FUNCTION ' || p.oid::regprocedure, p.proacl
			FROM pg_catalog.pg_proc AS p JOIN schema AS s ON s.oid = p.pronamespace
			UNION ALL
			SELECT 'TYPE ' || t.oid::regtype, t.typacl
			FROM pg_catalog.pg_type AS t JOIN schema AS s ON s.oid = t.typnamespace
			LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
			WHERE t.typtype = 'e' OR c.relkind = 'c'
		)
		SELECT o.name FROM object AS o
		WHERE o.acl IS NULL OR EXISTS (SELECT FROM aclexplode(o.acl) AS a WHERE a.grantee = 0)
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', v_object);
	END LOOP;
END
$$;

SELECT telehealth_private.renew_grants();
