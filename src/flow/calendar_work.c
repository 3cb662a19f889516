/*
 * calendar_work.c
 *	  What jobs about calendars have in common.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "flow/calendar_expand.h"
#include "flow/calendar_push.h"
#include "flow/calendar_work.h"

const ThCalendarFlow *
th_calendar_flow(ThJobKind kind)
{
	switch (kind)
	{
		case TH_JOB_CALENDARS:
			return &th_calendar_visits_flow;
		case TH_JOB_EVENT:
			return &th_calendar_event_flow;
		case TH_JOB_CHANNEL:
			return &th_calendar_channel_flow;
		case TH_JOB_PULL:
			return &th_calendar_pull_flow;
		case TH_JOB_CONNECTION:
			return &th_calendar_connection_flow;
		default:
			return NULL;
	}
}

void
th_calendar_note(ThWork *work, const ThHttpResult *result, const char *outcome,
				 TimestampTz now)
{
	const ThCalendarAnswer *answer = work->calendar->answer;

	th_work_note(work, now, th_calendar_op_name(work->calendar->call.op),
				 outcome, result, answer == NULL ? NULL : answer->code,
				 answer == NULL ? NULL : answer->message,
				 answer == NULL ? 0 : answer->retry_at);
}

void
th_calendar_fail(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	const ThCalendarAnswer *answer = work->calendar->answer;
	const char *message = answer->message == NULL
							  ? th_calendar_verdict_name(answer->verdict)
							  : answer->message;
	TimestampTz at;

	switch (answer->verdict)
	{
		case TH_CALENDAR_RATE_LIMITED:
			th_calendar_note(work, result, "retry", now);
			th_work_later(work, now, answer->retry_at, "rate_limited", NULL);
			break;
		case TH_CALENDAR_SCOPE_MISSING:
		case TH_CALENDAR_CREDENTIALS:
			th_calendar_note(work, result, "waiting", now);
			th_work_later(work, now, now + TH_CALENDAR_PARKED_US,
						  "reauth_required", message);
			break;
		case TH_CALENDAR_PERMANENT:
			th_calendar_note(work, result, "dead", now);
			th_work_dead(work, message);
			break;
		case TH_CALENDAR_UNKNOWN:
			th_calendar_note(work, result, "unknown", now);
			th_work_later(work, now, answer->retry_at, NULL, message);
			break;
		default:
			/* a header that says 1 does not end the growing of the pause */
			th_calendar_note(work, result, "retry", now);
			at = th_work_backoff(now, work->job.failures + 1, false);
			th_work_later(work, now, Max(at, answer->retry_at), NULL, message);
			break;
	}
}
