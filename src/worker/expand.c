/*
 * expand.c
 *	  Jobs of providers, patients and clinics: their visits to come are marked.
 *
 * How far a clinic's visits are marked is remembered in this process only: a
 * new one begins anew, which marks some of them twice and leaves out none.
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/expand.h"
#include "worker/expand.h"

/* Visits of clinics, and providers or patients, in one transaction. */
#define MAX_VISITS 2000
#define MAX_PEOPLE 50

/* Clinics half done at a time; beyond it all begin anew. */
#define MAX_PLACES 100

typedef struct Place
{
	int64 clinic_id;
	int64 generation; /* a new mark begins anew */
	ThExpandPoint point;
	int held;
} Place;

static List *places = NIL; /* Place *, in TopMemoryContext */

bool
th_expand_is_kind(ThJobKind kind)
{
	return kind != TH_JOB_MEETING && kind != TH_JOB_HOLD;
}

void
th_expand_forget(void)
{
	list_free_deep(places);
	places = NIL;
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
		if (place->clinic_id != job->clinic_id)
			continue;
		if (place->generation != job->generation)
		{
			memset(place, 0, sizeof(*place));
			place->clinic_id = job->clinic_id;
			place->generation = job->generation;
		}
		return place;
	}
	if (list_length(places) >= MAX_PLACES)
		th_expand_forget();
	old = MemoryContextSwitchTo(TopMemoryContext);
	place = palloc0_object(Place);
	place->clinic_id = job->clinic_id;
	place->generation = job->generation;
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

/* Returns how many visits were marked. */
static int
expand_clinic(ThSettle *settle, int limit, TimestampTz now)
{
	Place *place = find_place(&settle->job);
	int marked = th_expand_clinic(place->clinic_id, &place->point, limit, now,
								  &place->held);

	if (marked == limit)
	{
		go_on(settle);
		return marked;
	}
	end_expansion(settle, place->held, now);
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

void
th_expand_works(ThSettle *settles, int n, TimestampTz now)
{
	bool is_everybody = expand_everybody(settles, n, now);
	int left = MAX_VISITS;

	expand_people(settles, n, TH_JOB_PROVIDER, now);
	expand_people(settles, n, TH_JOB_PATIENT, now);
	for (int i = 0; i < n; i++)
	{
		if (!is_open(&settles[i]) || settles[i].job.kind != TH_JOB_CLINIC)
			continue;
		/* jobs of clinics in hand were marked too: they begin anew, later */
		if (left > 0 && (!is_everybody || settles[i].job.clinic_id == 0))
			left -= expand_clinic(&settles[i], left, now);
		else
			go_on(&settles[i]);
	}
}
