/*
 * ical_event.c
 *	  A calendar from structs, in one pass.
 *
 * Room for the worst case of a property is made once, before it is written.
 */
#include "postgres.h"

#include <string.h>

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ical/ical_event.h"
#include "ical/ical_text.h"
#include "ical/ical_timezone.h"

/* Local times are written for the years 1 to 9999 and no instant near them. */
#define WALL_FIRST                                                             \
	((date2j(1, 1, 3) - POSTGRES_EPOCH_JDATE) * (int64) USECS_PER_DAY)
#define WALL_LAST                                                              \
	((date2j(9999, 12, 29) - POSTGRES_EPOCH_JDATE) * (int64) USECS_PER_DAY)

/* The form of an event's times. */
typedef struct Form
{
	ThIcalUse *zone; /* NULL: UTC */
	bool is_date;
	bool is_recurring; /* the wall time counts, not the instant */
} Form;

typedef void (*PenValue)(ThIcalPen *, const char *, size_t);

#define HEAD(text) (text), sizeof(text) - 1
#define write_text(out, head, value)                                           \
	write_property((out), HEAD(head), (value), th_ical_pen_text)
#define write_uri(out, head, value)                                            \
	write_property((out), HEAD(head), (value), th_ical_pen_uri)
#define write_word(out, head, value)                                           \
	write_property((out), HEAD(head), (value), th_ical_pen_word)
#define write_fixed(out, lines)                                                \
	appendBinaryStringInfo((out), (lines), sizeof(lines) - 1)

static void
make_room(StringInfo out, size_t length)
{
	size_t room = th_ical_pen_room(length);

	if (room > (size_t) (out->maxlen - out->len))
		enlargeStringInfo(out, (int) Min(room, MaxAllocSize));
}

static void
end_line(StringInfo out, ThIcalPen *pen)
{
	out->len = (int) (th_ical_pen_end(pen) - out->data);
	Assert(out->len < out->maxlen);
	out->data[out->len] = '\0';
}

/* "head" is the property's name, its parameters and the colon. */
static void
write_property(StringInfo out, const char *head, size_t head_length,
			   const char *value, PenValue pen_value)
{
	size_t length;
	ThIcalPen pen;

	if (value == NULL)
		return;
	length = strlen(value);
	make_room(out, head_length + length);
	th_ical_pen_begin(&pen, out->data + out->len);
	th_ical_pen_raw(&pen, head, head_length);
	pen_value(&pen, value, length);
	end_line(out, &pen);
}

static void
write_number(StringInfo out, const char *head, int number)
{
	char text[16];
	int length = pg_ltoa(number, text);

	memcpy(text + length, "\r\n", 3);
	appendStringInfoString(out, head);
	appendBinaryStringInfo(out, text, length + 2);
}

/* "head" with its colon. */
static void
write_utc(StringInfo out, const char *head, size_t head_length,
		  TimestampTz instant)
{
	char *at;

	make_room(out, head_length + TH_ICAL_TIME_LENGTH);
	at = out->data + out->len;
	memcpy(at, head, head_length);
	at += head_length;
	th_ical_put_wall(at, instant);
	memcpy(at + 15, "Z\r\n", 4);
	out->len += (int) head_length + TH_ICAL_TIME_LENGTH + 2;
}

static void
note_use(ThIcalUse *zone, TimestampTz instant)
{
	if (!zone->is_used || instant < zone->from)
		zone->from = instant;
	if (!zone->is_used || instant > zone->until)
		zone->until = instant;
	zone->is_used = true;
}

/*
 * The wall time of an instant, if it is to be written so. What the wall time
 * says badly is written in UTC, but for what recurs: there it is a rule's.
 */
static bool
is_wall(const Form *form, TimestampTz instant, Timestamp *wall)
{
	ThWallKind kind;

	if (form->zone == NULL || form->zone->is_utc || instant < WALL_FIRST ||
		instant > WALL_LAST)
		return false;
	kind = th_zone_wall(form->zone->zone, instant, wall);
	if (kind == TH_WALL_SECONDS ||
		(kind == TH_WALL_TWICE && !form->is_recurring))
		return false;
	note_use(form->zone, instant);
	return true;
}

/* The date of an instant where the calendar is, as a wall time. */
static Timestamp
date_of(const Form *form, TimestampTz instant)
{
	Timestamp wall = instant;

	if (form->zone != NULL && instant >= WALL_FIRST && instant <= WALL_LAST)
		(void) th_zone_wall(form->zone->zone, instant, &wall);
	return wall;
}

