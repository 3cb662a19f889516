/*
 * slot_control.c
 *	  The slots as the launcher and the DDL hook use them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "worker/door_control.h"
#include "worker/shmem.h"
#include "worker/slot_control.h"

/* Under the lock. */
static void
set_free(ThSharedSlot *slot)
{
	slot->generation++;
	slot->state = TH_SLOT_FREE;
	slot->failures = 0;
	slot->retry_at = 0;
	memset(&slot->figures, 0, sizeof(ThSlotFigures));
	pg_atomic_write_u32(&slot->database, InvalidOid);
}

/* Not under the lock. */
static void
broadcast_wakes(void)
{
	int i;

	for (i = 0; i < TH_MAX_SLOTS; i++)
		th_shmem_wake_process(&th_shared->slots[i].process);
}

void
th_slot_enter_launcher(void)
{
	uint32 this_process = th_shmem_this_process();
	int i;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	th_shared->launcher_pid = MyProcPid;
	for (i = 0; i < TH_MAX_SLOTS; i++)
	{
		ThSharedSlot *slot = &th_shared->slots[i];

		if (slot->state == TH_SLOT_FREE)
			continue;
		if (slot->pid == 0)
			set_free(slot);
		else
			slot->generation++;
	}
	LWLockRelease(th_slot_lock);

	pg_atomic_write_u32(&th_shared->launcher_process, this_process);
	broadcast_wakes();
}

void
th_slot_leave_launcher(void)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	if (th_shared->launcher_pid == MyProcPid)
	{
		th_shared->launcher_pid = 0;
		pg_atomic_write_u32(&th_shared->launcher_process, 0);
	}
	LWLockRelease(th_slot_lock);
}

void
th_slot_free_orphans(const bool *owned)
{
	int i;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	for (i = 0; i < TH_MAX_SLOTS; i++)
	{
		ThSharedSlot *slot = &th_shared->slots[i];

		if (!owned[i] && slot->state != TH_SLOT_FREE && slot->pid == 0)
			set_free(slot);
	}
	LWLockRelease(th_slot_lock);
}

/* Under the lock. */
static int
choose_slot(Oid database)
{
	int choice = TH_SLOT_NONE;
	int i;

	for (i = 0; i < TH_MAX_SLOTS; i++)
	{
		ThSharedSlot *slot = &th_shared->slots[i];

		if (pg_atomic_read_u32(&slot->database) == database)
			return slot->pid == 0 ? i : TH_SLOT_BUSY;
		if (slot->state == TH_SLOT_FREE && choice == TH_SLOT_NONE)
			choice = i;
	}
	return choice;
}

int
th_slot_claim(Oid database, int failures, uint32 *generation)
{
	TimestampTz now = GetCurrentTimestamp();
	int choice;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	choice = choose_slot(database);
	if (choice >= 0)
	{
		ThSharedSlot *slot = &th_shared->slots[choice];

		ThTaskTimes tasks[TH_TASK_COUNT];
		ThHttpWish http = slot->figures.http;

		*generation = ++slot->generation;
		slot->state = TH_SLOT_STARTING;
		slot->started_at = now;
		slot->retry_at = 0;
		slot->failures = failures;
		slot->was_asked = false;
		slot->was_present = false;
		/* what a predecessor in this database did; a free slot has none */
		memcpy(tasks, slot->figures.tasks, sizeof(tasks));
		memset(&slot->figures, 0, sizeof(ThSlotFigures));
		memcpy(slot->figures.tasks, tasks, sizeof(tasks));
		slot->figures.http = http;
		pg_atomic_write_u32(&slot->database, database);
	}
	LWLockRelease(th_slot_lock);
	return choice;
}

void
th_slot_fail(int slot_number, TimestampTz retry_at, int failures)
{
	ThSharedSlot *slot = &th_shared->slots[slot_number];

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	slot->generation++;
	slot->state = TH_SLOT_FAILED;
	slot->retry_at = retry_at;
	slot->failures = failures;
	LWLockRelease(th_slot_lock);
}

void
th_slot_stop(int slot_number)
{
	ThSharedSlot *slot = &th_shared->slots[slot_number];

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	slot->generation++;
	LWLockRelease(th_slot_lock);
	th_shmem_wake_process(&slot->process);
}

