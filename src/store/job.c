/*
 * job.c
 *	  Marking subjects: how triggers and functions put work into the queue.
 *
 * Claiming and settling, the dispatcher's side, are in job_claim.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "store/job.h"
#include "store/job_insert.h"
#include "store/owner.h"
#include "store/plans.h"

#define ON_CONFLICT_MARK                                                       \
	" ON CONFLICT ON CONSTRAINT job_pkey DO UPDATE SET"                        \
	" generation = j.generation + 1,"                                          \
	" priority = LEAST(j.priority, EXCLUDED.priority),"                        \
	" failures = 0, waiting_for = NULL, last_error = NULL, dead_at = NULL,"    \
	" marked_at = EXCLUDED.marked_at,"                                         \
	" due_at = CASE WHEN j.attempts > 0 THEN j.due_at"                         \
	" WHEN EXCLUDED.kind = 'hold' THEN EXCLUDED.due_at"                        \
	" ELSE LEAST(j.due_at, EXCLUDED.due_at) END"

static ThPlan mark_one = {
	.text = "INSERT INTO telehealth_private.job AS j"
			" (kind, clinic_id, subject_id, priority, due_at, marked_at)"
			" VALUES ($1, $2, $3, $4, $5, $6)" ON_CONFLICT_MARK,
	.n_args = 6,
	.types = { TEXTOID, INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID,
			   TIMESTAMPTZOID }
};

static ThPlan mark_many = {
	.text =
		"INSERT INTO telehealth_private.job AS j"
		" (kind, clinic_id, subject_id, priority, due_at, marked_at)"
		" SELECT u.kind, u.clinic_id, u.subject_id, u.priority, u.due_at, $6"
		" FROM unnest($1, $2, $3, $4, $5)"
		" AS u (kind, clinic_id, subject_id, priority, due_at)" ON_CONFLICT_MARK,
	.n_args = 6,
	.types = { TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT4ARRAYOID,
			   TIMESTAMPTZARRAYOID, TIMESTAMPTZOID }
};

/* With all appointments gone, whatever is remote has lost its own. */
static ThPlan mark_abandoned = {
	.text =
		"INSERT INTO telehealth_private.job AS j"
		" (kind, clinic_id, subject_id, priority, due_at, marked_at)"
		" SELECT DISTINCT 'meeting', s.clinic_id, s.appointment_id, $1, $2, $2"
		" FROM telehealth.session AS s"
		" WHERE s.meeting_id IS NOT NULL OR s.intent IS NOT NULL" ON_CONFLICT_MARK,
	.n_args = 2,
	.types = { INT4OID, TIMESTAMPTZOID }
};

static ThPlan mark_shown = {
	.text =
		"INSERT INTO telehealth_private.job AS j"
		" (kind, clinic_id, subject_id, priority, due_at, marked_at)"
		" SELECT DISTINCT 'calendars', e.clinic_id, e.appointment_id, $1, $2, $2"
		" FROM telehealth.calendar_event AS e" ON_CONFLICT_MARK,
	.n_args = 2,
	.types = { INT4OID, TIMESTAMPTZOID }
};

/* What ON_CONFLICT_MARK does, to those that nobody holds. */
static ThPlan mark_known = {
	.text =
		"WITH free AS MATERIALIZED (SELECT q.kind, q.clinic_id, q.subject_id,"
		" u.priority, u.due_at FROM unnest($1, $2, $3, $4, $5)"
		" AS u (kind, clinic_id, subject_id, priority, due_at)"
		" JOIN telehealth_private.job AS q ON q.kind = u.kind"
		" AND q.clinic_id = u.clinic_id AND q.subject_id = u.subject_id"
		" FOR UPDATE OF q SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET generation = j.generation + 1,"
		" priority = LEAST(j.priority, f.priority), failures = 0,"
		" waiting_for = NULL, last_error = NULL, dead_at = NULL, marked_at = $6,"
		" due_at = CASE WHEN j.attempts > 0 THEN j.due_at"
		" ELSE LEAST(j.due_at, f.due_at) END FROM free AS f"
		" WHERE j.kind = f.kind AND j.clinic_id = f.clinic_id"
		" AND j.subject_id = f.subject_id",
	.n_args = 6,
	.types = { TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT4ARRAYOID,
			   TIMESTAMPTZARRAYOID, TIMESTAMPTZOID }
};

static const char *const kind_names[] = {
	[TH_JOB_MEETING] = "meeting",   [TH_JOB_HOLD] = "hold",
	[TH_JOB_PROVIDER] = "provider", [TH_JOB_PATIENT] = "patient",
	[TH_JOB_CLINIC] = "clinic",     [TH_JOB_SERIES] = "series",
	[TH_JOB_SESSION] = "session",   [TH_JOB_CALENDARS] = "calendars",
	[TH_JOB_EVENT] = "event",       [TH_JOB_PULL] = "pull",
	[TH_JOB_CHANNEL] = "channel",   [TH_JOB_CONNECTION] = "connection",
	[TH_JOB_BACKFILL] = "backfill",
};

StaticAssertDecl(lengthof(kind_names) == TH_JOB_KIND_COUNT,
				 "every kind needs a name");

