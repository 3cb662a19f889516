/*
 * calendar_pool.c
 *	  Calendar connections as the dispatcher sees them.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_error.h"
#include "base/th_guc.h"
#include "crypto/keyring.h"
#include "flow/calendar_credential.h"
#include "flow/credential.h"
#include "http/multi.h"
#include "worker/calendar_pool.h"
#include "worker/calendar_slow.h"
#include "worker/pool_token.h"

/* A stored token is taken up only while it has so long to live. */
#define STORED_MARGIN (60 * USECS_PER_SEC)

/* Secrets that could not be opened are tried again so much later. */
#define KEY_RETRY (10 * USECS_PER_SEC)
#define KEY_BEHIND_RETRY USECS_PER_SEC

/* A pause after a refusal doubles from a second to this. */
#define MAX_PAUSE_MS (15 * 60 * 1000)

/* A connection that nothing used for so long is forgotten. */
#define IDLE_US (10 * USECS_PER_MINUTE)

/* One that timed out last is known until its next try. */
#define SLOW_IDLE_US (30 * USECS_PER_MINUTE)

/* What somebody else holds is tried to be written so often. */
#define HELD_RETRY_MS 250

typedef struct Key
{
	int64 clinic_id;
	int64 id;
} Key;

typedef struct Entry
{
	Key key;
	ThPoolConnection *connection;
} Entry;

static HTAB *connections = NULL;
static List *vendors = NIL; /* ThPoolVendor *, in TopMemoryContext */
static List *dirty = NIL;   /* ThPoolConnection *, in TopMemoryContext */
static int64 next_save_ms = 0;

/* ---- limits ---- */

static void
read_limits(ThPoolVendor *v)
{
	const char *kind = v->vendor->kind;

	th_pool_set_base(&v->bucket,
					 th_vendor_limit(kind, "requests_per_minute", 60000) /
						 60.0);
	v->max_in_flight = (int) th_vendor_limit(kind, "concurrent_requests", 20);
	v->page_size = (int) th_vendor_limit(kind, "page_size", 50);
	v->calendar_rate =
		th_vendor_limit(kind, "requests_per_minute_per_calendar", 600) / 60.0;
	v->calendar_max_in_flight =
		(int) th_vendor_limit(kind, "concurrent_requests_per_calendar", 2);
}

static ThPoolVendor *
vendor_of(const ThConnection *row, const ThCalendar *vendor)
{
	MemoryContext old;
	ThPoolVendor *v;
	ListCell *cell;

	foreach(cell, vendors)
	{
		v = lfirst(cell);
		if (v->vendor == vendor && v->client_id == row->client_id &&
			v->client_clinic_id == row->client_clinic_id)
			return v;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	v = palloc0_object(ThPoolVendor);
	v->vendor = vendor;
	v->client_clinic_id = row->client_clinic_id;
	v->client_id = row->client_id;
	vendors = lappend(vendors, v);
	MemoryContextSwitchTo(old);
	read_limits(v);
	return v;
}

/* ---- connections ---- */

/* To be written at the next settle. */
static void
mark_dirty(ThPoolConnection *c)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (c->account.is_token_dirty || c->account.is_noted)
		dirty = list_append_unique_ptr(dirty, c);
	MemoryContextSwitchTo(old);
}

