/*
 * calendar_push.h
 *	  The event of a visit in a calendar: compare what the tables want with
 *	  what was last confirmed, and do the one step that closes the difference.
 *
 * calendar_push.c decides, begins and writes; calendar_push_answer.c takes
 * answers.
 */
#ifndef TH_FLOW_CALENDAR_PUSH_H
#define TH_FLOW_CALENDAR_PUSH_H

#include "flow/calendar_work.h"
#include "flow/event_wish.h"

/* The calendar->subject of an event job. */
typedef struct ThPush
{
	ThEventSubject *facts;
	char key[TH_EVENT_KEY_SIZE];
	ThEventWish wish;
	const char *hash;  /* of the wish */
	bool is_removing;  /* there must be no event */
	bool is_adopting;  /* a create's outcome is not known: look first */
	bool is_taken;     /* a create has just found its name taken */
	int conflicts;     /* changes that met another's, in a row */
	List *surplus;     /* names of further events with our key, to be deleted */
	bool is_surplus;   /* the present call is about the first of them */
	const char *found; /* FIND: the first with our key */
	const char *found_etag;
	bool is_found_wanted; /* its times and title are */

	/* what it led to */
	bool writes;     /* the row, as facts->event is by now */
	bool is_removed; /* and then nothing is left of it */
	bool is_pushed;
	bool is_named;     /* the calendar's name of it has become known */
	bool is_forgotten; /* a name that was ours is no more */
	bool wants_pull;   /* somebody changed it; what of it counts a pull says */
	ThEventLoss *loss;
	int created;
	int updated;
	int deleted;
} ThPush;

/* Points the work at a call about the event. Memory: work->context. */
extern void th_push_call(ThWork *work, ThCalendarOp op);

/* Looks for an event that may be there: by its name, or by our key. */
extern void th_push_look(ThWork *work);

extern void th_push_advance(ThWork *work, const ThHttpResult *result,
							TimestampTz now);

extern const ThCalendarFlow th_calendar_event_flow;

#endif /* TH_FLOW_CALENDAR_PUSH_H */
