/*
 * pool.h
 *	  Accounts and remote hosts: tokens, rates, places, quotas, who is down.
 *
 * Plain structs of one process; nothing here is shared or locked. Rows are
 * read and written only by the functions that say so.
 */
#ifndef TH_WORKER_POOL_H
#define TH_WORKER_POOL_H

#include "flow/work.h"
#include "worker/pool_rate.h"

#define TH_POOL_MIN_RATE 0.5 /* a learned rate never falls below it */

typedef enum ThTokenState
{
	TH_TOKEN_NONE, /* to be fetched when somebody needs it */
	TH_TOKEN_FETCHING,
	TH_TOKEN_UNSAVED, /* not used before the refresh token that came with it is committed */
	TH_TOKEN_READY,
	TH_TOKEN_REFUSED /* not before refused_until */
} ThTokenState;

typedef struct ThPoolAccount
{
	int64 clinic_id;
	int64 id;
	TimestampTz connected_at;
	MemoryContext context;       /* secrets; wiped at a new connection */
	MemoryContext token_context; /* within it: the token and its scopes */
	const ThPlatform *platform;
	ThCredential *credentials;
	int n_credentials;
	char *api_url;
	char *token_url;
	int timeout_ms;
	ThOrigin *origin;
	ThOrigin *token_origin;
	ThOrigin *fetch_origin; /* of the token request that runs */
	struct ThCall *call;    /* of those; made once */

	ThTokenState token_state;
	char *token;
	char *scopes;
	char *subject;                /* that came with it, or NULL */
	uint32 token_no;              /* raised by each new token */
	TimestampTz token_expires_at; /* by the vendor's clock */
	int skew_ms;                  /* what that is ahead of ours */
	TimestampTz token_until;      /* by ours: not used any more */
	int token_failures;           /* requests for one that failed in a row */
	bool is_token_dirty;          /* to be stored at the next settle */
	char *rotated_from; /* secret: the refresh token that was used; UNSAVED */
	bool is_superseded; /* UNSAVED: the account has another grant by now */
	TimestampTz renewals[2]; /* forced by a 401, latest first */
	ThMeetingAnswer refusal; /* why REFUSED */
	TimestampTz refused_until;
	bool is_key_missing;

	int in_flight;
	int max_in_flight;
	int waiting;      /* works READY for this account */
	int waiting_near; /* those of them that are near starts */
	int placed;       /* works added by the claim under way */
	ThBucket light;
	ThBucket medium;
	TimestampTz horizons[2]; /* due times given out so far; [1]: near starts */
	int64 daily_limit;       /* writes per host and UTC day; 0 none */

	bool is_noted; /* row's status is to be written */
	const char *note_status;
	char *note_error;
	char *note_scope;
	bool is_refused;       /* no meeting can be made with it */
	ThPlatformOp noted_op; /* that was refused; its success ends the trouble */
	uint64 fingerprint;
	struct ThPoolConnection *connection; /* not NULL: of a calendar */
} ThPoolAccount;

/* Reads the day's quota counters. Where: in a transaction, once at start. */
extern void th_pool_init(TimestampTz now);

/*
 * The account of a row, its secrets and cached token read if it is new or
 * was connected again. Where: in a transaction.
 */
extern ThPoolAccount *th_pool_account(const ThAccount *row, TimestampTz now);

/* The account by its key, NULL if no work has needed it yet. */
extern ThPoolAccount *th_pool_find(int64 clinic_id, int64 id);

/*
 * When the work's call may be made: "now" or earlier means at once, as far as
 * rates, places, refusals and quota go. *why is a word for the row.
 */
extern TimestampTz th_pool_not_before(const ThWork *work, TimestampTz now,
									  const char **why);

/* True if the account has room for one more call right now; takes nothing. */
extern bool th_pool_has_room(const ThWork *work);

/* A call starts and ends. */
extern void th_pool_started(ThWork *work, TimestampTz now);
extern void th_pool_ended(ThWork *work, const ThMeetingAnswer *answer,
						  const ThHttpResult *result, TimestampTz now);

/* A copy of "text", or NULL, takes the place of what *slot owns. */
extern void th_pool_set_text(ThPoolAccount *a, char **slot, const char *text);

/* Reads the limits of all accounts anew. Where: in a transaction, now and then. */
extern void th_pool_read_limits(void);

/* True if a token or a note waits to be written. */
extern bool th_pool_is_dirty(void);

/* Writes tokens, notes and quota counters that changed. Where: in a transaction; after its commit, th_pool_saved(). */
extern void th_pool_save(TimestampTz now);
extern void th_pool_saved(void);

/* Fingerprints of credentials in use. Returns their number. */
extern int th_pool_fingerprints(uint64 *out, int max);

#endif /* TH_WORKER_POOL_H */
