/*
 * meeting.h
 *	  The meeting of an appointment: compare what the tables want with what
 *	  was last confirmed, and do the one step that closes the difference.
 *
 * Pure decisions over what was loaded; no SPI, no network. The dispatcher
 * calls decide after the claim, then advance for each answer until the work
 * is finished.
 */
#ifndef TH_FLOW_MEETING_H
#define TH_FLOW_MEETING_H

#include "flow/work.h"

/*
 * Decides the first step of a loaded meeting job: the work is READY with a
 * call, or FINISHED. Memory: the work's context.
 */
extern void th_meeting_decide(ThWork *work, TimestampTz now);

/*
 * Takes the answer to the present call ("result" is NULL from the mock): the
 * work is READY with the next call, or FINISHED.
 */
extern void th_meeting_advance(ThWork *work, const ThMeetingAnswer *answer,
							   const ThHttpResult *result, TimestampTz now);

/*
 * The present call was never made, since there is no token: "answer" says
 * why. The work is FINISHED.
 */
extern void th_meeting_refuse(ThWork *work, const ThMeetingAnswer *answer,
							  TimestampTz now);

/*
 * True if "answer" says that the work's account cannot make its meeting, and
 * another platform of the clinic could: the next look goes there.
 */
extern bool th_meeting_goes_elsewhere(const ThWork *work,
									  const ThMeetingAnswer *answer);

/* True if the session's meeting is not what the subject wants and cannot be changed into it: another platform, account, host or patient. */
extern bool th_meeting_must_replace(const ThMeetingSubject *subject,
									const char *host);

#endif /* TH_FLOW_MEETING_H */
