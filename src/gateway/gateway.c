/*
 * gateway.c
 *	  The process that listens for HTTP.
 *
 * One loop: wait, read what came, one transaction for all webhooks of the
 * turn, a few other requests, send. Nothing waits for more to come: while a
 * batch commits, the next one gathers by itself.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/resource.h>

#include "access/xact.h"
#include "libpq/pqsignal.h"
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
#include "gateway/batch.h"
#include "gateway/callback.h"
#include "gateway/listen.h"
#include "gateway/metrics.h"
#include "gateway/server.h"
#include "gateway/status.h"
#include "http/waitset.h"
#include "worker/process.h"
#include "worker/transaction.h"

/* Others in one turn, so that they cannot starve webhooks. */
#define OTHERS_A_TURN 64
#define OTHERS_MS 5

/* So often more is read before what has come is answered. */
#define READS_A_TURN 3

/* What is being answered when SIGTERM comes may go on for so long. */
#define LAST_ANSWERS_MS 200

#define DRAIN_MS 300
#define DRAIN_SLICE_MS 10

/* Turns that fail in a row before a clean process takes over. */
#define MAX_FAILED_TURNS 5

#define DESCRIPTORS (TH_HTTP_CONNECTIONS + 1100)

extern TH_EXPORT void th_gateway_main(Datum main_arg);

static MemoryContext turn_context = NULL;
static ThHttpWaitset *waitset = NULL;
static uint32 wait_event = 0;
static int failed_turns = 0;

/* SIGTERM waits while requests are answered, and a timeout looks after it. */
static volatile sig_atomic_t is_serving = false;
static volatile sig_atomic_t is_asked_to_leave = false;
static TimeoutId leave_timeout;

/* What is being answered; those that were not, when the turn ends. */
static ThHttpRequest *taken[TH_BATCH_ROWS];
static int n_taken = 0;

/* ---- answers ---- */

static void
send_taken(void)
{
	for (int i = 0; i < n_taken; i++)
	{
		if (taken[i]->is_waiting)
			continue;
		if (taken[i]->status == 0)
			th_request_put_off(taken[i]);
		th_server_send(taken[i]);
	}
	n_taken = 0;
}

static void
answer_webhooks(void)
{
	n_taken = th_server_take(TH_QUEUE_WEBHOOKS, taken, TH_BATCH_ROWS,
							 TH_BATCH_BYTES);
	if (n_taken > 0)
		th_batch_run(taken, n_taken);
	/* who is answered finds itself counted, whatever process it asks */
	th_metrics_flush();
	send_taken();
}

static void
answer_unable(ThHttpRequest *request, int sqlstate)
{
	if (request->route->kind == TH_ROUTE_HEALTH)
		th_status_answer_down(request);
	else if (th_batch_is_passing(sqlstate))
		th_request_put_off(request);
	else
		th_request_refuse(request, 500);
}

