/*
 * booking.h
 *	  Visits of one statement that take time, held against busy times.
 *
 * Only with telehealth.busy_time_blocks. Memory: the context of
 * th_bookings_begin(). Where: in a trigger.
 */
#ifndef TH_API_BOOKING_H
#define TH_API_BOOKING_H

#include "datatype/timestamp.h"
#include "utils/relcache.h"

typedef struct ThBookings ThBookings;

extern ThBookings *th_bookings_begin(void);

extern void th_bookings_add(ThBookings *bookings, int64 clinic_id, int64 id,
							int64 provider_id, TimestampTz starts_at,
							TimestampTz ends_at);

/*
 * Errors: 23P01, as the constraint against double booking, if a busy time of
 * the provider overlaps one of them; its constraint is named
 * appointment_busy_time_excl.
 */
extern void th_bookings_check(const ThBookings *bookings, Relation relation);

#endif /* TH_API_BOOKING_H */
