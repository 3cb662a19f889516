/*
 * ical_result.h
 *	  A written calendar as a datum, and what both directions need of texts.
 */
#ifndef TH_API_ICAL_RESULT_H
#define TH_API_ICAL_RESULT_H

#include "ical/ical_event.h"

/* The whole VCALENDAR as a text datum in the database's encoding. Memory: current context. */
extern text *th_ical_result(const ThIcalWriter *writer, const ThIcalHead *head);

/* The same without a copy; the writer ends with it. */
extern text *th_ical_result_last(ThIcalWriter *writer, const ThIcalHead *head);

/* "value" in UTF-8; NULL of NULL. Memory: current context, or "value" itself. */
extern const char *th_ical_utf8(const char *value);

#endif /* TH_API_ICAL_RESULT_H */
