/*
 * expand.c
 *	  From a provider, a patient or a clinic to visits to come.
 *
 * A visit that has begun keeps its meeting as it is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "store/calendar_use.h"
#include "store/expand.h"
#include "store/plans.h"

#define WANTS                                                                  \
	"telehealth_private.wants_meeting(a.type, a.status, a.is_meeting_wanted)"

/* Calendars show visits of every kind. */
#define WANTED(is_shown)                                                       \
	" AND a.starts_at > $3 AND (" WANTS " OR (" is_shown                       \
	" AND a.status IN ('SCHEDULED', 'CONFIRMED', 'CHECKED_IN',"                \
	" 'IN_PROGRESS')))"

/*
 * Each clinic's visits to come are read once, however many people there are:
 * a join of people and visits would compare all of them with each other. A
 * number of one clinic finds a visit of another among these too; that one is
 * looked at in vain.
 */
#define OF_PEOPLE(column)                                                      \
	"SELECT a.clinic_id, a.id, a.starts_at, " WANTS                            \
	" FROM telehealth.appointment AS a"                                        \
	" WHERE a.clinic_id = ANY ($1) AND a." column " = ANY ($2)" WANTED("$4")

static ThPlan of_providers = { .text = OF_PEOPLE("provider_id"),
							   .n_args = 4,
							   .types = { INT8ARRAYOID, INT8ARRAYOID,
										  TIMESTAMPTZOID, BOOLOID } };

static ThPlan of_patients = { .text = OF_PEOPLE("patient_id"),
							  .n_args = 4,
							  .types = { INT8ARRAYOID, INT8ARRAYOID,
										 TIMESTAMPTZOID, BOOLOID } };

static ThPlan of_clinic = {
	.text = "SELECT a.clinic_id, a.id, a.starts_at, " WANTS
			" FROM telehealth.appointment AS a"
			" WHERE a.clinic_id = $1 AND a.starts_at >= $2"
			" AND (a.starts_at, a.id) > ($2, $4)" WANTED(
				"$6") " ORDER BY a.starts_at, a.id LIMIT $5",
	.n_args = 6,
	.types = { INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID,
			   BOOLOID }
};

/* From one clinic to the next by the primary key, past its visits. */
static ThPlan all_clinics = {
	.text = "WITH RECURSIVE c (id) AS ("
			"SELECT min(a.clinic_id) FROM telehealth.appointment AS a"
			" UNION ALL"
			" SELECT (SELECT min(a.clinic_id) FROM telehealth.appointment AS a"
			" WHERE a.clinic_id > c.id) FROM c WHERE c.id IS NOT NULL)"
			" SELECT c.id FROM c WHERE c.id <> 0",
	.n_args = 0,
	.types = { 0 }
};

/* Marks the visits that a plan has found; the last of them is *last. */
static int
mark_found(TimestampTz now, bool is_shown, ThExpandPoint *last, int *held)
{
	int n = (int) SPI_processed;
	ThMark *marks = palloc_array(ThMark, Max(2 * n, 1));
	int n_marks = 0;
	TimestampTz near = now + TH_NEAR_MINUTES * USECS_PER_MINUTE;

	for (int i = 0; i < n; i++)
	{
		ThMark mark = { .due_at = now };

		last->starts_at = th_row_timestamptz(i, 3);
		last->id = mark.subject_id = th_row_int64(i, 2);
		mark.clinic_id = th_row_int64(i, 1);
		mark.priority = last->starts_at < near ? TH_PRIORITY_NEAR
											   : TH_PRIORITY_BACKGROUND;
		mark.kind = TH_JOB_MEETING;
		if (th_row_bool(i, 4))
			marks[n_marks++] = mark;
		mark.kind = TH_JOB_CALENDARS;
		if (is_shown)
			marks[n_marks++] = mark;
	}
	*held += th_job_mark_free(marks, n_marks);
	return n;
}

int
th_expand_people(ThJobKind kind, const int64 *clinics, const int64 *ids, int n,
				 TimestampTz now, int *held)
{
	bool is_shown = n > 0 && th_calendar_is_used();
	ThExpandPoint last;
	Datum values[4];
	int marked;

	if (n == 0)
		return 0;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = TimestampTzGetDatum(now);
	values[3] = BoolGetDatum(is_shown);
	th_plan_run(kind == TH_JOB_PROVIDER ? &of_providers : &of_patients, values,
				NULL, false);
	marked = mark_found(now, is_shown, &last, held);
	th_store_finish();
	return marked;
}

int
th_expand_clinic(int64 clinic_id, ThExpandPoint *point, int limit,
				 TimestampTz now, int *held)
{
	bool is_shown = th_calendar_is_used();
	Datum values[6];
	int marked;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = TimestampTzGetDatum(point->starts_at == 0 ? now
														  : point->starts_at);
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int64GetDatum(point->starts_at == 0 ? PG_INT64_MIN : point->id);
	values[4] = Int64GetDatum(limit);
	values[5] = BoolGetDatum(is_shown);
	th_plan_run(&of_clinic, values, NULL, false);
	marked = mark_found(now, is_shown, point, held);
	th_store_finish();
	return marked;
}

void
th_expand_clinics(TimestampTz now, int *held)
{
	ThMark *marks;
	int n;

	th_store_connect();
	th_plan_run(&all_clinics, NULL, NULL, false);
	n = (int) SPI_processed;
	marks = palloc0_array(ThMark, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		marks[i].kind = TH_JOB_CLINIC;
		marks[i].priority = TH_PRIORITY_BACKGROUND;
		marks[i].clinic_id = marks[i].subject_id = th_row_int64(i, 1);
		marks[i].due_at = now;
	}
	*held += th_job_mark_free(marks, n);
	th_store_finish();
}
