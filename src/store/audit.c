/*
 * audit.c
 *	  Rows of telehealth.audit_log: who did what.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "store/access.h"
#include "store/audit.h"
#include "store/owner.h"
#include "store/plans.h"

static ThPlan write_audit = {
	.text = "INSERT INTO telehealth.audit_log"
			" (clinic_id, actor, action, object, object_id, detail)"
			" SELECT u.clinic_id, $3::name, $4, $5, u.object_id, $6"
			" FROM unnest($1, $2) AS u (clinic_id, object_id)",
	.n_args = 6,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTOID, TEXTOID, TEXTOID,
			   JSONBOID },
};

void
th_audit_write(const int64 *clinics, const int64 *ids, int n,
			   const char *action, const char *object, Jsonb *detail)
{
	const char *actor = GetUserNameFromId(th_access_caller(), false);
	ThOwnerScope scope;
	Datum values[6];
	char nulls[7] = "      ";

	if (n == 0)
		return;
	th_owner_enter(&scope);
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = CStringGetTextDatum(actor);
	values[3] = CStringGetTextDatum(action);
	values[4] = CStringGetTextDatum(object);
	values[5] = detail == NULL ? (Datum) 0 : JsonbPGetDatum(detail);
	if (detail == NULL)
		nulls[5] = 'n';
	th_plan_run(&write_audit, values, nulls, false);
	th_store_finish();
	th_owner_leave(&scope);
}
