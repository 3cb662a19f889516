/*
 * oauth.h
 *	  Registrations at vendors whose users grant access in a browser, and
 *	  browsers on their way.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_OAUTH_H
#define TH_STORE_OAUTH_H

#include "store/account.h"

#define TH_OAUTH_HASH_BYTES 32

/* Columns of envelopes, for th_envelope_place(). */
#define TH_OAUTH_SECRET_COLUMN "telehealth_private.oauth_client_secret.envelope"
#define TH_OAUTH_VERIFIER_COLUMN "telehealth_private.oauth_state.verifier"

typedef struct ThOauthClient
{
	int64 clinic_id;
	int64 id;
	const char *kind;
	TimestampTz registered_at; /* a new value means new credentials */
	Jsonb *settings;
	const char *auth_url; /* settings, else the vendor's */
	const char *token_url;
	const char *scopes;       /* or NULL */
	const char *parameters;   /* further ones of auth_url, or NULL */
	const char *redirect_uri; /* settings, or NULL */
	const char *callback;     /* path */
} ThOauthClient;

typedef struct ThOauthState
{
	int64 clinic_id;
	int64 id;
	const char *kind;
	const char *purpose; /* platform, calendar */
	int64 subject_id;    /* 0: none */
	int64 client_clinic_id;
	int64 client_id;
	TimestampTz client_registered_at;
	const char *redirect_uri;
	struct varlena *verifier; /* sealed; NULL once used */
	const char *created_by;
	TimestampTz expires_at;
	bool is_used;
} ThOauthState;

/* Makes or replaces the client of (clinic, kind) without its former secrets; returns its id. */
extern int64 th_oauth_client_upsert(int64 clinic_id, const char *kind,
									Jsonb *settings);
extern void th_oauth_client_put_secret(int64 clinic_id, int64 id,
									   const char *name,
									   struct varlena *envelope);

/* The client that serves a clinic, its own or clinic 0's; NULL if there is none. Memory: current context. */
extern ThOauthClient *th_oauth_client_find(int64 clinic_id, const char *kind);

/* The client by key, or NULL. Memory: current context. */
extern ThOauthClient *th_oauth_client_get(int64 clinic_id, int64 id);

/* Its sealed secrets (current context); returns their number. */
extern int th_oauth_client_secrets(int64 clinic_id, int64 id,
								   ThSealed **secrets);

/* The number of a state to be inserted, which its envelope is bound to. */
extern int64 th_oauth_state_number(void);

/* Inserts a state of that number, and removes those of the clinic that expired a day ago. */
extern void th_oauth_state_insert(const ThOauthState *state,
								  const unsigned char *hash, TimestampTz now);

/* The state of that hash; NULL if there is none. Memory: current context. */
extern ThOauthState *th_oauth_state_find(const unsigned char *hash);

/*
 * Uses a state up: it as it was before, or NULL if there is none. One that
 * was used or has expired is returned so, and not changed.
 */
extern ThOauthState *th_oauth_state_take(int64 clinic_id, int64 id,
										 TimestampTz now);

#endif /* TH_STORE_OAUTH_H */
