/*
 * job_insert.h
 *	  New jobs without the executor: what every booking pays for.
 */
#ifndef TH_STORE_JOB_INSERT_H
#define TH_STORE_JOB_INSERT_H

#include "store/job.h"

/*
 * Inserts the jobs of subjects that have none. Those that turn out to have
 * one (or may) come to stand in front of the array, untouched; their number
 * is returned, and th_job_mark()'s statement is for them. All are returned
 * if the table is not as this library knows it (an older version's, or with
 * indexes or triggers of somebody else); *is_possible says so, if not NULL:
 * then keys that can be seen are not even tried, for those who expect many.
 * Memory: nothing stays. Errors: as an INSERT's.
 * Where: in a transaction; rights are not asked for.
 */
extern int th_job_insert(ThMark *marks, int n, TimestampTz now,
						 bool *is_possible);

#endif /* TH_STORE_JOB_INSERT_H */
