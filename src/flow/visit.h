/*
 * visit.h
 *	  A session under way: has a run ended whose end nobody told us?
 *
 * Pure decisions over what was loaded, as for meetings: decide after the
 * claim, advance for the answer. What the events say is put together when the
 * work is settled.
 */
#ifndef TH_FLOW_VISIT_H
#define TH_FLOW_VISIT_H

#include "flow/work.h"

/* After its planned end, so long a visit may run on before anybody is asked. */
#define TH_VISIT_GRACE_US (10 * USECS_PER_MINUTE)

/* And so long before it is taken to be over, whatever was told. */
#define TH_VISIT_GIVE_UP_US (36 * USECS_PER_HOUR)

/* When the visit should be over; 0 if its time is not known. */
extern TimestampTz th_visit_planned_end(TimestampTz scheduled_at, int duration);

/*
 * Decides a loaded session job: the work is FINISHED, or READY with the
 * question whether the run has ended. Memory: the work's context.
 */
extern void th_visit_decide(ThWork *work, TimestampTz now);

/* Takes the answer ("result" is NULL from the mock): the work is FINISHED. */
extern void th_visit_advance(ThWork *work, const ThMeetingAnswer *answer,
							 const ThHttpResult *result, TimestampTz now);

/* The question was never asked, since there is no token. The work is FINISHED. */
extern void th_visit_refuse(ThWork *work, const ThMeetingAnswer *answer,
							TimestampTz now);

#endif /* TH_FLOW_VISIT_H */
