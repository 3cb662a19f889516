/*
 * ical_zone.h
 *	  Time zones as lists of transitions, and wall times in them.
 *
 * The same for a zone of the server's and for a VTIMEZONE of a file. Seconds
 * are those of the Unix epoch; a wall time is the seconds that a clock in
 * UTC would count when it shows it. Never throws, but for memory.
 */
#ifndef TH_ICAL_ZONE_H
#define TH_ICAL_ZONE_H

#include "ical/ical_rule.h"

/* From "at" on (an instant) the offset is "after", until then "before". */
typedef struct ThIcalTransition
{
	int64 at;
	int before; /* seconds east of UTC */
	int after;
} ThIcalTransition;

/* Sorted by "at"; "offset" is the one without or before the first. */
typedef struct ThIcalZone
{
	int offset;
	int count;
	const ThIcalTransition *transitions;
} ThIcalZone;

/*
 * The instant at which clocks show "wall". A time that they show twice is
 * the first of the two; one that they skip is taken with the offset before
 * the gap, so it comes as much later as the gap is long (RFC 5545, 3.3.5).
 */
extern int64 th_ical_zone_instant(const ThIcalZone *zone, int64 wall);

/*
 * The zone that the lines of a VTIMEZONE say, for instants up to "to"; NULL
 * if they say none. Memory: current context. Errors: what the budget's hook
 * throws.
 */
extern ThIcalZone *th_ical_zone_read(const char *begin, const char *end,
									 int64 to, ThIcalBudget *budget);

/* What clocks show at an instant. */
extern int64 th_ical_zone_wall(const ThIcalZone *zone, int64 instant);

#endif /* TH_ICAL_ZONE_H */
