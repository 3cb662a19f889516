/*
 * calendar_remote.h
 *	  What somebody did to an event of ours in the calendar, and what is to
 *	  come of it: the rule of remote_change_policy.
 */
#ifndef TH_FLOW_CALENDAR_REMOTE_H
#define TH_FLOW_CALENDAR_REMOTE_H

#include "calendar/event.h"
#include "flow/event_wish.h"
#include "store/calendar_remote.h"

/*
 * Compares an event as it was seen with the one wanted. "seen" is NULL if
 * nobody said a word of its deletion, but a full pass has missed it: that
 * alone cancels no visit. False if there is nothing to be noted.
 * Memory: current context. Pure.
 */
extern bool th_remote_judge(const ThEventSubject *facts,
							const ThEventWish *wish, const ThEventSeen *seen,
							TimestampTz now, ThRemoteChange *out);

#endif /* TH_FLOW_CALENDAR_REMOTE_H */
