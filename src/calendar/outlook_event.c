/*
 * outlook_event.c
 *	  Microsoft Graph's events: written, read and looked for.
 *
 * Graph chooses the id. A repeated create is suppressed by its transactionId,
 * for how long is not told, so that whoever repeats looks for the key first.
 */
#include "postgres.h"

#include "base/th_instant.h"
#include "calendar/outlook.h"
#include "crypto/token.h"
#include "json/json_read.h"
#include "json/json_write.h"

/* Extended properties of our events: whose they are, and which. */
#define PROPERTIES "String {0c7d0e5b-6a0f-4d3c-9a59-3f0c1c1b7e42} Name "
#define KEY_PROPERTY PROPERTIES "telehealthKey"
#define UID_PROPERTY PROPERTIES "telehealthUid"

#define TRANSACTION_BYTES 16
#define FIND_PAGE 50

/* ---- requests ---- */

/* In the zone it is to be shown in, if its clocks say the instant (O8). */
static void
write_time(ThJsonWriter *json, const char *name, TimestampTz instant,
		   const char *zone)
{
	const char *label = th_calendar_zone_label(zone);
	char *text = th_instant_local_text(instant, label);

	if (text == NULL)
	{
		label = "UTC";
		text = th_instant_local_text(instant, label);
	}
	th_json_write_object(json, name);
	th_json_write_text(json, "dateTime", text);
	th_json_write_text(json, "timeZone", label);
	th_json_write_end_object(json);
}

static void
write_property(ThJsonWriter *json, const char *id, const char *value)
{
	th_json_write_object(json, NULL);
	th_json_write_text(json, "id", id);
	th_json_write_text(json, "value", value);
	th_json_write_end_object(json);
}

/* What is written once: no change of it is possible, or of any use. */
static void
write_identity(ThJsonWriter *json, const ThEventWish *wish)
{
	unsigned char digest[TH_SHA256_BYTES];
	char hex[TRANSACTION_BYTES * 2 + 1];
	char *text = psprintf("%s/%d", wish->key, wish->generation);

	th_sha256(text, strlen(text), digest);
	for (int i = 0; i < TRANSACTION_BYTES; i++)
		snprintf(hex + i * 2, 3, "%02x", digest[i]);
	th_json_write_text(json, "transactionId", hex);
	th_json_write_bool(json, "isOnlineMeeting", false);
	th_json_write_bool(json, "responseRequested", wish->mails_attendees);
	th_json_write_array(json, "singleValueExtendedProperties");
	write_property(json, KEY_PROPERTY, wish->key);
	write_property(json, UID_PROPERTY, wish->uid);
	th_json_write_end_array(json);
}

/*
 * Graph mails whom an event names, whatever one asks for: so nobody is named
 * unless mails are wanted. Guests that the calendar's owner has added stay
 * where we never invite.
 */
static void
write_attendees(ThJsonWriter *json, const ThEventWish *wish, bool is_new)
{
	if (wish->n_attendees == 0 && (is_new || !wish->names_attendees))
		return;
	th_json_write_array(json, "attendees");
	for (int i = 0; i < wish->n_attendees; i++)
	{
		th_json_write_object(json, NULL);
		th_json_write_object(json, "emailAddress");
		th_json_write_text(json, "address", wish->attendees[i]);
		th_json_write_end_object(json);
		th_json_write_text(json, "type", "required");
		th_json_write_end_object(json);
	}
	th_json_write_end_array(json);
}

static void
write_body(const ThEventWish *wish, bool is_new, ThHttpRequest *out)
{
	const char *description = th_calendar_description(wish);
	const char *location = wish->location != NULL ? wish->location : wish->url;
	StringInfoData body;
	ThJsonWriter json;

	initStringInfo(&body);
	th_json_write_start(&json, &body);
	th_json_write_object(&json, NULL);
	th_json_write_text(&json, "subject", wish->summary);
	th_json_write_object(&json, "body");
	th_json_write_text(&json, "contentType", "text");
	th_json_write_text(&json, "content",
					   description == NULL ? "" : description);
	th_json_write_end_object(&json);
	write_time(&json, "start", wish->starts_at, wish->timezone);
	write_time(&json, "end", wish->ends_at, wish->timezone);
	/* somebody may have made it a whole day, which wants midnights */
	th_json_write_bool(&json, "isAllDay", false);
	th_json_write_object(&json, "location");
	th_json_write_text(&json, "displayName", location == NULL ? "" : location);
	th_json_write_end_object(&json);
	th_json_write_text(&json, "showAs", wish->is_free ? "free" : "busy");
	th_json_write_text(&json, "sensitivity",
					   wish->is_private ? "private" : "normal");
	write_attendees(&json, wish, is_new);
	if (is_new)
		write_identity(&json, wish);
	th_json_write_end_object(&json);
	th_calendar_json_body(out, &body);
}

