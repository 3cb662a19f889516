/*
 * import.h
 *	  Busy times of a provider from a calendar of somebody else's.
 */
#ifndef TH_FLOW_IMPORT_H
#define TH_FLOW_IMPORT_H

#include "datatype/timestamp.h"

typedef struct ThImport
{
	int64 clinic_id;
	int64 provider_id;
	const char *source;
	TimestampTz window_start;
	TimestampTz window_end;
	const char *timezone; /* NULL: the provider's */
	bool may_remove_many;
} ThImport;

typedef struct ThImportCounts
{
	int64 created;
	int64 updated;
	int64 deleted;
	int64 quarantined;
} ThImportCounts;

/*
 * Makes the busy times of provider and source inside the window what the text
 * says: all of it or nothing. A bad item is noted in import_problem and what
 * was imported of it before stays; our own events are never busy. Texts are in
 * the database's encoding.
 *
 * Memory: a context of its own, gone at return. Errors: TH004 if too much
 * would go, 22P02 if the text is no calendar at all, 54000 if it is too large,
 * 22023 for an unknown zone or a window that is none. Where: in a transaction,
 * as the owner; the caller has checked that the user may write there.
 */
extern void th_import_ics(const ThImport *import, const char *ics,
						  size_t length, ThImportCounts *counts);
extern void th_import_csv(const ThImport *import, const char *csv,
						  size_t length, ThImportCounts *counts);

#endif /* TH_FLOW_IMPORT_H */
