/*
 * csv_event.h
 *	  What a record of a calendar in CSV says: when, and whether it is busy.
 *
 * Allocates nothing, throws nothing, needs no server. Texts point into the
 * record.
 */
#ifndef TH_ICAL_CSV_EVENT_H
#define TH_ICAL_CSV_EVENT_H

#include "ical/csv_read.h"
#include "ical/csv_time.h"

/* What a column holds; its names stand in one table in csv_event.c. */
typedef enum ThCsvColumn
{
	TH_CSV_UID,
	TH_CSV_START,
	TH_CSV_START_DATE,
	TH_CSV_START_TIME,
	TH_CSV_END_AT,
	TH_CSV_END_DATE,
	TH_CSV_END_TIME,
	TH_CSV_DATE,
	TH_CSV_DURATION,
	TH_CSV_ALL_DAY,
	TH_CSV_TIMEZONE,
	TH_CSV_SHOW_AS,
	TH_CSV_BUSY,
	TH_CSV_STATUS,
	TH_CSV_COLUMNS
} ThCsvColumn;

typedef struct ThCsvMap
{
	int columns[TH_CSV_COLUMNS]; /* number of the field, -1 none */
	ThCsvOrder order;            /* of day and month in its dates */
} ThCsvMap;

typedef struct ThCsvEvent
{
	const char *uid;      /* "" if there is none */
	const char *timezone; /* likewise */
	ThCsvTime start;
	ThCsvTime end;
	int duration_minutes; /* instead of "end", else -1 */
	bool is_all_day;      /* from midnight of "start" to midnight of "end" */
	bool is_busy;
	bool is_tentative;
} ThCsvEvent;

/* Finds the columns by their names; false if none says when events start. */
extern bool th_csv_map_header(ThCsvMap *map, const ThCsvRecord *header);

/*
 * Looks for dates that tell whether day or month stands first in this file.
 * To be called for every record before the first th_csv_read_event(); with no
 * such date the month does, as in the exports of Google and Outlook.
 */
extern void th_csv_learn_dates(ThCsvMap *map, const ThCsvRecord *record);

/* Null, or what is wrong with the record, without anything of its text. */
extern const char *th_csv_read_event(const ThCsvMap *map,
									 const ThCsvRecord *record,
									 ThCsvEvent *event);

#endif /* TH_ICAL_CSV_EVENT_H */