static char *
event_url(const ThCalendarCall *call, const char *query)
{
	StringInfoData suffix;

	initStringInfo(&suffix);
	appendStringInfoString(&suffix, "events/");
	th_http_append_encoded(&suffix, call->external_id);
	appendStringInfoString(&suffix, query);
	return th_outlook_url(call, suffix.data);
}

void
th_outlook_build_create(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_outlook_request(call, TH_HTTP_POST, th_outlook_url(call, "events"), NULL,
					   out);
	write_body(call->wish, true, out);
}

void
th_outlook_build_update(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_outlook_request(call, TH_HTTP_PATCH, event_url(call, ""), NULL, out);
	if (call->etag != NULL)
		th_calendar_header(out, "If-Match", call->etag);
	write_body(call->wish, false, out);
}

void
th_outlook_build_delete(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_outlook_request(call, TH_HTTP_DELETE, event_url(call, ""), NULL, out);
	if (call->etag != NULL)
		th_calendar_header(out, "If-Match", call->etag);
}

/* "?$expand=singleValueExtendedProperties($filter=id eq '...')" */
static void
append_expand(StringInfo query, const char *before)
{
	appendStringInfo(query, "%s%%24expand=", before);
	th_http_append_encoded(
		query,
		"singleValueExtendedProperties($filter=id eq '" KEY_PROPERTY "')");
}

void
th_outlook_build_read(const ThCalendarCall *call, ThHttpRequest *out)
{
	StringInfoData query;

	initStringInfo(&query);
	append_expand(&query, "?");
	th_outlook_request(call, TH_HTTP_GET, event_url(call, query.data), NULL,
					   out);
}

void
th_outlook_build_find(const ThCalendarCall *call, ThHttpRequest *out)
{
	StringInfoData suffix;

	if (call->next != NULL)
	{
		th_outlook_request(call, TH_HTTP_GET, call->next, NULL, out);
		return;
	}
	initStringInfo(&suffix);
	appendStringInfo(&suffix, "events?%%24top=%d&%%24filter=",
					 Min(call->account->page_size, FIND_PAGE));
	th_http_append_encoded(
		&suffix,
		call->key == NULL
			? "singleValueExtendedProperties/Any(ep: ep/id eq '" KEY_PROPERTY
			  "' and ep/value ne null)"
			: psprintf(
				  "singleValueExtendedProperties/Any(ep: ep/id eq '" KEY_PROPERTY
				  "' and ep/value eq '%s')",
				  call->key));
	append_expand(&suffix, "&");
	th_outlook_request(call, TH_HTTP_GET, th_outlook_url(call, suffix.data),
					   NULL, out);
}

/* ---- answers ---- */

/*
 * A whole day is the same day everywhere: only its date counts. Other times
 * come in UTC, as we ask for, or in a zone that is named.
 */
static TimestampTz
read_time(Jsonb *event, const char *name, bool is_day, const char *zone)
{
	char path[64];
	char *text;
	char *own_zone;

	snprintf(path, sizeof(path), "%s/dateTime", name);
	text = th_json_text(event, path, NULL);
	if (text != NULL && is_day)
		return th_instant_read_date(pnstrdup(text, 10), zone);
	snprintf(path, sizeof(path), "%s/timeZone", name);
	own_zone = th_json_text(event, path, "UTC");
	return th_instant_read(text, own_zone, 0);
}

static ThEventShow
read_show(Jsonb *event)
{
	static const struct
	{
		const char *name;
		ThEventShow show;
	} shows[] = {
		{ "free", TH_SHOW_FREE },
		{ "tentative", TH_SHOW_TENTATIVE },
		{ "oof", TH_SHOW_AWAY },
		{ "workingElsewhere", TH_SHOW_ELSEWHERE },
	};
	const char *name = th_json_text(event, "showAs", "busy");

	for (size_t i = 0; i < lengthof(shows); i++)
	{
		if (strcmp(name, shows[i].name) == 0)
			return shows[i].show;
	}
	return TH_SHOW_BUSY;
}

