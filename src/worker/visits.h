/*
 * visits.h
 *	  Jobs of sessions: what was told of a visit is put together.
 */
#ifndef TH_WORKER_VISITS_H
#define TH_WORKER_VISITS_H

#include "flow/work.h"

/*
 * Folds the events of sessions, a bounded number at a time, writes how they
 * stand, and writes into "settles" what is left to do. "works" and "settles"
 * may hold others too. Where: in a settling transaction, with the
 * appointments locked, after the jobs of meetings were settled: theirs may
 * be marked.
 */
extern void th_visits_settle(ThWork *const *works, ThSettle *settles, int n,
							 TimestampTz now);

/*
 * Housekeeping, in a transaction of its own: marks sessions that should have
 * a job and have none (*has_more if not all), and acts on what was told of
 * accounts. False if the library is of
 * another version than the extension, or that is gone.
 */
extern bool th_visits_sweep(bool *has_more);

#endif /* TH_WORKER_VISITS_H */
