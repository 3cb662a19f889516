/*
 * shmem.c
 *	  Asks for the worker room's shared memory and sets it up.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "base/compat.h"
#include "worker/shmem.h"

#define TRANCHE "telehealth"
#define N_LOCKS 3

ThShared *th_shared = NULL;
LWLock *th_slot_lock = NULL;
LWLock *th_mail_lock = NULL;
LWLock *th_tally_lock = NULL;

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void
request(void)
{
	if (previous_request_hook != NULL)
		previous_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(ThShared)));
	RequestNamedLWLockTranche(TRANCHE, N_LOCKS);
}

static void
initialize_door(ThSharedDoor *door)
{
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
	{
		pg_atomic_init_u32(&door->gateways[i].process, 0);
		pg_atomic_init_u32(&door->gateways[i].connections, 0);
	}
	for (int i = 0; i < TH_DOOR_COUNTS; i++)
		pg_atomic_init_u64(&door->counts[i], 0);
}

static void
initialize(ThShared *shared)
{
	int i;

	memset(shared, 0, sizeof(ThShared));
	pg_atomic_init_u32(&shared->launcher_process, 0);
	ConditionVariableInit(&shared->gone);
	ConditionVariableInit(&shared->mail_freed);

	for (i = 0; i < TH_MAX_SLOTS; i++)
	{
		ThSharedSlot *slot = &shared->slots[i];

		pg_atomic_init_u32(&slot->database, InvalidOid);
		pg_atomic_init_u32(&slot->process, 0);
		pg_atomic_init_u32(&slot->wake, 0);
		pg_atomic_init_u32(&slot->full_scan, 0);
		pg_atomic_init_u32(&slot->unmarked, 0);
		pg_atomic_init_u64(&slot->settle_count, 0);
		ConditionVariableInit(&slot->settled);
		slot->state = TH_SLOT_FREE;
	}

	for (i = 0; i < TH_MAX_DOORS; i++)
		initialize_door(&shared->doors[i]);
	for (i = 0; i < TH_MAILBOX_ENTRIES; i++)
		ConditionVariableInit(&shared->mail[i].answered);
}

static void
startup(void)
{
	LWLockPadded *locks;
	bool found;

	if (previous_startup_hook != NULL)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	th_shared = ShmemInitStruct("telehealth", sizeof(ThShared), &found);
	if (!found)
		initialize(th_shared);
	LWLockRelease(AddinShmemInitLock);

	locks = GetNamedLWLockTranche(TRANCHE);
	th_slot_lock = &locks[0].lock;
	th_mail_lock = &locks[1].lock;
	th_tally_lock = &locks[2].lock;
}

void
th_shmem_request_init(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}

void
th_shmem_wake_process(pg_atomic_uint32 *process)
{
	uint32 number = pg_atomic_read_u32(process);

	if (number != 0)
		SetLatch(&GetPGProcByNumber(number - 1)->procLatch);
}

uint32
th_shmem_this_process(void)
{
	return (uint32) th_compat_my_proc_number() + 1;
}
