/*
 * fn_core.c
 *	  What column defaults, checks, generated columns and policies call.
 */
#include "postgres.h"

#include <string.h>

#include "common/int.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/th_guc.h"
#include "base/th_zone.h"
#include "store/access.h"

TH_SQL_FUNCTION(th_sql_current_clinic);
TH_SQL_FUNCTION(th_sql_add_minutes);
TH_SQL_FUNCTION(th_sql_is_timezone);
TH_SQL_FUNCTION(th_sql_may_administer);
TH_SQL_FUNCTION(th_sql_may_see);

Datum
th_sql_current_clinic(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_INT64(th_guc_clinic());
}

Datum
th_sql_add_minutes(PG_FUNCTION_ARGS)
{
	TimestampTz start = PG_GETARG_TIMESTAMPTZ(0);
	int64 minutes = PG_GETARG_INT32(1);
	TimestampTz result;

	if (TIMESTAMP_NOT_FINITE(start))
		PG_RETURN_TIMESTAMPTZ(start);
	if (pg_add_s64_overflow(start, minutes * USECS_PER_MINUTE, &result) ||
		!IS_VALID_TIMESTAMP(result))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	PG_RETURN_TIMESTAMPTZ(result);
}

Datum
th_sql_is_timezone(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pg_tz *zone = th_zone_named(name);

	/* As the tz database spells it: vendors compare letter by letter. */
	PG_RETURN_BOOL(zone != NULL &&
				   strcmp(pg_get_timezone_name(zone), name) == 0);
}

Datum
th_sql_may_see(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(th_access_may_see_name(PG_GETARG_INT64(0),
										  NameStr(*PG_GETARG_NAME(1))));
}

Datum
th_sql_may_administer(PG_FUNCTION_ARGS)
{
	Oid role = get_role_oid(NameStr(*PG_GETARG_NAME(1)), true);
	int64 clinic_id = PG_GETARG_INT64(0);

	PG_RETURN_BOOL(OidIsValid(role) &&
				   (th_access_has_kind(TH_ACCESS_ADMIN, clinic_id, role) ||
					th_access_has_kind(TH_ACCESS_WORKER, clinic_id, role)));
}
