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
#include "flow/ask.h"
#include "flow/meeting.h"
#include "worker/mailbox.h"
#include "worker/pool.h"
#include "worker/run.h"

/* Works that could not start for longer than this go back to the queue. */
#define MAX_HOLD_US (2 * USECS_PER_SEC)

/* Who an exchange belongs to; lives as long as that does. */
typedef struct ThCall
{
	ThWork *work; /* NULL: a token request of account */
	ThPoolAccount *account;
} ThCall;

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
wipe_text(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
}

static void
answer_backend(ThWork *work)
{
	ThAsk ask = { .ticket = work->ask->ticket, .number = work->ask->number };

	th_mailbox_answer(&ask, work->ask->sqlstate, work->ask->reply,
					  work->ask->hint);
	wipe_text(work->ask->reply);
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
		if (work->ask != NULL)
			th_ask_advance(work, answer, result, now);
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
	if (work->ask != NULL)
		th_ask_refuse(work, answer);
	else
		th_meeting_refuse(work, answer, now);
	if (work->ask == NULL && work->pool->is_key_missing &&
		!th_meeting_goes_elsewhere(work, answer))
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

/* The engine has its own copies: the caller's of a secret is wiped. */
static void
send_request(const ThHttpRequest *request, ThCall *call)
{
	th_http_start(th_http_engine(), request, call);
	if (request->authorization != NULL)
		explicit_bzero(unconstify(char *, request->authorization),
					   strlen(request->authorization));
}

static void
start_token(ThPoolAccount *account)
{
	ThPlatformAccount there = { 0 };
	ThHttpRequest request;
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "telehealth token request",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	there.token_url = account->token_url;
	there.api_url = account->api_url;
	there.credentials = account->credentials;
	there.n_credentials = account->n_credentials;
	there.timeout_ms = account->timeout_ms;
	account->platform->build(TH_OP_TOKEN, &there, NULL, NULL, NULL, &request);
	if (account->call == NULL)
		account->call = MemoryContextAllocZero(TopMemoryContext,
											   sizeof(ThCall));
	account->call->account = account;
	send_request(&request, account->call);
	account->token_state = TH_TOKEN_FETCHING;
	account->fetch_origin = account->token_origin;
	account->fetch_origin->in_flight++;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/* The meeting id the present call is about. */
static const char *
meeting_id_of(const ThWork *work)
{
	if (work->op == TH_OP_DELETE && work->surplus != NIL)
		return linitial(work->surplus);
	return work->target == NULL ? NULL : work->target->meeting_id;
}

static void
start_call(ThWork *work, TimestampTz now)
{
	ThPlatformAccount there = { 0 };
	ThHttpRequest request;
	MemoryContext old = MemoryContextSwitchTo(work->context);
	ThCall *call = palloc0_object(ThCall);

	TH_WAITPOINT("before_send");
	there.api_url = work->pool->api_url;
	there.token_url = work->pool->token_url;
	there.token = work->pool->token;
	there.timeout_ms = work->pool->timeout_ms;
	work->platform->build(work->op, &there, &work->wish, meeting_id_of(work),
						  work->page, &request);
	call->work = work;
	send_request(&request, call);
	unlist_ready(work);
	work->state = TH_WORK_RUNNING;
	dlist_push_tail(&running, &work->node);
	n_running++;
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
	if (account->token_state == TH_TOKEN_FETCHING)
		return false;
	if (account->token_state == TH_TOKEN_REFUSED &&
		(account->refused_until > now || account->is_key_missing))
	{
		refuse(work, &account->refusal, now);
		return false;
	}
	start_token(account);
	return false;
}

/* Gives a work that cannot start for a while back to the queue. */
static void
release(ThWork *work, TimestampTz at, const char *why, TimestampTz now)
{
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

/* Tries to start one work; it stays READY, RUNNING or becomes FINISHED. */
static void
try_start(ThWork *work, const char *held, TimestampTz now)
{
	TimestampTz at;
	const char *why;

	if (work->platform->answer != NULL)
	{
		run_locally(work);
		return;
	}
	if (held != NULL)
	{
		release(work, now + TH_HELD_RETRY_US, held, now);
		return;
	}
	if (work->pool->token_state == TH_TOKEN_REFUSED &&
		work->pool->refused_until > now)
	{
		refuse(work, &work->pool->refusal, now);
		return;
	}
	if (!th_pool_has_room(work))
		return;
	at = th_pool_not_before(work, now, &why);
	if (at > now + MAX_HOLD_US)
	{
		release(work, th_pool_release_at(work, at), why, now);
		return;
	}
	if (at > now)
	{
		if (next_start == 0 || at < next_start)
			next_start = at;
		return;
	}
	if (ensure_token(work, now))
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

/*
 * Reads an answer. After an error of our own nothing is known of it, but who
 * waits for it hears that it is there.
 */
static void
read_answer(const ThPlatform *platform, ThPlatformOp op,
			const ThMeetingWish *wish, const ThHttpResult *result,
			TimestampTz now, ThMeetingAnswer *answer)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		platform->read(op, wish, result, now, answer);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		memset(answer, 0, sizeof(*answer));
		answer->verdict = op == TH_OP_CREATE ? TH_VERDICT_UNKNOWN
											 : TH_VERDICT_RETRY;
		answer->message = error->message;
	}
	PG_END_TRY();
}

/* What was needed of an answer was copied, or sealed. */
static void
wipe_answer(ThMeetingAnswer *answer, const ThHttpResult *result)
{
	wipe_text(answer->token);
	wipe_text(answer->passcode);
	wipe_text(answer->start_url);
	if (result->body != NULL)
		explicit_bzero(result->body, result->body_length);
}

static void
collect_token(ThPoolAccount *account, const ThHttpResult *result,
			  TimestampTz now)
{
	ThMeetingAnswer answer;

	read_answer(account->platform, TH_OP_TOKEN, NULL, result, now, &answer);
	th_pool_token_answer(account, &answer, result, now);
	wipe_answer(&answer, result);
}

static void
collect_work(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThMeetingAnswer answer;

	TH_WAITPOINT("answered");
	dlist_delete(&work->node);
	n_running--;
	read_answer(work->platform, work->op, &work->wish, result, now, &answer);
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
	wipe_answer(&answer, result);
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

		if (call->work == NULL)
			collect_token(call->account, result, now);
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
