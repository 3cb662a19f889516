/*
 * run.c
 *	  Works between claim and settle.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_debug.h"
#include "base/th_guc.h"
#include "flow/ask.h"
#include "flow/meeting.h"
#include "flow/visit.h"
#include "worker/calendar_pool.h"
#include "worker/calendar_run.h"
#include "worker/calendar_slow.h"
#include "worker/grant.h"
#include "worker/mailbox.h"
#include "worker/pool.h"
#include "worker/pool_line.h"
#include "worker/pool_token.h"
#include "worker/run.h"
#include "worker/send.h"

/* Works that could not start for longer than this go back to the queue. */
#define MAX_HOLD_US (2 * USECS_PER_SEC)

static dlist_head ready[TH_PRIORITY_COUNT];
static dlist_head running;
static dlist_head finished;
static int n_ready = 0;
static int n_running = 0;
static int n_finished = 0;
static TimestampTz next_start = 0;

void
th_run_init(void)
{
	for (int i = 0; i < TH_PRIORITY_COUNT; i++)
		dlist_init(&ready[i]);
	dlist_init(&running);
	dlist_init(&finished);
}

ThBatch *
th_run_new_batch(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "telehealth batch",
												  ALLOCSET_DEFAULT_SIZES);
	ThBatch *batch = MemoryContextAllocZero(context, sizeof(ThBatch));

	batch->context = context;
	return batch;
}

ThWork *
th_run_new(ThBatch *batch)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "telehealth work",
												  ALLOCSET_SMALL_SIZES);
	ThWork *work = MemoryContextAllocZero(context, sizeof(ThWork));

	work->context = context;
	work->batch = batch;
	if (batch != NULL)
		batch->live++;
	return work;
}

void
th_run_free(ThWork *work)
{
	ThBatch *batch = work->batch;

	MemoryContextDelete(work->context);
	if (batch != NULL && --batch->live == 0)
		MemoryContextDelete(batch->context);
}

int
th_run_ready(void)
{
	return n_ready;
}

int
th_run_running(void)
{
	return n_running;
}

int
th_run_finished(void)
{
	return n_finished;
}

static void
answer_backend(ThWork *work)
{
	ThAsk ask = { .ticket = work->ask->ticket, .number = work->ask->number };

	th_mailbox_answer(&ask, work->ask->sqlstate, work->ask->reply,
					  work->ask->hint);
	if (work->ask->reply != NULL)
		explicit_bzero(work->ask->reply, strlen(work->ask->reply));
	th_run_free(work);
}

/* The account knows how many works wait for it. */
static void
count_waiting(const ThWork *work, int by)
{
	if (work->pool == NULL)
		return;
	work->pool->waiting += by;
	if (work->ask == NULL && work->job.priority == TH_PRIORITY_NEAR)
		work->pool->waiting_near += by;
}

/* Puts a work into the list of its state. */
static void
enlist(ThWork *work)
{
	if (work->state == TH_WORK_FINISHED && work->ask != NULL)
		answer_backend(work);
	else if (work->state == TH_WORK_FINISHED)
	{
		dlist_push_tail(&finished, &work->node);
		n_finished++;
	}
	else
	{
		dlist_push_tail(&ready[work->job.priority], &work->node);
		n_ready++;
		count_waiting(work, 1);
	}
}

void
th_run_add(ThWork *work)
{
	enlist(work);
}

/* Takes a READY work out of its list. */
static void
unlist_ready(ThWork *work)
{
	dlist_delete(&work->node);
	n_ready--;
	count_waiting(work, -1);
}

/*
 * Hands the answer to the work's flow. An error there is the work's own
 * failure and nobody else's.
 */
static void
advance(ThWork *work, const ThMeetingAnswer *answer, const ThHttpResult *result,
		TimestampTz now)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		MemoryContextSwitchTo(work->calendar != NULL ? work->context : old);
		if (work->ask != NULL)
			th_ask_advance(work, answer, result, now);
		else if (work->calendar != NULL)
			work->calendar->flow->advance(work, result, now);
		else if (work->visit != NULL)
			th_visit_advance(work, answer, result, now);
		else
			th_meeting_advance(work, answer, result, now);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(work->context);
		error = CopyErrorData();
		FlushErrorState();
		MemoryContextSwitchTo(old);
		if (work->ask != NULL)
		{
			work->state = TH_WORK_FINISHED;
			work->ask->sqlstate = error->sqlerrcode;
			work->ask->reply = error->message;
		}
		else
			th_work_later(work, now, 0, NULL, error->message);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

static void
refuse(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	if (work->calendar != NULL)
	{
		th_calendar_refuse(work, now);
		return;
	}
	if (work->ask != NULL)
		th_ask_refuse(work, answer);
	else if (work->visit != NULL)
		th_visit_refuse(work, answer, now);
	else
		th_meeting_refuse(work, answer, now);
	if (work->ask == NULL && work->visit == NULL &&
		work->pool->is_key_missing && !th_meeting_goes_elsewhere(work, answer))
	{
		/* the file may be back any time: no growing backoff */
		work->settle.waiting_for = "key_missing";
		work->settle.due_at = th_pool_release_at(work,
												 work->pool->refused_until);
	}
}

