/*
 * launch_gateway.h
 *	  Keeps the gateway processes that databases want.
 *
 * Part of the launcher. By level, as the rest of it: each turn compares what
 * the dispatchers have published with the doors and their processes. One
 * address and port belongs to one database, the first that asked.
 */
#ifndef TH_WORKER_LAUNCH_GATEWAY_H
#define TH_WORKER_LAUNCH_GATEWAY_H

#include "utils/palloc.h"

/* "life" is as long as the launcher. */
extern void th_launch_gateway_init(MemoryContext life);

/* One turn. "now": th_clock_monotonic_ms(). */
extern void th_launch_gateway_turn(int64 now);

/* When the next turn is due without a signal, at the latest. */
extern int64 th_launch_gateway_next(int64 now);

#endif /* TH_WORKER_LAUNCH_GATEWAY_H */
