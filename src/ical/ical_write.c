/*
 * ical_write.c
 *	  iCalendar text in one pass: spans that need nothing are copied whole.
 *
 * Room for the worst case of a property is made once, before it is written;
 * the loops below then only move a pointer.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ical/ical_write.h"

/* RFC 5545 3.1: at most 75 octets a line, without its CRLF. */
#define LINE_OCTETS 75

/* "20260106T093000Z" */
#define TIME_LENGTH 16

/* The last year that four digits can say. */
#define YEAR_MAX 9999

/* What a byte of a value needs. */
typedef enum ByteKind
{
	BYTE_PLAIN,
	BYTE_ESCAPED,  /* a backslash in front, in TEXT only */
	BYTE_LINE_END, /* becomes \n, in TEXT only */
	BYTE_DROPPED,
	BYTE_WIDE /* of a longer UTF-8 sequence */
} ByteKind;

/* A tab is the one control character that TEXT may hold. */
static const uint8 byte_kinds[256] = {
	[0x00 ... 0x08] = BYTE_DROPPED, ['\n'] = BYTE_LINE_END,
	[0x0b ... 0x0c] = BYTE_DROPPED, ['\r'] = BYTE_LINE_END,
	[0x0e ... 0x1f] = BYTE_DROPPED, [','] = BYTE_ESCAPED,
	[';'] = BYTE_ESCAPED,           ['\\'] = BYTE_ESCAPED,
	[0x7f] = BYTE_DROPPED,          [0x80 ... 0xff] = BYTE_WIDE,
};

/* Where the next octet goes, and how many the present line still takes. */
typedef struct Pen
{
	char *at;
	int left;
} Pen;

/* Begins a new line if "length" octets do not fit into this one. */
static inline void
pen_need(Pen *pen, int length)
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
pen_put(Pen *pen, const void *octets, int length)
{
	pen_need(pen, length);
	memcpy(pen->at, octets, length);
	pen->at += length;
	pen->left -= length;
}

/* Writes octets that may be parted anywhere. */
static inline void
pen_span(Pen *pen, const unsigned char *span, size_t length)
{
	while (length > (size_t) pen->left)
	{
		int part = pen->left;

		memcpy(pen->at, span, part);
		pen->at += part;
		span += part;
		length -= part;
		pen->left = 0;
		pen_need(pen, 1);
	}
	memcpy(pen->at, span, length);
	pen->at += length;
	pen->left -= (int) length;
}

/* Writes one UTF-8 character, or drops one byte that is none; its length. */
static int
pen_wide(Pen *pen, const unsigned char *p, const unsigned char *end)
{
	int length = pg_utf_mblen(p);

	if (length == 1 || length > end - p || !pg_utf8_islegal(p, length))
		return 1;
	/* The control characters U+0080 to U+009F. */
	if (p[0] != 0xc2 || p[1] >= 0xa0)
		pen_put(pen, p, length);
	return length;
}

/* A value of the type TEXT. */
static void
pen_text(Pen *pen, const unsigned char *p, const unsigned char *end)
{
	while (p < end)
	{
		const unsigned char *span = p;
		char pair[2] = { '\\', 'n' };

		while (p < end && byte_kinds[*p] == BYTE_PLAIN)
			p++;
		if (p > span)
			pen_span(pen, span, p - span);
		if (p == end)
			break;
		switch ((ByteKind) byte_kinds[*p])
		{
			case BYTE_ESCAPED:
				pair[1] = (char) *p;
				pen_put(pen, pair, 2);
				p++;
				break;
			case BYTE_LINE_END:
				pen_put(pen, pair, 2);
				if (*p == '\r' && p + 1 < end && p[1] == '\n')
					p++;
				p++;
				break;
			case BYTE_WIDE:
				p += pen_wide(pen, p, end);
				break;
			default:
				p++;
				break;
		}
	}
}

/* A value of the type URI: nothing is escaped, what cannot stand is dropped. */
static void
pen_uri(Pen *pen, const unsigned char *p, const unsigned char *end)
{
	while (p < end)
	{
		ByteKind kind = (ByteKind) byte_kinds[*p];

		if (kind == BYTE_WIDE)
		{
			p += pen_wide(pen, p, end);
			continue;
		}
		if (kind != BYTE_DROPPED && kind != BYTE_LINE_END && *p > ' ')
			pen_put(pen, p, 1);
		p++;
	}
}

