/*
 * outlook_watch.c
 *	  Microsoft Graph's subscriptions, which tell of changes.
 *
 * Graph calls the address while the request to make one is still open: who
 * answers there is another process than who asks here.
 */
#include "postgres.h"

#include "base/th_instant.h"
#include "calendar/outlook.h"
#include "json/json_read.h"
#include "json/json_write.h"

static char *
subscription_url(const ThCalendarCall *call, const char *id)
{
	StringInfoData url;

	initStringInfo(&url);
	appendStringInfo(&url, "%s/subscriptions", call->account->api_url);
	if (id != NULL)
	{
		appendStringInfoChar(&url, '/');
		th_http_append_encoded(&url, id);
	}
	return url.data;
}

static const char *
resource_of(const ThCalendarCall *call)
{
	StringInfoData resource;

	if (call->account->calendar_id == NULL)
		return "me/events";
	initStringInfo(&resource);
	appendStringInfoString(&resource, "me/calendars/");
	th_http_append_encoded(&resource, call->account->calendar_id);
	appendStringInfoString(&resource, "/events");
	return resource.data;
}

void
th_outlook_build_watch(const ThCalendarCall *call, ThHttpRequest *out)
{
	const ThCalendarChannel *channel = call->channel;
	StringInfoData body;
	ThJsonWriter json;

	th_outlook_request(call, TH_HTTP_POST, subscription_url(call, NULL), NULL,
					   out);
	initStringInfo(&body);
	th_json_write_start(&json, &body);
	th_json_write_object(&json, NULL);
	th_json_write_text(&json, "changeType", "created,updated,deleted");
	th_json_write_text(&json, "notificationUrl", channel->address);
	th_json_write_text(&json, "lifecycleNotificationUrl", channel->address);
	th_json_write_text(&json, "resource", resource_of(call));
	th_json_write_text(&json, "expirationDateTime",
					   th_instant_text(channel->expires_at));
	th_json_write_text(&json, "clientState", channel->secret);
	th_json_write_end_object(&json);
	th_calendar_json_body(out, &body);
}

void
th_outlook_build_renew(const ThCalendarCall *call, ThHttpRequest *out)
{
	StringInfoData body;
	ThJsonWriter json;

	th_outlook_request(call, TH_HTTP_PATCH,
					   subscription_url(call, call->channel->channel_id), NULL,
					   out);
	initStringInfo(&body);
	th_json_write_start(&json, &body);
	th_json_write_object(&json, NULL);
	th_json_write_text(&json, "expirationDateTime",
					   th_instant_text(call->channel->expires_at));
	th_json_write_end_object(&json);
	th_calendar_json_body(out, &body);
}

void
th_outlook_read_watch(const ThCalendarCall *call, const ThHttpResult *result,
					  TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;

	if (!th_outlook_read(result, true, now, out, &document))
		return;
	out->channel_id = th_calendar_read_id(document, "id");
	out->resource_id = th_json_text(document, "resource", NULL);
	out->expires_at = th_instant_read(th_json_text(document,
												   "expirationDateTime", NULL),
									  "UTC", 0);
	if (out->expires_at == 0)
		out->expires_at = call->channel->expires_at;
	if (out->channel_id == NULL)
		th_calendar_refuse_unreadable(call, out);
}

void
th_outlook_build_stop(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_outlook_request(call, TH_HTTP_DELETE,
					   subscription_url(call, call->channel->channel_id), NULL,
					   out);
}

void
th_outlook_read_stop(const ThCalendarCall *call pg_attribute_unused(),
					 const ThHttpResult *result, TimestampTz now,
					 ThCalendarAnswer *out)
{
	Jsonb *document;

	(void) th_outlook_read(result, true, now, out, &document);

	/* another user's, of a former grant: it ends by itself */
	if (out->verdict == TH_CALENDAR_SCOPE_MISSING)
		out->verdict = TH_CALENDAR_GONE;
}
