/*
 * calendar_double.c
 *	  Events of ours in a calendar that nobody here knows by that name.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/calendar_double.h"
#include "store/job.h"
#include "store/plans.h"

#define FOUND                                                                  \
	" (SELECT f.* FROM unnest($3::bigint[], $4::text[], $5::text[],"           \
	" $8::integer[], $9::timestamptz[], $10::timestamptz[])"                   \
	" AS f (appointment_id, external_id, uid, is_copy, starts_at, ends_at)"    \
	" WHERE NOT EXISTS (SELECT FROM telehealth.calendar_event AS r"            \
	" WHERE r.clinic_id = $1 AND r.connection_id = $2"                         \
	" AND r.external_id = f.external_id)) AS u"

#define FOUND_TYPES                                                            \
	{                                                                          \
		INT8OID, INT8OID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,            \
			TIMESTAMPTZOID, TIMESTAMPTZOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, \
			TIMESTAMPTZARRAYOID                                                \
	}

/* What somebody did to the one that is known is dealt with first. */
static ThPlan note_doubled = {
	.text = "UPDATE telehealth.calendar_event AS e"
			" SET remote_state = 'doubled', remote_changed_at = $7 FROM" FOUND
			" WHERE e.clinic_id = $1 AND e.connection_id = $2"
			" AND e.appointment_id = u.appointment_id"
			" AND e.retired_at IS NULL AND e.intent IS NULL"
			" AND e.external_id IS NOT NULL AND e.pushed_at < $6"
			" AND e.remote_state IN ('unchanged', 'doubled')"
			" AND (u.is_copy = 0 OR EXISTS"
			" (SELECT FROM telehealth.appointment AS a WHERE a.clinic_id = $1"
			" AND a.id = u.appointment_id"
			" AND date_trunc('second', a.starts_at) = u.starts_at"
			" AND date_trunc('second', a.ends_at) = u.ends_at))"
			" RETURNING e.id",
	.n_args = 10,
	.types = FOUND_TYPES
};

/* Of a visit that is gone, or another's, it is a tombstone at once. */
static ThPlan take_up = {
	.text =
		"INSERT INTO telehealth.calendar_event (clinic_id, appointment_id,"
		" connection_id, external_id, uid, retired_at)"
		" SELECT x.clinic_id, u.appointment_id, x.id, u.external_id, u.uid,"
		" CASE WHEN a.provider_id IS DISTINCT FROM x.provider_id THEN $7 END"
		" FROM" FOUND " JOIN telehealth.calendar_connection AS x"
		" ON x.clinic_id = $1 AND x.id = $2"
		" LEFT JOIN telehealth.appointment AS a"
		" ON a.clinic_id = $1 AND a.id = u.appointment_id"
		" WHERE x.created_at < $6 AND x.sync_direction <> 'pull'"
		" AND u.is_copy = 0"
		" AND x.sync_enabled AND x.purge_requested_at IS NULL"
		" AND NOT EXISTS (SELECT"
		" FROM telehealth.calendar_event AS e WHERE e.clinic_id = $1"
		" AND e.connection_id = $2 AND e.appointment_id = u.appointment_id)"
		" ON CONFLICT DO NOTHING RETURNING id",
	.n_args = 10,
	.types = FOUND_TYPES
};

static void
mark_returned(int64 clinic_id, TimestampTz now)
{
	int n = (int) SPI_processed;
	ThMark *marks = palloc_array(ThMark, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		marks[i].kind = TH_JOB_EVENT;
		marks[i].priority = TH_PRIORITY_CHANGE;
		marks[i].clinic_id = clinic_id;
		marks[i].subject_id = th_row_int64(i, 1);
		marks[i].due_at = now;
	}
	/* what somebody holds is found again by the next full pass */
	(void) th_job_mark_free(marks, n);
}

void
th_calendar_event_found(int64 clinic_id, int64 connection_id,
						TimestampTz began_at, const ThEventFound *found, int n,
						TimestampTz now)
{
	int64 *appointments;
	const char **texts;
	int32 *flags;
	TimestampTz *times;
	Datum values[10];

	if (n == 0)
		return;
	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(connection_id);
	TH_COLLECT(appointments, int64, found[i].appointment_id);
	values[2] = th_array_int64(appointments, n);
	TH_COLLECT(texts, const char *, found[i].external_id);
	values[3] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, found[i].uid);
	values[4] = th_array_text(texts, n);
	values[5] = TimestampTzGetDatum(began_at);
	values[6] = TimestampTzGetDatum(now);
	TH_COLLECT(flags, int32, found[i].is_copy);
	values[7] = th_array_int32(flags, n);
	TH_COLLECT(times, TimestampTz, found[i].starts_at);
	values[8] = th_array_timestamptz(times, n);
	TH_COLLECT(times, TimestampTz, found[i].ends_at);
	values[9] = th_array_timestamptz(times, n);
	th_plan_run(&note_doubled, values, NULL, false);
	mark_returned(clinic_id, now);
	th_plan_run(&take_up, values, NULL, false);
	mark_returned(clinic_id, now);
	th_store_finish();
}
