/*
 * housekeeping.h
 *	  The dispatcher's periodic tasks: each has its own time, so that one
 *	  that fails stops no other, and leaves word of its last success.
 */
#ifndef TH_WORKER_HOUSEKEEPING_H
#define TH_WORKER_HOUSEKEEPING_H

#include "http/multi.h"
#include "worker/task.h"

/* Takes over the times that the slot still has of a predecessor. Where: once, before anything else here. */
extern void th_housekeeping_start(ThTaskTimes *tasks);

/* Notes that a task was done, and that it is due again in "every_ms". Never throws. */
extern void th_housekeeping_done(ThTaskTimes *task, int every_ms);

/* Milliseconds until sessions that were left unmarked are looked for; -1 if there are none. Never throws. */
extern int th_housekeeping_wait_ms(void);

/*
 * Runs what is due but claims and full scans, which are the loop's own.
 * Errors: any; that task is tried again an interval later.
 */
extern void th_housekeeping_run(ThTaskTimes *tasks, ThHttpEngine *engine);

#endif /* TH_WORKER_HOUSEKEEPING_H */
