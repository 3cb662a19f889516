/*
 * visit.c
 *	  A session under way: has a run ended whose end nobody told us?
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "flow/visit.h"

/* A run that goes on is asked about again, less and less often. */
#define FIRST_LOOK_US (2 * USECS_PER_MINUTE)
#define LAST_LOOK_US (30 * USECS_PER_MINUTE)

TimestampTz
th_visit_planned_end(TimestampTz scheduled_at, int duration)
{
	return scheduled_at == 0
			   ? 0
			   : scheduled_at + (TimestampTz) duration * USECS_PER_MINUTE;
}

/* It runs on as far as is known, and the time for that is over. */
static bool
is_overdue(const ThVisitSubject *subject, TimestampTz now)
{
	const ThSession *s = subject->session;
	TimestampTz end = th_visit_planned_end(s->scheduled_at, s->duration);

	return !s->is_retired && end != 0 &&
		   strcmp(s->status, "IN_PROGRESS") == 0 &&
		   now >= end + TH_VISIT_GRACE_US && now < end + TH_VISIT_GIVE_UP_US;
}

/* Later the longer it has been overdue: nothing else is remembered of it. */
static void
look_later(ThWork *work, TimestampTz now, const char *error)
{
	const ThSession *s = work->visit->session;
	TimestampTz end = th_visit_planned_end(s->scheduled_at, s->duration);
	TimestampTz over = now - end - TH_VISIT_GRACE_US;
	TimestampTz pause = Min(Max(over / 2, FIRST_LOOK_US), LAST_LOOK_US);

	th_work_later(work, now, Min(now + pause, end + TH_VISIT_GIVE_UP_US), NULL,
				  error);
}

void
th_visit_decide(ThWork *work, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	ThVisitSubject *subject = work->visit;

	if (subject->session == NULL || subject->has_new ||
		!is_overdue(subject, now))
		th_work_done(work);
	else
	{
		work->platform = th_platform_find(subject->session->platform);
		work->account = subject->account;
		if (work->platform == NULL || work->platform->answer != NULL ||
			work->account == NULL || subject->run == NULL ||
			strcmp(work->account->status, "disconnected") == 0)
			look_later(work, now, NULL);
		else
		{
			work->state = TH_WORK_READY;
			work->purpose = TH_PURPOSE_VISIT;
			work->op = TH_OP_PAST;
			work->target = subject->session;
		}
	}
	MemoryContextSwitchTo(old);
}

void
th_visit_refuse(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	th_work_note(work, now, "token", "waiting", NULL, answer->code,
				 answer->message, answer->retry_at);
	look_later(work, now,
			   answer->message != NULL ? answer->message
									   : th_verdict_name(answer->verdict));
}

void
th_visit_advance(ThWork *work, const ThMeetingAnswer *answer,
				 const ThHttpResult *result, TimestampTz now)
{
	bool is_over = answer->verdict == TH_VERDICT_OK;
	bool runs = answer->verdict == TH_VERDICT_GONE;
	const char *error = answer->message != NULL
							? answer->message
							: th_verdict_name(answer->verdict);

	th_work_note(work, now, th_op_name(work->op),
				 is_over ? "ok"
				 : runs  ? "nothing"
						 : "retry",
				 result, answer->code, runs ? NULL : answer->message,
				 answer->retry_at);
	if (is_over)
	{
		work->run_started_at = answer->starts_at;
		work->run_ended_at = answer->ended_at;
		th_work_done(work);
	}
	else if (runs)
		look_later(work, now, NULL);
	else if (answer->retry_at != 0)
		th_work_later(work, now, answer->retry_at, NULL, error);
	else
		look_later(work, now, error);
}
