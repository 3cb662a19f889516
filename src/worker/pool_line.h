/*
 * pool_line.h
 *	  The line before an account that is asked for more than its rate allows.
 */
#ifndef TH_WORKER_POOL_LINE_H
#define TH_WORKER_POOL_LINE_H

#include "worker/pool.h"

/* True if so many works wait for the account that more go back to the queue. */
extern bool th_pool_is_crowded(const ThPoolAccount *account,
							   ThPriority priority);

/*
 * When a work refused now should be due: spread along the rate, near starts
 * apart, no later than it comes near.
 */
extern TimestampTz th_pool_release_at(const ThWork *work, TimestampTz from);

/* The same for one that found its account crowded. */
extern TimestampTz th_pool_crowded_until(const ThWork *work, TimestampTz now);

/* The same for a job that was not even claimed, of a visit that is not near. */
extern TimestampTz th_pool_line_up(ThPoolAccount *account,
								   TimestampTz starts_at, TimestampTz now);

#endif /* TH_WORKER_POOL_LINE_H */
