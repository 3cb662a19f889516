/*
 * visits.c
 *	  Jobs of sessions: what was told of a visit is put together.
 *
 * Everything that was told is read anew each time, whatever was read before:
 * so the order in which it came cannot matter.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "flow/visit.h"
#include "flow/visit_fold.h"
#include "flow/wish.h"
#include "worker/transaction.h"
#include "worker/visits.h"
#include "worker/wake.h"

/* Sessions in one transaction, and events of each. */
#define MAX_VISITS 100
#define MAX_EVENTS 2000

/* Sessions marked in one go. */
#define SWEEP_BATCH 2000

/* When what somebody holds is tried again. */
#define HELD_RETRY_US (250 * 1000)

/* When a run that goes on, although another has ended, is asked about. */
#define ASKED_RETRY_US (30 * USECS_PER_MINUTE)

/* One session on its way. */
typedef struct Visit
{
	const ThWork *work;
	ThSettle *settle;
	ThVisitEvent *events;
	int n_events;
	int room;
	bool is_deletion_new; /* somebody removed the meeting since we looked */
	bool must_wait;
	ThVisit told;
} Visit;

typedef struct Batch
{
	Visit *visits;
	ThVisitState *states; /* by the same numbers */
	int n;
	MemoryContext context; /* of what outlives a row */

	/* events that nobody had looked at */
	int64 *seen_clinics;
	int64 *seen_ids;
	const char **seen_outcomes;
	int *seen_places;
	bool *is_seen_deletion;
	int n_seen;
	int seen_room;
} Batch;

static bool
is_open(const ThSettle *settle)
{
	return !settle->is_fenced && !settle->is_locked &&
		   settle->verb == TH_SETTLE_DONE && settle->job.kind == TH_JOB_SESSION;
}

static void
choose(Batch *batch, ThWork *const *works, ThSettle *settles, int n)
{
	batch->visits = palloc0_array(Visit, MAX_VISITS);
	batch->states = palloc0_array(ThVisitState, MAX_VISITS);
	for (int i = 0; i < n; i++)
	{
		if (!is_open(&settles[i]))
			continue;
		if (batch->n == MAX_VISITS)
		{
			settles[i].verb = TH_SETTLE_AGAIN;
			settles[i].failures = settles[i].job.failures;
			continue;
		}
		batch->visits[batch->n].work = works[i];
		batch->visits[batch->n].settle = &settles[i];
		batch->states[batch->n].clinic_id = settles[i].job.clinic_id;
		batch->states[batch->n++].session_id = settles[i].job.subject_id;
	}
}

/* What the platform was asked about is told like everything else. */
static void
note_ends(const Batch *batch)
{
	for (int i = 0; i < batch->n; i++)
	{
		const ThWork *work = batch->visits[i].work;

		if (work->run_ended_at != 0 && !batch->states[i].is_gone &&
			!batch->states[i].is_locked)
			th_visit_note_end(&batch->states[i], work->visit->run,
							  work->run_started_at, work->run_ended_at);
	}
}

/* ---- reading ---- */

static void
note_seen(Batch *batch, const ThVisitRow *row, ThVisitHappening happening)
{
	int i = batch->n_seen++;

	if (i == batch->seen_room)
	{
		int room = batch->seen_room = Max(i * 2, 64);

		if (i == 0)
		{
			batch->seen_clinics = palloc_array(int64, room);
			batch->seen_ids = palloc_array(int64, room);
			batch->seen_outcomes = palloc_array(const char *, room);
			batch->seen_places = palloc_array(int, room);
			batch->is_seen_deletion = palloc_array(bool, room);
		}
		else
		{
			batch->seen_clinics = repalloc_array(batch->seen_clinics, int64,
												 room);
			batch->seen_ids = repalloc_array(batch->seen_ids, int64, room);
			batch->seen_outcomes = repalloc_array(batch->seen_outcomes,
												  const char *, room);
			batch->seen_places = repalloc_array(batch->seen_places, int, room);
			batch->is_seen_deletion = repalloc_array(batch->is_seen_deletion,
													 bool, room);
		}
	}
	batch->seen_clinics[i] = batch->states[row->place].clinic_id;
	batch->seen_ids[i] = row->id;
	batch->seen_outcomes[i] = happening == TH_VISIT_OTHER ? "ignored"
														  : "applied";
	batch->seen_places[i] = row->place;
	batch->is_seen_deletion[i] = happening == TH_VISIT_DELETED;
}

/* A file's texts outlive the row too. */
static void
keep_files(ThVisitEvent *event)
{
	ThVisitFile *files = palloc_array(ThVisitFile, Max(event->n_files, 1));

	for (int i = 0; i < event->n_files; i++)
	{
		files[i] = event->files[i];
		files[i].file_id = pstrdup(files[i].file_id);
		files[i].type = pstrdup(files[i].type);
		files[i].url = pstrdup(files[i].url);
		files[i].instance = event->instance;
	}
	event->files = files;
	event->share_url = pstrdup(event->share_url);
}

