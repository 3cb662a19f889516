/*
 * pool.c
 *	  Accounts as the dispatcher sees them: when a call may be made.
 *
 * Tokens are in pool_token.c.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_guard.h"
#include "base/th_guc.h"
#include "crypto/keyring.h"
#include "crypto/token.h"
#include "flow/credential.h"
#include "json/json_read.h"
#include "worker/calendar_pool.h"
#include "worker/pool.h"
#include "worker/pool_line.h"
#include "worker/pool_quota.h"
#include "worker/pool_token.h"

#define MAX_ORIGIN_PAUSE_MS 30000

/* After a refusal that does not say when to come back. */
#define MIN_REFUSAL_MS 1000

/* A learned rate grows back by a tenth a second. */
#define RECOVERY_PER_SECOND 0.1

/* A stored token is taken up only while it has so long to live. */
#define STORED_MARGIN (60 * USECS_PER_SEC)

/* Secrets that could not be opened are tried again so much later. */
#define KEY_RETRY (10 * USECS_PER_SEC)
#define KEY_BEHIND_RETRY USECS_PER_SEC

static List *accounts = NIL; /* ThPoolAccount *, in TopMemoryContext */
static List *origins = NIL;  /* ThOrigin *, in TopMemoryContext */

void
th_pool_init(TimestampTz now)
{
	th_pool_quota_init(now);
}

ThOrigin *
th_pool_origin(const char *url)
{
	char *name = url == NULL ? NULL : th_http_origin(url);
	MemoryContext old;
	ThOrigin *origin;
	ListCell *cell;

	if (name == NULL)
		name = pstrdup("");
	foreach(cell, origins)
	{
		origin = lfirst(cell);
		if (strcmp(origin->name, name) == 0)
			return origin;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	origin = palloc0_object(ThOrigin);
	origin->name = pstrdup(name);
	origins = lappend(origins, origin);
	MemoryContextSwitchTo(old);
	return origin;
}

/* A new bucket is full; a changed one keeps what a refusal has taught it. */
void
th_pool_set_base(ThBucket *bucket, double base)
{
	if (bucket->base == 0)
	{
		bucket->rate = bucket->filled = base;
		bucket->filled_at_ms = th_clock_monotonic_ms();
	}
	else if (base < bucket->rate || bucket->rate >= bucket->base)
		bucket->rate = base;
	bucket->base = base;
	bucket->filled = Min(bucket->filled, base);
}

ThPoolAccount *
th_pool_find(int64 clinic_id, int64 id)
{
	ListCell *cell;

	foreach(cell, accounts)
	{
		ThPoolAccount *account = lfirst(cell);

		if (account->clinic_id == clinic_id && account->id == id)
			return account;
	}
	return NULL;
}

/* A number that is the same for the same credentials in another database. */
static uint64
fingerprint_of(const ThPoolAccount *account)
{
	unsigned char digest[TH_SHA256_BYTES];
	uint64 fingerprint;
	uint64 sum = 0;

	if (th_pool_refresh_token(account) != NULL)
		return 0; /* an app may serve the users of many databases */
	for (int i = 0; i < account->n_credentials; i++)
	{
		const ThCredential *c = &account->credentials[i];

		if (strcmp(c->name, "client_id") == 0 ||
			strcmp(c->name, "client_secret") == 0 ||
			strcmp(c->name, "account_id") == 0)
		{
			th_sha256(c->value, strlen(c->value), digest);
			memcpy(&fingerprint, digest, sizeof(fingerprint));
			sum = hash_combine64(fingerprint, 0) + sum;
		}
	}
	return sum;
}

static void
read_limits(ThPoolAccount *account)
{
	const char *vendor = account->platform->name;

	th_pool_set_base(&account->light,
					 (double) th_vendor_limit(vendor, "light_per_second",
											  1000));
	th_pool_set_base(&account->medium,
					 (double) th_vendor_limit(vendor, "medium_per_second",
											  1000));
	account->max_in_flight = (int) th_vendor_limit(vendor,
												   "concurrent_requests", 1000);
	account->daily_limit = th_vendor_limit(vendor, "host_writes_per_day", 0);
}

void
th_pool_set_text(ThPoolAccount *a, char **slot, const char *text)
{
	char *old = *slot;

	*slot = text == NULL ? NULL : MemoryContextStrdup(a->context, text);
	if (old != NULL)
		pfree(old);
}

/* Forgets what the account's rows held, secrets and all. */
static void
close_account(ThPoolAccount *account)
{
	account->n_credentials = 0;
	account->credentials = NULL;
	account->token_state = TH_TOKEN_NONE;
	account->token = account->scopes = account->rotated_from = NULL;
	account->api_url = account->token_url = NULL;
	account->note_error = account->note_scope = NULL;
	account->is_noted = account->is_token_dirty = account->is_refused = false;
	memset(&account->refusal, 0, sizeof(account->refusal));
	memset(account->renewals, 0, sizeof(account->renewals));
	MemoryContextReset(account->context);
	account->token_context = AllocSetContextCreate(account->context,
												   "telehealth token",
												   ALLOCSET_SMALL_SIZES);
}

/* Opens what the account's rows hold, into a context that is wiped later. */
static void
open_account(ThPoolAccount *account, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(account->context);
	ThCredential *credentials;
	const char *reason;
	int n = th_credential_open(account->clinic_id, account->id, &credentials,
							   &reason);

	account->is_key_missing = n < 0;
	if (account->is_key_missing)
	{
		account->token_state = TH_TOKEN_REFUSED;
		account->refused_until = now + KEY_RETRY;
		account->refusal.verdict = TH_VERDICT_CREDENTIALS;
		th_pool_set_text(account, &account->refusal.message, reason);
		if (th_keyring_is_behind())
			/* no trouble yet: the command is asked before the next claim */
			account->refused_until = now + KEY_BEHIND_RETRY;
		else
		{
			th_pool_set_text(account, &account->note_error, reason);
			account->note_status = "key_missing";
			account->is_refused = true;
			account->is_noted = true;
		}
	}
	else
	{
		account->credentials = credentials;
		account->n_credentials = n;
		MemoryContextSwitchTo(account->token_context);
		account->token = th_credential_token(account->clinic_id, account->id,
											 now + STORED_MARGIN,
											 &account->token_expires_at,
											 &account->scopes,
											 &account->skew_ms);
		if (account->token != NULL)
			th_pool_take_token(account, now);
		account->token_no++;
		account->fingerprint = fingerprint_of(account);
	}
	MemoryContextSwitchTo(old);
}

static ThPoolAccount *
new_account(const ThAccount *row)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ThPoolAccount *account = palloc0_object(ThPoolAccount);

	account->clinic_id = row->clinic_id;
	account->id = row->id;
	account->platform = th_platform_find(row->platform);
	account->context = AllocSetContextCreate(TopMemoryContext,
											 "telehealth account",
											 ALLOCSET_SMALL_SIZES);
	accounts = lappend(accounts, account);
	MemoryContextSwitchTo(old);
	return account;
}

