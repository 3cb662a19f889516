/*
 * interval.c
 *	  How long a function may wait.
 */
#include "postgres.h"

#include "api/interval.h"

long
th_interval_ms(const Interval *interval)
{
	double ms = (double) interval->time / 1000.0 +
				(double) interval->day * SECS_PER_DAY * 1000.0 +
				(double) interval->month * DAYS_PER_MONTH * SECS_PER_DAY *
					1000.0;

	return (long) Max(0.0, Min(ms, SECS_PER_DAY * 1000.0));
}
