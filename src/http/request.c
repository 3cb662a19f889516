/*
 * request.c
 *	  Plain values of an HTTP exchange: names, targets, times, encoding.
 */
#include "postgres.h"

#include <ctype.h>
#include <string.h>

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include <curl/curl.h>

#include "base/compat.h"
#include "http/exchange.h"
#include "http/request.h"

/* A remote that asks for more is asked again after this long. */
#define MAX_RETRY_US USECS_PER_DAY

const char *
th_http_method_name(ThHttpMethod method)
{
	switch (method)
	{
		case TH_HTTP_GET:
			return "GET";
		case TH_HTTP_POST:
			return "POST";
		case TH_HTTP_PUT:
			return "PUT";
		case TH_HTTP_PATCH:
			return "PATCH";
		case TH_HTTP_DELETE:
			return "DELETE";
		case TH_HTTP_PROPFIND:
			return "PROPFIND";
		case TH_HTTP_REPORT:
			return "REPORT";
	}
	return "unknown";
}

const char *
th_http_end_name(ThHttpEnd end)
{
	switch (end)
	{
		case TH_HTTP_ANSWERED:
			return "answered";
		case TH_HTTP_REFUSED:
			return "refused";
		case TH_HTTP_NO_HOST:
			return "host not found";
		case TH_HTTP_NO_CONNECTION:
			return "no connection";
		case TH_HTTP_TLS_FAILED:
			return "TLS failed";
		case TH_HTTP_TIMEOUT:
			return "timeout";
		case TH_HTTP_CUT:
			return "cut";
		case TH_HTTP_TOO_LARGE:
			return "too large";
		case TH_HTTP_CANCELLED:
			return "cancelled";
	}
	return "unknown";
}

/* Copies one part of a parsed URL in lower case; not if absent or long. */
static CURLUcode
copy_part(CURLU *url, CURLUPart part, char *out, size_t size)
{
	char *text = NULL;
	CURLUcode code = curl_url_get(url, part, &text, CURLU_DEFAULT_PORT);
	size_t length;
	size_t i;

	if (code != CURLUE_OK)
		return code;
	length = strlen(text);
	if (length == 0 || length >= size)
		code = CURLUE_MALFORMED_INPUT;
	else
	{
		for (i = 0; i <= length; i++)
			out[i] = (char) pg_ascii_tolower((unsigned char) text[i]);
	}
	curl_free(text);
	return code;
}

/* CURLUE_OK if the URL has no such part, which is not allowed. */
static CURLUcode
refuse_part(CURLU *url, CURLUPart part, CURLUcode absent)
{
	char *text = NULL;
	CURLUcode code = curl_url_get(url, part, &text, 0);

	if (code == absent)
		return CURLUE_OK;
	curl_free(text);
	return code == CURLUE_OK ? CURLUE_MALFORMED_INPUT : code;
}

/*
 * libcurl's own parser decides what the host is, so that the policy and the
 * connection cannot disagree about a strange URL. It takes a zone for no part
 * of the host: whatever interface that names is inside.
 */
static CURLUcode
read_target(CURLU *url, ThHttpTarget *target)
{
	char scheme[8];
	char port[8];
	size_t length;
	CURLUcode code = refuse_part(url, CURLUPART_USER, CURLUE_NO_USER);

	if (code == CURLUE_OK)
		code = refuse_part(url, CURLUPART_ZONEID, CURLUE_NO_ZONEID);
	if (code != CURLUE_OK)
		return code;
	code = copy_part(url, CURLUPART_SCHEME, scheme, sizeof(scheme));
	if (code == CURLUE_OK)
		code = copy_part(url, CURLUPART_HOST, target->host,
						 sizeof(target->host));
	if (code == CURLUE_OK)
		code = copy_part(url, CURLUPART_PORT, port, sizeof(port));
	if (code != CURLUE_OK)
		return code;
	target->is_https = strcmp(scheme, "https") == 0;
	if (!target->is_https && strcmp(scheme, "http") != 0)
		return CURLUE_UNSUPPORTED_SCHEME;
	target->port = (int) strtol(port, NULL, 10);
	if (target->port < 1 || target->port > 65535)
		return CURLUE_BAD_PORT_NUMBER;
	snprintf(target->origin, sizeof(target->origin), "%s://%s:%d", scheme,
			 target->host, target->port);

	/* Policy knows hosts without brackets and without the root's dot. */
	length = strlen(target->host);
	if (target->host[0] == '[' && target->host[length - 1] == ']')
	{
		memmove(target->host, target->host + 1, length - 2);
		target->host[length - 2] = '\0';
	}
	else if (length > 1 && target->host[length - 1] == '.')
		target->host[length - 1] = '\0';
	return CURLUE_OK;
}

