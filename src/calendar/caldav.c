/*
 * caldav.c
 *	  CalDAV (RFC 4791): its table, verdicts, and what is done with one event.
 *
 * An event is a resource of its own under a name that follows from our tag,
 * so that a create can be repeated: If-None-Match lets only one succeed.
 */
#include "postgres.h"

#include <ctype.h>
#include <string.h>

#include "common/base64.h"
#include "mb/pg_wchar.h"

#include "base/th_error.h"
#include "calendar/answer.h"
#include "calendar/caldav.h"
#include "calendar/dav_href.h"
#include "json/json_write.h"

/* What our tags begin with, and our names end with. */
#define KEY_PREFIX "th-"
#define NAME_SUFFIX ".ics"

/* Longest code of a server's that is kept. */
#define CODE_MAX 60

/* ---- requests ---- */

/* The clear text is wiped. */
static char *
basic(const ThCalendarAccount *account)
{
	static const char prefix[] = "Basic ";
	char *clear = psprintf("%s:%s",
						   account->username == NULL ? "" : account->username,
						   account->password == NULL ? "" : account->password);
	const char *text = th_json_utf8(clear);
	int length = (int) strlen(text);
	int room = pg_b64_enc_len(length);
	char *header = palloc(sizeof(prefix) + room);
	int written;

	memcpy(header, prefix, sizeof(prefix));
	/* The argument is of another pointer type from server 18 on. */
	written = pg_b64_encode((const void *) text, length,
							header + sizeof(prefix) - 1, room);
	if (text != clear)
		explicit_bzero((char *) text, length);
	explicit_bzero(clear, strlen(clear));
	if (written < 0)
		elog(ERROR, "could not encode credentials");
	header[sizeof(prefix) - 1 + written] = '\0';
	return header;
}

void
th_caldav_request(const ThCalendarCall *call, ThHttpMethod method,
				  const char *url, ThHttpRequest *out)
{
	th_calendar_request(call, method, url, out);
	if (out->authorization == NULL)
		out->authorization = basic(call->account);
	out->accept = "*/*";
}

void
th_caldav_ask(const ThCalendarCall *call, ThHttpMethod method, const char *url,
			  const char *depth, const char *xml, ThHttpRequest *out)
{
	th_caldav_request(call, method, url, out);
	th_calendar_header(out, "Depth", depth);
	out->content_type = "application/xml; charset=utf-8";
	out->body = xml;
	out->body_length = strlen(xml);
}

void
th_caldav_append(StringInfo out, const char *text)
{
	for (; *text != '\0'; text++)
	{
		switch (*text)
		{
			case '&':
				appendStringInfoString(out, "&amp;");
				break;
			case '<':
				appendStringInfoString(out, "&lt;");
				break;
			case '>':
				appendStringInfoString(out, "&gt;");
				break;
			default:
				appendStringInfoCharMacro(out, *text);
				break;
		}
	}
}

/* ---- answers ---- */

/* Elsewhere than in UTF-8 each character beyond ASCII becomes "?". */
char *
th_caldav_text(const char *text)
{
	char *copy = pstrdup(text);
	char *out = copy;

	if (GetDatabaseEncoding() == PG_UTF8)
		return copy;
	for (const char *p = copy; *p != '\0'; p++)
	{
		/* not the bytes after the first of a character */
		if (((unsigned char) *p & 0xC0) != 0x80)
			*out++ = IS_HIGHBIT_SET(*p) ? '?' : *p;
	}
	*out = '\0';
	return copy;
}

char *
th_caldav_etag(const char *etag)
{
	if (etag == NULL || etag[0] == '\0' || pg_strncasecmp(etag, "W/", 2) == 0)
		return NULL;
	for (const char *p = etag; *p != '\0'; p++)
	{
		if (!isgraph((unsigned char) *p) || IS_HIGHBIT_SET(*p))
			return NULL;
	}
	return pstrdup(etag);
}

void
th_caldav_refuse(ThCalendarAnswer *out)
{
	bool may_have_acted = out->verdict == TH_CALENDAR_UNKNOWN;

	memset(out, 0, sizeof(*out));
	out->verdict = may_have_acted ? TH_CALENDAR_UNKNOWN : TH_CALENDAR_RETRY;
	out->message = pstrdup("the answer is not readable");
}

