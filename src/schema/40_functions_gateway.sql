/* One row: what this database has of the gateway, whether that is anything or not. */
CREATE FUNCTION telehealth_private.gateway_door(
	OUT state text,
	OUT listen text,
	OUT port integer,
	OUT workers integer,
	OUT running integer,
	OUT connections integer,
	OUT opened_at timestamptz,
	OUT retry_at timestamptz,
	OUT holder text,
	OUT trouble text,
	OUT received bigint,
	OUT inserted bigint
) RETURNS record
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_gateway_door';

/* ---- its page ---- */

CREATE FUNCTION telehealth.set_dashboard_token() RETURNS text
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

/* The two uuids have 244 bits of the server's strong random numbers. */
CREATE FUNCTION telehealth_private.set_dashboard_token() RETURNS text
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_token CONSTANT text := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
BEGIN
	PERFORM telehealth_private.require_kind('admin', 0);
	INSERT INTO telehealth_private.dashboard_token AS d (token_hash, created_by)
	VALUES (sha256(convert_to(v_token, 'UTF8')), telehealth_private.caller())
	ON CONFLICT ON CONSTRAINT dashboard_token_pkey DO UPDATE
	SET token_hash = EXCLUDED.token_hash, created_at = now(), created_by = EXCLUDED.created_by;
	PERFORM telehealth_private.audit(0, 'set_dashboard_token', 'environment', NULL);
	RETURN v_token;
END
$$;

CREATE FUNCTION telehealth.drop_dashboard_token() RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.drop_dashboard_token() RETURNS boolean
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM telehealth_private.require_kind('admin', 0);
	DELETE FROM telehealth_private.dashboard_token;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM telehealth_private.audit(0, 'drop_dashboard_token', 'environment', NULL);
	RETURN true;
END
$$;
