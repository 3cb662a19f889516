/*
 * calendar_push_answer.c
 *	  What a calendar's answer about the event of a visit leads to.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "flow/calendar_push.h"

/* A change that meets another's so often in a row waits for a while. */
#define MAX_CONFLICTS 3

/* So long a pull has to say what became of an event that somebody deleted. */
#define PULL_US USECS_PER_MINUTE

/* What is said of who refuses the same thing each time. */
#define CHANGES_AGAIN "the event there changes again and again"
#define TAKEN_BY_NONE "its name is taken, and leads to nothing"

/* So late it is asked again whether somebody has decided about a pull. */
#define DECISION_US (15 * USECS_PER_MINUTE)

/* The next of the surplus goes, or the work is done. */
static void
clean_up(ThWork *work)
{
	ThPush *push = work->calendar->subject;

	if (push->surplus == NIL)
	{
		th_work_done(work);
		return;
	}
	push->is_surplus = true;
	th_push_call(work, TH_CALENDAR_DELETE);
	work->calendar->call.external_id = linitial(push->surplus);
}

/* Takes over what the calendar calls the event, and its version. */
static void
take_over(ThPush *push, const char *external_id, const char *etag)
{
	ThCalendarEvent *e = &push->facts->event;

	push->is_named |= e->external_id == NULL;
	e->external_id = pstrdup(external_id);
	e->etag = etag == NULL ? NULL : pstrdup(etag);
	e->has_intent = false;
	push->writes = true;
}

/* The event is as wanted. */
static void
confirm(ThWork *work)
{
	ThPush *push = work->calendar->subject;
	ThCalendarEvent *e = &push->facts->event;

	e->pushed_hash = e->wish_hash = push->hash;
	push->writes = push->is_pushed = true;
	clean_up(work);
}

/*
 * The next look makes the event. Whoever refuses that each time is asked ever
 * more seldom: what has failed before still counts, and a name that was taken
 * and has led to nothing does.
 */
static void
make_anew(ThWork *work, TimestampTz now)
{
	const ThPush *push = work->calendar->subject;
	int failures = work->job.failures;

	if (push->is_taken && failures > 0)
	{
		th_work_later(work, now, 0, NULL, TAKEN_BY_NONE);
		return;
	}
	th_work_again(work);
	work->settle.failures = failures + push->is_taken;
}

/* The event is not there (any more): another one has another name. */
static void
forget(ThPush *push)
{
	ThCalendarEvent *e = &push->facts->event;

	push->is_forgotten |= e->external_id != NULL;
	e->external_id = NULL;
	e->etag = NULL;
	e->pushed_hash = NULL;
	e->has_intent = false;
	e->generation++;
	push->writes = true;
}

static void
end_removal(ThWork *work)
{
	ThPush *push = work->calendar->subject;

	forget(push);
	push->is_removed = push->facts->event.is_retired ||
					   !push->facts->visit.exists;
	clean_up(work);
}

/* What somebody has written there is lost, but not unseen: by a pull, or now. */
static void
note_loss(ThPush *push, const char *change, const ThEventSeen *seen)
{
	ThEventLoss *loss;

	if (strcmp(push->facts->event.remote_state, "deleted") == 0 ||
		strcmp(push->facts->event.remote_state, "changed") == 0)
		return;
	loss = palloc0_object(ThEventLoss);
	loss->event = &push->facts->event;
	loss->change = change;
	loss->our_start = push->wish.starts_at;
	loss->our_end = push->wish.ends_at;
	if (seen != NULL)
	{
		loss->their_start = seen->starts_at;
		loss->their_end = seen->ends_at;
	}
	push->loss = loss;
}

/* True if what is there is what we want to be there: our own lost answer. */
static bool
is_as_wanted(const ThPush *push, const ThEventSeen *seen)
{
	return seen->starts_at == push->wish.starts_at &&
		   seen->ends_at == push->wish.ends_at && seen->summary != NULL &&
		   push->wish.summary != NULL &&
		   strcmp(seen->summary, push->wish.summary) == 0;
}

/*
 * Somebody deleted it there, and the visit has changed here. Where a deletion
 * counts it is for the pull to say what becomes of the visit.
 */
static void
meet_deletion(ThWork *work, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	const ThConnection *x = work->calendar->connection;

	/* of one that was only found a pull says nothing */
	if (push->facts->event.pushed_hash != NULL &&
		strcmp(x->remote_change_policy, "restore") != 0 &&
		strcmp(push->facts->event.remote_state, "deleted") != 0)
	{
		/* one that somebody has to decide about first says nothing yet */
		bool is_open = x->suspicious_at != 0;

		push->wants_pull = !is_open;
		th_work_later(work, now, now + (is_open ? DECISION_US : PULL_US),
					  is_open ? "suspicious_pull" : "remote_change", NULL);
		return;
	}
	note_loss(push, "deleted", NULL);
	forget(push);
	make_anew(work, now);
}

