-- What an installed telehealth consists of, a line a fact: members, columns in
-- their order, definitions, rights, comments, what is dumped, shipped rows.
-- Partitions of a day are the dispatcher's, not the script's.
WITH extension AS (
	SELECT x.* FROM pg_extension AS x WHERE x.extname = 'telehealth'
), member AS (
	SELECT d.classid, d.objid FROM pg_depend AS d JOIN extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
	LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
	LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
	WHERE d.deptype = 'e' AND COALESCE(c.relname, t.typname, '-') !~ '^_?job_(history|failure)_[0-9]+$'
), relation AS (
	SELECT c.*, c.oid::regclass::text AS name FROM pg_class AS c JOIN member AS m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
), function AS (
	SELECT p.*, p.oid::regprocedure::text AS name FROM pg_proc AS p JOIN member AS m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
), part (classid, objid) AS (
	SELECT m.classid, m.objid FROM member AS m
	UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
	UNION ALL SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger AS t JOIN relation AS r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
	UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid
	UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index AS i JOIN relation AS r ON r.oid = i.indrelid
), fact (kind, name, fact) AS (
	SELECT 'extension', x.extname::text, format('schema %s, version %s, relocatable %s, owner %s', x.extnamespace::regnamespace, x.extversion, x.extrelocatable, x.extowner::regrole)
	FROM extension AS x
	UNION ALL
	SELECT 'requires', 'telehealth', pg_describe_object(d.refclassid, d.refobjid, 0) FROM pg_depend AS d
	JOIN extension AS x ON d.classid = 'pg_extension'::regclass AND d.objid = x.oid
	UNION ALL
	SELECT 'member', pg_describe_object(m.classid, m.objid, 0), NULL FROM member AS m
	UNION ALL
	SELECT 'relation', r.name, concat_ws(' ', r.relkind, r.relpersistence, r.relreplident, r.relrowsecurity, r.relforcerowsecurity, r.reloptions,
		r.relowner::regrole, pg_get_partkeydef(r.oid), pg_get_expr(r.relpartbound, r.oid), (SELECT a.amname FROM pg_am AS a WHERE a.oid = r.relam))
	FROM relation AS r
	UNION ALL
	SELECT 'column', r.name || ' ' || row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum),
		concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), 'not null:', a.attnotnull, 'identity:', a.attidentity,
			'generated:', a.attgenerated, 'storage:', a.attstorage, a.attcollation::regcollation, (SELECT string_agg(o, ',') FROM unnest(a.attoptions) AS o WHERE o NOT LIKE 'pg\_%'), a.attacl, pg_get_expr(d.adbin, d.adrelid))
	FROM pg_attribute AS a JOIN relation AS r ON r.oid = a.attrelid LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
	WHERE a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT 'view', r.name, pg_get_viewdef(r.oid, false) FROM relation AS r WHERE r.relkind = 'v'
	UNION ALL
	SELECT 'sequence', r.name, concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
	FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
	UNION ALL
	SELECT 'constraint', r.name || ' ' || k.conname, concat_ws(' ', pg_get_constraintdef(k.oid), k.convalidated, k.conislocal, k.connoinherit)
	FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
	UNION ALL
	SELECT 'index', r.name, concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisprimary, i.indisvalid, i.indisreplident)
	FROM pg_index AS i JOIN relation AS r ON r.oid = i.indrelid
	UNION ALL
	SELECT 'trigger', r.name, concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger AS t JOIN relation AS r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
	UNION ALL
	SELECT 'rule', r.name, concat_ws(' ', pg_get_ruledef(w.oid), w.ev_enabled) FROM pg_rewrite AS w JOIN relation AS r ON r.oid = w.ev_class WHERE r.relkind <> 'v'
	UNION ALL
	SELECT 'policy', r.name || ' ' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
	FROM pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid
	UNION ALL
	SELECT 'function', f.name, concat_ws(' ', pg_get_functiondef(f.oid), f.proowner::regrole) FROM function AS f WHERE f.prokind IN ('f', 'p', 'w')
	UNION ALL
	SELECT 'type', t.oid::regtype::text, concat_ws(' ', t.typtype, (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid))
	FROM pg_type AS t JOIN member AS m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	UNION ALL
	SELECT 'right', pg_describe_object(o.classid, o.objid, 0), (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(o.acl) AS a)
	FROM (
		SELECT 'pg_class'::regclass AS classid, r.oid AS objid, COALESCE(r.relacl, acldefault(CASE r.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, r.relowner)) AS acl FROM relation AS r
		UNION ALL SELECT 'pg_proc'::regclass, f.oid, COALESCE(f.proacl, acldefault('f', f.proowner)) FROM function AS f
		UNION ALL SELECT 'pg_namespace'::regclass, n.oid, COALESCE(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace AS n JOIN member AS m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid
		UNION ALL SELECT 'pg_type'::regclass, t.oid, COALESCE(t.typacl, acldefault('T', t.typowner)) FROM pg_type AS t JOIN member AS m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	) AS o
	UNION ALL
	SELECT 'right of the script', pg_describe_object(i.classoid, i.objoid, i.objsubid), (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(i.initprivs) AS a)
	FROM pg_init_privs AS i JOIN member AS m ON m.classid = i.classoid AND m.objid = i.objoid
	UNION ALL
	SELECT 'comment', pg_describe_object(c.classoid, c.objoid, c.objsubid), c.description FROM pg_description AS c JOIN part AS p ON p.classid = c.classoid AND p.objid = c.objoid
	UNION ALL
	SELECT 'dumped', o.oid::regclass::text, o.condition FROM extension AS x, unnest(x.extconfig, x.extcondition) AS o (oid, condition)
	UNION ALL
	SELECT 'shipped', 'builtin_platform', b::text FROM telehealth_private.builtin_platform AS b
	UNION ALL
	SELECT 'shipped', 'builtin_vendor_limit', b::text FROM telehealth_private.builtin_vendor_limit AS b
	UNION ALL
	SELECT 'shipped', 'builtin_disclosure_policy', b::text FROM telehealth_private.builtin_disclosure_policy AS b
)
SELECT kind || ' | ' || name || ' | ' || COALESCE(regexp_replace(fact, '\s+', ' ', 'g'), '') FROM fact ORDER BY 1;
