/*
 * batch.h
 *	  The webhooks of one turn: one transaction.
 */
#ifndef TH_GATEWAY_BATCH_H
#define TH_GATEWAY_BATCH_H

#include "gateway/request.h"

#define TH_BATCH_ROWS 256
#define TH_BATCH_BYTES (4 * 1024 * 1024)

/*
 * Takes in at most TH_BATCH_ROWS webhooks and answers each. One that the
 * database refuses fails alone; what it cannot do now is put off.
 *
 * Memory: current context, which must outlive the answers. Errors: none of
 * the database; those of an interrupt. Where: outside of a transaction.
 */
extern void th_batch_run(ThHttpRequest **requests, int n);

/* True if another try may help. */
extern bool th_batch_is_passing(int sqlstate);

#endif /* TH_GATEWAY_BATCH_H */
