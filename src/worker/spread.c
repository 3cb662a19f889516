/*
 * spread.c
 *	  A backlog beyond what accounts may be asked for.
 *
 * Claiming a job and loading its visit only to send it back costs several
 * times what it takes to look at the due jobs and write their new times. Only
 * what is plain is treated so: the first meeting of a visit that does not
 * start soon, at an account that is known and crowded. All else is claimed.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "store/meeting.h"
#include "worker/pool_line.h"
#include "worker/spread.h"

#define WAITING_FOR "waiting_for_place"

/* Looked at in one transaction for each job that may be claimed in it: cheap. */
#define LOOKS_PER_CLAIM 5

/* Something was sent back since a look found nothing to spread. */
static bool is_backlog = false;

bool
th_spread_is_backlog(void)
{
	return is_backlog;
}

void
th_spread_later(ThWork *work, TimestampTz now)
{
	th_work_later(work, now, th_pool_crowded_until(work, now), WAITING_FOR,
				  NULL);
	is_backlog = true;
}

/* The account of a plain job, else NULL. */
static ThPoolAccount *
find_account(const ThJob *job, const ThVisitPeek *visit)
{
	if (job->kind != TH_JOB_MEETING || job->attempts > 0 || !visit->is_plain)
		return NULL;
	return th_pool_find(visit->account_clinic_id, visit->account_id);
}

static void
put_off(ThSettle *settle, const ThJob *job, TimestampTz due_at)
{
	memset(settle, 0, sizeof(*settle));
	settle->job = *job;
	settle->verb = TH_SETTLE_LATER;
	settle->due_at = due_at;
	settle->failures = job->failures;
	settle->priority = job->priority;
	settle->waiting_for = WAITING_FOR;
}

/* Makes settles of the jobs that find no place; returns their number. */
static int
choose(const ThJob *jobs, const ThVisitPeek *visits, int n, TimestampTz now,
	   ThSettle *settles, ThSpreadReport *report)
{
	ThPoolAccount **accounts = palloc_array(ThPoolAccount *, Max(n, 1));
	int n_spread = 0;

	for (int i = 0; i < n; i++)
	{
		TimestampTz at;

		accounts[i] = find_account(&jobs[i], &visits[i]);
		if (accounts[i] == NULL)
			continue;
		if (!th_pool_is_crowded(accounts[i], jobs[i].priority))
		{
			/* left to the claim */
			accounts[i]->placed++;
			continue;
		}
		at = th_pool_line_up(accounts[i], visits[i].starts_at, now);
		put_off(&settles[n_spread++], &jobs[i], at);
		if (report->next_due == 0 || at < report->next_due)
			report->next_due = at;
	}
	for (int i = 0; i < n; i++)
		if (accounts[i] != NULL)
			accounts[i]->placed = 0;
	return n_spread;
}

void
th_spread_backlog(ThClaim *class, TimestampTz now, ThSpreadReport *report)
{
	int limit = th_guc_batch_size * LOOKS_PER_CLAIM;
	ThJob *jobs;
	ThSettle *settles;
	int n;
	int n_spread;

	memset(report, 0, sizeof(*report));
	if (!is_backlog || th_guc_mock)
		return;
	n = th_job_peek(TH_PRIORITY_CREATE, class->from, limit, now, &jobs);
	settles = palloc_array(ThSettle, Max(n, 1));
	n_spread = choose(jobs, th_meeting_peek(jobs, n, now), n, now, settles,
					  report);
	th_job_settle(settles, n_spread, now);
	is_backlog = n_spread > 0;
	if (n_spread == 0)
		return;
	report->is_cut = n == limit;
	report->first_due = jobs[0].was_due_at;
	report->n_left = n - n_spread;
	class->limit = Min(class->limit, report->n_left);
}
