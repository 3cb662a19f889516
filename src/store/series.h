/*
 * series.h
 *	  Recurring visits: from a series to rows of appointments.
 */
#ifndef TH_STORE_SERIES_H
#define TH_STORE_SERIES_H

#include "datatype/timestamp.h"

/*
 * Makes, changes and removes the visits to come of a series as it stands.
 * Returns when to look again, 0 if never. As the owner of the extension,
 * whoever calls: who may write the series may have its visits.
 * Errors: whatever a visit that is not double booked raises.
 * Where: in a transaction of a backend, after the row was written.
 */
extern TimestampTz th_series_expand(int64 clinic_id, int64 series_id,
									TimestampTz now);

/* The same for a series that is gone: removes its visits to come. */
extern void th_series_drop(int64 clinic_id, int64 series_id, TimestampTz now);

typedef struct ThSeriesLook
{
	int64 clinic_id;
	int64 series_id;
	TimestampTz due_at;  /* out: 0 if never again */
	const char *problem; /* out: NULL, or what was in the way of this one */
} ThSeriesLook;

/*
 * Makes what the horizon has reached of "n" series. Memory: problems are in
 * the current context. Where: in a transaction of the dispatcher, as the
 * worker's role; waits for nobody.
 */
extern void th_series_extend(ThSeriesLook *looks, int n, TimestampTz now);

#endif /* TH_STORE_SERIES_H */
