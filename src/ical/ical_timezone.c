/*
 * ical_timezone.c
 *	  VTIMEZONE for a range of instants, and times as properties say them.
 */
#include "postgres.h"

#include <string.h>

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "ical/ical_timezone.h"

/* The last year that four digits can say. */
#define YEAR_MAX 9999

/* The days that four digits can say, from 0001-01-01 on, as of the server. */
#define FIRST_DATE 1721426
#define LAST_DATE 5373484

/* What is used without an end is looked at for so long. */
#define OPEN_YEARS 100

/* What is farther from the range does not count. */
#define NEAR (2 * 366 * USECS_PER_DAY)

/* A rule must have held so often that each weekday had each date. */
#define RULE_YEARS 28

/* One change of the clock inside the range. */
typedef struct Onset
{
	Timestamp wall; /* what the clock showed before */
	int from;       /* minutes east of Greenwich */
	int to;
	bool is_daylight;
	const char *name;
	bool is_written;
} Onset;

/* A rule of the kind "the last Sunday of October": its days of the month. */
typedef struct Rule
{
	int first; /* number of the first onset that follows it */
	int month;
	int weekday; /* 0 is Sunday */
	int first_day;
	int last_day;
} Rule;

static void
put_two(char *at, int number)
{
	at[0] = (char) ('0' + number / 10 % 10);
	at[1] = (char) ('0' + number % 10);
}

static void
split(Timestamp wall, int *date, int *seconds)
{
	int64 day = wall / USECS_PER_DAY;
	int64 rest = wall % USECS_PER_DAY;

	Assert(FIRST_DATE == date2j(1, 1, 1));
	Assert(LAST_DATE == date2j(YEAR_MAX, 12, 31));
	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		day--;
	}
	day = Min(day, LAST_DATE - POSTGRES_EPOCH_JDATE);
	day = Max(day, FIRST_DATE - POSTGRES_EPOCH_JDATE);
	*date = (int) day + POSTGRES_EPOCH_JDATE;
	*seconds = (int) (rest / USECS_PER_SEC);
}

/* Times that stand together are mostly of one day. */
static void
put_day(char *at, int date)
{
	static int last_date = -1;
	static char last[8];

	if (date != last_date)
	{
		int year;
		int month;
		int day;

		j2date(date, &year, &month, &day);
		put_two(last, year / 100);
		put_two(last + 2, year);
		put_two(last + 4, month);
		put_two(last + 6, day);
		last_date = date;
	}
	memcpy(at, last, sizeof(last));
}

void
th_ical_put_date(char *at, Timestamp wall)
{
	int date;
	int seconds;

	split(wall, &date, &seconds);
	put_day(at, date);
}

void
th_ical_put_wall(char *at, Timestamp wall)
{
	int date;
	int seconds;

	split(wall, &date, &seconds);
	put_day(at, date);
	at[8] = 'T';
	put_two(at + 9, seconds / SECS_PER_HOUR);
	put_two(at + 11, seconds / SECS_PER_MINUTE % MINS_PER_HOUR);
	put_two(at + 13, seconds % SECS_PER_MINUTE);
}

void
th_ical_put_duration(char *at, int64 n_days, int64 seconds)
{
	char *end = at + TH_ICAL_DURATION_SIZE;
	int64 hours;

	if (n_days < 0 || seconds < 0)
		*at++ = '-';
	n_days = llabs(n_days);
	seconds = llabs(seconds);
	*at++ = 'P';
	if (n_days > 0)
		at += snprintf(at, end - at, INT64_FORMAT "D", n_days);
	if (seconds == 0 && n_days > 0)
	{
		*at = '\0';
		return;
	}
	*at++ = 'T';
	hours = seconds / SECS_PER_HOUR;
	seconds %= SECS_PER_HOUR;
	if (hours > 0)
		at += snprintf(at, end - at, INT64_FORMAT "H", hours);
	if (seconds >= SECS_PER_MINUTE)
		at += snprintf(at, end - at, "%dM", (int) seconds / SECS_PER_MINUTE);
	/* "PT1H5S" is none: units follow each other. */
	else if (hours > 0 && seconds > 0)
		at += snprintf(at, end - at, "0M");
	if (seconds % SECS_PER_MINUTE > 0 || (hours == 0 && seconds == 0))
		at += snprintf(at, end - at, "%dS", (int) seconds % SECS_PER_MINUTE);
	*at = '\0';
}

