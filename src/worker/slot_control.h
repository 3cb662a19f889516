/*
 * slot_control.h
 *	  The slots as the launcher, the DDL hook and the wakers use them.
 *
 * For the worker room only. Nothing here throws unless it says so, and
 * nothing but th_slot_is_parked() may be called under the lock. Needs shared
 * memory (th_slot_available()) unless it says otherwise.
 */
#ifndef TH_WORKER_SLOT_CONTROL_H
#define TH_WORKER_SLOT_CONTROL_H

#include "worker/shmem.h"
#include "worker/slot.h"

#define TH_SLOT_NONE (-1)
#define TH_SLOT_BUSY (-2)

/* How long a park lasts if its backend does not end its transaction. */
#define TH_PARK_MS 30000

/* How the process of a slot ended. */
typedef struct ThSlotEnd
{
	ThSlotState state;
	bool was_asked; /* to leave: by SIGTERM, a park or a stop */
	bool was_present;
} ThSlotEnd;

/* ---- launcher ---- */

/*
 * A new launcher: frees what has no process, and raises the generation of
 * what has one, so that the processes of a dead launcher leave.
 */
extern void th_slot_enter_launcher(void);
extern void th_slot_leave_launcher(void);

/* Frees slots that nobody "owned" and whose process has left. */
extern void th_slot_free_orphans(const bool *owned);

/*
 * A STARTING slot for the database: its number, TH_SLOT_NONE if all are in
 * use, TH_SLOT_BUSY while an orphan still works there.
 */
extern int th_slot_claim(Oid database, int failures, uint32 *generation);

/* Marks a slot without a process as FAILED. */
extern void th_slot_fail(int slot, TimestampTz retry_at, int failures);

/* Makes the process of the slot leave; to be freed when it has. */
extern void th_slot_stop(int slot);

/* Frees a slot without a process. */
extern void th_slot_free(int slot);

/* What the slot says, now that its process has ended. */
extern void th_slot_read_end(int slot, ThSlotEnd *out);

/* Present state of a slot. */
extern ThSlotState th_slot_state(int slot);

/* Moves the requests to "out". */
extern void th_slot_take_requests(ThRequests *out);

/* True while a backend holds the database still. */
extern bool th_slot_test_parked(Oid database);

/* ---- backends ---- */

/* Raises the wake flag; sets the latch if it was down. Nothing without shared memory. */
extern void th_slot_wake(Oid database, bool needs_full_scan);

/* Before that: sessions have something new, and no job could be marked for them. Never throws. */
extern void th_slot_note_unmarked(Oid database);

/* Sets the dispatcher's latch in any case. Nothing without shared memory. */
extern void th_slot_nudge(Oid database);

/* Asks the launcher to read the list of databases. */
extern void th_slot_request_scan(void);

/* Asks the launcher to look for the extension in "database". */
extern void th_slot_request_probe(Oid database);

/*
 * Holds the database still for TH_PARK_MS, or until this process calls
 * th_slot_unpark(); its dispatcher is told. False if no place is free.
 */
extern bool th_slot_park(Oid database);

/* Ends all parks of this process and tells the launcher. */
extern void th_slot_unpark(void);

/*
 * Waits until no process of ours is in the database: false if "timeout_ms"
 * passed first. Errors: those of an interrupt.
 */
extern bool th_slot_wait_gone(Oid database, long timeout_ms);

/* Under slot_lock: true while a backend holds the database still at "now". */
extern bool th_slot_is_parked(Oid database, TimestampTz now);

#endif /* TH_WORKER_SLOT_CONTROL_H */