/* In a transaction of its own, which writes nothing or little. */
static void
answer_other(ThHttpRequest *request)
{
	const ThRoute *route = request->route;

	PG_TRY();
	{
		if (route->answer_at_once != NULL && route->answer_at_once(request))
			;
		else if (!route->needs_database)
			route->answer(request);
		else if (th_transaction_begin(th_route_kind_name(
					 request->route->kind)) == TH_EXTENSION_READY)
		{
			MemoryContextSwitchTo(turn_context);
			request->route->answer(request);
			th_transaction_commit();
		}
		else
			answer_unable(request, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
	}
	PG_CATCH();
	{
		int sqlstate = geterrcode();

		MemoryContextSwitchTo(turn_context);
		if (!th_batch_is_passing(sqlstate))
			EmitErrorReport();
		FlushErrorState();
		disable_all_timeouts(false);
		AbortCurrentTransaction();
		MemoryContextSwitchTo(turn_context);
		request->n_reply_headers = 0;
		answer_unable(request, sqlstate);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(turn_context);
}

/* One by one, until there are no more or they have taken their time. */
static void
answer_others(void)
{
	int64 end = th_clock_monotonic_ms() + OTHERS_MS;

	for (int i = 0; i < OTHERS_A_TURN; i++)
	{
		n_taken = th_server_take(TH_QUEUE_OTHERS, taken, 1, TH_BATCH_BYTES);
		if (n_taken == 0)
			break;
		answer_other(taken[0]);
		send_taken();
		if (th_clock_monotonic_ms() >= end)
			break;
	}
}

/*
 * Reads, answers and sends what is possible now. A process that is asked to
 * leave first answers what it has begun to.
 */
static void
serve(void)
{
	int n_waiting = 0;

	/*
	 * What comes while others are read is of the same batch: a commit costs
	 * the same for few and for many. Nobody is waited for.
	 */
	for (int i = 0; i < READS_A_TURN; i++)
	{
		int n_before = n_waiting;

		th_server_run();
		n_waiting = th_server_webhooks_waiting();
		if (n_waiting == n_before || n_waiting >= TH_BATCH_ROWS)
			break;
	}
	th_callback_poll();
	if (!th_server_has_waiting())
		return;
	is_serving = true;
	enable_timeout_every(leave_timeout,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 LAST_ANSWERS_MS),
						 LAST_ANSWERS_MS);
	answer_webhooks();
	answer_others();
	disable_timeout(leave_timeout, false);
	is_serving = false;
	th_server_run();
}

/* ---- the end ---- */

static void
terminate(SIGNAL_ARGS)
{
	int saved_errno = errno;

	if (is_serving)
	{
		is_asked_to_leave = true;
		SetLatch(MyLatch);
	}
	else
		th_process_terminate(postgres_signal_arg);
	errno = saved_errno;
}

/* In a signal handler, too. */
static void
end_last_answers(void)
{
	if (is_asked_to_leave)
		th_process_terminate(SIGTERM);
}

/* What came whole is answered; what is being read or sent gets a moment. */
static void
drain(void)
{
	int64 deadline = th_clock_monotonic_ms() + DRAIN_MS;

	th_server_take_in();
	th_server_quiesce();
	th_callback_end();
	for (;;)
	{
		serve();
		MemoryContextReset(turn_context);
		if (!th_server_has_waiting() && !th_server_is_busy())
			break;
		if (th_clock_monotonic_ms() >= deadline)
			break;
		(void) th_http_waitset_wait(waitset, th_server_wait_ms(DRAIN_SLICE_MS),
									wait_event);
		ResetLatch(MyLatch);
	}
	th_callback_end();
	th_server_run();
	th_metrics_flush();
}

static void
leave_if_asked(void)
{
	end_last_answers();
	th_process_drain_if_dying(drain);
	CHECK_FOR_INTERRUPTS();
	if (th_door_must_stop())
	{
		drain();
		proc_exit(0);
	}
}

/* ---- the loop ---- */

/* Who is told that it is stored does not tell it again: a commit is on disk. */
static void
require_durable_commits(void)
{
	if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		SetConfigOption("synchronous_commit", "on", PGC_USERSET,
						PGC_S_OVERRIDE);
}

static void
reload_settings(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	require_durable_commits();
}

static void
turn(void)
{
	(void) th_http_waitset_wait(waitset,
								th_callback_wait_ms(
									th_server_wait_ms(th_guc_poll_interval_ms)),
								wait_event);
	ResetLatch(MyLatch);
	leave_if_asked();
	reload_settings();
	serve();
	th_server_sweep();
	th_metrics_flush();
	th_transaction_report_rest();
	th_door_set_connections(th_server_connections());
	failed_turns = 0;
	MemoryContextReset(turn_context);
}

/* After an error that is no request's: report, abort, put off what was taken. */
static void
recover(void)
{
	MemoryContextSwitchTo(turn_context);
	EmitErrorReport();
	FlushErrorState();
	disable_all_timeouts(false);
	AbortCurrentTransaction();
	MemoryContextSwitchTo(turn_context);
	is_serving = false;
	send_taken();
	if (++failed_turns >= MAX_FAILED_TURNS)
		proc_exit(1);
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = Min(limit.rlim_max, DESCRIPTORS);
	/* If it fails, connections wait until others are closed. */
	(void) setrlimit(RLIMIT_NOFILE, &limit);
}

static void
start(void)
{
	ThHttpWish order;
	int descriptor;

	th_process_pin_settings();
	SetConfigOption("lock_timeout", "100ms", PGC_USERSET, PGC_S_OVERRIDE);
	require_durable_commits();
	turn_context = AllocSetContextCreate(TopMemoryContext, "telehealth gateway",
										 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(turn_context);
	wait_event = th_compat_wait_event("TelehealthGateway");
	leave_timeout = RegisterTimeout(USER_TIMEOUT, end_last_answers);
	pqsignal(SIGTERM, terminate);
	raise_descriptor_limit();
	th_door_order(&order);
	descriptor = th_listen_open(order.listen, order.port,
								th_door_has_sibling());
	if (descriptor < 0)
	{
		/* the launcher says it, and tries again */
		th_door_set_trouble(errno);
		proc_exit(0);
	}
	th_server_start(descriptor);
	waitset = th_http_waitset_create(th_server_descriptor());
	th_door_set_listening();
}

void
th_gateway_main(Datum main_arg)
{
	th_process_start(main_arg, "telehealth gateway");
	start();
	for (;;)
	{
		PG_TRY();
		{
			turn();
		}
		PG_CATCH();
		{
			recover();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(turn_context);
	}
}
