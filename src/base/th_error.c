/*
 * th_error.c
 *	  Text from outside, made fit for a message.
 *
 * The text is read word by word (up to white space, quotes and angle brackets).
 * What is hidden is decided on whole words, before anything is cut, so that
 * the cut cannot leave the first half of a secret.
 */
#include "postgres.h"

#include <string.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "base/th_error.h"

/* So many characters of a token's alphabet in a row are taken for one. */
#define TOKEN_LENGTH 20

#define HIDDEN "***"

/* Settings of ours begin with this, and are named in messages of ours. */
#define SETTING_PREFIX "telehealth."

#ifdef TH_DEBUG
int th_no_throw_depth = 0;
#endif

/* In an address a slash parts names; elsewhere it may belong to base64. */
static bool
is_token_character(unsigned char c, bool in_address)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		   (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
		   (!in_address && (c == '+' || c == '/'));
}

static bool
ends_word(unsigned char c)
{
	return c <= ' ' || c == 0x7f || strchr("\"'`<>", c) != NULL;
}

/* Appends "length" bytes without control characters and invalid UTF-8. */
static void
append_clean(StringInfo out, const char *text, size_t length)
{
	bool is_utf8 = GetDatabaseEncoding() == PG_UTF8;
	size_t i = 0;

	while (i < length)
	{
		unsigned char c = (unsigned char) text[i];
		int size;

		if (c < 0x80)
		{
			appendStringInfoChar(out, c < ' ' || c == 0x7f ? ' ' : (char) c);
			i++;
			continue;
		}
		size = pg_utf_mblen((const unsigned char *) text + i);
		if (size > 1 && (size_t) size <= length - i &&
			pg_utf8_islegal((const unsigned char *) text + i, size))
		{
			/* A character the database cannot hold stands as one mark. */
			if (!is_utf8)
				appendStringInfoChar(out, '?');
			else if (c != 0xc2 || (unsigned char) text[i + 1] >= 0xa0)
				appendBinaryStringInfo(out, text + i, size);
			else
				appendStringInfoChar(out, ' '); /* C1 control character */
			i += size;
		}
		else
			i++;
	}
}

/* The name of a setting: words of ours, however long they are. */
static bool
is_setting(const char *text, size_t length)
{
	size_t i = strlen(SETTING_PREFIX);

	if (length <= i || length >= NAMEDATALEN ||
		memcmp(text, SETTING_PREFIX, i) != 0)
		return false;
	for (; i < length; i++)
	{
		if ((text[i] < 'a' || text[i] > 'z') && text[i] != '_')
			return false;
	}
	return true;
}

/* Appends a part of a word with what looks like a token hidden, its padding too. */
static void
append_part(StringInfo out, const char *part, size_t length, bool in_address)
{
	size_t start = 0;

	while (start < length)
	{
		size_t end = start;
		bool is_token = is_token_character((unsigned char) part[start],
										   in_address);

		while (end < length && is_token_character((unsigned char) part[end],
												  in_address) == is_token)
			end++;
		if (is_token && end - start >= TOKEN_LENGTH &&
			(in_address || !is_setting(part + start, end - start)))
		{
			appendStringInfoString(out, HIDDEN);
			while (end < length && part[end] == '=')
				end++;
		}
		else
			append_clean(out, part + start, end - start);
		start = end;
	}
}

/* Appends a word: URLs lose user, query and fragment, addresses are hidden. */
static void
append_word(StringInfo out, const char *word, size_t length)
{
	const char *query = memchr(word, '?', length);
	const char *at;
	size_t kept = length;
	size_t scheme = 0;
	size_t i;

	for (i = 0; i + 3 <= length && scheme == 0; i++)
		if (memcmp(word + i, "://", 3) == 0)
			scheme = i + 3;
	if (scheme > 0)
	{
		const char *fragment = memchr(word, '#', length);

		if (fragment != NULL && (query == NULL || fragment < query))
			query = fragment;
	}
	if (query != NULL)
		kept = (size_t) (query - word) + 1;

	at = memchr(word, '@', kept);
	if (at == NULL)
		append_part(out, word, kept, scheme > 0);
	else
	{
		append_part(out, word, scheme, scheme > 0);
		appendStringInfoString(out, HIDDEN);
		if (scheme > 0)
			append_part(out, at, (size_t) (word + kept - at), true);
	}
}

char *
th_error_redact(const char *text, int max)
{
	StringInfoData out;
	size_t i = 0;

	TH_ASSERT_MAY_THROW();
	initStringInfo(&out);
	if (text == NULL || max <= 0)
		return out.data;

	while (text[i] != '\0' && out.len < max)
	{
		size_t start = i;

		while (text[i] != '\0' && !ends_word((unsigned char) text[i]))
			i++;
		if (i > start)
			append_word(&out, text + start, i - start);
		if (text[i] != '\0')
			append_clean(&out, text + i++, 1);
	}
	if (out.len > max)
	{
		out.len = pg_mbcliplen(out.data, out.len, max);
		out.data[out.len] = '\0';
	}
	return out.data;
}
