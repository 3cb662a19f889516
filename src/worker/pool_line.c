/*
 * pool_line.c
 *	  The line before an account that is asked for more than its rate allows.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "worker/pool_line.h"

/* Waits longer than this are not spread along the account's rate. */
#define MAX_HORIZON (60 * USECS_PER_SEC)

/* Works of one account kept in memory beyond its places; more go back to the queue. */
#define WAITING_PER_PLACE 8
#define WAITING_FLOOR 8

/* Work sent back to the queue comes back no sooner. */
#define MIN_RELEASE_US (250 * 1000)

bool
th_pool_is_crowded(const ThPoolAccount *account, ThPriority priority)
{
	/* near starts are kept out by near starts only */
	int waiting = priority == TH_PRIORITY_NEAR
					  ? account->waiting_near
					  : account->waiting + account->placed;

	return waiting >=
		   account->max_in_flight * WAITING_PER_PLACE + WAITING_FLOOR;
}

/* The end of the line, one further with each who asks. */
static TimestampTz
line_up(ThPoolAccount *account, bool is_near, TimestampTz from)
{
	TimestampTz *horizon = &account->horizons[is_near ? 1 : 0];
	double rate = Max(Min(account->medium.rate, account->light.rate),
					  TH_POOL_MIN_RATE);

	*horizon = Max(*horizon, from) + (TimestampTz) (USECS_PER_SEC / rate);
	return *horizon;
}

/* When the visit of a work comes near; DT_NOEND if that is over, or never. */
static TimestampTz
near_at(const ThWork *work, TimestampTz now)
{
	TimestampTz at;

	if (work->ask != NULL || work->subject == NULL ||
		!work->subject->appointment.exists)
		return DT_NOEND;
	at = work->subject->appointment.starts_at -
		 TH_NEAR_MINUTES * USECS_PER_MINUTE;
	return at > now ? at : DT_NOEND;
}

TimestampTz
th_pool_release_at(const ThWork *work, TimestampTz from)
{
	TimestampTz now = th_clock_now();
	bool is_near = work->ask == NULL &&
				   th_work_priority(work, now) == TH_PRIORITY_NEAR;

	/* a near start has places, a rate and a part of the quota of its own */
	if (from > now + MAX_HORIZON)
		/* a wait for tomorrow must not hold back what may go on today */
		return Min(from, near_at(work, now));
	return Min(line_up(work->pool, is_near, from), near_at(work, now));
}

TimestampTz
th_pool_crowded_until(const ThWork *work, TimestampTz now)
{
	return th_pool_release_at(work, now + MIN_RELEASE_US);
}

TimestampTz
th_pool_line_up(ThPoolAccount *account, TimestampTz starts_at, TimestampTz now)
{
	return Min(line_up(account, false, now + MIN_RELEASE_US),
			   starts_at - TH_NEAR_MINUTES * USECS_PER_MINUTE);
}
