/*
 * th_wall.c
 *	  Which instant a clock on a wall means.
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/th_wall.h"
#include "base/th_zone.h"

pg_tz *
th_wall_zone(const char *name)
{
	pg_tz *zone = th_zone_named(name);

	if (zone == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" not recognized", name)));
	return zone;
}

/* What clocks in "zone" show, and how far west of UTC they are then. */
static Timestamp
wall_at(TimestampTz instant, pg_tz *zone, int *west)
{
	struct pg_tm tm;
	fsec_t fsec;
	Timestamp wall;

	if (timestamp2tm(instant, west, &tm, &fsec, NULL, zone) != 0 ||
		tm2timestamp(&tm, fsec, NULL, &wall) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	return wall;
}

/*
 * The server reads a time that clocks show twice as the second of them; the
 * first has the offset that was in force before.
 */
TimestampTz
th_wall_instant(Timestamp wall, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t fsec;
	int west;
	int former_west;
	int unused;
	TimestampTz instant;
	TimestampTz former;

	if (TIMESTAMP_NOT_FINITE(wall) ||
		timestamp2tm(wall, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	west = DetermineTimeZoneOffset(&tm, zone);
	if (tm2timestamp(&tm, fsec, &west, &instant) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	(void) wall_at(instant - USECS_PER_DAY, zone, &former_west);
	former = wall + (int64) former_west * USECS_PER_SEC;
	if (former < instant && wall_at(former, zone, &unused) == wall)
		return former;
	return instant;
}

Timestamp
th_wall_of(TimestampTz instant, pg_tz *zone)
{
	int west;

	if (TIMESTAMP_NOT_FINITE(instant))
		return instant;
	return wall_at(instant, zone, &west);
}
