/* One row an occurrence that touches the window; what is wrong with an item is a row too, with its problem. */
CREATE FUNCTION telehealth.parse_ics(
	ics text,
	window_start timestamptz,
	window_end timestamptz,
	timezone text DEFAULT 'UTC'
) RETURNS TABLE (
	uid text,
	recurrence_id timestamptz,
	starts_at timestamptz,
	ends_at timestamptz,
	is_all_day boolean,
	summary text,
	status text,
	transparency text,
	is_busy boolean,
	sequence integer,
	truncated boolean,
	problem text
)
	LANGUAGE C STABLE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_parse_ics';
