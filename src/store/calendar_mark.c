/*
 * calendar_mark.c
 *	  From visits to their events in calendars, and from a calendar to the
 *	  visits that it should show.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "store/calendar_mark.h"
#include "store/plans.h"

#define VISITS " FROM unnest($1::bigint[], $2::bigint[]) AS u (clinic_id, id)"

/* Visits that are over, and calendars that take nothing, get no rows. */
static ThPlan find_missing = {
	.text = "SELECT a.clinic_id, a.id, x.id" VISITS
			" JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id"
			" JOIN telehealth.calendar_connection AS x"
			" ON x.clinic_id = a.clinic_id AND x.provider_id = a.provider_id"
			" WHERE a.status IN ('SCHEDULED', 'CONFIRMED', 'CHECKED_IN',"
			" 'IN_PROGRESS') AND a.ends_at > $3"
			" AND x.status IN ('CONNECTED', 'REAUTH_REQUIRED', 'ERROR')"
			" AND x.sync_enabled AND x.sync_direction IN ('both', 'push')"
			" AND NOT EXISTS (SELECT FROM telehealth.calendar_event AS e"
			" WHERE e.clinic_id = a.clinic_id AND e.appointment_id = a.id"
			" AND e.connection_id = x.id AND e.retired_at IS NULL)"
			" ORDER BY a.clinic_id, a.id, x.id",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID }
};

/* One that is still to be removed keeps its name: the new one has another. */
static ThPlan insert_events = {
	.text = "INSERT INTO telehealth.calendar_event"
			" (clinic_id, appointment_id, connection_id, uid, generation)"
			" SELECT u.*, COALESCE((SELECT max(e.generation) + 1"
			" FROM telehealth.calendar_event AS e"
			" WHERE e.clinic_id = u.clinic_id"
			" AND e.appointment_id = u.appointment_id"
			" AND e.connection_id = u.connection_id), 0)"
			" FROM unnest($1::bigint[], $2::bigint[],"
			" $3::bigint[], $4::text[])"
			" AS u (clinic_id, appointment_id, connection_id, uid)"
			" ON CONFLICT DO NOTHING",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID }
};

/* The visit is gone, or another provider's. */
static ThPlan retire = {
	.text = "UPDATE telehealth.calendar_event AS e SET retired_at = $3" VISITS
			" LEFT JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id"
			" WHERE e.clinic_id = u.clinic_id AND e.appointment_id = u.id"
			" AND e.retired_at IS NULL AND (a.id IS NULL OR NOT EXISTS"
			" (SELECT FROM telehealth.calendar_connection AS x"
			" WHERE x.clinic_id = e.clinic_id AND x.id = e.connection_id"
			" AND x.provider_id = a.provider_id))",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID }
};

static ThPlan list_events = {
	.text = "SELECT e.clinic_id, e.id, COALESCE(a.starts_at, $3), u.priority"
			" FROM unnest($1::bigint[], $2::bigint[], $4::integer[])"
			" AS u (clinic_id, id, priority)"
			" JOIN telehealth.calendar_event AS e"
			" ON e.clinic_id = u.clinic_id AND e.appointment_id = u.id"
			" LEFT JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, INT4ARRAYOID }
};

/* What lies behind a visit in its provider's days; see th_expand_clinic(). */
static ThPlan list_visits = {
	.text = "SELECT a.clinic_id, a.id, a.starts_at, 3"
			" FROM telehealth.calendar_connection AS x"
			" JOIN telehealth.appointment AS a"
			" ON a.clinic_id = x.clinic_id AND a.provider_id = x.provider_id"
			" WHERE x.clinic_id = $1 AND x.id = $2"
			" AND a.starts_at >= $3 AND (a.starts_at, a.id) > ($3, $4)"
			" ORDER BY a.starts_at, a.id LIMIT $5",
	.n_args = 5,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID }
};