/* "head" is the property's name, its parameters and the colon. */
static void
write_property(StringInfo out, const char *head, const char *value,
			   void (*pen_value)(Pen *, const unsigned char *,
								 const unsigned char *))
{
	size_t head_length;
	size_t length;
	size_t room;
	Pen pen;

	if (value == NULL)
		return;
	head_length = strlen(head);
	length = strlen(value);

	/* Every octet escaped, and a fold at least every 71 of them. */
	room = head_length + length * 2;
	room += room / 16 + 16;
	enlargeStringInfo(out, (int) Min(room, MaxAllocSize));
	pen.at = out->data + out->len;
	pen.left = LINE_OCTETS;
	pen_span(&pen, (const unsigned char *) head, head_length);
	pen_value(&pen, (const unsigned char *) value,
			  (const unsigned char *) value + length);
	Assert(pen.at + 2 < out->data + out->maxlen);
	memcpy(pen.at, "\r\n", 3);
	out->len = (int) (pen.at + 2 - out->data);
}

static void
write_text(StringInfo out, const char *head, const char *value)
{
	write_property(out, head, value, pen_text);
}

static void
write_uri(StringInfo out, const char *head, const char *value)
{
	write_property(out, head, value, pen_uri);
}

static void
write_fixed(StringInfo out, const char *lines)
{
	appendBinaryStringInfo(out, lines, (int) strlen(lines));
}

static inline void
put_two(char *at, int number)
{
	at[0] = (char) ('0' + number / 10 % 10);
	at[1] = (char) ('0' + number % 10);
}

/*
 * UTC. The notation has four digits for the year: what is outside becomes
 * the nearest that is inside.
 */
static void
write_time(StringInfo out, const char *head, TimestampTz instant)
{
	int64 date = instant / USECS_PER_DAY;
	int64 rest = instant % USECS_PER_DAY;
	char text[TIME_LENGTH + 2];
	int seconds;
	int year;
	int month;
	int day;

	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		date--;
	}
	if (date > date2j(YEAR_MAX, 12, 31) - POSTGRES_EPOCH_JDATE)
		date = date2j(YEAR_MAX, 12, 31) - POSTGRES_EPOCH_JDATE;
	else if (date < date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE)
		date = date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE;
	j2date((int) date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	seconds = (int) (rest / USECS_PER_SEC);
	put_two(text, year / 100);
	put_two(text + 2, year);
	put_two(text + 4, month);
	put_two(text + 6, day);
	text[8] = 'T';
	put_two(text + 9, seconds / SECS_PER_HOUR);
	put_two(text + 11, seconds / SECS_PER_MINUTE % MINS_PER_HOUR);
	put_two(text + 13, seconds % SECS_PER_MINUTE);
	text[15] = 'Z';
	text[16] = '\r';
	text[17] = '\n';
	write_fixed(out, head);
	appendBinaryStringInfo(out, text, sizeof(text));
}

static void
write_number(StringInfo out, const char *head, int number)
{
	char text[16];

	write_fixed(out, head);
	snprintf(text, sizeof(text), "%d\r\n", number);
	write_fixed(out, text);
}

void
th_ical_write_start(StringInfo out, const char *method, const char *name)
{
	write_fixed(out, "BEGIN:VCALENDAR\r\n"
					 "VERSION:2.0\r\n"
					 "PRODID:-//telehealth//telehealth " TH_VERSION "//EN\r\n"
					 "CALSCALE:GREGORIAN\r\n");
	write_text(out, "METHOD:", method);
	write_text(out, "NAME:", name);
	write_text(out, "X-WR-CALNAME:", name);
}

void
th_ical_write_event(StringInfo out, const ThIcalEvent *event)
{
	write_fixed(out, "BEGIN:VEVENT\r\n");
	write_text(out, "UID:", event->uid);
	write_time(out, "DTSTAMP:", event->stamp);
	write_time(out, "DTSTART:", event->starts_at);
	write_time(out, "DTEND:", event->ends_at);
	if (event->created != 0)
		write_time(out, "CREATED:", event->created);
	if (event->last_modified != 0)
		write_time(out, "LAST-MODIFIED:", event->last_modified);
	write_number(out, "SEQUENCE:", event->sequence);
	write_text(out, "STATUS:", event->status);
	write_text(out, "SUMMARY:", event->summary);
	write_text(out, "DESCRIPTION:", event->description);
	write_text(out, "LOCATION:", event->location);
	write_uri(out, "URL:", event->url);
	if (event->is_meeting)
		write_uri(out, "CONFERENCE;VALUE=URI;FEATURE=VIDEO:", event->url);
	if (event->is_private)
		write_fixed(out, "CLASS:PRIVATE\r\n");
	write_fixed(out, "TRANSP:OPAQUE\r\nEND:VEVENT\r\n");
}

void
th_ical_write_end(StringInfo out)
{
	write_fixed(out, "END:VCALENDAR\r\n");
}
