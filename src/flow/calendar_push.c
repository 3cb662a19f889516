/*
 * calendar_push.c
 *	  The event of a visit in a calendar: which step closes the difference.
 *
 * What an answer leads to is in calendar_push_answer.c.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "flow/calendar_push.h"
#include "store/calendar_pull.h"

typedef enum Want
{
	WANT_EVENT,
	WANT_NONE, /* there must be none */
	WANT_AS_IS /* over, or a calendar that takes nothing: leave what is there */
} Want;

static bool
is_one_of(const char *value, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(value, *words) == 0)
			return true;
	return false;
}

static bool
is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* A calendar takes what it is granted for; one that lost its grant may have it back. */
static bool
takes_events(const ThConnection *x)
{
	static const char *const live[] = { "CONNECTED", "REAUTH_REQUIRED", "ERROR",
										NULL };

	return x->sync_enabled && x->pushes && x->purge_requested_at == 0 &&
		   is_one_of(x->status, live);
}

static Want
want_of(const ThEventSubject *facts, TimestampTz now)
{
	static const char *const live[] = { "SCHEDULED", "CONFIRMED", "CHECKED_IN",
										"IN_PROGRESS", NULL };
	static const char *const ended[] = { "COMPLETED", "NO_SHOW", NULL };
	const ThEventVisit *v = &facts->visit;

	if (!takes_events(facts->connection))
		return WANT_AS_IS;
	if (facts->event.is_retired || !v->exists ||
		v->provider_id != facts->connection->provider_id)
		return WANT_NONE;
	if (is_one_of(v->status, ended))
		return WANT_AS_IS;
	if (!is_one_of(v->status, live) || !th_event_is_shown(facts))
		return WANT_NONE;
	return v->is_clinic_active && v->ends_at > now ? WANT_EVENT : WANT_AS_IS;
}

void
th_push_call(ThWork *work, ThCalendarOp op)
{
	ThPush *push = work->calendar->subject;
	const ThCalendarEvent *e = &push->facts->event;
	ThCalendarCall *call = &work->calendar->call;

	memset(call, 0, sizeof(*call));
	call->op = op;
	call->wish = &push->wish;
	call->key = push->key;
	call->external_id = e->external_id;
	if (call->external_id == NULL && op != TH_CALENDAR_FIND &&
		work->calendar->vendor->name != NULL)
		call->external_id = work->calendar->vendor->name(&push->wish);
	work->state = TH_WORK_READY;
}

void
th_push_look(ThWork *work)
{
	th_push_call(work, work->calendar->vendor->name != NULL ? TH_CALENDAR_READ
															: TH_CALENDAR_FIND);
}

/* ---- deciding ---- */

static void
decide_event(ThWork *work)
{
	ThPush *push = work->calendar->subject;
	ThCalendarEvent *e = &push->facts->event;
	bool is_same_wish = is_same(e->pushed_hash, push->hash);
	bool is_untouched = strcmp(e->remote_state, "unchanged") == 0;
	bool is_doubled = strcmp(e->remote_state, "doubled") == 0;
	bool is_left = !is_doubled &&
				   strcmp(push->facts->connection->remote_change_policy,
						  "flag") == 0;

	if (e->external_id == NULL && e->has_intent)
	{
		push->is_adopting = true;
		th_push_look(work);
	}
	else if (e->external_id == NULL)
	{
		e->wish_hash = push->hash;
		work->needs_begin = true;
		th_push_call(work, TH_CALENDAR_CREATE);
	}
	else if (is_same_wish && (is_untouched || is_left))
		th_work_done(work);
	else if (is_doubled)
		th_push_call(work, TH_CALENDAR_FIND);
	else if (!is_untouched || e->etag == NULL)
		/* what somebody changed there is written over, as it is by now */
		th_push_call(work, TH_CALENDAR_READ);
	else
	{
		th_push_call(work, TH_CALENDAR_UPDATE);
		work->calendar->call.etag = e->etag;
	}
}

static void
decide_removal(ThWork *work)
{
	ThPush *push = work->calendar->subject;
	ThCalendarEvent *e = &push->facts->event;

	push->is_removing = true;
	if (e->external_id != NULL)
		th_push_call(work, TH_CALENDAR_DELETE);
	else if (e->has_intent)
		th_push_look(work);
	else
	{
		push->is_removed = e->is_retired || !push->facts->visit.exists;
		push->writes = push->is_removed;
		th_work_done(work);
	}
}

static void
decide(ThWork *work, TimestampTz now)
{
	ThPush *push = work->calendar->subject;
	ThEventSubject *facts = push->facts;

	if (facts->event.id == 0)
	{
		th_work_done(work);
		return;
	}
	if (facts->connection->id == 0)
	{
		/* the row of the calendar was removed: there is nobody to ask */
		push->writes = push->is_removed = true;
		th_work_done(work);
		return;
	}
	if (facts->visit.exists)
		th_event_wish_make(facts, push->key, &push->wish, &push->hash);
	else
	{
		push->wish.uid = facts->event.uid;
		push->wish.key = push->key;
		push->wish.generation = facts->event.generation;
	}
	switch (want_of(facts, now))
	{
		case WANT_EVENT:
			decide_event(work);
			break;
		case WANT_NONE:
			decide_removal(work);
			break;
		case WANT_AS_IS:
			th_work_done(work);
			break;
	}
}

/* ---- in transactions ---- */