/* "head" without its colon. */
static void
write_time(StringInfo out, const char *head, const Form *form,
		   TimestampTz instant)
{
	Timestamp wall;
	char *at;

	if (!form->is_date && !is_wall(form, instant, &wall))
	{
		appendStringInfoString(out, head);
		write_utc(out, HEAD(":"), instant);
		return;
	}
	make_room(out, TZ_STRLEN_MAX + 64);
	at = out->data + out->len;
	at = stpcpy(at, head);
	if (form->is_date)
	{
		at = stpcpy(at, ";VALUE=DATE:");
		th_ical_put_date(at, date_of(form, instant));
		at += 8;
	}
	else
	{
		at = stpcpy(at, ";TZID=");
		memcpy(at, form->zone->zone->name, form->zone->name_length);
		at += form->zone->name_length;
		*at++ = ':';
		th_ical_put_wall(at, wall);
		at += 15;
	}
	memcpy(at, "\r\n", 3);
	out->len = (int) (at + 2 - out->data);
}

/* Instants that the rule leaves out or adds, a line each. */
static void
write_times(StringInfo out, const char *head, const Form *form, int n,
			const TimestampTz *instants)
{
	for (int i = 0; i < n; i++)
		write_time(out, head, form, instants[i]);
}

/* The day after the last, even if the end is within a day. */
static TimestampTz
end_of_days(const Form *form, const ThIcalEvent *event)
{
	Timestamp first = date_of(form, event->starts_at);
	Timestamp last = date_of(form, event->ends_at);
	int64 rest = last % USECS_PER_DAY;

	if (rest < 0)
		rest += USECS_PER_DAY;
	if (rest > 0)
		last += USECS_PER_DAY - rest;
	rest = first % USECS_PER_DAY;
	if (rest < 0)
		rest += USECS_PER_DAY;
	return Max(last, first - rest + USECS_PER_DAY);
}

static void
write_end(StringInfo out, const Form *form, const ThIcalEvent *event)
{
	Form dates = { .is_date = true };

	if (form->is_date)
		write_time(out, "DTEND", &dates, end_of_days(form, event));
	else
		write_time(out, "DTEND", form, event->ends_at);
}

static void
pen_parameter(ThIcalPen *pen, const char *head, const char *value)
{
	if (value == NULL)
		return;
	th_ical_pen_raw(pen, head, strlen(head));
	if (strcmp(head, ";CN=") == 0)
		th_ical_pen_quoted(pen, value, strlen(value));
	else
		th_ical_pen_word(pen, value, strlen(value));
}

static void
write_person(StringInfo out, const char *head, const ThIcalPerson *person)
{
	const char *const values[] = { person->type, person->role, person->status,
								   person->name };
	static const char *const heads[] = { ";CUTYPE=", ";ROLE=", ";PARTSTAT=",
										 ";CN=" };
	size_t length = 128 + strlen(person->address);
	ThIcalPen pen;

	for (size_t i = 0; i < lengthof(values); i++)
		length += values[i] != NULL ? strlen(values[i]) : 0;
	make_room(out, length);
	th_ical_pen_begin(&pen, out->data + out->len);
	th_ical_pen_raw(&pen, head, strlen(head));
	for (size_t i = 0; i < lengthof(values); i++)
		pen_parameter(&pen, heads[i], values[i]);
	if (person->is_asked)
		th_ical_pen_raw(&pen, ";RSVP=TRUE", 10);
	th_ical_pen_raw(&pen, ":", 1);
	if (strchr(person->address, ':') == NULL)
		th_ical_pen_raw(&pen, "mailto:", 7);
	th_ical_pen_uri(&pen, person->address, strlen(person->address));
	end_line(out, &pen);
}

static void
write_categories(StringInfo out, int n, const char *const *categories)
{
	size_t length = 32;
	ThIcalPen pen;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		length += strlen(categories[i]) + 1;
	make_room(out, length);
	th_ical_pen_begin(&pen, out->data + out->len);
	th_ical_pen_raw(&pen, "CATEGORIES:", 11);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			th_ical_pen_raw(&pen, ",", 1);
		th_ical_pen_text(&pen, categories[i], strlen(categories[i]));
	}
	end_line(out, &pen);
}

