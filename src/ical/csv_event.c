/*
 * csv_event.c
 *	  What a record of a calendar in CSV says: when, and whether it is busy.
 */
#include "postgres.h"

#include <string.h>

#include "ical/csv_event.h"
#include "ical/csv_time.h"

#define MAX_NAME 32
#define MAX_DURATION_MINUTES (366 * 24 * 60)

/* Names of columns, in small letters and without anything else. */
static const struct
{
	const char *name;
	ThCsvColumn column;
} names[] = {
	{ "uid", TH_CSV_UID },
	{ "icaluid", TH_CSV_UID },
	{ "eventid", TH_CSV_UID },
	{ "externalid", TH_CSV_UID },
	{ "id", TH_CSV_UID },
	{ "start", TH_CSV_START },
	{ "starts", TH_CSV_START },
	{ "startsat", TH_CSV_START },
	{ "startat", TH_CSV_START },
	{ "startdatetime", TH_CSV_START },
	{ "dtstart", TH_CSV_START },
	{ "begin", TH_CSV_START },
	{ "begins", TH_CSV_START },
	{ "from", TH_CSV_START },
	{ "startdate", TH_CSV_START_DATE },
	{ "begindate", TH_CSV_START_DATE },
	{ "starttime", TH_CSV_START_TIME },
	{ "begintime", TH_CSV_START_TIME },
	{ "end", TH_CSV_END_AT },
	{ "ends", TH_CSV_END_AT },
	{ "endsat", TH_CSV_END_AT },
	{ "endat", TH_CSV_END_AT },
	{ "enddatetime", TH_CSV_END_AT },
	{ "dtend", TH_CSV_END_AT },
	{ "finish", TH_CSV_END_AT },
	{ "until", TH_CSV_END_AT },
	{ "to", TH_CSV_END_AT },
	{ "enddate", TH_CSV_END_DATE },
	{ "endtime", TH_CSV_END_TIME },
	{ "date", TH_CSV_DATE },
	{ "day", TH_CSV_DATE },
	{ "duration", TH_CSV_DURATION },
	{ "durationminutes", TH_CSV_DURATION },
	{ "minutes", TH_CSV_DURATION },
	{ "length", TH_CSV_DURATION },
	{ "alldayevent", TH_CSV_ALL_DAY },
	{ "allday", TH_CSV_ALL_DAY },
	{ "isallday", TH_CSV_ALL_DAY },
	{ "timezone", TH_CSV_TIMEZONE },
	{ "starttimezone", TH_CSV_TIMEZONE },
	{ "tzid", TH_CSV_TIMEZONE },
	{ "tz", TH_CSV_TIMEZONE },
	{ "zone", TH_CSV_TIMEZONE },
	{ "showtimeas", TH_CSV_SHOW_AS },
	{ "showas", TH_CSV_SHOW_AS },
	{ "busystatus", TH_CSV_SHOW_AS },
	{ "freebusy", TH_CSV_SHOW_AS },
	{ "availability", TH_CSV_SHOW_AS },
	{ "transparency", TH_CSV_SHOW_AS },
	{ "transp", TH_CSV_SHOW_AS },
	{ "busy", TH_CSV_BUSY },
	{ "isbusy", TH_CSV_BUSY },
	{ "status", TH_CSV_STATUS },
	{ "eventstatus", TH_CSV_STATUS },
};

/* ---- words and numbers ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters and digits of "text", letters small; what is too long is cut. */
static void
squeeze(const char *text, char *out)
{
	size_t n = 0;

	for (; *text != '\0' && n < MAX_NAME - 1; text++)
	{
		char c = *text >= 'A' && *text <= 'Z' ? (char) (*text + 'a' - 'A')
											  : *text;

		if ((c >= 'a' && c <= 'z') || is_digit(c))
			out[n++] = c;
	}
	out[n] = '\0';
}

/* True if "word" is one of the list, which has blanks around each of its own. */
static bool
is_one_of(const char *word, const char *list)
{
	size_t length = strlen(word);
	const char *p = list;

	if (length == 0)
		return false;
	while ((p = strstr(p, word)) != NULL)
	{
		if (p > list && p[-1] == ' ' && p[length] == ' ')
			return true;
		p += length;
	}
	return false;
}

