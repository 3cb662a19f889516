/*
 * job_claim.c
 *	  The dispatcher's side of the queue: claim, renew, settle.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "store/job.h"
#include "store/plans.h"

#define CLAIM_SET_AND_RETURN                                                   \
	" UPDATE telehealth_private.job AS j SET"                                  \
	" claim_no = nextval('telehealth_private.claim_no_seq'),"                  \
	" attempts = LEAST(due.attempts + 1, $2), max_attempts = $2,"              \
	" due_at = $1 FROM due"                                                    \
	" WHERE j.kind = due.kind AND j.clinic_id = due.clinic_id"                 \
	" AND j.subject_id = due.subject_id"                                       \
	" RETURNING j.kind, j.priority::integer, j.clinic_id, j.subject_id,"       \
	" j.claim_no, j.generation, due.attempts + 1, j.failures, j.marked_at,"    \
	" due.due_at"

/* All classes at once: for a single visit each statement more is latency. */
static ThPlan claim = {
	.text = "WITH due AS MATERIALIZED (SELECT d.* FROM unnest($4::integer[],"
			" $5::timestamptz[], $6::bigint[]) AS c (priority, from_at, most)"
			" CROSS JOIN LATERAL (SELECT q.kind, q.clinic_id, q.subject_id,"
			" q.attempts::integer, q.due_at"
			" FROM telehealth_private.job AS q"
			" WHERE q.priority = c.priority AND q.due_at >= c.from_at"
			" AND q.due_at <= $3 ORDER BY q.due_at LIMIT c.most"
			" FOR UPDATE SKIP LOCKED) AS d LIMIT $7)" CLAIM_SET_AND_RETURN,
	.n_args = 7,
	.types = { TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID, INT4ARRAYOID,
			   TIMESTAMPTZARRAYOID, INT8ARRAYOID, INT8OID }
};

static ThPlan claim_holds = {
	.text =
		"WITH due AS MATERIALIZED (SELECT q.kind, q.clinic_id, q.subject_id,"
		" q.attempts::integer, q.due_at"
		" FROM telehealth_private.job AS q"
		" WHERE q.kind = 'hold' AND q.due_at <= $3"
		" LIMIT $4 FOR UPDATE SKIP LOCKED)" CLAIM_SET_AND_RETURN,
	.n_args = 4,
	.types = { TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID, INT8OID }
};

/*
 * A row that an application holds keeps its lease: it is claimed after that.
 * What was marked later than now waits because the clock was set back.
 */
static ThPlan recover = {
	.text =
		"WITH left_over AS MATERIALIZED (SELECT q.kind, q.clinic_id,"
		" q.subject_id FROM telehealth_private.job AS q"
		" WHERE (q.attempts > 0 OR (q.marked_at > $1 AND q.kind <> 'hold'))"
		" AND q.due_at > $1 AND q.dead_at IS NULL"
		" FOR UPDATE SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET due_at = $1 FROM left_over AS l"
		" WHERE j.kind = l.kind AND j.clinic_id = l.clinic_id"
		" AND j.subject_id = l.subject_id",
	.n_args = 1,
	.types = { TIMESTAMPTZOID }
};

/* A hold is due when its row says, and a lease ends with its work. */
static ThPlan hasten = {
	.text =
		"WITH late AS MATERIALIZED (SELECT q.kind, q.clinic_id, q.subject_id"
		" FROM telehealth_private.job AS q WHERE q.kind <> 'hold'"
		" AND q.attempts = 0 AND q.due_at > $1 AND q.dead_at IS NULL"
		" FOR UPDATE SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET due_at = GREATEST($1,"
		" j.due_at - $2 * interval '1 microsecond') FROM late"
		" WHERE j.kind = late.kind AND j.clinic_id = late.clinic_id"
		" AND j.subject_id = late.subject_id",
	.n_args = 2,
	.types = { TIMESTAMPTZOID, INT8OID }
};

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

/* Reads what a claiming statement returned. */
static int
read_jobs(ThJob **jobs, MemoryContext context)
{
	int n = (int) SPI_processed;
	ThJob *read = MemoryContextAllocZero(context, sizeof(ThJob) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		char *kind = th_row_text(i, 1, CurrentMemoryContext);

		read[i].kind = th_job_kind_of(kind);
		read[i].priority = th_row_int32(i, 2);
		read[i].clinic_id = th_row_int64(i, 3);
		read[i].subject_id = th_row_int64(i, 4);
		read[i].claim_no = th_row_int64(i, 5);
		read[i].generation = th_row_int64(i, 6);
		read[i].attempts = th_row_int32(i, 7);
		read[i].failures = th_row_int32(i, 8);
		read[i].marked_at = th_row_timestamptz(i, 9);
		read[i].was_due_at = th_row_timestamptz(i, 10);
	}
	*jobs = read;
	return n;
}

