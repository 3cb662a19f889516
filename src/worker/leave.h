/*
 * leave.h
 *	  How the dispatcher ends, and what it puts in order before.
 *
 * Each way out lets running calls end for a moment, gives other work back to
 * the queue and settles what ended. Where: the dispatcher's loop, outside of
 * a transaction.
 */
#ifndef TH_WORKER_LEAVE_H
#define TH_WORKER_LEAVE_H

/* Leaves to be started anew at once. Errors: any of a settle. */
extern void th_leave_anew(void);

/* Leaves if SIGTERM came, or the slot says so. */
extern void th_leave_if_asked(void);

/* Leaves if the clock was set back since the last call; the first one only reads it. */
extern void th_leave_if_clock_set_back(void);

#endif /* TH_WORKER_LEAVE_H */
