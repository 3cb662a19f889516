/*
 * ical_read.c
 *	  iCalendar text to occurrences: finding components, and the rows.
 *
 * Two passes over the unfolded text: the first notes where components are
 * and what their UID is, the second reads those of one UID together.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_reader.h"

/* Seconds from the Unix epoch to that of the server, 2000-01-01. */
#define EPOCH_SECONDS INT64CONST(946684800)

#define MICROSECONDS INT64CONST(1000000)

/* What is given of a UID or SUMMARY at most, before escapes are taken off. */
#define TEXT_SIZE 4096

/* The first pass. */
typedef struct Scan
{
	ThIcalReader *reader;
	ThIcalItem item;
	const char *kind; /* of the component that is open, or NULL */
	int depth;        /* of components inside it */
	int skipped;      /* depth of those that nobody reads */
	const char *zone; /* TZID of an open VTIMEZONE */
	int64 calendars;
	int64 ended;
	bool is_full;
} Scan;

static TimestampTz
timestamp_of(int64 seconds)
{
	return (seconds - EPOCH_SECONDS) * MICROSECONDS;
}

/* Whole seconds since the Unix epoch, rounded down. */
static int64
seconds_of(TimestampTz at)
{
	int64 seconds = at / MICROSECONDS;

	return seconds - (at % MICROSECONDS < 0) + EPOCH_SECONDS;
}

static void
give(ThIcalReader *reader, ThIcalOccurrence *row, const ThIcalItem *item,
	 const ThIcalEntry *entry)
{
	char summary[TEXT_SIZE];

	if (item != NULL)
	{
		row->uid = item->uid;
		row->sequence = item->sequence;
	}
	if (entry != NULL)
	{
		row->status = entry->status;
		row->reply = entry->reply;
		row->transparency = entry->is_transparent ? "TRANSPARENT" : "OPAQUE";
		row->is_busy = row->problem == NULL && !entry->is_transparent &&
					   (entry->status == NULL ||
						strcmp(entry->status, "CANCELLED") != 0);
		if (entry->summary != NULL)
		{
			th_ical_text_read(entry->summary, summary, sizeof(summary));
			row->summary = summary;
		}
	}
	reader->read->emit(reader->read->context, row);
	if (reader->result.occurrences + reader->result.problems >=
		TH_ICAL_MAX_OCCURRENCES)
		reader->is_full = true;
}

void
th_ical_emit(ThIcalReader *reader, const ThIcalEntry *entry, int64 start,
			 int64 end, const int64 *recurrence)
{
	const ThIcalRead *read = reader->read;
	ThIcalOccurrence row = { 0 };

	(void) th_ical_spend(&reader->budget);
	row.starts_at = timestamp_of(start);
	row.ends_at = timestamp_of(Max(start, end));
	if (row.starts_at >= read->window_end ||
		(row.ends_at <= read->window_start &&
		 (row.ends_at > row.starts_at || row.starts_at < read->window_start)))
		return;
	row.has_times = true;
	row.is_period = entry->item->is_free_busy;
	row.is_all_day = entry->start.form == TH_ICAL_DATE &&
					 !entry->item->is_free_busy;
	if (recurrence != NULL)
	{
		row.has_recurrence_id = true;
		row.recurrence_id = timestamp_of(*recurrence);
	}
	reader->result.occurrences++;
	give(reader, &row, entry->item, entry);
}

void
th_ical_emit_problem(ThIcalReader *reader, const ThIcalItem *item,
					 const ThIcalEntry *entry, const char *problem,
					 bool is_truncated)
{
	ThIcalOccurrence row = { 0 };

	row.problem = problem;
	row.is_truncated = is_truncated;
	if (is_truncated)
		reader->result.is_complete = false;
	reader->result.problems++;
	give(reader, &row, item, entry);
}

/* The component that is open ends before "line". */
static void
close_item(Scan *scan, const char *line)
{
	ThIcalReader *reader = scan->reader;

	if (strcmp(scan->kind, "VTIMEZONE") == 0)
	{
		ThIcalZoneName *zone = scan->zone == NULL
								   ? NULL
								   : th_ical_zone_name(reader, scan->zone,
													   (int) strnlen(scan->zone,
																	 256));

		if (zone != NULL && zone->begin == NULL)
		{
			zone->begin = scan->item.begin;
			zone->end = line;
		}
	}
	else if (reader->n_items == TH_ICAL_MAX_COMPONENTS)
		scan->is_full = true;
	else
	{
		if (reader->n_items == reader->items_size)
		{
			reader->items_size = Max(reader->items_size * 2, 64);
			reader->items =
				reader->items == NULL
					? palloc(reader->items_size * sizeof(ThIcalItem))
					: repalloc(reader->items,
							   reader->items_size * sizeof(ThIcalItem));
		}
		scan->item.end = line;
		reader->items[reader->n_items++] = scan->item;
	}
	scan->kind = NULL;
}

