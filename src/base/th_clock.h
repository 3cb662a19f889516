/*
 * th_clock.h
 *	  The one place that asks for the time.
 */
#ifndef TH_BASE_CLOCK_H
#define TH_BASE_CLOCK_H

#include "datatype/timestamp.h"

/* Wall clock, for what is stored and compared with rows. Never throws. */
extern TimestampTz th_clock_now(void);

/* Milliseconds that only ever grow, for waits and deadlines. Never throws. */
extern int64 th_clock_monotonic_ms(void);

#endif /* TH_BASE_CLOCK_H */