/* The mock answers at once, call after call. */
static void
run_locally(ThWork *work)
{
	while (work->state == TH_WORK_READY)
	{
		ThMeetingAnswer answer;
		MemoryContext old = MemoryContextSwitchTo(work->context);

		work->platform->answer(work->op, &work->wish,
							   work->target == NULL ? NULL
													: work->target->meeting_id,
							   &answer);
		MemoryContextSwitchTo(old);
		advance(work, &answer, NULL, th_clock_now());
	}
}

static void
send_call(ThWork *work, const ThHttpRequest *request, ThCall *call)
{
	call->work = work;
	th_run_send(request, call);
	unlist_ready(work);
	work->state = TH_WORK_RUNNING;
	dlist_push_tail(&running, &work->node);
	n_running++;
}

/* Of a pull's many pages none leaves its request behind. */
static void
start_calendar(ThWork *work, ThCall *call, TimestampTz now)
{
	ThHttpRequest request;
	MemoryContext scratch = AllocSetContextCreate(work->context,
												  "telehealth request",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	th_calendar_build(work, &request);
	send_call(work, &request, call);
	th_calendar_pool_started(work, now);
	work->calendar->account.revoke_url = NULL;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

static void
start_call(ThWork *work, TimestampTz now)
{
	ThPlatformAccount there = { 0 };
	ThHttpRequest request;
	MemoryContext old = MemoryContextSwitchTo(work->context);
	ThCall *call = palloc0_object(ThCall);

	TH_WAITPOINT("before_send");
	if (work->calendar != NULL)
	{
		start_calendar(work, call, now);
		MemoryContextSwitchTo(old);
		TH_WAITPOINT("sent");
		return;
	}
	there.api_url = work->pool->api_url;
	there.token_url = work->pool->token_url;
	there.token = work->pool->token;
	there.timeout_ms = work->pool->timeout_ms;
	work->platform->build(work->op, &there, &work->wish,
						  th_work_meeting_id(work), work->page, &request);
	send_call(work, &request, call);
	th_pool_started(work, now);
	MemoryContextSwitchTo(old);
	TH_WAITPOINT("sent");
}

/* True if there is a token; else it is on its way, or the work is finished. */
static bool
ensure_token(ThWork *work, TimestampTz now)
{
	ThPoolAccount *account = work->pool;

	if (th_pool_has_token(account, now))
	{
		if (work->ask != NULL && work->ask->topic == TH_ASK_TOPIC_CHECK)
			th_ask_note_token(work, account->scopes, account->token_expires_at,
							  account->skew_ms, now);
		return true;
	}
	if (account->token_state == TH_TOKEN_FETCHING ||
		account->token_state == TH_TOKEN_UNSAVED)
		return false;
	if (account->token_state == TH_TOKEN_REFUSED &&
		(account->refused_until > now || account->is_key_missing))
	{
		refuse(work, &account->refusal, now);
		return false;
	}
	th_send_token(account);
	return false;
}

/* Gives a work that cannot start for a while back to the queue. */
static void
release(ThWork *work, TimestampTz at, const char *why, TimestampTz now)
{
	if (work->calendar != NULL)
	{
		th_calendar_release(work, at, why, now);
		return;
	}
	if (work->ask != NULL)
	{
		ThMeetingAnswer answer = { .verdict = TH_VERDICT_RATE_LIMITED };

		answer.message = unconstify(char *, why);
		th_ask_refuse(work, &answer);
		return;
	}
	if (work->op == TH_OP_CREATE)
	{
		/* never sent: no doubt about what the vendor did */
		work->target->has_intent = false;
		work->writes_session = true;
	}
	th_work_later(work, now, at, why, NULL);
}

static bool
needs_token(const ThWork *work)
{
	return work->calendar == NULL || th_calendar_needs_token(work);
}

/* Tries to start one work; it stays READY, RUNNING or becomes FINISHED. */
static void
try_start(ThWork *work, const char *held, TimestampTz now)
{
	TimestampTz at;
	const char *why;

	if (work->calendar == NULL && work->platform->answer != NULL)
	{
		run_locally(work);
		return;
	}
	if (held == NULL && work->calendar == NULL && th_guc_mock)
		held = "mock";
	if (held != NULL)
	{
		release(work, now + TH_HELD_RETRY_US, held, now);
		return;
	}
	if (needs_token(work) && work->pool->token_state == TH_TOKEN_REFUSED &&
		work->pool->refused_until > now)
	{
		refuse(work, &work->pool->refusal, now);
		return;
	}
	if (work->calendar != NULL ? !th_calendar_pool_has_room(work, now)
							   : !th_pool_has_room(work))
	{
		if (work->calendar != NULL &&
			(at = th_calendar_slow_away_until(work, now, &why)) != 0)
			release(work, at, why, now);
		return;
	}
	at = work->calendar != NULL ? th_calendar_pool_not_before(work, now, &why)
								: th_pool_not_before(work, now, &why);
	if (at > now + MAX_HOLD_US)
	{
		release(work,
				work->calendar != NULL ? at : th_pool_release_at(work, at), why,
				now);
		return;
	}
	if (at > now)
	{
		if (next_start == 0 || at < next_start)
			next_start = at;
		return;
	}
	if (!needs_token(work) || ensure_token(work, now))
		start_call(work, now);
}

void
th_run_start(const char *held, TimestampTz now)
{
	next_start = 0;
	for (int priority = 0; priority < TH_PRIORITY_COUNT; priority++)
	{
		dlist_mutable_iter iter;

		dlist_foreach_modify(iter, &ready[priority])
		{
			ThWork *work = dlist_container(ThWork, node, iter.cur);

			if (th_http_room(th_http_engine()) <= 0)
				return;
			try_start(work, held, now);
			if (work->state == TH_WORK_FINISHED)
			{
				unlist_ready(work);
				enlist(work);
			}
		}
	}
}

static void
collect_calendar(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThCalendarAnswer answer;

	TH_WAITPOINT("answered");
	dlist_delete(&work->node);
	n_running--;
	th_calendar_read_result(work, result, now, &answer);
	th_calendar_pool_ended(work, &answer, result, now);
	if (answer.verdict == TH_CALENDAR_TOKEN_EXPIRED &&
		th_calendar_needs_token(work))
	{
		th_calendar_pool_refused(work->pool->connection, work->token_no, now);
		if (!work->is_token_renewed)
		{
			work->is_token_renewed = true;
			work->state = TH_WORK_READY;
			enlist(work);
			return;
		}
	}
	work->calls++;
	work->state = TH_WORK_READY;
	work->calendar->answer = &answer;
	advance(work, NULL, result, now);
	work->calendar->answer = NULL;
	explicit_bzero(result->body, result->body_length);
	enlist(work);
}

static void
collect_work(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThMeetingAnswer answer;

	TH_WAITPOINT("answered");
	dlist_delete(&work->node);
	n_running--;
	th_read_answer(work->platform, work->op, &work->wish, result, now, &answer);
	th_pool_ended(work, &answer, result, now);
	if (answer.verdict == TH_VERDICT_TOKEN_EXPIRED)
	{
		th_pool_token_refused(work->pool, work->token_no, now);
		if (!work->is_token_renewed)
		{
			work->is_token_renewed = true;
			work->state = TH_WORK_READY;
			enlist(work);
			return;
		}
	}
	advance(work, &answer, result, now);
	th_wipe_answer(&answer, result);
	enlist(work);
}

void
th_run_collect(TimestampTz now)
{
	ThHttpResult *result;
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "telehealth answers",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	while ((result = th_http_next(th_http_engine())) != NULL)
	{
		ThCall *call = result->owner;

		if (call->grant != NULL)
			th_grant_collect(call->grant, result, now);
		else if (call->work == NULL)
			th_collect_token(call->account, result, now);
		else if (call->work->calendar != NULL)
			collect_calendar(call->work, result, now);
		else
			collect_work(call->work, result, now);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

int
th_run_wait_ms(TimestampTz now)
{
	if (next_start == 0)
		return -1;
	return next_start <= now
			   ? 0
			   : (int) Min((next_start - now + 999) / 1000, 60000);
}

ThWork **
th_run_list_finished(int *n)
{
	ThWork **works = palloc_array(ThWork *, Max(n_finished, 1));
	dlist_iter iter;

	*n = 0;
	dlist_foreach(iter, &finished)
		works[(*n)++] = dlist_container(ThWork, node, iter.cur);
	return works;
}

ThWork **
th_run_list_open(int *n)
{
	ThWork **works = palloc_array(ThWork *,
								  n_ready + n_running + n_finished + 1);
	dlist_iter iter;

	*n = 0;
	for (int priority = 0; priority < TH_PRIORITY_COUNT; priority++)
		dlist_foreach(iter, &ready[priority])
			works[(*n)++] = dlist_container(ThWork, node, iter.cur);
	dlist_foreach(iter, &running)
		works[(*n)++] = dlist_container(ThWork, node, iter.cur);
	dlist_foreach(iter, &finished)
		works[(*n)++] = dlist_container(ThWork, node, iter.cur);
	return works;
}

void
th_run_settled(ThWork *work)
{
	dlist_delete(&work->node);
	n_finished--;
	th_run_free(work);
}

void
th_run_abandon(TimestampTz now)
{
	ThMeetingAnswer stopping = { .verdict = TH_VERDICT_RETRY };
	static char message[] = "the worker is stopping";

	stopping.message = message;
	th_http_cancel(th_http_engine(), NULL);
	th_run_collect(now);
	th_grant_abandon();
	for (int priority = 0; priority < TH_PRIORITY_COUNT; priority++)
	{
		dlist_mutable_iter iter;

		dlist_foreach_modify(iter, &ready[priority])
		{
			ThWork *work = dlist_container(ThWork, node, iter.cur);

			if (work->ask != NULL)
				th_ask_refuse(work, &stopping);
			else
				release(work, now, NULL, now);
			unlist_ready(work);
			enlist(work);
		}
	}
}
