/*
 * cycle.c
 *	  One transaction of the dispatcher: settle what ended, claim what is due.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_debug.h"
#include "base/th_error.h"
#include "base/th_guc.h"
#include "crypto/keyring.h"
#include "flow/ask.h"
#include "flow/meeting.h"
#include "store/environment.h"
#include "store/history.h"
#include "worker/cycle.h"
#include "worker/expand.h"
#include "worker/mailbox.h"
#include "worker/pool.h"
#include "worker/run.h"
#include "worker/settle.h"
#include "worker/transaction.h"
#include "worker/wake.h"

/* Works of one account kept in memory beyond its places; more go back to the queue. */
#define WAITING_PER_PLACE 8
#define WAITING_FLOOR 8

/* Work sent back to the queue comes back no sooner. */
#define MIN_RELEASE_US (250 * 1000)

/* Near starts claimed although the memory is full of others. */
#define NEAR_FLOOR 8

/* Rows of housekeeping in one transaction. */
#define AUDIT_BATCH 500

/* How far left the next claim of each class has to look. */
static TimestampTz watermarks[TH_PRIORITY_COUNT];

/* Questions of backends that wait for a transaction. */
static ThAsk asks[TH_MAILBOX_ENTRIES];
static int n_asks = 0;

/* Works of the cycle under way, until its commit makes them real. */
static List *fresh = NIL;

/* The pool knows the account of a READY work; a work too many goes back. */
static void
place(ThWork *work, TimestampTz now)
{
	int waiting;

	if (work->state != TH_WORK_READY || work->account == NULL ||
		work->platform->answer != NULL)
		return;
	work->pool = th_pool_account(work->account, now);

	/* near starts are kept out by near starts only */
	waiting = work->job.priority == TH_PRIORITY_NEAR
				  ? work->pool->waiting_near
				  : work->pool->waiting + work->pool->placed;
	if (work->ask != NULL)
		return;
	work->pool->placed++;
	if (waiting >=
		work->pool->max_in_flight * WAITING_PER_PLACE + WAITING_FLOOR)
		th_work_later(work, now, th_pool_release_at(work, now + MIN_RELEASE_US),
					  "waiting_for_place", NULL);
}

