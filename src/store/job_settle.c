/*
 * job_settle.c
 *	  The dispatcher's side of the queue: jobs in work, and what became of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/direct.h"
#include "store/job.h"
#include "store/job_columns.h"
#include "store/plans.h"

#define KEYS                                                                   \
	" unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])"            \
	" WITH ORDINALITY AS u (kind, clinic_id, subject_id, claim_no, place)"

#define SAME_JOB                                                               \
	" j.kind = u.kind AND j.clinic_id = u.clinic_id"                           \
	" AND j.subject_id = u.subject_id AND j.claim_no = u.claim_no"

static ThPlan renew = {
	.text =
		"UPDATE telehealth_private.job AS j SET due_at = $5"
		" FROM (SELECT l.* FROM" KEYS
		" CROSS JOIN LATERAL (SELECT j.kind, j.clinic_id, j.subject_id, j.claim_no"
		" FROM telehealth_private.job AS j WHERE" SAME_JOB
		" FOR UPDATE SKIP LOCKED) AS l) AS u WHERE" SAME_JOB,
	.n_args = 5,
	.types = { TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TIMESTAMPTZOID }
};

static ThPlan lock = { .text = "SELECT u.place, j.generation FROM" KEYS
							   " JOIN telehealth_private.job AS j ON" SAME_JOB
							   " FOR UPDATE OF j SKIP LOCKED",
					   .n_args = 4,
					   .types = { TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
								  INT8ARRAYOID } };

static ThPlan exists = {
	.text = "SELECT u.place FROM" KEYS
			" JOIN telehealth_private.job AS j ON" SAME_JOB,
	.n_args = 4,
	.types = { TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan settle_done = {
	.text = "DELETE FROM telehealth_private.job AS j USING" KEYS
			" WHERE" SAME_JOB,
	.n_args = 4,
	.types = { TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan settle_other = {
	.text = "UPDATE telehealth_private.job AS j SET attempts = 0,"
			" due_at = COALESCE(u.due_at, 'infinity'), failures = u.failures,"
			" priority = u.priority, waiting_for = u.waiting_for,"
			" last_error = u.last_error,"
			" dead_at = CASE WHEN u.due_at IS NULL THEN $10 END"
			" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)"
			" AS u (kind, clinic_id, subject_id, claim_no, due_at, failures,"
			" priority, waiting_for, last_error)"
			" WHERE" SAME_JOB,
	.n_args = 10,
	.types = { TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TIMESTAMPTZARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TEXTARRAYOID,
			   TEXTARRAYOID, TIMESTAMPTZOID }
};

/* The four key arrays of jobs as parameters 1 to 4. */
static void
bind_keys(Datum *values, const ThJob *const *jobs, int n)
{
	const char **kinds = palloc_array(const char *, Max(n, 1));
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *subjects = palloc_array(int64, Max(n, 1));
	int64 *claims = palloc_array(int64, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		kinds[i] = th_job_kind_name(jobs[i]->kind);
		clinics[i] = jobs[i]->clinic_id;
		subjects[i] = jobs[i]->subject_id;
		claims[i] = jobs[i]->claim_no;
	}
	values[0] = th_array_text(kinds, n);
	values[1] = th_array_int64(clinics, n);
	values[2] = th_array_int64(subjects, n);
	values[3] = th_array_int64(claims, n);
}

void
th_job_renew(const ThJob *jobs, int n, TimestampTz until)
{
	Datum values[5];
	const ThJob **pointers;

	if (n == 0)
		return;
	th_store_connect();
	pointers = palloc_array(const ThJob *, n);
	for (int i = 0; i < n; i++)
		pointers[i] = &jobs[i];
	bind_keys(values, pointers, n);
	values[4] = TimestampTzGetDatum(until);
	th_plan_run(&renew, values, NULL, false);
	th_store_finish();
}

/* Marked again while we worked: have another look. */
static void
note_generation(ThSettle *settle, int64 generation)
{
	if (generation == settle->job.generation || settle->verb == TH_SETTLE_AGAIN)
		return;
	settle->verb = TH_SETTLE_AGAIN;
	settle->failures = 0;
	settle->error = NULL;
	settle->waiting_for = NULL;
}

