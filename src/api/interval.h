/*
 * interval.h
 *	  How long a function may wait.
 */
#ifndef TH_API_INTERVAL_H
#define TH_API_INTERVAL_H

#include "datatype/timestamp.h"

/* Milliseconds of an interval, from 0 to a day. */
extern long th_interval_ms(const Interval *interval);

#endif /* TH_API_INTERVAL_H */