/* The field of a column without blanks before and behind; "" if there is none. */
static const char *
field_of(const ThCsvMap *map, const ThCsvRecord *record, ThCsvColumn column)
{
	int number = map->columns[column];
	char *field;
	size_t length;

	if (number < 0 || number >= record->n_fields)
		return "";
	field = record->fields[number];
	while (*field == ' ' || *field == '\t')
		field++;
	length = strlen(field);
	while (length > 0 &&
		   (field[length - 1] == ' ' || field[length - 1] == '\t'))
		field[--length] = '\0';
	return field;
}

/* ---- the header ---- */

/*
 * Afterwards a date and a time have their columns; START and END_AT are used
 * for what they turned out to be, and DATE only says the day of an end.
 */
static void
settle_columns(int *c)
{
	if (c[TH_CSV_START_DATE] < 0)
		c[TH_CSV_START_DATE] = c[TH_CSV_DATE];
	if (c[TH_CSV_START_DATE] >= 0 && c[TH_CSV_START_TIME] < 0)
		c[TH_CSV_START_TIME] = c[TH_CSV_START];
	if (c[TH_CSV_START_DATE] < 0 && c[TH_CSV_START] >= 0)
		c[TH_CSV_START_DATE] = c[TH_CSV_START];
	if (c[TH_CSV_START_DATE] < 0)
	{
		c[TH_CSV_START_DATE] = c[TH_CSV_START_TIME];
		c[TH_CSV_START_TIME] = -1;
	}

	if (c[TH_CSV_END_TIME] < 0 &&
		(c[TH_CSV_END_DATE] >= 0 || c[TH_CSV_DATE] >= 0))
		c[TH_CSV_END_TIME] = c[TH_CSV_END_AT];
	else if (c[TH_CSV_END_DATE] < 0 && c[TH_CSV_END_AT] >= 0)
		c[TH_CSV_END_DATE] = c[TH_CSV_END_AT];
}

bool
th_csv_map_header(ThCsvMap *map, const ThCsvRecord *header)
{
	char name[MAX_NAME];

	memset(map, 0, sizeof(*map));
	for (int i = 0; i < TH_CSV_COLUMNS; i++)
		map->columns[i] = -1;
	for (int field = 0; field < header->n_fields; field++)
	{
		squeeze(header->fields[field], name);
		for (size_t i = 0; i < lengthof(names); i++)
		{
			int *column = &map->columns[names[i].column];

			if (*column < 0 && strcmp(names[i].name, name) == 0)
				*column = field;
		}
	}
	settle_columns(map->columns);
	return map->columns[TH_CSV_START_DATE] >= 0;
}

/* ---- the record ---- */

void
th_csv_learn_dates(ThCsvMap *map, const ThCsvRecord *record)
{
	th_csv_time_learn(&map->order, field_of(map, record, TH_CSV_START_DATE));
	th_csv_time_learn(&map->order, field_of(map, record, TH_CSV_END_DATE));
}

/* Minutes, or hours and minutes; -1 if it is neither. */
static int
read_duration(const char *p)
{
	int minutes;
	int more;

	if (th_csv_time_read_number(&p, 6, &minutes) == 0)
		return -1;
	if (*p == ':')
	{
		p++;
		if (th_csv_time_read_number(&p, 2, &more) != 2 || more > 59)
			return -1;
		minutes = minutes * 60 + more;
		if (p[0] == ':' && p[1] == '0' && p[2] == '0')
			p += 3;
	}
	return *p == '\0' && minutes <= MAX_DURATION_MINUTES ? minutes : -1;
}

/*
 * Where an event of whole days ends: the last day counts, unless a midnight
 * is written with it, as Outlook does, or it is the first one again.
 */
