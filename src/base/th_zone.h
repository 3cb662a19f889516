/*
 * th_zone.h
 *	  Time zones of the server's own data, as offsets over time.
 *
 * A zone reads what lies about the instants asked for, and more when asked.
 * Any process, no transaction needed. Instants are finite.
 */
#ifndef TH_BASE_ZONE_H
#define TH_BASE_ZONE_H

#include "datatype/timestamp.h"
#include "pgtime.h"

/* In force from "at" on, until the next one's. */
typedef struct ThZoneSpan
{
	TimestampTz at;
	int offset; /* seconds east of Greenwich */
	bool is_dst;
	char name[16]; /* "CET", "-03" */
} ThZoneSpan;

typedef struct ThZone
{
	const char *name; /* as in the server's data: "Europe/Berlin" */
	pg_tz *tz;
	MemoryContext context;
	TimestampTz from; /* spans[0] is in force there, and may be older */
	TimestampTz until;
	int n_spans; /* 0: nothing read yet */
	int memo;    /* where the last answer was */
	ThZoneSpan *spans;
} ThZone;

/* How well the wall time says an instant. */
typedef enum ThWallKind
{
	TH_WALL_EXACT,
	TH_WALL_TWICE,  /* the clock shows that time twice */
	TH_WALL_SECONDS /* the offset has seconds */
} ThWallKind;

/*
 * The zone of a name of the tz database, in upper or lower case; NULL if the
 * server knows none, for POSIX rules, and for names of the machine's own zone.
 */
extern pg_tz *th_zone_named(const char *name);

/*
 * The same, to be asked. Memory: current context, where it also reads more
 * later. Errors: out of memory.
 */
extern ThZone *th_zone_open(const char *name);

/* Reads what lies from "from" until "until", both inclusive. */
extern void th_zone_cover(ThZone *zone, TimestampTz from, TimestampTz until);

/* Number of the span in force at an instant, read if need be. */
extern int th_zone_find(ThZone *zone, TimestampTz instant);

/* The wall time at an instant. */
extern ThWallKind th_zone_wall(ThZone *zone, TimestampTz instant,
							   Timestamp *wall);

#endif /* TH_BASE_ZONE_H */
