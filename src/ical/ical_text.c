/*
 * ical_text.c
 *	  Content lines of iCalendar: spans that need nothing are copied whole.
 *
 * No function of the server is called here: this file is also built alone.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_text.h"

/* RFC 5545 3.1: at most 75 octets a line, without its CRLF. */
#define LINE_OCTETS 75

/* What a byte is in each type of value. */
#define PLAIN_TEXT 0x01
#define PLAIN_URI 0x02
#define PLAIN_QUOTED 0x04
#define PLAIN_RULE 0x08
#define PLAIN_WORD 0x80
#define LINE_END 0x10
#define WIDE 0x20 /* of a longer UTF-8 sequence */
#define DROPPED 0x40
#define PLAIN_ALL (PLAIN_TEXT | PLAIN_URI | PLAIN_QUOTED)

/* A tab is the one control character that a text may hold. */
static const uint8 kinds[256] = {
	[0x00 ... 0x08] = DROPPED,
	['\t'] = PLAIN_TEXT | PLAIN_QUOTED,
	['\n'] = LINE_END,
	[0x0b ... 0x0c] = DROPPED,
	['\r'] = LINE_END,
	[0x0e ... 0x1f] = DROPPED,
	[' '] = PLAIN_TEXT | PLAIN_QUOTED,
	['!'] = PLAIN_ALL,
	['"'] = PLAIN_TEXT | PLAIN_URI,
	['#' ... '*'] = PLAIN_ALL,
	['+'] = PLAIN_ALL | PLAIN_RULE,
	[','] = PLAIN_URI | PLAIN_QUOTED | PLAIN_RULE,
	['-'] = PLAIN_ALL | PLAIN_RULE | PLAIN_WORD,
	['.' ... '/'] = PLAIN_ALL,
	['0' ... '9'] = PLAIN_ALL | PLAIN_RULE | PLAIN_WORD,
	[':'] = PLAIN_ALL,
	[';'] = PLAIN_URI | PLAIN_QUOTED | PLAIN_RULE,
	['<'] = PLAIN_ALL,
	['='] = PLAIN_ALL | PLAIN_RULE,
	['>' ... '@'] = PLAIN_ALL,
	['A' ... 'Z'] = PLAIN_ALL | PLAIN_RULE | PLAIN_WORD,
	['['] = PLAIN_ALL,
	['\\'] = PLAIN_URI | PLAIN_QUOTED,
	[']'] = PLAIN_ALL,
	['^'] = PLAIN_TEXT | PLAIN_URI,
	['_' ... '`'] = PLAIN_ALL,
	['a' ... 'z'] = PLAIN_ALL | PLAIN_RULE | PLAIN_WORD,
	['{' ... '~'] = PLAIN_ALL,
	[0x7f] = DROPPED,
	[0x80 ... 0xff] = WIDE,
};

size_t
th_ical_pen_room(size_t length)
{
	/* Every octet escaped, and a fold at least every 71 of them. */
	length *= 2;
	return length + length / 16 + 16;
}

void
th_ical_pen_begin(ThIcalPen *pen, char *at)
{
	pen->at = at;
	pen->left = LINE_OCTETS;
}

char *
th_ical_pen_end(ThIcalPen *pen)
{
	memcpy(pen->at, "\r\n", 2);
	return pen->at + 2;
}

/* Begins a new line if "length" octets do not fit into this one. */
static inline void
need(ThIcalPen *pen, int length)
{
	if (pen->left < length)
	{
		memcpy(pen->at, "\r\n ", 3);
		pen->at += 3;
		pen->left = LINE_OCTETS - 1;
	}
}

/* Writes octets that stay together. */
static inline void
put(ThIcalPen *pen, const void *octets, int length)
{
	need(pen, length);
	memcpy(pen->at, octets, length);
	pen->at += length;
	pen->left -= length;
}

/* Writes octets that may be parted anywhere. */
static inline void
put_span(ThIcalPen *pen, const unsigned char *span, size_t length)
{
	while (length > (size_t) pen->left)
	{
		int part = pen->left;

		memcpy(pen->at, span, part);
		pen->at += part;
		span += part;
		length -= part;
		pen->left = 0;
		need(pen, 1);
	}
	memcpy(pen->at, span, length);
	pen->at += length;
	pen->left -= (int) length;
}

static inline bool
is_tail(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Octets of the UTF-8 character (RFC 3629) at "p", or 0 if there is none. */
static int
wide_length(const unsigned char *p, const unsigned char *end)
{
	size_t left = end - p;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return left >= 2 && is_tail(p[1]) ? 2 : 0;
	if (p[0] >= 0xe0 && p[0] <= 0xef)
	{
		if (left < 3 || !is_tail(p[1]) || !is_tail(p[2]) ||
			(p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4)
	{
		if (left < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]) ||
			(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

/* Writes one wide character, or drops one byte; how many it took. */
static int
put_wide(ThIcalPen *pen, const unsigned char *p, const unsigned char *end)
{
	int length = wide_length(p, end);

	if (length == 0)
		return 1;
	/* The control characters U+0080 to U+009F. */
	if (p[0] != 0xc2 || p[1] >= 0xa0)
		put(pen, p, length);
	return length;
}

/*
 * A value, of which the bytes of kind "plain" stand for themselves. What else
 * there is and is not dropped becomes "escape" and itself, or as for a line
 * end the letter n; with no escape it is dropped.
 */
static inline void
put_value(ThIcalPen *pen, const char *value, size_t length, uint8 plain,
		  char escape)
{
	const unsigned char *p = (const unsigned char *) value;
	const unsigned char *end = p + length;

	while (p < end)
	{
		const unsigned char *span = p;
		char pair[2] = { escape, 'n' };
		uint8 kind;

		while (p < end && (kinds[*p] & plain) != 0)
			p++;
		if (p > span)
			put_span(pen, span, p - span);
		if (p == end)
			break;
		kind = kinds[*p];
		if (kind == WIDE && (plain & PLAIN_ALL) != 0)
		{
			p += put_wide(pen, p, end);
			continue;
		}
		if (escape != '\0' && kind != DROPPED && kind != WIDE)
		{
			if (kind == LINE_END && *p == '\r' && p + 1 < end && p[1] == '\n')
				p++;
			else if (kind != LINE_END)
				pair[1] = escape == '^' && *p == '"' ? '\'' : (char) *p;
			put(pen, pair, 2);
		}
		p++;
	}
}

void
th_ical_pen_raw(ThIcalPen *pen, const char *p, size_t length)
{
	put_span(pen, (const unsigned char *) p, length);
}

void
th_ical_pen_text(ThIcalPen *pen, const char *p, size_t length)
{
	put_value(pen, p, length, PLAIN_TEXT, '\\');
}

void
th_ical_pen_uri(ThIcalPen *pen, const char *p, size_t length)
{
	put_value(pen, p, length, PLAIN_URI, '\0');
}

void
th_ical_pen_quoted(ThIcalPen *pen, const char *p, size_t length)
{
	put(pen, "\"", 1);
	put_value(pen, p, length, PLAIN_QUOTED, '^');
	put(pen, "\"", 1);
}

void
th_ical_pen_word(ThIcalPen *pen, const char *p, size_t length)
{
	put_value(pen, p, length, PLAIN_WORD, '\0');
}

void
th_ical_pen_rule(ThIcalPen *pen, const char *p, size_t length)
{
	put_value(pen, p, length, PLAIN_RULE, '\0');
}
