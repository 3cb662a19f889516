/*
 * ical_entry.c
 *	  One component: its times, its zone, its length and what it says.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_reader.h"

#define MAX_ZONES 200

/* 2200-01-01: rules of zones are not foretold any farther. */
#define LAST_ZONE_TIME INT64CONST(7258118400)

static const ThIcalZone utc = { 0, 0, NULL };

/* What an event's properties say, before they are put together. */
typedef struct Fields
{
	bool has_start;
	bool has_end;
	bool has_length;
	bool has_transparency;
	ThIcalMoment end;
	ThIcalLength length;
	/* X-MICROSOFT-CDO-BUSYSTATUS, where the standard's properties say nothing */
	bool is_free;
	bool is_tentative;
} Fields;

ThIcalZoneName *
th_ical_zone_name(ThIcalReader *reader, const char *name, int length)
{
	ThIcalZoneName *zone;
	char *copy;
	int i;

	for (i = 0; i < reader->n_zones; i++)
		if (strncmp(reader->zones[i].name, name, length) == 0 &&
			reader->zones[i].name[length] == '\0')
			return &reader->zones[i];
	if (reader->n_zones == MAX_ZONES || length > 255)
		return NULL;
	if (reader->zones == NULL)
		reader->zones = palloc0(MAX_ZONES * sizeof(ThIcalZoneName));
	copy = palloc(length + 1);
	memcpy(copy, name, length);
	copy[length] = '\0';
	zone = &reader->zones[reader->n_zones++];
	zone->name = copy;
	return zone;
}

/* The zone of a TZID: the text's own, else whom the caller asks. */
static const ThIcalZone *
find_zone(ThIcalReader *reader, const char *name, int length)
{
	ThIcalZoneName *zone = th_ical_zone_name(reader, name, length);

	if (zone == NULL)
		return NULL;
	if (zone->is_known)
		return zone->zone;
	zone->is_known = true;
	if (zone->begin != NULL)
		zone->zone = th_ical_zone_read(zone->begin, zone->end,
									   Min(reader->to + INT64CONST(366) * 86400,
										   LAST_ZONE_TIME),
									   &reader->budget);
	if (zone->zone == NULL)
		zone->zone = reader->read->find_zone(reader->read->context, zone->name);
	return zone->zone;
}

const char *
th_ical_moment_read(ThIcalReader *reader, const ThIcalProperty *property,
					const char *value, const char *end, ThIcalMoment *moment)
{
	const char *name;
	int length;
	ThIcalTime time;

	if (!th_ical_time_read(value, end, &time))
		return "a time is not valid";
	moment->form = time.form;
	moment->wall = time.wall;
	moment->zone = reader->read->zone;
	if (time.form == TH_ICAL_UTC)
		moment->zone = &utc;
	else if (time.form == TH_ICAL_LOCAL)
	{
		length = th_ical_parameter(property, "TZID", &name);
		if (length >= 0)
			moment->zone = find_zone(reader, name, length);
		if (moment->zone == NULL)
			return "the time zone is not known";
	}
	moment->at = th_ical_zone_instant(moment->zone, moment->wall);
	return NULL;
}

/* The one value of a property. */
static void
read_moment(ThIcalReader *reader, ThIcalEntry *entry,
			const ThIcalProperty *property, ThIcalMoment *moment, bool *is_read)
{
	const char *problem;

	if (*is_read)
		return;
	*is_read = true;
	problem = th_ical_moment_read(reader, property, property->value,
								  property->value + strlen(property->value),
								  moment);
	if (entry->problem == NULL)
		entry->problem = problem;
}

static const char *
read_status(const char *value)
{
	if (th_ical_word_is(value, "CANCELLED") ||
		th_ical_word_is(value, "CANCELED"))
		return "CANCELLED";
	if (th_ical_word_is(value, "TENTATIVE"))
		return "TENTATIVE";
	return th_ical_word_is(value, "CONFIRMED") ? "CONFIRMED" : NULL;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
}

static bool
is_alike(const char *a, const char *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if (lower(a[i]) != lower(b[i]))
			return false;
	}
	return true;
}