static void
open_component(Scan *scan, const char *line, const char *name)
{
	static const char *const kinds[] = { "VEVENT", "VTIMEZONE", "VFREEBUSY" };
	bool is_calendar = th_ical_word_is(name, "VCALENDAR");
	const char *kind = NULL;
	int i;

	for (i = 0; i < (int) lengthof(kinds); i++)
		if (th_ical_word_is(name, kinds[i]))
			kind = kinds[i];
	/* None of these stands inside another: the END is missing. */
	if (scan->kind != NULL && (kind != NULL || is_calendar))
	{
		scan->item.problem = "the event has no end";
		close_item(scan, line);
	}
	if (kind == NULL && !is_calendar)
	{
		if (scan->kind != NULL)
			scan->depth++;
		else
			scan->skipped++;
		return;
	}
	scan->skipped = 0;
	scan->depth = 0;
	if (is_calendar)
	{
		scan->calendars++;
		return;
	}
	memset(&scan->item, 0, sizeof(scan->item));
	scan->item.begin = line + strlen(line) + 1;
	scan->item.is_free_busy = strcmp(kind, "VFREEBUSY") == 0;
	scan->kind = kind;
	scan->zone = NULL;
}

static void
end_component(Scan *scan, const char *line, const char *name)
{
	if (th_ical_word_is(name, "VCALENDAR"))
	{
		if (scan->kind != NULL)
		{
			scan->item.problem = "the event has no end";
			close_item(scan, line);
		}
		scan->ended++;
	}
	else if (scan->kind == NULL)
		scan->skipped -= scan->skipped > 0;
	else if (th_ical_word_is(name, scan->kind))
		close_item(scan, line);
	else if (scan->depth > 0)
		scan->depth--;
}

/* What groups an item. */
static void
note_property(Scan *scan, const ThIcalProperty *property)
{
	if (th_ical_property_is(property, "UID"))
	{
		if (scan->item.uid == NULL && *property->value != '\0')
			scan->item.uid = property->value;
		if (strnlen(property->value, 1001) > 1000)
		{
			scan->item.uid = NULL;
			scan->item.problem = "the UID is too long";
		}
	}
	else if (th_ical_property_is(property, "RECURRENCE-ID"))
		scan->item.is_override = true;
	else if (th_ical_property_is(property, "SEQUENCE"))
	{
		long value = strtol(property->value, NULL, 10);

		scan->item.sequence = (int) Max(0, Min(value, PG_INT32_MAX));
	}
	else if (th_ical_property_is(property, "TZID"))
		scan->zone = property->value;
}

static void
scan_lines(Scan *scan, const ThIcalLines *lines)
{
	const char *line;

	for (line = lines->begin; line < lines->end && !scan->is_full;
		 line += strlen(line) + 1)
	{
		ThIcalProperty property;

		(void) th_ical_spend(&scan->reader->budget);
		if (!th_ical_property_read(line, &property))
			continue;
		if (th_ical_property_is(&property, "BEGIN"))
			open_component(scan, line, property.value);
		else if (th_ical_property_is(&property, "END"))
			end_component(scan, line, property.value);
		else if (scan->kind != NULL && scan->depth == 0)
			note_property(scan, &property);
	}
	if (scan->kind != NULL && !scan->is_full)
	{
		scan->item.problem = "the event has no end";
		close_item(scan, lines->end);
	}
}

/* By UID; those without one, and those of one UID, stay in their order. */
static int
compare_items(const void *a, const void *b)
{
	const ThIcalItem *left = a;
	const ThIcalItem *right = b;
	int order = 0;

	if (left->uid != NULL && right->uid != NULL)
		order = strcmp(left->uid, right->uid);
	else if (left->uid != NULL || right->uid != NULL)
		order = left->uid == NULL ? 1 : -1;
	if (order != 0)
		return order;
	return left->begin < right->begin ? -1 : left->begin > right->begin;
}

static void
emit_all(ThIcalReader *reader)
{
	int i;
	int n;

	if (reader->n_items > 1)
		qsort(reader->items, reader->n_items, sizeof(ThIcalItem),
			  compare_items);
	for (i = 0; i < reader->n_items; i += n)
	{
		const ThIcalItem *items = &reader->items[i];

		if (reader->is_full || reader->budget.file < 0)
		{
			th_ical_emit_problem(reader, NULL, NULL,
								 "the calendar is too large", true);
			return;
		}
		n = 1;
		if (items->is_free_busy)
		{
			th_ical_free_busy_emit(reader, items);
			continue;
		}
		while (items->uid != NULL && i + n < reader->n_items &&
			   items[n].uid != NULL && !items[n].is_free_busy &&
			   strcmp(items->uid, items[n].uid) == 0)
			n++;
		th_ical_series_emit(reader, items, n);
	}
	if (reader->is_full)
		th_ical_emit_problem(reader, NULL, NULL, "the calendar is too large",
							 true);
}

ThIcalReadResult
th_ical_read(const ThIcalRead *read)
{
	ThIcalReader reader = { .read = read };
	Scan scan = { .reader = &reader };
	ThIcalLines lines;

	reader.result.is_complete = true;
	reader.budget.file = read->max_steps > 0 ? read->max_steps
											 : TH_ICAL_MAX_STEPS;
	reader.budget.pause = read->pause;
	reader.budget.context = read->context;
	reader.from = seconds_of(read->window_start);
	reader.to = seconds_of(read->window_end) + 1;
	lines = th_ical_lines_read(read->text, read->length);
	scan_lines(&scan, &lines);
	emit_all(&reader);
	if (scan.calendars == 0)
		th_ical_emit_problem(&reader, NULL, NULL, "there is no calendar", true);
	else if (scan.is_full)
		th_ical_emit_problem(&reader, NULL, NULL,
							 "the calendar has too many components", true);
	else if (scan.ended < scan.calendars)
		th_ical_emit_problem(&reader, NULL, NULL,
							 "the text ends inside a calendar", true);
	pfree(lines.begin);
	return reader.result;
}
