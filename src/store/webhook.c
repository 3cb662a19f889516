/*
 * webhook.c
 *	  Rows of telehealth.webhook_event, and the secrets that verify them.
 */
#include "postgres.h"

#include <string.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "store/plans.h"
#include "store/webhook.h"

/*
 * An account of an earlier version, or one by OAuth, may have no key yet. Where
 * all are asked for, those that only a challenge needs come last: nobody can
 * ask so that a genuine event of the same batch finds its secret cut off.
 */
static ThPlan get_secrets = {
	.text =
		"SELECT x.clinic_id, x.id, s.name, x.vendor_key, s.envelope"
		" FROM telehealth.account AS x"
		" JOIN telehealth_private.account_secret AS s"
		" ON s.clinic_id = x.clinic_id AND s.account_id = x.id"
		" WHERE x.platform = $1 AND x.status <> 'disconnected'"
		" AND (x.vendor_key = ANY ($3) OR x.vendor_key IS NULL"
		" OR x.clinic_id = 0 OR $4)"
		" AND s.name = ANY ($2) AND (s.expires_at IS NULL OR s.expires_at > $5)"
		" ORDER BY CASE WHEN x.vendor_key = ANY ($3) THEN 0"
		" WHEN x.vendor_key IS NULL OR x.clinic_id = 0 THEN 1 ELSE 2 END,"
		" array_position($2, s.name), x.clinic_id, x.id LIMIT $6",
	.n_args = 6,
	.types = { TEXTOID, TEXTARRAYOID, BYTEAARRAYOID, BOOLOID, TIMESTAMPTZOID,
			   INT8OID }
};

/*
 * Moving is delete and insert: the clinic leads every key. Within a clinic it
 * is an update, since an insert would meet the row that is to go.
 */
#define REMATCH(condition)                                                      \
	"WITH found AS MATERIALIZED (SELECT e.clinic_id, e.id,"                     \
	" s.clinic_id AS to_clinic, s.id AS to_session,"                            \
	" COALESCE(s.account_clinic_id, e.account_clinic_id) AS to_account_clinic," \
	" COALESCE(s.account_id, e.account_id) AS to_account"                       \
	" FROM telehealth.webhook_event AS e"                                       \
	" CROSS JOIN LATERAL (SELECT t.clinic_id, t.id, t.account_clinic_id,"       \
	" t.account_id FROM (SELECT t.* FROM telehealth.session AS t"               \
	" WHERE t.meeting_id = e.meeting_id OFFSET 0) AS t"                         \
	" WHERE (t.account_id IS NULL AND t.platform = 'mock')"                     \
	" OR (t.account_clinic_id = e.account_clinic_id"                            \
	" AND t.account_id = e.account_id)"                                         \
	" OR t.account_clinic_id || '/' || t.account_id = ANY (e.signers)"          \
	" ORDER BY t.retired_at DESC NULLS FIRST, t.id DESC LIMIT 1) AS s"          \
	" WHERE e.outcome = 'unmatched' AND " condition                             \
	" ORDER BY e.id LIMIT $2 FOR UPDATE OF e SKIP LOCKED"                       \
	"), here AS (UPDATE telehealth.webhook_event AS e SET"                      \
	" session_id = f.to_session, outcome = NULL, signers = NULL,"               \
	" account_clinic_id = f.to_account_clinic, account_id = f.to_account"       \
	" FROM found AS f"                                                          \
	" WHERE f.to_clinic = f.clinic_id AND e.clinic_id = f.clinic_id"            \
	" AND e.id = f.id"                                                          \
	"), gone AS (DELETE FROM telehealth.webhook_event AS e USING found AS f"    \
	" WHERE f.to_clinic <> f.clinic_id AND e.clinic_id = f.clinic_id"           \
	" AND e.id = f.id RETURNING e.*, f.to_clinic, f.to_session,"                \
	" f.to_account_clinic, f.to_account"                                        \
	"), put AS (INSERT INTO telehealth.webhook_event (clinic_id, id, source,"   \
	" event_name, event_at, account_ref, account_clinic_id, account_id,"        \
	" meeting_id, meeting_uuid, session_id, participant_id,"                    \
	" participant_name, latency_ms, interpreter_requested, raw,"                \
	" business_key, received_at)"                                               \
	" SELECT g.to_clinic, g.id, g.source, g.event_name, g.event_at,"            \
	" g.account_ref, g.to_account_clinic, g.to_account, g.meeting_id,"          \
	" g.meeting_uuid, g.to_session, g.participant_id, g.participant_name,"      \
	" g.latency_ms, g.interpreter_requested, g.raw, g.business_key,"            \
	" g.received_at FROM gone AS g"                                             \
	" ORDER BY g.to_clinic, g.business_key, g.source"                           \
	" ON CONFLICT ON CONSTRAINT webhook_event_business_key_key DO NOTHING)"     \
	" SELECT f.to_clinic, f.to_session FROM found AS f"