/* True if "text" is one of the addresses, which stand between commas. */
static bool
is_listed(const char *addresses, const char *text)
{
	size_t length = strlen(text);

	while (*addresses != '\0')
	{
		size_t n = strcspn(addresses, ",");

		if (n == length && n > 0 && is_alike(addresses, text, n))
			return true;
		addresses += n;
		addresses += *addresses == ',';
	}
	return false;
}

/* What the calendar's owner has answered, if this is the owner. */
static void
read_attendee(const ThIcalReader *reader, ThIcalEntry *entry,
			  const ThIcalProperty *property)
{
	static const char *const replies[] = { "ACCEPTED", "TENTATIVE",
										   "DECLINED" };
	const char *value = property->value;
	const char *status;
	int length;

	if (reader->read->addresses == NULL ||
		!th_ical_same(value, Min((int) strlen(value), 7), "MAILTO:") ||
		!is_listed(reader->read->addresses, value + 7))
		return;
	entry->reply = "NEEDS-ACTION";
	length = th_ical_parameter(property, "PARTSTAT", &status);
	for (size_t i = 0; length > 0 && i < lengthof(replies); i++)
	{
		if (th_ical_same(status, length, replies[i]))
			entry->reply = replies[i];
	}
}

static void
read_recurrence(ThIcalReader *reader, ThIcalEntry *entry,
				const ThIcalProperty *property)
{
	bool is_read = false;
	const char *range;
	int length;

	read_moment(reader, entry, property, &entry->recurrence, &is_read);
	length = th_ical_parameter(property, "RANGE", &range);
	entry->is_range = length >= 0 &&
					  th_ical_same(range, length, "THISANDFUTURE");
}

static void
read_property(ThIcalReader *reader, ThIcalEntry *entry, Fields *fields,
			  const ThIcalProperty *property)
{
	const char *value = property->value;

	if (th_ical_property_is(property, "DTSTART"))
		read_moment(reader, entry, property, &entry->start, &fields->has_start);
	else if (th_ical_property_is(property, "DTEND"))
		read_moment(reader, entry, property, &fields->end, &fields->has_end);
	else if (th_ical_property_is(property, "DURATION"))
	{
		fields->has_length = true;
		if (!th_ical_length_read(value, value + strlen(value),
								 &fields->length) &&
			entry->problem == NULL)
			entry->problem = "the duration is not valid";
	}
	else if (th_ical_property_is(property, "RECURRENCE-ID"))
		read_recurrence(reader, entry, property);
	else if (th_ical_property_is(property, "RRULE") ||
			 th_ical_property_is(property, "RDATE"))
		entry->has_rule = true;
	else if (th_ical_property_is(property, "SUMMARY"))
		entry->summary = value;
	else if (th_ical_property_is(property, "STATUS"))
		entry->status = read_status(value);
	else if (th_ical_property_is(property, "TRANSP"))
	{
		fields->has_transparency = true;
		entry->is_transparent = th_ical_word_is(value, "TRANSPARENT");
	}
	else if (th_ical_property_is(property, "ATTENDEE"))
		read_attendee(reader, entry, property);
	else if (th_ical_property_is(property, "X-MICROSOFT-CDO-BUSYSTATUS"))
	{
		fields->is_free = th_ical_word_is(value, "FREE") ||
						  th_ical_word_is(value, "WORKINGELSEWHERE");
		fields->is_tentative = th_ical_word_is(value, "TENTATIVE");
	}
}

/* How long the event is; a missing end is the next day, or no time at all. */
static const char *
set_length(ThIcalEntry *entry, const Fields *fields)
{
	ThIcalLength *length = &entry->length;

	length->days = 0;
	length->seconds = 0;
	if (fields->has_end)
	{
		bool is_date = fields->end.form == TH_ICAL_DATE;

		if (is_date != (entry->start.form == TH_ICAL_DATE))
			return "start and end are of different kinds";
		if (is_date)
			length->days = (fields->end.wall - entry->start.wall) / 86400;
		else
			length->seconds = fields->end.at - entry->start.at;
		if (length->days < 0 || length->seconds < 0)
			return "the end is before the start";
	}
	else if (fields->has_length)
	{
		*length = fields->length;
		if (entry->start.form == TH_ICAL_DATE)
		{
			length->days += (length->seconds + 86399) / 86400;
			length->seconds = 0;
		}
	}
	if (entry->start.form == TH_ICAL_DATE && length->days == 0)
		length->days = 1;
	if (length->days * 86400 + length->seconds > TH_ICAL_MAX_LENGTH)
		return "the event is too long";
	return NULL;
}

