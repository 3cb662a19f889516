/*
 * spread.h
 *	  A backlog beyond what accounts may be asked for: due later, along their
 *	  rates, without loading its visits.
 */
#ifndef TH_WORKER_SPREAD_H
#define TH_WORKER_SPREAD_H

#include "flow/work.h"

typedef struct ThSpreadReport
{
	TimestampTz next_due;  /* of what was spread; 0: nothing was */
	bool is_cut;           /* there may be more due than was looked at */
	TimestampTz first_due; /* nothing was due before */
	int n_left;            /* to be claimed of what was looked at */
} ThSpreadReport;

/* True while works are sent back for want of places. */
extern bool th_spread_is_backlog(void);

/* Sends a work that found its account crowded back to the queue. */
extern void th_spread_later(ThWork *work, TimestampTz now);

/*
 * While works were sent back: looks at due jobs of new visits before they are
 * claimed, and makes those later whose account is crowded still. "class" is
 * what is to be claimed of them; its limit leaves out what was not looked at.
 * Where: in the claiming transaction, before the claim.
 */
extern void th_spread_backlog(ThClaim *class, TimestampTz now,
							  ThSpreadReport *report);

#endif /* TH_WORKER_SPREAD_H */
