/*
 * pull_list.h
 *	  What a pull has seen so far, page after page, and what that comes to.
 */
#ifndef TH_FLOW_PULL_LIST_H
#define TH_FLOW_PULL_LIST_H

#include "calendar/event.h"
#include "ical/ical_uid.h"
#include "store/calendar_double.h"
#include "store/calendar_pull.h"

typedef struct ThPullEntry
{
	ThEventSeen seen; /* no texts but ids, etag, our key, summary, problem */
	bool is_own;
	int n; /* place: the later of two counts */
} ThPullEntry;

typedef struct ThPullList
{
	MemoryContext context;
	ThPullEntry *entries;
	int n;
	int room;
} ThPullList;

/* Empties it; "context" is its memory from now on. */
extern void th_pull_list_clear(ThPullList *list, MemoryContext context);

/* Adds a page's events, copied. "own": whose UIDs are ours. */
extern void th_pull_list_add(ThPullList *list, const ThEventSeen *events, int n,
							 const ThIcalOrigin *own);

/*
 * Fills in what is busy inside the window, what was named, what was wrong and
 * what was seen of our own. Of what was told twice the last counts; an
 * occurrence that says nothing but its times is like its series. The list is
 * sorted. Memory: the list's context.
 */
extern void th_pull_list_finish(ThPullList *list, ThPull *pull);

/* What has the connection's tag, into *found; returns its number. Memory: current context. */
extern int th_pull_list_found(const ThPullList *list, const ThIcalOrigin *own,
							  int64 connection_id, ThEventFound **found);

/* What was told last of an event, after th_pull_list_finish(); NULL if nothing. */
extern const ThEventSeen *th_pull_list_seen(const ThPullList *list,
											const char *external_id);

#endif /* TH_FLOW_PULL_LIST_H */