static const char *
read_last_day(const ThCsvMap *map, const char *date, const char *time,
			  ThCsvEvent *event)
{
	ThCsvTime start = event->start;
	const char *reason;

	start.hour = start.minute = start.second = 0;
	event->end = start;
	if (*date != '\0')
	{
		reason = th_csv_time_read(&map->order, date, time, &event->end);
		if (reason != NULL)
			return reason;
	}
	if (!event->end.has_time || event->end.hour != 0 ||
		event->end.minute != 0 || th_csv_time_compare(&event->end, &start) == 0)
		th_csv_time_add_day(&event->end);
	event->end.hour = event->end.minute = event->end.second = 0;
	event->start = start;
	event->start.has_offset = event->end.has_offset = false;
	return th_csv_time_compare(&event->end, &start) > 0
			   ? NULL
			   : "it ends before it starts";
}

static const char *
read_end(const ThCsvMap *map, const ThCsvRecord *record, ThCsvEvent *event)
{
	const char *date = field_of(map, record, TH_CSV_END_DATE);
	const char *time = field_of(map, record, TH_CSV_END_TIME);
	const char *duration = field_of(map, record, TH_CSV_DURATION);
	const char *reason;

	/* A column of either name may hold either. */
	if (*date == '\0' && th_csv_time_is_date(time))
	{
		date = time;
		time = "";
	}
	else if (*time == '\0' && !th_csv_time_is_date(date))
	{
		time = date;
		date = "";
	}
	if (event->is_all_day)
		return read_last_day(map, date, time, event);
	if (*date != '\0')
	{
		reason = th_csv_time_read(&map->order, date, time, &event->end);
		if (reason == NULL && !event->end.has_time)
			return "its end has no time";
		return reason;
	}
	if (*time != '\0')
	{
		/* Of the same day, or after midnight. */
		event->end = event->start;
		event->end.has_offset = false;
		event->end.offset_s = 0;
		reason = th_csv_time_read_clock(time, &event->end);
		if (reason != NULL)
			return reason;
		if (!event->end.has_offset)
		{
			event->end.has_offset = event->start.has_offset;
			event->end.offset_s = event->start.offset_s;
		}
		if (th_csv_time_compare(&event->end, &event->start) < 0)
			th_csv_time_add_day(&event->end);
		return NULL;
	}
	event->duration_minutes = read_duration(duration);
	if (*duration == '\0')
		return "it has no end";
	return event->duration_minutes < 0 ? "not a duration" : NULL;
}

static void
read_status(const ThCsvMap *map, const ThCsvRecord *record, ThCsvEvent *event)
{
	char as[MAX_NAME];
	char busy[MAX_NAME];
	char status[MAX_NAME];

	/* The numbers are those of Outlook's exports. */
	squeeze(field_of(map, record, TH_CSV_SHOW_AS), as);
	squeeze(field_of(map, record, TH_CSV_BUSY), busy);
	squeeze(field_of(map, record, TH_CSV_STATUS), status);
	event->is_busy =
		!is_one_of(as, " free transparent available 3 ") &&
		!is_one_of(busy, " false no n f 0 free off ") &&
		!is_one_of(status,
				   " free cancelled canceled declined deleted removed ");
	event->is_tentative = is_one_of(as, " tentative 1 ") ||
						  is_one_of(status, " tentative pending ");
}

const char *
th_csv_read_event(const ThCsvMap *map, const ThCsvRecord *record,
				  ThCsvEvent *event)
{
	char all_day[MAX_NAME];
	const char *date;
	const char *time;
	const char *reason;

	memset(event, 0, sizeof(*event));
	event->duration_minutes = -1;
	event->uid = field_of(map, record, TH_CSV_UID);
	event->timezone = field_of(map, record, TH_CSV_TIMEZONE);
	read_status(map, record, event);
	date = field_of(map, record, TH_CSV_START_DATE);
	time = field_of(map, record, TH_CSV_START_TIME);
	reason = th_csv_time_is_date(time)
				 ? th_csv_time_read(&map->order, time, "", &event->start)
				 : th_csv_time_read(&map->order, date, time, &event->start);
	if (reason != NULL)
		return reason;
	squeeze(field_of(map, record, TH_CSV_ALL_DAY), all_day);
	event->is_all_day = !event->start.has_time ||
						is_one_of(all_day, " true yes y 1 x on ");
	return read_end(map, record, event);
}
