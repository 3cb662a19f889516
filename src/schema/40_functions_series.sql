/* Both are null for years beyond 1 to 9999, which no calendar has: one such row is no reason to show none. */
CREATE FUNCTION telehealth_private.instant_of(local_start timestamp, timezone text) RETURNS timestamptz
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_instant_of';

/* AT TIME ZONE takes CET, EET and others as a fixed offset. */
CREATE FUNCTION telehealth_private.wall_of(starts_at timestamptz, timezone text) RETURNS timestamp
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_wall_of';

CREATE FUNCTION telehealth_private.series_days(
	rule text,
	first_date date,
	start_time time,
	timezone text,
	from_date date,
	to_date date,
	most integer
) RETURNS TABLE (occurrence date, starts_at timestamptz)
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_series_days';

/*
 * When the horizon reaches the first day beyond what is expanded; null if
 * there is none in the next ten years.
 */
CREATE FUNCTION telehealth_private.series_due_at(series telehealth.appointment_series, expanded_until date)
	RETURNS timestamptz
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT telehealth_private.instant_of((d.occurrence - series.horizon_days)::timestamp, series.timezone)
	FROM telehealth_private.series_days(series.rule, series.first_date, series.start_time, series.timezone,
		series_due_at.expanded_until + 1, GREATEST(series_due_at.expanded_until, series.first_date) + 3660, 1) AS d
$$;

/*
 * Removes visits, which leave their series before: what a user deletes becomes
 * an exception. One that was changed by itself meanwhile stays, unless
 * exceptions go too.
 */
CREATE FUNCTION telehealth_private.remove_occurrences(clinic_id bigint, ids bigint[], with_exceptions boolean) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_gone bigint[];
BEGIN
	WITH gone AS (
		UPDATE telehealth.appointment AS a SET series_id = NULL, occurrence = NULL
		WHERE a.clinic_id = remove_occurrences.clinic_id AND a.id = ANY (ids)
			AND (with_exceptions OR NOT a.is_exception) AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED')
		RETURNING a.id
	)
	SELECT array_agg(g.id) INTO v_gone FROM gone AS g;
	DELETE FROM telehealth.appointment AS a
	WHERE a.clinic_id = remove_occurrences.clinic_id AND a.id = ANY (v_gone);
END
$$;

/*
 * Makes visits what their series says; starts is where each begins. One that
 * was changed by itself meanwhile is left alone. Raises exclusion_violation.
 */
CREATE FUNCTION telehealth_private.set_occurrences(
	series telehealth.appointment_series,
	ids bigint[],
	starts timestamptz[]
) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE telehealth.appointment AS a
	SET patient_id = series.patient_id, provider_id = series.provider_id, type = series.type, starts_at = u.starts_at,
		duration = series.duration, timezone = series.timezone, title = series.title, reason = series.reason,
		location = series.location, platform = series.platform, local_start = a.occurrence + series.start_time,
		series_revision = series.revision
	FROM unnest(ids, starts) AS u (id, starts_at)
	WHERE a.clinic_id = series.clinic_id AND a.id = u.id AND a.series_id = series.id AND NOT a.is_exception
		AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED');
END
$$;

/*
 * Changes the visits that differ from what their series says now. One that
 * finds another in its new place is removed: it is then made like a new one,
 * or a conflict. Later ones first if visits move later, else earlier ones,
 * so that they do not stand in each other's way.
 */
CREATE FUNCTION telehealth_private.change_occurrences(
	series telehealth.appointment_series,
	days date[],
	starts timestamptz[],
	now timestamptz
) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_ids bigint[];
	v_starts timestamptz[];
	v_refused bigint[] := '{}';