static void
write_alarm(StringInfo out, const char *text, int64 seconds)
{
	char duration[TH_ICAL_DURATION_SIZE];

	th_ical_put_duration(duration, 0, -seconds);
	write_fixed(out, "BEGIN:VALARM\r\nACTION:DISPLAY\r\n");
	appendStringInfo(out, "TRIGGER:%s\r\n", duration);
	write_text(out, "DESCRIPTION:", text != NULL ? text : "Reminder");
	write_fixed(out, "END:VALARM\r\n");
}

static int
number_at(const char *digits, int n)
{
	int number = 0;

	for (int i = 0; i < n; i++)
	{
		if (digits[i] < '0' || digits[i] > '9')
			return 0;
		number = number * 10 + digits[i] - '0';
	}
	return number;
}

/* The zone is used until the rule's end, if it says one. */
static void
note_rule(ThIcalUse *zone, const char *rrule)
{
	const char *until = strstr(rrule, "UNTIL=");
	int year;
	int month;
	int day;

	year = until != NULL ? number_at(until + 6, 4) : 0;
	month = year > 0 ? number_at(until + 10, 2) : 0;
	day = month > 0 ? number_at(until + 12, 2) : 0;
	if (month < 1 || month > 12 || day < 1 || day > 31)
	{
		zone->is_open = true;
		return;
	}
	note_use(zone, (date2j(year, month, day) + 2 - POSTGRES_EPOCH_JDATE) *
					   (int64) USECS_PER_DAY);
}

static void
write_when(StringInfo out, const ThIcalEvent *event)
{
	Form form = { event->zone, event->is_all_day, event->rrule != NULL };
	Form original = { event->zone, event->is_all_day, true };
	Timestamp wall;

	write_time(out, "DTSTART", &form, event->starts_at);
	write_end(out, &form, event);
	if (event->has_recurrence_id)
		write_time(out, "RECURRENCE-ID", &original, event->recurrence_id);
	if (event->rrule != NULL)
	{
		write_property(out, HEAD("RRULE:"), event->rrule, th_ical_pen_rule);
		if (!form.is_date && is_wall(&form, event->starts_at, &wall))
			note_rule(event->zone, event->rrule);
	}
	write_times(out, "RDATE", &form, event->n_rdates, event->rdates);
	write_times(out, "EXDATE", &form, event->n_exdates, event->exdates);
}

void
th_ical_add_event(ThIcalWriter *writer, const ThIcalEvent *event)
{
	StringInfo out = &writer->body;
	const char *conference = event->conference;

	if (conference == NULL && event->is_meeting)
		conference = event->url;
	write_fixed(out, "BEGIN:VEVENT\r\n");
	write_text(out, "UID:", event->uid);
	write_utc(out, HEAD("DTSTAMP:"), event->stamp);
	write_when(out, event);
	if (event->has_created)
		write_utc(out, HEAD("CREATED:"), event->created);
	if (event->has_last_modified)
		write_utc(out, HEAD("LAST-MODIFIED:"), event->last_modified);
	write_number(out, "SEQUENCE:", event->sequence);
	write_word(out, "STATUS:", event->status);
	write_text(out, "SUMMARY:", event->summary);
	write_text(out, "DESCRIPTION:", event->description);
	write_text(out, "LOCATION:", event->location);
	write_uri(out, "URL:", event->url);
	write_uri(out, "CONFERENCE;VALUE=URI;FEATURE=VIDEO:", conference);
	if (event->organizer != NULL)
		write_person(out, "ORGANIZER", event->organizer);
	for (int i = 0; i < event->n_attendees; i++)
		write_person(out, "ATTENDEE", &event->attendees[i]);
	write_categories(out, event->n_categories, event->categories);
	write_word(out, "COLOR:", event->color);
	write_word(out, "CLASS:", event->class_name);
	if (event->is_transparent)
		write_fixed(out, "TRANSP:TRANSPARENT\r\n");
	else
		write_fixed(out, "TRANSP:OPAQUE\r\n");
	for (int i = 0; i < event->n_alarms; i++)
		write_alarm(out, event->summary, event->alarms[i]);
	write_fixed(out, "END:VEVENT\r\n");
}

