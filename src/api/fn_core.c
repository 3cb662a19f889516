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
#include "store/access.h"

TH_SQL_FUNCTION(th_sql_current_clinic);
TH_SQL_FUNCTION(th_sql_add_minutes);
TH_SQL_FUNCTION(th_sql_is_timezone);
TH_SQL_FUNCTION(th_sql_may_administer);
TH_SQL_FUNCTION(th_sql_may_see);

/* Offsets that the tz database has below Etc/. */
#define MOST_WEST 12
#define MOST_EAST 14

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

static bool
starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "+5" to "-14" after Etc/GMT, as in the tz database. */
static bool
is_etc_offset(const char *text)
{
	int hours = 0;
	int digits = 0;

	if (*text != '+' && *text != '-')
		return *text == '\0' || strcmp(text, "0") == 0;
	for (const char *p = text + 1; *p >= '0' && *p <= '9'; p++, digits++)
		hours = hours * 10 + (*p - '0');
	if (digits < 1 || digits > 2 || text[1 + digits] != '\0' ||
		(digits == 2 && text[1] == '0'))
		return false;
	return hours <= (*text == '+' ? MOST_WEST : MOST_EAST);
}

/*
 * True if the name may be one of the tz database. The server also takes POSIX
 * rules ("ABC+3", "Foo/Bar3"), which nobody outside understands; every name
 * with a digit but those below Etc/ is one or an old alias of one.
 */
static bool
is_zone_name(const char *name)
{
	if (starts_with(name, "Etc/GMT"))
		return is_etc_offset(name + strlen("Etc/GMT"));
	if (starts_with(name, "posix/") || starts_with(name, "right/") ||
		strcmp(name, "localtime") == 0 || strcmp(name, "posixrules") == 0)
		return false;
	for (const char *p = name; *p != '\0'; p++)
	{
		bool is_letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

		if (!is_letter && *p != '/' && *p != '_' && *p != '-')
			return false;
	}
	return name[0] != '\0';
}

Datum
th_sql_is_timezone(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pg_tz *zone;

	if (strlen(name) > TZ_STRLEN_MAX || !is_zone_name(name))
		PG_RETURN_BOOL(false);
	zone = pg_tzset(name);

	/* As the tz database spells it: vendors compare letter by letter. */
	PG_RETURN_BOOL(zone != NULL && pg_tz_acceptable(zone) &&
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
