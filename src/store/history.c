/*
 * history.c
 *	  What was tried and how it ended; audit chain; quota counters.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "store/history.h"
#include "store/owner.h"
#include "store/plans.h"

/* Rows removed in one go, so that a settle never waits long behind it. */
#define TRIM_ROWS 10000

static ThPlan write_history = {
	.text =
		"INSERT INTO telehealth_private.job_history (at, kind, clinic_id,"
		" subject_id, claim_no, platform, action, outcome, http_status, code,"
		" message, host, total_ms, retry_at)"
		" SELECT u.at, u.kind, u.clinic_id, u.subject_id, u.claim_no, u.platform,"
		" u.action, u.outcome, NULLIF(u.http_status, 0), u.code, u.message,"
		" u.host, NULLIF(u.total_ms, -1), u.retry_at"
		" FROM (SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5),"
		" unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), unnest($11),"
		" unnest($12), unnest($13), unnest($14))"
		" AS u (at, kind, clinic_id, subject_id, claim_no, platform, action,"
		" outcome, http_status, code, message, host, total_ms, retry_at)",
	.n_args = 14,
	.types = { TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			   INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			   INT4ARRAYOID, TIMESTAMPTZARRAYOID }
};

static ThPlan keep_history = {
	.text = "SELECT telehealth_private.keep_history($1, $2, $3, $4)",
	.n_args = 4,
	.types = { TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID }
};

static ThPlan chain_audit = { .text =
								  "SELECT telehealth_private.chain_audit($1)",
							  .n_args = 1,
							  .types = { INT4OID } };

static ThPlan add_quota = {
	.text =
		"INSERT INTO telehealth_private.quota AS q (clinic_id, account_id, host,"
		" day, used, quota_until)"
		" SELECT u.clinic_id, u.account_id, u.host,"
		" ($6 AT TIME ZONE 'UTC')::date, sum(u.used), max(u.quota_until)"
		" FROM unnest($1, $2, $3, $4, $5)"
		" AS u (clinic_id, account_id, host, used, quota_until)"
		" GROUP BY u.clinic_id, u.account_id, u.host"
		" ORDER BY u.clinic_id, u.account_id, u.host"
		" ON CONFLICT ON CONSTRAINT quota_pkey DO UPDATE SET"
		" used = q.used + EXCLUDED.used,"
		" quota_until = GREATEST(q.quota_until, EXCLUDED.quota_until)",
	.n_args = 6,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT4ARRAYOID,
			   TIMESTAMPTZARRAYOID, TIMESTAMPTZOID }
};

static ThPlan read_quota = {
	.text = "SELECT q.clinic_id, q.account_id, q.host, q.used, q.quota_until"
			" FROM telehealth_private.quota AS q"
			" WHERE q.day = ($1 AT TIME ZONE 'UTC')::date",
	.n_args = 1,
	.types = { TIMESTAMPTZOID }
};

static ThPlan vendor_limit = {
	.text = "SELECT COALESCE((SELECT l.value FROM telehealth.vendor_limit AS l"
			" WHERE l.vendor = $1 AND l.name = $2),"
			" (SELECT b.value FROM telehealth_private.builtin_vendor_limit AS b"
			" WHERE b.vendor = $1 AND b.name = $2), $3)",
	.n_args = 3,
	.types = { TEXTOID, TEXTOID, INT8OID }
};

