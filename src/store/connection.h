/*
 * connection.h
 *	  Calendar connections, their sealed secrets and cached tokens.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_CONNECTION_H
#define TH_STORE_CONNECTION_H

#include "store/account.h"
#include "store/sync_count.h"

typedef struct ThConnection
{
	int64 clinic_id;
	int64 id; /* 0: there is no such connection */
	int64 provider_id;
	const char *kind;
	const char *calendar_id; /* or NULL */
	const char *status;      /* PENDING, CONNECTED, ... */
	bool sync_enabled;
	bool pushes;
	bool pulls;
	int sync_frequency_minutes;
	const char *remote_change_policy; /* restore, flag, cancel */
	int window_days_back;
	int window_days_ahead;
	Jsonb *settings;
	int64 client_clinic_id; /* of the OAuth client; id 0: none */
	int64 client_id;
	TimestampTz client_registered_at;
	TimestampTz connected_at; /* a new value means new credentials */
	TimestampTz purge_requested_at;
	TimestampTz disconnected_at;
	TimestampTz last_sync_at;
	TimestampTz next_sync_at;
	TimestampTz grant_used_at;
	TimestampTz suspicious_at;
	bool is_known;       /* which calendar its grant leads to */
	const char *api_url; /* settings, else the vendor's; no trailing slash */
	const char *revoke_url;
	const char *token_url; /* with {tenant} as it is; NULL without OAuth */
	int64 timeout_ms;
} ThConnection;

#define TH_CONNECTION_SECRET_COLUMN                                            \
	"telehealth_private.connection_secret.envelope"
#define TH_CONNECTION_TOKEN_COLUMN                                             \
	"telehealth_private.connection_token.envelope"

/*
 * The connections of these keys, in their order; id 0 where there is none.
 * Memory: current context.
 */
extern ThConnection *th_connection_load(const int64 *clinics, const int64 *ids,
										int n);

/* True if it is CONNECTED, or was until an error that may be over, enabled, and to be pushed to or pulled from. */
extern bool th_connection_pushes(const ThConnection *connection);
extern bool th_connection_pulls(const ThConnection *connection);

/*
 * Makes the row, and what belongs to it, ours until commit without waiting;
 * false if somebody else holds it. True if there is no such row.
 */
extern bool th_connection_lock(int64 clinic_id, int64 id);

/* Its sealed secrets (current context); returns their number. */
extern int th_connection_secrets(int64 clinic_id, int64 id, ThSealed **secrets);

/* Stores a sealed secret in the place of the one of that name. */
extern void th_connection_put_secret(int64 clinic_id, int64 id,
									 const char *name,
									 struct varlena *envelope);

/* The sealed secret, its row locked until commit; NULL if there is none. Memory: current context. */
extern struct varlena *th_connection_lock_secret(int64 clinic_id, int64 id,
												 const char *name);

/* Removes all secrets and tokens. */
extern void th_connection_forget(int64 clinic_id, int64 id);

/* The sealed token good after "after", or NULL. *scopes may become NULL. Memory: current context. */
extern struct varlena *th_connection_token(int64 clinic_id, int64 id,
										   TimestampTz after,
										   TimestampTz *expires_at,
										   char **scopes);

/*
 * If the connection was not made anew since "connected_at": stores a sealed
 * token, and that the grant was used.
 */
extern void th_connection_put_token(int64 clinic_id, int64 id,
									TimestampTz connected_at,
									struct varlena *envelope,
									const char *scopes, const char *subject,
									TimestampTz expires_at);

/*
 * Notes trouble or its end ("status" CONNECTED, error NULL) if that says
 * something new, and the connection is not DISCONNECTED or made anew since
 * "connected_at"; PENDING ends otherwise. The first REAUTH_REQUIRED is told on the channel
 * telehealth_calendar.
 */
extern void th_connection_note(int64 clinic_id, int64 id,
							   TimestampTz connected_at, const char *status,
							   const char *error);

/* Notes on the row, unless somebody holds it, what went wrong with one job; NULL: it went well. Status stays. */
extern void th_connection_note_error(int64 clinic_id, int64 id,
									 const char *error);

/* Jobs of the connection's events, pulls and channels that wait become due. */
extern void th_connection_release(int64 clinic_id, int64 id, TimestampTz now);

/* Says on the channel telehealth_calendar, at commit: what, ids alone. */
extern void th_connection_tell(const char *what, int64 clinic_id, int64 id);

/* What the job of a connection needs to know beside its row. */
typedef struct ThConnectionRest
{
	bool has_channels; /* that are not stopped */
	bool has_secrets;
	TimestampTz intent_at; /* of the latest create in doubt; 0: there is none */
} ThConnectionRest;

/* Of these keys, in their order. Memory: current context. */
extern ThConnectionRest *th_connection_rest(const int64 *clinics,
											const int64 *ids, int n);

/* It begins, maybe once more: pulled from now on. */
extern void th_connection_start(const ThConnection *connection,
								TimestampTz now);

/* Nothing of ours is there any more: its events are forgotten. */
extern void th_connection_purged(const ThConnection *connection);

#endif /* TH_STORE_CONNECTION_H */
