/*
 * owner.c
 *	  Acting as the owner of the extension for a moment.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "store/owner.h"

#define SAFE_PATH "pg_catalog, pg_temp"

/*
 * The owner of telehealth_private.job. Two syscache look-ups; not remembered,
 * since REASSIGN OWNED may change it any time.
 */
Oid
th_owner_role(void)
{
	Oid schema = get_namespace_oid("telehealth_private", true);
	Oid relation = OidIsValid(schema) ? get_relname_relid("job", schema)
									  : InvalidOid;
	HeapTuple tuple = OidIsValid(relation)
						  ? SearchSysCache1(RELOID, ObjectIdGetDatum(relation))
						  : NULL;
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg(
				 "extension \"telehealth\" is not installed in this database"),
			 errhint("Run CREATE EXTENSION telehealth CASCADE.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
th_owner_enter(ThOwnerScope *scope)
{
	Oid owner = th_owner_role();

	GetUserIdAndSecContext(&scope->user, &scope->security_context);
	SetUserIdAndSecContext(owner, scope->security_context |
									  SECURITY_LOCAL_USERID_CHANGE);

	/*
	 * An unqualified = of ours must not be an operator that the caller made:
	 * it would run with the owner's rights.
	 */
	scope->settings_level = 0;
	if (strcmp(namespace_search_path, SAFE_PATH) == 0)
		return;
	scope->settings_level = NewGUCNestLevel();
	(void) set_config_option("search_path", SAFE_PATH, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
th_owner_leave(const ThOwnerScope *scope)
{
	if (scope->settings_level != 0)
		AtEOXact_GUC(true, scope->settings_level);
	SetUserIdAndSecContext(scope->user, scope->security_context);
}
