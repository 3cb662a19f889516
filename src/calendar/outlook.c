/*
 * outlook.c
 *	  Microsoft Graph's calendars: their table, errors, and the beginning of a
 *	  connection. Events are in outlook_event.c, pulls in outlook_list.c,
 *	  subscriptions in outlook_watch.c.
 */
#include "postgres.h"

#include "calendar/outlook.h"
#include "json/json_read.h"

char *
th_outlook_url(const ThCalendarCall *call, const char *suffix)
{
	StringInfoData url;

	initStringInfo(&url);
	appendStringInfo(&url, "%s/me/calendar", call->account->api_url);
	if (call->account->calendar_id != NULL)
	{
		appendStringInfoString(&url, "s/");
		th_http_append_encoded(&url, call->account->calendar_id);
	}
	if (suffix[0] != '\0')
		appendStringInfo(&url, "/%s", suffix);
	return url.data;
}

void
th_outlook_request(const ThCalendarCall *call, ThHttpMethod method,
				   const char *url, const char *prefer, ThHttpRequest *out)
{
	static const char always[] =
		"IdType=\"ImmutableId\", outlook.timezone=\"UTC\"";

	th_calendar_request(call, method, url, out);
	th_calendar_header(out, "Prefer",
					   prefer == NULL ? always
									  : psprintf("%s, %s", always, prefer));
}

/*
 * ErrorAccessDenied may be about one calendar or event alone: what a grant
 * lacks is known from the scopes that come with a token.
 */
bool
th_outlook_read(const ThHttpResult *result, bool is_safe, TimestampTz now,
				ThCalendarAnswer *out, Jsonb **document)
{
	if (th_calendar_read_json(result, is_safe, now, out, document))
		return true;
	if (result->end != TH_HTTP_ANSWERED || out->code == NULL)
		return false;
	if (pg_strcasecmp(out->code, "syncStateNotFound") == 0 ||
		pg_strcasecmp(out->code, "resyncRequired") == 0)
		out->verdict = TH_CALENDAR_RESET;
	else if (result->status == 409 &&
			 strcmp(out->code, "ErrorIrresolvableConflict") == 0)
		out->verdict = TH_CALENDAR_CHANGED;
	return false;
}

/* True if the space-separated list has the scope, with or without its address. */
static bool
is_granted(const char *granted, const char *name)
{
	size_t length = strlen(name);

	while (*granted != '\0')
	{
		size_t word = strcspn(granted, " ");

		if (word >= length &&
			pg_strncasecmp(granted + word - length, name, length) == 0 &&
			(word == length || granted[word - length - 1] == '/'))
			return true;
		granted += word;
		granted += strspn(granted, " ");
	}
	return false;
}

static bool
has_scopes(const char *granted)
{
	return granted == NULL || is_granted(granted, "Calendars.ReadWrite");
}

const char *
th_outlook_own_link(const ThCalendarCall *call, const char *link)
{
	char *there = link == NULL ? NULL : th_http_origin(link);

	if (there == NULL ||
		strcmp(there, th_http_origin(call->account->api_url)) != 0)
		return NULL;
	return link;
}

char *
th_outlook_link(const ThCalendarCall *call, Jsonb *document, const char *name)
{
	char *link = th_json_text(document, name, NULL);

	return th_outlook_own_link(call, link) == NULL ? NULL : link;
}

static void
build_discover(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_outlook_request(call, TH_HTTP_GET,
					   psprintf("%s?%%24select=id", th_outlook_url(call, "")),
					   NULL, out);
}

static void
read_discover(const ThCalendarCall *call pg_attribute_unused(),
			  const ThHttpResult *result, TimestampTz now,
			  ThCalendarAnswer *out)
{
	Jsonb *document;

	if (!th_outlook_read(result, true, now, out, &document))
		return;
	out->calendar_id = out->identity = th_json_text(document, "id", NULL);
	if (out->calendar_id != NULL)
		return;
	out->verdict = TH_CALENDAR_RETRY;
	out->message = pstrdup("the answer is not readable");
}

const ThCalendar th_calendar_outlook = {
	.kind = "outlook",
	.is_oauth = true,
	.push_source = "graph",
	.is_vague = true,
	.has_scopes = has_scopes,
	.codecs = {
		[TH_CALENDAR_CREATE] = { th_outlook_build_create, th_outlook_read_event },
		[TH_CALENDAR_READ] = { th_outlook_build_read, th_outlook_read_event },
		[TH_CALENDAR_UPDATE] = { th_outlook_build_update, th_outlook_read_event },
		[TH_CALENDAR_DELETE] = { th_outlook_build_delete, th_outlook_read_event },
		[TH_CALENDAR_FIND] = { th_outlook_build_find, th_outlook_read_find },
		[TH_CALENDAR_LIST] = { th_outlook_build_list, th_outlook_read_list },
		[TH_CALENDAR_DISCOVER] = { build_discover, read_discover },
		[TH_CALENDAR_WATCH] = { th_outlook_build_watch, th_outlook_read_watch },
		[TH_CALENDAR_RENEW] = { th_outlook_build_renew, th_outlook_read_watch },
		[TH_CALENDAR_STOP] = { th_outlook_build_stop, th_outlook_read_stop },
	},
};