const char *
th_job_kind_name(ThJobKind kind)
{
	return kind_names[kind];
}

ThJobKind
th_job_kind_of(const char *name)
{
	for (int kind = 0; kind < TH_JOB_KIND_COUNT; kind++)
	{
		if (strcmp(kind_names[kind], name) == 0)
			return (ThJobKind) kind;
	}
	return TH_JOB_MEETING;
}

static int
compare_marks(const void *a, const void *b)
{
	const ThMark *x = a;
	const ThMark *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->clinic_id != y->clinic_id)
		return x->clinic_id < y->clinic_id ? -1 : 1;
	if (x->subject_id != y->subject_id)
		return x->subject_id < y->subject_id ? -1 : 1;
	return 0;
}

/*
 * Sorts by key, and leaves one mark a key with the more urgent values: a
 * statement may not touch one row twice.
 */
static int
sort_and_merge(ThMark *marks, int n)
{
	int kept = 0;

	qsort(marks, n, sizeof(ThMark), compare_marks);
	for (int i = 1; i < n; i++)
	{
		if (compare_marks(&marks[kept], &marks[i]) != 0)
			marks[++kept] = marks[i];
		else
		{
			marks[kept].priority = Min(marks[kept].priority, marks[i].priority);
			marks[kept].due_at = Min(marks[kept].due_at, marks[i].due_at);
		}
	}
	return kept + 1;
}

static void
run_mark_one(const ThMark *mark, TimestampTz now)
{
	Datum values[6];

	values[0] = CStringGetTextDatum(th_job_kind_name(mark->kind));
	values[1] = Int64GetDatum(mark->clinic_id);
	values[2] = Int64GetDatum(mark->subject_id);
	values[3] = Int32GetDatum(mark->priority);
	values[4] = TimestampTzGetDatum(mark->due_at);
	values[5] = TimestampTzGetDatum(now);
	th_plan_run(&mark_one, values, NULL, false);
}

static void
run_mark_many(ThPlan *plan, const ThMark *marks, int n, TimestampTz now)
{
	const char **kinds = palloc_array(const char *, n);
	int64 *clinics = palloc_array(int64, n);
	int64 *subjects = palloc_array(int64, n);
	int32 *priorities = palloc_array(int32, n);
	TimestampTz *dues = palloc_array(TimestampTz, n);
	Datum values[6];

	for (int i = 0; i < n; i++)
	{
		kinds[i] = th_job_kind_name(marks[i].kind);
		clinics[i] = marks[i].clinic_id;
		subjects[i] = marks[i].subject_id;
		priorities[i] = marks[i].priority;
		dues[i] = marks[i].due_at;
	}
	values[0] = th_array_text(kinds, n);
	values[1] = th_array_int64(clinics, n);
	values[2] = th_array_int64(subjects, n);
	values[3] = th_array_int32(priorities, n);
	values[4] = th_array_timestamptz(dues, n);
	values[5] = TimestampTzGetDatum(now);
	th_plan_run(plan, values, NULL, false);
}

/* At most TH_MARK_CHUNK of them: what is built for one statement goes with it. */
static void
mark_with_statement(const ThMark *marks, int n, TimestampTz now)
{
	th_store_connect();
	if (n == 1)
		run_mark_one(marks, now);
	else
		run_mark_many(&mark_many, marks, n, now);
	th_store_finish();
}

void
th_job_mark(ThMark *marks, int n, bool is_new)
{
	ThOwnerScope scope;
	TimestampTz now;

	if (n == 0 || th_guc_restoring)
		return;
	now = GetCurrentTimestamp();
	if (n > 1)
		n = sort_and_merge(marks, n);
	if (is_new)
		n = th_job_insert(marks, n, now, NULL);
	if (n == 0)
		return;

	th_owner_enter(&scope);
	for (int at = 0; at < n; at += TH_MARK_CHUNK)
		mark_with_statement(marks + at, Min(TH_MARK_CHUNK, n - at), now);
	th_owner_leave(&scope);
}

int
th_job_mark_free(ThMark *marks, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	bool is_possible;

	if (n == 0)
		return 0;
	if (n > 1)
		n = sort_and_merge(marks, n);
	n = th_job_insert(marks, n, now, &is_possible);
	if (!is_possible)
	{
		th_job_mark(marks, n, false);
		return 0;
	}
	if (n == 0)
		return 0;
	th_store_connect();
	run_mark_many(&mark_known, marks, n, now);
	n -= (int) SPI_processed;
	th_store_finish();
	return n;
}

void
th_job_mark_abandoned(bool has_events)
{
	ThOwnerScope scope;
	Datum values[2] = { Int32GetDatum(TH_PRIORITY_CHANGE),
						TimestampTzGetDatum(GetCurrentTimestamp()) };

	if (th_guc_restoring)
		return;
	th_owner_enter(&scope);
	th_store_connect();
	th_plan_run(&mark_abandoned, values, NULL, false);
	if (has_events)
		th_plan_run(&mark_shown, values, NULL, false);
	th_store_finish();
	th_owner_leave(&scope);
}
