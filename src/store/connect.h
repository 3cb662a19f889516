/*
 * connect.h
 *	  Making, changing and ending calendar connections.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_CONNECT_H
#define TH_STORE_CONNECT_H

#include "store/connection.h"

/*
 * Makes the connection of (clinic, provider, kind) or changes it by "options",
 * an object that was checked: what it does not name stays. begins: it has
 * new credentials, of the client (id 0: none), and is PENDING until it is
 * found to work; former secrets are gone. is_other: they are another user's,
 * whose calendar was not found yet. Else what is connected stays so until
 * somebody consents. Returns its id.
 */
extern int64 th_connect(int64 clinic_id, int64 provider_id, const char *kind,
						Jsonb *options, bool begins, bool is_other,
						int64 client_clinic_id, int64 client_id);

/* The id of that connection, its row locked until commit; 0 if there is none. */
extern int64 th_connect_lock(int64 clinic_id, int64 provider_id,
							 const char *kind);

/* Changes settings of a connection; false if there is none. */
extern bool th_connect_configure(int64 clinic_id, int64 id, Jsonb *options);

/*
 * The provider has consented: CONNECTED from now on, by that client; former
 * secrets, tokens and the cursor are gone. False if there is no such
 * connection.
 */
extern bool th_connect_grant(int64 clinic_id, int64 id, int64 client_clinic_id,
							 int64 client_id, TimestampTz *connected_at);

/*
 * Ends the connection, with what was pulled from it; 0 if the provider has
 * none of that kind that is not ended. What is pushed stays unless "purges";
 * without, a removal that is under way is given up, also of an ended one.
 */
extern int64 th_connect_end(int64 clinic_id, int64 provider_id,
							const char *kind, bool purges);

/* Asks for the removal of everything of ours, and pushes nothing any more; false if there is no such connection. */
extern bool th_connect_purge(int64 clinic_id, int64 id);

/* The client was registered anew: what waits for its connections in trouble, or is tried now, is due. */
extern void th_connect_retry_client(int64 client_clinic_id, int64 client_id,
									TimestampTz now);

/* Revokes the provider's feeds of that name; returns their number. */
extern int th_connect_revoke_feeds(int64 clinic_id, int64 provider_id,
								   const char *name);

#endif /* TH_STORE_CONNECT_H */