/* Settings may change without a new connection. */
static void
take_settings(ThPoolAccount *account, const ThAccount *row)
{
	if (account->api_url == NULL || row->api_url == NULL ||
		strcmp(account->api_url, row->api_url) != 0 || row->token_url == NULL ||
		strcmp(account->token_url, row->token_url) != 0)
	{
		account->api_url =
			MemoryContextStrdup(account->context,
								row->api_url == NULL ? "" : row->api_url);
		account->token_url =
			MemoryContextStrdup(account->context,
								row->token_url == NULL ? "" : row->token_url);
		account->origin = th_pool_origin(account->api_url);
		account->token_origin = th_pool_origin(account->token_url);

		/* what another address refused says nothing of this one */
		if (account->token_state == TH_TOKEN_REFUSED &&
			!account->is_key_missing)
			account->token_state = TH_TOKEN_NONE;
	}
	account->timeout_ms = row->settings == NULL
							  ? 0
							  : (int) th_json_int(row->settings, "timeout_ms",
												  0);
}

ThPoolAccount *
th_pool_account(const ThAccount *row, TimestampTz now)
{
	ThPoolAccount *account = th_pool_find(row->clinic_id, row->id);
	bool is_new = account == NULL;

	if (is_new)
		account = new_account(row);
	if (is_new || account->connected_at != row->connected_at ||
		(account->is_key_missing && account->refused_until <= now))
	{
		if (account->token_state == TH_TOKEN_FETCHING ||
			account->token_state == TH_TOKEN_UNSAVED)
			return account; /* its answer belongs to the old credentials */
		/* an error on the way leaves an account that is opened again */
		account->connected_at = 0;
		close_account(account);
		take_settings(account, row);
		read_limits(account);
		open_account(account, now);
		if (!account->is_key_missing && strcmp(row->status, "key_missing") == 0)
		{
			account->note_status = "connected";
			account->is_noted = true;
		}
		account->connected_at = row->connected_at;
	}
	else
		take_settings(account, row);
	return account;
}