static ThPlan rematch_meetings = { .text = REMATCH("e.meeting_id = ANY ($1)"),
								   .n_args = 2,
								   .types = { TEXTARRAYOID, INT8OID } };

static ThPlan rematch_since = {
	.text = REMATCH("e.session_id IS NULL AND e.received_at >= $1"),
	.n_args = 2,
	.types = { TIMESTAMPTZOID, INT8OID }
};

static ThPlan delete_sessionless = {
	.text = "DELETE FROM telehealth.webhook_event AS e USING ("
			"SELECT o.clinic_id, o.id FROM telehealth.webhook_event AS o"
			" WHERE o.session_id IS NULL AND o.received_at < $1"
			" AND NOT EXISTS (SELECT FROM telehealth_private.history_hold)"
			" ORDER BY o.received_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS o"
			" WHERE e.clinic_id = o.clinic_id AND e.id = o.id",
	.n_args = 2,
	.types = { TIMESTAMPTZOID, INT8OID }
};

static ThPlan note_challenge = {
	.text = "UPDATE telehealth.account AS x SET challenged_at = $3"
			" FROM (SELECT y.clinic_id, y.id FROM telehealth.account AS y"
			" WHERE y.clinic_id = $1 AND y.id = $2 FOR UPDATE SKIP LOCKED) AS y"
			" WHERE x.clinic_id = y.clinic_id AND x.id = y.id"
			" AND x.challenged_at IS DISTINCT FROM $3",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

/* A copy of a bytea column in "context", NULL for NULL. */
static bytea *
copy_bytes(uint64 row, int column, MemoryContext context)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);
	MemoryContext old;
	bytea *copy;

	if (is_null)
		return NULL;
	old = MemoryContextSwitchTo(context);
	copy = DatumGetByteaPCopy(value);
	MemoryContextSwitchTo(old);
	return copy;
}

int
th_webhook_secrets(const char *platform, const char *const *names, int n_names,
				   bytea *const *keys, int n_keys, bool is_all, TimestampTz now,
				   ThWebhookSealed **secrets)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[6];
	int n;

	th_store_connect();
	values[0] = CStringGetTextDatum(platform);
	values[1] = th_array_text(names, n_names);
	values[2] = th_array_bytea(keys, n_keys);
	values[3] = BoolGetDatum(is_all);
	values[4] = TimestampTzGetDatum(now);
	values[5] = Int64GetDatum(TH_WEBHOOK_MOST_SECRETS);
	th_plan_run(&get_secrets, values, NULL, false);
	n = (int) SPI_processed;
	*secrets = MemoryContextAllocZero(context,
									  sizeof(ThWebhookSealed) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		ThWebhookSealed *s = &(*secrets)[i];

		s->clinic_id = th_row_int64(i, 1);
		s->account_id = th_row_int64(i, 2);
		s->name = th_row_text(i, 3, context);
		s->vendor_key = copy_bytes(i, 4, context);
		s->envelope = copy_bytes(i, 5, context);
	}
	th_store_finish();
	return n;
}

static int
run_rematch(ThPlan *plan, Datum which, int limit, ThWebhookSubject **subjects,
			MemoryContext context)
{
	Datum values[2] = { which, Int64GetDatum(limit) };
	int n_moved;

	th_plan_run(plan, values, NULL, false);
	n_moved = (int) SPI_processed;
	*subjects = MemoryContextAlloc(context,
								   sizeof(ThWebhookSubject) * Max(n_moved, 1));
	for (int i = 0; i < n_moved; i++)
	{
		(*subjects)[i].clinic_id = th_row_int64(i, 1);
		(*subjects)[i].session_id = th_row_int64(i, 2);
	}
	return n_moved;
}

int
th_webhook_rematch(const char *const *meeting_ids, int n, int limit,
				   ThWebhookSubject **subjects)
{
	MemoryContext context = CurrentMemoryContext;
	int n_moved;

	th_store_connect();
	n_moved = run_rematch(&rematch_meetings, th_array_text(meeting_ids, n),
						  limit, subjects, context);
	th_store_finish();
	return n_moved;
}

int
th_webhook_rematch_since(TimestampTz since, int limit,
						 ThWebhookSubject **subjects)
{
	MemoryContext context = CurrentMemoryContext;
	int n_moved;

	th_store_connect();
	n_moved = run_rematch(&rematch_since, TimestampTzGetDatum(since), limit,
						  subjects, context);
	th_store_finish();
	return n_moved;
}

int
th_webhook_forget(TimestampTz before, int limit)
{
	Datum values[2] = { TimestampTzGetDatum(before), Int64GetDatum(limit) };
	int n;

	th_store_connect();
	th_plan_run(&delete_sessionless, values, NULL, false);
	n = (int) SPI_processed;
	th_store_finish();
	return n;
}

void
th_webhook_note_challenge(int64 clinic_id, int64 account_id, TimestampTz at)
{
	Datum values[3];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(account_id);
	values[2] = TimestampTzGetDatum(at);
	th_plan_run(&note_challenge, values, NULL, false);
	th_store_finish();
}