/* It is not where we know it. What was moved has another name at some vendors. */
static void
look_elsewhere(ThWork *work, TimestampTz now)
{
	ThPush *push = work->calendar->subject;

	if (work->calendar->vendor->name != NULL || push->found != NULL)
		meet_deletion(work, now);
	else
		th_push_call(work, TH_CALENDAR_FIND);
}

/* The longest time we wait for an answer, in microseconds. */
static TimestampTz
longest_wait(const ThWork *work)
{
	return (TimestampTz) Max(work->calendar->account.timeout_ms,
							 th_guc_request_timeout_ms) *
		   1000;
}

/*
 * It is neither where we know it nor where our key would lead. A create that
 * we have given up may still be on its way, so that "not there" counts only
 * after twice the longest time a request may take; unless the next one has
 * the same name, which only one of them can get. A name that is taken and
 * leads nowhere is given up then.
 */
static void
not_found(ThWork *work, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	ThCalendarEvent *e = &push->facts->event;
	bool is_named = work->calendar->vendor->name != NULL;
	TimestampTz quiet = Min(e->intent_at, now) + 2 * longest_wait(work);
	TimestampTz later = th_work_backoff(now, work->job.failures + 1, false);

	if (e->has_intent && now < quiet && push->is_taken)
		th_work_later(work, now, Max(quiet, later), "outcome_unknown",
					  TAKEN_BY_NONE);
	else if (e->has_intent && now < quiet && (!is_named || push->is_removing))
		th_work_later(work, now, quiet, "outcome_unknown", NULL);
	else if (push->is_removing)
		end_removal(work);
	else if (e->external_id != NULL)
		meet_deletion(work, now);
	else
	{
		if (is_named && now < quiet)
			e->has_intent = false;
		else
			forget(push);
		push->writes = true;
		make_anew(work, now);
	}
}

static void
fail(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	th_calendar_fail(work, result, now);
}

static const ThEventSeen *
first_seen(const ThWork *work)
{
	const ThCalendarAnswer *answer = work->calendar->answer;

	return answer->n_events > 0 ? &answer->events[0] : NULL;
}

static void
advance_create(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	const ThEventSeen *seen = first_seen(work);

	switch (work->calendar->answer->verdict)
	{
		case TH_CALENDAR_OK:
			th_calendar_note(work, result, "ok", now);
			take_over(push, seen->external_id, seen->etag);
			push->created++;
			confirm(work);
			break;
		case TH_CALENDAR_EXISTS:
			th_calendar_note(work, result, "retry", now);
			push->is_adopting = push->is_taken = true;
			/* whichever wish it was that came through: written over */
			push->facts->event.wish_hash = NULL;
			if (seen == NULL)
			{
				th_push_look(work);
				break;
			}
			/* our UID under another name: brought in line there, as it is by now */
			take_over(push, seen->external_id, NULL);
			th_push_call(work, TH_CALENDAR_READ);
			break;
		case TH_CALENDAR_UNKNOWN:
			fail(work, result, now);
			break;
		default:
			/* it did not act */
			push->facts->event.has_intent = false;
			push->writes = true;
			fail(work, result, now);
			break;
	}
}

static bool
is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* An event of ours is there, under this name: goes, is brought in line, or is as wanted. */
static void
meet_event(ThWork *work, const char *external_id, const char *etag)
{
	ThPush *push = work->calendar->subject;
	const ThCalendarEvent *e = &push->facts->event;
	bool is_ours = push->is_adopting && is_same(e->wish_hash, push->hash);
	bool is_as_left = push->is_found_wanted &&
					  is_same(e->external_id, external_id) &&
					  is_same(e->pushed_hash, push->hash);

	take_over(push, external_id, etag);
	if (push->is_removing)
		th_push_call(work, TH_CALENDAR_DELETE);
	else if (is_ours)
	{
		push->created++;
		confirm(work);
	}
	else if (is_as_left) /* of several: only the others are to go */
		confirm(work);
	else
	{
		th_push_call(work, TH_CALENDAR_UPDATE);
		work->calendar->call.etag = e->etag;
	}
}

