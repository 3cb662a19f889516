/*
 * housekeeping.c
 *	  The dispatcher's periodic tasks.
 *
 * When a task runs, and whether it is overdue, goes by the monotonic clock,
 * which is one for all processes; times that are shown are of the wall clock.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_guc.h"
#include "worker/cycle.h"
#include "worker/housekeeping.h"
#include "worker/match.h"
#include "worker/slot.h"
#include "worker/visits.h"

#define HOUSEKEEPING_MS 10000

/*
 * Sessions that were left unmarked are looked for no sooner after the last
 * time. While many events wait, a look takes time: at most a fifth of ours.
 */
#define UNMARKED_MS 50
#define UNMARKED_PAUSES 4

static int64 next_ms[TH_TASK_COUNT]; /* monotonic */
static int64 next_unmarked_ms = 0;

static int
interval_ms(ThTask task)
{
	if (task == TH_TASK_CLAIM)
		return th_guc_poll_interval_ms;
	return task == TH_TASK_FULL_SCAN ? TH_FULL_SCAN_MS : HOUSEKEEPING_MS;
}

/*
 * A process that is started again and again must not put its tasks off each
 * time, nor what is overdue.
 */
void
th_housekeeping_start(ThTaskTimes *tasks)
{
	TimestampTz now = th_clock_now();
	int64 now_ms = th_clock_monotonic_ms();
	ThSlotStatus mine;

	if (th_slot_read(MyDatabaseId, &mine))
		memcpy(tasks, mine.figures.tasks, sizeof(mine.figures.tasks));
	for (ThTask task = 0; task < TH_TASK_COUNT; task++)
	{
		ThTaskTimes *times = &tasks[task];
		TimestampTz latest;

		times->every_ms = interval_ms(task);
		latest = TimestampTzPlusMilliseconds(now, times->every_ms);
		if (times->next_due_at == 0 || times->next_due_at > latest)
			times->next_due_at = latest;
		if (times->due_ms == 0)
			times->due_ms = now_ms + times->every_ms;
		next_ms[task] = times->due_ms;
	}
}

void
th_housekeeping_done(ThTaskTimes *task, int every_ms)
{
	task->every_ms = every_ms;
	task->last_success_at = th_clock_now();
	task->next_due_at = TimestampTzPlusMilliseconds(task->last_success_at,
													every_ms);
	task->due_ms = th_clock_monotonic_ms() + every_ms;
}

/* Sessions are looked for; the next time not at once. */
static bool
look_for_unmarked(bool *has_more)
{
	int64 begin_ms = th_clock_monotonic_ms();
	bool is_done;
	int64 end_ms;

	next_unmarked_ms = begin_ms + UNMARKED_MS;
	is_done = th_visits_sweep(has_more);
	end_ms = th_clock_monotonic_ms();
	next_unmarked_ms = end_ms +
					   Max((end_ms - begin_ms) * UNMARKED_PAUSES, UNMARKED_MS);
	return is_done;
}

/* False if it could not be done now; *has_more if it is not at its end. */
static bool
run_task(ThTask task, ThHttpEngine *engine, bool *has_more)
{
	switch (task)
	{
		case TH_TASK_CLAIM:
		case TH_TASK_FULL_SCAN:
			break;
		case TH_TASK_HISTORY:
			return th_cycle_keep_history();
		case TH_TASK_AUDIT_CHAIN:
			return th_cycle_chain_audit(has_more);
		case TH_TASK_VENDOR_LIMITS:
			return th_cycle_read_limits();
		case TH_TASK_FEEDS:
			return th_cycle_count_feeds();
		case TH_TASK_EVENTS:
			return th_match_sweep(has_more);
		case TH_TASK_VISITS:
			return look_for_unmarked(has_more);
		case TH_TASK_CONNECTIONS:
			th_http_trim(engine);
			return true;
	}
	return false;
}

int
th_housekeeping_wait_ms(void)
{
	if (!th_slot_has_unmarked())
		return -1;
	return (int) Max(next_unmarked_ms - th_clock_monotonic_ms(), 0);
}

void
th_housekeeping_run(ThTaskTimes *tasks, ThHttpEngine *engine)
{
	int64 now_ms = th_clock_monotonic_ms();

	if (now_ms >= next_unmarked_ms && th_slot_take_unmarked())
		next_ms[TH_TASK_VISITS] = now_ms;
	for (ThTask task = TH_TASK_HISTORY; task < TH_TASK_COUNT; task++)
	{
		bool has_more = false;

		if (now_ms < next_ms[task])
			continue;
		/* before it is tried: one that fails must not stop the others */
		next_ms[task] = now_ms + HOUSEKEEPING_MS;
		if (!run_task(task, engine, &has_more))
			/* the library is of another version: that may end any time */
			next_ms[task] = now_ms + th_guc_poll_interval_ms;
		else
		{
			th_housekeeping_done(&tasks[task], HOUSEKEEPING_MS);
			if (has_more)
				next_ms[task] = now_ms;
		}
	}
}
