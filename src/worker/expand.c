/*
 * expand.c
 *	  Jobs of providers, patients, clinics and calendars: their visits to come
 *	  are marked. Jobs of series: the visits that the horizon has reached are
 *	  made.
 *
 * How far a clinic's visits are marked is remembered in this process only: a
 * new one begins anew, which marks some of them twice and leaves out none.
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/calendar_mark.h"
#include "store/expand.h"
#include "store/series.h"
#include "worker/expand.h"

/* Visits of clinics, and providers or patients, in one transaction. */
#define MAX_VISITS 2000
#define MAX_PEOPLE 50
#define MAX_SERIES 50

/* A calendar is filled again, so often, while somebody may be booking who did not know of it. */
#define MAX_BACKFILLS 12

/* Clinics and calendars half done at a time; beyond it all begin anew. */
#define MAX_PLACES 100

typedef struct Place
{
	ThJobKind kind;
	int64 clinic_id;
	int64 subject_id;
	int64 generation; /* a new mark begins anew */
	ThExpandPoint point;
	ThBackfillPoint backfill;
	int held;
} Place;

static List *places = NIL; /* Place *, in TopMemoryContext */

bool
th_expand_is_kind(ThJobKind kind)
{
	return (kind >= TH_JOB_PROVIDER && kind <= TH_JOB_SESSION) ||
		   kind == TH_JOB_BACKFILL;
}

void
th_expand_forget(void)
{
	list_free_deep(places);
	places = NIL;
}

static void
begin_place(Place *place, const ThJob *job)
{
	memset(place, 0, sizeof(*place));
	place->kind = job->kind;
	place->clinic_id = job->clinic_id;
	place->subject_id = job->subject_id;
	place->generation = job->generation;
}

static Place *
find_place(const ThJob *job)
{
	MemoryContext old;
	Place *place;
	ListCell *cell;

	foreach(cell, places)
	{
		place = lfirst(cell);
		if (place->kind != job->kind || place->clinic_id != job->clinic_id ||
			place->subject_id != job->subject_id)
			continue;
		if (place->generation != job->generation)
			begin_place(place, job);
		return place;
	}
	if (list_length(places) >= MAX_PLACES)
		th_expand_forget();
	old = MemoryContextSwitchTo(TopMemoryContext);
	place = palloc_object(Place);
	begin_place(place, job);
	places = lappend(places, place);
	MemoryContextSwitchTo(old);
	return place;
}

/* Everything is marked; or was, but for what somebody held: once more, later. */
static void
end_expansion(ThSettle *settle, int held, TimestampTz now)
{
	if (held == 0)
		return;
	settle->verb = TH_SETTLE_LATER;
	settle->failures = settle->job.failures + 1;
	settle->due_at = th_work_backoff(now, settle->failures, false);
}

/* The rest is for the next transaction; how often it had to wait stays known. */
static void
go_on(ThSettle *settle)
{
	settle->verb = TH_SETTLE_AGAIN;
	settle->failures = settle->job.failures;
}

/*
 * Once all are marked, only those are looked for who were booked meanwhile
 * and could not know of the calendar.
 */
static void
end_backfill(ThSettle *settle, int held, TimestampTz now)
{
	if (held > 0)
		settle->failures = 0;
	else if (settle->job.failures < MAX_BACKFILLS &&
			 th_calendar_event_is_early())
		end_expansion(settle, 1, now);
}

/* True if that was a calendar's turn, and all. */
static bool
expand_again(ThSettle *settle, TimestampTz now)
{
	const ThJob *job = &settle->job;

	if (job->kind != TH_JOB_BACKFILL || job->failures == 0)
		return false;
	th_calendar_event_sweep(job->clinic_id, job->subject_id, now);
	end_backfill(settle, 0, now);
	return true;
}

/* A clinic's, or those that a calendar should show; returns how many visits were marked. */
static int
expand_many(ThSettle *settle, int limit, TimestampTz now)
{
	Place *place = find_place(&settle->job);
	int marked = place->kind == TH_JOB_BACKFILL
					 ? th_calendar_event_backfill(place->clinic_id,
												  place->subject_id,
												  &place->backfill, limit, now,
												  &place->held)
					 : th_expand_clinic(place->clinic_id, &place->point, limit,
										now, &place->held);

	if (marked == limit)
	{
		go_on(settle);
		return marked;
	}
	end_expansion(settle, place->held, now);
	if (place->kind == TH_JOB_BACKFILL)
		end_backfill(settle, place->held, now);
	places = list_delete_ptr(places, place);
	pfree(place);
	return marked;
}

