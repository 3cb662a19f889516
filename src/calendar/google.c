/*
 * google.c
 *	  Google Calendar v3: its table, errors, and the ends of a connection.
 *	  Events are in google_event.c, pulls in google_list.c, channels in
 *	  google_watch.c.
 */
#include "postgres.h"

#include "calendar/google.h"
#include "json/json_read.h"

char *
th_google_url(const ThCalendarCall *call, const char *suffix)
{
	StringInfoData url;

	initStringInfo(&url);
	appendStringInfo(&url, "%s/calendars/", call->account->api_url);
	th_http_append_encoded(&url, call->account->calendar_id == NULL
									 ? "primary"
									 : call->account->calendar_id);
	if (suffix[0] != '\0')
		appendStringInfo(&url, "/%s", suffix);
	return url.data;
}

/* Reasons of 403 by what they mean; any other is a refusal. */
static const struct
{
	const char *reason;
	ThCalendarVerdict verdict;
} reasons[] = {
	{ "rateLimitExceeded", TH_CALENDAR_RATE_LIMITED },
	{ "userRateLimitExceeded", TH_CALENDAR_RATE_LIMITED },
	{ "quotaExceeded", TH_CALENDAR_RATE_LIMITED },
	{ "dailyLimitExceeded", TH_CALENDAR_RATE_LIMITED },
	{ "insufficientPermissions", TH_CALENDAR_SCOPE_MISSING },
	{ "ACCESS_TOKEN_SCOPE_INSUFFICIENT", TH_CALENDAR_SCOPE_MISSING },
};

bool
th_google_read(const ThHttpResult *result, bool is_safe, TimestampTz now,
			   ThCalendarAnswer *out, Jsonb **document)
{
	if (th_calendar_read_json(result, is_safe, now, out, document))
		return true;
	if (result->end != TH_HTTP_ANSWERED || result->status != 403 ||
		out->code == NULL)
		return false;
	for (size_t i = 0; i < lengthof(reasons); i++)
	{
		if (strcmp(out->code, reasons[i].reason) == 0)
			out->verdict = reasons[i].verdict;
	}
	return false;
}

/* True if the space-separated list has the scope of that last name. */
static bool
is_granted(const char *granted, const char *name)
{
	static const char prefix[] = "https://www.googleapis.com/auth/";
	size_t length = strlen(name);

	while (*granted != '\0')
	{
		size_t word = strcspn(granted, " ");

		if (word == strlen(prefix) + length &&
			strncmp(granted, prefix, strlen(prefix)) == 0 &&
			strncmp(granted + strlen(prefix), name, length) == 0)
			return true;
		granted += word;
		granted += strspn(granted, " ");
	}
	return false;
}

/* Users may untick what was asked for. */
static bool
has_scopes(const char *granted)
{
	return granted == NULL || is_granted(granted, "calendar") ||
		   is_granted(granted, "calendar.events");
}

/* ---- the calendar itself ---- */

static void
build_discover(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_calendar_request(call, TH_HTTP_GET, th_google_url(call, ""), out);
}

static void
read_discover(const ThCalendarCall *call pg_attribute_unused(),
			  const ThHttpResult *result, TimestampTz now,
			  ThCalendarAnswer *out)
{
	Jsonb *document;

	if (!th_google_read(result, true, now, out, &document))
	{
		/* a grant for events alone is enough, but not to be told this */
		if (out->verdict == TH_CALENDAR_SCOPE_MISSING)
			out->verdict = TH_CALENDAR_OK;
		return;
	}
	out->calendar_id = out->identity = th_json_text(document, "id", NULL);
	out->timezone = th_json_text(document, "timeZone", NULL);
	if (out->calendar_id != NULL)
		return;
	out->verdict = TH_CALENDAR_RETRY;
	out->message = pstrdup("the answer is not readable");
}

/* ---- the end of the grant ---- */

static void
build_revoke(const ThCalendarCall *call, ThHttpRequest *out)
{
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfoString(&body, "token=");
	th_http_append_encoded(&body, call->account->refresh_token);
	th_calendar_request(call, TH_HTTP_POST, call->account->revoke_url, out);
	out->authorization = NULL;
	out->content_type = "application/x-www-form-urlencoded";
	out->body = body.data;
	out->body_length = body.len;
}

/* A grant that is not valid any more is as good as revoked. */
static void
read_revoke(const ThCalendarCall *call pg_attribute_unused(),
			const ThHttpResult *result, TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;

	if (!th_google_read(result, true, now, out, &document) &&
		result->end == TH_HTTP_ANSWERED && result->status == 400)
		out->verdict = TH_CALENDAR_GONE;
}

const ThCalendar th_calendar_google = {
	.kind = "google",
	.is_oauth = true,
	.push_source = "google-calendar",
	.has_scopes = has_scopes,
	.name = th_google_name,
	.codecs = {
		[TH_CALENDAR_CREATE] = { th_google_build_create, th_google_read_event },
		[TH_CALENDAR_READ] = { th_google_build_read, th_google_read_event },
		[TH_CALENDAR_UPDATE] = { th_google_build_update, th_google_read_event },
		[TH_CALENDAR_DELETE] = { th_google_build_delete, th_google_read_event },
		[TH_CALENDAR_FIND] = { th_google_build_find, th_google_read_find },
		[TH_CALENDAR_LIST] = { th_google_build_list, th_google_read_list },
		[TH_CALENDAR_DISCOVER] = { build_discover, read_discover },
		[TH_CALENDAR_WATCH] = { th_google_build_watch, th_google_read_watch },
		[TH_CALENDAR_STOP] = { th_google_build_stop, th_google_read_stop },
		[TH_CALENDAR_REVOKE] = { build_revoke, read_revoke },
	},
};
