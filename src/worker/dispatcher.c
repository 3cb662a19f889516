/*
 * dispatcher.c
 *	  The process that does the outward work of one database.
 *
 * One loop: wait, take what the network brought, one transaction that settles
 * and claims, start calls. No transaction, snapshot or lock is open while
 * anything waits for the network.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "http/multi.h"
#include "http/waitset.h"
#include "worker/cycle.h"
#include "worker/dispatcher.h"
#include "worker/fall.h"
#include "worker/grant.h"
#include "worker/housekeeping.h"
#include "worker/leave.h"
#include "worker/pool.h"
#include "worker/pool_token.h"
#include "worker/process.h"
#include "worker/run.h"
#include "worker/settle.h"
#include "worker/slot.h"
#include "worker/spread.h"
#include "worker/transaction.h"

/* Cycles that fail in a row before a clean process takes over. */
#define MAX_FAILED_CYCLES 5

/* ... which would not know what only this one does: a refresh token. */
#define MAX_UNSAVED_CYCLES 600

/* A claim that found nothing is not repeated sooner, however often we are woken. */
#define EMPTY_CLAIM_MS 2

/* With so many calls running, transactions are so far apart. */
#define GATHER_CALLS 8
#define GATHER_MS 10

/* The same while more is due than accounts may be asked for. */
#define GATHER_BACKLOG_MS 25

/* A result whose row an application holds is tried again so often, ever slower. */
#define KEPT_FIRST_MS 20
#define KEPT_LAST_MS 1000

typedef struct Loop
{
	ThHttpEngine *engine;
	ThHttpWaitset *waitset;
	MemoryContext context; /* reset each turn */
	ThSlotFigures figures;
	uint32 wait_event;
	int64 next_poll_ms; /* monotonic, as all below */
	int64 next_full_scan_ms;
	int64 last_empty_ms;
	TimestampTz next_due; /* of what was settled to be due later; 0: unknown */
	int64 last_cycle_ms;
	bool wants_claim;
	bool has_mail; /* a backend waits for an answer */
	bool is_more_due;
	bool wants_full_scan;
	bool is_begun; /* the first transaction was possible */
	int failed_cycles;
	int64 next_try_ms; /* no cycle before, since the last one failed */
	int n_kept;        /* finished works whose rows applications hold */
	int64 kept_wait_ms;
	int64 next_kept_ms;
	char held[96];
} Loop;

/* What the gateway shall do: the launcher cannot see this database's settings. */
static void
note_http(ThHttpWish *http)
{
	uint32 settings;

	if (!th_transaction_settings(&settings))
		return;
	memset(http, 0, sizeof(*http));
	http->port = th_guc_http_port;
	http->workers = th_guc_http_workers;
	strlcpy(http->listen, th_guc_http_listen, sizeof(http->listen));
	http->settings = settings;
	http->is_known = true;
}

/* What the phase is, for worker_status and pg_stat_activity. */
static void
enter_phase(Loop *loop, const char *phase)
{
	note_http(&loop->figures.http);
	strlcpy(loop->figures.phase, phase, sizeof(loop->figures.phase));
	loop->figures.in_flight = th_http_running(loop->engine);
	loop->figures.waiting = th_run_ready();
	th_slot_publish(&loop->figures);
}

/* A claim came back full or a job is due again, and there is memory for it. */
static bool
has_more_to_claim(const Loop *loop)
{
	return loop->is_more_due && th_run_ready() < th_guc_batch_size / 2;
}

/* Milliseconds until something sent back to the queue is due; -1 if unknown. */
static int
due_ms(const Loop *loop)
{
	if (loop->next_due == 0)
		return -1;
	return (int) Min(TimestampDifferenceMilliseconds(th_clock_now(),
													 loop->next_due),
					 PG_INT32_MAX);
}

/* Remembers what is due next; a claim has taken what was due before it. */
static void
note_due(Loop *loop, const ThCycleReport *report, bool has_claimed,
		 TimestampTz claimed_at)
{
	if (has_claimed && loop->next_due <= claimed_at)
		loop->next_due = 0;
	if (report->next_due != 0 &&
		(loop->next_due == 0 || report->next_due < loop->next_due))
		loop->next_due = report->next_due;
}

