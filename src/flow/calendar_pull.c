/*
 * calendar_pull.c
 *	  Pulls of connected calendars: what is there becomes busy time.
 *
 * Pages are kept until the last has come; then all is written at once, the
 * cursor with it, or nothing. A full pass is made once a day, since windows
 * roll on and vendors forget to tell of deletions.
 *
 * Where nothing is pulled, only our own events are looked for, once a day:
 * twice there, lost, or of visits that nobody knows. So they are after a full
 * pass of a vendor whose lists do not tell whose events are.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "flow/calendar_pull.h"

/* A full pass is made when the last is older, spread by the connection's id. */
#define COMPARE_US (22 * USECS_PER_HOUR)
#define COMPARE_SPREAD_MINUTES 120

/* One pull reads no more; beyond it the calendar is not one. */
#define MOST_PAGES 2000
#define MOST_EVENTS 100000

/* Where the next page begins may be told by all that was listed so far. */
#define MOST_NEXT (16 * 1024 * 1024)

/* A pass is begun anew so often when its cursor turns out to be of no use. */
#define MOST_RESTARTS 3

/* Pages get no smaller than this when they are too large to be read. */
#define LEAST_PAGE 10

/* ---- the beginning ---- */

/* A deletion cancels the visit, or is noted as one, and may be none. */
static bool
needs_own(const ThConnection *c)
{
	return c->id != 0 && strcmp(c->remote_change_policy, "restore") != 0 &&
		   (!c->pulls || th_calendar_find(c->kind)->is_vague);
}

static void
pull_load(ThWork **works, int n, TimestampTz now)
{
	int64 *clinics = palloc_array(int64, n);
	int64 *ids = palloc_array(int64, n);
	bool *wants_own = palloc_array(bool, n);
	ThConnection *connections;
	ThPullState *states;
	ThInstallation installation;

	for (int i = 0; i < n; i++)
	{
		clinics[i] = works[i]->job.clinic_id;
		ids[i] = works[i]->job.subject_id;
	}
	connections = th_connection_load(clinics, ids, n);
	for (int i = 0; i < n; i++)
		wants_own[i] = needs_own(&connections[i]);
	states = th_pull_load(clinics, ids, wants_own, n, now);
	th_installation_read(&installation);
	for (int i = 0; i < n; i++)
	{
		ThPullSubject *subject = palloc0_object(ThPullSubject);

		subject->state = &states[i];
		subject->installation = installation;
		works[i]->calendar->connection = &connections[i];
		works[i]->calendar->subject = subject;
		works[i]->calendar->timezone = states[i].timezone;
	}
}

static TimestampTz
midnight(TimestampTz now)
{
	TimestampTz part = now % USECS_PER_DAY;

	return now - (part < 0 ? part + USECS_PER_DAY : part);
}

/* The days before and after today, and one more: until tomorrow's pass. */
static void
set_window(ThPullSubject *subject, const ThConnection *c, TimestampTz now)
{
	TimestampTz today = midnight(now);

	subject->window_start = today - c->window_days_back * USECS_PER_DAY;
	subject->window_end = today + (c->window_days_ahead + 2) * USECS_PER_DAY;
}

/* From one full pass to the next. */
static int64
compare_interval(const ThConnection *c)
{
	int64 spread = (int64) (murmurhash32((uint32) c->id) %
							COMPARE_SPREAD_MINUTES) *
				   USECS_PER_MINUTE;

	return COMPARE_US + spread;
}

static bool
is_full_due(const ThPullSubject *subject, const ThConnection *c,
			TimestampTz now)
{
	const ThPullState *state = subject->state;

	return subject->is_blind || state->cursor == NULL ||
		   now - state->compared_at > compare_interval(c) ||
		   state->compared_at > now ||
		   state->window_start > subject->window_start + 2 * USECS_PER_DAY ||
		   state->window_end < subject->window_end - 2 * USECS_PER_DAY;
}

/* From the first page on. */
static void
begin_pass(ThWork *work, bool is_full)
{
	ThPullSubject *subject = work->calendar->subject;
	ThCalendarCall *call = &work->calendar->call;

	th_pull_list_clear(&subject->list, work->context);
	th_pull_list_clear(&subject->own, work->context);
	subject->removed = NIL;
	subject->n_pages = 0;
	subject->is_full = is_full;
	if (!is_full)
	{
		/* the cursor's own window */
		subject->window_start = subject->state->window_start;
		subject->window_end = subject->state->window_end;
	}
	call->op = subject->is_blind ? TH_CALENDAR_FIND : TH_CALENDAR_LIST;
	call->cursor = is_full ? NULL : subject->state->cursor;
	call->next = NULL;
	call->window_start = subject->window_start;
	call->window_end = subject->window_end;
	work->state = TH_WORK_READY;
}

