/*
 * slot.c
 *	  The slots as readers, waiters and dispatchers see them.
 *
 * What the launcher and the DDL hook do to them is in slot_control.c.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "worker/shmem.h"
#include "worker/slot.h"
#include "worker/slot_control.h"

/*
 * A waiter looks up its slot anew at least so often, since a dispatcher that
 * is restarted may get another one.
 */
#define WAIT_SLICE_MS 1000

/* The slot of this process, if it is a dispatcher. */
static ThSharedSlot *my_slot = NULL;
static uint32 my_generation = 0;
static bool was_told_to_stop = false;

bool
th_slot_available(void)
{
	return th_shared != NULL;
}

/* Without the lock; for what may be wrong for a moment. */
static ThSharedSlot *
find_unlocked(Oid database)
{
	static int last = 0;
	int i;

	if (th_shared == NULL || !OidIsValid(database))
		return NULL;

	if (pg_atomic_read_u32(&th_shared->slots[last].database) == database)
		return &th_shared->slots[last];

	for (i = 0; i < TH_MAX_SLOTS; i++)
	{
		if (pg_atomic_read_u32(&th_shared->slots[i].database) == database)
		{
			last = i;
			return &th_shared->slots[i];
		}
	}
	return NULL;
}

/* Under the lock. */
static void
copy_status(ThSharedSlot *slot, TimestampTz now, ThSlotStatus *out)
{
	out->database = pg_atomic_read_u32(&slot->database);
	out->state = slot->state;
	if (slot->state == TH_SLOT_RUNNING && slot->figures.is_other_version)
		out->state = TH_SLOT_OTHER_VERSION;
	if (th_slot_is_parked(out->database, now))
		out->state = TH_SLOT_PARKED;
	out->pid = slot->pid;
	out->generation = slot->generation;
	out->started_at = slot->started_at;
	out->retry_at = slot->retry_at;
	out->failures = slot->failures;
	out->figures = slot->figures;
}

bool
th_slot_read(Oid database, ThSlotStatus *out)
{
	TimestampTz now = GetCurrentTimestamp();
	ThSharedSlot *slot;

	if (th_shared == NULL)
		return false;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	slot = find_unlocked(database);
	if (slot != NULL)
		copy_status(slot, now, out);
	LWLockRelease(th_slot_lock);
	return slot != NULL;
}

int
th_slot_read_all(ThSlotStatus *out, int max)
{
	TimestampTz now = GetCurrentTimestamp();
	int n = 0;
	int i;

	if (th_shared == NULL)
		return 0;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	for (i = 0; i < TH_MAX_SLOTS && n < max; i++)
	{
		if (th_shared->slots[i].state != TH_SLOT_FREE)
			copy_status(&th_shared->slots[i], now, &out[n++]);
	}
	LWLockRelease(th_slot_lock);
	return n;
}

int
th_slot_launcher_pid(void)
{
	int pid;

	if (th_shared == NULL)
		return 0;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	pid = th_shared->launcher_pid;
	LWLockRelease(th_slot_lock);
	return pid;
}

uint64
th_slot_settle_count(Oid database)
{
	ThSharedSlot *slot = find_unlocked(database);

	return slot == NULL ? 0 : pg_atomic_read_u64(&slot->settle_count);
}

static uint32
settle_event(void)
{
	static uint32 event = 0;

	if (event == 0)
		event = th_compat_wait_event("TelehealthSettle");
	return event;
}

/* One slice of a wait while the database has no slot. */
static void
sleep_without_slot(long timeout_ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 timeout_ms, settle_event());
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
th_slot_wait_settle(Oid database, uint64 seen, long timeout_ms)
{
	int64 deadline = th_clock_monotonic_ms() + timeout_ms;

	for (;;)
	{
		ThSharedSlot *slot = find_unlocked(database);
		int64 left = deadline - th_clock_monotonic_ms();
		long slice = (long) Min(left, WAIT_SLICE_MS);

		if (left <= 0)
			break;
		if (slot == NULL)
		{
			sleep_without_slot(slice);
			if (th_slot_settle_count(database) != seen)
				break;
			continue;
		}

		/* Into the queue before the test, so that no broadcast is missed. */
		ConditionVariablePrepareToSleep(&slot->settled);
		if (pg_atomic_read_u64(&slot->settle_count) != seen)
			break;
		(void) ConditionVariableTimedSleep(&slot->settled, slice,
										   settle_event());
	}
	ConditionVariableCancelSleep();
}

