/*
 * caldav.h
 *	  What the files of the CalDAV adapter share. Not for other rooms.
 *
 * caldav.c has the table and what is done with one event, caldav_list.c
 * pulls, caldav_discover.c finds the calendar, caldav_text.c turns events
 * into iCalendar and back. Memory of all: current context.
 */
#ifndef TH_CALENDAR_CALDAV_H
#define TH_CALENDAR_CALDAV_H

#include "calendar/calendar.h"
#include "calendar/dav_xml.h"
#include "ical/ical_zone.h"

/* Events that come one by one, and the zone of their calendar's owner. */
typedef struct ThCaldavEvents
{
	ThEventSeen *list;
	int n;
	int size;
	const ThIcalZone *zone; /* NULL until it is needed */
	const char *who;        /* the owner's addresses, by commas, or NULL */
} ThCaldavEvents;

/* ---- requests and answers (caldav.c) ---- */

/* Fills "out" for a URL, with the account's credentials. */
extern void th_caldav_request(const ThCalendarCall *call, ThHttpMethod method,
							  const char *url, ThHttpRequest *out);

/* The same for PROPFIND and REPORT: "depth" is "0" or "1". */
extern void th_caldav_ask(const ThCalendarCall *call, ThHttpMethod method,
						  const char *url, const char *depth, const char *xml,
						  ThHttpRequest *out);

/*
 * Zeroes "out" and reads how the exchange ended; true: with a status of 2xx.
 * "document" has what the body says, also of an error.
 */
extern bool th_caldav_read(const ThCalendarCall *call,
						   const ThHttpResult *result, TimestampTz now,
						   ThDavAnswer *document, ThCalendarAnswer *out);

/* Makes an answer one that could not be read. */
extern void th_caldav_refuse(ThCalendarAnswer *out);

/* True if the answer to a question about the collection has the collection itself. */
extern bool th_caldav_names_itself(const ThCalendarCall *call,
								   const ThDavAnswer *document);

/* Appends text to a document of ours. */
extern void th_caldav_append(StringInfo out, const char *text);

/* An etag that may be sent back, else NULL: a weak one compares nothing. */
extern char *th_caldav_etag(const char *etag);

/* Our tag in a name that we gave; NULL if it is none of ours. */
extern char *th_caldav_key(const char *name);

/* Text of a server, which is UTF-8, in the database's encoding. */
extern char *th_caldav_text(const char *text);

/* ---- operations (caldav_list.c, caldav_discover.c) ---- */

extern void th_caldav_build_list(const ThCalendarCall *call,
								 ThHttpRequest *out);
extern void th_caldav_read_list(const ThCalendarCall *call,
								const ThHttpResult *result, TimestampTz now,
								ThCalendarAnswer *out);
extern void th_caldav_build_find(const ThCalendarCall *call,
								 ThHttpRequest *out);
extern void th_caldav_read_find(const ThCalendarCall *call,
								const ThHttpResult *result, TimestampTz now,
								ThCalendarAnswer *out);
extern void th_caldav_build_discover(const ThCalendarCall *call,
									 ThHttpRequest *out);
extern void th_caldav_read_discover(const ThCalendarCall *call,
									const ThHttpResult *result, TimestampTz now,
									ThCalendarAnswer *out);

/* ---- iCalendar (caldav_text.c) ---- */

/* The wish as a calendar of one event, UTF-8. */
extern char *th_caldav_write(const ThEventWish *wish);

/* Adds a zeroed entry. */
extern ThEventSeen *th_caldav_add(ThCaldavEvents *events,
								  const char *external_id);

/*
 * Adds what the resource says: of one of ours the event, of any other all
 * that touches the call's window, or that there is nothing.
 */
extern void th_caldav_expand(const ThCalendarCall *call, const char *name,
							 const char *etag, const char *ics,
							 ThCaldavEvents *events);

#endif /* TH_CALENDAR_CALDAV_H */