static void
pull_decide(ThWork *work, TimestampTz now)
{
	const ThConnection *c = work->calendar->connection;
	ThPullSubject *subject = work->calendar->subject;

	if (c == NULL || c->id == 0)
	{
		th_work_done(work);
		return;
	}
	if (strcmp(c->status, "DISCONNECTED") == 0)
	{
		subject->forgets = true;
		th_work_done(work);
		return;
	}
	if (!c->sync_enabled)
	{
		th_work_done(work);
		return;
	}
	subject->is_blind = !c->pulls;
	subject->began_at = now;
	set_window(subject, c, now);
	begin_pass(work, is_full_due(subject, c, now));
}

/* ---- answers ---- */

static TimestampTz
next_at(const ThPullSubject *subject, const ThConnection *c, TimestampTz now)
{
	int64 every = subject->is_blind
					  ? compare_interval(c)
					  : (int64) c->sync_frequency_minutes * USECS_PER_MINUTE;
	double part = 0.85 + 0.15 * pg_prng_double(&pg_global_prng_state);

	return Max(subject->began_at + (int64) (every * part), now + USECS_PER_SEC);
}

/*
 * Whatever it is, it is tried again: pauses grow up to a quarter of an hour,
 * also when the vendor asks for less.
 */
static void
fail(ThWork *work, const ThHttpResult *result, const char *reason,
	 TimestampTz now)
{
	const ThCalendarAnswer *answer = work->calendar->answer;
	TimestampTz at = th_work_backoff(now, work->job.failures + 1, false);
	bool is_limited = answer->verdict == TH_CALENDAR_RATE_LIMITED;

	if (answer->verdict == TH_CALENDAR_SCOPE_MISSING ||
		answer->verdict == TH_CALENDAR_CREDENTIALS ||
		answer->verdict == TH_CALENDAR_TOKEN_EXPIRED)
	{
		th_calendar_fail(work, result, now);
		return;
	}
	if (reason == NULL)
		reason = answer->message != NULL
					 ? answer->message
					 : th_calendar_verdict_name(answer->verdict);
	th_calendar_note(work, result, "retry", now);
	th_work_later(work, now, Max(at, answer->retry_at),
				  is_limited ? "rate_limited" : NULL, reason);
}