static ThBucket *
bucket_of(const ThWork *work)
{
	return strcmp(work->platform->rate_class(work->op), "light") == 0
			   ? &work->pool->light
			   : &work->pool->medium;
}

void
th_pool_fill(ThBucket *bucket)
{
	int64 now_ms = th_clock_monotonic_ms();
	double seconds = (now_ms - bucket->filled_at_ms) / 1000.0;

	if (seconds <= 0)
		return;
	bucket->filled_at_ms = now_ms;
	bucket->rate = Min(bucket->base,
					   bucket->rate * (1 + RECOVERY_PER_SECOND * seconds));
	bucket->filled = Min(Max(bucket->rate, 1.0),
						 bucket->filled + bucket->rate * seconds);
}

TimestampTz
th_pool_not_before(const ThWork *work, TimestampTz now, const char **why)
{
	ThPoolAccount *account = work->pool;
	ThBucket *bucket;
	TimestampTz at = now;

	*why = NULL;
	if (account == NULL)
		return now;
	if (account->origin->open_until > now)
	{
		*why = "platform_unreachable";
		at = account->origin->open_until;
	}
	bucket = bucket_of(work);
	if (bucket->until > at)
	{
		*why = "rate_limited";
		at = bucket->until;
	}
	if (work->platform->counts_for_host(work->op) && account->daily_limit > 0)
	{
		TimestampTz quota = th_pool_quota_until(work, now);

		if (quota > at)
		{
			*why = "quota_until";
			at = quota;
		}
	}
	th_pool_fill(bucket);
	if (at == now && bucket->filled < 1.0)
		at = now + (TimestampTz) ((1.0 - bucket->filled) / bucket->rate *
								  USECS_PER_SEC);
	return at;
}

bool
th_pool_has_room(const ThWork *work)
{
	const ThPoolAccount *account = work->pool;

	if (account == NULL)
		return true;
	if (account->origin->failures >= TH_POOL_ORIGIN_FAILURES &&
		account->origin->in_flight > 0)
		return false; /* one probe at a time */
	return account->in_flight < account->max_in_flight &&
		   account->origin->in_flight < th_guc_max_connections_per_host;
}

void
th_pool_started(ThWork *work, TimestampTz now)
{
	ThPoolAccount *account = work->pool;
	ThBucket *bucket = bucket_of(work);

	th_pool_fill(bucket);
	bucket->filled -= 1.0;
	account->in_flight++;
	work->origin = account->origin;
	work->origin->in_flight++;
	work->token_no = account->token_no;
	if (work->platform->counts_for_host(work->op))
		th_pool_quota_add(work, now);
}

/* A host that cannot be reached is left alone, longer each time. */
void
th_pool_judge_origin(ThOrigin *origin, const ThHttpResult *result,
					 TimestampTz now)
{
	int64 pause_ms;

	switch (result->end)
	{
		case TH_HTTP_NO_HOST:
		case TH_HTTP_NO_CONNECTION:
		case TH_HTTP_TLS_FAILED:
		case TH_HTTP_TIMEOUT:
			break;
		case TH_HTTP_CANCELLED:
			return;
		default:
			origin->failures = 0;
			origin->open_until = 0;
			origin->answered_at = now;
			return;
	}

	/* calls that were under way together fail together: that is one failure */
	if (origin->open_until > now ||
		++origin->failures < TH_POOL_ORIGIN_FAILURES)
		return;
	pause_ms = (int64) 1000
			   << Min(origin->failures - TH_POOL_ORIGIN_FAILURES, 5);
	pause_ms = Min(pause_ms, MAX_ORIGIN_PAUSE_MS);
	pause_ms = pause_ms / 2 +
			   (int64) (pg_prng_double(&pg_global_prng_state) * pause_ms / 2);
	origin->open_until = now + pause_ms * 1000;
}