void
th_history_write(const ThHistory *rows, int n)
{
	TimestampTz *times;
	int64 *numbers;
	int32 *integers;
	const char **texts;
	Datum values[14];

	if (n == 0)
		return;
	th_store_connect();
	TH_COLLECT(times, TimestampTz, rows[i].at);
	values[0] = th_array_timestamptz(times, n);
	TH_COLLECT(texts, const char *, th_job_kind_name(rows[i].job.kind));
	values[1] = th_array_text(texts, n);
	TH_COLLECT(numbers, int64, rows[i].job.clinic_id);
	values[2] = th_array_int64(numbers, n);
	TH_COLLECT(numbers, int64, rows[i].job.subject_id);
	values[3] = th_array_int64(numbers, n);
	TH_COLLECT(numbers, int64, rows[i].job.claim_no);
	values[4] = th_array_int64(numbers, n);
	TH_COLLECT(texts, const char *, rows[i].platform);
	values[5] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, rows[i].action);
	values[6] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, rows[i].outcome);
	values[7] = th_array_text(texts, n);
	TH_COLLECT(integers, int32, rows[i].http_status);
	values[8] = th_array_int32(integers, n);
	TH_COLLECT(texts, const char *, rows[i].code);
	values[9] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, rows[i].message);
	values[10] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, rows[i].host);
	values[11] = th_array_text(texts, n);
	TH_COLLECT(integers, int32, rows[i].total_ms);
	values[12] = th_array_int32(integers, n);
	TH_COLLECT(times, TimestampTz, rows[i].retry_at);
	values[13] = th_array_timestamptz(times, n);
	th_plan_run(&write_history, values, NULL, false);
	th_store_finish();
}

void
th_history_keep(TimestampTz now)
{
	ThOwnerScope scope;
	Datum values[4];

	values[0] = TimestampTzGetDatum(now);
	values[1] = Int32GetDatum(th_guc_history_days);
	values[2] = Int32GetDatum(th_guc_failure_history_days);
	values[3] = Int32GetDatum(TRIM_ROWS);
	/* tables are made and dropped, which a worker_role may not */
	th_owner_enter(&scope);
	th_store_connect();
	th_plan_run(&keep_history, values, NULL, false);
	th_store_finish();
	th_owner_leave(&scope);
}

int64
th_audit_chain(int limit)
{
	Datum values[1] = { Int32GetDatum(limit) };
	int64 n;

	th_store_connect();
	th_plan_run(&chain_audit, values, NULL, false);
	n = th_row_int32(0, 1);
	th_store_finish();
	return n;
}

void
th_quota_add(const ThQuota *rows, int n, TimestampTz now)
{
	TimestampTz *times;
	int64 *numbers;
	int32 *integers;
	const char **texts;
	Datum values[6];

	if (n == 0)
		return;
	th_store_connect();
	TH_COLLECT(numbers, int64, rows[i].clinic_id);
	values[0] = th_array_int64(numbers, n);
	TH_COLLECT(numbers, int64, rows[i].account_id);
	values[1] = th_array_int64(numbers, n);
	TH_COLLECT(texts, const char *, rows[i].host);
	values[2] = th_array_text(texts, n);
	TH_COLLECT(integers, int32, rows[i].used);
	values[3] = th_array_int32(integers, n);
	TH_COLLECT(times, TimestampTz, rows[i].until);
	values[4] = th_array_timestamptz(times, n);
	values[5] = TimestampTzGetDatum(now);
	th_plan_run(&add_quota, values, NULL, false);
	th_store_finish();
}

int
th_quota_read(TimestampTz now, ThQuota **rows)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[1] = { TimestampTzGetDatum(now) };
	int n;

	th_store_connect();
	th_plan_run(&read_quota, values, NULL, false);
	n = (int) SPI_processed;
	*rows = MemoryContextAllocZero(context, sizeof(ThQuota) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		ThQuota *row = &(*rows)[i];

		row->clinic_id = th_row_int64(i, 1);
		row->account_id = th_row_int64(i, 2);
		row->host = th_row_text(i, 3, context);
		row->used = th_row_int32(i, 4);
		row->until = th_row_timestamptz(i, 5);
	}
	th_store_finish();
	return n;
}

int64
th_vendor_limit(const char *vendor, const char *name, int64 otherwise)
{
	Datum values[3];
	int64 result;

	th_store_connect();
	values[0] = CStringGetTextDatum(vendor);
	values[1] = CStringGetTextDatum(name);
	values[2] = Int64GetDatum(otherwise);
	th_plan_run(&vendor_limit, values, NULL, false);
	result = th_row_int64(0, 1);
	th_store_finish();
	return result;
}