/* A page that is too large, or a cursor that is none: another first page. */
static bool
begin_again(ThWork *work, const ThHttpResult *result)
{
	ThPullSubject *subject = work->calendar->subject;
	ThCalendarWork *calendar = work->calendar;

	if (calendar->answer->verdict == TH_CALENDAR_RESET &&
		subject->n_restarts++ < MOST_RESTARTS)
	{
		begin_pass(work, true);
		return true;
	}
	if (result->end == TH_HTTP_TOO_LARGE &&
		calendar->account.page_size > LEAST_PAGE)
	{
		calendar->page_size = Max(calendar->account.page_size / 5, LEAST_PAGE);
		begin_pass(work, subject->is_full);
		return true;
	}
	return false;
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/*
 * Where nobody says whether an event was deleted or moved far away, and that
 * is not simply put back, the event itself is asked for.
 */
static void
find_removed(ThPullSubject *subject)
{
	const ThPullState *state = subject->state;

	for (int i = 0; i < subject->list.n && state->n_own > 0; i++)
	{
		const ThEventSeen *seen = &subject->list.entries[i].seen;

		if (seen->is_deleted && seen->external_id != NULL &&
			bsearch(&seen->external_id, state->own, state->n_own,
					sizeof(char *), compare_texts) != NULL)
			subject->removed = lappend(subject->removed,
									   unconstify(char *, seen->external_id));
	}
}

/* So are those of our events that a search for them has not found. */
static void
find_missing(ThPullSubject *subject)
{
	const ThPullState *state = subject->state;
	int n = subject->list.n;
	const char **names = palloc_array(const char *, Max(n, 1));
	int n_names = 0;

	for (int i = 0; i < n; i++)
	{
		const char *name = subject->list.entries[i].seen.external_id;

		if (name != NULL)
			names[n_names++] = name;
	}
	qsort(names, n_names, sizeof(char *), compare_texts);
	for (int i = 0; i < state->n_own; i++)
	{
		if (bsearch(&state->own[i], names, n_names, sizeof(char *),
					compare_texts) == NULL)
			subject->removed = lappend(subject->removed,
									   unconstify(char *, state->own[i]));
	}
	pfree(names);
}

/* The next of them, or the end. */
static void
ask_removed(ThWork *work, TimestampTz now)
{
	ThPullSubject *subject = work->calendar->subject;
	ThCalendarCall *call = &work->calendar->call;

	if (subject->removed != NIL)
	{
		memset(call, 0, sizeof(*call));
		call->op = TH_CALENDAR_READ;
		call->external_id = linitial(subject->removed);
		work->state = TH_WORK_READY;
		return;
	}
	subject->is_read = true;
	th_work_later(work, now, next_at(subject, work->calendar->connection, now),
				  NULL, NULL);
	work->settle.failures = 0;
	work->settle.priority = TH_PRIORITY_BACKGROUND;
}

/* The last page has come: what the list says, and whether all is known now. */
static void
end_list(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPullSubject *subject = work->calendar->subject;
	const ThCalendarAnswer *answer = work->calendar->answer;
	ThCalendarCall *call = &work->calendar->call;
	bool is_vague = work->calendar->vendor->is_vague;

	subject->cursor = answer->cursor == NULL
						  ? NULL
						  : MemoryContextStrdup(work->context, answer->cursor);
	subject->is_full = answer->is_complete;
	if (is_vague)
		find_removed(subject);
	if (subject->list.n > 0 || subject->is_full)
		th_calendar_note(work, result, "ok", now);
	if (!is_vague || !subject->is_full || !work->calendar->connection->pushes)
	{
		ask_removed(work, now);
		return;
	}
	memset(call, 0, sizeof(*call));
	call->op = TH_CALENDAR_FIND;
	call->window_start = subject->window_start;
	call->window_end = subject->window_end;
	work->state = TH_WORK_READY;
}

static void
take_page(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPullSubject *subject = work->calendar->subject;
	const ThCalendarAnswer *answer = work->calendar->answer;
	ThCalendarCall *call = &work->calendar->call;
	ThIcalOrigin own = th_pull_origin(subject, work->job.clinic_id);
	bool is_list = call->op == TH_CALENDAR_LIST;

	th_pull_list_add(is_list || subject->is_blind ? &subject->list
												  : &subject->own,
					 answer->events, answer->n_events, &own);
	subject->n_pages++;
	if (answer->next != NULL)
	{
		if (subject->n_pages >= MOST_PAGES ||
			subject->list.n + subject->own.n > MOST_EVENTS ||
			strlen(answer->next) > MOST_NEXT ||
			(call->next != NULL && strcmp(call->next, answer->next) == 0))
			fail(work, result, TH_CALENDAR_ENDLESS, now);
		else
		{
			/* of some vendors it is as long as the pull's whole list */
			if (call->next != NULL)
				pfree(unconstify(char *, call->next));
			call->next = MemoryContextStrdup(work->context, answer->next);
			work->state = TH_WORK_READY;
		}
		return;
	}
	if (is_list)
	{
		end_list(work, result, now);
		return;
	}
	if (subject->is_blind)
		find_missing(subject);
	th_calendar_note(work, result, "ok", now);
	ask_removed(work, now);
}

/* One that was only moved is seen once more, as it is. */
static void
take_removed(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ThPullSubject *subject = work->calendar->subject;
	const ThCalendarAnswer *answer = work->calendar->answer;
	ThIcalOrigin own = th_pull_origin(subject, work->job.clinic_id);

	if (answer->verdict == TH_CALENDAR_OK)
		th_pull_list_add(&subject->list, answer->events, answer->n_events,
						 &own);
	th_calendar_note(work, result,
					 answer->verdict == TH_CALENDAR_OK ? "ok" : "gone", now);
	subject->removed = list_delete_first(subject->removed);
	ask_removed(work, now);
}

static void
pull_advance(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	bool is_ok = work->calendar->answer->verdict == TH_CALENDAR_OK;

	if (work->calendar->call.op == TH_CALENDAR_READ &&
		(is_ok || work->calendar->answer->verdict == TH_CALENDAR_GONE))
		take_removed(work, result, now);
	else if (work->calendar->call.op == TH_CALENDAR_READ)
		fail(work, result, NULL, now);
	else if (is_ok)
		take_page(work, result, now);
	else if (!begin_again(work, result))
		fail(work, result, NULL, now);
}

const ThCalendarFlow th_calendar_pull_flow = {
	.load = pull_load,
	.decide = pull_decide,
	.advance = pull_advance,
	.settle = th_pull_settle,
};