/* Finds the job with its claim; NULL if there is none. */
static TupleTableSlot *
find_claimed(ThDirect *direct, const Datum *kinds, const ThJob *job)
{
	Datum keys[JOB_KEY_COUNT] = { kinds[job->kind],
								  Int64GetDatum(job->clinic_id),
								  Int64GetDatum(job->subject_id) };
	TupleTableSlot *row = th_direct_find(direct, keys);
	bool is_null;

	if (row == NULL || DatumGetInt64(slot_getattr(row, JOB_CLAIM_NO + 1,
												  &is_null)) != job->claim_no)
		return NULL;
	return row;
}

/* "kinds" has TH_JOB_KIND_COUNT elements. */
static void
name_kinds(Datum *kinds)
{
	for (int kind = 0; kind < TH_JOB_KIND_COUNT; kind++)
		kinds[kind] = CStringGetTextDatum(th_job_kind_name(kind));
}

static void
lock_with_statement(ThSettle *settles, int n)
{
	Datum values[4];
	const ThJob **jobs;

	th_store_connect();
	jobs = palloc_array(const ThJob *, n);
	for (int i = 0; i < n; i++)
	{
		jobs[i] = &settles[i].job;
		settles[i].is_fenced = true;
	}
	bind_keys(values, jobs, n);

	th_plan_run(&lock, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThSettle *settle = &settles[th_row_int64(row, 1) - 1];

		settle->is_fenced = false;
		note_generation(settle, th_row_int64(row, 2));
	}
	if ((int) SPI_processed < n)
	{
		th_plan_run(&exists, values, NULL, false);
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			ThSettle *settle = &settles[th_row_int64(row, 1) - 1];

			if (settle->is_fenced)
			{
				settle->is_fenced = false;
				settle->is_locked = true;
			}
		}
	}
	th_store_finish();
}

static ThDirect *
open_jobs(void)
{
	return th_direct_open("telehealth_private", "job", th_job_columns,
						  JOB_COLUMN_COUNT);
}

/* Who is changing a row at this moment has it: the next turn looks again. */
static void
lock_one(ThDirect *direct, const Datum *kinds, ThSettle *settle)
{
	TupleTableSlot *row = find_claimed(direct, kinds, &settle->job);
	bool is_null;

	settle->is_fenced = row == NULL;
	if (settle->is_fenced)
		return;
	settle->is_locked = th_direct_lock(direct) != TH_DIRECT_DONE;
	if (settle->is_locked)
		return;
	settle->place = row->tts_tid;
	note_generation(settle, DatumGetInt64(slot_getattr(row, JOB_GENERATION + 1,
													   &is_null)));
}

void
th_job_lock(ThSettle *settles, int n)
{
	Datum kinds[TH_JOB_KIND_COUNT];
	ThDirect *direct;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		settles[i].is_fenced = false;
		settles[i].is_locked = false;
		ItemPointerSetInvalid(&settles[i].place);
	}
	direct = open_jobs();
	if (direct == NULL)
	{
		lock_with_statement(settles, n);
		return;
	}
	name_kinds(kinds);
	for (int i = 0; i < n; i++)
		lock_one(direct, kinds, &settles[i]);
	th_direct_close(direct);
}

/* When it is due, 0 for never; not in the past: claims look only a little way back. */
static TimestampTz
due_of(const ThSettle *settle, TimestampTz now)
{
	switch (settle->verb)
	{
		case TH_SETTLE_DEAD:
			return 0;
		case TH_SETTLE_AGAIN:
			return now;
		default:
			return Max(settle->due_at, now);
	}
}

