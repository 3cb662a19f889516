/*
 * caldav_text.c
 *	  Events to iCalendar and back, as CalDAV carries them.
 */
#include "postgres.h"

#include <string.h>

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_zone.h"
#include "calendar/caldav.h"
#include "ical/ical_event.h"
#include "ical/ical_line.h"
#include "ical/ical_read.h"
#include "json/json_write.h"

/* No calendar of a person's has more of one event in half a year. */
#define MAX_OCCURRENCES 2000

/* What one resource may cost; the reader's own bound is for whole files. */
#define MAX_STEPS 500000

/* Longest description of ours that is compared. */
#define MAX_TEXT 8192

/* 1970-01-01, 2200-01-01: an event of ours counts wherever it was moved. */
#define FIRST_SECOND INT64CONST(0)
#define LAST_SECOND INT64CONST(7258118400)

/* Seconds after the window that its events may still need. */
#define ZONE_MARGIN (INT64CONST(366) * SECS_PER_DAY)

/* ---- writing ---- */

static const char *
utf8(const char *text)
{
	return text == NULL ? NULL : th_json_utf8(text);
}

/*
 * Times are in UTC. A server may take the rules of a zone that an event brings
 * for those of every event that names it, whoever's it is (Radicale); ours
 * would bring those of one day.
 */
char *
th_caldav_write(const ThEventWish *wish)
{
	ThIcalWriter writer;
	ThIcalHead head = { 0 };
	ThIcalEvent event = { 0 };
	StringInfoData out;

	th_ical_begin(&writer);
	event.uid = utf8(wish->uid);
	event.stamp = wish->updated_at;
	event.has_last_modified = true;
	event.last_modified = wish->updated_at;
	event.sequence = wish->sequence;
	event.starts_at = wish->starts_at;
	event.ends_at = wish->ends_at;
	event.status = "CONFIRMED";
	event.summary = utf8(wish->summary);
	event.description = utf8(wish->description);
	event.location = utf8(wish->location);
	event.url = utf8(wish->url);
	event.is_meeting = wish->url != NULL;
	event.is_transparent = wish->is_free;
	event.class_name = wish->is_private ? "PRIVATE" : NULL;
	th_ical_add_event(&writer, &event);
	initStringInfo(&out);
	th_ical_finish(&writer, &head, &out);
	return out.data;
}

/* ---- reading ---- */

typedef struct Expansion
{
	ThCaldavEvents *events;
	MemoryContext caller;
	MemoryContext own;
	const char *name;
	const char *etag;
	const char *key;
	const char *timezone; /* of the calendar's owner */
	const char *ics;
	int64 zones_end; /* seconds since 1970 */
	int count;
	const char *problem; /* words of ours, or NULL */
} Expansion;