/* Below HTTP; what only reads, and what is the same done twice, is repeated. */
static void
judge_end(const ThCalendarCall *call, const ThHttpResult *result,
		  ThCalendarAnswer *out)
{
	const char *name = th_http_end_name(result->end);
	bool may_have_acted = result->maybe_sent ||
						  result->end == TH_HTTP_TOO_LARGE;

	if (result->end == TH_HTTP_REFUSED)
		out->verdict = TH_CALENDAR_PERMANENT;
	else if (call->op == TH_CALENDAR_CREATE && may_have_acted)
		out->verdict = TH_CALENDAR_UNKNOWN;
	else
		out->verdict = TH_CALENDAR_RETRY;
	if (result->detail != NULL && result->detail[0] != '\0')
		name = psprintf("%s: %s", name, result->detail);
	out->message = th_error_redact(name, TH_CALENDAR_MESSAGE_MAX);
}

/*
 * The folder above is missing, so the calendar is; or our UID is in the
 * calendar under another name, see read_put().
 */
static ThCalendarVerdict
judge_conflict(const ThCalendarCall *call, const char *condition)
{
	if (condition != NULL && strcmp(condition, "no-uid-conflict") == 0 &&
		call->op == TH_CALENDAR_CREATE)
		return TH_CALENDAR_RETRY;
	return TH_CALENDAR_PERMANENT;
}

static ThCalendarVerdict
judge_status(const ThCalendarCall *call, long status, const char *condition)
{
	bool is_create = call->op == TH_CALENDAR_CREATE;

	switch (status)
	{
		case 401:
			return call->account->token != NULL ? TH_CALENDAR_TOKEN_EXPIRED
												: TH_CALENDAR_CREDENTIALS;
		case 403:
		case 409:
			return judge_conflict(call, condition);
		case 404:
		case 410:
			return is_create ? TH_CALENDAR_PERMANENT : TH_CALENDAR_GONE;
		case 412:
			return is_create ? TH_CALENDAR_EXISTS : TH_CALENDAR_CHANGED;
		case 429:
			return TH_CALENDAR_RATE_LIMITED;
		case 423:
		case 425:
		case 503:
			return TH_CALENDAR_RETRY;
		case 501:
		case 505:
		case 507: /* no room is left there */
			return TH_CALENDAR_PERMANENT;
		default:
			if (status != 408 && status < 500)
				return TH_CALENDAR_PERMANENT;
			return is_create ? TH_CALENDAR_UNKNOWN : TH_CALENDAR_RETRY;
	}
}

bool
th_caldav_read(const ThCalendarCall *call, const ThHttpResult *result,
			   TimestampTz now, ThDavAnswer *document, ThCalendarAnswer *out)
{
	memset(out, 0, sizeof(*out));
	memset(document, 0, sizeof(*document));
	if (result->end != TH_HTTP_ANSWERED)
	{
		judge_end(call, result, out);
		return false;
	}
	if (!th_dav_read(result->body, result->body_length, document))
		memset(document, 0, sizeof(*document));
	if (result->status >= 200 && result->status < 300)
		return true;
	out->verdict = judge_status(call, result->status, document->condition);
	if (result->retry_after != NULL)
		out->retry_at = th_http_retry_at(result->retry_after, now);
	if (out->retry_at != 0 && result->status == 503)
		out->verdict = TH_CALENDAR_RATE_LIMITED;
	if (document->condition != NULL)
		out->code = th_error_redact(document->condition, CODE_MAX);
	out->message = psprintf("HTTP status %ld", result->status);
	return false;
}

bool
th_caldav_names_itself(const ThCalendarCall *call, const ThDavAnswer *document)
{
	for (int i = 0; i < document->n_items; i++)
	{
		const ThDavItem *item = &document->items[i];

		if (item->status < 300 &&
			(item->is_collection ||
			 th_dav_is_same(call->account->calendar_id, item->href)))
			return true;
	}
	return false;
}

/* ---- names ---- */

static char *
name_of(const ThEventWish *wish)
{
	StringInfoData name;

	initStringInfo(&name);
	th_http_append_encoded(&name, wish->key);
	appendStringInfo(&name, "-%d" NAME_SUFFIX, wish->generation);
	return name.data;
}

char *
th_caldav_key(const char *name)
{
	size_t length = strlen(name);
	const char *end = name + length - strlen(NAME_SUFFIX);
	const char *digits = end;

	if (length <= strlen(KEY_PREFIX NAME_SUFFIX) ||
		strncmp(name, KEY_PREFIX, strlen(KEY_PREFIX)) != 0 ||
		strcmp(end, NAME_SUFFIX) != 0)
		return NULL;
	while (digits > name && isdigit((unsigned char) digits[-1]))
		digits--;
	if (digits == end || digits <= name + strlen(KEY_PREFIX) + 1 ||
		digits[-1] != '-')
		return NULL;
	return pnstrdup(name, digits - 1 - name);
}

static bool
has_scopes(const char *granted pg_attribute_unused())
{
	return true;
}

/* ---- one event ---- */

