/*
 * google_list.c
 *	  Google Calendar v3: pulls, a page at a time.
 *
 * Series come as their occurrences. A full pass is of a window, which its
 * sync token remembers; with the token no window may be named. Only what is
 * needed is asked for, and nobody's guests.
 */
#include "postgres.h"

#include "base/th_instant.h"
#include "calendar/google.h"
#include "json/json_read.h"

#define FIELDS                                                                 \
	"nextPageToken,nextSyncToken,timeZone,items(id,etag,status,summary,"       \
	"location,start,end,transparency,eventType,iCalUID,recurringEventId,"      \
	"originalStartTime,updated,attendees(self,responseStatus),"                \
	"extendedProperties/private)"

void
th_google_build_list(const ThCalendarCall *call, ThHttpRequest *out)
{
	StringInfoData suffix;

	initStringInfo(&suffix);
	appendStringInfo(&suffix,
					 "events?singleEvents=true&showDeleted=true&maxAttendees=1"
					 "&maxResults=%d&fields=",
					 call->account->page_size);
	th_http_append_encoded(&suffix, FIELDS);
	if (call->cursor != NULL)
	{
		appendStringInfoString(&suffix, "&syncToken=");
		th_http_append_encoded(&suffix, call->cursor);
	}
	else
		appendStringInfo(&suffix, "&timeMin=%s&timeMax=%s",
						 th_instant_text(call->window_start),
						 th_instant_text(call->window_end));
	if (call->next != NULL)
	{
		appendStringInfoString(&suffix, "&pageToken=");
		th_http_append_encoded(&suffix, call->next);
	}
	th_calendar_request(call, TH_HTTP_GET, th_google_url(call, suffix.data),
						out);
}

/*
 * A token that is too old is 410, one that is none is 400: whatever the page,
 * all is read anew.
 */
static void
refine(const ThCalendarCall *call, const ThHttpResult *result,
	   ThCalendarAnswer *out)
{
	if (result->end != TH_HTTP_ANSWERED)
		return;
	if (result->status == 410 ||
		(result->status == 400 && (call->cursor != NULL || call->next != NULL)))
		out->verdict = TH_CALENDAR_RESET;
}

void
th_google_read_list(const ThCalendarCall *call, const ThHttpResult *result,
					TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;
	const char *zone;
	int n;

	if (!th_google_read(result, true, now, out, &document))
	{
		refine(call, result, out);
		return;
	}
	if (document == NULL || !th_json_has(document, "items"))
	{
		th_calendar_refuse_unreadable(call, out);
		return;
	}
	zone = th_json_text(document, "timeZone", call->account->timezone);
	if (zone == NULL)
		zone = "UTC";
	n = th_json_length(document, "items");
	out->events = palloc0_array(ThEventSeen, Max(n, 1));
	out->n_events = n;
	for (int i = 0; i < n; i++)
		th_google_read_seen(th_json_element(document, "items", i), zone,
							&out->events[i]);
	out->next = th_json_text(document, "nextPageToken", NULL);
	if (out->next != NULL)
		return;
	out->cursor = th_json_text(document, "nextSyncToken", NULL);
	out->is_complete = call->cursor == NULL;
}
