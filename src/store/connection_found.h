/*
 * connection_found.h
 *	  Which calendar a connection leads to, and what becomes of the former one.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_CONNECTION_FOUND_H
#define TH_STORE_CONNECTION_FOUND_H

#include "store/connection.h"

typedef enum ThFound
{
	TH_FOUND_STALE, /* it was made anew, or named otherwise, since */
	TH_FOUND_SAME,  /* or the first */
	TH_FOUND_OTHER
} ThFound;

/*
 * It was found to work, and to lead to the calendar with that identity (NULL:
 * not told): it is CONNECTED. If it led to another before, that is left, and
 * the visits to come are to be marked. calendar_id NULL: as it is.
 */
extern ThFound th_connection_found(const ThConnection *connection,
								   const char *calendar_id,
								   const char *identity);

/*
 * Of another calendar nothing is known yet: what was shown in the former one
 * stays there, what was pulled from it goes, its channels are to be stopped,
 * and the visits to come are shown anew. The row is the caller's until commit.
 */
extern void th_connection_leave(int64 clinic_id, int64 id);

/* ---- the grant before ---- */

/*
 * Removes all secrets and tokens, for others come. While there are channels that are to be stopped
 * by whoever asked for them, the token stays as the former one.
 */
extern void th_connection_replace(int64 clinic_id, int64 id);

/* That one, sealed, if it is good after "after", or NULL. Memory: current context. */
extern struct varlena *th_connection_former(int64 clinic_id, int64 id,
											TimestampTz after);
extern void th_connection_drop_former(int64 clinic_id, int64 id);

#endif /* TH_STORE_CONNECTION_FOUND_H */
