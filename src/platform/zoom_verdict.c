/*
 * zoom_verdict.c
 *	  What an answer of Zoom means: transport, HTTP status, then Zoom's code.
 *
 * The same code means different things under different statuses, so the
 * status always comes first.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_error.h"
#include "platform/zoom.h"

#define MESSAGE_MAX 200
#define CODE_MAX 40
#define SCOPE_MAX 200
#define FIELDS_MAX 3

/* Longest wait that a header other than Retry-After may ask for. */
#define RESET_MAX_SECONDS 3600

/* A refusal without a label that asks for more than this is a daily one. */
#define DAILY_WAIT USECS_PER_MINUTE

static bool
is_user_path(ThPlatformOp op)
{
	return op == TH_OP_CREATE || op == TH_OP_FIND || op == TH_OP_HOST;
}

/* True if "needle", in lower case, is in "text" in any case. */
static bool
mentions(const char *text, const char *needle)
{
	size_t length = strlen(needle);

	for (; text != NULL && *text != '\0'; text++)
	{
		if (pg_strncasecmp(text, needle, length) == 0)
			return true;
	}
	return false;
}

/* Appends the names of refused fields, " (settings.audio, topic)". */
static void
append_fields(StringInfo message, Jsonb *document)
{
	int count = Min(th_json_length(document, "errors"), FIELDS_MAX);
	int shown = 0;

	for (int i = 0; i < count; i++)
	{
		char path[32];
		char *field;

		snprintf(path, sizeof(path), "errors/%d/field", i);
		field = th_json_text(document, path, NULL);
		if (field == NULL || field[0] == '\0' ||
			strspn(field, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						  "abcdefghijklmnopqrstuvwxyz"
						  "0123456789._[]") != strlen(field))
			continue;
		appendStringInfo(message, "%s%s", shown++ == 0 ? " (" : ", ", field);
	}
	if (shown > 0)
		appendStringInfoChar(message, ')');
}

/* First of several members that is text (or a number), or NULL. */
static char *
first_text(Jsonb *document, const char *const *names)
{
	if (document == NULL)
		return NULL;
	for (; *names != NULL; names++)
	{
		char *text = th_json_text(document, *names, NULL);

		if (text != NULL && text[0] != '\0')
			return text;
	}
	return NULL;
}

/* The token endpoint has words of its own for the same two things. */
static char *
raw_message(Jsonb *document)
{
	static const char *const names[] = { "message", "reason", "errorMessage",
										 "error_description", NULL };

	return first_text(document, names);
}

static void
set_code_and_message(const ThHttpResult *result, Jsonb *document,
					 ThMeetingAnswer *out)
{
	static const char *const names[] = { "code", "errorCode", "error", NULL };
	char *code = first_text(document, names);
	char *raw = raw_message(document);
	StringInfoData message;

	if (code != NULL)
		out->code = th_error_redact(code, CODE_MAX);
	initStringInfo(&message);
	if (raw != NULL)
		appendStringInfoString(&message, raw);
	else
		appendStringInfo(&message, "HTTP status %ld", result->status);
	if (document != NULL)
		append_fields(&message, document);
	out->message = th_error_redact(message.data, MESSAGE_MAX);
}

/* What stands in "scopes:[...]" of a message, as "a, b"; NULL if nothing. */
static char *
parse_scopes(const char *message)
{
	const char *p = message != NULL ? strchr(message, '[') : NULL;
	StringInfoData scopes;
	bool need_comma = false;

	if (p == NULL)
		return NULL;
	initStringInfo(&scopes);
	for (p++; *p != '\0' && *p != ']' && scopes.len < SCOPE_MAX; p++)
	{
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			  (*p >= '0' && *p <= '9') || *p == ':' || *p == '_' || *p == '-' ||
			  *p == '.'))
		{
			need_comma = scopes.len > 0;
			continue;
		}
		if (need_comma)
			appendStringInfoString(&scopes, ", ");
		need_comma = false;
		appendStringInfoChar(&scopes, *p);
	}
	return scopes.len > 0 ? scopes.data : NULL;
}

static ThVerdict
judge_scope(ThPlatformOp op, const char *message, ThMeetingAnswer *out)
{
	const char *needed = th_zoom_scope_of(op);

	out->missing_scope = parse_scopes(message);
	if (out->missing_scope == NULL && needed != NULL)
		out->missing_scope = pstrdup(needed);
	return TH_VERDICT_SCOPE_MISSING;
}

/* X-RateLimit-Reset: Unix time, in seconds or milliseconds; 0 if unusable. */
static TimestampTz
reset_at(const char *value, TimestampTz now)
{
	char *end;
	int64 number;
	TimestampTz instant;

	if (value == NULL || value[0] < '0' || value[0] > '9')
		return 0;
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno != 0 || *end != '\0')
		return 0;
	if (number > INT64CONST(100000000000))
		number /= 1000;
	number -= (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	if (number > now / USECS_PER_SEC + RESET_MAX_SECONDS)
		return 0;
	instant = number * USECS_PER_SEC;
	return instant > now ? instant : 0;
}

/*
 * A daily refusal is told by its header, else by its message, else by how
 * long it asks to wait. One that names no instant, or one that has passed,
 * ends at the next midnight UTC, or after a minute.
 */
