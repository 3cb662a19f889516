/*
 * account.h
 *	  Accounts at platforms, their sealed credentials and cached tokens.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_ACCOUNT_H
#define TH_STORE_ACCOUNT_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

typedef struct ThAccount
{
	int64 clinic_id;
	int64 id;
	const char *platform;
	const char *status;
	Jsonb *settings;
	TimestampTz connected_at; /* a new value means new credentials */
	const char *api_url; /* settings, else the vendor's; no trailing slash */
	const char *token_url;
	bool
		is_user_level; /* the grant of one user: every meeting is that user's */
} ThAccount;

typedef struct ThSealed
{
	const char *name;
	struct varlena *envelope;
} ThSealed;

/* Columns for th_account_read(); "x" an account, "b" its builtin_platform row. */
#define TH_ACCOUNT_COLUMNS                                                     \
	"x.clinic_id, x.id, x.platform, x.status, x.settings, x.connected_at,"     \
	" rtrim(COALESCE(x.settings ->> 'api_url', b.api_url), '/'),"              \
	" COALESCE(x.settings ->> 'token_url', b.token_url), x.is_user_level"
#define TH_ACCOUNT_COLUMN_COUNT 9

/* The column of a secret's and a token's envelope, for th_envelope_place(). */
#define TH_ACCOUNT_SECRET_COLUMN "telehealth_private.account_secret.envelope"
#define TH_TOKEN_COLUMN "telehealth_private.token_cache.envelope"

/* The account in row "row" from column "first" on; NULL if its id is NULL. Memory: "context". */
extern ThAccount *th_account_read(uint64 row, int first, MemoryContext context);

/* The account by key, NULL if there is none. Memory: current context. */
extern ThAccount *th_account_get(int64 clinic_id, int64 id);

/*
 * Makes or replaces the account of (clinic, platform), without its former
 * secrets and tokens; returns its id.
 */
extern int64 th_account_upsert(int64 clinic_id, const char *platform,
							   Jsonb *settings);

/* Stores one sealed secret of an account that has none of that name. */
extern void th_account_put_secret(int64 clinic_id, int64 id, const char *name,
								  struct varlena *envelope);

/* The same for one that was replaced, good until then. */
extern void th_account_put_former(int64 clinic_id, int64 id, const char *name,
								  struct varlena *envelope,
								  TimestampTz expires_at);

/*
 * The sealed secret of that name of the clinic's account at the platform, if
 * it is still good, with the account's id and until when (infinity: it is
 * the present one); NULL if there is none. Memory: current context.
 */
extern struct varlena *th_account_secret(int64 clinic_id, const char *platform,
										 const char *name, int64 *id,
										 TimestampTz *expires_at);

/* Notes by what key the account is found when a delivery names it. */
extern void th_account_set_vendor_key(int64 clinic_id, int64 id,
									  struct varlena *key);

/* False while the extension's tables are of a version that knows none of the last three. */
extern bool th_account_takes_webhooks(void);

/* True if any envelope is stored in this database. */
extern bool th_account_has_envelopes(void);

/* The sealed secrets of an account into *secrets (current context); returns their number. */
extern int th_account_secrets(int64 clinic_id, int64 id, ThSealed **secrets);

/*
 * The sealed token if it is good after "after", by the vendor's clock; else
 * NULL. *scopes may become NULL; *skew_ms is what that clock is ahead of ours.
 * Memory: current context.
 */
extern struct varlena *th_account_token(int64 clinic_id, int64 id,
										TimestampTz after,
										TimestampTz *expires_at, char **scopes,
										int *skew_ms);

/* If the account was not connected anew since "connected_at": stores a sealed token, and the account's token_expires_at and clock_skew; the account becomes connected. */
extern void th_account_put_token(int64 clinic_id, int64 id,
								 TimestampTz connected_at,
								 struct varlena *envelope, const char *scopes,
								 TimestampTz expires_at, int skew_ms);

/*
 * Notes trouble (or its end: status connected, error NULL) on the account's
 * row, if it says something new and the account was not connected anew since
 * "connected_at". is_refused: new meetings cannot be made with it.
 */
extern void th_account_note(int64 clinic_id, int64 id, TimestampTz connected_at,
							const char *status, const char *error,
							const char *missing_scope, bool is_refused);

/*
 * Accounts whose app was removed at the platform, as events say on which
 * nobody has acted: they have an error until a token is given again.
 */
extern void th_account_deauthorize(void);

#endif /* TH_STORE_ACCOUNT_H */
