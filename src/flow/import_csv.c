/*
 * import_csv.c
 *	  Busy times of a provider from a calendar in CSV.
 */
#include "postgres.h"

#include <string.h>

#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "base/th_zone.h"
#include "flow/calendar_read.h"
#include "flow/import_list.h"
#include "ical/csv_event.h"

/* Zones that rows may name, known or not: each costs a look at files. */
#define MAX_ZONES 200

typedef struct Zones
{
	struct
	{
		const char *name;
		ThZone *zone;
	} known[MAX_ZONES];
	int n;
} Zones;

static ThZone *
open_zone(const char *name)
{
	const char *known = th_calendar_zone(name);

	return known == NULL ? NULL : th_zone_open(known);
}

/* The zone of that name; NULL if there is none, or after too many. */
static ThZone *
find_zone(Zones *zones, const char *name)
{
	ThZone *zone;

	for (int i = 0; i < zones->n; i++)
		if (strcmp(zones->known[i].name, name) == 0)
			return zones->known[i].zone;
	if (zones->n == MAX_ZONES)
		return NULL;
	zone = open_zone(name);
	zones->known[zones->n].name = pstrdup(name);
	zones->known[zones->n++].zone = zone;
	return zone;
}

static TimestampTz
minus_offset(TimestampTz wall, int offset_s)
{
	return wall - (TimestampTz) offset_s * USECS_PER_SEC;
}

static int
offset_at(ThZone *zone, TimestampTz instant)
{
	/* Not in one expression: the list may move. */
	int number = th_zone_find(zone, instant);

	return zone->spans[number].offset;
}

/*
 * A wall time that clocks show twice is the first of the two; one that they
 * skip is taken with the offset before the gap, as in iCalendar.
 */
static TimestampTz
instant_of(const ThCsvTime *time, ThZone *zone)
{
	TimestampTz wall =
		(TimestampTz) (date2j(time->year, time->month, time->day) -
					   POSTGRES_EPOCH_JDATE) *
			USECS_PER_DAY +
		(((int64) time->hour * 60 + time->minute) * 60 + time->second) *
			USECS_PER_SEC;
	int before;
	int after;

	if (time->has_offset)
		return minus_offset(wall, time->offset_s);
	before = offset_at(zone, wall - USECS_PER_DAY);
	after = offset_at(zone, wall + USECS_PER_DAY);
	if (offset_at(zone, minus_offset(wall, before)) != before &&
		offset_at(zone, minus_offset(wall, after)) == after)
		return minus_offset(wall, after);
	return minus_offset(wall, before);
}

/* Adds one event; null, or what is wrong with it. */
static const char *
take_event(ThImportList *list, Zones *zones, ThZone *own,
		   const ThCsvEvent *event)
{
	ThZone *zone = event->timezone[0] == '\0'
					   ? own
					   : find_zone(zones, event->timezone);
	TimestampTz starts_at;
	TimestampTz ends_at;

	if (zone == NULL)
		return "its time zone is not known";
	starts_at = instant_of(&event->start, zone);
	ends_at = event->duration_minutes < 0
				  ? instant_of(&event->end, zone)
				  : starts_at + event->duration_minutes * USECS_PER_MINUTE;
	if (ends_at < starts_at)
		return "it ends before it starts";
	if (event->is_busy)
		th_import_list_add(list, event->uid, DT_NOBEGIN, starts_at, ends_at,
						   event->is_tentative);
	return NULL;
}

/* A copy that a reader may write into, with a byte more than the text. */
static char *
copy_text(const char *text, size_t length)
{
	char *copy = MemoryContextAllocHuge(CurrentMemoryContext, length + 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

static void
refuse_open_quote(const ThCsvRecord *record)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid CSV text at line %d", record->line),
					errdetail("A quote is never closed.")));
}

/* The columns, and in which order the dates of the whole file are. */
static void
learn_format(ThCsvMap *map, const char *csv, size_t length)
{
	char *copy = copy_text(csv, length);
	ThCsvRecord *record = palloc(sizeof(ThCsvRecord));
	ThCsvReader reader;
	ThCsvResult result;

	th_csv_open(&reader, copy, length);
	result = th_csv_next(&reader, record);
	if (result != TH_CSV_RECORD || !th_csv_map_header(map, record))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid CSV text at line %d", record->line),
				 errdetail("No column says when events start."),
				 errhint("The first line names the columns: for example "
						 "\"start\" and \"end\", or \"start date\", "
						 "\"start time\", \"end date\" and \"end time\".")));
	while ((result = th_csv_next(&reader, record)) != TH_CSV_END)
	{
		CHECK_FOR_INTERRUPTS();
		if (result == TH_CSV_OPEN_QUOTE)
			refuse_open_quote(record);
		if (result == TH_CSV_RECORD)
			th_csv_learn_dates(map, record);
	}
	pfree(copy);
	pfree(record);
}

static void
take_records(ThImportList *list, const ThCsvMap *map, ThZone *own,
			 const char *csv, size_t length)
{
	ThCsvRecord *record = palloc(sizeof(ThCsvRecord));
	Zones *zones = palloc0(sizeof(Zones));
	ThCsvReader reader;
	ThCsvEvent event;
	ThCsvResult result;

	th_csv_open(&reader, copy_text(csv, length), length);
	(void) th_csv_next(&reader, record);
	while ((result = th_csv_next(&reader, record)) != TH_CSV_END)
	{
		const char *reason;
		bool is_read = result == TH_CSV_RECORD;

		CHECK_FOR_INTERRUPTS();
		if (result == TH_CSV_OPEN_QUOTE)
			refuse_open_quote(record);
		if (is_read)
		{
			reason = th_csv_read_event(map, record, &event);
			if (reason == NULL)
				reason = take_event(list, zones, own, &event);
		}
		else
			reason = result == TH_CSV_TOO_MANY ? "it has too many fields"
											   : "its quotes are wrong";
		if (reason != NULL)
			th_import_list_reject(list, record->line,
								  is_read ? event.uid : NULL, reason);
	}
}

void
th_import_csv(const ThImport *import, const char *csv, size_t length,
			  ThImportCounts *counts)
{
	ThImportList *list = th_import_list_create(import);
	MemoryContext old = MemoryContextSwitchTo(list->context);
	const char *timezone = import->timezone;
	ThCsvMap map;
	ThZone *own;

	if (length > (size_t) th_guc_max_ics_kb * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("CSV text is too large"),
				 errdetail("The text has %zu bytes and telehealth.max_ics_kb "
						   "allows %d kB.",
						   length, th_guc_max_ics_kb)));
	if (timezone == NULL)
		timezone = th_busy_timezone(import->clinic_id, import->provider_id);
	own = open_zone(timezone);
	if (own == NULL)
		th_calendar_refuse_zone(timezone);
	learn_format(&map, csv, length);
	take_records(list, &map, own, csv, length);
	MemoryContextSwitchTo(old);
	th_import_list_write(list, true, counts);
}
