/*
 * th_instant.h
 *	  Instants as JSON carries them (RFC 3339, and what comes close).
 */
#ifndef TH_BASE_INSTANT_H
#define TH_BASE_INSTANT_H

#include "datatype/timestamp.h"

/* "2026-01-06T09:30:00Z". Memory: current context. */
extern char *th_instant_text(TimestampTz instant);

/*
 * What clocks in the zone show, "2026-01-06T10:30:00"; NULL if that does not
 * say the instant, or the server knows no such zone. Memory: current context.
 */
extern char *th_instant_local_text(TimestampTz instant, const char *zone_name);

/*
 * The instant of "text", with Z or an offset or local to "zone_name"; 0 if it
 * is none. A local time that "expected" also has in that zone is taken for
 * "expected", since an hour may occur twice; 0 expects nothing.
 */
extern TimestampTz th_instant_read(const char *text, const char *zone_name,
								   TimestampTz expected);

/* The same for "2026-01-06": midnight in the zone. */
extern TimestampTz th_instant_read_date(const char *text,
										const char *zone_name);

#endif /* TH_BASE_INSTANT_H */