BEGIN
	SELECT array_agg(a.id ORDER BY CASE WHEN d.starts_at > a.starts_at THEN -1 ELSE 1 END * extract(epoch FROM a.starts_at)),
		array_agg(d.starts_at ORDER BY CASE WHEN d.starts_at > a.starts_at THEN -1 ELSE 1 END * extract(epoch FROM a.starts_at))
	INTO v_ids, v_starts
	FROM telehealth.appointment AS a
	JOIN unnest(days, starts) AS d (occurrence, starts_at) ON d.occurrence = a.occurrence
	WHERE a.clinic_id = series.clinic_id AND a.series_id = series.id AND NOT a.is_exception AND a.starts_at > change_occurrences.now
		AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED')
		AND (a.patient_id, a.provider_id, a.type, a.starts_at, a.duration, a.timezone, a.title, a.reason, a.location,
				a.platform, a.local_start)
			IS DISTINCT FROM (series.patient_id, series.provider_id, series.type, d.starts_at, series.duration,
				series.timezone, series.title, series.reason, series.location, series.platform, d.occurrence + series.start_time);
	IF v_ids IS NULL THEN
		RETURN;
	END IF;
	BEGIN
		PERFORM telehealth_private.set_occurrences(series, v_ids, v_starts);
		RETURN;
	EXCEPTION WHEN exclusion_violation THEN
		NULL;
	END;
	FOR v_place IN 1 .. cardinality(v_ids) LOOP
		BEGIN
			PERFORM telehealth_private.set_occurrences(series, v_ids[v_place : v_place], v_starts[v_place : v_place]);
		EXCEPTION WHEN exclusion_violation THEN
			v_refused := v_refused || v_ids[v_place];
		END;
	END LOOP;
	PERFORM telehealth_private.remove_occurrences(series.clinic_id, v_refused, false);
END
$$;

/*
 * Makes the visits of a series up to its horizon; with is_whole also those
 * before are made, changed or removed, from now on. A visit that its provider
 * has no time for is left out, and its day noted. Returns when to look again.
 */
CREATE FUNCTION telehealth_private.expand_series(
	clinic_id bigint,
	series_id bigint,
	now timestamptz,
	is_whole boolean
) RETURNS timestamptz
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_series telehealth.appointment_series;
	v_today date;
	v_until date;
	v_days date[];
	v_starts timestamptz[];
	v_due timestamptz;
