CREATE TYPE telehealth.appointment_type AS ENUM ('VIDEO', 'IN_PERSON', 'PHONE');

CREATE TYPE telehealth.appointment_status AS ENUM (
	'PENDING', 'SCHEDULED', 'CONFIRMED', 'CHECKED_IN', 'IN_PROGRESS',
	'COMPLETED', 'CANCELLED', 'NO_SHOW'
);

CREATE TYPE telehealth.session_status AS ENUM (
	'SCHEDULED', 'WAITING', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED', 'NO_SHOW',
	'TECHNICAL_ISSUES'
);

/* Functions that column defaults, generated columns, checks and policies need. */

CREATE FUNCTION telehealth.current_clinic() RETURNS bigint
	LANGUAGE C STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_current_clinic';

CREATE FUNCTION telehealth_private.add_minutes(starts_at timestamptz, duration integer) RETURNS timestamptz
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_add_minutes';

CREATE FUNCTION telehealth_private.is_timezone(name text) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_is_timezone';

CREATE FUNCTION telehealth.may_see(clinic_id bigint, role name) RETURNS boolean
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_may_see';

CREATE FUNCTION telehealth_private.may_administer(clinic_id bigint, role name) RETURNS boolean
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_may_administer';

/* A component VEVENT. The columns are those of src/api/vevent.h; new ones come last. */
CREATE TYPE telehealth.vevent AS (
	uid text,
	starts_at timestamptz,
	ends_at timestamptz,
	summary text,
	description text,
	location text,
	url text,
	status text,
	sequence integer,
	timezone text,
	is_all_day boolean,
	stamped_at timestamptz,
	created_at timestamptz,
	updated_at timestamptz,
	conference text,
	organizer text,
	organizer_name text,
	attendees jsonb,
	class text,
	transparency text,
	categories text[],
	rrule text,
	exdates timestamptz[],
	rdates timestamptz[],
	recurrence_id timestamptz,
	alarms interval[],
	color text
);
