CREATE FUNCTION telehealth.retry_job(kind text, subject_id bigint) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

/* The appointment is locked before its job, as by want_meeting(). */
CREATE FUNCTION telehealth_private.retry_job(kind text, subject_id bigint) RETURNS boolean
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := telehealth.current_clinic();
	v_priority integer;
BEGIN
	PERFORM telehealth_private.require_kind('admin', v_clinic);
	PERFORM FROM telehealth.appointment AS a
	WHERE a.clinic_id = v_clinic AND a.id = retry_job.subject_id AND retry_job.kind IN ('meeting', 'hold')
	FOR NO KEY UPDATE;
	SELECT j.priority INTO v_priority FROM telehealth_private.job AS j
	WHERE j.kind = retry_job.kind AND j.clinic_id = v_clinic AND j.subject_id = retry_job.subject_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM telehealth_private.mark(kind, ARRAY[v_clinic], ARRAY[subject_id], v_priority);
	PERFORM telehealth_private.audit(v_clinic, 'retry_job',
		CASE WHEN kind IN ('meeting', 'hold') THEN 'appointment' ELSE kind END, subject_id, jsonb_build_object('kind', kind));
	RETURN true;
END
$$;

CREATE FUNCTION telehealth.retry_dead_jobs(clinic_id bigint DEFAULT NULL) RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_elevated';

/* As everywhere 0 means every clinic. */
CREATE FUNCTION telehealth_private.retry_dead_jobs(clinic_id bigint) RETURNS bigint
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_clinic bigint := COALESCE(clinic_id, telehealth.current_clinic());
	v_class record;
	v_marked bigint := 0;
BEGIN
	PERFORM telehealth_private.require_kind('admin', v_clinic);
	PERFORM FROM telehealth.appointment AS a
	WHERE (a.clinic_id, a.id) IN (
		SELECT j.clinic_id, j.subject_id FROM telehealth_private.job AS j
		WHERE (v_clinic = 0 OR j.clinic_id = v_clinic) AND j.dead_at IS NOT NULL AND j.kind IN ('meeting', 'hold'))
	ORDER BY a.clinic_id, a.id
	FOR NO KEY UPDATE;
	FOR v_class IN
		SELECT j.kind, j.priority, array_agg(j.clinic_id) AS clinics, array_agg(j.subject_id) AS ids
		FROM telehealth_private.job AS j
		WHERE (v_clinic = 0 OR j.clinic_id = v_clinic) AND j.dead_at IS NOT NULL
		GROUP BY j.kind, j.priority
	LOOP
		PERFORM telehealth_private.mark(v_class.kind, v_class.clinics, v_class.ids, v_class.priority);
		v_marked := v_marked + cardinality(v_class.ids);
	END LOOP;
	IF v_marked > 0 THEN
		PERFORM telehealth_private.audit(v_clinic, 'retry_dead_jobs', 'job', NULL, jsonb_build_object('jobs', v_marked));
	END IF;
	RETURN v_marked;
END
$$;

/* What the hash of an audit row covers, the same in every session. */
CREATE FUNCTION telehealth_private.audit_text(entry telehealth.audit_log) RETURNS text
	LANGUAGE sql IMMUTABLE
	SET search_path = pg_catalog, pg_temp
	RETURN jsonb_build_array((entry).clinic_id, (entry).id, (EXTRACT(epoch FROM (entry).at) * 1000000)::bigint, (entry).actor,
		(entry).action, (entry).object, (entry).object_id, (entry).detail)::text;

/*
 * Chains rows that are not yet: each clinic is a chain of its own, in the
 * order of ids. Only the dispatcher calls it, and there is one.
 */
CREATE FUNCTION telehealth_private.chain_audit("limit" integer) RETURNS integer
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_row telehealth.audit_log;
	v_clinic bigint;
	v_no bigint;
	v_hash bytea;
	v_chained integer := 0;
BEGIN
	FOR v_row IN
		SELECT l.* FROM telehealth.audit_log AS l
		WHERE l.chain_hash IS NULL
		ORDER BY l.clinic_id, l.id LIMIT "limit"
	LOOP
		IF v_clinic IS DISTINCT FROM v_row.clinic_id THEN
			v_clinic := v_row.clinic_id;
			SELECT l.chain_no, l.chain_hash INTO v_no, v_hash FROM telehealth.audit_log AS l
			WHERE l.clinic_id = v_clinic AND l.chain_no IS NOT NULL
			ORDER BY l.chain_no DESC LIMIT 1;
			v_no := COALESCE(v_no, 0);
			v_hash := COALESCE(v_hash, '');
		END IF;
		v_no := v_no + 1;
		v_hash := sha256(v_hash || convert_to(telehealth_private.audit_text(v_row), 'UTF8'));
		UPDATE telehealth.audit_log AS l SET chain_no = v_no, chain_hash = v_hash
		WHERE l.clinic_id = v_row.clinic_id AND l.id = v_row.id;
		v_chained := v_chained + 1;
	END LOOP;
	RETURN v_chained;
