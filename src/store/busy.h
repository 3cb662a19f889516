/*
 * busy.h
 *	  Rows of telehealth.busy_time and telehealth.import_problem: what an
 *	  import of one calendar changes.
 *
 * Where: in a transaction, as the owner; the caller has checked that the user
 * may write there.
 */
#ifndef TH_STORE_BUSY_H
#define TH_STORE_BUSY_H

#include "datatype/timestamp.h"

typedef struct ThBusyItem
{
	const char *external_id;
	TimestampTz recurrence_id; /* DT_NOBEGIN if it does not recur */
	TimestampTz starts_at;
	TimestampTz ends_at;
	bool is_tentative;
} ThBusyItem;

typedef struct ThBusyProblem
{
	int item;                /* line or position, from 1 */
	const char *external_id; /* or NULL */
	const char *reason;      /* our words alone */
} ThBusyProblem;

typedef struct ThBusyImport
{
	int64 clinic_id;
	int64 provider_id;
	const char *source;
	TimestampTz window_start;
	TimestampTz window_end;
	const ThBusyItem *items; /* all that is busy inside the window */
	int n_items;
	const ThBusyProblem *problems; /* rows of these ids are not removed */
	int n_problems;
	bool may_remove; /* what was not given, too; else only change and add */
	bool may_remove_many;
} ThBusyImport;

/*
 * A pull of a calendar whose ids stay what they are. What it names and does
 * not give as busy is free; with may_remove also what it does not name. Of
 * this connection's own events none is busy.
 */
typedef struct ThBusyPull
{
	ThBusyImport import;
	int64 connection_id;
	const char *const *named;
	int n_named;
} ThBusyPull;

typedef struct ThBusyCounts
{
	int64 created;
	int64 updated;
	int64 deleted;      /* with is_suspicious: what would be */
	int64 present;      /* rows there were inside the window; or 0 of a pull */
	bool is_suspicious; /* it would remove too many; nothing was written */
} ThBusyCounts;

/* A visit that takes its provider's time. */
typedef struct ThBusyBooking
{
	int64 clinic_id;
	int64 id;
	int64 provider_id;
	TimestampTz starts_at;
	TimestampTz ends_at;
} ThBusyBooking;

/* The zone of the provider, else of the clinic, else UTC. Memory: current context. */
extern char *th_busy_timezone(int64 clinic_id, int64 provider_id);

/*
 * Makes the rows of provider and source inside the window what was given, in
 * one statement; what is as it should be is not written. Imports of the same
 * source wait for each other until the end of the transaction.
 */
extern void th_busy_import(const ThBusyImport *import, ThBusyCounts *counts);

/* The same for a pull; nobody else writes its source. */
extern void th_busy_pull(const ThBusyPull *pull, ThBusyCounts *counts);

/* One of them that overlaps a busy time of its provider, or NULL. */
extern const ThBusyBooking *th_busy_find_conflict(const ThBusyBooking *bookings,
												  int n);

#endif /* TH_STORE_BUSY_H */
