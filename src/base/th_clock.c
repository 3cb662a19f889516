/*
 * th_clock.c
 *	  The one place that asks for the time.
 */
#include "postgres.h"

#include <time.h>

#include "utils/timestamp.h"

#include "base/th_clock.h"

TimestampTz
th_clock_now(void)
{
	return GetCurrentTimestamp();
}

int64
th_clock_monotonic_ms(void)
{
	struct timespec now;

	/* Cannot fail: the clock exists on every platform we build for. */
	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