static bool
same_group(const Onset *a, const Onset *b)
{
	return a->from == b->from && a->to == b->to &&
		   a->is_daylight == b->is_daylight && strcmp(a->name, b->name) == 0;
}

/*
 * Which of two offsets is the summer's; the data may call the winter the
 * time that is saved (Ireland), calendars know it only the other way round.
 */
static bool
is_daylight(const ThZoneSpan *span, const ThZoneSpan *other)
{
	if (other == NULL || span->is_dst == other->is_dst)
		return span->is_dst;
	return span->offset > other->offset;
}

/* The span's own change of the clock is near enough to be written. */
static bool
is_near(const ThZone *zone, int number, TimestampTz from)
{
	return number > 0 && zone->spans[number].at >= from - NEAR;
}

static void
read_onset(const ThZone *zone, int number, TimestampTz from, TimestampTz until,
		   Onset *onset)
{
	const ThZoneSpan *span = &zone->spans[number];
	const ThZoneSpan *other = NULL;

	if (is_near(zone, number, from))
		other = span - 1;
	else if (number + 1 < zone->n_spans && span[1].at <= until + NEAR)
		other = span + 1;

	/* Nothing that is written has an offset with seconds. */
	onset->to = span->offset / SECS_PER_MINUTE;
	onset->from = onset->to;
	onset->is_daylight = is_daylight(span, other);
	onset->name = span->name;
	if (!is_near(zone, number, from))
	{
		onset->wall = (date2j(1970, 1, 1) - POSTGRES_EPOCH_JDATE) *
					  (int64) USECS_PER_DAY;
		if (onset->wall > from - NEAR)
			onset->wall = from - NEAR;
		return;
	}
	if (span[-1].offset % SECS_PER_MINUTE == 0)
		onset->from = span[-1].offset / SECS_PER_MINUTE;
	onset->wall = span->at + onset->from * USECS_PER_MINUTE;
}

/*
 * The onsets of the range, the first of them in force at its start. Readers
 * want one that is no daylight: python3-icalendar fails without.
 */
static Onset *
collect(ThZone *zone, TimestampTz from, TimestampTz until, int *n)
{
	bool has_standard = false;
	Onset *onsets;
	int first;
	int last;

	/* What else the zone has read must not matter. */
	th_zone_cover(zone, from - NEAR, until + NEAR);
	last = th_zone_find(zone, until);
	first = th_zone_find(zone, from);
	onsets = palloc0(sizeof(Onset) * (last - first + 2));
	*n = 0;
	for (int i = first; i <= last; i++)
	{
		read_onset(zone, i, from, until, &onsets[*n]);
		has_standard |= !onsets[*n].is_daylight;
		(*n)++;
	}
	if (!has_standard && is_near(zone, first, from))
	{
		memmove(onsets + 1, onsets, sizeof(Onset) * *n);
		memset(onsets, 0, sizeof(Onset));
		read_onset(zone, first - 1, from, until, onsets);
		(*n)++;
	}
	if (!has_standard)
		onsets[0].is_daylight = false;
	return onsets;
}

static void
write_offset(StringInfo out, const char *head, int minutes)
{
	char text[8];

	text[0] = minutes < 0 ? '-' : '+';
	minutes = abs(minutes);
	put_two(text + 1, minutes / MINS_PER_HOUR);
	put_two(text + 3, minutes % MINS_PER_HOUR);
	memcpy(text + 5, "\r\n", 3);
	appendStringInfoString(out, head);
	appendStringInfoString(out, text);
}

