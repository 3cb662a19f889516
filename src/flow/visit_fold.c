/*
 * visit_fold.c
 *	  From everything that was told of a visit to how it stands.
 *
 * A meeting may run several times: each run has an identity of its own, and
 * one that is not known to have ended has when the next began. A run counts
 * if a patient was in it, or if it began about when the visit should: a host
 * who tries a link days before has not held a visit.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "flow/visit_parts.h"

/* Without a patient a run belongs to the visit if it begins no earlier before it. */
#define EARLY (15 * USECS_PER_MINUTE)

/* A visit that has ended does not begin anew so long after its planned end. */
#define LATE (12 * USECS_PER_HOUR)

/* Of whom nothing is known but that somebody was there. */
#define NOBODY "unknown"

/* ---- order ---- */

int
th_visit_compare_instants(TimestampTz a, TimestampTz b)
{
	return a < b ? -1 : a > b;
}

/* Events that compare equal say the same, as far as anything here asks. */
static int
compare_events(const void *x, const void *y)
{
	const ThVisitEvent *a = x;
	const ThVisitEvent *b = y;
	int order = th_visit_compare_instants(a->at, b->at);

	if (order == 0)
		order = th_visit_compare_instants(a->told_at, b->told_at);
	if (order == 0)
		order = (int) a->happening - (int) b->happening;
	if (order == 0)
		order = strcmp(a->instance, b->instance);
	if (order == 0)
		order = strcmp(a->connection, b->connection);
	if (order == 0)
		order = strcmp(a->identity, b->identity);
	if (order == 0)
		order = strcmp(a->name, b->name);
	if (order == 0)
		order = strcmp(a->device, b->device);
	if (order == 0)
		order = a->latency_ms - b->latency_ms;
	if (order == 0)
		order = a->n_files - b->n_files;
	return order != 0 ? order : strcmp(a->share_url, b->share_url);
}

static int
compare_names(const void *x, const void *y)
{
	return strcmp(*(const char *const *) x, *(const char *const *) y);
}

void
th_visit_names_sort(ThVisitNames *set)
{
	int kept = 0;

	qsort(set->names, set->n, sizeof(char *), compare_names);
	for (int i = 0; i < set->n; i++)
		if (kept == 0 || strcmp(set->names[kept - 1], set->names[i]) != 0)
			set->names[kept++] = set->names[i];
	set->n = kept;
}

int
th_visit_names_find(const ThVisitNames *set, const char *name)
{
	const char **found = bsearch(&name, set->names, set->n, sizeof(char *),
								 compare_names);

	return found == NULL ? -1 : (int) (found - set->names);
}

/* ---- persons ---- */

static bool
is_about_person(const ThVisitEvent *event)
{
	return event->happening >= TH_VISIT_WAITING &&
		   event->happening <= TH_VISIT_LEFT;
}

static int
compare_ties(const void *x, const void *y)
{
	const ThVisitEvent *const *a = x;
	const ThVisitEvent *const *b = y;
	int order = strcmp((*a)->connection, (*b)->connection);

	return order != 0 ? order : strcmp((*a)->identity, (*b)->identity);
}

/* Events that tell whose a connection is, by connection. */
static const ThVisitEvent **
list_ties(const ThVisitFold *fold, int *n)
{
	const ThVisitEvent **ties = palloc_array(const ThVisitEvent *, fold->n + 1);

	*n = 0;
	for (int i = 0; i < fold->n; i++)
		if (is_about_person(&fold->events[i]) &&
			fold->events[i].connection[0] != '\0' &&
			fold->events[i].identity[0] != '\0')
			ties[(*n)++] = &fold->events[i];
	qsort(ties, *n, sizeof(void *), compare_ties);
	return ties;
}

/* What an event leaves out another one of the same connection may tell. */
static const char *
person_of(const ThVisitEvent *event, const ThVisitEvent **ties, int n)
{
	int low = 0;
	int high = n;

	if (event->identity[0] != '\0')
		return event->identity;
	if (event->connection[0] == '\0')
		return NOBODY;
	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (strcmp(ties[middle]->connection, event->connection) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < n && strcmp(ties[low]->connection, event->connection) == 0)
		return ties[low]->identity;
	return event->connection;
}