void
th_slot_free(int slot_number)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	set_free(&th_shared->slots[slot_number]);
	LWLockRelease(th_slot_lock);
}

void
th_slot_read_end(int slot_number, ThSlotEnd *out)
{
	ThSharedSlot *slot = &th_shared->slots[slot_number];

	LWLockAcquire(th_slot_lock, LW_SHARED);
	out->state = slot->state;
	out->was_asked = slot->was_asked;
	out->was_present = slot->was_present;
	LWLockRelease(th_slot_lock);
}

ThSlotState
th_slot_state(int slot_number)
{
	ThSlotEnd end;

	th_slot_read_end(slot_number, &end);
	return end.state;
}

void
th_slot_take_requests(ThRequests *out)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	*out = th_shared->requests;
	memset(&th_shared->requests, 0, sizeof(ThRequests));
	LWLockRelease(th_slot_lock);
}

bool
th_slot_is_parked(Oid database, TimestampTz now)
{
	int i;

	for (i = 0; i < TH_MAX_PARKS; i++)
	{
		const ThPark *park = &th_shared->parks[i];

		if (park->database == database && OidIsValid(database) &&
			park->until > now)
			return true;
	}
	return false;
}

bool
th_slot_test_parked(Oid database)
{
	TimestampTz now = GetCurrentTimestamp();
	bool is_parked;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	is_parked = th_slot_is_parked(database, now);
	LWLockRelease(th_slot_lock);
	return is_parked;
}

void
th_slot_request_scan(void)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	th_shared->requests.scan = true;
	LWLockRelease(th_slot_lock);
	th_shmem_wake_process(&th_shared->launcher_process);
}

void
th_slot_request_probe(Oid database)
{
	ThRequests *requests;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	requests = &th_shared->requests;
	requests->scan = true;
	if (requests->n_probes < TH_MAX_PROBES)
		requests->probes[requests->n_probes++] = database;
	else
		requests->probe_all = true;
	LWLockRelease(th_slot_lock);
	th_shmem_wake_process(&th_shared->launcher_process);
}

bool
th_slot_park(Oid database)
{
	TimestampTz now = GetCurrentTimestamp();
	bool is_parked = false;
	int i;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	for (i = 0; i < TH_MAX_PARKS && !is_parked; i++)
	{
		ThPark *park = &th_shared->parks[i];

		if (OidIsValid(park->database))
			continue;
		park->database = database;
		park->pid = MyProcPid;
		park->until = TimestampTzPlusMilliseconds(now, TH_PARK_MS);
		is_parked = true;
	}
	LWLockRelease(th_slot_lock);

	if (is_parked)
	{
		th_slot_nudge(database);
		th_door_nudge(database);
	}
	return is_parked;
}

void
th_slot_unpark(void)
{
	int i;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	for (i = 0; i < TH_MAX_PARKS; i++)
	{
		ThPark *park = &th_shared->parks[i];

		if (park->pid == MyProcPid)
			memset(park, 0, sizeof(ThPark));
	}
	LWLockRelease(th_slot_lock);
	th_slot_request_scan();
}

/* True if a process of ours is in the database. */
static bool
is_occupied(Oid database)
{
	bool is_found = false;
	int i;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	for (i = 0; i < TH_MAX_SLOTS && !is_found; i++)
	{
		ThSharedSlot *slot = &th_shared->slots[i];

		is_found = slot->pid != 0 &&
				   pg_atomic_read_u32(&slot->database) == database;
	}
	is_found = is_found || th_door_is_occupied(database);
	LWLockRelease(th_slot_lock);
	return is_found;
}

bool
th_slot_wait_gone(Oid database, long timeout_ms)
{
	static uint32 event = 0;
	int64 deadline = th_clock_monotonic_ms() + timeout_ms;
	bool is_gone;

	if (!is_occupied(database))
		return true;
	if (event == 0)
		event = th_compat_wait_event("TelehealthPark");

	ConditionVariablePrepareToSleep(&th_shared->gone);
	while (!(is_gone = !is_occupied(database)))
	{
		int64 left = deadline - th_clock_monotonic_ms();

		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(&th_shared->gone, (long) left,
										   event);
	}
	ConditionVariableCancelSleep();
	return is_gone;
}