static ThVerdict
judge_rate(ThPlatformOp op, const ThHttpResult *result, const char *message,
		   TimestampTz now, ThMeetingAnswer *out)
{
	TimestampTz retry_at = 0;
	bool is_daily;

	if (result->retry_after != NULL)
		retry_at = th_http_retry_at(result->retry_after, now);
	if (result->ratelimit_type != NULL)
		is_daily = mentions(result->ratelimit_type, "daily");
	else
		is_daily = mentions(message, "daily") || retry_at > now + DAILY_WAIT;
	if (!is_daily)
	{
		out->retry_at = retry_at;
		if (retry_at == 0)
			out->retry_at = reset_at(result->ratelimit_reset, now);
		return TH_VERDICT_RATE_LIMITED;
	}
	if (retry_at == 0)
		retry_at = (now / USECS_PER_DAY + 1) * USECS_PER_DAY;
	else if (retry_at <= now)
		retry_at = now + USECS_PER_MINUTE;
	out->retry_at = retry_at;
	out->is_host_quota = (op == TH_OP_CREATE || op == TH_OP_UPDATE) &&
						 (mentions(message, "this user") ||
						  mentions(message, "create/update"));
	return TH_VERDICT_QUOTA;
}

/* The token endpoint: what is not a passing failure is configuration. */
static ThVerdict
judge_token(long status)
{
	if (status == 400 || status == 401 || status == 403)
		return TH_VERDICT_CREDENTIALS;
	return TH_VERDICT_PERMANENT;
}

static ThVerdict
judge_400(ThPlatformOp op, int64 code)
{
	switch (code)
	{
		case 124:
			return TH_VERDICT_TOKEN_EXPIRED;
		case 4700:
			return TH_VERDICT_CREDENTIALS;
		case 1001:
		case 1010:
		case 3161:
			return is_user_path(op) ? TH_VERDICT_NO_HOST : TH_VERDICT_PERMANENT;
		default:
			return TH_VERDICT_PERMANENT;
	}
}

/*
 * A 404 counts only if it can be Zoom's own; taking any other for "gone"
 * would make meetings twice.
 */
static ThVerdict
judge_404(ThPlatformOp op, const ThHttpResult *result, int64 code)
{
	if (is_user_path(op))
		return code == 1001 ? TH_VERDICT_NO_HOST : TH_VERDICT_PERMANENT;
	if (code != 0 || result->body_length == 0)
		return TH_VERDICT_GONE;
	return TH_VERDICT_PERMANENT;
}

static ThVerdict
judge_status(ThPlatformOp op, const ThHttpResult *result, int64 code,
			 const char *message, ThMeetingAnswer *out)
{
	long status = result->status;

	if (op == TH_OP_TOKEN)
		return judge_token(status);
	if ((status == 400 || status == 401 || status == 403) &&
		(code == 4711 || mentions(message, "does not contain scope")))
		return judge_scope(op, message, out);
	switch (status)
	{
		case 400:
			return judge_400(op, code);
		case 401:
			return TH_VERDICT_TOKEN_EXPIRED;
		case 403:
			return is_user_path(op) ? TH_VERDICT_NO_HOST : TH_VERDICT_PERMANENT;
		case 404:
			return judge_404(op, result, code);
		default:
			return TH_VERDICT_PERMANENT;
	}
}

/*
 * A refusal with a body that is no JSON was cut on its way or is somebody's
 * web page. It is not Zoom's word, so that nothing is given up for it.
 */
static bool
is_cut_refusal(ThPlatformOp op, const ThHttpResult *result,
			   const Jsonb *document)
{
	return op != TH_OP_TOKEN && result->status != 401 && document == NULL &&
		   result->body_length > 0;
}

/* A create that may have happened must be looked for before the next try. */
static ThVerdict
failed_verdict(ThPlatformOp op, bool maybe_acted)
{
	return op == TH_OP_CREATE && maybe_acted ? TH_VERDICT_UNKNOWN
											 : TH_VERDICT_RETRY;
}

static void
judge_transport(ThPlatformOp op, const ThHttpResult *result,
				ThMeetingAnswer *out)
{
	const char *name = th_http_end_name(result->end);
	char *text;

	switch (result->end)
	{
		case TH_HTTP_REFUSED:
			out->verdict = TH_VERDICT_PERMANENT;
			break;
		case TH_HTTP_TOO_LARGE:
			name = "too_large";
			out->verdict = failed_verdict(op, true);
			break;
		default:
			out->verdict = failed_verdict(op, result->maybe_sent);
			break;
	}
	if (result->detail != NULL && result->detail[0] != '\0')
		text = psprintf("%s: %s", name, result->detail);
	else
		text = pstrdup(name);
	out->message = th_error_redact(text, MESSAGE_MAX);
}

void
th_zoom_judge(ThPlatformOp op, const ThHttpResult *result, Jsonb *document,
			  TimestampTz now, ThMeetingAnswer *out)
{
	long status = result->status;
	char *message;
	int64 code = 0;

	if (result->end != TH_HTTP_ANSWERED)
	{
		judge_transport(op, result, out);
		return;
	}
	if (status >= 200 && status < 300)
	{
		out->verdict = TH_VERDICT_OK;
		return;
	}
	set_code_and_message(result, document, out);
	message = raw_message(document);
	if (document != NULL)
		code = th_json_int(document, "code", 0);
	if (status == 429)
		out->verdict = judge_rate(op, result, message, now, out);
	else if (status < 200 || status == 408 || status >= 500 ||
			 is_cut_refusal(op, result, document))
	{
		out->verdict = failed_verdict(op, true);
		if (result->retry_after != NULL)
			out->retry_at = th_http_retry_at(result->retry_after, now);
	}
	else
		out->verdict = judge_status(op, result, code, message, out);
}

void
th_zoom_judge_unreadable(ThPlatformOp op, ThMeetingAnswer *out)
{
	memset(out, 0, sizeof(*out));
	out->verdict = failed_verdict(op, true);
	out->message = pstrdup("the answer is not readable");
}
