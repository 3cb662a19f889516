/* When a provider is free. Bodies of SQL are bound where they are made, so that callers' plans can take them in; to plan takes longer than to run. */

/*
 * What takes a provider's time inside a window: the one answer to "free?".
 * Visits that block are those of appointment_provider_id_excl and overbooked
 * ones, which the constraint lets pass: somebody sits there all the same. The
 * visit but_appointment counts as not there. No visit is longer than a day.
 */
CREATE FUNCTION telehealth_private.taken(
	clinic_id bigint,
	provider_id bigint,
	window_start timestamptz,
	window_end timestamptz,
	but_appointment bigint
) RETURNS TABLE (during tstzrange, taken_by text)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT tstzrange(a.starts_at, a.ends_at), 'appointment'
	FROM telehealth.appointment AS a
	WHERE a.clinic_id = taken.clinic_id AND a.provider_id = taken.provider_id
		AND a.starts_at > window_start - interval '24 hours' AND a.starts_at < window_end AND a.ends_at > window_start
		AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED', 'CHECKED_IN', 'IN_PROGRESS')
		AND a.id IS DISTINCT FROM but_appointment
	UNION ALL
	SELECT b.during, 'busy_time'
	FROM telehealth.busy_time AS b
	WHERE b.clinic_id = taken.clinic_id AND b.provider_id = taken.provider_id
		AND b.during && tstzrange(window_start, window_end);
END;

/*
 * When a provider works, for each row of hours and day that may touch the
 * window; whole days of the zone if there is no row at all. Clocks are read
 * by the rule of instant_of(): hours of which a change of the clocks leaves
 * nothing are none.
 */
