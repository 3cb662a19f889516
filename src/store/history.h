/*
 * history.h
 *	  What was tried and how it ended; audit chain; quota counters.
 *
 * Where: in a transaction, as the worker's role.
 */
#ifndef TH_STORE_HISTORY_H
#define TH_STORE_HISTORY_H

#include "store/job.h"

typedef struct ThHistory
{
	TimestampTz at;
	ThJob job;
	const char *platform;
	const char *action;  /* of job_history_action_check */
	const char *outcome; /* of job_history_outcome_check */
	int http_status;     /* 0: none */
	const char *code;
	const char *message;  /* redacted */
	const char *host;     /* network host, no path */
	int total_ms;         /* -1: none */
	TimestampTz retry_at; /* 0: none */
} ThHistory;

extern void th_history_write(const ThHistory *rows, int n);

/*
 * Makes the partitions of today and tomorrow, and of the months for what
 * failed; drops those older than telehealth.history_days, or of failures
 * telehealth.failure_history_days, unless history is held; trims the default
 * ones. Where: a transaction of its own, now and then.
 */
extern void th_history_keep(TimestampTz now);

/* Chains audit rows not chained yet by hash, at most "limit"; returns the number. */
extern int64 th_audit_chain(int limit);

typedef struct ThQuota
{
	int64 clinic_id; /* of the account */
	int64 account_id;
	const char *host;
	int used;          /* to be added, or counted */
	TimestampTz until; /* 0: no refusal known */
} ThQuota;

/* Adds to the counters of the present UTC day. */
extern void th_quota_add(const ThQuota *rows, int n, TimestampTz now);

/* The counters of the present UTC day. Memory: current context. Returns their number. */
extern int th_quota_read(TimestampTz now, ThQuota **rows);

/* Value of a vendor's limit: the user's row, else ours, else "otherwise". */
extern int64 th_vendor_limit(const char *vendor, const char *name,
							 int64 otherwise);

#endif /* TH_STORE_HISTORY_H */
