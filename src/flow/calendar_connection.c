/*
 * calendar_connection.c
 *	  The job of a connection: it is found, begins, is kept alive, is emptied
 *	  and ends.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "flow/calendar_work.h"
#include "flow/event_wish.h"
#include "store/connection_found.h"

/* A grant that nothing used for so long is used, long before it dies (O7). */
#define KEEP_ALIVE_US (30 * USECS_PER_DAY)

/* So long the end waits for channels to be stopped. */
#define CHANNELS_US USECS_PER_HOUR

/* So long an ended connection is tried to be emptied, and its grant to be revoked. */
#define PURGE_US (30 * USECS_PER_DAY)
#define REVOKE_US USECS_PER_DAY
#define CHANNELS_RETRY_US (2 * USECS_PER_SEC)

typedef struct Task
{
	ThConnectionRest rest;
	ThInstallation installation;
	List *surplus;    /* ids of events of ours that are to be removed */
	const char *next; /* of the search for them */
	bool is_thinned;  /* some that it has told of are no more */

	/* what it led to */
	bool is_found;
	bool is_started;
	bool is_purged;
	bool is_ended;
	int64 n_removed;
	const char *calendar_id;
	const char *identity;
	const char *error;
} Task;

static void
load(ThWork **works, int n, TimestampTz now pg_attribute_unused())
{
	int64 *clinics = palloc_array(int64, n);
	int64 *ids = palloc_array(int64, n);
	ThConnection *connections;
	ThConnectionRest *rests;
	ThInstallation installation;

	for (int i = 0; i < n; i++)
	{
		clinics[i] = works[i]->job.clinic_id;
		ids[i] = works[i]->job.subject_id;
	}
	connections = th_connection_load(clinics, ids, n);
	rests = th_connection_rest(clinics, ids, n);
	th_installation_read(&installation);
	for (int i = 0; i < n; i++)
	{
		Task *task = MemoryContextAllocZero(works[i]->context, sizeof(Task));

		task->rest = rests[i];
		task->installation = installation;
		works[i]->calendar->connection = &connections[i];
		works[i]->calendar->subject = task;
	}
}

static bool
has_status(const ThConnection *connection, const char *status)
{
	return strcmp(connection->status, status) == 0;
}

static bool
has_op(const ThWork *work, ThCalendarOp op)
{
	return work->calendar->vendor->codecs[op].build != NULL;
}

static void
call(ThWork *work, ThCalendarOp op)
{
	ThCalendarCall *c = &work->calendar->call;

	memset(c, 0, sizeof(*c));
	c->op = op;
	work->state = TH_WORK_READY;
}

/* ---- everything of ours is removed ---- */

static void
finish_purge(ThWork *work)
{
	Task *task = work->calendar->subject;

	task->is_purged = true;
	th_work_again(work);
}

/*
 * The next event to be removed, or the next page of them; the first once
 * more, since pages may be counted by what is there.
 */
static void
go_on_purging(ThWork *work, TimestampTz now)
{
	Task *task = work->calendar->subject;

	if (work->calls >= TH_WORK_MAX_CALLS && task->n_removed > 0)
		th_work_again(work);
	else if (work->calls >= TH_WORK_MAX_CALLS)
	{
		task->error = TH_CALENDAR_ENDLESS;
		th_work_later(work, now, 0, NULL, task->error);
	}
	else if (task->surplus != NIL)
	{
		call(work, TH_CALENDAR_DELETE);
		work->calendar->call.external_id = linitial(task->surplus);
	}
	else if (task->next != NULL)
	{
		call(work, TH_CALENDAR_FIND);
		work->calendar->call.next = task->is_thinned ? NULL : task->next;
		task->is_thinned = false;
	}
	else
		finish_purge(work);
}

/* Another installation, or another provider's connection, may have events there. */
static bool
is_own(const ThWork *work, const char *key)
{
	const Task *task = work->calendar->subject;
	int64 clinic_id;
	int64 connection_id;
	int64 appointment_id;

	return key != NULL &&
		   th_event_key_read(key, task->installation.tag, &clinic_id,
							 &connection_id, &appointment_id) &&
		   clinic_id == work->job.clinic_id &&
		   connection_id == work->job.subject_id;
}

static void
take_found(ThWork *work, const ThCalendarAnswer *answer, TimestampTz now)
{
	Task *task = work->calendar->subject;

	for (int i = 0; i < answer->n_events; i++)
	{
		const ThEventSeen *event = &answer->events[i];

		if (is_own(work, event->key) && event->external_id != NULL &&
			!event->is_deleted && !event->is_cancelled)
			task->surplus = lappend(task->surplus, pstrdup(event->external_id));
	}
	task->next = answer->next == NULL ? NULL : pstrdup(answer->next);
	go_on_purging(work, now);
}