static void
load(ThWork **works, int n, TimestampTz now pg_attribute_unused())
{
	ThJob *jobs = palloc_array(ThJob, Max(n, 1));
	ThEventSubject *facts;
	ThInstallation installation;

	for (int i = 0; i < n; i++)
		jobs[i] = works[i]->job;
	facts = th_calendar_event_load(jobs, n);
	th_installation_read(&installation);
	for (int i = 0; i < n; i++)
	{
		const ThCalendarEvent *e = &facts[i].event;
		ThPush *push = palloc0_object(ThPush);

		push->facts = &facts[i];
		th_event_key_write(push->key, &installation, e->clinic_id,
						   e->connection_id, e->appointment_id);
		works[i]->calendar->subject = push;
		works[i]->calendar->connection = facts[i].connection;
	}
}

static ThCalendarEvent *
event_of(ThWork *work)
{
	ThPush *push = work->calendar->subject;

	return &push->facts->event;
}

static void
begin(ThWork **works, int n, TimestampTz now)
{
	ThCalendarEvent **events = palloc_array(ThCalendarEvent *, Max(n, 1));
	int64 *claim_nos = palloc_array(int64, Max(n, 1));
	bool *is_ours = palloc_array(bool, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		events[i] = event_of(works[i]);
		claim_nos[i] = works[i]->job.claim_no;
	}
	th_calendar_event_begin(events, claim_nos, n, now, is_ours);
	for (int i = 0; i < n; i++)
		if (!is_ours[i])
			th_work_again(works[i]);
}

/* Never sent: no doubt about what the vendor did. */
static void
withdraw(ThWork *work)
{
	ThPush *push = work->calendar->subject;

	if (work->calendar->call.op != TH_CALENDAR_CREATE)
		return;
	push->facts->event.has_intent = false;
	push->writes = true;
}

/*
 * Where a list does not tell whose events are, a pull under way takes one that
 * goes meanwhile for somebody's: it is made once more. So does one that came
 * before the name of a new event: what it took is given up.
 */
static void
correct_pulls(ThWork **works, const ThSettle *settles, int n)
{
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *connections = palloc_array(int64, Max(n, 1));
	const char **names = palloc_array(const char *, Max(n, 1));
	int n_chosen = 0;

	for (int i = 0; i < n; i++)
	{
		const ThPush *push = works[i]->calendar->subject;
		const ThCalendarEvent *e = &push->facts->event;

		if (settles[i].is_fenced || settles[i].is_locked || !push->is_named ||
			e->external_id == NULL || !works[i]->calendar->vendor->is_vague)
			continue;
		clinics[n_chosen] = e->clinic_id;
		connections[n_chosen] = e->connection_id;
		names[n_chosen++] = e->external_id;
	}
	th_pull_disown(clinics, connections, names, n_chosen);
	n_chosen = 0;
	for (int i = 0; i < n; i++)
	{
		const ThPush *push = works[i]->calendar->subject;

		if (settles[i].is_fenced || settles[i].is_locked ||
			!push->is_forgotten || !works[i]->calendar->vendor->is_vague)
			continue;
		clinics[n_chosen] = push->facts->event.clinic_id;
		connections[n_chosen++] = push->facts->event.connection_id;
	}
	th_pull_repeat(clinics, connections, n_chosen);
}

static void
mark_pulls(ThWork **works, const ThSettle *settles, int n, TimestampTz now)
{
	ThMark *marks = palloc_array(ThMark, Max(n, 1));
	int n_marks = 0;

	for (int i = 0; i < n; i++)
	{
		const ThPush *push = works[i]->calendar->subject;

		if (settles[i].is_fenced || settles[i].is_locked || !push->wants_pull)
			continue;
		marks[n_marks].kind = TH_JOB_PULL;
		marks[n_marks].priority = TH_PRIORITY_CHANGE;
		marks[n_marks].clinic_id = push->facts->event.clinic_id;
		marks[n_marks].subject_id = push->facts->event.connection_id;
		marks[n_marks++].due_at = now;
	}
	(void) th_job_mark_free(marks, n_marks);
}

static void
settle(ThWork **works, ThSettle *settles, int n, TimestampTz now)
{
	ThEventWrite *writes = palloc0_array(ThEventWrite, Max(n, 1));
	ThEventLoss *losses = palloc_array(ThEventLoss, Max(n, 1));
	ThSyncCount *counts = palloc0_array(ThSyncCount, Max(n, 1));
	int n_writes = 0;
	int n_losses = 0;
	int n_counts = 0;

	for (int i = 0; i < n; i++)
	{
		const ThPush *push = works[i]->calendar->subject;
		const ThCalendarEvent *e = &push->facts->event;
		ThSyncCount *count = &counts[n_counts];

		if (settles[i].is_fenced || settles[i].is_locked || e->id == 0)
			continue;
		if (push->writes)
		{
			writes[n_writes].event = e;
			writes[n_writes].is_removed = push->is_removed;
			writes[n_writes].is_pushed = push->is_pushed;
			writes[n_writes++].is_settled = push->is_pushed ||
											e->external_id == NULL;
		}
		if (push->loss != NULL)
			losses[n_losses++] = *push->loss;
		if (settles[i].verb == TH_SETTLE_DEAD)
			th_connection_note_error(e->clinic_id, e->connection_id,
									 settles[i].error);
		count->clinic_id = e->clinic_id;
		count->connection_id = e->connection_id;
		count->direction = "push";
		count->created = push->created;
		count->updated = push->updated;
		count->deleted = push->deleted;
		count->errors = settles[i].error != NULL;
		if (count->created + count->updated + count->deleted + count->errors >
			0)
			n_counts++;
	}
	th_calendar_event_write(writes, n_writes, now);
	th_calendar_event_lose(losses, n_losses, now);
	th_sync_count(counts, n_counts, now);
	mark_pulls(works, settles, n, now);
	correct_pulls(works, settles, n);
}

const ThCalendarFlow th_calendar_event_flow = {
	.load = load,
	.decide = decide,
	.begin = begin,
	.advance = th_push_advance,
	.withdraw = withdraw,
	.settle = settle,
};
