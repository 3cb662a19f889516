/*
 * settle.h
 *	  Writing down what works led to, set-wise.
 */
#ifndef TH_WORKER_SETTLE_H
#define TH_WORKER_SETTLE_H

#include "flow/work.h"

typedef struct ThSettleReport
{
	int settled;
	int failed;
	int kept;
	bool is_again; /* some job is due at once */
	TimestampTz
		next_due; /* the earliest of those that are due later; 0: none */
} ThSettleReport;

/*
 * Writes the results of finished works, which it orders. is_kept[i] is true for a work whose
 * rows an application holds: nothing of it was written, it is to be settled
 * later. Where: in a transaction.
 */
extern void th_settle_works(ThWork **works, int n, TimestampTz now,
							bool *is_kept, ThSettleReport *report);

/*
 * After an error in th_settle_works(): if it was the history that could not be
 * written (its disk is full, say), the work goes on without for a minute.
 */
extern void th_settle_failed(void);

#endif /* TH_WORKER_SETTLE_H */
