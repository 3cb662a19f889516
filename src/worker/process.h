/*
 * process.h
 *	  How every worker of ours but the launcher begins.
 */
#ifndef TH_WORKER_PROCESS_H
#define TH_WORKER_PROCESS_H

#include "postmaster/bgworker.h"

/* What the launcher tells a worker in bgw_extra; the argument is the slot or the door. */
typedef struct ThProcessOrder
{
	Oid database;
	uint32 generation;
	bool is_gateway;
	int worker; /* of a gateway: its place at the door */
} ThProcessOrder;

StaticAssertDecl(sizeof(ThProcessOrder) <= BGW_EXTRALEN,
				 "a worker's order must fit into bgw_extra");

/*
 * Sets the signals, takes the slot or the place, and connects to its database as the
 * bootstrap superuser with "type" as application name. From then on no row
 * that breaks a rule is logged. What was taken is given back at exit. If it
 * is not for this process any more it exits 0 and does not return.
 *
 * Errors: FATAL if the database cannot be connected to. Where: first call of
 * a worker's main function, signals still blocked.
 */
extern void th_process_start(Datum main_arg, const char *type);

/*
 * Ends this process in good order, as if it had been asked to: the launcher
 * starts a fresh one at once. Does not return.
 */
extern void th_process_leave(void);

/*
 * If SIGTERM came: calls "drain", whose errors are logged, and lets the process
 * end at the next CHECK_FOR_INTERRUPTS(). The flag is down meanwhile so that
 * transactions can run; another SIGTERM ends it at once.
 * Where: outside of a transaction.
 */
extern void th_process_drain_if_dying(void (*drain)(void));

/*
 * What SIGTERM does: the process ends at the next CHECK_FOR_INTERRUPTS(), as
 * one that was asked to. Safe in a signal handler.
 */
extern void th_process_terminate(SIGNAL_ARGS);

/*
 * Whatever the database's defaults are, the statements of this process mean
 * the same. Where: a worker's process, once.
 */
extern void th_process_pin_settings(void);

#endif /* TH_WORKER_PROCESS_H */
