/*
 * caldav_adapter.c
 *	  The CalDAV adapter as SQL functions, for a test to drive alone.
 *
 * Built with the adapter's own sources; the test makes the HTTP calls.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "calendar/calendar.h"
#include "json/json_read.h"

PG_MODULE_MAGIC;

static TimestampTz
instant(Jsonb *document, const char *path)
{
	char *text = th_json_text(document, path, NULL);

	if (text == NULL)
		return 0;
	return DatumGetTimestampTz(
		DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static void
read_call(Jsonb *document, ThCalendarCall *call)
{
	ThCalendarAccount *account = palloc0(sizeof(ThCalendarAccount));
	char *op = th_json_text(document, "op", "");

	memset(call, 0, sizeof(*call));
	call->account = account;
	for (int i = 0; i < TH_CALENDAR_OP_COUNT; i++)
	{
		if (strcmp(th_calendar_op_name((ThCalendarOp) i), op) == 0)
			call->op = (ThCalendarOp) i;
	}
	account->api_url = th_json_text(document, "api_url", NULL);
	account->calendar_id = th_json_text(document, "calendar_id", NULL);
	account->username = th_json_text(document, "username", NULL);
	account->password = th_json_text(document, "password", NULL);
	account->timezone = th_json_text(document, "timezone", NULL);
	account->page_size = (int) th_json_int(document, "page_size", 0);
	call->external_id = th_json_text(document, "external_id", NULL);
	call->etag = th_json_text(document, "etag", NULL);
	call->key = th_json_text(document, "key", NULL);
	call->next = th_json_text(document, "next", NULL);
	call->cursor = th_json_text(document, "cursor", NULL);
	call->window_start = instant(document, "window_start");
	call->window_end = instant(document, "window_end");
	if (th_json_has(document, "wish"))
	{
		ThEventWish *wish = palloc0(sizeof(ThEventWish));

		wish->uid = th_json_text(document, "wish/uid", NULL);
		wish->key = th_json_text(document, "wish/key", NULL);
		wish->generation = (int) th_json_int(document, "wish/generation", 0);
		wish->starts_at = instant(document, "wish/starts_at");
		wish->ends_at = instant(document, "wish/ends_at");
		wish->updated_at = instant(document, "wish/updated_at");
		wish->timezone = th_json_text(document, "wish/timezone", NULL);
		wish->summary = th_json_text(document, "wish/summary", NULL);
		wish->description = th_json_text(document, "wish/description", NULL);
		wish->url = th_json_text(document, "wish/url", NULL);
		wish->is_private = th_json_bool(document, "wish/is_private", true);
		call->wish = wish;
		if (call->external_id == NULL)
			call->external_id = th_calendar_find("caldav")->name(wish);
	}
}

static void
put_text(StringInfo out, const char *name, const char *text)
{
	if (out->data[out->len - 1] != '{')
		appendStringInfoString(out, ", ");
	escape_json(out, name);
	appendStringInfoString(out, ": ");
	if (text == NULL)
		appendStringInfoString(out, "null");
	else
		escape_json(out, text);
}

static void
put_instant(StringInfo out, const char *name, TimestampTz at)
{
	put_text(out, name,
			 at == 0 || at == DT_NOBEGIN ? NULL : timestamptz_to_str(at));
}

TH_SQL_FUNCTION(caldav_build);
Datum
caldav_build(PG_FUNCTION_ARGS)
{
	ThCalendarCall call;
	ThHttpRequest request;
	StringInfoData out;

	read_call(PG_GETARG_JSONB_P(0), &call);
	th_calendar_find("caldav")->codecs[call.op].build(&call, &request);
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	put_text(&out, "method", th_http_method_name(request.method));
	put_text(&out, "url", request.url);
	put_text(&out, "authorization", request.authorization);
	put_text(&out, "accept", request.accept);
	put_text(&out, "content_type", request.content_type);
	put_text(&out, "body", request.body);
	put_text(&out, "external_id", call.external_id);
	appendStringInfoString(&out, ", \"headers\": {");
	for (int i = 0; i < request.n_headers; i++)
		put_text(&out, request.headers[i].name, request.headers[i].value);
	appendStringInfoString(&out, "}}");
	PG_RETURN_TEXT_P(cstring_to_text(out.data));
}

static const char *const shows[] = { "busy", "free", "tentative", "away",
									 "elsewhere" };
static const char *const replies[] = { "none", "accepted", "tentative",
									   "declined", "open" };

static void
put_event(StringInfo out, const ThEventSeen *event)
{
	appendStringInfoChar(out, '{');
	put_text(out, "external_id", event->external_id);
	put_text(out, "etag", event->etag);
	put_text(out, "uid", event->uid);
	put_text(out, "key", event->key);
	put_text(out, "deleted", event->is_deleted ? "t" : NULL);
	put_text(out, "cancelled", event->is_cancelled ? "t" : NULL);
	put_text(out, "all_day", event->is_all_day ? "t" : NULL);
	put_text(out, "show", shows[event->show]);
	put_text(out, "reply", replies[event->reply]);
	put_instant(out, "starts_at", event->starts_at);
	put_instant(out, "ends_at", event->ends_at);
	put_instant(out, "recurrence_id", event->recurrence_id);
	put_text(out, "summary", event->summary);
	put_text(out, "description", event->description);
	put_text(out, "location", event->location);
	put_text(out, "problem", event->problem);
	appendStringInfoChar(out, '}');
}

TH_SQL_FUNCTION(caldav_read);
Datum
caldav_read(PG_FUNCTION_ARGS)
{
	Jsonb *document = PG_GETARG_JSONB_P(1);
	bytea *body = PG_GETARG_BYTEA_PP(2);
	ThHttpResult result = { .ratelimit_remaining = -1 };
	ThCalendarAnswer answer;
	ThCalendarCall call;
	StringInfoData out;

	read_call(PG_GETARG_JSONB_P(0), &call);
	result.end = (ThHttpEnd) th_json_int(document, "end", TH_HTTP_ANSWERED);
	result.status = th_json_int(document, "status", 0);
	result.etag = th_json_text(document, "etag", NULL);
	result.location = th_json_text(document, "location", NULL);
	result.retry_after = th_json_text(document, "retry_after", NULL);
	result.maybe_sent = th_json_bool(document, "maybe_sent", false);
	result.body_length = VARSIZE_ANY_EXHDR(body);
	result.body = pnstrdup(VARDATA_ANY(body), result.body_length);
	th_calendar_find("caldav")->codecs[call.op].read(&call, &result,
													 GetCurrentTimestamp(),
													 &answer);
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	put_text(&out, "verdict", th_calendar_verdict_name(answer.verdict));
	put_text(&out, "code", answer.code);
	put_text(&out, "message", answer.message);
	put_text(&out, "next", answer.next);
	put_text(&out, "cursor", answer.cursor);
	put_text(&out, "complete", answer.is_complete ? "t" : NULL);
	put_text(&out, "calendar_id", answer.calendar_id);
	put_text(&out, "account", answer.account);
	put_text(&out, "timezone", answer.timezone);
	put_instant(&out, "retry_at", answer.retry_at);
	appendStringInfoString(&out, ", \"events\": [");
	for (int i = 0; i < answer.n_events; i++)
	{
		if (i > 0)
			appendStringInfoString(&out, ", ");
		put_event(&out, &answer.events[i]);
	}
	appendStringInfoString(&out, "]}");
	PG_RETURN_TEXT_P(cstring_to_text(out.data));
}