void
th_ical_entry_read(ThIcalReader *reader, const ThIcalItem *item,
				   ThIcalEntry *entry)
{
	Fields fields = { 0 };
	int depth = 0;
	const char *line;

	memset(entry, 0, sizeof(*entry));
	entry->item = item;
	entry->problem = item->problem;
	for (line = item->begin; line < item->end; line += strlen(line) + 1)
	{
		ThIcalProperty property;

		(void) th_ical_spend(&reader->budget);
		if (!th_ical_property_read(line, &property))
			continue;
		if (th_ical_property_is(&property, "BEGIN"))
			depth++;
		else if (th_ical_property_is(&property, "END"))
			depth--;
		else if (depth == 0)
			read_property(reader, entry, &fields, &property);
	}
	if (!fields.has_transparency)
		entry->is_transparent = fields.is_free;
	if (entry->status == NULL && fields.is_tentative)
		entry->status = "TENTATIVE";
	if (entry->problem == NULL && !fields.has_start)
		entry->problem = "the event has no start";
	if (entry->problem == NULL)
		entry->problem = set_length(entry, &fields);
}

int64
th_ical_entry_end(const ThIcalEntry *entry, const ThIcalMoment *start)
{
	int64 wall = start->wall + entry->length.days * 86400;
	int64 at = start->at;

	if (entry->length.days > 0)
		at = th_ical_zone_instant(start->zone, wall);
	return Max(at, start->at) + entry->length.seconds;
}

const char *
th_ical_period_read(ThIcalReader *reader, const ThIcalProperty *property,
					const char *value, const char *end, ThIcalEntry *entry)
{
	const char *slash = memchr(value, '/', end - value);
	const char *problem;
	Fields fields = { 0 };

	if (slash == NULL)
		return "a period is not valid";
	problem = th_ical_moment_read(reader, property, value, slash,
								  &entry->start);
	if (problem != NULL)
		return problem;
	slash++;
	if (slash < end && (*slash == 'P' || *slash == 'p' || *slash == '+'))
	{
		fields.has_length = true;
		if (!th_ical_length_read(slash, end, &fields.length))
			return "the duration is not valid";
	}
	else
	{
		fields.has_end = true;
		problem = th_ical_moment_read(reader, property, slash, end,
									  &fields.end);
		if (problem != NULL)
			return problem;
	}
	return set_length(entry, &fields);
}

void
th_ical_free_busy_emit(ThIcalReader *reader, const ThIcalItem *item)
{
	const char *line;

	for (line = item->begin; line < item->end; line += strlen(line) + 1)
	{
		ThIcalProperty property;
		ThIcalEntry entry;
		const char *type = NULL;
		const char *p;
		int length;

		if (!th_ical_property_read(line, &property) ||
			!th_ical_property_is(&property, "FREEBUSY"))
			continue;
		memset(&entry, 0, sizeof(entry));
		entry.item = item;
		length = th_ical_parameter(&property, "FBTYPE", &type);
		entry.is_transparent = length >= 0 &&
							   th_ical_same(type, length, "FREE");
		if (length >= 0 && th_ical_same(type, length, "BUSY-TENTATIVE"))
			entry.status = "TENTATIVE";
		for (p = property.value; *p != '\0' && !reader->is_full;)
		{
			const char *end = p + strcspn(p, ",");
			const char *problem = th_ical_period_read(reader, &property, p, end,
													  &entry);

			if (problem != NULL)
				th_ical_emit_problem(reader, item, NULL, problem, false);
			else
				th_ical_emit(reader, &entry, entry.start.at,
							 th_ical_entry_end(&entry, &entry.start), NULL);
			p = *end == ',' ? end + 1 : end;
		}
	}
}
