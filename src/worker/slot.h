/*
 * slot.h
 *	  The shared-memory slot of each served database.
 *
 * The launcher owns which database has a slot; the dispatcher of a slot
 * publishes what it is doing; backends read copies. All values are plain, no
 * pointers to anything local. One LWLock ("telehealth") protects the slots;
 * under it only copying happens. Without shared_preload_libraries there are
 * no slots and every reader answers "absent".
 */
#ifndef TH_WORKER_SLOT_H
#define TH_WORKER_SLOT_H

#include "datatype/timestamp.h"

#include "worker/door.h"
#include "worker/task.h"

#define TH_MAX_SLOTS 64
#define TH_MAX_FINGERPRINTS 16

typedef enum ThSlotState
{
	TH_SLOT_FREE,
	TH_SLOT_STARTING, /* registered, not yet attached */
	TH_SLOT_RUNNING,
	TH_SLOT_ABSENT,       /* the database has no extension */
	TH_SLOT_PARKED,       /* held still for DDL until parked_until */
	TH_SLOT_FAILED,       /* backing off until retry_at */
	TH_SLOT_OTHER_VERSION /* to readers only: running, but waits for an update */
} ThSlotState;

/* What the dispatcher tells of itself. Written by it alone. */
typedef struct ThSlotFigures
{
	char phase[16];        /* claim, network, settle, idle, held */
	char held_reason[96];  /* why outward work waits, or "" */
	bool is_other_version; /* the installed SQL is not of this library */
	int in_flight;         /* exchanges running */
	int waiting;           /* claimed, waiting for a place or a token */
	int64 claimed;         /* jobs, since start */
	int64 settled;
	int64 failed;
	int64 cycles;
	int64 wakes;
	ThTaskTimes tasks[TH_TASK_COUNT];
	ThHttpWish http; /* for the gateway */
	TimestampTz last_cycle_at;
	TimestampTz last_error_at;
	char last_sqlstate[6];
	int n_fingerprints; /* of credentials in use, to find two databases with one */
	uint64 fingerprints[TH_MAX_FINGERPRINTS];
} ThSlotFigures;

typedef struct ThSlotStatus
{
	Oid database;
	ThSlotState state;
	int pid; /* 0 if none */
	uint32 generation;
	TimestampTz started_at;
	TimestampTz retry_at; /* FAILED: next start */
	int failures;         /* consecutive failed starts */
	ThSlotFigures figures;
} ThSlotStatus;

/* True if the library was preloaded, so that slots exist. Never throws. */
extern bool th_slot_available(void);

/* Copy of the slot of "database"; false if there is none. Where: any backend. */
extern bool th_slot_read(Oid database, ThSlotStatus *out);

/* Copies of all used slots; returns their number. */
extern int th_slot_read_all(ThSlotStatus *out, int max);

/* Process id of the launcher, 0 if none. */
extern int th_slot_launcher_pid(void);

/* ---- for waiters (await_meeting) ---- */

/* Counter of settled batches of this database; 0 without a slot. */
extern uint64 th_slot_settle_count(Oid database);

/*
 * Waits until the counter differs from "seen" or "timeout_ms" passed;
 * interruptible. Where: any backend, no LWLock held.
 */
extern void th_slot_wait_settle(Oid database, uint64 seen, long timeout_ms);

/* ---- for the dispatcher only ---- */

/*
 * Takes the slot this process was started for (main argument and bgw_extra),
 * before connecting. False: the slot has a new generation, or the database
 * is parked; exit 0. Called by th_process_start().
 */
extern bool th_slot_attach(int slot, uint32 generation, Oid *database);

/*
 * Gives the slot back; nothing if none was attached. Never throws. Where: an
 * exit callback of process.c, after the process left its database.
 */
extern void th_slot_detach(bool was_terminated);

/* Says that the database has no extension; the process then exits 0. */
extern void th_slot_set_absent(void);

/* Says that it has: the slot is RUNNING. The first th_slot_publish() says it too. */
extern void th_slot_set_present(void);

/*
 * True if this process has to leave: parked, new generation, new launcher,
 * database no longer wanted. Never throws; takes the lock for a copy.
 */
extern bool th_slot_must_stop(void);

/* Publishes the figures. */
extern void th_slot_publish(const ThSlotFigures *figures);

/* Raises the settle counter and wakes waiters. Where: after commit. */
extern void th_slot_broadcast_settle(void);

/* True once after a backend asked for a scan without the watermark. */
extern bool th_slot_take_full_scan(void);

/* The same for sessions that were left unmarked; whether it would be true. */
extern bool th_slot_take_unmarked(void);
extern bool th_slot_has_unmarked(void);

/*
 * True if a backend has asked for a look. While the flag is up further
 * commits set no latch, so that a busy stream of them costs one signal a
 * look.
 */
extern bool th_slot_is_woken(void);

/* Clears the wake flag; to be called right before looking for work. Returns whether it was set. */
extern bool th_slot_take_wake(void);

#endif /* TH_WORKER_SLOT_H */
