/*
 * pull_list.c
 *	  What a pull has seen so far, page after page, and what that comes to.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "calendar/busy.h"
#include "flow/event_wish.h"
#include "flow/import_list.h"
#include "flow/pull_list.h"

#define FIRST_ROOM 64

/* Problems that are noted of one pull; the others are left out all the same. */
#define MOST_PROBLEMS 1000

void
th_pull_list_clear(ThPullList *list, MemoryContext context)
{
	list->context = context;
	list->n = 0;
}

static const char *
keep(const char *text)
{
	return text == NULL ? NULL : pstrdup(text);
}

/*
 * Another installation's or clinic's visits are somebody's time like anything
 * else, and so is what somebody has made of a copy of one of ours.
 */
static bool
is_own(const ThEventSeen *seen, const ThIcalOrigin *own)
{
	int64 numbers[3];

	if (seen->key != NULL)
		return !seen->is_copy &&
			   th_event_key_read(seen->key, own->installation, &numbers[0],
								 &numbers[1], &numbers[2]) &&
			   numbers[0] == own->clinic_id;
	return seen->uid != NULL && th_ical_uid_is_own(seen->uid, own);
}

static void
keep_event(ThPullEntry *entry, const ThEventSeen *seen, const ThIcalOrigin *own)
{
	entry->is_own = is_own(seen, own);
	entry->seen = *seen;
	entry->seen.external_id = seen->external_id == NULL
								  ? NULL
								  : th_import_external_id(seen->external_id);
	entry->seen.etag = keep(seen->etag);
	entry->seen.series_id = keep(seen->series_id);
	entry->seen.uid = NULL;
	entry->seen.key = keep(seen->key);
	entry->seen.summary = keep(seen->summary);
	entry->seen.description = NULL;
	entry->seen.location = entry->seen.timezone = NULL;
	entry->seen.is_series = false;
	if (th_calendar_busy(&entry->seen) == TH_BUSY_NOT)
		entry->seen.show = TH_SHOW_FREE; /* its type is not kept */
	entry->seen.is_series = seen->is_series;
	entry->seen.type = NULL;
}

void
th_pull_list_add(ThPullList *list, const ThEventSeen *events, int n,
				 const ThIcalOrigin *own)
{
	MemoryContext old = MemoryContextSwitchTo(list->context);

	if (list->entries == NULL)
	{
		list->room = Max(FIRST_ROOM, n);
		list->entries = palloc_array(ThPullEntry, list->room);
	}
	else if (list->n + n > list->room)
	{
		list->room = (list->n + n) * 2;
		list->entries = repalloc_huge(list->entries,
									  sizeof(ThPullEntry) * list->room);
	}
	for (int i = 0; i < n; i++)
	{
		ThPullEntry *entry = &list->entries[list->n];

		keep_event(entry, &events[i], own);
		entry->n = list->n++;
	}
	MemoryContextSwitchTo(old);
}

int
th_pull_list_found(const ThPullList *list, const ThIcalOrigin *own,
				   int64 connection_id, ThEventFound **found)
{
	int n = 0;

	*found = palloc_array(ThEventFound, Max(list->n, 1));
	for (int i = 0; i < list->n; i++)
	{
		const ThEventSeen *seen = &list->entries[i].seen;
		int64 clinic_id;
		int64 connection;
		char *uid;

		if (seen->key == NULL || seen->external_id == NULL ||
			seen->is_deleted || seen->is_cancelled ||
			!th_event_key_read(seen->key, own->installation, &clinic_id,
							   &connection, &(*found)[n].appointment_id) ||
			clinic_id != own->clinic_id || connection != connection_id)
			continue;
		uid = palloc(TH_ICAL_UID_SIZE);
		th_ical_uid_write(uid, own, (*found)[n].appointment_id);
		(*found)[n].is_copy = seen->is_copy;
		(*found)[n].starts_at = seen->starts_at;
		(*found)[n].ends_at = seen->ends_at;
		(*found)[n].external_id = seen->external_id;
		(*found)[n++].uid = uid;
	}
	return n;
}

/* ---- what it comes to ---- */

