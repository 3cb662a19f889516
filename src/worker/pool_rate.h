/*
 * pool_rate.h
 *	  What accounts and calendars have in common: how often a vendor may be
 *	  called, and hosts that are down.
 */
#ifndef TH_WORKER_POOL_RATE_H
#define TH_WORKER_POOL_RATE_H

#include "http/request.h"

typedef struct ThBucket
{
	double base; /* calls a second that the vendor is said to allow */
	double rate; /* learned: halved by each refusal, recovering */
	double filled;
	int64 filled_at_ms; /* monotonic */
	TimestampTz until;  /* nothing before: refusal of this class */
} ThBucket;

/* A remote host and port. */
typedef struct ThOrigin
{
	char *name;
	int in_flight;
	int slow;               /* of those: see calendar_slow.h */
	int failures;           /* connections that failed in a row */
	TimestampTz open_until; /* nothing but one probe before */
	TimestampTz answered_at;
} ThOrigin;

/* Connections that fail in a row before a host is left alone. */
#define TH_POOL_ORIGIN_FAILURES 3

/* The host of a URL, known from the first time on. */
extern ThOrigin *th_pool_origin(const char *url);

/* What the end of an exchange says about its host. */
extern void th_pool_judge_origin(ThOrigin *origin, const ThHttpResult *result,
								 TimestampTz now);

/* Sets what a bucket is said to allow; lets it fill up with time. */
extern void th_pool_set_base(ThBucket *bucket, double base);
extern void th_pool_fill(ThBucket *bucket);

#endif /* TH_WORKER_POOL_RATE_H */
