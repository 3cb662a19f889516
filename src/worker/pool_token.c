/*
 * pool_token.c
 *	  Access tokens: one request at a time for an account, one renewal for a
 *	  refusal, and an end to it when renewals do not help.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_guard.h"
#include "flow/calendar_credential.h"
#include "flow/credential.h"
#include "worker/pool_token.h"

/* Two renewals within this time are the most; then somebody else uses the credentials too. */
#define RENEWAL_WINDOW (5 * USECS_PER_MINUTE)

/*
 * Never used in its last part: ten seconds, or a quarter of a short life. How
 * short it may be, it is used for a second, so that nobody asks in a loop.
 */
#define MAX_MARGIN (10 * USECS_PER_SEC)
#define MIN_USE USECS_PER_SEC

/* Those of calendars, which are many. */
#define MIN_CALENDAR_MARGIN (60 * USECS_PER_SEC)
#define CALENDAR_JITTER (4 * USECS_PER_MINUTE)

/* A clock that is further off tells nothing. */
#define MAX_SKEW USECS_PER_DAY

#define FIRST_REFUSAL (2 * USECS_PER_SEC)
#define MAX_REFUSAL_DOUBLINGS 4
#define CONFIGURATION_REFUSAL (30 * USECS_PER_SEC)

/* Requests under way that use up a refresh token; accounts that are UNSAVED. */
static int n_refreshing = 0;
static int n_unsaved = 0;

const char *
th_pool_refresh_token(const ThPoolAccount *account)
{
	for (int i = 0; i < account->n_credentials; i++)
	{
		if (strcmp(account->credentials[i].name, "refresh_token") == 0)
			return account->credentials[i].value;
	}
	return NULL;
}

bool
th_pool_is_refreshing(void)
{
	return n_refreshing > 0;
}

bool
th_pool_is_unsaved(void)
{
	return n_unsaved > 0;
}

void
th_pool_token_asked(ThPoolAccount *account)
{
	account->token_state = TH_TOKEN_FETCHING;
	account->fetch_origin = account->token_origin;
	account->fetch_origin->in_flight++;
	if (th_pool_refresh_token(account) != NULL)
		n_refreshing++;
}

bool
th_pool_has_token(const ThPoolAccount *account, TimestampTz now)
{
	return account->token_state == TH_TOKEN_READY && account->token_until > now;
}

/* Tokens of many connections that were made together are not renewed together. */
static TimestampTz
margin_of(const ThPoolAccount *account)
{
	if (account->connection == NULL)
		return MAX_MARGIN;
	return MIN_CALENDAR_MARGIN +
		   (TimestampTz) (pg_prng_double(&pg_global_prng_state) *
						  CALENDAR_JITTER);
}

void
th_pool_take_token(ThPoolAccount *account, TimestampTz now)
{
	TimestampTz end = account->token_expires_at -
					  (TimestampTz) account->skew_ms * 1000;

	account->token_until = Max(end - Min(margin_of(account), (end - now) / 4),
							   now + MIN_USE);
	account->token_state = TH_TOKEN_READY;
	account->token_failures = 0;
}

/* Wipes the token. */
static void
drop_token(ThPoolAccount *account)
{
	account->token = account->scopes = NULL;
	MemoryContextReset(account->token_context);
	account->is_token_dirty = false;
	account->token_state = TH_TOKEN_NONE;
}

static void
refuse(ThPoolAccount *account, ThVerdict verdict, const char *message,
	   TimestampTz until)
{
	drop_token(account);
	account->token_state = TH_TOKEN_REFUSED;
	account->refused_until = until;
	account->refusal.verdict = verdict;
	account->refusal.retry_at = 0;
	th_pool_set_text(account, &account->refusal.message, message);
	if (verdict == TH_VERDICT_RATE_LIMITED ||
		verdict == TH_VERDICT_TOKEN_EXPIRED)
		account->refusal.retry_at = until;
	if (verdict != TH_VERDICT_RETRY && verdict != TH_VERDICT_RATE_LIMITED)
	{
		account->note_status = "error";
		account->is_refused = true;
		th_pool_set_text(account, &account->note_error, message);
		th_pool_set_text(account, &account->note_scope, NULL);
		account->is_noted = true;
	}
}

void
th_pool_token_refused(ThPoolAccount *account, uint32 token_no, TimestampTz now)
{
	if (token_no != account->token_no || account->token_state != TH_TOKEN_READY)
		return; /* a newer one is there or on its way */
	if (account->renewals[1] != 0 &&
		account->renewals[1] + RENEWAL_WINDOW > now)
	{
		refuse(
			account, TH_VERDICT_TOKEN_EXPIRED,
			"fresh tokens are refused again and again: is another system using the same credentials?",
			account->renewals[1] + RENEWAL_WINDOW);
		return;
	}
	account->renewals[1] = account->renewals[0];
	account->renewals[0] = now;
	drop_token(account);
}

