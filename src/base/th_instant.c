/*
 * th_instant.c
 *	  Instants as JSON carries them (RFC 3339, and what comes close).
 */
#include "postgres.h"

#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/th_instant.h"
#include "base/th_zone.h"

static char *
format_tm(const struct pg_tm *tm, const char *zone)
{
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d%s", tm->tm_year, tm->tm_mon,
					tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec, zone);
}

char *
th_instant_text(TimestampTz instant)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (timestamp2tm(instant, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	return format_tm(&tm, "Z");
}

char *
th_instant_local_text(TimestampTz instant, const char *zone_name)
{
	ThZone *zone = zone_name == NULL ? NULL : th_zone_open(zone_name);
	struct pg_tm tm;
	fsec_t fsec;
	Timestamp wall;

	if (zone == NULL || th_zone_wall(zone, instant, &wall) != TH_WALL_EXACT ||
		timestamp2tm(wall, NULL, &tm, &fsec, NULL, NULL) != 0)
		return NULL;
	return format_tm(&tm, "");
}

/* Reads exactly "count" digits and steps over them. */
static bool
take_number(const char **text, int count, int *number)
{
	*number = 0;
	for (int i = 0; i < count; i++)
	{
		char c = **text;

		if (c < '0' || c > '9')
			return false;
		*number = *number * 10 + (c - '0');
		(*text)++;
	}
	return true;
}

static bool
take_char(const char **text, char expected)
{
	if (**text != expected)
		return false;
	(*text)++;
	return true;
}

/* Date, time of day and a fraction that is passed over. */
static bool
take_date_time(const char **text, struct pg_tm *tm)
{
	memset(tm, 0, sizeof(*tm));
	if (!take_number(text, 4, &tm->tm_year) || !take_char(text, '-') ||
		!take_number(text, 2, &tm->tm_mon) || !take_char(text, '-') ||
		!take_number(text, 2, &tm->tm_mday) ||
		!(take_char(text, 'T') || take_char(text, ' ')) ||
		!take_number(text, 2, &tm->tm_hour) || !take_char(text, ':') ||
		!take_number(text, 2, &tm->tm_min))
		return false;
	if (take_char(text, ':') && !take_number(text, 2, &tm->tm_sec))
		return false;
	if (take_char(text, '.'))
	{
		while (**text >= '0' && **text <= '9')
			(*text)++;
	}
	tm->tm_isdst = -1;
	return tm->tm_year >= 1 && tm->tm_mon >= 1 && tm->tm_mon <= 12 &&
		   tm->tm_mday >= 1 &&
		   tm->tm_mday <= day_tab[isleap(tm->tm_year)][tm->tm_mon - 1] &&
		   tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 59;
}

/* Z, +hh:mm or +hhmm; *zone is seconds west of Greenwich, as in the server. */
static bool
take_offset(const char **text, int *zone)
{
	bool is_east;
	int hours;
	int minutes;

	if (take_char(text, 'Z') || take_char(text, 'z'))
	{
		*zone = 0;
		return true;
	}
	is_east = **text == '+';
	if (!take_char(text, '+') && !take_char(text, '-'))
		return false;
	if (!take_number(text, 2, &hours))
		return false;
	(void) take_char(text, ':');
	if (!take_number(text, 2, &minutes) || hours > 15 || minutes > 59)
		return false;
	*zone = hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE;
	if (is_east)
		*zone = -*zone;
	return true;
}

static bool
has_local_time(TimestampTz instant, const struct pg_tm *wanted, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t fsec;
	int offset;

	return timestamp2tm(instant, &offset, &tm, &fsec, NULL, zone) == 0 &&
		   tm.tm_year == wanted->tm_year && tm.tm_mon == wanted->tm_mon &&
		   tm.tm_mday == wanted->tm_mday && tm.tm_hour == wanted->tm_hour &&
		   tm.tm_min == wanted->tm_min && tm.tm_sec == wanted->tm_sec;
}

TimestampTz
th_instant_read(const char *text, const char *zone_name, TimestampTz expected)
{
	struct pg_tm tm;
	TimestampTz instant;
	int offset;

	if (text == NULL || !take_date_time(&text, &tm))
		return 0;
	if (*text == '\0')
	{
		pg_tz *zone = zone_name == NULL ? NULL : th_zone_named(zone_name);

		if (zone == NULL)
			return 0;
		if (expected != 0 && has_local_time(expected, &tm, zone))
			return expected;
		offset = DetermineTimeZoneOffset(&tm, zone);
	}
	else if (!take_offset(&text, &offset) || *text != '\0')
		return 0;
	return tm2timestamp(&tm, 0, &offset, &instant) == 0 ? instant : 0;
}

TimestampTz
th_instant_read_date(const char *text, const char *zone_name)
{
	if (text == NULL || strlen(text) != 10)
		return 0;
	return th_instant_read(psprintf("%sT00:00:00", text), zone_name, 0);
}
