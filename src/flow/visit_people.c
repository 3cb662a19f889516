/*
 * visit_people.c
 *	  Who was there when, who waited, and what was recorded.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "flow/visit_parts.h"

/* ---- who was there ---- */

/* Comings and goings of one connection to one run belong together. */
static const char *
connection_key(const ThVisitFold *fold, int i)
{
	return psprintf("%d/%d/%s", fold->person[i], fold->run[i],
					fold->events[i].connection);
}

static bool
is_coming_or_going(const ThVisitFold *fold, int i)
{
	ThVisitHappening happening = fold->events[i].happening;

	return (happening == TH_VISIT_JOINED || happening == TH_VISIT_LEFT) &&
		   fold->runs[fold->run[i]].counts;
}

static void
add_stay(ThVisitFold *fold, int person, TimestampTz from, TimestampTz to)
{
	fold->stays[fold->n_stays++] =
		(ThVisitStay){ .person = person, .from = from, .to = to };
}

static void
find_stays(ThVisitFold *fold)
{
	const char **keys = palloc0_array(const char *, fold->n + 1);
	ThVisitNames set = { .names = palloc_array(const char *, fold->n + 1) };
	int *opened_by; /* the event, + 1 */

	fold->stays = palloc_array(ThVisitStay, fold->n + 1);
	for (int i = 0; i < fold->n; i++)
		if (is_coming_or_going(fold, i))
			set.names[set.n++] = keys[i] = connection_key(fold, i);
	th_visit_names_sort(&set);
	opened_by = palloc0_array(int, set.n + 1);
	for (int i = 0; i < fold->n; i++)
	{
		int *opened = keys[i] == NULL
						  ? NULL
						  : &opened_by[th_visit_names_find(&set, keys[i])];

		if (opened == NULL)
			continue;
		if (fold->events[i].happening == TH_VISIT_LEFT)
		{
			add_stay(fold, fold->person[i],
					 *opened == 0 ? 0 : fold->events[*opened - 1].at,
					 fold->events[i].at);
			*opened = 0;
		}
		else if (*opened == 0)
			*opened = i + 1;
	}
	for (int k = 0; k < set.n; k++)
	{
		const ThVisitEvent *event = &fold->events[opened_by[k] - 1];
		const ThVisitRun *run;

		if (opened_by[k] == 0)
			continue;
		run = &fold->runs[fold->run[opened_by[k] - 1]];
		add_stay(fold, fold->person[opened_by[k] - 1], event->at,
				 run->ended_at == 0 ? 0 : Max(run->ended_at, event->at));
	}
}

static int
compare_stays(const void *x, const void *y)
{
	const ThVisitStay *a = x;
	const ThVisitStay *b = y;

	if (a->person != b->person)
		return a->person < b->person ? -1 : 1;
	if (a->from != b->from)
		return th_visit_compare_instants(a->from, b->from);
	/* what has not ended comes last */
	if (a->to == 0 || b->to == 0)
		return (a->to == 0) - (b->to == 0);
	return th_visit_compare_instants(a->to, b->to);
}

/* Two devices at once are one presence; whoever comes back counts again. */
void
th_visit_tell_stays(ThVisitFold *fold)
{
	TimestampTz covered_to = 0;
	int64 *lengths = palloc0_array(int64, fold->persons.n + 1);
	bool *is_there = palloc0_array(bool, fold->persons.n + 1);

	find_stays(fold);
	qsort(fold->stays, fold->n_stays, sizeof(ThVisitStay), compare_stays);
	for (int s = 0; s < fold->n_stays; s++)
	{
		const ThVisitStay *stay = &fold->stays[s];
		ThVisitPerson *person = &fold->people[stay->person];

		if (s == 0 || fold->stays[s - 1].person != stay->person)
			covered_to = 0;
		person->left_at = Max(person->left_at, stay->to);
		is_there[stay->person] |= stay->to == 0;
		if (stay->from == 0)
			continue;
		person->joined_at = th_visit_earlier(person->joined_at, stay->from);
		if (covered_to == 0 || stay->from >= covered_to)
			person->join_count++;
		if (stay->to == 0)
			covered_to = DT_NOEND;
		else if (stay->to > covered_to)
		{
			lengths[stay->person] += stay->to - Max(stay->from, covered_to);
			covered_to = stay->to;
		}
	}
	for (int p = 0; p < fold->persons.n; p++)
	{
		fold->people[p].duration = (int) Min(lengths[p] / USECS_PER_SEC,
											 PG_INT32_MAX);
		if (is_there[p])
			fold->people[p].left_at = 0;
	}
}

/* ---- the waiting room ---- */

/* What happened to one person there, as numbers of events; -1: not. */
typedef struct Wait
{
	int entered; /* the last time */
	int left;
	int admitted;
} Wait;

static void
note_wait(ThVisitPerson *person, Wait *wait, const ThVisitEvent *event, int i)
{
	switch (event->happening)
	{
		case TH_VISIT_WAITING:
			person->wait_joined_at = th_visit_earlier(person->wait_joined_at,
													  event->at);
			wait->entered = i;
			break;
		case TH_VISIT_WAITING_LEFT:
			person->wait_left_at = event->at;
			wait->left = i;
			break;
		case TH_VISIT_JOINED:
			if (wait->entered < 0)
				break;
			/* FALLTHROUGH */
		case TH_VISIT_ADMITTED:
			if (wait->admitted < 0)
				person->wait_admitted_at = event->at;
			wait->admitted = i;
			break;
		default:
			break;
	}
}

