/* What a text says becomes the busy times of its provider and source. */
CREATE FUNCTION telehealth.import_ics(
	provider_id bigint,
	source text,
	ics text,
	window_start timestamptz DEFAULT NULL,
	window_end timestamptz DEFAULT NULL,
	confirm_deletions boolean DEFAULT false,
	OUT created bigint,
	OUT updated bigint,
	OUT deleted bigint,
	OUT quarantined bigint
) RETURNS record
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_import_ics';

CREATE FUNCTION telehealth.import_csv(
	provider_id bigint,
	source text,
	csv text,
	timezone text DEFAULT NULL,
	window_start timestamptz DEFAULT NULL,
	window_end timestamptz DEFAULT NULL,
	confirm_deletions boolean DEFAULT false,
	OUT created bigint,
	OUT updated bigint,
	OUT deleted bigint,
	OUT quarantined bigint
) RETURNS record
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_import_csv';
