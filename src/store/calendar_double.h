/*
 * calendar_double.h
 *	  Events of ours in a calendar that nobody here knows by that name.
 *
 * Where: in a transaction of the dispatcher, as the worker's role.
 */
#ifndef TH_STORE_CALENDAR_DOUBLE_H
#define TH_STORE_CALENDAR_DOUBLE_H

#include "datatype/timestamp.h"

/* An event with our tag, as a pull has seen it. */
typedef struct ThEventFound
{
	int64 appointment_id; /* of the tag */
	const char *external_id;
	const char *uid; /* that the visit's events have */
	bool is_copy;    /* somebody else has made it */
	TimestampTz starts_at;
	TimestampTz ends_at;
} ThEventFound;

/*
 * Has events looked at that are there beside another of the same visit, and
 * takes up those of which nothing is known (any more): they are brought in
 * line, or removed. A copy of somebody's counts only while it is of the
 * visit's time. Nothing that was written since "began_at" is touched.
 */
extern void th_calendar_event_found(int64 clinic_id, int64 connection_id,
									TimestampTz began_at,
									const ThEventFound *found, int n,
									TimestampTz now);

#endif /* TH_STORE_CALENDAR_DOUBLE_H */
