/*
 * gateway.c
 *	  What the gateway tells of the tables: numbers alone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "store/gateway.h"
#include "store/plans.h"

static ThPlan gauges_plan = {
	.text =
		"SELECT 0, k.state, '', count(q.state)"
		" FROM (VALUES ('queued'), ('waiting'), ('running'), ('dead'))"
		"  AS k (state)"
		" LEFT JOIN (SELECT CASE WHEN j.dead_at IS NOT NULL THEN 'dead'"
		"  WHEN j.attempts > 0 THEN 'running'"
		"  WHEN j.waiting_for IS NOT NULL OR j.failures > 0 THEN 'waiting'"
		"  ELSE 'queued' END AS state"
		"  FROM telehealth_private.job AS j LIMIT 100000) AS q"
		" ON q.state = k.state"
		" GROUP BY k.state"
		" UNION ALL"
		" SELECT 1, '', '', COALESCE(pg_catalog.date_part('epoch',"
		"  pg_catalog.clock_timestamp() - min(d.due_at)), 0)"
		" FROM pg_catalog.generate_series(0, 3) AS p"
		" CROSS JOIN LATERAL (SELECT j.due_at FROM telehealth_private.job AS j"
		"  WHERE j.priority = p AND j.due_at <= pg_catalog.clock_timestamp()"
		"  ORDER BY j.due_at LIMIT 1) AS d"
		" UNION ALL"
		" SELECT 2, x.platform, x.status, count(*) FROM telehealth.account AS x"
		" GROUP BY x.platform, x.status"
		" UNION ALL"
		" SELECT 3, k.status::text, '', count(q.status)"
		" FROM pg_catalog.unnest(pg_catalog.enum_range("
		"  NULL::telehealth.session_status)) AS k (status)"
		" LEFT JOIN (SELECT s.status FROM telehealth.session AS s"
		"  WHERE s.retired_at IS NULL"
		"  AND s.scheduled_at BETWEEN pg_catalog.now() - interval '1 day'"
		"  AND pg_catalog.now() + interval '1 day' LIMIT 100000) AS q"
		" ON q.status = k.status"
		" GROUP BY k.status",
};

static ThPlan probe_plan = {
	.text = "SELECT EXISTS (SELECT FROM telehealth_private.account_secret)",
};

static ThPlan day_plan = {
	.text =
		"SELECT 4, k.status::text, '', count(q.status)::float8"
		" FROM pg_catalog.unnest(pg_catalog.enum_range("
		"  NULL::telehealth.session_status)) AS k (status)"
		" LEFT JOIN (SELECT s.status FROM telehealth.session AS s"
		"  LEFT JOIN telehealth.clinic AS c ON c.id = s.clinic_id"
		"  CROSS JOIN LATERAL (SELECT COALESCE(c.timezone,"
		"   pg_catalog.current_setting('TimeZone')) AS name) AS z"
		"  WHERE s.retired_at IS NULL"
		"  AND s.scheduled_at BETWEEN pg_catalog.now() - interval '26 hours'"
		"  AND pg_catalog.now() + interval '26 hours'"
		"  AND (s.scheduled_at AT TIME ZONE z.name)::date"
		"  = (pg_catalog.now() AT TIME ZONE z.name)::date LIMIT 100000) AS q"
		" ON q.status = k.status"
		" GROUP BY k.status"
		" UNION ALL"
		" SELECT 5, q.source, q.outcome, count(*)::float8 FROM ("
		"  SELECT e.source, COALESCE(e.outcome, 'waiting') AS outcome"
		"  FROM telehealth.webhook_event AS e"
		"  WHERE e.received_at > pg_catalog.now() - interval '24 hours'"
		"  LIMIT 100000) AS q"
		" GROUP BY q.source, q.outcome",
};

static ThPlan health_plan = {
	.text = "SELECT h.check_name, h.status, h.detail, h.hint"
			" FROM telehealth.health AS h",
};

static ThPlan token_plan = {
	.text = "SELECT d.token_hash = $1"
			" FROM telehealth_private.dashboard_token AS d",
	.n_args = 1,
	.types = { BYTEAOID },
};

static ThGauge *
read_gauges(ThPlan *plan, int *n)
{
	MemoryContext caller = CurrentMemoryContext;
	ThGauge *found;

	th_store_connect();
	th_plan_run(plan, NULL, NULL, true);
	*n = (int) SPI_processed;
	found = MemoryContextAllocZero(caller, sizeof(ThGauge) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		bool is_null;

		found[i].kind = (ThGaugeKind) th_row_int32(i, 1);
		found[i].label = th_row_text(i, 2, caller);
		found[i].other_label = th_row_text(i, 3, caller);
		found[i].value = DatumGetFloat8(th_row_datum(i, 4, &is_null));
	}
	th_store_finish();
	return found;
}

ThGauge *
th_gateway_read_gauges(int *n)
{
	return read_gauges(&gauges_plan, n);
}

ThGauge *
th_gateway_read_day(int *n)
{
	return read_gauges(&day_plan, n);
}

ThHealthRow *
th_gateway_read_health(int *n)
{
	MemoryContext caller = CurrentMemoryContext;
	ThHealthRow *rows;

	th_store_connect();
	th_plan_run(&health_plan, NULL, NULL, true);
	*n = (int) SPI_processed;
	rows = MemoryContextAllocZero(caller, sizeof(ThHealthRow) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		rows[i].name = th_row_text(i, 1, caller);
		rows[i].status = th_row_text(i, 2, caller);
		rows[i].detail = th_row_text(i, 3, caller);
		rows[i].hint = th_row_text(i, 4, caller);
	}
	th_store_finish();
	return rows;
}

ThTokenVerdict
th_gateway_judge_token(const unsigned char *hash, size_t length)
{
	ThTokenVerdict verdict = TH_TOKEN_NONE;
	bytea *value = palloc(VARHDRSZ + length);
	Datum values[1];

	SET_VARSIZE(value, VARHDRSZ + length);
	memcpy(VARDATA(value), hash, length);
	values[0] = PointerGetDatum(value);
	th_store_connect();
	th_plan_run(&token_plan, values, NULL, true);
	if (SPI_processed > 0)
		verdict = th_row_bool(0, 1) ? TH_TOKEN_RIGHT : TH_TOKEN_WRONG;
	th_store_finish();
	return verdict;
}

bool
th_gateway_probe(void)
{
	bool has_secrets;

	th_store_connect();
	th_plan_run(&probe_plan, NULL, NULL, true);
	has_secrets = th_row_bool(0, 1);
	th_store_finish();
	return has_secrets;
}