static void
build_event(const ThCalendarCall *call, ThHttpMethod method, ThHttpRequest *out)
{
	th_caldav_request(call, method,
					  psprintf("%s%s",
							   th_dav_collection(call->account->calendar_id),
							   call->external_id),
					  out);
}

static void
build_put(const ThCalendarCall *call, ThHttpRequest *out)
{
	build_event(call, TH_HTTP_PUT, out);
	if (call->op == TH_CALENDAR_CREATE)
		th_calendar_header(out, "If-None-Match", "*");
	else if (call->etag != NULL)
		th_calendar_header(out, "If-Match", call->etag);
	out->body = th_caldav_write(call->wish);
	out->body_length = strlen(out->body);
	out->content_type = "text/calendar; charset=utf-8";
}

/*
 * Our UID is there under another name. If that is one of ours, it belongs to
 * a connection that has the same calendar, and is about to go: the visit has
 * another provider now. Else somebody gave it another name: it is adopted.
 */
static void
read_conflict(const ThCalendarCall *call, const ThDavAnswer *document,
			  ThCaldavEvents *events, ThCalendarAnswer *out)
{
	const char *collection = call->account->calendar_id;
	const char *name = document->condition_href;

	if (out->verdict != TH_CALENDAR_RETRY || document->condition == NULL)
		return;
	out->message = pstrdup("another event has the same UID");
	if (name != NULL)
		name = th_dav_member(collection, th_dav_folder(collection), name);
	if (name == NULL || th_caldav_key(name) != NULL)
		return;
	out->verdict = TH_CALENDAR_EXISTS;
	th_caldav_add(events, name);
}

/*
 * Without an etag in its answer the server may have stored something else
 * (RFC 4791, 5.3.4); the next pull tells it then.
 */
static void
read_put(const ThCalendarCall *call, const ThHttpResult *result,
		 TimestampTz now, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };
	ThDavAnswer document;
	ThEventSeen *event;

	if (th_caldav_read(call, result, now, &document, out))
	{
		event = th_caldav_add(&events, call->external_id);
		event->etag = th_caldav_etag(result->etag);
		event->uid = call->wish->uid;
		event->key = call->wish->key;
		event->starts_at = call->wish->starts_at;
		event->ends_at = call->wish->ends_at;
	}
	else
		read_conflict(call, &document, &events, out);
	out->events = events.list;
	out->n_events = events.n;
}

static void
build_get(const ThCalendarCall *call, ThHttpRequest *out)
{
	build_event(call, TH_HTTP_GET, out);
	out->accept = "text/calendar";
}

/*
 * What has a name of ours and not our UID somebody else has made: a server
 * lets nobody change a UID by a PUT.
 */
static void
mark_copies(const ThCalendarCall *call, ThCaldavEvents *events)
{
	for (int i = 0; i < events->n && call->wish != NULL; i++)
	{
		ThEventSeen *event = &events->list[i];

		event->is_copy = event->uid != NULL &&
						 strcmp(event->uid, call->wish->uid) != 0;
	}
}

static void
read_get(const ThCalendarCall *call, const ThHttpResult *result,
		 TimestampTz now, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };
	ThDavAnswer document;

	if (!th_caldav_read(call, result, now, &document, out))
		return;
	if (!pg_verify_mbstr(PG_UTF8, result->body, (int) result->body_length,
						 true))
	{
		th_caldav_refuse(out);
		return;
	}
	th_caldav_expand(call, call->external_id, result->etag, result->body,
					 &events);
	mark_copies(call, &events);
	out->events = events.list;
	out->n_events = events.n;
}

static void
build_delete(const ThCalendarCall *call, ThHttpRequest *out)
{
	build_event(call, TH_HTTP_DELETE, out);
	if (call->etag != NULL)
		th_calendar_header(out, "If-Match", call->etag);
}

static void
read_delete(const ThCalendarCall *call, const ThHttpResult *result,
			TimestampTz now, ThCalendarAnswer *out)
{
	ThDavAnswer document;

	(void) th_caldav_read(call, result, now, &document, out);
}

const ThCalendar th_calendar_caldav = {
	.kind = "caldav",
	.has_scopes = has_scopes,
	.name = name_of,
	.codecs = {
		[TH_CALENDAR_CREATE] = { build_put, read_put },
		[TH_CALENDAR_READ] = { build_get, read_get },
		[TH_CALENDAR_UPDATE] = { build_put, read_put },
		[TH_CALENDAR_DELETE] = { build_delete, read_delete },
		[TH_CALENDAR_FIND] = { th_caldav_build_find, th_caldav_read_find },
		[TH_CALENDAR_LIST] = { th_caldav_build_list, th_caldav_read_list },
		[TH_CALENDAR_DISCOVER] = { th_caldav_build_discover,
								   th_caldav_read_discover },
	},
};
