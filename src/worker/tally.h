/*
 * tally.h
 *	  How often feeds were read, counted in shared memory.
 *
 * Reading a feed writes no row; the dispatcher adds up what came together
 * every few seconds. The counts are for people: a crash of the server loses
 * what was not written, and without the preloaded library nothing is counted.
 */
#ifndef TH_WORKER_TALLY_H
#define TH_WORKER_TALLY_H

#include "datatype/timestamp.h"

#define TH_TALLY_ENTRIES 2048

typedef struct ThTally
{
	int64 clinic_id;
	int64 feed_id;
	int64 count;
	TimestampTz last_at;
} ThTally;

/*
 * Counts an access to a feed of this database. With more feeds between two
 * writes than there is room for, some accesses are not counted. Never throws.
 * Where: any backend; a standby counts nothing.
 */
extern void th_tally_add(int64 clinic_id, int64 feed_id, TimestampTz at);

/* Copies what is not written yet for this database, TH_TALLY_ENTRIES at most; returns how many. */
extern int th_tally_read(ThTally *out);

/*
 * Takes off what was read and written. What could not be written (its feed is
 * locked) stays for an hour, since it may be gone for good. Never throws.
 */
extern void th_tally_settle(const ThTally *tallies, const bool *is_written,
							int n);

#endif /* TH_WORKER_TALLY_H */