/*
 * While many calls run, answers are gathered for a moment: one transaction
 * writes many of them for little more than one. Not while places could stay
 * empty for it. Milliseconds left of the moment.
 */
static int64
gather_ms(const Loop *loop, int64 now_ms)
{
	bool is_backlog = th_spread_is_backlog();

	if ((th_http_running(loop->engine) < GATHER_CALLS && !is_backlog) ||
		loop->has_mail ||
		(th_run_ready() == 0 && (loop->wants_claim || loop->is_more_due)))
		return 0;
	return Max(loop->last_cycle_ms +
				   (is_backlog ? GATHER_BACKLOG_MS : GATHER_MS) - now_ms,
			   0);
}

/* Milliseconds until a cycle may be, whatever the reason for it. */
static int64
hold_ms(const Loop *loop, int64 now_ms)
{
	return Max(loop->next_try_ms - now_ms, gather_ms(loop, now_ms));
}

/* True if a result can be written now, as far as is known. */
static bool
has_to_settle(const Loop *loop, int64 now_ms)
{
	int n = th_run_finished();

	return n > loop->n_kept || (n > 0 && now_ms >= loop->next_kept_ms);
}

/* What applications hold is not asked for again and again without a pause. */
static void
note_kept(Loop *loop, int n_kept)
{
	loop->kept_wait_ms = n_kept == 0
							 ? 0
							 : Min(Max(loop->kept_wait_ms * 2, KEPT_FIRST_MS),
								   KEPT_LAST_MS);
	loop->n_kept = n_kept;
	loop->next_kept_ms = th_clock_monotonic_ms() + loop->kept_wait_ms;
}

/* Milliseconds until there is a reason for a transaction. */
static int64
cycle_ms(const Loop *loop, int64 now_ms)
{
	int64 limit = Max(loop->next_poll_ms - now_ms, 0);
	int next_ms = due_ms(loop);

	if (!loop->figures.is_other_version &&
		(has_to_settle(loop, now_ms) || th_pool_is_dirty() ||
		 has_more_to_claim(loop)))
		limit = 0;
	else if (th_run_finished() > 0 && !loop->figures.is_other_version)
		limit = Min(limit, loop->next_kept_ms - now_ms);
	if (next_ms > 0)
		limit = Min(limit, next_ms);
	if (loop->wants_claim || next_ms == 0)
		limit = Min(limit,
					Max(loop->last_empty_ms + EMPTY_CLAIM_MS - now_ms, 0));
	return Max(limit, hold_ms(loop, now_ms));
}

/* Milliseconds the loop may wait now. */
static int
wait_ms(const Loop *loop)
{
	int64 limit = cycle_ms(loop, th_clock_monotonic_ms());
	int http_ms = th_http_timeout_ms(loop->engine);
	int start_ms = th_run_wait_ms(th_clock_now());
	int grant_ms = th_grant_wait_ms();
	int task_ms = th_housekeeping_wait_ms();

	if (th_http_has_next(loop->engine))
		return 0;
	if (http_ms >= 0)
		limit = Min(limit, http_ms);
	if (start_ms >= 0)
		limit = Min(limit, start_ms);
	if (grant_ms >= 0)
		limit = Min(limit, grant_ms);
	if (task_ms >= 0)
		limit = Min(limit, task_ms);
	return (int) limit;
}

static void
leave_if_gone(const ThCycleReport *report)
{
	if (!report->is_extension_gone)
		return;
	th_slot_set_absent();
	proc_exit(0);
}

/*
 * A library newer or older than the installed SQL: everything waits, the log
 * says it once, and whoever asked is told.
 */
static void
pause_for_version(Loop *loop)
{
	static const char message[] =
		"telehealth worker is paused: the installed extension is of another "
		"version than its library";
	static const char hint[] =
		"Run ALTER EXTENSION telehealth UPDATE, or restart the server with the "
		"matching library.";

	if (!loop->figures.is_other_version)
		ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						  errmsg_internal("%s", message), errhint("%s", hint)));
	loop->figures.is_other_version = true;
	strlcpy(loop->figures.held_reason, "version_mismatch",
			sizeof(loop->figures.held_reason));
	th_cycle_refuse_mail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message,
						 hint);
}

