/*
 * calendar_remote.c
 *	  What somebody did to an event of ours in the calendar, and what is to
 *	  come of it.
 *
 * Only the times and the title are compared, with what we want and with what
 * we wrote: everything else there is the calendar owner's to change.
 */
#include "postgres.h"

#include "flow/calendar_remote.h"

static bool
is_live(const ThEventSubject *facts)
{
	static const char *const live[] = { "SCHEDULED", "CONFIRMED", "CHECKED_IN",
										"IN_PROGRESS" };

	if (!facts->visit.exists || facts->event.is_retired ||
		facts->visit.provider_id != facts->connection->provider_id)
		return false;
	for (size_t i = 0; i < lengthof(live); i++)
	{
		if (strcmp(facts->visit.status, live[i]) == 0)
			return th_event_is_shown(facts);
	}
	return false;
}

static bool
is_same_time(const ThEventWish *wish, const ThEventSeen *seen)
{
	return seen->starts_at == wish->starts_at &&
		   seen->ends_at == wish->ends_at && !seen->is_all_day;
}

static bool
is_same_title(const ThEventWish *wish, const ThEventSeen *seen)
{
	return seen->summary == NULL || strcmp(seen->summary, wish->summary) == 0;
}

/* A patient who is there already, or on the way, is not sent home. */
static bool
may_cancel(const ThEventVisit *visit, TimestampTz now)
{
	return visit->starts_at > now && (strcmp(visit->status, "SCHEDULED") == 0 ||
									  strcmp(visit->status, "CONFIRMED") == 0);
}

/* What a deletion leads to is the policy's; a change of it cancels nothing. */
static const char *
action_of(const ThEventSubject *facts, const char *change,
		  const ThEventSeen *seen, TimestampTz now)
{
	const char *policy = facts->connection->remote_change_policy;

	if (strcmp(policy, "cancel") != 0)
		return policy;
	if (strcmp(change, "deleted") != 0)
		return "restore";
	return seen == NULL || !may_cancel(&facts->visit, now) ? "flag" : policy;
}

bool
th_remote_judge(const ThEventSubject *facts, const ThEventWish *wish,
				const ThEventSeen *seen, TimestampTz now, ThRemoteChange *out)
{
	const ThCalendarEvent *event = &facts->event;
	bool is_gone = seen == NULL || seen->is_deleted || seen->is_cancelled;

	memset(out, 0, sizeof(*out));
	if (event->id == 0 || !is_live(facts))
		return false;
	out->clinic_id = event->clinic_id;
	out->connection_id = event->connection_id;
	out->event_id = event->id;
	out->appointment_id = event->appointment_id;
	out->our_start = wish->starts_at;
	out->our_end = wish->ends_at;
	out->etag = is_gone ? NULL : seen->etag;
	if (is_gone)
		out->change = "deleted";
	else if (th_event_wish_is_pushed(facts, wish, seen))
		out->change = NULL;
	else if (!is_same_time(wish, seen))
		out->change = "moved";
	else if (!is_same_title(wish, seen))
		out->change = "edited";
	out->state = is_gone               ? "deleted"
				 : out->change == NULL ? "unchanged"
									   : "changed";
	if (out->change == NULL)
		return true;
	if (!is_gone)
	{
		out->their_start = seen->starts_at;
		out->their_end = seen->ends_at;
	}
	out->action = action_of(facts, out->change, seen, now);
	out->is_pushed = strcmp(out->action, "restore") == 0;
	return true;
}
