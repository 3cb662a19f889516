/*
 * fall.h
 *	  Whether the dispatcher died by itself, or fell with the server.
 *
 * When one process of the server dies badly the postmaster ends all others
 * with SIGQUIT, and their shared memory is gone. Jobs that were in work then
 * had no part in it: a file in the folder of passing statistics says so to
 * the next dispatcher of the database.
 */
#ifndef TH_WORKER_FALL_H
#define TH_WORKER_FALL_H

/*
 * From now on SIGQUIT leaves that file. Where: the dispatcher, connected to
 * its database, once.
 */
extern void th_fall_watch(void);

/* True if the predecessor was ended with the server, and until it is forgotten. */
extern bool th_fall_was_pushed(void);

/* Whatever happens next is of this process. */
extern void th_fall_forget(void);

/*
 * Removes those of databases that were dropped since: another one may get
 * the number. Where: the launcher, at its start, outside a transaction.
 */
extern void th_fall_sweep(void);

#endif /* TH_WORKER_FALL_H */