/* The last word on somebody is what the latest event says, if it says it. */
static void
note_person(ThVisitPerson *person, const ThVisitEvent *event)
{
	if (event->name[0] != '\0')
		person->name = event->name;
	if (event->device[0] != '\0')
		person->device = event->device;
	if (event->latency_ms >= 0)
		person->latency_ms = event->latency_ms;
}

static void
find_persons(ThVisitFold *fold)
{
	int n_ties;
	const ThVisitEvent **ties = list_ties(fold, &n_ties);
	const char **names = palloc_array(const char *, fold->n + 1);

	fold->persons.names = palloc_array(const char *, fold->n + 1);
	for (int i = 0; i < fold->n; i++)
	{
		names[i] = NULL;
		if (!is_about_person(&fold->events[i]))
			continue;
		names[i] = person_of(&fold->events[i], ties, n_ties);
		fold->persons.names[fold->persons.n++] = names[i];
	}
	th_visit_names_sort(&fold->persons);
	fold->people = palloc0_array(ThVisitPerson, fold->persons.n + 1);
	fold->is_host = palloc0_array(bool, fold->persons.n + 1);
	fold->is_interpreter = palloc0_array(bool, fold->persons.n + 1);
	for (int p = 0; p < fold->persons.n; p++)
	{
		fold->people[p].participant_id = fold->persons.names[p];
		fold->people[p].latency_ms = -1;
	}
	for (int i = 0; i < fold->n; i++)
	{
		int p = names[i] == NULL
					? -1
					: th_visit_names_find(&fold->persons, names[i]);

		fold->person[i] = p;
		if (p < 0)
			continue;
		note_person(&fold->people[p], &fold->events[i]);
		fold->is_host[p] |= fold->events[i].is_host;
		fold->is_interpreter[p] |= fold->events[i].is_interpreter;
	}
	for (int p = 0; p < fold->persons.n; p++)
		fold->people[p].role = fold->is_host[p]          ? "host"
							   : fold->is_interpreter[p] ? "interpreter"
														 : "patient";
}

bool
th_visit_is_patient(const ThVisitFold *fold, int person)
{
	return !fold->is_host[person] && !fold->is_interpreter[person];
}

/* ---- runs ---- */

static bool
is_about_run(const ThVisitEvent *event)
{
	return event->happening == TH_VISIT_STARTED ||
		   event->happening == TH_VISIT_ENDED ||
		   event->happening == TH_VISIT_JOINED ||
		   event->happening == TH_VISIT_LEFT;
}

