/*
 * cycle.c
 *	  One transaction of the dispatcher: settle what ended, claim what is due.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_debug.h"
#include "base/th_error.h"
#include "base/th_guc.h"
#include "crypto/keyring.h"
#include "flow/ask.h"
#include "flow/meeting.h"
#include "flow/visit.h"
#include "store/calendar_sync.h"
#include "store/environment.h"
#include "store/history.h"
#include "worker/calendar_run.h"
#include "worker/cycle.h"
#include "worker/expand.h"
#include "worker/fall.h"
#include "worker/grant.h"
#include "worker/mailbox.h"
#include "worker/pool.h"
#include "worker/pool_line.h"
#include "worker/run.h"
#include "worker/settle.h"
#include "worker/spread.h"
#include "worker/transaction.h"
#include "worker/wake.h"

/* Near starts claimed although the memory is full of others. */
#define NEAR_FLOOR 8

/* How far left the next claim of each class has to look. */
static TimestampTz watermarks[TH_PRIORITY_COUNT];

/* Questions of backends that wait for a transaction. */
static ThAsk asks[TH_MAILBOX_ENTRIES];
static int n_asks = 0;

/* Works of the cycle under way, until its commit makes them real. */
static List *fresh = NIL;

/* This is a copy in which the mock answers: what came with it is left alone. */
static bool is_mocked_copy = false;

/* A work knew of an account: one was connected, here or where a dump is from. */
static bool has_connected = false;

/* The pool knows the account of a READY work; a work too many goes back. */
static void
place(ThWork *work, TimestampTz now)
{
	bool is_crowded;

	if (work->state == TH_WORK_READY && work->calendar != NULL)
	{
		th_calendar_place(work, now);
		return;
	}
	if (work->state != TH_WORK_READY || work->account == NULL ||
		work->platform->answer != NULL)
		return;
	work->pool = th_pool_account(work->account, now);
	is_crowded = th_pool_is_crowded(work->pool, work->job.priority);
	if (work->ask != NULL)
		return;
	work->pool->placed++;
	if (is_crowded)
		th_spread_later(work, now);
}

