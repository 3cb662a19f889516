/*
 * ical_text.h
 *	  Content lines of iCalendar: escaped, folded, fit to be read.
 *
 * Needs nothing of the server, not even memory: the caller makes room. What
 * a value may not hold is left out: control characters and bytes that are no
 * UTF-8 everywhere, line ends and blanks in a URI, all but letters, digits
 * and "-" in a word, which in a rule may also be ";=,+". Never throws.
 */
#ifndef TH_ICAL_TEXT_H
#define TH_ICAL_TEXT_H

#include <stddef.h>

/* Where the next octet goes, and how many the present line still takes. */
typedef struct ThIcalPen
{
	char *at;
	int left;
} ThIcalPen;

/* The most octets that a line of "length" octets of input becomes. */
extern size_t th_ical_pen_room(size_t length);

/* A line is begin, parts, end. */
extern void th_ical_pen_begin(ThIcalPen *pen, char *at);
extern char *th_ical_pen_end(ThIcalPen *pen);

/* Octets as they are, all ASCII. */
extern void th_ical_pen_raw(ThIcalPen *pen, const char *p, size_t length);

/* A value of type TEXT: escaped; line ends become \n. */
extern void th_ical_pen_text(ThIcalPen *pen, const char *p, size_t length);

/* A value of type URI. */
extern void th_ical_pen_uri(ThIcalPen *pen, const char *p, size_t length);

/* The value of a parameter, in quotes, with the escapes of RFC 6868. */
extern void th_ical_pen_quoted(ThIcalPen *pen, const char *p, size_t length);

extern void th_ical_pen_word(ThIcalPen *pen, const char *p, size_t length);
extern void th_ical_pen_rule(ThIcalPen *pen, const char *p, size_t length);

#endif /* TH_ICAL_TEXT_H */