/* What a refusal teaches about the class and the host. */
static void
learn(ThWork *work, ThMeetingAnswer *answer, TimestampTz now)
{
	ThBucket *bucket = bucket_of(work);
	TimestampTz earliest =
		now + MIN_REFUSAL_MS * 1000 +
		(TimestampTz) (pg_prng_double(&pg_global_prng_state) * MIN_REFUSAL_MS *
					   1000);

	if (answer->verdict == TH_VERDICT_RATE_LIMITED)
	{
		if (bucket->until <= now)
			bucket->rate = Max(TH_POOL_MIN_RATE, bucket->rate / 2);
		bucket->filled = 0;
		bucket->until = Max(bucket->until, Max(answer->retry_at, earliest));
		answer->retry_at = th_pool_release_at(work, bucket->until);
	}
	else if (answer->verdict == TH_VERDICT_QUOTA)
	{
		if (answer->retry_at == 0)
			answer->retry_at = th_pool_quota_midnight(now);
		if (answer->is_host_quota)
			th_pool_quota_refused(work, answer->retry_at, now);
		else
			bucket->until = Max(bucket->until, answer->retry_at);
	}
}

void
th_pool_ended(ThWork *work, const ThMeetingAnswer *answer,
			  const ThHttpResult *result, TimestampTz now)
{
	ThPoolAccount *account = work->pool;

	account->in_flight--;
	work->origin->in_flight--;
	th_pool_judge_origin(work->origin, result, now);
	learn(work, unconstify(ThMeetingAnswer *, answer), now);
	if (answer->verdict == TH_VERDICT_SCOPE_MISSING ||
		answer->verdict == TH_VERDICT_CREDENTIALS)
	{
		account->note_status = "error";
		th_pool_set_text(account, &account->note_error,
						 answer->message == NULL
							 ? th_verdict_name(answer->verdict)
							 : answer->message);
		th_pool_set_text(account, &account->note_scope, answer->missing_scope);
		if (answer->verdict == TH_VERDICT_CREDENTIALS ||
			work->op == TH_OP_CREATE)
			account->is_refused = true;
		account->is_noted = true;
		account->noted_op = work->op;
	}
	else if (answer->verdict == TH_VERDICT_OK && account->note_error != NULL &&
			 account->noted_op == work->op)
	{
		account->note_status = "connected";
		account->is_refused = false;
		th_pool_set_text(account, &account->note_error, NULL);
		th_pool_set_text(account, &account->note_scope, NULL);
		account->is_noted = true;
	}
}

void
th_pool_read_limits(void)
{
	ListCell *cell;

	foreach(cell, accounts)
		read_limits(lfirst(cell));
	th_calendar_pool_tidy(th_clock_now());
}

void
th_pool_save(TimestampTz now)
{
	ListCell *cell;

	foreach(cell, accounts)
	{
		ThPoolAccount *account = lfirst(cell);

		if (account->is_token_dirty)
			th_pool_save_token(account);
		if (account->is_noted)
			th_account_note(account->clinic_id, account->id,
							account->connected_at, account->note_status,
							account->note_error, account->note_scope,
							account->is_refused);
	}
	th_calendar_pool_save(now);
	th_pool_quota_save(now);
}

void
th_pool_saved(void)
{
	ListCell *cell;

	foreach(cell, accounts)
	{
		ThPoolAccount *account = lfirst(cell);

		th_pool_token_saved(account);
		account->is_noted = false;
	}
	th_calendar_pool_saved();
	th_pool_quota_saved();
}

int
th_pool_fingerprints(uint64 *out, int max)
{
	int n = 0;
	ListCell *cell;

	foreach(cell, accounts)
	{
		ThPoolAccount *account = lfirst(cell);

		if (n < max && account->fingerprint != 0)
			out[n++] = account->fingerprint;
	}
	return n;
}

bool
th_pool_is_dirty(void)
{
	ListCell *cell;

	foreach(cell, accounts)
	{
		ThPoolAccount *account = lfirst(cell);

		if (account->is_token_dirty || account->is_noted)
			return true;
	}
	return th_calendar_pool_is_dirty();
}
