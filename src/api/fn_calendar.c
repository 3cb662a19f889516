/*
 * fn_calendar.c
 *	  One appointment as iCalendar text.
 */
#include "postgres.h"

#include <string.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/th_guc.h"
#include "ical/ical_write.h"
#include "store/meeting.h"
#include "store/status.h"

TH_SQL_FUNCTION(th_sql_appointment_ics);

#define DEFAULT_SUMMARY "Telehealth visit"

/* "text" in UTF-8. Memory: current context, or "text" itself. */
static const char *
as_utf8(const char *text)
{
	if (text == NULL)
		return NULL;
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
}

static const char *
calendar_status(const char *status, bool is_cancelled)
{
	if (is_cancelled || strcmp(status, "CANCELLED") == 0 ||
		strcmp(status, "NO_SHOW") == 0)
		return "CANCELLED";
	return strcmp(status, "PENDING") == 0 ? "TENTATIVE" : "CONFIRMED";
}

static bool
is_method(const char *method)
{
	return strcmp(method, "PUBLISH") == 0 || strcmp(method, "REQUEST") == 0 ||
		   strcmp(method, "CANCEL") == 0;
}

static void
fill_event(ThIcalEvent *event, const ThCalendarEntry *entry, uint32 facts,
		   bool is_cancelled)
{
	event->stamp = entry->updated_at;
	event->created = entry->created_at;
	event->last_modified = entry->updated_at;
	event->sequence = entry->sequence;
	event->starts_at = entry->starts_at;
	event->ends_at = entry->ends_at;
	event->summary = (facts & TH_FACT_TITLE) != 0 && entry->title != NULL
						 ? as_utf8(entry->title)
						 : DEFAULT_SUMMARY;
	if ((facts & TH_FACT_LOCATION) != 0)
		event->location = as_utf8(entry->location);
	if ((facts & TH_FACT_JOIN_URL) != 0 && !is_cancelled)
		event->url = as_utf8(entry->join_url);
	event->is_meeting = event->url != NULL;
	event->status = calendar_status(entry->status, is_cancelled);
	event->is_private = true;
}

Datum
th_sql_appointment_ics(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id = PG_GETARG_INT64(0);
	char *method = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ThCalendarEntry entry;
	ThIcalEvent event = { 0 };
	StringInfoData out;

	if (!is_method(method))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown iCalendar method \"%s\"", method),
						errhint("Methods are PUBLISH, REQUEST and CANCEL.")));
	if (!th_status_calendar(clinic_id, id, &entry))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("appointment " INT64_FORMAT " does not exist", id)));

	fill_event(&event, &entry, th_status_facts(clinic_id, "feed"),
			   strcmp(method, "CANCEL") == 0);
	event.uid = psprintf("appointment-" INT64_FORMAT ".clinic-" INT64_FORMAT
						 "@telehealth",
						 id, clinic_id);
	initStringInfo(&out);
	th_ical_write_start(&out, method, NULL);
	th_ical_write_event(&out, &event);
	th_ical_write_end(&out);
	PG_RETURN_TEXT_P(
		cstring_to_text(pg_any_to_server(out.data, out.len, PG_UTF8)));
}
