/*
 * cycle.h
 *	  One transaction of the dispatcher: settle what ended, claim what is due.
 */
#ifndef TH_WORKER_CYCLE_H
#define TH_WORKER_CYCLE_H

#include "worker/slot.h"

/* How often a claim looks at all that is due, whatever it knows. */
#define TH_FULL_SCAN_MS 60000

/* What a cycle found. */
typedef struct ThCycleReport
{
	bool is_extension_gone;
	bool is_version_wrong;
	bool is_setting_changed; /* by ALTER DATABASE ... SET: start anew */
	int claimed;
	int settled;
	int failed;
	int kept;         /* finished, but an application holds their rows */
	bool is_more_due; /* a claim came back full */
	TimestampTz
		next_due;  /* the earliest that was settled to be due later; 0: none */
	char held[96]; /* why outward work waits, or "" */
} ThCycleReport;

/*
 * Settles and claims in one transaction, and commits. After an error nothing
 * of it has happened; finished works stay for the next cycle. The same if a
 * restore was committed under it: the next cycle knows that work is held.
 * Errors: any; the caller's boundary aborts.
 */
extern void th_cycle_run(bool wants_claim, bool is_full_scan,
						 ThCycleReport *report);

/* Takes questions from the mailbox for the next claiming cycle; true if there are any. Never throws. */
extern bool th_cycle_take_mail(void);

/* Answers the questions taken with an error, for a loop that cannot claim. Never throws. */
extern void th_cycle_refuse_mail(int sqlstate, const char *message,
								 const char *hint);

/* After an error in th_cycle_run() and the abort: forgets what it had claimed. Never throws. */
extern void th_cycle_abort(void);

/*
 * Settles every finished work in a transaction of its own; one that cannot
 * be written is dropped: its lease runs out and its attempts count. False if
 * there was nothing to do. Never throws for a work's own error.
 */
extern bool th_cycle_settle_singly(void);

/* First transaction of a process: leases of a predecessor end, counters are read. */
extern void th_cycle_start(ThCycleReport *report);

/*
 * Housekeeping, each in a short transaction: partitions of job_history, the
 * audit chain (*has_more if not to its end), limits of vendors, accesses of
 * feeds. False if the library is of another version than the extension, or
 * that is gone.
 */
extern bool th_cycle_keep_history(void);
extern bool th_cycle_chain_audit(bool *has_more);
extern bool th_cycle_read_limits(void);
extern bool th_cycle_count_feeds(void);

/* Moves what is due to be due as much earlier as the clock was set back. */
extern void th_cycle_clock_set_back(int64 back_us);

/* Renews the leases of works that take long. */
extern void th_cycle_renew(void);

#endif /* TH_WORKER_CYCLE_H */
