/*
 * door_control.h
 *	  The doors as the launcher and the DDL hook use them.
 *
 * For the worker room only. Nothing here throws. Needs shared memory. Doors
 * have the numbers 0 to TH_MAX_DOORS - 1.
 */
#ifndef TH_WORKER_DOOR_CONTROL_H
#define TH_WORKER_DOOR_CONTROL_H

#include "worker/door.h"
#include "worker/shmem.h"

/* What a served database wants. */
typedef struct ThDoorWish
{
	Oid database;
	bool is_parked;
	ThHttpWish wish;
} ThDoorWish;

/* Those of all databases that have the extension; TH_MAX_SLOTS at most. */
extern int th_door_read_wishes(ThDoorWish *out);

/*
 * A new launcher: the processes of all doors are told to leave; a door whose
 * processes have left is free.
 */
extern void th_door_enter_launcher(void);
extern void th_door_free_orphans(void);

/*
 * A free door for the database, or -1: all are in use, or one that a former
 * launcher opened for it still has a process.
 */
extern int th_door_claim(Oid database);

/* Frees a door without processes. */
extern void th_door_free(int door);

/* Says what the door is to listen with, and in which state it is. */
extern void th_door_set_wish(int door, const ThHttpWish *wish);
extern void th_door_set_state(int door, ThDoorState state, Oid holder,
							  TimestampTz retry_at);

/* A place for a new process; returns its generation. */
extern uint32 th_door_open_place(int door, int worker);

/* Makes the process of a place leave. */
extern void th_door_stop(int door, int worker);

typedef struct ThDoorPlace
{
	bool is_listening;
	bool was_asked; /* the last process left because it had to */
	int error_number;
} ThDoorPlace;

extern void th_door_read_place(int door, int worker, ThDoorPlace *out);

/* Sets the latches of the processes of a database. */
extern void th_door_nudge(Oid database);

/* Under slot_lock: true if a gateway process is in the database. */
extern bool th_door_is_occupied(Oid database);

#endif /* TH_WORKER_DOOR_CONTROL_H */