/* Decides one job; an error in deciding is the work's own failure. */
static void
decide(ThWork *work, TimestampTz now)
{
	MemoryContext old = CurrentMemoryContext;

	if (work->job.attempts > th_guc_max_attempts)
	{
		th_work_note(work, now, "look", "dead", NULL, NULL,
					 "the worker died while doing this", 0);
		th_work_dead(work, psprintf("the worker died %d times while doing this",
									work->job.attempts - 1));
		return;
	}
	if (work->job.kind != TH_JOB_MEETING)
	{
		th_work_done(work);
		return;
	}
	PG_TRY();
	{
		th_meeting_decide(work, now);
	}
	PG_CATCH();
	{
		ErrorData *error;

		/* pure code: nothing of the transaction is left half done */
		MemoryContextSwitchTo(work->context);
		error = CopyErrorData();
		FlushErrorState();
		th_work_later(work, now, 0, NULL, error->message);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

/* Makes works of claimed jobs. */
static void
take_jobs(const ThJob *jobs, int n, TimestampTz now)
{
	ThBatch *batch;
	ThMeetingSubject *subjects;
	MemoryContext old;

	if (n == 0)
		return;
	batch = th_run_new_batch();
	for (int i = 0; i < n; i++)
	{
		ThWork *work = th_run_new(batch);

		work->job = jobs[i];
		work->lease_until = now +
							(TimestampTz) th_guc_lease_seconds * USECS_PER_SEC;
		old = MemoryContextSwitchTo(TopMemoryContext);
		fresh = lappend(fresh, work);
		MemoryContextSwitchTo(old);
	}
	old = MemoryContextSwitchTo(batch->context);
	subjects = th_meeting_load(jobs, n);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < n; i++)
	{
		ThWork *work = list_nth(fresh, list_length(fresh) - n + i);

		work->subject = work->job.kind == TH_JOB_MEETING ? &subjects[i] : NULL;
		decide(work, now);
		place(work, now);
	}
}

/*
 * Moves the watermarks to where the next claim has to begin. A class that
 * came back short was read to its end, unless the claim was full before.
 */
static void
move_watermarks(const ThClaim *classes, const ThJob *jobs, int n, bool is_full,
				TimestampTz now)
{
	TimestampTz margin = (TimestampTz) TH_WATERMARK_MARGIN_MS * 1000;
	TimestampTz last[TH_PRIORITY_COUNT];
	int count[TH_PRIORITY_COUNT] = { 0 };

	for (int i = 0; i < n; i++)
	{
		ThPriority p = jobs[i].priority;

		last[p] = count[p]++ == 0 ? jobs[i].was_due_at
								  : Max(last[p], jobs[i].was_due_at);
	}
	for (int p = 0; p < TH_PRIORITY_COUNT; p++)
	{
		if (!is_full && count[p] < classes[p].limit)
			watermarks[p] = now - margin;
		else if (count[p] > 0)
			watermarks[p] = last[p] - margin;
	}
}

static void
claim_held(TimestampTz now, ThCycleReport *report)
{
	ThJob *jobs;
	int n = th_job_claim_holds(th_guc_batch_size, now, &jobs);

	take_jobs(jobs, n, now);
	report->claimed = n;
}

static void
claim_all(bool is_full_scan, TimestampTz now, ThCycleReport *report)
{
	int room = Max(th_guc_batch_size - th_run_ready(), 0);
	int limit = Max(room, NEAR_FLOOR);
	ThClaim classes[TH_PRIORITY_COUNT];
	ThJob *jobs;
	int n;

	/* a visit that starts soon is taken however full we are (W13) */
	for (int p = 0; p < TH_PRIORITY_COUNT; p++)
	{
		classes[p].from = is_full_scan ? DT_NOBEGIN : watermarks[p];
		classes[p].limit = p == TH_PRIORITY_NEAR ? limit : room;
	}
	n = th_job_claim(classes, limit, now, &jobs);
	report->is_more_due = room == 0 || n >= room;
	move_watermarks(classes, jobs, n, n == limit, now);
	take_jobs(jobs, n, now);
	report->claimed = n;
}

static ThAskTopic
topic_of(ThAskKind kind)
{
	return kind == TH_ASK_START_URL ? TH_ASK_TOPIC_START_URL
									: TH_ASK_TOPIC_CHECK;
}

bool
th_cycle_take_mail(void)
{
	while (n_asks < TH_MAILBOX_ENTRIES && th_mailbox_take(&asks[n_asks]))
		n_asks++;
	return n_asks > 0;
}

void
th_cycle_refuse_mail(int sqlstate, const char *message, const char *hint)
{
	while (n_asks > 0)
		th_mailbox_answer(&asks[--n_asks], sqlstate, message, hint);
}

/* Makes works of the questions taken. */
static void
take_asks(const char *held, TimestampTz now)
{
	while (n_asks > 0)
	{
		ThAsk ask = asks[--n_asks];
		ThWork *work;
		MemoryContext old;

		/* who asked may have gone while the worker could not look */
		if (!th_mailbox_is_wanted(&ask))
			continue;
		if (held != NULL)
		{
			th_mailbox_answer(&ask, ERRCODE_TH_OUTBOUND_HELD,
							  psprintf("outward work is held: %s", held),
							  "Look at telehealth.health.");
			continue;
		}
		work = th_run_new(NULL);
		work->ask = MemoryContextAllocZero(work->context, sizeof(ThAskWork));
		work->ask->topic = topic_of(ask.kind);
		work->ask->ticket = ask.ticket;
		work->ask->number = ask.number;
		work->ask->clinic_id = ask.clinic_id;
		work->ask->subject_id = ask.subject_id;
		old = MemoryContextSwitchTo(TopMemoryContext);
		fresh = lappend(fresh, work);
		MemoryContextSwitchTo(old);
		th_ask_decide(work, now);
		place(work, now);
	}
}

/*
 * Whether work is held was asked before the claim. The rows of a restore may
 * have been committed in between: what was loaded since is asked about anew.
 */
static void
hold_fresh(TimestampTz now, ThCycleReport *report)
{
	const char *held = th_environment_held();
	ListCell *cell;

	if (held == NULL)
		return;
	strlcpy(report->held, held, sizeof(report->held));
	foreach(cell, fresh)
	{
		ThWork *work = lfirst(cell);

		if (work->state == TH_WORK_READY && work->ask == NULL)
			th_work_later(work, now, now + TH_HELD_RETRY_US, held, NULL);
	}
}

/* Commits the intents of creates; who lost the race drops the work. */
static void
begin_intents(void)
{
	int n = 0;
	ThSession **sessions = palloc_array(ThSession *, list_length(fresh) + 1);
	int64 *claim_nos = palloc_array(int64, list_length(fresh) + 1);
	ThWork **begun = palloc_array(ThWork *, list_length(fresh) + 1);
	ListCell *cell;

	foreach(cell, fresh)
	{
		ThWork *work = lfirst(cell);

		if (work->state != TH_WORK_READY || !work->needs_begin)
			continue;
		sessions[n] = work->target;
		claim_nos[n] = work->job.claim_no;
		begun[n++] = work;
	}
	th_session_begin(sessions, claim_nos, n);
	for (int i = 0; i < n; i++)
		if (sessions[i]->id == 0)
			th_work_again(begun[i]);
}

/* After commit: what was settled leaves, what was claimed goes to work. */
static void
take_effect(ThWork **works, const bool *is_kept, int n)
{
	ListCell *cell;

	th_pool_saved();
	for (int i = 0; i < n; i++)
		if (!is_kept[i])
			th_run_settled(works[i]);
	foreach(cell, fresh)
	{
		ThWork *work = lfirst(cell);

		if (work->pool != NULL)
			work->pool->placed = 0;
		th_run_add(work);
	}
	list_free(fresh);
	fresh = NIL;
	if (n > 0)
		th_slot_broadcast_settle();
}

void
th_cycle_abort(void)
{
	ListCell *cell;

	th_expand_forget();
	foreach(cell, fresh)
	{
		ThWork *work = lfirst(cell);

		if (work->ask != NULL)
		{
			ThAsk ask = { .ticket = work->ask->ticket,
						  .number = work->ask->number };

			th_mailbox_answer(&ask, ERRCODE_INTERNAL_ERROR,
							  "the worker could not look at the question",
							  "Look at the server log.");
		}
		if (work->pool != NULL)
			work->pool->placed = 0;
		th_run_free(work);
	}
	list_free(fresh);
	fresh = NIL;
}

static bool
begin(const char *activity, ThCycleReport *report)
{
	ThExtensionState state = th_transaction_begin(activity);

	report->is_extension_gone = state == TH_EXTENSION_ABSENT;
	report->is_version_wrong = state == TH_EXTENSION_OTHER_VERSION;
	return state == TH_EXTENSION_READY;
}

void
th_cycle_run(bool wants_claim, bool is_full_scan, ThCycleReport *report)
{
	MemoryContext outer = CurrentMemoryContext;
	TimestampTz now = th_clock_now();
	ThSettleReport settled;
	ThWork **works;
	bool *is_kept;
	const char *held;
	int n;

	memset(report, 0, sizeof(*report));
	works = th_run_list_finished(&n);
	is_kept = MemoryContextAllocZero(outer, Max(n, 1));
	TH_WAITPOINT("before_settle");
	if (wants_claim)
		th_keyring_warm();
	if (!begin("claim and settle", report))
		return;
	held = th_environment_held();
	strlcpy(report->held, held == NULL ? "" : held, sizeof(report->held));
	TH_WAITPOINT("held_known");
	th_settle_works(works, n, now, is_kept, &settled);
	/* under settings that no longer hold nothing new is begun */
	report->is_setting_changed = wants_claim &&
								 th_transaction_is_setting_changed();
	if (wants_claim && !report->is_setting_changed)
	{
		/* the mock is exempt; calls that leave are held where they start */
		if (th_guc_mock)
			held = NULL;
		if (held != NULL)
			claim_held(now, report);
		else
			claim_all(is_full_scan, now, report);
		take_asks(held, now);
		if (fresh != NIL && held == NULL && !th_guc_mock)
			hold_fresh(now, report);
		begin_intents();
	}
	th_pool_save(now);
	th_transaction_commit();
	report->settled = settled.settled;
	report->failed = settled.failed;
	report->kept = settled.kept;
	report->is_more_due |= settled.is_again;
	report->next_due = settled.next_due;
	TH_WAITPOINT("claimed");
	take_effect(works, is_kept, n);
	TH_WAITPOINT("settled");
}

bool
th_cycle_settle_singly(void)
{
	MemoryContext outer = CurrentMemoryContext;
	ThWork **works;
	int n;

	works = th_run_list_finished(&n);
	for (int i = 0; i < n; i++)
	{
		ThCycleReport report;
		ThSettleReport settled;
		bool is_kept = false;

		PG_TRY();
		{
			if (begin("settle", &report))
			{
				th_settle_works(&works[i], 1, th_clock_now(), &is_kept,
								&settled);
				th_transaction_commit();
			}
		}
		PG_CATCH();
		{
			/* this one cannot be written: its lease runs out, its attempts count */
			MemoryContextSwitchTo(outer);
			EmitErrorReport();
			FlushErrorState();
			disable_all_timeouts(false);
			AbortCurrentTransaction();
			th_expand_forget();
			is_kept = false;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(outer);
		if (!is_kept)
			th_run_settled(works[i]);
	}
	return n > 0;
}

void
th_cycle_start(ThCycleReport *report)
{
	TimestampTz now = th_clock_now();

	memset(report, 0, sizeof(*report));
	for (int i = 0; i < TH_PRIORITY_COUNT; i++)
		watermarks[i] = DT_NOBEGIN;
	if (!begin("start", report))
		return;
	(void) th_transaction_is_setting_changed();
	th_job_recover(now);
	th_pool_init(now);
	th_transaction_commit();
}

bool
th_cycle_keep_history(void)
{
	ThCycleReport report;

	/* tables are made and dropped: their locks go before the rest begins */
	if (!begin("history", &report))
		return false;
	th_history_keep(th_clock_now());
	th_transaction_commit();
	return true;
}

bool
th_cycle_chain_audit(bool *has_more)
{
	ThCycleReport report;

	if (!begin("audit", &report))
		return false;
	*has_more = th_audit_chain(AUDIT_BATCH) == AUDIT_BATCH;
	th_transaction_commit();
	return true;
}

bool
th_cycle_read_limits(void)
{
	ThCycleReport report;

	if (!begin("limits", &report))
		return false;
	th_pool_read_limits();
	th_transaction_commit();
	return true;
}

void
th_cycle_clock_set_back(int64 back_us)
{
	ThCycleReport report;

	if (!begin("clock", &report))
		return;
	th_job_hasten(th_clock_now(), back_us);
	th_transaction_commit();
}

void
th_cycle_renew(void)
{
	TimestampTz now = th_clock_now();
	TimestampTz lease = (TimestampTz) th_guc_lease_seconds * USECS_PER_SEC;
	ThCycleReport report;
	ThWork **works;
	ThJob *jobs;
	int n;
	int n_old = 0;

	works = th_run_list_open(&n);
	jobs = palloc_array(ThJob, Max(n, 1));
	for (int i = 0; i < n; i++)
		if (works[i]->ask == NULL && works[i]->lease_until < now + lease / 2)
			jobs[n_old++] = works[i]->job;
	if (n_old == 0 || !begin("renew", &report))
		return;
	th_job_renew(jobs, n_old, now + lease);
	th_transaction_commit();
	for (int i = 0; i < n; i++)
		if (works[i]->ask == NULL && works[i]->lease_until < now + lease / 2)
			works[i]->lease_until = now + lease;
}