bool
th_http_target_read(const char *url, ThHttpTarget *target,
					bool *is_memory_short)
{
	CURLUcode code = CURLUE_OUT_OF_MEMORY;
	CURLU *parsed;

	*is_memory_short = false;
	if (strlen(url) > TH_HTTP_MAX_URL)
		return false;
	parsed = curl_url();
	if (parsed != NULL)
		code = curl_url_set(parsed, CURLUPART_URL, url, 0);
	if (code == CURLUE_OK)
		code = read_target(parsed, target);
	curl_url_cleanup(parsed);
	*is_memory_short = code == CURLUE_OUT_OF_MEMORY;
	return code == CURLUE_OK;
}

char *
th_http_origin(const char *url)
{
	ThHttpTarget target;
	bool is_memory_short;
	bool is_good = th_http_target_read(url, &target, &is_memory_short);

	if (is_memory_short)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return is_good ? pstrdup(target.origin) : NULL;
}

/* Reads "count" digits; the position after them, NULL if there are fewer. */
static const char *
read_digits(const char *text, int count, int *value)
{
	if (text == NULL)
		return NULL;
	*value = 0;
	for (; count > 0; count--, text++)
	{
		if (!isdigit((unsigned char) *text))
			return NULL;
		*value = *value * 10 + (*text - '0');
	}
	return text;
}

/* Passes over one expected character. */
static const char *
skip(const char *text, char expected)
{
	return text != NULL && *text == expected ? text + 1 : NULL;
}

/* Seconds east of UTC at the end of an ISO 8601 instant; none means UTC. */
static bool
read_zone(const char *text, int *offset)
{
	int sign = *text == '-' ? -1 : 1;
	int hours;
	int minutes = 0;

	*offset = 0;
	if (*text == '\0')
		return true;
	if (*text == 'Z' || *text == 'z')
		return text[1] == '\0';
	if (*text != '+' && *text != '-')
		return false;
	text = read_digits(text + 1, 2, &hours);
	if (text != NULL && *text == ':')
		text++;
	if (text != NULL && *text != '\0')
		text = read_digits(text, 2, &minutes);
	*offset = sign * (hours * 3600 + minutes * 60);
	return text != NULL && *text == '\0' && hours < 24 && minutes < 60;
}

/*
 * The server's own input function would throw, so this reads the one shape
 * that vendors send: date, T or a space, time, maybe a fraction, a zone.
 */
static bool
read_iso_instant(const char *text, TimestampTz *instant)
{
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second = 0;
	int offset;
	int64 day_number;

	text = skip(read_digits(text, 4, &year), '-');
	text = skip(read_digits(text, 2, &month), '-');
	text = read_digits(text, 2, &day);
	if (text == NULL || (*text != 'T' && *text != 't' && *text != ' '))
		return false;
	text = skip(read_digits(text + 1, 2, &hour), ':');
	text = read_digits(text, 2, &minute);
	if (text != NULL && *text == ':')
		text = read_digits(text + 1, 2, &second);
	if (text != NULL && *text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if (text == NULL || !read_zone(text, &offset))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
		day > day_tab[isleap(year)][month - 1] || hour > 24 || minute > 59 ||
		second > 60)
		return false;
	day_number = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	*instant = (((day_number * 24 + hour) * 60 + minute) * 60 + second -
				offset) *
			   USECS_PER_SEC;
	return true;
}

TimestampTz
th_http_instant(int64 seconds)
{
	const int64 epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
						SECS_PER_DAY;

	/* Up to the year 9999; the server's own range is wider. */
	if (seconds <= 0 || seconds > INT64CONST(253402300799))
		return 0;
	return (seconds - epoch) * USECS_PER_SEC;
}

TimestampTz
th_http_retry_at(const char *value, TimestampTz now)
{
	TimestampTz latest = now + MAX_RETRY_US;
	TimestampTz instant = 0;

	if (value == NULL)
		return 0;
	value += strspn(value, " \t");
	if (isdigit((unsigned char) *value))
	{
		size_t digits = strspn(value, "0123456789");
		size_t rest = digits;
		bool is_rounded;

		if (value[rest] == '.')
			rest += 1 + strspn(value + rest + 1, "0123456789");
		is_rounded = rest > digits;
		rest += strspn(value + rest, " \t");
		if (value[rest] == '\0')
		{
			if (digits > 9)
				return latest;
			return Min(latest, now + (strtol(value, NULL, 10) + is_rounded) *
										 USECS_PER_SEC);
		}
		if (!read_iso_instant(value, &instant))
			instant = 0;
	}
	if (instant == 0)
		instant = th_http_instant((int64) curl_getdate(value, NULL));
	if (instant == 0)
		return 0;
	return Min(latest, Max(now, instant));
}

void
th_http_append_encoded(StringInfo out, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			(c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
			c == '~')
			appendStringInfoCharMacro(out, (char) c);
		else
		{
			appendStringInfoCharMacro(out, '%');
			appendStringInfoCharMacro(out, hex[c >> 4]);
			appendStringInfoCharMacro(out, hex[c & 0x0F]);
		}
	}
}