static ThEventReply
read_reply(Jsonb *event)
{
	const char *reply = th_json_text(event, "responseStatus/response", "none");

	if (strcmp(reply, "accepted") == 0)
		return TH_REPLY_ACCEPTED;
	if (strcmp(reply, "tentativelyAccepted") == 0)
		return TH_REPLY_TENTATIVE;
	if (strcmp(reply, "declined") == 0)
		return TH_REPLY_DECLINED;
	return strcmp(reply, "notResponded") == 0 ? TH_REPLY_OPEN : TH_REPLY_NONE;
}

/* The number of an id is written in either case. */
static const char *
read_key(Jsonb *event)
{
	int n = th_json_length(event, "singleValueExtendedProperties");

	for (int i = 0; i < n; i++)
	{
		Jsonb *property = th_json_element(event,
										  "singleValueExtendedProperties", i);
		const char *id = th_json_text(property, "id", NULL);

		if (id != NULL && pg_strcasecmp(id, KEY_PROPERTY) == 0)
			return th_json_text(property, "value", NULL);
	}
	return NULL;
}

/* A copy has no transaction, or that of the program it was made with. */
static bool
is_made_here(Jsonb *event)
{
	const char *id = th_json_text(event, "transactionId", NULL);
	size_t length = TRANSACTION_BYTES * 2;

	return id != NULL && strlen(id) == length &&
		   strspn(id, "0123456789abcdef") == length;
}

void
th_outlook_read_seen(Jsonb *event, const char *zone, ThEventSeen *out)
{
	memset(out, 0, sizeof(*out));
	out->recurrence_id = DT_NOBEGIN;
	out->external_id = th_calendar_read_id(event, "id");
	out->etag = th_calendar_read_etag(event, "@odata.etag");
	out->uid = th_json_text(event, "iCalUId", NULL);
	out->key = read_key(event);
	out->is_copy = out->key != NULL && !is_made_here(event);
	out->is_deleted = th_json_has(event, "@removed");
	out->is_cancelled = th_json_bool(event, "isCancelled", false);
	out->is_all_day = th_json_bool(event, "isAllDay", false);
	out->starts_at = read_time(event, "start", out->is_all_day, zone);
	out->ends_at = read_time(event, "end", out->is_all_day, zone);
	out->timezone = out->is_all_day ? zone : "UTC";
	if (th_json_has(event, "seriesMasterId"))
	{
		TimestampTz at = th_instant_read(th_json_text(event, "originalStart",
													  NULL),
										 "UTC", 0);

		if (at != 0)
			out->recurrence_id = at;
	}
	out->updated_at =
		th_instant_read(th_json_text(event, "lastModifiedDateTime", NULL), NULL,
						0);
	out->type = th_json_text(event, "type", NULL);
	out->is_series = out->type != NULL &&
					 strcmp(out->type, "seriesMaster") == 0;
	if (!th_json_has(event, "showAs"))
		out->series_id = th_json_text(event, "seriesMasterId", NULL);
	out->show = read_show(event);
	out->reply = read_reply(event);
	/* what changed is told without our key: the caller knows its own by id */
	out->summary = th_json_text(event, "subject", NULL);
	if (out->key != NULL)
	{
		out->description = th_json_text(event, "bodyPreview", NULL);
		out->location = th_json_text(event, "location/displayName", NULL);
	}
	th_calendar_check_seen(out);
}

void
th_outlook_read_event(const ThCalendarCall *call, const ThHttpResult *result,
					  TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;

	if (!th_outlook_read(result, call->op != TH_CALENDAR_CREATE, now, out,
						 &document) ||
		call->op == TH_CALENDAR_DELETE)
		return;
	out->events = palloc0_object(ThEventSeen);
	out->n_events = 1;
	if (document != NULL)
		th_outlook_read_seen(document, "UTC", out->events);
	if (document == NULL || out->events->external_id == NULL)
		th_calendar_refuse_unreadable(call, out);
}

void
th_outlook_read_find(const ThCalendarCall *call, const ThHttpResult *result,
					 TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;
	int n;

	if (!th_outlook_read(result, true, now, out, &document))
		return;
	if (document == NULL || !th_json_has(document, "value"))
	{
		th_calendar_refuse_unreadable(call, out);
		return;
	}
	n = th_json_length(document, "value");
	out->events = palloc0_array(ThEventSeen, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		ThEventSeen *seen = &out->events[out->n_events];

		th_outlook_read_seen(th_json_element(document, "value", i), "UTC",
							 seen);
		if (seen->external_id != NULL && !seen->is_deleted &&
			seen->key != NULL &&
			(call->key == NULL || pg_strcasecmp(seen->key, call->key) == 0))
			out->n_events++;
	}
	out->next = th_outlook_link(call, document, "@odata.nextLink");
}