CREATE FUNCTION telehealth_private.open_hours(
	clinic_id bigint,
	provider_id bigint,
	window_start timestamptz,
	window_end timestamptz,
	timezone text
) RETURNS TABLE (opens_at timestamptz, closes_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	WITH own AS MATERIALIZED (
		SELECT h.weekday, h.from_time, h.to_time, COALESCE(h.timezone, open_hours.timezone) AS zone, h.valid_from, h.valid_to
		FROM telehealth.working_hours AS h
		WHERE h.clinic_id = open_hours.clinic_id AND h.provider_id = open_hours.provider_id
	), hours AS (
		SELECT o.* FROM own AS o
		UNION ALL
		SELECT d.n, '00:00', '24:00', open_hours.timezone, NULL, NULL
		FROM generate_series(1, 7) AS d (n)
		WHERE NOT EXISTS (SELECT FROM own)
	), ranged AS (
		SELECT h.*, GREATEST(w.first_day, h.valid_from) AS first_day, LEAST(w.last_day, h.valid_to) AS last_day
		FROM hours AS h
		CROSS JOIN LATERAL (
			SELECT telehealth_private.wall_of(window_start, h.zone)::date - 1, telehealth_private.wall_of(window_end, h.zone)::date
		) AS w (first_day, last_day)
	)
	SELECT i.opens_at, i.closes_at
	FROM ranged AS r
	CROSS JOIN LATERAL generate_series(
		(r.weekday - EXTRACT(isodow FROM r.first_day)::integer + 7) % 7, r.last_day - r.first_day, 7
	) AS d (n)
	CROSS JOIN LATERAL (
		SELECT telehealth_private.instant_of(r.first_day + d.n + r.from_time, r.zone),
			telehealth_private.instant_of(r.first_day + d.n + r.to_time, r.zone)
	) AS i (opens_at, closes_at)
	WHERE i.opens_at < i.closes_at;
END;

/*
 * How old what is known of a provider's outside calendars is, and how far it
 * reaches: the one read longest ago counts, and one that was never read is
 * older than all. One whose sync is switched off gets older like any other,
 * since what it said still takes time. One that is read seldom by its setting
 * is not old before it has been missed. Without any, the tables alone say, now.
 * must_close: the clinic or provider rather has no slots than slots by an old
 * copy.
 */
CREATE FUNCTION telehealth_private.freshness(
	clinic_id bigint,
	provider_id bigint,
	OUT timezone text,
	OUT as_of timestamptz,
	OUT source text,
	OUT is_stale boolean,
	OUT known_until timestamptz,
	OUT must_close boolean
) RETURNS record
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	v_stale_after interval;
BEGIN
	SELECT COALESCE(p.timezone, c.timezone, 'UTC'), COALESCE(p.calendar_stale_after, c.calendar_stale_after, '1 hour'),
		COALESCE(p.calendar_when_stale, c.calendar_when_stale, 'flag') = 'close'
	INTO timezone, v_stale_after, must_close
	FROM (VALUES (freshness.clinic_id, freshness.provider_id)) AS v (clinic_id, provider_id)
	LEFT JOIN telehealth.provider AS p ON p.clinic_id = v.clinic_id AND p.id = v.provider_id
	LEFT JOIN telehealth.clinic AS c ON c.id = v.clinic_id;

	SELECT (array_agg(q.last_sync_at ORDER BY q.last_sync_at NULLS FIRST))[1],
		(array_agg(q.kind ORDER BY q.last_sync_at NULLS FIRST, q.kind))[1], min(q.known_until),
		COALESCE(bool_or(COALESCE(q.last_sync_at < now() - GREATEST(v_stale_after, q.twice), true)), false)
	INTO as_of, source, known_until, is_stale
	FROM (
		SELECT x.kind, x.last_sync_at, x.sync_frequency_minutes * interval '2 minutes' AS twice,
			COALESCE(k.window_end, x.last_sync_at + x.window_days_ahead * interval '24 hours', '-infinity') AS known_until
		FROM telehealth.calendar_connection AS x
		LEFT JOIN telehealth_private.calendar_cursor AS k ON k.clinic_id = x.clinic_id AND k.connection_id = x.id
		WHERE x.clinic_id = freshness.clinic_id AND x.provider_id = freshness.provider_id
			AND x.status NOT IN ('PENDING', 'DISCONNECTED') AND x.sync_direction IN ('both', 'pull')
	) AS q;
	IF source IS NULL THEN
		as_of := now();
		source := 'telehealth';
		known_until := 'infinity';
	END IF;
END
$$;

CREATE FUNCTION telehealth.is_free(
	provider_id bigint,
	starts_at timestamptz,
	duration integer DEFAULT 30,
	but_appointment bigint DEFAULT NULL,
	OUT is_free boolean,
	OUT reason text,
	OUT as_of timestamptz,
	OUT source text,
	OUT is_stale boolean
) RETURNS record
	LANGUAGE C STABLE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.is_free(
	provider_id bigint,
	starts_at timestamptz,
	duration integer,
	but_appointment bigint,
	OUT is_free boolean,
	OUT reason text,
	OUT as_of timestamptz,
	OUT source text,
	OUT is_stale boolean
) RETURNS record
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
	v_end timestamptz;
	v_fresh record;
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	PERFORM telehealth_private.check_window(provider_id, starts_at, starts_at, duration, 1);
	v_end := telehealth_private.add_minutes(starts_at, duration);
	v_fresh := telehealth_private.freshness(v_clinic, provider_id);
	as_of := v_fresh.as_of;
	source := v_fresh.source;
	is_stale := v_fresh.is_stale OR v_end > v_fresh.known_until;
	SELECT t.taken_by INTO reason
	FROM telehealth_private.taken(v_clinic, provider_id, starts_at, v_end, but_appointment) AS t
	ORDER BY t.taken_by
	LIMIT 1;
	IF reason IS NULL AND NOT COALESCE((
		SELECT tstzrange(is_free.starts_at, v_end) <@ range_agg(tstzrange(h.opens_at, h.closes_at))
		FROM telehealth_private.open_hours(v_clinic, is_free.provider_id, is_free.starts_at, v_end, v_fresh.timezone) AS h
	), false) THEN
		reason := 'working_hours';
	END IF;
	IF reason IS NULL AND is_stale AND v_fresh.must_close THEN
		reason := 'stale';
	END IF;
	is_free := reason IS NULL;
END
$$;

/* Errors unless somebody's slots may be asked for. */
CREATE FUNCTION telehealth_private.check_window(
	provider_id bigint,
	window_start timestamptz,
	window_end timestamptz,
	duration integer,
	step integer
) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF provider_id IS NULL OR window_start IS NULL OR window_end IS NULL OR duration IS NULL OR step IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'provider, times, duration and step must not be null';
	END IF;
	IF duration NOT BETWEEN 1 AND 1440 OR step NOT BETWEEN 1 AND 1440 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'duration and step are 1 to 1440 minutes';
	END IF;
	IF NOT isfinite(window_start) OR NOT isfinite(window_end) OR window_end > window_start + interval '9600 hours' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the window is infinite, or longer than 400 days';
	END IF;
END
$$;

CREATE FUNCTION telehealth.free_slots(
	provider_id bigint,
	window_start timestamptz,
	window_end timestamptz,
	duration integer DEFAULT 30,
	step integer DEFAULT 15,
	but_appointment bigint DEFAULT NULL
) RETURNS TABLE (starts_at timestamptz, ends_at timestamptz, as_of timestamptz, source text, is_stale boolean)
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 300
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

/* Starts are counted in steps from the beginning of each of the hours: of a day where there are none. */
CREATE FUNCTION telehealth_private.free_slots(
	provider_id bigint,
	window_start timestamptz,
	window_end timestamptz,
	duration integer,
	step integer,
	but_appointment bigint
) RETURNS TABLE (starts_at timestamptz, ends_at timestamptz, as_of timestamptz, source text, is_stale boolean)
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 300
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
	v_length interval;
	v_fresh record;
	v_opens timestamptz[];
	v_closes timestamptz[];
	v_free tstzmultirange;
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	PERFORM telehealth_private.check_window(provider_id, window_start, window_end, duration, step);
	v_fresh := telehealth_private.freshness(v_clinic, provider_id);
	IF window_end <= window_start THEN
		RETURN;
	END IF;

	v_length := make_interval(mins => duration);
	SELECT array_agg(h.opens_at), array_agg(h.closes_at), range_agg(tstzrange(h.opens_at, h.closes_at))
	INTO v_opens, v_closes, v_free
	FROM telehealth_private.open_hours(v_clinic, provider_id, window_start, window_end, v_fresh.timezone) AS h;
	v_free := v_free * tstzmultirange(tstzrange(window_start, window_end))
		- COALESCE((
			SELECT range_agg(t.during)
			FROM telehealth_private.taken(v_clinic, free_slots.provider_id, window_start, window_end, but_appointment) AS t
		), '{}');

	RETURN QUERY
	SELECT DISTINCT s.at, s.at + v_length, v_fresh.as_of, v_fresh.source, v_fresh.is_stale OR s.at + v_length > v_fresh.known_until
	FROM unnest(v_opens, v_closes) AS h (opens_at, closes_at)
	CROSS JOIN LATERAL generate_series(h.opens_at, LEAST(h.closes_at, window_end) - interval '1 microsecond',
		make_interval(mins => step)) AS s (at)
	WHERE tstzrange(s.at, s.at + v_length) <@ v_free
		AND NOT (v_fresh.must_close AND (v_fresh.is_stale OR s.at + v_length > v_fresh.known_until))
	ORDER BY s.at;
END
$$;
