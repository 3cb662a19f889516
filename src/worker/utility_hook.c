/*
 * utility_hook.c
 *	  Interception of DDL on whole databases.
 *
 * A worker's connection counts as another user of its database, so these
 * statements would fail after five seconds. The parks end in a transaction
 * callback: it also runs for an error and for a terminated session, and at a
 * commit only once the database is really gone or renamed, so that no worker
 * is started for a database that is about to vanish. The server gives up its
 * lock on the database just after the callback; a worker that is faster
 * waits for that lock while it connects.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "worker/slot_control.h"
#include "worker/utility_hook.h"

/* As long as core itself waits for other users of a database. */
#define LEAVE_TIMEOUT_MS 5000

static ProcessUtility_hook_type previous_hook = NULL;

/* Of the present top transaction. */
static bool has_parked = false;
static bool changes_databases = false;

static bool
is_owned(Oid database)
{
	return OidIsValid(database) &&
		   th_compat_database_ownercheck(database, GetUserId());
}

static bool
is_template(Oid database)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* As core's have_createdb_privilege(), which older minor releases hide. */
static bool
may_create_databases(void)
{
	HeapTuple tuple;
	bool result = false;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

static const DefElem *
find_option(List *options, const char *name)
{
	ListCell *cell;

	foreach(cell, options)
	{
		const DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

/* The template of CREATE DATABASE, if this user may copy it. */
static Oid
template_of(const CreatedbStmt *statement)
{
	const DefElem *option = find_option(statement->options, "template");
	const char *name = "template1";
	Oid database;

	if (!may_create_databases())
		return InvalidOid;
	if (option != NULL && option->arg != NULL)
		name = defGetString((DefElem *) option);
	database = get_database_oid(name, true);
	if (!OidIsValid(database))
		return InvalidOid;
	return is_template(database) || is_owned(database) ? database : InvalidOid;
}

/* An existing database by name, if this user owns it and may change it. */
static Oid
own_other_database(const char *name)
{
	Oid database = get_database_oid(name, true);

	/* Core refuses all of these for the session's own database. */
	return database != MyDatabaseId && is_owned(database) ? database
														  : InvalidOid;
}

/* The database that "statement" wants for itself, or InvalidOid. */
static Oid
wanted_database(Node *statement)
{
	const AlterDatabaseStmt *alter;
	const RenameStmt *rename;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return own_other_database(((DropdbStmt *) statement)->dbname);

		case T_CreatedbStmt:
			changes_databases = true;
			return template_of((CreatedbStmt *) statement);

		case T_RenameStmt:
			rename = (RenameStmt *) statement;
			if (rename->renameType != OBJECT_DATABASE ||
				!may_create_databases())
				return InvalidOid;
			return own_other_database(rename->subname);

		case T_AlterDatabaseStmt:
			/* It may also allow connections, or make a template. */
			changes_databases = true;
			alter = (AlterDatabaseStmt *) statement;
			if (find_option(alter->options, "tablespace") == NULL)
				return InvalidOid;
			return own_other_database(alter->dbname);

		default:
			return InvalidOid;
	}
}

static bool
is_ours(const Node *statement)
{
	return IsA(statement, DropdbStmt) || IsA(statement, CreatedbStmt) ||
		   IsA(statement, RenameStmt) || IsA(statement, AlterDatabaseStmt);
}

/*
 * Errors: those of an interrupt. If the worker does not leave in time, or no
 * park is free, core decides.
 */
static void
make_way(Node *statement)
{
	Oid database;

	if (!th_slot_available() || !IsTransactionState() || RecoveryInProgress())
		return;
	database = wanted_database(statement);
	if (!OidIsValid(database))
		return;

	has_parked = true;
	if (th_slot_park(database))
		(void) th_slot_wait_gone(database, LEAVE_TIMEOUT_MS);
}

static void
process_utility(PlannedStmt *pstmt, const char *query_string,
				bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *query_env,
				DestReceiver *dest, QueryCompletion *qc)
{
	if (is_ours(pstmt->utilityStmt))
		make_way(pstmt->utilityStmt);

	if (previous_hook != NULL)
		previous_hook(pstmt, query_string, read_only_tree, context, params,
					  query_env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, query_env, dest, qc);
}

static void
end_callback(XactEvent event, void *arg)
{
	bool needs_scan;

	(void) arg;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;

	needs_scan = changes_databases && event == XACT_EVENT_COMMIT;
	changes_databases = false;
	if (has_parked)
	{
		has_parked = false;
		th_slot_unpark();
	}
	else if (needs_scan)
		th_slot_request_scan();
}

void
th_utility_hook_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	RegisterXactCallback(end_callback, NULL);
}