BEGIN
	SELECT s.* INTO v_series FROM telehealth.appointment_series AS s
	WHERE s.clinic_id = expand_series.clinic_id AND s.id = expand_series.series_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	v_today := telehealth_private.wall_of(expand_series.now, v_series.timezone)::date;
	v_until := GREATEST(v_today + v_series.horizon_days, v_series.expanded_until);
	SELECT COALESCE(array_agg(d.occurrence ORDER BY d.occurrence), '{}'),
		COALESCE(array_agg(d.starts_at ORDER BY d.occurrence), '{}')
	INTO v_days, v_starts
	FROM telehealth_private.series_days(v_series.rule, v_series.first_date, v_series.start_time, v_series.timezone,
		v_today, v_until, 2000) AS d
	WHERE d.starts_at > expand_series.now AND d.occurrence <> ALL (v_series.exceptions)
		AND (is_whole OR d.occurrence > v_series.expanded_until OR d.occurrence = ANY (v_series.conflicts));
	IF is_whole THEN
		PERFORM telehealth_private.remove_occurrences(v_series.clinic_id, ARRAY (
			SELECT a.id FROM telehealth.appointment AS a
			WHERE a.clinic_id = v_series.clinic_id AND a.series_id = v_series.id AND NOT a.is_exception
				AND a.starts_at > expand_series.now AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED')
				AND a.occurrence <> ALL (v_days)), false);
		PERFORM telehealth_private.change_occurrences(v_series, v_days, v_starts, expand_series.now);
	END IF;
	INSERT INTO telehealth.appointment (clinic_id, patient_id, provider_id, type, starts_at, duration, timezone, title, reason,
		location, platform, series_id, occurrence, series_revision, local_start)
	SELECT v_series.clinic_id, v_series.patient_id, v_series.provider_id, v_series.type, d.starts_at, v_series.duration,
		v_series.timezone, v_series.title, v_series.reason, v_series.location, v_series.platform, v_series.id, d.occurrence,
		v_series.revision, d.occurrence + v_series.start_time
	FROM unnest(v_days, v_starts) AS d (occurrence, starts_at)
	WHERE NOT EXISTS (
		SELECT FROM telehealth.appointment AS a
		WHERE a.clinic_id = v_series.clinic_id AND a.series_id = v_series.id AND a.occurrence = d.occurrence)
		AND (NOT current_setting('telehealth.busy_time_blocks')::boolean OR NOT EXISTS (
			SELECT FROM telehealth.busy_time AS b
			WHERE b.clinic_id = v_series.clinic_id AND b.provider_id = v_series.provider_id
				AND b.during && tstzrange(d.starts_at, telehealth_private.add_minutes(d.starts_at, v_series.duration))))
	ORDER BY d.occurrence
	ON CONFLICT DO NOTHING;
	UPDATE telehealth.appointment_series AS s
	SET expanded_until = v_until, conflicts = ARRAY (
		SELECT d.occurrence FROM unnest(v_days) AS d (occurrence)
		WHERE NOT EXISTS (
			SELECT FROM telehealth.appointment AS a
			WHERE a.clinic_id = v_series.clinic_id AND a.series_id = v_series.id AND a.occurrence = d.occurrence)
		ORDER BY d.occurrence)
	WHERE s.clinic_id = v_series.clinic_id AND s.id = v_series.id;
	v_due := telehealth_private.series_due_at(v_series, v_until);
	RETURN CASE WHEN v_due < expand_series.now THEN expand_series.now ELSE v_due END;
END
$$;

/* A series is gone: so are its visits to come, moved ones too. What has begun stays. */
CREATE FUNCTION telehealth_private.drop_series(clinic_id bigint, series_id bigint, now timestamptz) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM telehealth_private.remove_occurrences(drop_series.clinic_id, ARRAY (
		SELECT a.id FROM telehealth.appointment AS a
		WHERE a.clinic_id = drop_series.clinic_id AND a.series_id = drop_series.series_id
			AND a.starts_at > drop_series.now AND a.status IN ('PENDING', 'SCHEDULED', 'CONFIRMED')), true);
END
$$;

/*
 * For the dispatcher, which waits for nobody: a row or a place that somebody
 * holds is a problem of that series alone, as is any other. Having met some of
 * these, it leaves the rest for later: each costs a moment.
 */
CREATE FUNCTION telehealth_private.extend_series(clinic_ids bigint[], series_ids bigint[], now timestamptz)
	RETURNS TABLE (place bigint, due_at timestamptz, problem text)
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '20ms'
AS $$
DECLARE
	v_locked integer := 0;
BEGIN
	FOR v_place IN 1 .. cardinality(clinic_ids) LOOP
		place := v_place;
		due_at := NULL;
		problem := CASE WHEN v_locked >= 5 THEN 'locked' END;
		IF problem IS NOT NULL THEN
			RETURN NEXT;
			CONTINUE;
		END IF;
		BEGIN
			due_at := telehealth_private.expand_series(clinic_ids[v_place], series_ids[v_place], extend_series.now, false);
		EXCEPTION
			WHEN lock_not_available OR deadlock_detected THEN
				problem := 'locked';
				v_locked := v_locked + 1;
			WHEN OTHERS THEN
				problem := 'the series cannot be continued: SQLSTATE ' || SQLSTATE;
		END;
		RETURN NEXT;
	END LOOP;
END
$$;

/*
 * What a user deletes is not made again. Days that are past everywhere are
 * forgotten, since none is made there: what remains fits for long.
 */
