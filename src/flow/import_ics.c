/*
 * import_ics.c
 *	  Busy times of a provider from an iCalendar text.
 */
#include "postgres.h"

#include <string.h>

#include "utils/timestamp.h"

#include "flow/calendar_read.h"
#include "flow/import_list.h"

typedef struct Taking
{
	ThImportList *list;
	bool is_cut; /* more is missing than occurrences of a known event */
	bool is_any_cut;
} Taking;

static void
take_occurrence(void *context, const ThIcalOccurrence *one)
{
	Taking *taking = context;
	ThImportList *list = taking->list;

	if (one->problem != NULL || one->is_truncated)
	{
		if (one->is_truncated)
		{
			taking->is_any_cut = true;
			taking->is_cut |= one->uid == NULL;
		}
		th_import_list_reject(list, 0, one->uid,
							  one->problem != NULL
								  ? one->problem
								  : "it has more occurrences than are read");
		return;
	}
	if (!one->is_busy || !one->has_times)
		return;
	th_import_list_add(list, one->is_period ? NULL : one->uid,
					   one->has_recurrence_id ? one->recurrence_id : DT_NOBEGIN,
					   one->starts_at, one->ends_at,
					   one->status != NULL &&
						   strcmp(one->status, "TENTATIVE") == 0);
}

/*
 * Where a single event has more occurrences than are read, what was read
 * counts, and nothing goes. Where the calendar itself is not all there,
 * nobody knows what is missing.
 */
void
th_import_ics(const ThImport *import, const char *ics, size_t length,
			  ThImportCounts *counts)
{
	Taking taking = { .list = th_import_list_create(import) };
	const char *timezone = import->timezone;
	ThIcalReadResult result;

	if (timezone == NULL)
		timezone = th_busy_timezone(import->clinic_id, import->provider_id);
	result = th_calendar_read(ics, length, import->window_start,
							  import->window_end, timezone, take_occurrence,
							  &taking);
	if (!result.is_complete && (taking.is_cut || !taking.is_any_cut))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("the iCalendar text is not complete"),
				 errdetail("It does not begin and end as a calendar, or has "
						   "more in it than is read. Nothing was changed.")));
	th_import_list_write(taking.list, result.is_complete, counts);
}
