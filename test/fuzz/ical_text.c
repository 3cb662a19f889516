/*
 * ical_text.c
 *	  The content lines of the calendar writer alone, under libFuzzer.
 *
 * The first octet chooses the type of the value, the rest is its text.
 */
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

#include "ical/ical_text.h"

extern int LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void (*const types[])(ThIcalPen *, const char *, size_t) = {
	th_ical_pen_text, th_ical_pen_uri,  th_ical_pen_quoted,
	th_ical_pen_word, th_ical_pen_rule,
};

/* Octets of the character at "p" by RFC 3629, or 0 if that is none. */
static int
character_length(const unsigned char *p, const unsigned char *end)
{
	static const uint32 least[] = { 0, 0x00, 0x80, 0x800, 0x10000 };
	int length = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	uint32 code = length == 1 ? *p : *p & (0xff >> (length + 1));

	if (*p >= 0xf8 || (*p & 0xc0) == 0x80 || end - p < length)
		return 0;
	for (int i = 1; i < length; i++)
	{
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || code >> 11 == 0x1b)
		return 0;
	return length;
}

/* Aborts unless these are whole lines that a reader takes for one property. */
static void
check(const unsigned char *p, const unsigned char *end)
{
	int length = 0;

	for (bool is_first = true; p < end; is_first = false)
	{
		if (!is_first && *p != ' ')
			abort();
		if (!is_first && (p[1] & 0xc0) == 0x80)
			abort();
		for (length = 0; end - p >= 2 && p[0] != '\r';)
		{
			int n = character_length(p, end);

			if (n == 0 || (*p < ' ' && *p != '\t') || *p == 0x7f)
				abort();
			p += n;
			length += n;
		}
		if (length > 75 || end - p < 2 || memcmp(p, "\r\n", 2) != 0)
			abort();
		p += 2;
	}
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	ThIcalPen pen;
	char *line;
	char *end;

	if (size == 0)
		return 0;
	line = malloc(th_ical_pen_room(size + 8));
	if (line == NULL)
		return 0;
	th_ical_pen_begin(&pen, line);
	th_ical_pen_raw(&pen, "SUMMARY:", 8);
	types[data[0] % lengthof(types)](&pen, (const char *) data + 1, size - 1);
	end = th_ical_pen_end(&pen);
	if ((size_t) (end - line) > th_ical_pen_room(size + 8))
		abort();
	check((unsigned char *) line, (unsigned char *) end);
	free(line);
	return 0;
}
