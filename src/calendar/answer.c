/*
 * answer.c
 *	  What the vendors' answers have in common.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/th_error.h"
#include "calendar/answer.h"
#include "json/json_mend.h"
#include "json/json_read.h"

/* Longest id of a vendor's that is put into an address. */
#define MAX_ID 2048

void
th_calendar_request(const ThCalendarCall *call, ThHttpMethod method,
					const char *url, ThHttpRequest *out)
{
	memset(out, 0, sizeof(*out));
	out->method = method;
	out->url = url;
	out->timeout_ms = call->account->timeout_ms;
	if (call->account->token != NULL)
		out->authorization = psprintf("Bearer %s", call->account->token);
}

void
th_calendar_json_body(ThHttpRequest *out, StringInfo body)
{
	out->content_type = "application/json";
	out->body = body->data;
	out->body_length = body->len;
}

void
th_calendar_header(ThHttpRequest *out, const char *name, const char *value)
{
	ThHttpHeader *headers = palloc((out->n_headers + 1) * sizeof(ThHttpHeader));

	if (out->n_headers > 0)
		memcpy(headers, out->headers, out->n_headers * sizeof(ThHttpHeader));
	headers[out->n_headers].name = name;
	headers[out->n_headers].value = value;
	out->headers = headers;
	out->n_headers++;
}

/* Below HTTP. */
static void
read_end(const ThHttpResult *result, bool is_safe, ThCalendarAnswer *out)
{
	const char *name = th_http_end_name(result->end);

	out->verdict = result->end == TH_HTTP_REFUSED ? TH_CALENDAR_PERMANENT
				   : !is_safe && (result->maybe_sent ||
								  result->end == TH_HTTP_TOO_LARGE)
					   ? TH_CALENDAR_UNKNOWN
					   : TH_CALENDAR_RETRY;
	out->message =
		th_error_redact(result->detail != NULL && result->detail[0] != '\0'
							? psprintf("%s: %s", name, result->detail)
							: name,
						TH_CALENDAR_MESSAGE_MAX);
}

static ThCalendarVerdict
verdict_of(long status, bool is_safe)
{
	switch (status)
	{
		case 401:
			return TH_CALENDAR_TOKEN_EXPIRED;
		case 404:
		case 410:
			return TH_CALENDAR_GONE;
		case 409:
			return TH_CALENDAR_EXISTS;
		case 412:
			return TH_CALENDAR_CHANGED;
		case 423:
		case 425:
		case 503:
			return TH_CALENDAR_RETRY;
		case 429:
			return TH_CALENDAR_RATE_LIMITED;
		case 408:
			return is_safe ? TH_CALENDAR_RETRY : TH_CALENDAR_UNKNOWN;
		default:
			if (status >= 500)
				return is_safe ? TH_CALENDAR_RETRY : TH_CALENDAR_UNKNOWN;
			return TH_CALENDAR_PERMANENT;
	}
}

static void
read_error(const ThHttpResult *result, bool is_safe, TimestampTz now,
		   Jsonb *document, ThCalendarAnswer *out)
{
	char *message = NULL;

	out->verdict = verdict_of(result->status, is_safe);
	if (result->retry_after != NULL)
		out->retry_at = th_http_retry_at(result->retry_after, now);
	if (document != NULL)
	{
		out->code = th_json_text(document, "error/errors/0/reason", NULL);
		if (out->code == NULL)
			out->code = th_json_text(document, "error/code", NULL);
		message = th_json_text(document, "error/message", NULL);
	}
	if (out->code != NULL)
		out->code = th_error_redact(out->code, TH_CALENDAR_MESSAGE_MAX);
	out->message = th_error_redact(message != NULL && message[0] != '\0'
									   ? message
									   : psprintf("HTTP status %ld",
												  result->status),
								   TH_CALENDAR_MESSAGE_MAX);
}

/*
 * The body, NULL if it is none. A character that the server's text cannot
 * hold may be in one event of many: it is replaced.
 */
static Jsonb *
parse(const char *body, size_t length)
{
	Jsonb *document;
	size_t mended_length;
	char *mended;

	if (length == 0 || th_json_parse(body, length, &document))
		return length == 0 ? NULL : document;
	if (memchr(body, '\0', length) != NULL ||
		!pg_verify_mbstr(PG_UTF8, body, (int) length, true))
		return NULL;
	mended = th_json_mend(body, length, &mended_length);
	if (!th_json_parse(mended, mended_length, &document))
		document = NULL;
	explicit_bzero(mended, mended_length);
	return document;
}

bool
th_calendar_read_json(const ThHttpResult *result, bool is_safe, TimestampTz now,
					  ThCalendarAnswer *out, Jsonb **document)
{
	memset(out, 0, sizeof(*out));
	*document = NULL;
	if (result->end != TH_HTTP_ANSWERED)
	{
		read_end(result, is_safe, out);
		return false;
	}
	*document = parse(result->body, result->body_length);
	if (result->status >= 200 && result->status < 300)
	{
		out->verdict = TH_CALENDAR_OK;
		return true;
	}
	read_error(result, is_safe, now, *document, out);
	return false;
}

void
th_calendar_refuse_unreadable(const ThCalendarCall *call, ThCalendarAnswer *out)
{
	out->n_events = 0;
	out->verdict = call->op == TH_CALENDAR_CREATE ? TH_CALENDAR_UNKNOWN
												  : TH_CALENDAR_RETRY;
	out->message = pstrdup("the answer is not readable");
}

void
th_calendar_check_seen(ThEventSeen *out)
{
	if (out->external_id == NULL)
		out->problem = "it has no id";
	else if (!out->is_deleted && (out->starts_at == 0 || out->ends_at == 0))
		out->problem = "its start or end is not readable";
	else if (!out->is_deleted && out->ends_at < out->starts_at)
		out->problem = "it ends before it starts";
}

/* True of text without control characters. */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

char *
th_calendar_read_id(Jsonb *document, const char *path)
{
	char *id = th_json_text(document, path, NULL);

	if (id == NULL || id[0] == '\0' || strcmp(id, ".") == 0 ||
		strcmp(id, "..") == 0 || strlen(id) > MAX_ID || !is_plain(id))
		return NULL;
	return id;
}

char *
th_calendar_read_etag(Jsonb *document, const char *path)
{
	char *etag = th_json_text(document, path, NULL);

	return etag != NULL && is_plain(etag) ? etag : NULL;
}

const char *
th_calendar_zone_label(const char *zone)
{
	if (zone != NULL && strchr(zone, '/') != NULL &&
		strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789/_+-") == strlen(zone))
		return zone;
	return "UTC";
}

const char *
th_calendar_description(const ThEventWish *wish)
{
	if (wish->url == NULL)
		return wish->description;
	if (wish->description == NULL)
		return psprintf("Join: %s", wish->url);
	return psprintf("%s\n\nJoin: %s", wish->description, wish->url);
}
