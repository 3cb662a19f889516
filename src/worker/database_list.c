/*
 * database_list.c
 *	  Reads pg_database, through telehealth.databases.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "base/th_guc.h"
#include "worker/database_list.h"

/* datconnlimit of a database whose DROP was interrupted. */
#define CONNECTION_LIMIT_INVALID (-2)

/* The names of the setting, or NIL; they point into "text", which is cut. */
static List *
split_setting(char *text)
{
	List *names = NIL;

	if (!SplitGUCList(text, ',', &names))
	{
		ereport(WARNING, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						  errmsg("invalid list syntax in parameter \"%s\"",
								 "telehealth.databases"),
						  errdetail("No database is served.")));
		return NIL;
	}
	return names;
}

static bool
is_named(List *names, const char *database)
{
	ListCell *cell;

	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		if (strcmp(name, "*") == 0 || strcmp(name, database) == 0)
			return true;
	}
	return false;
}

static List *
scan(List *names, MemoryContext context)
{
	Relation relation = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc descriptor = table_beginscan_catalog(relation, 0, NULL);
	List *databases = NIL;
	HeapTuple tuple;

	while ((tuple = heap_getnext(descriptor, ForwardScanDirection)) != NULL)
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext caller;

		if (row->datistemplate || !row->datallowconn ||
			row->datconnlimit == CONNECTION_LIMIT_INVALID ||
			!is_named(names, NameStr(row->datname)))
			continue;
		caller = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, row->oid);
		MemoryContextSwitchTo(caller);
	}

	table_endscan(descriptor);
	table_close(relation, AccessShareLock);
	return databases;
}

List *
th_database_list_read(MemoryContext context)
{
	List *databases;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	databases = scan(split_setting(pstrdup(th_guc_databases)), context);
	CommitTransactionCommand();

	/* The commit leaves us in the context of the process. */
	MemoryContextSwitchTo(context);
	return databases;
}
