/* ---- calendars of providers at other vendors ---- */

CREATE FUNCTION telehealth.connect_calendar(provider_id bigint, kind text, options jsonb DEFAULT '{}') RETURNS jsonb
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_connect_calendar';

CREATE FUNCTION telehealth.configure_calendar(connection_id bigint, options jsonb) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_configure_calendar';

CREATE FUNCTION telehealth.disconnect_calendar(provider_id bigint, kind text, purge boolean DEFAULT false) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_disconnect_calendar';

CREATE FUNCTION telehealth.purge_remote(connection_id bigint) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_purge_remote';
