/*
 * visit.h
 *	  Sessions under way: what was told of them, and how they stand.
 *
 * Where: in a transaction of the dispatcher, as the worker's role. All work
 * set-wise; nothing waits for what an application holds.
 */
#ifndef TH_STORE_VISIT_H
#define TH_STORE_VISIT_H

#include "store/account.h"
#include "store/job.h"
#include "store/session.h"
#include "utils/jsonb.h"

/* A session whose job was claimed. */
typedef struct ThVisitSubject
{
	ThSession *session; /* NULL: it is gone */
	ThAccount *account; /* where its meeting is, or NULL */
	bool has_new;       /* events nobody has looked at */
	const char *run;    /* the last run that is known to have begun, or NULL */
} ThVisitSubject;

/* The subjects of session jobs, in their order; of other jobs nothing. Memory: current context. */
extern ThVisitSubject *th_visit_load(const ThJob *jobs, int n);

/* One event as it lies. */
typedef struct ThVisitRow
{
	int place; /* of its session, in the caller's list */
	int64 id;
	const char *source;
	const char *event_name;
	TimestampTz event_at;
	const char *meeting_id;
	Jsonb *raw;
	bool is_new;
} ThVisitRow;

/* Called for each event, before its memory goes. */
typedef void (*ThVisitRowFunction)(ThVisitRow *row, void *arg);

/* A session as it is, and as it should be. */
typedef struct ThVisitState
{
	int64 clinic_id;
	int64 session_id;
	bool is_gone;   /* out of th_visit_lock() */
	bool is_locked; /* somebody holds it: not now */
	int64 appointment_id;
	int64 patient_id;
	TimestampTz scheduled_at;
	int duration;
	const char *status;
	const char *host;
	const char *meeting_id;
	bool is_live;
	/* to be written */
	bool is_told; /* the events say how it stands; else what follows is left */
	const char *new_status;
	TimestampTz started_at;
	TimestampTz ended_at;
	int actual_duration; /* -1: none */
	TimestampTz host_joined_at;
	TimestampTz patient_joined_at;
	TimestampTz waiting_room_entered_at;
	TimestampTz waiting_room_admitted_at;
	const char *meeting_uuid;
	const char *recording_url;

	bool is_changed; /* out of the writing functions */
} ThVisitState;

/* Locks the sessions that nobody holds, and reads them. Memory: current context. */
extern void th_visit_lock(ThVisitState *visits, int n);

/* Every event of the sessions, at most "most" of each. */
extern void th_visit_events(const ThVisitState *visits, int n, int most,
							ThVisitRowFunction take, void *arg);

/* Writes the state of sessions that differ, and what the appointments' status follows. */
extern void th_visit_write(ThVisitState *visits, int n);

/* A row of participant, and of waiting_room_entry. */
typedef struct ThVisitPersonRow
{
	int place;
	const char *participant_id;
	const char *name;
	const char *role;
	TimestampTz joined_at;
	TimestampTz left_at;
	int duration;
	const char *device;
	int latency_ms; /* -1 none */
	int join_count;
	const char *wait_status; /* NULL: no entry */
	TimestampTz wait_joined_at;
	TimestampTz wait_admitted_at;
	TimestampTz wait_left_at;
} ThVisitPersonRow;

/* Makes the rows of the locked sessions these and no others. */
extern void th_visit_write_people(ThVisitState *visits, int n,
								  const ThVisitPersonRow *rows, int n_rows);

typedef struct ThVisitFileRow
{
	int place;
	const char *file_id;
	const char *type;
	const char *url;
	int64 size; /* -1 none */
	TimestampTz started_at;
	TimestampTz ended_at;
	const char *status;
	TimestampTz deleted_at;
} ThVisitFileRow;

extern void th_visit_write_files(ThVisitState *visits, int n,
								 const ThVisitFileRow *rows, int n_rows);

/* Says of events that they were looked at, and whether they meant something. */
extern void th_visit_mark_seen(const int64 *clinics, const int64 *ids,
							   const char *const *outcomes, int n,
							   TimestampTz now);

/*
 * The session's meeting may be gone: the next look asks for it. "prefix" is
 * th_wish_sent()'s. False while the meeting is being worked on.
 */
extern bool th_visit_doubt_meeting(const ThVisitState *visit,
								   const char *prefix);

/* Files the end of a run that the platform was asked for, as if it had told. */
extern void th_visit_note_end(const ThVisitState *visit, const char *run,
							  TimestampTz started_at, TimestampTz ended_at);

/* Tells listeners which sessions have changed. */
extern void th_visit_notify(const ThVisitState *visits, int n);

/*
 * Marks sessions without a job that should have one, for new events, or since
 * their end is longer ago than "grace_us" but they run. Returns their number.
 */
extern int th_visit_sweep(TimestampTz now, int64 grace_us, int limit);

#endif /* TH_STORE_VISIT_H */
