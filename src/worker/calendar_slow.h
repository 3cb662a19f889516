/*
 * calendar_slow.h
 *	  Calls that may not be answered in time, and what they may take from
 *	  those that share a host with them.
 *
 * A calendar that hangs holds a place as long as a call may take. So all that
 * timed out last together get a quarter of the places, one each, and neither
 * their next timeouts nor one that others were answered during say that the
 * host is down. Nobody knows it of one that hangs for the first time: whatever
 * is no event of a visit leaves the last places to those, and what finds none
 * for long waits in the queue, so that there is memory for them too.
 */
#ifndef TH_WORKER_CALENDAR_SLOW_H
#define TH_WORKER_CALENDAR_SLOW_H

#include "worker/calendar_pool.h"

/* True unless the connection timed out last and there are enough of those under way, or its host is down and others try it already. */
extern bool th_calendar_slow_has_room(const ThPoolConnection *connection);

/* How many of so many places, of a host or of all, a work may see taken. */
extern int th_calendar_slow_share(const ThWork *work, int places);

/*
 * When a work comes back that found no room because its connection timed out
 * last, then with the reason in *why, or for too long; 0: it may wait for a
 * place.
 */
extern TimestampTz th_calendar_slow_away_until(ThWork *work, TimestampTz now,
											   const char **why);

/* A call starts and ends; the latter tells the host how. */
extern void th_calendar_slow_started(ThWork *work, TimestampTz now);
extern void th_calendar_slow_ended(ThWork *work, const ThHttpResult *result,
								   TimestampTz now);

#endif /* TH_WORKER_CALENDAR_SLOW_H */
