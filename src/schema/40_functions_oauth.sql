/* ---- grants that a user gives in a browser ---- */

CREATE FUNCTION telehealth.register_oauth_client(
	kind text,
	credentials jsonb,
	settings jsonb DEFAULT '{}',
	clinic_id bigint DEFAULT 0
) RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_register_oauth_client';

CREATE FUNCTION telehealth.authorize_platform(platform text, clinic_id bigint DEFAULT 0) RETURNS text
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_authorize_platform';

CREATE FUNCTION telehealth.complete_oauth(state text, code text) RETURNS bigint
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_complete_oauth';

CREATE FUNCTION telehealth.connect_schedule(credentials jsonb, clinic_id bigint DEFAULT 0) RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_connect_schedule';

CREATE FUNCTION telehealth.disconnect_schedule(sender text, clinic_id bigint DEFAULT 0) RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_disconnect_schedule';

/* Makes or replaces who may deliver; called by what connects the vendor. */
CREATE FUNCTION telehealth_private.put_push_channel(
	clinic_id bigint,
	source text,
	channel_id text,
	secret text,
	expires_at timestamptz DEFAULT NULL
) RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_put_push_channel';
