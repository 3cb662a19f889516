/*
 * fn_access.c
 *	  Acting with more rights than the caller has, and the checks before it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "store/access.h"
#include "store/owner.h"

TH_SQL_FUNCTION(th_sql_caller);
TH_SQL_FUNCTION(th_sql_elevated);
TH_SQL_FUNCTION(th_sql_renew_grants);
TH_SQL_FUNCTION(th_sql_require_kind);
TH_SQL_FUNCTION(th_sql_require_owner);
TH_SQL_FUNCTION(th_sql_role_grant_changed);

Datum
th_sql_caller(PG_FUNCTION_ARGS)
{
	Name result = palloc0(sizeof(NameData));

	(void) fcinfo;
	namestrcpy(result, GetUserNameFromId(th_access_caller(), false));
	PG_RETURN_NAME(result);
}

Datum
th_sql_require_kind(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ThAccessKind kind;

	if (!th_access_kind(name, &kind))
		elog(ERROR, "unknown kind \"%s\"", name);
	(void) th_access_require(kind, PG_GETARG_INT64(1));
	PG_RETURN_VOID();
}

Datum
th_sql_require_owner(PG_FUNCTION_ARGS)
{
	if (!is_member_of_role(th_access_caller(), th_owner_role()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s",
						text_to_cstring(PG_GETARG_TEXT_PP(0))),
				 errhint("Ask a member of the role that owns the extension.")));
	PG_RETURN_VOID();
}

Datum
th_sql_renew_grants(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	th_access_renew_grants();
	PG_RETURN_VOID();
}

/* The function of the same name and argument types in telehealth_private. */
static FmgrInfo *
find_twin(FmgrInfo *self)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(self->fn_oid));
	Form_pg_proc function;
	Oid twin;
	FmgrInfo *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", self->fn_oid);
	function = (Form_pg_proc) GETSTRUCT(tuple);
	twin = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   NameGetDatum(&function->proname),
						   PointerGetDatum(&function->proargtypes),
						   ObjectIdGetDatum(
							   get_namespace_oid("telehealth_private", false)));
	if (!OidIsValid(twin))
		elog(ERROR, "function \"%s\" has no twin", NameStr(function->proname));
	ReleaseSysCache(tuple);

	result = MemoryContextAllocZero(self->fn_mcxt, sizeof(FmgrInfo));
	fmgr_info_cxt(twin, result, self->fn_mcxt);
	return result;
}

/*
 * Runs the twin as the owner of the extension. What the caller may do is the
 * twin's to check: it knows the clinic.
 */
Datum
th_sql_elevated(PG_FUNCTION_ARGS)
{
	FmgrInfo *self = fcinfo->flinfo;
	FunctionCallInfo call = palloc0(SizeForFunctionCallInfo(fcinfo->nargs));
	ThOwnerScope scope;
	Oid former;
	Datum result = (Datum) 0;

	if (self->fn_extra == NULL)
		self->fn_extra = find_twin(self);
	InitFunctionCallInfoData(*call, (FmgrInfo *) self->fn_extra, fcinfo->nargs,
							 fcinfo->fncollation, NULL, fcinfo->resultinfo);
	memcpy(call->args, fcinfo->args, sizeof(NullableDatum) * fcinfo->nargs);

	former = th_access_enter();
	th_owner_enter(&scope);
	PG_TRY();
	{
		result = FunctionCallInvoke(call);
	}
	PG_FINALLY();
	{
		th_owner_leave(&scope);
		th_access_leave(former);
	}
	PG_END_TRY();

	fcinfo->isnull = call->isnull;
	return result;
}

Datum
th_sql_role_grant_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "role_grant_changed() is a trigger");
	th_access_changed(RelationGetRelid(trigger->tg_relation));
	return PointerGetDatum(NULL);
}