static void
settle_others(ThSettle **settles, int n, TimestampTz now)
{
	const ThJob **jobs = palloc_array(const ThJob *, n);
	TimestampTz *dues = palloc_array(TimestampTz, n);
	int32 *failures = palloc_array(int32, n);
	int32 *priorities = palloc_array(int32, n);
	const char **waits = palloc_array(const char *, n);
	const char **errors = palloc_array(const char *, n);
	Datum values[10];

	for (int i = 0; i < n; i++)
	{
		const ThSettle *settle = settles[i];

		jobs[i] = &settle->job;
		dues[i] = due_of(settle, now);
		failures[i] = settle->failures;
		priorities[i] = settle->priority;
		waits[i] = settle->waiting_for;
		errors[i] = settle->error;
	}
	bind_keys(values, jobs, n);
	values[4] = th_array_timestamptz(dues, n);
	values[5] = th_array_int32(failures, n);
	values[6] = th_array_int32(priorities, n);
	values[7] = th_array_text(waits, n);
	values[8] = th_array_text(errors, n);
	values[9] = TimestampTzGetDatum(now);
	th_plan_run(&settle_other, values, NULL, false);
}

/* Removes jobs that are done; those left come to stand in front. Returns their number. */
static int
remove_directly(ThSettle **done, int n)
{
	ThDirect *direct = open_jobs();
	int n_left = 0;

	if (direct == NULL)
		return n;
	for (int i = 0; i < n; i++)
	{
		if (!ItemPointerIsValid(&done[i]->place) ||
			th_direct_delete(direct, &done[i]->place) != TH_DIRECT_DONE)
			done[n_left++] = done[i];
	}
	th_direct_close(direct);
	return n_left;
}

static void
set_text(Datum *values, bool *nulls, JobColumn column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* As settle_other says it. */
static void
fill_row(const ThSettle *settle, TimestampTz now, Datum *values, bool *nulls)
{
	TimestampTz due_at = due_of(settle, now);

	values[JOB_ATTEMPTS] = Int16GetDatum(0);
	values[JOB_DUE_AT] = TimestampTzGetDatum(due_at == 0 ? DT_NOEND : due_at);
	values[JOB_FAILURES] = Int32GetDatum(settle->failures);
	values[JOB_PRIORITY] = Int16GetDatum((int16) settle->priority);
	set_text(values, nulls, JOB_WAITING_FOR, settle->waiting_for);
	set_text(values, nulls, JOB_LAST_ERROR, settle->error);
	nulls[JOB_DEAD_AT] = due_at != 0;
	values[JOB_DEAD_AT] = TimestampTzGetDatum(now);
}

/* The same for jobs that stay; all are locked by this transaction. */
static int
write_directly(ThSettle **others, int n, TimestampTz now)
{
	Datum kinds[TH_JOB_KIND_COUNT];
	ThDirect *direct = open_jobs();
	int n_left = 0;

	if (direct == NULL)
		return n;
	name_kinds(kinds);
	for (int i = 0; i < n; i++)
	{
		Datum *values;
		bool *nulls;

		if (find_claimed(direct, kinds, &others[i]->job) == NULL)
			continue;
		th_direct_edit(direct, &values, &nulls);
		fill_row(others[i], now, values, nulls);
		if (th_direct_update(direct, true) != TH_DIRECT_DONE)
			others[n_left++] = others[i];
	}
	th_direct_close(direct);
	return n_left;
}

static void
remove_with_statement(ThSettle **done, int n)
{
	const ThJob **jobs = palloc_array(const ThJob *, n);
	Datum values[4];

	for (int i = 0; i < n; i++)
		jobs[i] = &done[i]->job;
	bind_keys(values, jobs, n);
	th_plan_run(&settle_done, values, NULL, false);
}

void
th_job_settle(ThSettle *settles, int n, TimestampTz now)
{
	ThSettle **done = palloc_array(ThSettle *, Max(n, 1));
	ThSettle **others = palloc_array(ThSettle *, Max(n, 1));
	int n_done = 0;
	int n_others = 0;

	for (int i = 0; i < n; i++)
	{
		if (settles[i].is_fenced || settles[i].is_locked)
			continue;
		if (settles[i].verb == TH_SETTLE_DONE)
			done[n_done++] = &settles[i];
		else
			others[n_others++] = &settles[i];
	}
	if (n_done > 0)
		n_done = remove_directly(done, n_done);
	if (n_others > 0)
		n_others = write_directly(others, n_others, now);
	if (n_done + n_others == 0)
		return;
	th_store_connect();
	if (n_done > 0)
		remove_with_statement(done, n_done);
	if (n_others > 0)
		settle_others(others, n_others, now);
	th_store_finish();
}