static bool
is_open(const ThSettle *settle)
{
	return !settle->is_fenced && !settle->is_locked &&
		   settle->verb == TH_SETTLE_DONE;
}

/* Providers or patients, many at once: their visits are found together. */
static void
expand_people(ThSettle *settles, int n, ThJobKind kind, TimestampTz now)
{
	int64 clinics[MAX_PEOPLE] = { 0 };
	int64 ids[MAX_PEOPLE] = { 0 };
	ThSettle *taken[MAX_PEOPLE];
	int n_taken = 0;
	int held = 0;

	for (int i = 0; i < n; i++)
	{
		if (!is_open(&settles[i]) || settles[i].job.kind != kind)
			continue;
		if (n_taken == MAX_PEOPLE)
		{
			go_on(&settles[i]);
			continue;
		}
		clinics[n_taken] = settles[i].job.clinic_id;
		ids[n_taken] = settles[i].job.subject_id;
		taken[n_taken++] = &settles[i];
	}
	th_expand_people(kind, clinics, ids, n_taken, now, &held);
	for (int i = 0; i < n_taken; i++)
		end_expansion(taken[i], held, now);
}

/*
 * What is said of clinic 0 holds for every clinic: all are marked when its job
 * begins. True if that was now.
 */
static bool
expand_everybody(const ThSettle *settles, int n, TimestampTz now)
{
	for (int i = 0; i < n; i++)
	{
		const ThJob *job = &settles[i].job;
		Place *place;

		if (!is_open(&settles[i]) || job->kind != TH_JOB_CLINIC ||
			job->clinic_id != 0)
			continue;
		place = find_place(job);
		if (place->point.starts_at != 0)
			continue;
		th_expand_clinics(now, &place->held);
		return true;
	}
	return false;
}

/* One series that cannot go on delays no other. */
static void
end_series(ThSettle *settle, const ThSeriesLook *look, TimestampTz now)
{
	if (look->problem != NULL)
	{
		settle->error = look->problem;
		end_expansion(settle, 1, now);
	}
	else if (look->due_at != 0)
	{
		settle->verb = TH_SETTLE_LATER;
		settle->due_at = look->due_at;
	}
}

static void
expand_series(ThSettle *settles, int n, TimestampTz now)
{
	ThSeriesLook looks[MAX_SERIES] = { 0 };
	ThSettle *taken[MAX_SERIES];
	int n_taken = 0;

	for (int i = 0; i < n; i++)
	{
		if (!is_open(&settles[i]) || settles[i].job.kind != TH_JOB_SERIES)
			continue;
		if (n_taken == MAX_SERIES)
		{
			go_on(&settles[i]);
			continue;
		}
		looks[n_taken].clinic_id = settles[i].job.clinic_id;
		looks[n_taken].series_id = settles[i].job.subject_id;
		taken[n_taken++] = &settles[i];
	}
	th_series_extend(looks, n_taken, now);
	for (int i = 0; i < n_taken; i++)
		end_series(taken[i], &looks[i], now);
}

void
th_expand_works(ThSettle *settles, int n, TimestampTz now)
{
	bool is_everybody = expand_everybody(settles, n, now);
	int left = MAX_VISITS;

	expand_people(settles, n, TH_JOB_PROVIDER, now);
	expand_people(settles, n, TH_JOB_PATIENT, now);
	expand_series(settles, n, now);
	for (int i = 0; i < n; i++)
	{
		if (!is_open(&settles[i]) || (settles[i].job.kind != TH_JOB_CLINIC &&
									  settles[i].job.kind != TH_JOB_BACKFILL))
			continue;
		/* jobs of clinics in hand were marked too: they begin anew, later */
		if (expand_again(&settles[i], now))
			continue;
		if (left > 0 && (!is_everybody || settles[i].job.clinic_id == 0))
			left -= expand_many(&settles[i], left, now);
		else
			go_on(&settles[i]);
	}
}
