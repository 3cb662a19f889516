/*
 * process.c
 *	  The first steps and the last one of a worker.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "worker/door.h"
#include "worker/mailbox.h"
#include "worker/process.h"
#include "worker/slot.h"

/* Read at exit: an asked-for end is no failure, the launcher starts anew. */
static volatile sig_atomic_t was_terminated = false;

void
th_process_terminate(SIGNAL_ARGS)
{
	was_terminated = true;
	die(postgres_signal_arg);
}

static void
leave_callback(int code, Datum arg)
{
	(void) code;
	(void) arg;
	th_slot_detach(was_terminated);
	th_door_detach(was_terminated);
}

/*
 * What the server says in detail of a row that breaks a rule is the row. Our
 * own details have codes of other classes.
 */
static void
hide_row(void *arg)
{
	int category = ERRCODE_TO_CATEGORY(geterrcode());

	(void) arg;
	if (category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		category == ERRCODE_WITH_CHECK_OPTION_VIOLATION ||
		category == ERRCODE_DATA_EXCEPTION)
		errdetail("It is not logged, since it may be of a patient.");
}

static ErrorContextCallback hiding = { .callback = hide_row };

void
th_process_leave(void)
{
	was_terminated = true;
	proc_exit(0);
}

void
th_process_drain_if_dying(void (*drain)(void))
{
	MemoryContext context = CurrentMemoryContext;

	if (!ProcDiePending)
		return;
	ProcDiePending = false;
	PG_TRY();
	{
		drain();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	ProcDiePending = true;
	InterruptPending = true;
}

/* True if this process is the one that is wanted, in the database it expects. */
static bool
attach(int number, const ThProcessOrder *order)
{
	Oid database = InvalidOid;
	bool is_attached = order->is_gateway
						   ? th_door_attach(number, order->worker,
											order->generation, &database)
						   : th_slot_attach(number, order->generation,
											&database);

	return is_attached && database == order->database;
}

void
th_process_start(Datum main_arg, const char *type)
{
	ThProcessOrder order;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));

	pqsignal(SIGTERM, th_process_terminate);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);

	/*
	 * The server ignores SIGHUP for a new worker until here: a reload since
	 * the fork went unseen, and the next one may be far away.
	 */
	ConfigReloadPending = true;

	/*
	 * Callbacks run last in, first out: this one, registered before the
	 * process enters its database, runs after it has left it, so that who
	 * waits for our going finds nobody connected.
	 */
	on_shmem_exit(leave_callback, (Datum) 0);
	if (!attach(DatumGetInt32(main_arg), &order))
		proc_exit(0);
	if (!order.is_gateway)
		th_mailbox_reopen(order.database);

	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(order.database, InvalidOid, 0);
	SetConfigOption("application_name", type, PGC_USERSET, PGC_S_OVERRIDE);
	error_context_stack = &hiding;
}

static void
pin_setting(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_USERSET, PGC_S_OVERRIDE);
}

/*
 * Whatever the database's defaults are, our statements mean the same. Plans
 * of the queue must not depend on how many rows it had when they were made.
 */
void
th_process_pin_settings(void)
{
	pin_setting("search_path", "pg_catalog, pg_temp");
	pin_setting("default_transaction_isolation", "read committed");
	pin_setting("default_transaction_read_only", "off");
	pin_setting("lock_timeout", "1s");
	pin_setting("statement_timeout", "0");
	pin_setting("plan_cache_mode", "force_generic_plan");
	pin_setting("enable_seqscan", "off");
	pin_setting("enable_hashjoin", "off");
	pin_setting("enable_mergejoin", "off");
	pin_setting("jit", "off");
}