CREATE FUNCTION telehealth_private.appointment_except() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_series record;
	v_days date[];
	v_oldest CONSTANT date := (now() AT TIME ZONE 'UTC')::date - 1;
BEGIN
	IF COALESCE(current_setting('telehealth.restoring', true), 'off')::boolean THEN
		RETURN NULL;
	END IF;
	FOR v_series IN
		SELECT o.clinic_id, o.series_id, array_agg(o.occurrence) AS days
		FROM old_rows AS o
		WHERE o.series_id IS NOT NULL AND o.occurrence IS NOT NULL AND o.starts_at > now()
		GROUP BY o.clinic_id, o.series_id
		ORDER BY o.clinic_id, o.series_id
	LOOP
		SELECT ARRAY (
			SELECT DISTINCT d.day FROM unnest(s.exceptions || v_series.days) AS d (day) WHERE d.day >= v_oldest ORDER BY d.day)
		INTO v_days
		FROM telehealth.appointment_series AS s
		WHERE s.clinic_id = v_series.clinic_id AND s.id = v_series.series_id
		FOR NO KEY UPDATE;
		IF cardinality(v_days) > 1000 THEN
			RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded',
				MESSAGE = format('series %s would have more than 1000 days to come without a visit', v_series.series_id),
				HINT = 'Change the rule of the series, or end it with UNTIL.';
		END IF;
		UPDATE telehealth.appointment_series AS s SET exceptions = v_days
		WHERE s.clinic_id = v_series.clinic_id AND s.id = v_series.series_id;
	END LOOP;
	RETURN NULL;
END
$$;

/*
 * A visit that a user changes no longer follows its series: one that the
 * series itself changes has a new series_revision. The time on the wall
 * follows the instant, unless it is set with it.
 */
CREATE FUNCTION telehealth_private.appointment_detach() RETURNS trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'th_sql_appointment_detach';

/* Raises the revision, which makes the visits to come follow. */
CREATE FUNCTION telehealth_private.appointment_series_stamp() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT COALESCE(current_setting('telehealth.restoring', true), 'off')::boolean THEN
		NEW.revision := GREATEST(NEW.revision, OLD.revision + 1);
		NEW.updated_at := now();
	END IF;
	RETURN NEW;
END
$$;

CREATE FUNCTION telehealth_private.appointment_series_follow() RETURNS trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'th_sql_series_follow';

/* ---- what an application may call ---- */

CREATE FUNCTION telehealth.refresh_series(series_id bigint) RETURNS integer
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.refresh_series(series_id bigint) RETURNS integer
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	UPDATE telehealth.appointment_series AS s SET revision = s.revision + 1
	WHERE s.clinic_id = v_clinic AND s.id = refresh_series.series_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = format('series %s does not exist', series_id);
	END IF;
	RETURN (
		SELECT cardinality(s.conflicts) FROM telehealth.appointment_series AS s
		WHERE s.clinic_id = v_clinic AND s.id = refresh_series.series_id);
END
$$;

