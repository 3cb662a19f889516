/*
 * pool_quota.h
 *	  Calls that count against a host's daily limit.
 *
 * For the pool only. Days are UTC days, as the vendors count them.
 */
#ifndef TH_WORKER_POOL_QUOTA_H
#define TH_WORKER_POOL_QUOTA_H

#include "flow/work.h"

/* Reads the day's counters. Where: in a transaction. */
extern void th_pool_quota_init(TimestampTz now);

/* When the work's host may be written to: 0 for now. A few calls of the day are kept for visits that start soon. */
extern TimestampTz th_pool_quota_until(const ThWork *work, TimestampTz now);

/* One call more of the work's host. */
extern void th_pool_quota_add(const ThWork *work, TimestampTz now);

/* The vendor said the host's day is used up. */
extern void th_pool_quota_refused(const ThWork *work, TimestampTz until,
								  TimestampTz now);

/* The next UTC midnight, and up to a minute more so that not all come at once. */
extern TimestampTz th_pool_quota_midnight(TimestampTz now);

/* Writes what changed (in a transaction), and forgets that it did (after commit). */
extern void th_pool_quota_save(TimestampTz now);
extern void th_pool_quota_saved(void);

#endif /* TH_WORKER_POOL_QUOTA_H */
