/*
 * door_control.c
 *	  The doors as the launcher and the DDL hook use them.
 */
#include "postgres.h"

#include "storage/latch.h"
#include "utils/timestamp.h"

#include "worker/door_control.h"
#include "worker/slot_control.h"

int
th_door_read_wishes(ThDoorWish *out)
{
	TimestampTz now = GetCurrentTimestamp();
	int n = 0;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	for (int i = 0; i < TH_MAX_SLOTS; i++)
	{
		ThSharedSlot *slot = &th_shared->slots[i];

		if (slot->state == TH_SLOT_FREE || slot->state == TH_SLOT_ABSENT ||
			!slot->figures.http.is_known)
			continue;
		out[n].database = pg_atomic_read_u32(&slot->database);
		out[n].is_parked = th_slot_is_parked(out[n].database, now);
		out[n].wish = slot->figures.http;
		n++;
	}
	LWLockRelease(th_slot_lock);
	return n;
}

/* Under the lock. */
static bool
has_process(const ThSharedDoor *door)
{
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
		if (door->gateways[i].pid != 0)
			return true;
	return false;
}

/* Under the lock. */
static void
set_free(ThSharedDoor *door)
{
	door->database = InvalidOid;
	door->is_orphan = false;
	door->state = TH_DOOR_OFF;
	memset(&door->wish, 0, sizeof(door->wish));
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
	{
		door->gateways[i].generation++;
		door->gateways[i].error_number = 0;
	}
	for (int i = 0; i < TH_DOOR_COUNTS; i++)
		pg_atomic_write_u64(&door->counts[i], 0);
}

void
th_door_enter_launcher(void)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	for (int i = 0; i < TH_MAX_DOORS; i++)
	{
		ThSharedDoor *door = &th_shared->doors[i];

		if (!OidIsValid(door->database))
			continue;
		for (int k = 0; k < TH_MAX_HTTP_WORKERS; k++)
			door->gateways[k].generation++;
		door->is_orphan = true;
	}
	LWLockRelease(th_slot_lock);

	for (int i = 0; i < TH_MAX_DOORS; i++)
		for (int k = 0; k < TH_MAX_HTTP_WORKERS; k++)
			th_shmem_wake_process(&th_shared->doors[i].gateways[k].process);
}

void
th_door_free_orphans(void)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	for (int i = 0; i < TH_MAX_DOORS; i++)
	{
		ThSharedDoor *door = &th_shared->doors[i];

		if (door->is_orphan && !has_process(door))
			set_free(door);
	}
	LWLockRelease(th_slot_lock);
}

int
th_door_claim(Oid database)
{
	TimestampTz now = GetCurrentTimestamp();
	int choice = -1;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	for (int i = 0; i < TH_MAX_DOORS; i++)
	{
		ThSharedDoor *door = &th_shared->doors[i];

		if (door->database == database)
		{
			choice = -1;
			break;
		}
		if (!OidIsValid(door->database) && choice < 0)
			choice = i;
	}
	if (choice >= 0)
	{
		th_shared->doors[choice].database = database;
		th_shared->doors[choice].state = TH_DOOR_STARTING;
		th_shared->doors[choice].opened_at = now;
	}
	LWLockRelease(th_slot_lock);
	return choice;
}

void
th_door_free(int door)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	set_free(&th_shared->doors[door]);
	LWLockRelease(th_slot_lock);
}

void
th_door_set_wish(int door, const ThHttpWish *wish)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	th_shared->doors[door].wish = *wish;
	LWLockRelease(th_slot_lock);
}

void
th_door_set_state(int door, ThDoorState state, Oid holder, TimestampTz retry_at)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	th_shared->doors[door].state = state;
	th_shared->doors[door].holder = holder;
	th_shared->doors[door].retry_at = retry_at;
	LWLockRelease(th_slot_lock);
}

uint32
th_door_open_place(int door, int worker)
{
	ThSharedGateway *place = &th_shared->doors[door].gateways[worker];
	uint32 generation;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	generation = ++place->generation;
	place->was_asked = false;
	place->error_number = 0;
	LWLockRelease(th_slot_lock);
	return generation;
}

void
th_door_stop(int door, int worker)
{
	ThSharedGateway *place = &th_shared->doors[door].gateways[worker];

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	place->generation++;
	LWLockRelease(th_slot_lock);
	th_shmem_wake_process(&place->process);
}

void
th_door_read_place(int door, int worker, ThDoorPlace *out)
{
	const ThSharedGateway *place = &th_shared->doors[door].gateways[worker];

	LWLockAcquire(th_slot_lock, LW_SHARED);
	out->is_listening = place->pid != 0 && place->is_listening;
	out->was_asked = place->was_asked;
	out->error_number = place->error_number;
	LWLockRelease(th_slot_lock);
}

void
th_door_nudge(Oid database)
{
	for (int i = 0; i < TH_MAX_DOORS; i++)
	{
		ThSharedDoor *door = &th_shared->doors[i];

		/* unlocked: one that is wrong for a moment wakes a stranger for nothing */
		if (door->database != database)
			continue;
		for (int k = 0; k < TH_MAX_HTTP_WORKERS; k++)
			th_shmem_wake_process(&door->gateways[k].process);
	}
}

bool
th_door_is_occupied(Oid database)
{
	for (int i = 0; i < TH_MAX_DOORS; i++)
		if (th_shared->doors[i].database == database &&
			has_process(&th_shared->doors[i]))
			return true;
	return false;
}
