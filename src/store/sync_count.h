/*
 * sync_count.h
 *	  What pushes and pulls have done, by connection and day.
 *
 * Where: in a transaction, as the worker's role.
 */
#ifndef TH_STORE_SYNC_COUNT_H
#define TH_STORE_SYNC_COUNT_H

#include "datatype/timestamp.h"

/* Counts into sync_count of the UTC day of "now". direction: push, pull. */
typedef struct ThSyncCount
{
	int64 clinic_id;
	int64 connection_id;
	const char *direction;
	int64 created;
	int64 updated;
	int64 deleted;
	int64 errors;
	int64 runs;
} ThSyncCount;

extern void th_sync_count(const ThSyncCount *counts, int n, TimestampTz now);

#endif /* TH_STORE_SYNC_COUNT_H */
