/*
 * job_claim.c
 *	  The dispatcher's side of the queue: what is due, and claiming it.
 */
#include "postgres.h"

#include "access/skey.h"
#include "access/stratnum.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "store/direct.h"
#include "store/job.h"
#include "store/job_columns.h"
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

/*
 * Where it cannot be done directly. All classes at once: for a single visit
 * each statement more is latency.
 */
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

static ThPlan peek = {
	.text = "SELECT q.kind, q.priority::integer, q.clinic_id, q.subject_id,"
			" q.claim_no, q.generation, q.attempts::integer, q.failures,"
			" q.marked_at, q.due_at FROM telehealth_private.job AS q"
			" WHERE q.priority = $1 AND q.due_at >= $2 AND q.due_at <= $3"
			" ORDER BY q.due_at LIMIT $4 FOR UPDATE SKIP LOCKED",
	.n_args = 4,
	.types = { INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID }
};

/* Not what calendars show: a restore may not have brought all that decides it. */
static ThPlan claim_inward = {
	.text =
		"WITH due AS MATERIALIZED (SELECT q.kind, q.clinic_id, q.subject_id,"
		" q.attempts::integer, q.due_at"
		" FROM telehealth_private.job AS q"
		" WHERE q.kind IN ('hold', 'series', 'session') AND q.due_at <= $3"
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
		" WHERE (q.attempts > 0 OR (q.marked_at > $1 AND q.kind NOT IN ('hold', 'series')))"
		" AND (q.due_at > $1 OR ($2 AND q.attempts > 0)) AND q.dead_at IS NULL"
		" FOR UPDATE SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET due_at = $1, attempts ="
		" CASE WHEN $2 THEN GREATEST(j.attempts - 1, 0) ELSE j.attempts END"
		" FROM left_over AS l"
		" WHERE j.kind = l.kind AND j.clinic_id = l.clinic_id"
		" AND j.subject_id = l.subject_id",
	.n_args = 2,
	.types = { TIMESTAMPTZOID, BOOLOID }
};

/* Holds and series are due when their rows say, and a lease ends with its work. */
static ThPlan hasten = {
	.text =
		"WITH late AS MATERIALIZED (SELECT q.kind, q.clinic_id, q.subject_id"
		" FROM telehealth_private.job AS q WHERE q.kind NOT IN ('hold', 'series')"
		" AND q.attempts = 0 AND q.due_at > $1 AND q.dead_at IS NULL"
		" FOR UPDATE SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET due_at = GREATEST($1,"
		" j.due_at - $2 * interval '1 microsecond') FROM late"
		" WHERE j.kind = late.kind AND j.clinic_id = late.clinic_id"
		" AND j.subject_id = late.subject_id",
	.n_args = 2,
	.types = { TIMESTAMPTZOID, INT8OID }
};

/* Reads what a claim or a peek returned. */
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

static int
claim_with_statement(const ThClaim *classes, int limit, TimestampTz now,
					 ThJob **jobs)
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

/* Takes the row that was found; false if somebody is at it. */
static bool
claim_row(ThDirect *direct, Oid claim_numbers, TimestampTz now, ThJob *job)
{
	Datum *values;
	bool *nulls;

	th_direct_edit(direct, &values, &nulls);
	job->kind = th_job_kind_of(TextDatumGetCString(values[JOB_KIND]));
	job->priority = DatumGetInt16(values[JOB_PRIORITY]);
	job->clinic_id = DatumGetInt64(values[JOB_CLINIC_ID]);
	job->subject_id = DatumGetInt64(values[JOB_SUBJECT_ID]);
	job->claim_no = nextval_internal(claim_numbers, false);
	job->generation = DatumGetInt64(values[JOB_GENERATION]);
	job->attempts = DatumGetInt16(values[JOB_ATTEMPTS]) + 1;
	job->failures = DatumGetInt32(values[JOB_FAILURES]);
	job->marked_at = DatumGetTimestampTz(values[JOB_MARKED_AT]);
	job->was_due_at = DatumGetTimestampTz(values[JOB_DUE_AT]);

	values[JOB_CLAIM_NO] = Int64GetDatum(job->claim_no);
	values[JOB_ATTEMPTS] = Int16GetDatum(
		(int16) Min(job->attempts, th_guc_max_attempts));
	values[JOB_MAX_ATTEMPTS] = Int16GetDatum((int16) th_guc_max_attempts);
	values[JOB_DUE_AT] = TimestampTzGetDatum(lease_end(now));
	return th_direct_update(direct, false) == TH_DIRECT_DONE;
}

/* Claims of one class, at most "limit"; returns their number. */
static int
claim_class(ThDirect *direct, ThPriority priority, TimestampTz from, int limit,
			Oid claim_numbers, TimestampTz now, ThJob *jobs)
{
	ScanKeyData keys[3];
	int n = 0;

	if (limit <= 0)
		return 0;
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum((int16) priority));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(from));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(now));
	th_direct_scan(direct, keys, lengthof(keys));
	while (n < limit && th_direct_next(direct) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (claim_row(direct, claim_numbers, now, &jobs[n]))
			n++;
	}
	th_direct_end_scan(direct);
	return n;
}

int
th_job_claim(const ThClaim *classes, int limit, TimestampTz now, ThJob **jobs)
{
	static const AttrNumber order[] = { JOB_PRIORITY + 1, JOB_DUE_AT + 1 };
	Oid schema = get_namespace_oid("telehealth_private", false);
	Oid claim_numbers = get_relname_relid("claim_no_seq", schema);
	ThDirect *direct = th_direct_open("telehealth_private", "job",
									  th_job_columns, JOB_COLUMN_COUNT);
	int n = 0;

	if (direct != NULL && !th_direct_order(direct, order, lengthof(order)))
	{
		th_direct_close(direct);
		direct = NULL;
	}
	if (direct == NULL)
		return claim_with_statement(classes, limit, now, jobs);
	*jobs = palloc0_array(ThJob, Max(limit, 1));
	for (int p = 0; p < TH_PRIORITY_COUNT; p++)
		n += claim_class(direct, (ThPriority) p, classes[p].from,
						 Min(classes[p].limit, limit - n), claim_numbers, now,
						 *jobs + n);
	th_direct_close(direct);
	return n;
}

int
th_job_claim_inward(int limit, TimestampTz now, ThJob **jobs)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[4];
	int n;

	th_store_connect();
	values[0] = TimestampTzGetDatum(lease_end(now));
	values[1] = Int32GetDatum(th_guc_max_attempts);
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int64GetDatum(limit);
	th_plan_run(&claim_inward, values, NULL, false);
	n = read_jobs(jobs, context);
	th_store_finish();
	return n;
}

int
th_job_peek(ThPriority priority, TimestampTz from, int limit, TimestampTz now,
			ThJob **jobs)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[4];
	int n;

	th_store_connect();
	values[0] = Int32GetDatum(priority);
	values[1] = TimestampTzGetDatum(from);
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int64GetDatum(limit);
	th_plan_run(&peek, values, NULL, false);
	n = read_jobs(jobs, context);
	th_store_finish();
	return n;
}

int64
th_job_recover(TimestampTz now, bool was_pushed)
{
	Datum values[2] = { TimestampTzGetDatum(now), BoolGetDatum(was_pushed) };
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