static ThPoolConnection *
find_or_make(const ThConnection *row)
{
	Key key = { row->clinic_id, row->id };
	ThPoolConnection *c;
	Entry *entry;
	bool is_found;

	if (connections == NULL)
	{
		HASHCTL ctl = { .keysize = sizeof(Key), .entrysize = sizeof(Entry) };

		ctl.hcxt = TopMemoryContext;
		connections = hash_create("telehealth connections", 256, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(connections, &key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->connection;
	c = MemoryContextAllocZero(TopMemoryContext, sizeof(ThPoolConnection));
	c->account.context = AllocSetContextCreate(TopMemoryContext,
											   "telehealth connection",
											   ALLOCSET_SMALL_SIZES);
	c->account.clinic_id = row->clinic_id;
	c->account.id = row->id;
	c->account.connection = c;
	entry = hash_search(connections, &key, HASH_ENTER, &is_found);
	entry->connection = c;
	return c;
}

/* Forgets what the connection's rows held, secrets and all. */
static void
close_connection(ThPoolConnection *c)
{
	ThPoolAccount *a = &c->account;

	a->n_credentials = 0;
	a->credentials = NULL;
	a->token_state = TH_TOKEN_NONE;
	a->token = a->scopes = a->subject = a->rotated_from = NULL;
	a->api_url = a->token_url = NULL;
	a->note_error = a->note_scope = NULL;
	a->is_noted = a->is_token_dirty = a->is_refused = false;
	memset(&a->refusal, 0, sizeof(a->refusal));
	memset(a->renewals, 0, sizeof(a->renewals));
	c->refusals = c->timeouts = c->aways = 0;
	c->until = c->away_until = 0;
	c->needs_reauth = false;
	MemoryContextReset(a->context);
	a->token_context = AllocSetContextCreate(a->context, "telehealth token",
											 ALLOCSET_SMALL_SIZES);
}

/* A password needs no token. */
static void
open_token(ThPoolConnection *c, TimestampTz now)
{
	ThPoolAccount *a = &c->account;

	a->token_no++;
	if (c->oauth == NULL)
	{
		a->token_state = TH_TOKEN_READY;
		a->token_until = DT_NOEND;
		return;
	}
	MemoryContextSwitchTo(a->token_context);
	a->token = th_calendar_credential_token(a->clinic_id, a->id,
											now + STORED_MARGIN,
											&a->token_expires_at, &a->scopes);
	if (a->token != NULL)
		th_pool_take_token(a, now);
}

static void
open_connection(ThPoolConnection *c, const ThConnection *row, TimestampTz now)
{
	ThPoolAccount *a = &c->account;
	MemoryContext old = MemoryContextSwitchTo(a->context);
	const char *reason;
	int n;

	n = th_calendar_credential_open(row, &a->credentials, &reason);
	a->is_key_missing = n < 0;
	if (a->is_key_missing)
	{
		a->credentials = NULL;
		a->token_state = TH_TOKEN_REFUSED;
		a->refused_until = now + (th_keyring_is_behind() ? KEY_BEHIND_RETRY
														 : KEY_RETRY);
		a->refusal.verdict = TH_VERDICT_CREDENTIALS;
		th_pool_set_text(a, &a->refusal.message, reason);
	}
	else
	{
		a->n_credentials = n;
		if (row->token_url != NULL)
			a->token_url = th_oauth_fill_tenant(row->token_url, a->credentials,
												n);
		a->token_origin = th_pool_origin(a->token_url);
		open_token(c, now);
	}
	MemoryContextSwitchTo(old);
}

/* Settings may change without a new connection. */
static void
take_settings(ThPoolConnection *c, const ThConnection *row)
{
	ThPoolAccount *a = &c->account;
	const char *url = row->api_url == NULL ? "" : row->api_url;

	if (a->api_url == NULL || strcmp(a->api_url, url) != 0)
	{
		th_pool_set_text(a, &a->api_url, url);
		a->origin = th_pool_origin(url);
	}
	a->timeout_ms = (int) row->timeout_ms;
	th_pool_set_base(&c->bucket, c->shared->calendar_rate);
}

ThPoolConnection *
th_calendar_pool_of(const ThConnection *row, TimestampTz now)
{
	ThPoolConnection *c = find_or_make(row);
	ThPoolAccount *a = &c->account;

	c->used_at = now;
	c->is_in_error = strcmp(row->status, "ERROR") == 0;
	if (c->vendor != NULL && a->connected_at == row->connected_at &&
		c->client_registered_at == row->client_registered_at &&
		!(a->is_key_missing && a->refused_until <= now))
	{
		take_settings(c, row);
		return c;
	}
	if (a->token_state == TH_TOKEN_FETCHING ||
		a->token_state == TH_TOKEN_UNSAVED)
		return c; /* its answer belongs to the old credentials */
	/* an error on the way leaves a connection that is opened again */
	a->connected_at = 0;
	c->client_registered_at = 0;
	c->vendor = th_calendar_find(row->kind);
	c->oauth = c->vendor->is_oauth ? th_oauth_vendor(row->kind) : NULL;
	c->shared = vendor_of(row, c->vendor);
	close_connection(c);
	take_settings(c, row);
	open_connection(c, row, now);
	a->connected_at = row->connected_at;
	c->client_registered_at = row->client_registered_at;
	return c;
}

/* ---- when a call may be made ---- */

static ThPoolConnection *
connection_of(const ThWork *work)
{
	return work->pool->connection;
}

static TimestampTz
bucket_at(ThBucket *bucket, TimestampTz now)
{
	th_pool_fill(bucket);
	if (bucket->filled >= 1.0)
		return now;
	return now + (TimestampTz) ((1.0 - bucket->filled) / bucket->rate *
								USECS_PER_SEC);
}

TimestampTz
th_calendar_pool_not_before(const ThWork *work, TimestampTz now,
							const char **why)
{
	ThPoolConnection *c = connection_of(work);
	TimestampTz at = now;

	*why = NULL;
	if (c->account.origin->open_until > at)
	{
		*why = "calendar_unreachable";
		at = c->account.origin->open_until;
	}
	if (c->until > at)
	{
		*why = "rate_limited";
		/* works that wait for it together do not come back together */
		at = c->until + (TimestampTz) (pg_prng_double(&pg_global_prng_state) *
									   (c->until - now) / 4);
	}
	if (at == now)
		at = bucket_at(&c->bucket, now);
	if (at == now)
		at = bucket_at(&c->shared->bucket, now);
	return at;
}

bool
th_calendar_pool_has_room(const ThWork *work, TimestampTz now)
{
	const ThPoolConnection *c = connection_of(work);
	const ThPoolAccount *a = &c->account;
	int most = th_calendar_slow_share(work, th_guc_max_connections_per_host);
	int running = th_http_running(th_http_engine());
	int limit = running + th_http_room(th_http_engine());

	if (c->refusals > 0 && a->in_flight > 0)
		return false; /* one probe at a time */
	if (a->token_state != TH_TOKEN_FETCHING && !th_pool_has_token(a, now) &&
		a->token_origin != NULL && a->token_origin->in_flight >= most)
		return false;
	return th_calendar_slow_has_room(c) && a->origin->in_flight < most &&
		   a->in_flight < c->shared->calendar_max_in_flight &&
		   c->shared->in_flight <
			   th_calendar_slow_share(work, c->shared->max_in_flight) &&
		   running < th_calendar_slow_share(work, limit);
}

void
th_calendar_pool_started(ThWork *work, TimestampTz now)
{
	ThPoolConnection *c = connection_of(work);

	c->used_at = now;
	th_pool_fill(&c->bucket);
	c->bucket.filled -= 1.0;
	th_pool_fill(&c->shared->bucket);
	c->shared->bucket.filled -= 1.0;
	c->account.in_flight++;
	c->shared->in_flight++;
	work->origin = c->account.origin;
	work->origin->in_flight++;
	th_calendar_slow_started(work, now);
	work->token_no = c->account.token_no;
}

/* The pause grows with each refusal, whatever a header says (O4). */
static void
learn(ThPoolConnection *c, ThCalendarAnswer *answer, TimestampTz now)
{
	int64 pause_ms = (int64) 1000 << Min(c->refusals, 20);

	pause_ms = Min(pause_ms, MAX_PAUSE_MS);
	pause_ms = pause_ms / 2 +
			   (int64) (pg_prng_double(&pg_global_prng_state) * pause_ms / 2);
	/* calls that were under way together are refused together: that is one */
	if (c->until <= now)
		c->refusals++;
	c->until = Max(c->until, Max(answer->retry_at, now + pause_ms * 1000));
	answer->retry_at = c->until +
					   (TimestampTz) (pg_prng_double(&pg_global_prng_state) *
									  (c->until - now) / 4);
}

static void
note(ThPoolConnection *c, const char *status, const char *error)
{
	ThPoolAccount *a = &c->account;

	c->is_in_error = strcmp(status, "ERROR") == 0;
	a->note_status = status;
	th_pool_set_text(a, &a->note_error, error);
	a->is_noted = true;
	mark_dirty(c);
}

void
th_calendar_pool_ended(ThWork *work, ThCalendarAnswer *answer,
					   const ThHttpResult *result, TimestampTz now)
{
	ThPoolConnection *c = connection_of(work);

	c->account.in_flight--;
	c->shared->in_flight--;
	work->origin->in_flight--;
	th_calendar_slow_ended(work, result, now);
	if (result->end == TH_HTTP_ANSWERED &&
		answer->verdict != TH_CALENDAR_RATE_LIMITED && result->status < 500)
		c->refusals = 0;
	if (answer->verdict == TH_CALENDAR_RATE_LIMITED)
		learn(c, answer, now);
	else if (answer->verdict == TH_CALENDAR_CREDENTIALS ||
			 answer->verdict == TH_CALENDAR_SCOPE_MISSING)
		note(c, "REAUTH_REQUIRED", answer->message);
	else if (answer->verdict == TH_CALENDAR_OK && c->is_in_error)
		note(c, "CONNECTED", NULL);
}

/* ---- tokens ---- */

void
th_calendar_pool_ask(const ThPoolConnection *c, ThHttpRequest *out)
{
	const ThPoolAccount *a = &c->account;

	th_oauth_build_refresh(c->oauth, a->token_url, a->credentials,
						   a->n_credentials, out);
	out->timeout_ms = a->timeout_ms;
}

/* Codes that mean that the provider has to consent again. */
static bool
is_grant_gone(const char *code)
{
	static const char *const codes[] = { "invalid_grant",
										 "interaction_required",
										 "consent_required", "login_required" };

	for (size_t i = 0; code != NULL && i < lengthof(codes); i++)
	{
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}

/* Users may grant less than was asked for: that is no grant. */
static void
check_scopes(const ThPoolConnection *c, ThOauthAnswer *told)
{
	static char code[] = "invalid_grant";
	static char message[] = "the provider did not grant what telehealth needs";

	if (told->verdict != TH_VERDICT_OK || c->vendor->has_scopes(told->scopes))
		return;
	told->verdict = TH_VERDICT_CREDENTIALS;
	told->code = code;
	told->message = message;
}

void
th_calendar_pool_answer(ThPoolConnection *c, const ThHttpResult *result,
						TimestampTz now)
{
	ThOauthAnswer told;
	ThMeetingAnswer answer = { 0 };

	th_oauth_read(result, now, &told);
	check_scopes(c, &told);
	answer.verdict = told.verdict;
	answer.code = told.code;
	answer.message = told.message;
	answer.retry_at = told.retry_at;
	answer.token = told.token;
	answer.scopes = told.scopes;
	answer.subject = told.subject;
	answer.expires_in = told.expires_in;
	answer.refresh_token = told.refresh_token;
	c->needs_reauth = told.verdict == TH_VERDICT_CREDENTIALS &&
					  is_grant_gone(told.code);
	th_pool_token_answer(&c->account, &answer, result, now);
	if (c->account.is_noted)
	{
		c->account.note_status = c->needs_reauth ? "REAUTH_REQUIRED" : "ERROR";
		c->is_in_error = !c->needs_reauth;
	}
	else if (answer.verdict == TH_VERDICT_OK && c->is_in_error)
		note(c, "CONNECTED", NULL);
	mark_dirty(c);
	if (told.token != NULL)
		explicit_bzero(told.token, strlen(told.token));
	if (told.refresh_token != NULL)
		explicit_bzero(told.refresh_token, strlen(told.refresh_token));
}

void
th_calendar_pool_refused(ThPoolConnection *c, uint32 token_no, TimestampTz now)
{
	if (c->oauth == NULL)
		return;
	th_pool_token_refused(&c->account, token_no, now);
	if (c->account.is_noted)
		c->account.note_status = "ERROR";
	mark_dirty(c);
}

/* ---- rows ---- */

/* What somebody holds is asked for again after a while. */
bool
th_calendar_pool_is_dirty(void)
{
	return dirty != NIL && th_clock_monotonic_ms() >= next_save_ms;
}

static void
save(ThPoolConnection *c, TimestampTz now)
{
	ThPoolAccount *a = &c->account;

	if (a->is_token_dirty)
		th_pool_save_token(a);
	if (!a->is_noted)
		return;
	th_connection_note(a->clinic_id, a->id, a->connected_at, a->note_status,
					   a->note_error);
	if (strcmp(a->note_status, "CONNECTED") == 0)
		th_connection_release(a->clinic_id, a->id, now);
}

void
th_calendar_pool_save(TimestampTz now)
{
	ListCell *cell;

	foreach(cell, dirty)
	{
		ThPoolConnection *c = lfirst(cell);

		c->is_held = !th_connection_lock(c->account.clinic_id, c->account.id);
		if (!c->is_held)
			save(c, now);
	}
}

void
th_calendar_pool_saved(void)
{
	ListCell *cell;

	next_save_ms = 0;
	foreach(cell, dirty)
	{
		ThPoolConnection *c = lfirst(cell);

		if (c->is_held)
		{
			next_save_ms = th_clock_monotonic_ms() + HELD_RETRY_MS;
			continue;
		}
		th_pool_token_saved(&c->account);
		c->account.is_noted = false;
		dirty = foreach_delete_current(dirty, cell);
	}
}

static bool
is_idle(const ThPoolConnection *c, TimestampTz now)
{
	const ThPoolAccount *a = &c->account;

	return c->used_at < now - (c->timeouts > 0 ? SLOW_IDLE_US : IDLE_US) &&
		   a->in_flight == 0 && a->waiting == 0 &&
		   a->token_state != TH_TOKEN_FETCHING &&
		   a->token_state != TH_TOKEN_UNSAVED && c->until < now &&
		   !list_member_ptr(dirty, c);
}

void
th_calendar_pool_tidy(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	ListCell *cell;
	Entry *entry;

	foreach(cell, vendors)
		read_limits(lfirst(cell));
	if (connections == NULL)
		return;
	hash_seq_init(&status, connections);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		ThPoolConnection *c = entry->connection;

		if (!is_idle(c, now))
			continue;
		MemoryContextDelete(c->account.context);
		if (c->account.call != NULL)
			pfree(c->account.call);
		(void) hash_search(connections, &entry->key, HASH_REMOVE, NULL);
		pfree(c);
	}
}
