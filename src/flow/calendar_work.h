/*
 * calendar_work.h
 *	  One claimed job about a calendar: its connection, the present call, and
 *	  the functions of its kind of job.
 *
 * The worker does what all kinds have in common: places, rates, tokens,
 * sending, reading, parking what has no connection. A kind decides which
 * call is next, and what is written in the end.
 */
#ifndef TH_FLOW_CALENDAR_WORK_H
#define TH_FLOW_CALENDAR_WORK_H

#include "calendar/calendar.h"
#include "flow/work.h"
#include "store/connection.h"

/* Work of a connection that needs its provider is looked at again this late, unless that comes first. */
#define TH_CALENDAR_PARKED_US USECS_PER_DAY

/* What is said of a server whose lists have always one page more. */
#define TH_CALENDAR_ENDLESS "the calendar has more than is read"

typedef struct ThCalendarFlow
{
	/*
	 * Reads what "works", all of this kind, are about: sets
	 * calendar->connection (NULL or id 0: none) and calendar->subject.
	 * Memory: current context, which outlives the works. Where: in the
	 * claiming transaction.
	 */
	void (*load)(ThWork **works, int n, TimestampTz now);

	/*
	 * Decides the first call: fills calendar->call (all but account) and
	 * leaves the work READY, or finishes it by th_work_done() and its kin.
	 * needs_begin: begin() comes first. Pure. Memory: work->context.
	 */
	void (*decide)(ThWork *work, TimestampTz now);

	/*
	 * Commits the intents of READY works of this kind with needs_begin, or
	 * th_work_again() if somebody else was first. May be NULL. Where: in the
	 * claiming transaction.
	 */
	void (*begin)(ThWork **works, int n, TimestampTz now);

	/*
	 * Takes the answer to the present call, calendar->answer; what is to
	 * outlive this call is copied into work->context. Leaves the work READY
	 * for the next call or finishes it. TOKEN_EXPIRED comes only after a
	 * renewal. Pure. Memory: work->context.
	 */
	void (*advance)(ThWork *work, const ThHttpResult *result, TimestampTz now);

	/*
	 * The present call was not sent, and is not now: the work is finished by
	 * the caller. Takes back an intent. May be NULL.
	 */
	void (*withdraw)(ThWork *work);

	/*
	 * Writes what works of this kind led to, and may change settles[i]. Those
	 * that are fenced or locked are not to be touched. May mark other jobs.
	 * May be NULL. Where: in the settling transaction, jobs locked.
	 */
	void (*settle)(ThWork **works, ThSettle *settles, int n, TimestampTz now);
} ThCalendarFlow;

typedef struct ThCalendarWork
{
	const ThCalendarFlow *flow;
	const ThCalendar *vendor;       /* set by the worker after load() */
	const ThConnection *connection; /* set by load() */
	void *subject;                  /* of the kind */
	ThCalendarCall call;
	ThCalendarAccount account; /* of the call under way */
	int page_size;             /* 0: as the vendor's limits say */
	const char *timezone;      /* the provider's, for whole days; or NULL */
	const char *token; /* secret: of the call, not the pool's; or NULL */
	const ThCalendarAnswer *answer; /* during advance() */
	TimestampTz waits_since;        /* for a place; 0: not yet */
	TimestampTz sent_at;            /* of the call under way */
	bool is_slow;                   /* sent although the last one timed out */
} ThCalendarWork;

/* The functions of a kind of job; NULL if it is not about calendars. */
extern const ThCalendarFlow *th_calendar_flow(ThJobKind kind);

/*
 * What every kind does with an answer that is no success of its call and that
 * it has no use for itself: waits, as long as the verdict says, or is dead
 * (PERMANENT). Notes the attempt.
 */
extern void th_calendar_fail(ThWork *work, const ThHttpResult *result,
							 TimestampTz now);

/* Notes the present call in the history with that outcome. */
extern void th_calendar_note(ThWork *work, const ThHttpResult *result,
							 const char *outcome, TimestampTz now);

/*
 * Marks the channel of a connection that should have one and has none. Where:
 * in the settling transaction of its pull.
 */
extern void th_calendar_channel_miss(const ThWork *work, TimestampTz now);

extern const ThCalendarFlow th_calendar_channel_flow;
extern const ThCalendarFlow th_calendar_connection_flow;
extern const ThCalendarFlow th_calendar_pull_flow;

#endif /* TH_FLOW_CALENDAR_WORK_H */