bool
th_slot_attach(int slot_number, uint32 generation, Oid *database)
{
	TimestampTz now = GetCurrentTimestamp();
	uint32 this_process = th_shmem_this_process();
	ThSharedSlot *slot;
	bool is_ours;
	bool is_parked;

	if (th_shared == NULL || slot_number < 0 || slot_number >= TH_MAX_SLOTS)
		return false;
	slot = &th_shared->slots[slot_number];

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	*database = pg_atomic_read_u32(&slot->database);
	is_parked = th_slot_is_parked(*database, now);
	is_ours = slot->generation == generation && slot->pid == 0 &&
			  slot->state == TH_SLOT_STARTING;
	if (is_ours && is_parked)
		slot->was_asked = true;
	else if (is_ours)
	{
		slot->pid = MyProcPid;
		pg_atomic_write_u32(&slot->process, this_process);
	}
	LWLockRelease(th_slot_lock);

	if (!is_ours || is_parked)
		return false;
	my_slot = slot;
	my_generation = generation;

	/*
	 * After our number is known and before our first look: a commit that
	 * raises the flag later finds us, one that raised it earlier is seen.
	 */
	(void) pg_atomic_exchange_u32(&slot->wake, 0);
	return true;
}

void
th_slot_detach(bool was_terminated)
{
	ThSharedSlot *slot = my_slot;

	if (slot == NULL)
		return;
	my_slot = NULL;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	slot->pid = 0;
	slot->was_asked = was_terminated || was_told_to_stop;
	slot->figures.in_flight = 0;
	slot->figures.waiting = 0;
	slot->figures.phase[0] = '\0';
	pg_atomic_write_u32(&slot->process, 0);
	LWLockRelease(th_slot_lock);

	ConditionVariableBroadcast(&th_shared->gone);
	th_shmem_wake_process(&th_shared->launcher_process);
}

/* Under the lock: this process still owns its slot. */
static bool
is_current(void)
{
	return my_slot != NULL && my_slot->generation == my_generation;
}

void
th_slot_set_absent(void)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	if (is_current())
		my_slot->state = TH_SLOT_ABSENT;
	LWLockRelease(th_slot_lock);
}

/* Under the lock. Returns whether the launcher has to hear of it. */
static bool
mark_present(void)
{
	if (!is_current() || my_slot->state == TH_SLOT_RUNNING)
		return false;
	my_slot->state = TH_SLOT_RUNNING;
	my_slot->was_present = true;
	return true;
}

void
th_slot_set_present(void)
{
	bool is_news;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	is_news = mark_present();
	LWLockRelease(th_slot_lock);

	if (is_news)
		th_shmem_wake_process(&th_shared->launcher_process);
}

bool
th_slot_must_stop(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool must_stop;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	must_stop = !is_current() ||
				th_slot_is_parked(pg_atomic_read_u32(&my_slot->database), now);
	LWLockRelease(th_slot_lock);
	was_told_to_stop |= must_stop;
	return must_stop;
}

void
th_slot_publish(const ThSlotFigures *figures)
{
	bool is_news;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	is_news = mark_present();
	if (is_current())
		my_slot->figures = *figures;
	LWLockRelease(th_slot_lock);

	if (is_news)
		th_shmem_wake_process(&th_shared->launcher_process);
}

void
th_slot_broadcast_settle(void)
{
	if (my_slot == NULL)
		return;
	(void) pg_atomic_fetch_add_u64(&my_slot->settle_count, 1);
	ConditionVariableBroadcast(&my_slot->settled);
}

bool
th_slot_take_full_scan(void)
{
	return my_slot != NULL &&
		   pg_atomic_exchange_u32(&my_slot->full_scan, 0) != 0;
}

bool
th_slot_has_unmarked(void)
{
	return my_slot != NULL && pg_atomic_read_u32(&my_slot->unmarked) != 0;
}

bool
th_slot_take_unmarked(void)
{
	return th_slot_has_unmarked() &&
		   pg_atomic_exchange_u32(&my_slot->unmarked, 0) != 0;
}

void
th_slot_note_unmarked(Oid database)
{
	ThSharedSlot *slot = find_unlocked(database);

	if (slot != NULL)
		pg_atomic_write_u32(&slot->unmarked, 1);
}

bool
th_slot_is_woken(void)
{
	return my_slot != NULL && pg_atomic_read_u32(&my_slot->wake) != 0;
}

bool
th_slot_take_wake(void)
{
	/* A full barrier: what follows sees what was committed before. */
	return my_slot != NULL && pg_atomic_exchange_u32(&my_slot->wake, 0) != 0;
}

void
th_slot_wake(Oid database, bool needs_full_scan)
{
	ThSharedSlot *slot = find_unlocked(database);

	if (slot == NULL)
		return;
	if (needs_full_scan)
		pg_atomic_write_u32(&slot->full_scan, 1);

	/*
	 * The commit must be visible before the flag is read: then a flag that is
	 * still up will be taken down by a look that sees it. Reading first keeps
	 * busy writers from fighting over the line.
	 */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&slot->wake) == 0 &&
		pg_atomic_exchange_u32(&slot->wake, 1) == 0)
		th_shmem_wake_process(&slot->process);
}

void
th_slot_nudge(Oid database)
{
	ThSharedSlot *slot = find_unlocked(database);

	if (slot != NULL)
		th_shmem_wake_process(&slot->process);
}
