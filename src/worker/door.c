/*
 * door.c
 *	  The doors as readers and gateway processes see them.
 *
 * What the launcher and the DDL hook do to them is in door_control.c.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "worker/door.h"
#include "worker/shmem.h"
#include "worker/slot_control.h"

/* The place of this process, if it is a gateway. */
static ThSharedDoor *my_door = NULL;
static ThSharedGateway *my_place = NULL;
static uint32 my_generation = 0;
static bool was_told_to_stop = false;

/* Under the lock. */
static void
copy_status(ThSharedDoor *door, ThDoorStatus *out)
{
	memset(out, 0, sizeof(*out));
	out->state = door->state;
	out->port = door->wish.port;
	strlcpy(out->listen, door->wish.listen, sizeof(out->listen));
	out->workers = door->wish.workers;
	out->opened_at = door->opened_at;
	out->retry_at = door->retry_at;
	out->holder = door->holder;
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
	{
		ThSharedGateway *place = &door->gateways[i];

		if (place->pid != 0 && place->is_listening)
			out->running++;
		out->connections += (int) pg_atomic_read_u32(&place->connections);
		if (place->error_number != 0)
			out->error_number = place->error_number;
	}
	for (int i = 0; i < TH_DOOR_COUNTS; i++)
		out->counts[i] = pg_atomic_read_u64(&door->counts[i]);
}

bool
th_door_read(Oid database, ThDoorStatus *out)
{
	bool is_found = false;

	if (th_shared == NULL || !OidIsValid(database))
		return false;
	LWLockAcquire(th_slot_lock, LW_SHARED);
	for (int i = 0; i < TH_MAX_DOORS && !is_found; i++)
	{
		ThSharedDoor *door = &th_shared->doors[i];

		if (door->database != database)
			continue;
		is_found = true;
		copy_status(door, out);
	}
	LWLockRelease(th_slot_lock);
	return is_found;
}

bool
th_door_attach(int door_number, int worker, uint32 generation, Oid *database)
{
	TimestampTz now = GetCurrentTimestamp();
	uint32 this_process = th_shmem_this_process();
	ThSharedDoor *door;
	ThSharedGateway *place;
	bool is_ours;

	if (th_shared == NULL || door_number < 0 || door_number >= TH_MAX_DOORS ||
		worker < 0 || worker >= TH_MAX_HTTP_WORKERS)
		return false;
	door = &th_shared->doors[door_number];
	place = &door->gateways[worker];

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	*database = door->database;
	is_ours = place->generation == generation && place->pid == 0 &&
			  OidIsValid(door->database);
	if (is_ours && th_slot_is_parked(door->database, now))
	{
		place->was_asked = true;
		is_ours = false;
	}
	if (is_ours)
	{
		place->pid = MyProcPid;
		place->is_listening = false;
		pg_atomic_write_u32(&place->process, this_process);
		pg_atomic_write_u32(&place->connections, 0);
	}
	LWLockRelease(th_slot_lock);

	if (!is_ours)
		return false;
	my_door = door;
	my_place = place;
	my_generation = generation;
	return true;
}

void
th_door_detach(bool was_terminated)
{
	ThSharedGateway *place = my_place;

	if (place == NULL)
		return;
	my_place = NULL;

	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	place->pid = 0;
	place->is_listening = false;
	place->was_asked = was_terminated || was_told_to_stop;
	pg_atomic_write_u32(&place->process, 0);
	pg_atomic_write_u32(&place->connections, 0);
	LWLockRelease(th_slot_lock);

	ConditionVariableBroadcast(&th_shared->gone);
	th_shmem_wake_process(&th_shared->launcher_process);
}

void
th_door_order(ThHttpWish *out)
{
	LWLockAcquire(th_slot_lock, LW_SHARED);
	*out = my_door->wish;
	LWLockRelease(th_slot_lock);
}

bool
th_door_has_sibling(void)
{
	bool is_found = false;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
	{
		const ThSharedGateway *place = &my_door->gateways[i];

		is_found |= place != my_place && place->pid != 0 && place->is_listening;
	}
	LWLockRelease(th_slot_lock);
	return is_found;
}

void
th_door_set_listening(void)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	my_place->is_listening = true;
	my_place->error_number = 0;
	LWLockRelease(th_slot_lock);
	th_shmem_wake_process(&th_shared->launcher_process);
}

void
th_door_set_trouble(int error_number)
{
	LWLockAcquire(th_slot_lock, LW_EXCLUSIVE);
	my_place->error_number = error_number;
	LWLockRelease(th_slot_lock);
}

bool
th_door_must_stop(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool must_stop;

	LWLockAcquire(th_slot_lock, LW_SHARED);
	must_stop = my_place->generation != my_generation ||
				th_slot_is_parked(my_door->database, now);
	LWLockRelease(th_slot_lock);
	was_told_to_stop |= must_stop;
	return must_stop;
}

void
th_door_add(const uint64 *deltas)
{
	for (int i = 0; i < TH_DOOR_COUNTS; i++)
		if (deltas[i] != 0)
			(void) pg_atomic_fetch_add_u64(&my_door->counts[i],
										   (int64) deltas[i]);
}

void
th_door_set_connections(int n)
{
	pg_atomic_write_u32(&my_place->connections, (uint32) n);
}
