/*
 * csv.c
 *	  The reader of calendars in CSV alone, under libFuzzer.
 *
 * Reads as import_csv() does: once for what its dates tell, once for its
 * events. Buffers are as long as the text, so that a step beyond is seen.
 */
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

#include "ical/csv_event.h"

extern int LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/* A text that stands in the buffer with the zero that ends it. */
static void
check_text(const char *text, const char *buffer, size_t size)
{
	if (*text == '\0')
		return;
	if (text < buffer || text >= buffer + size ||
		memchr(text, '\0', buffer + size + 1 - text) == NULL)
		abort();
}

static void
check_time(const ThCsvTime *time)
{
	static const int lengths[] = { 31, 29, 31, 30, 31, 30,
								   31, 31, 30, 31, 30, 31 };

	if (time->year < 1900 || time->year > 2201 || time->month < 1 ||
		time->month > 12 || time->day < 1 ||
		time->day > lengths[time->month - 1])
		abort();
	if (time->hour < 0 || time->hour > 23 || time->minute < 0 ||
		time->minute > 59 || time->second < 0 || time->second > 59)
		abort();
	if (abs(time->offset_s) > 15 * 3600)
		abort();
}

static void
check_event(const ThCsvEvent *event, const char *buffer, size_t size)
{
	check_text(event->uid, buffer, size);
	check_text(event->timezone, buffer, size);
	check_time(&event->start);
	if (event->duration_minutes > 366 * 24 * 60 || event->duration_minutes < -1)
		abort();
	if (event->duration_minutes >= 0)
		return;
	check_time(&event->end);
	if (event->is_all_day &&
		th_csv_time_compare(&event->end, &event->start) <= 0)
		abort();
}

/* One pass; "map" is made in the first, and of use in the second. */
static bool
read_all(const uint8 *data, size_t size, ThCsvMap *map, bool is_first)
{
	char *buffer = malloc(size + 1);
	ThCsvReader reader;
	ThCsvRecord record;
	ThCsvEvent event;
	ThCsvResult result;
	ThCsvMap unused;
	bool has_header;
	int line = 0;

	if (buffer == NULL)
		abort();
	memcpy(buffer, data, size);
	th_csv_open(&reader, buffer, size);
	result = th_csv_next(&reader, &record);
	has_header = result == TH_CSV_RECORD &&
				 th_csv_map_header(is_first ? map : &unused, &record);
	while (has_header && result != TH_CSV_OPEN_QUOTE &&
		   (result = th_csv_next(&reader, &record)) != TH_CSV_END)
	{
		if (record.line <= line || record.n_fields > TH_CSV_MAX_FIELDS)
			abort();
		line = record.line;
		for (int i = 0; i < record.n_fields; i++)
			check_text(record.fields[i], buffer, size);
		if (result != TH_CSV_RECORD)
			continue;
		if (is_first)
			th_csv_learn_dates(map, &record);
		else if (th_csv_read_event(map, &record, &event) == NULL)
			check_event(&event, buffer, size);
	}
	free(buffer);
	return has_header;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	ThCsvMap map;

	if (read_all(data, size, &map, true))
		(void) read_all(data, size, &map, false);
	return 0;
}
