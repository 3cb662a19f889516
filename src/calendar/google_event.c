/*
 * google_event.c
 *	  Google Calendar v3: events written, read and looked for.
 *
 * An event of ours has a name made from its key and generation, so that a
 * create whose answer was lost can be repeated: then the name is taken. Names
 * stay taken after a deletion; a change with status confirmed revives.
 */
#include "postgres.h"

#include "base/th_instant.h"
#include "calendar/google.h"
#include "crypto/token.h"
#include "json/json_read.h"
#include "json/json_write.h"

/* Private extended properties of our events. */
#define MARK_PROPERTY "telehealth"
#define KEY_PROPERTY "telehealthKey"
#define UID_PROPERTY "telehealthUid"
#define MARK_VALUE "1"

/* Letters a to v and digits, 5 to 1024 of them: hexadecimal ones will do. */
#define NAME_PREFIX "th"
#define NAME_BYTES 20

#define FIND_PAGE 250

char *
th_google_name(const ThEventWish *wish)
{
	unsigned char digest[TH_SHA256_BYTES];
	char *text = psprintf("%s/%d", wish->key, wish->generation);
	char *name = palloc(sizeof(NAME_PREFIX) + NAME_BYTES * 2);

	th_sha256(text, strlen(text), digest);
	memcpy(name, NAME_PREFIX, sizeof(NAME_PREFIX));
	for (int i = 0; i < NAME_BYTES; i++)
		snprintf(name + sizeof(NAME_PREFIX) - 1 + i * 2, 3, "%02x", digest[i]);
	pfree(text);
	return name;
}

/* ---- requests ---- */

static char *
event_suffix(const ThCalendarCall *call, const char *query)
{
	StringInfoData suffix;

	initStringInfo(&suffix);
	appendStringInfoString(&suffix, "events/");
	th_http_append_encoded(&suffix, call->external_id);
	appendStringInfoString(&suffix, query);
	return suffix.data;
}

/* Nobody is mailed unless a setting asks for it. */
static const char *
write_query(const ThCalendarCall *call)
{
	return call->wish != NULL && call->wish->mails_attendees
			   ? "?conferenceDataVersion=0&sendUpdates=all"
			   : "?conferenceDataVersion=0&sendUpdates=none";
}

/*
 * The instant is sent in UTC; the zone says how it is shown. A change takes
 * the date away that makes it a whole day, if somebody made it one: with both
 * it is refused.
 */
static void
write_time(ThJsonWriter *json, const char *name, TimestampTz instant,
		   const char *zone, bool is_new)
{
	th_json_write_object(json, name);
	if (!is_new)
		th_json_write_text(json, "date", NULL);
	th_json_write_text(json, "dateTime", th_instant_text(instant));
	th_json_write_text(json, "timeZone", th_calendar_zone_label(zone));
	th_json_write_end_object(json);
}

static void
write_properties(ThJsonWriter *json, const ThEventWish *wish)
{
	th_json_write_object(json, "extendedProperties");
	th_json_write_object(json, "private");
	th_json_write_text(json, MARK_PROPERTY, MARK_VALUE);
	th_json_write_text(json, KEY_PROPERTY, wish->key);
	th_json_write_text(json, UID_PROPERTY, wish->uid);
	th_json_write_end_object(json);
	th_json_write_end_object(json);
}

/* Those whom the calendar's owner has invited stay where we never invite. */
static void
write_attendees(ThJsonWriter *json, const ThEventWish *wish, bool is_new)
{
	if (wish->n_attendees == 0 && (is_new || !wish->names_attendees))
		return;
	th_json_write_array(json, "attendees");
	for (int i = 0; i < wish->n_attendees; i++)
	{
		th_json_write_object(json, NULL);
		th_json_write_text(json, "email", wish->attendees[i]);
		th_json_write_end_object(json);
	}
	th_json_write_end_array(json);
}

/* A change takes away what there is none of any more. */
static void
write_optional(ThJsonWriter *json, const char *name, const char *value,
			   bool is_new)
{
	if (value != NULL || !is_new)
		th_json_write_text(json, name, value);
}