END
$$;

/*
 * Partitions belong to the extension like the table itself. That of the time
 * that runs is made only while nothing of it is in the default partition; the
 * next always can be. A reader in the way is not waited for: there is time.
 * Without a number of days nothing is dropped.
 */
CREATE FUNCTION telehealth_private.keep_partitions(parent text, prefix text, unit text, now timestamptz, days integer, "limit" integer)
	RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '100ms'
AS $$
DECLARE
	v_step CONSTANT interval := ('1 ' || unit)::interval;
	v_form CONSTANT text := CASE unit WHEN 'day' THEN 'YYYYMMDD' ELSE 'YYYYMM' END;
	v_default CONSTANT text := format('telehealth_private.%s_default', prefix);
	v_today CONSTANT timestamp := date_trunc('day', keep_partitions.now AT TIME ZONE 'UTC');
	v_from timestamp;
	v_name text;
	v_is_there boolean;
BEGIN
	FOR v_ahead IN 0 .. 1 LOOP
		v_from := date_trunc(unit, v_today) + v_ahead * v_step;
		v_name := format('telehealth_private.%s_%s', prefix, to_char(v_from, v_form));
		CONTINUE WHEN to_regclass(v_name) IS NOT NULL;
		EXECUTE format('SELECT EXISTS (SELECT FROM %s AS h WHERE h.at >= $1 AND h.at < $2)', v_default) INTO v_is_there
		USING v_from AT TIME ZONE 'UTC', (v_from + v_step) AT TIME ZONE 'UTC';
		CONTINUE WHEN v_is_there;
		EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
			v_name, parent, v_from AT TIME ZONE 'UTC', (v_from + v_step) AT TIME ZONE 'UTC');
		EXECUTE format('COMMENT ON TABLE %s IS %L', v_name, format('Of one %s, UTC.', unit));
		EXECUTE format('ALTER EXTENSION telehealth ADD TABLE %s', v_name);
	END LOOP;

	FOR v_name IN
		SELECT c.oid::regclass::text FROM pg_inherits AS i
		JOIN pg_class AS c ON c.oid = i.inhrelid
		WHERE i.inhparent = parent::regclass AND c.relname ~ ('^' || prefix || '_[0-9]+$')
			AND to_date(substring(c.relname, '[0-9]+$'), v_form) + v_step <= v_today - days * interval '1 day'
	LOOP
		EXECUTE format('ALTER EXTENSION telehealth DROP TABLE %s', v_name);
		EXECUTE format('DROP TABLE %s', v_name);
	END LOOP;

	EXECUTE format('DELETE FROM %1$s AS h WHERE h.ctid = ANY (ARRAY (SELECT o.ctid FROM %1$s AS o WHERE o.at < $1 LIMIT $2))', v_default)
	USING keep_partitions.now - days * interval '24 hours', "limit";
EXCEPTION
	WHEN lock_not_available OR deadlock_detected THEN
		NULL;
	WHEN OTHERS THEN
		RAISE WARNING USING ERRCODE = SQLSTATE, MESSAGE = format('could not keep the partitions of %s: %s', parent, SQLERRM),
			HINT = format('Attempts go to %s meanwhile.', v_default);
END
$$;

/* Nothing but an import asks for what is over, and that about its window alone. Of all clinics, waiting for nobody. */
CREATE FUNCTION telehealth_private.trim_busy_time(before timestamptz, "limit" integer) RETURNS void
	LANGUAGE sql
	SET search_path = pg_catalog, pg_temp
AS $$
	WITH over AS MATERIALIZED (
		SELECT b.clinic_id, b.provider_id, b.source, b.external_id, b.recurrence_id
		FROM telehealth.busy_time AS b
		WHERE upper(b.during) < before
		ORDER BY upper(b.during) LIMIT "limit"
		FOR UPDATE SKIP LOCKED
	)
	DELETE FROM telehealth.busy_time AS b USING over AS o
	WHERE b.clinic_id = o.clinic_id AND b.provider_id = o.provider_id AND b.source = o.source
		AND b.external_id = o.external_id AND b.recurrence_id = o.recurrence_id;
$$;

CREATE FUNCTION telehealth_private.keep_history(now timestamptz, days integer, failure_days integer, "limit" integer) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_is_held CONSTANT boolean := EXISTS (SELECT FROM telehealth_private.history_hold);
BEGIN
	PERFORM telehealth_private.keep_partitions('telehealth_private.job_history_done', 'job_history', 'day',
		now, CASE WHEN NOT v_is_held THEN days END, "limit");
	PERFORM telehealth_private.keep_partitions('telehealth_private.job_failure', 'job_failure', 'month',
		now, CASE WHEN NOT v_is_held THEN failure_days END, "limit");
	IF NOT v_is_held THEN
		PERFORM telehealth_private.trim_busy_time(keep_history.now - make_interval(days => days), "limit");
	END IF;
END
$$;
