/*
 * metrics.h
 *	  What the gateway counts, and GET /metrics.
 *
 * Counts gather in the process and go to the door in shared memory once a
 * turn, where those of all processes add up. Labels come from fixed lists:
 * nothing that a client or a table says becomes one.
 */
#ifndef TH_GATEWAY_METRICS_H
#define TH_GATEWAY_METRICS_H

#include "gateway/route.h"

/* Count; never throw. A status of 0: no answer of ours. */
extern void th_metrics_note(ThDoorCount count, uint64 n);
extern void th_metrics_request(ThRouteKind kind, int status);

/* Adds what was counted since to the door. Never throws. */
extern void th_metrics_flush(void);

/* GET /metrics, see ThAnswer. */
extern void th_metrics_answer(struct ThHttpRequest *request);

#endif /* TH_GATEWAY_METRICS_H */
