/*
 * calendar_slow.c
 *	  Calls of calendars that are not answered in time, or may not be.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "worker/calendar_slow.h"

/* They get this part of the places: one of so many. */
#define PART 4

/* A work that finds none is away for a second, doubling up to half a minute. */
#define FIRST_AWAY_US USECS_PER_SEC
#define MAX_DOUBLINGS 5

/* Places that only events of visits take, if there are others. */
#define KEPT 2

/* A work that is not begun goes back to the queue when it found none for so long, and for as long. */
#define MAX_HOLD_US (2 * USECS_PER_SEC)

static int
part_of(int places)
{
	return Max(places / PART, 1);
}

int
th_calendar_slow_share(const ThWork *work, int places)
{
	return work->job.kind == TH_JOB_EVENT ? places : Max(places - KEPT, 1);
}

bool
th_calendar_slow_has_room(const ThPoolConnection *c)
{
	const ThOrigin *origin = c->account.origin;
	bool is_down = origin->failures >= TH_POOL_ORIGIN_FAILURES;

	if (c->timeouts == 0)
		/* one probe at a time; those that time out anyway are none */
		return !is_down || origin->in_flight <= origin->slow;
	return c->account.in_flight == 0 && !(is_down && origin->in_flight > 0) &&
		   origin->slow < part_of(th_guc_max_connections_per_host) &&
		   c->shared->slow < part_of(c->shared->max_in_flight);
}

/* Others may hang where this one waits for a place. */
static TimestampTz
put_off(ThWork *work, double random, TimestampTz now)
{
	TimestampTz *since = &work->calendar->waits_since;

	if (work->job.kind == TH_JOB_EVENT || work->calls > 0)
		return 0;
	if (*since == 0 || *since > now)
		*since = now;
	return now - *since < MAX_HOLD_US
			   ? 0
			   : now + MAX_HOLD_US / 2 + (int64) (random * MAX_HOLD_US);
}

TimestampTz
th_calendar_slow_away_until(ThWork *work, TimestampTz now, const char **why)
{
	ThPoolConnection *c = work->pool->connection;
	double random = pg_prng_double(&pg_global_prng_state);

	*why = NULL;
	if (c->timeouts == 0)
		return put_off(work, random, now);
	*why = "calendar_unreachable";
	/* works that are turned away together: that is once */
	if (c->away_until <= now)
	{
		int64 pause_us = FIRST_AWAY_US << c->aways;

		c->aways = Min(c->aways + 1, MAX_DOUBLINGS);
		c->away_until = now + pause_us / 2 + (int64) (random * pause_us / 2);
	}
	return c->away_until + (TimestampTz) (random * (c->away_until - now) / 4);
}

void
th_calendar_slow_started(ThWork *work, TimestampTz now)
{
	ThPoolConnection *c = work->pool->connection;

	work->calendar->sent_at = now;
	work->calendar->is_slow = c->timeouts > 0;
	if (!work->calendar->is_slow)
		return;
	work->origin->slow++;
	c->shared->slow++;
}

void
th_calendar_slow_ended(ThWork *work, const ThHttpResult *result,
					   TimestampTz now)
{
	ThPoolConnection *c = work->pool->connection;
	ThOrigin *origin = work->origin;

	if (work->calendar->is_slow)
	{
		origin->slow--;
		c->shared->slow--;
	}
	if (result->end == TH_HTTP_TIMEOUT)
	{
		c->timeouts++;
		if (c->timeouts > 1 || origin->answered_at > work->calendar->sent_at)
			return;
	}
	else if (result->end == TH_HTTP_ANSWERED)
		c->timeouts = c->aways = 0;
	th_pool_judge_origin(origin, result, now);
}
