/*
 * calendar_pull.h
 *	  Pulls of connected calendars, from the first page to what is written.
 *
 * calendar_pull.c asks, calendar_pull_write.c writes.
 */
#ifndef TH_FLOW_CALENDAR_PULL_H
#define TH_FLOW_CALENDAR_PULL_H

#include "flow/calendar_work.h"
#include "flow/event_wish.h"
#include "flow/pull_list.h"

/* The calendar->subject of a pull. */
typedef struct ThPullSubject
{
	const ThPullState *state;
	ThInstallation installation;
	ThPullList list;
	ThPullList own; /* our events, where "list" does not tell whose they are */
	bool is_full;
	bool is_blind; /* nothing is pulled: only our own events are looked at */
	bool forgets;  /* nothing is looked at any more */
	bool is_read;  /* to be written */
	TimestampTz began_at;
	TimestampTz window_start;
	TimestampTz window_end;
	int n_pages;
	int n_restarts;
	char *cursor;  /* the new one */
	List *removed; /* ids of our events that are to be asked about */
} ThPullSubject;

/* Whose UIDs and tags are ours. */
extern ThIcalOrigin th_pull_origin(const ThPullSubject *subject,
								   int64 clinic_id);

/* See ThCalendarFlow. */
extern void th_pull_settle(ThWork **works, ThSettle *settles, int n,
						   TimestampTz now);

#endif /* TH_FLOW_CALENDAR_PULL_H */