/* What a create under way may still make is not to be found yet. */
static void
begin_purge(ThWork *work, TimestampTz now)
{
	const Task *task = work->calendar->subject;
	int64 longest_ms = Max(work->calendar->connection->timeout_ms,
						   th_guc_request_timeout_ms);
	TimestampTz quiet = Min(task->rest.intent_at, now) + 2 * longest_ms * 1000;

	if (!has_op(work, TH_CALENDAR_FIND))
		finish_purge(work);
	else if (task->rest.intent_at != 0 && now < quiet)
		th_work_later(work, now, quiet, "outcome_unknown", NULL);
	else
		call(work, TH_CALENDAR_FIND);
}

/* ---- the end ---- */

static void
finish_end(ThWork *work)
{
	Task *task = work->calendar->subject;

	task->is_ended = true;
	th_work_done(work);
}

static void
decide_end(ThWork *work, TimestampTz now)
{
	const ThConnection *connection = work->calendar->connection;
	const Task *task = work->calendar->subject;

	if (!task->rest.has_secrets)
		finish_end(work);
	else if (connection->purge_requested_at != 0 &&
			 connection->disconnected_at > now - PURGE_US)
		begin_purge(work, now);
	else if (task->rest.has_channels &&
			 connection->disconnected_at > now - CHANNELS_US)
		th_work_later(work, now, now + CHANNELS_RETRY_US, "channels", NULL);
	else if (has_op(work, TH_CALENDAR_REVOKE) &&
			 connection->revoke_url != NULL &&
			 connection->disconnected_at > now - REVOKE_US)
		call(work, TH_CALENDAR_REVOKE);
	else
		finish_end(work);
}

/* ---- decide ---- */

static void
decide_connected(ThWork *work, TimestampTz now)
{
	const ThConnection *connection = work->calendar->connection;
	Task *task = work->calendar->subject;
	TimestampTz due = connection->grant_used_at + KEEP_ALIVE_US;

	if (!connection->is_known)
		call(work, TH_CALENDAR_DISCOVER);
	else if (connection->next_sync_at == 0)
	{
		task->is_started = true;
		th_work_again(work);
	}
	else if (connection->purge_requested_at != 0)
		begin_purge(work, now);
	else if (!work->calendar->vendor->is_oauth ||
			 connection->grant_used_at == 0)
		th_work_done(work);
	else if (due <= now)
		call(work, TH_CALENDAR_DISCOVER);
	else
		th_work_later(work, now, due, NULL, NULL);
}

static void
decide(ThWork *work, TimestampTz now)
{
	const ThConnection *connection = work->calendar->connection;

	if (connection->id == 0 || work->calendar->vendor == NULL)
		th_work_done(work);
	else if (has_status(connection, "DISCONNECTED"))
		decide_end(work, now);
	else if (has_status(connection, "CONNECTED"))
		decide_connected(work, now);
	else if (connection->purge_requested_at != 0 &&
			 has_status(connection, "REAUTH_REQUIRED"))
		th_work_later(work, now, now + TH_CALENDAR_PARKED_US, "reauth_required",
					  NULL);
	else if (connection->connected_at == 0 ||
			 has_status(connection, "REAUTH_REQUIRED"))
		th_work_done(work); /* somebody has to consent first */
	else
		call(work, TH_CALENDAR_DISCOVER);
}

/* ---- answers ---- */

static void
take_discovery(ThWork *work, const ThCalendarAnswer *answer, TimestampTz now)
{
	const ThConnection *connection = work->calendar->connection;
	Task *task = work->calendar->subject;

	if (answer->next != NULL && work->calls < TH_WORK_MAX_CALLS)
	{
		const char *next = pstrdup(answer->next);

		call(work, TH_CALENDAR_DISCOVER);
		work->calendar->call.next = next;
		return;
	}
	if (has_status(connection, "CONNECTED") && connection->is_known)
	{
		th_work_later(work, now, now + KEEP_ALIVE_US, NULL, NULL);
		return;
	}
	task->is_found = true;
	if (answer->identity != NULL)
		task->identity = pstrdup(answer->identity);
	if (!work->calendar->vendor->is_oauth && answer->calendar_id != NULL)
		task->calendar_id = pstrdup(answer->calendar_id);
	th_work_again(work);
}

/* What cannot get better by itself is on the row. */
static void
fail(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	const ThCalendarAnswer *answer = work->calendar->answer;
	Task *task = work->calendar->subject;

	if (answer->message != NULL)
		task->error = pstrdup(answer->message);
	if (work->calendar->call.op == TH_CALENDAR_DISCOVER &&
		answer->verdict == TH_CALENDAR_GONE)
	{
		task->error = "there is no such calendar";
		th_calendar_note(work, result, "dead", now);
		th_work_dead(work, task->error);
		return;
	}
	th_calendar_fail(work, result, now);
}

