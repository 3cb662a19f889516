/*
 * google_watch.c
 *	  Google Calendar v3: channels that tell of changes.
 *
 * A channel is not renewed: a new one takes its place before it ends.
 */
#include "postgres.h"

#include <errno.h>

#include "utils/timestamp.h"

#include "calendar/google.h"
#include "json/json_read.h"
#include "json/json_write.h"

/* The server counts from 2000, Google milliseconds from 1970. */
#define EPOCH_US                                                               \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

void
th_google_build_watch(const ThCalendarCall *call, ThHttpRequest *out)
{
	const ThCalendarChannel *channel = call->channel;
	StringInfoData body;
	ThJsonWriter json;

	th_calendar_request(call, TH_HTTP_POST, th_google_url(call, "events/watch"),
						out);
	initStringInfo(&body);
	th_json_write_start(&json, &body);
	th_json_write_object(&json, NULL);
	th_json_write_text(&json, "id", channel->channel_id);
	th_json_write_text(&json, "type", "web_hook");
	th_json_write_text(&json, "address", channel->address);
	th_json_write_text(&json, "token", channel->secret);
	th_json_write_text(&json, "expiration",
					   psprintf(INT64_FORMAT,
								(channel->expires_at + EPOCH_US) / 1000));
	th_json_write_end_object(&json);
	th_calendar_json_body(out, &body);
}

/* Milliseconds as text; 0 if it is none, or of no year of ours. */
static TimestampTz
read_expiration(Jsonb *document)
{
	int64 ms = th_json_int(document, "expiration", 0);

	if (ms <= 0 || ms > INT64CONST(4102444800000)) /* the year 2100 */
		return 0;
	return ms * 1000 - EPOCH_US;
}

void
th_google_read_watch(const ThCalendarCall *call, const ThHttpResult *result,
					 TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;

	if (!th_google_read(result, true, now, out, &document))
		return;
	out->channel_id = th_calendar_read_id(document, "id");
	out->resource_id = th_json_text(document, "resourceId", NULL);
	out->expires_at = read_expiration(document);
	if (out->expires_at == 0)
		out->expires_at = call->channel->expires_at;
	if (out->channel_id == NULL || out->resource_id == NULL)
		th_calendar_refuse_unreadable(call, out);
}

void
th_google_build_stop(const ThCalendarCall *call, ThHttpRequest *out)
{
	StringInfoData body;
	ThJsonWriter json;

	th_calendar_request(call, TH_HTTP_POST,
						psprintf("%s/channels/stop", call->account->api_url),
						out);
	initStringInfo(&body);
	th_json_write_start(&json, &body);
	th_json_write_object(&json, NULL);
	th_json_write_text(&json, "id", call->channel->channel_id);
	th_json_write_text(&json, "resourceId", call->channel->resource_id);
	th_json_write_end_object(&json);
	th_calendar_json_body(out, &body);
}

void
th_google_read_stop(const ThCalendarCall *call pg_attribute_unused(),
					const ThHttpResult *result, TimestampTz now,
					ThCalendarAnswer *out)
{
	Jsonb *document;

	(void) th_google_read(result, true, now, out, &document);

	/* another user's, of a former grant: it ends by itself */
	if (out->verdict == TH_CALENDAR_SCOPE_MISSING)
		out->verdict = TH_CALENDAR_GONE;
}
