/*
 * calendar_run.c
 *	  Works about calendars on their way through the dispatcher.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "flow/calendar_credential.h"
#include "worker/calendar_pool.h"
#include "worker/calendar_run.h"
#include "worker/run.h"

/* Who is marked comes before who marks; a pull marks no channel that has a job. */
static const ThJobKind order[] = { TH_JOB_CALENDARS, TH_JOB_PULL,
								   TH_JOB_CHANNEL, TH_JOB_CONNECTION };

int
th_calendar_rank(ThJobKind kind)
{
	for (int i = 0; i < (int) lengthof(order); i++)
	{
		if (order[i] == kind)
			return i + 1;
	}
	return 0;
}

/* ---- claim ---- */

static void
load_kind(ThWork **works, int n, ThJobKind kind, TimestampTz now)
{
	const ThCalendarFlow *flow = th_calendar_flow(kind);
	ThWork **chosen;
	int n_chosen = 0;

	if (flow == NULL)
		return;
	chosen = palloc_array(ThWork *, n);
	for (int i = 0; i < n; i++)
	{
		ThWork *work = works[i];

		if (work->job.kind != kind)
			continue;
		work->calendar = MemoryContextAllocZero(work->context,
												sizeof(ThCalendarWork));
		work->calendar->flow = flow;
		chosen[n_chosen++] = work;
	}
	if (n_chosen == 0)
		return;
	flow->load(chosen, n_chosen, now);
	for (int i = 0; i < n_chosen; i++)
	{
		ThCalendarWork *c = chosen[i]->calendar;

		if (c->connection != NULL && c->connection->id != 0)
			c->vendor = th_calendar_find(c->connection->kind);
	}
}

void
th_calendar_load(ThWork **works, int n, TimestampTz now)
{
	for (int kind = TH_JOB_CALENDARS; kind < TH_JOB_KIND_COUNT; kind++)
		load_kind(works, n, (ThJobKind) kind, now);
}

/* Why nothing can be done before somebody does something, or NULL. */
static const char *
parked_for(const ThWork *work)
{
	const ThConnection *connection = work->calendar->connection;

	if (connection == NULL || connection->id == 0 ||
		work->job.kind == TH_JOB_CONNECTION)
		return NULL;
	if (strcmp(connection->status, "REAUTH_REQUIRED") == 0)
		return "reauth_required";
	if (strcmp(connection->status, "PENDING") == 0 ||
		(!connection->is_known &&
		 strcmp(connection->status, "DISCONNECTED") != 0))
		return "not_connected";
	return NULL;
}

void
th_calendar_decide(ThWork *work, TimestampTz now)
{
	const char *why = parked_for(work);
	MemoryContext old;

	if (why != NULL)
	{
		th_work_later(work, now, now + TH_CALENDAR_PARKED_US, why, NULL);
		return;
	}
	old = MemoryContextSwitchTo(work->context);
	work->calendar->flow->decide(work, now);
	MemoryContextSwitchTo(old);
}

void
th_calendar_place(ThWork *work, TimestampTz now)
{
	ThPoolConnection *connection =
		th_calendar_pool_of(work->calendar->connection, now);

	work->pool = &connection->account;
}

void
th_calendar_begin(ThWork **works, int n, TimestampTz now)
{
	ThWork **chosen = palloc_array(ThWork *, Max(n, 1));

	for (int kind = TH_JOB_CALENDARS; kind < TH_JOB_KIND_COUNT; kind++)
	{
		const ThCalendarFlow *flow = th_calendar_flow((ThJobKind) kind);
		int n_chosen = 0;

		if (flow == NULL || flow->begin == NULL)
			continue;
		for (int i = 0; i < n; i++)
		{
			if (works[i]->calendar != NULL &&
				works[i]->job.kind == (ThJobKind) kind &&
				works[i]->state == TH_WORK_READY && works[i]->needs_begin)
				chosen[n_chosen++] = works[i];
		}
		if (n_chosen > 0)
			flow->begin(chosen, n_chosen, now);
	}
}

/* ---- the call ---- */

/* A grant is revoked by its refresh token, if that can be read. */
bool
th_calendar_needs_token(const ThWork *work)
{
	return (work->calendar->call.op != TH_CALENDAR_REVOKE &&
			work->calendar->token == NULL) ||
		   work->pool->is_key_missing;
}

