/*
 * fn_sync.c
 *	  Pulls of a provider's calendars on demand.
 *
 * Who waits cannot mark: the dispatcher would not see it before the
 * statement's transaction ends. So the dispatcher is asked to.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "api/interval.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "store/access.h"
#include "store/audit.h"
#include "store/calendar_sync.h"
#include "store/owner.h"
#include "worker/mailbox.h"
#include "worker/slot.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_sync_calendar);

/* Looks at least so often, whatever the dispatcher says. */
#define RECHECK_MS 1000

#define COLUMNS 4

typedef struct Request
{
	int64 clinic_id;
	int64 provider_id;
	bool confirms;
	bool waits;
	long timeout_ms;
} Request;

static void
refuse_nothing(const Request *request)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("provider " INT64_FORMAT " has no calendar that is pulled",
					request->provider_id),
			 errhint("telehealth.calendar_status tells which "
					 "calendars are connected.")));
}

static void
read_request(FunctionCallInfo fcinfo, Request *request)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not be null",
							   PG_ARGISNULL(0) ? "provider_id"
											   : "confirm_deletions")));
	request->clinic_id = th_guc_clinic();
	request->provider_id = PG_GETARG_INT64(0);
	request->confirms = PG_GETARG_BOOL(2);
	request->waits = !PG_ARGISNULL(1);
	request->timeout_ms = request->waits
							  ? th_interval_ms(PG_GETARG_INTERVAL_P(1))
							  : 0;
	(void) th_access_require(request->confirms ? TH_ACCESS_ADMIN
											   : TH_ACCESS_APP,
							 request->clinic_id);
	if (request->waits && IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("calendars cannot be awaited under snapshot "
							   "isolation"),
						errhint("Use READ COMMITTED: this transaction would "
								"never see what was pulled.")));
	if (request->confirms)
		th_audit_write(&request->clinic_id, &request->provider_id, 1,
					   "confirm_deletions", "provider", NULL);
}

static int
read_states(const Request *request, ThSyncState **states)
{
	ThOwnerScope scope;
	int n;

	th_owner_enter(&scope);
	n = th_sync_read(request->clinic_id, request->provider_id, states);
	th_owner_leave(&scope);
	return n;
}

/* ---- without waiting ---- */

static void
mark(const Request *request)
{
	ThOwnerScope scope;
	int n;

	th_owner_enter(&scope);
	n = th_sync_mark(request->clinic_id, request->provider_id,
					 request->confirms, true, th_clock_now());
	th_owner_leave(&scope);
	if (n == 0)
		refuse_nothing(request);
	th_wake_at_commit();
}

/* ---- with it ---- */

static const ThSyncState *
find_state(const ThSyncState *states, int n, int64 connection_id)
{
	for (int i = 0; i < n; i++)
	{
		if (states[i].connection_id == connection_id)
			return &states[i];
	}
	return NULL;
}

/* A calendar that needs its provider first, or could not be read, is done. */
static bool
is_done(const ThSyncState *was, const ThSyncState *is, TimestampTz since)
{
	return is == NULL || !is->is_connected || is->last_sync_at >= since ||
		   is->pull_errors > was->pull_errors;
}

/* What has changed since into "counts"; false while a calendar is not done. */
static bool
compare(const ThSyncState *was, int n_was, const ThSyncState *states, int n,
		TimestampTz since, int64 *counts)
{
	bool is_all = true;

	memset(counts, 0, sizeof(int64) * COLUMNS);
	for (int i = 0; i < n_was; i++)
	{
		const ThSyncState *is = find_state(states, n, was[i].connection_id);

		is_all &= is_done(&was[i], is, since);
		if (is == NULL)
			continue;
		counts[0] += is->created - was[i].created;
		counts[1] += is->updated - was[i].updated;
		counts[2] += is->deleted - was[i].deleted;
		counts[3] += is->errors - was[i].errors + (is->is_connected ? 0 : 1);
	}
	return is_all;
}

static void
await(const Request *request, int64 *counts)
{
	int64 start = th_clock_monotonic_ms();
	TimestampTz since = th_clock_now();
	ThSyncState *was;
	int n_was = read_states(request, &was);

	if (n_was == 0)
		refuse_nothing(request);
	(void) th_mailbox_ask(TH_ASK_SYNC, request->clinic_id, request->provider_id,
						  request->confirms ? "confirm" : NULL,
						  Max(request->timeout_ms, 1));
	for (;;)
	{
		/* Before the look, so that a settle between the two is not missed. */
		uint64 seen = th_slot_settle_count(MyDatabaseId);
		int64 left = start + request->timeout_ms - th_clock_monotonic_ms();
		ThSyncState *states;
		int n = read_states(request, &states);

		if (compare(was, n_was, states, n, since, counts))
			return;
		pfree(states);
		if (left <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("calendars of provider " INT64_FORMAT
							" are not synchronized yet",
							request->provider_id),
					 errdetail("It goes on; what was pulled so far counts."),
					 errhint("telehealth.calendar_status tells what it waits "
							 "for.")));
		th_slot_wait_settle(MyDatabaseId, seen, (long) Min(left, RECHECK_MS));
		CHECK_FOR_INTERRUPTS();
	}
}

Datum
th_sql_sync_calendar(PG_FUNCTION_ARGS)
{
	Request request;
	int64 counts[COLUMNS];
	Datum values[COLUMNS] = { 0 };
	bool nulls[COLUMNS] = { true, true, true, true };
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	read_request(fcinfo, &request);
	if (!request.waits)
		mark(&request);
	else
	{
		await(&request, counts);
		for (int i = 0; i < COLUMNS; i++)
		{
			values[i] = Int64GetDatum(counts[i]);
			nulls[i] = false;
		}
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