/* A grant that cannot be revoked is not kept for that. */
static bool
is_over(const ThWork *work, const ThCalendarAnswer *answer, TimestampTz now)
{
	return answer->verdict == TH_CALENDAR_GONE ||
		   answer->verdict == TH_CALENDAR_PERMANENT ||
		   answer->verdict == TH_CALENDAR_CREDENTIALS ||
		   work->calendar->connection->disconnected_at < now - REVOKE_US;
}

static void
advance(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	const ThCalendarAnswer *answer = work->calendar->answer;
	Task *task = work->calendar->subject;
	bool is_ok = answer->verdict == TH_CALENDAR_OK;
	bool is_gone = answer->verdict == TH_CALENDAR_GONE;

	switch (work->calendar->call.op)
	{
		case TH_CALENDAR_DELETE:
			if (!is_ok && !is_gone)
				break;
			th_calendar_note(work, result, is_ok ? "ok" : "gone", now);
			task->surplus = list_delete_first(task->surplus);
			task->n_removed++;
			task->is_thinned = true;
			go_on_purging(work, now);
			return;
		case TH_CALENDAR_FIND:
			if (is_ok)
				take_found(work, answer, now);
			else if (is_gone) /* with the calendar itself */
				finish_purge(work);
			else
				break;
			return;
		case TH_CALENDAR_REVOKE:
			if (!is_ok && !is_over(work, answer, now))
				break;
			th_calendar_note(work, result, is_ok ? "ok" : "gone", now);
			finish_end(work);
			return;
		default:
			if (!is_ok)
				break;
			th_calendar_note(work, result, "ok", now);
			take_discovery(work, answer, now);
			return;
	}
	fail(work, result, now);
}

/* ---- settle ---- */

static void
mark(const ThConnection *connection, ThJobKind kind, int64 subject_id,
	 TimestampTz now)
{
	ThMark marks = { .kind = kind, .priority = TH_PRIORITY_CHANGE };

	marks.clinic_id = connection->clinic_id;
	marks.subject_id = subject_id;
	marks.due_at = now;
	th_job_mark(&marks, 1, false);
}

/* Everything that may be out of step by now is looked at. */
static void
start(const ThConnection *connection, TimestampTz now)
{
	th_connection_start(connection, now);
	mark(connection, TH_JOB_PULL, connection->id, now);
	mark(connection, TH_JOB_CHANNEL, connection->id, now);
	th_connection_release(connection->clinic_id, connection->id, now);
}

/* Visits that another calendar showed are shown in this one. */
static void
take_up(const ThConnection *connection, const Task *task, TimestampTz now)
{
	ThFound found = th_connection_found(connection, task->calendar_id,
										task->identity);

	if (found == TH_FOUND_OTHER)
		mark(connection, TH_JOB_BACKFILL, connection->id, now);
	if (!has_status(connection, "CONNECTED") && found != TH_FOUND_STALE)
		th_connection_tell("connected", connection->clinic_id, connection->id);
}

static void
settle_one(const ThWork *work, TimestampTz now)
{
	const ThConnection *connection = work->calendar->connection;
	const Task *task = work->calendar->subject;
	ThSyncCount count = { .clinic_id = connection->clinic_id,
						  .connection_id = connection->id };

	if (connection->id == 0)
		return;
	if (task->is_found)
		take_up(connection, task, now);
	if (task->is_started)
		start(connection, now);
	if (task->is_purged)
		th_connection_purged(connection);
	if (task->is_ended)
		th_connection_forget(connection->clinic_id, connection->id);
	else if (task->error != NULL)
		th_connection_note_error(connection->clinic_id, connection->id,
								 task->error);
	count.direction = "push";
	count.deleted = task->n_removed;
	if (task->n_removed > 0)
		th_sync_count(&count, 1, now);
}

static void
settle(ThWork **works, ThSettle *settles, int n, TimestampTz now)
{
	for (int i = 0; i < n; i++)
	{
		const ThConnection *c = works[i]->calendar->connection;

		if (settles[i].is_fenced || settles[i].is_locked)
			continue;
		/* what an application holds waits here, and nobody for it */
		if (!th_connection_lock(c->clinic_id, c->id))
			settles[i].is_locked = true;
		else
			settle_one(works[i], now);
	}
}

const ThCalendarFlow th_calendar_connection_flow = {
	.load = load,
	.decide = decide,
	.advance = advance,
	.settle = settle,
};