TimestampTz
th_visit_earlier(TimestampTz a, TimestampTz b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void
note_run(ThVisitRun *run, const ThVisitEvent *event, bool is_of_patient)
{
	switch (event->happening)
	{
		case TH_VISIT_STARTED:
			run->begun = th_visit_earlier(run->begun, event->at);
			break;
		case TH_VISIT_ENDED:
			if (event->started_at <= event->at)
				run->begun_ended = th_visit_earlier(run->begun_ended,
													event->started_at);
			run->ended_at = Max(run->ended_at, event->at);
			break;
		default:
			run->has_patient |= is_of_patient &&
								event->happening == TH_VISIT_JOINED;
			run->first_seen = th_visit_earlier(run->first_seen, event->at);
			run->last_seen = Max(run->last_seen, event->at);
			break;
	}
}

static int
compare_runs(const void *x, const void *y)
{
	const ThVisitRun *const *a = x;
	const ThVisitRun *const *b = y;
	int order = th_visit_compare_instants((*a)->started_at, (*b)->started_at);

	return order != 0 ? order : strcmp((*a)->uuid, (*b)->uuid);
}

/* A meeting runs once at a time: what ran before has ended. */
static void
close_run(ThVisitRun *run, const ThVisitRun *next, bool is_given_up)
{
	if (run->ended_at == 0 && (next != NULL || is_given_up))
		run->ended_at = Max(run->last_seen, run->started_at);
	if (next != NULL)
		run->ended_at = Min(run->ended_at, next->started_at);
	if (run->ended_at != 0)
		run->ended_at = Max(run->ended_at, run->started_at);
}

static void
find_runs(ThVisitFold *fold)
{
	fold->uuids.names = palloc_array(const char *, fold->n + 1);
	for (int i = 0; i < fold->n; i++)
		if (is_about_run(&fold->events[i]))
			fold->uuids.names[fold->uuids.n++] = fold->events[i].instance;
	th_visit_names_sort(&fold->uuids);
	fold->runs = palloc0_array(ThVisitRun, fold->uuids.n + 1);
	fold->order = palloc0_array(ThVisitRun *, fold->uuids.n + 1);
	for (int i = 0; i < fold->n; i++)
	{
		const ThVisitEvent *event = &fold->events[i];
		int r = is_about_run(event)
					? th_visit_names_find(&fold->uuids, event->instance)
					: -1;

		fold->run[i] = r;
		if (r >= 0)
			note_run(&fold->runs[r], event,
					 fold->person[i] >= 0 &&
						 th_visit_is_patient(fold, fold->person[i]));
	}
	for (int r = 0; r < fold->uuids.n; r++)
	{
		ThVisitRun *run = &fold->runs[r];

		run->uuid = fold->uuids.names[r];
		run->started_at = run->begun != 0         ? run->begun
						  : run->begun_ended != 0 ? run->begun_ended
						  : run->first_seen != 0  ? run->first_seen
												  : run->ended_at;
		fold->order[r] = run;
	}
	qsort(fold->order, fold->uuids.n, sizeof(ThVisitRun *), compare_runs);
	for (int r = 0; r < fold->uuids.n; r++)
		close_run(fold->order[r], fold->order[r + 1], fold->facts->is_given_up);
}

static TimestampTz
planned_end(const ThVisitFacts *facts)
{
	return facts->scheduled_at +
		   (TimestampTz) facts->duration * USECS_PER_MINUTE;
}

/* Which runs are of this visit. */
static void
choose_runs(ThVisitFold *fold)
{
	const ThVisitFacts *facts = fold->facts;
	bool has_ended = false;

	for (int r = 0; r < fold->uuids.n; r++)
	{
		ThVisitRun *run = fold->order[r];

		run->counts = facts->scheduled_at == 0 || run->has_patient ||
					  run->started_at >= facts->scheduled_at - EARLY;
		if (facts->scheduled_at != 0 && has_ended &&
			run->started_at > planned_end(facts) + LATE)
			run->counts = false;
		has_ended |= run->counts && run->ended_at != 0;
	}
}

/* A visit that ended before it should begin, without a patient, did not take place yet. */
static bool
is_complete(const ThVisitFold *fold, const ThVisitRun *run)
{
	return run->ended_at != 0 && (run->has_patient || fold->facts->is_over ||
								  run->ended_at > fold->facts->scheduled_at);
}

static void
tell_runs(const ThVisitFold *fold, ThVisit *out)
{
	int64 duration = 0;
	bool is_running = false;
	bool has_completed = false;

	for (int r = 0; r < fold->uuids.n; r++)
	{
		const ThVisitRun *run = fold->order[r];

		if (!run->counts)
			continue;
		out->started_at = th_visit_earlier(out->started_at, run->started_at);
		if (run->uuid[0] != '\0')
			out->meeting_uuid = run->uuid;
		is_running |= run->ended_at == 0;
		if (run->ended_at == 0)
			continue;
		has_completed |= is_complete(fold, run);
		out->ended_at = Max(out->ended_at, run->ended_at);
		duration += run->ended_at - run->started_at;
	}
	out->status = is_running      ? "IN_PROGRESS"
				  : has_completed ? "COMPLETED"
								  : "SCHEDULED";
	if (is_running || !has_completed)
		out->ended_at = 0;
	else
		out->actual_duration = (int) ((duration + USECS_PER_MINUTE / 2) /
									  USECS_PER_MINUTE);
}

/* ---- all of it ---- */

void
th_visit_fold(ThVisitEvent *events, int n, const ThVisitFacts *facts,
			  ThVisit *out)
{
	ThVisitFold fold = { .events = events, .n = n, .facts = facts };

	memset(out, 0, sizeof(*out));
	out->actual_duration = -1;
	fold.person = palloc_array(int, n + 1);
	fold.run = palloc_array(int, n + 1);
	qsort(events, n, sizeof(ThVisitEvent), compare_events);
	find_persons(&fold);
	find_runs(&fold);
	choose_runs(&fold);
	tell_runs(&fold, out);
	th_visit_tell_stays(&fold);
	th_visit_tell_waits(&fold, out);
	th_visit_tell_people(&fold, out);
	th_visit_tell_files(&fold, out);
	for (int i = 0; i < n; i++)
		if (events[i].happening == TH_VISIT_DELETED ||
			events[i].happening == TH_VISIT_RECOVERED)
			out->is_deleted = events[i].happening == TH_VISIT_DELETED;
}
