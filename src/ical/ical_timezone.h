/*
 * ical_timezone.h
 *	  VTIMEZONE for a range of instants, and times as properties say them.
 *
 * Errors of all: out of memory, program_limit_exceeded beyond 1 GB.
 */
#ifndef TH_ICAL_TIMEZONE_H
#define TH_ICAL_TIMEZONE_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

#include "base/th_zone.h"
#include "ical/ical_event.h"

/* The longest text of a time, without a null byte: "20260106T093000Z". */
#define TH_ICAL_TIME_LENGTH 16

/* Room for any duration, with its null byte. */
#define TH_ICAL_DURATION_SIZE 64

struct ThIcalUse
{
	ThIcalUse *next;
	ThZone *zone;
	size_t name_length;
	bool is_utc;
	bool is_used; /* in local times */
	bool is_open; /* used from "from" on without an end */
	TimestampTz from;
	TimestampTz until;
};

/* "20260106T093000" without a zone, 15 octets, or the date alone, 8. */
extern void th_ical_put_wall(char *at, Timestamp wall);
extern void th_ical_put_date(char *at, Timestamp wall);

/*
 * A duration such as "P1DT30M", with its null byte; days are of the calendar.
 * Both count in the same direction, or one is 0.
 */
extern void th_ical_put_duration(char *at, int64 n_days, int64 seconds);

/* The VTIMEZONE of the range that is used. */
extern void th_ical_write_timezone(StringInfo out, const ThIcalUse *zone);

#endif /* TH_ICAL_TIMEZONE_H */