static TimestampTz
instant_of(int64 seconds)
{
	return (seconds -
			(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY) *
		   USECS_PER_SEC;
}

static int64
seconds_of(TimestampTz at)
{
	return at / USECS_PER_SEC +
		   (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
}

/* The server's zone of that name up to "end"; NULL if there is none. */
static ThIcalZone *
open_zone(const char *name, int64 end)
{
	ThZone *zone = th_zone_open(name);
	ThIcalTransition *transitions;
	ThIcalZone *out;

	if (zone == NULL)
		return NULL;
	th_zone_cover(zone, instant_of(FIRST_SECOND), instant_of(end));
	out = palloc0(sizeof(ThIcalZone));
	transitions = palloc(zone->n_spans * sizeof(ThIcalTransition));
	out->offset = zone->spans[0].offset;
	out->transitions = transitions;
	for (int i = 1; i < zone->n_spans; i++)
	{
		if (zone->spans[i].offset == zone->spans[i - 1].offset)
			continue;
		transitions[out->count].at = seconds_of(zone->spans[i].at);
		transitions[out->count].before = zone->spans[i - 1].offset;
		transitions[out->count++].after = zone->spans[i].offset;
	}
	return out;
}

static const ThIcalZone *
find_zone(void *context, const char *name)
{
	Expansion *expansion = context;

	/* "/freeassociation.sourceforge.net/Europe/Berlin" and its like. */
	while (th_zone_named(name) == NULL)
	{
		name = strchr(name, '/');
		if (name == NULL)
			return NULL;
		name++;
	}
	return open_zone(name, expansion->zones_end);
}

static void
look_up(void *context pg_attribute_unused())
{
	CHECK_FOR_INTERRUPTS();
}

ThEventSeen *
th_caldav_add(ThCaldavEvents *events, const char *external_id)
{
	ThEventSeen *event;

	if (events->n == events->size)
	{
		events->size = events->size == 0 ? 64 : events->size * 2;
		events->list = events->list == NULL
						   ? palloc_array(ThEventSeen, events->size)
						   : repalloc_array(events->list, ThEventSeen,
											events->size);
	}
	event = &events->list[events->n++];
	memset(event, 0, sizeof(*event));
	event->external_id = external_id;
	event->recurrence_id = DT_NOBEGIN;
	return event;
}

/* A property of the first event, unescaped; NULL if it has none. */
static char *
find_text(const Expansion *expansion, const char *name)
{
	ThIcalLines lines = th_ical_lines_read(expansion->ics,
										   strlen(expansion->ics));
	int depth = 0;

	for (char *line = lines.begin; line < lines.end; line += strlen(line) + 1)
	{
		ThIcalProperty property;
		char text[MAX_TEXT];

		if (!th_ical_property_read(line, &property))
			continue;
		if (th_ical_property_is(&property, "BEGIN"))
			depth += depth > 0 || th_ical_word_is(property.value, "VEVENT");
		else if (th_ical_property_is(&property, "END") && depth > 0 &&
				 --depth == 0)
			return NULL;
		else if (depth == 1 && th_ical_property_is(&property, name))
		{
			th_ical_text_read(property.value, text, sizeof(text));
			return pstrdup(text);
		}
	}
	return NULL;
}

/* What an event of ours says; of others nobody keeps it. */
static void
take_texts(Expansion *expansion, ThEventSeen *event, const char *summary)
{
	const char *description = find_text(expansion, "DESCRIPTION");
	const char *location = find_text(expansion, "LOCATION");

	MemoryContextSwitchTo(expansion->caller);
	event->summary = summary == NULL ? NULL : th_caldav_text(summary);
	event->description = description == NULL ? NULL
											 : th_caldav_text(description);
	event->location = location == NULL ? NULL : th_caldav_text(location);
	MemoryContextSwitchTo(expansion->own);
}

static ThEventReply
reply_of(const char *reply)
{
	if (reply == NULL)
		return TH_REPLY_NONE;
	if (strcmp(reply, "ACCEPTED") == 0)
		return TH_REPLY_ACCEPTED;
	if (strcmp(reply, "DECLINED") == 0)
		return TH_REPLY_DECLINED;
	return strcmp(reply, "TENTATIVE") == 0 ? TH_REPLY_TENTATIVE : TH_REPLY_OPEN;
}

static void
take_occurrence(Expansion *expansion, const ThIcalOccurrence *occurrence,
				ThEventSeen *event)
{
	event->etag = expansion->etag;
	event->key = expansion->key;
	event->is_all_day = occurrence->is_all_day;
	event->timezone = expansion->timezone;
	event->starts_at = occurrence->starts_at;
	event->ends_at = occurrence->ends_at;
	event->reply = reply_of(occurrence->reply);
	if (occurrence->has_recurrence_id)
		event->recurrence_id = occurrence->recurrence_id;
	if (occurrence->status != NULL &&
		pg_strcasecmp(occurrence->status, "CANCELLED") == 0)
		event->is_cancelled = true;
	if (occurrence->status != NULL &&
		pg_strcasecmp(occurrence->status, "TENTATIVE") == 0)
		event->show = TH_SHOW_TENTATIVE;
	if (occurrence->transparency != NULL &&
		pg_strcasecmp(occurrence->transparency, "TRANSPARENT") == 0)
		event->show = TH_SHOW_FREE;
}

static void
emit(void *context, const ThIcalOccurrence *occurrence)
{
	Expansion *expansion = context;
	ThEventSeen *event;

	MemoryContextSwitchTo(expansion->caller);
	if (occurrence->problem != NULL)
		expansion->problem = occurrence->problem;
	else if (expansion->count == MAX_OCCURRENCES)
		expansion->problem = "the event recurs too often";
	else if (expansion->key == NULL || expansion->count == 0)
	{
		expansion->count++;
		event = th_caldav_add(expansion->events, expansion->name);
		take_occurrence(expansion, occurrence, event);
		if (occurrence->uid != NULL)
			event->uid = th_caldav_text(occurrence->uid);
		MemoryContextSwitchTo(expansion->own);
		if (expansion->key != NULL)
			take_texts(expansion, event, occurrence->summary);
	}
	MemoryContextSwitchTo(expansion->own);
}

/* A problem comes last: then it is the problem that counts. */
static void
end_expansion(Expansion *expansion, bool is_empty)
{
	ThEventSeen *event;

	if (is_empty && expansion->key != NULL && expansion->problem == NULL)
		expansion->problem = "there is no event in it";
	if (!is_empty && expansion->problem == NULL)
		return;
	event = th_caldav_add(expansion->events, expansion->name);
	event->etag = expansion->etag;
	event->key = expansion->key;
	event->problem = expansion->problem;
	event->is_deleted = expansion->problem == NULL;
}

static void
set_window(const ThCalendarCall *call, bool is_own, ThIcalRead *read)
{
	bool is_wide = is_own || call->op != TH_CALENDAR_LIST;

	read->window_start = is_wide ? instant_of(FIRST_SECOND)
								 : call->window_start;
	read->window_end = is_wide ? instant_of(LAST_SECOND) : call->window_end;
}

/* The zone of all-day and local times; UTC if the owner's is not known. */
static const ThIcalZone *
owner_zone(const ThCalendarCall *call, ThCaldavEvents *events)
{
	static const ThIcalZone utc = { 0 };

	if (events->zone == NULL && call->account->timezone != NULL)
		events->zone = open_zone(call->account->timezone, LAST_SECOND);
	if (events->zone == NULL)
		events->zone = &utc;
	return events->zone;
}

/* A user name that is an address is one of the owner's too. */
static const char *
addresses_of(const ThCalendarCall *call, const char *who)
{
	const char *name = call->account->username;

	if (name == NULL || strchr(name, '@') == NULL)
		return who;
	return who == NULL ? name : psprintf("%s,%s", who, name);
}

void
th_caldav_expand(const ThCalendarCall *call, const char *name, const char *etag,
				 const char *ics, ThCaldavEvents *events)
{
	Expansion expansion = { .events = events, .name = name, .ics = ics };
	ThIcalRead read = { 0 };
	int first = events->n;

	expansion.key = th_caldav_key(name);
	expansion.etag = th_caldav_etag(etag);
	expansion.timezone = call->account->timezone;
	set_window(call, expansion.key != NULL, &read);
	expansion.zones_end = Min(seconds_of(read.window_end) + ZONE_MARGIN,
							  LAST_SECOND);
	read.text = ics;
	read.length = strlen(ics);
	read.zone = owner_zone(call, events);
	read.addresses = addresses_of(call, events->who);
	read.max_steps = MAX_STEPS;
	read.find_zone = find_zone;
	read.emit = emit;
	read.pause = look_up;
	read.context = &expansion;

	expansion.own = AllocSetContextCreate(CurrentMemoryContext,
										  "telehealth calendar event",
										  ALLOCSET_DEFAULT_SIZES);
	expansion.caller = MemoryContextSwitchTo(expansion.own);
	(void) th_ical_read(&read);
	MemoryContextSwitchTo(expansion.caller);
	MemoryContextDelete(expansion.own);
	end_expansion(&expansion, events->n == first);
}
