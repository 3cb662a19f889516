/*
 * json_mend.c
 *	  JSON that says more than the server's text can hold.
 */
#include "postgres.h"

#include <string.h>

#include "mb/pg_wchar.h"

#include "json/json_mend.h"

/* The number of four hex digits, -1 if they are none. */
static int
hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char c = p[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return value;
}

/* Copies the escape at "p" (a backslash), mended; returns how many bytes it had. */
static size_t
mend_escape(const char *p, const char *end, bool is_wide, char **out)
{
	static const char unknown[] = "\\ufffd";
	int first = p + 1 < end && p[1] == 'u' ? hex4(p + 2, end) : -1;
	size_t length = first < 0 ? Min(2, (size_t) (end - p)) : 6;
	bool is_bad = first == 0;

	if (first >= 0xd800 && first <= 0xdbff)
	{
		int second = end - p >= 8 && p[6] == '\\' && p[7] == 'u'
						 ? hex4(p + 8, end)
						 : -1;

		if (second >= 0xdc00 && second <= 0xdfff)
			length = 12;
		else
			is_bad = true;
	}
	else if (first >= 0xdc00 && first <= 0xdfff)
		is_bad = true;

	if (!is_wide && first >= 0x80)
		*(*out)++ = '?';
	else if (is_bad && !is_wide)
		*(*out)++ = '?';
	else
	{
		memcpy(*out, is_bad ? unknown : p, length);
		*out += length;
	}
	return length;
}

char *
th_json_mend(const char *text, size_t length, size_t *mended_length)
{
	bool is_wide = GetDatabaseEncoding() == PG_UTF8;
	const char *end = text + length;
	char *result = palloc(length + 1);
	char *out = result;

	while (text < end)
	{
		if (*text == '\\')
			text += mend_escape(text, end, is_wide, &out);
		else if (is_wide || !IS_HIGHBIT_SET(*text))
			*out++ = *text++;
		else
		{
			*out++ = '?';
			text += Min((size_t) pg_utf_mblen((const unsigned char *) text),
						(size_t) (end - text));
		}
	}
	*out = '\0';
	*mended_length = (size_t) (out - result);
	return result;
}
