/*
 * calendar_sync.h
 *	  Asking for a pull of a provider's calendars, and what came of it.
 *
 * Where: in a transaction, as the owner or the worker's role; the caller has
 * checked the user's rights.
 */
#ifndef TH_STORE_CALENDAR_SYNC_H
#define TH_STORE_CALENDAR_SYNC_H

#include "datatype/timestamp.h"

/*
 * Marks a pull of each calendar of the provider that is pulled; "confirms"
 * lets a pull that was suspicious remove what it wants to. Returns their
 * number. "waits": for whoever holds their rows; else those are left out.
 */
extern int th_sync_mark(int64 clinic_id, int64 provider_id, bool confirms,
						bool waits, TimestampTz now);

/* One calendar that is pulled, with its counts since ever. */
typedef struct ThSyncState
{
	int64 connection_id;
	bool is_connected;
	TimestampTz last_sync_at; /* 0: never */
	int64 created;
	int64 updated;
	int64 deleted;
	int64 errors;
	int64 pull_errors;
} ThSyncState;

/* Those of a provider, by their ids. Returns their number. Memory: current context. */
extern int th_sync_read(int64 clinic_id, int64 provider_id,
						ThSyncState **states);

#endif /* TH_STORE_CALENDAR_SYNC_H */