static void
advance_read(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	const ThEventSeen *seen = first_seen(work);
	bool is_known = push->facts->event.external_id != NULL;

	switch (work->calendar->answer->verdict)
	{
		case TH_CALENDAR_OK:
			break;
		case TH_CALENDAR_GONE:
			th_calendar_note(work, result, "gone", now);
			if (is_known && !push->is_removing)
				look_elsewhere(work, now);
			else
				not_found(work, now);
			return;
		default:
			fail(work, result, now);
			return;
	}
	if (seen->is_deleted || seen->is_cancelled || (seen->is_copy && !is_known))
	{
		th_calendar_note(work, result, "gone", now);
		if (push->is_removing)
			end_removal(work);
		else if (is_known)
			meet_deletion(work, now);
		else
		{
			/* its name is that of one that was deleted, or somebody else's */
			forget(push);
			make_anew(work, now);
		}
		return;
	}
	th_calendar_note(work, result, is_known ? "ok" : "adopted", now);

	/* of which version it was nothing is known without an etag (CalDAV) */
	if (is_known && !push->is_removing &&
		push->facts->event.pushed_hash != NULL &&
		push->facts->event.etag != NULL && !is_as_wanted(push, seen) &&
		!th_event_wish_is_pushed(push->facts, &push->wish, seen))
		note_loss(push, "edited", seen);
	meet_event(work, seen->external_id, seen->etag);
}

/* Of several the one that we know stays. */
static bool
is_known_as(const ThPush *push, const char *external_id)
{
	return is_same(push->facts->event.external_id, external_id);
}

static void
advance_find(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	const ThCalendarAnswer *answer = work->calendar->answer;

	if (answer->verdict != TH_CALENDAR_OK)
	{
		fail(work, result, now);
		return;
	}
	for (int i = 0; i < answer->n_events; i++)
	{
		const ThEventSeen *seen = &answer->events[i];

		/* what somebody has made of a copy is not ours to touch */
		if (seen->is_copy && !is_as_wanted(push, seen))
			continue;
		if (push->found != NULL && !is_known_as(push, seen->external_id))
		{
			push->surplus = lappend(push->surplus, pstrdup(seen->external_id));
			continue;
		}
		if (push->found != NULL)
			push->surplus = lappend(push->surplus,
									unconstify(char *, push->found));
		push->found = pstrdup(seen->external_id);
		push->is_found_wanted = is_as_wanted(push, seen);
		push->found_etag = seen->etag == NULL ? NULL : pstrdup(seen->etag);
	}
	if (answer->next != NULL)
	{
		th_calendar_note(work, result, "ok", now);
		work->calendar->call.next = pstrdup(answer->next);
		work->state = TH_WORK_READY;
		return;
	}
	th_calendar_note(work, result, push->found == NULL ? "nothing" : "adopted",
					 now);
	if (push->found == NULL)
		not_found(work, now);
	else
		meet_event(work, push->found, push->found_etag);
}

static void
advance_update(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	const ThEventSeen *seen = first_seen(work);

	switch (work->calendar->answer->verdict)
	{
		case TH_CALENDAR_OK:
			th_calendar_note(work, result, "ok", now);
			take_over(push, seen->external_id, seen->etag);
			push->updated++;
			confirm(work);
			return;
		case TH_CALENDAR_CHANGED:
			th_calendar_note(work, result, "retry", now);
			if (push->conflicts++ == MAX_CONFLICTS)
				th_work_later(work, now, 0, NULL, CHANGES_AGAIN);
			else
				th_push_call(work, TH_CALENDAR_READ);
			return;
		case TH_CALENDAR_GONE:
			th_calendar_note(work, result, "gone", now);
			look_elsewhere(work, now);
			return;
		default:
			break;
	}
	fail(work, result, now);
}

static void
advance_delete(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	ThCalendarVerdict verdict = work->calendar->answer->verdict;

	if (verdict != TH_CALENDAR_OK && verdict != TH_CALENDAR_GONE)
	{
		fail(work, result, now);
		return;
	}
	th_calendar_note(work, result, verdict == TH_CALENDAR_OK ? "ok" : "gone",
					 now);
	push->deleted++;
	if (!push->is_surplus)
	{
		end_removal(work);
		return;
	}
	push->is_forgotten = true;
	push->surplus = list_delete_first(push->surplus);
	clean_up(work);
}

void
th_push_advance(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	switch (work->calendar->call.op)
	{
		case TH_CALENDAR_CREATE:
			advance_create(work, result, now);
			break;
		case TH_CALENDAR_READ:
			advance_read(work, result, now);
			break;
		case TH_CALENDAR_FIND:
			advance_find(work, result, now);
			break;
		case TH_CALENDAR_UPDATE:
			advance_update(work, result, now);
			break;
		case TH_CALENDAR_DELETE:
			advance_delete(work, result, now);
			break;
		default:
			elog(ERROR, "an event's work asked for \"%s\"",
				 th_calendar_op_name(work->calendar->call.op));
	}
	if (work->state != TH_WORK_READY || ++work->calls < TH_WORK_MAX_CALLS)
		return;
	if (work->calendar->call.op == TH_CALENDAR_FIND &&
		work->calendar->call.next != NULL)
		th_work_later(work, now, 0, NULL, TH_CALENDAR_ENDLESS);
	else
		th_work_again(work);
}