/* A change merges: colours, reminders and guests of the owner's stay. */
static void
write_body(const ThCalendarCall *call, const char *name, ThHttpRequest *out)
{
	const ThEventWish *wish = call->wish;
	StringInfoData body;
	ThJsonWriter json;

	initStringInfo(&body);
	th_json_write_start(&json, &body);
	th_json_write_object(&json, NULL);
	if (name != NULL)
		th_json_write_text(&json, "id", name);
	th_json_write_text(&json, "status", "confirmed");
	th_json_write_text(&json, "summary", wish->summary);
	write_optional(&json, "description", th_calendar_description(wish),
				   name != NULL);
	write_optional(&json, "location",
				   wish->location != NULL ? wish->location : wish->url,
				   name != NULL);
	write_time(&json, "start", wish->starts_at, wish->timezone, name != NULL);
	write_time(&json, "end", wish->ends_at, wish->timezone, name != NULL);
	th_json_write_text(&json, "visibility",
					   wish->is_private ? "private" : "default");
	th_json_write_text(&json, "transparency",
					   wish->is_free ? "transparent" : "opaque");
	write_properties(&json, wish);
	write_attendees(&json, wish, name != NULL);
	th_json_write_end_object(&json);
	th_calendar_json_body(out, &body);
}

void
th_google_build_create(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_calendar_request(call, TH_HTTP_POST,
						th_google_url(call,
									  psprintf("events%s", write_query(call))),
						out);
	write_body(call, call->external_id, out);
}

void
th_google_build_update(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_calendar_request(call, TH_HTTP_PATCH,
						th_google_url(call,
									  event_suffix(call, write_query(call))),
						out);
	if (call->etag != NULL)
		th_calendar_header(out, "If-Match", call->etag);
	write_body(call, NULL, out);
}

void
th_google_build_delete(const ThCalendarCall *call, ThHttpRequest *out)
{
	const char *query = call->wish != NULL && call->wish->mails_attendees
							? "?sendUpdates=all"
							: "?sendUpdates=none";

	th_calendar_request(call, TH_HTTP_DELETE,
						th_google_url(call, event_suffix(call, query)), out);
	if (call->etag != NULL)
		th_calendar_header(out, "If-Match", call->etag);
}

void
th_google_build_read(const ThCalendarCall *call, ThHttpRequest *out)
{
	th_calendar_request(call, TH_HTTP_GET,
						th_google_url(call, event_suffix(call, "")), out);
}

