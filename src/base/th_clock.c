/*
 * th_clock.c
 *	  The one place that asks for the time.
 */
#include "postgres.h"

#include <time.h>

#include "utils/timestamp.h"

#include "base/th_clock.h"

#ifdef TH_DEBUG
static int64 offset_us = 0;

void
th_clock_set_offset(int64 seconds)
{
	offset_us = seconds * USECS_PER_SEC;
}
#endif

TimestampTz
th_clock_now(void)
{
#ifdef TH_DEBUG
	return GetCurrentTimestamp() + offset_us;
#else
	return GetCurrentTimestamp();
#endif
}

int64
th_clock_monotonic_ms(void)
{
	struct timespec now;

	/* Cannot fail: the clock exists on every platform we build for. */
	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
