/*
 * series.c
 *	  Recurring visits: from a series to rows of appointments.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "store/owner.h"
#include "store/plans.h"
#include "store/series.h"

static ThPlan expand_one = {
	.text = "SELECT telehealth_private.expand_series($1, $2, $3, true)",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

static ThPlan drop_one = {
	.text = "SELECT telehealth_private.drop_series($1, $2, $3)",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

static ThPlan extend_many = {
	.text = "SELECT e.place, e.due_at, e.problem"
			" FROM telehealth_private.extend_series($1, $2, $3) AS e",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID }
};

/* Returns the instant that the plan's one row says, or 0. */
static TimestampTz
run_as_owner(ThPlan *plan, int64 clinic_id, int64 series_id, TimestampTz now)
{
	ThOwnerScope scope;
	Datum values[3];
	TimestampTz result = 0;

	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(series_id);
	values[2] = TimestampTzGetDatum(now);
	th_owner_enter(&scope);
	th_store_connect();
	th_plan_run(plan, values, NULL, false);
	if (plan == &expand_one)
		result = th_row_timestamptz(0, 1);
	th_store_finish();
	th_owner_leave(&scope);
	return result;
}

TimestampTz
th_series_expand(int64 clinic_id, int64 series_id, TimestampTz now)
{
	return run_as_owner(&expand_one, clinic_id, series_id, now);
}

void
th_series_drop(int64 clinic_id, int64 series_id, TimestampTz now)
{
	(void) run_as_owner(&drop_one, clinic_id, series_id, now);
}

void
th_series_extend(ThSeriesLook *looks, int n, TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	int64 *clinics;
	int64 *ids;
	Datum values[3];

	if (n == 0)
		return;
	th_store_connect();
	clinics = palloc_array(int64, n);
	ids = palloc_array(int64, n);
	for (int i = 0; i < n; i++)
	{
		clinics[i] = looks[i].clinic_id;
		ids[i] = looks[i].series_id;
	}
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = TimestampTzGetDatum(now);
	th_plan_run(&extend_many, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThSeriesLook *look = &looks[th_row_int64(row, 1) - 1];

		look->due_at = th_row_timestamptz(row, 2);
		look->problem = th_row_text(row, 3, context);
	}
	th_store_finish();
}
