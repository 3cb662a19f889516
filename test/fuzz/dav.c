/*
 * dav.c
 *	  The reader of WebDAV's documents alone, under libFuzzer, and with it how
 *	  the addresses in them are compared.
 *
 * The input is a buffer without a zero at its end. Texts lie in what the
 * reader made, and end there; a name is that of one member of the folder.
 */
#include "postgres.h"

#undef vsnprintf /* the C library's own */

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Its second argument has another type from server 16 on. */
#define appendBinaryStringInfo their_append_binary
#include "lib/stringinfo.h"
#undef appendBinaryStringInfo

#include "calendar/dav_href.h"
#include "calendar/dav_xml.h"
#include "http/request.h"
#include "server.h"

#define COLLECTION "https://dav.example/a%20b/cal/"
#define FOLDER "/a%20b/cal/"

extern void appendBinaryStringInfo(StringInfo text, const void *data,
								   int length);
extern int LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/* ---- what stands for the server ---- */

bool
errstart_cold(int level pg_attribute_unused(),
			  const char *domain pg_attribute_unused())
{
	abort();
}

int
errcode(int code pg_attribute_unused())
{
	abort();
}

int
errmsg(const char *format pg_attribute_unused(), ...)
{
	abort();
}

void
errfinish(const char *file pg_attribute_unused(),
		  int line pg_attribute_unused(),
		  const char *function pg_attribute_unused())
{
	abort();
}

int
pg_strncasecmp(const char *a, const char *b, size_t n)
{
	return strncasecmp(a, b, n);
}

int
pg_strcasecmp(const char *a, const char *b)
{
	return strcasecmp(a, b);
}

char *
pnstrdup(const char *in, Size length)
{
	char *copy = palloc(strnlen(in, length) + 1);

	length = strnlen(in, length);
	memcpy(copy, in, length);
	copy[length] = '\0';
	return copy;
}

char *
pstrdup(const char *in)
{
	return pnstrdup(in, strlen(in));
}

char *
psprintf(const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = palloc(length + 1);
	va_start(arguments, format);
	vsnprintf(text, length + 1, format, arguments);
	va_end(arguments);
	return text;
}

void
initStringInfo(StringInfo text)
{
	text->data = palloc(16);
	text->maxlen = 16;
	text->len = 0;
	text->data[0] = '\0';
}

void
enlargeStringInfo(StringInfo text, int needed)
{
	text->maxlen = text->len + needed + 1;
	text->data = repalloc(text->data, text->maxlen);
}

void
appendBinaryStringInfo(StringInfo text, const void *data, int length)
{
	enlargeStringInfo(text, length);
	memcpy(text->data + text->len, data, length);
	text->len += length;
	text->data[text->len] = '\0';
}

void
appendStringInfoString(StringInfo text, const char *data)
{
	appendBinaryStringInfo(text, data, (int) strlen(data));
}

void
appendStringInfoChar(StringInfo text, char c)
{
	appendBinaryStringInfo(text, &c, 1);
}

/* Any address may be called: what leads where is not asked here. */
char *
th_http_origin(const char *url)
{
	return pstrdup(url);
}

void
th_http_append_encoded(StringInfo out, const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (isalnum((unsigned char) *text) || strchr("-._~", *text) != NULL)
			appendStringInfoChar(out, *text);
		else
			appendStringInfoString(out,
								   psprintf("%%%02X", (unsigned char) *text));
	}
}

/* ---- what has to hold ---- */

/* Reads all of it: the sanitizer says whether it is there. */
static size_t
measure(const char *text)
{
	return text == NULL ? 0 : strlen(text);
}

static size_t
measure_item(const ThDavItem *item)
{
	if (item->href == NULL)
		abort();
	if (item->status != 0 && (item->status < 100 || item->status > 999))
		abort();
	return measure(item->href) + measure(item->etag) + measure(item->data) +
		   measure(item->ctag) + measure(item->sync_token) +
		   measure(item->display_name) + measure(item->principal) +
		   measure(item->home) + measure(item->addresses) +
		   measure(item->timezone);
}

static void
check_href(const char *href)
{
	char *name = th_dav_member(COLLECTION, FOLDER, href);
	char *again;

	(void) th_dav_is_same(COLLECTION, href);
	(void) th_dav_resolve(COLLECTION, href);
	if (name == NULL)
		return;
	if (name[0] == '\0' || strlen(name) > TH_DAV_NAME_MAX ||
		strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		abort();
	for (const char *p = name; *p != '\0'; p++)
	{
		if (!isalnum((unsigned char) *p) && strchr("-._~%", *p) == NULL)
			abort();
	}
	/* A name is a name of itself. */
	again = th_dav_member(COLLECTION, FOLDER, psprintf("%s%s", FOLDER, name));
	if (again == NULL || strcmp(again, name) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char *body = malloc(size + (size == 0));
	ThDavAnswer answer;
	size_t length = 0;

	if (size > 0)
		memcpy(body, data, size);
	if (th_dav_read(body, size, &answer))
	{
		for (int i = 0; i < answer.n_items; i++)
		{
			length += measure_item(&answer.items[i]);
			check_href(answer.items[i].href);
		}
		length += measure(answer.sync_token) + measure(answer.condition) +
				  measure(answer.condition_href);
		/* Nothing grows; a text may be shared by the items of one response. */
		if (answer.n_items <= 1 && length > size)
			abort();
	}
	if (size > 0 && size <= 200)
	{
		char *href = pnstrdup(body, size);

		check_href(href);
	}
	free(body);
	server_reset();
	return 0;
}
