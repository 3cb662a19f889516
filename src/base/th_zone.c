/*
 * th_zone.c
 *	  Time zones of the server's own data, as offsets over time.
 */
#include "postgres.h"

#include <string.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_zone.h"

/* Read about what is asked for: the next transition and the one before. */
#define MARGIN (2 * 366 * USECS_PER_DAY)

/* Nothing of the server's data is older than the first, or has a second. */
#define EARLIEST (-800000 * USECS_PER_DAY)
#define LATEST (3000000 * USECS_PER_DAY)

/* Offsets that the tz database has below Etc/. */
#define MOST_WEST 12
#define MOST_EAST 14

#define EPOCH_OFFSET                                                           \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

static pg_time_t
to_seconds(TimestampTz instant)
{
	int64 seconds = instant / USECS_PER_SEC;

	if (instant % USECS_PER_SEC < 0)
		seconds--;
	return (pg_time_t) (seconds + EPOCH_OFFSET);
}

static TimestampTz
to_instant(pg_time_t seconds)
{
	return ((int64) seconds - EPOCH_OFFSET) * USECS_PER_SEC;
}

static bool
starts_with(const char *text, const char *prefix)
{
	return pg_strncasecmp(text, prefix, strlen(prefix)) == 0;
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
 * rules ("ABC+3", "Foo/Bar3"), in which "UTC-11" is east of Greenwich and
 * which nobody outside understands; names with a digit are such rules, but for
 * those below Etc/ and a few old ones. Two names are the machine's own zone.
 */
static bool
may_be_name(const char *name)
{
	static const char *const with_digits[] = { "EST5EDT", "CST6CDT", "MST7MDT",
											   "PST8PDT", "GMT0",    "GMT+0",
											   "GMT-0" };

	for (size_t i = 0; i < lengthof(with_digits); i++)
		if (pg_strcasecmp(name, with_digits[i]) == 0)
			return true;
	if (starts_with(name, "Etc/GMT"))
		return is_etc_offset(name + strlen("Etc/GMT"));
	if (starts_with(name, "posix/") || starts_with(name, "right/") ||
		pg_strcasecmp(name, "localtime") == 0 ||
		pg_strcasecmp(name, "posixrules") == 0)
		return false;
	for (const char *p = name; *p != '\0'; p++)
	{
		bool is_letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

		if (!is_letter && *p != '/' && *p != '_' && *p != '-')
			return false;
	}
	return name[0] != '\0';
}

pg_tz *
th_zone_named(const char *name)
{
	pg_tz *tz;

	if (strlen(name) > TZ_STRLEN_MAX || !may_be_name(name))
		return NULL;
	tz = pg_tzset(name);
	return tz != NULL && pg_tz_acceptable(tz) ? tz : NULL;
}

ThZone *
th_zone_open(const char *name)
{
	ThZone *zone;
	pg_tz *tz = th_zone_named(name);

	if (tz == NULL)
		return NULL;
	zone = palloc0(sizeof(ThZone));
	zone->name = pg_get_timezone_name(tz);
	zone->tz = tz;
	zone->context = CurrentMemoryContext;
	return zone;
}

static void
add_span(ThZone *zone, int *room, TimestampTz at, long offset, int is_dst,
		 pg_time_t inside)
{
	ThZoneSpan *span;
	struct pg_tm *tm;

	/* Another name for the same offset is no transition. */
	if (zone->n_spans > 0 && zone->spans[zone->n_spans - 1].offset == offset)
		return;
	if (zone->n_spans == *room)
	{
		*room *= 2;
		zone->spans = repalloc(zone->spans, sizeof(ThZoneSpan) * *room);
	}
	span = &zone->spans[zone->n_spans++];
	span->at = at;
	span->offset = (int) offset;
	span->is_dst = is_dst != 0;
	tm = pg_localtime(&inside, zone->tz);
	strlcpy(span->name, tm != NULL && tm->tm_zone != NULL ? tm->tm_zone : "",
			sizeof(span->name));
}

static void
read_spans(ThZone *zone)
{
	pg_time_t now = to_seconds(zone->from);
	pg_time_t until = to_seconds(zone->until);
	pg_time_t next;
	long before;
	long after;
	int before_dst;
	int after_dst;
	int found;
	int room = 16;

	if (zone->spans != NULL)
		pfree(zone->spans);
	zone->spans = MemoryContextAlloc(zone->context, sizeof(ThZoneSpan) * room);
	zone->n_spans = 0;
	zone->memo = 0;
	found = pg_next_dst_boundary(&now, &before, &before_dst, &next, &after,
								 &after_dst, zone->tz);
	add_span(zone, &room, DT_NOBEGIN, before, before_dst, now);
	while (found == 1 && next <= until)
	{
		add_span(zone, &room, to_instant(next), after, after_dst, next);
		now = next;
		found = pg_next_dst_boundary(&now, &before, &before_dst, &next, &after,
									 &after_dst, zone->tz);
	}
}

void
th_zone_cover(ThZone *zone, TimestampTz from, TimestampTz until)
{
	TimestampTz first = from;
	TimestampTz last = until;
	int64 more = MARGIN;

	from = Min(Max(from, EARLIEST), LATEST);
	until = Min(Max(until, from), LATEST);
	if (zone->n_spans > 0)
	{
		if (from >= zone->from && until <= zone->until)
			return;
		first = Min(from, zone->from);
		last = Max(until, zone->until);

		/* Twice as much each time, so that many steps cost what one does. */
		more = Max(more, last - first);
	}
	else
	{
		first = from;
		last = until;
	}
	if (zone->n_spans == 0 || from < zone->from)
		first = Max(first - more, EARLIEST);
	if (zone->n_spans == 0 || until > zone->until)
		last = Min(last + more, LATEST);
	zone->from = first;
	zone->until = last;
	read_spans(zone);
}

int
th_zone_find(ThZone *zone, TimestampTz instant)
{
	int low = 0;
	int high;

	th_zone_cover(zone, instant, instant);
	if (zone->spans[zone->memo].at <= instant &&
		(zone->memo + 1 == zone->n_spans ||
		 zone->spans[zone->memo + 1].at > instant))
		return zone->memo;
	high = zone->n_spans - 1;
	while (low < high)
	{
		int middle = (low + high + 1) / 2;

		if (zone->spans[middle].at <= instant)
			low = middle;
		else
			high = middle - 1;
	}
	zone->memo = low;
	return low;
}

ThWallKind
th_zone_wall(ThZone *zone, TimestampTz instant, Timestamp *wall)
{
	const ThZoneSpan *span;
	int number;

	th_zone_cover(zone, instant - USECS_PER_DAY, instant + USECS_PER_DAY);
	number = th_zone_find(zone, instant);
	span = &zone->spans[number];
	*wall = instant + span->offset * USECS_PER_SEC;
	if (span->offset % SECS_PER_MINUTE != 0)
		return TH_WALL_SECONDS;

	/* The clock is put back at "at": it shows again what it showed before. */
	if (number + 1 < zone->n_spans &&
		instant >= span[1].at - (span->offset - span[1].offset) * USECS_PER_SEC)
		return TH_WALL_TWICE;
	if (number > 0 &&
		instant < span->at + (span[-1].offset - span->offset) * USECS_PER_SEC)
		return TH_WALL_TWICE;
	return TH_WALL_EXACT;
}
