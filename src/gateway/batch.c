/*
 * batch.c
 *	  The webhooks of one turn: one transaction.
 *
 * If it fails the batch is done again with a subtransaction for each, so that
 * only those fail that must. While somebody holds what a row needs, that
 * costs a lock timeout for each: the second try has a time of its own, and
 * what is left after it is put off.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"

#include "base/th_clock.h"
#include "base/th_debug.h"
#include "base/th_guc.h"
#include "crypto/keyring.h"
#include "gateway/batch.h"
#include "gateway/metrics.h"
#include "worker/transaction.h"
#include "worker/wake.h"

/* For all rows that are done again. */
#define SINGLY_MS 300

/* How long a row waits for a lock, in a batch and when done again. */
#define LOCK_TIMEOUT "100ms"
#define LOCK_TIMEOUT_AGAIN "20ms"

/* Who takes longer is stuck: a batch, and a row when done again. */
#define STATEMENT_MS 2500
#define STATEMENT_AGAIN_MS 500

bool
th_batch_is_passing(int sqlstate)
{
	int category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_INSUFFICIENT_RESOURCES ||
		   category == ERRCODE_TRANSACTION_ROLLBACK ||
		   category == ERRCODE_OPERATOR_INTERVENTION ||
		   category == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
		   category == ERRCODE_CONNECTION_EXCEPTION ||
		   category == ERRCODE_INVALID_TRANSACTION_STATE ||
		   category == ERRCODE_SYSTEM_ERROR;
}

/* What public_url and the target say was called; NULL: not known. */
static const char *
called_url(const ThHttpRequest *request)
{
	size_t length = strlen(th_guc_public_url);

	while (length > 0 && th_guc_public_url[length - 1] == '/')
		length--;
	return length == 0 ? NULL
					   : psprintf("%.*s%s", (int) length, th_guc_public_url,
								  request->target);
}

static void
fill(ThWebhookDelivery *delivery, const ThHttpRequest *request)
{
	memset(delivery, 0, sizeof(*delivery));
	delivery->source = request->route->source;
	delivery->url = called_url(request);
	delivery->headers = request->headers;
	delivery->n_headers = request->n_headers;
	delivery->body = request->body == NULL ? "" : request->body;
	delivery->body_length = request->body_length;
	delivery->received_at = request->received_at;
}

/* What a delivery's answer is at its route. */
static void
answer(ThHttpRequest *request, const ThWebhookDelivery *delivery)
{
	if (delivery->status == 200 && delivery->reply == NULL)
	{
		const char *reply = request->route->accepted == 202
								? "{\"status\":\"accepted\"}"
								: "{\"status\":\"ok\"}";

		th_request_answer(request, request->route->accepted, "application/json",
						  reply, strlen(reply));
		request->is_common = true;
	}
	else if (delivery->reply == NULL)
		th_request_refuse(request, delivery->status);
	else
		th_request_answer(request, delivery->status, delivery->content_type,
						  delivery->reply, strlen(delivery->reply));
	if (delivery->status == 503 && request->n_reply_headers == 0)
		th_request_put_off(request);
	th_metrics_note(TH_COUNT_INSERTED, delivery->is_inserted ? 1 : 0);
}

/* What is new is the dispatcher's to look at, at once. */
static void
receive(ThWebhookDelivery *deliveries, int n)
{
	if (!th_webhook_receive(deliveries, n))
		th_wake_for_unmarked_at_commit();
	for (int i = 0; i < n; i++)
		if (deliveries[i].is_inserted)
			th_wake_at_commit();
}

static void
limit_statements(int time_ms)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	enable_timeout_after(STATEMENT_TIMEOUT, time_ms);
}

/* As the worker's role, with a shorter time for statements. */
static bool
begin(void)
{
	if (th_transaction_begin("webhooks") != TH_EXTENSION_READY)
		return false;
	limit_statements(STATEMENT_MS);
	return true;
}

/* After an error: the message, the transaction and the context are gone. */
static int
end_failed(MemoryContext context, bool is_reported)
{
	int sqlstate = geterrcode();

	if (is_reported)
		EmitErrorReport();
	FlushErrorState();
	disable_all_timeouts(false);
	AbortCurrentTransaction();
	MemoryContextSwitchTo(context);
	return sqlstate;
}

