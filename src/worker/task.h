/*
 * task.h
 *	  What the dispatcher does now and then, and when it did.
 */
#ifndef TH_WORKER_TASK_H
#define TH_WORKER_TASK_H

#include "datatype/timestamp.h"

typedef enum ThTask
{
	TH_TASK_CLAIM,
	TH_TASK_FULL_SCAN, /* a claim that looks at all that is due */
	TH_TASK_HISTORY,   /* partitions of job_history */
	TH_TASK_AUDIT_CHAIN,
	TH_TASK_VENDOR_LIMITS,
	TH_TASK_FEEDS,      /* accesses of feeds are written */
	TH_TASK_EVENTS,     /* events that were nobody's find their session */
	TH_TASK_VISITS,     /* sessions nobody marked, and those past their end */
	TH_TASK_CONNECTIONS /* idle ones are closed */
} ThTask;

#define TH_TASK_COUNT (TH_TASK_CONNECTIONS + 1)

typedef struct ThTaskTimes
{
	int every_ms;
	TimestampTz last_success_at; /* 0: none is known */
	TimestampTz next_due_at;     /* by the last success; 0: it never ran */
	int64 due_ms;                /* the same by the monotonic clock */
} ThTaskTimes;

#endif /* TH_WORKER_TASK_H */
