/*
 * import_list.c
 *	  What an import collects before it writes.
 */
#include "postgres.h"

#include <string.h>

#include "common/string.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_error.h"
#include "crypto/token.h"
#include "flow/import_list.h"
#include "ical/ical_uid.h"

#define FIRST_ROOM 256

/* Longer ones are stored as their digest: they stand in an index. */
#define MAX_EXTERNAL_ID 512

/* A text with more wrong items is no calendar. */
#define MAX_PROBLEMS 50000

ThImportList *
th_import_list_create(const ThImport *import)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "telehealth import",
												  ALLOCSET_DEFAULT_SIZES);
	ThImportList *list = MemoryContextAllocZero(context, sizeof(ThImportList));

	list->import = import;
	list->context = context;
	th_installation_read(&list->installation);
	list->own.installation = list->installation.tag;
	list->own.plain_until = list->installation.plain_until;
	list->own.clinic_id = import->clinic_id;
	return list;
}

const char *
th_import_external_id(const char *uid)
{
	unsigned char digest[TH_SHA256_BYTES];
	size_t length = strlen(uid);
	char *result;
	char *p;

	if (length <= MAX_EXTERNAL_ID && pg_is_ascii(uid))
		return pstrdup(uid);
	th_sha256(uid, length, digest);
	result = palloc(7 + 2 * TH_SHA256_BYTES + 1);
	p = result + sprintf(result, "sha256:");
	for (int i = 0; i < TH_SHA256_BYTES; i++)
		p += sprintf(p, "%02x", digest[i]);
	return result;
}

static const char *
external_id_of(ThImportList *list, const char *uid)
{
	MemoryContext old = MemoryContextSwitchTo(list->context);
	const char *result = th_import_external_id(uid);

	MemoryContextSwitchTo(old);
	return result;
}

/* A stand-in for an id that is made of the time itself. */
static const char *
external_id_of_times(ThImportList *list, TimestampTz starts_at,
					 TimestampTz ends_at)
{
	char text[64];

	snprintf(text, sizeof(text), "time:" INT64_FORMAT "/" INT64_FORMAT,
			 starts_at / USECS_PER_SEC, ends_at / USECS_PER_SEC);
	return MemoryContextStrdup(list->context, text);
}

/* Room for one more; the list as it then is. */
static void *
make_room(ThImportList *list, void *array, int n, int *room, Size size)
{
	if (n < *room)
		return array;
	if (array == NULL)
	{
		*room = FIRST_ROOM;
		return MemoryContextAlloc(list->context, size * FIRST_ROOM);
	}
	*room *= 2;
	return repalloc_huge(array, size * (Size) *room);
}

void
th_import_list_add(ThImportList *list, const char *uid,
				   TimestampTz recurrence_id, TimestampTz starts_at,
				   TimestampTz ends_at, bool is_tentative)
{
	const ThImport *import = list->import;
	bool has_uid = uid != NULL && uid[0] != '\0';
	ThBusyItem *item;

	if (ends_at <= starts_at || ends_at <= import->window_start ||
		starts_at >= import->window_end)
		return;
	if (has_uid && th_ical_uid_is_own(uid, &list->own))
		return;

	list->items = make_room(list, list->items, list->n_items, &list->items_room,
							sizeof(ThBusyItem));
	item = &list->items[list->n_items++];
	item->external_id = has_uid
							? external_id_of(list, uid)
							: external_id_of_times(list, starts_at, ends_at);
	item->recurrence_id = recurrence_id;
	item->starts_at = starts_at;
	item->ends_at = ends_at;
	item->is_tentative = is_tentative;
}

void
th_import_list_reject(ThImportList *list, int item, const char *uid,
					  const char *reason)
{
	ThBusyProblem *problem;

	if (list->n_problems == MAX_PROBLEMS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("the text cannot be read as a calendar"),
						errdetail("More than %d of its items are wrong. "
								  "Nothing was changed.",
								  MAX_PROBLEMS)));
	list->problems = make_room(list, list->problems, list->n_problems,
							   &list->problems_room, sizeof(ThBusyProblem));
	problem = &list->problems[list->n_problems++];
	problem->item = item > 0 ? item : list->n_problems;
	problem->external_id = uid == NULL || uid[0] == '\0'
							   ? NULL
							   : external_id_of(list, uid);
	problem->reason = MemoryContextStrdup(list->context, reason);
}

void
th_import_list_write(ThImportList *list, bool is_complete,
					 ThImportCounts *counts)
{
	const ThImport *import = list->import;
	ThBusyImport rows = {
		.clinic_id = import->clinic_id,
		.provider_id = import->provider_id,
		.source = import->source,
		.window_start = import->window_start,
		.window_end = import->window_end,
		.items = list->items,
		.n_items = list->n_items,
		.problems = list->problems,
		.n_problems = list->n_problems,
		.may_remove = is_complete,
		.may_remove_many = import->may_remove_many,
	};
	ThBusyCounts written;

	MemoryContext old = MemoryContextSwitchTo(list->context);

	th_busy_import(&rows, &written);
	MemoryContextSwitchTo(old);
	if (written.is_suspicious)
		ereport(ERROR,
				(errcode(ERRCODE_TH_SUSPICIOUS_PULL),
				 errmsg("suspicious_pull: the import would remove " INT64_FORMAT
						" of " INT64_FORMAT " busy times",
						written.deleted, written.present),
				 errdetail("Nothing was changed."),
				 errhint("If they are really gone, import again with "
						 "confirm_deletions => true.")));
	counts->created = written.created;
	counts->updated = written.updated;
	counts->deleted = written.deleted;
	counts->quarantined = list->n_problems;
	MemoryContextDelete(list->context);
}
