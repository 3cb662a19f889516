/*
 * sync_count.c
 *	  Rows of sync_count.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "store/plans.h"
#include "store/sync_count.h"

static ThPlan count = {
	.text =
		"INSERT INTO telehealth_private.sync_count AS c (clinic_id,"
		" connection_id, day, direction, created, updated, deleted, errors, runs)"
		" SELECT u.clinic_id, u.connection_id,"
		" ($9::timestamptz AT TIME ZONE 'UTC')::date, u.direction,"
		" sum(u.created), sum(u.updated), sum(u.deleted), sum(u.errors), sum(u.runs)"
		" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS u (clinic_id,"
		" connection_id, direction, created, updated, deleted, errors, runs)"
		" GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4"
		" ON CONFLICT ON CONSTRAINT sync_count_pkey DO UPDATE SET"
		" created = c.created + EXCLUDED.created,"
		" updated = c.updated + EXCLUDED.updated,"
		" deleted = c.deleted + EXCLUDED.deleted,"
		" errors = c.errors + EXCLUDED.errors, runs = c.runs + EXCLUDED.runs",
	.n_args = 9,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID,
			   INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TIMESTAMPTZOID }
};

void
th_sync_count(const ThSyncCount *counts, int n, TimestampTz now)
{
	Datum values[9];
	int64 *numbers[7];
	const char **directions;

	if (n == 0)
		return;
	th_store_connect();
	for (int k = 0; k < 7; k++)
		numbers[k] = palloc_array(int64, n);
	directions = palloc_array(const char *, n);
	for (int i = 0; i < n; i++)
	{
		numbers[0][i] = counts[i].clinic_id;
		numbers[1][i] = counts[i].connection_id;
		directions[i] = counts[i].direction;
		numbers[2][i] = counts[i].created;
		numbers[3][i] = counts[i].updated;
		numbers[4][i] = counts[i].deleted;
		numbers[5][i] = counts[i].errors;
		numbers[6][i] = counts[i].runs;
	}
	values[0] = th_array_int64(numbers[0], n);
	values[1] = th_array_int64(numbers[1], n);
	values[2] = th_array_text(directions, n);
	for (int k = 2; k < 7; k++)
		values[k + 1] = th_array_int64(numbers[k], n);
	values[8] = TimestampTzGetDatum(now);
	th_plan_run(&count, values, NULL, false);
	th_store_finish();
}
