/*
 * send.c
 *	  Giving requests to the engine, and tokens: asking for them, and what
 *	  comes of it.
 */
#include "postgres.h"

#include <string.h>

#include "utils/memutils.h"

#include "worker/calendar_pool.h"
#include "worker/pool_token.h"
#include "worker/run.h"
#include "worker/send.h"

/* The engine has its own copies: the caller's of a secret is wiped. */
void
th_run_send(const ThHttpRequest *request, ThCall *call)
{
	bool is_form = request->content_type != NULL &&
				   strcmp(request->content_type,
						  "application/x-www-form-urlencoded") == 0;

	th_http_start(th_http_engine(), request, call);
	if (request->authorization != NULL)
		explicit_bzero(unconstify(char *, request->authorization),
					   strlen(request->authorization));
	if (is_form)
		explicit_bzero(unconstify(char *, request->body), request->body_length);
}

void
th_send_token(ThPoolAccount *account)
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
	if (account->connection != NULL)
		th_calendar_pool_ask(account->connection, &request);
	else
		account->platform->build(TH_OP_TOKEN, &there, NULL, NULL, NULL,
								 &request);
	if (account->call == NULL)
		account->call = MemoryContextAllocZero(TopMemoryContext,
											   sizeof(ThCall));
	account->call->account = account;
	th_run_send(&request, account->call);
	th_pool_token_asked(account);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

void
th_send_refresh(ThPoolAccount *account, TimestampTz now)
{
	if (!th_pool_has_token(account, now) &&
		(account->token_state == TH_TOKEN_NONE ||
		 account->token_state == TH_TOKEN_READY) &&
		th_http_room(th_http_engine()) > 0)
		th_send_token(account);
}

static void
wipe_text(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
}

/*
 * Reads an answer. After an error of our own nothing is known of it, but who
 * waits for it hears that it is there.
 */
void
th_read_answer(const ThPlatform *platform, ThPlatformOp op,
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
void
th_wipe_answer(ThMeetingAnswer *answer, const ThHttpResult *result)
{
	wipe_text(answer->token);
	wipe_text(answer->refresh_token);
	wipe_text(answer->passcode);
	wipe_text(answer->start_url);
	if (result->body != NULL)
		explicit_bzero(result->body, result->body_length);
}

void
th_collect_token(ThPoolAccount *account, const ThHttpResult *result,
				 TimestampTz now)
{
	ThMeetingAnswer answer;

	if (account->connection != NULL)
	{
		th_calendar_pool_answer(account->connection, result, now);
		explicit_bzero(result->body, result->body_length);
		return;
	}
	th_read_answer(account->platform, TH_OP_TOKEN, NULL, result, now, &answer);
	th_pool_token_answer(account, &answer, result, now);
	th_wipe_answer(&answer, result);
}