void
th_ical_add_busy(ThIcalWriter *writer, const ThIcalBusy *busy)
{
	StringInfo out = &writer->body;

	write_fixed(out, "BEGIN:VFREEBUSY\r\n");
	write_text(out, "UID:", busy->uid);
	write_utc(out, HEAD("DTSTAMP:"), busy->stamp);
	write_utc(out, HEAD("DTSTART:"), busy->starts_at);
	write_utc(out, HEAD("DTEND:"), busy->ends_at);
	for (int i = 0; i < busy->n_periods; i++)
	{
		const ThIcalPeriod *period = &busy->periods[i];

		if (period->is_tentative)
			write_utc(out, HEAD("FREEBUSY;FBTYPE=BUSY-TENTATIVE:"),
					  period->starts_at);
		else
			write_utc(out, HEAD("FREEBUSY;FBTYPE=BUSY:"), period->starts_at);
		out->len -= 2;
		write_utc(out, HEAD("/"), period->ends_at);
	}
	write_fixed(out, "END:VFREEBUSY\r\n");
}

void
th_ical_begin(ThIcalWriter *writer)
{
	initStringInfo(&writer->body);
	writer->context = CurrentMemoryContext;
	writer->zones = NULL;
}

/* Zones are sorted, so that the order of events does not decide theirs. */
ThIcalUse *
th_ical_zone(ThIcalWriter *writer, const char *name)
{
	ThIcalUse **place = &writer->zones;
	MemoryContext old;
	ThIcalUse *zone;
	ThZone *opened;
	long offset;

	for (zone = writer->zones; zone != NULL; zone = zone->next)
	{
		if (strcmp(zone->zone->name, name) == 0)
			return zone;
	}
	old = MemoryContextSwitchTo(writer->context);
	opened = th_zone_open(name);
	MemoryContextSwitchTo(old);
	if (opened == NULL)
		return NULL;

	/* The server's spelling may differ from "name". */
	while (*place != NULL && strcmp((*place)->zone->name, opened->name) < 0)
		place = &(*place)->next;
	if (*place != NULL && strcmp((*place)->zone->name, opened->name) == 0)
		return *place;
	zone = MemoryContextAllocZero(writer->context, sizeof(ThIcalUse));
	zone->zone = opened;
	zone->name_length = strlen(opened->name);
	zone->is_utc = pg_get_timezone_offset(opened->tz, &offset) && offset == 0;
	zone->next = *place;
	*place = zone;
	return zone;
}

static void
write_head(StringInfo out, const ThIcalHead *head)
{
	write_fixed(out, "BEGIN:VCALENDAR\r\n"
					 "VERSION:2.0\r\n"
					 "PRODID:-//telehealth//telehealth//EN\r\n"
					 "CALSCALE:GREGORIAN\r\n");
	write_word(out, "METHOD:", head->method);
	write_text(out, "NAME:", head->name);
	write_text(out, "X-WR-CALNAME:", head->name);
	write_text(out, "DESCRIPTION:", head->description);
	write_text(out, "X-WR-CALDESC:", head->description);
	write_uri(out, "URL:", head->url);
	write_word(out, "COLOR:", head->color);
	if (head->refresh_seconds > 0)
	{
		char text[TH_ICAL_DURATION_SIZE];

		th_ical_put_duration(text, 0, head->refresh_seconds);
		appendStringInfo(out,
						 "REFRESH-INTERVAL;VALUE=DURATION:%s\r\n"
						 "X-PUBLISHED-TTL:%s\r\n",
						 text, text);
	}
}

/* All that comes before the components. */
static void
write_start(StringInfo out, const ThIcalWriter *writer, const ThIcalHead *head)
{
	write_head(out, head);
	for (const ThIcalUse *zone = writer->zones; zone != NULL; zone = zone->next)
	{
		if (zone->is_used)
			th_ical_write_timezone(out, zone);
	}
}

void
th_ical_finish(const ThIcalWriter *writer, const ThIcalHead *head,
			   StringInfo out)
{
	write_start(out, writer, head);
	enlargeStringInfo(out, writer->body.len + 32);
	appendBinaryStringInfo(out, writer->body.data, writer->body.len);
	write_fixed(out, "END:VCALENDAR\r\n");
}

void
th_ical_finish_in_place(ThIcalWriter *writer, const ThIcalHead *head,
						int before)
{
	StringInfo body = &writer->body;
	StringInfoData start;

	initStringInfo(&start);
	appendStringInfoSpaces(&start, before);
	write_start(&start, writer, head);
	enlargeStringInfo(body, start.len + 32);
	memmove(body->data + start.len, body->data, body->len);
	memcpy(body->data, start.data, start.len);
	body->len += start.len;
	write_fixed(body, "END:VCALENDAR\r\n");
	pfree(start.data);
}