/* Removals that waited, as those of a calendar that was disconnected. */
static ThPlan list_leftovers = {
	.text = "SELECT e.clinic_id, e.id, $3, 3"
			" FROM telehealth.calendar_event AS e"
			" LEFT JOIN telehealth.appointment AS a"
			" ON a.clinic_id = e.clinic_id AND a.id = e.appointment_id"
			" WHERE e.clinic_id = $1 AND e.connection_id = $2"
			" AND (e.retired_at IS NOT NULL OR ((e.external_id IS NOT NULL"
			" OR e.intent IS NOT NULL) AND (a.id IS NULL"
			" OR a.status IN ('PENDING', 'CANCELLED'))))",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

/* As find_missing, of one calendar. */
static ThPlan list_forgotten = {
	.text = "SELECT a.clinic_id, a.id, a.starts_at, 3"
			" FROM telehealth.calendar_connection AS x"
			" JOIN telehealth.appointment AS a"
			" ON a.clinic_id = x.clinic_id AND a.provider_id = x.provider_id"
			" WHERE x.clinic_id = $1 AND x.id = $2 AND x.status = 'CONNECTED'"
			" AND x.sync_enabled AND x.sync_direction IN ('both', 'push')"
			" AND a.starts_at > $3 AND a.status IN ('SCHEDULED', 'CONFIRMED')"
			" AND NOT EXISTS (SELECT FROM telehealth.calendar_event AS e"
			" WHERE e.clinic_id = a.clinic_id AND e.appointment_id = a.id"
			" AND e.connection_id = x.id AND e.retired_at IS NULL)"
			" ORDER BY a.starts_at LIMIT 1000",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

/* Marks what a plan has found: keys, the start of the visit, a priority. */
static int
mark_found(ThJobKind kind, TimestampTz now, ThBackfillPoint *last, int *held)
{
	int n = (int) SPI_processed;
	ThMark *marks = palloc_array(ThMark, Max(n, 1));
	TimestampTz near = now + TH_NEAR_MINUTES * USECS_PER_MINUTE;

	for (int i = 0; i < n; i++)
	{
		TimestampTz starts_at = th_row_timestamptz(i, 3);
		bool is_near = starts_at > now && starts_at < near;

		marks[i].kind = kind;
		marks[i].clinic_id = th_row_int64(i, 1);
		marks[i].subject_id = th_row_int64(i, 2);
		marks[i].priority = is_near ? TH_PRIORITY_NEAR
									: (ThPriority) th_row_int32(i, 4);
		marks[i].due_at = now;
		if (last != NULL)
		{
			last->starts_at = starts_at;
			last->id = marks[i].subject_id;
		}
	}
	*held += th_job_mark_free(marks, n);
	return n;
}

/* The visits of jobs as parameters 1 and 2. */
static void
bind_visits(Datum *values, const ThJob *jobs, int n)
{
	int64 *clinics;
	int64 *ids;

	TH_COLLECT(clinics, int64, jobs[i].clinic_id);
	TH_COLLECT(ids, int64, jobs[i].subject_id);
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
}

int
th_calendar_event_sort(const ThJob *jobs, int n, TimestampTz now,
					   ThEventKey **missing)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[3];
	int n_missing;

	th_store_connect();
	bind_visits(values, jobs, n);
	values[2] = TimestampTzGetDatum(now);
	th_plan_run(&retire, values, NULL, false);
	th_plan_run(&find_missing, values, NULL, false);
	n_missing = (int) SPI_processed;
	*missing = MemoryContextAllocZero(context,
									  sizeof(ThEventKey) * Max(n_missing, 1));
	for (int i = 0; i < n_missing; i++)
	{
		(*missing)[i].clinic_id = th_row_int64(i, 1);
		(*missing)[i].appointment_id = th_row_int64(i, 2);
		(*missing)[i].connection_id = th_row_int64(i, 3);
	}
	th_store_finish();
	return n_missing;
}

void
th_calendar_event_insert(const ThEventKey *keys, int n)
{
	int64 *clinics;
	int64 *appointments;
	int64 *connections;
	const char **uids;
	Datum values[4];

	if (n == 0)
		return;
	th_store_connect();
	TH_COLLECT(clinics, int64, keys[i].clinic_id);
	TH_COLLECT(appointments, int64, keys[i].appointment_id);
	TH_COLLECT(connections, int64, keys[i].connection_id);
	TH_COLLECT(uids, const char *, keys[i].uid);
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(appointments, n);
	values[2] = th_array_int64(connections, n);
	values[3] = th_array_text(uids, n);
	th_plan_run(&insert_events, values, NULL, false);
	th_store_finish();
}

int
th_calendar_event_mark(const ThJob *jobs, int n, TimestampTz now)
{
	int32 *priorities;
	Datum values[4];
	int held = 0;

	th_store_connect();
	bind_visits(values, jobs, n);
	values[2] = TimestampTzGetDatum(now);
	TH_COLLECT(priorities, int32, jobs[i].priority);
	values[3] = th_array_int32(priorities, n);
	th_plan_run(&list_events, values, NULL, false);
	mark_found(TH_JOB_EVENT, now, NULL, &held);
	th_store_finish();
	return held;
}

int
th_calendar_event_backfill(int64 clinic_id, int64 connection_id,
						   ThBackfillPoint *point, int limit, TimestampTz now,
						   int *held)
{
	Datum values[5];
	int n;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(connection_id);
	values[2] = TimestampTzGetDatum(now);
	if (point->starts_at == 0)
	{
		th_plan_run(&list_leftovers, values, NULL, false);
		mark_found(TH_JOB_EVENT, now, NULL, held);
		/* one that goes on is shown too: a visit lasts a day at most */
		point->starts_at = now - USECS_PER_DAY;
		point->id = PG_INT64_MIN;
	}
	values[2] = TimestampTzGetDatum(point->starts_at);
	values[3] = Int64GetDatum(point->id);
	values[4] = Int64GetDatum(limit);
	th_plan_run(&list_visits, values, NULL, false);
	n = mark_found(TH_JOB_CALENDARS, now, point, held);
	th_store_finish();
	return n;
}

bool
th_calendar_event_is_early(void)
{
	TransactionId own = GetCurrentTransactionId();

	return TransactionIdPrecedes(GetLatestSnapshot()->xmin, own);
}

void
th_calendar_event_sweep(int64 clinic_id, int64 connection_id, TimestampTz now)
{
	Datum values[3] = { Int64GetDatum(clinic_id), Int64GetDatum(connection_id),
						TimestampTzGetDatum(now) };
	int held = 0;

	th_store_connect();
	th_plan_run(&list_forgotten, values, NULL, false);
	mark_found(TH_JOB_CALENDARS, now, NULL, &held);
	th_store_finish();
}
