/*
 * th_wall.h
 *	  Which instant a clock on a wall means.
 */
#ifndef TH_BASE_WALL_H
#define TH_BASE_WALL_H

#include "datatype/timestamp.h"
#include "pgtime.h"

/*
 * The zone of that name, see th_zone_named().
 * Errors: 22023 if there is none.
 */
extern pg_tz *th_wall_zone(const char *name);

/*
 * The instant at which clocks in "zone" show "wall", by the rule of RFC 5545
 * (3.3.5): a time that clocks skip is read with the offset before the change,
 * so that it comes that much later; of one they show twice the first is meant.
 * Errors: 22008 beyond what a timestamp can hold.
 */
extern TimestampTz th_wall_instant(Timestamp wall, pg_tz *zone);

/* What clocks in "zone" show at an instant. Errors: 22008. */
extern Timestamp th_wall_of(TimestampTz instant, pg_tz *zone);

#endif /* TH_BASE_WALL_H */
