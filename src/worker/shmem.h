/*
 * shmem.h
 *	  Layout of the worker room's shared memory.
 *
 * For this room's .c files only. Fixed size, plain values, no pointers: a
 * process is named by its number in the server's process array, so that a
 * stale number wakes a stranger for nothing and does no harm. After a crash
 * of the server everything starts empty.
 */
#ifndef TH_WORKER_SHMEM_H
#define TH_WORKER_SHMEM_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "worker/door_shared.h"
#include "worker/mailbox.h"
#include "worker/slot.h"
#include "worker/tally.h"

#define TH_MAX_PARKS 16
#define TH_MAX_PROBES 16
#define TH_MAILBOX_HINT 256

/* One database of the launcher. */
typedef struct ThSharedSlot
{
	/* Written under slot_lock, read without it by those who wake. */
	pg_atomic_uint32 database; /* InvalidOid: free */
	pg_atomic_uint32 process;  /* its number + 1, 0: none */

	/* Without a lock. */
	pg_atomic_uint32 wake;         /* 1: work was committed */
	pg_atomic_uint32 full_scan;    /* 1: look without the watermark */
	pg_atomic_uint32 unmarked;     /* 1: sessions wait that nobody marked */
	pg_atomic_uint64 settle_count; /* never goes back */
	ConditionVariable settled;

	/* Under slot_lock. */
	ThSlotState state;
	int pid;           /* 0 if none; outlives its database access */
	uint32 generation; /* raised by every start, stop and free */
	TimestampTz started_at;
	TimestampTz retry_at;
	int failures;
	bool was_asked;        /* the last process left because it had to */
	bool was_present;      /* ... and had seen the extension */
	ThSlotFigures figures; /* written by the slot's process alone */
} ThSharedSlot;

/* A database held still while a backend changes it. Under slot_lock. */
typedef struct ThPark
{
	Oid database; /* InvalidOid: free */
	int pid;      /* the backend that asked */
	TimestampTz until;
} ThPark;

/* What the launcher is asked to do. Under slot_lock. */
typedef struct ThRequests
{
	bool scan;      /* read the list of databases */
	bool probe_all; /* look into all of them again */
	int n_probes;
	Oid probes[TH_MAX_PROBES];
} ThRequests;

typedef enum ThMailState
{
	TH_MAIL_FREE,
	TH_MAIL_POSTED,
	TH_MAIL_TAKEN,
	TH_MAIL_ANSWERED
} ThMailState;

/* One question. Under mail_lock, but for the condition variable. */
typedef struct ThMailEntry
{
	ThMailState state;
	uint64 number;
	Oid database;
	ThAskKind kind;
	int64 clinic_id;
	int64 subject_id;
	int poster; /* pid */
	int sqlstate;
	ConditionVariable answered;
} ThMailEntry;

/* The texts of a question, apart so that looking for questions stays short. */
typedef struct ThMailText
{
	char question[TH_MAILBOX_QUESTION]; /* "": none */
	char reply[TH_MAILBOX_REPLY];
	char hint[TH_MAILBOX_HINT]; /* "": none */
} ThMailText;

/* Accesses of one feed that are not written yet. Under tally_lock. */
typedef struct ThTallyEntry
{
	Oid database; /* InvalidOid: free */
	ThTally tally;
} ThTallyEntry;

typedef struct ThShared
{
	pg_atomic_uint32 launcher_process; /* its number + 1, 0: none */
	int launcher_pid;                  /* under slot_lock */
	ThRequests requests;               /* under slot_lock */
	ThPark parks[TH_MAX_PARKS];        /* under slot_lock */
	ConditionVariable gone;            /* a worker has left its database */
	ThSharedSlot slots[TH_MAX_SLOTS];
	ThSharedDoor doors[TH_MAX_DOORS];

	uint64 last_number; /* under mail_lock */
	ConditionVariable mail_freed;
	ThMailEntry mail[TH_MAILBOX_ENTRIES];
	ThMailText mail_text[TH_MAILBOX_ENTRIES]; /* under mail_lock */

	ThTallyEntry tally[TH_TALLY_ENTRIES]; /* under tally_lock */
} ThShared;

/* NULL if the library was not preloaded. Set once, before any process forks. */
extern ThShared *th_shared;

/* Of the tranche "telehealth"; valid if th_shared is. Never two at once. */
extern LWLock *th_slot_lock;
extern LWLock *th_mail_lock;
extern LWLock *th_tally_lock;

/* Installs the shared memory hooks. Where: _PG_init, when preloaded. */
extern void th_shmem_request_init(void);

/*
 * Sets the latch of the process that "process" names, if any. Never throws.
 * Where: any process; not under an LWLock.
 */
extern void th_shmem_wake_process(pg_atomic_uint32 *process);

/* This process, as stored in shared memory. */
extern uint32 th_shmem_this_process(void);

#endif /* TH_WORKER_SHMEM_H */
