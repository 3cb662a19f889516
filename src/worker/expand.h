/*
 * expand.h
 *	  Jobs of providers, patients and clinics: their visits to come are marked.
 *	  Jobs of series: the visits that the horizon has reached are made.
 */
#ifndef TH_WORKER_EXPAND_H
#define TH_WORKER_EXPAND_H

#include "flow/work.h"

/* True for the kinds that are expanded. */
extern bool th_expand_is_kind(ThJobKind kind);

/*
 * Marks visits for works of these kinds, a bounded number at a time, and
 * writes into "settles" what is left to do. Where: in a settling transaction,
 * after other jobs were settled: theirs may be among those marked.
 */
extern void th_expand_works(ThSettle *settles, int n, TimestampTz now);

/* That transaction was rolled back: begin anew. */
extern void th_expand_forget(void);

#endif /* TH_WORKER_EXPAND_H */
