/*
 * ical_days.h
 *	  The days that a recurrence rule (RRULE of RFC 5545) names.
 *
 * Rules here name days: what a clinic repeats happens once a day at most, so
 * FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, and hours, minutes and seconds
 * are not spoken of. What the reader forgives is refused: these rules are
 * written for others. Days are Julian day numbers, as date2j() gives them.
 */
#ifndef TH_ICAL_DAYS_H
#define TH_ICAL_DAYS_H

#include "ical/ical_line.h"

/* What UNTIL says; the caller knows the clock and the zone, and applies it. */
typedef struct ThIcalUntil
{
	bool is_given;
	ThIcalTime time;
} ThIcalUntil;

/* Longer rules are refused. */
#define TH_ICAL_DAYS_MAX_LENGTH 500

/* True if "text" is a rule of this kind. Never throws. */
extern bool th_ical_days_is_rule(const char *text);

/*
 * Writes the days from "from" to "to" of the rule that begins on "first" into
 * "out", at most "most", in their order; COUNT is heeded, UNTIL is handed
 * out. Returns their number: none if the rule is not valid. Days that are no
 * day of the rule, even the first, are not among them. All days are of the
 * years 1 to 9999, which bounds the steps.
 *
 * Memory: none. Errors: the cancel of the query.
 */
extern int th_ical_days_of_rule(const char *text, int first, int from, int to,
								int most, int *out, ThIcalUntil *until);

#endif /* TH_ICAL_DAYS_H */
