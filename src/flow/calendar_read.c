/*
 * calendar_read.c
 *	  A calendar's text to occurrences, with the zones of this server.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgtime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "base/th_zone.h"
#include "flow/calendar_read.h"
#include "store/windows_zone.h"

/* 1900-01-01 and 2200-01-01: the rules of zones are asked between them. */
#define FIRST_TIME INT64CONST(-2208988800)
#define LAST_TIME INT64CONST(7258118400)

/* Seconds after the window that its events may still need. */
#define ZONE_MARGIN (INT64CONST(366) * SECS_PER_DAY)

typedef struct Reading
{
	MemoryContext caller;
	MemoryContext own;
	int64 zones_end; /* seconds since 1970 */
	void (*emit)(void *context, const ThIcalOccurrence *occurrence);
	void *context;
} Reading;

/* The transitions of a zone of the server's. Memory: current context. */
static ThIcalZone *
list_transitions(const pg_tz *server_zone, int64 end)
{
	ThIcalZone *zone = palloc0_object(ThIcalZone);
	int size = 64;
	ThIcalTransition *list = palloc_array(ThIcalTransition, size);
	pg_time_t at = FIRST_TIME;
	bool is_first = true;

	for (;;)
	{
		long before = 0;
		long after = 0;
		int before_isdst;
		int after_isdst;
		pg_time_t boundary;
		int found = pg_next_dst_boundary(&at, &before, &before_isdst, &boundary,
										 &after, &after_isdst, server_zone);

		if (is_first)
			zone->offset = (int) before;
		is_first = false;
		if (found <= 0 || boundary > end)
			break;
		at = boundary;
		/* Only the name changed. */
		if (before == after)
			continue;
		if (zone->count == size)
		{
			size *= 2;
			list = repalloc_array(list, ThIcalTransition, size);
		}
		list[zone->count++] = (ThIcalTransition){ .at = boundary,
												  .before = (int) before,
												  .after = (int) after };
	}
	zone->transitions = list;
	return zone;
}

/* "/freeassociation.sourceforge.net/Europe/Berlin" and its like. */
static pg_tz *
find_behind_slashes(const char *name)
{
	pg_tz *zone = NULL;

	while (zone == NULL && name != NULL && *name == '/')
	{
		name++;
		zone = th_zone_named(name);
		name = strchr(name, '/');
	}
	return zone;
}

/* The server's zone that a name means, which may be one of Windows; or NULL. */
static pg_tz *
find_any_zone(const char *name)
{
	pg_tz *zone = th_zone_named(name);
	char *iana;

	if (zone == NULL)
		zone = find_behind_slashes(name);
	if (zone != NULL || name[0] == '\0')
		return zone;
	iana = th_windows_zone_find(name);
	return iana == NULL ? NULL : th_zone_named(iana);
}

const char *
th_calendar_zone(const char *name)
{
	pg_tz *zone = find_any_zone(name);

	return zone == NULL ? NULL : pg_get_timezone_name(zone);
}

void
th_calendar_refuse_zone(const char *name)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("time zone \"%s\" not recognized", name),
					errhint("Use a name of pg_timezone_names.")));
}

static const ThIcalZone *
find_zone(void *context, const char *name)
{
	Reading *reading = context;
	pg_tz *zone = find_any_zone(name);

	return zone == NULL ? NULL : list_transitions(zone, reading->zones_end);
}

static void
emit(void *context, const ThIcalOccurrence *occurrence)
{
	Reading *reading = context;

	MemoryContextSwitchTo(reading->caller);
	reading->emit(reading->context, occurrence);
	MemoryContextSwitchTo(reading->own);
}

static void
look_up(void *context pg_attribute_unused())
{
	CHECK_FOR_INTERRUPTS();
}

static void
check_arguments(size_t length, TimestampTz window_start, TimestampTz window_end)
{
	if (length > (size_t) th_guc_max_ics_kb * 1024)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("iCalendar text is too large"),
						errdetail("The text has %zu bytes and "
								  "telehealth.max_ics_kb allows %d kB.",
								  length, th_guc_max_ics_kb)));
	if (TIMESTAMP_NOT_FINITE(window_start) || TIMESTAMP_NOT_FINITE(window_end))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("window must be finite")));
	if (window_end < window_start)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("window must not end before it starts")));
}

ThIcalReadResult
th_calendar_read(const char *ics, size_t length, TimestampTz window_start,
				 TimestampTz window_end, const char *zone_name,
				 void (*emit_row)(void *context,
								  const ThIcalOccurrence *occurrence),
				 void *context)
{
	Reading reading = { .emit = emit_row, .context = context };
	ThIcalRead read = { 0 };
	ThIcalReadResult result;
	pg_tz *zone;

	check_arguments(length, window_start, window_end);
	zone = find_any_zone(zone_name);
	if (zone == NULL)
		th_calendar_refuse_zone(zone_name);

	reading.own = AllocSetContextCreate(CurrentMemoryContext,
										"telehealth calendar",
										ALLOCSET_DEFAULT_SIZES);
	reading.caller = MemoryContextSwitchTo(reading.own);
	reading.zones_end = timestamptz_to_time_t(window_end) + ZONE_MARGIN;
	reading.zones_end = Min(reading.zones_end, LAST_TIME);
	read.text = ics;
	read.length = length;
	read.window_start = window_start;
	read.window_end = window_end;
	read.zone = list_transitions(zone, reading.zones_end);
	read.find_zone = find_zone;
	read.emit = emit;
	read.pause = look_up;
	read.context = &reading;
	result = th_ical_read(&read);
	MemoryContextSwitchTo(reading.caller);
	MemoryContextDelete(reading.own);
	return result;
}