/* Of a visit with a meeting that a vendor made: lost if the mock replaced it. */
static bool
came_with_copy(const ThWork *work)
{
	return is_mocked_copy && work->subject != NULL &&
		   work->subject->session != NULL &&
		   work->subject->session->account_id != 0;
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
	if (work->subject == NULL && work->visit == NULL && work->calendar == NULL)
	{
		th_work_done(work);
		return;
	}
	if (came_with_copy(work))
	{
		th_work_later(work, now, now + TH_HELD_RETRY_US,
					  "environment_unconfirmed", NULL);
		return;
	}
	PG_TRY();
	{
		if (work->calendar != NULL)
			th_calendar_decide(work, now);
		else if (work->visit != NULL)
			th_visit_decide(work, now);
		else
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

/* The last "n" of the fresh works. Memory: current context. */
static ThWork **
works_of(int n)
{
	ThWork **works = palloc_array(ThWork *, Max(n, 1));

	for (int i = 0; i < n; i++)
		works[i] = list_nth(fresh, list_length(fresh) - n + i);
	return works;
}

/* Makes works of claimed jobs. */
static void
take_jobs(const ThJob *jobs, int n, TimestampTz now)
{
	ThBatch *batch;
	ThMeetingSubject *subjects;
	ThVisitSubject *visits;
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
	visits = th_visit_load(jobs, n);
	th_calendar_load(works_of(n), n, now);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < n; i++)
	{
		ThWork *work = list_nth(fresh, list_length(fresh) - n + i);

		work->subject = work->job.kind == TH_JOB_MEETING ? &subjects[i] : NULL;
		work->visit = work->job.kind == TH_JOB_SESSION ? &visits[i] : NULL;
		decide(work, now);
		place(work, now);
	}
}

static void
forget_watermarks(void)
{
	for (int i = 0; i < TH_PRIORITY_COUNT; i++)
		watermarks[i] = DT_NOBEGIN;
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
	int n = th_job_claim_inward(th_guc_batch_size, now, &jobs);

	take_jobs(jobs, n, now);
	report->claimed = n;
}

static void
claim_all(bool is_full_scan, TimestampTz now, ThCycleReport *report)
{
	int room = Max(th_guc_batch_size - th_run_ready(), 0);
	int limit = Max(room, NEAR_FLOOR);
	ThClaim classes[TH_PRIORITY_COUNT];
	ThSpreadReport spread;
	ThJob *jobs;
	int n;

	/* a visit that starts soon is taken however full we are (W13) */
	for (int p = 0; p < TH_PRIORITY_COUNT; p++)
	{
		classes[p].from = is_full_scan ? DT_NOBEGIN : watermarks[p];
		classes[p].limit = p == TH_PRIORITY_NEAR ? limit : room;
	}
	th_spread_backlog(&classes[TH_PRIORITY_CREATE], now, &spread);
	n = th_job_claim(classes, limit, now, &jobs);
	report->is_more_due = room == 0 || n >= room || spread.is_cut;
	report->next_due = spread.next_due;
	if (spread.next_due != 0 && !spread.is_cut && room > spread.n_left)
		/* the look before the claim went to the end */
		classes[TH_PRIORITY_CREATE].limit++;
	move_watermarks(classes, jobs, n, n == limit, now);
	if (spread.is_cut)
		watermarks[TH_PRIORITY_CREATE] =
			spread.first_due - (TimestampTz) TH_WATERMARK_MARGIN_MS * 1000;
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

/* Whoever asked looks at the rows for the rest of the answer. */
static void
take_sync(const ThAsk *ask, TimestampTz now)
{
	char *question = palloc(TH_MAILBOX_QUESTION);

	if (!th_mailbox_question(ask, question))
		return;
	(void) th_sync_mark(ask->clinic_id, ask->subject_id,
						strcmp(question, "confirm") == 0, false, now);
	th_mailbox_answer(ask, 0, "", NULL);
}

/* Makes works of the questions taken. */
static void
take_asks(const char *held, TimestampTz now, ThCycleReport *report)
{
	while (n_asks > 0)
	{
		ThAsk ask = asks[--n_asks];
		ThWork *work;
		MemoryContext old;

		/* who asked may have gone while the worker could not look */
		if (!th_mailbox_is_wanted(&ask))
			continue;
		/* the mock answers for video platforms, nobody grants access to it */
		if (held != NULL && (!th_guc_mock || ask.kind == TH_ASK_OAUTH ||
							 ask.kind == TH_ASK_SYNC))
		{
			th_mailbox_answer(&ask, ERRCODE_TH_OUTBOUND_HELD,
							  psprintf("outward work is held: %s", held),
							  "Look at telehealth.health.");
			continue;
		}
		if (ask.kind == TH_ASK_OAUTH)
		{
			th_grant_begin(&ask, now);
			continue;
		}
		if (ask.kind == TH_ASK_SYNC)
		{
			take_sync(&ask, now);
			report->is_more_due = true;
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

/* True if the fresh works know of an account, be it there or not. */
static bool
is_account_named(void)
{
	ListCell *cell;

	foreach(cell, fresh)
	{
		const ThWork *work = lfirst(cell);
		const ThMeetingSubject *subject = work->subject;

		/* a work about a calendar comes of a connection */
		if (work->calendar != NULL)
			return true;
		if (subject != NULL &&
			((subject->session != NULL && subject->session->account_id != 0) ||
			 (subject->tombstone != NULL &&
			  subject->tombstone->account_id != 0)))
			return true;
	}
	return false;
}

/*
 * Whether work is held was asked before the claim. The rows of a restore may
 * have been committed in between, or some of them: what was decided on those
 * must neither be sent nor written. True if the claim is not to be kept.
 */
static bool
is_held_since(ThCycleReport *report)
{
	const char *held;

	if (fresh == NIL)
		return false;
	if (th_guc_mock && th_environment_is_arriving())
		return true;
	has_connected = has_connected || is_account_named();
	held = th_environment_held(has_connected);
	if (held != NULL)
		strlcpy(report->held, held, sizeof(report->held));
	return held != NULL;
}

/* Commits the intents of creates; who lost the race drops the work. */
static void
begin_intents(TimestampTz now)
{
	int n = 0;
	ThSession **sessions = palloc_array(ThSession *, list_length(fresh) + 1);
	int64 *claim_nos = palloc_array(int64, list_length(fresh) + 1);
	ThWork **begun = palloc_array(ThWork *, list_length(fresh) + 1);
	ListCell *cell;

	foreach(cell, fresh)
	{
		ThWork *work = lfirst(cell);

		if (work->state != TH_WORK_READY || !work->needs_begin ||
			work->calendar != NULL)
			continue;
		sessions[n] = work->target;
		claim_nos[n] = work->job.claim_no;
		begun[n++] = work;
	}
	th_session_begin(sessions, claim_nos, n);
	for (int i = 0; i < n; i++)
		if (sessions[i]->id == 0)
			th_work_again(begun[i]);
	th_calendar_begin(works_of(list_length(fresh)), list_length(fresh), now);
}

/* After commit: what was settled leaves, what was claimed goes to work. */
static void
take_effect(ThWork **works, const bool *is_kept, int n)
{
	ListCell *cell;

	th_pool_saved();
	th_grant_begun();
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
	th_grant_abort();
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
	/* what was claimed is due again, wherever the claim had got to */
	forget_watermarks();
}

static bool
begin(const char *activity, ThCycleReport *report)
{
	ThExtensionState state = th_transaction_begin(activity);

	report->is_extension_gone = state == TH_EXTENSION_ABSENT;
	report->is_version_wrong = state == TH_EXTENSION_OTHER_VERSION;
	return state == TH_EXTENSION_READY;
}

/* Claims, and begins what was claimed; false if nothing of it is to be kept. */
static bool
claim(const char *held, bool is_full_scan, TimestampTz now,
	  ThCycleReport *report)
{
	bool is_unconfirmed = held != NULL &&
						  strcmp(held, "environment_unconfirmed") == 0;

	/*
	 * The mock is exempt, once all that belongs to a copy is there; calls that
	 * leave are held where they start.
	 */
	is_mocked_copy = th_guc_mock && is_unconfirmed;
	if (held != NULL &&
		(!th_guc_mock || (is_unconfirmed && th_environment_is_arriving())))
		claim_held(now, report);
	else
		claim_all(is_full_scan, now, report);
	if (held == NULL && is_held_since(report))
		return false;
	take_asks(held, now, report);
	begin_intents(now);
	return true;
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
	held = th_environment_held(has_connected);
	strlcpy(report->held, held == NULL ? "" : held, sizeof(report->held));
	TH_WAITPOINT("held_known");
	th_settle_works(works, n, now, is_kept, &settled);
	/* under settings that no longer hold nothing new is begun */
	report->is_setting_changed = wants_claim &&
								 th_transaction_is_setting_changed();
	if (wants_claim && !report->is_setting_changed &&
		!claim(held, is_full_scan, now, report))
	{
		AbortCurrentTransaction();
		th_cycle_abort();
		MemoryContextSwitchTo(outer);
		report->is_more_due = true;
		return;
	}
	th_pool_save(now);
	th_transaction_commit();
	report->settled = settled.settled;
	report->failed = settled.failed;
	report->kept = settled.kept;
	report->is_more_due |= settled.is_again;
	if (settled.next_due != 0 &&
		(report->next_due == 0 || settled.next_due < report->next_due))
		report->next_due = settled.next_due;
	TH_WAITPOINT("claimed");
	take_effect(works, is_kept, n);
	TH_WAITPOINT("settled");
}

void
th_cycle_start(ThCycleReport *report)
{
	TimestampTz now = th_clock_now();

	memset(report, 0, sizeof(*report));
	forget_watermarks();
	if (!begin("start", report))
		return;
	(void) th_transaction_is_setting_changed();
	th_job_recover(now, th_fall_was_pushed());
	th_pool_init(now);
	th_transaction_commit();
	th_fall_forget();
}