static void
write_rule(StringInfo out, const Rule *rule)
{
	static const char *const names[] = { "SU", "MO", "TU", "WE",
										 "TH", "FR", "SA" };
	static const int lengths[] = { 31, 29, 31, 30, 31, 30,
								   31, 31, 30, 31, 30, 31 };

	appendStringInfo(out, "RRULE:FREQ=YEARLY;BYMONTH=%d;", rule->month);
	if (rule->last_day == lengths[rule->month - 1])
		appendStringInfo(out, "BYDAY=-1%s\r\n", names[rule->weekday]);
	else if (rule->first_day % 7 == 1)
		appendStringInfo(out, "BYDAY=%d%s\r\n", rule->last_day / 7,
						 names[rule->weekday]);
	else
	{
		appendStringInfo(out, "BYMONTHDAY=%d", rule->first_day);
		for (int day = rule->first_day + 1; day <= rule->last_day; day++)
			appendStringInfo(out, ",%d", day);
		appendStringInfo(out, ";BYDAY=%s\r\n", names[rule->weekday]);
	}
}

/* One component an onset: ical.js takes of RDATE the first value alone. */
static void
write_onset(StringInfo out, const Onset *onset, const Rule *rule)
{
	const char *what = onset->is_daylight ? "DAYLIGHT" : "STANDARD";
	char text[TH_ICAL_TIME_LENGTH];

	th_ical_put_wall(text, onset->wall);
	appendStringInfo(out, "BEGIN:%s\r\nDTSTART:%.15s\r\n", what, text);
	write_offset(out, "TZOFFSETFROM:", onset->from);
	write_offset(out, "TZOFFSETTO:", onset->to);
	if (onset->name[0] != '\0')
		appendStringInfo(out, "TZNAME:%s\r\n", onset->name);
	if (rule != NULL)
		write_rule(out, rule);
	appendStringInfo(out, "END:%s\r\n", what);
}

/*
 * The rule that the last onsets of a group follow, one a year up to the end
 * of what was looked at. False if there is none.
 */
static bool
find_rule(const Onset *onsets, int group, int n, Timestamp until, Rule *rule)
{
	int found = 0;
	int year_after = 0;
	Timestamp time_after = 0;

	for (int i = n - 1; i >= group; i--)
	{
		Timestamp time = onsets[i].wall % USECS_PER_DAY;
		int date;
		int seconds;
		int year;
		int month;
		int day;

		if (!same_group(&onsets[group], &onsets[i]))
			continue;
		split(onsets[i].wall, &date, &seconds);
		j2date(date, &year, &month, &day);
		if (found == 0 && onsets[i].wall < until - 370 * USECS_PER_DAY)
			return false;
		if (found == 0)
			*rule = (Rule){ i, month, j2day(date), day, day };
		else if (year != year_after - 1 || month != rule->month ||
				 j2day(date) != rule->weekday || time != time_after ||
				 Max(day, rule->last_day) - Min(day, rule->first_day) > 6)
			break;
		rule->first = i;
		rule->first_day = Min(day, rule->first_day);
		rule->last_day = Max(day, rule->last_day);
		year_after = year;
		time_after = time;
		found++;
	}
	return found >= RULE_YEARS && rule->last_day - rule->first_day == 6;
}

void
th_ical_write_timezone(StringInfo out, const ThIcalUse *zone)
{
	TimestampTz until = zone->until;
	Onset *onsets;
	int n;

	if (zone->is_open)
		until = Max(until, zone->from + OPEN_YEARS * 366 * USECS_PER_DAY);
	until = Min(until, (date2j(YEAR_MAX, 12, 30) - POSTGRES_EPOCH_JDATE) *
						   (int64) USECS_PER_DAY);
	onsets = collect(zone->zone, zone->from, until, &n);
	appendStringInfo(out, "BEGIN:VTIMEZONE\r\nTZID:%s\r\n", zone->zone->name);
	for (int i = 0; i < n; i++)
	{
		Rule rule;

		if (onsets[i].is_written)
			continue;
		if (!zone->is_open || !find_rule(onsets, i, n, until, &rule) ||
			rule.first > i)
		{
			write_onset(out, &onsets[i], NULL);
			continue;
		}
		write_onset(out, &onsets[i], &rule);
		for (int j = i; j < n; j++)
			onsets[j].is_written |= same_group(&onsets[i], &onsets[j]);
	}
	appendStringInfoString(out, "END:VTIMEZONE\r\n");
	pfree(onsets);
}
