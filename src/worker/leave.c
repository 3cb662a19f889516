/*
 * leave.c
 *	  How the dispatcher ends, and what it puts in order before.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "http/multi.h"
#include "worker/cycle.h"
#include "worker/grant.h"
#include "worker/leave.h"
#include "worker/pool.h"
#include "worker/pool_token.h"
#include "worker/process.h"
#include "worker/run.h"
#include "worker/slot.h"

/* How long running calls may still end. */
#define DRAIN_MS 300

/* ... and more, if an answer lost would end a grant. */
#define GRANT_DRAIN_MS 350

/* What the wall clock may lose against the other between two turns. */
#define CLOCK_STEP_US USECS_PER_SEC
#define CLOCK_READ_MS 100

/* Lets running calls end for a moment, gives the rest back, and settles. */
static void
drain(void)
{
	int64 deadline = th_clock_monotonic_ms() + DRAIN_MS;
	ThHttpEngine *engine = th_http_engine();
	ThCycleReport report;

	if (th_pool_is_refreshing() || th_grant_running() > 0)
		deadline += GRANT_DRAIN_MS;
	while (th_http_running(engine) > 0 && th_clock_monotonic_ms() < deadline)
	{
		(void) WaitLatchOrSocket(MyLatch,
								 WL_SOCKET_READABLE | WL_TIMEOUT |
									 WL_EXIT_ON_PM_DEATH,
								 th_http_descriptor(engine), 10,
								 PG_WAIT_EXTENSION);
		th_http_drive(engine);
		th_run_collect(th_clock_now());
	}
	th_run_abandon(th_clock_now());
	if (th_run_finished() > 0 || th_pool_is_dirty())
		th_cycle_run(false, false, &report);
	(void) th_grant_settle();
}

void
th_leave_anew(void)
{
	drain();
	th_process_leave();
}

/*
 * SIGTERM: what ended is settled, what runs gets a moment, the rest goes
 * back to the queue. What cannot be settled is found by the next process:
 * leases end, intents are looked up.
 */
void
th_leave_if_asked(void)
{
	th_process_drain_if_dying(drain);
	CHECK_FOR_INTERRUPTS();
	if (th_slot_must_stop())
	{
		drain();
		proc_exit(0);
	}
}

/*
 * The wall clock where the monotonic one is zero. Both are read again if the
 * process was stopped between them: that would look like a step.
 */
static TimestampTz
clock_base(void)
{
	TimestampTz now;
	int64 before_ms;
	int64 after_ms;

	do
	{
		before_ms = th_clock_monotonic_ms();
		now = th_clock_now();
		after_ms = th_clock_monotonic_ms();
	} while (after_ms - before_ms > CLOCK_READ_MS);
	return now - after_ms * 1000;
}

/*
 * What is due would wait as long as the clock was set back, and so would all
 * that this process remembers as times: it begins anew. If that fails it is
 * tried again at the next turn. A clock set forward ends waits early, which
 * does no harm.
 */
void
th_leave_if_clock_set_back(void)
{
	static TimestampTz former = 0; /* 0: not read yet */
	TimestampTz base = clock_base();
	int64 back_us = former == 0 ? 0 : former - base;

	if (back_us < CLOCK_STEP_US)
	{
		former = base;
		return;
	}
	ereport(LOG, (errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				  errmsg("telehealth dispatcher starts anew: the clock was set "
						 "back by " INT64_FORMAT " s",
						 back_us / USECS_PER_SEC)));
	th_cycle_clock_set_back(back_us);
	th_leave_anew();
}