void
th_google_build_find(const ThCalendarCall *call, ThHttpRequest *out)
{
	StringInfoData suffix;

	initStringInfo(&suffix);
	appendStringInfo(&suffix, "events?maxResults=%d&privateExtendedProperty=",
					 Min(call->account->page_size, FIND_PAGE));
	if (call->key == NULL)
		th_http_append_encoded(&suffix, MARK_PROPERTY "=" MARK_VALUE);
	else
		th_http_append_encoded(&suffix,
							   psprintf(KEY_PROPERTY "=%s", call->key));
	if (call->window_start != 0)
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

/* ---- answers ---- */

/* A day, or an instant that may be local to a zone. */
static TimestampTz
read_time(Jsonb *event, const char *name, const char *zone, bool *is_day)
{
	char path[64];
	char *text;
	char *own_zone;

	snprintf(path, sizeof(path), "%s/date", name);
	text = th_json_text(event, path, NULL);
	if (text != NULL)
	{
		*is_day = true;
		return th_instant_read_date(text, zone);
	}
	snprintf(path, sizeof(path), "%s/timeZone", name);
	own_zone = th_json_text(event, path, NULL);
	snprintf(path, sizeof(path), "%s/dateTime", name);
	return th_instant_read(th_json_text(event, path, NULL),
						   own_zone != NULL ? own_zone : zone, 0);
}

static ThEventShow
read_show(Jsonb *event, const char *type)
{
	const char *status = th_json_text(event, "status", "");

	if (strcmp(th_json_text(event, "transparency", ""), "transparent") == 0)
		return TH_SHOW_FREE;
	if (type != NULL && strcmp(type, "outOfOffice") == 0)
		return TH_SHOW_AWAY;
	if (type != NULL && strcmp(type, "workingLocation") == 0)
		return TH_SHOW_ELSEWHERE;
	return strcmp(status, "tentative") == 0 ? TH_SHOW_TENTATIVE : TH_SHOW_BUSY;
}

/* What the calendar's owner has answered to an invitation. */
static ThEventReply
read_reply(Jsonb *event)
{
	int n = th_json_length(event, "attendees");

	for (int i = 0; i < n; i++)
	{
		Jsonb *guest = th_json_element(event, "attendees", i);
		const char *reply;

		if (!th_json_bool(guest, "self", false))
			continue;
		reply = th_json_text(guest, "responseStatus", "needsAction");
		if (strcmp(reply, "accepted") == 0)
			return TH_REPLY_ACCEPTED;
		if (strcmp(reply, "tentative") == 0)
			return TH_REPLY_TENTATIVE;
		if (strcmp(reply, "declined") == 0)
			return TH_REPLY_DECLINED;
		return TH_REPLY_OPEN;
	}
	return TH_REPLY_NONE;
}

/* A name of ours, or of an occurrence, if somebody made a series of it. */
static bool
is_made_here(const char *id)
{
	size_t prefix = strlen(NAME_PREFIX);
	size_t length = prefix + NAME_BYTES * 2;

	return id != NULL && strncmp(id, NAME_PREFIX, prefix) == 0 &&
		   strspn(id + prefix, "0123456789abcdef") == NAME_BYTES * 2 &&
		   (id[length] == '\0' || id[length] == '_');
}

void
th_google_read_seen(Jsonb *event, const char *zone, ThEventSeen *out)
{
	bool ends_on_day = false;

	memset(out, 0, sizeof(*out));
	out->recurrence_id = DT_NOBEGIN;
	out->external_id = th_calendar_read_id(event, "id");
	out->etag = th_calendar_read_etag(event, "etag");
	out->uid = th_json_text(event, "iCalUID", NULL);
	out->key = th_json_text(event, "extendedProperties/private/" KEY_PROPERTY,
							NULL);
	out->is_copy = out->key != NULL && !is_made_here(out->external_id);
	out->is_deleted = strcmp(th_json_text(event, "status", ""), "cancelled") ==
					  0;
	out->starts_at = read_time(event, "start", zone, &out->is_all_day);
	out->ends_at = read_time(event, "end", zone, &ends_on_day);
	out->timezone = th_json_text(event, "start/timeZone", zone);
	if (th_json_has(event, "recurringEventId"))
	{
		bool is_day = false;
		TimestampTz at = read_time(event, "originalStartTime", zone, &is_day);

		if (at != 0)
			out->recurrence_id = at;
	}
	out->updated_at = th_instant_read(th_json_text(event, "updated", NULL),
									  NULL, 0);
	out->type = th_json_text(event, "eventType", NULL);
	out->show = read_show(event, out->type);
	out->reply = read_reply(event);
	if (out->key != NULL)
	{
		out->summary = th_json_text(event, "summary", NULL);
		out->description = th_json_text(event, "description", NULL);
		out->location = th_json_text(event, "location", NULL);
	}
	th_calendar_check_seen(out);
}

void
th_google_read_event(const ThCalendarCall *call, const ThHttpResult *result,
					 TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;

	if (!th_google_read(result, call->op != TH_CALENDAR_CREATE, now, out,
						&document) ||
		call->op == TH_CALENDAR_DELETE)
		return;
	out->events = palloc0_object(ThEventSeen);
	out->n_events = 1;
	if (document != NULL)
		th_google_read_seen(document, "UTC", out->events);
	if (document == NULL || out->events->external_id == NULL)
		th_calendar_refuse_unreadable(call, out);
}

void
th_google_read_find(const ThCalendarCall *call, const ThHttpResult *result,
					TimestampTz now, ThCalendarAnswer *out)
{
	Jsonb *document;
	int n;

	if (!th_google_read(result, true, now, out, &document))
		return;
	if (document == NULL || !th_json_has(document, "items"))
	{
		th_calendar_refuse_unreadable(call, out);
		return;
	}
	n = th_json_length(document, "items");
	out->events = palloc0_array(ThEventSeen, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		ThEventSeen *seen = &out->events[out->n_events];

		th_google_read_seen(th_json_element(document, "items", i), "UTC", seen);
		if (seen->external_id != NULL && !seen->is_deleted &&
			seen->key != NULL &&
			(call->key == NULL || strcmp(seen->key, call->key) == 0))
			out->n_events++;
	}
	out->next = th_json_text(document, "nextPageToken", NULL);
}