void
th_visit_tell_waits(ThVisitFold *fold, ThVisit *out)
{
	Wait *waits = palloc_array(Wait, fold->persons.n + 1);
	bool is_waiting = false;

	for (int p = 0; p < fold->persons.n; p++)
		waits[p] = (Wait){ .entered = -1, .left = -1, .admitted = -1 };
	for (int i = 0; i < fold->n; i++)
	{
		int p = fold->person[i];

		if (p >= 0 && th_visit_is_patient(fold, p))
			note_wait(&fold->people[p], &waits[p], &fold->events[i], i);
	}
	for (int p = 0; p < fold->persons.n; p++)
	{
		ThVisitPerson *person = &fold->people[p];
		const Wait *wait = &waits[p];
		bool is_over = fold->facts->is_over ||
					   strcmp(out->status, "COMPLETED") == 0;

		if (wait->entered < 0 && wait->left < 0 && wait->admitted < 0)
			continue;
		person->wait_status = wait->admitted > wait->entered ||
									  (wait->admitted >= 0 && wait->entered < 0)
								  ? "ADMITTED"
							  : wait->left > wait->entered ? "LEFT"
							  : is_over                    ? "TIMED_OUT"
														   : "WAITING";
		is_waiting |= strcmp(person->wait_status, "WAITING") == 0;
		out->waiting_room_entered_at =
			th_visit_earlier(out->waiting_room_entered_at,
							 person->wait_joined_at);
		out->waiting_room_admitted_at =
			th_visit_earlier(out->waiting_room_admitted_at,
							 person->wait_admitted_at);
	}
	if (is_waiting && strcmp(out->status, "SCHEDULED") == 0)
		out->status = "WAITING";
}

/* Those of the visit, in order; who only tried the link is not. */
void
th_visit_tell_people(const ThVisitFold *fold, ThVisit *out)
{
	out->people = palloc_array(ThVisitPerson, fold->persons.n + 1);
	for (int p = 0; p < fold->persons.n; p++)
	{
		const ThVisitPerson *person = &fold->people[p];

		if (fold->is_host[p])
			out->host_joined_at = th_visit_earlier(out->host_joined_at,
												   person->joined_at);
		else if (!fold->is_interpreter[p])
			out->patient_joined_at = th_visit_earlier(out->patient_joined_at,
													  person->joined_at);
		if (person->joined_at != 0 || person->left_at != 0 ||
			person->wait_status != NULL)
			out->people[out->n_people++] = *person;
	}
}

/* ---- recordings ---- */

static ThVisitFile *
find_file(ThVisit *out, const char *file_id)
{
	for (int i = 0; i < out->n_files; i++)
		if (strcmp(out->files[i].file_id, file_id) == 0)
			return &out->files[i];
	out->files[out->n_files].file_id = file_id;
	out->files[out->n_files].size = -1;
	out->files[out->n_files].type = out->files[out->n_files].url = "";
	return &out->files[out->n_files++];
}

/* Later events say what state a file is in; what they leave out stays. */
static void
note_file(ThVisitFile *file, const ThVisitFile *told)
{
	if (told->type[0] != '\0')
		file->type = told->type;
	if (told->url[0] != '\0')
		file->url = told->url;
	if (told->size >= 0)
		file->size = told->size;
	if (told->started_at != 0)
		file->started_at = told->started_at;
	if (told->ended_at != 0)
		file->ended_at = told->ended_at;
	file->instance = told->instance;
	file->status = told->status;
	file->deleted_at = told->deleted_at;
}

/* A removal that names no file is of all files of the run. */
static void
note_removal(ThVisit *out, const ThVisitEvent *event)
{
	bool is_deleted = event->happening == TH_VISIT_RECORDING_DELETED;

	for (int i = 0; i < out->n_files; i++)
	{
		if (strcmp(out->files[i].instance, event->instance) != 0)
			continue;
		out->files[i].status = is_deleted ? "DELETED" : "TRASHED";
		out->files[i].deleted_at = is_deleted ? event->told_at : 0;
	}
}

void
th_visit_tell_files(const ThVisitFold *fold, ThVisit *out)
{
	int room = 1;

	for (int i = 0; i < fold->n; i++)
		room += fold->events[i].n_files;
	out->files = palloc0_array(ThVisitFile, room);
	for (int i = 0; i < fold->n; i++)
	{
		const ThVisitEvent *event = &fold->events[i];

		if (event->happening < TH_VISIT_RECORDED ||
			event->happening > TH_VISIT_RECORDING_DELETED)
			continue;
		if (event->happening == TH_VISIT_RECORDED &&
			event->share_url[0] != '\0')
			out->recording_url = event->share_url;
		for (int f = 0; f < event->n_files; f++)
			note_file(find_file(out, event->files[f].file_id),
					  &event->files[f]);
		if (event->n_files == 0 && event->happening != TH_VISIT_RECORDED)
			note_removal(out, event);
	}
}
