/*
 * calendar_mark.h
 *	  From visits to their events in calendars, and from a calendar to the
 *	  visits that it should show.
 *
 * Where: in a transaction of the dispatcher, as the worker's role.
 */
#ifndef TH_STORE_CALENDAR_MARK_H
#define TH_STORE_CALENDAR_MARK_H

#include "store/job.h"

/* A visit that a calendar of its provider should show, and does not. */
typedef struct ThEventKey
{
	int64 clinic_id;
	int64 appointment_id;
	int64 connection_id;
	const char *uid;
} ThEventKey;

/*
 * Retires the events of visits that are gone, and in calendars of others than
 * the visits' providers; finds what is missing of the rest, without uid.
 * Returns its number. Memory: current context.
 */
extern int th_calendar_event_sort(const ThJob *jobs, int n, TimestampTz now,
								  ThEventKey **missing);

/* Makes the rows of events; those that are there stay as they are. */
extern void th_calendar_event_insert(const ThEventKey *keys, int n);

/*
 * Marks all events of visits with the jobs' priorities; returns how many
 * could not be marked since others hold them.
 */
extern int th_calendar_event_mark(const ThJob *jobs, int n, TimestampTz now);

/* How far the visits of a connection's provider are marked. */
typedef struct ThBackfillPoint
{
	TimestampTz starts_at; /* 0: from the beginning */
	int64 id;
} ThBackfillPoint;

/*
 * Marks up to "limit" visits to come of the connection's provider behind
 * *point, which moves on, and at the beginning the events that are to be
 * removed; returns the number of visits. Fewer than "limit": these were the
 * last. *held counts what could not be marked.
 */
extern int th_calendar_event_backfill(int64 clinic_id, int64 connection_id,
									  ThBackfillPoint *point, int limit,
									  TimestampTz now, int *held);

/*
 * True if somebody else's transaction is older than ours: it may have booked
 * a visit before it could know of a new calendar, and not be seen yet.
 */
extern bool th_calendar_event_is_early(void);

/* Marks visits to come that have no event in the calendar, though they should: whoever forgot them. */
extern void th_calendar_event_sweep(int64 clinic_id, int64 connection_id,
									TimestampTz now);

#endif /* TH_STORE_CALENDAR_MARK_H */