/*
 * The vendor has replaced the refresh token: from now on only the new one is
 * good. It is committed before anything that came with it is used (O7).
 */
static void
rotate(ThPoolAccount *account, const char *fresh)
{
	const char *used = th_pool_refresh_token(account);

	if (used == NULL || strcmp(used, fresh) == 0)
		return;
	account->rotated_from = unconstify(char *, used);
	for (int i = 0; i < account->n_credentials; i++)
	{
		if (account->credentials[i].value == used)
			account->credentials[i].value =
				th_guard_secret_text(account->context, fresh, strlen(fresh));
	}
	account->is_superseded = false;
	account->token_state = TH_TOKEN_UNSAVED;
	n_unsaved++;
}

void
th_pool_save_token(ThPoolAccount *account)
{
	if (account->token_state == TH_TOKEN_UNSAVED)
	{
		account->is_superseded = !(
			account->connection != NULL
				? th_calendar_credential_rotate
				: th_credential_rotate)(account->clinic_id, account->id,
										account->rotated_from,
										th_pool_refresh_token(account));
	}
	if (account->token_state == TH_TOKEN_UNSAVED && account->is_superseded)
		return;
	if (account->connection != NULL)
		th_calendar_credential_store_token(account->clinic_id, account->id,
										   account->connected_at,
										   account->token, account->scopes,
										   account->subject,
										   account->token_expires_at);
	else
		th_credential_store_token(account->clinic_id, account->id,
								  account->connected_at, account->token,
								  account->scopes, account->token_expires_at,
								  account->skew_ms);
}

/* What another grant has taken the place of is read anew by the next claim. */
void
th_pool_token_saved(ThPoolAccount *account)
{
	account->is_token_dirty = false;
	if (account->token_state != TH_TOKEN_UNSAVED)
		return;
	explicit_bzero(account->rotated_from, strlen(account->rotated_from));
	account->rotated_from = NULL;
	n_unsaved--;
	if (account->is_superseded)
	{
		drop_token(account);
		account->connected_at = 0;
	}
	else
		account->token_state = TH_TOKEN_READY;
}

void
th_pool_token_answer(ThPoolAccount *account, const ThMeetingAnswer *answer,
					 const ThHttpResult *result, TimestampTz now)
{
	TimestampTz from = now;

	account->fetch_origin->in_flight--;
	if (th_pool_refresh_token(account) != NULL)
		n_refreshing--;
	if (result->date > now - MAX_SKEW && result->date < now + MAX_SKEW)
		from = result->date;
	if (answer->verdict == TH_VERDICT_OK && answer->token != NULL)
	{
		drop_token(account);
		account->token = th_guard_secret_text(account->token_context,
											  answer->token,
											  strlen(answer->token));
		account->scopes = answer->scopes == NULL
							  ? NULL
							  : MemoryContextStrdup(account->token_context,
													answer->scopes);
		account->subject = answer->subject == NULL
							   ? NULL
							   : MemoryContextStrdup(account->token_context,
													 answer->subject);
		account->skew_ms = (int) ((from - now) / 1000);
		if (abs(account->skew_ms) < 1500)
			account->skew_ms = 0; /* the header knows seconds only */
		account->token_expires_at = from + (TimestampTz) answer->expires_in *
											   USECS_PER_SEC;
		th_pool_take_token(account, now);
		account->token_no++;
		account->is_token_dirty = true;
		account->is_noted = account->is_refused = false;
		if (answer->refresh_token != NULL)
			rotate(account, answer->refresh_token);
		return;
	}
	switch (answer->verdict)
	{
		case TH_VERDICT_CREDENTIALS:
		case TH_VERDICT_PERMANENT:
		case TH_VERDICT_SCOPE_MISSING:
			refuse(account, TH_VERDICT_CREDENTIALS, answer->message,
				   now + CONFIGURATION_REFUSAL);
			break;
		case TH_VERDICT_RATE_LIMITED:
		case TH_VERDICT_QUOTA:
			refuse(account, TH_VERDICT_RATE_LIMITED, answer->message,
				   Max(answer->retry_at, now + FIRST_REFUSAL));
			break;
		default:
			refuse(account, TH_VERDICT_RETRY, answer->message,
				   now + (FIRST_REFUSAL << Min(account->token_failures,
											   MAX_REFUSAL_DOUBLINGS)));
			account->token_failures++;
			break;
	}
}