/* Takes over from a predecessor; not possible under another version. */
static void
begin_work(Loop *loop, ThCycleReport *report)
{
	th_cycle_start(report);
	leave_if_gone(report);
	loop->is_begun = !report->is_version_wrong;
}

/* What a cycle did, for worker_status and for the next turn. */
static void
note_cycle(Loop *loop, const ThCycleReport *report)
{
	loop->figures.is_other_version = false;
	loop->failed_cycles = 0;
	note_kept(loop, report->kept);
	loop->figures.cycles++;
	loop->figures.claimed += report->claimed;
	loop->figures.settled += report->settled;
	loop->figures.failed += report->failed;
	loop->figures.last_cycle_at = th_clock_now();
	strlcpy(loop->held, report->held, sizeof(loop->held));
	strlcpy(loop->figures.held_reason, report->held,
			sizeof(loop->figures.held_reason));
	loop->figures.n_fingerprints =
		th_pool_fingerprints(loop->figures.fingerprints, TH_MAX_FINGERPRINTS);
}

/* When the next claim has a reason, now that one was made. */
static void
note_claim(Loop *loop, const ThCycleReport *report, bool is_full, int64 now_ms)
{
	ThTaskTimes *tasks = loop->figures.tasks;

	loop->wants_claim = false;
	loop->next_poll_ms = now_ms + th_guc_poll_interval_ms;
	th_housekeeping_done(&tasks[TH_TASK_CLAIM], th_guc_poll_interval_ms);
	if (report->claimed == 0)
		loop->last_empty_ms = now_ms;
	if (is_full)
	{
		loop->wants_full_scan = false;
		loop->next_full_scan_ms = now_ms + TH_FULL_SCAN_MS;
		th_housekeeping_done(&tasks[TH_TASK_FULL_SCAN], TH_FULL_SCAN_MS);
	}
}

/* Claim and settle, when there is a reason for either. */
static void
run_cycle(Loop *loop)
{
	int64 now_ms = th_clock_monotonic_ms();
	bool is_full = loop->wants_full_scan || now_ms >= loop->next_full_scan_ms;
	bool wants_claim = now_ms >= loop->next_poll_ms ||
					   ((loop->wants_claim || due_ms(loop) == 0) &&
						now_ms >= loop->last_empty_ms + EMPTY_CLAIM_MS) ||
					   has_more_to_claim(loop);
	TimestampTz started_at = th_clock_now();
	ThCycleReport report;

	if (hold_ms(loop, now_ms) > 0 ||
		(!wants_claim && !has_to_settle(loop, now_ms) && !th_pool_is_dirty()))
		return;
	enter_phase(loop, wants_claim ? "claim" : "settle");
	if (wants_claim && th_slot_take_wake())
		loop->figures.wakes++;
	if (!loop->is_begun)
		begin_work(loop, &report);
	if (loop->is_begun)
		th_cycle_run(wants_claim, is_full && wants_claim, &report);
	loop->last_cycle_ms = th_clock_monotonic_ms();
	loop->has_mail = loop->has_mail && !wants_claim;
	leave_if_gone(&report);
	if (report.is_version_wrong)
	{
		pause_for_version(loop);
		loop->next_poll_ms = now_ms + th_guc_poll_interval_ms;
		loop->wants_claim = false;
		loop->next_due = 0;
		return;
	}
	note_cycle(loop, &report);
	/* a cycle that only settled has not looked whether more is due */
	loop->is_more_due = report.is_more_due ||
						(loop->is_more_due && !wants_claim);
	note_due(loop, &report, wants_claim, started_at);
	if (!wants_claim)
		return;
	note_claim(loop, &report, is_full, now_ms);
	if (report.is_setting_changed)
	{
		ereport(LOG, (errcode(ERRCODE_SUCCESSFUL_COMPLETION),
					  errmsg("telehealth dispatcher starts anew: settings of "
							 "its database have changed")));
		th_leave_anew();
	}
}

