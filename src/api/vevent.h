/*
 * vevent.h
 *	  Values of the type telehealth.vevent.
 */
#ifndef TH_API_VEVENT_H
#define TH_API_VEVENT_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "ical/ical_event.h"

/* The columns, in their order; new ones come last. */
typedef enum ThVeventColumn
{
	TH_VEVENT_UID,
	TH_VEVENT_STARTS_AT,
	TH_VEVENT_ENDS_AT,
	TH_VEVENT_SUMMARY,
	TH_VEVENT_DESCRIPTION,
	TH_VEVENT_LOCATION,
	TH_VEVENT_URL,
	TH_VEVENT_STATUS,
	TH_VEVENT_SEQUENCE,
	TH_VEVENT_TIMEZONE,
	TH_VEVENT_IS_ALL_DAY,
	TH_VEVENT_STAMPED_AT,
	TH_VEVENT_CREATED_AT,
	TH_VEVENT_UPDATED_AT,
	TH_VEVENT_CONFERENCE,
	TH_VEVENT_ORGANIZER,
	TH_VEVENT_ORGANIZER_NAME,
	TH_VEVENT_ATTENDEES,
	TH_VEVENT_CLASS,
	TH_VEVENT_TRANSPARENCY,
	TH_VEVENT_CATEGORIES,
	TH_VEVENT_RRULE,
	TH_VEVENT_EXDATES,
	TH_VEVENT_RDATES,
	TH_VEVENT_RECURRENCE_ID,
	TH_VEVENT_ALARMS,
	TH_VEVENT_COLOR,
	TH_VEVENT_COLUMNS /* how many */
} ThVeventColumn;

/*
 * The event that a value of the type says, to be written by "writer".
 *
 * Memory: what *event points to, in the current context or in the value.
 * Errors: null_value_not_allowed without uid, start or end;
 * invalid_parameter_value for a word, zone or rule that is none;
 * datetime_value_out_of_range for instants that are not finite.
 */
extern void th_vevent_read(ThIcalWriter *writer, HeapTuple tuple,
						   TupleDesc columns, ThIcalEvent *event);

/* Seconds of an interval without months. Errors: invalid_parameter_value. */
extern int64 th_vevent_seconds(const Interval *span);

/* Raises invalid_parameter_value if "method" is none of PUBLISH, REQUEST and CANCEL. */
extern void th_vevent_check_method(const char *method);

/* "word", if it is of letters, digits and "-", or NULL; else raises invalid_parameter_value. */
extern const char *th_vevent_check_word(const char *word, const char *what);

#endif /* TH_API_VEVENT_H */
