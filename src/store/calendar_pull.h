/*
 * calendar_pull.h
 *	  What a pull of a connected calendar starts from, and what it writes.
 *
 * Where: in a transaction of the dispatcher, as the worker's role.
 */
#ifndef TH_STORE_CALENDAR_PULL_H
#define TH_STORE_CALENDAR_PULL_H

#include "store/busy.h"

/* Where the last complete pull of a connection stood. */
typedef struct ThPullState
{
	const char *cursor;       /* or NULL */
	TimestampTz window_start; /* 0: there was none */
	TimestampTz window_end;
	TimestampTz compared_at;
	const char *timezone;   /* the provider's */
	bool is_many_confirmed; /* somebody said that much may go */
	const char **own;       /* ids of our events to come, sorted, if wanted */
	int n_own;
} ThPullState;

/* One a connection, in their order. Memory: current context. */
extern ThPullState *th_pull_load(const int64 *clinics, const int64 *connections,
								 const bool *wants_own, int n, TimestampTz now);

/* Name of a connection's busy times, "connection:7". Memory: current context. */
#define TH_PULL_SOURCE "connection:"
extern char *th_pull_source(int64 connection_id);

/* What was seen of an event of whoever's. */
typedef struct ThPullSeen
{
	const char *external_id;
	const char *etag; /* or NULL */
	bool is_gone;
} ThPullSeen;

typedef struct ThPull
{
	ThBusyPull busy;
	TimestampTz connected_at; /* as it was when the pull began */
	const char *calendar_id;  /* likewise; or NULL */
	TimestampTz began_at;
	TimestampTz next_at;
	const char *cursor; /* or NULL */
	const ThPullSeen *seen;
	int n_seen;
	bool is_vague; /* what has left the window counts as gone there */
} ThPull;

/* Makes the connection's row ours until commit. */
typedef enum ThPullLock
{
	TH_PULL_OURS,
	TH_PULL_LOCKED, /* somebody holds it: not now */
	TH_PULL_STALE   /* it was connected anew, or ended, since */
} ThPullLock;

extern ThPullLock th_pull_lock(const ThPull *pull, bool *was_suspicious);

/* An event of ours that is not as we left it. */
typedef struct ThPullOwn
{
	int64 event_id;
	int place; /* in what was seen; -1: a full pass has missed it */
} ThPullOwn;

/*
 * Events of visits that are not over, which nobody has written since the pull
 * began, with another version than ours, or gone, or back. Returns their
 * number; *present of ours should have been seen by a full pass. Memory:
 * current context.
 */
extern int th_pull_own(const ThPull *pull, TimestampTz now, ThPullOwn **own,
					   int64 *present);

/* Writes the busy times; if that is not suspicious, the cursor and the connection's row too. */
extern void th_pull_write(const ThPull *pull, ThBusyCounts *counts);

/* As th_pull_write(), where nothing is pulled: the connection's row alone. */
extern void th_pull_note(const ThPull *pull);

/* Notes that so much would have gone. */
extern void th_pull_write_suspicious(const ThPull *pull, int64 n_gone,
									 TimestampTz now);

/*
 * Nothing is pulled from the connection any more: its busy times, problems
 * and cursor go.
 */
extern void th_pull_forget(int64 clinic_id, int64 provider_id,
						   int64 connection_id);

/*
 * Events have become known as ours: what pulls took for somebody's busy time
 * goes. Called with the ids the calendar gave them.
 */
extern void th_pull_disown(const int64 *clinics, const int64 *connections,
						   const char *const *external_ids, int n);

/* Pulls of the connections that are under way are made once more. */
extern void th_pull_repeat(const int64 *clinics, const int64 *connections,
						   int n);

/* A pull of the connection that waits is due now, unless it waits after failures. */
extern void th_pull_hasten(const int64 *clinics, const int64 *connections,
						   int n, TimestampTz now);

#endif /* TH_STORE_CALENDAR_PULL_H */