static void
keep_event(Visit *visit, const ThVisitEvent *event)
{
	ThVisitEvent *kept;

	if (visit->n_events == visit->room)
	{
		visit->room = Max(visit->room * 2, 16);
		visit->events = visit->events == NULL
							? palloc_array(ThVisitEvent, visit->room)
							: repalloc_array(visit->events, ThVisitEvent,
											 visit->room);
	}
	kept = &visit->events[visit->n_events++];
	*kept = *event;
	kept->instance = pstrdup(event->instance);
	kept->identity = pstrdup(event->identity);
	kept->connection = pstrdup(event->connection);
	kept->name = pstrdup(event->name);
	kept->device = pstrdup(event->device);
	keep_files(kept);
}

static void
take_event(ThVisitRow *row, void *arg)
{
	Batch *batch = arg;
	Visit *visit = &batch->visits[row->place];
	ThVisitState *state = &batch->states[row->place];
	ThVisitEvent event = { .happening = TH_VISIT_OTHER };
	MemoryContext old;

	if (state->is_gone || state->is_locked)
		return;
	if (strcmp(row->source, "zoom") == 0)
		th_zoom_visit_read(row->event_name, row->event_at, row->raw,
						   state->host, &event);
	old = MemoryContextSwitchTo(batch->context);
	if (row->is_new)
		note_seen(batch, row, event.happening);
	if (row->is_new && event.happening == TH_VISIT_DELETED &&
		state->meeting_id != NULL && row->meeting_id != NULL &&
		strcmp(state->meeting_id, row->meeting_id) == 0)
		visit->is_deletion_new = true;
	if (event.happening != TH_VISIT_OTHER)
		keep_event(visit, &event);
	MemoryContextSwitchTo(old);
}

/* ---- folding ---- */

static bool
is_told(const Visit *visit)
{
	for (int i = 0; i < visit->n_events; i++)
		if (visit->events[i].happening >= TH_VISIT_STARTED &&
			visit->events[i].happening <= TH_VISIT_ENDED)
			return true;
	return false;
}

static void
fold(Visit *visit, ThVisitState *state, TimestampTz now)
{
	TimestampTz end = th_visit_planned_end(state->scheduled_at,
										   state->duration);
	ThVisitFacts facts = {
		.scheduled_at = state->scheduled_at,
		.duration = state->duration,
		.is_over = end != 0 && now >= end + TH_VISIT_GRACE_US,
		.is_given_up = end != 0 && now >= end + TH_VISIT_GIVE_UP_US,
	};
	ThVisit *told = &visit->told;

	th_visit_fold(visit->events, visit->n_events, &facts, told);
	state->is_told = is_told(visit);
	state->new_status = told->status;
	state->started_at = told->started_at;
	state->ended_at = told->ended_at;
	state->actual_duration = told->actual_duration;
	state->host_joined_at = told->host_joined_at;
	state->patient_joined_at = told->patient_joined_at;
	state->waiting_room_entered_at = told->waiting_room_entered_at;
	state->waiting_room_admitted_at = told->waiting_room_admitted_at;
	state->meeting_uuid = told->meeting_uuid;
	state->recording_url = told->recording_url;
}

/* ---- writing ---- */

static void
write_people(Batch *batch)
{
	ThVisitPersonRow *rows;
	int n_rows = 0;

	for (int i = 0; i < batch->n; i++)
		n_rows += batch->visits[i].told.n_people;
	rows = palloc0_array(ThVisitPersonRow, Max(n_rows, 1));
	n_rows = 0;
	for (int i = 0; i < batch->n; i++)
	{
		const ThVisit *told = &batch->visits[i].told;

		for (int p = 0; p < told->n_people; p++)
		{
			const ThVisitPerson *person = &told->people[p];
			ThVisitPersonRow *row = &rows[n_rows++];

			row->place = i;
			row->participant_id = person->participant_id;
			row->name = person->name;
			row->role = person->role;
			row->joined_at = person->joined_at;
			row->left_at = person->left_at;
			row->duration = person->duration;
			row->device = person->device;
			row->latency_ms = person->latency_ms;
			row->join_count = person->join_count;
			row->wait_status = person->wait_status;
			row->wait_joined_at = person->wait_joined_at;
			row->wait_admitted_at = person->wait_admitted_at;
			row->wait_left_at = person->wait_left_at;
		}
	}
	th_visit_write_people(batch->states, batch->n, rows, n_rows);
}

static void
write_files(Batch *batch)
{
	ThVisitFileRow *rows;
	int n_rows = 0;

	for (int i = 0; i < batch->n; i++)
		n_rows += batch->visits[i].told.n_files;
	rows = palloc0_array(ThVisitFileRow, Max(n_rows, 1));
	n_rows = 0;
	for (int i = 0; i < batch->n; i++)
	{
		const ThVisit *told = &batch->visits[i].told;

		for (int f = 0; f < told->n_files; f++)
		{
			const ThVisitFile *file = &told->files[f];
			ThVisitFileRow *row = &rows[n_rows++];

			row->place = i;
			row->file_id = file->file_id;
			row->type = file->type;
			row->url = file->url;
			row->size = file->size;
			row->started_at = file->started_at;
			row->ended_at = file->ended_at;
			row->status = file->status;
			row->deleted_at = file->deleted_at;
		}
	}
	th_visit_write_files(batch->states, batch->n, rows, n_rows);
}

