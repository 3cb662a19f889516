/*
 * ical_uid.c
 *	  UIDs of our own: made, and recognised in calendars of others.
 */
#include "postgres.h"

#include <string.h>

#include "utils/builtins.h"

#include "ical/ical_uid.h"

/*
 * Outlook's identifiers are bytes in hex digits, beginning with these; that
 * of an event from elsewhere ends in "vCal-Uid", a number of four bytes, the
 * UID and a zero ([MS-OXOCAL] 2.2.1.27).
 */
#define OUTLOOK_PREFIX "040000008200E00074C5B7101A82E008"
#define OUTLOOK_MARK "7643616C2D556964"
#define OUTLOOK_MARK_DIGITS (2 * (8 + 4))

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The UID that Outlook keeps inside of its own; false if there is none. */
static bool
unwrap_outlook(const char *uid, char *out)
{
	const char *p;
	int n = 0;

	if (pg_strncasecmp(uid, OUTLOOK_PREFIX, strlen(OUTLOOK_PREFIX)) != 0)
		return false;
	for (p = uid + strlen(OUTLOOK_PREFIX); *p != '\0'; p++)
		if (pg_strncasecmp(p, OUTLOOK_MARK, strlen(OUTLOOK_MARK)) == 0)
			break;
	if (strlen(p) < OUTLOOK_MARK_DIGITS)
		return false;
	for (p += OUTLOOK_MARK_DIGITS; n < TH_ICAL_UID_SIZE - 1; p += 2)
	{
		int high = hex_value(p[0]);
		int low = high < 0 ? -1 : hex_value(p[1]);

		if (low < 0 || high + low == 0)
			break;
		out[n++] = (char) (high * 16 + low);
	}
	out[n] = '\0';
	return n > 0;
}

/* "appointment-7" and whatever else we may give a UID. */
static bool
is_word_and_number(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && *p >= 'a' && *p <= 'z')
		p++;
	if (p == start || p == end || *p != '-')
		return false;
	start = ++p;
	while (p < end && ((*p >= '0' && *p <= '9') || *p == '-'))
		p++;
	return p == end && p > start;
}

/* What stands behind the clinic. */
static const char *
ending_of(const ThIcalOrigin *origin, bool is_plain)
{
	return is_plain ? "" : origin->installation;
}

int
th_ical_uid_write(char *out, const ThIcalOrigin *origin, int64 appointment_id)
{
	bool is_plain = appointment_id <= origin->plain_until;
	char *p = stpcpy(out, "appointment-");

	p += pg_lltoa(appointment_id, p);
	p = stpcpy(p, ".clinic-");
	p += pg_lltoa(origin->clinic_id, p);
	*p++ = '@';
	p = stpcpy(p, ending_of(origin, is_plain));
	p = stpcpy(p, is_plain ? "telehealth" : ".telehealth");
	return (int) (p - out);
}

/* A UID of our form with that ending. */
static bool
has_ending(const char *uid, const ThIcalOrigin *origin, bool is_plain)
{
	size_t length = strlen(uid);
	char ending[TH_ICAL_UID_SIZE];
	size_t n;

	n = snprintf(ending, sizeof(ending), ".clinic-" INT64_FORMAT "@%s%s",
				 origin->clinic_id, ending_of(origin, is_plain),
				 is_plain ? "telehealth" : ".telehealth");
	return length > n && strcmp(uid + length - n, ending) == 0 &&
		   is_word_and_number(uid, uid + length - n);
}

bool
th_ical_uid_is_own(const char *uid, const ThIcalOrigin *origin)
{
	char inner[TH_ICAL_UID_SIZE];

	if (unwrap_outlook(uid, inner))
		uid = inner;
	return has_ending(uid, origin, false) ||
		   (origin->plain_until > 0 && has_ending(uid, origin, true));
}
