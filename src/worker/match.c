/*
 * match.c
 *	  Events that came before the session they speak of.
 *
 * An account has other meetings than ours: what is told of them, and finds
 * no session, is not kept for ever.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_guc.h"
#include "store/job.h"
#include "store/webhook.h"
#include "worker/match.h"
#include "worker/transaction.h"
#include "worker/wake.h"

#define MOST_AT_ONCE 1000

/*
 * How far the sweep looks back. Whoever writes a meeting's id asks for its
 * events, however old; the sweep is for those that came in that very moment.
 */
#define SWEEP_HOURS 1

/* Who holds a session's job is marking it too, and commits after this. */
static void
mark(const ThWebhookSubject *subjects, int n)
{
	ThMark *marks = palloc0_array(ThMark, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		marks[i].kind = TH_JOB_SESSION;
		marks[i].priority = TH_PRIORITY_CREATE;
		marks[i].clinic_id = subjects[i].clinic_id;
		marks[i].subject_id = subjects[i].session_id;
		marks[i].due_at = th_clock_now();
	}
	(void) th_job_mark_free(marks, n);
}

void
th_match_meetings(const char *const *meeting_ids, int n)
{
	ThWebhookSubject *subjects;

	if (n == 0)
		return;
	n = th_webhook_rematch(meeting_ids, n, MOST_AT_ONCE, &subjects);
	mark(subjects, n);
}

bool
th_match_sweep(bool *has_more)
{
	ThWebhookSubject *subjects;
	TimestampTz since = th_clock_now() - SWEEP_HOURS * USECS_PER_HOUR;
	int n_gone;
	int n;

	if (th_transaction_begin("match events") != TH_EXTENSION_READY)
		return false;
	n = th_webhook_rematch_since(since, MOST_AT_ONCE, &subjects);
	mark(subjects, n);
	if (n > 0)
		th_wake_at_commit();
	n_gone = th_webhook_forget(th_clock_now() -
								   th_guc_history_days * USECS_PER_DAY,
							   MOST_AT_ONCE);
	th_transaction_commit();
	*has_more = n == MOST_AT_ONCE || n_gone == MOST_AT_ONCE;
	return true;
}
