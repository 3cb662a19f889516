/*
 * import_list.h
 *	  What an import collects before it writes.
 */
#ifndef TH_FLOW_IMPORT_LIST_H
#define TH_FLOW_IMPORT_LIST_H

#include "flow/import.h"
#include "ical/ical_uid.h"
#include "store/busy.h"
#include "store/installation.h"

typedef struct ThImportList
{
	const ThImport *import;
	MemoryContext context; /* of all that is in it */
	ThInstallation installation;
	ThIcalOrigin own; /* UIDs that are not taken */
	ThBusyItem *items;
	int n_items;
	int items_room;
	ThBusyProblem *problems;
	int n_problems;
	int problems_room;
} ThImportList;

/* An empty list, in a context that th_import_list_write() deletes. */
extern ThImportList *th_import_list_create(const ThImport *import);

/*
 * Adds what is busy, unless it is outside of the window, a point in time or
 * our own. "uid" may be NULL; "recurrence_id" is DT_NOBEGIN if it does not
 * recur.
 */
extern void th_import_list_add(ThImportList *list, const char *uid,
							   TimestampTz recurrence_id, TimestampTz starts_at,
							   TimestampTz ends_at, bool is_tentative);

/*
 * Adds what could not be read; "item" 0 is the next number. "uid" may be NULL.
 * Errors: 22P02 after too many.
 */
extern void th_import_list_reject(ThImportList *list, int item, const char *uid,
								  const char *reason);

/* Writes it; "is_complete" if what is not in it may go. Errors: TH004. */
extern void th_import_list_write(ThImportList *list, bool is_complete,
								 ThImportCounts *counts);

/* The id that busy_time has for "uid": itself, or its digest. Memory: current context. */
extern const char *th_import_external_id(const char *uid);

#endif /* TH_FLOW_IMPORT_LIST_H */
