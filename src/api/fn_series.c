/*
 * fn_series.c
 *	  What recurring visits compute: days of a rule, instants of clocks.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/th_wall.h"
#include "ical/ical_days.h"

TH_SQL_FUNCTION(th_sql_is_rule);
TH_SQL_FUNCTION(th_sql_instant_of);
TH_SQL_FUNCTION(th_sql_wall_of);
TH_SQL_FUNCTION(th_sql_series_days);

/* No caller wants more at once. */
#define MAX_DAYS 100000

/* The server's times are counted from 2000 on, those of rules from 1970. */
#define EPOCH_SECONDS                                                          \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

Datum
th_sql_is_rule(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(th_ical_days_is_rule(text_to_cstring(PG_GETARG_TEXT_PP(0))));
}

/* Whether a time is one that calendars have. */
static bool
is_of_calendars(int64 time)
{
	return time >= (int64) (date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE) *
					   USECS_PER_DAY &&
		   time < (int64) (date2j(10000, 1, 1) - POSTGRES_EPOCH_JDATE) *
					  USECS_PER_DAY;
}

Datum
th_sql_instant_of(PG_FUNCTION_ARGS)
{
	Timestamp wall = PG_GETARG_TIMESTAMP(0);
	char *zone = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (!is_of_calendars(wall))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(th_wall_instant(wall, th_wall_zone(zone)));
}

Datum
th_sql_wall_of(PG_FUNCTION_ARGS)
{
	TimestampTz instant = PG_GETARG_TIMESTAMPTZ(0);
	char *zone = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (!is_of_calendars(instant))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMP(th_wall_of(instant, th_wall_zone(zone)));
}

/* True if a visit that starts then is beyond the rule's UNTIL. */
static bool
is_past(const ThIcalUntil *until, Timestamp wall, TimestampTz instant)
{
	Timestamp end = (until->time.wall - EPOCH_SECONDS) * USECS_PER_SEC;

	if (!until->is_given)
		return false;
	if (until->time.form == TH_ICAL_DATE)
		return wall >= end + USECS_PER_DAY;
	return (until->time.form == TH_ICAL_UTC ? instant : wall) > end;
}

/* An infinite day becomes the last that is spoken of. */
static int
julian_of(DateADT date)
{
	int64 day = (int64) date + POSTGRES_EPOCH_JDATE;

	return (int) Max(Min(day, date2j(9999, 12, 31)), date2j(1, 1, 1));
}

Datum
th_sql_series_days(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char *rule = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int first = julian_of(PG_GETARG_DATEADT(1));
	TimeADT time = PG_GETARG_TIMEADT(2);
	pg_tz *zone = th_wall_zone(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	int from = julian_of(PG_GETARG_DATEADT(4));
	int to = julian_of(PG_GETARG_DATEADT(5));
	int most = Min(Max(PG_GETARG_INT32(6), 0), MAX_DAYS);
	int *found = palloc_array(int, Max(most, 1));
	ThIcalUntil until;
	int n = th_ical_days_of_rule(rule, first, from, to, most, found, &until);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		DateADT date = found[i] - POSTGRES_EPOCH_JDATE;
		Timestamp wall = (Timestamp) date * USECS_PER_DAY + time;
		TimestampTz instant = th_wall_instant(wall, zone);
		Datum values[2] = { DateADTGetDatum(date),
							TimestampTzGetDatum(instant) };
		bool nulls[2] = { false, false };

		if (is_past(&until, wall, instant))
			break;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		CHECK_FOR_INTERRUPTS();
	}
	return (Datum) 0;
}