static TimestampTz
lease_end(TimestampTz now)
{
	return now + (TimestampTz) th_guc_lease_seconds * USECS_PER_SEC;
}

int
th_job_claim(const ThClaim *classes, int limit, TimestampTz now, ThJob **jobs)
{
	MemoryContext context = CurrentMemoryContext;
	int32 priorities[TH_PRIORITY_COUNT];
	TimestampTz froms[TH_PRIORITY_COUNT];
	int64 limits[TH_PRIORITY_COUNT];
	Datum values[7];
	int n;

	for (int p = 0; p < TH_PRIORITY_COUNT; p++)
	{
		priorities[p] = p;
		froms[p] = classes[p].from;
		limits[p] = classes[p].limit;
	}
	th_store_connect();
	values[0] = TimestampTzGetDatum(lease_end(now));
	values[1] = Int32GetDatum(th_guc_max_attempts);
	values[2] = TimestampTzGetDatum(now);
	values[3] = th_array_int32(priorities, TH_PRIORITY_COUNT);
	values[4] = th_array_timestamptz(froms, TH_PRIORITY_COUNT);
	values[5] = th_array_int64(limits, TH_PRIORITY_COUNT);
	values[6] = Int64GetDatum(limit);
	th_plan_run(&claim, values, NULL, false);
	n = read_jobs(jobs, context);
	th_store_finish();
	return n;
}

int
th_job_claim_holds(int limit, TimestampTz now, ThJob **jobs)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[4];
	int n;

	th_store_connect();
	values[0] = TimestampTzGetDatum(lease_end(now));
	values[1] = Int32GetDatum(th_guc_max_attempts);
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int64GetDatum(limit);
	th_plan_run(&claim_holds, values, NULL, false);
	n = read_jobs(jobs, context);
	th_store_finish();
	return n;
}

int64
th_job_recover(TimestampTz now)
{
	Datum values[1] = { TimestampTzGetDatum(now) };
	int64 n;

	th_store_connect();
	th_plan_run(&recover, values, NULL, false);
	n = (int64) SPI_processed;
	th_store_finish();
	return n;
}

void
th_job_hasten(TimestampTz now, int64 by_us)
{
	Datum values[2] = { TimestampTzGetDatum(now), Int64GetDatum(by_us) };

	th_store_connect();
	th_plan_run(&hasten, values, NULL, false);
	th_store_finish();
}

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

void
th_job_lock(ThSettle *settles, int n)
{
	Datum values[4];
	const ThJob **jobs;

	if (n == 0)
		return;
	th_store_connect();
	jobs = palloc_array(const ThJob *, n);
	for (int i = 0; i < n; i++)
	{
		jobs[i] = &settles[i].job;
		settles[i].is_fenced = true;
		settles[i].is_locked = false;
	}
	bind_keys(values, jobs, n);

	th_plan_run(&lock, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThSettle *settle = &settles[th_row_int64(row, 1) - 1];
		int64 generation = th_row_int64(row, 2);

		settle->is_fenced = false;
		if (generation != settle->job.generation &&
			settle->verb != TH_SETTLE_AGAIN)
		{
			/* marked again while we worked: have another look */
			settle->verb = TH_SETTLE_AGAIN;
			settle->failures = 0;
			settle->error = NULL;
			settle->waiting_for = NULL;
		}
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
		/* nothing is due in the past: claims look only a little way back */
		dues[i] = settle->verb == TH_SETTLE_DEAD    ? 0
				  : settle->verb == TH_SETTLE_AGAIN ? now
													: Max(settle->due_at, now);
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

void
th_job_settle(ThSettle *settles, int n, TimestampTz now)
{
	const ThJob **done;
	ThSettle **others;
	int n_done = 0;
	int n_others = 0;

	if (n == 0)
		return;
	th_store_connect();
	done = palloc_array(const ThJob *, n);
	others = palloc_array(ThSettle *, n);
	for (int i = 0; i < n; i++)
	{
		if (settles[i].is_fenced || settles[i].is_locked)
			continue;
		if (settles[i].verb == TH_SETTLE_DONE)
			done[n_done++] = &settles[i].job;
		else
			others[n_others++] = &settles[i];
	}
	if (n_done > 0)
	{
		Datum values[4];

		bind_keys(values, done, n_done);
		th_plan_run(&settle_done, values, NULL, false);
	}
	if (n_others > 0)
		settle_others(others, n_others, now);
	th_store_finish();
}
