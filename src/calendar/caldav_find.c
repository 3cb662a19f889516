/*
 * caldav_find.c
 *	  Events of ours in a CalDAV calendar, by the names that we gave them.
 *
 * Servers are asked for UIDs like ours first; those that cannot search, or
 * find none, list everything ("next" is "all"), themselves first.
 */
#include "postgres.h"

#include <string.h>

#include "calendar/caldav.h"
#include "calendar/dav_href.h"

static const char query_xml[] =
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
	"<C:calendar-query xmlns:D=\"DAV:\" "
	"xmlns:C=\"urn:ietf:params:xml:ns:caldav\">"
	"<D:prop><D:getetag/></D:prop><C:filter>"
	"<C:comp-filter name=\"VCALENDAR\"><C:comp-filter name=\"VEVENT\">"
	"<C:prop-filter name=\"UID\"><C:text-match>telehealth</C:text-match>"
	"</C:prop-filter></C:comp-filter></C:comp-filter></C:filter>"
	"</C:calendar-query>";

static const char all_xml[] =
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
	"<D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:getetag/></D:prop></D:propfind>";

void
th_caldav_build_find(const ThCalendarCall *call, ThHttpRequest *out)
{
	char *url = th_dav_collection(call->account->calendar_id);

	if (call->next == NULL)
		th_caldav_ask(call, TH_HTTP_REPORT, url, "1", query_xml, out);
	else
		th_caldav_ask(call, TH_HTTP_PROPFIND, url, "1", all_xml, out);
}

static void
take_items(const ThCalendarCall *call, const ThDavAnswer *document,
		   ThCaldavEvents *events)
{
	const char *collection = call->account->calendar_id;
	char *folder = th_dav_folder(collection);

	for (int i = 0; i < document->n_items; i++)
	{
		const ThDavItem *item = &document->items[i];
		char *name = th_dav_member(collection, folder, item->href);
		char *key = name == NULL ? NULL : th_caldav_key(name);
		ThEventSeen *event;

		/* one of ours that somebody has renamed is among all, without a key */
		if (name == NULL || item->status >= 300 || item->is_collection ||
			(call->key != NULL && (key == NULL || strcmp(key, call->key) != 0)))
			continue;
		event = th_caldav_add(events, name);
		event->key = key;
		event->etag = th_caldav_etag(item->etag);
	}
}

void
th_caldav_read_find(const ThCalendarCall *call, const ThHttpResult *result,
					TimestampTz now, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };
	ThDavAnswer document;

	if (!th_caldav_read(call, result, now, &document, out))
	{
		if (out->verdict != TH_CALENDAR_PERMANENT || call->next != NULL ||
			result->end != TH_HTTP_ANSWERED)
			return;
		memset(out, 0, sizeof(*out));
		out->next = pstrdup("all");
	}
	else if (result->status != 207 || document.items == NULL ||
			 (call->next != NULL && !th_caldav_names_itself(call, &document)))
		th_caldav_refuse(out);
	else
	{
		take_items(call, &document, &events);
		out->events = events.list;
		out->n_events = events.n;
		if (document.n_items == 0 && call->next == NULL)
			out->next = pstrdup("all");
	}
}
