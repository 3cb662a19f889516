/*
 * calendar_sync.c
 *	  Asking for a pull of a provider's calendars, and what came of it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "store/calendar_sync.h"
#include "store/job.h"
#include "store/plans.h"

#define PULLED                                                                 \
	" FROM telehealth.calendar_connection AS x"                                \
	" WHERE x.clinic_id = $1 AND x.provider_id = $2 AND x.sync_enabled"        \
	" AND (x.sync_direction <> 'push' OR x.suspicious_at IS NOT NULL)"         \
	" AND x.status <> 'DISCONNECTED'"

static ThPlan find = { .text = "SELECT x.id" PULLED " ORDER BY x.id",
					   .n_args = 2,
					   .types = { INT8OID, INT8OID } };

#define CONFIRM(lock)                                                          \
	"UPDATE telehealth.calendar_connection AS c"                               \
	" SET deletions_confirmed_at = $3 FROM (SELECT x.id" PULLED                \
	" AND x.suspicious_at IS NOT NULL FOR NO KEY UPDATE" lock ") AS s"         \
	" WHERE c.clinic_id = $1 AND c.id = s.id"

static ThPlan confirm_waiting = { .text = CONFIRM(""),
								  .n_args = 3,
								  .types = { INT8OID, INT8OID,
											 TIMESTAMPTZOID } };

static ThPlan confirm_free = { .text = CONFIRM(" SKIP LOCKED"),
							   .n_args = 3,
							   .types = { INT8OID, INT8OID, TIMESTAMPTZOID } };

static ThPlan read_states = {
	.text =
		"SELECT x.id, x.status = 'CONNECTED', x.last_sync_at,"
		" COALESCE(s.created, 0), COALESCE(s.updated, 0),"
		" COALESCE(s.deleted, 0), COALESCE(s.errors, 0),"
		" COALESCE(s.pull_errors, 0) FROM (SELECT x.*" PULLED ") AS x"
		" LEFT JOIN LATERAL (SELECT sum(c.created)::bigint AS created,"
		" sum(c.updated)::bigint AS updated, sum(c.deleted)::bigint AS deleted,"
		" sum(c.errors)::bigint AS errors, (sum(c.errors)"
		" FILTER (WHERE c.direction = 'pull'))::bigint AS pull_errors"
		" FROM telehealth_private.sync_count AS c"
		" WHERE c.clinic_id = x.clinic_id AND c.connection_id = x.id) AS s"
		" ON true ORDER BY x.id",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

int
th_sync_mark(int64 clinic_id, int64 provider_id, bool confirms, bool waits,
			 TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[3] = { Int64GetDatum(clinic_id), Int64GetDatum(provider_id),
						TimestampTzGetDatum(now) };
	ThMark *marks;
	int n;

	th_store_connect();
	th_plan_run(&find, values, NULL, false);
	n = (int) SPI_processed;
	marks = MemoryContextAllocZero(context, sizeof(ThMark) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		marks[i].kind = TH_JOB_PULL;
		marks[i].priority = TH_PRIORITY_CREATE;
		marks[i].clinic_id = clinic_id;
		marks[i].subject_id = th_row_int64(i, 1);
		marks[i].due_at = now;
	}
	if (confirms)
		th_plan_run(waits ? &confirm_waiting : &confirm_free, values, NULL,
					false);
	th_store_finish();
	if (waits)
		th_job_mark(marks, n, false);
	else
		(void) th_job_mark_free(marks, n);
	return n;
}

int
th_sync_read(int64 clinic_id, int64 provider_id, ThSyncState **states)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(provider_id) };
	int n;

	th_store_connect();
	th_plan_run(&read_states, values, NULL, false);
	n = (int) SPI_processed;
	*states = MemoryContextAllocZero(context, sizeof(ThSyncState) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		ThSyncState *state = &(*states)[i];

		state->connection_id = th_row_int64(i, 1);
		state->is_connected = th_row_bool(i, 2);
		state->last_sync_at = th_row_timestamptz(i, 3);
		state->created = th_row_int64(i, 4);
		state->updated = th_row_int64(i, 5);
		state->deleted = th_row_int64(i, 6);
		state->errors = th_row_int64(i, 7);
		state->pull_errors = th_row_int64(i, 8);
	}
	th_store_finish();
	return n;
}