static void
reload_settings(Loop *loop)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	th_http_reload(loop->engine);
}

/*
 * While outward work is held there is nothing that a wake could hurry; the
 * poll looks after holds, and sees the end of it.
 */
static bool
is_deaf(const Loop *loop)
{
	return loop->held[0] != '\0' && !th_guc_mock;
}

/* One turn of the loop. */
static void
turn(Loop *loop)
{
	enter_phase(loop, th_http_running(loop->engine) > 0 ? "network"
					  : loop->held[0] != '\0'           ? "held"
														: "idle");
	th_http_waitset_wait(loop->waitset, wait_ms(loop), loop->wait_event);
	ResetLatch(MyLatch);
	if (th_slot_is_woken() && !is_deaf(loop))
		loop->wants_claim = true;
	if (th_slot_take_full_scan())
		loop->wants_full_scan = true;
	if (th_cycle_take_mail())
		loop->wants_claim = loop->has_mail = true;
	th_leave_if_asked();
	th_leave_if_clock_set_back();
	reload_settings(loop);
	th_http_drive(loop->engine);
	th_run_collect(th_clock_now());
	th_run_start(loop->held[0] == '\0' ? NULL : loop->held, th_clock_now());
	/* what was started is on its way while the answers are written down */
	th_http_drive(loop->engine);
	if (th_grant_settle())
		loop->wants_claim = true;
	/* first: a clock set forward must not end the leases of what runs */
	th_cycle_renew();
	run_cycle(loop);
	th_grant_start(loop->held[0] == '\0' ? NULL : loop->held);
	th_run_start(loop->held[0] == '\0' ? NULL : loop->held, th_clock_now());
	th_http_drive(loop->engine);
	th_housekeeping_run(loop->figures.tasks, loop->engine);
	MemoryContextReset(loop->context);
}

/* After an error: report, abort, settle what can be settled, back off. */
static void
recover(Loop *loop)
{
	ErrorData *error;

	MemoryContextSwitchTo(loop->context);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	disable_all_timeouts(false);
	AbortCurrentTransaction();
	MemoryContextSwitchTo(loop->context);
	loop->figures.last_error_at = th_clock_now();
	strlcpy(loop->figures.last_sqlstate, unpack_sql_state(error->sqlerrcode),
			sizeof(loop->figures.last_sqlstate));
	th_cycle_abort();
	th_settle_failed();
	if (++loop->failed_cycles >=
		(th_pool_is_unsaved() ? MAX_UNSAVED_CYCLES : MAX_FAILED_CYCLES))
		proc_exit(1);
	if (th_cycle_settle_singly() && !th_pool_is_dirty())
		return;

	/* the reason is elsewhere: do not spin, whoever wakes us */
	loop->wants_claim = false;
	loop->next_due = 0;
	loop->next_poll_ms = th_clock_monotonic_ms() + th_guc_poll_interval_ms;
	loop->next_try_ms = loop->next_poll_ms;
}

static void
start(Loop *loop)
{
	ThCycleReport report;

	memset(loop, 0, sizeof(*loop));
	th_process_pin_settings();
	loop->context = AllocSetContextCreate(TopMemoryContext, "telehealth cycle",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(loop->context);
	loop->wait_event = th_compat_wait_event("TelehealthNetwork");
	th_run_init();
	th_fall_watch();
	begin_work(loop, &report);
	th_slot_set_present();
	loop->engine = th_http_engine();
	loop->waitset = th_http_waitset_create(th_http_descriptor(loop->engine));
	th_housekeeping_start(loop->figures.tasks);
	loop->wants_claim = loop->wants_full_scan = true;
	th_leave_if_clock_set_back();
}

void
th_dispatcher_main(Datum main_arg)
{
	static Loop loop;

	th_process_start(main_arg, "telehealth dispatcher");
	start(&loop);
	for (;;)
	{
		PG_TRY();
		{
			turn(&loop);
		}
		PG_CATCH();
		{
			recover(&loop);
		}
		PG_END_TRY();
		MemoryContextSwitchTo(loop.context);
	}
}
