/*
 * expand.h
 *	  From a provider, a patient or a clinic to the visits to come whose
 *	  meetings may have to follow them.
 *
 * Where: in a transaction of the dispatcher, as the worker's role. Nothing
 * waits for what an application holds: "held" counts what could not be marked
 * for that reason.
 */
#ifndef TH_STORE_EXPAND_H
#define TH_STORE_EXPAND_H

#include "store/job.h"

/* How far a clinic's visits are marked. */
typedef struct ThExpandPoint
{
	TimestampTz starts_at; /* 0: from the beginning */
	int64 id;
} ThExpandPoint;

/* Marks the visits of "n" providers or patients, as "kind" says; returns their number. */
extern int th_expand_people(ThJobKind kind, const int64 *clinics,
							const int64 *ids, int n, TimestampTz now,
							int *held);

/*
 * Marks up to "limit" visits of a clinic behind *point, which moves on;
 * returns their number. Fewer than "limit" means that these were the last.
 */
extern int th_expand_clinic(int64 clinic_id, ThExpandPoint *point, int limit,
							TimestampTz now, int *held);

/* Marks every clinic that has visits, but clinic 0. */
extern void th_expand_clinics(TimestampTz now, int *held);

#endif /* TH_STORE_EXPAND_H */
