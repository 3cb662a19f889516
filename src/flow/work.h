/*
 * work.h
 *	  One claimed job on its way: the present call and what it led to.
 *
 * Lives in the dispatcher only, outside any transaction between claim and
 * settle.
 */
#ifndef TH_FLOW_WORK_H
#define TH_FLOW_WORK_H

#include "lib/ilist.h"
#include "nodes/pg_list.h"
#include "platform/platform.h"
#include "store/history.h"
#include "store/meeting.h"
#include "store/visit.h"

/* Calls one look may lead to, at most; a look that wants more is settled and looks again. */
#define TH_WORK_MAX_CALLS 100

typedef enum ThWorkState
{
	TH_WORK_READY,   /* waits for a place, a rate or a token */
	TH_WORK_RUNNING, /* its exchange is under way */
	TH_WORK_FINISHED /* waits to be settled */
} ThWorkState;

/* Why the present call is made. */
typedef enum ThPurpose
{
	TH_PURPOSE_CREATE,
	TH_PURPOSE_ADOPT, /* a create's outcome is not known: look first */
	TH_PURPOSE_UPDATE,
	TH_PURPOSE_DELETE,
	TH_PURPOSE_VISIT, /* has it ended? */
	TH_PURPOSE_ASK    /* a backend waits for the answer */
} ThPurpose;

/* What the works of one claim share; goes with the last of them. */
typedef struct ThBatch
{
	MemoryContext context;
	int live;
} ThBatch;

typedef struct ThWork
{
	dlist_node node;       /* in the dispatcher's list */
	MemoryContext context; /* everything of this work; its own */
	ThBatch *batch;        /* where subject lies, or NULL */
	ThWorkState state;
	ThJob job;                       /* unused for asks */
	ThMeetingSubject *subject;       /* of a meeting job, else NULL */
	ThVisitSubject *visit;           /* of a session job, else NULL */
	struct ThCalendarWork *calendar; /* of a job about calendars, else NULL */

	/* the call */
	ThPurpose purpose;
	const ThPlatform *platform;
	ThAccount *account; /* NULL for the mock */
	ThPlatformOp op;
	ThMeetingWish wish;
	const char *wish_hash;
	ThSession *target; /* session it is about */
	bool is_tombstone; /* target is the subject's tombstone */
	bool needs_begin;  /* the intent has to be committed first */
	const char *page;  /* FIND */
	int calls;
	bool is_token_renewed; /* after a 401, once */
	List *surplus; /* ids of further meetings with our marker, to be deleted */
	const char *rejected_for; /* the answer was unsafe and is being removed */
	TimestampTz lease_until;

	/* what it led to */
	ThSettle settle;
	bool writes_session;
	bool links; /* appointment.meeting_id and join_url are to be written */
	const char *link_meeting_id;
	const char *link_join_url;
	bool is_created; /* target has a meeting id fresh from the vendor */
	TimestampTz
		run_started_at;       /* of a session's run that has ended, as asked */
	TimestampTz run_ended_at; /* 0: nothing was learned */
	bool is_dropped; /* somebody else owns the subject: settle nothing */
	List *history;   /* ThHistory * */

	/* the pool's account this call runs on, and the token it was made with */
	struct ThPoolAccount *pool;
	struct ThOrigin *origin; /* of the call that runs */
	uint32 token_no;

	/* asks only */
	struct ThAskWork *ask;
} ThWork;

/* Name of the host a URL goes to, without port and path. Memory: current context. */
extern char *th_work_host(const char *url);

/* What the vendor calls what the present call is about, or NULL. */
extern const char *th_work_meeting_id(const ThWork *work);

/* Adds a row to the work's history. */
extern void th_work_note(ThWork *work, TimestampTz at, const char *action,
						 const char *outcome, const ThHttpResult *result,
						 const char *code, const char *message,
						 TimestampTz retry_at);

/* Ends the work: nothing to do any more, or at once again. */
extern void th_work_done(ThWork *work);
extern void th_work_again(ThWork *work);

/*
 * Ends the work for now: it is due at "at", or after a backoff with jitter
 * when "at" is 0. waiting_for and error may be NULL; error raises failures.
 */
extern void th_work_later(ThWork *work, TimestampTz now, TimestampTz at,
						  const char *waiting_for, const char *error);

extern void th_work_dead(ThWork *work, const char *error);

/* Backoff after "failures" failures: full jitter below 2^failures seconds, capped; shorter caps near the start. */
extern TimestampTz th_work_backoff(TimestampTz now, int failures, bool is_near);

/* Class of the queue the job belongs to now. */
extern ThPriority th_work_priority(const ThWork *work, TimestampTz now);

#endif /* TH_FLOW_WORK_H */
