/*
 * caldav_pull.h
 *	  What a pull of a CalDAV calendar has to remember between its calls, and
 *	  until the next pull. Not for other rooms.
 *
 * "next" is a line of numbers and the cursor to be, and a line for each name
 * that is still to be fetched. A cursor is "WHO sync TOKEN" or "WHO ctag TAG
 * LIST", the list that of names, each behind a digest of itself and its etag.
 * Memory of all: current context.
 */
#ifndef TH_CALENDAR_CALDAV_PULL_H
#define TH_CALENDAR_CALDAV_PULL_H

#include "calendar/calendar.h"

typedef enum ThCaldavStep
{
	TH_CALDAV_LOOK,   /* token and ctag of the collection */
	TH_CALDAV_WHO,    /* whose it is */
	TH_CALDAV_QUERY,  /* names in a piece of the window */
	TH_CALDAV_SYNC,   /* names that changed */
	TH_CALDAV_FETCH,  /* what is in them */
	TH_CALDAV_MEMBERS /* all names there are: no event is in the window */
} ThCaldavStep;

typedef struct ThCaldavResource
{
	const char *name;
	uint64 digest; /* 0: its etag is not known */
} ThCaldavResource;

typedef struct ThCaldavPull
{
	ThCaldavStep step;
	int rounds;
	int batch;
	bool is_complete;
	TimestampTz from; /* of the present piece */
	TimestampTz until;
	const char *who;    /* addresses of its owner, by commas, or "-" */
	const char *before; /* what the cursor of the pull before says, or NULL */
	char *cursor;       /* what that of this one is to say */
	ThCaldavResource *resources;
	int n_resources;
	int size;
} ThCaldavPull;

/* What call->next says, or how a pull begins. */
extern void th_caldav_pull_read(const ThCalendarCall *call, ThCaldavPull *pull);
extern char *th_caldav_pull_write(const ThCaldavPull *pull);

/* The cursor that a pull which has come to its end leaves; may be NULL. */
extern char *th_caldav_pull_cursor(const ThCaldavPull *pull);

/* Adds a name, which is not copied. */
extern void th_caldav_pull_add(ThCaldavPull *pull, const char *name,
							   uint64 digest);

/* Sorts by name; what was named twice is there once. */
extern void th_caldav_pull_sort(ThCaldavPull *pull);

/* Of name and etag; 0 if the etag is NULL. */
extern uint64 th_caldav_digest(const char *name, const char *etag);

/*
 * The resources of a cursor with a ctag, in their order; false if it is none.
 * Of the pull nothing else is set.
 */
extern bool th_caldav_cursor_read(const char *cursor, ThCaldavPull *before);

/* A cursor with this ctag and all that the pull has. */
extern char *th_caldav_cursor_write(const ThCaldavPull *pull, const char *ctag);

/* For qsort() and bsearch(). */
extern int th_caldav_resource_compare(const void *a, const void *b);

#endif /* TH_CALENDAR_CALDAV_PULL_H */
