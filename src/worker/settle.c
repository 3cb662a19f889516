/*
 * settle.c
 *	  Writing down what works led to, set-wise.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "store/history.h"
#include "worker/calendar_run.h"
#include "worker/expand.h"
#include "worker/match.h"
#include "worker/settle.h"
#include "worker/visits.h"

/* For so long attempts are not recorded after recording one has failed. */
#define HISTORY_PAUSE_MS 60000

static bool is_writing_history = false;
static int64 history_pause_until_ms = 0;

/* The works that take part in one step, and the keys of their appointments. */
typedef struct Chosen
{
	int n;
	int *place; /* in the list of works */
	int64 *clinics;
	int64 *ids;
} Chosen;

static void
choose_start(Chosen *chosen, int max)
{
	chosen->n = 0;
	chosen->place = palloc_array(int, Max(max, 1));
	chosen->clinics = palloc_array(int64, Max(max, 1));
	chosen->ids = palloc_array(int64, Max(max, 1));
}

static void
choose(Chosen *chosen, int place, const ThJob *job)
{
	chosen->place[chosen->n] = place;
	chosen->clinics[chosen->n] = job->clinic_id;
	chosen->ids[chosen->n++] = job->subject_id;
}

static bool
is_open(const ThSettle *settle)
{
	return !settle->is_fenced && !settle->is_locked;
}

/* Appointments held by applications make their works wait. */
static void
lock_appointments(ThWork **works, ThSettle *settles, int n)
{
	Chosen chosen;
	bool *is_locked = palloc_array(bool, Max(n, 1));

	choose_start(&chosen, n);
	for (int i = 0; i < n; i++)
	{
		ThJob job = works[i]->job;

		if (!is_open(&settles[i]))
			continue;
		if (job.kind == TH_JOB_SESSION && works[i]->visit->session != NULL)
			job.subject_id = works[i]->visit->session->appointment_id;
		else if (!works[i]->links && job.kind != TH_JOB_HOLD)
			continue;
		choose(&chosen, i, &job);
	}
	th_appointment_lock(chosen.clinics, chosen.ids, chosen.n, is_locked);
	for (int i = 0; i < chosen.n; i++)
		if (is_locked[i])
			settles[chosen.place[i]].is_locked = true;
}

/* A fresh meeting id that another live visit has is never handed out (Z11). */
static void
reject_taken(ThWork **works, ThSettle *settles, int n, TimestampTz now)
{
	ThSession **sessions = palloc_array(ThSession *, Max(n, 1));
	int *place = palloc_array(int, Max(n, 1));
	bool *is_taken = palloc_array(bool, Max(n, 1));
	int n_fresh = 0;
	const char *taken =
		"the platform answered with the meeting of another visit";

	for (int i = 0; i < n; i++)
		if (is_open(&settles[i]) && works[i]->is_created &&
			works[i]->target->meeting_id != NULL)
		{
			sessions[n_fresh] = works[i]->target;
			place[n_fresh++] = i;
		}
	th_session_find_taken(sessions, n_fresh, is_taken);
	for (int i = 0; i < n_fresh; i++)
	{
		ThWork *work = works[place[i]];

		if (!is_taken[i])
			continue;
		/* it is the other visit's: nothing of ours is there to be removed */
		work->target->meeting_id = NULL;
		work->target->is_retired = true;
		work->links = false;
		th_work_note(work, now, "create", "retry", NULL, NULL, taken, 0);
		th_work_later(work, now, 0, NULL, taken);
		work->settle.is_fenced = settles[place[i]].is_fenced;
		settles[place[i]] = work->settle;
	}
}

static void
write_sessions(ThWork **works, const ThSettle *settles, int n)
{
	ThSession **sessions = palloc_array(ThSession *, Max(n, 1));
	const char **fresh_ids = palloc_array(const char *, Max(n, 1));
	int n_written = 0;
	int n_fresh = 0;

	for (int i = 0; i < n; i++)
	{
		if (!is_open(&settles[i]) || !works[i]->writes_session ||
			works[i]->target->id == 0)
			continue;
		sessions[n_written++] = works[i]->target;
		if ((works[i]->is_created || works[i]->op == TH_OP_FIND) &&
			works[i]->target->meeting_id != NULL)
			fresh_ids[n_fresh++] = works[i]->target->meeting_id;
	}
	th_session_write(sessions, n_written);
	th_match_meetings(fresh_ids, n_fresh);
}

static void
write_links(ThWork **works, const ThSettle *settles, int n)
{
	Chosen chosen;
	const char **meeting_ids = palloc_array(const char *, Max(n, 1));
	const char **join_urls = palloc_array(const char *, Max(n, 1));

	choose_start(&chosen, n);
	for (int i = 0; i < n; i++)
	{
		if (!is_open(&settles[i]) || !works[i]->links)
			continue;
		meeting_ids[chosen.n] = works[i]->link_meeting_id;
		join_urls[chosen.n] = works[i]->link_join_url;
		choose(&chosen, i, &works[i]->job);
	}
	th_appointment_link(chosen.clinics, chosen.ids, meeting_ids, join_urls,
						chosen.n);
}

