/*
 * booking.c
 *	  Visits of one statement that take time, held against busy times.
 */
#include "postgres.h"

#include "utils/rel.h"

#include "api/booking.h"
#include "store/busy.h"
#include "store/owner.h"

/* A chunk of so many is asked for at once. */
#define CHUNK 1000

struct ThBookings
{
	int n;
	int room;
	ThBusyBooking *items;
};

ThBookings *
th_bookings_begin(void)
{
	ThBookings *bookings = palloc0(sizeof(ThBookings));

	bookings->room = 8;
	bookings->items = palloc_array(ThBusyBooking, bookings->room);
	return bookings;
}

void
th_bookings_add(ThBookings *bookings, int64 clinic_id, int64 id,
				int64 provider_id, TimestampTz starts_at, TimestampTz ends_at)
{
	ThBusyBooking *item;

	if (bookings->n == bookings->room)
	{
		bookings->room *= 2;
		bookings->items = repalloc_huge(bookings->items,
										sizeof(ThBusyBooking) * bookings->room);
	}
	item = &bookings->items[bookings->n++];
	item->clinic_id = clinic_id;
	item->id = id;
	item->provider_id = provider_id;
	item->starts_at = starts_at;
	item->ends_at = ends_at;
}

/*
 * Whoever may write the visit is told that its time is taken, and nothing
 * else of what takes it.
 */
void
th_bookings_check(const ThBookings *bookings, Relation relation)
{
	const ThBusyBooking *found = NULL;
	ThOwnerScope scope;

	th_owner_enter(&scope);
	for (int i = 0; i < bookings->n && found == NULL; i += CHUNK)
		found = th_busy_find_conflict(&bookings->items[i],
									  Min(bookings->n - i, CHUNK));
	th_owner_leave(&scope);
	if (found != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EXCLUSION_VIOLATION),
				 errmsg("appointment " INT64_FORMAT
						" overlaps a busy time of provider " INT64_FORMAT,
						found->id, found->provider_id),
				 errhint("An overbooked appointment may, and so may any while "
						 "telehealth.busy_time_blocks is off."),
				 errtableconstraint(relation, "appointment_busy_time_excl")));
}
