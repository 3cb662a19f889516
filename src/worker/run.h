/*
 * run.h
 *	  The works of this process between claim and settle: which call may
 *	  start, and what each answer leads to. No SPI, no transaction.
 */
#ifndef TH_WORKER_RUN_H
#define TH_WORKER_RUN_H

#include "flow/work.h"
#include "http/multi.h"

/* How long work that policy holds back waits before it is looked at again. */
#define TH_HELD_RETRY_US (30 * USECS_PER_SEC)

/* Who an exchange belongs to; lives as long as that does. */
typedef struct ThCall
{
	ThWork *work; /* NULL: a token request of account */
	struct ThPoolAccount *account;
	struct ThGrant *grant; /* not NULL: the exchange of a code */
} ThCall;

/* Makes the lists. Where: once, before anything else here. */
extern void th_run_init(void);

/* Memory that the works of one claim share. */
extern ThBatch *th_run_new_batch(void);

/* A work of its own memory context, READY for nothing yet; "batch" may be NULL. */
extern ThWork *th_run_new(ThBatch *batch);

/* Drops a work and its memory. */
extern void th_run_free(ThWork *work);

/* Takes over a decided work: READY or FINISHED. */
extern void th_run_add(ThWork *work);

/* Starts every call that may start; "held" is why outward work waits, or NULL. Errors: out of memory. */
extern void th_run_start(const char *held, TimestampTz now);

/* Sends a request; what is secret in it is wiped. Errors: out of memory. */
extern void th_run_send(const ThHttpRequest *request, ThCall *call);

/* Takes what the network brought. Errors: out of memory. */
extern void th_run_collect(TimestampTz now);

/* Monotonic bound on the next wait: milliseconds until a waiting call may start; -1 none. */
extern int th_run_wait_ms(TimestampTz now);

/* Works READY, RUNNING, FINISHED. */
extern int th_run_ready(void);
extern int th_run_running(void);
extern int th_run_finished(void);

/* Finished works, in order, for settling. Memory: current context. */
extern ThWork **th_run_list_finished(int *n);

/* Everything claimed and not finished, for renewing leases. Memory: current context. */
extern ThWork **th_run_list_open(int *n);

/* The work is settled: leaves the list and is freed. */
extern void th_run_settled(ThWork *work);

/* Ends all calls and finishes every open work as due at once (drain at SIGTERM). */
extern void th_run_abandon(TimestampTz now);

#endif /* TH_WORKER_RUN_H */
