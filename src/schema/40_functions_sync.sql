/* ---- pulls of calendars on demand ---- */

CREATE FUNCTION telehealth.sync_calendar(provider_id bigint, timeout interval DEFAULT NULL, confirm_deletions boolean DEFAULT false,
	OUT created bigint, OUT updated bigint, OUT deleted bigint, OUT errors bigint)
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_sync_calendar';
