/*
 * launcher.c
 *	  Keeps one dispatcher running in every database that has the extension.
 *
 * By level, not by event: each turn compares what is wanted (the list of
 * databases) with what is there (the slots and the handles of the workers),
 * so that a lost signal costs one poll interval and nothing else. It never
 * waits for a worker. It cannot see other databases' catalogues: that the
 * extension is missing is said by a dispatcher, which then leaves.
 */
#include "postgres.h"

#include <signal.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "worker/database_list.h"
#include "worker/fall.h"
#include "worker/launch_gateway.h"
#include "worker/launcher.h"
#include "worker/process.h"
#include "worker/slot_control.h"

#define LAUNCHER_TYPE "telehealth launcher"
#define DISPATCHER_TYPE "telehealth dispatcher"
#define LIBRARY "telehealth"

/* A new database without a signal is found at the latest after this. */
#define SCAN_INTERVAL_MS 60000

/* So many at once, that probing leaves workers for others to start. */
#define MAX_STARTING 4

/* A worker that ran so long has not failed at its start. */
#define STEADY_MS 10000

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS 300000

/*
 * Asking for a place that is not there is cheap, and one that is given back
 * is not announced: so ask again sooner than a failing worker is retried.
 */
#define NO_PLACE_LAST_MS 10000

/* All warnings together. */
#define WARNING_INTERVAL_MS 60000

/* What the launcher knows of a database. */
typedef struct Served
{
	Oid database;
	bool is_listed;   /* in the latest list */
	bool is_absent;   /* has no extension, said its last dispatcher */
	bool was_present; /* had it when last seen: goes first */
	bool probe_again; /* a CREATE EXTENSION came while one was looking */
	bool is_stopping;
	int slot;                       /* TH_SLOT_NONE: none */
	BackgroundWorkerHandle *handle; /* NULL: no process */
	int failures;                   /* consecutive */
	int64 started_ms;
	int64 retry_ms;
} Served;

extern TH_EXPORT void th_launcher_main(Datum main_arg);

static HTAB *served = NULL;
static MemoryContext life_context = NULL;
static MemoryContext cycle_context = NULL;

static bool is_scan_due = true;
static int64 scan_ms = 0;
static int64 no_place_until_ms = 0;
static int no_place_failures = 0;
static int64 warned_ms = -WARNING_INTERVAL_MS;
static int n_starting = 0;

static int64
backoff_ms(int failures, int64 last)
{
	int64 wait = BACKOFF_FIRST_MS;

	while (--failures > 0 && wait < last)
		wait *= 2;
	return Min(wait, last);
}

/* Also counts the warning as given. */
static bool
may_warn(int64 now)
{
	if (now - warned_ms < WARNING_INTERVAL_MS)
		return false;
	warned_ms = now;
	return true;
}

/* ---- what is wanted ---- */

static void
probe_again(Served *entry)
{
	entry->is_absent = false;
	entry->failures = 0;
	entry->retry_ms = 0;
	entry->probe_again = entry->handle != NULL;
}

static void
take_requests(void)
{
	ThRequests requests;
	HASH_SEQ_STATUS sequence;
	Served *entry;
	int i;

	th_slot_take_requests(&requests);
	if (requests.scan)
		is_scan_due = true;

	for (i = 0; i < requests.n_probes; i++)
	{
		entry = hash_search(served, &requests.probes[i], HASH_FIND, NULL);
		if (entry != NULL)
			probe_again(entry);
	}

	if (!requests.probe_all)
		return;
	hash_seq_init(&sequence, served);
	while ((entry = hash_seq_search(&sequence)) != NULL)
		probe_again(entry);
}

static void
scan(int64 now)
{
	List *databases = th_database_list_read(cycle_context);
	HASH_SEQ_STATUS sequence;
	Served *entry;
	ListCell *cell;

	hash_seq_init(&sequence, served);
	while ((entry = hash_seq_search(&sequence)) != NULL)
		entry->is_listed = false;

	foreach(cell, databases)
	{
		Oid database = lfirst_oid(cell);
		bool is_known;

		entry = hash_search(served, &database, HASH_ENTER, &is_known);
		if (!is_known)
		{
			memset(entry, 0, sizeof(Served));
			entry->database = database;
			entry->slot = TH_SLOT_NONE;
		}
		entry->is_listed = true;
	}

	is_scan_due = false;
	scan_ms = now;
}

/* ---- what is there ---- */

