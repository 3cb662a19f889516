/*
 * database_list.h
 *	  Which databases the launcher looks at.
 */
#ifndef TH_WORKER_DATABASE_LIST_H
#define TH_WORKER_DATABASE_LIST_H

#include "nodes/pg_list.h"

/*
 * OIDs (a List of Oid) of the databases that exist, allow connections, are
 * no templates, and are named by telehealth.databases.
 *
 * Memory: in "context". Errors: those of a catalogue scan; a malformed
 * setting is a WARNING and names nothing. Where: launcher, not in a
 * transaction.
 */
extern List *th_database_list_read(MemoryContext context);

#endif /* TH_WORKER_DATABASE_LIST_H */
