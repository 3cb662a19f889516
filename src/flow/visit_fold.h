/*
 * visit_fold.h
 *	  From everything that was told of a visit to how it stands.
 *
 * Pure: no SPI, no clock, no network. The same events in any order, each
 * however often, give the same.
 */
#ifndef TH_FLOW_VISIT_FOLD_H
#define TH_FLOW_VISIT_FOLD_H

#include "platform/visit.h"

/* What else decides. */
typedef struct ThVisitFacts
{
	TimestampTz scheduled_at; /* 0: not known */
	int duration;             /* minutes */
	bool is_over;             /* past its end, and some time more */
	bool is_given_up;         /* so long that no run can be left */
} ThVisitFacts;

typedef struct ThVisitPerson
{
	const char *participant_id;
	const char *name; /* NULL: never told */
	const char *role; /* host, interpreter, patient */
	TimestampTz joined_at;
	TimestampTz left_at; /* 0: still there, or never */
	int duration;        /* seconds together, up to now known ends */
	int join_count;
	const char *device;
	int latency_ms; /* -1 unknown */

	/* the waiting room, of patients */
	const char *wait_status; /* NULL: was not there */
	TimestampTz wait_joined_at;
	TimestampTz wait_admitted_at;
	TimestampTz wait_left_at;
} ThVisitPerson;

typedef struct ThVisit
{
	const char *status; /* SCHEDULED, WAITING, IN_PROGRESS, COMPLETED */
	TimestampTz started_at;
	TimestampTz ended_at;
	int actual_duration; /* minutes; -1 unknown */
	TimestampTz host_joined_at;
	TimestampTz patient_joined_at;
	TimestampTz waiting_room_entered_at;
	TimestampTz waiting_room_admitted_at;
	const char *meeting_uuid; /* of the last run, NULL if there was none */
	const char *recording_url;
	bool is_deleted; /* the meeting, at the vendor */
	ThVisitPerson *people;
	int n_people;
	ThVisitFile *files;
	int n_files;
} ThVisit;

/*
 * Puts the events together. "events" is sorted in place. Memory: current
 * context; texts point into the events. Errors: out of memory.
 */
extern void th_visit_fold(ThVisitEvent *events, int n,
						  const ThVisitFacts *facts, ThVisit *out);

#endif /* TH_FLOW_VISIT_FOLD_H */
