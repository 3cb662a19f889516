/*
 * calendar_remote.c
 *	  What somebody did to events of ours in their calendars.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "store/calendar_remote.h"
#include "store/connection.h"
#include "store/job.h"
#include "store/meeting.h"
#include "store/plans.h"

static ThPlan note_state = {
	.text = "UPDATE telehealth.calendar_event AS e SET remote_state = u.state,"
			" etag = COALESCE(u.etag, e.etag),"
			" remote_changed_at = CASE WHEN u.state = 'unchanged'"
			" THEN e.remote_changed_at ELSE $5 END"
			" FROM unnest($1, $2, $3, $4) AS u (clinic_id, id, state, etag)"
			" WHERE e.clinic_id = u.clinic_id AND e.id = u.id",
	.n_args = 5,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			   TIMESTAMPTZOID }
};

static ThPlan note_change = {
	.text =
		"INSERT INTO telehealth.calendar_change (clinic_id, connection_id,"
		" calendar_event_id, appointment_id, change, action, ours, theirs,"
		" seen_at)"
		" SELECT u.clinic_id, u.connection_id, u.event_id, u.appointment_id,"
		" u.change, u.action,"
		" jsonb_build_object('starts_at', u.our_start, 'ends_at', u.our_end),"
		" jsonb_build_object('starts_at', u.their_start, 'ends_at',"
		" u.their_end), $11"
		" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
		" AS u (clinic_id, connection_id, event_id, appointment_id, change,"
		" action, our_start, our_end, their_start, their_end)"
		" WHERE u.change IS NOT NULL",
	.n_args = 11,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZOID }
};

static ThPlan cancel = {
	.text = "UPDATE telehealth.appointment AS a SET status = 'CANCELLED'"
			" FROM unnest($1, $2) AS u (clinic_id, id)"
			" WHERE a.clinic_id = u.clinic_id AND a.id = u.id"
			" AND a.status IN ('SCHEDULED', 'CONFIRMED') AND a.starts_at > $3",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID }
};

static bool
cancels(const ThRemoteChange *change)
{
	return change->change != NULL && strcmp(change->change, "deleted") == 0 &&
		   strcmp(change->action, "cancel") == 0;
}

/* Keys of the visits that are to be cancelled. */
static int
list_cancelled(const ThRemoteChange *changes, int n, int64 **clinics,
			   int64 **ids)
{
	int n_listed = 0;

	*clinics = palloc_array(int64, Max(n, 1));
	*ids = palloc_array(int64, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (!cancels(&changes[i]))
			continue;
		(*clinics)[n_listed] = changes[i].clinic_id;
		(*ids)[n_listed++] = changes[i].appointment_id;
	}
	return n_listed;
}

bool
th_remote_prepare(const ThRemoteChange *changes, int n, TimestampTz now)
{
	ThMark *marks = palloc0_array(ThMark, Max(n, 1));
	bool *is_locked = palloc_array(bool, Max(n, 1));
	int64 *clinics;
	int64 *ids;
	int n_marks = 0;
	int n_cancelled = list_cancelled(changes, n, &clinics, &ids);

	th_appointment_lock(clinics, ids, n_cancelled, is_locked);
	for (int i = 0; i < n_cancelled; i++)
		if (is_locked[i])
			return false;
	for (int i = 0; i < n; i++)
	{
		if (!changes[i].is_pushed)
			continue;
		marks[n_marks].kind = TH_JOB_EVENT;
		marks[n_marks].priority = TH_PRIORITY_CHANGE;
		marks[n_marks].clinic_id = changes[i].clinic_id;
		marks[n_marks].subject_id = changes[i].event_id;
		marks[n_marks++].due_at = now;
	}
	return th_job_mark_free(marks, n_marks) == 0;
}

static void
write_changes(const ThRemoteChange *changes, int n, TimestampTz now)
{
	int64 *numbers;
	const char **texts;
	TimestampTz *times;
	Datum values[11];

	TH_COLLECT(numbers, int64, changes[i].clinic_id);
	values[0] = th_array_int64(numbers, n);
	TH_COLLECT(numbers, int64, changes[i].connection_id);
	values[1] = th_array_int64(numbers, n);
	TH_COLLECT(numbers, int64, changes[i].event_id);
	values[2] = th_array_int64(numbers, n);
	TH_COLLECT(numbers, int64, changes[i].appointment_id);
	values[3] = th_array_int64(numbers, n);
	TH_COLLECT(texts, const char *, changes[i].change);
	values[4] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, changes[i].action);
	values[5] = th_array_text(texts, n);
	TH_COLLECT(times, TimestampTz, changes[i].our_start);
	values[6] = th_array_timestamptz(times, n);
	TH_COLLECT(times, TimestampTz, changes[i].our_end);
	values[7] = th_array_timestamptz(times, n);
	TH_COLLECT(times, TimestampTz, changes[i].their_start);
	values[8] = th_array_timestamptz(times, n);
	TH_COLLECT(times, TimestampTz, changes[i].their_end);
	values[9] = th_array_timestamptz(times, n);
	values[10] = TimestampTzGetDatum(now);
	th_plan_run(&note_change, values, NULL, false);
}

static void
write_states(const ThRemoteChange *changes, int n, TimestampTz now)
{
	int64 *numbers;
	const char **texts;
	Datum values[5];

	TH_COLLECT(numbers, int64, changes[i].clinic_id);
	values[0] = th_array_int64(numbers, n);
	TH_COLLECT(numbers, int64, changes[i].event_id);
	values[1] = th_array_int64(numbers, n);
	TH_COLLECT(texts, const char *, changes[i].state);
	values[2] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, changes[i].etag);
	values[3] = th_array_text(texts, n);
	values[4] = TimestampTzGetDatum(now);
	th_plan_run(&note_state, values, NULL, false);
}

void
th_remote_write(const ThRemoteChange *changes, int n, TimestampTz now)
{
	int64 *clinics;
	int64 *ids;
	int n_cancelled;
	Datum values[3];

	if (n == 0)
		return;
	n_cancelled = list_cancelled(changes, n, &clinics, &ids);
	th_store_connect();
	write_states(changes, n, now);
	write_changes(changes, n, now);
	if (n_cancelled > 0)
	{
		values[0] = th_array_int64(clinics, n_cancelled);
		values[1] = th_array_int64(ids, n_cancelled);
		values[2] = TimestampTzGetDatum(now);
		th_plan_run(&cancel, values, NULL, false);
	}
	th_store_finish();
	for (int i = 0; i < n; i++)
	{
		if (changes[i].change == NULL)
			continue;
		th_connection_tell("remote_change", changes[i].clinic_id,
						   changes[i].connection_id);
		break; /* they are of one connection */
	}
}
