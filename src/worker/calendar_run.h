/*
 * calendar_run.h
 *	  Works about calendars on their way through the dispatcher: what run.c,
 *	  cycle.c and settle.c do otherwise for them.
 */
#ifndef TH_WORKER_CALENDAR_RUN_H
#define TH_WORKER_CALENDAR_RUN_H

#include "flow/calendar_work.h"

/* Makes ready the works of "works" that are about calendars: their kinds read what they need. Memory: current context, which outlives them. Where: in the claiming transaction. */
extern void th_calendar_load(ThWork **works, int n, TimestampTz now);

/* Decides the first call of such a work. Errors: the kind's own. */
extern void th_calendar_decide(ThWork *work, TimestampTz now);

/* The pool knows the connection of a READY work. Where: in the claiming transaction. */
extern void th_calendar_place(ThWork *work, TimestampTz now);

/* Commits intents. Where: in the claiming transaction. */
extern void th_calendar_begin(ThWork **works, int n, TimestampTz now);

/* True if the present call needs an access token. */
extern bool th_calendar_needs_token(const ThWork *work);

/* Gives a work that cannot start for a while back to the queue. */
extern void th_calendar_release(ThWork *work, TimestampTz at, const char *why,
								TimestampTz now);

/* There is no token for the work. */
extern void th_calendar_refuse(ThWork *work, TimestampTz now);

/* Fills "out" with the present call. Memory: current context. */
extern void th_calendar_build(ThWork *work, ThHttpRequest *out);

/* Reads the answer of the present call. */
extern void th_calendar_read_result(ThWork *work, const ThHttpResult *result,
									TimestampTz now, ThCalendarAnswer *answer);

/* Works are settled in this order: who is marked before who marks. 0: not about calendars, or marking nobody. */
extern int th_calendar_rank(ThJobKind kind);

/* Writes what works about calendars led to, all of one kind. Where: in the settling transaction. */
extern void th_calendar_settle(ThWork **works, ThSettle *settles, int n,
							   TimestampTz now);

#endif /* TH_WORKER_CALENDAR_RUN_H */
