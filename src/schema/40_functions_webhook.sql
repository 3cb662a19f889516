/* ---- webhooks ---- */

/*
 * Not STRICT: without headers those of the setting request.headers count.
 * text and json are what drivers make of a body; jsonb would not be what was
 * signed.
 */
CREATE FUNCTION telehealth.receive_webhook(source text, headers jsonb, body bytea) RETURNS telehealth.http_reply
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_receive_webhook';

CREATE FUNCTION telehealth.receive_webhook(source text, headers jsonb, body text) RETURNS telehealth.http_reply
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_receive_webhook';

CREATE FUNCTION telehealth.receive_webhook(source text, headers jsonb, body json) RETURNS telehealth.http_reply
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_receive_webhook';

/* As PostgREST calls: one parameter without a name. The source is in the function's name. */
CREATE FUNCTION telehealth.zoom_webhook(bytea) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.zoom_webhook(text) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.zoom_webhook(json) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.twilio_webhook(bytea) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.twilio_webhook(text) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.twilio_webhook(json) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.google_calendar_webhook(bytea) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.google_calendar_webhook(text) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.google_calendar_webhook(json) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.graph_webhook(bytea) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.graph_webhook(text) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.graph_webhook(json) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.provider_schedule_webhook(bytea) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.provider_schedule_webhook(text) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';

CREATE FUNCTION telehealth.provider_schedule_webhook(json) RETURNS json
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_source_webhook';
