/*
 * calendar_expand.c
 *	  From visits to their events in calendars.
 */
#include "postgres.h"

#include "flow/calendar_expand.h"
#include "ical/ical_uid.h"
#include "store/calendar_mark.h"
#include "store/installation.h"

/* Returns how many events could not be marked since others hold them. */
static int
expand(const ThJob *jobs, int n, TimestampTz now)
{
	ThEventKey *missing;
	ThIcalOrigin origin;
	ThInstallation installation;
	int n_missing;

	if (n == 0)
		return 0;
	n_missing = th_calendar_event_sort(jobs, n, now, &missing);
	th_installation_read(&installation);
	origin.installation = installation.tag;
	origin.plain_until = installation.plain_until;
	for (int i = 0; i < n_missing; i++)
	{
		char *uid = palloc(TH_ICAL_UID_SIZE);

		origin.clinic_id = missing[i].clinic_id;
		th_ical_uid_write(uid, &origin, missing[i].appointment_id);
		missing[i].uid = uid;
	}
	th_calendar_event_insert(missing, n_missing);
	return th_calendar_event_mark(jobs, n, now);
}

static void
load(ThWork **works pg_attribute_unused(), int n pg_attribute_unused(),
	 TimestampTz now pg_attribute_unused())
{
	/* all is read when it is settled */
}

static void
decide(ThWork *work, TimestampTz now pg_attribute_unused())
{
	th_work_done(work);
}

static void
advance(ThWork *work pg_attribute_unused(),
		const ThHttpResult *result pg_attribute_unused(),
		TimestampTz now pg_attribute_unused())
{
	elog(ERROR, "a visit's work about calendars has asked nobody");
}

static void
settle(ThWork **works pg_attribute_unused(), ThSettle *settles, int n,
	   TimestampTz now)
{
	ThJob *jobs = palloc_array(ThJob, Max(n, 1));
	int n_jobs = 0;

	for (int i = 0; i < n; i++)
		if (!settles[i].is_fenced && !settles[i].is_locked &&
			settles[i].verb == TH_SETTLE_DONE)
			jobs[n_jobs++] = settles[i].job;
	if (expand(jobs, n_jobs, now) == 0)
		return;

	/* what somebody held is marked later; the rest once more, which is little */
	for (int i = 0; i < n; i++)
	{
		if (settles[i].verb != TH_SETTLE_DONE)
			continue;
		settles[i].verb = TH_SETTLE_LATER;
		settles[i].failures = settles[i].job.failures + 1;
		settles[i].due_at = th_work_backoff(now, settles[i].failures, false);
	}
}

const ThCalendarFlow th_calendar_visits_flow = {
	.load = load,
	.decide = decide,
	.advance = advance,
	.settle = settle,
};
