/*
 * grant.c
 *	  Exchanges of OAuth codes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "base/th_clock.h"
#include "base/th_debug.h"
#include "base/th_error.h"
#include "base/th_guard.h"
#include "flow/oauth.h"
#include "worker/grant.h"
#include "worker/run.h"
#include "worker/transaction.h"

/* What was granted is tried to be written so often, for so long. */
#define WRITE_EVERY_MS 200
#define WRITE_FOR_MS 30000

typedef struct ThGrant
{
	dlist_node node;
	ThAsk ask;
	ThOauthExchange exchange;
	ThCall call;
	bool is_ready; /* there is something to be exchanged */
	bool
		is_told; /* who asked has the answer; the account is asked whose it is */
	int64 write_until_ms;
	int64 next_write_ms;
} ThGrant;

static dlist_head begun = DLIST_STATIC_INIT(begun);     /* not committed */
static dlist_head waiting = DLIST_STATIC_INIT(waiting); /* for the engine */
static dlist_head running = DLIST_STATIC_INIT(running);
static dlist_head granted = DLIST_STATIC_INIT(granted); /* to be written */
static int n_running = 0;

/* Tells who asked, and forgets it all. */
static void
finish(ThGrant *grant, int sqlstate, const char *reply, const char *hint)
{
	if (!grant->is_told)
		th_mailbox_answer(&grant->ask, sqlstate, reply, hint);
	MemoryContextDelete(grant->exchange.context);
}

static void
finish_as_said(ThGrant *grant)
{
	finish(grant, grant->exchange.sqlstate, grant->exchange.reply,
		   grant->exchange.hint);
}

void
th_grant_begin(const ThAsk *ask, TimestampTz now)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "telehealth grant",
												  ALLOCSET_SMALL_SIZES);
	ThGrant *grant = MemoryContextAllocZero(context, sizeof(ThGrant));
	char *code;

	grant->ask = *ask;
	grant->exchange.context = context;
	grant->exchange.clinic_id = ask->clinic_id;
	grant->exchange.state_id = ask->subject_id;
	dlist_push_tail(&begun, &grant->node);
	code = th_guard_secret(context, TH_MAILBOX_QUESTION);
	if (!th_mailbox_question(ask, code))
		return; /* nobody waits: the state is good for another try */
	grant->exchange.code = code;
	grant->is_ready = th_oauth_load(&grant->exchange, now);
}

void
th_grant_begun(void)
{
	while (!dlist_is_empty(&begun))
	{
		ThGrant *grant = dlist_container(ThGrant, node,
										 dlist_pop_head_node(&begun));

		if (grant->is_ready)
			dlist_push_tail(&waiting, &grant->node);
		else if (grant->exchange.reply != NULL)
			finish_as_said(grant);
		else
			MemoryContextDelete(grant->exchange.context);
	}
}

void
th_grant_abort(void)
{
	while (!dlist_is_empty(&begun))
		finish(dlist_container(ThGrant, node, dlist_pop_head_node(&begun)),
			   ERRCODE_INTERNAL_ERROR,
			   "the worker could not look at the question",
			   "Look at the server log.");
}

/* The code, or the question whose account it is. */
static void
send_question(ThGrant *grant)
{
	ThHttpRequest request;
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "telehealth code exchange",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	TH_WAITPOINT("before_exchange");
	if (!grant->is_told)
		th_oauth_request(&grant->exchange, &request);
	else
		th_oauth_request_owner(&grant->exchange, &request);
	grant->call.grant = grant;
	th_run_send(&request, &grant->call);
	dlist_delete(&grant->node);
	dlist_push_tail(&running, &grant->node);
	n_running += grant->is_told ? 0 : 1;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

void
th_grant_start(const char *held)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &waiting)
	{
		ThGrant *grant = dlist_container(ThGrant, node, iter.cur);

		if (held != NULL)
		{
			dlist_delete(&grant->node);
			finish(grant, ERRCODE_TH_OUTBOUND_HELD,
				   psprintf("outward work is held: %s", held),
				   "Look at telehealth.health.");
		}
		else if (th_http_room(th_http_engine()) > 0)
			send_question(grant);
	}
}

void
th_grant_collect(ThGrant *grant, const ThHttpResult *result, TimestampTz now)
{
	bool has_grant;

	dlist_delete(&grant->node);
	n_running -= grant->is_told ? 0 : 1;
	has_grant = grant->is_told ? th_oauth_take_owner(&grant->exchange, result)
							   : th_oauth_take(&grant->exchange, result, now);
	if (result->body != NULL)
		explicit_bzero(result->body, result->body_length);
	if (!has_grant)
	{
		finish_as_said(grant);
		return;
	}
	grant->next_write_ms = th_clock_monotonic_ms();
	grant->write_until_ms = grant->next_write_ms + WRITE_FOR_MS;
	dlist_push_tail(&granted, &grant->node);
}

/* True if it was written; an error is the grant's own, and may pass. */
static bool
try_write(ThGrant *grant)
{
	MemoryContext outer = CurrentMemoryContext;
	volatile bool is_written = false;

	PG_TRY();
	{
		if (th_transaction_begin("grant") == TH_EXTENSION_READY)
		{
			if (grant->is_told)
				th_oauth_write_owner(&grant->exchange);
			else
				th_oauth_write(&grant->exchange, th_clock_now());
			th_transaction_commit();
			is_written = true;
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(outer);
		EmitErrorReport();
		FlushErrorState();
		disable_all_timeouts(false);
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	return is_written;
}

/* What was granted is written; an account is asked whose it is. */
static void
finish_or_ask(ThGrant *grant)
{
	ThOauthExchange *x = &grant->exchange;

	if (grant->is_told || !th_oauth_has_owner(x))
	{
		finish_as_said(grant);
		return;
	}
	th_mailbox_answer(&grant->ask, x->sqlstate, x->reply, x->hint);
	grant->is_told = true;
	dlist_push_tail(&waiting, &grant->node);
}

bool
th_grant_settle(void)
{
	bool is_any = false;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &granted)
	{
		ThGrant *grant = dlist_container(ThGrant, node, iter.cur);
		int64 now_ms = th_clock_monotonic_ms();

		if (grant->next_write_ms > now_ms)
			continue;
		if (try_write(grant))
		{
			is_any = true;
			dlist_delete(&grant->node);
			finish_or_ask(grant);
		}
		else if (now_ms >= grant->write_until_ms)
		{
			dlist_delete(&grant->node);
			finish(grant, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				   "what was granted could not be written",
				   "Look at the server log, and begin again.");
		}
		else
			grant->next_write_ms = now_ms + WRITE_EVERY_MS;
	}
	return is_any;
}

int
th_grant_wait_ms(void)
{
	int64 now_ms = th_clock_monotonic_ms();
	int64 wait = -1;
	dlist_iter iter;

	dlist_foreach(iter, &granted)
	{
		ThGrant *grant = dlist_container(ThGrant, node, iter.cur);
		int64 left = Max(grant->next_write_ms - now_ms, 0);

		wait = wait < 0 ? left : Min(wait, left);
	}
	return (int) wait;
}

int
th_grant_running(void)
{
	return n_running;
}

void
th_grant_abandon(void)
{
	while (!dlist_is_empty(&waiting))
		finish(dlist_container(ThGrant, node, dlist_pop_head_node(&waiting)),
			   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			   "the worker is stopping", "Begin again with a new address.");
}