static int
compare_ids(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

/* By id, occurrence and place. */
static int
compare_entries(const void *a, const void *b)
{
	const ThPullEntry *x = a;
	const ThPullEntry *y = b;
	int order = compare_ids(x->seen.external_id, y->seen.external_id);

	if (order != 0)
		return order;
	if (x->seen.recurrence_id != y->seen.recurrence_id)
		return x->seen.recurrence_id < y->seen.recurrence_id ? -1 : 1;
	return x->n < y->n ? -1 : 1;
}

/* The first entry of that id, NULL if there is none. */
static const ThPullEntry *
find_entry(const ThPullList *list, const char *id)
{
	int low = 0;
	int high = list->n;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (compare_ids(list->entries[middle].seen.external_id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->n &&
				   compare_ids(list->entries[low].seen.external_id, id) == 0
			   ? &list->entries[low]
			   : NULL;
}

const ThEventSeen *
th_pull_list_seen(const ThPullList *list, const char *external_id)
{
	const ThPullEntry *entry = find_entry(list, external_id);
	const ThPullEntry *last = entry;

	if (entry == NULL)
		return NULL;
	for (; entry < list->entries + list->n &&
		   compare_ids(entry->seen.external_id, external_id) == 0;
		 entry++)
	{
		if (entry->n > last->n)
			last = entry;
	}
	return &last->seen;
}

static ThBusy
busy_of(const ThPullList *list, const ThPullEntry *entry)
{
	const ThPullEntry *series = entry->seen.series_id == NULL
									? NULL
									: find_entry(list, entry->seen.series_id);
	ThEventSeen seen = entry->seen;

	if (entry->is_own || (series != NULL && series->is_own))
		return TH_BUSY_NOT;
	if (series != NULL)
	{
		seen.show = series->seen.show;
		seen.reply = series->seen.reply;
	}
	return th_calendar_busy(&seen);
}

static void
add_item(const ThPullList *list, const ThPullEntry *entry, ThBusyImport *import,
		 ThBusyItem *items)
{
	const ThEventSeen *seen = &entry->seen;
	ThBusy busy = busy_of(list, entry);
	ThBusyItem *item;

	if (busy == TH_BUSY_NOT || seen->ends_at <= seen->starts_at ||
		seen->ends_at <= import->window_start ||
		seen->starts_at >= import->window_end)
		return;
	item = &items[import->n_items++];
	item->external_id = seen->external_id;
	item->recurrence_id = seen->recurrence_id;
	item->starts_at = seen->starts_at;
	item->ends_at = seen->ends_at;
	item->is_tentative = busy == TH_BUSY_TENTATIVE;
}

/* Known by the same number whenever it is told. */
static void
add_problem(const ThPullEntry *entry, ThBusyImport *import,
			ThBusyProblem *problems)
{
	const char *id = entry->seen.external_id;
	ThBusyProblem *problem;

	if (import->n_problems == MOST_PROBLEMS)
		return;
	problem = &problems[import->n_problems++];
	problem->item = id == NULL ? 0
							   : (int) (hash_bytes((const unsigned char *) id,
												   (int) strlen(id)) &
										0x7fffffff);
	problem->external_id = id;
	problem->reason = entry->seen.problem;
}

/* Entries of one id, from "first" up to "end"; all of them if it has none. */
static void
finish_id(const ThPullList *list, int first, int end, ThPull *pull,
		  ThBusyItem *items, ThBusyProblem *problems, ThPullSeen *seen,
		  const char **named)
{
	ThBusyImport *import = &pull->busy.import;
	const ThPullEntry *last = &list->entries[first];
	int deleted = -1;

	for (int i = first; i < end; i++)
	{
		const ThPullEntry *entry = &list->entries[i];

		if (entry->n > last->n)
			last = entry;
		if (entry->seen.is_deleted)
			deleted = Max(deleted, entry->n);
	}
	if (last->seen.problem != NULL || last->seen.external_id == NULL)
	{
		add_problem(last, import, problems);
		return;
	}
	named[pull->busy.n_named++] = last->seen.external_id;
	seen[pull->n_seen].external_id = last->seen.external_id;
	seen[pull->n_seen].etag = last->seen.etag;
	seen[pull->n_seen++].is_gone = last->seen.is_deleted ||
								   last->seen.is_cancelled;
	for (int i = first; i < end; i++)
	{
		const ThPullEntry *entry = &list->entries[i];
		bool is_repeated = i + 1 < end && entry->seen.recurrence_id ==
											  entry[1].seen.recurrence_id;

		if (entry->n > deleted && !is_repeated)
			add_item(list, entry, import, items);
	}
}

void
th_pull_list_finish(ThPullList *list, ThPull *pull)
{
	MemoryContext old = MemoryContextSwitchTo(list->context);
	int room = Max(list->n, 1);
	ThBusyItem *items = palloc_array(ThBusyItem, room);
	ThBusyProblem *problems = palloc_array(ThBusyProblem,
										   Min(room, MOST_PROBLEMS));
	ThPullSeen *seen = palloc_array(ThPullSeen, room);
	const char **named = palloc_array(const char *, room);

	pull->busy.import.n_items = pull->busy.import.n_problems = 0;
	pull->busy.n_named = pull->n_seen = 0;
	if (list->n > 1)
		qsort(list->entries, list->n, sizeof(ThPullEntry), compare_entries);
	for (int first = 0; first < list->n;)
	{
		int end = first + 1;

		while (end < list->n &&
			   compare_ids(list->entries[first].seen.external_id,
						   list->entries[end].seen.external_id) == 0)
			end++;
		finish_id(list, first, end, pull, items, problems, seen, named);
		first = end;
	}
	pull->busy.import.items = items;
	pull->busy.import.problems = problems;
	pull->busy.named = named;
	pull->seen = seen;
	MemoryContextSwitchTo(old);
}
