/*
 * calendar_read.h
 *	  A calendar's text to occurrences, with the zones of this server.
 *
 * A TZID is looked up in the file's own VTIMEZONEs, then among the server's
 * zones and in CLDR's map of Windows names; what is in none of them is a
 * problem of its event, never UTC.
 */
#ifndef TH_FLOW_CALENDAR_READ_H
#define TH_FLOW_CALENDAR_READ_H

#include "datatype/timestamp.h"

#include "base/compat.h"
#include "ical/ical_read.h"

/*
 * Calls "emit" for every occurrence that touches the window and for every
 * problem; "zone_name" is the calendar owner's, for all-day and floating
 * times. The text is in the database's encoding.
 *
 * Memory: a context of its own, gone at return. Errors: program_limit_exceeded
 * if the text is larger than telehealth.max_ics_kb, invalid_parameter_value
 * for an unknown zone or a window that is infinite or ends before it starts,
 * query_canceled, and what "emit" throws. Where: in a transaction.
 */
extern ThIcalReadResult th_calendar_read(
	const char *ics, size_t length, TimestampTz window_start,
	TimestampTz window_end, const char *zone_name,
	void (*emit)(void *context, const ThIcalOccurrence *occurrence),
	void *context);

/*
 * The server's name of the zone that a calendar's means: one of its own, one
 * behind a prefix in slashes, or one of Windows. NULL if there is none: a
 * POSIX rule, the machine's own zone and the like are not for others to name.
 * Memory: of the process, for its life. Where: in a transaction.
 */
extern const char *th_calendar_zone(const char *name);

/* Throws invalid_parameter_value. */
pg_noreturn extern void th_calendar_refuse_zone(const char *name);

#endif /* TH_FLOW_CALENDAR_READ_H */
