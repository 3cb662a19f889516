/*
 * job.h
 *	  The queue: marking subjects, claiming, settling.
 *
 * Where: in a transaction; what the dispatcher calls, as the worker's role.
 */
#ifndef TH_STORE_JOB_H
#define TH_STORE_JOB_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

#include "store/job_kind.h"

/* Classes of the queue, served in this order. */
typedef enum ThPriority
{
	TH_PRIORITY_NEAR, /* starts within TH_NEAR_MINUTES */
	TH_PRIORITY_CREATE,
	TH_PRIORITY_CHANGE,
	TH_PRIORITY_BACKGROUND
} ThPriority;

#define TH_PRIORITY_COUNT (TH_PRIORITY_BACKGROUND + 1)
#define TH_NEAR_MINUTES 15

typedef struct ThMark
{
	ThJobKind kind;
	ThPriority priority;
	int64 clinic_id;
	int64 subject_id;
	TimestampTz due_at;
} ThMark;

/* As many go to the table at once; a statement may touch any number of rows. */
#define TH_MARK_CHUNK 10000

typedef struct ThJob
{
	ThJobKind kind;
	ThPriority priority;
	int64 clinic_id;
	int64 subject_id;
	int64 claim_no; /* fencing token of this claim */
	int64 generation;
	int attempts; /* claims since the last settle; above max_attempts: dead */
	int failures; /* consecutive */
	TimestampTz marked_at;
	TimestampTz was_due_at; /* before the claim made due_at the lease */
} ThJob;

typedef enum ThSettleVerb
{
	TH_SETTLE_DONE,  /* nothing more to do: the row goes */
	TH_SETTLE_AGAIN, /* the next step is due at once */
	TH_SETTLE_LATER, /* at due_at; failures as given */
	TH_SETTLE_DEAD
} ThSettleVerb;

typedef struct ThSettle
{
	ThJob job;
	ThSettleVerb verb;
	TimestampTz due_at;      /* LATER */
	int failures;            /* new value */
	ThPriority priority;     /* new value */
	const char *waiting_for; /* one word, or NULL */
	const char *error;       /* redacted, or NULL */
	bool is_fenced;          /* out: somebody else owns the job now */
	bool is_locked;          /* out: an application holds the row; try again */
	ItemPointerData place;   /* of the row, once locked; may be invalid */
} ThSettle;

/*
 * Marks subjects: makes their jobs, or raises the generation of those that
 * exist. A job being worked on keeps its lease. As the owner of the queue,
 * whoever calls. The array is sorted in place (lock order). "is_new" says
 * that these subjects most likely have no job, which is cheaper if true.
 * Where: any backend; not while telehealth.restoring is on (does nothing).
 */
extern void th_job_mark(ThMark *marks, int n, bool is_new);

/* The same for the dispatcher, which waits for nobody: returns how many were not marked, since others hold their jobs. Where: as the worker's role. */
extern int th_job_mark_free(ThMark *marks, int n);

/*
 * Marks every visit that has a meeting, or may have one, or with "has_events"
 * an event in a calendar, after the table of appointments was truncated: they
 * are to be removed. Where: any backend.
 */
extern void th_job_mark_abandoned(bool has_events);

/* What is wanted of one class. */
typedef struct ThClaim
{
	TimestampTz from; /* not looking left of it */
	int limit;
} ThClaim;

/*
 * Claims due jobs into *jobs (current context): of each class, in their
 * order, the earliest, at most "limit" together. Returns their number.
 * "classes" has TH_PRIORITY_COUNT elements.
 */
extern int th_job_claim(const ThClaim *classes, int limit, TimestampTz now,
						ThJob **jobs);

/* The same for due jobs that send nothing, while outward work is held. */
extern int th_job_claim_inward(int limit, TimestampTz now, ThJob **jobs);

/* Due jobs of one class, the earliest, as they are, into *jobs (current context); locked until commit, without waiting. Returns their number. */
extern int th_job_peek(ThPriority priority, TimestampTz from, int limit,
					   TimestampTz now, ThJob **jobs);

/* Ends the leases of a predecessor that died, except of rows that somebody holds; if it "was_pushed" (fall.h) these claims do not count. Returns their number. */
extern int64 th_job_recover(TimestampTz now, bool was_pushed);

/*
 * Makes meeting jobs that wait due earlier by so much, since the clock was set
 * back; "now" at the earliest. Skips what an application holds.
 */
extern void th_job_hasten(TimestampTz now, int64 by_us);

/* Renews leases of jobs in work. */
extern void th_job_renew(const ThJob *jobs, int n, TimestampTz until);

/*
 * Locks the rows of "settles" without waiting; sets is_fenced and is_locked.
 * The others are locked until commit, and their generation is read anew:
 * th_job_settle() compares it.
 */
extern void th_job_lock(ThSettle *settles, int n);

/* Settles all that are neither fenced nor locked. Where: after th_job_lock() in the same transaction. */
extern void th_job_settle(ThSettle *settles, int n, TimestampTz now);

#endif /* TH_STORE_JOB_H */