static bool
has_ended(const Served *entry)
{
	pid_t pid;

	return entry->handle != NULL &&
		   GetBackgroundWorkerPid(entry->handle, &pid) == BGWH_STOPPED;
}

static void
free_slot(Served *entry)
{
	if (entry->slot != TH_SLOT_NONE)
		th_slot_free(entry->slot);
	entry->slot = TH_SLOT_NONE;
}

static void
note_failure(Served *entry, int64 now)
{
	int64 wait;

	entry->failures++;
	wait = backoff_ms(entry->failures, BACKOFF_LAST_MS);
	entry->retry_ms = now + wait;
	th_slot_fail(entry->slot,
				 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait),
				 entry->failures);

	if (may_warn(now))
		ereport(
			WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("telehealth dispatcher for database %u ended too early",
					entry->database),
			 errdetail("It is started again in %d s; failures in a row: %d.",
					   (int) (wait / 1000), entry->failures),
			 errhint("The messages before this one say why. Further warnings "
					 "of the launcher are held back for a minute.")));
}

static void
note_end(Served *entry, int64 now)
{
	ThSlotEnd end;
	bool was_stopped = entry->is_stopping;
	bool was_steady = now - entry->started_ms >= STEADY_MS;

	th_slot_read_end(entry->slot, &end);
	pfree(entry->handle);
	entry->handle = NULL;
	entry->is_stopping = false;
	no_place_until_ms = 0;

	if (end.state == TH_SLOT_ABSENT)
	{
		entry->is_absent = !entry->probe_again;
		entry->was_present = false;
		entry->failures = 0;
		free_slot(entry);
	}
	else if (end.was_asked || was_stopped || (end.was_present && was_steady))
		entry->failures = 0;
	else
		note_failure(entry, now);
	entry->probe_again = false;
}

/* Stops and forgets what is wanted no more. */
static void
drop_unlisted(Served *entry)
{
	if (entry->handle == NULL)
	{
		free_slot(entry);
		(void) hash_search(served, &entry->database, HASH_REMOVE, NULL);
	}
	else if (!entry->is_stopping)
	{
		entry->is_stopping = true;
		th_slot_stop(entry->slot);
	}
}

static void
review(int64 now)
{
	bool owned[TH_MAX_SLOTS] = { false };
	HASH_SEQ_STATUS sequence;
	Served *entry;

	n_starting = 0;
	hash_seq_init(&sequence, served);
	while ((entry = hash_seq_search(&sequence)) != NULL)
	{
		if (has_ended(entry))
			note_end(entry, now);
		if (entry->handle != NULL)
		{
			if (th_slot_state(entry->slot) == TH_SLOT_RUNNING)
				entry->was_present = true;
			else if (now - entry->started_ms < STEADY_MS)
				n_starting++; /* later it waits for somebody's lock */
		}
		if (entry->slot != TH_SLOT_NONE)
			owned[entry->slot] = true;
		if (!entry->is_listed)
			drop_unlisted(entry);
	}
	th_slot_free_orphans(owned);
}

/* ---- what is missing ---- */

static bool
register_dispatcher(Served *entry, uint32 generation)
{
	BackgroundWorker worker;
	ThProcessOrder order = { 0 };
	MemoryContext caller;
	bool is_registered;

	memset(&worker, 0, sizeof(worker));
	snprintf(worker.bgw_name, BGW_MAXLEN, DISPATCHER_TYPE " for database %u",
			 entry->database);
	strlcpy(worker.bgw_type, DISPATCHER_TYPE, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
					   BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, LIBRARY, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "th_dispatcher_main", BGW_MAXLEN);
	worker.bgw_main_arg = Int32GetDatum(entry->slot);
	worker.bgw_notify_pid = MyProcPid;
	order.database = entry->database;
	order.generation = generation;
	memcpy(worker.bgw_extra, &order, sizeof(order));

	caller = MemoryContextSwitchTo(life_context);
	is_registered = RegisterDynamicBackgroundWorker(&worker, &entry->handle);
	MemoryContextSwitchTo(caller);
	if (!is_registered)
		entry->handle = NULL;
	return is_registered;
}

static void
note_no_place(Served *entry, int64 now)
{
	int64 wait = backoff_ms(++no_place_failures, NO_PLACE_LAST_MS);

	no_place_until_ms = now + wait;
	th_slot_fail(entry->slot,
				 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait),
				 entry->failures);

	/* While some of ours are only looking, their places come back at once. */
	if (n_starting == 0 && may_warn(now))
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start telehealth dispatcher for database "
						"%u",
						entry->database),
				 errdetail("All background worker places are in use."),
				 errhint("Raise max_worker_processes. telehealth needs one for "
						 "itself, one for each database that has the "
						 "extension, and one for each gateway process.")));
}

