/*
 * transaction.h
 *	  The short transactions of a worker.
 */
#ifndef TH_WORKER_TRANSACTION_H
#define TH_WORKER_TRANSACTION_H

typedef enum ThExtensionState
{
	TH_EXTENSION_READY,
	TH_EXTENSION_ABSENT,
	TH_EXTENSION_OTHER_VERSION /* than this library's */
} ThExtensionState;

/*
 * Begins a transaction as the worker's role, with lock and statement
 * timeouts, and a snapshot; locks the extension against DROP and UPDATE and
 * looks whether it is there in this library's version. Unless READY the
 * transaction is ended again.
 */
extern ThExtensionState th_transaction_begin(const char *activity);

/* Commits, reports statistics, and leaves the caller's memory context current. */
extern void th_transaction_commit(void);

/*
 * Reports what a commit has left to the next one, if that does not come: for
 * a process that may do nothing for long. Where: outside transactions.
 */
extern void th_transaction_report_rest(void);

/*
 * A number that is higher once a transaction has ended that wrote anything
 * anywhere: who reads the same again sees in a new snapshot what was to be
 * seen in one taken since. Where: any process, also outside transactions.
 */
extern uint64 th_transaction_completions(void);

/*
 * True if ALTER DATABASE ... SET has changed this database's settings since
 * the first call; a session never takes them over, a new process does.
 * Where: in a transaction of the above.
 */
extern bool th_transaction_is_setting_changed(void);

/* What the settings were at that first call; false before it. Never throws. */
extern bool th_transaction_settings(uint32 *sum);

#endif /* TH_WORKER_TRANSACTION_H */
