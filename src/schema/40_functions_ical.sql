/* ---- calendars from queries ---- */

CREATE FUNCTION telehealth.vevent(
	uid text,
	starts_at timestamptz,
	ends_at timestamptz,
	summary text DEFAULT NULL,
	description text DEFAULT NULL,
	location text DEFAULT NULL,
	url text DEFAULT NULL,
	status text DEFAULT NULL,
	sequence integer DEFAULT 0,
	timezone text DEFAULT NULL,
	is_all_day boolean DEFAULT false,
	stamped_at timestamptz DEFAULT NULL,
	created_at timestamptz DEFAULT NULL,
	updated_at timestamptz DEFAULT NULL,
	conference text DEFAULT NULL,
	organizer text DEFAULT NULL,
	organizer_name text DEFAULT NULL,
	attendees jsonb DEFAULT NULL,
	class text DEFAULT NULL,
	transparency text DEFAULT NULL,
	categories text[] DEFAULT NULL,
	rrule text DEFAULT NULL,
	exdates timestamptz[] DEFAULT NULL,
	rdates timestamptz[] DEFAULT NULL,
	recurrence_id timestamptz DEFAULT NULL,
	alarms interval[] DEFAULT NULL,
	color text DEFAULT NULL
) RETURNS telehealth.vevent
	LANGUAGE C IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_vevent';

/* The state is of one process: there is no way to put two together, so a parallel query adds in its leader. */
CREATE FUNCTION telehealth_private.vcalendar_add(state internal, event telehealth.vevent) RETURNS internal
	LANGUAGE C STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_vcalendar_add';

CREATE FUNCTION telehealth_private.vcalendar_add(state internal, event telehealth.vevent, options jsonb) RETURNS internal
	LANGUAGE C STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_vcalendar_add';

CREATE FUNCTION telehealth_private.vcalendar_end(state internal) RETURNS text
	LANGUAGE C STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_vcalendar_end';

CREATE AGGREGATE telehealth.vcalendar(event telehealth.vevent) (
	SFUNC = telehealth_private.vcalendar_add,
	STYPE = internal,
	FINALFUNC = telehealth_private.vcalendar_end,
	FINALFUNC_MODIFY = READ_ONLY,
	PARALLEL = SAFE
);

CREATE AGGREGATE telehealth.vcalendar(event telehealth.vevent, options jsonb) (
	SFUNC = telehealth_private.vcalendar_add,
	STYPE = internal,
	FINALFUNC = telehealth_private.vcalendar_end,
	FINALFUNC_MODIFY = READ_ONLY,
	PARALLEL = SAFE
);

CREATE FUNCTION telehealth.ical_duration(duration interval) RETURNS text
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_ical_duration';

CREATE FUNCTION telehealth.vtimezone(timezone text, window_start timestamptz, window_end timestamptz) RETURNS text
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_vtimezone';
