/*
 * work.c
 *	  How a work ends, and what is written about it.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_error.h"
#include "flow/calendar_work.h"

#define MAX_BACKOFF_MS (15 * 60 * 1000)
#define MAX_NEAR_BACKOFF_MS (20 * 1000)
#define FIRST_BACKOFF_MS 1000
#define MAX_MESSAGE 200

char *
th_work_host(const char *url)
{
	const char *start = strstr(url, "://");
	size_t length;

	start = start == NULL ? url : start + 3;
	length = strcspn(start, "/?#");
	return pnstrdup(start, length);
}

const char *
th_work_meeting_id(const ThWork *work)
{
	if (work->op == TH_OP_PAST)
		return work->visit->run;
	if (work->op == TH_OP_DELETE && work->surplus != NIL)
		return linitial(work->surplus);
	return work->target == NULL ? NULL : work->target->meeting_id;
}

static const char *
platform_of(const ThWork *work)
{
	if (work->calendar != NULL)
		return work->calendar->vendor == NULL ? NULL
											  : work->calendar->vendor->kind;
	return work->platform == NULL ? NULL : work->platform->name;
}

static char *
host_of(const ThWork *work)
{
	const char *url = NULL;

	if (work->calendar != NULL)
		url = work->calendar->account.api_url;
	else if (work->account != NULL)
		url = work->account->api_url;
	return url == NULL ? NULL : th_work_host(url);
}

void
th_work_note(ThWork *work, TimestampTz at, const char *action,
			 const char *outcome, const ThHttpResult *result, const char *code,
			 const char *message, TimestampTz retry_at)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	ThHistory *row = palloc0_object(ThHistory);

	row->at = at;
	row->job = work->job;
	row->platform = platform_of(work);
	row->action = action;
	row->outcome = outcome;
	row->http_status = result == NULL ? 0 : (int) result->status;
	row->code = code == NULL ? NULL : pstrdup(code);
	row->message = message == NULL ? NULL
								   : th_error_redact(message, MAX_MESSAGE);
	row->host = result == NULL ? NULL : host_of(work);
	row->total_ms = result == NULL ? -1 : result->total_ms;
	row->retry_at = retry_at;
	work->history = lappend(work->history, row);
	MemoryContextSwitchTo(old);
}

TimestampTz
th_work_backoff(TimestampTz now, int failures, bool is_near)
{
	int64 cap = is_near ? MAX_NEAR_BACKOFF_MS : MAX_BACKOFF_MS;
	int64 ceiling = FIRST_BACKOFF_MS;

	for (int i = 1; i < failures && ceiling < cap; i++)
		ceiling *= 2;
	ceiling = Min(ceiling, cap);

	/* never below a quarter, so that a dead remote is not asked at once again */
	return now + (ceiling / 4 + (int64) (pg_prng_double(&pg_global_prng_state) *
										 ceiling * 3 / 4)) *
					 1000;
}

ThPriority
th_work_priority(const ThWork *work, TimestampTz now)
{
	const ThAppointment *a;

	if (work->subject == NULL)
		return work->job.priority;
	a = &work->subject->appointment;
	if (a->exists && a->ends_at > now &&
		a->starts_at < now + TH_NEAR_MINUTES * USECS_PER_MINUTE)
		return TH_PRIORITY_NEAR;
	return Max(work->job.priority, TH_PRIORITY_CREATE);
}

static void
finish(ThWork *work, ThSettleVerb verb)
{
	work->state = TH_WORK_FINISHED;
	work->settle.job = work->job;
	work->settle.verb = verb;
	work->settle.priority = work->job.priority;
	work->settle.failures = 0;
}

void
th_work_done(ThWork *work)
{
	finish(work, TH_SETTLE_DONE);
}

void
th_work_again(ThWork *work)
{
	finish(work, TH_SETTLE_AGAIN);
}

void
th_work_later(ThWork *work, TimestampTz now, TimestampTz at,
			  const char *waiting_for, const char *error)
{
	ThPriority priority = th_work_priority(work, now);
	int failures = work->job.failures + (error == NULL ? 0 : 1);

	finish(work, TH_SETTLE_LATER);
	work->settle.priority = priority;
	work->settle.failures = failures;
	work->settle.due_at = at != 0
							  ? at
							  : th_work_backoff(now, failures,
												priority == TH_PRIORITY_NEAR);
	work->settle.waiting_for = waiting_for == NULL
								   ? NULL
								   : MemoryContextStrdup(work->context,
														 waiting_for);
	work->settle.error =
		error == NULL
			? NULL
			: MemoryContextStrdup(work->context,
								  th_error_redact(error, MAX_MESSAGE));
}

void
th_work_dead(ThWork *work, const char *error)
{
	finish(work, TH_SETTLE_DEAD);
	work->settle.failures = work->job.failures + 1;
	work->settle.error =
		MemoryContextStrdup(work->context, th_error_redact(error, MAX_MESSAGE));
}
