/*
 * fn_calendar.c
 *	  One appointment as iCalendar text.
 */
#include "postgres.h"

#include <string.h>

#include "utils/builtins.h"

#include "base/compat.h"
#include "base/th_guc.h"
#include "api/ical_result.h"
#include "api/vevent.h"
#include "ical/ical_event.h"
#include "ical/ical_uid.h"
#include "store/installation.h"
#include "store/meeting.h"
#include "store/status.h"

TH_SQL_FUNCTION(th_sql_appointment_ics);

#define DEFAULT_SUMMARY "Telehealth visit"

static bool
is_over(const char *status)
{
	return strcmp(status, "CANCELLED") == 0 || strcmp(status, "NO_SHOW") == 0;
}

static const char *
calendar_status(const char *status, bool is_cancelled)
{
	if (is_cancelled || is_over(status))
		return "CANCELLED";
	return strcmp(status, "PENDING") == 0 ? "TENTATIVE" : "CONFIRMED";
}

static void
fill_event(ThIcalEvent *event, const ThCalendarEntry *entry, uint32 facts,
		   bool is_cancelled)
{
	event->stamp = entry->updated_at;
	event->has_created = true;
	event->created = entry->created_at;
	event->has_last_modified = true;
	event->last_modified = entry->updated_at;

	/* A cancellation is newer than what it cancels (RFC 5546, 2.1.4). */
	event->sequence = entry->sequence +
					  (is_cancelled && !is_over(entry->status));
	event->starts_at = entry->starts_at;
	event->ends_at = entry->ends_at;
	event->summary = (facts & TH_FACT_TITLE) != 0 && entry->title != NULL
						 ? th_ical_utf8(entry->title)
						 : DEFAULT_SUMMARY;
	if ((facts & TH_FACT_LOCATION) != 0)
		event->location = th_ical_utf8(entry->location);
	if ((facts & TH_FACT_JOIN_URL) != 0 && !is_cancelled)
		event->url = th_ical_utf8(entry->join_url);
	event->is_meeting = event->url != NULL;
	event->status = calendar_status(entry->status, is_cancelled);
	event->class_name = "PRIVATE";
}

/* Stands where a person must and the address stays here. */
#define NO_ADDRESS "invalid:nomail"

static void
fill_person(ThIcalPerson *person, const char *email, const char *name)
{
	person->address = email != NULL && email[0] != '\0' ? th_ical_utf8(email)
														: NO_ADDRESS;
	person->name = th_ical_utf8(name);
}

/* Who invites whom (RFC 5546, 3.2.2 and 3.2.5). */
static void
add_people(ThIcalEvent *event, ThIcalPerson people[2],
		   const ThCalendarEntry *entry, uint32 facts, bool is_asked)
{
	bool has_email = (facts & TH_FACT_EMAIL) != 0;

	memset(people, 0, sizeof(ThIcalPerson) * 2);
	fill_person(&people[0], has_email ? entry->provider_email : NULL,
				(facts & TH_FACT_PROVIDER_NAME) != 0 ? entry->provider_name
													 : NULL);
	fill_person(&people[1], has_email ? entry->patient_email : NULL,
				(facts & TH_FACT_PATIENT_NAME) != 0 ? entry->patient_name
													: NULL);
	people[1].type = "INDIVIDUAL";
	people[1].role = "REQ-PARTICIPANT";
	people[1].status = is_asked ? "NEEDS-ACTION" : NULL;
	people[1].is_asked = is_asked && strcmp(people[1].address, NO_ADDRESS) != 0;
	event->organizer = &people[0];
	event->attendees = &people[1];
	event->n_attendees = 1;
}

/* The UID that the feed has too. */
static const char *
uid_of(int64 clinic_id, int64 id)
{
	ThIcalOrigin origin = { .clinic_id = clinic_id };
	ThInstallation installation;
	char *uid = palloc(TH_ICAL_UID_SIZE);

	th_installation_read(&installation);
	origin.installation = installation.tag;
	origin.plain_until = installation.plain_until;
	(void) th_ical_uid_write(uid, &origin, id);
	return uid;
}

Datum
th_sql_appointment_ics(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id = PG_GETARG_INT64(0);
	char *method = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ThCalendarEntry entry;
	ThIcalPerson people[2];
	ThIcalEvent event = { 0 };
	ThIcalHead head = { .method = method };
	ThIcalWriter writer;
	bool is_mail;
	bool is_cancelled;
	uint32 facts;

	th_vevent_check_method(method);
	is_mail = strcmp(method, "PUBLISH") != 0;
	if (!th_status_calendar(clinic_id, id, is_mail, &entry))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("appointment " INT64_FORMAT " does not exist", id)));

	/* Of a request for what is cancelled, clients would keep the event. */
	if (strcmp(method, "REQUEST") == 0 && is_over(entry.status))
		head.method = "CANCEL";
	is_cancelled = strcmp(head.method, "CANCEL") == 0;
	facts = th_status_facts(clinic_id, is_mail ? "email" : "feed");
	fill_event(&event, &entry, facts, is_cancelled);
	if (is_mail)
		add_people(&event, people, &entry, facts, !is_cancelled);
	event.uid = uid_of(clinic_id, id);
	th_ical_begin(&writer);
	th_ical_add_event(&writer, &event);
	PG_RETURN_TEXT_P(th_ical_result_last(&writer, &head));
}