void
th_calendar_release(ThWork *work, TimestampTz at, const char *why,
					TimestampTz now)
{
	if (work->calendar->flow->withdraw != NULL)
		work->calendar->flow->withdraw(work);
	th_work_later(work, now, at, why, NULL);
}

void
th_calendar_refuse(ThWork *work, TimestampTz now)
{
	const ThPoolAccount *account = work->pool;
	const ThMeetingAnswer *refusal = &account->refusal;
	const char *message = refusal->message;
	const char *outcome = "retry";
	const char *why = "no_token";
	TimestampTz at = account->refused_until;

	if (work->calendar->flow->withdraw != NULL)
		work->calendar->flow->withdraw(work);
	if (account->is_key_missing)
		why = "key_missing";
	else if (account->connection->needs_reauth)
	{
		outcome = "waiting";
		why = "reauth_required";
		at = now + TH_CALENDAR_PARKED_US;
	}
	else if (refusal->verdict == TH_VERDICT_RATE_LIMITED)
		why = "rate_limited";
	else
		/* a fault of configuration or of the network: ever later */
		at = Max(at, th_work_backoff(now, work->job.failures + 1, false));
	th_work_note(work, now, "token", outcome, NULL, NULL, message, at);
	th_work_later(work, now, at, why, message);
}

void
th_calendar_build(ThWork *work, ThHttpRequest *out)
{
	ThCalendarWork *c = work->calendar;
	ThPoolAccount *pool = work->pool;
	ThCalendarAccount *account = &c->account;

	memset(account, 0, sizeof(*account));
	account->api_url = pool->api_url;
	account->calendar_id = c->connection->calendar_id;
	account->token = c->token != NULL ? c->token : pool->token;
	account->page_size = c->page_size != 0
							 ? c->page_size
							 : pool->connection->shared->page_size;
	account->timezone = c->timezone;
	account->timeout_ms = pool->timeout_ms;
	for (int i = 0; i < pool->n_credentials; i++)
	{
		const ThCredential *credential = &pool->credentials[i];

		if (strcmp(credential->name, "username") == 0)
			account->username = credential->value;
		else if (strcmp(credential->name, "password") == 0)
			account->password = credential->value;
		else if (strcmp(credential->name, "refresh_token") == 0)
			account->refresh_token = credential->value;
	}
	if (c->connection->revoke_url != NULL)
		account->revoke_url = th_oauth_fill_tenant(c->connection->revoke_url,
												   pool->credentials,
												   pool->n_credentials);
	c->call.account = account;
	c->vendor->codecs[c->call.op].build(&c->call, out);
}

void
th_calendar_read_result(ThWork *work, const ThHttpResult *result,
						TimestampTz now, ThCalendarAnswer *answer)
{
	MemoryContext context = CurrentMemoryContext;
	ThCalendarWork *c = work->calendar;

	PG_TRY();
	{
		c->vendor->codecs[c->call.op].read(&c->call, result, now, answer);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		memset(answer, 0, sizeof(*answer));
		answer->verdict = c->call.op == TH_CALENDAR_CREATE ? TH_CALENDAR_UNKNOWN
														   : TH_CALENDAR_RETRY;
		answer->message = error->message;
	}
	PG_END_TRY();
}

/* ---- settle ---- */

void
th_calendar_settle(ThWork **works, ThSettle *settles, int n, TimestampTz now)
{
	ThWork **chosen = palloc_array(ThWork *, Max(n, 1));
	ThSettle *theirs = palloc_array(ThSettle, Max(n, 1));
	int *places = palloc_array(int, Max(n, 1));

	for (int kind = TH_JOB_CALENDARS; kind < TH_JOB_KIND_COUNT; kind++)
	{
		int n_chosen = 0;

		for (int i = 0; i < n; i++)
		{
			if (works[i]->calendar == NULL ||
				works[i]->job.kind != (ThJobKind) kind)
				continue;
			chosen[n_chosen] = works[i];
			theirs[n_chosen] = settles[i];
			places[n_chosen++] = i;
		}
		if (n_chosen == 0 || chosen[0]->calendar->flow->settle == NULL)
			continue;
		chosen[0]->calendar->flow->settle(chosen, theirs, n_chosen, now);
		for (int i = 0; i < n_chosen; i++)
			settles[places[i]] = theirs[i];
	}
}