/* A rule that ends before a day, and one that goes on from there. */
CREATE FUNCTION telehealth_private.rule_part(rule text, part text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN regexp_replace(regexp_replace(rule, '(^|;)(UNTIL|COUNT)=[^;]*', '', 'g'), '^;', '') || part;

CREATE FUNCTION telehealth.split_series(series_id bigint, from_date date, changes jsonb DEFAULT '{}') RETURNS bigint
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

CREATE FUNCTION telehealth_private.split_series(series_id bigint, from_date date, changes jsonb) RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
	v_old telehealth.appointment_series;
	v_new telehealth.appointment_series;
	v_first date;
	v_before integer;
	v_count integer;
	v_key text;
BEGIN
	PERFORM telehealth_private.require_kind('app', v_clinic);
	SELECT s.* INTO v_old FROM telehealth.appointment_series AS s
	WHERE s.clinic_id = v_clinic AND s.id = split_series.series_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = format('series %s does not exist', series_id);
	END IF;
	IF jsonb_typeof(changes) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'changes must be a JSON object';
	END IF;
	SELECT k.name INTO v_key FROM jsonb_object_keys(changes) AS k (name)
	WHERE k.name NOT IN ('patient_id', 'provider_id', 'type', 'rule', 'first_date', 'start_time', 'timezone', 'duration',
		'horizon_days', 'title', 'reason', 'location', 'platform', 'external_id')
	ORDER BY k.name LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('a series cannot be split with a new "%s"', v_key);
	END IF;
	SELECT d.occurrence INTO v_first
	FROM telehealth_private.series_days(v_old.rule, v_old.first_date, v_old.start_time, v_old.timezone,
		from_date, LEAST(GREATEST(from_date, v_old.first_date), '9999-12-31') + 3660, 1) AS d;
	IF v_first IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('series %s has no visit on or after %s', series_id, from_date);
	END IF;
	v_before := (
		SELECT count(*) FROM telehealth_private.series_days(v_old.rule, v_old.first_date, v_old.start_time, v_old.timezone,
			v_old.first_date, v_first - 1, 100000));
	IF v_before = 0 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('series %s has no visit before %s', series_id, from_date),
			HINT = 'UPDATE the series instead: all of it is to change.';
	END IF;
	v_count := substring(v_old.rule FROM '(?:^|;)COUNT=([0-9]+)')::integer;

	v_new := v_old;
	v_new.external_id := NULL;
	v_new.first_date := CASE WHEN changes ->> 'rule' ~ 'BY(DAY|MONTHDAY|YEARDAY)=' THEN from_date ELSE v_first END;
	IF v_count IS NOT NULL THEN
		v_new.rule := telehealth_private.rule_part(v_old.rule, ';COUNT=' || v_count - v_before);
	END IF;
	v_new := jsonb_populate_record(v_new, changes);
	/* as the owner, core would tell the log the whole row */
	BEGIN
		INSERT INTO telehealth.appointment_series (clinic_id, external_id, patient_id, provider_id, type, rule, first_date, start_time,
			timezone, duration, exceptions, horizon_days, title, reason, location, platform, expanded_until)
		VALUES (v_clinic, v_new.external_id, v_new.patient_id, v_new.provider_id, v_new.type, v_new.rule, v_new.first_date,
			v_new.start_time, v_new.timezone, v_new.duration,
			ARRAY (SELECT d.day FROM unnest(v_old.exceptions) AS d (day) WHERE d.day >= from_date ORDER BY d.day),
			v_new.horizon_days, v_new.title, v_new.reason, v_new.location, v_new.platform, COALESCE(v_old.expanded_until, v_first - 1))
		RETURNING id INTO v_new.id;
	EXCEPTION WHEN integrity_constraint_violation THEN
		GET STACKED DIAGNOSTICS v_key = CONSTRAINT_NAME;
		RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, CONSTRAINT = v_key;
	END;
	/* visits keep their numbers, and so their meetings, where the new rule has their day */
	UPDATE telehealth.appointment AS a SET series_id = v_new.id, series_revision = 0
	WHERE a.clinic_id = v_clinic AND a.series_id = v_old.id AND a.occurrence >= from_date;
	UPDATE telehealth.appointment_series AS s
	SET rule = telehealth_private.rule_part(v_old.rule, ';UNTIL=' || to_char(v_first - 1, 'YYYYMMDD')),
		exceptions = ARRAY (SELECT d.day FROM unnest(v_old.exceptions) AS d (day) WHERE d.day < from_date ORDER BY d.day)
	WHERE s.clinic_id = v_clinic AND s.id = v_old.id;
	UPDATE telehealth.appointment_series AS s SET revision = s.revision + 1
	WHERE s.clinic_id = v_clinic AND s.id = v_new.id;
	RETURN v_new.id;
END
$$;