static void
expire_holds(ThWork **works, ThSettle *settles, int n, TimestampTz now)
{
	Chosen chosen;
	TimestampTz *dues = palloc_array(TimestampTz, Max(n, 1));

	choose_start(&chosen, n);
	for (int i = 0; i < n; i++)
		if (is_open(&settles[i]) && works[i]->job.kind == TH_JOB_HOLD)
			choose(&chosen, i, &works[i]->job);
	th_appointment_expire(chosen.clinics, chosen.ids, chosen.n, now, dues);
	for (int i = 0; i < chosen.n; i++)
	{
		ThSettle *settle = &settles[chosen.place[i]];

		if (dues[i] == 0 || settle->verb != TH_SETTLE_DONE)
			continue;
		settle->verb = TH_SETTLE_LATER;
		settle->due_at = dues[i];
	}
}

static void
write_history(ThWork **works, const ThSettle *settles, int n)
{
	ThHistory *rows;
	int n_rows = 0;

	if (th_clock_monotonic_ms() < history_pause_until_ms)
		return;
	for (int i = 0; i < n; i++)
		n_rows += list_length(works[i]->history);
	rows = palloc_array(ThHistory, Max(n_rows, 1));
	n_rows = 0;
	for (int i = 0; i < n; i++)
	{
		ListCell *cell;

		if (settles[i].is_locked)
			continue;
		foreach(cell, works[i]->history)
			rows[n_rows++] = *(ThHistory *) lfirst(cell);
	}
	is_writing_history = true;
	th_history_write(rows, n_rows);
	is_writing_history = false;
}

void
th_settle_failed(void)
{
	if (!is_writing_history)
		return;
	is_writing_history = false;
	history_pause_until_ms = th_clock_monotonic_ms() + HISTORY_PAUSE_MS;
	ereport(
		WARNING,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("telehealth worker does not record its attempts for a minute"),
		 errdetail("Writing to telehealth_private.job_history has failed."),
		 errhint(
			 "Its work goes on; the error before this one is the reason.")));
}

/* Ranks of works: those that mark come after those that they may mark. */
#define EXPAND_RANK 5
#define RANKS (EXPAND_RANK + 1)

static int
rank_of(const ThWork *work)
{
	return th_expand_is_kind(work->job.kind) ? EXPAND_RANK
											 : th_calendar_rank(work->job.kind);
}

/* Orders the works by rank; ends[rank] is where each ends. */
static void
put_in_order(ThWork **works, int n, int *ends)
{
	ThWork **ordered = palloc_array(ThWork *, n);
	int n_ordered = 0;

	for (int rank = 0; rank < RANKS; rank++)
	{
		for (int i = 0; i < n; i++)
		{
			if (rank_of(works[i]) == rank)
				ordered[n_ordered++] = works[i];
		}
		ends[rank] = n_ordered;
	}
	memcpy(works, ordered, sizeof(ThWork *) * n);
}

/* Calendars' jobs that mark others, kind by kind. */
static void
settle_calendars(ThWork **works, ThSettle *settles, const int *ends,
				 TimestampTz now)
{
	for (int rank = 1; rank < EXPAND_RANK; rank++)
	{
		int from = ends[rank - 1];
		int n = ends[rank] - from;

		if (n == 0)
			continue;
		th_calendar_settle(works + from, settles + from, n, now);
		th_job_settle(settles + from, n, now);
	}
}

void
th_settle_works(ThWork **works, int n, TimestampTz now, bool *is_kept,
				ThSettleReport *report)
{
	ThSettle *settles = palloc_array(ThSettle, Max(n, 1));
	int ends[RANKS];
	int n_visits;

	memset(report, 0, sizeof(*report));
	if (n == 0)
		return;
	put_in_order(works, n, ends);
	n_visits = ends[0];
	for (int i = 0; i < n; i++)
		settles[i] = works[i]->settle;
	th_job_lock(settles, n);
	lock_appointments(works, settles, n);
	reject_taken(works, settles, n, now);
	write_sessions(works, settles, n);
	write_links(works, settles, n);
	expire_holds(works, settles, n, now);
	th_calendar_settle(works, settles, n_visits, now);
	th_job_settle(settles, n_visits, now);
	settle_calendars(works, settles, ends, now);
	n_visits = ends[EXPAND_RANK - 1];
	th_expand_works(settles + n_visits, n - n_visits, now);
	th_visits_settle(works + n_visits, settles + n_visits, n - n_visits, now);
	th_job_settle(settles + n_visits, n - n_visits, now);
	write_history(works, settles, n);

	for (int i = 0; i < n; i++)
	{
		is_kept[i] = settles[i].is_locked;
		if (is_kept[i])
		{
			report->kept++;
			continue;
		}
		report->settled++;
		if (settles[i].error != NULL)
			report->failed++;
		if (settles[i].verb == TH_SETTLE_AGAIN)
			report->is_again = true;
		else if (settles[i].verb == TH_SETTLE_LATER && !settles[i].is_fenced &&
				 (report->next_due == 0 ||
				  settles[i].due_at < report->next_due))
			report->next_due = settles[i].due_at;
	}
}