/* True if the batch is committed; false also if there is nothing to write to. */
static bool
run_together(ThWebhookDelivery *deliveries, int n, bool *is_possible)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool is_done = false;
	volatile bool has_extension = true;

	PG_TRY();
	{
		has_extension = begin();
		if (has_extension)
		{
			MemoryContextSwitchTo(context);
			TH_WAITPOINT("gateway_batch");
			receive(deliveries, n);
			th_transaction_commit();
			is_done = true;
		}
	}
	PG_CATCH();
	{
		(void) end_failed(context, false);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	*is_possible = has_extension;
	return is_done;
}

/* One row of the second try, inside the transaction; the SQLSTATE if it failed. */
static int
run_one(ThWebhookDelivery *delivery)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int sqlstate = 0;

	limit_statements(STATEMENT_AGAIN_MS);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		receive(delivery, 1);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		sqlstate = geterrcode();
		MemoryContextSwitchTo(context);
		if (!th_batch_is_passing(sqlstate))
			EmitErrorReport();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return sqlstate;
}

static void
run_all(ThWebhookDelivery *deliveries, int n)
{
	int64 deadline = th_clock_monotonic_ms() + SINGLY_MS;

	for (int i = 0; i < n; i++)
	{
		int sqlstate;

		if (th_clock_monotonic_ms() >= deadline)
		{
			deliveries[i].status = 503;
			continue;
		}
		sqlstate = run_one(&deliveries[i]);
		if (sqlstate == 0)
			continue;
		deliveries[i].status = th_batch_is_passing(sqlstate) ? 503 : 500;
		deliveries[i].reply = NULL;
		deliveries[i].is_inserted = false;
	}
	limit_statements(STATEMENT_MS); /* for the commit */
}

/* The second try: true if it is committed. */
static bool
run_singly(ThWebhookDelivery *deliveries, int n)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool is_done = false;

	SetConfigOption("lock_timeout", LOCK_TIMEOUT_AGAIN, PGC_USERSET,
					PGC_S_OVERRIDE);
	PG_TRY();
	{
		if (begin())
		{
			MemoryContextSwitchTo(context);
			run_all(deliveries, n);
			th_transaction_commit();
			is_done = true;
		}
	}
	PG_CATCH();
	{
		(void) end_failed(context, true);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_USERSET, PGC_S_OVERRIDE);
	return is_done;
}

/* A sender's handshake needs no database: the number of those that do. */
static int
answer_handshakes(ThHttpRequest **requests, int n)
{
	int n_left = 0;

	for (int i = 0; i < n; i++)
	{
		ThWebhookDelivery delivery;

		fill(&delivery, requests[i]);
		delivery.url = requests[i]->target;
		if (th_webhook_answer_at_once(&delivery))
			answer(requests[i], &delivery);
		else
			requests[n_left++] = requests[i];
	}
	return n_left;
}

static void
run(ThHttpRequest **requests, int n)
{
	ThWebhookDelivery *deliveries = palloc_array(ThWebhookDelivery, n);
	bool is_possible;
	bool is_done;

	th_keyring_warm();
	for (int i = 0; i < n; i++)
		fill(&deliveries[i], requests[i]);
	th_metrics_note(TH_COUNT_RECEIVED, (uint64) n);
	th_metrics_note(TH_COUNT_BATCHES, 1);
	th_metrics_note(TH_COUNT_BATCH_ROWS, (uint64) n);
	is_done = run_together(deliveries, n, &is_possible);
	if (!is_done && is_possible)
	{
		th_metrics_note(TH_COUNT_BATCH_FAILURES, 1);
		for (int i = 0; i < n; i++)
			fill(&deliveries[i], requests[i]);
		is_done = run_singly(deliveries, n);
	}
	for (int i = 0; i < n; i++)
	{
		if (is_done)
			answer(requests[i], &deliveries[i]);
		else
			th_request_put_off(requests[i]);
	}
}

void
th_batch_run(ThHttpRequest **requests, int n)
{
	ThHttpRequest **left = palloc_array(ThHttpRequest *, n);

	memcpy(left, requests, sizeof(ThHttpRequest *) * n);
	n = answer_handshakes(left, n);
	if (n > 0)
		run(left, n);
}
