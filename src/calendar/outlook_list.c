/*
 * outlook_list.c
 *	  Microsoft Graph's calendars: pulls, a page at a time.
 *
 * The first page of a pass names its window; each answer has the whole
 * address of the next page, the last that of the next pull. What is removed,
 * or has left the window, comes as its id alone.
 */
#include "postgres.h"

#include "base/th_instant.h"
#include "calendar/outlook.h"
#include "json/json_read.h"

void
th_outlook_build_list(const ThCalendarCall *call, ThHttpRequest *out)
{
	const char *url = th_outlook_own_link(call, call->next);

	if (url == NULL)
		url = th_outlook_own_link(call, call->cursor);
	if (url == NULL)
		url = th_outlook_url(
			call, psprintf("calendarView/delta?startDateTime=%s&endDateTime=%s",
						   th_instant_text(call->window_start),
						   th_instant_text(call->window_end)));
	th_outlook_request(call, TH_HTTP_GET, url,
					   psprintf("odata.maxpagesize=%d",
								call->account->page_size),
					   out);
}

/* An address that is not known any more, on whatever page, begins anew. */
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
th_outlook_read_list(const ThCalendarCall *call, const ThHttpResult *result,
					 TimestampTz now, ThCalendarAnswer *out)
{
	const char *zone = call->account->timezone;
	Jsonb *document;
	int n;

	if (!th_outlook_read(result, true, now, out, &document))
	{
		refine(call, result, out);
		return;
	}
	out->next = th_outlook_link(call, document, "@odata.nextLink");
	out->cursor = th_outlook_link(call, document, "@odata.deltaLink");
	if (document == NULL || !th_json_has(document, "value") ||
		(out->next == NULL && out->cursor == NULL))
	{
		th_calendar_refuse_unreadable(call, out);
		return;
	}
	n = th_json_length(document, "value");
	out->events = palloc0_array(ThEventSeen, Max(n, 1));
	out->n_events = n;
	if (zone == NULL)
		zone = "UTC";
	for (int i = 0; i < n; i++)
	{
		Jsonb *event = th_json_element(document, "value", i);

		th_outlook_read_seen(event, zone, &out->events[i]);
	}
	if (out->next == NULL)
		out->is_complete = th_outlook_own_link(call, call->cursor) == NULL;
}