static void
note_no_slot(const Served *entry, int64 now)
{
	if (n_starting == 0 && may_warn(now))
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start telehealth dispatcher for database "
						"%u",
						entry->database),
				 errdetail("At most %d databases are served.", TH_MAX_SLOTS),
				 errhint("Set telehealth.databases to those that need it.")));
}

static void
start(Served *entry, int64 now)
{
	uint32 generation;
	int slot = th_slot_claim(entry->database, entry->failures, &generation);

	if (slot == TH_SLOT_BUSY)
		return;
	if (slot == TH_SLOT_NONE)
	{
		note_no_slot(entry, now);
		return;
	}

	entry->slot = slot;
	entry->started_ms = now;
	if (register_dispatcher(entry, generation))
	{
		no_place_failures = 0;
		n_starting++;
	}
	else
		note_no_place(entry, now);
}

static bool
is_missing(const Served *entry, int64 now)
{
	return entry->is_listed && entry->handle == NULL && !entry->is_absent &&
		   entry->retry_ms <= now && !th_slot_test_parked(entry->database);
}

/* Those that had the extension when last seen, or the others. */
static void
start_missing(bool was_present, int64 now)
{
	HASH_SEQ_STATUS sequence;
	Served *entry;

	hash_seq_init(&sequence, served);
	while ((entry = hash_seq_search(&sequence)) != NULL)
	{
		if (n_starting >= MAX_STARTING || now < no_place_until_ms)
		{
			hash_seq_term(&sequence);
			return;
		}
		if (entry->was_present == was_present && is_missing(entry, now))
			start(entry, now);
	}
}

/* When the next turn is due without a signal. */
static int64
next_turn(int64 now)
{
	int64 next = now + th_guc_poll_interval_ms;
	HASH_SEQ_STATUS sequence;
	Served *entry;

	next = Min(next, Max(th_launch_gateway_next(now), now));
	if (no_place_until_ms > now)
		next = Min(next, no_place_until_ms);
	hash_seq_init(&sequence, served);
	while ((entry = hash_seq_search(&sequence)) != NULL)
	{
		if (entry->retry_ms > now)
			next = Min(next, entry->retry_ms);
	}
	return next;
}

/* ---- the process ---- */

static void
turn(void)
{
	int64 now = th_clock_monotonic_ms();

	MemoryContextReset(cycle_context);
	MemoryContextSwitchTo(cycle_context);

	take_requests();
	if (is_scan_due || now - scan_ms >= SCAN_INTERVAL_MS)
		scan(now);
	review(now);
	start_missing(true, now);
	start_missing(false, now);
	th_launch_gateway_turn(now);
}

static void
leave_callback(int code, Datum arg)
{
	(void) code;
	(void) arg;
	th_slot_leave_launcher();
}

static void
prepare(void)
{
	HASHCTL control = { 0 };

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	SetConfigOption("application_name", LAUNCHER_TYPE, PGC_USERSET,
					PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_IDLE, NULL);

	life_context = AllocSetContextCreate(TopMemoryContext, LAUNCHER_TYPE,
										 ALLOCSET_DEFAULT_SIZES);
	cycle_context = AllocSetContextCreate(life_context, LAUNCHER_TYPE " cycle",
										  ALLOCSET_DEFAULT_SIZES);
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Served);
	control.hcxt = life_context;
	served = hash_create(LAUNCHER_TYPE " databases", TH_MAX_SLOTS, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	on_shmem_exit(leave_callback, (Datum) 0);
	th_slot_enter_launcher();
	th_launch_gateway_init(life_context);
	th_fall_sweep();
}

void
th_launcher_main(Datum main_arg)
{
	uint32 event;

	(void) main_arg;
	prepare();
	event = th_compat_wait_event("TelehealthLauncher");

	for (;;)
	{
		int64 now;

		turn();
		now = th_clock_monotonic_ms();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) Max(next_turn(now) - now, 0), event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();

		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			is_scan_due = true;
		}
	}
}

void
th_launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	strlcpy(worker.bgw_name, LAUNCHER_TYPE, BGW_MAXLEN);
	strlcpy(worker.bgw_type, LAUNCHER_TYPE, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
					   BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, LIBRARY, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "th_launcher_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