/* A meeting that somebody removed at the platform is looked for, and made again. */
static void
mark_deleted(Batch *batch, TimestampTz now)
{
	ThMark *marks = palloc0_array(ThMark, MAX_VISITS);
	int n_marks = 0;

	for (int i = 0; i < batch->n; i++)
	{
		Visit *visit = &batch->visits[i];
		const ThVisitState *state = &batch->states[i];
		TimestampTz end = th_visit_planned_end(state->scheduled_at,
											   state->duration);

		if (!visit->is_deletion_new || !visit->told.is_deleted ||
			!state->is_live || (end != 0 && end <= now))
			continue;
		if (!th_visit_doubt_meeting(state, th_wish_sent("")))
		{
			visit->must_wait = true;
			continue;
		}
		marks[n_marks].kind = TH_JOB_MEETING;
		marks[n_marks].priority =
			state->scheduled_at < now + TH_NEAR_MINUTES * USECS_PER_MINUTE
				? TH_PRIORITY_NEAR
				: TH_PRIORITY_CREATE;
		marks[n_marks].clinic_id = state->clinic_id;
		marks[n_marks].subject_id = state->appointment_id;
		marks[n_marks++].due_at = now;
	}
	/* whoever holds the job is marking it: it is looked at all the same */
	(void) th_job_mark_free(marks, n_marks);
}

/* A deletion that could not be acted on yet stays new. */
static void
mark_seen(Batch *batch, TimestampTz now)
{
	int kept = 0;

	for (int i = 0; i < batch->n_seen; i++)
	{
		if (batch->is_seen_deletion[i] &&
			batch->visits[batch->seen_places[i]].must_wait)
			continue;
		batch->seen_clinics[kept] = batch->seen_clinics[i];
		batch->seen_ids[kept] = batch->seen_ids[i];
		batch->seen_outcomes[kept++] = batch->seen_outcomes[i];
	}
	th_visit_mark_seen(batch->seen_clinics, batch->seen_ids,
					   batch->seen_outcomes, kept, now);
}

/* ---- what is left to do ---- */

static void
later(ThSettle *settle, TimestampTz at)
{
	settle->verb = TH_SETTLE_LATER;
	settle->due_at = at;
	settle->failures = 0;
}

/* What runs although its time is over is looked at again; the sweep finds it then. */
static void
end_visit(const Visit *visit, const ThVisitState *state, TimestampTz now)
{
	TimestampTz end = th_visit_planned_end(state->scheduled_at,
										   state->duration);

	if (state->is_locked || visit->must_wait)
		later(visit->settle, now + HELD_RETRY_US);
	else if (!state->is_gone && state->is_live && state->is_told && end != 0 &&
			 strcmp(state->status, "IN_PROGRESS") == 0 &&
			 now >= end + TH_VISIT_GRACE_US && now < end + TH_VISIT_GIVE_UP_US)
	{
		/* the next look asks; who was answered does not ask at once again */
		if (visit->work->run_ended_at == 0)
			visit->settle->verb = TH_SETTLE_AGAIN;
		else
			later(visit->settle, now + ASKED_RETRY_US);
	}
}

void
th_visits_settle(ThWork *const *works, ThSettle *settles, int n,
				 TimestampTz now)
{
	Batch batch = { .context = CurrentMemoryContext };

	choose(&batch, works, settles, n);
	if (batch.n == 0)
		return;
	th_visit_lock(batch.states, batch.n);
	note_ends(&batch);
	th_visit_events(batch.states, batch.n, MAX_EVENTS, take_event, &batch);
	for (int i = 0; i < batch.n; i++)
		if (batch.visits[i].n_events > 0)
			fold(&batch.visits[i], &batch.states[i], now);
	th_visit_write(batch.states, batch.n);
	write_people(&batch);
	write_files(&batch);
	mark_deleted(&batch, now);
	mark_seen(&batch, now);
	th_visit_notify(batch.states, batch.n);
	for (int i = 0; i < batch.n; i++)
		end_visit(&batch.visits[i], &batch.states[i], now);
}

bool
th_visits_sweep(bool *has_more)
{
	int n;

	if (th_transaction_begin("visits") != TH_EXTENSION_READY)
		return false;
	th_account_deauthorize();
	n = th_visit_sweep(th_clock_now(), TH_VISIT_GRACE_US, SWEEP_BATCH);
	if (n > 0)
		th_wake_at_commit();
	th_transaction_commit();
	*has_more = n == SWEEP_BATCH;
	return true;
}
